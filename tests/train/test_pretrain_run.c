/* test_pretrain_run.c: runs of `grpo pretrain`: threads, passes and resumes after any checkpoint,
 * signal or SIGKILL leave the same bytes; the final model is a folder that opens and has the loss
 * the run says; the n-th allocation fails cleanly; what recipes and resumes are refused. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/pretrain.h"
#include "train/pretrain_export.h"
#include "train/pretrain_step.h"

#define FIXTURE "tests/oracle/train/pretrain"
#define RECIPE                                                                                     \
    "config: " FIXTURE "\ntokenizer: " FIXTURE "\ndata: " FIXTURE                                  \
    "/train.jsonl\neval_data: " FIXTURE "/eval.jsonl\nmax_length: 96\nsequences_per_step: 6\n"     \
    "learning_rate: 5e-3\nweight_decay: 0.1\nsave_steps: 1\nsave_total_limit: 0\n"

static char binary[1024]; /* set in main: build/<config>/grpo */

struct one_run {
    const char *recipe, *run, *isa;
    int threads;
    bool resume;
    const char *set[8], *allow[4];
};

static size_t count_texts(const char *const *list, size_t max)
{
    size_t n = 0;
    while (n < max && list[n])
        n++;
    return n;
}

static int pretrain(const struct one_run *r, struct pretrain_result *result, struct err *err)
{
    recipe *loaded;
    struct pretrain_options o;
    struct device *d;
    *err = (struct err){0};
    int status = pretrain_recipe_load(&loaded, &o, r->recipe, r->set, count_texts(r->set, 8), err);
    if (status)
        return status;
    struct device_options how = {.isa = r->isa,
                                 .precision = (enum precision)o.precision,
                                 .threads = r->threads ? r->threads : 1};
    status = device_open(&d, &how, err);
    if (!status) {
        struct pretrain_spec spec = {.o = &o,
                                     .recipe = loaded,
                                     .run = r->run,
                                     .resume = r->resume,
                                     .allow = r->allow,
                                     .n_allow = count_texts(r->allow, 4),
                                     .device = d};
        status = pretrain_run(&spec, result, err);
        device_close(d);
    }
    recipe_free(loaded);
    return status;
}

static struct pretrain_result pretrain_ok(const struct one_run *r)
{
    struct pretrain_result result;
    struct err err;
    if (pretrain(r, &result, &err))
        fail_msg("%s: %s: %s", r->run, err.where, err.message);
    return result;
}

/* Everything a run leaves, of these checkpoints, but clocks and what depends on the machine. */
static void same_pretraining(const char *a, const char *b, int from, int to, const char *label)
{
    same_bytes(in_folder(a, "metrics.jsonl"), in_folder(b, "metrics.jsonl"), label);
    shell("diff -r '%s/model' '%s/model'", a, b);
    for (int step = from; step <= to; step++) {
        same_bytes(in_folder(a, "checkpoints/step-%d/model.safetensors", step),
                   in_folder(b, "checkpoints/step-%d/model.safetensors", step), label);
        same_bytes(in_folder(a, "checkpoints/step-%d/optimizer.safetensors", step),
                   in_folder(b, "checkpoints/step-%d/optimizer.safetensors", step), label);
    }
    no_leftovers(b, label);
}

struct ground {
    char *folder, recipe[600], whole[600], cut[600];
};

static struct ground ground_make(const char *text)
{
    struct ground g = {.folder = temp_folder()};
    snprintf(g.recipe, sizeof g.recipe, "%s/recipe.yaml", g.folder);
    snprintf(g.whole, sizeof g.whole, "%s/whole", g.folder);
    snprintf(g.cut, sizeof g.cut, "%s/cut", g.folder);
    write_text(g.recipe, text);
    return g;
}

/* --- the same bytes --- */

static void cut_and_threads(const char *text)
{
    struct ground g = ground_make(text);
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        struct one_run run = {.recipe = g.recipe, .run = g.whole, .isa = *isa, .threads = 1};
        pretrain_ok(&run);
        run.run = g.cut;
        run.threads = 2;
        run.set[0] = "micro_batch=1";
        pretrain_ok(&run);
        same_pretraining(g.whole, g.cut, 1, 3, *isa);
        shell("rm -rf '%s' '%s'", g.whole, g.cut);
    }
    temp_folder_remove(g.folder);
}

static void passes_and_threads_change_nothing(void **state)
{
    (void)state;
    cut_and_threads(RECIPE "max_steps: 3\neval_steps: 2\n");
    cut_and_threads(RECIPE "max_steps: 3\neval_steps: 2\nprecision: f32\n");
}

static void packed_passes_and_threads_change_nothing(void **state)
{
    (void)state;
    cut_and_threads(RECIPE "max_steps: 3\npacking: true\n");
}

static void continue_everywhere(const char *more, int steps)
{
    char text[2000], label[100];
    snprintf(text, sizeof text, "%s%s", RECIPE, more);
    struct ground g = ground_make(text);
    struct one_run run = {.recipe = g.recipe, .run = g.whole};
    assert_int_equal(pretrain_ok(&run).steps, steps);
    run.run = g.cut;
    run.resume = true;
    for (int k = 1; k < steps; k++) {
        snprintf(label, sizeof label, "cut after step %d", k);
        shell("cp -r '%s' '%s' && rm -rf '%s/model'", g.whole, g.cut, g.cut);
        for (int step = k + 1; step <= steps; step++)
            shell("rm -rf '%s/checkpoints/step-%d'", g.cut, step);
        shell("cd '%s' && printf '{\"step\": 99, \"x' >> metrics.jsonl && mkdir "
              "checkpoints/.step-%d.new .model.new && touch run.json.tmp.77",
              g.cut, k + 1);
        assert_int_equal(pretrain_ok(&run).steps, steps);
        same_pretraining(g.whole, g.cut, k + 1, steps, label);
        shell("rm -rf '%s'", g.cut);
    }
    temp_folder_remove(g.folder);
}

static void resume_after_any_step(void **state)
{
    (void)state;
    /* 80 documents, 6 a step: the deck is shuffled anew within step 14. */
    continue_everywhere("max_steps: 16\neval_steps: 5\nlr_scheduler_type: cosine\n"
                        "warmup_steps: 2\n",
                        16);
    continue_everywhere("num_train_epochs: 1.2\npacking: true\nprecision: f32\n", 6);
}

/* --- the final model --- */

static void the_model_opens_and_scores(void **state)
{
    (void)state;
    struct ground g = ground_make(RECIPE "max_steps: 4\nprecision: f32\noutput_dtype: f32\n");
    struct err err = {0};
    struct one_run run = {.recipe = g.recipe, .run = g.whole};
    pretrain_ok(&run);
    const char *model_folder = in_folder(g.whole, "model");
    struct device *d;
    struct device_options how = {.precision = PRECISION_F32, .threads = 1};
    model *m;
    assert_int_equal(device_open(&d, &how, &err), 0);
    if (model_open(&m, d, model_folder, 0, &err))
        fail_msg("%s: %s", err.where, err.message);
    assert_int_equal(model_config(m)->eos[0], 2);
    model_close(m);
    device_close(d);
    /* Started from there with rate 0, a run has that model's loss, and leaves it as it is. */
    char again[600], set[700];
    snprintf(again, sizeof again, "%s/again", g.folder);
    snprintf(set, sizeof set, "init_model=%s", model_folder);
    struct one_run rest = {
        .recipe = g.recipe, .run = again, .set = {set, "learning_rate=0", "max_steps=1"}};
    pretrain_ok(&rest);
    assert_true(metric_at(again, 0, "eval_loss") == metric_at(g.whole, 4, "eval_loss"));
    shell("diff -r '%s/model' '%s/model'", g.whole, again);
    assert_true(metric_at(g.whole, 4, "eval_loss") < metric_at(g.whole, 0, "eval_loss") - 0.3);
    temp_folder_remove(g.folder);
}

static void bf16_output_and_curve(void **state)
{
    (void)state;
    struct ground g = ground_make(RECIPE "max_steps: 4\neval_steps: 2\n");
    pretrain_ok(&(struct one_run){.recipe = g.recipe, .run = g.whole});
    shell("grep -q '\"dtype\": \"bfloat16\"' '%s/model/config.json'", g.whole);
    shell("for f in tokenizer.json tokenizer_config.json chat_template.jinja; do "
          "cmp " FIXTURE "/$f '%s'/model/$f || exit 1; done",
          g.whole);
    struct curve c;
    struct err err;
    assert_int_equal(curve_read(&c, g.whole, &err), 0);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.points[1].step, 2);
    assert_true(isnan(c.points[0].loss));
    assert_true(c.points[2].loss ==
                (metric_at(g.whole, 3, "loss") + metric_at(g.whole, 4, "loss")) / 2);
    assert_true(c.points[2].eval_loss == metric_at(g.whole, 4, "eval_loss"));
    curve_free(&c);
    temp_folder_remove(g.folder);
}

/* --- the program, at random moments --- */

static unsigned random_state = 20261124;
static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* Exit status, or minus the signal that ended it. signal 0: to its own end; else it comes that many
 * seconds after the log has that many lines. */
static int program(const struct ground *g, const char *run, bool resume, int number, int lines,
                   double after)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY);
        dup2(fd, 1);
        dup2(fd, 2);
        execl(binary, binary, "pretrain", g->recipe, "--out", run, "--threads", "1", "--quiet",
              resume ? "--resume" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    if (number) {
        struct timespec t = {(time_t)after, (long)((after - floor(after)) * 1e9)};
        if (lines == 0 || wait_for_lines(pid, in_folder(run, "metrics.jsonl"), lines))
            nanosleep(&t, NULL);
        kill(pid, number);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool saved_within_an_evaluation(const char *run)
{
    int latest = latest_checkpoint(run);
    if (latest < 0)
        return false;
    json_t *state = json_line(in_folder(run, "checkpoints/step-%d/state.json", latest), 0);
    bool pending = !json_is_null(json_object_get(state, "pending_metrics"));
    json_decref(state);
    return pending;
}

/* The held-out loss takes most of the time, so that signals come there, too. */
static void stopped_at_random_moments(void **state)
{
    (void)state;
    enum { SHOTS = 10, STEPS = 10, AT_MOST = 100 };
    char text[2000], label[100];
    snprintf(text, sizeof text,
             "config: " FIXTURE "\ntokenizer: " FIXTURE "\ndata: " FIXTURE
             "/eval.jsonl\neval_data: " FIXTURE "/train.jsonl\nmax_length: 96\n"
             "sequences_per_step: 8\nsave_steps: 4\nmax_steps: %d\neval_steps: 2\n",
             STEPS);
    struct ground g = ground_make(text);
    double started = seconds();
    assert_int_equal(program(&g, g.whole, false, 0, 0, 0), 0);
    double step = (seconds() - started) / STEPS;
    int stopped = 0, pending = 0, killed = 0;
    for (int shot = 0; shot < SHOTS || (!(stopped && killed) && shot < AT_MOST); shot++) {
        int number = shot % 2 ? SIGINT : SIGKILL, line = (int)draw(STEPS - 1);
        double after = step * draw(1000) / 1000;
        snprintf(label, sizeof label, "shot %d, signal %d %.0f ms after line %d", shot, number,
                 after * 1e3, line);
        int status = program(&g, g.cut, true, number, line, after);
        if (status != 130 && status != 0 && status != -number)
            fail_msg("%s: ended with %d", label, status);
        stopped += status == 130;
        killed += status == -SIGKILL;
        pending += status == 130 && saved_within_an_evaluation(g.cut);
        assert_int_equal(program(&g, g.cut, true, 0, 0, 0), 0);
        same_pretraining(g.whole, g.cut, STEPS, STEPS, label);
        shell("rm -rf '%s'", g.cut);
    }
    print_message("%d interrupted, %d of them within an evaluation; %d killed\n", stopped, pending,
                  killed);
    assert_true(stopped > 0 && killed > 0);
    temp_folder_remove(g.folder);
}

/* --- memory --- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    enum { TRIES = 50 };
    struct ground g =
        ground_make("config: " FIXTURE "\ntokenizer: " FIXTURE "\ndata: " FIXTURE
                    "/pairs.jsonl\neval_data: " FIXTURE
                    "/eval.jsonl\nsequences_per_step: 2\nmax_steps: 2\nmax_length: 96\n"
                    "completion_only_loss: true\nsave_steps: 1\n");
    struct one_run run = {.recipe = g.recipe, .run = g.whole};
    struct pretrain_result result;
    pretrain_ok(&run); /* warm */
    shell("rm -rf '%s'", g.whole);
    size_t start = mem_stats().total_calls;
    pretrain_ok(&run);
    size_t all = mem_stats().total_calls - start;
    run.run = g.cut;
    for (int i = 0; i < TRIES; i++) {
        struct err err;
        char label[100];
        /* Half of the tries on the last tenth: the steps, the checkpoints, the model's folder. */
        double share = i % 2 ? (double)i / TRIES : 0.9 + 0.1 * i / TRIES;
        long n = (long)(share * (double)all);
        snprintf(label, sizeof label, "allocation %ld of %zu fails", n, all);
        size_t blocks = mem_stats().live_blocks;
        mem_fail_after(n);
        int status = pretrain(&run, &result, &err);
        mem_fail_after(-1);
        if (mem_stats().live_blocks != blocks)
            fail_msg("%s: %zd blocks leaked", label, mem_stats().live_blocks - blocks);
        if (status && (status != ERR_MACHINE || !strstr(err.message, "out of memory")))
            fail_msg("%s: status %d, %s: %s", label, status, err.where, err.message);
        run.resume = true;
        pretrain_ok(&run);
        run.resume = false;
        same_pretraining(g.whole, g.cut, 2, 2, label);
        shell("rm -rf '%s'", g.cut);
    }
    temp_folder_remove(g.folder);
}

/* --- refusals --- */

static void finished_and_refused_resumes(void **state)
{
    (void)state;
    struct ground g = ground_make(RECIPE "max_steps: 2\n");
    struct err err;
    struct pretrain_result result;
    struct one_run run = {.recipe = g.recipe, .run = g.whole};
    pretrain_ok(&run);
    expect_error(pretrain(&run, &result, &err), ERR_USAGE, &err, "--resume", NULL);
    shell("cp -r '%s' '%s'", g.whole, g.cut);
    run.resume = true;
    result = pretrain_ok(&run);
    assert_true(result.already_finished);
    run.set[0] = "learning_rate=1";
    expect_error(pretrain(&run, &result, &err), ERR_USAGE, &err, "learning_rate", "--allow", NULL);
    shell("diff -r '%s' '%s'", g.whole, g.cut);
    run.set[0] = "max_steps=3";
    expect_error(pretrain(&run, &result, &err), ERR_USAGE, &err, "max_steps", NULL);
    run.allow[0] = "max_steps";
    assert_int_equal(pretrain_ok(&run).steps, 3);
    shell("grep -q max_steps '%s/run.json'", g.whole);
    shell("! cmp -s '%s/model/model.safetensors' '%s/model/model.safetensors'", g.whole, g.cut);
    /* A damaged checkpoint is named. */
    shell("echo x >> '%s/checkpoints/step-2/model.safetensors'", g.cut);
    run = (struct one_run){.recipe = g.recipe, .run = g.cut, .resume = true};
    expect_error(pretrain(&run, &result, &err), ERR_INPUT, &err, "step-2/model.safetensors",
                 "remove", NULL);
    temp_folder_remove(g.folder);
}

/* Config, tokenizer, initial weights and documents are part of what a checkpoint goes on with. */
static void other_files_are_refused(void **state)
{
    (void)state;
    char text[3000];
    struct ground g = ground_make("");
    shell("cp -r " FIXTURE " '%s/files' && mkdir '%s/weights' && cp " FIXTURE
          "/model.safetensors '%s/weights'",
          g.folder, g.folder, g.folder);
    const char *f = g.folder;
    snprintf(text, sizeof text,
             "config: %s/files/config.json\ntokenizer: %s/files\ninit_model: %s/weights\n"
             "data: %s/files/pairs.jsonl\neval_data: %s/files/eval.jsonl\nmax_length: 96\n"
             "max_steps: 2\nsave_steps: 1\n",
             f, f, f, f, f);
    write_text(g.recipe, text);
    struct one_run run = {.recipe = g.recipe, .run = g.whole};
    pretrain_ok(&run);
    shell("rm -r '%s/checkpoints/step-2'", g.whole);
    run.resume = true;
    static const struct {
        const char *command, *name;
    } changes[] = {{"sed -i 's/1e-06/1e-05/' config.json", "model (was"},
                   {"sed -i 's/BOS/EOS/; s/$/ /' tokenizer_config.json", "model (was"},
                   {"sed -i '1d' pairs.jsonl", ": data (was"},
                   {"sed -i '1d' eval.jsonl", "eval_data (was"},
                   {"cp '../whole/checkpoints/step-1/model.safetensors' ../weights", "model (was"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct err err;
        struct pretrain_result result;
        shell("cd '%s/files' && %s", f, changes[i].command);
        expect_error(pretrain(&run, &result, &err), ERR_USAGE, &err, changes[i].name, "--allow",
                     NULL);
        shell("cd '%s' && rm -r files && cp -r \"$OLDPWD\"/" FIXTURE
              " files && cp files/model.safetensors weights",
              f);
    }
    assert_int_equal(pretrain_ok(&run).steps, 2);
    temp_folder_remove(g.folder);
}

static void refuse(const char *set, enum err_code code, const char *a, const char *b)
{
    struct ground g = ground_make(RECIPE "max_steps: 2\n");
    struct err err;
    struct pretrain_result result;
    struct one_run run = {.recipe = g.recipe, .run = g.whole, .set = {set}};
    expect_error(pretrain(&run, &result, &err), code, &err, a, b, NULL);
    assert_int_equal(access(g.whole, F_OK), -1); /* nothing was begun */
    temp_folder_remove(g.folder);
}

static void bad_recipes(void **state)
{
    (void)state;
    refuse("sequences_per_steps=4", ERR_USAGE, "sequences_per_steps", "sequences_per_step");
    refuse("per_device_train_batch_size=4", ERR_USAGE, "not built yet", "sequences_per_step");
    refuse("num_train_epochs=1", ERR_USAGE, "num_train_epochs", "max_steps");
    refuse("max_length=256", ERR_USAGE, "max_length", "128");
    refuse("max_length=8", ERR_INPUT, "train.jsonl:1", "truncation_mode");
    refuse("lr_scheduler_kwargs.min_lr_rate=0.1", ERR_USAGE, "min_lr_rate", "cosine_with_min_lr");
    refuse("memory_gib=0.0001", ERR_MACHINE, "memory plan", "memory_gib");
    refuse("tokenizer=tests", ERR_INPUT, "tokenizer.json", NULL);
    refuse("config=tests", ERR_INPUT, "config.json", NULL);
    refuse("eval_data=" FIXTURE "/train.jsonl", ERR_GATE, "line 1", "held-out");
    refuse("completion_only_loss=true", ERR_INPUT, "train.jsonl:", "completion");
    refuse("init_model=tests/oracle/model/qwen3_tied", ERR_INPUT, "qwen3_tied", NULL);
}

int main(int argc, char **argv)
{
    (void)argc;
    log_set_quiet(true);
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/train/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/train/test_pretrain_run\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_and_threads_change_nothing),
        cmocka_unit_test(packed_passes_and_threads_change_nothing),
        cmocka_unit_test(resume_after_any_step),
        cmocka_unit_test(the_model_opens_and_scores),
        cmocka_unit_test(bf16_output_and_curve),
        cmocka_unit_test(stopped_at_random_moments),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(finished_and_refused_resumes),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(bad_recipes),
    };
    return cmocka_run_group_tests_name("pretrain run", tests, NULL, NULL);
}
