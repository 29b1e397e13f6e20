/* gradient.c: one step's gradient, group by group; see gradient.h.
 *
 * The cache holds one prompt's rows, then a stretch of rows for each completion of a micro-batch. A
 * completion's rows start with the last prompt token (model.h), so completion t of a segment is
 * predicted from row t of that segment. */
#include "train/gradient.h"
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "model/grad_tree.h"

struct gradient {
    model *m;
    struct device *d;
    struct gradient_size size;
    struct kv_cache kv;
    activations *prefix_acts, *acts; /* of the prompt; of a micro-batch */
    float *hidden, *dhidden;         /* (rows, H) device */
    float *leaves, *kv_leaves;       /* micro_batch vectors each, device */
    size_t leaf_floats, kv_floats;   /* of one vector */
    struct segment_gradient *segs;   /* (micro_batch) */
    struct grad_tree params, prefix; /* over the step; over a group */
    /* host tables of a pass, (rows) */
    int *ids, *positions, *kv_rows, *targets;
    struct attn_span *spans;
    float *logp, *entropy, *logz, *dlogp;
};

static int pass_rows(const struct gradient_size *s)
{
    return s->micro_batch * s->max_completion_length;
}

static int prefix_rows(const struct gradient_size *s)
{
    return s->max_prompt_length > 1 ? s->max_prompt_length - 1 : 1;
}

/* Of the cache: a prompt, and completions each of which may have to start further behind. */
static int kv_rows(const struct gradient_size *s)
{
    return prefix_rows(s) + s->micro_batch * (s->max_completion_length + KV_ALIGN - 1);
}

static long step_leaves(const struct gradient_size *s)
{
    return (long)s->groups * (s->per_group + 1);
}

size_t gradient_bytes(const struct device *d, const struct hf_config *c,
                      const struct peft_config *lora, size_t adapter_floats,
                      const struct gradient_size *s)
{
    size_t rows = (size_t)pass_rows(s), kv_floats = prefix_kv_size(c, prefix_rows(s));
    return kv_cache_bytes(d, c, kv_rows(s)) + activations_bytes(d, c, lora, prefix_rows(s)) +
           activations_bytes(d, c, lora, pass_rows(s)) +
           2 * rows * (size_t)c->hidden_size * sizeof(float) +
           (size_t)s->micro_batch * (adapter_floats + kv_floats) * sizeof(float) +
           grad_tree_bytes(adapter_floats, step_leaves(s)) +
           grad_tree_bytes(kv_floats, s->per_group);
}

static int alloc_tables(gradient *g, size_t rows, struct err *err)
{
    g->segs = mem_calloc((size_t)g->size.micro_batch, sizeof *g->segs);
    g->ids = mem_alloc(rows * sizeof *g->ids);
    g->positions = mem_alloc(rows * sizeof *g->positions);
    g->kv_rows = mem_alloc(rows * sizeof *g->kv_rows);
    g->targets = mem_alloc(rows * sizeof *g->targets);
    g->spans = mem_alloc((size_t)g->size.micro_batch * sizeof *g->spans);
    g->logp = mem_alloc(rows * sizeof *g->logp);
    g->entropy = mem_alloc(rows * sizeof *g->entropy);
    g->logz = mem_alloc(rows * sizeof *g->logz);
    g->dlogp = mem_alloc(rows * sizeof *g->dlogp);
    if (!g->segs || !g->ids || !g->positions || !g->kv_rows || !g->targets || !g->spans ||
        !g->logp || !g->entropy || !g->logz || !g->dlogp)
        return err_no_memory(err, "the gradient's tables", rows * 40);
    return ERR_NONE;
}

static int alloc_device(gradient *g, const struct peft_config *lora, size_t rows, struct err *err)
{
    const struct backend *ops = g->d->ops;
    const struct hf_config *c = model_config(g->m);
    size_t micro = (size_t)g->size.micro_batch,
           stream = rows * (size_t)c->hidden_size * sizeof(float);
    int status = kv_cache_create(&g->kv, g->m, kv_rows(&g->size), err);
    if (!status)
        status = activations_create(&g->prefix_acts, g->m, lora, prefix_rows(&g->size), err);
    if (!status)
        status = activations_create(&g->acts, g->m, lora, (int)rows, err);
    if (!status)
        status = grad_tree_create(&g->params, g->d, g->leaf_floats, step_leaves(&g->size), err);
    if (!status)
        status = grad_tree_create(&g->prefix, g->d, g->kv_floats, g->size.per_group, err);
    if (status)
        return status;
    if (!(g->hidden = ops->alloc(g->d, stream, err)) ||
        !(g->dhidden = ops->alloc(g->d, stream, err)) ||
        !(g->leaves = ops->alloc(g->d, micro * g->leaf_floats * sizeof(float), err)) ||
        !(g->kv_leaves = ops->alloc(g->d, micro * g->kv_floats * sizeof(float), err)))
        return ERR_MACHINE;
    return ERR_NONE;
}

int gradient_create(gradient **out, model *m, const struct peft_config *lora,
                    const struct gradient_size *size, struct err *err)
{
    *out = NULL;
    gradient *g = mem_calloc(1, sizeof *g);
    if (!g)
        return err_no_memory(err, "the gradient", sizeof *g);
    g->m = m;
    g->d = model_device(m);
    g->size = *size;
    g->leaf_floats = adapter_floats(model_config(m), lora);
    g->kv_floats = prefix_kv_size(model_config(m), prefix_rows(size));
    size_t rows = (size_t)pass_rows(size);
    size_t prompt = (size_t)prefix_rows(size);
    int status = alloc_tables(g, rows > prompt ? rows : prompt, err);
    if (!status)
        status = alloc_device(g, lora, rows, err);
    if (status)
        gradient_free(g);
    else
        *out = g;
    return status;
}

void gradient_free(gradient *g)
{
    if (!g)
        return;
    const struct backend *ops = g->d->ops;
    ops->free(g->d, g->hidden);
    ops->free(g->d, g->dhidden);
    ops->free(g->d, g->leaves);
    ops->free(g->d, g->kv_leaves);
    grad_tree_free(&g->params);
    grad_tree_free(&g->prefix);
    activations_free(g->prefix_acts);
    activations_free(g->acts);
    kv_cache_free(&g->kv);
    mem_free(g->segs);
    mem_free(g->ids);
    mem_free(g->positions);
    mem_free(g->kv_rows);
    mem_free(g->targets);
    mem_free(g->spans);
    mem_free(g->logp);
    mem_free(g->entropy);
    mem_free(g->logz);
    mem_free(g->dlogp);
    mem_free(g);
}

/* Keys, values and activations of a group's prompt, without its last token. */
static void forward_prompt(gradient *g, const adapter *a, const struct ids *prompt)
{
    int n = (int)prompt->count - 1;
    for (int i = 0; i < n; i++)
        g->positions[i] = g->kv_rows[i] = i;
    struct attn_span span = {.q_row = 0, .n_q = n, .own_row = 0, .own_pos = 0};
    struct batch batch = {n, prompt->data, g->positions, g->kv_rows, &span, 1};
    model_forward_train(g->m, a, &g->kv, g->prefix_acts, NULL, &batch);
}

/* The n next completions of the step from number `first` of the generation on, all of one group:
 * their segments end to end. `end`: behind the last one. */
struct micro_batch {
    int first, end, n, rows;
    int prefix_len;
};

static void take_completions(const gradient *g, const struct generation *gen, int group_end,
                             struct micro_batch *mb)
{
    mb->n = 0;
    for (mb->end = mb->first; mb->end < group_end && mb->n < g->size.micro_batch; mb->end++)
        mb->n += generation_in_step(gen, mb->end);
}

static void forward_completions(gradient *g, const struct gradient_call *call,
                                const struct generation *gen, struct micro_batch *mb)
{
    const struct ids *prompt = &gen->batch.groups[mb->first / gen->per_group].prompt;
    int last_prompt = prompt->data[prompt->count - 1], row = 0, span = 0;
    int next_row = prefix_rows(&g->size);
    for (int i = mb->first; i < mb->end; i++) {
        if (!generation_in_step(gen, i))
            continue;
        const struct completion *c = &generation_sample(gen, i)->completion;
        int own_row = kv_own_row(next_row, mb->prefix_len);
        next_row = own_row + c->length;
        g->spans[span++] = (struct attn_span){row, c->length, 0, mb->prefix_len, own_row, 0};
        for (int t = 0; t < c->length; t++, row++) {
            g->ids[row] = t ? c->ids[t - 1] : last_prompt;
            g->targets[row] = c->ids[t];
            g->positions[row] = mb->prefix_len + t;
            g->kv_rows[row] = own_row + t;
        }
    }
    mb->rows = row;
    struct batch batch = {row, g->ids, g->positions, g->kv_rows, g->spans, mb->n};
    model_forward_train(g->m, call->a, &g->kv, g->acts, g->hidden, &batch);
    g->d->ops->logprob(g->d, g->logp, g->entropy, g->logz, g->hidden, model_head(g->m), g->targets,
                       (float)call->temperature, row);
}

/* Losses of the micro-batch and their derivatives; false when a log-probability is not finite. */
static bool compute_loss(gradient *g, const struct gradient_call *call, struct generation *gen,
                         const struct micro_batch *mb, const struct loss_denominator *denominator,
                         struct loss_sums *sums)
{
    int row = 0;
    for (int i = mb->first; i < mb->end; i++) {
        if (!generation_in_step(gen, i))
            continue;
        int length = generation_sample(gen, i)->completion.length;
        size_t at = generation_token(gen, i), bytes = (size_t)length * sizeof(float);
        for (int t = 0; t < length; t++)
            if (!isfinite(g->logp[row + t]))
                return false;
        memcpy(gen->logp + at, g->logp + row, bytes);
        memcpy(gen->entropy + at, g->entropy + row, bytes);
        if (!gen->has_old)
            memcpy(gen->old + at, g->logp + row, bytes);
        struct loss_tokens tokens = {.length = length,
                                     .logp = gen->logp + at,
                                     .old = gen->old + at,
                                     .ref = call->loss->beta != 0 ? gen->ref + at : NULL,
                                     .entropy = call->top_entropy ? gen->entropy + at : NULL,
                                     .min_entropy = call->min_entropy,
                                     .dlogp = gen->dlogp + at};
        if (generation_trains(gen, i))
            loss_completion(call->loss, loss_token_weight(call->loss, denominator, length),
                            gen->advantage[i], &tokens, sums);
        else
            memset(gen->dlogp + at, 0, bytes);
        if (gen->valid[i] && !generation_trains(gen, i))
            loss_masked_completion(call->loss, gen->advantage[i], sums);
        memcpy(g->dlogp + row, gen->dlogp + at, bytes);
        row += length;
    }
    return true;
}

static bool all_zero(const float *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i] != 0)
            return false;
    return true;
}

/* The micro-batch's leaves, pushed into both trees (zero: none of the step, or no signal). */
static void push_leaves(gradient *g, const struct generation *gen, const struct micro_batch *mb,
                        bool zero)
{
    int segment = 0;
    for (int i = mb->first; i < mb->end; i++) {
        const struct segment_gradient *s =
            generation_in_step(gen, i) && !zero ? &g->segs[segment++] : NULL;
        grad_tree_push(&g->params, s ? s->params : NULL);
        grad_tree_push(&g->prefix, s ? s->prefix_kv : NULL);
    }
}

/* False where there was no signal. */
static bool backward_completions(gradient *g, const struct gradient_call *call,
                                 const struct generation *gen, const struct micro_batch *mb)
{
    if (all_zero(g->dlogp, mb->rows)) {
        push_leaves(g, gen, mb, true);
        return false;
    }
    for (int i = 0; i < mb->n; i++)
        g->segs[i] = (struct segment_gradient){g->leaves + (size_t)i * g->leaf_floats,
                                               g->kv_leaves + (size_t)i * g->kv_floats};
    g->d->ops->logprob_backward(g->d, g->dhidden, g->hidden, model_head(g->m), g->targets, g->dlogp,
                                g->logz, (float)call->temperature, mb->rows);
    model_backward(g->m, call->a, &g->kv, g->acts, g->dhidden, g->segs);
    push_leaves(g, gen, mb, false);
    return true;
}

static void backward_prompt(gradient *g, const adapter *a)
{
    model_backward_prefix(g->m, a, &g->kv, g->prefix_acts, grad_tree_total(&g->prefix), g->leaves);
    grad_tree_push(&g->params, g->leaves);
}

static bool group_in_step(const struct generation *gen, int group)
{
    for (int i = group * gen->per_group; i < (group + 1) * gen->per_group; i++)
        if (generation_in_step(gen, i))
            return true;
    return false;
}

static int group_gradient(gradient *g, const struct gradient_call *call, struct generation *gen,
                          int group, const struct loss_denominator *denominator,
                          struct loss_sums *sums, struct err *err)
{
    const struct ids *prompt = &gen->batch.groups[group].prompt;
    struct micro_batch mb = {.prefix_len = (int)prompt->count - 1};
    int end = (group + 1) * gen->per_group;
    bool signal = false;
    grad_tree_reset(&g->prefix);
    grad_tree_resize(&g->prefix, prefix_kv_size(model_config(g->m), mb.prefix_len));
    if (mb.prefix_len && group_in_step(gen, group))
        forward_prompt(g, call->a, prompt);
    for (mb.first = group * gen->per_group; mb.first < end; mb.first = mb.end) {
        if (call->stop && call->stop())
            return err_set(err, ERR_INTERRUPTED, "gradient", "interrupted");
        take_completions(g, gen, end, &mb);
        if (!mb.n) { /* the rest of the group belongs to other steps */
            push_leaves(g, gen, &mb, true);
            continue;
        }
        forward_completions(g, call, gen, &mb);
        if (!compute_loss(g, call, gen, &mb, denominator, sums))
            return err_set(err, ERR_MACHINE, "gradient",
                           "a log-probability of group %d is not finite: the adapter has diverged; "
                           "lower learning_rate and resume from the last checkpoint",
                           group);
        signal = backward_completions(g, call, gen, &mb) || signal;
    }
    if (signal && mb.prefix_len)
        backward_prompt(g, call->a);
    else
        grad_tree_push(&g->params, NULL);
    return ERR_NONE;
}

static struct loss_denominator denominator_of(const struct generation *gen)
{
    struct loss_denominator d = {0};
    for (int i = 0; i < generation_count(gen); i++) {
        int length = generation_sample(gen, i)->completion.length;
        d.completions += generation_in_step(gen, i) && gen->valid[i];
        d.tokens += generation_trains(gen, i) ? length : 0;
        d.generation_tokens += generation_counts(gen, i) ? length : 0;
    }
    return d;
}

int gradient_compute(gradient *g, const struct gradient_call *call, struct generation *gen,
                     struct loss_sums *sums, float **total, struct err *err)
{
    CHECK(gen->per_group <= g->size.per_group && gen->batch.count <= g->size.groups);
    struct loss_denominator denominator = denominator_of(gen);
    grad_tree_reset(&g->params);
    for (int group = 0; group < gen->batch.count; group++) {
        int status = group_gradient(g, call, gen, group, &denominator, sums, err);
        if (status)
            return status;
    }
    gen->has_old = true;
    *total = grad_tree_total(&g->params);
    return ERR_NONE;
}
