/* fixtures.c: a reward against completions of known worth; see fixtures.h.
 *
 * All pairs of a case are compared, and those that are the wrong way round are kept with both
 * scores: a person who repairs a reward needs to see which of them it is, not that one exists.
 * Rewards are made once for each set of parameters and databases once for each SQL text, in a
 * temporary folder that is removed at the end; what a database is for is the reward's business. */
#include "reward/fixtures.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/line.h"

static const char *const kind_names[FIXTURE_KINDS] = {
    [FIXTURE_GOLD] = "gold",
    [FIXTURE_NEAR_MISS] = "near_miss",
    [FIXTURE_EMPTY] = "empty",
    [FIXTURE_ADVERSARIAL] = "adversarial",
};

const char *fixture_kind_name(enum fixture_kind kind)
{
    return kind_names[kind];
}

struct slice fixtures_shipped(const char *reward_name)
{
    for (int i = 0; i < n_fixture_files; i++)
        if (strcmp(fixture_files[i].name, reward_name) == 0)
            return (struct slice){(const char *)fixture_files[i].data, fixture_files[i].length};
    return (struct slice){NULL, 0};
}

/* A reward made for the lines that have these parameters. */
struct made_reward {
    const json_t *params; /* of the first of them */
    reward *reward;
};

struct judging {
    struct fixture_verdict *v;
    const char *name, *where;
    const reward *own;
    struct made_reward *made; /* as many as there are sets of parameters */
    int n_made;
    char folder[256];   /* of the databases; "": none was needed */
    json_t *defaults;   /* keys that later lines need not repeat; NULL: none */
    const json_t **sql; /* text of the database number i */
    int n_sql;
    struct reward_line line;
    struct err *err;
};

static int line_error(const struct judging *j, long line, const char *message)
{
    char where[256];
    snprintf(where, sizeof where, "%.200s, line %ld", j->where, line);
    return err_set(j->err, ERR_INPUT, where, "%s", message);
}

/* --- databases --- */

static int make_folder(struct judging *j)
{
    snprintf(j->folder, sizeof j->folder, P_tmpdir "/grpo-fixtures-XXXXXX");
    if (mkdtemp(j->folder))
        return ERR_NONE;
    int status =
        err_set(j->err, ERR_MACHINE, j->folder,
                "cannot make a temporary folder for databases of fixtures: %s", strerror(errno));
    j->folder[0] = 0;
    return status;
}

static int make_database(const struct judging *j, long line, const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    int status = ERR_NONE;
    if (sqlite3_open(path, &db))
        status = err_set(j->err, ERR_MACHINE, path, "cannot make a database: %s",
                         db ? sqlite3_errmsg(db) : "memory is out");
    else if (sqlite3_exec(db, sql, NULL, NULL, &message)) {
        char why[400];
        snprintf(why, sizeof why, "\"database_sql\" makes no database: %s",
                 message ? message : sqlite3_errmsg(db));
        status = line_error(j, line, why);
    }
    sqlite3_free(message);
    sqlite3_close(db);
    return status;
}

static void database_path(const struct judging *j, int number, char out[300])
{
    snprintf(out, 300, "%s/%d.db", j->folder, number);
}

/* The path of the database of this SQL text, made when it is the first to ask. */
static int find_database(struct judging *j, long line, const json_t *sql, char path[300])
{
    for (int i = 0; i < j->n_sql; i++)
        if (json_equal(j->sql[i], sql)) {
            database_path(j, i, path);
            return ERR_NONE;
        }
    int status = j->folder[0] ? ERR_NONE : make_folder(j);
    if (status)
        return status;
    database_path(j, j->n_sql, path);
    status = make_database(j, line, path, json_string_value(sql));
    if (!status)
        j->sql[j->n_sql++] = sql;
    return status;
}

/* "$DATABASE" becomes the path, at any depth (which the reader of JSON limits). */
static bool put_path(json_t *value, const char *path)
{
    const char *text = json_string_value(value), *key;
    bool ok = true;
    size_t i;
    json_t *item;
    if (text && strcmp(text, "$DATABASE") == 0)
        return json_string_set(value, path) == 0;
    if (json_is_object(value))
        json_object_foreach(value, key, item) ok = put_path(item, path) && ok;
    if (json_is_array(value))
        json_array_foreach(value, i, item) ok = put_path(item, path) && ok;
    return ok;
}

static int give_database(struct judging *j, const struct fixture *f)
{
    const json_t *sql = json_object_get(f->json, "database_sql");
    char path[300];
    if (!sql)
        return ERR_NONE;
    if (!json_is_string(sql))
        return line_error(j, f->line, "\"database_sql\" is not text");
    int status = find_database(j, f->line, sql, path);
    if (!status && (!put_path(json_object_get(f->json, "params"), path) ||
                    !put_path(json_object_get(f->json, "reference"), path)))
        status = err_no_memory(j->err, j->where, 0);
    return status;
}

/* --- one line --- */

static int find_reward(struct judging *j, const struct fixture *f, const reward **out)
{
    const json_t *params = json_object_get(f->json, "params");
    char where[256];
    if (!params && j->own) {
        *out = j->own;
        return ERR_NONE;
    }
    for (int i = 0; i < j->n_made; i++)
        if (params ? j->made[i].params && json_equal(j->made[i].params, params)
                   : !j->made[i].params) {
            *out = j->made[i].reward;
            return ERR_NONE;
        }
    struct made_reward *made = &j->made[j->n_made];
    *made = (struct made_reward){.params = params};
    int status = reward_create(&made->reward, j->name, params, j->err);
    if (status) {
        snprintf(where, sizeof where, "%.200s, line %ld", j->where, f->line);
        if (j->err)
            err_prefix(j->err, where);
        return status;
    }
    j->n_made++;
    *out = made->reward;
    return ERR_NONE;
}

static int read_labels(const struct judging *j, struct fixture *f)
{
    const char *kind = json_string_value(json_object_get(f->json, "kind")),
               *note = json_string_value(json_object_get(f->json, "note"));
    int i = 0;
    while (i < FIXTURE_KINDS && (!kind || strcmp(kind, kind_names[i]) != 0))
        i++;
    if (i == FIXTURE_KINDS)
        return line_error(j, f->line,
                          kind ? "\"kind\" is not one of gold, near_miss, empty, adversarial"
                               : "has no \"kind\"; one of gold, near_miss, empty, adversarial");
    f->kind = (enum fixture_kind)i;
    f->group = json_string_value(json_object_get(f->json, "case"));
    f->note = note ? note : "";
    return f->group ? ERR_NONE
                    : line_error(j, f->line,
                                 "has no \"case\": the name of the prompt that it and the lines "
                                 "it is compared with answer");
}

static int score(struct judging *j, struct fixture *f)
{
    const reward *r;
    int status = read_labels(j, f);
    if (!status)
        status = give_database(j, f);
    if (!status)
        status = find_reward(j, f, &r);
    if (!status) {
        struct err why = {0};
        status = reward_line_read(&j->line, f->json, f->json, &why);
        if (status == ERR_INPUT)
            return line_error(j, f->line, why.message);
        if (status && j->err)
            *j->err = why;
    }
    if (!status)
        reward_evaluate(r, &j->line.in, &f->is, NULL);
    return status;
}

/* The line's keys, and those of the defaults that it does not have: copies, since a path is put
 * into them. */
static int take_defaults(const struct judging *j, json_t *json)
{
    json_t *copy = j->defaults ? json_deep_copy(j->defaults) : NULL;
    bool ok = !j->defaults || (copy && json_object_update_missing(json, copy) == 0);
    json_decref(copy);
    return ok ? ERR_NONE : err_no_memory(j->err, j->where, 0);
}

static int add_line(struct judging *j, struct slice text, long line)
{
    char where[256];
    snprintf(where, sizeof where, "%.200s, line %ld", j->where, line);
    struct fixture_verdict *v = j->v;
    struct err why = {0};
    json_t *json =
        json_read(text.data, text.length, JSON_UNIQUE_KEYS | JSON_NUL_ALLOWED, where, &why);
    if (!json) {
        if (j->err)
            *j->err = why;
        return (int)why.code;
    }
    json_t *defaults = json_object_get(json, "defaults");
    if (defaults) {
        json_decref(j->defaults);
        j->defaults = json_incref(defaults);
        json_decref(json);
        return json_is_object(j->defaults) ? ERR_NONE
                                           : line_error(j, line, "\"defaults\" is not an object");
    }
    v->fixtures[v->count] = (struct fixture){.line = line, .json = json, .note = ""};
    v->count++;
    if (!json_is_object(json))
        return line_error(j, line, "is not an object");
    int status = take_defaults(j, json);
    return status ? status : score(j, &v->fixtures[v->count - 1]);
}

/* Room for the most there can be, so that nothing has to grow. */
static int make_room(struct judging *j, struct slice text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.length; i++)
        lines += text.data[i] == '\n';
    if (lines > INT_MAX)
        return err_set(j->err, ERR_INPUT, j->where, "has %zu lines", lines);
    j->v->fixtures = mem_calloc(lines, sizeof *j->v->fixtures);
    j->made = mem_calloc(lines, sizeof *j->made);
    j->sql = mem_calloc(lines, sizeof *j->sql);
    return j->v->fixtures && j->made && j->sql
               ? ERR_NONE
               : err_no_memory(j->err, j->where, lines * sizeof *j->v->fixtures);
}

static int read_lines(struct judging *j, struct slice text)
{
    const char *at = text.data, *end = text.data + text.length;
    int status = ERR_NONE;
    for (long line = 1; at < end && !status; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        struct slice s = {at, (size_t)(stop - at)};
        at = stop + 1;
        while (s.length && strchr(" \t\r", s.data[s.length - 1]) && s.data[s.length - 1])
            s.length--;
        if (s.length)
            status = add_line(j, s, line);
    }
    return status;
}

/* --- the verdict --- */

static bool scored(const struct fixture *f)
{
    return f->is.status == REWARD_OK;
}

/* Whether a must score above b where both answer one prompt. */
static bool must_beat(enum fixture_kind a, enum fixture_kind b)
{
    return (a == FIXTURE_GOLD && b != FIXTURE_GOLD) ||
           (a == FIXTURE_NEAR_MISS && b == FIXTURE_EMPTY);
}

/* A reward that knows only right and wrong has nothing for a near miss, which then may tie with an
 * empty answer. */
static bool wrong_way_round(const struct fixture *a, const struct fixture *b, bool all_or_nothing)
{
    if (!must_beat(a->kind, b->kind) || !scored(a) || !scored(b) || strcmp(a->group, b->group) != 0)
        return false;
    return a->kind == FIXTURE_NEAR_MISS && all_or_nothing ? a->is.score < b->is.score
                                                          : a->is.score <= b->is.score;
}

static bool all_or_nothing(const struct fixture_verdict *v)
{
    for (int i = 0; i < v->count; i++)
        if (scored(&v->fixtures[i]) && v->fixtures[i].is.score != 0 && v->fixtures[i].is.score != 1)
            return false;
    return true;
}

/* Counts the pairs, and keeps them where there is room for them. */
static void find_pairs(struct fixture_verdict *v)
{
    bool binary = all_or_nothing(v);
    v->n_pairs = 0;
    for (int i = 0; i < v->count; i++)
        for (int k = 0; k < v->count; k++)
            if (wrong_way_round(&v->fixtures[i], &v->fixtures[k], binary)) {
                if (v->pairs)
                    v->pairs[v->n_pairs] = (struct fixture_pair){i, k};
                v->n_pairs++;
            }
}

static bool has_gold(const struct fixture_verdict *v, const char *group)
{
    for (int i = 0; i < v->count; i++)
        if (v->fixtures[i].kind == FIXTURE_GOLD && strcmp(v->fixtures[i].group, group) == 0)
            return true;
    return false;
}

static void find_lacking(struct fixture_verdict *v)
{
    for (int k = 0; k < FIXTURE_KINDS; k++)
        if (!v->counts[k]) {
            snprintf(v->lacking, sizeof v->lacking, "there is no %s", kind_names[k]);
            return;
        }
    for (int i = 0; i < v->count; i++)
        if (!has_gold(v, v->fixtures[i].group)) {
            snprintf(v->lacking, sizeof v->lacking, "case %.40s has no gold", v->fixtures[i].group);
            return;
        }
}

static int conclude(struct fixture_verdict *v, struct err *err)
{
    for (int k = 0; k < FIXTURE_KINDS; k++)
        v->lowest[k] = v->highest[k] = NAN;
    for (int i = 0; i < v->count; i++) {
        const struct fixture *f = &v->fixtures[i];
        v->counts[f->kind]++;
        v->not_scored += !scored(f);
        if (scored(f)) {
            v->lowest[f->kind] = fmin(v->lowest[f->kind], f->is.score);
            v->highest[f->kind] = fmax(v->highest[f->kind], f->is.score);
        }
    }
    find_lacking(v);
    find_pairs(v);
    v->pairs = mem_calloc((size_t)v->n_pairs, sizeof *v->pairs);
    if (!v->pairs)
        return err_no_memory(err, "pairs of fixtures", (size_t)v->n_pairs * sizeof *v->pairs);
    find_pairs(v);
    v->holds = !v->n_pairs && !v->not_scored && !v->lacking[0];
    return ERR_NONE;
}

int fixtures_judge(struct fixture_verdict *v, const char *name, const reward *own,
                   struct slice text, const char *where, struct err *err)
{
    struct judging j = {.v = v, .name = name, .where = where, .own = own, .err = err};
    *v = (struct fixture_verdict){0};
    int status = make_room(&j, text);
    if (!status)
        status = read_lines(&j, text);
    for (int i = 0; i < j.n_made; i++)
        reward_free(j.made[i].reward);
    mem_free(j.made);
    mem_free(j.sql);
    json_decref(j.defaults);
    reward_line_free(&j.line);
    if (j.folder[0])
        dir_remove(j.folder, NULL); /* what stays behind changes no verdict */
    return status ? status : conclude(v, err);
}

void fixture_verdict_free(struct fixture_verdict *v)
{
    for (int i = 0; i < v->count; i++)
        json_decref(v->fixtures[i].json);
    mem_free(v->fixtures);
    mem_free(v->pairs);
    *v = (struct fixture_verdict){0};
}

/* --- in words --- */

static void put_one(struct str *out, const struct fixture *f)
{
    str_printf(out, "%s %s",
               f->kind == FIXTURE_ADVERSARIAL || f->kind == FIXTURE_EMPTY ? "an" : "a",
               kind_names[f->kind]);
    if (f->note[0])
        str_printf(out, " (%.80s)", f->note);
    str_printf(out, " has %.3f", f->is.score);
}

void fixture_pair_text(struct str *out, const struct fixture_verdict *v, int pair)
{
    const struct fixture *better = &v->fixtures[v->pairs[pair].better],
                         *worse = &v->fixtures[v->pairs[pair].worse];
    str_printf(out, "case %.40s: ", better->group);
    put_one(out, worse);
    str_puts(out, ", ");
    put_one(out, better);
    str_printf(out, " (lines %ld and %ld)", worse->line, better->line);
}

/* The pair in which the worse is furthest ahead. */
static int worst_pair(const struct fixture_verdict *v)
{
    int worst = 0;
    double most = -INFINITY;
    for (int i = 0; i < v->n_pairs; i++) {
        double ahead =
            v->fixtures[v->pairs[i].worse].is.score - v->fixtures[v->pairs[i].better].is.score;
        if (ahead > most) {
            most = ahead;
            worst = i;
        }
    }
    return worst;
}

void fixture_verdict_explain(struct str *out, const struct fixture_verdict *v)
{
    if (v->holds)
        return;
    if (v->n_pairs) {
        fixture_pair_text(out, v, worst_pair(v));
        if (v->n_pairs > 1)
            str_printf(out, "; %d pairs in all", v->n_pairs);
        return;
    }
    for (int i = 0; i < v->count && v->not_scored; i++)
        if (!scored(&v->fixtures[i])) {
            str_printf(out, "line %ld has no score (%s): %s", v->fixtures[i].line,
                       reward_status_name(v->fixtures[i].is.status), v->fixtures[i].is.reason);
            return;
        }
    str_puts(out, v->lacking);
}
