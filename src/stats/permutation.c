/* permutation.c: see permutation.h.
 *
 * The exact count meets in the middle (Horowitz & Sahni 1974): the signed sums of either half of
 * the differences are listed in order, and for each sum of the first half, ascending, the pointer
 * into the second only moves down. 2·2ⁿᐟ² steps count 2ⁿ assignments: at n = 32, 131,072 for 4·10⁹.
 */
#include "stats/permutation.h"
#include <math.h>
#include "base/mem.h"
#include "base/rng.h"

/* All signed sums of d[0..n), ascending, into out (2ⁿ); spare has the same size. Adding ±|d| to an
 * ordered list gives two ordered lists: they are merged. */
static void signed_sums(double *out, double *spare, const double *d, size_t n)
{
    size_t count = 1;
    out[0] = 0;
    for (size_t k = 0; k < n; k++) {
        double step = fabs(d[k]);
        for (size_t i = 0; i < count; i++)
            spare[i] = out[i];
        for (size_t lower = 0, upper = 0, at = 0; at < 2 * count; at++) {
            bool take_lower =
                lower < count && (upper == count || spare[lower] - step <= spare[upper] + step);
            out[at] = take_lower ? spare[lower++] - step : spare[upper++] + step;
        }
        count *= 2;
    }
}

/* The share of assignments with a sum ≥ bound. */
static double upper_share(const double *a, size_t n_a, const double *b, size_t n_b, double bound)
{
    uint64_t count = 0;
    size_t below = n_b; /* b[below..) reaches the bound with the current a */
    for (size_t i = 0; i < n_a; i++) {
        while (below > 0 && a[i] + b[below - 1] >= bound)
            below--;
        count += n_b - below;
    }
    return (double)count / ((double)n_a * (double)n_b);
}

static int exact(double *p, const double *d, size_t n, double bound, struct err *err)
{
    size_t n_a = (size_t)1 << n / 2, n_b = (size_t)1 << (n - n / 2);
    double *block = mem_alloc((n_a + 2 * n_b) * sizeof *block);
    if (!block)
        return err_no_memory(err, "permutation test", (n_a + 2 * n_b) * sizeof *block);
    double *a = block, *b = block + n_a, *spare = b + n_b;
    signed_sums(a, spare, d, n / 2);
    signed_sums(b, spare, d + n / 2, n - n / 2);
    *p = 2 * upper_share(a, n_a, b, n_b, bound); /* the lower tail is its mirror image */
    mem_free(block);
    return ERR_NONE;
}

static double resampled(const double *d, size_t n, double bound, int resamples, uint64_t seed)
{
    double reached = 0;
    for (int s = 0; s < resamples; s++) {
        struct rng_key key = {.seed = seed, .purpose = RNG_PERMUTATION, .sample = (uint64_t)s};
        uint64_t bits = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 64 ? bits >> 1 : rng_bits(&key, i / 64);
            sum += bits & 1 ? d[i] : -d[i];
        }
        reached += fabs(sum) >= bound;
    }
    return (reached + 1) / (resamples + 1.0);
}

int permutation_paired(struct permutation *out, const double *d, size_t n, int resamples,
                       uint64_t seed, struct err *err)
{
    *out = (struct permutation){.p = NAN};
    double sum = 0, size = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        sum += d[i];
        size += fabs(d[i]);
        used += d[i] != 0;
    }
    if (n == 0 || !isfinite(size))
        return ERR_NONE;
    double bound = fabs(sum) - 1e-12 * size;
    out->exact = used <= PERMUTATION_EXACT || bound <= 0;
    out->p = 1;
    if (bound <= 0) /* every assignment reaches it */
        return ERR_NONE;
    if (!out->exact) { /* zeros change no sum, and may stay */
        out->p = resampled(d, n, bound, resamples, seed);
        return ERR_NONE;
    }
    double nonzero[PERMUTATION_EXACT] = {0};
    for (size_t i = 0, at = 0; i < n; i++)
        if (d[i] != 0)
            nonzero[at++] = d[i];
    return exact(&out->p, nonzero, used, bound, err);
}
