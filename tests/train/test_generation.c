/* test_generation.c: several optimizer steps of one generation: which completions a step takes,
 * what they are divided by, what a resume and a replay do with it; and the soft overlong
 * punishment. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "../support/json_fixture.h"
#include "base/log.h"
#include "train/generation.h"

/* --- the deal --- */

enum { GROUPS = 6, PER_GROUP = 5, N = GROUPS * PER_GROUP };

static void dealt(int *slice_of, int slices, int first_step, uint64_t seed)
{
    struct generation gen;
    struct err err;
    assert_int_equal(generation_create(&gen, GROUPS, PER_GROUP, 4, NULL, &err), 0);
    gen.batch.count = GROUPS;
    gen.slices = slices;
    gen.first_step = first_step;
    generation_deal(&gen, seed);
    memcpy(slice_of, gen.slice_of, N * sizeof *slice_of);
    generation_free(&gen);
}

static void equal_slices_in_a_keyed_order(void **state)
{
    (void)state;
    int first[N], again[N];
    static const int slices[] = {1, 2, 3, 10, 30};
    for (size_t s = 0; s < sizeof slices / sizeof *slices; s++) {
        int members[30] = {0}, mixed = 0;
        dealt(first, slices[s], 7, 42);
        for (int i = 0; i < N; i++) {
            assert_in_range(first[i], 0, slices[s] - 1);
            members[first[i]]++;
            mixed += first[i] != first[i - i % PER_GROUP]; /* not the slice of its group's first */
        }
        for (int i = 0; i < slices[s]; i++)
            assert_int_equal(members[i], N / slices[s]);
        assert_true(slices[s] == 1 || mixed > GROUPS);
        dealt(again, slices[s], 7, 42);
        assert_memory_equal(first, again, sizeof first);
        if (slices[s] == 1)
            continue;
        dealt(again, slices[s], 9, 42);
        assert_memory_not_equal(first, again, sizeof first);
        dealt(again, slices[s], 7, 43);
        assert_memory_not_equal(first, again, sizeof first);
    }
}

/* --- runs --- */

#define STEPS_RECIPE                                                                               \
    TRAIN_RECIPE "max_steps: 5\nsave_steps: 1\nsave_total_limit: 0\nsteps_per_generation: 2\n"     \
                 "lr_scheduler_type: constant\n"

static long tokens_of(const char *run, int step, int slice)
{
    long tokens = 0;
    const char *path = in_folder(run, "samples.jsonl");
    for (int i = 0, n = count_lines(path); i < n; i++) {
        json_t *line = json_line(path, i);
        if (json_integer_value(json_object_get(line, "step")) == step &&
            (slice < 0 || json_integer_value(json_object_get(line, "slice")) == slice))
            tokens += (long)json_array_size(json_object_get(line, "ids"));
        json_decref(line);
    }
    return tokens;
}

/* Steps 1, 3 and 5 sample; a generation has twice the prompts of a step; each of its completions is
 * in one of two slices. What sampler and trainer say of a token is compared on the first step. */
static void a_run(const char *run)
{
    static const int first[] = {1, 1, 3, 3, 5};
    assert_int_equal(count_lines(in_folder(run, "samples.jsonl")), 3 * 2 * 2 * 4);
    for (int step = 1; step <= 5; step++) {
        json_t *line = json_line(in_folder(run, "metrics.jsonl"), step - 1);
        assert_int_equal(json_object_get(line, "reward") != NULL, first[step - 1] == step);
        assert_true(json_number_value(json_object_get(line, "grad_norm")) > 0);
        json_decref(line);
        if (first[step - 1] == step)
            assert_true(metric_at(run, step, "sampling/sampling_logp_difference/max") == 0);
    }
    assert_true(metric_at(run, 1, "clip_ratio/low_mean") == 0);
    assert_true(tokens_of(run, 1, 0) > 0 && tokens_of(run, 1, 1) > 0);
    assert_int_equal(tokens_of(run, 1, 0) + tokens_of(run, 1, 1), tokens_of(run, 1, -1));
}

/* dapo: the step's own tokens, or TRL's share of the generation's. Nothing else differs in step 1,
 * so its loss and gradient are in the ratio of the two. */
static void denominators(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], runs[2][600];
    static const char *const set[2] = {"dapo_denominator=step", "dapo_denominator=generation"};
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, STEPS_RECIPE "temperature: 1.5\n");
    for (int i = 0; i < 2; i++) {
        snprintf(runs[i], sizeof runs[i], "%s/run-%d", folder, i);
        train_ok(&(struct train_run){
            .recipe = path, .run = runs[i], .set = {set[i], "max_completion_length=24"}});
        a_run(runs[i]);
    }
    double own = (double)tokens_of(runs[0], 1, 0), all = (double)tokens_of(runs[0], 1, -1);
    assert_true(own != all / 2);
    double ratio = metric_at(runs[0], 1, "grad_norm") / metric_at(runs[1], 1, "grad_norm"),
           want = all / 2 / own;
    if (!(fabs(ratio - want) <= 1e-5 * want))
        fail_msg("gradients are in the ratio %.9g, tokens in %.9g", ratio, want);
    temp_folder_remove(folder);
}

/* The samples of a run, with log-probabilities or without, with slices or without, lead the same
 * way again: what the file does not say, the seed or the adapter at that time does. */
static void a_run_replays_itself(void **state)
{
    (void)state;
    static const char *const strip[] = {"x", "s/\"logprobs\": \\[[^]]*\\], //",
                                        "s/, \"slice\": [0-9]*//"};
    char *folder = temp_folder(), path[600], run[600], samples[700], again[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    write_text(path, STEPS_RECIPE "num_iterations: 2\nepsilon: 0.05\nscale_rewards: batch\n");
    train_ok(&(struct train_run){.recipe = path, .run = run});
    for (size_t s = 0; s < sizeof strip / sizeof *strip; s++) {
        snprintf(samples, sizeof samples, "%s/samples-%zu.jsonl", folder, s);
        snprintf(again, sizeof again, "%s/again-%zu", folder, s);
        shell("sed '%s' '%s/samples.jsonl' > '%s'", s ? strip[s] : "", run, samples);
        assert_int_equal(count_lines(samples), count_lines(in_folder(run, "samples.jsonl")));
        if (s)
            shell("! grep -q '%s' '%s'", s == 1 ? "logprobs" : "slice", samples);
        train_ok(&(struct train_run){.recipe = path, .run = again, .replay = samples});
        for (int step = 1; step <= 5; step++)
            same_bytes(in_folder(run, "checkpoints/step-%d/optimizer.safetensors", step),
                       in_folder(again, "checkpoints/step-%d/optimizer.safetensors", step),
                       samples);
    }
    temp_folder_remove(folder);
}

static void replay_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *slices[4], *what;
    } cases[] = {
        {{"0", "1", "0", "2"}, "1 completions of one \"slice\", expected 2"},
        {{"0", "0", "0", "1"}, "3 completions of one \"slice\", expected 2"},
        {{"0", "1", NULL, "1"}, "3 of 4 lines have a \"slice\""},
        {{"0", "1", "-1", "1"}, "\"slice\" is -1"},
        {{"0", "1", "\"0\"", "1"}, "\"slice\" is a string"},
    };
    char *folder = temp_folder(), path[600], samples[600], run[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    write_text(path, "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"
                     "steps_per_generation: 2\nmax_completion_length: 8\n");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct str text = {0};
        struct err err;
        for (int i = 0; i < 4; i++) {
            str_printf(&text,
                       "{\"step\": 1, \"prompt_id\": \"p%d\", \"prompt_ids\": [1, 308], \"ids\": "
                       "[%d], \"reward\": %d",
                       i / 2, 100 + i, i);
            if (cases[c].slices[i])
                str_printf(&text, ", \"slice\": %s", cases[c].slices[i]);
            str_puts(&text, "}\n");
        }
        write_text(samples, str_text(&text));
        str_free(&text);
        expect_error(train_run(&(struct train_run){.recipe = path, .run = run, .replay = samples},
                               NULL, &err),
                     ERR_INPUT, &err, "samples.jsonl, line", cases[c].what, NULL);
        shell("rm -rf '%s'", run);
    }
    temp_folder_remove(folder);
}

/* --- the soft overlong punishment --- */

static void overlong_as_trl(void **state)
{
    (void)state;
    json_t *root = json_fixture("trl/overlong.json"), *c;
    size_t i;
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 5);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        double length[128], value[128];
        size_t n = json_fixture_doubles(length, 128, c, "length");
        assert_int_equal(json_fixture_doubles(value, 128, c, "value"), n);
        int max = (int)json_fixture_number(c, "max"), cache = (int)json_fixture_number(c, "cache");
        assert_true(n > (size_t)max);
        for (size_t k = 0; k < n; k++)
            assert_true(soft_overlong((int)length[k], max, cache) == value[k]);
    }
    json_decref(root);
}

/* It is in the reward, among the components and in the metrics. */
static void overlong_in_a_run(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], run[600];
    double sum = 0;
    bool penalised = false, spared = false;
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    write_text(path, TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\nnum_generations: 8\n"
                                       "max_completion_length: 40\nmax_steps: 1\n"
                                       "learning_rate: 1e-3\nsoft_overlong_cache: 25\n");
    train_ok(&(struct train_run){.recipe = path, .run = run});
    for (int i = 0; i < 8; i++) {
        json_t *line = json_line(in_folder(run, "samples.jsonl"), i),
               *parts = json_object_get(line, "components");
        int length = (int)json_array_size(json_object_get(line, "ids"));
        double value = json_number_value(json_object_get(parts, "soft_overlong"));
        assert_true(value == soft_overlong(length, 40, 25));
        double total = json_number_value(json_object_get(parts, "regex")) +
                       0.5 * json_number_value(json_object_get(parts, "length")) + value;
        assert_true(fabs(json_number_value(json_object_get(line, "reward")) - total) < 1e-12);
        penalised = penalised || value < 0;
        spared = spared || value == 0;
        sum += value;
        json_decref(line);
    }
    assert_true(penalised && spared);
    assert_true(fabs(metric_at(run, 1, "rewards/soft_overlong/mean") - sum / 8) < 1e-12);
    assert_true(metric_at(run, 1, "rewards/soft_overlong/std") > 0);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_slices_in_a_keyed_order),
        cmocka_unit_test(denominators),
        cmocka_unit_test(a_run_replays_itself),
        cmocka_unit_test(replay_refuses),
        cmocka_unit_test(overlong_as_trl),
        cmocka_unit_test(overlong_in_a_run),
    };
    return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
