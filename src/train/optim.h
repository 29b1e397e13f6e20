/* optim.h: the optimizer's state and one update: clipping by global norm, then AdamW. */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H
#include "base/str.h"
#include "train/trainable.h"

struct optimizer {
    struct device *d;
    size_t n;                    /* parameters */
    float *exp_avg, *exp_avg_sq; /* (n), device */
};

struct optimizer_call {
    double learning_rate, beta1, beta2, epsilon;
    double weight_decay;  /* of the tensors that decay (trainable.h) */
    double max_grad_norm; /* 0: no clipping */
    int step;             /* 1-based */
};

int optimizer_create(struct optimizer *o, struct device *d, size_t n, struct err *err);
void optimizer_free(struct optimizer *o);

/* One update of the parameters by `grad` (device, scaled in place by the clip factor
 * min(1, max_grad_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_). *norm is the norm
 * before clipping; when it is not finite nothing is changed and the result is ERR_MACHINE. */
int optimizer_step(struct optimizer *o, const struct trainable *t, float *grad,
                   const struct optimizer_call *call, double *norm, struct err *err);

/* optimizer.safetensors: tensors exp_avg.NAME and exp_avg_sq.NAME under the parameters' names. */
int optimizer_write(const struct optimizer *o, const struct trainable *t, struct str *out,
                    struct err *err);
int optimizer_load(struct optimizer *o, const struct trainable *t, const char *path,
                   struct err *err);

#endif
