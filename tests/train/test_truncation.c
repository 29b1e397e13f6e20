/* test_truncation.c: training on completions from a truncated distribution, and on ones that stop
 * strings end. The old log-probabilities stay those of the whole distribution, to the last bit; the
 * distance to what was drawn from is logged and stands in samples.jsonl; a stopped completion is a
 * finished one; and a run that is cut between two steps of one generation goes on as if it were
 * not. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/log.h"

#define CUT                                                                                        \
    TRAIN_RECIPE "max_steps: 4\nnum_iterations: 2\nsave_steps: 1\nsave_total_limit: 0\n"           \
                 "mask_truncated_completions: true\nstop_strings: [a, \"qq\"]\n"                   \
                 "top_k: 30\ntop_p: 0.95\nmin_p: 0.001\nallow_truncated_sampling: true\n"
#define WHOLE TRAIN_RECIPE "max_steps: 1\n"

static struct train_run run_of(char *yaml, char *run, const char *folder, const char *name,
                               const char *text)
{
    snprintf(yaml, 600, "%s/%s.yaml", folder, name);
    snprintf(run, 600, "%s/%s", folder, name);
    write_text(yaml, text);
    return (struct train_run){.recipe = yaml, .run = run};
}

/* One line of samples.jsonl; returns whether a stop string ended it. */
static bool check_sample(const json_t *line, double *sum, double *max, long *n)
{
    const json_t *all = json_object_get(line, "logprobs"),
                 *sampling = json_object_get(line, "sampling_logprobs");
    assert_true(json_is_array(all) && json_array_size(all) == json_array_size(sampling));
    for (size_t t = 0; t < json_array_size(all); t++) {
        double difference = (double)(float)json_number_value(json_array_get(sampling, t)) -
                            (double)(float)json_number_value(json_array_get(all, t));
        assert_true(difference >= 0);
        *sum += difference;
        *max = fmax(*max, difference);
        ++*n;
    }
    const char *text = json_string_value(json_object_get(line, "text")),
               *reason = json_string_value(json_object_get(line, "stop_reason"));
    bool stopped = strcmp(reason, "stop") == 0;
    bool holds = strchr(text, 'a') || strstr(text, "qq");
    assert_int_equal(stopped, holds && strcmp(reason, "eos") != 0);
    return stopped;
}

static void logged_and_written(void **state)
{
    (void)state;
    char *folder = temp_folder(), yaml[600], run[600];
    struct train_run how = run_of(yaml, run, folder, "cut", CUT);
    train_ok(&how);
    double sum = 0, max = 0;
    long n = 0;
    int stopped = 0, cut = 0, lines = count_lines(in_folder(run, "samples.jsonl"));
    for (int i = 0; i < lines; i++) {
        json_t *line = json_line(in_folder(run, "samples.jsonl"), i);
        if (json_integer_value(json_object_get(line, "step")) == 1) {
            bool by_string = check_sample(line, &sum, &max, &n);
            stopped += by_string;
            cut += strcmp(json_string_value(json_object_get(line, "stop_reason")), "length") == 0;
        }
        json_decref(line);
    }
    assert_true(stopped > 0 && cut + stopped <= 8);
    assert_true(metric_at(run, 1, "completions/clipped_ratio") == cut / 8.0);
    double mean = metric_at(run, 1, "sampling/truncation_logp_difference/mean");
    assert_true(max > 0 && fabs(mean - sum / (double)n) < 1e-12);
    assert_true(metric_at(run, 1, "sampling/truncation_logp_difference/max") == max);
    assert_true(metric_at(run, 1, "sampling/sampling_logp_difference/max") == 0);
    assert_true(metric_at(run, 3, "sampling/sampling_logp_difference/max") == 0);
    /* Neutral: neither the metric nor the field. */
    how = run_of(yaml, run, folder, "whole", WHOLE);
    train_ok(&how);
    json_t *line = json_line(in_folder(run, "metrics.jsonl"), 0);
    assert_null(json_object_get(line, "sampling/truncation_logp_difference/mean"));
    json_decref(line);
    line = json_line(in_folder(run, "samples.jsonl"), 0);
    assert_null(json_object_get(line, "sampling_logprobs"));
    json_decref(line);
    temp_folder_remove(folder);
}

/* Cut after every step: after 1 and 3 the generation comes back from samples.jsonl, and which of
 * its completions the length limit cut (and the mask leaves out) with it. */
static void resumed(void **state)
{
    (void)state;
    char *folder = temp_folder(), yaml[600], whole[600], cut[600];
    struct train_run how = run_of(yaml, whole, folder, "whole", CUT);
    train_ok(&how);
    for (int k = 1; k < 4; k++) {
        snprintf(cut, sizeof cut, "%s/cut-%d", folder, k);
        shell("cp -r '%s' '%s'", whole, cut);
        for (int step = k + 1; step <= 4; step++)
            shell("rm -rf '%s/checkpoints/step-%d'", cut, step);
        how.run = cut;
        how.resume = true;
        train_ok(&how);
        same_run(whole, cut, 4, "resumed under truncation");
    }
    temp_folder_remove(folder);
}

static void refusals(void **state)
{
    (void)state;
    char *folder = temp_folder(), yaml[600], run[600];
    struct err err = {0};
    struct train_run how = run_of(yaml, run, folder, "empty", WHOLE "stop_strings: [Fim, \"\"]\n");
    expect_error(train_run(&how, NULL, &err), ERR_USAGE, &err, "stop_strings", "is empty", NULL);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logged_and_written),
        cmocka_unit_test(resumed),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests_name("truncation", tests, NULL, NULL);
}
