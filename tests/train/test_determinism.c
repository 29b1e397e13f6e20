/* test_determinism.c: how a step is computed changes no bit of what it computes. Runs of three
 * steps (two generations, completions of unequal length, KL) with micro-batches of 1, 2, 4 and all,
 * on one thread and on two, in both precisions, on every instruction set: the moments after the
 * first step (which are its gradient), adapter, moments, metrics and samples at the end are the
 * same bytes; and in each of them the trainer's log-probabilities are the sampler's. */
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "backend/backend.h"
#include "base/log.h"

#define RECIPE                                                                                     \
    TRAIN_RECIPE_BARE "data: assets/demo/train.jsonl\n"                                            \
                      "num_generations: 5\n"                                                       \
                      "prompts_per_step: 2\n"                                                      \
                      "max_completion_length: 40\n"                                                \
                      "learning_rate: 5e-3\n"                                                      \
                      "beta: 0.05\n"                                                               \
                      "num_iterations: 2\n"                                                        \
                      "max_steps: 3\n"                                                             \
                      "save_steps: 1\n"

enum { STEPS = 3 };

static const struct variant {
    const char *micro_batch;
    int threads;
} variants[] = {{"micro_batch=0", 1}, {"micro_batch=1", 1}, {"micro_batch=2", 2},
                {"micro_batch=4", 1}, {"micro_batch=0", 2}, {"micro_batch=1", 2}};

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

static void compare_variants(const char *isa, const char *precision)
{
    char *folder = temp_folder(), path[600], first[600], other[600], label[160];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, RECIPE);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        snprintf(label, sizeof label, "%s, %s, %s, %d threads", isa, precision,
                 variants[v].micro_batch, variants[v].threads);
        snprintf(v ? other : first, sizeof other, "%s/run-%zu", folder, v);
        train_ok(&(struct train_run){.recipe = path,
                                     .run = v ? other : first,
                                     .isa = isa,
                                     .threads = variants[v].threads,
                                     .set = {variants[v].micro_batch, precision}});
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
            compare_variants(*isa, precision);
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
        cmocka_unit_test(same_bits_f32),
        cmocka_unit_test(same_bits_bf16),
        cmocka_unit_test(another_seed_is_another_run),
    };
    return cmocka_run_group_tests_name("train determinism", tests, NULL, NULL);
}
