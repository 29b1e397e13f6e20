/* gemm_layout.h: the copies around a matrix product, X into the layout a microkernel wants and its
 * sums out to the caller's matrix. Plain loops, included by each gemm_ISA.c, so that the compilers
 * vectorise them with that instruction set's registers; in small models they are a tenth of the
 * time. No arithmetic here differs between instruction sets: roundings to bf16 on integers, and one
 * multiplication and addition that are never fused. */
#ifndef BACKEND_CPU_GEMM_LAYOUT_H
#define BACKEND_CPU_GEMM_LAYOUT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "backend/cpu/gemm_kernel.h"

/* Nearest even. A NaN stays one: rounding up could carry its mantissa away, so it is set quiet. */
static inline uint16_t layout_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    uint32_t nan = bits >> 16 | 0x40u;
    int32_t magnitude = (int32_t)(bits & 0x7fffffffu); /* signed: SSE2 compares no other way */
    return (uint16_t)(magnitude > 0x7f800000 ? nan : rounded);
}

/* Columns are laid out some dozens at a time: rounding runs along a row, where it vectorises, and
 * interleaving then finds its rows in the first-level cache. Columns from K on are zeros. */
enum { LAYOUT_SLICE = 64 };

/* (A constant count where it can be one: for others gcc calls up the string instructions, which
 * take longer to start than a slice to copy.) */
static inline void layout_round(uint16_t *restrict out, const float *restrict x, int count)
{
    if (count == LAYOUT_SLICE) {
        for (int i = 0; i < LAYOUT_SLICE; i++)
            out[i] = layout_bf16(x[i]);
    } else {
        for (int i = 0; i < count; i++)
            out[i] = layout_bf16(x[i]);
    }
}

/* out [words][rows] = slice [rows][words]; rows is a constant at each call below. */
static inline __attribute__((always_inline)) void
layout_interleave_rows(uint32_t *restrict out, const uint32_t *restrict slice, size_t stride,
                       int words, int rows)
{
    for (int i = 0; i < words; i++) {
        for (int r = 0; r < rows; r++)
            out[i * rows + r] = slice[(size_t)r * stride + (size_t)i];
    }
}

static inline void layout_interleave(uint32_t *out, const uint32_t *slice, size_t stride, int words,
                                     int rows)
{
#define LAYOUT_CASE(n)                                                                             \
    case n:                                                                                        \
        layout_interleave_rows(out, slice, stride, words, n);                                      \
        break;
    switch (rows) {
        LAYOUT_CASE(1)
        LAYOUT_CASE(4)
        LAYOUT_CASE(5)
        LAYOUT_CASE(6)
        LAYOUT_CASE(7)
        LAYOUT_CASE(8)
    default:
        layout_interleave_rows(out, slice, stride, words, rows);
    }
#undef LAYOUT_CASE
}

static inline int layout_min(int a, int b)
{
    return a < b ? a : b;
}

/* GEMM_X_F32 in f32: words of X as they are. */
static inline void lay_out_f32(void *block, const float *x, int ldx, int rows, int k, int k_padded)
{
    uint32_t *out = block;
    (void)k_padded; /* f32 is not padded */
    layout_interleave(out, (const uint32_t *)(const void *)x, (size_t)ldx, k, rows);
}

/* GEMM_X_F32 in bf16: rounded to bf16 and widened again. */
static inline void lay_out_rounded(void *block, const float *x, int ldx, int rows, int k,
                                   int k_padded)
{
    uint32_t slice[GEMM_MAX_ROWS][LAYOUT_SLICE], *out = block;
    for (int k0 = 0; k0 < k_padded; k0 += LAYOUT_SLICE) {
        int words = layout_min(LAYOUT_SLICE, k_padded - k0);
        int inside = layout_min(LAYOUT_SLICE, k - k0);
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < inside; i++)
                slice[r][i] = (uint32_t)layout_bf16(x[(size_t)r * (size_t)ldx + (size_t)(k0 + i)])
                              << 16;
            for (int i = inside > 0 ? inside : 0; i < words; i++)
                slice[r][i] = 0;
        }
        layout_interleave(out, slice[0], LAYOUT_SLICE, words, rows);
        out += (size_t)words * (size_t)rows;
    }
}

/* GEMM_X_PAIRS: words of two bf16. */
static inline void lay_out_pairs(void *block, const float *x, int ldx, int rows, int k,
                                 int k_padded)
{
    uint32_t slice[GEMM_MAX_ROWS][LAYOUT_SLICE / 2], *out = block;
    for (int k0 = 0; k0 < k_padded; k0 += LAYOUT_SLICE) {
        int words = layout_min(LAYOUT_SLICE, k_padded - k0) / 2;
        int inside = layout_min(LAYOUT_SLICE, k - k0);
        if (inside < LAYOUT_SLICE)
            memset(slice, 0, sizeof slice);
        for (int r = 0; r < rows; r++)
            layout_round((uint16_t *)(void *)slice[r], x + (size_t)r * (size_t)ldx + k0, inside);
        layout_interleave(out, slice[0], LAYOUT_SLICE / 2, words, rows);
        out += (size_t)words * (size_t)rows;
    }
}

/* GEMM_X_TILES: [rows/16][K/32][16][32], tiles of 16 rows × 64 bytes; rows beyond the last are
 * zeros. */
static inline void lay_out_tiles(void *block, const float *x, int ldx, int rows, int k,
                                 int k_padded)
{
    enum { STEP = 16 };
    uint16_t *out = block;
    for (int first = 0; first < rows; first += STEP) {
        for (int k0 = 0; k0 < k_padded; k0 += GEMM_K_ALIGN) {
            int inside = layout_min(GEMM_K_ALIGN, k - k0);
            for (int r = first; r < first + STEP; r++, out += GEMM_K_ALIGN) {
                memset(out, 0, GEMM_K_ALIGN * sizeof *out);
                if (r < rows)
                    layout_round(out, x + (size_t)r * (size_t)ldx + k0, inside);
            }
        }
    }
}

/* The other way round: X (k, columns), leading dimension ldx, as W, panels of 16 columns with rows
 * as what is reduced; zeros from k to k_padded. */
static inline void pack_pairs(void *w, const float *x, int ldx, int k, int k_padded, int panels)
{
    uint32_t *out = w;
    for (int p = 0; p < panels; p++, x += GEMM_PANEL) {
        for (int r = 0; r < k_padded; r += 2, out += GEMM_PANEL) {
            const float *restrict low = x + (size_t)r * (size_t)ldx;
            const float *restrict high = low + ldx;
            if (r + 1 < k) {
                for (int c = 0; c < GEMM_PANEL; c++)
                    out[c] = layout_bf16(low[c]) | (uint32_t)layout_bf16(high[c]) << 16;
            } else {
                for (int c = 0; c < GEMM_PANEL; c++)
                    out[c] = r < k ? layout_bf16(low[c]) : 0;
            }
        }
    }
}

static inline void pack_f32(void *w, const float *x, int ldx, int k, int k_padded, int panels)
{
    float *out = w;
    (void)k_padded; /* f32 is not padded */
    for (int p = 0; p < panels; p++, x += GEMM_PANEL)
        for (int r = 0; r < k; r++, out += GEMM_PANEL)
            memcpy(out, x + (size_t)r * (size_t)ldx, GEMM_PANEL * sizeof *out);
}

/* Sums (rows, columns) go to the caller's matrix. No fused multiply-add, so alpha = 1 changes
 * nothing. */
static inline void write_out(float *y, int ldy, const float *sums, int ld, int rows, int columns,
                             float alpha, bool add)
{
    for (int r = 0; r < rows; r++) {
        float *restrict to = y + (size_t)r * (size_t)ldy;
        const float *restrict from = sums + (size_t)r * (size_t)ld;
        if (add) {
            for (int c = 0; c < columns; c++)
                to[c] = to[c] + alpha * from[c];
        } else {
            for (int c = 0; c < columns; c++)
                to[c] = alpha * from[c];
        }
    }
}

#endif
