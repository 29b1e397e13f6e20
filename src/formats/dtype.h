/* dtype.h: element types of tensors in files, and conversion of one element. */
#ifndef FORMATS_DTYPE_H
#define FORMATS_DTYPE_H
#include <stddef.h>
#include <stdint.h>

/* The first three have the order of enum weight_dtype in backend/backend.h. */
enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F64,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPE_U16,
    DTYPE_U32,
    DTYPE_U64,
    DTYPE_F8_E4M3,
    DTYPE_F8_E5M2
};

size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);           /* safetensors' spelling */
int dtype_parse(enum dtype *out, const char *name); /* non-zero when unknown */
float f16_to_float(uint16_t bits);
float bf16_to_float(uint16_t bits);
uint16_t bf16_from_float(float value); /* nearest even, NaN stays NaN */

#endif
