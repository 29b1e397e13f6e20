/* evaluation.h: the evaluation that the trainer calls back for. Train and eval do not see each
 * other; this room sees both. */
#ifndef PROTOCOL_EVALUATION_H
#define PROTOCOL_EVALUATION_H
#include "train/trainer.h"

/* A trainer_eval: the rows of eval_data under the adapter at hand. Writes RUN/eval/step-N.json and
 * adds "eval/mean_reward", "eval/<task>", their standard errors, truncation, length and rewards. */
int protocol_evaluate(const struct trainer_eval_call *call, struct metrics *out, struct err *err);

#endif
