/* intrin.h: the intrinsics the microkernels use. Ordinarily immintrin.h; with GRPO_EMULATE_ISA
 * (tests only) the portable equivalents, so that a machine without AVX-512 or AMX can still run
 * those kernels and check every bit of their logic. */
#ifndef BACKEND_CPU_INTRIN_H
#define BACKEND_CPU_INTRIN_H
#ifndef GRPO_EMULATE_ISA
#include <immintrin.h>
#endif
#endif
