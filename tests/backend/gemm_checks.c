/* gemm_checks.c: see gemm_checks.h. Values come from a fixed integer generator, so a failure can be
 * repeated; the reference is the plain triple loop in double over inputs rounded as the precision
 * says. Two errors are bounded: that of each element by the textbook bound K·2^-24·Σ|x·w| of a sum
 * in f32, and the relative L2 error of the whole matrix, which is what catches a lost product. */
#include "gemm_checks.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void fill_random(float *out, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)next_random(&seed) - (1 << 23)) * 0x1p-22f;
}

/* Nearest-even rounding to bf16 by arithmetic instead of bits: an oracle of its own. */
static float round_bf16(float value)
{
    int exponent;
    if (value == 0 || !isfinite(value))
        return value;
    frexpf(value, &exponent);
    float unit = ldexpf(1, exponent - 8);
    return rintf(value / unit) * unit;
}

static float rounded(float value, enum precision precision)
{
    return precision == PRECISION_BF16 ? round_bf16(value) : value;
}

/* A weight and what it was made of. */
struct matrix {
    int n, k;
    float *host;
    struct packed packed;
};

static struct matrix matrix_new(int n, int k, enum precision precision, uint32_t seed)
{
    struct matrix w = {.n = n, .k = k, .host = malloc(sizeof(float) * n * k)};
    void *data = mem_alloc_aligned(packed_bytes(precision, n, k));
    assert_non_null(w.host);
    assert_non_null(data);
    fill_random(w.host, (size_t)n * k, seed);
    packed_init(&w.packed, precision, n, k, data);
    packed_fill(&w.packed, w.host, WEIGHT_F32);
    return w;
}

static void matrix_free(struct matrix *w)
{
    mem_free_aligned(w->packed.data);
    free(w->host);
}

enum { MAX_RANK = 585 }; /* more to the next 32 than to the next 16 */

static struct gemm *open_subject(const struct gemm_subject *s, int threads, int rows, int dim)
{
    struct gemm *g;
    struct err err = {0};
    int status = s->kernel ? gemm_open_kernel(&g, s->kernel, threads, &err)
                           : gemm_open(&g, s->isa, s->precision, threads, &err);
    if (status)
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(gemm_reserve(g, rows, dim, MAX_RANK, &err), 0);
    return g;
}

/* One product; backward swaps the roles of n and k. */
struct problem {
    const struct matrix *w;
    bool backward;
    int m;
};

static int reduced_of(const struct problem *p)
{
    return p->backward ? p->w->n : p->w->k;
}

static int columns_of(const struct problem *p)
{
    return p->backward ? p->w->k : p->w->n;
}

static void multiply_sum(struct gemm *g, float *y, int ldy, bool backward,
                         const struct gemm_sum *sum)
{
    if (backward)
        gemm_backward(g, y, ldy, sum);
    else
        gemm_forward(g, y, ldy, sum);
}

static void multiply(struct gemm *g, float *y, int ldy, const struct problem *p, const float *x,
                     int ldx, float alpha, const float *base)
{
    struct gemm_sum sum = {.w = &p->w->packed, .alpha = alpha, .base = base};
    gemm_input(g, x, ldx, p->m, reduced_of(p));
    multiply_sum(g, y, ldy, p->backward, &sum);
}

static float weight_at(const struct problem *p, int column, int i, enum precision precision)
{
    size_t index = p->backward ? (size_t)i * p->w->k + column : (size_t)column * p->w->k + i;
    return rounded(p->w->host[index], precision);
}

static void check_against_double(const struct problem *p, const float *y, int ldy, const float *x,
                                 int ldx, enum precision precision)
{
    int reduced = reduced_of(p), columns = columns_of(p);
    double error = 0, norm = 0;
    /* A large matrix is sampled: every row, every 37th column. */
    int step = (size_t)p->m * columns * reduced > 4000000 ? 37 : 1;
    for (int r = 0; r < p->m; r++) {
        for (int c = 0; c < columns; c += step) {
            double sum = 0, magnitude = 0;
            for (int i = 0; i < reduced; i++) {
                double product = (double)rounded(x[(size_t)r * ldx + i], precision) *
                                 weight_at(p, c, i, precision);
                sum += product;
                magnitude += fabs(product);
            }
            double e = y[(size_t)r * ldy + c] - sum;
            if (!(fabs(e) <= (reduced + 1) * 0x1p-24 * magnitude))
                fail_msg("M %d N %d K %d %s: element (%d, %d) is %.9g, expected %.9g", p->m,
                         p->w->n, p->w->k, p->backward ? "backward" : "forward", r, c,
                         (double)y[(size_t)r * ldy + c], sum);
            error += e * e;
            norm += sum * sum;
        }
    }
    if (!(sqrt(error) <= 2e-6 * sqrt(norm)))
        fail_msg("M %d N %d K %d: relative L2 error %.3g", p->m, p->w->n, p->w->k,
                 sqrt(error / norm));
}

/* Values; nothing outside of the M × columns rectangle is touched; alpha and base are exactly
 * alpha·r and base + alpha·r. */
static void check_problem(const struct gemm_subject *s, const struct problem *p, int threads)
{
    int reduced = reduced_of(p), columns = columns_of(p);
    int ldx = reduced + 3, ldy = columns + 5;
    size_t x_count = (size_t)p->m * ldx, y_count = (size_t)(p->m + 2) * ldy;
    float *x = malloc(x_count * sizeof *x), *y = malloc(y_count * sizeof *y);
    float *before = malloc(y_count * sizeof *y), *z = malloc(y_count * sizeof *y);
    fill_random(x, x_count, 77);
    for (int r = 0; r < p->m; r++) { /* columns that must not be read as data */
        for (int i = reduced; i < ldx; i++)
            x[(size_t)r * ldx + i] = NAN;
    }
    fill_random(before, y_count, 5);
    struct gemm *g = open_subject(s, threads, p->m, reduced);
    size_t calls = mem_stats().total_calls;

    memcpy(y, before, y_count * sizeof *y);
    multiply(g, y, ldy, p, x, ldx, 1.0f, NULL);
    check_against_double(p, y, ldy, x, ldx, s->precision);

    const float alpha = 0.37f;
    memcpy(z, before, y_count * sizeof *y);
    multiply(g, z, ldy, p, x, ldx, alpha, z);
    for (size_t i = 0; i < y_count; i++) {
        bool inside = i / ldy < (size_t)p->m && i % ldy < (size_t)columns;
        volatile float scaled = alpha * y[i];
        assert_true(z[i] == (inside ? before[i] + scaled : before[i]));
        assert_true(inside || y[i] == before[i]);
    }
    multiply(g, z, ldy, p, x, ldx, alpha, NULL);
    for (size_t i = 0; i < (size_t)p->m * ldy; i++)
        assert_true(i % ldy >= (size_t)columns || z[i] == alpha * y[i]);

    assert_int_equal(mem_stats().total_calls, calls); /* nothing is allocated after reserve */
    gemm_close(g);
    free(x);
    free(y);
    free(before);
    free(z);
}

/* Sizes on and off every tile, panel, pair and block boundary. */
static void check_sizes(const struct gemm_subject *s)
{
    static const int dims[][2] = {
        {1, 1},    {7, 3},    {17, 33},  {16, 16},   {1, 16},    {16, 1},    {48, 32}, {33, 100},
        {130, 65}, {513, 40}, {40, 513}, {24, 1100}, {1100, 24}, {257, 600}, {64, 64}, {130, 1088}};
    static const int rows[] = {1, 2, 3, 5, 6, 8, 13, 16, 17, 33, 48};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        struct matrix w = matrix_new(dims[i][0], dims[i][1], s->precision, (uint32_t)i + 1);
        for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++) {
            for (int backward = 0; backward < 2; backward++)
                check_problem(s, &(struct problem){&w, backward, rows[j]}, 1 + (int)(j % 3));
        }
        matrix_free(&w);
    }
}

/* A batch above the row chunk, and a weight of the size of real ones. */
static void check_large(const struct gemm_subject *s)
{
    struct matrix narrow = matrix_new(40, 48, s->precision, 21);
    struct matrix wide = matrix_new(1031, 4096, s->precision, 22);
    for (int backward = 0; backward < 2; backward++) {
        check_problem(s, &(struct problem){&narrow, backward, 1100}, 2);
        check_problem(s, &(struct problem){&wide, backward, 9}, 2);
    }
    matrix_free(&narrow);
    matrix_free(&wide);
}

enum { ALL_ROWS = 130 };

/* The row rule: rows first … first + m of a batch alone give the bits they have in the batch of
 * 130, whatever m, the place in the batch and the number of threads. `every` m, or only those
 * around multiples of the kernels' rows. */
static void check_row_rule(const struct gemm_subject *s, int n, int k, bool backward, bool every)
{
    struct matrix w = matrix_new(n, k, s->precision, 31);
    struct problem all = {&w, backward, ALL_ROWS};
    int reduced = reduced_of(&all), columns = columns_of(&all);
    float *x = malloc(sizeof(float) * ALL_ROWS * reduced);
    float *want = malloc(sizeof(float) * ALL_ROWS * columns);
    float *got = malloc(sizeof(float) * ALL_ROWS * columns);
    fill_random(x, (size_t)ALL_ROWS * reduced, 32);
    struct gemm *one = open_subject(s, 1, ALL_ROWS, reduced);
    struct gemm *two = open_subject(s, 2, ALL_ROWS, reduced);
    multiply(one, want, columns, &all, x, reduced, 1, NULL);
    for (int m = 1; m <= ALL_ROWS; m++) {
        struct problem some = {&w, backward, m};
        if (!every && m % 16 > 1 && m % 6 > 1 && m > 9)
            continue;
        int first = (m * 37) % (ALL_ROWS - m + 1);
        const float *from = x + (size_t)first * reduced;
        struct gemm *openings[] = {one, two};
        for (int i = 0; i < 2; i++) {
            memset(got, 0x55, sizeof(float) * ALL_ROWS * columns);
            multiply(openings[i], got, columns, &some, from, reduced, 1, NULL);
            if (memcmp(got, want + (size_t)first * columns, sizeof(float) * m * columns) != 0)
                fail_msg("%s: N %d K %d %s: rows %d+%d differ with %d threads", s->isa, n, k,
                         backward ? "backward" : "forward", first, m, i + 1);
        }
    }
    gemm_close(one);
    gemm_close(two);
    free(x);
    free(want);
    free(got);
    matrix_free(&w);
}

/* Infinity and NaN stay in their row, and no padding turns them (or a finite row) into NaN. */
static void check_not_finite(const struct gemm_subject *s, bool backward)
{
    enum { M = 23, N = 19, K = 37 };
    struct matrix w = matrix_new(N, K, s->precision, 41);
    struct problem p = {&w, backward, M};
    int reduced = reduced_of(&p), columns = columns_of(&p);
    float x[M * K], clean[M * K], y[M * K];
    fill_random(x, (size_t)M * reduced, 42);
    struct gemm *g = open_subject(s, 2, M, reduced);
    multiply(g, clean, columns, &p, x, reduced, 1, NULL);
    for (int i = 0; i < reduced; i++)
        x[4 * reduced + i] = i ? 0.0f : INFINITY;
    x[20 * reduced + reduced - 1] = NAN;
    multiply(g, y, columns, &p, x, reduced, 1, NULL);
    for (int i = 0; i < M * columns; i++) {
        int row = i / columns;
        if (row == 4)
            assert_true(isinf(y[i]));
        else if (row == 20)
            assert_true(isnan(y[i]));
        else
            assert_memory_equal(&y[i], &clean[i], sizeof y[i]);
    }
    gemm_close(g);
    matrix_free(&w);
}

/* Through an identity matrix a row comes out as it was rounded: nearest, ties to even. */
static void check_rounding(const struct gemm_subject *s)
{
    enum { K = 32 };
    struct matrix w = matrix_new(K, K, s->precision, 51);
    for (int i = 0; i < K * K; i++)
        w.host[i] = i % (K + 1) == 0;
    packed_fill(&w.packed, w.host, WEIGHT_F32);
    float x[K], y[K];
    fill_random(x, K, 52);
    static const float ties[] = {0x1.01p0f,   0x1.03p0f,    0x1.010002p0f, 0x1.00fffep0f,
                                 -0x1.01p0f,  -0x1.03p0f,   0x1.ffp5f,     0x1.fefffep5f,
                                 0x1.fep127f, 0x1.01p-100f, 0.0f,          65504.0f};
    memcpy(x, ties, sizeof ties);
    struct gemm *g = open_subject(s, 1, 1, K);
    gemm_input(g, x, K, 1, K);
    gemm_forward(g, y, K, &(struct gemm_sum){.w = &w.packed, .alpha = 1});
    for (int i = 0; i < K; i++)
        assert_true(y[i] == rounded(x[i], s->precision));
    gemm_close(g);
    matrix_free(&w);
}

/* A product with everything it may have added to it, and what that is made of. */
struct sum_case {
    int m, n, k, rank;
    bool backward;
    int threads;
};

struct sum_parts {
    struct matrix w, a, b;
    int reduced, columns;
    float *x, *bias, *base;   /* base and y have ldy columns */
    float *plain, *u, *outer; /* products one by one: X·Wᵀ, U, U·Bᵀ */
};

enum { SUM_GAP = 3 };
static const float sum_alpha = 0.37f, sum_scale = 1.7f;

static float *random_floats(size_t n, uint32_t seed)
{
    float *p = malloc(n * sizeof *p);
    fill_random(p, n, seed);
    return p;
}

static struct sum_parts sum_parts_new(const struct gemm_subject *s, const struct sum_case *c)
{
    struct sum_parts p = {.w = matrix_new(c->n, c->k, s->precision, 71),
                          .a = matrix_new(c->rank, c->k, s->precision, 72),
                          .b = matrix_new(c->n, c->rank, s->precision, 73),
                          .reduced = c->backward ? c->n : c->k,
                          .columns = c->backward ? c->k : c->n};
    size_t rows = (size_t)c->m;
    p.x = random_floats(rows * p.reduced, 74);
    p.bias = random_floats((size_t)p.columns, 75);
    p.base = random_floats(rows * (p.columns + SUM_GAP), 76);
    p.plain = malloc(rows * p.columns * sizeof *p.plain);
    p.u = malloc(rows * c->rank * sizeof *p.u);
    p.outer = malloc(rows * p.columns * sizeof *p.outer);
    return p;
}

static void sum_parts_free(struct sum_parts *p)
{
    float *all[] = {p->x, p->bias, p->base, p->plain, p->u, p->outer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    matrix_free(&p->w);
    matrix_free(&p->a);
    matrix_free(&p->b);
}

static void one_by_one(struct gemm *g, struct sum_parts *p, const struct sum_case *c)
{
    struct gemm_sum plain = {.w = &p->w.packed, .alpha = 1};
    struct gemm_sum inner = {.w = c->backward ? &p->b.packed : &p->a.packed, .alpha = 1};
    struct gemm_sum outer = {.w = c->backward ? &p->a.packed : &p->b.packed, .alpha = 1};
    gemm_input(g, p->x, p->reduced, c->m, p->reduced);
    multiply_sum(g, p->plain, p->columns, c->backward, &plain);
    multiply_sum(g, p->u, c->rank, c->backward, &inner);
    gemm_input(g, p->u, c->rank, c->m, c->rank);
    multiply_sum(g, p->outer, p->columns, c->backward, &outer);
}

/* The input with its inner product, which has the bits it has by itself. */
static void input_of_sum(struct gemm *g, const struct sum_parts *p, const struct sum_case *c)
{
    if (c->backward) {
        gemm_input(g, p->x, p->reduced, c->m, p->reduced);
        gemm_inner(g, p->u, c->rank);
        return;
    }
    size_t n = (size_t)c->m * c->rank;
    float *u = malloc(n * sizeof *u);
    gemm_input_inner(g, p->x, p->reduced, c->m, p->reduced, &(struct gemm_inner){&p->a.packed, u},
                     1);
    assert_memory_equal(u, p->u, n * sizeof *u);
    free(u);
}

static float expected_sum(const struct sum_parts *p, const struct sum_case *c, int row, int column)
{
    size_t i = (size_t)row * p->columns + column;
    volatile float want = p->plain[i], scaled = sum_scale * p->outer[i];
    if (!c->backward)
        want = want + p->bias[column];
    want = want + scaled;
    want = sum_alpha * want;
    return p->base[(size_t)row * (p->columns + SUM_GAP) + column] + want;
}

/* base + alpha·(X·Wᵀ + bias + scale·U·Bᵀ) in one product has the bits of products one by one; the
 * base may be the result; nothing between rows is touched. */
static void check_sum(const struct gemm_subject *s, struct sum_case c)
{
    struct sum_parts p = sum_parts_new(s, &c);
    int ldy = p.columns + SUM_GAP, dim = c.n > c.k ? c.n : c.k;
    size_t count = (size_t)c.m * ldy;
    struct gemm *g = open_subject(s, c.threads, c.m, dim > c.rank ? dim : c.rank);
    one_by_one(g, &p, &c);
    input_of_sum(g, &p, &c);
    struct gemm_sum sum = {.w = &p.w.packed,
                           .alpha = sum_alpha,
                           .bias = c.backward ? NULL : p.bias,
                           .branch = c.backward ? &p.a.packed : &p.b.packed,
                           .scale = sum_scale,
                           .base = p.base};
    float *y = random_floats(count, 77), *before = random_floats(count, 77);
    multiply_sum(g, y, ldy, c.backward, &sum);
    for (int r = 0; r < c.m; r++) {
        for (int i = 0; i < ldy; i++) {
            size_t at = (size_t)r * ldy + i;
            float want = i < p.columns ? expected_sum(&p, &c, r, i) : before[at];
            if (y[at] != want)
                fail_msg("%s: M %d N %d K %d rank %d %s: (%d, %d) is %.9g, expected %.9g", s->isa,
                         c.m, c.n, c.k, c.rank, c.backward ? "backward" : "forward", r, i,
                         (double)y[at], (double)want);
        }
    }
    multiply_sum(g, p.base, ldy, c.backward, &sum);
    for (int r = 0; r < c.m; r++)
        assert_memory_equal(p.base + (size_t)r * ldy, y + (size_t)r * ldy, p.columns * sizeof *y);
    gemm_close(g);
    sum_parts_free(&p);
    free(y);
    free(before);
}

static void check_sums(const struct gemm_subject *s)
{
    static const int rows[] = {1, 3, 16, 37}, ranks[] = {1, 7, 16, 33, 64};
    for (int backward = 0; backward < 2; backward++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t j = 0; j < sizeof ranks / sizeof *ranks; j++)
                check_sum(s, (struct sum_case){rows[i], 113, 70, ranks[j], backward, 2});
        /* more than a chunk of rows; several k blocks and groups; whole groups in one piece, the
         * thread's room filled to its end */
        check_sum(s, (struct sum_case){600, 40, 48, 16, backward, 2});
        check_sum(s, (struct sum_case){16, 500, 1100, 16, backward, 2});
        check_sum(s, (struct sum_case){5, 1100, 200, MAX_RANK, backward, 2});
        check_sum(s, (struct sum_case){1, 300, 260, MAX_RANK, backward, 1});
    }
}

/* --- several products of one input --- */

struct several {
    int m, k, n[GEMM_MOST], rank[GEMM_MOST]; /* rank 0: no branch */
    int threads;
};

/* Weights, branches and biases of one of them, its result with the others and alone. */
struct one_of_several {
    struct matrix w, a, b;
    float *bias, *y, *alone, *u, *u_alone;
    int ldy;
};

static struct one_of_several one_of_several(const struct gemm_subject *s, const struct several *c,
                                            int i)
{
    uint32_t seed = 81 + 10 * (uint32_t)i;
    int rank = c->rank[i] ? c->rank[i] : 1;
    struct one_of_several o = {.w = matrix_new(c->n[i], c->k, s->precision, seed),
                               .a = matrix_new(rank, c->k, s->precision, seed + 1),
                               .b = matrix_new(c->n[i], rank, s->precision, seed + 2),
                               .bias = random_floats((size_t)c->n[i], seed + 3),
                               .ldy = c->n[i] + SUM_GAP};
    o.y = random_floats((size_t)c->m * o.ldy, seed + 4);
    o.alone = random_floats((size_t)c->m * o.ldy, seed + 4);
    o.u = random_floats((size_t)c->m * rank, seed + 5);
    o.u_alone = random_floats((size_t)c->m * rank, seed + 5);
    return o;
}

static void one_of_several_free(struct one_of_several *o)
{
    float *all[] = {o->bias, o->y, o->alone, o->u, o->u_alone};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    matrix_free(&o->w);
    matrix_free(&o->a);
    matrix_free(&o->b);
}

/* Products of one input in one piece of work have the bits of one after the other; nothing between
 * rows is touched. */
static void check_several(const struct gemm_subject *s, const struct several *c)
{
    struct one_of_several all[GEMM_MOST];
    struct gemm_inner inner[GEMM_MOST];
    struct gemm_result results[GEMM_MOST];
    float *x = random_floats((size_t)c->m * c->k, 80);
    struct gemm *g = open_subject(s, c->threads, c->m, c->k);
    for (int i = 0; i < GEMM_MOST; i++) {
        struct one_of_several *o = &all[i];
        *o = one_of_several(s, c, i);
        inner[i] = (struct gemm_inner){c->rank[i] ? &o->a.packed : NULL, o->u};
        results[i] = (struct gemm_result){o->y,
                                          o->ldy,
                                          {.w = &o->w.packed,
                                           .alpha = 1,
                                           .bias = i == 1 ? o->bias : NULL,
                                           .branch = c->rank[i] ? &o->b.packed : NULL,
                                           .scale = sum_scale}};
        struct gemm_inner alone = {inner[i].a, o->u_alone};
        gemm_input_inner(g, x, c->k, c->m, c->k, &alone, 1);
        gemm_forward(g, o->alone, o->ldy, &results[i].sum);
    }
    for (int n = 2; n <= GEMM_MOST; n++) {
        gemm_input_inner(g, x, c->k, c->m, c->k, inner, n);
        gemm_forward_all(g, results, n);
        for (int i = 0; i < n; i++) {
            struct one_of_several *o = &all[i];
            size_t u = (size_t)c->m * c->rank[i];
            if (memcmp(o->u, o->u_alone, u * sizeof *o->u) != 0 ||
                memcmp(o->y, o->alone, (size_t)c->m * o->ldy * sizeof *o->y) != 0)
                fail_msg("%s: M %d K %d, product %d of %d (N %d, rank %d) is not what it is alone",
                         s->isa, c->m, c->k, i, n, c->n[i], c->rank[i]);
            memset(o->u, 0, u * sizeof *o->u);
            for (int r = 0; r < c->m; r++)
                memset(o->y + (size_t)r * o->ldy, 0, c->n[i] * sizeof *o->y);
        }
    }
    gemm_close(g);
    for (int i = 0; i < GEMM_MOST; i++)
        one_of_several_free(&all[i]);
    free(x);
}

static void check_severals(const struct gemm_subject *s)
{
    static const int rows[] = {1, 2, 3, 16, 37};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_several(s, &(struct several){rows[i], 70, {48, 17, 130}, {16, 7, 33}, 2});
        check_several(s, &(struct several){rows[i], 33, {1, 300, 16}, {0, 16, 0}, 2});
    }
    /* more than a chunk of rows; several k blocks, and pieces of several groups; one thread */
    check_several(s, &(struct several){600, 48, {40, 16, 70}, {16, 16, 16}, 2});
    check_several(s, &(struct several){16, 1100, {500, 250, 250}, {16, 16, 16}, 2});
    check_several(s, &(struct several){5, 200, {700, 31, 400}, {MAX_RANK, 1, MAX_RANK}, 1});
}

void gemm_check_all(const struct gemm_subject *s)
{
    check_sums(s);
    check_severals(s);
    check_rounding(s);
    check_sizes(s);
    check_large(s);
    for (int backward = 0; backward < 2; backward++) {
        check_not_finite(s, backward);
        check_row_rule(s, 113, 70, backward, true);
        check_row_rule(s, 17, 33, backward, true);
        check_row_rule(s, 40, 1030, backward, false); /* several k blocks forward */
        check_row_rule(s, 1030, 40, backward, false); /* and backward */
    }
}

void gemm_check_same_bits(const struct gemm_subject *a, const struct gemm_subject *b)
{
    enum { M = 21, N = 1050, K = 77 };
    for (int backward = 0; backward < 2; backward++) {
        struct matrix w = matrix_new(N, K, a->precision, 61);
        struct problem p = {&w, backward, M};
        int reduced = reduced_of(&p), columns = columns_of(&p);
        float *x = malloc(sizeof(float) * M * reduced), *y[2];
        fill_random(x, (size_t)M * reduced, 62);
        for (int i = 0; i < 2; i++) {
            struct gemm *g = open_subject(i ? b : a, 2, M, reduced);
            y[i] = malloc(sizeof(float) * M * columns);
            multiply(g, y[i], columns, &p, x, reduced, 1, NULL);
            gemm_close(g);
        }
        assert_memory_equal(y[0], y[1], sizeof(float) * M * columns);
        free(x);
        free(y[0]);
        free(y[1]);
        matrix_free(&w);
    }
}
