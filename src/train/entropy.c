/* entropy.c: see entropy.h. The quantile q = 1 − top lies at rank q·(n − 1) of the sorted values,
 * between two neighbours, and is interpolated between them. Whether the lower neighbour is kept
 * hangs on the last bits where the rank is a whole number on paper: 0.3·20 is 6.0000002 with
 * torch's float32 q, and then the token of rank 6 is not kept. So the arithmetic is torch's to the
 * bit: q rounded to float32, the rank's fraction likewise, and its two-sided lerp with one
 * rounding.
 *
 * Selection, not sorting: a step has hundreds of thousands of tokens, and qsort may allocate. */
#include "train/entropy.h"
#include <math.h>
#include "base/check.h"

static float median_of_three(float a, float b, float c)
{
    float low = fminf(a, b), high = fmaxf(a, b);
    return fmaxf(low, fminf(high, c));
}

/* The value of rank k (0-based): Hoare's FIND, around the median of three. */
static float select_rank(float *x, ptrdiff_t n, ptrdiff_t k)
{
    ptrdiff_t first = 0, last = n - 1;
    while (first < last) {
        float pivot = median_of_three(x[first], x[first + (last - first) / 2], x[last]);
        ptrdiff_t i = first, j = last;
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i > j)
                break;
            float swapped = x[i];
            x[i++] = x[j];
            x[j--] = swapped;
        }
        if (j < k) /* what lies between j and i equals the pivot */
            first = i;
        if (k < i)
            last = j;
    }
    return x[k];
}

float entropy_threshold(float *values, size_t n, double top)
{
    CHECK(n > 0 && top >= 0 && top <= 1);
    for (size_t i = 0; i < n; i++)
        CHECK(isfinite(values[i]));
    double rank = (double)(float)(1 - top) * (double)(n - 1), whole = floor(rank);
    float fraction = (float)(rank - whole);
    size_t k = (size_t)whole;
    float low = select_rank(values, (ptrdiff_t)n, (ptrdiff_t)k);
    if (k + 1 >= n)
        return low;
    float high = values[k + 1]; /* what lies behind k is at least as large */
    for (size_t i = k + 2; i < n; i++)
        high = fminf(high, values[i]);
    return fraction < 0.5f ? fmaf(fraction, high - low, low) : fmaf(fraction - 1, high - low, high);
}
