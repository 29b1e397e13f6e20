/* batch.h: rows in, scored completions out. Training, evaluation and `generate` sample through
 * episode_run and nowhere else: row → messages → ids → rollout → text → rewards → components.
 *
 * A batch owns the buffers of up to `groups` prompts with `per_group` completions each, made once
 * and reused: ids and log-probabilities lie in one block, texts keep their memory. */
#ifndef EPISODE_BATCH_H
#define EPISODE_BATCH_H
#include "episode/episode.h"
#include "episode/stops.h"

struct episode_sample {
    struct completion completion; /* its arrays point into the batch's blocks */
    struct str text;              /* special tokens left out; empty without a tokenizer */
    bool decoded;                 /* text is this completion's already */
    struct scored scored;         /* valid only when the episode has rewards */
};

struct episode_group {
    const struct row *row; /* set by the caller before episode_run */
    struct rng_key key;    /* set by the caller; .sample is the rollout's */
    int first_sample;      /* set by the caller: number of the first completion, usually 0 */
    int n;                 /* set by the caller: completions wanted, ≤ per_group */
    struct ids prompt;     /* filled: the prompt's ids */
    struct episode_sample *samples; /* (per_group), filled */
};

struct episode_batch {
    struct episode_group *groups; /* (capacity) */
    int capacity, per_group, max_new_tokens;
    int count;            /* groups in use */
    double judge_seconds; /* what texts and rewards took after the last token; for people */
    bool warped; /* the completions were drawn under warpers: sampling_logprobs are valid */
    void *storage;
};

/* rewards (may be NULL) sizes the scores; those that wait for a process of their own get threads
 * that ask them (asker.h). */
int episode_batch_create(struct episode_batch *b, int groups, int per_group, int max_new_tokens,
                         const struct reward_set *rewards, struct err *err);
void episode_batch_free(struct episode_batch *b);

struct episode {                      /* who samples and scores; all borrowed */
    const struct text_codec *codec;   /* without tokenizer: rows carry prompt_ids, no texts */
    const struct reward_set *rewards; /* NULL: no scores */
    rollout *rollout;
    bool (*stop)(void); /* polled between tokens, may be NULL: true aborts with ERR_INTERRUPTED */
    const struct stop_strings *stops; /* texts that end a completion; NULL: none */
};

/* Encodes the prompts of b->groups[0 … count). An over-long prompt is ERR_INPUT naming the row:
 * nothing is ever cut. max_prompt_tokens: the rollout's. */
int episode_encode(const struct episode *e, struct episode_batch *b, int max_prompt_tokens,
                   struct err *err);
/* Samples and scores b->groups[0 … count), whose prompts are encoded. options->finished,
 * ended and user are the episode's to set: it watches for stop strings, and asks rewards that wait
 * for a process as soon as a completion ends. The first call with stop strings makes room for the
 * watching, later ones reuse it. */
int episode_run(const struct episode *e, const adapter *a, const struct rollout_options *options,
                struct episode_batch *b, struct err *err);
/* Text and scores of completions that are already there (replay). */
int episode_judge(const struct episode *e, struct episode_batch *b, struct err *err);

/* Tokens of the longest prompt of a dataset, and the row that has it. */
int episode_longest_prompt(const struct text_codec *codec, const struct dataset *d, int *tokens,
                           const struct row **longest, struct err *err);

#endif
