/* inodes COUNT: serves once it has made so many small files. */
#include "application.h"
#include <fcntl.h>

int main(int count, char **words)
{
	for (long left = number(count, words, 1, 200); left > 0; left--) {
		char name[32];
		snprintf(name, sizeof name, "/session-%ld", left);
		int file = open(name, O_WRONLY | O_CREAT, 0600);
		if (file < 0)
			fail(name);
		close(file);
	}
	serve();
	stay();
}
