/* cmd_audit.c: `grpo audit`: where the human scores come from (the terminal, a sheet, the simulated
 * rater), and the verdict for people or programs. protocol/audit_job.h does the rest. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "cli/audit_session.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/recipe_args.h"

struct audit_command {
    const char *out, *scores;
    struct arg_texts set;
    int per_task;
    bool simulate, restart;
};

static int import_scores(struct audit_job *j, const char *path, struct err *err)
{
    struct str text = {0};
    int status = file_read(&text, path, err);
    if (!status)
        status = audit_sheet_read(&j->audit, str_text(&text), text.length, path, true, err);
    if (!status)
        status = audit_job_save_scores(j, err);
    str_free(&text);
    return status;
}

/* ERR_GATE when somebody has yet to score some: there is no verdict then. */
static int ask_person(struct audit_job *j, struct err *err)
{
    int status = audit_session(j, err);
    size_t open = audit_count(&j->audit, AUDIT_OPEN);
    if (!status && open)
        status = err_set(err, ERR_GATE, j->spec.out,
                         "%zu of %zu completions have no score yet: the same command goes on, or "
                         "fill in the column human_score of %.200s/audit/scores.csv and name that "
                         "file by --scores",
                         open, j->audit.n, j->spec.out);
    return status;
}

static int collect(struct audit_job *j, const struct audit_command *c, struct err *err)
{
    if (c->simulate)
        return audit_job_simulate(j, err);
    return c->scores ? import_scores(j, c->scores, err) : ask_person(j, err);
}

static int report(struct audit_job *j, const struct audit_command *c, bool json, struct err *err)
{
    struct audit_result result;
    struct str text = {0};
    int status = audit_job_finish(j, c->simulate, &result, json ? &text : NULL, err);
    if (status) {
        str_free(&text);
        return status;
    }
    if (!json) {
        audit_plot_text(&text, &j->audit);
        str_putc(&text, '\n');
        audit_say(&text, &result);
        str_printf(&text, "all of it: %s/audit/audit.json, scatter.svg\n", c->out);
    }
    status = print_text(&text, err);
    if (!status && result.verdict != AUDIT_PASS)
        status =
            err_set(err, ERR_GATE, "audit",
                    "%sthe rewards do not agree with the %s scores as they must: %s > %.2f is "
                    "expected, rho is %.2f, 95%% [%.2f, %.2f], %zu of %zu completions (%s)",
                    c->simulate ? "simulated: " : "", c->simulate ? "simulated" : "human",
                    j->gate.on_lower_bound ? "the interval's lower end" : "rho", j->gate.min_rho,
                    result.correlation.rho, result.correlation.ci.low, result.correlation.ci.high,
                    result.n, result.rows, audit_verdict_names[result.verdict]);
    audit_result_free(&result);
    str_free(&text);
    return status;
}

static int audit(const struct common *common, const struct audit_command *c,
                 const struct audit_job_spec *spec, struct err *err)
{
    struct audit_job job;
    int status = audit_job_open(&job, spec, err);
    if (!status)
        status = audit_job_completions(&job, err);
    if (!status)
        status = audit_job_score(&job, err);
    if (!status)
        status = collect(&job, c, err);
    if (!status)
        status = report(&job, c, common->json, err);
    audit_job_close(&job);
    return status;
}

static int run_in(const struct common *common, const struct audit_command *c, struct err *err)
{
    struct train_options o;
    struct device *device = NULL;
    recipe *r = NULL;
    const char *sets[ARGS_MAX_TEXTS + 1];
    int status = ERR_NONE;
    if (c->simulate && c->scores)
        status = err_set(err, ERR_USAGE, "--simulate", "and --scores are both given; remove one");
    if (status)
        return status;
    size_t n_sets = recipe_args_sets(sets, &command_audit, common, &c->set);
    interrupt_catch();
    status = train_recipe_load(&r, &o, common->positional[0], sets, n_sets, false, err);
    if (!status)
        status = recipe_args_device(&device, common, o.precision, err);
    if (!status) {
        struct audit_job_spec spec = {.o = &o,
                                      .recipe = r,
                                      .device = device,
                                      .out = c->out,
                                      .per_task = c->per_task,
                                      .restart = c->restart};
        status = audit(common, c, &spec, err);
    }
    if (device)
        device_close(device);
    recipe_free(r);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct audit_command c = *(const struct audit_command *)options;
    struct str out = {0};
    int status = recipe_args_out(&out, &command_audit, common, c.out, err);
    c.out = str_text(&out);
    if (!status)
        status = run_in(common, &c, err);
    str_free(&out);
    return status;
}

#define AT(field) offsetof(struct audit_command, field)
static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "DIR",
     "The audit is in DIR/audit; absent: runs/NAME of NAME.yaml."},
    {"set", ARG_TEXTS, AT(set), 0, 0, NULL, NULL, "KEY=VALUE",
     "Another value for a recipe key; may be repeated."},
    {"n-per-task", ARG_INT, AT(per_task), 1, 1000, NULL, "5", "N", "Completions of each task."},
    {"scores", ARG_TEXT, AT(scores), 0, 0, NULL, NULL, "FILE",
     "Take the human scores from a sheet (DIR/audit/scores.csv, filled in) instead of asking."},
    {"simulate", ARG_FLAG, AT(simulate), 0, 0, NULL, NULL, NULL,
     "Rows of the synthetic shop only: let a program that knows their truth score them. The "
     "verdict says so."},
    {"restart", ARG_FLAG, AT(restart), 0, 0, NULL, NULL, NULL,
     "Sample anew, and throw away the scores in DIR/audit."},
};

const struct command command_audit = {
    .name = "audit",
    .summary = "do the recipe's rewards rank completions as a person does? Spearman's rho, gate",
    .usage = "RECIPE",
    .details =
        "Samples completions of training rows (temperature 0.1, never rows of eval_data or "
        "test_data), asks for\nhuman scores from 0 to 10, and compares them with the rewards: "
        "rho > audit_min_rho, else exit 1.\nDIR/audit/: completions.jsonl, scores.csv, audit.json, "
        "scatter.svg. A second call goes on where the\nfirst one stopped; after a reward was "
        "changed, the same scores are compared with the new one.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct audit_command),
    .max_positional = 1,
    .no_input = true,
    .run = run};
