/* tiny.c: see tiny.h. */
#include "tiny.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ok(int status, const struct err *err)
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

void tiny_open(struct tiny *t, const char *name, const char *isa, enum precision precision,
               int threads)
{
    struct err err = {0};
    char path[512];
    memset(t, 0, sizeof *t);
    struct device_options options = {.isa = isa, .precision = precision, .threads = threads};
    ok(device_open(&t->d, &options, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s", name);
    ok(model_open(&t->m, t->d, path, 0, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s/adapter", name);
    ok(adapter_open(&t->a, t->m, path, &err), &err);
    snprintf(path, sizeof path, "tests/oracle/model/%s/expected.safetensors", name);
    ok(safetensors_open(&t->expected, path, &err), &err);
    t->prompt_len = read_ids(t, "prompt_ids", t->prompt);
    for (t->n = 0;; t->n++) {
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

void tiny_close(struct tiny *t)
{
    adapter_close(t->a);
    model_close(t->m);
    device_close(t->d);
    tensor_set_close(&t->expected);
}

struct tables {
    int ids[512], positions[512], kv_rows[512], targets[512];
    struct attn_span spans[TINY_MAX_COMPLETIONS];
    int rows;
};

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

void tiny_gradient(struct tiny *t, int micro, float temperature, float logp[][TINY_MAX_TOKENS],
                   float *gradient)
{
    struct err err = {0};
    const struct hf_config *c = model_config(t->m);
    const struct backend *ops = t->d->ops;
    int prefix = t->prompt_len - 1, total = prefix;
    for (int i = 0; i < t->n; i++)
        total += t->len[i];
    struct kv_cache kv;
    activations *prefix_acts, *acts;
    ok(kv_cache_create(&kv, t->m, total, &err), &err);
    ok(activations_create(&prefix_acts, t->m, adapter_config(t->a), prefix, &err), &err);
    ok(activations_create(&acts, t->m, adapter_config(t->a), total, &err), &err);
    size_t n_params = adapter_size(t->a), n_prefix = prefix_kv_size(c, prefix);
    struct grad_tree tree, prefix_tree;
    ok(grad_tree_create(&tree, t->d, n_params, t->n + 1, &err), &err);
    ok(grad_tree_create(&prefix_tree, t->d, n_prefix, t->n, &err), &err);
    size_t hidden_bytes = (size_t)total * (size_t)c->hidden_size * sizeof(float);
    float *hidden = ops->alloc(t->d, hidden_bytes, &err),
          *dhidden = ops->alloc(t->d, hidden_bytes, &err);
    struct segment_gradient segs[TINY_MAX_COMPLETIONS];
    for (int i = 0; i < micro; i++) {
        segs[i].params = ops->alloc(t->d, n_params * sizeof(float), &err);
        segs[i].prefix_kv = ops->alloc(t->d, n_prefix * sizeof(float), &err);
    }

    struct tables b = {0};
    for (int i = 0; i < prefix; i++)
        b.positions[i] = b.kv_rows[i] = i;
    b.spans[0] = (struct attn_span){0, prefix, 0, 0, 0, 0};
    struct batch batch = {prefix, t->prompt, b.positions, b.kv_rows, b.spans, 1};
    model_forward_train(t->m, t->a, &kv, prefix_acts, NULL, &batch);
    for (int first = 0; first < t->n; first += micro) {
        int n = t->n - first < micro ? t->n - first : micro;
        b.rows = 0;
        float out[512], dlogp[512], logz[512];
        for (int i = 0; i < n; i++)
            add_completion(&b, t, first + i, i, prefix + b.rows);
        batch = (struct batch){b.rows, b.ids, b.positions, b.kv_rows, b.spans, n};
        model_forward_train(t->m, t->a, &kv, acts, hidden, &batch);
        ops->logprob(t->d, out, NULL, logz, hidden, model_head(t->m), b.targets, temperature,
                     b.rows);
        for (int i = 0, row = 0; i < n; row += t->len[first + i], i++) {
            memcpy(logp[first + i], out + row, (size_t)t->len[first + i] * sizeof(float));
            memcpy(dlogp + row, t->weights[first + i], (size_t)t->len[first + i] * sizeof(float));
        }
        ops->logprob_backward(t->d, dhidden, hidden, model_head(t->m), b.targets, dlogp, logz,
                              temperature, b.rows);
        model_backward(t->m, t->a, &kv, acts, dhidden, segs);
        for (int i = 0; i < n; i++) {
            grad_tree_push(&tree, segs[i].params);
            grad_tree_push(&prefix_tree, segs[i].prefix_kv);
        }
    }
    model_backward_prefix(t->m, t->a, &kv, prefix_acts, grad_tree_total(&prefix_tree),
                          segs[0].params);
    grad_tree_push(&tree, segs[0].params);
    ops->download(t->d, gradient, grad_tree_total(&tree), n_params * sizeof(float));

    for (int i = 0; i < micro; i++) {
        ops->free(t->d, segs[i].params);
        ops->free(t->d, segs[i].prefix_kv);
    }
    ops->free(t->d, hidden);
    ops->free(t->d, dhidden);
    grad_tree_free(&tree);
    grad_tree_free(&prefix_tree);
    activations_free(prefix_acts);
    activations_free(acts);
    kv_cache_free(&kv);
}

void tiny_score(struct tiny *t, float temperature, float logp[][TINY_MAX_TOKENS],
                float entropy[][TINY_MAX_TOKENS])
{
    struct err err = {0};
    rollout *r;
    ok(rollout_create(&r, t->m, adapter_config(t->a), 4, 64, 32, &err), &err);
    const int *ids[TINY_MAX_COMPLETIONS];
    float *lp[TINY_MAX_COMPLETIONS], *en[TINY_MAX_COMPLETIONS];
    for (int i = 0; i < t->n; i++) {
        ids[i] = t->ids[i];
        lp[i] = logp[i];
        en[i] = entropy ? entropy[i] : NULL;
    }
    struct score_request q = {t->prompt, t->prompt_len, ids, t->len, t->n, lp, entropy ? en : NULL};
    ok(rollout_score(r, t->a, temperature, &q, &err), &err);
    rollout_free(r);
}
