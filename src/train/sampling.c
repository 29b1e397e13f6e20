/* sampling.c: see sampling.h. A group that is drawn again keeps its place in the generation and its
 * buffers: the groups in question are run as a small batch of copies, and the copies put back. */
#include "train/sampling.h"
#include <string.h>
#include "base/rng.h"

/* --- dealing --- */

/* Puts a row into a group. A prompt can come twice in a step, at the seam of a deck's passes: the
 * epoch tells the draws apart. */
static void set_row(struct grpo *g, struct episode_group *group, int step, size_t row,
                    uint64_t epoch)
{
    group->row = &g->data->rows[row];
    group->n = g->gen.per_group;
    group->first_sample = 0;
    group->key = (struct rng_key){.seed = (uint64_t)g->o->seed,
                                  .purpose = RNG_SAMPLE,
                                  .step = (uint64_t)step,
                                  .row = group->row->key,
                                  .epoch = epoch};
}

static void deal_rows(struct grpo *g, int step)
{
    struct episode_batch *b = &g->gen.batch;
    b->count = g->o->prompts_per_step * g->o->steps_per_generation;
    g->dealt = g->cursor;
    for (int i = 0; i < b->count; i++) {
        uint64_t epoch;
        size_t row = dealer_deal(&g->dealer, &g->dealt, &g->gen.deck[i], &epoch);
        set_row(g, &b->groups[i], step, row, epoch);
    }
}

/* --- sampling and judging --- */

static int run_batch(struct grpo *g, struct episode_batch *b, struct err *err)
{
    struct warpers warpers = {.repetition_penalty = g->o->repetition_penalty,
                              .top_k = g->o->top_k,
                              .top_p = g->o->top_p,
                              .min_p = g->o->min_p};
    struct rollout_options options = {.max_new_tokens = g->o->max_completion_length,
                                      .warpers = &warpers,
                                      .temperature = g->o->temperature,
                                      .eos = g->episode.codec->eos,
                                      .n_eos = g->episode.codec->n_eos};
    int status = episode_encode(&g->episode, b, g->max_prompt_tokens, err);
    if (!status)
        status = episode_run(&g->episode, g->a, &options, b, err);
    g->times.judging += b->judge_seconds;
    return status;
}

/* Takes over the scores of a group that was just judged, and writes down what it showed. */
static void take_group(struct grpo *g, int group)
{
    struct generation *gen = &g->gen;
    struct task_report *task = &g->report.task[gen->deck[group]];
    for (int i = group * gen->per_group; i < (group + 1) * gen->per_group; i++) {
        generation_take_scores(gen, i);
        g->report.tokens += generation_sample(gen, i)->completion.length;
        task->rewards += gen->valid[i];
        task->sum += gen->valid[i] ? gen->reward[i] : 0;
    }
    struct advantage_input in = generation_rewards(gen);
    task->groups++;
    task->flat += !advantage_has_signal(&in, group);
}

static void note_replaced(struct grpo *g, int group)
{
    const struct generation *gen = &g->gen;
    g->report.refilled++;
    for (int i = group * gen->per_group; i < (group + 1) * gen->per_group; i++) {
        g->report.replaced++;
        g->report.replaced_failures += gen->failed[i];
    }
}

/* --- refilling --- */

/* Groups without signal, into gen->again; their number. */
static int flat_groups(struct generation *gen)
{
    struct advantage_input in = generation_rewards(gen);
    int n = 0;
    for (int b = 0; b < gen->batch.count; b++)
        if (!advantage_has_signal(&in, b))
            gen->again[n++] = b;
    return n;
}

static int refill_round(struct grpo *g, int step, int n, struct err *err)
{
    struct generation *gen = &g->gen;
    struct episode_batch some = gen->batch;
    some.groups = gen->refilled;
    some.count = n;
    for (int k = 0; k < n; k++) {
        uint64_t epoch;
        note_replaced(g, gen->again[k]);
        gen->refilled[k] = gen->batch.groups[gen->again[k]];
        size_t row = dealer_redeal(&g->dealer, &g->dealt, gen->deck[gen->again[k]], &epoch);
        set_row(g, &gen->refilled[k], step, row, epoch);
    }
    int status = run_batch(g, &some, err);
    for (int k = 0; k < n; k++) /* after an error too: a prompt's memory may have moved */
        gen->batch.groups[gen->again[k]] = gen->refilled[k];
    for (int k = 0; k < n && !status; k++)
        take_group(g, gen->again[k]);
    return status;
}

static int refill(struct grpo *g, int step, struct err *err)
{
    int status = ERR_NONE;
    while (!status && g->report.rounds < g->o->dynamic_sampling_max_rounds) {
        int n = flat_groups(&g->gen);
        if (!n)
            break;
        g->report.rounds++;
        status = refill_round(g, step, n, err);
    }
    return status;
}

/* The sampler's log-probabilities are the old ones: trainer and sampler agree to the last bit. */
static void keep_old(struct generation *gen)
{
    for (int i = 0; i < generation_count(gen); i++) {
        const struct completion *c = &generation_sample(gen, i)->completion;
        memcpy(gen->old + generation_token(gen, i), c->logprobs, (size_t)c->length * sizeof(float));
    }
    gen->has_old = true;
}

int sampling_run(struct grpo *g, int step, struct err *err)
{
    struct generation *gen = &g->gen;
    g->report = (struct sampling_report){0};
    deal_rows(g, step);
    int status = run_batch(g, &gen->batch, err);
    for (int b = 0; b < gen->batch.count && !status; b++)
        take_group(g, b);
    if (!status && g->o->dynamic_sampling)
        status = refill(g, step, err);
    gen->first_step = step;
    if (status)
        return status;
    keep_old(gen);
    generation_deal(gen, (uint64_t)g->o->seed);
    return ERR_NONE;
}

/* --- what remains of it --- */

void sampling_commit(struct grpo *g)
{
    const struct sampling_report *r = &g->report;
    g->cursor = g->dealt;
    g->rewards += r->replaced;
    g->reward_failures += r->replaced_failures;
    for (int t = 0; t < g->sampler.n; t++) {
        const struct task_report *task = &r->task[t];
        if (task->rewards)
            task_sampler_see_reward(&g->sampler, t, task->sum / task->rewards);
        if (task->groups)
            task_sampler_see_filtered(&g->sampler, t, (double)task->flat / task->groups);
    }
}

void sampling_metrics(struct grpo *g)
{
    if (!g->o->dynamic_sampling || g->replay)
        return;
    metrics_add(&g->metrics, g->report.rounds, "dynamic_sampling/rounds");
    metrics_add(&g->metrics, g->report.refilled, "dynamic_sampling/refilled_groups");
    metrics_add(&g->metrics, (double)g->report.tokens, "dynamic_sampling/rollout_tokens");
}

/* The reference experiment calls sql_qa's weight sampler/sql_weight. */
static bool has_sql_alias(const struct dealer *d)
{
    bool taken = false;
    for (int t = 0; t < d->n_decks; t++)
        taken = taken || strcmp(d->decks[t].task, "sql") == 0;
    return !taken;
}

void sampling_weight_metrics(struct grpo *g)
{
    const struct task_sampler *s = &g->sampler;
    bool alias = s->n && has_sql_alias(&g->dealer);
    for (int t = 0; t < s->n; t++) {
        const char *task = g->dealer.decks[t].task;
        metrics_add(&g->metrics, s->weight[t], "sampler/%s_weight", task);
        if (alias && strcmp(task, "sql_qa") == 0)
            metrics_add(&g->metrics, s->weight[t], "sampler/sql_weight");
        if (s->signal == SIGNAL_TRAIN_EMA)
            metrics_add(&g->metrics, s->ema[t], "sampler/%s_reward_ema", task);
        if (g->o->dynamic_sampling)
            metrics_add(&g->metrics, s->filtered[t], "sampler/%s_filtered_ratio", task);
    }
}
