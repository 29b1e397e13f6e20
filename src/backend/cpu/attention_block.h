/* attention_block.h: what attention's two directions share; private to attention*.c.
 *
 * A block is up to ATTN_ROWS rows of one key-value head: (query, head) pairs of one span, or of
 * several spans with the same prefix. Scores of row r lie at scores[r · stride + position]: the
 * index is the key's absolute position. What is computed for a row, whatever is beside it:
 *
 *  - a score: one accumulator over the dimensions (the microkernel's order), in f32 one for every
 *    ATTN_APART of them;
 *  - softmax: exact maximum, then the sum with position j in lane j modulo 16;
 *  - a weighted sum: one accumulator per dimension, positions in the microkernel's order. A row's
 *    weights end in zeros, which leave a sum as it is, up to the end of KV_ALIGN positions.
 *
 * Position j of a span lies in row base + j of the cache, where both bases, the prefix's and the
 * own keys', are multiples of KV_ALIGN (backend/spans.h): so the order does not depend on where the
 * sequence was cut. Where prefix and own keys meet within KV_ALIGN positions, and at the end, whose
 * rest may hold anything, values for many rows are put together in scratch, and so are keys
 * backward; few rows take runs of values where they lie. */
#ifndef BACKEND_CPU_ATTENTION_BLOCK_H
#define BACKEND_CPU_ATTENTION_BLOCK_H
#include "backend/cpu/attention.h"

enum {
    ATTN_ROWS = 64,   /* rows worked on together */
    ATTN_CHUNK = 128, /* positions of a weighted sum at a time: P and V stay in the caches */
    ATTN_APART = 16,  /* products of a partial sum over the dimensions in f32 */
    ATTN_LINE = 64,   /* bytes of a cache line */
    ATTN_SPARE = 32   /* rows behind the last that a microkernel may write (AMX: whole tiles) */
};

/* A thread's scratch; sizes in attention.c. */
struct attn_room {
    float *scores;    /* (ATTN_ROWS + ATTN_SPARE, stride) */
    float *scores2;   /* the same for dp */
    float *q, *dout;  /* (ATTN_ROWS, width) */
    float *sums;      /* (ATTN_ROWS + ATTN_SPARE, width) */
    float *corner;    /* (ATTN_ROWS + ATTN_SPARE, 16): scores of the panel where parts meet */
    float *apart;     /* of an attn_product */
    float *flipped;   /* (width, ATTN_ROWS and some) */
    char *x, *x2;     /* X: (ATTN_ROWS or width) rows × (width, ATTN_CHUNK or ATTN_ROWS) */
    char *values;     /* ATTN_CHUNK positions; as kv.h's panels of dimensions, end to end */
    char *panel;      /* one panel of keys */
    char *all_values; /* backward: all positions, as `values` */
    char *all_keys;   /* all keys with positions as what is reduced */
    char *value_rows; /* all values with dimensions as what is reduced */
    char *packed;     /* ATTN_CHUNK positions × ATTN_ROWS rows as W */
    float *dk, *dv;   /* (width, positions) */
    size_t score_stride, positions;
};

/* One call: what all its blocks share. */
struct attn_call {
    const struct attention *a;
    struct kv_layout kv;
    struct attn_dims dims;
    int group; /* query heads of a key-value head */
    float scale;
    const float *q;
    float *out, *lse;
    const void *k, *v;
    const struct attn_span *spans;
    int tasks, blocks;
    const struct attention_gradients *gradients;
};

struct attn_block {
    const struct attn_call *call;
    const struct attn_room *room;
    const struct attn_span *spans; /* n_spans of them */
    int n_spans, kv_head;
    int n; /* rows */
    int limit[ATTN_ROWS];
    size_t place[ATTN_ROWS]; /* row of (R·heads, head_dim) */
};

/* Rows [first, first + n) of a block see positions [from, to) of one span, or, later queries of a
 * span being last, each as many of them as its limit allows. */
struct attn_part {
    int first, n;
    int from, to;
    int base; /* position 0's row of the cache */
};

/* acc (n, panels · 16), leading dimension acc_ld, = or += X·W over k. */
struct attn_product {
    float *acc;
    size_t acc_ld;
    bool resume;
    const char *x;
    int n, k;
    int x_from, x_depth; /* where in X the k begin, of how many (0: it has just these k) */
    const char *w;
    size_t w_stride;
    int panels;
    /* What the caches are to ask for meanwhile: W itself, panel after panel, and then `ahead`; or,
     * where W is in the caches, `ahead`, as many bytes as W has. NULL: nothing. */
    bool from_memory;
    const char *ahead;
    /* f32 over the dimensions: sums of ATTN_APART products apart, then these in order, which halves
     * the error; what they rest in, GEMM_MAX_ROWS × GEMM_MAX_GROUP · 16. NULL: one sum. */
    float *apart;
};

struct attn_block attn_block_of(const struct attn_call *call, const struct attn_room *room,
                                const struct attn_span *spans, int n_spans, int kv_head, int row0);
/* Rows of X as blocks for the microkernel; k_padded as gemm_kernel.h's lay_out. */
void attn_lay_out(const struct gemm_kernel *kernel, char *x, const float *rows, size_t ld, int n,
                  int k, int k_padded);
/* room->apart in f32. */
float *attn_apart(const struct attn_block *b);
void attn_multiply(const struct gemm_kernel *kernel, const struct attn_product *p);
/* The block's rows of a matrix (R, heads·head_dim), end to end, zeros up to width. */
void attn_gather(const struct attn_block *b, float *to, const float *matrix);
/* Scores of the block's rows, which lie in `rows` (as attn_gather leaves them). */
void attn_scores(const struct attn_block *b, float *scores, const float *rows);
/* Zeros from each row's limit to the end of KV_ALIGN positions that the part's rows reach. */
void attn_clear_tails(const struct attn_block *b, float *scores);
/* Values at positions [from, from + count) of a span, whole KV_ALIGN, to panels `stride` bytes
 * apart; zeros from position `end` on. */
void attn_take_values(const struct attn_block *b, const struct attn_span *span, char *to,
                      size_t stride, int from, int count, int end);
/* The same for `count` positions of one KV_ALIGN, whole pairs in bf16, of which some may be the
 * prefix's, some own, some behind the end. */
void attn_join_values(const struct attn_block *b, const struct attn_span *span, char *to,
                      size_t stride, int from, int count, int end);
/* Where the values from `position` on lie, to the end of its KV_ALIGN; the first of a pair. */
const char *attn_values_at(const struct attn_block *b, const struct attn_span *span, int position);
/* The same; NULL where they are not in one place or reach beyond `end`. */
const char *attn_whole_values(const struct attn_block *b, const struct attn_span *span, int from,
                              int end);
/* One panel of 16 keys of a span; zeros from position `end` on. Where it lies, or room->panel. */
const char *attn_take_keys(const struct attn_block *b, const struct attn_span *span, int from,
                           int end);

/* The caches are to ask for these bytes (the second-level one, as the microkernels do). */
static inline void attn_ask(const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += ATTN_LINE)
        __builtin_prefetch(from + i, 0, 2);
}

static inline int attn_min(int a, int b)
{
    return a < b ? a : b;
}

static inline int attn_round_up(int n, int step)
{
    return (n + step - 1) / step * step;
}

/* What a product over the dimensions reduces: in f32 it is not padded. */
static inline int attn_depth(const struct kv_layout *l)
{
    return l->precision == PRECISION_BF16 ? l->width : l->dim;
}

#endif
