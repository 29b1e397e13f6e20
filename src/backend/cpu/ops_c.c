/* ops_c.c: the row kernels of ops_body.h under this instruction set's flags. */
#define OPS_TABLE ops_c
#define OPS_NAME "c"
#include "backend/cpu/ops_body.h"
