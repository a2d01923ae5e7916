/*
 * The program inside every instance of density: a process, the PID 1 of a container, or the PID 1 of a VM.
 *
 *   payload --id ID (--socket PATH | --serial DEVICE) [--touch BYTES] [--burn SHARE] [--lease SECONDS] [--run RUN]
 *           [--errors FILE] [--secret FILE]
 *   payload --spawn [--procs FILE]... [--run RUN]
 *
 * It says `density ready ID kernel=RELEASE uptime_us=N pid=N [secret=WORD]`, answers `ping N` with `density pong N`, has its lease renewed by
 * `lease SECONDS`, and ends on `stop`, on SIGTERM, when the socket closes, or (serial) when the lease has run out. On `hello` it
 * says ready again, for a controller that has lost sight of it; on `bench ...` it measures what it runs on (bench.c).
 * Over a socket it proves who it is by a secret, from the file of --secret or else from the environment (DENSITY_SECRET): a
 * command line can be read by everybody.
 * --run does nothing here: it marks the process for whoever cleans up. With --errors its last words go to a file, made for them,
 * and not to stderr.
 *
 * With --spawn it is the fork server of native instances instead; see spawn.c.
 *
 * Ends with 0 when told to, 64 for a wrong command line, 69 when the controller cannot be reached, 71 when the system refuses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "payload.h"

enum { MAX_PROCS = 32, CONNECT_ATTEMPTS = 20, MAX_SECRET = 64 };

#define SECOND INT64_C(1000000000)
#define NEVER INT64_MAX
#define BURN_PERIOD (SECOND / 10)
#define BURN_SLICE (SECOND / 4000) /* pings wait no longer than this for the work */
#define CONNECT_PAUSE (SECOND / 20)

struct options {
	const char *id, *socket, *serial, *secret;
	unsigned long long touch;
	double burn, lease;
	bool spawn;
	int procs_count;
	const char *procs[MAX_PROCS];
};

static const char *name = "payload", *errors;
static bool machine; /* PID 1 of a VM, whose end is the machine's */
static int channel = -1;
static int64_t started, lease_end = NEVER;
static bool heard;
static char secret[MAX_SECRET + 1];

int64_t now(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static struct timespec span(int64_t nanoseconds)
{
	return (struct timespec){.tv_sec = nanoseconds / SECOND, .tv_nsec = nanoseconds % SECOND};
}

void leave(int code)
{
	if (machine) {
		tcdrain(channel);
		reboot(RB_POWER_OFF);
		reboot(RB_AUTOBOOT);
	}
	_exit(code);
}

static void on_signal(int number)
{
	(void)number;
	leave(0);
}

void die(int code, const char *format, ...)
{
	char text[512];
	va_list values;
	va_start(values, format);
	vsnprintf(text, sizeof text, format, values);
	va_end(values);
	int file = errors ? open(errors, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600) : STDERR_FILENO;
	dprintf(file, "%s: %s\n", name, text);
	leave(code);
}

void say(int fd, const char *format, ...)
{
	char text[512];
	va_list values;
	va_start(values, format);
	int length = vsnprintf(text, sizeof text, format, values);
	va_end(values);
	if (length >= (int)sizeof text)
		length = sizeof text - 1;
	for (char *next = text; length > 0;) {
		ssize_t written = write(fd, next, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			leave(0);
		next += written;
		length -= written;
	}
}

/* No instance needs root's powers, but for the PID 1 of a VM, which ends its machine. Two calls, and none for a fork. */
static void give_up_powers(void)
{
	struct {
		uint32_t version;
		int pid;
	} self = {.version = 0x20080522}; /* _LINUX_CAPABILITY_VERSION_3, which not every libc has a header for */
	uint32_t none[6] = {0};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &self, none);
}

static void take_secret(const char *path)
{
	const char *given = getenv("DENSITY_SECRET");
	if (path) {
		int file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0 || read(file, secret, MAX_SECRET) < 0)
			die(UNREACHABLE, "cannot read %s: %m", path);
		close(file);
	} else if (given) {
		strncpy(secret, given, MAX_SECRET);
	}
	secret[strcspn(secret, " \t\r\n")] = '\0';
}

static void join_channel_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		die(WRONG_USE, "the socket's path is longer than %zu bytes: %s", sizeof address.sun_path - 1, path);
	strcpy(address.sun_path, path);
	for (int attempt = 1;; attempt++) {
		channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (channel < 0)
			die(REFUSED, "cannot make a socket: %m");
		if (connect(channel, (struct sockaddr *)&address, sizeof address) == 0)
			return;
		if (attempt == CONNECT_ATTEMPTS)
			die(UNREACHABLE, "cannot reach the controller at %s: %m", path);
		close(channel);
		struct timespec pause = span(CONNECT_PAUSE);
		nanosleep(&pause, NULL);
	}
}

static void join_channel_serial(const char *device)
{
	if (machine) {
		mkdir("/dev", 0755);
		if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) != 0 && errno != EBUSY)
			die(REFUSED, "cannot mount /dev: %m");
	}
	channel = open(device, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK); /* without CLOCAL an open may wait for a carrier */
	if (channel < 0)
		die(UNREACHABLE, "cannot open %s: %m", device);
	struct termios tty;
	if (tcgetattr(channel, &tty) == 0) {
		cfmakeraw(&tty);
		tty.c_cflag |= CLOCAL | CREAD;
		tcsetattr(channel, TCSANOW, &tty);
	}
	fcntl(channel, F_SETFL, 0);
	if (machine)
		dup2(channel, STDERR_FILENO);
}

/* Fills private memory with noise that differs by instance and page, so that nothing can merge or compress it. */
static void touch(unsigned long long bytes, const char *id)
{
	if (bytes == 0)
		return;
	uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die(REFUSED, "cannot have %llu bytes of memory: %m", bytes);
	uint64_t noise = (uint64_t)now(CLOCK_REALTIME) ^ ((uint64_t)getpid() << 32) ^ 0x9e3779b97f4a7c15;
	for (; *id; id++)
		noise = (noise ^ (unsigned char)*id) * 0x100000001b3;
	noise |= 1; /* xorshift stays at zero for ever */
	for (unsigned long long word = 0; word < bytes / sizeof *memory; word++) {
		noise ^= noise << 13;
		noise ^= noise >> 7;
		noise ^= noise << 17;
		memory[word] = noise;
	}
}

/* Works a little if this period's share is not used up; gives the time at which to work again. */
static int64_t burn(double share)
{
	static int64_t period, used_before;
	static volatile uint64_t sink;
	if (share <= 0)
		return NEVER;
	int64_t time = now(CLOCK_MONOTONIC);
	if (time - period >= BURN_PERIOD) {
		period = time - period < 2 * BURN_PERIOD ? period + BURN_PERIOD : time;
		used_before = now(CLOCK_PROCESS_CPUTIME_ID);
	}
	int64_t left = (int64_t)(share * BURN_PERIOD) - (now(CLOCK_PROCESS_CPUTIME_ID) - used_before);
	if (left <= 0)
		return period + BURN_PERIOD;
	int64_t end = time + (left < BURN_SLICE ? left : BURN_SLICE);
	uint64_t work = sink;
	do {
		for (int turn = 0; turn < 4000; turn++)
			work = work * 6364136223846793005 + 1442695040888963407;
	} while (now(CLOCK_MONOTONIC) < end);
	sink = work;
	return 0;
}

static void say_ready(const struct options *options)
{
	struct utsname system;
	uname(&system);
	say(channel, "%sdensity ready %s kernel=%s uptime_us=%lld pid=%d%s%s\n",
	    options->serial ? "\n" : "", /* the kernel may have left the console in the middle of a line */
	    options->id, system.release, (long long)((now(CLOCK_MONOTONIC) - started) / 1000), (int)getpid(),
	    *secret ? " secret=" : "", secret);
}

static void obey(char *line, const struct options *options)
{
	if (strcmp(line, "stop") == 0)
		leave(0);
	else if (strcmp(line, "hello") == 0)
		say_ready(options);
	else if (strncmp(line, "ping ", 5) == 0)
		say(channel, "density pong %llu\n", strtoull(line + 5, NULL, 10));
	else if (strncmp(line, "bench ", 6) == 0)
		run_bench(channel, line + 6);
	else if (strncmp(line, "lease ", 6) == 0)
		lease_end = now(CLOCK_MONOTONIC) + (int64_t)(strtod(line + 6, NULL) * SECOND);
	else
		return;
	heard = true;
}

static void hear(const struct options *options)
{
	static char line[512];
	static size_t used;
	char chunk[512];
	ssize_t got = read(channel, chunk, sizeof chunk);
	if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
		leave(0);
	for (ssize_t at = 0; at < got; at++) {
		if (chunk[at] == '\n' || chunk[at] == '\r') {
			line[used] = '\0';
			used = 0;
			obey(line, options);
		} else if (used < sizeof line - 1) {
			line[used++] = chunk[at];
		}
	}
}

static bool hears_before(int64_t until)
{
	struct pollfd wanted = {.fd = channel, .events = POLLIN};
	int64_t left = until == NEVER ? 0 : until - now(CLOCK_MONOTONIC);
	struct timespec timeout = span(left > 0 ? left : 0);
	return ppoll(&wanted, 1, until == NEVER ? NULL : &timeout, NULL) > 0;
}

__attribute__((noreturn)) static void serve(const struct options *options)
{
	int64_t announce = NEVER; /* a console line may have garbled ours: over serial, say it until there is an answer */
	say_ready(options);
	if (options->serial)
		announce = now(CLOCK_MONOTONIC) + SECOND;
	for (;;) {
		int64_t until = burn(options->burn);
		if (options->serial && lease_end < until)
			until = lease_end;
		if (!heard && announce < until)
			until = announce;
		if (hears_before(until)) {
			hear(options);
			continue;
		}
		int64_t time = now(CLOCK_MONOTONIC);
		if (options->serial && time >= lease_end) {
			say(channel, "%s: the lease ran out\n", name);
			leave(0);
		}
		if (!heard && time >= announce) {
			say_ready(options);
			announce = time + SECOND;
		}
	}
}

static bool take(struct options *options, const char *option, const char *value)
{
	if (strcmp(option, "--id") == 0)
		name = options->id = value;
	else if (strcmp(option, "--socket") == 0)
		options->socket = value;
	else if (strcmp(option, "--serial") == 0)
		options->serial = value;
	else if (strcmp(option, "--touch") == 0)
		options->touch = strtoull(value, NULL, 10);
	else if (strcmp(option, "--burn") == 0)
		options->burn = strtod(value, NULL);
	else if (strcmp(option, "--lease") == 0)
		options->lease = strtod(value, NULL);
	else if (strcmp(option, "--errors") == 0)
		errors = value;
	else if (strcmp(option, "--secret") == 0)
		options->secret = value;
	else if (strcmp(option, "--procs") == 0 && options->procs_count < MAX_PROCS)
		options->procs[options->procs_count++] = value;
	else
		return strcmp(option, "--run") == 0;
	return true;
}

int main(int argc, char *argv[])
{
	struct options options = {0};
	started = now(CLOCK_MONOTONIC);
	signal(SIGPIPE, SIG_IGN);
	for (int index = 1; index < argc; index++) {
		if (strcmp(argv[index], "--spawn") == 0)
			options.spawn = true;
		else if (index + 1 < argc && take(&options, argv[index], argv[index + 1]))
			index++;
		else if (getpid() != 1) /* a kernel hands words of its own to PID 1 */
			die(WRONG_USE, "%s is no option, or lacks its value", argv[index]);
	}
	if (options.spawn)
		serve_spawns(options.procs, options.procs_count);
	if (!options.id || !options.socket == !options.serial)
		die(WRONG_USE, "--id and one of --socket and --serial are needed");
	machine = options.serial && getpid() == 1;
	if (!machine)
		give_up_powers();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGCHLD, SIG_IGN); /* as PID 1: the kernel then reaps by itself */
	if (options.lease > 0)
		lease_end = started + (int64_t)(options.lease * SECOND);
	if (options.serial)
		join_channel_serial(options.serial);
	touch(options.touch, options.id);
	if (options.socket) {
		take_secret(options.secret);
		join_channel_socket(options.socket);
	}
	serve(&options);
}
