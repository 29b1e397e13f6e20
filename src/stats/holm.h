/* holm.h: p-values of several tests read together. */
#ifndef STATS_HOLM_H
#define STATS_HOLM_H
#include <stddef.h>

/* Holm's step-down adjustment (1979): adjusted[i] below α for any of the tests keeps the chance of
 * one false finding among all below α, whatever their dependence. A NaN p is no test: it stays NaN
 * and is not counted. adjusted may not overlap p. Time m³: m is a number of tasks. */
void holm_adjust(double *adjusted, const double *p, size_t m);

#endif
