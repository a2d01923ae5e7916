/*
 * The benchmarks of an instance: each works for about as long as it is told to, and says how much it did.
 *
 * `bench NUMBER KIND MILLISECONDS [DIRECTORY]` is answered by `density begun NUMBER` when all is set up, then by `density bench
 * NUMBER AMOUNT MICROSECONDS`, or by `density refused NUMBER WORDS` where the kind is unknown or the system refuses. The time
 * is this machine's own, which an emulated one may not keep: whoever asks can time the two answers by his clock. Pings wait.
 *
 *   integer   dependent multiplications and additions of 64 bits
 *   memory    bytes copied from one buffer to another, each larger than most caches
 *   syscall   calls of getppid, the cheapest that enters the kernel
 *   file      bytes written by blocks of 4 KiB to a new file in DIRECTORY, again and again
 *   disk      the same, each MiB flushed to the disk
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "payload.h"

enum { OPERATIONS = 20000, CALLS = 200, BLOCK = 4096, BLOCKS = 256, PASSES = 4, COPIED = 24 << 20, PIECE = 1 << 20 };

/* The buffers are no power of two apart: caches and TLBs, QEMU's own above all, would have both at the same places. */
enum { GAP = 17 * 4096 + 1024, BUFFERS = 2 * COPIED + GAP };

/* What a kind works on; `step` does a little and gives how much, or 0 with errno set. */
struct bench {
	int file, passes;
	char *from, *to;
	size_t offset;
	uint64_t value;
};

static uint64_t step_integer(struct bench *bench)
{
	uint64_t value = bench->value;
	for (int turn = 0; turn < OPERATIONS; turn++) {
		value = value * 6364136223846793005 + 1442695040888963407;
		__asm__ volatile("" : "+r"(value)); /* each is done, one after the other */
	}
	bench->value = value;
	return OPERATIONS;
}

static uint64_t step_memory(struct bench *bench)
{
	memcpy(bench->to + bench->offset, bench->from + bench->offset, PIECE);
	__asm__ volatile("" : : "r"(bench->to) : "memory");
	bench->offset = (bench->offset + PIECE) % COPIED;
	return PIECE;
}

static uint64_t step_syscall(struct bench *bench)
{
	for (int turn = 0; turn < CALLS; turn++)
		bench->value += syscall(SYS_getppid);
	return CALLS;
}

static uint64_t write_piece(struct bench *bench)
{
	static char block[BLOCK];
	if (bench->passes++ % PASSES == 0 && (ftruncate(bench->file, 0) != 0 || lseek(bench->file, 0, SEEK_SET) != 0))
		return 0;
	for (int turn = 0; turn < BLOCKS; turn++) {
		errno = ENOSPC; /* what a short write means */
		if (write(bench->file, block, BLOCK) != BLOCK)
			return 0;
	}
	return (uint64_t)BLOCK * BLOCKS;
}

static uint64_t flush_piece(struct bench *bench)
{
	uint64_t written = write_piece(bench);
	return written > 0 && fdatasync(bench->file) == 0 ? written : 0;
}

static bool begin_memory(struct bench *bench)
{
	char *both = mmap(NULL, BUFFERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (both == MAP_FAILED)
		return false;
	memset(both, 1, BUFFERS); /* the pages come before the clock starts */
	bench->from = both;
	bench->to = both + COPIED + GAP;
	return true;
}

static bool begin_file(struct bench *bench, const char *directory)
{
	char path[512];
	if (snprintf(path, sizeof path, "%s/.density-bench-%d", directory, (int)getpid()) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return false;
	}
	bench->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (bench->file >= 0)
		unlink(path); /* it goes with us, however we end */
	return bench->file >= 0;
}

static void end(struct bench *bench)
{
	if (bench->from)
		munmap(bench->from, BUFFERS);
	if (bench->file >= 0)
		close(bench->file);
}

static bool begin(struct bench *bench, const char *kind, const char *directory, uint64_t (**step)(struct bench *))
{
	if (strcmp(kind, "integer") == 0)
		*step = step_integer;
	else if (strcmp(kind, "memory") == 0)
		*step = step_memory;
	else if (strcmp(kind, "syscall") == 0)
		*step = step_syscall;
	else if (strcmp(kind, "file") == 0)
		*step = write_piece;
	else if (strcmp(kind, "disk") == 0)
		*step = flush_piece;
	else
		return errno = EINVAL, false;
	if (*step == step_memory)
		return begin_memory(bench);
	return (*step != write_piece && *step != flush_piece) || begin_file(bench, directory);
}

static void answer(int channel, unsigned long long number, struct bench *bench, uint64_t (*step)(struct bench *),
		   int64_t nanoseconds)
{
	uint64_t amount = 0, done;
	say(channel, "density begun %llu\n", number);
	int64_t start = now(CLOCK_MONOTONIC), time;
	do {
		done = step(bench);
		amount += done;
		time = now(CLOCK_MONOTONIC);
	} while (done > 0 && time - start < nanoseconds);
	if (done == 0)
		say(channel, "density refused %llu %m\n", number);
	else
		say(channel, "density bench %llu %llu %lld\n", number, (unsigned long long)amount,
		    (long long)((time - start) / 1000));
}

void run_bench(int channel, char *request)
{
	const char *words[] = {"", "", "", "/"};
	for (int index = 0; index < 4 && request && *request; index++)
		words[index] = index < 3 ? strsep(&request, " ") : request; /* a directory's name may have blanks */
	unsigned long long number = strtoull(words[0], NULL, 10);
	struct bench bench = {.file = -1, .value = number};
	uint64_t (*step)(struct bench *) = NULL;
	if (begin(&bench, words[1], words[3], &step))
		answer(channel, number, &bench, step, strtoll(words[2], NULL, 10) * 1000000);
	else
		say(channel, "density refused %llu %m\n", number);
	end(&bench);
}
