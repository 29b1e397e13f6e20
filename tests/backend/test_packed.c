/* test_packed.c: the packed layout against a plain filling, element by element: every precision and
 * type of the file, shapes that are no multiples of anything, arrays at any address, pieces by
 * threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "../support/rig.h"
#include "backend/cpu/packed.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "formats/dtype.h"

/* f16 by its definition, in double; clang 14 has no _Float16 on x86. */
static double f16_value(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double magnitude = exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                       : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                      : ldexp(mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

/* Of a value that f16 holds exactly. */
static uint16_t f16_exact(float value)
{
    int exponent = 0;
    double fraction = frexp(fabs((double)value), &exponent); /* [0.5, 1) */
    uint32_t bits =
        value == 0 ? 0
                   : (uint32_t)(exponent + 14) << 10 | ((uint32_t)(int)ldexp(fraction, 11) & 1023u);
    return (uint16_t)(bits | (signbit(value) ? 0x8000u : 0));
}

/* All dtypes come back through packed_row; bf16 bits survive; padding is zero. */
static void test_packing(void **state)
{
    (void)state;
    enum { N = 19, K = 35 };
    uint16_t bf16[N * K], f16[N * K];
    float f32[N * K], row[K];
    for (int i = 0; i < N * K; i++) {
        f32[i] = (float)(i - 300) / 8; /* exact in f16; rounded in bf16 beyond 8 bits */
        uint32_t bits;
        memcpy(&bits, &f32[i], sizeof bits);
        bf16[i] = (uint16_t)(bits >> 16);
        f16[i] = f16_exact(f32[i]);
    }
    for (int p = PRECISION_BF16; p <= PRECISION_F32; p++) {
        size_t bytes = packed_bytes(p, N, K);
        uint8_t *data = mem_alloc_aligned(bytes);
        struct packed w;
        packed_init(&w, p, N, K, data);
        packed_fill(&w, f32, WEIGHT_F32);
        float sum = 0; /* every value once, the padding nothing */
        for (int r = 0; r < N; r++) {
            packed_row(row, &w, r);
            for (int k = 0; k < K; k++) {
                sum += fabsf(row[k]);
                assert_true(fabsf(row[k] - f32[r * K + k]) <=
                            (p == PRECISION_F32 ? 0 : fabsf(f32[r * K + k]) / 256));
            }
        }
        float stored = 0;
        for (size_t i = 0; i < bytes / (p == PRECISION_F32 ? 4 : 2); i++) {
            uint32_t bits = p == PRECISION_F32 ? ((uint32_t *)(void *)data)[i]
                                               : (uint32_t)((uint16_t *)(void *)data)[i] << 16;
            float value;
            memcpy(&value, &bits, sizeof value);
            stored += fabsf(value);
        }
        assert_true(fabsf(stored - sum) <= 1e-5f * sum);
        uint8_t *copy = malloc(bytes);
        memcpy(copy, data, bytes);
        packed_fill(&w, f16, WEIGHT_F16);
        assert_memory_equal(copy, data, bytes);
        /* From a file's mapping: at any address (the sanitizers watch). */
        static char mapped[sizeof f32 + 1];
        memcpy(mapped + 1, f16, sizeof f16);
        packed_fill(&w, mapped + 1, WEIGHT_F16);
        assert_memory_equal(copy, data, bytes);
        memcpy(mapped + 1, f32, sizeof f32);
        packed_fill(&w, mapped + 1, WEIGHT_F32);
        assert_memory_equal(copy, data, bytes);
        packed_fill(&w, bf16, WEIGHT_BF16);
        for (int r = 0; r < N; r++) {
            packed_row(row, &w, r);
            for (int k = 0; k < K; k++) {
                uint32_t bits;
                memcpy(&bits, &row[k], sizeof bits);
                assert_int_equal(bits, (uint32_t)bf16[r * K + k] << 16);
            }
        }
        free(copy);
        mem_free_aligned(data);
    }
}

/* Every f16 there is, against its definition; NaN stays NaN and infinity infinity. */
static void test_f16(void **state)
{
    (void)state;
    enum { N = 256, K = 256 };
    uint16_t *f16 = malloc(2 * N * K);
    for (int i = 0; i < N * K; i++)
        f16[i] = (uint16_t)i;
    struct packed w;
    void *data = mem_alloc_aligned(packed_bytes(PRECISION_F32, N, K));
    packed_init(&w, PRECISION_F32, N, K, data);
    packed_fill(&w, f16, WEIGHT_F16);
    float row[K];
    for (int i = 0; i < N * K; i++) {
        if (i % K == 0)
            packed_row(row, &w, i / K);
        float want = (float)f16_value(f16[i]);
        assert_true(isnan(want) ? isnan(row[i % K]) : memcmp(&want, &row[i % K], 4) == 0);
    }
    mem_free_aligned(data);
    free(f16);
}

/* NaN in an f32 weight must not be rounded into infinity or zero. */
static void test_nan_weight(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0x7f800001u, 0x7fffffffu, 0xffffffffu, 0x7f800000u};
    float host[4], row[4];
    memcpy(host, bits, sizeof host);
    struct packed w;
    void *data = mem_alloc_aligned(packed_bytes(PRECISION_BF16, 1, 4));
    packed_init(&w, PRECISION_BF16, 1, 4, data);
    packed_fill(&w, host, WEIGHT_F32);
    packed_row(row, &w, 0);
    assert_true(isnan(row[0]) && isnan(row[1]) && isnan(row[2]) && isinf(row[3]));
    mem_free_aligned(data);
}

/* --- against a plain filling --- */

static size_t host_bytes(enum weight_dtype dtype)
{
    return dtype == WEIGHT_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* The f32 at element i, as bits: formats/dtype.h is another implementation than packing's. */
static uint32_t host_bits(const char *host, enum weight_dtype dtype, size_t i)
{
    uint32_t bits;
    uint16_t half;
    float value;
    if (dtype == WEIGHT_F32) {
        memcpy(&bits, host + 4 * i, 4);
        return bits;
    }
    memcpy(&half, host + 2 * i, 2);
    value = dtype == WEIGHT_F16 ? f16_to_float(half) : bf16_to_float(half);
    memcpy(&bits, &value, 4);
    return bits;
}

static uint16_t host_bf16(const char *host, enum weight_dtype dtype, size_t i)
{
    uint16_t half;
    memcpy(&half, host + 2 * i, 2);
    if (dtype == WEIGHT_BF16)
        return half; /* NaN payloads included */
    uint32_t bits = host_bits(host, dtype, i);
    float value;
    memcpy(&value, &bits, 4);
    return bf16_from_float(value);
}

/* Panels [first, end) as packed.h says, zeros where the matrix has nothing. */
static void plain_fill(void *out, const struct packed *p, const char *host, enum weight_dtype dtype,
                       int first, int end)
{
    for (int n = first * GEMM_PANEL; n < end * GEMM_PANEL; n++) {
        for (int k = 0; k < p->k_padded; k++) {
            bool inside = n < p->n && k < p->k;
            size_t i = (size_t)n * (size_t)p->k + (size_t)k;
            size_t row = (size_t)(n / GEMM_PANEL) * (size_t)p->k_padded, column = n % GEMM_PANEL;
            if (p->precision == PRECISION_BF16)
                ((uint16_t *)out)[((row + (size_t)k) / 2 * GEMM_PANEL + column) * 2 + k % 2] =
                    inside ? host_bf16(host, dtype, i) : 0;
            else
                ((uint32_t *)out)[(row + (size_t)k) * GEMM_PANEL + column] =
                    inside ? host_bits(host, dtype, i) : 0;
        }
    }
}

/* Any bits: NaN with payloads, infinities and subnormals are among them. */
static void random_bytes(char *out, size_t size, uint64_t row)
{
    struct rng_key key = {.seed = 7, .purpose = RNG_SYNTH, .row = row};
    for (size_t i = 0; i < size; i++)
        out[i] = (char)rng_bits(&key, i);
}

/* The array ends where its block ends and starts `shift` bytes into it: sanitizers see a byte read
 * beyond it. Then once more only the panels in the middle: no other may change. */
static void check_fill(enum precision precision, enum weight_dtype dtype, int n, int k,
                       size_t shift)
{
    size_t size = (size_t)n * (size_t)k * host_bytes(dtype), bytes = packed_bytes(precision, n, k);
    char *block = malloc(shift + size), *host = block + shift;
    void *data = mem_alloc_aligned(bytes), *want = malloc(bytes);
    random_bytes(host, size, (uint64_t)n * 1000 + (uint64_t)k);
    struct packed p;
    packed_init(&p, precision, n, k, data);
    memset(data, 0xA5, bytes);
    memset(want, 0xA5, bytes);
    plain_fill(want, &p, host, dtype, 0, p.n_padded / GEMM_PANEL);
    packed_fill(&p, host, dtype);
    if (memcmp(data, want, bytes) != 0)
        fail_msg("precision %d, type %d, %d x %d at +%zu", (int)precision, (int)dtype, n, k, shift);
    int first = p.n_padded / GEMM_PANEL / 3, end = p.n_padded / GEMM_PANEL - first;
    memset(data, 0xA5, bytes);
    memset(want, 0xA5, bytes);
    plain_fill(want, &p, host, dtype, first, end);
    packed_fill_panels(&p, host, dtype, first, end);
    assert_memory_equal(data, want, bytes);
    mem_free_aligned(data);
    free(want);
    free(block);
}

static void test_against_plain(void **state)
{
    (void)state;
    static const int rows[] = {1, 2, 15, 16, 17, 31, 32, 33, 50, 80};
    static const int columns[] = {1, 2, 3, 15, 16, 17, 30, 31, 32, 33, 47, 48, 63, 64, 65, 96, 101};
    static const size_t shifts[] = {0, 1, 2, 3, 6, 13};
    for (int p = PRECISION_BF16; p <= PRECISION_F32; p++)
        for (int dtype = WEIGHT_F32; dtype <= WEIGHT_BF16; dtype++)
            for (size_t n = 0; n < ARRAY_LENGTH(rows); n++)
                for (size_t k = 0; k < ARRAY_LENGTH(columns); k++)
                    check_fill(p, (enum weight_dtype)dtype, rows[n], columns[k],
                               shifts[(n + k) % ARRAY_LENGTH(shifts)]);
}

/* Weights of several huge pages, filled by threads in pieces: each row comes back. */
static void check_threads(enum precision precision, int threads, int n, int k)
{
    struct device_options options = {.isa = "c", .precision = precision, .threads = threads};
    struct device *d;
    struct err err = {0};
    assert_int_equal(device_open(&d, &options, &err), 0);
    uint16_t *host = malloc((size_t)n * (size_t)k * sizeof *host);
    float *row = malloc((size_t)k * sizeof *row);
    for (size_t i = 0; i < (size_t)n * (size_t)k; i++)
        host[i] = (uint16_t)(0x3f80u + (((uint32_t)i * 2654435761u) >> 22)); /* bf16, finite */
    weight *w = d->ops->weight_prepare(d, host, WEIGHT_BF16, n, k, &err);
    assert_non_null(w);
    for (int r = 0; r < n; r++) {
        d->ops->embedding(d, row, &r, w, 1);
        for (int i = 0; i < k; i++)
            if (row[i] != bf16_to_float(host[(size_t)r * (size_t)k + (size_t)i]))
                fail_msg("%d threads, %d x %d: row %d, column %d", threads, n, k, r, i);
    }
    d->ops->weight_free(d, w);
    free(host);
    free(row);
    device_close(d);
}

static void test_threads(void **state)
{
    (void)state;
    static const int shapes[][2] = {{3000, 520}, {1234, 1100}, {40, 40000}, {16, 30}, {30000, 3}};
    for (size_t s = 0; s < ARRAY_LENGTH(shapes); s++)
        for (int threads = 1; threads <= 3; threads++)
            check_threads(threads % 2 ? PRECISION_BF16 : PRECISION_F32, threads, shapes[s][0],
                          shapes[s][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing),    cmocka_unit_test(test_f16),
        cmocka_unit_test(test_nan_weight), cmocka_unit_test(test_against_plain),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
