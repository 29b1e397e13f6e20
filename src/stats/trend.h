/* trend.h: a straight line through points, by least squares. */
#ifndef STATS_TREND_H
#define STATS_TREND_H
#include <stddef.h>
#include "stats/stats.h"

struct trend {
    double slope, intercept;
    double se;          /* of the slope; NaN for n < 3 */
    double p;           /* two-sided, of slope 0, Student's t with n − 2 degrees of freedom */
    struct interval ci; /* 95% of the slope, same t */
};

/* y = intercept + slope·x over n points (scipy.stats.linregress). All NaN for n < 2, for x all
 * equal, or for values that are not finite. The errors are taken as independent with one variance;
 * evaluations of one run on the same prompts share their prompts' noise, which cancels in a slope.
 */
struct trend trend_fit(const double *x, const double *y, size_t n);

#endif
