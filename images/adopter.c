/*
 * Runs pgBackRest and adopts what it leaves behind: waits for that in the background, and whatever happens to it, ends
 * with 0. pgBackRest stays in the process group of the caller, so PostgreSQL's signals reach it.
 *
 * A storage that answers a byte at a time keeps archive-push's background process, and with it the lock on archiving, for
 * ever: WAL for the other storages waits, too. The agent beside PostgreSQL sees that, and cannot reach the process. It
 * touches a file, and what was left behind before that is ended here.
 *
 * What it runs has a bound in memory. pgBackRest holds all of what a storage answers, and one that answers without an end
 * would take all that the container has: where the kernel ends all of a container at once, PostgreSQL with it.
 */
#define _GNU_SOURCE
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Bytes: half of what the container may have, within these. A process that compresses at zst's last level takes 800 MiB. */
#define LEAST (256ull << 20)
#define MOST (1ull << 30)
#ifndef LIMIT_V2
#define LIMIT_V2 "/sys/fs/cgroup/memory.max"
#define LIMIT_V1 "/sys/fs/cgroup/memory/memory.limit_in_bytes"
#endif

/* What the agent touches (agent/held_up.py); how often it is looked at, and how long SIGTERM has to do, in seconds. */
#ifndef GIVE_UP
#define GIVE_UP "/pgwarden/work/give-up-archiving"
#endif
#define LOOK_SECONDS 1
#define MOST_LOOKS 3

void let_go_of_the_caller(void)
{
	/* The caller's pipes and its data folder must not be held open. */
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (chdir("/") != 0) {
		/* Nothing depends on it. */
	}
	setsid();
}

unsigned long long number_in(const char *path)
{
	char text[32];
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (file < 0)
		return 0;
	got = read(file, text, sizeof(text) - 1);
	close(file);
	text[got > 0 ? got : 0] = '\0';
	return strtoull(text, NULL, 10);
}

/* Half of the limit that the file tells; 0 where there is none ("max"). */
static unsigned long long half_of(const char *path)
{
	return number_in(path) / 2;
}

void bound_memory(void)
{
	unsigned long long most = half_of(LIMIT_V2);
	struct rlimit bound;

	if (most == 0)
		most = half_of(LIMIT_V1);
	if (most == 0 || most > MOST)
		most = MOST;
	if (most < LEAST)
		most = LEAST;
	if (getrlimit(RLIMIT_DATA, &bound) != 0)
		return;
	if (bound.rlim_cur > most)
		bound.rlim_cur = most;
	if (setrlimit(RLIMIT_DATA, &bound) != 0) {
		/* Without one, as before. */
	}
}

/* Whether the agent has asked for an end since *began*. */
static int is_given_up(const struct timespec *began)
{
	struct stat file;

	if (lstat(GIVE_UP, &file) != 0)
		return 0;
	if (file.st_mtim.tv_sec != began->tv_sec)
		return file.st_mtim.tv_sec > began->tv_sec;
	return file.st_mtim.tv_nsec > began->tv_nsec;
}

/* What pgBackRest left behind, with its own processes. Not *program*, which is in the caller's process group. */
static void end_others(pid_t program, int number)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	int pid;
	pid_t group;

	if (children == NULL)
		return;
	while (fscanf(children, "%d", &pid) == 1) {
		group = getpgid(pid);
		if (pid == program || group <= 1 || group == getpgrp())
			continue;
		if (group != getpgid(program))
			kill(-group, number);
	}
	fclose(children);
}

/* One run of pgBackRest. */
struct watch {
	pid_t program;
	struct pollfd caller; /* a negative one is not looked at */
	int is_unwanted;      /* the caller has gone */
	struct timespec began;
	int looks;
};

static void woken(int number)
{
	(void)number; /* Only so that ppoll ends. */
}

/* The next child that ends; -1 where there is none. Meanwhile the agent may ask for the end of those that are left. */
static pid_t wait_for(int *status, struct watch *watch, const sigset_t *open)
{
	const struct timespec pause = {.tv_sec = LOOK_SECONDS};
	pid_t ended;
	int seen;

	while ((ended = waitpid(-1, status, WNOHANG)) == 0) {
		seen = ppoll(&watch->caller, 1, &pause, open);
		if (seen > 0) {
			watch->caller.fd = -1;
			watch->is_unwanted = 1;
			kill(-watch->program, SIGTERM);
		} else if (seen == 0 && watch->is_unwanted) {
			kill(-watch->program, SIGKILL);
		}
		if (seen == 0 && is_given_up(&watch->began))
			end_others(watch->program, ++watch->looks > MOST_LOOKS ? SIGKILL : SIGTERM);
	}
	return ended;
}

void attend(pid_t program, const struct timespec *began, int caller, int ends_with)
{
	struct watch watch = {.program = program, .caller = {.fd = ends_with ? caller : -1, .events = POLLRDHUP}};
	struct sigaction wake = {.sa_handler = woken};
	sigset_t open;
	sigset_t ends;
	pid_t ended;
	int status;

	watch.began = *began;
	signal(SIGPIPE, SIG_IGN); /* The caller may be gone when the answer comes. */
	sigaction(SIGCHLD, &wake, NULL);
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, &open);
	sigdelset(&open, SIGCHLD);
	while ((ended = wait_for(&status, &watch, &open)) >= 0) {
		if (ended != program)
			continue;
		watch.caller.fd = -1;
		watch.is_unwanted = 0; /* Its number may soon be another's. */
		if (write(caller, &status, sizeof(status)) < 0) {
			/* Nobody is left to be told. */
		}
		close(caller);
	}
}

static void adopt(char **arguments, int answer)
{
	struct timespec began;
	pid_t program;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	clock_gettime(CLOCK_REALTIME, &began);
	program = fork();
	if (program < 0)
		return;
	if (program == 0) {
		arguments[0] = PROGRAM;
		bound_memory();
		execv(PROGRAM, arguments);
		_exit(CANNOT_START);
	}
	let_go_of_the_caller();
	attend(program, &began, answer, 0);
}

int run_here(char **arguments)
{
	int ends[2];
	int status;
	ssize_t got;
	pid_t adopter;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	adopter = fork();
	if (adopter < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (adopter == 0) {
		close(ends[0]);
		adopt(arguments, ends[1]);
		/* Always 0: by now this may be PostgreSQL's child. A missing answer tells of a failure. */
		_exit(EXIT_SUCCESS);
	}
	close(ends[1]);
	do
		got = read(ends[0], &status, sizeof(status));
	while (got < 0 && errno == EINTR);
	close(ends[0]);
	return got == sizeof(status) ? status : -1;
}
