/* probe_amx.c: the probe's tile for AMX: 2 × 2 sums, 2 registers of A and 2 of B: four products for
 * four loads. */
#include <string.h>
#include "bench/probe.h"

#include "backend/cpu/intrin.h" /* last: emulated, it defines I, which backend.h has as a name */

enum { SIDE = 16, TILE_BYTES = 1024, ROW_BYTES = 64, K_STEP = 32, LINE = 64 };

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
        config.row_bytes[i] = ROW_BYTES;
        config.rows[i] = SIDE;
    }
    LOAD_TILE_CONFIG(config);
}

static void end(void)
{
    _tile_release();
}

static void tile(float *c, int ldc, const void *a_block, const void *b_panel, int k, size_t ahead)
{
    size_t bytes = (size_t)k / K_STEP * TILE_BYTES, row = (size_t)ldc * sizeof(float);
    const char *a = a_block, *a2 = a + bytes, *b = b_panel, *b2 = b + bytes;
    float *c2 = c + (size_t)SIDE * ldc;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t i = 0; i < bytes; i += TILE_BYTES) {
        for (int line = 0; ahead && line < TILE_BYTES; line += LINE) {
            _mm_prefetch(b + i + ahead + line, _MM_HINT_T1);
            _mm_prefetch(b2 + i + ahead + line, _MM_HINT_T1);
        }
        _tile_loadd(4, a + i, ROW_BYTES);
        _tile_loadd(6, b + i, ROW_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b2 + i, ROW_BYTES);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a2 + i, ROW_BYTES);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + SIDE, row);
    _tile_stored(2, c2, row);
    _tile_stored(3, c2 + SIDE, row);
}

const struct probe_kernel PROBE_NAME(probe_amx_bf16) = {.isa = "amx",
                                                        .precision = PRECISION_BF16,
                                                        .rows = 2 * SIDE,
                                                        .columns = 2 * SIDE,
                                                        .k_step = K_STEP,
                                                        .tiled = true,
                                                        .tile = tile,
                                                        .begin = begin,
                                                        .end = end};
