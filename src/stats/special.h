/* special.h: the incomplete beta and gamma functions and the two terms they grow from. Relative
 * error at most 2e-13 for a, b up to 1e4 (tests/oracle/stats/make_dist.py compares with 50 digits).
 * Where x is as close to 1 as 1/a the fraction sees x's rounding: Student's t at 1.96 is off by
 * 4e-11 at 1e6 degrees of freedom and by 6e-9 at 1e9. */
#ifndef STATS_SPECIAL_H
#define STATS_SPECIAL_H

/* Γ(a+b+1) / (Γ(a+1) Γ(b+1)) · xᵃ yᵇ: for whole a, b the probability of a successes in a + b
 * trials. a, b ≥ 0, x + y = 1; both are given so that neither end loses digits. */
double special_binomial_term(double a, double b, double x, double y);

/* mᵃ e⁻ᵐ / Γ(a+1): for whole a the probability of a events where m are expected. a, m ≥ 0. */
double special_poisson_term(double a, double m);

/* Regularised incomplete beta function I_x(a, b); a, b > 0, y = 1 − x. */
double special_beta(double a, double b, double x, double y);

/* Regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 − P; a > 0, x ≥ 0. For a < 1/2 a
 * small Q has an absolute error of 1e-16 rather than a relative one. */
double special_gamma_p(double a, double x);
double special_gamma_q(double a, double x);

#endif
