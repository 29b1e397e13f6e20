/* verdict.c: see verdict.h. */
#include "stats/verdict.h"
#include <math.h>
#include "stats/dist.h"
#include "stats/power.h"

struct verdict verdict_of(struct interval ci, double estimate, size_t n)
{
    struct verdict v = {VERDICT_CANNOT_TELL, NAN, NAN};
    double width = ci.high - ci.low;
    if (n < 2 || isnan(width))
        return v;
    if (ci.low > 0)
        v.kind = VERDICT_IMPROVED;
    else if (ci.high < 0)
        v.kind = VERDICT_WORSE;
    double t = dist_t_quantile(1 - POWER_ALPHA / 2, (double)n - 1);
    double sd = width * sqrt((double)n) / (2 * t);
    if (sd > 0) /* equal values do not say how other ones spread: 0 would promise to find all */
        v.detectable = power_detectable(n, sd, POWER_ALPHA, POWER_TARGET);
    v.needed = power_required_n(estimate, sd, POWER_ALPHA, POWER_TARGET);
    if (v.kind == VERDICT_CANNOT_TELL &&
        !isnan(v.needed)) /* an asymmetric interval may say otherwise */
        v.needed = fmax(v.needed, (double)n + 1);
    return v;
}

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const names[] = {
        [VERDICT_CANNOT_TELL] = "cannot tell",
        [VERDICT_IMPROVED] = "improved",
        [VERDICT_WORSE] = "worse",
    };
    return names[kind];
}
