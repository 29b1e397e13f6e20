/* gemm_avx2.c: microkernels for AVX2 and FMA.
 *
 * Registers: a tile of 6 rows × 16 columns is 12 accumulators of 8 floats, two more hold the panel
 * row of W and one the broadcast element of X; 12 independent chains hide the 4 or 5 cycles of an
 * FMA at two a cycle. Fewer rows take more panels (in f32 1 × 64, 2 × 48, 3 × 32): as many chains,
 * and W, which is what one waits for then, is read in several streams. In bf16 the widened W needs
 * registers of its own: 2 × 32 and 3 × 16, else sums would go to memory and back for every k.
 *
 * bf16: X is rounded and kept as f32, W is widened in registers: a pair (k even, k odd) in 32 bits
 * becomes two f32 by a shift and by a mask. Products of two bf16 are exact in f32 anyway, so this
 * is "bf16 inputs, f32 accumulation" to the letter.
 *
 * Each tile size is the same function inlined with constant sizes. */
#include "backend/cpu/gemm_ahead.h"
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/intrin.h"

enum { ROWS = 6, LANES = 8, MAX_VECTORS = 8 }; /* vectors of a tile's row: 2 per panel */

/* From how many rows on a product looks ahead, and a tile asks (fewer where a product that looks
 * ahead may be cut into such tiles: blocks are as equal as possible). Below it, the streams of W
 * alone keep memory busy. Measured on Zen 4. */
enum { AHEAD_F32 = 4, ASK_F32 = 3, AHEAD_BF16 = 2, ASK_BF16 = 2 };

static int panels_f32(int rows)
{
    static const int by_rows[ROWS + 1] = {0, 4, 3, 2, 1, 1, 1};
    return by_rows[rows];
}

static int panels_bf16(int rows)
{
    static const int by_rows[ROWS + 1] = {0, 4, 2, 1, 1, 1, 1};
    return by_rows[rows];
}

/* The accumulators of a tile: a variable per register, which the unrolled loops resolve. */
struct sums {
    __m256 v[ROWS][MAX_VECTORS];
};

INLINE void load(struct sums *s, const struct gemm_tile *t, int rows, int vectors)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < vectors; c++)
            s->v[r][c] = t->resume ? _mm256_loadu_ps(t->acc + r * t->acc_ld + c * LANES)
                                   : _mm256_setzero_ps();
    }
}

INLINE void store(const struct gemm_tile *t, const struct sums *s, int rows, int vectors)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < vectors; c++)
            _mm256_storeu_ps(t->acc + r * t->acc_ld + c * LANES, s->v[r][c]);
    }
}

/* s += x (rows) · w (vectors · 8) for one k. Sixteen registers are just enough, and left alone the
 * compilers parked sums in memory between the two halves of a pair (a third slower): KEEP_REGISTER
 * tells them that each sum is wanted now. */
INLINE void rank_one(struct sums *s, const float *x, const __m256 *w, int rows, int vectors)
{
    UNROLL
    for (int r = 0; r < rows; r++) {
        __m256 broadcast = _mm256_broadcast_ss(x + r);
        UNROLL
        for (int c = 0; c < vectors; c++) {
            s->v[r][c] = _mm256_fmadd_ps(broadcast, w[c], s->v[r][c]);
            KEEP_REGISTER(s->v[r][c]);
        }
    }
}

INLINE void tile_f32(const struct gemm_tile *t, int rows, int count)
{
    const float *x = t->x;
    const char *w = t->w, *ahead = gemm_ahead(t);
    int step = gemm_ahead_step(t);
    int vectors = 2 * count;
    struct sums s;
    load(&s, t, rows, vectors);
    for (int k = 0, end = t->k; k < end; k++) {
        __m256 row[MAX_VECTORS];
        UNROLL
        for (int c = 0; c < vectors; c++)
            row[c] = _mm256_load_ps((const float *)(w + (c / 2) * t->w_stride) + c % 2 * LANES);
        rank_one(&s, x, row, rows, vectors);
        x += rows;
        if (rows >= ASK_F32 || t->ahead)
            gemm_ask(ahead, t->w_stride, count);
        ahead += step;
        w += GEMM_PANEL * sizeof(float);
    }
    store(t, &s, rows, vectors);
}

/* In memory and not in a register: sixteen are just enough for the sums. */
static const _Alignas(32) uint32_t upper_halves[LANES] = {0xffff0000u, 0xffff0000u, 0xffff0000u,
                                                          0xffff0000u, 0xffff0000u, 0xffff0000u,
                                                          0xffff0000u, 0xffff0000u};

INLINE void tile_bf16(const struct gemm_tile *t, int rows, int count)
{
    const float *x = t->x;
    const char *w = t->w, *ahead = gemm_ahead(t);
    int step = gemm_ahead_step(t);
    int vectors = 2 * count;
    const uint32_t *upper = upper_halves;
    struct sums s;
    load(&s, t, rows, vectors);
    for (int k = 0, end = t->k; k < end; k += 2) {
        __m256 row[MAX_VECTORS];
        UNROLL
        for (int c = 0; c < vectors; c++) {
            __m256i pair = _mm256_load_si256((const __m256i *)(w + (c / 2) * t->w_stride) + c % 2);
            row[c] = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
        }
        rank_one(&s, x, row, rows, vectors);
        FORGET(upper);
        UNROLL
        for (int c = 0; c < vectors; c++) {
            __m256i pair = _mm256_load_si256((const __m256i *)(w + (c / 2) * t->w_stride) + c % 2);
            row[c] = _mm256_castsi256_ps(
                _mm256_and_si256(_mm256_load_si256((const __m256i *)upper), pair));
        }
        rank_one(&s, x + rows, row, rows, vectors);
        x += 2 * rows;
        if (rows >= ASK_BF16 || t->ahead)
            gemm_ask(ahead, t->w_stride, count);
        ahead += step;
        w += GEMM_PANEL * sizeof(uint32_t);
    }
    store(t, &s, rows, vectors);
}

/* Rows and panels become constants here. */
#define DISPATCH(tile)                                                                             \
    switch (t->rows * 8 + t->panels) {                                                             \
    case 1 * 8 + 1:                                                                                \
        tile(t, 1, 1);                                                                             \
        break;                                                                                     \
    case 1 * 8 + 2:                                                                                \
        tile(t, 1, 2);                                                                             \
        break;                                                                                     \
    case 1 * 8 + 3:                                                                                \
        tile(t, 1, 3);                                                                             \
        break;                                                                                     \
    case 1 * 8 + 4:                                                                                \
        tile(t, 1, 4);                                                                             \
        break;                                                                                     \
    case 2 * 8 + 1:                                                                                \
        tile(t, 2, 1);                                                                             \
        break;                                                                                     \
    case 2 * 8 + 2:                                                                                \
        tile(t, 2, 2);                                                                             \
        break;                                                                                     \
    case 2 * 8 + 3:                                                                                \
        tile(t, 2, 3);                                                                             \
        break;                                                                                     \
    case 3 * 8 + 1:                                                                                \
        tile(t, 3, 1);                                                                             \
        break;                                                                                     \
    case 3 * 8 + 2:                                                                                \
        tile(t, 3, 2);                                                                             \
        break;                                                                                     \
    case 4 * 8 + 1:                                                                                \
        tile(t, 4, 1);                                                                             \
        break;                                                                                     \
    case 5 * 8 + 1:                                                                                \
        tile(t, 5, 1);                                                                             \
        break;                                                                                     \
    default:                                                                                       \
        tile(t, 6, 1);                                                                             \
        break;                                                                                     \
    }

static void tile_f32_any(const struct gemm_tile *t)
{
    DISPATCH(tile_f32)
}

static void tile_bf16_any(const struct gemm_tile *t){DISPATCH(tile_bf16)}

/* 4 × 4 units of 64 bits: out row i, unit j = in row j, unit i. */
INLINE void transpose_4x4(__m256i out[4], const __m256i in[4])
{
    __m256i a = _mm256_unpacklo_epi64(in[0], in[1]), b = _mm256_unpackhi_epi64(in[0], in[1]);
    __m256i c = _mm256_unpacklo_epi64(in[2], in[3]), d = _mm256_unpackhi_epi64(in[2], in[3]);
    out[0] = _mm256_permute2x128_si256(a, c, 0x20);
    out[1] = _mm256_permute2x128_si256(b, d, 0x20);
    out[2] = _mm256_permute2x128_si256(a, c, 0x31);
    out[3] = _mm256_permute2x128_si256(b, d, 0x31);
}

/* Two n and two k are 64 bits in both layouts, (n k)(n k+1)(n+1 k)(n+1 k+1) in the source: a byte
 * shuffle inside of each unit and a transposition of 8 × 8 units. */
void GEMM_NAME(gemm_avx2_transpose_bf16)(void *out, size_t out_stride, const void *in,
                                         size_t in_stride, int count)
{
    const __m256i swap = _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0,
                                          1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15);
    for (int i = 0; i < count; i++) {
        const __m256i *source = (const __m256i *)((const char *)in + i * in_stride);
        __m256i *target = (__m256i *)((char *)out + i * out_stride);
        for (int quarter = 0; quarter < 4; quarter++) {
            int p = quarter / 2, q = quarter % 2; /* units 4p… of k, 4q… of n */
            __m256i rows[4], columns[4];
            for (int j = 0; j < 4; j++)
                rows[j] =
                    _mm256_shuffle_epi8(_mm256_load_si256(source + (4 * p + j) * 2 + q), swap);
            transpose_4x4(columns, rows);
            for (int j = 0; j < 4; j++)
                _mm256_store_si256(target + (4 * q + j) * 2 + p, columns[j]);
        }
    }
}

/* 8 × 8 floats: pairs of rows are interleaved to units of 64 bits (column c of two rows), which
 * then change places as above. */
INLINE void transpose_8x8(float *out, const float *in)
{
    __m256i low[4], high[4], a[4], b[4];
    for (int j = 0; j < 4; j++) {
        __m256 even = _mm256_load_ps(in + 2 * j * GEMM_PANEL);
        __m256 odd = _mm256_load_ps(in + (2 * j + 1) * GEMM_PANEL);
        low[j] = _mm256_castps_si256(_mm256_unpacklo_ps(even, odd));  /* columns 0 1 | 4 5 */
        high[j] = _mm256_castps_si256(_mm256_unpackhi_ps(even, odd)); /* columns 2 3 | 6 7 */
    }
    transpose_4x4(a, low);
    transpose_4x4(b, high);
    for (int j = 0; j < 4; j++) {
        int column = j / 2 * 4 + j % 2;
        _mm256_store_si256((__m256i *)(out + column * GEMM_PANEL), a[j]);
        _mm256_store_si256((__m256i *)(out + (column + 2) * GEMM_PANEL), b[j]);
    }
}

void GEMM_NAME(gemm_avx2_transpose_f32)(void *out, size_t out_stride, const void *in,
                                        size_t in_stride, int count)
{
    for (int i = 0; i < count; i++) {
        const float *source = (const float *)((const char *)in + i * in_stride);
        float *target = (float *)((char *)out + i * out_stride);
        for (int quarter = 0; quarter < 4; quarter++) {
            int k = quarter / 2 * LANES, n = quarter % 2 * LANES;
            transpose_8x8(target + n * GEMM_PANEL + k, source + k * GEMM_PANEL + n);
        }
    }
}

const struct gemm_kernel GEMM_NAME(gemm_avx2_f32) = {
    .isa = "avx2",
    .precision = PRECISION_F32,
    .x_layout = GEMM_X_F32,
    .rows = ROWS,
    .row_step = 1,
    .k_step = 1,
    .k_block = 512,
    .group = 8,
    .ahead_rows = AHEAD_F32,
    .panels = panels_f32,
    .tile = tile_f32_any,
    .transpose = GEMM_NAME(gemm_avx2_transpose_f32),
    .lay_out = lay_out_f32,
    .pack = pack_f32,
    .write_out = write_out,
};

const struct gemm_kernel GEMM_NAME(gemm_avx2_bf16) = {
    .isa = "avx2",
    .precision = PRECISION_BF16,
    .x_layout = GEMM_X_F32,
    .rows = ROWS,
    .row_step = 1,
    .k_step = 2,
    .k_block = 512,
    .group = 8,
    .ahead_rows = AHEAD_BF16,
    .panels = panels_bf16,
    .tile = tile_bf16_any,
    .transpose = GEMM_NAME(gemm_avx2_transpose_bf16),
    .lay_out = lay_out_rounded,
    .pack = pack_pairs,
    .write_out = write_out,
};
