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
 *   effect, sd   of the population; overall: the mean of task means, and the standard deviation of
 *                one row that would give its standard error, √(n·Σ s²ₜ/nₜ)/T
 *   detectable   by stats/power.h from this sd; and what verdict_of says of the sets: median and
 *                5% to 95%
 *   predicted    power of the t test at this effect and sd (stats/power.h)
 *   found        share of DRAWS sets whose interval lies on the effect's side of 0
 *   other side   … on the other side
 *   coverage     share of sets whose interval holds the effect
 *   at 0, at MDD the share on either side of 0 after every difference was moved by one constant, so
 *                that the population's effect is 0, or `detectable`: 0.05 and 0.80 are promised
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
#include "stats/power.h"
#include "stats/verdict.h"

enum { MOST_TASKS = 8, MOST_SET = 65, STUDY_SEED = 2026 };

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

/* --- seeds --- */

static int seeds(int n, char **files, struct err *err)
{
    size_t pairs = (size_t)n / 2;
    double *gain[MOST_TASKS + 1] = {0};
    char names[MOST_TASKS + 1][32] = {0};
    int lines = 0, status = ERR_NONE;
    for (int k = 0; k <= MOST_TASKS; k++)
        if (!(gain[k] = mem_calloc(pairs + 1, sizeof *gain[k])))
            return err_no_memory(err, "the gains", pairs * sizeof *gain[k]);
    for (size_t i = 0; i < pairs && !status; i++) {
        struct comparison r;
        status = comparison_read(&r, files[2 * i], files[2 * i + 1], err);
        lines = status ? 0 : r.c.n_tasks + 1;
        for (int k = 0; k < lines; k++) {
            const struct eval_gain *g = gain_of(&r.c, k);
            snprintf(names[k], sizeof names[k], "%s", g->name ? g->name : "overall");
            gain[k][i] = g->gain.mean;
        }
        comparison_free(&r);
    }
    printf("| task | seeds | mean gain | 95%% over seeds (t) | sd over seeds | up, down |\n"
           "|---|---:|---:|---|---:|---:|\n");
    for (int k = 0; k < lines; k++) {
        struct interval ci = stats_t_interval(gain[k], pairs);
        int up = 0, down = 0;
        for (size_t i = 0; i < pairs; i++) {
            up += gain[k][i] > 0;
            down += gain[k][i] < 0;
        }
        printf("| %s | %zu | %+.4f | [%+.4f, %+.4f] | %.4f | %d, %d |\n", names[k], pairs,
               stats_mean(gain[k], pairs), ci.low, ci.high, stats_sd(gain[k], pairs), up, down);
    }
    for (int k = 0; k <= MOST_TASKS; k++)
        mem_free(gain[k]);
    return status;
}

/* --- power --- */

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
static int population_make(struct population *p, const struct comparison *r, struct err *err)
{
    *p = (struct population){0};
    for (int t = 0; t < TASKS; t++) {
        p->before[t] = mem_calloc(r->before.n_rows, sizeof(double));
        p->after[t] = mem_calloc(r->before.n_rows, sizeof(double));
        p->gain[t] = mem_calloc(r->before.n_rows, sizeof(double));
        if (!p->before[t] || !p->after[t] || !p->gain[t])
            return err_no_memory(err, "the population", r->before.n_rows * sizeof(double));
    }
    for (size_t i = 0; i < r->before.n_rows; i++) {
        const struct eval_row *b = &r->before.rows[i], *a = &r->after.rows[i];
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
    double effect, sd, detectable, predicted;
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
        r.effect += stats_mean(p->gain[t], p->n[t]);
        variance += sd * sd * (n - 1) / n / design[t].rows;
        r.n += (size_t)design[t].rows;
        used++;
    }
    r.effect /= used;
    r.sd = sqrt(variance * (double)r.n) / used;
    r.detectable = power_detectable(r.n, r.sd, POWER_ALPHA, POWER_TARGET);
    r.predicted = power_paired(r.effect, r.sd, (double)r.n, POWER_ALPHA);
    return r;
}

struct counts {
    int right, wrong, covers; /* of the effect as it is */
    int at_zero, at_mdd;      /* intervals that exclude 0 after the shift */
    int verdicts;             /* grpo report says it */
    double *detectable;       /* (draws): what verdict_of says */
};

static struct interval set_interval(const struct set *s, const struct population *p, int line,
                                    double *mean)
{
    double x[MOST_SET];
    int stratum[MOST_SET];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (line == OVERALL || s->task[i] == line) {
            stratum[n] = s->task[i];
            x[n++] = p->gain[s->task[i]][s->row[i]];
        }
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
                  int draw)
{
    bool up = ci.low > 0, down = ci.high < 0;
    c->right += is->effect > 0 ? up : down;
    c->wrong += is->effect > 0 ? down : up;
    c->covers += holds(ci, is->effect);
    /* A shift moves an interval as it moves the values. */
    c->at_zero += !holds(ci, is->effect);
    c->at_mdd += !holds(ci, is->effect - is->detectable);
    c->detectable[draw] = verdict_of(ci, mean, is->n).detectable;
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

static void print_line(const char *file, int line, const struct truth *is, struct counts *c,
                       int draws, int verdicts)
{
    const char *slash = strrchr(file, '/');
    qsort(c->detectable, (size_t)draws, sizeof *c->detectable, ascending);
    printf("| %s | %s | %zu | %+.4f | %.4f | %.4f | %.4f [%.4f, %.4f] | %.3f | %.3f | %.3f | "
           "%.3f | %.3f | %.3f |",
           slash ? slash + 1 : file, line_name(line), is->n, is->effect, is->sd, is->detectable,
           c->detectable[draws / 2], c->detectable[draws / 20],
           c->detectable[draws - draws / 20 - 1], is->predicted, (double)c->right / draws,
           (double)c->wrong / draws, (double)c->covers / draws, (double)c->at_zero / draws,
           (double)c->at_mdd / draws);
    if (verdicts)
        printf(" %.3f |\n", (double)c->verdicts / verdicts);
    else
        printf(" |\n");
}

static int power_of(const char *before, const char *after, int draws, int verdicts, struct err *err)
{
    struct comparison r;
    struct population p = {0};
    struct truth is[TASKS + 1];
    struct counts c[TASKS + 1] = {0};
    struct set s;
    int status = comparison_read(&r, before, after, err);
    if (!status)
        status = population_make(&p, &r, err);
    for (int k = 0; k <= TASKS && !status; k++) {
        is[k] = truth_of(&p, k);
        c[k].detectable = mem_calloc((size_t)draws, sizeof(double));
        if (!c[k].detectable)
            status = err_no_memory(err, "the draws", (size_t)draws * sizeof(double));
    }
    for (int d = 0; d < draws && !status; d++) {
        set_draw(&s, &p, (uint64_t)d);
        for (int k = 0; k <= TASKS; k++) {
            double mean;
            struct interval ci = set_interval(&s, &p, k, &mean);
            count(&c[k], &is[k], ci, mean, d);
        }
        if (d < verdicts)
            status = judge(c, is, &s, &p, err);
    }
    for (int k = 0; k <= TASKS; k++) {
        if (!status)
            print_line(after, k, &is[k], &c[k], draws, verdicts);
        mem_free(c[k].detectable);
    }
    fflush(stdout);
    population_free(&p);
    comparison_free(&r);
    return status;
}

static int power(int n, char **words, struct err *err)
{
    int draws = n > 3 ? atoi(words[0]) : 0, verdicts = n > 3 ? atoi(words[1]) : 0;
    if (draws < 20 || verdicts < 0 || verdicts > draws)
        return err_set(err, ERR_USAGE, "power",
                       "expected DRAWS (20 or more) VERDICTS BEFORE AFTER…");
    printf("| after | task | n | effect | sd | detectable | printed, 5%% to 95%% | predicted | "
           "found | other side | coverage | at 0 | at MDD | verdict |\n"
           "|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|\n");
    int status = ERR_NONE;
    for (int i = 3; i < n && !status; i++)
        status = power_of(words[2], words[i], draws, verdicts, err);
    return status;
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
