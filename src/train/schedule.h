/* schedule.h: learning rates as transformers' get_scheduler gives them. */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

enum schedule {
    SCHEDULE_CONSTANT,
    SCHEDULE_CONSTANT_WITH_WARMUP,
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_COSINE_WITH_MIN_LR
};
extern const char *const schedule_names[]; /* NULL-terminated */

/* ceil(max_steps · ratio), as transformers rounds it. */
int schedule_warmup_steps(int max_steps, double ratio);
/* Learning rate of optimizer step `step` (1-based): the scheduler's factor at step − 1, times base.
 * With a warm-up the first step therefore runs at 0. `constant` has no warm-up, whatever is given.
 * min_rate is the share of base that cosine_with_min_lr ends at; the others take no notice of it.
 */
double schedule_lr(enum schedule schedule, double base, int step, int warmup_steps, int max_steps,
                   double min_rate);

#endif
