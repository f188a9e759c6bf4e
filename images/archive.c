/*
 * pgbackrest-archive ARGUMENT…: runs pgBackRest with these arguments, for archive_command and restore_command.
 *
 * With archive-async, pgBackRest leaves a process behind that outlives it. Where PostgreSQL is process 1 of its
 * container, as in the official images, that orphan becomes PostgreSQL's own child. PostgreSQL takes the exit
 * code of a child that it does not know for a crashed backend and restarts every session: an unreachable
 * repository would take the database down. So what is left behind is adopted (adopter.c), and PostgreSQL only ever sees
 * an orphan that exits with 0. PostgreSQL 18 logs a line even for that one, so there a process that stays adopts it
 * (keeper.c).
 *
 * The answer of pgBackRest itself is given at once, as its own exit code or signal.
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
 * Linked statically: it runs in images without a C library.
 */
#define _GNU_SOURCE
#include "archive.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Seconds for which an error of archive-get is tried again, and between two tries. */
#ifndef PATIENCE
#define PATIENCE 600
#endif
#ifndef PAUSE
#define PAUSE 1
#endif

/* pgBackRest's io-timeout for the other storages, in seconds. */
#define LOOK "--io-timeout=5"

enum { NO_SUCH_FILE = 1 };

/* One run of pgBackRest; its wait status, or -1 where it left none. */
static int run(char **arguments)
{
	int status = run_by_keeper(arguments);

	return status == -1 ? run_here(arguments) : status;
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
