/* cpu.c: the CPU backend: the table of operations over gemm.h (matrix products) and ops.h (rows).
 *
 * Operations loop over rows and divide them among one OpenMP pool; a row is never split, so the
 * number of threads changes nothing. Matrix products divide their own way (gemm.c).
 *
 * Order inside a linear: t = x·Wᵀ; t += bias; then t += scale·((x·Aᵀ)·Bᵀ); with add, y += t in one
 * addition. Without branch and bias, t goes straight to y. */
#include "backend/cpu/cpu.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include "backend/cpu/gemm.h"
#include "backend/cpu/isa.h"
#include "backend/cpu/ops.h"
#include "backend/cpu/warp.h"
#include "base/check.h"
#include "base/mem.h"

enum {
    HEAD_ROWS = 128,      /* rows of logits at a time */
    ROW_WORK = 65536,     /* elements of row work (20 µs or so) too few to wake threads for */
    VECTOR_GRAIN = 65536, /* elements a thread takes at a time in vector operations */
    LANE_ALIGN = 16,
    ROW_BUFFER = 4096 /* largest head_dim (formats/hf_config.c has the same limit) */
};

struct weight {
    struct packed packed;
};

/* Attention's work on one key-value head is cut into blocks of rows. Of one span, as many as it
 * takes; or of several spans with a common prefix one block, whose rows share the prefix's keys. */
struct attn_task {
    int span, n_spans;
    int first; /* number of blocks before these */
};

struct cpu {
    struct device base; /* first: a struct device * is a struct cpu * */
    struct gemm *gemm;
    const struct ops_kernels *ops;
    float *t;                /* (rows, dim): a linear's sum before it is added */
    float *u;                /* (rows, rank): the branch's inner product where nobody keeps it */
    float *logits;           /* (HEAD_ROWS, vocabulary) */
    float *scores;           /* per thread: 2 × ATTN_ROWS × score_stride */
    float *panels;           /* per thread: panel_floats(max_dim) */
    float *warp;             /* per thread: two rows of the vocabulary */
    struct attn_task *tasks; /* (rows) */
    int score_stride;
    int max_rows, max_dim, vocab, max_context;
};

static struct cpu *cpu_of(struct device *d)
{
    return (struct cpu *)d;
}

static bool is_bf16(const struct device *d)
{
    return d->precision == PRECISION_BF16;
}

/* Threads for cheap work on (rows, width) elements: one row is always one thread's. */
static int threads_for(const struct device *d, int rows, int width)
{
    return (size_t)rows * (size_t)width < ROW_WORK ? 1 : d->threads;
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

static void op_zero(struct device *d, void *p, size_t bytes)
{
    (void)d;
    memset(p, 0, bytes);
}

static int round_up(int n, int step)
{
    return (n + step - 1) / step * step;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

struct scratch_sizes {
    size_t t, u, logits, scores, panels, warp;
};

static size_t panel_floats(int max_dim)
{
    int head = round_up(max_dim < ROW_BUFFER ? max_dim : ROW_BUFFER, LANE_ALIGN);
    return (size_t)(ATTN_PANELS * ATTN_ROWS + ATTN_KEYS) * (size_t)head;
}

static struct scratch_sizes scratch_sizes(const struct device *d, int rows, int dim, int vocab,
                                          int context)
{
    int head_rows = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    size_t stride = (size_t)round_up(context + 1, LANE_ALIGN);
    return (struct scratch_sizes){.t = (size_t)rows * (size_t)dim,
                                  .u = (size_t)rows * (size_t)dim,
                                  .logits = (size_t)head_rows * (size_t)vocab,
                                  .scores = (size_t)d->threads * 2 * ATTN_ROWS * stride,
                                  .panels = (size_t)d->threads * panel_floats(dim),
                                  .warp = (size_t)d->threads * 2 * (size_t)vocab};
}

static size_t op_scratch_bytes(const struct device *d, int max_rows, int max_dim, int vocab,
                               int max_context)
{
    struct scratch_sizes s = scratch_sizes(d, max_rows, max_dim, vocab, max_context);
    const struct cpu *c = (const struct cpu *)d;
    int head_rows = max_rows < HEAD_ROWS ? max_rows : HEAD_ROWS;
    size_t a = gemm_scratch_bytes(c->gemm, max_rows, max_dim);
    size_t b = gemm_scratch_bytes(c->gemm, head_rows, vocab);
    return (s.t + s.u + s.logits + s.scores + s.panels + s.warp) * sizeof(float) +
           (size_t)max_rows * sizeof(struct attn_task) + (a > b ? a : b);
}

/* Keeps the old block when there is no memory for the new one: it still serves the old sizes. */
static int regrow_bytes(void **p, size_t bytes, struct err *err)
{
    void *fresh = mem_alloc_aligned(bytes);
    if (!fresh)
        return err_no_memory(err, "scratch of the CPU backend", bytes);
    mem_free_aligned(*p);
    *p = fresh;
    return ERR_NONE;
}

static int regrow(float **p, size_t floats, struct err *err)
{
    void *block = *p;
    int status = regrow_bytes(&block, floats * sizeof(float), err);
    *p = block;
    return status;
}

static int regrow_tasks(struct attn_task **p, size_t rows, struct err *err)
{
    void *block = *p;
    int status = regrow_bytes(&block, rows * sizeof **p, err);
    *p = block;
    return status;
}

static int op_reserve(struct device *d, int max_rows, int max_dim, int vocab, int max_context,
                      struct err *err)
{
    struct cpu *c = cpu_of(d);
    int rows = max_int(max_rows, c->max_rows), dim = max_int(max_dim, c->max_dim);
    int words = max_int(vocab, c->vocab), context = max_int(max_context, c->max_context);
    if (rows == c->max_rows && dim == c->max_dim && words == c->vocab && context == c->max_context)
        return ERR_NONE;
    struct scratch_sizes s = scratch_sizes(d, rows, dim, words, context);
    int head_rows = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    int status;
    if ((status = gemm_reserve(c->gemm, rows, dim, err)) ||
        (status = gemm_reserve(c->gemm, head_rows, words, err)) ||
        (status = regrow(&c->t, s.t, err)) || (status = regrow(&c->u, s.u, err)) ||
        (status = regrow(&c->logits, s.logits, err)) ||
        (status = regrow(&c->scores, s.scores, err)) ||
        (status = regrow(&c->panels, s.panels, err)) || (status = regrow(&c->warp, s.warp, err)) ||
        (status = regrow_tasks(&c->tasks, (size_t)rows, err)))
        return status;
    c->score_stride = round_up(context + 1, LANE_ALIGN);
    c->max_rows = rows;
    c->max_dim = dim;
    c->vocab = words;
    c->max_context = context;
    return ERR_NONE;
}

static size_t op_kv_element_bytes(const struct device *d)
{
    return is_bf16(d) ? 2 : 4;
}

/* --- weights --- */

static weight *op_weight_create(struct device *d, int n, int k, struct err *err)
{
    size_t bytes = packed_bytes(d->precision, n, k);
    weight *w = mem_alloc(sizeof *w);
    void *data = w ? mem_alloc_aligned(bytes) : NULL;
    if (!data) {
        mem_free(w);
        err_no_memory(err, "a weight matrix", bytes);
        return NULL;
    }
    memset(data, 0, bytes);
    packed_init(&w->packed, d->precision, n, k, data);
    return w;
}

static weight *op_weight_prepare(struct device *d, const void *host, enum weight_dtype dtype, int n,
                                 int k, struct err *err)
{
    weight *w = op_weight_create(d, n, k, err);
    if (w)
        packed_fill(&w->packed, host, dtype);
    return w;
}

static void op_weight_update(struct device *d, weight *w, const float *values)
{
    (void)d;
    packed_fill(&w->packed, values, WEIGHT_F32);
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

static void op_embedding(struct device *d, float *x, const int *ids, const weight *table, int R)
{
    size_t k = (size_t)table->packed.k;
#pragma omp parallel for num_threads(threads_for(d, R, (int)k))
    for (int r = 0; r < R; r++) {
        CHECK(ids[r] >= 0 && ids[r] < table->packed.n);
        packed_row(x + (size_t)r * k, &table->packed, ids[r]);
    }
}

static void op_rmsnorm(struct device *d, float *y, float *inv_rms, const float *x,
                       const float *gain, float eps, int R, int H)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, H))
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)r * (size_t)H;
        float inv = ops->rmsnorm(y + at, x + at, gain, eps, H);
        if (inv_rms)
            inv_rms[r] = inv;
    }
}

static void add_bias(struct device *d, float *y, const float *bias, int R, int N)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, N))
    for (int r = 0; r < R; r++)
        ops->add(y + (size_t)r * (size_t)N, bias, (size_t)N);
}

static void add_rows(struct device *d, float *y, const float *t, int R, int N)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, N))
    for (int r = 0; r < R; r++)
        ops->add(y + (size_t)r * (size_t)N, t + (size_t)r * (size_t)N, (size_t)N);
}

static void op_linear(struct device *d, float *y, float *u, const float *x, const struct linear *l,
                      int R, bool add)
{
    struct cpu *c = cpu_of(d);
    CHECK(R <= c->max_rows && l->n <= c->max_dim && l->k <= c->max_dim && l->rank <= c->max_dim);
    bool plain = !l->bias && !l->lora_a;
    float *t = add && !plain ? c->t : y;
    float *inner = u ? u : c->u;
    gemm_input(c->gemm, x, l->k, R, l->k);
    gemm_forward(c->gemm, t, l->n, &l->w->packed, 1.0f, add && plain ? GEMM_ADD : GEMM_SET);
    if (l->lora_a)
        gemm_forward(c->gemm, inner, l->rank, &l->lora_a->packed, 1.0f, GEMM_SET);
    if (l->bias)
        add_bias(d, t, l->bias, R, l->n);
    if (l->lora_a) {
        gemm_input(c->gemm, inner, l->rank, R, l->rank);
        gemm_forward(c->gemm, t, l->n, &l->lora_b->packed, l->lora_scale, GEMM_ADD);
    }
    if (t != y)
        add_rows(d, y, t, R, l->n);
}

static void op_qk_rope(struct device *d, float *q_out, void *k_cache, void *v_cache, const float *q,
                       const float *k, const float *v, const float *q_gain, const float *k_gain,
                       float eps, const float *cos, const float *sin, const int *positions,
                       const int *kv_rows, struct attn_dims dims, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
    int D = dims.head_dim, q_dim = dims.heads * D, kv_dim = dims.kv_heads * D;
    CHECK(D <= ROW_BUFFER);
#pragma omp parallel for num_threads(threads_for(d, R, q_dim + kv_dim))
    for (int r = 0; r < R; r++) {
        size_t angle = (size_t)positions[r] * (size_t)(D / 2);
        size_t cache = (size_t)kv_rows[r] * (size_t)kv_dim;
        float head[ROW_BUFFER];
        for (int h = 0; h < dims.heads; h++) {
            size_t at = (size_t)r * (size_t)q_dim + (size_t)(h * D);
            ops->head_rope(q_out + at, q + at, q_gain, eps, cos + angle, sin + angle, D);
        }
        if (is_bf16(d))
            ops->round_bf16(q_out + (size_t)r * (size_t)q_dim, q_dim);
        for (int h = 0; h < dims.kv_heads; h++) {
            size_t at = (size_t)r * (size_t)kv_dim + (size_t)(h * D), to = cache + (size_t)(h * D);
            ops->head_rope(head, k + at, k_gain, eps, cos + angle, sin + angle, D);
            if (is_bf16(d)) {
                ops->store_bf16((uint16_t *)k_cache + to, head, D);
                ops->store_bf16((uint16_t *)v_cache + to, v + at, D);
            } else {
                memcpy((float *)k_cache + to, head, (size_t)D * sizeof(float));
                memcpy((float *)v_cache + to, v + at, (size_t)D * sizeof(float));
            }
        }
    }
}

/* The attention job of one key-value head of some spans, without outputs. */
static struct attn_job attention_job(const struct cpu *c, const struct attn_span *spans,
                                     int n_spans, struct attn_dims dims, int kv_head)
{
    size_t thread = (size_t)omp_get_thread_num();
    int group = dims.heads / dims.kv_heads;
    return (struct attn_job){
        .stride = (size_t)dims.kv_heads * (size_t)dims.head_dim,
        .bf16 = is_bf16(&c->base),
        .spans = spans,
        .n_spans = n_spans,
        .heads = dims.heads,
        .group = group,
        .first_head = kv_head * group,
        .head_dim = dims.head_dim,
        .scale = 1.0f / __builtin_sqrtf((float)dims.head_dim),
        .scores = c->scores + thread * 2 * ATTN_ROWS * (size_t)c->score_stride,
        .score_stride = (size_t)c->score_stride,
        .panels = c->panels + thread * panel_floats(c->max_dim),
    };
}

/* A key-value head's first element in the cache. */
static const void *cache_head(const struct cpu *c, const void *cache, struct attn_dims dims,
                              int kv_head)
{
    size_t element = (size_t)kv_head * (size_t)dims.head_dim;
    return (const char *)cache + element * op_kv_element_bytes(&c->base);
}

static void check_attention(const struct cpu *c, const struct attn_span *spans, int n_spans,
                            struct attn_dims dims, int R)
{
    CHECK(R <= c->max_rows && dims.head_dim <= c->max_dim && dims.head_dim <= ROW_BUFFER);
    int rows = 0;
    for (int s = 0; s < n_spans; s++) {
        CHECK(spans[s].n_q > 0);
        CHECK(spans[s].prefix_len + spans[s].own_pos + spans[s].n_q <= c->max_context);
        rows += spans[s].n_q;
    }
    CHECK(rows == R);
}

/* Spans [first, …) that fit into one block of `most` rows and share their prefix. */
static int shared_spans(const struct attn_span *spans, int n_spans, int group, int most)
{
    int n = 0, rows = 0;
    for (; n < n_spans && spans[n].prefix_row == spans->prefix_row &&
           spans[n].prefix_len == spans->prefix_len;
         n++) {
        rows += spans[n].n_q * group;
        if (rows > most)
            break;
    }
    return n > 1 && spans->prefix_len ? n : 1;
}

/* Fills c->tasks; returns their number, and that of blocks. */
static int plan_attention(struct cpu *c, const struct attn_span *spans, int n_spans,
                          struct attn_dims dims, int *blocks)
{
    int group = dims.heads / dims.kv_heads, n = 0, rows = 0;
    for (int s = 0; s < n_spans; s++)
        rows += spans[s].n_q * group;
    /* Two blocks a thread at least, where there is enough to do. */
    int most = (int)((long long)rows * dims.kv_heads / (2 * c->base.threads));
    most = most < ATTN_ROWS ? most : ATTN_ROWS;
    *blocks = 0;
    for (int s = 0; s < n_spans; s += c->tasks[n++].n_spans) {
        int together = shared_spans(spans + s, n_spans - s, group, most);
        c->tasks[n] = (struct attn_task){s, together, *blocks};
        *blocks += together > 1 ? 1 : (spans[s].n_q * group + ATTN_ROWS - 1) / ATTN_ROWS;
    }
    return n;
}

/* The last task that starts at or before a block. */
static const struct attn_task *task_of(const struct cpu *c, int n, int block)
{
    int low = 0, high = n;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (c->tasks[middle].first <= block)
            low = middle;
        else
            high = middle;
    }
    return &c->tasks[low];
}

static void op_attention(struct device *d, float *out, float *lse, const float *q,
                         const void *k_cache, const void *v_cache, const struct attn_span *spans,
                         int n_spans, struct attn_dims dims, int R)
{
    struct cpu *c = cpu_of(d);
    check_attention(c, spans, n_spans, dims, R);
    int blocks, tasks = plan_attention(c, spans, n_spans, dims, &blocks);
    /* Later blocks see more keys: hand them out first, one at a time. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(d->threads)
    for (int i = dims.kv_heads * blocks - 1; i >= 0; i--) {
        int kv_head = i % dims.kv_heads, block = i / dims.kv_heads;
        const struct attn_task *task = task_of(c, tasks, block);
        const struct attn_span *span = &spans[task->span];
        struct attn_job job = attention_job(c, span, task->n_spans, dims, kv_head);
        int rows = span->n_q * job.group;
        job.row0 = (block - task->first) * ATTN_ROWS;
        job.n = rows - job.row0 < ATTN_ROWS ? rows - job.row0 : ATTN_ROWS;
        job.q = q;
        job.out = out;
        job.lse = lse;
        job.k = cache_head(c, k_cache, dims, kv_head);
        job.v = cache_head(c, v_cache, dims, kv_head);
        c->ops->attention(&job);
    }
}

static void op_swiglu(struct device *d, float *y, const float *gate, const float *up, int R, int I)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, I))
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)r * (size_t)I;
        ops->swiglu(y + at, gate + at, up + at, I);
    }
}

/* --- the vocabulary, HEAD_ROWS rows at a time --- */

static void head_logits(struct cpu *c, const float *hidden, const weight *head, int rows)
{
    CHECK(head->packed.n <= c->vocab && head->packed.k <= c->max_dim && rows <= c->max_rows);
    gemm_input(c->gemm, hidden, head->packed.k, rows, head->packed.k);
    gemm_forward(c->gemm, c->logits, head->packed.n, &head->packed, 1.0f, GEMM_SET);
}

static int chunk_of(int R, int at)
{
    return R - at < HEAD_ROWS ? R - at : HEAD_ROWS;
}

static void op_logprob(struct device *d, float *logp, float *entropy, float *logz,
                       const float *hidden, const weight *head, const int *targets,
                       float temperature, int R)
{
    struct cpu *c = cpu_of(d);
    int V = head->packed.n;
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        head_logits(c, hidden + (size_t)at * (size_t)head->packed.k, head, rows);
#pragma omp parallel for num_threads(d->threads)
        for (int r = 0; r < rows; r++) {
            float *z = c->logits + (size_t)r * (size_t)V;
            float lz = c->ops->log_sum_exp(z, temperature, V);
            CHECK(targets[at + r] >= 0 && targets[at + r] < V);
            logp[at + r] = z[targets[at + r]] - lz;
            if (entropy)
                entropy[at + r] = c->ops->entropy(z, lz, V);
            if (logz)
                logz[at + r] = lz;
        }
    }
}

/* The id of one row under warpers; z, lz: tempered logits and their log-sum-exp, which stay. */
static int warped_token(struct cpu *c, const struct warp *w, int r, const float *z, float lz, int V,
                        double u, bool greedy)
{
    float *scores = c->warp + (size_t)omp_get_thread_num() * 2 * (size_t)c->vocab;
    struct warp_row row = {scores, scores + c->vocab, V, lz};
    w->logp[r] = __builtin_nanf("");
    if (!isfinite(lz))
        return -1;
    warp_begin(&row, &w->how, z, w->seen ? w->seen[r] : NULL);
    if (!greedy)
        return warp_draw(&row, &w->how, c->ops, u, &w->logp[r]);
    int id = c->ops->argmax(scores, V);
    w->logp[r] = scores[id] - c->ops->log_sum_exp(scores, 1.0f, V);
    return id;
}

static void op_next_token(struct device *d, int *ids, float *logp, const float *hidden,
                          const weight *head, const double *uniforms, float temperature,
                          const struct warp *warp, int R)
{
    struct cpu *c = cpu_of(d);
    int V = head->packed.n;
    for (int at = 0; at < R; at += HEAD_ROWS) {
        int rows = chunk_of(R, at);
        head_logits(c, hidden + (size_t)at * (size_t)head->packed.k, head, rows);
#pragma omp parallel for num_threads(d->threads)
        for (int r = 0; r < rows; r++) {
            float *z = c->logits + (size_t)r * (size_t)V;
            float lz = c->ops->log_sum_exp(z, temperature > 0 ? temperature : 1.0f, V);
            double u = uniforms[at + r];
            int id = warp ? warped_token(c, warp, at + r, z, lz, V, u, temperature <= 0)
                     : temperature > 0 ? c->ops->sample(z, lz, u, V)
                                       : c->ops->argmax(z, V);
            ids[at + r] = id;
            logp[at + r] = id < 0 ? __builtin_nanf("") : z[id] - lz;
        }
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

static void op_rmsnorm_backward(struct device *d, float *dx, const float *dy, const float *x,
                                const float *inv_rms, const float *gain, int R, int H)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, H))
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)r * (size_t)H;
        ops->rmsnorm_backward(dx + at, dy + at, x + at, inv_rms[r], gain, H);
    }
}

static void op_linear_backward(struct device *d, float *dx, float *du, const float *dy,
                               const struct linear *l, int R, bool add)
{
    struct cpu *c = cpu_of(d);
    CHECK(R <= c->max_rows && l->n <= c->max_dim && l->k <= c->max_dim);
    if (!dx && !l->lora_a)
        return;
    gemm_input(c->gemm, dy, l->n, R, l->n);
    if (dx)
        gemm_backward(c->gemm, dx, l->k, &l->w->packed, 1.0f, add ? GEMM_ADD : GEMM_SET);
    if (!l->lora_a)
        return;
    gemm_backward(c->gemm, du, l->rank, &l->lora_b->packed, l->lora_scale, GEMM_SET);
    if (dx) {
        gemm_input(c->gemm, du, l->rank, R, l->rank);
        gemm_backward(c->gemm, dx, l->k, &l->lora_a->packed, 1.0f, GEMM_ADD);
    }
}

static void op_lora_gradient(struct device *d, float *da, float *db, const float *dy,
                             const float *du, const float *x, const float *u, float scale, int N,
                             int K, int rank, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
    enum { PIECE = 256, COLUMNS = 64 }; /* of x and of dy that a thread takes at a time */
    int pieces = (K + PIECE - 1) / PIECE, columns = (N + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int task = 0; task < pieces + columns; task++) {
        int at = task < pieces ? task * PIECE : (task - pieces) * COLUMNS;
        if (task < pieces)
            ops->outer(&(struct outer){.dst = da + at,
                                       .dst_stride = (size_t)K,
                                       .a = du,
                                       .a_stride = (size_t)rank,
                                       .b = x + at,
                                       .b_stride = (size_t)K,
                                       .rows = R,
                                       .ni = rank,
                                       .nj = K - at < PIECE ? K - at : PIECE,
                                       .factor = 1.0f});
        else
            ops->outer(&(struct outer){.dst = db + (size_t)at * (size_t)rank,
                                       .dst_stride = (size_t)rank,
                                       .a = dy + at,
                                       .a_stride = (size_t)N,
                                       .b = u,
                                       .b_stride = (size_t)rank,
                                       .rows = R,
                                       .ni = N - at < COLUMNS ? N - at : COLUMNS,
                                       .nj = rank,
                                       .factor = scale});
    }
}

static void op_attention_backward(struct device *d, float *dq, float *dk, float *dv,
                                  float *const *dk_prefix, float *const *dv_prefix,
                                  const float *dout, const float *q, const void *k_cache,
                                  const void *v_cache, const float *out, const float *lse,
                                  const struct attn_span *spans, int n_spans, struct attn_dims dims,
                                  int R)
{
    struct cpu *c = cpu_of(d);
    int kv_dim = dims.kv_heads * dims.head_dim;
    check_attention(c, spans, n_spans, dims, R);
#pragma omp parallel for schedule(dynamic, 1) num_threads(d->threads)
    for (int task = 0; task < n_spans * dims.kv_heads; task++) {
        int s = task / dims.kv_heads, kv_head = task % dims.kv_heads;
        const struct attn_span *span = &spans[s];
        CHECK(span->own_pos == 0);
        size_t column = (size_t)kv_head * (size_t)dims.head_dim;
        size_t own = (size_t)span->q_row * (size_t)kv_dim + column;
        struct attn_backward_job job = {
            .f = attention_job(c, span, 1, dims, kv_head),
            .dout = dout,
            .dq = dq,
            .dk = dk + own,
            .dv = dv + own,
            .dk_prefix = span->prefix_len ? dk_prefix[s] + column : NULL,
            .dv_prefix = span->prefix_len ? dv_prefix[s] + column : NULL,
            .kv_dim = kv_dim,
        };
        job.f.q = q;
        job.f.out = (float *)(uintptr_t)out;
        job.f.lse = (float *)(uintptr_t)lse;
        job.f.k = cache_head(c, k_cache, dims, kv_head);
        job.f.v = cache_head(c, v_cache, dims, kv_head);
        c->ops->attention_backward(&job);
    }
}

static void op_qk_rope_backward(struct device *d, float *dq, float *dk, const float *q,
                                const float *k, const float *q_gain, const float *k_gain, float eps,
                                const float *cos, const float *sin, const int *positions,
                                struct attn_dims dims, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
    int D = dims.head_dim;
#pragma omp parallel for num_threads(threads_for(d, R, (dims.heads + dims.kv_heads) * D))
    for (int r = 0; r < R; r++) {
        size_t angle = (size_t)positions[r] * (size_t)(D / 2);
        for (int h = 0; h < dims.heads; h++) {
            size_t at = ((size_t)r * (size_t)dims.heads + (size_t)h) * (size_t)D;
            ops->head_rope_backward(dq + at, q_gain ? q + at : NULL, q_gain, eps, cos + angle,
                                    sin + angle, D);
        }
        for (int h = 0; h < dims.kv_heads; h++) {
            size_t at = ((size_t)r * (size_t)dims.kv_heads + (size_t)h) * (size_t)D;
            ops->head_rope_backward(dk + at, k_gain ? k + at : NULL, k_gain, eps, cos + angle,
                                    sin + angle, D);
        }
    }
}

static void op_swiglu_backward(struct device *d, float *dgate, float *dup, const float *dy,
                               const float *gate, const float *up, int R, int I)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(threads_for(d, R, I))
    for (int r = 0; r < R; r++) {
        size_t at = (size_t)r * (size_t)I;
        ops->swiglu_backward(dgate + at, dup + at, dy + at, gate + at, up + at, I);
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
#pragma omp parallel for num_threads(d->threads)
        for (int r = 0; r < rows; r++) {
            float *z = c->logits + (size_t)r * (size_t)V;
            (void)c->ops->log_sum_exp(z, temperature, V); /* leaves z = logit / temperature */
            c->ops->logit_gradient(z, logz[at + r], targets[at + r], dlogp[at + r] / temperature,
                                   V);
        }
        gemm_input(c->gemm, c->logits, V, rows, V);
        gemm_backward(c->gemm, dhidden + (size_t)at * H, (int)H, &head->packed, 1.0f, GEMM_SET);
    }
}

/* --- gradients of the model's own parameters: rows in order, so threads divide columns --- */

static void op_weight_gradient(struct device *d, float *dw, const float *dy, const float *x, int N,
                               int K, int R)
{
    gemm_gradient(cpu_of(d)->gemm, dw, dy, N, x, K, R);
}

struct columns {
    int first, count;
};

/* A thread's columns of `width`, in whole cache lines: none may be left to the last ones. */
static struct columns my_columns(int width)
{
    int lines = (width + LANE_ALIGN - 1) / LANE_ALIGN;
    int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int first = lines * thread / threads * LANE_ALIGN;
    int end = lines * (thread + 1) / threads * LANE_ALIGN;
    end = end < width ? end : width;
    return (struct columns){first, end > first ? end - first : 0};
}

static void op_bias_gradient(struct device *d, float *db, const float *dy, int N, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel num_threads(threads_for(d, R, N))
    {
        struct columns c = my_columns(N);
        for (int r = 0; r < R; r++)
            ops->add(db + c.first, dy + (size_t)r * (size_t)N + c.first, (size_t)c.count);
    }
}

static void op_gain_gradient(struct device *d, float *dgain, const float *dy, const float *x,
                             const float *inv_rms, int R, int H)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel num_threads(threads_for(d, R, H))
    {
        struct columns c = my_columns(H);
        for (int r = 0; r < R; r++) {
            size_t at = (size_t)r * (size_t)H + (size_t)c.first;
            ops->gain_gradient(dgain + c.first, dy + at, x + at, inv_rms[r], c.count);
        }
    }
}

/* The gains are shared by the heads, and a head's norm needs all of the head: one thread each. */
static void op_qk_gain_gradient(struct device *d, float *dq_gain, float *dk_gain, const float *dq,
                                const float *dk, const float *q, const float *k, float eps,
                                const float *cos, const float *sin, const int *positions,
                                struct attn_dims dims, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
    int D = dims.head_dim;
    CHECK(D <= ROW_BUFFER);
    bool alone = d->threads < 2 || threads_for(d, R, (dims.heads + dims.kv_heads) * D) < 2;
#pragma omp parallel for num_threads(2) if (!alone)
    for (int side = 0; side < 2; side++) {
        int heads = side ? dims.kv_heads : dims.heads;
        float *gain = side ? dk_gain : dq_gain, back[ROW_BUFFER];
        const float *dx = side ? dk : dq, *x = side ? k : q;
        for (int i = 0; i < R * heads; i++) {
            size_t angle = (size_t)positions[i / heads] * (size_t)(D / 2);
            size_t at = (size_t)i * (size_t)D;
            ops->head_gain_gradient(gain, back, dx + at, x + at, eps, cos + angle, sin + angle, D);
        }
    }
}

static void op_embedding_gradient(struct device *d, float *dtable, const int *ids, const float *dx,
                                  int vocab, int K, int R)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel num_threads(threads_for(d, R, K))
    {
        struct columns c = my_columns(K);
        for (int r = 0; r < R; r++) {
            CHECK(ids[r] >= 0 && ids[r] < vocab);
            ops->add(dtable + (size_t)ids[r] * (size_t)K + c.first,
                     dx + (size_t)r * (size_t)K + c.first, (size_t)c.count);
        }
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
#pragma omp parallel for num_threads(threads_for(d, rows, V))
        for (int r = 0; r < rows; r++) {
            float *z = c->logits + (size_t)r * (size_t)V;
            int target = targets[at + r];
            CHECK(target >= 0 && target < V);
            float logz = c->ops->log_sum_exp(z, 1.0f, V);
            if (logp)
                logp[at + r] = z[target] - logz;
            if (dhidden || dhead)
                c->ops->logit_gradient(z, logz, target, dlogp[at + r], V);
        }
        if (dhead)
            gemm_gradient(c->gemm, dhead, c->logits, V, x, H, rows);
        if (dhidden) {
            gemm_input(c->gemm, c->logits, V, rows, V);
            gemm_backward(c->gemm, dhidden + (size_t)at * (size_t)H, H, &head->packed, 1.0f,
                          GEMM_SET);
        }
    }
}

/* --- vectors --- */

static size_t piece_of(size_t n, size_t at)
{
    return n - at < VECTOR_GRAIN ? n - at : VECTOR_GRAIN;
}

static void op_add(struct device *d, float *dst, const float *src, size_t n)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(d->threads) if (n > VECTOR_GRAIN)
    for (size_t at = 0; at < n; at += VECTOR_GRAIN)
        ops->add(dst + at, src + at, piece_of(n, at));
}

static void op_scale(struct device *d, float *x, float factor, size_t n)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(d->threads) if (n > VECTOR_GRAIN)
    for (size_t at = 0; at < n; at += VECTOR_GRAIN)
        ops->scale(x + at, factor, piece_of(n, at));
}

/* Leaves of SUM_BLOCK elements, added in order: a fixed shape whatever the threads. */
static double op_sum_squares(struct device *d, const float *x, size_t n)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
    enum { LEAVES = 1024 };
    double total = 0;
    for (size_t at = 0; at < n; at += (size_t)LEAVES * SUM_BLOCK) {
        double leaf[LEAVES] = {0};
#pragma omp parallel for num_threads(d->threads) if (n > VECTOR_GRAIN)
        for (int i = 0; i < LEAVES; i++) {
            size_t from = at + (size_t)i * SUM_BLOCK;
            if (from < n)
                leaf[i] = ops->sum_squares(x + from, n - from < SUM_BLOCK ? n - from : SUM_BLOCK);
        }
        for (int i = 0; i < LEAVES; i++)
            total += leaf[i];
    }
    return total;
}

static void op_adamw(struct device *d, float *param, float *exp_avg, float *exp_avg_sq,
                     const float *grad, const struct adamw_params *p, size_t n)
{
    const struct ops_kernels *ops = cpu_of(d)->ops;
#pragma omp parallel for num_threads(d->threads) if (n > VECTOR_GRAIN)
    for (size_t at = 0; at < n; at += VECTOR_GRAIN)
        ops->adamw(param + at, exp_avg + at, exp_avg_sq + at, grad + at, p, piece_of(n, at));
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
    .kv_element_bytes = op_kv_element_bytes,
    .weight_prepare = op_weight_prepare,
    .weight_create = op_weight_create,
    .weight_update = op_weight_update,
    .weight_free = op_weight_free,
    .weight_bytes = op_weight_bytes,
    .embedding = op_embedding,
    .rmsnorm = op_rmsnorm,
    .linear = op_linear,
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

int cpu_open(struct device **out, const struct device_options *options, struct err *err)
{
    *out = NULL;
    int cores = omp_get_num_procs();
    int threads = options->threads > 0 ? options->threads : cores;
    if (options->threads < 0 || threads > 1024)
        return err_set(err, ERR_USAGE, "--threads", "%d threads: expected 0 (all cores) to 1024",
                       options->threads);
    struct cpu *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_no_memory(err, "the CPU device", sizeof *c);
    int status = gemm_open(&c->gemm, options->isa, options->precision, threads, err);
    if (status) {
        mem_free(c);
        return status;
    }
    omp_set_dynamic(0);
    c->base.ops = &cpu_backend;
    c->base.precision = options->precision;
    c->base.threads = threads;
    snprintf(c->base.isa, sizeof c->base.isa, "%s", gemm_isa(c->gemm));
    c->ops = isa_find(c->base.isa)->ops;
    *out = &c->base;
    return ERR_NONE;
}

void cpu_close(struct device *d)
{
    struct cpu *c = cpu_of(d);
    gemm_close(c->gemm);
    mem_free_aligned(c->t);
    mem_free_aligned(c->u);
    mem_free_aligned(c->logits);
    mem_free_aligned(c->scores);
    mem_free_aligned(c->panels);
    mem_free_aligned(c->warp);
    mem_free_aligned(c->tasks);
    mem_free(c);
}
