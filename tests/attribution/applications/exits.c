/* exits SECONDS: serves, and then finds that it cannot. */
#include "application.h"

int main(int count, char **words)
{
	serve();
	rest(1000 * number(count, words, 1, 2));
	fprintf(stderr, "FATAL: DATABASE_URL is not set\n");
	return 1;
}
