/* advantage.c: see advantage.h. Two passes in double over at most a few hundred rewards: speed does
 * not matter, cancellation does. The one place where the rounding of a mean could decide something
 * is a group of equal rewards, where (r − mean) / 1e-4 would turn a last bit into a signal; such
 * groups are found by comparing the rewards themselves and never reach the division. */
#include "train/advantage.h"
#include <math.h>
#include <stddef.h>
#include "base/check.h"

const char *const scale_rewards_names[] = {"group", "batch", "none", NULL};

static const double std_epsilon = 1e-4; /* TRL's */

struct moments {
    int n;
    double mean, sd; /* sd: ddof 1, NaN for n < 2; mean NaN for n = 0 */
    bool equal;      /* all values are the same number, or there are fewer than two */
};

/* Of the valid rewards among n. */
static struct moments moments_of(const double *reward, const bool *valid, int n)
{
    struct moments m = {0, NAN, NAN, true};
    double sum = 0, first = 0;
    for (int i = 0; i < n; i++) {
        if (!valid[i])
            continue;
        if (m.n++ == 0)
            first = reward[i];
        m.equal = m.equal && reward[i] == first;
        sum += reward[i];
    }
    if (m.n == 0)
        return m;
    m.mean = m.equal ? first : sum / m.n;
    if (m.n < 2)
        return m;
    double squares = 0;
    for (int i = 0; i < n; i++)
        if (valid[i])
            squares += (reward[i] - m.mean) * (reward[i] - m.mean);
    m.sd = sqrt(squares / (m.n - 1));
    return m;
}

void advantage_compute(float *advantage, const double *reward, const bool *valid, int groups,
                       int per_group, enum scale_rewards scale, struct advantage_stats *stats)
{
    int total = groups * per_group;
    for (int i = 0; i < total; i++)
        CHECK(!valid[i] || isfinite(reward[i]));
    struct moments all = moments_of(reward, valid, total);
    *stats = (struct advantage_stats){all.mean, all.sd, 0, total - all.n};
    for (int first = 0; first < total; first += per_group) {
        struct moments group = moments_of(reward + first, valid + first, per_group);
        double divisor = scale == SCALE_NONE    ? 1
                         : scale == SCALE_GROUP ? group.sd + std_epsilon
                                                : all.sd + std_epsilon;
        stats->zero_variance += group.equal;
        for (int i = first; i < first + per_group; i++)
            advantage[i] =
                group.equal || !valid[i] ? 0 : (float)((reward[i] - group.mean) / divisor);
    }
}
