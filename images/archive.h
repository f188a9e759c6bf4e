/* pgbackrest-archive: what its parts give one another. */
#include <sys/types.h>

#ifndef PROGRAM
#define PROGRAM "/pgwarden/tools/bin/pgbackrest"
#endif

/* More than 125: PostgreSQL ends instead of taking it for the end of the WAL. */
enum { CANNOT_START = 126 };

/* adopter.c */

/* One run of pgBackRest as a child of this process's child; its wait status, or -1 where it left none. */
int run_here(char **arguments);

/* Waits for *program* and for all that it leaves behind; *caller* is told its wait status at once. Where *ends_with*, a
 * caller that is gone before that ends it. */
void attend(pid_t program, int caller, int ends_with);

void let_go_of_the_caller(void);
void bound_memory(void);

/* keeper.c */

/* The same by the keeper; -1 where there is none, where none is wanted, and where it gave no answer. */
int run_by_keeper(char **arguments);
