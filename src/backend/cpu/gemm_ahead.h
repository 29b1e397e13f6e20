/* gemm_ahead.h: how a microkernel asks for the W of the next pass while it computes (gemm_tile's
 * `ahead`): a line for each line of W it reads, into the second-level cache. Into the first it
 * would push out X and the W in use (measured: slower than nothing, docs/PERF.md). */
#ifndef BACKEND_CPU_GEMM_AHEAD_H
#define BACKEND_CPU_GEMM_AHEAD_H
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/intrin.h"

/* Where to begin, and how far to go with each line. Nothing to ask for: always the first line of W,
 * which costs less than a branch. */
INLINE const char *gemm_ahead(const struct gemm_tile *t)
{
    return t->ahead ? t->ahead : t->w;
}

INLINE int gemm_ahead_step(const struct gemm_tile *t)
{
    return t->ahead ? t->ahead_step : 0;
}

/* A line for each of `count` panels. */
INLINE void gemm_ask(const char *ahead, size_t stride, int count)
{
    UNROLL
    for (int c = 0; c < count; c++)
        _mm_prefetch(ahead + c * stride, _MM_HINT_T1);
}

#endif
