/* test_attention_emulated.c: the checks of attention (attention_checks.h) on the AVX2, AVX-512,
 * AVX-512 BF16 and AMX kernels over emulated intrinsics, as test_gemm_emulated.c does for products:
 * a kernel decides how operands are laid out, how many rows are computed together and how many are
 * written beyond the last (AMX: whole tiles of 16). Everything else is the machine's. */
#include "attention_checks.h"

extern const struct gemm_kernel emulated_gemm_avx2_f32, emulated_gemm_avx2_bf16;
extern const struct gemm_kernel emulated_gemm_avx512_f32, emulated_gemm_avx512_bf16;
extern const struct gemm_kernel emulated_gemm_avx512bf16_bf16, emulated_gemm_amx_bf16;

static const struct gemm_kernel *const kernels[] = {
    &emulated_gemm_amx_bf16,
    &emulated_gemm_avx512bf16_bf16,
    &emulated_gemm_avx512_bf16,
    &emulated_gemm_avx512_f32,
    &emulated_gemm_avx2_bf16,
    &emulated_gemm_avx2_f32,
    NULL,
};

/* Against the reference. */
#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_kernel(kernels, attention_check_##name, 2);                                       \
    }
EACH(forward)
EACH(sharing)
EACH(extreme)
EACH(backward)
#undef EACH

/* The row rule. */
#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        rig_each_kernel_threads(kernels, attention_check_##name);                                  \
    }
EACH(prefix_cuts)
EACH(call_cuts)
EACH(neighbours)
EACH(shared_prefix)
EACH(backward_alone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_extreme),        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_prefix_cuts),    cmocka_unit_test(test_call_cuts),
        cmocka_unit_test(test_neighbours),     cmocka_unit_test(test_shared_prefix),
        cmocka_unit_test(test_backward_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
