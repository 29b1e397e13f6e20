/* ref_ops.h: the reference's prototypes, for one REAL. Included by ref.h only, once a type, hence
 * without a guard. Contracts are those of backend.h; only what differs is said here. */

/* backend.h's struct linear over plain matrices. */
struct REF(linear) {
    const REAL *w;      /* (n, k) */
    const REAL *bias;   /* (n) or NULL */
    const REAL *lora_a; /* (rank, k) or NULL */
    const REAL *lora_b; /* (n, rank) */
    REAL lora_scale;
    int n, k, rank;
    bool bf16;
};

struct REF(head) { /* the vocabulary's matrix */
    const REAL *w; /* (vocab, hidden) */
    int vocab, hidden;
    bool bf16;
};

struct REF(warp) { /* backend.h's struct warp */
    struct warpers how;
    const uint32_t *const *seen;
    REAL *logp;
};

/* Nearest bf16, ties to even. */
REAL REF(round_bf16)(REAL x);

/* --- forward --- */
void REF(embedding)(REAL *x, const int *ids, const REAL *table, int R, int K, bool bf16);
void REF(rmsnorm)(REAL *y, REAL *inv_rms, const REAL *x, const REAL *gain, REAL eps, int R, int H);
/* u must not be NULL when there is a branch. */
void REF(linear)(REAL *y, REAL *u, const REAL *x, const struct REF(linear) * l, int R, bool add);
/* The two halves of linear: u = x·Aᵀ; y (+)= x·Wᵀ + bias + scale·u·Bᵀ with u given. A rounding of u
 * to bf16 may go to the other neighbour when u is off by one bit, so tests compare the halves. */
void REF(linear_inner)(REAL *u, const REAL *x, const struct REF(linear) * l, int R);
void REF(linear_outer)(REAL *y, const REAL *x, const REAL *u, const struct REF(linear) * l, int R,
                       bool add);
void REF(qk_rope)(REAL *q_out, REAL *k_cache, REAL *v_cache, const REAL *q, const REAL *k,
                  const REAL *v, const REAL *q_gain, const REAL *k_gain, REAL eps, const REAL *cos,
                  const REAL *sin, const int *positions, const int *kv_rows, struct attn_dims dims,
                  int R, bool bf16);
/* bf16: exponentials (of scores minus their maximum) are rounded where they meet the values. slack
 * (as out, or NULL): how far an element may be from this because an exponential next to the middle
 * of two bf16 was rounded the other way. */
void REF(attention)(REAL *out, REAL *lse, REAL *slack, const REAL *q, const REAL *k_cache,
                    const REAL *v_cache, const struct attn_span *spans, int n_spans,
                    struct attn_dims dims, bool bf16);
void REF(swiglu)(REAL *y, const REAL *gate, const REAL *up, size_t n);
void REF(logits)(REAL *logits, const REAL *hidden, const struct REF(head) * head, int R);
void REF(logprob)(REAL *logp, REAL *entropy, REAL *logz, const REAL *hidden,
                  const struct REF(head) * head, const int *targets, REAL temperature, int R);
void REF(next_token)(int *ids, REAL *logp, const REAL *hidden, const struct REF(head) * head,
                     const double *uniforms, REAL temperature, const struct REF(warp) * warp,
                     int R);

/* --- backward --- */
void REF(rmsnorm_backward)(REAL *dx, const REAL *dy, const REAL *x, const REAL *inv_rms,
                           const REAL *gain, int R, int H);
void REF(linear_backward)(REAL *dx, REAL *du, const REAL *dy, const struct REF(linear) * l, int R,
                          bool add);
/* Its halves: du = scale·(dy·B); dx (+)= dy·W + du·A with du given. */
void REF(linear_backward_inner)(REAL *du, const REAL *dy, const struct REF(linear) * l, int R);
void REF(linear_backward_outer)(REAL *dx, const REAL *dy, const REAL *du,
                                const struct REF(linear) * l, int R, bool add);
void REF(lora_gradient)(REAL *da, REAL *db, const REAL *dy, const REAL *du, const REAL *x,
                        const REAL *u, REAL scale, int N, int K, int rank, int R);
struct REF(attention_gradients) {
    REAL *dq, *dk, *dv, *const *dk_prefix, *const *dv_prefix;
};
struct REF(attention_inputs) {
    const REAL *dout, *out, *q, *k_cache, *v_cache;
    bool bf16; /* p, ds and dout are rounded where they enter a product */
};
/* Probabilities are computed anew: lse is not wanted. slack: as for attention, or NULL. */
void REF(attention_backward)(const struct REF(attention_gradients) * g,
                             const struct REF(attention_gradients) * slack,
                             const struct REF(attention_inputs) * in, const struct attn_span *spans,
                             int n_spans, struct attn_dims dims);
void REF(qk_rope_backward)(REAL *dq, REAL *dk, const REAL *q, const REAL *k, const REAL *q_gain,
                           const REAL *k_gain, REAL eps, const REAL *cos, const REAL *sin,
                           const int *positions, struct attn_dims dims, int R);
void REF(swiglu_backward)(REAL *dgate, REAL *dup, const REAL *dy, const REAL *gate, const REAL *up,
                          size_t n);
void REF(logprob_backward)(REAL *dhidden, const REAL *hidden, const struct REF(head) * head,
                           const int *targets, const REAL *dlogp, REAL temperature, int R);

/* --- gradients of the model's own parameters (all +=) --- */
void REF(weight_gradient)(REAL *dw, const REAL *dy, const REAL *x, int N, int K, int R);
void REF(bias_gradient)(REAL *db, const REAL *dy, int N, int R);
void REF(gain_gradient)(REAL *dgain, const REAL *dy, const REAL *x, const REAL *inv_rms, int R,
                        int H);
void REF(qk_gain_gradient)(REAL *dq_gain, REAL *dk_gain, const REAL *dq, const REAL *dk,
                           const REAL *q, const REAL *k, REAL eps, const REAL *cos, const REAL *sin,
                           const int *positions, struct attn_dims dims, int R);
void REF(embedding_gradient)(REAL *dtable, const int *ids, const REAL *dx, int K, int R);
/* Of the head's matrix alone: logprob and logprob_backward give the rest. */
void REF(head_gradient)(REAL *dhead, const REAL *hidden, const struct REF(head) * head,
                        const int *targets, const REAL *dlogp, int R);

/* --- vectors and the optimizer --- */
void REF(add)(REAL *dst, const REAL *src, size_t n);
void REF(scale)(REAL *x, REAL factor, size_t n);
double REF(sum_squares)(const REAL *x, size_t n);
void REF(adamw)(REAL *param, REAL *exp_avg, REAL *exp_avg_sq, const REAL *grad,
                const struct adamw_params *p, size_t n);
