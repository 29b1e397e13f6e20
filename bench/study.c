/* study.c: do our intervals keep their word? The counting behind docs/STUDY.md, over evaluations
 * that `grpo eval --out` wrote; tools/study.sh makes them and calls this.
 *
 *   study coverage A1 B1 A2 B2 …   of each pair's paired 95% intervals (eval/compare.h), how many
 *                                  hold 0, below it, above it
 *   study against A B1 B2 …        the same with A as the first of every pair
 *   study seeds A1 B1 A2 B2 …      each pair's gain is one value: its mean over the pairs and
 *                                  Student's 95% interval (`grpo report`'s interval over seeds)
 *   study power DRAWS VERDICTS BEFORE AFTER…
 *                                  the rows of the files are taken for the whole population; from
 *                                  it sets of 65 (20/15/15/15) are drawn, with replacement
 *
 * Output: a table in Markdown. `power` prints, a line for each AFTER and task:
 *
 *   changed      share of the population's rows whose value changed; overall: mean over tasks
 *   effect, sd   of the population; overall: the mean of task means, and the standard deviation of
 *                one row that would give its standard error, √(n·Σ s²ₜ/nₜ)/T
 *   MDD          the detectable difference by stats/power.h from this sd
 *   printed      what `grpo report` says it is, of the first 200 sets: median and 5% to 95%
 *   none         share of these sets of which it says none, as too few rows changed (verdict.h)
 *   predicted    power of the t test at this effect and sd (stats/power.h)
 *   found        share of DRAWS sets whose interval lies on the effect's side of 0
 *   coverage     share of sets whose interval holds the effect
 *   BCa          … of the first 200 sets, whose BCa interval does
 *   at MDD       found, after every difference was moved by one constant so that the population's
 *                effect is the MDD: 0.80 is promised
 *   verdict      share of VERDICTS sets of which `grpo report` says the right verdict
 *                (report/gains.h: the t interval, the bootstrap and Holm's p must agree) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/compare.h"
#include "eval/eval.h"
#include "report/gains.h"
#include "stats/bootstrap.h"
#include "stats/power.h"
#include "stats/verdict.h"

enum { MOST_TASKS = 8, MOST_SET = 65, PRINTED = 200, RESAMPLES = 4000, STUDY_SEED = 2026 };

/* The evaluation set of the experiment: rows of each task. */
static const struct {
    const char *task;
    int rows;
} design[] = {{"extraction", 20}, {"sql_qa", 15}, {"insights", 15}, {"push", 15}};
enum { TASKS = sizeof design / sizeof *design, OVERALL = TASKS };

static const char *line_name(int task)
{
    return task == OVERALL ? "overall" : design[task].task;
}

/* --- coverage and against --- */

struct tally {
    int below, holds, above; /* the interval lies below 0, holds it, lies above */
    double worst;            /* largest |gain| */
};

static void tally_add(struct tally *t, struct interval ci, double gain)
{
    if (ci.low > 0)
        t->above++;
    else if (ci.high < 0)
        t->below++;
    else
        t->holds++;
    t->worst = fmax(t->worst, fabs(gain));
}

struct comparison {
    struct eval_result before, after;
    struct eval_comparison c;
};

static int comparison_read(struct comparison *r, const char *before, const char *after,
                           struct err *err)
{
    *r = (struct comparison){0};
    int status = eval_read(&r->before, before, err);
    if (!status)
        status = eval_read(&r->after, after, err);
    if (!status)
        status = eval_compare(&r->c, &r->before, &r->after, err);
    if (!status && r->c.n_tasks > MOST_TASKS)
        status =
            err_set(err, ERR_INPUT, before, "has %d tasks, %d at most", r->c.n_tasks, MOST_TASKS);
    return status;
}

static void comparison_free(struct comparison *r)
{
    eval_comparison_free(&r->c);
    eval_free(&r->before);
    eval_free(&r->after);
}

static const struct eval_gain *gain_of(const struct eval_comparison *c, int line)
{
    return line < c->n_tasks ? &c->tasks[line] : &c->overall;
}

/* step 2: disjoint pairs; step 1 with the first file always before: against one. */
static int coverage(int n, char **files, bool against, struct err *err)
{
    struct tally t95[MOST_TASKS + 1] = {0}, bca95[MOST_TASKS + 1] = {0};
    char names[MOST_TASKS + 1][32] = {0};
    int pairs = 0, lines = 0, status = ERR_NONE;
    for (int i = against ? 1 : 0; i + !against < n && !status; i += against ? 1 : 2) {
        struct comparison r;
        status =
            comparison_read(&r, against ? files[0] : files[i], files[against ? i : i + 1], err);
        lines = status ? 0 : r.c.n_tasks + 1;
        for (int k = 0; k < lines; k++) {
            const struct eval_gain *g = gain_of(&r.c, k);
            snprintf(names[k], sizeof names[k], "%s", g->name ? g->name : "overall");
            tally_add(&t95[k], g->gain.t95, g->gain.mean);
            tally_add(&bca95[k], g->gain.bca95, g->gain.mean);
        }
        pairs++;
        comparison_free(&r);
    }
    printf("| task | pairs | t holds 0 | below, above | BCa holds 0 | below, above | largest |\n"
           "|---|---:|---:|---:|---:|---:|---:|\n");
    for (int k = 0; k < lines; k++)
        printf("| %s | %d | %d | %d, %d | %d | %d, %d | %.4f |\n", names[k], pairs, t95[k].holds,
               t95[k].below, t95[k].above, bca95[k].holds, bca95[k].below, bca95[k].above,
               t95[k].worst);
    return status;
}

/* --- a population of rows, and sets of the design drawn from it --- */

/* Rows by task: the population that sets are drawn from. */
struct population {
    double *before[TASKS], *after[TASKS], *gain[TASKS];
    size_t n[TASKS];
};

static void population_free(struct population *p)
{
    for (int t = 0; t < TASKS; t++) {
        mem_free(p->before[t]);
        mem_free(p->after[t]);
        mem_free(p->gain[t]);
    }
}

static int task_of(const char *name)
{
    for (int t = 0; t < TASKS; t++)
        if (strcmp(design[t].task, name) == 0)
            return t;
    return -1;
}

/* Rows without a value on one side are left out: evaluations of the built-in model have none. */
static int population_make(struct population *p, const struct eval_result *before,
                           const struct eval_result *after, struct err *err)
{
    *p = (struct population){0};
    if (before->n_rows != after->n_rows)
        return err_set(err, ERR_INPUT, "study",
                       "the files have %zu and %zu rows, expected the same", before->n_rows,
                       after->n_rows);
    for (int t = 0; t < TASKS; t++) {
        p->before[t] = mem_calloc(before->n_rows, sizeof(double));
        p->after[t] = mem_calloc(before->n_rows, sizeof(double));
        p->gain[t] = mem_calloc(before->n_rows, sizeof(double));
        if (!p->before[t] || !p->after[t] || !p->gain[t])
            return err_no_memory(err, "the population", before->n_rows * sizeof(double));
    }
    for (size_t i = 0; i < before->n_rows; i++) {
        const struct eval_row *b = &before->rows[i], *a = &after->rows[i];
        int t = task_of(b->task);
        if (t < 0 || strcmp(a->id, b->id) != 0)
            return err_set(err, ERR_INPUT, b->id,
                           "task \"%.40s\": expected one of the four, and the same rows in the "
                           "same order in both files",
                           b->task);
        if (!isfinite(a->value) || !isfinite(b->value))
            continue;
        p->before[t][p->n[t]] = b->value;
        p->after[t][p->n[t]] = a->value;
        p->gain[t][p->n[t]++] = a->value - b->value;
    }
    for (int t = 0; t < TASKS; t++)
        if (p->n[t] < 2)
            return err_set(err, ERR_INPUT, "power", "task %s has %zu rows with values, expected 2",
                           design[t].task, p->n[t]);
    return ERR_NONE;
}

static int population_read(struct population *p, const struct eval_result *before,
                           const char *after, struct err *err)
{
    struct eval_result r = {0};
    *p = (struct population){0};
    int status = eval_read(&r, after, err);
    if (!status)
        status = population_make(p, before, &r, err);
    eval_free(&r);
    return status;
}

/* A set of the design: which rows of each task. */
struct set {
    size_t row[MOST_SET];
    int task[MOST_SET];
    size_t n;
};

static void set_draw(struct set *s, const struct population *p, uint64_t number)
{
    struct rng_key key = {.seed = STUDY_SEED, .purpose = RNG_BOOTSTRAP, .row = number};
    s->n = 0;
    for (int t = 0; t < TASKS; t++)
        for (int i = 0; i < design[t].rows; i++, s->n++) {
            s->row[s->n] = (size_t)rng_below(&key, s->n, p->n[t]);
            s->task[s->n] = t;
        }
}

/* What is true of the population, and what a set of the design can find of it. Of one line. */
struct truth {
    double changed, effect, sd, detectable, predicted;
    size_t n;
};

/* Population formulas (divided by N, not N − 1): sets are drawn with replacement. */
static struct truth truth_of(const struct population *p, int line)
{
    struct truth r = {.n = 0};
    double variance = 0; /* of the line's mean over a set */
    int used = 0;
    for (int t = 0; t < TASKS; t++) {
        if (line != OVERALL && line != t)
            continue;
        double sd = stats_sd(p->gain[t], p->n[t]), n = (double)p->n[t];
        double changed = 0;
        for (size_t i = 0; i < p->n[t]; i++)
            changed += p->gain[t][i] != 0;
        r.changed += changed / n;
        r.effect += stats_mean(p->gain[t], p->n[t]);
        variance += sd * sd * (n - 1) / n / design[t].rows;
        r.n += (size_t)design[t].rows;
        used++;
    }
    r.effect /= used;
    r.changed /= used;
    r.sd = sqrt(variance * (double)r.n) / used;
    r.detectable = power_detectable(r.n, r.sd, POWER_ALPHA, POWER_TARGET);
    r.predicted = power_paired(r.effect, r.sd, (double)r.n, POWER_ALPHA);
    return r;
}

struct counts {
    int found, covers, at_mdd; /* of the draws */
    int verdicts;              /* grpo report says it */
    int bca_covers;
    int none, n_printed; /* of the first PRINTED draws, as bca_covers */
    double printed[PRINTED];
};

/* The differences of a line, and their tasks. */
static size_t set_values(double *x, int *stratum, const struct set *s, const struct population *p,
                         int line)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (line == OVERALL || s->task[i] == line) {
            stratum[n] = s->task[i];
            x[n++] = p->gain[s->task[i]][s->row[i]];
        }
    return n;
}

static struct interval set_interval(const struct set *s, const struct population *p, int line,
                                    double *mean, size_t *changed)
{
    double x[MOST_SET];
    int stratum[MOST_SET];
    size_t n = set_values(x, stratum, s, p, line);
    *changed = 0;
    for (size_t i = 0; i < n; i++)
        *changed += x[i] != 0;
    if (line == OVERALL) {
        struct stratified m = stats_stratified(x, stratum, n, TASKS);
        *mean = m.mean;
        return m.ci;
    }
    *mean = stats_mean(x, n);
    return stats_t_interval(x, n);
}

static bool holds(struct interval ci, double value)
{
    return ci.low <= value && value <= ci.high;
}

static void count(struct counts *c, const struct truth *is, struct interval ci, double mean,
                  size_t changed, int draw)
{
    c->found += is->effect > 0 ? ci.low > 0 : ci.high < 0;
    c->covers += holds(ci, is->effect);
    /* A shift moves an interval as it moves the values. */
    c->at_mdd += ci.low - is->effect + is->detectable > 0;
    if (draw >= PRINTED)
        return;
    double printed = verdict_of(ci, mean, is->n).detectable;
    if (changed < VERDICT_LEAST_CHANGED)
        c->none++;
    else
        c->printed[c->n_printed++] = printed;
}

/* Does the bootstrap's interval of the set hold the effect? */
static int count_bca(struct counts *c, const struct truth *is, const struct set *s,
                     const struct population *p, int line, struct err *err)
{
    double x[MOST_SET];
    int stratum[MOST_SET];
    size_t n = set_values(x, stratum, s, p, line);
    struct interval ci;
    int status = line == OVERALL
                     ? bootstrap_bca_strata(&ci, x, stratum, n, TASKS, RESAMPLES, 0, err)
                     : bootstrap_bca(&ci, x, n, RESAMPLES, 0, err);
    c->bca_covers += !status && holds(ci, is->effect);
    return status;
}

/* The verdicts that `grpo report` gives on a set. */
static int judge(struct counts c[], const struct truth is[], const struct set *s,
                 const struct population *p, struct err *err)
{
    double before[MOST_SET], after[MOST_SET];
    int task[MOST_SET];
    const char *names[TASKS];
    for (int t = 0; t < TASKS; t++)
        names[t] = design[t].task;
    for (size_t i = 0; i < s->n; i++) {
        before[i] = p->before[s->task[i]][s->row[i]];
        after[i] = p->after[s->task[i]][s->row[i]];
        task[i] = s->task[i];
    }
    struct pairs pairs = {.seeds = 1,
                          .n_tasks = TASKS,
                          .n = s->n,
                          .tasks = names,
                          .task = task,
                          .before = before,
                          .after = after};
    struct gains g;
    int status = gains_make(&g, &pairs, err);
    for (int k = 0; k <= TASKS && !status; k++) {
        enum verdict_kind said = k == OVERALL ? g.all.verdict : g.tasks[k].verdict;
        c[k].verdicts += said == (is[k].effect > 0 ? VERDICT_IMPROVED : VERDICT_WORSE);
    }
    gains_free(&g);
    return status;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double p)
{
    return n ? sorted[(int)(p * (n - 1) + 0.5)] : NAN;
}

static void print_line(const char *file, int line, const struct truth *is, struct counts *c,
                       int draws, int verdicts)
{
    const char *slash = strrchr(file, '/');
    qsort(c->printed, (size_t)c->n_printed, sizeof *c->printed, ascending);
    printf("| %s | %s | %.3f | %+.4f | %.4f | %.4f | %.4f [%.4f, %.4f] | %.3f | %.3f | %.3f | %.3f "
           "| %.3f | %.3f |",
           slash ? slash + 1 : file, line_name(line), is->changed, is->effect, is->sd,
           is->detectable, quantile(c->printed, c->n_printed, 0.5),
           quantile(c->printed, c->n_printed, 0.05), quantile(c->printed, c->n_printed, 0.95),
           (double)c->none / (c->none + c->n_printed), is->predicted, (double)c->found / draws,
           (double)c->covers / draws, (double)c->bca_covers / (c->none + c->n_printed),
           (double)c->at_mdd / draws);
    if (verdicts)
        printf(" %.3f |\n", (double)c->verdicts / verdicts);
    else
        printf(" |\n");
}

static int power_of(const struct eval_result *before, const char *after, int draws, int verdicts,
                    struct err *err)
{
    struct population p = {0};
    struct truth is[TASKS + 1];
    struct counts *c = mem_calloc(TASKS + 1, sizeof *c);
    struct set s;
    if (!c)
        return err_no_memory(err, "the counts", (TASKS + 1) * sizeof *c);
    int status = population_read(&p, before, after, err);
    for (int k = 0; k <= TASKS && !status; k++)
        is[k] = truth_of(&p, k);
    for (int d = 0; d < draws && !status; d++) {
        set_draw(&s, &p, (uint64_t)d);
        for (int k = 0; k <= TASKS; k++) {
            double mean;
            size_t changed;
            struct interval ci = set_interval(&s, &p, k, &mean, &changed);
            count(&c[k], &is[k], ci, mean, changed, d);
            if (d < PRINTED && !status)
                status = count_bca(&c[k], &is[k], &s, &p, k, err);
        }
        if (d < verdicts && !status)
            status = judge(c, is, &s, &p, err);
    }
    for (int k = 0; k <= TASKS && !status; k++)
        print_line(after, k, &is[k], &c[k], draws, verdicts);
    mem_free(c);
    fflush(stdout);
    population_free(&p);
    return status;
}

static int power(int n, char **words, struct err *err)
{
    int draws = n > 3 ? atoi(words[0]) : 0, verdicts = n > 3 ? atoi(words[1]) : 0;
    if (draws < 20 || verdicts < 0 || verdicts > draws)
        return err_set(err, ERR_USAGE, "power",
                       "expected DRAWS (20 or more) VERDICTS BEFORE AFTER…");
    printf(
        "| after | task | changed | effect | sd | MDD | printed, 5%% to 95%% | none | predicted | "
        "found | coverage | BCa | at MDD | verdict |\n"
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|\n");
    struct eval_result before = {0};
    int status = eval_read(&before, words[2], err);
    for (int i = 3; i < n && !status; i++)
        status = power_of(&before, words[i], draws, verdicts, err);
    eval_free(&before);
    return status;
}

/* --- seeds --- */

static double gain_of_line(const struct population *p, int line)
{
    double sum = 0;
    for (int t = 0; t < TASKS; t++) {
        double mean = stats_mean(p->gain[t], p->n[t]);
        if (line == t)
            return mean;
        sum += mean;
    }
    return sum / TASKS;
}

static void seeds_line(int line, const double *gain, size_t n)
{
    struct interval ci = stats_t_interval(gain, n);
    int up = 0, down = 0;
    for (size_t i = 0; i < n; i++) {
        up += gain[i] > 0;
        down += gain[i] < 0;
    }
    printf("| %s | %zu | %+.4f | [%+.4f, %+.4f] | %.4f | %d, %d |\n", line_name(line), n,
           stats_mean(gain, n), ci.low, ci.high, stats_sd(gain, n), up, down);
}

static int seeds(int n, char **files, struct err *err)
{
    enum { MOST_SEEDS = 1000 };
    static double gain[TASKS + 1][MOST_SEEDS];
    size_t pairs = (size_t)n / 2;
    struct eval_result before = {0};
    int status = pairs <= MOST_SEEDS
                     ? ERR_NONE
                     : err_set(err, ERR_USAGE, "seeds", "%zu pairs, %d at most", pairs, MOST_SEEDS);
    for (size_t i = 0; i < pairs && !status; i++) {
        struct population p = {0};
        bool again = i && strcmp(files[2 * i], files[2 * i - 2]) == 0;
        if (!again) {
            eval_free(&before);
            status = eval_read(&before, files[2 * i], err);
        }
        if (!status)
            status = population_read(&p, &before, files[2 * i + 1], err);
        for (int k = 0; k <= TASKS && !status; k++)
            gain[k][i] = gain_of_line(&p, k);
        population_free(&p);
    }
    eval_free(&before);
    if (status)
        return status;
    printf("| task | seeds | mean gain | 95%% over seeds (t) | sd over seeds | up, down |\n"
           "|---|---:|---:|---|---:|---:|\n");
    for (int k = 0; k <= TASKS; k++)
        seeds_line(k, gain[k], pairs);
    return ERR_NONE;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    const char *what = argc > 1 ? argv[1] : "";
    int n = argc - 2, status;
    if (strcmp(what, "coverage") == 0 && n >= 2 && n % 2 == 0)
        status = coverage(n, argv + 2, false, &err);
    else if (strcmp(what, "against") == 0 && n >= 2)
        status = coverage(n, argv + 2, true, &err);
    else if (strcmp(what, "seeds") == 0 && n >= 4 && n % 2 == 0)
        status = seeds(n, argv + 2, &err);
    else if (strcmp(what, "power") == 0)
        status = power(n, argv + 2, &err);
    else
        status = err_set(&err, ERR_USAGE, "study",
                         "expected coverage, against, seeds or power, and files (the comment at "
                         "the top of bench/study.c)");
    if (status)
        fprintf(stderr, "study: %s: %s\n", err.where, err.message);
    return status;
}
