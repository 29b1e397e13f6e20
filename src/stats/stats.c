/* stats.c: see stats.h. */
#include "stats/stats.h"
#include <math.h>
#include "stats/dist.h"

double stats_mean(const double *x, size_t n)
{
    if (n == 0)
        return NAN;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

double stats_sd(const double *x, size_t n)
{
    if (n < 2)
        return NAN;
    double mean = stats_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

static struct interval around(double mean, double half)
{
    return (struct interval){mean - half, mean + half};
}

struct interval stats_normal_interval(const double *x, size_t n)
{
    return around(stats_mean(x, n), 1.96 * stats_sd(x, n) / sqrt((double)n));
}

struct interval stats_t_interval(const double *x, size_t n)
{
    if (n < 2)
        return (struct interval){NAN, NAN};
    double t = dist_t_quantile(0.975, (double)(n - 1));
    return around(stats_mean(x, n), t * stats_sd(x, n) / sqrt((double)n));
}

struct interval stats_sd_interval(double sd, size_t n)
{
    if (n < 2)
        return (struct interval){NAN, NAN};
    double df = (double)(n - 1);
    double low = sd * sqrt(df / dist_chi2_quantile(0.975, df)),
           high = sd * sqrt(df / dist_chi2_quantile(0.025, df));
    return (struct interval){low, high};
}

/* --- strata --- */

struct stratified stats_stratified(const double *x, const int *stratum, size_t n, int strata)
{
    double sum_means = 0, variance = 0, welch = 0;
    int used = 0;
    for (int t = 0; t < strata; t++) {
        double sum = 0, squares = 0, count = 0;
        for (size_t i = 0; i < n; i++)
            if (stratum[i] == t) {
                sum += x[i];
                count++;
            }
        if (count == 0)
            continue;
        double mean = sum / count;
        for (size_t i = 0; i < n; i++)
            if (stratum[i] == t)
                squares += (x[i] - mean) * (x[i] - mean);
        double v = count > 1 ? squares / (count - 1) / count : NAN; /* of this task's mean */
        sum_means += mean;
        variance += v;
        welch += v * v / (count - 1);
        used++;
    }
    struct stratified s = {NAN, NAN, NAN, {NAN, NAN}};
    if (!used)
        return s;
    s.mean = sum_means / used;
    s.se = sqrt(variance) / used;
    s.df = variance > 0 ? variance * variance / welch : NAN;
    s.ci =
        variance > 0 ? around(s.mean, dist_t_quantile(0.975, s.df) * s.se) : around(s.mean, s.se);
    return s;
}
