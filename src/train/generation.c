/* generation.c: buffers of one generation; see generation.h. */
#include "train/generation.h"
#include "base/mem.h"

size_t generation_bytes(int groups, int per_group, int max_completion_length)
{
    size_t completions = (size_t)groups * (size_t)per_group;
    /* ids and the sampler's two log-probs of the batch, then old, ref, logp, entropy, dlogp */
    return completions * (size_t)max_completion_length * 8 * sizeof(float) +
           completions *
               (sizeof(double) + sizeof(bool) + sizeof(float) + sizeof(struct episode_sample));
}

int generation_create(struct generation *g, int groups, int per_group, int max_completion_length,
                      const struct reward_set *rewards, struct err *err)
{
    *g = (struct generation){.per_group = per_group};
    size_t n = (size_t)groups * (size_t)per_group, tokens = n * (size_t)max_completion_length;
    int status =
        episode_batch_create(&g->batch, groups, per_group, max_completion_length, rewards, err);
    if (status)
        return status;
    g->reward = mem_calloc(n, sizeof *g->reward);
    g->valid = mem_calloc(n, sizeof *g->valid);
    g->advantage = mem_calloc(n, sizeof *g->advantage);
    g->storage = mem_calloc(5 * tokens, sizeof(float));
    g->ids = mem_calloc((size_t)per_group, sizeof *g->ids);
    g->lengths = mem_calloc((size_t)per_group, sizeof *g->lengths);
    g->ref_out = mem_calloc((size_t)per_group, sizeof *g->ref_out);
    if (!g->reward || !g->valid || !g->advantage || !g->storage || !g->ids || !g->lengths ||
        !g->ref_out) {
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
    mem_free(g->storage);
    mem_free(g->ids);
    mem_free(g->lengths);
    mem_free(g->ref_out);
    *g = (struct generation){0};
}
