/* backward.c: gradients of the adapter, or of the model's own parameters, layer by layer from the
 * top; see model.h and full.h.
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
 * Both kinds of training are this one pass; they differ in where parameters' gradients go. An
 * adapter's: each span of the batch leaves its own, from its own rows in row order. The model's
 * own: added to one flat block, over all rows in order; each linear and norm on the way adds its
 * part where the gradients of its output and its input are at hand. */
#include <string.h>
#include "base/check.h"
#include "model/internal.h"

struct pass {
    model *m;
    const adapter *a;
    struct kv_cache *kv;
    activations *acts;
    const struct segment_gradient *segs; /* the adapter's gradients, a span each */
    /* The model's own: where each parameter lies in grad. NULL: they are frozen. */
    const struct full_offsets *offsets;
    float *grad;
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
    if (p->grad) {
        const struct layer_offsets *at = &p->offsets->layers[p->layer];
        d->ops->weight_gradient(d, p->grad + at->proj[proj], dy, x, l.n, l.k, acts->rows);
        if (l.bias)
            d->ops->bias_gradient(d, p->grad + at->bias[proj], dy, l.n, acts->rows);
    }
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

/* acts->dx += gradient through a norm of the stream; its gain's place in the flat block. */
static void norm_gradient(const struct pass *p, const float *dy, const float *x, const float *inv,
                          const float *gain, size_t gain_offset)
{
    struct device *d = p->m->d;
    int rows = p->acts->rows, hidden = p->m->config.hidden_size;
    d->ops->rmsnorm_backward(d, p->acts->dx, dy, x, inv, gain, rows, hidden);
    if (p->grad)
        d->ops->gain_gradient(d, p->grad + gain_offset, dy, x, inv, rows, hidden);
}

static const struct layer_offsets *offsets_of(const struct pass *p)
{
    static const struct layer_offsets frozen = {0};
    return p->grad ? &p->offsets->layers[p->layer] : &frozen;
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
    norm_gradient(p, acts->dnormed, l->mid, l->inv2, w->post_norm, offsets_of(p)->post_norm);
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
                               l->attn, l->lse, acts->spans, acts->n_spans,
                               model_dims(c, p->kv->rows), acts->rows);
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

    if (p->grad && w->q_norm)
        ops->qk_gain_gradient(d, p->grad + offsets_of(p)->q_norm, p->grad + offsets_of(p)->k_norm,
                              acts->dq, acts->dk, l->q, l->k, eps, p->m->cos, p->m->sin,
                              acts->positions, model_dims(c, p->kv->rows), rows);
    ops->qk_rope_backward(d, acts->dq, acts->dk, l->q, l->k, w->q_norm, w->k_norm, eps, p->m->cos,
                          p->m->sin, acts->positions, model_dims(c, p->kv->rows), rows);
    ops->rmsnorm(d, acts->scratch.normed, NULL, l->x, w->input_norm, eps, rows, c->hidden_size);
    /* An adapter has nothing below the first layer: its input's gradient is not needed. */
    float *dnormed = p->layer || p->grad ? acts->dnormed : NULL;
    linear_gradient(p, PROJ_K, dnormed, acts->dk, acts->scratch.normed, false);
    linear_gradient(p, PROJ_V, dnormed, acts->dv, acts->scratch.normed, true);
    if (with_q)
        linear_gradient(p, PROJ_Q, dnormed, acts->dq, acts->scratch.normed, true);
    if (dnormed)
        norm_gradient(p, dnormed, l->x, l->inv1, w->input_norm, offsets_of(p)->input_norm);
}

size_t prefix_kv_size(const struct hf_config *c, int prefix_len)
{
    return 2 * (size_t)c->layers * (size_t)prefix_len * (size_t)c->kv_heads * (size_t)c->head_dim;
}

static void backward(struct pass *p, const float *dhidden)
{
    activations *acts = p->acts;
    model *m = p->m;
    CHECK(!acts->prefix_only);
    m->d->ops->zero(m->d, acts->dx,
                    (size_t)acts->rows * (size_t)m->config.hidden_size * sizeof(float));
    norm_gradient(p, dhidden, acts->final_x, acts->final_inv, m->final_norm,
                  p->grad ? p->offsets->final_norm : 0);
    for (p->layer = m->config.layers - 1; p->layer >= 0; p->layer--) {
        mlp_backward(p);
        attention_gradient(p);
        qkv_backward(p, true);
    }
}

void model_backward(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                    float *dhidden, const struct segment_gradient *segs)
{
    struct pass p = {.m = m, .a = a, .kv = kv, .acts = acts, .segs = segs};
    zero_gradients(&p);
    backward(&p, dhidden);
}

void model_backward_full(model *m, struct kv_cache *kv, activations *acts, float *dhidden,
                         const struct full_offsets *offsets, float *grad)
{
    struct pass p = {.m = m, .kv = kv, .acts = acts, .offsets = offsets, .grad = grad};
    for (int s = 0; s < acts->n_spans; s++)
        CHECK(!acts->spans[s].prefix_len); /* nobody would take the prefix's gradient */
    backward(&p, dhidden);
}

void model_backward_prefix(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                           const float *dprefix_kv, float *params_gradient)
{
    struct device *d = m->d;
    const struct hf_config *c = &m->config;
    struct segment_gradient seg = {params_gradient, NULL};
    struct pass p = {.m = m, .a = a, .kv = kv, .acts = acts, .segs = &seg};
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
