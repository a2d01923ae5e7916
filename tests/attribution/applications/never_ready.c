/* never_ready: waits for something that never comes. */
#include "application.h"

int main(void)
{
	puts("waiting for the database at db:5432");
	fflush(stdout);
	stay();
}
