/* gemm_amx.c: the bf16 microkernel for AMX. A tile register holds 16 rows of 64 bytes; tdpbf16ps
 * multiplies 16 rows × 32 k of X with 32 k × 16 columns of W and adds to 16 × 16 sums. Both
 * operands lie in memory as whole tiles of 1 KiB: the packed panel [K/32][16 pairs][16][2] is one
 * already, X is laid out so by gemm_input.
 *
 * Eight tile registers: 32 rows take 2 × 2 sums, 2 of X and 2 of W: four products per four loads.
 * Sixteen rows or fewer (decoding) take 1 × 4 sums, one of X and three of W in turn: five loads for
 * four products, and four streams of W, which is what one waits for then. While a pass is computed,
 * the W wanted next is prefetched into the second-level cache. (A trial program on an AMX machine
 * read weights at 24–27 GB/s instead of 22 with huge pages, prefetch and a wide panel together;
 * this kernel has not been timed on one.)
 *
 * Within one instruction each sum takes its 32 products in the instruction's fixed order (even and
 * odd k apart, then together; Intel SDM, TDPBF16PS); rows do not meet. Rows beyond the last are
 * zeros in X, their sums are computed and never read. */
#include <string.h>
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/gemm_layout.h"
#include "backend/cpu/intrin.h"

enum { TILE_ROWS = 16, TILE_BYTES = 1024, TILE_ROW_BYTES = 64, TILE_K = 32, LINE = 64 };

/* LDTILECFG's operand: palette 1, then bytes per row and rows of each of the eight registers. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void begin(void)
{
    struct tile_config config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = TILE_ROW_BYTES;
        config.rows[i] = TILE_ROWS;
    }
    LOAD_TILE_CONFIG(config);
}

static void end(void)
{
    _tile_release();
}

static int panels(int rows)
{
    return rows <= TILE_ROWS ? 4 : 2;
}

/* One tile of each panel of the next W, into the second-level cache. */
INLINE void prefetch(const char *next, size_t stride, int count)
{
    for (int p = 0; p < count; p++) {
        for (int line = 0; line < TILE_BYTES; line += LINE)
            _mm_prefetch(next + p * stride + line, _MM_HINT_T1);
    }
}

/* Tile register numbers are part of the instruction, so they are spelled out: sums 0 … 3. */
static void tile_32_rows(const struct gemm_tile *t)
{
    const char *x = t->x, *w = t->w, *next = t->next, *x2 = x + t->x_stride, *w2 = w + t->w_stride;
    size_t row = (size_t)t->acc_ld * sizeof(float);
    float *acc = t->acc, *acc2 = acc + (size_t)TILE_ROWS * t->acc_ld;
    bool two = t->panels == 2;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (t->resume) {
        _tile_loadd(0, acc, row);
        _tile_loadd(2, acc2, row);
        if (two) {
            _tile_loadd(1, acc + GEMM_PANEL, row);
            _tile_loadd(3, acc2 + GEMM_PANEL, row);
        }
    }
    for (size_t i = 0, bytes = (size_t)t->k / TILE_K * TILE_BYTES; i < bytes; i += TILE_BYTES) {
        if (next)
            prefetch(next + i, t->w_stride, t->panels);
        _tile_loadd(4, x + i, TILE_ROW_BYTES);
        _tile_loadd(6, w + i, TILE_ROW_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, x2 + i, TILE_ROW_BYTES);
        _tile_dpbf16ps(2, 5, 6);
        if (two) {
            _tile_loadd(7, w2 + i, TILE_ROW_BYTES);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, acc, row);
    _tile_stored(2, acc2, row);
    if (two) {
        _tile_stored(1, acc + GEMM_PANEL, row);
        _tile_stored(3, acc2 + GEMM_PANEL, row);
    }
}

/* count is a constant at each call. */
INLINE void tile_16_rows(const struct gemm_tile *t, int count)
{
    const char *x = t->x, *w = t->w, *next = t->next;
    size_t row = (size_t)t->acc_ld * sizeof(float), stride = t->w_stride;
    float *acc = t->acc;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (t->resume) {
        _tile_loadd(0, acc, row);
        if (count > 1)
            _tile_loadd(1, acc + GEMM_PANEL, row);
        if (count > 2)
            _tile_loadd(2, acc + 2 * GEMM_PANEL, row);
        if (count > 3)
            _tile_loadd(3, acc + 3 * GEMM_PANEL, row);
    }
    for (size_t i = 0, bytes = (size_t)t->k / TILE_K * TILE_BYTES; i < bytes; i += TILE_BYTES) {
        if (next)
            prefetch(next + i, stride, count);
        _tile_loadd(4, x + i, TILE_ROW_BYTES);
        _tile_loadd(5, w + i, TILE_ROW_BYTES);
        _tile_dpbf16ps(0, 4, 5);
        if (count > 1) {
            _tile_loadd(6, w + stride + i, TILE_ROW_BYTES);
            _tile_dpbf16ps(1, 4, 6);
        }
        if (count > 2) {
            _tile_loadd(7, w + 2 * stride + i, TILE_ROW_BYTES);
            _tile_dpbf16ps(2, 4, 7);
        }
        if (count > 3) {
            _tile_loadd(5, w + 3 * stride + i, TILE_ROW_BYTES);
            _tile_dpbf16ps(3, 4, 5);
        }
    }
    _tile_stored(0, acc, row);
    if (count > 1)
        _tile_stored(1, acc + GEMM_PANEL, row);
    if (count > 2)
        _tile_stored(2, acc + 2 * GEMM_PANEL, row);
    if (count > 3)
        _tile_stored(3, acc + 3 * GEMM_PANEL, row);
}

static void tile_bf16(const struct gemm_tile *t)
{
    /* gcc's tile loads do not say that they read memory: what was stored before is stored now. */
    __asm__ volatile("" : : : "memory");
    if (t->rows > TILE_ROWS)
        tile_32_rows(t);
    else if (t->panels == 1)
        tile_16_rows(t, 1);
    else if (t->panels == 2)
        tile_16_rows(t, 2);
    else if (t->panels == 3)
        tile_16_rows(t, 3);
    else
        tile_16_rows(t, 4);
}

const struct gemm_kernel GEMM_NAME(gemm_amx_bf16) = {
    .isa = "amx",
    .precision = PRECISION_BF16,
    .x_layout = GEMM_X_TILES,
    .rows = 2 * TILE_ROWS,
    .row_step = TILE_ROWS,
    .k_step = GEMM_K_ALIGN,
    .k_block = 512, /* X: 32 × 512 × 2 bytes = 32 KiB of the 48 KiB of first-level cache */
    .group = 8,     /* W: 8 × 16 × 512 × 2 bytes = 128 KiB of the 2 MiB of second-level cache */
    .panels = panels,
    .tile = tile_bf16,
    .transpose = GEMM_NAME(gemm_avx2_transpose_bf16),
    .lay_out = lay_out_tiles,
    .pack = pack_pairs,
    .write_out = write_out,
    .begin = begin,
    .end = end,
};
