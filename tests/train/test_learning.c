/* test_learning.c: the trainer learns what it is paid for, and nothing else. Bandits on the
 * built-in model: completions of one token at temperature 2, where its 1,024 tokens all come up. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "formats/safetensors.h"

#define BANDIT                                                                                     \
    "model: tests/demo/model\n"                                                                    \
    "data: tests/demo/train.jsonl\n"                                                               \
    "lora: {r: 4, lora_alpha: 8}\n"                                                                \
    "num_generations: 32\n"                                                                        \
    "prompts_per_step: 4\n"                                                                        \
    "max_completion_length: 1\n"                                                                   \
    "temperature: 1.2\n"                                                                           \
    "lr_scheduler_type: constant\n"                                                                \
    "precision: f32\n"

#define ONE_TOKEN "{name: regex, params: {pattern: \"SELECT\", mode: fullmatch}}"
#define CAPITAL "{name: regex, params: {pattern: \"^[A-Z]\"}}"
#define ALWAYS "{name: regex, params: {pattern: \"\"}}"

static void bandit(const char *folder, const char *name, const char *rewards, const char *more)
{
    char text[2000], path[600];
    snprintf(text, sizeof text, BANDIT "rewards: [%s]\n%s", rewards, more);
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    write_text(path, text);
    train_ok(&(struct train_run){.recipe = path, .run = in_folder(folder, "%s", name)});
}

static double mean_reward(const char *run, int from, int to)
{
    double sum = 0;
    for (int step = from; step <= to; step++)
        sum += metric_at(run, step, "reward");
    return sum / (to - from + 1);
}

static void one_token_is_learnt(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600];
    bandit(folder, "run", ONE_TOKEN, "learning_rate: 1e-2\nmax_steps: 30\n");
    snprintf(run, sizeof run, "%s/run", folder);
    double start = mean_reward(run, 1, 3), end = mean_reward(run, 26, 30);
    print_message("emit one token: %.3f at the start, %.3f at the end\n", start, end);
    assert_true(start < 0.15);
    assert_true(end > 0.95);
    temp_folder_remove(folder);
}

static void the_sign_turns_it_round(void **state)
{
    (void)state;
    char *folder = temp_folder(), up[600], down[600];
    static const char more[] = "learning_rate: 1e-2\nmax_steps: 30\n";
    snprintf(up, sizeof up, "%s/up", folder);
    snprintf(down, sizeof down, "%s/down", folder);
    bandit(folder, "up", CAPITAL, more);
    bandit(folder, "down", "{name: regex, weight: -1, params: {pattern: \"^[A-Z]\"}}", more);
    double start = mean_reward(up, 1, 1), high = mean_reward(up, 26, 30);
    double low = -mean_reward(down, 26, 30); /* share of capitals */
    print_message("capitals: %.3f at the start; %.3f, with the sign flipped %.3f\n", start, high,
                  low);
    assert_true(start > 0.5 && start < 0.9);
    assert_true(-mean_reward(down, 1, 1) == start); /* the same draws */
    assert_true(high > 0.95);
    assert_true(low < 0.05);
    temp_folder_remove(folder);
}

/* Every value of tensors whose name ends in `end` is zero, or each such tensor has one that is not.
 */
static void check_tensors(const char *path, const char *start, const char *end, bool zero)
{
    struct tensor_set set = {0};
    struct err err;
    int seen = 0;
    if (safetensors_open(&set, path, &err))
        fail_msg("%s: %s", err.where, err.message);
    for (size_t i = 0; i < set.count; i++) {
        const struct tensor *t = &set.tensors[i];
        size_t length = strlen(t->name), tail = strlen(end);
        if (strncmp(t->name, start, strlen(start)) != 0 || strcmp(t->name + length - tail, end))
            continue;
        size_t nonzero = 0;
        for (size_t k = 0; k < tensor_count(t); k++)
            nonzero += tensor_element(t, k) != 0;
        if (zero ? nonzero != 0 : nonzero == 0)
            fail_msg("%s: %s has %zu values that are not zero", path, t->name, nonzero);
        seen++;
    }
    tensor_set_close(&set);
    assert_int_equal(seen, 4 * 7); /* layers, projections */
}

static void a_constant_reward_moves_nothing(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600], still[600];
    bandit(folder, "run", ALWAYS, "learning_rate: 1e-2\nmax_steps: 4\nsave_steps: 1\nbeta: 0\n");
    bandit(folder, "still", CAPITAL, "learning_rate: 0\nmax_steps: 1\n");
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(still, sizeof still, "%s/still", folder);
    for (int step = 1; step <= 4; step++) {
        const char *optimizer = in_folder(run, "checkpoints/step-%d/optimizer.safetensors", step);
        same_bytes(in_folder(run, "checkpoints/step-%d/adapter_model.safetensors", step),
                   in_folder(still, "checkpoints/step-1/adapter_model.safetensors"), "constant");
        check_tensors(optimizer, "exp_avg.", "lora_A.weight", true);
        check_tensors(optimizer, "exp_avg.", "lora_B.weight", true);
        check_tensors(optimizer, "exp_avg_sq.", "lora_A.weight", true);
        check_tensors(optimizer, "exp_avg_sq.", "lora_B.weight", true);
        assert_true(metric_at(run, step, "frac_reward_zero_std") == 1);
        assert_true(metric_at(run, step, "grad_norm") == 0);
    }
    temp_folder_remove(folder);
}

/* At the first step B is zero, so only B has a gradient; and it has, in every tensor. */
static void the_first_gradient(void **state)
{
    (void)state;
    char *folder = temp_folder(), optimizer[700], adapter_path[700];
    bandit(folder, "run", CAPITAL, "learning_rate: 1e-2\nmax_steps: 1\n");
    snprintf(optimizer, sizeof optimizer, "%s/run/checkpoints/step-1/optimizer.safetensors",
             folder);
    snprintf(adapter_path, sizeof adapter_path,
             "%s/run/checkpoints/step-1/adapter_model.safetensors", folder);
    check_tensors(optimizer, "exp_avg.", "lora_B.weight", false);
    check_tensors(optimizer, "exp_avg.", "lora_A.weight", true);
    check_tensors(adapter_path, "", "lora_B.weight", false);
    temp_folder_remove(folder);
}

/* Without a learning rate the reward is a series of draws of one distribution: its course over the
 * steps has no trend (rank correlation with the step within 3 standard errors) and halves of equal
 * mean. The samples are those of the bare base; a trained policy's are others. */
static void nothing_is_learnt_without_a_rate(void **state)
{
    (void)state;
    enum { STEPS = 40 };
    char *folder = temp_folder(), run[600], trained[600];
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(trained, sizeof trained, "%s/trained", folder);
    bandit(folder, "run", CAPITAL, "learning_rate: 0\nmax_steps: 40\nsave_steps: 20\n");
    bandit(folder, "trained", CAPITAL, "learning_rate: 1e-2\nmax_steps: 40\n");
    same_bytes(in_folder(run, "checkpoints/step-20/adapter_model.safetensors"),
               in_folder(run, "checkpoints/step-40/adapter_model.safetensors"), "lr 0");
    check_tensors(in_folder(run, "checkpoints/step-40/adapter_model.safetensors"), "",
                  "lora_B.weight", true);
    double s = 0, s2 = 0, trend = 0, spread = 0;
    for (int step = 1; step <= STEPS; step++) {
        double r = metric_at(run, step, "reward"), t = step - (STEPS + 1) / 2.0;
        s += r;
        s2 += r * r;
        trend += t * r;
        spread += t * t;
    }
    double variance = (s2 - s * s / STEPS) / (STEPS - 1);
    assert_true(variance > 0);
    assert_true(fabs(trend) / sqrt(variance * spread) < 3);
    double halves = mean_reward(run, 1, STEPS / 2) - mean_reward(run, STEPS / 2 + 1, STEPS);
    assert_true(fabs(halves) / sqrt(variance * 4 / STEPS) < 3);
    /* The first step samples from the same policy, the last does not. */
    int same = 0, n = 128;
    for (int i = 0; i < n; i++) {
        json_t *a = json_line(in_folder(run, "samples.jsonl"), i),
               *b = json_line(in_folder(trained, "samples.jsonl"), i);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        a = json_line(in_folder(run, "samples.jsonl"), i - n);
        b = json_line(in_folder(trained, "samples.jsonl"), i - n);
        assert_true(json_equal(json_object_get(a, "prompt_id"), json_object_get(b, "prompt_id")));
        same += json_equal(json_object_get(a, "ids"), json_object_get(b, "ids"));
        json_decref(a);
        json_decref(b);
    }
    print_message("last step: %d of %d completions as from the base\n", same, n);
    assert_true(same < n / 2);
    temp_folder_remove(folder);
}

/* Two rewards that agree on one token; under gdpo what is learnt is learnt from components. */
static void other_advantages_learn(void **state)
{
    (void)state;
    char *folder = temp_folder(), down[600];
    for (int kind = ADVANTAGE_GDPO; kind <= ADVANTAGE_LOO; kind++) {
        char up[600], more[200], name[64];
        snprintf(more, sizeof more, "learning_rate: 1e-2\nmax_steps: 30\nadvantage: %s\n",
                 advantage_names[kind]);
        snprintf(name, sizeof name, "%s-up", advantage_names[kind]);
        snprintf(up, sizeof up, "%s/%s", folder, name);
        bandit(folder, name,
               CAPITAL ", {name: regex, label: one, weight: 0.5, params: {pattern: "
                       "\"SELECT\", mode: fullmatch}}",
               more);
        double start = mean_reward(up, 1, 3), high = mean_reward(up, 26, 30);
        print_message("%s: %.3f at the start, %.3f at the end\n", advantage_names[kind], start,
                      high);
        assert_true(start < 0.95 && high > 1.2);
    }
    bandit(folder, "down", "{name: regex, weight: -1, params: {pattern: \"^[A-Z]\"}}",
           "learning_rate: 1e-2\nmax_steps: 20\nadvantage: gdpo\n");
    snprintf(down, sizeof down, "%s/down", folder);
    double low = -mean_reward(down, 17, 20); /* share of capitals */
    print_message("gdpo with the sign flipped: %.3f\n", low);
    assert_true(low < 0.05);
    temp_folder_remove(folder);
}

/* A constant reward moves nothing under any advantage, refilled or not. */
static void a_constant_reward_moves_nothing_anyhow(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600], still[600];
    bandit(folder, "still", CAPITAL, "learning_rate: 0\nmax_steps: 1\n");
    snprintf(still, sizeof still, "%s/still", folder);
    for (int kind = ADVANTAGE_GDPO; kind <= ADVANTAGE_LOO; kind++) {
        char more[200];
        snprintf(more, sizeof more,
                 "learning_rate: 1e-2\nmax_steps: 2\nadvantage: %s\ndynamic_sampling: true\n",
                 advantage_names[kind]);
        bandit(folder, advantage_names[kind], ALWAYS, more);
        snprintf(run, sizeof run, "%s/%s", folder, advantage_names[kind]);
        same_bytes(in_folder(run, "checkpoints/step-2/adapter_model.safetensors"),
                   in_folder(still, "checkpoints/step-1/adapter_model.safetensors"), "constant");
        assert_true(metric_at(run, 2, "frac_reward_zero_std") == 1);
        assert_true(metric_at(run, 2, "grad_norm") == 0);
        /* The budget ends it, and the run goes on. */
        assert_true(metric_at(run, 2, "dynamic_sampling/rounds") == 2);
        assert_true(metric_at(run, 2, "dynamic_sampling/refilled_groups") == 8);
    }
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token_is_learnt),
        cmocka_unit_test(the_sign_turns_it_round),
        cmocka_unit_test(a_constant_reward_moves_nothing),
        cmocka_unit_test(the_first_gradient),
        cmocka_unit_test(nothing_is_learnt_without_a_rate),
        cmocka_unit_test(other_advantages_learn),
        cmocka_unit_test(a_constant_reward_moves_nothing_anyhow),
    };
    return cmocka_run_group_tests_name("learning", tests, NULL, NULL);
}
