/* test_compare.c: tests of paired differences, rank correlation, McNemar, Holm and the trend
 * against SciPy and statsmodels (tests/oracle/stats/make_tests.py), within 1e-10 relative; p-values
 * are uniform where there is no difference; memory that is out is reported. */
#include <math.h>
#include <string.h>
#include "../support/close.h"
#include "../support/support.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stats/holm.h"
#include "stats/mcnemar.h"
#include "stats/permutation.h"
#include "stats/rank.h"
#include "stats/trend.h"

enum { MAX_VALUES = 512 };

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

static void permutation(void **state)
{
    (void)state;
    int resamples = (int)json_fixture_number(root, "resamples");
    uint64_t seed = (uint64_t)json_fixture_number(root, "seed");
    size_t i, exact = 0;
    json_t *c;
    json_array_foreach(json_object_get(root, "permutation"), i, c)
    {
        double d[MAX_VALUES], mirrored[MAX_VALUES];
        size_t n = json_fixture_doubles(d, MAX_VALUES, c, "d");
        struct permutation p, q;
        assert_int_equal(permutation_paired(&p, d, n, resamples, seed, NULL), 0);
        close_to(p.p, c, "p", 1e-10);
        assert_int_equal(p.exact, json_is_true(json_object_get(c, "exact")));
        exact += p.exact;
        for (size_t k = 0; k < n; k++)
            mirrored[n - 1 - k] = -3 * d[k];
        assert_int_equal(permutation_paired(&q, mirrored, n, resamples, seed, NULL), 0);
        if (p.exact && fabs(q.p - p.p) > 1e-12)
            fail_msg("order, sign and scale must not matter: %.17g, %.17g", p.p, q.p);
    }
    assert_true(exact >= 30 && i - exact >= 5);
}

static void wilcoxon(void **state)
{
    (void)state;
    static const char *const keys[] = {
        [RANK_AUTO] = "auto", [RANK_EXACT] = "exact", [RANK_NORMAL] = "normal"};
    size_t i, tried[3] = {0};
    json_t *c;
    json_array_foreach(json_object_get(root, "wilcoxon"), i, c)
    {
        double d[MAX_VALUES];
        size_t n = json_fixture_doubles(d, MAX_VALUES, c, "d");
        for (int method = RANK_AUTO; method <= RANK_NORMAL; method++) {
            if (!json_object_get(c, keys[method]))
                continue;
            struct rank_signed w;
            assert_int_equal(rank_wilcoxon(&w, d, n, (enum rank_method)method, NULL), 0);
            close_to(w.p, c, keys[method], 1e-10);
            close_to(w.plus, c, "plus", 0);
            close_to(w.minus, c, "minus", 0);
            assert_true(w.plus + w.minus == (double)w.used * ((double)w.used + 1) / 2);
            tried[method]++;
        }
    }
    assert_true(tried[RANK_AUTO] >= 40 && tried[RANK_EXACT] >= 30 && tried[RANK_NORMAL] >= 40);
}

static void spearman(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "spearman"), i, c)
    {
        double x[MAX_VALUES], y[MAX_VALUES], rank[MAX_VALUES], want[MAX_VALUES];
        size_t n = json_fixture_doubles(x, MAX_VALUES, c, "x");
        json_fixture_doubles(y, MAX_VALUES, c, "y");
        json_fixture_doubles(want, MAX_VALUES, c, "ranks");
        assert_int_equal(rank_average(rank, x, n, NULL), 0);
        assert_memory_equal(rank, want, n * sizeof *rank);
        struct rank_correlation r, turned;
        assert_int_equal(rank_spearman(&r, x, y, n, NULL), 0);
        close_to_or(r.rho, c, "rho", 1e-10, 1e-14);
        close_to(r.p, c, "p", 1e-10);
        const json_t *ci = json_object_get(c, "ci");
        if (json_is_null(json_array_get(ci, 0)))
            assert_true(isnan(r.ci.low) && isnan(r.ci.high));
        else
            close_to_pair(r.ci.low, r.ci.high, c, "ci", 1e-10);
        assert_int_equal(rank_spearman(&turned, y, x, n, NULL), 0);
        assert_memory_equal(&r, &turned, sizeof r);
    }
    assert_true(i >= 25);
}

static void mcnemar(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "mcnemar"), i, c)
    {
        size_t gained = (size_t)json_fixture_number(c, "gained"),
               lost = (size_t)json_fixture_number(c, "lost");
        struct mcnemar m = mcnemar_exact(gained, lost), back = mcnemar_exact(lost, gained);
        close_to(m.p, c, "p", 1e-10);
        close_to(m.odds, c, "odds", 1e-15);
        close_to_pair(m.odds_ci.low, m.odds_ci.high, c, "ci", 1e-10);
        assert_true(back.p == m.p);
        if (m.odds_ci.low > 0)
            assert_true(fabs(m.odds_ci.low * back.odds_ci.high - 1) < 1e-12);
    }
    assert_true(i >= 25);
}

static void holm(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "holm"), i, c)
    {
        double p[MAX_VALUES], want[MAX_VALUES], got[MAX_VALUES];
        size_t m = json_fixture_doubles(p, MAX_VALUES, c, "p");
        json_fixture_doubles(want, MAX_VALUES, c, "adjusted");
        holm_adjust(got, p, m);
        for (size_t k = 0; k < m; k++)
            if (isnan(want[k]) ? !isnan(got[k]) : !(fabs(got[k] - want[k]) <= 1e-12 * want[k]))
                fail_msg("case %zu: %.17g, statsmodels has %.17g", i, got[k], want[k]);
    }
    assert_true(i >= 20);
}

static void trend(void **state)
{
    (void)state;
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "trend"), i, c)
    {
        double x[MAX_VALUES], y[MAX_VALUES];
        size_t n = json_fixture_doubles(x, MAX_VALUES, c, "x");
        json_fixture_doubles(y, MAX_VALUES, c, "y");
        struct trend t = trend_fit(x, y, n);
        close_to(t.slope, c, "slope", 1e-10);
        close_to(t.intercept, c, "intercept", 1e-10);
        close_to(t.se, c, "se", 1e-10);
        close_to(t.p, c, "p", 1e-10);
        close_to_pair(t.ci.low, t.ci.high, c, "ci", 1e-10);
    }
    assert_true(i >= 20);
}

static void trend_of_little(void **state)
{
    (void)state;
    double x[] = {1, 2, 3, 4}, line[] = {2, 4, 6, 8}, same[] = {0.1, 0.1, 0.1, 0.1};
    struct trend t = trend_fit(x, line, 4);
    assert_true(t.slope == 2 && t.intercept == 0 && t.se == 0 && t.p == 0);
    assert_true(t.ci.low == 2 && t.ci.high == 2);
    t = trend_fit(x, line, 2);
    assert_true(t.slope == 2 && isnan(t.se) && isnan(t.p) && isnan(t.ci.low));
    t = trend_fit(same, line, 3);
    assert_true(isnan(t.slope) && isnan(t.ci.high));
    double level[] = {5, 5, 5};
    t = trend_fit(x, level, 3);
    assert_true(t.slope == 0 && t.se == 0 && t.p == 1 && t.ci.high == 0);
    assert_true(isnan(trend_fit(x, line, 1).slope) && isnan(trend_fit(NULL, NULL, 0).slope));
    x[1] = NAN;
    assert_true(isnan(trend_fit(x, line, 4).slope));
    x[1] = INFINITY;
    assert_true(isnan(trend_fit(x, line, 4).slope));
}

static void nothing_to_test(void **state)
{
    (void)state;
    const double zeros[60] = {0}, bad[] = {1, NAN, 2}, endless[] = {1, INFINITY};
    struct permutation p;
    struct rank_signed w;
    struct rank_correlation r;
    assert_int_equal(permutation_paired(&p, NULL, 0, 9, 1, NULL), 0);
    assert_true(isnan(p.p));
    assert_int_equal(permutation_paired(&p, bad, 3, 9, 1, NULL), 0);
    assert_true(isnan(p.p));
    assert_int_equal(permutation_paired(&p, endless, 2, 9, 1, NULL), 0);
    assert_true(isnan(p.p));
    assert_int_equal(permutation_paired(&p, zeros, 60, 9, 1, NULL), 0);
    assert_true(p.p == 1 && p.exact);
    for (int method = RANK_AUTO; method <= RANK_NORMAL; method++) {
        assert_int_equal(rank_wilcoxon(&w, zeros, 60, (enum rank_method)method, NULL), 0);
        assert_true(w.p == 1 && w.used == 0);
        assert_int_equal(rank_wilcoxon(&w, NULL, 0, (enum rank_method)method, NULL), 0);
        assert_true(isnan(w.p));
        assert_int_equal(rank_wilcoxon(&w, bad, 3, (enum rank_method)method, NULL), 0);
        assert_true(isnan(w.p));
    }
    assert_int_equal(rank_spearman(&r, bad, zeros, 3, NULL), 0);
    assert_true(isnan(r.rho) && isnan(r.p) && isnan(r.ci.low));
    assert_int_equal(rank_spearman(&r, NULL, NULL, 0, NULL), 0);
    assert_true(isnan(r.rho));
}

/* Under no difference P(p ≤ α) is at most α: exactly α where all assignments are counted and α is
 * one of their shares, and (for Monte Carlo) k/(N+1) for the k-th of N+1. Runs are seeded; the
 * bound is 4 standard errors, √(α(1−α)/RUNS). Skewed data of either sign: nothing normal about
 * them. */
static void uniform_without_difference(void **state)
{
    (void)state;
    enum { RUNS = 4000, EXACT_N = 9, SAMPLED_N = 40 };
    static const double levels[] = {0.03125, 0.125, 0.25, 0.5, 0.75};
    double below[3][5] = {{0}};
    for (int run = 0; run < RUNS; run++) {
        struct rng_key key = {.seed = 5, .purpose = RNG_SYNTH, .row = (uint64_t)run};
        double d[SAMPLED_N];
        for (uint64_t i = 0; i < SAMPLED_N; i++)
            d[i] = pow(rng_uniform(&key, 2 * i), 3) * (rng_bits(&key, 2 * i + 1) & 1 ? 1 : -1);
        struct permutation exact, sampled;
        struct rank_signed w;
        assert_int_equal(permutation_paired(&exact, d, EXACT_N, 1, 1, NULL), 0);
        assert_int_equal(permutation_paired(&sampled, d, SAMPLED_N, 127, (uint64_t)run, NULL), 0);
        assert_int_equal(rank_wilcoxon(&w, d, SAMPLED_N, RANK_AUTO, NULL), 0);
        for (int k = 0; k < 5; k++) {
            below[0][k] += exact.p <= levels[k];
            below[1][k] += sampled.p <= levels[k];
            below[2][k] += w.p <= levels[k];
        }
    }
    static const char *const names[] = {"counted", "sampled", "Wilcoxon"};
    for (int test = 0; test < 3; test++)
        for (int k = 0; k < 5; k++) {
            double share = below[test][k] / RUNS,
                   bound = 4 * sqrt(levels[k] * (1 - levels[k]) / RUNS);
            if (test == 2) /* its attainable levels at n = 40 lie within 0.01 of one another */
                bound += 0.01;
            if (fabs(share - levels[k]) > bound)
                fail_msg("%s: p is at most %g in %g of runs", names[test], levels[k], share);
        }
}

typedef int (*task)(struct err *err);

static const double sample_x[] = {1, 2.5, -3, 4, -0.5, 6}, sample_y[] = {1, 2, 3, 4, 6, 5};

static int run_permutation(struct err *err)
{
    struct permutation p;
    return permutation_paired(&p, sample_x, 6, 9, 1, err);
}

static int run_spearman(struct err *err)
{
    struct rank_correlation r;
    return rank_spearman(&r, sample_x, sample_y, 6, err);
}

static int run_wilcoxon(struct err *err)
{
    struct rank_signed w;
    return rank_wilcoxon(&w, sample_x, 6, RANK_AUTO, err);
}

static int run_ranks(struct err *err)
{
    double rank[6];
    return rank_average(rank, sample_x, 6, err);
}

static void no_memory(void **state)
{
    (void)state;
    static const struct {
        task run;
        int allocations;
    } tasks[] = {{run_permutation, 1}, {run_spearman, 4}, {run_wilcoxon, 5}, {run_ranks, 1}};
    for (size_t k = 0; k < sizeof tasks / sizeof *tasks; k++) {
        int failed = 0;
        for (int status = 1; status; failed += status != 0) {
            struct err err = {0};
            size_t blocks = mem_stats().live_blocks;
            mem_fail_after(failed);
            status = tasks[k].run(&err);
            mem_fail_after(-1);
            assert_int_equal(mem_stats().live_blocks, blocks);
            assert_true(status == 0 || (status == ERR_MACHINE && strstr(err.message, "memory")));
        }
        assert_int_equal(failed, tasks[k].allocations);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permutation),
        cmocka_unit_test(wilcoxon),
        cmocka_unit_test(spearman),
        cmocka_unit_test(mcnemar),
        cmocka_unit_test(holm),
        cmocka_unit_test(trend),
        cmocka_unit_test(trend_of_little),
        cmocka_unit_test(nothing_to_test),
        cmocka_unit_test(uniform_without_difference),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests_name("compare", tests, load, unload);
}
