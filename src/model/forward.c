/* forward.c: the one forward pass; see model.h.
 *
 * One layer, x to out, with its two residual additions:
 *   mid = x   + o(attention(rotation(head norm(q, k)), v)),  q, k, v of norm(x)
 *   out = mid + down(SwiGLU(gate, up)),                      gate, up of norm(mid)
 *
 * Prompts, decoding and training run this same function over a ragged batch: which tokens, at which
 * positions, seeing which cached keys, is all in `struct batch`. Training differs only in where the
 * intermediate results go: to a layer's own block that backward reads later, instead of one block
 * that every layer overwrites. */
#include <string.h>
#include "base/check.h"
#include "model/internal.h"

struct layer_call {
    model *m;
    const adapter *a;
    struct kv_cache *kv;
    const struct batch *batch;
    int layer;
};

static void run_linear(const struct layer_call *c, enum projection p, const struct layer_acts *acts,
                       float *y, const float *x, const float *base)
{
    struct linear l = model_linear(c->m, c->a, c->layer, p);
    struct device *d = c->m->d;
    /* acts->u[p] is NULL without gradient: then the device keeps u in scratch of its own. */
    d->ops->linear(d, y, l.rank ? acts->u[p] : NULL, x, &l, c->batch->rows, base);
}

/* `count` projections from p on, of the same x. */
static void run_linears(const struct layer_call *c, enum projection p, int count,
                        const struct layer_acts *acts, float *const *y, const float *x)
{
    struct linear l[LINEARS_MOST];
    float *u[LINEARS_MOST];
    struct device *d = c->m->d;
    for (int i = 0; i < count; i++) {
        l[i] = model_linear(c->m, c->a, c->layer, p + i);
        u[i] = l[i].rank ? acts->u[p + i] : NULL;
    }
    d->ops->linears(d, y, u, x, l, count, c->batch->rows);
}

/* One layer over a batch: acts->x to out (which may be acts->x). keys_only: stop after keys and
 * values. */
static void layer_forward(const struct layer_call *c, struct layer_acts *acts,
                          const struct layer_scratch *s, float *out, bool keys_only)
{
    const model *m = c->m;
    const struct hf_config *config = &m->config;
    const struct layer_weights *w = &m->layers[c->layer];
    const struct batch *batch = c->batch;
    struct device *d = m->d;
    const struct backend *ops = d->ops;
    int rows = batch->rows, hidden = config->hidden_size;
    float eps = (float)config->rms_norm_eps;
    struct attn_dims dims = model_dims(config, c->kv->rows);
    void *k_cache = c->kv->k[c->layer], *v_cache = c->kv->v[c->layer];

    ops->rmsnorm(d, s->normed, acts->inv1, acts->x, w->input_norm, eps, rows, hidden);
    float *q = acts->q ? acts->q : s->q, *k = acts->k ? acts->k : s->k;
    run_linears(c, PROJ_Q, 3, acts, (float *[]){q, k, s->v}, s->normed);
    ops->qk_rope(d, acts->q_rot, k_cache, v_cache, q, k, s->v, w->q_norm, w->k_norm, eps, m->cos,
                 m->sin, batch->positions, batch->kv_rows, dims, rows);
    if (keys_only)
        return;

    ops->attention(d, acts->attn, acts->lse, acts->q_rot, k_cache, v_cache, batch->spans,
                   batch->n_spans, dims, rows);
    run_linear(c, PROJ_O, acts, acts->mid, acts->attn, acts->x);

    ops->rmsnorm(d, s->normed, acts->inv2, acts->mid, w->post_norm, eps, rows, hidden);
    run_linears(c, PROJ_GATE, 2, acts, (float *[]){acts->gate, acts->up}, s->normed);
    ops->swiglu(d, s->act, acts->gate, acts->up, rows, config->intermediate_size);
    run_linear(c, PROJ_DOWN, acts, out, s->act, acts->mid);
}

static void check_batch(const model *m, const struct kv_cache *kv, const struct batch *b,
                        int max_rows)
{
    CHECK(b->rows > 0 && b->rows <= max_rows && b->n_spans > 0);
    for (int r = 0; r < b->rows; r++)
        CHECK(b->positions[r] >= 0 && b->positions[r] < m->max_context && b->kv_rows[r] >= 0 &&
              b->kv_rows[r] < kv->rows);
}

void model_forward(model *m, const adapter *a, struct kv_cache *kv, workspace *w, float *hidden,
                   const struct batch *batch)
{
    struct device *d = m->d;
    check_batch(m, kv, batch, w->max_rows);
    d->ops->embedding(d, w->acts.x, batch->ids, m->embedding, batch->rows);
    for (int i = 0; i < m->config.layers; i++) {
        struct layer_call call = {m, a, kv, batch, i};
        bool last = i == m->config.layers - 1;
        /* Every layer reads and writes the same stream: its output is the next one's input. */
        layer_forward(&call, &w->acts, &w->scratch, w->acts.x, last && !hidden);
    }
    if (hidden)
        d->ops->rmsnorm(d, hidden, NULL, w->acts.x, m->final_norm, (float)m->config.rms_norm_eps,
                        batch->rows, m->config.hidden_size);
}

static void keep_batch(activations *acts, const struct batch *batch, bool prefix_only)
{
    acts->rows = batch->rows;
    acts->n_spans = batch->n_spans;
    acts->prefix_only = prefix_only;
    CHECK(batch->n_spans <= acts->max_rows);
    memcpy(acts->positions, batch->positions, (size_t)batch->rows * sizeof *acts->positions);
    memcpy(acts->spans, batch->spans, (size_t)batch->n_spans * sizeof *acts->spans);
}

void model_forward_train(model *m, const adapter *a, struct kv_cache *kv, activations *acts,
                         float *hidden, const struct batch *batch)
{
    struct device *d = m->d;
    check_batch(m, kv, batch, acts->max_rows);
    keep_batch(acts, batch, !hidden);
    int layers = m->config.layers;
    d->ops->embedding(d, acts->layers[0].x, batch->ids, m->embedding, batch->rows);
    for (int i = 0; i < layers; i++) {
        struct layer_call call = {m, a, kv, batch, i};
        bool last = i == layers - 1;
        layer_forward(&call, &acts->layers[i], &acts->scratch,
                      last ? acts->final_x : acts->layers[i + 1].x, last && !hidden);
    }
    if (hidden)
        d->ops->rmsnorm(d, hidden, acts->final_inv, acts->final_x, m->final_norm,
                        (float)m->config.rms_norm_eps, batch->rows, m->config.hidden_size);
}
