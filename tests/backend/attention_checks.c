/* attention_checks.c: see attention_checks.h.
 *
 * Every cache of the row rule's checks starts as NaN and holds what was written to it, so each is
 * also one of the hazard "uninitialised cache (0 × NaN)". Scratch is full of NaN as well before the
 * calls that count: what they read there and did not write is seen. */
#include "attention_checks.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- scratch --- */

/* All bits one: NaN in bf16 and f32 alike. */
static void *nan_cache(struct rig *g, struct attn_dims dims)
{
    size_t bytes = g->ops->kv_bytes(g->d, dims);
    void *cache = rig_room(g, bytes / sizeof(float)), *ones = rig_host(g, bytes);
    memset(ones, 0xFF, bytes);
    g->ops->upload(g->d, cache, ones, bytes);
    return cache;
}

/* Both directions with NaN in and NaN out, in blocks of as many rows and keys as any below: one for
 * each thread, if each takes one. */
static void soil_scratch(struct rig *g, int head_dim)
{
    enum { COUNT = 2, QUERIES = 16, ROWS = COUNT * QUERIES, PREFIX = 204, CACHE = 352 };
    struct attn_dims dims = {4, 1, head_dim, CACHE};
    struct rig_mark mark = rig_mark(g);
    struct attn_span spans[COUNT];
    size_t q_dim = (size_t)(dims.heads * dims.head_dim), kv_dim = (size_t)dims.head_dim;
    float *dk_prefix[COUNT], *dv_prefix[COUNT];
    for (int c = 0; c < COUNT; c++) {
        spans[c] = (struct attn_span){.q_row = c * QUERIES,
                                      .n_q = QUERIES,
                                      .prefix_len = PREFIX,
                                      .own_row = kv_own_row(224 + c * 2 * KV_ALIGN, PREFIX)};
        dk_prefix[c] = rig_room(g, PREFIX * kv_dim);
        dv_prefix[c] = rig_room(g, PREFIX * kv_dim);
    }
    void *k = nan_cache(g, dims), *v = nan_cache(g, dims);
    float *q = rig_room(g, ROWS * q_dim), *out = rig_room(g, ROWS * q_dim);
    float *lse = rig_room(g, ROWS * (size_t)dims.heads), *dout = rig_room(g, ROWS * q_dim);
    float *dq = rig_room(g, ROWS * q_dim), *dk = rig_room(g, ROWS * kv_dim);
    float *dv = rig_room(g, ROWS * kv_dim);
    g->ops->attention(g->d, out, lse, q, k, v, spans, COUNT, dims, ROWS);
    g->ops->attention_backward(g->d, dq, dk, dv, dk_prefix, dv_prefix, dout, q, k, v, out, lse,
                               spans, COUNT, dims, ROWS);
    rig_release(g, mark);
}

/* --- against the reference --- */

enum { CACHE_ROWS = 434 };
const struct attn_dims attention_heads[] = {
    {2, 2, 16, CACHE_ROWS}, {4, 2, 64, CACHE_ROWS}, {3, 1, 80, CACHE_ROWS}, {6, 2, 128, CACHE_ROWS},
    {3, 3, 6, CACHE_ROWS},  {2, 1, 20, CACHE_ROWS}, {4, 1, 64, CACHE_ROWS}};

const char *attention_label(struct attn_dims d, const char *more)
{
    static char label[100];
    snprintf(label, sizeof label, "%d heads on %d, dimension %d%s", d.heads, d.kv_heads, d.head_dim,
             more);
    return label;
}

/* One call: its spans, the rows they cover, and how large queries are. (Tolerances are in units of
 * a tensor's root mean square. Where one of many keys takes all of the weight, a result is many
 * times that large, and the rounding of its score with it: long contexts get small queries.) */
struct span_set {
    const struct attn_span *spans;
    int n, rows;
    float scale;
};

/* out and lse, twice, against the reference. */
static void compare_forward(struct rig *g, struct attn_dims dims, const struct span_set *set)
{
    const struct attn_span *spans = set->spans;
    int n = set->n, rows = set->rows;
    size_t nq = (size_t)(rows * dims.heads * dims.head_dim), nl = (size_t)(rows * dims.heads);
    size_t cache = (size_t)(dims.cache_rows * dims.kv_heads * dims.head_dim);
    float *q = rig_round(g, rig_random(g, nq, 1, set->scale), nq);
    float *k = rig_round(g, rig_random(g, cache, 2, 1), cache);
    float *v = rig_round(g, rig_random(g, cache, 3, 1), cache);
    float *out = rig_room(g, nq), *lse = rig_room(g, nl), *again = rig_room(g, nq);
    float *q_device = rig_put(g, q, nq);
    void *kc = rig_keys(g, k, dims), *vc = rig_values(g, v, dims);
    soil_scratch(g, dims.head_dim);
    g->ops->attention(g->d, out, lse, q_device, kc, vc, spans, n, dims, rows);
    g->ops->attention(g->d, again, NULL, q_device, kc, vc, spans, n, dims, rows);
    double *want = rig_zeros(g, nq), *slack = rig_zeros(g, nq), *lse_want = rig_zeros(g, nl);
    ref_f64_attention(want, lse_want, slack, rig_wide(g, q, nq), rig_wide(g, k, cache),
                      rig_wide(g, v, cache), spans, n, dims, g->bf16);
    rig_expect_near(g, TOL_ATTENTION, "out", rig_get(g, out, nq), want, slack, nq);
    rig_expect(g, TOL_LSE, "lse", rig_get(g, lse, nl), lse_want, nl);
    rig_same(g, "out without lse", rig_get(g, again, nq), rig_get(g, out, nq), nq * 4);
    rig_clear(g);
}

/* Ragged: a prompt, two completions that share it, one that shares a piece of it that straddles a
 * block, decoding steps of other sequences, and an odd one without a prefix. And two spans that see
 * more keys than are weighed at a time. */
void attention_check_forward(struct rig *g)
{
    static const struct attn_span spans[] = {
        {.q_row = 0, .n_q = 21, .own_row = 32},
        {.q_row = 21, .n_q = 9, .prefix_row = 32, .prefix_len = 20, .own_row = 84},
        {.q_row = 30, .n_q = 1, .prefix_row = 32, .prefix_len = 17, .own_row = 113},
        {.q_row = 31, .n_q = 5, .prefix_row = 32, .prefix_len = 15, .own_row = 143, .own_pos = 6},
        {.q_row = 36, .n_q = 1, .own_row = 160, .own_pos = 32},
        {.q_row = 37, .n_q = 2, .own_row = 224},
    };
    static const struct attn_span far[] = {
        {.q_row = 0, .n_q = 3, .own_row = 256, .own_pos = 140},
        {.q_row = 3, .n_q = 9, .prefix_row = 256, .prefix_len = 135, .own_row = 423},
    };
    static const struct span_set sets[] = {{spans, sizeof spans / sizeof *spans, 39, 1.5f},
                                           {far, sizeof far / sizeof *far, 12, 0.5f}};
    for (int i = 0; i < ATTENTION_HEADS; i++)
        for (int set = 0; set < 2; set++) {
            g->label = attention_label(attention_heads[i], set ? ", many keys" : "");
            compare_forward(g, attention_heads[i], &sets[set]);
        }
}

/* Prefixes shorter than a block of values, whole blocks, and odd ends; own keys up to and beyond
 * the next blocks. */
void attention_check_sharing(struct rig *g)
{
    static const int prefixes[] = {1, 5, 31, 32, 33, 47, 64, 77, 95, 142, 128, 159, 160};
    enum { PREFIXES = sizeof prefixes / sizeof *prefixes, COUNT = 16, APART = 96, OWN = 256 };
    for (int i = 0; i < PREFIXES; i++) {
        struct attn_dims dims = attention_heads[i % ATTENTION_HEADS];
        struct attn_span spans[COUNT];
        int rows = 0;
        dims.cache_rows = OWN + COUNT * APART;
        for (int c = 0; c < COUNT; rows += spans[c++].n_q)
            spans[c] = (struct attn_span){.q_row = rows,
                                          .n_q = c % 5 == 3 ? 2 : 1,
                                          .prefix_len = prefixes[i],
                                          .own_row = kv_own_row(OWN + c * APART, prefixes[i]),
                                          .own_pos = c * 11 % 59};
        char more[40];
        snprintf(more, sizeof more, ", shared prefix of %d", prefixes[i]);
        g->label = attention_label(dims, more);
        compare_forward(g, dims, &(struct span_set){spans, COUNT, rows, 0.5f});
    }
}
/* Scores far apart: the softmax's maximum is subtracted, so nothing overflows. */
void attention_check_extreme(struct rig *g)
{
    enum { L = 19, D = 16 };
    struct attn_dims dims = {1, 1, D, L};
    struct attn_span span = {.n_q = L};
    float *q = rig_round(g, rig_random(g, L * D, 1, 40), L * D);
    float *k = rig_round(g, rig_random(g, L * D, 2, 40), L * D);
    float *v = rig_round(g, rig_random(g, L * D, 3, 1), L * D);
    float *out = rig_room(g, L * D), *lse = rig_room(g, L);
    g->ops->attention(g->d, out, lse, rig_put(g, q, L * D), rig_keys(g, k, dims),
                      rig_values(g, v, dims), &span, 1, dims, L);
    double want[L * D], lse_want[L];
    ref_f64_attention(want, lse_want, NULL, rig_wide(g, q, L * D), rig_wide(g, k, L * D),
                      rig_wide(g, v, L * D), &span, 1, dims, g->bf16);
    /* A score of 2,000 is known to 2000·2⁻²⁴ only: probabilities to 10⁻³ where two are close. */
    float *got = rig_get(g, out, L * D);
    for (int i = 0; i < L * D; i++)
        assert_true(fabs((double)got[i] - want[i]) < 5e-3);
    rig_expect(g, TOL_LSE, "lse", rig_get(g, lse, L), lse_want, L);
    rig_clear(g);
}

static void compare_backward(struct rig *g, struct attn_dims dims, const struct span_set *set)
{
    enum { MOST = 8 };
    const struct attn_span *spans = set->spans;
    int n_spans = set->n, rows = set->rows;
    assert_true(n_spans <= MOST);
    size_t kv_dim = (size_t)(dims.kv_heads * dims.head_dim);
    size_t nq = (size_t)(rows * dims.heads * dims.head_dim);
    size_t nl = (size_t)(rows * dims.heads), nk = (size_t)rows * kv_dim;
    size_t cache = (size_t)dims.cache_rows * kv_dim;
    float *q = rig_round(g, rig_random(g, nq, 1, set->scale), nq), *q_device = rig_put(g, q, nq);
    float *k = rig_round(g, rig_random(g, cache, 2, 1), cache);
    float *v = rig_round(g, rig_random(g, cache, 3, 1), cache);
    float *dout = rig_random(g, nq, 4, 1), *out = rig_room(g, nq), *lse = rig_room(g, nl);
    void *kc = rig_keys(g, k, dims), *vc = rig_values(g, v, dims);
    float *dq = rig_room(g, nq), *dk = rig_room(g, nk), *dv = rig_room(g, nk);
    float *dk_prefix[MOST] = {NULL}, *dv_prefix[MOST] = {NULL};
    double *want_prefix[4][MOST]; /* dk, dv, and how far these may be off */
    for (int s = 0; s < n_spans; s++) {
        size_t n = (size_t)spans[s].prefix_len * kv_dim;
        dk_prefix[s] = n ? rig_room(g, n) : NULL;
        dv_prefix[s] = n ? rig_room(g, n) : NULL;
        for (int w = 0; w < 4; w++)
            want_prefix[w][s] = rig_zeros(g, n);
    }
    soil_scratch(g, dims.head_dim);
    g->ops->attention(g->d, out, lse, q_device, kc, vc, spans, n_spans, dims, rows);
    g->ops->attention_backward(g->d, dq, dk, dv, dk_prefix, dv_prefix, rig_put(g, dout, nq),
                               q_device, kc, vc, out, lse, spans, n_spans, dims, rows);
    struct ref_f64_attention_gradients want = {rig_zeros(g, nq), rig_zeros(g, nk), rig_zeros(g, nk),
                                               want_prefix[0], want_prefix[1]};
    struct ref_f64_attention_gradients slack = {rig_zeros(g, nq), rig_zeros(g, nk),
                                                rig_zeros(g, nk), want_prefix[2], want_prefix[3]};
    struct ref_f64_attention_inputs in = {.dout = rig_wide(g, dout, nq),
                                          .out = rig_wide(g, rig_get(g, out, nq), nq),
                                          .q = rig_wide(g, q, nq),
                                          .k_cache = rig_wide(g, k, cache),
                                          .v_cache = rig_wide(g, v, cache),
                                          .bf16 = g->bf16};
    ref_f64_attention_backward(&want, &slack, &in, spans, n_spans, dims);
    rig_expect_near(g, TOL_ATTENTION_BACKWARD, "dq", rig_get(g, dq, nq), want.dq, slack.dq, nq);
    rig_expect_near(g, TOL_ATTENTION_BACKWARD, "dk", rig_get(g, dk, nk), want.dk, slack.dk, nk);
    rig_expect_near(g, TOL_ATTENTION_BACKWARD, "dv", rig_get(g, dv, nk), want.dv, slack.dv, nk);
    for (int s = 0; s < n_spans; s++) {
        size_t n = (size_t)spans[s].prefix_len * kv_dim;
        if (!n)
            continue;
        rig_expect_near(g, TOL_ATTENTION_BACKWARD, "prefix dk", rig_get(g, dk_prefix[s], n),
                        want_prefix[0][s], want_prefix[2][s], n);
        rig_expect_near(g, TOL_ATTENTION_BACKWARD, "prefix dv", rig_get(g, dv_prefix[s], n),
                        want_prefix[1][s], want_prefix[3][s], n);
    }
    rig_clear(g);
}

/* A prompt and completions that see all of it, a piece that ends inside of a block of keys, one
 * block exactly and nothing. And a span of several blocks of rows that sees more keys than are
 * weighed at a time. */
void attention_check_backward(struct rig *g)
{
    static const struct attn_span spans[] = {
        {.q_row = 0, .n_q = 21, .own_row = 32},
        {.q_row = 21, .n_q = 9, .prefix_row = 32, .prefix_len = 20, .own_row = 84},
        {.q_row = 30, .n_q = 1, .prefix_row = 32, .prefix_len = 17, .own_row = 113},
        {.q_row = 31, .n_q = 5, .prefix_row = 32, .prefix_len = 16, .own_row = 144},
        {.q_row = 36, .n_q = 18, .own_row = 160},
    };
    static const struct attn_span far[] = {
        {.n_q = 33, .prefix_row = 192, .prefix_len = 131, .own_row = 355}};
    static const struct span_set sets[] = {{spans, sizeof spans / sizeof *spans, 54, 1.5f},
                                           {far, 1, 33, 0.5f}};
    for (int i = 0; i < ATTENTION_HEADS; i++)
        for (int set = 0; set < 2; set++) {
            g->label = attention_label(attention_heads[i], set ? ", many keys" : "");
            compare_backward(g, attention_heads[i], &sets[set]);
        }
}

/* --- the row rule --- */

enum { ROOM = 2 * ATTENTION_LONG + 124 };
/* Where a prefix is kept, apart from the own keys, which are below. */
enum { PREFIX_ROW = 192, SHORT = 41 };

const struct attention_shape attention_shapes[] = {{{2, 1, 20, ROOM}, ATTENTION_LONG},
                                                   {{2, 2, 64, ROOM}, SHORT},
                                                   {{4, 2, 80, ROOM}, SHORT},
                                                   {{3, 1, 128, ROOM}, SHORT},
                                                   {{4, 1, 6, ROOM}, SHORT}};
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

/* Every place (or sweep_step's) on two threads, every fifth on one: the whole is compared on both.
 * Emulated every third, which still meets all places of a block of 32 in the long sequence. */
int attention_step(const struct rig *g)
{
    return sweep_step((g->d->threads == 1 ? 5 : 1) * (g->emulated ? 3 : 1));
}

/* The same for checks of several calls a place: every third at most, and for all but the first
 * shape a few. */
static int rare_step(const struct rig *g, int shape)
{
    return sweep_step((g->d->threads == 1 ? 5 : 1) * (shape == 0 ? 3 : 29));
}

/* "Key blocks that start at a sequence's own beginning", and the block that straddles prompt and
 * completion: a prefix of every length, elsewhere in the cache. */
void attention_check_prefix_cuts(struct rig *g)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct sequence s = sequence_of(g, attention_shapes[i].dims, attention_shapes[i].length, 1);
        soil_scratch(g, attention_shapes[i].dims.head_dim);
        float *whole = whole_of(g, &s);
        struct rig_mark mark = rig_mark(g);
        g->label = "prefix";
        for (int cut = 1; cut < s.length; cut += attention_step(g)) {
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
void attention_check_call_cuts(struct rig *g)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct sequence s = sequence_of(g, attention_shapes[i].dims, attention_shapes[i].length, 4);
        soil_scratch(g, attention_shapes[i].dims.head_dim);
        float *whole = whole_of(g, &s);
        struct rig_mark mark = rig_mark(g);
        for (int at = 0; at < s.length; at += attention_step(g)) {
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
void attention_check_neighbours(struct rig *g)
{
    enum { COUNT = 4, APART = 64 };
    static const int lengths[COUNT] = {19, 1, 33, 16};
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct attn_dims dims = attention_shapes[i].dims;
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
        soil_scratch(g, attention_shapes[i].dims.head_dim);
        g->ops->attention(g->d, together, NULL, rig_put(g, q, nq), rig_keys(g, k, dims),
                          rig_values(g, v, dims), spans, COUNT, dims, rows);
        float *got = rig_get(g, together, nq);
        for (int c = 0; c < COUNT; got += (size_t)lengths[c++] * q_dim)
            rig_same(g, "out", got, alone[c], (size_t)lengths[c] * q_dim * sizeof *got);
        rig_clear(g);
    }
}

/* Decoding: sequences that share a prefix, one query each (or two), give together what each gives
 * alone; a stranger with another prefix in between, and one whose values are no numbers. Nothing
 * behind a prefix and a sequence's last key. */
enum { SHARING = 34, STRANGER = 11, BROKEN = 5, OWN_ROW = 320, STRANGERS_ROW = 160 };
enum { SHARED_ROWS = OWN_ROW + (SHARING + 1) * KV_ALIGN };

static int sharing_spans(struct attn_span *spans, int prefix)
{
    int rows = 0;
    for (int c = 0; c < SHARING; rows += spans[c++].n_q)
        spans[c] = (struct attn_span){.q_row = rows,
                                      .n_q = c % 5 == 3 ? 2 : 1,
                                      .prefix_row = c == STRANGER ? STRANGERS_ROW : 0,
                                      .prefix_len = prefix,
                                      .own_row = kv_own_row(OWN_ROW + c * KV_ALIGN, prefix),
                                      .own_pos = c * 5 % 29};
    return rows;
}

/* Rows of a cache for them, everything NaN that is nobody's. */
static float *sharing_rows(struct rig *g, const struct attn_span *spans, size_t kv_dim,
                           uint32_t seed)
{
    float *all = rig_random(g, SHARED_ROWS * kv_dim, seed, 1);
    float *rows = rig_random(g, SHARED_ROWS * kv_dim, seed, NAN);
    for (int c = 0; c < SHARING; c++) {
        const struct attn_span *s = &spans[c];
        size_t at = (size_t)s->prefix_row * kv_dim, own = (size_t)s->own_row * kv_dim;
        memcpy(rows + at, all + at, (size_t)s->prefix_len * kv_dim * sizeof *rows);
        memcpy(rows + own, all + own, (size_t)(s->own_pos + s->n_q) * kv_dim * sizeof *rows);
    }
    return rows;
}

static void check_sharing_of(struct rig *g, struct attn_dims dims, int prefix)
{
    dims.cache_rows = SHARED_ROWS;
    size_t q_dim = (size_t)(dims.heads * dims.head_dim);
    size_t kv_dim = (size_t)(dims.kv_heads * dims.head_dim), heads = (size_t)dims.heads;
    struct attn_span spans[SHARING];
    int rows = sharing_spans(spans, prefix);
    float *k = sharing_rows(g, spans, kv_dim, 31), *v = sharing_rows(g, spans, kv_dim, 32);
    for (size_t i = 0; i < kv_dim; i++)
        v[(size_t)spans[BROKEN].own_row * kv_dim + i] = INFINITY;
    size_t nq = (size_t)rows * q_dim, nl = (size_t)rows * heads;
    float *q = rig_put(g, rig_round(g, rig_random(g, nq, 33, 1.5f), nq), nq);
    float *out = rig_room(g, nq), *lse = rig_room(g, nl);
    void *k_cache = rig_keys(g, k, dims), *v_cache = rig_values(g, v, dims);
    g->ops->attention(g->d, out, lse, q, k_cache, v_cache, spans, SHARING, dims, rows);
    float *together = rig_get(g, out, nq), *together_lse = rig_get(g, lse, nl);
    for (int c = 0; c < SHARING; c++) {
        struct attn_span alone = spans[c];
        size_t at = (size_t)alone.q_row, n = (size_t)alone.n_q;
        alone.q_row = 0;
        g->ops->attention(g->d, out, lse, q + at * q_dim, k_cache, v_cache, &alone, 1, dims,
                          alone.n_q);
        float *got = rig_get(g, out, nq);
        for (size_t i = 0; c != BROKEN && i < n * q_dim; i++)
            assert_true(isfinite(got[i]));
        if (c != BROKEN)
            rig_same(g, "out", together + at * q_dim, got, n * q_dim * sizeof *out);
        rig_same(g, "lse", together_lse + at * heads, rig_get(g, lse, nl), n * heads * sizeof *lse);
    }
    rig_clear(g);
}

void attention_check_shared_prefix(struct rig *g)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct attn_dims dims = attention_shapes[i].dims;
        soil_scratch(g, attention_shapes[i].dims.head_dim);
        for (int prefix = 1 + 2 * i; prefix < 150; prefix += rare_step(g, i)) {
            char more[40];
            snprintf(more, sizeof more, ", shared prefix of %d", prefix);
            g->label = attention_label(dims, more);
            check_sharing_of(g, dims, prefix);
        }
    }
}

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
enum { GRADIENTS = 3 };

static void same_gradients(struct rig *g, const struct sequence *s, const struct attn_span *span,
                           const struct gradients *alone, const struct gradients *together)
{
    size_t q_bytes = (size_t)(span->n_q * s->q_dim) * 4;
    size_t kv_bytes = (size_t)(span->n_q * s->kv_dim) * 4;
    size_t shared = (size_t)(span->prefix_len * s->kv_dim) * 4;
    rig_same(g, "dq", alone->dq, together->dq, q_bytes);
    rig_same(g, "dk", alone->dk, together->dk, kv_bytes);
    rig_same(g, "dv", alone->dv, together->dv, kv_bytes);
    if (shared) {
        rig_same(g, "prefix dk", alone->dk_prefix, together->dk_prefix, shared);
        rig_same(g, "prefix dv", alone->dv_prefix, together->dv_prefix, shared);
    }
}

static void same_gradients_on_threads(struct rig *g, const struct sequence *s,
                                      const struct attn_span *span, const struct gradients *got)
{
    size_t kv_bytes = (size_t)(span->n_q * s->kv_dim) * 4;
    size_t shared = (size_t)(span->prefix_len * s->kv_dim) * 4;
    rig_same_on_threads(g, "dq", got->dq, (size_t)(span->n_q * s->q_dim) * 4);
    rig_same_on_threads(g, "dk", got->dk, kv_bytes);
    rig_same_on_threads(g, "dv", got->dv, kv_bytes);
    if (shared) {
        rig_same_on_threads(g, "prefix dk", got->dk_prefix, shared);
        rig_same_on_threads(g, "prefix dv", got->dv_prefix, shared);
    }
}

static void check_gradients_of(struct rig *g, struct attn_dims dims, int prefix, bool on_threads)
{
    enum { QUERIES = 40, FURTHER = 30 };
    struct attn_span spans[GRADIENTS] = {
        {.q_row = 0, .n_q = 19, .prefix_row = 32, .prefix_len = prefix},
        {.q_row = 19, .n_q = 1, .prefix_row = 32, .prefix_len = prefix - 4},
        {.q_row = 20, .n_q = 20}};
    struct place places[GRADIENTS + 1] = {{0, prefix, 32}};
    for (int c = 0, row = PREFIX_ROW, token = prefix; c < GRADIENTS; c++) {
        spans[c].own_row = kv_own_row(row, spans[c].prefix_len);
        places[c + 1] = (struct place){token, token + spans[c].n_q, spans[c].own_row};
        row = spans[c].own_row + spans[c].n_q;
        token += spans[c].n_q;
    }
    struct sequence s = sequence_of(g, dims, QUERIES, 1);
    struct gradients together[GRADIENTS], alone;
    float *dout = rig_random(g, (size_t)(QUERIES * s.q_dim), 5, 1);
    float *tokens = rig_random(g, (size_t)((prefix + QUERIES + FURTHER) * s.kv_dim), 6, 1);
    void *k = keys_of(g, tokens, s.dims, places, GRADIENTS + 1);
    void *v = values_of(g, tokens + FURTHER * s.kv_dim, s.dims, places, GRADIENTS + 1);
    backward(g, &s, dout, k, v, spans, GRADIENTS, together);
    for (int c = 0; c < GRADIENTS; c++) {
        struct attn_span one = spans[c];
        struct sequence part = s;
        part.q_device = s.q_device + one.q_row * s.q_dim;
        one.q_row = 0;
        backward(g, &part, dout + spans[c].q_row * s.q_dim, k, v, &one, 1, &alone);
        same_gradients(g, &s, &one, &alone, &together[c]);
        if (on_threads)
            same_gradients_on_threads(g, &s, &one, &alone);
    }
    rig_clear(g);
}

void attention_check_backward_alone(struct rig *g)
{
    for (int i = 0; i < ATTENTION_SHAPES; i++) {
        struct attn_dims dims = attention_shapes[i].dims;
        int first = 21 + i;
        soil_scratch(g, attention_shapes[i].dims.head_dim);
        for (int prefix = first; prefix < 145; prefix += rare_step(g, i)) {
            char more[60];
            snprintf(more, sizeof more, ", gradients, prefix of %d", prefix);
            g->label = attention_label(dims, more);
            check_gradients_of(g, dims, prefix, prefix == first);
        }
    }
}
