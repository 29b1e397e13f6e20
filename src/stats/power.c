/* power.c: see power.h. Under a true difference d the t statistic is noncentral with
 * δ = √n·d/sd, and the test rejects outside ±t(1−α/2, n−1) (Cohen 1988, chapter 2). */
#include "stats/power.h"
#include <math.h>
#include "stats/dist.h"
#include "stats/solve.h"

struct paired_test {
    double df, critical;
};

static struct paired_test paired_test(double n, double alpha)
{
    return (struct paired_test){n - 1, dist_t_quantile(1 - alpha / 2, n - 1)};
}

/* Both tails as lower ones, so that neither is a difference from 1. */
static double rejection(double delta, const void *context)
{
    const struct paired_test *test = context;
    return dist_t_noncentral_cdf(-test->critical, test->df, -delta) +
           dist_t_noncentral_cdf(-test->critical, test->df, delta);
}

double power_paired(double difference, double sd, double n, double alpha)
{
    if (!(n >= 2 && sd >= 0 && alpha > 0 && alpha < 1) || isnan(difference))
        return NAN;
    if (sd == 0)
        return difference == 0 ? 0 : 1;
    struct paired_test test = paired_test(n, alpha);
    return rejection(sqrt(n) * fabs(difference) / sd, &test);
}

double power_detectable(size_t n, double sd, double alpha, double power)
{
    if (!(n >= 2 && sd >= 0 && alpha > 0 && power > alpha && power < 1))
        return NAN;
    struct paired_test test = paired_test((double)n, alpha);
    return sd * solve_increasing(rejection, &test, power) / sqrt((double)n);
}

double power_required_n(double difference, double sd, double alpha, double power)
{
    if (!(sd >= 0 && alpha > 0 && power > alpha && power < 1) || isnan(difference))
        return NAN;
    if (difference == 0)
        return INFINITY;
    double effect = fabs(difference) / sd, z = dist_normal_quantile(1 - alpha / 2);
    double normal = pow((z + dist_normal_quantile(power)) / effect, 2);
    if (normal > 1e5)
        return ceil(normal + z * z / 2);          /* Guenther 1981: what Student's t adds */
    double low = 1, high = fmax(2, ceil(normal)); /* power(low) < target, but for low = 1 */
    while (power_paired(difference, sd, high, alpha) < power) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        double middle = floor((low + high) / 2);
        if (power_paired(difference, sd, middle, alpha) < power)
            low = middle;
        else
            high = middle;
    }
    return high;
}
