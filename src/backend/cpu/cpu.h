/* cpu.h: opening the CPU device; everything else goes through the table in backend.h. */
#ifndef BACKEND_CPU_CPU_H
#define BACKEND_CPU_CPU_H
#include "backend/backend.h"

struct gemm_kernel; /* gemm_kernel.h */

int cpu_open(struct device **out, const struct device_options *options, struct err *err);
/* cpu_open with a given matrix kernel of the precision asked for, whether or not it is this
 * machine's (tests bring emulated ones), beside the other operations of the best set that is;
 * options->isa is not looked at. */
int cpu_open_kernel(struct device **out, const struct device_options *options,
                    const struct gemm_kernel *kernel, struct err *err);
void cpu_close(struct device *d);

#endif
