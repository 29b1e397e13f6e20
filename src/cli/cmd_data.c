/* cmd_data.c: `grpo data split`, the fixed stratified evaluation set, and the options of `grpo data
 * synth`, which cmd_data_synth.c runs. Each part refuses the options of the other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cmd_data_synth.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "data/split.h"

struct data_options {
    const char *data, *eval_out, *test_out, *train_out;
    struct arg_texts counts;
    uint64_t seed;
    struct synth_arguments synth;
};

/* A number of prompts, digits only; moves *text past it. */
static bool read_count(const char **text, size_t *count)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 10);
    if (errno || value > 1000000000)
        return false;
    *count = (size_t)value;
    *text = end;
    return true;
}

/* TASK=EVAL or TASK=EVAL:TEST; the name, a copy, is freed by the caller. */
static int read_entry(struct split_count *out, char **name, const char *text, struct err *err)
{
    const char *equals = strrchr(text, '='), *at = equals ? equals + 1 : "";
    *out = (struct split_count){0};
    bool ok = equals && equals > text && read_count(&at, &out->eval);
    if (ok && *at == ':') {
        at++;
        ok = read_count(&at, &out->test);
    }
    if (!ok || *at)
        return err_set(err, ERR_USAGE, "--count",
                       "\"%.100s\" is no TASK=EVAL or TASK=EVAL:TEST, e.g. push=15:30", text);
    *name = mem_strndup(text, (size_t)(equals - text));
    out->task = *name;
    return *name ? ERR_NONE : err_no_memory(err, "--count", strlen(text));
}

static void put_set(struct json_writer *w, const char *key, const char *path,
                    const struct split_set *set)
{
    jw_key(w, key);
    if (!path) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    jw_key(w, "path");
    jw_text(w, path);
    jw_key(w, "rows");
    jw_int(w, (long long)set->rows);
    jw_key(w, "sha256");
    jw_text(w, set->sha256);
    jw_key(w, "written");
    jw_bool(w, set->written);
    jw_object_end(w);
}

static int report(const struct data_options *o, const struct split_result *r, bool json,
                  struct err *err)
{
    struct str out = {0};
    const char *names[] = {"eval", "test", "train"};
    const char *paths[] = {o->eval_out, o->test_out, o->train_out};
    const struct split_set *sets[] = {&r->eval, &r->test, &r->train};
    struct json_writer w;
    jw_begin(&w, &out);
    if (json)
        jw_object_begin(&w);
    for (int i = 0; i < 3; i++) {
        if (json)
            put_set(&w, names[i], paths[i], sets[i]);
        else if (paths[i])
            str_printf(&out, "%-5s  %6zu rows  %s  %s%s\n", names[i], sets[i]->rows,
                       sets[i]->sha256, paths[i],
                       sets[i]->written ? "" : "  (the same file was there already)");
    }
    if (json) {
        jw_key(&w, "copies");
        jw_int(&w, (long long)r->copies);
        jw_object_end(&w);
        str_putc(&out, '\n');
    } else if (r->copies) {
        str_printf(&out, "%zu rows are in no file: their prompt was chosen in another row\n",
                   r->copies);
    }
    int status = print_text(&out, err);
    str_free(&out);
    return status;
}

static int split(const struct common *common, const struct data_options *o, struct err *err)
{
    struct split_count counts[ARGS_MAX_TEXTS];
    char *names[ARGS_MAX_TEXTS] = {NULL};
    const char *source = o->data ? o->data : common->input;
    int status = ERR_NONE;
    if (o->data && common->input)
        status = err_set(err, ERR_USAGE, "--data", "and --input are both given; remove one");
    else if (!source)
        status = err_set(err, ERR_USAGE, "--data", "is required: the rows to split (JSONL)");
    else if (!o->eval_out)
        status = err_set(err, ERR_USAGE, "--eval-out", "is required: where evaluation rows go");
    else if (!o->counts.count)
        status = err_set(err, ERR_USAGE, "--count",
                         "is required, once a task: --count push=15 --count sql_qa=20:40");
    for (int i = 0; i < o->counts.count && !status; i++)
        status = read_entry(&counts[i], &names[i], o->counts.items[i], err);
    struct split_result result = {0};
    if (!status) {
        struct split_options how = {.source = source,
                                    .eval_out = o->eval_out,
                                    .test_out = o->test_out,
                                    .train_out = o->train_out,
                                    .counts = counts,
                                    .n_counts = (size_t)o->counts.count,
                                    .seed = o->seed};
        status = split_run(&how, &result, err);
    }
    if (!status)
        status = report(o, &result, common->json, err);
    for (int i = 0; i < o->counts.count; i++)
        mem_free(names[i]);
    return status;
}

/* An option of the other part is an error, not ignored. */
static int refuse_others(const struct common *common, const char *what, struct err *err)
{
    static const char *const of_split[] = {"data", "count", "eval-out", "test-out", "train-out"};
    static const char *const of_synth[] = {"out", "train", "eval", "test", "corpus"};
    bool synth = strcmp(what, "synth") == 0;
    if (!synth && strcmp(what, "split") != 0)
        return ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(of_split); i++) {
        const char *name = synth ? of_split[i] : of_synth[i];
        if (args_given(&command_data, common, name))
            return err_set(err, ERR_USAGE, "data", "--%s is an option of `grpo data %s`", name,
                           synth ? "split" : "synth");
    }
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    static const char *const later[] = {"prepare", "stats"};
    const struct data_options *o = options;
    const char *what = common->n_positional ? common->positional[0] : "";
    int status = refuse_others(common, what, err);
    if (status)
        return status;
    if (strcmp(what, "split") == 0)
        return split(common, o, err);
    if (strcmp(what, "synth") == 0)
        return cmd_data_synth(common, &o->synth, o->seed, err);
    for (size_t i = 0; i < ARRAY_LENGTH(later); i++)
        if (strcmp(what, later[i]) == 0)
            return err_set(err, ERR_USAGE, "data", "`grpo data %s` is not built yet", what);
    return err_set(err, ERR_USAGE, "data", "%s%.60s%s known: split, synth",
                   *what ? "what is \"" : "", *what ? what : "which part?", *what ? "\";" : "");
}

#define AT(field) offsetof(struct data_options, field)
static const struct arg args[] = {
    {"data", ARG_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     "Rows to split, JSONL; --input says the same."},
    {"count", ARG_TEXTS, AT(counts), 0, 0, NULL, NULL, "TASK=EVAL[:TEST]",
     "Distinct prompts of a task for evaluation and, with --test-out, the test set; once a task."},
    {"eval-out", ARG_TEXT, AT(eval_out), 0, 0, NULL, NULL, "FILE", "Where evaluation rows go."},
    {"test-out", ARG_TEXT, AT(test_out), 0, 0, NULL, NULL, "FILE",
     "Where test rows go: used for nothing but the headline."},
    {"train-out", ARG_TEXT, AT(train_out), 0, 0, NULL, NULL, "FILE", "Where all other rows go."},
    {"out", ARG_TEXT, AT(synth.out), 0, 0, NULL, NULL, "DIR",
     "synth: folder for shop.sqlite, schema.sql and the JSONL files."},
    {"train", ARG_INT, AT(synth.train), 1, 100000, NULL, "300", "N",
     "synth: training rows of each task."},
    {"eval", ARG_INT, AT(synth.eval), 1, 100000, NULL, "30", "N",
     "synth: evaluation rows of each task."},
    {"test", ARG_INT, AT(synth.test), 1, 100000, NULL, "60", "N", "synth: test rows of each task."},
    {"corpus", ARG_INT, AT(synth.corpus), 0, 1000000, NULL, "0", "N",
     "synth: lines of corpus.jsonl over all tasks, to pretrain a tiny model on; 0: no such file."},
    {"seed", ARG_SEED, AT(seed), 0, 0, NULL, "42", "S", "Seed of the choice, or of the shop."},
};

const struct command command_data = {
    .name = "data",
    .summary = "split: fixed evaluation, test and training sets; synth: a synthetic shop",
    .usage = "split|synth",
    .details =
        "split: --data, --count, --eval-out and what else is to be written. Written once: the same "
        "rows,\ncounts and seed give the same files, and a file with other content is never "
        "replaced (exit 1).\n\n"
        "synth --out DIR: an invented Brazilian shop. Writes, replacing what is there, shop.sqlite "
        "(tables\nclientes, produtos, pedidos, itens, avaliacoes), schema.sql, and rows of the "
        "tasks extraction,\nsql_qa, insights and push in train.jsonl, eval.jsonl and test.jsonl, "
        "which share no prompt and no\ncontent; with --corpus also corpus.jsonl, lines "
        "{\"prompt\", \"completion\"} with answers of mixed\nquality to other prompts. "
        "References: extraction the ten fields; sql_qa database, sql, answer, level;\ninsights "
        "numbers, domain; push product, reason. The same seed gives the same bytes (of "
        "shop.sqlite:\nwith the same version of SQLite).",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct data_options),
    .max_positional = 1,
    .run = run};
