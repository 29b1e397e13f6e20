/* test_sampling.c: the next token. Its log-probability is logprob's, bit for bit; its choice is the
 * inverse CDF in id order, against the reference in double, against the distribution itself, and at
 * the edges; at temperature 0 the largest logit, ties to the lower id. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"

enum { VOCAB = 1061, HIDDEN = 24, ROWS = 133 };

static const double last_uniform = 1 - 0x1p-53;

struct head {
    const weight *w;
    struct ref_f64_head ref;
    float *x;
    double *wide_x;
};

static struct head head_of(struct rig *g, int vocab, float scale)
{
    size_t n = (size_t)(vocab * HIDDEN), nx = ROWS * HIDDEN;
    float *w = rig_round(g, rig_random(g, n, 1, scale), n);
    float *x = rig_round(g, rig_random(g, nx, 2, 1), nx);
    return (struct head){.w = rig_weight(g, w, vocab, HIDDEN),
                         .ref = {rig_wide(g, w, n), vocab, HIDDEN, false},
                         .x = rig_put(g, x, nx),
                         .wide_x = rig_wide(g, x, nx)};
}

/* A head whose logits are the given ones, for a hidden state of one 1. (Exact in bf16.) */
static const weight *head_with(struct rig *g, const float *logits, int n, float **x)
{
    static const float one = 1;
    *x = rig_put(g, &one, 1);
    return rig_weight(g, logits, n, 1);
}

static void check_same_logprob(struct rig *g)
{
    static const float temperatures[] = {0, 0.1f, 0.7f, 1, 1.5f};
    struct head t = head_of(g, VOCAB, 0.4f);
    double uniforms[ROWS];
    g->label = "logp of the next token";
    for (int r = 0; r < ROWS; r++)
        uniforms[r] = (double)((r * 59) % ROWS) / ROWS;
    for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
        int ids[ROWS];
        float sampled[ROWS], scored[ROWS], alone;
        g->ops->next_token(g->d, ids, sampled, t.x, t.w, uniforms, temperatures[i], NULL, ROWS);
        float temperature = temperatures[i] > 0 ? temperatures[i] : 1;
        g->ops->logprob(g->d, scored, NULL, NULL, t.x, t.w, ids, temperature, ROWS);
        rig_same(g, "all rows", sampled, scored, sizeof sampled);
        for (int r = 0; r < ROWS; r += 12) {
            g->ops->logprob(g->d, &alone, NULL, NULL, t.x + r * HIDDEN, t.w, ids + r, temperature,
                            1);
            rig_same(g, "one row", &sampled[r], &alone, sizeof alone);
        }
    }
    rig_clear(g);
}

/* The same id as the double reference, unless u lies within rounding of a boundary. */
static void check_inverse_cdf(struct rig *g)
{
    struct head t = head_of(g, VOCAB, 0.3f);
    double uniforms[ROWS], logp_want[ROWS];
    int ids[ROWS], want[ROWS], near = 0;
    float logp[ROWS];
    for (int r = 0; r < ROWS; r++)
        uniforms[r] = (r + 0.5) / ROWS;
    g->ops->next_token(g->d, ids, logp, t.x, t.w, uniforms, 0.9f, NULL, ROWS);
    ref_f64_next_token(want, logp_want, t.wide_x, &t.ref, uniforms, (double)0.9f, NULL, ROWS);
    for (int r = 0; r < ROWS; r++) {
        if (ids[r] == want[r])
            continue;
        bool explained = false;
        for (int side = -1; side <= 1; side += 2) {
            double u = uniforms[r] + side * 2e-6, unused;
            int id;
            ref_f64_next_token(&id, &unused, t.wide_x + r * HIDDEN, &t.ref, &u, (double)0.9f, NULL,
                               1);
            explained = explained || id == ids[r];
        }
        near++;
        if (!explained)
            fail_msg("%s: row %d, u = %.17g: id %d, expected %d", g->d->isa, r, uniforms[r], ids[r],
                     want[r]);
    }
    assert_true(near <= 3); /* boundaries are rare */
    rig_clear(g);
}

/* Evenly spaced u: each id comes n·p times, to the nearest whole number or the next. */
static void check_frequencies(struct rig *g)
{
    enum { V = 37, EACH = 128, ROUNDS = 40, DRAWS = EACH * ROUNDS };
    struct head t = head_of(g, V, 0.2f);
    float *same = rig_host(g, EACH * HIDDEN * sizeof *same);
    float *row = rig_get(g, t.x, ROWS * HIDDEN);
    for (int r = 0; r < EACH; r++)
        memcpy(same + r * HIDDEN, row, HIDDEN * sizeof *same);
    float *x = rig_put(g, same, EACH * HIDDEN);
    int count[V] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        double uniforms[EACH];
        int ids[EACH];
        float logp[EACH];
        for (int r = 0; r < EACH; r++)
            uniforms[r] = ((r * ROUNDS + round) + 0.5) / DRAWS;
        g->ops->next_token(g->d, ids, logp, x, t.w, uniforms, 0.8f, NULL, EACH);
        for (int r = 0; r < EACH; r++) {
            assert_true(ids[r] >= 0 && ids[r] < V);
            count[ids[r]]++;
        }
    }
    for (int v = 0; v < V; v++) {
        double logp;
        ref_f64_logprob(&logp, NULL, NULL, t.wide_x, &t.ref, &v, (double)0.8f, 1);
        assert_true(fabs(count[v] - DRAWS * exp(logp)) <= 1.01);
    }
    rig_clear(g);
}

/* u = 0 takes the first id that is possible at all, u → 1 never an impossible one. */
static void check_edges(struct rig *g)
{
    enum { V = 21 };
    float logits[V], *x, logp;
    int id;
    for (int v = 0; v < V; v++)
        logits[v] = -200; /* probability 0 in f32 */
    logits[5] = 1;
    logits[6] = 1;
    logits[17] = 1;
    const weight *w = head_with(g, logits, V, &x);
    const double uniforms[] = {0, 0.33, 0.34, 0.66, 0.67, last_uniform};
    static const int want[] = {5, 5, 6, 6, 17, 17};
    for (int i = 0; i < 6; i++) {
        g->ops->next_token(g->d, &id, &logp, x, w, &uniforms[i], 1, NULL, 1);
        assert_int_equal(id, want[i]);
        assert_true(fabs((double)logp + log(3)) < 1e-6);
    }
    for (int v = 0; v < V; v++)
        logits[v] = 0; /* all the same: the id is ⌊u·V⌋ */
    w = head_with(g, logits, V, &x);
    for (int v = 0; v < V; v++) {
        double u = (v + 0.5) / V;
        g->ops->next_token(g->d, &id, &logp, x, w, &u, 1, NULL, 1);
        assert_int_equal(id, v);
    }
    g->ops->next_token(g->d, &id, &logp, x, w, &last_uniform, 1, NULL, 1);
    assert_int_equal(id, V - 1);
    w = head_with(g, logits, 1, &x); /* a vocabulary of one */
    g->ops->next_token(g->d, &id, &logp, x, w, &last_uniform, 1, NULL, 1);
    assert_true(id == 0 && logp == 0);
    rig_clear(g);
}

/* Low temperatures: everything goes to the largest logit, nothing overflows. */
static void check_low_temperature(struct rig *g)
{
    float logits[] = {-3, 30, 29, 12, -80}, *x, logp;
    const double uniforms[] = {0, 0.5, last_uniform};
    const weight *w = head_with(g, logits, 5, &x);
    for (int i = 0; i < 3; i++) {
        int id;
        g->ops->next_token(g->d, &id, &logp, x, w, &uniforms[i], 0.01f, NULL, 1);
        assert_int_equal(id, 1);
        assert_true(fabsf(logp) <= 1e-6f);
    }
    rig_clear(g);
}

static void check_greedy(struct rig *g)
{
    enum { V = 50 };
    float logits[V], *x, logp;
    const double u = 0.99; /* without effect */
    int id;
    for (int v = 0; v < V; v++)
        logits[v] = (float)(v % 7);
    const weight *w = head_with(g, logits, V, &x); /* 6 at ids 6, 13, … */
    g->ops->next_token(g->d, &id, &logp, x, w, &u, 0, NULL, 1);
    assert_int_equal(id, 6);
    logits[0] = 6;
    w = head_with(g, logits, V, &x);
    g->ops->next_token(g->d, &id, &logp, x, w, &u, 0, NULL, 1);
    assert_int_equal(id, 0);
    logits[V - 1] = 7;
    w = head_with(g, logits, V, &x);
    g->ops->next_token(g->d, &id, &logp, x, w, &u, 0, NULL, 1);
    assert_int_equal(id, V - 1);
    for (int v = 0; v < V; v++)
        logits[v] = -5;
    w = head_with(g, logits, V, &x);
    g->ops->next_token(g->d, &id, &logp, x, w, &u, 0, NULL, 1);
    assert_int_equal(id, 0);
    assert_true(fabs((double)logp + log(V)) < 1e-6);
    rig_clear(g);
}

/* In a long vocabulary: the largest logit at every place that could be an edge of a kernel, once
 * alone and once with its like behind it; beside −∞, and beside a NaN, which is no token. */
static void check_greedy_anywhere(struct rig *g)
{
    enum { V = 2101 };
    static const int places[] = {0,    1,    15,   16,   17,   1007, 1008,
                                 1023, 1024, 1025, 2047, 2048, 2096, 2100};
    const double u = 0;
    float logits[V], *x, logp;
    int id;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int place = places[i];
        for (int kind = 0; kind < 4; kind++) {
            for (int v = 0; v < V; v++)
                logits[v] = kind == 2 ? -INFINITY : (float)(-1 - v % 5);
            logits[place] = kind == 3 ? NAN : -0.5f;
            if (kind == 1)
                for (int v = place; v < V; v += 9)
                    logits[v] = -0.5f;
            const weight *w = head_with(g, logits, V, &x);
            g->ops->next_token(g->d, &id, &logp, x, w, &u, 0, NULL, 1);
            assert_int_equal(id, kind == 3 ? -1 : place);
        }
        rig_clear(g);
    }
}

/* A NaN logit is no token: the caller is told by id −1 and a NaN log-probability. */
static void check_nan(struct rig *g)
{
    float logits[] = {1, 2, NAN, 0}, *x, logp;
    const double u = 0.3;
    const weight *w = head_with(g, logits, 4, &x);
    for (int greedy = 0; greedy < 2; greedy++) {
        int id = 7;
        g->ops->next_token(g->d, &id, &logp, x, w, &u, greedy ? 0 : 1, NULL, 1);
        assert_int_equal(id, -1);
        assert_true(isnan(logp));
    }
    rig_clear(g);
}

#define EACH_SET(name)                                                                             \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each(check_##name, 2);                                                                 \
    }
EACH_SET(same_logprob)
EACH_SET(inverse_cdf)
EACH_SET(frequencies)
EACH_SET(edges)
EACH_SET(low_temperature)
EACH_SET(greedy)
EACH_SET(greedy_anywhere)
EACH_SET(nan)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_logprob),    cmocka_unit_test(test_inverse_cdf),
        cmocka_unit_test(test_frequencies),     cmocka_unit_test(test_edges),
        cmocka_unit_test(test_low_temperature), cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_greedy_anywhere), cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
