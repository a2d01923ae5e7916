"""A tiny image for tests of everything that the payload does not do: one static program, made here, from nothing."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

from docker import APIClient
from docker.errors import ImageNotFound

ENDPOINT = "unix:///var/run/docker.sock"
_REPOSITORY = "density-test"
_PROGRAM = r"""
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* say TEXT CODE: prints and ends; wait TEXT: prints and stays;
 * brief TEXT WORDS CODE: prints the text, a second later the words, and ends;
 * once WORDS: is well the first time, and then prints the words and is not;
 * flood MIB TEXT: prints so much, then TEXT, and stays;
 * listen PORT: accepts; http PORT STATUS: answers; stubborn PORT STATUS: as http, and stays where it may not. */
int main(int count, char **words) {
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count == 4 && !strcmp(words[1], "say")) {
		puts(words[2]);
		return atoi(words[3]);
	}
	if (count == 3 && !strcmp(words[1], "wait")) {
		puts(words[2]);
		for (;;)
			pause();
	}
	if (count == 5 && !strcmp(words[1], "brief")) {
		puts(words[2]);
		sleep(1);
		puts(words[3]);
		return atoi(words[4]);
	}
	if (count == 3 && !strcmp(words[1], "once")) {
		if (access("/seen", F_OK))
			return !fopen("/seen", "w");
		puts(words[2]);
		return 1;
	}
	if (count == 4 && !strcmp(words[1], "flood")) {
		setvbuf(stdout, NULL, _IOFBF, 65536);
		for (long line = 0; line < atol(words[2]) * 1048576 / 100; line++)
			printf("%-98ld.\n", line);
		printf("%s\r\n", words[3]);
		fflush(stdout);
		for (;;)
			pause();
	}
	if (count < 3)
		return 64;
	int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 8)) {
		perror(words[2]);
		while (!strcmp(words[1], "stubborn"))
			pause();
		return 71;
	}
	for (;;) {
		char buffer[4096];
		int peer = accept(server, NULL, NULL);
		if (count == 4 && read(peer, buffer, sizeof buffer) > 0)
			dprintf(peer, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", words[3]);
		close(peer);
	}
}
"""

HEALTH = {
    "healthy": 'HEALTHCHECK --interval=1s CMD ["/guest", "say", "well", "0"]',
    "sick": 'HEALTHCHECK --interval=1s --retries=1 CMD ["/guest", "say", "the database is gone", "1"]',
    "turning": 'HEALTHCHECK --interval=1s --retries=1 CMD ["/guest", "once", "the database is gone"]',
    "unchecked": "HEALTHCHECK NONE",
}
"""What follows NAME- in an image's name -> its HEALTHCHECK."""


def layer(directory: Path) -> bytes:
    """A tar archive with the program as /guest."""
    source = directory / "guest.c"
    source.write_text(_PROGRAM)
    binary = directory / "guest"
    subprocess.run(["cc", "-static", "-Os", "-s", "-o", str(binary), str(source)], check=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(binary, arcname="guest")
    return archive.getvalue()


def build(client: APIClient, directory: Path) -> str:
    """The image's name; its entry point is the program. With a HEALTHCHECK: see `HEALTH`."""
    files = layer(directory)
    tag = f"{hashlib.sha256(_PROGRAM.encode()).hexdigest()[:12]}-{os.getpid()}"
    entry = 'ENTRYPOINT ["/guest"]'
    client.import_image_from_data(files, repository=_REPOSITORY, tag=tag, changes=[entry])
    for name, check in HEALTH.items():
        client.import_image_from_data(files, repository=_REPOSITORY, tag=f"{tag}-{name}", changes=[entry, check])
    return f"{_REPOSITORY}:{tag}"


def remove(client: APIClient, name: str) -> None:
    """Remove what `build` made."""
    for image in (name, *(f"{name}-{each}" for each in HEALTH)):
        try:
            client.remove_image(image, force=True)
        except ImageNotFound:
            continue
