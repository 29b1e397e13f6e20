/* generation.h: the completions of one generation with all that training needs of them. It serves
 * steps_per_generation · num_iterations optimizer steps: its completions are dealt into
 * steps_per_generation slices of equal size, one slice trains a step, and all slices come
 * num_iterations times in turn. Arrays over tokens are laid out (groups · per_group) ×
 * max_completion_length, host. */
#ifndef TRAIN_GENERATION_H
#define TRAIN_GENERATION_H
#include <stdint.h>
#include "episode/batch.h"
#include "train/advantage.h"

/* What the penalty is called among the rewards of metrics and samples. */
#define SOFT_OVERLONG "soft_overlong"

struct generation {
    struct episode_batch batch; /* prompts, ids, the sampler's log-probs, texts, scores */
    int per_group;
    int first_step;   /* the optimizer step it was sampled for (1-based); 0: none yet */
    double *reward;   /* (completions) */
    bool *valid;      /* (completions): has a reward */
    bool *failed;     /* (completions): has none because a reward's machinery failed */
    float *advantage; /* (completions): over the whole generation */
    int slices;       /* steps_per_generation */
    int slice;        /* the one the current step trains */
    int *slice_of;    /* (completions) */
    uint32_t *order;  /* (completions): scratch of the deal */
    float *old, *ref; /* (tokens): log-prob under the sampling policy; under the reference */
    float *logp, *entropy, *dlogp; /* (tokens): of the current step */
    const int **ids;               /* (per_group) tables for scoring a group at once */
    int *lengths;
    float **logp_out, **entropy_out;
    bool mask_truncated; /* completions that the length limit cut add nothing to the loss */
    bool has_old;        /* old is known; else the first step's own log-probs become it */
    int overlong_cache;  /* soft_overlong_cache; 0: no penalty */
    /* of the advantage; columns are made by generation_columns */
    enum advantage_kind kind;
    enum scale_rewards scale;
    struct generation_columns {
        int n;
        char **names;                 /* (n) */
        struct reward_column *of;     /* (n); .item −1: the soft overlong punishment */
        double *value, *weight, *sum; /* (n × completions); (n); (completions) */
        size_t stride;                /* completions there is room for */
    } columns;
    int *task; /* (groups): under gdpo_flat equal numbers are equal tasks */
    /* where the prompts came from, and those being sampled once more (sampling.h) */
    int *deck;                      /* (groups) */
    int *again;                     /* (groups) */
    struct episode_group *refilled; /* (groups) */
    void *storage;
};

int generation_create(struct generation *g, int groups, int per_group, int max_completion_length,
                      const struct reward_set *rewards, struct err *err);
/* Makes room for what gdpo normalises, from a recipe's rewards and overlong_cache (set before). */
int generation_columns(struct generation *g, const struct reward_set *rewards, struct err *err);
/* Takes completion i's reward, and what it is made of, from its scores. Under gdpo a completion of
 * which no column is there has no reward. */
void generation_take_scores(struct generation *g, int i);
/* What the advantage is computed from, over the groups at hand. */
struct advantage_input generation_rewards(struct generation *g);
/* Deals the completions at hand into g->slices slices of equal size (their number is a multiple;
 * CHECK), in an order that is a function of seed and first_step alone. TRL shuffles too, so that a
 * step sees completions of many prompts. */
void generation_deal(struct generation *g, uint64_t seed);
/* Soft overlong punishment (arXiv 2503.14476, equation 13; TRL's get_soft_overlong_punishment): 0
 * up to max − cache tokens, then linearly down to −1 at max. */
double soft_overlong(int length, int max, int cache);
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
/* Whether the current step is about completion i. */
static inline bool generation_in_step(const struct generation *g, int i)
{
    return g->slice_of[i] == g->slice;
}
/* Whether completion i's tokens are ever in the loss. One that is masked as truncated still is one
 * of the completions that grpo and dr_grpo divide by, as in TRL; one without a reward is not. */
static inline bool generation_counts(const struct generation *g, int i)
{
    return g->valid[i] &&
           !(g->mask_truncated && generation_sample(g, i)->completion.stop == STOP_LENGTH);
}
/* … and whether they are in the current step's. */
static inline bool generation_trains(const struct generation *g, int i)
{
    return generation_in_step(g, i) && generation_counts(g, i);
}
/* Completion i's soft overlong punishment, 0 without the option. */
static inline double generation_overlong(const struct generation *g, int i)
{
    int length = generation_sample(g, i)->completion.length;
    return g->overlong_cache ? soft_overlong(length, g->batch.max_new_tokens, g->overlong_cache)
                             : 0;
}
static inline size_t generation_token(const struct generation *g, int i)
{
    return (size_t)i * (size_t)g->batch.max_new_tokens;
}

#endif
