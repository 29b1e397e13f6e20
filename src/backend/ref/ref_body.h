/* ref_body.h: the scalar reference's code, for one REAL; see ref.h. Included by ref_f32.c and
 * ref_f64.c only. MATH(exp) is the C library's function for REAL.
 *
 * Each function is the formula of its contract and nothing else; nothing is shared with the fast
 * operations, so that an error would have to be made twice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"

/* --- rounding and matrix products --- */

REAL REF(round_bf16)(REAL x)
{
    int exponent;
    if (x == 0 || !isfinite(x))
        return x;
    (void)MATH(frexp)(x, &exponent);
    REAL unit = MATH(ldexp)(1, exponent - 8); /* bf16 keeps 8 bits */
    return MATH(rint)(x / unit) * unit;
}

static REAL round_if(REAL x, bool bf16)
{
    return bf16 ? REF(round_bf16)(x) : x;
}

/* Σ_k x[k]·w[k·w_step] */
static REAL dot(const REAL *x, const REAL *w, int w_step, int K, bool bf16)
{
    REAL sum = 0;
    for (int k = 0; k < K; k++)
        sum += round_if(x[k], bf16) * round_if(w[(size_t)k * (size_t)w_step], bf16);
    return sum;
}

/* Element n of x·Wᵀ with W (N, K). */
static REAL times_transposed(const REAL *x, const REAL *w, int n, int K, bool bf16)
{
    return dot(x, w + (size_t)n * (size_t)K, 1, K, bf16);
}

/* Element k of y·W with W (N, K). */
static REAL times(const REAL *y, const REAL *w, int k, int N, int K, bool bf16)
{
    return dot(y, w + k, K, N, bf16);
}

/* --- embedding, norm, linear --- */

void REF(embedding)(REAL *x, const int *ids, const REAL *table, int R, int K, bool bf16)
{
    for (int r = 0; r < R; r++)
        for (int k = 0; k < K; k++)
            x[r * K + k] = round_if(table[(size_t)ids[r] * (size_t)K + (size_t)k], bf16);
}

static REAL inverse_rms(const REAL *x, REAL eps, int H)
{
    REAL sum = 0;
    for (int i = 0; i < H; i++)
        sum += x[i] * x[i];
    return 1 / MATH(sqrt)(sum / (REAL)H + eps);
}

void REF(rmsnorm)(REAL *y, REAL *inv_rms, const REAL *x, const REAL *gain, REAL eps, int R, int H)
{
    for (int r = 0; r < R; r++) {
        REAL inv = inverse_rms(x + r * H, eps, H);
        if (inv_rms)
            inv_rms[r] = inv;
        for (int i = 0; i < H; i++)
            y[r * H + i] = x[r * H + i] * inv * gain[i];
    }
}

void REF(linear_inner)(REAL *u, const REAL *x, const struct REF(linear) * l, int R)
{
    for (int r = 0; r < R; r++)
        for (int i = 0; i < l->rank; i++)
            u[r * l->rank + i] = times_transposed(x + r * l->k, l->lora_a, i, l->k, l->bf16);
}

void REF(linear_outer)(REAL *y, const REAL *x, const REAL *u, const struct REF(linear) * l, int R,
                       bool add)
{
    for (int r = 0; r < R; r++) {
        for (int n = 0; n < l->n; n++) {
            REAL sum = times_transposed(x + r * l->k, l->w, n, l->k, l->bf16);
            if (l->bias)
                sum += l->bias[n];
            if (l->lora_a)
                sum += l->lora_scale *
                       times_transposed(u + r * l->rank, l->lora_b, n, l->rank, l->bf16);
            y[r * l->n + n] = add ? y[r * l->n + n] + sum : sum;
        }
    }
}

void REF(linear)(REAL *y, REAL *u, const REAL *x, const struct REF(linear) * l, int R, bool add)
{
    if (l->lora_a)
        REF(linear_inner)(u, x, l, R);
    REF(linear_outer)(y, x, u, l, R, add);
}

/* --- heads: norm, rotation, attention --- */

/* One head of one row: y = rotation(norm(x)); pairs are (i, i + D/2). */
static void rotate_head(REAL *y, const REAL *x, const REAL *gain, REAL eps, const REAL *cos,
                        const REAL *sin, int D)
{
    REAL inv = gain ? inverse_rms(x, eps, D) : 1;
    for (int i = 0; i < D / 2; i++) {
        int j = i + D / 2;
        REAL a = gain ? x[i] * inv * gain[i] : x[i];
        REAL b = gain ? x[j] * inv * gain[j] : x[j];
        y[i] = a * cos[i] - b * sin[i];
        y[j] = b * cos[i] + a * sin[i];
    }
}

void REF(qk_rope)(REAL *q_out, REAL *k_cache, REAL *v_cache, const REAL *q, const REAL *k,
                  const REAL *v, const REAL *q_gain, const REAL *k_gain, REAL eps, const REAL *cos,
                  const REAL *sin, const int *positions, const int *kv_rows, struct attn_dims dims,
                  int R, bool bf16)
{
    int D = dims.head_dim, q_dim = dims.heads * D, kv_dim = dims.kv_heads * D;
    for (int r = 0; r < R; r++) {
        const REAL *c = cos + positions[r] * (D / 2), *s = sin + positions[r] * (D / 2);
        REAL *k_row = k_cache + kv_rows[r] * kv_dim, *v_row = v_cache + kv_rows[r] * kv_dim;
        for (int h = 0; h < dims.heads; h++)
            rotate_head(q_out + r * q_dim + h * D, q + r * q_dim + h * D, q_gain, eps, c, s, D);
        for (int h = 0; h < dims.kv_heads; h++)
            rotate_head(k_row + h * D, k + r * kv_dim + h * D, k_gain, eps, c, s, D);
        for (int i = 0; i < q_dim; i++)
            q_out[r * q_dim + i] = round_if(q_out[r * q_dim + i], bf16);
        for (int i = 0; i < kv_dim; i++) {
            k_row[i] = round_if(k_row[i], bf16);
            v_row[i] = round_if(v[r * kv_dim + i], bf16);
        }
    }
}

/* Key j of a span, counted over the prefix first: its row of the cache. */
static int key_row(const struct attn_span *s, int j)
{
    return j < s->prefix_len ? s->prefix_row + j : s->own_row + j - s->prefix_len;
}

/* Where query i, head h of a span meets its keys. */
struct view {
    const struct attn_span *span;
    struct attn_dims dims;
    int keys;    /* how many it sees */
    int q_at;    /* its first element in q, out, dq, dout */
    int lse_at;  /* its element in lse */
    int kv_head; /* of the group that shares keys */
};

static struct view view_of(const struct attn_span *s, struct attn_dims dims, int i, int h)
{
    return (struct view){.span = s,
                         .dims = dims,
                         .keys = s->prefix_len + s->own_pos + i + 1,
                         .q_at = ((s->q_row + i) * dims.heads + h) * dims.head_dim,
                         .lse_at = (s->q_row + i) * dims.heads + h,
                         .kv_head = h / (dims.heads / dims.kv_heads)};
}

static int key_at(const struct view *v, int j)
{
    return (key_row(v->span, j) * v->dims.kv_heads + v->kv_head) * v->dims.head_dim;
}

static REAL score(const struct view *v, const REAL *q, const REAL *k_cache, int j)
{
    return dot(q + v->q_at, k_cache + key_at(v, j), 1, v->dims.head_dim, false) /
           MATH(sqrt)((REAL)v->dims.head_dim);
}

static REAL log_sum_exp_of_scores(const struct view *v, const REAL *q, const REAL *k_cache)
{
    REAL top = score(v, q, k_cache, 0), sum = 0;
    for (int j = 1; j < v->keys; j++)
        top = MATH(fmax)(top, score(v, q, k_cache, j));
    for (int j = 0; j < v->keys; j++)
        sum += MATH(exp)(score(v, q, k_cache, j) - top);
    return top + MATH(log)(sum);
}

/* What may come of x when it was off by `error` before it was rounded: one unit more or less where
 * it lies so near to the middle of two bf16, else nothing. */
static REAL other_rounding(REAL x, REAL error, bool bf16)
{
    int exponent;
    if (!bf16 || x == 0 || !isfinite(x))
        return 0;
    (void)MATH(frexp)(x, &exponent);
    REAL unit = MATH(ldexp)(1, exponent - 8), units = MATH(fabs)(x) / unit;
    REAL middle = MATH(floor)(units) + (REAL)0.5;
    return MATH(fabs)(units - middle) <= error / unit ? unit : 0;
}

/* Relative error of a probability and of what a score's gradient is made of, in f32 arithmetic:
 * ten times what is seen. */
#define REF_ROUNDING_ERROR ((REAL)1e-5)

static void attention_row(const struct view *v, REAL *out, REAL *slack, REAL *lse, const REAL *q,
                          const REAL *k_cache, const REAL *v_cache, bool bf16)
{
    int D = v->dims.head_dim;
    REAL total = log_sum_exp_of_scores(v, q, k_cache), top = score(v, q, k_cache, 0);
    for (int j = 1; j < v->keys; j++)
        top = MATH(fmax)(top, score(v, q, k_cache, j));
    if (lse)
        lse[v->lse_at] = total;
    memset(out + v->q_at, 0, (size_t)D * sizeof *out);
    if (slack)
        memset(slack + v->q_at, 0, (size_t)D * sizeof *out);
    REAL sum = MATH(exp)(total - top); /* the largest exponential is 1 */
    for (int j = 0; j < v->keys; j++) {
        REAL e = MATH(exp)(score(v, q, k_cache, j) - top), p = round_if(e, bf16) / sum;
        REAL other = other_rounding(e, e * REF_ROUNDING_ERROR, bf16) / sum;
        const REAL *value = v_cache + key_at(v, j);
        for (int i = 0; i < D; i++) {
            out[v->q_at + i] += p * value[i];
            if (slack)
                slack[v->q_at + i] += other * MATH(fabs)(value[i]);
        }
    }
}

void REF(attention)(REAL *out, REAL *lse, REAL *slack, const REAL *q, const REAL *k_cache,
                    const REAL *v_cache, const struct attn_span *spans, int n_spans,
                    struct attn_dims dims, bool bf16)
{
    for (int s = 0; s < n_spans; s++) {
        for (int task = 0; task < spans[s].n_q * dims.heads; task++) {
            struct view v = view_of(&spans[s], dims, task / dims.heads, task % dims.heads);
            attention_row(&v, out, slack, lse, q, k_cache, v_cache, bf16);
        }
    }
}

/* --- SwiGLU and the vocabulary --- */

static REAL sigmoid(REAL x)
{
    return 1 / (1 + MATH(exp)(-x));
}

void REF(swiglu)(REAL *y, const REAL *gate, const REAL *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

/* Logit of one id divided by the temperature. */
static REAL logit(const REAL *hidden, const struct REF(head) * head, int id, REAL temperature)
{
    return times_transposed(hidden, head->w, id, head->hidden, head->bf16) / temperature;
}

void REF(logits)(REAL *logits, const REAL *hidden, const struct REF(head) * head, int R)
{
    for (int r = 0; r < R; r++)
        for (int v = 0; v < head->vocab; v++)
            logits[(size_t)r * (size_t)head->vocab + (size_t)v] =
                logit(hidden + r * head->hidden, head, v, 1);
}

static REAL log_partition(const REAL *hidden, const struct REF(head) * head, REAL temperature)
{
    REAL top = logit(hidden, head, 0, temperature), sum = 0;
    for (int v = 1; v < head->vocab; v++)
        top = MATH(fmax)(top, logit(hidden, head, v, temperature));
    for (int v = 0; v < head->vocab; v++)
        sum += MATH(exp)(logit(hidden, head, v, temperature) - top);
    return top + MATH(log)(sum);
}

/* −Σ p·log p; an id of probability 0 contributes 0. */
static REAL entropy_of(const REAL *hidden, const struct REF(head) * head, REAL temperature,
                       REAL logz)
{
    REAL sum = 0;
    for (int v = 0; v < head->vocab; v++) {
        REAL log_p = logit(hidden, head, v, temperature) - logz, p = MATH(exp)(log_p);
        sum -= p > 0 ? p * log_p : 0;
    }
    return sum;
}

void REF(logprob)(REAL *logp, REAL *entropy, REAL *logz, const REAL *hidden,
                  const struct REF(head) * head, const int *targets, REAL temperature, int R)
{
    for (int r = 0; r < R; r++) {
        const REAL *x = hidden + r * head->hidden;
        REAL total = log_partition(x, head, temperature);
        logp[r] = logit(x, head, targets[r], temperature) - total;
        if (entropy)
            entropy[r] = entropy_of(x, head, temperature, total);
        if (logz)
            logz[r] = total;
    }
}

/* The first id whose cumulative probability exceeds u; the last possible id where rounding leaves
 * the sum of all below u. */
static int inverse_cdf(const REAL *hidden, const struct REF(head) * head, double u,
                       REAL temperature)
{
    REAL logz = log_partition(hidden, head, temperature);
    double cumulative = 0;
    int last = 0;
    for (int v = 0; v < head->vocab; v++) {
        double p = (double)MATH(exp)(logit(hidden, head, v, temperature) - logz);
        cumulative += p;
        if (p > 0)
            last = v;
        if (cumulative > u)
            return v;
    }
    return last;
}

static int largest_logit(const REAL *hidden, const struct REF(head) * head)
{
    int best = 0;
    for (int v = 1; v < head->vocab; v++)
        if (logit(hidden, head, v, 1) > logit(hidden, head, best, 1))
            best = v;
    return best;
}

/* --- the next token under warpers: by sorting, as they are defined --- */

struct ranked {
    REAL score, p;
    int id;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? -1 : 1) : x->id - y->id;
}

static int by_id(const void *a, const void *b)
{
    return ((const struct ranked *)a)->id - ((const struct ranked *)b)->id;
}

/* p of all n, which sum to 1. */
static void normalise(struct ranked *all, int n)
{
    REAL top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        top = MATH(fmax)(top, all[i].score);
    for (int i = 0; i < n; i++)
        sum += MATH(exp)(all[i].score - top);
    for (int i = 0; i < n; i++)
        all[i].p = MATH(exp)(all[i].score - top) / sum;
}

/* Ascending, so each cut takes a stretch from the front; returns how many. */
static int cut_ranked(struct ranked *all, int n, const struct warpers *how)
{
    int first = 0;
    qsort(all, (size_t)n, sizeof *all, by_score);
    if (how->top_k && how->top_k < n)
        while (all[first].score < all[n - how->top_k].score)
            first++;
    normalise(all + first, n - first);
    double gone = 0;
    if (how->top_p < 1)
        while (first < n - 1 && (gone += (double)all[first].p) <= 1 - how->top_p)
            first++;
    normalise(all + first, n - first);
    while ((double)all[first].p < how->min_p * (double)all[n - 1].p)
        first++;
    normalise(all + first, n - first);
    return first;
}

static int warped_token(const REAL *hidden, const struct REF(head) * head, double u,
                        REAL temperature, const struct REF(warp) * warp, int r)
{
    int n = head->vocab, first = 0;
    struct ranked *all = mem_alloc((size_t)n * sizeof *all);
    CHECK(all);
    REAL penalty = (REAL)warp->how.repetition_penalty;
    for (int v = 0; v < n; v++) {
        REAL score = logit(hidden, head, v, 1);
        if (penalty != 1 && warp->seen[r][v / 32] >> (v % 32) & 1)
            score = score < 0 ? score * penalty : score / penalty;
        all[v] = (struct ranked){temperature > 0 ? score / temperature : score, 0, v};
    }
    if (temperature > 0)
        first = cut_ranked(all, n, &warp->how);
    else
        normalise(all, n);
    qsort(all + first, (size_t)(n - first), sizeof *all, by_id);
    int at = first;
    double cumulative = 0;
    for (int i = first; i < n && temperature > 0 && cumulative <= u; i++) {
        cumulative += (double)all[i].p;
        at = all[i].p > 0 ? i : at;
    }
    for (int i = 0; i < n && temperature <= 0; i++)
        at = all[i].score > all[at].score ? i : at;
    int id = all[at].id;
    warp->logp[r] = MATH(log)(all[at].p);
    mem_free(all);
    return id;
}

void REF(next_token)(int *ids, REAL *logp, const REAL *hidden, const struct REF(head) * head,
                     const double *uniforms, REAL temperature, const struct REF(warp) * warp, int R)
{
    for (int r = 0; r < R; r++) {
        const REAL *x = hidden + r * head->hidden;
        ids[r] = warp              ? warped_token(x, head, uniforms[r], temperature, warp, r)
                 : temperature > 0 ? inverse_cdf(x, head, uniforms[r], temperature)
                                   : largest_logit(x, head);
        REF(logprob)(logp + r, NULL, NULL, x, head, ids + r, temperature > 0 ? temperature : 1, 1);
    }
}

/* --- backward --- */

/* y_i = x_i·r·g_i with r = (mean x² + ε)^-½, ∂r/∂x_i = −r³·x_i/H:
 * dx_i = r·g_i·dy_i − r³·x_i·mean_j(dy_j·g_j·x_j). */
static REAL norm_gradient(const REAL *dy, const REAL *x, REAL inv, const REAL *gain, int i, int H)
{
    REAL sum = 0;
    for (int j = 0; j < H; j++)
        sum += dy[j] * gain[j] * x[j];
    return inv * gain[i] * dy[i] - inv * inv * inv * x[i] * sum / (REAL)H;
}

void REF(rmsnorm_backward)(REAL *dx, const REAL *dy, const REAL *x, const REAL *inv_rms,
                           const REAL *gain, int R, int H)
{
    for (int r = 0; r < R; r++)
        for (int i = 0; i < H; i++)
            dx[r * H + i] += norm_gradient(dy + r * H, x + r * H, inv_rms[r], gain, i, H);
}

void REF(linear_backward_inner)(REAL *du, const REAL *dy, const struct REF(linear) * l, int R)
{
    for (int r = 0; r < R; r++)
        for (int i = 0; i < l->rank; i++)
            du[r * l->rank + i] =
                l->lora_scale * times(dy + r * l->n, l->lora_b, i, l->n, l->rank, l->bf16);
}

void REF(linear_backward_outer)(REAL *dx, const REAL *dy, const REAL *du,
                                const struct REF(linear) * l, int R, bool add)
{
    for (int r = 0; r < R; r++) {
        for (int k = 0; k < l->k; k++) {
            REAL sum = times(dy + r * l->n, l->w, k, l->n, l->k, l->bf16);
            if (l->lora_a)
                sum += times(du + r * l->rank, l->lora_a, k, l->rank, l->k, l->bf16);
            dx[r * l->k + k] = add ? dx[r * l->k + k] + sum : sum;
        }
    }
}

void REF(linear_backward)(REAL *dx, REAL *du, const REAL *dy, const struct REF(linear) * l, int R,
                          bool add)
{
    if (l->lora_a)
        REF(linear_backward_inner)(du, dy, l, R);
    if (dx)
        REF(linear_backward_outer)(dx, dy, du, l, R, add);
}

void REF(lora_gradient)(REAL *da, REAL *db, const REAL *dy, const REAL *du, const REAL *x,
                        const REAL *u, REAL scale, int N, int K, int rank, int R)
{
    memset(da, 0, (size_t)rank * (size_t)K * sizeof *da);
    memset(db, 0, (size_t)N * (size_t)rank * sizeof *db);
    for (int r = 0; r < R; r++) {
        for (int i = 0; i < rank; i++) {
            for (int k = 0; k < K; k++)
                da[i * K + k] += du[r * rank + i] * x[r * K + k];
            for (int n = 0; n < N; n++)
                db[n * rank + i] += scale * dy[r * N + n] * u[r * rank + i];
        }
    }
}

/* Where the gradient of key j goes: the span's own copy of the prefix, or the own token's row. */
static REAL *key_gradient(const struct view *v, REAL *own, REAL *prefix, int j)
{
    int row = j < v->span->prefix_len ? j : v->span->q_row + j - v->span->prefix_len;
    REAL *base = j < v->span->prefix_len ? prefix : own;
    return base + (row * v->dims.kv_heads + v->kv_head) * v->dims.head_dim;
}

/* dq += ds·key, dk += ds·q, dv += p·dout for key j of a row. */
static void add_gradients(const struct view *v, const struct REF(attention_gradients) * g, int s,
                          int j, REAL p, REAL ds, const REAL *dout, const REAL *q, const REAL *key)
{
    REAL *prefix[2] = {NULL, NULL};
    if (v->span->prefix_len) {
        prefix[0] = g->dk_prefix[s];
        prefix[1] = g->dv_prefix[s];
    }
    REAL *dk = key_gradient(v, g->dk, prefix[0], j), *dv = key_gradient(v, g->dv, prefix[1], j);
    for (int i = 0; i < v->dims.head_dim; i++) {
        g->dq[v->q_at + i] += ds * key[i];
        dk[i] += ds * q[i];
        dv[i] += p * dout[i];
    }
}

/* One query and head. With p = softmax(s): dp_j = dout·v_j, ds_j = p_j·(dp_j − out·dout). */
static void attention_backward_row(const struct view *v, const struct REF(attention_gradients) * g,
                                   const struct REF(attention_gradients) * slack, int s,
                                   const struct REF(attention_inputs) * in)
{
    int D = v->dims.head_dim;
    REAL scale = 1 / MATH(sqrt)((REAL)D), delta = 0, rounded[4096], magnitude[3][4096];
    REAL lse = log_sum_exp_of_scores(v, in->q, in->k_cache);
    CHECK(D <= (int)(sizeof rounded / sizeof *rounded));
    for (int i = 0; i < D; i++) {
        REAL d = in->dout[v->q_at + i];
        delta += in->out[v->q_at + i] * d;
        rounded[i] = round_if(d, in->bf16);
        magnitude[0][i] = MATH(fabs)(rounded[i]);
        magnitude[1][i] = MATH(fabs)(in->q[v->q_at + i]);
    }
    for (int j = 0; j < v->keys; j++) {
        const REAL *key = in->k_cache + key_at(v, j);
        REAL p = MATH(exp)(score(v, in->q, in->k_cache, j) - lse);
        REAL dp = dot(rounded, in->v_cache + key_at(v, j), 1, D, false);
        REAL ds = p * (dp - delta) * scale;
        add_gradients(v, g, s, j, round_if(p, in->bf16), round_if(ds, in->bf16), rounded,
                      in->q + v->q_at, key);
        if (!slack)
            continue;
        for (int i = 0; i < D; i++)
            magnitude[2][i] = MATH(fabs)(key[i]);
        REAL off = p * scale * (MATH(fabs)(dp) + MATH(fabs)(delta) + 1) * REF_ROUNDING_ERROR;
        add_gradients(v, slack, s, j, other_rounding(p, p * REF_ROUNDING_ERROR, in->bf16),
                      other_rounding(ds, off, in->bf16), magnitude[0], magnitude[1], magnitude[2]);
    }
}

static void clear_gradients(const struct REF(attention_gradients) * g, const struct attn_span *span,
                            int s, struct attn_dims dims)
{
    size_t kv_bytes = (size_t)dims.kv_heads * (size_t)dims.head_dim * sizeof(REAL);
    size_t q_bytes = (size_t)dims.heads * (size_t)dims.head_dim * sizeof(REAL);
    size_t first = (size_t)span->q_row, count = (size_t)span->n_q;
    memset((char *)g->dq + first * q_bytes, 0, count * q_bytes);
    memset((char *)g->dk + first * kv_bytes, 0, count * kv_bytes);
    memset((char *)g->dv + first * kv_bytes, 0, count * kv_bytes);
    if (span->prefix_len) {
        memset(g->dk_prefix[s], 0, (size_t)span->prefix_len * kv_bytes);
        memset(g->dv_prefix[s], 0, (size_t)span->prefix_len * kv_bytes);
    }
}

void REF(attention_backward)(const struct REF(attention_gradients) * g,
                             const struct REF(attention_gradients) * slack,
                             const struct REF(attention_inputs) * in, const struct attn_span *spans,
                             int n_spans, struct attn_dims dims)
{
    for (int s = 0; s < n_spans; s++) {
        const struct attn_span *span = &spans[s];
        CHECK(span->own_pos == 0);
        clear_gradients(g, span, s, dims);
        if (slack)
            clear_gradients(slack, span, s, dims);
        for (int task = 0; task < span->n_q * dims.heads; task++) {
            struct view v = view_of(span, dims, task / dims.heads, task % dims.heads);
            attention_backward_row(&v, g, slack, s, in);
        }
    }
}

/* In place. The rotation's transpose turns back; then the norm. */
static void rotate_head_backward(REAL *d, const REAL *x, const REAL *gain, REAL eps,
                                 const REAL *cos, const REAL *sin, int D)
{
    REAL back[4096];
    CHECK(D <= (int)(sizeof back / sizeof *back));
    for (int i = 0; i < D / 2; i++) {
        int j = i + D / 2;
        back[i] = d[i] * cos[i] + d[j] * sin[i];
        back[j] = d[j] * cos[i] - d[i] * sin[i];
    }
    REAL inv = gain ? inverse_rms(x, eps, D) : 1;
    for (int i = 0; i < D; i++)
        d[i] = gain ? norm_gradient(back, x, inv, gain, i, D) : back[i];
}

void REF(qk_rope_backward)(REAL *dq, REAL *dk, const REAL *q, const REAL *k, const REAL *q_gain,
                           const REAL *k_gain, REAL eps, const REAL *cos, const REAL *sin,
                           const int *positions, struct attn_dims dims, int R)
{
    int D = dims.head_dim;
    for (int r = 0; r < R; r++) {
        const REAL *c = cos + positions[r] * (D / 2), *s = sin + positions[r] * (D / 2);
        for (int h = 0; h < dims.heads; h++) {
            int at = (r * dims.heads + h) * D;
            rotate_head_backward(dq + at, q_gain ? q + at : NULL, q_gain, eps, c, s, D);
        }
        for (int h = 0; h < dims.kv_heads; h++) {
            int at = (r * dims.kv_heads + h) * D;
            rotate_head_backward(dk + at, k_gain ? k + at : NULL, k_gain, eps, c, s, D);
        }
    }
}

void REF(swiglu_backward)(REAL *dgate, REAL *dup, const REAL *dy, const REAL *gate, const REAL *up,
                          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        REAL g = gate[i], s = sigmoid(g), d = dy[i], u = up[i];
        dgate[i] = d * u * (s + g * s * (1 - s));
        dup[i] = d * g * s;
    }
}

/* dlogp/dlogit_v = (1[v = target] − p_v) / T; dhidden = Σ_v dlogit_v · W_v. */
void REF(logprob_backward)(REAL *dhidden, const REAL *hidden, const struct REF(head) * head,
                           const int *targets, const REAL *dlogp, REAL temperature, int R)
{
    int H = head->hidden;
    memset(dhidden, 0, (size_t)R * (size_t)H * sizeof *dhidden);
    for (int r = 0; r < R; r++) {
        const REAL *x = hidden + r * H;
        REAL logz = log_partition(x, head, temperature);
        for (int v = 0; v < head->vocab; v++) {
            REAL p = MATH(exp)(logit(x, head, v, temperature) - logz);
            REAL d = dlogp[r] / temperature * ((REAL)(v == targets[r]) - p);
            for (int i = 0; i < H; i++)
                dhidden[r * H + i] +=
                    round_if(d, head->bf16) *
                    round_if(head->w[(size_t)v * (size_t)H + (size_t)i], head->bf16);
        }
    }
}

/* --- gradients of the model's own parameters --- */

/* y_n = Σ_k x_k·w_nk: dw_nk = dy_n·x_k */
void REF(weight_gradient)(REAL *dw, const REAL *dy, const REAL *x, int N, int K, int R)
{
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++)
            for (int k = 0; k < K; k++)
                dw[(size_t)n * (size_t)K + (size_t)k] += dy[r * N + n] * x[r * K + k];
}

void REF(bias_gradient)(REAL *db, const REAL *dy, int N, int R)
{
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++)
            db[n] += dy[r * N + n];
}

void REF(gain_gradient)(REAL *dgain, const REAL *dy, const REAL *x, const REAL *inv_rms, int R,
                        int H)
{
    for (int r = 0; r < R; r++)
        for (int i = 0; i < H; i++)
            dgain[i] += dy[r * H + i] * x[r * H + i] * inv_rms[r];
}

/* One head: the rotation's transpose, then the norm's gain. */
static void head_gain_gradient(REAL *dgain, const REAL *d, const REAL *x, REAL eps, const REAL *cos,
                               const REAL *sin, int D)
{
    REAL inv = inverse_rms(x, eps, D);
    for (int i = 0; i < D / 2; i++) {
        int j = i + D / 2;
        dgain[i] += (d[i] * cos[i] + d[j] * sin[i]) * x[i] * inv;
        dgain[j] += (d[j] * cos[i] - d[i] * sin[i]) * x[j] * inv;
    }
}

void REF(qk_gain_gradient)(REAL *dq_gain, REAL *dk_gain, const REAL *dq, const REAL *dk,
                           const REAL *q, const REAL *k, REAL eps, const REAL *cos, const REAL *sin,
                           const int *positions, struct attn_dims dims, int R)
{
    int D = dims.head_dim;
    for (int r = 0; r < R; r++) {
        const REAL *c = cos + positions[r] * (D / 2), *s = sin + positions[r] * (D / 2);
        for (int h = r * dims.heads; h < (r + 1) * dims.heads; h++)
            head_gain_gradient(dq_gain, dq + h * D, q + h * D, eps, c, s, D);
        for (int h = r * dims.kv_heads; h < (r + 1) * dims.kv_heads; h++)
            head_gain_gradient(dk_gain, dk + h * D, k + h * D, eps, c, s, D);
    }
}

void REF(embedding_gradient)(REAL *dtable, const int *ids, const REAL *dx, int K, int R)
{
    for (int r = 0; r < R; r++)
        for (int k = 0; k < K; k++)
            dtable[(size_t)ids[r] * (size_t)K + (size_t)k] += dx[r * K + k];
}

/* dlogp/dlogit_v = 1[v = target] − p_v; logit_v = hidden·W_v. */
void REF(head_gradient)(REAL *dhead, const REAL *hidden, const struct REF(head) * head,
                        const int *targets, const REAL *dlogp, int R)
{
    int H = head->hidden;
    for (int r = 0; r < R; r++) {
        const REAL *x = hidden + r * H;
        REAL logz = log_partition(x, head, 1);
        for (int v = 0; v < head->vocab; v++) {
            REAL p = MATH(exp)(logit(x, head, v, 1) - logz);
            REAL d = dlogp[r] * ((REAL)(v == targets[r]) - p);
            for (int i = 0; i < H; i++)
                dhead[(size_t)v * (size_t)H + (size_t)i] += d * x[i];
        }
    }
}

/* --- vectors and the optimizer --- */

void REF(add)(REAL *dst, const REAL *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] += src[i];
}

void REF(scale)(REAL *x, REAL factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

double REF(sum_squares)(const REAL *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, with
 * PyTorch's meaning of weight_decay (multiplied by lr) and of eps (added to √v̂). */
void REF(adamw)(REAL *param, REAL *exp_avg, REAL *exp_avg_sq, const REAL *grad,
                const struct adamw_params *p, size_t n)
{
    double b1 = p->beta1, b2 = p->beta2;
    REAL correction1 = (REAL)(1 - pow(b1, p->step)), correction2 = (REAL)(1 - pow(b2, p->step));
    for (size_t i = 0; i < n; i++) {
        REAL g = grad[i];
        exp_avg[i] = (REAL)b1 * exp_avg[i] + (REAL)(1 - b1) * g;
        exp_avg_sq[i] = (REAL)b2 * exp_avg_sq[i] + (REAL)(1 - b2) * g * g;
        REAL m = exp_avg[i] / correction1, v = exp_avg_sq[i] / correction2;
        param[i] -= (REAL)p->lr * (REAL)p->weight_decay * param[i];
        param[i] -= (REAL)p->lr * m / (MATH(sqrt)(v) + (REAL)p->eps);
    }
}
