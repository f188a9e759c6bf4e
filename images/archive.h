/* pgbackrest-archive: what its parts give one another. */
#include <sys/types.h>
#include <time.h>

#ifndef PROGRAM
#define PROGRAM "/pgwarden/tools/bin/pgbackrest"
#endif

/* More than 125: PostgreSQL ends instead of taking it for the end of the WAL. */
enum { CANNOT_START = 126 };

/* adopter.c */

/* One run of pgBackRest as a child of this process's child; its wait status, or -1 where it left none. */
int run_here(char **arguments);

/* Waits for *program* and for all that it leaves behind; *caller* is told its wait status at once. Where *ends_with*, a
 * caller that is gone before that ends it. *began* is from before *program* could do anything. */
void attend(pid_t program, const struct timespec *began, int caller, int ends_with);

void let_go_of_the_caller(void);
void bound_memory(void);

/* The number that the file begins with; 0 where there is none. */
unsigned long long number_in(const char *path);

/* keeper.c */

/* The same by the keeper; -1 where there is none, where none is wanted, and where it gave no answer. */
int run_by_keeper(char **arguments);
