/* gemm.h: activation × frozen weight on the CPU, the products everything else waits for.
 *
 *   forward    Y (M, N) = X (M, K) · Wᵀ          reduces over K
 *   backward   X (M, K) = Y (M, N) · W           reduces over N, from the same packed copy of W
 *
 * One packed layout per precision serves every instruction set and both directions (packed.h).
 * The backward direction transposes the weight panel by panel into a thread's buffer (amortised
 * over M) and runs the same microkernel.
 *
 * Row rule: every element of the result is one accumulator that takes its K products in one fixed
 * order; M, tiles and threads only choose which elements are computed together. Threads split N (or
 * K for backward) and M, never the reduced dimension. A microkernel file per instruction set
 * provides a struct gemm_kernel; gemm.c does blocking and threads. */
#ifndef BACKEND_CPU_GEMM_H
#define BACKEND_CPU_GEMM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"
#include "backend/cpu/packed.h"

enum { GEMM_MOST = LINEARS_MOST }; /* products of one input in one piece of work */

struct gemm_kernel; /* gemm_kernel.h */
struct gemm;        /* kernels chosen, scratch owned: one per opened CPU device */

/* What one product of the input with a weight is part of:
 *
 *   forward    Y = base + alpha · (X·Wᵀ + bias + scale·U·Bᵀ)
 *   backward   X = base + alpha · (Y·W + scale·U·A)
 *
 * What is in brackets is added from the left, then scaled, then added to the base. U is the input's
 * inner product: X·Aᵀ (gemm_input_inner), or what gemm_inner was given. All of it is done to a tile
 * while it is in the cache. */
struct gemm_sum {
    const struct packed *w;
    float alpha;
    const float *bias;           /* (N), or NULL */
    const struct packed *branch; /* B (N, rank), backward A (rank, K); or NULL */
    float scale;                 /* of the branch */
    const float
        *base; /* as the result, with its leading dimension: itself, or apart from it; or NULL */
};

/* An inner product of the input: u (M, rank), end to end, = X·Aᵀ of a (rank, K); rank ≤ max_rank.
 */
struct gemm_inner {
    const struct packed *a; /* NULL: none */
    float *u;
};

struct gemm_result {
    float *y; /* (M, N) with leading dimension ldy */
    int ldy;
    struct gemm_sum sum;
};

/* isa NULL or "auto": the best this machine has. threads 0: all cores. ERR_MACHINE when the machine
 * lacks the instruction set; the message lists what it has. */
int gemm_open(struct gemm **out, const char *isa, enum precision precision, int threads,
              struct err *err);
const char *gemm_isa(const struct gemm *g); /* the one chosen, e.g. "avx2" */
/* The microkernels, for products whose operands lie elsewhere (attention). */
const struct gemm_kernel *gemm_kernel_of(const struct gemm *g);
struct team *gemm_team(struct gemm *g); /* its threads, for whatever stands beside products */
void gemm_close(struct gemm *g);
/* Scratch for up to max_rows rows, inner dimensions up to max_dim (the longest row that goes into
 * gemm_input) and branches up to max_rank; nothing is allocated later. May be called again to grow.
 */
int gemm_reserve(struct gemm *g, int max_rows, int max_dim, int max_rank, struct err *err);
/* What that takes: an input (x, or u of rank K) of M rows, and the threads' scratch. */
size_t gemm_input_bytes(const struct gemm *g, int M, int K);
size_t gemm_scratch_bytes(const struct gemm *g, int max_rank);

/* X is f32 with leading dimension ldx; it is rounded and laid out once and may then be multiplied
 * by several weights (backward: the branch's B, then W). Valid until the next input or
 * gemm_reserve. */
void gemm_input(struct gemm *g, const float *x, int ldx, int M, int K);
/* The same, and up to GEMM_MOST inner products; their roundings are kept beside the input. */
void gemm_input_inner(struct gemm *g, const float *x, int ldx, int M, int K,
                      const struct gemm_inner *inner, int n);
/* u (M, rank), computed elsewhere, is the first inner product of the input that was given before.
 */
void gemm_inner(struct gemm *g, const float *u, int rank);
void gemm_forward(struct gemm *g, float *y, int ldy, const struct gemm_sum *sum);
/* Several weights of the same K, one after the other, as one piece of work; the i-th sum's branch
 * goes with the i-th inner product. */
void gemm_forward_all(struct gemm *g, const struct gemm_result *results, int n);
void gemm_backward(struct gemm *g, float *x, int ldx,
                   const struct gemm_sum *sum); /* after gemm_input of Y (M, N); no bias */

/* dW (N, K) += Yᵀ·X with Y (R, N) and X (R, K): the gradient of a weight that is trained. All f32
 * in either precision, on the f32 microkernels. Every element is one accumulator that goes on from
 * what dW holds and takes the rows in order: several calls give the bits of one over all rows. */
void gemm_gradient(struct gemm *g, float *dw, const float *y, int N, const float *x, int K, int R);

#endif
