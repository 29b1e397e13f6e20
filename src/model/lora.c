/* lora.c: the adapter: one flat block of f32 parameters, a table of what lies where, and a prepared
 * copy of each matrix for the matrix kernels; see model.h. PEFT's definition: W x + s·B(A x). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/internal.h"

struct linear model_linear(const model *m, const adapter *a, int layer, enum projection p)
{
    struct linear l = {.w = m->layers[layer].proj[p],
                       .bias = m->layers[layer].bias[p],
                       .n = projection_out(&m->config, p),
                       .k = projection_in(&m->config, p)};
    const struct adapter_pair *pair = a ? &a->pairs[layer * N_PROJECTIONS + (int)p] : NULL;
    if (pair && pair->a) {
        l.lora_a = pair->a;
        l.lora_b = pair->b;
        l.lora_scale = a->scale;
        l.rank = a->config.r;
    }
    return l;
}

/* Fills the table of tensors and the offsets: layer by layer, projection by projection, A then B.
 */
static void lay_out(adapter *a)
{
    const struct hf_config *c = &a->m->config;
    for (int layer = 0; layer < c->layers; layer++) {
        for (int p = 0; p < N_PROJECTIONS; p++) {
            if (!a->config.targets[p])
                continue;
            struct adapter_pair *pair = &a->pairs[layer * N_PROJECTIONS + p];
            for (int is_b = 0; is_b < 2; is_b++) {
                struct adapter_tensor *t = &a->tensors[a->n_tensors++];
                *t = (struct adapter_tensor){
                    .offset = a->size,
                    .rows = is_b ? projection_out(c, (enum projection)p) : a->config.r,
                    .cols = is_b ? a->config.r : projection_in(c, (enum projection)p),
                    .layer = layer,
                    .projection = (enum projection)p,
                    .is_b = is_b};
                peft_tensor_name(t->name, layer, (enum projection)p, is_b);
                *(is_b ? &pair->b_offset : &pair->a_offset) = a->size;
                a->size += (size_t)t->rows * (size_t)t->cols;
            }
        }
    }
}

size_t adapter_floats(const struct hf_config *c, const struct peft_config *lora)
{
    size_t floats = 0;
    for (int p = 0; p < N_PROJECTIONS; p++)
        if (lora->targets[p])
            floats += (size_t)lora->r * (size_t)(projection_out(c, (enum projection)p) +
                                                 projection_in(c, (enum projection)p));
    return floats * (size_t)c->layers;
}

size_t adapter_bytes(const struct device *d, const struct hf_config *c,
                     const struct peft_config *lora)
{
    size_t bytes = adapter_floats(c, lora) * sizeof(float);
    for (int p = 0; p < N_PROJECTIONS; p++)
        if (lora->targets[p])
            bytes += (size_t)c->layers *
                     (d->ops->weight_bytes(d, lora->r, projection_in(c, (enum projection)p)) +
                      d->ops->weight_bytes(d, projection_out(c, (enum projection)p), lora->r));
    return bytes;
}

static int prepare_pairs(adapter *a, struct err *err)
{
    struct device *d = a->m->d;
    for (int i = 0; i < a->n_tensors; i++) {
        const struct adapter_tensor *t = &a->tensors[i];
        struct adapter_pair *pair = &a->pairs[t->layer * N_PROJECTIONS + (int)t->projection];
        weight *w = d->ops->weight_create(d, t->rows, t->cols, err);
        if (!w)
            return ERR_MACHINE;
        *(t->is_b ? &pair->b : &pair->a) = w;
    }
    return ERR_NONE;
}

/* An adapter of the right shape with all parameters zero. */
static int allocate(adapter **out, model *m, const struct peft_config *config, struct err *err)
{
    *out = NULL;
    size_t slots = (size_t)m->config.layers * N_PROJECTIONS;
    adapter *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_no_memory(err, "the adapter", sizeof *a);
    a->m = m;
    a->config = *config;
    a->scale = peft_scale(config);
    a->pairs = mem_calloc(slots, sizeof *a->pairs);
    a->tensors = mem_calloc(2 * slots, sizeof *a->tensors);
    int status = a->pairs && a->tensors ? ERR_NONE : err_no_memory(err, "the adapter", slots);
    if (!status) {
        lay_out(a);
        if (!a->size)
            status = err_set(err, ERR_USAGE, "target_modules",
                             "names no projection: nothing would be trained");
    }
    if (!status) {
        a->params = m->d->ops->alloc(m->d, a->size * sizeof(float), err);
        status = a->params ? prepare_pairs(a, err) : ERR_MACHINE;
    }
    if (status) {
        adapter_close(a);
        return status;
    }
    m->d->ops->zero(m->d, a->params, a->size * sizeof(float));
    *out = a;
    return ERR_NONE;
}

/* PEFT initialises A with kaiming_uniform_(a = √5), whose bound is 1/√(fan in); B is zero. */
static void draw(float *host, const struct adapter_tensor *t, uint64_t seed)
{
    struct rng_key key = {
        .seed = seed, .purpose = RNG_INIT, .row = rng_id(t->name, strlen(t->name))};
    double bound = 1.0 / sqrt((double)t->cols), uniform[512];
    size_t n = (size_t)t->rows * (size_t)t->cols;
    for (size_t first = 0, count; first < n; first += count) {
        count = n - first < ARRAY_LENGTH(uniform) ? n - first : ARRAY_LENGTH(uniform);
        rng_uniforms(uniform, &key, first, count);
        for (size_t j = 0; j < count; j++)
            host[t->offset + first + j] = (float)((2.0 * uniform[j] - 1.0) * bound);
    }
}

int adapter_create(adapter **out, model *m, const struct peft_config *config, uint64_t seed,
                   struct err *err)
{
    int status = allocate(out, m, config, err);
    if (status)
        return status;
    adapter *a = *out;
    float *host = mem_calloc(a->size, sizeof *host);
    if (!host) {
        err_no_memory(err, "the adapter", a->size * sizeof *host);
        adapter_close(a);
        *out = NULL;
        return ERR_MACHINE;
    }
    for (int i = 0; i < a->n_tensors; i++)
        if (!a->tensors[i].is_b)
            draw(host, &a->tensors[i], seed);
    m->d->ops->upload(m->d, a->params, host, a->size * sizeof *host);
    mem_free(host);
    adapter_refresh(a);
    return ERR_NONE;
}

/* Copies one tensor's values into host, checking everything about it. */
static int take_tensor(const adapter *a, float *host, const struct adapter_tensor *want,
                       const struct tensor_set *set, struct err *err)
{
    const struct tensor *t = tensor_find(set, want->name);
    if (!t)
        return err_set(err, ERR_INPUT, want->name,
                       "is missing from adapter_model.safetensors; a projection has an adapter in "
                       "every layer or in none");
    if (t->n_dims != 2 || t->shape[0] != (uint64_t)want->rows ||
        t->shape[1] != (uint64_t)want->cols)
        return err_set(err, ERR_INPUT, want->name,
                       "has shape (%llu, %llu), this model and r = %d need (%d, %d): it is "
                       "an adapter for another model",
                       (unsigned long long)(t->n_dims ? t->shape[0] : 0),
                       (unsigned long long)(t->n_dims > 1 ? t->shape[1] : 0), a->config.r,
                       want->rows, want->cols);
    if (t->dtype != DTYPE_F32 && t->dtype != DTYPE_F16 && t->dtype != DTYPE_BF16)
        return err_set(err, ERR_INPUT, want->name, "has dtype %s, expected F32, F16 or BF16",
                       dtype_name(t->dtype));
    size_t n = (size_t)want->rows * (size_t)want->cols;
    for (size_t i = 0; i < n; i++) {
        host[want->offset + i] = tensor_element(t, i);
        if (!isfinite(host[want->offset + i]))
            return err_set(err, ERR_INPUT, want->name,
                           "holds a value that is NaN or infinite at element %zu", i);
    }
    return ERR_NONE;
}

int adapter_load(adapter *a, const struct tensor_set *set, struct err *err)
{
    float *host = mem_alloc(a->size * sizeof *host);
    if (!host)
        return err_no_memory(err, "the adapter", a->size * sizeof *host);
    int status = ERR_NONE;
    struct map known = {0};
    for (int i = 0; i < a->n_tensors && !status; i++) {
        status = take_tensor(a, host, &a->tensors[i], set, err);
        if (!status && !map_put(&known, a->tensors[i].name, strlen(a->tensors[i].name), i))
            status = err_no_memory(err, "the adapter", 0);
    }
    for (size_t i = 0; i < set->count && !status; i++)
        if (!map_get(&known, set->tensors[i].name, strlen(set->tensors[i].name), NULL))
            status = err_set(err, ERR_INPUT, set->tensors[i].name,
                             "is not a LoRA tensor of this model and its "
                             "target_modules");
    map_free(&known);
    if (!status) {
        a->m->d->ops->upload(a->m->d, a->params, host, a->size * sizeof *host);
        adapter_refresh(a);
    }
    mem_free(host);
    return status;
}

int adapter_open(adapter **out, model *m, const char *folder, struct err *err)
{
    struct peft_config config;
    struct tensor_set set = {0};
    *out = NULL;
    int status = peft_open(&config, &set, folder, err);
    if (!status) {
        status = allocate(out, m, &config, err);
        if (!status)
            status = adapter_load(*out, &set, err);
        if (status) {
            err_prefix(err, folder); /* peft_open's own errors name the file already */
            adapter_close(*out);
            *out = NULL;
        }
    }
    tensor_set_close(&set);
    return status;
}

void adapter_close(adapter *a)
{
    if (!a)
        return;
    struct device *d = a->m->d;
    for (int i = 0; a->pairs && i < a->m->config.layers * N_PROJECTIONS; i++) {
        d->ops->weight_free(d, a->pairs[i].a);
        d->ops->weight_free(d, a->pairs[i].b);
    }
    d->ops->free(d, a->params);
    mem_free(a->pairs);
    mem_free(a->tensors);
    mem_free(a);
}

const struct peft_config *adapter_config(const adapter *a)
{
    return &a->config;
}

size_t adapter_size(const adapter *a)
{
    return a->size;
}

float *adapter_params(adapter *a)
{
    return a->params;
}

const struct adapter_tensor *adapter_tensors(const adapter *a, int *n)
{
    *n = a->n_tensors;
    return a->tensors;
}

void adapter_refresh(adapter *a)
{
    struct device *d = a->m->d;
    for (int i = 0; i < a->n_tensors; i++) {
        const struct adapter_tensor *t = &a->tensors[i];
        struct adapter_pair *pair = &a->pairs[t->layer * N_PROJECTIONS + (int)t->projection];
        d->ops->weight_update(d, t->is_b ? pair->b : pair->a, a->params + t->offset);
    }
}

static int write_file(const char *folder, const char *name, const struct str *bytes,
                      struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, name);
    int status = path.failed
                     ? err_no_memory(err, name, strlen(folder))
                     : file_write_atomic(str_text(&path), str_text(bytes), bytes->length, err);
    str_free(&path);
    return status;
}

static int write_files(const adapter *a, const float *host, const char *folder, struct err *err)
{
    struct tensor_out *list = mem_alloc((size_t)a->n_tensors * sizeof *list);
    if (!list)
        return err_no_memory(err, folder, (size_t)a->n_tensors * sizeof *list);
    for (int i = 0; i < a->n_tensors; i++)
        list[i] = (struct tensor_out){
            .name = a->tensors[i].name,
            .dtype = DTYPE_F32,
            .n_dims = 2,
            .shape = {(uint64_t)a->tensors[i].rows, (uint64_t)a->tensors[i].cols},
            .data = host + a->tensors[i].offset};
    struct str bytes = {0};
    int status = safetensors_write(&bytes, list, (size_t)a->n_tensors, err);
    if (!status)
        status = write_file(folder, "adapter_model.safetensors", &bytes, err);
    str_clear(&bytes);
    if (!status)
        status = peft_config_write(&bytes, &a->config, err);
    if (!status)
        status = write_file(folder, "adapter_config.json", &bytes, err);
    str_free(&bytes);
    mem_free(list);
    return status;
}

int adapter_save(adapter *a, const char *folder, struct err *err)
{
    float *host = mem_alloc(a->size * sizeof *host);
    if (!host)
        return err_no_memory(err, folder, a->size * sizeof *host);
    a->m->d->ops->download(a->m->d, host, a->params, a->size * sizeof *host);
    int status = write_files(a, host, folder, err);
    mem_free(host);
    return status;
}
