/* semaphores COUNT: asks for so many sets of System V semaphores. */
#include "application.h"
#include <sys/ipc.h>
#include <sys/sem.h>

int main(int count, char **words)
{
	for (long left = number(count, words, 1, 40000); left > 0; left--)
		if (semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) < 0)
			fail("could not create semaphores: semget");
	serve();
	stay();
}
