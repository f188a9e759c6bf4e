/*
 * pgbackrest-archive ARGUMENT…: runs pgBackRest with these arguments, for archive_command and restore_command.
 *
 * With archive-async, `archive-push` leaves a process behind that outlives it. Where PostgreSQL is process 1
 * of its container, as in the official images, that orphan becomes PostgreSQL's own child. PostgreSQL takes the exit
 * code of a child that it does not know for a crashed backend and restarts every session: an unreachable
 * repository would take the database down. So this program adopts what pgBackRest leaves behind, waits for it
 * in the background, and whatever happens to it, PostgreSQL only ever sees an orphan that exits with 0.
 *
 * The answer of pgBackRest itself is given at once, as its own exit code or signal. It stays in the process
 * group of the caller, so PostgreSQL's signals reach it as before.
 *
 * The other thing that PostgreSQL gets wrong: during recovery it takes each failure of restore_command with an exit code
 * up to 125 for the end of the WAL. A repository that cannot be reached for a moment, or a sidecar that is still
 * starting, would end a recovery too early, and PostgreSQL would take writes with transactions missing. pgBackRest tells
 * the two apart: 1 is "there is no such file", more is an error. So where this server recovers to take writes
 * (recovery.signal, no standby.signal), an error is tried again, and at last ends PostgreSQL instead of its recovery.
 * A standby goes on trying by itself.
 *
 * Of several storages recovery.signal, which PostgreSQL does not read, names the one that was restored from: `--repo=N`.
 * Without it pgBackRest takes "not there" of the storage that answers for an answer, though the one that has the file is
 * away, and recovery would end too early. So that one is asked first, and its errors are waited out; what it does not
 * have, the others are asked for once, and not waited for.
 *
 * A storage that answers a byte at a time keeps archive-push's background process, and with it the lock on archiving, for
 * ever: WAL for the other storages waits, too. The agent beside PostgreSQL sees that, and cannot reach the process. It
 * touches a file, and what was left behind before that is ended here.
 *
 * What it runs has a bound in memory. pgBackRest holds all of what a storage answers, and one that answers without an end
 * would take all that the container has: where the kernel ends all of a container at once, PostgreSQL with it.
 *
 * Linked statically: it runs in images without a C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

#ifndef PROGRAM
#define PROGRAM "/pgwarden/tools/bin/pgbackrest"
#endif

/* Seconds for which an error of archive-get is tried again, and between two tries. */
#ifndef PATIENCE
#define PATIENCE 600
#endif
#ifndef PAUSE
#define PAUSE 1
#endif

/* pgBackRest's io-timeout for the other storages, in seconds. */
#define LOOK "--io-timeout=5"

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

/* More than 125: PostgreSQL ends instead of taking it for the end of the WAL. */
enum { CANNOT_START = 126 };
enum { NO_SUCH_FILE = 1 };

static void let_go_of_the_caller(void)
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

/* Half of the limit that the file tells; 0 where there is none. */
static unsigned long long half_of(const char *path)
{
	char text[32];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (file < 0)
		return 0;
	got = read(file, text, sizeof(text) - 1);
	close(file);
	text[got > 0 ? got : 0] = '\0';
	return strtoull(text, NULL, 10) / 2; /* of "max": 0 */
}

static void bound_memory(void)
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

/* The next child that ends; -1 where there is none. Meanwhile the agent may ask for the end of those that are left. */
static pid_t wait_for(int *status, pid_t program, const struct timespec *began, int *looks)
{
	const struct timespec pause = {.tv_sec = LOOK_SECONDS};
	sigset_t ends;
	pid_t ended;

	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	while ((ended = waitpid(-1, status, WNOHANG)) == 0) {
		if (sigtimedwait(&ends, NULL, &pause) < 0 && errno == EAGAIN && is_given_up(began))
			end_others(program, ++*looks > MOST_LOOKS ? SIGKILL : SIGTERM);
	}
	return ended;
}

static void adopt(char **arguments, int answer)
{
	int status;
	int looks = 0;
	struct timespec began;
	pid_t ended;
	pid_t program;

	clock_gettime(CLOCK_REALTIME, &began);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	program = fork();
	if (program < 0)
		return;
	if (program == 0) {
		arguments[0] = PROGRAM;
		bound_memory();
		execv(PROGRAM, arguments);
		_exit(CANNOT_START);
	}
	/* The caller may be gone when the answer comes. */
	signal(SIGPIPE, SIG_IGN);
	let_go_of_the_caller();
	for (;;) {
		ended = wait_for(&status, program, &began, &looks);
		if (ended < 0)
			return;
		if (ended == program) {
			if (write(answer, &status, sizeof(status)) < 0) {
				/* Nobody is left to be told. */
			}
			close(answer);
		}
	}
}

/* One run of pgBackRest; its wait status, or -1 where it left none. */
static int run(char **arguments)
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

/* Whether PostgreSQL asks for WAL to recover from and to take writes after. It calls from its data folder. */
static int recovers(int count, char **arguments)
{
	int index;

	for (index = 1; index < count; index++)
		if (strcmp(arguments[index], "archive-get") == 0)
			return access("recovery.signal", F_OK) == 0 && access("standby.signal", F_OK) != 0;
	return 0;
}

static int answers(int status)
{
	if (status == -1)
		return 0;
	if (!WIFEXITED(status))
		return 1; /* A signal: somebody wants an end. */
	return WEXITSTATUS(status) == EXIT_SUCCESS || WEXITSTATUS(status) == NO_SUCH_FILE;
}

static long now(void)
{
	struct timespec moment;

	clock_gettime(CLOCK_MONOTONIC, &moment);
	return moment.tv_sec;
}

/* The option in recovery.signal that names the storage to recover from; 0 where there is none. */
static int chosen(char *option, size_t size)
{
	static const char prefix[] = "--repo=";
	const size_t length = sizeof(prefix) - 1;
	int file = open("recovery.signal", O_RDONLY | O_CLOEXEC);
	ssize_t got;
	size_t digits;

	if (file < 0)
		return 0;
	got = read(file, option, size - 1);
	close(file);
	option[got > 0 ? got : 0] = '\0';
	if (strncmp(option, prefix, length) != 0)
		return 0;
	digits = strspn(option + length, "0123456789");
	option[length + digits] = '\0';
	return digits > 0;
}

/* The arguments with one or two options more, before the others. */
static char **with(int count, char **arguments, char *one, char *two)
{
	char **more = calloc((size_t)count + 3, sizeof(char *));
	int at = 0;
	int index;

	if (more == NULL)
		return arguments;
	more[at++] = arguments[0];
	more[at++] = one;
	if (two != NULL)
		more[at++] = two;
	for (index = 1; index < count; index++)
		more[at++] = arguments[index];
	return more;
}

/* Run until it answers, as long as there is patience; its wait status. */
static int insist(char **arguments)
{
	long deadline = now() + PATIENCE;
	int status = run(arguments);

	while (!answers(status) && now() < deadline) {
		sleep(PAUSE);
		status = run(arguments);
	}
	return status;
}

static int is_missing(int status)
{
	return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_FILE;
}

static int recover(int count, char **arguments)
{
	static char at_once[] = "--no-archive-async";
	static char look[] = LOOK;
	char option[32];
	int status;
	int others;

	if (!chosen(option, sizeof(option)))
		return insist(arguments);
	status = insist(with(count, arguments, option, NULL));
	if (!is_missing(status))
		return status;
	others = run(with(count, arguments, at_once, look));
	return others != -1 && WIFEXITED(others) && WEXITSTATUS(others) == EXIT_SUCCESS ? others : status;
}

int main(int count, char **arguments)
{
	int status;

	if (count < 1)
		return CANNOT_START;
	if (recovers(count, arguments)) {
		status = recover(count, arguments);
		if (!answers(status))
			return CANNOT_START;
	} else {
		status = run(arguments);
	}
	if (status == -1)
		return CANNOT_START;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : CANNOT_START;
}
