/* stream_weights.c: 982 MB of weights once through a product of few rows, as decoding does it: how
 * much of the read rate is left when the bytes are also multiplied. By rows and prefetch distance.
 *
 *   build/release/bench/limits/stream_weights [threads]
 */
#include "limit.h"
#include "bench/probe.h"

enum { MATRICES = 156, N = 3072, K = 1024 };

static void measure(const struct probe_kernel *p, struct team *team)
{
    static const size_t distances[] = {0, 2048, 8192, 16384};
    double bytes = (double)MATRICES * N * K * (p->precision == PRECISION_BF16 ? 2 : 4);
    printf("%s %s, %d threads: %.0f MB\n", p->isa, p->precision == PRECISION_BF16 ? "bf16" : "f32",
           team_threads(team), bytes * 1e-6);
    for (int blocks = 1; blocks <= 2; blocks++) {
        for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
            struct err err = {0};
            double seconds;
            struct probe_shape s = {blocks * p->rows, N, K, 64, distances[i]};
            limit_must(probe_product(&seconds, p, s, MATRICES, team, 4, &err), &err);
            printf("  M %-3d prefetch %5zu bytes ahead %8.1f ms %6.1f GB/s %7.0f GFLOP/s\n", s.m,
                   distances[i], seconds * 1e3, bytes / seconds * 1e-9,
                   2.0 * s.m * N * K * MATRICES / seconds * 1e-9);
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    struct team *team = limit_team(limit_threads(argc, argv));
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa))
            continue;
        measure(probe_find(*isa, PRECISION_BF16), team); /* best first: the one is enough */
        break;
    }
    team_close(team);
    return 0;
}
