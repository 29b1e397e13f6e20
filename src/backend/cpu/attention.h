/* attention.h: attention on the CPU, forward and backward, on the matrix microkernels.
 *
 * A cache of keys or values is a W that grows (kv.h); queries, probabilities and gradients are laid
 * out as X. In bf16 every product therefore takes rounded inputs and sums in f32, like all others;
 * maxima, exponentials, sums and δ are f32. The row rule holds as it does for products: */
#ifndef BACKEND_CPU_ATTENTION_H
#define BACKEND_CPU_ATTENTION_H
#include "backend/cpu/gemm_kernel.h"
#include "backend/cpu/kv.h"
#include "backend/cpu/ops.h"
#include "base/team.h"

/* The spans of a call are cut into tasks: of one span, as many blocks of rows as it takes; or of
 * several spans with a common prefix one block, whose rows share the prefix's keys. */
struct attn_task {
    int span, n_spans;
    int first; /* number of blocks before these */
};

struct attention {
    enum precision precision;
    const struct gemm_kernel *kernel;
    const struct ops_kernels *ops;
    struct team *team;
    char *scratch; /* per thread: attn_room */
    size_t thread_bytes;
    struct attn_task *tasks; /* (max_rows) */
    int max_rows, max_head_dim, max_context;
};

/* Scratch for calls of up to `rows` rows, heads up to head_dim, contexts up to `context` keys; may
 * be called again to grow. Keeps the old block when there is no memory for the new one. */
int attention_reserve(struct attention *a, int rows, int head_dim, int context, struct err *err);
size_t attention_bytes(const struct attention *a, int rows, int head_dim, int context);
void attention_close(struct attention *a);

/* As in backend.h. */
void attention_forward(struct attention *a, float *out, float *lse, const float *q,
                       const void *k_cache, const void *v_cache, const struct attn_span *spans,
                       int n_spans, struct attn_dims dims, int R);

struct attention_gradients { /* of attention_backward, as in backend.h */
    float *dq, *dk, *dv;
    float *const *dk_prefix, *const *dv_prefix;
    const float *dout, *q;
    const void *k_cache, *v_cache;
    const float *out, *lse;
};
void attention_backward(struct attention *a, const struct attention_gradients *g,
                        const struct attn_span *spans, int n_spans, struct attn_dims dims, int R);

#endif
