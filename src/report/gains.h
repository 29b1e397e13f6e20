/* gains.h: the same prompts before and after, under several seeds: every number of the results
 * table. A prompt's value is paired with its own; prompts are what most intervals count, and where
 * there are several seeds they are a sample too. */
#ifndef REPORT_GAINS_H
#define REPORT_GAINS_H
#include "report/run.h"
#include "stats/bootstrap.h"
#include "stats/stats.h"
#include "stats/verdict.h"

/* Prompts that have a value in all evaluations. */
struct pairs {
    int seeds, n_tasks;
    size_t n;                             /* prompts */
    const char **tasks;                   /* in the order of the rows */
    int *task;                            /* (n) */
    double *before, *after;               /* [seeds][n] */
    const struct report_row **row_before; /* [seeds][n], borrowed from the evaluations */
    const struct report_row **row_after;
    size_t left_out; /* prompts without a value somewhere */
};
/* ERR_INPUT when two evaluations are not of the same rows, saying which row; or no prompt is left.
 * pairs_free also after an error. */
int pairs_make(struct pairs *p, const struct evaluation *const *before,
               const struct evaluation *const *after, int seeds, struct err *err);
void pairs_free(struct pairs *p);

/* What is expected of other prompts and, with two seeds or more, other seeds: the mean of task
 * means and its 95% interval; with one seed Student's t over prompts, else the hierarchical
 * bootstrap over both. values: [seeds][n], stratum (n) in [0, strata). */
struct estimate {
    double value;
    struct interval ci;
    size_t n;
};
int estimate_make(struct estimate *e, const struct bootstrap_table *t, struct err *err);

/* A task, or all of them (name NULL: the unweighted mean of the task means). */
struct gain_line {
    const char *name;
    size_t n;                         /* prompts */
    size_t changed;                   /* of these, whose mean over seeds changed */
    double *seed_before, *seed_after; /* (seeds): means */
    double before, after, gain;       /* means over seeds */
    /* Of `after`: 1.96·se, Student's t and BCa over prompts (each the mean of its seeds), and t
     * over seeds (NaN for one). */
    struct interval after_normal, after_t, after_bca, after_seeds;
    struct interval before_t;
    /* Of the gain: paired over prompts by t and BCa; t over seeds; bootstrap over both. */
    struct interval gain_t, gain_bca, gain_seeds;
    struct bootstrap_gain gain_both;
    double p, p_holm; /* permutation test; over tasks by Holm (of all together: p itself) */
    bool unlike;      /* compared: the sides are paid by different rewards (shared.c) */
    enum verdict_kind verdict;
    const char *why;                     /* what keeps it from "improved" or "worse"; "" */
    double prompts_needed, seeds_needed; /* NaN: more of them is not what is missing */
    /* By these prompts, 4 times in 5; NaN when fewer than VERDICT_LEAST_CHANGED changed. */
    double detectable;
};

struct gains {
    int seeds, n_tasks;
    struct gain_line *tasks; /* as pairs.tasks */
    struct gain_line all;
};
/* Names are borrowed from the pairs. */
int gains_make(struct gains *g, const struct pairs *p, struct err *err);
void gains_free(struct gains *g);

#endif
