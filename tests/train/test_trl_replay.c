/* test_trl_replay.c: three optimizer steps of a real trl.GRPOTrainer
 * (tests/oracle/trl/make_replay.py), taken again by our trainer from the same recipe, completions
 * and rewards. In the checkpoint of every step each tensor of exp_avg is TRL's within BOUND,
 * relative L2, and one that is zero there is zero here; so are exp_avg_sq and the adapter after the
 * last step. metrics.jsonl agrees with TRL's log. In float32, on every instruction set; once more
 * with micro-batches of one completion. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/log.h"
#include "formats/jsonl.h"
#include "train/trainer.h"

enum { STEPS = 3 };
#define BOUND 1e-5 /* the contract; measured here: at most 7.6e-6 */

static const char *const names[] = {
    "dapo",    "bnpo_kl",      "grpo_iterations", "dr_grpo_batch",   "zero_b",
    "delta",   "masked_grpo",  "masked_dapo",     "cispo",           "gspo",
    "entropy", "entropy_gspo", "generation_dapo", "generation_bnpo", "generation_grpo"};

static void ok(int status, const struct err *err)
{
    if (status)
        fail_msg("%s: %s", err->where, err->message);
}

/* Trains into `run` as `grpo train RECIPE --out RUN --replay FILE` does. */
static void train(const char *name, const char *isa, const char *set, const char *run)
{
    char path[128], samples[128];
    struct err err = {0};
    recipe *r;
    struct train_options o;
    struct device *d;
    struct trainer_result result;
    snprintf(path, sizeof path, "tests/oracle/trl/replay-%s/recipe.yaml", name);
    snprintf(samples, sizeof samples, "tests/oracle/trl/replay-%s/replay.jsonl", name);
    ok(train_recipe_load(&r, &o, path, &set, set ? 1 : 0, true, &err), &err);
    struct device_options options = {
        .isa = isa, .precision = (enum precision)o.precision, .threads = 1};
    ok(device_open(&d, &options, &err), &err);
    struct trainer_spec spec = {.o = &o, .recipe = r, .run = run, .replay = samples, .device = d};
    ok(trainer_run(&spec, &result, &err), &err);
    assert_int_equal(result.steps, STEPS);
    device_close(d);
    recipe_free(r);
}

/* One tensor of the fixture, "stepN.KIND.NAME": the checkpoint has "KIND.NAME" among the
 * optimizer's tensors, or NAME among the adapter's where KIND is "param". */
static void compare_tensor(const struct tensor *want, const char *run, const char *label)
{
    char path[512], kind[32];
    int step, at = 0;
    struct err err = {0};
    struct tensor_set set = {0};
    assert_int_equal(sscanf(want->name, "step%d.%31[^.].%n", &step, kind, &at), 2);
    bool param = !strcmp(kind, "param");
    snprintf(path, sizeof path, "%s/checkpoints/step-%d/%s.safetensors", run, step,
             param ? "adapter_model" : "optimizer");
    ok(safetensors_open(&set, path, &err), &err);
    const struct tensor *got =
        tensor_find(&set, param ? want->name + at : strchr(want->name, '.') + 1);
    if (!got)
        fail_msg("%s: nothing for %s in %s", label, want->name, path);
    assert_int_equal(got->size, want->size);
    /* Infinite where the fixture is zero and ours is not. */
    double error = relative_l2(got->data, want->data, tensor_count(want));
    if (!(error <= BOUND))
        fail_msg("%s: %s is off by %.3g", label, want->name, error);
    tensor_set_close(&set);
}

static void compare_metrics(const json_t *got, const json_t *want, const char *label)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)want, key, value)
    {
        double theirs = json_number_value(value);
        const json_t *ours = json_object_get(got, key);
        if (!json_is_number(ours) || !(fabs(json_number_value(ours) - theirs) <=
                                       1e-5 * fabs(theirs) + 1e-6 /* float32 sums around zero */))
            fail_msg("%s, step %g: %s is %.9g, TRL has %.9g", label,
                     json_number_value(json_object_get(want, "step")), key, json_number_value(ours),
                     theirs);
    }
}

static void compare_run(const char *name, const char *run, const char *label)
{
    char path[512];
    struct err err = {0};
    struct tensor_set expected = {0};
    snprintf(path, sizeof path, "tests/oracle/trl/replay-%s/expected.safetensors", name);
    ok(safetensors_open(&expected, path, &err), &err);
    assert_true(expected.count >= 5 * 12);
    for (size_t i = 0; i < expected.count; i++)
        compare_tensor(&expected.tensors[i], run, label);
    tensor_set_close(&expected);
    struct jsonl_reader theirs, ours;
    snprintf(path, sizeof path, "tests/oracle/trl/replay-%s/metrics.jsonl", name);
    ok(jsonl_open(&theirs, path, &err), &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    ok(jsonl_open(&ours, path, &err), &err);
    for (int step = 1; step <= STEPS; step++) {
        json_t *want, *got;
        assert_int_equal(jsonl_next(&theirs, &want, &err), 1);
        assert_int_equal(jsonl_next(&ours, &got, &err), 1);
        compare_metrics(got, want, label);
        json_decref(want);
        json_decref(got);
    }
    jsonl_close(&theirs);
    jsonl_close(&ours);
}

static void replay_all(const char *isa, const char *set)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char label[128], run[256], *folder = temp_folder();
        snprintf(label, sizeof label, "%s, %s%s%s", names[i], isa, set ? ", " : "", set ? set : "");
        snprintf(run, sizeof run, "%s/run", folder);
        train(names[i], isa, set, run);
        compare_run(names[i], run, label);
        temp_folder_remove(folder);
    }
}

static void trl_three_steps(void **state)
{
    (void)state;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (device_isa_available(*isa))
            replay_all(*isa, NULL);
        else
            print_message("not run here: %s\n", *isa);
    }
}

static void one_completion_a_pass(void **state)
{
    (void)state;
    replay_all("c", "micro_batch=1");
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trl_three_steps),
        cmocka_unit_test(one_completion_a_pass),
    };
    return cmocka_run_group_tests_name("trl_replay", tests, NULL, NULL);
}
