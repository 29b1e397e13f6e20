/* probe_tile.h: the probe's tile for instruction sets with vectors, written once. Before including
 * it a file defines
 *   VECTOR, LANES        the register of sums and its floats
 *   ROWS                 of the tile; columns are two vectors
 *   PACK                 products of one step: 1, or 2 for pairs of bf16
 *   ZERO(), LOAD(p), BROADCAST(p), STORE(p, v)
 *   MULTIPLY(sum, x, y)  sum + the products of x and y
 * p points to 32-bit words. */
#ifndef BENCH_PROBE_TILE_H
#define BENCH_PROBE_TILE_H
#include "backend/cpu/intrin.h"
#include "bench/probe.h"

static void tile(float *c, int ldc, const void *a_block, const void *b_panel, int k, size_t ahead)
{
    const float *a = a_block, *b = b_panel;
    VECTOR sum[ROWS][2];
    UNROLL
    for (int r = 0; r < ROWS; r++) {
        sum[r][0] = ZERO();
        sum[r][1] = ZERO();
    }
    for (int step = 0; step < k / PACK; step++) {
        if (ahead) {
            __builtin_prefetch((const char *)b + ahead, 0, 2);
            __builtin_prefetch((const char *)(b + LANES) + ahead, 0, 2);
        }
        VECTOR left = LOAD(b), right = LOAD(b + LANES);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            VECTOR x = BROADCAST(a + r);
            sum[r][0] = MULTIPLY(sum[r][0], x, left);
            sum[r][1] = MULTIPLY(sum[r][1], x, right);
            KEEP_REGISTER(sum[r][0]);
            KEEP_REGISTER(sum[r][1]);
        }
        a += ROWS;
        b += 2 * LANES;
    }
    UNROLL
    for (int r = 0; r < ROWS; r++) {
        STORE(c + (size_t)r * ldc, sum[r][0]);
        STORE(c + (size_t)r * ldc + LANES, sum[r][1]);
    }
}

#endif
