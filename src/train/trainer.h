/* trainer.h: one seed's training, from a recipe to a run folder: steps, evaluations, checkpoints,
 * resume. What one step does is in grpo.h. The folder: run.json (what produced it), metrics.jsonl,
 * samples.jsonl, timing.jsonl (track.h), eval/step-N.json (eval.h), checkpoints/ (checkpoint.h),
 * best_checkpoint/ (an adapter with tokenizer and template) and .lock.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H
#include "episode/batch.h"
#include "train/metrics.h"
#include "train/options.h"

/* An evaluation the trainer asks for. Train and eval do not see each other: it calls back. */
struct trainer_eval_call {
    int step;        /* optimizer steps done */
    const char *run; /* the run folder; eval/ exists */
    const struct train_options *o;
    const struct episode *episode; /* with rewards */
    const adapter *a;
    const struct dataset *data;           /* eval_data */
    int max_sequences, max_prompt_tokens; /* the rollout's */
};
/* Writes RUN/eval/step-N.json and appends "eval/<task>", "eval/mean_reward", … to *out. */
typedef int trainer_eval(const struct trainer_eval_call *call, struct metrics *out,
                         struct err *err);

struct trainer_spec {
    const struct train_options *o;
    const recipe *recipe; /* for the resolved text in run.json and checkpoints */
    const char *run;      /* the run folder */
    const char *replay;   /* samples to take instead of sampling, or NULL */
    bool resume;
    const char *const *allow; /* names of differences a resume may pass over */
    size_t n_allow;
    struct device *device;
    trainer_eval *evaluate; /* NULL: no evaluations */
    bool told; /* who calls has told people what is odd about rewards and plan already */
};

struct trainer_result {
    int steps;             /* done in all */
    bool already_finished; /* --resume found nothing to do and changed nothing */
    bool stopped_early;
    bool has_best;
    bool best_is_there; /* best_checkpoint/ has not been deleted since */
    double best;
    int best_step;
};

/* ERR_INTERRUPTED after a signal, with the state saved. The caller has installed interrupt_catch.
 */
int trainer_run(const struct trainer_spec *spec, struct trainer_result *result, struct err *err);

#endif
