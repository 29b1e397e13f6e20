/* packed.c: filling the packed layout from a host matrix; see packed.h.
 *
 * In both precisions a panel is words of 32 bits, [word][16 rows]: a pair of bf16, or one f32. So
 * packing is a transposition, done in blocks of 16 rows × 16 words. A block that is in the host
 * matrix as it will be in the panel (same type, nothing missing) is read where it lies; any other
 * is staged first: converted, with zeros for what is not there.
 *
 * The host matrix is a mapped file of a gigabyte, read once. The 16 rows of a panel lie end to end,
 * but a block takes a line of each, an order that no hardware prefetcher follows: so each block
 * asks for its share of the next panel, line after line. Plain loops: with these requests they are
 * within a quarter of memcpy (docs/PERF.md), and shuffles written by hand gain nothing. */
#include "backend/cpu/packed.h"
#include <string.h>
#include "backend/cpu/gemm_layout.h"
#include "base/check.h"

enum {
    WORDS = 16, /* of each row in a block; every padded row is a whole number of them */
    BLOCK_WORDS = WORDS * GEMM_PANEL,
    WORD_BYTES = sizeof(uint32_t),
    LINE = 64 /* bytes of a cache line */
};

static int round_up(int value, int step)
{
    return (value + step - 1) / step * step;
}

size_t packed_element_bytes(enum precision precision)
{
    return precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
}

void packed_init(struct packed *p, enum precision precision, int n, int k, void *data)
{
    CHECK(n >= 1 && k >= 1);
    CHECK(((uintptr_t)data & 63) == 0);
    int step = precision == PRECISION_BF16 ? GEMM_K_ALIGN : GEMM_PANEL;
    *p = (struct packed){.data = data,
                         .precision = precision,
                         .n = n,
                         .k = k,
                         .n_padded = round_up(n, GEMM_PANEL),
                         .k_padded = round_up(k, step)};
}

size_t packed_bytes(enum precision precision, int n, int k)
{
    struct packed p;
    packed_init(&p, precision, n, k, NULL);
    return (size_t)p.n_padded * p.k_padded * packed_element_bytes(precision);
}

size_t packed_panel_bytes(const struct packed *p)
{
    return (size_t)GEMM_PANEL * p->k_padded * packed_element_bytes(p->precision);
}

/* --- values of the host matrix --- */

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bf16_widen(uint16_t value)
{
    return bits_float((uint32_t)value << 16);
}

/* Masks instead of branches, which the compilers would make of ?: here, so that loops over it
 * vectorise. */
static float f16_widen(uint16_t value)
{
    const uint32_t rebias = (127 - 15) << 23;
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16, magnitude = value & 0x7fffu;
    uint32_t is_small = 0u - (magnitude < 0x0400u), is_special = 0u - (magnitude >= 0x7c00u);
    uint32_t small = float_bits((float)(int)magnitude * 0x1p-24f); /* zero, subnormals: exact */
    /* Infinity and NaN: biased twice, the exponent is all ones again. */
    uint32_t other = (magnitude << 13) + rebias + (rebias & is_special);
    return bits_float(sign | (small & is_small) | (other & ~is_small));
}

/* Host arrays lie in a mapped file, at whatever address its header leaves them. */
static uint16_t host_half(const char *host, int i)
{
    uint16_t bits;
    memcpy(&bits, host + i * sizeof bits, sizeof bits);
    return bits;
}

static float host_float(const char *host, int i)
{
    float value;
    memcpy(&value, host + i * sizeof value, sizeof value);
    return value;
}

static void stage_f32(float *out, const char *host, enum weight_dtype dtype, int count)
{
    switch (dtype) {
    case WEIGHT_F16:
        for (int i = 0; i < count; i++)
            out[i] = f16_widen(host_half(host, i));
        break;
    case WEIGHT_BF16:
        for (int i = 0; i < count; i++)
            out[i] = bf16_widen(host_half(host, i));
        break;
    case WEIGHT_F32:
        memcpy(out, host, (size_t)count * sizeof *out);
    }
}

/* bf16 that is bf16 already keeps its bits, NaN payloads included. */
static void stage_bf16(uint16_t *out, const char *host, enum weight_dtype dtype, int count)
{
    switch (dtype) {
    case WEIGHT_F16:
        for (int i = 0; i < count; i++)
            out[i] = layout_bf16(f16_widen(host_half(host, i)));
        break;
    case WEIGHT_BF16:
        memcpy(out, host, (size_t)count * sizeof *out);
        break;
    case WEIGHT_F32:
        for (int i = 0; i < count; i++)
            out[i] = layout_bf16(host_float(host, i));
    }
}

/* --- packing --- */

struct source { /* a panel's rows in the host matrix */
    const char *rows;
    enum weight_dtype dtype;
    enum precision precision; /* of the panel */
    size_t value_bytes, row_bytes;
    int present;      /* rows there are, at most 16 */
    int k;            /* values of a row */
    int word_values;  /* values in a word of the panel */
    bool as_it_is;    /* the words of the rows are those of the panel */
    const char *next; /* the next panel's rows, if they too are to be packed, or NULL */
};

static struct source source_of(const struct packed *p, const void *host, enum weight_dtype dtype,
                               int panel, int end)
{
    bool bf16 = p->precision == PRECISION_BF16;
    int first = panel * GEMM_PANEL;
    struct source s = {.dtype = dtype,
                       .precision = p->precision,
                       .value_bytes = dtype == WEIGHT_F32 ? sizeof(float) : sizeof(uint16_t),
                       .present = layout_min(p->n - first, GEMM_PANEL),
                       .k = p->k,
                       .word_values = bf16 ? 2 : 1,
                       .as_it_is = dtype == (bf16 ? WEIGHT_BF16 : WEIGHT_F32)};
    s.row_bytes = (size_t)p->k * s.value_bytes;
    s.rows = (const char *)host + (size_t)first * s.row_bytes;
    if (panel + 1 < end && first + 2 * GEMM_PANEL <= p->n)
        s.next = s.rows + GEMM_PANEL * s.row_bytes;
    return s;
}

/* Words [word, word + 16) of the rows; zeros where the matrix has none. */
static void stage(uint32_t out[GEMM_PANEL][WORDS], const struct source *s, int word)
{
    int k = word * s->word_values;
    int inside = layout_min(s->k - k, WORDS * s->word_values);
    memset(out, 0, sizeof(uint32_t[GEMM_PANEL][WORDS]));
    if (inside <= 0)
        return;
    for (int r = 0; r < s->present; r++) {
        const char *from = s->rows + r * s->row_bytes + k * s->value_bytes;
        if (s->precision == PRECISION_BF16)
            stage_bf16((uint16_t *)(void *)out[r], from, s->dtype, inside);
        else
            stage_f32((float *)(void *)out[r], from, s->dtype, inside);
    }
}

/* out [16 words][16 rows] = in [16 rows][16 words], rows of `in` stride bytes apart. */
static void transpose(uint32_t *restrict out, const char *restrict in, size_t stride)
{
    for (int i = 0; i < WORDS; i++) {
        for (int r = 0; r < GEMM_PANEL; r++) {
            uint32_t word;
            memcpy(&word, in + r * stride + i * sizeof word, sizeof word);
            out[i * GEMM_PANEL + r] = word;
        }
    }
}

/* Asks for as much of the next panel as the block at `word` is of this one. */
static void ask_next(const struct source *s, int word)
{
    size_t block = (size_t)GEMM_PANEL * WORDS * s->word_values * s->value_bytes;
    const char *from = s->next + (size_t)(word / WORDS) * block;
    for (size_t b = 0; b < block; b += LINE)
        __builtin_prefetch(from + b);
}

static void fill_panel(uint32_t *out, const struct source *s, int words)
{
    uint32_t staged[GEMM_PANEL][WORDS];
    int whole = s->as_it_is && s->present == GEMM_PANEL ? s->k / s->word_values : 0;
    for (int word = 0; word < words; word += WORDS, out += BLOCK_WORDS) {
        if (s->next)
            ask_next(s, word);
        if (word + WORDS <= whole) {
            transpose(out, s->rows + (size_t)word * WORD_BYTES, s->row_bytes);
        } else {
            stage(staged, s, word);
            transpose(out, (const char *)staged, sizeof staged[0]);
        }
    }
}

void packed_fill_panels(struct packed *p, const void *host, enum weight_dtype dtype, int first,
                        int end)
{
    int words = (int)(packed_panel_bytes(p) / (GEMM_PANEL * WORD_BYTES));
    for (int panel = first; panel < end; panel++) {
        struct source s = source_of(p, host, dtype, panel, end);
        char *out = (char *)p->data + (size_t)panel * packed_panel_bytes(p);
        fill_panel((uint32_t *)(void *)out, &s, words);
    }
}

void packed_fill(struct packed *p, const void *host, enum weight_dtype dtype)
{
    packed_fill_panels(p, host, dtype, 0, p->n_padded / GEMM_PANEL);
}

void packed_row(float *out, const struct packed *p, int row)
{
    CHECK(row >= 0 && row < p->n);
    const char *panel = (const char *)p->data + row / GEMM_PANEL * packed_panel_bytes(p);
    int column = row % GEMM_PANEL;
    for (int k = 0; k < p->k; k++) {
        if (p->precision == PRECISION_BF16)
            out[k] =
                bf16_widen(((const uint16_t *)panel)[(k / 2 * GEMM_PANEL + column) * 2 + k % 2]);
        else
            out[k] = ((const float *)panel)[k * GEMM_PANEL + column];
    }
}
