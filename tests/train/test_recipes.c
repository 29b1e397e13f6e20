/* test_recipes.c: every recipe in recipes/ is one: its keys, values, combinations, rewards and stop
 * rules are read as the commands read them. (Models and data may be elsewhere.) */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "../support/support.h"
#include "base/file.h"
#include "base/str.h"
#include "episode/episode.h"
#include "train/options.h"
#include "train/pretrain_options.h"
#include "train/stop_rules.h"

static struct err err;

static void good(int status, const char *path)
{
    if (status)
        fail_msg("%s: %s: %s", path, err.where, err.message);
}

/* A recipe of `grpo pretrain` names an architecture where the others name a model. */
static bool of_pretraining(const char *path)
{
    struct str text = {0};
    good(file_read(&text, path, &err), path);
    bool is = strstr(str_text(&text), "\nconfig: ") != NULL;
    str_free(&text);
    return is;
}

/* Folders of data need not be here: any will do for reading parameters. */
static void have_folders(json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_object(value) && json_object_get(value, "folder"))
        json_object_set_new(value, "folder", json_string("recipes"));
    json_object_foreach(value, key, member)
    {
        have_folders(member);
    }
    json_array_foreach(value, i, member)
    {
        have_folders(member);
    }
}

static void check_training(const char *path)
{
    struct train_options o;
    struct reward_set set = {0};
    struct stop_rules rules = {0};
    recipe *r = NULL;
    good(train_recipe_load(&r, &o, path, NULL, 0, false, &err), path);
    json_t *rewards = recipe_node_json(o.rewards);
    have_folders(rewards);
    good(reward_set_create(&set, rewards, "rewards", &err), path);
    good(stop_rules_read(&rules, o.stop_rules, "stop_rules", &err), path);
    assert_true(set.count > 0 && o.optim.max_steps > 0);
    json_decref(rewards);
    stop_rules_free(&rules);
    reward_set_free(&set);
    recipe_free(r);
}

static void test_all(void **state)
{
    (void)state;
    DIR *dir = opendir("recipes");
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300];
        size_t length = strlen(e->d_name);
        if (length < 5 || strcmp(e->d_name + length - 5, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, "recipes/%s", e->d_name);
        n++;
        if (!of_pretraining(path)) {
            check_training(path);
            continue;
        }
        struct pretrain_options o;
        recipe *r = NULL;
        good(pretrain_recipe_load(&r, &o, path, NULL, 0, &err), path);
        recipe_free(r);
    }
    closedir(dir);
    assert_true(n >= 5);
}

/* The values that the hand-off document gives, one by one. */
static void test_of_record(void **state)
{
    (void)state;
    struct train_options o;
    recipe *r = NULL;
    const char *path = "recipes/tucano2-commerce-v4.2.yaml";
    good(train_recipe_load(&r, &o, path, NULL, 0, false, &err), path);
    assert_int_equal(o.num_generations, 16);
    assert_int_equal(o.max_completion_length, 512);
    assert_true(o.temperature == 1 && o.top_p == 1 && o.top_k == 0 && o.beta == 0);
    assert_int_equal(o.scale_rewards, SCALE_NONE);
    assert_int_equal(o.loss_type, LOSS_BNPO);
    assert_true(o.epsilon == 0.2 && o.num_iterations == 1);
    assert_true(o.optim.learning_rate == 5e-6 && o.optim.warmup_ratio == 0.05);
    assert_true(o.optim.weight_decay == 0.001 && o.optim.max_grad_norm == 1);
    assert_int_equal(o.optim.lr_scheduler_type, SCHEDULE_CONSTANT_WITH_WARMUP);
    assert_int_equal(o.prompts_per_step, 1);
    assert_true(o.lora.r == 16 && o.lora.lora_alpha == 32 && o.lora.lora_dropout == 0);
    assert_int_equal(o.lora.target_modules.count, 7);
    assert_int_equal(o.advantage, ADVANTAGE_GDPO_FLAT);
    assert_int_equal(o.task_sampler, SAMPLER_DYNAMIC);
    assert_int_equal(o.update_interval, 50);
    assert_true(o.optim.max_steps == 1500 && o.eval_steps == 50);
    assert_true(o.save_steps == 100 && o.save_total_limit == 5);
    assert_int_equal(o.seeds.count, 3);
    assert_true(o.seeds.items[0] == 42 && o.seeds.items[1] == 123 && o.seeds.items[2] == 456);
    assert_true(o.audit_min_rho == 0.7 && !o.audit_gate_on_lower_bound);
    json_t *baseline = recipe_node_json(o.baseline), *history = recipe_node_json(o.history);
    json_t *mix = recipe_node_json(o.task_weights);
    assert_true(json_real_value(json_object_get(baseline, "eval/mean_reward")) == 0.645);
    assert_true(json_real_value(json_object_get(baseline, "eval/sql_qa")) == 0.547);
    assert_int_equal(json_array_size(history), 7);
    assert_true(json_real_value(json_object_get(mix, "sql_qa")) == 0.4 &&
                json_real_value(json_object_get(mix, "push")) == 0.1);
    json_decref(baseline);
    json_decref(history);
    json_decref(mix);
    recipe_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_of_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
