/* page_cache MEBIBYTES: writes a file and reads it twice, which fills memory that the kernel can take back. */
#include "application.h"
#include <fcntl.h>

static char piece[1 << 20];

int main(int count, char **words)
{
	long size = number(count, words, 1, 8);
	int file = open("/data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		fail("/data");
	for (long left = size; left > 0; left--)
		if (write(file, piece, sizeof piece) != sizeof piece)
			fail("write /data");
	fsync(file);
	for (int again = 0; again < 2; again++) {
		lseek(file, 0, SEEK_SET);
		while (read(file, piece, sizeof piece) > 0)
			;
	}
	serve();
	stay();
}
