/* isa.h: the instruction sets of the CPU device and which of them this machine has.
 * Their names and the question "is it here" are part of the seam (device_isa_names and
 * device_isa_available in backend/backend.h) and are implemented in isa.c. */
#ifndef BACKEND_CPU_ISA_H
#define BACKEND_CPU_ISA_H
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/ops.h"

struct isa {
    bool (*available)(void); /* on this machine */
    const struct gemm_kernel *bf16, *f32;
    const struct ops_kernels *ops;
};

const struct isa *isa_find(const char *name); /* NULL: this build does not know it */
/* The best instruction set of this machine; "c" at worst. */
const char *isa_best(void);

#endif
