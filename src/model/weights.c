/* weights.c: from tensors in a file to prepared weights; see model.h.
 *
 * The list of tensors an architecture needs is walked once; each must be there with its shape and
 * finite values, and at the end no tensor of the file may be left unknown: a model is either
 * exactly what its config says or an error. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/team.h"
#include "model/internal.h"

int projection_in(const struct hf_config *c, enum projection p)
{
    if (p == PROJ_O)
        return c->heads * c->head_dim;
    return p == PROJ_DOWN ? c->intermediate_size : c->hidden_size;
}

int projection_out(const struct hf_config *c, enum projection p)
{
    switch (p) {
    case PROJ_Q:
        return c->heads * c->head_dim;
    case PROJ_K:
    case PROJ_V:
        return c->kv_heads * c->head_dim;
    case PROJ_GATE:
    case PROJ_UP:
        return c->intermediate_size;
    default:
        return c->hidden_size;
    }
}

struct attn_dims model_dims(const struct hf_config *c, int cache_rows)
{
    return (struct attn_dims){c->heads, c->kv_heads, c->head_dim, cache_rows};
}

/* "(3, 4)" of a tensor as it is in the file. */
static const char *shape_text(char out[160], const struct tensor *t)
{
    int used = snprintf(out, 160, "(");
    for (int i = 0; i < t->n_dims; i++)
        used += snprintf(out + used, 160 - (size_t)used, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
    snprintf(out + used, 160 - (size_t)used, "%s)", t->n_dims == 1 ? "," : "");
    return out;
}

static int wrong_shape(const struct loader *l, const struct tensor *t, int rows, int cols)
{
    char found[160], wanted[160];
    struct tensor want = {.n_dims = cols ? 2 : 1, .shape = {(uint64_t)rows, (uint64_t)cols}};
    return err_set(l->err, ERR_INPUT, t->name,
                   "has shape %s, config.json asks for %s: weights and config are of different "
                   "models",
                   shape_text(found, t), shape_text(wanted, &want));
}

enum { CHECKED = 131072 }; /* values looked at together */

struct finite_check {
    const struct tensor *t;
    atomic_size_t bad, first;
};

static void count_not_finite(void *context, int thread, int first, int end)
{
    struct finite_check *c = context;
    size_t n = (size_t)tensor_count(c->t), stop = (size_t)end * CHECKED, where = 0;
    (void)thread;
    size_t bad = tensor_not_finite(c->t, (size_t)first * CHECKED, stop < n ? stop : n, &where);
    if (!bad)
        return;
    atomic_fetch_add(&c->bad, bad);
    size_t least = atomic_load(&c->first);
    while (where < least && !atomic_compare_exchange_weak(&c->first, &least, where)) {
    }
}

static int check_finite(struct loader *l, const struct tensor *t)
{
    struct finite_check check = {.t = t, .first = SIZE_MAX};
    size_t n = (size_t)tensor_count(t);
    team_run(l->team, count_not_finite, &check, (int)((n - 1) / CHECKED + 1), 1);
    if (!check.bad)
        return ERR_NONE;
    return err_set(l->err, ERR_INPUT, t->name,
                   "%zu of its %zu values are NaN or infinite, the first at element %zu; expected "
                   "finite numbers",
                   (size_t)check.bad, n, (size_t)check.first);
}

int loader_take(struct loader *l, const struct tensor **out, const char *name, int rows, int cols)
{
    const struct tensor *t = *out = tensor_find(l->set, name);
    if (!t)
        return err_set(
            l->err, ERR_INPUT, name,
            "this tensor is missing from the model's safetensors; config.json asks for it%s",
            strcmp(name, "lm_head.weight") == 0
                ? " (tie_word_embeddings is not true there: with it the embedding is the head)"
                : "");
    bool shape_ok = t->n_dims == (cols ? 2 : 1) && t->shape[0] == (uint64_t)rows &&
                    (!cols || t->shape[1] == (uint64_t)cols);
    if (!shape_ok)
        return wrong_shape(l, t, rows, cols);
    if (t->dtype != DTYPE_F32 && t->dtype != DTYPE_F16 && t->dtype != DTYPE_BF16)
        return err_set(l->err, ERR_INPUT, name,
                       "has dtype %s; weights may be F32, F16 or BF16 (quantised "
                       "safetensors are not supported)",
                       dtype_name(t->dtype));
    int status = check_finite(l, t);
    if (status)
        return status;
    if (!map_put(&l->seen, name, strlen(name), 1))
        return err_no_memory(l->err, name, strlen(name));
    return ERR_NONE;
}

static int load_matrix(struct loader *l, weight **out, const char *name, int n, int k)
{
    const struct tensor *t;
    int status = loader_take(l, &t, name, n, k);
    if (status)
        return status;
    struct device *d = l->m->d;
    *out = d->ops->weight_prepare(d, t->data, (enum weight_dtype)t->dtype, n, k, l->err);
    return *out ? ERR_NONE : ERR_MACHINE;
}

static int load_vector(struct loader *l, float **out, const char *name, int n)
{
    const struct tensor *t;
    int status = loader_take(l, &t, name, n, 0);
    if (status)
        return status;
    struct device *d = l->m->d;
    float *host = mem_alloc((size_t)n * sizeof *host);
    *out = d->ops->alloc(d, (size_t)n * sizeof **out, l->err);
    if (host && *out) {
        for (int i = 0; i < n; i++)
            host[i] = tensor_element(t, (size_t)i);
        d->ops->upload(d, *out, host, (size_t)n * sizeof *host);
    }
    status = host && *out ? ERR_NONE : err_no_memory(l->err, name, (size_t)n * sizeof *host);
    mem_free(host);
    return status;
}

static int load_layer(struct loader *l, int i)
{
    const struct hf_config *c = &l->m->config;
    struct layer_weights *w = &l->m->layers[i];
    char name[160];
    int status;
    for (int p = 0; p < N_PROJECTIONS; p++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.%s.weight", i,
                 p <= PROJ_O ? "self_attn" : "mlp", projection_names[p]);
        status = load_matrix(l, &w->proj[p], name, projection_out(c, (enum projection)p),
                             projection_in(c, (enum projection)p));
        if (status)
            return status;
    }
    const struct {
        const char *suffix;
        float **out;
        int n;
    } vectors[] = {{"input_layernorm", &w->input_norm, c->hidden_size},
                   {"post_attention_layernorm", &w->post_norm, c->hidden_size},
                   {"self_attn.q_norm", &w->q_norm, c->head_dim},
                   {"self_attn.k_norm", &w->k_norm, c->head_dim}};
    for (int v = 0; v < (c->qk_norm ? 4 : 2); v++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, vectors[v].suffix);
        status = load_vector(l, vectors[v].out, name, vectors[v].n);
        if (status)
            return status;
    }
    static const enum projection biased[] = {PROJ_Q, PROJ_K, PROJ_V};
    for (size_t b = 0; c->qkv_bias && b < ARRAY_LENGTH(biased); b++) {
        enum projection p = biased[b];
        snprintf(name, sizeof name, "model.layers.%d.self_attn.%s.bias", i, projection_names[p]);
        if ((status = load_vector(l, &w->bias[p], name, projection_out(c, p))))
            return status;
    }
    return ERR_NONE;
}

static int load_head(struct loader *l)
{
    model *m = l->m;
    const struct hf_config *c = &m->config;
    int status =
        load_matrix(l, &m->embedding, "model.embed_tokens.weight", c->vocab_size, c->hidden_size);
    if (!status)
        status = load_vector(l, &m->final_norm, "model.norm.weight", c->hidden_size);
    if (status)
        return status;
    if (!c->tie_word_embeddings)
        return load_matrix(l, &m->head, "lm_head.weight", c->vocab_size, c->hidden_size);
    m->head = m->embedding;
    return loader_take_tied_head(l, c);
}

/* Some writers store the tied head as well: accept it only as the same numbers. */
int loader_take_tied_head(struct loader *l, const struct hf_config *c)
{
    const struct tensor *head = tensor_find(l->set, "lm_head.weight");
    if (!head)
        return ERR_NONE;
    int status = loader_take(l, &head, "lm_head.weight", c->vocab_size, c->hidden_size);
    if (status)
        return status;
    const struct tensor *embedding = tensor_find(l->set, "model.embed_tokens.weight");
    if (head->dtype != embedding->dtype || memcmp(head->data, embedding->data, head->size) != 0)
        return err_set(l->err, ERR_INPUT, "lm_head.weight",
                       "differs from the embedding although config.json says "
                       "tie_word_embeddings: one of the two is wrong");
    return ERR_NONE;
}

int loader_finish(struct loader *l)
{
    for (size_t i = 0; i < l->set->count; i++) {
        const char *name = l->set->tensors[i].name;
        /* Old Llama files carry the rotary frequencies as a buffer; they are derived from the
         * config. */
        if (strstr(name, "rotary_emb.inv_freq") || map_get(&l->seen, name, strlen(name), NULL))
            continue;
        return err_set(l->err, ERR_INPUT, name,
                       "this tensor is not part of the architecture in config.json");
    }
    return ERR_NONE;
}

/* The wavelengths are told apart and blended in float32, operation by operation as transformers
 * does: a scalar over a tensor there is a product with the rounded reciprocal. */
static void scale_frequencies(float *freq, int n, const struct rope_scaling *s)
{
    float length = (float)s->original_max_position_embeddings;
    float factor = (float)s->factor, low = (float)s->low_freq_factor;
    float longest = (float)(s->original_max_position_embeddings / s->low_freq_factor);
    float shortest = (float)(s->original_max_position_embeddings / s->high_freq_factor);
    float width = (float)(s->high_freq_factor - s->low_freq_factor);
    for (int i = 0; i < n; i++) {
        float wavelength = (1.0f / freq[i]) * (float)(2 * M_PI);
        if (wavelength > longest) {
            freq[i] = freq[i] / factor;
        } else if (!(wavelength < shortest)) {
            float smooth = ((1.0f / wavelength) * length - low) / width;
            freq[i] = (1.0f - smooth) * freq[i] / factor + smooth * freq[i];
        }
    }
}

/* With scaling theta is raised in float32 too, so that each frequency falls on the side of a
 * threshold where transformers has it. The plain embedding rounds once, at the end: within 1 ulp
 * of transformers for the usual head sizes, and the bits all runs so far were made with. */
void rotary_frequencies(float *out, const struct hf_config *c)
{
    int half = c->head_dim / 2;
    bool scaled = c->rope.factor != 0;
    for (int i = 0; i < half; i++) {
        float exponent = (float)(2 * i) / (float)c->head_dim;
        out[i] = scaled ? 1.0f / (float)pow((double)(float)c->rope_theta, exponent)
                        : (float)(1.0 / pow(c->rope_theta, 2.0 * i / c->head_dim));
    }
    if (scaled)
        scale_frequencies(out, half, &c->rope);
}

/* cos and sin as transformers computes them in float32: the frequency is rounded to float32, so is
 * its product with the position, and so are the results. */
static int make_rotary(model *m, struct err *err)
{
    struct device *d = m->d;
    int half = m->config.head_dim / 2;
    size_t bytes = (size_t)m->max_context * (size_t)half * sizeof(float);
    float *host = mem_alloc(bytes), *freq = mem_alloc((size_t)half * sizeof *freq);
    m->cos = d->ops->alloc(d, bytes, err);
    m->sin = d->ops->alloc(d, bytes, err);
    if (!host || !freq || !m->cos || !m->sin) {
        mem_free(host);
        mem_free(freq);
        return err_no_memory(err, "rotary tables", bytes);
    }
    rotary_frequencies(freq, &m->config);
    for (int table = 0; table < 2; table++) {
        for (int i = 0; i < half; i++) {
            for (int p = 0; p < m->max_context; p++) {
                double angle = (double)((float)p * freq[i]);
                host[(size_t)p * (size_t)half + (size_t)i] =
                    (float)(table ? sin(angle) : cos(angle));
            }
        }
        d->ops->upload(d, table ? m->sin : m->cos, host, bytes);
    }
    mem_free(host);
    mem_free(freq);
    return ERR_NONE;
}

int model_create(model **out, struct device *d, const struct hf_config *config,
                 const struct tensor_set *weights, int max_context, struct err *err)
{
    *out = NULL;
    model *m = mem_calloc(1, sizeof *m);
    if (!m)
        return err_no_memory(err, "the model", sizeof *m);
    m->d = d;
    m->config = *config;
    m->max_context = config->max_position_embeddings;
    if (max_context > 0 && max_context < m->max_context)
        m->max_context = max_context;
    m->layers = mem_calloc((size_t)config->layers, sizeof *m->layers);
    struct loader l = {.m = m, .set = weights, .err = err};
    int status = m->layers ? team_open(&l.team, d->threads, err)
                           : err_no_memory(err, "the model", sizeof *m->layers);
    if (!status)
        status = load_head(&l);
    for (int i = 0; i < config->layers && !status; i++)
        status = load_layer(&l, i);
    if (!status)
        status = loader_finish(&l);
    if (!status)
        status = make_rotary(m, err);
    map_free(&l.seen);
    team_close(l.team);
    if (status)
        model_close(m);
    else
        *out = m;
    return status;
}

int model_open(model **out, struct device *d, const char *folder, int max_context, struct err *err)
{
    struct hf_config config;
    struct tensor_set set = {0};
    *out = NULL;
    int status = hf_config_open(&config, folder, NULL, 0, err);
    if (!status)
        status = safetensors_open_folder(&set, folder, err);
    if (!status) {
        status = model_create(out, d, &config, &set, max_context, err);
        if (status)
            err_prefix(err, folder);
    }
    tensor_set_close(&set);
    return status;
}

void model_close(model *m)
{
    if (!m)
        return;
    const struct backend *ops = m->d->ops;
    for (int i = 0; m->layers && i < m->config.layers; i++) {
        struct layer_weights *w = &m->layers[i];
        for (int p = 0; p < N_PROJECTIONS; p++) {
            ops->weight_free(m->d, w->proj[p]);
            ops->free(m->d, w->bias[p]);
        }
        ops->free(m->d, w->input_norm);
        ops->free(m->d, w->post_norm);
        ops->free(m->d, w->q_norm);
        ops->free(m->d, w->k_norm);
    }
    if (m->head != m->embedding)
        ops->weight_free(m->d, m->head);
    ops->weight_free(m->d, m->embedding);
    ops->free(m->d, m->final_norm);
    ops->free(m->d, m->cos);
    ops->free(m->d, m->sin);
    mem_free(m->layers);
    mem_free(m);
}

const struct hf_config *model_config(const model *m)
{
    return &m->config;
}

struct device *model_device(const model *m)
{
    return m->d;
}

int model_max_context(const model *m)
{
    return m->max_context;
}

const weight *model_head(const model *m)
{
    return m->head;
}

size_t model_weight_bytes(const struct device *d, const struct hf_config *c, int max_context)
{
    size_t bytes =
        d->ops->weight_bytes(d, c->vocab_size, c->hidden_size) * (c->tie_word_embeddings ? 1 : 2);
    for (int p = 0; p < N_PROJECTIONS; p++)
        bytes += (size_t)c->layers * d->ops->weight_bytes(d, projection_out(c, (enum projection)p),
                                                          projection_in(c, (enum projection)p));
    size_t vectors = (size_t)c->hidden_size * (2 * (size_t)c->layers + 1);
    if (c->qk_norm)
        vectors += 2 * (size_t)c->head_dim * (size_t)c->layers;
    if (c->qkv_bias)
        vectors += (size_t)(c->heads + 2 * c->kv_heads) * (size_t)c->head_dim * (size_t)c->layers;
    size_t rotary = 2 * (size_t)max_context * (size_t)(c->head_dim / 2);
    return bytes + (vectors + rotary) * sizeof(float);
}
