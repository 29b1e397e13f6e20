/* packed_rate.c: operations a second of whole products from packed operands, by the probes of
 * src/bench/probe.h, for matrices of a 0.5B model: by rows, blocking and instruction set. The best
 * line is what `grpo bench` takes for the machine's matrix rate.
 *
 *   build/release/bench/limits/packed_rate [threads]
 */
#include "limit.h"
#include "bench/probe.h"

static const int rows[] = {32, 128, 512}, groups[] = {64, 128, 256};
static const int shapes[][2] = {{3072, 1024}, {1024, 3072}, {2048, 1024}, {32768, 1024}};
#define LENGTH(array) (int)(sizeof(array) / sizeof((array)[0]))

/* The best blocking for one shape. */
static double best_rate(const struct probe_kernel *p, int m, const int *shape, struct team *team,
                        int *best_group)
{
    double best = 0;
    for (int g = 0; g < LENGTH(groups); g++) {
        struct err err = {0};
        double seconds;
        struct probe_shape s = {m, shape[0], shape[1], groups[g], 0};
        limit_must(probe_product(&seconds, p, s, 1, team, 3, &err), &err);
        int whole = (m + p->rows - 1) / p->rows * p->rows;
        double rate = 2.0 * whole * shape[0] * shape[1] / seconds;
        if (rate > best) {
            best = rate;
            *best_group = groups[g];
        }
    }
    return best;
}

static void measure(const struct probe_kernel *p, struct team *team)
{
    double all = 0;
    printf("%s %s, %d threads\n", p->isa, p->precision == PRECISION_BF16 ? "bf16" : "f32",
           team_threads(team));
    for (int i = 0; i < LENGTH(shapes); i++) {
        for (int r = 0; r < LENGTH(rows); r++) {
            int group = 0;
            double rate = best_rate(p, rows[r], shapes[i], team, &group);
            printf("  M %-5d N %-6d K %-5d %8.0f GFLOP/s  (columns at a time %d)\n", rows[r],
                   shapes[i][0], shapes[i][1], rate * 1e-9, group);
            fflush(stdout);
            all = rate > all ? rate : all;
        }
    }
    printf("  best %.0f GFLOP/s\n", all * 1e-9);
}

int main(int argc, char **argv)
{
    struct team *team = limit_team(limit_threads(argc, argv));
    const struct probe_kernel *done[16];
    int n = 0;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        for (int precision = 0; precision < 2 && device_isa_available(*isa); precision++) {
            const struct probe_kernel *p = probe_find(*isa, (enum precision)precision);
            bool seen = p->isa[0] == 'c' && n; /* plain C only where there is nothing else */
            for (int i = 0; i < n; i++)
                seen = seen || done[i] == p;
            if (seen || n == LENGTH(done))
                continue;
            done[n++] = p;
            measure(p, team);
        }
    }
    team_close(team);
    return 0;
}
