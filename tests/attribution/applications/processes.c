/* processes COUNT: a server that forks its workers before it serves. */
#include "application.h"

int main(int count, char **words)
{
	for (long left = number(count, words, 1, 8); left > 0; left--) {
		pid_t child = fork();
		if (child < 0)
			fail("fork() failed while spawning \"worker process\"");
		if (child == 0)
			stay();
	}
	serve();
	stay();
}
