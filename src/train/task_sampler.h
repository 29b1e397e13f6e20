/* task_sampler.h: how the tasks' shares of the prompts change in the course of a run. Pure: state
 * in a struct of numbers, which is part of a checkpoint; no draws (the dealer makes them).
 *
 *   fixed         as the recipe's task_weights say
 *   uniform       1/K each
 *   proportional  as many as the task has rows
 *   dynamic       the reference experiment's rule: of every task whose signal rose by less than
 * 0.01 since the last update the weight is multiplied by 1.3, to at most 0.60; where it rose by
 * more than 0.05, by 0.85, to at least 0.10; then all are divided by their sum, after which the
 * bounds may not hold any more mtgrpo        improvement-aware weights (arXiv 2602.05547,
 * subroutine 1): with z = softmax(ξ), J the tasks' signal and I its rise since the last update,
 * clipped, s = I + λ·J,  g_k = z_k (s_k − Σ_j z_j s_j),  ξ by a step of AdamW along g, so that
 * tasks that are bad and do not get better gain. The weights are softmax(ξ), held between
 * min_weight and max_weight with the ratios between kept.
 *
 * The signal is a task's mean reward: of the last evaluation, or (train_ema) a moving average over
 * the steps that had prompts of it, for a step of one prompt sees one task. A task of which nothing
 * is known at an update is left alone. Rises are counted from the first update on: what was
 * measured before the first step is no update, as in the document. */
#ifndef TRAIN_TASK_SAMPLER_H
#define TRAIN_TASK_SAMPLER_H
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/json.h"

enum { TASKS_MAX = 64 };

/* In the order of the option's choices; SAMPLER_FIXED is not one of them. */
enum task_sampler_kind {
    SAMPLER_FIXED = -1,
    SAMPLER_UNIFORM,
    SAMPLER_PROPORTIONAL,
    SAMPLER_DYNAMIC,
    SAMPLER_MTGRPO
};
extern const char *const task_sampler_names[]; /* "uniform", …, "mtgrpo", NULL */
enum sampler_signal { SIGNAL_NONE = -1, SIGNAL_EVAL, SIGNAL_TRAIN_EMA };
extern const char *const sampler_signal_names[]; /* "eval", "train_ema", NULL */

struct task_sampler_settings {
    double ema_decay;                                   /* of train_ema */
    double learning_rate, weight_decay, tradeoff, clip; /* mtgrpo: AdamW's, λ, bound of |I| */
    double min_weight, max_weight;                      /* mtgrpo */
};

struct task_sampler {
    int kind, signal; /* enum task_sampler_kind, enum sampler_signal */
    int n;            /* tasks; 0: the rows are one deck */
    struct task_sampler_settings settings;
    int updates;
    double weight[TASKS_MAX]; /* in force; they sum to 1 */
    double logit[TASKS_MAX];  /* ξ, and its moments */
    double exp_avg[TASKS_MAX], exp_avg_sq[TASKS_MAX];
    double ema[TASKS_MAX];      /* of the training rewards; NaN: none seen yet */
    double last[TASKS_MAX];     /* the signal at the last update; NaN: unknown then */
    double filtered[TASKS_MAX]; /* moving average (0.9) of the share of groups without signal */
};

/* Start weights sum to 1; all are above 0 (CHECK). */
void task_sampler_start(struct task_sampler *s, int kind, int signal,
                        const struct task_sampler_settings *settings, const double *weight, int n);
bool task_sampler_moves(int kind); /* whether weights of this kind ever change */
/* A step's mean training reward of a task; its share of groups without signal. */
void task_sampler_see_reward(struct task_sampler *s, int task, double mean);
void task_sampler_see_filtered(struct task_sampler *s, int task, double share);
/* The tasks' signal at an update (n; NaN: unknown; not NULL where it is eval); changes the weights.
 */
void task_sampler_update(struct task_sampler *s, const double *signal);

/* out_k = min(max(c·z_k, low), high) with the c that makes them sum to 1; z (n) sums to 1,
 * n·low ≤ 1 ≤ n·high (CHECK). */
void task_weights_bound(double *out, const double *z, int n, double low, double high);

/* As a JSON object, task by task under its name; and back. Reading starts from *s as made by
 * task_sampler_start and leaves it so where `saved` is NULL or of another kind (a difference that
 * --allow let pass); a task that it does not name stays as it starts, and so do weights that never
 * move, which the recipe or the data may have changed. ERR_INPUT: a value that no
 * sampler wrote. */
void task_sampler_write(struct json_writer *w, const struct task_sampler *s,
                        const char *const *task);
int task_sampler_read(struct task_sampler *s, const json_t *saved, const char *const *task,
                      const char *where, struct err *err);

#endif
