/* pretrain.c: opens what a recipe names, plans, and runs steps until the last; see pretrain.h.
 *
 * Order within a step, as in trainer.c: update, held-out loss if due, metrics, and (if due) sync
 * the logs and write a checkpoint that holds their lengths. After the last step the model's folder
 * comes before the checkpoint: where the checkpoint of the last step is, the model is. */
#include "train/pretrain.h"
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
#include "train/checkpoint.h"
#include "train/pretrain_export.h"
#include "train/pretrain_plan.h"
#include "train/pretrain_step.h"
#include "train/run_folder.h"

struct pretrainer {
    const struct pretrain_spec *spec;
    const struct pretrain_options *o;
    struct hf_config config;
    struct text_codec codec;
    struct corpus data, eval_data;
    bool has_eval;
    struct pretrain_plan plan;
    struct pretrain work;
    struct track track;
    struct identity identity;
    struct train_state state;
    int saved_step; /* of the newest checkpoint that is up to date; −1: none */
    struct progress progress;
    double rate;     /* tokens a second, a running mean for people */
    bool unfinished; /* the step's held-out loss and its line of metrics are still to come */
    int lock;        /* file descriptor; −1: none */
};

/* --- opening --- */

static int open_config(struct pretrainer *t, struct err *err)
{
    const char *config = t->o->config;
    if (dir_exists(config))
        return hf_config_open(&t->config, config, NULL, 0, err);
    struct str text = {0};
    int status = file_read(&text, config, err);
    if (!status)
        status = hf_config_parse(&t->config, str_text(&text), text.length, config, err);
    str_free(&text);
    return status;
}

static int open_corpora(struct pretrainer *t, struct err *err)
{
    const struct pretrain_options *o = t->o;
    struct corpus_rules rules = {.codec = &t->codec,
                                 .folder = o->tokenizer,
                                 .vocab_size = t->config.vocab_size,
                                 .max_length = o->packing ? 0 : o->max_length,
                                 .truncate = o->truncation_mode == TRUNCATION_KEEP_START,
                                 .completion_only = o->completion_only_loss};
    int status = corpus_open(&t->data, o->data, &rules, err);
    if (!status && o->eval_data) {
        status = corpus_open(&t->eval_data, o->eval_data, &rules, err);
        t->has_eval = !status;
    }
    return status || !t->has_eval ? status : corpus_disjoint(&t->data, &t->eval_data, err);
}

static int open_texts(struct pretrainer *t, struct err *err)
{
    int status = open_config(t, err);
    if (!status)
        status = text_codec_open(&t->codec, t->o->tokenizer,
                                 &(struct chat_options){.template = t->o->chat_template},
                                 &t->config, err);
    if (!status && tokenizer_vocab_size(t->codec.tokenizer) > t->config.vocab_size)
        status = err_set(err, ERR_INPUT, t->o->config,
                         "vocab_size is %d, the tokenizer of %.200s has %d tokens: raise it",
                         t->config.vocab_size, t->o->tokenizer,
                         tokenizer_vocab_size(t->codec.tokenizer));
    return status ? status : open_corpora(t, err);
}

static int make_plan(struct pretrainer *t, struct err *err)
{
    struct corpus_dealer *dealer = &t->work.dealer;
    int status = corpus_dealer_create(dealer, &t->data, t->o->packing ? t->o->max_length : 0,
                                      (uint64_t)t->o->seed, err);
    if (status)
        return status;
    struct pretrain_plan_input in = {.d = t->spec->device,
                                     .config = &t->config,
                                     .o = t->o,
                                     .dealer = dealer,
                                     .program_bytes = plan_resident_bytes(),
                                     .eval_data = t->has_eval ? &t->eval_data : NULL};
    status = pretrain_plan_make(&t->plan, &in, err);
    if (!status) {
        struct str text = {0};
        pretrain_plan_print(&text, &t->plan, &in);
        log_info("%s", str_text(&text));
        str_free(&text);
    }
    return status;
}

static int open_engine(struct pretrainer *t, struct err *err)
{
    struct pretrain_size size = {.max_context = t->plan.max_context, .max_rows = t->plan.max_rows};
    t->work.max_steps = t->plan.max_steps;
    t->work.warmup_steps = t->plan.warmup_steps;
    t->work.stop = interrupt_requested;
    return pretrain_open(&t->work, t->spec->device, &t->config, &size, err);
}

static int make_identity(struct pretrainer *t, struct err *err)
{
    struct identity *id = &t->identity;
    struct str config = {0};
    int status = pretrain_config_path(&config, t->o->config, err);
    if (!status)
        status = identity_architecture(id->part[IDENTITY_MODEL], str_text(&config), t->o->tokenizer,
                                       t->o->init_model, err);
    str_free(&config);
    if (!status)
        status = identity_build(id->part[IDENTITY_BUILD], err);
    snprintf(id->part[IDENTITY_DATA], sizeof id->part[0], "%s", t->data.sha256);
    if (t->has_eval)
        snprintf(id->part[IDENTITY_EVAL_DATA], sizeof id->part[0], "%s", t->eval_data.sha256);
    snprintf(id->part[IDENTITY_ISA], sizeof id->part[0], "%s", t->spec->device->isa);
    recipe_resolved(t->spec->recipe, &id->recipe);
    if (!status && id->recipe.failed)
        status = err_no_memory(err, "the resolved recipe", id->recipe.capacity);
    return status;
}

static int write_run_json(const struct pretrainer *t, struct err *err)
{
    const struct run_about about = {.device = t->spec->device,
                                    .recipe = t->spec->recipe,
                                    .identity = &t->identity,
                                    .allowed = &t->state.allowed,
                                    .seed = t->o->seed,
                                    .max_steps = t->plan.max_steps,
                                    .parts = t->plan.parts,
                                    .n_parts = t->plan.n_parts,
                                    .micro_batch = t->plan.micro_batch};
    return run_folder_about(t->spec->run, &about, err);
}

/* --- a step's ends --- */

static int save(struct pretrainer *t, struct err *err)
{
    if (t->saved_step == t->state.step)
        return ERR_NONE;
    int status = track_sync(&t->track, err);
    t->state.logs = track_offsets(&t->track);
    t->state.pending = t->unfinished ? &t->work.metrics : NULL;
    struct trainable params = trainable_full(t->work.f);
    if (!status)
        status = checkpoint_save(t->spec->run, &t->state, &t->identity, &params, &t->work.optimizer,
                                 t->o->save_total_limit, NULL, err);
    if (!status)
        t->saved_step = t->state.step;
    return status;
}

static int evaluate(struct pretrainer *t, struct err *err)
{
    double loss;
    int status = pretrain_eval_loss(&t->work, &t->eval_data, &loss, err);
    if (!status) {
        metrics_add(&t->work.metrics, loss, "eval_loss");
        log_info("step %d: eval loss %.4f", t->state.step, loss);
    }
    return status;
}

static bool eval_due(const struct pretrainer *t)
{
    int step = t->state.step, every = t->o->eval_steps;
    return t->has_eval && ((every && step % every == 0) || step == t->plan.max_steps);
}

static int write_metrics(struct pretrainer *t, struct err *err)
{
    const struct metrics *m = &t->work.metrics;
    return track_metrics(&t->track, t->state.step, m->list, (size_t)m->n, err);
}

static int write_timing(struct pretrainer *t, double seconds, double eval_seconds, struct err *err)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    struct metric list[] = {{"step_time", seconds},
                            {"gradient_time", t->work.times.gradient},
                            {"update_time", t->work.times.update},
                            {"eval_time", eval_seconds},
                            {"tokens_per_second", (double)t->work.rows / seconds},
                            {"peak_resident_mib", (double)usage.ru_maxrss / 1024}};
    return track_timing(&t->track, t->state.step, list, ARRAY_LENGTH(list), err);
}

static void show_step(struct pretrainer *t, double seconds)
{
    const struct metrics *m = &t->work.metrics;
    char detail[160];
    double now = (double)t->work.rows / seconds;
    if (now > 0) /* NaN after a resume in the middle of a step */
        t->rate = t->rate > 0 ? 0.9 * t->rate + 0.1 * now : now;
    snprintf(detail, sizeof detail, "loss %.4f  grad %.3g  lr %.2g  %.0f tokens/s",
             metrics_get(m, "loss"), metrics_get(m, "grad_norm"), metrics_get(m, "learning_rate"),
             t->rate);
    progress_step(&t->progress, t->state.step, detail);
    if (t->o->logging_steps && t->state.step % t->o->logging_steps == 0)
        log_info("step %d: %s", t->state.step, detail);
}

/* What follows the update. A signal during the evaluation leaves the step unfinished: a checkpoint
 * says so, and a resume comes back here. */
static int finish_step(struct pretrainer *t, double seconds, struct err *err)
{
    double started = clock_seconds();
    bool last = t->state.step == t->plan.max_steps;
    int status = eval_due(t) ? evaluate(t, err) : ERR_NONE;
    if (!status)
        status = write_metrics(t, err);
    if (!status)
        status = write_timing(t, seconds, clock_seconds() - started, err);
    if (status)
        return status;
    t->unfinished = false;
    show_step(t, seconds);
    if (last)
        status = pretrain_export(t->spec->run, t->o, t->work.f, &t->codec, err);
    if (!status && (last || t->state.step % t->o->save_steps == 0))
        status = save(t, err);
    return status;
}

static int one_step(struct pretrainer *t, struct err *err)
{
    double started = clock_seconds();
    int status = pretrain_step(&t->work, t->state.step + 1, err);
    if (status)
        return status;
    t->state.step++;
    t->state.num_tokens = t->work.num_tokens;
    t->unfinished = true;
    return finish_step(t, clock_seconds() - started, err);
}

/* --- the run --- */

static int start_fresh(struct pretrainer *t, struct err *err)
{
    int status = run_folder_unused(t->spec->run, t->spec->resume, err);
    if (!status)
        status = track_open(&t->track, t->spec->run, NULL, err);
    if (!status)
        status = write_run_json(t, err);
    if (!status && t->has_eval) {
        metrics_clear(&t->work.metrics);
        status = evaluate(t, err);
        if (!status)
            status = write_metrics(t, err);
    }
    if (status == ERR_INTERRUPTED)
        status =
            err_set(err, ERR_INTERRUPTED, t->spec->run,
                    "interrupted before the first step: nothing to save, --resume starts anew");
    return status;
}

static int continue_run(struct pretrainer *t, int step, bool *finished, struct err *err)
{
    struct checkpoint_check check = {.id = &t->identity,
                                     .allow = t->spec->allow,
                                     .n_allow = t->spec->n_allow,
                                     .pending = &t->work.metrics};
    struct trainable params = trainable_full(t->work.f);
    int status =
        checkpoint_load(t->spec->run, step, &t->state, &check, &params, &t->work.optimizer, err);
    if (status)
        return status;
    t->unfinished = t->state.pending != NULL;
    t->saved_step = t->unfinished ? -1 : step;
    *finished = t->state.step >= t->plan.max_steps && !t->unfinished;
    if (*finished)
        return ERR_NONE;
    t->work.num_tokens = t->state.num_tokens;
    log_info("resuming after step %d", step);
    status = track_open(&t->track, t->spec->run, &t->state.logs, err);
    if (!status && t->state.allowed.length)
        status = write_run_json(t, err);
    return status;
}

static int run_steps(struct pretrainer *t, struct err *err)
{
    progress_begin(&t->progress, "pretrain", t->plan.max_steps);
    int status = t->unfinished ? finish_step(t, NAN, err) : ERR_NONE;
    while (!status && t->state.step < t->plan.max_steps) {
        status = one_step(t, err);
        if (!status && t->state.step < t->plan.max_steps && interrupt_requested())
            status = err_set(err, ERR_INTERRUPTED, t->spec->run, "interrupted");
    }
    progress_end(&t->progress);
    if (status != ERR_INTERRUPTED)
        return status;
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

static int prepare(struct pretrainer *t, struct err *err)
{
    const struct pretrain_spec *spec = t->spec;
    int status = run_folder_check(spec->run, spec->resume, err);
    if (status)
        return status;
    status = open_texts(t, err);
    if (!status)
        status = make_plan(t, err);
    if (!status)
        status = make_identity(t, err);
    if (!status)
        status = open_engine(t, err);
    if (!status)
        status = run_folder_make(spec->run, false, err);
    if (!status)
        status = run_folder_lock(&t->lock, spec->run, err);
    return status || !spec->resume ? status : run_folder_clean(spec->run, err);
}

static void close_all(struct pretrainer *t)
{
    track_close(&t->track);
    pretrain_close(&t->work);
    corpus_close(&t->data);
    corpus_close(&t->eval_data);
    text_codec_close(&t->codec);
    identity_free(&t->identity);
    str_free(&t->state.allowed);
    if (t->lock >= 0)
        close(t->lock);
    mem_free(t);
}

int pretrain_run(const struct pretrain_spec *spec, struct pretrain_result *result, struct err *err)
{
    *result = (struct pretrain_result){0};
    struct pretrainer *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_no_memory(err, "the trainer", sizeof *t);
    t->spec = spec;
    t->o = t->work.o = spec->o;
    t->lock = -1;
    t->saved_step = -1;
    int latest = -1;
    bool finished = false;
    int status = prepare(t, err);
    if (!status && spec->resume)
        status = checkpoint_latest(spec->run, &latest, err);
    if (!status)
        status = latest >= 0 ? continue_run(t, latest, &finished, err) : start_fresh(t, err);
    if (!status && !finished)
        status = run_steps(t, err);
    *result = (struct pretrain_result){.steps = t->state.step, .already_finished = finished};
    close_all(t);
    return status;
}
