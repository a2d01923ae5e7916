/* threads COUNT: a server with a pool of threads, each of which it wants before it serves. */
#include "application.h"
#include <pthread.h>

static void *work(void *nothing)
{
	(void)nothing;
	stay();
}

int main(int count, char **words)
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (long left = number(count, words, 1, 20); left > 0; left--) {
		pthread_t thread;
		if ((errno = pthread_create(&thread, &small, work, NULL)) != 0)
			fail("unable to create native thread");
	}
	serve();
	stay();
}
