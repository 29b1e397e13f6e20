/* vec.h: sixteen floats, the one vector width of the CPU operations.
 *
 * ops_body.h is written once on this type and compiled once per instruction set: a register with
 * AVX-512, a pair of registers with AVX2, an array in plain C. Everything has sixteen lanes and the
 * same reduction tree everywhere, so the only difference between instruction sets is whether v_fma
 * rounds once (AVX2, AVX-512) or twice (plain C).
 *
 * Tails: *_n variants touch n lanes only (0 < n < 16); absent lanes load as zero. */
#ifndef BACKEND_CPU_VEC_H
#define BACKEND_CPU_VEC_H
#include <stdint.h>
#include <string.h>
#include "backend/cpu/unroll.h"
#ifdef __AVX2__
#include "backend/cpu/intrin.h"
#endif

enum { LANES = 16 };

#if defined(__AVX512F__)

typedef __m512 v16;

static inline v16 v_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline v16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void v_store(float *p, v16 a)
{
    _mm512_storeu_ps(p, a);
}
static inline v16 v_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
static inline v16 v_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
static inline v16 v_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
static inline v16 v_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
static inline v16 v_sqrt(v16 a)
{
    return _mm512_sqrt_ps(a);
}
static inline v16 v_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
static inline v16 v_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline v16 v_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline void v_store_n(float *p, v16 a, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
static inline v16 v_load_bf16(const uint16_t *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/* Nearest even; the values are finite or NaN (NaN stays NaN). */
static inline void v_store_bf16(uint16_t *p, v16 a)
{
    __m512i bits = _mm512_castps_si512(a);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}
static inline float v_sum(v16 a)
{
    __m256 lo = _mm512_castps512_ps256(a), hi = _mm512_extractf32x8_ps(a, 1);
    __m256 s8 = _mm256_add_ps(lo, hi);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
/* 2^n by exponent bits: `biased` holds 0x4B400000 + n as integer bits (see v_exp). */
static inline v16 v_exp2_bits(v16 biased)
{
    __m512i n = _mm512_sub_epi32(_mm512_castps_si512(biased), _mm512_set1_epi32(0x4B400000 - 127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(n, 23));
}
/* x < limit ? a : b */
static inline v16 v_select_less(v16 x, v16 limit, v16 a, v16 b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), b, a);
}

#elif defined(__AVX2__)

typedef struct {
    __m256 lo, hi;
} v16;

static inline v16 v_pair(__m256 lo, __m256 hi)
{
    v16 r = {lo, hi};
    return r;
}
static inline v16 v_set1(float x)
{
    return v_pair(_mm256_set1_ps(x), _mm256_set1_ps(x));
}
static inline v16 v_load(const float *p)
{
    return v_pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}
static inline void v_store(float *p, v16 a)
{
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
#define V_LANEWISE(name, intrinsic)                                                                \
    static inline v16 name(v16 a, v16 b)                                                           \
    {                                                                                              \
        return v_pair(intrinsic(a.lo, b.lo), intrinsic(a.hi, b.hi));                               \
    }
V_LANEWISE(v_add, _mm256_add_ps)
V_LANEWISE(v_sub, _mm256_sub_ps)
V_LANEWISE(v_mul, _mm256_mul_ps)
V_LANEWISE(v_div, _mm256_div_ps)
V_LANEWISE(v_max, _mm256_max_ps)
#undef V_LANEWISE
static inline v16 v_sqrt(v16 a)
{
    return v_pair(_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi));
}
static inline v16 v_fma(v16 a, v16 b, v16 c)
{
    return v_pair(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi));
}
static inline __m256i v_mask8(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline v16 v_load_n(const float *p, int n)
{
    return v_pair(_mm256_maskload_ps(p, v_mask8(n)),
                  n > 8 ? _mm256_maskload_ps(p + 8, v_mask8(n - 8)) : _mm256_setzero_ps());
}
static inline void v_store_n(float *p, v16 a, int n)
{
    _mm256_maskstore_ps(p, v_mask8(n), a.lo);
    if (n > 8)
        _mm256_maskstore_ps(p + 8, v_mask8(n - 8), a.hi);
}
static inline __m256 v_widen8(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline v16 v_load_bf16(const uint16_t *p)
{
    return v_pair(v_widen8(p), v_widen8(p + 8));
}
static inline __m256i v_round8(__m256 a)
{
    __m256i bits = _mm256_castps_si256(a);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}
static inline void v_store_bf16(uint16_t *p, v16 a)
{
    __m256i packed = _mm256_packus_epi32(v_round8(a.lo), v_round8(a.hi));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute4x64_epi64(packed, 0xD8));
}
static inline float v_sum(v16 a)
{
    __m256 s8 = _mm256_add_ps(a.lo, a.hi);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
static inline __m256 v_exp2_bits8(__m256 biased)
{
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(biased), _mm256_set1_epi32(0x4B400000 - 127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(n, 23));
}
static inline v16 v_exp2_bits(v16 biased)
{
    return v_pair(v_exp2_bits8(biased.lo), v_exp2_bits8(biased.hi));
}
static inline v16 v_select_less(v16 x, v16 limit, v16 a, v16 b)
{
    return v_pair(_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, limit.lo, _CMP_LT_OQ)),
                  _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, limit.hi, _CMP_LT_OQ)));
}

#else

typedef struct {
    float x[LANES];
} v16;

#define V_EACH(expression)                                                                         \
    do {                                                                                           \
        for (int i = 0; i < LANES; i++)                                                            \
            r.x[i] = (expression);                                                                 \
    } while (0)
static inline v16 v_set1(float x)
{
    v16 r;
    V_EACH(x);
    return r;
}
static inline v16 v_load(const float *p)
{
    v16 r;
    V_EACH(p[i]);
    return r;
}
static inline void v_store(float *p, v16 a)
{
    memcpy(p, a.x, sizeof a.x);
}
static inline v16 v_add(v16 a, v16 b)
{
    v16 r;
    V_EACH(a.x[i] + b.x[i]);
    return r;
}
static inline v16 v_sub(v16 a, v16 b)
{
    v16 r;
    V_EACH(a.x[i] - b.x[i]);
    return r;
}
static inline v16 v_mul(v16 a, v16 b)
{
    v16 r;
    V_EACH(a.x[i] * b.x[i]);
    return r;
}
static inline v16 v_div(v16 a, v16 b)
{
    v16 r;
    V_EACH(a.x[i] / b.x[i]);
    return r;
}
static inline v16 v_sqrt(v16 a)
{
    v16 r;
    V_EACH(__builtin_sqrtf(a.x[i]));
    return r;
}
/* As the vector instruction: the second operand where either is NaN. */
static inline v16 v_max(v16 a, v16 b)
{
    v16 r;
    V_EACH(a.x[i] > b.x[i] ? a.x[i] : b.x[i]);
    return r;
}
/* Rounds twice: without the instruction a true fma is a library call. */
static inline v16 v_fma(v16 a, v16 b, v16 c)
{
    v16 r;
    V_EACH(a.x[i] * b.x[i] + c.x[i]);
    return r;
}
static inline v16 v_load_n(const float *p, int n)
{
    v16 r;
    V_EACH(i < n ? p[i] : 0.0f);
    return r;
}
static inline void v_store_n(float *p, v16 a, int n)
{
    memcpy(p, a.x, (size_t)n * sizeof *p);
}
static inline v16 v_load_bf16(const uint16_t *p)
{
    v16 r;
    for (int i = 0; i < LANES; i++) {
        uint32_t bits = (uint32_t)p[i] << 16;
        memcpy(&r.x[i], &bits, 4);
    }
    return r;
}
static inline void v_store_bf16(uint16_t *p, v16 a)
{
    for (int i = 0; i < LANES; i++) {
        uint32_t bits;
        memcpy(&bits, &a.x[i], 4);
        uint32_t rounded = bits + 0x7FFFu + (bits >> 16 & 1);
        if (a.x[i] != a.x[i])
            rounded = bits | 0x400000;
        p[i] = (uint16_t)(rounded >> 16);
    }
}
static inline float v_sum(v16 a)
{
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            a.x[i] += a.x[i + width];
    return a.x[0];
}
static inline v16 v_exp2_bits(v16 biased)
{
    for (int i = 0; i < LANES; i++) {
        uint32_t bits;
        memcpy(&bits, &biased.x[i], 4);
        bits = (bits - (0x4B400000u - 127u)) << 23;
        memcpy(&biased.x[i], &bits, 4);
    }
    return biased;
}
static inline v16 v_select_less(v16 x, v16 limit, v16 a, v16 b)
{
    v16 r;
    V_EACH(x.x[i] < limit.x[i] ? a.x[i] : b.x[i]);
    return r;
}
#undef V_EACH

#endif

/* A kernel holds TILE × TILE accumulators: 16 of 32 registers, or (in pairs) 8 of 16. */
#ifdef __AVX512F__
enum { TILE = 4 };
#else
enum { TILE = 2 };
#endif

static inline v16 v_zero(void)
{
    return v_set1(0.0f);
}

static inline v16 v_load_bf16_n(const uint16_t *p, int n)
{
    uint16_t lanes[LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return v_load_bf16(lanes);
}

static inline void v_store_bf16_n(uint16_t *p, v16 a, int n)
{
    uint16_t lanes[LANES];
    v_store_bf16(lanes, a);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

static inline float v_max_lane(v16 a)
{
    float lanes[LANES];
    v_store(lanes, a);
    float best = lanes[0];
    for (int i = 1; i < LANES; i++)
        best = lanes[i] > best ? lanes[i] : best;
    return best;
}

/* e^r for |r| ≤ ln 2 / 2: the Taylor polynomial of degree 7 (error below 2^-27 there). */
static inline v16 v_exp_polynomial(v16 r)
{
    v16 p = v_set1(0x1.a01a02p-13f);
    p = v_fma(p, r, v_set1(0x1.6c16c2p-10f));
    p = v_fma(p, r, v_set1(0x1.111112p-7f));
    p = v_fma(p, r, v_set1(0x1.555556p-5f));
    p = v_fma(p, r, v_set1(0x1.555556p-3f));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_fma(p, r, v_set1(1.0f));
}

/* x = n·ln 2 + r (Cody and Waite, in two parts); returns r, and n as `biased` − magic: adding magic
 * rounds to an integer that is then held in the low bits. */
static inline v16 v_exp_reduce(v16 x, v16 *biased)
{
    const v16 magic = v_set1(0x1.8p23f);
    *biased = v_add(v_mul(x, v_set1(0x1.715476p0f)), magic);
    v16 n = v_sub(*biased, magic);
    return v_fma(n, v_set1(-0x1.7f7d1cp-20f), v_fma(n, v_set1(-0x1.62e400p-1f), x));
}

/* e^x within 2 ulp. Results under the smallest normal number are 0, above the largest infinity; NaN
 * stays NaN. */
static inline v16 v_exp(v16 x)
{
    const v16 magic = v_set1(0x1.8p23f);
    v16 clamped = v_select_less(x, v_set1(-87.4f), v_set1(-87.4f), x), biased;
    clamped = v_select_less(v_set1(88.8f), clamped, v_set1(88.8f), clamped);
    v16 p = v_exp_polynomial(v_exp_reduce(clamped, &biased)), n = v_sub(biased, magic);
    /* 2^n in two factors: n = 128 alone would be infinity while e^x is still finite. */
    v16 half = v_add(v_mul(n, v_set1(0.5f)), magic);
    v16 rest = v_add(v_sub(n, v_sub(half, magic)), magic);
    v16 result = v_mul(v_mul(p, v_exp2_bits(half)), v_exp2_bits(rest));
    result = v_select_less(x, v_set1(-87.33654f), v_zero(), result);
    return v_select_less(v_set1(88.72283f), x, v_set1(__builtin_inff()), result);
}

/* The same bits for x ≤ 88 (or NaN), as in a softmax: no overflow to look after. */
static inline v16 v_exp_low(v16 x)
{
    v16 clamped = v_select_less(x, v_set1(-87.4f), v_set1(-87.4f), x), biased;
    v16 p = v_exp_polynomial(v_exp_reduce(clamped, &biased));
    return v_select_less(x, v_set1(-87.33654f), v_zero(), v_mul(p, v_exp2_bits(biased)));
}

#endif
