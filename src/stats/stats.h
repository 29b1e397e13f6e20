/* stats.h: means, standard deviations and their intervals. Doubles in, doubles out; no state, no
 * allocation. n is a number of values; every function accepts n = 0 and then answers NaN.
 *
 * Beside it, one idea a file: bootstrap.h (BCa, prompts and seeds), permutation.h and rank.h (tests
 * of paired differences, Spearman), mcnemar.h, holm.h, trend.h, power.h (what n can find),
 * verdict.h (improved, worse, cannot tell); below them dist.h, special.h, solve.h. */
#ifndef STATS_STATS_H
#define STATS_STATS_H
#include <stddef.h>

struct interval {
    double low, high;
};

double stats_mean(const double *x, size_t n);
double stats_sd(const double *x, size_t n); /* ddof 1; NaN for n < 2 */

/* 95% intervals of a mean: mean ± 1.96·s/√n, and mean ± t·s/√n. NaN for n < 2. */
struct interval stats_normal_interval(const double *x, size_t n);
struct interval stats_t_interval(const double *x, size_t n);

/* 95% interval of a standard deviation of n normal values: sd·√((n−1)/χ²), with χ² the 0.975 and
 * 0.025 quantiles at n − 1 degrees of freedom; with n = 3, 0.52 to 6.28 times sd. NaN for n < 2. */
struct interval stats_sd_interval(double sd, size_t n);

/* Mean of task means and its standard error √(Σ s²ₜ/nₜ)/T over T strata; stratum[i] in [0, T). The
 * interval uses Student's t with Welch–Satterthwaite degrees of freedom. With a task of one value
 * the standard error and interval are NaN. */
struct stratified {
    double mean, se, df;
    struct interval ci;
};
struct stratified stats_stratified(const double *x, const int *stratum, size_t n, int strata);

#endif
