/* internal.h: the model room's own structs, shared by its files. */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H
#include "base/map.h"
#include "model/model.h"

struct layer_weights {
    weight *proj[N_PROJECTIONS];
    float *input_norm, *post_norm; /* (hidden), device */
    float *q_norm, *k_norm;        /* (head_dim), device, or NULL */
    float *bias[N_PROJECTIONS];    /* (the projection's output), device, or NULL; frozen */
};

struct model {
    struct device *d;
    struct hf_config config;
    int max_context;
    struct layer_weights *layers;
    weight *embedding, *head; /* head == embedding when tied */
    float *final_norm;        /* (hidden) */
    float *cos, *sin;         /* (max_context, head_dim / 2) */
};

struct adapter_pair {          /* one adapted projection; a == NULL: not adapted */
    weight *a, *b;             /* prepared */
    size_t a_offset, b_offset; /* into params, in floats */
};

struct adapter {
    model *m;
    struct peft_config config;
    float scale;
    size_t size;
    float *params;              /* device */
    struct adapter_pair *pairs; /* [layer · N_PROJECTIONS + projection] */
    struct adapter_tensor *tensors;
    int n_tensors;
};

/* Inner (K) and outer (N) size of a projection. */
int projection_in(const struct hf_config *c, enum projection p);
int projection_out(const struct hf_config *c, enum projection p);
struct attn_dims model_dims(const struct hf_config *c, int cache_rows);
/* out (head_dim / 2): radians a position of each rotated pair, with rope scaling applied. */
void rotary_frequencies(float *out, const struct hf_config *c);
/* The linear of one layer's projection, with the adapter's branch when there is one. */
struct linear model_linear(const model *m, const adapter *a, int layer, enum projection p);

/* What one layer keeps of a batch, (rows, …) each. Without gradient all layers share one set. */
struct layer_acts {
    float *x;                /* (H) the layer's input */
    float *inv1, *inv2;      /* (1) of the two norms */
    float *q, *k;            /* (heads·D), (kv_heads·D) before head norm; only with qk norm */
    float *q_rot;            /* (heads·D) */
    float *attn, *lse;       /* (heads·D), (heads) */
    float *mid;              /* (H) after the attention's residual */
    float *gate, *up;        /* (I) */
    float *u[N_PROJECTIONS]; /* (rank) of each adapted projection, or NULL */
};

/* Scratch that no layer keeps. */
struct layer_scratch {
    float *normed;    /* (H) */
    float *q, *k, *v; /* (heads·D), (kv·D), (kv·D): projections' outputs */
    float *act;       /* (I) silu(gate)·up */
};

struct workspace {
    struct device *d;
    struct layer_acts acts;
    struct layer_scratch scratch;
    float *block;
    int max_rows;
};

struct activations {
    struct device *d;
    struct layer_acts *layers; /* [layers] */
    struct layer_scratch scratch;
    float *final_x, *final_inv; /* (H), (1): input of the final norm */
    /* backward's scratch */
    float *dx, *dnormed;         /* (H) */
    float *dq, *dk, *dv, *dattn; /* (heads·D), (kv·D) ×2, (heads·D) */
    float *dact, *dgate, *dup;   /* (I) */
    float *du;                   /* (rank) */
    float *block;
    int max_rows;
    /* the batch of the last forward pass */
    int rows, n_spans;
    int *positions;                 /* (max_rows) host */
    struct attn_span *spans;        /* (max_rows) host */
    float **dk_prefix, **dv_prefix; /* (max_rows) host */
    bool prefix_only; /* the forward pass stopped after the last layer's keys and values */
};

/* --- tensors of a file, checked against the config (weights.c) --- */
struct loader {
    model *m; /* being made, or NULL */
    const struct tensor_set *set;
    struct map seen;
    struct team *team; /* that looks through the values, or NULL */
    struct err *err;
};

/* Finds a tensor, checks shape (cols 0: a vector) and values, and marks it as known. */
int loader_take(struct loader *l, const struct tensor **out, const char *name, int rows, int cols);
/* A tied head that the file holds all the same must be the embedding's numbers. */
int loader_take_tied_head(struct loader *l, const struct hf_config *c);
/* No tensor may be left that was not taken. */
int loader_finish(struct loader *l);

/* --- training of all parameters (full.c) --- */
/* Where each parameter lies in the flat block, in floats. */
struct layer_offsets {
    size_t proj[N_PROJECTIONS], bias[N_PROJECTIONS];
    size_t input_norm, post_norm, q_norm, k_norm;
};
struct full_offsets {
    struct layer_offsets *layers;
    size_t embedding, head, final_norm; /* head == embedding when tied */
};

/* model_backward for the model's own parameters: every gradient but those of embedding and head is
 * added to grad, and acts->dx is left as the gradient of the embedding's output. */
void model_backward_full(model *m, struct kv_cache *kv, activations *acts, float *dhidden,
                         const struct full_offsets *offsets, float *grad);

#endif
