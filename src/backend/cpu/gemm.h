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

struct gemm_kernel; /* gemm_kernel.h */
struct gemm;        /* kernels chosen, scratch owned: one per opened CPU device */

enum gemm_mode { GEMM_SET, GEMM_ADD }; /* Y = alpha·XWᵀ, Y += alpha·XWᵀ (alpha·acc, then add) */

/* isa NULL or "auto": the best this machine has. threads 0: all cores. ERR_MACHINE when the machine
 * lacks the instruction set; the message lists what it has. */
int gemm_open(struct gemm **out, const char *isa, enum precision precision, int threads,
              struct err *err);
const char *gemm_isa(const struct gemm *g); /* the one chosen, e.g. "avx2" */
/* The microkernels, for products whose operands lie elsewhere (attention). */
const struct gemm_kernel *gemm_kernel_of(const struct gemm *g);
struct team *gemm_team(struct gemm *g); /* its threads, for whatever stands beside products */
void gemm_close(struct gemm *g);
/* Scratch for up to max_rows rows and inner dimensions up to max_dim (the longest row that goes
 * into gemm_input); nothing is allocated later. May be called again to grow. */
int gemm_reserve(struct gemm *g, int max_rows, int max_dim, struct err *err);
size_t gemm_scratch_bytes(const struct gemm *g, int max_rows, int max_dim);

/* X is f32 with leading dimension ldx; it is rounded and laid out once (gemm_input) and may then be
 * multiplied by several weights (q, k, v; W and the branch's A). Valid until the next gemm_input.
 */
void gemm_input(struct gemm *g, const float *x, int ldx, int M, int K);
void gemm_forward(struct gemm *g, float *y, int ldy, const struct packed *w, float alpha,
                  enum gemm_mode mode);
void gemm_backward(struct gemm *g, float *x, int ldx, const struct packed *w, float alpha,
                   enum gemm_mode mode); /* after gemm_input of Y (M, N) */

/* dW (N, K) += Yᵀ·X with Y (R, N) and X (R, K): the gradient of a weight that is trained. All f32
 * in either precision, on the f32 microkernels. Every element is one accumulator that goes on from
 * what dW holds and takes the rows in order: several calls give the bits of one over all rows. */
void gemm_gradient(struct gemm *g, float *dw, const float *y, int N, const float *x, int K, int R);

#endif
