/* full.h: a model all of whose parameters are trained (pretraining). The adapter's counterpart: f32
 * masters in one flat block, and the prepared weights that every forward pass reads, made from
 * them.
 *
 * The prepared weights are an ordinary `model`: sampling, scoring and evaluation do not know that
 * it is being trained. */
#ifndef MODEL_FULL_H
#define MODEL_FULL_H
#include "model/model.h"

typedef struct full_model full_model;

struct full_tensor { /* one parameter tensor inside the flat block, Hugging Face's name */
    char name[160];
    size_t offset;  /* in floats */
    int rows, cols; /* a matrix (rows, cols), or a vector (rows) with cols 0 */
    bool decays;    /* weight decay applies: matrices, not norms and biases */
};

/* New parameters as transformers initialises them: matrices N(0, std²) with std = initializer_range
 * drawn from (seed, tensor name, index), gains 1, biases 0. A tied head is one tensor. */
int full_create(full_model **out, struct device *d, const struct hf_config *config, int max_context,
                double std, uint64_t seed, struct err *err);
/* Masters from tensors of any float dtype; missing, unknown, wrong shape, NaN: ERR_INPUT. */
int full_load(full_model *f, const struct tensor_set *tensors, struct err *err);
void full_close(full_model *f);
size_t full_floats(const struct hf_config *config); /* parameters */
size_t full_bytes(const struct device *d, const struct hf_config *config, int max_context);

model *full_weights(full_model *f); /* the prepared weights; owned by f */
float *full_params(full_model *f);  /* device, flat, full_floats() */
const struct full_tensor *full_tensors(const full_model *f, int *n);
void full_refresh(
    full_model *f); /* prepare the weights again, in place, after the masters changed */
/* Writes model.safetensors into an existing folder (fsynced); dtype: DTYPE_F32 or DTYPE_BF16. */
int full_save(full_model *f, const char *folder, enum dtype dtype, struct err *err);

/* grad (device, full_floats) += gradient of Σ dlogp[r] · log p(targets[r] | …) over the rows of
 * `batch`, and logp (host, rows) = those log-probabilities at temperature 1. Spans are whole
 * sequences without prefixes, their rows end to end; acts are made of full_weights(f) without an
 * adapter; hidden: device, (rows, H), scratch.
 *
 * Every element of grad is one accumulator that takes the rows in order (of a tied matrix: sequence
 * by sequence, first the head's rows, then the embedding's), so a step's gradient does not depend
 * on how its sequences are cut into batches. Nothing is allocated. */
void full_gradient(full_model *f, struct kv_cache *kv, activations *acts, float *hidden,
                   const struct batch *batch, const int *targets, const float *dlogp, float *logp,
                   float *grad);

#endif
