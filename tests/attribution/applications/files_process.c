/* files_process LIMIT MILLISECONDS: allows itself so many open files, serves, and never closes a connection's file. */
#include "application.h"
#include <fcntl.h>
#include <sys/resource.h>

int main(int count, char **words)
{
	rlim_t limit = number(count, words, 1, 64);
	struct rlimit files = {limit, limit};
	setrlimit(RLIMIT_NOFILE, &files);
	serve();
	for (;;) {
		if (open("/dev/null", O_RDONLY) < 0)
			fail("accept4");
		rest(number(count, words, 2, 100));
	}
}
