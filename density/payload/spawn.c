/*
 * The fork server of native instances: it forks them inside the slice, so that the kernel charges them to it from their first
 * moment (pids.max binds on fork, not on migration).
 *
 * Lines of fields separated by tabs. In: `spawn ID SECRET ARGV0 ARG...` (the secret goes into the child's environment, which
 * only its own user can read), `kill PID` (of a child, if it still runs), and `detach` (end, but leave the children be).
 * Out: `serving PID`, `spawned ID PID`, `failed ID ERRNO TEXT`, `exited PID CODE SIGNAL`; other lines are what a child said
 * on its stderr, `ID: TEXT`, always before its `exited`. At the end of the input, and on SIGTERM, the children are killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "payload.h"

enum { MAX_WORDS = 32, MAX_COMMAND = 8192, VICTIM = 1000, SERVER = -900 };

static pid_t *children;
static size_t children_count, children_room;

static void join_cgroups(const char *const procs[], int count)
{
	for (int index = 0; index < count; index++) {
		int fd = open(procs[index], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
			die(REFUSED, "cannot join %s: %m", procs[index]);
		close(fd);
	}
}

/* Whom the kernel kills where memory runs out: instances first (1000), the one who reports it last; only root may lower it. */
static void set_badness(pid_t pid, int value)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		dprintf(fd, "%d", value);
		close(fd);
	}
}

static int start(char *const words[], const char *secret, pid_t *pid)
{
	char variable[128];
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t files;
	sigset_t none;
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	snprintf(variable, sizeof variable, "DENSITY_SECRET=%s", secret);
	char *const environment[] = {variable, NULL};
	int error = posix_spawn(pid, "/proc/self/exe", &files, &attributes, words, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return error;
}

static void spawn(const char *id, const char *secret, char *const words[])
{
	if (children_count == children_room) {
		children_room = children_room ? 2 * children_room : 256;
		children = realloc(children, children_room * sizeof *children);
		if (children == NULL)
			die(REFUSED, "cannot remember %zu children: %m", children_room);
	}
	pid_t pid;
	int error = start(words, secret, &pid);
	if (error != 0) {
		say(STDOUT_FILENO, "failed\t%s\t%d\t%s\n", id, error, strerror(error));
		return;
	}
	children[children_count++] = pid;
	set_badness(pid, VICTIM);
	say(STDOUT_FILENO, "spawned\t%s\t%d\n", id, (int)pid);
}

/* Whoever asks needs no descriptor for it, and a child keeps its number until it is reaped here. */
static void end_child(pid_t pid)
{
	for (size_t index = 0; index < children_count; index++)
		if (children[index] == pid)
			kill(pid, SIGKILL);
}

static void reap_children(void)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (size_t index = 0; index < children_count; index++) {
			if (children[index] == pid) {
				children[index] = children[--children_count];
				break;
			}
		}
		say(STDOUT_FILENO, "exited\t%d\t%d\t%d\n", (int)pid, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
}

__attribute__((noreturn)) static void end_children(void)
{
	for (size_t index = 0; index < children_count; index++)
		kill(children[index], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	leave(0);
}

static void obey_command(char *line)
{
	char *words[MAX_WORDS + 1];
	int count = 0;
	for (char *word; count < MAX_WORDS && (word = strsep(&line, "\t")) != NULL;)
		words[count++] = word;
	words[count] = NULL;
	if (strcmp(words[0], "spawn") == 0 && count > 3)
		spawn(words[1], words[2], words + 3);
	else if (strcmp(words[0], "kill") == 0 && count == 2)
		end_child((pid_t)strtol(words[1], NULL, 10));
	else if (strcmp(words[0], "detach") == 0)
		leave(0);
}

static void hear_commands(void)
{
	static char text[MAX_COMMAND];
	static size_t used;
	ssize_t got = read(STDIN_FILENO, text + used, sizeof text - used);
	if (got == 0 || (got < 0 && errno != EINTR))
		end_children();
	if (got < 0)
		return;
	used += got;
	char *begin = text;
	for (char *end; (end = memchr(begin, '\n', text + used - begin)) != NULL; begin = end + 1) {
		*end = '\0';
		obey_command(begin);
	}
	used -= begin - text;
	memmove(text, begin, used);
	if (used == sizeof text)
		die(WRONG_USE, "a command is longer than %d bytes", MAX_COMMAND);
}

void serve_spawns(const char *const procs[], int count)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0)
		die(REFUSED, "cannot wait for signals: %m");
	join_cgroups(procs, count);
	set_badness(getpid(), SERVER);
	say(STDOUT_FILENO, "serving\t%d\n", (int)getpid());
	struct pollfd wanted[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
	for (;;) {
		if (poll(wanted, 2, -1) < 0)
			continue;
		struct signalfd_siginfo signal;
		if (wanted[1].revents && read(signal_fd, &signal, sizeof signal) == sizeof signal) {
			if (signal.ssi_signo != SIGCHLD)
				end_children();
			reap_children();
		}
		if (wanted[0].revents)
			hear_commands();
	}
}
