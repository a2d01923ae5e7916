/* What the payload's parts share: the instance (payload.c), its benchmarks (bench.c), the fork server (spawn.c). */
#ifndef DENSITY_PAYLOAD_H
#define DENSITY_PAYLOAD_H

#include <stdint.h>
#include <time.h>

/* Exit codes; 0: told to end. */
enum { WRONG_USE = 64, UNREACHABLE = 69, REFUSED = 71 };

/* Ends the process and, for PID 1 of a VM, the machine. Async-signal-safe. */
__attribute__((noreturn)) void leave(int code);

/* `leave` with a sentence on stderr; %m is the system's word for errno. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int code, const char *format, ...);

/* Writes a line as a whole; ends the process where nobody can hear it any more. */
__attribute__((format(printf, 2, 3))) void say(int fd, const char *format, ...);

/* Nanoseconds of a clock. */
int64_t now(clockid_t clock);

/* Answers a request for a benchmark, given without its first word, and cuts it up. */
void run_bench(int channel, char *request);

/* The fork server, in these cgroup.procs files' cgroups. */
__attribute__((noreturn)) void serve_spawns(const char *const procs[], int count);

#endif
