/* memory.c: the blocks behind workspace and activations. Each is one allocation, laid out by a walk
 * that is run twice: once with no block to count floats (for the plan too), once to hand out
 * pointers. So the plan's figure and the allocation cannot disagree. */
#include "base/check.h"
#include "base/mem.h"
#include "model/internal.h"

struct walk {
    float *base; /* NULL while counting */
    size_t used; /* floats */
    size_t rows;
};

/* The next (rows, width) array; 64-byte aligned. */
static float *take(struct walk *w, size_t width)
{
    float *p = w->base ? w->base + w->used : NULL;
    w->used += (w->rows * width + 15) / 16 * 16;
    return p;
}

static void walk_layer(struct walk *w, struct layer_acts *acts, const struct hf_config *c,
                       const struct peft_config *lora)
{
    size_t q = (size_t)c->heads * (size_t)c->head_dim,
           kv = (size_t)c->kv_heads * (size_t)c->head_dim;
    size_t hidden = (size_t)c->hidden_size, inner = (size_t)c->intermediate_size;
    *acts = (struct layer_acts){.x = take(w, hidden)};
    acts->inv1 = take(w, 1);
    acts->inv2 = take(w, 1);
    if (c->qk_norm) {
        acts->q = take(w, q);
        acts->k = take(w, kv);
    }
    acts->q_rot = take(w, q);
    acts->attn = take(w, q);
    acts->lse = take(w, (size_t)c->heads);
    acts->mid = take(w, hidden);
    acts->gate = take(w, inner);
    acts->up = take(w, inner);
    for (int p = 0; p < N_PROJECTIONS; p++)
        if (lora && lora->targets[p])
            acts->u[p] = take(w, (size_t)lora->r);
}

static void walk_scratch(struct walk *w, struct layer_scratch *s, const struct hf_config *c)
{
    size_t q = (size_t)c->heads * (size_t)c->head_dim,
           kv = (size_t)c->kv_heads * (size_t)c->head_dim;
    s->normed = take(w, (size_t)c->hidden_size);
    s->q = take(w, q);
    s->k = take(w, kv);
    s->v = take(w, kv);
    s->act = take(w, (size_t)c->intermediate_size);
}

/* Without gradient nobody keeps the branches' inner products: the device has scratch for them. */
static void walk_workspace(struct walk *w, struct workspace *ws, const struct hf_config *c)
{
    walk_layer(w, &ws->acts, c, NULL);
    walk_scratch(w, &ws->scratch, c);
}

static void walk_activations(struct walk *w, struct activations *a, struct layer_acts *layers,
                             const struct hf_config *c, const struct peft_config *lora)
{
    size_t q = (size_t)c->heads * (size_t)c->head_dim,
           kv = (size_t)c->kv_heads * (size_t)c->head_dim;
    size_t hidden = (size_t)c->hidden_size, inner = (size_t)c->intermediate_size;
    struct layer_acts ignored;
    for (int i = 0; i < c->layers; i++)
        walk_layer(w, layers ? &layers[i] : &ignored, c, lora);
    walk_scratch(w, &a->scratch, c);
    a->final_x = take(w, hidden);
    a->final_inv = take(w, 1);
    a->dx = take(w, hidden);
    a->dnormed = take(w, hidden);
    a->dq = take(w, q);
    a->dk = take(w, kv);
    a->dv = take(w, kv);
    a->dattn = take(w, q);
    a->dact = take(w, inner);
    a->dgate = take(w, inner);
    a->dup = take(w, inner);
    a->du = take(w, lora ? (size_t)lora->r : 0);
}

/* The widest inner or outer size of any product. */
static int widest(const struct hf_config *c)
{
    int dim = c->hidden_size;
    for (int p = 0; p < N_PROJECTIONS; p++) {
        int out = projection_out(c, (enum projection)p), in = projection_in(c, (enum projection)p);
        dim = out > dim ? out : dim;
        dim = in > dim ? in : dim;
    }
    return dim;
}

static struct scratch_need scratch_need(const struct hf_config *c, const struct peft_config *lora,
                                        int max_rows, int max_context)
{
    return (struct scratch_need){.rows = max_rows,
                                 .dim = widest(c),
                                 .rank = lora ? lora->r : 0,
                                 .head_dim = c->head_dim,
                                 .vocab = c->vocab_size,
                                 .context = max_context};
}

size_t model_scratch_bytes(const struct device *d, const struct hf_config *c,
                           const struct peft_config *lora, int max_rows, int max_context)
{
    struct scratch_need need = scratch_need(c, lora, max_rows, max_context);
    return d->ops->scratch_bytes(d, &need);
}

static int reserve_device(model *m, const struct peft_config *lora, int max_rows, struct err *err)
{
    struct scratch_need need = scratch_need(&m->config, lora, max_rows, m->max_context);
    return m->d->ops->reserve(m->d, &need, err);
}

size_t workspace_bytes(const struct device *d, const struct hf_config *config,
                       const struct peft_config *lora, int max_rows)
{
    (void)d, (void)lora;
    struct workspace ws;
    struct walk w = {.rows = (size_t)max_rows};
    walk_workspace(&w, &ws, config);
    return w.used * sizeof(float);
}

int workspace_create(workspace **out, model *m, const struct peft_config *lora, int max_rows,
                     struct err *err)
{
    *out = NULL;
    int status = reserve_device(m, lora, max_rows, err);
    if (status)
        return status;
    size_t bytes = workspace_bytes(m->d, &m->config, lora, max_rows);
    workspace *ws = mem_calloc(1, sizeof *ws);
    float *block = ws ? m->d->ops->alloc(m->d, bytes, err) : NULL;
    if (!block) {
        mem_free(ws);
        return err_no_memory(err, "a forward pass's scratch", bytes);
    }
    struct walk w = {.base = block, .rows = (size_t)max_rows};
    walk_workspace(&w, ws, &m->config);
    ws->d = m->d;
    ws->block = block;
    ws->max_rows = max_rows;
    *out = ws;
    return ERR_NONE;
}

void workspace_free(workspace *w)
{
    if (!w)
        return;
    w->d->ops->free(w->d, w->block);
    mem_free(w);
}

size_t activations_bytes(const struct device *d, const struct hf_config *config,
                         const struct peft_config *lora, int max_rows)
{
    (void)d;
    struct activations a;
    struct walk w = {.rows = (size_t)max_rows};
    walk_activations(&w, &a, NULL, config, lora);
    return w.used * sizeof(float);
}

int activations_create(activations **out, model *m, const struct peft_config *lora, int max_rows,
                       struct err *err)
{
    *out = NULL;
    int status = reserve_device(m, lora, max_rows, err);
    if (status)
        return status;
    size_t bytes = activations_bytes(m->d, &m->config, lora, max_rows), n = (size_t)max_rows;
    activations *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_no_memory(err, "activations", sizeof *a);
    a->d = m->d;
    a->layers = mem_calloc((size_t)m->config.layers, sizeof *a->layers);
    a->positions = mem_alloc(n * sizeof *a->positions);
    a->spans = mem_alloc(n * sizeof *a->spans);
    a->dk_prefix = mem_alloc(n * sizeof *a->dk_prefix);
    a->dv_prefix = mem_alloc(n * sizeof *a->dv_prefix);
    if (!a->layers || !a->positions || !a->spans || !a->dk_prefix || !a->dv_prefix) {
        activations_free(a);
        return err_no_memory(err, "activations", n);
    }
    a->block = m->d->ops->alloc(m->d, bytes, err);
    if (!a->block) {
        activations_free(a);
        return ERR_MACHINE;
    }
    struct walk w = {.base = a->block, .rows = n};
    walk_activations(&w, a, a->layers, &m->config, lora);
    a->max_rows = max_rows;
    *out = a;
    return ERR_NONE;
}

void activations_free(activations *a)
{
    if (!a)
        return;
    a->d->ops->free(a->d, a->block);
    mem_free(a->layers);
    mem_free(a->positions);
    mem_free(a->spans);
    mem_free(a->dk_prefix);
    mem_free(a->dv_prefix);
    mem_free(a);
}
