/* team.h: the threads of a piece of work: the caller's own and some that wait to help.
 *
 * team_run divides [0, n) into pieces of `grain` items and returns when body has been called on all
 * of them, each item in exactly one call. Which thread takes a piece, and how many there are, is
 * left to chance: results must not depend on it (the row rule of backend/backend.h is made for it).
 * The caller works too and never waits for a thread that has not come: where the machine is busy,
 * or threads are missing, it does the rest itself. Only pieces already begun are waited for.
 *
 * One caller at a time, from any thread; body must not call team_run on the same team. In a forked
 * child a team has its caller only, and works. Threads that wait sleep after a bounded time. */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H
#include "base/err.h"

struct team;

/* Items [first, end) for thread `thread` (0: the caller; < team_threads). Without company it is
 * called once, with [0, n). */
typedef void team_body(void *context, int thread, int first, int end);

int team_cores(void); /* that this process may use, at least 1 */
/* threads 0: one a core. Fewer may come than asked for; team_threads stays what was asked. */
int team_open(struct team **out, int threads, struct err *err);
void team_close(struct team *t); /* NULL is fine */
int team_threads(const struct team *t);
/* n ≥ 0, grain ≥ 1. A piece should be worth some microseconds: handing one over costs a tenth of
 * one, and a piece that fills n is done by the caller without asking anybody. t NULL: the caller
 * alone. */
void team_run(struct team *t, team_body *body, void *context, int n, int grain);

#endif
