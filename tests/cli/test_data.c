/* test_data.c: `grpo data stats` and `grpo data prepare` from outside, and the recipe's classifier
 * wherever a recipe opens rows: train, doctor, eval. The binary is build/<config>/grpo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"

static char binary[1024], *folder;
static const char rows[] = "{\"id\": \"p\", \"prompt\": \"Escreva um PUSH sobre o tapete.\"}\n"
                           "{\"id\": \"q\", \"task\": \"other\", \"prompt\": \"Quantas vendas?\"}\n"
                           "{\"id\": \"n\", \"prompt\": \"Bom dia\"}\n";

static int make_folder(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    temp_folder_remove(folder);
    return 0;
}

/* Runs the program; its standard output, and with a status that is not 0 its standard error. */
static struct str run(int status, const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command, "%s %s >'%s/out' 2>'%s/err'", binary, arguments, folder,
             folder);
    int code = system(command);
    assert_true(WIFEXITED(code));
    struct str err = read_bytes(in_folder(folder, "err"));
    if (WEXITSTATUS(code) != status)
        fail_msg("%s: exit %d, expected %d: %s", arguments, WEXITSTATUS(code), status,
                 str_text(&err));
    if (status)
        return err;
    str_free(&err);
    return read_bytes(in_folder(folder, "out"));
}

static void expect(int status, const char *arguments, const char *part)
{
    struct str out = run(status, arguments);
    if (!strstr(str_text(&out), part))
        fail_msg("grpo %s does not say \"%s\": %s", arguments, part, str_text(&out));
    str_free(&out);
}

static const char *arguments(const char *format, const char *rest)
{
    static char text[3000];
    snprintf(text, sizeof text, format, folder, folder, rest);
    return text;
}

/* A recipe over `rows` whose rules are these. */
static void write_recipe(const char *rules)
{
    char text[2000];
    write_text(in_folder(folder, "rows.jsonl"), rows);
    snprintf(text, sizeof text,
             "model: tests/demo/model\ndata: %s/rows.jsonl\nrewards: {push: [push], other: "
             "[{name: length, params: {target: 9}}], rest: [push]}\nlora: {r: 4, lora_alpha: "
             "8}\nnum_generations: 2\nmax_completion_length: 4\nmax_steps: 1\nprecision: f32\n"
             "classifier: %s\n",
             folder, rules);
    write_text(in_folder(folder, "recipe.yaml"), text);
}

static void test_usage(void **state)
{
    (void)state;
    expect(2, "data", "known: split, synth, prepare, stats");
    expect(2, "data nonsense", "what is \"nonsense\"");
    expect(2, "data stats", "wants a file of rows");
    expect(2, "data stats a.jsonl --input b.jsonl", "both given");
    expect(2, "data stats a.jsonl --olist x", "--olist is an option of `grpo data prepare`");
    expect(2, "data stats a.jsonl --seed 3", "--seed is an option of `grpo data split`");
    expect(2, "data synth x --out y", "Only `grpo data stats` takes a file");
    expect(2, "data prepare --out x", "--olist");
    expect(2, "data prepare --olist x", "--out");
    expect(2, "data prepare --olist x --out y --model z",
           "--model is an option of `grpo data stats`");
    expect(2, "data prepare --olist x --out y --count poem=3", "there is no task \"poem\"");
    expect(2, "data prepare --olist x --out y --count push", "TASK=EVAL");
    expect(3, "data stats no/such.jsonl", "no/such.jsonl");
    expect(3, arguments("data prepare --olist %s/none --out %s/made%s", ""),
           "olist_orders_dataset.csv");
}

static void test_stats(void **state)
{
    (void)state;
    write_recipe("[{task: push, any: [push]}]");
    struct str out = run(0, arguments("data stats %s/rows.jsonl --recipe %s/recipe.yaml --model "
                                      "tests/demo/model --against tests/demo/train.jsonl --json%s",
                                      ""));
    struct err err;
    json_t *json = json_read(out.data, out.length, 0, "stats", &err);
    assert_non_null(json);
    const json_t *tasks = json_object_get(json, "tasks"),
                 *without = json_object_get(json, "without_task");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(tasks, "push"), "rows")),
                     1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(tasks, "other"), "rows")),
                     1);
    assert_int_equal(json_array_size(without), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(without, 0), "id")), "n");
    const json_t *tokens =
        json_object_get(json_object_get(json_object_get(tasks, "push"), "tokens"), "max");
    assert_true(json_integer_value(tokens) > 5);
    assert_int_equal(json_array_size(json_object_get(json, "shared")), 0);
    json_decref(json);
    str_free(&out);
    expect(0, arguments("data stats %s/rows.jsonl%.0s%s", ""), "2 rows without a task");
    expect(0, arguments("data stats %s/rows.jsonl --against %s/rows.jsonl%s", ""),
           "3 rows whose prompt is in");
}

/* One rule for all who open rows by a recipe. */
static void test_classifier(void **state)
{
    (void)state;
    static const char no_rule[] = "no rule of the recipe's classifier matches 1 of 3 rows: \"n\" "
                                  "(line 3)";
    write_recipe("[{task: push, any: [push]}]");
    expect(3, arguments("train %s/recipe.yaml --out %s/run%s", ""), no_rule);
    expect(3, arguments("doctor %s/recipe.yaml --out %s%s", ""), no_rule);
    expect(3, arguments("eval --recipe %s/recipe.yaml --data %s/rows.jsonl --max-tokens 4%s", ""),
           no_rule);
    write_recipe("[{task: push, any: [push]}, {default: rest}]");
    expect(0,
           arguments("eval --recipe %s/recipe.yaml --data %s/rows.jsonl --max-tokens 4 --json "
                     "--rows%s",
                     ""),
           "\"task\": \"rest\"");
    expect(0, arguments("train %s/recipe.yaml --out %s/run --quiet%s", ""), "");
    struct str samples = read_bytes(in_folder(folder, "run/samples.jsonl"));
    assert_non_null(strstr(str_text(&samples), "\"task\": \""));
    assert_null(strstr(str_text(&samples), "\"task\": \"\""));
    str_free(&samples);
    write_recipe("[{task: push}]");
    expect(2, arguments("doctor %s/recipe.yaml --out %s%s", ""),
           "classifier: rule 1 (line 9) has no condition");
    write_recipe("[{task: push, regex: '('}]");
    expect(2, arguments("data stats %s/rows.jsonl --recipe %s/recipe.yaml%s", ""),
           "a regex that is none");
}

static void test_prepare(void **state)
{
    (void)state;
    const char *orders = asset("olist/olist_orders_dataset.csv");
    if (!orders)
        skip();
    char call[2000];
    snprintf(call, sizeof call,
             "data prepare --olist '%.*s' --out '%s/olist' --train-rows 40 --count extraction=3:2 "
             "--count sql_qa=3 --count push=2:1 --count insights=2:1 --json",
             (int)(strrchr(orders, '/') - orders), orders, folder);
    struct str out = run(0, call);
    struct err err;
    json_t *json = json_read(out.data, out.length, 0, "prepare", &err);
    assert_non_null(json);
    long long train = 0, eval = 0, orders_read = 0, test = 9;
    assert_int_equal(json_unpack(json, "{s:{s:{s:I}}, s:{s:{s:I}}, s:{s:{s:I}}, s:{s:I}}", "train",
                                 "rows", "sql_qa", &train, "eval", "rows", "extraction", &eval,
                                 "test", "rows", "sql_qa", &test, "tables", "orders", &orders_read),
                     0);
    assert_int_equal(train, 16);
    assert_int_equal(eval, 3);
    assert_int_equal(test, 0);
    assert_true(orders_read > 0);
    assert_int_equal(count_lines(in_folder(folder, "olist/train.jsonl")), 40);
    assert_int_equal(count_lines(in_folder(folder, "olist/eval.jsonl")), 10);
    assert_int_equal(count_lines(in_folder(folder, "olist/test.jsonl")), 4);
    json_decref(json);
    str_free(&out);
    expect(0, arguments("data stats %s/olist/train.jsonl --against %s/olist/test.jsonl%s", ""),
           "0 rows whose prompt is in");
}

int main(int argc, char **argv)
{
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_data\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_prepare),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
