/* test_bad_input.c: what `grpo train` says to bad input, each with its exit status, the file and
 * the row or key, and what to do; and full disks: status 4, the last checkpoint whole, and once
 * there is room the same bytes as if there always had been. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/file.h"
#include "base/log.h"

static char binary[1024]; /* set in main: build/<config>/grpo */

struct bench {
    char *folder, recipe[600], run[600];
};

static void open_bench(struct bench *b, const char *more)
{
    char text[3000];
    b->folder = temp_folder();
    snprintf(b->recipe, sizeof b->recipe, "%s/recipe.yaml", b->folder);
    snprintf(b->run, sizeof b->run, "%s/run", b->folder);
    shell("head -n 4 tests/demo/train.jsonl > '%s/data.jsonl'", b->folder);
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", b->folder);
    shell("cp -r tests/demo/model '%s/model'", b->folder);
    snprintf(text, sizeof text,
             "model: %s/model\ndata: %s/data.jsonl\nrewards: [push]\nlora: {r: 4, lora_alpha: 8}\n"
             "num_generations: 2\nmax_completion_length: 4\nprecision: f32\nmax_steps: 3\n%s",
             b->folder, b->folder, more);
    write_text(b->recipe, text);
}

static int try_run(const struct bench *b, const char *set, struct err *err)
{
    return train_run(&(struct train_run){.recipe = b->recipe, .run = b->run, .set = {set}}, NULL,
                     err);
}

/* Nothing is made before the input is known to be good. */
static void close_bench(struct bench *b)
{
    assert_int_not_equal(access(b->run, F_OK), 0);
    temp_folder_remove(b->folder);
}

static void data_files(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    shell("echo 'nonsense' >> '%s/data.jsonl'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "line 5", NULL);
    shell("sed -i '5s/.*/{\"id\": \"x\"}/' '%s/data.jsonl'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "line 5", "prompt", NULL);
    shell("sed -i '5d' '%s/data.jsonl' && head -n 1 '%s/data.jsonl' >> '%s/data.jsonl'", b.folder,
          b.folder, b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "line 5", "id", NULL);
    shell("printf '\\n\\n' > '%s/data.jsonl'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "no rows", NULL);
    shell("rm '%s/data.jsonl'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "No such file", NULL);
    close_bench(&b);
}

static void long_prompts(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    shell("sed -i '3s/\"content\": \"/\"content\": \"uma palavra e mais uma e outra ainda e outra "
          "e mais outra e outra /; 3s/\"id\": \"[^\"]*/\"id\": \"the-long-one/' '%s/data.jsonl'",
          b.folder);
    expect_error(try_run(&b, "max_prompt_length=25", &err), ERR_INPUT, &err, "data.jsonl",
                 "the-long-one", "line 3", "max_prompt_length is 25", "shorten it", NULL);
    expect_error(try_run(&b, "max_completion_length=500", &err), ERR_USAGE, &err,
                 "max_completion_length", "context of 512", NULL);
    shell("rm '%s'/model/tok*", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "data.jsonl", "no tokenizer.json", NULL);
    close_bench(&b);
}

static void evaluation_rows_in_training_rows(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    char set[700];
    /* Another id, other case and spaces: still the same text. */
    shell("sed -n 2p '%s/data.jsonl' | sed 's/\"id\": \"[^\"]*/\"id\": \"leaked/; "
          "s/Escreva/  ESCREVA /' >> '%s/eval.jsonl'",
          b.folder, b.folder);
    FILE *file = fopen(b.recipe, "a");
    fprintf(file, "eval_data: %s/eval.jsonl\n", b.folder);
    fclose(file);
    snprintf(set, sizeof set, "eval_steps=1");
    expect_error(try_run(&b, set, &err), ERR_GATE, &err, "leaked", NULL);
    close_bench(&b);
}

/* Tasks of the evaluation are names of metrics. */
static void tasks_of_the_evaluation(void **state)
{
    static const struct {
        const char *edit, *says; /* what sed does to four rows */
    } cases[] = {
        {"1s/\"push\"/\"mean_reward\"/", "line 1 has the task \"mean_reward\""},
        {"1s/\"task\": \"push\"/\"task\": \"push_se\"/", "another metric has that name"},
    };
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    FILE *file = fopen(b.recipe, "a");
    fprintf(file, "eval_data: %s/eval.jsonl\neval_steps: 1\n", b.folder);
    fclose(file);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shell("head -n 4 tests/demo/eval.jsonl | sed '%s' > '%s/eval.jsonl'", cases[i].edit,
              b.folder);
        expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "eval.jsonl", cases[i].says, NULL);
    }
    close_bench(&b);
}

/* Two metrics of one name: names of rewards that are cut before they differ. */
static void metrics_of_one_name(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    char set[700], label[100];
    memset(label, 'x', 95);
    label[95] = '\0';
    snprintf(set, sizeof set,
             "rewards=[{name: length, params: {target: 4}, label: %sA}, "
             "{name: length, params: {target: 5}, label: %sB}]",
             label, label);
    expect_error(try_run(&b, set, &err), ERR_USAGE, &err, "rewards/xxx", "another name", NULL);
    temp_folder_remove(b.folder);
}

/* A row each its own task: more metrics than a line holds. */
static void a_task_a_row(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    shell("for i in $(seq 1100); do printf '{\"id\": \"%%d\", \"task\": \"t%%d\", \"prompt\": "
          "\"Diga %%d.\"}\\n' $i $i $i; done > '%s/eval.jsonl'",
          b.folder);
    char set[700];
    snprintf(set, sizeof set, "eval_data=%s/eval.jsonl", b.folder);
    expect_error(try_run(&b, set, &err), ERR_INPUT, &err, "eval.jsonl", "tasks", NULL);
    close_bench(&b);
}

static void models(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    shell("truncate -s -1000 '%s/model/model.safetensors'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "model.safetensors", NULL);
    shell("cp tests/demo/model/model.safetensors '%s/model/' && "
          "sed -i 's/\"hidden_size\": 128/\"hidden_size\": 256/' '%s/model/config.json'",
          b.folder, b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "shape", NULL);
    shell("sed -i 's/\"hidden_size\": 256/\"hidden_size\": 128/; s/qwen3/gpt9/' "
          "'%s/model/config.json'",
          b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "config.json", "gpt9", NULL);
    shell("rm -r '%s/model'", b.folder);
    expect_error(try_run(&b, NULL, &err), ERR_INPUT, &err, "model/config.json", NULL);
    close_bench(&b);
}

static void adapters_of_something_else(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    struct train_run strange = {.recipe = b.recipe,
                                .run = in_folder(b.folder, "strange"),
                                .set = {"init_adapter=tests/oracle/model/llama_tied/adapter",
                                        "lora.r=16", "lora.lora_alpha=32"}};
    expect_error(train_run(&strange, NULL, &err), ERR_INPUT, &err, "llama_tied/adapter", NULL);
    /* Of this model, but of another rank than the recipe's. */
    char made[600], set[700];
    snprintf(made, sizeof made, "%s/made", b.folder);
    train_ok(
        &(struct train_run){.recipe = b.recipe, .run = made, .set = {"max_steps=1", "lora.r=8"}});
    snprintf(set, sizeof set, "init_adapter=%s/checkpoints/step-1", made);
    expect_error(try_run(&b, set, &err), ERR_USAGE, &err, "has r 8", "r 4", NULL);
    /* Of the same rank and alpha, scaled differently. */
    snprintf(made, sizeof made, "%s/rslora", b.folder);
    train_ok(&(struct train_run){
        .recipe = b.recipe, .run = made, .set = {"max_steps=1", "lora.use_rslora=true"}});
    snprintf(set, sizeof set, "init_adapter=%s/checkpoints/step-1", made);
    expect_error(try_run(&b, set, &err), ERR_USAGE, &err, "use_rslora true", "use_rslora false",
                 NULL);
    snprintf(set, sizeof set, "init_adapter=%s/nowhere", made);
    expect_error(try_run(&b, set, &err), ERR_INPUT, &err, "nowhere", NULL);
    close_bench(&b);
}

static void run_folders(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    char below[700];
    snprintf(below, sizeof below, "%s/data.jsonl/run", b.folder);
    expect_error(train_run(&(struct train_run){.recipe = b.recipe, .run = below, .resume = true},
                           NULL, &err),
                 ERR_MACHINE, &err, "data.jsonl", NULL);
    snprintf(below, sizeof below, "%s/data.jsonl", b.folder);
    struct train_run onto = {.recipe = b.recipe, .run = below};
    expect_error(train_run(&onto, NULL, &err), ERR_USAGE, &err, "data.jsonl", NULL);
    snprintf(below, sizeof below, "/proc/self/run");
    expect_error(train_run(&onto, NULL, &err), ERR_MACHINE, &err, "/proc/self/run", NULL);
    close_bench(&b);
}

/* Finite weights whose products are not: no step is taken with what comes out. */
static void weights_that_have_diverged(void **state)
{
    (void)state;
    struct bench b;
    struct err err;
    open_bench(&b, "");
    char made[600], set[700], path[700];
    snprintf(made, sizeof made, "%s/made", b.folder);
    train_ok(&(struct train_run){.recipe = b.recipe, .run = made, .set = {"max_steps=1"}});
    snprintf(path, sizeof path, "%s/checkpoints/step-1/adapter_model.safetensors", made);
    struct str bytes = read_bytes(path);
    uint64_t header;
    memcpy(&header, bytes.data, sizeof header);
    memset(bytes.data + 8 + header, 0x7E, bytes.length - 8 - header); /* 8.5e37 */
    assert_int_equal(file_write_atomic(path, bytes.data, bytes.length, &err), 0);
    str_free(&bytes);
    snprintf(set, sizeof set, "init_adapter=%s/checkpoints/step-1", made);
    expect_error(try_run(&b, set, &err), ERR_MACHINE, &err, "not finite", "diverged", NULL);
    assert_int_equal(latest_checkpoint(b.run), -1);
    assert_int_equal(count_lines(in_folder(b.run, "metrics.jsonl")), 0);
    /* The same under replay, where nothing is sampled. */
    char samples[700];
    snprintf(samples, sizeof samples, "%s/samples.jsonl", made);
    struct train_run again = {
        .recipe = b.recipe, .run = in_folder(b.folder, "again"), .replay = samples, .set = {set}};
    expect_error(train_run(&again, NULL, &err), ERR_MACHINE, &err, "not finite", "diverged", NULL);
    temp_folder_remove(b.folder);
}

/* --- full disks --- */

/* The program with no file longer than `limit` bytes (0: no limit); its exit status. */
static int run_program(const char *path, const char *run, bool resume, size_t limit,
                       const char *err_path)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 2);
        dup2(fd, 1);
        signal(SIGXFSZ, SIG_IGN); /* a write fails then, as on a full disk */
        if (limit)
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
        execl(binary, binary, "train", path, "--out", run, "--threads", "1", "--quiet",
              resume ? "--resume" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* An adapter so small (13 kB of moments) that samples.jsonl outgrows it in a few steps. */
#define SMALL                                                                                      \
    "model: tests/demo/model\ndata: tests/demo/train.jsonl\nrewards: [push]\n"                     \
    "lora: {r: 1, lora_alpha: 2, target_modules: [q_proj]}\nnum_generations: 8\n"                  \
    "max_completion_length: 6\nmax_steps: 12\nsave_steps: 1\nsave_total_limit: 2\n"                \
    "learning_rate: 1e-2\nprecision: f32\n"

static void check_full(const char *run, const char *label, int status, const char *err_path)
{
    struct str text = read_bytes(err_path);
    if (status != 4)
        fail_msg("%s: status %d: %s", label, status, str_text(&text));
    assert_non_null(strstr(str_text(&text), run)); /* names the file */
    str_free(&text);
    char command[700];
    snprintf(command, sizeof command, "ls -d '%s'/checkpoints/.step-* >/dev/null 2>&1", run);
    assert_int_not_equal(system(command), 0); /* half a checkpoint would only take room */
}

static void files_that_may_not_grow(void **state)
{
    (void)state;
    char *folder = temp_folder(), recipe_path[600], whole[600], cut[600], err_path[600], label[60];
    snprintf(recipe_path, sizeof recipe_path, "%s/recipe.yaml", folder);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(cut, sizeof cut, "%s/cut", folder);
    snprintf(err_path, sizeof err_path, "%s/err", folder);
    write_text(recipe_path, SMALL);
    assert_int_equal(run_program(recipe_path, whole, false, 0, err_path), 0);
    /* The first save, then samples.jsonl early and late. */
    static const size_t limits[] = {5000, 9000, 14000, 30000};
    int most = 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        snprintf(label, sizeof label, "files of %zu bytes", limits[i]);
        int status = run_program(recipe_path, cut, false, limits[i], err_path);
        check_full(cut, label, status, err_path);
        most = latest_checkpoint(cut) > most ? latest_checkpoint(cut) : most;
        assert_int_equal(run_program(recipe_path, cut, true, 0, err_path), 0);
        same_run(whole, cut, 12, label);
        no_leftovers(cut, label);
        shell("rm -rf '%s'", cut);
    }
    assert_true(most >= 2);
    temp_folder_remove(folder);
}

static void a_full_disk(void **state)
{
    (void)state;
    char *folder = temp_folder(), recipe_path[600], whole[600], disk[600], cut[700], err_path[600];
    snprintf(recipe_path, sizeof recipe_path, "%s/recipe.yaml", folder);
    snprintf(whole, sizeof whole, "%s/whole", folder);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    snprintf(cut, sizeof cut, "%s/disk/run", folder);
    snprintf(err_path, sizeof err_path, "%s/err", folder);
    write_text(recipe_path, SMALL);
    shell("mkdir '%s'", disk);
    if (mount("none", disk, "tmpfs", 0, "size=96k") != 0) {
        print_message("not run here: a small disk (mounting one is not permitted)\n");
        temp_folder_remove(folder);
        return;
    }
    int first = run_program(recipe_path, whole, false, 0, err_path);
    int full = run_program(recipe_path, cut, false, 0, err_path), last = latest_checkpoint(cut);
    struct str said = read_bytes(err_path);
    bool advised = strstr(str_text(&said), "free some space");
    str_free(&said);
    int remounted = mount("none", disk, "tmpfs", MS_REMOUNT, "size=9m");
    int again = run_program(recipe_path, cut, true, 0, err_path);
    /* The disk goes whatever the outcome, so the run is looked at elsewhere. */
    char copy[700];
    snprintf(copy, sizeof copy, "%s/copy", folder);
    shell("cp -r '%s' '%s'", cut, copy);
    assert_int_equal(umount(disk), 0);
    assert_int_equal(first, 0);
    assert_int_equal(remounted, 0);
    assert_int_equal(full, 4);
    assert_true(advised);
    assert_true(last >= 1 && last < 12);
    assert_int_equal(again, 0);
    same_run(whole, copy, 12, "full disk");
    no_leftovers(copy, "full disk");
    temp_folder_remove(folder);
}

int main(int argc, char **argv)
{
    (void)argc;
    log_set_quiet(true);
    snprintf(binary, sizeof binary, "%s", argv[0]);
    char *end = strstr(binary, "/tests/train/");
    if (!end) {
        fprintf(stderr, "run as build/<config>/tests/train/test_bad_input\n");
        return 1;
    }
    snprintf(end, sizeof binary - (size_t)(end - binary), "/grpo");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_files),
        cmocka_unit_test(long_prompts),
        cmocka_unit_test(evaluation_rows_in_training_rows),
        cmocka_unit_test(tasks_of_the_evaluation),
        cmocka_unit_test(metrics_of_one_name),
        cmocka_unit_test(a_task_a_row),
        cmocka_unit_test(models),
        cmocka_unit_test(adapters_of_something_else),
        cmocka_unit_test(run_folders),
        cmocka_unit_test(weights_that_have_diverged),
        cmocka_unit_test(files_that_may_not_grow),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests_name("train bad input", tests, NULL, NULL);
}
