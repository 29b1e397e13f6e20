/* sql_exec.c: `sql_exec`, the query of a completion, run, and its result compared with the
 * reference's.
 *
 *   row.reference   {"database": FILE, "sql": QUERY}; other keys are not read
 *
 *   params          database  the file, where the row names none
 *                   folder    where a row's relative FILE is looked for (else the working folder)
 *                   workers   processes that run queries (default: one a core, at most 4)
 *                   steps     the most that a query may take (default 50 million)
 *
 *   FILE            a database, or (NAME.sql) statements that make one
 *
 *   parses   there is one query (sql_find.h), and SQLite's grammar takes it
 *   runs     it runs within its budgets and reads a table: a query without one is worth nothing
 *            beyond its grammar
 *   shape    as many columns and rows as the reference (sql_compare.h); 0 when it does not run
 *   values   1 for the reference's result, else 0.8 times the share of it that it has; 0 for what
 * is constant (below) prose    a sentence beside it whose numbers agree with the result
 * (sql_prose.h), scaled by 0.2 + 0.8 · values: words about a wrong result are worth little. 0
 * without a sentence
 *
 * Constants: an answer learnt by heart (SELECT 42 FROM pedidos) is right until the data change. So
 * a result that has right values is run on two halves of the database (sql_db_half) too: where the
 * reference's result changes and this one stays as it was (sql_unchanged), its rows are no result
 * of the data. What a query makes of a constant by counting (CASE WHEN COUNT(*) % 2 …) gets by: it
 * would have to be found for each question anew.
 *
 * Budget: 20 times the reference's steps, at least a million, at most `steps`: the same on every
 * machine, and enough for a clumsy query. Rows beyond twice the reference's and 1,000 are left out.
 *
 * Whose fault: what the completion's query does, crashing its process included, is judged
 * (sql_worker.c has the rules). A reference that does not run, a database that is not there, a
 * process that cannot be had are the machinery's: `failed`, whatever the completion is. A reference
 * that finds nothing judges nobody: not applicable, since any empty result would equal it.
 *
 * References are run once and kept, up to CACHE_BYTES of results. */
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "reward/rewards.h"
#include "reward/sql_compare.h"
#include "reward/sql_find.h"
#include "reward/sql_prose.h"
#include "reward/sql_worker.h"

enum {
    TIES = 200, /* rows beyond a reference's LIMIT that are looked at for ties */
    MAX_REFERENCE_ROWS = 5000,
    EXPLAINED_ROWS = 20
};
static const double INEXACT = 0.8;
static const int64_t MEMORY = 32 << 20, BYTES = 1 << 20, CACHE_BYTES = 64 << 20;
static const int64_t LEAST_STEPS = 1000000, REFERENCE_STEPS = 200000000;
static const off_t LARGEST_HALVED = 128 << 20; /* a larger database is not copied */

struct reference {
    char *sql; /* what `outline` points into */
    struct sql_outline outline;
    struct sql_result result; /* ties at its end */
    int required;             /* rows of the result proper */
    struct sql_result halves[2];
    bool tells[2]; /* the half's result is another than the whole's */
    bool kept;     /* in the cache, which frees it */
};

struct sql_exec {
    char *database, *folder;
    int64_t steps;
    sql_pool *pool;
    pthread_mutex_t lock; /* guards the cache */
    struct map places;    /* put_key → index into references */
    struct reference **references;
    size_t n, capacity;
    int64_t bytes;
};

/* --- parameters --- */

static int keep_text(char **out, const json_t *params, const char *key, const char *where,
                     struct err *err)
{
    const char *text = NULL;
    int status = json_get_string(&text, params, key, false, where, err);
    if (status || !text)
        return status;
    *out = mem_strdup(text);
    return *out ? ERR_NONE : err_no_memory(err, where, strlen(text));
}

static int read_numbers(struct sql_exec *s, long long *workers, const json_t *params,
                        const char *where, struct err *err)
{
    long long steps = 50000000;
    int status = json_get_int(workers, params, "workers", false, where, err);
    if (!status)
        status = json_get_int(&steps, params, "steps", false, where, err);
    if (!status && (*workers < 0 || *workers > SQL_MAX_WORKERS))
        status = err_set(err, ERR_USAGE, where, "workers is %lld, expected 1 to %d", *workers,
                         SQL_MAX_WORKERS);
    if (!status && (steps < 1000 || steps > REFERENCE_STEPS))
        status = err_set(err, ERR_USAGE, where, "steps is %lld, expected 1000 to %lld", steps,
                         (long long)REFERENCE_STEPS);
    s->steps = steps;
    return status;
}

int sql_exec_configure(void **state, const json_t *params, struct err *err)
{
    static const char *const known[] = {"database", "folder", "workers", "steps"};
    static const char where[] = "params of reward sql_exec";
    long long workers = 0;
    int status = reward_params_check(params, known, 4, "sql_exec", err);
    if (status)
        return status;
    struct sql_exec *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_no_memory(err, where, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    if (!json_is_object(params))
        params = NULL;
    s->steps = 50000000;
    if (params)
        status = keep_text(&s->database, params, "database", where, err);
    if (params && !status)
        status = keep_text(&s->folder, params, "folder", where, err);
    if (params && !status)
        status = read_numbers(s, &workers, params, where, err);
    if (!status && s->database && !file_exists(s->database))
        status = err_set(err, ERR_INPUT, s->database, "no such database file");
    if (!status && s->folder && !dir_exists(s->folder))
        status = err_set(err, ERR_INPUT, s->folder, "no such folder");
    if (!status)
        status = sql_pool_create(&s->pool, (int)workers, err);
    if (status)
        sql_exec_release(s);
    else
        *state = s;
    return status;
}

struct reward_manner sql_exec_manner(const void *state)
{
    const struct sql_exec *s = state;
    return (struct reward_manner){.side_by_side = sql_pool_workers(s->pool), .repeatable = true};
}

static void reference_free(struct reference *r)
{
    if (!r)
        return;
    mem_free(r->sql);
    sql_result_free(&r->result);
    for (int i = 0; i < 2; i++)
        sql_result_free(&r->halves[i]);
    mem_free(r);
}

void sql_exec_release(void *state)
{
    struct sql_exec *s = state;
    sql_pool_free(s->pool);
    for (size_t i = 0; i < s->n; i++)
        reference_free(s->references[i]);
    mem_free(s->references);
    map_free(&s->places);
    mem_free(s->database);
    mem_free(s->folder);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* --- the row --- */

/* The row's file as its path, or NULL and why in the result. */
static const char *row_database(const struct sql_exec *s, const json_t *row, struct str *path)
{
    const json_t *named = json_object_get(json_object_get(row, "reference"), "database");
    const char *name = json_string_value(named);
    str_clear(path);
    if (!name)
        str_puts(path, s->database ? s->database : "");
    else if (name[0] == '/' || !s->folder)
        str_puts(path, name);
    else
        path_join(path, s->folder, name);
    return path->failed ? NULL : str_text(path);
}

int sql_exec_files(const void *state, const json_t *row, reward_file_visit *visit, void *user,
                   struct err *err)
{
    const struct sql_exec *s = state;
    struct str path = {0};
    int status = ERR_NONE;
    const char *database = row ? row_database(s, row, &path) : s->database;
    if (row && !database)
        status = err_no_memory(err, "a path", 200);
    else if (database && database[0])
        status = visit(user, database, err);
    str_free(&path);
    return status;
}

/* Where there is something to run: sql and path. false: the result says why not. */
static bool read_row(const struct sql_exec *s, const json_t *row, const char **sql,
                     struct str *path, struct reward_result *out)
{
    const json_t *reference = json_object_get(row, "reference"),
                 *query = json_object_get(reference, "sql"),
                 *database = json_object_get(reference, "database");
    char real[PATH_MAX];
    *sql = json_string_value(query);
    if ((query && !json_is_string(query) && !json_is_null(query)) ||
        (database && !json_is_string(database) && !json_is_null(database))) {
        reward_set_failed(out, "reference.%s is %s, expected text",
                          json_is_string(query) || !query ? "database" : "sql",
                          json_type_name(json_is_string(query) || !query ? database : query));
        return false;
    }
    const char *name = row_database(s, row, path);
    if (!name) {
        reward_set_failed(out, "out of memory for a path");
        return false;
    }
    if (!*sql || !name[0]) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason,
                 *sql ? "no database to ask: give reference.database or params database"
                      : "the row's reference has no \"sql\"");
        return false;
    }
    if (!realpath(name, real)) {
        reward_set_failed(out, "%.150s: no such database file", name);
        return false;
    }
    str_clear(path);
    str_puts(path, real);
    if (path->failed)
        reward_set_failed(out, "out of memory for a path");
    return !path->failed;
}

/* --- the reference --- */

static void run_query(const struct sql_exec *s, const char *path, enum sql_variant variant,
                      struct slice sql, struct sql_budget budget, struct sql_result *out)
{
    struct sql_request request = {.database = path,
                                  .variant = variant,
                                  .sql = sql.data,
                                  .length = sql.length,
                                  .budget = budget};
    sql_pool_run(s->pool, &request, out);
}

/* The rows that LIMIT cut and that tie with the last one, so that other rows of the same key are
 * right as well. false: the machinery failed. */
static bool add_ties(const struct sql_exec *s, const char *path, struct reference *r)
{
    struct sql_budget budget = {REFERENCE_STEPS, MEMORY * 4, r->required + TIES, BYTES * 4};
    int key = sql_key_column(&r->outline, &r->result), n = r->required;
    if (!r->outline.limit_at || !r->outline.ordered || key < 0 || n == 0)
        return true;
    char *whole = mem_strndup(r->sql, r->outline.limit_at);
    if (!whole)
        return false;
    struct sql_result all;
    run_query(s, path, SQL_WHOLE, (struct slice){whole, r->outline.limit_at}, budget, &all);
    mem_free(whole);
    int rows = all.n_rows;
    if (all.outcome == SQL_RAN && rows > n) {
        all.n_rows = n; /* the first are the result itself, or there is an OFFSET */
        bool same = sql_same_result(&all, &r->result);
        all.n_rows = n;
        while (same && all.n_rows < rows &&
               sql_same_cell(&all, sql_result_cell(&all, n - 1, key),
                             sql_result_cell(&all, all.n_rows, key)))
            all.n_rows++;
        if (same) {
            struct sql_result old = r->result;
            all.steps = old.steps;
            r->result = all;
            all = old;
        }
    }
    bool works = all.outcome != SQL_MACHINE;
    sql_result_free(&all);
    return works;
}

/* Only where it can be copied, and where its result tells something. */
static bool run_halves(const struct sql_exec *s, const char *path, struct reference *r)
{
    struct sql_budget budget = {REFERENCE_STEPS, MEMORY * 4, MAX_REFERENCE_ROWS, BYTES * 4};
    struct stat st;
    if (stat(path, &st) != 0 || st.st_size > LARGEST_HALVED)
        return true;
    int all = r->result.n_rows;
    r->result.n_rows = r->required;
    bool works = true;
    for (int half = 0; half < 2 && works; half++) {
        struct slice sql = {r->sql, strlen(r->sql)};
        run_query(s, path, half ? SQL_HALF_1 : SQL_HALF_0, sql, budget, &r->halves[half]);
        works = r->halves[half].outcome != SQL_MACHINE;
        bool same = true;
        if (works && r->halves[half].outcome == SQL_RAN)
            works = sql_unchanged(&same, &r->halves[half], &r->result);
        r->tells[half] = !same;
    }
    r->result.n_rows = all;
    return works;
}

/* false: out says why. */
static bool make_reference(const struct sql_exec *s, const char *path, struct reference *r,
                           struct reward_result *out)
{
    struct sql_budget budget = {REFERENCE_STEPS, MEMORY * 4, MAX_REFERENCE_ROWS, BYTES * 4};
    struct slice sql = {r->sql, strlen(r->sql)};
    r->outline = sql_outline_read(r->sql, sql.length);
    run_query(s, path, SQL_WHOLE, sql, budget, &r->result);
    const char *why = r->result.outcome != SQL_RAN ? r->result.message
                      : !r->result.reads           ? "it reads no table"
                      : r->result.truncated        ? "its result is too large"
                                                   : NULL;
    if (why) {
        reward_set_failed(out, "the reference query does not do: %.180s", why);
        return false;
    }
    r->required = r->result.n_rows;
    if (sql_nothing_found(&r->result))
        return true;
    if (!add_ties(s, path, r) || !run_halves(s, path, r)) {
        const char *machine = "no process, or out of memory";
        for (int half = 0; half < 2; half++)
            if (r->halves[half].outcome == SQL_MACHINE)
                machine = r->halves[half].message;
        reward_set_failed(out, "the reference query could not be run again: %.150s", machine);
        return false;
    }
    return true;
}

static int64_t size_of(const struct reference *r)
{
    const struct sql_result *all[] = {&r->result, &r->halves[0], &r->halves[1]};
    size_t size = sizeof *r + strlen(r->sql);
    for (int i = 0; i < 3; i++)
        size += all[i]->bytes.length +
                ((size_t)all[i]->n_rows + 1) * (size_t)all[i]->n_columns * sizeof(struct sql_cell);
    return (int64_t)size;
}

static struct reference *find_kept(struct sql_exec *s, const struct str *key)
{
    int32_t place;
    struct reference *found = NULL;
    pthread_mutex_lock(&s->lock);
    if (map_get(&s->places, str_text(key), key->length, &place))
        found = s->references[place];
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* Into the cache, if there is room and nobody was faster. */
static void keep(struct sql_exec *s, const struct str *key, struct reference *r)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->bytes + size_of(r) <= CACHE_BYTES &&
                !map_get(&s->places, str_text(key), key->length, NULL);
    if (room && s->n == s->capacity) {
        size_t larger = s->capacity * 2 + 16;
        struct reference **grown = mem_realloc(s->references, larger * sizeof(struct reference *));
        room = grown != NULL;
        s->references = room ? grown : s->references;
        s->capacity = room ? larger : s->capacity;
    }
    if (room && map_put(&s->places, str_text(key), key->length, (int32_t)s->n)) {
        s->references[s->n++] = r;
        s->bytes += size_of(r);
        r->kept = true;
    }
    pthread_mutex_unlock(&s->lock);
}

/* A reference by its file, as it is now, and its query: a file that was replaced has others. */
static void put_key(struct str *key, const char *path, const char *sql)
{
    struct stat st = {0};
    if (stat(path, &st) != 0)
        st = (struct stat){0}; /* the query will say that there is none */
    str_append(key, path, strlen(path) + 1);
    str_printf(key, "%llu %llu %lld %lld %ld:", (unsigned long long)st.st_dev,
               (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
               (long)st.st_mtim.tv_nsec);
    str_puts(key, sql);
}

/* NULL: out says why. Give it back with done_with. */
static struct reference *get_reference(struct sql_exec *s, const char *path, const char *sql,
                                       struct reward_result *out)
{
    struct str key = {0};
    put_key(&key, path, sql);
    struct reference *r = key.failed ? NULL : find_kept(s, &key);
    if (!r && !key.failed && (r = mem_calloc(1, sizeof *r))) {
        r->sql = mem_strdup(sql);
        if (!r->sql) {
            reference_free(r);
            r = NULL;
        } else if (!make_reference(s, path, r, out)) {
            reference_free(r);
            str_free(&key);
            return NULL;
        } else {
            keep(s, &key, r);
        }
    }
    str_free(&key);
    if (!r)
        reward_set_failed(out, "out of memory for a reference");
    return r;
}

static void done_with(struct reference *r)
{
    if (!r->kept)
        reference_free(r);
}

/* --- judging --- */

struct judgement {
    struct sql_found found;
    struct str answer, sql; /* without <think>; the query, for its final NUL */
    struct sql_result result;
    struct sql_match match;
    struct sql_prose prose;
    bool constant;
};

static void judgement_free(struct judgement *j)
{
    str_free(&j->answer);
    str_free(&j->sql);
    sql_result_free(&j->result);
    sql_prose_free(&j->prose);
}

static struct sql_budget budget_of(const struct sql_exec *s, const struct reference *r)
{
    int64_t steps = r->result.steps * 20;
    steps = steps < LEAST_STEPS ? LEAST_STEPS : steps;
    return (struct sql_budget){.steps = steps > s->steps ? s->steps : steps,
                               .memory = MEMORY,
                               .rows = 2 * r->required + 1000,
                               .bytes = BYTES};
}

/* false: the machinery failed; out says how. */
static bool is_constant(const struct sql_exec *s, const char *path, const struct reference *r,
                        struct judgement *j, struct reward_result *out)
{
    for (int half = 0; half < 2 && !j->constant; half++) {
        struct sql_result on_half;
        if (!r->tells[half])
            continue;
        run_query(s, path, half ? SQL_HALF_1 : SQL_HALF_0,
                  (struct slice){j->sql.data, j->sql.length}, budget_of(s, r), &on_half);
        bool works = on_half.outcome != SQL_MACHINE;
        if (!works)
            reward_set_failed(out, "the query could not be run again: %.180s", on_half.message);
        if (works && on_half.outcome == SQL_RAN) {
            works = sql_unchanged(&j->constant, &on_half, &j->result);
            if (!works)
                reward_set_failed(out, "out of memory for comparing results");
        }
        sql_result_free(&on_half);
        if (!works)
            return false;
    }
    return true;
}

static bool run_completion(const struct sql_exec *s, const char *path, const struct reference *r,
                           struct judgement *j, struct reward_result *out)
{
    if (!j->found.place) {
        sql_result_set(&j->result, SQL_SYNTAX, "there is no query");
    } else if (j->found.stacked) {
        sql_result_set(&j->result, SQL_NOT_ALLOWED, "more than one statement");
    } else {
        run_query(s, path, SQL_WHOLE, (struct slice){j->sql.data, j->sql.length}, budget_of(s, r),
                  &j->result);
        if (j->result.outcome == SQL_MACHINE) {
            reward_set_failed(out, "the query could not be run: %.180s", j->result.message);
            return false;
        }
    }
    bool ran = j->result.outcome == SQL_RAN && j->result.reads;
    if (!ran)
        return true;
    if (!sql_compare(&j->match, &r->result, r->required, &r->outline, &j->result)) {
        reward_set_failed(out, "out of memory for comparing results");
        return false;
    }
    return j->match.values == 0 || is_constant(s, path, r, j, out);
}

static bool judge(const struct sql_exec *s, const char *path, const struct reference *r,
                  const struct reward_input *in, struct judgement *j, struct reward_result *out)
{
    strip_think(&j->answer, in->completion, in->completion_length);
    struct slice answer = {str_text(&j->answer), j->answer.length};
    j->found = sql_find(answer.data, answer.length);
    str_append(&j->sql, j->found.sql.data, j->found.sql.length);
    if (j->answer.failed || j->sql.failed) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
        return false;
    }
    if (!run_completion(s, path, r, j, out))
        return false;
    if (!sql_prose_read(&j->prose, answer, &j->found, (struct slice){in->prompt, in->prompt_length},
                        &r->result, r->required)) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
        return false;
    }
    bool runs = j->result.outcome == SQL_RAN && j->result.reads, told = runs && !j->constant;
    double values = told ? j->match.values : 0;
    if (values < 1) /* a result that is wrong somewhere is wrong */
        values *= INEXACT;
    out->components[SQL_EXEC_PARSES] = j->result.parses;
    out->components[SQL_EXEC_RUNS] = runs;
    out->components[SQL_EXEC_SHAPE] = told ? j->match.shape : 0;
    out->components[SQL_EXEC_VALUES] = values;
    out->components[SQL_EXEC_PROSE] = runs ? j->prose.score * (0.2 + 0.8 * values) : 0;
    return true;
}

/* --- explaining --- */

static void put_cell(struct json_writer *w, const struct sql_result *r, const struct sql_cell *c)
{
    struct slice text = {0};
    if (c->type == SQL_TEXT || c->type == SQL_BLOB)
        text = sql_cell_text(r, c);
    switch (c->type) {
    case SQL_INTEGER:
        jw_int(w, c->integer);
        break;
    case SQL_REAL:
        jw_double(w, c->real);
        break;
    case SQL_TEXT:
    case SQL_BLOB:
        jw_string(w, text.data, text.length < 200 ? text.length : 200);
        break;
    default:
        jw_null(w);
    }
}

static void put_rows(struct json_writer *w, const char *key, const struct sql_result *r, int rows)
{
    jw_key(w, key);
    if (r->outcome != SQL_RAN || !r->cells) {
        jw_null(w);
        return;
    }
    jw_array_begin(w);
    for (int row = 0; row < rows && row < EXPLAINED_ROWS; row++) {
        jw_array_begin(w);
        for (int i = 0; i < r->n_columns; i++)
            put_cell(w, r, sql_result_cell(r, row, i));
        jw_array_end(w);
    }
    jw_array_end(w);
}

static const char *error_of(const struct judgement *j)
{
    if (j->result.outcome != SQL_RAN)
        return j->result.message;
    if (!j->result.reads)
        return "it reads no table of the database";
    return j->constant ? "its result does not depend on the rows of the database" : NULL;
}

static void explain(struct str *out, const struct judgement *j, const struct reference *r)
{
    static const char *const places[] = {"nowhere", "fence", "prose"};
    struct json_writer w;
    const char *error = error_of(j);
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "sql");
    if (j->found.place)
        jw_string(&w, j->found.sql.data, j->found.sql.length);
    else
        jw_null(&w);
    jw_key(&w, "place");
    jw_text(&w, places[j->found.place]);
    jw_key(&w, "outcome");
    jw_text(&w, sql_outcome_name(j->result.outcome));
    jw_key(&w, "error");
    if (error)
        jw_string(&w, error, strlen(error));
    else
        jw_null(&w);
    jw_key(&w, "steps");
    jw_int(&w, j->result.steps);
    put_rows(&w, "rows", &j->result, j->result.n_rows);
    jw_key(&w, "n_rows");
    jw_int(&w, j->result.n_rows);
    put_rows(&w, "reference_rows", &r->result, r->required);
    jw_key(&w, "n_reference_rows");
    jw_int(&w, r->required);
    jw_key(&w, "matched_rows");
    jw_int(&w, j->match.matched);
    jw_key(&w, "ordered");
    jw_bool(&w, r->outline.ordered);
    jw_key(&w, "in_order");
    jw_bool(&w, j->match.in_order);
    jw_key(&w, "claims");
    jw_int(&w, j->prose.claims);
    jw_key(&w, "grounded_claims");
    jw_int(&w, j->prose.grounded);
    jw_object_end(&w);
}

void sql_exec_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                       struct str *explain_json)
{
    struct sql_exec *s = (struct sql_exec *)(uintptr_t)state; /* pool and cache have locks */
    struct judgement j = {.match = {.in_order = true}};
    struct str path = {0};
    const char *sql = NULL;
    struct reference *r = NULL;
    if (read_row(s, in->row, &sql, &path, out))
        r = get_reference(s, str_text(&path), sql, out);
    if (r && sql_nothing_found(&r->result)) {
        out->status = REWARD_NOT_APPLICABLE;
        snprintf(out->reason, sizeof out->reason, "the reference query finds nothing");
    } else if (r && judge(s, str_text(&path), r, in, &j, out) && explain_json) {
        explain(explain_json, &j, r);
    }
    if (r)
        done_with(r);
    judgement_free(&j);
    str_free(&path);
}
