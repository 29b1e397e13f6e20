/* compare.c: paired comparison of two evaluations; see compare.h. */
#include "eval/compare.h"
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

/* Values of the rows that both sides have, in the order of `before`. */
struct pairs {
    double *before, *after, *gain; /* (n) */
    int *task;                     /* index in before->tasks */
    size_t n, excluded;
};

static int pairs_alloc(struct pairs *p, size_t n, struct err *err)
{
    *p = (struct pairs){.before = mem_alloc(n * sizeof *p->before),
                        .after = mem_alloc(n * sizeof *p->after),
                        .gain = mem_alloc(n * sizeof *p->gain),
                        .task = mem_alloc(n * sizeof *p->task)};
    if (p->before && p->after && p->gain && p->task)
        return ERR_NONE;
    return err_no_memory(err, "the comparison", 4 * n * sizeof *p->before);
}

static void pairs_free(struct pairs *p)
{
    mem_free(p->before);
    mem_free(p->after);
    mem_free(p->gain);
    mem_free(p->task);
}

static int different(const char *id, const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT, "compare",
                   "row \"%.80s\" %s: only evaluations of the same rows can be paired", id, what);
}

static int index_rows(struct map *ids, const struct eval_result *r, struct err *err)
{
    for (size_t i = 0; i < r->n_rows; i++) {
        const char *id = r->rows[i].id;
        if (map_get(ids, id, strlen(id), NULL))
            return different(id, "appears twice", err);
        if (!map_put(ids, id, strlen(id), (int32_t)i))
            return err_no_memory(err, "the comparison", r->n_rows);
    }
    return ERR_NONE;
}

static int pair_rows(struct pairs *p, const struct eval_result *before,
                     const struct eval_result *after, const struct map *ids, struct err *err)
{
    for (size_t i = 0; i < before->n_rows; i++) {
        const struct eval_row *b = &before->rows[i];
        int32_t at;
        if (!map_get(ids, b->id, strlen(b->id), &at))
            return different(b->id, "is only in the first", err);
        const struct eval_row *a = &after->rows[at];
        if (strcmp(a->task, b->task) != 0)
            return different(b->id, "has two different tasks", err);
        if (!isfinite(a->value) || !isfinite(b->value)) {
            p->excluded++;
            continue;
        }
        p->before[p->n] = b->value;
        p->after[p->n] = a->value;
        p->gain[p->n] = a->value - b->value;
        p->task[p->n++] = b->task_index;
    }
    if (before->n_rows == after->n_rows)
        return ERR_NONE;
    return err_set(err, ERR_INPUT, "compare",
                   "the first has %zu rows, the second %zu: only evaluations of the same rows can "
                   "be paired",
                   before->n_rows, after->n_rows);
}

static int task_numbers(struct eval_numbers *out, const struct pairs *p, const double *x, int task,
                        double *scratch, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->task[i] == task)
            scratch[n++] = x[i];
    return eval_numbers_of(out, scratch, n, err);
}

static int fill(struct eval_comparison *c, const struct eval_result *before, const struct pairs *p,
                double *scratch, struct err *err)
{
    const double *x[3] = {p->before, p->after, p->gain};
    int status = ERR_NONE;
    for (int t = 0; t < c->n_tasks; t++) {
        struct eval_gain *g = &c->tasks[t];
        struct eval_numbers *out[3] = {&g->before, &g->after, &g->gain};
        g->name = before->tasks[t].name;
        for (int k = 0; k < 3 && !status; k++)
            status = task_numbers(out[k], p, x[k], t, scratch, err);
    }
    struct eval_numbers *out[3] = {&c->overall.before, &c->overall.after, &c->overall.gain};
    for (int k = 0; k < 3 && !status; k++)
        status = eval_numbers_strata(out[k], x[k], p->task, p->n, c->n_tasks, err);
    c->excluded = p->excluded;
    return status;
}

/* --- components: the same pairing, component by component within a task --- */

static int component_of(const struct eval_result *r, const char *name)
{
    for (int c = 0; c < r->n_components; c++) {
        if (strcmp(r->components[c], name) == 0)
            return c;
    }
    return -1;
}

static size_t pair_component(struct pairs *p, const struct eval_result *before,
                             const struct eval_result *after, const struct map *ids, int task,
                             const int component[2])
{
    size_t n = 0;
    for (size_t i = 0; i < before->n_rows; i++) {
        const struct eval_row *b = &before->rows[i];
        int32_t at = 0;
        if (b->task_index != task || !map_get(ids, b->id, strlen(b->id), &at))
            continue;
        const struct eval_row *a = &after->rows[at];
        if (!b->components || !a->components || !isfinite(b->components[component[0]]) ||
            !isfinite(a->components[component[1]]))
            continue;
        p->before[n] = b->components[component[0]];
        p->after[n] = a->components[component[1]];
        p->gain[n] = p->after[n] - p->before[n];
        n++;
    }
    return n;
}

static int fill_components(struct eval_comparison *c, const struct eval_result *before,
                           const struct eval_result *after, const struct map *ids, struct pairs *p,
                           struct err *err)
{
    size_t most = (size_t)before->n_components * (size_t)before->n_tasks + 1;
    c->components = mem_calloc(most, sizeof *c->components);
    if (!c->components)
        return err_no_memory(err, "the comparison", most * sizeof *c->components);
    int status = ERR_NONE;
    for (int t = 0; t < before->n_tasks; t++) {
        for (int k = 0; k < before->n_components && !status; k++) {
            int component[2] = {k, component_of(after, before->components[k])};
            size_t n = component[1] < 0 ? 0 : pair_component(p, before, after, ids, t, component);
            if (!n)
                continue;
            struct eval_component_gain *g = &c->components[c->n_components++];
            *g = (struct eval_component_gain){before->tasks[t].name,
                                              {.name = before->components[k]}};
            status = eval_numbers_of(&g->gain.before, p->before, n, err);
            if (!status)
                status = eval_numbers_of(&g->gain.after, p->after, n, err);
            if (!status)
                status = eval_numbers_of(&g->gain.gain, p->gain, n, err);
        }
    }
    return status;
}

int eval_compare(struct eval_comparison *out, const struct eval_result *before,
                 const struct eval_result *after, struct err *err)
{
    *out = (struct eval_comparison){.n_tasks = before->n_tasks};
    if (strcmp(before->data_sha256, after->data_sha256) != 0)
        return err_set(err, ERR_INPUT, "compare",
                       "the first was made on data %.12s…, the second on %.12s… (SHA-256): only "
                       "evaluations of the same rows can be paired",
                       before->data_sha256, after->data_sha256);
    struct pairs p;
    struct map ids = {0}, ids_before = {0}; /* the second only shows that no id comes twice */
    out->tasks = mem_calloc((size_t)before->n_tasks + 1, sizeof *out->tasks);
    double *scratch = mem_alloc(before->n_rows * sizeof *scratch);
    int status = pairs_alloc(&p, before->n_rows, err);
    if (!status && (!scratch || !out->tasks))
        status = err_no_memory(err, "the comparison", before->n_rows);
    if (!status)
        status = index_rows(&ids, after, err);
    if (!status)
        status = index_rows(&ids_before, before, err);
    if (!status)
        status = pair_rows(&p, before, after, &ids, err);
    if (!status)
        status = fill(out, before, &p, scratch, err);
    if (!status)
        status = fill_components(out, before, after, &ids, &p, err);
    pairs_free(&p);
    mem_free(scratch);
    map_free(&ids);
    map_free(&ids_before);
    if (status)
        eval_comparison_free(out);
    return status;
}

void eval_comparison_free(struct eval_comparison *c)
{
    mem_free(c->tasks);
    mem_free(c->components);
    *c = (struct eval_comparison){0};
}

static void put_gain(struct json_writer *w, const struct eval_gain *g)
{
    static const char *const names[] = {"before", "after", "gain"};
    const struct eval_numbers *numbers[] = {&g->before, &g->after, &g->gain};
    jw_object_begin(w);
    for (int k = 0; k < 3; k++) {
        jw_key(w, names[k]);
        jw_object_begin(w);
        eval_numbers_json(w, numbers[k]);
        jw_object_end(w);
    }
    jw_object_end(w);
}

void eval_comparison_json(struct str *out, const struct eval_comparison *c)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "tasks");
    jw_object_begin(&w);
    for (int t = 0; t < c->n_tasks; t++) {
        jw_key(&w, c->tasks[t].name);
        put_gain(&w, &c->tasks[t]);
    }
    jw_object_end(&w);
    jw_key(&w, "overall");
    put_gain(&w, &c->overall);
    jw_key(&w, "components");
    jw_object_begin(&w);
    for (int i = 0; i < c->n_components; i++) {
        bool first = i == 0 || strcmp(c->components[i - 1].task, c->components[i].task) != 0;
        if (first && i)
            jw_object_end(&w);
        if (first) {
            jw_key(&w, c->components[i].task);
            jw_object_begin(&w);
        }
        jw_key(&w, c->components[i].gain.name);
        put_gain(&w, &c->components[i].gain);
    }
    if (c->n_components)
        jw_object_end(&w);
    jw_object_end(&w);
    jw_key(&w, "excluded");
    jw_int(&w, (long long)c->excluded);
    jw_object_end(&w);
    str_putc(out, '\n');
}

static void put_cell(struct str *out, const struct eval_numbers *s, bool sign)
{
    str_printf(out, sign ? "  %+.3f [%+.3f, %+.3f]" : "  %.3f [%.3f, %.3f]", s->mean, s->t95.low,
               s->t95.high);
}

static void table_row(struct str *out, const struct eval_gain *g)
{
    struct str name = {0};
    const char *title = g->name ? g->name : "overall";
    log_printable(&name, title, strlen(title), 16);
    str_printf(out, "%-16s %4zu", str_text(&name), g->gain.n);
    put_cell(out, &g->before, false);
    put_cell(out, &g->after, false);
    put_cell(out, &g->gain, true);
    str_putc(out, '\n');
    str_free(&name);
}

void eval_comparison_table(struct str *out, const struct eval_comparison *c)
{
    str_puts(out, "task                n  before [95% t]        after [95% t]         gain [95%, "
                  "paired]\n");
    for (int t = 0; t < c->n_tasks; t++)
        table_row(out, &c->tasks[t]);
    table_row(out, &c->overall);
    if (c->excluded)
        str_printf(out, "%zu rows have no value on one side and are left out.\n", c->excluded);
}

void eval_comparison_components(struct str *out, const struct eval_comparison *c)
{
    str_puts(out, "task             component                     n  before   after  gain [95%, "
                  "paired]\n");
    for (int i = 0; i < c->n_components; i++) {
        const struct eval_gain *g = &c->components[i].gain;
        struct str task = {0}, name = {0};
        log_printable(&task, c->components[i].task, strlen(c->components[i].task), 16);
        log_printable(&name, g->name, strlen(g->name), 26);
        str_printf(out, "%-16s %-26s %4zu  %6.3f  %6.3f", str_text(&task), str_text(&name),
                   g->gain.n, g->before.mean, g->after.mean);
        put_cell(out, &g->gain, true);
        str_putc(out, '\n');
        str_free(&task);
        str_free(&name);
    }
}

static void example_line(struct str *out, const char *when, const struct eval_row *row)
{
    str_printf(out, "  %-6s %.3f  ", when, row->value);
    if (row->samples)
        log_printable(out, row->samples->text, row->samples->text_length, 400);
    else
        str_puts(out, "(the file holds no text)");
    str_putc(out, '\n');
}

void eval_comparison_examples(struct str *out, const struct eval_result *before,
                              const struct eval_result *after, int per_task)
{
    for (int t = 0; t < before->n_tasks; t++) {
        int shown = 0;
        for (size_t i = 0; i < before->n_rows && shown < per_task; i++) {
            if (before->rows[i].task_index != t)
                continue;
            str_printf(out, "\n%s, row %s\n", before->tasks[t].name, before->rows[i].id);
            example_line(out, "before", &before->rows[i]);
            example_line(out, "after", &after->rows[i]);
            shown++;
        }
    }
}
