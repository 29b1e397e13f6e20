/* test_no_memory.c: the n-th allocation of a whole small run fails, for n over all of it (sparsely
 * while files are read, densely from the first step on): a clean error and nothing leaked, or the
 * run went on without that memory; then a resume gives the bytes of the run that had all it wanted.
 */
#include <stdio.h>
#include <string.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "base/mem.h"

enum { WHILE_OPENING = 25, WHILE_TRAINING = 40 };

static size_t calls_before_steps;

static int note_start(const struct trainer_eval_call *call, struct metrics *out, struct err *err)
{
    if (call->step == 0)
        calls_before_steps = mem_stats().total_calls;
    return train_evaluate(call, out, err);
}

struct ground {
    char *folder, path[600], whole[600], run[600];
};

static void fail_at(const struct ground *g, long n)
{
    char label[100];
    struct err err;
    struct train_run run = {.recipe = g->path, .run = g->run};
    snprintf(label, sizeof label, "allocation %ld fails", n);
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
    same_run(g->whole, g->run, 2, label);
    same_checkpoint(g->whole, g->run, 1, label);
    shell("diff -r '%s/best_checkpoint' '%s/best_checkpoint'", g->whole, g->run);
    no_leftovers(g->run, label);
    shell("rm -rf '%s'", g->run);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct ground g = {.folder = temp_folder()};
    char text[2000];
    snprintf(g.path, sizeof g.path, "%s/recipe.yaml", g.folder);
    snprintf(g.whole, sizeof g.whole, "%s/whole", g.folder);
    snprintf(g.run, sizeof g.run, "%s/run", g.folder);
    shell("head -n 3 tests/demo/train.jsonl > '%s/data.jsonl'", g.folder);
    shell("head -n 2 tests/demo/eval.jsonl > '%s/eval.jsonl'", g.folder);
    snprintf(text, sizeof text,
             "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\n"
             "rewards: [{name: length, params: {target: 20, strip_think: false}}]\n"
             "data: %s/data.jsonl\neval_data: %s/eval.jsonl\neval_steps: 1\n"
             "num_generations: 2\nmax_completion_length: 3\nmax_steps: 2\n"
             "learning_rate: 2e-3\nsave_steps: 1\nbeta: 0.1\n",
             g.folder, g.folder);
    write_text(g.path, text);
    train_ok(&(struct train_run){.recipe = g.path, .run = g.run}); /* warm */
    shell("rm -rf '%s'", g.run);
    size_t start = mem_stats().total_calls;
    train_ok(&(struct train_run){.recipe = g.path, .run = g.whole, .evaluate = note_start});
    long all = (long)(mem_stats().total_calls - start),
         opening = (long)(calls_before_steps - start);
    print_message("%ld allocations, %ld of them before the first evaluation\n", all, opening);
    assert_true(opening > 0 && all > opening + WHILE_TRAINING);
    for (int i = 0; i < WHILE_OPENING; i++)
        fail_at(&g, (long)((double)i * (double)opening / WHILE_OPENING));
    for (int i = 0; i < WHILE_TRAINING; i++)
        fail_at(&g, opening + (long)((double)i * (double)(all - opening) / WHILE_TRAINING));

    temp_folder_remove(g.folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("train no memory", tests, NULL, NULL);
}
