/* pretrain_plan.h: what a pretraining run will take, before anything is allocated: memory by part,
 * the rows of a pass, steps and epochs. The figures come from the functions that allocate. */
#ifndef TRAIN_PRETRAIN_PLAN_H
#define TRAIN_PRETRAIN_PLAN_H
#include "train/plan.h"
#include "train/pretrain_corpus.h"
#include "train/pretrain_options.h"

struct pretrain_plan {
    struct plan_part parts[PLAN_PARTS];
    int n_parts;
    size_t total, budget; /* bytes */
    size_t parameters;
    int max_context;           /* positions */
    int micro_batch, max_rows; /* of a pass */
    int max_steps, warmup_steps;
    double epochs, rows_a_step; /* of a step: the mean */
    size_t checkpoint_bytes;
};

struct pretrain_plan_input {
    const struct device *d;
    const struct hf_config *config;
    const struct pretrain_options *o;
    const struct corpus_dealer *dealer;
    const struct corpus *eval_data; /* or NULL */
    size_t program_bytes;           /* of the process by now, the documents among them */
};

/* Chooses the largest pass within the budget that still helps speed. ERR_MACHINE when not even the
 * smallest fits; ERR_USAGE when sequences are longer than the config's context. */
int pretrain_plan_make(struct pretrain_plan *out, const struct pretrain_plan_input *in,
                       struct err *err);
/* Lines for people. */
void pretrain_plan_print(struct str *out, const struct pretrain_plan *p,
                         const struct pretrain_plan_input *in);

#endif
