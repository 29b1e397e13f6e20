/* gemm.c: packing, the layout of X, blocking and threads around the microkernels.
 *
 * Both directions are the same loop over "panels": 16 columns of the result with the reduced
 * dimension running through them. Forward they are the packed panels themselves. Backward a panel
 * is 16 columns k of W over all n, so blocks of 16 × 16 of the packed panels are transposed into a
 * thread's buffer, `group` panels × `k_block` at a time; the cost is shared by all rows of X.
 *
 * Order of the loops (after Goto and van de Geijn, "Anatomy of High-Performance Matrix
 * Multiplication", 2008), for each thread's rectangle of panels × row blocks:
 *
 *   up to CHUNK_ROWS rows            bounds the buffer of sums
 *     a group of panels
 *       a k block                    W: group × k_block stays in the second-level cache
 *         a block of rows            X: rows × k_block stays in the first-level cache
 *           as many panels as fill the registers beside that many rows: the microkernel
 *
 * Between two k blocks the f32 sums rest in the thread's buffer, exactly as they were, so blocking
 * changes no bit; after the last one they are scaled and written to the caller's matrix. Which
 * elements are computed together depends on M, what is computed for each does not.
 *
 * Threads divide panels first, then rows (a LoRA matrix has one panel only), never the reduced
 * dimension. */
#include <omp.h>
#include <string.h>
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/isa.h"
#include "base/check.h"
#include "base/mem.h"

enum {
    CHUNK_ROWS = 512,
    BLOCK = GEMM_PANEL * GEMM_PANEL,
    SERIAL_WORK = 2000000, /* multiplications that are not worth waking threads for (10 to 40 µs) */
    SERIAL_COPIES = 65536  /* the same for elements laid out */
};

struct gemm {
    const struct gemm_kernel *kernel;
    int threads;
    char *x; /* the input, laid out for the kernel */
    size_t x_bytes;
    char *scratch;        /* per thread: sums, then transposed panels */
    size_t scratch_bytes; /* of one thread */
    int m, k, k_padded;   /* the input's shape */
    int blocks;           /* of rows */
};

/* One product: what the threads share. */
struct job {
    const struct gemm *g;
    const struct packed *w;
    bool transposed;
    float *y;
    int ldy, columns; /* of the result */
    float alpha;
    enum gemm_mode mode;
};

static int round_up(int value, int step)
{
    return (value + step - 1) / step * step;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static size_t element_bytes(enum precision precision)
{
    return precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* --- bf16 and f16 --- */

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Nearest even. A NaN stays one: rounding up could carry its mantissa away, so it is set quiet. */
static uint16_t bf16_round(float value)
{
    uint32_t bits = float_bits(value);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    uint32_t nan = bits >> 16 | 0x40u;
    int32_t magnitude = (int32_t)(bits & 0x7fffffffu); /* signed: SSE2 compares no other way */
    return (uint16_t)(magnitude > 0x7f800000 ? nan : rounded);
}

static float bf16_widen(uint16_t value)
{
    return bits_float((uint32_t)value << 16);
}

static float f16_widen(uint16_t value)
{
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    uint32_t exponent = value >> 10 & 31u, mantissa = value & 1023u;
    if (exponent == 0) { /* zero and subnormals: mantissa · 2^-24, exact in f32 */
        float magnitude = (float)mantissa * 0x1p-24f;
        return bits_float(float_bits(magnitude) | sign);
    }
    if (exponent == 31)
        return bits_float(sign | 0x7f800000u | mantissa << 13);
    return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* --- packed weights --- */

void packed_init(struct packed *p, enum precision precision, int n, int k, void *data)
{
    CHECK(n >= 1 && k >= 1);
    CHECK(((uintptr_t)data & 63) == 0);
    int step = precision == PRECISION_BF16 ? GEMM_K_ALIGN : GEMM_PANEL;
    *p = (struct packed){.data = data,
                         .precision = precision,
                         .n = n,
                         .k = k,
                         .n_padded = round_up(n, GEMM_PANEL),
                         .k_padded = round_up(k, step)};
}

size_t packed_bytes(enum precision precision, int n, int k)
{
    struct packed p;
    packed_init(&p, precision, n, k, NULL);
    return (size_t)p.n_padded * p.k_padded * element_bytes(precision);
}

static size_t panel_bytes(const struct packed *p)
{
    return (size_t)GEMM_PANEL * p->k_padded * element_bytes(p->precision);
}

/* Host arrays lie in a mapped file, at whatever address its header leaves them. */
static uint16_t host_half(const void *host, size_t i)
{
    uint16_t bits;
    memcpy(&bits, (const char *)host + i * sizeof bits, sizeof bits);
    return bits;
}

static float host_value(const void *host, enum weight_dtype dtype, size_t i)
{
    float value;
    switch (dtype) {
    case WEIGHT_F16:
        return f16_widen(host_half(host, i));
    case WEIGHT_BF16:
        return bf16_widen(host_half(host, i));
    case WEIGHT_F32:
        break;
    }
    memcpy(&value, (const char *)host + i * sizeof value, sizeof value);
    return value;
}

/* bf16 that is bf16 already keeps its bits, NaN payloads included. */
static uint16_t host_bf16(const void *host, enum weight_dtype dtype, size_t i)
{
    return dtype == WEIGHT_BF16 ? host_half(host, i) : bf16_round(host_value(host, dtype, i));
}

/* One row n of the host matrix goes to column n % 16 of its panel. */
static void fill_row_bf16(uint16_t *panel, const struct packed *p, const void *host,
                          enum weight_dtype dtype, int n)
{
    uint16_t *out = panel + n % GEMM_PANEL * 2;
    for (int k = 0; k < p->k_padded; k++) {
        bool inside = n < p->n && k < p->k;
        out[k / 2 * (2 * GEMM_PANEL) + k % 2] =
            inside ? host_bf16(host, dtype, (size_t)n * p->k + k) : 0;
    }
}

static void fill_row_f32(float *panel, const struct packed *p, const void *host,
                         enum weight_dtype dtype, int n)
{
    float *out = panel + n % GEMM_PANEL;
    for (int k = 0; k < p->k_padded; k++) {
        bool inside = n < p->n && k < p->k;
        out[(size_t)k * GEMM_PANEL] = inside ? host_value(host, dtype, (size_t)n * p->k + k) : 0;
    }
}

void packed_fill(struct packed *p, const void *host, enum weight_dtype dtype)
{
    /* Panels are independent and each is written by one thread, so threads cannot change a bit. */
#pragma omp parallel for schedule(static) if ((size_t)p->n * p->k > 1u << 20)
    for (int first = 0; first < p->n_padded; first += GEMM_PANEL) {
        void *panel = (char *)p->data + first / GEMM_PANEL * panel_bytes(p);
        for (int n = first; n < first + GEMM_PANEL; n++) {
            if (p->precision == PRECISION_BF16)
                fill_row_bf16(panel, p, host, dtype, n);
            else
                fill_row_f32(panel, p, host, dtype, n);
        }
    }
}

void packed_row(float *out, const struct packed *p, int row)
{
    CHECK(row >= 0 && row < p->n);
    const char *panel = (const char *)p->data + row / GEMM_PANEL * panel_bytes(p);
    int column = row % GEMM_PANEL;
    for (int k = 0; k < p->k; k++) {
        if (p->precision == PRECISION_BF16)
            out[k] =
                bf16_widen(((const uint16_t *)panel)[(k / 2 * GEMM_PANEL + column) * 2 + k % 2]);
        else
            out[k] = ((const float *)panel)[k * GEMM_PANEL + column];
    }
}

/* --- opening --- */

/* The kernels of an instruction set; f32 has no dot-product instruction and takes AVX-512's. */
static const struct gemm_kernel *find_kernel(const char *isa, enum precision precision)
{
    static const struct {
        const char *isa;
        const struct gemm_kernel *bf16, *f32;
    } table[] = {
        {"amx", &gemm_amx_bf16, &gemm_avx512_f32},
        {"avx512bf16", &gemm_avx512bf16_bf16, &gemm_avx512_f32},
        {"avx512", &gemm_avx512_bf16, &gemm_avx512_f32},
        {"avx2", &gemm_avx2_bf16, &gemm_avx2_f32},
        {"c", &gemm_c_bf16, &gemm_c_f32},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (strcmp(table[i].isa, isa) == 0)
            return precision == PRECISION_BF16 ? table[i].bf16 : table[i].f32;
    }
    return NULL;
}

static bool is_known(const char *isa)
{
    for (const char *const *name = device_isa_names(); *name; name++)
        if (strcmp(*name, isa) == 0)
            return true;
    return false;
}

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

/* Sums of a chunk of rows beside a group of panels; and a group's transposed k block. */
static size_t sums_bytes(const struct gemm_kernel *kernel)
{
    return (size_t)(CHUNK_ROWS + GEMM_MAX_ROWS) * kernel->group * GEMM_PANEL * sizeof(float);
}

static size_t transposed_bytes(const struct gemm_kernel *kernel)
{
    return (size_t)kernel->group * GEMM_PANEL * kernel->k_block * element_bytes(kernel->precision);
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
    g->threads = threads > 0 ? threads : omp_get_num_procs();
    g->scratch_bytes = sums_bytes(kernel) + transposed_bytes(kernel);
    g->scratch = mem_alloc_aligned(g->threads * g->scratch_bytes);
    if (!g->scratch) {
        size_t wanted = g->threads * g->scratch_bytes;
        gemm_close(g);
        return err_no_memory(err, "matrix products' scratch", wanted);
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
        return err_set(err, is_known(isa) ? ERR_MACHINE : ERR_USAGE, "isa",
                       "instruction set \"%s\" is not available; this machine has: %s "
                       "(\"auto\" takes the first)",
                       isa, available);
    }
    const struct gemm_kernel *kernel = find_kernel(isa, precision);
    CHECK(kernel != NULL);
    return gemm_open_kernel(out, kernel, threads, err);
}

void gemm_close(struct gemm *g)
{
    if (!g)
        return;
    mem_free_aligned(g->x);
    mem_free_aligned(g->scratch);
    mem_free(g);
}

const char *gemm_isa(const struct gemm *g)
{
    return g->kernel->isa;
}

static int padded_k(const struct gemm_kernel *kernel, int k)
{
    return kernel->precision == PRECISION_BF16 ? round_up(k, GEMM_K_ALIGN) : k;
}

static size_t x_element_bytes(const struct gemm_kernel *kernel)
{
    return kernel->x_layout == GEMM_X_F32 ? sizeof(float) : sizeof(uint16_t);
}

static size_t input_bytes(const struct gemm_kernel *kernel, int m, int k)
{
    return (size_t)round_up(m, kernel->row_step) * padded_k(kernel, k) * x_element_bytes(kernel);
}

size_t gemm_scratch_bytes(const struct gemm *g, int max_rows, int max_dim)
{
    return input_bytes(g->kernel, max_rows, max_dim) + g->threads * g->scratch_bytes;
}

int gemm_reserve(struct gemm *g, int max_rows, int max_dim, struct err *err)
{
    size_t bytes = input_bytes(g->kernel, max_rows, max_dim);
    if (bytes <= g->x_bytes)
        return 0;
    char *x = mem_alloc_aligned(bytes);
    if (!x)
        return err_no_memory(err, "matrix products' input", bytes);
    mem_free_aligned(g->x);
    g->x = x;
    g->x_bytes = bytes;
    g->m = 0;
    return 0;
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

static char *block_data(const struct gemm *g, int block)
{
    return g->x + (size_t)block_start(g, block) * g->k_padded * x_element_bytes(g->kernel);
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

/* Columns are laid out some dozens at a time: rounding runs along a row, where it vectorises, and
 * interleaving then finds its rows in the first-level cache. Columns from K on are zeros. */
enum { SLICE = 64 };

static void round_slice(uint16_t *out, const float *x, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = bf16_round(x[i]);
}

/* out [words][rows] = slice [rows][words]; rows is a constant at each call below. */
static inline __attribute__((always_inline)) void
interleave_rows(uint32_t *restrict out, uint32_t (*restrict slice)[SLICE], int words, int rows)
{
    for (int i = 0; i < words; i++) {
        for (int r = 0; r < rows; r++)
            out[i * rows + r] = slice[r][i];
    }
}

static void interleave(uint32_t *out, uint32_t (*slice)[SLICE], int words, int rows)
{
    switch (rows) {
    case 1:
        memcpy(out, slice[0], words * sizeof *out);
        break;
    case 4:
        interleave_rows(out, slice, words, 4);
        break;
    case 5:
        interleave_rows(out, slice, words, 5);
        break;
    case 6:
        interleave_rows(out, slice, words, 6);
        break;
    case 7:
        interleave_rows(out, slice, words, 7);
        break;
    case 8:
        interleave_rows(out, slice, words, 8);
        break;
    default:
        interleave_rows(out, slice, words, rows);
    }
}

/* One row's columns [k0, k0 + SLICE), zeros beyond `inside`, as the kernel wants them: f32, f32
 * rounded to bf16, or pairs of bf16. */
static void fill_slice(uint32_t out[SLICE], const float *x, int inside,
                       const struct gemm_kernel *kernel)
{
    if (inside < SLICE)
        memset(out, 0, SLICE * sizeof *out);
    if (kernel->precision == PRECISION_F32) {
        memcpy(out, x, inside * sizeof *x);
    } else if (kernel->x_layout == GEMM_X_PAIRS) {
        round_slice((uint16_t *)out, x, inside);
    } else {
        for (int i = 0; i < inside; i++)
            out[i] = (uint32_t)bf16_round(x[i]) << 16;
    }
}

/* GEMM_X_F32 and GEMM_X_PAIRS: [K or K/2][rows] words of 32 bits. */
static void lay_out_words(const struct gemm *g, uint32_t *out, const float *x, int ldx, int rows)
{
    uint32_t slice[GEMM_MAX_ROWS][SLICE];
    int per_word = g->kernel->x_layout == GEMM_X_PAIRS ? 2 : 1;
    for (int k0 = 0; k0 < g->k_padded; k0 += SLICE) {
        int words = min_int(SLICE, g->k_padded - k0) / per_word;
        int inside = min_int(SLICE, g->k - k0);
        inside = inside < 0 ? 0 : inside;
        for (int r = 0; r < rows; r++)
            fill_slice(slice[r], x + (size_t)r * ldx + k0, inside, g->kernel);
        interleave(out, slice, words, rows);
        out += (size_t)words * rows;
    }
}

/* [rows/16][K/32][16][32]: tiles of 16 rows × 64 bytes; rows beyond the last are zeros. */
static void lay_out_tiles(const struct gemm *g, uint16_t *out, const float *x, int ldx, int rows)
{
    int step = g->kernel->row_step;
    for (int first = 0; first < rows; first += step) {
        for (int k0 = 0; k0 < g->k_padded; k0 += GEMM_K_ALIGN) {
            int inside = min_int(GEMM_K_ALIGN, g->k - k0);
            for (int r = first; r < first + step; r++, out += GEMM_K_ALIGN) {
                memset(out, 0, GEMM_K_ALIGN * sizeof *out);
                if (r < rows)
                    round_slice(out, x + (size_t)r * ldx + k0, inside);
            }
        }
    }
}

void gemm_input(struct gemm *g, const float *x, int ldx, int M, int K)
{
    CHECK(M >= 1 && K >= 1 && ldx >= K);
    CHECK(input_bytes(g->kernel, M, K) <= g->x_bytes); /* gemm_reserve asked for less */
    g->m = M;
    g->k = K;
    g->k_padded = padded_k(g->kernel, K);
    g->blocks = (M + g->kernel->rows - 1) / g->kernel->rows;
#pragma omp parallel for num_threads(g->threads)                                                   \
    schedule(static) if ((size_t)M * K > SERIAL_COPIES && g->blocks > 1)
    for (int b = 0; b < g->blocks; b++) {
        int start = block_start(g, b), rows = block_start(g, b + 1) - start;
        const float *from = x + (size_t)start * ldx;
        if (g->kernel->x_layout == GEMM_X_TILES)
            lay_out_tiles(g, (uint16_t *)block_data(g, b), from, ldx, rows);
        else
            lay_out_words(g, (uint32_t *)block_data(g, b), from, ldx, rows);
    }
}

/* --- the product --- */

/* Sums (rows, columns) of the result's elements from (row, column) on go to the caller's matrix. No
 * fused multiply-add, so alpha = 1 changes nothing. */
static void write_out(const struct job *job, const float *acc, int acc_ld, int row, int rows,
                      int column, int columns)
{
    float alpha = job->alpha;
    for (int r = 0; r < rows; r++) {
        float *restrict y = job->y + (size_t)(row + r) * job->ldy + column;
        const float *restrict sums = acc + (size_t)r * acc_ld;
        if (job->mode == GEMM_SET) {
            for (int c = 0; c < columns; c++)
                y[c] = alpha * sums[c];
        } else {
            for (int c = 0; c < columns; c++)
                y[c] = y[c] + alpha * sums[c];
        }
    }
}

/* W's side of one pass: a group of panels over a k block, and where it lies. */
struct pass {
    int panel, panels; /* first panel of the result, and how many */
    int k0, k;         /* range of the reduced dimension */
    const char *w;     /* panel `panel` at k0 */
    size_t w_stride;
    const char *next; /* the pass after this one, or NULL */
};

/* Backward: blocks (n, k) of the packed weight become (k, n) in the thread's buffer: panel of k,
 * then n. Per panel of n, the group's blocks are neighbours in memory. */
static void transpose_pass(const struct job *job, struct pass *pass, char *buffer)
{
    const struct gemm_kernel *kernel = job->g->kernel;
    size_t block = BLOCK * element_bytes(kernel->precision);
    int first = pass->k0 / GEMM_PANEL, end = (pass->k0 + pass->k + GEMM_PANEL - 1) / GEMM_PANEL;
    pass->w_stride = (end - first) * block;
    for (int i = first; i < end; i++) {
        char *out = buffer + (i - first) * block;
        if (i < job->w->n_padded / GEMM_PANEL) {
            const char *in =
                (const char *)job->w->data + i * panel_bytes(job->w) + pass->panel * block;
            kernel->transpose(out, pass->w_stride, in, block, pass->panels);
        } else { /* N is padded to 16, the reduced dimension to 32 */
            for (int p = 0; p < pass->panels; p++)
                memset(out + p * pass->w_stride, 0, block);
        }
    }
    pass->w = buffer;
}

static const char *packed_at(const struct packed *w, int panel, int k)
{
    return (const char *)w->data + panel * panel_bytes(w) +
           (size_t)k * GEMM_PANEL * element_bytes(w->precision);
}

/* All row blocks [block, end) against one pass. Sums rest in `sums` from pass to pass, or are
 * written out after the last. */
static void run_pass(const struct job *job, const struct pass *pass, int block, int end,
                     float *sums)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    bool last = pass->k0 + pass->k >= g->k_padded, only = last && pass->k0 == 0;
    int origin = block_start(g, block), ld = kernel->group * GEMM_PANEL;
    struct gemm_tile t = {.acc_ld = ld,
                          .resume = pass->k0 > 0,
                          .k = pass->k,
                          .x_stride = (size_t)kernel->row_step * g->k_padded * sizeof(uint16_t),
                          .w_stride = pass->w_stride};
    for (int b = block; b < end; b++) {
        int start = block_start(g, b);
        t.rows = block_start(g, b + 1) - start;
        t.x = block_data(g, b) + k_offset(kernel, t.rows, pass->k0);
        float *acc = sums + (only ? 0 : (size_t)(start - origin) * ld);
        int step = kernel->panels(t.rows);
        for (int p = 0; p < pass->panels; p += step) {
            t.panels = min_int(step, pass->panels - p);
            t.acc = acc + p * GEMM_PANEL;
            t.w = pass->w + p * pass->w_stride;
            /* While the last rows are computed, memory can already fetch what comes then. */
            bool in_group = p + step < pass->panels;
            t.next = b + 1 < end || job->transposed ? NULL
                     : in_group                     ? (const char *)t.w + step * pass->w_stride
                                                    : pass->next;
            kernel->tile(&t);
            int column = (pass->panel + p) * GEMM_PANEL;
            if (last)
                write_out(job, t.acc, ld, start, t.rows, column,
                          min_int(t.panels * GEMM_PANEL, job->columns - column));
        }
    }
}

/* The passes over panels [panel, panel_end) for row blocks [block, block_end). */
static void run_rows(const struct job *job, int panel, int panel_end, int block, int block_end,
                     char *scratch)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    float *sums = (float *)scratch;
    char *buffer = scratch + sums_bytes(kernel);
    for (int p = panel; p < panel_end; p += kernel->group) {
        for (int k0 = 0; k0 < g->k_padded; k0 += kernel->k_block) {
            struct pass pass = {.panel = p,
                                .panels = min_int(kernel->group, panel_end - p),
                                .k0 = k0,
                                .k = min_int(kernel->k_block, g->k_padded - k0)};
            if (job->transposed) {
                transpose_pass(job, &pass, buffer);
            } else {
                pass.w = packed_at(job->w, p, k0);
                pass.w_stride = panel_bytes(job->w);
                if (k0 + pass.k < g->k_padded)
                    pass.next = packed_at(job->w, p, k0 + pass.k);
                else if (p + pass.panels < panel_end)
                    pass.next = packed_at(job->w, p + pass.panels, 0);
            }
            run_pass(job, &pass, block, block_end, sums);
        }
    }
}

/* Part `part` of `parts` of a range of `count`. */
static int share(int count, int part, int parts)
{
    return (int)((long long)count * part / parts);
}

static void run(const struct job *job)
{
    const struct gemm *g = job->g;
    const struct gemm_kernel *kernel = g->kernel;
    int panels = (job->columns + GEMM_PANEL - 1) / GEMM_PANEL;
    int across = min_int(g->threads, panels), down = min_int(g->threads / across, g->blocks);
    size_t work = (size_t)g->m * g->k * job->columns;
    int chunk = CHUNK_ROWS / kernel->rows;
#pragma omp parallel num_threads(g->threads) if (work > SERIAL_WORK)
    {
        char *scratch = g->scratch + omp_get_thread_num() * g->scratch_bytes;
        if (kernel->begin)
            kernel->begin();
        /* A loop, because OpenMP may give fewer threads than asked for. */
        for (int part = omp_get_thread_num(); part < across * down; part += omp_get_num_threads()) {
            int column = part % across, row = part / across;
            int block = share(g->blocks, row, down), block_end = share(g->blocks, row + 1, down);
            for (; block < block_end; block += chunk)
                run_rows(job, share(panels, column, across), share(panels, column + 1, across),
                         block, min_int(block + chunk, block_end), scratch);
        }
        if (kernel->end)
            kernel->end();
    }
}

static void check_product(const struct gemm *g, const struct packed *w, int ld, int reduced,
                          int columns)
{
    CHECK(g->m > 0 && g->k == reduced && ld >= columns);
    CHECK(w->precision == g->kernel->precision);
}

void gemm_forward(struct gemm *g, float *y, int ldy, const struct packed *w, float alpha,
                  enum gemm_mode mode)
{
    check_product(g, w, ldy, w->k, w->n);
    run(&(struct job){.g = g,
                      .w = w,
                      .transposed = false,
                      .y = y,
                      .ldy = ldy,
                      .columns = w->n,
                      .alpha = alpha,
                      .mode = mode});
}

void gemm_backward(struct gemm *g, float *x, int ldx, const struct packed *w, float alpha,
                   enum gemm_mode mode)
{
    check_product(g, w, ldx, w->n, w->k);
    run(&(struct job){.g = g,
                      .w = w,
                      .transposed = true,
                      .y = x,
                      .ldy = ldx,
                      .columns = w->k,
                      .alpha = alpha,
                      .mode = mode});
}
