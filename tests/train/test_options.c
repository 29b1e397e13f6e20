/* test_options.c: recipes of training: TRL's names and sizes become ours, and whatever a recipe
 * says wrongly is ERR_USAGE with file and line, what was found and what to do. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../support/train_run.h"
#include "base/log.h"
#include "train/schedule.h"

#define BASE                                                                                       \
    "model: m\n"                                                                                   \
    "data: d\n"                                                                                    \
    "rewards: [push]\n"                                                                            \
    "max_steps: 10\n"

/* Loads BASE and `more`, with at most one override. */
static int load(struct train_options *o, recipe **r, const char *text, const char *set,
                struct err *err)
{
    char *folder = temp_folder();
    const char *path = write_text(in_folder(folder, "recipe.yaml"), text);
    int status = train_recipe_load(r, o, path, &set, set ? 1 : 0, false, err);
    temp_folder_remove(folder);
    return status;
}

static void load_ok(struct train_options *o, recipe **r, const char *text)
{
    struct err err;
    if (load(o, r, text, NULL, &err))
        fail_msg("%s: %s\n%s", err.where, err.message, text);
}

static void defaults(void **state)
{
    (void)state;
    struct train_options o;
    recipe *r;
    load_ok(&o, &r, BASE);
    assert_int_equal(o.num_generations, 8);
    assert_int_equal(o.prompts_per_step, 1);
    assert_int_equal(o.num_iterations, 1);
    assert_int_equal(o.loss_type, LOSS_DAPO);
    assert_int_equal(o.scale_rewards, SCALE_GROUP);
    assert_int_equal(o.importance_sampling_level, LEVEL_TOKEN);
    assert_true(o.beta == 0 && o.epsilon == 0.2 && o.epsilon_high == 0.2);
    assert_true(o.use_bias_correction_kl && isnan(o.delta));
    assert_false(o.mask_truncated_completions);
    assert_true(o.temperature == 1 && o.optim.max_grad_norm == 1 && o.optim.weight_decay == 0);
    assert_true(o.max_sampling_logp_difference == 0);
    assert_int_equal(o.optim.lr_scheduler_type, SCHEDULE_LINEAR);
    assert_int_equal(o.lora.r, 16);
    assert_int_equal(o.micro_batch, 0);
    assert_true(o.top_entropy_quantile == 1 && o.soft_overlong_cache == 0 && o.save_minutes == 0);
    assert_true(o.steps_per_generation == 1 && o.dapo_denominator == DAPO_STEP);
    assert_true(o.early_stopping_patience == 0 && o.early_stopping_threshold == 0);
    assert_string_equal(o.metric_for_best_model, "eval/mean_reward");
    assert_int_equal(o.advantage, ADVANTAGE_GRPO);
    assert_int_equal(o.task_sampler, SAMPLER_FIXED);
    assert_int_equal(o.sampler_signal, SIGNAL_NONE);
    assert_false(o.dynamic_sampling);
    recipe_free(r);
}

/* What a sampler watches, and whether it refills, where the recipe is silent and where it is not.
 */
static void samplers(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int kind, signal;
        bool refills;
    } cases[] = {
        {"task_sampler: uniform\n", SAMPLER_UNIFORM, SIGNAL_NONE, false},
        {"task_sampler: proportional\ndynamic_sampling: true\n", SAMPLER_PROPORTIONAL, SIGNAL_NONE,
         true},
        {"task_sampler: dynamic\neval_data: e\neval_steps: 25\n", SAMPLER_DYNAMIC, SIGNAL_EVAL,
         false},
        {"task_sampler: dynamic\nsampler_signal: train_ema\n", SAMPLER_DYNAMIC, SIGNAL_TRAIN_EMA,
         false},
        {"task_sampler: mtgrpo\n", SAMPLER_MTGRPO, SIGNAL_TRAIN_EMA, true},
        {"task_sampler: mtgrpo\ndynamic_sampling: false\n", SAMPLER_MTGRPO, SIGNAL_TRAIN_EMA,
         false},
        {"task_sampler: mtgrpo\nsampler_signal: eval\neval_data: e\neval_steps: 50\n"
         "task_sampler_kwargs: {lambda: 1.2, min_weight: 0.05}\n",
         SAMPLER_MTGRPO, SIGNAL_EVAL, true},
        /* the recipe of record */
        {"task_sampler: dynamic\neval_data: e\neval_steps: 50\nadvantage: gdpo_flat\n"
         "scale_rewards: none\ntask_weights: {a: 0.4, b: 0.6}\n",
         SAMPLER_DYNAMIC, SIGNAL_EVAL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct train_options o;
        recipe *r;
        char text[800];
        snprintf(text, sizeof text, BASE "%s", cases[i].more);
        load_ok(&o, &r, text);
        assert_int_equal(o.task_sampler, cases[i].kind);
        assert_int_equal(o.sampler_signal, cases[i].signal);
        assert_int_equal(o.dynamic_sampling, cases[i].refills);
        recipe_free(r);
    }
}

/* The neutral values may be written; others when asked for by name. */
static void truncated_sampling(void **state)
{
    (void)state;
    struct train_options o;
    recipe *r;
    load_ok(&o, &r, BASE);
    assert_true(o.top_k == 0 && o.top_p == 1 && o.min_p == 0 && o.repetition_penalty == 1);
    assert_false(o.allow_truncated_sampling);
    assert_int_equal(o.stop_strings.count, 0);
    recipe_free(r);
    load_ok(&o, &r, BASE "top_k: 0\ntop_p: 1\nmin_p: 0\nrepetition_penalty: 1.0\n");
    recipe_free(r);
    load_ok(&o, &r,
            BASE "top_k: 20\ntop_p: 0.9\nmin_p: 0.05\nallow_truncated_sampling: true\n"
                 "stop_strings: [\"\\n\\n\", Fim]\n");
    assert_true(o.top_k == 20 && o.top_p == 0.9 && o.min_p == 0.05);
    assert_int_equal(o.stop_strings.count, 2);
    assert_string_equal(o.stop_strings.items[0], "\n\n");
    recipe_free(r);
    load_ok(&o, &r, BASE "stop_strings: Fim\n");
    assert_int_equal(o.stop_strings.count, 1);
    recipe_free(r);
}

static void sizes_of_trl(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int prompts, per_group, micro_batch, steps; /* steps: of a generation */
    } cases[] = {
        {"num_generations: 4\nper_device_train_batch_size: 8\n", 2, 4, 8, 1},
        {"num_generations: 4\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 6\n", 3,
         4, 2, 1},
        {"num_generations: 8\ngradient_accumulation_steps: 3\n", 3, 8, 8,
         1}, /* TRL's default is 8 */
        {"num_generations: 16\ngeneration_batch_size: 32\n", 2, 16, 0, 1},
        {"num_generations: 4\nper_device_train_batch_size: 8\ngeneration_batch_size: 8\n", 2, 4, 8,
         1},
        {"num_generations: 4\nper_device_train_batch_size: 8\nprompts_per_step: 2\n", 2, 4, 8, 1},
        {"num_generations: 4\nper_device_train_batch_size: 8\nmicro_batch: 3\n", 2, 4, 3, 1},
        /* several steps a generation: in TRL's words steps_per_generation are micro-batches */
        {"num_generations: 4\nprompts_per_step: 3\nsteps_per_generation: 5\n", 3, 4, 0, 5},
        {"num_generations: 4\nper_device_train_batch_size: 8\nsteps_per_generation: 3\n", 2, 4, 8,
         3},
        {"num_generations: 4\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 6\n"
         "steps_per_generation: 6\n",
         3, 4, 2, 1},
        {"num_generations: 4\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 6\n"
         "steps_per_generation: 24\n",
         3, 4, 2, 4},
        {"num_generations: 4\nper_device_train_batch_size: 8\ngeneration_batch_size: 24\n", 2, 4, 8,
         3},
        {"num_generations: 4\nper_device_train_batch_size: 4\ngradient_accumulation_steps: 2\n"
         "generation_batch_size: 32\n",
         2, 4, 4, 4},
        {"num_generations: 4\nprompts_per_step: 2\ngeneration_batch_size: 16\n", 2, 4, 0, 2},
        {"num_generations: 4\nsteps_per_generation: 2\ngeneration_batch_size: 24\n", 3, 4, 0, 2},
        {"num_generations: 4\nprompts_per_step: 2\nsteps_per_generation: 2\n"
         "generation_batch_size: 16\n",
         2, 4, 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct train_options o;
        recipe *r;
        char text[600];
        snprintf(text, sizeof text, BASE "%s", cases[i].more);
        load_ok(&o, &r, text);
        assert_int_equal(o.prompts_per_step, cases[i].prompts);
        assert_int_equal(o.num_generations, cases[i].per_group);
        assert_int_equal(o.micro_batch, cases[i].micro_batch);
        assert_int_equal(o.steps_per_generation, cases[i].steps);
        assert_int_equal(train_generation_steps(&o), o.steps_per_generation);
        recipe_free(r);
    }
}

static void warm_up(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        double ratio, steps;
    } cases[] = {
        {"", 0, 0},
        {"warmup_ratio: 0.05\n", 0.05, 0},
        {"warmup_steps: 7\n", 0, 7},
        {"warmup_steps: 0.05\n", 0.05, 0},
        {"warmup_steps: 0.05\nwarmup_ratio: 0.05\n", 0.05, 0},
        {"warmup_steps: 1\n", 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct train_options o;
        recipe *r;
        char text[600];
        snprintf(text, sizeof text, BASE "%s", cases[i].more);
        load_ok(&o, &r, text);
        assert_true(o.optim.warmup_ratio == cases[i].ratio);
        assert_true(o.optim.warmup_steps == cases[i].steps);
        recipe_free(r);
    }
}

static void floor_of_the_schedule(void **state)
{
    (void)state;
    static const struct {
        const char *kwargs;
        double rate;
    } cases[] = {
        {"{min_lr: 5e-7}", 5e-7 / 1e-6}, {"{min_lr_rate: 0.25}", 0.25}, {"{min_lr: 0}", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct train_options o;
        recipe *r;
        char text[600];
        snprintf(text, sizeof text,
                 BASE "lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: %s\n",
                 cases[i].kwargs);
        load_ok(&o, &r, text);
        assert_int_equal(o.optim.lr_scheduler_type, SCHEDULE_COSINE_WITH_MIN_LR);
        assert_true(optim_min_lr_rate(&o.optim) == cases[i].rate);
        recipe_free(r);
    }
}

static void aliases_and_sides(void **state)
{
    (void)state;
    struct train_options o;
    recipe *r;
    load_ok(&o, &r,
            BASE "epsilon: 0.3\nlora: {r: 8, alpha: 4, dropout: 0, target_modules: [q_proj]}\n");
    assert_true(o.epsilon_high == 0.3);
    assert_true(o.lora.lora_alpha == 4);
    struct peft_config c;
    struct err err;
    assert_int_equal(train_peft_config(&c, &o, &err), 0);
    assert_true(peft_scale(&c) == 0.5f);
    for (int p = 0; p < N_PROJECTIONS; p++)
        assert_int_equal(c.targets[p], strcmp(projection_names[p], "q_proj") == 0);
    recipe_free(r);
    load_ok(&o, &r, BASE "epsilon: 0.3\nepsilon_high: 0.4\ndelta: 1.5\n");
    assert_true(o.epsilon_high == 0.4 && o.delta == 1.5);
    assert_int_equal(train_peft_config(&c, &o, &err), 0);
    for (int p = 0; p < N_PROJECTIONS; p++)
        assert_true(c.targets[p]);
    recipe_free(r);
    load_ok(&o, &r, BASE "lora: {r: 16, lora_alpha: 32, use_rslora: true}\n");
    assert_int_equal(train_peft_config(&c, &o, &err), 0);
    assert_true(peft_scale(&c) == 8);
    recipe_free(r);
}

/* Line 5 is the first of `more`. */
static const struct {
    const char *more, *place, *what;
} wrong[] = {
    {"temprature: 1\n", "recipe.yaml:5", "did you mean \"temperature\""},
    {"lora: {rank: 3}\n", "recipe.yaml:5", "\"lora.rank\""},
    {"lora: {lora_alpa: 3}\n", "recipe.yaml:5", "\"lora.lora_alpha\""},
    {"lora_alpha: 3\n", "recipe.yaml:5", "\"lora.lora_alpha\""},
    {"num_generations: four\n", "recipe.yaml:5", "num_generations"},
    {"num_generations: 8.0\n", "recipe.yaml:5", "num_generations"},
    {"num_generations: 1\n", "recipe.yaml:5", "num_generations"},
    {"beta: -1\n", "recipe.yaml:5", "beta"},
    {"mask_truncated_completions: 3\n", "recipe.yaml:5", "mask_truncated_completions"},
    {"lr_scheduler_type: cosine_with_min_lr\n", "recipe.yaml:5", "needs min_lr or min_lr_rate"},
    {"lr_scheduler_type: cosine\nlr_scheduler_kwargs: {min_lr: 0}\n", "recipe.yaml:6",
     "no effect with lr_scheduler_type cosine"},
    {"lr_scheduler_kwargs:\n  min_lr_rate: 0.1\n", "recipe.yaml:6: lr_scheduler_kwargs.min_lr_rate",
     "no effect with lr_scheduler_type linear"},
    {"lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 0, min_lr_rate: 0}\n",
     "recipe.yaml:6: lr_scheduler_kwargs.min_lr", "both given"},
    {"lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1e-4}\n",
     "recipe.yaml:6", "above learning_rate 1e-06"},
    {"lr_scheduler_kwargs: {min_lr_rate: 1.5}\n", "recipe.yaml:5", "min_lr_rate"},
    {"lr_scheduler_kwargs: {num_cycles: 2}\n", "recipe.yaml:5", "num_cycles"},
    {"importance_sampling_level: word\n", "recipe.yaml:5", "sequence"},
    {"delta: 0\n", "recipe.yaml:5", "delta"},
    {"beta: .nan\n", "recipe.yaml:5", "beta"},
    {"temperature: 0\n", "recipe.yaml:5", "temperature"},
    {"use_bias_correction_kl: 3\n", "recipe.yaml:5", "use_bias_correction_kl"},
    {"use_bias_correction_kl: false\n", "recipe.yaml:5: use_bias_correction_kl",
     "no effect with beta 0"},
    {"loss_type: grop\n", "recipe.yaml:5", "grpo"},
    {"loss_type: vespo\n", "recipe.yaml:5", "vespo"},
    {"loss_type: cispo\n", "epsilon_high", "add \"epsilon_high: 5.0\""},
    {"loss_type: cispo\nepsilon_high: 5\nepsilon: 0.2\n", "recipe.yaml:7: epsilon",
     "remove the line \"epsilon\""},
    {"loss_type: cispo\nepsilon_high: 5\ndelta: 4\n", "recipe.yaml:7: delta", "no effect"},
    {"beta: 0\nbeta: 1\n", "recipe.yaml:6", "beta"},
    {"beta: [1]\n", "recipe.yaml:5", "beta"},
    {"lora: 3\n", "recipe.yaml:5", "lora"},
    {"lora: {lora_dropout: 0.1}\n", "recipe.yaml:5", "must be 0"},
    {"lora:\n  r: 4\n  dropout: 0.05\n", "recipe.yaml:7", "log-probability is not the trainer's"},
    {"lora: {target_modules: [q_proj, qproj]}\n", "recipe.yaml:5: lora.target_modules",
     "\"qproj\""},
    {"lora: {target_modules: []}\n", "recipe.yaml:5: lora.target_modules", "empty"},
    {"per_device_train_batch_size: 3\n", "recipe.yaml:5", "no multiple of num_generations 8"},
    {"generation_batch_size: 12\n", "recipe.yaml:5", "no multiple of num_generations 8"},
    {"per_device_train_batch_size: 16\nprompts_per_step: 3\n", "recipe.yaml:5",
     "2 prompts a step, prompts_per_step is 3"},
    {"per_device_train_batch_size: 16\ngeneration_batch_size: 8\n", "recipe.yaml:6",
     "8 completions are no multiple of a step's 16"},
    {"prompts_per_step: 2\ngeneration_batch_size: 24\n", "recipe.yaml:6",
     "no multiple of a step's"},
    {"generation_batch_size: 24\nsteps_per_generation: 2\n", "recipe.yaml:5",
     "no multiple of num_generations * steps_per_generation 16"},
    {"prompts_per_step: 2\nsteps_per_generation: 2\ngeneration_batch_size: 48\n", "recipe.yaml:7",
     "makes 3 steps a generation, steps_per_generation says 2"},
    {"gradient_accumulation_steps: 4\nsteps_per_generation: 6\n", "recipe.yaml:6",
     "no multiple of gradient_accumulation_steps 4"},
    {"gradient_accumulation_steps: 4\nsteps_per_generation: 2\n", "recipe.yaml:6",
     "whole optimizer"},
    {"prompts_per_step: 65536\nnum_generations: 4096\nsteps_per_generation: 2\n", "recipe.yaml:7",
     "more completions than can be counted"},
    {"steps_per_generation: 0\n", "recipe.yaml:5", "steps_per_generation"},
    {"dapo_denominator: micro\n", "recipe.yaml:5", "generation"},
    {"loss_type: bnpo\ndapo_denominator: step\n", "recipe.yaml:6", "no effect with loss_type bnpo"},
    {"top_entropy_quantile: 1.1\n", "recipe.yaml:5", "top_entropy_quantile"},
    {"top_entropy_quantile: -0.1\n", "recipe.yaml:5", "top_entropy_quantile"},
    {"soft_overlong_cache: 513\n", "recipe.yaml:5", "more than the 512 tokens"},
    {"save_minutes: -1\n", "recipe.yaml:5", "save_minutes"},
    {"early_stopping_patience: 2\n", "recipe.yaml:5", "eval_data is not"},
    {"eval_data: e\nearly_stopping_patience: 2\n", "recipe.yaml:6", "without eval_steps"},
    {"eval_data: e\neval_steps: 5\nearly_stopping_threshold: 0.1\n", "recipe.yaml:7",
     "without early_stopping_patience"},
    {"per_device_train_batch_size: 0\n", "recipe.yaml:5", "is 0"},
    {"gradient_accumulation_steps: 0\n", "recipe.yaml:5", "is 0"},
    {"generation_batch_size: 0\n", "recipe.yaml:5", "is 0"},
    /* 2^33 completions are 2^32 prompts, which an int would hold as 0 */
    {"per_device_train_batch_size: 16777216\ngradient_accumulation_steps: 512\n"
     "num_generations: 2\n",
     "recipe.yaml:5", "more completions than can be counted"},
    {"warmup_steps: 2.5\n", "recipe.yaml:5", "whole number"},
    {"warmup_steps: 5\nwarmup_ratio: 0.1\n", "recipe.yaml:5", "warmup_ratio"},
    {"warmup_steps: 0.2\nwarmup_ratio: 0.1\n", "recipe.yaml:5", "warmup_ratio"},
    {"warmup_ratio: 0.1\nlr_scheduler_type: constant\n", "recipe.yaml:5", "no effect"},
    {"lr_scheduler_type: constant\nwarmup_steps: 3\n", "recipe.yaml:6", "no effect"},
    {"eval_temperature: 1\n", "recipe.yaml:5", "eval_data is not"},
    {"eval_num_generations: 2\n", "recipe.yaml:5", "eval_data is not"},
    {"metric_for_best_model: eval/push\n", "recipe.yaml:5", "eval_data is not"},
    {"num_train_epochs: 2\n", "recipe.yaml:5", "max_steps"},
    {"eval_steps: 5\n", "recipe.yaml:5", "eval_data"},
    {"ref_adapter: x\n", "recipe.yaml:5", "beta 0"},
    {"eval_data: e\neval_steps: 5\neval_num_generations: 4\n", "recipe.yaml:7", "eval_temperature"},
    {"top_k: 20\n", "recipe.yaml:5: top_k", "allow_truncated_sampling: true"},
    {"top_p: 0.95\n", "recipe.yaml:5: top_p", "the gradient taken is that of the whole one"},
    {"temperature: 0.7\nmin_p: 0.1\n", "recipe.yaml:6: min_p", "allow_truncated_sampling: true"},
    {"top_p: 1.01\nallow_truncated_sampling: true\n", "recipe.yaml:5", "top_p"},
    {"top_k: -1\nallow_truncated_sampling: true\n", "recipe.yaml:5", "top_k"},
    {"top_p: 1.0\nallow_truncated_sampling: true\n", "recipe.yaml:6: allow_truncated_sampling",
     "has no effect"},
    {"repetition_penalty: 1.1\n", "recipe.yaml:5: repetition_penalty", "must be 1 in training"},
    {"advantage: gae\n", "recipe.yaml:5", "gdpo_flat"},
    {"task_sampler: weighted\n", "recipe.yaml:5", "mtgrpo"},
    {"update_interval: 5\n", "recipe.yaml:5", "neither task_weights nor task_sampler"},
    {"task_sampler: uniform\ntask_weights: {a: 1, b: 1}\n", "recipe.yaml:6: task_weights",
     "say different things"},
    {"task_sampler: proportional\nsampler_signal: eval\n", "recipe.yaml:6", "no effect"},
    {"sampler_signal: train_ema\n", "recipe.yaml:5", "no effect"},
    {"task_sampler: dynamic\n", "recipe.yaml:5: task_sampler", "sampler_signal: train_ema"},
    {"task_sampler: dynamic\neval_data: e\n", "recipe.yaml:5", "no eval_steps"},
    {"task_sampler: dynamic\neval_data: e\neval_steps: 20\n", "update_interval",
     "50 steps, no multiple of eval_steps 20"},
    {"task_sampler: mtgrpo\nnum_iterations: 3\n", "update_interval", "no multiple of the 3"},
    {"task_sampler: mtgrpo\nsampler_signal: eval\n", "recipe.yaml:6: sampler_signal",
     "no eval_data"},
    {"task_sampler_kwargs: {learning_rate: 1}\n",
     "recipe.yaml:5: task_sampler_kwargs.learning_rate", "without task_sampler mtgrpo"},
    {"task_sampler: mtgrpo\nsampler_signal: eval\neval_data: e\neval_steps: 50\n"
     "task_sampler_kwargs:\n  ema_decay: 0.5\n",
     "recipe.yaml:10: task_sampler_kwargs.ema_decay", "without sampler_signal train_ema"},
    {"task_sampler: mtgrpo\ntask_sampler_kwargs: {min_weight: 0.7}\n",
     "recipe.yaml:6: task_sampler_kwargs.min_weight", "more than max_weight 0.6"},
    {"task_sampler: mtgrpo\ntask_sampler_kwargs: {beta: 1}\n", "recipe.yaml:6", "beta"},
    {"dynamic_sampling_max_rounds: 3\n", "recipe.yaml:5", "without dynamic_sampling"},
    {"dynamic_sampling: true\ndynamic_sampling_max_rounds: 0\n", "recipe.yaml:6",
     "dynamic_sampling_max_rounds"},
    {"repetition_penalty: 1.1\ntop_k: 5\nallow_truncated_sampling: true\n",
     "recipe.yaml:5: repetition_penalty", "does not see"},
    {"baseline: V4.1\n", "recipe.yaml:5: baseline", "is text; expected a map"},
    {"baseline: [{name: V4.1}]\n", "recipe.yaml:5: baseline", "is a list; expected a map"},
    {"baseline: {name: V4.1, eval/mean_reward: high}\n", "recipe.yaml:5: baseline",
     "eval/mean_reward is text; expected a number"},
    {"baseline: {name: [V4.1]}\n", "recipe.yaml:5: baseline", "name is a list"},
    {"baseline: {mean_reward: 0.6}\n", "recipe.yaml:5: baseline", "a key \"mean_reward\""},
    {"history: V1\n", "recipe.yaml:5: history", "is text; expected a list of maps"},
    {"history: {version: V1}\n", "recipe.yaml:5: history", "is a map; expected a list"},
    {"history: [{version: V1}, V2]\n", "recipe.yaml:5: history", "entry 2 is text"},
    {"history: [{version: V1, fix: [a, b]}]\n", "recipe.yaml:5: history",
     "entry 1: fix is a list; expected text"},
    {"history: [{version: V1}, {}]\n", "recipe.yaml:5: history", "entry 2 is empty"},
    {"history: [{a: 1, b: 1, c: 1, d: 1}, {e: 1, f: 1, g: 1, h: 1, i: 1}]\n",
     "recipe.yaml:5: history", "more than 8 different keys by entry 2"},
};

/* What the report can read is taken: a number as a version, empty lists. */
static void what_came_before(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "baseline: {name: V4.1, eval/mean_reward: 0.645, eval/sql_qa: 1}\n",
        "baseline: {name: 4.1}\n", "baseline: {}\nhistory: []\n",
        "history: [{version: 1, failure: none, fix: null, contribution: 0.5}, {version: V2}]\n",
        "history: [{a: 1, b: 1, c: 1, d: 1}, {e: 1, f: 1, g: 1, h: 1, a: 2}]\n"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct train_options o;
        recipe *r;
        char text[600];
        snprintf(text, sizeof text, BASE "%s", fine[i]);
        load_ok(&o, &r, text);
        recipe_free(r);
    }
}

static void mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct train_options o;
        recipe *r;
        struct err err = {0};
        char text[600];
        snprintf(text, sizeof text, BASE "%s", wrong[i].more);
        int status = load(&o, &r, text, NULL, &err);
        if (!status)
            fail_msg("taken: %s", wrong[i].more);
        expect_error(status, ERR_USAGE, &err, wrong[i].place, wrong[i].what, NULL);
        assert_null(r);
    }
}

static void what_must_be_there(void **state)
{
    (void)state;
    struct train_options o;
    recipe *r;
    struct err err;
    expect_error(load(&o, &r, "data: d\nrewards: [push]\nmax_steps: 1\n", NULL, &err), ERR_USAGE,
                 &err, "recipe.yaml: model", "required", NULL);
    expect_error(load(&o, &r, "model: m\nrewards: [push]\nmax_steps: 1\n", NULL, &err), ERR_USAGE,
                 &err, "recipe.yaml: data", "required", NULL);
    expect_error(load(&o, &r, "model: m\ndata: d\nmax_steps: 1\n", NULL, &err), ERR_USAGE, &err,
                 "recipe.yaml: rewards", "required", NULL);
    expect_error(load(&o, &r, "model: m\ndata: d\nrewards: [push]\n", NULL, &err), ERR_USAGE, &err,
                 "recipe.yaml: max_steps", "num_train_epochs", NULL);
    expect_error(load(&o, &r, BASE, "max_steps=x", &err), ERR_USAGE, &err, "--set max_steps=x",
                 NULL);
    expect_error(load(&o, &r, BASE, "lora.lora_dropout=0.5", &err), ERR_USAGE, &err,
                 "--set lora.lora_dropout=0.5", "must be 0", NULL);
    expect_error(train_recipe_load(&r, &o, "no/such/recipe.yaml", NULL, 0, false, &err), ERR_USAGE,
                 &err, "no/such/recipe.yaml", NULL);
}

/* Every key that is known but not built yet says so, with a value as good as any. */
static void reserved_keys(void **state)
{
    (void)state;
    assert_true(train_n_reserved >= 3);
    for (size_t i = 0; i < train_n_reserved; i++) {
        struct train_options o;
        recipe *r;
        struct err err;
        char text[600];
        snprintf(text, sizeof text, BASE "%s: 1\n", train_reserved[i].name);
        expect_error(load(&o, &r, text, NULL, &err), ERR_USAGE, &err, "recipe.yaml:5",
                     train_reserved[i].name, "not built yet", NULL);
    }
}

/* Said when the rewards are made, with data at hand: still the recipe's mistake. */
static void rewards_of_a_recipe(void **state)
{
    (void)state;
    static const struct {
        const char *rewards, *what, *more;
    } cases[] = {
        {"[pushh]", "pushh", "push"},
        {"{sql_qa: [sql_qa_v2]}", "no reward with a weight applies", "task \"push\""},
        {"[{name: push, weight: 0}]", "no reward with a weight applies", "line 1"},
        {"[{name: push, wieght: 1}]", "wieght", "known"},
        {"[{name: regex}]", "pattern", "regex"},
        {"[]", "names no reward", "rewards"},
        {"[3]", "expected a name", "rewards"},
    };
    char *folder = temp_folder(), text[1000], path[600], run[600];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err;
        snprintf(text, sizeof text,
                 "model: tests/demo/model\ndata: tests/demo/train.jsonl\nmax_steps: 1\n"
                 "rewards: %s\n",
                 cases[i].rewards);
        write_text(path, text);
        expect_error(train_run(&(struct train_run){.recipe = path, .run = run}, NULL, &err),
                     ERR_USAGE, &err, "recipe.yaml:4: rewards", cases[i].what, cases[i].more, NULL);
        assert_int_not_equal(access(run, 0), 0); /* nothing was made */
    }
    temp_folder_remove(folder);
}

int main(void)
{
    log_set_quiet(true);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(samplers),
        cmocka_unit_test(truncated_sampling),
        cmocka_unit_test(sizes_of_trl),
        cmocka_unit_test(warm_up),
        cmocka_unit_test(aliases_and_sides),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(what_came_before),
        cmocka_unit_test(what_must_be_there),
        cmocka_unit_test(floor_of_the_schedule),
        cmocka_unit_test(reserved_keys),
        cmocka_unit_test(rewards_of_a_recipe),
    };
    return cmocka_run_group_tests_name("train options", tests, NULL, NULL);
}
