/* ops.h: the row kernels behind the CPU backend's operations, one table per instruction set.
 *
 * A kernel works on one row, or on one (span, key-value head) of attention; cpu.c loops over rows
 * and divides them among threads. ops_body.h holds the code; ops_c.c, ops_avx2.c and ops_avx512.c
 * compile it under their instruction set's flags. */
#ifndef BACKEND_CPU_OPS_H
#define BACKEND_CPU_OPS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"

enum {
    ATTN_ROWS = 16,  /* (query, head) rows of one key-value head worked on together */
    SUM_BLOCK = 4096 /* elements of one leaf of sum_squares' tree */
};

/* What one key-value head's attention needs; rows r of the block are (query r / group, head r %
 * group). */
struct attn_job {
    const float *q;    /* query matrix, first row of the span */
    float *out, *lse;  /* as q; lse may be NULL */
    const void *k, *v; /* cache, element (row 0, this kv head) */
    size_t stride;     /* elements between cache rows */
    bool bf16;         /* element type of the cache */
    int prefix_row, prefix_len, own_row, own_pos;
    int heads, group, first_head, head_dim;
    float scale;      /* 1/√head_dim */
    float *scores;    /* scratch: ATTN_ROWS × score_stride (backward: twice that) */
    int score_stride; /* floats, a multiple of 16, ≥ keys */
};

struct attn_backward_job {
    struct attn_job f;            /* q, out, lse as computed; k, v */
    const float *dout;            /* first row of the span */
    float *dq;                    /* first row of the span */
    float *dk, *dv;               /* first own row, this kv head; row stride kv_dim */
    float *dk_prefix, *dv_prefix; /* as dk, for the prefix; NULL without one */
    int kv_dim;
};

struct ops_kernels {
    const char *name;
    float (*rmsnorm)(float *y, const float *x, const float *gain, float eps, int n); /* → 1/rms */
    void (*rmsnorm_backward)(float *dx, const float *dy, const float *x, float inv_rms,
                             const float *gain, int n); /* dx += */
    void (*swiglu)(float *y, const float *gate, const float *up, int n);
    void (*swiglu_backward)(float *dgate, float *dup, const float *dy, const float *gate,
                            const float *up, int n);
    /* One head in place: norm (gain may be NULL) and rotation; out may be x. */
    void (*head_rope)(float *out, const float *x, const float *gain, float eps, const float *cos,
                      const float *sin, int head_dim);
    void (*head_rope_backward)(float *dx, const float *x, const float *gain, float eps,
                               const float *cos, const float *sin, int head_dim); /* in place */
    void (*round_bf16)(float *x, int n);
    void (*store_bf16)(uint16_t *out, const float *x, int n);
    /* Rows [row0, row0 + n) of a span's (query, head) rows. */
    void (*attention)(const struct attn_job *job, int row0, int n);
    void (*attention_backward)(const struct attn_backward_job *job, int n_rows);
    /* In place: logits become z = logit / temperature; returns log Σ exp z. */
    float (*log_sum_exp)(float *logits, float temperature, int n);
    /* −Σ p·log p with p = exp(z − logz), in nats. */
    float (*entropy)(const float *z, float logz, int n);
    /* In place: z becomes coefficient · (onehot(target) − exp(z − logz)). */
    void (*logit_gradient)(float *z, float logz, int target, float coefficient, int n);
    /* First id whose cumulative probability exceeds u; see backend.h. */
    int (*sample)(const float *z, float logz, double u, int n);
    int (*argmax)(const float *z, int n); /* lowest id of the largest; −1 when one is NaN */
    void (*add)(float *dst, const float *src, size_t n);
    void (*scale)(float *x, float factor, size_t n);
    double (*sum_squares)(const float *x, size_t n); /* one leaf */
    void (*adamw)(float *param, float *m, float *v, const float *grad, const struct adamw_params *p,
                  size_t n);
    /* dst[j] = Σ_r a[r·a_stride] · b[r·b_stride + j] over rows r in order, j in [0, n); then ·
     * factor. */
    void (*outer_row)(float *dst, const float *a, size_t a_stride, const float *b, size_t b_stride,
                      int rows, float factor, int n);
};

extern const struct ops_kernels ops_c, ops_avx2, ops_avx512;

#endif
