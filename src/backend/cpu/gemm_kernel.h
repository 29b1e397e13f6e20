/* gemm_kernel.h: between gemm.c and the microkernels, one file per instruction set; private to them
 * and their tests.
 *
 * A microkernel multiplies one block of X rows with a few neighbouring panels of W over a range of
 * k and leaves plain f32 sums; gemm.c owns everything around it. What binds every microkernel:
 *   - a result element is one accumulator that takes its products in the order of k, whatever the
 *     number of rows and panels computed beside it (the row rule);
 *   - a sum stored and resumed later equals one that never left the register. */
#ifndef BACKEND_CPU_GEMM_KERNEL_H
#define BACKEND_CPU_GEMM_KERNEL_H
#include "backend/cpu/gemm.h"

/* How a block of `rows` rows of X lies in memory; K padded with zeros (GEMM_K_ALIGN in bf16). */
enum gemm_x {
    GEMM_X_F32,   /* [K][rows] f32; in bf16 mode the values are already rounded */
    GEMM_X_PAIRS, /* [K/2][rows][2] bf16: what AVX-512 BF16 broadcasts as 32 bits */
    GEMM_X_TILES  /* [rows/16][K/32][16][32] bf16, missing rows zero: AMX tiles of 1 KiB */
};

struct gemm_tile { /* one call of a microkernel */
    float *acc;    /* (rows, panels·16) sums, leading dimension acc_ld */
    int acc_ld;
    bool resume;      /* acc holds the sums of earlier k; otherwise they start at 0 */
    int rows, panels; /* rows ≤ kernel's rows, panels ≤ kernel's panels(rows) */
    int k;            /* products to take; a multiple of k_step */
    const void *x;    /* the rows' block, at the first k */
    size_t x_stride;  /* GEMM_X_TILES: bytes from 16 rows to the next 16 */
    const void *w;    /* the first panel, at the first k */
    size_t w_stride;  /* bytes from a panel to the next */
    const void *next; /* the W (same shape) that memory will be asked for next, or NULL */
    /* Where ahead_rows says so: where the caches are to ask for W meanwhile, or NULL; panels lie
     * w_stride apart, and with every line of W it goes ahead_step bytes further. */
    const char *ahead;
    int ahead_step;
};

struct gemm_kernel {
    const char *isa;
    enum precision precision;
    enum gemm_x x_layout;
    int rows;       /* rows of X per block, at most GEMM_MAX_ROWS */
    int row_step;   /* blocks are cut at multiples of this many rows (AMX: 16) */
    int k_step;     /* and a range of k at multiples of this: 1, a pair, AMX: a tile's 32 */
    int k_block;    /* k per pass: the block of X then stays in the first-level cache */
    int group;      /* panels per pass: k_block × group of W stays in the second level */
    int ahead_rows; /* products of so many rows follow `ahead`, 0: none do; fewer rows wait
                       for memory either way, and asking twice costs more than it brings */
    int (*panels)(int rows); /* panels that fill the registers beside that many rows */
    void (*tile)(const struct gemm_tile *t);
    /* For `count` blocks of 16 columns n × 16 k of a packed weight (bf16 [8][16 n][2], f32
     * [16 k][16 n]): the same block with n and k exchanged. Strides in bytes. */
    void (*transpose)(void *out, size_t out_stride, const void *in, size_t in_stride, int count);
    /* Rows of X (rows, k), leading dimension ldx, as one block in the layout above, rounded to bf16
     * in that precision; zeros from k to k_padded. */
    void (*lay_out)(void *block, const float *x, int ldx, int rows, int k, int k_padded);
    /* X (k, panels · 16), leading dimension ldx, as W: panels end to end, rows as what is reduced;
     * rounded to bf16 in that precision; zeros from k to k_padded. */
    void (*pack)(void *w, const float *x, int ldx, int k, int k_padded, int panels);
    /* y = or += alpha · sums, (rows, columns). */
    void (*write_out)(float *y, int ldy, const float *sums, int ld, int rows, int columns,
                      float alpha, bool add);
    void (*begin)(void); /* per thread around a parallel region, or NULL */
    void (*end)(void);
};

enum { GEMM_MAX_ROWS = 32, GEMM_MAX_GROUP = 16 };

/* The emulated build (tests) holds the same files once more under other names. */
#ifdef GRPO_EMULATE_ISA
#define GEMM_NAME(name) emulated_##name
#else
#define GEMM_NAME(name) name
#endif
extern const struct gemm_kernel GEMM_NAME(gemm_c_f32), GEMM_NAME(gemm_c_bf16);
extern const struct gemm_kernel GEMM_NAME(gemm_avx2_f32), GEMM_NAME(gemm_avx2_bf16);
extern const struct gemm_kernel GEMM_NAME(gemm_avx512_f32), GEMM_NAME(gemm_avx512_bf16);
extern const struct gemm_kernel GEMM_NAME(gemm_avx512bf16_bf16), GEMM_NAME(gemm_amx_bf16);

/* The AVX2 file's transpositions serve the AVX-512 and AMX kernels as well. */
void GEMM_NAME(gemm_avx2_transpose_f32)(void *out, size_t out_stride, const void *in,
                                        size_t in_stride, int count);
void GEMM_NAME(gemm_avx2_transpose_bf16)(void *out, size_t out_stride, const void *in,
                                         size_t in_stride, int count);

/* gemm_open with a given kernel, whether or not it is this machine's: tests bring emulated ones. */
int gemm_open_kernel(struct gemm **out, const struct gemm_kernel *kernel, int threads,
                     struct err *err);

#endif
