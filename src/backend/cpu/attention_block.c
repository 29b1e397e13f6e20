/* attention_block.c: see attention_block.h. */
#include "backend/cpu/attention_block.h"
#include <string.h>
#include "base/check.h"

static size_t x_element(const struct gemm_kernel *kernel)
{
    return kernel->x_layout == GEMM_X_F32 ? sizeof(float) : sizeof(uint16_t);
}

static size_t x_bytes(const struct gemm_kernel *kernel, int rows, int k)
{
    return (size_t)attn_round_up(rows, kernel->row_step) * (size_t)k * x_element(kernel);
}

/* From the start of a block of rows to column k. */
static size_t x_offset(const struct gemm_kernel *kernel, int rows, int k)
{
    bool tiles = kernel->x_layout == GEMM_X_TILES;
    return (size_t)k * (size_t)(tiles ? kernel->row_step : rows) * x_element(kernel);
}

void attn_lay_out(const struct gemm_kernel *kernel, char *x, const float *rows, size_t ld, int n,
                  int k, int k_padded)
{
    for (int r = 0; r < n; r += kernel->rows)
        kernel->lay_out(x + x_bytes(kernel, r, k_padded), rows + (size_t)r * ld, (int)ld,
                        attn_min(kernel->rows, n - r), k, k_padded);
}

/* The tile's sums, ATTN_APART products at a time. */
static void tile_apart(const struct gemm_kernel *kernel, const struct gemm_tile *tile, float *apart)
{
    struct gemm_tile t = *tile;
    int columns = tile->panels * GEMM_PANEL;
    for (int k = 0; k < tile->k; k += ATTN_APART) {
        t.k = attn_min(ATTN_APART, tile->k - k);
        t.x = (const float *)tile->x + k * tile->rows;
        t.w = (const float *)tile->w + k * GEMM_PANEL;
        t.acc = k ? apart : tile->acc;
        t.acc_ld = k ? columns : tile->acc_ld;
        t.next = t.ahead = k ? NULL : tile->next;
        kernel->tile(&t);
        if (k)
            kernel->write_out(tile->acc, tile->acc_ld, apart, columns, tile->rows, columns, 1.0f,
                              true);
    }
}

float *attn_apart(const struct attn_block *b)
{
    return b->call->kv.precision == PRECISION_F32 ? b->room->apart : NULL;
}

/* What the caches are to ask for while panels [panel, panel + step) are multiplied. */
static const char *wanted_next(const struct attn_product *p, int panel, int step)
{
    if (!p->from_memory)
        return p->ahead ? p->ahead + (size_t)panel * p->w_stride : NULL;
    return panel + step < p->panels ? p->w + (size_t)(panel + step) * p->w_stride : p->ahead;
}

void attn_multiply(const struct gemm_kernel *kernel, const struct attn_product *p)
{
    int step = kernel->panels(attn_min(p->n, kernel->rows)), depth = p->x_depth ? p->x_depth : p->k;
    struct gemm_tile t = {.acc_ld = (int)p->acc_ld,
                          .resume = p->resume,
                          .k = p->k,
                          .x_stride = x_bytes(kernel, kernel->row_step, depth),
                          .w_stride = p->w_stride,
                          .ahead_step = ATTN_LINE};
    for (int panel = 0; panel < p->panels; panel += step) {
        t.panels = attn_min(step, p->panels - panel);
        t.w = p->w + (size_t)panel * p->w_stride;
        for (int r = 0; r < p->n; r += kernel->rows) {
            t.rows = attn_min(kernel->rows, p->n - r);
            t.x = p->x + x_bytes(kernel, r, depth) + x_offset(kernel, t.rows, p->x_from);
            t.acc = p->acc + (size_t)r * p->acc_ld + panel * GEMM_PANEL;
            t.next = t.ahead = r == 0 ? wanted_next(p, panel, step) : NULL;
            if (p->apart)
                tile_apart(kernel, &t, p->apart);
            else
                kernel->tile(&t);
        }
    }
}

struct attn_block attn_block_of(const struct attn_call *call, const struct attn_room *room,
                                const struct attn_span *spans, int n_spans, int kv_head, int row0)
{
    struct attn_block b = {
        .call = call, .room = room, .spans = spans, .n_spans = n_spans, .kv_head = kv_head};
    int group = call->group, first_head = kv_head * group;
    for (int s = 0; s < n_spans; s++) {
        const struct attn_span *span = &spans[s];
        int end = span->n_q * group;
        if (n_spans == 1)
            end = attn_min(end, row0 + ATTN_ROWS);
        for (int r = row0; r < end; r++, b.n++) {
            int query = r / group, head = first_head + r % group;
            b.limit[b.n] = span->prefix_len + span->own_pos + query + 1;
            b.place[b.n] = (size_t)(span->q_row + query) * (size_t)call->dims.heads + (size_t)head;
        }
    }
    return b;
}

void attn_gather(const struct attn_block *b, float *to, const float *matrix)
{
    size_t width = (size_t)b->call->kv.width, dim = (size_t)b->call->kv.dim;
    for (int r = 0; r < b->n; r++, to += width) {
        memcpy(to, matrix + b->place[r] * dim, dim * sizeof *to);
        memset(to + dim, 0, (width - dim) * sizeof *to);
    }
}

/* --- scores --- */

static struct attn_part prefix_part(const struct attn_block *b)
{
    return (struct attn_part){0, b->n, 0, b->spans->prefix_len, b->spans->prefix_row};
}

/* The own keys of span s, whose rows begin at `first`. */
static struct attn_part own_part(const struct attn_block *b, int s, int first)
{
    const struct attn_span *span = &b->spans[s];
    int n = b->n_spans == 1 ? b->n : span->n_q * b->call->group;
    return (struct attn_part){first, n, span->prefix_len, b->limit[first + n - 1],
                              span->own_row - span->prefix_len};
}

/* The part's first panel also has columns of positions before it: only the others are kept. */
static void score_corner(const struct attn_block *b, float *scores, const char *x,
                         const struct attn_part *part)
{
    const struct attn_call *c = b->call;
    const struct kv_layout *l = &c->kv;
    struct attn_product p = {.acc = b->room->corner,
                             .acc_ld = GEMM_PANEL,
                             .x = x,
                             .n = part->n,
                             .k = attn_depth(l),
                             .w = (const char *)c->k +
                                  kv_key_panel(l, part->base + part->from, b->kv_head),
                             .w_stride = l->panel,
                             .panels = 1,
                             .apart = attn_apart(b)};
    attn_multiply(c->a->kernel, &p);
    int skip = part->from % GEMM_PANEL, n = attn_min(GEMM_PANEL - skip, part->to - part->from);
    for (int r = 0; r < part->n; r++)
        memcpy(scores + (size_t)(part->first + r) * b->room->score_stride + part->from,
               b->room->corner + r * GEMM_PANEL + skip, (size_t)n * sizeof *scores);
}

/* x: the part's rows, laid out. */
static void score_part(const struct attn_block *b, float *scores, const char *x,
                       const struct attn_part *part, const char *ahead)
{
    const struct attn_call *c = b->call;
    const struct kv_layout *l = &c->kv;
    int from = part->from;
    if (from % GEMM_PANEL) {
        score_corner(b, scores, x, part);
        from = attn_round_up(from, GEMM_PANEL);
    }
    if (from >= part->to)
        return;
    struct attn_product p = {.acc = scores + (size_t)part->first * b->room->score_stride + from,
                             .acc_ld = b->room->score_stride,
                             .x = x,
                             .n = part->n,
                             .k = attn_depth(l),
                             .w = (const char *)c->k +
                                  kv_key_panel(l, part->base + from, b->kv_head),
                             .w_stride = l->panel,
                             .panels = attn_round_up(part->to - from, GEMM_PANEL) / GEMM_PANEL,
                             .from_memory = true,
                             .apart = attn_apart(b),
                             .ahead = ahead};
    attn_multiply(c->a->kernel, &p);
}

/* A span's first own keys. */
static const char *own_keys(const struct attn_block *b, int s)
{
    return (const char *)b->call->k + kv_key_panel(&b->call->kv, b->spans[s].own_row, b->kv_head);
}

void attn_scores(const struct attn_block *b, float *scores, const float *rows)
{
    const struct gemm_kernel *kernel = b->call->a->kernel;
    const struct kv_layout *l = &b->call->kv;
    size_t width = (size_t)l->width;
    int depth = attn_depth(l);
    char *x = b->room->x;
    struct attn_part prefix = prefix_part(b);
    if (prefix.to || b->n_spans == 1)
        attn_lay_out(kernel, x, rows, width, b->n, l->dim, depth);
    if (prefix.to)
        score_part(b, scores, x, &prefix, own_keys(b, 0));
    for (int s = 0, first = 0; s < b->n_spans; s++) {
        struct attn_part own = own_part(b, s, first);
        if (b->n_spans > 1)
            attn_lay_out(kernel, x, rows + (size_t)first * width, width, own.n, l->dim, depth);
        score_part(b, scores, x, &own, s + 1 < b->n_spans ? own_keys(b, s + 1) : NULL);
        first += own.n;
    }
}

void attn_clear_tails(const struct attn_block *b, float *scores)
{
    for (int s = 0, first = 0; s < b->n_spans; s++) {
        struct attn_part own = own_part(b, s, first);
        int end = attn_round_up(own.to, KV_ALIGN);
        for (int r = first; r < first + own.n; r++)
            memset(scores + (size_t)r * b->room->score_stride + b->limit[r], 0,
                   (size_t)(end - b->limit[r]) * sizeof *scores);
        first += own.n;
    }
}

/* --- keys and values of a span, by position --- */

/* A position's row of the cache, or −1: behind the last. */
static int row_of(const struct attn_span *span, int position, int end)
{
    if (position >= end)
        return -1;
    return position < span->prefix_len ? span->prefix_row + position
                                       : span->own_row + position - span->prefix_len;
}

/* Two positions of a panel of values, pair `pair` of its block, put together. */
static void join_pair(char *to, const char *low, const char *high)
{
    for (int c = 0; c < GEMM_PANEL; c++) {
        uint16_t words[2] = {0, 0};
        if (low)
            memcpy(&words[0], low + c * sizeof words, sizeof words[0]);
        if (high)
            memcpy(&words[1], high + c * sizeof words + sizeof words[0], sizeof words[1]);
        memcpy(to + c * sizeof words, words, sizeof words);
    }
}

/* The lines of a head's values that hold a row, or NULL: one of each panel, KV_ALIGN · 16 elements
 * apart. */
static const char *value_line(const struct attn_block *b, int row)
{
    const struct kv_layout *l = &b->call->kv;
    if (row < 0)
        return NULL;
    size_t line =
        l->precision == PRECISION_BF16 ? (size_t)(row % KV_ALIGN / 2) : (size_t)(row % KV_ALIGN);
    return (const char *)b->call->v + kv_value_block(l, row, b->kv_head) + line * ATTN_LINE;
}

void attn_join_values(const struct attn_block *b, const struct attn_span *span, char *to,
                      size_t stride, int from, int count, int end)
{
    const struct kv_layout *l = &b->call->kv;
    bool pairs = l->precision == PRECISION_BF16;
    size_t panel = KV_ALIGN * GEMM_PANEL * l->element;
    for (int j = 0; j < count; j += pairs ? 2 : 1) {
        const char *low = value_line(b, row_of(span, from + j, end));
        const char *high = pairs ? value_line(b, row_of(span, from + j + 1, end)) : low;
        char *line = to + (size_t)(pairs ? j / 2 : j) * ATTN_LINE;
        for (int p = 0; p < l->width / GEMM_PANEL; p++) {
            size_t at = (size_t)p * panel;
            if (low == high && low)
                memcpy(line + (size_t)p * stride, low + at, ATTN_LINE);
            else if (!low && !high)
                memset(line + (size_t)p * stride, 0, ATTN_LINE);
            else
                join_pair(line + (size_t)p * stride, low ? low + at : NULL,
                          high ? high + at : NULL);
        }
    }
}

const char *attn_values_at(const struct attn_block *b, const struct attn_span *span, int position)
{
    return value_line(b, row_of(span, position, position + 1));
}

const char *attn_whole_values(const struct attn_block *b, const struct attn_span *span, int from,
                              int end)
{
    bool prefix = from + KV_ALIGN <= attn_min(span->prefix_len, end);
    bool own = from >= span->prefix_len && from + KV_ALIGN <= end;
    return prefix || own ? attn_values_at(b, span, from) : NULL;
}

void attn_take_values(const struct attn_block *b, const struct attn_span *span, char *to,
                      size_t stride, int from, int count, int end)
{
    const struct kv_layout *l = &b->call->kv;
    size_t panel = KV_ALIGN * GEMM_PANEL * l->element;
    int panels = l->width / GEMM_PANEL;
    for (int j = from; j < from + count; j += KV_ALIGN, to += panel) {
        const char *block = attn_whole_values(b, span, j, end);
        if (!block) {
            attn_join_values(b, span, to, stride, j, KV_ALIGN, end);
            continue;
        }
        for (int p = 0; p < panels; p++)
            memcpy(to + (size_t)p * stride, block + (size_t)p * panel, panel);
    }
}

const char *attn_take_keys(const struct attn_block *b, const struct attn_span *span, int from,
                           int end)
{
    const struct kv_layout *l = &b->call->kv;
    const char *cache = b->call->k, *prefix = NULL, *own = NULL;
    int meet = attn_min(span->prefix_len, end);
    if (from < meet)
        prefix = cache + kv_key_panel(l, span->prefix_row + from, b->kv_head);
    if (from + GEMM_PANEL > span->prefix_len)
        own = cache + kv_key_panel(l, span->own_row - span->prefix_len + from, b->kv_head);
    if (from + GEMM_PANEL <= meet)
        return prefix;
    if (from >= span->prefix_len && from + GEMM_PANEL <= end)
        return own;
    uint32_t *to = (uint32_t *)(void *)b->room->panel;
    for (size_t line = 0; line < l->panel / ATTN_LINE; line++)
        for (int c = 0; c < GEMM_PANEL; c++, to++) {
            const char *source = from + c >= end               ? NULL
                                 : from + c < span->prefix_len ? prefix
                                                               : own;
            *to = 0;
            if (source)
                memcpy(to, source + line * ATTN_LINE + (size_t)c * sizeof *to, sizeof *to);
        }
    return b->room->panel;
}
