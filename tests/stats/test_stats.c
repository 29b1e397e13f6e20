/* test_stats.c: means, deviations, intervals, BCa and strata against SciPy
 * (tests/oracle/stats/make_stats.py), within 1e-10 relative; and what happens with too few values.
 */
#include <math.h>
#include "../support/support.h"
#include "../support/json_fixture.h"
#include "stats/bootstrap.h"
#include "stats/stats.h"

enum { MAX_VALUES = 128 };

static json_t *root;

static int load(void **state)
{
    (void)state;
    root = json_fixture("stats/stats.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static void close_to(double got, double want, const char *what, const char *of)
{
    if (!(fabs(got - want) <= 1e-10 * fabs(want)))
        fail_msg("%s of %s: %.17g, SciPy has %.17g", what, of, got, want);
}

static void interval_close(struct interval got, const json_t *c, const char *key, const char *of)
{
    double want[2];
    assert_int_equal(json_fixture_doubles(want, 2, c, key), 2);
    close_to(got.low, want[0], key, of);
    close_to(got.high, want[1], key, of);
}

static void samples(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    struct err err = {0};
    int resamples = (int)json_fixture_number(root, "resamples");
    uint64_t seed = (uint64_t)json_fixture_number(root, "seed");
    assert_true(json_array_size(json_object_get(root, "samples")) >= 7);
    json_array_foreach(json_object_get(root, "samples"), i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        double x[MAX_VALUES];
        size_t n = json_fixture_doubles(x, MAX_VALUES, c, "x");
        close_to(stats_mean(x, n), json_fixture_number(c, "mean"), "mean", name);
        close_to(stats_sd(x, n), json_fixture_number(c, "sd"), "sd", name);
        interval_close(stats_normal_interval(x, n), c, "normal", name);
        interval_close(stats_t_interval(x, n), c, "t", name);
        struct interval bca;
        assert_int_equal(bootstrap_bca(&bca, x, n, resamples, seed, &err), 0);
        interval_close(bca, c, "bca", name);
    }
}

static void standard_deviation(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "sd"), i, c)
    {
        size_t n = (size_t)json_fixture_number(c, "n");
        interval_close(stats_sd_interval(1, n), c, "ci", "sd");
        struct interval one = stats_sd_interval(1, n), scaled = stats_sd_interval(0.25, n);
        assert_true(scaled.low == one.low / 4 && scaled.high == one.high / 4);
    }
    assert_int_equal(i, 15);
    /* What the protocol says of three seeds. */
    struct interval three = stats_sd_interval(1, 3);
    assert_true(round(100 * three.low) == 52 && round(100 * three.high) == 628);
    assert_true(isnan(stats_sd_interval(1, 1).low) && isnan(stats_sd_interval(1, 0).high));
}

static void strata(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "strata"), i, c)
    {
        double x[MAX_VALUES], label[MAX_VALUES];
        int stratum[MAX_VALUES], strata_n = 0;
        size_t n = json_fixture_doubles(x, MAX_VALUES, c, "x");
        json_fixture_doubles(label, MAX_VALUES, c, "stratum");
        for (size_t k = 0; k < n; k++) {
            stratum[k] = (int)label[k];
            strata_n = stratum[k] + 1 > strata_n ? stratum[k] + 1 : strata_n;
        }
        struct stratified s = stats_stratified(x, stratum, n, strata_n);
        close_to(s.mean, json_fixture_number(c, "mean"), "mean", "strata");
        close_to(s.se, json_fixture_number(c, "se"), "se", "strata");
        close_to(s.df, json_fixture_number(c, "df"), "df", "strata");
        interval_close(s.ci, c, "ci", "strata");
    }
    assert_int_equal(i, 3);
}

static void too_few(void **state)
{
    (void)state;
    const double one = 0.5;
    const int stratum = 0;
    struct interval bca;
    struct err err = {0};
    assert_true(isnan(stats_mean(NULL, 0)) && isnan(stats_sd(NULL, 0)));
    assert_true(stats_mean(&one, 1) == 0.5 && isnan(stats_sd(&one, 1)));
    assert_true(isnan(stats_normal_interval(&one, 1).low));
    assert_true(isnan(stats_t_interval(&one, 1).high));
    assert_int_equal(bootstrap_bca(&bca, &one, 1, 100, 1, &err), 0);
    assert_true(isnan(bca.low) && isnan(bca.high));
    assert_true(isnan(stats_stratified(NULL, NULL, 0, 4).mean));
    struct stratified s = stats_stratified(&one, &stratum, 1, 1);
    assert_true(s.mean == 0.5 && isnan(s.se) && isnan(s.ci.low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples),
        cmocka_unit_test(standard_deviation),
        cmocka_unit_test(strata),
        cmocka_unit_test(too_few),
    };
    return cmocka_run_group_tests_name("stats", tests, load, unload);
}
