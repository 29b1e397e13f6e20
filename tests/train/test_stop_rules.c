/* test_stop_rules.c: every rule on synthetic streams: fires where it should, at the step it should,
 * once, and nowhere else; recipes that say it wrongly; and in a run:
 * warnings, stops, resumes that judge the same, the checkpoint from before overfitting. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../support/json_fixture.h"
#include "../support/train_run.h"
#include "base/log.h"
#include "train/stop_rules.h"

/* --- synthetic streams --- */

struct value {
    const char *name;
    double value;
};
static double value_of(const void *metrics, const char *name)
{
    for (const struct value *v = metrics; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v->value;
    return NAN;
}

static void read_rules(struct stop_rules *s, struct yaml_node *root, const char *yaml)
{
    struct err err;
    if (yaml_parse(root, yaml, strlen(yaml), "recipe", &err) ||
        stop_rules_read(s, root, "recipe: stop_rules", &err))
        fail_msg("%s: %s: %s", yaml, err.where, err.message);
}

/* The step at which a rule over "m" (and "t") fires on a course every 50 steps; −1: never. */
typedef double course(int step);
static int fires_at(const char *yaml, course *m, course *t, int steps)
{
    struct stop_rules s;
    struct yaml_node root;
    struct err err;
    read_rules(&s, &root, yaml);
    for (int step = 0; step <= steps; step++) {
        const struct value metrics[] = {
            {"m", step % 50 ? NAN : m(step)}, {"t", t && step ? t(step) : NAN}, {NULL, 0}};
        assert_int_equal(stop_rules_feed(&s, step, value_of, metrics, &err), 0);
    }
    int fired = s.rules[0].fired;
    assert_true((fired >= 0) == (s.rules[0].why[0] != 0));
    stop_rules_free(&s);
    yaml_free(&root);
    return fired;
}

static double noise(int step, double size)
{
    unsigned x = (unsigned)step * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    return size * ((double)(x >> 8) / (1 << 24) - 0.5);
}
static double rising(int step)
{
    return 0.3 + 4e-4 * step;
}
static double late(int step) /* stands still up to 200, then rises */
{
    return step <= 200 ? 0.5 : 0.5 + 1e-3 * (step - 200);
}
static double bump(int step) /* up by 200, down again by 400 */
{
    return 0.5 + 1e-3 * (step <= 200 ? step : step <= 400 ? 400 - step : 0);
}
static double constant(int step)
{
    (void)step;
    return 0.645;
}
static double dropping(int step) /* 0.8, from 900 on falling below 0.65 at 1000 but for 1050 */
{
    return step < 900 ? 0.8 : step == 1050 ? 0.7 : 0.8 - 0.002 * (step - 850);
}
static double saturating(int step) /* rises up to 800, then noise around 0.6 */
{
    return (step < 800 ? 0.2 + 5e-4 * step : 0.6) + noise(step, 0.02);
}
static double training(int step) /* rises all the way */
{
    return 0.2 + 5e-4 * step + noise(step, 0.3);
}
static double training_flat(int step)
{
    return 0.6 + noise(step, 0.3);
}

static void rules_on_streams(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        course *m, *t;
        int fires;
    } cases[] = {
        {"[{rule: flat, metric: m, after_step: 200}]", late, NULL, 200},
        {"[{rule: flat, metric: m, after_step: 225}]", late, NULL, -1}, /* 0.55 at 250 */
        {"[{rule: flat, metric: m, after_step: 225, rise: 0.06}]", late, NULL, 250},
        {"[{rule: flat, metric: m, after_step: 200}]", rising, NULL, -1},
        {"[{rule: flat, metric: m, after_step: 200, rise: 0.1}]", rising, NULL, 200},
        {"[{rule: flat, metric: other, after_step: 200}]", late, NULL, -1},
        {"[{rule: flat, metric: m, after_step: 200}]", bump, NULL, -1}, /* judged once */
        {"[{rule: flat, metric: m, after_step: 390}]", bump, NULL, 400},
        {"[{rule: below, metric: m, value: 0.65, count: 3, after_step: 800}]", dropping, NULL,
         1200},
        {"[{rule: below, metric: m, value: 0.65, count: 1, after_step: 800}]", dropping, NULL, 950},
        {"[{rule: below, metric: m, value: 0.65, count: 2, after_step: 950}]", dropping, NULL,
         1150},
        {"[{rule: below, metric: m, value: 0.9, count: 3, after_step: 800}]", dropping, NULL, 950},
        {"[{rule: below, metric: m, value: 0.645, count: 3}]", constant, NULL, -1},
        {"[{rule: plateau, metric: m, value: 0.645, after_step: 500}]", constant, NULL, 650},
        {"[{rule: plateau, metric: m, value: 0.66, after_step: 500}]", constant, NULL, -1},
        {"[{rule: plateau, metric: m, after_step: 500}]", constant, NULL, 650},
        {"[{rule: plateau, metric: m, count: 5}]", rising, NULL, -1},
        {"[{rule: plateau, metric: m, count: 5, tolerance: 0.081}]", rising, NULL, 250},
        {"[{rule: still, metric: m, after_step: 300}]", constant, NULL, 300},
        {"[{rule: still, metric: m, after_step: 310}]", constant, NULL, 350},
        {"[{rule: still, metric: m, after_step: 150}]", late, NULL, 150},
        {"[{rule: still, metric: m, after_step: 250}]", late, NULL, -1},
        {"[{rule: overfitting, metric: m, against: t, after_step: 800, window: 400}]", rising,
         training, -1},
        {"[{rule: overfitting, metric: m, against: t, after_step: 800, window: 400}]", saturating,
         training_flat, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fired = fires_at(cases[i].yaml, cases[i].m, cases[i].t, 1500);
        if (fired != cases[i].fires)
            fail_msg("%s fired at %d, expected %d", cases[i].yaml, fired, cases[i].fires);
    }
    /* It takes some of the window to see that the rise has ended. */
    int over =
        fires_at("[{rule: overfitting, metric: m, against: t, after_step: 800, window: 400}]",
                 saturating, training, 1500);
    print_message("overfitting is seen at step %d\n", over);
    assert_true(over > 850 && over <= 1250);
    assert_int_equal(
        fires_at("[{rule: overfitting, metric: m, against: t, after_step: 1300, window: 400}]",
                 saturating, training, 1500),
        1350);
}

static void which_stops(void **state)
{
    (void)state;
    struct stop_rules s;
    struct yaml_node root;
    struct err err;
    read_rules(
        &s, &root,
        "[{rule: below, metric: m, value: 1, count: 1}, {rule: still, metric: m, after_step: "
        "2, action: stop}, {rule: plateau, metric: m, \"action\": \"stop\", tolerance: 9, count: "
        "4}]");
    int stopped = -1;
    for (int step = 0; step < 6; step++) {
        assert_int_equal(
            stop_rules_feed(&s, step, value_of, (struct value[]){{"m", 0.5}, {NULL, 0}}, &err), 0);
        const struct stop_rule *r = stop_rules_stopped(&s);
        if (r && stopped < 0) {
            stopped = step;
            assert_string_equal(stop_rule_name(r), "still");
        }
    }
    assert_int_equal(stopped, 2);
    assert_int_equal(s.rules[0].fired, 1); /* after_step 0: before the first step is not after it */
    assert_int_equal(s.rules[2].fired, 4);
    assert_int_equal(s.rules[2].action, STOP_STOP); /* quoted, as JSON has it */
    stop_rules_free(&s);
    yaml_free(&root);
}

/* Which of the checkpoints every 100 steps are needed beside the newest. */
static void checkpoints_that_stay(void **state)
{
    (void)state;
    struct stop_rules s;
    struct yaml_node root;
    read_rules(&s, &root, "[{rule: overfitting, window: 250, after_step: 300}]");
    static const bool at_600[] = {false, false, true, true, true}; /* 100 … 500; start 350 */
    for (int i = 0; i < 5; i++)
        assert_int_equal(stop_rules_need(&s, 100 * (i + 1), 100 * (i + 2), 600), at_600[i]);
    s.rules[0].fired = 600;
    for (int i = 0; i < 20; i++)
        assert_int_equal(stop_rules_need(&s, 100 * (i + 1), 100 * (i + 2), 2200), i == 2);
    stop_rules_free(&s);
    yaml_free(&root);
    read_rules(&s, &root, "[{rule: below, metric: m, value: 1}]");
    assert_false(stop_rules_need(&s, 100, 200, 300));
    stop_rules_free(&s);
    yaml_free(&root);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } bad[] = {
        {"{}", "expected a list"},
        {"[]", "expected a list"},
        {"below", "expected a list"},
        {"[below]", "line 1: expected a map with \"rule\", one of flat, below, plateau"},
        {"[{metric: m}]", "expected a map with \"rule\""},
        {"[{rule: above, metric: m}]", "one of flat, below"},
        {"[{rule: [below]}]", "one of flat, below"},
        {"[{rule: below, metric: m}]", "rule below needs \"value\""},
        {"[{rule: flat, metric: m}]", "rule flat needs \"after_step\""},
        {"[{rule: flat, metric: m, after_step: 3, value: 3}]", "rule flat has no \"value\""},
        {"[{rule: flat, metric: m, after_step: 3, patience: 3}]", "has no \"patience\""},
        {"[{rule: flat, metric: m, after_step: 3,\n action: pause}]", "line 2"},
        {"[{rule: flat, metric: m, after_step: 3, action: pause}]", "expected warn or stop"},
        {"[{rule: flat, metric: m, after_step: -3}]", "\"after_step\" of rule flat is \"-3\""},
        {"[{rule: flat, metric: m, after_step: 3.5}]", "expected a whole number"},
        {"[{rule: flat, metric: m, after_step: 99999999999999999999}]", "whole number"},
        {"[{rule: flat, metric: m, after_step: \"3\"}]", "whole number"},
        {"[{rule: below, metric: m, value: nan}]", "expected a number"},
        {"[{rule: below, metric: m, value: .inf}]", "expected a number"},
        {"[{rule: below, metric: m, value: 0.5, count: 0}]", "\"count\""},
        {"[{rule: below, metric: [m], value: 0.5}]", "no single value"},
        {"[{rule: below, metric: '', value: 0.5}]", "expected a name"},
        {"[{rule: below, metric: m, value: }]", "expected a number"},
        {"[{rule: overfitting, window: 0}]", "\"window\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct stop_rules s;
        struct yaml_node root;
        struct err err = {0};
        assert_int_equal(yaml_parse(&root, bad[i].yaml, strlen(bad[i].yaml), "recipe", &err), 0);
        int status = stop_rules_read(&s, &root, "recipe: stop_rules", &err);
        if (status != ERR_USAGE || !strstr(err.message, bad[i].says))
            fail_msg("%s: status %d, %s", bad[i].yaml, status, err.message);
        stop_rules_free(&s);
        yaml_free(&root);
    }
}

/* --- in a run --- */

#define RUN                                                                                        \
    TRAIN_RECIPE "eval_data: %s/eval.jsonl\neval_steps: 1\nsave_steps: 1\nsave_total_limit: 1\n"

static const char *write_recipe(const char *folder, const char *more)
{
    char text[2000];
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    snprintf(text, sizeof text, RUN "%s", folder, more);
    return write_text(in_folder(folder, "recipe.yaml"), text);
}

/* The reward is below 9 anyhow: warned of at step 2, stopped for at 4, of at most 8. */
#define BELOW                                                                                      \
    "lr_scheduler_type: constant\nmax_steps: 8\nstop_rules:\n"                                     \
    "  - {rule: below, metric: reward, value: 9, count: 2}\n"                                      \
    "  - {rule: below, metric: eval/mean_reward, value: 9, count: 4, action: stop}\n"

static void a_run_is_stopped(void **state)
{
    (void)state;
    char *folder = temp_folder(), whole[600], cut[600];
    char path[600];
    snprintf(path, sizeof path, "%s", write_recipe(folder, BELOW));
    struct train_run run = {.recipe = path};
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    run.run = whole;
    struct trainer_result result = train_ok(&run);
    assert_true(result.steps == 4 && result.stopped_early && !result.already_finished);
    assert_true(metric_at(whole, 2, "stop_rules/1_below") == 1);
    assert_true(metric_at(whole, 4, "stop_rules/2_below") == 1);
    json_t *about = json_line(in_folder(whole, "run.json"), 0);
    json_t *stopped = json_object_get(about, "stopped");
    assert_string_equal(json_string_value(json_object_get(stopped, "reason")), "stop_rule");
    assert_string_equal(json_string_value(json_object_get(stopped, "metric")), "eval/mean_reward");
    assert_int_equal(json_integer_value(json_object_get(stopped, "step")), 4);
    assert_int_equal(json_array_size(json_object_get(about, "stop_rules_fired")), 2);
    json_decref(about);
    /* Found finished; and cut anywhere before, it comes to the same end. */
    run.resume = true;
    result = train_ok(&run);
    assert_true(result.already_finished && result.stopped_early && result.steps == 4);
    static const int limits[] = {1, 2, 3};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char set[40];
        snprintf(set, sizeof set, "max_steps=%d", limits[i]);
        shell("rm -rf '%s'", cut);
        struct train_run part = {.recipe = path, .run = cut, .set = {set}};
        assert_int_equal(train_ok(&part).steps, limits[i]);
        part =
            (struct train_run){.recipe = path, .run = cut, .resume = true, .allow = {"max_steps"}};
        result = train_ok(&part);
        assert_true(result.steps == 4 && result.stopped_early);
        same_bytes(in_folder(whole, "metrics.jsonl"), in_folder(cut, "metrics.jsonl"), "resumed");
    }
    temp_folder_remove(folder);
}

/* With one checkpoint to keep, those of the window stay until the rule has fired, then the one from
 * before it. */
static void the_checkpoint_from_before(void **state)
{
    (void)state;
    char *folder = temp_folder(), run[600], path[600];
    snprintf(path, sizeof path, "%s",
             write_recipe(folder, "max_steps: 6\nstop_rules: [{rule: overfitting, window: 3}]\n"));
    snprintf(run, sizeof run, "%s/run", folder);
    train_ok(&(struct train_run){.recipe = path, .run = run});
    for (int step = 1; step <= 6; step++) {
        bool there = access(in_folder(run, "checkpoints/step-%d/state.json", step), F_OK) == 0;
        assert_int_equal(there, step >= 3);
    }
    temp_folder_remove(folder);
}

static void what_cannot_be_watched(void **state)
{
    (void)state;
    static const struct {
        const char *more, *says;
    } cases[] = {
        {"max_steps: 2\nstop_rules: [{rule: below, metric: eval/exam, value: 1}]\n",
         "no evaluation on"},
        {"max_steps: 2\nstop_rules: [{rule: below, metric: rewards, value: 1}]\n",
         "\"rewards\", which no step logs"},
        {"max_steps: 2\nstop_rules: [{rule: overfitting, against: train/reward}]\n",
         "\"train/reward\", which no step logs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *folder = temp_folder();
        struct err err;
        struct train_run r = {.recipe = write_recipe(folder, cases[i].more),
                              .run = in_folder(folder, "run")};
        expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "stop_rules", "line ",
                     cases[i].says, NULL);
        temp_folder_remove(folder);
    }
    char *folder = temp_folder();
    struct err err;
    write_text(in_folder(folder, "r.yaml"), TRAIN_RECIPE "max_steps: 2\n"
                                                         "stop_rules: [{rule: plateau}]\n");
    struct train_run r = {.recipe = in_folder(folder, "r.yaml"), .run = in_folder(folder, "run")};
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "no eval_data", NULL);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_on_streams),       cmocka_unit_test(which_stops),
        cmocka_unit_test(checkpoints_that_stay),  cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_run_is_stopped),       cmocka_unit_test(the_checkpoint_from_before),
        cmocka_unit_test(what_cannot_be_watched),
    };
    return cmocka_run_group_tests_name("stop_rules", tests, NULL, NULL);
}
