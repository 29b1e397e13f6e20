/* full.c: training of all parameters; see full.h.
 *
 * The masters are one flat block of f32, so that clipping, AdamW and a checkpoint are loops over an
 * array. One walk over the config says what lies where; it is run without a list to count. The
 * prepared weights are an ordinary model made from the masters by model_create, and refreshed in
 * place after each update: in bf16 mode they are the masters rounded to nearest even.
 *
 * Gradients, with W a weight and y = x·Wᵀ: the products round x and dy to bf16 in bf16 mode, but
 * dW = dyᵀ·x is taken from the unrounded f32 rows and summed in f32. PyTorch's autograd in bf16 has
 * bf16 x and dy and rounds each dW to bf16: ours differs from it by less than it differs from the
 * exact gradient.
 *
 * A tied matrix gets two contributions, from the head and from the embedding. Were the head's added
 * for a whole batch first, the order of additions would tell how a step was cut into batches. So
 * both wait for the end of the backward pass and are added sequence by sequence: the head's rows of
 * the first, its embedding rows, then the second's. The price is the head's logits a second time
 * (2·V·H operations a token, some 5% of a small model). */
#include "model/full.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/team.h"
#include "base/rng.h"
#include "model/internal.h"

struct full_model {
    struct device *d;
    model *m;
    float *params; /* device */
    size_t floats;
    struct full_offsets offsets;
    struct full_tensor *tensors;
    int n_tensors;
};

/* --- what lies where --- */

struct layout {
    struct full_tensor *list; /* NULL while counting */
    int n;
    size_t used;
};

/* The next tensor; cols 0: a vector. Returns its offset. */
__attribute__((format(printf, 4, 5))) static size_t place(struct layout *w, int rows, int cols,
                                                          const char *format, ...)
{
    size_t offset = w->used;
    if (w->list) {
        struct full_tensor *t = &w->list[w->n];
        *t = (struct full_tensor){.offset = offset, .rows = rows, .cols = cols, .decays = cols > 0};
        va_list args;
        va_start(args, format);
        vsnprintf(t->name, sizeof t->name, format, args);
        va_end(args);
    }
    w->n++;
    w->used += (size_t)rows * (size_t)(cols ? cols : 1);
    return offset;
}

static void walk_layer(struct layout *w, struct layer_offsets *o, const struct hf_config *c, int i)
{
    for (int p = 0; p < N_PROJECTIONS; p++) {
        const char *part = p <= PROJ_O ? "self_attn" : "mlp", *name = projection_names[p];
        int n = projection_out(c, (enum projection)p), k = projection_in(c, (enum projection)p);
        o->proj[p] = place(w, n, k, "model.layers.%d.%s.%s.weight", i, part, name);
        o->bias[p] = c->qkv_bias && p <= PROJ_V
                         ? place(w, n, 0, "model.layers.%d.%s.%s.bias", i, part, name)
                         : 0;
    }
    o->input_norm = place(w, c->hidden_size, 0, "model.layers.%d.input_layernorm.weight", i);
    o->post_norm =
        place(w, c->hidden_size, 0, "model.layers.%d.post_attention_layernorm.weight", i);
    o->q_norm = o->k_norm = 0;
    if (c->qk_norm) {
        o->q_norm = place(w, c->head_dim, 0, "model.layers.%d.self_attn.q_norm.weight", i);
        o->k_norm = place(w, c->head_dim, 0, "model.layers.%d.self_attn.k_norm.weight", i);
    }
}

/* o->layers NULL: only counts. */
static void walk(struct layout *w, struct full_offsets *o, const struct hf_config *c)
{
    struct layer_offsets ignored;
    o->embedding = place(w, c->vocab_size, c->hidden_size, "model.embed_tokens.weight");
    for (int i = 0; i < c->layers; i++)
        walk_layer(w, o->layers ? &o->layers[i] : &ignored, c, i);
    o->final_norm = place(w, c->hidden_size, 0, "model.norm.weight");
    o->head = c->tie_word_embeddings ? o->embedding
                                     : place(w, c->vocab_size, c->hidden_size, "lm_head.weight");
}

static size_t tensor_floats(const struct full_tensor *t)
{
    return (size_t)t->rows * (size_t)(t->cols ? t->cols : 1);
}

size_t full_floats(const struct hf_config *config)
{
    struct layout w = {0};
    struct full_offsets o = {0};
    walk(&w, &o, config);
    return w.used;
}

size_t full_bytes(const struct device *d, const struct hf_config *config, int max_context)
{
    return full_floats(config) * sizeof(float) + model_weight_bytes(d, config, max_context);
}

/* --- making, loading, saving --- */

struct init {
    const struct full_tensor *tensors;
    float *host;
    double std;
    uint64_t seed;
};

/* Draws know their index, not their order. */
static void init_tensors(void *context, int thread, int first, int end)
{
    const struct init *c = context;
    (void)thread;
    for (int i = first; i < end; i++) {
        const struct full_tensor *t = &c->tensors[i];
        struct rng_key key = {
            .seed = c->seed, .purpose = RNG_INIT, .row = rng_id(t->name, strlen(t->name))};
        bool is_gain = !t->cols && strstr(t->name, "norm");
        size_t n = tensor_floats(t);
        float *values = c->host + t->offset;
        for (size_t j = 0; j < n; j++)
            values[j] = t->cols ? (float)(c->std * rng_normal(&key, j)) : is_gain ? 1.0f : 0.0f;
    }
}

static int init_params(const full_model *f, float *host, double std, uint64_t seed, struct err *err)
{
    struct init call = {f->tensors, host, std, seed};
    struct team *team;
    int status = team_open(&team, f->d->threads, err);
    if (status)
        return status;
    team_run(team, init_tensors, &call, f->n_tensors, 1);
    team_close(team);
    return ERR_NONE;
}

/* The masters on the host as the tensors of a file. Frees nothing of host. */
static int tensors_of(const full_model *f, struct tensor_set *set, const float *host,
                      struct err *err)
{
    set->tensors = mem_calloc((size_t)f->n_tensors, sizeof *set->tensors);
    set->names = mem_calloc((size_t)f->n_tensors, sizeof *set->names); /* none to be freed */
    if (!set->tensors || !set->names)
        return err_no_memory(err, "the model", sizeof *set->tensors);
    for (int i = 0; i < f->n_tensors; i++) {
        const struct full_tensor *t = &f->tensors[i];
        set->tensors[i] = (struct tensor){.name = t->name,
                                          .dtype = DTYPE_F32,
                                          .n_dims = t->cols ? 2 : 1,
                                          .shape = {(uint64_t)t->rows, (uint64_t)t->cols},
                                          .data = host + t->offset,
                                          .size = tensor_floats(t) * sizeof *host};
        if (!map_put(&set->index, t->name, strlen(t->name), i))
            return err_no_memory(err, "the model", sizeof *set->tensors);
        set->count++;
    }
    return ERR_NONE;
}

static int lay_out(full_model *f, const struct hf_config *c, struct err *err)
{
    struct layout w = {0};
    walk(&w, &f->offsets, c);
    f->floats = w.used;
    f->n_tensors = w.n;
    f->tensors = mem_calloc((size_t)w.n, sizeof *f->tensors);
    f->offsets.layers = mem_calloc((size_t)c->layers, sizeof *f->offsets.layers);
    if (!f->tensors || !f->offsets.layers)
        return err_no_memory(err, "the model", (size_t)w.n * sizeof *f->tensors);
    w = (struct layout){.list = f->tensors};
    walk(&w, &f->offsets, c);
    return ERR_NONE;
}

static int create(full_model *f, const struct hf_config *config, int max_context, double std,
                  uint64_t seed, struct err *err)
{
    int status = lay_out(f, config, err);
    if (status)
        return status;
    float *host = mem_alloc(f->floats * sizeof *host);
    if (!host)
        return err_no_memory(err, "the model's parameters", f->floats * sizeof *host);
    struct tensor_set set = {0};
    status = init_params(f, host, std, seed, err);
    if (!status)
        status = tensors_of(f, &set, host, err);
    if (!status)
        status = model_create(&f->m, f->d, config, &set, max_context, err);
    if (!status) {
        f->params = f->d->ops->alloc(f->d, f->floats * sizeof *host, err);
        status = f->params ? ERR_NONE : ERR_MACHINE;
    }
    if (!status)
        f->d->ops->upload(f->d, f->params, host, f->floats * sizeof *host);
    tensor_set_close(&set);
    mem_free(host);
    return status;
}

int full_create(full_model **out, struct device *d, const struct hf_config *config, int max_context,
                double std, uint64_t seed, struct err *err)
{
    *out = NULL;
    if (!(std >= 0) || !isfinite(std))
        return err_set(err, ERR_USAGE, "initializer_range",
                       "is %g, expected a standard deviation of 0 or more, such as 0.02", std);
    full_model *f = mem_calloc(1, sizeof *f);
    if (!f)
        return err_no_memory(err, "the model", sizeof *f);
    f->d = d;
    int status = create(f, config, max_context, std, seed, err);
    if (status)
        full_close(f);
    else
        *out = f;
    return status;
}

int full_load(full_model *f, const struct tensor_set *tensors, struct err *err)
{
    float *host = mem_alloc(f->floats * sizeof *host);
    if (!host)
        return err_no_memory(err, "the model's parameters", f->floats * sizeof *host);
    struct loader l = {.set = tensors, .err = err};
    int status = ERR_NONE;
    for (int i = 0; i < f->n_tensors && !status; i++) {
        const struct full_tensor *t = &f->tensors[i];
        const struct tensor *found;
        status = loader_take(&l, &found, t->name, t->rows, t->cols);
        size_t n = status ? 0 : tensor_floats(t);
        for (size_t j = 0; j < n; j++)
            host[t->offset + j] = tensor_element(found, j);
    }
    if (!status && f->m->config.tie_word_embeddings)
        status = loader_take_tied_head(&l, &f->m->config);
    if (!status)
        status = loader_finish(&l);
    map_free(&l.seen);
    if (!status) {
        f->d->ops->upload(f->d, f->params, host, f->floats * sizeof *host);
        full_refresh(f);
    }
    mem_free(host);
    return status;
}

void full_close(full_model *f)
{
    if (!f)
        return;
    model_close(f->m);
    f->d->ops->free(f->d, f->params);
    mem_free(f->tensors);
    mem_free(f->offsets.layers);
    mem_free(f);
}

model *full_weights(full_model *f)
{
    return f->m;
}

float *full_params(full_model *f)
{
    return f->params;
}

const struct full_tensor *full_tensors(const full_model *f, int *n)
{
    *n = f->n_tensors;
    return f->tensors;
}

/* The safetensors file of values that lie as the masters do, in the given type. */
static int write_model(const full_model *f, struct str *out, const void *values, enum dtype dtype,
                       struct err *err)
{
    struct tensor_out *list = mem_alloc((size_t)f->n_tensors * sizeof *list);
    if (!list)
        return err_no_memory(err, "model.safetensors", (size_t)f->n_tensors * sizeof *list);
    for (int i = 0; i < f->n_tensors; i++) {
        const struct full_tensor *t = &f->tensors[i];
        list[i] = (struct tensor_out){.name = t->name,
                                      .dtype = dtype,
                                      .n_dims = t->cols ? 2 : 1,
                                      .shape = {(uint64_t)t->rows, (uint64_t)t->cols},
                                      .data = (const char *)values + t->offset * dtype_size(dtype)};
    }
    int status = safetensors_write(out, list, (size_t)f->n_tensors, err);
    mem_free(list);
    return status;
}

int full_save(full_model *f, const char *folder, enum dtype dtype, struct err *err)
{
    CHECK(dtype == DTYPE_F32 || dtype == DTYPE_BF16);
    float *host = mem_alloc(f->floats * sizeof *host);
    if (!host)
        return err_no_memory(err, folder, f->floats * sizeof *host);
    f->d->ops->download(f->d, host, f->params, f->floats * sizeof *host);
    uint16_t *half =
        (uint16_t *)(void *)host; /* in place: element i is read before it is covered */
    for (size_t i = 0; dtype == DTYPE_BF16 && i < f->floats; i++) {
        uint16_t bits = bf16_from_float(host[i]);
        memcpy(&half[i], &bits, sizeof bits);
    }
    struct str bytes = {0}, path = {0};
    int status = write_model(f, &bytes, host, dtype, err);
    mem_free(host);
    if (!status) {
        path_join(&path, folder, "model.safetensors");
        status = path.failed
                     ? err_no_memory(err, folder, strlen(folder))
                     : file_write_atomic(str_text(&path), str_text(&bytes), bytes.length, err);
    }
    str_free(&path);
    str_free(&bytes);
    return status;
}

/* --- after an update --- */

static void refresh_vector(const full_model *f, float *to, size_t offset, int n)
{
    if (to)
        f->d->ops->copy(f->d, to, f->params + offset, (size_t)n * sizeof(float));
}

void full_refresh(full_model *f)
{
    struct device *d = f->d;
    model *m = f->m;
    const struct hf_config *c = &m->config;
    d->ops->weight_update(d, m->embedding, f->params + f->offsets.embedding);
    if (m->head != m->embedding)
        d->ops->weight_update(d, m->head, f->params + f->offsets.head);
    refresh_vector(f, m->final_norm, f->offsets.final_norm, c->hidden_size);
    for (int i = 0; i < c->layers; i++) {
        const struct layer_offsets *o = &f->offsets.layers[i];
        struct layer_weights *w = &m->layers[i];
        for (int p = 0; p < N_PROJECTIONS; p++) {
            d->ops->weight_update(d, w->proj[p], f->params + o->proj[p]);
            refresh_vector(f, w->bias[p], o->bias[p], projection_out(c, (enum projection)p));
        }
        refresh_vector(f, w->input_norm, o->input_norm, c->hidden_size);
        refresh_vector(f, w->post_norm, o->post_norm, c->hidden_size);
        refresh_vector(f, w->q_norm, o->q_norm, c->head_dim);
        refresh_vector(f, w->k_norm, o->k_norm, c->head_dim);
    }
}

/* --- the gradient --- */

/* The tied matrix's gradient of one span: the head's rows, then the embedding's. */
static void tied_gradient(const full_model *f, const activations *acts, const float *hidden,
                          const struct batch *batch, const struct attn_span *span,
                          const int *targets, const float *dlogp, float *grad)
{
    struct device *d = f->d;
    const struct hf_config *c = &f->m->config;
    size_t row = (size_t)span->q_row, at = row * (size_t)c->hidden_size;
    d->ops->head_gradient(d, NULL, NULL, grad, hidden + at, f->m->head, targets + row, dlogp + row,
                          span->n_q);
    d->ops->embedding_gradient(d, grad, batch->ids + row, acts->dx + at, c->vocab_size,
                               c->hidden_size, span->n_q);
}

void full_gradient(full_model *f, struct kv_cache *kv, activations *acts, float *hidden,
                   const struct batch *batch, const int *targets, const float *dlogp, float *logp,
                   float *grad)
{
    struct device *d = f->d;
    model *m = f->m;
    const struct hf_config *c = &m->config;
    bool tied = m->head == m->embedding;
    float *dhidden = acts->dnormed; /* free until the norm that reads it is done */
    model_forward_train(m, NULL, kv, acts, hidden, batch);
    d->ops->head_gradient(d, logp, dhidden, tied ? NULL : grad + f->offsets.head, hidden, m->head,
                          targets, dlogp, batch->rows);
    model_backward_full(m, kv, acts, dhidden, &f->offsets, grad);
    for (int s = 0; tied && s < batch->n_spans; s++)
        tied_gradient(f, acts, hidden, batch, &batch->spans[s], targets, dlogp,
                      grad + f->offsets.embedding);
    if (!tied)
        d->ops->embedding_gradient(d, grad + f->offsets.embedding, batch->ids, acts->dx,
                                   c->vocab_size, c->hidden_size, batch->rows);
}
