/* advantage.h: from rewards to advantages (research/algorithms.md sections 2 and 4.3).
 *
 * Rewards of a step lie group by group, `per_group` completions each. A completion without a valid
 * reward (a failure of the machinery) is left out of every mean and deviation and gets advantage 0.
 *
 *   grpo       A = (r − group mean) / (s + 1e-4): s the group's deviation, the whole batch's, or no
 *              division, as scale_rewards says (TRL's sum_then_normalize)
 *   loo        A = r − mean of the group's other valid rewards, unscaled (TRL's RLOOTrainer)
 *   gdpo       for each column k and group (c − mean) / (s + 1e-4) over the values that are there,
 *              times w_k, summed over k; then divided by (deviation over the batch + 1e-4)
 *              (arXiv 2601.05242 section 3; TRL's normalize_then_sum)
 *   gdpo_flat  the reference experiment's own function, kept for comparison: one column a task with
 *              0 for the completions of other tasks, each normalised over the whole list where its
 *              deviation is above 1e-8, then summed; no groups, no weights, no batch step
 *
 * Deviations have ddof 1. What is exactly equal has no variance, whatever the rounding of its mean.
 */
#ifndef TRAIN_ADVANTAGE_H
#define TRAIN_ADVANTAGE_H
#include <stdbool.h>
#include <stddef.h>

enum scale_rewards { SCALE_GROUP, SCALE_BATCH, SCALE_NONE };
extern const char *const scale_rewards_names[]; /* "group", "batch", "none", NULL */
enum advantage_kind { ADVANTAGE_GRPO, ADVANTAGE_GDPO, ADVANTAGE_GDPO_FLAT, ADVANTAGE_LOO };
extern const char *const advantage_names[]; /* "grpo", "gdpo", "gdpo_flat", "loo", NULL */

struct advantage_input {
    enum advantage_kind kind;
    enum scale_rewards scale; /* of grpo; nothing to the others */
    int groups, per_group;
    const double *reward; /* (groups · per_group); finite where valid (CHECK) */
    const bool *valid;    /* (groups · per_group) */
    /* gdpo: what a completion's reward is made of. Value k of completion i stands at
     * column[k · stride + i]; NaN: absent. */
    int n_columns;
    size_t stride;
    const double *column, *weight; /* weight: (n_columns) */
    const int *task;               /* gdpo_flat: (groups), equal numbers are the same task */
    double *scratch;               /* gdpo and gdpo_flat: room for groups · per_group */
};

struct advantage_stats {
    double reward_mean; /* over valid completions; NaN when there is none */
    double reward_std; /* over all valid completions (ddof 1), as TRL 1.16 logs it; NaN under two */
    int zero_variance; /* groups without signal: see advantage_has_signal */
    int invalid;       /* completions left out */
};

/* advantage: (groups · per_group). Arithmetic in double, rounded once. A group without signal has
 * A = 0 exactly (but not under gdpo_flat, which knows no groups). */
void advantage_compute(float *advantage, const struct advantage_input *in,
                       struct advantage_stats *stats);
/* Whether a group has something to compare: two valid rewards that are not equal, or under gdpo a
 * column of weight with two values that are not. */
bool advantage_has_signal(const struct advantage_input *in, int group);
/* gdpo: how many groups have column k at all, and in how many of them it has no variance. */
void advantage_column_groups(const struct advantage_input *in, int k, int *present, int *flat);

#endif
