/* probe.h: what this machine can do at all: matrix products from packed operands, and reading of
 * memory. They are the denominators of every floor, so they share no code with the kernels they are
 * held against: a slow kernel cannot make its own floor lower.
 *
 * A probe's product is C (M, N) f32 = A (M, K) · B (K, N) over operands that already lie as the
 * instruction wants them. Every result is stored once; nothing else is done. So its rate is that of
 * a packed product with nothing around it: below the peak that never leaves the registers, which no
 * product of matrices reaches, and the most that a product can be expected to reach.
 *
 * `team`: the threads that work side by side, a part of the work each; NULL: the caller alone. */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H
#include "backend/backend.h"
#include "base/team.h"

/* One instruction set's tile: rows × columns sums over k products each. A block of A (rows, k) lies
 * [k / pack][rows][pack], a panel of B (k, columns) [k / pack][columns][pack]; pack is 1 in f32 and
 * 2 in bf16. With `tiled` both lie in pieces of 16 × 32: A [rows/16][k/32][16][32], B
 * [columns/16][k/32][16 pairs][16][2]. */
struct probe_kernel {
    const char *isa;
    enum precision precision;
    int rows, columns, k_step; /* k is a multiple of k_step */
    bool tiled;
    /* c: leading dimension ldc. ahead: how many bytes ahead B is prefetched; 0: not at all. */
    void (*tile)(float *c, int ldc, const void *a, const void *b, int k, size_t ahead);
    void (*begin)(void), (*end)(void); /* of a thread's work, or NULL */
};

/* The fastest kernel of an instruction set (backend.h's names) and precision. A set without bf16
 * products has only f32 ones: then the kernel's own precision says so. NULL: unknown name. */
const struct probe_kernel *probe_find(const char *isa, enum precision precision);

struct probe_shape {
    int m, n, k;
    int group;    /* columns of B that are gone through for a block of A: they stay in the cache */
    size_t ahead; /* see tile */
};
/* Seconds of the fastest of `repeat` products; every thread has its own columns. The sizes are
 * rounded up to whole tiles. copies > 1: so many matrices B, one after another, which do not fit in
 * any cache together; the seconds are of all of them. ERR_MACHINE when memory is out, or when a sum
 * is not what it must be. */
int probe_product(double *seconds, const struct probe_kernel *p, struct probe_shape shape,
                  int copies, struct team *team, int repeat, struct err *err);

/* Operations a second: the best over shapes and blockings that fit different caches, as many as
 * begin within so many seconds, and two at least. */
int probe_matrix_rate(double *rate, const struct probe_kernel *p, struct team *team, double seconds,
                      struct err *err);

/* Bytes a second of reading `bytes` in threads' consecutive parts, once: the best of `repeat`.
 * `sum` (may be NULL): of the last time's 64-bit words, in whole pieces of 256 bytes. */
double probe_read_rate(const void *data, size_t bytes, size_t ahead, struct team *team, int repeat,
                       uint64_t *sum);
/* The best over prefetch distances, of a fresh block of so many bytes in huge pages. ERR_MACHINE
 * when memory is out, or when what was read is not what was written. */
int probe_best_read_rate(double *rate, size_t bytes, struct team *team, int repeat,
                         struct err *err);

/* The emulated build (tests) holds the AMX tile once more under another name. */
#ifdef GRPO_EMULATE_ISA
#define PROBE_NAME(name) emulated_##name
#else
#define PROBE_NAME(name) name
#endif
extern const struct probe_kernel probe_c_f32;
extern const struct probe_kernel probe_avx2_f32, probe_avx512_f32, probe_avx512bf16_bf16;
extern const struct probe_kernel PROBE_NAME(probe_amx_bf16);

#endif
