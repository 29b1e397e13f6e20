/* verdict.h: what may be said of a paired difference. "Improved" is said only when the interval
 * excludes zero; "cannot tell" has a sample size beside it. */
#ifndef STATS_VERDICT_H
#define STATS_VERDICT_H
#include "stats/stats.h"

enum verdict_kind { VERDICT_CANNOT_TELL, VERDICT_IMPROVED, VERDICT_WORSE };

struct verdict {
    enum verdict_kind kind;
    double detectable; /* the smallest true difference that n values find, 4 times in 5; NaN when
                          the interval has no width: values that are all equal do not say it */
    double needed;     /* values to find a true difference as large as the estimate, 4 times in 5 */
};

/* Differences other than 0 below which no test of their signs can reach POWER_ALPHA: 2·2⁻⁵ is
 * above it. What fewer of them let one detect cannot be told from their spread: that of a set in
 * which three of 65 rows changed is that of the zeros (docs/STUDY.md). */
enum { VERDICT_LEAST_CHANGED = 6 };

/* From a 95% interval of a difference and its estimate, made of n paired values. The standard
 * deviation behind detectable and needed (power.h, level 0.05, power 0.8) is the one whose Student
 * interval over n values is as wide: for the mean of task means, the effective one. An interval
 * that touches 0 cannot tell, nor can a NaN, whose detectable and needed are NaN. needed is
 * INFINITY for an estimate of 0, and more than n whenever n could not tell. */
struct verdict verdict_of(struct interval ci, double estimate, size_t n);

/* "improved", "worse", "cannot tell". */
const char *verdict_name(enum verdict_kind kind);

#endif
