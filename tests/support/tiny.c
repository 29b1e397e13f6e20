/* tiny.c: see tiny.h. */
#include "tiny.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"

void tiny_ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

const float *tiny_expected(const struct tiny *t, const char *name, size_t n)
{
    const struct tensor *x = tensor_find(&t->expected, name);
    if (!x)
        fail_msg("the fixture has no tensor %s", name);
    assert_int_equal(tensor_count(x), n);
    return x->data;
}

static int read_ids(const struct tiny *t, const char *name, int *out)
{
    const struct tensor *x = tensor_find(&t->expected, name);
    if (!x)
        return 0;
    memcpy(out, x->data, x->size);
    return (int)tensor_count(x);
}

static void open_model(struct tiny *t, const char *folder, int context)
{
    struct err err = {0};
    if (!context) {
        tiny_ok(model_open(&t->m, t->d, folder, 0, &err), &err);
        return;
    }
    struct hf_config config;
    struct tensor_set set = {0};
    tiny_ok(hf_config_open(&config, folder, NULL, 0, &err), &err);
    tiny_ok(safetensors_open_folder(&set, folder, &err), &err);
    config.max_position_embeddings = context;
    tiny_ok(model_create(&t->m, t->d, &config, &set, 0, &err), &err);
    tensor_set_close(&set);
}

void tiny_open_wide(struct tiny *t, const char *name, const char *isa, enum precision precision,
                    int threads, int context)
{
    struct err err = {0};
    char path[512];
    memset(t, 0, sizeof *t);
    struct device_options options = {.isa = isa, .precision = precision, .threads = threads};
    tiny_ok(device_open(&t->d, &options, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s", name);
    open_model(t, path, context);
    snprintf(path, sizeof path, "tests/oracle/model/%s/adapter", name);
    tiny_ok(adapter_open(&t->a, t->m, path, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s/expected.safetensors", name);
    tiny_ok(safetensors_open(&t->expected, path, &err), &err);
    t->prompt_len = read_ids(t, "prompt_ids", t->prompt);
    for (t->n = 0; t->n < TINY_MAX_COMPLETIONS; t->n++) {
        char key[64];
        snprintf(key, sizeof key, "completion_ids.%d", t->n);
        t->len[t->n] = read_ids(t, key, t->ids[t->n]);
        if (!t->len[t->n])
            break;
        snprintf(key, sizeof key, "weights.%d", t->n);
        memcpy(t->weights[t->n], tiny_expected(t, key, (size_t)t->len[t->n]),
               (size_t)t->len[t->n] * sizeof(float));
    }
}

void tiny_open(struct tiny *t, const char *name, const char *isa, enum precision precision,
               int threads)
{
    tiny_open_wide(t, name, isa, precision, threads, 0);
}

void tiny_close(struct tiny *t)
{
    adapter_close(t->a);
    model_close(t->m);
    device_close(t->d);
    tensor_set_close(&t->expected);
}

void tiny_new_adapter(struct tiny *t, unsigned targets, int rank, bool zero_b)
{
    struct err err = {0};
    struct peft_config config = {.r = rank, .lora_alpha = 2 * rank};
    for (int p = 0; p < N_PROJECTIONS; p++)
        config.targets[p] = targets >> p & 1;
    adapter_close(t->a);
    tiny_ok(adapter_create(&t->a, t->m, &config, 5, &err), &err);
    if (zero_b)
        return;
    size_t bytes = adapter_size(t->a) * sizeof(float);
    float *host = malloc(bytes);
    t->d->ops->download(t->d, host, adapter_params(t->a), bytes);
    int n;
    const struct adapter_tensor *tensors = adapter_tensors(t->a, &n);
    for (int i = 0; i < n; i++) {
        struct rng_key key = {.seed = 9,
                              .purpose = RNG_INIT,
                              .row = rng_id(tensors[i].name, strlen(tensors[i].name))};
        size_t size = (size_t)tensors[i].rows * (size_t)tensors[i].cols;
        for (size_t j = 0; tensors[i].is_b && j < size; j++)
            host[tensors[i].offset + j] = (float)(0.12 * rng_normal(&key, j));
    }
    t->d->ops->upload(t->d, adapter_params(t->a), host, bytes);
    free(host);
    adapter_refresh(t->a);
}

void tiny_random_ids(const struct tiny *t, int *ids, int n, uint64_t seed)
{
    struct rng_key key = {.seed = seed, .purpose = RNG_SHUFFLE};
    uint64_t words = (uint64_t)model_config(t->m)->vocab_size - 3;
    for (int i = 0; i < n; i++)
        ids[i] = 3 + (int)rng_below(&key, (uint64_t)i, words);
}

/* --- the trainer's way --- */

struct tables {
    int ids[TINY_MAX_ROWS], positions[TINY_MAX_ROWS], kv_rows[TINY_MAX_ROWS],
        targets[TINY_MAX_ROWS];
    struct attn_span spans[TINY_MAX_COMPLETIONS];
    float logp[TINY_MAX_ROWS], dlogp[TINY_MAX_ROWS], logz[TINY_MAX_ROWS];
    int rows;
};

struct trainer {
    struct tiny *t;
    int micro, prefix, total;
    float temperature;
    struct kv_cache kv;
    activations *prefix_acts, *acts;
    struct grad_tree tree, prefix_tree;
    float *hidden, *dhidden;
    struct segment_gradient segs[TINY_MAX_COMPLETIONS];
    struct tables *b;
};

static void trainer_open(struct trainer *r)
{
    struct err err = {0};
    struct tiny *t = r->t;
    const struct backend *ops = t->d->ops;
    const struct peft_config *lora = adapter_config(t->a);
    r->prefix = r->total = t->prompt_len - 1;
    for (int i = 0; i < t->n; i++)
        r->total += t->len[i];
    assert_true(r->total <= TINY_MAX_ROWS);
    tiny_ok(kv_cache_create(&r->kv, t->m, r->total + TINY_MAX_COMPLETIONS * KV_ALIGN, &err), &err);
    if (r->prefix)
        tiny_ok(activations_create(&r->prefix_acts, t->m, lora, r->prefix, &err), &err);
    tiny_ok(activations_create(&r->acts, t->m, lora, r->total, &err), &err);
    size_t params = adapter_size(t->a), prefix_kv = prefix_kv_size(model_config(t->m), r->prefix);
    tiny_ok(grad_tree_create(&r->tree, t->d, params, t->n + 1, &err), &err);
    tiny_ok(grad_tree_create(&r->prefix_tree, t->d, prefix_kv, t->n, &err), &err);
    size_t bytes = (size_t)r->total * (size_t)model_config(t->m)->hidden_size * sizeof(float);
    r->hidden = ops->alloc(t->d, bytes, &err);
    r->dhidden = ops->alloc(t->d, bytes, &err);
    for (int i = 0; i < r->micro; i++) {
        r->segs[i].params = ops->alloc(t->d, params * sizeof(float), &err);
        if (r->prefix)
            r->segs[i].prefix_kv = ops->alloc(t->d, prefix_kv * sizeof(float), &err);
    }
    r->b = calloc(1, sizeof *r->b);
}

static void trainer_close(struct trainer *r)
{
    struct device *d = r->t->d;
    for (int i = 0; i < r->micro; i++) {
        d->ops->free(d, r->segs[i].params);
        d->ops->free(d, r->segs[i].prefix_kv);
    }
    d->ops->free(d, r->hidden);
    d->ops->free(d, r->dhidden);
    grad_tree_free(&r->tree);
    grad_tree_free(&r->prefix_tree);
    activations_free(r->prefix_acts);
    activations_free(r->acts);
    kv_cache_free(&r->kv);
    free(r->b);
}

static void add_completion(struct tables *b, const struct tiny *t, int c, int span, int own_row)
{
    int prefix = t->prompt_len - 1;
    b->spans[span] = (struct attn_span){b->rows, t->len[c], 0, prefix, own_row, 0};
    for (int i = 0; i < t->len[c]; i++, b->rows++) {
        b->ids[b->rows] = i ? t->ids[c][i - 1] : t->prompt[prefix];
        b->targets[b->rows] = t->ids[c][i];
        b->positions[b->rows] = prefix + i;
        b->kv_rows[b->rows] = own_row + i;
    }
}

static void prefix_forward(struct trainer *r)
{
    struct tables *b = r->b;
    if (!r->prefix)
        return;
    for (int i = 0; i < r->prefix; i++)
        b->positions[i] = b->kv_rows[i] = i;
    b->spans[0] = (struct attn_span){0, r->prefix, 0, 0, 0, 0};
    struct batch batch = {r->prefix, r->t->prompt, b->positions, b->kv_rows, b->spans, 1};
    model_forward_train(r->t->m, r->t->a, &r->kv, r->prefix_acts, NULL, &batch);
}

/* Completions first … first + n − 1: forward, and backward where a gradient is wanted. */
static void micro_batch(struct trainer *r, int first, int n, float logp[][TINY_MAX_TOKENS],
                        bool backward)
{
    struct tiny *t = r->t;
    struct tables *b = r->b;
    const struct backend *ops = t->d->ops;
    b->rows = 0;
    for (int i = 0, next_row = r->prefix; i < n; i++) {
        int own_row = kv_own_row(next_row, t->prompt_len - 1);
        add_completion(b, t, first + i, i, own_row);
        next_row = own_row + t->len[first + i];
    }
    struct batch batch = {b->rows, b->ids, b->positions, b->kv_rows, b->spans, n};
    model_forward_train(t->m, t->a, &r->kv, r->acts, r->hidden, &batch);
    ops->logprob(t->d, b->logp, NULL, b->logz, r->hidden, model_head(t->m), b->targets,
                 r->temperature, b->rows);
    for (int i = 0, row = 0; i < n; row += t->len[first + i], i++) {
        size_t bytes = (size_t)t->len[first + i] * sizeof(float);
        memcpy(logp[first + i], b->logp + row, bytes);
        memcpy(b->dlogp + row, t->weights[first + i], bytes);
    }
    if (!backward)
        return;
    ops->logprob_backward(t->d, r->dhidden, r->hidden, model_head(t->m), b->targets, b->dlogp,
                          b->logz, r->temperature, b->rows);
    model_backward(t->m, t->a, &r->kv, r->acts, r->dhidden, r->segs);
    for (int i = 0; i < n; i++) {
        grad_tree_push(&r->tree, r->segs[i].params);
        if (r->prefix)
            grad_tree_push(&r->prefix_tree, r->segs[i].prefix_kv);
    }
}

void tiny_gradient(struct tiny *t, int micro, float temperature, float logp[][TINY_MAX_TOKENS],
                   float *gradient)
{
    struct trainer r = {.t = t, .micro = micro, .temperature = temperature};
    trainer_open(&r);
    prefix_forward(&r);
    for (int first = 0; first < t->n; first += micro)
        micro_batch(&r, first, t->n - first < micro ? t->n - first : micro, logp, gradient != NULL);
    if (gradient && r.prefix) {
        model_backward_prefix(t->m, t->a, &r.kv, r.prefix_acts, grad_tree_total(&r.prefix_tree),
                              r.segs[0].params);
        grad_tree_push(&r.tree, r.segs[0].params);
    }
    if (gradient)
        t->d->ops->download(t->d, gradient, grad_tree_total(&r.tree),
                            adapter_size(t->a) * sizeof(float));
    trainer_close(&r);
}

void tiny_score(struct tiny *t, float temperature, float logp[][TINY_MAX_TOKENS],
                float entropy[][TINY_MAX_TOKENS])
{
    struct err err = {0};
    rollout *r;
    const int *ids[TINY_MAX_COMPLETIONS];
    float *lp[TINY_MAX_COMPLETIONS], *en[TINY_MAX_COMPLETIONS];
    int longest = 1;
    for (int i = 0; i < t->n; i++) {
        ids[i] = t->ids[i];
        lp[i] = logp[i];
        en[i] = entropy ? entropy[i] : NULL;
        longest = t->len[i] > longest ? t->len[i] : longest;
    }
    tiny_ok(rollout_create(&r, t->m, adapter_config(t->a), 4, t->prompt_len, longest, &err), &err);
    struct score_request q = {t->prompt, t->prompt_len, ids, t->len, t->n, lp, entropy ? en : NULL};
    tiny_ok(rollout_score(r, t->a, temperature, &q, &err), &err);
    rollout_free(r);
}

void tiny_each(const char *const *cases, enum precision precision,
               void (*check)(const char *name, const char *isa, enum precision precision))
{
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        for (const char *const *name = cases; *name; name++)
            check(*name, *isa, precision);
    }
}
