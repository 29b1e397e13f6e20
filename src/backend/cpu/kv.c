/* kv.c: see kv.h. A row of keys is scattered, four bytes to a cache line; the lines are those of
 * its 15 neighbours, which are written next. */
#include "backend/cpu/kv.h"
#include <string.h>
#include "base/check.h"

struct kv_layout kv_layout_of(enum precision precision, struct attn_dims dims)
{
    int step = precision == PRECISION_BF16 ? GEMM_K_ALIGN : GEMM_PANEL;
    struct kv_layout l = {.precision = precision, .heads = dims.kv_heads, .dim = dims.head_dim};
    CHECK(dims.cache_rows > 0);
    l.rows = (dims.cache_rows + KV_ALIGN - 1) / KV_ALIGN * KV_ALIGN;
    l.width = (dims.head_dim + step - 1) / step * step;
    l.element = precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
    l.panel = (size_t)GEMM_PANEL * (size_t)l.width * l.element;
    return l;
}

size_t kv_layout_bytes(const struct kv_layout *l)
{
    return (size_t)l->heads * (size_t)(l->rows / GEMM_PANEL) * l->panel;
}

/* Element of a panel of keys: dimension i of the panel's row c. */
static size_t key_at(const struct kv_layout *l, int c, int i)
{
    if (l->precision == PRECISION_BF16)
        return ((size_t)(i / 2) * GEMM_PANEL + (size_t)c) * 2 + (size_t)(i % 2);
    return (size_t)i * GEMM_PANEL + (size_t)c;
}

/* Element of a block of values: dimension i of the block's row r. */
static size_t value_at(const struct kv_layout *l, int r, int i)
{
    size_t panel = (size_t)(i / GEMM_PANEL) * KV_ALIGN * GEMM_PANEL, c = (size_t)(i % GEMM_PANEL);
    if (l->precision == PRECISION_BF16)
        return panel + ((size_t)(r / 2) * GEMM_PANEL + c) * 2 + (size_t)(r % 2);
    return panel + (size_t)r * GEMM_PANEL + c;
}

/* In bf16 two dimensions are one word. */
static void put_key_half(const struct kv_layout *l, char *panel, int c, const uint16_t *half)
{
    uint32_t *words = (uint32_t *)(void *)panel + c;
    for (int i = 0; i < l->width; i += 2, words += GEMM_PANEL) {
        uint32_t low = i < l->dim ? half[i] : 0, high = i + 1 < l->dim ? half[i + 1] : 0;
        *words = low | high << 16;
    }
}

void kv_put_key(const struct kv_layout *l, void *cache, int row, int head, const float *x,
                const uint16_t *half)
{
    char *panel = (char *)cache + kv_key_panel(l, row, head);
    int c = row % GEMM_PANEL;
    if (l->precision == PRECISION_BF16) {
        put_key_half(l, panel, c, half);
        return;
    }
    float *to = (float *)(void *)panel;
    for (int i = 0; i < l->width; i++)
        to[key_at(l, c, i)] = i < l->dim ? x[i] : 0;
}

void kv_put_value(const struct kv_layout *l, void *cache, int row, int head, const float *x,
                  const uint16_t *half)
{
    char *block = (char *)cache + kv_value_block(l, row, head);
    int r = row % KV_ALIGN;
    if (l->precision == PRECISION_BF16) {
        uint16_t *to = (uint16_t *)(void *)block;
        for (int i = 0; i < l->width; i++)
            to[value_at(l, r, i)] = i < l->dim ? half[i] : 0;
    } else {
        float *to = (float *)(void *)block;
        for (int i = 0; i < l->width; i++)
            to[value_at(l, r, i)] = i < l->dim ? x[i] : 0;
    }
}

static float element_value(const struct kv_layout *l, const char *base, size_t i)
{
    float value;
    if (l->precision == PRECISION_F32) {
        memcpy(&value, base + i * sizeof value, sizeof value);
        return value;
    }
    uint16_t half;
    memcpy(&half, base + i * sizeof half, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void kv_get_key(const struct kv_layout *l, float *x, const void *cache, int row, int head)
{
    const char *panel = (const char *)cache + kv_key_panel(l, row, head);
    for (int i = 0; i < l->dim; i++)
        x[i] = element_value(l, panel, key_at(l, row % GEMM_PANEL, i));
}

void kv_get_value(const struct kv_layout *l, float *x, const void *cache, int row, int head)
{
    const char *block = (const char *)cache + kv_value_block(l, row, head);
    for (int i = 0; i < l->dim; i++)
        x[i] = element_value(l, block, value_at(l, row % KV_ALIGN, i));
}
