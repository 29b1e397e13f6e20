/* isa.h: which instruction sets this machine has, for the CPU device's choice of microkernels.
 * The names and the question "is it here" are part of the seam (device_isa_names and
 * device_isa_available in backend/backend.h) and are implemented in isa.c. */
#ifndef BACKEND_CPU_ISA_H
#define BACKEND_CPU_ISA_H

/* The best instruction set of this machine; "c" at worst. */
const char *isa_best(void);

#endif
