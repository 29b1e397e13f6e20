/* findings.c: the best steps, the sets of results, what every part needs; see findings.h. */
#include "report/findings.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- texts --- */

static const char *text_of(struct findings *f, const char *format, va_list args)
{
    struct str text = {0};
    char small[1200];
    vsnprintf(small, sizeof small, format, args);
    str_puts(&text, small);
    char *copy = text.failed ? NULL : arena_strndup(&f->arena, str_text(&text), text.length);
    str_free(&text);
    f->no_memory = f->no_memory || !copy;
    return copy ? copy : "";
}

const char *findings_text(struct findings *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = text_of(f, format, args);
    va_end(args);
    return text;
}

void findings_warn(struct findings *f, int run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = text_of(f, format, args);
    va_end(args);
    uint64_t bit = run < 0 ? 0 : 1ull << run;
    for (int i = 0; i < f->n_warnings; i++) {
        if (strcmp(f->warnings[i].text, text) == 0) {
            f->warnings[i].runs |= bit;
            return;
        }
    }
    if (f->n_warnings == f->warnings_room) {
        int room = f->warnings_room ? 2 * f->warnings_room : 32;
        struct warning *grown = mem_realloc(f->warnings, (size_t)room * sizeof *grown);
        if (!grown) {
            f->no_memory = true;
            return;
        }
        f->warnings = grown;
        f->warnings_room = room;
    }
    f->warnings[f->n_warnings++] = (struct warning){text, bit};
}

void findings_warning_say(struct str *out, const struct findings *f, const struct warning *w)
{
    uint64_t all = f->n_runs < 64 ? (1ull << f->n_runs) - 1 : ~0ull;
    bool first = true;
    if (w->runs == all && f->n_runs > 1)
        str_puts(out, "all runs");
    for (int i = 0; i < f->n_runs && (w->runs != all || f->n_runs == 1); i++) {
        if (!(w->runs >> i & 1))
            continue;
        str_printf(out, "%s%s", first ? "" : ", ", f->runs[i].title);
        first = false;
    }
    str_printf(out, "%s%s", w->runs ? ": " : "", w->text);
}

const char *answer_name(enum answer a)
{
    static const char *const names[] = {"yes", "no", "cannot tell"};
    return names[a];
}

void findings_name_runs(struct findings *f)
{
    for (int i = 0; i < f->n_runs; i++) {
        struct run *r = &f->runs[i];
        const char *side = f->compare ? f->side[i >= f->pairs] : r->name;
        if (f->compare && f->pairs > 1)
            snprintf(r->title, sizeof r->title, "%.50s, seed %lld", side, r->seed);
        else if (r->seed < 0 || f->compare)
            snprintf(r->title, sizeof r->title, "%.60s", side);
        else
            snprintf(r->title, sizeof r->title, "seed %lld", r->seed);
    }
}

/* --- steps --- */

int findings_common_steps(const struct findings *f, long **steps, int *n, struct err *err)
{
    const struct run *first = &f->runs[0];
    *n = 0;
    *steps = mem_calloc((size_t)first->n_evals + 1, sizeof **steps);
    if (!*steps)
        return err_no_memory(err, "the steps", 0);
    for (int i = 0; i < first->n_evals; i++) {
        bool all = true;
        for (int r = 1; r < f->n_runs; r++)
            all = all && run_eval_at(&f->runs[r], first->evals[i].step);
        if (all)
            (*steps)[(*n)++] = first->evals[i].step;
    }
    return ERR_NONE;
}

/* --- the best step --- */

/* One difference of two evaluations of one run, row by row: of a task's rows where the metric is
 * the task's, else of the mean of task means. */
static int compare_steps(struct estimate *out, const struct run *r, long before, long after,
                         const char *task, struct err *err)
{
    const struct evaluation *b = run_eval_at(r, before), *a = run_eval_at(r, after);
    struct pairs p;
    *out = (struct estimate){NAN, {NAN, NAN}, 0};
    if (!a || !b)
        return ERR_NONE;
    struct err why = {0};
    int status = pairs_make(&p, &b, &a, 1, &why);
    size_t n = 0;
    for (size_t i = 0; !status && i < p.n; i++) {
        bool ours = !task || strcmp(p.tasks[p.task[i]], task) == 0;
        if (!ours)
            continue;
        p.before[n] = p.after[i] - p.before[i];
        p.task[n] = task ? 0 : p.task[i];
        n++;
    }
    struct bootstrap_table t = {p.before, 1, n, p.task, task ? 1 : p.n_tasks};
    if (status == ERR_MACHINE)
        err_set(err, ERR_MACHINE, why.where, "%s", why.message);
    else /* rows that do not match say nothing here */
        status = !status && n ? estimate_make(out, &t, err) : ERR_NONE;
    pairs_free(&p);
    return status;
}

static const char *task_of_metric(const struct run *r, const char *metric)
{
    if (strncmp(metric, "eval/", 5) != 0 || !r->n_evals)
        return NULL;
    const struct evaluation *e = &r->evals[0];
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->rows[i].task, metric + 5) == 0)
            return e->rows[i].task;
    return NULL;
}

static int judge_best(struct best_step *b, const struct run *r, const struct series *s,
                      struct err *err)
{
    const char *task = task_of_metric(r, b->metric);
    struct estimate d;
    int status = ERR_NONE;
    for (size_t i = 0; i < s->n && !status; i++) {
        if ((long)s->step[i] == b->step)
            continue;
        status = compare_steps(&d, r, (long)s->step[i], b->step, task, err);
        b->indistinguishable += isfinite(d.ci.low) && d.ci.low <= 0 && d.ci.high >= 0;
    }
    if (!status && b->last != b->step)
        status = compare_steps(&d, r, b->last, b->step, task, err);
    if (!status && b->last != b->step) {
        b->over_last = d.ci;
        b->over_last_gain = d.value;
    }
    return status;
}

/* As the trainer chooses: the first evaluation with the highest value. */
int findings_best(struct findings *f, struct err *err)
{
    f->best = mem_calloc((size_t)f->n_runs, sizeof *f->best);
    if (!f->best)
        return err_no_memory(err, "the best steps", 0);
    int status = ERR_NONE;
    for (int i = 0; i < f->n_runs && !status; i++) {
        const struct run *r = &f->runs[i];
        const char *metric = run_text(r->recipe, "metric_for_best_model");
        struct best_step *b = &f->best[i];
        *b = (struct best_step){
            metric ? metric : "eval/mean_reward", -1, NAN, 0, 0, -1, {NAN, NAN}, NAN};
        const struct series *s = series_find(&r->metrics, b->metric);
        for (size_t k = 0; s && k < s->n; k++) {
            if (b->step < 0 || s->value[k] > b->value) {
                b->step = (long)s->step[k];
                b->value = s->value[k];
            }
            b->last = (long)s->step[k];
        }
        b->evaluated = s ? (int)s->n : 0;
        if (s && s->n)
            status = judge_best(b, r, s, err);
    }
    return status;
}

/* --- results --- */

enum { MOST_RUNS = 64 };

static int fill_set(struct findings *f, struct result_set *set,
                    const struct evaluation *const *before, const struct evaluation *const *after,
                    struct err *err)
{
    int seeds = f->compare ? f->pairs : f->n_runs;
    struct err why = {0};
    int status = pairs_make(&set->pairs, before, after, seeds, &why);
    if (!status)
        status = gains_make(&set->gains, &set->pairs, &why);
    set->there = !status;
    if (status == ERR_INPUT)
        findings_warn(f, -1, "The %s set gives no results: %s", set->name, why.message);
    return status == ERR_MACHINE ? err_set(err, ERR_MACHINE, why.where, "%s", why.message)
                                 : ERR_NONE;
}

static bool same_rows(const struct evaluation *a, const struct evaluation *b)
{
    if (!a || !a->n || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!map_get(&b->index, a->rows[i].id, strlen(a->rows[i].id), NULL))
            return false;
    return true;
}

static const struct evaluation *best_eval(const struct findings *f, int run)
{
    return run_eval_at(&f->runs[run], f->best[run].step);
}

/* The eval set's two sides are the protocol's validation where every run has it, else step 0 and
 * the best step. */
static bool validated(const struct findings *f)
{
    bool all = f->n_runs > 0;
    for (int i = 0; i < f->n_runs; i++)
        all = all && f->runs[i].base.n && f->runs[i].best.n;
    return all;
}

/* What stands before and after in a set; false: a run lacks one of them. */
static bool sides(const struct findings *f, bool test, const struct evaluation **before,
                  const struct evaluation **after)
{
    bool all = f->n_runs > 0, validation = validated(f);
    for (int i = 0; i < f->n_runs; i++) {
        const struct run *r = &f->runs[i];
        before[i] = test ? &r->test_before : validation ? &r->base : run_eval_at(r, 0);
        after[i] = test ? &r->test_after : validation ? &r->best : best_eval(f, i);
        bool baseline = f->baseline.n && same_rows(after[i], &f->baseline);
        if (baseline)
            before[i] = &f->baseline;
        bool has_before = f->compare || (before[i] && before[i]->n);
        all = all && has_before && after[i] && after[i]->n;
    }
    for (int i = 0; all && f->compare && i < f->pairs; i++) {
        before[i] = after[i];
        after[i] = after[f->pairs + i];
    }
    return all;
}

static const char *name_before(const struct findings *f, const struct evaluation *before)
{
    if (f->compare)
        return f->side[0];
    if (before == &f->baseline)
        return "baseline";
    bool at_start = before == run_eval_at(&f->runs[0], 0);
    return at_start && run_text(f->runs[0].recipe, "init_adapter") ? "start" : "base model";
}

static bool some(const struct findings *f, bool test)
{
    for (int i = 0; i < f->n_runs; i++)
        if (test ? f->runs[i].test_after.n || f->runs[i].test_before.n : f->runs[i].n_evals)
            return true;
    return false;
}

int findings_results(struct findings *f, struct err *err)
{
    const struct evaluation *before[MOST_RUNS] = {NULL}, *after[MOST_RUNS] = {NULL};
    int status = ERR_NONE;
    bool baseline_used = false;
    for (int k = 0; k < 2 && !status; k++) {
        struct result_set *set = k ? &f->eval : &f->test;
        set->name = k ? "eval" : "test";
        set->selected_on = k == 1;
        if (sides(f, k == 0, before, after)) {
            set->before = name_before(f, before[0]);
            baseline_used = baseline_used || before[0] == &f->baseline;
            status = fill_set(f, set, before, after, err);
        } else if (some(f, k == 0)) {
            findings_warn(f, -1,
                          k ? "The eval set gives no results: a run lacks the evaluation of "
                              "step 0 or of its best step."
                            : "The test set is not used: not every run has test-before.json "
                              "and test-after.json.");
        }
    }
    f->headline = f->test.there ? &f->test : f->eval.there ? &f->eval : NULL;
    if (!status && f->baseline.n && !baseline_used)
        return err_set(err, ERR_INPUT, f->baseline_file,
                       "holds the rows neither of the runs' eval set nor of their test set");
    return status;
}

void findings_free(struct findings *f)
{
    for (int i = 0; i < f->n_runs; i++)
        run_free(&f->runs[i]);
    mem_free(f->runs);
    mem_free(f->best);
    mem_free(f->attribution);
    mem_free(f->shared);
    mem_free(f->warnings);
    evaluation_free(&f->baseline);
    gains_free(&f->test.gains);
    gains_free(&f->eval.gains);
    pairs_free(&f->test.pairs);
    pairs_free(&f->eval.pairs);
    gathered_free(&f->sources);
    arena_free(&f->arena);
    *f = (struct findings){0};
}
