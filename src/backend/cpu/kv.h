/* kv.h: how keys and values lie in a cache on the CPU: as the matrix kernels want their W
 * (gemm.h), so that attention is a matrix product with what is stored.
 *
 *   keys     panels of 16 rows:  [kv head][row/16][width/2][16 rows][2] in bf16: a product reduces
 *            over the dimensions, its columns are keys; f32: [kv head][row/16][width][16 rows]
 *   values   blocks of 32 rows:  [kv head][row/32][width/16][16 pairs of rows][16][2] in bf16: a
 *            product reduces over keys, its columns are dimensions; f32: [...][32 rows][16]
 *
 * A head's rows are contiguous: memory reads them twice as fast as pieces of 8 KiB with other heads
 * in between. width is head_dim rounded up to whole tiles; what is beyond head_dim holds zeros in
 * every row that was written. Both caches have the same size. */
#ifndef BACKEND_CPU_KV_H
#define BACKEND_CPU_KV_H
#include "backend/backend.h"
#include "backend/cpu/gemm.h"

struct kv_layout {
    enum precision precision;
    int heads; /* key-value heads */
    int dim, width;
    int rows; /* whole KV_ALIGN */
    size_t element;
    size_t panel; /* bytes of one head's 16 rows */
};

struct kv_layout kv_layout_of(enum precision precision, struct attn_dims dims);
size_t kv_layout_bytes(const struct kv_layout *l);

/* One head's 16 keys from row row / 16 · 16 on. */
static inline size_t kv_key_panel(const struct kv_layout *l, int row, int head)
{
    return ((size_t)head * (size_t)(l->rows / GEMM_PANEL) + (size_t)(row / GEMM_PANEL)) * l->panel;
}

/* One head's KV_ALIGN values from row row / KV_ALIGN · KV_ALIGN on: width / 16 panels of
 * KV_ALIGN · 16 elements, end to end. */
static inline size_t kv_value_block(const struct kv_layout *l, int row, int head)
{
    return ((size_t)head * (size_t)(l->rows / KV_ALIGN) + (size_t)(row / KV_ALIGN)) * 2 * l->panel;
}

/* x: dim elements, f32; in bf16 its rounding `half`, the other is not looked at. */
void kv_put_key(const struct kv_layout *l, void *cache, int row, int head, const float *x,
                const uint16_t *half);
void kv_put_value(const struct kv_layout *l, void *cache, int row, int head, const float *x,
                  const uint16_t *half);
void kv_get_key(const struct kv_layout *l, float *x, const void *cache, int row, int head);
void kv_get_value(const struct kv_layout *l, float *x, const void *cache, int row, int head);

#endif
