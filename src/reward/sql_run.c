/* sql_run.c: one query in a locked connection; see sql_run.h. The walls, each enough for most:
 *
 *   authorizer   SELECT, recursion, READ of the schema's tables, FUNCTION of a list; nothing else
 *                compiles. sqlite_schema and its like are not read either.
 *
 *   no virtual tables   the modules are dropped, and statements are prepared without them: neither
 *                json_each nor pragma_table_info nor dbstat is a table here.
 *
 *   file system  a VFS of our own opens the one file, read-only, and no other: no journal, no
 *                temporary file, no library. The file counts as immutable, so it is not locked.
 *
 *   clock        the same VFS has none, so 'now' is an error instead of a changing value.
 *
 *   one statement, without parameters, under limits of length, depth and number of everything.
 *
 *   steps        the progress handler counts them: a budget that is the same on every machine.
 *                Functions whose work depends on the length of texts count it (sql_functions.h).
 *
 *   memory       what the query takes beyond what the connection holds; before each query the
 *                cache of pages is dropped, so that a query's limit does not depend on who ran
 *                before it.
 *
 * Errors of grammar come before errors of names, since SQLite looks names up at a statement's end;
 * it has one code for both, so grammar's are known by their words. */
#include "reward/sql_run.h"
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/check.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "reward/sql_functions.h"

enum { STEPS_BETWEEN_LOOKS = 500 };

struct sql_db {
    sqlite3_vfs vfs; /* first: what SQLite gives back to the VFS's functions */
    sqlite3_vfs *system;
    char vfs_name[40];
    sqlite3 *db;
    struct map tables; /* names of tables and views, in lower case */
    /* Of the statement at hand. */
    int64_t steps_left;
    bool out_of_steps, asked_clock;
    bool is_query;     /* SQLite took it for a SELECT, before it looked at its names */
    bool denied_part;  /* a function or a table of it was refused */
    bool denied_whole; /* it does something else than reading */
    bool reads;
    char unsure[80]; /* read without a column, as by COUNT(*): a table, or a name of the query's */
};

/* --- the file system, as far as it is there --- */

static sqlite3_vfs *system_of(sqlite3_vfs *vfs)
{
    return ((struct sql_db *)(void *)vfs)->system;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    file->pMethods = NULL;
    if (!name || !(flags & SQLITE_OPEN_MAIN_DB) || !(flags & SQLITE_OPEN_READONLY))
        return SQLITE_CANTOPEN;
    return system_of(vfs)->xOpen(system_of(vfs), name, file, flags, out_flags);
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)name;
    (void)sync;
    return SQLITE_IOERR_DELETE;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    return system_of(vfs)->xAccess(system_of(vfs), name, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return system_of(vfs)->xFullPathname(system_of(vfs), name, size, out);
}

static void *vfs_dl_open(sqlite3_vfs *vfs, const char *name)
{
    (void)vfs;
    (void)name;
    return NULL;
}

static void vfs_dl_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    sqlite3_snprintf(size, out, "no libraries here");
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    memset(out, 0, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int vfs_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
    ((struct sql_db *)(void *)vfs)->asked_clock = true;
    *now = 0;
    return SQLITE_ERROR;
}

static int vfs_time(sqlite3_vfs *vfs, double *now)
{
    sqlite3_int64 none;
    *now = 0;
    return vfs_time_int64(vfs, &none);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    return system_of(vfs)->xGetLastError(system_of(vfs), size, out);
}

static bool vfs_register(struct sql_db *s)
{
    s->system = sqlite3_vfs_find(NULL);
    if (!s->system)
        return false;
    snprintf(s->vfs_name, sizeof s->vfs_name, "grpo-%p", (void *)s);
    s->vfs = (sqlite3_vfs){.iVersion = 2,
                           .szOsFile = s->system->szOsFile,
                           .mxPathname = s->system->mxPathname,
                           .zName = s->vfs_name,
                           .xOpen = vfs_open,
                           .xDelete = vfs_delete,
                           .xAccess = vfs_access,
                           .xFullPathname = vfs_full_path,
                           .xDlOpen = vfs_dl_open,
                           .xDlError = vfs_dl_error,
                           .xRandomness = vfs_randomness,
                           .xSleep = vfs_sleep,
                           .xCurrentTime = vfs_time,
                           .xGetLastError = vfs_last_error,
                           .xCurrentTimeInt64 = vfs_time_int64};
    return sqlite3_vfs_register(&s->vfs, 0) == SQLITE_OK;
}

/* --- what a query may use --- */

/* Pure: the same arguments give the same value, always. */
static bool function_allowed(const char *name)
{
    static const char *const allowed[] = {
        "abs",       "acos",         "asin",      "atan",         "atan2",      "avg",
        "ceil",      "ceiling",      "coalesce",  "cos",          "count",      "cume_dist",
        "date",      "datetime",     "degrees",   "dense_rank",   "exp",        "first_value",
        "floor",     "format",       "glob",      "group_concat", "ifnull",     "iif",
        "instr",     "julianday",    "lag",       "last_value",   "lead",       "length",
        "like",      "ln",           "log",       "log10",        "log2",       "lower",
        "ltrim",     "max",          "min",       "mod",          "nth_value",  "ntile",
        "nullif",    "percent_rank", "pi",        "pow",          "power",      "printf",
        "radians",   "rank",         "replace",   "round",        "row_number", "rtrim",
        "sign",      "sin",          "sqrt",      "strftime",     "string_agg", "substr",
        "substring", "sum",          "tan",       "time",         "total",      "trim",
        "trunc",     "typeof",       "unixepoch", "upper",
    };
    for (size_t i = 0; name && i < ARRAY_LENGTH(allowed); i++)
        if (sqlite3_stricmp(name, allowed[i]) == 0)
            return true;
    return false;
}

static bool lower_name(char *out, size_t size, const char *name)
{
    size_t n = strlen(name);
    if (n >= size)
        return false;
    for (size_t i = 0; i <= n; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    return true;
}

static bool is_table(const struct sql_db *s, const char *name)
{
    char key[200];
    return lower_name(key, sizeof key, name) && map_get(&s->tables, key, strlen(key), NULL);
}

static int authorize(void *context, int action, const char *a, const char *b, const char *database,
                     const char *trigger)
{
    struct sql_db *s = context;
    (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
        s->is_query = true;
        return SQLITE_OK;
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ:
        if (a && sqlite3_strnicmp(a, "sqlite_", 7) == 0)
            break;
        /* With a column it is a table's; without one it may be a name that WITH gave. */
        if (a && b && *b) {
            if (!is_table(s, a))
                break;
            s->reads = s->reads || database;
        } else if (a && is_table(s, a) && !s->unsure[0]) {
            snprintf(s->unsure, sizeof s->unsure, "%s", a);
        }
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        if (function_allowed(b))
            return SQLITE_OK;
        break;
    default:
        s->denied_whole = true;
        return SQLITE_DENY;
    }
    s->denied_part = true;
    return SQLITE_DENY;
}

static int count_steps(void *context)
{
    struct sql_db *s = context;
    s->steps_left -= STEPS_BETWEEN_LOOKS;
    s->out_of_steps = s->steps_left < 0;
    return s->out_of_steps;
}

static void lock_down(struct sql_db *s)
{
    static const int limits[][2] = {
        {SQLITE_LIMIT_LENGTH, SQL_MAX_VALUE}, {SQLITE_LIMIT_SQL_LENGTH, SQL_MAX_LENGTH},
        {SQLITE_LIMIT_COLUMN, 200},           {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 20},   {SQLITE_LIMIT_VDBE_OP, 50000},
        {SQLITE_LIMIT_FUNCTION_ARG, 20},      {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 10},   {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1},      {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++)
        sqlite3_limit(s->db, limits[i][0], limits[i][1]);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_drop_modules(s->db, NULL);
    sqlite3_progress_handler(s->db, STEPS_BETWEEN_LOOKS, count_steps, s);
    sqlite3_set_authorizer(s->db, authorize, s);
}

/* --- opening --- */

static int sqlite_error(const struct sql_db *s, const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT, path, "%s: %s", what,
                   s->db ? sqlite3_errmsg(s->db) : "memory is out");
}

static int begin(struct sql_db **out, struct err *err)
{
    struct sql_db *s = mem_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_no_memory(err, "a database", sizeof *s);
    if (!vfs_register(s)) {
        mem_free(s);
        return err_set(err, ERR_MACHINE, "", "SQLite could not be set up");
    }
    *out = s;
    return ERR_NONE;
}

static int read_tables(struct sql_db *s, const char *path, struct err *err)
{
    static const char sql[] = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND "
                              "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE "
                              "VIRTUAL%'";
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    bool memory = true;
    while (status == SQLITE_OK && memory && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        char key[200];
        memory = name != NULL;
        if (memory && lower_name(key, sizeof key, name))
            memory = map_put(&s->tables, key, strlen(key), 1);
        status = SQLITE_OK;
    }
    if (!memory)
        err_no_memory(err, path, 200);
    else if (status != SQLITE_DONE)
        sqlite_error(s, path, "cannot be read as an SQLite database", err);
    sqlite3_finalize(statement);
    return !memory ? ERR_MACHINE : status != SQLITE_DONE ? ERR_INPUT : ERR_NONE;
}

/* Sorting and DISTINCT would go to a file otherwise. */
static int lock(struct sql_db *s, const char *path, struct err *err)
{
    if (sqlite3_exec(s->db, "PRAGMA temp_store = MEMORY; PRAGMA query_only = 1", NULL, NULL, NULL))
        return sqlite_error(s, path, "cannot be read as an SQLite database", err);
    int status = read_tables(s, path, err);
    if (!status && sql_functions_add(s->db, &s->steps_left))
        status = sqlite_error(s, path, "cannot be set up", err);
    if (!status)
        lock_down(s);
    return status;
}

/* "file:…?mode=ro&immutable=1" with everything unusual in the path escaped. */
static void put_uri(struct str *out, const char *path)
{
    str_puts(out, "file:");
    for (const char *c = path; *c; c++)
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
            strchr("/._-", *c))
            str_putc(out, *c);
        else
            str_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
    str_puts(out, "?mode=ro&immutable=1");
}

static int no_journal(const char *path, struct err *err)
{
    static const char *const suffixes[] = {"-wal", "-journal"};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        struct str name = {0};
        struct stat st;
        str_printf(&name, "%s%s", path, suffixes[i]);
        bool there = stat(str_text(&name), &st) == 0 && st.st_size > 0;
        bool failed = name.failed;
        str_free(&name);
        if (failed)
            return err_no_memory(err, path, strlen(path));
        if (there)
            return err_set(err, ERR_INPUT, path,
                           "has a file %s beside it: its last changes are in there; open it once "
                           "with `sqlite3 FILE 'PRAGMA journal_mode = delete'` and nobody else",
                           suffixes[i]);
    }
    return ERR_NONE;
}

static int open_file(struct sql_db *s, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_INPUT, path, "no such database file");
    int status = no_journal(path, err);
    struct str uri = {0};
    put_uri(&uri, path);
    if (!status && uri.failed)
        status = err_no_memory(err, path, strlen(path));
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    if (!status && sqlite3_open_v2(str_text(&uri), &s->db, flags, s->vfs_name))
        status = sqlite_error(s, path, "cannot be opened", err);
    str_free(&uri);
    return status;
}

static int open_memory(struct sql_db *s, struct err *err)
{
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY;
    if (sqlite3_open_v2(":memory:", &s->db, flags, s->vfs_name))
        return sqlite_error(s, "", "a database in memory", err);
    return ERR_NONE;
}

static int make(struct sql_db *s, const char *path, const char *statements, struct err *err)
{
    int status = open_memory(s, err);
    if (!status && sqlite3_exec(s->db, statements, NULL, NULL, NULL))
        status = sqlite_error(s, path, "is no SQL that makes a database", err);
    return status;
}

static int make_from_file(struct sql_db *s, const char *path, struct err *err)
{
    struct str text = {0};
    int status = file_read(&text, path, err);
    if (!status)
        status = make(s, path, str_text(&text), err);
    str_free(&text);
    return status;
}

/* The end of every way to open one. */
static int finish(sql_db **out, const char *path, int status, struct err *err)
{
    if (!status)
        status = lock(*out, path, err);
    if (status) {
        sql_db_close(*out);
        *out = NULL;
    }
    return status;
}

int sql_db_open(sql_db **out, const char *path, struct err *err)
{
    size_t length = strlen(path);
    bool script = length > 4 && strcmp(path + length - 4, ".sql") == 0;
    int status = begin(out, err);
    if (!status)
        status = script ? make_from_file(*out, path, err) : open_file(*out, path, err);
    return finish(out, path, status, err);
}

int sql_db_make(sql_db **out, const char *statements, struct err *err)
{
    int status = begin(out, err);
    if (!status)
        status = make(*out, "", statements, err);
    return finish(out, "", status, err);
}

/* Which half a row is in: its number stirred, by table, so that rows of two tables with the same
 * number do not go together. A table without such numbers stays whole. */
static void halve(sqlite3 *db, const char *table, int half)
{
    unsigned salt = (unsigned)hash_bytes(table, strlen(table), 0) & 0xFFFF;
    char *sql = sqlite3_mprintf("DELETE FROM main.\"%w\" WHERE (((rowid + %u) * 40503) >> 7) & 1 = "
                                "%d",
                                table, salt, !half);
    if (sql)
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
}

static int copy_half(struct sql_db *s, const char *path, int half, struct err *err)
{
    struct sql_db *whole;
    int status = sql_db_open(&whole, path, err);
    if (status)
        return status;
    sqlite3_progress_handler(whole->db, 0, NULL, NULL);
    whole->steps_left = INT64_MAX; /* LIKE is ours, and counts */
    sqlite3_set_authorizer(whole->db, NULL, NULL);
    sqlite3_backup *copy = sqlite3_backup_init(s->db, "main", whole->db, "main");
    int done = copy ? sqlite3_backup_step(copy, -1) : SQLITE_ERROR;
    sqlite3_backup_finish(copy);
    if (done != SQLITE_DONE)
        status = sqlite_error(s, path, "cannot be copied", err);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    static const char names[] = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT "
                                "LIKE 'sqlite\\_%' ESCAPE '\\'";
    sqlite3_stmt *statement = NULL;
    if (!status && sqlite3_prepare_v2(whole->db, names, -1, &statement, NULL))
        status = sqlite_error(whole, path, "cannot be read", err);
    int step = SQLITE_DONE;
    while (!status && (step = sqlite3_step(statement)) == SQLITE_ROW)
        if (sqlite3_column_text(statement, 0))
            halve(s->db, (const char *)sqlite3_column_text(statement, 0), half);
    if (!status && step != SQLITE_DONE)
        status = sqlite_error(whole, path, "cannot be read", err);
    sqlite3_finalize(statement);
    sql_db_close(whole);
    return status;
}

int sql_db_half(sql_db **out, const char *path, int half, struct err *err)
{
    int status = begin(out, err);
    if (!status)
        status = open_memory(*out, err);
    if (!status)
        status = copy_half(*out, path, half, err);
    return finish(out, path, status, err);
}

void sql_db_close(sql_db *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    sqlite3_vfs_unregister(&s->vfs);
    map_free(&s->tables);
    mem_free(s);
}

/* --- compiling --- */

static sqlite3_stmt *prepare(struct sql_db *s, const char *sql, int size, const char **tail,
                             int *status)
{
    sqlite3_stmt *statement = NULL;
    *status = sqlite3_prepare_v3(s->db, sql, size, SQLITE_PREPARE_NO_VTAB, &statement, tail);
    return statement;
}

static bool only_blanks(struct sql_db *s, const char *tail)
{
    int status = SQLITE_OK;
    sqlite3_stmt *more = *tail ? prepare(s, tail, -1, &tail, &status) : NULL;
    bool blank = status == SQLITE_OK && more == NULL;
    sqlite3_finalize(more);
    return blank;
}

/* Whether the program opens a table of the file: asked only where the authorizer could not tell a
 * table from a name that the query itself gives. */
static bool opens_table(struct sql_db *s, const char *sql)
{
    struct str text = {0};
    const char *tail;
    int status;
    bool opens = false;
    str_printf(&text, "EXPLAIN %s", sql);
    sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX_LENGTH + 10);
    sqlite3_stmt *program = text.failed ? NULL : prepare(s, str_text(&text), -1, &tail, &status);
    sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX_LENGTH);
    while (program && !opens && sqlite3_step(program) == SQLITE_ROW) {
        const char *code = (const char *)sqlite3_column_text(program, 1);
        opens = code && strcmp(code, "OpenRead") == 0 && sqlite3_column_int(program, 3) > 1 &&
                sqlite3_column_int(program, 4) == 0;
    }
    sqlite3_finalize(program);
    str_free(&text);
    return opens;
}

static bool says(const char *message, const char *words)
{
    return strstr(message, words) != NULL;
}

static void set_compile_error(struct sql_db *s, int status, struct sql_result *out)
{
    const char *message = sqlite3_errmsg(s->db);
    enum sql_outcome outcome = SQL_INVALID;
    out->parses = false;
    switch (status & 0xFF) {
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        outcome = SQL_OVER_BUDGET;
        break;
    case SQLITE_AUTH:
    case SQLITE_ERROR:
        if (says(message, "syntax error") || says(message, "incomplete input") ||
            says(message, "unrecognized token") || says(message, "parser stack overflow"))
            outcome = SQL_SYNTAX;
        else if (says(message, "too large") || says(message, "too many") ||
                 says(message, "at most"))
            outcome = SQL_OVER_BUDGET;
        else if (s->denied_part || s->denied_whole || !s->is_query)
            outcome = SQL_NOT_ALLOWED;
        out->parses = outcome != SQL_SYNTAX && s->is_query && !s->denied_whole;
        break;
    default:
        outcome = SQL_MACHINE;
    }
    sql_result_set(out, outcome, "%s", message);
}

static sqlite3_stmt *compile(struct sql_db *s, const char *sql, size_t length,
                             struct sql_result *out)
{
    const char *tail = "", *why = NULL;
    int status = SQLITE_OK;
    if (length > SQL_MAX_LENGTH) {
        sql_result_set(out, SQL_OVER_BUDGET, "longer than %d bytes", SQL_MAX_LENGTH);
        return NULL;
    }
    if (strlen(sql) != length) {
        sql_result_set(out, SQL_SYNTAX, "it holds a NUL character");
        return NULL;
    }
    sqlite3_stmt *statement = prepare(s, sql, (int)length + 1, &tail, &status);
    if (status != SQLITE_OK) {
        set_compile_error(s, status, out);
        return NULL;
    }
    if (!statement)
        why = "there is no statement in it";
    else if (!sqlite3_stmt_readonly(statement) || sqlite3_stmt_isexplain(statement) ||
             sqlite3_column_count(statement) == 0)
        why = "it is no query";
    else if (sqlite3_bind_parameter_count(statement))
        why = "it has a parameter without a value";
    else if (!only_blanks(s, tail))
        why = "more than one statement";
    if (!why && sqlite3_column_count(statement) > SQL_MAX_COLUMNS) {
        out->parses = true;
        sql_result_set(out, SQL_OVER_BUDGET, "more than %d columns", SQL_MAX_COLUMNS);
    } else if (why) {
        sql_result_set(out, statement ? SQL_NOT_ALLOWED : SQL_SYNTAX, "%s", why);
    } else {
        out->parses = true;
        return statement;
    }
    sqlite3_finalize(statement);
    return NULL;
}

/* --- running --- */

static void put_bytes(struct sql_result *out, struct sql_cell *cell, const void *bytes, int size)
{
    cell->offset = (uint32_t)out->bytes.length;
    cell->length = (uint64_t)size;
    str_append(&out->bytes, bytes ? bytes : "", (size_t)size);
    str_putc(&out->bytes, '\0');
}

static void put_cell(struct sql_result *out, struct sql_cell *cell, sqlite3_stmt *statement, int i)
{
    static const enum sql_type types[] = {[SQLITE_INTEGER] = SQL_INTEGER,
                                          [SQLITE_FLOAT] = SQL_REAL,
                                          [SQLITE_TEXT] = SQL_TEXT,
                                          [SQLITE_BLOB] = SQL_BLOB,
                                          [SQLITE_NULL] = SQL_NULL};
    memset(cell, 0, sizeof *cell);
    cell->type = (int32_t)types[sqlite3_column_type(statement, i)];
    if (cell->type == SQL_INTEGER) {
        cell->integer = sqlite3_column_int64(statement, i);
    } else if (cell->type == SQL_REAL) {
        cell->real = sqlite3_column_double(statement, i);
    } else if (cell->type == SQL_TEXT) {
        const unsigned char *text = sqlite3_column_text(statement, i);
        put_bytes(out, cell, text, text ? sqlite3_column_bytes(statement, i) : 0);
    } else if (cell->type == SQL_BLOB) {
        const void *blob = sqlite3_column_blob(statement, i);
        put_bytes(out, cell, blob, blob ? sqlite3_column_bytes(statement, i) : 0);
    }
}

static bool grow(struct sql_result *out, int *capacity)
{
    if (out->n_rows < *capacity)
        return true;
    int larger = *capacity * 2 + 8;
    size_t size;
    if (!mem_mul(&size, (size_t)larger + 1, (size_t)out->n_columns * sizeof *out->cells))
        return false;
    struct sql_cell *cells = mem_realloc(out->cells, size);
    if (!cells)
        return false;
    out->cells = cells;
    *capacity = larger;
    return true;
}

static bool put_names(struct sql_result *out, sqlite3_stmt *statement)
{
    for (int i = 0; i < out->n_columns; i++) {
        const char *name = sqlite3_column_name(statement, i);
        memset(&out->cells[i], 0, sizeof *out->cells);
        out->cells[i].type = SQL_TEXT;
        put_bytes(out, &out->cells[i], name, name ? (int)strlen(name) : 0);
    }
    return !out->bytes.failed;
}

static void set_run_error(struct sql_db *s, int status, struct sql_result *out)
{
    switch (status & 0xFF) {
    case SQLITE_INTERRUPT:
        sql_result_set(out, SQL_OVER_BUDGET, "more steps than its budget");
        return;
    case SQLITE_NOMEM:
        sql_result_set(out, SQL_OVER_BUDGET, "more memory than its budget");
        return;
    case SQLITE_TOOBIG:
        sql_result_set(out, SQL_OVER_BUDGET, "a value is longer than %d bytes", SQL_MAX_VALUE);
        return;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_RANGE:
        sql_result_set(out, SQL_ERROR, "%s", sqlite3_errmsg(s->db));
        return;
    case SQLITE_AUTH:
        sql_result_set(out, SQL_NOT_ALLOWED, "%s", sqlite3_errmsg(s->db));
        return;
    default:
        sql_result_set(out, SQL_MACHINE, "%s", sqlite3_errmsg(s->db));
    }
}

static void collect(struct sql_db *s, sqlite3_stmt *statement, const struct sql_budget *budget,
                    struct sql_result *out)
{
    int status, capacity = 0;
    out->n_columns = sqlite3_column_count(statement);
    bool memory = grow(out, &capacity) && put_names(out, statement);
    while (memory && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        if (out->n_rows >= budget->rows || (int64_t)out->bytes.length > budget->bytes) {
            out->truncated = true;
            status = SQLITE_DONE;
            break;
        }
        memory = grow(out, &capacity);
        for (int i = 0; memory && i < out->n_columns; i++)
            put_cell(out, &out->cells[((size_t)out->n_rows + 1) * (size_t)out->n_columns + i],
                     statement, i);
        out->n_rows++;
        memory = memory && !out->bytes.failed;
    }
    out->steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 0);
    if (!memory)
        sql_result_set(out, SQL_MACHINE, "memory is out");
    else if (status != SQLITE_DONE)
        set_run_error(s, status, out);
    if (memory && s->asked_clock)
        sql_result_set(out, SQL_NOT_ALLOWED, "it asks for the current time");
}

void sql_run(sql_db *s, const char *sql, size_t length, const struct sql_budget *budget,
             struct sql_result *out)
{
    *out = (struct sql_result){0};
    s->steps_left = budget->steps;
    s->out_of_steps = s->asked_clock = s->is_query = s->reads = false;
    s->denied_part = s->denied_whole = false;
    s->unsure[0] = 0;
    sqlite3_db_release_memory(s->db);
    if (budget->memory)
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + budget->memory);
    sqlite3_stmt *statement = compile(s, sql, length, out);
    if (statement) {
        out->reads = s->reads || (s->unsure[0] && opens_table(s, sql));
        s->steps_left = budget->steps;
        collect(s, statement, budget, out);
    }
    sqlite3_finalize(statement);
    if (budget->memory)
        sqlite3_hard_heap_limit64(0);
}
