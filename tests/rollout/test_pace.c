/* test_pace.c: how many guesses are checked, on machines that are made up: what a pass costs is a
 * function here, and so is how often guesses come true. Where rows are free guesses are checked,
 * where they cost what they bring none are, and when promises are lies little is lost. */
#include <math.h>
#include <stdlib.h>
#include "../support/support.h"
#include "rollout/pace.h"

typedef double machine(int rows); /* seconds of a pass */

static double memory_bound(int rows)
{
    return 0.010 + 0.00001 * rows;
}

static double compute_bound(int rows)
{
    return 0.0001 + 0.001 * rows;
}

static double between(int rows)
{
    return 0.010 + 0.001 * rows;
}

static double tiles_of_16(int rows)
{
    return 0.002 + 0.008 * ((rows + 15) / 16);
}

static double tiles_of_6(int rows)
{
    return 0.001 + 0.006 * ((rows + 5) / 6);
}

struct world {
    machine *cost;
    double chance, promise; /* of each guess */
    int sequences, guesses; /* guesses of each */
    double noise;           /* up to so many times longer, now and then */
};

struct result {
    double seconds, plain; /* in all; what so many tokens take without guesses */
    double drafted, rows;  /* a pass, of the last half */
};

static double uniform(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 8) / 16777216.0;
}

static struct result live(const struct world *w, int passes)
{
    struct pace p = {0};
    struct result r = {0};
    unsigned random = 7;
    for (int i = 0; i < passes; i++) {
        int counts[PACE_LEVELS] = {0}, drafts = 0, n = w->sequences;
        float price = pace_price(&p, n, 512);
        double right = w->promise;
        for (int k = 0; k < w->guesses && price <= 1 && right >= (double)price; k++) {
            counts[(int)(right * PACE_LEVELS)] += n;
            right *= w->promise;
        }
        if (price <= 1 && counts[(int)(w->promise * PACE_LEVELS)])
            drafts = pace_choose(&p, n, 512, counts);
        int tokens = n;
        for (int s = 0; s < n; s++) /* each sequence has its share of them */
            for (int k = s; k < drafts && uniform(&random) < w->chance; k += n)
                tokens++;
        double seconds = w->cost(n + drafts);
        if (w->noise > 0 && uniform(&random) < 0.1)
            seconds *= 1 + w->noise * uniform(&random);
        pace_saw(&p, n + drafts, n, tokens, seconds);
        r.seconds += w->cost(n + drafts); /* the noise is somebody else's */
        r.plain += w->cost(n) * tokens / n;
        r.drafted += i >= passes / 2 ? drafts : 0;
    }
    r.drafted /= passes - passes / 2;
    return r;
}

static void test_pays(void **state)
{
    (void)state;
    struct result r = live(&(struct world){memory_bound, 0.8, 0.8, 16, 8, 0}, 400);
    assert_true(r.seconds < 0.45 * r.plain); /* 1 + 0.8 + 0.64 + … tokens in nearly the same time */
    r = live(&(struct world){memory_bound, 0.1, 0.1, 16, 8, 0}, 400);
    assert_true(r.seconds < 0.95 * r.plain);
    r = live(&(struct world){between, 0.9, 0.9, 2, 8, 0}, 400);
    assert_true(r.seconds < 0.5 * r.plain && r.drafted > 5);
    r = live(&(struct world){tiles_of_16, 0.4, 0.4, 4, 8, 0}, 400);
    assert_true(r.drafted > 10 && r.drafted <= 12); /* the tile is filled, not the next one */
    r = live(&(struct world){tiles_of_6, 0.4, 0.4, 4, 8, 0}, 400);
    assert_true(r.drafted > 1.8 && r.drafted < 2.3);
}

static void test_does_not_pay(void **state)
{
    (void)state;
    static const double chances[] = {0.05, 0.3, 0.6, 0.9};
    static const int sequences[] = {1, 3, 8, 16, 17, 37, 128};
    for (size_t c = 0; c < 4; c++)
        for (size_t s = 0; s < 7; s++) {
            struct world w = {compute_bound, chances[c], chances[c], sequences[s], 8, 0};
            struct result r = live(&w, 600);
            if (r.seconds > 1.02 * r.plain)
                fail_msg("%g, %d sequences: %g", chances[c], sequences[s], r.seconds / r.plain);
        }
}

/* Guesses promise what they do not keep, and clocks are disturbed: still within two hundredths. */
static void test_bounded_loss(void **state)
{
    (void)state;
    static machine *const machines[] = {memory_bound, compute_bound, between, tiles_of_16,
                                        tiles_of_6};
    static const int sequences[] = {1, 2, 5, 13, 16, 17, 40, 128};
    static const double noises[] = {0, 0.2, 3};
    double worst = 0;
    for (size_t m = 0; m < 5; m++)
        for (size_t s = 0; s < 8; s++)
            for (size_t k = 0; k < 3; k++)
                for (int lie = 0; lie < 2; lie++) {
                    struct world w = {machines[m], lie ? 0.0 : 0.5, lie ? 0.9 : 0.5, sequences[s],
                                      8,           noises[k]};
                    struct result r = live(&w, 1500);
                    worst = r.seconds / r.plain > worst ? r.seconds / r.plain : worst;
                    if (r.seconds > 1.02 * r.plain)
                        fail_msg("machine %zu, %d sequences, noise %g, %s: %g", m, sequences[s],
                                 noises[k], lie ? "lies" : "truth", r.seconds / r.plain);
                }
    print_message("at worst %.4f of the time without guesses\n", worst);
}

/* A number of rows that was slow once is tried again. */
static void test_forgets(void **state)
{
    (void)state;
    struct pace p = {0};
    int counts[PACE_LEVELS] = {[60] = 12};
    for (int i = 0; i < 60; i++)
        pace_saw(&p, 4 + i % 15, 4 + i % 15, 4 + i % 15, 0.010);
    assert_int_equal(pace_choose(&p, 4, 512, counts), 12);
    for (int i = 0; i < 6400; i++) { /* something else was running */
        int rows = 5 + i % 16;
        pace_saw(&p, rows, rows, rows, 0.100);
        pace_saw(&p, 4, 4, 4, 0.010);
    }
    assert_int_equal(pace_choose(&p, 4, 512, counts), 0);
    for (int i = 0; i < 1200; i++)
        pace_saw(&p, 4, 4, 4, 0.010);
    for (int i = 0; i < 60; i++) {
        int drafts = pace_choose(&p, 4, 512, counts);
        pace_saw(&p, 4 + drafts, 4, 4 + drafts, 0.010);
    }
    assert_int_equal(pace_choose(&p, 4, 512, counts), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pays),
        cmocka_unit_test(test_does_not_pay),
        cmocka_unit_test(test_bounded_loss),
        cmocka_unit_test(test_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
