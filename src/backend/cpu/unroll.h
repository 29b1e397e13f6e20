/* unroll.h: the words that make the compilers turn loops of constant size into straight code. */
#ifndef BACKEND_CPU_UNROLL_H
#define BACKEND_CPU_UNROLL_H

/* Tiles of constant size, inlined; and full unrolling, before an array of accumulators becomes
 * registers: each compiler has its word for it. Emulated, the sizes stay variables and the loops
 * loops: the same code, and compiling takes seconds instead of minutes. */
#ifdef GRPO_EMULATE_ISA
#define INLINE static __attribute__((noinline, unused))
#define UNROLL
#elif defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
