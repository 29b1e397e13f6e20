/* generation.c: buffers of one generation; see generation.h. */
#include "train/generation.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

size_t generation_bytes(int groups, int per_group, int max_completion_length)
{
    size_t completions = (size_t)groups * (size_t)per_group;
    /* ids and the sampler's two log-probs of the batch, then old, ref, logp, entropy, dlogp */
    return completions * (size_t)max_completion_length * 8 * sizeof(float) +
           completions * (sizeof(double) + sizeof(bool) + sizeof(float) + sizeof(int) +
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
    g->advantage = mem_calloc(n, sizeof *g->advantage);
    g->slice_of = mem_calloc(n, sizeof *g->slice_of);
    g->order = mem_calloc(n, sizeof *g->order);
    g->storage = mem_calloc(5 * tokens, sizeof(float));
    g->ids = mem_calloc((size_t)per_group, sizeof *g->ids);
    g->lengths = mem_calloc((size_t)per_group, sizeof *g->lengths);
    g->logp_out = mem_calloc((size_t)per_group, sizeof *g->logp_out);
    g->entropy_out = mem_calloc((size_t)per_group, sizeof *g->entropy_out);
    if (!g->reward || !g->valid || !g->advantage || !g->slice_of || !g->order || !g->storage ||
        !g->ids || !g->lengths || !g->logp_out || !g->entropy_out) {
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
    mem_free(g->advantage);
    mem_free(g->slice_of);
    mem_free(g->order);
    mem_free(g->storage);
    mem_free(g->ids);
    mem_free(g->lengths);
    mem_free(g->logp_out);
    mem_free(g->entropy_out);
    *g = (struct generation){0};
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
