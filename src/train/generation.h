/* generation.h: the completions of one generation with all that training needs of them. It serves
 * num_iterations optimizer steps. Arrays over tokens are laid out (groups · per_group) ×
 * max_completion_length, host. */
#ifndef TRAIN_GENERATION_H
#define TRAIN_GENERATION_H
#include "episode/batch.h"

struct generation {
    struct episode_batch batch; /* prompts, ids, the sampler's log-probs, texts, scores */
    int per_group;
    int first_step;   /* the optimizer step it was sampled for (1-based); 0: none yet */
    double *reward;   /* (completions) */
    bool *valid;      /* (completions): has a reward */
    float *advantage; /* (completions) */
    float *old, *ref; /* (tokens): log-prob under the sampling policy; under the reference */
    float *logp, *entropy, *dlogp; /* (tokens): of the current step */
    const int **ids;               /* (per_group) tables for scoring a group at once */
    int *lengths;
    float **ref_out;
    bool mask_truncated; /* completions that the length limit cut add nothing to the loss */
    bool has_old;        /* old is known; else the first step's own log-probs become it */
    void *storage;
};

int generation_create(struct generation *g, int groups, int per_group, int max_completion_length,
                      const struct reward_set *rewards, struct err *err);
void generation_free(struct generation *g);
size_t generation_bytes(int groups, int per_group, int max_completion_length);

static inline int generation_count(const struct generation *g)
{
    return g->batch.count * g->per_group;
}
/* Completion i of the generation (group i / per_group). */
static inline struct episode_sample *generation_sample(const struct generation *g, int i)
{
    return &g->batch.groups[i / g->per_group].samples[i % g->per_group];
}
/* Whether completion i's tokens are in the loss. One that is masked as truncated still is one of
 * the completions that grpo and dr_grpo divide by, as in TRL; one without a reward is not. */
static inline bool generation_trains(const struct generation *g, int i)
{
    return g->valid[i] &&
           !(g->mask_truncated && generation_sample(g, i)->completion.stop == STOP_LENGTH);
}
static inline size_t generation_token(const struct generation *g, int i)
{
    return (size_t)i * (size_t)g->batch.max_new_tokens;
}

#endif
