/* ref.h: the scalar reference, what the operations of backend.h mean, in plain loops.
 *
 * It is for reading and for tests, never for speed: no SIMD, no blocking, no threads, sums in the
 * order of the formula. Arrays are ordinary memory, weights plain (N, K) matrices, caches plain
 * rows; names, shapes and order of arguments are those of backend.h. The same source is compiled
 * twice, as ref_f32_… (float) and as ref_f64_… (double); in double it is the yardstick of the fast
 * operations and is itself checked by finite differences.
 *
 * PRECISION_BF16 is simulated where `bf16` is set: inputs of matrix products (rows and weights) and
 * what goes into the caches are rounded to bf16, nearest even; sums stay in the type of the build.
 * bf16's subnormal numbers are not modelled. */
#ifndef BACKEND_REF_REF_H
#define BACKEND_REF_REF_H
#include <stdbool.h>
#include <stddef.h>
#include "backend/backend.h"

#define REAL float
#define REF(name) ref_f32_##name
#include "backend/ref/ref_ops.h"
#undef REAL
#undef REF

#define REAL double
#define REF(name) ref_f64_##name
#include "backend/ref/ref_ops.h"
#undef REAL
#undef REF

#endif
