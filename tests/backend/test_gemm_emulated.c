/* test_gemm_emulated.c: the checks of test_gemm.c on the AVX2, AVX-512, AVX-512 BF16 and AMX
 * kernels, compiled a second time with emulated intrinsics (Makefile, emulate_isa.h), so that every
 * machine checks every kernel's indices, tails, order of summation and blocking. What it cannot
 * check: speed, and that the hardware does what its manual says. */
#include "../support/support.h"
#include "gemm_checks.h"

extern const struct gemm_kernel emulated_gemm_avx2_f32, emulated_gemm_avx2_bf16;
extern const struct gemm_kernel emulated_gemm_avx512_f32, emulated_gemm_avx512_bf16;
extern const struct gemm_kernel emulated_gemm_avx512bf16_bf16, emulated_gemm_amx_bf16;

static struct gemm_subject subject(const struct gemm_kernel *kernel)
{
    return (struct gemm_subject){kernel->isa, kernel, kernel->precision};
}

static void check(const struct gemm_kernel *kernel)
{
    struct gemm_subject s = subject(kernel);
    gemm_check_all(&s);
    print_message("gemm: %s ran emulated in %s\n", kernel->isa,
                  kernel->precision == PRECISION_BF16 ? "bf16" : "f32");
}

static void test_avx2(void **state)
{
    (void)state;
    check(&emulated_gemm_avx2_f32);
    check(&emulated_gemm_avx2_bf16);
}

static void test_avx512(void **state)
{
    (void)state;
    check(&emulated_gemm_avx512_f32);
    check(&emulated_gemm_avx512_bf16);
}

static void test_avx512bf16(void **state)
{
    (void)state;
    check(&emulated_gemm_avx512bf16_bf16);
}

static void test_amx(void **state)
{
    (void)state;
    check(&emulated_gemm_amx_bf16);
}

/* AVX2 and AVX-512 multiply and add in the same order: equal bits. */
static void test_same_bits(void **state)
{
    (void)state;
    struct gemm_subject a = subject(&emulated_gemm_avx2_f32);
    struct gemm_subject b = subject(&emulated_gemm_avx512_f32);
    gemm_check_same_bits(&a, &b);
    a = subject(&emulated_gemm_avx2_bf16);
    b = subject(&emulated_gemm_avx512_bf16);
    gemm_check_same_bits(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_avx2),       cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_avx512bf16), cmocka_unit_test(test_amx),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
