/* sampling.h: the first stages of a step where completions are sampled: rows are dealt, sampled and
 * judged, and under dynamic_sampling groups that teach nothing are drawn again.
 *
 * Refilling (DAPO, arXiv 2503.14476 section 3.2, within a budget): a group whose rewards are all
 * equal (under gdpo: each of its components) is replaced by completions of the next prompt of its
 * own task's deck, all such groups side by side, for at most dynamic_sampling_max_rounds rounds.
 * What then still has no signal stays: it adds nothing to the gradient, and the step goes on. As
 * the place of a group keeps its task, the tasks' shares of what is learnt from are those that were
 * planned: with task_sampler mtgrpo this is arXiv 2602.05547's ratio-preserving sampling, its
 * deficits drawn one for one instead of oversampled in advance.
 * Replaced completions leave no line in samples.jsonl, so a replay of it is the run; they count in
 * rollout tokens, reward failures, decks and in what a task sampler sees; rewards and lengths among
 * the metrics are of what was kept. */
#ifndef TRAIN_SAMPLING_H
#define TRAIN_SAMPLING_H
#include "train/grpo.h"

/* Fills g->gen for `step`, rewards and old log-probabilities with it, and g->report; g->dealt is
 * then where the decks stand. The decks' cursor is unchanged. */
int sampling_run(struct grpo *g, int step, struct err *err);
/* The first step of the generation has ended well: the cursor moves on, the task sampler learns
 * what was seen, replaced completions are counted. */
void sampling_commit(struct grpo *g);
/* How much was refilled, where dynamic_sampling is on and the generation was sampled. */
void sampling_metrics(struct grpo *g);
/* Each task's weight, by which the prompts of the stretch at hand are dealt. */
void sampling_weight_metrics(struct grpo *g);

#endif
