/* setup.c: opening, checking and planning in the order in which mistakes are cheapest to find:
 * configuration, tokenizer and texts, data, rewards, the plan; the model's weights come last. */
#include "train/setup.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/classify.h"
#include "train/stopping.h"

/* Rewards know their parameters but not where in the recipe they stand. */
static void place_error(const struct setup *s, struct err *err)
{
    const char *place = recipe_where(s->spec.recipe, NULL, "rewards");
    if (!err || err->code != ERR_USAGE || strncmp(err->where, place, strlen(place)) == 0)
        return;
    if (strcmp(err->where, "rewards") == 0)
        err->where[0] = 0;
    err_prefix(err, place);
}

int setup_open_rewards(struct setup *s, struct err *err)
{
    if (!s->o->rewards)
        return ERR_NONE;
    json_t *json = recipe_node_json(s->o->rewards);
    if (!json)
        return err_no_memory(err, "rewards", 0);
    int status =
        reward_set_create(&s->rewards, json, recipe_where(s->spec.recipe, NULL, "rewards"), err);
    json_decref(json);
    s->has_rewards = !status;
    if (status)
        place_error(s, err);
    return status;
}

/* A check that says no ends the way, or is kept for a report (and the way goes on). */
static int keep_gate(struct setup *s, int status, const struct err *err)
{
    if (status != ERR_GATE || !s->spec.keep_gates)
        return status;
    if (!s->gate.code)
        s->gate = *err;
    return ERR_NONE;
}

static int open_rows(const struct setup *s, struct dataset *d, const char *path, bool *has,
                     struct err *err)
{
    int status = dataset_open(d, path, err);
    *has = !status;
    return status ? status
                  : dataset_classify_by(d, s->o->classifier,
                                        recipe_where(s->spec.recipe, NULL, "classifier"), err);
}

int setup_open_data(struct setup *s, struct err *err)
{
    int status = ERR_NONE;
    if (s->o->data)
        status = open_rows(s, &s->data, s->o->data, &s->has_data, err);
    if (!status && s->spec.evaluates && s->o->eval_data)
        status = open_rows(s, &s->eval_data, s->o->eval_data, &s->has_eval, err);
    if (!status && s->has_data && s->has_eval)
        status = keep_gate(s, dataset_disjoint(&s->data, &s->eval_data, err), err);
    if (!status && s->spec.replay) {
        status = replay_open(&s->replay, s->spec.replay, 0, err);
        s->has_replay = !status;
    }
    return status;
}

static void report_generation_config(const struct setup *s)
{
    if (s->ignored[0])
        log_info("ignored: generation_config.json of %s says %s; sampling follows the recipe alone",
                 s->o->model, s->ignored);
}

static int open_codec(struct setup *s, struct err *err)
{
    struct train_chat chat;
    int status = train_chat_options(&chat, s->spec.recipe, s->o, err);
    if (!status)
        status = text_codec_open_ids(&s->codec, s->o->model, &chat.options, &s->config, err);
    train_chat_free(&chat);
    return status;
}

enum { MOST_COLUMNS = 128 };

/* A line of metrics holds so many: of a step itself, of gdpo's columns and of the sampler's tasks,
 * three a reward and two a task of the evaluation. */
static int check_room(const struct setup *s, struct err *err)
{
    enum { OF_STEPS = 64 + MOST_COLUMNS + 4 * DEALER_MAX_TASKS };
    const char *names[METRICS_MAX / 2];
    long room = METRICS_MAX - OF_STEPS - (s->has_rewards ? 3L * s->rewards.count : 0);
    long most = room > 0 ? room / 2 : 0;
    if (most && (!s->has_eval || dataset_tasks(&s->eval_data, names, METRICS_MAX / 2) <= most))
        return ERR_NONE;
    if (!most)
        return err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "rewards"),
                       "are %d, more than a line of metrics has room for: take fewer",
                       s->rewards.count);
    return err_set(err, ERR_INPUT, s->eval_data.path,
                   "has more than %ld tasks, each of which would be a metric: \"task\" names a "
                   "kind of rows, \"id\" a row",
                   most);
}

/* Names that only the tasks and rewards at hand decide about. */
static int check_names(const struct setup *s, struct err *err)
{
    const char *metric = s->o->metric_for_best_model;
    for (int r = 0; s->o->soft_overlong_cache && r < s->rewards.count; r++)
        if (strcmp(s->rewards.items[r].label, SOFT_OVERLONG) == 0)
            return err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "rewards"),
                           "a reward is labelled \"" SOFT_OVERLONG
                           "\", which is what soft_overlong_cache logs: give it another label");
    int columns = s->has_rewards ? reward_set_columns(&s->rewards, NULL, 0) : 0;
    if (s->o->advantage == ADVANTAGE_GDPO && (!columns || columns > MOST_COLUMNS))
        return err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "advantage"),
                       "is gdpo, which normalises the components of the rewards one by one, but "
                       "the recipe's rewards have %d with a weight; expected 1 to %d",
                       columns, MOST_COLUMNS);
    if (!s->has_eval || eval_metric_exists(metric, &s->eval_data, &s->rewards))
        return ERR_NONE;
    struct str known = {0};
    eval_metric_list(&known, &s->eval_data, &s->rewards);
    int status =
        err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "metric_for_best_model"),
                "no evaluation on %.200s has \"%.80s\"; there are %.600s", s->eval_data.path,
                metric, str_text(&known));
    str_free(&known);
    return status;
}

/* Evaluations log these; what steps log is known after the first. */
static int check_rule(const struct setup *s, const struct stop_rule *r, const char *name,
                      const char *where, struct err *err)
{
    if (!name || strncmp(name, "eval/", 5) != 0 || !s->spec.evaluates)
        return ERR_NONE;
    if (!s->has_eval || !s->o->eval_steps)
        return err_set(err, ERR_USAGE, where,
                       "line %d: rule %s watches \"%.80s\", but there is no eval_data or no "
                       "eval_steps",
                       r->line, stop_rule_name(r), name);
    if (eval_metric_exists(name, &s->eval_data, &s->rewards))
        return ERR_NONE;
    struct str known = {0};
    eval_metric_list(&known, &s->eval_data, &s->rewards);
    int status = err_set(err, ERR_USAGE, where,
                         "line %d: rule %s: no evaluation on %.200s has \"%.80s\"; there are "
                         "%.600s",
                         r->line, stop_rule_name(r), s->eval_data.path, name, str_text(&known));
    str_free(&known);
    return status;
}

static int open_rules(struct setup *s, struct err *err)
{
    const char *where = recipe_where(s->spec.recipe, NULL, "stop_rules");
    int status = stop_rules_read(&s->rules, s->o->stop_rules, where, err);
    for (int i = 0; i < s->rules.n && !status; i++) {
        const struct stop_rule *r = &s->rules.rules[i];
        status = check_rule(s, r, r->metric, where, err);
        if (!status)
            status = check_rule(s, r, r->against, where, err);
    }
    return status;
}

void setup_begin(struct setup *s, const struct setup_spec *spec)
{
    *s = (struct setup){.spec = *spec, .o = spec->o};
}

/* What training goes on from must have the recipe's shape: saved, it is described by it. */
static int check_init_adapter(const struct setup *s, struct err *err)
{
    struct peft_config c;
    const struct peft_config *want = &s->lora;
    int status = peft_config_read(&c, s->o->init_adapter, err);
    if (status)
        return status;
    bool others = memcmp(c.targets, want->targets, sizeof c.targets) != 0;
    if (!others && c.r == want->r && c.lora_alpha == want->lora_alpha &&
        c.use_rslora == want->use_rslora)
        return ERR_NONE;
    return err_set(err, ERR_USAGE, s->o->init_adapter,
                   "has r %d, lora_alpha %g, use_rslora %s; the recipe's lora says r %d, "
                   "lora_alpha %g, use_rslora %s%s: make them equal",
                   c.r, c.lora_alpha, c.use_rslora ? "true" : "false", want->r, want->lora_alpha,
                   want->use_rslora ? "true" : "false", others ? ", and other target_modules" : "");
}

int setup_open_model(struct setup *s, struct err *err)
{
    int status = train_peft_config(&s->lora, s->o, err);
    if (!status && s->o->init_adapter)
        status = check_init_adapter(s, err);
    if (!status && s->o->ref_adapter)
        status = peft_config_read(&s->reference_lora, s->o->ref_adapter, err);
    if (!status)
        status = hf_config_open(&s->config, s->o->model, s->ignored, sizeof s->ignored, err);
    if (!status)
        status = open_codec(s, err);
    if (!status)
        status = stop_strings_create(&s->stops, &s->codec, s->o->stop_strings.items,
                                     s->o->stop_strings.count,
                                     recipe_where(s->spec.recipe, NULL, "stop_strings"), err);
    if (!status)
        report_generation_config(s);
    return status;
}

int setup_check(struct setup *s, struct err *err)
{
    int status = ERR_NONE;
    if (s->has_rewards && s->has_data)
        status = reward_set_covers(&s->rewards, &s->data, err);
    if (!status && s->has_rewards && s->has_eval)
        status = reward_set_covers(&s->rewards, &s->eval_data, err);
    if (status)
        place_error(s, err);
    if (!status)
        status = check_room(s, err);
    if (!status && s->has_eval)
        status = eval_metric_check(&s->eval_data, err);
    if (!status)
        status = check_names(s, err);
    return status ? status : open_rules(s, err);
}

int setup_open(struct setup *s, const struct setup_spec *spec, struct err *err)
{
    setup_begin(s, spec);
    int status = setup_open_model(s, err);
    if (!status)
        status = setup_open_data(s, err);
    if (!status)
        status = setup_open_rewards(s, err);
    return status ? status : setup_check(s, err);
}

/* --- the plan --- */

/* Longest prompts, over everything that will be sampled from and over what is trained on, checked
 * against the recipe's limit. */
static int longest_prompts(const struct setup *s, struct plan_input *in, struct err *err)
{
    const struct dataset *sets[2] = {s->has_data ? &s->data : NULL,
                                     s->has_eval ? &s->eval_data : NULL};
    int limit = s->o->max_prompt_length;
    in->max_prompt_tokens = in->max_trained_prompt = 1;
    for (int i = 0; i < 2; i++) {
        /* Under replay the rows may be there for their names only. */
        if (!sets[i] || (s->has_replay && !s->codec.tokenizer))
            continue;
        int tokens, *longest = &in->max_prompt_tokens;
        const struct row *row;
        int status = episode_longest_prompt(&s->codec, sets[i], &tokens, &row, err);
        if (status)
            return status;
        if (limit && tokens > limit)
            return err_set(
                err, ERR_INPUT, sets[i]->path,
                "row \"%.80s\" (line %ld) has a prompt of %d tokens, max_prompt_length is %d: "
                "shorten it, drop it or raise the limit; prompts are never cut",
                row->id, row->line, tokens, limit);
        *longest = tokens > *longest ? tokens : *longest;
        if (sets[i] == &s->data)
            in->max_trained_prompt = *longest;
    }
    return ERR_NONE;
}

/* Sizes of a generation: the recipe's, or under replay the file's where the recipe is silent. */
static int generation_sizes(struct setup *s, struct plan_input *in, struct err *err)
{
    const struct train_options *o = s->o;
    in->groups = o->prompts_per_step * o->steps_per_generation;
    in->per_group = o->num_generations;
    in->max_steps = o->optim.max_steps;
    int status = longest_prompts(s, in, err);
    if (!status && s->has_replay) {
        struct replay_size size;
        replay_measure(&s->replay, &size);
        if (!recipe_given(s->spec.recipe, NULL, "num_generations", NULL))
            in->per_group = size.per_group;
        if (!recipe_given(s->spec.recipe, NULL, "prompts_per_step", NULL))
            in->groups = size.groups;
        if (size.prompt > in->max_trained_prompt)
            in->max_trained_prompt = size.prompt;
        if (size.prompt > in->max_prompt_tokens)
            in->max_prompt_tokens = size.prompt;
        if (!in->max_steps)
            in->max_steps = (int)size.last_step + train_generation_steps(o) - 1;
    } else if (!status && !in->max_steps) {
        double generations = ceil(o->optim.num_train_epochs * (double)s->data.count / in->groups);
        if (generations * train_generation_steps(o) > INT32_MAX)
            status =
                err_set(err, ERR_USAGE, "num_train_epochs", "makes more steps than can be counted");
        else
            in->max_steps = (int)(generations * train_generation_steps(o));
    }
    return status;
}

/* The bounds of mtgrpo must leave room for as many tasks as there are. */
static int check_bounds(const struct setup *s, int tasks, struct err *err)
{
    const struct task_sampler_settings *b = &s->o->sampler;
    bool low = tasks * b->min_weight > 1, high = tasks * b->max_weight < 1;
    if (s->o->task_sampler != SAMPLER_MTGRPO || (!low && !high))
        return ERR_NONE;
    return err_set(
        err, ERR_USAGE,
        recipe_where(s->spec.recipe, "task_sampler_kwargs", low ? "min_weight" : "max_weight"),
        "is %g, but there are %d tasks, whose weights sum to 1: %s it",
        low ? b->min_weight : b->max_weight, tasks, low ? "lower" : "raise");
}

/* What the sampler watches must be in every evaluation. */
static int check_watched(const struct setup *s, struct err *err)
{
    char name[METRIC_NAME];
    for (int i = 0; s->sampler.signal == SIGNAL_EVAL && i < s->sampler.n && s->has_eval; i++) {
        snprintf(name, sizeof name, "eval/%s", s->dealer.decks[i].task);
        if (!eval_metric_exists(name, &s->eval_data, &s->rewards))
            return err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "task_sampler"),
                           "watches \"%s\", but %.200s has no row of that task: add some, or set "
                           "sampler_signal: train_ema",
                           name, s->eval_data.path);
    }
    return ERR_NONE;
}

static void start_sampler(struct setup *s)
{
    double share[DEALER_MAX_TASKS];
    const struct train_options *o = s->o;
    int n = s->dealer.decks[0].task ? s->dealer.n_decks : 0;
    for (int i = 0; i < n; i++)
        share[i] = s->dealer.decks[i].weight;
    task_sampler_start(&s->sampler, o->task_sampler, o->sampler_signal, &o->sampler, share, n);
    if (n)
        dealer_weights(&s->dealer, s->sampler.weight);
    s->dealer.systematic = o->task_sampler == SAMPLER_MTGRPO;
}

static int open_dealer(struct setup *s, struct err *err)
{
    enum { MOST_GROUPS = 1 << 24 };
    const struct train_options *o = s->o;
    struct task_weights weights;
    bool own = !o->task_weights && o->task_sampler >= 0;
    const char *where = recipe_where(s->spec.recipe, NULL, own ? "task_sampler" : "task_weights");
    int generations = o->update_interval / train_generation_steps(o);
    long long stretch = (generations ? generations : 1LL) * s->plan.gradient.groups;
    if (stretch > MOST_GROUPS)
        return err_set(err, ERR_USAGE, recipe_where(s->spec.recipe, NULL, "update_interval"),
                       "%d steps of %d prompts are more than can be dealt at a time, %d: lower it",
                       o->update_interval, o->prompts_per_step, MOST_GROUPS);
    int status = own ? task_weights_of_data(&weights, &s->data,
                                            o->task_sampler == SAMPLER_PROPORTIONAL, where, err)
                     : task_weights_read(&weights, o->task_weights, where, err);
    if (!status)
        status = dealer_create(&s->dealer, &s->data, &weights, (int)stretch, (uint64_t)o->seed,
                               where, err);
    if (!status)
        status = check_bounds(s, s->dealer.n_decks, err);
    if (!status)
        start_sampler(s);
    return status ? status : check_watched(s, err);
}

/* The adapter of larger rank: what passes without gradient are made for. */
static const struct peft_config *largest_adapter(const struct setup *s)
{
    return s->reference_lora.r > s->lora.r ? &s->reference_lora : &s->lora;
}

static int make_plan(struct setup *s, struct plan_input *in, struct err *err)
{
    s->max_context = in->max_prompt_tokens + s->o->max_completion_length;
    if (s->max_context > s->config.max_position_embeddings)
        return err_set(
            err, ERR_USAGE, "max_completion_length",
            "the longest prompt (%d tokens) and %d new tokens exceed the model's context of "
            "%d: lower max_completion_length or shorten the prompt",
            in->max_prompt_tokens, s->o->max_completion_length, s->config.max_position_embeddings);
    in->max_context = s->max_context;
    in->rows = s->has_data && !s->has_replay ? s->data.count : 0;
    in->evaluates = s->has_eval;
    in->program_bytes = plan_resident_bytes();
    int status = plan_make(&s->plan, in, err);
    if (!status && in->rows)
        status = open_dealer(s, err);
    return status;
}

int setup_plan(struct setup *s, struct err *err)
{
    struct plan_input in = {.d = s->spec.device,
                            .config = &s->config,
                            .lora = &s->lora,
                            .reference = s->o->ref_adapter ? &s->reference_lora : NULL,
                            .largest = largest_adapter(s),
                            .o = s->o};
    int status = generation_sizes(s, &in, err);
    s->longest_prompt = in.max_prompt_tokens;
    return status ? status : make_plan(s, &in, err);
}

uint64_t setup_groups(const struct setup *s)
{
    if (!s->dealer.n_decks)
        return 0;
    int serves = train_generation_steps(s->o);
    uint64_t generations = (uint64_t)((s->plan.max_steps + serves - 1) / serves);
    return generations * (uint64_t)s->plan.gradient.groups;
}

/* How often each task's rows come round is the truth about "epochs" under a mix. */
void setup_print_plan(struct str *out, struct setup *s)
{
    struct dealer *d = &s->dealer;
    struct dealer_cursor end;
    plan_print(out, &s->plan, s->o);
    if (s->sampler.n)
        dealer_foresee(d, &end, setup_groups(s));
    for (int i = 0; i < s->sampler.n; i++)
        str_printf(out, "\n  %-20s %5.1f%% of the groups, %zu rows, %.2f epochs", d->decks[i].task,
                   100 * d->decks[i].weight, d->decks[i].deck.n, dealer_epochs(d, &end, i));
    if (task_sampler_moves(s->sampler.kind))
        str_printf(out,
                   "\nplan: these are the weights at the start; task_sampler %s changes them every "
                   "%d steps by the %s",
                   task_sampler_names[s->sampler.kind], s->o->update_interval,
                   s->sampler.signal == SIGNAL_EVAL ? "evaluations" : "training rewards");
}

/* A map from task to something may name one that no row has: a slip, or rows still to come. */
static void remark_tasks(struct str *out, const struct setup *s, const char *key,
                         const struct yaml_node *node)
{
    const struct dataset *sets[] = {s->has_data ? &s->data : NULL,
                                    s->has_eval ? &s->eval_data : NULL};
    bool map = node && node->kind == YAML_MAPPING && s->has_data;
    for (size_t k = 0; map && k < node->n_children; k++) {
        bool there = false;
        for (size_t d = 0; d < ARRAY_LENGTH(sets); d++)
            for (size_t i = 0; sets[d] && i < sets[d]->count && !there; i++)
                there = strcmp(sets[d]->rows[i].task, node->children[k].key) == 0;
        if (there)
            continue;
        str_printf(out, "\nplan: %s: no row of data or eval_data has task \"", key);
        log_printable(out, node->children[k].key, strlen(node->children[k].key), 80);
        str_puts(out, "\": it has no effect");
    }
}

void setup_print_remarks(struct str *out, const struct setup *s)
{
    remark_tasks(out, s, "system_prompt", s->o->system_prompt);
    remark_tasks(out, s, "rewards", s->o->rewards);
    if (s->o->advantage != ADVANTAGE_GRPO)
        str_printf(out, "\nplan: advantage %s: scale_rewards has no effect",
                   advantage_names[s->o->advantage]);
    if (plan_on_policy(s->o))
        str_puts(out, "\nplan: on-policy: the ratio is 1 by construction, clipping is inactive");
    if (task_sampler_moves(s->sampler.kind) && s->sampler.signal == SIGNAL_EVAL)
        str_puts(out, "\nplan: eval_data also steers the training, by the weights of its tasks");
}

/* --- the engine --- */

static int open_adapters(struct grpo *g, struct setup *s, struct err *err)
{
    int status;
    if (s->o->init_adapter)
        status = adapter_open(&g->a, g->m, s->o->init_adapter, err);
    else
        status = adapter_create(&g->a, g->m, &s->lora, (uint64_t)s->o->seed, err);
    if (!status && s->o->ref_adapter)
        status = adapter_open(&s->reference, g->m, s->o->ref_adapter, err);
    return status;
}

/* What a step is told besides what it works on. */
static void tell_engine(struct grpo *g, struct setup *s)
{
    g->o = s->o;
    g->max_steps = s->plan.max_steps;
    g->warmup_steps = s->plan.warmup_steps;
    g->reference = s->reference;
    g->data = s->has_data ? &s->data : NULL;
    g->replay = s->has_replay ? &s->replay : NULL;
    g->max_prompt_tokens = s->plan.gradient.max_prompt_length;
    g->episode.codec = &s->codec;
    g->episode.stop = interrupt_requested;
    g->episode.stops = &s->stops;
    if (s->has_rewards && !s->has_replay)
        g->episode.rewards = &s->rewards;
    g->gen.mask_truncated = s->o->mask_truncated_completions;
    g->gen.slices = s->o->steps_per_generation;
    g->gen.kind = (enum advantage_kind)s->o->advantage;
    g->gen.scale = (enum scale_rewards)s->o->scale_rewards;
    g->gen.overlong_cache = s->o->soft_overlong_cache;
    g->loss = (struct loss_params){.type = (enum loss_type)s->o->loss_type,
                                   .epsilon = s->o->epsilon,
                                   .epsilon_high = s->o->epsilon_high,
                                   .beta = s->o->beta,
                                   .bias_correction_kl = s->o->use_bias_correction_kl,
                                   .max_completion_length = s->o->max_completion_length,
                                   .delta = isnan(s->o->delta) ? 0 : s->o->delta,
                                   .level = (enum sampling_level)s->o->importance_sampling_level,
                                   .steps_per_generation = s->o->dapo_denominator == DAPO_GENERATION
                                                               ? s->o->steps_per_generation
                                                               : 0};
}

int setup_engine(struct grpo *g, struct setup *s, struct err *err)
{
    g->dealer = s->dealer;
    g->sampler = s->sampler;
    s->dealer = (struct dealer){0};
    const struct plan *plan = &s->plan;
    int status =
        s->spec.weights
            ? model_create(&g->m, s->spec.device, &s->config, s->spec.weights, s->max_context, err)
            : model_open(&g->m, s->spec.device, s->o->model, s->max_context, err);
    if (!status)
        status = open_adapters(g, s, err);
    if (!status)
        status = rollout_create(&g->episode.rollout, g->m, largest_adapter(s), plan->max_sequences,
                                plan->prompt_room, s->o->max_completion_length, err);
    if (!status && !s->o->speculation)
        rollout_speculate(g->episode.rollout, SPECULATION_OFF);
    if (!status)
        status = gradient_create(&g->gradient, g->m, &s->lora, &plan->gradient, err);
    if (!status)
        status = optimizer_create(&g->optimizer, s->spec.device, adapter_size(g->a), err);
    if (!status)
        status = generation_create(&g->gen, plan->gradient.groups, plan->gradient.per_group,
                                   s->o->max_completion_length,
                                   s->has_rewards && !s->has_replay ? &s->rewards : NULL, err);
    if (!status)
        tell_engine(g, s);
    if (!status && s->o->advantage == ADVANTAGE_GDPO)
        status = generation_columns(&g->gen, &s->rewards, err);
    return status;
}

void setup_close_engine(struct grpo *g, struct setup *s)
{
    generation_free(&g->gen);
    optimizer_free(&g->optimizer);
    gradient_free(g->gradient);
    rollout_free(g->episode.rollout);
    dealer_free(&g->dealer);
    adapter_close(s->reference);
    s->reference = NULL;
    adapter_close(g->a);
    model_close(g->m);
}

void setup_close(struct setup *s)
{
    dealer_free(&s->dealer);
    stop_rules_free(&s->rules);
    if (s->has_replay)
        replay_close(&s->replay);
    if (s->has_data)
        dataset_close(&s->data);
    if (s->has_eval)
        dataset_close(&s->eval_data);
    if (s->has_rewards)
        reward_set_free(&s->rewards);
    stop_strings_free(&s->stops);
    text_codec_close(&s->codec);
}
