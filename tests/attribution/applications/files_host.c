/* files_host COUNT: keeps so many files open. */
#include "application.h"
#include <fcntl.h>

int main(int count, char **words)
{
	for (long left = number(count, words, 1, 300); left > 0; left--)
		if (open("/dev/null", O_RDONLY) < 0)
			fail("open");
	serve();
	stay();
}
