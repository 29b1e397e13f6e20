/* `grpo bench` from outside: every line is there with a floor and a share, in text and in JSON; a
 * stored run is compared with; what is wrong is said. Times themselves are no matter here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

static char binary[1024]; /* set in main */
static char *folder;

static const char *const names[] = {
    "tokenizer",    "rewards",          "prefill",       "decode-1",         "decode-4-shared",
    "decode-4-own", "decode-16-shared", "decode-16-own", "decode-64-shared", "decode-64-own",
    "score",        "rollout",          "gradient",      "optimizer",        "step",
    "checkpoint"};
enum { N_NAMES = sizeof names / sizeof *names };

#define SMALL                                                                                      \
    "bench --quick --repeats 2 --threads 1 --prompt-tokens 9 --completion-tokens 12 "              \
    "--generations 4 --decode-tokens 3 --scratch '%s' "

static int grpo(const char *arguments)
{
    char filled[2048], command[4096];
    snprintf(filled, sizeof filled, arguments, folder);
    snprintf(command, sizeof command, "%s %s >'%s' 2>'%s'", binary, filled,
             in_folder(folder, "out"), in_folder(folder, "err"));
    int code = system(command);
    assert_true(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static void assert_has(const char *name, const char *part)
{
    struct str text = read_bytes(in_folder(folder, "%s", name));
    if (!strstr(str_text(&text), part))
        fail_msg("\"%s\" is not in %s: %s", part, name, str_text(&text));
    str_free(&text);
}

static double number(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_number(value))
        fail_msg("%s is no number", key);
    return json_number_value(value);
}

static void check_phase(const json_t *phase, const char *name)
{
    assert_string_equal(json_string_value(json_object_get(phase, "name")), name);
    double seconds = number(phase, "seconds"), floor = number(phase, "floor_seconds");
    assert_true(seconds > 0 && isfinite(seconds));
    assert_true(floor > 0 && isfinite(floor));
    assert_true(fabs(number(phase, "share") - floor / seconds) < 1e-9 * floor / seconds);
    assert_true(number(phase, "spread") >= 0);
    assert_true(number(phase, "bytes") > 0);
    assert_true(number(phase, "items_per_second") > 0);
    assert_int_equal((int)number(phase, "repeats"), 2);
}

/* The run that the later tests compare with is left as FOLDER/run.json. */
static void json_lines(void **state)
{
    (void)state;
    assert_int_equal(grpo(SMALL "--json --quiet"), 0);
    json_t *run = json_line(in_folder(folder, "out"), 0);
    assert_int_equal(count_lines(in_folder(folder, "out")), 1);
    const json_t *machine = json_object_get(run, "machine"),
                 *phases = json_object_get(run, "phases");
    assert_true(number(machine, "bf16_gflops") > 0 && number(machine, "f32_gflops") > 0);
    assert_true(number(machine, "read_gbytes") > 0);
    assert_int_equal((int)number(machine, "threads"), 1);
    assert_non_null(json_string_value(json_object_get(machine, "kind")));
    assert_int_equal(json_array_size(phases), N_NAMES);
    for (size_t i = 0; i < N_NAMES; i++)
        check_phase(json_array_get(phases, i), names[i]);
    json_decref(run);
    shell("mv '%s/out' '%s/run.json'", folder, folder);
    struct str err = read_bytes(in_folder(folder, "err"));
    assert_int_equal(err.length, 0);
    str_free(&err);
}

/* The step is the sum of its parts, and what it counts is what its parts count. */
static void step_is_its_parts(void **state)
{
    (void)state;
    json_t *run = json_line(in_folder(folder, "run.json"), 0);
    const json_t *phases = json_object_get(run, "phases");
    double operations = 0, bytes = 0, floor = 0;
    for (size_t i = 11; i < 14; i++) {
        operations += number(json_array_get(phases, i), "operations");
        bytes += number(json_array_get(phases, i), "bytes");
        floor += number(json_array_get(phases, i), "floor_seconds");
    }
    const json_t *step = json_array_get(phases, 14);
    assert_true(fabs(number(step, "operations") - operations) <= 1e-12 * operations);
    assert_true(fabs(number(step, "bytes") - bytes) <= 1e-12 * bytes);
    assert_true(fabs(number(step, "floor_seconds") - floor) <= 1e-12 * floor);
    json_decref(run);
}

/* With other prompts the same; the text form has each name; the temporary folder is gone. */
static void text_of_a_model(void **state)
{
    (void)state;
    assert_int_equal(grpo(SMALL "--model tests/demo/model"), 0);
    for (size_t i = 0; i < N_NAMES; i++)
        assert_has("out", names[i]);
    assert_has("out", "tests/demo/model");
    assert_has("out", "GB/s of reading");
    assert_has("out", "floor: ");
    shell("! ls -d '%s'/grpo-bench-* 2>/dev/null", folder);
}

/* The lines of each part, together, are all lines. */
static void parts(void **state)
{
    (void)state;
    static const char *const part[] = {"text", "engine", "step"};
    size_t next = 0;
    for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
        char arguments[1024];
        snprintf(arguments, sizeof arguments, SMALL "--json --part %s", "%s", part[p]);
        assert_int_equal(grpo(arguments), 0);
        json_t *run = json_line(in_folder(folder, "out"), 0);
        const json_t *phases = json_object_get(run, "phases");
        for (size_t i = 0; i < json_array_size(phases); i++)
            check_phase(json_array_get(phases, i), names[next++]);
        json_decref(run);
    }
    assert_int_equal(next, N_NAMES);
}

/* All times of the stored run, multiplied. */
static void store_scaled(const char *name, double factor)
{
    struct err err = {0};
    json_t *run = json_line(in_folder(folder, "run.json"), 0);
    size_t i;
    json_t *phase;
    json_array_foreach(json_object_get(run, "phases"), i, phase)
    {
        json_object_set_new(phase, "seconds", json_real(factor * number(phase, "seconds")));
    }
    char *text = json_dumps(run, JSON_COMPACT);
    assert_int_equal(file_write_atomic(in_folder(folder, "%s", name), text, strlen(text), &err), 0);
    mem_free(text);
    json_decref(run);
}

static void reference(void **state)
{
    (void)state;
    char arguments[1024];
    store_scaled("slow.json", 1e6);
    store_scaled("fast.json", 1e-6);
    snprintf(arguments, sizeof arguments, SMALL "--json --reference '%s/slow.json'", "%s", folder);
    assert_int_equal(grpo(arguments), 0);
    json_t *run = json_line(in_folder(folder, "out"), 0);
    const json_t *compared = json_object_get(run, "reference");
    assert_int_equal((int)number(compared, "slower"), 0);
    assert_int_equal(json_array_size(json_object_get(compared, "ratios")), N_NAMES);
    assert_true(number(json_array_get(json_object_get(compared, "ratios"), 0), "ratio") < 0.01);
    json_decref(run);
    snprintf(arguments, sizeof arguments,
             SMALL "--part text --tolerance 0.5 --reference '%s/fast.json'", "%s", folder);
    assert_int_equal(grpo(arguments), 1);
    assert_has("out", "SLOWER");
    assert_has("err", "slower than the stored run by more than 50%");
    /* Longer prompts are other work. */
    snprintf(arguments, sizeof arguments,
             SMALL "--part step --prompt-tokens 10 --reference '%s/slow.json'", "%s", folder);
    assert_int_equal(grpo(arguments), 3);
    assert_has("err", "other work");
}

static void usage(void **state)
{
    (void)state;
    assert_int_equal(grpo("bench --shape tucano3"), 2);
    assert_has("err", "tucano3");
    assert_int_equal(grpo("bench --shape builtin --model tests/demo/model"), 2);
    assert_int_equal(grpo("bench --repeats 0"), 2);
    assert_int_equal(grpo("bench --decode-tokens 1"), 2);
    assert_int_equal(grpo("bench --tolerance 0.2"), 2);
    assert_int_equal(grpo("bench --isa sse9"), 2);
    assert_int_equal(grpo("bench --reference nowhere.json"), 3);
    assert_int_equal(grpo("bench --model nowhere"), 3);
    assert_int_equal(grpo("bench --quick --scratch nowhere"), 4);
    assert_int_equal(grpo("bench --quick --prompt-tokens 380"), 2);
    assert_has("err", "context of 384");
}

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),      cmocka_unit_test(step_is_its_parts),
        cmocka_unit_test(text_of_a_model), cmocka_unit_test(parts),
        cmocka_unit_test(reference),       cmocka_unit_test(usage),
    };
    (void)argc;
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/cli/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/cli/test_bench\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
