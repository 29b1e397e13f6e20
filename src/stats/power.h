/* power.h: what a paired comparison of n differences can find: the two-sided one-sample t test of
 * their mean. sd is the standard deviation of the differences, alpha the test's level, power the
 * probability of finding a true difference; the noncentral t distribution, no approximation. */
#ifndef STATS_POWER_H
#define STATS_POWER_H
#include <stddef.h>

#define POWER_ALPHA 0.05
#define POWER_TARGET 0.8

/* The probability that the test finds a true difference. NaN for n < 2. */
double power_paired(double difference, double sd, double n, double alpha);

/* The smallest true difference that is found with the given power. NaN for n < 2; 0 for sd = 0. */
double power_detectable(size_t n, double sd, double alpha, double power);

/* The smallest whole n ≥ 2 at which a true difference is found with the given power (beyond 1e5 by
 * the normal approximation). INFINITY when the difference is 0. */
double power_required_n(double difference, double sd, double alpha, double power);

#endif
