/* test_option.c: recipes against option tables: types, ranges, defaults, aliases, overrides, the
 * words of every error, the resolved JSON and its hash, help. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/file.h"
#include "recipe/option.h"
#include "recipe/scalar.h"

struct settings {
    bool shuffle;
    int steps, groups, top_k;
    double rate, beta, delta;
    const char *model, *note;
    int loss, optional_loss;
    struct string_list tags;
    struct int_list seeds;
    const struct yaml_node *rewards;
};
struct lora {
    int r;
    double alpha;
    struct string_list modules;
};

static const char *const losses[] = {"grpo", "bnpo", "dr_grpo", "dapo", NULL};

static const struct option top_options[] = {
    {"model", NULL, OPTION_STRING, offsetof(struct settings, model), 0, 0, NULL, NULL, "Folder."},
    {"max_steps", NULL, OPTION_INT, offsetof(struct settings, steps), 1, 1000000, NULL, "100",
     "Number of optimizer steps."},
    {"prompts_per_step", "per_device_train_batch_size  batch", OPTION_INT,
     offsetof(struct settings, groups), 1, INFINITY, NULL, "1", "Prompts in one step."},
    {"top_k", NULL, OPTION_INT, offsetof(struct settings, top_k), 0, 0, NULL, NULL, "Any integer."},
    {"learning_rate", "lr", OPTION_FLOAT, offsetof(struct settings, rate), 0, 1, NULL, "5e-6",
     "Peak learning rate."},
    {"beta", NULL, OPTION_FLOAT, offsetof(struct settings, beta), 0, 0, NULL, "0.0", "KL."},
    {"delta", NULL, OPTION_FLOAT, offsetof(struct settings, delta), -INFINITY, 10, NULL, NULL,
     "Absent unless given."},
};
static const struct option more_options[] = {
    {"shuffle", NULL, OPTION_BOOL, offsetof(struct settings, shuffle), 0, 0, NULL, "true",
     "Whether to shuffle."},
    {"note", NULL, OPTION_STRING, offsetof(struct settings, note), 0, 0, NULL, "\"a: b\"",
     "Free text."},
    {"loss_type", NULL, OPTION_CHOICE, offsetof(struct settings, loss), 0, 0, losses, "bnpo",
     "Which loss."},
    {"other_loss", NULL, OPTION_CHOICE, offsetof(struct settings, optional_loss), 0, 0, losses,
     NULL, "Absent unless given."},
    {"tags", NULL, OPTION_STRINGS, offsetof(struct settings, tags), 0, 0, NULL, NULL, "Words."},
    {"seeds", "seed", OPTION_INTS, offsetof(struct settings, seeds), 0, 1e9, NULL, "[42, 123]",
     "Seeds."},
    {"rewards", NULL, OPTION_NODE, offsetof(struct settings, rewards), 0, 0, NULL, NULL,
     "Names of rewards."},
};
static const struct option lora_options[] = {
    {"r", "rank", OPTION_INT, offsetof(struct lora, r), 1, 256, NULL, "16", "Rank."},
    {"lora_alpha", NULL, OPTION_FLOAT, offsetof(struct lora, alpha), 0, 0, NULL, "32", "Scale."},
    {"target_modules", NULL, OPTION_STRINGS, offsetof(struct lora, modules), 0, 0, NULL,
     "[q_proj, k_proj]", "Which projections."},
};
static const struct recipe_reserved reserved[] = {
    {"use_vllm", "sampling is built in"},
    {"lora.use_dora", "only plain LoRA is there"},
    {"wandb", "runs are written as JSON lines"},
};

static struct settings s;
static struct lora lora;
static const struct option_table tables[] = {
    {NULL, top_options, ARRAY_LENGTH(top_options), &s, false},
    {"lora", lora_options, ARRAY_LENGTH(lora_options), &lora, false},
    {NULL, more_options, ARRAY_LENGTH(more_options), &s, false},
};

static char *folder, path[600];
static struct err err;

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    snprintf(path, sizeof path, "%s/r.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

/* Loads a text, with overrides up to NULL. */
static int load(recipe **r, const char *text, const char *const *overrides)
{
    size_t n = 0;
    while (overrides && overrides[n])
        n++;
    memset(&err, 0, sizeof err);
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    return recipe_load(r, path, overrides, n, tables, ARRAY_LENGTH(tables), reserved,
                       ARRAY_LENGTH(reserved), &err);
}

static recipe *loaded(const char *text, const char *const *overrides)
{
    recipe *r;
    if (load(&r, text, overrides) != 0)
        fail_msg("%s: %s (recipe: %s)", err.where, err.message, text);
    return r;
}

/* The text is refused with exactly this message, at this line of the file (0: an override). */
static void refused_with(const char *text, const char *const *overrides, int line,
                         const char *message)
{
    recipe *r = NULL;
    size_t blocks = mem_stats().live_blocks;
    if (load(&r, text, overrides) != ERR_USAGE)
        fail_msg("accepted, or another error (%s): %s", err.message, text);
    assert_null(r);
    assert_string_equal(err.message, message);
    char place[700];
    snprintf(place, sizeof place, "%s:%d", path, line);
    if (line)
        assert_string_equal(err.where, place);
    else
        assert_int_equal(strncmp(err.where, "--set ", 6), 0);
    assert_int_equal(mem_stats().live_blocks, blocks);
    assert_null(s.model); /* nothing points into the freed recipe */
    assert_int_equal(lora.modules.count, 0);
}

static void refused(const char *text, int line, const char *message)
{
    refused_with(text, NULL, line, message);
}

static void override_refused(const char *override, const char *message)
{
    refused_with("model: m\n", (const char *[]){override, NULL}, 0, message);
}

/* --- values --- */

static void test_defaults(void **state)
{
    (void)state;
    memset(&s, 0x55, sizeof s);
    recipe *r = loaded("", NULL);
    assert_null(s.model);
    assert_int_equal(s.steps, 100);
    assert_int_equal(s.groups, 1);
    assert_int_equal(s.top_k, 0);
    assert_true(s.rate == 5e-6 && s.beta == 0.0 && isnan(s.delta));
    assert_true(s.shuffle);
    assert_string_equal(s.note, "a: b");
    assert_int_equal(s.loss, 1);
    assert_int_equal(s.optional_loss, -1);
    assert_int_equal(s.tags.count, 0);
    assert_int_equal(s.seeds.count, 2);
    assert_int_equal(s.seeds.items[1], 123);
    assert_null(s.rewards);
    assert_int_equal(lora.r, 16);
    assert_int_equal(lora.modules.count, 2);
    assert_string_equal(lora.modules.items[1], "k_proj");
    assert_false(recipe_given(r, NULL, "max_steps", NULL));
    recipe_free(r);
}

static void test_file_values(void **state)
{
    (void)state;
    recipe *r = loaded("# a comment\n"
                       "model: models/tiny   # where\n"
                       "max_steps: 0x10\n"
                       "batch: 4\n"
                       "top_k: -3\n"
                       "learning_rate: 1e-5\n"
                       "beta: 3\n"
                       "delta: -.5\n"
                       "shuffle: false\n"
                       "note: 1e-5\n"
                       "loss_type: \"dapo\"\n"
                       "other_loss: grpo\n"
                       "tags: [a, 2, yes, \"null\"]\n"
                       "seed: 7\n"
                       "rewards:\n"
                       "  push: [push, {name: length, weight: 0.5}]\n"
                       "lora:\n"
                       "  r: 8\n"
                       "  target_modules: q_proj\n",
                       NULL);
    assert_string_equal(s.model, "models/tiny");
    assert_int_equal(s.steps, 16);
    assert_int_equal(s.groups, 4);
    assert_int_equal(s.top_k, -3);
    assert_true(s.rate == 1e-5 && s.beta == 3.0 && s.delta == -0.5);
    assert_false(s.shuffle);
    assert_string_equal(s.note, "1e-5");
    assert_int_equal(s.loss, 3);
    assert_int_equal(s.optional_loss, 0);
    assert_int_equal(s.tags.count, 4);
    assert_string_equal(s.tags.items[1], "2");
    assert_string_equal(s.tags.items[3], "null");
    assert_int_equal(s.seeds.count, 1);
    assert_int_equal(s.seeds.items[0], 7);
    assert_non_null(s.rewards);
    assert_int_equal(s.rewards->kind, YAML_MAPPING);
    assert_int_equal(lora.r, 8);
    assert_int_equal(lora.modules.count, 1);
    assert_string_equal(lora.modules.items[0], "q_proj");
    int line = -1;
    assert_true(recipe_given(r, NULL, "prompts_per_step", &line));
    assert_int_equal(line, 4);
    assert_true(recipe_given(r, "lora", "r", &line));
    assert_int_equal(line, 18);
    assert_false(recipe_given(r, "lora", "lora_alpha", &line));
    recipe_free(r);
}

/* A float is read as YAML 1.2 reads it; YAML 1.1 takes some of these for text. */
static void test_floats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1e-5", 1e-5},
                 {"5e-6", 5e-6},
                 {"1E-5", 1e-5},
                 {"1e+2", 100},
                 {"+.5", 0.5},
                 {"1.", 1},
                 {"-0.0", -0.0},
                 {"010", 10},
                 {"1", 1},
                 {"12345678", 12345678},
                 {"0.1", 0.1},
                 {"1e-310", 1e-310},
                 {"0e9", 0},
                 {"0x10", 16},
                 {"99999999999999999999", 1e20}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[100];
        snprintf(text, sizeof text, "beta: %s\n", cases[i].text);
        recipe *r = loaded(text, NULL);
        assert_memory_equal(&s.beta, &cases[i].value, sizeof s.beta);
        recipe_free(r);
    }
    static const char *const bad[] = {"1e",   "e5",   ".",   "1_000", "1,5",   "nan",
                                      ".nan", ".inf", "inf", "-.inf", "1e999", "0x",
                                      "1e5x", "1 2",  "--1", "1e-999"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char text[100];
        recipe *r;
        snprintf(text, sizeof text, "beta: %s\n", bad[i]);
        if (load(&r, text, NULL) != ERR_USAGE)
            fail_msg("accepted: %s", text);
        assert_non_null(strstr(err.message, "expected a number"));
    }
    refused("beta: .nan\n", 1, "\"beta\" is .nan, expected a number");
    refused("model: m\nbeta: nan\n", 2, "\"beta\" is \"nan\", expected a number");
    refused("beta: 0,5\n", 1,
            "\"beta\" is \"0,5\", expected a number; the decimal mark is a point");
    refused("beta: \"1e-5\"\n", 1,
            "\"beta\" is \"1e-5\", expected a number; write it without quotes");
    refused("beta: true\n", 1, "\"beta\" is true, expected a number");
    refused("beta: [1]\n", 1, "\"beta\" is a list, expected a number");
    refused("lr: 1.5\n", 1, "\"lr\" is 1.5, expected a number from 0 to 1");
    refused("lr: -1e-9\n", 1, "\"lr\" is -1e-9, expected a number from 0 to 1");
    refused("delta: 10.5\n", 1, "\"delta\" is 10.5, expected a number of at most 10");
}

static void test_integers(void **state)
{
    (void)state;
    recipe *r = loaded("top_k: 2147483647\nmax_steps: +5\nseeds: [0, 1000000000]\n", NULL);
    assert_int_equal(s.top_k, INT_MAX);
    assert_int_equal(s.steps, 5);
    recipe_free(r);
    r = loaded("top_k: -2147483648\nmax_steps: 0o17\n", NULL);
    assert_int_equal(s.top_k, INT_MIN);
    assert_int_equal(s.steps, 15);
    recipe_free(r);
    refused("max_steps: 8.5\n", 1, "\"max_steps\" is 8.5, expected an integer from 1 to 1000000");
    refused("max_steps: 8.0\n", 1,
            "\"max_steps\" is 8.0, expected an integer from 1 to 1000000; write 8");
    refused("max_steps: 1e3\n", 1,
            "\"max_steps\" is 1e3, expected an integer from 1 to 1000000; write 1000");
    refused("max_steps: 1e9\n", 1, "\"max_steps\" is 1e9, expected an integer from 1 to 1000000");
    refused("max_steps: 0\n", 1, "\"max_steps\" is 0, expected an integer from 1 to 1000000");
    refused("max_steps: 1_000\n", 1,
            "\"max_steps\" is \"1_000\", expected an integer from 1 to 1000000");
    refused(
        "max_steps: \"8\"\n", 1,
        "\"max_steps\" is \"8\", expected an integer from 1 to 1000000; write it without quotes");
    refused("batch: 0\n", 1, "\"batch\" is 0, expected an integer of at least 1");
    refused("batch: 2147483648\n", 1, "\"batch\" is 2147483648, expected an integer of at least 1");
    refused("top_k: 99999999999999999999\n", 1,
            "\"top_k\" is 99999999999999999999, expected an integer");
    refused("seeds: [1, 2.5]\n", 1,
            "\"seeds\" has an item that is 2.5, expected a list of integers from 0 to 1000000000, "
            "or one integer");
    refused("seeds:\n- 1\n- -1\n", 3,
            "\"seeds\" has an item that is -1, expected a list of integers from 0 to 1000000000, "
            "or one integer");
    refused("seeds: {a: 1}\n", 1,
            "\"seeds\" is a mapping, expected a list of integers from 0 to 1000000000, or one "
            "integer");
}

static void test_booleans(void **state)
{
    (void)state;
    static const char *const good[] = {"false", "False", "FALSE"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        char text[60];
        snprintf(text, sizeof text, "shuffle: %s\n", good[i]);
        recipe *r = loaded(text, NULL);
        assert_false(s.shuffle);
        recipe_free(r);
    }
    refused("shuffle: yes\n", 1, "\"shuffle\" is \"yes\", expected true or false; write true");
    refused("shuffle: Off\n", 1, "\"shuffle\" is \"Off\", expected true or false; write false");
    refused("shuffle: 1\n", 1, "\"shuffle\" is 1, expected true or false; write true");
    refused("shuffle: \"true\"\n", 1,
            "\"shuffle\" is \"true\", expected true or false; write it without quotes");
    refused("shuffle: maybe\n", 1, "\"shuffle\" is \"maybe\", expected true or false");
    refused("shuffle: []\n", 1, "\"shuffle\" is a list, expected true or false");
}

static void test_choices(void **state)
{
    (void)state;
    refused("loss_type: dr_gpro\n", 1,
            "\"loss_type\" is \"dr_gpro\", expected \"dr_grpo\", \"grpo\", \"bnpo\" or \"dapo\"");
    refused("loss_type: dapoo\n", 1,
            "\"loss_type\" is \"dapoo\", expected \"dapo\", \"grpo\", \"bnpo\" or \"dr_grpo\"");
    refused("loss_type: something else\n", 1,
            "\"loss_type\" is \"something else\", expected \"grpo\", \"bnpo\", \"dr_grpo\" or "
            "\"dapo\"");
    refused("loss_type: GRPO\n", 1,
            "\"loss_type\" is \"GRPO\", expected \"grpo\", \"bnpo\", \"dr_grpo\" or \"dapo\"");
    refused("loss_type: [grpo]\n", 1,
            "\"loss_type\" is a list, expected \"grpo\", \"bnpo\", \"dr_grpo\" or \"dapo\"");
}

static void test_strings(void **state)
{
    (void)state;
    recipe *r = loaded("model: \"\"\nnote: |\n  two\n  lines\ntags: one\n", NULL);
    assert_string_equal(s.model, "");
    assert_string_equal(s.note, "two\nlines\n");
    assert_int_equal(s.tags.count, 1);
    assert_string_equal(s.tags.items[0], "one");
    recipe_free(r);
    r = loaded("note: no\ntags: []\n", NULL);
    assert_string_equal(s.note, "no"); /* as written: no boolean lurks in it */
    assert_int_equal(s.tags.count, 0);
    recipe_free(r);
    refused("model: {a: b}\n", 1,
            "\"model\" is a mapping, expected text; put quotes around the text");
    refused("tags: [a, [b]]\n", 1,
            "\"tags\" has an item that is a list, expected a list of texts, or one text");
    refused("tags: [a, ~]\n", 1,
            "\"tags\" has an item that is null, expected a list of texts, or one text");
    refused("tags: {a: b}\n", 1, "\"tags\" is a mapping, expected a list of texts, or one text");
    /* What a recipe says reaches the terminal without its control characters. */
    refused("beta: \"\\e[31mred\"\n", 1, "\"beta\" is \"\\u001b[31mred\", expected a number");
}

/* null says "none": fine for a text and for what is absent by default, else likely a mistake. */
static void test_null(void **state)
{
    (void)state;
    recipe *r = loaded("model: null\nnote: ~\ndelta:\ntop_k: null\nother_loss: Null\nrewards:\n"
                       "tags: NULL\nlora:\n",
                       NULL);
    assert_null(s.model);
    assert_string_equal(s.note, "a: b");
    assert_true(isnan(s.delta));
    assert_int_equal(s.optional_loss, -1);
    recipe_free(r);
}

static void test_null_refused(void **state)
{
    (void)state;
    refused(
        "max_steps:\n", 1,
        "\"max_steps\" is empty, expected an integer from 1 to 1000000; delete the line for the "
        "default, 100");
    refused("model: m\nbeta: null\n", 2,
            "\"beta\" is null, expected a number; delete the line for the default, 0.0");
    refused(
        "loss_type: ~\n", 1,
        "\"loss_type\" is null, expected \"grpo\", \"bnpo\", \"dr_grpo\" or \"dapo\"; delete the "
        "line for the default, bnpo");
    /* A text that was set becomes its default again. */
    recipe *r = loaded("model: m\nnote: n\n", (const char *[]){"model=null", "note=", NULL});
    assert_null(s.model);
    assert_string_equal(s.note, "a: b");
    int line = -1;
    assert_true(recipe_given(r, NULL, "model", &line));
    assert_int_equal(line, 0);
    recipe_free(r);
}

/* --- keys --- */

static void test_unknown_keys(void **state)
{
    (void)state;
    refused("model: m\nlearning_rat: 1\n", 2,
            "\"learning_rat\" is not a known key; did you mean \"learning_rate\"?");
    refused("per_device_train_batchsize: 1\n", 1,
            "\"per_device_train_batchsize\" is not a known key; did you mean "
            "\"per_device_train_batch_size\"?");
    refused("lora:\n  r: 4\n  target_module: q_proj\n", 3,
            "\"lora.target_module\" is not a known key; did you mean \"lora.target_modules\"?");
    refused("lorra:\n  r: 4\n", 1, "\"lorra\" is not a known key; did you mean \"lora\"?");
    refused("zebra_crossing: 4\n", 1,
            "\"zebra_crossing\" is not a known key, and none is near it; --help lists them");
    refused("r: 4\n", 1, "\"r\" is not a known key; did you mean \"lora.r\"?");
    refused("lora:\n  max_steps: 4\n", 2,
            "\"lora.max_steps\" is not a known key; it belongs at the top level: \"max_steps\"");
    refused("lora.r: 4\n", 1,
            "\"lora.r\" is written as a mapping: \"lora:\", and the key indented under it");
    refused("rewards.push: a\n", 1,
            "\"rewards.push\" cannot be set by itself; give \"rewards\" whole");
    refused("\"mod\\nel\": 1\n", 1, "\"mod⏎ el\" is not a known key; did you mean \"model\"?");
}

static void test_reserved(void **state)
{
    (void)state;
    refused("use_vllm: true\n", 1, "\"use_vllm\" is known but not built yet: sampling is built in");
    refused("lora: {use_dora: true}\n", 1,
            "\"lora.use_dora\" is known but not built yet: only plain LoRA is there");
    refused("wandb: {project: x}\n", 1,
            "\"wandb\" is known but not built yet: runs are written as JSON lines");
    override_refused(
        "wandb.project=x",
        "\"wandb.project\" is known but not built yet: runs are written as JSON lines");
    override_refused("lora.use_dora=x",
                     "\"lora.use_dora\" is known but not built yet: only plain LoRA is there");
    /* A reserved key of a section is not reserved outside it, nor is a longer name. */
    refused("use_dora: true\n", 1,
            "\"use_dora\" is not a known key, and none is near it; --help lists them");
    refused("use_vllm_please: true\n", 1,
            "\"use_vllm_please\" is not a known key, and none is near it; --help lists them");
}

static void test_documents(void **state)
{
    (void)state;
    refused("lora: 5\n", 1, "\"lora\" is 5, expected a section: a mapping of its keys");
    refused("lora: [r]\n", 1, "\"lora\" is a list, expected a section: a mapping of its keys");
    refused("- model\n", 1, "the recipe is a list, expected lines of \"key: value\"");
    refused("hello\n", 1, "the recipe is \"hello\", expected lines of \"key: value\"");
    refused("model: a\nmodel: b\n", 2, "the key \"model\" appears twice");
    recipe *r;
    assert_int_equal(load(&r, "model: [a\n", NULL), ERR_USAGE);
    assert_non_null(strstr(err.where, "r.yaml:"));
    /* The same as JSON. */
    r = loaded("{\"model\": \"m\", \"lora\": {\"r\": 4}, \"shuffle\": false}", NULL);
    assert_int_equal(lora.r, 4);
    recipe_free(r);
    assert_int_equal(
        recipe_load(&r, "no/such.yaml", NULL, 0, tables, ARRAY_LENGTH(tables), NULL, 0, &err),
        ERR_USAGE);
    assert_int_equal(err.code, ERR_USAGE);
    assert_string_equal(err.where, "no/such.yaml");
    /* No file at all: defaults and overrides. */
    assert_int_equal(recipe_load(&r, NULL, (const char *[]){"max_steps=3"}, 1, tables,
                                 ARRAY_LENGTH(tables), NULL, 0, NULL),
                     0);
    assert_int_equal(s.steps, 3);
    recipe_free(r);
}

static void test_aliases(void **state)
{
    (void)state;
    recipe *r = loaded("learning_rate: 1e-5\nmodel: m\nlr: 0.00001\n", NULL);
    assert_true(s.rate == 1e-5);
    recipe_free(r);
    refused("learning_rate: 1e-5\nmodel: m\nlr: 2e-5\n", 3,
            "\"learning_rate\" is 1e-05 on line 1 but \"lr\" is 2e-05 on line 3, and these are two "
            "names of one option; give it once");
    refused(
        "batch: 2\nper_device_train_batch_size: 3\n", 2,
        "\"batch\" is 2 on line 1 but \"per_device_train_batch_size\" is 3 on line 2, and these "
        "are two names of one option; give it once");
    refused(
        "lora:\n  rank: 2\n  r: 3\n", 3,
        "\"lora.rank\" is 2 on line 2 but \"lora.r\" is 3 on line 3, and these are two names of "
        "one option; give it once");
    r = loaded("seeds: [5]\nseed: 5\n", NULL);
    recipe_free(r);
    refused(
        "seeds: [5]\nseed: 6\n", 2,
        "\"seeds\" is [5] on line 1 but \"seed\" is [6] on line 2, and these are two names of one "
        "option; give it once");
}

/* --- overrides --- */

static void test_overrides(void **state)
{
    (void)state;
    const char *const set[] = {"lora.r=8",
                               "lr=1e-5",
                               "max_steps=7",
                               "max_steps=9",
                               "model=a=b",
                               "rewards={push: [length]}",
                               "lora.rank=8",
                               "seeds=[1, 2, 3]",
                               "tags=x",
                               "note=\"q: r\"",
                               "lora={lora_alpha: 4}",
                               "delta=",
                               NULL};
    recipe *r = loaded("learning_rate: 3e-5\nlora:\n  r: 4\n  lora_alpha: 1\nmax_steps: 2\n", set);
    assert_int_equal(lora.r, 8);
    assert_true(lora.alpha == 4);
    assert_true(s.rate == 1e-5); /* under another name than the file's, and no conflict */
    assert_int_equal(s.steps, 9);
    assert_string_equal(s.model, "a=b");
    assert_int_equal(s.rewards->kind, YAML_MAPPING);
    assert_int_equal(s.seeds.count, 3);
    assert_string_equal(s.tags.items[0], "x");
    assert_string_equal(s.note, "q: r");
    int line = -1;
    assert_true(recipe_given(r, NULL, "learning_rate", &line));
    assert_int_equal(line, 0);
    recipe_free(r);

    override_refused("max_steps=8.5",
                     "\"max_steps\" is 8.5, expected an integer from 1 to 1000000");
    assert_string_equal(err.where, "--set max_steps=8.5");
    override_refused("max_step=8", "\"max_step\" is not a known key; did you mean \"max_steps\"?");
    override_refused("lora.rr=8", "\"lora.rr\" is not a known key; did you mean \"lora.r\"?");
    override_refused("loro.r=8", "\"loro.r\" is not a known key; did you mean \"lora.r\"?");
    override_refused("rewards.push=1", "\"rewards.push\" cannot be set by itself; give \"rewards\" "
                                       "whole");
    override_refused("lora=3", "\"lora\" is 3, expected a section: a mapping of its keys");
    override_refused("max_steps", "expected key=value");
    override_refused("=3", "expected key=value");
    override_refused("", "expected key=value");
    override_refused(
        "model=1\n- 2",
        "the value is not YAML: it holds more than one value (put quotes around text)");
    override_refused("lr=2\x1b", "the value is not YAML: control characters are not allowed (put "
                                 "quotes around text)");
    assert_string_equal(err.where, "--set lr=2\\u001b");
    refused_with(
        "model: m\n", (const char *[]){"lr=0.1", "learning_rate=0.2", NULL}, 0,
        "\"lr\" is 0.1 but \"learning_rate\" is 0.2, and these are two names of one option; "
        "give it once");
    /* A wrong value in the file stays an error, even if an override would replace it. */
    refused_with("max_steps: x\n", (const char *[]){"max_steps=3", NULL}, 1,
                 "\"max_steps\" is \"x\", expected an integer from 1 to 1000000");
}

static void test_where(void **state)
{
    (void)state;
    recipe *r = loaded("model: m\nlora:\n  rank: 4\n", (const char *[]){"lr=0.5", NULL});
    char expected[700];
    snprintf(expected, sizeof expected, "%s:3: lora.r", path);
    assert_string_equal(recipe_where(r, "lora", "r"), expected);
    snprintf(expected, sizeof expected, "%s: max_steps", path);
    assert_string_equal(recipe_where(r, NULL, "max_steps"), expected);
    assert_string_equal(recipe_where(r, NULL, "learning_rate"), "--set lr=0.5");
    recipe_free(r);
}

/* --- resolved --- */

static void test_resolved(void **state)
{
    (void)state;
    struct str json = {0};
    recipe *r = loaded("rewards: {push: [a, 1, 2.5, true, null, 1e-5, .inf, \"7\"]}\n"
                       "model: \"a\\\"b\"\n",
                       (const char *[]){"lora.r=8", NULL});
    recipe_resolved(r, &json);
    assert_string_equal(
        str_text(&json),
        "{\"model\": \"a\\\"b\", \"max_steps\": 100, \"prompts_per_step\": 1, \"top_k\": null, "
        "\"learning_rate\": 5e-06, \"beta\": 0.0, \"delta\": null, "
        "\"lora\": {\"r\": 8, \"lora_alpha\": 32.0, \"target_modules\": [\"q_proj\", \"k_proj\"]}, "
        "\"shuffle\": true, \"note\": \"a: b\", \"loss_type\": \"bnpo\", \"other_loss\": null, "
        "\"tags\": null, \"seeds\": [42, 123], "
        "\"rewards\": {\"push\": [\"a\", 1, 2.5, true, null, 1e-05, \".inf\", \"7\"]}}");
    char hash[65], expected[65];
    recipe_hash(r, hash);
    sha256_hex(expected, str_text(&json), json.length);
    assert_string_equal(hash, expected);
    json_t *parsed = json_read(str_text(&json), json.length, JSON_UNIQUE_KEYS, "", &err);
    assert_non_null(parsed);
    json_decref(parsed);
    recipe_free(r);

    /* Another order, other spellings, a value that is the default: the same recipe. */
    char again[65];
    r = loaded("lora:\n  rank: 8\nmax_steps: 100\nlr: 0.000005\n"
               "rewards:\n  push:\n  - a\n  - 1\n  - 2.50\n  - True\n  - ~\n  - 0.00001\n  - .inf\n"
               "  - '7'\nmodel: 'a\"b'\n",
               NULL);
    recipe_hash(r, again);
    assert_string_equal(again, hash);
    /* It shows what the targets hold now: an owner may have settled an open value. */
    s.top_k = 5;
    s.delta = 0.25;
    str_clear(&json);
    recipe_resolved(r, &json);
    assert_non_null(strstr(str_text(&json), "\"top_k\": 5,"));
    assert_non_null(strstr(str_text(&json), "\"delta\": 0.25,"));
    recipe_hash(r, again);
    assert_string_not_equal(again, hash);
    recipe_free(r);

    /* Given zero is zero, not absent. */
    r = loaded("top_k: 0\ntags: []\n", NULL);
    str_clear(&json);
    recipe_resolved(r, &json);
    assert_non_null(strstr(str_text(&json), "\"top_k\": 0,"));
    assert_non_null(strstr(str_text(&json), "\"tags\": [],"));
    recipe_free(r);
    str_free(&json);
}

static const struct option extra_options[] = {
    {"dropout", NULL, OPTION_FLOAT, 0, 0, 1, NULL, "0.0", "Dropout."},
};

/* A section whose options come from two modules is one object. */
static void test_shared_section(void **state)
{
    (void)state;
    double dropout;
    const struct option_table shared[] = {
        {"lora", lora_options, ARRAY_LENGTH(lora_options), &lora, false},
        {"lora", extra_options, ARRAY_LENGTH(extra_options), &dropout, false},
    };
    recipe *r;
    assert_int_equal(recipe_load(&r, NULL, (const char *[]){"lora.dropout=0.5", "lora.r=2"}, 2,
                                 shared, 2, NULL, 0, &err),
                     0);
    assert_true(dropout == 0.5);
    struct str json = {0};
    recipe_resolved(r, &json);
    assert_string_equal(str_text(&json),
                        "{\"lora\": {\"r\": 2, \"lora_alpha\": 32.0, \"target_modules\": "
                        "[\"q_proj\", \"k_proj\"], \"dropout\": 0.5}}");
    str_free(&json);
    recipe_free(r);
}

/* What stands aside is read and written out like the rest, but is no part of what a run is. */
static void test_aside(void **state)
{
    (void)state;
    struct {
        int steps, watched;
    } t;
    static const struct option own[] = {{"steps", NULL, OPTION_INT, 0, 0, 0, NULL, "3", "Steps."}};
    static const struct option beside[] = {
        {"watched", NULL, OPTION_INT, sizeof(int), 0, 0, NULL, "1", "Watched."}};
    const struct option_table both[] = {{NULL, own, 1, &t, false}, {NULL, beside, 1, &t, true}};
    char hash[2][65];
    for (int i = 0; i < 2; i++) {
        recipe *r;
        struct str json = {0}, all = {0};
        const char *set[] = {i ? "watched=2" : "watched=1"};
        assert_int_equal(recipe_load(&r, NULL, set, 1, both, 2, NULL, 0, &err), 0);
        assert_int_equal(t.watched, 1 + i);
        recipe_resolved(r, &json);
        recipe_resolved_all(r, &all);
        recipe_hash(r, hash[i]);
        assert_string_equal(str_text(&json), "{\"steps\": 3}");
        assert_string_equal(str_text(&all), i ? "{\"steps\": 3, \"watched\": 2}"
                                              : "{\"steps\": 3, \"watched\": 1}");
        str_free(&json);
        str_free(&all);
        recipe_free(r);
    }
    assert_string_equal(hash[0], hash[1]);
}

static void test_node_json(void **state)
{
    (void)state;
    static const char text[] =
        "a: [1, -2, 0x10, 010, 1.5, 1e3, .5, yes, \"yes\", true, ~, '', .nan, "
        "99999999999999999999, 1e999, á]\nb: {c: {}}\n";
    struct yaml_node root;
    assert_int_equal(yaml_parse(&root, text, strlen(text), "t", &err), 0);
    json_t *value = recipe_node_json(&root);
    assert_non_null(value);
    char *dumped = json_dumps(value, JSON_COMPACT);
    assert_string_equal(dumped, "{\"a\":[1,-2,16,10,1.5,1000.0,0.5,\"yes\",\"yes\",true,null,\"\","
                                "\".nan\",1e20,\"1e999\",\"á\"],\"b\":{\"c\":{}}}");
    mem_free(dumped);
    json_decref(value);
    yaml_free(&root);
}

/* --- memory, help --- */

/* Whichever allocation fails: ERR_MACHINE, nothing leaks, nothing dangles. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] =
        "model: m\nlr: 0.5\nlearning_rate: 0.5\ntags: [a, b]\nlora: {r: 2}\n";
    const char *const set[] = {"lora.rank=3", "rewards=[a]"};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
    size_t blocks = mem_stats().live_blocks;
    int failures = 0, status = ERR_MACHINE;
    for (long n = 0; status == ERR_MACHINE; n++) {
        recipe *r = NULL;
        mem_fail_after(n);
        status = recipe_load(&r, path, set, 2, tables, ARRAY_LENGTH(tables), reserved,
                             ARRAY_LENGTH(reserved), &err);
        mem_fail_after(-1);
        failures += status == ERR_MACHINE;
        if (status)
            assert_null(s.model);
        recipe_free(r);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_int_equal(status, 0);
    assert_true(failures > 40);
    /* The same while composing an error. */
    static const char bad[] = "lr: 0.5\nlearning_rate: 0.25\n";
    assert_int_equal(file_write_atomic(path, bad, strlen(bad), &err), 0);
    status = ERR_MACHINE;
    for (long n = 0; status == ERR_MACHINE; n++) {
        recipe *r = NULL;
        mem_fail_after(n);
        status = recipe_load(&r, path, NULL, 0, tables, ARRAY_LENGTH(tables), NULL, 0, &err);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, blocks);
    }
    assert_int_equal(status, ERR_USAGE);
}

static void test_help(void **state)
{
    (void)state;
    static const char *const kinds[] = {"a", "b", NULL};
    static const char *const many[] = {"a_rather_long_choice", "another_long_choice", "x", NULL};
    static const struct option options[] = {
        {"rank", NULL, OPTION_INT, 0, 0, 0, NULL, "16", "Rank of the adapter."},
        {"kind", "sort type", OPTION_CHOICE, 0, 0, 0, kinds, NULL,
         "Which of the two, in a sentence that is long enough to go on in a second line of help, "
         "aligned with the first."},
        {"other", NULL, OPTION_CHOICE, 0, 0, 0, many, "x", "Short."},
    };
    const struct option_table table = {"lora", options, ARRAY_LENGTH(options), NULL, false};
    struct str out = {0};
    option_table_help(&out, &table);
    assert_string_equal(
        str_text(&out),
        "  lora.rank   integer  Rank of the adapter. Default: 16.\n"
        "  lora.kind   a|b      Which of the two, in a sentence that is long enough to go on in a "
        "second line\n"
        "                       of help, aligned with the first. Also: sort type.\n"
        "  lora.other  a_rather_long_choice|another_long_choice|x\n"
        "                       Short. Default: x.\n");
    for (const char *line = str_text(&out); *line;) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= 100);
        line += length + 1;
    }
    str_free(&out);
}

/* A line of exactly 100 columns fits, one of 101 breaks; an é is one column. */
static void test_help_width(void **state)
{
    (void)state;
    char help[200];
    struct option option = {.name = "a", .type = OPTION_STRING, .help = help};
    const struct option_table table = {NULL, &option, 1, NULL, false};
    for (int extra = 0; extra < 2; extra++) {
        struct str out = {0};
        size_t length = 0; /* help starts in column 11: 40 + 1 + 48 columns are left */
        for (int i = 0; i < 40; i++)
            help[length++] = 'x';
        length += (size_t)sprintf(help + length, " \xC3\xA9");
        for (int i = 0; i < 47 + extra; i++)
            help[length++] = 'y';
        help[length] = 0;
        option_table_help(&out, &table);
        assert_int_equal(strcspn(str_text(&out), "\n"), extra ? 51 : 101);
        str_free(&out);
    }
}

static void test_scalar_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scalar_type type;
    } cases[] = {{"", SCALAR_NULL},           {"~", SCALAR_NULL},      {"NULL", SCALAR_NULL},
                 {"nULL", SCALAR_TEXT},       {"True", SCALAR_BOOL},   {"tRUE", SCALAR_TEXT},
                 {"on", SCALAR_TEXT},         {"1", SCALAR_INT},       {"-0", SCALAR_INT},
                 {"+", SCALAR_TEXT},          {"0b1", SCALAR_TEXT},    {"0o8", SCALAR_TEXT},
                 {"-0x1", SCALAR_TEXT},       {"0xfF", SCALAR_INT},    {"1.5.2", SCALAR_TEXT},
                 {"12:30", SCALAR_TEXT},      {"+.INF", SCALAR_FLOAT}, {"-.nan", SCALAR_TEXT},
                 {"2026-01-01", SCALAR_TEXT}, {"1e5", SCALAR_FLOAT},   {"1e+", SCALAR_TEXT},
                 {" 1", SCALAR_TEXT}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct yaml_node node = {.kind = YAML_SCALAR, .text = (char *)(uintptr_t)cases[i].text};
        if (scalar_read(&node).type != cases[i].type)
            fail_msg("\"%s\" is of type %d", cases[i].text, (int)scalar_read(&node).type);
        node.quoted = true;
        assert_int_equal(scalar_read(&node).type, SCALAR_TEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_file_values),
        cmocka_unit_test(test_floats),       cmocka_unit_test(test_integers),
        cmocka_unit_test(test_booleans),     cmocka_unit_test(test_choices),
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_null),
        cmocka_unit_test(test_null_refused), cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_aside),        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_documents),    cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_overrides),    cmocka_unit_test(test_where),
        cmocka_unit_test(test_resolved),     cmocka_unit_test(test_shared_section),
        cmocka_unit_test(test_node_json),    cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_help),         cmocka_unit_test(test_help_width),
        cmocka_unit_test(test_scalar_types),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
