/* test_ops_backward.c: every backward operation, on every instruction set of this machine and in
 * both precisions, against the scalar reference in double (which test_ref_gradients.c checks by
 * finite differences). As in test_ops.c, a sum that the operation itself rounds to bf16 (du) is
 * checked by itself and then given to the reference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attention_checks.h"

static void check_rmsnorm_backward(struct rig *g)
{
    static const int sizes[] = {1, 3, 16, 33, 64, 100, 576};
    enum { R = 7 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int H = sizes[i];
        size_t n = (size_t)(R * H);
        float *x = rig_random(g, n, (uint32_t)i, 2), *gain = rig_random(g, (size_t)H, 7, 1);
        float *dy = rig_random(g, n, 8, 1), *before = rig_random(g, n, 9, 1);
        float *y = rig_room(g, n), *inv = rig_room(g, R), *dx = rig_put(g, before, n);
        float *x_device = rig_put(g, x, n), *gain_device = rig_put(g, gain, (size_t)H);
        g->ops->rmsnorm(g->d, y, inv, x_device, gain_device, 1e-5f, R, H);
        g->ops->rmsnorm_backward(g->d, dx, rig_put(g, dy, n), x_device, inv, gain_device, R, H);
        double *want = rig_wide(g, before, n), *wide = rig_wide(g, x, n);
        double *wide_gain = rig_wide(g, gain, (size_t)H), inv_want[R], *unused = rig_zeros(g, n);
        ref_f64_rmsnorm(unused, inv_want, wide, wide_gain, (double)1e-5f, R, H);
        ref_f64_rmsnorm_backward(want, rig_wide(g, dy, n), wide, inv_want, wide_gain, R, H);
        rig_expect(g, TOL_NORM_BACKWARD, "dx", rig_get(g, dx, n), want, n);
        rig_clear(g);
    }
}

struct linear_case {
    int n, k, rank, rows;
    bool add;
};

static void check_linear_case(struct rig *g, const struct linear_case *c)
{
    char label[100];
    snprintf(label, sizeof label, "N %d K %d rank %d R %d add %d", c->n, c->k, c->rank, c->rows,
             c->add);
    g->label = label;
    size_t nk = (size_t)c->n * (size_t)c->k, rx = (size_t)(c->rows * c->k),
           ry = (size_t)(c->rows * c->n), ru = (size_t)(c->rows * c->rank),
           ra = (size_t)(c->rank * c->k), rb = (size_t)(c->n * c->rank);
    float *w = rig_random(g, nk, 1, 0.5f), *dy = rig_random(g, ry, 2, 1);
    float *a = rig_random(g, ra, 3, 0.5f), *b = rig_random(g, rb, 4, 0.5f);
    float *before = rig_random(g, rx, 6, 1);
    struct linear l = {.w = rig_weight(g, w, c->n, c->k),
                       .lora_a = c->rank ? rig_weight(g, a, c->rank, c->k) : NULL,
                       .lora_b = c->rank ? rig_weight(g, b, c->n, c->rank) : NULL,
                       .lora_scale = 1.7f,
                       .n = c->n,
                       .k = c->k,
                       .rank = c->rank};
    struct ref_f64_linear m = {.w = rig_wide_input(g, w, nk),
                               .lora_a = c->rank ? rig_wide_input(g, a, ra) : NULL,
                               .lora_b = c->rank ? rig_wide_input(g, b, rb) : NULL,
                               .lora_scale = (double)1.7f,
                               .n = c->n,
                               .k = c->k,
                               .rank = c->rank};
    float *dx = c->add ? rig_put(g, before, rx) : rig_room(g, rx);
    float *dy_device = rig_put(g, dy, ry), *du = c->rank ? rig_room(g, ru) : NULL;
    double *wide_dy = rig_wide_input(g, dy, ry), *du_want = rig_zeros(g, ru);
    double *want = rig_wide(g, before, rx), *du_got = NULL;
    g->ops->linear_backward(g->d, dx, du, dy_device, &l, c->rows, c->add);
    if (c->rank) {
        float *only = rig_room(g, ru);
        ref_f64_linear_backward_inner(du_want, wide_dy, &m, c->rows);
        rig_expect(g, TOL_LINEAR_BACKWARD, "du", rig_get(g, du, ru), du_want, ru);
        du_got = rig_wide_input(g, rig_get(g, du, ru), ru);
        g->ops->linear_backward(g->d, NULL, only, dy_device, &l, c->rows, c->add);
        rig_same(g, "du without dx", rig_get(g, only, ru), rig_get(g, du, ru), ru * 4);
    } else { /* nothing is wanted: nothing happens */
        g->ops->linear_backward(g->d, NULL, NULL, dy_device, &l, c->rows, c->add);
    }
    ref_f64_linear_backward_outer(want, wide_dy, du_got, &m, c->rows, c->add);
    rig_expect(g, TOL_LINEAR_BACKWARD, "dx", rig_get(g, dx, rx), want, rx);
    rig_clear(g);
}

static void check_linear_backward(struct rig *g)
{
    static const int sizes[][2] = {{1, 1}, {17, 33}, {113, 70}, {48, 576}, {130, 65}};
    static const int ranks[] = {0, 1, 7, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof ranks / sizeof *ranks; j++)
            for (int add = 0; add < 2; add++)
                check_linear_case(g, &(struct linear_case){.n = sizes[i][0],
                                                           .k = sizes[i][1],
                                                           .rank = ranks[j],
                                                           .rows = (int)(1 + 6 * j + i),
                                                           .add = add});
}

/* In f32 whatever the precision: nothing is rounded. */
static void check_lora_gradient(struct rig *g)
{
    static const int cases[][4] = {/* N, K, rank, R */
                                   {1, 1, 1, 1},    {17, 33, 7, 5},   {113, 70, 16, 37},
                                   {40, 300, 1, 9}, {33, 513, 16, 3}, {64, 257, 7, 130}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int N = cases[i][0], K = cases[i][1], rank = cases[i][2], R = cases[i][3];
        size_t ry = (size_t)(R * N), rx = (size_t)(R * K), ru = (size_t)(R * rank);
        size_t na = (size_t)(rank * K), nb = (size_t)(N * rank);
        float *dy = rig_random(g, ry, 1, 1), *du = rig_random(g, ru, 2, 1);
        float *x = rig_random(g, rx, 3, 1), *u = rig_random(g, ru, 4, 1);
        float *da = rig_room(g, na), *db = rig_room(g, nb);
        g->ops->lora_gradient(g->d, da, db, rig_put(g, dy, ry), rig_put(g, du, ru),
                              rig_put(g, x, rx), rig_put(g, u, ru), 0.7f, N, K, rank, R);
        double *da_want = rig_zeros(g, na), *db_want = rig_zeros(g, nb);
        ref_f64_lora_gradient(da_want, db_want, rig_wide(g, dy, ry), rig_wide(g, du, ru),
                              rig_wide(g, x, rx), rig_wide(g, u, ru), (double)0.7f, N, K, rank, R);
        rig_expect(g, TOL_LORA_GRADIENT, "da", rig_get(g, da, na), da_want, na);
        rig_expect(g, TOL_LORA_GRADIENT, "db", rig_get(g, db, nb), db_want, nb);
        rig_clear(g);
    }
}

/* --- heads --- */

static void check_qk_rope_case(struct rig *g, struct attn_dims dims, bool gains)
{
    enum { R = 9, POSITIONS = 40 };
    static const int positions[R] = {0, 1, 2, 39, 7, 7, 20, 5, 38};
    int D = dims.head_dim;
    size_t nq = (size_t)(R * dims.heads * D), nk = (size_t)(R * dims.kv_heads * D);
    size_t angles = (size_t)(POSITIONS * (D / 2));
    float *q = rig_random(g, nq, 1, 1), *k = rig_random(g, nk, 2, 1);
    float *dq = rig_random(g, nq, 3, 1), *dk = rig_random(g, nk, 4, 1);
    float *q_gain = rig_random(g, (size_t)D, 5, 1), *k_gain = rig_random(g, (size_t)D, 6, 1);
    float *cosine = rig_random(g, angles, 7, 1), *sine = rig_random(g, angles, 8, 1);
    float *dq_device = rig_put(g, dq, nq), *dk_device = rig_put(g, dk, nk);
    g->ops->qk_rope_backward(
        g->d, dq_device, dk_device, gains ? rig_put(g, q, nq) : NULL,
        gains ? rig_put(g, k, nk) : NULL, gains ? rig_put(g, q_gain, (size_t)D) : NULL,
        gains ? rig_put(g, k_gain, (size_t)D) : NULL, 1e-6f, rig_put(g, cosine, angles),
        rig_put(g, sine, angles), positions, dims, R);
    double *dq_want = rig_wide(g, dq, nq), *dk_want = rig_wide(g, dk, nk);
    ref_f64_qk_rope_backward(dq_want, dk_want, rig_wide(g, q, nq), rig_wide(g, k, nk),
                             gains ? rig_wide(g, q_gain, (size_t)D) : NULL,
                             gains ? rig_wide(g, k_gain, (size_t)D) : NULL, (double)1e-6f,
                             rig_wide(g, cosine, angles), rig_wide(g, sine, angles), positions,
                             dims, R);
    rig_expect(g, TOL_ROPE_BACKWARD, "dq", rig_get(g, dq_device, nq), dq_want, nq);
    rig_expect(g, TOL_ROPE_BACKWARD, "dk", rig_get(g, dk_device, nk), dk_want, nk);
    rig_clear(g);
}

static void check_qk_rope_backward(struct rig *g)
{
    for (int i = 0; i < ATTENTION_HEADS; i++)
        for (int gains = 0; gains < 2; gains++)
            check_qk_rope_case(g, attention_heads[i], gains);
}

/* --- SwiGLU and the vocabulary --- */

static void check_swiglu_backward(struct rig *g)
{
    static const int sizes[][2] = {{1, 1}, {3, 7}, {5, 16}, {4, 77}, {9, 192}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int R = sizes[i][0], I = sizes[i][1];
        size_t n = (size_t)(R * I);
        float *gate = rig_random(g, n, 1, 2), *up = rig_random(g, n, 2, 1);
        float *dy = rig_random(g, n, 3, 1), *dgate = rig_room(g, n), *dup = rig_room(g, n);
        float *gate_device = rig_put(g, gate, n), *up_device = rig_put(g, up, n);
        float *dy_device = rig_put(g, dy, n);
        double *dgate_want = rig_zeros(g, n), *dup_want = rig_zeros(g, n);
        g->ops->swiglu_backward(g->d, dgate, dup, dy_device, gate_device, up_device, R, I);
        ref_f64_swiglu_backward(dgate_want, dup_want, rig_wide(g, dy, n), rig_wide(g, gate, n),
                                rig_wide(g, up, n), n);
        rig_expect(g, TOL_SWIGLU_BACKWARD, "dgate", rig_get(g, dgate, n), dgate_want, n);
        rig_expect(g, TOL_SWIGLU_BACKWARD, "dup", rig_get(g, dup, n), dup_want, n);
        g->ops->swiglu_backward(g->d, gate_device, up_device, dy_device, gate_device, up_device, R,
                                I); /* in place */
        rig_same(g, "dgate in place", rig_get(g, gate_device, n), rig_get(g, dgate, n), n * 4);
        rig_same(g, "dup in place", rig_get(g, up_device, n), rig_get(g, dup, n), n * 4);
        rig_clear(g);
    }
}

static void check_logprob_backward(struct rig *g)
{
    static const int sizes[][3] = {{3, 33, 4}, {331, 70, 133}, {2501, 40, 9}};
    static const float temperatures[] = {1.0f, 0.7f};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int V = sizes[i][0], H = sizes[i][1], R = sizes[i][2];
        size_t n = (size_t)V * (size_t)H, nx = (size_t)(R * H);
        float *w = rig_round(g, rig_random(g, n, 11, 0.3f), n);
        float *x = rig_round(g, rig_random(g, nx, 12, 1), nx), *x_device = rig_put(g, x, nx);
        float *dlogp = rig_random(g, (size_t)R, 13, 1), logp[160], logz[160];
        int *targets = rig_ids(g, (size_t)R, V, 5);
        targets[0] = V - 1;
        weight *head = rig_weight(g, w, V, H);
        struct ref_f64_head ref = {rig_wide(g, w, n), V, H, g->bf16};
        for (size_t t = 0; t < 2; t++) {
            float *dx = rig_room(g, nx);
            double *want = rig_zeros(g, nx);
            g->ops->logprob(g->d, logp, NULL, logz, x_device, head, targets, temperatures[t], R);
            g->ops->logprob_backward(g->d, dx, x_device, head, targets, dlogp, logz,
                                     temperatures[t], R);
            ref_f64_logprob_backward(want, rig_wide(g, x, nx), &ref, targets,
                                     rig_wide(g, dlogp, (size_t)R), (double)temperatures[t], R);
            rig_expect(g, TOL_LOGPROB_BACKWARD, "dhidden", rig_get(g, dx, nx), want, nx);
        }
        rig_clear(g);
    }
}

#define EACH(name, check)                                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each(check, 2);                                                                        \
    }
EACH(rmsnorm_backward, check_rmsnorm_backward)
EACH(linear_backward, check_linear_backward)
EACH(lora_gradient, check_lora_gradient)
EACH(attention_backward, attention_check_backward)
EACH(qk_rope_backward, check_qk_rope_backward)
EACH(swiglu_backward, check_swiglu_backward)
EACH(logprob_backward, check_logprob_backward)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmsnorm_backward), cmocka_unit_test(test_linear_backward),
        cmocka_unit_test(test_lora_gradient),    cmocka_unit_test(test_attention_backward),
        cmocka_unit_test(test_qk_rope_backward), cmocka_unit_test(test_swiglu_backward),
        cmocka_unit_test(test_logprob_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
