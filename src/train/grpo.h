/* grpo.h: one GRPO step. Everything it works on is opened, sized and owned by the trainer. */
#ifndef TRAIN_GRPO_H
#define TRAIN_GRPO_H
#include "train/dealer.h"
#include "train/gradient.h"
#include "train/metrics.h"
#include "train/optim.h"
#include "train/options.h"
#include "train/samples.h"
#include "train/selfcheck.h"
#include "train/task_sampler.h"

struct grpo_times {                   /* seconds of the last step */
    double rollout, gradient, update; /* rollout: with the reference's scores and the rewards */
    double judging;                   /* of it, texts and rewards behind the last token */
    struct rollout_counts decoding;   /* of its rollout alone */
};

/* What sampling a generation took and showed; per task, with one deck as task 0. */
struct sampling_report {
    int rounds, refilled; /* rounds of refilling; groups drawn to take the place of another */
    long long tokens;     /* of completions, those of groups that were replaced with them */
    long long replaced,
        replaced_failures; /* completions of such groups; those whose reward failed */
    struct task_report {
        int groups, flat; /* drawn; without signal */
        int rewards;      /* valid ones */
        double sum;       /* of them */
    } task[DEALER_MAX_TASKS];
};

struct grpo {
    const struct train_options *o;
    int max_steps, warmup_steps;
    model *m;
    adapter *a;
    const adapter *reference; /* of the KL; NULL: the bare base */
    struct episode episode;
    const struct dataset *data;  /* NULL under replay without data */
    const struct replay *replay; /* completions come from here instead of the rollout; or NULL */
    struct dealer dealer;
    struct task_sampler sampler; /* of the dealer's tasks */
    gradient *gradient;
    struct optimizer optimizer;
    struct generation gen;
    struct loss_params loss;
    int max_prompt_tokens;
    /* counters of the run, part of a checkpoint; changed only when a step has ended well */
    long long num_tokens, rewards, reward_failures;
    struct dealer_cursor cursor;
    /* of the generation at hand; dealt: the cursor behind it, until its first step has ended */
    struct dealer_cursor dealt;
    struct sampling_report report;
    struct selfcheck selfcheck;
    /* of the last step */
    struct metrics metrics;
    struct grpo_times times;
};

/* Whether step (1-based) samples anew, or goes on with the generation at hand (num_iterations,
 * steps_per_generation). */
bool grpo_generates(const struct grpo *g, int step);

/* Optimizer step `step`: roll out, score, advantage, loss and gradient, update. On error, adapter,
 * optimizer and counters are as before, but for selfcheck_update's, whose run is lost. */
int grpo_step(struct grpo *g, int step, struct err *err);

/* After a resume in the middle of a generation: takes its completions from saved samples. */
int grpo_restore_generation(struct grpo *g, const struct replay *saved, int step, struct err *err);

#endif
