/* test_row_rule_attention.c: the row rule of heads and attention, with ==: a query sees the same
 * keys, hence gives the same bits, alone and in a batch, sampled and trained, however its sequence
 * was cut into prefix, own part and calls, on 1 and 2 threads, and whatever lies in the rest of the
 * cache; and what a span's gradient does not depend on. See test_row_rule.c.
 *
 * Every cache here starts as NaN and holds what was written to it, so each test is also one of the
 * hazard "uninitialised cache (0 × NaN)". */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attention_checks.h"

enum { LONG = ATTENTION_LONG };

/* --- norm and rotation --- */

struct rope {
    struct attn_dims dims;
    int q_dim, kv_dim;
    float *q, *k, *v, *gain, *cosine, *sine; /* device */
    int positions[LONG], rows[LONG];
};

static struct rope rope_of(struct rig *g, struct attn_dims dims)
{
    dims.cache_rows = LONG;
    struct rope t = {
        .dims = dims, .q_dim = dims.heads * dims.head_dim, .kv_dim = dims.kv_heads * dims.head_dim};
    size_t nq = (size_t)(LONG * t.q_dim), nk = (size_t)(LONG * t.kv_dim);
    size_t angles = (size_t)(LONG * dims.head_dim / 2);
    t.q = rig_put(g, rig_random(g, nq, 1, 1), nq);
    t.k = rig_put(g, rig_random(g, nk, 2, 1), nk);
    t.v = rig_put(g, rig_random(g, nk, 3, 1), nk);
    t.gain = rig_put(g, rig_random(g, (size_t)dims.head_dim, 4, 1), (size_t)dims.head_dim);
    t.cosine = rig_put(g, rig_random(g, angles, 5, 0.5f), angles);
    t.sine = rig_put(g, rig_random(g, angles, 6, 0.5f), angles);
    for (int r = 0; r < LONG; r++)
        t.positions[r] = t.rows[r] = r;
    return t;
}

/* All bits one: NaN in bf16 and f32 alike. */
static void *empty_cache(struct rig *g, struct attn_dims dims)
{
    size_t bytes = g->ops->kv_bytes(g->d, dims);
    void *cache = rig_room(g, bytes / sizeof(float)), *ones = rig_host(g, bytes);
    memset(ones, 0xFF, bytes);
    g->ops->upload(g->d, cache, ones, bytes);
    return cache;
}

static void rope(struct rig *g, const struct rope *t, float *q_out, void *k, void *v, int first,
                 int R)
{
    g->ops->qk_rope(g->d, q_out, k, v, t->q + first * t->q_dim, t->k + first * t->kv_dim,
                    t->v + first * t->kv_dim, t->gain, t->gain, 1e-6f, t->cosine, t->sine,
                    t->positions + first, t->rows + first, t->dims, R);
}

/* "Different bf16 rounding of q, k, v in cache and training": every R from 1 to 130 leaves the same
 * bits in q and in both caches, and touches no other row. */
static void check_qk_rope(struct rig *g)
{
    for (int i = 0; i < 2; i++) {
        struct rope t = rope_of(g, attention_shapes[i].dims);
        size_t nq = (size_t)(LONG * t.q_dim), nk = (size_t)(LONG * t.kv_dim);
        float *q_out = rig_room(g, nq), *part = rig_room(g, nq);
        void *k = empty_cache(g, t.dims), *v = empty_cache(g, t.dims);
        float *nan = rig_get_keys(g, k, t.dims);
        g->label = "qk_rope";
        rope(g, &t, q_out, k, v, 0, LONG);
        float *whole = rig_get(g, q_out, nq);
        float *want_k = rig_get_keys(g, k, t.dims), *want_v = rig_get_values(g, v, t.dims);
        struct rig_mark mark = rig_mark(g);
        size_t all = nk * sizeof *want_k;
        rig_same_on_threads(g, "q", whole, nq * sizeof *whole);
        rig_same_on_threads(g, "k", want_k, all);
        rig_same_on_threads(g, "v", want_v, all);
        for (int R = 1; R <= LONG; R += attention_step(g)) {
            int first = LONG - R;
            size_t q_bytes = (size_t)(R * t.q_dim) * sizeof *whole;
            size_t at = (size_t)(first * t.kv_dim);
            float *q_host = rig_host(g, q_bytes);
            k = empty_cache(g, t.dims);
            v = empty_cache(g, t.dims);
            rope(g, &t, part, k, v, first, R);
            g->ops->download(g->d, q_host, part, q_bytes);
            rig_same(g, "q", q_host, whole + first * t.q_dim, q_bytes);
            float *got = rig_get_keys(g, k, t.dims);
            rig_same(g, "k", got + at, want_k + at, all - at * sizeof *got);
            rig_same(g, "other rows of k", got, nan, at * sizeof *got);
            got = rig_get_values(g, v, t.dims);
            rig_same(g, "v", got + at, want_v + at, all - at * sizeof *got);
            rig_same(g, "other rows of v", got, nan, at * sizeof *got);
            rig_release(g, mark);
        }
        rig_clear(g);
    }
}

/* Sampler = trainer, at the level of operations: a sequence rotated, cached and attended token by
 * token gives the bits of all tokens at once. */
static void check_decoding(struct rig *g)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct rope t = rope_of(g, attention_shapes[i].dims);
        int L = attention_shapes[i].length;
        size_t nq = (size_t)(LONG * t.q_dim), row = (size_t)t.q_dim;
        float *q_out = rig_room(g, nq), *out = rig_room(g, nq), *q_one = rig_room(g, row);
        float *one = rig_room(g, row);
        void *k = empty_cache(g, t.dims), *v = empty_cache(g, t.dims);
        struct attn_span all = {.n_q = L};
        g->label = "decoding";
        rope(g, &t, q_out, k, v, 0, L);
        g->ops->attention(g->d, out, NULL, q_out, k, v, &all, 1, t.dims, L);
        float *want = rig_get(g, out, nq);
        k = empty_cache(g, t.dims);
        v = empty_cache(g, t.dims);
        for (int r = 0; r < L; r++) {
            struct attn_span step = {.n_q = 1, .own_pos = r};
            rope(g, &t, q_one, k, v, r, 1);
            g->ops->attention(g->d, one, NULL, q_one, k, v, &step, 1, t.dims, 1);
            rig_same(g, "out", rig_get(g, one, row), want + (size_t)r * row, row * sizeof *want);
        }
        rig_clear(g);
    }
}

/* --- gradients --- */

/* A segment's dA and dB, wherever its rows lie in the batch. */
static void check_lora_gradient(struct rig *g)
{
    enum { N = 113, K = 300, RANK = 7, ROWS = 37, ALL = 60 };
    float *dy = rig_random(g, ALL * N, 1, 1), *du = rig_random(g, ALL * RANK, 2, 1);
    float *x = rig_random(g, ALL * K, 3, 1), *u = rig_random(g, ALL * RANK, 4, 1);
    float *da = rig_room(g, RANK * K), *db = rig_room(g, N * RANK), *want[2] = {NULL, NULL};
    g->label = "lora_gradient";
    for (int offset = 0; offset < 20; offset += 3) {
        float *const hosts[] = {dy, du, x, u};
        const int widths[] = {N, RANK, K, RANK};
        float *p[4];
        for (int i = 0; i < 4; i++) { /* the segment moves by `offset` rows */
            float *batch = rig_random(g, (size_t)(ALL * widths[i]), 7, 1);
            memcpy(batch + offset * widths[i], hosts[i], (size_t)(ROWS * widths[i]) * 4);
            p[i] = rig_put(g, batch, (size_t)(ALL * widths[i])) + offset * widths[i];
        }
        g->ops->lora_gradient(g->d, da, db, p[0], p[1], p[2], p[3], 0.7f, N, K, RANK, ROWS);
        float *got[2] = {rig_get(g, da, RANK * K), rig_get(g, db, N * RANK)};
        if (!want[0]) {
            want[0] = got[0];
            want[1] = got[1];
        }
        rig_same(g, "da", got[0], want[0], RANK * K * 4);
        rig_same(g, "db", got[1], want[1], N * RANK * 4);
    }
    rig_same_on_threads(g, "da", want[0], RANK * K * 4);
    rig_same_on_threads(g, "db", want[1], N * RANK * 4);
    rig_clear(g);
}

#define EACH(name, check)                                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_threads(check);                                                                   \
    }
EACH(prefix_cuts, attention_check_prefix_cuts)
EACH(call_cuts, attention_check_call_cuts)
EACH(neighbours, attention_check_neighbours)
EACH(shared_prefix, attention_check_shared_prefix)
EACH(qk_rope, check_qk_rope)
EACH(decoding, check_decoding)
EACH(attention_backward, attention_check_backward_alone)
EACH(lora_gradient, check_lora_gradient)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_cuts),
        cmocka_unit_test(test_call_cuts),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_shared_prefix),
        cmocka_unit_test(test_qk_rope),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_attention_backward),
        cmocka_unit_test(test_lora_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
