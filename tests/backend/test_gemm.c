/* test_gemm.c: the choice of kernels, and every microkernel this machine can run; which
 * could not be run is printed (test_gemm_emulated.c runs those without the hardware). */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/mem.h"
#include "gemm_checks.h"

static void check_isa(const char *isa)
{
    if (!device_isa_available(isa)) {
        print_message("gemm: %s is not available on this machine\n", isa);
        skip();
    }
    gemm_check_all(&(struct gemm_subject){isa, NULL, PRECISION_BF16});
    gemm_check_all(&(struct gemm_subject){isa, NULL, PRECISION_F32});
    print_message("gemm: %s ran in bf16 and f32\n", isa);
}

static void test_c(void **state)
{
    (void)state;
    check_isa("c");
}

static void test_avx2(void **state)
{
    (void)state;
    check_isa("avx2");
}

static void test_avx512(void **state)
{
    (void)state;
    check_isa("avx512");
    for (int p = PRECISION_BF16; p <= PRECISION_F32; p++)
        gemm_check_same_bits(&(struct gemm_subject){"avx2", NULL, p},
                             &(struct gemm_subject){"avx512", NULL, p});
}

static void test_avx512bf16(void **state)
{
    (void)state;
    check_isa("avx512bf16");
}

static void test_amx(void **state)
{
    (void)state;
    check_isa("amx");
}

/* The names, "auto", and the message for a set that is not there. */
static void test_choice(void **state)
{
    (void)state;
    struct gemm *g;
    struct err err = {0};
    assert_int_equal(gemm_open(&g, "auto", PRECISION_BF16, 1, &err), 0);
    const char *const *names = device_isa_names();
    size_t best = 0;
    while (!device_isa_available(names[best]))
        best++;
    assert_string_equal(gemm_isa(g), names[best]);
    gemm_close(g);
    assert_int_equal(gemm_open(&g, "sse9", PRECISION_BF16, 1, &err), ERR_USAGE);
    assert_null(g);
    assert_non_null(strstr(err.message, "\"sse9\""));
    assert_non_null(strstr(err.message, "c")); /* always there */
    assert_false(device_isa_available("sse9"));
}

/* The n-th allocation fails: an error, and nothing leaks. */
static void test_no_memory(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    for (int n = 0; n < 3; n++) {
        struct gemm *g = NULL;
        struct err err = {0};
        mem_fail_after(n);
        int status = gemm_open(&g, "c", PRECISION_F32, 2, &err);
        if (status == 0)
            status = gemm_reserve(g, 10, 100, 0, &err);
        mem_fail_after(-1);
        assert_int_equal(status, ERR_MACHINE);
        gemm_close(g);
    }
    assert_int_equal(mem_stats().live_blocks, live);
}

/* The vocabulary's matrix, best kernel: 49,152 × 1,024, both directions at sampled places, and
 * sizes beyond 2³¹ elements in the arithmetic. */
static void test_vocabulary(void **state)
{
    (void)state;
    enum { N = 49152, K = 1024, M = 2 };
    assert_true(packed_bytes(PRECISION_F32, 300000, 8192) == (size_t)300000 * 8192 * 4);
    uint16_t *host = malloc(sizeof *host * N * K);
    float *x = malloc(sizeof *x * M * N), *y = malloc(sizeof *y * M * N);
    for (size_t i = 0; i < (size_t)N * K; i++) /* ±1 to ±1.98, by a multiplicative hash */
        host[i] = (uint16_t)(0x3f80u + ((uint32_t)i * 2654435761u >> 25) +
                             (((uint32_t)i * 40503u >> 15 & 1) << 15));
    for (int i = 0; i < M * N; i++)
        x[i] = (float)(i % 255 - 127) / 128;
    struct packed w;
    void *data = mem_alloc_aligned(packed_bytes(PRECISION_BF16, N, K));
    packed_init(&w, PRECISION_BF16, N, K, data);
    packed_fill(&w, host, WEIGHT_BF16);
    struct gemm *g;
    struct err err = {0};
    assert_int_equal(gemm_open(&g, "auto", PRECISION_BF16, 2, &err), 0);
    assert_int_equal(gemm_reserve(g, M, N, 0, &err), 0);
    for (int backward = 0; backward < 2; backward++) {
        int reduced = backward ? N : K, columns = backward ? K : N;
        gemm_input(g, x, reduced, M, reduced);
        struct gemm_sum sum = {.w = &w, .alpha = 1};
        (backward ? gemm_backward : gemm_forward)(g, y, columns, &sum);
        for (int c = 0; c < columns; c += columns / 16 - 1) {
            double want = 0, magnitude = 0;
            for (int i = 0; i < reduced; i++) {
                uint32_t bits = (uint32_t)host[backward ? (size_t)i * K + c : (size_t)c * K + i]
                                << 16;
                float value;
                memcpy(&value, &bits, sizeof value);
                want += (double)value * x[reduced + i];
                magnitude += fabs((double)value * x[reduced + i]);
            }
            assert_true(fabs(y[columns + c] - want) <= 2e-6 * magnitude);
        }
    }
    gemm_close(g);
    mem_free_aligned(data);
    free(host);
    free(x);
    free(y);
}

/* An inner product belongs to the input it was given with: a branch that would take an older
 * input's is a bug, and found. */
static void test_inner_of_another_input(void **state)
{
    (void)state;
    enum { M = 3, N = 32, K = 32, RANK = 16 };
    float host[N * K] = {0}, x[M * K] = {0}, u[M * RANK], y[M * N];
    struct packed w, a, b, *all[] = {&w, &a, &b};
    const int sizes[][2] = {{N, K}, {RANK, K}, {N, RANK}};
    struct gemm *g;
    struct err err = {0};
    assert_int_equal(gemm_open(&g, "auto", PRECISION_BF16, 1, &err), 0);
    assert_int_equal(gemm_reserve(g, M, K, RANK, &err), 0);
    for (int i = 0; i < 3; i++) {
        int n = sizes[i][0], k = sizes[i][1];
        packed_init(all[i], PRECISION_BF16, n, k,
                    mem_alloc_aligned(packed_bytes(PRECISION_BF16, n, k)));
        packed_fill(all[i], host, WEIGHT_F32);
    }
    struct gemm_sum sum = {.w = &w, .alpha = 1, .branch = &b, .scale = 1};
    gemm_input_inner(g, x, K, M, K, &(struct gemm_inner){&a, u}, 1);
    gemm_forward(g, y, N, &sum);
    gemm_input(g, x, K, M, K);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        gemm_forward(g, y, N, &sum);
        _exit(0);
    }
    int status = 0;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    for (int i = 0; i < 3; i++)
        mem_free_aligned(all[i]->data);
    gemm_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_c),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_avx512bf16),
        cmocka_unit_test(test_amx),
        cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_inner_of_another_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
