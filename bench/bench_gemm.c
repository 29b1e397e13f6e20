/* bench_gemm.c: activation × frozen weight, GFLOP/s for the shapes of a 0.5B model, forward and
 * backward, beside what this machine can do at all, measured in the same run: fused multiply-adds
 * that never leave the registers (f32: bf16 instructions do more, and shares above 100% say so),
 * and plain reads of memory.
 *
 *   build/release/bench/bench_gemm [isa] [bf16|f32|both] [threads]
 *
 * Weights rotate through a set larger than the caches, as they do when a model's layers follow one
 * another, so few rows are bound by memory: "roof" is the smaller of the arithmetic peak and the
 * rate at which the weights can be read, and the share is of that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "backend/cpu/gemm.h"
#include "base/mem.h"
#include "probe.h"

enum { MAX_ROWS = 512 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct machine {
    double gflops, gbytes;
};

struct case_set {
    struct packed weights[64];
    int count;
};

/* Copies of one shape until they exceed the caches, all in one buffer. */
static void make_weights(struct case_set *set, char *data, size_t bytes, enum precision precision,
                         int n, int k)
{
    size_t each = packed_bytes(precision, n, k);
    set->count = (int)(bytes / each < 64 ? bytes / each : 64);
    for (int i = 0; i < set->count; i++)
        packed_init(&set->weights[i], precision, n, k, data + i * each);
}

static double time_product(struct gemm *g, struct case_set *set, const float *x, float *y, int m,
                           bool backward)
{
    const struct packed *w = set->weights;
    int reduced = backward ? w->n : w->k, columns = backward ? w->k : w->n;
    double work = 2.0 * m * w->n * w->k, best = 1e9;
    int repeat = (int)(4e8 / work) + 1;
    repeat = repeat > 400 ? 400 : repeat;
    for (int round = 0, next = 0; round < 4; round++) {
        double start = seconds();
        for (int i = 0; i < repeat; i++, next = (next + 1) % set->count) {
            struct gemm_sum sum = {.w = &set->weights[next], .alpha = 1};
            gemm_input(g, x, reduced, m, reduced);
            if (backward)
                gemm_backward(g, y, columns, &sum);
            else
                gemm_forward(g, y, columns, &sum);
        }
        double elapsed = (seconds() - start) / repeat;
        best = elapsed < best ? elapsed : best;
    }
    return best;
}

static void bench_precision(const char *isa, enum precision precision, int threads, char *data,
                            size_t bytes, struct machine machine)
{
    static const int shapes[][2] = {{2048, 1024}, {1024, 1024},  {1024, 2048}, {3072, 1024},
                                    {1024, 3072}, {49152, 1024}, {16, 1024},   {1024, 16}};
    static const int rows[] = {1, 4, 16, 32, 64, 128, MAX_ROWS};
    struct gemm *g;
    struct err err = {0};
    if (gemm_open(&g, isa, precision, threads, &err) || gemm_reserve(g, MAX_ROWS, 49152, 0, &err)) {
        fprintf(stderr, "%s: %s\n", err.where, err.message);
        exit(err.code);
    }
    size_t matrix = (size_t)MAX_ROWS * 49152;
    float *x = mem_alloc_aligned(matrix * sizeof *x), *y = mem_alloc_aligned(matrix * sizeof *y);
    for (size_t i = 0; i < matrix; i++)
        x[i] = (float)(i % 255) / 255 - 0.5f;
    memset(y, 0, matrix * sizeof *y);
    const char *name = precision == PRECISION_BF16 ? "bf16" : "f32";
    printf("\n%s %s, %d threads: GFLOP/s (share of the roof)\n%-22s", gemm_isa(g), name, threads,
           "  K -> N");
    for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++)
        printf("     M=%-5d", rows[j]);
    printf("\n");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct case_set set;
        make_weights(&set, data, bytes, precision, shapes[i][0], shapes[i][1]);
        for (int backward = 0; backward < 2; backward++) {
            printf("%6d -> %-6d %-6s", backward ? shapes[i][0] : shapes[i][1],
                   backward ? shapes[i][1] : shapes[i][0], backward ? "back" : "");
            for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++) {
                double time = time_product(g, &set, x, y, rows[j], backward);
                double rate = 2e-9 * rows[j] * shapes[i][0] * shapes[i][1] / time;
                double stored = (double)packed_bytes(precision, shapes[i][0], shapes[i][1]);
                double reading = rate * time / (stored / machine.gbytes * 1e-9);
                double roof = reading < machine.gflops ? reading : machine.gflops;
                printf(" %6.1f %3.0f%%", rate, 100 * rate / roof);
                fflush(stdout);
            }
            printf("\n");
        }
    }
    mem_free_aligned(x);
    mem_free_aligned(y);
    gemm_close(g);
}

int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : "auto";
    const char *precision = argc > 2 ? argv[2] : "both";
    int threads = argc > 3 ? atoi(argv[3]) : team_cores();
    size_t bytes =
        (size_t)1 << 28; /* 256 MiB: above every cache, holds the f32 vocabulary matrix */
    char *data = mem_alloc_aligned(bytes);
    if (!data) {
        fprintf(stderr, "bench_gemm: no memory for %zu bytes of weights\n", bytes);
        return ERR_MACHINE;
    }
    memset(data, 0x3c, bytes); /* 0x3c3c: about 0.0115 in bf16 and in f32 */
    struct team *team = probe_team(threads);
    struct machine machine = {probe_fma_peak(team, 5) * 1e-9,
                              probe_plain_reads(data, bytes, team, 4) * 1e-9};
    team_close(team);
    printf("register-only FMA peak (AVX2) %.0f GFLOP/s, plain reads %.1f GB/s, %d threads\n",
           machine.gflops, machine.gbytes, threads);
    if (strcmp(precision, "f32") != 0)
        bench_precision(isa, PRECISION_BF16, threads, data, bytes, machine);
    if (strcmp(precision, "bf16") != 0)
        bench_precision(isa, PRECISION_F32, threads, data, bytes, machine);
    mem_free_aligned(data);
    return 0;
}
