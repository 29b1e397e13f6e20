/* pretrain.h: pretraining from a recipe to a run folder: steps, held-out losses, checkpoints,
 * resume, the final model. What one step does is in pretrain_step.h. The folder: run.json,
 * metrics.jsonl, timing.jsonl (track.h; samples.jsonl stays empty), checkpoints/ (checkpoint.h),
 * model/ (pretrain_export.h) once the last step is done, and .lock. */
#ifndef TRAIN_PRETRAIN_H
#define TRAIN_PRETRAIN_H
#include "train/pretrain_options.h"

struct pretrain_spec {
    const struct pretrain_options *o;
    const recipe *recipe; /* for the resolved text in run.json and checkpoints */
    const char *run;      /* the run folder */
    bool resume;
    const char *const *allow; /* names of differences a resume may pass over */
    size_t n_allow;
    struct device *device;
};

struct pretrain_result {
    int steps;             /* done in all */
    bool already_finished; /* --resume found nothing to do and changed nothing */
};

/* ERR_INTERRUPTED after a signal, with the state saved. The caller has installed interrupt_catch.
 */
int pretrain_run(const struct pretrain_spec *spec, struct pretrain_result *result, struct err *err);

#endif
