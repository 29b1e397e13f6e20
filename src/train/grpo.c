/* grpo.c: one GRPO step on a page (grpo_step), and its five stages. */
#include "train/grpo.h"
#include <math.h>
#include <string.h>
#include "base/log.h"
#include "train/entropy.h"
#include "train/sampling.h"

static int roll_out(struct grpo *g, int step, struct err *err);
static int score(struct grpo *g, struct err *err);
static void compute_advantage(struct grpo *g);
static int compute_gradient(struct grpo *g, int step, float **total, struct err *err);
static int update(struct grpo *g, int step, float *total, struct err *err);

int grpo_step(struct grpo *g, int step, struct err *err)
{
    float *total = NULL;
    int status = ERR_NONE;
    metrics_clear(&g->metrics);
    g->times = (struct grpo_times){0};
    if (grpo_generates(g, step)) {
        status = roll_out(g, step, err);
        if (!status)
            status = selfcheck_sampler(g, err);
        if (!status)
            status = score(g, err);
        if (!status)
            compute_advantage(g);
    }
    g->gen.slice = (step - 1) % g->o->steps_per_generation;
    if (!status)
        status = compute_gradient(g, step, &total, err);
    if (!status)
        status = update(g, step, total, err);
    return status;
}

bool grpo_generates(const struct grpo *g, int step)
{
    return (step - 1) % train_generation_steps(g->o) == 0;
}

/* --- 1. roll out: sampling.c, or a replay --- */

/* A forward pass over the generation's completions, or over those of the current step: under
 * `a` their log-probabilities into logp, and their entropies into `entropy` where it is not NULL
 * (both: tokens of the generation). */
struct scoring {
    const adapter *a;
    bool whole;
    float *logp, *entropy;
};

static int score_tokens(struct grpo *g, const struct scoring *s, struct err *err)
{
    struct generation *gen = &g->gen;
    int status = ERR_NONE;
    for (int b = 0; b < gen->batch.count && !status; b++) {
        const struct ids *prompt = &gen->batch.groups[b].prompt;
        struct score_request q = {.prompt_ids = prompt->data,
                                  .prompt_len = (int)prompt->count,
                                  .completion_ids = gen->ids,
                                  .completion_len = gen->lengths,
                                  .logprobs = gen->logp_out,
                                  .entropies = s->entropy ? gen->entropy_out : NULL};
        for (int i = b * gen->per_group; i < (b + 1) * gen->per_group; i++) {
            const struct completion *c = &generation_sample(gen, i)->completion;
            if (!s->whole && !generation_in_step(gen, i))
                continue;
            gen->ids[q.n] = c->ids;
            gen->lengths[q.n] = c->length;
            gen->logp_out[q.n] = s->logp + generation_token(gen, i);
            gen->entropy_out[q.n] = s->entropy ? s->entropy + generation_token(gen, i) : NULL;
            q.n++;
        }
        if (q.n)
            status = rollout_score(g->episode.rollout, s->a, g->o->temperature, &q, err);
    }
    return status;
}

static int score_reference(struct grpo *g, struct err *err)
{
    struct scoring s = {.a = g->reference, .whole = true, .logp = g->gen.ref};
    return score_tokens(g, &s, err);
}

/* A replayed file without log-probabilities: they are the adapter's at the time of the generation,
 * so all are taken before its first step where it serves several. */
static int score_old(struct grpo *g, struct err *err)
{
    struct scoring s = {.a = g->a, .whole = true, .logp = g->gen.old};
    int status = score_tokens(g, &s, err);
    g->gen.has_old = !status;
    return status;
}

static int take_completions(struct grpo *g, const struct replay *from, int step, struct err *err)
{
    struct replay_limits limits = {.vocab_size = model_config(g->m)->vocab_size,
                                   .max_prompt_tokens = g->max_prompt_tokens,
                                   .seed = (uint64_t)g->o->seed};
    return replay_load(from, step, &g->episode, g->data, &limits, &g->gen, err);
}

static int roll_out(struct grpo *g, int step, struct err *err)
{
    double started = clock_seconds();
    struct rollout_counts before = rollout_counts(g->episode.rollout);
    int status = g->replay ? take_completions(g, g->replay, step, err) : sampling_run(g, step, err);
    if (!status && !g->gen.has_old && g->gen.slices > 1)
        status = score_old(g, err);
    if (!status && g->loss.beta != 0)
        status = score_reference(g, err);
    g->times.rollout = clock_seconds() - started;
    g->times.decoding = rollout_counts_since(g->episode.rollout, &before);
    return status;
}

/* --- 2. score: what was sampled is judged by now, for sampling goes by the scores; here is what a
 * reader wants to know of them. Under replay the file has brought the rewards, and only the texts
 * are made. --- */

/* Mean and deviation as the values come (Welford's): Σx² − n·mean² would lose the digits of values
 * that lie close together, and give equal ones a deviation. */
struct running {
    long n;
    double mean, squares;
};

static void see_value(struct running *r, double x)
{
    double before = x - r->mean;
    r->mean += before / (double)++r->n;
    r->squares += before * (x - r->mean);
}

static void add_mean_std(struct grpo *g, const char *label, const struct running *r)
{
    metrics_add(&g->metrics, r->mean, "rewards/%s/mean", label);
    metrics_add(&g->metrics, r->n > 1 ? sqrt(r->squares / (double)(r->n - 1)) : NAN,
                "rewards/%s/std", label);
}

static void reward_metrics(struct grpo *g)
{
    const struct reward_set *set = g->episode.rewards;
    for (int r = 0; set && r < set->count; r++) {
        struct running values = {0};
        for (int i = 0; i < generation_count(&g->gen); i++) {
            double value = generation_sample(&g->gen, i)->scored.values[r];
            if (!isnan(value))
                see_value(&values, value);
        }
        if (values.n)
            add_mean_std(g, set->items[r].label, &values);
    }
}

static void overlong_metrics(struct grpo *g)
{
    struct running values = {0};
    for (int i = 0; i < generation_count(&g->gen); i++)
        see_value(&values, generation_overlong(&g->gen, i));
    add_mean_std(g, SOFT_OVERLONG, &values);
}

static int score(struct grpo *g, struct err *err)
{
    struct generation *gen = &g->gen;
    int status = g->replay && g->episode.codec->tokenizer
                     ? episode_judge(&(struct episode){.codec = g->episode.codec}, &gen->batch, err)
                     : ERR_NONE;
    if (!g->replay) {
        reward_metrics(g);
        if (gen->overlong_cache)
            overlong_metrics(g);
    }
    return status;
}

/* --- 3. advantage --- */

static void length_metrics(struct grpo *g)
{
    const struct generation *gen = &g->gen;
    double sum[2] = {0, 0}, low[2] = {INFINITY, INFINITY}, high[2] = {0, 0};
    int count[2] = {0, 0}, n = generation_count(gen);
    for (int i = 0; i < n; i++) {
        const struct completion *c = &generation_sample(gen, i)->completion;
        for (int terminated = 0; terminated < 2; terminated++) {
            if (terminated && c->stop == STOP_LENGTH)
                continue;
            sum[terminated] += c->length;
            low[terminated] = fmin(low[terminated], c->length);
            high[terminated] = fmax(high[terminated], c->length);
            count[terminated]++;
        }
    }
    static const char *const kind[2] = {"length", "terminated_length"};
    for (int k = 0; k < 2; k++) { /* as TRL: 0 where no completion ended by itself */
        metrics_add(&g->metrics, count[k] ? sum[k] / count[k] : 0, "completions/mean_%s", kind[k]);
        metrics_add(&g->metrics, count[k] ? low[k] : 0, "completions/min_%s", kind[k]);
        metrics_add(&g->metrics, count[k] ? high[k] : 0, "completions/max_%s", kind[k]);
    }
    metrics_add(&g->metrics, 1.0 - (double)count[1] / n, "completions/clipped_ratio");
}

static bool same_ids(const struct completion *a, const struct completion *b)
{
    return a->length == b->length &&
           memcmp(a->ids, b->ids, (size_t)a->length * sizeof *a->ids) == 0;
}

/* Share of completions that no earlier one of their group equals. */
static double unique_share(const struct generation *gen)
{
    int unique = 0, n = generation_count(gen);
    for (int i = 0; i < n; i++) {
        bool seen = false;
        for (int j = i - i % gen->per_group; j < i && !seen; j++)
            seen = same_ids(&generation_sample(gen, i)->completion,
                            &generation_sample(gen, j)->completion);
        unique += !seen;
    }
    return (double)unique / n;
}

/* Of the groups that have a component, the share in which it does not vary: nothing is learnt from
 * it there. */
static void column_metrics(struct grpo *g, const struct advantage_input *in)
{
    for (int k = 0; k < in->n_columns; k++) {
        int present, flat;
        advantage_column_groups(in, k, &present, &flat);
        if (present)
            metrics_add(&g->metrics, (double)flat / present, "gdpo/%s/frac_zero_std",
                        g->gen.columns.names[k]);
    }
}

static void compute_advantage(struct grpo *g)
{
    struct generation *gen = &g->gen;
    struct advantage_stats stats;
    struct advantage_input in = generation_rewards(gen);
    advantage_compute(gen->advantage, &in, &stats);
    metrics_add(&g->metrics, stats.reward_mean, "reward");
    metrics_add(&g->metrics, stats.reward_std, "reward_std");
    metrics_add(&g->metrics, (double)stats.zero_variance / gen->batch.count,
                "frac_reward_zero_std");
    metrics_add(&g->metrics, gen->batch.count - stats.zero_variance, "informative_groups");
    int failed = 0;
    for (int i = 0; i < generation_count(gen); i++)
        failed += gen->failed[i];
    metrics_add(&g->metrics, failed, "reward_failures");
    metrics_add(&g->metrics, stats.invalid - failed, "reward_not_applicable");
    column_metrics(g, &in);
    sampling_metrics(g);
    length_metrics(g);
    metrics_add(&g->metrics, unique_share(gen), "unique_completions");
}

/* --- 4. loss and gradient --- */

/* Trainer against sampler, on the tokens of a fresh generation. */
static int check_sampler(struct grpo *g, struct err *err)
{
    const struct generation *gen = &g->gen;
    double sum = 0, max = 0;
    long n = 0;
    for (int i = 0; i < generation_count(gen); i++) {
        size_t at = generation_token(gen, i);
        int length = generation_in_step(gen, i) ? generation_sample(gen, i)->completion.length : 0;
        for (int t = 0; t < length; t++, n++) {
            double difference =
                fabs((double)gen->logp[at + (size_t)t] - (double)gen->old[at + (size_t)t]);
            sum += difference;
            max = difference > max ? difference : max;
        }
    }
    metrics_add(&g->metrics, sum / (double)n, "sampling/sampling_logp_difference/mean");
    metrics_add(&g->metrics, max, "sampling/sampling_logp_difference/max");
    if (!g->replay && !(max <= g->o->max_sampling_logp_difference))
        return err_set(err, ERR_GATE, "step",
                       "sampler and trainer give a token log-probabilities %.3g apart; "
                       "max_sampling_logp_difference is %.3g. Please report this",
                       max, g->o->max_sampling_logp_difference);
    return ERR_NONE;
}

/* How far what was drawn from lies from what is trained, on the tokens drawn: log-probability of
 * the truncated distribution minus that of the whole one, 0 or more. */
static void truncation_metrics(struct grpo *g)
{
    double sum = 0, max = 0;
    long n = 0;
    for (int i = 0; i < generation_count(&g->gen); i++) {
        const struct completion *c = &generation_sample(&g->gen, i)->completion;
        for (int t = 0; t < c->length; t++, n++) {
            double difference = (double)c->sampling_logprobs[t] - (double)c->logprobs[t];
            sum += difference;
            max = difference > max ? difference : max;
        }
    }
    metrics_add(&g->metrics, sum / (double)n, "sampling/truncation_logp_difference/mean");
    metrics_add(&g->metrics, max, "sampling/truncation_logp_difference/max");
}

/* Shares of the ratios (of tokens or of completions) where the clip took the gradient away. */
static void clip_metrics(struct grpo *g, const struct loss_sums *sums)
{
    double ratios = sums->ratios ? (double)sums->ratios : NAN;
    double low = (double)sums->clipped_low / ratios, high = (double)sums->clipped_high / ratios;
    if (g->loss.type == LOSS_CISPO) {
        metrics_add(&g->metrics, high, "cispo_clip_ratio");
        return;
    }
    metrics_add(&g->metrics, low, "clip_ratio/low_mean");
    metrics_add(&g->metrics, sums->completions ? sums->clipped_low_min : NAN, "clip_ratio/low_min");
    metrics_add(&g->metrics, high, "clip_ratio/high_mean");
    metrics_add(&g->metrics, sums->completions ? sums->clipped_high_max : NAN,
                "clip_ratio/high_max");
    metrics_add(&g->metrics, low + high, "clip_ratio/region_mean");
}

static void loss_metrics(struct grpo *g, const struct loss_sums *sums)
{
    const struct generation *gen = &g->gen;
    double entropy = 0, tokens = sums->tokens ? (double)sums->tokens : NAN;
    for (int i = 0; i < generation_count(gen); i++)
        for (int t = 0;
             generation_trains(gen, i) && t < generation_sample(gen, i)->completion.length; t++)
            entropy += gen->entropy[generation_token(gen, i) + (size_t)t];
    metrics_add(&g->metrics, sums->loss, "loss");
    metrics_add(&g->metrics, entropy / tokens, "entropy");
    if (g->loss.beta != 0)
        metrics_add(&g->metrics, sums->kl / tokens, "kl");
    clip_metrics(g, sums);
}

/* Which tokens are among the most uncertain of the step must be known before the first of them is
 * trained on: a forward pass of its own, with the bits of the one that follows. dlogp, which that
 * one fills, lends the room for choosing. */
static int choose_tokens(struct grpo *g, struct gradient_call *call, struct err *err)
{
    struct generation *gen = &g->gen;
    struct scoring s = {.a = g->a, .logp = gen->logp, .entropy = gen->entropy};
    size_t n = 0;
    if (g->o->top_entropy_quantile >= 1)
        return ERR_NONE;
    int status = score_tokens(g, &s, err);
    for (int i = 0; i < generation_count(gen) && !status; i++) {
        const float *entropy = gen->entropy + generation_token(gen, i);
        int length = generation_trains(gen, i) ? generation_sample(gen, i)->completion.length : 0;
        for (int t = 0; t < length && !status; t++) {
            gen->dlogp[n++] = entropy[t];
            if (!isfinite(entropy[t]))
                status = err_set(err, ERR_MACHINE, "top_entropy_quantile",
                                 "an entropy of group %d is not finite: the adapter has diverged; "
                                 "lower learning_rate and resume from the last checkpoint",
                                 i / gen->per_group);
        }
    }
    if (status || !n)
        return status;
    call->top_entropy = true;
    call->min_entropy = entropy_threshold(gen->dlogp, n, g->o->top_entropy_quantile);
    return ERR_NONE;
}

static int compute_gradient(struct grpo *g, int step, float **total, struct err *err)
{
    double started = clock_seconds();
    struct gradient_call call = {
        .a = g->a, .loss = &g->loss, .temperature = g->o->temperature, .stop = g->episode.stop};
    struct loss_sums sums = {0};
    bool compare = grpo_generates(g, step) && g->gen.has_old;
    int status = choose_tokens(g, &call, err);
    if (!status)
        status = gradient_compute(g->gradient, &call, &g->gen, &sums, total, err);
    if (!status)
        loss_metrics(g, &sums);
    if (!status && compare)
        status = check_sampler(g, err);
    if (!status && compare && g->gen.batch.warped)
        truncation_metrics(g);
    g->times.gradient = clock_seconds() - started;
    return status;
}

/* --- 5. update --- */

/* What a step has used up: of a generation, when its first step ends well. */
static void count_step(struct grpo *g, int step)
{
    const struct generation *gen = &g->gen;
    for (int i = 0; grpo_generates(g, step) && i < generation_count(gen); i++) {
        const struct episode_sample *s = generation_sample(gen, i);
        g->num_tokens +=
            (long long)gen->batch.groups[i / gen->per_group].prompt.count + s->completion.length;
        g->rewards++;
        g->reward_failures += gen->failed[i];
    }
    if (g->data && !g->replay) {
        if (grpo_generates(g, step))
            sampling_commit(g);
        metrics_add(&g->metrics,
                    (double)dealer_cards(&g->dealer, &g->cursor) / (double)g->data->count, "epoch");
        sampling_weight_metrics(g);
    }
    metrics_add(&g->metrics, (double)g->num_tokens, "num_tokens");
}

static int update(struct grpo *g, int step, float *total, struct err *err)
{
    double started = clock_seconds(), norm;
    struct optimizer_call call = optim_call(&g->o->optim, step, g->warmup_steps, g->max_steps);
    struct trainable params = trainable_adapter(g->a);
    int status = selfcheck_gradient(g, total, call.learning_rate, err);
    if (!status)
        status = optimizer_step(&g->optimizer, &params, total, &call, &norm, err);
    if (!status)
        status = selfcheck_update(g, norm, err);
    if (status)
        return status;
    metrics_add(&g->metrics, norm, "grad_norm");
    metrics_add(&g->metrics, call.learning_rate, "learning_rate");
    count_step(g, step);
    g->times.update = clock_seconds() - started;
    return ERR_NONE;
}

int grpo_restore_generation(struct grpo *g, const struct replay *saved, int step, struct err *err)
{
    int status = take_completions(g, saved, step, err);
    if (status)
        return status;
    if (!g->gen.has_old)
        return err_set(err, ERR_INPUT, saved->path,
                       "has a completion of step %d without \"logprobs\"", step);
    struct advantage_stats ignored;
    struct advantage_input in = generation_rewards(&g->gen);
    advantage_compute(g->gen.advantage, &in, &ignored);
    return g->loss.beta != 0 ? score_reference(g, err) : ERR_NONE;
}
