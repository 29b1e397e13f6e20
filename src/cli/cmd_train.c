/* cmd_train.c: one seed's training; the trainer does it, this file says what the words mean and
 * hands it the evaluation of protocol/. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/recipe_args.h"
#include "protocol/evaluation.h"
#include "train/trainer.h"

struct train_command {
    const char *out, *replay;
    struct arg_texts set, allow;
    bool resume;
};

/* --- the command --- */

static int say_result(const struct common *common, const struct train_command *c,
                      const struct train_options *o, const struct trainer_result *r,
                      struct err *err)
{
    struct str text = {0};
    if (common->json) {
        struct json_writer w;
        jw_begin(&w, &text);
        jw_object_begin(&w);
        jw_key(&w, "run");
        jw_text(&w, c->out);
        jw_key(&w, "steps");
        jw_int(&w, r->steps);
        jw_key(&w, "already_finished");
        jw_bool(&w, r->already_finished);
        jw_key(&w, "stopped_early");
        jw_bool(&w, r->stopped_early);
        jw_key(&w, "best_step");
        r->has_best ? jw_int(&w, r->best_step) : jw_null(&w);
        jw_key(&w, "best");
        r->has_best ? jw_double(&w, r->best) : jw_null(&w);
        jw_object_end(&w);
        str_putc(&text, '\n');
    } else if (r->already_finished) {
        str_printf(&text, "%s is finished: %d steps%s; nothing to do\n", c->out, r->steps,
                   r->stopped_early ? ", then stopped early" : "");
    } else {
        str_printf(&text, "%d steps done%s; the last adapter is %s/checkpoints/step-%d\n", r->steps,
                   r->stopped_early ? ", stopped early" : "", c->out, r->steps);
        if (r->has_best)
            str_printf(&text, "best %s: %.4f at step %d, %s/best_checkpoint%s\n",
                       o->metric_for_best_model, r->best, r->best_step, c->out,
                       r->best_is_there ? "" : " (gone)");
    }
    int status = print_text(&text, err);
    str_free(&text);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct train_command *c = options;
    struct train_options o;
    struct option_table tables[TRAIN_OPTION_TABLES];
    train_option_tables(&o, tables);
    int status = recipe_args_require(&command_train, common, true, c->out, err);
    if (!status)
        status = recipe_args_allow(&command_train, &c->allow, tables, TRAIN_OPTION_TABLES, err);
    if (status)
        return status;
    const char *sets[ARGS_MAX_TEXTS + 1];
    size_t n_sets = recipe_args_sets(sets, &command_train, common, &c->set);
    recipe *r = NULL;
    struct device *device = NULL;
    struct trainer_result result;
    status = train_recipe_load(&r, &o, common->positional[0], sets, n_sets, c->replay != NULL, err);
    if (!status)
        status = recipe_args_device(&device, common, o.precision, err);
    if (!status) {
        interrupt_catch();
        struct trainer_spec spec = {.o = &o,
                                    .recipe = r,
                                    .run = c->out,
                                    .replay = c->replay,
                                    .resume = c->resume,
                                    .allow = c->allow.items,
                                    .n_allow = (size_t)c->allow.count,
                                    .device = device,
                                    .evaluate = protocol_evaluate};
        status = trainer_run(&spec, &result, err);
    }
    if (!status)
        status = say_result(common, c, &o, &result, err);
    if (device)
        device_close(device);
    recipe_free(r);
    return status;
}

static void recipe_help(struct str *out)
{
    struct train_options ignored;
    struct option_table tables[TRAIN_OPTION_TABLES];
    train_option_tables(&ignored, tables);
    recipe_args_help(out, tables, TRAIN_OPTION_TABLES);
}

#define AT(field) offsetof(struct train_command, field)
static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "RUN", "The run folder; new, or with --resume."},
    {"set", ARG_TEXTS, AT(set), 0, 0, NULL, NULL, "KEY=VALUE",
     "Another value for a recipe key, e.g. seed=7 or lora.r=8; may be repeated."},
    {"resume", ARG_FLAG, AT(resume), 0, 0, NULL, NULL, NULL,
     "Go on from the newest checkpoint; start anew where there is none."},
    {"allow", ARG_TEXTS, AT(allow), 0, 0, NULL, NULL, "NAME",
     "A difference that --resume may pass over: a recipe key, or model, data, eval_data, "
     "init_adapter, ref_adapter, reward_files, replay, build, isa; may be repeated."},
    {"replay", ARG_TEXT, AT(replay), 0, 0, NULL, NULL, "FILE",
     "Take completions and rewards from a samples.jsonl instead of sampling."},
};

const struct command command_train = {.name = "train",
                                      .summary = "train a LoRA adapter with GRPO, one seed",
                                      .usage = "RECIPE",
                                      .details =
                                          "Writes RUN/: run.json, metrics.jsonl, timing.jsonl, "
                                          "samples.jsonl, eval/, checkpoints/ and\n"
                                          "best_checkpoint/ (a PEFT adapter folder). SIGINT and "
                                          "SIGTERM save and end with status 130.",
                                      .args = args,
                                      .n_args = ARRAY_LENGTH(args),
                                      .options_size = sizeof(struct train_command),
                                      .max_positional = 1,
                                      .no_input = true,
                                      .run = run,
                                      .more_help = recipe_help};
