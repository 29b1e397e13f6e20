/* gradient.h: loss and gradient of one optimizer step.
 *
 * For each group: forward of the prompt (kept), then completions in micro-batches (forward, loss,
 * backward), then the prompt's backward pass from the summed gradients of its keys and values. Each
 * completion's gradient is one leaf of a fixed tree over its index in the step (model/grad_tree.h),
 * each prompt's is the leaf after its completions: how many completions share a pass changes no
 * bit. Where a generation serves several steps, the others' completions are leaves without a value.
 */
#ifndef TRAIN_GRADIENT_H
#define TRAIN_GRADIENT_H
#include "model/model.h"
#include "train/generation.h"
#include "train/loss.h"

typedef struct gradient gradient;

struct gradient_size {
    int micro_batch;           /* completions of a pass */
    int max_completion_length; /* tokens */
    int max_prompt_length;     /* tokens */
    int groups, per_group;     /* of a generation, at most */
};
int gradient_create(gradient **out, model *m, const struct peft_config *lora,
                    const struct gradient_size *size, struct err *err);
void gradient_free(gradient *g);
/* Everything gradient_create allocates from the device, in bytes. */
size_t gradient_bytes(const struct device *d, const struct hf_config *config,
                      const struct peft_config *lora, size_t adapter_floats,
                      const struct gradient_size *size);

struct gradient_call {
    const adapter *a;
    const struct loss_params *loss;
    double temperature;
    bool top_entropy; /* tokens of gen->entropy below min_entropy carry no policy term */
    float min_entropy;
    bool (*stop)(void); /* polled between micro-batches: ERR_INTERRUPTED; may be NULL */
};
/* The completions of the current step (generation_in_step): fills gen->logp, entropy and dlogp, and
 * gen->old where it is not known yet; sums the losses; *total is the step's gradient (device,
 * adapter_size floats), owned by g until the next call. A log-probability that is not finite is
 * ERR_MACHINE naming the completion. */
int gradient_compute(gradient *g, const struct gradient_call *call, struct generation *gen,
                     struct loss_sums *sums, float **total, struct err *err);

#endif
