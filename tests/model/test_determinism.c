/* test_determinism.c: the same bits however the work is cut: gradients for any micro-batch and any
 * number of threads, a sequence in one pass or token by token, with or without a shared prefix, and
 * over caches full of NaN. On every instruction set, in f32 and bf16. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "../support/tiny.h"

static const char *const cases[] = {"qwen3_tied", "llama_untied", "llama_tied", "qwen2_untied",
                                    NULL};

/* Seven completions of ragged lengths after a prompt of the given length. */
static void set_group(struct tiny *t, int prompt_len)
{
    static const int lengths[] = {7, 1, 19, 4, 33, 16, 2};
    t->prompt_len = prompt_len;
    tiny_random_ids(t, t->prompt, prompt_len, 50);
    t->n = sizeof lengths / sizeof *lengths;
    for (int i = 0; i < t->n; i++) {
        struct rng_key key = {.seed = 3, .purpose = RNG_SHUFFLE, .row = (uint64_t)i};
        t->len[i] = lengths[i];
        tiny_random_ids(t, t->ids[i], lengths[i], 60 + (uint64_t)i);
        for (int j = 0; j < lengths[i]; j++)
            t->weights[i][j] = (float)rng_normal(&key, (uint64_t)j);
    }
}

struct result {
    float logp[TINY_MAX_COMPLETIONS][TINY_MAX_TOKENS];
    float *gradient;
    size_t n;
};

static struct result *compute(struct tiny *t, int micro)
{
    struct result *r = calloc(1, sizeof *r);
    r->n = adapter_size(t->a);
    r->gradient = malloc(r->n * sizeof(float));
    tiny_gradient(t, micro, 0.9f, r->logp, r->gradient);
    return r;
}

static void result_free(struct result *r)
{
    free(r->gradient);
    free(r);
}

static void check_gradient(const char *name, const char *isa, enum precision precision)
{
    static const int prompts[] = {9, 1, 2, 30};
    static const struct {
        int micro, threads;
    } cuts[] = {{2, 2}, {7, 1}, {1, 2}, {2, 1}, {4, 1}, {4, 2}, {7, 2}};
    struct tiny t, two;
    tiny_open(&t, name, isa, precision, 1);
    tiny_open(&two, name, isa, precision, 2);
    for (int p = 0; p < 4; p++) {
        set_group(&t, prompts[p]);
        set_group(&two, prompts[p]);
        struct result *base = compute(&t, 1);
        double norm = 0;
        for (size_t i = 0; i < base->n; i++)
            norm += fabs((double)base->gradient[i]);
        assert_true(norm > 0 && isfinite(norm));
        for (int m = 0; m < (p ? 2 : 7); m++) { /* all cuts after one prompt, two after the rest */
            struct result *r = compute(cuts[m].threads == 2 ? &two : &t, cuts[m].micro);
            assert_memory_equal(r->logp, base->logp, sizeof r->logp);
            assert_memory_equal(r->gradient, base->gradient, r->n * sizeof(float));
            result_free(r);
        }
        result_free(base);
    }
    tiny_close(&t);
    tiny_close(&two);
}

static void test_gradient(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_gradient);
    tiny_each(cases, PRECISION_BF16, check_gradient);
}

/* --- one sequence, cut in every way, over poisoned caches --- */

enum { LENGTH = 45, PREFIX = 21, CACHE_ROWS = 160 };

struct rig {
    struct tiny t;
    struct kv_cache kv;
    workspace *w;
    int ids[LENGTH];
    float *hidden; /* (LENGTH, H) */
    size_t width;
};

/* Every key and value NaN (all bits one is NaN in bf16 and f32 alike). */
static void poison(struct rig *r)
{
    struct attn_dims dims = {1, model_config(r->t.m)->kv_heads, model_config(r->t.m)->head_dim,
                             r->kv.rows};
    size_t bytes = r->t.d->ops->kv_bytes(r->t.d, dims);
    void *bits = malloc(bytes);
    memset(bits, 0xFF, bytes);
    for (int i = 0; i < r->kv.layers; i++) {
        r->t.d->ops->upload(r->t.d, r->kv.k[i], bits, bytes);
        r->t.d->ops->upload(r->t.d, r->kv.v[i], bits, bytes);
    }
    free(bits);
}

/* Tokens from … from + n − 1 (own positions after `prefix` shared tokens at cache row 0; own rows
 * start at own_row) into their place of r->hidden; keys only when hidden is not wanted. */
static void pass(struct rig *r, int prefix, int own_row, int from, int n, bool hidden)
{
    int positions[LENGTH], rows[LENGTH];
    for (int i = 0; i < n; i++) {
        positions[i] = prefix + from + i;
        rows[i] = own_row + from + i;
    }
    struct attn_span span = {0, n, 0, prefix, own_row, from};
    struct batch batch = {n, r->ids + prefix + from, positions, rows, &span, 1};
    model_forward(r->t.m, r->t.a, &r->kv, r->w,
                  hidden ? r->hidden + (size_t)(prefix + from) * r->width : NULL, &batch);
}

static void check_cuts(const char *name, const char *isa, enum precision precision)
{
    struct rig r = {0};
    struct err err = {0};
    tiny_open(&r.t, name, isa, precision, 1);
    r.width = (size_t)model_config(r.t.m)->hidden_size;
    tiny_ok(kv_cache_create(&r.kv, r.t.m, CACHE_ROWS, &err), &err);
    tiny_ok(workspace_create(&r.w, r.t.m, adapter_config(r.t.a), LENGTH, &err), &err);
    tiny_random_ids(&r.t, r.ids, LENGTH, 4);
    size_t bytes = LENGTH * r.width * sizeof(float);
    float *whole = malloc(bytes);
    r.hidden = malloc(bytes);

    pass(&r, 0, 0, 0, LENGTH, true); /* zeroed cache, one pass */
    memcpy(whole, r.hidden, bytes);
    for (size_t i = 0; i < LENGTH * r.width; i++)
        assert_true(isfinite(whole[i]));
    static const int steps[] = {LENGTH, 1, 2, 7, 16};
    for (int s = 0; s < 5; s++) {
        poison(&r);
        memset(r.hidden, 0, bytes);
        for (int at = 0; at < LENGTH; at += steps[s])
            pass(&r, 0, KV_ALIGN, at, LENGTH - at < steps[s] ? LENGTH - at : steps[s], true);
        assert_memory_equal(r.hidden, whole, bytes);
    }
    for (int s = 0; s < 5; s++) { /* the first PREFIX tokens as a shared prompt */
        poison(&r);
        pass(&r, 0, 0, 0, PREFIX, false);
        for (int at = 0; at < LENGTH - PREFIX; at += steps[s]) {
            int left = LENGTH - PREFIX - at;
            pass(&r, PREFIX, kv_own_row(80, PREFIX), at, left < steps[s] ? left : steps[s], true);
        }
        assert_memory_equal(r.hidden + PREFIX * r.width, whole + PREFIX * r.width,
                            (LENGTH - PREFIX) * r.width * sizeof(float));
    }
    activations *acts; /* and the training pass gives the same states */
    tiny_ok(activations_create(&acts, r.t.m, adapter_config(r.t.a), LENGTH, &err), &err);
    int order[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        order[i] = i;
    struct attn_span span = {0, LENGTH, 0, 0, 0, 0};
    struct batch batch = {LENGTH, r.ids, order, order, &span, 1};
    poison(&r);
    model_forward_train(r.t.m, r.t.a, &r.kv, acts, r.hidden, &batch);
    assert_memory_equal(r.hidden, whole, bytes);
    activations_free(acts);
    free(whole);
    free(r.hidden);
    workspace_free(r.w);
    kv_cache_free(&r.kv);
    tiny_close(&r.t);
}

static void test_cuts(void **state)
{
    (void)state;
    tiny_each(cases, PRECISION_F32, check_cuts);
    tiny_each(cases, PRECISION_BF16, check_cuts);
}

/* --- the tree by itself --- */

/* The definition: the largest power of two below n on the left, the rest on the right. */
static float tree_sum(const float *x, int n)
{
    if (n == 1)
        return x[0];
    int left = 1;
    while (2 * left < n)
        left *= 2;
    return tree_sum(x, left) + tree_sum(x + left, n - left);
}

static void test_tree(void **state)
{
    (void)state;
    enum { LEAVES = 37, WIDTH = 5 };
    struct device *d;
    struct err err = {0};
    struct device_options options = {.threads = 1};
    tiny_ok(device_open(&d, &options, &err), &err);
    struct rng_key key = {.seed = 1, .purpose = RNG_SHUFFLE};
    float leaves[WIDTH][LEAVES], leaf[WIDTH];
    for (int j = 0; j < WIDTH; j++)
        for (int i = 0; i < LEAVES; i++) /* magnitudes far apart: any other order shows */
            leaves[j][i] = (float)(rng_normal(&key, (uint64_t)(j * LEAVES + i)) * pow(10, i % 5));
    struct grad_tree tree;
    tiny_ok(grad_tree_create(&tree, d, WIDTH, LEAVES, &err), &err);
    assert_null(grad_tree_total(&tree));
    int differs = 0;
    for (int n = 1; n <= LEAVES; n++) {
        grad_tree_reset(&tree);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < WIDTH; j++)
                leaf[j] = leaves[j][i];
            grad_tree_push(&tree, leaf);
        }
        const float *total = grad_tree_total(&tree);
        for (int j = 0; j < WIDTH; j++) {
            float straight = 0;
            for (int i = 0; i < n; i++)
                straight += leaves[j][i];
            assert_true(total[j] == tree_sum(leaves[j], n));
            differs += total[j] != straight;
        }
    }
    assert_true(differs > 0);
    assert_int_equal(grad_tree_bytes(WIDTH, LEAVES), 7 * WIDTH * sizeof(float));
    grad_tree_free(&tree);
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
