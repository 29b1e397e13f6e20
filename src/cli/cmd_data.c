/* cmd_data.c: `grpo data split`, the fixed stratified evaluation set, and the options of the parts
 * that cmd_data_*.c run. Each part refuses the options that are not its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cmd_data_parts.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "data/split.h"

struct data_options {
    const char *data, *eval_out, *test_out, *train_out;
    struct arg_texts counts;
    uint64_t seed;
    struct synth_arguments synth;
    struct prepare_arguments prepare;
    struct stats_arguments stats;
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

int cmd_data_read_count(struct split_count *out, char **name, const char *text, struct err *err)
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
        status = cmd_data_read_count(&counts[i], &names[i], o->counts.items[i], err);
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

enum part { SPLIT = 1, SYNTH = 2, PREPARE = 4, STATS = 8 };
static const char *const part_names[] = {"split", "synth", "prepare", "stats"};

/* Which parts take an option; those that are not here, all. */
static const struct {
    const char *name;
    unsigned parts;
} owners[] = {
    {"data", SPLIT},      {"count", SPLIT | PREPARE},
    {"eval-out", SPLIT},  {"test-out", SPLIT},
    {"train-out", SPLIT}, {"out", SYNTH | PREPARE},
    {"train", SYNTH},     {"eval", SYNTH},
    {"test", SYNTH},      {"corpus", SYNTH},
    {"olist", PREPARE},   {"train-rows", PREPARE},
    {"recipe", STATS},    {"model", STATS},
    {"against", STATS},   {"seed", SPLIT | SYNTH | PREPARE},
};

/* An option of another part is an error, not ignored. */
static int refuse_others(const struct common *common, size_t part, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(owners); i++) {
        if (owners[i].parts >> part & 1 || !args_given(&command_data, common, owners[i].name))
            continue;
        size_t other = 0;
        while (!(owners[i].parts >> other & 1))
            other++;
        return err_set(err, ERR_USAGE, "data", "--%s is an option of `grpo data %s`, not of %s",
                       owners[i].name, part_names[other], part_names[part]);
    }
    if (common->n_positional > 1 && part_names[part] != part_names[3])
        return err_set(err, ERR_USAGE, "data",
                       "what is \"%.60s\"? Only `grpo data stats` takes a file",
                       common->positional[1]);
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct data_options *o = options;
    const char *what = common->n_positional ? common->positional[0] : "";
    size_t part = 0;
    while (part < ARRAY_LENGTH(part_names) && strcmp(what, part_names[part]) != 0)
        part++;
    if (part == ARRAY_LENGTH(part_names))
        return err_set(err, ERR_USAGE, "data", "%s%.60s%s known: split, synth, prepare, stats",
                       *what ? "what is \"" : "", *what ? what : "which part?", *what ? "\";" : "");
    int status = refuse_others(common, part, err);
    if (status)
        return status;
    struct prepare_arguments prepare = o->prepare;
    prepare.out = o->synth.out;
    prepare.counts = &o->counts;
    switch (1 << part) {
    case SPLIT:
        return split(common, o, err);
    case SYNTH:
        return cmd_data_synth(common, &o->synth, o->seed, err);
    case PREPARE:
        return cmd_data_prepare(common, &prepare, o->seed, err);
    default:
        return cmd_data_stats(common, &o->stats,
                              common->n_positional > 1 ? common->positional[1] : NULL, err);
    }
}

#define AT(field) offsetof(struct data_options, field)
static const struct arg args[] = {
    {"data", ARG_TEXT, AT(data), 0, 0, NULL, NULL, "FILE",
     "Rows to split, JSONL; --input says the same."},
    {"count", ARG_TEXTS, AT(counts), 0, 0, NULL, NULL, "TASK=EVAL[:TEST]",
     "Distinct prompts of a task for evaluation and, with --test-out, the test set; once a task. "
     "prepare: instead of extraction=20:60, sql_qa=15:60, insights=15:40, push=15:40."},
    {"eval-out", ARG_TEXT, AT(eval_out), 0, 0, NULL, NULL, "FILE", "Where evaluation rows go."},
    {"test-out", ARG_TEXT, AT(test_out), 0, 0, NULL, NULL, "FILE",
     "Where test rows go: used for nothing but the headline."},
    {"train-out", ARG_TEXT, AT(train_out), 0, 0, NULL, NULL, "FILE", "Where all other rows go."},
    {"out", ARG_TEXT, AT(synth.out), 0, 0, NULL, NULL, "DIR",
     "synth, prepare: folder for the database and the JSONL files."},
    {"train", ARG_INT, AT(synth.train), 1, 100000, NULL, "300", "N",
     "synth: training rows of each task."},
    {"eval", ARG_INT, AT(synth.eval), 1, 100000, NULL, "30", "N",
     "synth: evaluation rows of each task."},
    {"test", ARG_INT, AT(synth.test), 1, 100000, NULL, "60", "N", "synth: test rows of each task."},
    {"corpus", ARG_INT, AT(synth.corpus), 0, 1000000, NULL, "0", "N",
     "synth: lines of corpus.jsonl over all tasks, to pretrain a tiny model on; 0: no such file."},
    {"olist", ARG_TEXT, AT(prepare.olist), 0, 0, NULL, NULL, "DIR",
     "prepare: folder of Olist's nine CSV files, named as Kaggle has them."},
    {"train-rows", ARG_INT, AT(prepare.train_rows), 1, 1000000, NULL, "1485", "N",
     "prepare: training rows, 40% extraction, 40% sql_qa, 10% insights, 10% push."},
    {"recipe", ARG_TEXT, AT(stats.recipe), 0, 0, NULL, NULL, "FILE",
     "stats: a recipe whose classifier gives tasks to rows that name none."},
    {"model", ARG_TEXT, AT(stats.model), 0, 0, NULL, NULL, "DIR",
     "stats: a model folder, to measure prompts in its tokens too (with the recipe's template and "
     "system prompt)."},
    {"against", ARG_TEXT, AT(stats.against), 0, 0, NULL, NULL, "FILE",
     "stats: other rows, to find the prompts that both files have."},
    {"seed", ARG_SEED, AT(seed), 0, 0, NULL, "42", "S",
     "Seed of the choice, of the shop, or of the rows."},
};

const struct command command_data = {
    .name = "data",
    .summary = "split, synth, prepare: make sets of rows; stats: what is in one",
    .usage = "split|synth|prepare|stats [FILE]",
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
        "shop.sqlite:\nwith the same version of SQLite).\n\n"
        "prepare --olist DIR --out DIR: the public Olist data (CSV) as olist.db and as rows of the "
        "four tasks in\ntrain.jsonl, eval.jsonl and test.jsonl, which share no prompt, review, "
        "query or slice. Replaces what\nis there; the same data, seed and counts give the same "
        "bytes. Reference queries name the database\nas --out does, so run from the same folder. "
        "The data's licence (CC BY-NC-SA 4.0) goes with the output.\n\n"
        "stats FILE: rows, shares of tasks, lengths of prompts, copies, rows that no rule of the "
        "classifier\nmatched (the first 20; all with --json), and with --against what two files "
        "share.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct data_options),
    .max_positional = 2,
    .run = run};
