/* test_ops.c: every forward operation and the vector operations, on every instruction set of this
 * machine and in both precisions, against the scalar reference in double. Sizes are no multiples of
 * a tile or a vector. In bf16 mode the reference gets what the operation got: where an operation
 * rounds a sum it made itself (u, q, k), the check is in two halves, because a sum one bit aside
 * may round to the other neighbour. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attention_checks.h"

static void check_embedding(struct rig *g)
{
    enum { V = 37, K = 45, R = 11 };
    float *table = rig_random(g, V * K, 1, 1);
    int *ids = rig_ids(g, R, V, 2);
    ids[0] = V - 1;
    ids[1] = 0;
    float *x = rig_room(g, R * K);
    double want[R * K];
    g->ops->embedding(g->d, x, ids, rig_weight(g, table, V, K), R);
    ref_f64_embedding(want, ids, rig_wide(g, table, V * K), R, K, g->bf16);
    rig_expect(g, TOL_EXACT, "x", rig_get(g, x, R * K), want, R * K);
    rig_clear(g);
}

static void check_rmsnorm(struct rig *g)
{
    static const int sizes[] = {1, 3, 16, 33, 64, 100, 576};
    enum { R = 7 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int H = sizes[i];
        size_t n = (size_t)(R * H);
        float *x = rig_random(g, n, (uint32_t)i, 2), *gain = rig_random(g, (size_t)H, 7, 1);
        float *y = rig_room(g, n), *inv = rig_room(g, R), *x_device = rig_put(g, x, n);
        float *gain_device = rig_put(g, gain, (size_t)H), *again = rig_room(g, n);
        double *want = rig_zeros(g, n), inv_want[R];
        g->ops->rmsnorm(g->d, y, inv, x_device, gain_device, 1e-5f, R, H);
        g->ops->rmsnorm(g->d, again, NULL, x_device, gain_device, 1e-5f, R, H);
        ref_f64_rmsnorm(want, inv_want, rig_wide(g, x, n), rig_wide(g, gain, (size_t)H),
                        (double)1e-5f, R, H);
        rig_expect(g, TOL_NORM, "y", rig_get(g, y, n), want, n);
        rig_expect(g, TOL_NORM, "1/rms", rig_get(g, inv, R), inv_want, R);
        rig_same(g, "y without 1/rms", rig_get(g, again, n), rig_get(g, y, n), n * 4);
        rig_clear(g);
    }
}

struct linear_case {
    int n, k, rank, rows;
    bool bias, add, keep_u;
};

static void check_linear_case(struct rig *g, const struct linear_case *c)
{
    char label[100];
    snprintf(label, sizeof label, "N %d K %d rank %d R %d bias %d add %d", c->n, c->k, c->rank,
             c->rows, c->bias, c->add);
    g->label = label;
    size_t nk = (size_t)c->n * (size_t)c->k, rx = (size_t)(c->rows * c->k),
           ry = (size_t)(c->rows * c->n), ru = (size_t)(c->rows * c->rank),
           ra = (size_t)(c->rank * c->k), rb = (size_t)(c->n * c->rank);
    float *w = rig_random(g, nk, 1, 0.5f), *x = rig_random(g, rx, 2, 1);
    float *a = rig_random(g, ra, 3, 0.5f), *b = rig_random(g, rb, 4, 0.5f);
    float *bias = rig_random(g, (size_t)c->n, 5, 1), *before = rig_random(g, ry, 6, 1);
    struct linear l = {.w = rig_weight(g, w, c->n, c->k),
                       .bias = c->bias ? rig_put(g, bias, (size_t)c->n) : NULL,
                       .lora_a = c->rank ? rig_weight(g, a, c->rank, c->k) : NULL,
                       .lora_b = c->rank ? rig_weight(g, b, c->n, c->rank) : NULL,
                       .lora_scale = 1.7f,
                       .n = c->n,
                       .k = c->k,
                       .rank = c->rank};
    struct ref_f64_linear m = {.w = rig_wide_input(g, w, nk),
                               .bias = c->bias ? rig_wide(g, bias, (size_t)c->n) : NULL,
                               .lora_a = c->rank ? rig_wide_input(g, a, ra) : NULL,
                               .lora_b = c->rank ? rig_wide_input(g, b, rb) : NULL,
                               .lora_scale = (double)1.7f,
                               .n = c->n,
                               .k = c->k,
                               .rank = c->rank};
    float *y = c->add ? rig_put(g, before, ry) : rig_room(g, ry);
    float *x_device = rig_put(g, x, rx), *u = c->rank ? rig_room(g, ru) : NULL;
    double *wide_x = rig_wide_input(g, x, rx), *u_want = rig_zeros(g, ru);
    double *want = rig_wide(g, before, ry), *u_got = NULL;
    g->ops->linear(g->d, y, u, x_device, &l, c->rows, c->add ? y : NULL);
    if (c->rank) {
        ref_f64_linear_inner(u_want, wide_x, &m, c->rows);
        rig_expect(g, TOL_LINEAR, "u", rig_get(g, u, ru), u_want, ru);
        u_got = rig_wide_input(g, rig_get(g, u, ru), ru);
    }
    ref_f64_linear_outer(want, wide_x, u_got, &m, c->rows, c->add);
    rig_expect(g, TOL_LINEAR, "y", rig_get(g, y, ry), want, ry);
    if (c->rank) { /* nobody keeps u */
        float *z = c->add ? rig_put(g, before, ry) : rig_room(g, ry);
        g->ops->linear(g->d, z, NULL, x_device, &l, c->rows, c->add ? z : NULL);
        rig_same(g, "y without u", rig_get(g, z, ry), rig_get(g, y, ry), ry * 4);
    }
    if (c->add) { /* what is added to lies elsewhere, and stays */
        float *base = rig_put(g, before, ry), *z = rig_room(g, ry);
        g->ops->linear(g->d, z, u, x_device, &l, c->rows, base);
        rig_same(g, "y beside its base", rig_get(g, z, ry), rig_get(g, y, ry), ry * 4);
        rig_same(g, "the base", rig_get(g, base, ry), before, ry * 4);
    }
    rig_clear(g);
}

static void check_linear(struct rig *g)
{
    static const int sizes[][2] = {{1, 1}, {17, 33}, {113, 70}, {48, 576}, {130, 65}};
    static const int ranks[] = {0, 1, 7, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof ranks / sizeof *ranks; j++)
            for (int flags = 0; flags < 4; flags++)
                check_linear_case(g, &(struct linear_case){.n = sizes[i][0],
                                                           .k = sizes[i][1],
                                                           .rank = ranks[j],
                                                           .rows = (int)(1 + 6 * j + i),
                                                           .bias = flags & 1,
                                                           .add = flags & 2});
}

/* Several matrices of one x, with and without branches and kept inner products: the bits of each
 * alone. */
static void check_linears(struct rig *g)
{
    enum { R = 19, K = 70, MOST_N = 113, MOST_RANK = 16 };
    static const int n[LINEARS_MOST] = {MOST_N, 17, 48}, ranks[LINEARS_MOST] = {7, 0, MOST_RANK};
    float *x = rig_put(g, rig_random(g, R * K, 1, 1), R * K);
    struct linear l[LINEARS_MOST];
    float *y[LINEARS_MOST], *u[LINEARS_MOST], *none[LINEARS_MOST] = {NULL};
    for (int i = 0; i < LINEARS_MOST; i++) {
        uint32_t seed = 10 * (uint32_t)(i + 1);
        float *w = rig_random(g, (size_t)n[i] * K, seed, 0.5f);
        float *a = rig_random(g, MOST_RANK * K, seed + 1, 0.5f);
        float *b = rig_random(g, MOST_N * MOST_RANK, seed + 2, 0.5f);
        float *bias = rig_random(g, MOST_N, seed + 3, 1);
        l[i] = (struct linear){.w = rig_weight(g, w, n[i], K),
                               .bias = i ? rig_put(g, bias, (size_t)n[i]) : NULL,
                               .lora_a = ranks[i] ? rig_weight(g, a, ranks[i], K) : NULL,
                               .lora_b = ranks[i] ? rig_weight(g, b, n[i], ranks[i]) : NULL,
                               .lora_scale = 1.7f,
                               .n = n[i],
                               .k = K,
                               .rank = ranks[i]};
        y[i] = rig_room(g, (size_t)(R * n[i]));
        u[i] = ranks[i] ? rig_room(g, (size_t)(R * ranks[i])) : NULL;
    }
    for (int count = 1; count <= LINEARS_MOST; count++) {
        for (int kept = 0; kept < 2; kept++) {
            g->ops->linears(g->d, y, kept ? u : none, x, l, count, R);
            for (int i = 0; i < count; i++) {
                size_t values = (size_t)(R * n[i]), inner = (size_t)(R * ranks[i]);
                float *alone = rig_room(g, values), *u_alone = rig_room(g, inner);
                g->ops->linear(g->d, alone, ranks[i] ? u_alone : NULL, x, &l[i], R, NULL);
                rig_same(g, "y", rig_get(g, y[i], values), rig_get(g, alone, values), values * 4);
                if (kept && ranks[i])
                    rig_same(g, "u", rig_get(g, u[i], inner), rig_get(g, u_alone, inner),
                             inner * 4);
            }
        }
    }
    rig_clear(g);
}

/* --- heads --- */

/* got is a bf16 rounding of a value within tolerance of want: half a unit of bf16 is allowed on top
 * of it, no more. */
static void expect_rounded(struct rig *g, enum tolerance_of tolerance, const char *what, float *got,
                           const double *want, size_t n)
{
    float *nearest = rig_host(g, n * sizeof *nearest);
    for (size_t i = 0; i < n; i++) {
        nearest[i] = (float)want[i];
        if (!g->bf16) {
            nearest[i] = got[i];
            continue;
        }
        assert_true(ref_f32_round_bf16(got[i]) == got[i]);
        int exponent;
        (void)frexp(fabs(want[i]) > fabs((double)got[i]) ? want[i] : (double)got[i], &exponent);
        double half = ldexp(1, exponent - 9), e = (double)got[i] - want[i];
        double beyond = fabs(e) <= half ? 0 : e > 0 ? e - half : e + half;
        nearest[i] = (float)(want[i] + beyond);
        if (beyond == 0)
            nearest[i] = (float)want[i];
    }
    rig_expect(g, tolerance, what, nearest, want, n);
}

static void check_qk_rope_case(struct rig *g, struct attn_dims dims, bool gains)
{
    enum { R = 9, POSITIONS = 40, ROWS = 23 };
    static const int positions[R] = {0, 1, 2, 39, 7, 7, 20, 5, 38};
    static const int rows[R] = {4, 0, 22, 9, 8, 7, 15, 16, 2};
    int D = dims.head_dim, half = D / 2;
    size_t nq = (size_t)(R * dims.heads * D), nk = (size_t)(R * dims.kv_heads * D);
    size_t cache = (size_t)(ROWS * dims.kv_heads * D), angles = (size_t)(POSITIONS * half);
    g->label = attention_label(dims, gains ? ", norm" : "");
    float *q = rig_random(g, nq, 1, 1), *k = rig_random(g, nk, 2, 1), *v = rig_random(g, nk, 3, 1);
    float *q_gain = rig_random(g, (size_t)D, 4, 1), *k_gain = rig_random(g, (size_t)D, 5, 1);
    float *cosine = rig_random(g, angles, 6, 1), *sine = rig_random(g, angles, 7, 1);
    for (size_t i = 0; i < angles; i++) {
        sine[i] = sinf(3 * cosine[i]);
        cosine[i] = cosf(3 * cosine[i]);
    }
    dims.cache_rows = ROWS;
    float *empty = rig_random(g, cache, 8, 1); /* rows that must stay */
    rig_round(g, empty, cache);
    float *q_out = rig_room(g, nq);
    void *k_cache = rig_keys(g, empty, dims), *v_cache = rig_values(g, empty, dims);
    g->ops->qk_rope(g->d, q_out, k_cache, v_cache, rig_put(g, q, nq), rig_put(g, k, nk),
                    rig_put(g, v, nk), gains ? rig_put(g, q_gain, (size_t)D) : NULL,
                    gains ? rig_put(g, k_gain, (size_t)D) : NULL, 1e-6f, rig_put(g, cosine, angles),
                    rig_put(g, sine, angles), positions, rows, dims, R);
    double *q_want = rig_zeros(g, nq), *k_want = rig_wide(g, empty, cache);
    double *v_want = rig_wide(g, empty, cache);
    ref_f64_qk_rope(q_want, k_want, v_want, rig_wide(g, q, nq), rig_wide(g, k, nk),
                    rig_wide(g, v, nk), gains ? rig_wide(g, q_gain, (size_t)D) : NULL,
                    gains ? rig_wide(g, k_gain, (size_t)D) : NULL, (double)1e-6f,
                    rig_wide(g, cosine, angles), rig_wide(g, sine, angles), positions, rows, dims,
                    R, false);
    expect_rounded(g, TOL_ROPE, "q", rig_get(g, q_out, nq), q_want, nq);
    expect_rounded(g, TOL_ROPE, "k", rig_get_keys(g, k_cache, dims), k_want, cache);
    for (size_t i = 0; g->bf16 && i < cache; i++)
        v_want[i] = ref_f64_round_bf16(v_want[i]); /* a copy: exact */
    rig_expect(g, TOL_EXACT, "v", rig_get_values(g, v_cache, dims), v_want, cache);
    rig_clear(g);
}

static void check_qk_rope(struct rig *g)
{
    for (int i = 0; i < ATTENTION_HEADS; i++)
        for (int gains = 0; gains < 2; gains++)
            check_qk_rope_case(g, attention_heads[i], gains);
}

/* --- SwiGLU --- */

static void check_swiglu(struct rig *g)
{
    static const int sizes[][2] = {{1, 1}, {3, 7}, {5, 16}, {4, 77}, {9, 192}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int R = sizes[i][0], I = sizes[i][1];
        size_t n = (size_t)(R * I);
        float *gate = rig_random(g, n, 1, 2), *up = rig_random(g, n, 2, 1);
        float *y = rig_room(g, n);
        double *want = rig_zeros(g, n);
        g->ops->swiglu(g->d, y, rig_put(g, gate, n), rig_put(g, up, n), R, I);
        ref_f64_swiglu(want, rig_wide(g, gate, n), rig_wide(g, up, n), n);
        rig_expect(g, TOL_SWIGLU, "y", rig_get(g, y, n), want, n);
        rig_clear(g);
    }
}

/* Over the whole range of the exponential, each element by itself: relative where the result is a
 * normal number, absolute below. */
static void check_swiglu_range(struct rig *g)
{
    enum { N = 4001 };
    float *gate = rig_host(g, N * sizeof *gate), *up = rig_host(g, N * sizeof *up);
    for (int i = 0; i < N; i++) {
        gate[i] = (float)(i - N / 2) * 0.0503f; /* ±100.6 */
        up[i] = 1;
    }
    float *y = rig_room(g, N);
    double want[N];
    g->ops->swiglu(g->d, y, rig_put(g, gate, N), rig_put(g, up, N), 1, N);
    ref_f64_swiglu(want, rig_wide(g, gate, N), rig_wide(g, up, N), N);
    float *got = rig_get(g, y, N);
    for (int i = 0; i < N; i++)
        if (!(fabs((double)got[i] - want[i]) <= 4e-7 * fabs(want[i]) + 2e-36))
            fail_msg("%s: silu(%.9g) is %.9g, expected %.9g", g->d->isa, (double)gate[i],
                     (double)got[i], want[i]);
    rig_clear(g);
}

/* --- the vocabulary --- */

struct vocabulary { /* one random head and its two views */
    const weight *w;
    struct ref_f64_head ref;
    float *hidden;
    double *wide;
    int rows;
};

static struct vocabulary vocabulary(struct rig *g, int vocab, int hidden, int rows)
{
    size_t n = (size_t)vocab * (size_t)hidden, nx = (size_t)(rows * hidden);
    float *w = rig_random(g, n, 11, 0.3f), *x = rig_random(g, nx, 12, 1);
    rig_round(g, w, n);
    rig_round(g, x, nx); /* the reference need not round again */
    return (struct vocabulary){.w = rig_weight(g, w, vocab, hidden),
                               .ref = {rig_wide(g, w, n), vocab, hidden, false},
                               .hidden = rig_put(g, x, nx),
                               .wide = rig_wide(g, x, nx),
                               .rows = rows};
}

static const int vocab_sizes[][3] = {{1, 5, 2}, {3, 33, 4}, {331, 70, 133}, {2501, 40, 9}};

static void check_logprob(struct rig *g)
{
    static const float temperatures[] = {1.0f, 0.7f, 1.9f};
    for (size_t i = 0; i < 4; i++) {
        struct vocabulary v =
            vocabulary(g, vocab_sizes[i][0], vocab_sizes[i][1], vocab_sizes[i][2]);
        size_t R = (size_t)v.rows;
        float logp[160], entropy[160], logz[160], only[160];
        double logp_want[160], entropy_want[160], logz_want[160];
        int *targets = rig_ids(g, R, v.ref.vocab, 5);
        targets[0] = v.ref.vocab - 1;
        for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
            g->ops->logprob(g->d, logp, entropy, logz, v.hidden, v.w, targets, temperatures[t],
                            v.rows);
            g->ops->logprob(g->d, only, NULL, NULL, v.hidden, v.w, targets, temperatures[t],
                            v.rows);
            ref_f64_logprob(logp_want, entropy_want, logz_want, v.wide, &v.ref, targets,
                            (double)temperatures[t], v.rows);
            if (v.ref.vocab == 1) { /* certain: exactly 0 */
                assert_true(logp[0] == 0 && entropy[0] == 0);
                continue;
            }
            rig_expect(g, TOL_LOGPROB, "logp", logp, logp_want, R);
            rig_expect(g, TOL_ENTROPY, "entropy", entropy, entropy_want, R);
            rig_expect(g, TOL_LOGPROB, "logz", logz, logz_want, R);
            rig_same(g, "logp alone", only, logp, R * 4);
        }
        rig_clear(g);
    }
}

static void check_logits(struct rig *g)
{
    for (size_t i = 0; i < 4; i++) {
        struct vocabulary v =
            vocabulary(g, vocab_sizes[i][0], vocab_sizes[i][1], vocab_sizes[i][2]);
        size_t n = (size_t)v.rows * (size_t)v.ref.vocab;
        float *y = rig_room(g, n);
        double *want = rig_zeros(g, n);
        g->ops->logits(g->d, y, v.hidden, v.w, v.rows);
        ref_f64_logits(want, v.wide, &v.ref, v.rows);
        rig_expect(g, TOL_LOGITS, "logits", rig_get(g, y, n), want, n);
        rig_clear(g);
    }
}

/* All logits far below zero: exp(0 − log Z) of an absent lane is infinite, and infinity times its
 * zero must not become the entropy. */
static void check_low_logits(struct rig *g)
{
    enum { V = 19 };
    float w[V], x = -1;
    for (int i = 0; i < V; i++)
        w[i] = 200 + (float)(i % 5) / 2;
    double wide_w[V], wide_x = -1, logp_want, entropy_want, logz_want;
    for (int i = 0; i < V; i++)
        wide_w[i] = (double)w[i];
    struct ref_f64_head head = {wide_w, V, 1, g->bf16};
    int target = 3;
    float logp, entropy, logz;
    g->ops->logprob(g->d, &logp, &entropy, &logz, rig_put(g, &x, 1), rig_weight(g, w, V, 1),
                    &target, 1, 1);
    ref_f64_logprob(&logp_want, &entropy_want, &logz_want, &wide_x, &head, &target, 1, 1);
    assert_true(fabs((double)logz - logz_want) < 2e-5);
    assert_true(fabs((double)logp - logp_want) < 4e-5);
    assert_true(fabs((double)entropy - entropy_want) < 4e-5);
    rig_clear(g);
}

/* --- vectors and the optimizer --- */

static const size_t vector_sizes[] = {1, 15, 16, 17, 100, 65536, 65537, 200003};

static void check_vectors(struct rig *g)
{
    for (size_t i = 0; i < sizeof vector_sizes / sizeof *vector_sizes; i++) {
        size_t n = vector_sizes[i];
        float *x = rig_random(g, n, 1, 1), *y = rig_random(g, n, 2, 1);
        float *a = rig_put(g, x, n), *b = rig_put(g, y, n);
        float *sum = rig_host(g, n * sizeof *sum), *product = rig_host(g, n * sizeof *product);
        memcpy(sum, x, n * sizeof *sum);
        memcpy(product, y, n * sizeof *product);
        ref_f32_add(sum, y, n); /* exact: one operation has one right result in float */
        ref_f32_scale(product, 0.37f, n);
        g->ops->add(g->d, a, b, n);
        g->ops->scale(g->d, b, 0.37f, n);
        rig_same(g, "add", rig_get(g, a, n), sum, n * sizeof *sum);
        rig_same(g, "scale", rig_get(g, b, n), product, n * sizeof *product);
        double squares = g->ops->sum_squares(g->d, rig_put(g, x, n), n);
        double want = ref_f32_sum_squares(x, n);
        if (!(fabs(squares - want) <= tolerances[TOL_SUM_SQUARES].f32 * want))
            fail_msg("%s: sum of squares of %zu is %.17g, expected %.17g", g->d->isa, n, squares,
                     want);
        g->ops->copy(g->d, b, a, n * sizeof *a);
        rig_same(g, "copy", rig_get(g, b, n), sum, n * sizeof *sum);
        g->ops->zero(g->d, b, n * sizeof *b);
        memset(product, 0, n * sizeof *product);
        rig_same(g, "zero", rig_get(g, b, n), product, n * sizeof *product);
        rig_clear(g);
    }
}

static void check_adamw(struct rig *g)
{
    static const size_t sizes[] = {1, 77, 65573};
    for (size_t i = 0; i < 3; i++) {
        size_t n = sizes[i];
        float *p = rig_random(g, n, 1, 1);
        float *param = rig_put(g, p, n), *zero = rig_room(g, n), *zero2 = rig_room(g, n);
        g->ops->zero(g->d, zero, n * sizeof *zero);
        g->ops->zero(g->d, zero2, n * sizeof *zero2);
        double *want = rig_wide(g, p, n), *m = rig_zeros(g, n), *v = rig_zeros(g, n);
        struct adamw_params params = {
            .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1};
        for (int step = 1; step <= 5; step++) {
            float *grad = rig_random(g, n, 10 + (uint32_t)step, 1);
            params.step = step;
            g->ops->adamw(g->d, param, zero, zero2, rig_put(g, grad, n), &params, n);
            ref_f64_adamw(want, m, v, rig_wide(g, grad, n), &params, n);
        }
        rig_expect(g, TOL_ADAMW, "parameter", rig_get(g, param, n), want, n);
        rig_expect(g, TOL_ADAMW, "exp_avg", rig_get(g, zero, n), m, n);
        rig_expect(g, TOL_ADAMW, "exp_avg_sq", rig_get(g, zero2, n), v, n);
        rig_clear(g);
    }
}

#define EACH(name, check)                                                                          \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each(check, 2);                                                                        \
    }
EACH(embedding, check_embedding)
EACH(rmsnorm, check_rmsnorm)
EACH(linear, check_linear)
EACH(linears, check_linears)
EACH(qk_rope, check_qk_rope)
EACH(attention, attention_check_forward)
EACH(attention_sharing, attention_check_sharing)
EACH(attention_extreme, attention_check_extreme)
EACH(swiglu, check_swiglu)
EACH(swiglu_range, check_swiglu_range)
EACH(logprob, check_logprob)
EACH(logits, check_logits)
EACH(low_logits, check_low_logits)
EACH(vectors, check_vectors)
EACH(adamw, check_adamw)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linears),
        cmocka_unit_test(test_qk_rope),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_sharing),
        cmocka_unit_test(test_attention_extreme),
        cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_swiglu_range),
        cmocka_unit_test(test_logprob),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_low_logits),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
