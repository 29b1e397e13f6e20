/* test_row_rule_attention.c: the row rule of heads and attention, with ==: a query sees the same
 * keys, hence gives the same bits, alone and in a batch, sampled and trained, however its sequence
 * was cut into prefix, own part and calls, on 1 and 2 threads, and whatever lies in the rest of the
 * cache; and what a span's gradient does not depend on. See test_row_rule.c.
 *
 * Every cache here starts as NaN and holds what was written to it, so each test is also one of the
 * hazard "uninitialised cache (0 × NaN)". */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"

enum { LONG = 130, SHORT = 41, ROOM = 2 * LONG + 124 };
/* Where a prefix is kept, apart from the own keys, which are below. */
enum { PREFIX_ROW = 192 };

static const struct {
    struct attn_dims dims;
    int length;
} shapes[] = {{{2, 1, 20, ROOM}, LONG},
              {{2, 2, 64, ROOM}, SHORT},
              {{4, 2, 80, ROOM}, SHORT},
              {{3, 1, 128, ROOM}, SHORT}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* One sequence: its queries and its keys and values, as f32 on the host. */
struct sequence {
    struct attn_dims dims;
    int length, q_dim, kv_dim;
    float *q, *k, *v, *q_device;
};

static struct sequence sequence_of(struct rig *g, struct attn_dims dims, int length, uint32_t seed)
{
    dims.cache_rows = ROOM;
    struct sequence s = {.dims = dims,
                         .length = length,
                         .q_dim = dims.heads * dims.head_dim,
                         .kv_dim = dims.kv_heads * dims.head_dim};
    size_t nq = (size_t)(length * s.q_dim), nk = (size_t)(length * s.kv_dim);
    s.q = rig_round(g, rig_random(g, nq, seed, 1.5f), nq);
    s.k = rig_random(g, nk, seed + 1, 1);
    s.v = rig_random(g, nk, seed + 2, 1);
    s.q_device = rig_put(g, s.q, nq);
    return s;
}

/* A cache of ROOM rows, NaN but for tokens [from, to) of the sequence from row `row`. */
struct place {
    int from, to, row;
};
static float *rows_of(struct rig *g, const float *tokens, struct attn_dims dims,
                      const struct place *places, int n)
{
    int kv_dim = dims.kv_heads * dims.head_dim;
    size_t floats = (size_t)(ROOM * kv_dim);
    float *host = rig_host(g, floats * sizeof *host);
    for (size_t i = 0; i < floats; i++)
        host[i] = NAN;
    for (int i = 0; i < n; i++)
        memcpy(host + places[i].row * kv_dim, tokens + places[i].from * kv_dim,
               (size_t)((places[i].to - places[i].from) * kv_dim) * sizeof *host);
    return host;
}

static void *keys_of(struct rig *g, const float *tokens, struct attn_dims dims,
                     const struct place *places, int n)
{
    return rig_keys(g, rows_of(g, tokens, dims, places, n), dims);
}

static void *values_of(struct rig *g, const float *tokens, struct attn_dims dims,
                       const struct place *places, int n)
{
    return rig_values(g, rows_of(g, tokens, dims, places, n), dims);
}

/* out and lse of a span of s, out first. */
static float *attend(struct rig *g, const struct sequence *s, const void *k, const void *v,
                     const struct attn_span *span, int first)
{
    size_t nq = (size_t)(span->n_q * s->q_dim), nl = (size_t)(span->n_q * s->dims.heads);
    float *out = rig_room(g, nq), *lse = rig_room(g, nl);
    g->ops->attention(g->d, out, lse, s->q_device + first * s->q_dim, k, v, span, 1, s->dims,
                      span->n_q);
    float *both = rig_host(g, (nq + nl) * sizeof *both);
    memcpy(both, rig_get(g, out, nq), nq * sizeof *both);
    memcpy(both + nq, rig_get(g, lse, nl), nl * sizeof *both);
    return both;
}

/* Tokens [first, length) as computed in one piece: `whole` is attend's result of all. */
static void expect_tail(struct rig *g, const struct sequence *s, const char *what,
                        const float *tail, const float *whole, int first, int n)
{
    size_t q = (size_t)s->q_dim, heads = (size_t)s->dims.heads, from = (size_t)first;
    rig_same(g, what, tail, whole + from * q, (size_t)n * q * sizeof *tail);
    rig_same(g, what, tail + (size_t)n * q, whole + (size_t)s->length * q + from * heads,
             (size_t)n * heads * sizeof *tail);
}

/* The sequence in one piece on a cache of its own. */
static float *whole_of(struct rig *g, const struct sequence *s)
{
    struct place all = {0, s->length, KV_ALIGN};
    struct attn_span span = {.n_q = s->length, .own_row = KV_ALIGN};
    void *k = keys_of(g, s->k, s->dims, &all, 1), *v = values_of(g, s->v, s->dims, &all, 1);
    float *whole = attend(g, s, k, v, &span, 0);
    rig_same_on_threads(g, "attention", whole,
                        (size_t)(s->length * (s->q_dim + s->dims.heads)) * sizeof *whole);
    return whole;
}

/* Every place on two threads, every fifth on one: the whole is compared on both. */
static int every(const struct rig *g)
{
    return g->d->threads == 1 ? 5 : 1;
}

/* "Key blocks that start at a sequence's own beginning", and the block that straddles prompt and
 * completion: a prefix of every length, elsewhere in the cache. */
static void check_prefix_cuts(struct rig *g)
{
    for (int i = 0; i < SHAPES; i++) {
        struct sequence s = sequence_of(g, shapes[i].dims, shapes[i].length, 1);
        float *whole = whole_of(g, &s);
        struct rig_mark mark = rig_mark(g);
        g->label = "prefix";
        for (int cut = 1; cut < s.length; cut += every(g)) {
            int own_row = kv_own_row(3, cut);
            struct place places[] = {{0, cut, PREFIX_ROW}, {cut, s.length, own_row}};
            void *k = keys_of(g, s.k, s.dims, places, 2);
            void *v = values_of(g, s.v, s.dims, places, 2);
            struct attn_span span = {.n_q = s.length - cut,
                                     .prefix_row = PREFIX_ROW,
                                     .prefix_len = cut,
                                     .own_row = own_row};
            char what[60];
            snprintf(what, sizeof what, "prefix of %d", cut);
            expect_tail(g, &s, what, attend(g, &s, k, v, &span, cut), whole, cut, s.length - cut);
            rig_release(g, mark);
        }
        rig_clear(g);
    }
}

/* Calls: at every position the rest in one call, R = 130 … 1 queries; the query alone; and with a
 * prefix of 13 besides. Nothing later than the last query is in the cache. */
static void check_call_cuts(struct rig *g)
{
    for (int i = 0; i < SHAPES; i++) {
        struct sequence s = sequence_of(g, shapes[i].dims, shapes[i].length, 4);
        float *whole = whole_of(g, &s);
        struct rig_mark mark = rig_mark(g);
        for (int at = 0; at < s.length; at += every(g)) {
            int prefix = at >= 13 ? 13 : 0;
            int own_row = kv_own_row(7, prefix);
            struct place places[] = {{0, 13, PREFIX_ROW}, {prefix, s.length, own_row}};
            struct attn_span rest = {.n_q = s.length - at,
                                     .prefix_row = PREFIX_ROW,
                                     .prefix_len = prefix,
                                     .own_row = own_row,
                                     .own_pos = at - prefix};
            struct attn_span one = rest;
            one.n_q = 1;
            void *k = keys_of(g, s.k, s.dims, places, 2);
            void *v = values_of(g, s.v, s.dims, places, 2);
            g->label = "calls";
            expect_tail(g, &s, "the rest", attend(g, &s, k, v, &rest, at), whole, at,
                        s.length - at);
            places[1].to = at + 1;
            places[0].to = at + 1 < 13 ? at + 1 : 13;
            k = keys_of(g, s.k, s.dims, places, 2);
            v = values_of(g, s.v, s.dims, places, 2);
            expect_tail(g, &s, "one query", attend(g, &s, k, v, &one, at), whole, at, 1);
            rig_release(g, mark);
        }
        rig_clear(g);
    }
}

/* Spans of several sequences in one call, in any order, give what each gives alone. */
static void check_neighbours(struct rig *g)
{
    enum { COUNT = 4, APART = 64 };
    static const int lengths[COUNT] = {19, 1, 33, 16};
    for (int i = 0; i < SHAPES; i++) {
        struct attn_dims dims = shapes[i].dims;
        dims.cache_rows = ROOM;
        size_t q_dim = (size_t)(dims.heads * dims.head_dim);
        size_t kv_dim = (size_t)(dims.kv_heads * dims.head_dim);
        struct attn_span spans[COUNT];
        float *alone[COUNT], *q = rig_host(g, COUNT * APART * q_dim * sizeof *q);
        float *k = rig_random(g, ROOM * kv_dim, 9, NAN), *v = rig_random(g, ROOM * kv_dim, 9, NAN);
        int rows = 0;
        g->label = "neighbours";
        for (int c = 0; c < COUNT; c++) {
            struct sequence s = sequence_of(g, dims, lengths[c], 20 + (uint32_t)c);
            size_t n = (size_t)lengths[c], own = (size_t)((COUNT - 1 - c) * APART);
            alone[c] = whole_of(g, &s);
            memcpy(q + (size_t)rows * q_dim, s.q, n * q_dim * sizeof *q);
            memcpy(k + own * kv_dim, s.k, n * kv_dim * sizeof *k);
            memcpy(v + own * kv_dim, s.v, n * kv_dim * sizeof *v);
            spans[(c + 2) % COUNT] =
                (struct attn_span){.q_row = rows, .n_q = lengths[c], .own_row = (int)own};
            rows += lengths[c];
        }
        size_t nq = (size_t)rows * q_dim;
        float *together = rig_room(g, nq);
        g->ops->attention(g->d, together, NULL, rig_put(g, q, nq), rig_keys(g, k, dims),
                          rig_values(g, v, dims), spans, COUNT, dims, rows);
        float *got = rig_get(g, together, nq);
        for (int c = 0; c < COUNT; got += (size_t)lengths[c++] * q_dim)
            rig_same(g, "out", got, alone[c], (size_t)lengths[c] * q_dim * sizeof *got);
        rig_clear(g);
    }
}

/* Decoding: sequences that share a prefix, one query each (or two), give together what each gives
 * alone; a stranger with another prefix in between. Nothing behind a sequence's last key. */
static void check_shared_prefix(struct rig *g)
{
    enum { COUNT = 21, PREFIX = 37, APART = KV_ALIGN, STRANGER = 11, ROWS = (COUNT + 5) * APART };
    for (int i = 0; i < SHAPES; i++) {
        struct attn_dims dims = shapes[i].dims;
        dims.cache_rows = ROWS;
        size_t q_dim = (size_t)(dims.heads * dims.head_dim);
        size_t kv_dim = (size_t)(dims.kv_heads * dims.head_dim), heads = (size_t)dims.heads;
        struct attn_span spans[COUNT];
        float *k = rig_random(g, ROWS * kv_dim, 31, 1), *v = rig_random(g, ROWS * kv_dim, 32, 1);
        int rows = 0;
        g->label = "shared prefix";
        for (int c = 0; c < COUNT; c++) {
            int queries = c % 5 == 3 ? 2 : 1, pos = c * 5 % 29;
            int own = kv_own_row((4 + c) * APART, PREFIX);
            spans[c] = (struct attn_span){rows, queries, 0, PREFIX, own, pos};
            if (c == STRANGER)
                spans[c].prefix_row = 2 * KV_ALIGN;
            for (size_t n = (size_t)(own + pos + queries) * kv_dim;
                 n < (size_t)(own + APART) * kv_dim; n++)
                k[n] = v[n] = NAN;
            rows += queries;
        }
        size_t nq = (size_t)rows * q_dim, nl = (size_t)rows * heads;
        float *q = rig_put(g, rig_round(g, rig_random(g, nq, 33, 1.5f), nq), nq);
        float *out = rig_room(g, nq), *lse = rig_room(g, nl);
        void *k_cache = rig_keys(g, k, dims), *v_cache = rig_values(g, v, dims);
        g->ops->attention(g->d, out, lse, q, k_cache, v_cache, spans, COUNT, dims, rows);
        float *together = rig_get(g, out, nq), *together_lse = rig_get(g, lse, nl);
        for (int c = 0; c < COUNT; c++) {
            struct attn_span alone = spans[c];
            size_t at = (size_t)alone.q_row, n = (size_t)alone.n_q;
            alone.q_row = 0;
            g->ops->attention(g->d, out, lse, q + at * q_dim, k_cache, v_cache, &alone, 1, dims,
                              alone.n_q);
            rig_same(g, "out", together + at * q_dim, rig_get(g, out, nq), n * q_dim * sizeof *out);
            rig_same(g, "lse", together_lse + at * heads, rig_get(g, lse, nl),
                     n * heads * sizeof *lse);
        }
        rig_clear(g);
    }
}

/* --- norm and rotation --- */

struct rope {
    struct attn_dims dims;
    int q_dim, kv_dim;
    float *q, *k, *v, *gain, *cosine, *sine; /* device */
    int positions[LONG], rows[LONG];
};

static struct rope rope_of(struct rig *g, struct attn_dims dims)
{
    dims.cache_rows = LONG;
    struct rope t = {
        .dims = dims, .q_dim = dims.heads * dims.head_dim, .kv_dim = dims.kv_heads * dims.head_dim};
    size_t nq = (size_t)(LONG * t.q_dim), nk = (size_t)(LONG * t.kv_dim);
    size_t angles = (size_t)(LONG * dims.head_dim / 2);
    t.q = rig_put(g, rig_random(g, nq, 1, 1), nq);
    t.k = rig_put(g, rig_random(g, nk, 2, 1), nk);
    t.v = rig_put(g, rig_random(g, nk, 3, 1), nk);
    t.gain = rig_put(g, rig_random(g, (size_t)dims.head_dim, 4, 1), (size_t)dims.head_dim);
    t.cosine = rig_put(g, rig_random(g, angles, 5, 0.5f), angles);
    t.sine = rig_put(g, rig_random(g, angles, 6, 0.5f), angles);
    for (int r = 0; r < LONG; r++)
        t.positions[r] = t.rows[r] = r;
    return t;
}

/* All bits one: NaN in bf16 and f32 alike. */
static void *empty_cache(struct rig *g, struct attn_dims dims)
{
    size_t bytes = g->ops->kv_bytes(g->d, dims);
    void *cache = rig_room(g, bytes / sizeof(float)), *ones = rig_host(g, bytes);
    memset(ones, 0xFF, bytes);
    g->ops->upload(g->d, cache, ones, bytes);
    return cache;
}

static void rope(struct rig *g, const struct rope *t, float *q_out, void *k, void *v, int first,
                 int R)
{
    g->ops->qk_rope(g->d, q_out, k, v, t->q + first * t->q_dim, t->k + first * t->kv_dim,
                    t->v + first * t->kv_dim, t->gain, t->gain, 1e-6f, t->cosine, t->sine,
                    t->positions + first, t->rows + first, t->dims, R);
}

/* "Different bf16 rounding of q, k, v in cache and training": every R from 1 to 130 leaves the same
 * bits in q and in both caches, and touches no other row. */
static void check_qk_rope(struct rig *g)
{
    for (int i = 0; i < 2; i++) {
        struct rope t = rope_of(g, shapes[i].dims);
        size_t nq = (size_t)(LONG * t.q_dim), nk = (size_t)(LONG * t.kv_dim);
        float *q_out = rig_room(g, nq), *part = rig_room(g, nq);
        void *k = empty_cache(g, t.dims), *v = empty_cache(g, t.dims);
        float *nan = rig_get_keys(g, k, t.dims);
        g->label = "qk_rope";
        rope(g, &t, q_out, k, v, 0, LONG);
        float *whole = rig_get(g, q_out, nq);
        float *want_k = rig_get_keys(g, k, t.dims), *want_v = rig_get_values(g, v, t.dims);
        struct rig_mark mark = rig_mark(g);
        size_t all = nk * sizeof *want_k;
        rig_same_on_threads(g, "q", whole, nq * sizeof *whole);
        rig_same_on_threads(g, "k", want_k, all);
        rig_same_on_threads(g, "v", want_v, all);
        for (int R = 1; R <= LONG; R += every(g)) {
            int first = LONG - R;
            size_t q_bytes = (size_t)(R * t.q_dim) * sizeof *whole;
            size_t at = (size_t)(first * t.kv_dim);
            float *q_host = rig_host(g, q_bytes);
            k = empty_cache(g, t.dims);
            v = empty_cache(g, t.dims);
            rope(g, &t, part, k, v, first, R);
            g->ops->download(g->d, q_host, part, q_bytes);
            rig_same(g, "q", q_host, whole + first * t.q_dim, q_bytes);
            float *got = rig_get_keys(g, k, t.dims);
            rig_same(g, "k", got + at, want_k + at, all - at * sizeof *got);
            rig_same(g, "other rows of k", got, nan, at * sizeof *got);
            got = rig_get_values(g, v, t.dims);
            rig_same(g, "v", got + at, want_v + at, all - at * sizeof *got);
            rig_same(g, "other rows of v", got, nan, at * sizeof *got);
            rig_release(g, mark);
        }
        rig_clear(g);
    }
}

/* Sampler = trainer, at the level of operations: a sequence rotated, cached and attended token by
 * token gives the bits of all tokens at once. */
static void check_decoding(struct rig *g)
{
    for (int i = 0; i < SHAPES; i++) {
        struct rope t = rope_of(g, shapes[i].dims);
        int L = shapes[i].length;
        size_t nq = (size_t)(LONG * t.q_dim), row = (size_t)t.q_dim;
        float *q_out = rig_room(g, nq), *out = rig_room(g, nq), *q_one = rig_room(g, row);
        float *one = rig_room(g, row);
        void *k = empty_cache(g, t.dims), *v = empty_cache(g, t.dims);
        struct attn_span all = {.n_q = L};
        g->label = "decoding";
        rope(g, &t, q_out, k, v, 0, L);
        g->ops->attention(g->d, out, NULL, q_out, k, v, &all, 1, t.dims, L);
        float *want = rig_get(g, out, nq);
        k = empty_cache(g, t.dims);
        v = empty_cache(g, t.dims);
        for (int r = 0; r < L; r++) {
            struct attn_span step = {.n_q = 1, .own_pos = r};
            rope(g, &t, q_one, k, v, r, 1);
            g->ops->attention(g->d, one, NULL, q_one, k, v, &step, 1, t.dims, 1);
            rig_same(g, "out", rig_get(g, one, row), want + (size_t)r * row, row * sizeof *want);
        }
        rig_clear(g);
    }
}

/* --- gradients --- */

struct gradients {
    float *dq, *dk, *dv, *dk_prefix, *dv_prefix; /* host, of one span */
};

/* attention_backward over n spans; returns the gradients of each. */
static void backward(struct rig *g, const struct sequence *s, const float *dout, const void *k,
                     const void *v, const struct attn_span *spans, int n, struct gradients *out)
{
    int rows = 0;
    float *dk_prefix[4] = {NULL}, *dv_prefix[4] = {NULL};
    for (int i = 0; i < n; i++) {
        rows += spans[i].n_q;
        size_t shared = (size_t)(spans[i].prefix_len * s->kv_dim);
        dk_prefix[i] = shared ? rig_room(g, shared) : NULL;
        dv_prefix[i] = shared ? rig_room(g, shared) : NULL;
    }
    size_t nq = (size_t)(rows * s->q_dim), nk = (size_t)(rows * s->kv_dim);
    float *o = rig_room(g, nq), *lse = rig_room(g, (size_t)(rows * s->dims.heads));
    float *dq = rig_room(g, nq), *dk = rig_room(g, nk), *dv = rig_room(g, nk);
    g->ops->attention(g->d, o, lse, s->q_device, k, v, spans, n, s->dims, rows);
    g->ops->attention_backward(g->d, dq, dk, dv, dk_prefix, dv_prefix, rig_put(g, dout, nq),
                               s->q_device, k, v, o, lse, spans, n, s->dims, rows);
    float *all[3] = {rig_get(g, dq, nq), rig_get(g, dk, nk), rig_get(g, dv, nk)};
    for (int i = 0; i < n; i++) {
        size_t shared = (size_t)(spans[i].prefix_len * s->kv_dim);
        out[i] = (struct gradients){.dq = all[0] + spans[i].q_row * s->q_dim,
                                    .dk = all[1] + spans[i].q_row * s->kv_dim,
                                    .dv = all[2] + spans[i].q_row * s->kv_dim,
                                    .dk_prefix = shared ? rig_get(g, dk_prefix[i], shared) : NULL,
                                    .dv_prefix = shared ? rig_get(g, dv_prefix[i], shared) : NULL};
    }
}

/* A completion's gradient, that of the shared prompt included, is the same alone, in a batch and on
 * any number of threads. */
static void check_attention_backward(struct rig *g)
{
    enum { COUNT = 3 };
    static const struct attn_span spans[COUNT] = {
        {.q_row = 0, .n_q = 19, .prefix_row = 32, .prefix_len = 21, .own_row = 85},
        {.q_row = 19, .n_q = 1, .prefix_row = 32, .prefix_len = 17, .own_row = 113},
        {.q_row = 20, .n_q = 20, .own_row = 128}};
    for (int i = 0; i < SHAPES; i++) {
        struct sequence s = sequence_of(g, shapes[i].dims, 40, 1);
        struct gradients together[COUNT], alone;
        float *dout = rig_random(g, (size_t)(40 * s.q_dim), 5, 1);
        float *tokens = rig_random(g, (size_t)(95 * s.kv_dim), 6, 1);
        struct place places[] = {{0, 21, 32}, {21, 40, 85}, {40, 41, 113}, {41, 61, 128}};
        void *k = keys_of(g, tokens, s.dims, places, 4);
        void *v = values_of(g, tokens + 30 * s.kv_dim, s.dims, places, 4);
        g->label = "attention_backward";
        backward(g, &s, dout, k, v, spans, COUNT, together);
        for (int c = 0; c < COUNT; c++) {
            struct attn_span one = spans[c];
            struct sequence part = s;
            part.q_device = s.q_device + one.q_row * s.q_dim;
            one.q_row = 0;
            backward(g, &part, dout + spans[c].q_row * s.q_dim, k, v, &one, 1, &alone);
            size_t q_bytes = (size_t)(one.n_q * s.q_dim) * 4;
            size_t kv_bytes = (size_t)(one.n_q * s.kv_dim) * 4;
            size_t shared = (size_t)(one.prefix_len * s.kv_dim) * 4;
            rig_same(g, "dq", alone.dq, together[c].dq, q_bytes);
            rig_same(g, "dk", alone.dk, together[c].dk, kv_bytes);
            rig_same(g, "dv", alone.dv, together[c].dv, kv_bytes);
            rig_same_on_threads(g, "dq", alone.dq, q_bytes);
            rig_same_on_threads(g, "dk", alone.dk, kv_bytes);
            rig_same_on_threads(g, "dv", alone.dv, kv_bytes);
            if (!shared)
                continue;
            rig_same(g, "prefix dk", alone.dk_prefix, together[c].dk_prefix, shared);
            rig_same(g, "prefix dv", alone.dv_prefix, together[c].dv_prefix, shared);
            rig_same_on_threads(g, "prefix dk", alone.dk_prefix, shared);
            rig_same_on_threads(g, "prefix dv", alone.dv_prefix, shared);
        }
        rig_clear(g);
    }
}

/* A segment's dA and dB, wherever its rows lie in the batch. */
static void check_lora_gradient(struct rig *g)
{
    enum { N = 113, K = 300, RANK = 7, ROWS = 37, ALL = 60 };
    float *dy = rig_random(g, ALL * N, 1, 1), *du = rig_random(g, ALL * RANK, 2, 1);
    float *x = rig_random(g, ALL * K, 3, 1), *u = rig_random(g, ALL * RANK, 4, 1);
    float *da = rig_room(g, RANK * K), *db = rig_room(g, N * RANK), *want[2] = {NULL, NULL};
    g->label = "lora_gradient";
    for (int offset = 0; offset < 20; offset += 3) {
        float *const hosts[] = {dy, du, x, u};
        const int widths[] = {N, RANK, K, RANK};
        float *p[4];
        for (int i = 0; i < 4; i++) { /* the segment moves by `offset` rows */
            float *batch = rig_random(g, (size_t)(ALL * widths[i]), 7, 1);
            memcpy(batch + offset * widths[i], hosts[i], (size_t)(ROWS * widths[i]) * 4);
            p[i] = rig_put(g, batch, (size_t)(ALL * widths[i])) + offset * widths[i];
        }
        g->ops->lora_gradient(g->d, da, db, p[0], p[1], p[2], p[3], 0.7f, N, K, RANK, ROWS);
        float *got[2] = {rig_get(g, da, RANK * K), rig_get(g, db, N * RANK)};
        if (!want[0]) {
            want[0] = got[0];
            want[1] = got[1];
        }
        rig_same(g, "da", got[0], want[0], RANK * K * 4);
        rig_same(g, "db", got[1], want[1], N * RANK * 4);
    }
    rig_same_on_threads(g, "da", want[0], RANK * K * 4);
    rig_same_on_threads(g, "db", want[1], N * RANK * 4);
    rig_clear(g);
}

#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_threads(check_##name);                                                            \
    }
EACH(prefix_cuts)
EACH(call_cuts)
EACH(neighbours)
EACH(shared_prefix)
EACH(qk_rope)
EACH(decoding)
EACH(attention_backward)
EACH(lora_gradient)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_cuts),
        cmocka_unit_test(test_call_cuts),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_shared_prefix),
        cmocka_unit_test(test_qk_rope),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_attention_backward),
        cmocka_unit_test(test_lora_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
