/* test_ops_parameters.c: the gradients of the model's own parameters, on every instruction set of
 * this machine and in both precisions, on two threads and on one: against the scalar reference in
 * double (which test_ref_gradients.c checks by finite differences), and bit for bit against the
 * same rows in several calls. Every check starts from numbers that are there: the operations add.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"

/* Where the second and the third call start. */
static int cut(int R, int part)
{
    static const int shares[] = {0, 1, 3, 5};
    return part == 3 ? R : R * shares[part] / 5;
}

static void check_weight_gradient(struct rig *g)
{
    static const int cases[][3] = {/* N, K, R: small, wider than high, higher than wide, one row,
                                      and as large as wakes threads, over several blocks of rows */
                                   {1, 1, 1},     {3, 17, 5},      {40, 300, 9},   {113, 70, 37},
                                   {130, 513, 1}, {300, 150, 300}, {61, 203, 513}, {203, 61, 257}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int N = cases[i][0], K = cases[i][1], R = cases[i][2];
        char label[80];
        snprintf(label, sizeof label, "N %d K %d R %d", N, K, R);
        g->label = label;
        size_t ny = (size_t)(R * N), nx = (size_t)(R * K), nw = (size_t)(N * K);
        float *dy = rig_random(g, ny, 1, 1), *x = rig_random(g, nx, 2, 1);
        float *dw_before = rig_random(g, nw, 3, 1), *db_before = rig_random(g, (size_t)N, 4, 1);
        float *dw = rig_put(g, dw_before, nw), *db = rig_put(g, db_before, (size_t)N);
        float *dw_cut = rig_put(g, dw_before, nw), *db_cut = rig_put(g, db_before, (size_t)N);
        float *dy_device = rig_put(g, dy, ny), *x_device = rig_put(g, x, nx);
        g->ops->weight_gradient(g->d, dw, dy_device, x_device, N, K, R);
        g->ops->bias_gradient(g->d, db, dy_device, N, R);
        for (int part = 0; part < 3; part++) {
            int from = cut(R, part), rows = cut(R, part + 1) - from;
            if (!rows)
                continue;
            g->ops->weight_gradient(g->d, dw_cut, dy_device + (size_t)(from * N),
                                    x_device + (size_t)(from * K), N, K, rows);
            g->ops->bias_gradient(g->d, db_cut, dy_device + (size_t)(from * N), N, rows);
        }
        double *dw_want = rig_wide(g, dw_before, nw), *db_want = rig_wide(g, db_before, (size_t)N);
        ref_f64_weight_gradient(dw_want, rig_wide(g, dy, ny), rig_wide(g, x, nx), N, K, R);
        ref_f64_bias_gradient(db_want, rig_wide(g, dy, ny), N, R);
        const float *dw_got = rig_get(g, dw, nw), *db_got = rig_get(g, db, (size_t)N);
        rig_expect(g, TOL_WEIGHT_GRADIENT, "dw", dw_got, dw_want, nw);
        rig_expect(g, TOL_WEIGHT_GRADIENT, "db", db_got, db_want, (size_t)N);
        rig_same(g, "dw in parts", rig_get(g, dw_cut, nw), dw_got, nw * 4);
        rig_same(g, "db in parts", rig_get(g, db_cut, (size_t)N), db_got, (size_t)N * 4);
        rig_same_on_threads(g, "dw", dw_got, nw * 4);
        rig_same_on_threads(g, "db", db_got, (size_t)N * 4);
        rig_clear(g);
    }
}

static void check_gain_gradient(struct rig *g)
{
    static const int cases[][2] = {{1, 1}, {16, 7}, {33, 40}, {576, 9}, {203, 400}}; /* H, R */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int H = cases[i][0], R = cases[i][1];
        char label[80];
        snprintf(label, sizeof label, "H %d R %d", H, R);
        g->label = label;
        size_t n = (size_t)(R * H), nh = (size_t)H;
        float *dy = rig_random(g, n, 1, 1), *x = rig_random(g, n, 2, 2);
        float *inv = rig_random(g, (size_t)R, 3, 1), *before = rig_random(g, nh, 4, 1);
        float *dy_device = rig_put(g, dy, n), *x_device = rig_put(g, x, n);
        float *inv_device = rig_put(g, inv, (size_t)R);
        float *got = rig_put(g, before, nh), *parts = rig_put(g, before, nh);
        g->ops->gain_gradient(g->d, got, dy_device, x_device, inv_device, R, H);
        for (int part = 0; part < 3; part++) {
            int from = cut(R, part), rows = cut(R, part + 1) - from;
            if (rows)
                g->ops->gain_gradient(g->d, parts, dy_device + (size_t)(from * H),
                                      x_device + (size_t)(from * H), inv_device + from, rows, H);
        }
        double *want = rig_wide(g, before, nh);
        ref_f64_gain_gradient(want, rig_wide(g, dy, n), rig_wide(g, x, n),
                              rig_wide(g, inv, (size_t)R), R, H);
        const float *host = rig_get(g, got, nh);
        rig_expect(g, TOL_GAIN_GRADIENT, "dgain", host, want, nh);
        rig_same(g, "dgain in parts", rig_get(g, parts, nh), host, nh * 4);
        rig_same_on_threads(g, "dgain", host, nh * 4);
        rig_clear(g);
    }
}

static void check_qk_gain_case(struct rig *g, struct attn_dims dims, int R)
{
    enum { POSITIONS = 300 };
    int D = dims.head_dim, q_dim = dims.heads * D, k_dim = dims.kv_heads * D, positions[POSITIONS];
    char label[80];
    snprintf(label, sizeof label, "%d heads on %d of %d, R %d", dims.heads, dims.kv_heads, D, R);
    g->label = label;
    for (int r = 0; r < R; r++)
        positions[r] = r * 7 % POSITIONS;
    size_t nq = (size_t)(R * q_dim), nk = (size_t)(R * k_dim), n = (size_t)D;
    size_t angles = (size_t)(POSITIONS * (D / 2));
    float *q = rig_random(g, nq, 1, 1), *k = rig_random(g, nk, 2, 1);
    float *dq = rig_random(g, nq, 3, 1), *dk = rig_random(g, nk, 4, 1);
    float *cosine = rig_random(g, angles, 7, 1), *sine = rig_random(g, angles, 8, 1);
    float *before = rig_random(g, n, 5, 1), *k_before = rig_random(g, n, 6, 1);
    float *in[] = {rig_put(g, dq, nq), rig_put(g, dk, nk), rig_put(g, q, nq), rig_put(g, k, nk)};
    float *c = rig_put(g, cosine, angles), *s = rig_put(g, sine, angles);
    float *got[] = {rig_put(g, before, n), rig_put(g, k_before, n)};
    float *parts[] = {rig_put(g, before, n), rig_put(g, k_before, n)};
    g->ops->qk_gain_gradient(g->d, got[0], got[1], in[0], in[1], in[2], in[3], 1e-6f, c, s,
                             positions, dims, R);
    for (int part = 0; part < 3; part++) {
        int from = cut(R, part), rows = cut(R, part + 1) - from;
        size_t q_at = (size_t)(from * q_dim), k_at = (size_t)(from * k_dim);
        if (rows)
            g->ops->qk_gain_gradient(g->d, parts[0], parts[1], in[0] + q_at, in[1] + k_at,
                                     in[2] + q_at, in[3] + k_at, 1e-6f, c, s, positions + from,
                                     dims, rows);
    }
    double *want[] = {rig_wide(g, before, n), rig_wide(g, k_before, n)};
    ref_f64_qk_gain_gradient(want[0], want[1], rig_wide(g, dq, nq), rig_wide(g, dk, nk),
                             rig_wide(g, q, nq), rig_wide(g, k, nk), (double)1e-6f,
                             rig_wide(g, cosine, angles), rig_wide(g, sine, angles), positions,
                             dims, R);
    for (int i = 0; i < 2; i++) {
        const float *host = rig_get(g, got[i], n);
        rig_expect(g, TOL_GAIN_GRADIENT, i ? "dk_gain" : "dq_gain", host, want[i], n);
        rig_same(g, "in parts", rig_get(g, parts[i], n), host, n * 4);
        rig_same_on_threads(g, "head gain", host, n * 4);
    }
    rig_clear(g);
}

static void check_qk_gain_gradient(struct rig *g)
{
    static const struct attn_dims dims[] = {
        {2, 2, 16, 0}, {6, 2, 128, 0}, {3, 3, 6, 0}, {2, 1, 20, 0}};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        check_qk_gain_case(g, dims[i], 1);
        check_qk_gain_case(g, dims[i], 110);
    }
}

/* Ids that come several times, in one call and over calls. */
static void check_embedding_gradient(struct rig *g)
{
    static const int cases[][3] = {{1, 1, 3}, {9, 33, 40}, {50, 203, 400}}; /* vocabulary, K, R */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int V = cases[i][0], K = cases[i][1], R = cases[i][2];
        size_t n = (size_t)(R * K), nt = (size_t)(V * K);
        int *ids = rig_ids(g, (size_t)R, V, 3);
        float *dx = rig_random(g, n, 1, 1), *before = rig_random(g, nt, 2, 1);
        float *dx_device = rig_put(g, dx, n);
        float *got = rig_put(g, before, nt), *parts = rig_put(g, before, nt);
        g->ops->embedding_gradient(g->d, got, ids, dx_device, V, K, R);
        for (int part = 0; part < 3; part++) {
            int from = cut(R, part), rows = cut(R, part + 1) - from;
            if (rows)
                g->ops->embedding_gradient(g->d, parts, ids + from, dx_device + (size_t)(from * K),
                                           V, K, rows);
        }
        double *want = rig_wide(g, before, nt);
        ref_f64_embedding_gradient(want, ids, rig_wide(g, dx, n), K, R);
        const float *host = rig_get(g, got, nt);
        rig_expect(g, TOL_EMBEDDING_GRADIENT, "dtable", host, want, nt);
        rig_same(g, "dtable in parts", rig_get(g, parts, nt), host, nt * 4);
        rig_same_on_threads(g, "dtable", host, nt * 4);
        rig_clear(g);
    }
}

/* dhead against the reference, the other results against the operations that give them alone. */
static void check_head_gradient(struct rig *g)
{
    static const int cases[][3] = {{3, 33, 4}, {331, 70, 150}, {2501, 40, 9}}; /* V, H, R */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int V = cases[i][0], H = cases[i][1], R = cases[i][2];
        char label[80];
        snprintf(label, sizeof label, "V %d H %d R %d", V, H, R);
        g->label = label;
        size_t nw = (size_t)V * (size_t)H, nx = (size_t)(R * H), rows = (size_t)R;
        float *w = rig_round(g, rig_random(g, nw, 11, 0.3f), nw);
        float *x = rig_round(g, rig_random(g, nx, 12, 1), nx), *x_device = rig_put(g, x, nx);
        float *dlogp = rig_random(g, rows, 13, 1), *before = rig_random(g, nw, 14, 1);
        float *logp = rig_host(g, rows * 4), *logz = rig_host(g, rows * 4);
        float *logp_want = rig_host(g, rows * 4);
        int *targets = rig_ids(g, rows, V, 5);
        targets[0] = V - 1;
        weight *head = rig_weight(g, w, V, H);
        float *dx = rig_room(g, nx), *dx_want = rig_room(g, nx), *dx_alone = rig_room(g, nx);
        float *dw = rig_put(g, before, nw), *parts = rig_put(g, before, nw);
        g->ops->head_gradient(g->d, logp, dx, dw, x_device, head, targets, dlogp, R);
        g->ops->head_gradient(g->d, NULL, dx_alone, NULL, x_device, head, targets, dlogp, R);
        for (int part = 0; part < 3; part++) {
            int from = cut(R, part), n = cut(R, part + 1) - from;
            if (n)
                g->ops->head_gradient(g->d, NULL, NULL, parts, x_device + (size_t)(from * H), head,
                                      targets + from, dlogp + from, n);
        }
        g->ops->logprob(g->d, logp_want, NULL, logz, x_device, head, targets, 1.0f, R);
        g->ops->logprob_backward(g->d, dx_want, x_device, head, targets, dlogp, logz, 1.0f, R);
        struct ref_f64_head ref = {rig_wide(g, w, nw), V, H, g->bf16};
        double *want = rig_wide(g, before, nw);
        ref_f64_head_gradient(want, rig_wide(g, x, nx), &ref, targets, rig_wide(g, dlogp, rows), R);
        const float *host = rig_get(g, dw, nw), *dx_host = rig_get(g, dx, nx);
        rig_expect(g, TOL_HEAD_GRADIENT, "dhead", host, want, nw);
        rig_same(g, "dhead in parts", rig_get(g, parts, nw), host, nw * 4);
        rig_same(g, "logp", logp, logp_want, rows * 4);
        rig_same(g, "dhidden", dx_host, rig_get(g, dx_want, nx), nx * 4);
        rig_same(g, "dhidden alone", rig_get(g, dx_alone, nx), dx_host, nx * 4);
        rig_same_on_threads(g, "dhead", host, nw * 4);
        rig_same_on_threads(g, "dhidden", dx_host, nx * 4);
        rig_clear(g);
    }
}

#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_threads(check_##name);                                                            \
    }
EACH(weight_gradient)
EACH(gain_gradient)
EACH(qk_gain_gradient)
EACH(embedding_gradient)
EACH(head_gradient)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_gradient),  cmocka_unit_test(test_gain_gradient),
        cmocka_unit_test(test_qk_gain_gradient), cmocka_unit_test(test_embedding_gradient),
        cmocka_unit_test(test_head_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
