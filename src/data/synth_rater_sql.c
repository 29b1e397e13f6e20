/* synth_rater_sql.c: the simulated rater's judge of sql_qa. It runs the completion's query on the
 * shop's database and compares what comes out with the answer that the shop wrote down.
 *
 * The query is hostile. It runs on a connection that may only read: opened read-only and immutable,
 * with an authorizer that lets through SELECT, columns of tables and a list of functions; nothing
 * can be attached, no pragma runs. Work is bounded in steps of SQLite's machine and results in rows
 * and bytes, so a grade never depends on a clock. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/synth_rater_parts.h"

enum {
    STEP_UNIT = 1000, /* machine steps between two looks at the budget */
    STEP_UNITS = 3000,
    MAX_ROWS = 200,
    MAX_BYTES = 1000, /* of a value or row */
    MAX_SQL = 4000
};

/* --- a connection that can only read --- */

static int allow(void *user, int action, const char *a, const char *b, const char *c, const char *d)
{
    static const char *const functions[] = {
        "abs",      "avg",    "coalesce",  "count", "date",  "ifnull", "julianday",
        "length",   "like",   "lower",     "max",   "min",   "nullif", "round",
        "strftime", "substr", "substring", "sum",   "total", "trim",   "upper",
    };
    (void)user;
    (void)a;
    (void)c;
    (void)d;
    if (action == SQLITE_SELECT || action == SQLITE_READ)
        return SQLITE_OK;
    if (action != SQLITE_FUNCTION || !b)
        return SQLITE_DENY;
    for (size_t i = 0; i < ARRAY_LENGTH(functions); i++)
        if (strcasecmp(functions[i], b) == 0)
            return SQLITE_OK;
    return SQLITE_DENY;
}

static int spent(void *left)
{
    return --*(int *)left < 0;
}

static void lock_down(sqlite3 *db, int *left)
{
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_BYTES);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, MAX_SQL);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 50);
    sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 5);
    sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 100);
    sqlite3_limit(db, SQLITE_LIMIT_VDBE_OP, 20000);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_set_authorizer(db, allow, NULL);
    sqlite3_progress_handler(db, STEP_UNIT, spent, left);
}

static int open_database(sqlite3 **db, const char *folder, const char *name, struct err *err)
{
    struct str path = {0}, uri = {0};
    path_join(&path, folder, name);
    str_puts(&uri, "file:");
    for (size_t i = 0; i < path.length; i++) /* what a URI would take as its own */
        str_printf(&uri, strchr("?#%", path.data[i]) ? "%%%02X" : "%c",
                   (unsigned char)path.data[i]);
    str_puts(&uri, "?mode=ro&immutable=1");
    int status = ERR_NONE;
    if (strchr(name, '/') || uri.failed || !file_exists(str_text(&path)) ||
        sqlite3_open_v2(str_text(&uri), db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) !=
            SQLITE_OK)
        status = err_set(err, ERR_INPUT, str_text(&path),
                         "cannot be opened as the shop's database; it must lie beside the rows, as "
                         "`grpo data synth` writes it");
    str_free(&path);
    str_free(&uri);
    return status;
}

/* --- the query in a text --- */

/* From the first SELECT (or a WITH shortly before it) on to a semicolon, the end of a fence or the
 * text's. *rest: what is left to read beside it, in bytes. */
static char *query_of(const char *text, size_t *rest)
{
    size_t length = strlen(text);
    const char *from = strcasestr(text, "select"), *with = strcasestr(text, "with ");
    *rest = length;
    if (!from)
        return NULL;
    if (with && with < from && from - with < 200)
        from = with;
    size_t n = strcspn(from, ";`");
    *rest = length - n;
    return mem_strndup(from, n);
}

/* --- results --- */

struct cells {
    char *text[MAX_ROWS * 8];
    size_t n, columns, rows;
};

static void cells_free(struct cells *c)
{
    for (size_t i = 0; i < c->n; i++)
        mem_free(c->text[i]);
    c->n = 0;
}

static bool add_cell(struct cells *c, const char *text, size_t length)
{
    if (c->n == ARRAY_LENGTH(c->text) || !(c->text[c->n] = mem_strndup(text, length)))
        return false;
    c->n++;
    return true;
}

/* "SP, 69; MG, 40": rows and columns, as the shop writes an answer down. */
static bool split_answer(struct cells *c, const char *answer)
{
    bool good = true;
    c->rows = 1;
    for (const char *p = answer; good;) {
        size_t n = 0;
        while (p[n] && !((p[n] == ';' || p[n] == ',') && p[n + 1] == ' '))
            n++;
        good = add_cell(c, p, n);
        if (!p[n])
            break;
        c->rows += p[n] == ';';
        p += n + 2;
    }
    c->columns = c->n / c->rows;
    return good;
}

/* Whether it ran to its end. */
static bool run_query(struct cells *c, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q = NULL;
    bool good = sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && q;
    int step = SQLITE_DONE;
    while (good && (step = sqlite3_step(q)) == SQLITE_ROW) {
        int n = sqlite3_column_count(q);
        c->columns = (size_t)n;
        good = ++c->rows <= MAX_ROWS;
        for (int i = 0; i < n && good; i++) {
            const char *text = (const char *)sqlite3_column_text(q, i);
            good = add_cell(c, text ? text : "", text ? strlen(text) : 0);
        }
    }
    sqlite3_finalize(q);
    return good && step == SQLITE_DONE;
}

static bool same_cell(const char *a, const char *b)
{
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (*a && *b && !*end_a && !*end_b)
        return fabs(x - y) <= 0.011;
    return strcasecmp(a, b) == 0;
}

/* The share of the answer's values that the query gives, wherever they stand. */
static double found(const struct cells *wanted, const struct cells *got)
{
    bool taken[ARRAY_LENGTH(got->text)] = {false};
    size_t n = 0;
    for (size_t i = 0; i < wanted->n; i++) {
        size_t k = 0;
        while (k < got->n && (taken[k] || !same_cell(wanted->text[i], got->text[k])))
            k++;
        if (k < got->n) {
            taken[k] = true;
            n++;
        }
    }
    return wanted->n ? (double)n / (double)wanted->n : 0;
}

static bool in_order(const struct cells *wanted, const struct cells *got)
{
    bool same = wanted->n == got->n && wanted->rows == got->rows;
    for (size_t i = 0; i < wanted->n && same; i++)
        same = same_cell(wanted->text[i], got->text[i]);
    return same;
}

/* --- */

/* A query that runs is a third of the work; then what it finds; then a word on it. */
static double judge(const struct cells *wanted, const struct cells *got, bool ran, size_t rest)
{
    enum { A_SENTENCE = 25 };
    double points = 1;
    if (ran) {
        bool shape = got->rows == wanted->rows && got->columns == wanted->columns;
        points = 3 + shape + 3 * found(wanted, got) + in_order(wanted, got);
    }
    return points + 2 * (rest >= A_SENTENCE);
}

int rater_sql(double *points, const json_t *reference, const char *id, struct slice text,
              const char *folder, struct err *err)
{
    const char *name, *answer;
    int status = rater_text(&name, reference, "database", id, err);
    if (!status)
        status = rater_text(&answer, reference, "answer", id, err);
    char *said = status ? NULL : mem_strndup(text.data, text.length);
    struct cells *cells = said ? mem_calloc(2, sizeof *cells) : NULL;
    if (!status && !cells)
        status = err_no_memory(err, id, text.length);
    sqlite3 *db = NULL;
    int left = STEP_UNITS;
    size_t rest = 0;
    if (!status)
        status = open_database(&db, folder, name, err);
    char *sql = status ? NULL : query_of(said, &rest);
    *points = 0;
    if (sql) {
        lock_down(db, &left);
        bool ran = run_query(&cells[1], db, sql);
        if (!split_answer(&cells[0], answer))
            status = err_set(err, ERR_INPUT, id, "the reference's answer has too many values");
        *points = judge(&cells[0], &cells[1], ran, rest);
    }
    for (int i = 0; cells && i < 2; i++)
        cells_free(&cells[i]);
    sqlite3_close(db);
    mem_free(cells);
    mem_free(said);
    mem_free(sql);
    return status;
}
