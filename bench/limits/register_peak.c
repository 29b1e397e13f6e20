/* register_peak.c: operations a second of instructions that never leave the registers: f32 fused
 * multiply-adds, AVX-512's products of bf16 pairs, AMX's tiles. No product of matrices reaches
 * this; it says what share of the units the packed rate (packed_rate.c) leaves idle.
 *
 *   build/release/bench/limits/register_peak [threads]
 *
 * x86-64 only. */
#include "limit.h"
#include <immintrin.h>
#include <string.h>
#include "../probe.h"
#include "backend/backend.h"

/* Twelve independent sums hide an instruction's latency. (zmm2 … zmm13 by name: the compiler need
 * not know the instruction's types.) */
#define PAIRS(i) "vdpbf16ps %%zmm0, %%zmm1, %%zmm" #i "\n\t"
static void bf16_pairs(long rounds)
{
    for (long r = 0; r < rounds; r++)
        __asm__ volatile(PAIRS(2) PAIRS(3) PAIRS(4) PAIRS(5) PAIRS(6) PAIRS(7) PAIRS(8) PAIRS(9)
                             PAIRS(10) PAIRS(11) PAIRS(12) PAIRS(13)::
                                 : "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                                   "xmm10", "xmm11", "xmm12", "xmm13");
}

static void clear_registers(void)
{
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13");
}

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Four products of 2 × 2 sums, as a kernel takes them. */
__attribute__((target("amx-tile,amx-bf16"))) static void amx_tiles(long rounds)
{
    struct tile_config config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (long r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
}

struct loops {
    void (*loop)(long rounds);
    long rounds;
};

static void run_loops(void *context, int thread, int first, int end)
{
    const struct loops *l = context;
    (void)thread;
    for (int i = first; i < end; i++) {
        if (l->loop == bf16_pairs)
            clear_registers();
        l->loop(l->rounds);
    }
}

/* The best of five. `each`: operations of one round. */
static double peak(void (*loop)(long rounds), double each, long rounds, struct team *team)
{
    int threads = team_threads(team);
    struct loops l = {loop, rounds};
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double started = probe_seconds(threads);
        team_run(team, run_loops, &l, threads, 1);
        double rate = each * (double)rounds * threads / (probe_seconds(threads) - started);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int threads = limit_threads(argc, argv);
    struct team *team = limit_team(threads);
    printf("registers only, %d threads\n", threads);
    if (!device_isa_available("avx2")) {
        printf("  this machine has no AVX2: nothing to measure\n");
        team_close(team);
        return 0;
    }
    printf("  f32 multiply-adds   %8.0f GFLOP/s\n", probe_fma_peak(team, 5) * 1e-9);
    if (device_isa_available("avx512bf16"))
        printf("  AVX-512 bf16 pairs  %8.0f GFLOP/s\n",
               peak(bf16_pairs, 2.0 * 2 * 16 * 12, 2000000, team) * 1e-9);
    if (device_isa_available("amx"))
        printf("  AMX bf16 tiles      %8.0f GFLOP/s\n",
               peak(amx_tiles, 2.0 * 16 * 16 * 32 * 4, 500000, team) * 1e-9);
    team_close(team);
    return 0;
}
