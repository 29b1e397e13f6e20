/* ops_avx2.c: the row kernels of ops_body.h under this instruction set's flags. */
#define OPS_TABLE ops_avx2
#define OPS_NAME "avx2"
#include "backend/cpu/ops_body.h"
