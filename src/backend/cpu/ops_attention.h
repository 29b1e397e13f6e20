/* ops_attention.h: attention's forward and backward kernels; a part of ops_body.h.
 *
 * A block is up to ATTN_ROWS rows of one key-value head: (query, head) pairs of one span, or of
 * several spans with the same prefix. Its queries lie in a panel, one after another and padded with
 * zeros to whole vectors; keys and values are widened to f32 ATTN_KEYS at a time into another,
 * which serves all rows of the block. (In the cache they are a power of two apart and would push
 * each other out of its few sets.) Where few rows share a key, it is read from the cache directly.
 *
 * Scores of row r lie at scores[r · stride + position]: the index is the key's absolute position.
 * What is computed for a row, whichever rows and keys are beside it in registers:
 *
 *  - a score: head_dim products, dimension i in lane i modulo 16, ascending; then v_sum's tree;
 *  - softmax: exact maximum, then the sum with position j in lane j modulo 16; v_sum's tree;
 *  - a weighted sum: an accumulator per dimension, keys in ascending order;
 *  - dk, dv: an accumulator per element, rows that see the key in ascending order.
 *
 * Sums put down in memory and taken up again keep their bits, so neither the cut into prefix and
 * own keys nor that into blocks is seen in the result. */

enum {
    MANY_ROWS = 8,  /* from so many rows on, widening keys into the panel pays */
    KEYS_AHEAD = 24 /* how far memory is asked ahead where keys come from the cache */
};

/* The rows of a block: how many keys each sees, and which (query, head) of the matrices it is. */
struct attn_block {
    const struct attn_job *a;
    int n, ranges;
    int limit[ATTN_ROWS];
    size_t place[ATTN_ROWS];
};

/* Rows [first, first + n) of a block see keys [from, to) or, later queries of a span being last,
 * each as many of them as its limit allows. */
struct attn_range {
    int first, n, from, to, own_row;
};

static size_t padded_dim(const struct attn_job *a)
{
    return (size_t)((a->head_dim + LANES - 1) / LANES * LANES);
}

static float *panel(const struct attn_job *a, int i)
{
    return a->panels + (size_t)i * ATTN_ROWS * padded_dim(a);
}

static float *score_row(const struct attn_block *b, float *scores, int row)
{
    return scores + (size_t)row * b->a->score_stride;
}

static struct attn_block block_of(const struct attn_job *a)
{
    struct attn_block b = {.a = a, .ranges = a->n_spans == 1 ? 1 : 1 + a->n_spans};
    int row0 = a->row0, n = a->n;
    for (int s = 0; s < a->n_spans; s++) {
        const struct attn_span *span = &a->spans[s];
        if (a->n_spans > 1) {
            row0 = 0;
            n = span->n_q * a->group;
        }
        for (int r = row0; r < row0 + n; r++, b.n++) {
            int query = r / a->group, head = a->first_head + r % a->group;
            b.limit[b.n] = span->prefix_len + span->own_pos + query + 1;
            b.place[b.n] = (size_t)(span->q_row + query) * (size_t)a->heads + (size_t)head;
        }
    }
    return b;
}

/* One span: all its keys. Several: first the prefix for all rows, then each span's own. */
static struct attn_range range_of(const struct attn_block *b, int i)
{
    const struct attn_span *span = b->a->spans;
    int prefix = span->prefix_len, first = 0;
    if (b->a->n_spans == 1)
        return (struct attn_range){0, b->n, 0, b->limit[b->n - 1], span->own_row};
    if (i == 0)
        return (struct attn_range){0, b->n, 0, prefix, 0};
    for (; --i > 0; span++)
        first += span->n_q * b->a->group;
    int n = span->n_q * b->a->group;
    return (struct attn_range){first, n, prefix, b->limit[first + n - 1], span->own_row};
}

static inline v16 load_cache(const void *base, size_t element, bool bf16, int m)
{
    if (bf16) {
        const uint16_t *p = (const uint16_t *)base + element;
        return m == LANES ? v_load_bf16(p) : v_load_bf16_n(p, m);
    }
    return load_lanes((const float *)base + element, m);
}

/* Neighbouring keys (or values), in the cache or in the panel. */
struct attn_keys {
    const void *base;
    size_t stride; /* elements */
    bool bf16, in_cache;
    int from, count; /* positions */
    int dim;
};

static size_t key_element(const struct attn_job *a, const struct attn_range *g, int j)
{
    int prefix = a->spans->prefix_len;
    int row = j < prefix ? a->spans->prefix_row + j : g->own_row + j - prefix;
    return (size_t)row * a->stride;
}

/* Memory may fetch keys [from, to) while others are computed with: the hardware does not guess that
 * a key of some lines follows at a distance of some kilobytes. */
static void prefetch_range(const struct attn_job *a, const struct attn_range *g, const void *cache,
                           int from, int to)
{
    size_t element = a->bf16 ? sizeof(uint16_t) : sizeof(float);
    for (int j = from; j < to && j < g->to; j++) {
        const char *key = (const char *)cache + key_element(a, g, j) * element;
        for (size_t at = 0; at < (size_t)a->head_dim * element; at += 64)
            __builtin_prefetch(key + at);
    }
}

/* While the rows from r on are computed, their share of the next block of keys. A few at a time:
 * more than memory takes at once would stop the computation. */
static void prefetch_share(const struct attn_job *a, const struct attn_range *g, const void *cache,
                           int from, int r)
{
    if (g->n < MANY_ROWS)
        return;
    int tiles = (g->n + TILE - 1) / TILE, tile = (r - g->first) / TILE;
    prefetch_range(a, g, cache, from + ATTN_KEYS + ATTN_KEYS * tile / tiles,
                   from + ATTN_KEYS + ATTN_KEYS * (tile + 1) / tiles);
}

/* The same for `n` neighbouring keys in the cache from the j-th on; there may be none any more. */
static inline void prefetch_keys(const struct attn_keys *keys, int j, int n)
{
    size_t element = keys->bf16 ? sizeof(uint16_t) : sizeof(float);
    const char *key = (const char *)keys->base + (size_t)j * keys->stride * element;
    for (int k = 0; k < n; k++, key += keys->stride * element)
        for (size_t at = 0; at < (size_t)keys->dim * element; at += 64)
            __builtin_prefetch(key + at);
}

/* Keys of a range from position `from` on: at most ATTN_KEYS, up to `to`. */
static struct attn_keys take_keys(const struct attn_job *a, const struct attn_range *g,
                                  const void *cache, int from)
{
    int to = g->to - from < ATTN_KEYS ? g->to : from + ATTN_KEYS, prefix = a->spans->prefix_len;
    size_t width = padded_dim(a);
    if (g->n < MANY_ROWS) {
        if (from < prefix && to > prefix)
            to = prefix;
        const char *base = cache;
        base += key_element(a, g, from) * (a->bf16 ? sizeof(uint16_t) : sizeof(float));
        return (struct attn_keys){base, a->stride, a->bf16, true, from, to - from, a->head_dim};
    }
    float *keys = panel(a, ATTN_PANELS), *out = keys;
    for (int j = from; j < to; j++, out += width) {
        size_t at = key_element(a, g, j);
        FOR_LANES(a->head_dim)
        v_store(out + i, load_cache(cache, at + (size_t)i, a->bf16, m));
    }
    return (struct attn_keys){keys, width, false, false, from, to - from, (int)width};
}

/* The block's rows of a matrix (R, heads·head_dim), end to end in a panel; and back. */
static void gather_rows(const struct attn_block *b, float *to, const float *matrix)
{
    size_t width = padded_dim(b->a), dim = (size_t)b->a->head_dim;
    for (int r = 0; r < b->n; r++, to += width) {
        const float *from = matrix + b->place[r] * dim;
        FOR_LANES(b->a->head_dim) v_store(to + i, load_lanes(from + i, m));
    }
}

static void put_rows(const struct attn_block *b, float *matrix, const float *from,
                     const float *factor)
{
    size_t width = padded_dim(b->a), dim = (size_t)b->a->head_dim;
    for (int r = 0; r < b->n; r++, from += width) {
        float *to = matrix + b->place[r] * dim;
        v16 f = v_set1(factor ? factor[r] : 1.0f);
        FOR_LANES(b->a->head_dim) store_lanes(to + i, v_mul(load_lanes(from + i, m), f), m);
    }
}

/* --- scores --- */

/* scores[r][j] = x_r · key_j for a tile of rows × keys, from the j-th of the keys on. */
struct dots {
    float *scores; /* of the first row, at the first key */
    size_t score_stride;
    const float *x;
    size_t x_stride;
    const struct attn_keys *keys;
};

INLINE void dots_step(v16 (*acc)[4], const struct dots *t, int j, int i, bool bf16, int rows,
                      int keys, int m)
{
    v16 key[4];
    UNROLL
    for (int k = 0; k < keys; k++)
        key[k] = load_cache(t->keys->base, (size_t)(j + k) * t->keys->stride + (size_t)i, bf16, m);
    UNROLL
    for (int r = 0; r < rows; r++) {
        v16 x = v_load(t->x + (size_t)r * t->x_stride + i);
        UNROLL
        for (int k = 0; k < keys; k++)
            acc[r][k] = v_fma(x, key[k], acc[r][k]);
    }
}

INLINE void dots_tile(const struct dots *t, int j, bool bf16, int rows, int keys)
{
    v16 acc[4][4];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int k = 0; k < keys; k++)
            acc[r][k] = v_zero();
    }
    int i = 0, dim = t->keys->dim;
    for (; i + LANES <= dim; i += LANES)
        dots_step(acc, t, j, i, bf16, rows, keys, LANES);
    if (i < dim)
        dots_step(acc, t, j, i, bf16, rows, keys, dim - i);
    float *out = t->scores + j;
    if (rows == 4 && keys == 4) {
        v_sum16(out, t->score_stride, acc);
        return;
    }
    UNROLL
    for (int r = 0; r < rows; r++, out += t->score_stride) {
        UNROLL
        for (int k = 0; k < keys; k++)
            out[k] = v_sum(acc[r][k]);
    }
}

INLINE void dots_keys(const struct dots *t, int count, bool bf16, int rows)
{
    int j = 0;
    for (; j + TILE <= count; j += TILE) {
        if (t->keys->in_cache)
            prefetch_keys(t->keys, j + KEYS_AHEAD, TILE);
        dots_tile(t, j, bf16, rows, TILE);
    }
    for (; j < count; j++)
        dots_tile(t, j, bf16, rows, 1);
}

/* Constants, so that each case becomes straight code. */
static void dots(const struct dots *t, int count, int rows)
{
    switch (rows + (t->keys->bf16 ? 4 : 0)) {
    case 1:
        dots_keys(t, count, false, 1);
        break;
    case 2:
        dots_keys(t, count, false, 2);
        break;
    case 3:
        dots_keys(t, count, false, 3);
        break;
    case 4:
        dots_keys(t, count, false, 4);
        break;
    case 5:
        dots_keys(t, count, true, 1);
        break;
    case 6:
        dots_keys(t, count, true, 2);
        break;
    case 7:
        dots_keys(t, count, true, 3);
        break;
    default:
        dots_keys(t, count, true, 4);
    }
}

static int min_of(int a, int b)
{
    return a < b ? a : b;
}

/* Dot products of the block's rows in panel x with all keys they see. */
static void score_rows(const struct attn_block *b, float *scores, const float *x, const void *cache)
{
    const struct attn_job *a = b->a;
    for (int i = 0; i < b->ranges; i++) {
        struct attn_range g = range_of(b, i);
        for (int from = g.from; from < g.to;) {
            struct attn_keys keys = take_keys(a, &g, cache, from);
            for (int r = g.first; r < g.first + g.n; r += TILE) {
                int rows = min_of(TILE, g.first + g.n - r);
                prefetch_share(a, &g, cache, from, r);
                /* The last row sees most; the others' surplus scores are of stored keys and never
                 * used. */
                int count = min_of(keys.count, b->limit[r + rows - 1] - from);
                struct dots t = {score_row(b, scores, r) + from, a->score_stride,
                                 x + (size_t)r * padded_dim(a), padded_dim(a), &keys};
                dots(&t, count, rows);
            }
            from += keys.count;
        }
    }
}

/* --- weighted sums --- */

/* out_r += Σ_j w[r][j] · key_j, or = when nothing came before. */
struct weigh {
    float *out;
    size_t out_stride;
    const float *w; /* of the first row, at the first key */
    size_t w_stride;
    const struct attn_keys *keys;
    int from, to; /* among the keys */
    bool resume;
};

INLINE void weigh_tile(const struct weigh *t, int d, bool bf16, int rows, int vectors, int m)
{
    v16 acc[4][2 * TILE];
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < vectors; c++)
            acc[r][c] =
                t->resume ? v_load(t->out + (size_t)r * t->out_stride + d + c * LANES) : v_zero();
    }
    for (int j = t->from; j < t->to; j++) {
        size_t at = (size_t)j * t->keys->stride + (size_t)d;
        if (t->keys->in_cache)
            prefetch_keys(t->keys, j + KEYS_AHEAD, 1);
        v16 value[2 * TILE];
        UNROLL
        for (int c = 0; c < vectors; c++)
            value[c] = load_cache(t->keys->base, at + (size_t)(c * LANES), bf16, m);
        UNROLL
        for (int r = 0; r < rows; r++) {
            v16 factor = v_set1(t->w[(size_t)r * t->w_stride + (size_t)j]);
            UNROLL
            for (int c = 0; c < vectors; c++)
                acc[r][c] = v_fma(factor, value[c], acc[r][c]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int c = 0; c < vectors; c++)
            v_store(t->out + (size_t)r * t->out_stride + d + c * LANES, acc[r][c]);
    }
}

INLINE void weigh_dims(const struct weigh *t, bool bf16, int rows, int vectors)
{
    int d = 0, dim = t->keys->dim;
    for (; d + vectors * LANES <= dim; d += vectors * LANES)
        weigh_tile(t, d, bf16, rows, vectors, LANES);
    for (; d + LANES <= dim; d += LANES)
        weigh_tile(t, d, bf16, rows, 1, LANES);
    if (d < dim)
        weigh_tile(t, d, bf16, rows, 1, dim - d);
}

/* TILE² accumulators, whatever the rows; from the cache, a key's bytes are then read together. */
static void weigh(const struct weigh *t, int rows)
{
    switch (rows + (t->keys->bf16 ? 4 : 0)) {
    case 1:
        weigh_dims(t, false, 1, 2 * TILE);
        break;
    case 2:
        weigh_dims(t, false, 2, TILE * TILE / 2);
        break;
    case 3:
        weigh_dims(t, false, 3, TILE);
        break;
    case 4:
        weigh_dims(t, false, 4, TILE);
        break;
    case 5:
        weigh_dims(t, true, 1, 2 * TILE);
        break;
    case 6:
        weigh_dims(t, true, 2, TILE * TILE / 2);
        break;
    case 7:
        weigh_dims(t, true, 3, TILE);
        break;
    default:
        weigh_dims(t, true, 4, TILE);
    }
}

/* Some rows of a range × some keys: those that all rows see, then what later rows see beyond. */
static void weigh_keys(const struct attn_block *b, float *out, float *w,
                       const struct attn_keys *keys, int r, int rows)
{
    int all = min_of(keys->count, b->limit[r] - keys->from);
    struct weigh t = {.out_stride = padded_dim(b->a), .w_stride = b->a->score_stride, .keys = keys};
    t.out = out + (size_t)r * t.out_stride;
    t.w = score_row(b, w, r) + keys->from;
    if (all > 0) {
        t.to = all;
        t.resume = keys->from > 0;
        weigh(&t, rows);
    }
    all = all < 0 ? 0 : all;
    for (int i = 1; i < rows; i++) {
        t.out += t.out_stride;
        t.w += t.w_stride;
        t.from = all;
        t.to = min_of(keys->count, b->limit[r + i] - keys->from);
        t.resume = keys->from + all > 0;
        if (t.to > t.from)
            weigh(&t, 1);
    }
}

/* out (panel) = Σ_j w[r][j] · cache_j over the keys each row sees. */
static void combine_rows(const struct attn_block *b, float *out, float *w, const void *cache)
{
    for (int i = 0; i < b->ranges; i++) {
        struct attn_range g = range_of(b, i);
        for (int from = g.from; from < g.to;) {
            struct attn_keys keys = take_keys(b->a, &g, cache, from);
            for (int r = g.first; r < g.first + g.n; r += TILE) {
                prefetch_share(b->a, &g, cache, from, r);
                weigh_keys(b, out, w, &keys, r, min_of(TILE, g.first + g.n - r));
            }
            from += keys.count;
        }
    }
}

/* --- forward --- */

/* The largest of x[i]·scale. */
static float scaled_max(const float *x, float scale, int n)
{
    v16 s = v_set1(scale), best = v_set1(x[0] * scale);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        best = v_max(v_mul(v_load(x + i), s), best);
    float result = v_max_lane(best);
    for (; i < n; i++)
        result = x[i] * scale > result ? x[i] * scale : result;
    return result;
}

/* In place: scores[j] → exp(scores[j]·scale − max); returns the sum and the log-sum-exp. */
static float softmax_row(float *scores, float scale, int n, float *lse)
{
    float top = scaled_max(scores, scale, n);
    v16 sum = v_zero(), s = v_set1(scale), shift = v_set1(top);
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        v16 e = v_exp_low(v_sub(v_mul(v_load(scores + i), s), shift));
        v_store(scores + i, e);
        sum = v_add(sum, e);
    }
    if (i < n) {
        int m = n - i;
        v_store_n(scores + i, v_exp_low(v_sub(v_mul(v_load_n(scores + i, m), s), shift)), m);
        sum = v_add(sum, v_load_n(scores + i, m));
    }
    float total = v_sum(sum);
    *lse = top + logf(total);
    return total;
}

static void attention(const struct attn_job *a)
{
    struct attn_block b = block_of(a);
    float *q = panel(a, 0), *out = panel(a, 1), factor[ATTN_ROWS];
    gather_rows(&b, q, a->q);
    score_rows(&b, a->scores, q, a->k);
    for (int r = 0; r < b.n; r++) {
        float lse;
        factor[r] = 1.0f / softmax_row(score_row(&b, a->scores, r), a->scale, b.limit[r], &lse);
        if (a->lse)
            a->lse[b.place[r]] = lse;
    }
    combine_rows(&b, out, a->scores, a->v);
    put_rows(&b, a->out, out, factor);
}

/* --- backward --- */

/* grad_j += Σ_r w[r][j] · x_r over the rows of a block that see key j, in row order, for keys
 * [from, to). */
static void scatter_rows(const struct attn_block *b, float *grad, size_t grad_stride,
                         const float *w, const float *x, int from, int to)
{
    size_t width = padded_dim(b->a), stride = b->a->score_stride;
    int first = 0, j = from;
    while (j < to) {
        while (b->limit[first] <= j)
            first++;
        int end = min_of(to, b->limit[first]); /* the same rows see keys [j, end) */
        outer(&(struct outer){.dst = grad + (size_t)(j - from) * grad_stride,
                              .dst_stride = grad_stride,
                              .a = w + (size_t)first * stride + j,
                              .a_stride = stride,
                              .b = x + (size_t)first * width,
                              .b_stride = width,
                              .rows = b->n - first,
                              .ni = end - j,
                              .nj = b->a->head_dim,
                              .resume = true,
                              .factor = 1.0f});
        j = end;
    }
}

/* p = exp(s·scale − lse), ds = p·(dp − δ)·scale, in place of s and dp. */
static void score_gradient(const struct attn_job *a, float *p, float *ds, int n, float lse,
                           float delta)
{
    v16 scale = v_set1(a->scale);
    FOR_LANES(n)
    {
        v16 e = v_exp_low(v_sub(v_mul(load_lanes(p + i, m), scale), v_set1(lse)));
        v16 g = v_mul(v_mul(e, v_sub(load_lanes(ds + i, m), v_set1(delta))), scale);
        store_lanes(p + i, e, m);
        store_lanes(ds + i, g, m);
    }
}

static void attention_backward_block(const struct attn_backward_job *job, const struct attn_job *a)
{
    struct attn_block b = block_of(a);
    float *q = panel(a, 0), *dout = panel(a, 1), *dq = panel(a, 2);
    float *p = a->scores, *ds = a->scores + (size_t)ATTN_ROWS * a->score_stride;
    gather_rows(&b, q, a->q);
    gather_rows(&b, dout, job->dout);
    score_rows(&b, p, q, a->k);
    score_rows(&b, ds, dout, a->v);
    for (int r = 0; r < b.n; r++) {
        size_t at = b.place[r] * (size_t)a->head_dim;
        float delta = sum_of_products(a->out + at, job->dout + at, a->head_dim);
        score_gradient(a, score_row(&b, p, r), score_row(&b, ds, r), b.limit[r], a->lse[b.place[r]],
                       delta);
    }
    combine_rows(&b, dq, ds, a->k);
    put_rows(&b, job->dq, dq, NULL);
    int keys = b.limit[b.n - 1], prefix = a->spans->prefix_len;
    size_t stride = (size_t)job->kv_dim;
    if (prefix) {
        scatter_rows(&b, job->dk_prefix, stride, ds, q, 0, prefix);
        scatter_rows(&b, job->dv_prefix, stride, p, dout, 0, prefix);
    }
    scatter_rows(&b, job->dk, stride, ds, q, prefix, keys);
    scatter_rows(&b, job->dv, stride, p, dout, prefix, keys);
}

static void zero_rows(float *x, size_t stride, int rows, int n)
{
    for (int r = 0; r < rows; r++)
        memset(x + (size_t)r * stride, 0, (size_t)n * sizeof *x);
}

static void attention_backward(const struct attn_backward_job *job)
{
    struct attn_job a = job->f;
    size_t stride = (size_t)job->kv_dim;
    int queries = a.spans->n_q, prefix = a.spans->prefix_len, rows = queries * a.group;
    zero_rows(job->dk, stride, queries, a.head_dim);
    zero_rows(job->dv, stride, queries, a.head_dim);
    if (prefix) {
        zero_rows(job->dk_prefix, stride, prefix, a.head_dim);
        zero_rows(job->dv_prefix, stride, prefix, a.head_dim);
    }
    for (a.row0 = 0; a.row0 < rows; a.row0 += ATTN_ROWS) {
        a.n = min_of(rows - a.row0, ATTN_ROWS);
        attention_backward_block(job, &a);
    }
}
