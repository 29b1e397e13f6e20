/* probe.h: what the measurements of bench/ share: the clock, and the machine's peak of f32
 * multiply-adds, which is the floor's denominator. x86-64 only, as the programs here are. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H
#include <omp.h>
#include <stdbool.h>
#include <time.h>

/* With one thread the processor's time, so a busy machine disturbs little. */
static inline double probe_seconds(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* 12 chains of fused multiply-adds that never leave the registers. */
typedef float probe_wide __attribute__((vector_size(64)));
typedef float probe_narrow __attribute__((vector_size(32)));
#define PROBE_F(i) "vfmadd231ps %[b], %[c], %" #i "\n\t"
#define PROBE_CHAINS(name, isa, vector)                                                            \
    __attribute__((target(isa), noinline)) static float name(long rounds)                          \
    {                                                                                              \
        vector b = {1}, c = b * 1e-9f, s = b, t = b, u = b, v = b, w = b, x = b, y = b, z = b;     \
        vector k = b, l = b, m = b, n = b;                                                         \
        for (long r = 0; r < rounds; r++)                                                          \
            __asm__ volatile(PROBE_F(0) PROBE_F(1) PROBE_F(2) PROBE_F(3) PROBE_F(4) PROBE_F(5)     \
                                 PROBE_F(6) PROBE_F(7) PROBE_F(8) PROBE_F(9) PROBE_F(10)           \
                                     PROBE_F(11)                                                   \
                             : "+v"(s), "+v"(t), "+v"(u), "+v"(v), "+v"(w), "+v"(x), "+v"(y),      \
                               "+v"(z), "+v"(k), "+v"(l), "+v"(m), "+v"(n)                         \
                             : [b] "v"(b), [c] "v"(c));                                            \
        s += t + u + v + w + x + y + z + k + l + m + n;                                            \
        return s[0];                                                                               \
    }
PROBE_CHAINS(probe_chains_wide, "avx512f", probe_wide)
PROBE_CHAINS(probe_chains_narrow, "avx2,fma", probe_narrow)

/* Operations a second (a multiply-add is two), the best of `repeat` tries. */
static inline double probe_fma_peak(int threads, int repeat)
{
    const long rounds = 4000000;
    bool is_wide = __builtin_cpu_supports("avx512f");
    double best = 0;
    for (int i = 0; i < repeat; i++) {
        double start = probe_seconds(threads);
#pragma omp parallel num_threads(threads)
        {
            volatile float keep = is_wide ? probe_chains_wide(rounds) : probe_chains_narrow(rounds);
            (void)keep;
        }
        double rate = 2.0 * (is_wide ? 16 : 8) * 12 * (double)rounds * threads /
                      (probe_seconds(threads) - start);
        best = rate > best ? rate : best;
    }
    return best;
}

#endif
