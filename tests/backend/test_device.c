/* test_device.c: opening a device, its memory and its weights: errors, sizes that the plan relies
 * on, no allocation inside of an operation, no leak when memory is out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"
#include "base/mem.h"

static int open_device(struct device **d, const char *device, const char *isa, int threads,
                       struct err *err)
{
    memset(err, 0, sizeof *err);
    struct device_options options = {
        .device = device, .isa = isa, .precision = PRECISION_BF16, .threads = threads};
    return device_open(d, &options, err);
}

static void test_open(void **state)
{
    (void)state;
    struct device *d;
    struct err err;
    assert_int_equal(open_device(&d, NULL, NULL, 0, &err), 0);
    assert_true(d->threads >= 1);
    assert_true(device_isa_available(d->isa)); /* the best there is */
    for (const char *const *isa = device_isa_names(); strcmp(*isa, d->isa) != 0; isa++)
        assert_false(device_isa_available(*isa));
    device_close(d);
    assert_int_equal(open_device(&d, "cuda", NULL, 1, &err), ERR_MACHINE);
    assert_int_equal(open_device(&d, "abacus", NULL, 1, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "abacus"));
    assert_int_equal(open_device(&d, "cpu", "mmx", 1, &err), ERR_USAGE);
    assert_non_null(strstr(err.message, "mmx"));
    assert_int_equal(open_device(&d, "cpu", NULL, -1, &err), ERR_USAGE);
    assert_null(d);
    device_close(NULL);
}

/* The n-th allocation of a larger reserve fails: an error, and the device still works, with the
 * sizes it had and, once there is memory, with the larger ones. Returns false when nothing failed.
 */
static bool reserve_fails(int n)
{
    struct err err;
    struct device *d;
    float host[30 * 30], x[30], y[30], logp = 1;
    const int target = 1;
    const struct scratch_need small = {
        .rows = 2, .dim = 30, .rank = 30, .head_dim = 16, .vocab = 30, .context = 10};
    const struct scratch_need large = {
        .rows = 50, .dim = 60, .rank = 40, .head_dim = 20, .vocab = 70, .context = 80};
    for (int i = 0; i < 30 * 30; i++)
        host[i] = (float)(i % 5);
    for (int i = 0; i < 30; i++)
        x[i] = 1;
    assert_int_equal(open_device(&d, "cpu", "c", 2, &err), 0);
    assert_int_equal(d->ops->reserve(d, &small, &err), 0);
    weight *w = d->ops->weight_prepare(d, host, WEIGHT_F32, 30, 30, &err);
    assert_non_null(w);
    mem_fail_after(n);
    int status = d->ops->reserve(d, &large, &err);
    mem_fail_after(-1);
    assert_true(status == 0 || status == ERR_MACHINE);
    for (int again = 0; again < 2; again++) {
        struct linear l = {
            .w = w, .lora_a = w, .lora_b = w, .lora_scale = 0.5f, .n = 30, .k = 30, .rank = 30};
        if (again)
            assert_int_equal(d->ops->reserve(d, &large, &err), 0);
        memset(y, 0, sizeof y);
        d->ops->linear(d, y, NULL, x, &l, 1, y);
        d->ops->logprob(d, &logp, NULL, NULL, x, w, &target, 1, 1);
        assert_true(y[1] == 60 + 0.5f * 3600 && logp < 0);
    }
    d->ops->weight_free(d, w);
    device_close(d);
    return status != 0;
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    struct err err;
    struct device *d = NULL;
    int status = 1, opens = 0, reserves = 0;
    for (; status; opens++) {
        mem_fail_after(opens);
        status = open_device(&d, "cpu", "c", 2, &err);
        mem_fail_after(-1);
        assert_true(status == 0 || status == ERR_MACHINE);
    }
    while (reserve_fails(reserves))
        reserves++;
    assert_true(opens >= 3 && reserves >= 5);
    for (int n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_null(d->ops->weight_create(d, 30, 30, &err));
        mem_fail_after(-1);
    }
    mem_fail_after(0);
    assert_null(d->ops->alloc(d, 100, &err));
    mem_fail_after(-1);
    device_close(d);
    assert_int_equal(mem_stats().live_blocks, live);
}

/* What the plan prints is what is held. */
static void check_sizes(struct rig *g)
{
    static const struct scratch_need sizes[] = {
        {.rows = 3, .dim = 20, .rank = 4, .head_dim = 6, .vocab = 100, .context = 10},
        {.rows = 200, .dim = 90, .rank = 80, .head_dim = 64, .vocab = 1000, .context = 500},
        {.rows = 40, .dim = 700, .rank = 0, .head_dim = 130, .vocab = 90, .context = 33}};
    struct err err = {0};
    for (int i = 0; i < 3; i++) {
        const struct scratch_need *s = &sizes[i];
        struct device *d;
        struct device_options options = {
            .isa = g->d->isa, .precision = g->d->precision, .threads = 2};
        size_t before = mem_stats().live_bytes; /* kernels' buffers come with opening */
        assert_int_equal(device_open(&d, &options, &err), 0);
        assert_int_equal(d->ops->reserve(d, s, &err), 0);
        size_t held = mem_stats().live_bytes - before;
        size_t said = d->ops->scratch_bytes(d, s);
        size_t handles = 1024;
        if (held > said + handles || said > held + held / 20 + 4096)
            fail_msg("%s: %zu bytes planned, %zu held", d->isa, said, held);
        before = mem_stats().live_bytes;
        weight *w = d->ops->weight_create(d, s->rows, s->dim, &err);
        held = mem_stats().live_bytes - before;
        said = d->ops->weight_bytes(d, s->rows, s->dim);
        assert_true(held >= said && held - said < 200); /* the handle itself */
        d->ops->weight_free(d, w);
        device_close(d);
    }
}

/* A weight made empty and refreshed is the one prepared at once; a row of it is what came in. */
static void check_weights(struct rig *g)
{
    enum { N = 19, K = 37 };
    struct err err = {0};
    float *host = rig_random(g, N * K, 1, 1), *x = rig_room(g, N * K), *y = rig_room(g, N * K);
    int ids[N];
    for (int i = 0; i < N; i++)
        ids[i] = i;
    weight *w = g->ops->weight_create(g->d, N, K, &err);
    g->ops->embedding(g->d, x, ids, w, N); /* all zero before */
    float *zero = rig_get(g, x, N * K);
    for (int i = 0; i < N * K; i++)
        assert_true(zero[i] == 0);
    g->ops->weight_update(g->d, w, rig_put(g, rig_random(g, N * K, 2, 1), N * K));
    g->ops->weight_update(g->d, w, rig_put(g, host, N * K));
    g->ops->embedding(g->d, x, ids, w, N);
    g->ops->embedding(g->d, y, ids, rig_weight(g, host, N, K), N);
    rig_same(g, "updated", rig_get(g, x, N * K), rig_get(g, y, N * K), N * K * sizeof *x);
    rig_same(g, "rounded", rig_get(g, x, N * K), rig_round(g, host, N * K), N * K * sizeof *x);
    g->ops->weight_free(g->d, w);
    g->ops->weight_free(g->d, NULL);
    rig_clear(g);
}

/* Nothing is allocated inside of an operation: all of them once, at the sizes reserved. */
static void check_no_allocation(struct rig *g)
{
    enum { R = 160, H = 48, V = 300 };
    const struct backend *ops = g->ops;
    struct device *d = g->d;
    const struct attn_dims dims = {3, 1, 16, R};
    const struct attn_span span = {.n_q = R};
    struct linear l = {.w = rig_weight(g, rig_random(g, H * H, 1, 1), H, H),
                       .lora_a = rig_weight(g, rig_random(g, 8 * H, 2, 1), 8, H),
                       .lora_b = rig_weight(g, rig_random(g, H * 8, 3, 1), H, 8),
                       .lora_scale = 1,
                       .n = H,
                       .k = H,
                       .rank = 8};
    weight *head = rig_weight(g, rig_random(g, V * H, 4, 0.2f), V, H);
    float *x[8], *gain = rig_put(g, rig_random(g, H, 5, 1), H), host[3][R];
    float *angles = rig_put(g, rig_random(g, R * 8, 6, 1), R * 8);
    for (int i = 0; i < 8; i++)
        x[i] = rig_put(g, rig_random(g, R * H, 10 + (uint32_t)i, 1), R * H);
    void *k = rig_keys(g, rig_random(g, R * 16, 7, 1), dims);
    void *v = rig_values(g, rig_random(g, R * 16, 8, 1), dims);
    float *const no_prefix[1] = {NULL};
    int *ids = rig_ids(g, R, V, 9), positions[R];
    double *uniforms = rig_zeros(g, R);
    for (int i = 0; i < R; i++)
        positions[i] = i;
    struct adamw_params p = {1e-3, 0.9, 0.999, 1e-8, 0, 1};

    size_t calls = mem_stats().total_calls;
    ops->embedding(d, x[0], ids, head, R);
    ops->rmsnorm(d, x[1], host[0], x[0], gain, 1e-5f, R, H);
    ops->linear(d, x[2], NULL, x[1], &l, R, NULL);
    ops->linear(d, x[2], x[7], x[1], &l, R, x[2]);
    ops->qk_rope(d, x[3], k, v, x[2], x[1], x[1], NULL, NULL, 1e-5f, angles, angles, positions,
                 positions, dims, R);
    ops->attention(d, x[4], x[5], x[3], k, v, &span, 1, dims, R);
    ops->swiglu(d, x[5], x[4], x[3], R, H);
    ops->logprob(d, host[0], host[1], host[2], x[5], head, ids, 1, R);
    ops->next_token(d, ids, host[0], x[5], head, uniforms, 1, NULL, R);
    ops->logprob_backward(d, x[0], x[5], head, ids, host[0], host[2], 1, R);
    ops->swiglu_backward(d, x[1], x[2], x[0], x[4], x[3], R, H);
    ops->attention(d, x[4], x[5], x[3], k, v, &span, 1, dims, R);
    ops->attention_backward(d, x[0], x[1], x[2], no_prefix, no_prefix, x[6], x[3], k, v, x[4], x[5],
                            &span, 1, dims, R);
    ops->qk_rope_backward(d, x[0], x[1], x[3], x[4], NULL, NULL, 1e-5f, angles, angles, positions,
                          dims, R);
    ops->linear_backward(d, x[0], x[7], x[1], &l, R, false);
    ops->lora_gradient(d, x[2], x[3], x[1], x[7], x[0], x[7], 1, H, H, 8, R);
    ops->weight_update(d, (weight *)(uintptr_t)l.lora_a, x[2]);
    (void)ops->sum_squares(d, x[2], R * H);
    ops->adamw(d, x[0], x[1], x[2], x[3], &p, R * H);
    assert_int_equal(mem_stats().total_calls, calls);
    rig_clear(g);
}

#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each(check_##name, 2);                                                                 \
    }
EACH(sizes)
EACH(weights)
EACH(no_allocation)

/* Zeroing shares large blocks among threads: every byte of it, and none beside it. */
static void test_zero(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    static const size_t sizes[] = {0, 1, 63, 4096, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 7 * MIB + 5};
    struct device *d;
    struct err err;
    assert_int_equal(open_device(&d, "cpu", "c", 3, &err), 0);
    char *block = d->ops->alloc(d, 8 * MIB, &err);
    assert_non_null(block);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(block, 0x5A, 8 * MIB);
        d->ops->zero(d, block + 64, sizes[i]);
        for (size_t b = 0; b < 8 * MIB; b++)
            if (block[b] != (b >= 64 && b < 64 + sizes[i] ? 0 : 0x5A))
                fail_msg("%zu bytes: byte %zu", sizes[i], b);
    }
    d->ops->free(d, block);
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),      cmocka_unit_test(test_zero),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_weights),   cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
