/* backend.h: the seam to the hardware. Everything above it is written once; everything below it
 * exists once per device.
 *
 * A `struct device` is one opened device: a const table of operations and its private state. Memory
 * that operations read and write (`float *`, `void *` from `alloc`) is device memory: callers do
 * arithmetic on such pointers but never look behind them, they `upload` and `download`. Small
 * tables (ids, positions, rows, spans) and the results marked "host" are ordinary memory.
 *
 * Rules that hold for every operation:
 *  - row-major; R is the number of rows (tokens of all sequences end to end, no padding anywhere);
 *    R ≥ 1; outputs first, then inputs, then sizes; outputs do not alias inputs unless stated.
 *  - THE ROW RULE: the arithmetic of a row depends only on that row (and, in attention, on the keys
 *    before it), never on R, on its neighbours, on threads, or on how a sequence is cut into calls.
 *    Hence a token scored while sampling and while training gives the same bits.
 *  - gradients are prefixed d. Activation gradients are overwritten (=) unless the operation says
 *    it adds (+=); gradients of an adapter are written per segment and summed by the caller in a
 *    fixed tree (model/grad_tree.h); gradients of all parameters are added (see there).
 *  - nothing is allocated inside an operation after the first call of its size: scratch is sized
 *    by `reserve`.
 *  - wrong sizes or pointers are our bugs (CHECK); a failing device stops the program with the
 *    operation's name, file and line. Only opening, alloc and prepare return errors.
 *
 * Precision: in PRECISION_BF16 the frozen weights are bf16, every matrix product rounds its input
 * rows to bf16 (nearest even) and accumulates in f32, attention's too: keys and values are stored
 * as bf16; probabilities, and in the backward pass dout and the scores' gradients, are rounded
 * where they enter one. In PRECISION_F32 all of it is f32. Residual stream, norms, softmax (its
 * maximum, exponentials, sum), adapter, optimizer: f32. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/spans.h"
#include "backend/warpers.h"
#include "base/err.h"

enum precision { PRECISION_BF16, PRECISION_F32 };

/* Element type of a host array handed to prepare (formats/dtype.h has the same order). */
enum weight_dtype { WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16 };

typedef struct weight weight; /* a matrix W (N, K) laid out for this device's matrix kernels */

/* y = x·Wᵀ + bias + scale · (x·Aᵀ)·Bᵀ, evaluated in this order. */
struct linear {
    const weight *w;      /* (N, K), frozen */
    const float *bias;    /* (N) device, or NULL */
    const weight *lora_a; /* (rank, K), or NULL: no branch */
    const weight *lora_b; /* (N, rank) */
    float lora_scale;
    int n, k, rank; /* rank 0 without a branch */
};

enum { LINEARS_MOST = 3 };

/* The largest calls to come: rows, inner dimensions, a branch's rank, head_dim, vocabulary, keys a
 * query sees. */
struct scratch_need {
    int rows, dim, rank, head_dim, vocab, context;
};

/* In double: 1 − β₂ = 0.001 computed from a β₂ in float is off by 1.3e-5. */
struct adamw_params {
    double lr, beta1, beta2, eps, weight_decay;
    int step; /* 1-based, for bias correction */
};

struct device;

struct backend {
    const char *name; /* "cpu", "cuda" */

    /* --- memory --- */
    void *(*alloc)(struct device *d, size_t bytes,
                   struct err *err); /* 64-byte aligned; NULL: err set */
    void (*free)(struct device *d, void *p);
    void (*upload)(struct device *d, void *dst, const void *host, size_t bytes);
    void (*download)(struct device *d, void *host, const void *src, size_t bytes);
    void (*zero)(struct device *d, void *p, size_t bytes);
    void (*copy)(struct device *d, void *dst, const void *src, size_t bytes);
    /* Sizes the device's scratch. May be called again to grow. */
    int (*reserve)(struct device *d, const struct scratch_need *need, struct err *err);
    /* What reserve would hold, for the plan. */
    size_t (*scratch_bytes)(const struct device *d, const struct scratch_need *need);
    /* Of a cache of keys, or of values, of dims.cache_rows rows in the device's own layout. */
    size_t (*kv_bytes)(const struct device *d, struct attn_dims dims);
    /* Rows of both caches from and to (R, kv_heads·head_dim) matrices, rounded in bf16; one after
     * the other, for oracles and inspection. qk_rope writes them otherwise. */
    void (*kv_write)(struct device *d, void *k_cache, void *v_cache, const float *k, const float *v,
                     const int *kv_rows, struct attn_dims dims, int R);
    void (*kv_read)(struct device *d, float *k, float *v, const void *k_cache, const void *v_cache,
                    const int *kv_rows, struct attn_dims dims, int R);

    /* --- weights --- */
    /* Lays out a host matrix (N, K) row-major; the host array is not kept. */
    weight *(*weight_prepare)(struct device *d, const void *host, enum weight_dtype dtype, int n,
                              int k, struct err *err);
    /* An empty weight for an adapter matrix, and its refresh from device f32 (N, K) in place. */
    weight *(*weight_create)(struct device *d, int n, int k, struct err *err);
    void (*weight_update)(struct device *d, weight *w, const float *values);
    void (*weight_free)(struct device *d, weight *w);
    size_t (*weight_bytes)(const struct device *d, int n, int k);

    /* --- forward --- */
    /* x (R, K) = rows ids of the table (host ids). */
    void (*embedding)(struct device *d, float *x, const int *ids, const weight *table, int R);
    /* y = x / rms(x) · gain; inv_rms (R) is kept for the backward pass (may be NULL). */
    void (*rmsnorm)(struct device *d, float *y, float *inv_rms, const float *x, const float *gain,
                    float eps, int R, int H);
    /* y = linear(x), or with a base (R, N), which may be y, base + linear(x). u (R, rank) receives
     * x·Aᵀ for the backward pass; it may be NULL when there is no branch or no backward pass. */
    void (*linear)(struct device *d, float *y, float *u, const float *x, const struct linear *l,
                   int R, const float *base);
    /* Up to LINEARS_MOST matrices of the same x: y[i] = l[i](x), u[i] as u above; the bits are
     * those of one after the other. */
    void (*linears)(struct device *d, float *const *y, float *const *u, const float *x,
                    const struct linear *l, int count, int R);
    /* Per head: RMSNorm with gain (head_dim) if q_gain/k_gain are given (Qwen3), then rotary
     * embedding (half-split pairs) by cos/sin rows (max_pos, head_dim/2) at positions (host, R).
     * q_out (R, heads·head_dim) f32, rounded to bf16 in bf16 mode. Rows of k and v go to rows
     * kv_rows (host, R) of k_cache and v_cache. */
    void (*qk_rope)(struct device *d, float *q_out, void *k_cache, void *v_cache, const float *q,
                    const float *k, const float *v, const float *q_gain, const float *k_gain,
                    float eps, const float *cos, const float *sin, const int *positions,
                    const int *kv_rows, struct attn_dims dims, int R);
    /* out (R, heads·head_dim) = softmax(q·kᵀ/√head_dim)·v; lse (R, heads): log-sum-exp of the
     * scaled scores, for the backward pass (may be NULL). The spans cover each row exactly once. */
    void (*attention)(struct device *d, float *out, float *lse, const float *q, const void *k_cache,
                      const void *v_cache, const struct attn_span *spans, int n_spans,
                      struct attn_dims dims, int R);
    /* y = silu(gate) · up, (R, I). */
    void (*swiglu)(struct device *d, float *y, const float *gate, const float *up, int R, int I);
    /* Log-probability of targets (host, R) under softmax(hidden·Wᵀ / temperature) and its entropy
     * in nats. host logp (R), host entropy (R, may be NULL), host logz (R, may be NULL; for
     * backward). Works in chunks of rows: never R × vocabulary. */
    void (*logprob)(struct device *d, float *logp, float *entropy, float *logz, const float *hidden,
                    const weight *head, const int *targets, float temperature, int R);
    /* Next token of each row by inverse CDF in id order: the first id whose cumulative probability
     * exceeds uniforms[r] (host, in [0, 1)); temperature 0: the largest logit, ties to the lower
     * id, and logp of the T = 1 distribution. host ids (R), host logp (R): the same bits as
     * `logprob` gives for that token. A row with a NaN logit gives id −1 and logp NaN.
     * warp (NULL: the whole distribution) chooses what is drawn from; logp stays that of the whole
     * one. At temperature 0 only its penalty counts, and its logp is of T = 1. */
    void (*next_token)(struct device *d, int *ids, float *logp, const float *hidden,
                       const weight *head, const double *uniforms, float temperature,
                       const struct warp *warp, int R);
    /* logits (R, N) = hidden·Wᵀ, for oracles and inspection. */
    void (*logits)(struct device *d, float *logits, const float *hidden, const weight *head, int R);

    /* --- backward --- */
    /* dx += gradient through rmsnorm. dy is with respect to y. */
    void (*rmsnorm_backward)(struct device *d, float *dx, const float *dy, const float *x,
                             const float *inv_rms, const float *gain, int R, int H);
    /* add = false: dx = dy·W + scale·(dy·B)·A; true: dx += …. dx may be NULL (nothing below needs
     * it). du (R, rank) receives scale·(dy·B), which lora_gradient wants; NULL without a branch. */
    void (*linear_backward)(struct device *d, float *dx, float *du, const float *dy,
                            const struct linear *l, int R, bool add);
    /* One segment's gradient of its branch: da (rank, K) = duᵀ·x, db (N, rank) = scale·dyᵀ·u over
     * rows [0, R), summed in row order from the segment's first row. All arithmetic in f32. */
    void (*lora_gradient)(struct device *d, float *da, float *db, const float *dy, const float *du,
                          const float *x, const float *u, float scale, int N, int K, int rank,
                          int R);
    /* dq (R, heads·head_dim), dk and dv (R, kv_heads·head_dim) of own keys, for spans with
     * own_pos = 0; span s also writes its own gradient of the prefix rows to dk_prefix[s] and
     * dv_prefix[s] (host arrays of device pointers to (prefix_len, kv_heads·head_dim); unused for
     * spans without a prefix). delta: out·dout per head is computed inside. */
    void (*attention_backward)(struct device *d, float *dq, float *dk, float *dv,
                               float *const *dk_prefix, float *const *dv_prefix, const float *dout,
                               const float *q, const void *k_cache, const void *v_cache,
                               const float *out, const float *lse, const struct attn_span *spans,
                               int n_spans, struct attn_dims dims, int R);
    /* Gradients through rotation and head norm: dq, dk (R, …) in place of the rotated ones become
     * those of the projections' outputs q, k (as given to qk_rope; unused without gains). */
    void (*qk_rope_backward)(struct device *d, float *dq, float *dk, const float *q, const float *k,
                             const float *q_gain, const float *k_gain, float eps, const float *cos,
                             const float *sin, const int *positions, struct attn_dims dims, int R);
    /* dgate, dup (R, I) from dy; dgate may alias gate and dup may alias up. */
    void (*swiglu_backward)(struct device *d, float *dgate, float *dup, const float *dy,
                            const float *gate, const float *up, int R, int I);
    /* dhidden (R, H) = d/dhidden of Σ dlogp[r]·logp[r]; logits are recomputed in chunks. dlogp and
     * logz (from `logprob`, same temperature): host, R. */
    void (*logprob_backward)(struct device *d, float *dhidden, const float *hidden,
                             const weight *head, const int *targets, const float *dlogp,
                             const float *logz, float temperature, int R);

    /* --- gradients of the model's own parameters ---
     * All add (+=). Each element is one accumulator that goes on from what is there and takes the
     * rows in order, so calls over parts of the rows give the bits of one call over all of them.
     * f32 in either precision: what the products rounded to bf16 enters unrounded here. */
    /* dw (N, K) += dyᵀ·x. */
    void (*weight_gradient)(struct device *d, float *dw, const float *dy, const float *x, int N,
                            int K, int R);
    void (*bias_gradient)(struct device *d, float *db, const float *dy, int N, int R); /* Σ dy */
    /* dgain (H) += Σ dy·x·inv_rms. */
    void (*gain_gradient)(struct device *d, float *dgain, const float *dy, const float *x,
                          const float *inv_rms, int R, int H);
    /* Of the head norms: dq_gain, dk_gain (head_dim), heads in order within a row. dq, dk, q, k as
     * qk_rope_backward takes them, before it. */
    void (*qk_gain_gradient)(struct device *d, float *dq_gain, float *dk_gain, const float *dq,
                             const float *dk, const float *q, const float *k, float eps,
                             const float *cos, const float *sin, const int *positions,
                             struct attn_dims dims, int R);
    /* Rows ids (host, R) of dtable (vocab, K) += rows of dx (R, K). */
    void (*embedding_gradient)(struct device *d, float *dtable, const int *ids, const float *dx,
                               int vocab, int K, int R);
    /* L = Σ dlogp[r]·logp[r] with logp of targets at temperature 1, the bits of `logprob`: host
     * logp (R), dhidden (R, H) =, dhead (V, H) +=; each may be NULL. In chunks, as logprob. */
    void (*head_gradient)(struct device *d, float *logp, float *dhidden, float *dhead,
                          const float *hidden, const weight *head, const int *targets,
                          const float *dlogp, int R);

    /* --- vectors and the optimizer --- */
    void (*add)(struct device *d, float *dst, const float *src, size_t n); /* dst += src */
    void (*scale)(struct device *d, float *x, float factor, size_t n);     /* x *= factor */
    /* Σ x² in double, in a fixed tree whatever the threads. */
    double (*sum_squares)(struct device *d, const float *x, size_t n);
    /* PyTorch's AdamW (decoupled weight decay), one step over n parameters. */
    void (*adamw)(struct device *d, float *param, float *exp_avg, float *exp_avg_sq,
                  const float *grad, const struct adamw_params *p, size_t n);
};

struct device {
    const struct backend *ops;
    enum precision precision;
    char isa[32]; /* "avx2", "avx512", "avx512bf16", "amx", "c"; "" where it has no meaning */
    int threads;
};

struct device_options {
    const char *device; /* "cpu" (default when NULL) or "cuda" */
    const char *isa;    /* NULL or "auto": the best this machine has */
    enum precision precision;
    int threads; /* 0: all cores */
};

/* ERR_MACHINE when the device or a known instruction set is not there, ERR_USAGE for an unknown one
 * (the message lists what is there). */
int device_open(struct device **out, const struct device_options *options, struct err *err);
void device_close(struct device *d);

/* Names of the instruction sets this build knows, best first, NULL-terminated; and whether this
 * machine has one. */
const char *const *device_isa_names(void);
bool device_isa_available(const char *isa);

#endif
