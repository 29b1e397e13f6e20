/* gemm_zmm.h: what the AVX-512 microkernels share, gemm_avx512.c and gemm_avx512bf16.c: the shape
 * of a tile in the 32 registers of 16 floats, and the dispatch to constant sizes.
 *
 * A tile of 8 rows × 3 panels is 24 accumulators; 3 registers more hold W's panel rows and one the
 * broadcast of X, which the compilers fold into the multiplication where they can. That is 24
 * multiply-adds for 11 loads. One or two rows take 4 panels: four streams of W. */
#ifndef BACKEND_CPU_GEMM_ZMM_H
#define BACKEND_CPU_GEMM_ZMM_H
#include "backend/cpu/gemm_ahead.h"
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/intrin.h"

enum { ZMM_ROWS = 8, ZMM_PANELS = 4, ZMM_GROUP = 12, ZMM_K_BLOCK = 512 };

struct zmm_sums {
    __m512 v[ZMM_ROWS][ZMM_PANELS];
};

INLINE int zmm_panels(int rows)
{
    return rows <= 2 ? 4 : 3;
}

INLINE void zmm_load(struct zmm_sums *s, const struct gemm_tile *t, int rows, int count)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < count; c++)
            s->v[r][c] = t->resume ? _mm512_loadu_ps(t->acc + r * t->acc_ld + c * GEMM_PANEL)
                                   : _mm512_setzero_ps();
    }
}

INLINE void zmm_store(const struct gemm_tile *t, const struct zmm_sums *s, int rows, int count)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < count; c++)
            _mm512_storeu_ps(t->acc + r * t->acc_ld + c * GEMM_PANEL, s->v[r][c]);
    }
}

/* Calls tile(t, rows, panels) with constants. */
#define ZMM_CASE(tile, rows, panels)                                                               \
    case (rows)*8 + (panels):                                                                      \
        tile(t, rows, panels);                                                                     \
        break;
#define ZMM_CASES(tile, rows)                                                                      \
    ZMM_CASE(tile, rows, 1)                                                                        \
    ZMM_CASE(tile, rows, 2)                                                                        \
    ZMM_CASE(tile, rows, 3)
#define ZMM_DISPATCH(tile)                                                                         \
    switch (t->rows * 8 + t->panels) {                                                             \
        ZMM_CASES(tile, 1)                                                                         \
        ZMM_CASE(tile, 1, 4)                                                                       \
        ZMM_CASES(tile, 2)                                                                         \
        ZMM_CASE(tile, 2, 4)                                                                       \
        ZMM_CASES(tile, 3)                                                                         \
        ZMM_CASES(tile, 4)                                                                         \
        ZMM_CASES(tile, 5)                                                                         \
        ZMM_CASES(tile, 6)                                                                         \
        ZMM_CASES(tile, 7)                                                                         \
        ZMM_CASES(tile, 8)                                                                         \
    }

#endif
