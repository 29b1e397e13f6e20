/* solve.c: doubling to a bracket [low, 2·low], then bisection until no double lies between: some
 * sixty evaluations, nothing that can diverge. Quantiles are asked for a few times a report, so
 * certainty is worth more here than Newton's speed. */
#include "stats/solve.h"
#include <math.h>

double solve_increasing(solve_function f, const void *context, double target)
{
    double low = 0.5, high = 1, value = f(high, context);
    if (isnan(target) || isnan(value))
        return NAN;
    if (value < target) {
        while (f(high, context) < target) {
            low = high;
            high *= 2;
            if (high > 1e300)
                return INFINITY;
        }
    } else {
        while (f(low, context) >= target) {
            high = low;
            low /= 2;
            if (low < 1e-300)
                return 0;
        }
    }
    for (;;) {
        double middle = low + 0.5 * (high - low);
        if (middle <= low || middle >= high)
            return high;
        if (f(middle, context) < target)
            low = middle;
        else
            high = middle;
    }
}
