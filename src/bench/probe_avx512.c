/* probe_avx512.c: the probe's tile for AVX-512: 28 sums, 2 of B and 1 of A in 32 registers. */
#include "backend/cpu/intrin.h"

#define VECTOR __m512
#define LANES 16
#define ROWS 14
#define PACK 1
#define ZERO() _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define MULTIPLY(sum, x, y) _mm512_fmadd_ps(x, y, sum)
#include "bench/probe_tile.h"

const struct probe_kernel probe_avx512_f32 = {.isa = "avx512",
                                              .precision = PRECISION_F32,
                                              .rows = ROWS,
                                              .columns = 2 * LANES,
                                              .k_step = 1,
                                              .tile = tile};
