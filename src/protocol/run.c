/* run.c: the stages that make a seed's run folder whole: training, the evaluation of what came out
 * beside the untouched base, the adapter; and the report over all seeds. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "data/classify.h"
#include "eval/compare.h"
#include "eval/eval.h"
#include "protocol/evaluation.h"
#include "protocol/parts.h"
#include "train/run_folder.h"

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static int join(struct str *out, const char *folder, const char *name, struct err *err)
{
    path_join(out, folder, name);
    return out->failed ? err_no_memory(err, folder, out->capacity) : ERR_NONE;
}

/* --- train --- */

/* --force train: what the run has made so far goes, its gates stay. */
static int start_over(const char *run, struct err *err)
{
    static const char *const made[] = {"checkpoints",   "eval",        "best_checkpoint",
                                       "adapter",       "run.json",    "metrics.jsonl",
                                       "samples.jsonl", "timing.jsonl"};
    struct str path = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(made) && !status; i++) {
        status = join(&path, run, made[i], err);
        if (!status)
            status = dir_remove(str_text(&path), err);
    }
    str_free(&path);
    return status;
}

static void put_result(struct gate_record *g, const struct trainer_result *r)
{
    gate_put(g, g->figures, "steps", json_integer(r->steps));
    gate_put(g, g->figures, "stopped_early", json_boolean(r->stopped_early));
    gate_put(g, g->figures, "best", r->has_best ? number(r->best) : json_null());
    gate_put(g, g->figures, "best_step", r->has_best ? json_integer(r->best_step) : json_null());
}

static void say_result(const struct protocol *p, struct gate_record *g,
                       const struct trainer_result *r)
{
    char best[200] = "; no eval_data, so no best checkpoint";
    if (r->has_best)
        snprintf(best, sizeof best, "; best %.80s %.4f at step %d", p->d.o.metric_for_best_model,
                 r->best, r->best_step);
    gate_record_say(g, "%d steps%s%s", r->steps, r->stopped_early ? ", stopped early" : "", best);
}

int stage_train(struct protocol *p, struct gate_record *g, struct err *err)
{
    const struct protocol_spec *spec = p->spec;
    const char *run = str_text(&p->run);
    bool anew = spec->force == STAGE_TRAIN || spec->force == N_STAGES;
    struct trainer_result result;
    protocol_let_go(p); /* the trainer opens its own */
    int status = anew ? start_over(run, err) : ERR_NONE;
    if (status)
        return status;
    const struct trainer_spec how = {.o = &p->d.o,
                                     .recipe = p->d.recipe,
                                     .run = run,
                                     .resume = true,
                                     .allow = spec->allow,
                                     .n_allow = spec->n_allow,
                                     .device = p->d.device,
                                     .evaluate = protocol_evaluate,
                                     .told = true};
    status = trainer_run(&how, &result, err);
    if (status)
        return status;
    put_result(g, &result);
    say_result(p, g, &result);
    status = gate_record_output(g, run, "metrics.jsonl", err);
    if (!status)
        status = gate_record_output(g, run, "samples.jsonl", err);
    if (!status)
        status = gate_record_output(g, run, "best_checkpoint/adapter_model.safetensors", err);
    return status;
}

/* --- validate --- */

/* Base and best on one set of rows. */
struct validation {
    const struct dataset *data;
    const char *path, *name; /* of the figures: "eval", "test" */
    const char *base, *best; /* files below the run folder */
};

struct validating {
    struct protocol *p;
    struct gate_record *g;
    model *m;
    adapter *a;
    struct episode episode;
    int prompt_room, sequences;
};

static int evaluate_one(struct validating *v, const struct validation *what, const adapter *a,
                        const char *name, struct eval_result *out, struct err *err)
{
    const struct train_options *o = &v->p->d.o;
    struct eval_request q = {.episode = &v->episode,
                             .adapter = a,
                             .data = what->data,
                             .max_prompt_tokens = v->prompt_room,
                             .max_new_tokens = o->max_completion_length,
                             .completions = 1,
                             .seed = (uint64_t)o->seed,
                             .batch = v->sequences,
                             .what = "validate"};
    const struct eval_about about = {
        .model = o->model, .adapter = a ? "best_checkpoint" : NULL, .data = what->path, .step = -1};
    struct str text = {0}, path = {0};
    int status = eval_run(&q, out, err);
    if (!status)
        eval_json(&text, out, &about, true);
    if (!status && text.failed)
        status = err_no_memory(err, name, text.capacity);
    if (!status)
        status = join(&path, str_text(&v->p->run), name, err);
    if (!status)
        status = file_write_atomic(str_text(&path), str_text(&text), text.length, err);
    if (!status)
        status = gate_record_output(v->g, str_text(&v->p->run), name, err);
    str_free(&text);
    str_free(&path);
    return status;
}

static json_t *gain_figures(const struct eval_gain *gain)
{
    return json_pack("{s:o,s:o,s:o,s:[o,o],s:i}", "base", number(gain->before.mean), "best",
                     number(gain->after.mean), "gain", number(gain->gain.mean), "gain_t95",
                     number(gain->gain.t95.low), number(gain->gain.t95.high), "n",
                     (int)gain->gain.n);
}

static void put_comparison(struct gate_record *g, const char *name, const struct eval_comparison *c)
{
    json_t *all = json_object();
    json_object_set_new(all, "overall", gain_figures(&c->overall));
    for (int t = 0; t < c->n_tasks; t++)
        json_object_set_new(all, c->tasks[t].name, gain_figures(&c->tasks[t]));
    gate_put(g, g->figures, name, all);
    size_t n = strlen(g->text);
    snprintf(g->text + n, sizeof g->text - n,
             "%s%s: base %.4f, best %.4f, gain %+.4f [%+.4f, "
             "%+.4f]",
             n ? "; " : "", name, c->overall.before.mean, c->overall.after.mean,
             c->overall.gain.mean, c->overall.gain.t95.low, c->overall.gain.t95.high);
}

static int validate_on(struct validating *v, const struct validation *what, struct err *err)
{
    struct eval_result base = {0}, best = {0};
    struct eval_comparison c = {0};
    int status = evaluate_one(v, what, NULL, what->base, &base, err);
    if (!status)
        status = evaluate_one(v, what, v->a, what->best, &best, err);
    if (!status)
        status = eval_compare(&c, &base, &best, err);
    if (!status)
        put_comparison(v->g, what->name, &c);
    eval_comparison_free(&c);
    eval_free(&base);
    eval_free(&best);
    return status;
}

/* Room for the longest prompt of either set, beside as many as the plan has. */
static int open_engine(struct validating *v, const struct dataset *test, struct err *err)
{
    struct setup *s = &v->p->d.setup;
    const struct row *row;
    int longest = s->longest_prompt, of_test = 0;
    int status = test ? episode_longest_prompt(&s->codec, test, &of_test, &row, err) : ERR_NONE;
    longest = of_test > longest ? of_test : longest;
    int context = longest + s->o->max_completion_length;
    if (!status && context > s->config.max_position_embeddings)
        status = err_set(err, ERR_INPUT, v->p->d.o.test_data,
                         "a row's prompt of %d tokens and %d new ones exceed the model's context "
                         "of %d",
                         longest, s->o->max_completion_length, s->config.max_position_embeddings);
    struct str path = {0};
    v->sequences = s->plan.max_sequences;
    v->prompt_room = rollout_prompt_room(s->plan.prompt_room / s->longest_prompt, longest);
    if (!status)
        status = model_open(&v->m, v->p->d.device, s->o->model, context, err);
    if (!status)
        status = join(&path, str_text(&v->p->run), "best_checkpoint", err);
    if (!status)
        status = adapter_open(&v->a, v->m, str_text(&path), err);
    if (!status)
        status = rollout_create(&v->episode.rollout, v->m, &s->lora, v->sequences, v->prompt_room,
                                s->o->max_completion_length, err);
    if (!status && !s->o->speculation)
        rollout_speculate(v->episode.rollout, SPECULATION_OFF);
    v->episode.codec = &s->codec;
    v->episode.rewards = &s->rewards;
    v->episode.stop = interrupt_requested;
    v->episode.stops = &s->stops;
    str_free(&path);
    return status;
}

static void close_engine(struct validating *v)
{
    rollout_free(v->episode.rollout);
    adapter_close(v->a);
    if (v->m)
        model_close(v->m);
}

static int open_test(struct protocol *p, struct dataset *test, struct err *err)
{
    int status = p->d.o.test_data ? dataset_open(test, p->d.o.test_data, err) : ERR_NONE;
    if (!status && p->d.o.test_data)
        status = dataset_classify_by(test, p->d.o.classifier,
                                     recipe_where(p->d.recipe, NULL, "classifier"), err);
    if (!status && p->d.o.test_data)
        status = reward_set_covers(&p->d.setup.rewards, test, err);
    return status;
}

int stage_validate(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct dataset test = {0};
    struct validating v = {.p = p, .g = g};
    if (!p->d.o.eval_data) {
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "no eval_data: there is no best checkpoint to look at");
        return ERR_NONE;
    }
    int status = need_plan(p, err);
    if (!status)
        status = open_test(p, &test, err);
    if (!status)
        status = open_engine(&v, p->d.o.test_data ? &test : NULL, err);
    const struct validation of_eval = {&p->d.setup.eval_data, p->d.o.eval_data, "eval",
                                       "eval/base.json", "eval/best.json"};
    const struct validation of_test = {&test, p->d.o.test_data, "test", "eval/test-base.json",
                                       "eval/test-best.json"};
    if (!status)
        status = validate_on(&v, &of_eval, err);
    if (!status && p->d.o.test_data)
        status = validate_on(&v, &of_test, err);
    close_engine(&v);
    if (p->d.o.test_data)
        dataset_close(&test);
    return status;
}

/* --- save --- */

/* The folder that was written, read again: parameters and settings equal. */
static int reload(struct protocol *p, model *m, adapter *a, struct err *err)
{
    adapter *again = NULL;
    struct str path = {0};
    size_t n = adapter_size(a);
    float *x = mem_alloc(2 * n * sizeof *x);
    int status = join(&path, str_text(&p->run), "adapter", err);
    if (!status && !x)
        status = err_no_memory(err, "the adapter", 2 * n * sizeof *x);
    if (!status)
        status = adapter_open(&again, m, str_text(&path), err);
    if (!status && adapter_size(again) == n) {
        struct device *d = p->d.device;
        d->ops->download(d, x, adapter_params(a), n * sizeof *x);
        d->ops->download(d, x + n, adapter_params(again), n * sizeof *x);
    }
    if (!status && (adapter_size(again) != n || memcmp(x, x + n, n * sizeof *x) != 0 ||
                    adapter_config(a)->r != adapter_config(again)->r ||
                    adapter_config(a)->lora_alpha != adapter_config(again)->lora_alpha))
        status = err_set(err, ERR_GATE, str_text(&path),
                         "expected the adapter of best_checkpoint when read again, found another: "
                         "is the disk sound? Run `grpo run --force save`");
    adapter_close(again);
    mem_free(x);
    str_free(&path);
    return status;
}

int stage_save(struct protocol *p, struct gate_record *g, struct err *err)
{
    model *m = NULL;
    adapter *a = NULL;
    struct str from = {0};
    const char *run = str_text(&p->run);
    if (!p->d.o.eval_data) {
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "no eval_data: no best checkpoint; the last adapter is in checkpoints/");
        return ERR_NONE;
    }
    int status = need_model(p, err);
    if (!status)
        status = join(&from, run, "best_checkpoint", err);
    if (!status)
        status = model_open(&m, p->d.device, p->d.o.model, 0, err);
    if (!status)
        status = adapter_open(&a, m, str_text(&from), err);
    if (!status)
        status = run_folder_save_adapter(run, "adapter", a, p->d.o.model, err);
    if (!status)
        status = reload(p, m, a, err);
    if (!status)
        status = gate_record_output(g, run, "adapter/adapter_model.safetensors", err);
    if (!status)
        status = gate_record_output(g, run, "adapter/adapter_config.json", err);
    if (!status) {
        gate_put(g, g->figures, "parameters", json_integer((json_int_t)adapter_size(a)));
        gate_record_say(g, "adapter/ in PEFT's format, %zu parameters; read again, it is equal",
                        adapter_size(a));
    }
    adapter_close(a);
    if (m)
        model_close(m);
    str_free(&from);
    return status;
}

/* --- report --- */

/* spec->report is the room report's function, handed over by cli/cmd_run.c: this room does not see
 * that one. NULL: a caller that wants none. */
int stage_report(struct protocol *p, struct gate_record *g, struct err *err)
{
    struct str names = {0};
    const char *runs[PROTOCOL_MAX_SEEDS];
    if (!p->spec->report) {
        g->verdict = OUTCOME_SKIPPED;
        gate_record_say(g, "not asked for");
        return ERR_NONE;
    }
    for (int i = 0; i < p->n_seeds; i++)
        str_printf(&names, "%s/seed-%d%c", p->dir, p->seeds[i], 0);
    if (names.failed) {
        str_free(&names);
        return err_no_memory(err, "the report", names.capacity);
    }
    const char *at = str_text(&names);
    for (int i = 0; i < p->n_seeds; i++, at += strlen(at) + 1)
        runs[i] = at;
    int status = p->spec->report(p->spec->user, runs, p->n_seeds, p->dir, err);
    if (!status)
        status = gate_record_output(g, p->dir, "report.md", err);
    if (!status)
        status = gate_record_output(g, p->dir, "report.html", err);
    gate_record_say(g, "%d seeds: report.html, report.md", p->n_seeds);
    str_free(&names);
    return status;
}
