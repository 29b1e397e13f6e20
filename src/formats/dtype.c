/* dtype.c: element types; see dtype.h. */
#include "formats/dtype.h"
#include <string.h>
#include "base/check.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [DTYPE_F32] = {"F32", 4},   [DTYPE_F16] = {"F16", 2},         [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_F64] = {"F64", 8},   [DTYPE_I64] = {"I64", 8},         [DTYPE_I32] = {"I32", 4},
    [DTYPE_I16] = {"I16", 2},   [DTYPE_I8] = {"I8", 1},           [DTYPE_U8] = {"U8", 1},
    [DTYPE_BOOL] = {"BOOL", 1}, [DTYPE_U16] = {"U16", 2},         [DTYPE_U32] = {"U32", 4},
    [DTYPE_U64] = {"U64", 8},   [DTYPE_F8_E4M3] = {"F8_E4M3", 1}, [DTYPE_F8_E5M2] = {"F8_E5M2", 1},
};

size_t dtype_size(enum dtype dtype)
{
    CHECK((size_t)dtype < ARRAY_LENGTH(dtypes));
    return dtypes[dtype].size;
}

const char *dtype_name(enum dtype dtype)
{
    CHECK((size_t)dtype < ARRAY_LENGTH(dtypes));
    return dtypes[dtype].name;
}

int dtype_parse(enum dtype *out, const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(dtypes); i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (enum dtype)i;
            return 0;
        }
    }
    return -1;
}

float bf16_to_float(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

uint16_t bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) /* NaN: rounding could turn it into infinity */
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

float f16_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7F800000u | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else {
        /* Subnormal: fraction · 2^-24, exact in float32. */
        float value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, 4);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
