/* test_stopping.c: the best evaluation and early stopping as transformers has them
 * (tests/oracle/train/stopping.json); a run that stops early, wherever it is cut and resumed; what
 * a resume of a stopped run does; save_minutes; a best_checkpoint/ that somebody deleted; and names
 * of metrics that no evaluation will have. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "../support/json_fixture.h"
#include "base/log.h"
#include "train/stopping.h"

/* --- the rule --- */

static void transformers_callback(void **state)
{
    (void)state;
    json_t *root = json_fixture("train/stopping.json"), *c;
    size_t index;
    int on = 0;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 63);
    json_array_foreach(json_object_get(root, "cases"), index, c)
    {
        double values[16], counter[16], best_value[16], best_at[16];
        size_t n = json_fixture_doubles(values, 16, c, "values"),
               m = json_fixture_doubles(counter, 16, c, "counter");
        json_fixture_doubles(best_value, 16, c, "best");
        json_fixture_doubles(best_at, 16, c, "best_at");
        int patience = (int)json_fixture_number(c, "patience");
        bool stops = json_is_true(json_object_get(c, "stopped"));
        struct best_so_far best = {0};
        assert_true(m == n || stops);
        for (size_t i = 0; i < m; i++) {
            bool fresh = best_update(&best, values[i], json_fixture_number(c, "threshold"), (int)i);
            if (best.not_better != (int)counter[i] || best.value != best_value[i] ||
                best.step != (int)best_at[i] || fresh != (best_at[i] == (double)i) ||
                early_stop(&best, patience) != (stops && i + 1 == m))
                fail_msg("case %zu parts at evaluation %zu", index, i);
            assert_false(early_stop(&best, 0));
        }
        on += !stops;
    }
    assert_true(on > 0 && on < 63);
    json_decref(root);
}

/* --- runs --- */

/* Values of the evaluations after steps 0, 2, 4 …; the best is after step 4. */
static const double course[] = {0.25, 0.5, 0.75, 0.5, 0.75, 0.625, 1, 1, 1};

static int scripted(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    (void)err;
    metrics_add(out, course[call->step / 2], "eval/mean_reward");
    return 0;
}

struct ground {
    char *folder, path[600], whole[600], cut[600];
    struct train_run run;
};

static void open_ground(struct ground *g, const char *more)
{
    char text[2000];
    *g = (struct ground){.folder = temp_folder()};
    shell("head -n 2 tests/demo/eval.jsonl > '%s/eval.jsonl'", g->folder);
    snprintf(g->path, sizeof g->path, "%s/recipe.yaml", g->folder);
    snprintf(g->whole, sizeof g->whole, "%s/whole", g->folder);
    snprintf(g->cut, sizeof g->cut, "%s/cut", g->folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE "eval_data: %s/eval.jsonl\neval_steps: 2\nmax_steps: 16\n"
                          "save_total_limit: 0\n%s",
             g->folder, more);
    write_text(g->path, text);
    g->run = (struct train_run){.recipe = g->path, .run = g->whole, .evaluate = scripted};
}

static struct trainer_result resume(struct ground *g, const char *run)
{
    struct train_run again = g->run;
    again.run = run;
    again.resume = true;
    return train_ok(&again);
}

static void stopped_is(const char *run, int step)
{
    json_t *json = json_line(in_folder(run, "run.json"), 0),
           *stopped = json_object_get(json, "stopped");
    if (step) {
        assert_string_equal(json_string_value(json_object_get(stopped, "reason")),
                            "early_stopping");
        assert_int_equal(json_integer_value(json_object_get(stopped, "step")), step);
    } else {
        assert_true(json_is_null(stopped));
    }
    json_decref(json);
}

/* Patience 3: the evaluations after 6, 8 and 10 do not beat the one after 4. */
static void a_run_stops_and_stays_stopped(void **state)
{
    (void)state;
    struct ground g;
    open_ground(&g, "save_steps: 1\nearly_stopping_patience: 3\nnum_iterations: 2\n");
    struct trainer_result result = train_ok(&g.run);
    assert_int_equal(result.steps, 10);
    assert_true(result.stopped_early && !result.already_finished && result.best_step == 4);
    assert_true(metric_at(g.whole, 10, "eval/mean_reward") == 0.625);
    assert_int_equal(count_lines(in_folder(g.whole, "metrics.jsonl")), 11);
    assert_int_equal(latest_checkpoint(g.whole), 10);
    stopped_is(g.whole, 10);
    for (int k = 1; k < 10; k++) { /* cut after step k: the same end */
        char label[64];
        snprintf(label, sizeof label, "cut after step %d", k);
        shell("cp -r '%s' '%s'", g.whole, g.cut);
        for (int step = k + 1; step <= 10; step++)
            shell("rm -rf '%s/checkpoints/step-%d'", g.cut, step);
        result = resume(&g, g.cut);
        assert_true(result.steps == 10 && result.stopped_early && !result.already_finished);
        same_run(g.whole, g.cut, 10, label);
        stopped_is(g.cut, 10);
        shell("rm -rf '%s'", g.cut);
    }
    /* A finished run is left alone. */
    shell("cp -rp '%s' '%s'", g.whole, g.cut);
    result = resume(&g, g.whole);
    assert_true(result.already_finished && result.stopped_early && result.steps == 10);
    shell("diff -r '%s' '%s'", g.whole, g.cut);
    /* With more patience, asked for by name, it goes on, and is not stopped any more. */
    struct train_run longer = g.run;
    longer.resume = true;
    longer.set[0] = "early_stopping_patience=4";
    longer.allow[0] = "early_stopping_patience";
    result = train_ok(&longer);
    assert_true(result.steps == 16 && !result.stopped_early && result.best_step == 12);
    stopped_is(g.whole, 0);
    temp_folder_remove(g.folder);
}

/* Patience 2 ends it after step 8: 0.75 only equals the best. With a threshold nothing under 0.3
 * counts, and the bar rises all the same: 0.5 and 0.75 are new bests that are not better. */
static void what_counts_as_better(void **state)
{
    (void)state;
    static const struct {
        const char *set[2];
        int steps, best_step;
    } cases[] = {
        {{"early_stopping_patience=2", "early_stopping_threshold=0.0"}, 8, 4},
        {{"early_stopping_patience=2", "early_stopping_threshold=0.3"}, 4, 4},
        {{"early_stopping_patience=4", "early_stopping_threshold=0.3"}, 8, 4},
        {{"early_stopping_patience=6", "early_stopping_threshold=0.0"}, 16, 12},
    };
    struct ground g;
    open_ground(&g, "save_steps: 50\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        g.run.set[0] = cases[i].set[0];
        g.run.set[1] = cases[i].set[1];
        struct trainer_result result = train_ok(&g.run);
        if (result.steps != cases[i].steps || result.best_step != cases[i].best_step)
            fail_msg("%s, %s: %d steps, best after %d", cases[i].set[0], cases[i].set[1],
                     result.steps, result.best_step);
        assert_int_equal(result.stopped_early, cases[i].steps < 16);
        assert_int_equal(latest_checkpoint(g.whole), result.steps); /* saved, whatever save_steps */
        shell("rm -rf '%s'", g.whole);
    }
    temp_folder_remove(g.folder);
}

/* Checkpoints of before early stopping do not count evaluations. */
static void an_old_checkpoint(void **state)
{
    (void)state;
    struct ground g;
    open_ground(&g, "save_steps: 2\n");
    g.run.set[0] = "max_steps=4";
    train_ok(&g.run);
    shell("sed -i 's/\"evaluations_without_improvement\": 0, //' "
          "'%s/checkpoints/step-4/state.json'",
          g.whole);
    shell("! grep -q without_improvement '%s/checkpoints/step-4/state.json'", g.whole);
    g.run.set[0] = NULL;
    g.run.allow[0] = "max_steps";
    assert_int_equal(resume(&g, g.whole).steps, 16);
    temp_folder_remove(g.folder);
}

/* --- checkpoints by the clock --- */

static void the_clock_decides_when_only(void **state)
{
    (void)state;
    struct ground g;
    open_ground(&g, "save_steps: 50\n");
    train_ok(&g.run);
    assert_false(access(in_folder(g.whole, "checkpoints/step-1"), F_OK) == 0);
    g.run.run = g.cut;
    g.run.set[0] = "save_minutes=1e-9"; /* at every step */
    train_ok(&g.run);
    for (int step = 1; step <= 16; step++)
        assert_int_equal(access(in_folder(g.cut, "checkpoints/step-%d", step), F_OK), 0);
    same_bytes(in_folder(g.whole, "metrics.jsonl"), in_folder(g.cut, "metrics.jsonl"), "clock");
    same_bytes(in_folder(g.whole, "samples.jsonl"), in_folder(g.cut, "samples.jsonl"), "clock");
    same_bytes(in_folder(g.whole, "checkpoints/step-16/optimizer.safetensors"),
               in_folder(g.cut, "checkpoints/step-16/optimizer.safetensors"), "clock");
    shell("rm -rf '%s'", g.cut);
    g.run.set[0] = "save_minutes=1000"; /* never */
    train_ok(&g.run);
    for (int step = 1; step < 16; step++)
        assert_int_not_equal(access(in_folder(g.cut, "checkpoints/step-%d", step), F_OK), 0);
    temp_folder_remove(g.folder);
}

/* --- best_checkpoint/ --- */

static void a_deleted_best_is_said(void **state)
{
    (void)state;
    struct ground g;
    open_ground(&g, "save_steps: 2\n");
    g.run.set[0] = "max_steps=6";
    assert_true(train_ok(&g.run).best_is_there);
    struct train_run again = g.run;
    again.resume = true;
    assert_true(train_ok(&again).best_is_there);
    shell("rm -rf '%s/best_checkpoint'", g.whole);
    struct trainer_result result = train_ok(&again);
    assert_true(result.has_best && !result.best_is_there && result.best_step == 4);
    /* A better evaluation makes a new one. */
    again.set[0] = "max_steps=12";
    again.allow[0] = "max_steps";
    result = train_ok(&again);
    assert_true(result.best_is_there && result.best_step == 12);
    temp_folder_remove(g.folder);
}

/* --- names --- */

static void a_metric_that_will_not_be(void **state)
{
    (void)state;
    static const struct {
        const char *set, *what;
    } cases[] = {
        {"metric_for_best_model=mean_reward", "\"mean_reward\""},
        {"metric_for_best_model=eval/pushh", "\"eval/pushh\""},
        {"metric_for_best_model=eval/rewards/regexp", "\"eval/rewards/regexp\""},
        {"metric_for_best_model=reward", "\"reward\""},
    };
    struct ground g;
    open_ground(&g, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        g.run.set[0] = cases[i].set;
        expect_error(train_run(&g.run, NULL, &err), ERR_USAGE, &err, "metric_for_best_model",
                     cases[i].what, "eval.jsonl", "eval/mean_reward, eval/push",
                     "eval/rewards/regex, eval/rewards/length", NULL);
        assert_int_not_equal(access(g.whole, F_OK), 0); /* before anything was made */
    }
    temp_folder_remove(g.folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transformers_callback),
        cmocka_unit_test(a_run_stops_and_stays_stopped),
        cmocka_unit_test(what_counts_as_better),
        cmocka_unit_test(an_old_checkpoint),
        cmocka_unit_test(the_clock_decides_when_only),
        cmocka_unit_test(a_deleted_best_is_said),
        cmocka_unit_test(a_metric_that_will_not_be),
    };
    return cmocka_run_group_tests_name("stopping", tests, NULL, NULL);
}
