/* cmd_doctor.c: what machine, model and recipe will do, before anything is spent. It goes the
 * trainer's own way from the recipe to the first step (train/setup.h), tells what it found at each
 * turn, and does one small step to see how long a real one takes. */
#include <string.h>
#include "base/check.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "protocol/doctor.h"
#include "cli/lines.h"
#include "cli/recipe_args.h"

struct doctor_command {
    const char *out;
    struct arg_texts set;
    bool no_measure;
};

static int open_recipe(struct doctor *d, const struct common *common,
                       const struct doctor_command *c, struct err *err)
{
    const char *sets[ARGS_MAX_TEXTS + 1];
    size_t n = recipe_args_sets(sets, &command_doctor, common, &c->set);
    int status = train_recipe_load(&d->recipe, &d->o, common->positional[0], sets, n, false, err);
    return status ? status : recipe_args_device(&d->device, common, d->o.precision, err);
}

/* Up to here an error is the recipe's or a file's, and there is nothing to tell but it. */
static int open_all(struct doctor *d, struct err *err)
{
    struct setup_spec spec = {.o = &d->o,
                              .recipe = d->recipe,
                              .device = d->device,
                              .evaluates = true,
                              .keep_gates = true};
    return setup_open(&d->setup, &spec, err);
}

/* From here on what was found is told even when the way ends early. */
static int examine(struct doctor *d, const struct doctor_command *c, struct err *err)
{
    doctor_machine(d);
    int status = doctor_model(d, err);
    if (!status)
        status = doctor_tokens(d, err);
    if (!status)
        status = doctor_data(d, err);
    if (!status)
        status = doctor_rewards(d, err);
    if (!status)
        status = setup_plan(&d->setup, err);
    if (status)
        return status;
    doctor_plan(d);
    if (!c->no_measure) {
        status = measure_step(&d->measured, &d->setup, err);
        d->has_measured = !status;
    }
    if (status)
        return status;
    doctor_time(d);
    doctor_warnings(d);
    return ERR_NONE;
}

/* The lists come last for people: what was found first, then what to think of it. */
static void put_last(struct doctor *d, const char *key)
{
    json_t *value = json_incref(json_object_get(d->report, key));
    json_object_del(d->report, key);
    doctor_put(d, d->report, key, value);
}

static int print_report(struct doctor *d, bool json, int status, const struct err *why,
                        struct err *err)
{
    struct str text = {0};
    put_last(d, "warnings");
    put_last(d, "checks");
    doctor_put(d, d->report, "status", json_integer(status));
    if (status) {
        char line[1400];
        snprintf(line, sizeof line, "%s%s%s", why->where, why->where[0] ? ": " : "", why->message);
        doctor_put(d, d->report, "error", doctor_string(line));
    }
    if (json) {
        struct json_writer w;
        jw_begin(&w, &text);
        jw_value(&w, d->report);
        str_putc(&text, '\n');
    } else {
        doctor_render(&text, d->report);
    }
    int printed =
        d->failed ? err_no_memory(err, "the report", text.length) : print_text(&text, err);
    str_free(&text);
    return printed;
}

static int run_doctor(struct doctor *d, const struct common *common, const struct doctor_command *c,
                      struct err *err)
{
    struct err why = {0};
    int status = open_recipe(d, common, c, err);
    if (!status)
        status = open_all(d, err);
    if (status)
        return status;
    status = examine(d, c, &why);
    if (!status && d->said_no.code) {
        why = d->said_no;
        status = (int)why.code;
    }
    int printed = print_report(d, common->json, status, &why, err);
    if (!printed && status)
        *err = why;
    return printed ? printed : status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct doctor_command *c = options;
    int status = recipe_args_require(&command_doctor, common, false, NULL, err);
    if (status)
        return status;
    struct doctor *d = mem_calloc(1, sizeof *d);
    if (!d)
        return err_no_memory(err, "the doctor", sizeof *d);
    interrupt_catch();
    d->out = c->out;
    d->bos = -1;
    d->report = json_pack("{s:[],s:[]}", "checks", "warnings");
    status = d->report ? run_doctor(d, common, c, err) : err_no_memory(err, "the report", 0);
    reward_gate_close(&d->gate);
    setup_close(&d->setup);
    if (d->device)
        device_close(d->device);
    recipe_free(d->recipe);
    json_decref(d->report);
    mem_free(d);
    return status;
}

#define AT(field) offsetof(struct doctor_command, field)
static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, "runs", "DIR",
     "Where the run folder would go: whose free disk counts."},
    {"set", ARG_TEXTS, AT(set), 0, 0, NULL, NULL, "KEY=VALUE",
     "Another value for a recipe key, e.g. memory_gib=8; may be repeated."},
    {"no-measure", ARG_FLAG, AT(no_measure), 0, 0, NULL, NULL, NULL,
     "Do no step: no weights are read, and the report has no times."},
};

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what machine, model and recipe will do",
    .usage = "RECIPE",
    .details = "Tells machine, build, model, tokenizer, chat template with a rendered row, data, "
               "memory by part,\ndisk, epochs, and the time of a step, estimated from a small one "
               "that is done and thrown\naway. Status 1 when a check says no (a double "
               "beginning-of-text token, evaluation rows among the\ntraining rows, a reward that "
               "pays a bad completion as much as a good one), 4 when memory "
               "or disk do not suffice. --json: one object with these sections,\n\"checks\", "
               "\"warnings\" ({\"id\", \"text\"}) and \"status\". Keys of the recipe: `grpo train "
               "--help`.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct doctor_command),
    .max_positional = 1,
    .no_input = true,
    .run = run};
