/* model.h: a causal language model with a LoRA adapter. Token ids in; hidden states, log-probs and
 * adapter gradients out. It knows neither text nor rewards.
 *
 * One forward function serves prompts, decoding and training. A batch is ragged: the tokens of all
 * segments end to end. Keys and values live in rows of a kv_cache; a segment's queries see an
 * optional shared prefix (the prompt, computed once for a group) and the segment's own rows.
 *
 * A completion's segment starts with the *last prompt token*: its inputs are (last prompt token,
 * c1, …, c(T−1)) and its targets (c1, …, cT). The prefix is the prompt without its last token, so
 * it contributes keys and values only: no loss, no LM head, no cross-talk of hidden states.
 *
 * Training keeps the activations of a batch (struct activations). Backward goes through completions
 * first; they leave gradients of the prefix's keys and values, summed in a fixed tree over the
 * group's completions (grad_tree.h), and the prefix's own backward pass comes last. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"
#include "base/err.h"
#include "formats/hf_config.h"
#include "formats/peft.h"
#include "formats/safetensors.h"

typedef struct model model;     /* frozen base weights, prepared once; owns rotary tables */
typedef struct adapter adapter; /* LoRA parameters, f32, flat; and their prepared copies */

/* --- base model --- */
/* Every tensor the architecture needs must be there with the right shape, finite; tensors it does
 * not know are an error too (but a tied lm_head.weight equal to the embedding is accepted).
 * max_context bounds positions (0: the config's). */
int model_open(model **out, struct device *d, const char *folder, int max_context, struct err *err);
int model_create(model **out, struct device *d, const struct hf_config *config,
                 const struct tensor_set *weights, int max_context, struct err *err);
void model_close(model *m);
const struct hf_config *model_config(const model *m);
struct device *model_device(const model *m);
int model_max_context(const model *m);
size_t model_weight_bytes(const struct device *d, const struct hf_config *config,
                          int max_context); /* for the plan: weights, norms, rotary tables */

/* --- adapter --- */
struct adapter_tensor { /* one LoRA matrix inside the flat parameter block */
    char name[160];     /* PEFT's name */
    size_t offset;      /* in floats */
    int rows, cols;     /* A: (r, K); B: (N, r) */
    int layer;
    enum projection projection;
    bool is_b;
};
/* New: A ~ Kaiming uniform(√5) as PEFT, U(−1/√K, 1/√K) drawn from (seed, tensor name), B = 0. */
int adapter_create(adapter **out, model *m, const struct peft_config *config, uint64_t seed,
                   struct err *err);
/* From a PEFT folder or tensors; wrong shape, missing or unknown tensor, NaN: ERR_INPUT. */
int adapter_open(adapter **out, model *m, const char *folder, struct err *err);
int adapter_load(adapter *a, const struct tensor_set *tensors, struct err *err);
void adapter_close(adapter *a);
const struct peft_config *adapter_config(const adapter *a);
size_t adapter_size(const adapter *a); /* parameters, in floats */
size_t adapter_floats(const struct hf_config *config, const struct peft_config *lora); /* same */
/* Bytes of an adapter: its parameters and their prepared copies. */
size_t adapter_bytes(const struct device *d, const struct hf_config *config,
                     const struct peft_config *lora);
float *adapter_params(adapter *a); /* device, flat */
const struct adapter_tensor *adapter_tensors(const adapter *a, int *n);
void adapter_refresh(adapter *a); /* re-prepare after params changed */
/* Writes adapter_model.safetensors and adapter_config.json into an existing folder (fsynced). */
int adapter_save(adapter *a, const char *folder, struct err *err);

/* --- keys and values --- */
struct kv_cache {
    struct device *d;
    void **k, **v; /* per layer: (rows, kv_heads·head_dim), the cache's type */
    int layers, rows;
};
int kv_cache_create(struct kv_cache *kv, model *m, int rows, struct err *err); /* zeroed */
void kv_cache_free(struct kv_cache *kv);
size_t kv_cache_bytes(const struct device *d, const struct hf_config *config, int rows);

/* --- forward --- */
struct batch {
    int rows;             /* tokens in all segments */
    const int *ids;       /* (rows), host */
    const int *positions; /* (rows): absolute, prefix_len + own index */
    const int *kv_rows;   /* (rows): where each row's key and value go */
    const struct attn_span *spans;
    int n_spans;
};

typedef struct activations activations; /* what backward needs, for up to max_rows rows */
int activations_create(activations **out, model *m, const struct peft_config *lora, int max_rows,
                       struct err *err);
void activations_free(activations *acts);
size_t activations_bytes(const struct device *d, const struct hf_config *config,
                         const struct peft_config *lora, int max_rows);

/* Scratch of a forward pass without gradient, for up to max_rows rows. `lora` as of activations:
 * the largest adapter that passes run with (the device reserves its rank); NULL: none. */
typedef struct workspace workspace;
int workspace_create(workspace **out, model *m, const struct peft_config *lora, int max_rows,
                     struct err *err);
void workspace_free(workspace *w);
size_t workspace_bytes(const struct device *d, const struct hf_config *config,
                       const struct peft_config *lora, int max_rows);

/* The device's own scratch for passes of up to max_rows rows (workspaces and activations reserve
 * it). */
size_t model_scratch_bytes(const struct device *d, const struct hf_config *config,
                           const struct peft_config *lora, int max_rows, int max_context);

/* hidden (rows, H), device: states after the final norm, or NULL when only keys and values are
 * wanted (a prefix: the last layer stops after its keys and values). a NULL: the bare base. */
void model_forward(model *m, const adapter *a, struct kv_cache *kv, workspace *w, float *hidden,
                   const struct batch *batch);
/* The same numbers, keeping what backward needs. `batch` tables are copied. */
void model_forward_train(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                         float *hidden, const struct batch *batch);

/* --- backward --- */
struct segment_gradient { /* where one segment (span) of the batch leaves its gradients */
    float *params;        /* device, adapter_size floats: overwritten */
    float *prefix_kv;     /* device, prefix_kv_size floats: overwritten; NULL without a prefix */
};
/* Floats of the gradient of a prefix's keys and values, all layers: [layer][k|v][row][kv dim]. */
size_t prefix_kv_size(const struct hf_config *config, int prefix_len);
/* Completions: dhidden (rows, H) is overwritten along the way. segs: one per span. */
void model_backward(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                    float *dhidden, const struct segment_gradient *segs);
/* A prefix (one span, no prefix of its own): its gradient comes through its keys and values. */
void model_backward_prefix(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                           const float *dprefix_kv, float *params_gradient);

/* --- heads --- (see backend.h for the exact meaning) */
const weight *model_head(const model *m);

#endif
