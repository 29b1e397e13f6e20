/* dist.c: see dist.h. Student's t and the binomial by the incomplete beta function (DLMF 8.17.5,
 * Abramowitz & Stegun 26.5.24, 26.7.1), chi-square by the incomplete gamma function; quantiles by
 * solve.h on the tail that is below 1/2. */
#include "stats/dist.h"
#include <math.h>
#include <stddef.h>
#include "stats/solve.h"
#include "stats/special.h"

/* --- normal --- */

double dist_normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_minus_upper(double z, const void *unused)
{
    (void)unused;
    return -dist_normal_cdf(-z);
}

static double normal_from_middle(double z, const void *unused)
{
    (void)unused;
    return 0.5 * erf(z / sqrt(2.0));
}

/* The quantile of a symmetric distribution: from the middle outwards, or from the tail inwards,
 * whichever has the digits. */
static double symmetric_quantile(double p, solve_function from_middle, solve_function minus_upper,
                                 const void *context)
{
    double size = fabs(p - 0.5) < 0.25
                      ? solve_increasing(from_middle, context, fabs(p - 0.5))
                      : solve_increasing(minus_upper, context, p < 0.5 ? -p : p - 1);
    return p < 0.5 ? -size : size;
}

double dist_normal_quantile(double p)
{
    if (!(p > 0 && p < 1))
        return NAN;
    return p == 0.5 ? 0 : symmetric_quantile(p, normal_from_middle, normal_minus_upper, NULL);
}

/* --- Student's t --- */

double dist_t_cdf(double t, double df)
{
    if (!(df > 0) || isnan(t))
        return NAN;
    double square = t * t; /* may be infinite */
    double x = df / (df + square), y = isinf(square) ? 1 : square / (df + square);
    double tail = 0.5 * special_beta(df / 2, 0.5, x, y);
    return t > 0 ? 1 - tail : tail;
}

static double t_from_middle(double t, const void *context)
{
    double df = *(const double *)context, square = t * t;
    return 0.5 * special_beta(0.5, df / 2, square / (df + square), df / (df + square));
}

static double t_minus_upper(double t, const void *df)
{
    return -dist_t_cdf(-t, *(const double *)df);
}

double dist_t_quantile(double p, double df)
{
    if (!(p > 0 && p < 1 && df > 0))
        return NAN;
    return p == 0.5 ? 0 : symmetric_quantile(p, t_from_middle, t_minus_upper, &df);
}

/* P(T ≤ t) = E Φ(t·s − δ) with s = √(χ²_df / df), integrated over u = ln s. In u the density is
 *     2a · (m^a e^−m / Γ(a+1)) with a = df/2, m = a·e^2u,
 * smooth and gone at both ends at least exponentially, which is where the trapezoidal rule
 * converges exponentially too (Trefethen & Weideman 2014): each halving of the step about doubles
 * the digits, and two that agree are right. All terms are positive: small probabilities keep their
 * digits. */
struct noncentral {
    double t, a, delta, scale; /* scale: the density at its mode */
};

static double noncentral_deviance(const struct noncentral *p, double u)
{
    return p->a * (expm1(2 * u) - 2 * u);
}

static double noncentral_term(const struct noncentral *p, double u)
{
    double weight = p->scale * exp(-noncentral_deviance(p, u));
    return weight * dist_normal_cdf(p->t * exp(u) - p->delta);
}

/* Σ over u = offset + k·step, k = 0, ±1, … out to where the density is e^−60 of its mode. */
static double noncentral_sum(const struct noncentral *p, double offset, double step)
{
    double sum = 0;
    for (double u = offset; noncentral_deviance(p, u) < 60; u += step)
        sum += noncentral_term(p, u);
    for (double u = offset - step; noncentral_deviance(p, u) < 60; u -= step)
        sum += noncentral_term(p, u);
    return sum;
}

double dist_t_noncentral_cdf(double t, double df, double delta)
{
    if (!(df > 0) || isnan(t) || !isfinite(delta))
        return NAN;
    if (isinf(t))
        return t > 0;
    struct noncentral p = {.t = t, .a = df / 2, .delta = delta};
    p.scale = df * special_poisson_term(p.a, p.a);
    double step = 1 / sqrt(2 * df);                       /* the density's width */
    step = fmin(step, fmax(1 / (1 + fabs(delta)), 0.02)); /* halved if that is too wide for Φ */
    double sum = step * noncentral_sum(&p, 0, step);
    for (int halvings = 0; halvings < 12; halvings++) {
        double finer = 0.5 * (sum + step * noncentral_sum(&p, step / 2, step));
        int same = fabs(finer - sum) <= 1e-13 * finer;
        sum = finer;
        step /= 2;
        if (same)
            break;
    }
    return sum;
}

/* --- chi-square --- */

double dist_chi2_cdf(double x, double df)
{
    return special_gamma_p(df / 2, x / 2);
}

double dist_chi2_upper(double x, double df)
{
    return special_gamma_q(df / 2, x / 2);
}

static double chi2_lower(double x, const void *df)
{
    return dist_chi2_cdf(x, *(const double *)df);
}

static double chi2_minus_upper(double x, const void *df)
{
    return -dist_chi2_upper(x, *(const double *)df);
}

double dist_chi2_quantile(double p, double df)
{
    if (!(p > 0 && p < 1 && df > 0))
        return NAN;
    return p <= 0.5 ? solve_increasing(chi2_lower, &df, p)
                    : solve_increasing(chi2_minus_upper, &df, p - 1);
}

/* --- binomial --- */

double dist_binomial_cdf(double k, double n, double p)
{
    if (!(k >= 0 && k <= n && p >= 0 && p <= 1))
        return NAN;
    return k == n ? 1 : special_beta(n - k, k + 1, 1 - p, p);
}
