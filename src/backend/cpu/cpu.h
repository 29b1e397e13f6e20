/* cpu.h: opening the CPU device; everything else goes through the table in backend.h. */
#ifndef BACKEND_CPU_CPU_H
#define BACKEND_CPU_CPU_H
#include "backend/backend.h"

int cpu_open(struct device **out, const struct device_options *options, struct err *err);
void cpu_close(struct device *d);

#endif
