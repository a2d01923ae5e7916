/* What every application here has in common: it serves, grows and fails as programs of users do, in libc's words. */

#ifndef APPLICATION_H
#define APPLICATION_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A number from the command line. */
static inline long number(int count, char **words, int index, long otherwise)
{
	return count > index ? strtol(words[index], NULL, 10) : otherwise;
}

static inline void rest(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	nanosleep(&time, NULL);
}

/* The line that a profile waits for (ready = "log:listening"). */
static inline void serve(void)
{
	puts("listening");
	fflush(stdout);
}

__attribute__((noreturn)) static inline void stay(void)
{
	for (;;)
		pause();
}

/* Say what could not be done and why, and end as most programs do. */
__attribute__((noreturn)) static inline void fail(const char *what)
{
	int error = errno;
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(1);
}

#endif
