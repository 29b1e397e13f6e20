/* trend.c: see trend.h. Deviations from the means first, then their products: a step number of
 * 1,500 squared beside a slope of 1e-5 loses nothing. */
#include "stats/trend.h"
#include <math.h>
#include <stdbool.h>
#include "stats/dist.h"

struct trend trend_fit(const double *x, const double *y, size_t n)
{
    struct trend fit = {NAN, NAN, NAN, NAN, {NAN, NAN}};
    double mean_x = stats_mean(x, n), mean_y = stats_mean(y, n), xx = 0, xy = 0;
    bool varies = false; /* the mean of equal numbers may differ from them in the last bit */
    for (size_t i = 0; i < n; i++) {
        varies |= x[i] != x[0];
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    if (!varies || !isfinite(xx) || !isfinite(xy))
        return fit;
    fit.slope = xy / xx;
    fit.intercept = mean_y - fit.slope * mean_x;
    if (n == 2)
        return fit;
    double residual = 0, df = (double)(n - 2);
    for (size_t i = 0; i < n; i++) {
        double e = y[i] - mean_y - fit.slope * (x[i] - mean_x);
        residual += e * e;
    }
    fit.se = sqrt(residual / df / xx);
    double half = dist_t_quantile(0.975, df) * fit.se;
    fit.ci = (struct interval){fit.slope - half, fit.slope + half};
    fit.p = fit.se > 0 ? 2 * dist_t_cdf(-fabs(fit.slope) / fit.se, df) : fit.slope == 0;
    return fit;
}
