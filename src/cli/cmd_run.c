/* cmd_run.c: the whole protocol; protocol/ does it, this file says what the words mean and prints a
 * line a stage. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/recipe_args.h"
#include "protocol/protocol.h"
#include "report/report.h"
#include "train/options.h"

struct run_command {
    const char *out, *seeds, *from, *to, *force, *array, *smoke_replay;
    struct arg_texts set, allow;
    int jobs;
    bool skip_audit;
};

/* --- the words --- */

/* "42,123,456" */
static int read_seeds(int *out, int *n, const char *text, struct err *err)
{
    *n = 0;
    for (const char *at = text; text; at++) {
        char *end;
        long value = strtol(at, &end, 10);
        if (end == at || *at < '0' || *at > '9' || value > INT_MAX || (*end && *end != ','))
            return err_set(err, ERR_USAGE, "--seeds",
                           "\"%.80s\" is no list of numbers from 0 to %d, such as 42,123,456", text,
                           INT_MAX);
        if (*n == PROTOCOL_MAX_SEEDS)
            return err_set(err, ERR_USAGE, "--seeds", "has more than %d seeds", PROTOCOL_MAX_SEEDS);
        out[(*n)++] = (int)value;
        at = end;
        if (!*end)
            break;
    }
    return ERR_NONE;
}

static int read_stages(struct protocol_spec *spec, const struct run_command *c, struct err *err)
{
    spec->from = c->from ? stage_by_name(c->from, "--from", err) : STAGE_ENV;
    if (spec->from < 0)
        return ERR_USAGE;
    spec->to = c->to ? stage_by_name(c->to, "--to", err) : STAGE_REPORT;
    if (spec->to < 0)
        return ERR_USAGE;
    spec->force = !c->force                      ? -1
                  : strcmp(c->force, "all") == 0 ? N_STAGES
                                                 : stage_by_name(c->force, "--force", err);
    if (c->force && spec->force < 0)
        return ERR_USAGE;
    if (spec->from > spec->to)
        return err_set(err, ERR_USAGE, "--from", "%s comes after --to %s", c->from,
                       stage_name((enum stage)spec->to));
    return ERR_NONE;
}

enum { MOST_WORDS = 2 * ARGS_MAX_TEXTS * 2 + 40 };

struct words {
    const char *of[MOST_WORDS];
    size_t n;
};

static void put(struct words *w, const char *name, const char *value)
{
    CHECK(w->n + 2 <= MOST_WORDS);
    w->of[w->n++] = name;
    if (value)
        w->of[w->n++] = value;
}

/* What a process that does one seed is told again. A stage that is forced and shared is not. */
static void make_words(struct words *w, const struct common *common, const struct run_command *c,
                       const struct protocol_spec *spec)
{
    put(w, "grpo", NULL);
    put(w, "run", common->positional[0]);
    put(w, "--out", c->out);
    for (int i = 0; i < c->set.count; i++)
        put(w, "--set", c->set.items[i]);
    for (int i = 0; i < c->allow.count; i++)
        put(w, "--allow", c->allow.items[i]);
    if (args_given(&command_run, common, "precision"))
        put(w, "--precision", common->precision == PRECISION_F32 ? "f32" : "bf16");
    if (common->isa)
        put(w, "--isa", common->isa);
    if (common->device)
        put(w, "--device", common->device);
    if (c->smoke_replay)
        put(w, "--smoke-replay", c->smoke_replay);
    if (c->force && (spec->force == N_STAGES || stage_of_seed((enum stage)spec->force)))
        put(w, "--force", c->force);
    if (c->skip_audit)
        put(w, "--skip-audit", NULL);
    if (common->json)
        put(w, "--json", NULL);
    if (common->quiet)
        put(w, "--quiet", NULL);
}

/* --- a line a stage --- */

static void line_json(struct str *out, const struct stage_line *line)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "stage");
    jw_text(&w, line->stage);
    jw_key(&w, "seed");
    line->has_seed ? jw_int(&w, line->seed) : jw_null(&w);
    jw_key(&w, "verdict");
    jw_text(&w, line->verdict);
    jw_key(&w, "unchanged");
    jw_bool(&w, line->unchanged);
    jw_key(&w, "text");
    jw_text(&w, line->text);
    jw_key(&w, "seconds");
    jw_double(&w, line->seconds);
    jw_object_end(&w);
    str_putc(out, '\n');
}

static void line_text(struct str *out, const struct stage_line *line)
{
    struct str shown = {0};
    char seed[24] = "";
    log_printable(&shown, line->text, strlen(line->text), 0);
    if (line->has_seed)
        snprintf(seed, sizeof seed, "seed %d: ", line->seed);
    str_printf(out, "%-8s  %-7s  %s%s", line->stage, line->verdict, seed, str_text(&shown));
    if (!line->unchanged)
        str_printf(out, "  (%.1f s)", line->seconds);
    str_putc(out, '\n');
    str_free(&shown);
}

struct teller {
    const struct common *common;
    struct str summary; /* of the report, when this command has made it */
};

/* A line is one write: those of several seeds do not mix. */
static void say(void *user, const struct stage_line *line)
{
    const struct common *common = ((const struct teller *)user)->common;
    struct str text = {0};
    common->json ? line_json(&text, line) : line_text(&text, line);
    print_text(&text, NULL); /* a reader that has gone stops no training */
    str_free(&text);
}

static int make_report(void *user, const char *const *runs, int n, const char *out, struct err *err)
{
    struct teller *t = user;
    str_clear(&t->summary);
    return report_files(&(struct report_request){.runs = runs, .n_runs = n}, out,
                        &(struct report_texts){.summary = &t->summary}, err);
}

/* What came of it: the report's headline and tables, or that nothing was left to do. */
static int say_end(struct teller *t, const struct run_command *c,
                   const struct protocol_result *result, struct err *err)
{
    struct str text = {0}, path = {0};
    if (t->common->json || (result->ran && !t->summary.length))
        return ERR_NONE;
    path_join(&path, c->out, "report.html");
    if (t->summary.length)
        str_printf(&text, "\n%s\nreport  %s\n        %s/report.md\n", str_text(&t->summary),
                   str_text(&path), c->out);
    else
        str_printf(&text, "nothing to do: all %d stages are unchanged%s%s\n", result->unchanged,
                   file_exists(str_text(&path)) ? "; the report is " : "",
                   file_exists(str_text(&path)) ? str_text(&path) : "");
    int status = path.failed ? err_no_memory(err, c->out, path.capacity) : print_text(&text, err);
    str_free(&path);
    str_free(&text);
    return status;
}

/* --- the command --- */

static int write_script(const struct common *common, const struct run_command *c,
                        const struct protocol_spec *spec, struct err *err)
{
    char program[PATH_MAX];
    struct str text = {0};
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    int status = protocol_slurm(&text, spec, n > 0 ? program : "grpo", err);
    if (!status)
        status = file_write_atomic(c->array, str_text(&text), text.length, err);
    str_clear(&text);
    str_printf(&text,
               "%s: submit with `sbatch`; when all tasks are done, this command without "
               "--array makes the report\n",
               c->array);
    if (!status && !common->json)
        status = print_text(&text, err);
    str_free(&text);
    return status;
}

static int run_in(const struct common *common, const struct run_command *c, struct err *err)
{
    struct train_options ignored;
    struct option_table tables[TRAIN_OPTION_TABLES];
    train_option_tables(&ignored, tables);
    int status = recipe_args_allow(&command_run, &c->allow, tables, TRAIN_OPTION_TABLES, err);
    int seeds[PROTOCOL_MAX_SEEDS], n_seeds = 0;
    const char *sets[ARGS_MAX_TEXTS + 1];
    struct words words = {.n = 0};
    struct teller teller = {.common = common};
    struct protocol_spec spec = {
        .dir = c->out,
        .sets = sets,
        .n_sets = recipe_args_sets(sets, &command_run, common, &c->set),
        .device = {.device = common->device, .isa = common->isa, .threads = common->threads},
        .jobs = c->jobs,
        .skip_audit = c->skip_audit,
        .smoke_replay = c->smoke_replay,
        .allow = c->allow.items,
        .n_allow = (size_t)c->allow.count,
        .quiet = common->quiet,
        .report = make_report,
        .say = say,
        .user = &teller};
    if (!status)
        status = read_seeds(seeds, &n_seeds, c->seeds, err);
    if (!status)
        status = read_stages(&spec, c, err);
    if (status)
        return status;
    make_words(&words, common, c, &spec);
    spec.recipe = common->positional[0];
    spec.seeds = n_seeds ? seeds : NULL;
    spec.n_seeds = n_seeds;
    spec.words = words.of;
    spec.n_words = words.n;
    if (c->array)
        return write_script(common, c, &spec, err);
    struct protocol_result result;
    interrupt_catch();
    status = protocol_run(&spec, &result, err);
    if (!status)
        status = say_end(&teller, c, &result, err);
    str_free(&teller.summary);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct run_command c = *(const struct run_command *)options;
    struct str out = {0};
    int status = recipe_args_out(&out, &command_run, common, c.out, err);
    c.out = str_text(&out);
    if (!status)
        status = run_in(common, &c, err);
    str_free(&out);
    return status;
}

static void stages_help(struct str *out)
{
    str_puts(out, "\nStages (those with * once a seed)\n");
    for (int s = 0; s < N_STAGES; s++)
        str_printf(out, "  %-9s%c %s\n", stage_name((enum stage)s),
                   stage_of_seed((enum stage)s) ? '*' : ' ', stage_purpose((enum stage)s));
}

#define AT(field) offsetof(struct run_command, field)
static const struct arg args[] = {
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "DIR",
     "The experiment's folder: gates/ of the shared stages, and a run folder seed-N a seed; "
     "absent: "
     "runs/NAME of NAME.yaml."},
    {"seeds", ARG_TEXT, AT(seeds), 0, 0, NULL, NULL, "N,N,...",
     "Seeds instead of the recipe's `seeds` (or `seed`)."},
    {"jobs", ARG_INT, AT(jobs), 1, PROTOCOL_MAX_SEEDS, NULL, "1", "N",
     "Seeds at a time; the threads are divided among them."},
    {"from", ARG_TEXT, AT(from), 0, 0, NULL, NULL, "STAGE",
     "Begin here; the stages before must have passed, with nothing changed since."},
    {"to", ARG_TEXT, AT(to), 0, 0, NULL, NULL, "STAGE", "End after this one."},
    {"force", ARG_TEXT, AT(force), 0, 0, stage_names, NULL, "STAGE",
     "Run this stage (all: each) even if nothing changed; train then starts anew."},
    {"skip-audit", ARG_FLAG, AT(skip_audit), 0, 0, NULL, NULL, NULL,
     "Go on without an audit of the rewards; recorded, and in the report."},
    {"array", ARG_TEXT, AT(array), 0, 0, NULL, NULL, "FILE",
     "Write a Slurm script that does one seed a task, and do nothing else."},
    {"smoke-replay", ARG_TEXT, AT(smoke_replay), 0, 0, NULL, NULL, "FILE",
     "The smoke stage learns from completions of a file, for a model whose own earn no signal: a "
     "samples.jsonl of the same rows, or lines {prompt_id, text, reward}."},
    {"allow", ARG_TEXTS, AT(allow), 0, 0, NULL, NULL, "NAME",
     "As `grpo train --allow`, where a training goes on; may be repeated."},
    {"set", ARG_TEXTS, AT(set), 0, 0, NULL, NULL, "KEY=VALUE",
     "Another value for a recipe key; may be repeated."},
};

const struct command command_run = {
    .name = "run",
    .summary = "the whole protocol, every stage and every seed",
    .usage = "RECIPE",
    .details = "A line a stage: name, verdict (pass, warn, fail, skipped), what was found, time. "
               "Each is\nrecorded in gates/STAGE.json and skipped when nothing it depends on has "
               "changed; one that\nfails stops what comes after it (status 1, or as its error). "
               "Interrupted or killed, the same\ncommand goes on. --json: one object a line. Keys "
               "of the recipe: `grpo train --help`.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct run_command),
    .max_positional = 1,
    .no_input = true,
    .run = run,
    .more_help = stages_help};
