/* test_faults.c: for mistakes that other trainers are known for (docs/TESTING.md): a run in which
 * the mistake is planted is stopped, or told of, by the rule that is there for it; and the same run
 * without the mistake is not. What only the suite's own oracles find is in test_suite.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "base/sanitizer.h"
#include "faults.h"
#include "protocol/protocol.h"
#include "stats/verdict.h"

static char binary[1024]; /* build/<config>/grpo; set in main */

struct plot {
    char *folder, recipe[600], run[600];
};

/* A recipe of two parts in a folder of its own. */
static struct plot plot_open(const char *base, const char *more)
{
    struct plot p = {.folder = temp_folder()};
    char text[4000];
    snprintf(p.recipe, sizeof p.recipe, "%s/recipe.yaml", p.folder);
    snprintf(p.run, sizeof p.run, "%s/run", p.folder);
    snprintf(text, sizeof text, "%s%s", base, more);
    write_text(p.recipe, text);
    return p;
}

static struct train_run plot_run(const struct plot *p)
{
    return (struct train_run){.recipe = p->recipe, .run = p->run};
}

static void plot_close(struct plot *p)
{
    planted = NO_FAULT;
    temp_folder_remove(p->folder);
}

/* --- a run that is stopped --- */

struct stopped {
    enum fault fault;
    const char *more;    /* lines of the recipe */
    const char *says[2]; /* in the error */
    int steps;           /* that were logged before */
};

static const struct stopped stopped[] = {
    {ADAPTER_IGNORED, "", {"sampler and trainer give a token log-probabilities", "apart"}, 1},
    {ADAPTER_STALE, "", {"selfcheck", "stale weights"}, 0},
    {TEMPERATURE_NOT_SAMPLED, "temperature: 0.7\n", {"selfcheck", "temperature 0.7"}, 0},
    {TEMPERATURE_NOT_IN_LOGP, "temperature: 0.7\n", {"selfcheck", "temperature 0.7"}, 0},
    {CUT_IN_SECRET, "", {"selfcheck", "this token's draw is"}, 0},
    {TARGETS_SHIFTED, "", {"sampler and trainer give a token log-probabilities", "apart"}, 0},
    {TRAINER_DRIFTS, "", {"sampler and trainer give a token log-probabilities", "apart"}, 0},
    {GRADIENT_LOST, "", {"selfcheck", "gradient is exactly zero"}, 0},
    {UPDATE_LOST, "", {"selfcheck", "left the adapter's B at zero"}, 0},
    {REFERENCE_FOLLOWS, "beta: 0.1\n", {"selfcheck", "moved the reference of the KL"}, 0},
    {UNSEEDED, "", {"selfcheck", "this token's draw is"}, 0},
};

/* The same recipe without a fault is fine; once for each recipe. */
static void expect_no_stop(size_t i, struct train_run run)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(stopped[j].more, stopped[i].more) == 0)
            return;
    assert_int_equal(train_ok(&run).steps, 2);
    shell("rm -r '%s'", run.run);
}

static void faults_that_stop_a_run(void **state)
{
    (void)state;
    static const char *const precisions[] = {"precision=f32", "precision=bf16"};
    for (size_t i = 0; i < 2 * sizeof stopped / sizeof *stopped; i++) {
        const struct stopped *s = &stopped[i / 2];
        struct plot p = plot_open(TRAIN_RECIPE "max_steps: 2\n", s->more);
        struct train_run run = plot_run(&p);
        struct err err;
        run.set[0] = precisions[i % 2];
        expect_no_stop(i / 2, run);
        planted = s->fault;
        int status = train_run(&run, NULL, &err);
        print_message("%s, %s: %s: %s\n", fault_names[s->fault], precisions[i % 2], err.where,
                      err.message);
        expect_error(status, ERR_GATE, &err, s->says[0], s->says[1], NULL);
        assert_int_equal(count_lines(in_folder(p.run, "metrics.jsonl")), s->steps);
        plot_close(&p);
    }
}

static void nothing_ends_a_completion(void **state)
{
    (void)state;
    struct plot p = plot_open(
        TRAIN_RECIPE_BARE,
        "data: tests/demo/train.jsonl\nnum_generations: 4\nprompts_per_step: 2\nmax_steps: 5\n"
        "max_completion_length: 24\nlearning_rate: 2e-3\nprecision: f32\n"
        "stop_rules: [{rule: plateau, metric: completions/clipped_ratio, value: 1, tolerance: 0, "
        "count: 4, action: stop}]\n");
    struct train_run run = plot_run(&p);
    struct trainer_result result = train_ok(&run);
    assert_false(result.stopped_early);
    assert_int_equal(result.steps, 5);
    shell("rm -r '%s'", p.run);
    planted = EOS_UNKNOWN;
    result = train_ok(&run);
    assert_true(result.stopped_early);
    assert_int_equal(result.steps, 4);
    plot_close(&p);
}

/* A reward that is the same for all: nothing moves, and a rule ends it. */
static void a_reward_that_tells_nothing_apart(void **state)
{
    (void)state;
    struct plot p = plot_open(
        "model: tests/demo/model\ndata: tests/demo/train.jsonl\nlora: {r: 4}\nprecision: f32\n"
        "num_generations: 4\nmax_completion_length: 5\nmax_steps: 6\nlearning_rate: 2e-3\n",
        "rewards: [{name: regex, params: {pattern: \"\"}}]\n"
        "stop_rules: [{rule: below, metric: informative_groups, value: 1, count: 3, "
        "action: stop}]\n");
    struct train_run run = plot_run(&p);
    struct trainer_result result = train_ok(&run);
    assert_true(result.stopped_early);
    assert_int_equal(result.steps, 3);
    assert_true(metric_at(p.run, 1, "frac_reward_zero_std") == 1);
    assert_true(metric_at(p.run, 3, "grad_norm") == 0);
    /* One that does tell completions apart goes on. */
    struct plot q =
        plot_open(TRAIN_RECIPE, "max_steps: 6\nstop_rules: [{rule: below, metric: "
                                "informative_groups, value: 1, count: 3, action: stop}]\n");
    run = plot_run(&q);
    assert_int_equal(train_ok(&run).steps, 6);
    plot_close(&p);
    plot_close(&q);
}

/* --- two runs that must be one --- */

static bool same_file(const char *a, const char *b)
{
    struct str x = read_bytes(a), y = read_bytes(b);
    bool same = x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
    str_free(&x);
    str_free(&y);
    return same;
}

/* Trains in one piece and with another micro-batch. */
static bool micro_batches_agree(enum fault fault)
{
    struct plot p = plot_open(TRAIN_RECIPE, "max_steps: 2\nmicro_batch: 1\n");
    struct train_run run = plot_run(&p), other = run;
    char folder[600];
    snprintf(folder, sizeof folder, "%s/other", p.folder);
    other.run = folder;
    other.set[0] = "micro_batch=4";
    planted = fault;
    train_ok(&run);
    train_ok(&other);
    bool same = same_file(in_folder(p.run, "metrics.jsonl"), in_folder(folder, "metrics.jsonl"));
    plot_close(&p);
    return same;
}

static void micro_batches(void **state)
{
    (void)state;
    assert_true(micro_batches_agree(NO_FAULT));
    assert_false(micro_batches_agree(DENOMINATOR_OF_MICRO_BATCH));
}

/* A generation_config.json that asks for nearly greedy decoding, and a pad token that is the EOS:
 * both are left alone, so a run on that model has the bytes of one without. */
static void settings_of_the_model_folder(void **state)
{
    (void)state;
    struct plot p = plot_open("rewards: [{name: length, params: {target: 20}}]\nlora: {r: 4}\n"
                              "data: tests/demo/train.jsonl\nnum_generations: 4\nprecision: f32\n"
                              "max_completion_length: 16\nlearning_rate: 2e-3\nmax_steps: 2\n",
                              "");
    struct train_run run = plot_run(&p), plain = run;
    char folder[700], other[700];
    snprintf(folder, sizeof folder, "model=%s/model", p.folder);
    snprintf(other, sizeof other, "%s/plain", p.folder);
    shell("cp -r tests/demo/model '%s/model'", p.folder);
    write_text(in_folder(p.folder, "model/generation_config.json"),
               "{\"do_sample\": true, \"temperature\": 0.01, \"top_k\": 1, \"top_p\": 0.1, "
               "\"repetition_penalty\": 1.3, \"eos_token_id\": 2, \"pad_token_id\": 2}");
    run.set[0] = folder;
    plain.set[0] = "model=tests/demo/model";
    plain.run = other;
    train_ok(&run);
    train_ok(&plain);
    same_bytes(in_folder(p.run, "samples.jsonl"), in_folder(other, "samples.jsonl"), "settings");
    same_bytes(in_folder(p.run, "metrics.jsonl"), in_folder(other, "metrics.jsonl"), "settings");
    assert_true(metric_at(p.run, 1, "completions/clipped_ratio") < 1); /* the EOS is trained on */
    plot_close(&p);
}

/* --- rewards, from outside --- */

/* Exit status of `grpo ARGUMENTS`; what it printed goes into *text (str_free). */
static int program(const struct plot *p, struct str *text, const char *arguments)
{
    char command[3000];
    const char *emulator = getenv("GRPO_EMULATOR");
    snprintf(command, sizeof command, "%s %s %s >'%s/out' 2>&1", emulator ? emulator : "", binary,
             arguments, p->folder);
    int code = system(command);
    *text = read_bytes(in_folder(p->folder, "out"));
    assert_true(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static void expect_program(const struct plot *p, const char *arguments, int status,
                           const char *says)
{
    struct str text;
    int got = program(p, &text, arguments);
    if (got != status || !strstr(str_text(&text), says))
        fail_msg("grpo %s: status %d, wanted %d and \"%s\" in: %s", arguments, got, status, says,
                 str_text(&text));
    str_free(&text);
}

#define COMMAND(answer)                                                                            \
    "rewards: [{command: [sed, -u, 's/^{\"id\": \\([0-9]*\\).*/{\"id\": \\1, " answer              \
    "}/'], name: mine%s}]\n"
#define EXTERNAL                                                                                   \
    "model: tests/demo/model\ndata: tests/demo/train.jsonl\nlora: {r: 4}\nprecision: f32\n"        \
    "num_generations: 4\nmax_completion_length: 5\nmax_steps: 2\n"

/* A reward whose machinery fails stops the run; its failures are never scores. */
static void rewards_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *rewards;
        bool fails;
    } cases[] = {
        {COMMAND("\"score\": 0.5"), false},
        {COMMAND("\"error\": \"no network\""), true},
        {COMMAND("\"score\": NaN"), true},
        {COMMAND("\"score\": null"), true},
        {"rewards: [{command: [sleep, '100'], timeout_seconds: 0.2, name: mine%s}]\n", true},
        {"rewards: [{command: ['false'], name: mine%s}]\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[600];
        snprintf(more, sizeof more, cases[i].rewards, "");
        struct plot p = plot_open(EXTERNAL, more);
        struct train_run run = plot_run(&p);
        struct err err;
        int status = train_run(&run, NULL, &err);
        if (cases[i].fails)
            expect_error(status, ERR_GATE, &err, "completions failed", "max_reward_failure_rate",
                         NULL);
        else
            assert_int_equal(status, 0);
        plot_close(&p);
    }
}

/* One that swallows its own errors, and one that can be gamed, are found by fixtures. */
static void rewards_against_fixtures(void **state)
{
    (void)state;
    static const char fixtures[] =
        "{\"kind\": \"gold\", \"case\": \"a\", \"completion\": \"12345\"}\n"
        "{\"kind\": \"near_miss\", \"case\": \"a\", \"completion\": \"123\"}\n"
        "{\"kind\": \"empty\", \"case\": \"a\", \"completion\": \"\"}\n"
        "{\"kind\": \"adversarial\", \"case\": \"a\", \"completion\": \"12345 12345 12345\"}\n";
    static const struct {
        const char *rewards, *says;
        int status;
    } cases[] = {
        {"rewards: [{name: length, params: {target: 5}, fixtures: %s}]\n", "rewards", 0},
        {"rewards: [{name: length, params: {target: 17}, fixtures: %s}]\n", "does not hold", 1},
        {COMMAND("\"score\": 0"), "does not hold", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char more[900], path[600], arguments[700];
        struct plot p = plot_open("", "");
        snprintf(path, sizeof path, "%s/fixtures.jsonl", p.folder);
        write_text(path, fixtures);
        if (strchr(cases[i].rewards, '\\')) {
            char key[700];
            snprintf(key, sizeof key, ", fixtures: %s", path);
            snprintf(more, sizeof more, cases[i].rewards, key);
        } else {
            snprintf(more, sizeof more, cases[i].rewards, path);
        }
        struct str text = {0};
        str_printf(&text, "%s%s", EXTERNAL, more);
        write_text(p.recipe, str_text(&text));
        str_free(&text);
        snprintf(arguments, sizeof arguments, "doctor '%s' --no-measure", p.recipe);
        expect_program(&p, arguments, cases[i].status, cases[i].says);
        plot_close(&p);
    }
}

/* --- what is said of metrics that mean nothing --- */

/* On-policy the ratio is 1: a clip ratio of 0 is no sign of anything, and is said to be none. */
static void a_clip_ratio_that_cannot_move(void **state)
{
    (void)state;
    struct plot p = plot_open(TRAIN_RECIPE, "max_steps: 2\n");
    char arguments[700];
    struct train_run run = plot_run(&p);
    snprintf(arguments, sizeof arguments, "doctor '%s' --no-measure --json", p.recipe);
    expect_program(&p, arguments, 0, "clipping is inactive and clip_ratio stays 0");
    train_ok(&run);
    assert_true(metric_at(p.run, 2, "clip_ratio/region_mean") == 0);
    assert_true(metric_at(p.run, 2, "grad_norm") > 0);
    assert_true(metric_at(p.run, 2, "informative_groups") > 0);
    struct str text;
    snprintf(arguments, sizeof arguments, "doctor '%s' --no-measure --json --set num_iterations=2",
             p.recipe);
    assert_int_equal(program(&p, &text, arguments), 0);
    assert_null(strstr(str_text(&text), "clipping is inactive"));
    str_free(&text);
    plot_close(&p);
}

/* --- resumes --- */

/* What a resume refuses: each change, on its own, to a run cut after step 2. */
static void resumes_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *change; /* shell, in the plot's folder; NULL: none, and it goes on */
        enum err_code code;
        const char *says;
    } cases[] = {
        {NULL, ERR_NONE, ""},
        {"rm run/checkpoints/step-2/optimizer.safetensors", ERR_INPUT, "optimizer.safetensors"},
        {"sed -i '$d' data.jsonl", ERR_USAGE, "data"},
        {"sed -i '1{h;d};${p;x}' data.jsonl", ERR_USAGE, "data"},
        {"cp run/checkpoints/step-2/adapter_model.safetensors ref/", ERR_USAGE, "ref_adapter"},
    };
    struct plot p = plot_open(TRAIN_RECIPE_BARE,
                              "num_generations: 4\nmax_completion_length: 5\nprecision: f32\n"
                              "learning_rate: 2e-3\nmax_steps: 4\nsave_steps: 2\nbeta: 0.1\n");
    char data[700], ref[700];
    snprintf(data, sizeof data, "data=%s/data.jsonl", p.folder);
    snprintf(ref, sizeof ref, "ref_adapter=%s/ref", p.folder);
    shell("cp tests/demo/train.jsonl '%s/data.jsonl'", p.folder);
    struct train_run run = plot_run(&p);
    run.set[0] = data;
    run.set[1] = "max_steps=1";
    train_ok(&run);
    shell("cd '%s' && mv run/checkpoints/step-1 ref && rm -r run", p.folder);
    run.set[1] = ref;
    train_ok(&run);
    shell("cd '%s' && rm -r run/checkpoints/step-4 && mkdir kept && cp -r run data.jsonl ref kept",
          p.folder);
    run.resume = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        shell("cd '%s' && rm -rf run data.jsonl ref && cp -r kept/* . && %s", p.folder,
              cases[i].change ? cases[i].change : "true");
        expect_error(train_run(&run, NULL, &err), cases[i].code, &err, cases[i].says, NULL);
    }
    plot_close(&p);
}

/* --- the best checkpoint --- */

/* An evaluation that is best after step 2. */
static int best_at_two(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    (void)err;
    metrics_add(out, call->step == 2 ? 0.9 : 0.1 + 0.01 * call->step, "eval/mean_reward");
    return ERR_NONE;
}

static void the_best_checkpoint(void **state)
{
    (void)state;
    static const enum fault faults[] = {NO_FAULT, BEST_PRUNED, BEST_NOT_BEST};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct plot p = plot_open(TRAIN_RECIPE,
                                  "eval_data: tests/demo/eval.jsonl\neval_steps: 1\nmax_steps: 6\n"
                                  "save_steps: 1\nsave_total_limit: 1\n");
        struct train_run run = plot_run(&p), all = run;
        char whole[600];
        run.evaluate = all.evaluate = best_at_two;
        snprintf(whole, sizeof whole, "%s/whole", p.folder);
        all.run = whole;
        all.set[0] = "save_total_limit=0";
        train_ok(&all);
        planted = faults[i];
        struct trainer_result result = train_ok(&run);
        assert_int_equal(result.best_step, 2);
        assert_int_not_equal(access(in_folder(p.run, "checkpoints/step-2"), F_OK), 0);
        assert_int_equal(result.best_is_there, faults[i] != BEST_PRUNED);
        if (result.best_is_there)
            assert_int_equal(
                same_file(in_folder(p.run, "best_checkpoint/adapter_model.safetensors"),
                          in_folder(whole, "checkpoints/step-2/adapter_model.safetensors")),
                faults[i] == NO_FAULT);
        plot_close(&p);
    }
}

/* --- one lucky seed --- */

/* A difference within its noise is not called an improvement, a clear one is. */
static void a_lucky_difference(void **state)
{
    (void)state;
    double lucky[65], clear[65];
    for (int i = 0; i < 65; i++) {
        double noise = (i % 13 - 6) / 12.0 + (i % 5 - 2) / 8.0;
        lucky[i] = 0.02 + noise;
        clear[i] = 0.25 + noise;
    }
    struct verdict v = verdict_of(stats_t_interval(lucky, 65), stats_mean(lucky, 65), 65);
    assert_int_equal(v.kind, VERDICT_CANNOT_TELL);
    assert_true(v.needed > 65 && v.detectable > 0.02);
    v = verdict_of(stats_t_interval(clear, 65), stats_mean(clear, 65), 65);
    assert_int_equal(v.kind, VERDICT_IMPROVED);
}

/* A test that failed left its fault behind. */
/* --- gates of the protocol --- */

static void hear(void *user, const struct stage_line *line)
{
    (void)user;
    print_message("%s %s: %.300s\n", line->stage, line->verdict, line->text);
}

/* `grpo run --from … --to … --seeds 42` in this process: no stage of a seed, or only such. */
static int gates(const struct plot *p, enum stage from, enum stage to, struct err *err)
{
    const char *sets[] = {"max_steps=2"};
    const int seeds[] = {42};
    const struct protocol_spec spec = {.recipe = p->recipe,
                                       .dir = p->run,
                                       .sets = sets,
                                       .n_sets = 1,
                                       .device = {.threads = 1},
                                       .seeds = seeds,
                                       .n_seeds = 1,
                                       .jobs = 1,
                                       .from = (int)from,
                                       .to = (int)to,
                                       .force = -1,
                                       .skip_audit = true,
                                       .quiet = true,
                                       .say = hear};
    struct protocol_result result;
    return protocol_run(&spec, &result, err);
}

static double gate_figure(const struct plot *p, const char *gate, const char *section,
                          const char *name)
{
    json_t *o = json_line(in_folder(p->run, "%s", gate), 0);
    const json_t *value = json_object_get(json_object_get(o, section), name);
    double x = json_number_value(value);
    assert_true(json_is_number(value));
    json_decref(o);
    return x;
}

static void the_kv_gate(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct plot p = plot_open(TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\n",
                                  i % 2 ? "precision: f32\n" : "precision: bf16\n");
        struct err err = {0};
        planted = i < 2 ? NO_FAULT : CACHE_STALE;
        int status = gates(&p, STAGE_ENV, STAGE_KV, &err);
        double differ = gate_figure(&p, "gates/kv.json", "figures", "tokens_that_differ");
        if (i < 2) {
            assert_int_equal(status, 0);
            assert_true(differ == 0);
        } else {
            expect_error(status, ERR_GATE, &err, "kv", "that differ", "computes wrongly", NULL);
            assert_true(differ > 10);
            assert_true(gate_figure(&p, "gates/kv.json", "figures", "largest_difference") > 1e-4);
        }
        plot_close(&p);
    }
}

/* Where a sanitizer or an emulator has memory of its own there is nothing to compare, and the gate
 * says nothing. */
static void the_memory_gate(void **state)
{
    (void)state;
    struct plot p = plot_open(TRAIN_RECIPE, "");
    struct err err = {0};
    static const char gate[] = "seed-42/gates/smoke.json";
    assert_int_equal(gates(&p, STAGE_ENV, STAGE_DATASET, &err), 0);
    assert_int_equal(gates(&p, STAGE_SMOKE, STAGE_SMOKE, &err), 0);
    double planned = gate_figure(&p, gate, "measured", "planned_bytes");
    double peak = gate_figure(&p, gate, "measured", "peak_bytes");
    shell("rm '%s/%s'", p.run, gate);
    planted = MEMORY_UNPLANNED;
    int status = gates(&p, STAGE_SMOKE, STAGE_SMOKE, &err);
    print_message("planned %.1f MiB, at most %.1f; with 64 more %.1f\n", planned / 0x1p20,
                  peak / 0x1p20, gate_figure(&p, gate, "measured", "peak_bytes") / 0x1p20);
#if !SANITIZED
    const char *emulator = getenv("GRPO_EMULATOR");
    if (!emulator || !*emulator)
        expect_error(status, ERR_MACHINE, &err, "smoke", "at most the planned", "the plan is wrong",
                     NULL);
#endif
    (void)status;
    plot_close(&p);
}

static int nothing_planted(void **state)
{
    (void)state;
    planted = NO_FAULT;
    return 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    log_set_quiet(true);
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/faults/");
    if (!end)
        return 1;
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(faults_that_stop_a_run, nothing_planted),
        cmocka_unit_test_setup(nothing_ends_a_completion, nothing_planted),
        cmocka_unit_test_setup(a_reward_that_tells_nothing_apart, nothing_planted),
        cmocka_unit_test_setup(micro_batches, nothing_planted),
        cmocka_unit_test_setup(settings_of_the_model_folder, nothing_planted),
        cmocka_unit_test_setup(rewards_that_fail, nothing_planted),
        cmocka_unit_test_setup(rewards_against_fixtures, nothing_planted),
        cmocka_unit_test_setup(a_clip_ratio_that_cannot_move, nothing_planted),
        cmocka_unit_test_setup(resumes_that_are_refused, nothing_planted),
        cmocka_unit_test_setup(the_best_checkpoint, nothing_planted),
        cmocka_unit_test_setup(a_lucky_difference, nothing_planted),
        cmocka_unit_test_setup(the_kv_gate, nothing_planted),
        cmocka_unit_test_setup(the_memory_gate, nothing_planted),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
