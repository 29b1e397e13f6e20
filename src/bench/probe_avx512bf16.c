/* probe_avx512bf16.c: the probe's tile for AVX-512 BF16: as for AVX-512, and each step takes a pair
 * of products. */
#include "backend/cpu/intrin.h"

#define VECTOR __m512
#define LANES 16
#define ROWS 14
#define PACK 2
#define ZERO() _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define MULTIPLY(sum, x, y) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(y))
#include "bench/probe_tile.h"

const struct probe_kernel probe_avx512bf16_bf16 = {.isa = "avx512bf16",
                                                   .precision = PRECISION_BF16,
                                                   .rows = ROWS,
                                                   .columns = 2 * LANES,
                                                   .k_step = PACK,
                                                   .tile = tile};
