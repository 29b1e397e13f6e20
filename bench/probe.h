/* probe.h: what the measurements of bench/ share: the clock, the threads, and the floors'
 * denominators: the machine's peak of f32 multiply-adds and its rate of plain reads. x86-64 only,
 * as the programs here are. */
#ifndef BENCH_COMMON_PROBE_H
#define BENCH_COMMON_PROBE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/team.h"

/* With one thread the processor's time, so a busy machine disturbs little. */
static inline double probe_seconds(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Threads of its own for a program's probes; ends the program when there is no memory. */
static inline struct team *probe_team(int threads)
{
    struct err err = {0};
    struct team *team;
    if (team_open(&team, threads, &err)) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        exit(1);
    }
    return team;
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

enum { PROBE_ROUNDS = 4000000 };
static inline void probe_chains(void *is_wide, int thread, int first, int end)
{
    (void)thread;
    for (int i = first; i < end; i++) {
        volatile float keep = *(const bool *)is_wide ? probe_chains_wide(PROBE_ROUNDS)
                                                     : probe_chains_narrow(PROBE_ROUNDS);
        (void)keep;
    }
}

/* Operations a second (a multiply-add is two), the best of `repeat` tries. */
static inline double probe_fma_peak(struct team *team, int repeat)
{
    const int threads = team_threads(team);
    bool is_wide = __builtin_cpu_supports("avx512f");
    double best = 0;
    for (int i = 0; i < repeat; i++) {
        double start = probe_seconds(threads);
        team_run(team, probe_chains, &is_wide, threads, 1);
        double rate = 2.0 * (is_wide ? 16 : 8) * 12 * (double)PROBE_ROUNDS * threads /
                      (probe_seconds(threads) - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* --- reading --- */

struct probe_reading {
    const uint64_t *data;
    size_t words;
    int parts;
    atomic_uint_fast64_t total; /* a use of what was read */
};

static inline void probe_read_parts(void *context, int thread, int first, int end)
{
    struct probe_reading *r = context;
    size_t stop = r->words / (size_t)r->parts * (size_t)end;
    uint64_t total = 0;
    (void)thread;
    for (size_t i = r->words / (size_t)r->parts * (size_t)first; i < stop; i++)
        total += r->data[i];
    atomic_fetch_add(&r->total, total);
}

/* Bytes a second of reading `bytes` once, the best of `repeat` tries. */
static inline double probe_plain_reads(const void *data, size_t bytes, struct team *team,
                                       int repeat)
{
    int threads = team_threads(team);
    struct probe_reading r = {.data = data, .words = bytes / 8, .parts = threads};
    double best = 0;
    for (int i = 0; i < repeat; i++) {
        double start = probe_seconds(threads);
        team_run(team, probe_read_parts, &r, threads, 1);
        double rate = (double)bytes / (probe_seconds(threads) - start);
        best = rate > best ? rate : best;
    }
    return best;
}

#endif
