/* gemm_c.c: the microkernel in plain C, for any machine and as the reference that the intrinsics
 * are read against. Four rows and one panel at a time; the compiler may vectorise over the 16
 * columns, which are independent sums, but not over k. No fused multiply-add: x86-64's base has
 * none, and -ffp-contract=off keeps the result the same with every compiler. */
#include <string.h>
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/gemm_layout.h"

enum { ROWS = 4 };

static int panels(int rows)
{
    (void)rows;
    return 1;
}

static void load(float acc[ROWS][GEMM_PANEL], const struct gemm_tile *t)
{
    for (int r = 0; r < t->rows; r++) {
        if (t->resume)
            memcpy(acc[r], t->acc + r * t->acc_ld, sizeof acc[r]);
        else
            memset(acc[r], 0, sizeof acc[r]);
    }
}

static void store(const struct gemm_tile *t, float acc[ROWS][GEMM_PANEL])
{
    for (int r = 0; r < t->rows; r++)
        memcpy(t->acc + r * t->acc_ld, acc[r], sizeof acc[r]);
}

/* acc (rows, 16) += x (rows) · w (16) for one k. */
static void rank_one(float acc[ROWS][GEMM_PANEL], const float *x, const float *w, int rows)
{
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < GEMM_PANEL; c++)
            acc[r][c] += x[r] * w[c];
    }
}

static void tile_f32(const struct gemm_tile *t)
{
    const float *x = t->x, *w = t->w;
    float acc[ROWS][GEMM_PANEL];
    load(acc, t);
    for (int k = 0; k < t->k; k++)
        rank_one(acc, x + (size_t)k * t->rows, w + (size_t)k * GEMM_PANEL, t->rows);
    store(t, acc);
}

/* A bf16 is the upper half of an f32: a pair (k even, k odd) in 32 bits is widened by a shift and
 * by a mask. */
static void tile_bf16(const struct gemm_tile *t)
{
    const float *x = t->x;
    const uint32_t *w = t->w; /* [K/2][16] pairs; the machine is little-endian */
    float acc[ROWS][GEMM_PANEL];
    load(acc, t);
    for (int k = 0; k < t->k; k += 2, w += GEMM_PANEL, x += 2 * t->rows) {
        uint32_t bits[2][GEMM_PANEL];
        float wide[2][GEMM_PANEL];
        for (int c = 0; c < GEMM_PANEL; c++) {
            bits[0][c] = w[c] << 16;
            bits[1][c] = w[c] & 0xffff0000u;
        }
        memcpy(wide, bits, sizeof wide);
        rank_one(acc, x, wide[0], t->rows);
        rank_one(acc, x + t->rows, wide[1], t->rows);
    }
    store(t, acc);
}

static void transpose_f32(void *out, size_t out_stride, const void *in, size_t in_stride, int count)
{
    for (int i = 0; i < count; i++) {
        float *o = (float *)((char *)out + i * out_stride);
        const float *s = (const float *)((const char *)in + i * in_stride);
        for (int n = 0; n < GEMM_PANEL; n++) {
            for (int k = 0; k < GEMM_PANEL; k++)
                o[n * GEMM_PANEL + k] = s[k * GEMM_PANEL + n];
        }
    }
}

/* [k/2][n][k%2] → [n/2][k][n%2]. */
static void transpose_bf16(void *out, size_t out_stride, const void *in, size_t in_stride,
                           int count)
{
    for (int i = 0; i < count; i++) {
        uint16_t *o = (uint16_t *)((char *)out + i * out_stride);
        const uint16_t *s = (const uint16_t *)((const char *)in + i * in_stride);
        for (int n = 0; n < GEMM_PANEL; n++) {
            for (int k = 0; k < GEMM_PANEL; k++)
                o[((n / 2) * GEMM_PANEL + k) * 2 + n % 2] =
                    s[((k / 2) * GEMM_PANEL + n) * 2 + k % 2];
        }
    }
}

const struct gemm_kernel GEMM_NAME(gemm_c_f32) = {
    .isa = "c",
    .precision = PRECISION_F32,
    .x_layout = GEMM_X_F32,
    .rows = ROWS,
    .row_step = 1,
    .k_step = 1,
    .k_block = 512,
    .group = 8,
    .panels = panels,
    .tile = tile_f32,
    .transpose = transpose_f32,
    .lay_out = lay_out_f32,
    .pack = pack_f32,
    .write_out = write_out,
};

const struct gemm_kernel GEMM_NAME(gemm_c_bf16) = {
    .isa = "c",
    .precision = PRECISION_BF16,
    .x_layout = GEMM_X_F32,
    .rows = ROWS,
    .row_step = 1,
    .k_step = 2,
    .k_block = 512,
    .group = 8,
    .panels = panels,
    .tile = tile_bf16,
    .transpose = transpose_bf16,
    .lay_out = lay_out_rounded,
    .pack = pack_pairs,
    .write_out = write_out,
};
