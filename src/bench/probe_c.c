/* probe_c.c: the probe's tile in plain C, for processors whose instruction sets the program does
 * not know. */
#include "bench/probe.h"

enum { ROWS = 4, COLUMNS = 16 };

static void tile(float *c, int ldc, const void *a_block, const void *b_panel, int k, size_t ahead)
{
    const float *a = a_block, *b = b_panel;
    float sum[ROWS][COLUMNS] = {{0}};
    for (int step = 0; step < k; step++, a += ROWS, b += COLUMNS) {
        if (ahead)
            __builtin_prefetch((const char *)b + ahead, 0, 2);
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < COLUMNS; j++)
                sum[r][j] += a[r] * b[j];
    }
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < COLUMNS; j++)
            c[(size_t)r * ldc + j] = sum[r][j];
}

const struct probe_kernel probe_c_f32 = {.isa = "c",
                                         .precision = PRECISION_F32,
                                         .rows = ROWS,
                                         .columns = COLUMNS,
                                         .k_step = 1,
                                         .tile = tile};
