/* spans.h: which queries see which keys: the tables that attention is called with; a part of
 * backend.h. */
#ifndef BACKEND_SPANS_H
#define BACKEND_SPANS_H

/* Queries [q_row, q_row + n_q) of one sequence and the keys they see. Keys and values live in rows
 * of a cache: first prefix_len rows from prefix_row (a shared prompt; 0: none), then the sequence's
 * own rows from own_row. prefix_row and own_row − prefix_len are multiples of KV_ALIGN, so that a
 * position has the same place in its block of rows wherever it lies (kv_own_row). Query i (0-based)
 * is own token own_pos + i: it sees the whole prefix and own rows 0 … own_pos + i inclusive. Its
 * absolute position is prefix_len + own_pos + i. */
struct attn_span {
    int q_row, n_q;
    int prefix_row, prefix_len;
    int own_row, own_pos;
};

enum { KV_ALIGN = 32 };

/* The first row from `row` on that can be the own_row of a sequence behind a prefix. */
static inline int kv_own_row(int row, int prefix_len)
{
    return row + ((prefix_len - row) % KV_ALIGN + KV_ALIGN) % KV_ALIGN;
}

struct attn_dims {
    int heads, kv_heads, head_dim; /* heads is a multiple of kv_heads (GQA) */
    int cache_rows;                /* of the caches that an operation is given */
};

#endif
