/* optim_options.h: the keys of a recipe that say how the optimizer goes: learning rate and its
 * course, AdamW, clipping, how long. `grpo train` and `grpo pretrain` share them; only the default
 * of learning_rate is each one's own. */
#ifndef TRAIN_OPTIM_OPTIONS_H
#define TRAIN_OPTIM_OPTIONS_H
#include "recipe/option.h"
#include "train/optim.h"
#include "train/schedule.h"

struct scheduler_options { /* of cosine_with_min_lr: one of them; NaN where not given */
    double min_lr, min_lr_rate;
};

struct optim_options {
    double learning_rate, warmup_ratio, warmup_steps, weight_decay, adam_beta1, adam_beta2,
        adam_epsilon, max_grad_norm;
    int lr_scheduler_type; /* enum schedule */
    struct scheduler_options lr_scheduler_kwargs;
    int max_steps; /* 0: as num_train_epochs says */
    double num_train_epochs;
};

enum { OPTIM_OPTION_TABLES = 2 };
/* Tables that fill *o, all but learning_rate: top level, lr_scheduler_kwargs. */
void optim_option_tables(struct optim_options *o, struct option_table tables[OPTIM_OPTION_TABLES]);
/* What one key alone cannot say; warmup_steps below 1 becomes warmup_ratio. needs_length: one of
 * max_steps and num_train_epochs must be there. */
int optim_options_check(const recipe *r, struct optim_options *o, bool needs_length,
                        struct err *err);

/* Steps of warm-up in a run of max_steps. */
int optim_warmup_steps(const struct optim_options *o, int max_steps);
/* What the schedule ends at, as a share of learning_rate; 0 where nothing says so. */
double optim_min_lr_rate(const struct optim_options *o);
/* The settings of optimizer step `step` (1-based). */
struct optimizer_call optim_call(const struct optim_options *o, int step, int warmup_steps,
                                 int max_steps);

#endif
