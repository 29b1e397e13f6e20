/* holm.c: see holm.h. With p in ascending order, adjusted(k) is the maximum over j ≤ k of
 * (m − j + 1)·p(j). The multiplier is the number of tests whose p is not smaller; of equal p the
 * first has the largest multiplier, and the maximum keeps it: no sorting is needed. */
#include "stats/holm.h"
#include <math.h>

static double multiplied(const double *p, size_t m, double own)
{
    double not_smaller = 0;
    for (size_t k = 0; k < m; k++)
        not_smaller += p[k] >= own; /* false for NaN */
    return not_smaller * own;
}

void holm_adjust(double *adjusted, const double *p, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        adjusted[i] = isnan(p[i]) ? NAN : 0;
        for (size_t j = 0; j < m; j++)
            if (p[j] <= p[i])
                adjusted[i] = fmax(adjusted[i], fmin(1, multiplied(p, m, p[j])));
    }
}
