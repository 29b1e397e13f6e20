/* warp.c: top-k, top-p and min-p of one row without sorting the vocabulary; see warp.h.
 *
 * Both top-k and top-p ask for the score at which a running total over the sorted row (of counts
 * from above, of probability from below) passes a limit. A radix search finds it in three sweeps:
 * the scores' bits, mapped so that integers order as floats do, are read 11, 11 and 10 bits at a
 * time; each sweep totals the ids that share the digits found so far by their next digit, and
 * walks the totals to the digit where the limit is passed. What remains is one exact score, which
 * several ids may have: top-k keeps them all, top-p takes them in id order.
 *
 * Probabilities, their totals and the comparisons have the types they have in transformers on a
 * CPU: probabilities in f32, cumulative sums in double rounded to f32, limits in f32. So exact
 * cases (equal logits, halves) cut alike, and others unless they lie within rounding of the limit.
 * Everything depends on this row alone: the row rule. */
#include "backend/cpu/warp.h"
#include <math.h>
#include <string.h>
#include "base/check.h"

enum { DIGITS = 3, BUCKETS = 2048 };
static const int shifts[DIGITS] = {21, 10, 0}, widths[DIGITS] = {11, 11, 10};

/* Ascending with the score; −0 and 0 are the same. */
static uint32_t key_of(float score)
{
    float x = score + 0.0f;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The search so far: keys with the digits found have (key & mask) == prefix. */
struct search {
    uint32_t prefix, mask;
};

static uint32_t digit_of(uint32_t key, int d)
{
    return key >> shifts[d] & ((1u << widths[d]) - 1);
}

static void found(struct search *s, int d, int bucket)
{
    s->prefix |= (uint32_t)bucket << shifts[d];
    s->mask |= ((1u << widths[d]) - 1) << shifts[d];
}

static void cut(struct warp_row *row, int i)
{
    row->scores[i] = -INFINITY;
    row->weights[i] = 0;
}

static void cut_below(struct warp_row *row, uint32_t key)
{
    for (int i = 0; i < row->n; i++)
        if (key_of(row->scores[i]) < key)
            cut(row, i);
}

/* --- top-k --- */

static uint32_t kth_largest(const struct warp_row *row, int k)
{
    struct search s = {0, 0};
    int count[BUCKETS];
    for (int d = 0; d < DIGITS; d++) {
        memset(count, 0, sizeof count);
        for (int i = 0; i < row->n; i++) {
            uint32_t key = key_of(row->scores[i]);
            if ((key & s.mask) == s.prefix)
                count[digit_of(key, d)]++;
        }
        int bucket = (1 << widths[d]) - 1;
        for (; count[bucket] < k; bucket--)
            k -= count[bucket];
        found(&s, d, bucket);
    }
    return s.prefix;
}

/* --- top-p --- */

/* One digit: buckets from below go as long as the mass that has gone stays within the limit. The
 * topmost bucket that holds anything is never gone. */
static int mass_digit(const struct warp_row *row, const struct search *s, int d, float total,
                      float limit, double *gone)
{
    double mass[BUCKETS] = {0};
    int last = 0;
    for (int i = 0; i < row->n; i++) {
        uint32_t key = key_of(row->scores[i]);
        if (!(row->weights[i] > 0) || (key & s->mask) != s->prefix)
            continue;
        int bucket = (int)digit_of(key, d);
        mass[bucket] += (double)(row->weights[i] / total);
        last = bucket > last ? bucket : last;
    }
    int bucket = 0;
    for (; bucket < last && (float)(*gone + mass[bucket]) <= limit; bucket++)
        *gone += mass[bucket];
    return bucket;
}

static void cut_top_p(struct warp_row *row, double top_p)
{
    double sum = 0, gone = 0;
    for (int i = 0; i < row->n; i++)
        sum += (double)row->weights[i];
    float total = (float)sum, limit = (float)(1 - top_p);
    struct search s = {0, 0};
    for (int d = 0; d < DIGITS; d++)
        found(&s, d, mass_digit(row, &s, d, total, limit, &gone));
    cut_below(row, s.prefix);
    int tied = 0;
    for (int i = 0; i < row->n; i++)
        tied += key_of(row->scores[i]) == s.prefix;
    CHECK(tied > 0);
    for (int i = 0; tied > 1; i++) {
        if (key_of(row->scores[i]) != s.prefix)
            continue;
        gone += (double)(row->weights[i] / total);
        if ((float)gone > limit)
            return;
        cut(row, i);
        tied--;
    }
}

/* --- the row --- */

void warp_begin(struct warp_row *row, const struct warpers *how, const float *z,
                const uint32_t *seen)
{
    memcpy(row->scores, z, (size_t)row->n * sizeof *z);
    float penalty = (float)how->repetition_penalty;
    if (how->repetition_penalty == 1)
        return;
    CHECK(seen && penalty > 0);
    for (int word = 0; word * 32 < row->n; word++)
        for (uint32_t left = seen[word]; left; left &= left - 1) {
            int v = word * 32 + __builtin_ctz(left);
            float score = row->scores[v];
            row->scores[v] = score < 0 ? score * penalty : score / penalty;
        }
}

float warp_cut(struct warp_row *row, const struct warpers *how, const struct ops_kernels *ops)
{
    CHECK(how->top_k >= 0 && how->top_p >= 0 && how->top_p <= 1 && how->min_p >= 0 &&
          how->min_p <= 1);
    if (how->top_k && how->top_k < row->n)
        cut_below(row, kth_largest(row, how->top_k));
    float top = ops->exponentials(row->weights, row->scores, row->n);
    if (!isfinite(top))
        return top;
    if (how->top_p < 1)
        cut_top_p(row, how->top_p);
    for (int i = 0; how->min_p > 0 && i < row->n; i++)
        if (row->weights[i] < (float)how->min_p)
            cut(row, i);
    return top;
}

int warp_draw(struct warp_row *row, const struct warpers *how, const struct ops_kernels *ops,
              double u, float *logp)
{
    float top = warp_cut(row, how, ops);
    *logp = NAN;
    if (!isfinite(top))
        return -1;
    double total = 0, cumulative = 0;
    for (int i = 0; i < row->n; i++)
        total += (double)row->weights[i];
    int id = -1;
    for (int i = 0; i < row->n && !(cumulative > u * total); i++) {
        if (!(row->weights[i] > 0))
            continue;
        cumulative += (double)row->weights[i];
        id = i;
    }
    float logz = (float)((double)top + log(total));
    /* A part weighs no more than the whole, whatever the rounding. */
    if (how->repetition_penalty == 1 && logz > row->logz)
        logz = row->logz;
    *logp = row->scores[id] - logz;
    return id;
}
