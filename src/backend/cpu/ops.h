/* ops.h: the row kernels behind the CPU backend's operations, one table per instruction set.
 *
 * A kernel works on one row; cpu.c loops over rows and divides them among threads. ops_body.h holds
 * the code; ops_c.c, ops_avx2.c and ops_avx512.c compile it under their instruction set's flags. */
#ifndef BACKEND_CPU_OPS_H
#define BACKEND_CPU_OPS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"

enum { SUM_BLOCK = 4096 }; /* elements of one leaf of sum_squares' tree */

/* dst (ni, nj) = factor · Σ_r a[r][i]·b[r][j] over rows r in order; resume: the sums start from
 * what dst holds (and factor is 1). */
struct outer {
    float *dst;
    size_t dst_stride;
    const float *a;
    size_t a_stride;
    const float *b;
    size_t b_stride;
    int rows, ni, nj;
    bool resume;
    float factor;
};

struct ops_kernels {
    const char *name;
    float (*rmsnorm)(float *y, const float *x, const float *gain, float eps, int n); /* → 1/rms */
    void (*rmsnorm_backward)(float *dx, const float *dy, const float *x, float inv_rms,
                             const float *gain, int n); /* dx += */
    /* One row's part: dgain += dy·x·inv_rms. */
    void (*gain_gradient)(float *dgain, const float *dy, const float *x, float inv_rms, int n);
    void (*swiglu)(float *y, const float *gate, const float *up, int n);
    void (*swiglu_backward)(float *dgate, float *dup, const float *dy, const float *gate,
                            const float *up, int n);
    /* One head in place: norm (gain may be NULL) and rotation; out may be x. */
    void (*head_rope)(float *out, const float *x, const float *gain, float eps, const float *cos,
                      const float *sin, int head_dim);
    void (*head_rope_backward)(float *dx, const float *x, const float *gain, float eps,
                               const float *cos, const float *sin, int head_dim); /* in place */
    /* One head's part of dgain; dx as head_rope_backward takes it. back: scratch, head_dim. */
    void (*head_gain_gradient)(float *dgain, float *back, const float *dx, const float *x,
                               float eps, const float *cos, const float *sin, int head_dim);
    void (*round_bf16)(float *x, int n);
    void (*store_bf16)(uint16_t *out, const float *x, int n);
    float (*dot)(const float *a, const float *b, int n);
    /* In place: scores[j] → exp(scores[j]·scale − max); returns the sum and the log-sum-exp. */
    float (*softmax)(float *scores, float scale, int n, float *lse);
    /* In place: p = exp(s·scale − lse) from s, ds = p·(dp − delta)·scale from dp. */
    void (*score_gradient)(float *p, float *ds, float scale, int n, float lse, float delta);
    /* In place: logits become z = logit / temperature; returns log Σ exp z. */
    float (*log_sum_exp)(float *logits, float temperature, int n);
    /* −Σ p·log p with p = exp(z − logz), in nats. */
    float (*entropy)(const float *z, float logz, int n);
    /* In place: z becomes coefficient · (onehot(target) − exp(z − logz)). */
    void (*logit_gradient)(float *z, float logz, int target, float coefficient, int n);
    /* First id whose cumulative probability exceeds u; see backend.h. */
    int (*sample)(const float *z, float logz, double u, int n);
    /* e = exp(z − max z); returns max z. No NaN, max z finite. */
    float (*exponentials)(float *e, const float *z, int n);
    int (*argmax)(const float *z, int n); /* lowest id of the largest; −1 when one is NaN */
    void (*add)(float *dst, const float *src, size_t n);
    void (*scale)(float *x, float factor, size_t n);
    double (*sum_squares)(const float *x, size_t n); /* one leaf */
    void (*adamw)(float *param, float *m, float *v, const float *grad, const struct adamw_params *p,
                  size_t n);
    void (*outer)(const struct outer *o);
};

extern const struct ops_kernels ops_c, ops_avx2, ops_avx512;

#endif
