/* permutation.h: the paired permutation test of a mean difference. */
#ifndef STATS_PERMUTATION_H
#define STATS_PERMUTATION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { PERMUTATION_EXACT = 32 }; /* differences other than 0 up to which all signs are counted */

struct permutation {
    double p;
    bool exact;
};

/* Two-sided p of the hypothesis that each difference d[i] is as likely to be −d[i]: the share of
 * sign assignments whose |Σ ±dᵢ| is at least |Σ dᵢ| (scipy.stats.permutation_test,
 * permutation_type "samples"). All 2ⁿ assignments are counted up to PERMUTATION_EXACT non-zero
 * differences; beyond, k of `resamples` > 0 seeded ones and p = (k+1)/(resamples+1) (Phipson &
 * Smyth 2010). Sums within 1e-12·Σ|dᵢ| count as equal, so that ties of decimals stay ties.
 *
 * Any sum of the differences can be tested: for the mean of task means weight each by 1/nₜ.
 * NaN for n = 0 or a value that is not finite; 1 when all are 0. Needs up to 1.5 MiB; ERR_MACHINE
 * without. */
int permutation_paired(struct permutation *out, const double *d, size_t n, int resamples,
                       uint64_t seed, struct err *err);

#endif
