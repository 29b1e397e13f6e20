/* measure.h: what a step will take, from one that is really done: a rollout, scores, gradient and
 * update at reduced size, thrown away, scaled to the plan's size. Two estimates: at most, when
 * every completion runs to max_completion_length; and likely, when they go on ending at the rate
 * seen. */
#ifndef TRAIN_MEASURE_H
#define TRAIN_MEASURE_H
#include "train/setup.h"

struct measured {
    /* what was done */
    int groups, per_group, max_tokens; /* max_tokens: of a completion */
    long tokens;                       /* drawn in all */
    double rollout, gradient, update;  /* seconds */
    double clipped;                    /* share of completions that the limit cut */
    /* what follows for the plan; a step's seconds are the mean over those that sample and those
     * that do not */
    struct measured_time {
        double tokens;                /* of a completion, on average */
        double step, evaluation, run; /* seconds */
    } most, likely;
};

/* Evaluations of a run by its options: before the first step, every eval_steps, after the last. */
int measure_evaluations(const struct setup *s);
/* `s` is open and planned, and stays as it is. */
int measure_step(struct measured *out, const struct setup *s, struct err *err);

#endif
