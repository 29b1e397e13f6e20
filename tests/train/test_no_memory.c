/* test_no_memory.c: the n-th allocation of a whole small run fails: a clean error and nothing
 * leaked, or the run went on without that memory; then a resume gives the bytes of the run that had
 * all it wanted. In turn for each way to train (the table below), so that every part of a step that
 * only some recipe has is met; with a resume and a replay as the run that fails, too.
 *
 * A step allocates for what it logs and saves (its numbers live in blocks planned before), and each
 * try costs two runs: of the allocations after opening one in each stride is tried, the recipes
 * starting at different places; of those while files are read, which test_parsers_no_memory tries
 * one by one, a few.
 */
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "base/mem.h"

enum { WHILE_OPENING = 6, WHILE_TRAINING = 30 };
#define TINY "tests/oracle/train/pretrain"

static const struct way {
    const char *name, *recipe; /* what it adds to the common lines */
    bool resume;               /* the run that fails is a resume after step 1 */
    bool replay;               /* and of the whole run's samples */
} ways[] = {
    {"KL", "beta: 0.1\nmax_steps: 2\n", false, false},
    {"stop strings and warpers",
     "stop_strings: [ma, \"a b\", o]\ntop_k: 40\ntop_p: 0.95\nmin_p: 0.01\n"
     "allow_truncated_sampling: true\nmax_steps: 2\n",
     false, false},
    {"slices, iterations, entropy",
     "steps_per_generation: 2\nnum_iterations: 2\ntop_entropy_quantile: 0.5\n"
     "dapo_denominator: generation\nmax_steps: 3\n",
     false, false},
    {"tasks and templates",
     "task_weights: {a: 1, b: 2}\nupdate_interval: 1\nchat_template: qwen3\n"
     "chat_template_kwargs: {enable_thinking: false}\nsystem_prompt: {a: Oi, b: Olá}\n"
     "max_steps: 2\n",
     false, false},
    {"GSPO",
     "importance_sampling_level: sequence\nloss_type: grpo\nmask_truncated_completions: true\n"
     "soft_overlong_cache: 2\nscale_rewards: batch\nnum_iterations: 2\nmax_steps: 2\n",
     false, false},
    {"CISPO, delta unset, early stopping",
     "loss_type: cispo\nepsilon_high: 5\nearly_stopping_patience: 1\n"
     "early_stopping_threshold: 9\nsave_minutes: 1e-9\nconsole_steps: 1\nmax_steps: 2\n",
     false, false},
    {"resume within a generation", "num_iterations: 3\nbeta: 0.1\ndelta: 1.5\nmax_steps: 2\n", true,
     false},
    {"replay", "max_steps: 2\n", false, true},
    {"gdpo, refilled, weights that move",
     "advantage: gdpo\ntask_sampler: mtgrpo\nupdate_interval: 1\nsoft_overlong_cache: 1\n"
     "stop_rules: [{rule: overfitting, window: 1}, {rule: below, metric: reward, value: 1}]\n"
     "max_steps: 2\n",
     false, false},
    {"gdpo of a replay", "advantage: gdpo\nnum_iterations: 2\nmax_steps: 2\n", false, true},
};

static size_t calls_before_steps;

/* Of a run that begins: before its first evaluation. */
static int note_start(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    if (!calls_before_steps)
        calls_before_steps = mem_stats().total_calls;
    return train_evaluate(call, out, err);
}

struct ground {
    const struct way *way;
    char *folder, recipe[600], whole[600], run[600], samples[640];
    int steps;
    struct train_run failing;
};

/* What the failing run finds: nothing, or what a kill after step 1 leaves. */
static void set_up(const struct ground *g)
{
    shell("rm -rf '%s'", g->run);
    if (g->way->resume)
        shell("cp -r '%s' '%s' && rm -rf '%s/checkpoints/step-2'", g->whole, g->run, g->run);
}

static void fail_at(const struct ground *g, long n)
{
    char label[200];
    struct err err;
    struct train_run run = g->failing;
    snprintf(label, sizeof label, "%s, allocation %ld fails", g->way->name, n);
    set_up(g);
    size_t blocks = mem_stats().live_blocks;
    mem_fail_after(n);
    int status = train_run(&run, NULL, &err);
    mem_fail_after(-1);
    size_t left = mem_stats().live_blocks - blocks;
    if (left)
        fail_msg("%s: %zu blocks leaked (status %d, %s: %s)", label, left, status, err.where,
                 err.message);
    if (status && (status != ERR_MACHINE || !strstr(err.message, "out of memory")))
        fail_msg("%s: status %d, %s: %s", label, status, err.where, err.message);
    run.resume = true;
    if (train_run(&run, NULL, &err))
        fail_msg("%s, then no resume: %s: %s", label, err.where, err.message);
    same_run(g->whole, g->run, g->steps, label);
    same_checkpoint(g->whole, g->run, 1, label);
    shell("diff -r '%s/best_checkpoint' '%s/best_checkpoint'", g->whole, g->run);
    no_leftovers(g->run, label);
}

static struct ground prepare(const struct way *way, char *folder)
{
    struct ground g = {.way = way, .folder = folder};
    char text[2000];
    snprintf(g.recipe, sizeof g.recipe, "%s/recipe.yaml", folder);
    snprintf(g.whole, sizeof g.whole, "%s/whole", folder);
    snprintf(g.run, sizeof g.run, "%s/run", folder);
    snprintf(g.samples, sizeof g.samples, "%s/samples.jsonl", folder);
    write_text(in_folder(folder, "data.jsonl"),
               "{\"task\": \"a\", \"prompt\": [{\"role\": \"user\", \"content\": \"um\"}]}\n"
               "{\"task\": \"b\", \"prompt\": [{\"role\": \"user\", \"content\": \"dois\"}]}\n"
               "{\"task\": \"b\", \"prompt\": [{\"role\": \"user\", \"content\": \"sete\"}]}\n");
    write_text(in_folder(folder, "eval.jsonl"),
               "{\"task\": \"a\", \"prompt\": [{\"role\": \"user\", \"content\": \"mil\"}]}\n");
    snprintf(text, sizeof text,
             "model: " TINY "\nlora: {r: 4, lora_alpha: 8}\n"
             "rewards: [{name: length, params: {target: 20, strip_think: false}}]\n"
             "data: %s/data.jsonl\neval_data: %s/eval.jsonl\neval_steps: 1\n"
             "num_generations: 2\nprompts_per_step: 2\nmax_completion_length: 3\n"
             "learning_rate: 2e-3\nsave_steps: 1\nsave_total_limit: 0\n%s",
             folder, folder, way->recipe);
    write_text(g.recipe, text);
    return g;
}

static void every_allocation_may_fail(const struct way *way, long offset)
{
    char *folder = temp_folder();
    struct ground g = prepare(way, folder);
    struct train_run whole = {.recipe = g.recipe, .run = g.whole};
    train_ok(&whole); /* warm, and the samples of a replay */
    g.steps = count_lines(in_folder(g.whole, "metrics.jsonl")) - 1;
    g.failing = (struct train_run){.recipe = g.recipe, .run = g.run, .resume = way->resume};
    if (way->replay) {
        shell("mv '%s/samples.jsonl' '%s' && rm -rf '%s'", g.whole, g.samples, g.whole);
        whole.replay = g.failing.replay = g.samples;
        train_ok(&whole);
    }
    struct train_run counted = g.failing;
    counted.evaluate = note_start;
    set_up(&g);
    size_t start = mem_stats().total_calls;
    calls_before_steps = 0;
    train_ok(&counted);
    long all = (long)(mem_stats().total_calls - start),
         opening = (long)(calls_before_steps - start);
    print_message("%s: %ld allocations, %ld of them before the first evaluation\n", way->name, all,
                  opening);
    assert_true(opening > 0 && all > opening + WHILE_TRAINING);
    for (int i = 0; i < WHILE_OPENING; i++)
        fail_at(&g, offset + (long)((double)i * (double)opening / WHILE_OPENING));
    long stride = (all - opening) / WHILE_TRAINING;
    for (long n = opening + offset % stride; n < all; n += stride)
        fail_at(&g, n);
    temp_folder_remove(folder);
}

static void each_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        every_allocation_may_fail(&ways[i], 7 * (long)i);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way),
    };
    return cmocka_run_group_tests_name("train no memory", tests, NULL, NULL);
}
