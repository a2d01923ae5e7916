/* port NUMBER COUNT: listens on this port of 127.0.0.1; on COUNT ports of the kernel's choice where it is 0. */
#include "application.h"
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int count, char **words)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(number(count, words, 1, 18080))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (long left = number(count, words, 2, 1); left > 0; left--) {
		int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(server, (struct sockaddr *)&address, sizeof address) != 0) {
			fprintf(stderr, "bind() to 127.0.0.1:%d failed (%d: %s)\n", ntohs(address.sin_port), errno,
				strerror(errno));
			return 1;
		}
		listen(server, 8);
	}
	serve();
	stay();
}
