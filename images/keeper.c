/*
 * The keeper: a process that stays and takes over what pgBackRest leaves behind, where PostgreSQL 18 or later is process 1
 * of its container. That logs a line ("untracked child process") for each child that it does not know, at its end, and
 * each call of archive_command and restore_command would give it one.
 *
 * The first call starts it. It is PostgreSQL's child, too, but has an end only with the container. Each later call
 * gives its arguments, environment, standard files and working directory to the keeper, which forks a handler for it. The
 * handler runs pgBackRest as the call would have run it, answers with its wait status, and adopts what it leaves
 * behind (adopter.c). A call that ends before its answer, as by PostgreSQL's signals, ends its pgBackRest.
 *
 * Where any of this fails, the call runs pgBackRest itself: that costs a line in a log and no more.
 *
 * They meet at an abstract socket. It needs no folder to write to, has one owner, and goes with it. Such a socket belongs to
 * the network, which all containers of a pod share, and with hostNetwork all of a node: so its name has the container's
 * process namespace in it, and both sides ask the kernel who is at the other end. Only the same user in the same
 * process namespace will do: of a process in another one the kernel gives the number 0.
 *
 * PostgreSQL takes a signal that ends a child that it does not know for a crash, so the keeper ends with 0 wherever
 * it can, and has no work of its own in which it could fail.
 */
#define _GNU_SOURCE
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Its name; the process namespace and the user follow. */
#ifndef KEEPER
#define KEEPER "pgwarden-archive"
#endif

/* For each step of a call, but for pgBackRest's own work. */
#ifndef SECONDS
#define SECONDS 5
#endif

/* Said by a keeper to each call; one of another version is not talked to. */
enum { VERSION = 1 };
enum { OLDEST_THAT_LOGS = 18, PROCESS_ONE = 1 };
enum { WAITING_CALLS = 16, MOST_BYTES = 1 << 20 };
enum { FILES = 4, FOLDER = 3 }; /* standard input, output and error, and the working directory */

struct request {
	uint32_t arguments;
	uint32_t variables;
	uint32_t bytes; /* of both, each word with its end */
	uint32_t mask;  /* of new files */
};

/* --- both sides ---------------------------------------------------------------------------------------------- */

/* 0 where the process namespace cannot be told. */
static socklen_t name_of(struct sockaddr_un *address)
{
	struct stat namespace;
	int length;

	if (stat("/proc/self/ns/pid", &namespace) != 0)
		return 0;
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	length = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s/%llu/%u", KEEPER,
			  (unsigned long long)namespace.st_ino, (unsigned)geteuid());
	if (length < 0 || (size_t)length >= sizeof(address->sun_path) - 1)
		return 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int is_one_of_us(int peer)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid() && who.pid > 0;
}

static void be_patient(int peer, int seconds)
{
	struct timeval time = {.tv_sec = seconds};

	setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

static int send_whole(int peer, const char *bytes, size_t size)
{
	ssize_t sent;

	while (size > 0) {
		sent = send(peer, bytes, size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return 0;
		bytes += sent;
		size -= (size_t)sent;
	}
	return 1;
}

static int receive_whole(int peer, char *bytes, size_t size)
{
	ssize_t got;

	while (size > 0) {
		got = recv(peer, bytes, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		bytes += got;
		size -= (size_t)got;
	}
	return 1;
}

/* --- the handler of one call --------------------------------------------------------------------------------------- */

/* The request with its files; 0 where it is none. */
static int receive_request(int peer, struct request *request, int files[FILES])
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * FILES)];
	} control;
	struct iovec part = {request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *first;

	if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(*request))
		return 0;
	first = CMSG_FIRSTHDR(&message);
	if (first == NULL || first->cmsg_level != SOL_SOCKET || first->cmsg_type != SCM_RIGHTS ||
	    first->cmsg_len != CMSG_LEN(sizeof(int) * FILES))
		return 0;
	memcpy(files, CMSG_DATA(first), sizeof(int) * FILES);
	return request->arguments > 0 && request->bytes <= MOST_BYTES && request->arguments <= request->bytes &&
	       request->variables <= request->bytes;
}

/* The words of a request: arguments, NULL, variables, NULL; NULL where they are not as many as it says. */
static char **receive_words(int peer, const struct request *request)
{
	size_t count = (size_t)request->arguments + request->variables;
	char *text = malloc((size_t)request->bytes + 1);
	char **words = calloc(count + 2, sizeof(char *));
	char *end;
	size_t index;

	if (text == NULL || words == NULL || !receive_whole(peer, text, request->bytes))
		return NULL;
	end = text + request->bytes;
	*end = '\0';
	for (index = 0; index < count; index++) {
		if (text >= end)
			return NULL;
		words[index < request->arguments ? index : index + 1] = text;
		text += strlen(text) + 1;
	}
	return text == end ? words : NULL;
}

/* The program, as the call would have run it. */
static void become(const struct request *request, char **words, const int files[FILES], pid_t handler)
{
	int number;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* Without a handler nobody has its answer, and the call runs another. */
	if (getppid() != handler || fchdir(files[FOLDER]) != 0)
		_exit(CANNOT_START);
	for (number = 0; number < FOLDER; number++)
		if (dup2(files[number], number) < 0)
			_exit(CANNOT_START);
	umask((mode_t)request->mask);
	words[0] = PROGRAM;
	bound_memory();
	execve(PROGRAM, words, words + request->arguments + 1);
	_exit(CANNOT_START);
}

static void handle(int peer)
{
	uint32_t version = VERSION;
	struct request request;
	int files[FILES];
	char **words;
	struct timespec began;
	pid_t handler = getpid();
	pid_t program;
	int number;

	signal(SIGCHLD, SIG_DFL);
	be_patient(peer, SECONDS);
	if (!send_whole(peer, (const char *)&version, sizeof(version)) || !receive_request(peer, &request, files))
		return;
	words = receive_words(peer, &request);
	if (words == NULL)
		return;
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	clock_gettime(CLOCK_REALTIME, &began);
	program = fork();
	if (program < 0)
		return;
	if (program == 0)
		become(&request, words, files, handler);
	setpgid(program, program);
	for (number = 0; number < FILES; number++)
		close(files[number]);
	attend(program, &began, peer, 1);
}

/* --- the keeper -------------------------------------------------------------------------------------------------- */

static void end(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS);
}

static void expect_ends(void)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction with_zero = {.sa_handler = end};
	struct sigaction no_zombies = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	size_t index;

	for (index = 0; index < sizeof(numbers) / sizeof(numbers[0]); index++)
		sigaction(numbers[index], &with_zero, NULL);
	sigaction(SIGCHLD, &no_zombies, NULL);
}

static void keep(int listener)
{
	int peer;

	expect_ends(); /* First: until it has left the caller's group, it may get its signals. */
	let_go_of_the_caller();
	if (listener != STDERR_FILENO + 1) {
		if (dup3(listener, STDERR_FILENO + 1, O_CLOEXEC) < 0)
			return;
		listener = STDERR_FILENO + 1;
	}
	close_range((unsigned)listener + 1, ~0U, 0);
	prctl(PR_SET_NAME, "archive-keeper");
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* of what a handler leaves that was killed */
	for (;;) {
		peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (peer < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			return;
		}
		if (is_one_of_us(peer) && fork() == 0) {
			close(listener);
			handle(peer);
			_exit(EXIT_SUCCESS);
		}
		close(peer);
	}
}

/* --- a call ------------------------------------------------------------------------------------------------------- */

/* Else one of them would become the connection itself. */
static int has_standard_files(void)
{
	return fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

/* PostgreSQL calls from its data folder. */
static int is_wanted(void)
{
	return has_standard_files() && number_in("PG_VERSION") >= OLDEST_THAT_LOGS && number_in("postmaster.pid") == PROCESS_ONE;
}

/* Whether one is started. It is asked like any other. */
static int start(const struct sockaddr_un *address, socklen_t size)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t keeper = -1;

	if (listener < 0)
		return 0;
	/* Of several calls at once one gets the name. */
	if (bind(listener, (const struct sockaddr *)address, size) == 0 && listen(listener, WAITING_CALLS) == 0)
		keeper = fork();
	if (keeper == 0) {
		keep(listener);
		_exit(EXIT_SUCCESS);
	}
	close(listener);
	return keeper > 0;
}

static int connected(void)
{
	struct sockaddr_un address;
	socklen_t size = name_of(&address);
	int peer = size ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (peer < 0)
		return -1;
	be_patient(peer, SECONDS);
	if ((connect(peer, (struct sockaddr *)&address, size) == 0 ||
	     (errno == ECONNREFUSED && start(&address, size) && connect(peer, (struct sockaddr *)&address, size) == 0)) &&
	    is_one_of_us(peer))
		return peer;
	close(peer);
	return -1;
}

static size_t size_of(char **words, uint32_t *count)
{
	size_t size = 0;

	for (*count = 0; words[*count] != NULL; ++*count)
		size += strlen(words[*count]) + 1;
	return size;
}

static char *append(char *text, char **words)
{
	for (; *words != NULL; words++)
		text = stpcpy(text, *words) + 1;
	return text;
}

static int send_files(int peer, struct request *request)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * FILES)];
	} control = {0};
	struct iovec part = {request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	int files[FILES] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
	struct cmsghdr *first = CMSG_FIRSTHDR(&message);
	ssize_t sent;

	first->cmsg_level = SOL_SOCKET;
	first->cmsg_type = SCM_RIGHTS;
	first->cmsg_len = CMSG_LEN(sizeof(files));
	memcpy(CMSG_DATA(first), files, sizeof(files));
	sent = sendmsg(peer, &message, MSG_NOSIGNAL);
	if (files[FOLDER] >= 0)
		close(files[FOLDER]);
	return sent == sizeof(*request);
}

static int send_request(int peer, char **arguments)
{
	struct request request;
	size_t size = size_of(arguments, &request.arguments);
	char *text;
	int sent;

	size += size_of(environ, &request.variables);
	if (size > MOST_BYTES || (text = malloc(size)) == NULL)
		return 0;
	append(append(text, arguments), environ);
	request.bytes = (uint32_t)size;
	request.mask = umask(0);
	umask(request.mask);
	sent = send_files(peer, &request) && send_whole(peer, text, size);
	free(text);
	return sent;
}

int run_by_keeper(char **arguments)
{
	uint32_t version;
	int status = -1;
	int peer;

	if (!is_wanted() || (peer = connected()) < 0)
		return -1;
	/* It is ready before it has anything: what is not taken up here, it does not do later. */
	if (receive_whole(peer, (char *)&version, sizeof(version)) && version == VERSION && send_request(peer, arguments)) {
		be_patient(peer, 0);
		if (!receive_whole(peer, (char *)&status, sizeof(status)))
			status = -1;
	}
	close(peer);
	return status;
}
