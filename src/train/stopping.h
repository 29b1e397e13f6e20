/* stopping.h: the best evaluation so far, and early stopping as transformers'
 * EarlyStoppingCallback: an evaluation counts as better when it exceeds the best by more than the
 * threshold; after `patience` evaluations in a row that are not better, the run ends. What is kept
 * as best is any improvement, however small, so the bar rises with it. The evaluation before the
 * first step is the first to beat. All of it is state of a checkpoint. */
#ifndef TRAIN_STOPPING_H
#define TRAIN_STOPPING_H
#include "data/rows.h"
#include "episode/episode.h"

struct best_so_far {
    bool known;
    double value; /* of metric_for_best_model */
    int step;
    int not_better; /* evaluations in a row that did not exceed the best by the threshold */
};

/* Takes an evaluation's value after `step`; true: it is the best so far. */
bool best_update(struct best_so_far *best, double value, double threshold, int step);
/* Whether the run ends here; patience 0: never. */
bool early_stop(const struct best_so_far *best, int patience);

/* Whether an evaluation over these rows under these rewards will have a metric of this name: asked
 * before the first step, not after the first evaluation. */
bool eval_metric_exists(const char *name, const struct dataset *rows,
                        const struct reward_set *rewards);
/* ERR_INPUT naming the line whose task would make a metric that is there already (eval/TASK and
 * eval/TASK_se stand beside those of all tasks), or one that is too long. */
int eval_metric_check(const struct dataset *rows, struct err *err);
/* The names worth choosing from, for messages. */
void eval_metric_list(struct str *out, const struct dataset *rows,
                      const struct reward_set *rewards);

#endif
