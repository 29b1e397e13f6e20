/* cmd_pretrain.c: full-parameter training of a small model from scratch; the trainer does it
 * (train/pretrain.h), this file says what the words mean and prints the learning curve. */
#include <math.h>
#include <stdio.h>
#include "base/check.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/recipe_args.h"
#include "train/pretrain.h"
#include "train/pretrain_export.h"

struct pretrain_command {
    const char *out;
    struct arg_texts set, allow;
    bool resume;
};

static void put_number(struct json_writer *w, const char *key, double value)
{
    jw_key(w, key);
    jw_double(w, value); /* NaN: null */
}

static void result_json(struct str *text, const struct pretrain_command *c,
                        const struct pretrain_result *r, const struct curve *curve)
{
    struct json_writer w;
    jw_begin(&w, text);
    jw_object_begin(&w);
    jw_key(&w, "run");
    jw_text(&w, c->out);
    jw_key(&w, "steps");
    jw_int(&w, r->steps);
    jw_key(&w, "already_finished");
    jw_bool(&w, r->already_finished);
    jw_key(&w, "curve");
    jw_array_begin(&w);
    for (size_t i = 0; i < curve->count; i++) {
        jw_object_begin(&w);
        jw_key(&w, "step");
        jw_int(&w, curve->points[i].step);
        put_number(&w, "loss", curve->points[i].loss);
        put_number(&w, "eval_loss", curve->points[i].eval_loss);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    str_putc(text, '\n');
}

static int say_result(const struct common *common, const struct pretrain_command *c,
                      const struct pretrain_result *r, struct err *err)
{
    struct str text = {0};
    struct curve curve;
    int status = curve_read(&curve, c->out, err);
    if (status)
        return status;
    if (common->json) {
        result_json(&text, c, r, &curve);
    } else {
        curve_print(&text, &curve, 21);
        str_printf(&text,
                   r->already_finished ? "%s is finished: %d steps; nothing to do\n"
                                       : "%s: %d steps done",
                   c->out, r->steps);
        if (!r->already_finished)
            str_printf(&text, "; the model is %s/model\n", c->out);
    }
    status = print_text(&text, err);
    curve_free(&curve);
    str_free(&text);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct pretrain_command *c = options;
    struct pretrain_options o;
    struct option_table tables[PRETRAIN_OPTION_TABLES];
    pretrain_option_tables(&o, tables);
    int status = recipe_args_require(&command_pretrain, common, true, c->out, err);
    if (!status)
        status =
            recipe_args_allow(&command_pretrain, &c->allow, tables, PRETRAIN_OPTION_TABLES, err);
    if (status)
        return status;
    const char *sets[ARGS_MAX_TEXTS + 1];
    size_t n_sets = recipe_args_sets(sets, &command_pretrain, common, &c->set);
    recipe *r = NULL;
    struct device *device = NULL;
    struct pretrain_result result;
    status = pretrain_recipe_load(&r, &o, common->positional[0], sets, n_sets, err);
    if (!status)
        status = recipe_args_device(&device, common, o.precision, err);
    if (!status) {
        interrupt_catch();
        struct pretrain_spec spec = {.o = &o,
                                     .recipe = r,
                                     .run = c->out,
                                     .resume = c->resume,
                                     .allow = c->allow.items,
                                     .n_allow = (size_t)c->allow.count,
                                     .device = device};
        status = pretrain_run(&spec, &result, err);
    }
    if (!status)
        status = say_result(common, c, &result, err);
    if (device)
        device_close(device);
    recipe_free(r);
    return status;
}

static void recipe_help(struct str *out)
{
    struct pretrain_options ignored;
    struct option_table tables[PRETRAIN_OPTION_TABLES];
    pretrain_option_tables(&ignored, tables);
    recipe_args_help(out, tables, PRETRAIN_OPTION_TABLES);
}

#define AT(field) offsetof(struct pretrain_command, field)
static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "RUN", "The run folder; new, or with --resume."},
    {"set", ARG_TEXTS, AT(set), 0, 0, NULL, NULL, "KEY=VALUE",
     "Another value for a recipe key, e.g. seed=7; may be repeated."},
    {"resume", ARG_FLAG, AT(resume), 0, 0, NULL, NULL, NULL,
     "Go on from the newest checkpoint; start anew where there is none."},
    {"allow", ARG_TEXTS, AT(allow), 0, 0, NULL, NULL, "NAME",
     "A difference that --resume may pass over: a recipe key, or model, data, eval_data, build, "
     "isa; may be repeated."},
};

const struct command command_pretrain = {
    .name = "pretrain",
    .summary = "train all parameters of a small model from scratch",
    .usage = "RECIPE",
    .details = "Writes RUN/: run.json, metrics.jsonl, timing.jsonl, checkpoints/ and, at the end, "
               "model/ (a\nHugging Face folder). SIGINT and SIGTERM save and end with status 130.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct pretrain_command),
    .max_positional = 1,
    .no_input = true,
    .run = run,
    .more_help = recipe_help};
