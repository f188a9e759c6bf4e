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
 * Linked statically: it runs in images without a C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PROGRAM
#define PROGRAM "/pgwarden/tools/bin/pgbackrest"
#endif

enum { CANNOT_START = 126 };

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

static void adopt(char **arguments, int answer)
{
	int status;
	pid_t ended;
	pid_t program;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	program = fork();
	if (program < 0)
		return;
	if (program == 0) {
		arguments[0] = PROGRAM;
		execv(PROGRAM, arguments);
		_exit(CANNOT_START);
	}
	/* The caller may be gone when the answer comes. */
	signal(SIGPIPE, SIG_IGN);
	let_go_of_the_caller();
	for (;;) {
		ended = wait(&status);
		if (ended < 0 && errno == EINTR)
			continue;
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

int main(int count, char **arguments)
{
	int ends[2];
	int status;
	ssize_t got;
	pid_t adopter;

	if (count < 1 || pipe2(ends, O_CLOEXEC) != 0)
		return CANNOT_START;
	adopter = fork();
	if (adopter < 0)
		return CANNOT_START;
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
	if (got != sizeof(status))
		return CANNOT_START;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : CANNOT_START;
}
