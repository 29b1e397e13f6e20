/* sql_run.h: one query on one SQLite database, in this process. The connection is read-only and
 * locked: SELECT over the schema's own tables and views with a list of pure functions, so that a
 * query returns the same rows each time and touches nothing. Whatever the query does wrong is an
 * outcome (sql_result.h); budgets are counted in steps of SQLite's virtual machine, rows and bytes.
 *
 * What a budget cannot hold (one step that takes seconds, a fault of the library) is for a process
 * around it: sql_worker.h. Not thread-safe: a database is one thread's at a time, and the memory
 * limit is the whole process's. */
#ifndef REWARD_SQL_RUN_H
#define REWARD_SQL_RUN_H
#include "base/err.h"
#include "reward/sql_result.h"

struct sql_budget {
    int64_t steps;  /* of the virtual machine: over it, the query fails */
    int64_t memory; /* bytes that SQLite may take for this query; 0: no limit */
    int rows;       /* more rows, or more bytes of text, are left out (`truncated`) */
    int64_t bytes;
};

/* Over these a query fails. */
enum { SQL_MAX_LENGTH = 10000, SQL_MAX_COLUMNS = 64, SQL_MAX_VALUE = 65536 };

typedef struct sql_db sql_db;

/* A database file, as it stands, or (NAME.sql) a file of SQL that makes one in memory. It must not
 * be changed while it is open. ERR_INPUT when it is no database, or has a journal beside it that
 * somebody must apply first; nothing is written, not even locks. */
int sql_db_open(sql_db **out, const char *path, struct err *err);
/* A database in memory that statements make. */
int sql_db_make(sql_db **out, const char *statements, struct err *err);
/* Half of another: a copy in memory that has about every second row of each table (`half`, 0 or
 * 1: every row is in exactly one of them). */
int sql_db_half(sql_db **out, const char *path, int half, struct err *err);
void sql_db_close(sql_db *db);

/* sql[length] is a NUL. */
void sql_run(sql_db *db, const char *sql, size_t length, const struct sql_budget *budget,
             struct sql_result *out);

#endif
