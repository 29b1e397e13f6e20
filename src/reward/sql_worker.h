/* sql_worker.h: queries (sql_run.h) in processes of their own, so that neither a fault of the
 * library nor a query that its budgets cannot hold harms the caller: it costs one answer.
 *
 * The processes are this program, started again with a hidden command: a program that has a pool
 * begins its main with
 *
 *     if (sql_worker_asked(argc, argv))
 *         return sql_worker_main(); */
#ifndef REWARD_SQL_WORKER_H
#define REWARD_SQL_WORKER_H
#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "reward/sql_run.h"

bool sql_worker_asked(int argc, char **argv);
int sql_worker_main(void); /* serves until its caller is gone; the exit status */

/* Which database: the file, or one of its halves (sql_db_half). */
enum sql_variant { SQL_WHOLE, SQL_HALF_0, SQL_HALF_1, SQL_VARIANTS };

struct sql_request {
    const char *database; /* an absolute path: the processes may have another working folder */
    enum sql_variant variant;
    const char *sql;
    size_t length; /* sql[length] is a NUL */
    struct sql_budget budget;
};

typedef struct sql_pool sql_pool;

enum { SQL_MAX_WORKERS = 16 };

/* Processes are started when a query finds none idle, at most `workers`; 0: one a core, at most 4.
 * ERR_MACHINE for memory. */
int sql_pool_create(sql_pool **out, int workers, struct err *err);
void sql_pool_free(sql_pool *pool);         /* ends them; NULL is fine */
int sql_pool_workers(const sql_pool *pool); /* queries that run side by side */

/* Thread-safe; waits for an idle process. A query whose process ends by a fault, or is over its
 * time of the processor (far beyond what its steps take), is asked once more in a fresh one;
 * again: SQL_CRASHED, and that is the query's. SQL_MACHINE: no process could be had, one was killed
 * from outside (SIGKILL) twice, or was silent for minutes. The result is the caller's to free. */
void sql_pool_run(sql_pool *pool, const struct sql_request *request, struct sql_result *out);

/* For tests: the processes that live, at most n of them. */
int sql_pool_processes(sql_pool *pool, pid_t *out, int n);

#endif
