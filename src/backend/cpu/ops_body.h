/* ops_body.h: the row kernels, written once on vec.h's sixteen lanes; see ops.h. Included by the
 * three ops_*.c files only, each of which defines OPS_TABLE.
 *
 * Every sum has one order that depends on nothing but the row itself: lanes by index modulo 16,
 * ascending within a lane, then v_sum's tree. In attention the index is the key's absolute
 * position. */
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

/* --- attention ---
 *
 * Rows of a block are (query, head) pairs of one key-value head, sixteen at a time. Scores of row r
 * lie at scores[r · stride + position]: the index is the key's absolute position, so sums over keys
 * fall into the same lanes however the sequence was cut into prefix and own part, or into calls.
 * Keys are taken by four rows at a time and values by two; what a key or value contributes to a row
 * does not depend on which rows shared the load. */

static inline v16 load_cache(const void *base, size_t element, bool bf16, int m)
{
    if (bf16) {
        const uint16_t *p = (const uint16_t *)base + element;
        return m == LANES ? v_load_bf16(p) : v_load_bf16_n(p, m);
    }
    return load_lanes((const float *)base + element, m);
}

/* Keys 0 … limit−1 in absolute order: where key j lies in the cache. */
static inline size_t key_row(const struct attn_job *a, int j)
{
    return (size_t)(j < a->prefix_len ? a->prefix_row + j : a->own_row + j - a->prefix_len);
}

static inline int row_limit(const struct attn_job *a, int row)
{
    return a->prefix_len + a->own_pos + row / a->group + 1;
}

static inline const float *row_vector(const struct attn_job *a, const float *matrix, int row)
{
    size_t query = (size_t)(row / a->group), head = (size_t)(a->first_head + row % a->group);
    return matrix + (query * (size_t)a->heads + head) * (size_t)a->head_dim;
}

/* out[r][j] = x_r · cache_j for up to four rows and keys [0, limit). */
static inline __attribute__((always_inline)) void dots4(float *const out[4],
                                                        const float *const x[4],
                                                        const struct attn_job *a, const void *cache,
                                                        int limit, bool bf16, int rows)
{
    for (int j = 0; j < limit; j++) {
        size_t at = key_row(a, j) * a->stride;
        v16 sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        FOR_LANES(a->head_dim)
        {
            v16 key = load_cache(cache, at + (size_t)i, bf16, m);
            for (int r = 0; r < 4; r++)
                if (r < rows)
                    sum[r] = v_fma(load_lanes(x[r] + i, m), key, sum[r]);
        }
        for (int r = 0; r < 4; r++)
            if (r < rows)
                out[r][j] = v_sum(sum[r]);
    }
}

/* Dot products of n rows (from row0) with all keys they see, into scores. */
static void score_rows(const struct attn_job *a, float *scores, const float *matrix,
                       const void *cache, int row0, int n)
{
    for (int r = 0; r < n; r += 4) {
        int rows = n - r < 4 ? n - r : 4;
        float *out[4];
        const float *x[4];
        for (int i = 0; i < 4; i++) {
            int row = r + (i < rows ? i : 0);
            out[i] = scores + (size_t)row * (size_t)a->score_stride;
            x[i] = row_vector(a, matrix, row0 + row);
        }
        /* The last row sees most; the others' surplus scores are of stored keys and never used. */
        int limit = row_limit(a, row0 + r + rows - 1);
        /* Constants, so that each case becomes a loop without tests inside. */
        if (a->bf16 && rows == 4)
            dots4(out, x, a, cache, limit, true, 4);
        else if (a->bf16 && rows == 2)
            dots4(out, x, a, cache, limit, true, 2);
        else if (rows == 4)
            dots4(out, x, a, cache, limit, false, 4);
        else
            dots4(out, x, a, cache, limit, a->bf16, rows);
    }
}

enum { WIDE = 2 }; /* vectors of the output kept in registers: 32 dimensions */

/* acc[r] += Σ_j w[r][j] · cache_j over keys [from, to), dimensions [d, d + 16·WIDE). */
static inline __attribute__((always_inline)) void
accumulate(v16 (*acc)[WIDE], const float *const *w, const struct attn_job *a, const void *cache,
           int d, int from, int to, bool bf16, int rows)
{
    for (int j = from; j < to; j++) {
        size_t at = key_row(a, j) * a->stride + (size_t)d;
        v16 value[WIDE];
        for (int c = 0; c < WIDE; c++)
            value[c] = load_cache(cache, at + (size_t)(c * LANES), bf16, LANES);
        for (int r = 0; r < rows; r++) {
            v16 factor = v_set1(w[r][j]);
            for (int c = 0; c < WIDE; c++)
                acc[r][c] = v_fma(factor, value[c], acc[r][c]);
        }
    }
}

/* out[d…] = factor · Σ_j w[j] · cache_j for dimensions that fill no 32: one vector. */
static void combine_narrow(float *out, const float *w, float factor, const struct attn_job *a,
                           const void *cache, int d, int m, int limit)
{
    v16 acc = v_zero();
    for (int j = 0; j < limit; j++)
        acc = v_fma(v_set1(w[j]),
                    load_cache(cache, key_row(a, j) * a->stride + (size_t)d, a->bf16, m), acc);
    store_lanes(out + d, v_mul(acc, v_set1(factor)), m);
}

/* Two rows (or one): weighted sums of cache rows, all dimensions. limit[0] ≤ limit[1]. */
static void combine_rows(float *const out[2], const float *const w[2], const float factor[2],
                         const struct attn_job *a, const void *cache, const int limit[2], int rows)
{
    int d = 0;
    for (; d + WIDE * LANES <= a->head_dim; d += WIDE * LANES) {
        v16 acc[2][WIDE];
        for (int r = 0; r < 2; r++)
            for (int c = 0; c < WIDE; c++)
                acc[r][c] = v_zero();
        if (rows == 2 && a->bf16)
            accumulate(acc, w, a, cache, d, 0, limit[0], true, 2);
        else if (rows == 2)
            accumulate(acc, w, a, cache, d, 0, limit[0], false, 2);
        else
            accumulate(acc, w, a, cache, d, 0, limit[0], a->bf16, 1);
        if (rows == 2 && limit[1] > limit[0]) /* keys only the second row sees */
            accumulate(acc + 1, w + 1, a, cache, d, limit[0], limit[1], a->bf16, 1);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < WIDE; c++)
                v_store(out[r] + d + c * LANES, v_mul(acc[r][c], v_set1(factor[r])));
    }
    for (; d < a->head_dim; d += LANES) {
        int m = a->head_dim - d < LANES ? a->head_dim - d : LANES;
        for (int r = 0; r < rows; r++)
            combine_narrow(out[r], w[r], factor[r], a, cache, d, m, limit[r]);
    }
}

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

/* In place: scores[j]·scale → exp(· − max); returns the sum and the log-sum-exp. */
static float softmax_row(float *scores, float scale, int n, float *lse)
{
    v16 s = v_set1(scale);
    FOR_LANES(n) store_lanes(scores + i, v_mul(load_lanes(scores + i, m), s), m);
    float top = max_of(scores, n);
    v16 sum = v_zero(), shift = v_set1(top);
    FOR_LANES(n)
    {
        v16 e = v_exp(v_sub(load_lanes(scores + i, m), shift));
        store_lanes(scores + i, e, m);
        sum = v_add(sum, m == LANES ? e : v_load_n(scores + i, m));
    }
    float total = v_sum(sum);
    *lse = top + logf(total);
    return total;
}

/* n ≤ ATTN_ROWS rows from row0. */
static void attention(const struct attn_job *a, int row0, int n)
{
    score_rows(a, a->scores, a->q, a->k, row0, n);
    float factor[ATTN_ROWS];
    for (int r = 0; r < n; r++) {
        float lse;
        factor[r] = 1.0f / softmax_row(a->scores + (size_t)r * (size_t)a->score_stride, a->scale,
                                       row_limit(a, row0 + r), &lse);
        if (a->lse) {
            int row = row0 + r;
            a->lse[(size_t)(row / a->group) * (size_t)a->heads +
                   (size_t)(a->first_head + row % a->group)] = lse;
        }
    }
    for (int r = 0; r < n; r += 2) {
        int rows = n - r < 2 ? 1 : 2;
        float *out[2];
        const float *w[2];
        int limit[2];
        for (int i = 0; i < 2; i++) {
            int row = r + (i < rows ? i : 0);
            out[i] = (float *)(uintptr_t)row_vector(a, a->out, row0 + row);
            w[i] = a->scores + (size_t)row * (size_t)a->score_stride;
            limit[i] = row_limit(a, row0 + row);
        }
        float pair[2] = {factor[r], rows == 2 ? factor[r + 1] : 0.0f};
        combine_rows(out, w, pair, a, a->v, limit, rows);
    }
}

/* grad_j += Σ_r weight[r][j] · x_r over the rows of a block that see key j, in row order. */
static void scatter_rows(float *grad, size_t grad_stride, const float *weights, const float *matrix,
                         const struct attn_job *a, int row0, int n, int from, int to)
{
    for (int j = from; j < to; j++) {
        int first = 0;
        while (first < n && row_limit(a, row0 + first) <= j)
            first++;
        float *g = grad + (size_t)(j - from) * grad_stride;
        FOR_LANES(a->head_dim)
        {
            v16 sum = load_lanes(g + i, m);
            for (int r = first; r < n; r++)
                sum = v_fma(v_set1(weights[(size_t)r * (size_t)a->score_stride + (size_t)j]),
                            load_lanes(row_vector(a, matrix, row0 + r) + i, m), sum);
            store_lanes(g + i, sum, m);
        }
    }
}

/* One block of rows: p = exp(s·scale − lse), ds = p·(dp − δ)·scale, then the three products. */
static void attention_backward_block(const struct attn_backward_job *b, int row0, int n)
{
    const struct attn_job *a = &b->f;
    float *p = a->scores, *ds = a->scores + (size_t)ATTN_ROWS * (size_t)a->score_stride;
    score_rows(a, p, a->q, a->k, row0, n);
    score_rows(a, ds, b->dout, a->v, row0, n);
    for (int r = 0; r < n; r++) {
        int row = row0 + r, limit = row_limit(a, row);
        const float *dout = row_vector(a, b->dout, row), *out = row_vector(a, a->out, row);
        float delta = sum_of_products(out, dout, a->head_dim);
        float lse = a->lse[(size_t)(row / a->group) * (size_t)a->heads +
                           (size_t)(a->first_head + row % a->group)];
        float *pr = p + (size_t)r * (size_t)a->score_stride;
        float *dr = ds + (size_t)r * (size_t)a->score_stride;
        FOR_LANES(limit)
        {
            v16 e = v_exp(v_sub(v_mul(load_lanes(pr + i, m), v_set1(a->scale)), v_set1(lse)));
            v16 g = v_mul(v_mul(e, v_sub(load_lanes(dr + i, m), v_set1(delta))), v_set1(a->scale));
            store_lanes(pr + i, e, m);
            store_lanes(dr + i, g, m);
        }
    }
    for (int r = 0; r < n; r++) {
        float *dq = (float *)(uintptr_t)row_vector(a, b->dq, row0 + r);
        float *out[2] = {dq, dq};
        const float *w = ds + (size_t)r * (size_t)a->score_stride;
        const float *both[2] = {w, w}, one[2] = {1.0f, 1.0f};
        int limit[2] = {row_limit(a, row0 + r), row_limit(a, row0 + r)};
        combine_rows(out, both, one, a, a->k, limit, 1);
    }
    int keys = row_limit(a, row0 + n - 1), prefix = a->prefix_len;
    if (prefix) {
        scatter_rows(b->dk_prefix, (size_t)b->kv_dim, ds, a->q, a, row0, n, 0, prefix);
        scatter_rows(b->dv_prefix, (size_t)b->kv_dim, p, b->dout, a, row0, n, 0, prefix);
    }
    scatter_rows(b->dk, (size_t)b->kv_dim, ds, a->q, a, row0, n, prefix, keys);
    scatter_rows(b->dv, (size_t)b->kv_dim, p, b->dout, a, row0, n, prefix, keys);
}

static void zero_rows(float *x, size_t stride, int rows, int n)
{
    for (int r = 0; r < rows; r++)
        memset(x + (size_t)r * stride, 0, (size_t)n * sizeof *x);
}

static void attention_backward(const struct attn_backward_job *b, int n_rows)
{
    const struct attn_job *a = &b->f;
    int queries = n_rows / a->group;
    zero_rows(b->dk, (size_t)b->kv_dim, queries, a->head_dim);
    zero_rows(b->dv, (size_t)b->kv_dim, queries, a->head_dim);
    if (a->prefix_len) {
        zero_rows(b->dk_prefix, (size_t)b->kv_dim, a->prefix_len, a->head_dim);
        zero_rows(b->dv_prefix, (size_t)b->kv_dim, a->prefix_len, a->head_dim);
    }
    for (int row = 0; row < n_rows; row += ATTN_ROWS)
        attention_backward_block(b, row, n_rows - row < ATTN_ROWS ? n_rows - row : ATTN_ROWS);
}

/* --- the vocabulary --- */

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

static int argmax(const float *z, int n)
{
    int best = 0;
    for (int i = 0; i < n; i++) {
        if (z[i] != z[i])
            return -1;
        if (z[i] > z[best])
            best = i;
    }
    return best;
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

static void outer_row(float *dst, const float *a, size_t a_stride, const float *b, size_t b_stride,
                      int rows, float factor, int n)
{
    int j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES) {
        v16 sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        for (int r = 0; r < rows; r++) {
            v16 w = v_set1(a[(size_t)r * a_stride]);
            const float *row = b + (size_t)r * b_stride + j;
            for (int c = 0; c < 4; c++)
                sum[c] = v_fma(w, v_load(row + c * LANES), sum[c]);
        }
        for (int c = 0; c < 4; c++)
            v_store(dst + j + c * LANES, v_mul(sum[c], v_set1(factor)));
    }
    for (; j < n; j += LANES) {
        int m = n - j < LANES ? n - j : LANES;
        v16 sum = v_zero();
        for (int r = 0; r < rows; r++)
            sum = v_fma(v_set1(a[(size_t)r * a_stride]),
                        load_lanes(b + (size_t)r * b_stride + j, m), sum);
        store_lanes(dst + j, v_mul(sum, v_set1(factor)), m);
    }
}

const struct ops_kernels OPS_TABLE = {
    .name = OPS_NAME,
    .rmsnorm = rmsnorm,
    .rmsnorm_backward = rmsnorm_backward,
    .swiglu = swiglu,
    .swiglu_backward = swiglu_backward,
    .head_rope = head_rope,
    .head_rope_backward = head_rope_backward,
    .round_bf16 = round_bf16,
    .store_bf16 = store_bf16,
    .attention = attention,
    .attention_backward = attention_backward,
    .log_sum_exp = log_sum_exp,
    .entropy = entropy,
    .logit_gradient = logit_gradient,
    .sample = sample,
    .argmax = argmax,
    .add = add,
    .scale = scale,
    .sum_squares = sum_squares,
    .adamw = adamw,
    .outer_row = outer_row,
};
