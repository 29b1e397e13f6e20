/* generation.c: buffers of one generation; see generation.h. */
#include "train/generation.h"
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

size_t generation_bytes(int groups, int per_group, int max_completion_length)
{
    size_t completions = (size_t)groups * (size_t)per_group;
    /* ids and the sampler's two log-probs of the batch, then old, ref, logp, entropy, dlogp */
    return completions * (size_t)max_completion_length * 8 * sizeof(float) +
           completions * (2 * sizeof(double) + sizeof(bool) + sizeof(float) + sizeof(int) +
                          sizeof(uint32_t) + sizeof(struct episode_sample));
}

int generation_create(struct generation *g, int groups, int per_group, int max_completion_length,
                      const struct reward_set *rewards, struct err *err)
{
    *g = (struct generation){.per_group = per_group, .slices = 1};
    size_t n = (size_t)groups * (size_t)per_group, tokens = n * (size_t)max_completion_length;
    int status =
        episode_batch_create(&g->batch, groups, per_group, max_completion_length, rewards, err);
    if (status)
        return status;
    g->reward = mem_calloc(n, sizeof *g->reward);
    g->valid = mem_calloc(n, sizeof *g->valid);
    g->failed = mem_calloc(n, sizeof *g->failed);
    g->advantage = mem_calloc(n, sizeof *g->advantage);
    g->slice_of = mem_calloc(n, sizeof *g->slice_of);
    g->columns.sum = mem_calloc(n, sizeof *g->columns.sum);
    g->columns.stride = n;
    g->task = mem_calloc((size_t)groups, sizeof *g->task);
    g->deck = mem_calloc((size_t)groups, sizeof *g->deck);
    g->again = mem_calloc((size_t)groups, sizeof *g->again);
    g->refilled = mem_calloc((size_t)groups, sizeof *g->refilled);
    g->order = mem_calloc(n, sizeof *g->order);
    g->storage = mem_calloc(5 * tokens, sizeof(float));
    g->ids = mem_calloc((size_t)per_group, sizeof *g->ids);
    g->lengths = mem_calloc((size_t)per_group, sizeof *g->lengths);
    g->logp_out = mem_calloc((size_t)per_group, sizeof *g->logp_out);
    g->entropy_out = mem_calloc((size_t)per_group, sizeof *g->entropy_out);
    if (!g->reward || !g->valid || !g->failed || !g->advantage || !g->slice_of || !g->order ||
        !g->storage || !g->ids || !g->lengths || !g->logp_out || !g->entropy_out ||
        !g->columns.sum || !g->task || !g->deck || !g->again || !g->refilled) {
        generation_free(g);
        return err_no_memory(err, "a generation", 5 * tokens * sizeof(float));
    }
    g->old = g->storage;
    g->ref = g->old + tokens;
    g->logp = g->ref + tokens;
    g->entropy = g->logp + tokens;
    g->dlogp = g->entropy + tokens;
    return ERR_NONE;
}

void generation_free(struct generation *g)
{
    episode_batch_free(&g->batch);
    mem_free(g->reward);
    mem_free(g->valid);
    mem_free(g->failed);
    mem_free(g->advantage);
    mem_free(g->slice_of);
    mem_free(g->order);
    mem_free(g->storage);
    mem_free(g->ids);
    mem_free(g->lengths);
    mem_free(g->logp_out);
    mem_free(g->entropy_out);
    for (int k = 0; g->columns.names && k < g->columns.n; k++)
        mem_free(g->columns.names[k]);
    mem_free(g->columns.names);
    mem_free(g->columns.of);
    mem_free(g->columns.value);
    mem_free(g->columns.weight);
    mem_free(g->columns.sum);
    mem_free(g->task);
    mem_free(g->deck);
    mem_free(g->again);
    mem_free(g->refilled);
    *g = (struct generation){0};
}

static int name_columns(struct generation_columns *c, const struct reward_set *rewards,
                        struct err *err)
{
    for (int k = 0; k < c->n; k++) {
        struct str name = {0};
        if (c->of[k].item < 0)
            str_puts(&name, SOFT_OVERLONG);
        else
            reward_column_name(&name, rewards, &c->of[k]);
        c->names[k] = name.failed ? NULL : mem_strdup(str_text(&name));
        str_free(&name);
        if (!c->names[k])
            return err_no_memory(err, "the columns of gdpo", (size_t)c->n);
        c->weight[k] = c->of[k].weight;
    }
    return ERR_NONE;
}

int generation_columns(struct generation *g, const struct reward_set *rewards, struct err *err)
{
    struct generation_columns *c = &g->columns;
    int n = reward_set_columns(rewards, NULL, 0);
    c->n = n + (g->overlong_cache > 0);
    size_t room = (size_t)c->n, values = room * c->stride;
    c->names = mem_calloc(room, sizeof *c->names);
    c->of = mem_calloc(room, sizeof *c->of);
    c->value = mem_calloc(values, sizeof *c->value);
    c->weight = mem_calloc(room, sizeof *c->weight);
    if (!c->names || !c->of || !c->value || !c->weight)
        return err_no_memory(err, "the columns of gdpo", values * sizeof *c->value);
    reward_set_columns(rewards, c->of, n);
    if (c->n > n)
        c->of[n] = (struct reward_column){.item = -1, .weight = 1};
    return name_columns(c, rewards, err);
}

void generation_take_scores(struct generation *g, int i)
{
    const struct scored *s = &generation_sample(g, i)->scored;
    struct generation_columns *c = &g->columns;
    bool any = g->kind != ADVANTAGE_GDPO;
    g->reward[i] = s->total + generation_overlong(g, i);
    for (int k = 0; k < c->n; k++) {
        double x =
            c->of[k].item < 0 ? generation_overlong(g, i) : reward_column_value(&c->of[k], s);
        c->value[(size_t)k * c->stride + (size_t)i] = x;
        any = any || isfinite(x);
    }
    g->valid[i] = s->valid && any;
    g->failed[i] = s->broken;
}

/* gdpo_flat's tasks as numbers: that of the first group that has it. */
static void number_tasks(struct generation *g)
{
    const struct episode_group *groups = g->batch.groups;
    for (int b = 0; b < g->batch.count; b++) {
        g->task[b] = 0;
        while (strcmp(groups[g->task[b]].row->task, groups[b].row->task) != 0)
            g->task[b]++;
    }
}

struct advantage_input generation_rewards(struct generation *g)
{
    if (g->kind == ADVANTAGE_GDPO_FLAT)
        number_tasks(g);
    return (struct advantage_input){.kind = g->kind,
                                    .scale = g->scale,
                                    .groups = g->batch.count,
                                    .per_group = g->per_group,
                                    .reward = g->reward,
                                    .valid = g->valid,
                                    .n_columns = g->columns.n,
                                    .stride = g->columns.stride,
                                    .column = g->columns.value,
                                    .weight = g->columns.weight,
                                    .task = g->task,
                                    .scratch = g->columns.sum};
}

void generation_deal(struct generation *g, uint64_t seed)
{
    int n = generation_count(g), size = n / g->slices;
    CHECK(size * g->slices == n);
    /* The decks shuffle with step 0, so no two orders share a key. */
    struct rng_key key = {.seed = seed, .purpose = RNG_SHUFFLE, .step = (uint64_t)g->first_step};
    if (g->slices > 1)
        rng_permutation(&key, g->order, (size_t)n);
    for (int i = 0; i < n; i++)
        g->slice_of[g->slices > 1 ? (int)g->order[i] : i] = i / size;
}

double soft_overlong(int length, int max, int cache)
{
    int limit = max - cache;
    if (length <= limit)
        return 0;
    return length <= max ? (double)(limit - length) / cache : -1;
}
