/* test_determinism.c: how a step is computed changes no bit of what it computes. Runs of three
 * steps (two generations, completions of unequal length, KL) with micro-batches of 1, 2, 4 and all,
 * on one thread and on two, with speculation and without, in both precisions, on every instruction
 * set: the moments after the first step (which are its gradient), adapter, moments, metrics and
 * samples at the end are the same bytes; and in each of them the trainer's log-probabilities are
 * the sampler's. */
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "backend/backend.h"
#include "base/log.h"

#define RECIPE                                                                                     \
    TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\n"                                             \
                      "num_generations: 5\n"                                                       \
                      "prompts_per_step: 2\n"                                                      \
                      "max_completion_length: 24\n"                                                \
                      "learning_rate: 5e-3\n"                                                      \
                      "beta: 0.05\n"                                                               \
                      "num_iterations: 2\n"                                                        \
                      "max_steps: 3\n"                                                             \
                      "save_steps: 1\n"

enum { STEPS = 3 };

static const struct variant {
    const char *micro_batch;
    int threads;
    const char *speculation;
} variants[] = {{"micro_batch=0", 1, "speculation=false"},
                {"micro_batch=1", 2, "speculation=true"},
                {"micro_batch=2", 1, "speculation=true"},
                {"micro_batch=4", 2, "speculation=false"},
                {"micro_batch=0", 2, "speculation=true"}};

/* But for what a checkpoint's state says of the recipe (micro_batch). */
static void same_numbers(const char *a, const char *b, const char *label)
{
    same_bytes(in_folder(a, "metrics.jsonl"), in_folder(b, "metrics.jsonl"), label);
    same_bytes(in_folder(a, "samples.jsonl"), in_folder(b, "samples.jsonl"), label);
    for (int step = 1; step <= STEPS; step++) {
        same_bytes(in_folder(a, "checkpoints/step-%d/optimizer.safetensors", step),
                   in_folder(b, "checkpoints/step-%d/optimizer.safetensors", step), label);
        same_bytes(in_folder(a, "checkpoints/step-%d/adapter_model.safetensors", step),
                   in_folder(b, "checkpoints/step-%d/adapter_model.safetensors", step), label);
    }
}

static void check_run(const char *run, const char *label)
{
    for (int step = 1; step <= STEPS; step += 2) {
        double difference = metric_at(run, step, "sampling/sampling_logp_difference/max");
        if (difference != 0)
            fail_msg("%s: sampler and trainer are %g apart", label, difference);
    }
    /* The run is one in which something could go wrong: unequal lengths, and a gradient. */
    assert_true(metric_at(run, 1, "completions/min_length") <
                metric_at(run, 1, "completions/max_length"));
    assert_true(metric_at(run, 1, "grad_norm") > 0);
    assert_true(metric_at(run, 2, "kl") > 0);
}

static void compare_variants(const char *isa, const char *precision, const char *text, bool fresh)
{
    char *folder = temp_folder(), path[600], first[600], other[600], label[160];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, text);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        snprintf(label, sizeof label, "%s, %s, %s, %d threads", isa ? isa : "auto", precision,
                 variants[v].micro_batch, variants[v].threads);
        snprintf(v ? other : first, sizeof other, "%s/run-%zu", folder, v);
        train_ok(&(struct train_run){
            .recipe = path,
            .run = v ? other : first,
            .isa = isa,
            .threads = variants[v].threads,
            .set = {variants[v].micro_batch, precision, variants[v].speculation}});
        if (fresh)
            check_run(v ? other : first, label);
        if (v)
            same_numbers(first, other, label);
    }
    temp_folder_remove(folder);
}

static void every_isa(const char *precision)
{
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (device_isa_available(*isa))
            compare_variants(*isa, precision, RECIPE, true);
        else
            print_message("not run here: %s\n", *isa);
    }
}

static void same_bits_f32(void **state)
{
    (void)state;
    every_isa("precision=f32");
}

static void same_bits_bf16(void **state)
{
    (void)state;
    every_isa("precision=bf16");
}

/* A step takes its slice of the completions, scattered over the groups; which tokens have a policy
 * term is decided over the slice. Neither knows of passes. */
static void slices_and_entropy(void **state)
{
    (void)state;
    static const char *const text = TRAIN_RECIPE_BARE
        "data: tests/demo/train.jsonl\nnum_generations: 5\nprompts_per_step: 2\n"
        "max_completion_length: 24\nlearning_rate: 5e-3\nbeta: 0.05\nmax_steps: 3\n"
        "save_steps: 1\nsteps_per_generation: 2\ntop_entropy_quantile: 0.3\n";
    compare_variants(NULL, "precision=f32", text, false);
    compare_variants(NULL, "precision=bf16", text, false);
}

/* Groups whose last completion brings no gradient of its own (its reward is the mean, or it has
 * none), beside one where nothing does: which micro-batch they fall into is no matter either. */
static void completions_without_signal(void **state)
{
    (void)state;
    static const char *const rewards[4][3] = {
        {"0", "1", "0.5"}, {"2", "-1", "null"}, {"1", "1", "1"}, {"0.5", "0", "1"}};
    char *folder = temp_folder(), path[600], samples[600], runs[3][600], label[64];
    static const char *const sets[3] = {"micro_batch=0", "micro_batch=1", "micro_batch=2"};
    struct str lines = {0};
    for (int i = 0; i < 12; i++)
        str_printf(&lines,
                   "{\"step\": %d, \"prompt_id\": \"p%d\", \"prompt_ids\": [1, 308, %d, 2], "
                   "\"ids\": [%d, %d, 9%s], \"reward\": %s}\n",
                   1 + i / 6, i / 3, 40 + i / 3, 100 + i, 200 + 7 * i, i % 2 ? ", 77" : "",
                   rewards[i / 3][i % 3]);
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", folder);
    write_text(path, "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\nsave_steps: 1\n"
                     "learning_rate: 1e-2\nprecision: f32\nlr_scheduler_type: constant\n"
                     "max_completion_length: 8\n");
    write_text(samples, str_text(&lines));
    str_free(&lines);
    for (int i = 0; i < 3; i++) {
        snprintf(runs[i], sizeof runs[i], "%s/run-%d", folder, i);
        snprintf(label, sizeof label, "no signal, %s", sets[i]);
        train_ok(&(struct train_run){
            .recipe = path, .run = runs[i], .replay = samples, .set = {sets[i]}});
        assert_true(metric_at(runs[i], 1, "grad_norm") > 0);
        assert_true(metric_at(runs[i], 1, "reward_failures") == 1);
        assert_true(metric_at(runs[i], 2, "informative_groups") == 1);
        for (int step = 1; step <= 2; step++)
            same_bytes(in_folder(runs[0], "checkpoints/step-%d/optimizer.safetensors", step),
                       in_folder(runs[i], "checkpoints/step-%d/optimizer.safetensors", step),
                       label);
        same_bytes(in_folder(runs[0], "metrics.jsonl"), in_folder(runs[i], "metrics.jsonl"), label);
        /* What was counted: 12 completions of 3 or 4 tokens after prompts of 4. */
        json_t *counted = json_line(in_folder(runs[i], "checkpoints/step-2/state.json"), 0);
        assert_int_equal(json_integer_value(json_object_get(counted, "rewards")), 12);
        assert_int_equal(json_integer_value(json_object_get(counted, "reward_failures")), 1);
        assert_int_equal(json_integer_value(json_object_get(counted, "num_tokens")), 90);
        json_decref(counted);
        assert_true(metric_at(runs[i], 2, "num_tokens") == 90);
    }
    temp_folder_remove(folder);
}

/* At an epoch's seam a row can come twice in a step: its completions are drawn anew. */
static void a_row_twice_in_a_step(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], run[600], text[1000];
    shell("head -n 1 tests/demo/train.jsonl > '%s/data.jsonl'", folder);
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: %s/data.jsonl\nnum_generations: 4\nprompts_per_step: 2\n"
                               "max_completion_length: 8\ntemperature: 2\nmax_steps: 1\n",
             folder);
    write_text(path, text);
    train_ok(&(struct train_run){.recipe = path, .run = run});
    int same = 0;
    for (int i = 0; i < 4; i++) {
        json_t *a = json_line(in_folder(run, "samples.jsonl"), i),
               *b = json_line(in_folder(run, "samples.jsonl"), i + 4);
        assert_true(json_equal(json_object_get(a, "prompt_id"), json_object_get(b, "prompt_id")));
        assert_true(json_equal(json_object_get(a, "sample"), json_object_get(b, "sample")));
        same += json_equal(json_object_get(a, "ids"), json_object_get(b, "ids"));
        json_decref(a);
        json_decref(b);
    }
    assert_int_equal(same, 0);
    assert_true(metric_at(run, 1, "epoch") == 2);
    temp_folder_remove(folder);
}

/* Other order, other draws: what must not be the same is not. */
static void another_seed_is_another_run(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, RECIPE);
    static const char *const seeds[] = {"seed=1", "seed=2"};
    json_t *line[2];
    for (int i = 0; i < 2; i++) {
        const char *run = in_folder(folder, "run-%d", i);
        train_ok(&(struct train_run){
            .recipe = path, .run = run, .set = {seeds[i], "max_steps=1", "save_steps=1"}});
        line[i] = json_line(in_folder(run, "samples.jsonl"), 0);
    }
    assert_false(
        json_equal(json_object_get(line[0], "prompt_id"), json_object_get(line[1], "prompt_id")));
    assert_false(json_equal(json_object_get(line[0], "ids"), json_object_get(line[1], "ids")));
    json_decref(line[0]);
    json_decref(line[1]);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_f32),         cmocka_unit_test(same_bits_bf16),
        cmocka_unit_test(slices_and_entropy),    cmocka_unit_test(completions_without_signal),
        cmocka_unit_test(a_row_twice_in_a_step), cmocka_unit_test(another_seed_is_another_run),
    };
    return cmocka_run_group_tests_name("train determinism", tests, NULL, NULL);
}
