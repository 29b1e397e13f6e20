/* ops_avx512.c: the row kernels of ops_body.h under this instruction set's flags. */
#define OPS_TABLE ops_avx512
#define OPS_NAME "avx512"
#include "backend/cpu/ops_body.h"
