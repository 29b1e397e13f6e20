/* mcnemar.c: see mcnemar.h. The limits of Clopper & Pearson (1934) are quantiles of beta
 * distributions; they are solved for the odds w = x/(1−x) themselves, so that neither x nor 1 − x
 * loses digits close to 1. */
#include "stats/mcnemar.h"
#include <math.h>
#include "stats/dist.h"
#include "stats/solve.h"
#include "stats/special.h"

struct beta_parameters {
    double a, b;
};

/* P(X ≥ gained) under odds w. */
static double at_least(double w, const void *context)
{
    const struct beta_parameters *p = context;
    return special_beta(p->a, p->b, w / (1 + w), 1 / (1 + w));
}

/* −P(X ≤ gained) under odds w. */
static double minus_at_most(double w, const void *context)
{
    const struct beta_parameters *p = context;
    return -special_beta(p->b, p->a, 1 / (1 + w), w / (1 + w));
}

struct mcnemar mcnemar_exact(size_t gained, size_t lost)
{
    double g = (double)gained, l = (double)lost;
    struct mcnemar m = {.p = fmin(1, 2 * dist_binomial_cdf(fmin(g, l), g + l, 0.5)),
                        .odds = gained + lost ? g / l : NAN,
                        .odds_ci = {0, INFINITY}};
    if (gained)
        m.odds_ci.low = solve_increasing(at_least, &(struct beta_parameters){g, l + 1}, 0.025);
    if (lost)
        m.odds_ci.high =
            solve_increasing(minus_at_most, &(struct beta_parameters){g + 1, l}, -0.025);
    return m;
}
