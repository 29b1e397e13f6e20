/* test_dist.c: special functions, distributions and quantiles against 50 digits of mpmath
 * (tests/oracle/stats/make_dist.py, which has SciPy agree), within 1e-12 relative, in both tails;
 * symmetries, closed forms, ends and nonsense. */
#include <math.h>
#include "../support/close.h"
#include "../support/support.h"
#include "stats/dist.h"
#include "stats/solve.h"
#include "stats/special.h"

static json_t *root;

static int load(void **state)
{
    (void)state;
    root = json_fixture("stats/dist.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static double in(const json_t *c, const char *key)
{
    return json_fixture_number(c, key);
}

/* Each value of a table, as a function of the case. */
typedef double (*evaluate)(const json_t *c);

static double beta(const json_t *c)
{
    double x = in(c, "x");
    return special_beta(in(c, "a"), in(c, "b"), x, 1 - x);
}

static double gamma_lower(const json_t *c)
{
    return special_gamma_p(in(c, "a"), in(c, "x"));
}

static double normal_cdf(const json_t *c)
{
    return dist_normal_cdf(in(c, "z"));
}

static double normal_quantile(const json_t *c)
{
    return dist_normal_quantile(in(c, "p"));
}

static double t_cdf(const json_t *c)
{
    return dist_t_cdf(in(c, "t"), in(c, "df"));
}

static double t_quantile(const json_t *c)
{
    return dist_t_quantile(in(c, "p"), in(c, "df"));
}

static double t_noncentral(const json_t *c)
{
    return dist_t_noncentral_cdf(in(c, "t"), in(c, "df"), in(c, "delta"));
}

static double chi2_quantile(const json_t *c)
{
    return dist_chi2_quantile(in(c, "p"), in(c, "df"));
}

static double binomial(const json_t *c)
{
    return dist_binomial_cdf(in(c, "k"), in(c, "n"), in(c, "p"));
}

static void tables(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        evaluate f;
        size_t cases;
    } all[] = {
        {"beta", beta, 68},
        {"gamma", gamma_lower, 55},
        {"normal_cdf", normal_cdf, 34},
        {"normal_quantile", normal_quantile, 32},
        {"t_cdf", t_cdf, 100},
        {"t_quantile", t_quantile, 49},
        {"t_noncentral", t_noncentral, 40},
        {"chi2_quantile", chi2_quantile, 45},
        {"binomial", binomial, 38},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const json_t *cases = json_object_get(root, all[k].key), *c;
        double worst = 0;
        size_t i;
        json_array_foreach(cases, i, c)
        {
            double got = all[k].f(c), want = json_fixture_number(c, "value");
            if (want != 0)
                worst = fmax(worst, fabs(got / want - 1));
            close_to(got, c, "value", 1e-12);
        }
        print_message("%-16s %3zu cases, off by at most %.1e\n", all[k].key, i, worst);
        assert_true(i >= all[k].cases);
    }
}

static void upper_gamma(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "gamma"), i, c)
    {
        double a = in(c, "a");
        close_to_or(special_gamma_q(a, in(c, "x")), c, "upper", 1e-12, a < 0.5 ? 1e-15 : 1e-300);
    }
}

/* One degree of freedom has a closed form, also where SciPy loses digits. */
static void cauchy(void **state)
{
    (void)state;
    for (double t = 1e-12; t < 1e12; t *= 7) {
        double tail = atan(1 / t) / acos(-1.0);
        assert_true(fabs(dist_t_cdf(-t, 1) - tail) <= 1e-13 * tail);
        assert_true(fabs(dist_t_cdf(t, 1) - (1 - tail)) <= 1e-15);
    }
}

static void near_enough(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%.17g, wanted %.17g", got, want);
}

/* What must be equal by theory but takes another way in the code; large arguments among them. */
static void identities(void **state)
{
    (void)state;
    for (double a = 0.5; a < 1e9; a *= 9.7) {
        double error = a < 1e6 ? 2e-13 : 5e-12; /* special.h */
        for (double u = 0.1; u < 1; u += 0.2) {
            double x = a * (1 + (u - 0.5) / sqrt(a));
            near_enough(special_gamma_p(a, x) + special_gamma_q(a, x), 1, 1e-13);
            near_enough(dist_chi2_cdf(dist_chi2_quantile(u, a), a), u, 1e-11);
            near_enough(dist_t_cdf(dist_t_quantile(u, a), a), u, 1e-12);
            near_enough(special_beta(a, 2 * a, 1.0 / 3, 2.0 / 3) +
                            special_beta(2 * a, a, 2.0 / 3, 1.0 / 3),
                        1, 1e-12);
        }
        near_enough(special_beta(a, 1, 0.5, 0.5), pow(0.5, a), 1e-11);
        /* I_x(a, b) − I_x(a + 1, b) = xᵃ yᵇ / (a B(a, b)) = term · b/(a + b) */
        near_enough(special_beta(a, a, 0.5, 0.5), 0.5, error);
        double step = special_binomial_term(a, a, 0.5, 0.5) / 2;
        near_enough(special_beta(a + 1, a, 0.5, 0.5) + step, 0.5, error);
    }
    for (double delta = -4; delta <= 4; delta += 1) {
        near_enough(dist_t_noncentral_cdf(1.3, 7, delta) + dist_t_noncentral_cdf(-1.3, 7, -delta),
                    1, 1e-13);
        near_enough(dist_t_noncentral_cdf(0, 7, delta), dist_normal_cdf(-delta), 1e-13);
        near_enough(dist_t_noncentral_cdf(delta, 3, 0), dist_t_cdf(delta, 3), 1e-13);
        near_enough(dist_t_noncentral_cdf(delta, 1e9, 1), dist_normal_cdf(delta - 1), 1e-6);
    }
}

static void ends_and_nonsense(void **state)
{
    (void)state;
    assert_true(isnan(dist_t_quantile(0, 3)) && isnan(dist_t_quantile(1, 3)));
    assert_true(isnan(dist_t_quantile(0.3, 0)) && isnan(dist_t_quantile(NAN, 3)));
    assert_true(isnan(dist_normal_quantile(-0.1)) && isnan(dist_normal_quantile(1)));
    assert_true(isnan(dist_chi2_quantile(0.5, -1)) && isnan(dist_chi2_quantile(1, 3)));
    assert_true(isnan(dist_t_cdf(NAN, 3)) && isnan(dist_t_cdf(1, NAN)) && isnan(dist_t_cdf(1, 0)));
    assert_true(dist_t_cdf(INFINITY, 3) == 1 && dist_t_cdf(-INFINITY, 3) == 0);
    assert_true(dist_t_cdf(-1e200, 3) == 0 && dist_t_cdf(0, 3) == 0.5);
    assert_true(dist_t_noncentral_cdf(INFINITY, 3, 1) == 1);
    assert_true(dist_t_noncentral_cdf(-INFINITY, 3, 1) == 0);
    assert_true(isnan(dist_t_noncentral_cdf(1, 3, NAN)) && isnan(dist_t_noncentral_cdf(1, 0, 1)));
    assert_true(dist_chi2_cdf(0, 3) == 0 && dist_chi2_upper(0, 3) == 1);
    assert_true(dist_chi2_cdf(INFINITY, 3) == 1 && dist_chi2_upper(INFINITY, 3) == 0);
    assert_true(isnan(dist_chi2_cdf(-1, 3)) && isnan(dist_chi2_upper(NAN, 3)));
    assert_true(isnan(special_beta(1, 1, NAN, NAN)) && isnan(special_beta(0, 1, 0.5, 0.5)));
    assert_true(isnan(dist_binomial_cdf(-1, 3, 0.5)) && isnan(dist_binomial_cdf(4, 3, 0.5)));
    assert_true(dist_binomial_cdf(0, 0, 0.5) == 1);
}

static double logarithm(double x, const void *unused)
{
    (void)unused;
    return log(x);
}

static double stuck(double x, const void *unused)
{
    (void)unused;
    return x < 1 ? 0 : 1;
}

static void solving(void **state)
{
    (void)state;
    for (double y = -650; y <= 650; y += 13)
        near_enough(solve_increasing(logarithm, NULL, y), exp(y), 3e-16 * fabs(y) + 3e-16);
    assert_true(isinf(solve_increasing(logarithm, NULL, 1000)));
    assert_true(solve_increasing(logarithm, NULL, -1000) == 0);
    assert_true(isnan(solve_increasing(logarithm, NULL, NAN)));
    assert_true(isinf(solve_increasing(stuck, NULL, 2)));
    assert_true(solve_increasing(stuck, NULL, 0.5) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),
        cmocka_unit_test(upper_gamma),
        cmocka_unit_test(cauchy),
        cmocka_unit_test(identities),
        cmocka_unit_test(ends_and_nonsense),
        cmocka_unit_test(solving),
    };
    return cmocka_run_group_tests_name("dist", tests, load, unload);
}
