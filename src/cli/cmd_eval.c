/* cmd_eval.c: a model or adapter on fixed rows, and two such evaluations compared row by row.
 *
 * What rewards score the rows: --rewards, a recipe's, or by the rows' task names (task `push` is
 * scored by reward `push`, task `sql_qa` by the newest `sql_qa_vN`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/session.h"
#include "data/classify.h"
#include "eval/compare.h"
#include "eval/eval.h"
#include "train/options.h"

struct eval_options {
    struct session_options session;
    const char *data, *rewards, *recipe, *out;
    int n, max_tokens, batch, examples, speculation;
    double temperature;
    uint64_t seed;
    bool compare, rows, components;
    struct arg_texts stop;
};

struct evaluating {
    struct eval_options o; /* the command line's, completed from the recipe */
    struct common common;  /* likewise */
    recipe *recipe;
    struct train_options from;
    struct train_chat chat;
    struct dataset data;
    struct reward_set rewards;
    struct session s;
    struct stop_strings stops;
    rollout *rollout;
    struct eval_result result;
};

/* --- where the settings come from --- */

static void take_text(const char **slot, const char *value)
{
    if (!*slot)
        *slot = value;
}

static int read_recipe(struct evaluating *e, struct err *err)
{
    const struct common *common = &e->common;
    if (!e->o.recipe)
        return ERR_NONE;
    int status = train_recipe_load(&e->recipe, &e->from, e->o.recipe, NULL, 0, false, err);
    if (status)
        return status;
    const struct train_options *from = &e->from;
    take_text(&e->o.session.model, from->model);
    status = train_chat_options(&e->chat, e->recipe, from, err);
    if (status)
        return status;
    e->o.session.chat = &e->chat.options;
    take_text(&e->o.data, from->eval_data);
    if (!args_given(&command_eval, common, "max-tokens"))
        e->o.max_tokens = from->max_completion_length;
    if (!args_given(&command_eval, common, "temperature"))
        e->o.temperature = from->eval_temperature;
    if (!args_given(&command_eval, common, "n"))
        e->o.n = from->eval_num_generations;
    if (!args_given(&command_eval, common, "seed"))
        e->o.seed = (uint64_t)from->seed;
    if (!args_given(&command_eval, common, "precision"))
        e->common.precision = from->precision;
    return ERR_NONE;
}

/* The reward named like the task, or the newest of its versions (`task_vN`); NULL: none. */
static const char *reward_for_task(const char *task)
{
    size_t n = strlen(task);
    long newest = -1;
    const char *best = NULL;
    const struct reward_definition *d;
    for (int i = 0; *task && (d = reward_at(i)); i++) {
        if (strcmp(d->name, task) == 0)
            return d->name;
        if (strncmp(d->name, task, n) != 0 || strncmp(d->name + n, "_v", 2) != 0)
            continue;
        long version = strtol(d->name + n + 2, NULL, 10);
        if (version > newest) {
            newest = version;
            best = d->name;
        }
    }
    return best;
}

static json_t *rewards_by_task(const struct dataset *d, struct err *err)
{
    enum { MOST = 256 };
    const char *tasks[MOST];
    int n = dataset_tasks(d, tasks, MOST);
    json_t *map = json_object();
    for (int t = 0; t < n; t++) {
        const char *name = reward_for_task(tasks[t]);
        if (!name) {
            err_set(err, ERR_USAGE, "--rewards",
                    "no reward is named like the task \"%.60s\" of %.200s; say which rewards "
                    "score it, e.g. --rewards '{\"%.60s\": [\"push\"]}'",
                    tasks[t], d->path, tasks[t]);
            json_decref(map);
            return NULL;
        }
        json_object_set_new(map, tasks[t], json_pack("[s]", name));
    }
    if (!map)
        err_no_memory(err, "the rewards", 0);
    return map;
}

/* --rewards: JSON, or one name without quotes. */
static json_t *rewards_given(const char *text, struct err *err)
{
    if (strchr("[{\"", text[0]) && text[0])
        return json_read(text, strlen(text), JSON_UNIQUE_KEYS | JSON_ANY_VALUE, "--rewards", err);
    json_t *name = json_string(text);
    if (!name)
        err_set(err, ERR_USAGE, "--rewards", "is not valid UTF-8");
    return name;
}

static int open_rewards(struct evaluating *e, struct err *err)
{
    const char *where = !e->o.rewards && e->recipe ? "rewards" : "--rewards";
    json_t *wanted = e->o.rewards ? rewards_given(e->o.rewards, err)
                     : e->recipe  ? recipe_node_json(e->from.rewards)
                                  : rewards_by_task(&e->data, err);
    if (!wanted) {
        if (!err->code)
            return err_no_memory(err, "the rewards", 0);
        err->code = err->code == ERR_INPUT ? ERR_USAGE : err->code;
        return (int)err->code;
    }
    int status = reward_set_create(&e->rewards, wanted, where, err);
    json_decref(wanted);
    return status ? status : reward_set_covers(&e->rewards, &e->data, err);
}

/* --- running --- */

/* --stop, else the recipe's. */
static int open_stops(struct evaluating *e, struct err *err)
{
    bool given = e->o.stop.count || !e->recipe;
    const char *const *texts = given ? e->o.stop.items : e->from.stop_strings.items;
    size_t n = given ? (size_t)e->o.stop.count : e->from.stop_strings.count;
    int status = session_codec(&e->s, err);
    return status ? status
                  : stop_strings_create(&e->stops, &e->s.codec, texts, n,
                                        given ? "--stop" : "stop_strings", err);
}

/* Sizes for the longest prompt; what does not fit the model's context is an error naming the row.
 */
static int plan(struct evaluating *e, int *sequences, int *prompt_room, struct err *err)
{
    const struct text_codec *codec;
    int status = session_text(&e->s, &codec, err), longest = 0;
    const struct row *row = NULL;
    if (!status)
        status = episode_longest_prompt(codec, &e->data, &longest, &row, err);
    if (status)
        return status;
    int context = model_max_context(e->s.model), left = context - longest + 1;
    if (!e->o.max_tokens && left > 0)
        e->o.max_tokens = left < 512 ? left : 512;
    if (!e->o.max_tokens || left < e->o.max_tokens)
        return err_set(err, ERR_INPUT, e->data.path,
                       "row \"%.80s\" (line %ld) has %d prompt tokens; with %d new ones that "
                       "exceeds the model's context of %d",
                       row->id, row->line, longest, e->o.max_tokens ? e->o.max_tokens : 1, context);
    *sequences = e->o.batch ? e->o.batch : session_sequences(&e->s, e->o.max_tokens);
    int side_by_side = *sequences / e->o.n > 1 ? *sequences / e->o.n : 1;
    *prompt_room = rollout_prompt_room(side_by_side, longest);
    return ERR_NONE;
}

static int evaluate(struct evaluating *e, struct err *err)
{
    int sequences = 0, prompt_room = 0;
    int status = plan(e, &sequences, &prompt_room, err);
    if (!status)
        status = rollout_create(&e->rollout, e->s.model, session_lora(&e->s), sequences,
                                prompt_room, e->o.max_tokens, err);
    if (status)
        return status;
    rollout_speculate(e->rollout, (enum speculation)e->o.speculation);
    struct episode episode = {.codec = &e->s.codec,
                              .rewards = &e->rewards,
                              .rollout = e->rollout,
                              .stop = interrupt_requested,
                              .stops = &e->stops};
    struct eval_request q = {.episode = &episode,
                             .adapter = e->s.adapter,
                             .data = &e->data,
                             .max_prompt_tokens = prompt_room,
                             .max_new_tokens = e->o.max_tokens,
                             .temperature = e->o.temperature,
                             .completions = e->o.n,
                             .seed = e->o.seed,
                             .batch = sequences / e->o.n,
                             .what = "evaluate"};
    status = eval_run(&q, &e->result, err);
    struct rollout_counts counts = rollout_counts(e->rollout);
    if (!status)
        session_tell_decoding(&counts);
    return status;
}

static int report(struct evaluating *e, struct err *err)
{
    struct eval_about about = {.model = e->o.session.model,
                               .adapter = e->o.session.adapter,
                               .data = e->o.data,
                               .step = -1};
    struct str text = {0};
    int status = ERR_NONE;
    if (e->o.out) {
        eval_json(&text, &e->result, &about, true);
        status = text.failed ? err_no_memory(err, "the output", text.length)
                             : file_write_atomic(e->o.out, str_text(&text), text.length, err);
        str_clear(&text);
    }
    if (e->common.json)
        eval_json(&text, &e->result, &about, e->o.rows);
    else
        eval_table(&text, &e->result);
    if (!status)
        status = print_text(&text, err);
    str_free(&text);
    return status;
}

/* An option that would be passed over in silence is a mistake. */
static int check_options(const struct eval_options *o, const struct common *common, struct err *err)
{
    char where[80];
    for (size_t i = 0; o->compare && i < command_eval.n_args; i++) {
        const char *name = command_eval.args[i].name;
        bool used = strcmp(name, "compare") == 0 || strcmp(name, "examples") == 0 ||
                    strcmp(name, "components") == 0;
        if (used || !args_given(&command_eval, common, name))
            continue;
        snprintf(where, sizeof where, "--%s", name);
        return err_set(err, ERR_USAGE, where, "has no use with --compare; remove it");
    }
    if (o->examples && (!o->compare || common->json))
        return err_set(err, ERR_USAGE, "--examples", "goes with --compare, and not with --json");
    if (o->components && (!o->compare || common->json))
        return err_set(err, ERR_USAGE, "--components",
                       "goes with --compare, and not with --json, which always has them");
    if (o->rows && !common->json)
        return err_set(err, ERR_USAGE, "--rows", "goes with --json");
    return ERR_NONE;
}

static int compare(const struct common *common, const struct eval_options *o, struct err *err)
{
    if (common->n_positional != 2)
        return err_set(err, ERR_USAGE, "--compare",
                       "wants two files: grpo eval --compare BEFORE.json AFTER.json");
    struct eval_result before = {0}, after = {0};
    struct eval_comparison c = {0};
    struct str text = {0};
    int status = eval_read(&before, common->positional[0], err);
    if (!status)
        status = eval_read(&after, common->positional[1], err);
    if (!status)
        status = eval_compare(&c, &before, &after, err);
    if (!status) {
        if (common->json)
            eval_comparison_json(&text, &c);
        else
            eval_comparison_table(&text, &c);
        if (o->components) {
            str_putc(&text, '\n');
            eval_comparison_components(&text, &c);
        }
        if (!common->json)
            eval_comparison_examples(&text, &before, &after, o->examples);
        status = print_text(&text, err);
    }
    eval_comparison_free(&c);
    eval_free(&before);
    eval_free(&after);
    str_free(&text);
    return status;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct evaluating e = {.o = *(const struct eval_options *)options, .common = *common};
    int status = check_options(&e.o, common, err);
    if (status)
        return status;
    if (e.o.compare)
        return compare(common, &e.o, err);
    if (common->n_positional)
        return err_set(err, ERR_USAGE, "eval", "what is \"%.100s\"? Only --compare takes files",
                       common->positional[0]);
    interrupt_catch();
    status = read_recipe(&e, err);
    if (!status && !e.o.data)
        status = err_set(err, ERR_USAGE, "--data", "is required: the rows to evaluate on (JSONL)");
    if (!status && e.o.n > 1 && e.o.temperature == 0)
        status = err_set(err, ERR_USAGE, "--n",
                         "greedy completions are all equal: give --temperature too");
    if (!status)
        status = dataset_open(&e.data, e.o.data, err);
    if (!status && e.recipe)
        status = dataset_classify_by(&e.data, e.from.classifier,
                                     recipe_where(e.recipe, NULL, "classifier"), err);
    if (!status)
        status = open_rewards(&e, err);
    if (!status)
        status = session_open(&e.s, &e.o.session, &e.common, err);
    if (!status)
        status = open_stops(&e, err);
    if (!status)
        status = evaluate(&e, err);
    if (!status)
        status = report(&e, err);
    eval_free(&e.result);
    rollout_free(e.rollout);
    stop_strings_free(&e.stops);
    session_close(&e.s);
    reward_set_free(&e.rewards);
    dataset_close(&e.data);
    train_chat_free(&e.chat);
    recipe_free(e.recipe);
    return status;
}

#define AT(field) offsetof(struct eval_options, field)
static const struct arg args[] = {
    SESSION_ARGS(struct eval_options, session),
    {"data", ARG_TEXT, AT(data), 0, 0, NULL, NULL, "FILE", "Rows to evaluate on, JSONL."},
    {"rewards", ARG_TEXT, AT(rewards), 0, 0, NULL, NULL, "JSON",
     "As in a recipe: a name, a list, or a map from task to a list. Without it each task is scored "
     "by the reward of its name."},
    {"recipe", ARG_TEXT, AT(recipe), 0, 0, NULL, NULL, "FILE",
     "Take model, chat_template, chat_template_kwargs, system_prompt, precision, eval_data, "
     "rewards, classifier, max_completion_length, eval_temperature, eval_num_generations, "
     "stop_strings and "
     "seed from a recipe where not given here."},
    {"max-tokens", ARG_INT, AT(max_tokens), 1, 1 << 20, NULL, NULL, "K",
     "Tokens of a completion at most. [512, or what the context leaves]"},
    {"temperature", ARG_FLOAT, AT(temperature), 0, 1e6, NULL, "0", "T", "0 is greedy."},
    {"n", ARG_INT, AT(n), 1, 4096, NULL, "1", "N",
     "Completions of a row; its value is their mean."},
    {"stop", ARG_TEXTS, AT(stop), 0, 0, NULL, NULL, "TEXT",
     "End a completion that holds TEXT, which stays in it; may be given several times."},
    {"seed", ARG_SEED, AT(seed), 0, 0, NULL, "42", "S", "Seed of the draws."},
    {"batch", ARG_INT, AT(batch), 0, 65536, NULL, "0", "N",
     "Sequences that decode side by side; 0: as many as 1 GiB of cache holds. Changes no result."},
    SPECULATION_ARG(AT(speculation)),
    {"out", ARG_TEXT, AT(out), 0, 0, NULL, NULL, "FILE",
     "Write the evaluation with every row to FILE, for --compare."},
    {"rows", ARG_FLAG, AT(rows), 0, 0, NULL, NULL, NULL, "With --json: every row too."},
    {"compare", ARG_FLAG, AT(compare), 0, 0, NULL, NULL, NULL,
     "Compare two files of --out (or of a run's eval folder) row by row; no model is opened."},
    {"components", ARG_FLAG, AT(components), 0, 0, NULL, NULL, NULL,
     "With --compare: the rewards' components as well, those of weight 0 too."},
    {"examples", ARG_INT, AT(examples), 0, 1000000, NULL, "0", "N",
     "With --compare, without --json: show N rows of each task, before and after."},
};

const struct command command_eval = {
    .name = "eval",
    .summary = "evaluate a model or adapter on fixed rows: mean and intervals per task",
    .usage = "[--compare BEFORE.json AFTER.json]",
    .details = "Prints a table, or with --json one object: \"tasks\" and \"overall\", each with "
               "n, mean, sd,\nci95 (mean +- 1.96 se), t95, bca95, truncated, mean_length and "
               "components. The overall mean is\nthe unweighted mean of the task means.",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct eval_options),
    .max_positional = 2,
    .no_input = true,
    .run = run};
