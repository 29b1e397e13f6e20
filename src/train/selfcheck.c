/* selfcheck.c: see selfcheck.h.
 *
 * Sampler and trainer share kernels, so that they agree says nothing about both being wrong the
 * same way. The logits come from the device too, but what follows (temperature, softmax, the
 * choice) is done here once more, plainly.
 *
 * Nothing here changes a number of the run: parameters are read, and prepared once more at most,
 * which gives the same bits. The cost, once a process: a forward pass over 64 tokens and their
 * prompts, 64 rows of the LM head, and after an update up to two passes over one completion. */
#include "train/selfcheck.h"
#include <math.h>
#include <string.h>
#include "base/log.h"
#include "base/rng.h"
#include "train/grpo.h"

/* The kernels sum over the vocabulary in float, here it is double: measured apart at most 3e-6 with
 * 49,152 tokens. What a fault does is larger by orders. */
#define LOGP_TOLERANCE 1e-3
#define DRAW_TOLERANCE 1e-4
enum { TOKENS = 64, MOST_UPDATES = 64 };

/* --- the sampler --- */

struct draws {
    const struct completion *c;
    struct rng_key key;
    double temperature;
    int vocab;
    bool whole; /* drawn from the whole distribution */
    int token;  /* the first that is wrong; −1: none */
    char why[200];
};

static void check_draw(void *user, int t, const float *logits)
{
    struct draws *s = user;
    if (s->token >= 0)
        return;
    int id = s->c->ids[t];
    double max = -INFINITY, sum = 0, before = 0;
    for (int v = 0; v < s->vocab; v++)
        max = logits[v] > max ? logits[v] : max;
    for (int v = 0; v < s->vocab; v++) {
        if (v == id)
            before = sum;
        sum += exp((logits[v] - max) / s->temperature);
    }
    double logp = (logits[id] - max) / s->temperature - (sum > 0 ? log(sum) : NAN);
    double noted = s->c->logprobs[t];
    double tolerance = LOGP_TOLERANCE + 1e-5 * fabs(max) / s->temperature;
    double low = before / sum, high = low + exp(logp), u = rng_uniform(&s->key, (uint64_t)t);
    if (!(fabs(logp - noted) <= tolerance))
        snprintf(s->why, sizeof s->why,
                 "has log-probability %.6f, but softmax(logits / temperature %g) gives %.6f", noted,
                 s->temperature, logp);
    else if (s->whole && (u < low - DRAW_TOLERANCE || u > high + DRAW_TOLERANCE))
        snprintf(s->why, sizeof s->why,
                 "is id %d, which draws from %.6f to %.6f select; this token's draw is %.6f", id,
                 low, high, u);
    else
        return;
    s->token = t;
}

static int check_completion(struct grpo *g, int i, int n, struct err *err)
{
    const struct episode_group *group = &g->gen.batch.groups[i / g->gen.per_group];
    int sample = i % g->gen.per_group;
    struct draws s = {.c = &group->samples[sample].completion,
                      .key = group->key,
                      .temperature = g->o->temperature,
                      .vocab = model_config(g->m)->vocab_size,
                      .whole = !g->gen.batch.warped,
                      .token = -1};
    s.key.sample = (uint64_t)group->first_sample + (uint64_t)sample;
    int status = rollout_logits(g->episode.rollout, g->a, group->prompt.data,
                                (int)group->prompt.count, s.c->ids, n, check_draw, &s, err);
    if (!status && s.token >= 0)
        return err_set(err, ERR_GATE, "selfcheck",
                       "the sampler does not draw from the distribution that is trained: token %d "
                       "of completion %d of row \"%.80s\" %s. Please report this",
                       s.token, sample, group->row->id, s.why);
    return status;
}

int selfcheck_sampler(struct grpo *g, struct err *err)
{
    struct selfcheck *s = &g->selfcheck;
    int status = ERR_NONE, tokens = 0;
    if (s->sampler || g->replay)
        return ERR_NONE;
    for (int i = 0; i < generation_count(&g->gen) && tokens < TOKENS && !status; i++) {
        int length = generation_sample(&g->gen, i)->completion.length;
        int n = length < TOKENS - tokens ? length : TOKENS - tokens;
        status = check_completion(g, i, n, err);
        tokens += n;
    }
    s->sampler = !status;
    return status;
}

/* --- the gradient --- */

static bool has_signal(const struct generation *gen, int i)
{
    const float *dlogp = gen->dlogp + generation_token(gen, i);
    for (int t = 0; generation_trains(gen, i) && t < generation_sample(gen, i)->completion.length;
         t++)
        if (dlogp[t] != 0)
            return true;
    return false;
}

/* Equal completions of a group whose rewards differ (a reward that is itself random) may cancel. */
static bool is_unique(const struct generation *gen, int i)
{
    int first = i - i % gen->per_group;
    const struct completion *a = &generation_sample(gen, i)->completion;
    for (int j = first; j < first + gen->per_group; j++) {
        const struct completion *b = &generation_sample(gen, j)->completion;
        if (j != i && a->length == b->length &&
            memcmp(a->ids, b->ids, (size_t)a->length * sizeof *a->ids) == 0)
            return false;
    }
    return true;
}

/* A completion that must leave a gradient; −1: none. */
static int witness(const struct generation *gen)
{
    for (int i = 0; i < generation_count(gen); i++)
        if (has_signal(gen, i) && is_unique(gen, i))
            return i;
    return -1;
}

static double b_squares(const struct grpo *g)
{
    struct device *d = model_device(g->m);
    int n;
    const struct adapter_tensor *t = adapter_tensors(g->a, &n);
    double sum = 0;
    for (int i = 0; i < n; i++)
        if (t[i].is_b)
            sum += d->ops->sum_squares(d, adapter_params(g->a) + t[i].offset,
                                       (size_t)t[i].rows * (size_t)t[i].cols);
    return sum;
}

int selfcheck_gradient(struct grpo *g, const float *total, double learning_rate, struct err *err)
{
    struct selfcheck *s = &g->selfcheck;
    struct device *d = model_device(g->m);
    s->b = s->update || !(learning_rate > 0) ? NAN : b_squares(g);
    int i = s->gradient ? -1 : witness(&g->gen);
    if (i < 0)
        return ERR_NONE;
    if (d->ops->sum_squares(d, total, adapter_size(g->a)) == 0)
        return err_set(err, ERR_GATE, "selfcheck",
                       "the gradient is exactly zero, although the loss of completion %d of group "
                       "%d depends on its log-probabilities: nothing can be learnt. An adapter "
                       "whose A and B are both zero does that; otherwise please report this",
                       i % g->gen.per_group, i / g->gen.per_group);
    s->gradient = true;
    return ERR_NONE;
}

/* --- the update --- */

static int score_one(struct grpo *g, const adapter *a, int i, float *logp, struct err *err)
{
    const struct ids *prompt = &g->gen.batch.groups[i / g->gen.per_group].prompt;
    const struct completion *c = &generation_sample(&g->gen, i)->completion;
    const int *ids = c->ids;
    struct score_request q = {.prompt_ids = prompt->data,
                              .prompt_len = (int)prompt->count,
                              .completion_ids = &ids,
                              .completion_len = &c->length,
                              .n = 1,
                              .logprobs = &logp};
    return rollout_score(g->episode.rollout, a, g->o->temperature, &q, err);
}

/* Nothing has moved: because the prepared copies are old ones? */
static int check_stale(struct grpo *g, int i, const float *now, float *prepared, size_t bytes,
                       struct err *err)
{
    adapter_refresh(g->a);
    int status = score_one(g, g->a, i, prepared, err);
    if (status || memcmp(now, prepared, bytes) == 0)
        return status;
    return err_set(err, ERR_GATE, "selfcheck",
                   "after the update the policy still computed with the adapter from before it: "
                   "completions would come from stale weights. Please report this");
}

/* The policy has moved: the reference of the KL has not. */
static int check_reference(struct grpo *g, int i, float *after, size_t bytes, struct err *err)
{
    if (g->loss.beta == 0)
        return ERR_NONE;
    int status = score_one(g, g->reference, i, after, err);
    if (status || memcmp(g->gen.ref + generation_token(&g->gen, i), after, bytes) == 0)
        return status;
    return err_set(err, ERR_GATE, "selfcheck",
                   "the update of the policy has moved the reference of the KL too, whose "
                   "log-probabilities must stay. Please report this");
}

/* Whether the log-probabilities of completion i moved with the update, and at once. They are put
 * where its entropies and derivatives are: the step is through with both, the next makes its own.
 */
static int check_moved(struct grpo *g, int i, struct err *err)
{
    size_t at = generation_token(&g->gen, i),
           bytes = (size_t)generation_sample(&g->gen, i)->completion.length * sizeof(float);
    float *now = g->gen.entropy + at, *other = g->gen.dlogp + at;
    int status = score_one(g, g->a, i, now, err);
    if (status)
        return status;
    bool moved = memcmp(now, g->gen.logp + at, bytes) != 0;
    status = moved ? check_reference(g, i, other, bytes, err)
                   : check_stale(g, i, now, other, bytes, err);
    g->selfcheck.update = !status && moved;
    return status;
}

int selfcheck_update(struct grpo *g, double norm, struct err *err)
{
    struct selfcheck *s = &g->selfcheck;
    int i = isnan(s->b) || norm == 0 ? -1 : witness(&g->gen);
    if (i < 0)
        return ERR_NONE;
    s->updates++;
    if (s->b == 0 && b_squares(g) == 0)
        return err_set(
            err, ERR_GATE, "selfcheck",
            "the update left the adapter's B at zero, although there is a gradient (norm "
            "%.3g) and a learning rate: nothing is learnt. Please report this",
            norm);
    if (s->updates & (s->updates - 1))
        return ERR_NONE;
    int status = check_moved(g, i, err);
    if (!status && !s->update && s->updates == MOST_UPDATES) {
        log_warn("%d updates have not moved one bit of the log-probabilities of a completion: "
                 "learning_rate is too small to be seen in this precision, or the adapter is not "
                 "applied",
                 MOST_UPDATES);
        s->update = true;
    }
    return status;
}
