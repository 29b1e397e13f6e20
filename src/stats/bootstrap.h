/* bootstrap.h: intervals by resampling. Draws are keyed by seed (base/rng.h): the same call gives
 * the same interval anywhere. Percentiles interpolate linearly. `resamples` is at least 1; fewer
 * than two values give NaN. Memory for one double a resample; ERR_MACHINE when there is none. */
#ifndef STATS_BOOTSTRAP_H
#define STATS_BOOTSTRAP_H
#include <stdint.h>
#include "base/err.h"
#include "stats/stats.h"

/* 95% BCa interval of the mean (Efron 1987), acceleration by the jackknife. Constant data give a
 * point. */
int bootstrap_bca(struct interval *out, const double *x, size_t n, int resamples, uint64_t seed,
                  struct err *err);

/* 95% BCa interval of the mean of task means (stats_stratified): each stratum is resampled within
 * itself; bias and percentiles as above, acceleration from the strata's influence values (Davison &
 * Hinkley 1997, section 5.3.2). With one stratum it is bootstrap_bca's definition (other draws). */
int bootstrap_bca_strata(struct interval *out, const double *x, const int *stratum, size_t n,
                         int strata, int resamples, uint64_t seed, struct err *err);

/* A value, such as a gain over the base model, for each training seed and each prompt. */
struct bootstrap_table {
    const double *values; /* [seeds][prompts] */
    size_t seeds, prompts;
    const int *stratum; /* (prompts), in [0, strata): the prompt's task */
    int strata;
};

struct bootstrap_gain {
    double mean; /* over seeds, of the mean of task means */
    double se;   /* standard deviation of the resampled means */
    struct interval ci;
};

/* The mean and its 95% percentile interval when both the seeds and the prompts are a sample: what
 * to expect of other seeds on other prompts. A resample draws seeds − 1 seeds, and in each task its
 * prompts − 1 prompts, with replacement (but at least one), and takes the mean over drawn seeds of
 * the mean of the tasks' means over drawn prompts. The same prompts serve all drawn seeds, as they
 * did in the experiment. bootstrap.c says why one fewer, and how often the interval is right.
 * With one seed only prompts are drawn. A value that is not finite, or a table without any, gives
 * NaN. */
int bootstrap_hierarchical(struct bootstrap_gain *out, const struct bootstrap_table *t,
                           int resamples, uint64_t seed, struct err *err);

#endif
