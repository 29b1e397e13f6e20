/* kvcache.c: rows of keys and values, per layer; see model.h. Rows start as zeros, and no result
 * depends on a row that was not written. */
#include "base/mem.h"
#include "model/internal.h"

size_t kv_cache_bytes(const struct device *d, const struct hf_config *c, int rows)
{
    return 2 * (size_t)c->layers * d->ops->kv_bytes(d, model_dims(c, rows));
}

int kv_cache_create(struct kv_cache *kv, model *m, int rows, struct err *err)
{
    struct device *d = m->d;
    *kv = (struct kv_cache){.d = d, .layers = m->config.layers, .rows = rows};
    kv->k = mem_calloc((size_t)kv->layers, sizeof *kv->k);
    kv->v = mem_calloc((size_t)kv->layers, sizeof *kv->v);
    int status = kv->k && kv->v ? ERR_NONE : err_no_memory(err, "the KV cache", 0);
    size_t bytes = d->ops->kv_bytes(d, model_dims(&m->config, rows));
    for (int i = 0; i < 2 * kv->layers && !status; i++) {
        void **block = i % 2 ? &kv->v[i / 2] : &kv->k[i / 2];
        *block = d->ops->alloc(d, bytes, err);
        if (*block)
            d->ops->zero(d, *block, bytes);
        else
            status = ERR_MACHINE;
    }
    if (status)
        kv_cache_free(kv);
    return status;
}

void kv_cache_free(struct kv_cache *kv)
{
    for (int i = 0; i < kv->layers; i++) {
        if (kv->k)
            kv->d->ops->free(kv->d, kv->k[i]);
        if (kv->v)
            kv->d->ops->free(kv->d, kv->v[i]);
    }
    mem_free(kv->k);
    mem_free(kv->v);
    *kv = (struct kv_cache){0};
}
