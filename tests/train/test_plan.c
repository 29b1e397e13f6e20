/* test_plan.c: the plan is what is allocated, part by part and in all; a smaller budget makes
 * smaller passes and the same bytes; a budget that cannot hold the smallest is refused; and after
 * its first step a run allocates nothing in the engine. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "backend/backend.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "formats/hf_config.h"
#include "train/optim.h"
#include "train/plan.h"
#include "train/setup.h"

#define MODEL "tests/demo/model"

static struct train_options options_of(int micro_batch, double memory_gib)
{
    return (struct train_options){.model = MODEL,
                                  .max_completion_length = 64,
                                  .num_iterations = 1,
                                  .steps_per_generation = 1,
                                  .micro_batch = micro_batch,
                                  .memory_gib = memory_gib};
}

static struct peft_config lora_of(int rank)
{
    struct peft_config c = {.r = rank, .lora_alpha = 2 * rank};
    for (int p = 0; p < N_PROJECTIONS; p++)
        c.targets[p] = true;
    return c;
}

/* --- parts against allocations --- */

static size_t allocated(size_t *before)
{
    size_t now = mem_stats().live_bytes, grown = now - *before;
    *before = now;
    return grown;
}

static double share(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->n_parts; i++)
        if (strcmp(p->parts[i].name, name) == 0)
            return (double)p->parts[i].bytes;
    fail_msg("the plan has no part %s", name);
    return NAN;
}

/* Host tables and headers are not in the plan: within 1%, and a few kB for the smallest. */
static void expect_part(const struct plan *p, const char *name, size_t got)
{
    double want = share(p, name);
    if (fabs((double)got - want) > 0.01 * want + 4096)
        fail_msg("%s: %zu bytes are allocated, %.0f are planned", name, got, want);
}

static void check_parts(const char *isa, enum precision precision, int micro_batch)
{
    struct device *d;
    struct hf_config config;
    struct err err;
    struct plan plan;
    struct peft_config lora = lora_of(32);
    struct train_options o = options_of(micro_batch, 0);
    assert_int_equal(hf_config_open(&config, MODEL, NULL, 0, &err), 0);
    struct device_options options = {.isa = isa, .precision = precision, .threads = 2};
    size_t before = mem_stats().live_bytes, start = before;
    assert_int_equal(device_open(&d, &options, &err), 0);
    size_t scratch = allocated(&before);
    struct plan_input in = {.d = d,
                            .config = &config,
                            .lora = &lora,
                            .largest = &lora,
                            .o = &o,
                            .groups = 2,
                            .per_group = 16,
                            .max_prompt_tokens = 200,
                            .max_trained_prompt = 200,
                            .max_context = 264,
                            .max_steps = 1};
    assert_int_equal(plan_make(&plan, &in, &err), 0);
    model *m;
    adapter *a;
    struct optimizer optimizer;
    rollout *r;
    gradient *g;
    struct generation gen;
    assert_int_equal(model_open(&m, d, MODEL, in.max_context, &err), 0);
    size_t weights = allocated(&before);
    /* The first to reserve gets the scratch; reserving the whole first tells it apart. */
    workspace *w;
    int rows = plan.gradient.micro_batch * plan.gradient.max_completion_length;
    int decoding = rollout_pass_rows(plan.max_sequences, plan.prompt_room, o.max_completion_length);
    rows = rows > decoding ? rows : decoding;
    assert_int_equal(workspace_create(&w, m, &lora, rows, &err), 0);
    scratch += allocated(&before) - workspace_bytes(d, &config, &lora, rows);
    workspace_free(w);
    before = mem_stats().live_bytes;
    assert_int_equal(adapter_create(&a, m, &lora, 1, &err), 0);
    assert_int_equal(optimizer_create(&optimizer, d, adapter_size(a), &err), 0);
    size_t adapters = allocated(&before);
    assert_int_equal(rollout_create(&r, m, &lora, plan.max_sequences, plan.prompt_room,
                                    o.max_completion_length, &err),
                     0);
    size_t rollouts = allocated(&before);
    assert_int_equal(gradient_create(&g, m, &lora, &plan.gradient, &err), 0);
    size_t gradients = allocated(&before);
    assert_int_equal(
        generation_create(&gen, in.groups, in.per_group, o.max_completion_length, NULL, &err), 0);
    size_t completions = allocated(&before);
    struct trainable params = trainable_adapter(a);
    struct str file = {0}; /* made of both moments, which are on the host beside it */
    assert_int_equal(optimizer_write(&optimizer, &params, &file, &err), 0);
    size_t saving = allocated(&before) + 2 * adapter_size(a) * sizeof(float);
    size_t all = before - start + 2 * adapter_size(a) * sizeof(float);
    str_free(&file);
    expect_part(&plan, "base weights", weights);
    expect_part(&plan, "adapter, moments", adapters);
    expect_part(&plan, "rollout", rollouts);
    expect_part(&plan, "gradient", gradients);
    expect_part(&plan, "completions", completions);
    expect_part(&plan, "device scratch", scratch);
    expect_part(&plan, "saving", saving);
    double off = (double)all / (double)plan.total - 1;
    print_message("%s, %s: planned %zu bytes, allocated %+.3f%%\n", isa,
                  precision == PRECISION_F32 ? "f32" : "bf16", plan.total, 100 * off);
    assert_true(fabs(off) < 0.01);
    generation_free(&gen);
    gradient_free(g);
    rollout_free(r);
    optimizer_free(&optimizer);
    adapter_close(a);
    model_close(m);
    device_close(d);
}

static void parts_are_what_is_allocated(void **state)
{
    (void)state;
    for (const char *const *isa = device_isa_names(); *isa; isa++) {
        if (!device_isa_available(*isa)) {
            print_message("not run here: %s\n", *isa);
            continue;
        }
        for (int micro_batch = 0; micro_batch < 2; micro_batch++) { /* gradient, rollout wider */
            check_parts(*isa, PRECISION_BF16, micro_batch);
            check_parts(*isa, PRECISION_F32, micro_batch);
        }
    }
}

/* --- choosing --- */

static void a_budget_is_kept(void **state)
{
    (void)state;
    struct device *d;
    struct hf_config config;
    struct err err;
    struct peft_config lora = lora_of(8);
    assert_int_equal(hf_config_open(&config, MODEL, NULL, 0, &err), 0);
    assert_int_equal(device_open(&d, &(struct device_options){.threads = 1}, &err), 0);
    struct train_options o = options_of(0, 100);
    struct plan_input in = {.d = d,
                            .config = &config,
                            .lora = &lora,
                            .largest = &lora,
                            .o = &o,
                            .groups = 4,
                            .per_group = 16,
                            .max_prompt_tokens = 100,
                            .max_trained_prompt = 100,
                            .max_context = 164,
                            .rows = 10,
                            .max_steps = 25};
    struct plan p, last;
    assert_int_equal(plan_make(&last, &in, &err), 0);
    assert_int_equal(last.max_sequences, 64); /* all of a step */
    assert_int_equal(last.gradient.micro_batch, 16);
    assert_true(last.epochs == 10);
    int changes = 0;
    double gib = (double)last.total / 0x1p30;
    for (;; gib *= 0.98) {
        o.memory_gib = gib;
        if (plan_make(&p, &in, &err))
            break;
        assert_true((double)p.total <= gib * 0x1p30);
        assert_true(p.max_sequences <= last.max_sequences);
        assert_true(p.gradient.micro_batch <= last.gradient.micro_batch);
        changes += p.total != last.total;
        last = p;
    }
    assert_true(changes >= 4);
    assert_true(last.max_sequences <= 4);
    assert_int_equal(last.gradient.micro_batch, 1);
    expect_error(plan_make(&p, &in, &err), ERR_MACHINE, &err, "memory plan", "smallest plan",
                 "budget", "memory_gib", "max_completion_length", NULL);
    /* A micro-batch that the recipe fixes is not the plan's to change. */
    o.memory_gib = (double)last.total / 0x1p30;
    o.micro_batch = 16;
    assert_int_equal(plan_make(&p, &in, &err), ERR_MACHINE);
    o.memory_gib = 100;
    o.micro_batch = 3;
    assert_int_equal(plan_make(&p, &in, &err), 0);
    assert_int_equal(p.gradient.micro_batch, 3);
    o.micro_batch = 300;
    assert_int_equal(plan_make(&p, &in, &err), 0);
    assert_int_equal(p.gradient.micro_batch, 16);
    device_close(d);
}

/* One prompt of up to 256 tokens, 16 completions of up to 512 on a model of 0.5 billion parameters:
 * without a budget the plan stays below 8 GiB; a budget that is given is used. */
static void budgets_choose_different_plans(void **state)
{
    (void)state;
    struct device *d;
    struct err err;
    struct peft_config lora = lora_of(16);
    struct hf_config config = {.arch = ARCH_QWEN3,
                               .vocab_size = 49152,
                               .hidden_size = 1024,
                               .intermediate_size = 3072,
                               .layers = 28,
                               .heads = 16,
                               .kv_heads = 8,
                               .head_dim = 128,
                               .max_position_embeddings = 4096,
                               .tie_word_embeddings = true,
                               .qk_norm = true};
    static const struct {
        double gib;
        int micro_batch;
    } cases[] = {{0, 4}, {6, 2}, {8, 4}, {16, 8}, {24, 16}};
    assert_int_equal(device_open(&d, &(struct device_options){.threads = 1}, &err), 0);
    struct train_options o = options_of(0, 0);
    o.max_completion_length = 512;
    struct plan_input in = {.d = d,
                            .config = &config,
                            .lora = &lora,
                            .largest = &lora,
                            .o = &o,
                            .groups = 1,
                            .per_group = 16,
                            .max_prompt_tokens = 256,
                            .max_trained_prompt = 256,
                            .max_context = 768,
                            .max_steps = 1,
                            .program_bytes = 40 << 20};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan p;
        o.memory_gib = cases[i].gib;
        if (plan_make(&p, &in, &err))
            fail_msg("%g GiB: %s", cases[i].gib, err.message);
        print_message("%4.0f GiB: micro-batch %d, %.0f MiB\n", cases[i].gib, p.gradient.micro_batch,
                      (double)p.total / 0x1p20);
        assert_int_equal(p.gradient.micro_batch, cases[i].micro_batch);
        assert_int_equal(p.max_sequences, 16); /* decoding takes little */
        assert_true((double)p.total < (cases[i].gib > 0 ? cases[i].gib : 8) * 0x1p30);
        assert_true(p.parts[0].bytes == in.program_bytes);
    }
    device_close(d);
}

static void a_small_budget_gives_the_same_bytes(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], big[600], small[600], set[64];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(big, sizeof big, "%s/big", folder);
    snprintf(small, sizeof small, "%s/small", folder);
    shell("head -n 20 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    char text[2000];
    snprintf(text, sizeof text,
             TRAIN_RECIPE_BARE "data: tests/demo/train.jsonl\neval_data: %s/eval.jsonl\n"
                               "eval_steps: 2\nnum_generations: 6\nprompts_per_step: 3\n"
                               "max_completion_length: 24\nlearning_rate: 2e-3\nmax_steps: 2\n",
             folder);
    write_text(path, text);
    train_ok(&(struct train_run){.recipe = path, .run = big});
    json_t *plan_json = json_line(in_folder(big, "run.json"), 0);
    const json_t *plan = json_object_get(plan_json, "plan");
    assert_null(json_object_get(plan, "program, texts")); /* it is measured, not planned */
    double total = json_number_value(json_object_get(plan, "total")), sum = 0;
    const char *part_name;
    json_t *bytes;
    json_object_foreach((json_t *)(uintptr_t)plan, part_name, bytes) sum +=
        json_number_value(bytes);
    assert_true(sum == 2 * total + json_number_value(json_object_get(plan, "micro_batch")));
    json_decref(plan_json);
    json_t *timing = json_line(in_folder(big, "timing.jsonl"), 0);
    assert_true(json_number_value(json_object_get(timing, "planned_mib")) > total / 0x1p20);
    json_decref(timing);
    /* Down to the smallest that is still taken. */
    int taken = 0;
    for (double part = 0.9; part > 0.3; part -= 0.06) {
        struct err err;
        snprintf(set, sizeof set, "memory_gib=%.9f",
                 ((double)plan_resident_bytes() + part * total) / 0x1p30);
        struct train_run run = {.recipe = path, .run = small, .set = {set}};
        int status = train_run(&run, NULL, &err);
        if (status) {
            expect_error(status, ERR_MACHINE, &err, "memory plan", "smallest plan", NULL);
            assert_int_not_equal(access(small, F_OK), 0); /* nothing was made */
            break;
        }
        same_bytes(in_folder(big, "metrics.jsonl"), in_folder(small, "metrics.jsonl"), set);
        same_bytes(in_folder(big, "samples.jsonl"), in_folder(small, "samples.jsonl"), set);
        same_bytes(in_folder(big, "checkpoints/step-2/adapter_model.safetensors"),
                   in_folder(small, "checkpoints/step-2/adapter_model.safetensors"), set);
        shell("rm -rf '%s'", small);
        taken++;
    }
#if !SANITIZED /* whose own memory grows from run to run: no budget can be aimed at */
    assert_true(taken >= 3);
#endif
    snprintf(set, sizeof set, "memory_gib=0.0001");
    struct err err;
    expect_error(
        train_run(&(struct train_run){.recipe = path, .run = small, .set = {set}}, NULL, &err),
        ERR_MACHINE, &err, "smallest plan takes", "0.00 GiB", NULL);
    temp_folder_remove(folder);
}

static double planned(const char *run, const char *part)
{
    json_t *about = json_line(in_folder(run, "run.json"), 0);
    double bytes = json_number_value(json_object_get(json_object_get(about, "plan"), part));
    json_decref(about);
    return bytes;
}

/* Prompts that are only evaluated take room in the rollout, none in the gradient; a replay's own
 * prompts do. */
static void what_is_not_trained_has_no_gradient(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], runs[3][600], text[2000], samples[640];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    for (int i = 0; i < 3; i++)
        snprintf(runs[i], sizeof runs[i], "%s/run-%d", folder, i);
    write_text(in_folder(folder, "eval.jsonl"),
               "{\"prompt\": [{\"role\": \"user\", \"content\": \"Um texto que ninguém treina, mas "
               "que é bem mais longo do que todos os outros: um, dois, três, quatro, cinco, seis, "
               "sete, oito, nove, dez, onze, doze, treze, quatorze, quinze, dezesseis, dezessete, "
               "dezoito, dezenove, vinte, vinte e um, vinte e dois, vinte e três, vinte e quatro, "
               "vinte e cinco, vinte e seis, vinte e sete, vinte e oito, vinte e nove.\"}]}\n");
    write_text(path, TRAIN_RECIPE "max_steps: 1\n");
    train_ok(&(struct train_run){.recipe = path, .run = runs[0]});
    snprintf(text, sizeof text, TRAIN_RECIPE "max_steps: 1\neval_data: %s/eval.jsonl\n", folder);
    write_text(path, text);
    train_ok(&(struct train_run){.recipe = path, .run = runs[1]});
    assert_true(planned(runs[0], "gradient") > 0);
    assert_true(planned(runs[0], "gradient") == planned(runs[1], "gradient"));
    assert_true(planned(runs[0], "rollout") < planned(runs[1], "rollout"));
    struct str line = {0};
    str_puts(&line, "{\"step\": 1, \"prompt_id\": \"p\", \"prompt_ids\": [1");
    for (int i = 0; i < 300; i++)
        str_printf(&line, ", %d", 30 + i);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", folder);
    struct str both = {0};
    for (int i = 0; i < 2; i++)
        str_printf(&both, "%s], \"ids\": [%d], \"reward\": %d}\n", str_text(&line), 40 + i, i);
    write_text(samples, str_text(&both));
    str_free(&line);
    str_free(&both);
    write_text(path, "model: tests/demo/model\nlora: {r: 4, lora_alpha: 8}\nprecision: f32\n"
                     "max_completion_length: 5\n");
    train_ok(&(struct train_run){.recipe = path, .run = runs[2], .replay = samples});
    assert_true(metric_at(runs[2], 1, "grad_norm") > 0);
    temp_folder_remove(folder);
}

/* --- a step allocates nothing --- */

enum { MAX_CALLS = 16 };
static size_t calls[MAX_CALLS], live[MAX_CALLS];
static int n_calls;

static int count_allocations(const struct trainer_eval_call *call, struct metrics *out,
                             struct err *err)
{
    (void)call, (void)err;
    metrics_add(out, 1, "eval/mean_reward");
    assert_true(n_calls < MAX_CALLS);
    calls[n_calls] = mem_stats().total_calls;
    live[n_calls++] = mem_stats().live_bytes;
    return ERR_NONE;
}

/* Between the evaluations after steps k and k + 1 lie all stages of a step, logs too. Texts of
 * completions may grow their buffers now and then, and rewards and the tokenizer take what they
 * need for a completion; a replay without tokenizer and rewards has only the engine and the logs.
 */
static void nothing_is_allocated_after_the_first_step(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], run[600], samples[700], text[2000];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(samples, sizeof samples, "%s/samples.jsonl", run);
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    write_text(path, TRAIN_RECIPE "max_steps: 8\nsave_steps: 100\nbeta: 0.1\n");
    train_ok(&(struct train_run){.recipe = path, .run = run});
    shell("cp -r tests/demo/model '%s/model' && rm '%s'/model/tok* '%s'/model/chat*", folder,
          folder, folder);
    snprintf(text, sizeof text,
             "model: %s/model\nlora: {r: 4, lora_alpha: 8}\nlearning_rate: 2e-3\nbeta: 0.1\n"
             "rewards: [push]\neval_data: %s/eval.jsonl\neval_steps: 1\nsave_steps: "
             "100\nconsole_steps: 0\n"
             "max_completion_length: 5\n",
             folder, folder);
    write_text(path, text);
    n_calls = 0;
    train_ok(&(struct train_run){.recipe = path,
                                 .run = in_folder(folder, "again"),
                                 .replay = samples,
                                 .evaluate = count_allocations});
    assert_int_equal(n_calls, 9);
    /* Evaluation 0 precedes step 1; from 2 on nothing may be new. (Step 1 saves a best checkpoint.)
     */
    for (int i = 3; i < n_calls; i++)
        if (calls[i] != calls[i - 1])
            fail_msg("step %d made %zu allocations", i, calls[i] - calls[i - 1]);
    /* With sampling, texts and rewards: what is allocated is given back. */
    snprintf(text, sizeof text,
             TRAIN_RECIPE "eval_data: %s/eval.jsonl\neval_steps: 1\n"
                          "save_steps: 100\nmax_steps: 8\n",
             folder);
    write_text(path, text);
    n_calls = 0;
    train_ok(&(struct train_run){
        .recipe = path, .run = in_folder(folder, "sampled"), .evaluate = count_allocations});
    print_message("a step that samples 8 completions makes %zu allocations outside the engine\n",
                  calls[7] - calls[6]);
    for (int i = 4; i < n_calls; i++)
        assert_true(live[i] < live[3] + 4096);
    temp_folder_remove(folder);
}

/* eval_data is never given in vain: without eval_steps it is evaluated first and last. */
static void without_eval_steps_first_and_last(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600], text[2000];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    shell("head -n 4 tests/demo/eval.jsonl > '%s/eval.jsonl'", folder);
    snprintf(text, sizeof text, TRAIN_RECIPE "eval_data: %s/eval.jsonl\nmax_steps: 4\n", folder);
    write_text(path, text);
    n_calls = 0;
    train_ok(&(struct train_run){
        .recipe = path, .run = in_folder(folder, "run"), .evaluate = count_allocations});
    assert_int_equal(n_calls, 2);
    /* And nothing could score it without rewards, which a replay need not have. */
    snprintf(text, sizeof text, "model: tests/demo/model\neval_data: %s/eval.jsonl\n", folder);
    write_text(path, text);
    struct err err = {0};
    int status = train_run(&(struct train_run){.recipe = path,
                                               .run = in_folder(folder, "replayed"),
                                               .replay = in_folder(folder, "run/samples.jsonl")},
                           NULL, &err);
    expect_error(status, ERR_USAGE, &err, "recipe.yaml:2", "eval_data", "rewards", NULL);
    temp_folder_remove(folder);
}

/* A map from task to something that names a task of no row is accepted, and said to be idle. */
static void tasks_that_no_row_has(void **state)
{
    (void)state;
    char *folder = temp_folder(), path[600];
    struct err err = {0};
    struct train_options o;
    struct setup s = {.o = &o, .has_data = true};
    struct str text = {0};
    recipe *r;
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    write_text(path, TRAIN_RECIPE "max_steps: 1\nsystem_prompt: {push: Seja breve., psuh: Oi.}\n");
    assert_int_equal(train_recipe_load(&r, &o, path, NULL, 0, false, &err), 0);
    assert_int_equal(dataset_open(&s.data, "tests/demo/train.jsonl", &err), 0);
    setup_print_remarks(&text, &s);
    assert_non_null(strstr(str_text(&text), "system_prompt: no row of data or eval_data has task "
                                            "\"psuh\": it has no effect"));
    assert_null(strstr(str_text(&text), "\"push\""));
    str_free(&text);
    dataset_close(&s.data);
    recipe_free(r);
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_is_allocated),
        cmocka_unit_test(a_budget_is_kept),
        cmocka_unit_test(budgets_choose_different_plans),
        cmocka_unit_test(a_small_budget_gives_the_same_bytes),
        cmocka_unit_test(what_is_not_trained_has_no_gradient),
        cmocka_unit_test(nothing_is_allocated_after_the_first_step),
        cmocka_unit_test(without_eval_steps_first_and_last),
        cmocka_unit_test(tasks_that_no_row_has),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
