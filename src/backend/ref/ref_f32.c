/* ref_f32.c: the scalar reference in float. */
#include "backend/ref/ref.h"
#define REAL float
#define REF(name) ref_f32_##name
#define MATH(name) name##f
#include "backend/ref/ref_body.h"
