/* stats.h: means, intervals and comparisons. Doubles in, doubles out; no state, no allocation
 * except in the bootstrap. n is a number of values; every function accepts n = 0 and then answers
 * NaN. */
#ifndef STATS_STATS_H
#define STATS_STATS_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct interval {
    double low, high;
};

double stats_mean(const double *x, size_t n);
double stats_sd(const double *x, size_t n); /* ddof 1; NaN for n < 2 */

/* Student's t: cumulative probability and its inverse (0 < p < 1), df > 0. As scipy.stats.t. */
double stats_t_cdf(double t, double df);
double stats_t_quantile(double p, double df);

/* 95% intervals of a mean: mean ± 1.96·s/√n, and mean ± t·s/√n. NaN for n < 2. */
struct interval stats_normal_interval(const double *x, size_t n);
struct interval stats_t_interval(const double *x, size_t n);

/* 95% BCa bootstrap interval of the mean (Efron 1987): `resamples` draws keyed by seed,
 * acceleration by the jackknife, percentiles by linear interpolation. Constant data give a point.
 */
int stats_bca_interval(struct interval *out, const double *x, size_t n, int resamples,
                       uint64_t seed, struct err *err);

/* Mean of task means and its standard error √(Σ s²ₜ/nₜ)/T over T strata; stratum[i] in [0, T). The
 * interval uses Student's t with Welch–Satterthwaite degrees of freedom. With a task of one value
 * the standard error and interval are NaN. */
struct stratified {
    double mean, se, df;
    struct interval ci;
};
struct stratified stats_stratified(const double *x, const int *stratum, size_t n, int strata);

/* 95% BCa interval of that mean of task means: each stratum is resampled within itself; bias and
 * percentiles as above, acceleration from the strata's influence values (Davison & Hinkley 1997,
 * section 5.3.2). With one stratum it is stats_bca_interval's definition (other draws). */
int stats_bca_stratified(struct interval *out, const double *x, const int *stratum, size_t n,
                         int strata, int resamples, uint64_t seed, struct err *err);

#endif
