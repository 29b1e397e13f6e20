/* test_sampling.c: groups without signal are drawn again: from the same task's deck, within the
 * budget, without touching the others; what was spent is logged; and a replay of what was kept is
 * the run. Then the tasks' shares as samplers set them, and GDPO's components in a run. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/log.h"

/* One reward of two values and three completions: about half of the groups have no signal. */
#define FLAT                                                                                       \
    "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"                                       \
    "rewards: [{name: regex, params: {pattern: \"[aeiou]$\"}}]\n"                                  \
    "num_generations: 3\nprompts_per_step: 8\nmax_completion_length: 4\nlearning_rate: 1e-3\n"     \
    "precision: f32\nsave_steps: 1\n"

static void run_recipe(const char *folder, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s.yaml", folder, name);
    write_text(path, text);
    train_ok(&(struct train_run){.recipe = path, .run = in_folder(folder, "%s", name)});
}

struct group {
    char task[32], prompt[64];
    double reward[3];
};

/* Group g of the run's samples. */
static struct group group_of(const char *run, int g)
{
    struct group out = {0};
    for (int i = 0; i < 3; i++) {
        json_t *line = json_line(in_folder(run, "samples.jsonl"), 3 * g + i);
        snprintf(out.task, sizeof out.task, "%s", json_string_value(json_object_get(line, "task")));
        snprintf(out.prompt, sizeof out.prompt, "%s",
                 json_string_value(json_object_get(line, "prompt_id")));
        out.reward[i] = json_number_value(json_object_get(line, "reward"));
        json_decref(line);
    }
    return out;
}

static bool flat(const struct group *g)
{
    return g->reward[0] == g->reward[1] && g->reward[1] == g->reward[2];
}

enum { GROUPS = 8, STEPS = 3 };

static void flat_groups_are_drawn_again(void **state)
{
    (void)state;
    char *folder = temp_folder(), plain[600], refilled[600];
    run_recipe(folder, "refilled",
               FLAT "data: tests/demo/train.jsonl\nmax_steps: 3\ndynamic_sampling: true\n"
                    "dynamic_sampling_max_rounds: 4\ntask_weights: {push: 1, sql_qa: 1}\n"
                    "update_interval: 1\n");
    run_recipe(folder, "plain",
               FLAT "data: tests/demo/train.jsonl\nmax_steps: 1\n"
                    "task_weights: {push: 1, sql_qa: 1}\nupdate_interval: 1\n");
    snprintf(plain, sizeof plain, "%s/plain", folder);
    snprintf(refilled, sizeof refilled, "%s/refilled", folder);
    int before = 0, after = 0;
    for (int g = 0; g < GROUPS; g++) {
        struct group a = group_of(plain, g), b = group_of(refilled, g);
        before += flat(&a);
        after += flat(&b);
        assert_string_equal(a.task, b.task); /* the place keeps its task */
        assert_int_equal(strcmp(a.prompt, b.prompt) == 0, !flat(&a));
        if (!flat(&a)) /* and what had signal is untouched */
            assert_memory_equal(a.reward, b.reward, sizeof a.reward);
        for (int h = 0; h < g; h++)
            assert_string_not_equal(group_of(refilled, h).prompt, b.prompt);
    }
    print_message("flat groups: %d of %d, refilled %d\n", before, GROUPS, after);
    assert_true(before > 1 && after < before);
    assert_true(metric_at(refilled, 1, "informative_groups") == GROUPS - after);
    assert_true(metric_at(plain, 1, "informative_groups") == GROUPS - before);
    double cards = 0;
    for (int step = 1; step <= STEPS; step++) {
        double groups = metric_at(refilled, step, "dynamic_sampling/refilled_groups");
        double rounds = metric_at(refilled, step, "dynamic_sampling/rounds");
        double tokens = metric_at(refilled, step, "dynamic_sampling/rollout_tokens");
        double kept = 3 * GROUPS * metric_at(refilled, step, "completions/mean_length");
        assert_true(rounds <= 4 && groups >= rounds && groups <= GROUPS * rounds);
        assert_true(fabs(tokens - kept) < 1e-6 ? groups == 0 : tokens >= kept + 3 * groups);
        cards += GROUPS + groups;
        assert_true(fabs(metric_at(refilled, step, "epoch") - cards / 240) < 1e-12);
    }
    temp_folder_remove(folder);
}

/* A budget of one round is one round. */
static void the_budget_holds(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600];
    run_recipe(folder, "run",
               FLAT "data: tests/demo/train.jsonl\nmax_steps: 4\ndynamic_sampling: true\n"
                    "dynamic_sampling_max_rounds: 1\n");
    snprintf(run, sizeof run, "%s/run", folder);
    double refilled = 0;
    for (int step = 1; step <= 4; step++) {
        assert_true(metric_at(run, step, "dynamic_sampling/rounds") <= 1);
        refilled += metric_at(run, step, "dynamic_sampling/refilled_groups");
    }
    assert_true(refilled > 2);
    temp_folder_remove(folder);
}

/* A sampler sees what was replaced too: the share without signal is of all that was drawn. One
 * round of refills after what the plain run drew: flat then and flat at last, over 4 and the
 * refills. */
static void replaced_groups_are_seen(void **state)
{
    (void)state;
    char *folder = temp_folder(), plain[600], run[600];
    static const char *const names[] = {"push", "sql_qa"};
    run_recipe(folder, "plain",
               FLAT "data: tests/demo/train.jsonl\nmax_steps: 1\n"
                    "task_sampler: uniform\nupdate_interval: 1\n");
    run_recipe(folder, "run",
               FLAT "data: tests/demo/train.jsonl\nmax_steps: 1\ndynamic_sampling: true\n"
                    "task_sampler: uniform\nupdate_interval: 1\ndynamic_sampling_max_rounds: 1\n");
    snprintf(plain, sizeof plain, "%s/plain", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    for (int t = 0; t < 2; t++) {
        int groups = 0, before = 0, after = 0;
        char name[80];
        for (int g = 0; g < GROUPS; g++) {
            struct group a = group_of(plain, g), b = group_of(run, g);
            groups += strcmp(a.task, names[t]) == 0;
            before += strcmp(a.task, names[t]) == 0 && flat(&a);
            after += strcmp(b.task, names[t]) == 0 && flat(&b);
        }
        assert_int_equal(groups, GROUPS / 2);
        snprintf(name, sizeof name, "sampler/%s_filtered_ratio", names[t]);
        assert_true(fabs(metric_at(run, 1, name) - (before + after) / (double)(groups + before)) <
                    1e-12);
    }
    temp_folder_remove(folder);
}

/* No row comes twice before all of its task have come, refills counted in: a task of 12 rows. */
static void decks_stay_decks(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600], text[2000];
    shell("grep push tests/demo/train.jsonl | head -n 12 > '%s/data.jsonl'", folder);
    snprintf(text, sizeof text, FLAT "data: %s/data.jsonl\nmax_steps: 6\ndynamic_sampling: true\n",
             folder);
    run_recipe(folder, "run", text);
    snprintf(run, sizeof run, "%s/run", folder);
    json_t *at = json_line(in_folder(run, "checkpoints/step-6/state.json"), 0),
           *cards = json_object_get(json_object_get(at, "dealer"), "cards");
    double taken = 6 * GROUPS;
    for (int step = 1; step <= 6; step++)
        taken += metric_at(run, step, "dynamic_sampling/refilled_groups");
    assert_true(json_integer_value(json_object_get(cards, "")) == (json_int_t)taken);
    json_decref(at);
    temp_folder_remove(folder);
}

static void a_replay_is_the_run(void **state)
{
    (void)state;
    static const char *const kinds[] = {"dynamic_sampling: true\n",
                                        "task_sampler: mtgrpo\nupdate_interval: 1\n",
                                        "advantage: gdpo\nnum_iterations: 2\n",
                                        "advantage: gdpo\nsoft_overlong_cache: 3\n",
                                        "advantage: gdpo_flat\n",
                                        "advantage: loo\n"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char *folder = temp_folder(), text[2000], samples[700], path[700];
        snprintf(text, sizeof text, TRAIN_RECIPE "max_steps: 4\nsave_steps: 1\n%s", kinds[k]);
        run_recipe(folder, "run", text);
        snprintf(samples, sizeof samples, "%s/run/samples.jsonl", folder);
        snprintf(path, sizeof path, "%s/run.yaml", folder);
        train_ok(&(struct train_run){
            .recipe = path, .run = in_folder(folder, "again"), .replay = samples});
        for (int step = 1; step <= 4; step++)
            same_bytes(
                in_folder(folder, "run/checkpoints/step-%d/adapter_model.safetensors", step),
                in_folder(folder, "again/checkpoints/step-%d/adapter_model.safetensors", step),
                kinds[k]);
        temp_folder_remove(folder);
    }
}

/* A replay whose lines have rewards alone cannot be normalised by component. */
static void gdpo_needs_components(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000], path[700], bare[700];
    struct err err;
    snprintf(text, sizeof text, TRAIN_RECIPE "max_steps: 1\nadvantage: gdpo\n");
    run_recipe(folder, "run", text);
    snprintf(path, sizeof path, "%s/run.yaml", folder);
    snprintf(bare, sizeof bare, "%s/bare.jsonl", folder);
    static const char *const instead[] = {"{}", "[1, 2]", "null", "{\"regex/match\": \"yes\"}",
                                          "{\"other\": 1}"};
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
        shell("sed 's#\"components\": *{[^}]*}#\"components\": %s#' '%s/run/samples.jsonl' > '%s'",
              instead[i], folder, bare);
        struct train_run again = {
            .recipe = path, .run = in_folder(folder, "again-%zu", i), .replay = bare};
        expect_error(train_run(&again, NULL, &err), ERR_INPUT, &err, "bare.jsonl, line 1",
                     "components", "regex/match", NULL);
    }
    /* And a recipe without rewards has none to name. */
    write_text(in_folder(folder, "none.yaml"),
               "model: tests/demo/model\nadvantage: gdpo\nmax_steps: 1\n");
    struct train_run none = {
        .recipe = in_folder(folder, "none.yaml"), .run = in_folder(folder, "none"), .replay = bare};
    expect_error(train_run(&none, NULL, &err), ERR_USAGE, &err, "advantage", "components", NULL);
    temp_folder_remove(folder);
}

/* The order of what is logged for GDPO: a component that never varies is said to. */
static void components_are_counted(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600];
    run_recipe(folder, "run",
               "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"
               "data: tests/demo/train.jsonl\nnum_generations: 4\nprompts_per_step: 4\n"
               "max_completion_length: 5\nprecision: f32\nmax_steps: 2\nadvantage: gdpo\n"
               "rewards:\n"
               "  - {name: length, params: {target: 20}}\n"
               "  - {name: regex, label: always, weight: 2, params: {pattern: \"\"}}\n"
               "  - {name: regex, label: shadow, weight: 0, params: {pattern: \"a\"}}\n");
    snprintf(run, sizeof run, "%s/run", folder);
    for (int step = 1; step <= 2; step++) {
        assert_true(metric_at(run, step, "gdpo/always/match/frac_zero_std") == 1);
        double length = metric_at(run, step, "gdpo/length/length/frac_zero_std");
        assert_true(length < 1);
        assert_true(metric_at(run, step, "frac_reward_zero_std") == length);
        json_t *line = json_line(in_folder(run, "metrics.jsonl"), step - 1);
        assert_null(json_object_get(line, "gdpo/shadow/match/frac_zero_std"));
        json_decref(line);
    }
    temp_folder_remove(folder);
}

/* Shares of the tasks over a run of 40 prompts: 30 rows of push, 10 of sql_qa. */
static void shares_of_the_tasks(void **state)
{
    (void)state;
    static const struct {
        const char *name, *more;
        double push;
    } cases[] = {{"uniform", "task_sampler: uniform\n", 0.5},
                 {"proportional", "task_sampler: proportional\n", 0.75},
                 {"mtgrpo",
                  "task_sampler: mtgrpo\ndynamic_sampling: false\n"
                  "task_weights: {push: 0.6, sql_qa: 0.4}\n"
                  "task_sampler_kwargs: {learning_rate: 0}\n",
                  0.6}};
    char *folder = temp_folder(), run[600], text[2000];
    shell("grep push tests/demo/train.jsonl | head -n 30 > '%s/data.jsonl' && "
          "grep sql_qa tests/demo/train.jsonl | head -n 10 >> '%s/data.jsonl'",
          folder, folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text,
                 TRAIN_RECIPE_BARE "data: %s/data.jsonl\nnum_generations: 2\n"
                                   "max_completion_length: 2\nprecision: f32\nmax_steps: 20\n"
                                   "prompts_per_step: 2\nupdate_interval: 20\n%s",
                 folder, cases[i].more);
        run_recipe(folder, cases[i].name, text);
        snprintf(run, sizeof run, "%s/%s", folder, cases[i].name);
        int push = 0;
        for (int g = 0; g < 40; g++) {
            json_t *line = json_line(in_folder(run, "samples.jsonl"), 2 * g);
            push += strcmp(json_string_value(json_object_get(line, "task")), "push") == 0;
            json_decref(line);
        }
        assert_int_equal(push, (int)lround(40 * cases[i].push));
        assert_true(fabs(metric_at(run, 7, "sampler/push_weight") - cases[i].push) < 1e-12);
    }
    temp_folder_remove(folder);
}

/* What a sampler cannot do with the data at hand. */
static void data_that_a_sampler_cannot_have(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000];
    struct err err;
    shell("head -n 40 tests/demo/train.jsonl | grep push > '%s/push.jsonl' && "
          "grep push tests/demo/eval.jsonl > '%s/eval.jsonl' && "
          "sed 's/\"task\": \"push\", //' '%s/push.jsonl' > '%s/none.jsonl'",
          folder, folder, folder, folder);
    const struct {
        const char *data, *more, *place, *says;
    } cases[] = {
        {"push.jsonl", "task_sampler: uniform\n", "task_sampler", "nothing to choose from"},
        {"none.jsonl", "task_sampler: mtgrpo\n", "task_sampler", "has no \"task\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text,
                 TRAIN_RECIPE_BARE "data: %s/%s\nmax_steps: 1\nmax_completion_length: 5\n%s",
                 folder, cases[i].data, cases[i].more);
        struct train_run r = {.recipe = write_text(in_folder(folder, "r.yaml"), text),
                              .run = in_folder(folder, "run")};
        expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, cases[i].place, cases[i].says,
                     NULL);
    }
    snprintf(text, sizeof text,
             TRAIN_RECIPE "max_steps: 1\neval_data: %s/eval.jsonl\neval_steps: 1\n"
                          "update_interval: 1\ntask_sampler: dynamic\n",
             folder);
    struct train_run r = {.recipe = write_text(in_folder(folder, "r.yaml"), text),
                          .run = in_folder(folder, "run")};
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "task_sampler", "eval/sql_qa",
                 "no row of that task", NULL);
    write_text(in_folder(folder, "r.yaml"),
               TRAIN_RECIPE "max_steps: 1\ntask_sampler: mtgrpo\n"
                            "task_sampler_kwargs: {min_weight: 0.55}\n");
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "task_sampler_kwargs.min_weight",
                 "there are 2 tasks", NULL);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_groups_are_drawn_again),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(replaced_groups_are_seen),
        cmocka_unit_test(decks_stay_decks),
        cmocka_unit_test(a_replay_is_the_run),
        cmocka_unit_test(gdpo_needs_components),
        cmocka_unit_test(components_are_counted),
        cmocka_unit_test(shares_of_the_tasks),
        cmocka_unit_test(data_that_a_sampler_cannot_have),
    };
    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
