/* sql_valid.c: `sql_valid`, whether the SQL of a completion is SQL for this database: SQLite
 * compiles it, and nothing is run. A cheap check to watch beside a reward that is won by
 * vocabulary.
 *
 *   params {"database": FILE} an SQLite database, or {"schema": FILE} a file of CREATE statements;
 *   with neither the reward does not apply (a relative path is one of the working folder)
 *
 *   found   1 when there is a query (sql_find.h)
 *   valid   1 when SQLite compiles it: one statement, no parameter left open, a result
 *   reads   1 when it is valid and reads a table of the schema (SELECT 1 is valid anywhere)
 *
 * The connection is read-only; the authorizer lets SELECT, READ, FUNCTION and RECURSIVE pass, and
 * load_extension not; lengths, depths and counts are limited. A statement over a limit is invalid,
 * as one with an error is: faults of the completion. Only memory is the machinery's.
 *
 * One connection, so one evaluation at a time: compiling takes microseconds. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "reward/rewards.h"
#include "reward/sql_find.h"

struct sql_valid {
    char *path;  /* of the database or the schema; NULL: none was named */
    sqlite3 *db; /* NULL: no database was named */
    pthread_mutex_t lock;
    /* Of the statement being compiled; under the lock, like db. */
    bool reads;
    char unsure[80]; /* read without a column, as by COUNT(*): a table, or a name of the query's own
                      */
};

/* --- the connection --- */

static int authorize(void *context, int action, const char *a, const char *b, const char *database,
                     const char *trigger)
{
    struct sql_valid *s = context;
    (void)trigger;
    switch (action) {
    case SQLITE_READ:
        if (!a || strncmp(a, "sqlite_", 7) == 0)
            return SQLITE_OK;
        if (database)
            s->reads = true;
        else if (!s->unsure[0])
            snprintf(s->unsure, sizeof s->unsure, "%s", a);
        return SQLITE_OK;
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

static void lock_down(struct sql_valid *s)
{
    static const int limits[][2] = {
        {SQLITE_LIMIT_LENGTH, 1000000},     {SQLITE_LIMIT_SQL_LENGTH, 20000},
        {SQLITE_LIMIT_COLUMN, 500},         {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 20}, {SQLITE_LIMIT_VDBE_OP, 100000},
        {SQLITE_LIMIT_FUNCTION_ARG, 50},    {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 10}, {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1},    {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        sqlite3_limit(s->db, limits[i][0], limits[i][1]);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_set_authorizer(s->db, authorize, s);
}

static int sqlite_error(struct sql_valid *s, const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT, path, "%s: %s", what,
                   s->db ? sqlite3_errmsg(s->db) : "memory is out");
}

static int open_database(struct sql_valid *s, const char *path, struct err *err)
{
    /* SQLite would create or say little of a missing file. */
    if (!file_exists(path))
        return err_set(err, ERR_INPUT, path, "no such database file");
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL))
        return sqlite_error(s, path, "cannot be read as an SQLite database", err);
    return ERR_NONE;
}

static int open_schema(struct sql_valid *s, const char *path, struct err *err)
{
    struct str text = {0};
    int status = file_read(&text, path, err);
    if (!status && (sqlite3_open_v2(":memory:", &s->db,
                                    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                        SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY,
                                    NULL) ||
                    sqlite3_exec(s->db, str_text(&text), NULL, NULL, NULL)))
        status = sqlite_error(s, path, "is no SQL that makes a schema", err);
    if (!status)
        sqlite3_exec(s->db, "PRAGMA query_only = 1", NULL, NULL, NULL);
    str_free(&text);
    return status;
}

int sql_valid_configure(void **state, const json_t *params, struct err *err)
{
    static const char *const known[] = {"database", "schema"};
    static const char where[] = "params of reward sql_valid";
    const char *database = NULL, *schema = NULL;
    int status = reward_params_check(params, known, 2, "sql_valid", err);
    if (!status && json_is_object(params) &&
        !(status = json_get_string(&database, params, "database", false, where, err)))
        status = json_get_string(&schema, params, "schema", false, where, err);
    if (!status && database && schema)
        status = err_set(err, ERR_USAGE, where, "database and schema do not go together");
    if (status)
        return status;
    struct sql_valid *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_no_memory(err, where, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    const char *path = database ? database : schema;
    if (path && !(s->path = mem_strdup(path)))
        status = err_no_memory(err, where, strlen(path));
    else if (database)
        status = open_database(s, database, err);
    else if (schema)
        status = open_schema(s, schema, err);
    if (!status && s->db)
        lock_down(s);
    if (status)
        sql_valid_release(s);
    else
        *state = s;
    return status;
}

void sql_valid_release(void *state)
{
    struct sql_valid *s = state;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->path);
    mem_free(s);
}

int sql_valid_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                    struct err *err)
{
    const struct sql_valid *s = state;
    return s->path && !row ? visit(user, s->path, err) : ERR_NONE;
}

/* --- judging --- */

struct verdict {
    bool valid, reads, no_memory;
    char message[200]; /* why not */
};

static bool only_blanks(sqlite3 *db, const char *tail)
{
    sqlite3_stmt *more = NULL;
    int status = *tail ? sqlite3_prepare_v2(db, tail, -1, &more, &tail) : SQLITE_OK;
    bool blank = status == SQLITE_OK && more == NULL;
    sqlite3_finalize(more);
    return blank;
}

static void compile(struct sql_valid *s, const struct str *sql, struct verdict *v)
{
    sqlite3_stmt *statement = NULL;
    const char *tail = "", *why = NULL;
    s->reads = false;
    s->unsure[0] = 0;
    int status = sqlite3_prepare_v2(s->db, str_text(sql), (int)sql->length + 1, &statement, &tail);
    v->no_memory = (status & 0xFF) == SQLITE_NOMEM;
    if (status != SQLITE_OK)
        why = sqlite3_errmsg(s->db);
    else if (!statement)
        why = "there is no statement in it";
    else if (strlen(str_text(sql)) != sql->length)
        why = "it holds a NUL character";
    else if (!sqlite3_stmt_readonly(statement) || sqlite3_stmt_isexplain(statement) ||
             sqlite3_column_count(statement) == 0)
        why = "it is no query";
    else if (sqlite3_bind_parameter_count(statement))
        why = "it has a parameter without a value";
    else if (!only_blanks(s->db, tail))
        why = "more than one statement";
    v->valid = why == NULL;
    v->reads = s->reads || (v->valid && s->unsure[0] &&
                            sqlite3_table_column_metadata(s->db, NULL, s->unsure, NULL, NULL, NULL,
                                                          NULL, NULL, NULL) == SQLITE_OK);
    snprintf(v->message, sizeof v->message, "%s", why ? why : "");
    sqlite3_finalize(statement);
}

static void explain(struct str *out, const struct sql_found *found, const struct verdict *v)
{
    static const char *const places[] = {"nowhere", "fence", "prose"};
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "sql");
    if (found->place)
        jw_string(&w, found->sql.data, found->sql.length);
    else
        jw_null(&w);
    jw_key(&w, "place");
    jw_text(&w, places[found->place]);
    jw_key(&w, "error");
    if (v->message[0])
        jw_string(&w, v->message, strlen(v->message));
    else
        jw_null(&w);
    jw_object_end(&w);
}

void sql_valid_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                        struct str *explain_json)
{
    struct sql_valid *s = (struct sql_valid *)(uintptr_t)state; /* its lock guards what changes */
    if (!s->db) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason,
                 "no database to ask: give params database or schema");
        return;
    }
    struct str answer = {0}, sql = {0};
    struct verdict v = {0};
    strip_think(&answer, in->completion, in->completion_length);
    struct sql_found found = sql_find(str_text(&answer), answer.length);
    str_append(&sql, found.sql.data, found.sql.length); /* for its final NUL */
    bool ok = !answer.failed && !sql.failed;
    if (ok && found.stacked) {
        snprintf(v.message, sizeof v.message, "more than one statement");
    } else if (ok && found.place) {
        if (sql.length > 20000) {
            snprintf(v.message, sizeof v.message, "longer than 20000 bytes");
        } else {
            pthread_mutex_lock(&s->lock);
            compile(s, &sql, &v);
            pthread_mutex_unlock(&s->lock);
        }
    }
    ok = ok && !v.no_memory;
    out->components[SQL_VALID_FOUND] = found.place != SQL_NOWHERE;
    out->components[SQL_VALID_VALID] = v.valid;
    out->components[SQL_VALID_READS] = v.valid && v.reads;
    if (ok && explain_json)
        explain(explain_json, &found, &v);
    str_free(&answer);
    str_free(&sql);
    if (!ok)
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
}
