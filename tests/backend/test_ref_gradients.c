/* test_ref_gradients.c: the scalar reference itself. Every backward function in double against
 * central finite differences of its forward function; the reference in float against the one in
 * double; its bf16 mode against rounding by bits.
 *
 * For an operation y = f(x) and fixed random weights c, the gradient of Σ c·f(x) with respect to x
 * is the backward function's result for dy = c. With h = 1e-5 the difference quotient is off by
 * about h² and by 1e-16/h: some 1e-10, far under what a wrong term would make. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "backend/ref/ref.h"

static const double step = 1e-5, bound = 1e-7;

static double draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(int32_t)*state * 0x1p-31;
}

static void fill(double *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = draw(&seed);
}

static double weighted(const double *c, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += c[i] * y[i];
    return sum;
}

/* The gradient of loss(context) with respect to x[n], which context reads, against `got`. */
static void check(const char *what, double (*loss)(void *context), void *context, double *x,
                  const double *got, size_t n)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double keep = x[i];
        x[i] = keep + step;
        double up = loss(context);
        x[i] = keep - step;
        double down = loss(context);
        x[i] = keep;
        double want = (up - down) / (2 * step);
        error += (got[i] - want) * (got[i] - want);
        norm += want * want;
    }
    assert_true(norm > 0);
    if (!(sqrt(error / norm) < bound))
        fail_msg("%s: relative L2 error %.3g", what, sqrt(error / norm));
}

/* --- rmsnorm --- */

enum { R = 3, H = 11 };
static const double norm_eps = 0.01; /* large enough to matter */

struct norm {
    double x[R * H], gain[H], c[R * H];
};

static double norm_loss(void *context)
{
    struct norm *t = context;
    double y[R * H];
    ref_f64_rmsnorm(y, NULL, t->x, t->gain, norm_eps, R, H);
    return weighted(t->c, y, R * H);
}

static void test_rmsnorm(void **state)
{
    (void)state;
    struct norm t;
    double y[R * H], inv[R], dx[R * H];
    fill(t.x, R * H, 1);
    fill(t.gain, H, 2);
    fill(t.c, R * H, 3);
    memset(dx, 0, sizeof dx);
    ref_f64_rmsnorm(y, inv, t.x, t.gain, norm_eps, R, H);
    ref_f64_rmsnorm_backward(dx, t.c, t.x, inv, t.gain, R, H);
    check("dx", norm_loss, &t, t.x, dx, R * H);
    double dgain[H] = {0};
    ref_f64_gain_gradient(dgain, t.c, t.x, inv, R, H);
    check("dgain", norm_loss, &t, t.gain, dgain, H);
    double twice[R * H];
    memcpy(twice, dx, sizeof twice);
    ref_f64_rmsnorm_backward(twice, t.c, t.x, inv, t.gain, R, H); /* it adds */
    for (int i = 0; i < R * H; i++)
        assert_true(fabs(twice[i] - 2 * dx[i]) < 1e-15);
}

/* --- linear and its branch --- */

enum { N = 7, K = 5, RANK = 3 };

struct linear_test {
    double x[R * K], w[N * K], bias[N], a[RANK * K], b[N * RANK], c[R * N];
    struct ref_f64_linear l;
};

static double linear_loss(void *context)
{
    struct linear_test *t = context;
    double y[R * N], u[R * RANK];
    ref_f64_linear(y, u, t->x, &t->l, R, false);
    return weighted(t->c, y, R * N);
}

static void test_linear(void **state)
{
    (void)state;
    for (int rank = 0; rank <= RANK; rank += RANK) {
        struct linear_test t;
        fill(t.x, R * K, 1);
        fill(t.w, N * K, 2);
        fill(t.bias, N, 3);
        fill(t.a, RANK * K, 4);
        fill(t.b, N * RANK, 5);
        fill(t.c, R * N, 6);
        t.l = (struct ref_f64_linear){.w = t.w,
                                      .bias = t.bias,
                                      .lora_a = rank ? t.a : NULL,
                                      .lora_b = rank ? t.b : NULL,
                                      .lora_scale = 1.3,
                                      .n = N,
                                      .k = K,
                                      .rank = rank};
        double y[R * N], u[R * RANK], dx[R * K], du[R * RANK], da[RANK * K], db[N * RANK];
        ref_f64_linear(y, u, t.x, &t.l, R, false);
        ref_f64_linear_backward(dx, du, t.c, &t.l, R, false);
        check("dx", linear_loss, &t, t.x, dx, R * K);
        double dw[N * K] = {0}, dbias[N] = {0};
        ref_f64_weight_gradient(dw, t.c, t.x, N, K, R);
        ref_f64_bias_gradient(dbias, t.c, N, R);
        check("dw", linear_loss, &t, t.w, dw, N * K);
        check("dbias", linear_loss, &t, t.bias, dbias, N);
        if (rank) {
            ref_f64_lora_gradient(da, db, t.c, du, t.x, u, 1.3, N, K, RANK, R);
            check("da", linear_loss, &t, t.a, da, RANK * K);
            check("db", linear_loss, &t, t.b, db, N * RANK);
        }
        double more[R * K], sum[R * N]; /* add */
        fill(more, R * K, 7);
        fill(sum, R * N, 8);
        double before = more[4], y_before = sum[4];
        ref_f64_linear_backward(more, du, t.c, &t.l, R, true);
        ref_f64_linear(sum, u, t.x, &t.l, R, true);
        assert_true(fabs(more[4] - before - dx[4]) < 1e-15);
        assert_true(fabs(sum[4] - y_before - y[4]) < 1e-15);
    }
}

/* --- norm of heads and rotation --- */

enum { HEADS = 4, KV_HEADS = 2, D = 6, POSITIONS = 9, ROWS = 5 };
static const struct attn_dims dims = {HEADS, KV_HEADS, D, 20};
static const int positions[R] = {0, 8, 3}, kv_rows[R] = {4, 0, 2};

struct rope {
    double q[R * HEADS * D], k[R * KV_HEADS * D], v[R * KV_HEADS * D], q_gain[D], k_gain[D];
    double cosine[POSITIONS * D / 2], sine[POSITIONS * D / 2];
    double c_q[R * HEADS * D], c_k[R * KV_HEADS * D];
    bool gains;
};

static double rope_loss(void *context)
{
    struct rope *t = context;
    double q[R * HEADS * D], k[ROWS * KV_HEADS * D], v[ROWS * KV_HEADS * D], sum = 0;
    ref_f64_qk_rope(q, k, v, t->q, t->k, t->v, t->gains ? t->q_gain : NULL,
                    t->gains ? t->k_gain : NULL, norm_eps, t->cosine, t->sine, positions, kv_rows,
                    dims, R, false);
    for (int r = 0; r < R; r++)
        sum += weighted(t->c_k + r * KV_HEADS * D, k + kv_rows[r] * KV_HEADS * D, KV_HEADS * D);
    return sum + weighted(t->c_q, q, R * HEADS * D);
}

static void test_qk_rope(void **state)
{
    (void)state;
    for (int gains = 0; gains < 2; gains++) {
        struct rope t = {.gains = gains};
        fill(t.q, R * HEADS * D, 1);
        fill(t.k, R * KV_HEADS * D, 2);
        fill(t.v, R * KV_HEADS * D, 3);
        fill(t.q_gain, D, 4);
        fill(t.k_gain, D, 5);
        fill(t.c_q, R * HEADS * D, 6);
        fill(t.c_k, R * KV_HEADS * D, 7);
        for (int i = 0; i < POSITIONS * D / 2; i++) {
            t.cosine[i] = cos(0.7 * i);
            t.sine[i] = sin(0.7 * i);
        }
        double dq[R * HEADS * D], dk[R * KV_HEADS * D];
        memcpy(dq, t.c_q, sizeof dq);
        memcpy(dk, t.c_k, sizeof dk);
        ref_f64_qk_rope_backward(dq, dk, t.q, t.k, gains ? t.q_gain : NULL, gains ? t.k_gain : NULL,
                                 norm_eps, t.cosine, t.sine, positions, dims, R);
        check("dq", rope_loss, &t, t.q, dq, R * HEADS * D);
        check("dk", rope_loss, &t, t.k, dk, R * KV_HEADS * D);
        if (!gains)
            continue;
        double dq_gain[D] = {0}, dk_gain[D] = {0};
        ref_f64_qk_gain_gradient(dq_gain, dk_gain, t.c_q, t.c_k, t.q, t.k, norm_eps, t.cosine,
                                 t.sine, positions, dims, R);
        check("dq_gain", rope_loss, &t, t.q_gain, dq_gain, D);
        check("dk_gain", rope_loss, &t, t.k_gain, dk_gain, D);
    }
}

/* The angle between positions is all that scores see: rotating query and key by the same number of
 * positions more leaves their product. */
static void test_rotation(void **state)
{
    (void)state;
    enum { ONE = 1 };
    const struct attn_dims one = {1, 1, D, 0};
    double q[D], k[D], cosine[POSITIONS * D / 2], sine[POSITIONS * D / 2], product[2];
    fill(q, D, 1);
    fill(k, D, 2);
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < D / 2; i++) {
            cosine[p * D / 2 + i] = cos(p * pow(10, -i));
            sine[p * D / 2 + i] = sin(p * pow(10, -i));
        }
    for (int shift = 0; shift < 2; shift++) {
        int q_at = 5 + 3 * shift, k_at = 2 + 3 * shift, row = 0;
        double q_out[D], k_out[D], unused[D], v[D] = {0};
        ref_f64_qk_rope(q_out, unused, v, q, q, v, NULL, NULL, 0, cosine, sine, &q_at, &row, one,
                        ONE, false);
        ref_f64_qk_rope(unused, k_out, v, k, k, v, NULL, NULL, 0, cosine, sine, &k_at, &row, one,
                        ONE, false);
        product[shift] = weighted(q_out, k_out, D);
    }
    assert_true(fabs(product[0] - product[1]) < 1e-14);
}

/* --- attention --- */

enum { Q_ROWS = 8, CACHE = 20 };
static const struct attn_span spans[] = {
    {.q_row = 0, .n_q = 3, .own_row = 1},
    {.q_row = 3, .n_q = 3, .prefix_row = 1, .prefix_len = 3, .own_row = 10},
    {.q_row = 6, .n_q = 2, .prefix_row = 1, .prefix_len = 2, .own_row = 15}};
enum { SPANS = 3 };

struct attention_test {
    double q[Q_ROWS * HEADS * D], k[CACHE * KV_HEADS * D], v[CACHE * KV_HEADS * D];
    double c[Q_ROWS * HEADS * D];
    int only; /* the span whose rows count, or -1: all */
};

static double attention_loss(void *context)
{
    struct attention_test *t = context;
    double out[Q_ROWS * HEADS * D], sum = 0;
    ref_f64_attention(out, NULL, NULL, t->q, t->k, t->v, spans, SPANS, dims, false);
    for (int s = 0; s < SPANS; s++) {
        int at = spans[s].q_row * HEADS * D, n = spans[s].n_q * HEADS * D;
        if (t->only < 0 || t->only == s)
            sum += weighted(t->c + at, out + at, (size_t)n);
    }
    return sum;
}

static void test_attention(void **state)
{
    (void)state;
    struct attention_test t = {.only = -1};
    fill(t.q, Q_ROWS * HEADS * D, 1);
    fill(t.k, CACHE * KV_HEADS * D, 2);
    fill(t.v, CACHE * KV_HEADS * D, 3);
    fill(t.c, Q_ROWS * HEADS * D, 4);
    double dq[Q_ROWS * HEADS * D], dk[Q_ROWS * KV_HEADS * D], dv[Q_ROWS * KV_HEADS * D];
    double dk_prefix[SPANS][3 * KV_HEADS * D], dv_prefix[SPANS][3 * KV_HEADS * D];
    double *dk_list[] = {NULL, dk_prefix[1], dk_prefix[2]};
    double *dv_list[] = {NULL, dv_prefix[1], dv_prefix[2]};
    double out[Q_ROWS * HEADS * D];
    ref_f64_attention(out, NULL, NULL, t.q, t.k, t.v, spans, SPANS, dims, false);
    ref_f64_attention_backward(
        &(struct ref_f64_attention_gradients){dq, dk, dv, dk_list, dv_list}, NULL,
        &(struct ref_f64_attention_inputs){t.c, out, t.q, t.k, t.v, false}, spans, SPANS, dims);
    check("dq", attention_loss, &t, t.q, dq, Q_ROWS * HEADS * D);
    for (int s = 0; s < SPANS; s++) { /* what each span does to its own keys and to the prefix */
        const struct attn_span *span = &spans[s];
        size_t own = (size_t)(span->own_row * KV_HEADS * D), n = (size_t)(span->n_q * KV_HEADS * D);
        size_t row = (size_t)(span->q_row * KV_HEADS * D);
        size_t prefix = (size_t)(span->prefix_row * KV_HEADS * D);
        size_t shared = (size_t)(span->prefix_len * KV_HEADS * D);
        t.only = s;
        check("dk", attention_loss, &t, t.k + own, dk + row, n);
        check("dv", attention_loss, &t, t.v + own, dv + row, n);
        if (shared) {
            check("prefix dk", attention_loss, &t, t.k + prefix, dk_list[s], shared);
            check("prefix dv", attention_loss, &t, t.v + prefix, dv_list[s], shared);
        }
    }
}

/* --- SwiGLU --- */

struct swiglu_test {
    double gate[H], up[H], c[H];
};

static double swiglu_loss(void *context)
{
    struct swiglu_test *t = context;
    double y[H];
    ref_f64_swiglu(y, t->gate, t->up, H);
    return weighted(t->c, y, H);
}

static void test_swiglu(void **state)
{
    (void)state;
    struct swiglu_test t;
    double dgate[H], dup[H];
    fill(t.gate, H, 1);
    fill(t.up, H, 2);
    fill(t.c, H, 3);
    for (int i = 0; i < H; i++)
        t.gate[i] *= 4;
    ref_f64_swiglu_backward(dgate, dup, t.c, t.gate, t.up, H);
    check("dgate", swiglu_loss, &t, t.gate, dgate, H);
    check("dup", swiglu_loss, &t, t.up, dup, H);
    ref_f64_swiglu_backward(t.gate, t.up, t.c, t.gate, t.up, H); /* in place */
    assert_memory_equal(t.gate, dgate, sizeof dgate);
    assert_memory_equal(t.up, dup, sizeof dup);
}

/* --- the vocabulary --- */

enum { VOCAB = 13, HIDDEN = 5 };

struct head_test {
    double w[VOCAB * HIDDEN], x[R * HIDDEN], c[R], temperature;
    int targets[R];
};

static struct ref_f64_head head_of(const struct head_test *t)
{
    return (struct ref_f64_head){t->w, VOCAB, HIDDEN, false};
}

static double logprob_loss(void *context)
{
    struct head_test *t = context;
    struct ref_f64_head head = head_of(t);
    double logp[R];
    ref_f64_logprob(logp, NULL, NULL, t->x, &head, t->targets, t->temperature, R);
    return weighted(t->c, logp, R);
}

static void fill_head(struct head_test *t)
{
    fill(t->w, VOCAB * HIDDEN, 1);
    fill(t->x, R * HIDDEN, 2);
    fill(t->c, R, 3);
    t->temperature = 0.7;
    for (int r = 0; r < R; r++)
        t->targets[r] = r * 6;
}

static void test_logprob(void **state)
{
    (void)state;
    struct head_test t;
    fill_head(&t);
    struct ref_f64_head head = head_of(&t);
    double dx[R * HIDDEN];
    ref_f64_logprob_backward(dx, t.x, &head, t.targets, t.c, t.temperature, R);
    check("dhidden", logprob_loss, &t, t.x, dx, R * HIDDEN);
    double dhead[VOCAB * HIDDEN] = {0};
    t.temperature = 1; /* the head is trained at no other */
    ref_f64_head_gradient(dhead, t.x, &head, t.targets, t.c, R);
    check("dhead", logprob_loss, &t, t.w, dhead, VOCAB * HIDDEN);
}

struct embedding_test {
    double table[VOCAB * HIDDEN], c[R * HIDDEN];
};
static const int embedded[R] = {4, 12, 4}; /* one id twice */

static double embedding_loss(void *context)
{
    struct embedding_test *t = context;
    double x[R * HIDDEN];
    ref_f64_embedding(x, embedded, t->table, R, HIDDEN, false);
    return weighted(t->c, x, R * HIDDEN);
}

static void test_embedding(void **state)
{
    (void)state;
    struct embedding_test t;
    double dtable[VOCAB * HIDDEN] = {0};
    fill(t.table, VOCAB * HIDDEN, 1);
    fill(t.c, R * HIDDEN, 2);
    ref_f64_embedding_gradient(dtable, embedded, t.c, HIDDEN, R);
    check("dtable", embedding_loss, &t, t.table, dtable, VOCAB * HIDDEN);
}

/* Probabilities add up to 1, the entropy is their −Σ p·log p, sampling is their inverse CDF. */
static void test_distribution(void **state)
{
    (void)state;
    struct head_test t;
    fill_head(&t);
    struct ref_f64_head head = head_of(&t);
    double total = 0, want = 0, entropy, logp, cumulative = 0;
    for (int v = 0; v < VOCAB; v++) {
        ref_f64_logprob(&logp, &entropy, NULL, t.x, &head, &v, t.temperature, 1);
        total += exp(logp);
        want -= exp(logp) * logp;
        int id;
        double u = cumulative + exp(logp) / 2, got;
        ref_f64_next_token(&id, &got, t.x, &head, &u, t.temperature, NULL, 1);
        assert_int_equal(id, v);
        assert_true(got == logp);
        cumulative += exp(logp);
    }
    assert_true(fabs(total - 1) < 1e-14);
    assert_true(fabs(entropy - want) < 1e-14);
}

/* --- float and bf16 --- */

/* The float build is the same formula: spot checks that it was not left behind. */
static void test_float(void **state)
{
    (void)state;
    struct swiglu_test t;
    float gate[H], up[H], y[H], dgate[H], dup[H], c[H];
    double wide[H], wide_dgate[H], wide_dup[H];
    fill(t.gate, H, 1);
    fill(t.up, H, 2);
    fill(t.c, H, 3);
    for (int i = 0; i < H; i++) {
        gate[i] = (float)t.gate[i];
        up[i] = (float)t.up[i];
        c[i] = (float)t.c[i];
    }
    ref_f32_swiglu(y, gate, up, H);
    ref_f64_swiglu(wide, t.gate, t.up, H);
    ref_f32_swiglu_backward(dgate, dup, c, gate, up, H);
    ref_f64_swiglu_backward(wide_dgate, wide_dup, t.c, t.gate, t.up, H);
    for (int i = 0; i < H; i++) {
        assert_true(fabs((double)y[i] - wide[i]) < 1e-6);
        assert_true(fabs((double)dgate[i] - wide_dgate[i]) < 1e-6);
        assert_true(fabs((double)dup[i] - wide_dup[i]) < 1e-6);
    }
}

/* Every bf16 is its own rounding; between two neighbours the nearer wins, halfway the even one. */
static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t b = 0x0080; b < 0x7f7f; b++) {
        uint32_t bits = b << 16, next_bits = (b + 1) << 16;
        float low, high;
        memcpy(&low, &bits, sizeof low);
        memcpy(&high, &next_bits, sizeof high);
        float middle = low + (high - low) / 2, even = b & 1 ? high : low;
        assert_true(ref_f32_round_bf16(low) == low);
        assert_true(ref_f32_round_bf16(middle) == even);
        assert_true(ref_f32_round_bf16(nextafterf(middle, 0)) == low);
        assert_true(ref_f32_round_bf16(-nextafterf(middle, INFINITY)) == -high);
        assert_true(ref_f64_round_bf16((double)middle) == (double)even);
    }
    assert_true(isnan(ref_f64_round_bf16((double)NAN)));
}

/* The flag rounds what goes into products and nothing else. */
static void test_bf16_flag(void **state)
{
    (void)state;
    struct linear_test t;
    double y[R * N], u[R * RANK], want[R * N], rounded_u[R * RANK];
    fill(t.x, R * K, 1);
    fill(t.w, N * K, 2);
    fill(t.bias, N, 3);
    fill(t.a, RANK * K, 4);
    fill(t.b, N * RANK, 5);
    t.l = (struct ref_f64_linear){t.w, t.bias, t.a, t.b, 1.3, N, K, RANK, true};
    ref_f64_linear(y, u, t.x, &t.l, R, false);
    double *const inputs[] = {t.x, t.w, t.a, t.b};
    const int sizes[] = {R * K, N * K, RANK * K, N * RANK};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < sizes[i]; j++)
            inputs[i][j] = ref_f64_round_bf16(inputs[i][j]);
    t.l.bf16 = false;
    ref_f64_linear_inner(rounded_u, t.x, &t.l, R);
    assert_memory_equal(u, rounded_u, sizeof u); /* u is kept as it is, rounded where it is used */
    for (int i = 0; i < R * RANK; i++)
        rounded_u[i] = ref_f64_round_bf16(rounded_u[i]);
    ref_f64_linear_outer(want, t.x, rounded_u, &t.l, R, false);
    assert_memory_equal(y, want, sizeof y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmsnorm),   cmocka_unit_test(test_linear),
        cmocka_unit_test(test_qk_rope),   cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_logprob),   cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_float),     cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_bf16_flag), cmocka_unit_test(test_embedding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
