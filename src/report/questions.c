/* questions.c: the four questions of the reference experiment, answered twice: by the document's
 * own reading, which compares a mean with a threshold, and by ours, which asks whether a 95%
 * interval leaves the threshold on one side. "Yes" and "no" are the interval's words; where it
 * holds the threshold the answer is "cannot tell", with the prompts or seeds that would tell.
 *
 * Every contrast is a linear function of a prompt's values under a seed, so that prompts stay
 * paired: "15% more than its start" is after − 1.15·before. */
#include <math.h>
#include <string.h>
#include "report/cell.h"
#include "report/findings.h"
#include "stats/dist.h"
#include "stats/trend.h"

/* The document's numbers. */
static const double RISE = 1.15, BAND_LOW = 0.75, BAND_HIGH = 0.85, DROP = 0.05, TARGET = 0.70;
static const double ROBUST = 0.03, SENSITIVE = 0.05;
enum { SQL_STEP = 600, LATE_STEP = 800, EARLY_STEP = 400, MOST_SEEDS_NEEDED = 10000 };

static void figure(struct question *q, const char *name, double value, struct interval ci)
{
    if (q->n_figures < QUESTION_FIGURES)
        q->figures[q->n_figures++] = (struct question_figure){name, value, ci};
}

static const struct interval none = {NAN, NAN};

/* --- values of prompts at steps --- */

/* A task's rows (NULL: all, a stratum a task) that every evaluation at these steps has. */
struct grid {
    size_t n;
    int seeds, strata, n_steps;
    int *stratum;
    double *values; /* [steps][seeds][n] */
};

static void grid_free(struct grid *g)
{
    mem_free(g->stratum);
    mem_free(g->values);
    *g = (struct grid){0};
}

static const struct report_row *row_in(const struct evaluation *e, const char *id)
{
    int32_t i;
    return e && map_get(&e->index, id, strlen(id), &i) ? &e->rows[i] : NULL;
}

static bool take_row(struct grid *g, const struct findings *f, const long *steps,
                     const struct report_row *row, size_t stride)
{
    for (int k = 0; k < g->n_steps; k++) {
        for (int s = 0; s < g->seeds; s++) {
            const struct report_row *r = row_in(run_eval_at(&f->runs[s], steps[k]), row->id);
            if (!r || isnan(r->value))
                return false;
            g->values[((size_t)k * (size_t)g->seeds + (size_t)s) * stride + g->n] = r->value;
        }
    }
    g->n++;
    return true;
}

/* The rows of one task; n 0: there are none. */
static int grid_make(struct grid *g, const struct findings *f, const char *task, const long *steps,
                     int n_steps, struct err *err)
{
    *g = (struct grid){.seeds = f->n_runs, .strata = 1, .n_steps = n_steps};
    const struct evaluation *first = n_steps ? run_eval_at(&f->runs[0], steps[0]) : NULL;
    if (!first)
        return ERR_NONE;
    size_t blocks = (size_t)n_steps * (size_t)g->seeds;
    g->stratum = mem_calloc(first->n, sizeof *g->stratum);
    g->values = mem_calloc(first->n * blocks, sizeof *g->values);
    if (!g->stratum || !g->values)
        return err_no_memory(err, "the questions", first->n * blocks * sizeof *g->values);
    for (size_t i = 0; i < first->n; i++)
        if (strcmp(first->rows[i].task, task) == 0)
            take_row(g, f, steps, &first->rows[i], first->n);
    for (size_t b = 1; b < blocks; b++)
        memmove(g->values + b * g->n, g->values + b * first->n, g->n * sizeof *g->values);
    return ERR_NONE;
}

static const double *grid_at(const struct grid *g, int step)
{
    return g->values + (size_t)step * (size_t)g->seeds * g->n;
}

/* a·(step at) + b·(step before) + c, prompt by prompt and seed by seed. */
static int contrast(struct estimate *e, const struct grid *g, double a, int at, double b,
                    int before, double c, struct err *err)
{
    size_t all = (size_t)g->seeds * g->n;
    double *x = mem_calloc(all, sizeof *x);
    if (!x)
        return err_no_memory(err, "the questions", all * sizeof *x);
    const double *now = grid_at(g, at), *then = grid_at(g, before);
    for (size_t i = 0; i < all; i++)
        x[i] = a * now[i] + b * then[i] + c;
    struct bootstrap_table t = {x, (size_t)g->seeds, g->n, g->stratum, g->strata};
    int status = estimate_make(e, &t, err);
    mem_free(x);
    return status;
}

static double mean_of(const struct grid *g, int step)
{
    return stats_mean(grid_at(g, step), (size_t)g->seeds * g->n);
}

/* Yes: all of the interval is above 0; no: all of it below. */
static enum answer answer_of(const struct estimate *e)
{
    return e->ci.low > 0 ? ANSWER_YES : e->ci.high < 0 ? ANSWER_NO : ANSWER_CANNOT_TELL;
}

static void need_prompts(struct question *q, const struct estimate *e)
{
    double needed = verdict_of(e->ci, e->value, e->n).needed;
    if (isnan(needed) || (q->needed_of && needed < q->needed))
        return;
    q->needed = needed;
    q->needed_of = "prompts";
}

static double baseline_of(const struct findings *f, const char *metric)
{
    const json_t *value = json_object_get(json_object_get(f->runs[0].recipe, "baseline"), metric);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *baseline_name(const struct findings *f)
{
    const char *name = run_text(json_object_get(f->runs[0].recipe, "baseline"), "name");
    return name ? name : "the baseline";
}

/* --- Q1 --- */

/* The last of the steps that is not beyond `most`; −1: none but the first. */
static int last_until(const long *steps, int n, long most)
{
    int last = -1;
    for (int i = 1; i < n; i++)
        if (steps[i] <= most)
            last = i;
    return last;
}

/* The curve's slope over the evaluations up to step `most`, the mean over seeds. */
static struct trend slope_until(const long *steps, int last, const struct grid *g)
{
    double x[256], y[256];
    int n = 0, every = last / 256 + 1;
    for (int i = 0; i <= last; i += every) {
        x[n] = (double)steps[i];
        y[n++] = mean_of(g, i);
    }
    return trend_fit(x, y, (size_t)n);
}

static enum answer both_of(enum answer a, enum answer b)
{
    if (a == ANSWER_NO || b == ANSWER_NO)
        return ANSWER_NO;
    return a == ANSWER_YES && b == ANSWER_YES ? ANSWER_YES : ANSWER_CANNOT_TELL;
}

static void read_q1(struct question *q, struct findings *f, double now, double baseline, long step)
{
    if (isnan(baseline)) {
        q->document = "The recipe names no baseline for eval/sql_qa, so the document's reading "
                      "has nothing to compare with.";
        return;
    }
    q->document = findings_text(
        f,
        "%s: %.3f at step %ld against %.3f of %.40s, %+.1f%% (asked: +15%%). That figure was "
        "scored by the old reward, not by this run's, so this is not like with like.",
        now >= RISE * baseline ? "yes, the old reward was the ceiling" : "no, flat: capacity limit",
        now, step, baseline, baseline_name(f), 100 * (now / baseline - 1));
}

/* The sentence under the answer. */
static void say_q1(struct question *q, struct findings *f, const struct estimate *rise,
                   double start, long step, const struct trend *t)
{
    const char *flat = t->ci.low > 0    ? "its slope is above 0"
                       : t->ci.high < 0 ? "its slope is below 0"
                       : isnan(t->se)   ? "too few evaluations for a slope"
                                        : "its slope's interval holds 0, so it may be flat";
    q->ours = findings_text(
        f,
        "At step %ld, after minus 1.15 times its own start (same %zu prompts, same reward) is %s; "
        "over the evaluations until then %s.%s%s",
        step, rise->n, cell_gain(rise->value, rise->ci).text, flat,
        RISE * start > 1 ? " The start is so high that +15% of it lies above 1: no run could." : "",
        step < SQL_STEP ? " The runs end before step 600, so a \"no\" would be too early." : "");
}

static int ask_sql(struct question *q, struct findings *f, const long *steps, int n,
                   struct err *err)
{
    struct grid g = {0};
    int last = last_until(steps, n, SQL_STEP);
    int status = last < 0 ? ERR_NONE : grid_make(&g, f, "sql_qa", steps, last + 1, err);
    if (status || g.n < 1) {
        q->ours = findings_text(f, last < 0 ? "There are no two evaluations by step 600."
                                            : "No task is called sql_qa.");
        grid_free(&g);
        return status;
    }
    double baseline = baseline_of(f, "eval/sql_qa"), start = mean_of(&g, 0), now;
    struct estimate rise, over = {NAN, {NAN, NAN}, 0}, level;
    now = mean_of(&g, last);
    status = contrast(&rise, &g, 1, last, -RISE, 0, 0, err);
    if (!status)
        status = contrast(&level, &g, 1, last, 0, 0, 0, err);
    if (!status && isfinite(baseline))
        status = contrast(&over, &g, 1, last, 0, 0, -RISE * baseline, err);
    struct trend t = slope_until(steps, last, &g);
    grid_free(&g);
    if (status)
        return status;
    q->answer = answer_of(&rise);
    if (isfinite(baseline))
        q->answer = both_of(q->answer, answer_of(&over));
    if (q->answer == ANSWER_NO && steps[last] < SQL_STEP && f->runs[0].last_step < SQL_STEP)
        q->answer = ANSWER_CANNOT_TELL;
    else if (q->answer == ANSWER_CANNOT_TELL) {
        if (answer_of(&rise) == ANSWER_CANNOT_TELL)
            need_prompts(q, &rise);
        if (isfinite(baseline) && answer_of(&over) == ANSWER_CANNOT_TELL)
            need_prompts(q, &over);
    }
    figure(q, "eval/sql_qa at step 0", start, none);
    figure(q, "eval/sql_qa at the step judged", now, level.ci);
    figure(q, "step judged", (double)steps[last], none);
    figure(q, "relative change over its start", now / start - 1, none);
    figure(q, "after - 115% of start", rise.value, rise.ci);
    figure(q, "baseline", baseline, none);
    figure(q, "after - 115% of baseline", over.value, over.ci);
    figure(q, "slope per 100 steps", 100 * t.slope,
           (struct interval){100 * t.ci.low, 100 * t.ci.high});
    read_q1(q, f, now, baseline, steps[last]);
    say_q1(q, f, &rise, start, steps[last], &t);
    return ERR_NONE;
}

/* --- Q2 --- */

/* The mean of the evaluations' values at steps in (from, to] in place of the first of them. */
static int fold_steps(struct grid *g, const long *steps, long from, long to)
{
    int first = -1, count = 0;
    size_t block = (size_t)g->seeds * g->n;
    for (int i = 0; i < g->n_steps; i++) {
        if (steps[i] <= from || steps[i] > to)
            continue;
        double *into = g->values + (size_t)(first < 0 ? i : first) * block;
        first = first < 0 ? i : first;
        for (size_t k = 0; k < block && i != first; k++)
            into[k] += g->values[(size_t)i * block + k];
        count++;
    }
    for (size_t k = 0; first >= 0 && k < block; k++)
        g->values[(size_t)first * block + k] /= count;
    return first;
}

static void read_q2(struct question *q, struct findings *f, const struct grid *g, const long *steps)
{
    double low = INFINITY, high = -INFINITY, late = 0;
    int inside = 0, n_late = 0;
    for (int i = 0; i < g->n_steps; i++) {
        double y = mean_of(g, i);
        low = fmin(low, y);
        high = fmax(high, y);
        inside += y >= BAND_LOW && y <= BAND_HIGH;
        late += steps[i] > LATE_STEP ? y : 0;
        n_late += steps[i] > LATE_STEP;
    }
    const char *says = inside == g->n_steps ? "noise: every evaluation lies in 0.75-0.85"
                       : n_late && late / n_late < BAND_LOW
                           ? "forgetting: after step 800 the mean lies under 0.75"
                           : "neither: it leaves 0.75-0.85, and not by a drop after step 800";
    q->document = findings_text(f,
                                "%s (%d of %d evaluations in the band, lowest %.3f, highest "
                                "%.3f).",
                                says, inside, g->n_steps, low, high);
    figure(q, "lowest eval/insights", low, none);
    figure(q, "highest eval/insights", high, none);
    figure(q, "share of evaluations in 0.75-0.85", (double)inside / g->n_steps, none);
    figure(q, "mean after step 800", n_late ? late / n_late : NAN, none);
}

static int ask_insights(struct question *q, struct findings *f, const long *steps, int n,
                        struct err *err)
{
    struct grid g = {0};
    int status = grid_make(&g, f, "insights", steps, n, err);
    if (status || g.n < 1) {
        q->ours = findings_text(f, n ? "No task is called insights." : "There is no evaluation.");
        grid_free(&g);
        return status;
    }
    read_q2(q, f, &g, steps);
    int before = fold_steps(&g, steps, EARLY_STEP, LATE_STEP);
    int after = fold_steps(&g, steps, LATE_STEP, 1L << 40);
    struct estimate change = {NAN, {NAN, NAN}, 0};
    if (before >= 0 && after >= 0)
        status = contrast(&change, &g, 1, after, -1, before, 0, err);
    grid_free(&g);
    if (status)
        return status;
    figure(q, "after step 800 - steps 401 to 800", change.value, change.ci);
    if (before < 0 || after < 0) {
        q->ours = findings_text(f, "Forgetting would show after step 800; the runs have no "
                                   "evaluations on both sides of it.");
        return ERR_NONE;
    }
    q->answer = change.ci.high < 0      ? ANSWER_YES
                : change.ci.low > -DROP ? ANSWER_NO
                                        : ANSWER_CANNOT_TELL;
    if (q->answer == ANSWER_CANNOT_TELL) {
        struct estimate margin = change;
        margin.value += DROP;
        margin.ci.low += DROP;
        margin.ci.high += DROP;
        need_prompts(q, change.value < -DROP / 2 ? &change : &margin);
    }
    q->ours = findings_text(
        f,
        "The same prompts after step 800 minus steps 401 to 800: %s. Forgetting "
        "when the interval lies below 0; noise when it leaves out a drop of 0.05, half the "
        "document's band.",
        cell_gain(change.value, change.ci).text);
    return ERR_NONE;
}

/* --- Q3 --- */

static const char *say_epochs(struct findings *f, double epochs)
{
    if (isnan(epochs))
        return "";
    return findings_text(f, " The runs covered %.2f epochs%s", epochs,
                         epochs < 2 ? ", which is not \"multi-epoch\"." : ".");
}

static int ask_target(struct question *q, struct findings *f, struct err *err)
{
    const struct result_set *set = f->headline;
    if (!set) {
        q->ours = "There are no results to judge.";
        return ERR_NONE;
    }
    const struct pairs *p = &set->pairs;
    size_t all = (size_t)p->seeds * p->n;
    double *x = mem_calloc(all, sizeof *x);
    if (!x)
        return err_no_memory(err, "the questions", all * sizeof *x);
    for (size_t i = 0; i < all; i++)
        x[i] = p->after[i] - TARGET;
    struct estimate e;
    struct bootstrap_table t = {x, (size_t)p->seeds, p->n, p->task, p->n_tasks};
    int status = estimate_make(&e, &t, err);
    mem_free(x);
    if (status)
        return status;
    q->answer = answer_of(&e);
    if (q->answer == ANSWER_CANNOT_TELL)
        need_prompts(q, &e);
    double epochs =
        series_at(series_find(&f->runs[0].metrics, "epoch"), (double)f->runs[0].last_step);
    double best = 0, baseline = baseline_of(f, "eval/mean_reward"), start = 0;
    for (int i = 0; i < f->n_runs; i++) {
        best += series_at(series_find(&f->runs[i].metrics, "eval/mean_reward"),
                          (double)f->best[i].step) /
                f->n_runs;
        start += series_at(series_find(&f->runs[i].metrics, "eval/mean_reward"), 0) / f->n_runs;
    }
    figure(q, "mean reward of the best step", e.value + TARGET,
           (struct interval){e.ci.low + TARGET, e.ci.high + TARGET});
    figure(q, "eval/mean_reward of the best step", best, none);
    figure(q, "eval/mean_reward at step 0", start, none);
    figure(q, "baseline", baseline, none);
    figure(q, "epochs", epochs, none);
    q->document = isnan(best)
                      ? "no eval/mean_reward is logged"
                      : findings_text(f, "%s: best eval/mean_reward %.3f (asked: 0.70).%s",
                                      best >= TARGET ? "yes" : "no", best,
                                      start >= TARGET ? " It was above 0.70 before training." : "");
    struct interval level = {e.ci.low + TARGET, e.ci.high + TARGET};
    q->ours = findings_text(f, "On the %s set (%zu prompts) the mean is %.3f %s%s.%s", set->name,
                            p->n, e.value + TARGET, cell_interval(level).text,
                            set->selected_on ? ", and the best step was selected on this set" : "",
                            say_epochs(f, epochs));
    return ERR_NONE;
}

/* --- Q4 --- */

/* Seeds with which an sd like this one would lie on one side of the thresholds. */
static double seeds_needed(double sd)
{
    for (int n = 3; n <= MOST_SEEDS_NEEDED; n++) {
        struct interval ci = stats_sd_interval(sd, (size_t)n);
        if (ci.high < ROBUST || ci.low > SENSITIVE)
            return n;
    }
    return INFINITY;
}

static int ask_seeds(struct question *q, struct findings *f)
{
    const struct result_set *set = f->headline;
    if (!set || set->gains.seeds < 2) {
        q->ours = "One seed has no spread: run two more.";
        q->needed = 3;
        q->needed_of = "seeds";
        return ERR_NONE;
    }
    double sd = stats_sd(set->gains.all.seed_after, (size_t)set->gains.seeds);
    struct interval ci = stats_sd_interval(sd, (size_t)set->gains.seeds);
    struct interval times = stats_sd_interval(1, (size_t)set->gains.seeds);
    figure(q, "sd over seeds of the mean reward", sd, ci);
    figure(q, "seeds", set->gains.seeds, none);
    q->document = findings_text(f, "%s: sd %.4f over %d seeds.",
                                sd < ROBUST      ? "robust (under 0.03)"
                                : sd > SENSITIVE ? "sensitive (over 0.05)"
                                                 : "neither (0.03 to 0.05)",
                                sd, set->gains.seeds);
    q->answer = ci.high < ROBUST ? ANSWER_YES : ci.low > SENSITIVE ? ANSWER_NO : ANSWER_CANNOT_TELL;
    if (q->answer == ANSWER_CANNOT_TELL) {
        q->needed = seeds_needed(sd);
        q->needed_of = "seeds";
    }
    q->ours = findings_text(
        f,
        "On the %s set the standard deviation is %.4f over %d seeds; its 95%% interval, "
        "[%.4f, %.4f], is %.2f to %.2f times itself, as so few seeds allow. Robust when all of it "
        "is under 0.03, sensitive when all of "
        "it is over 0.05.",
        set->name, sd, set->gains.seeds, ci.low, ci.high, times.low, times.high);
    return ERR_NONE;
}

/* --- all --- */

int findings_questions(struct findings *f, struct err *err)
{
    static const char *const asks[QUESTIONS] = {
        "Does SQL improve by 15% or more over the baseline by step 600, and over its own start?",
        "Is the swing of insights forgetting (a drop after step 800) rather than noise?",
        "Does multi-epoch training pass a mean reward of 0.70?",
        "Are the results robust over seeds (standard deviation under 0.03)?"};
    static const char *const names[QUESTIONS] = {"Q1", "Q2", "Q3", "Q4"};
    if (f->compare)
        return ERR_NONE;
    for (int i = 0; i < QUESTIONS; i++)
        f->questions[i] = (struct question){.name = names[i],
                                            .asks = asks[i],
                                            .answer = ANSWER_CANNOT_TELL,
                                            .document = "not asked: there is nothing to go by",
                                            .ours = "",
                                            .needed = NAN};
    f->n_questions = QUESTIONS;
    long *steps = NULL;
    int n = 0;
    int status = findings_common_steps(f, &steps, &n, err);
    if (!status)
        status = ask_sql(&f->questions[0], f, steps, n, err);
    if (!status)
        status = ask_insights(&f->questions[1], f, steps, n, err);
    if (!status)
        status = ask_target(&f->questions[2], f, err);
    if (!status)
        status = ask_seeds(&f->questions[3], f);
    mem_free(steps);
    return status;
}
