/* cmd_report.c: what came of a recipe, from run folders; report/ does it. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "report/report.h"

struct report_options {
    const char *out, *baseline_eval;
    bool compare;
};

/* The folder that holds this one: "runs/a/" is in "runs", "a" in ".". */
static void put_parent(struct str *out, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    str_clear(out);
    str_append(out, n ? path : ".", n ? n : 1);
}

/* One run: its own folder. Several: the one they all lie in. */
static int choose_folder(struct str *out, const struct common *common, const char *given,
                         struct err *err)
{
    struct str other = {0};
    int status = ERR_NONE;
    if (given)
        str_puts(out, given);
    else if (common->n_positional == 1)
        str_puts(out, common->positional[0]);
    else
        put_parent(out, common->positional[0]);
    for (int i = 1; !given && i < common->n_positional && !status; i++) {
        put_parent(&other, common->positional[i]);
        if (strcmp(str_text(out), str_text(&other)) != 0)
            status = err_set(err, ERR_USAGE, "--out",
                             "the runs lie in different folders (%.200s, %.200s): say where the "
                             "report goes with --out DIR",
                             str_text(out), str_text(&other));
    }
    if (!status && (out->failed || other.failed))
        status = err_no_memory(err, "the folder", out->length);
    str_free(&other);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct report_options *o = options;
    struct report_request q = {.runs = common->positional,
                               .n_runs = common->n_positional,
                               .compare = o->compare,
                               .baseline_eval = o->baseline_eval};
    struct str folder = {0}, text = {0};
    struct report_texts texts = {.json = common->json ? &text : NULL,
                                 .summary = common->json ? NULL : &text};
    bool files = !common->json || o->out;
    int status = ERR_NONE;
    if (!q.n_runs)
        return err_set(err, ERR_USAGE, "", "which run folders? `grpo report RUN...`");
    if (files)
        status = choose_folder(&folder, common, o->out, err);
    if (!status)
        status = files ? report_files(&q, str_text(&folder), &texts, err)
                       : report_write(&q, &texts, err);
    if (!common->json)
        str_printf(&text, "\nreport  %s/report.html\n        %s/report.md\n", str_text(&folder),
                   str_text(&folder));
    if (!status && (common->json || !common->quiet))
        status = print_text(&text, err);
    str_free(&folder);
    str_free(&text);
    return status;
}

#define AT(field) offsetof(struct report_options, field)

static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "DIR",
     "Where report.md and report.html go; absent: the run folder, or the one that holds the runs "
     "(with --json: they are not written)."},
    {"compare", ARG_FLAG, AT(compare), 0, 0, NULL, NULL, NULL,
     "The second of two folders against the first, row by row and seed by seed; needed only for "
     "two "
     "seeds of one recipe, as others are compared unasked."},
    {"baseline-eval", ARG_TEXT, AT(baseline_eval), 0, 0, NULL, NULL, "FILE",
     "An evaluation (`grpo eval --out`) of the same rows that stands for \"before\" in place of "
     "the run's own."},
};

const struct command command_report = {
    .name = "report",
    .summary = "results table, verdicts and curves of run folders, as Markdown and HTML",
    .usage = "RUN...",
    .details =
        "RUNs are run folders of `grpo train`, the seeds of one recipe, or an experiment folder "
        "of\n"
        "`grpo run`, which holds them. Two experiments of the same seeds, or two runs that are no\n"
        "two seeds of one recipe, are compared, paired by row and seed. Reads run.json, "
        "metrics.jsonl, timing.jsonl, eval/, gates/, and where they are\n"
        "test-before.json and test-after.json (the untouched model and the best adapter on rows\n"
        "used for nothing else). With --json one object: \"headline\", \"test\", \"eval\" (tables "
        "with\n"
        "every interval), \"questions\", \"attribution\", \"runs\" (with gates), \"warnings\".",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct report_options),
    .max_positional = ARGS_MAX_POSITIONAL,
    .no_input = true,
    .run = run};
