/* test_run.c: `grpo run` from outside, on the demo's model and few rows: the whole way with two
 * seeds, the same command again, each gate saying no, ranges of stages, a signal, and SIGKILL at
 * random moments. The binary is the one of this configuration: build/<config>/grpo. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

static char binary[1024]; /* set in main */

/* --- a recipe on few rows, and runs of it --- */

struct ground {
    char *folder;
    char recipe[600], out[600];
};

#define REWARDS "rewards: {push: [push], sql_qa: [{name: sql_qa_v2, known_gameable: true}]}\n"

static struct ground ground_make(const char *more)
{
    struct ground g = {.folder = temp_folder()};
    char text[4000];
    shell("cd tests/demo && for set in train:12 eval:2 test:2; do for task in push sql_qa; do "
          "grep \"\\\"task\\\": \\\"$task\" ${set%%:*}.jsonl | head -n ${set#*:} "
          ">>'%s'/${set%%:*}.jsonl; done; done",
          g.folder);
    snprintf(g.recipe, sizeof g.recipe, "%s/recipe.yaml", g.folder);
    snprintf(g.out, sizeof g.out, "%s/out", g.folder);
    snprintf(text, sizeof text,
             "model: tests/demo/model\n"
             "data: %s/train.jsonl\neval_data: %s/eval.jsonl\ntest_data: %s/test.jsonl\n"
             "lora: {r: 4, lora_alpha: 8}\nnum_generations: 4\nprompts_per_step: 2\n"
             "max_completion_length: 8\nlearning_rate: 2e-3\nmax_steps: 4\neval_steps: 2\n"
             "save_steps: 2\nseeds: [7, 9]\n%s",
             g.folder, g.folder, g.folder, more);
    write_text(g.recipe, text);
    return g;
}

/* Runs `grpo run RECIPE --out OUT ARGUMENTS`; the exit status must be this one. Its lines are in
 * FOLDER/lines, its errors in FOLDER/err. */
static void run(const struct ground *g, int status, const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command,
             "%s run '%s' --out '%s' --threads 2 %s >'%s/lines' 2>'%s/err'", binary, g->recipe,
             g->out, arguments, g->folder, g->folder);
    int code = system(command);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) == status)
        return;
    struct str text = read_bytes(in_folder(g->folder, "err"));
    struct str lines = read_bytes(in_folder(g->folder, "lines"));
    fail_msg("%s: exit %d, expected %d: %s\n%s", arguments, WEXITSTATUS(code), status,
             str_text(&text), str_text(&lines));
}

static bool holds(const struct ground *g, const char *file, const char *text)
{
    struct str all = read_bytes(in_folder(g->folder, "%s", file));
    bool found = strstr(str_text(&all), text) != NULL;
    str_free(&all);
    return found;
}

/* gates/STAGE.json below OUT/sub; json_decref. */
static json_t *gate(const struct ground *g, const char *sub, const char *stage)
{
    return json_line(in_folder(g->out, "%s/gates/%s.json", sub, stage), 0);
}

static void expect_verdict(const struct ground *g, const char *sub, const char *stage,
                           const char *verdict)
{
    json_t *saved = gate(g, sub, stage);
    const char *found = json_string_value(json_object_get(saved, "verdict"));
    if (!found || strcmp(found, verdict) != 0)
        fail_msg("%s is \"%s\", expected \"%s\": %s", stage, found ? found : "", verdict,
                 json_string_value(json_object_get(saved, "text")));
    json_decref(saved);
}

static double figure(const struct ground *g, const char *sub, const char *stage, const char *name)
{
    json_t *saved = gate(g, sub, stage);
    const json_t *value = json_object_get(json_object_get(saved, "figures"), name);
    if (!json_is_number(value))
        fail_msg("%s has no figure %s", stage, name);
    double x = json_number_value(value);
    json_decref(saved);
    return x;
}

/* Every file's hash, but for locks: nothing of it may change when nothing is to do. */
static void take_stock(const struct ground *g, const char *into)
{
    shell("cd '%s' && find out -type f ! -name .lock | LC_ALL=C sort | xargs sha256sum >%s",
          g->folder, into);
}

static const char *const shared[] = {"env",     "config", "model",   "tokens", "kv",
                                     "rewards", "audit",  "evalset", "dataset"};
static const char *const of_seed[] = {"smoke", "probe", "train", "validate", "save"};

/* --- the whole way --- */

static void check_seed(const struct ground *g, const char *seed)
{
    for (size_t i = 0; i < 5; i++)
        expect_verdict(g, seed, of_seed[i], "pass");
    for (size_t i = 0; i < 9; i++) /* a run folder is whole by itself */
        same_bytes(in_folder(g->out, "gates/%s.json", shared[i]),
                   in_folder(g->out, "%s/gates/%s.json", seed, shared[i]), shared[i]);
    assert_true(figure(g, seed, "smoke", "lora_b_matrices") == 28);
    assert_true(figure(g, seed, "smoke", "lora_b_without_gradient") == 0);
    assert_true(figure(g, seed, "probe", "steps") == 4);
    assert_true(figure(g, seed, "train", "steps") == 4);
    same_bytes(in_folder(g->out, "%s/adapter/adapter_model.safetensors", seed),
               in_folder(g->out, "%s/best_checkpoint/adapter_model.safetensors", seed), "adapter");
    same_bytes(in_folder(g->out, "%s/adapter/tokenizer.json", seed),
               "tests/demo/model/tokenizer.json", "tokenizer");
    /* Training began at step 0: its evaluation before the first step is the base model's. */
    json_t *first = json_line(in_folder(g->out, "%s/eval/step-0.json", seed), 0);
    json_t *base = json_line(in_folder(g->out, "%s/eval/base.json", seed), 0);
    assert_true(json_equal(json_object_get(first, "overall"), json_object_get(base, "overall")));
    json_decref(first);
    json_decref(base);
    assert_true(file_exists(in_folder(g->out, "%s/eval/test-best.json", seed)));
}

static void the_whole_way_and_again(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS "eval_counts: {push: 2, sql_qa: 2}\n");
    run(&g, 0, "--skip-audit --jobs 2 --json");
    assert_true(holds(&g, "err", "seed 7, step 4: eval/mean_reward "));
    assert_true(holds(&g, "err", "seed 9, step 2: eval/mean_reward "));
    for (size_t i = 0; i < 9; i++)
        expect_verdict(&g, "", shared[i],
                       strcmp(shared[i], "rewards") == 0 || strcmp(shared[i], "dataset") == 0
                           ? "warn"
                       : strcmp(shared[i], "audit") == 0 ? "skipped"
                                                         : "pass");
    check_seed(&g, "seed-7");
    check_seed(&g, "seed-9");
    assert_int_equal(count_lines(in_folder(g.folder, "lines")), 9 + 2 * 5 + 1);
    for (int i = 0; i < 20; i++) {
        json_t *line = json_line(in_folder(g.folder, "lines"), i);
        assert_true(json_is_string(json_object_get(line, "stage")));
        assert_true(json_is_false(json_object_get(line, "unchanged")));
        assert_int_equal(json_is_integer(json_object_get(line, "seed")), i >= 9 && i < 19);
        json_decref(line);
    }
    no_leftovers(g.out, "the whole way");
    /* What can be gamed is told once, by the gate about it, which keeps the words. */
    shell("test \"$(grep -c 'sql_qa_v2 can be gamed' '%s/err')\" = 1", g.folder);
    json_t *rewards = gate(&g, "", "rewards");
    const json_t *kept = json_object_get(json_object_get(rewards, "figures"), "known_gameable");
    assert_int_equal(json_array_size(kept), 1);
    assert_non_null(strstr(json_string_value(json_array_get(kept, 0)), "sql_qa_v2 can be gamed"));
    json_decref(rewards);
    take_stock(&g, "before");
    double started = clock_seconds();
    run(&g, 0, "--skip-audit");
    print_message("the same command again: %.2f s\n", clock_seconds() - started);
    assert_true(clock_seconds() - started < 2);
    assert_true(holds(&g, "lines", "nothing to do: all 20 stages are unchanged"));
    take_stock(&g, "after");
    same_bytes(in_folder(g.folder, "before"), in_folder(g.folder, "after"), "again");
    temp_folder_remove(g.folder);
}

/* --- gates that say no --- */

static void an_eval_set_stays_what_it_was(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    run(&g, 0, "--skip-audit --to evalset");
    shell("cp '%s/eval.jsonl' '%s/kept' && head -n 3 '%s/kept' >'%s/eval.jsonl'", g.folder,
          g.folder, g.folder, g.folder);
    run(&g, 1, "--skip-audit --to evalset");
    assert_true(holds(&g, "err", "expected the rows that this experiment began with"));
    run(&g, 1, "--skip-audit --to evalset --force all"); /* nor by force */
    write_text(in_folder(g.folder, "eval.jsonl"), "{\"no\": \"row\"}\n");
    run(&g, 3, "--skip-audit --to evalset"); /* what is broken in between makes no one forget */
    shell("head -n 3 '%s/kept' >'%s/eval.jsonl'", g.folder, g.folder);
    run(&g, 1, "--skip-audit --to evalset");
    run(&g, 1, "--skip-audit --to evalset --set eval_data=null --set eval_steps=0 --set seeds=[7]");
    write_text(in_folder(g.out, "gates/evalset.json"), "{");
    run(&g, 3, "--skip-audit --to evalset");
    shell("rm -r '%s/out'", g.folder);
    run(&g, 0, "--skip-audit --to evalset");
    temp_folder_remove(g.folder);
}

static void a_test_set_does_too(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    run(&g, 0, "--skip-audit --to evalset");
    shell("head -n 1 '%s/eval.jsonl' >>'%s/test.jsonl'", g.folder, g.folder);
    run(&g, 1, "--skip-audit --to evalset");
    shell("rm -r '%s/out'", g.folder);
    run(&g, 1, "--skip-audit --to evalset"); /* a row of both */
    temp_folder_remove(g.folder);
}

/* A change, the stage that says no, its status and words of its error. */
static const struct {
    const char *shell, *more, *arguments, *stage;
    int status;
    const char *says, *next; /* next: a stage that must not have run */
} noes[] = {
    {"true", "rewards: [push, sql_qa_v2]\n", "--skip-audit", "rewards", 1, "sql_qa_v2", "audit"},
    {"echo '{\"case\": \"a\", \"kind\": \"gold\", \"prompt\": \"x\", \"completion\": \"b\"}' "
     ">bad.jsonl; echo '{\"case\": \"a\", \"kind\": \"adversarial\", \"prompt\": \"x\", "
     "\"completion\": \"a\"}' >>bad.jsonl",
     "rewards: [{name: regex, params: {pattern: \"^a\"}, fixtures: %s/bad.jsonl}]\n",
     "--skip-audit", "rewards", 1, "regex", "audit"},
    {"true", REWARDS, "", "audit", 1, "grpo audit", "evalset"},
    {"tail -n 1 train.jsonl | sed 's/\"id\": \"/&x/' >>eval.jsonl", REWARDS, "--skip-audit",
     "evalset", 1, "train", "dataset"},
    {"true", REWARDS "eval_counts: {push: 3, sql_qa: 2}\n", "--skip-audit", "evalset", 1,
     "expected exactly 3 rows of task push", "dataset"},
    {"true", REWARDS "eval_counts: {push: 2}\n", "--skip-audit", "evalset", 1,
     "has 2 rows of task \"sql_qa\", expected none", "dataset"},
    {"true", REWARDS "eval_counts: {push: many}\n", "--skip-audit", "evalset", 2, "eval_counts",
     "dataset"},
    {"true", REWARDS "max_prompt_length: 3\n", "--skip-audit", "dataset", 3, "row \"", NULL},
    {"sed -i '3s/.*/{/' train.jsonl", REWARDS, "--skip-audit", "evalset", 3, "train.jsonl",
     "dataset"},
};

static void each_gate_says_no(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof noes / sizeof *noes; i++) {
        struct ground g = ground_make("");
        char more[2000];
        const char *at = strstr(noes[i].more, "%s");
        snprintf(more, sizeof more, "%.*s%s%s", at ? (int)(at - noes[i].more) : 2000, noes[i].more,
                 at ? g.folder : "", at ? at + 2 : "");
        shell("cd '%s' && { %s; }", g.folder, noes[i].shell);
        shell("cat >>'%s' <<'END'\n%s\nEND", g.recipe, more);
        run(&g, noes[i].status, noes[i].arguments);
        expect_verdict(&g, "", noes[i].stage, "fail");
        json_t *saved = gate(&g, "", noes[i].stage);
        const json_t *error = json_object_get(saved, "error");
        assert_int_equal(json_integer_value(json_object_get(error, "status")), noes[i].status);
        if (!holds(&g, "err", noes[i].says))
            fail_msg("case %zu: \"%s\" is not in %s", i, noes[i].says,
                     json_string_value(json_object_get(error, "message")));
        json_decref(saved);
        if (noes[i].next)
            assert_false(file_exists(in_folder(g.out, "gates/%s.json", noes[i].next)));
        assert_false(dir_exists(in_folder(g.out, "seed-7")));
        temp_folder_remove(g.folder);
    }
}

/* Rewards that never differ give nothing to learn from; a policy that hardly moves never clips. */
static void the_probe_says_no(void **state)
{
    (void)state;
    struct ground g = ground_make("rewards: [{name: regex, params: {pattern: \"^\"}}]\n");
    run(&g, 1, "--skip-audit --seeds 7");
    expect_verdict(&g, "seed-7", "smoke", "warn");
    expect_verdict(&g, "seed-7", "probe", "fail");
    assert_true(holds(&g, "err", "on-policy"));
    assert_true(figure(&g, "seed-7", "probe", "steps_with_signal") == 0);
    assert_false(file_exists(in_folder(g.out, "seed-7/metrics.jsonl")));
    temp_folder_remove(g.folder);

    g = ground_make(REWARDS "num_iterations: 2\nupdate_interval: 2\ntask_weights: {push: 1, "
                            "sql_qa: 1}\n");
    run(&g, 1, "--skip-audit --seeds 7 --to probe --set learning_rate=1e-9");
    assert_true(holds(&g, "err", "expected clip_ratio > 0"));
    assert_true(figure(&g, "seed-7", "probe", "steps_with_clipping") == 0);
    run(&g, 0, "--skip-audit --seeds 7 --to probe --set learning_rate=0.3 --set max_grad_norm=0");
    assert_true(figure(&g, "seed-7", "probe", "steps_with_clipping") >= 2);
    /* Every other step has no samples of its own. */
    double eos = figure(&g, "seed-7", "probe", "eos_rate");
    double informative = figure(&g, "seed-7", "probe", "informative_groups");
    assert_true(eos >= 0 && eos <= 1);
    assert_true(informative > 0 && informative <= 1);
    assert_true(figure(&g, "seed-7", "probe", "mean_length") >= 1);
    assert_true(figure(&g, "seed-7", "probe", "reward") >= 0);

    /* cispo's weights are cut, its gradient is not: off-policy, too, it is signal that counts. */
    run(&g, 0, "--skip-audit --seeds 7 --to probe --set loss_type=cispo --set epsilon_high=5");
    assert_true(figure(&g, "seed-7", "probe", "steps_with_signal") >= 2);
    temp_folder_remove(g.folder);
}

/* All zeros in the first lora_A of an adapter's file. */
static void zero_one_a(const char *path)
{
    struct str file = read_bytes(path);
    uint64_t header;
    struct err err;
    memcpy(&header, file.data, sizeof header);
    json_t *tensors = json_read(file.data + 8, header, JSON_PLAIN, path, &err), *tensor;
    const char *name;
    assert_non_null(tensors);
    json_object_foreach(tensors, name, tensor)
    {
        if (!strstr(name, "layers.0.self_attn.q_proj.lora_A"))
            continue;
        const json_t *offsets = json_object_get(tensor, "data_offsets");
        size_t from = (size_t)json_integer_value(json_array_get(offsets, 0));
        size_t to = (size_t)json_integer_value(json_array_get(offsets, 1));
        memset(file.data + 8 + header + from, 0, to - from);
    }
    assert_int_equal(file_write_atomic(path, file.data, file.length, &err), 0);
    json_decref(tensors);
    str_free(&file);
}

/* A projection whose A is all zero gives its B no gradient: nothing of it would be trained. */
static void the_smoke_says_no(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    run(&g, 0, "--skip-audit --seeds 7 --to save");
    shell("cp -r '%s/seed-7/adapter' '%s/init' && rm -r '%s'", g.out, g.folder, g.out);
    char arguments[800];
    snprintf(arguments, sizeof arguments,
             "--skip-audit --seeds 7 --to smoke --set init_adapter='%s/init'", g.folder);
    run(&g, 0, arguments);
    /* Of another rank it is told before anything is made of it. */
    char other[900];
    snprintf(other, sizeof other, "%s --set lora.r=2", arguments);
    run(&g, 2, other);
    assert_true(holds(&g, "err", "make them equal"));
    zero_one_a(in_folder(g.folder, "init/adapter_model.safetensors"));
    run(&g, 1, arguments);
    assert_true(holds(&g, "err", "layers.0.self_attn.q_proj.lora_B"));
    assert_true(figure(&g, "seed-7", "smoke", "lora_b_without_gradient") == 1);
    temp_folder_remove(g.folder);
}

/* --- completions of others for the smoke stage --- */

#define NO_SIGNAL "rewards: [{name: regex, params: {pattern: \"^\"}}]\n"

static double replay_figure(const struct ground *g, const char *name)
{
    json_t *saved = gate(g, "seed-7", "smoke");
    const json_t *replay = json_object_get(json_object_get(saved, "figures"), "replay");
    double x = json_number_value(json_object_get(replay, name));
    assert_true(json_is_integer(json_object_get(replay, name)));
    json_decref(saved);
    return x;
}

/* Lines "{…}" of a row, with what is in `more` for each, to FOLDER/file. */
static void write_lines(const struct ground *g, const char *file, const char *const *more)
{
    json_t *row = json_line(in_folder(g->folder, "train.jsonl"), 0);
    struct str text = {0};
    for (; *more; more++)
        str_printf(&text, "{\"prompt_id\": \"%s\"%s}\n",
                   json_string_value(json_object_get(row, "id")), *more);
    write_text(in_folder(g->folder, "%s", file), str_text(&text));
    str_free(&text);
    json_decref(row);
}

static void smoke(const struct ground *g, int status, const char *file, const char *more)
{
    char arguments[800];
    snprintf(arguments, sizeof arguments,
             "--skip-audit --seeds 7 --to smoke --smoke-replay '%s/%s' %s", g->folder, file, more);
    run(g, status, arguments);
}

/* A training's samples: ids, texts and rewards are taken, what another model thought of its tokens
 * is not; where its ids are of another tokenizer the texts are encoded anew. */
static void smoke_on_samples(void **state)
{
    (void)state;
    struct ground g = ground_make(NO_SIGNAL);
    shell("cd . && %s train '%s' --out '%s/other' --threads 2 --quiet --set max_steps=2 --set "
          "\"rewards=[{name: length, params: {target: 40}}]\" >/dev/null 2>&1",
          binary, g.recipe, g.folder);
    run(&g, 0, "--skip-audit --seeds 7 --to smoke");
    expect_verdict(&g, "seed-7", "smoke", "warn");
    assert_true(holds(&g, "lines", "--smoke-replay gives it completions that differ"));
    shell("cd '%s' && sed 's/\"logprobs\": \\[[^]]*\\]/\"logprobs\": \"of another\"/' "
          "other/samples.jsonl >samples.jsonl && grep -q 'of another' samples.jsonl",
          g.folder);
    smoke(&g, 0, "samples.jsonl", "");
    expect_verdict(&g, "seed-7", "smoke", "pass");
    assert_true(figure(&g, "seed-7", "smoke", "lora_b_without_gradient") == 0);
    assert_true(figure(&g, "seed-7", "smoke", "informative_groups") == 2);
    assert_true(replay_figure(&g, "different_groups") == 2);
    assert_true(replay_figure(&g, "encoded_from_text") == 0);
    assert_true(holds(&g, "lines", "its own were sampled"));
    smoke(&g, 0, "samples.jsonl", "");
    assert_true(holds(&g, "lines", "smoke     skipped  seed 7: unchanged"));
    /* the same texts under ids that mean other texts */
    shell("cd '%s' && sed 's/\"ids\": \\[/&7, 7, /' samples.jsonl >shifted.jsonl", g.folder);
    smoke(&g, 0, "shifted.jsonl", "");
    assert_true(replay_figure(&g, "encoded_from_text") == 8);
    shell("cd '%s' && sed 's/\"ids\": \\[/&99999, /' samples.jsonl >beyond.jsonl", g.folder);
    smoke(&g, 0, "beyond.jsonl", "");
    assert_true(replay_figure(&g, "encoded_from_text") == 8);
    temp_folder_remove(g.folder);
}

/* Lines that a person wrote: texts, with rewards or for the recipe's rewards to score. */
static void smoke_on_texts(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    static const char *const rewarded[] = {", \"text\": \"um\", \"reward\": 1",
                                           ", \"text\": \"dois\", \"reward\": 0",
                                           ", \"text\": \"\", \"reward\": null",
                                           ", \"text\": \"Cupom de frete hoje, aproveite agora\", "
                                           "\"reward\": 0, \"stop_reason\": \"length\"",
                                           NULL};
    write_lines(&g, "texts.jsonl", rewarded);
    smoke(&g, 0, "texts.jsonl", "");
    expect_verdict(&g, "seed-7", "smoke", "pass");
    assert_true(replay_figure(&g, "different_groups") == 1);
    assert_true(figure(&g, "seed-7", "smoke", "informative_groups") == 2); /* it comes twice */
    assert_true(replay_figure(&g, "encoded_from_text") == 4);
    assert_true(replay_figure(&g, "scored_by_the_recipe") == 0);
    assert_true(replay_figure(&g, "cut_to_length") >= 1);
    static const char *const bare[] = {
        ", \"text\": \"um\"", ", \"text\": \"\"", ", \"text\": \"Frete hoje! Use o cupom.\"",
        ", \"text\": \"[nome], clique aqui: {link} {link} {link}\"", NULL};
    write_lines(&g, "bare.jsonl", bare);
    static const char *const ways[] = {
        "--set max_completion_length=24", "--set max_completion_length=24 --set advantage=gdpo",
        "--set max_completion_length=24 --set steps_per_generation=2"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        smoke(&g, 0, "bare.jsonl", ways[i]);
        expect_verdict(&g, "seed-7", "smoke", "pass");
        assert_true(replay_figure(&g, "scored_by_the_recipe") == 4);
    }
    temp_folder_remove(g.folder);
}

static const struct {
    const char *lines[5];
    const char *says;
} bad_replays[] = {
    {{NULL}, "holds no completion"},
    {{", \"text\": \"a\", \"reward\": 1", ", \"text\": \"b\", \"reward\": 0"},
     "no group of num_generations 4 completions of one prompt, one behind the other: the largest "
     "has 2"},
    {{", \"text\": \"a\", \"reward\": 0.5", ", \"text\": \"b\", \"reward\": 0.5",
      ", \"text\": \"c\", \"reward\": 0.5", ", \"text\": \"d\", \"reward\": 0.5"},
     "has 1 whole groups, and in each of them all rewards are equal (0.5 in the last)"},
    {{", \"text\": \"a\", \"reward\": 1", ", \"text\": \"b\"", ", \"text\": \"c\"",
      ", \"text\": \"d\""},
     "line 4: ends a group in which 3 of 4 completions have no \"reward\""},
    {{", \"ids\": [5, 99999], \"reward\": 1"},
     "line 1: has id 99999, but the model's vocabulary ends at"},
    {{", \"ids\": [5, -1], \"reward\": 1"}, "line 1: \"ids\" has no token id at position 1"},
    {{", \"ids\": 5, \"text\": \"a\""}, "line 1: \"ids\" is"},
    {{", \"reward\": 1"}, "line 1: has neither \"ids\" nor a \"text\""},
    {{", \"text\": [1]"}, "line 1: \"text\" is"},
    {{", \"text\": \"a\", \"reward\": \"good\"", ", \"text\": \"b\", \"reward\": 0",
      ", \"text\": \"c\", \"reward\": 1", ", \"text\": \"d\", \"reward\": 0"},
     "\"reward\" is"},
    {{", \"text\": \"a\"", ", \"text\""}, "line 2"},
};

static void smoke_on_what_is_none(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    for (size_t i = 0; i < sizeof bad_replays / sizeof *bad_replays; i++) {
        write_lines(&g, "bad.jsonl", bad_replays[i].lines);
        smoke(&g, 3, "bad.jsonl", "");
        expect_verdict(&g, "seed-7", "smoke", "fail");
        if (!holds(&g, "err", bad_replays[i].says)) {
            struct str text = read_bytes(in_folder(g.folder, "err"));
            fail_msg("\"%s\" is not in: %s", bad_replays[i].says, str_text(&text));
        }
    }
    write_text(in_folder(g.folder, "bad.jsonl"), "{\"prompt_id\": \"x9\", \"text\": \"a\"}\n"
                                                 "{\"prompt_id\": 7, \"text\": \"a\"}\n");
    smoke(&g, 3, "bad.jsonl", "");
    assert_true(holds(&g, "err", "has 2 completions, none of them of a row of "));
    assert_true(holds(&g, "err", "(the first is of prompt \"x9\")"));
    write_text(in_folder(g.folder, "bad.jsonl"), "{\"text\": \"a\"}\n");
    smoke(&g, 3, "bad.jsonl", "");
    assert_true(holds(&g, "err", "line 1: has no \"prompt_id\""));
    shell("rm -r '%s/out'", g.folder); /* not there: said before anything is done */
    smoke(&g, 3, "nowhere.jsonl", "");
    assert_false(file_exists(in_folder(g.out, "gates/env.json")));
    temp_folder_remove(g.folder);
}

/* --- the audit --- */

/* `grpo audit` with a sheet of scores from `first` on in steps of `step`, in the completions'
 * order: the demo's model is good at pushes, which come first, so that falling scores agree with
 * the rewards and rising ones do not. */
static void audit_sized(const struct ground *g, int first, int step, const char *n_per_task)
{
    shell("cd . && { test -e '%s/audit/completions.jsonl' || %s audit '%s' --out '%s' --threads 2 "
          "--quiet --n-per-task %s </dev/null >/dev/null 2>&1 || true; }",
          g->out, binary, g->recipe, g->out, n_per_task);
    shell("{ echo id,human_score; sed 's/^{\"id\": \"\\([^\"]*\\)\".*/\\1/' "
          "'%s/audit/completions.jsonl' | awk -v OFS=, '{ v = %d + (%d) * (NR - 1); print $0, v < "
          "0 ? 0 : v }'; } "
          ">'%s/sheet.csv'",
          g->out, first, step, g->folder);
    shell("%s audit '%s' --out '%s' --threads 2 --quiet --n-per-task %s --scores '%s/sheet.csv' "
          ">/dev/null 2>&1 || true",
          binary, g->recipe, g->out, n_per_task, g->folder);
    assert_true(file_exists(in_folder(g->out, "audit/audit.json")));
}

static void audit(const struct ground *g, int first, int step)
{
    audit_sized(g, first, step, "5");
}

static void an_audit_that_counts(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    audit(&g, 10, -1);
    run(&g, 0, "--to audit");
    expect_verdict(&g, "", "audit", "pass");
    double rho = figure(&g, "", "audit", "rho");
    assert_true(rho > 0.7 && rho < 1);
    char bound[200];
    snprintf(bound, sizeof bound, "--to audit --set audit_min_rho=%.17g", rho);
    run(&g, 1, bound); /* above, not at */
    run(&g, 1, "--to audit --set audit_gate_on_lower_bound=true");
    assert_true(holds(&g, "err", "the lower end of rho"));
    run(&g, 0, "--to audit");
    run(&g, 1, "--to audit --set rewards=[push,{name:\\ length,params:\\ {target:\\ 20}}]");
    assert_true(holds(&g, "err", "stale"));
    shell("sed -i 's/a/e/' '%s/audit/completions.jsonl'", g.out);
    run(&g, 1, "--to audit");
    assert_true(holds(&g, "err", "completions.jsonl"));
    shell("rm -r '%s/audit'", g.out);
    run(&g, 1, "--to audit");
    assert_true(holds(&g, "err", "has no verdict"));
    audit(&g, 0, 1);
    run(&g, 1, "--to audit");
    expect_verdict(&g, "", "audit", "fail");
    run(&g, 0, "--to audit --skip-audit");
    expect_verdict(&g, "", "audit", "skipped");
    temp_folder_remove(g.folder);
}

/* Rows of the synthetic shop are scored by the program that knows their truth, and the gate says
 * so; no other rows are. */
static void the_simulated_rater(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS "audit_rater: simulated\n");
    run(&g, 2, "--to audit");
    assert_true(holds(&g, "err", "audit_rater: is simulated, but row"));
    assert_false(dir_exists(in_folder(g.out, "audit")));
    shell("%s data synth --seed 3 --out '%s/shop' >/dev/null", binary, g.folder);
    char text[2000];
    snprintf(text, sizeof text,
             "model: assets/demo/model\ndata: %s/shop/train.jsonl\neval_data: %s/shop/eval.jsonl\n"
             "rewards: {extraction: [extraction], sql_qa: [{name: sql_exec, params: {folder: "
             "'%s/shop'}}], insights: [insights], push: [push]}\n"
             "lora: {r: 4, lora_alpha: 8}\nmax_completion_length: 64\nmax_steps: 4\n"
             "audit_rater: simulated\n",
             g.folder, g.folder, g.folder);
    write_text(g.recipe, text);
    run(&g, 0, "--to audit");
    expect_verdict(&g, "", "audit", "warn");
    assert_true(holds(&g, "lines", "SIMULATED rater, no person"));
    assert_true(figure(&g, "", "audit", "n") == 20);
    assert_true(figure(&g, "", "audit", "rho") > 0.7);
    take_stock(&g, "before");
    run(&g, 0, "--to audit");
    assert_true(holds(&g, "lines", "nothing to do"));
    /* What is missing is made again, the same; what was tampered with is never taken. */
    shell("rm '%s/audit/audit.json'", g.out);
    run(&g, 0, "--to audit");
    assert_true(holds(&g, "lines", "audit     warn"));
    shell("sed -i 's/a/e/' '%s/audit/completions.jsonl'", g.out);
    run(&g, 2, "--to audit");
    shell("rm -r '%s/audit'", g.out);
    run(&g, 0, "--to audit");
    take_stock(&g, "after");
    shell("cd '%s' && grep audit/ before >a && grep audit/ after >b && cmp a b", g.folder);
    /* A person's word counts more. */
    audit(&g, 10, 0);
    run(&g, 1, "--to audit");
    expect_verdict(&g, "", "audit", "fail");
    assert_false(holds(&g, "lines", "SIMULATED"));
    temp_folder_remove(g.folder);
}

/* More completions than the gate asks for are worth more, fewer are not enough. */
static void a_larger_audit_counts(void **state)
{
    (void)state;
    static const struct {
        const char *n;
        int status, rows;
        const char *says;
    } cases[] = {{"4", 1, 8, "the completions a task (4, expected 5 or more)"}, {"7", 0, 14, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ground g = ground_make(REWARDS);
        shell("%s audit '%s' --out '%s' --threads 2 --quiet --n-per-task %s </dev/null >/dev/null "
              "2>&1 || true",
              binary, g.recipe, g.out, cases[i].n);
        assert_int_equal(count_lines(in_folder(g.out, "audit/completions.jsonl")), cases[i].rows);
        audit_sized(&g, 10, -1, cases[i].n);
        run(&g, cases[i].status, "--to audit");
        assert_true(holds(&g, "err", cases[i].says));
        if (!cases[i].status) {
            assert_true(figure(&g, "", "audit", "n") == cases[i].rows);
            run(&g, 0, "--to audit");
            assert_true(holds(&g, "lines", "audit     skipped  unchanged"));
            /* what it is of is looked at as before */
            run(&g, 1, "--to audit --set rewards=[push,{name:\\ length,params:\\ {target:\\ 20}}]");
            assert_true(holds(&g, "err", "stale"));
        }
        temp_folder_remove(g.folder);
    }
}

/* --- ranges --- */

static void ranges_of_stages(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    run(&g, 2, "--skip-audit --from dataset"); /* nothing has passed yet */
    assert_true(holds(&g, "err", "expected stage env to have passed"));
    run(&g, 0, "--skip-audit --to kv");
    assert_false(file_exists(in_folder(g.out, "gates/rewards.json")));
    run(&g, 0, "--skip-audit --from rewards --to probe --seeds 7");
    assert_int_equal(count_lines(in_folder(g.folder, "lines")), 4 + 2);
    assert_false(file_exists(in_folder(g.out, "seed-7/gates/train.json")));
    run(&g, 0, "--skip-audit --to probe --seeds 7 --force kv");
    assert_int_equal(count_lines(in_folder(g.folder, "lines")), 9 + 2);
    assert_true(holds(&g, "lines", "kv        pass"));
    assert_true(holds(&g, "lines", "smoke     skipped"));
    /* another learning rate is another plan and another training, but the same rewards */
    run(&g, 0, "--skip-audit --to probe --seeds 7 --set learning_rate=1e-3");
    assert_true(holds(&g, "lines", "rewards   skipped"));
    assert_true(holds(&g, "lines", "dataset   warn"));
    assert_true(holds(&g, "lines", "smoke     pass"));
    run(&g, 2, "--from smokey");
    assert_true(holds(&g, "err", "did you mean \"smoke\"?; there are env, config, model, "));
    run(&g, 2, "--skip-audit --force");
    assert_true(holds(&g, "err", "--force needs a value: --force STAGE; there are env, config, "));
    assert_true(holds(&g, "err", ", save, report, all"));
    run(&g, 2, "--force --skip-audit");
    assert_true(holds(&g, "err", "--force needs a value"));
    run(&g, 2, "--force everything");
    assert_true(holds(&g, "err", "there is no stage \"everything\"; there are env, "));
    run(&g, 2, "--from probe --to kv");
    run(&g, 2, "--seeds 7,x");
    run(&g, 2, "--seeds 7,7");
    run(&g, 2, "--seeds -1");
    temp_folder_remove(g.folder);
}

static void force_trains_anew(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    run(&g, 0, "--skip-audit --seeds 7");
    write_text(in_folder(g.out, "seed-7/checkpoints/step-2/mark"), "old");
    run(&g, 0, "--skip-audit --seeds 7 --force validate");
    assert_true(file_exists(in_folder(g.out, "seed-7/checkpoints/step-2/mark")));
    run(&g, 0, "--skip-audit --seeds 7 --force train");
    assert_false(file_exists(in_folder(g.out, "seed-7/checkpoints/step-2/mark")));
    expect_verdict(&g, "seed-7", "train", "pass");
    /* what a stage made is part of its record: taken away, it is made again */
    shell("rm -r '%s/seed-7/adapter'", g.out);
    run(&g, 0, "--skip-audit --seeds 7");
    assert_true(file_exists(in_folder(g.out, "seed-7/adapter/adapter_model.safetensors")));
    temp_folder_remove(g.folder);
}

static void a_script_for_a_cluster(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    char arguments[700];
    snprintf(arguments, sizeof arguments, "--skip-audit --array '%s/array.sh'", g.folder);
    run(&g, 0, arguments);
    assert_false(dir_exists(g.out));
    assert_true(holds(&g, "array.sh", "#SBATCH --array=0-1\n"));
    shell("SLURM_ARRAY_TASK_ID=1 sh '%s/array.sh' >'%s/lines' 2>'%s/err'", g.folder, g.folder,
          g.folder);
    expect_verdict(&g, "seed-9", "save", "pass");
    assert_false(dir_exists(in_folder(g.out, "seed-7")));
    temp_folder_remove(g.folder);
}

/* --- seeds that end badly --- */

static void a_crashed_seed_leaves_the_others(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    shell("mkdir -p '%s/seed-7/checkpoints/step-2' && echo '{' "
          ">'%s/seed-7/checkpoints/step-2/state.json'",
          g.out, g.out);
    run(&g, 3, "--skip-audit");
    assert_true(holds(&g, "err", "seed 7 (status 3)"));
    expect_verdict(&g, "seed-7", "train", "fail");
    expect_verdict(&g, "seed-9", "save", "pass");
    assert_false(file_exists(in_folder(g.out, "gates/report.json")));
    shell("rm -r '%s/seed-7/checkpoints'", g.out);
    run(&g, 0, "--skip-audit");
    assert_true(holds(&g, "lines", "train     skipped  seed 9: unchanged"));
    expect_verdict(&g, "seed-7", "save", "pass");
    temp_folder_remove(g.folder);
}

/* The program in a process of its own. */
static pid_t start(const struct ground *g, const char *seeds)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int to = open("/dev/null", O_WRONLY);
        dup2(to, 1);
        dup2(to, 2);
        execl(binary, binary, "run", g->recipe, "--out", g->out, "--skip-audit", "--threads", "2",
              "--quiet", "--seeds", seeds, NULL);
        _exit(127);
    }
    return child;
}

static int wait_for(pid_t child)
{
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

static void a_signal_saves(void **state)
{
    (void)state;
    struct ground g = ground_make(REWARDS);
    shell("sed -i 's/max_steps: 4/max_steps: 400/; s/eval_steps: 2/eval_steps: 0/; s/save_steps: "
          "2/save_steps: 1000/' '%s'",
          g.recipe);
    pid_t child = start(&g, "7");
    assert_true(wait_for_lines(child, in_folder(g.out, "seed-7/metrics.jsonl"), 3));
    kill(child, SIGINT);
    assert_int_equal(wait_for(child), 130);
    int saved = latest_checkpoint(in_folder(g.out, "seed-7"));
    print_message("interrupted; step %d is saved\n", saved);
    assert_true(saved >= 2 && saved < 400);
    assert_false(file_exists(in_folder(g.out, "seed-7/gates/train.json")));
    temp_folder_remove(g.folder);
}

/* --- SIGKILL --- */

/* The bytes of everything but clocks and memory: of a record what is before "started", of a
 * checkpoint's state without the length of timing.jsonl; of the report the text without its table
 * of times (the page says the same, and its record has the hashes of both). */
static void list_without_clocks(const char *out, const char *into)
{
    shell("cd '%s' && for f in $(find . -type f ! -name .lock ! -name timing.jsonl ! -name "
          "report.html ! -name report.json | LC_ALL=C sort); do echo \"$f $(sed 's/, \"started\": "
          ".*//; s/\"timing_bytes\": *[0-9]*//; "
          "/ MiB |$/d; /of this machine for steps/d; /^- Stages of seed/d' $f | sha256sum)\"; done "
          ">'%s'",
          out, into);
}

static void killed_at_any_moment(void **state)
{
    (void)state;
    enum { KILLS = 6 };
    struct ground g = ground_make(REWARDS);
    char whole[700], cut[700];
    double started = clock_seconds();
    run(&g, 0, "--skip-audit --quiet");
    double length = clock_seconds() - started;
    snprintf(whole, sizeof whole, "%s/whole", g.folder);
    snprintf(cut, sizeof cut, "%s/cut", g.folder);
    list_without_clocks(g.out, whole);
    shell("rm -r '%s'", g.out);
    srand((unsigned)time(NULL));
    int kills = 0;
    for (int i = 0; i < KILLS; i++) {
        pid_t child = start(&g, "7,9");
        usleep((useconds_t)(length * 1e6 * rand() / RAND_MAX / KILLS * 2));
        kill(child, SIGKILL);
        kills += wait_for(child) == 128 + SIGKILL;
    }
    run(&g, 0, "--skip-audit --quiet");
    list_without_clocks(g.out, cut);
    print_message("%d kills within %.1f s\n", kills, length);
    same_bytes(whole, cut, "killed");
    no_leftovers(g.out, "killed");
    temp_folder_remove(g.folder);
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_run\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_way_and_again),
        cmocka_unit_test(an_eval_set_stays_what_it_was),
        cmocka_unit_test(a_test_set_does_too),
        cmocka_unit_test(each_gate_says_no),
        cmocka_unit_test(the_probe_says_no),
        cmocka_unit_test(the_smoke_says_no),
        cmocka_unit_test(smoke_on_samples),
        cmocka_unit_test(smoke_on_texts),
        cmocka_unit_test(smoke_on_what_is_none),
        cmocka_unit_test(an_audit_that_counts),
        cmocka_unit_test(the_simulated_rater),
        cmocka_unit_test(a_larger_audit_counts),
        cmocka_unit_test(ranges_of_stages),
        cmocka_unit_test(force_trains_anew),
        cmocka_unit_test(a_script_for_a_cluster),
        cmocka_unit_test(a_crashed_seed_leaves_the_others),
        cmocka_unit_test(a_signal_saves),
        cmocka_unit_test(killed_at_any_moment),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
