/* test_power.c: detectable differences and sample sizes against scipy.stats.nct solved by brentq
 * (tests/oracle/stats/make_tests.py); the test's rejections counted on simulated data; verdicts. */
#include <math.h>
#include <string.h>
#include "../support/close.h"
#include "../support/support.h"
#include "base/rng.h"
#include "stats/power.h"
#include "stats/verdict.h"

static json_t *root;

static int load(void **state)
{
    (void)state;
    root = json_fixture("stats/tests.json");
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

static void detectable(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "detectable"), i, c)
    {
        double d =
            power_detectable((size_t)in(c, "n"), in(c, "sd"), in(c, "alpha"), in(c, "power"));
        close_to(d, c, "detectable", 1e-10);
        close_to(power_paired(-d, in(c, "sd"), in(c, "n"), in(c, "alpha")), c, "power", 1e-12);
    }
    assert_true(i >= 20);
}

static void needed(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "needed"), i, c)
    {
        double n = power_required_n(in(c, "difference"), in(c, "sd"), 0.05, 0.8);
        assert_true(n == in(c, "n"));
        close_to(power_paired(in(c, "difference"), in(c, "sd"), n, 0.05), c, "power", 1e-10);
    }
    assert_true(i >= 20);
    /* Where the exact search ends the normal approximation goes on without a step. */
    double z = 1.959963984540054 + 0.8416212335729143;
    for (double d = 8.70e-3; d < 9.00e-3; d += 1e-5) /* 1e5 is passed at 8.859e-3 */
        assert_true(fabs(power_required_n(d, 1, 0.05, 0.8) - (z * z / (d * d) + 1.92 + 0.5)) <= 1);
}

/* 4,000 comparisons of 12 pairs with a true difference of the detectable size: power 0.8 is found
 * within 4 standard errors, 0.0253. Under no difference, 0.05 within 0.0138. */
static void simulated(void **state)
{
    (void)state;
    enum { N = 12, RUNS = 4000 };
    double d = power_detectable(N, 1, 0.05, 0.8), found[2] = {0};
    for (int shift = 0; shift < 2; shift++)
        for (int run = 0; run < RUNS; run++) {
            struct rng_key key = {.seed = 3, .purpose = RNG_SYNTH, .row = (uint64_t)run};
            double x[N];
            for (uint64_t i = 0; i < N; i++)
                x[i] = rng_normal(&key, i) + shift * d;
            struct interval ci = stats_t_interval(x, N);
            found[shift] += ci.low > 0 || ci.high < 0;
        }
    print_message("found %.4f of none, %.4f of %.3f\n", found[0] / RUNS, found[1] / RUNS, d);
    assert_true(fabs(found[0] / RUNS - 0.05) < 0.0138);
    assert_true(fabs(found[1] / RUNS - 0.8) < 0.0253);
}

/* The same for the mean of the task means of 20, 15, 15 and 15 rows, whose spreads differ as those
 * of real tasks do: what verdict_of says of a set, in the median, is what stats_stratified's
 * interval finds 4 times in 5. */
static void simulated_strata(void **state)
{
    (void)state;
    enum { TASKS = 4, N = 65, RUNS = 4000 };
    const int rows[TASKS] = {20, 15, 15, 15};
    const double spread[TASKS] = {0.1, 0.3, 0.35, 0.05};
    double variance = 0, found[2] = {0}, above = 0;
    for (int t = 0; t < TASKS; t++)
        variance += spread[t] * spread[t] / rows[t];
    double d = power_detectable(N, sqrt(variance * N) / TASKS, 0.05, 0.8);
    for (int run = 0; run < RUNS; run++) {
        struct rng_key key = {.seed = 4, .purpose = RNG_SYNTH, .row = (uint64_t)run};
        double x[N];
        int stratum[N];
        for (int t = 0, i = 0; t < TASKS; t++)
            for (int k = 0; k < rows[t]; k++, i++) {
                stratum[i] = t;
                x[i] = spread[t] * rng_normal(&key, (uint64_t)i);
            }
        struct interval ci = stats_stratified(x, stratum, N, TASKS).ci;
        found[0] += ci.low > 0 || ci.high < 0;
        found[1] += ci.low > -d || ci.high < -d; /* every value d larger */
        above += run < 400 && verdict_of(ci, 0, N).detectable > d;
    }
    print_message("found %.4f of none, %.4f of %.4f; %.0f of 400 sets print more\n",
                  found[0] / RUNS, found[1] / RUNS, d, above);
    assert_true(fabs(found[0] / RUNS - 0.05) < 0.0138);
    assert_true(fabs(found[1] / RUNS - 0.8) < 0.0253);
    assert_true(fabs(above / 400 - 0.5) < 0.1);
}

static void nonsense(void **state)
{
    (void)state;
    assert_true(isnan(power_paired(1, 1, 1, 0.05)) && isnan(power_paired(NAN, 1, 9, 0.05)));
    assert_true(isnan(power_paired(1, -1, 9, 0.05)) && isnan(power_paired(1, NAN, 9, 0.05)));
    assert_true(power_paired(0, 0, 9, 0.05) == 0 && power_paired(0.1, 0, 9, 0.05) == 1);
    assert_true(fabs(power_paired(0, 1, 9, 0.05) - 0.05) < 1e-14);
    assert_true(isnan(power_detectable(1, 1, 0.05, 0.8)) &&
                isnan(power_detectable(0, 1, 0.05, 0.8)));
    assert_true(isnan(power_detectable(9, 1, 0.05, 0.05)) &&
                isnan(power_detectable(9, 1, 0.05, 1)));
    assert_true(power_detectable(9, 0, 0.05, 0.8) == 0);
    assert_true(isinf(power_required_n(0, 1, 0.05, 0.8)));
    assert_true(power_required_n(1, 0, 0.05, 0.8) == 2 && power_required_n(1e9, 1, 0.05, 0.8) == 2);
    assert_true(isnan(power_required_n(NAN, 1, 0.05, 0.8)));
    assert_true(isnan(power_required_n(1, NAN, 0.05, 0.8)));
}

static void verdicts(void **state)
{
    (void)state;
    /* n = 20, sd 0.3, mean 0.1: t(0.975, 19) = 2.093 */
    double half = 2.0930240544082634 * 0.3 / sqrt(20);
    struct verdict v = verdict_of((struct interval){0.1 - half, 0.1 + half}, 0.1, 20);
    assert_int_equal(v.kind, VERDICT_CANNOT_TELL);
    assert_true(v.needed == power_required_n(0.1, 0.3, 0.05, 0.8) && v.needed == 73);
    assert_true(fabs(v.detectable - power_detectable(20, 0.3, 0.05, 0.8)) < 1e-12);
    assert_int_equal(verdict_of((struct interval){0.01, 0.2}, 0.1, 20).kind, VERDICT_IMPROVED);
    assert_int_equal(verdict_of((struct interval){-0.2, -0.01}, -0.1, 20).kind, VERDICT_WORSE);
    assert_int_equal(verdict_of((struct interval){0, 0.2}, 0.1, 20).kind, VERDICT_CANNOT_TELL);
    assert_int_equal(verdict_of((struct interval){-0.2, 0}, -0.1, 20).kind, VERDICT_CANNOT_TELL);
    v = verdict_of((struct interval){-1e-9, 0.2}, 0.19, 20); /* lopsided, yet not told */
    assert_true(v.kind == VERDICT_CANNOT_TELL && v.needed == 21);
    v = verdict_of((struct interval){-0.1, 0.1}, 0, 20);
    assert_true(isinf(v.needed) && v.detectable > 0.1);
    v = verdict_of((struct interval){NAN, NAN}, 0.1, 20);
    assert_true(v.kind == VERDICT_CANNOT_TELL && isnan(v.needed) && isnan(v.detectable));
    v = verdict_of((struct interval){0.1, 0.2}, 0.15, 1); /* no interval has one value */
    assert_true(v.kind == VERDICT_CANNOT_TELL && isnan(v.needed));
    v = verdict_of((struct interval){0.1, 0.1}, 0.1, 5);
    assert_true(v.kind == VERDICT_IMPROVED && isnan(v.detectable) && v.needed == 2);
    v = verdict_of((struct interval){0, 0}, 0, 65); /* no row differs: nothing is promised */
    assert_true(v.kind == VERDICT_CANNOT_TELL && isnan(v.detectable) && isinf(v.needed));
    assert_string_equal(verdict_name(VERDICT_IMPROVED), "improved");
    assert_string_equal(verdict_name(VERDICT_WORSE), "worse");
    assert_string_equal(verdict_name(VERDICT_CANNOT_TELL), "cannot tell");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detectable),       cmocka_unit_test(needed),   cmocka_unit_test(simulated),
        cmocka_unit_test(simulated_strata), cmocka_unit_test(nonsense), cmocka_unit_test(verdicts),
    };
    return cmocka_run_group_tests_name("power", tests, load, unload);
}
