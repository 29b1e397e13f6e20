/* emulate_isa.h: intrinsics for machines that lack them, in place of immintrin.h when the
 * microkernels are compiled with GRPO_EMULATE_ISA. AVX2 and AVX-512 come from SIMDe; SIMDe has no
 * AMX, so its seven tile operations are written out here from their definitions (Intel SDM volume
 * 2, "TDPBF16PS" and others). Configuration and registers are per thread, as in the hardware, and
 * using a tile without a configuration aborts, as it traps there. */
#ifndef TESTS_BACKEND_EMULATE_ISA_H
#define TESTS_BACKEND_EMULATE_ISA_H
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct emulated_tiles {
    uint8_t config[64];
    uint8_t data[8][16][64];
};
static __attribute__((unused)) _Thread_local struct emulated_tiles emulated_tiles;

static inline int emulated_rows(int tile)
{
    if (emulated_tiles.config[0] != 1)
        abort(); /* not configured in this thread */
    return emulated_tiles.config[48 + tile];
}

static inline int emulated_row_bytes(int tile)
{
    return emulated_tiles.config[16 + 2 * tile] | emulated_tiles.config[17 + 2 * tile] << 8;
}

static inline void emulated_tile_config(const void *config)
{
    memcpy(emulated_tiles.config, config, 64);
    memset(emulated_tiles.data, 0, sizeof emulated_tiles.data);
}

static inline void emulated_tile_release(void)
{
    memset(&emulated_tiles, 0, sizeof emulated_tiles);
}

static inline void emulated_tile_zero(int tile)
{
    (void)emulated_rows(tile);
    memset(emulated_tiles.data[tile], 0, sizeof emulated_tiles.data[tile]);
}

/* Rows and bytes beyond the configured ones are cleared. */
static inline void emulated_tile_load(int tile, const void *base, size_t stride)
{
    int rows = emulated_rows(tile);
    memset(emulated_tiles.data[tile], 0, sizeof emulated_tiles.data[tile]);
    for (int r = 0; r < rows; r++)
        memcpy(emulated_tiles.data[tile][r], (const char *)base + r * stride,
               (size_t)emulated_row_bytes(tile));
}

static inline void emulated_tile_store(int tile, void *base, size_t stride)
{
    for (int r = 0; r < emulated_rows(tile); r++)
        memcpy((char *)base + r * stride, emulated_tiles.data[tile][r],
               (size_t)emulated_row_bytes(tile));
}

static inline float emulated_bf16(const uint8_t *bytes)
{
    uint32_t bits = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* c (rows of a, 16) += a (rows, K) · b (K/2, 16, 2): even and odd products are summed apart, then
 * added to each other and to c. (The hardware fuses and flushes subnormals; nothing here depends
 * on that.) */
static inline void emulated_tile_dpbf16ps(int c, int a, int b)
{
    int rows = emulated_rows(c), pairs = emulated_row_bytes(a) / 4;
    int columns = emulated_row_bytes(c) / 4;
    if (emulated_rows(a) != rows || emulated_rows(b) != pairs)
        abort(); /* the hardware traps too */
    for (int m = 0; m < rows; m++) {
        for (int n = 0; n < columns; n++) {
            float even = 0, odd = 0, sum;
            for (int k = 0; k < pairs; k++) {
                const uint8_t *x = &emulated_tiles.data[a][m][4 * k];
                const uint8_t *w = &emulated_tiles.data[b][k][4 * n];
                even += emulated_bf16(x) * emulated_bf16(w);
                odd += emulated_bf16(x + 2) * emulated_bf16(w + 2);
            }
            memcpy(&sum, &emulated_tiles.data[c][m][4 * n], sizeof sum);
            sum += even + odd;
            memcpy(&emulated_tiles.data[c][m][4 * n], &sum, sizeof sum);
        }
    }
}

#define LOAD_TILE_CONFIG(config) emulated_tile_config(&(config))
#define _tile_release emulated_tile_release
#define _tile_zero emulated_tile_zero
#define _tile_loadd emulated_tile_load
#define _tile_stored emulated_tile_store
#define _tile_dpbf16ps emulated_tile_dpbf16ps

#endif
