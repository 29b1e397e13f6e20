/* gemm.c: the layout of X, blocking and threads around the microkernels.
 *
 * Both directions are the same loop over "panels": 16 columns of the result with the reduced
 * dimension running through them. Forward they are the packed panels themselves. Backward a panel
 * is 16 columns k of W over all n, so blocks of 16 × 16 of the packed panels are transposed into a
 * thread's buffer, `group` panels × `k_block` at a time; the cost is shared by all rows of X.
 *
 * Order of the loops (after Goto and van de Geijn, "Anatomy of High-Performance Matrix
 * Multiplication", 2008), for each rectangle of panels × row blocks that a thread takes:
 *
 *   up to CHUNK_ROWS rows            bounds the buffer of sums
 *     a group of panels
 *       a k block                    W: group × k_block stays in the second-level cache
 *         a block of rows            X: rows × k_block stays in the first-level cache
 *           as many panels as fill the registers beside that many rows: the microkernel
 *
 * Forward, W comes from memory, and a product of few rows would mostly wait for it: the microkernel
 * therefore asks for the W of the next pass (group and k block) at an even pace while it computes,
 * each block of rows for its share (share_start). Where the rows are few, groups are narrower, as
 * nobody has asked for the first.
 *
 * Between two k blocks the f32 sums rest in the thread's buffer, exactly as they were, so blocking
 * changes no bit; after the last one bias and branch are added to a tile, and it is scaled and
 * written to the caller's matrix (finish_tile). Which elements are computed together depends on M,
 * what is computed for each does not.
 *
 * The inner product of a branch, u = X·Aᵀ, is made of each block of rows where X is laid out
 * (inner_block): no work of its own to hand out, and the product that follows only reads.
 *
 * Threads divide panels and rows, never the reduced dimension. They take a product piece by piece
 * (base/team.h): a few pieces more than there are threads, so that one that is late holds up
 * little, and whole groups of panels × CHUNK_ROWS where there are enough of these. */
#include <string.h>
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/isa.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/team.h"

enum {
    CHUNK_ROWS = 512,
    BLOCK = GEMM_PANEL * GEMM_PANEL,
    LINE = 64,           /* bytes of a cache line: a row of a panel of pairs or floats */
    PASS_BYTES = 49152,  /* of W beside each block of rows, about, where these are few */
    PIECE_WORK = 500000, /* multiplications (2 to 10 µs) that a thread takes at a time, at least */
    PIECE_COPIES = 16384, /* the same for elements laid out */
    COPY_WORK = 32,       /* multiplications that take as long as laying out one */
    PIECES = 16,          /* of a product a thread, where it is large enough */
    GRADIENT_ROWS = 256   /* rows of both operands laid out together: X's stay in the second-level
                             cache, Y's beside a panel of X in the first */
};

struct operand { /* M rows */
    char *data;
    size_t bytes; /* there is room for */
    int k, k_padded;
};

struct gemm {
    const struct gemm_kernel *kernel;
    const struct gemm_kernel *f32; /* the instruction set's f32 kernel, for gradients of weights */
    struct team *team;
    struct operand x, u[GEMM_MOST]; /* the input and its inner products, laid out for the kernel */
    char *scratch;                  /* per thread; see struct room */
    size_t scratch_bytes;           /* of one thread */
    int max_rank;
    int m;      /* rows of the input */
    int blocks; /* they are cut into */
};

/* Where a thread works on products. (The gradient of a weight divides the same bytes its own way.)
 */
struct room {
    float *sums;      /* a chunk of rows beside a group of panels */
    float *tile;      /* sums of one tile, of u or of the branch */
    char *transposed; /* backward: a group's k block */
    char *branch;     /* backward: a group of the branch, transposed, all of its k */
};

/* One product of a job. */
struct part {
    const struct gemm_sum *sum;
    const struct operand *u; /* of the branch */
    float *y;
    int ldy, columns, panels; /* of the result */
    int first;                /* of a row of pieces, that which is this part's first */
};

/* Products of one input: what the threads share. */
struct job {
    const struct gemm *g;
    struct part parts[GEMM_MOST];
    int n;
    bool transposed;
    /* Pieces: `across`, each of up to `unit` panels of a part, beside each `chunk` row blocks. */
    int unit, across, chunk;
    bool looks_ahead; /* the microkernel asks for W of the next pass */
};

static int round_up(int value, int step)
{
    return (value + step - 1) / step * step;
}

static int divide_up(int value, int by)
{
    return (value + by - 1) / by;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* --- opening --- */

/* "avx2, c": what this machine can run. */
static void list_available(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *const *name = device_isa_names(); *name; name++) {
        size_t length = strlen(*name);
        if (!device_isa_available(*name) || used + length + 3 > size)
            continue;
        if (used) {
            memcpy(out + used, ", ", 3);
            used += 2;
        }
        memcpy(out + used, *name, length + 1);
        used += length;
    }
}

static int padded_k(const struct gemm_kernel *kernel, int k)
{
    return kernel->precision == PRECISION_BF16 ? round_up(k, GEMM_K_ALIGN) : k;
}

/* Bytes of a struct room's parts, in their order. A tile is narrower than a group. A branch is
 * packed with its rank padded to whole K steps (its K side forward, its N side backward). */
static void room_parts(size_t parts[4], const struct gemm_kernel *kernel, int max_rank)
{
    size_t columns = (size_t)kernel->group * GEMM_PANEL;
    size_t element = packed_element_bytes(kernel->precision);
    parts[0] = (CHUNK_ROWS + GEMM_MAX_ROWS) * columns * sizeof(float);
    parts[1] = GEMM_MAX_ROWS * columns * sizeof(float);
    parts[2] = columns * kernel->k_block * element;
    parts[3] = columns * round_up(max_rank, GEMM_K_ALIGN) * element;
}

static size_t room_bytes(const struct gemm_kernel *kernel, int max_rank)
{
    size_t parts[4];
    room_parts(parts, kernel, max_rank);
    return parts[0] + parts[1] + parts[2] + parts[3];
}

/* X's group of panels, a block of Y, and a tile for the last columns (see gradient_tile). */
static size_t gradient_bytes(const struct gemm_kernel *f32)
{
    size_t row = (size_t)f32->group * GEMM_PANEL + f32->rows;
    return (GRADIENT_ROWS * row + (size_t)f32->rows * f32->group * GEMM_PANEL) * sizeof(float);
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t thread_bytes(const struct gemm *g, int max_rank)
{
    return max_size(room_bytes(g->kernel, max_rank), gradient_bytes(g->f32));
}

static int grow_scratch(struct gemm *g, int max_rank, struct err *err)
{
    size_t each = thread_bytes(g, max_rank), wanted = team_threads(g->team) * each;
    if (each > g->scratch_bytes) {
        char *scratch = mem_alloc_aligned(wanted);
        if (!scratch)
            return err_no_memory(err, "matrix products' scratch", wanted);
        mem_free_aligned(g->scratch);
        g->scratch = scratch;
        g->scratch_bytes = each;
    }
    g->max_rank = max_rank > g->max_rank ? max_rank : g->max_rank;
    return ERR_NONE;
}

int gemm_open_kernel(struct gemm **out, const struct gemm_kernel *kernel, int threads,
                     struct err *err)
{
    CHECK(kernel->rows <= GEMM_MAX_ROWS && kernel->group <= GEMM_MAX_GROUP);
    CHECK(kernel->k_block % GEMM_K_ALIGN == 0);
    *out = NULL;
    struct gemm *g = mem_calloc(1, sizeof *g);
    if (!g)
        return err_no_memory(err, "matrix products", sizeof *g);
    g->kernel = kernel;
    int status = team_open(&g->team, threads, err);
    if (status) {
        gemm_close(g);
        return status;
    }
    /* An emulated kernel's set need not be here, nor known to this build. */
    g->f32 = isa_find(device_isa_available(kernel->isa) ? kernel->isa : isa_best())->f32;
    status = grow_scratch(g, 0, err);
    if (status) {
        gemm_close(g);
        return status;
    }
    *out = g;
    return 0;
}

int gemm_open(struct gemm **out, const char *isa, enum precision precision, int threads,
              struct err *err)
{
    *out = NULL;
    if (!isa || strcmp(isa, "auto") == 0)
        isa = isa_best();
    if (!device_isa_available(isa)) {
        char available[128];
        list_available(available, sizeof available);
        return err_set(err, isa_find(isa) ? ERR_MACHINE : ERR_USAGE, "isa",
                       "instruction set \"%s\" is not available; this machine has: %s "
                       "(\"auto\" takes the first)",
                       isa, available);
    }
    const struct isa *found = isa_find(isa);
    CHECK(found != NULL);
    return gemm_open_kernel(out, precision == PRECISION_BF16 ? found->bf16 : found->f32, threads,
                            err);
}

void gemm_close(struct gemm *g)
{
    if (!g)
        return;
    team_close(g->team);
    mem_free_aligned(g->x.data);
    for (int i = 0; i < GEMM_MOST; i++)
        mem_free_aligned(g->u[i].data);
    mem_free_aligned(g->scratch);
    mem_free(g);
}

const char *gemm_isa(const struct gemm *g)
{
    return g->kernel->isa;
}

const struct gemm_kernel *gemm_kernel_of(const struct gemm *g)
{
    return g->kernel;
}

struct team *gemm_team(struct gemm *g)
{
    return g->team;
}

static size_t x_element_bytes(const struct gemm_kernel *kernel)
{
    return kernel->x_layout == GEMM_X_F32 ? sizeof(float) : sizeof(uint16_t);
}

size_t gemm_input_bytes(const struct gemm *g, int M, int K)
{
    return (size_t)round_up(M, g->kernel->row_step) * padded_k(g->kernel, K) *
           x_element_bytes(g->kernel);
}

size_t gemm_scratch_bytes(const struct gemm *g, int max_rank)
{
    return team_threads(g->team) * thread_bytes(g, max_rank);
}

static int grow_operand(struct operand *o, size_t bytes, struct err *err)
{
    if (bytes <= o->bytes)
        return ERR_NONE;
    char *data = mem_alloc_aligned(bytes);
    if (!data)
        return err_no_memory(err, "matrix products' input", bytes);
    mem_free_aligned(o->data);
    o->data = data;
    o->bytes = bytes;
    return ERR_NONE;
}

int gemm_reserve(struct gemm *g, int max_rows, int max_dim, int max_rank, struct err *err)
{
    g->m = 0;
    int status = grow_operand(&g->x, gemm_input_bytes(g, max_rows, max_dim), err);
    for (int i = 0; i < GEMM_MOST && !status && max_rank; i++)
        status = grow_operand(&g->u[i], gemm_input_bytes(g, max_rows, max_rank), err);
    return status ? status : grow_scratch(g, max_rank, err);
}

/* --- what both sides of a product use --- */

static const char *packed_at(const struct packed *w, int panel, int k)
{
    return (const char *)w->data + panel * packed_panel_bytes(w) +
           (size_t)k * GEMM_PANEL * packed_element_bytes(w->precision);
}

static struct room room_of(const struct gemm *g, int thread)
{
    char *base = g->scratch + thread * g->scratch_bytes;
    size_t parts[4];
    room_parts(parts, g->kernel, g->max_rank);
    struct room r = {.sums = (float *)base, .tile = (float *)(base + parts[0])};
    r.transposed = base + parts[0] + parts[1];
    r.branch = r.transposed + parts[2];
    return r;
}

static void kernel_begin(const struct gemm *g)
{
    if (g->kernel->begin)
        g->kernel->begin();
}

static void kernel_end(const struct gemm *g)
{
    if (g->kernel->end)
        g->kernel->end();
}

/* --- the input --- */

/* Row blocks are as equal as possible (16 rows are 6 + 5 + 5, not 6 + 6 + 4), in units of row_step:
 * the first `extra` of them have one unit more. */
static int block_start(const struct gemm *g, int block)
{
    int step = g->kernel->row_step, units = (g->m + step - 1) / step;
    int base = units / g->blocks, extra = units % g->blocks;
    return min_int((block * base + min_int(block, extra)) * step, g->m);
}

static char *block_data(const struct gemm *g, const struct operand *o, int block)
{
    return o->data + (size_t)block_start(g, block) * o->k_padded * x_element_bytes(g->kernel);
}

/* Bytes from the start of a block of `rows` rows to column k. */
static size_t k_offset(const struct gemm_kernel *kernel, int rows, int k)
{
    switch (kernel->x_layout) {
    case GEMM_X_F32:
        return (size_t)k * rows * sizeof(float);
    case GEMM_X_PAIRS:
        return (size_t)k * rows * sizeof(uint16_t);
    case GEMM_X_TILES:
        break;
    }
    return (size_t)k * kernel->row_step * sizeof(uint16_t);
}

/* gemm_tile's x_stride. */
static size_t tile_stride(const struct gemm *g, const struct operand *o)
{
    return (size_t)g->kernel->row_step * o->k_padded * sizeof(uint16_t);
}

struct layout {
    const struct gemm *g;
    const struct operand *to;
    const float *from;
    int ld;
    const struct gemm_inner *inner;
    int n;
};

static void lay_out_block(const struct gemm *g, const struct operand *to, const float *from, int ld,
                          int block)
{
    int start = block_start(g, block), rows = block_start(g, block + 1) - start;
    g->kernel->lay_out(block_data(g, to, block), from + (size_t)start * ld, ld, rows, to->k,
                       to->k_padded);
}

/* The block's rows of u = X·Aᵀ, which are then laid out in turn. X has just been, so it is in the
 * caches; A is where it is small (rank 16 of K = 3072: 96 KiB), else it is read again for each
 * block. */
static void inner_block(const struct gemm *g, const struct gemm_inner *inner,
                        const struct operand *to, int block, float *sums)
{
    int start = block_start(g, block), rank = inner->a->n;
    struct gemm_tile t = {.acc = sums,
                          .rows = block_start(g, block + 1) - start,
                          .k = g->x.k_padded,
                          .x = block_data(g, &g->x, block),
                          .x_stride = tile_stride(g, &g->x),
                          .w_stride = packed_panel_bytes(inner->a)};
    int panels = divide_up(rank, GEMM_PANEL), step = g->kernel->panels(t.rows);
    float *u = inner->u + (size_t)start * rank;
    for (int p = 0; p < panels; p += step) {
        t.panels = min_int(step, panels - p);
        t.acc_ld = t.panels * GEMM_PANEL;
        t.w = packed_at(inner->a, p, 0);
        g->kernel->tile(&t);
        g->kernel->write_out(u + p * GEMM_PANEL, rank, sums, t.acc_ld, t.rows,
                             min_int(t.acc_ld, rank - p * GEMM_PANEL), 1.0f, false);
    }
    lay_out_block(g, to, inner->u, rank, block);
}

static void lay_out_blocks(void *context, int thread, int first, int end)
{
    const struct layout *l = context;
    const struct gemm *g = l->g;
    struct room room = room_of(g, thread);
    kernel_begin(g);
    for (int b = first; b < end; b++) {
        lay_out_block(g, l->to, l->from, l->ld, b);
        for (int i = 0; i < l->n; i++)
            if (l->inner[i].a)
                inner_block(g, &l->inner[i], &g->u[i], b, room.tile);
    }
    kernel_end(g);
}

/* Blocks of rows that a thread takes at a time; a row is as much work as laying out `work`
 * elements.
 */
static int block_grain(const struct gemm *g, size_t work)
{
    size_t grain = PIECE_COPIES / (work * min_int(g->m, g->kernel->rows) + 1);
    return grain > 1 ? (int)grain : 1;
}

static void set_rank(struct gemm *g, struct operand *u, int rank)
{
    CHECK(rank >= 1 && rank <= g->max_rank);
    CHECK(gemm_input_bytes(g, g->m, rank) <= u->bytes);
    u->k = rank;
    u->k_padded = padded_k(g->kernel, rank);
}

void gemm_input_inner(struct gemm *g, const float *x, int ldx, int M, int K,
                      const struct gemm_inner *inner, int n)
{
    CHECK(M >= 1 && K >= 1 && ldx >= K && n <= GEMM_MOST);
    CHECK(gemm_input_bytes(g, M, K) <= g->x.bytes); /* gemm_reserve asked for less */
    g->m = M;
    g->x.k = K;
    g->x.k_padded = padded_k(g->kernel, K);
    g->blocks = divide_up(M, g->kernel->rows);
    for (int i = 0; i < GEMM_MOST; i++)
        g->u[i].k = 0;
    size_t work = K;
    for (int i = 0; i < n; i++) {
        const struct packed *a = inner[i].a;
        if (!a)
            continue;
        CHECK(a->k == K && a->precision == g->kernel->precision);
        set_rank(g, &g->u[i], a->n);
        work += (size_t)K * a->n / COPY_WORK;
    }
    struct layout l = {g, &g->x, x, ldx, inner, n};
    team_run(g->team, lay_out_blocks, &l, g->blocks, block_grain(g, work));
}

void gemm_input(struct gemm *g, const float *x, int ldx, int M, int K)
{
    gemm_input_inner(g, x, ldx, M, K, NULL, 0);
}

void gemm_inner(struct gemm *g, const float *u, int rank)
{
    CHECK(g->m > 0);
    set_rank(g, &g->u[0], rank);
    struct layout l = {.g = g, .to = &g->u[0], .from = u, .ld = rank};
    team_run(g->team, lay_out_blocks, &l, g->blocks, block_grain(g, rank));
}

/* --- the product --- */

/* W's side of one pass: a group of panels over a k block, and where it lies. */
struct pass {
    int panel, panels; /* first panel of the result, and how many */
    int k0, k;         /* range of the reduced dimension */
    const char *w;     /* panel `panel` at k0 */
    size_t w_stride;
    size_t run;       /* bytes of a panel in this pass */
    const char *next; /* the pass after this one, or NULL */
    int next_panels;  /* that it has: 0 or more than this one */
};

/* Backward: blocks (n, k) of the packed weight become (k, n) in the thread's buffer: panel of k,
 * then n. Per panel of n, the group's blocks are neighbours in memory. */
static void transpose_pass(const struct gemm_kernel *kernel, const struct packed *w,
                           struct pass *pass, char *buffer)
{
    size_t block = BLOCK * packed_element_bytes(kernel->precision);
    int first = pass->k0 / GEMM_PANEL, end = (pass->k0 + pass->k + GEMM_PANEL - 1) / GEMM_PANEL;
    pass->w_stride = (end - first) * block;
    for (int i = first; i < end; i++) {
        char *out = buffer + (i - first) * block;
        if (i < w->n_padded / GEMM_PANEL) {
            const char *in =
                (const char *)w->data + i * packed_panel_bytes(w) + pass->panel * block;
            kernel->transpose(out, pass->w_stride, in, block, pass->panels);
        } else { /* N is padded to 16, the reduced dimension to 32 */
            for (int p = 0; p < pass->panels; p++)
                memset(out + p * pass->w_stride, 0, block);
        }
    }
    pass->w = buffer;
}

/* While part `part` of `parts` of the rows meets a pass, the caches ask for that share of the next
 * one: all parts together for all of it, at an even pace. Bytes into each panel. */
static size_t share_start(const struct pass *pass, int part, int parts)
{
    return pass->run * part / parts;
}

/* A tile's sums in `t` become what is written: bias and branch are added, then it goes to y.
 * `branch`: its side of the pass; `next`: whether the caches are to ask for its next panels. */
static void finish_tile(const struct job *job, const struct part *part, const struct gemm_tile *t,
                        const struct pass *branch, const struct room *room, int block, int panel,
                        bool next)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    const struct gemm_sum *sum = part->sum;
    int column = panel * GEMM_PANEL,
        columns = min_int(t->panels * GEMM_PANEL, part->columns - column);
    float *y = part->y + (size_t)block_start(g, block) * part->ldy + column;
    if (sum->bias)
        kernel->write_out(t->acc, t->acc_ld, sum->bias + column, 0, t->rows, columns, 1.0f, true);
    if (sum->branch) {
        struct gemm_tile u = {.acc = room->tile,
                              .acc_ld = t->panels * GEMM_PANEL,
                              .rows = t->rows,
                              .panels = t->panels,
                              .k = round_up(part->u->k, kernel->k_step), /* the rest is zeros */
                              .x = block_data(g, part->u, block),
                              .x_stride = tile_stride(g, part->u),
                              .w = branch->w + (panel - branch->panel) * branch->w_stride,
                              .w_stride = branch->w_stride,
                              .ahead_step = LINE};
        u.ahead = next ? (const char *)u.w + t->panels * u.w_stride : NULL;
        kernel->tile(&u);
        kernel->write_out(t->acc, t->acc_ld, u.acc, u.acc_ld, t->rows, columns, sum->scale, true);
    }
    if (sum->base && sum->base != part->y)
        for (int r = 0; r < t->rows; r++)
            memcpy(y + (size_t)r * part->ldy, sum->base + (y - part->y) + (size_t)r * part->ldy,
                   columns * sizeof *y);
    kernel->write_out(y, part->ldy, t->acc, t->acc_ld, t->rows, columns, sum->alpha,
                      sum->base != NULL);
}

/* All row blocks [block, end) against one pass. Sums rest in the thread's room from pass to pass,
 * or are written out after the last. */
static void run_pass(const struct job *job, const struct part *part, const struct pass *pass,
                     const struct pass *branch, int block, int end, const struct room *room)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    bool last = pass->k0 + pass->k >= g->x.k_padded, only = last && pass->k0 == 0;
    int origin = block_start(g, block), ld = kernel->group * GEMM_PANEL;
    struct gemm_tile t = {.acc_ld = ld,
                          .resume = pass->k0 > 0,
                          .k = pass->k,
                          .x_stride = tile_stride(g, &g->x),
                          .w_stride = pass->w_stride,
                          .ahead_step = divide_up(LINE, end - block)};
    int ahead_panels = job->looks_ahead ? pass->next_panels : 0;
    for (int b = block; b < end; b++) {
        int start = block_start(g, b);
        t.rows = block_start(g, b + 1) - start;
        t.x = block_data(g, &g->x, b) + k_offset(kernel, t.rows, pass->k0);
        float *acc = room->sums + (only ? 0 : (size_t)(start - origin) * ld);
        int step = kernel->panels(t.rows);
        size_t share = share_start(pass, b - block, end - block);
        for (int p = 0; p < pass->panels; p += step) {
            t.panels = min_int(step, pass->panels - p);
            t.acc = acc + p * GEMM_PANEL;
            t.w = pass->w + p * pass->w_stride;
            /* While the last rows are computed, memory can already fetch what comes then. */
            bool in_group = p + step < pass->panels;
            t.next = b + 1 < end || job->transposed ? NULL
                     : in_group                     ? (const char *)t.w + step * pass->w_stride
                                                    : pass->next;
            t.ahead = p < ahead_panels ? pass->next + p * pass->w_stride + share : NULL;
            kernel->tile(&t);
            if (last)
                finish_tile(job, part, &t, branch, room, b, pass->panel + p,
                            job->looks_ahead && b == block && p + 2 * step <= pass->panels);
        }
    }
}

/* W's side of a pass forward: where it lies, and what comes after it. The next panels are those of
 * the next piece, which is most often this thread's too. */
static void aim_pass(const struct job *job, const struct part *part, struct pass *pass)
{
    int after = pass->panel + pass->panels;
    const struct packed *w = part->sum->w;
    pass->w = packed_at(w, pass->panel, pass->k0);
    pass->w_stride = packed_panel_bytes(w);
    if (pass->k0 + pass->k < job->g->x.k_padded) {
        pass->next = packed_at(w, pass->panel, pass->k0 + pass->k);
        pass->next_panels = pass->panels;
    } else if (after < part->panels) {
        pass->next = packed_at(w, after, 0);
        pass->next_panels = part->panels - after;
    } else if (part + 1 < job->parts + job->n) {
        pass->next = packed_at(part[1].sum->w, 0, 0);
        pass->next_panels = part[1].panels;
    }
}

/* k a pass. Where passes look ahead they are equally long, else a short one would be followed by a
 * long one that it has not asked for; where they do not, long ones suit the hardware better. */
static int block_length(const struct job *job)
{
    int k = job->g->x.k_padded, most = job->g->kernel->k_block;
    return job->looks_ahead ? round_up(divide_up(k, divide_up(k, most)), GEMM_K_ALIGN) : most;
}

/* Panels a pass. The first pass of a product finds its W in memory, as nobody has asked for it:
 * where few rows share that cost it should be small, though not so small that tiles become many. */
static int group_width(const struct job *job, int block, int block_end, int k)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    if (!job->looks_ahead)
        return kernel->group;
    int panel = k * GEMM_PANEL * (int)packed_element_bytes(kernel->precision);
    int step = kernel->panels(block_start(g, block + 1) - block_start(g, block));
    int panels = divide_up(PASS_BYTES * (block_end - block), panel);
    return min_int(kernel->group, round_up(panels, step));
}

/* The branch's side of the passes over some panels. */
static struct pass branch_pass(const struct job *job, const struct part *part, int panel,
                               int panels, const struct room *room)
{
    const struct packed *b = part->sum->branch;
    struct pass pass = {.panel = panel, .panels = panels, .k = part->u->k_padded};
    if (!b)
        return pass;
    if (job->transposed) {
        transpose_pass(job->g->kernel, b, &pass, room->branch);
    } else {
        pass.w = packed_at(b, panel, 0);
        pass.w_stride = packed_panel_bytes(b);
    }
    return pass;
}

/* The passes over panels [panel, panel_end) for row blocks [block, block_end). */
static void run_rows(const struct job *job, const struct part *part, int panel, int panel_end,
                     int block, int block_end, const struct room *room)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    int k_block = block_length(job);
    int group = group_width(job, block, block_end, k_block);
    for (int p = panel; p < panel_end; p += group) {
        int panels = min_int(group, panel_end - p);
        struct pass branch = branch_pass(job, part, p, panels, room);
        for (int k0 = 0; k0 < g->x.k_padded; k0 += k_block) {
            struct pass pass = {
                .panel = p, .panels = panels, .k0 = k0, .k = min_int(k_block, g->x.k_padded - k0)};
            pass.run = (size_t)pass.k * GEMM_PANEL * packed_element_bytes(kernel->precision);
            if (job->transposed)
                transpose_pass(kernel, part->sum->w, &pass, room->transposed);
            else
                aim_pass(job, part, &pass);
            run_pass(job, part, &pass, &branch, block, block_end, room);
        }
    }
}

/* Pieces [first, end): of a row of pieces, part after part, the panels from left to right. */
static void run_pieces(void *context, int thread, int first, int end)
{
    const struct job *job = context;
    const struct gemm *g = job->g;
    struct room room = room_of(g, thread);
    kernel_begin(g);
    for (int piece = first; piece < end; piece++) {
        int at = piece % job->across, block = piece / job->across * job->chunk;
        const struct part *part = &job->parts[job->n - 1];
        while (part->first > at)
            part--;
        int panel = (at - part->first) * job->unit;
        run_rows(job, part, panel, min_int(panel + job->unit, part->panels), block,
                 min_int(block + job->chunk, g->blocks), &room);
    }
    kernel_end(g);
}

/* Cuts the products into `wanted` pieces or some more: groups of panels narrower than the kernel
 * likes, in whole tiles; then, where there are few panels (a LoRA matrix has one), fewer rows, but
 * not too few, as each chunk of rows transposes W again. */
static void cut(struct job *job, int wanted)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    int threads = team_threads(g->team), step = kernel->panels(block_start(g, 1)), panels = 0;
    for (int i = 0; i < job->n; i++)
        panels += job->parts[i].panels;
    job->chunk = CHUNK_ROWS / kernel->rows;
    int down = divide_up(g->blocks, job->chunk);
    int unit = (int)((long long)panels * down / wanted) / step * step;
    job->unit = min_int(unit > step ? unit : step, kernel->group);
    for (int i = 0; i < job->n; i++) {
        job->parts[i].first = job->across;
        job->across += divide_up(job->parts[i].panels, job->unit);
    }
    int more = min_int(divide_up(wanted, job->across), 2 * threads);
    if (more > down)
        job->chunk = divide_up(g->blocks, more);
}

static void run(struct job *job)
{
    const struct gemm *g = job->g;
    int ahead_rows = g->kernel->ahead_rows, columns = 0;
    job->looks_ahead = ahead_rows && g->m >= ahead_rows && !job->transposed;
    for (int i = 0; i < job->n; i++)
        columns += job->parts[i].columns;
    size_t worth = (size_t)g->m * g->x.k * columns / PIECE_WORK;
    int most = team_threads(g->team) > 1 ? PIECES * team_threads(g->team) : 1;
    cut(job, worth >= (size_t)most ? most : worth > 1 ? (int)worth : 1);
    int pieces = job->across * divide_up(g->blocks, job->chunk);
    team_run(g->team, run_pieces, job, pieces, worth > 1 ? 1 : pieces);
}

/* What a product reduces and what it yields, of a weight's dimensions. */
static int reduced(const struct packed *w, bool transposed)
{
    return transposed ? w->n : w->k;
}

static int yielded(const struct packed *w, bool transposed)
{
    return transposed ? w->k : w->n;
}

static void add_part(struct job *job, float *y, int ldy, const struct gemm_sum *sum)
{
    const struct gemm *g = job->g;
    const struct operand *u = &g->u[job->n];
    int columns = yielded(sum->w, job->transposed);
    CHECK(g->m > 0 && g->x.k == reduced(sum->w, job->transposed) && ldy >= columns);
    CHECK(sum->w->precision == g->kernel->precision);
    if (sum->branch) {
        CHECK(u->k > 0 && u->k == reduced(sum->branch, job->transposed));
        CHECK(yielded(sum->branch, job->transposed) == columns);
        CHECK(sum->branch->precision == g->kernel->precision);
    }
    job->parts[job->n++] = (struct part){.sum = sum,
                                         .u = u,
                                         .y = y,
                                         .ldy = ldy,
                                         .columns = columns,
                                         .panels = divide_up(columns, GEMM_PANEL)};
}

void gemm_forward_all(struct gemm *g, const struct gemm_result *results, int n)
{
    struct job job = {.g = g};
    CHECK(n >= 1 && n <= GEMM_MOST);
    for (int i = 0; i < n; i++)
        add_part(&job, results[i].y, results[i].ldy, &results[i].sum);
    run(&job);
}

void gemm_forward(struct gemm *g, float *y, int ldy, const struct gemm_sum *sum)
{
    struct job job = {.g = g};
    add_part(&job, y, ldy, sum);
    run(&job);
}

void gemm_backward(struct gemm *g, float *x, int ldx, const struct gemm_sum *sum)
{
    struct job job = {.g = g, .transposed = true};
    CHECK(!sum->bias);
    add_part(&job, x, ldx, sum);
    run(&job);
}

/* --- the gradient of a weight ---
 *
 * dW (N, K) += Yᵀ·X reduces over rows. The f32 microkernel does it with its own names exchanged:
 * its "rows of X" are columns of Y, its panels of W are columns of X, its k are the rows. Both
 * operands are laid out some rows at a time, and the sums rest in dW itself in between. */

struct gradient {
    const struct gemm *g;
    const struct gemm_kernel *kernel;
    float *dw;
    const float *y, *x;
    int n, k, all;  /* all: the rows */
    bool across;    /* items are panels, not blocks of dW's rows */
    int row0, rows; /* laid out now */
};

/* Columns [first, first + count) of Y: [rows][count]. */
static void lay_out_y(float *out, const struct gradient *j, int first, int count)
{
    const float *from = j->y + (size_t)j->row0 * j->n + first;
    if (count == 8) { /* the common size as a constant */
        for (int r = 0; r < j->rows; r++, from += j->n, out += 8)
            memcpy(out, from, 8 * sizeof *out);
        return;
    }
    for (int r = 0; r < j->rows; r++, from += j->n, out += count)
        for (int i = 0; i < count; i++)
            out[i] = from[i];
}

/* Panels [first, first + count) of X: [count][rows][16], columns from K on are zeros. */
static void lay_out_x(float *out, const struct gradient *j, int first, int count)
{
    for (int p = first; p < first + count; p++) {
        int inside = min_int(GEMM_PANEL, j->k - p * GEMM_PANEL);
        const float *from = j->x + (size_t)j->row0 * j->k + (size_t)p * GEMM_PANEL;
        for (int r = 0; r < j->rows; r++, from += j->k, out += GEMM_PANEL) {
            if (inside == GEMM_PANEL) {
                memcpy(out, from, GEMM_PANEL * sizeof *out);
            } else {
                memset(out, 0, GEMM_PANEL * sizeof *out);
                memcpy(out, from, inside * sizeof *out);
            }
        }
    }
}

/* One call of the microkernel on rows n … of dW from column `column` on. Where the last panel
 * reaches beyond K, a copy of the tile takes the sums: beyond K lies the next row of dW. */
static void gradient_tile(const struct gradient *j, struct gemm_tile *t, int n, int column,
                          float *edge)
{
    float *dw = j->dw + (size_t)n * j->k + column;
    int inside = j->k - column;
    if (inside >= t->panels * GEMM_PANEL) {
        t->acc = dw;
        t->acc_ld = j->k;
        j->kernel->tile(t);
        return;
    }
    t->acc = edge;
    t->acc_ld = t->panels * GEMM_PANEL;
    memset(edge, 0, (size_t)t->rows * t->acc_ld * sizeof *edge);
    for (int r = 0; r < t->rows; r++)
        memcpy(edge + r * t->acc_ld, dw + (size_t)r * j->k, inside * sizeof *edge);
    j->kernel->tile(t);
    for (int r = 0; r < t->rows; r++)
        memcpy(dw + (size_t)r * j->k, edge + r * t->acc_ld, inside * sizeof *edge);
}

/* The operands laid out, and room for a tile; in a thread's scratch. */
struct operands {
    float *x, *y, *edge;
};

/* `count` rows of dW from n on, beside the `panels` panels from p0 on that are laid out. */
static void gradient_rows(const struct gradient *j, const struct operands *o, int n, int count,
                          int p0, int panels)
{
    size_t stride = (size_t)j->rows * GEMM_PANEL;
    struct gemm_tile t = {
        .resume = true, .rows = count, .k = j->rows, .x = o->y, .w_stride = stride * sizeof(float)};
    int step = j->kernel->panels(count);
    lay_out_y(o->y, j, n, count);
    for (int p = 0; p < panels; p += step) {
        t.panels = min_int(step, panels - p);
        t.w = o->x + p * stride;
        gradient_tile(j, &t, n, (p0 + p) * GEMM_PANEL, o->edge);
    }
}

/* Rows [n, n_end) and panels [panel, panel_end) of dW, all R rows. */
static void gradient_part(struct gradient *j, int n, int n_end, int panel, int panel_end, int R,
                          float *scratch)
{
    int rows = j->kernel->rows, group = j->kernel->group;
    struct operands o = {.x = scratch};
    o.y = o.x + (size_t)GRADIENT_ROWS * group * GEMM_PANEL;
    o.edge = o.y + (size_t)GRADIENT_ROWS * rows;
    for (j->row0 = 0; j->row0 < R; j->row0 += GRADIENT_ROWS) {
        j->rows = min_int(GRADIENT_ROWS, R - j->row0);
        for (int p0 = panel; p0 < panel_end; p0 += group) {
            int panels = min_int(group, panel_end - p0);
            lay_out_x(o.x, j, p0, panels);
            for (int i = n; i < n_end; i += rows)
                gradient_rows(j, &o, i, min_int(rows, n_end - i), p0, panels);
        }
    }
}

static void gradient_items(void *context, int thread, int first, int end)
{
    struct gradient j = *(const struct gradient *)context;
    int rows = j.kernel->rows;
    int n = j.across ? 0 : first * rows, n_end = j.across ? j.n : min_int(end * rows, j.n);
    int panel = j.across ? first : 0, panel_end = j.across ? end : divide_up(j.k, GEMM_PANEL);
    gradient_part(&j, n, n_end, panel, panel_end, j.all,
                  (float *)(j.g->scratch + thread * j.g->scratch_bytes));
}

void gemm_gradient(struct gemm *g, float *dw, const float *y, int N, const float *x, int K, int R)
{
    CHECK(N >= 1 && K >= 1 && R >= 1);
    const struct gemm_kernel *kernel = g->f32;
    int blocks = (N + kernel->rows - 1) / kernel->rows, panels = (K + GEMM_PANEL - 1) / GEMM_PANEL;
    /* The longer side is divided: what the threads lay out twice is the shorter one. */
    bool across = K > N;
    struct gradient j = {.g = g,
                         .kernel = kernel,
                         .dw = dw,
                         .y = y,
                         .x = x,
                         .n = N,
                         .k = K,
                         .all = R,
                         .across = across};
    int items = across ? panels : blocks;
    int grain = divide_up(items, PIECES / 2 * team_threads(g->team));
    bool small = (size_t)R * N * K / PIECE_WORK <= 1;
    team_run(g->team, gradient_items, &j, items, small ? items : grain);
}
