/* ref_f64.c: the scalar reference in double. */
#include "backend/ref/ref.h"
#define REAL double
#define REF(name) ref_f64_##name
#define MATH(name) name
#include "backend/ref/ref_body.h"
