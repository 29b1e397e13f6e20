/* gemm_checks.h: what every microkernel must satisfy, native (test_gemm.c) or emulated
 * (test_gemm_emulated.c). Failures are cmocka assertions. */
#ifndef TESTS_BACKEND_GEMM_CHECKS_H
#define TESTS_BACKEND_GEMM_CHECKS_H
#include "backend/cpu/gemm_kernel.h"

/* A microkernel under test: by the name of an instruction set, or directly. */
struct gemm_subject {
    const char *isa;
    const struct gemm_kernel *kernel; /* NULL: open by name */
    enum precision precision;
};

/* Runs every check on the subject. */
void gemm_check_all(const struct gemm_subject *subject);
/* Both subjects give the same bits: kernels that fuse the same products in the same order. */
void gemm_check_same_bits(const struct gemm_subject *a, const struct gemm_subject *b);

#endif
