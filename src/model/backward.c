/* backward.c: gradients of the adapter, layer by layer from the top; see model.h.
 *
 * Per layer, with d… the gradient of … and x' the part that goes back through projection x:
 *   down       dact = linear_backward(dx)
 *   SwiGLU     dgate, dup of dact
 *   norm       dnormed = gate' + up';  dmid = dx + norm'
 *   o          dattn = linear_backward(dmid)
 *   attention  dq, dk, dv, and the prefix's share
 *   rotation   dq, dk through rotation and head norm
 *   norm       dnormed = q' + k' + v';  dx = dmid + norm'
 * The residual stream's gradient lives in one array (dx) that norms add to. The inputs of the
 * projections (normed streams, SwiGLU's product) are computed again: they are cheap and not kept.
 *
 * Each span of the batch leaves its own parameter gradients, from its own rows in row order. */
#include <string.h>
#include "base/check.h"
#include "model/internal.h"

struct pass {
    model *m;
    const adapter *a;
    struct kv_cache *kv;
    activations *acts;
    const struct segment_gradient *segs;
    int layer;
};

static void zero_gradients(const struct pass *p)
{
    struct device *d = p->m->d;
    for (int s = 0; s < p->acts->n_spans; s++)
        d->ops->zero(d, p->segs[s].params, p->a->size * sizeof(float));
}

/* dx (=, +=, or not at all) of one projection, and each span's gradients of its branch. */
static void linear_gradient(const struct pass *p, enum projection proj, float *dx, const float *dy,
                            const float *x, bool add)
{
    activations *acts = p->acts;
    struct device *d = p->m->d;
    struct linear l = model_linear(p->m, p->a, p->layer, proj);
    d->ops->linear_backward(d, dx, l.rank ? acts->du : NULL, dy, &l, acts->rows, add);
    if (!l.rank)
        return;
    const struct adapter_pair *pair = &p->a->pairs[p->layer * N_PROJECTIONS + (int)proj];
    const float *u = acts->layers[p->layer].u[proj];
    for (int s = 0; s < acts->n_spans; s++) {
        size_t row = (size_t)acts->spans[s].q_row;
        float *g = p->segs[s].params;
        d->ops->lora_gradient(d, g + pair->a_offset, g + pair->b_offset, dy + row * (size_t)l.n,
                              acts->du + row * (size_t)l.rank, x + row * (size_t)l.k,
                              u + row * (size_t)l.rank, l.lora_scale, l.n, l.k, l.rank,
                              acts->spans[s].n_q);
    }
}

static void mlp_backward(const struct pass *p)
{
    activations *acts = p->acts;
    const struct layer_acts *l = &acts->layers[p->layer];
    const struct layer_weights *w = &p->m->layers[p->layer];
    const struct hf_config *c = &p->m->config;
    struct device *d = p->m->d;
    const struct backend *ops = d->ops;
    int rows = acts->rows, inner = c->intermediate_size;

    ops->swiglu(d, acts->scratch.act, l->gate, l->up, rows, inner);
    linear_gradient(p, PROJ_DOWN, acts->dact, acts->dx, acts->scratch.act, false);
    ops->swiglu_backward(d, acts->dgate, acts->dup, acts->dact, l->gate, l->up, rows, inner);
    ops->rmsnorm(d, acts->scratch.normed, NULL, l->mid, w->post_norm, (float)c->rms_norm_eps, rows,
                 c->hidden_size);
    linear_gradient(p, PROJ_GATE, acts->dnormed, acts->dgate, acts->scratch.normed, false);
    linear_gradient(p, PROJ_UP, acts->dnormed, acts->dup, acts->scratch.normed, true);
    ops->rmsnorm_backward(d, acts->dx, acts->dnormed, l->mid, l->inv2, w->post_norm, rows,
                          c->hidden_size);
}

/* Where this layer's part of a span's prefix gradient lies: keys, then values. */
static float *prefix_part(const struct hf_config *c, float *all, int layer, bool values, int len)
{
    size_t part = (size_t)len * (size_t)c->kv_heads * (size_t)c->head_dim;
    return all + (2 * (size_t)layer + values) * part;
}

static void attention_gradient(const struct pass *p)
{
    activations *acts = p->acts;
    const struct layer_acts *l = &acts->layers[p->layer];
    const struct hf_config *c = &p->m->config;
    struct device *d = p->m->d;
    linear_gradient(p, PROJ_O, acts->dattn, acts->dx, l->attn, false);
    for (int s = 0; s < acts->n_spans; s++) {
        int len = acts->spans[s].prefix_len;
        acts->dk_prefix[s] = acts->dv_prefix[s] = NULL;
        if (len) {
            acts->dk_prefix[s] = prefix_part(c, p->segs[s].prefix_kv, p->layer, false, len);
            acts->dv_prefix[s] = prefix_part(c, p->segs[s].prefix_kv, p->layer, true, len);
        }
    }
    d->ops->attention_backward(d, acts->dq, acts->dk, acts->dv, acts->dk_prefix, acts->dv_prefix,
                               acts->dattn, l->q_rot, p->kv->k[p->layer], p->kv->v[p->layer],
                               l->attn, l->lse, acts->spans, acts->n_spans, model_dims(c),
                               acts->rows);
}

/* From dq, dk, dv of the rotated heads to dx. with_q: false where only keys and values carry. */
static void qkv_backward(const struct pass *p, bool with_q)
{
    activations *acts = p->acts;
    const struct layer_acts *l = &acts->layers[p->layer];
    const struct layer_weights *w = &p->m->layers[p->layer];
    const struct hf_config *c = &p->m->config;
    struct device *d = p->m->d;
    const struct backend *ops = d->ops;
    int rows = acts->rows;
    float eps = (float)c->rms_norm_eps;

    ops->qk_rope_backward(d, acts->dq, acts->dk, l->q, l->k, w->q_norm, w->k_norm, eps, p->m->cos,
                          p->m->sin, acts->positions, model_dims(c), rows);
    ops->rmsnorm(d, acts->scratch.normed, NULL, l->x, w->input_norm, eps, rows, c->hidden_size);
    /* Below the first layer nothing is trained: its input's gradient is not needed. */
    float *dnormed = p->layer ? acts->dnormed : NULL;
    linear_gradient(p, PROJ_K, dnormed, acts->dk, acts->scratch.normed, false);
    linear_gradient(p, PROJ_V, dnormed, acts->dv, acts->scratch.normed, true);
    if (with_q)
        linear_gradient(p, PROJ_Q, dnormed, acts->dq, acts->scratch.normed, true);
    if (dnormed)
        ops->rmsnorm_backward(d, acts->dx, dnormed, l->x, l->inv1, w->input_norm, rows,
                              c->hidden_size);
}

size_t prefix_kv_size(const struct hf_config *c, int prefix_len)
{
    return 2 * (size_t)c->layers * (size_t)prefix_len * (size_t)c->kv_heads * (size_t)c->head_dim;
}

void model_backward(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                    float *dhidden, const struct segment_gradient *segs)
{
    struct device *d = m->d;
    struct pass p = {m, a, kv, acts, segs, 0};
    CHECK(!acts->prefix_only);
    zero_gradients(&p);
    d->ops->zero(d, acts->dx, (size_t)acts->rows * (size_t)m->config.hidden_size * sizeof(float));
    d->ops->rmsnorm_backward(d, acts->dx, dhidden, acts->final_x, acts->final_inv, m->final_norm,
                             acts->rows, m->config.hidden_size);
    for (p.layer = m->config.layers - 1; p.layer >= 0; p.layer--) {
        mlp_backward(&p);
        attention_gradient(&p);
        qkv_backward(&p, true);
    }
}

void model_backward_prefix(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                           const float *dprefix_kv, float *params_gradient)
{
    struct device *d = m->d;
    const struct hf_config *c = &m->config;
    struct segment_gradient seg = {params_gradient, NULL};
    struct pass p = {m, a, kv, acts, &seg, 0};
    CHECK(acts->prefix_only && acts->n_spans == 1 && acts->spans[0].prefix_len == 0);
    int len = acts->rows, top = c->layers - 1;
    size_t kv_floats = (size_t)len * (size_t)c->kv_heads * (size_t)c->head_dim;
    zero_gradients(&p);
    d->ops->zero(d, acts->dx, (size_t)len * (size_t)c->hidden_size * sizeof(float));
    for (p.layer = top; p.layer >= 0; p.layer--) {
        const float *dk = prefix_part(c, (float *)(uintptr_t)dprefix_kv, p.layer, false, len);
        const float *dv = prefix_part(c, (float *)(uintptr_t)dprefix_kv, p.layer, true, len);
        if (p.layer == top) {
            /* Nothing above uses the prefix's output: only its keys and values carry gradient. */
            d->ops->zero(d, acts->dq,
                         (size_t)len * (size_t)c->heads * (size_t)c->head_dim * sizeof(float));
            d->ops->copy(d, acts->dk, dk, kv_floats * sizeof(float));
            d->ops->copy(d, acts->dv, dv, kv_floats * sizeof(float));
        } else {
            mlp_backward(&p);
            attention_gradient(&p);
            d->ops->add(d, acts->dk, dk, kv_floats);
            d->ops->add(d, acts->dv, dv, kv_floats);
        }
        qkv_backward(&p, p.layer != top);
    }
}
