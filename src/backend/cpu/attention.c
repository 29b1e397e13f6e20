/* attention.c: scratch, the cut into blocks, and the forward pass; see attention_block.h. */
#include "backend/cpu/attention.h"
#include <string.h>
#include "backend/cpu/attention_block.h"
#include "base/check.h"
#include "base/mem.h"

/* Between two rows of attn_room's `flipped`: no power of two, which would put a column into few
 * sets of the cache. */
enum { FLIPPED = ATTN_ROWS + GEMM_PANEL };

/* --- scratch --- */

/* Head widths and contexts in whole tiles, whatever the precision. A stride of scores that is a
 * power of two would put all rows into the same sets of the caches. */
static size_t widest(int head_dim)
{
    return (size_t)attn_round_up(head_dim, GEMM_K_ALIGN);
}

static size_t whole_positions(int context)
{
    return (size_t)attn_round_up(context, KV_ALIGN);
}

static char *take(char **at, size_t bytes)
{
    char *p = *at;
    *at += (bytes + ATTN_LINE - 1) / ATTN_LINE * ATTN_LINE;
    return p;
}

static float *take_floats(char **at, size_t n)
{
    return (float *)(void *)take(at, n * sizeof(float));
}

/* Lays out a thread's scratch from `base` on; returns its bytes. */
static size_t lay_room(struct attn_room *room, char *base, enum precision precision, int head_dim,
                       int context)
{
    size_t element = precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
    size_t width = widest(head_dim), positions = whole_positions(context);
    size_t rows = ATTN_ROWS + ATTN_SPARE, stride = positions + GEMM_PANEL;
    size_t x_rows = width > ATTN_ROWS ? width : ATTN_ROWS;
    size_t depth = width > ATTN_CHUNK ? width : ATTN_CHUNK;
    char *at = base;
    *room = (struct attn_room){.score_stride = stride, .positions = positions};
    room->scores = take_floats(&at, rows * stride);
    room->scores2 = take_floats(&at, rows * stride);
    room->q = take_floats(&at, ATTN_ROWS * width);
    room->dout = take_floats(&at, ATTN_ROWS * width);
    room->sums = take_floats(&at, rows * width);
    room->corner = take_floats(&at, rows * GEMM_PANEL);
    room->flipped = take_floats(&at, FLIPPED * width);
    room->apart = take_floats(&at, GEMM_MAX_ROWS * GEMM_MAX_GROUP * GEMM_PANEL);
    room->x = take(&at, (ATTN_ROWS + ATTN_SPARE) * depth * sizeof(float));
    room->x2 = take(&at, (x_rows + ATTN_SPARE) * ATTN_ROWS * sizeof(float));
    room->values = take(&at, ATTN_CHUNK * width * element);
    room->panel = take(&at, GEMM_PANEL * width * element);
    room->all_values = take(&at, positions * width * element);
    room->all_keys = take(&at, positions * width * element);
    room->value_rows = take(&at, positions * width * element);
    room->packed = take(&at, (size_t)ATTN_CHUNK * ATTN_ROWS * element);
    room->dk = take_floats(&at, (width + ATTN_SPARE) * positions);
    room->dv = take_floats(&at, (width + ATTN_SPARE) * positions);
    return (size_t)(at - base);
}

static size_t room_bytes(const struct attention *a, int head_dim, int context)
{
    struct attn_room room;
    return lay_room(&room, NULL, a->precision, head_dim, context);
}

static struct attn_room room_of(const struct attention *a, int thread)
{
    struct attn_room room;
    lay_room(&room, a->scratch + (size_t)thread * a->thread_bytes, a->precision, a->max_head_dim,
             a->max_context);
    return room;
}

size_t attention_bytes(const struct attention *a, int rows, int head_dim, int context)
{
    return (size_t)team_threads(a->team) * room_bytes(a, head_dim, context) +
           (size_t)rows * sizeof(struct attn_task);
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

int attention_reserve(struct attention *a, int rows, int head_dim, int context, struct err *err)
{
    rows = max_int(rows, a->max_rows);
    head_dim = max_int(head_dim, a->max_head_dim);
    context = max_int(context, a->max_context);
    size_t each = room_bytes(a, head_dim, context), all = (size_t)team_threads(a->team) * each;
    if (rows > a->max_rows) {
        struct attn_task *tasks = mem_alloc((size_t)rows * sizeof *tasks);
        if (!tasks)
            return err_no_memory(err, "attention's tasks", (size_t)rows * sizeof *tasks);
        mem_free(a->tasks);
        a->tasks = tasks;
        a->max_rows = rows;
    }
    if (head_dim > a->max_head_dim || context > a->max_context) {
        char *scratch = mem_alloc_aligned(all);
        if (!scratch)
            return err_no_memory(err, "attention's scratch", all);
        mem_free_aligned(a->scratch);
        a->scratch = scratch;
        a->thread_bytes = each;
        a->max_head_dim = head_dim;
        a->max_context = context;
    }
    return ERR_NONE;
}

void attention_close(struct attention *a)
{
    mem_free_aligned(a->scratch);
    mem_free(a->tasks);
}

/* --- the cut into blocks --- */

static void check_spans(const struct attention *a, const struct attn_span *spans, int n_spans,
                        struct attn_dims dims, int R)
{
    CHECK(R <= a->max_rows && dims.head_dim <= a->max_head_dim);
    int rows = 0;
    for (int s = 0; s < n_spans; s++) {
        const struct attn_span *span = &spans[s];
        CHECK(span->n_q > 0);
        CHECK(span->prefix_len + span->own_pos + span->n_q <= a->max_context);
        CHECK(span->prefix_row % KV_ALIGN == 0 || !span->prefix_len);
        CHECK((span->own_row - span->prefix_len) % KV_ALIGN == 0);
        rows += span->n_q;
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

/* Fills the tasks; the call learns their number, and that of blocks. */
static void plan(struct attention *a, struct attn_call *call, int n_spans)
{
    const struct attn_span *spans = call->spans;
    int rows = 0;
    for (int s = 0; s < n_spans; s++)
        rows += spans[s].n_q * call->group;
    /* Two blocks a thread at least, where there is enough to do. */
    int most = (int)((long long)rows * call->dims.kv_heads / (2 * team_threads(a->team)));
    most = most < ATTN_ROWS ? most : ATTN_ROWS;
    for (int s = 0; s < n_spans; s += a->tasks[call->tasks++].n_spans) {
        int together = shared_spans(spans + s, n_spans - s, call->group, most);
        a->tasks[call->tasks] = (struct attn_task){s, together, call->blocks};
        call->blocks += together > 1 ? 1 : (spans[s].n_q * call->group + ATTN_ROWS - 1) / ATTN_ROWS;
    }
}

/* The last task that starts at or before a block. */
static const struct attn_task *task_of(const struct attn_call *call, int block)
{
    const struct attn_task *tasks = call->a->tasks;
    int low = 0, high = call->tasks;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (tasks[middle].first <= block)
            low = middle;
        else
            high = middle;
    }
    return &tasks[low];
}

static struct attn_call call_of(struct attention *a, const float *q, const void *k_cache,
                                const void *v_cache, const struct attn_span *spans, int n_spans,
                                struct attn_dims dims, int R)
{
    check_spans(a, spans, n_spans, dims, R);
    return (struct attn_call){.a = a,
                              .kv = kv_layout_of(a->precision, dims),
                              .dims = dims,
                              .group = dims.heads / dims.kv_heads,
                              .scale = 1.0f / __builtin_sqrtf((float)dims.head_dim),
                              .q = q,
                              .k = k_cache,
                              .v = v_cache,
                              .spans = spans};
}

/* --- forward --- */

/* The sums of rows [first, first + n) += probabilities · values, positions [from, to) of a span.
 * Probabilities end at `to`, rounded up to whole KV_ALIGN. */
struct weighing {
    float *sums;                          /* (n, width) */
    const struct attn_span *span, *after; /* the span whose own values come next, or NULL */
    int first, n;
    int from, to;
};

/* Where the values that follow position `at` lie. */
static const char *next_values(const struct attn_block *b, const struct weighing *w, int at)
{
    if (at < w->to)
        return attn_values_at(b, w->span, at);
    return w->after ? attn_values_at(b, w->after, w->after->prefix_len) : NULL;
}

/* The product all cases share: X is ATTN_CHUNK or fewer positions. */
static struct attn_product weighing_product(const struct attn_block *b, const struct weighing *w,
                                            int count)
{
    const struct kv_layout *l = &b->call->kv;
    return (struct attn_product){.acc = w->sums,
                                 .acc_ld = (size_t)l->width,
                                 .x = b->room->x,
                                 .x_depth = count,
                                 .n = w->n,
                                 .w = b->room->values,
                                 .panels = (l->dim + GEMM_PANEL - 1) / GEMM_PANEL};
}

/* Many rows: values put end to end first, so that a product is long. */
static void weigh_together(const struct attn_block *b, const struct weighing *w, int at, int count)
{
    struct attn_product p = weighing_product(b, w, count);
    p.resume = at > 0;
    p.k = count;
    p.w_stride = (size_t)count * GEMM_PANEL * b->call->kv.element;
    p.ahead = next_values(b, w, at + count);
    attn_take_values(b, w->span, b->room->values, p.w_stride, at, count, w->to);
    attn_multiply(b->call->a->kernel, &p);
}

/* KV_ALIGN positions from j on, of which some are the prefix's, some own, some behind the end: runs
 * of them where they lie; only what a microkernel cannot cut (a pair of both kinds) is put
 * together. */
static void weigh_runs(const struct attn_block *b, const struct weighing *w, struct attn_product *p,
                       int at, int j)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    int step = kernel->k_step, end = attn_min(j + KV_ALIGN, w->to);
    for (int i = j; i < end; i += p->k) {
        int stop = i < w->span->prefix_len ? attn_min(w->span->prefix_len, end) : end;
        p->k = (stop - i) / step * step;
        p->w = attn_values_at(b, w->span, i);
        if (!p->k) {
            p->k = step;
            attn_join_values(b, w->span, b->room->values, p->w_stride, i, step, w->to);
            p->w = b->room->values;
        }
        p->resume = i > 0;
        p->x_from = i - at;
        attn_multiply(kernel, p);
    }
}

/* Few rows: values as they come from memory, KV_ALIGN positions at a time. */
static void weigh_in_place(const struct attn_block *b, const struct weighing *w, int at, int count)
{
    struct attn_product p = weighing_product(b, w, count);
    p.w_stride = (size_t)KV_ALIGN * GEMM_PANEL * b->call->kv.element;
    for (int j = at; j < at + count; j += KV_ALIGN) {
        const char *next = next_values(b, w, j + KV_ALIGN);
        bool whole = attn_whole_values(b, w->span, j, w->to);
        p.ahead = whole ? next : NULL; /* short products ask for too little on their way */
        if (!whole && next)
            attn_ask(next, 2 * b->call->kv.panel);
        weigh_runs(b, w, &p, at, j);
    }
}

static void weigh(const struct attn_block *b, const struct weighing *w)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct attn_room *room = b->room;
    const float *p = room->scores + (size_t)w->first * room->score_stride;
    for (int at = w->from, end = attn_round_up(w->to, KV_ALIGN); at < end; at += ATTN_CHUNK) {
        int count = attn_min(ATTN_CHUNK, end - at);
        attn_lay_out(kernel, room->x, p + at, room->score_stride, w->n, count, count);
        if (w->n > kernel->rows)
            weigh_together(b, w, at, count);
        else
            weigh_in_place(b, w, at, count);
    }
}

/* Several spans: the whole pieces of the prefix for all rows at once, then what is left of it with
 * each span's own keys. These sums are made apart (in dout's room, which this direction does not
 * use): behind the last row a kernel may write rows more, and what a tile adds to them is no 0 but
 * NaN where a value is no number; here they would be the next span's. */
static void weigh_all(const struct attn_block *b)
{
    const struct attn_span *spans = b->spans;
    size_t width = (size_t)b->call->kv.width;
    float *sums = b->room->sums, *apart = b->room->dout;
    if (b->n_spans == 1) {
        weigh(b, &(struct weighing){sums, spans, NULL, 0, b->n, 0, b->limit[b->n - 1]});
        return;
    }
    int common = spans->prefix_len / KV_ALIGN * KV_ALIGN;
    weigh(b, &(struct weighing){sums, spans, spans, 0, b->n, 0, common});
    for (int s = 0, first = 0; s < b->n_spans; s++) {
        int n = spans[s].n_q * b->call->group;
        const struct attn_span *after = s + 1 < b->n_spans ? &spans[s + 1] : NULL;
        size_t bytes = (size_t)n * width * sizeof *sums;
        if (common)
            memcpy(apart, sums, bytes);
        weigh(b, &(struct weighing){apart, &spans[s], after, first, n, common,
                                    b->limit[first + n - 1]});
        memcpy(sums, apart, bytes);
        sums += (size_t)n * width;
        first += n;
    }
}

/* While probabilities are made, memory would have nothing to do: it is asked for the first values,
 * a share of them with every row, together no more than a fraction of the second-level cache. */
static void ask_for_values(const struct attn_block *b, int row)
{
    enum { MOST = 131072 };
    const struct attn_span *span = b->spans;
    int positions = span->prefix_len ? span->prefix_len : b->limit[b->n - 1];
    size_t bytes = (size_t)(positions / KV_ALIGN) * 2 * b->call->kv.panel;
    size_t share = (bytes < MOST ? bytes : MOST) / (size_t)b->n / ATTN_LINE * ATTN_LINE;
    attn_ask(attn_values_at(b, span, 0) + (size_t)row * share, share);
}

static void forward_block(const struct attn_block *b)
{
    const struct attn_call *c = b->call;
    const struct attn_room *room = b->room;
    float factor[ATTN_ROWS] = {0};
    size_t dim = (size_t)c->kv.dim;
    attn_gather(b, room->q, c->q);
    attn_scores(b, room->scores, room->q);
    for (int r = 0; r < b->n; r++) {
        float lse;
        ask_for_values(b, r);
        factor[r] = 1.0f / c->a->ops->softmax(room->scores + (size_t)r * room->score_stride,
                                              c->scale, b->limit[r], &lse);
        if (c->lse)
            c->lse[b->place[r]] = lse;
    }
    attn_clear_tails(b, room->scores);
    weigh_all(b);
    for (int r = 0; r < b->n; r++) {
        float *out = c->out + b->place[r] * dim;
        const float *sums = room->sums + (size_t)r * (size_t)c->kv.width;
        for (size_t i = 0; i < dim; i++)
            out[i] = sums[i] * factor[r];
    }
}

/* Later blocks see more keys: they come first. */
static void forward_blocks(void *context, int thread, int first, int end)
{
    const struct attn_call *c = context;
    const struct gemm_kernel *kernel = c->a->kernel;
    struct attn_room room = room_of(c->a, thread);
    if (kernel->begin)
        kernel->begin();
    for (int item = first; item < end; item++) {
        int i = c->dims.kv_heads * c->blocks - 1 - item;
        int kv_head = i % c->dims.kv_heads, block = i / c->dims.kv_heads;
        const struct attn_task *task = task_of(c, block);
        struct attn_block b = attn_block_of(c, &room, &c->spans[task->span], task->n_spans, kv_head,
                                            (block - task->first) * ATTN_ROWS);
        forward_block(&b);
    }
    if (kernel->end)
        kernel->end();
}

void attention_forward(struct attention *a, float *out, float *lse, const float *q,
                       const void *k_cache, const void *v_cache, const struct attn_span *spans,
                       int n_spans, struct attn_dims dims, int R)
{
    struct attn_call call = call_of(a, q, k_cache, v_cache, spans, n_spans, dims, R);
    call.out = out;
    call.lse = lse;
    plan(a, &call, n_spans);
    team_run(a->team, forward_blocks, &call, dims.kv_heads * call.blocks, 1);
}

/* --- backward ---
 *
 * With p = softmax(s), s = q·k·scale: dp_j = dout·v_j, δ = out·dout, ds_j = p_j·(dp_j − δ)·scale;
 * dq = Σ_j ds_j·k_j, dk_j = Σ ds_j·q, dv_j = Σ p_j·dout, over rows. Keys and values are wanted the
 * other way round (values to reduce over dimensions, keys over positions): the kernel's transpose
 * does both once for a span and head. dk and dv are computed as (dimensions, positions), since
 * then it is the small operand, q or dout, that is turned; they are one accumulator per element,
 * rows in the microkernel's order, and rest in scratch from block to block. */

/* The values of positions [0, count), then with dimensions as what is reduced; and keys with
 * positions. */
static void turn_cache(const struct attn_block *b, int keys, int count)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct attn_room *room = b->room;
    const struct kv_layout *l = &b->call->kv;
    size_t square = (size_t)GEMM_PANEL * GEMM_PANEL * l->element;
    size_t stride = (size_t)count * GEMM_PANEL * l->element;
    int squares = l->width / GEMM_PANEL;
    attn_take_values(b, b->spans, room->all_values, stride, 0, count, keys);
    for (int j = 0; j < count; j += GEMM_PANEL) {
        size_t at = (size_t)(j / GEMM_PANEL) * square;
        kernel->transpose(room->value_rows + (size_t)(j / GEMM_PANEL) * l->panel, square,
                          room->all_values + at, stride, squares);
        kernel->transpose(room->all_keys + at, stride, attn_take_keys(b, b->spans, j, keys), square,
                          squares);
    }
}

/* dp = dout · values, for all keys that the block's rows see. */
static void score_values(const struct attn_block *b, int keys)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct attn_room *room = b->room;
    const struct kv_layout *l = &b->call->kv;
    attn_lay_out(kernel, room->x, room->dout, (size_t)l->width, b->n, l->dim, attn_depth(l));
    attn_multiply(kernel, &(struct attn_product){.acc = room->scores2,
                                                 .acc_ld = room->score_stride,
                                                 .x = room->x,
                                                 .n = b->n,
                                                 .k = attn_depth(l),
                                                 .w = room->value_rows,
                                                 .w_stride = l->panel,
                                                 .apart = attn_apart(b),
                                                 .panels = (keys + GEMM_PANEL - 1) / GEMM_PANEL});
}

static void query_gradient(const struct attn_block *b, const float *ds, int positions, int count)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct attn_room *room = b->room;
    const struct kv_layout *l = &b->call->kv;
    size_t line = GEMM_PANEL * l->element, dim = (size_t)l->dim;
    for (int at = 0; at < count; at += ATTN_CHUNK) {
        int k = attn_min(ATTN_CHUNK, count - at);
        attn_lay_out(kernel, room->x, ds + at, room->score_stride, b->n, k, k);
        attn_multiply(kernel,
                      &(struct attn_product){.acc = room->sums,
                                             .acc_ld = (size_t)l->width,
                                             .resume = at > 0,
                                             .x = room->x,
                                             .n = b->n,
                                             .k = k,
                                             .w = room->all_keys + (size_t)at * line,
                                             .w_stride = (size_t)positions * line,
                                             .panels = (l->dim + GEMM_PANEL - 1) / GEMM_PANEL});
    }
    for (int r = 0; r < b->n; r++)
        memcpy(b->call->gradients->dq + b->place[r] * dim,
               room->sums + (size_t)r * (size_t)l->width, dim * sizeof(float));
}

/* sums (dim, positions) += rowsᵀ · weights, over the block's rows. */
static void key_gradient(const struct attn_block *b, float *sums, int positions, const float *rows,
                         const float *weights, int count)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct attn_room *room = b->room;
    const struct kv_layout *l = &b->call->kv;
    int k = l->precision == PRECISION_BF16 ? attn_round_up(b->n, GEMM_K_ALIGN) : b->n;
    size_t width = (size_t)l->width;
    for (int r = 0; r < b->n; r++)
        for (int i = 0; i < l->dim; i++)
            room->flipped[i * FLIPPED + r] = rows[(size_t)r * width + (size_t)i];
    attn_lay_out(kernel, room->x2, room->flipped, FLIPPED, l->dim, b->n, k);
    size_t stride = (size_t)k * GEMM_PANEL * l->element;
    for (int at = 0; at < count; at += ATTN_CHUNK) {
        int panels = attn_min(ATTN_CHUNK, count - at) / GEMM_PANEL;
        kernel->pack(room->packed, weights + at, (int)room->score_stride, b->n, k, panels);
        attn_multiply(kernel, &(struct attn_product){.acc = sums + at,
                                                     .acc_ld = (size_t)positions,
                                                     .resume = true,
                                                     .x = room->x2,
                                                     .n = l->dim,
                                                     .k = k,
                                                     .w = room->packed,
                                                     .w_stride = stride,
                                                     .panels = panels});
    }
}

static void backward_block(const struct attn_block *b, int positions)
{
    const struct attn_call *c = b->call;
    const struct attention_gradients *g = c->gradients;
    const struct attn_room *room = b->room;
    float *p = room->scores, *ds = room->scores2;
    int keys = b->limit[b->n - 1], count = attn_round_up(keys, KV_ALIGN), dim = c->kv.dim;
    attn_gather(b, room->q, c->q);
    attn_gather(b, room->dout, g->dout);
    attn_scores(b, p, room->q);
    score_values(b, keys);
    for (int r = 0; r < b->n; r++) {
        size_t at = b->place[r] * (size_t)dim, row = (size_t)r * room->score_stride;
        float delta = c->a->ops->dot(g->out + at, g->dout + at, dim);
        c->a->ops->score_gradient(p + row, ds + row, c->scale, b->limit[r], g->lse[b->place[r]],
                                  delta);
    }
    attn_clear_tails(b, p);
    attn_clear_tails(b, ds);
    query_gradient(b, ds, positions, count);
    key_gradient(b, room->dk, positions, room->q, ds, count);
    key_gradient(b, room->dv, positions, room->dout, p, count);
}

/* Positions [from, to) of sums (dim, positions) as rows, `stride` apart. */
static void put_positions(float *rows, size_t stride, const float *sums, int positions, int dim,
                          int from, int to)
{
    enum { SIDE = 16 };
    float square[SIDE][SIDE]; /* rows are a power of two apart: a line of each at a time */
    for (int j0 = from; j0 < to; j0 += SIDE)
        for (int i0 = 0; i0 < dim; i0 += SIDE) {
            int nj = attn_min(SIDE, to - j0), ni = attn_min(SIDE, dim - i0);
            const float *in = sums + (size_t)i0 * (size_t)positions + (size_t)j0;
            for (int i = 0; i < ni; i++, in += positions)
                for (int j = 0; j < nj; j++)
                    square[j][i] = in[j];
            for (int j = 0; j < nj; j++)
                memcpy(rows + (size_t)(j0 + j - from) * stride + (size_t)i0, square[j],
                       (size_t)ni * sizeof *rows);
        }
}

static void put_key_gradients(const struct attn_block *b, int keys, int positions, int s)
{
    const struct attention_gradients *g = b->call->gradients;
    const struct attn_span *span = b->spans;
    int dim = b->call->kv.dim, prefix = span->prefix_len;
    size_t stride = (size_t)b->call->dims.kv_heads * (size_t)dim;
    size_t column = (size_t)b->kv_head * (size_t)dim, own = (size_t)span->q_row * stride + column;
    if (prefix) {
        put_positions(g->dk_prefix[s] + column, stride, b->room->dk, positions, dim, 0, prefix);
        put_positions(g->dv_prefix[s] + column, stride, b->room->dv, positions, dim, 0, prefix);
    }
    put_positions(g->dk + own, stride, b->room->dk, positions, dim, prefix, keys);
    put_positions(g->dv + own, stride, b->room->dv, positions, dim, prefix, keys);
}

/* Items: spans × key-value heads. */
static void backward_spans(void *context, int thread, int first, int end)
{
    const struct attn_call *c = context;
    const struct gemm_kernel *kernel = c->a->kernel;
    struct attn_room room = room_of(c->a, thread);
    if (kernel->begin)
        kernel->begin();
    for (int item = first; item < end; item++) {
        int s = item / c->dims.kv_heads, kv_head = item % c->dims.kv_heads;
        const struct attn_span *span = &c->spans[s];
        int rows = span->n_q * c->group, keys = span->prefix_len + span->n_q;
        int positions = attn_round_up(keys, KV_ALIGN);
        size_t sums = (size_t)c->kv.width * (size_t)positions * sizeof *room.dk;
        CHECK(span->own_pos == 0);
        memset(room.dk, 0, sums);
        memset(room.dv, 0, sums);
        for (int row0 = 0; row0 < rows; row0 += ATTN_ROWS) {
            struct attn_block b = attn_block_of(c, &room, span, 1, kv_head, row0);
            if (row0 == 0)
                turn_cache(&b, keys, positions);
            backward_block(&b, positions);
            if (row0 + ATTN_ROWS >= rows)
                put_key_gradients(&b, keys, positions, s);
        }
    }
    if (kernel->end)
        kernel->end();
}

void attention_backward(struct attention *a, const struct attention_gradients *g,
                        const struct attn_span *spans, int n_spans, struct attn_dims dims, int R)
{
    struct attn_call call = call_of(a, g->q, g->k_cache, g->v_cache, spans, n_spans, dims, R);
    call.gradients = g;
    team_run(a->team, backward_spans, &call, n_spans * dims.kv_heads, 1);
}
