/* result.c: rows to numbers; see result.h. */
#include "eval/result.h"
#include <math.h>
#include <string.h>
#include "base/mem.h"

int eval_result_begin(struct eval_result *r, size_t n, struct err *err)
{
    *r = (struct eval_result){.n_rows = n};
    struct arena *arena = r->storage = mem_calloc(1, sizeof *arena);
    r->rows = arena ? arena_alloc(arena, n * sizeof *r->rows) : NULL;
    if (!r->rows)
        return err_no_memory(err, "evaluation", n * sizeof *r->rows);
    memset(r->rows, 0, n * sizeof *r->rows);
    return ERR_NONE;
}

void eval_free(struct eval_result *r)
{
    if (r->storage)
        arena_free(r->storage);
    mem_free(r->storage);
    *r = (struct eval_result){0};
}

int eval_result_name_row(struct eval_result *r, size_t row, const char *id, const char *task,
                         struct err *err)
{
    if (!*task)
        task = "default";
    r->rows[row].id = arena_strndup(r->storage, id, strlen(id));
    r->rows[row].task = arena_strndup(r->storage, task, strlen(task));
    return r->rows[row].id && r->rows[row].task ? ERR_NONE
                                                : err_no_memory(err, "evaluation", strlen(id));
}

static int make_summary(struct eval_result *r, struct eval_summary *s, const char *name,
                        struct err *err)
{
    *s = (struct eval_summary){.name = name};
    size_t bytes = ((size_t)r->n_components + 1) * sizeof *s->components;
    s->components = arena_alloc(r->storage, bytes);
    return s->components ? ERR_NONE : err_no_memory(err, "evaluation", bytes);
}

int eval_result_tasks(struct eval_result *r, struct err *err)
{
    /* At most one task a row; the table is small, so a linear search does. */
    r->tasks = arena_alloc(r->storage, r->n_rows * sizeof *r->tasks);
    if (!r->tasks)
        return err_no_memory(err, "evaluation", r->n_rows * sizeof *r->tasks);
    for (size_t i = 0; i < r->n_rows; i++) {
        int t = 0;
        while (t < r->n_tasks && strcmp(r->tasks[t].name, r->rows[i].task) != 0)
            t++;
        r->rows[i].task_index = t;
        if (t < r->n_tasks)
            continue;
        int status = make_summary(r, &r->tasks[r->n_tasks++], r->rows[i].task, err);
        if (status)
            return status;
    }
    return make_summary(r, &r->overall, NULL, err);
}

const struct eval_summary *eval_task(const struct eval_result *r, const char *name)
{
    for (int t = 0; t < r->n_tasks; t++)
        if (strcmp(r->tasks[t].name, name) == 0)
            return &r->tasks[t];
    return NULL;
}

/* Lengths, truncation and component means of one task (−1: of all rows). */
static void describe(const struct eval_result *r, struct eval_summary *s, int task)
{
    long samples = 0, tokens = 0, cut = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        const struct eval_row *row = &r->rows[i];
        if (task >= 0 && row->task_index != task)
            continue;
        s->rows++;
        s->invalid_rows += !isfinite(row->value);
        for (int k = 0; row->samples && k < r->completions; k++) {
            samples++;
            tokens += row->samples[k].tokens;
            cut += row->samples[k].stop == STOP_LENGTH;
        }
    }
    s->mean_length = samples ? (double)tokens / (double)samples : NAN;
    s->truncated = samples ? (double)cut / (double)samples : NAN;
}

static void task_components(const struct eval_result *r, struct eval_summary *s, int task)
{
    for (int c = 0; c < r->n_components; c++) {
        double sum = 0, n = 0;
        for (size_t i = 0; i < r->n_rows; i++) {
            const struct eval_row *row = &r->rows[i];
            if (row->task_index != task || !isfinite(row->components[c]))
                continue;
            sum += row->components[c];
            n++;
        }
        s->components[c] = n > 0 ? sum / n : NAN;
    }
}

static void overall_components(struct eval_result *r)
{
    for (int c = 0; c < r->n_components; c++) {
        double sum = 0, n = 0;
        for (int t = 0; t < r->n_tasks; t++) {
            if (!isfinite(r->tasks[t].components[c]))
                continue;
            sum += r->tasks[t].components[c];
            n++;
        }
        r->overall.components[c] = n > 0 ? sum / n : NAN;
    }
}

int eval_result_summarise(struct eval_result *r, struct err *err)
{
    double *x = mem_alloc(r->n_rows * sizeof *x);
    int *stratum = mem_alloc(r->n_rows * sizeof *stratum);
    int status = x && stratum ? ERR_NONE : err_no_memory(err, "evaluation", r->n_rows * sizeof *x);
    for (int t = 0; t < r->n_tasks && !status; t++) {
        size_t n = 0;
        for (size_t i = 0; i < r->n_rows; i++)
            if (r->rows[i].task_index == t && isfinite(r->rows[i].value))
                x[n++] = r->rows[i].value;
        status = eval_numbers_of(&r->tasks[t].numbers, x, n, err);
        describe(r, &r->tasks[t], t);
        task_components(r, &r->tasks[t], t);
        r->overall.failed += r->tasks[t].failed;
    }
    size_t n = 0;
    for (size_t i = 0; i < r->n_rows && !status; i++)
        if (isfinite(r->rows[i].value)) {
            x[n] = r->rows[i].value;
            stratum[n++] = r->rows[i].task_index;
        }
    if (!status)
        status = eval_numbers_strata(&r->overall.numbers, x, stratum, n, r->n_tasks, err);
    if (!status) {
        describe(r, &r->overall, -1);
        overall_components(r);
    }
    mem_free(x);
    mem_free(stratum);
    return status;
}
