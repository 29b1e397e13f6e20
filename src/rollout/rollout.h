/* rollout.h: sampling and batched generation. Token ids in, token ids and log-probabilities out.
 *
 * A group is one prompt and its G completions. The prompt is computed once; its completions decode
 * together, and finished ones leave the batch at once. Token t of completion s of row r is drawn
 * with the uniform number of (seed, RNG_SAMPLE, step, r, epoch, attempt, s; t): batch neighbours,
 * threads and order of work do not matter. */
#ifndef ROLLOUT_ROLLOUT_H
#define ROLLOUT_ROLLOUT_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/rng.h"
#include "model/model.h"

enum stop_reason { STOP_EOS, STOP_LENGTH, STOP_STRING };
const char *stop_reason_name(enum stop_reason reason); /* "eos", "length", "stop" */

struct completion;
struct rollout_options {
    int max_new_tokens;
    double temperature; /* 0: greedy */
    const int *eos;     /* set of ids that end a completion; the id is kept in it */
    int n_eos;
    /* What tokens are drawn from (NULL, or all neutral: the whole distribution). The penalty's
     * history is the prompt and the tokens drawn so far. */
    const struct warpers *warpers;
    /* Called after every token that is no EOS (NULL: never), from one thread, and for the tokens of
     * one completion in their order (which completion comes first may vary): true ends the
     * completion (STOP_STRING), whose last token it keeps. ids: the n so far. */
    bool (*finished)(void *user, int group, int sample, const int *ids, int n);
    /* Called once for every completion that has ended, whatever ended it (NULL: never), while
     * others still decode; from the same thread. */
    void (*ended)(void *user, int group, int sample, const struct completion *c);
    void *user;
};

struct completion {
    int *ids;        /* (length), EOS included */
    float *logprobs; /* (length), of the temperature-scaled distribution */
    /* (length), of what was drawn from under warpers; untouched without. May be NULL. */
    float *sampling_logprobs;
    int length;
    enum stop_reason stop;
};

struct group_request {
    const int *prompt_ids;
    int prompt_len;     /* ≥ 1 */
    int n;              /* completions */
    struct rng_key key; /* .sample is set by the rollout: first_sample + 0 … n−1 */
    int first_sample;
    struct completion *out; /* (n): its arrays are the caller's, max_new_tokens each */
};

/* Caches and scratch for up to max_sequences at a time. lora: the largest adapter it samples with,
 * or NULL. */
typedef struct rollout rollout;
int rollout_create(rollout **out, model *m, const struct peft_config *lora, int max_sequences,
                   int max_prompt_tokens, int max_new_tokens, struct err *err);
void rollout_free(rollout *r);
/* Without what a repetition penalty adds when it is first used: (2·max_sequences + 16) · vocabulary
 * / 8. */
size_t rollout_bytes(const struct device *d, const struct hf_config *config,
                     const struct peft_config *lora, int max_sequences, int max_prompt_tokens,
                     int max_new_tokens);
/* Tokens of `prompts` prompts of `longest` tokens; more than a cache can hold is what
 * rollout_create refuses. */
int rollout_prompt_room(int prompts, int longest);
/* Rows of its widest pass: what it reserves the device's scratch for. */
int rollout_pass_rows(int max_sequences, int max_prompt_tokens, int max_new_tokens);
/* Lossless speculation (speculate.h): several tokens of a sequence in one pass where that pays.
 * Nothing else depends on it: every token, log-probability and stop reason is the same to the last
 * bit. ALWAYS guesses as much as there is room for, whatever it costs: for tests and measurements.
 */
enum speculation { SPECULATION_WHERE_IT_PAYS, SPECULATION_OFF, SPECULATION_ALWAYS };
void rollout_speculate(rollout *r, enum speculation how); /* at first: where it pays */
/* Since the rollout was made: passes that decode, guesses fed in them, those that came true, and
 * tokens drawn (tokens = accepted + one a pass and sequence). */
struct rollout_counts {
    long long passes, drafted, accepted, tokens;
    double seconds; /* of these passes */
};
struct rollout_counts rollout_counts(const rollout *r);
struct rollout_counts rollout_counts_since(const rollout *r, const struct rollout_counts *before);

/* Several groups decode side by side when their sequences fit; otherwise one after another. A
 * prompt that does not fit is ERR_INPUT. stop (may be NULL) is polled between tokens: true aborts
 * with ERR_INTERRUPTED. */
int rollout_run(rollout *r, const adapter *a, const struct rollout_options *options,
                struct group_request *groups, int n_groups, bool (*stop)(void), struct err *err);

/* Scores given completions: log-prob and entropy of each of their tokens, by the same forward pass
 * (prefix shared by the completions of one prompt). Arrays are host, one per completion. Works in
 * the rollout's caches, several completions at a time or a long one in parts; the prompt, or a
 * completion, that does not fit is ERR_INPUT. */
struct score_request {
    const int *prompt_ids;
    int prompt_len;
    const int *const *completion_ids;
    const int *completion_len;
    int n;
    float *const *logprobs;  /* (n) arrays */
    float *const *entropies; /* (n) arrays, or NULL */
};
int rollout_score(rollout *r, const adapter *a, double temperature, const struct score_request *q,
                  struct err *err);

/* For checks: calls visit with the logits (host, vocabulary) that each of a completion's first n
 * tokens was chosen from, t = 0 … n−1; n at most a pass. Limits and errors as rollout_score. */
typedef void rollout_visit(void *user, int t, const float *logits);
int rollout_logits(rollout *r, const adapter *a, const int *prompt_ids, int prompt_len,
                   const int *ids, int n, rollout_visit *visit, void *user, struct err *err);

#endif
