/* rig.c: see rig.h. */
#include "rig.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/cpu/cpu.h"

enum {
    GUARD = 16,
    MAX_ROWS = 160,
    MAX_DIM = 600,
    MAX_RANK = 64,
    MAX_HEAD_DIM = 130,
    MAX_VOCAB = 2600,
    MAX_CONTEXT = 300
};
static const float guard_value = -77.25f;

static void prepare(struct rig *g)
{
    struct err err = {0};
    g->ops = g->d->ops;
    g->bf16 = g->d->precision == PRECISION_BF16;
    g->label = "";
    struct scratch_need need = {.rows = MAX_ROWS,
                                .dim = MAX_DIM,
                                .rank = MAX_RANK,
                                .head_dim = MAX_HEAD_DIM,
                                .vocab = MAX_VOCAB,
                                .context = MAX_CONTEXT};
    if (g->ops->reserve(g->d, &need, &err))
        fail_msg("%s: %s", err.where, err.message);
}

void rig_open(struct rig *g, const char *isa, enum precision precision, int threads)
{
    memset(g, 0, sizeof *g);
    struct err err = {0};
    struct device_options options = {
        .device = "cpu", .isa = isa, .precision = precision, .threads = threads};
    if (device_open(&g->d, &options, &err))
        fail_msg("%s: %s", err.where, err.message);
    prepare(g);
}

void rig_open_kernel(struct rig *g, const struct gemm_kernel *kernel, int threads)
{
    memset(g, 0, sizeof *g);
    struct err err = {0};
    struct device_options options = {.precision = kernel->precision, .threads = threads};
    if (cpu_open_kernel(&g->d, &options, kernel, &err))
        fail_msg("%s: %s", err.where, err.message);
    g->emulated = true;
    prepare(g);
}

struct rig_mark rig_mark(const struct rig *g)
{
    return (struct rig_mark){g->n_device, g->n_host, g->n_weights};
}

void rig_release(struct rig *g, struct rig_mark mark)
{
    while (g->n_device > mark.n_device)
        g->ops->free(g->d, g->device[--g->n_device].p);
    while (g->n_host > mark.n_host)
        free(g->host[--g->n_host]);
    while (g->n_weights > mark.n_weights)
        g->ops->weight_free(g->d, g->weights[--g->n_weights]);
}

void rig_clear(struct rig *g)
{
    rig_release(g, (struct rig_mark){0, 0, 0});
}

void rig_close(struct rig *g)
{
    rig_clear(g);
    device_close(g->d);
}

static double allowed(enum tolerance_of i, int precision)
{
    return precision == PRECISION_BF16 ? tolerances[i].bf16 : tolerances[i].f32;
}

static void print_worst(double worst[2][TOL_COUNT])
{
    for (int i = 0; i < TOL_COUNT; i++) {
        double *bf16 = &worst[PRECISION_BF16][i], *f32 = &worst[PRECISION_F32][i];
        if (*bf16 > 0 || *f32 > 0)
            print_message("%s: error f32 %.2g (allowed %.2g), bf16 %.2g (%.2g)\n",
                          tolerances[i].name, *f32, allowed(i, PRECISION_F32), *bf16,
                          allowed(i, PRECISION_BF16));
    }
}

static void run_check(struct rig *g, void (*check)(struct rig *g), double worst[2][TOL_COUNT])
{
    check(g);
    for (int i = 0; i < TOL_COUNT; i++)
        worst[g->d->precision][i] = fmax(worst[g->d->precision][i], g->worst[i]);
    rig_close(g);
}

static struct rig each_rig;

void rig_each(void (*check)(struct rig *g), int threads)
{
    double worst[2][TOL_COUNT] = {{0}};
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        for (int p = PRECISION_BF16; p <= PRECISION_F32; p++) {
            rig_open(&each_rig, *isa, p, threads);
            run_check(&each_rig, check, worst);
        }
    }
    print_worst(worst);
}

void rig_each_kernel(const struct gemm_kernel *const *kernels, void (*check)(struct rig *g),
                     int threads)
{
    double worst[2][TOL_COUNT] = {{0}};
    for (; *kernels; kernels++) {
        rig_open_kernel(&each_rig, *kernels, threads);
        run_check(&each_rig, check, worst);
    }
    print_worst(worst);
}

/* What the run on two threads gave, in the order of the calls. */
static struct record {
    void *data;
    size_t bytes;
} records[4096];
static int n_records, next_record;
static bool recording;

/* kernels NULL: the machine's. */
static void each_threads(const struct gemm_kernel *const *kernels, void (*check)(struct rig *g))
{
    n_records = next_record = 0;
    for (int threads = 2; threads; threads--) {
        recording = threads == 2;
        if (kernels)
            rig_each_kernel(kernels, check, threads);
        else
            rig_each(check, threads);
    }
    assert_int_equal(next_record, n_records);
    for (int i = 0; i < n_records; i++)
        free(records[i].data);
}

void rig_each_threads(void (*check)(struct rig *g))
{
    each_threads(NULL, check);
}

void rig_each_kernel_threads(const struct gemm_kernel *const *kernels, void (*check)(struct rig *g))
{
    each_threads(kernels, check);
}

void rig_same_on_threads(struct rig *g, const char *what, const void *data, size_t bytes)
{
    if (recording) {
        assert_true(n_records < (int)(sizeof records / sizeof *records));
        struct record *r = &records[n_records++];
        *r = (struct record){malloc(bytes), bytes};
        assert_non_null(r->data);
        memcpy(r->data, data, bytes);
        return;
    }
    assert_true(next_record < n_records);
    const struct record *r = &records[next_record++];
    assert_int_equal(r->bytes, bytes);
    char label[160];
    snprintf(label, sizeof label, "%s on 1 and on 2 threads", what);
    rig_same(g, label, data, r->data, bytes);
}

/* --- host arrays --- */

void *rig_host(struct rig *g, size_t bytes)
{
    assert_true(g->n_host < RIG_MAX_BUFFERS);
    void *p = malloc(bytes ? bytes : 1);
    assert_non_null(p);
    return g->host[g->n_host++] = p;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Sum of three uniforms: variance 1 like the normal, never beyond 3. */
float *rig_random(struct rig *g, size_t n, uint32_t seed, float scale)
{
    float *x = rig_host(g, n * sizeof *x);
    uint32_t state = seed * 2654435761u + 12345u;
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int k = 0; k < 3; k++)
            sum += (float)next_random(&state) * 0x1p-23f - 1.0f;
        x[i] = sum * scale;
    }
    return x;
}

double *rig_wide(struct rig *g, const float *x, size_t n)
{
    double *y = rig_host(g, n * sizeof *y);
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
    return y;
}

double *rig_wide_input(struct rig *g, const float *x, size_t n)
{
    double *y = rig_wide(g, x, n);
    for (size_t i = 0; g->bf16 && i < n; i++)
        y[i] = ref_f64_round_bf16(y[i]);
    return y;
}

double *rig_zeros(struct rig *g, size_t n)
{
    double *x = rig_host(g, n * sizeof *x);
    memset(x, 0, n * sizeof *x);
    return x;
}

float *rig_round(struct rig *g, float *x, size_t n)
{
    for (size_t i = 0; g->bf16 && i < n; i++)
        x[i] = ref_f32_round_bf16(x[i]);
    return x;
}

int *rig_ids(struct rig *g, size_t n, int below, uint32_t seed)
{
    int *ids = rig_host(g, n * sizeof *ids);
    uint32_t state = seed;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int)(next_random(&state) % (uint32_t)below);
    return ids;
}

/* --- device --- */

static float *device_buffer(struct rig *g, const float *host, size_t n)
{
    struct err err = {0};
    assert_true(g->n_device < RIG_MAX_BUFFERS);
    float *p = g->ops->alloc(g->d, (n + GUARD) * sizeof *p, &err);
    assert_non_null(p);
    assert_true(((uintptr_t)p & 63) == 0);
    float guard[GUARD];
    for (int i = 0; i < GUARD; i++)
        guard[i] = guard_value;
    g->ops->upload(g->d, p, host, n * sizeof *p);
    g->ops->upload(g->d, p + n, guard, sizeof guard);
    g->device[g->n_device++] = (struct rig_buffer){p, n};
    return p;
}

float *rig_room(struct rig *g, size_t n)
{
    float *nan = rig_host(g, n * sizeof *nan);
    for (size_t i = 0; i < n; i++)
        nan[i] = NAN;
    return device_buffer(g, nan, n);
}

float *rig_put(struct rig *g, const float *host, size_t n)
{
    return device_buffer(g, host, n);
}

float *rig_get(struct rig *g, const float *device, size_t n)
{
    float *host = rig_host(g, n * sizeof *host), guard[GUARD];
    g->ops->download(g->d, host, device, n * sizeof *host);
    g->ops->download(g->d, guard, device + n, sizeof guard);
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != guard_value)
            fail_msg("%s %s: written beyond the end", g->d->isa, g->label);
    return host;
}

weight *rig_weight(struct rig *g, const float *host, int n, int k)
{
    struct err err = {0};
    assert_true(g->n_weights < RIG_MAX_BUFFERS);
    weight *w = g->ops->weight_prepare(g->d, host, WEIGHT_F32, n, k, &err);
    assert_non_null(w);
    return g->weights[g->n_weights++] = w;
}

static size_t kv_floats(struct attn_dims dims)
{
    return (size_t)dims.cache_rows * (size_t)dims.kv_heads * (size_t)dims.head_dim;
}

static int *all_rows(struct rig *g, struct attn_dims dims)
{
    int *rows = rig_host(g, (size_t)dims.cache_rows * sizeof *rows);
    for (int i = 0; i < dims.cache_rows; i++)
        rows[i] = i;
    return rows;
}

/* A cache is written together with one of the other kind, which nobody looks at. */
static void *make_cache(struct rig *g, const float *host, struct attn_dims dims, bool keys)
{
    size_t bytes = g->ops->kv_bytes(g->d, dims);
    float *cache = rig_room(g, bytes / sizeof(float)), *other = rig_room(g, bytes / sizeof(float));
    float *rows = rig_put(g, host, kv_floats(dims));
    g->ops->kv_write(g->d, keys ? cache : other, keys ? other : cache, rows, rows,
                     all_rows(g, dims), dims, dims.cache_rows);
    return cache;
}

static float *get_cache(struct rig *g, void *cache, struct attn_dims dims, bool keys)
{
    float *k = rig_room(g, kv_floats(dims)), *v = rig_room(g, kv_floats(dims));
    g->ops->kv_read(g->d, k, v, cache, cache, all_rows(g, dims), dims, dims.cache_rows);
    (void)rig_get(g, cache, g->ops->kv_bytes(g->d, dims) / sizeof(float)); /* its guard */
    return rig_get(g, keys ? k : v, kv_floats(dims));
}

void *rig_keys(struct rig *g, const float *host, struct attn_dims dims)
{
    return make_cache(g, host, dims, true);
}

void *rig_values(struct rig *g, const float *host, struct attn_dims dims)
{
    return make_cache(g, host, dims, false);
}

float *rig_get_keys(struct rig *g, void *cache, struct attn_dims dims)
{
    return get_cache(g, cache, dims, true);
}

float *rig_get_values(struct rig *g, void *cache, struct attn_dims dims)
{
    return get_cache(g, cache, dims, false);
}

/* --- comparison --- */

void rig_expect(struct rig *g, enum tolerance_of tolerance, const char *what, const float *got,
                const double *want, size_t n)
{
    rig_expect_near(g, tolerance, what, got, want, NULL, n);
}

void rig_expect_near(struct rig *g, enum tolerance_of tolerance, const char *what, const float *got,
                     const double *want, const double *slack, size_t n)
{
    double worst = 0, squares = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - want[i]);
        squares += want[i] * want[i];
        if (slack)
            e = e > slack[i] ? e - slack[i] : e <= slack[i] ? 0 : e; /* NaN stays */
        if (!isnan(worst) && !(e <= worst)) {
            worst = e;
            at = i;
        }
    }
    double rms = sqrt(squares / (double)n);
    double error = worst == 0 ? 0 : worst / rms;
    double limit = allowed(tolerance, g->d->precision);
    if (!(error <= limit))
        fail_msg("%s %s, %s, %s: element %zu of %zu is %.9g, expected %.9g; error %.3g, allowed "
                 "%.3g",
                 g->d->isa, g->bf16 ? "bf16" : "f32", g->label, what, at, n, (double)got[at],
                 want[at], error, limit);
    if (error > g->worst[tolerance])
        g->worst[tolerance] = error;
}

void rig_same(struct rig *g, const char *what, const void *got, const void *want, size_t bytes)
{
    if (memcmp(got, want, bytes) == 0)
        return;
    const uint32_t *a = got, *b = want;
    size_t i = 0;
    while (i + 1 < bytes / sizeof *a && a[i] == b[i])
        i++;
    float x, y;
    memcpy(&x, &a[i], sizeof x);
    memcpy(&y, &b[i], sizeof y);
    fail_msg("%s %s, %s, %s: element %zu differs: %.9g and %.9g (bits %08x and %08x)", g->d->isa,
             g->bf16 ? "bf16" : "f32", g->label, what, i, (double)x, (double)y, a[i], b[i]);
}
