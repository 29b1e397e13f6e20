/* gains.c: see gains.h.
 *
 * One line's numbers come from one function, whether it is a task (one stratum) or the mean of the
 * task means (a stratum a task): the stratified formulas with one stratum are the plain ones.
 *
 * A verdict other than "cannot tell" needs all of them on one side of zero: the paired interval
 * over prompts by t and by BCa, the bootstrap over prompts and seeds, with several seeds the t
 * interval over seeds, and a permutation test's p below 0.05, of a task after Holm's correction.
 * Several readings of one number that disagree are no finding.
 */
#include "report/gains.h"
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "stats/holm.h"
#include "stats/permutation.h"
#include "stats/power.h"

enum { RESAMPLES = 4000, SIGNS = 20000, SEED = 0, MOST_TASKS = 256, MOST_SEEDS = 64 };

/* --- pairing --- */

static const struct report_row *find_row(const struct evaluation *e, const struct report_row *row)
{
    int32_t i;
    if (!map_get(&e->index, row->id, strlen(row->id), &i))
        return NULL;
    return strcmp(e->rows[i].task, row->task) == 0 ? &e->rows[i] : NULL;
}

static int check_same(const struct evaluation *a, const struct evaluation *b, struct err *err)
{
    if (*a->data_sha256 && *b->data_sha256 && strcmp(a->data_sha256, b->data_sha256) != 0)
        return err_set(err, ERR_INPUT, "",
                       "evaluations of different files of rows (SHA-256 %.12s… and %.12s…) cannot "
                       "be compared row by row",
                       a->data_sha256, b->data_sha256);
    if (a->n != b->n)
        return err_set(err, ERR_INPUT, "",
                       "evaluations of %zu and %zu rows cannot be compared row by row", a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (!find_row(b, &a->rows[i]))
            return err_set(
                err, ERR_INPUT, "",
                "row \"%.80s\" of task \"%.40s\" is in one evaluation and not in another",
                a->rows[i].id, a->rows[i].task);
    return ERR_NONE;
}

static int task_place(struct pairs *p, const char *task)
{
    for (int t = 0; t < p->n_tasks; t++)
        if (strcmp(p->tasks[t], task) == 0)
            return t;
    if (p->n_tasks == MOST_TASKS)
        return -1;
    p->tasks[p->n_tasks] = task;
    return p->n_tasks++;
}

/* Takes the row of each evaluation as prompt p->n; false: one has no value. The task of one that is
 * too many is −1. */
static bool take_prompt(struct pairs *p, const struct evaluation *const *before,
                        const struct evaluation *const *after, const struct report_row *row,
                        size_t stride)
{
    for (int s = 0; s < p->seeds; s++) {
        const struct report_row *b = find_row(before[s], row), *a = find_row(after[s], row);
        if (isnan(b->value) || isnan(a->value))
            return false;
        size_t at = (size_t)s * stride + p->n;
        p->row_before[at] = b;
        p->row_after[at] = a;
        p->before[at] = b->value;
        p->after[at] = a->value;
    }
    p->task[p->n++] = task_place(p, row->task);
    return true;
}

/* From rows of `stride` to rows of n, in place. */
static void pack(struct pairs *p, size_t stride)
{
    for (size_t s = 1; s < (size_t)p->seeds; s++) {
        memmove(p->before + s * p->n, p->before + s * stride, p->n * sizeof *p->before);
        memmove(p->after + s * p->n, p->after + s * stride, p->n * sizeof *p->after);
        memmove(p->row_before + s * p->n, p->row_before + s * stride, p->n * sizeof *p->row_before);
        memmove(p->row_after + s * p->n, p->row_after + s * stride, p->n * sizeof *p->row_after);
    }
}

int pairs_make(struct pairs *p, const struct evaluation *const *before,
               const struct evaluation *const *after, int seeds, struct err *err)
{
    *p = (struct pairs){.seeds = seeds};
    CHECK(seeds <= MOST_SEEDS);
    int status = ERR_NONE;
    for (int s = 0; s < seeds && !status; s++) {
        status = check_same(before[0], before[s], err);
        if (!status)
            status = check_same(before[0], after[s], err);
    }
    if (status)
        return status;
    size_t rows = before[0]->n, all = rows * (size_t)seeds;
    p->tasks = mem_calloc(rows, sizeof *p->tasks);
    p->task = mem_calloc(rows, sizeof *p->task);
    p->before = mem_calloc(all, sizeof *p->before);
    p->after = mem_calloc(all, sizeof *p->after);
    p->row_before = mem_calloc(all, sizeof *p->row_before);
    p->row_after = mem_calloc(all, sizeof *p->row_after);
    if (!p->tasks || !p->task || !p->before || !p->after || !p->row_before || !p->row_after)
        return err_no_memory(err, "the pairs", all * sizeof *p->before);
    for (size_t i = 0; i < rows; i++) {
        bool taken = take_prompt(p, before, after, &before[0]->rows[i], rows);
        p->left_out += !taken;
        if (taken && p->task[p->n - 1] < 0)
            return err_set(err, ERR_INPUT, "", "evaluations of more than %d tasks", MOST_TASKS);
    }
    pack(p, rows);
    return p->n ? ERR_NONE
                : err_set(err, ERR_INPUT, "", "no row has a value in all evaluations compared");
}

void pairs_free(struct pairs *p)
{
    mem_free(p->tasks);
    mem_free(p->task);
    mem_free(p->before);
    mem_free(p->after);
    mem_free(p->row_before);
    mem_free(p->row_after);
    *p = (struct pairs){0};
}

/* --- estimates --- */

/* Each prompt's mean over seeds into out (prompts). */
static void over_seeds(double *out, const struct bootstrap_table *t)
{
    for (size_t i = 0; i < t->prompts; i++) {
        out[i] = 0;
        for (size_t s = 0; s < t->seeds; s++)
            out[i] += t->values[s * t->prompts + i] / (double)t->seeds;
    }
}

int estimate_make(struct estimate *e, const struct bootstrap_table *t, struct err *err)
{
    *e = (struct estimate){NAN, {NAN, NAN}, t->prompts};
    if (t->seeds < 2) {
        struct stratified s = stats_stratified(t->values, t->stratum, t->prompts, t->strata);
        e->value = s.mean;
        e->ci = s.ci;
        return ERR_NONE;
    }
    struct bootstrap_gain gain;
    int status = bootstrap_hierarchical(&gain, t, RESAMPLES, SEED, err);
    if (!status) {
        e->value = gain.mean;
        e->ci = gain.ci;
    }
    return status;
}

/* --- a line --- */

/* The prompts of a line: values before, after and of the difference as tables, and room. */
struct work {
    size_t n;
    int seeds, strata;
    int *stratum;
    double *before, *after, *gain; /* [seeds][n] */
    double *mean;                  /* (n) */
};

static int work_open(struct work *w, const struct pairs *p, struct err *err)
{
    size_t all = p->n * (size_t)p->seeds;
    *w = (struct work){.seeds = p->seeds};
    w->stratum = mem_calloc(p->n, sizeof *w->stratum);
    w->before = mem_calloc(all, sizeof *w->before);
    w->after = mem_calloc(all, sizeof *w->after);
    w->gain = mem_calloc(all, sizeof *w->gain);
    w->mean = mem_calloc(p->n, sizeof *w->mean);
    return w->stratum && w->before && w->after && w->gain && w->mean
               ? ERR_NONE
               : err_no_memory(err, "the gains", all * sizeof *w->gain);
}

static void work_close(struct work *w)
{
    mem_free(w->stratum);
    mem_free(w->before);
    mem_free(w->after);
    mem_free(w->gain);
    mem_free(w->mean);
}

/* task −1: all of them, a stratum each. */
static void work_select(struct work *w, const struct pairs *p, int task)
{
    w->n = 0;
    w->strata = task < 0 ? p->n_tasks : 1;
    for (size_t i = 0; i < p->n; i++)
        if (task < 0 || p->task[i] == task)
            w->stratum[w->n++] = task < 0 ? p->task[i] : 0;
    for (size_t s = 0; s < (size_t)p->seeds; s++) {
        size_t to = s * w->n;
        for (size_t i = 0; i < p->n; i++) {
            if (task >= 0 && p->task[i] != task)
                continue;
            w->before[to] = p->before[s * p->n + i];
            w->after[to] = p->after[s * p->n + i];
            w->gain[to] = w->after[to] - w->before[to];
            to++;
        }
    }
}

static struct bootstrap_table table_of(const struct work *w, const double *values)
{
    return (struct bootstrap_table){values, (size_t)w->seeds, w->n, w->stratum, w->strata};
}

/* The stratified mean and interval of each prompt's mean over seeds, which stay in w->mean. */
static struct stratified over_prompts(struct work *w, const double *values)
{
    struct bootstrap_table t = table_of(w, values);
    over_seeds(w->mean, &t);
    return stats_stratified(w->mean, w->stratum, w->n, w->strata);
}

static void seed_means(double *out, const struct work *w, const double *values)
{
    for (int s = 0; s < w->seeds; s++)
        out[s] = stats_stratified(values + (size_t)s * w->n, w->stratum, w->n, w->strata).mean;
}

static int bca(struct interval *out, const struct work *w, const struct stratified *s,
               struct err *err)
{
    *out = (struct interval){NAN, NAN};
    if (!isfinite(s->se)) /* a task of one row: no interval can be stated, by no method */
        return ERR_NONE;
    return bootstrap_bca_strata(out, w->mean, w->stratum, w->n, w->strata, RESAMPLES, SEED, err);
}

/* p of the mean of task means: each difference weighs 1 over its task's prompts. */
static int test_gain(struct gain_line *l, struct work *w, struct err *err)
{
    size_t count[MOST_TASKS] = {0};
    for (size_t i = 0; i < w->n; i++)
        count[w->stratum[i]]++;
    for (size_t i = 0; i < w->n; i++)
        w->mean[i] /= (double)count[w->stratum[i]];
    struct permutation test;
    int status = permutation_paired(&test, w->mean, w->n, SIGNS, SEED, err);
    l->p = l->p_holm = status ? NAN : test.p;
    return status;
}

static int fill_line(struct gain_line *l, struct work *w, struct err *err)
{
    double seed_gain[MOST_SEEDS];
    l->n = w->n;
    seed_means(l->seed_before, w, w->before);
    seed_means(l->seed_after, w, w->after);
    for (int s = 0; s < w->seeds; s++)
        seed_gain[s] = l->seed_after[s] - l->seed_before[s];
    l->after_seeds = stats_t_interval(l->seed_after, (size_t)w->seeds);
    l->gain_seeds = stats_t_interval(seed_gain, (size_t)w->seeds);
    struct stratified before = over_prompts(w, w->before);
    l->before = before.mean;
    l->before_t = before.ci;
    struct stratified after = over_prompts(w, w->after);
    l->after = after.mean;
    l->after_t = after.ci;
    l->after_normal = (struct interval){after.mean - 1.96 * after.se, after.mean + 1.96 * after.se};
    int status = bca(&l->after_bca, w, &after, err);
    if (status)
        return status;
    struct stratified gain = over_prompts(w, w->gain);
    l->gain = gain.mean;
    l->gain_t = gain.ci;
    l->changed = 0;
    for (size_t i = 0; i < w->n; i++)
        l->changed += w->mean[i] != 0;
    struct bootstrap_table t = table_of(w, w->gain);
    status = bca(&l->gain_bca, w, &gain, err);
    if (!status)
        status = bootstrap_hierarchical(&l->gain_both, &t, RESAMPLES, SEED, err);
    return status ? status : test_gain(l, w, err);
}

/* --- verdicts --- */

/* −1 or 1: the side of zero the interval is on; 0: it holds zero, or is no interval. */
static int side(struct interval ci)
{
    return ci.low > 0 ? 1 : ci.high < 0 ? -1 : 0;
}

static void judge(struct gain_line *l, int seeds)
{
    struct verdict prompts = verdict_of(l->gain_t, l->gain, l->n);
    struct verdict over = verdict_of(l->gain_seeds, l->gain, (size_t)seeds);
    int where = side(l->gain_t);
    l->detectable = l->changed < VERDICT_LEAST_CHANGED ? NAN : prompts.detectable;
    l->prompts_needed = l->seeds_needed = NAN;
    l->why = "";
    if (isnan(l->gain_t.low))
        l->why = "too few prompts for an interval";
    else if (!where)
        l->why = "the interval over prompts holds 0";
    else if (seeds > 1 && side(l->gain_seeds) != where)
        l->why = "the interval over seeds holds 0";
    else if (side(l->gain_bca) != where)
        l->why = "the BCa interval over prompts holds 0";
    else if (side(l->gain_both.ci) != where)
        l->why = "the interval over prompts and seeds holds 0";
    else if (!(l->p_holm < POWER_ALPHA))
        l->why =
            l->name ? "Holm's p is not below 0.05" : "the permutation test's p is not below 0.05";
    bool told = !*l->why;
    l->verdict = !told ? VERDICT_CANNOT_TELL : where > 0 ? VERDICT_IMPROVED : VERDICT_WORSE;
    if (told)
        return;
    if (!where || !(l->p_holm < POWER_ALPHA))
        l->prompts_needed = prompts.needed;
    else if (side(l->gain_bca) != where)
        l->prompts_needed = verdict_of(l->gain_bca, l->gain, l->n).needed;
    if (seeds > 1 && side(l->gain_seeds) == 0)
        l->seeds_needed = over.needed;
}

static int make_lines(struct gains *g, const struct pairs *p, struct work *w, struct err *err)
{
    double raw[MOST_TASKS], adjusted[MOST_TASKS];
    int status = ERR_NONE;
    for (int t = -1; t < p->n_tasks && !status; t++) {
        struct gain_line *l = t < 0 ? &g->all : &g->tasks[t];
        l->name = t < 0 ? NULL : p->tasks[t];
        l->seed_before = mem_calloc(2 * (size_t)p->seeds, sizeof *l->seed_before);
        if (!l->seed_before)
            return err_no_memory(err, "the gains", 0);
        l->seed_after = l->seed_before + p->seeds;
        work_select(w, p, t);
        status = fill_line(l, w, err);
        if (t >= 0)
            raw[t] = l->p;
    }
    if (status)
        return status;
    holm_adjust(adjusted, raw, (size_t)p->n_tasks);
    for (int t = 0; t < p->n_tasks; t++) {
        g->tasks[t].p_holm = adjusted[t];
        judge(&g->tasks[t], p->seeds);
    }
    judge(&g->all, p->seeds);
    return ERR_NONE;
}

int gains_make(struct gains *g, const struct pairs *p, struct err *err)
{
    struct work w;
    *g = (struct gains){.seeds = p->seeds, .n_tasks = p->n_tasks};
    g->tasks = mem_calloc((size_t)p->n_tasks, sizeof *g->tasks);
    int status = work_open(&w, p, err);
    if (!status && !g->tasks)
        status = err_no_memory(err, "the gains", 0);
    if (!status)
        status = make_lines(g, p, &w, err);
    work_close(&w);
    return status;
}

void gains_free(struct gains *g)
{
    for (int t = 0; g->tasks && t < g->n_tasks; t++)
        mem_free(g->tasks[t].seed_before);
    mem_free(g->tasks);
    mem_free(g->all.seed_before);
    *g = (struct gains){0};
}
