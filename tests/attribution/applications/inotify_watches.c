/* inotify_watches COUNT: watches so many directories. */
#include "application.h"
#include <sys/inotify.h>
#include <sys/stat.h>

int main(int count, char **words)
{
	int watcher = inotify_init1(IN_CLOEXEC);
	if (watcher < 0)
		fail("inotify_init1");
	for (long left = number(count, words, 1, 100); left > 0; left--) {
		char name[32];
		snprintf(name, sizeof name, "/watched-%ld", left);
		if (mkdir(name, 0755) != 0 && errno != EEXIST)
			fail(name);
		if (inotify_add_watch(watcher, name, IN_MODIFY) < 0)
			fail("Failed to add watch");
	}
	serve();
	stay();
}
