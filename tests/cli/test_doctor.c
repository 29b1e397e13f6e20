/* test_doctor.c: `grpo doctor` from outside: the fields that scripts lean on, the checks that say
 * no (a double beginning-of-text token, evaluation rows that are training rows), warnings, exit
 * statuses; and the plan it prints against the memory that the training then takes, as the system
 * counts it. The binary is the one of this configuration: build/<config>/grpo. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sanitizer.h"
#include "base/str.h"
#include "model/full.h"

static char binary[1024]; /* set in main */

struct ground {
    char *folder, recipe[600];
};

static struct ground ground_make(const char *more)
{
    struct ground g = {.folder = temp_folder()};
    char text[3000];
    snprintf(g.recipe, sizeof g.recipe, "%s/recipe.yaml", g.folder);
    snprintf(text, sizeof text, TRAIN_RECIPE "%s", more);
    write_text(g.recipe, text);
    return g;
}

/* Runs `grpo doctor ARGUMENTS --json`; the exit status must be this one. The report, or NULL when
 * nothing was printed; json_decref. */
static json_t *doctor(const struct ground *g, int status, const char *arguments)
{
    struct str text = {0};
    struct err err = {0};
    char command[4096];
    snprintf(command, sizeof command, "%s doctor '%s' --json --out '%s' %s >'%s/out' 2>'%s/err'",
             binary, g->recipe, g->folder, arguments, g->folder, g->folder);
    int code = system(command);
    assert_true(WIFEXITED(code));
    if (WEXITSTATUS(code) != status) {
        text = read_bytes(in_folder(g->folder, "err"));
        fail_msg("%s: exit %d, expected %d: %s", arguments, WEXITSTATUS(code), status,
                 str_text(&text));
    }
    text = read_bytes(in_folder(g->folder, "out"));
    json_t *report =
        text.length ? json_read(str_text(&text), text.length, 0, "report", &err) : NULL;
    if (text.length && !report)
        fail_msg("%s", err.message);
    str_free(&text);
    return report;
}

/* "plan.total_bytes" */
static const json_t *at(const json_t *v, const char *path)
{
    char name[200];
    snprintf(name, sizeof name, "%s", path);
    for (char *rest = name, *key; (key = strsep(&rest, "."));)
        if (!(v = json_object_get(v, key)))
            fail_msg("the report has no %s", path);
    return v;
}

static double number_at(const json_t *v, const char *path)
{
    v = at(v, path);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static const char *text_at(const json_t *v, const char *path)
{
    v = at(v, path);
    assert_true(json_is_string(v));
    return json_string_value(v);
}

/* The entry of a list by its "id"; NULL: none. */
static const json_t *entry(const json_t *report, const char *list, const char *id)
{
    const json_t *item;
    size_t i;
    json_array_foreach(at(report, list), i,
                       item) if (strcmp(text_at(item, "id"), id) == 0) return item;
    return NULL;
}

static bool check_ok(const json_t *report, const char *id)
{
    const json_t *check = entry(report, "checks", id);
    if (!check)
        fail_msg("there is no check %s", id);
    assert_true(json_is_boolean(at(check, "ok")));
    return json_is_true(at(check, "ok"));
}

/* --- the report --- */

static void fields(void **state)
{
    (void)state;
    struct ground g = ground_make("eval_data: tests/demo/eval.jsonl\nmax_steps: 150\n"
                                  "save_steps: 10\nsave_total_limit: 3\neval_steps: 50\n");
    json_t *r = doctor(&g, 0, "");
    assert_non_null(r);
    assert_true(number_at(r, "machine.cores") >= 1);
    assert_true(number_at(r, "machine.memory_bytes") > 1e8);
    assert_true(number_at(r, "machine.disk_free_bytes") > 0);
    bool available = false;
    const json_t *isa;
    size_t i;
    json_array_foreach(at(r, "machine.isa_available"), i, isa) available =
        available || strcmp(json_string_value(isa), text_at(r, "machine.isa")) == 0;
    assert_true(available);
    assert_true(json_is_false(at(r, "build.cuda")) && json_is_false(at(r, "build.mpi")));
    assert_true(strlen(text_at(r, "build.version")) && strlen(text_at(r, "build.compiler")));
    assert_string_equal(text_at(r, "model.architecture"), "qwen3");
    assert_true(number_at(r, "model.shards") == 1);
    assert_true(number_at(r, "model.parameters") > 1e5);
    assert_string_equal(text_at(r, "model.computes_in"), "f32");
    const json_t *eos = json_array_get(at(r, "model.eos"), 0);
    assert_non_null(strstr(text_at(eos, "from"), "config.json"));
    assert_string_equal(text_at(eos, "text"), "<|im_end|>");
    assert_string_equal(text_at(r, "tokenizer.kind"), "byte-level BPE");
    assert_true(number_at(r, "tokenizer.size") <= number_at(r, "tokenizer.model_vocab"));
    assert_non_null(strstr(text_at(r, "template.source"), "chat_template.jinja"));
    const char *text = text_at(r, "template.example_text");
    size_t n = strlen(text);
    assert_string_equal(text + n - strlen("<|im_start|>assistant\n"), "<|im_start|>assistant\n");
    assert_true(number_at(r, "template.example_ids") > 5);
    assert_true(number_at(r, "data.rows") == count_lines("tests/demo/train.jsonl"));
    assert_true(number_at(r, "data.prompt_tokens.min") <=
                number_at(r, "data.prompt_tokens.median"));
    assert_true(number_at(r, "data.prompt_tokens.median") <=
                number_at(r, "data.prompt_tokens.max"));
    assert_true(number_at(r, "eval_data.rows_in_training") == 0);
    assert_true(number_at(r, "plan.steps") == 150);
    assert_true(number_at(r, "plan.evaluations") == 4); /* 0, 50, 100, 150 */
    double rows = number_at(r, "data.rows");
    assert_true(fabs(number_at(r, "plan.epochs") - 300 / rows) < 1e-9);
    const json_t *tasks = at(r, "plan.tasks");
    assert_int_equal(json_array_size(tasks), 2);
    const json_t *first = json_array_get(tasks, 0), *second = json_array_get(tasks, 1);
    assert_true(number_at(first, "prompts") + number_at(second, "prompts") == 300);
    assert_true(number_at(first, "rows") + number_at(second, "rows") == rows);
    double total = 0;
    const json_t *part;
    json_array_foreach(at(r, "plan.memory"), i, part) total += number_at(part, "bytes");
    assert_true(total == number_at(r, "plan.total_bytes"));
    assert_true(number_at(r, "disk.checkpoints") == 3);
    assert_true(number_at(r, "disk.total_bytes") > 3 * number_at(r, "disk.checkpoint_bytes"));
    assert_true(json_is_true(at(r, "time.measured")));
    assert_true(number_at(r, "time.measured_on.tokens") >= 1);
    assert_true(number_at(r, "time.at_most.step_seconds") > 0);
    assert_true(number_at(r, "time.at_most.run_seconds") >
                140 * number_at(r, "time.likely.step_seconds"));
    assert_true(number_at(r, "status") == 0);
    assert_null(json_object_get(r, "error"));
    static const char *const ids[] = {"eos",           "template_ids", "double_bos",
                                      "contamination", "rewards",      "disk"};
    for (i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_true(check_ok(r, ids[i]));
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* 3 to 1, whatever the rows: 225 and 75 of 300 prompts. */
static void task_weights(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 150\ntask_weights: {push: 3, sql_qa: 1}\n"
                                  "update_interval: 10\n");
    json_t *r = doctor(&g, 0, "--no-measure");
    const json_t *item;
    size_t i;
    json_array_foreach(at(r, "plan.tasks"), i, item)
    {
        double prompts = strcmp(text_at(item, "task"), "push") ? 75 : 225;
        assert_true(number_at(item, "prompts") == prompts);
        assert_true(fabs(number_at(item, "epochs") - prompts / number_at(item, "rows")) < 1e-9);
    }
    assert_int_equal(i, 2);
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* What the reference experiment's options do not do, or do besides. */
static void advantages_and_samplers(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 100\nadvantage: gdpo_flat\nscale_rewards: none\n"
                                  "eval_data: tests/demo/eval.jsonl\neval_steps: 50\n"
                                  "task_sampler: dynamic\n");
    json_t *r = doctor(&g, 0, "--no-measure");
    assert_non_null(strstr(text_at(entry(r, "warnings", "scale_rewards"), "text"), "gdpo_flat"));
    assert_non_null(entry(r, "warnings", "gdpo_flat"));
    assert_non_null(
        strstr(text_at(entry(r, "warnings", "sampler_sees_eval"), "text"), "eval_data"));
    json_decref(r);
    temp_folder_remove(g.folder);
    g = ground_make("max_steps: 100\nadvantage: gdpo\ntask_sampler: mtgrpo\n");
    r = doctor(&g, 0, ""); /* with a measured step */
    assert_null(entry(r, "warnings", "scale_rewards"));
    assert_null(entry(r, "warnings", "gdpo_flat"));
    assert_null(entry(r, "warnings", "sampler_sees_eval"));
    json_decref(r);
    temp_folder_remove(g.folder);
}

static void people_read_the_same(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    shell("%s doctor '%s' --no-measure >'%s/text'", binary, g.recipe, g.folder);
    struct str text = read_bytes(in_folder(g.folder, "text"));
    static const char *const parts[] = {
        "machine\n",  "  isa: ",           "template\n", "    | <|im_start|>user",
        "gradient  ", "  measured: no",    "warnings\n", "  few_generations: ",
        "checks\n",   "  ok  double_bos: "};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(str_text(&text), parts[i]))
            fail_msg("\"%s\" is not in: %s", parts[i], str_text(&text));
    str_free(&text);
    temp_folder_remove(g.folder);
}

/* The run that it described finds its folder as empty as it was. */
static void nothing_is_left_behind(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    json_decref(doctor(&g, 0, ""));
    shell("test \"$(ls '%s')\" = \"$(printf 'err\\nout\\nrecipe.yaml')\"", g.folder);
    temp_folder_remove(g.folder);
}

/* --- checks that say no --- */

static void contamination(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    char set[700];
    shell("head -n 3 tests/demo/eval.jsonl > '%s/eval.jsonl'", g.folder);
    shell("head -n 2 tests/demo/train.jsonl | sed 's/\"id\": *\"/&again-/' >> '%s/eval.jsonl'",
          g.folder);
    snprintf(set, sizeof set, "--no-measure --set eval_data='%s/eval.jsonl'", g.folder);
    json_t *r = doctor(&g, 1, set);
    assert_false(check_ok(r, "contamination"));
    assert_true(check_ok(r, "double_bos"));
    assert_true(number_at(r, "eval_data.rows_in_training") == 2);
    assert_true(number_at(r, "status") == 1);
    assert_non_null(strstr(text_at(r, "error"), "contamination"));
    assert_non_null(strstr(text_at(entry(r, "checks", "contamination"), "text"), "again-"));
    assert_true(number_at(r, "plan.steps") == 3); /* the report is whole all the same */
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* A template that prints a token which the tokenizer's config names bos_token, once or twice. */
static void double_bos(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    char set[1400];
    shell("cp -r tests/demo/model '%s/model'", g.folder);
    shell("sed -i 's/^{/{\"bos_token\": \"<|im_start|>\",/' '%s/model/tokenizer_config.json'",
          g.folder);
    snprintf(set, sizeof set, "--no-measure --set model='%s/model'", g.folder);
    json_t *r = doctor(&g, 0, set);
    assert_true(check_ok(r, "double_bos"));
    assert_string_equal(text_at(r, "template.bos.prompts_begin_with"), "one");
    assert_string_equal(text_at(r, "template.bos.text"), "<|im_start|>");
    assert_null(entry(r, "warnings", "bos_in_texts"));
    json_decref(r);
    shell("sed -i '1s/^/{{ bos_token }}/' '%s/model/chat_template.jinja'", g.folder);
    r = doctor(&g, 1, set);
    assert_false(check_ok(r, "double_bos"));
    assert_string_equal(text_at(r, "template.bos.prompts_begin_with"), "double");
    assert_true(number_at(r, "template.bos.rows_double") == number_at(r, "data.rows"));
    json_decref(r);
    /* A row that spells the token is no double one, but worth a word. */
    shell("cp tests/demo/model/chat_template.jinja '%s/model/' && head -n 2 "
          "tests/demo/train.jsonl | sed '1s/\"content\": *\"/&a <|im_start|>/' >'%s/data.jsonl'",
          g.folder, g.folder);
    snprintf(set, sizeof set, "--no-measure --set model='%s/model' --set data='%s/data.jsonl'",
             g.folder, g.folder);
    r = doctor(&g, 0, set);
    assert_non_null(strstr(text_at(entry(r, "warnings", "bos_in_texts"), "text"), "of 1 rows"));
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* The gate of the rewards: what can be gamed stops, unless the recipe knows or pays nothing for it.
 */
static void rewards(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    json_t *r = doctor(&g, 1, "--no-measure --set rewards=[sql_qa_v2]");
    assert_false(check_ok(r, "rewards"));
    assert_non_null(strstr(text_at(r, "error"), "sql_qa_v2 does not hold on its fixtures"));
    assert_non_null(strstr(text_at(r, "error"), "known_gameable"));
    assert_null(entry(r, "warnings", "gameable_reward"));
    const json_t *item = json_array_get(at(r, "rewards.weighted"), 0);
    assert_string_equal(text_at(item, "verdict"), "fails");
    assert_true(number_at(item, "lowest_gold") < number_at(item, "highest_adversary"));
    assert_true(number_at(item, "wrong_pairs") > 0);
    assert_true(number_at(r, "plan.steps") == 3); /* the report is whole all the same */
    json_decref(r);
    r = doctor(&g, 0,
               "--no-measure --set 'rewards=[{name: sql_qa_v2, known_gameable: true}, insights]'");
    assert_true(check_ok(r, "rewards"));
    assert_non_null(entry(r, "warnings", "gameable_reward"));
    item = json_array_get(at(r, "rewards.weighted"), 0);
    assert_string_equal(text_at(item, "verdict"), "known_gameable");
    item = json_array_get(at(r, "rewards.weighted"), 1);
    assert_string_equal(text_at(item, "verdict"), "holds");
    json_decref(r);
    r = doctor(&g, 0, "--no-measure --set 'rewards=[insights, {name: sql_qa_v2, weight: 0}]'");
    assert_int_equal(json_array_size(at(r, "rewards.weighted")), 1);
    assert_true(check_ok(r, "rewards"));
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* --- other ends --- */

static void expect_nothing(const struct ground *g, int status, const char *arguments,
                           const char *why)
{
    json_t *r = doctor(g, status, arguments);
    assert_null(r);
    struct str text = read_bytes(in_folder(g->folder, "err"));
    if (!strstr(str_text(&text), why))
        fail_msg("\"%s\" is not in: %s", why, str_text(&text));
    str_free(&text);
}

static void statuses(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    expect_nothing(&g, 2, "--set lerning_rate=1", "learning_rate");
    expect_nothing(&g, 2, "--resume", "--resume");
    expect_nothing(&g, 3, "--set data=nowhere.jsonl", "nowhere.jsonl");
    expect_nothing(&g, 3, "--set model=nowhere", "nowhere");
    /* What does not fit is told with all that was found before. */
    json_t *r = doctor(&g, 4, "--set memory_gib=0.001");
    assert_non_null(strstr(text_at(r, "error"), "memory_gib"));
    assert_true(number_at(r, "status") == 4);
    assert_true(number_at(r, "data.rows") > 0);
    assert_null(json_object_get(r, "plan"));
    json_decref(r);
    temp_folder_remove(g.folder);
}

static void warnings(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 3\n");
    json_t *r = doctor(&g, 0, "--no-measure");
    assert_non_null(entry(r, "warnings", "epochs"));
    assert_non_null(entry(r, "warnings", "on_policy"));
    assert_non_null(entry(r, "warnings", "few_generations"));
    assert_non_null(entry(r, "warnings", "no_eval_data"));
    assert_null(entry(r, "warnings", "gameable_reward"));
    assert_null(entry(r, "warnings", "small_eval"));
    assert_null(entry(r, "warnings", "duplicates"));
    json_decref(r);
    char set[900];
    shell("(cat tests/demo/train.jsonl; head -n 4 tests/demo/train.jsonl | "
          "sed 's/\"id\": *\"/&again-/') > '%s/data.jsonl'",
          g.folder);
    snprintf(set, sizeof set,
             "--no-measure --set data='%s/data.jsonl' --set max_steps=9000 "
             "--set 'rewards=[{name: sql_qa_v2, known_gameable: true}]' "
             "--set num_generations=8 --set num_iterations=2 --set eval_data=tests/demo/eval.jsonl "
             "--set max_prompt_length=46",
             g.folder);
    r = doctor(&g, 0, set);
    assert_null(entry(r, "warnings", "epochs"));
    assert_null(entry(r, "warnings", "on_policy"));
    assert_null(entry(r, "warnings", "few_generations"));
    assert_null(entry(r, "warnings", "no_eval_data"));
    assert_non_null(entry(r, "warnings", "many_epochs"));
    assert_non_null(entry(r, "warnings", "gameable_reward"));
    assert_non_null(entry(r, "warnings", "small_eval"));
    assert_non_null(entry(r, "warnings", "duplicates"));
    assert_non_null(entry(r, "warnings", "prompt_near_limit"));
    assert_true(number_at(r, "data.duplicates") == 4);
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* Rows of the synthetic shop in the counts of the reference experiment: 40/40/10/10 of 1,485 and
 * 20/15/15/15. */
static void make_rows_of_v42(const char *folder)
{
    static const struct {
        const char *task;
        int train, eval;
    } rows[] = {
        {"extraction", 594, 20}, {"sql_qa", 594, 15}, {"insights", 148, 15}, {"push", 149, 15}};
    shell("%s data synth --seed 5 --train 594 --eval 20 --test 3 --out '%s/shop' >/dev/null",
          binary, folder);
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++)
        shell("cd '%s' && for set in train:%d eval:%d; do grep '\"task\": *\"%s\"' "
              "shop/${set%%:*}.jsonl | head -n ${set#*:} >>${set%%:*}.jsonl; done",
              folder, rows[t].train, rows[t].eval, rows[t].task);
    assert_int_equal(count_lines(in_folder(folder, "train.jsonl")), 1485);
    assert_int_equal(count_lines(in_folder(folder, "eval.jsonl")), 65);
}

/* What the recipe of record promises and what its numbers are worth, said before it runs. The
 * figures are known: 0.37 to 0.87 is Fisher's interval of 0.70 at n = 20, 0.52 and 6.28 are
 * √(2/χ²) at 2 degrees of freedom; 0.25/√15 = 0.065, 0.25·√(1/20 + 3/15)/4 = 0.031; 0.09 and 0.19
 * are what a paired t test finds at 80% power (statsmodels: 0.0873, 0.1945). */
static void the_truth_about_v42(void **state)
{
    (void)state;
    static const struct {
        const char *id, *says[4];
    } truths[] = {
        {"epochs",
         {"1500 steps × 1 prompt over 1485 rows are 1.01 epochs", "not again",
          "2 epochs take 2970 "
          "steps"}},
        {"small_eval",
         {"65 rows (15 of its smallest task)", "standard error 0.065 (95% ±0.14)", "tasks 0.031",
          "a gain below about 0.09 (0.19 in that task)"}},
        {"no_test_data", {"best of 31 evaluations", "selected on this set"}},
        {"seeds", {"3 seeds say little", "0.52 to 6.28 times"}},
        {"audit",
         {"20 completions (5 a task)", "audit_min_rho 0.70 is worth 0.37 to 0.87", "with 80",
          "0.57 to 0.80"}},
        {"on_policy", {"num_iterations 1", "clip_ratio stays 0", "asks for a gradient instead"}},
        {"gameable_reward", {"sql_qa_v2 can be gamed"}},
        {"scale_rewards", {"no effect under advantage gdpo_flat"}},
        {"gdpo_flat", {"its task is the only component", "over the group's deviation"}},
        {"sampler_sees_eval", {"steered by eval_data", "not independent evidence"}},
    };
    struct ground g = ground_make("max_steps: 1\n");
    char set[2500];
    make_rows_of_v42(g.folder);
    snprintf(g.recipe, sizeof g.recipe, "recipes/tucano2-commerce-v4.2.yaml");
    snprintf(set, sizeof set,
             "--no-measure --set model=tests/demo/model --set data='%s/train.jsonl' --set "
             "eval_data='%s/eval.jsonl' --set max_completion_length=64",
             g.folder, g.folder);
    json_t *r = doctor(&g, 0, set);
    assert_true(fabs(number_at(r, "plan.epochs") - 1500.0 / 1485) < 1e-12);
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        const json_t *warning = entry(r, "warnings", truths[i].id);
        if (!warning)
            fail_msg("nothing is said of %s", truths[i].id);
        for (int k = 0; k < 4 && truths[i].says[k]; k++)
            if (!strstr(text_at(warning, "text"), truths[i].says[k]))
                fail_msg("\"%s\" is not in: %s", truths[i].says[k], text_at(warning, "text"));
    }
    json_decref(r);
    /* One that heeds them is not told. */
    snprintf(set + strlen(set), sizeof set - strlen(set),
             " --set max_steps=5940 --set audit_gate_on_lower_bound=true --set num_iterations=2 "
             "--set sampler_signal=train_ema --set seeds=[1,2,3,4,5,6,7,8,9,10] --set test_data=x");
    r = doctor(&g, 0, set);
    static const char *const gone[] = {"epochs", "audit",       "on_policy", "sampler_sees_eval",
                                       "seeds",  "no_test_data"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (entry(r, "warnings", gone[i]))
            fail_msg("%s is still said", gone[i]);
    json_decref(r);
    temp_folder_remove(g.folder);
}

/* --- the plan against the machine --- */

/* Sanitizers keep what is freed and put shadows beside what is not: then there is nothing to
 * compare, and the steps of a model of this size take them a minute. */
#if !SANITIZED
/* 25 million random parameters with the built-in model's tokenizer. */
static void make_model(const char *folder)
{
    struct device *d;
    struct err err;
    full_model *f;
    struct hf_config c = {.arch = ARCH_QWEN3,
                          .vocab_size = 1024,
                          .hidden_size = 512,
                          .intermediate_size = 1536,
                          .layers = 8,
                          .heads = 4,
                          .kv_heads = 2,
                          .head_dim = 128,
                          .max_position_embeddings = 512,
                          .tie_word_embeddings = true,
                          .qk_norm = true,
                          .rms_norm_eps = 1e-6,
                          .rope_theta = 1e6,
                          .bos = -1};
    shell("mkdir '%s' && cp tests/demo/model/tok* tests/demo/model/chat* '%s'", folder, folder);
    write_text(in_folder(folder, "config.json"),
               "{\"architectures\": [\"Qwen3ForCausalLM\"], \"model_type\": \"qwen3\", "
               "\"hidden_size\": 512, \"intermediate_size\": 1536, \"num_hidden_layers\": 8, "
               "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 128, "
               "\"vocab_size\": 1024, \"max_position_embeddings\": 512, \"rope_theta\": 1000000.0, "
               "\"rms_norm_eps\": 1e-06, \"tie_word_embeddings\": true, \"hidden_act\": \"silu\", "
               "\"attention_bias\": false, \"torch_dtype\": \"bfloat16\", \"eos_token_id\": 2}");
    assert_int_equal(device_open(&d, &(struct device_options){.threads = 1}, &err), 0);
    assert_int_equal(full_create(&f, d, &c, 512, 0.02, 1, &err), 0);
    assert_int_equal(full_save(f, folder, DTYPE_BF16, &err), 0);
    full_close(f);
    device_close(d);
}

/* Peak resident bytes of `grpo train`, as the system counted them. */
static double peak_of_training(const struct ground *g, const char *folder)
{
    char set[800], run[700];
    struct rusage usage;
    int code;
    snprintf(set, sizeof set, "model=%s", folder);
    snprintf(run, sizeof run, "%s/run", g->folder);
    pid_t child = fork();
    if (!child) {
        close(STDOUT_FILENO);
        open("/dev/null", O_WRONLY);
        execl(binary, binary, "train", g->recipe, "--out", run, "--set", set, "--quiet", NULL);
        _exit(127);
    }
    assert_int_equal(wait4(child, &code, 0, &usage), child);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    return (double)usage.ru_maxrss * 1024;
}

/* The plan is what the run takes, from outside, within 5%. (An emulator has memory of its own: then
 * there is nothing to compare.) */
static void the_plan_is_what_a_run_takes(void **state)
{
    (void)state;
    struct ground g = ground_make("max_steps: 2\n");
    char folder[700], set[800], text[2000];
    snprintf(folder, sizeof folder, "%s/model", g.folder);
    make_model(folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\nnum_generations: 8\n"
                               "max_completion_length: 160\nmax_steps: 2\n");
    write_text(g.recipe, text);
    snprintf(set, sizeof set, "--no-measure --set model='%s'", folder);
    json_t *r = doctor(&g, 0, set);
    double plan = number_at(r, "plan.total_bytes"), peak = peak_of_training(&g, folder);
    json_decref(r);
    print_message("planned %.1f MiB, resident at most %.1f MiB: %+.2f%%\n", plan / 0x1p20,
                  peak / 0x1p20, 100 * (peak / plan - 1));
    const char *emulator = getenv("GRPO_EMULATOR");
    if (!emulator || !*emulator)
        assert_true(fabs(peak / plan - 1) < 0.05);
    temp_folder_remove(g.folder);
}
#endif

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_doctor\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(task_weights),
        cmocka_unit_test(advantages_and_samplers),
        cmocka_unit_test(people_read_the_same),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(contamination),
        cmocka_unit_test(double_bos),
        cmocka_unit_test(rewards),
        cmocka_unit_test(statuses),
        cmocka_unit_test(warnings),
        cmocka_unit_test(the_truth_about_v42),
#if !SANITIZED
        cmocka_unit_test(the_plan_is_what_a_run_takes),
#endif
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
