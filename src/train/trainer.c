/* trainer.c: runs steps until the last, from what setup.h opened and planned; see trainer.h.
 *
 * Order within a step, which is what makes `kill -9` harmless: update the adapter, append its
 * samples, evaluate if due and keep the best adapter, append its metrics, then (if due) sync the
 * logs and write a checkpoint that holds their lengths. A resume cuts the logs back to those
 * lengths; whatever came after is done again, with the same draws and so the same bytes. */
#include "train/trainer.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"
#include "train/setup.h"

struct trainer {
    const struct trainer_spec *spec;
    const struct train_options *o;
    struct setup setup;
    struct reward_gate gate; /* of the rewards; no items: there are none */
    struct grpo grpo;
    struct episode eval_episode; /* the same with rewards, under replay too */
    struct track track;
    struct identity identity;
    struct train_state state;
    struct dealing dealing; /* of the state, where prompts are dealt */
    int saved_step;         /* of the newest checkpoint that is up to date; −1: none */
    double saved_at;        /* clock of the newest checkpoint, or of the start */
    struct str sample;      /* one line of samples.jsonl, reused */
    struct progress progress;
    bool unfinished; /* the step's evaluation and its line of metrics are still to come */
    int lock;        /* file descriptor; −1: none */
};

static bool out_of_patience(const struct trainer *t)
{
    return early_stop(&t->state.best, t->o->early_stopping_patience);
}

static bool stopped_early(const struct trainer *t)
{
    return out_of_patience(t) || stop_rules_stopped(&t->setup.rules);
}

/* --- opening --- */

/* All but the model's part. */
static int make_identity(struct trainer *t, struct err *err)
{
    struct identity *id = &t->identity;
    int status = ERR_NONE;
    if (t->o->init_adapter)
        status = identity_folder(id->part[IDENTITY_INIT_ADAPTER], t->o->init_adapter, err);
    if (!status && t->o->ref_adapter)
        status = identity_folder(id->part[IDENTITY_REF_ADAPTER], t->o->ref_adapter, err);
    if (!status && t->setup.has_replay)
        status = sha256_file(id->part[IDENTITY_REPLAY], t->spec->replay, err);
    if (!status)
        status = identity_build(id->part[IDENTITY_BUILD], err);
    if (t->setup.has_data)
        snprintf(id->part[IDENTITY_DATA], sizeof id->part[0], "%s", t->setup.data.sha256);
    if (t->setup.has_eval)
        snprintf(id->part[IDENTITY_EVAL_DATA], sizeof id->part[0], "%s", t->setup.eval_data.sha256);
    if (!status && t->setup.has_rewards) {
        const struct dataset *data[] = {t->setup.has_data ? &t->setup.data : NULL,
                                        t->setup.has_eval ? &t->setup.eval_data : NULL};
        status = identity_rewards(id, &t->setup.rewards, data, ARRAY_LENGTH(data), err);
    }
    snprintf(id->part[IDENTITY_ISA], sizeof id->part[0], "%s", t->spec->device->isa);
    recipe_resolved(t->spec->recipe, &id->recipe);
    if (!status && id->recipe.failed)
        status = err_no_memory(err, "the resolved recipe", id->recipe.capacity);
    return status;
}

/* The engine is made while another thread hashes the model: neither needs the other, and on the way
 * to the first step they are the longest. */
static int open_engine(struct trainer *t, struct err *err)
{
    struct identity_work hashing;
    char *hash = t->identity.part[IDENTITY_MODEL];
    identity_folder_begin(&hashing, t->o->model);
    int status = setup_engine(&t->grpo, &t->setup, err);
    int hashed = identity_folder_end(hash, &hashing, status ? NULL : err);
    status = status ? status : hashed;
    if (!status && t->o->chat_template && chat_template_is_path(t->o->chat_template))
        status = identity_add_file(hash, t->o->chat_template, err);
    return status;
}

/* --- the run folder --- */

static int remove_leftovers(const struct trainer *t, struct err *err)
{
    struct str eval = {0};
    path_join(&eval, t->spec->run, "eval");
    int status = eval.failed ? err_no_memory(err, t->spec->run, eval.capacity)
                             : run_folder_clean(t->spec->run, err);
    if (!status)
        status = run_folder_clean(str_text(&eval), err);
    str_free(&eval);
    return status;
}

static int write_run_json(const struct trainer *t, struct err *err)
{
    const struct run_about about = {.device = t->spec->device,
                                    .recipe = t->spec->recipe,
                                    .identity = &t->identity,
                                    .allowed = &t->state.allowed,
                                    .seed = t->o->seed,
                                    .max_steps = t->setup.plan.max_steps,
                                    .parts = t->setup.plan.parts,
                                    .n_parts = t->setup.plan.n_parts,
                                    .micro_batch = t->setup.plan.gradient.micro_batch,
                                    .rewards = t->gate.items ? &t->gate : NULL,
                                    .stopped_early = out_of_patience(t),
                                    .rules = &t->setup.rules,
                                    .step = t->state.step,
                                    .not_better = t->state.best.not_better};
    return run_folder_about(t->spec->run, &about, err);
}

static int save(struct trainer *t, struct err *err)
{
    if (t->saved_step == t->state.step)
        return ERR_NONE;
    int status = track_sync(&t->track, err);
    t->state.logs = track_offsets(&t->track);
    t->state.pending = t->unfinished ? &t->grpo.metrics : NULL;
    struct trainable params = trainable_adapter(t->grpo.a);
    if (!status)
        status = checkpoint_save(t->spec->run, &t->state, &t->identity, &params, &t->grpo.optimizer,
                                 t->o->save_total_limit, &t->setup.rules, err);
    if (!status) {
        t->saved_step = t->state.step;
        t->saved_at = clock_seconds();
    }
    return status;
}

/* --- a step's ends --- */

static int evaluate(struct trainer *t, struct metrics *out, struct err *err)
{
    const struct trainer_eval_call call = {.step = t->state.step,
                                           .run = t->spec->run,
                                           .o = t->o,
                                           .episode = &t->eval_episode,
                                           .a = t->grpo.a,
                                           .data = &t->setup.eval_data,
                                           .max_sequences = t->setup.plan.max_sequences,
                                           .max_prompt_tokens = t->setup.plan.prompt_room};
    int status = t->spec->evaluate(&call, out, err);
    if (status)
        return status;
    double value = metrics_get(out, t->o->metric_for_best_model);
    if (isnan(value))
        return err_set(err, ERR_USAGE, recipe_where(t->spec->recipe, NULL, "metric_for_best_model"),
                       "\"%.80s\" has no value after step %d: nothing that it is the mean of was "
                       "scored",
                       t->o->metric_for_best_model, t->state.step);
    if (!best_update(&t->state.best, value, t->o->early_stopping_threshold, t->state.step))
        return ERR_NONE;
    log_info("best so far: %s %.4f at step %d, kept in best_checkpoint/",
             t->o->metric_for_best_model, value, t->state.step);
    return run_folder_save_best(t->spec->run, t->grpo.a, t->o->model, err);
}

static bool eval_due(const struct trainer *t)
{
    int step = t->state.step;
    int every = t->o->eval_steps;
    return t->setup.has_eval && ((every && step % every == 0) || step == t->setup.plan.max_steps);
}

static int write_timing(struct trainer *t, double seconds, double eval_seconds, struct err *err)
{
    const struct grpo_times *times = &t->grpo.times;
    const struct rollout_counts *decoding = &times->decoding;
    double passes = (double)decoding->passes;
    const struct generation *gen = &t->grpo.gen;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double tokens = (double)t->grpo.report.tokens; /* with those that were replaced */
    for (int i = 0; t->grpo.replay && i < generation_count(gen); i++)
        tokens += generation_sample(gen, i)->completion.length;
    struct metric list[] = {
        {"step_time", seconds},
        {"rollout_time", times->rollout},
        {"reward_time", times->judging}, /* the part of rollout_time behind the last token */
        {"gradient_time", times->gradient},
        {"update_time", times->update},
        {"eval_time", eval_seconds},
        {"rollout_tokens_per_second", times->rollout > 0 ? tokens / times->rollout : NAN},
        {"decode_time", decoding->seconds}, /* the part of rollout_time in decoding passes */
        {"decode_passes", (double)decoding->passes},
        {"drafted_tokens", (double)decoding->drafted},
        {"accepted_tokens", (double)decoding->accepted},
        {"accepted_per_pass", passes > 0 ? (double)decoding->accepted / passes : NAN},
        {"peak_resident_mib", (double)usage.ru_maxrss / 1024},
        {"planned_mib", (double)t->setup.plan.total / 0x1p20}};
    return track_timing(&t->track, t->state.step, list, ARRAY_LENGTH(list), err);
}

static int write_samples(struct trainer *t, struct err *err)
{
    const struct grpo *g = &t->grpo;
    if (g->gen.first_step != t->state.step) /* a later iteration on the same completions */
        return ERR_NONE;
    t->state.generation_step = g->gen.first_step;
    t->state.generation_start = track_offsets(&t->track).samples;
    int status = ERR_NONE;
    for (int i = 0; i < generation_count(&g->gen) && !status; i++) {
        str_clear(&t->sample);
        samples_write(&t->sample, &g->gen, i, g->episode.rewards);
        status = t->sample.failed ? err_no_memory(err, "samples.jsonl", t->sample.capacity)
                                  : track_sample(&t->track, &t->sample, err);
    }
    return status;
}

static void show_step(struct trainer *t)
{
    const struct metrics *m = &t->grpo.metrics;
    char detail[400];
    double mean = metrics_get(m, "reward"), eval = metrics_get(m, "eval/mean_reward");
    int n = snprintf(detail, sizeof detail, "grad %.3g  entropy %.2f  lr %.2g",
                     metrics_get(m, "grad_norm"), metrics_get(m, "entropy"),
                     metrics_get(m, "learning_rate"));
    if (!isnan(mean))
        n +=
            snprintf(detail + n, sizeof detail - (size_t)n, "  reward %.3f ± %.3f  length %.0f",
                     mean, metrics_get(m, "reward_std"), metrics_get(m, "completions/mean_length"));
    if (!isnan(eval))
        snprintf(detail + n, sizeof detail - (size_t)n, "  eval %.4f", eval);
    progress_step(&t->progress, t->state.step, detail);
}

static void show_sample(const struct trainer *t)
{
    const struct generation *gen = &t->grpo.gen;
    if (!t->o->console_steps || t->state.step % t->o->console_steps || !t->setup.codec.tokenizer ||
        gen->first_step != t->state.step || !gen->batch.groups[0].row) /* restored: no text */
        return;
    struct str text = {0};
    samples_show(&text, gen, 0, t->grpo.episode.rewards);
    log_info("%s", str_text(&text));
    str_free(&text);
}

/* Failures of the machinery are excluded, counted, and above the recipe's rate they stop the run.
 */
static int check_failures(const struct trainer *t, struct err *err)
{
    enum { FEW = 200 }; /* a rate over fewer rewards says nothing yet */
    const struct grpo *g = &t->grpo;
    double all = (double)(g->rewards > FEW ? g->rewards : FEW);
    if ((double)g->reward_failures <= t->o->max_reward_failure_rate * all)
        return ERR_NONE;
    const char *why = "see samples.jsonl, reward null";
    for (int i = 0; i < generation_count(&g->gen) && g->episode.rewards; i++)
        for (int r = 0; r < g->episode.rewards->count; r++)
            if (generation_sample(&g->gen, i)->scored.results[r].status == REWARD_FAILED)
                why = generation_sample(&g->gen, i)->scored.results[r].reason;
    return err_set(err, ERR_GATE, "rewards",
                   "the rewards of %lld of %lld completions failed, more than "
                   "max_reward_failure_rate %g: %.200s",
                   g->reward_failures, g->rewards, t->o->max_reward_failure_rate, why);
}

static void counters_to_state(struct train_state *s, const struct grpo *g)
{
    s->num_tokens = g->num_tokens;
    s->rewards = g->rewards;
    s->reward_failures = g->reward_failures;
}

static void counters_from_state(struct grpo *g, const struct train_state *s)
{
    g->num_tokens = s->num_tokens;
    g->rewards = s->rewards;
    g->reward_failures = s->reward_failures;
}

static bool last_step(const struct trainer *t)
{
    return t->state.step >= t->setup.plan.max_steps || stopped_early(t);
}

/* The clock decides when a checkpoint is written, and nothing that is in one. */
static bool save_due(const struct trainer *t)
{
    double minutes = (clock_seconds() - t->saved_at) / 60;
    return t->state.step % t->o->save_steps == 0 || last_step(t) ||
           (t->o->save_minutes > 0 && minutes >= t->o->save_minutes);
}

static int end_early(struct trainer *t, struct err *err)
{
    const struct stop_rule *rule = stop_rules_stopped(&t->setup.rules);
    if (rule)
        log_info("stopping after step %d: rule %s", t->state.step, stop_rule_name(rule));
    else
        log_info(
            "early stopping after step %d: %d evaluations in a row without a better %s than %.4f "
            "of step %d",
            t->state.step, t->state.best.not_better, t->o->metric_for_best_model,
            t->state.best.value, t->state.best.step);
    return write_run_json(t, err);
}

/* At the end of a stretch the task sampler weighs the tasks for the next one. */
static void update_weights(struct trainer *t)
{
    struct grpo *g = &t->grpo;
    struct task_sampler *s = &g->sampler;
    double signal[DEALER_MAX_TASKS];
    if (!t->state.dealing || !task_sampler_moves(s->kind) ||
        t->state.step % t->o->update_interval != 0)
        return;
    for (int i = 0; i < s->n && s->signal == SIGNAL_EVAL; i++) {
        char name[METRIC_NAME];
        snprintf(name, sizeof name, "eval/%s", g->dealer.decks[i].task);
        signal[i] = metrics_get(&g->metrics, name);
    }
    task_sampler_update(s, signal);
    dealer_weights(&g->dealer, s->weight);
}

static double logged_value(const void *metrics, const char *name)
{
    return metrics_get(metrics, name);
}

/* What a step does not log at all cannot be watched: said after the first, for a name may be wrong.
 * (Evaluations were asked before the run.) */
static int check_watched(const struct trainer *t, const struct stop_rule *r, const char *name,
                         struct err *err)
{
    const struct metrics *m = &t->grpo.metrics;
    bool there = !name || strncmp(name, "eval/", 5) == 0;
    for (int i = 0; i < m->n && !there; i++)
        there = strcmp(m->list[i].name, name) == 0;
    if (there)
        return ERR_NONE;
    return err_set(err, ERR_USAGE, recipe_where(t->spec->recipe, NULL, "stop_rules"),
                   "line %d: rule %s watches \"%.80s\", which no step logs; metrics.jsonl has the "
                   "names",
                   r->line, stop_rule_name(r), name);
}

/* Judges the step's metrics; a rule that fires is logged beside them, once, and in run.json. */
static int judge_rules(struct trainer *t, struct err *err)
{
    struct stop_rules *rules = &t->setup.rules;
    int step = t->state.step, fired = 0, status = ERR_NONE;
    for (int i = 0; step == 1 && i < rules->n && !status; i++) {
        status = check_watched(t, &rules->rules[i], rules->rules[i].metric, err);
        if (!status)
            status = check_watched(t, &rules->rules[i], rules->rules[i].against, err);
    }
    if (!status)
        status = stop_rules_feed(rules, step, logged_value, &t->grpo.metrics, err);
    for (int i = 0; i < rules->n && !status; i++) {
        const struct stop_rule *r = &rules->rules[i];
        if (r->fired != step)
            continue;
        fired++;
        log_warn("step %d: stop rule %s (%s): %s", step, stop_rule_name(r),
                 r->action == STOP_STOP ? "stop" : "warn", r->why);
        metrics_add(&t->grpo.metrics, 1, "stop_rules/%d_%s", i + 1, stop_rule_name(r));
    }
    return status || !fired ? status : write_run_json(t, err);
}

static double line_value(const void *line, const char *name)
{
    const json_t *value = json_object_get(line, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* The rules see again what they saw before the checkpoint: the log up to its length. */
static int recall_rules(struct trainer *t, struct err *err)
{
    struct str path = {0};
    struct jsonl_reader reader = {0};
    json_t *line = NULL;
    if (!t->setup.rules.n)
        return ERR_NONE;
    path_join(&path, t->spec->run, "metrics.jsonl");
    int status = path.failed ? err_no_memory(err, t->spec->run, path.capacity)
                             : jsonl_open(&reader, str_text(&path), err);
    while (!status && reader.position < t->state.logs.metrics &&
           jsonl_next(&reader, &line, err) != 0) {
        json_int_t step = json_integer_value(json_object_get(line, "step"));
        if (!line) /* unreadable, or no JSON */
            status = err ? (int)err->code : ERR_INPUT;
        else if (step >= 0 && step <= t->state.step)
            status = stop_rules_feed(&t->setup.rules, (int)step, line_value, line, err);
        json_decref(line);
        line = NULL;
    }
    jsonl_close(&reader);
    str_free(&path);
    return status;
}

/* The line of metrics. A task may be called as a metric of evaluations, and long names are cut: two
 * under one key would leave what was best to the reader's taste. The first lines have every name.
 */
static int log_metrics(struct trainer *t, struct err *err)
{
    const struct metrics *m = &t->grpo.metrics;
    for (int i = 0; t->state.step <= 1 && i < m->n; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(m->list[i].name, m->list[j].name) == 0)
                return err_set(err, ERR_USAGE, "metrics",
                               "two are called \"%.80s\" (names are cut after %d bytes): give the "
                               "task or the reward another name",
                               m->list[i].name, METRIC_NAME - 1);
    return track_metrics(&t->track, t->state.step, m->list, (size_t)m->n, err);
}

/* What follows the update: evaluation, the line of metrics, the checkpoint. A signal during the
 * evaluation leaves the step unfinished: a checkpoint says so, and a resume comes back here. */
static int finish_step(struct trainer *t, double step_seconds, struct err *err)
{
    struct grpo *g = &t->grpo;
    double started = clock_seconds();
    int status = eval_due(t) ? evaluate(t, &g->metrics, err) : ERR_NONE;
    if (!status)
        status = judge_rules(t, err);
    if (!status)
        status = log_metrics(t, err);
    if (!status)
        status = write_timing(t, step_seconds, clock_seconds() - started, err);
    if (status)
        return status;
    update_weights(t);
    t->unfinished = false;
    show_step(t);
    show_sample(t);
    if (stopped_early(t)) /* said in run.json first: a run that is found finished is left alone */
        status = end_early(t, err);
    if (!status && save_due(t))
        status = save(t, err);
    return status ? status : check_failures(t, err);
}

static int one_step(struct trainer *t, struct err *err)
{
    double started = clock_seconds();
    int status = grpo_step(&t->grpo, t->state.step + 1, err);
    if (status)
        return status;
    t->state.step++;
    t->unfinished = true;
    counters_to_state(&t->state, &t->grpo);
    status = write_samples(t, err);
    return status ? status : finish_step(t, clock_seconds() - started, err);
}

/* --- the run --- */

static int start_fresh(struct trainer *t, struct err *err)
{
    int status = run_folder_unused(t->spec->run, t->spec->resume, err);
    if (!status)
        status = track_open(&t->track, t->spec->run, NULL, err);
    if (!status)
        status = write_run_json(t, err);
    if (!status && t->setup.has_eval) {
        metrics_clear(&t->grpo.metrics);
        status = evaluate(t, &t->grpo.metrics, err);
        if (!status)
            status = judge_rules(t, err);
        if (!status)
            status = log_metrics(t, err);
    }
    if (status == ERR_INTERRUPTED)
        status =
            err_set(err, ERR_INTERRUPTED, t->spec->run,
                    "interrupted before the first step: nothing to save, --resume starts anew");
    return status;
}

/* A checkpoint in the middle of a generation's steps: the completions are in samples.jsonl. */
static int restore_generation(struct trainer *t, struct err *err)
{
    if (t->state.step == 0 || grpo_generates(&t->grpo, t->state.step + 1))
        return ERR_NONE;
    struct str path = {0};
    struct replay saved = {0};
    path_join(&path, t->spec->run, "samples.jsonl");
    int status = path.failed ? err_no_memory(err, t->spec->run, path.capacity)
                             : replay_open(&saved, str_text(&path), t->state.generation_start, err);
    if (!status)
        status = grpo_restore_generation(&t->grpo, &saved, t->state.generation_step, err);
    for (int g = 0; !status && g < t->grpo.gen.batch.count; g++)
        t->grpo.gen.batch.groups[g].row =
            NULL; /* it belonged to `saved`; later iterations need none */
    replay_close(&saved);
    str_free(&path);
    return status;
}

static int continue_run(struct trainer *t, int step, bool *finished, struct err *err)
{
    struct checkpoint_check check = {.id = &t->identity,
                                     .allow = t->spec->allow,
                                     .n_allow = t->spec->n_allow,
                                     .pending = &t->grpo.metrics};
    struct trainable params = trainable_adapter(t->grpo.a);
    int status =
        checkpoint_load(t->spec->run, step, &t->state, &check, &params, &t->grpo.optimizer, err);
    if (status)
        return status;
    status = recall_rules(t, err);
    if (status)
        return status;
    t->unfinished = t->state.pending != NULL;
    t->saved_step = t->unfinished ? -1 : step;
    *finished = last_step(t) && !t->unfinished;
    if (t->state.best.known && !run_folder_has_best(t->spec->run))
        log_warn("%s/best_checkpoint is gone: it held the adapter of step %d, %s %.4f, which only "
                 "a better evaluation will replace",
                 t->spec->run, t->state.best.step, t->o->metric_for_best_model,
                 t->state.best.value);
    if (*finished)
        return ERR_NONE;
    counters_from_state(&t->grpo, &t->state);
    log_info("resuming after step %d", step);
    status = track_open(&t->track, t->spec->run, &t->state.logs, err);
    if (!status && t->state.allowed.length)
        status = write_run_json(t, err);
    return status ? status : restore_generation(t, err);
}

static int run_steps(struct trainer *t, struct err *err)
{
    progress_begin(&t->progress, "train", t->setup.plan.max_steps);
    int status = t->unfinished ? finish_step(t, NAN, err) : ERR_NONE;
    while (!status && !last_step(t)) {
        status = one_step(t, err);
        if (!status && !last_step(t) && interrupt_requested())
            status = err_set(err, ERR_INTERRUPTED, t->spec->run, "interrupted");
    }
    progress_end(&t->progress);
    if (status != ERR_INTERRUPTED)
        return status;
    /* A step that has not changed the adapter yet is dropped: its draws are keyed, it will be done
     * again the same. */
    struct err saving;
    int saved = save(t, &saving);
    if (saved) {
        if (err)
            *err = saving;
        return saved;
    }
    return err_set(err, ERR_INTERRUPTED, t->spec->run,
                   "interrupted; the state after step %d is saved, go on with --resume",
                   t->state.step);
}

static void say_plan(struct trainer *t)
{
    struct str text = {0};
    setup_print_plan(&text, &t->setup);
    if (!t->spec->told)
        setup_print_remarks(&text, &t->setup);
    log_info("%s", str_text(&text));
    str_free(&text);
}

/* Training itself only warns: the gate as a stop is the protocol's. */
static int warn_of_rewards(struct trainer *t, struct err *err)
{
    if (!t->setup.has_rewards)
        return ERR_NONE;
    int status = reward_gate_open(&t->gate, &t->setup.rewards, err);
    for (int i = 0; i < t->gate.count && !status; i++) {
        struct str text = {0}, shown = {0};
        if (t->gate.items[i].verdict < GATE_KNOWN_GAMEABLE || t->spec->told)
            continue;
        reward_gate_say(&text, &t->gate.items[i]);
        log_printable(&shown, str_text(&text), text.length, 0);
        log_warn("reward %s", str_text(&shown));
        str_free(&text);
        str_free(&shown);
    }
    return status;
}

static int prepare(struct trainer *t, struct err *err)
{
    const struct trainer_spec *spec = t->spec;
    int status = run_folder_check(spec->run, spec->resume, err);
    if (status)
        return status;
    status = setup_open(&t->setup,
                        &(struct setup_spec){.o = spec->o,
                                             .recipe = spec->recipe,
                                             .device = spec->device,
                                             .replay = spec->replay,
                                             .evaluates = spec->evaluate != NULL},
                        err);
    if (!status)
        status = setup_plan(&t->setup, err);
    if (!status)
        status = warn_of_rewards(t, err);
    if (!status)
        say_plan(t);
    if (!status)
        status = make_identity(t, err);
    if (!status)
        status = open_engine(t, err);
    t->dealing = (struct dealing){&t->grpo.dealer, &t->grpo.cursor, &t->grpo.sampler,
                                  spec->o->prompts_per_step * spec->o->steps_per_generation,
                                  train_generation_steps(spec->o)};
    t->state.dealing = t->grpo.dealer.n_decks ? &t->dealing : NULL;
    t->eval_episode = t->grpo.episode;
    t->eval_episode.rewards = t->setup.has_rewards ? &t->setup.rewards : NULL;
    if (!status)
        status = run_folder_make(spec->run, true, err);
    return status ? status : run_folder_lock(&t->lock, spec->run, err);
}

static void close_all(struct trainer *t)
{
    track_close(&t->track);
    setup_close_engine(&t->grpo, &t->setup);
    reward_gate_close(&t->gate);
    setup_close(&t->setup);
    identity_free(&t->identity);
    str_free(&t->state.allowed);
    str_free(&t->sample);
    if (t->lock >= 0)
        close(t->lock);
    mem_free(t);
}

int trainer_run(const struct trainer_spec *spec, struct trainer_result *result, struct err *err)
{
    *result = (struct trainer_result){0};
    struct trainer *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_no_memory(err, "the trainer", sizeof *t);
    t->spec = spec;
    t->o = spec->o;
    t->lock = -1;
    t->saved_step = -1;
    t->saved_at = clock_seconds();
    int status = prepare(t, err);
    int latest = -1;
    if (!status && spec->resume)
        status = remove_leftovers(t, err);
    if (!status && spec->resume)
        status = checkpoint_latest(spec->run, &latest, err);
    bool finished = false;
    if (!status)
        status = latest >= 0 ? continue_run(t, latest, &finished, err) : start_fresh(t, err);
    if (!status && !finished)
        status = run_steps(t, err);
    *result = (struct trainer_result){.steps = t->state.step,
                                      .already_finished = finished,
                                      .stopped_early = stopped_early(t),
                                      .has_best = t->state.best.known,
                                      .best_is_there = run_folder_has_best(spec->run),
                                      .best = t->state.best.value,
                                      .best_step = t->state.best.step};
    close_all(t);
    return status;
}
