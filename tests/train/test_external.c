/* test_external.c: training with a reward of the user's own that sleeps, crashes, prints garbage,
 * leaks memory or writes without end: the run goes on, what failed is counted and what did not is
 * not, and nothing stays behind. And one that works: its bytes depend on no clock, and a run is not
 * continued with another script. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/json.h"

static const char python[] = "/usr/bin/python3";
#define WORKER "tests/reward/workers/worker.py"

/* Two steps of 2 · 4 completions; %s: rewards. */
#define RECIPE                                                                                     \
    "model: tests/demo/model\ndata: tests/demo/train.jsonl\nlora: {r: 4, lora_alpha: 8}\n"         \
    "num_generations: 4\nprompts_per_step: 2\nmax_completion_length: 9\nprecision: f32\n"          \
    "learning_rate: 2e-3\nmax_steps: 2\nsave_steps: 1\nrewards:\n%s"
enum { STEPS = 2, PER_STEP = 8 };

static bool no_python(void)
{
    if (access(python, X_OK) == 0)
        return false;
    print_message("%s is not here\n", python);
    return true;
}

struct made {
    char yaml[600], run[600];
};

static struct train_run make_run(struct made *m, const char *folder, const char *name,
                                 const char *rewards)
{
    char text[4096];
    snprintf(m->yaml, sizeof m->yaml, "%s/%s.yaml", folder, name);
    snprintf(m->run, sizeof m->run, "%s/%s", folder, name);
    snprintf(text, sizeof text, RECIPE, rewards);
    write_text(m->yaml, text);
    return (struct train_run){.recipe = m->yaml, .run = m->run};
}

static void no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* Lines of samples.jsonl whose reward is null. */
static int null_rewards(const char *run)
{
    int n = 0, lines = count_lines(in_folder(run, "samples.jsonl"));
    for (int i = 0; i < lines; i++) {
        json_t *line = json_line(in_folder(run, "samples.jsonl"), i);
        n += json_is_null(json_object_get(line, "reward"));
        json_decref(line);
    }
    return n;
}

static void test_bad_workers(void **state)
{
    (void)state;
    if (no_python())
        skip();
    enum { NONE = 0, ALL = STEPS * PER_STEP };
    static const struct {
        const char *mode, *more;
        int failures;
    } cases[] = {
        {"good", "", NONE},
        {"crash_each_third", "", NONE},
        {"one_each", "", NONE},
        {"leak", ", memory_mib: 200", NONE},
        {"long_stderr", ", workers: 2", NONE},
        {"nap", ", timeout_seconds: 0.2", ALL}, /* a nap of 1000 s */
        {"killed", ", workers: 3", ALL},
        {"garbage", ", workers: 2", ALL},
        {"long_line", "", ALL},
        {"close_stdout", "", ALL},
        {"grandchild", "", ALL},
    };
    char *folder = temp_folder();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char rewards[600];
        struct made m;
        snprintf(rewards, sizeof rewards,
                 "  - {command: [%s, %s, %s, \"%s\"], name: mine%s}\n"
                 "max_reward_failure_rate: 1\n",
                 python, WORKER, cases[i].mode,
                 strcmp(cases[i].mode, "nap") ? in_folder(folder, "pid") : "1000", cases[i].more);
        struct train_run how = make_run(&m, folder, cases[i].mode, rewards);
        assert_int_equal(train_ok(&how).steps, STEPS);
        no_children();
        int failures = 0;
        for (int step = 1; step <= STEPS; step++)
            failures += (int)metric_at(m.run, step, "reward_failures");
        if (failures != cases[i].failures)
            fail_msg("%s: %d failures instead of %d", cases[i].mode, failures, cases[i].failures);
        assert_int_equal(null_rewards(m.run), cases[i].failures);
    }
    temp_folder_remove(folder);
}

/* Some fail: those and no others are left out. */
static void test_some_fail(void **state)
{
    (void)state;
    if (no_python())
        skip();
    char *folder = temp_folder(), rewards[600];
    struct made m;
    snprintf(rewards, sizeof rewards,
             "  - {command: [%s, %s, error_if_even], name: odd}\n"
             "  - {command: [%s, %s, good], name: all, weight: 0}\n"
             "max_reward_failure_rate: 1\n",
             python, WORKER, python, WORKER);
    struct train_run how = make_run(&m, folder, "some", rewards);
    train_ok(&how);
    int failed = 0, scored = 0;
    for (int i = 0; i < STEPS * PER_STEP; i++) {
        json_t *line = json_line(in_folder(m.run, "samples.jsonl"), i),
               *total = json_object_get(line, "reward");
        double length =
            json_number_value(json_object_get(json_object_get(line, "components"), "all"));
        bool even = fmod(length, 2) == 0;
        assert_int_equal(json_is_null(total), even);
        if (!even)
            assert_true(json_number_value(total) == length);
        failed += even;
        scored += !even;
        json_decref(line);
    }
    assert_true(failed > 0 && scored > 0);
    double counted =
        metric_at(m.run, 1, "reward_failures") + metric_at(m.run, 2, "reward_failures");
    assert_true(counted == failed);
    temp_folder_remove(folder);
}

/* A completion that no reward applies to is left out too, but nothing has failed: no rate stops the
 * run. Replayed, it is the same. */
static void test_some_do_not_apply(void **state)
{
    (void)state;
    if (no_python())
        skip();
    char *folder = temp_folder(), rewards[600];
    struct made m, again;
    snprintf(rewards, sizeof rewards,
             "  - {command: [%s, %s, none_if_even], name: odd}\nmax_reward_failure_rate: 0\n",
             python, WORKER);
    struct train_run how = make_run(&m, folder, "apart", rewards);
    train_ok(&how);
    struct train_run replay = make_run(&again, folder, "again", rewards);
    replay.replay = in_folder(m.run, "samples.jsonl");
    train_ok(&replay);
    for (int step = 1; step <= STEPS; step++) {
        double apart = metric_at(m.run, step, "reward_not_applicable");
        assert_true(apart > 0 && apart < PER_STEP);
        assert_true(metric_at(m.run, step, "reward_failures") == 0);
        assert_true(metric_at(again.run, step, "reward_not_applicable") == apart);
        assert_true(metric_at(again.run, step, "reward_failures") == 0);
        assert_true(metric_at(again.run, step, "reward") == metric_at(m.run, step, "reward"));
    }
    temp_folder_remove(folder);
}

/* Equal scores have no deviation, and close ones keep theirs however large they are. */
static void test_deviation(void **state)
{
    (void)state;
    char *folder = temp_folder(), rewards[1400];
    static const char answer[] = "while IFS= read -r l; do l=${l#*: }; n=$((n + 1))\n"
                                 "printf '{\"id\": %s, \"score\": %s%s}\\n' \"${l%%,*}\" $1 "
                                 "$((n % 2 * $2)); done\n";
    char script[600];
    struct made m;
    snprintf(script, sizeof script, "%s/answer.sh", folder);
    write_text(script, answer);
    snprintf(rewards, sizeof rewards,
             "  - {command: [sh, %s, \"0.1\", \"0\"], name: same}\n"
             "  - {command: [sh, %s, \"10000000000.\", \"5\"], name: near}\n",
             script, script);
    struct train_run how = make_run(&m, folder, "deviation", rewards);
    train_ok(&how);
    assert_true(metric_at(m.run, 1, "rewards/same/mean") == 0.1);
    assert_true(metric_at(m.run, 1, "rewards/same/std") == 0);
    /* Half of them 0.5 higher. */
    assert_true(fabs(metric_at(m.run, 1, "rewards/near/std") - sqrt(0.5 / 7)) < 1e-6);
    temp_folder_remove(folder);
}

/* A step on an earlier step's samples has asked nobody, and took no time to. */
static void test_time(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct made m;
    struct train_run how = make_run(
        &m, folder, "time",
        "  - {command: [sh, -c, \"while IFS= read -r l; do l=${l#*: }; sleep 0.01; printf "
        "'{\\\"id\\\": %s, \\\"score\\\": 1}\\\\n' \\\"${l%%,*}\\\"; done\"], name: slow}\n"
        "num_iterations: 2\n");
    train_ok(&how);
    for (int step = 0; step < 2; step++) {
        json_t *line = json_line(in_folder(m.run, "timing.jsonl"), step);
        double seconds = json_number_value(json_object_get(line, "reward_time"));
        assert_true(step ? seconds == 0 : seconds > 0);
        json_decref(line);
    }
    temp_folder_remove(folder);
}

/* Without a word in the recipe, a reward that keeps failing ends the run, and the run says why. */
static void test_rate(void **state)
{
    (void)state;
    char *folder = temp_folder();
    struct made m;
    struct err err;
    struct train_run how =
        make_run(&m, folder, "rate", "  - {command: [sh, -c, \"echo no key >&2; exit 4\"]}\n");
    expect_error(train_run(&how, NULL, &err), ERR_GATE, &err, "max_reward_failure_rate",
                 "ended with exit status 4", "no key", NULL);
    no_children();
    temp_folder_remove(folder);
}

static void test_same_bytes(void **state)
{
    (void)state;
    if (no_python())
        skip();
    static const char *const modes[][2] = {
        {"good", "1"}, {"jitter", "1"}, {"jitter", "5"}, {"crash_each_third", "2"}};
    char *folder = temp_folder(), rewards[600];
    struct made m[4];
    for (int i = 0; i < 4; i++) {
        char name[20];
        snprintf(name, sizeof name, "run%d", i);
        snprintf(rewards, sizeof rewards,
                 "  - {command: [%s, %s, %s], workers: %s, name: mine}\n"
                 "  - {name: length, params: {target: 20}}\n",
                 python, WORKER, modes[i][0], modes[i][1]);
        struct train_run how = make_run(&m[i], folder, name, rewards);
        train_ok(&how);
        if (i) {
            same_bytes(in_folder(m[0].run, "samples.jsonl"), in_folder(m[i].run, "samples.jsonl"),
                       modes[i][0]);
            same_bytes(in_folder(m[0].run, "metrics.jsonl"), in_folder(m[i].run, "metrics.jsonl"),
                       modes[i][0]);
        }
    }
    temp_folder_remove(folder);
}

/* --- what run.json says, and a resume --- */

#define SCORE(x)                                                                                   \
    "while IFS= read -r q; do id=${q#'{\"id\": '}; echo \"{\\\"id\\\": ${id%%,*}, \\\"score\\\": " \
    "${#q}" x "}\"; done\n"

static void test_identity(void **state)
{
    (void)state;
    char *folder = temp_folder(), rewards[1400];
    const char *script = in_folder(folder, "reward.sh"), *data = in_folder(folder, "words");
    struct made m;
    struct err err;
    write_text(script, SCORE(""));
    write_text(data, "a\n");
    snprintf(rewards, sizeof rewards,
             "  - {command: [sh, %s], name: mine, deterministic: true, files: [%s, %s]}\n"
             "  - {command: [sh, %s], name: loose, weight: 0}\n"
             "  - push\n",
             script, data, data, script);
    struct train_run how = make_run(&m, folder, "run", rewards);
    train_ok(&how);
    json_t *about = json_line(in_folder(m.run, "run.json"), 0);
    const json_t *list = json_object_get(about, "rewards"),
                 *files = json_object_get(about, "reward_file_hashes");
    static const struct {
        const char *label, *reward;
        bool deterministic;
    } wanted[] = {{"mine", "command", true}, {"loose", "command", false}, {"push", "push", true}};
    assert_int_equal(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(list, i);
        assert_string_equal(json_string_value(json_object_get(item, "label")), wanted[i].label);
        assert_string_equal(json_string_value(json_object_get(item, "reward")), wanted[i].reward);
        assert_int_equal(json_is_true(json_object_get(item, "deterministic")),
                         wanted[i].deterministic);
    }
    assert_int_equal(json_object_size(files), 2); /* each once */
    assert_int_equal(json_string_length(json_object_get(files, script)), 64);
    assert_int_equal(json_string_length(json_object_get(files, data)), 64);
    json_decref(about);
    how.resume = true;
    how.set[0] = "max_steps=3";
    how.allow[0] = "max_steps";
    write_text(script, SCORE("0"));
    expect_error(train_run(&how, NULL, &err), ERR_USAGE, &err, "reward_files (was ", NULL);
    write_text(script, SCORE(""));
    write_text(data, "b\n");
    expect_error(train_run(&how, NULL, &err), ERR_USAGE, &err, "reward_files (was ", NULL);
    how.allow[1] = "reward_files";
    assert_int_equal(train_ok(&how).steps, 3);
    how.allow[1] = NULL;
    how.set[0] = "max_steps=4";
    assert_int_equal(train_ok(&how).steps, 4); /* the new files are the run's now */
    temp_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_workers),
        cmocka_unit_test(test_some_fail),
        cmocka_unit_test(test_some_do_not_apply),
        cmocka_unit_test(test_deviation),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
