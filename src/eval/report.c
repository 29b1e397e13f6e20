/* report.c: an evaluation as JSON, as a table, and read back; see eval.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "eval/result.h"

/* --- JSON --- */

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    if (text)
        jw_text(w, text);
    else
        jw_null(w);
}

static void put_number(struct json_writer *w, const char *key, double value)
{
    jw_key(w, key);
    jw_double(w, value);
}

static void put_integer(struct json_writer *w, const char *key, long long value)
{
    jw_key(w, key);
    jw_int(w, value);
}

/* Absent components are left out. */
static void put_components(struct json_writer *w, const struct eval_result *r, const double *values)
{
    jw_key(w, "components");
    jw_object_begin(w);
    for (int c = 0; c < r->n_components; c++)
        if (isfinite(values[c]))
            put_number(w, r->components[c], values[c]);
    jw_object_end(w);
}

static void put_summary(struct json_writer *w, const struct eval_result *r,
                        const struct eval_summary *s)
{
    jw_object_begin(w);
    eval_numbers_json(w, &s->numbers);
    put_integer(w, "rows", (long long)s->rows);
    put_integer(w, "invalid", (long long)s->invalid_rows);
    put_integer(w, "failed", s->failed);
    put_number(w, "truncated", s->truncated);
    put_number(w, "mean_length", s->mean_length);
    put_components(w, r, s->components);
    jw_object_end(w);
}

static void put_sample(struct json_writer *w, const struct eval_sample *s)
{
    jw_key(w, "text");
    jw_string(w, s->text, s->text_length);
    put_text(w, "stop_reason", stop_reason_name(s->stop));
    put_integer(w, "length", s->tokens);
}

static void put_row(struct json_writer *w, const struct eval_result *r, const struct eval_row *row)
{
    jw_object_begin(w);
    put_text(w, "id", row->id);
    put_text(w, "task", row->task);
    put_number(w, "value", row->value);
    if (row->samples && r->completions == 1)
        put_sample(w, row->samples);
    if (row->samples && r->completions > 1) {
        jw_key(w, "samples");
        jw_array_begin(w);
        for (int k = 0; k < r->completions; k++) {
            jw_object_begin(w);
            put_number(w, "value", row->samples[k].value);
            put_sample(w, &row->samples[k]);
            jw_object_end(w);
        }
        jw_array_end(w);
    }
    if (row->components)
        put_components(w, r, row->components);
    jw_object_end(w);
}

void eval_json(struct str *out, const struct eval_result *r, const struct eval_about *about,
               bool with_rows)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    put_text(&w, "model", about->model);
    put_text(&w, "adapter", about->adapter);
    put_text(&w, "data", about->data);
    put_text(&w, "data_sha256", r->data_sha256);
    if (about->step >= 0)
        put_integer(&w, "step", about->step);
    put_number(&w, "temperature", r->temperature);
    put_integer(&w, "completions", r->completions);
    put_integer(&w, "max_new_tokens", r->max_new_tokens);
    jw_key(&w, "seed");
    str_printf(out, "%llu", (unsigned long long)r->seed);
    w.comma = true;
    jw_key(&w, "tasks");
    jw_object_begin(&w);
    for (int t = 0; t < r->n_tasks; t++) {
        jw_key(&w, r->tasks[t].name);
        put_summary(&w, r, &r->tasks[t]);
    }
    jw_object_end(&w);
    jw_key(&w, "overall");
    put_summary(&w, r, &r->overall);
    if (with_rows) {
        jw_key(&w, "rows");
        jw_array_begin(&w);
        for (size_t i = 0; i < r->n_rows; i++)
            put_row(&w, r, &r->rows[i]);
        jw_array_end(&w);
    }
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* --- table --- */

static void table_row(struct str *out, const struct eval_summary *s)
{
    struct str name = {0};
    log_printable(&name, s->name ? s->name : "overall", strlen(s->name ? s->name : "overall"), 16);
    const struct eval_numbers *n = &s->numbers;
    str_printf(out, "%-16s %5zu  %7.4f  [%7.4f, %7.4f]  %7.4f  %8.1f%%  %7.1f", str_text(&name),
               n->n, n->mean, n->t95.low, n->t95.high, n->sd, 100 * s->truncated, s->mean_length);
    if (s->invalid_rows)
        str_printf(out, "  (%zu of %zu rows have no value)", s->invalid_rows, s->rows);
    str_putc(out, '\n');
    str_free(&name);
}

void eval_table(struct str *out, const struct eval_result *r)
{
    str_puts(out, "task                 n     mean  95% t interval           sd  truncated   "
                  "length\n");
    for (int t = 0; t < r->n_tasks; t++)
        table_row(out, &r->tasks[t]);
    table_row(out, &r->overall);
    if (r->overall.failed)
        str_printf(out, "%ld rewards failed (machinery, not completions); they are left out.\n",
                   r->overall.failed);
}

/* --- reading back --- */

/* The text of a row's first completion, where the file has it. */
static int read_text(struct eval_result *r, size_t i, const json_t *row, const char *where,
                     struct err *err)
{
    const json_t *first = json_array_get(json_object_get(row, "samples"), 0);
    const json_t *text = json_object_get(first ? first : row, "text");
    if (!json_is_string(text))
        return ERR_NONE;
    struct eval_sample *sample = arena_alloc(r->storage, sizeof *sample);
    if (!sample)
        return err_no_memory(err, where, sizeof *sample);
    *sample = (struct eval_sample){.text_length = json_string_length(text), .value = NAN};
    sample->text = arena_strndup(r->storage, json_string_value(text), sample->text_length);
    r->rows[i].samples = sample;
    return sample->text ? ERR_NONE : err_no_memory(err, where, sample->text_length);
}

/* A file names components row by row; most rows of a task name the same ones. */
static int component_index(const struct eval_result *r, const char *name)
{
    for (int c = 0; c < r->n_components; c++) {
        if (strcmp(r->components[c], name) == 0)
            return c;
    }
    return -1;
}

static int read_component_names(struct eval_result *r, const json_t *rows, struct err *err)
{
    enum { MOST = 1024 };
    size_t i;
    const json_t *row;
    r->components = arena_alloc(r->storage, MOST * sizeof *r->components);
    bool room = r->components != NULL;
    json_array_foreach(rows, i, row)
    {
        json_t *object = json_object_get(row, "components"), *value;
        const char *name;
        json_object_foreach(object, name, value)
        {
            if (!room || r->n_components == MOST || component_index(r, name) >= 0)
                continue;
            char *copy = arena_strndup(r->storage, name, strlen(name));
            room = copy != NULL;
            if (room)
                r->components[r->n_components++] = copy;
        }
    }
    return room ? ERR_NONE : err_no_memory(err, "evaluation", MOST * sizeof *r->components);
}

static int read_components(struct eval_result *r, size_t i, const json_t *row, const char *where,
                           struct err *err)
{
    size_t n = (size_t)r->n_components + 1;
    double *values = arena_alloc(r->storage, n * sizeof *values);
    if (!values)
        return err_no_memory(err, where, n * sizeof *values);
    for (size_t c = 0; c < n; c++)
        values[c] = NAN;
    json_t *object = json_object_get(row, "components"), *value;
    const char *name;
    json_object_foreach(object, name, value)
    {
        int c = component_index(r, name);
        if (c >= 0 && json_is_number(value))
            values[c] = json_number_value(value);
    }
    r->rows[i].components = values;
    return ERR_NONE;
}

static int read_row(struct eval_result *r, size_t i, const json_t *row, const char *where,
                    struct err *err)
{
    char place[300];
    snprintf(place, sizeof place, "%.200s, row %zu", where, i);
    const char *id, *task;
    double value = NAN;
    int status = json_get_string(&id, row, "id", true, place, err);
    if (!status)
        status = json_get_string(&task, row, "task", true, place, err);
    if (!status)
        status = json_get_double(&value, row, "value", false, place, err);
    if (!status)
        status = eval_result_name_row(r, i, id, task, err);
    r->rows[i].value = value;
    if (!status)
        status = read_components(r, i, row, place, err);
    return status ? status : read_text(r, i, row, place, err);
}

static int read_result(struct eval_result *r, const json_t *root, const char *where,
                       struct err *err)
{
    const json_t *rows = json_object_get(root, "rows");
    if (!json_array_size(rows))
        return err_set(err, ERR_INPUT, where,
                       "has no \"rows\"; expected a file of a run's eval folder or of `grpo eval "
                       "--out`");
    int status = eval_result_begin(r, json_array_size(rows), err);
    const char *sha = "";
    if (!status)
        status = json_get_string(&sha, root, "data_sha256", true, where, err);
    if (!status)
        snprintf(r->data_sha256, sizeof r->data_sha256, "%s", sha);
    if (!status)
        status = read_component_names(r, rows, err);
    for (size_t i = 0; i < r->n_rows && !status; i++)
        status = read_row(r, i, json_array_get(rows, i), where, err);
    if (!status)
        status = eval_result_tasks(r, err);
    return status ? status : eval_result_summarise(r, err);
}

int eval_read(struct eval_result *out, const char *path, struct err *err)
{
    struct str bytes = {0};
    *out = (struct eval_result){0};
    int status = file_read(&bytes, path, err);
    json_t *root =
        status ? NULL : json_read(str_text(&bytes), bytes.length, JSON_NUL_ALLOWED, path, err);
    if (!status && !root)
        status = (int)err->code;
    if (!status)
        status = read_result(out, root, path, err);
    json_decref(root);
    str_free(&bytes);
    if (status)
        eval_free(out);
    return status;
}
