/* ops_body.h: the row kernels, written once on vec.h's sixteen lanes; see ops.h. Included by the
 * three ops_*.c files only, each of which defines OPS_TABLE.
 *
 * Every sum has one order that depends on nothing but the row itself: lanes by index modulo 16,
 * ascending within a lane, then v_sum's tree. */
#include <math.h>
#include <string.h>
#include "backend/cpu/ops.h"
#include "backend/cpu/vec.h"

/* Loops over n elements: BODY sees `i` and `m` (lanes in use); LOAD/STORE pick full or masked. */
#define FOR_LANES(n) for (int i = 0, m; m = (n)-i < LANES ? (n)-i : LANES, i < (n); i += LANES)
static inline v16 load_lanes(const float *p, int m)
{
    return m == LANES ? v_load(p) : v_load_n(p, m);
}
static inline void store_lanes(float *p, v16 a, int m)
{
    if (m == LANES)
        v_store(p, a);
    else
        v_store_n(p, a, m);
}

/* The first m lanes; zero beyond. What was computed in absent lanes may be anything: exp(0 − log Z)
 * is infinite where all logits are low. */
static inline v16 first_lanes(v16 a, int m)
{
    float lanes[LANES];
    if (m == LANES)
        return a;
    v_store(lanes, a);
    return v_load_n(lanes, m);
}

/* --- norms --- */

static float sum_of_products(const float *a, const float *b, int n)
{
    v16 sum = v_zero();
    FOR_LANES(n) sum = v_fma(load_lanes(a + i, m), load_lanes(b + i, m), sum);
    return v_sum(sum);
}

static float inverse_rms(const float *x, float eps, int n)
{
    return 1.0f / __builtin_sqrtf(sum_of_products(x, x, n) / (float)n + eps);
}

static float rmsnorm(float *y, const float *x, const float *gain, float eps, int n)
{
    float inv = inverse_rms(x, eps, n);
    v16 factor = v_set1(inv);
    FOR_LANES(n)
    store_lanes(y + i, v_mul(v_mul(load_lanes(x + i, m), factor), load_lanes(gain + i, m)), m);
    return inv;
}

/* y = x·r·g with r = (mean x² + ε)^-½:  dx = r·(dy·g) − x·r³·mean(dy·g·x). */
static void norm_gradient(float *dx, const float *dy, const float *x, float inv, const float *gain,
                          int n, bool add)
{
    v16 sum = v_zero();
    FOR_LANES(n)
    sum = v_fma(v_mul(load_lanes(dy + i, m), load_lanes(gain + i, m)), load_lanes(x + i, m), sum);
    v16 factor = v_set1(inv), pull = v_set1(v_sum(sum) / (float)n * inv * inv * inv);
    FOR_LANES(n)
    {
        v16 g = v_mul(v_mul(load_lanes(dy + i, m), load_lanes(gain + i, m)), factor);
        g = v_sub(g, v_mul(load_lanes(x + i, m), pull));
        store_lanes(dx + i, add ? v_add(load_lanes(dx + i, m), g) : g, m);
    }
}

static void rmsnorm_backward(float *dx, const float *dy, const float *x, float inv_rms,
                             const float *gain, int n)
{
    norm_gradient(dx, dy, x, inv_rms, gain, n, true);
}

/* y = x̂·g with x̂ = x·r:  dg += dy·x̂. */
static void gain_gradient(float *dgain, const float *dy, const float *x, float inv_rms, int n)
{
    v16 factor = v_set1(inv_rms);
    FOR_LANES(n)
    {
        v16 normed = v_mul(load_lanes(x + i, m), factor);
        store_lanes(dgain + i, v_fma(load_lanes(dy + i, m), normed, load_lanes(dgain + i, m)), m);
    }
}

/* --- SwiGLU --- */

static inline v16 sigmoid(v16 x)
{
    return v_div(v_set1(1.0f), v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), x))));
}

static void swiglu(float *y, const float *gate, const float *up, int n)
{
    FOR_LANES(n)
    {
        v16 g = load_lanes(gate + i, m);
        store_lanes(y + i, v_mul(v_mul(g, sigmoid(g)), load_lanes(up + i, m)), m);
    }
}

/* silu'(g) = σ·(1 + g·(1 − σ)) */
static void swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate,
                            const float *up, int n)
{
    const v16 one = v_set1(1.0f);
    FOR_LANES(n)
    {
        v16 g = load_lanes(gate + i, m), u = load_lanes(up + i, m), d = load_lanes(dy + i, m);
        v16 s = sigmoid(g);
        v16 slope = v_mul(s, v_fma(g, v_sub(one, s), one));
        store_lanes(dup + i, v_mul(d, v_mul(g, s)), m);
        store_lanes(dgate + i, v_mul(v_mul(d, u), slope), m);
    }
}

/* --- rotary embedding, half-split pairs (i, i + half) --- */

static void rotate(float *out, const float *x, const float *cos, const float *sin, int half,
                   float direction)
{
    v16 sign = v_set1(direction);
    FOR_LANES(half)
    {
        v16 a = load_lanes(x + i, m), b = load_lanes(x + half + i, m);
        v16 c = load_lanes(cos + i, m), s = v_mul(load_lanes(sin + i, m), sign);
        store_lanes(out + i, v_sub(v_mul(a, c), v_mul(b, s)), m);
        store_lanes(out + half + i, v_add(v_mul(b, c), v_mul(a, s)), m);
    }
}

static void head_rope(float *out, const float *x, const float *gain, float eps, const float *cos,
                      const float *sin, int head_dim)
{
    if (gain) {
        rmsnorm(out, x, gain, eps, head_dim);
        x = out;
    }
    rotate(out, x, cos, sin, head_dim / 2, 1.0f);
}

static void head_rope_backward(float *dx, const float *x, const float *gain, float eps,
                               const float *cos, const float *sin, int head_dim)
{
    rotate(dx, dx, cos, sin, head_dim / 2, -1.0f); /* the transpose is the inverse */
    if (gain)
        norm_gradient(dx, dx, x, inverse_rms(x, eps, head_dim), gain, head_dim, false);
}

static void head_gain_gradient(float *dgain, float *back, const float *dx, const float *x,
                               float eps, const float *cos, const float *sin, int head_dim)
{
    rotate(back, dx, cos, sin, head_dim / 2, -1.0f);
    gain_gradient(dgain, back, x, inverse_rms(x, eps, head_dim), head_dim);
}

static void store_bf16(uint16_t *out, const float *x, int n)
{
    FOR_LANES(n)
    {
        if (m == LANES)
            v_store_bf16(out + i, v_load(x + i));
        else
            v_store_bf16_n(out + i, v_load_n(x + i, m), m);
    }
}

static void round_bf16(float *x, int n)
{
    uint16_t bits[LANES];
    FOR_LANES(n)
    {
        v_store_bf16(bits, load_lanes(x + i, m));
        store_lanes(x + i, v_load_bf16(bits), m);
    }
}

/* --- products of small matrices --- */

/* Rows ahead that memory is asked for: one operand's lie kilobytes apart, which no hardware
 * foresees. 10 to 64 do the same, a quarter faster than none (Zen 4). */
enum { OUTER_AHEAD = 16 };

/* dst[i][j] (= or, from what it holds, +=) Σ_r a[r][i]·b[r][j], · factor: ni × nv vectors of the
 * result in registers, rows in order. The last vector has m lanes. */
INLINE void outer_tile(const struct outer *o, int i, int j, int ni, int nv, int m)
{
    v16 acc[TILE * TILE][TILE];
    float *dst = o->dst + (size_t)i * o->dst_stride + j;
    UNROLL
    for (int p = 0; p < ni; p++) {
        UNROLL
        for (int c = 0; c < nv; c++)
            acc[p][c] =
                o->resume ? load_lanes(dst + (size_t)p * o->dst_stride + c * LANES, m) : v_zero();
    }
    const float *a = o->a + i, *b = o->b + j;
    for (int r = 0; r < o->rows; r++, a += o->a_stride, b += o->b_stride) {
        v16 row[TILE];
        __builtin_prefetch(a + OUTER_AHEAD * o->a_stride);
        UNROLL
        for (int c = 0; c < nv; c++) {
            __builtin_prefetch(b + c * LANES + OUTER_AHEAD * o->b_stride);
            row[c] = load_lanes(b + c * LANES, m);
        }
        UNROLL
        for (int p = 0; p < ni; p++) {
            v16 w = v_set1(a[p]);
            UNROLL
            for (int c = 0; c < nv; c++)
                acc[p][c] = v_fma(w, row[c], acc[p][c]);
        }
    }
    v16 factor = v_set1(o->factor);
    UNROLL
    for (int p = 0; p < ni; p++) {
        UNROLL
        for (int c = 0; c < nv; c++)
            store_lanes(dst + (size_t)p * o->dst_stride + c * LANES, v_mul(acc[p][c], factor), m);
    }
}

/* nv vectors from column j on: as many rows of the result at a time as there are registers. */
INLINE void outer_columns(const struct outer *o, int j, int ni, int nv, int m)
{
    int i = 0;
    for (; i + ni <= o->ni; i += ni)
        outer_tile(o, i, j, ni, nv, m);
    for (; i < o->ni; i++)
        outer_tile(o, i, j, 1, nv, m);
}

static void outer(const struct outer *o)
{
    int j = 0;
    for (; j + TILE * LANES <= o->nj; j += TILE * LANES)
        outer_columns(o, j, TILE, TILE, LANES);
    for (; j + TILE / 2 * LANES <= o->nj; j += TILE / 2 * LANES)
        outer_columns(o, j, 2 * TILE, TILE / 2, LANES);
    for (; j + LANES <= o->nj; j += LANES)
        outer_columns(o, j, TILE * TILE, 1, LANES);
    if (j < o->nj)
        outer_columns(o, j, TILE, 1, o->nj - j);
}

/* --- attention: rows of scores --- */

/* The largest of x[i]·scale. */
static float scaled_max(const float *x, float scale, int n)
{
    v16 s = v_set1(scale), best = v_set1(x[0] * scale);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        best = v_max(v_mul(v_load(x + i), s), best);
    float result = v_max_lane(best);
    for (; i < n; i++)
        result = x[i] * scale > result ? x[i] * scale : result;
    return result;
}

/* In place: scores[j] → exp(scores[j]·scale − max); returns the sum and the log-sum-exp. */
static float softmax(float *scores, float scale, int n, float *lse)
{
    float top = scaled_max(scores, scale, n);
    v16 sum = v_zero(), s = v_set1(scale), shift = v_set1(top);
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        v16 e = v_exp_low(v_sub(v_mul(v_load(scores + i), s), shift));
        v_store(scores + i, e);
        sum = v_add(sum, e);
    }
    if (i < n) {
        int m = n - i;
        v_store_n(scores + i, v_exp_low(v_sub(v_mul(v_load_n(scores + i, m), s), shift)), m);
        sum = v_add(sum, v_load_n(scores + i, m));
    }
    float total = v_sum(sum);
    *lse = top + logf(total);
    return total;
}

/* p = exp(s·scale − lse), ds = p·(dp − δ)·scale, in place of s and dp. */
static void score_gradient(float *p, float *ds, float factor, int n, float lse, float delta)
{
    v16 scale = v_set1(factor);
    FOR_LANES(n)
    {
        v16 e = v_exp_low(v_sub(v_mul(load_lanes(p + i, m), scale), v_set1(lse)));
        v16 g = v_mul(v_mul(e, v_sub(load_lanes(ds + i, m), v_set1(delta))), scale);
        store_lanes(p + i, e, m);
        store_lanes(ds + i, g, m);
    }
}

/* --- the vocabulary --- */

static float max_of(const float *x, int n)
{
    v16 best = v_set1(x[0]);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        best = v_max(v_load(x + i), best);
    float result = v_max_lane(best);
    for (; i < n; i++)
        result = x[i] > result ? x[i] : result;
    return result;
}

static float log_sum_exp(float *z, float temperature, int n)
{
    if (temperature != 1.0f) {
        v16 t = v_set1(temperature);
        FOR_LANES(n) store_lanes(z + i, v_div(load_lanes(z + i, m), t), m);
    }
    float top = max_of(z, n);
    /* Blocks of 1,024 in f32, their sums in double: exact enough for any vocabulary. */
    double total = 0;
    v16 shift = v_set1(top);
    for (int block = 0; block < n; block += 1024) {
        v16 sum = v_zero();
        int length = n - block < 1024 ? n - block : 1024;
        FOR_LANES(length)
        {
            v16 e = v_exp(v_sub(load_lanes(z + block + i, m), shift));
            sum = v_add(sum, first_lanes(e, m));
        }
        total += (double)v_sum(sum);
    }
    return (float)((double)top + log(total));
}

/* −Σ p·(z − log Z), not log Z − Σ p·z: there a log Z rounded by ε changes every p by ε and the
 * result by ε·|z|, which at low temperatures is the third digit. */
static float entropy(const float *z, float logz, int n)
{
    double total = 0;
    v16 shift = v_set1(logz);
    for (int block = 0; block < n; block += 1024) {
        v16 sum = v_zero();
        int length = n - block < 1024 ? n - block : 1024;
        FOR_LANES(length)
        {
            v16 log_p = v_sub(load_lanes(z + block + i, m), shift);
            /* A logit of −∞ has p = 0 and contributes 0, not NaN. */
            v16 finite = v_select_less(log_p, v_set1(-3.0e38f), v_zero(), log_p);
            sum = v_sub(sum, first_lanes(v_mul(v_exp(log_p), finite), m));
        }
        total += (double)v_sum(sum);
    }
    return (float)total;
}

static void logit_gradient(float *z, float logz, int target, float coefficient, int n)
{
    v16 shift = v_set1(logz), c = v_set1(-coefficient);
    FOR_LANES(n) store_lanes(z + i, v_mul(v_exp(v_sub(load_lanes(z + i, m), shift)), c), m);
    z[target] += coefficient;
}

static int sample(const float *z, float logz, double u, int n)
{
    /* Cumulative probabilities in double, id by id, in the order the definition names. The total of
     * the rounded probabilities is 1 only nearly: u may lie above it, then the last possible id is
     * taken. */
    double cumulative = 0;
    int last = -1;
    float lanes[LANES];
    v16 shift = v_set1(logz);
    FOR_LANES(n)
    {
        v_store(lanes, v_exp(v_sub(load_lanes(z + i, m), shift)));
        for (int k = 0; k < m; k++) {
            if (!(lanes[k] > 0))
                continue;
            cumulative += (double)lanes[k];
            last = i + k;
            if (cumulative > u)
                return last;
        }
    }
    return last;
}

static float exponentials(float *e, const float *z, int n)
{
    float top = max_of(z, n);
    v16 shift = v_set1(top);
    FOR_LANES(n) store_lanes(e + i, v_exp_low(v_sub(load_lanes(z + i, m), shift)), m);
    return top;
}

/* Whether one is NaN: what is below infinity counts as 0, and infinities add up to infinity. */
static bool any_nan(const float *z, int n)
{
    v16 sum = v_zero(), infinity = v_set1(INFINITY);
    FOR_LANES(n)
    {
        v16 x = load_lanes(z + i, m);
        sum = v_add(sum, v_select_less(x, infinity, v_zero(), x));
    }
    return isnan(v_sum(sum));
}

/* The largest, then the first block that holds it, then its place there. */
static int argmax(const float *z, int n)
{
    enum { BLOCK = 1024 };
    if (any_nan(z, n))
        return -1;
    float top = max_of(z, n);
    int i = 0;
    while (n - i > BLOCK && max_of(z + i, BLOCK) < top)
        i += BLOCK;
    while (z[i] < top)
        i++;
    return i;
}

/* --- vectors --- */

static void add(float *dst, const float *src, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(dst + i, v_add(v_load(dst + i), v_load(src + i)));
    for (; i < n; i++)
        dst[i] += src[i];
}

static void scale(float *x, float factor, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(x + i, v_mul(v_load(x + i), v_set1(factor)));
    for (; i < n; i++)
        x[i] *= factor;
}

static double sum_squares(const float *x, size_t n)
{
    double lanes[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lanes[i % LANES] += (double)x[i] * (double)x[i];
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

/* torch.optim.AdamW, single-tensor form: decay, moments by lerp and addcmul, step. */
static void adamw(float *param, float *m, float *v, const float *grad, const struct adamw_params *p,
                  size_t n)
{
    float step_size = (float)(p->lr / (1 - pow(p->beta1, p->step)));
    float root = (float)sqrt(1 - pow(p->beta2, p->step));
    float keep = (float)(1 - p->lr * p->weight_decay);
    float beta2 = (float)p->beta2, eps = (float)p->eps;
    float one_minus_beta1 = (float)(1 - p->beta1), one_minus_beta2 = (float)(1 - p->beta2);
    for (size_t i = 0; i < n; i++) {
        float g = grad[i];
        m[i] += one_minus_beta1 * (g - m[i]);
        v[i] = beta2 * v[i] + one_minus_beta2 * g * g;
        float denominator = __builtin_sqrtf(v[i]) / root + eps;
        param[i] = param[i] * keep - step_size * (m[i] / denominator);
    }
}

const struct ops_kernels OPS_TABLE = {
    .name = OPS_NAME,
    .rmsnorm = rmsnorm,
    .rmsnorm_backward = rmsnorm_backward,
    .gain_gradient = gain_gradient,
    .swiglu = swiglu,
    .swiglu_backward = swiglu_backward,
    .head_rope = head_rope,
    .head_rope_backward = head_rope_backward,
    .head_gain_gradient = head_gain_gradient,
    .round_bf16 = round_bf16,
    .store_bf16 = store_bf16,
    .dot = sum_of_products,
    .softmax = softmax,
    .score_gradient = score_gradient,
    .log_sum_exp = log_sum_exp,
    .entropy = entropy,
    .logit_gradient = logit_gradient,
    .sample = sample,
    .exponentials = exponentials,
    .argmax = argmax,
    .add = add,
    .scale = scale,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .outer = outer,
};
