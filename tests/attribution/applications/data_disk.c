/* data_disk MEBIBYTES: serves once it has written its data. */
#include "application.h"
#include <fcntl.h>

static char piece[1 << 20];

int main(int count, char **words)
{
	int file = open("/data", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		fail("/data");
	memset(piece, 1, sizeof piece);
	for (long left = number(count, words, 1, 4); left > 0; left--)
		if (write(file, piece, sizeof piece) != sizeof piece)
			fail("could not write to file \"/data\"");
	if (fsync(file) != 0)
		fail("could not sync file \"/data\"");
	serve();
	stay();
}
