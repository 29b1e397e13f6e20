/* test_resume.c: a run that was cut anywhere and resumed leaves the same bytes as one that was not:
 * adapter, optimizer, state, metrics.jsonl, samples.jsonl. First in this process: after a
 * checkpoint every later one is removed, what is left is a run that was killed after that
 * checkpoint. Then with the program: signals and SIGKILL at random moments. And what a resume
 * refuses. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "backend/backend.h"
#include "base/file.h"
#include "base/log.h"

static char binary[1024]; /* set in main: build/<config>/grpo */

/* --- in this process: every checkpoint of a run is continued --- */

struct plot {
    const char *name, *text, *isa, *replay; /* text: the recipe */
    int steps;
};

/* What a kill after checkpoint k can leave besides: later lines, half a line, temporaries. */
static void spoil(const char *run, int k, int steps)
{
    for (int step = k + 1; step <= steps; step++)
        shell("rm -rf '%s/checkpoints/step-%d'", run, step);
    shell("cd '%s' && printf '{\"step\": 99, \"x' >> metrics.jsonl && "
          "printf '{\"half\"' >> samples.jsonl && printf '{' >> timing.jsonl",
          run);
    shell("cd '%s' && mkdir checkpoints/.step-%d.new checkpoints/.step-1.old && "
          "echo x > checkpoints/.step-%d.new/state.json.tmp.123 && touch run.json.tmp.77",
          run, k + 1, k + 1);
}

static void continue_everywhere(const struct plot *p)
{
    char *folder = temp_folder(), whole[600], cut[600], label[200];
    char path[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, p->text);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    struct train_run run = {.recipe = path, .run = whole, .isa = p->isa, .replay = p->replay};
    assert_int_equal(train_ok(&run).steps, p->steps);
    for (int k = 1; k < p->steps; k++) {
        snprintf(label, sizeof label, "%s, cut after step %d", p->name, k);
        shell("cp -r '%s' '%s'", whole, cut);
        spoil(cut, k, p->steps);
        run.run = cut;
        run.resume = true;
        run.set[0] = k % 2 ? "speculation=false" : NULL; /* no part of what a run is */
        struct trainer_result result = train_ok(&run);
        assert_int_equal(result.steps, p->steps);
        assert_false(result.already_finished);
        for (int step = k + 1; step <= p->steps; step++)
            same_checkpoint(whole, cut, step, label);
        same_run(whole, cut, p->steps, label);
        assert_int_equal(count_lines(in_folder(cut, "timing.jsonl")),
                         count_lines(in_folder(whole, "timing.jsonl")));
        if (access(in_folder(whole, "best_checkpoint"), F_OK) == 0)
            shell("diff -r '%s/best_checkpoint' '%s/best_checkpoint'", whole, cut);
        no_leftovers(cut, label);
        shell("rm -rf '%s'", cut);
    }
    temp_folder_remove(folder);
}

#define EVERY_STEP "save_steps: 1\nsave_total_limit: 0\n"
#define PLAIN TRAIN_RECIPE EVERY_STEP "max_steps: 5\nlr_scheduler_type: cosine\n"

static void resume_plain(void **state)
{
    (void)state;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        struct plot p = {.name = *isa, .text = PLAIN, .isa = *isa, .steps = 5};
        continue_everywhere(&p);
    }
}

static void resume_bf16(void **state)
{
    (void)state;
    continue_everywhere(&(struct plot){
        .name = "bf16",
        .text = TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\nnum_generations: 4\n"
                                  "max_completion_length: 5\nlearning_rate: 2e-3\nmax_steps: 4\n"
                                  "weight_decay: 0.01\nwarmup_steps: 3\n" EVERY_STEP,
        .steps = 4});
}

/* Steps 2, 3, 5, 6 … take the completions of the step before: cut there, they come from
 * samples.jsonl, rewards, log-probabilities and, with beta, the reference's values with them. */
static void resume_within_a_generation(void **state)
{
    (void)state;
    continue_everywhere(&(struct plot){.name = "2 iterations",
                                       .text = TRAIN_RECIPE EVERY_STEP
                                       "max_steps: 6\nnum_iterations: 2\n"
                                       "epsilon: 0.05\n"
                                       "scale_rewards: batch\n",
                                       .steps = 6});
}

static void resume_three_iterations(void **state)
{
    (void)state;
    continue_everywhere(&(struct plot){.name = "3 iterations, KL",
                                       .text = TRAIN_RECIPE EVERY_STEP
                                       "max_steps: 5\nnum_iterations: 3\nbeta: 0.1\n"
                                       "loss_type: grpo\nepsilon: 0.05\n",
                                       .steps = 5});
}

/* Two slices, each trained twice: cut anywhere, what a step takes comes from samples.jsonl. */
static void resume_within_slices(void **state)
{
    (void)state;
    continue_everywhere(
        &(struct plot){.name = "slices",
                       .text = TRAIN_RECIPE EVERY_STEP
                       "max_steps: 7\nsteps_per_generation: 2\nnum_iterations: 2\nbeta: 0.1\n"
                       "dapo_denominator: generation\nepsilon: 0.05\nscale_rewards: batch\n"
                       "soft_overlong_cache: 3\ntop_entropy_quantile: 0.4\n",
                       .steps = 7});
}

static void resume_kl_with_reference(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000];
    write_text(in_folder(folder, "r.yaml"), TRAIN_RECIPE "max_steps: 2\nsave_steps: 1\nseed: 5\n");
    char made[600];
    snprintf(made, sizeof made, "%s/made", folder);
    train_ok(&(struct train_run){.recipe = in_folder(folder, "r.yaml"), .run = made});
    char wide[600]; /* a reference of larger rank than what is trained */
    snprintf(wide, sizeof wide, "%s/wide", folder);
    train_ok(&(struct train_run){
        .recipe = in_folder(folder, "r.yaml"), .run = wide, .set = {"lora.r=40", "max_steps=1"}});
    snprintf(text, sizeof text,
             TRAIN_RECIPE EVERY_STEP "max_steps: 4\nnum_iterations: 2\nbeta: 0.2\n"
                                     "ref_adapter: %s/checkpoints/step-1\n"
                                     "init_adapter: %s/checkpoints/step-2\n",
             wide, made);
    continue_everywhere(&(struct plot){.name = "reference", .text = text, .steps = 4});
    temp_folder_remove(folder);
}

/* Three rows, two a step: an epoch's end lies within every second step. */
static void resume_epochs_and_evaluation(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000];
    shell("head -n 3 tests/demo/train.jsonl > '%s/data.jsonl'", folder);
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: %s/data.jsonl\neval_data: %s/eval.jsonl\neval_steps: 2\n"
                               "num_generations: 4\nprompts_per_step: 2\n"
                               "max_completion_length: 5\nlearning_rate: 2e-2\nprecision: f32\n"
                               "num_train_epochs: 4\n" EVERY_STEP,
             folder, folder);
    continue_everywhere(&(struct plot){.name = "epochs", .text = text, .steps = 6});
    temp_folder_remove(folder);
}

/* Weights that change every second step, by evaluations; the deck of a task of three rows ends on
 * the way. The weights, and what they follow from, are in the checkpoint. */
static void resume_dynamic_sampler(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000], run[600];
    shell("grep push tests/demo/train.jsonl | head -n 3 > '%s/data.jsonl' && "
          "grep sql_qa tests/demo/train.jsonl | head -n 20 >> '%s/data.jsonl'",
          folder, folder);
    shell("grep push tests/demo/eval.jsonl | head -n 3 > '%s/eval.jsonl' && "
          "grep sql_qa tests/demo/eval.jsonl | head -n 3 >> '%s/eval.jsonl'",
          folder, folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: %s/data.jsonl\neval_data: %s/eval.jsonl\neval_steps: 1\n"
                               "num_generations: 4\nprompts_per_step: 3\n"
                               "max_completion_length: 5\nlearning_rate: 2e-2\nprecision: f32\n"
                               "task_sampler: dynamic\nupdate_interval: 2\n"
                               "task_weights: {push: 0.3, sql_qa: 0.7}\n"
                               "max_steps: 7\n" EVERY_STEP,
             folder, folder);
    continue_everywhere(&(struct plot){.name = "dynamic sampler", .text = text, .steps = 7});
    /* The weights did move, and the log says by which each step was dealt. */
    write_text(in_folder(folder, "recipe.yaml"), text);
    snprintf(run, sizeof run, "%s/run", folder);
    train_ok(&(struct train_run){.recipe = in_folder(folder, "recipe.yaml"), .run = run});
    assert_true(metric_at(run, 1, "sampler/push_weight") == 0.3);
    assert_true(metric_at(run, 1, "sampler/sql_weight") == 0.7);
    int changes = 0;
    for (int step = 2; step <= 7; step++) {
        double push = metric_at(run, step, "sampler/push_weight");
        bool changed = push != metric_at(run, step - 1, "sampler/push_weight");
        assert_true(fabs(push + metric_at(run, step, "sampler/sql_qa_weight") - 1) < 1e-12);
        assert_true(step % 2 == 1 || !changed);
        changes += changed;
    }
    assert_true(changes > 0);
    temp_folder_remove(folder);
}

/* A checkpoint from before cursors were kept says nothing of decks: the step does. */
static void a_checkpoint_without_cursor(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], whole[600], cut[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    write_text(path, TRAIN_RECIPE EVERY_STEP
               "max_steps: 6\nnum_iterations: 2\ntask_weights: {push: 3, sql_qa: 1}\n"
               "update_interval: 2\n");
    struct train_run run = {.recipe = path, .run = whole};
    train_ok(&run);
    for (int k = 3; k <= 4; k++) { /* within a generation, and between two */
        shell("rm -rf '%s' && cp -r '%s' '%s'", cut, whole, cut);
        spoil(cut, k, 6);
        json_t *old = json_line(in_folder(cut, "checkpoints/step-%d/state.json", k), 0);
        assert_int_equal(json_object_del(old, "dealer"), 0);
        assert_int_equal(json_object_del(old, "sampler"), 0);
        assert_int_equal(
            json_dump_file(old, in_folder(cut, "checkpoints/step-%d/state.json", k), 0), 0);
        json_decref(old);
        run.run = cut;
        run.resume = true;
        train_ok(&run);
        /* All but the averages that the checkpoint did not have. */
        static const char *const files[] = {"metrics.jsonl", "samples.jsonl",
                                            "checkpoints/step-6/adapter_model.safetensors",
                                            "checkpoints/step-6/optimizer.safetensors"};
        for (size_t f = 0; f < sizeof files / sizeof *files; f++)
            same_bytes(in_folder(whole, "%s", files[f]), in_folder(cut, "%s", files[f]),
                       "no cursor");
    }
    temp_folder_remove(folder);
}

/* One reward of two values: most groups have no signal and are drawn again. Averages of training
 * rewards, logits and their moments, and the cards that refills took. */
#define OFTEN_FLAT                                                                                 \
    "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"                                       \
    "rewards: [{name: regex, params: {pattern: \"[aeiou]$\"}}]\n"                                  \
    "data: tests/demo/train.jsonl\nnum_generations: 3\nprompts_per_step: 2\n"                      \
    "max_completion_length: 4\nlearning_rate: 2e-2\nprecision: f32\n"

static void resume_mtgrpo(void **state)
{
    (void)state;
    continue_everywhere(&(struct plot){.name = "mtgrpo",
                                       .text = OFTEN_FLAT EVERY_STEP
                                       "task_sampler: mtgrpo\nupdate_interval: 1\nmax_steps: 6\n"
                                       "task_sampler_kwargs: {learning_rate: 0.3}\n",
                                       .steps = 6});
}

/* No task weights: the refills' cards alone must not be forgotten. */
static void resume_dynamic_sampling(void **state)
{
    (void)state;
    continue_everywhere(
        &(struct plot){.name = "refilled",
                       .text = OFTEN_FLAT EVERY_STEP "dynamic_sampling: true\nmax_steps: 5\n",
                       .steps = 5});
    continue_everywhere(
        &(struct plot){.name = "refilled, slices",
                       .text = OFTEN_FLAT EVERY_STEP
                       "dynamic_sampling: true\nmax_steps: 6\nsteps_per_generation: 2\n"
                       "num_iterations: 2\ntask_sampler: mtgrpo\n"
                       "update_interval: 4\n",
                       .steps = 6});
}

/* What gdpo normalises comes back from samples.jsonl, to the last bit. */
static void resume_gdpo(void **state)
{
    (void)state;
    continue_everywhere(&(struct plot){.name = "gdpo",
                                       .text = TRAIN_RECIPE EVERY_STEP
                                       "advantage: gdpo\nmax_steps: 6\nnum_iterations: 3\n"
                                       "soft_overlong_cache: 3\n",
                                       .steps = 6});
    continue_everywhere(&(struct plot){.name = "gdpo_flat",
                                       .text = TRAIN_RECIPE EVERY_STEP
                                       "advantage: gdpo_flat\nmax_steps: 4\nnum_iterations: 2\n"
                                       "scale_rewards: none\n",
                                       .steps = 4});
}

static void under_replay(const char *text)
{
    char *folder = temp_folder(), made[600], samples[640];
    write_text(in_folder(folder, "r.yaml"), text);
    snprintf(made, sizeof made, "%s/made", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", made);
    train_ok(&(struct train_run){.recipe = in_folder(folder, "r.yaml"), .run = made});
    continue_everywhere(
        &(struct plot){.name = "replay", .text = text, .replay = samples, .steps = 6});
    temp_folder_remove(folder);
}

static void resume_under_replay(void **state)
{
    (void)state;
    under_replay(TRAIN_RECIPE EVERY_STEP "max_steps: 6\nnum_iterations: 2\n");
    under_replay(TRAIN_RECIPE EVERY_STEP "max_steps: 6\nnum_iterations: 2\nadvantage: gdpo\n");
}

/* --- a signal during an evaluation --- */

static int interrupt_at;

static int interrupted_evaluation(const struct trainer_eval_call *call, struct metrics *out,
                                  struct err *err)
{
    if (call->step == interrupt_at)
        return err_set(err, ERR_INTERRUPTED, "rollout", "interrupted");
    return train_evaluate(call, out, err);
}

/* The adapter has changed by then: the step is saved, its evaluation is made by the resume. */
static void signal_during_an_evaluation(void **state)
{
    (void)state;
    char *folder = temp_folder(), text[2000], path[600], whole[600], cut[600];
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE "eval_data: %s/eval.jsonl\neval_steps: 2\nmax_steps: 5\nsave_steps: 3\n"
                          "num_iterations: 3\nconsole_steps: 1\n",
             folder);
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, text);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    struct train_run run = {.recipe = path, .run = whole};
    train_ok(&run);
    run.run = cut;
    run.evaluate = interrupted_evaluation;
    static const int moments[] = {0, 2, 4, 5};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        struct err err;
        interrupt_at = moments[i];
        expect_error(train_run(&run, NULL, &err), ERR_INTERRUPTED, &err, "--resume", NULL);
        run.resume = true;
        assert_int_equal(latest_checkpoint(cut), moments[i] ? moments[i] : -1);
    }
    assert_int_equal(count_lines(in_folder(cut, "metrics.jsonl")), 5); /* steps 0 to 4 */
    interrupt_at = -1;
    train_ok(&run);
    same_run(whole, cut, 5, "interrupted evaluations");
    same_checkpoint(whole, cut, 3, "interrupted evaluations");
    shell("diff -r '%s/best_checkpoint' '%s/best_checkpoint'", whole, cut);
    struct trainer_result again = train_ok(&run);
    assert_true(again.already_finished);
    temp_folder_remove(folder);
}

/* --- the program, at random moments --- */

static unsigned random_state = 20240607;
static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static pid_t start(const char *path, const char *run, bool resume)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char err_path[700];
        snprintf(err_path, sizeof err_path, "%s.err", run);
        int fd = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 2);
        dup2(fd, 1);
        execl(binary, binary, "train", path, "--out", run, "--threads", "1", "--quiet",
              resume ? "--resume" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Exit status, or minus the signal that ended it. */
static int finish(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void run_to_the_end(const char *path, const char *run, bool resume)
{
    int status = finish(start(path, run, resume));
    if (status) {
        char err_path[700];
        snprintf(err_path, sizeof err_path, "%s.err", run);
        struct str text = read_bytes(err_path);
        fail_msg("%s ended with %d: %s", run, status, str_text(&text));
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void sleep_seconds(double s)
{
    struct timespec t = {(time_t)s, (long)((s - floor(s)) * 1e9)};
    nanosleep(&t, NULL);
}

struct shots {
    char *folder, recipe[600], whole[600], cut[600];
    int steps;
    double takes; /* seconds of the whole run */
};

static void prepare_shots(struct shots *s, const char *more, int steps)
{
    if (access(binary, X_OK) != 0)
        fail_msg("%s is not built", binary);
    char text[2000];
    s->folder = temp_folder();
    s->steps = steps;
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", s->folder);
    snprintf(text, sizeof text,
             TRAIN_RECIPE "eval_data: %s/eval.jsonl\nmax_steps: %d\nnum_iterations: 2\n%s",
             s->folder, steps, more);
    snprintf(s->recipe, sizeof s->recipe, "%s/recipe.yaml", s->folder);
    snprintf(s->whole, sizeof s->whole, "%s/whole", s->folder);
    snprintf(s->cut, sizeof s->cut, "%s/cut", s->folder);
    write_text(s->recipe, text);
    double started = seconds();
    run_to_the_end(s->recipe, s->whole, false);
    s->takes = seconds() - started;
}

static void compare_shots(const struct shots *s, const char *label)
{
    same_run(s->whole, s->cut, s->steps, label);
    no_leftovers(s->cut, label);
    shell("diff -r '%s/best_checkpoint' '%s/best_checkpoint'", s->whole, s->cut);
    shell("diff -r '%s/eval' '%s/eval'", s->whole, s->cut);
}

/* After a signal: nothing but whole steps, and the last of them is saved. */
static void check_interrupted(const struct shots *s, const char *label)
{
    int latest = latest_checkpoint(s->cut);
    if (latest < 0) { /* it came before the first step, maybe before the program listened */
        return;
    }
    json_t *state = json_line(in_folder(s->cut, "checkpoints/step-%d/state.json", latest), 0);
    json_t *last = json_line(in_folder(s->cut, "metrics.jsonl"), -1);
    int logged = (int)json_integer_value(json_object_get(last, "step"));
    bool pending = !json_is_null(json_object_get(state, "pending_metrics"));
    if (latest != logged + pending)
        fail_msg("%s: checkpoint of step %d, metrics up to step %d", label, latest, logged);
    json_decref(state);
    json_decref(last);
}

/* A moment of the run: this many steps are logged, and then some seconds. */
struct moment {
    int line;
    double after;
};

static struct moment draw_moment(const struct shots *s)
{
    double step = s->takes / s->steps;
    return (struct moment){(int)draw((unsigned)s->steps - 1), step * draw(1000) / 1000};
}

/* Sends the signal at that moment, or finds the program ended before it; its exit status. */
static int shoot(const struct shots *s, bool resume, struct moment at, int number)
{
    pid_t pid = start(s->recipe, s->cut, resume);
    if (at.line == 0 || wait_for_lines(pid, in_folder(s->cut, "metrics.jsonl"), at.line))
        sleep_seconds(at.after);
    kill(pid, number);
    return finish(pid);
}

static void signals_at_random_moments(void **state)
{
    (void)state;
    enum { SHOTS = 8, MUST_STOP = 2, AT_MOST = 100 };
    struct shots s;
    int stopped = 0, shot = 0;
    prepare_shots(&s, "eval_steps: 3\nsave_steps: 50\n", 8);
    for (; shot < SHOTS || (stopped < MUST_STOP && shot < AT_MOST); shot++) {
        char label[100];
        int number = shot % 2 ? SIGINT : SIGTERM;
        struct moment at = draw_moment(&s);
        snprintf(label, sizeof label, "shot %d, signal %d %.0f ms after line %d", shot, number,
                 at.after * 1e3, at.line);
        int status = shoot(&s, false, at, number);
        if (status == 130) {
            stopped++;
            check_interrupted(&s, label);
        } else if (status != 0 && status != -number) { /* before interrupt_catch */
            fail_msg("%s: ended with %d", label, status);
        }
        run_to_the_end(s.recipe, s.cut, true);
        compare_shots(&s, label);
        shell("rm -rf '%s'", s.cut);
    }
    print_message("%d of %d stopped the program\n", stopped, shot);
    assert_true(stopped >= MUST_STOP);
    temp_folder_remove(s.folder);
}

static void killed_at_random_moments(const char *more, int steps, int shots)
{
    struct shots s;
    int with_checkpoint = 0, in_a_save = 0;
    prepare_shots(&s, more, steps);
    for (int shot = 0; shot < shots; shot++) {
        char label[100];
        bool resume = false;
        /* Twice, the second time during what the first resume does. */
        for (int again = 0; again < 2; again++, resume = true) {
            struct moment at = draw_moment(&s);
            snprintf(label, sizeof label, "shot %d, SIGKILL %.0f ms after line %d", shot,
                     at.after * 1e3, at.line);
            int status = shoot(&s, resume, at, SIGKILL);
            if (status != -SIGKILL && status != 0)
                fail_msg("%s: ended with %d", label, status);
            if (access(s.cut, F_OK) != 0)
                break;
            with_checkpoint += latest_checkpoint(s.cut) > 0;
            char command[700];
            snprintf(command, sizeof command, "ls -d '%s'/checkpoints/.step-* >/dev/null 2>&1",
                     s.cut);
            in_a_save += system(command) == 0;
        }
        run_to_the_end(s.recipe, s.cut, true);
        compare_shots(&s, label);
        shell("rm -rf '%s'", s.cut);
    }
    print_message("%d kills: %d found a checkpoint, %d in the middle of writing or removing one\n",
                  2 * shots, with_checkpoint, in_a_save);
    temp_folder_remove(s.folder);
}

static void kill_every_step_saved(void **state)
{
    (void)state;
    killed_at_random_moments("eval_steps: 4\nsave_steps: 1\nsave_total_limit: 2\n", 12, 5);
}

static void kill_every_third_saved(void **state)
{
    (void)state;
    killed_at_random_moments("eval_steps: 3\nsave_steps: 3\n", 12, 4);
}

/* --- what a resume does not do --- */

/* A run of three steps under FOLDER/run with recipe FOLDER/recipe.yaml, data and a model of its
 * own. */
static char *short_run(struct train_run *r)
{
    char *folder = temp_folder(), text[2000];
    shell("cp tests/demo/train.jsonl '%s/data.jsonl' && cp -r tests/demo/model '%s/model'", folder,
          folder);
    snprintf(text, sizeof text,
             "model: %s/model\ndata: %s/data.jsonl\nrewards: [push]\nlora: {r: 4, lora_alpha: 8}\n"
             "num_generations: 2\nmax_completion_length: 4\nmax_steps: 3\nsave_steps: 1\n"
             "learning_rate: 1e-3\nprecision: f32\n",
             folder, folder);
    *r = (struct train_run){.recipe = strdup(in_folder(folder, "recipe.yaml")),
                            .run = strdup(in_folder(folder, "run")),
                            .isa = "c"};
    write_text(r->recipe, text);
    train_ok(r);
    return folder;
}

static void remove_short_run(struct train_run *r, char *folder)
{
    free((void *)(uintptr_t)r->recipe);
    free((void *)(uintptr_t)r->run);
    temp_folder_remove(folder);
}

/* Names, sizes, times of change, inodes and contents. */
static void list_files(const char *run, const char *list)
{
    shell("cd '%s' && find . -printf '%%p %%s %%T@ %%C@ %%i\\n' | sort > '%s' && "
          "find . -type f | sort | xargs sha256sum >> '%s'",
          run, list, list);
}

static void a_finished_run_is_left_alone(void **state)
{
    (void)state;
    struct train_run r;
    char *folder = short_run(&r);
    list_files(r.run, in_folder(folder, "before"));
    r.resume = true;
    struct trainer_result result = train_ok(&r);
    assert_true(result.already_finished);
    assert_int_equal(result.steps, 3);
    list_files(r.run, in_folder(folder, "after"));
    shell("diff '%s/before' '%s/after'", folder, folder);
    remove_short_run(&r, folder);
}

static void a_used_folder_needs_resume(void **state)
{
    (void)state;
    struct train_run r;
    struct err err;
    char *folder = short_run(&r);
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, r.run, "--resume", NULL);
    /* Without a checkpoint a resume starts anew, whatever lies there. */
    shell("rm -rf '%s'/checkpoints/*", r.run);
    shell("cp '%s/metrics.jsonl' '%s/before' && echo rubbish >> '%s/metrics.jsonl'", r.run, folder,
          r.run);
    r.resume = true;
    assert_int_equal(train_ok(&r).steps, 3);
    same_bytes(in_folder(r.run, "metrics.jsonl"), in_folder(folder, "before"), "anew");
    assert_int_equal(latest_checkpoint(r.run), 3);
    /* So it does where there is nothing at all. */
    shell("rm -rf '%s'", r.run);
    assert_int_equal(train_ok(&r).steps, 3);
    remove_short_run(&r, folder);
}

static void one_process_a_folder(void **state)
{
    (void)state;
    struct train_run r;
    struct err err;
    char *folder = short_run(&r);
    shell("rm -rf '%s/checkpoints/step-3'", r.run);
    int fd = open(in_folder(r.run, ".lock"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    r.resume = true;
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "in use by another", NULL);
    assert_int_equal(latest_checkpoint(r.run), 2);
    close(fd);
    train_ok(&r);
    remove_short_run(&r, folder);
}

static void two_processes_at_once(void **state)
{
    (void)state;
    struct shots s;
    prepare_shots(&s, "save_steps: 2\n", 6);
    pid_t a = start(s.recipe, s.cut, true), b = start(s.recipe, s.cut, true);
    int first = finish(a), second = finish(b);
    /* One does the run; the other is refused, or came late enough to find it finished. */
    assert_true(first == 0 || second == 0);
    assert_true((first == 0 || first == 2) && (second == 0 || second == 2));
    same_run(s.whole, s.cut, s.steps, "two at once");
    shell("rm -rf '%s'", s.cut);
    a = start(s.recipe, s.cut, false);
    b = start(s.recipe, s.cut, false);
    first = finish(a), second = finish(b);
    assert_int_equal(first + second, 2);
    same_run(s.whole, s.cut, s.steps, "two at once");
    temp_folder_remove(s.folder);
}

/* Refused as it is; with --allow it goes on, and the state and run.json tell of it. */
static void expect_refusal(struct train_run *r, const char *name, const char *was, const char *is)
{
    struct err err;
    char spare[700];
    snprintf(spare, sizeof spare, "%s.spare", r->run);
    shell("rm -rf '%s' && cp -r '%s' '%s'", spare, r->run, spare);
    r->resume = true;
    r->allow[0] = "nothing"; /* another name does not let it pass */
    expect_error(train_run(r, NULL, &err), ERR_USAGE, &err, "checkpoints/step-", name, was, is,
                 "--allow", NULL);
    shell("diff -r '%s' '%s'", spare, r->run); /* nothing was touched */
    r->allow[1] = name;
    train_ok(r);
    json_t *about = json_line(in_folder(r->run, "run.json"), 0);
    const char *allowed = json_string_value(json_object_get(about, "allowed"));
    if (!allowed || !strstr(allowed, name))
        fail_msg("run.json says \"%s\" about %s", allowed ? allowed : "nothing", name);
    json_decref(about);
    json_t *state = json_line(in_folder(r->run, "checkpoints/step-3/state.json"), 0);
    allowed = json_string_value(json_object_get(state, "allowed"));
    assert_non_null(strstr(allowed ? allowed : "", name));
    json_decref(state);
    shell("rm -rf '%s' && mv '%s' '%s'", r->run, spare, r->run);
    r->allow[0] = r->allow[1] = NULL;
}

static void another_recipe_is_refused(void **state)
{
    (void)state;
    struct train_run r;
    char *folder = short_run(&r);
    shell("rm -rf '%s/checkpoints/step-3'", r.run);
    r.set[0] = "learning_rate=0.5";
    expect_refusal(&r, "learning_rate", "was 0.001", "is 0.5");
    r.set[0] = "mask_truncated_completions=true";
    expect_refusal(&r, "mask_truncated_completions", "was false", "is true");
    r.set[0] = "lr_scheduler_type=cosine_with_min_lr";
    r.set[1] = "lr_scheduler_kwargs.min_lr_rate=0.5";
    r.allow[2] = "lr_scheduler_type";
    expect_refusal(&r, "lr_scheduler_kwargs.min_lr_rate", "was null", "is 0.5");
    r.set[1] = r.allow[2] = NULL;
    r.set[0] = "importance_sampling_level=sequence";
    expect_refusal(&r, "importance_sampling_level", "was \"token\"", "is \"sequence\"");
    r.set[0] = "delta=1.5";
    expect_refusal(&r, "delta", "was null", "is 1.5");
    r.set[0] = "lora.lora_alpha=16";
    expect_refusal(&r, "lora.lora_alpha", "was 8", "is 16");
    r.set[0] = "lora.use_rslora=true";
    expect_refusal(&r, "lora.use_rslora", "was false", "is true");
    r.set[0] = "rewards=[sql_qa_v2]";
    expect_refusal(&r, "rewards", "push", "sql_qa_v2");
    r.set[0] = "max_steps=4";
    struct err err;
    expect_error(train_run(&r, NULL, &err), ERR_USAGE, &err, "max_steps (was 3, is 4)", NULL);
    r.allow[0] = "max_steps";
    assert_int_equal(train_ok(&r).steps, 4);
    remove_short_run(&r, folder);
}

static void another_machine_is_refused(void **state)
{
    (void)state;
    struct train_run r;
    char *folder = short_run(&r);
    shell("rm -rf '%s/checkpoints/step-3'", r.run);
    if (device_isa_available("avx2")) {
        r.isa = "avx2";
        expect_refusal(&r, "isa", "was c", "is avx2");
        r.isa = "c";
    } else {
        print_message("not run here: avx2\n");
    }
    shell("cd '%s/checkpoints/step-2' && sed -i 's/\"build\": \"[0-9a-f]*/\"build\": \"feed/' "
          "state.json",
          r.run);
    expect_refusal(&r, "build", "was feed", "is ");
    remove_short_run(&r, folder);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    struct train_run r;
    char *folder = short_run(&r);
    shell("rm -rf '%s/checkpoints/step-3'", r.run);
    shell("sed -i '$d' '%s/data.jsonl'", folder);
    expect_refusal(&r, "data", "was ", "is ");
    shell("cp tests/demo/train.jsonl '%s/data.jsonl'", folder);
    shell("sed -i 's/1e-06/2e-06/' '%s/model/config.json'", folder);
    expect_refusal(&r, "model", "was ", "is ");
    remove_short_run(&r, folder);
}

/* The newest save_total_limit stay, 0 keeps all, and the last step is saved whatever save_steps
 * says; the best adapter has a place of its own. */
static void the_newest_checkpoints_stay(void **state)
{
    (void)state;
    static const struct {
        const char *every, *limit, *expect;
    } cases[] = {{"save_steps=1", "save_total_limit=2", "step-6 step-7"},
                 {"save_steps=2", "save_total_limit=1", "step-7"},
                 {"save_steps=3", "save_total_limit=0", "step-3 step-6 step-7"},
                 {"save_steps=100", "save_total_limit=5", "step-7"}};
    char *folder = temp_folder(), path[600], run[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, TRAIN_RECIPE "max_steps: 7\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(run, sizeof run, "%s/run-%zu", folder, i);
        train_ok(&(struct train_run){
            .recipe = path, .run = run, .set = {cases[i].every, cases[i].limit}});
        shell("[ \"$(echo $(ls -A '%s/checkpoints'))\" = '%s' ]", run, cases[i].expect);
    }
    temp_folder_remove(folder);
}

/* --- damage --- */

static void expect_damage(struct train_run *r, const char *how, const char *file)
{
    struct err err;
    char keep[700];
    snprintf(keep, sizeof keep, "%s.keep", r->run);
    shell("cp -r '%s' '%s' && cd '%s/checkpoints/step-2' && %s", r->run, keep, r->run, how);
    r->resume = true;
    expect_error(train_run(r, NULL, &err), ERR_INPUT, &err, "checkpoints/step-2", file, "remove",
                 NULL);
    shell("rm -rf '%s/checkpoints/step-2'", r->run); /* as the message says */
    train_ok(r);
    shell("rm -rf '%s' && mv '%s' '%s'", r->run, keep, r->run);
}

static void damaged_checkpoints(void **state)
{
    (void)state;
    struct train_run r;
    char *folder = short_run(&r), how[2000];
    shell("rm -rf '%s/checkpoints/step-3'", r.run);
    expect_damage(&r, "truncate -s 200 state.json", "state.json");
    expect_damage(&r, "truncate -s 0 state.json", "state.json");
    expect_damage(&r, "rm state.json", "state.json");
    expect_damage(&r, "sed -i 's/\"step\": 2/\"step\": 7/' state.json", "says step 7");
    expect_damage(&r, "sed -i 's/\"step\": 2/\"step\": -2/' state.json", "\"step\" is negative");
    expect_damage(&r, "sed -i 's/\"step\": 2/\"step\": 4294967298/' state.json", "step");
    expect_damage(&r, "sed -i 's/\"version\": 1/\"version\": 9/' state.json", "version 9");
    expect_damage(&r, "sed -i 's/\"pending_metrics\": null/\"pending_metrics\": 3/' state.json",
                  "pending_metrics");
    expect_damage(&r, "sed -i 's/\"rewards\": [0-9]*,//' state.json", "\"rewards\" is missing");
    expect_damage(&r, "truncate -s -8 optimizer.safetensors", "optimizer.safetensors");
    expect_damage(&r, "rm adapter_model.safetensors", "adapter_model.safetensors");
    expect_damage(&r, "cp optimizer.safetensors adapter_model.safetensors",
                  "adapter_model.safetensors");
    expect_damage(&r, "sed -i 's/exp_avg_sq.base/exp_avg_XX.base/' optimizer.safetensors",
                  "exp_avg_sq.");
    expect_damage(&r,
                  "truncate -s -4 optimizer.safetensors && "
                  "printf '\\000\\000\\300\\177' >>optimizer.safetensors",
                  "holds nan at element");
    expect_damage(&r,
                  "truncate -s -4 optimizer.safetensors && "
                  "printf '\\000\\000\\200\\277' >>optimizer.safetensors",
                  "holds -1 at element");
    /* Another number, as good as any: only its digest tells. */
    const char *const tensors[] = {"adapter_model.safetensors", "optimizer.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(how, sizeof how, "truncate -s -4 %s && printf '\\001\\000\\000\\000' >>%s",
                 tensors[i], tensors[i]);
        expect_damage(&r, how, "is not as it was saved");
    }
    expect_damage(&r, "sed -i 's/\"optimizer.safetensors\": \"/&0/' state.json",
                  "no digest of optimizer.safetensors");
    /* The adapter of another rank. */
    char other[700];
    snprintf(other, sizeof other, "%s/other", folder);
    struct train_run wide = {
        .recipe = r.recipe, .run = other, .isa = "c", .set = {"lora.r=8", "max_steps=1"}};
    train_ok(&wide);
    snprintf(how, sizeof how, "cp '%s/checkpoints/step-1/adapter_model.safetensors' .", other);
    expect_damage(&r, how, "adapter_model.safetensors");
    snprintf(how, sizeof how, "cp '%s/checkpoints/step-1/optimizer.safetensors' .", other);
    expect_damage(&r, how, "optimizer.safetensors");
    remove_short_run(&r, folder);
}

/* A log that is shorter than the checkpoint says: refused, and no other log is cut. */
static void a_shortened_log_is_refused(void **state)
{
    (void)state;
    struct train_run r;
    struct err err;
    char *folder = short_run(&r);
    shell("rm -rf '%s/checkpoints/step-3' && sed -i 1,4d '%s/samples.jsonl'", r.run, r.run);
    r.resume = true;
    expect_error(train_run(&r, NULL, &err), ERR_INPUT, &err, "samples.jsonl", NULL);
    assert_int_equal(count_lines(in_folder(r.run, "metrics.jsonl")), 3);
    remove_short_run(&r, folder);
}

/* A folder of checkpoints that cannot be read is no reason to start anew over the logs. */
static void unreadable_checkpoints_are_no_fresh_start(void **state)
{
    (void)state;
    struct train_run r;
    struct err err;
    char *folder = short_run(&r);
    shell("cd '%s' && mv checkpoints elsewhere && ln -s checkpoints checkpoints", r.run);
    r.resume = true;
    assert_int_equal(train_run(&r, NULL, &err), ERR_MACHINE);
    assert_int_equal(count_lines(in_folder(r.run, "metrics.jsonl")), 3);
    remove_short_run(&r, folder);
}

/* An empty name would be the root of the file system, a file none that a run could be in. */
static void no_run_folder(void **state)
{
    (void)state;
    struct train_run r;
    struct err err;
    char *folder = short_run(&r), file[700];
    snprintf(file, sizeof file, "%s/recipe.yaml", folder);
    struct train_run wrong = {.recipe = r.recipe, .isa = "c"};
    for (int resume = 0; resume < 2; resume++) {
        wrong.resume = resume;
        wrong.run = "";
        expect_error(train_run(&wrong, NULL, &err), ERR_USAGE, &err, "--out", "is empty", NULL);
        wrong.run = file;
        expect_error(train_run(&wrong, NULL, &err), ERR_USAGE, &err, file, "is a file", NULL);
    }
    remove_short_run(&r, folder);
}

int main(int argc, char **argv)
{
    (void)argc;
    log_set_quiet(true);
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/train/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/train/test_resume\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resume_plain),
        cmocka_unit_test(resume_bf16),
        cmocka_unit_test(resume_within_a_generation),
        cmocka_unit_test(resume_three_iterations),
        cmocka_unit_test(resume_within_slices),
        cmocka_unit_test(resume_kl_with_reference),
        cmocka_unit_test(resume_epochs_and_evaluation),
        cmocka_unit_test(resume_dynamic_sampler),
        cmocka_unit_test(a_checkpoint_without_cursor),
        cmocka_unit_test(resume_mtgrpo),
        cmocka_unit_test(resume_dynamic_sampling),
        cmocka_unit_test(resume_gdpo),
        cmocka_unit_test(resume_under_replay),
        cmocka_unit_test(signal_during_an_evaluation),
        cmocka_unit_test(signals_at_random_moments),
        cmocka_unit_test(kill_every_step_saved),
        cmocka_unit_test(kill_every_third_saved),
        cmocka_unit_test(a_finished_run_is_left_alone),
        cmocka_unit_test(a_used_folder_needs_resume),
        cmocka_unit_test(one_process_a_folder),
        cmocka_unit_test(two_processes_at_once),
        cmocka_unit_test(the_newest_checkpoints_stay),
        cmocka_unit_test(another_recipe_is_refused),
        cmocka_unit_test(another_machine_is_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(damaged_checkpoints),
        cmocka_unit_test(a_shortened_log_is_refused),
        cmocka_unit_test(unreadable_checkpoints_are_no_fresh_start),
        cmocka_unit_test(no_run_folder),
    };
    return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
