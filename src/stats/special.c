/* special.c: see special.h.
 *
 * Logarithms of gamma functions cancel: at a = 1e6 ln Γ has lost nine digits before the exponential
 * is taken. Both terms are therefore written as Loader does ("Fast and accurate computation of
 * binomial probabilities", 2000): Stirling's main part is cancelled on paper, what is left of it is
 * a small correction, and the distance from the mode is a deviance with a series of its own.
 *
 * The incomplete functions are such a term times a continued fraction (beta: DLMF 8.17.22; upper
 * gamma: DLMF 8.9.2), evaluated by Lentz's method, or a power series (lower gamma: DLMF 8.7.1),
 * each on the side of the mean where it converges fast. */
#include "stats/special.h"
#include <math.h>

enum { MAX_TERMS = 200000 }; /* the fractions take about √max(a, b) terms */

static const double settled = 5e-16, half_log_two_pi = 0.91893853320467274178;

/* ln Γ(a+1) − (a + ½) ln a + a − ½ ln 2π, a > 0: Stirling's series (DLMF 5.11.1), whose next term
 * at 16 is below 1e-16; below that the definition, where nothing large cancels. */
static double stirling_error(double a)
{
    if (a < 16) {
        int sign;
        return lgamma_r(a + 1, &sign) - (a + 0.5) * log(a) + a - half_log_two_pi;
    }
    double u = 1 / a, u2 = u * u;
    return u * (1.0 / 12 - u2 * (1.0 / 360 -
                                 u2 * (1.0 / 1260 -
                                       u2 * (1.0 / 1680 - u2 * (1.0 / 1188 - u2 * 691 / 360360)))));
}

/* x ln(x/m) + m − x ≥ 0, x, m > 0. Near x = m by the series of the logarithm in (x−m)/(x+m). */
static double deviance(double x, double m)
{
    double d = x - m, v = d / (x + m);
    if (!(fabs(v) < 0.1)) /* NaN too */
        return x / m == 0 ? m : x * log(x / m) - d;
    double sum = d * v, term = 2 * x * v;
    for (int j = 3;; j += 2) {
        term *= v * v;
        double next = sum + term / j;
        if (next == sum)
            return sum;
        sum = next;
    }
}

double special_binomial_term(double a, double b, double x, double y)
{
    double n = a + b;
    if (x <= 0 || y <= 0)
        return x <= 0 ? (a == 0) : (b == 0);
    if (a == 0)
        return exp(n * (y > 0.5 ? log1p(-x) : log(y)));
    if (b == 0)
        return exp(n * (x > 0.5 ? log1p(-y) : log(x)));
    double corrections = stirling_error(n) - stirling_error(a) - stirling_error(b);
    double main = exp(corrections - deviance(a, n * x) - deviance(b, n * y) - half_log_two_pi);
    return main * sqrt(1 / a + 1 / b);
}

double special_poisson_term(double a, double m)
{
    if (a == 0 || m == 0)
        return a == 0 ? exp(-m) : 0;
    return exp(-stirling_error(a) - deviance(a, m) - half_log_two_pi) / sqrt(a);
}

static double away_from_zero(double x)
{
    return fabs(x) < 1e-300 ? 1e-300 : x;
}

static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;
    for (int m = 1; m < MAX_TERMS; m++) {
        double at = a + 2.0 * m;
        double even = m * (b - m) * x / ((at - 1) * at);
        double odd = -(a + m) * (a + b + m) * x / (at * (at + 1));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        h *= d * c;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        h *= d * c;
        if (fabs(d * c - 1) < settled)
            break;
    }
    return h;
}

double special_beta(double a, double b, double x, double y)
{
    if (isnan(x) || isnan(y) || !(a > 0 && b > 0))
        return NAN;
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    double n = a + b, term = special_binomial_term(a, b, x, y);
    if (x < (a + 1) / (n + 2))
        return term * (b / n) * beta_fraction(a, b, x);
    return 1 - term * (a / n) * beta_fraction(b, a, y);
}

/* Σ xᵏ / ((a+1)…(a+k)), so that P = mᵃe⁻ᵐ/Γ(a+1) times it. */
static double gamma_series(double a, double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < MAX_TERMS && term > settled * 0.1 * sum; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return sum;
}

/* 1/(x+1−a − 1(1−a)/(x+3−a − 2(2−a)/(x+5−a − …))). */
static double gamma_fraction(double a, double x)
{
    double b = x + 1 - a, c = 1e300, d = 1 / away_from_zero(b), h = d;
    for (int k = 1; k < MAX_TERMS; k++) {
        double numerator = -k * (k - a);
        b += 2;
        d = 1 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        h *= d * c;
        if (fabs(d * c - 1) < settled)
            break;
    }
    return h;
}

static double gamma_tail(double a, double x, int upper)
{
    if (!(a > 0 && x >= 0))
        return NAN;
    if (x == 0 || isinf(x))
        return upper == (x == 0);
    double term = special_poisson_term(a, x);
    int fraction = x > a + 1; /* gives Q; the series gives P */
    double tail = fraction ? term * a * gamma_fraction(a, x) : term * gamma_series(a, x);
    return fraction == upper ? tail : 1 - tail;
}

double special_gamma_p(double a, double x)
{
    return gamma_tail(a, x, 0);
}

double special_gamma_q(double a, double x)
{
    return gamma_tail(a, x, 1);
}
