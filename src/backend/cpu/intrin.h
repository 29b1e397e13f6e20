/* intrin.h: the intrinsics the microkernels use, and the few words that make the compilers keep
 * them in registers. Ordinarily immintrin.h; with GRPO_EMULATE_ISA, which only tests define, the
 * portable versions of tests/backend/emulate_isa.h, so that a machine without AVX-512 or AMX can
 * run those kernels and check their logic. */
#ifndef BACKEND_CPU_INTRIN_H
#define BACKEND_CPU_INTRIN_H
#include "backend/cpu/unroll.h"

/* What the pointer points to must be loaded anew: keeps a constant out of the registers. */
#define FORGET(pointer) __asm__("" : "+r"(pointer))

/* This sum is in a vector register now. clang needs to hear it (it parks sums in memory otherwise);
 * gcc schedules better without. */
#if defined(__clang__) && !defined(GRPO_EMULATE_ISA)
#define KEEP_REGISTER(value) __asm__("" : "+v"(value))
#else
#define KEEP_REGISTER(value) (void)0
#endif

#ifdef GRPO_EMULATE_ISA
#include "emulate_isa.h"
#else
#include <immintrin.h>

/* The configuration of the tile registers. Not _tile_loadconfig: gcc 12 may drop the stores to its
 * operand, hence the memory clobber. */
#define LOAD_TILE_CONFIG(config) __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory")
#endif

#endif
