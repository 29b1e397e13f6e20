/* dist.h: distributions: cumulative probability, upper tail, quantile. A probability below 1/2
 * keeps its relative precision (some 1e-13; see special.h for
 * more than 1e4 degrees of freedom), however small; for one close to 1 ask for the other
 * tail. Domain errors and NaN give NaN. Arguments as scipy.stats' norm, t, nct, chi2, binom. */
#ifndef STATS_DIST_H
#define STATS_DIST_H

double dist_normal_cdf(double z);
double dist_normal_quantile(double p); /* 0 < p < 1, as every p below */

double dist_t_cdf(double t, double df); /* df > 0 */
double dist_t_quantile(double p, double df);

/* Noncentral t: (Z + delta) / √(χ²_df / df). */
double dist_t_noncentral_cdf(double t, double df, double delta);

double dist_chi2_cdf(double x, double df);
double dist_chi2_upper(double x, double df);
double dist_chi2_quantile(double p, double df);

/* Of k or fewer successes in n trials; 0 ≤ k ≤ n whole numbers. */
double dist_binomial_cdf(double k, double n, double p);

#endif
