/* inotify_instances COUNT: serves, and watches for changes of its configuration with several watchers. */
#include "application.h"
#include <sys/inotify.h>

int main(int count, char **words)
{
	for (long left = number(count, words, 1, 5); left > 0; left--)
		if (inotify_init1(IN_CLOEXEC) < 0)
			fail("could not watch the configuration");
	serve();
	stay();
}
