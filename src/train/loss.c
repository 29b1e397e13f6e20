/* loss.c: see loss.h. Arithmetic in double, rounded once into dlogp.
 *
 * With d = ref − logp and ratio = exp(logp − old), both moving with logp:
 *   policy term  −min(min(ratio, delta)·A, clip(ratio)·A)
 *                                               derivative −ratio·A, or 0 where a bound decided
 *   cispo        −min(ratio, bound)·A·logp      derivative −min(ratio, bound)·A: the weight is held
 *   k3           e^d − d − 1                     derivative 1 − e^d
 *   k3·ratio                                     derivative −ratio·d
 * The last is ratio·(1 − e^d + e^d − d − 1), written as −ratio·d: going through the exponentials,
 * as automatic differentiation does, loses the digits that cancel. expm1 keeps those of k3 close to
 * the reference.
 *
 * A ratio that is a bound itself (on-policy it is 1: epsilon 0, or delta 1) is differentiated as
 * PyTorch does it: a clamp has no derivative there, and of two equal products it is the mean.
 *
 * At sequence level the ratio is one number s = exp(mean(logp − old)), and each of the n tokens' l
 * holds it. The derivative of Σ l by one token's logp is the sum of n terms with s / n each:
 *   policy term  −s·A, as above with s for the ratio (cispo holds its weight: as above too)
 *   k3·s         s·(mean(k3) + 1 − e^d)
 * Where only m of the n tokens have a policy term (top_entropy_quantile), m of the n terms are left
 * of the first sum, for kept and dropped tokens alike: −(m/n)·s·A.
 */
#include "train/loss.h"
#include <math.h>
#include <stddef.h>
#include "base/check.h"

const char *const loss_type_names[] = {"grpo", "bnpo", "dr_grpo", "dapo", "cispo", NULL};
const char *const sampling_level_names[] = {"token", "sequence", NULL};

static double at_least_one(long n)
{
    return n > 1 ? (double)n : 1;
}

double loss_token_weight(const struct loss_params *p, const struct loss_denominator *d, int length)
{
    switch (p->type) {
    case LOSS_GRPO:
        return 1 / (at_least_one(d->completions) * at_least_one(length));
    case LOSS_DAPO:
    case LOSS_CISPO:
        if (p->steps_per_generation)
            return p->steps_per_generation / at_least_one(d->generation_tokens);
        return 1 / at_least_one(d->tokens);
    case LOSS_BNPO:
        return 1 / at_least_one(d->tokens);
    case LOSS_DR_GRPO:
        return 1 / (at_least_one(d->completions) * at_least_one(p->max_completion_length));
    }
    check_failed(__FILE__, __LINE__, "a loss type of the enum");
}

struct term {
    double value, derivative; /* with respect to logp */
};

static void count_clipped(const struct loss_params *p, double ratio, double advantage,
                          struct loss_sums *sums)
{
    double capped = p->delta > 0 ? fmin(ratio, p->delta) : ratio;
    bool cispo = p->type == LOSS_CISPO;
    sums->clipped_low += !cispo && capped < 1 - p->epsilon && advantage < 0;
    sums->clipped_high += capped > (cispo ? 0 : 1) + p->epsilon_high && advantage > 0;
}

static struct term policy_term(const struct loss_params *p, double ratio, double advantage,
                               double logp)
{
    if (p->type == LOSS_CISPO) {
        double weight = fmin(ratio, p->epsilon_high);
        return (struct term){-weight * advantage * logp, -weight * advantage};
    }
    double capped = p->delta > 0 ? fmin(ratio, p->delta) : ratio;
    double clipped = fmin(fmax(ratio, 1 - p->epsilon), 1 + p->epsilon_high);
    /* The smaller of the two products: which factor that is depends on the advantage's sign. */
    double chosen = advantage < 0 ? fmax(capped, clipped) : fmin(capped, clipped);
    bool free = ratio > 1 - p->epsilon && ratio < 1 + p->epsilon_high;
    bool uncapped = p->delta <= 0 || ratio < p->delta;
    double moving = capped == clipped  ? (uncapped + free) / 2.0
                    : chosen == capped ? uncapped
                                       : free;
    return (struct term){-chosen * advantage, -moving * ratio * advantage};
}

/* What the tokens of a completion share at sequence level. */
struct sequence {
    double ratio, k3; /* exp of the mean log-ratio; mean of k3, 0 without a reference */
    double kept;      /* share of tokens that have a policy term */
};

static bool has_policy_term(const struct loss_tokens *in, int t)
{
    return !in->entropy || in->entropy[t] >= in->min_entropy;
}

static double k3_of(double d)
{
    return expm1(d) - d;
}

static struct sequence of_sequence(const struct loss_tokens *in)
{
    double log_ratio = 0, k3 = 0;
    int kept = 0;
    for (int t = 0; t < in->length; t++) {
        log_ratio += (double)in->logp[t] - (double)in->old[t];
        k3 += in->ref ? k3_of((double)in->ref[t] - (double)in->logp[t]) : 0;
        kept += has_policy_term(in, t);
    }
    return (struct sequence){exp(log_ratio / in->length), k3 / in->length,
                             (double)kept / in->length};
}

/* The policy term under top_entropy_quantile: a token of low entropy has none, and what the ratio
 * of a sequence gives is shared by all its tokens (cispo's weight is no function of them). */
static struct term keep_entropic(const struct loss_params *p, const struct loss_tokens *in, int t,
                                 const struct sequence *whole, struct term l)
{
    if (!in->entropy)
        return l;
    double own = has_policy_term(in, t);
    bool shared = whole && p->type != LOSS_CISPO;
    return (struct term){own * l.value, (shared ? whole->kept : own) * l.derivative};
}

/* `whole`: NULL at token level. */
static struct term kl_term(const struct loss_params *p, double ratio, double d,
                           const struct sequence *whole)
{
    double k3 = k3_of(d);
    if (!p->bias_correction_kl)
        return (struct term){k3, -expm1(d)};
    return (struct term){k3 * ratio, whole ? ratio * (whole->k3 - expm1(d)) : -ratio * d};
}

static void count_completion(struct loss_sums *sums, int ratios, long low, long high)
{
    double low_share = (double)low / ratios, high_share = (double)high / ratios;
    sums->ratios += ratios;
    if (sums->completions++ == 0)
        sums->clipped_low_min = low_share;
    sums->clipped_low_min = fmin(sums->clipped_low_min, low_share);
    sums->clipped_high_max = fmax(sums->clipped_high_max, high_share);
}

void loss_completion(const struct loss_params *p, double weight, float advantage,
                     const struct loss_tokens *in, struct loss_sums *sums)
{
    CHECK((p->beta != 0) == (in->ref != NULL));
    long low = sums->clipped_low, high = sums->clipped_high;
    bool sequence = p->level == LEVEL_SEQUENCE;
    struct sequence shared = sequence ? of_sequence(in) : (struct sequence){0};
    const struct sequence *whole = sequence ? &shared : NULL;
    for (int t = 0; t < in->length; t++) {
        double logp = (double)in->logp[t];
        double ratio = sequence ? shared.ratio : exp(logp - (double)in->old[t]);
        struct term l =
            keep_entropic(p, in, t, whole, policy_term(p, ratio, (double)advantage, logp));
        if (!sequence || t == 0)
            count_clipped(p, ratio, (double)advantage, sums);
        if (in->ref) {
            struct term kl = kl_term(p, ratio, (double)in->ref[t] - logp, whole);
            sums->kl += kl.value;
            l.value += p->beta * kl.value;
            l.derivative += p->beta * kl.derivative;
        }
        sums->loss += weight * l.value;
        in->dlogp[t] = (float)(weight * l.derivative);
    }
    sums->tokens += in->length;
    count_completion(sums, sequence ? 1 : in->length, sums->clipped_low - low,
                     sums->clipped_high - high);
}

void loss_masked_completion(const struct loss_params *p, float advantage, struct loss_sums *sums)
{
    if (p->level != LEVEL_SEQUENCE)
        return;
    long low = sums->clipped_low, high = sums->clipped_high;
    count_clipped(p, 1, (double)advantage, sums);
    count_completion(sums, 1, sums->clipped_low - low, sums->clipped_high - high);
}
