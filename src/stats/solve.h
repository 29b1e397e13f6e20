/* solve.h: the inverse of an increasing function, for quantiles and sample sizes. */
#ifndef STATS_SOLVE_H
#define STATS_SOLVE_H

typedef double (*solve_function)(double x, const void *context);

/* The x > 0 at which f, continuous and increasing on (0, ∞), reaches target: to the last bit that
 * f itself is good for. 0 or INFINITY when f passes target below 1e-300 or not before 1e300; NaN
 * when target or f is. */
double solve_increasing(solve_function f, const void *context, double target);

#endif
