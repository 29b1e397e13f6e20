/* stats.c: see stats.h. Student's t through the regularised incomplete beta function (continued
 * fraction by Lentz's method), its inverse by bisection on the monotone cdf: slow, certain, exact.
 */
#include "stats/stats.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"

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

/* Continued fraction of the incomplete beta function. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 10000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                           : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + k * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + k / c;
            c = fabs(c) < tiny ? tiny : c;
            h *= d * c;
            if (odd && fabs(d * c - 1) < 1e-16)
                return h;
        }
    }
    return h;
}

/* ln Γ(a + 1/2) − ln Γ(a). For large a the two logarithms cancel (at a = 5e5 ten digits are left),
 * so their difference is taken from Stirling's series; at a = 20 its next term is below 1e-14. */
static double log_gamma_half_step(double a)
{
    if (a < 20)
        return lgamma(a + 0.5) - lgamma(a);
    double u = 1 / a, u2 = u * u;
    return 0.5 * log(a) - u * (1.0 / 8 - u2 * (1.0 / 192 - u2 * (1.0 / 640 - u2 * 17 / 14336)));
}

/* Regularised incomplete beta I_x(a, 1/2); y = 1 − x is given separately so that neither end loses
 * digits. */
static double incomplete_beta_half(double a, double x, double y)
{
    const double b = 0.5, log_gamma_b = 0.57236494292470008707; /* ln √π */
    if (x <= 0)
        return 0;
    if (y <= 0)
        return 1;
    double log_x = x > 0.5 ? log1p(-y) : log(x), log_y = y > 0.5 ? log1p(-x) : log(y);
    double front = exp(log_gamma_half_step(a) - log_gamma_b + a * log_x + b * log_y);
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

double stats_t_cdf(double t, double df)
{
    double x = df / (df + t * t), y = t * t / (df + t * t);
    double tail = 0.5 * incomplete_beta_half(df / 2, x, y);
    return t > 0 ? 1 - tail : tail;
}

double stats_t_quantile(double p, double df)
{
    if (!(p > 0 && p < 1 && df > 0))
        return NAN;
    if (p == 0.5)
        return 0;
    double sign = p < 0.5 ? -1 : 1, upper = p < 0.5 ? p : 1 - p; /* upper tail of |t| */
    double low = 0, high = 1;
    while (stats_t_cdf(-high, df) > upper && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        double middle = 0.5 * (low + high);
        if (stats_t_cdf(-middle, df) > upper)
            low = middle;
        else
            high = middle;
    }
    return sign * 0.5 * (low + high);
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
    double t = stats_t_quantile(0.975, (double)(n - 1));
    return around(stats_mean(x, n), t * stats_sd(x, n) / sqrt((double)n));
}

/* --- bootstrap --- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 200 && high - low > 1e-15; i++) {
        double middle = 0.5 * (low + high);
        if (normal_cdf(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static double percentile(const double *sorted, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

/* Skewness of the jackknife means over 6: the acceleration. */
static double acceleration(const double *x, size_t n)
{
    double mean = stats_mean(x, n), cubes = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - mean; /* the jackknife mean without i lies at mean − d/(n−1) */
        cubes += d * d * d;
        squares += d * d;
    }
    return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

/* Limits from the resampled means (sorted here), the share of them below the mean, and the
 * acceleration a. */
static struct interval bca_limits(double *means, int resamples, double share, double a)
{
    size_t n = (size_t)resamples;
    qsort(means, n, sizeof *means, ascending);
    if (means[0] == means[n - 1] || share <= 0 || share >= 1)
        return (struct interval){means[0], means[n - 1]};
    double bias = normal_quantile(share), p[2];
    for (int side = 0; side < 2; side++) {
        double z = bias + (side ? 1.959963984540054 : -1.959963984540054);
        p[side] = normal_cdf(bias + z / (1 - a * z));
    }
    return (struct interval){percentile(means, n, p[0]), percentile(means, n, p[1])};
}

int stats_bca_interval(struct interval *out, const double *x, size_t n, int resamples,
                       uint64_t seed, struct err *err)
{
    *out = (struct interval){NAN, NAN};
    if (n < 2)
        return ERR_NONE;
    double *means = mem_alloc((size_t)resamples * sizeof *means);
    if (!means)
        return err_no_memory(err, "bootstrap", (size_t)resamples * sizeof *means);
    double mean = stats_mean(x, n);
    double below = 0;
    for (int b = 0; b < resamples; b++) {
        struct rng_key key = {.seed = seed, .purpose = RNG_BOOTSTRAP, .sample = (uint64_t)b};
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += x[rng_below(&key, i, n)];
        means[b] = sum / (double)n;
        below += means[b] < mean ? 1 : means[b] == mean ? 0.5 : 0;
    }
    *out = bca_limits(means, resamples, below / resamples, acceleration(x, n));
    mem_free(means);
    return ERR_NONE;
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
        variance > 0 ? around(s.mean, stats_t_quantile(0.975, s.df) * s.se) : around(s.mean, s.se);
    return s;
}

/* Observations sorted by stratum: stratum k's are x[start[k]] … x[start[k + 1] - 1]. */
struct sorted_strata {
    double *x;
    size_t *start; /* (strata + 1) */
    int strata, used;
};

static void sort_strata(struct sorted_strata *s, const double *x, const int *stratum, size_t n)
{
    size_t at = 0;
    for (int k = 0; k < s->strata; k++) {
        s->start[k] = at;
        for (size_t i = 0; i < n; i++)
            if (stratum[i] == k)
                s->x[at++] = x[i];
        s->used += at > s->start[k];
    }
    s->start[s->strata] = at;
}

static double resampled_mean(const struct sorted_strata *s, const struct rng_key *key)
{
    double sum_means = 0;
    for (int k = 0; k < s->strata; k++) {
        size_t n = s->start[k + 1] - s->start[k];
        double sum = 0;
        for (size_t i = s->start[k]; i < s->start[k + 1]; i++)
            sum += s->x[s->start[k] + rng_below(key, i, n)];
        sum_means += n ? sum / (double)n : 0;
    }
    return sum_means / s->used;
}

/* Σₖ nₖ⁻³ Σ l³ / 6 (Σₖ nₖ⁻² Σ l²)^1.5 with influence values l = x − mean of its stratum. */
static double stratified_acceleration(const struct sorted_strata *s)
{
    double cubes = 0, squares = 0;
    for (int k = 0; k < s->strata; k++) {
        size_t n = s->start[k + 1] - s->start[k];
        double mean = stats_mean(s->x + s->start[k], n), c = 0, q = 0;
        for (size_t i = s->start[k]; i < s->start[k + 1]; i++) {
            double d = s->x[i] - mean;
            c += d * d * d;
            q += d * d;
        }
        if (n) {
            cubes += c / pow((double)n, 3);
            squares += q / pow((double)n, 2);
        }
    }
    return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

int stats_bca_stratified(struct interval *out, const double *x, const int *stratum, size_t n,
                         int strata, int resamples, uint64_t seed, struct err *err)
{
    *out = (struct interval){NAN, NAN};
    if (n < 2)
        return ERR_NONE;
    struct sorted_strata s = {.x = mem_alloc(n * sizeof *s.x),
                              .start = mem_calloc((size_t)strata + 1, sizeof *s.start),
                              .strata = strata};
    double *means = mem_alloc((size_t)resamples * sizeof *means);
    int status = s.x && s.start && means
                     ? ERR_NONE
                     : err_no_memory(err, "bootstrap", (size_t)resamples * sizeof *means);
    if (!status) {
        sort_strata(&s, x, stratum, n);
        double mean = stats_stratified(x, stratum, n, strata).mean, below = 0;
        for (int b = 0; b < resamples; b++) {
            struct rng_key key = {.seed = seed, .purpose = RNG_BOOTSTRAP, .sample = (uint64_t)b};
            means[b] = resampled_mean(&s, &key);
            below += means[b] < mean ? 1 : means[b] == mean ? 0.5 : 0;
        }
        *out = bca_limits(means, resamples, below / resamples, stratified_acceleration(&s));
    }
    mem_free(s.x);
    mem_free(s.start);
    mem_free(means);
    return status;
}
