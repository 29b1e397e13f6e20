/* test_warpers.c: what tokens are drawn from. The ids that stay under penalty, top-k, top-p and
 * min-p, and their renormalised log-probabilities, are transformers' (a fixture of random logits,
 * many of them equal), seen through next_token itself: a draw in the middle of each id's stretch of
 * the inverse CDF must give that id. Then the reference in double on random heads, the log-
 * probability of the whole distribution, which warpers must not touch, and the edges. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/json_fixture.h"
#include "../support/rig.h"
#include "backend/cpu/warp.h"
#include "base/check.h"

enum { MOST = 128 };

static const double last_uniform = 1 - 0x1p-53;

struct fixture {
    const char *name;
    int n, kept;
    float logits[MOST];
    uint32_t seen[MOST / 32];
    int ids[MOST];
    double logp[MOST], temperature;
    struct warpers how;
};

static void read_fixture(struct fixture *f, const json_t *o)
{
    double x[MOST];
    *f = (struct fixture){.name = json_string_value(json_object_get(o, "name"))};
    f->n = (int)json_fixture_doubles(x, MOST, o, "logits");
    for (int i = 0; i < f->n; i++)
        f->logits[i] = (float)x[i];
    bool any = json_array_size(json_object_get(o, "seen")) > 0;
    int seen = any ? (int)json_fixture_doubles(x, MOST, o, "seen") : 0;
    for (int i = 0; i < seen; i++)
        f->seen[(int)x[i] / 32] |= 1u << ((int)x[i] % 32);
    f->kept = (int)json_fixture_doubles(x, MOST, o, "kept");
    for (int i = 0; i < f->kept; i++)
        f->ids[i] = (int)x[i];
    assert_int_equal(json_fixture_doubles(f->logp, MOST, o, "logp"), f->kept);
    f->temperature = json_fixture_number(o, "temperature");
    f->how = (struct warpers){.repetition_penalty = json_fixture_number(o, "repetition_penalty"),
                              .top_k = (int)json_fixture_number(o, "top_k"),
                              .top_p = json_fixture_number(o, "top_p"),
                              .min_p = json_fixture_number(o, "min_p")};
}

/* A head whose logits are the given ones, for a hidden state of one 1. (Exact in bf16.) */
static const weight *head_with(struct rig *g, const float *logits, int n, float **x)
{
    static const float one = 1;
    *x = rig_put(g, &one, 1);
    return rig_weight(g, logits, n, 1);
}

struct drawn {
    int id;
    float logp, sampling;
};

static struct drawn draw(struct rig *g, const weight *w, const float *x, const struct fixture *f,
                         float temperature, double u)
{
    struct drawn out;
    const uint32_t *seen = f->seen;
    struct warp warp = {.how = f->how, .seen = &seen, .logp = &out.sampling};
    g->ops->next_token(g->d, &out.id, &out.logp, x, w, &u, temperature, &warp, 1);
    return out;
}

static void check_case(struct rig *g, const struct fixture *f)
{
    float *x, whole;
    const weight *w = head_with(g, f->logits, f->n, &x);
    double before = 0;
    for (int i = 0; i < f->kept; i++) {
        double p = exp(f->logp[i]);
        struct drawn d = draw(g, w, x, f, (float)f->temperature, before + p / 2);
        before += p;
        if (p < 1e-5) /* narrower than the rounding of the sum before it; see test_sets */
            continue;
        if (d.id != f->ids[i] || !(fabs((double)d.sampling - f->logp[i]) <= 4e-6))
            fail_msg("%s (%s), top_k %d, top_p %g, min_p %g, penalty %g: id %d with %.8f, expected "
                     "%d with %.8f, number %d of %d",
                     f->name, g->d->isa, f->how.top_k, f->how.top_p, f->how.min_p,
                     f->how.repetition_penalty, d.id, (double)d.sampling, f->ids[i], f->logp[i], i,
                     f->kept);
        g->ops->logprob(g->d, &whole, NULL, NULL, x, w, &d.id, (float)f->temperature, 1);
        rig_same(g, "logp of the whole distribution", &d.logp, &whole, sizeof whole);
        if (f->how.repetition_penalty == 1)
            assert_true(d.sampling >= d.logp);
    }
    assert_true(fabs(before - 1) < 1e-6);
    assert_int_equal(draw(g, w, x, f, (float)f->temperature, 0).id, f->ids[0]);
}

static void check_transformers(struct rig *g)
{
    json_t *all = json_fixture("sampling/warpers.json");
    assert_true(json_array_size(all) > 50);
    for (size_t i = 0; i < json_array_size(all); i++) {
        struct fixture f;
        read_fixture(&f, json_array_get(all, i));
        check_case(g, &f);
        rig_clear(g);
    }
    json_decref(all);
}

/* The same sets id by id, however improbable, from the row's own code (plain C). */
static void test_sets(void **state)
{
    (void)state;
    json_t *all = json_fixture("sampling/warpers.json");
    for (size_t i = 0; i < json_array_size(all); i++) {
        struct fixture f;
        read_fixture(&f, json_array_get(all, i));
        float z[MOST], scores[MOST], weights[MOST];
        for (int v = 0; v < f.n; v++)
            z[v] = f.logits[v] / (float)f.temperature;
        struct warp_row row = {.scores = scores, .weights = weights, .n = f.n};
        warp_begin(&row, &f.how, z, f.seen);
        assert_true(isfinite(warp_cut(&row, &f.how, &ops_c)));
        int kept = 0;
        for (int v = 0; v < f.n; v++) {
            if (isinf(scores[v])) {
                assert_true(weights[v] == 0);
                continue;
            }
            if (kept == f.kept || f.ids[kept] != v)
                fail_msg("%s, case %zu: id %d stays, expected %d", f.name, i, v,
                         kept < f.kept ? f.ids[kept] : -1);
            kept++;
        }
        assert_int_equal(kept, f.kept);
    }
    json_decref(all);
}

/* −0 equals 0. */
static void test_zeros(void **state)
{
    (void)state;
    const float z[] = {0.0f, -0.0f, -1, -0.0f};
    float scores[4], weights[4];
    struct warp_row row = {.scores = scores, .weights = weights, .n = 4};
    struct warpers how = {1, 1, 1, 0};
    warp_begin(&row, &how, z, NULL);
    assert_true(warp_cut(&row, &how, &ops_c) == 0);
    assert_true(weights[0] == 1 && weights[1] == 1 && weights[2] == 0 && weights[3] == 1);
}

/* --- against the reference in double, on heads with a hidden dimension --- */

enum { VOCAB = 1061, HIDDEN = 24, ROWS = 133, WORDS = (VOCAB + 31) / 32 };

struct many {
    const weight *w;
    struct ref_f64_head ref;
    float *x;
    double *wide_x;
    uint32_t seen[ROWS][WORDS];
    const uint32_t *seen_of[ROWS];
    double uniforms[ROWS];
};

static void many_rows(struct rig *g, struct many *t)
{
    size_t n = (size_t)(VOCAB * HIDDEN), nx = ROWS * HIDDEN;
    float *w = rig_round(g, rig_random(g, n, 1, 0.5f), n);
    float *x = rig_round(g, rig_random(g, nx, 2, 1), nx);
    *t = (struct many){.w = rig_weight(g, w, VOCAB, HIDDEN),
                       .ref = {rig_wide(g, w, n), VOCAB, HIDDEN, false},
                       .x = rig_put(g, x, nx),
                       .wide_x = rig_wide(g, x, nx)};
    for (int r = 0; r < ROWS; r++) {
        t->seen_of[r] = t->seen[r];
        t->uniforms[r] = (double)((r * 59) % ROWS) / ROWS;
        for (int i = 0; i < 40; i++) {
            int v = (r * 131 + i * i * 17) % VOCAB;
            t->seen[r][v / 32] |= 1u << (v % 32);
        }
    }
}

static const struct warpers several[] = {{1, 50, 1, 0},        {1, 0, 0.9, 0},   {1, 0, 1, 0.05},
                                         {1.2, 0, 1, 0},       {1, 1, 1, 0},     {1, 0, 0.02, 0},
                                         {1.1, 60, 0.8, 0.01}, {0.9, 0, 0.99, 0}};

/* The reference may cut one id more or less where rounding decides, and draw the neighbour: rare.
 */
static void check_reference(struct rig *g)
{
    static struct many t;
    many_rows(g, &t);
    for (size_t i = 0; i < ARRAY_LENGTH(several); i++)
        for (int greedy = 0; greedy < 2; greedy++) {
            int ids[ROWS], want[ROWS], other = 0;
            float logp[ROWS], whole[ROWS], sampling[ROWS], T = greedy ? 0 : 0.8f;
            double want_logp[ROWS], want_sampling[ROWS];
            struct warp warp = {several[i], t.seen_of, sampling};
            struct ref_f64_warp ref = {several[i], t.seen_of, want_sampling};
            g->ops->next_token(g->d, ids, logp, t.x, t.w, t.uniforms, T, &warp, ROWS);
            g->ops->logprob(g->d, whole, NULL, NULL, t.x, t.w, ids, greedy ? 1 : T, ROWS);
            rig_same(g, "logp of the whole distribution", logp, whole, sizeof whole);
            ref_f64_next_token(want, want_logp, t.wide_x, &t.ref, t.uniforms, (double)T, &ref,
                               ROWS);
            for (int r = 0; r < ROWS; r++)
                other +=
                    ids[r] != want[r] || !(fabs((double)sampling[r] - want_sampling[r]) <= 2e-5);
            if (other > 2)
                fail_msg("%s: warpers %zu%s: %d of %d rows differ from the reference", g->d->isa, i,
                         greedy ? ", greedy" : "", other, ROWS);
        }
    rig_clear(g);
}

/* Rows alone and together, on one thread and two: the same bits. */
static void check_row_rule(struct rig *g)
{
    static struct many t;
    many_rows(g, &t);
    for (size_t i = 0; i < ARRAY_LENGTH(several); i++) {
        int ids[ROWS], id;
        float logp[ROWS], sampling[ROWS], one_logp, one_sampling;
        struct warp warp = {several[i], t.seen_of, sampling};
        g->ops->next_token(g->d, ids, logp, t.x, t.w, t.uniforms, 0.8f, &warp, ROWS);
        rig_same_on_threads(g, "ids", ids, sizeof ids);
        rig_same_on_threads(g, "logp", logp, sizeof logp);
        rig_same_on_threads(g, "sampling logp", sampling, sizeof sampling);
        for (int r = 0; r < ROWS; r += 11) {
            struct warp alone = {several[i], t.seen_of + r, &one_sampling};
            g->ops->next_token(g->d, &id, &one_logp, t.x + r * HIDDEN, t.w, t.uniforms + r, 0.8f,
                               &alone, 1);
            assert_int_equal(id, ids[r]);
            rig_same(g, "logp", &one_logp, &logp[r], sizeof one_logp);
            rig_same(g, "sampling logp", &one_sampling, &sampling[r], sizeof one_sampling);
        }
    }
    rig_clear(g);
}

/* --- edges --- */

static void check_edges(struct rig *g)
{
    float logits[40], *x;
    for (int v = 0; v < 40; v++)
        logits[v] = -200; /* probability 0 in f32 */
    logits[3] = logits[39] = 2;
    const weight *w = head_with(g, logits, 40, &x);
    struct fixture f = {.how = {1, 30, 1, 0}}; /* the 30th largest is one of 38 equal ones */
    assert_int_equal(draw(g, w, x, &f, 1, 0).id, 3);
    assert_int_equal(draw(g, w, x, &f, 1, last_uniform).id, 39);
    f.how = (struct warpers){1, 0, 1e-9, 0}; /* of two equal ones the lower id goes */
    assert_int_equal(draw(g, w, x, &f, 1, 0).id, 39);
    assert_true(draw(g, w, x, &f, 1, 0).sampling == 0);
    f.how = (struct warpers){1, 0, 1, 1}; /* both have the largest probability */
    assert_int_equal(draw(g, w, x, &f, 1, 0).id, 3);
    assert_int_equal(draw(g, w, x, &f, 1, 0.51).id, 39);
    /* Greedy: a penalty may move the largest, the cuts do nothing. */
    float few[] = {1, 4, 3, -1};
    w = head_with(g, few, 4, &x);
    f = (struct fixture){.how = {2, 1, 0.5, 0.5}, .seen = {1u << 1}};
    struct drawn d = draw(g, w, x, &f, 0, 0.9);
    assert_int_equal(d.id, 2);
    assert_true(fabs((double)d.logp - (3 - log(exp(1) + exp(4) + exp(3) + exp(-1)))) < 1e-6);
    assert_true(fabs((double)d.sampling - (3 - log(exp(1) + exp(2) + exp(3) + exp(-1)))) < 1e-6);
    /* A NaN logit is no token under warpers either. */
    few[2] = NAN;
    w = head_with(g, few, 4, &x);
    for (int greedy = 0; greedy < 2; greedy++) {
        d = draw(g, w, x, &f, greedy ? 0 : 1, 0.3);
        assert_true(d.id == -1 && isnan(d.logp) && isnan(d.sampling));
    }
    rig_clear(g);
}

static void test_transformers(void **state)
{
    (void)state;
    rig_each(check_transformers, 2);
}
static void test_reference(void **state)
{
    (void)state;
    rig_each(check_reference, 2);
}
static void test_row_rule(void **state)
{
    (void)state;
    rig_each_threads(check_row_rule);
}
static void test_edges(void **state)
{
    (void)state;
    rig_each(check_edges, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),         cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_transformers), cmocka_unit_test(test_reference),
        cmocka_unit_test(test_row_rule),     cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
