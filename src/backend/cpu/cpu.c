/* cpu.c: the CPU backend: the table of operations over gemm.h (matrix products) and ops.h (rows).
 *
 * Operations loop over rows and divide them among one team of threads (base/team.h); a row is never
 * split, so neither the number of threads nor who takes what changes anything. Matrix products
 * divide their own way (gemm.c). An operation's loop is a function …_rows over a struct …_call that
 * holds what the threads share.
 *
 * Order inside a linear: t = x·Wᵀ; t += bias; then t += scale·((x·Aᵀ)·Bᵀ); with a base, y = base +
 * t in one addition. Backward: t = dy·W; t += du·A; with add, dx = dx + t. All of it on a tile of t
 * (gemm.h). */
#include "backend/cpu/cpu.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "backend/cpu/attention.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/warp.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/team.h"

enum {
    HEAD_ROWS = 128,      /* rows of logits at a time */
    ROW_WORK = 8192,      /* elements of row work (2 to 5 µs) that a thread takes at a time */
    LORA_WORK = 65536,    /* the same of multiplications of an adapter's gradient */
    VECTOR_GRAIN = 32768, /* the same of vector operations, which do less with each */
    FILL_BYTES = 262144,  /* of a packed weight that a thread fills at a time, at most */
    FILL_PIECES = 4,      /* of a small one a thread */
    HUGE_PAGE = 2097152,
    LANE_ALIGN = 16,
    ROW_BUFFER = 4096 /* largest head_dim (formats/hf_config.c has the same limit) */
};

struct weight {
    struct packed packed;
};

struct cpu {
    struct device base; /* first: a struct device * is a struct cpu * */
    struct team *team;  /* gemm's */
    struct gemm *gemm;
    const struct ops_kernels *ops;
    float *u;      /* (rows, rank): the branch's inner product where nobody keeps it */
    float *logits; /* (HEAD_ROWS, vocabulary) */
    float *warp;   /* per thread: two rows of the vocabulary */
    struct attention attention;
    int max_rows, max_dim, max_rank, vocab;
};

static struct cpu *cpu_of(struct device *d)
{
    return (struct cpu *)d;
}

/* Cheap work on (rows, width) elements: one row is always one thread's. */
static void run_rows(struct device *d, team_body *body, void *call, int rows, int width)
{
    int grain = width < ROW_WORK ? ROW_WORK / width : 1;
    team_run(cpu_of(d)->team, body, call, rows, grain);
}

/* --- memory --- */

static void *op_alloc(struct device *d, size_t bytes, struct err *err)
{
    (void)d;
    void *p = mem_alloc_aligned(bytes);
    if (!p)
        err_no_memory(err, "device memory", bytes);
    return p;
}

static void op_free(struct device *d, void *p)
{
    (void)d;
    mem_free_aligned(p);
}

static void op_copy(struct device *d, void *dst, const void *src, size_t bytes)
{
    (void)d;
    memcpy(dst, src, bytes);
}

struct zero_call {
    char *p;
    size_t bytes;
};

/* By huge pages: often this is the first that touches them, and each is then one thread's to clear.
 */
static void zero_pages(void *context, int thread, int first, int end)
{
    const struct zero_call *z = context;
    size_t from = (size_t)first * HUGE_PAGE, to = (size_t)end * HUGE_PAGE;
    (void)thread;
    memset(z->p + from, 0, (to < z->bytes ? to : z->bytes) - from);
}

static void op_zero(struct device *d, void *p, size_t bytes)
{
    struct zero_call call = {p, bytes};
    team_run(cpu_of(d)->team, zero_pages, &call, (int)((bytes + HUGE_PAGE - 1) / HUGE_PAGE), 1);
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

struct scratch_sizes {
    size_t u, logits, warp;
};

static struct scratch_sizes scratch_sizes(const struct device *d, int rows, int rank, int vocab)
{
    int head_rows = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    return (struct scratch_sizes){.u = GEMM_MOST * (size_t)rows * (size_t)rank,
                                  .logits = (size_t)head_rows * (size_t)vocab,
                                  .warp = (size_t)d->threads * 2 * (size_t)vocab};
}

static size_t op_scratch_bytes(const struct device *d, const struct scratch_need *need)
{
    struct scratch_sizes s = scratch_sizes(d, need->rows, need->rank, need->vocab);
    const struct cpu *c = (const struct cpu *)d;
    int head_rows = need->rows < HEAD_ROWS ? need->rows : HEAD_ROWS;
    size_t x = gemm_input_bytes(c->gemm, need->rows, need->dim);
    size_t hidden = gemm_input_bytes(c->gemm, head_rows, need->vocab);
    size_t u = GEMM_MOST * gemm_input_bytes(c->gemm, need->rows, need->rank);
    return (s.u + s.logits + s.warp) * sizeof(float) + (x > hidden ? x : hidden) + u +
           gemm_scratch_bytes(c->gemm, need->rank) +
           attention_bytes(&c->attention, need->rows, need->head_dim, need->context);
}

/* Keeps the old block when there is no memory for the new one: it still serves the old sizes. */
static int regrow(float **p, size_t floats, struct err *err)
{
    void *fresh = mem_alloc_aligned(floats * sizeof(float));
    if (!fresh)
        return err_no_memory(err, "scratch of the CPU backend", floats * sizeof(float));
    mem_free_aligned(*p);
    *p = fresh;
    return ERR_NONE;
}

static int op_reserve(struct device *d, const struct scratch_need *need, struct err *err)
{
    struct cpu *c = cpu_of(d);
    int status = attention_reserve(&c->attention, need->rows, need->head_dim, need->context, err);
    if (status)
        return status;
    int rows = max_int(need->rows, c->max_rows), dim = max_int(need->dim, c->max_dim);
    int words = max_int(need->vocab, c->vocab), rank = max_int(need->rank, c->max_rank);
    if (rows == c->max_rows && dim == c->max_dim && rank == c->max_rank && words == c->vocab)
        return ERR_NONE;
    struct scratch_sizes s = scratch_sizes(d, rows, rank, words);
    int head_rows = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    if ((status = gemm_reserve(c->gemm, rows, dim, rank, err)) ||
        (status = gemm_reserve(c->gemm, head_rows, words, 0, err)) ||
        (status = regrow(&c->u, s.u, err)) || (status = regrow(&c->logits, s.logits, err)) ||
        (status = regrow(&c->warp, s.warp, err)))
        return status;
    c->max_rows = rows;
    c->max_dim = dim;
    c->max_rank = rank;
    c->vocab = words;
    return ERR_NONE;
}

static size_t op_kv_bytes(const struct device *d, struct attn_dims dims)
{
    struct kv_layout l = kv_layout_of(d->precision, dims);
    return kv_layout_bytes(&l);
}

/* --- weights --- */

static weight *new_weight(struct device *d, int n, int k, struct err *err)
{
    size_t bytes = packed_bytes(d->precision, n, k);
    weight *w = mem_alloc(sizeof *w);
    void *data = w ? mem_alloc_aligned(bytes) : NULL;
    if (!data) {
        mem_free(w);
        err_no_memory(err, "a weight matrix", bytes);
        return NULL;
    }
    packed_init(&w->packed, d->precision, n, k, data);
    return w;
}

static weight *op_weight_create(struct device *d, int n, int k, struct err *err)
{
    weight *w = new_weight(d, n, k, err);
    if (w)
        memset(w->packed.data, 0, packed_bytes(d->precision, n, k));
    return w;
}

/* Fresh memory is cleared when it is first touched, HUGE_PAGE bytes at once where the kernel can.
 * Of two threads that touch the same page together both clear one, and one in vain. So neighbours
 * in the order of pieces lie in different pages: piece i is in page i % pages. */
struct fill_call {
    struct packed *packed;
    const void *host;
    enum weight_dtype dtype;
    int panels;              /* of the weight */
    int unit, across, pages; /* panels of a piece, pieces of a page, pages */
};

static void fill_pieces(void *context, int thread, int first, int end)
{
    const struct fill_call *f = context;
    (void)thread;
    for (int i = first; i < end; i++) {
        int piece = i % f->pages * f->across + i / f->pages;
        int from = min_int(piece * f->unit, f->panels);
        int to = min_int(from + f->unit, f->panels);
        packed_fill_panels(f->packed, f->host, f->dtype, from, to);
    }
}

/* Panels of a piece: as many as are read in one go, but some pieces for each thread. */
static int fill_unit(const struct device *d, const struct packed *p, int panels)
{
    int most = (int)(FILL_BYTES / packed_panel_bytes(p)), least = ROW_WORK / (GEMM_PANEL * p->k);
    int share = panels / (d->threads * FILL_PIECES);
    return max_int(min_int(most, max_int(least, share)), 1);
}

static void fill(struct device *d, weight *w, const void *host, enum weight_dtype dtype)
{
    struct fill_call f = {.packed = &w->packed,
                          .host = host,
                          .dtype = dtype,
                          .panels = w->packed.n_padded / GEMM_PANEL};
    f.unit = fill_unit(d, &w->packed, f.panels);
    f.across = max_int((int)(HUGE_PAGE / (f.unit * packed_panel_bytes(&w->packed))), 1);
    f.pages = (f.panels - 1) / (f.unit * f.across) + 1;
    team_run(cpu_of(d)->team, fill_pieces, &f, f.pages * f.across, 1);
}

/* Whoever fills a panel touches its memory first, so it lies near the threads that read it. */
static weight *op_weight_prepare(struct device *d, const void *host, enum weight_dtype dtype, int n,
                                 int k, struct err *err)
{
    weight *w = new_weight(d, n, k, err);
    if (w)
        fill(d, w, host, dtype);
    return w;
}

static void op_weight_update(struct device *d, weight *w, const float *values)
{
    fill(d, w, values, WEIGHT_F32);
}

static void op_weight_free(struct device *d, weight *w)
{
    (void)d;
    if (w)
        mem_free_aligned(w->packed.data);
    mem_free(w);
}

static size_t op_weight_bytes(const struct device *d, int n, int k)
{
    return packed_bytes(d->precision, n, k);
}

/* --- forward --- */

struct embedding_call {
    float *x;
    const int *ids;
    const weight *table;
};

static void embedding_rows(void *context, int thread, int first, int end)
{
    const struct embedding_call *c = context;
    (void)thread;
    for (int r = first; r < end; r++) {
        CHECK(c->ids[r] >= 0 && c->ids[r] < c->table->packed.n);
        packed_row(c->x + (size_t)r * (size_t)c->table->packed.k, &c->table->packed, c->ids[r]);
    }
}

static void op_embedding(struct device *d, float *x, const int *ids, const weight *table, int R)
{
    run_rows(d, embedding_rows, &(struct embedding_call){x, ids, table}, R, table->packed.k);
}

struct norm_call {
    const struct ops_kernels *ops;
    float *y, *inv_rms;
    const float *x, *gain;
    float eps;
    int width;
};

static void norm_rows(void *context, int thread, int first, int end)
{
    const struct norm_call *c = context;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t at = (size_t)r * (size_t)c->width;
        float inv = c->ops->rmsnorm(c->y + at, c->x + at, c->gain, c->eps, c->width);
        if (c->inv_rms)
            c->inv_rms[r] = inv;
    }
}

static void op_rmsnorm(struct device *d, float *y, float *inv_rms, const float *x,
                       const float *gain, float eps, int R, int H)
{
    struct norm_call call = {cpu_of(d)->ops, y, inv_rms, x, gain, eps, H};
    run_rows(d, norm_rows, &call, R, H);
}

static void check_linear(const struct cpu *c, const struct linear *l, int R)
{
    CHECK(R <= c->max_rows && l->n <= c->max_dim && l->k <= c->max_dim && l->rank <= c->max_rank);
}

/* base: of one alone. */
static void run_linears(struct cpu *c, float *const *y, float *const *u, const float *x,
                        const struct linear *l, int count, int R, const float *base)
{
    struct gemm_inner inner[GEMM_MOST] = {{NULL, NULL}};
    struct gemm_result results[GEMM_MOST];
    CHECK(count >= 1 && count <= GEMM_MOST);
    for (int i = 0; i < count; i++) {
        check_linear(c, &l[i], R);
        CHECK(l[i].k == l->k);
        results[i] = (struct gemm_result){
            y[i], l[i].n, {.w = &l[i].w->packed, .alpha = 1.0f, .bias = l[i].bias, .base = base}};
        if (!l[i].lora_a)
            continue;
        /* Each its own: threads are at different matrices at a time, whose ranks may differ. */
        float *scratch = c->u + (size_t)i * (size_t)c->max_rows * (size_t)c->max_rank;
        inner[i] = (struct gemm_inner){&l[i].lora_a->packed, u[i] ? u[i] : scratch};
        results[i].sum.branch = &l[i].lora_b->packed;
        results[i].sum.scale = l[i].lora_scale;
    }
    gemm_input_inner(c->gemm, x, l->k, R, l->k, inner, count);
    gemm_forward_all(c->gemm, results, count);
}

static void op_linear(struct device *d, float *y, float *u, const float *x, const struct linear *l,
                      int R, const float *base)
{
    run_linears(cpu_of(d), &y, &u, x, l, 1, R, base);
}

static void op_linears(struct device *d, float *const *y, float *const *u, const float *x,
                       const struct linear *l, int count, int R)
{
    run_linears(cpu_of(d), y, u, x, l, count, R, NULL);
}

struct kv_call { /* where keys and values go */
    const struct ops_kernels *ops;
    struct kv_layout layout;
    void *k_cache, *v_cache;
};

struct rope_call {
    const struct ops_kernels *ops;
    struct kv_call kv;
    float *q_out;
    const float *q, *k, *v, *q_gain, *k_gain;
    float eps;
    const float *cos, *sin;
    const int *positions, *kv_rows;
    struct attn_dims dims;
};

static struct kv_call kv_call_of(struct device *d, void *k_cache, void *v_cache,
                                 struct attn_dims dims)
{
    CHECK(dims.head_dim <= ROW_BUFFER);
    return (struct kv_call){cpu_of(d)->ops, kv_layout_of(d->precision, dims), k_cache, v_cache};
}

/* One head's key and value go to row `row` of the caches. */
static void cache_head(const struct kv_call *c, int row, int h, const float *key,
                       const float *value)
{
    uint16_t half[ROW_BUFFER];
    if (c->layout.precision == PRECISION_F32) {
        kv_put_key(&c->layout, c->k_cache, row, h, key, NULL);
        kv_put_value(&c->layout, c->v_cache, row, h, value, NULL);
        return;
    }
    c->ops->store_bf16(half, key, c->layout.dim);
    kv_put_key(&c->layout, c->k_cache, row, h, NULL, half);
    c->ops->store_bf16(half, value, c->layout.dim);
    kv_put_value(&c->layout, c->v_cache, row, h, NULL, half);
}

/* Row r's keys, rotated, and its values go to the cache. */
static void cache_row(const struct rope_call *c, int r, const float *cos, const float *sin)
{
    int D = c->dims.head_dim, kv_dim = c->dims.kv_heads * D;
    float head[ROW_BUFFER];
    for (int h = 0; h < c->dims.kv_heads; h++) {
        size_t at = (size_t)r * (size_t)kv_dim + (size_t)(h * D);
        c->ops->head_rope(head, c->k + at, c->k_gain, c->eps, cos, sin, D);
        cache_head(&c->kv, c->kv_rows[r], h, head, c->v + at);
    }
}

static void rope_rows(void *context, int thread, int first, int end)
{
    const struct rope_call *c = context;
    int D = c->dims.head_dim, q_dim = c->dims.heads * D;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t angle = (size_t)c->positions[r] * (size_t)(D / 2), row = (size_t)r * (size_t)q_dim;
        for (int h = 0; h < c->dims.heads; h++) {
            size_t at = row + (size_t)(h * D);
            c->ops->head_rope(c->q_out + at, c->q + at, c->q_gain, c->eps, c->cos + angle,
                              c->sin + angle, D);
        }
        if (c->kv.layout.precision == PRECISION_BF16)
            c->ops->round_bf16(c->q_out + row, q_dim);
        cache_row(c, r, c->cos + angle, c->sin + angle);
    }
}

static void op_qk_rope(struct device *d, float *q_out, void *k_cache, void *v_cache, const float *q,
                       const float *k, const float *v, const float *q_gain, const float *k_gain,
                       float eps, const float *cos, const float *sin, const int *positions,
                       const int *kv_rows, struct attn_dims dims, int R)
{
    struct rope_call call = {.ops = cpu_of(d)->ops,
                             .kv = kv_call_of(d, k_cache, v_cache, dims),
                             .q_out = q_out,
                             .q = q,
                             .k = k,
                             .v = v,
                             .q_gain = q_gain,
                             .k_gain = k_gain,
                             .eps = eps,
                             .cos = cos,
                             .sin = sin,
                             .positions = positions,
                             .kv_rows = kv_rows,
                             .dims = dims};
    run_rows(d, rope_rows, &call, R, (dims.heads + dims.kv_heads) * dims.head_dim);
}

static void op_kv_write(struct device *d, void *k_cache, void *v_cache, const float *k,
                        const float *v, const int *kv_rows, struct attn_dims dims, int R)
{
    struct kv_call call = kv_call_of(d, k_cache, v_cache, dims);
    for (int i = 0; i < R * dims.kv_heads; i++) {
        size_t at = (size_t)i * (size_t)dims.head_dim;
        cache_head(&call, kv_rows[i / dims.kv_heads], i % dims.kv_heads, k + at, v + at);
    }
}

static void op_kv_read(struct device *d, float *k, float *v, const void *k_cache,
                       const void *v_cache, const int *kv_rows, struct attn_dims dims, int R)
{
    struct kv_layout l = kv_layout_of(d->precision, dims);
    for (int i = 0; i < R * dims.kv_heads; i++) {
        size_t at = (size_t)i * (size_t)dims.head_dim;
        kv_get_key(&l, k + at, k_cache, kv_rows[i / dims.kv_heads], i % dims.kv_heads);
        kv_get_value(&l, v + at, v_cache, kv_rows[i / dims.kv_heads], i % dims.kv_heads);
    }
}

static void op_attention(struct device *d, float *out, float *lse, const float *q,
                         const void *k_cache, const void *v_cache, const struct attn_span *spans,
                         int n_spans, struct attn_dims dims, int R)
{
    attention_forward(&cpu_of(d)->attention, out, lse, q, k_cache, v_cache, spans, n_spans, dims,
                      R);
}

struct swiglu_call {
    const struct ops_kernels *ops;
    float *y;
    const float *gate, *up;
    int width;
};

static void swiglu_rows(void *context, int thread, int first, int end)
{
    const struct swiglu_call *c = context;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t at = (size_t)r * (size_t)c->width;
        c->ops->swiglu(c->y + at, c->gate + at, c->up + at, c->width);
    }
}

static void op_swiglu(struct device *d, float *y, const float *gate, const float *up, int R, int I)
{
    run_rows(d, swiglu_rows, &(struct swiglu_call){cpu_of(d)->ops, y, gate, up, I}, R, I);
}

/* --- the vocabulary, HEAD_ROWS rows at a time --- */

static void head_logits(struct cpu *c, const float *hidden, const weight *head, int rows)
{
    CHECK(head->packed.n <= c->vocab && head->packed.k <= c->max_dim && rows <= c->max_rows);
    gemm_input(c->gemm, hidden, head->packed.k, rows, head->packed.k);
    gemm_forward(c->gemm, c->logits, head->packed.n,
                 &(struct gemm_sum){.w = &head->packed, .alpha = 1.0f});
}

static int chunk_of(int R, int at)
{
    return R - at < HEAD_ROWS ? R - at : HEAD_ROWS;
}

struct logprob_call {
    const struct cpu *c;
    float *logp, *entropy, *logz;
    const int *targets;
    float temperature;
    int vocab;
};

/* Rows of one chunk: all pointers but the device's are at its first row. */
static void logprob_rows(void *context, int thread, int first, int end)
{
    const struct logprob_call *p = context;
    const struct ops_kernels *ops = p->c->ops;
    int V = p->vocab;
    (void)thread;
    for (int r = first; r < end; r++) {
        float *z = p->c->logits + (size_t)r * (size_t)V;
        float lz = ops->log_sum_exp(z, p->temperature, V);
        CHECK(p->targets[r] >= 0 && p->targets[r] < V);
        p->logp[r] = z[p->targets[r]] - lz;
        if (p->entropy)
            p->entropy[r] = ops->entropy(z, lz, V);
        if (p->logz)
            p->logz[r] = lz;
    }
}

static void op_logprob(struct device *d, float *logp, float *entropy, float *logz,
                       const float *hidden, const weight *head, const int *targets,
                       float temperature, int R)
{
    struct cpu *c = cpu_of(d);
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        head_logits(c, hidden + (size_t)at * (size_t)head->packed.k, head, rows);
        struct logprob_call call = {.c = c,
                                    .logp = logp + at,
                                    .entropy = entropy ? entropy + at : NULL,
                                    .logz = logz ? logz + at : NULL,
                                    .targets = targets + at,
                                    .temperature = temperature,
                                    .vocab = head->packed.n};
        run_rows(d, logprob_rows, &call, rows, head->packed.n);
    }
}

struct token_call {
    const struct cpu *c;
    int *ids;
    float *logp;
    const double *uniforms;
    float temperature;
    const struct warp *warp;
    int at; /* the chunk's first row */
    int vocab;
};

/* The id of row r (of all) under warpers; z, lz: tempered logits and their log-sum-exp, which stay.
 * scores: two rows of the vocabulary. */
static int warped_token(const struct token_call *t, int r, const float *z, float lz, float *scores)
{
    const struct warp *w = t->warp;
    const struct ops_kernels *ops = t->c->ops;
    struct warp_row row = {scores, scores + t->c->vocab, t->vocab, lz};
    w->logp[r] = __builtin_nanf("");
    if (!isfinite(lz))
        return -1;
    warp_begin(&row, &w->how, z, w->seen ? w->seen[r] : NULL);
    if (t->temperature > 0)
        return warp_draw(&row, &w->how, ops, t->uniforms[r], &w->logp[r]);
    int id = ops->argmax(scores, t->vocab);
    w->logp[r] = scores[id] - ops->log_sum_exp(scores, 1.0f, t->vocab);
    return id;
}

static void token_rows(void *context, int thread, int first, int end)
{
    const struct token_call *t = context;
    const struct cpu *c = t->c;
    int V = t->vocab;
    bool greedy = t->temperature <= 0;
    float *scores = c->warp + (size_t)thread * 2 * (size_t)c->vocab;
    for (int r = first; r < end; r++) {
        float *z = c->logits + (size_t)r * (size_t)V;
        float lz = c->ops->log_sum_exp(z, greedy ? 1.0f : t->temperature, V);
        int row = t->at + r;
        int id = t->warp  ? warped_token(t, row, z, lz, scores)
                 : greedy ? c->ops->argmax(z, V)
                          : c->ops->sample(z, lz, t->uniforms[row], V);
        t->ids[row] = id;
        t->logp[row] = id < 0 ? __builtin_nanf("") : z[id] - lz;
    }
}

static void op_next_token(struct device *d, int *ids, float *logp, const float *hidden,
                          const weight *head, const double *uniforms, float temperature,
                          const struct warp *warp, int R)
{
    struct cpu *c = cpu_of(d);
    struct token_call call = {c, ids, logp, uniforms, temperature, warp, 0, head->packed.n};
    for (; call.at < R; call.at += HEAD_ROWS) {
        int rows = chunk_of(R, call.at);
        head_logits(c, hidden + (size_t)call.at * (size_t)head->packed.k, head, rows);
        run_rows(d, token_rows, &call, rows, head->packed.n);
    }
}

static void op_logits(struct device *d, float *logits, const float *hidden, const weight *head,
                      int R)
{
    struct cpu *c = cpu_of(d);
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        head_logits(c, hidden + (size_t)at * (size_t)head->packed.k, head, rows);
        memcpy(logits + (size_t)at * (size_t)head->packed.n, c->logits,
               (size_t)rows * (size_t)head->packed.n * sizeof *logits);
    }
}

/* --- backward --- */

struct norm_backward_call {
    const struct ops_kernels *ops;
    float *dx;
    const float *dy, *x, *inv_rms, *gain;
    int width;
};

static void norm_backward_rows(void *context, int thread, int first, int end)
{
    const struct norm_backward_call *c = context;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t at = (size_t)r * (size_t)c->width;
        c->ops->rmsnorm_backward(c->dx + at, c->dy + at, c->x + at, c->inv_rms[r], c->gain,
                                 c->width);
    }
}

static void op_rmsnorm_backward(struct device *d, float *dx, const float *dy, const float *x,
                                const float *inv_rms, const float *gain, int R, int H)
{
    struct norm_backward_call call = {cpu_of(d)->ops, dx, dy, x, inv_rms, gain, H};
    run_rows(d, norm_backward_rows, &call, R, H);
}

static void op_linear_backward(struct device *d, float *dx, float *du, const float *dy,
                               const struct linear *l, int R, bool add)
{
    struct cpu *c = cpu_of(d);
    CHECK(R <= c->max_rows && l->n <= c->max_dim && l->k <= c->max_dim && l->rank <= c->max_rank);
    if (!dx && !l->lora_a)
        return;
    struct gemm_sum sum = {.w = &l->w->packed, .alpha = 1.0f, .base = add ? dx : NULL};
    gemm_input(c->gemm, dy, l->n, R, l->n);
    if (l->lora_a) {
        struct gemm_sum inner = {.w = &l->lora_b->packed, .alpha = l->lora_scale};
        gemm_backward(c->gemm, du, l->rank, &inner);
    }
    if (!dx)
        return;
    if (l->lora_a) {
        gemm_inner(c->gemm, du, l->rank);
        sum.branch = &l->lora_a->packed;
        sum.scale = 1.0f;
    }
    gemm_backward(c->gemm, dx, l->k, &sum);
}

struct lora_call {
    const struct ops_kernels *ops;
    float *da, *db;
    const float *dy, *du, *x, *u;
    float scale;
    int n, k, rank, rows;
};

enum { PIECE = 256, COLUMNS = 64 }; /* of x and of dy that are worked on at a time */

/* Items: pieces of da's columns, then of db's rows. */
static void lora_pieces(void *context, int thread, int first, int end)
{
    const struct lora_call *c = context;
    int pieces = (c->k + PIECE - 1) / PIECE;
    (void)thread;
    for (int i = first; i < end; i++) {
        int at = i < pieces ? i * PIECE : (i - pieces) * COLUMNS;
        if (i < pieces)
            c->ops->outer(&(struct outer){.dst = c->da + at,
                                          .dst_stride = (size_t)c->k,
                                          .a = c->du,
                                          .a_stride = (size_t)c->rank,
                                          .b = c->x + at,
                                          .b_stride = (size_t)c->k,
                                          .rows = c->rows,
                                          .ni = c->rank,
                                          .nj = c->k - at < PIECE ? c->k - at : PIECE,
                                          .factor = 1.0f});
        else
            c->ops->outer(&(struct outer){.dst = c->db + (size_t)at * (size_t)c->rank,
                                          .dst_stride = (size_t)c->rank,
                                          .a = c->dy + at,
                                          .a_stride = (size_t)c->n,
                                          .b = c->u,
                                          .b_stride = (size_t)c->rank,
                                          .rows = c->rows,
                                          .ni = c->n - at < COLUMNS ? c->n - at : COLUMNS,
                                          .nj = c->rank,
                                          .factor = c->scale});
    }
}

static void op_lora_gradient(struct device *d, float *da, float *db, const float *dy,
                             const float *du, const float *x, const float *u, float scale, int N,
                             int K, int rank, int R)
{
    struct lora_call call = {cpu_of(d)->ops, da, db, dy, du, x, u, scale, N, K, rank, R};
    int items = (K + PIECE - 1) / PIECE + (N + COLUMNS - 1) / COLUMNS;
    size_t work = (size_t)R * (size_t)rank * (size_t)COLUMNS; /* of the smaller kind of item */
    int grain = work < LORA_WORK ? (int)(LORA_WORK / work) : 1;
    team_run(cpu_of(d)->team, lora_pieces, &call, items, grain);
}

static void op_attention_backward(struct device *d, float *dq, float *dk, float *dv,
                                  float *const *dk_prefix, float *const *dv_prefix,
                                  const float *dout, const float *q, const void *k_cache,
                                  const void *v_cache, const float *out, const float *lse,
                                  const struct attn_span *spans, int n_spans, struct attn_dims dims,
                                  int R)
{
    struct attention_gradients g = {dq, dk,      dv,      dk_prefix, dv_prefix, dout,
                                    q,  k_cache, v_cache, out,       lse};
    attention_backward(&cpu_of(d)->attention, &g, spans, n_spans, dims, R);
}

struct rope_backward_call {
    const struct ops_kernels *ops;
    float *dq, *dk;
    const float *q, *k, *q_gain, *k_gain;
    float eps;
    const float *cos, *sin;
    const int *positions;
    struct attn_dims dims;
};

static void rope_backward_rows(void *context, int thread, int first, int end)
{
    const struct rope_backward_call *c = context;
    int D = c->dims.head_dim, heads = c->dims.heads, kv_heads = c->dims.kv_heads;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t angle = (size_t)c->positions[r] * (size_t)(D / 2);
        const float *cos = c->cos + angle, *sin = c->sin + angle;
        for (int h = 0; h < heads; h++) {
            size_t at = ((size_t)r * (size_t)heads + (size_t)h) * (size_t)D;
            c->ops->head_rope_backward(c->dq + at, c->q_gain ? c->q + at : NULL, c->q_gain, c->eps,
                                       cos, sin, D);
        }
        for (int h = 0; h < kv_heads; h++) {
            size_t at = ((size_t)r * (size_t)kv_heads + (size_t)h) * (size_t)D;
            c->ops->head_rope_backward(c->dk + at, c->k_gain ? c->k + at : NULL, c->k_gain, c->eps,
                                       cos, sin, D);
        }
    }
}

static void op_qk_rope_backward(struct device *d, float *dq, float *dk, const float *q,
                                const float *k, const float *q_gain, const float *k_gain, float eps,
                                const float *cos, const float *sin, const int *positions,
                                struct attn_dims dims, int R)
{
    struct rope_backward_call call = {cpu_of(d)->ops, dq,  dk,  q,   k,         q_gain,
                                      k_gain,         eps, cos, sin, positions, dims};
    run_rows(d, rope_backward_rows, &call, R, (dims.heads + dims.kv_heads) * dims.head_dim);
}

struct swiglu_backward_call {
    const struct ops_kernels *ops;
    float *dgate, *dup;
    const float *dy, *gate, *up;
    int width;
};

static void swiglu_backward_rows(void *context, int thread, int first, int end)
{
    const struct swiglu_backward_call *c = context;
    (void)thread;
    for (int r = first; r < end; r++) {
        size_t at = (size_t)r * (size_t)c->width;
        c->ops->swiglu_backward(c->dgate + at, c->dup + at, c->dy + at, c->gate + at, c->up + at,
                                c->width);
    }
}

static void op_swiglu_backward(struct device *d, float *dgate, float *dup, const float *dy,
                               const float *gate, const float *up, int R, int I)
{
    struct swiglu_backward_call call = {cpu_of(d)->ops, dgate, dup, dy, gate, up, I};
    run_rows(d, swiglu_backward_rows, &call, R, I);
}

struct logit_call {
    const struct cpu *c;
    const int *targets;
    const float *dlogp, *logz;
    float temperature;
    int vocab;
};

/* Logits of a chunk become their gradients. */
static void logit_rows(void *context, int thread, int first, int end)
{
    const struct logit_call *l = context;
    const struct ops_kernels *ops = l->c->ops;
    int V = l->vocab;
    (void)thread;
    for (int r = first; r < end; r++) {
        float *z = l->c->logits + (size_t)r * (size_t)V;
        (void)ops->log_sum_exp(z, l->temperature, V); /* leaves z = logit / temperature */
        ops->logit_gradient(z, l->logz[r], l->targets[r], l->dlogp[r] / l->temperature, V);
    }
}

static void op_logprob_backward(struct device *d, float *dhidden, const float *hidden,
                                const weight *head, const int *targets, const float *dlogp,
                                const float *logz, float temperature, int R)
{
    struct cpu *c = cpu_of(d);
    int V = head->packed.n;
    size_t H = (size_t)head->packed.k;
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        head_logits(c, hidden + (size_t)at * H, head, rows);
        struct logit_call call = {c, targets + at, dlogp + at, logz + at, temperature, V};
        run_rows(d, logit_rows, &call, rows, V);
        gemm_input(c->gemm, c->logits, V, rows, V);
        gemm_backward(c->gemm, dhidden + (size_t)at * H, (int)H,
                      &(struct gemm_sum){.w = &head->packed, .alpha = 1.0f});
    }
}

/* --- gradients of the model's own parameters: rows in order, so threads divide columns --- */

static void op_weight_gradient(struct device *d, float *dw, const float *dy, const float *x, int N,
                               int K, int R)
{
    gemm_gradient(cpu_of(d)->gemm, dw, dy, N, x, K, R);
}

/* Columns of (R, width) in whole cache lines, as many as make a piece. Items are lines. */
static void run_columns(struct device *d, team_body *body, void *call, int width, int R)
{
    int lines = (width + LANE_ALIGN - 1) / LANE_ALIGN;
    size_t line = (size_t)R * LANE_ALIGN;
    int grain = line < ROW_WORK ? (int)(ROW_WORK / line) : 1;
    /* Few long pieces: each is a walk through all rows. */
    int most = (lines + 4 * d->threads - 1) / (4 * d->threads);
    team_run(cpu_of(d)->team, body, call, lines, max_int(grain, most));
}

struct columns {
    int first, count;
};

static struct columns columns_of(int first, int end, int width)
{
    first *= LANE_ALIGN;
    end *= LANE_ALIGN;
    return (struct columns){first, (end < width ? end : width) - first};
}

struct bias_call {
    const struct ops_kernels *ops;
    float *db;
    const float *dy;
    int width, rows;
};

static void bias_columns(void *context, int thread, int first, int end)
{
    const struct bias_call *b = context;
    struct columns c = columns_of(first, end, b->width);
    (void)thread;
    for (int r = 0; r < b->rows; r++)
        b->ops->add(b->db + c.first, b->dy + (size_t)r * (size_t)b->width + c.first,
                    (size_t)c.count);
}

static void op_bias_gradient(struct device *d, float *db, const float *dy, int N, int R)
{
    run_columns(d, bias_columns, &(struct bias_call){cpu_of(d)->ops, db, dy, N, R}, N, R);
}

struct gain_call {
    const struct ops_kernels *ops;
    float *dgain;
    const float *dy, *x, *inv_rms;
    int width, rows;
};

static void gain_columns(void *context, int thread, int first, int end)
{
    const struct gain_call *g = context;
    struct columns c = columns_of(first, end, g->width);
    (void)thread;
    for (int r = 0; r < g->rows; r++) {
        size_t at = (size_t)r * (size_t)g->width + (size_t)c.first;
        g->ops->gain_gradient(g->dgain + c.first, g->dy + at, g->x + at, g->inv_rms[r], c.count);
    }
}

static void op_gain_gradient(struct device *d, float *dgain, const float *dy, const float *x,
                             const float *inv_rms, int R, int H)
{
    struct gain_call call = {cpu_of(d)->ops, dgain, dy, x, inv_rms, H, R};
    run_columns(d, gain_columns, &call, H, R);
}

struct head_gain_call {
    const struct ops_kernels *ops;
    float *gain[2];
    const float *dx[2], *x[2];
    float eps;
    const float *cos, *sin;
    const int *positions;
    int heads[2], head_dim, rows;
};

/* The gains are shared by the heads, and a head's norm needs all of the head: an item is all
 * queries (0) or all keys (1). */
static void head_gain_sides(void *context, int thread, int first, int end)
{
    const struct head_gain_call *c = context;
    int D = c->head_dim;
    float back[ROW_BUFFER];
    (void)thread;
    for (int side = first; side < end; side++) {
        for (int i = 0; i < c->rows * c->heads[side]; i++) {
            size_t angle = (size_t)c->positions[i / c->heads[side]] * (size_t)(D / 2);
            size_t at = (size_t)i * (size_t)D;
            c->ops->head_gain_gradient(c->gain[side], back, c->dx[side] + at, c->x[side] + at,
                                       c->eps, c->cos + angle, c->sin + angle, D);
        }
    }
}

static void op_qk_gain_gradient(struct device *d, float *dq_gain, float *dk_gain, const float *dq,
                                const float *dk, const float *q, const float *k, float eps,
                                const float *cos, const float *sin, const int *positions,
                                struct attn_dims dims, int R)
{
    CHECK(dims.head_dim <= ROW_BUFFER);
    struct head_gain_call call = {.ops = cpu_of(d)->ops,
                                  .gain = {dq_gain, dk_gain},
                                  .dx = {dq, dk},
                                  .x = {q, k},
                                  .eps = eps,
                                  .cos = cos,
                                  .sin = sin,
                                  .positions = positions,
                                  .heads = {dims.heads, dims.kv_heads},
                                  .head_dim = dims.head_dim,
                                  .rows = R};
    run_rows(d, head_gain_sides, &call, 2, R * dims.kv_heads * dims.head_dim);
}

struct embedding_gradient_call {
    const struct ops_kernels *ops;
    float *dtable;
    const int *ids;
    const float *dx;
    int vocab, width, rows;
};

static void embedding_columns(void *context, int thread, int first, int end)
{
    const struct embedding_gradient_call *e = context;
    struct columns c = columns_of(first, end, e->width);
    (void)thread;
    for (int r = 0; r < e->rows; r++) {
        CHECK(e->ids[r] >= 0 && e->ids[r] < e->vocab);
        e->ops->add(e->dtable + (size_t)e->ids[r] * (size_t)e->width + c.first,
                    e->dx + (size_t)r * (size_t)e->width + c.first, (size_t)c.count);
    }
}

static void op_embedding_gradient(struct device *d, float *dtable, const int *ids, const float *dx,
                                  int vocab, int K, int R)
{
    struct embedding_gradient_call call = {cpu_of(d)->ops, dtable, ids, dx, vocab, K, R};
    run_columns(d, embedding_columns, &call, K, R);
}

struct head_call {
    const struct cpu *c;
    float *logp; /* or NULL */
    bool gradient;
    const int *targets;
    const float *dlogp;
    int vocab;
};

static void head_rows(void *context, int thread, int first, int end)
{
    const struct head_call *h = context;
    const struct ops_kernels *ops = h->c->ops;
    int V = h->vocab;
    (void)thread;
    for (int r = first; r < end; r++) {
        float *z = h->c->logits + (size_t)r * (size_t)V;
        int target = h->targets[r];
        CHECK(target >= 0 && target < V);
        float logz = ops->log_sum_exp(z, 1.0f, V);
        if (h->logp)
            h->logp[r] = z[target] - logz;
        if (h->gradient)
            ops->logit_gradient(z, logz, target, h->dlogp[r], V);
    }
}

static void op_head_gradient(struct device *d, float *logp, float *dhidden, float *dhead,
                             const float *hidden, const weight *head, const int *targets,
                             const float *dlogp, int R)
{
    struct cpu *c = cpu_of(d);
    int V = head->packed.n, H = head->packed.k;
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        const float *x = hidden + (size_t)at * (size_t)H;
        head_logits(c, x, head, rows);
        struct head_call call = {.c = c,
                                 .logp = logp ? logp + at : NULL,
                                 .gradient = dhidden || dhead,
                                 .targets = targets + at,
                                 .dlogp = dlogp ? dlogp + at : NULL,
                                 .vocab = V};
        run_rows(d, head_rows, &call, rows, V);
        if (dhead)
            gemm_gradient(c->gemm, dhead, c->logits, V, x, H, rows);
        if (dhidden) {
            gemm_input(c->gemm, c->logits, V, rows, V);
            gemm_backward(c->gemm, dhidden + (size_t)at * (size_t)H, H,
                          &(struct gemm_sum){.w = &head->packed, .alpha = 1.0f});
        }
    }
}

/* --- vectors --- */

/* One call for all of them: which pointers are used is the body's business. */
struct vector_call {
    const struct ops_kernels *ops;
    float *dst, *exp_avg, *exp_avg_sq;
    const float *src;
    float factor;
    const struct adamw_params *params;
    double *leaves;
    size_t n;
};

/* Items of VECTOR_GRAIN elements (of SUM_BLOCK: leaves). */
static void run_vector(struct device *d, team_body *body, struct vector_call *call)
{
    size_t items = (call->n + VECTOR_GRAIN - 1) / VECTOR_GRAIN;
    CHECK(items <= INT_MAX);
    team_run(cpu_of(d)->team, body, call, (int)items, 1);
}

/* Where items [first, end) begin, and their elements. */
static size_t vector_part(const struct vector_call *v, int first, int end, size_t *count)
{
    size_t at = (size_t)first * VECTOR_GRAIN, stop = (size_t)end * VECTOR_GRAIN;
    *count = (stop < v->n ? stop : v->n) - at;
    return at;
}

static void add_part(void *context, int thread, int first, int end)
{
    const struct vector_call *v = context;
    size_t count, at = vector_part(v, first, end, &count);
    (void)thread;
    v->ops->add(v->dst + at, v->src + at, count);
}

static void op_add(struct device *d, float *dst, const float *src, size_t n)
{
    run_vector(d, add_part,
               &(struct vector_call){.ops = cpu_of(d)->ops, .dst = dst, .src = src, .n = n});
}

static void scale_part(void *context, int thread, int first, int end)
{
    const struct vector_call *v = context;
    size_t count, at = vector_part(v, first, end, &count);
    (void)thread;
    v->ops->scale(v->dst + at, v->factor, count);
}

static void op_scale(struct device *d, float *x, float factor, size_t n)
{
    run_vector(d, scale_part,
               &(struct vector_call){.ops = cpu_of(d)->ops, .dst = x, .factor = factor, .n = n});
}

static void sum_leaves(void *context, int thread, int first, int end)
{
    const struct vector_call *v = context;
    (void)thread;
    for (int i = first; i < end; i++) {
        size_t at = (size_t)i * SUM_BLOCK, left = v->n - at;
        v->leaves[i] = v->ops->sum_squares(v->src + at, left < SUM_BLOCK ? left : SUM_BLOCK);
    }
}

/* Leaves of SUM_BLOCK elements, added in order: a fixed shape whatever the threads. */
static double op_sum_squares(struct device *d, const float *x, size_t n)
{
    enum { LEAVES = 1024 };
    const size_t most = (size_t)LEAVES * SUM_BLOCK;
    double total = 0, leaves[LEAVES];
    for (size_t at = 0; at < n; at += most) {
        size_t count = n - at < most ? n - at : most;
        int used = (int)((count + SUM_BLOCK - 1) / SUM_BLOCK);
        struct vector_call call = {
            .ops = cpu_of(d)->ops, .src = x + at, .leaves = leaves, .n = count};
        team_run(cpu_of(d)->team, sum_leaves, &call, used, VECTOR_GRAIN / SUM_BLOCK);
        for (int i = 0; i < used; i++)
            total += leaves[i];
    }
    return total;
}

static void adamw_part(void *context, int thread, int first, int end)
{
    const struct vector_call *v = context;
    size_t count, at = vector_part(v, first, end, &count);
    (void)thread;
    v->ops->adamw(v->dst + at, v->exp_avg + at, v->exp_avg_sq + at, v->src + at, v->params, count);
}

static void op_adamw(struct device *d, float *param, float *exp_avg, float *exp_avg_sq,
                     const float *grad, const struct adamw_params *p, size_t n)
{
    run_vector(d, adamw_part,
               &(struct vector_call){.ops = cpu_of(d)->ops,
                                     .dst = param,
                                     .exp_avg = exp_avg,
                                     .exp_avg_sq = exp_avg_sq,
                                     .src = grad,
                                     .params = p,
                                     .n = n});
}

static const struct backend cpu_backend = {
    .name = "cpu",
    .alloc = op_alloc,
    .free = op_free,
    .upload = op_copy,
    .download = op_copy,
    .zero = op_zero,
    .copy = op_copy,
    .reserve = op_reserve,
    .scratch_bytes = op_scratch_bytes,
    .kv_bytes = op_kv_bytes,
    .kv_write = op_kv_write,
    .kv_read = op_kv_read,
    .weight_prepare = op_weight_prepare,
    .weight_create = op_weight_create,
    .weight_update = op_weight_update,
    .weight_free = op_weight_free,
    .weight_bytes = op_weight_bytes,
    .embedding = op_embedding,
    .rmsnorm = op_rmsnorm,
    .linear = op_linear,
    .linears = op_linears,
    .qk_rope = op_qk_rope,
    .attention = op_attention,
    .swiglu = op_swiglu,
    .logprob = op_logprob,
    .next_token = op_next_token,
    .logits = op_logits,
    .rmsnorm_backward = op_rmsnorm_backward,
    .linear_backward = op_linear_backward,
    .lora_gradient = op_lora_gradient,
    .attention_backward = op_attention_backward,
    .qk_rope_backward = op_qk_rope_backward,
    .swiglu_backward = op_swiglu_backward,
    .logprob_backward = op_logprob_backward,
    .weight_gradient = op_weight_gradient,
    .bias_gradient = op_bias_gradient,
    .gain_gradient = op_gain_gradient,
    .qk_gain_gradient = op_qk_gain_gradient,
    .embedding_gradient = op_embedding_gradient,
    .head_gradient = op_head_gradient,
    .add = op_add,
    .scale = op_scale,
    .sum_squares = op_sum_squares,
    .adamw = op_adamw,
};

/* kernel NULL: that of options->isa. */
static int open_gemm(struct gemm **out, const struct device_options *options,
                     const struct gemm_kernel *kernel, struct err *err)
{
    if (kernel)
        return gemm_open_kernel(out, kernel, options->threads, err);
    return gemm_open(out, options->isa, options->precision, options->threads, err);
}

int cpu_open_kernel(struct device **out, const struct device_options *options,
                    const struct gemm_kernel *kernel, struct err *err)
{
    *out = NULL;
    if (options->threads < 0 || options->threads > 1024)
        return err_set(err, ERR_USAGE, "--threads", "%d threads: expected 0 (all cores) to 1024",
                       options->threads);
    CHECK(!kernel || kernel->precision == options->precision);
    struct cpu *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_no_memory(err, "the CPU device", sizeof *c);
    int status = open_gemm(&c->gemm, options, kernel, err);
    if (status) {
        mem_free(c);
        return status;
    }
    c->team = gemm_team(c->gemm);
    c->base.ops = &cpu_backend;
    c->base.precision = options->precision;
    c->base.threads = team_threads(c->team);
    snprintf(c->base.isa, sizeof c->base.isa, "%s", gemm_isa(c->gemm));
    c->ops = isa_find(kernel ? isa_best() : c->base.isa)->ops;
    c->attention = (struct attention){.precision = options->precision,
                                      .kernel = gemm_kernel_of(c->gemm),
                                      .ops = c->ops,
                                      .team = c->team};
    *out = &c->base;
    return ERR_NONE;
}

int cpu_open(struct device **out, const struct device_options *options, struct err *err)
{
    return cpu_open_kernel(out, options, NULL, err);
}

void cpu_close(struct device *d)
{
    struct cpu *c = cpu_of(d);
    attention_close(&c->attention);
    gemm_close(c->gemm);
    mem_free_aligned(c->u);
    mem_free_aligned(c->logits);
    mem_free_aligned(c->warp);
    mem_free(c);
}
