/* packed.h: a weight matrix as the microkernels read it. One layout per precision serves every
 * instruction set and both directions of a product:
 *   bf16: panels of 16 columns n; in a panel, pairs along k: [N/16][K/2][16][2], K padded with
 * zeros to a multiple of 32 and N to a multiple of 16. A 32 × 16 piece is one AMX tile, a pair row
 *         one AVX-512 BF16 register; AVX2 widens it to f32 by shift and mask.
 *   f32:  [N/16][K][16], K and N padded with zeros to multiples of 16. */
#ifndef BACKEND_CPU_PACKED_H
#define BACKEND_CPU_PACKED_H
#include <stddef.h>
#include "backend/backend.h"

enum { GEMM_PANEL = 16, GEMM_K_ALIGN = 32 };

struct packed { /* a packed weight; data is 64-byte aligned */
    void *data;
    enum precision precision;
    int n, k; /* logical */
    int n_padded, k_padded;
};

size_t packed_bytes(enum precision precision, int n, int k);
size_t packed_element_bytes(enum precision precision);
size_t packed_panel_bytes(const struct packed *p);
void packed_init(struct packed *p, enum precision precision, int n, int k, void *data);
/* Fills a packed weight from a host matrix (n, k), row-major, leading dimension k. */
void packed_fill(struct packed *p, const void *host, enum weight_dtype dtype);
/* Its panels [first, end) of n_padded / GEMM_PANEL, for threads to divide. */
void packed_fill_panels(struct packed *p, const void *host, enum weight_dtype dtype, int first,
                        int end);
/* Row `row` of the matrix, as f32 (k values): the embedding table is a packed weight too. */
void packed_row(float *out, const struct packed *p, int row);

#endif
