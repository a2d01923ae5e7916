/* aio REQUESTS: a database that asks for so many asynchronous requests. */
#include "application.h"
#include <linux/aio_abi.h>
#include <sys/syscall.h>

int main(int count, char **words)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, number(count, words, 1, 11026), &context) != 0)
		fail("io_setup() failed");
	serve();
	stay();
}
