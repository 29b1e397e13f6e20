/* sql_result.h: what a query came to: rows with their types, or why there are none. A flat value
 * that goes from a worker process to its caller as bytes. */
#ifndef REWARD_SQL_RESULT_H
#define REWARD_SQL_RESULT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

enum sql_outcome {
    SQL_RAN,         /* rows are there, perhaps none */
    SQL_SYNTAX,      /* no SQL: does not parse */
    SQL_NOT_ALLOWED, /* no query, more than one, or uses what is locked */
    SQL_INVALID,     /* parses, and does not compile against this schema */
    SQL_OVER_BUDGET, /* steps, memory, length, columns */
    SQL_ERROR,       /* an error of running: integer overflow, … */
    SQL_CRASHED,     /* took its process with it (sql_worker.h) */
    SQL_MACHINE      /* not the query's fault: memory, file, process */
};
const char *sql_outcome_name(enum sql_outcome outcome);

enum sql_type { SQL_NULL, SQL_INTEGER, SQL_REAL, SQL_TEXT, SQL_BLOB };

struct sql_cell {
    int32_t type;    /* enum sql_type */
    uint32_t offset; /* of a text or blob, in sql_result.bytes */
    uint64_t length; /* of it, in bytes */
    int64_t integer; /* the value, where it is an integer */
    double real;     /* the value, where it is a real (never NaN) */
};

struct sql_result {
    enum sql_outcome outcome;
    bool parses;    /* the grammar of a query holds, whatever came then */
    bool reads;     /* reads a table of the schema */
    bool truncated; /* there were more rows, or more bytes, than were asked for */
    int64_t steps;  /* of SQLite's virtual machine; what budgets count */
    char message[200];
    int n_columns, n_rows;
    struct sql_cell *cells; /* [n_columns] names, then [n_rows][n_columns] */
    struct str bytes;       /* texts and blobs; a NUL behind each */
};

void sql_result_free(struct sql_result *r); /* leaves an empty one */

/* An outcome without rows. */
void sql_result_set(struct sql_result *r, enum sql_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline const struct sql_cell *sql_result_name(const struct sql_result *r, int column)
{
    return &r->cells[column];
}

static inline const struct sql_cell *sql_result_cell(const struct sql_result *r, int row,
                                                     int column)
{
    return &r->cells[((size_t)row + 1) * (size_t)r->n_columns + (size_t)column];
}

static inline struct slice sql_cell_text(const struct sql_result *r, const struct sql_cell *c)
{
    return (struct slice){r->bytes.data + c->offset, (size_t)c->length};
}

/* Appends; failure of memory is sticky in out. For a reader on the same machine. */
void sql_result_put(struct str *out, const struct sql_result *r);
/* Takes any bytes. false: they are no result, or memory is out (*no_memory); r is empty then. */
bool sql_result_get(struct sql_result *r, const void *data, size_t size, bool *no_memory);

#endif
