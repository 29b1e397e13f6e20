/* gemm_avx512.c: microkernels for AVX-512 without dot-product instructions: f32, and bf16 widened
 * in registers by shift and mask as in gemm_avx2.c. The same fused multiply-adds in the same order
 * as there, so both sets give the same bits (a test holds them to it). Registers: gemm_zmm.h. */
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/gemm_zmm.h"

/* From how many rows on a product looks ahead, and a tile asks (fewer where a product that looks
 * ahead may be cut into such tiles: blocks are as equal as possible). Below it, the streams of W
 * alone keep memory busy. Measured on Zen 4. */
enum { AHEAD_F32 = 5, ASK_F32 = 4, AHEAD_BF16 = 2, ASK_BF16 = 2 };

static int panels(int rows)
{
    return zmm_panels(rows);
}

/* s += x (rows) · w (panels · 16) for one k. */
INLINE void rank_one(struct zmm_sums *s, const float *x, const __m512 *w, int rows, int count)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        __m512 broadcast = _mm512_set1_ps(x[r]);
        UNROLL
        for (int c = 0; c < count; c++) {
            s->v[r][c] = _mm512_fmadd_ps(broadcast, w[c], s->v[r][c]);
            KEEP_REGISTER(s->v[r][c]);
        }
    }
}

INLINE void tile_f32(const struct gemm_tile *t, int rows, int count)
{
    const float *x = t->x;
    const char *w = t->w, *ahead = gemm_ahead(t);
    int step = gemm_ahead_step(t);
    struct zmm_sums s;
    zmm_load(&s, t, rows, count);
    for (int k = 0, end = t->k; k < end; k++) {
        __m512 row[ZMM_PANELS];
        UNROLL
        for (int c = 0; c < count; c++)
            row[c] = _mm512_load_ps(w + c * t->w_stride);
        rank_one(&s, x, row, rows, count);
        x += rows;
        if (rows >= ASK_F32 || t->ahead)
            gemm_ask(ahead, t->w_stride, count);
        ahead += step;
        w += GEMM_PANEL * sizeof(float);
    }
    zmm_store(t, &s, rows, count);
}

INLINE void tile_bf16(const struct gemm_tile *t, int rows, int count)
{
    const float *x = t->x;
    const char *w = t->w, *ahead = gemm_ahead(t);
    int step = gemm_ahead_step(t);
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    struct zmm_sums s;
    zmm_load(&s, t, rows, count);
    for (int k = 0, end = t->k; k < end; k += 2) {
        __m512 even[ZMM_PANELS], odd[ZMM_PANELS];
        UNROLL
        for (int c = 0; c < count; c++) {
            __m512i pair = _mm512_load_si512((const void *)(w + c * t->w_stride));
            even[c] = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
            odd[c] = _mm512_castsi512_ps(_mm512_and_si512(pair, upper));
        }
        rank_one(&s, x, even, rows, count);
        rank_one(&s, x + rows, odd, rows, count);
        x += 2 * rows;
        if (rows >= ASK_BF16 || t->ahead)
            gemm_ask(ahead, t->w_stride, count);
        ahead += step;
        w += GEMM_PANEL * sizeof(uint32_t);
    }
    zmm_store(t, &s, rows, count);
}

static void tile_f32_any(const struct gemm_tile *t)
{
    ZMM_DISPATCH(tile_f32)
}

static void tile_bf16_any(const struct gemm_tile *t)
{
    ZMM_DISPATCH(tile_bf16)
}

const struct gemm_kernel GEMM_NAME(gemm_avx512_f32) = {
    .isa = "avx512",
    .precision = PRECISION_F32,
    .x_layout = GEMM_X_F32,
    .rows = ZMM_ROWS,
    .row_step = 1,
    .k_step = 1,
    .k_block = ZMM_K_BLOCK,
    .group = ZMM_GROUP,
    .ahead_rows = AHEAD_F32,
    .panels = panels,
    .tile = tile_f32_any,
    .transpose = GEMM_NAME(gemm_avx2_transpose_f32),
    .lay_out = lay_out_f32,
    .pack = pack_f32,
    .write_out = write_out,
};

const struct gemm_kernel GEMM_NAME(gemm_avx512_bf16) = {
    .isa = "avx512",
    .precision = PRECISION_BF16,
    .x_layout = GEMM_X_F32,
    .rows = ZMM_ROWS,
    .row_step = 1,
    .k_step = 2,
    .k_block = ZMM_K_BLOCK,
    .group = ZMM_GROUP,
    .ahead_rows = AHEAD_BF16,
    .panels = panels,
    .tile = tile_bf16_any,
    .transpose = GEMM_NAME(gemm_avx2_transpose_bf16),
    .lay_out = lay_out_rounded,
    .pack = pack_pairs,
    .write_out = write_out,
};
