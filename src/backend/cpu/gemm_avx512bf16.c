/* gemm_avx512bf16.c: the bf16 microkernel for AVX512_BF16. vdpbf16ps adds two products to each of
 * 16 sums: a pair row of W (16 columns × 2 k) times a broadcast pair of X. The instruction fixes
 * the order inside of a pair (odd k first), rounds to nearest even after each product and treats
 * subnormal inputs and results as zero, whatever the control register says (Intel SDM, VDPBF16PS);
 * all of it is per element, so the row rule holds. f32 comes from gemm_avx512.c. */
#include <string.h>
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/gemm_zmm.h"

/* From how many rows on a product looks ahead, and its tiles ask. Below it, the streams of W alone
 * keep memory busy. Measured on Zen 4. */
enum { ASK_ROWS = 3 };

static int panels(int rows)
{
    return zmm_panels(rows);
}

/* 32 bf16 by another name; no instruction. */
INLINE __m512bh as_bf16(__m512i v)
{
    __m512bh out;
    memcpy(&out, &v, sizeof out);
    return out;
}

INLINE void tile_bf16(const struct gemm_tile *t, int rows, int count)
{
    const uint32_t *x = t->x; /* [K/2][rows] pairs */
    const char *w = t->w, *ahead = gemm_ahead(t);
    int step = gemm_ahead_step(t);
    struct zmm_sums s;
    zmm_load(&s, t, rows, count);
    for (int k = 0, end = t->k; k < end; k += 2) {
        __m512bh row[ZMM_PANELS];
        UNROLL
        for (int c = 0; c < count; c++)
            row[c] = as_bf16(_mm512_load_si512((const void *)(w + c * t->w_stride)));
        UNROLL
        for (int r = 0; r < rows; r++) {
            __m512bh broadcast = as_bf16(_mm512_set1_epi32((int)x[r]));
            UNROLL
            for (int c = 0; c < count; c++) {
                s.v[r][c] = _mm512_dpbf16_ps(s.v[r][c], broadcast, row[c]);
                KEEP_REGISTER(s.v[r][c]);
            }
        }
        x += rows;
        if (rows >= ASK_ROWS || t->ahead)
            gemm_ask(ahead, t->w_stride, count);
        ahead += step;
        w += GEMM_PANEL * sizeof(uint32_t);
    }
    zmm_store(t, &s, rows, count);
}

static void tile_bf16_any(const struct gemm_tile *t)
{
    ZMM_DISPATCH(tile_bf16)
}

const struct gemm_kernel GEMM_NAME(gemm_avx512bf16_bf16) = {
    .isa = "avx512bf16",
    .precision = PRECISION_BF16,
    .x_layout = GEMM_X_PAIRS,
    .rows = ZMM_ROWS,
    .row_step = 1,
    .k_step = 2,
    .k_block = ZMM_K_BLOCK,
    .group = ZMM_GROUP,
    .ahead_rows = ASK_ROWS,
    .panels = panels,
    .tile = tile_bf16_any,
    .transpose = GEMM_NAME(gemm_avx2_transpose_bf16),
    .lay_out = lay_out_pairs,
    .pack = pack_pairs,
    .write_out = write_out,
};
