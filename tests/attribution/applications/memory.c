/* memory FROM TO SECONDS [before]: fills so many MiB, between FROM and TO by chance, over so many seconds; serves
 * first, or afterwards. */
#include "application.h"
#include <sys/random.h>

int main(int count, char **words)
{
	long from = number(count, words, 1, 40), to = number(count, words, 2, 75), seconds = number(count, words, 3, 2);
	unsigned chance = 0;
	getrandom(&chance, sizeof chance, 0);
	long size = from + (to > from ? (long)(chance % (to - from + 1)) : 0);
	if (count <= 4)
		serve();
	for (long done = 0; done < size; done++) {
		char *piece = malloc(1 << 20);
		if (piece == NULL)
			fail("malloc");
		memset(piece, 1, 1 << 20);
		rest(seconds * 1000 / size);
	}
	if (count > 4)
		serve();
	stay();
}
