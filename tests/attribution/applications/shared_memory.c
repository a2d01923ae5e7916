/* shared_memory MEBIBYTES: serves, and puts more and more into /dev/shm. */
#include "application.h"
#include <fcntl.h>

static char piece[1 << 20];

int main(int count, char **words)
{
	int file = open("/dev/shm/buffers", O_WRONLY | O_CREAT, 0600);
	if (file < 0)
		fail("/dev/shm/buffers");
	memset(piece, 1, sizeof piece);
	serve();
	for (long left = number(count, words, 1, 80); left > 0; left--) {
		if (write(file, piece, sizeof piece) != sizeof piece)
			fail("could not resize shared memory segment \"/dev/shm/buffers\"");
		rest(20);
	}
	stay();
}
