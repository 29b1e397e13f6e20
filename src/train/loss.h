/* loss.h: the one definition of the GRPO loss: scalars of one token in, its loss and its derivative
 * with respect to the log-probability out. Denominators are taken over the whole optimizer step
 * before it is cut into micro-batches (research/algorithms.md section 4.3; parity with TRL at one
 * micro-batch). */
#ifndef TRAIN_LOSS_H
#define TRAIN_LOSS_H
#include <stdbool.h>

enum loss_type { LOSS_GRPO, LOSS_BNPO, LOSS_DR_GRPO, LOSS_DAPO, LOSS_CISPO };
extern const char *const loss_type_names[]; /* "grpo", "bnpo", "dr_grpo", "dapo", "cispo", NULL */

/* What the importance ratio is of: each token, or the whole completion (GSPO, arXiv 2507.18071). */
enum sampling_level { LEVEL_TOKEN, LEVEL_SEQUENCE };
extern const char *const sampling_level_names[]; /* "token", "sequence", NULL */

struct loss_params {
    enum loss_type type;
    /* The ratio is clipped to [1 − epsilon, 1 + epsilon_high]; cispo's weight is at most
     * epsilon_high. */
    double epsilon, epsilon_high;
    double beta;               /* weight of the k3 KL to the reference; 0: none */
    bool bias_correction_kl;   /* the KL term times the ratio, differentiated through both */
    int max_completion_length; /* dr_grpo's denominator */
    double delta;              /* the unclipped ratio is at most this; 0: no bound */
    enum sampling_level level;
    /* dapo and cispo: the optimizer steps that a generation's tokens are divided among
     * (dapo_denominator generation); 0: the denominator is of the step's own tokens. */
    int steps_per_generation;
};

/* What a step's reductions divide by: valid completions only, and the tokens of those that are not
 * masked as truncated. (TRL keeps a completion whose rewards are all None in its counts, with
 * advantage 0; parity is with TRL where every reward is there.) */
struct loss_denominator {
    long completions, tokens; /* of the optimizer step */
    long generation_tokens;   /* of the whole generation; read where steps_per_generation is set */
};
/* Weight of each token of a completion of `length` tokens in the step's loss:
 * grpo 1/(B·length), bnpo, dapo and cispo 1/Σtokens, dr_grpo 1/(B·max_completion_length). With
 * steps_per_generation S, dapo and cispo S/Σtokens of the generation, as in TRL. */
double loss_token_weight(const struct loss_params *p, const struct loss_denominator *d, int length);

struct loss_sums { /* over tokens, unweighted but for `loss`; zero-initialise, accumulates */
    long completions;
    double loss; /* Σ weight · token loss */
    double kl;   /* Σ of the KL term without beta: k3, times the ratio if corrected */
    long tokens;
    long ratios;       /* that the clip saw: one a token, or one a completion */
    long clipped_low;  /* ratio (under delta) < 1 − epsilon and A < 0: no gradient */
    long clipped_high; /* ratio (under delta) > 1 + epsilon_high and A > 0; cispo: > epsilon_high */
    /* of a completion's tokens, over completions: the smallest share low, the largest high */
    double clipped_low_min, clipped_high_max;
};

struct loss_tokens { /* of one completion; all (length) */
    int length;
    const float *logp, *old; /* old may be logp itself (on-policy: the ratio is 1) */
    const float *ref;        /* NULL exactly when beta is 0 */
    const float *entropy;    /* NULL: every token counts (top_entropy_quantile 1) */
    float min_entropy;       /* a token below it has no policy term (entropy.h) */
    float *dlogp;            /* out */
};

/* One completion: for each of its tokens
 *   ratio = exp(logp − old); at sequence level exp of the mean of logp − old over the completion
 *   l = −min(min(ratio, delta)·A, clip(ratio)·A) + beta·k3(ref − logp)[·ratio]
 * and for cispo, whose weight is a constant to the derivative, −min(ratio, epsilon_high)·A·logp in
 * the place of the first term (arXiv 2506.13585, as TRL bounds it).
 * dlogp[t] = weight · dl/dlogp, l of all tokens where the ratio is theirs together. Under
 * top_entropy_quantile the first term of a token of low entropy is left out; its KL, its share in
 * the denominators and in the clip counts stay (arXiv 2506.01939 as TRL has it). k3(d) = e^d − d −
 * 1. Arithmetic in double, rounded once. */
void loss_completion(const struct loss_params *p, double weight, float advantage,
                     const struct loss_tokens *in, struct loss_sums *sums);
/* One that is masked as truncated: it has no tokens in the loss, but its ratio of a sequence, which
 * is then 1, is among those that TRL takes the share of clipped ones over. */
void loss_masked_completion(const struct loss_params *p, float advantage, struct loss_sums *sums);

#endif
