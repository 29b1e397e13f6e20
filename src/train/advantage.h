/* advantage.h: from rewards to advantages (research/algorithms.md section 4.3, parity with TRL).
 *
 * Rewards of a step lie group by group, `per_group` completions each. A completion without a valid
 * reward (a failure of the machinery) is left out of every mean and deviation and gets advantage 0.
 */
#ifndef TRAIN_ADVANTAGE_H
#define TRAIN_ADVANTAGE_H
#include <stdbool.h>

enum scale_rewards { SCALE_GROUP, SCALE_BATCH, SCALE_NONE };
extern const char *const scale_rewards_names[]; /* "group", "batch", "none", NULL */

struct advantage_stats {
    double reward_mean; /* over valid completions; NaN when there is none */
    double reward_std; /* over all valid completions (ddof 1), as TRL 1.16 logs it; NaN under two */
    int zero_variance; /* groups whose valid rewards are all exactly equal (or under two valid) */
    int invalid;       /* completions left out */
};

/* advantage (groups · per_group): A = (r − group mean) / (s + 1e-4), where s is the group's
 * deviation (ddof 1), the whole batch's, or absent (no division). A group whose valid rewards are
 * exactly equal (one valid reward, too) has A = 0 exactly, whatever the rounding of its mean.
 * Rewards that are valid are finite (CHECK). Arithmetic in double, rounded once. */
void advantage_compute(float *advantage, const double *reward, const bool *valid, int groups,
                       int per_group, enum scale_rewards scale, struct advantage_stats *stats);

#endif
