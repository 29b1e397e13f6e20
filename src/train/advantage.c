/* advantage.c: see advantage.h. Two passes in double over at most a few hundred rewards: speed does
 * not matter, cancellation does. The one place where the rounding of a mean could decide something
 * is a group of equal rewards, where (r − mean) / 1e-4 would turn a last bit into a signal; such
 * groups are found by comparing the rewards themselves and never reach the division.
 *
 * gdpo's batch step subtracts no mean: every column sums to 0 within every group, so the mean over
 * the batch is 0, and what TRL subtracts is its rounding. Left out, a group without signal keeps
 * exactly 0 beside groups that have one. */
#include "train/advantage.h"
#include <math.h>
#include "base/check.h"

const char *const scale_rewards_names[] = {"group", "batch", "none", NULL};
const char *const advantage_names[] = {"grpo", "gdpo", "gdpo_flat", "loo", NULL};

static const double std_epsilon = 1e-4; /* TRL's */
static const double flat_least = 1e-8;  /* the document's */

struct moments {
    int n;
    double mean, sd; /* sd: ddof 1, NaN for n < 2; mean NaN for n = 0 */
    bool equal;      /* all values are the same number, or there are fewer than two */
};

static bool counts(const double *x, const bool *valid, int i)
{
    return valid[i] && isfinite(x[i]);
}

/* √(Σ (x − mean)² / (count − 1)), also where the squares alone are beyond a double (a reward is any
 * finite number): an infinite one would make every advantage of its group a silent 0. */
static double deviation(const double *x, const bool *valid, int n, double mean, int count)
{
    double squares = 0, length = 0;
    for (int i = 0; i < n; i++)
        if (counts(x, valid, i))
            squares += (x[i] - mean) * (x[i] - mean);
    if (isfinite(squares))
        return sqrt(squares / (count - 1));
    for (int i = 0; i < n; i++)
        if (counts(x, valid, i))
            length = hypot(length, x[i] - mean);
    return length / sqrt(count - 1);
}

/* Of the values among n that are valid and there. */
static struct moments moments_of(const double *x, const bool *valid, int n)
{
    struct moments m = {0, NAN, NAN, true};
    double sum = 0, first = 0;
    for (int i = 0; i < n; i++) {
        if (!counts(x, valid, i))
            continue;
        if (m.n++ == 0)
            first = x[i];
        m.equal = m.equal && x[i] == first;
        sum += x[i];
    }
    if (m.n == 0)
        return m;
    m.mean = m.equal ? first : sum / m.n;
    if (m.n < 2)
        return m;
    m.sd = deviation(x, valid, n, m.mean, m.n);
    return m;
}

static struct moments reward_moments(const struct advantage_input *in, int group)
{
    int first = group * in->per_group;
    return moments_of(in->reward + first, in->valid + first, in->per_group);
}

static struct moments column_moments(const struct advantage_input *in, int k, int group)
{
    int first = group * in->per_group;
    return moments_of(in->column + (size_t)k * in->stride + first, in->valid + first,
                      in->per_group);
}

bool advantage_has_signal(const struct advantage_input *in, int group)
{
    if (in->kind != ADVANTAGE_GDPO)
        return !reward_moments(in, group).equal;
    for (int k = 0; k < in->n_columns; k++)
        if (in->weight[k] != 0 && !column_moments(in, k, group).equal)
            return true;
    return false;
}

void advantage_column_groups(const struct advantage_input *in, int k, int *present, int *flat)
{
    *present = *flat = 0;
    for (int g = 0; g < in->groups; g++) {
        struct moments m = column_moments(in, k, g);
        *present += m.n > 0;
        *flat += m.n > 0 && m.equal;
    }
}

/* --- the kinds: each fills advantage[0 … groups · per_group); those of invalid rows are set to 0
 * afterwards --- */

static void of_groups(float *advantage, const struct advantage_input *in, double batch_sd)
{
    for (int g = 0; g < in->groups; g++) {
        struct moments m = reward_moments(in, g);
        /* n/(n − 1) · (r − mean) is r minus the mean of the n − 1 others. */
        double divisor = in->kind == ADVANTAGE_LOO  ? (double)(m.n - 1) / m.n
                         : in->scale == SCALE_NONE  ? 1
                         : in->scale == SCALE_GROUP ? m.sd + std_epsilon
                                                    : batch_sd + std_epsilon;
        for (int i = g * in->per_group; i < (g + 1) * in->per_group; i++)
            advantage[i] = m.equal ? 0 : (float)((in->reward[i] - m.mean) / divisor);
    }
}

static void add_column(double *sum, const struct advantage_input *in, int k, int group)
{
    struct moments m = column_moments(in, k, group);
    const double *x = in->column + (size_t)k * in->stride;
    for (int i = group * in->per_group; !m.equal && i < (group + 1) * in->per_group; i++)
        if (counts(x, in->valid, i))
            sum[i] += in->weight[k] * (x[i] - m.mean) / (m.sd + std_epsilon);
}

static void of_columns(float *advantage, const struct advantage_input *in)
{
    double *sum = in->scratch;
    int total = in->groups * in->per_group, n = 0;
    for (int i = 0; i < total; i++)
        sum[i] = 0;
    for (int g = 0; g < in->groups; g++)
        for (int k = 0; k < in->n_columns; k++)
            add_column(sum, in, k, g);
    for (int i = 0; i < total; i++)
        n += in->valid[i];
    double divisor = n > 1 ? deviation(sum, in->valid, total, 0, n) + std_epsilon : 1;
    for (int i = 0; i < total; i++)
        advantage[i] = n > 1 ? (float)(sum[i] / divisor) : 0;
}

static bool first_of_task(const struct advantage_input *in, int group)
{
    for (int g = 0; g < group; g++)
        if (in->task[g] == in->task[group])
            return false;
    return true;
}

static void of_flat_tasks(float *advantage, const struct advantage_input *in)
{
    double *x = in->scratch;
    int total = in->groups * in->per_group;
    for (int i = 0; i < total; i++)
        advantage[i] = 0;
    for (int g = 0; g < in->groups; g++) {
        if (!first_of_task(in, g))
            continue;
        for (int i = 0; i < total; i++)
            x[i] = in->task[i / in->per_group] == in->task[g] ? in->reward[i] : 0;
        struct moments m = moments_of(x, in->valid, total);
        for (int i = 0; !m.equal && m.sd > flat_least && i < total; i++)
            advantage[i] += in->valid[i] ? (float)((x[i] - m.mean) / m.sd) : 0;
    }
}

void advantage_compute(float *advantage, const struct advantage_input *in,
                       struct advantage_stats *stats)
{
    int total = in->groups * in->per_group;
    for (int i = 0; i < total; i++)
        CHECK(!in->valid[i] || isfinite(in->reward[i]));
    struct moments all = moments_of(in->reward, in->valid, total);
    *stats = (struct advantage_stats){all.mean, all.sd, 0, total - all.n};
    for (int g = 0; g < in->groups; g++)
        stats->zero_variance += !advantage_has_signal(in, g);
    if (in->kind == ADVANTAGE_GDPO)
        of_columns(advantage, in);
    else if (in->kind == ADVANTAGE_GDPO_FLAT)
        of_flat_tasks(advantage, in);
    else
        of_groups(advantage, in, all.sd);
    for (int i = 0; i < total; i++)
        if (!in->valid[i])
            advantage[i] = 0;
}
