/* mcnemar.h: the exact McNemar test: the same questions answered by two models. */
#ifndef STATS_MCNEMAR_H
#define STATS_MCNEMAR_H
#include <stddef.h>
#include "stats/stats.h"

struct mcnemar {
    double p;                /* two-sided, binomial with 1/2 over the questions that changed */
    double odds;             /* gained / lost: INFINITY for lost = 0, NaN when nothing changed */
    struct interval odds_ci; /* 95%, Clopper–Pearson of gained/(gained + lost), as odds */
};

/* gained: wrong before, right after; lost: right before, wrong after. Questions that stayed as they
 * were say nothing. When none changed p is 1 and the interval 0 to INFINITY. */
struct mcnemar mcnemar_exact(size_t gained, size_t lost);

#endif
