/* run.c: reading a run folder; see run.h.
 *
 * A series grows line by line and its step must ascend: a line that goes back (two runs written
 * into one file) is left out and noted, for a curve that turns around would be a lie. Notes are
 * limited, so that a file of a million broken lines makes one page. */
#include "report/run.h"
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "formats/jsonl.h"

enum { MOST_NOTES = 40, MOST_SERIES = 4096, MOST_FILES = 20000 };
static const double MOST_STEP = 1e9;

const char *const run_stages[] = {"env",      "config",  "model",   "tokens", "kv",    "rewards",
                                  "audit",    "evalset", "dataset", "smoke",  "probe", "train",
                                  "validate", "save",    "report",  NULL};

/* --- notes --- */

void run_note(struct run *r, const char *format, ...)
{
    if (r->notes.n >= MOST_NOTES)
        return;
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->notes.n == MOST_NOTES - 1)
        snprintf(text, sizeof text, "%s: there is more that cannot be read", r->name);
    if (!r->notes.items)
        r->notes.items = arena_alloc(&r->arena, MOST_NOTES * sizeof *r->notes.items);
    char *copy = arena_strndup(&r->arena, text, strlen(text));
    if (r->notes.items && copy)
        r->notes.items[r->notes.n++] = copy;
    else
        r->no_memory = true;
}

const char *run_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- series --- */

const struct series *series_find(const struct series_set *s, const char *name)
{
    int32_t i;
    return map_get(&s->index, name, strlen(name), &i) ? &s->list[i] : NULL;
}

double series_at(const struct series *s, double step)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (s->step[i] == step)
            return s->value[i];
    return NAN;
}

static struct series *series_of(struct run *r, struct series_set *s, const char *name)
{
    int32_t i;
    size_t length = strlen(name);
    if (map_get(&s->index, name, length, &i))
        return &s->list[i];
    if (s->n == MOST_SERIES)
        return NULL;
    if (s->n == s->capacity) {
        int room = s->capacity ? 2 * s->capacity : 64;
        struct series *grown = mem_realloc(s->list, (size_t)room * sizeof *grown);
        if (!grown) {
            r->no_memory = true;
            return NULL;
        }
        s->list = grown;
        s->capacity = room;
    }
    char *copy = arena_strndup(&r->arena, name, length);
    if (!copy || !map_put(&s->index, name, length, s->n)) {
        r->no_memory = true;
        return NULL;
    }
    s->list[s->n] = (struct series){.name = copy};
    return &s->list[s->n++];
}

static bool series_add(struct series *s, double step, double value)
{
    if (s->n == s->capacity) {
        size_t room = s->capacity ? 2 * s->capacity : 32;
        double *steps = mem_realloc(s->step, room * sizeof *steps);
        if (steps)
            s->step = steps;
        double *values = steps ? mem_realloc(s->value, room * sizeof *values) : NULL;
        if (!values)
            return false;
        s->value = values;
        s->capacity = room;
    }
    s->step[s->n] = step;
    s->value[s->n++] = value;
    return true;
}

static void series_free(struct series_set *s)
{
    for (int i = 0; i < s->n; i++) {
        mem_free(s->list[i].step);
        mem_free(s->list[i].value);
    }
    mem_free(s->list);
    map_free(&s->index);
    *s = (struct series_set){0};
}

static void take_line(struct run *r, struct series_set *s, json_t *line, double step)
{
    const char *name;
    json_t *value;
    json_object_foreach(line, name, value)
    {
        if (!json_is_number(value) || strcmp(name, "step") == 0)
            continue;
        struct series *into = series_of(r, s, name);
        double x = json_number_value(value);
        if (into && isfinite(x) && !series_add(into, step, x))
            r->no_memory = true;
    }
}

/* Lines of {"step": N, "name": value, ...}. */
static void read_series(struct run *r, struct series_set *s, const char *file)
{
    struct str path = {0};
    struct err err = {0};
    struct jsonl_reader in = {.fd = -1};
    path_join(&path, r->path, file);
    r->no_memory = r->no_memory || path.failed;
    bool here = !path.failed && file_exists(str_text(&path));
    if (!here || jsonl_open(&in, str_text(&path), &err)) {
        run_note(r, "%s: %s", file, here ? err.message : "is not there");
        r->no_memory = r->no_memory || (here && err.code == ERR_MACHINE);
        str_free(&path);
        return;
    }
    json_t *line = NULL;
    double last = -1;
    int got = 0;
    while (!r->no_memory && (got = jsonl_next(&in, &line, &err)) == 1) {
        const json_t *at = line ? json_object_get(line, "step") : NULL;
        double step = json_is_number(at) ? json_number_value(at) : -1;
        if (!line)
            run_note(r, "%s, line %ld: cannot be read and is left out", file, in.line);
        else if (!(step >= 0 && step <= MOST_STEP) || step != floor(step))
            run_note(r, "%s, line %ld: has no \"step\" and is left out", file, in.line);
        else if (step <= last)
            run_note(r, "%s, line %ld: step %.0f comes after step %.0f and is left out", file,
                     in.line, step, last);
        else {
            take_line(r, s, line, step);
            last = step;
        }
        json_decref(line);
        line = NULL;
    }
    if (got < 0) {
        run_note(r, "%s: %s", file, err.message);
        r->no_memory = r->no_memory || err.code == ERR_MACHINE;
    }
    if (last > (double)r->last_step)
        r->last_step = (long)last;
    jsonl_close(&in);
    str_free(&path);
}

/* --- evaluations --- */

static int read_row(struct evaluation *e, size_t i, const json_t *row, const char *path,
                    struct err *err)
{
    char where[300];
    snprintf(where, sizeof where, "%.200s, row %zu", path, i);
    struct report_row *out = &e->rows[i];
    *out = (struct report_row){.value = NAN, .task = "default", .text = NULL};
    int status = json_get_string(&out->id, row, "id", true, where, err);
    if (!status)
        status = json_get_string(&out->task, row, "task", false, where, err);
    if (!status)
        status = json_get_double(&out->value, row, "value", false, where, err);
    if (status)
        return status;
    if (!isfinite(out->value))
        out->value = NAN;
    const json_t *components = json_object_get(row, "components");
    out->components = json_is_object(components) ? components : NULL;
    const json_t *first = json_array_get(json_object_get(row, "samples"), 0);
    const json_t *text = json_object_get(first ? first : row, "text");
    out->text = json_string_value(text);
    out->text_length = json_string_length(text);
    int32_t other;
    if (map_get(&e->index, out->id, strlen(out->id), &other))
        return err_set(err, ERR_INPUT, where, "has the id of row %d, \"%.80s\"", (int)other,
                       out->id);
    return map_put(&e->index, out->id, strlen(out->id), (int32_t)i)
               ? ERR_NONE
               : err_no_memory(err, path, strlen(out->id));
}

static int take_evaluation(struct evaluation *e, const char *path, struct err *err)
{
    const json_t *rows = json_object_get(e->json, "rows");
    size_t n = json_array_size(rows);
    if (!n)
        return err_set(err, ERR_INPUT, path,
                       "has no \"rows\"; expected a file of a run's eval folder or of `grpo eval "
                       "--out`");
    long long step = -1;
    double temperature = NAN;
    const char *sha = "";
    int status = json_get_int(&step, e->json, "step", false, path, err);
    if (!status)
        status = json_get_double(&temperature, e->json, "temperature", false, path, err);
    if (!status)
        status = json_get_string(&sha, e->json, "data_sha256", false, path, err);
    if (status)
        return status;
    e->step = step >= 0 && (double)step <= MOST_STEP ? (long)step : -1;
    e->greedy = temperature == 0;
    e->data_sha256 = sha;
    e->rows = mem_calloc(n, sizeof *e->rows);
    if (!e->rows)
        return err_no_memory(err, path, n * sizeof *e->rows);
    for (size_t i = 0; i < n && !status; i++)
        status = read_row(e, i, json_array_get(rows, i), path, err);
    e->n = n;
    return status;
}

int evaluation_read(struct evaluation *e, const char *path, struct err *err)
{
    struct str bytes = {0};
    *e = (struct evaluation){.step = -1, .data_sha256 = ""};
    int status = file_read(&bytes, path, err);
    if (!status) {
        e->json = json_read(str_text(&bytes), bytes.length, JSON_NUL_ALLOWED, path, err);
        status = e->json ? take_evaluation(e, path, err) : (int)err->code;
    }
    str_free(&bytes);
    if (status)
        evaluation_free(e);
    return status;
}

void evaluation_free(struct evaluation *e)
{
    map_free(&e->index);
    mem_free(e->rows);
    json_decref(e->json);
    *e = (struct evaluation){.step = -1, .data_sha256 = ""};
}

const struct evaluation *run_eval_at(const struct run *r, long step)
{
    for (int i = 0; i < r->n_evals; i++)
        if (r->evals[i].step == step)
            return &r->evals[i];
    return NULL;
}

/* --- folders --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in r->path/folder that end in .json, sorted, in the arena; how many. */
static size_t list_json(struct run *r, const char *folder, const char ***names)
{
    struct str path = {0};
    DIR *dir = opendir(path_join(&path, r->path, folder));
    r->no_memory = r->no_memory || path.failed;
    size_t n = 0, room = 0;
    const char **list = NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir)) && n < MOST_FILES;) {
        size_t length = strlen(entry->d_name);
        if (length < 6 || entry->d_name[0] == '.' ||
            strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            const char **grown = mem_realloc(list, room * sizeof *grown);
            if (!grown) {
                r->no_memory = true;
                break;
            }
            list = grown;
        }
        list[n] = arena_strndup(&r->arena, entry->d_name, length);
        r->no_memory = r->no_memory || !list[n];
        n += list[n] != NULL;
    }
    if (dir)
        closedir(dir);
    if (list)
        qsort(list, n, sizeof *list, by_text);
    str_free(&path);
    *names = list;
    return n;
}

static int by_step(const void *a, const void *b)
{
    const struct evaluation *x = a, *y = b;
    return x->step < y->step ? -1 : x->step > y->step;
}

/* Reads path/folder/name; a file that cannot be read is noted. */
static bool read_noted(struct run *r, struct evaluation *e, const char *folder, const char *name)
{
    struct str inner = {0}, path = {0};
    struct err err = {0};
    path_join(&inner, r->path, folder);
    path_join(&path, str_text(&inner), name);
    r->no_memory = r->no_memory || inner.failed || path.failed;
    int status = evaluation_read(e, str_text(&path), &err);
    if (status == ERR_MACHINE)
        r->no_memory = true;
    if (status)
        run_note(r, "%s%s%s: %s; it is left out", folder, *folder ? "/" : "", name, err.message);
    str_free(&inner);
    str_free(&path);
    return !status;
}

static void read_evals(struct run *r)
{
    const char **names;
    size_t n = list_json(r, "eval", &names);
    r->evals = mem_calloc(n + 1, sizeof *r->evals);
    r->no_memory = r->no_memory || !r->evals;
    for (size_t i = 0; i < n && r->evals; i++) {
        struct evaluation *e = &r->evals[r->n_evals];
        long step = -1;
        int end = 0;
        if (sscanf(names[i], "step-%9ld.json%n", &step, &end) != 1 || names[i][end] || step < 0 ||
            !read_noted(r, e, "eval", names[i]))
            continue;
        e->step = step; /* the file's name is what the trainer goes by */
        r->n_evals++;
    }
    if (r->evals)
        qsort(r->evals, (size_t)r->n_evals, sizeof *r->evals, by_step);
    mem_free(names);
}

/* The first of two names that is there. */
static void read_either(struct run *r, struct evaluation *e, const char *name, const char *other)
{
    const char *const names[] = {name, other};
    *e = (struct evaluation){.step = -1, .data_sha256 = ""};
    for (int i = 0; i < 2 && names[i] && !e->n; i++) {
        struct str path = {0};
        path_join(&path, r->path, names[i]);
        r->no_memory = r->no_memory || path.failed;
        if (!path.failed && file_exists(str_text(&path)))
            read_noted(r, e, "", names[i]);
        str_free(&path);
    }
}

/* A JSON object of a small file; NULL: noted. */
static json_t *read_object(struct run *r, const char *path, const char *shown)
{
    struct str bytes = {0};
    struct err err = {0};
    json_t *json = NULL;
    int status = file_read(&bytes, path, &err);
    if (!status)
        json = json_read(str_text(&bytes), bytes.length, JSON_NUL_ALLOWED | JSON_BIG_INTEGERS,
                         shown, &err);
    if (err.code == ERR_MACHINE)
        r->no_memory = true;
    if (json && !json_is_object(json)) {
        json_decref(json);
        json = NULL;
        err_set(&err, ERR_INPUT, shown, "is no object");
    }
    if (!json)
        run_note(r, "%s: %s; it is left out", shown, err.message);
    str_free(&bytes);
    return json;
}

static int stage_place(const char *stage)
{
    int i = 0;
    while (run_stages[i] && strcmp(run_stages[i], stage) != 0)
        i++;
    return i;
}

static int by_stage(const void *a, const void *b)
{
    const struct gate_file *x = a, *y = b;
    int d = stage_place(x->stage) - stage_place(y->stage);
    return d ? d : strcmp(x->stage, y->stage);
}

static void read_gates(struct run *r)
{
    const char **names;
    size_t n = list_json(r, "gates", &names);
    r->gates = mem_calloc(n + 1, sizeof *r->gates);
    r->no_memory = r->no_memory || !r->gates;
    for (size_t i = 0; i < n && r->gates; i++) {
        struct str folder = {0}, path = {0};
        char shown[300];
        if (strcmp(names[i], "report.json") == 0)
            continue; /* of the report itself: a second one would differ from the first by it */
        snprintf(shown, sizeof shown, "gates/%.200s", names[i]);
        path_join(&folder, r->path, "gates");
        path_join(&path, str_text(&folder), names[i]);
        r->no_memory = r->no_memory || folder.failed || path.failed;
        json_t *json = read_object(r, str_text(&path), shown);
        str_free(&folder);
        str_free(&path);
        if (!json)
            continue;
        const char *stage = run_text(json, "stage"), *verdict = run_text(json, "verdict");
        if (!verdict)
            run_note(r, "%s: has no \"verdict\"", shown);
        char *own = stage ? NULL : arena_strndup(&r->arena, names[i], strlen(names[i]) - 5);
        r->gates[r->n_gates++] = (struct gate_file){stage ? stage
                                                    : own ? own
                                                          : "?",
                                                    verdict ? verdict : "unknown", json};
    }
    if (r->gates)
        qsort(r->gates, (size_t)r->n_gates, sizeof *r->gates, by_stage);
    mem_free(names);
}

static void read_about(struct run *r)
{
    struct str path = {0};
    path_join(&path, r->path, "run.json");
    r->no_memory = r->no_memory || path.failed;
    r->about = read_object(r, str_text(&path), "run.json");
    str_free(&path);
    const json_t *recipe = json_object_get(r->about, "recipe");
    r->recipe = json_is_object(recipe) ? recipe : NULL;
    const json_t *seed = json_object_get(r->about, "seed");
    r->seed = json_is_integer(seed) ? json_integer_value(seed) : -1;
}

static int check_folder(const char *path, struct err *err)
{
    struct str a = {0}, b = {0};
    path_join(&a, path, "run.json");
    path_join(&b, path, "metrics.jsonl");
    int status = ERR_NONE;
    if (a.failed || b.failed)
        status = err_no_memory(err, path, a.capacity);
    else if (!dir_exists(path))
        status =
            err_set(err, ERR_INPUT, path, "is no folder; expected a run folder of `grpo train`");
    else if (!file_exists(str_text(&a)) && !file_exists(str_text(&b)))
        status = err_set(err, ERR_INPUT, path,
                         "is no run folder: it holds neither run.json nor metrics.jsonl");
    str_free(&a);
    str_free(&b);
    return status;
}

static const char *last_part(struct run *r, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    char *copy = arena_strndup(&r->arena, path + from, n - from);
    r->no_memory = r->no_memory || !copy;
    return copy ? copy : path;
}

int run_read(struct run *r, const char *path, struct err *err)
{
    *r = (struct run){.path = path, .seed = -1};
    int status = check_folder(path, err);
    if (status)
        return status;
    r->name = last_part(r, path);
    read_about(r);
    read_series(r, &r->metrics, "metrics.jsonl");
    long steps = r->last_step;
    read_series(r, &r->timing, "timing.jsonl");
    r->last_step = steps;
    read_evals(r);
    read_either(r, &r->base, "eval/base.json", NULL);
    read_either(r, &r->best, "eval/best.json", NULL);
    read_either(r, &r->test_before, "eval/test-base.json", "test-before.json");
    read_either(r, &r->test_after, "eval/test-best.json", "test-after.json");
    read_gates(r);
    if (!r->no_memory)
        return ERR_NONE;
    run_free(r);
    return err_no_memory(err, path, 0);
}

void run_free(struct run *r)
{
    for (int i = 0; i < r->n_evals; i++)
        evaluation_free(&r->evals[i]);
    for (int i = 0; i < r->n_gates; i++)
        json_decref(r->gates[i].json);
    mem_free(r->evals);
    mem_free(r->gates);
    evaluation_free(&r->base);
    evaluation_free(&r->best);
    evaluation_free(&r->test_before);
    evaluation_free(&r->test_after);
    series_free(&r->metrics);
    series_free(&r->timing);
    json_decref(r->about);
    arena_free(&r->arena);
    *r = (struct run){0};
}
