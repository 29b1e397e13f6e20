/* probe_avx2.c: the probe's tile for AVX2 and FMA: 12 sums, 2 of B and 1 of A in 16 registers. */
#include "backend/cpu/intrin.h"

#define VECTOR __m256
#define LANES 8
#define ROWS 6
#define PACK 1
#define ZERO() _mm256_setzero_ps()
#define LOAD(p) _mm256_loadu_ps(p)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define MULTIPLY(sum, x, y) _mm256_fmadd_ps(x, y, sum)
#include "bench/probe_tile.h"

const struct probe_kernel probe_avx2_f32 = {.isa = "avx2",
                                            .precision = PRECISION_F32,
                                            .rows = ROWS,
                                            .columns = 2 * LANES,
                                            .k_step = 1,
                                            .tile = tile};
