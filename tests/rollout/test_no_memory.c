/* test_no_memory.c: the n-th allocation fails, for every n until all succeed: opening a model, a
 * new adapter, a rollout and a generation; saving and opening an adapter, and the trainer's blocks.
 * Each time a clean ERR_MACHINE that speaks of memory, and not a block left behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../support/support.h"
#include "base/mem.h"
#include "model/grad_tree.h"
#include "model/model.h"
#include "rollout/rollout.h"

static char *folder;
static const struct peft_config lora = {
    .r = 3, .lora_alpha = 6, .targets = {[PROJ_Q] = true, [PROJ_DOWN] = true}};

struct things {
    struct device *d;
    model *m;
    adapter *a, *b;
    rollout *r;
    activations *acts;
    struct kv_cache kv;
    struct grad_tree tree;
};

static void release(struct things *t)
{
    if (t->tree.d)
        grad_tree_free(&t->tree);
    if (t->kv.d)
        kv_cache_free(&t->kv);
    activations_free(t->acts);
    rollout_free(t->r);
    adapter_close(t->a);
    adapter_close(t->b);
    model_close(t->m);
    if (t->d)
        device_close(t->d);
}

static int open_model(struct things *t, struct err *err)
{
    static const struct device_options options = {.precision = PRECISION_BF16, .threads = 1};
    int status = device_open(&t->d, &options, err);
    if (!status)
        status = model_open(&t->m, t->d, "tests/oracle/model/qwen3_tied", 0, err);
    if (!status)
        status = adapter_create(&t->a, t->m, &lora, 1, err);
    return status;
}

static int generate(struct things *t, struct err *err)
{
    const int prompt[] = {5, 6, 7}, eos = 2, *given = prompt;
    int ids[2][4], length = 3;
    float logp[2][4], *scores = logp[0];
    struct completion c[2] = {{.ids = ids[0], .logprobs = logp[0]},
                              {.ids = ids[1], .logprobs = logp[1]}};
    struct group_request g = {prompt, 3, 2, {.seed = 1, .purpose = RNG_SAMPLE}, 0, c};
    struct rollout_options options = {
        .max_new_tokens = 4, .temperature = 1.0, .eos = &eos, .n_eos = 1};
    int status = open_model(t, err);
    if (!status)
        status = rollout_create(&t->r, t->m, &lora, 2, 8, 4, err);
    if (!status)
        status = rollout_run(t->r, t->a, &options, &g, 1, NULL, err);
    struct score_request q = {prompt, 3, &given, &length, 1, &scores, NULL};
    if (!status)
        status = rollout_score(t->r, t->a, 1.0, &q, err);
    return status;
}

static int save(struct things *t, struct err *err)
{
    return adapter_save(t->a, folder, err);
}

static int open_and_train(struct things *t, struct err *err)
{
    int status = adapter_open(&t->b, t->m, folder, err);
    if (!status)
        status = activations_create(&t->acts, t->m, &lora, 16, err);
    if (!status)
        status = kv_cache_create(&t->kv, t->m, 16, err);
    if (!status)
        status = grad_tree_create(&t->tree, t->d, adapter_size(t->a), 5, err);
    return status;
}

/* prepare (or NULL) runs before allocations fail. */
static void each_allocation(const char *name, int (*prepare)(struct things *, struct err *),
                            int (*work)(struct things *, struct err *))
{
    long n = 0;
    for (int status = ERR_MACHINE; status; n++) {
        struct mem_stats before = mem_stats();
        struct err err = {0};
        struct things t = {0};
        assert_true(n < 100000);
        if (prepare)
            assert_int_equal(prepare(&t, &err), 0);
        mem_fail_after(n);
        status = work(&t, &err);
        mem_fail_after(-1);
        if (!status && mem_stats().failed_calls != before.failed_calls)
            fail_msg("%s: the failure of allocation %ld was overlooked", name, n);
        if (status &&
            (status != ERR_MACHINE || err.code != ERR_MACHINE || !strstr(err.message, "memory")))
            fail_msg("%s, allocation %ld: status %d, %s: %s", name, n, status, err.where,
                     err.message);
        release(&t);
        struct mem_stats after = mem_stats();
        if (after.live_blocks != before.live_blocks || after.live_bytes != before.live_bytes)
            fail_msg("%s, allocation %ld (%s: %s): %zu blocks of %zu bytes are left", name, n,
                     err.where, err.message, after.live_blocks - before.live_blocks,
                     after.live_bytes - before.live_bytes);
    }
    print_message("%s: %ld allocations\n", name, n - 1);
    assert_true(n > 10);
}

static void test_generation(void **state)
{
    (void)state;
    each_allocation("generation", NULL, generate);
}

static void test_training(void **state)
{
    (void)state;
    folder = temp_folder();
    each_allocation("saving", open_model, save);
    each_allocation("opening and training", open_model, open_and_train);
    temp_folder_remove(folder);
}

/* A device whose scratch could not grow goes on with what fits again later. */
static void test_after_failure(void **state)
{
    (void)state;
    struct mem_stats before = mem_stats();
    struct err err = {0};
    long n = 0;
    struct things t = {0};
    assert_int_equal(generate(&t, &err), 0);
    for (int status = ERR_MACHINE; status; n++) {
        rollout *wide = NULL;
        mem_fail_after(n);
        status = rollout_create(&wide, t.m, &lora, 2, 40 + (int)n, 4, &err);
        mem_fail_after(-1);
        if (!status)
            rollout_free(wide);
        else
            assert_int_equal(status, ERR_MACHINE);
        assert_null(status ? wide : NULL);
        rollout_free(t.r); /* the size that was there before the failure */
        t.r = NULL;
        assert_int_equal(rollout_create(&t.r, t.m, &lora, 2, 8, 4, &err), 0);
        const int prompt[] = {5, 6, 7};
        int ids[4];
        float logp[4];
        struct completion c = {.ids = ids, .logprobs = logp};
        struct group_request g = {prompt, 3, 1, {.seed = 1, .purpose = RNG_SAMPLE}, 0, &c};
        struct rollout_options options = {
            .max_new_tokens = 4, .temperature = 1.0, .eos = NULL, .n_eos = 0};
        assert_int_equal(rollout_run(t.r, t.a, &options, &g, 1, NULL, &err), 0);
    }
    assert_true(n > 10);
    release(&t);
    assert_int_equal(mem_stats().live_blocks, before.live_blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_after_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
