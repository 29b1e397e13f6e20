/* rank.h: statistics of ranks. Equal values (as doubles: round decimals first where ties matter)
 * share the average of their ranks. Memory for some doubles a value; ERR_MACHINE without. NaN among
 * the values gives NaN results. */
#ifndef STATS_RANK_H
#define STATS_RANK_H
#include <stdbool.h>
#include "base/err.h"
#include "stats/stats.h"

/* Ranks 1..n of x into rank; x must not hold NaN. */
int rank_average(double *rank, const double *x, size_t n, struct err *err);

struct rank_correlation {
    double rho, p;
    struct interval ci;
};

/* Spearman's ρ of n pairs; two-sided p by Student's t with n − 2 degrees of freedom
 * (scipy.stats.spearmanr); 95% interval tanh(artanh ρ ± 1.96/√(n−3)) (Fisher's z; rank.c says why
 * this standard error). ρ is NaN when one side is constant or n < 2; p for n < 3; the interval for
 * n < 4. At ρ = ±1 Fisher's interval is that point, which promises too much. */
int rank_spearman(struct rank_correlation *out, const double *x, const double *y, size_t n,
                  struct err *err);

enum rank_method {
    RANK_AUTO, /* exact for n ≤ 50 without zeros and ties, or n ≤ 13; else normal: SciPy's rule */
    RANK_EXACT, /* over all signs of the ranks at hand, ties included; time n³ */
    RANK_NORMAL /* no continuity correction, variance corrected for ties */
};

struct rank_signed {
    double plus, minus; /* sums of the ranks of |d| with d > 0 and d < 0 */
    size_t used;        /* differences other than 0 */
    double p;
    bool exact;
};

/* Wilcoxon's signed rank test of n paired differences, zeros left out first
 * (scipy.stats.wilcoxon, zero_method "wilcox", two-sided). With ties RANK_EXACT is the permutation
 * distribution, as SciPy's "auto" has it for n ≤ 13, not its conservative "exact". p is 1 when all
 * differences are 0 (SciPy: NaN above n = 13), NaN for n = 0. */
int rank_wilcoxon(struct rank_signed *out, const double *d, size_t n, enum rank_method method,
                  struct err *err);

#endif
