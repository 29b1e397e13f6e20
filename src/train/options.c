/* options.c: the table of a training recipe's keys; see options.h. */
#include "train/options.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"

static const char *const precision_names[] = {"bf16", "f32", NULL};
static const char *const dapo_denominator_names[] = {"step", "generation", NULL};
static const char *const audit_rater_names[] = {"human", "simulated", NULL};

#define TOP(field) offsetof(struct train_options, field)
#define LORA(field) offsetof(struct lora_options, field)
#define SAMPLER(field) offsetof(struct task_sampler_settings, field)

/* name, aliases, type, offset, min, max, choices, default, help */
static const struct option top_options[] = {
    {"model", NULL, OPTION_STRING, TOP(model), 0, 0, NULL, NULL,
     "Hugging Face model folder: config.json, *.safetensors, tokenizer.json."},
    {"data", NULL, OPTION_STRING, TOP(data), 0, 0, NULL, NULL, "Training rows, JSONL."},
    {"eval_data", NULL, OPTION_STRING, TOP(eval_data), 0, 0, NULL, NULL,
     "Fixed evaluation rows, JSONL; none of them may be in `data`."},
    {"rewards", NULL, OPTION_NODE, TOP(rewards), 0, 0, NULL, NULL,
     "A list of rewards (names or {name, weight, params}), or a map from task to such a list. Your "
     "own: {command: [program, ...], ...} or {library: FILE, ...} (docs/REWARDS_PROTOCOL.md)."},
    {"task_weights", NULL, OPTION_NODE, TOP(task_weights), 0, 0, NULL, NULL,
     "Map from task to its share of the groups, such as {extraction: 0.4, push: 0.6}; each task "
     "then "
     "has its own deck. Absent: all rows in one deck."},
    {"task_sampler", NULL, OPTION_CHOICE, TOP(task_sampler), 0, 0, task_sampler_names, NULL,
     "Each task has its own deck, and a share of the groups that is 1/K (uniform), as its rows "
     "(proportional), or changes: dynamic raises tasks whose reward stands still, mtgrpo those "
     "that "
     "are bad and do not improve. task_weights are then where it starts (absent: 1/K). Absent: "
     "task_weights stay as they are."},
    {"sampler_signal", NULL, OPTION_CHOICE, TOP(sampler_signal), 0, 0, sampler_signal_names, NULL,
     "What task_sampler dynamic (default eval) and mtgrpo (default train_ema) watch: a task's mean "
     "reward in evaluations, or a moving average of it in training."},
    {"update_interval", NULL, OPTION_INT, TOP(update_interval), 1, 1 << 20, NULL, "50",
     "With task_weights or task_sampler: steps whose tasks are planned together, after which the "
     "sampler changes the weights; every task comes at least once where there is room (mtgrpo: as "
     "often as its weight says, on average)."},
    {"classifier", NULL, OPTION_NODE, TOP(classifier), 0, 0, NULL, NULL,
     "Tasks of rows that name none: a list of rules {task, any: [words], all: [words], regex}, the "
     "first that the user messages satisfy; {default: TASK} may end it. Else such a row is an "
     "error."},
    {"init_adapter", NULL, OPTION_STRING, TOP(init_adapter), 0, 0, NULL, NULL,
     "PEFT adapter folder to start from; its shape must be the recipe's."},
    {"ref_adapter", NULL, OPTION_STRING, TOP(ref_adapter), 0, 0, NULL, NULL,
     "PEFT adapter folder of the KL reference; without it the reference is the bare base model."},
    {"chat_template", NULL, OPTION_STRING, TOP(chat_template), 0, 0, NULL, NULL,
     "A chat template instead of the model's own: chatml, smollm2, qwen2.5, qwen3, llama3, "
     "mistral, "
     "zephyr, or the path of a .jinja file."},
    {"chat_template_kwargs", NULL, OPTION_NODE, TOP(chat_template_kwargs), 0, 0, NULL, NULL,
     "Variables of the chat template, e.g. {enable_thinking: false}."},
    {"system_prompt", NULL, OPTION_NODE, TOP(system_prompt), 0, 0, NULL, NULL,
     "System message put before the messages of rows that have none: a text, or a map from task to "
     "text. A row that has a system message keeps its own."},
    {"precision", NULL, OPTION_CHOICE, TOP(precision), 0, 0, precision_names, "bf16",
     "bf16: products of bf16 inputs with f32 sums; f32: everything in f32."},

    {"num_generations", NULL, OPTION_INT, TOP(num_generations), 2, 4096, NULL, "8",
     "Completions of a prompt: the group, G."},
    {"prompts_per_step", NULL, OPTION_INT, TOP(prompts_per_step), 1, 65536, NULL, "1",
     "Groups of an optimizer step."},
    {"max_completion_length", NULL, OPTION_INT, TOP(max_completion_length), 1, 1 << 20, NULL, "512",
     "Tokens of a completion at most, EOS included."},
    {"max_prompt_length", NULL, OPTION_INT, TOP(max_prompt_length), 0, 1 << 20, NULL, "0",
     "Longest prompt in tokens; a longer one is an error. 0: the longest of the data."},
    {"temperature", NULL, OPTION_FLOAT, TOP(temperature), 1e-6, 1e6, NULL, "1.0",
     "Sampling temperature; log-probabilities are of the tempered distribution."},

    {"top_k", NULL, OPTION_INT, TOP(top_k), 0, 1 << 30, NULL, "0",
     "Sample from the k most probable tokens; 0: from all. Needs allow_truncated_sampling."},
    {"top_p", NULL, OPTION_FLOAT, TOP(top_p), 0, 1, NULL, "1.0",
     "Sample from the fewest most probable tokens that hold this much; needs "
     "allow_truncated_sampling."},
    {"min_p", NULL, OPTION_FLOAT, TOP(min_p), 0, 1, NULL, "0.0",
     "Sample from tokens at least this probable, as a share of the most probable one; needs "
     "allow_truncated_sampling."},
    {"repetition_penalty", NULL, OPTION_FLOAT, TOP(repetition_penalty), 0, 1e6, NULL, "1.0",
     "Must be 1: the loss knows no policy whose probabilities depend on what was said."},
    {"allow_truncated_sampling", NULL, OPTION_BOOL, TOP(allow_truncated_sampling), 0, 0, NULL,
     "false",
     "Train on completions from top_k, top_p or min_p although the gradient is that of the whole "
     "distribution; sampling/truncation_logp_difference says how far apart they are."},
    {"stop_strings", NULL, OPTION_STRINGS, TOP(stop_strings), 0, 0, NULL, NULL,
     "Texts that end a completion, as its EOS does; the token that completes one stays in it."},

    {"loss_type", NULL, OPTION_CHOICE, TOP(loss_type), 0, 0, loss_type_names, "dapo",
     "How token losses are averaged; cispo: as dapo, each weighted by its clipped ratio."},
    {"advantage", NULL, OPTION_CHOICE, TOP(advantage), 0, 0, advantage_names, "grpo",
     "grpo: reward minus the group's mean, scaled as scale_rewards says; gdpo: each component of "
     "the rewards normalised in its group, their weighted sum over the batch; gdpo_flat: the "
     "reference experiment's variant, tasks as components; loo: reward minus the mean of the "
     "others. Only grpo heeds scale_rewards."},
    {"scale_rewards", NULL, OPTION_CHOICE, TOP(scale_rewards), 0, 0, scale_rewards_names, "group",
     "What advantages of grpo are divided by."},
    {"dynamic_sampling", NULL, OPTION_BOOL, TOP(dynamic_sampling), 0, 0, NULL, "false",
     "Groups whose rewards are all equal (gdpo: each component) are replaced by completions of "
     "their task's next prompt; true where task_sampler mtgrpo is given and this key is not."},
    {"dynamic_sampling_max_rounds", NULL, OPTION_INT, TOP(dynamic_sampling_max_rounds), 1, 1000,
     NULL, "2",
     "Times a step refills such groups; what then has no signal stays as it is. Each round costs "
     "at most the rollout of a step."},
    {"epsilon", NULL, OPTION_FLOAT, TOP(epsilon), 0, 1e6, NULL, "0.2",
     "The ratio is clipped below at 1 - epsilon."},
    {"epsilon_high", NULL, OPTION_FLOAT, TOP(epsilon_high), 0, 1e6, NULL, NULL,
     "The ratio is clipped above at 1 + epsilon_high; absent: epsilon. cispo: the importance "
     "weight is at most epsilon_high, which must be given (5.0 is usual)."},
    {"delta", NULL, OPTION_FLOAT, TOP(delta), 1e-6, 1e6, NULL, NULL,
     "Two-sided clipping: the unclipped ratio is at most delta, better above 1 + epsilon_high; "
     "absent: no bound."},
    {"importance_sampling_level", NULL, OPTION_CHOICE, TOP(importance_sampling_level), 0, 0,
     sampling_level_names, "token",
     "What a ratio is of: each token, or the whole sequence (GSPO, which goes with loss_type "
     "grpo)."},
    {"beta", NULL, OPTION_FLOAT, TOP(beta), 0, 1e6, NULL, "0.0",
     "Weight of the KL divergence from the reference; 0 computes no reference."},
    {"use_bias_correction_kl", NULL, OPTION_BOOL, TOP(use_bias_correction_kl), 0, 0, NULL, "true",
     "The KL term is multiplied by the ratio and differentiated through it."},
    {"mask_truncated_completions", NULL, OPTION_BOOL, TOP(mask_truncated_completions), 0, 0, NULL,
     "false", "Completions that the length limit cut add nothing to the loss."},
    {"num_iterations", NULL, OPTION_INT, TOP(num_iterations), 1, 1024, NULL, "1",
     "Optimizer steps on the same completions."},
    {"steps_per_generation", NULL, OPTION_INT, TOP(steps_per_generation), 1, 1 << 16, NULL, "1",
     "Optimizer steps that share a generation, each with its own prompts_per_step * "
     "num_generations "
     "of the shuffled completions; beside gradient_accumulation_steps it counts micro-batches, as "
     "in TRL."},
    {"dapo_denominator", NULL, OPTION_CHOICE, TOP(dapo_denominator), 0, 0, dapo_denominator_names,
     "step",
     "Tokens that dapo and cispo divide by: the optimizer step's own, or, as in TRL, the "
     "generation's over steps_per_generation."},
    {"top_entropy_quantile", NULL, OPTION_FLOAT, TOP(top_entropy_quantile), 0, 1, NULL, "1.0",
     "Only this share of a step's tokens, those of the highest entropy, carry the policy loss; "
     "below 1 it costs a forward pass a step."},
    {"soft_overlong_cache", NULL, OPTION_INT, TOP(soft_overlong_cache), 0, 1 << 20, NULL, "0",
     "Soft overlong punishment, added to the training reward: 0 down to -1 over the last so many "
     "tokens before max_completion_length; 0: none."},

    {"learning_rate", NULL, OPTION_FLOAT, TOP(optim.learning_rate), 0, 1e3, NULL, "1e-6",
     "Base learning rate."},

    {"eval_steps", NULL, OPTION_INT, TOP(eval_steps), 0, 1 << 30, NULL, "0",
     "With eval_data: evaluate every so many steps besides before the first and after the last; 0: "
     "only these two."},
    {"eval_temperature", NULL, OPTION_FLOAT, TOP(eval_temperature), 0, 1e6, NULL, "0.0",
     "Temperature of evaluations; 0 is greedy."},
    {"eval_num_generations", "num_generations_eval", OPTION_INT, TOP(eval_num_generations), 1, 4096,
     NULL, "1", "Completions of an evaluation row."},
    {"metric_for_best_model", NULL, OPTION_STRING, TOP(metric_for_best_model), 0, 0, NULL,
     "eval/mean_reward", "Metric (higher is better) that decides the best checkpoint."},
    {"save_steps", NULL, OPTION_INT, TOP(save_steps), 1, 1 << 30, NULL, "100",
     "Checkpoint every so many steps; the last step is always saved."},
    {"save_minutes", NULL, OPTION_FLOAT, TOP(save_minutes), 0, 1e6, NULL, "0",
     "Checkpoint also when so many minutes passed since the last one; 0: never. Changes no "
     "result."},
    {"early_stopping_patience", NULL, OPTION_INT, TOP(early_stopping_patience), 0, 1 << 30, NULL,
     "0",
     "Stop after so many evaluations in a row without a better metric_for_best_model; 0: "
     "never."},
    {"early_stopping_threshold", NULL, OPTION_FLOAT, TOP(early_stopping_threshold), 0, 1e30, NULL,
     "0.0", "What an evaluation must exceed the best by to count as better."},
    {"stop_rules", NULL, OPTION_NODE, TOP(stop_rules), 0, 0, NULL, NULL,
     "A list of rules over metrics, each {rule, action: warn or stop (default warn), …}: flat "
     "(metric, after_step, rise), below (metric, value, count, after_step), plateau (metric, "
     "value, "
     "tolerance, count, after_step), still (metric, tolerance, after_step), overfitting (metric, "
     "against, window, after_step). Each fires at most once, and is logged."},
    {"save_total_limit", NULL, OPTION_INT, TOP(save_total_limit), 0, 1 << 30, NULL, "5",
     "Checkpoints to keep, newest first; 0: all. best_checkpoint is not counted, nor is the one "
     "from "
     "before what a stop rule overfitting watches."},

    {"max_sampling_logp_difference", NULL, OPTION_FLOAT, TOP(max_sampling_logp_difference), 0, 1e6,
     NULL, "0.0", "Stop when sampler and trainer log-probabilities differ by more than this."},
    {"max_reward_failure_rate", NULL, OPTION_FLOAT, TOP(max_reward_failure_rate), 0, 1, NULL,
     "0.01", "Stop when a larger share of all rewards so far failed (machinery, not completions)."},
    {"memory_gib", NULL, OPTION_FLOAT, TOP(memory_gib), 0, 1e6, NULL, "0",
     "Memory budget of the plan in GiB; 0: nine tenths of the machine's."},
    {"micro_batch", NULL, OPTION_INT, TOP(micro_batch), 0, 1 << 20, NULL, "0",
     "Completions of a forward and backward pass; 0: the plan chooses. Changes no result."},
    {"console_steps", NULL, OPTION_INT, TOP(console_steps), 0, 1 << 30, NULL, "25",
     "Show one sample on the console every so many steps; 0: never."},
    {"seed", NULL, OPTION_INT, TOP(seed), 0, INT32_MAX, NULL, "42", "Seed of every draw."},

    {"per_device_train_batch_size", NULL, OPTION_INT, TOP(per_device_train_batch_size), 0, 1 << 24,
     NULL, "0", "TRL's micro-batch, in completions; with the next key it gives prompts_per_step."},
    {"gradient_accumulation_steps", NULL, OPTION_INT, TOP(gradient_accumulation_steps), 0, 1 << 24,
     NULL, "0", "TRL's micro-batches of a step."},
    {"generation_batch_size", NULL, OPTION_INT, TOP(generation_batch_size), 0, 1 << 24, NULL, "0",
     "TRL's completions of a generation: prompts_per_step * num_generations * "
     "steps_per_generation."},
};

/* What `grpo run` and its report do around a run. It decides no number of the run itself, so a run
 * may go on when it changes. */
static const struct option protocol_table[] = {
    {"test_data", NULL, OPTION_STRING, TOP(test_data), 0, 0, NULL, NULL,
     "Rows for the headline alone, JSONL: neither trained on, nor selected by, nor audited."},
    {"seeds", NULL, OPTION_INTS, TOP(seeds), 0, INT32_MAX, NULL, NULL,
     "`grpo run`: one run a seed, in place of `seed`; `grpo train` does one, that of `seed`."},
    {"eval_counts", NULL, OPTION_NODE, TOP(eval_counts), 0, 0, NULL, NULL,
     "`grpo run`: map from task to the rows that eval_data must have of it, such as {extraction: "
     "20, "
     "sql_qa: 15}; absent: as many as were there at first."},
    {"audit_min_rho", NULL, OPTION_FLOAT, TOP(audit_min_rho), -1, 1, NULL, "0.70",
     "`grpo audit`: Spearman's rho between human and automatic scores must be above this."},
    {"audit_gate_on_lower_bound", NULL, OPTION_BOOL, TOP(audit_gate_on_lower_bound), 0, 0, NULL,
     "false", "`grpo audit`: the lower end of rho's 95% interval must be above audit_min_rho."},
    {"audit_rater", NULL, OPTION_CHOICE, TOP(audit_rater), 0, 0, audit_rater_names, "human",
     "`grpo run`: who gives the audit's scores: human (by `grpo audit`), or for rows of `grpo data "
     "synth` alone simulated, a program that knows their truth; said wherever it counts."},
    {"baseline", NULL, OPTION_NODE, TOP(baseline), 0, 0, NULL, NULL,
     "For the report: what came before, such as {name: V4.1, eval/mean_reward: 0.645}."},
    {"history", NULL, OPTION_NODE, TOP(history), 0, 0, NULL, NULL,
     "For the report: a list of {version, failure, fix, contribution}."},
};

/* How fast a run is: no number depends on it, so a run may go on when it changes. */
static const struct option speed_table[] = {
    {"speculation", NULL, OPTION_BOOL, TOP(speculation), 0, 0, NULL, "true",
     "Guess tokens from the prompt and from other completions and check several in one pass, where "
     "that is faster. Changes no result."},
};

static const struct option lora_table[] = {
    {"r", NULL, OPTION_INT, LORA(r), 1, 4096, NULL, "16", "Rank."},
    {"lora_alpha", "alpha", OPTION_FLOAT, LORA(lora_alpha), 1e-6, 1e6, NULL, "32",
     "The branch is scaled by lora_alpha / r."},
    {"lora_dropout", "dropout", OPTION_FLOAT, LORA(lora_dropout), 0, 1, NULL, "0.0",
     "Must be 0: with dropout a rollout's log-probability is not the trainer's."},
    {"use_rslora", NULL, OPTION_BOOL, LORA(use_rslora), 0, 0, NULL, "false",
     "Scale by lora_alpha / sqrt(r) instead."},
    {"target_modules", NULL, OPTION_STRINGS, LORA(target_modules), 0, 0, NULL, "all-linear",
     "Adapted projections: any of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; "
     "all-linear: all."},
};

static const struct option sampler_table[] = {
    {"ema_decay", NULL, OPTION_FLOAT, SAMPLER(ema_decay), 0, 0.999999, NULL, "0.9",
     "sampler_signal train_ema: what the average keeps at a step that had prompts of the task."},
    {"learning_rate", NULL, OPTION_FLOAT, SAMPLER(learning_rate), 0, 1e3, NULL, "0.025",
     "mtgrpo: AdamW's rate on the logits of the weights, for one update."},
    {"weight_decay", NULL, OPTION_FLOAT, SAMPLER(weight_decay), 0, 1e3, NULL, "1e-5",
     "mtgrpo: AdamW's weight decay, which draws the weights together."},
    {"tradeoff", "lambda", OPTION_FLOAT, SAMPLER(tradeoff), 0, 1e3, NULL, "0.25",
     "mtgrpo: weight of a task's reward beside its improvement; large values favour the worst "
     "task."},
    {"improvement_clip", NULL, OPTION_FLOAT, SAMPLER(clip), 0, 1e3, NULL, "0.2",
     "mtgrpo: improvements count up to this much, up or down."},
    {"min_weight", NULL, OPTION_FLOAT, SAMPLER(min_weight), 0, 1, NULL, "0.1",
     "mtgrpo: no task's weight falls below this."},
    {"max_weight", NULL, OPTION_FLOAT, SAMPLER(max_weight), 0, 1, NULL, "0.6",
     "mtgrpo: no task's weight rises above this."},
};

const struct recipe_reserved train_reserved[] = {
    {"report_to", "metrics go to metrics.jsonl"},
    {"device", "use the command line's --device"},
    {"threads", "use the command line's --threads"},
};
const size_t train_n_reserved = ARRAY_LENGTH(train_reserved);

void train_option_tables(struct train_options *o, struct option_table tables[TRAIN_OPTION_TABLES])
{
    tables[0] = (struct option_table){NULL, top_options, ARRAY_LENGTH(top_options), o, false};
    optim_option_tables(&o->optim, tables + 1);
    tables[1 + OPTIM_OPTION_TABLES] =
        (struct option_table){"lora", lora_table, ARRAY_LENGTH(lora_table), &o->lora, false};
    tables[2 + OPTIM_OPTION_TABLES] = (struct option_table){
        "task_sampler_kwargs", sampler_table, ARRAY_LENGTH(sampler_table), &o->sampler, false};
    tables[3 + OPTIM_OPTION_TABLES] =
        (struct option_table){NULL, protocol_table, ARRAY_LENGTH(protocol_table), o, true};
    tables[4 + OPTIM_OPTION_TABLES] =
        (struct option_table){NULL, speed_table, ARRAY_LENGTH(speed_table), o, true};
}

/* --- what one key alone cannot say --- */

static int complain(const recipe *r, const char *key, struct err *err, const char *message)
{
    return err_set(err, ERR_USAGE, recipe_where(r, NULL, key), "%s", message);
}

static bool given(const recipe *r, const char *key)
{
    return recipe_given(r, NULL, key, NULL);
}

static int require(const recipe *r, const char *key, const void *value, struct err *err)
{
    return value ? ERR_NONE : complain(r, key, err, "is required but not in the recipe");
}

/* 0 is the default of "not given": written out it would be an option that is ignored. */
static int refuse_zero_sizes(const recipe *r, const struct train_options *o, struct err *err)
{
    const struct {
        const char *key;
        int value;
    } sizes[] = {{"per_device_train_batch_size", o->per_device_train_batch_size},
                 {"gradient_accumulation_steps", o->gradient_accumulation_steps},
                 {"generation_batch_size", o->generation_batch_size}};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        if (given(r, sizes[i].key) && !sizes[i].value)
            return complain(r, sizes[i].key, err, "is 0; give a number of 1 or more, or remove it");
    return ERR_NONE;
}

static int is_multiple(const recipe *r, const char *key, long size, const char *of, long unit,
                       struct err *err)
{
    if (size % unit == 0)
        return ERR_NONE;
    return err_set(err, ERR_USAGE, recipe_where(r, NULL, key),
                   "%ld completions are no multiple of %s %ld", size, of, unit);
}

enum { MOST_COMPLETIONS = 1 << 28 }; /* of a generation */

/* A step of `size` completions. */
static int step_of_trl(const recipe *r, struct train_options *o, const char *key, long size,
                       struct err *err)
{
    int status = is_multiple(r, key, size, "num_generations", o->num_generations, err);
    long prompts = size / o->num_generations;
    if (!status && given(r, "prompts_per_step") && prompts != o->prompts_per_step)
        status = err_set(err, ERR_USAGE, recipe_where(r, NULL, key),
                         "makes %ld prompts a step, prompts_per_step is %d: remove one", prompts,
                         o->prompts_per_step);
    if (!status && prompts > MOST_COMPLETIONS)
        return complain(r, key, err, "makes a step of more completions than can be counted");
    o->prompts_per_step = (int)prompts;
    return status;
}

/* A generation of `size` completions, where the step's size is known or is to be the same. */
static int generation_of_trl(const recipe *r, struct train_options *o, bool step_known,
                             struct err *err)
{
    static const char *const key = "generation_batch_size";
    bool steps_given = given(r, "steps_per_generation");
    int size = o->generation_batch_size, steps = o->steps_per_generation;
    if (!size)
        return ERR_NONE;
    if (!step_known) {
        int status = is_multiple(
            r, key, size, steps > 1 ? "num_generations * steps_per_generation" : "num_generations",
            (long)o->num_generations * steps, err);
        return status ? status : step_of_trl(r, o, key, size / steps, err);
    }
    long step = (long)o->prompts_per_step * o->num_generations;
    int status = is_multiple(r, key, size, "a step's", step, err);
    if (!status && steps_given && size != step * steps)
        status = err_set(err, ERR_USAGE, recipe_where(r, NULL, key),
                         "makes %ld steps a generation, steps_per_generation says %d: remove one",
                         size / step, steps);
    o->steps_per_generation = (int)(size / step);
    return status;
}

/* TRL counts completions in micro-batches of bs = per_device_train_batch_size: a step has
 * bs · gradient_accumulation_steps of them, a generation bs · steps_per_generation (or
 * generation_batch_size). In its words steps_per_generation are micro-batches; without
 * gradient_accumulation_steps, and in ours, they are optimizer steps. */
static int from_trl_sizes(const recipe *r, struct train_options *o, struct err *err)
{
    bool by_parts =
        given(r, "per_device_train_batch_size") || given(r, "gradient_accumulation_steps");
    int bs = o->per_device_train_batch_size ? o->per_device_train_batch_size : 8;
    int accumulation = o->gradient_accumulation_steps ? o->gradient_accumulation_steps : 1;
    const char *key = given(r, "per_device_train_batch_size") ? "per_device_train_batch_size"
                                                              : "gradient_accumulation_steps";
    int status = ERR_NONE;
    if (by_parts)
        status = step_of_trl(r, o, key, (long)bs * accumulation, err);
    if (!status && given(r, "steps_per_generation") && o->steps_per_generation % accumulation)
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "steps_per_generation"),
                       "is %d micro-batches, no multiple of gradient_accumulation_steps %d: a "
                       "generation must serve whole optimizer steps",
                       o->steps_per_generation, accumulation);
    if (given(r, "steps_per_generation"))
        o->steps_per_generation /= accumulation;
    if (!status)
        status = generation_of_trl(r, o, by_parts || given(r, "prompts_per_step"), err);
    if (!status && (double)o->prompts_per_step * o->num_generations * o->steps_per_generation >
                       MOST_COMPLETIONS)
        return complain(r, "steps_per_generation", err,
                        "makes a generation of more completions than can be counted: lower it");
    if (by_parts && !given(r, "micro_batch"))
        o->micro_batch = bs;
    return status;
}

/* Settings of an evaluation or a task mix that the recipe does not ask for. */
static int refuse_idle(const recipe *r, const struct train_options *o, struct err *err)
{
    static const char *const of_evaluation[] = {"eval_steps",
                                                "eval_temperature",
                                                "eval_num_generations",
                                                "metric_for_best_model",
                                                "early_stopping_patience",
                                                "early_stopping_threshold"};
    if (given(r, "update_interval") && !o->task_weights && o->task_sampler < 0)
        return complain(r, "update_interval", err,
                        "is given but neither task_weights nor task_sampler is");
    if (given(r, "dynamic_sampling_max_rounds") && !o->dynamic_sampling)
        return complain(r, "dynamic_sampling_max_rounds", err,
                        "has no effect without dynamic_sampling: true");
    for (size_t i = 0; i < ARRAY_LENGTH(of_evaluation) && !o->eval_data; i++)
        if (given(r, of_evaluation[i]) && (i || o->eval_steps))
            return complain(r, of_evaluation[i], err, "is given but eval_data is not");
    if (o->early_stopping_patience && !o->eval_steps)
        return complain(r, "early_stopping_patience", err,
                        "has no effect without eval_steps: nothing is evaluated on the way");
    if (o->early_stopping_threshold > 0 && !o->early_stopping_patience)
        return complain(r, "early_stopping_threshold", err,
                        "has no effect without early_stopping_patience");
    if (given(r, "dapo_denominator") && o->loss_type != LOSS_DAPO && o->loss_type != LOSS_CISPO)
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "dapo_denominator"),
                       "has no effect with loss_type %s, only with dapo and cispo: remove it",
                       loss_type_names[o->loss_type]);
    if (o->soft_overlong_cache > o->max_completion_length)
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "soft_overlong_cache"),
                       "is %d, more than the %d tokens of max_completion_length: lower it",
                       o->soft_overlong_cache, o->max_completion_length);
    return ERR_NONE;
}

/* The keys of task_sampler_kwargs that the sampler does not look at. */
static int refuse_idle_kwargs(const recipe *r, const struct train_options *o, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sampler_table); i++) {
        const char *key = sampler_table[i].name;
        bool average = sampler_table[i].offset == SAMPLER(ema_decay);
        bool used =
            average ? o->sampler_signal == SIGNAL_TRAIN_EMA : o->task_sampler == SAMPLER_MTGRPO;
        if (recipe_given(r, "task_sampler_kwargs", key, NULL) && !used)
            return err_set(err, ERR_USAGE, recipe_where(r, "task_sampler_kwargs", key),
                           "has no effect without %s",
                           average ? "sampler_signal train_ema" : "task_sampler mtgrpo");
    }
    return ERR_NONE;
}

/* What is watched must be there at every update. */
static int check_signal(const recipe *r, const struct train_options *o, struct err *err)
{
    int steps = train_generation_steps(o);
    if (o->update_interval % steps)
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "update_interval"),
                       "is %d steps, no multiple of the %d that a generation serves "
                       "(steps_per_generation, num_iterations): weights change between generations",
                       o->update_interval, steps);
    if (o->sampler_signal != SIGNAL_EVAL)
        return ERR_NONE;
    if (!o->eval_data || !o->eval_steps)
        return complain(r, given(r, "sampler_signal") ? "sampler_signal" : "task_sampler", err,
                        "watches evaluations, but there is no eval_data or no eval_steps: give "
                        "both, or sampler_signal: train_ema");
    if (o->update_interval % o->eval_steps)
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "update_interval"),
                       "is %d steps, no multiple of eval_steps %d: an update would find no new "
                       "evaluation; change one, or set sampler_signal: train_ema",
                       o->update_interval, o->eval_steps);
    return ERR_NONE;
}

static int check_sampler(const recipe *r, struct train_options *o, struct err *err)
{
    bool moves = task_sampler_moves(o->task_sampler);
    if (o->task_weights &&
        (o->task_sampler == SAMPLER_UNIFORM || o->task_sampler == SAMPLER_PROPORTIONAL))
        return err_set(err, ERR_USAGE, recipe_where(r, NULL, "task_weights"),
                       "and task_sampler %s say different things: remove one",
                       task_sampler_names[o->task_sampler]);
    if (given(r, "sampler_signal") && !moves)
        return complain(r, "sampler_signal", err,
                        "has no effect without task_sampler dynamic or mtgrpo");
    if (moves && o->sampler_signal < 0)
        o->sampler_signal = o->task_sampler == SAMPLER_DYNAMIC ? SIGNAL_EVAL : SIGNAL_TRAIN_EMA;
    if (o->task_sampler == SAMPLER_MTGRPO && !given(r, "dynamic_sampling"))
        o->dynamic_sampling = true;
    if (o->sampler.min_weight > o->sampler.max_weight)
        return err_set(err, ERR_USAGE, recipe_where(r, "task_sampler_kwargs", "min_weight"),
                       "is %g, more than max_weight %g", o->sampler.min_weight,
                       o->sampler.max_weight);
    int status = refuse_idle_kwargs(r, o, err);
    return status || !moves ? status : check_signal(r, o, err);
}

static int check_clipping(const recipe *r, struct train_options *o, struct err *err)
{
    bool high = !isnan(o->epsilon_high);
    if (!high)
        o->epsilon_high = o->epsilon;
    if (o->loss_type != LOSS_CISPO)
        return ERR_NONE;
    if (!high)
        return complain(r, "epsilon_high", err,
                        "is required with loss_type cispo: the largest importance weight, 5.0 is "
                        "usual (without it TRL takes epsilon, 0.2, and weighs every token by 0.2): "
                        "add \"epsilon_high: 5.0\"");
    if (given(r, "epsilon"))
        return complain(r, "epsilon", err,
                        "has no effect with loss_type cispo, whose only bound is epsilon_high (TRL "
                        "ignores it there): remove the line \"epsilon\", keep epsilon_high");
    if (!isnan(o->delta))
        return complain(r, "delta", err,
                        "has no effect with loss_type cispo, whose only bound is epsilon_high: "
                        "remove it");
    return ERR_NONE;
}

/* A truncated distribution is not the one whose gradient is taken: only on request. */
static int check_sampling(const recipe *r, const struct train_options *o, struct err *err)
{
    const char *cut = o->top_k ? "top_k" : o->top_p < 1 ? "top_p" : o->min_p > 0 ? "min_p" : NULL;
    if (o->repetition_penalty != 1)
        return complain(r, "repetition_penalty", err,
                        "must be 1 in training: under a penalty a token's probability depends on "
                        "the tokens before it in a way that the loss, which scores the model's own "
                        "distribution, does not see; `grpo generate` has it");
    if (cut && !o->allow_truncated_sampling)
        return complain(r, cut, err,
                        "cuts the distribution that completions are drawn from, but the gradient "
                        "taken is that of the whole one: the update is biased, tokens that were "
                        "cut are never tried, and their probability is pushed up or down unseen. "
                        "Remove it, or set allow_truncated_sampling: true to train so all the "
                        "same");
    if (!cut && o->allow_truncated_sampling)
        return complain(r, "allow_truncated_sampling", err,
                        "has no effect: top_k, top_p and min_p cut nothing; remove it");
    return ERR_NONE;
}

/* --- what only the report reads must still be what it can read --- */

enum { MOST_HISTORY_COLUMNS = 8 };

static const char *found_instead(const json_t *value)
{
    return json_is_object(value)   ? "a map"
           : json_is_array(value)  ? "a list"
           : json_is_string(value) ? "text"
           : json_is_null(value)   ? "nothing"
                                   : json_type_name(value);
}

static int check_level(const char *where, const char *key, const json_t *value, struct err *err)
{
    bool name = strcmp(key, "name") == 0;
    if (name && !json_is_string(value) && !json_is_number(value))
        return err_set(err, ERR_USAGE, where, "name is %s; expected text", found_instead(value));
    if (!name && strncmp(key, "eval/", 5) != 0)
        return err_set(err, ERR_USAGE, where,
                       "has a key \"%.80s\"; expected name, or a metric of evaluations such as "
                       "eval/mean_reward",
                       key);
    if (!name && !json_is_number(value))
        return err_set(err, ERR_USAGE, where, "%.80s is %s; expected a number", key,
                       found_instead(value));
    return ERR_NONE;
}

/* {name: V4.1, eval/mean_reward: 0.645, …} */
static int check_baseline(const char *where, const json_t *baseline, struct err *err)
{
    const char *key;
    json_t *value;
    int status = ERR_NONE;
    if (!json_is_object(baseline))
        return err_set(err, ERR_USAGE, where,
                       "is %s; expected a map of a name and metrics, such as {name: V4.1, "
                       "eval/mean_reward: 0.645}",
                       found_instead(baseline));
    json_object_foreach((json_t *)(uintptr_t)baseline, key, value)
    {
        if (!status)
            status = check_level(where, key, value, err);
    }
    return status;
}

/* The columns of the report's table are counted over all entries. */
static int check_entry(const char *where, size_t i, const json_t *entry, json_t *columns,
                       struct err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(entry) || !json_object_size(entry))
        return err_set(err, ERR_USAGE, where,
                       "entry %zu is %s; expected a map such as {version: V1, failure: …, fix: …, "
                       "contribution: …}",
                       i + 1, json_is_object(entry) ? "empty" : found_instead(entry));
    json_object_foreach((json_t *)(uintptr_t)entry, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return err_set(err, ERR_USAGE, where, "entry %zu: %.80s is %s; expected text", i + 1,
                           key, found_instead(value));
        if (json_object_set_new(columns, key, json_true()))
            return err_no_memory(err, where, 0);
    }
    if (json_object_size(columns) > MOST_HISTORY_COLUMNS)
        return err_set(err, ERR_USAGE, where,
                       "has more than %d different keys by entry %zu, which no table holds",
                       MOST_HISTORY_COLUMNS, i + 1);
    return ERR_NONE;
}

static int check_history(const char *where, const json_t *history, struct err *err)
{
    json_t *columns = json_object(), *entry;
    size_t i;
    int status = columns ? ERR_NONE : err_no_memory(err, where, 0);
    if (!status && !json_is_array(history))
        status = err_set(err, ERR_USAGE, where, "is %s; expected a list of maps",
                         found_instead(history));
    json_array_foreach(history, i, entry)
    {
        if (!status)
            status = check_entry(where, i, entry, columns, err);
    }
    json_decref(columns);
    return status;
}

static int check_for_report(const recipe *r, const struct train_options *o, struct err *err)
{
    const struct {
        const char *key;
        const struct yaml_node *node;
        int (*check)(const char *where, const json_t *value, struct err *err);
    } nodes[] = {{"baseline", o->baseline, check_baseline}, {"history", o->history, check_history}};
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(nodes) && !status; i++) {
        json_t *value = nodes[i].node ? recipe_node_json(nodes[i].node) : NULL;
        if (nodes[i].node && !value)
            return err_no_memory(err, "recipe", 0);
        if (value)
            status = nodes[i].check(recipe_where(r, NULL, nodes[i].key), value, err);
        json_decref(value);
    }
    return status;
}

static int check_combinations(const recipe *r, struct train_options *o, bool replay,
                              struct err *err)
{
    int status;
    if ((status = require(r, "model", o->model, err)) ||
        (!replay && ((status = require(r, "data", o->data, err)) ||
                     (status = require(r, "rewards", o->rewards, err)))) ||
        (status = refuse_zero_sizes(r, o, err)) || (status = from_trl_sizes(r, o, err)) ||
        (status = optim_options_check(r, &o->optim, !replay, err)) ||
        (status = check_sampler(r, o, err)) || (status = refuse_idle(r, o, err)) ||
        (status = check_clipping(r, o, err)) || (status = check_sampling(r, o, err)) ||
        (status = check_for_report(r, o, err)))
        return status;
    if (o->lora.lora_dropout > 0)
        return err_set(err, ERR_USAGE, recipe_where(r, "lora", "lora_dropout"),
                       "must be 0 for GRPO: with dropout a rollout's log-probability is not the "
                       "trainer's");
    if (o->eval_data && !o->rewards)
        return complain(r, "eval_data", err, "is given but rewards, which score it, are not");
    if (given(r, "use_bias_correction_kl") && o->beta == 0)
        return complain(r, "use_bias_correction_kl", err,
                        "has no effect with beta 0: remove it or set beta");
    if (o->ref_adapter && o->beta == 0)
        return complain(r, "ref_adapter", err, "has no effect with beta 0: remove it or set beta");
    if (o->eval_num_generations > 1 && o->eval_temperature == 0)
        return complain(r, "eval_num_generations", err,
                        "greedy completions are all equal: set eval_temperature");
    struct peft_config ignored;
    status = train_peft_config(&ignored, o, err);
    if (status == ERR_USAGE && err)
        snprintf(err->where, sizeof err->where, "%s", recipe_where(r, "lora", "target_modules"));
    return status;
}

int train_recipe_load(recipe **out, struct train_options *o, const char *path,
                      const char *const *overrides, size_t n_overrides, bool replay,
                      struct err *err)
{
    *o = (struct train_options){0};
    struct option_table tables[TRAIN_OPTION_TABLES];
    train_option_tables(o, tables);
    int status = recipe_load(out, path, overrides, n_overrides, tables, TRAIN_OPTION_TABLES,
                             train_reserved, train_n_reserved, err);
    if (!status)
        status = check_combinations(*out, o, replay, err);
    if (status) {
        recipe_free(*out);
        *out = NULL;
    }
    return status;
}

int train_generation_steps(const struct train_options *o)
{
    return o->steps_per_generation * o->num_iterations;
}

int train_peft_config(struct peft_config *out, const struct train_options *o, struct err *err)
{
    *out = (struct peft_config){
        .r = o->lora.r, .lora_alpha = o->lora.lora_alpha, .use_rslora = o->lora.use_rslora};
    snprintf(out->base_model, sizeof out->base_model, "%s", o->model ? o->model : "");
    if (!o->lora.target_modules.count)
        return err_set(err, ERR_USAGE, "lora.target_modules", "is empty: nothing would be trained");
    for (size_t i = 0; i < o->lora.target_modules.count; i++) {
        const char *name = o->lora.target_modules.items[i];
        bool all = strcmp(name, "all-linear") == 0, known = all;
        for (int p = 0; p < N_PROJECTIONS; p++) {
            if (!all && strcmp(name, projection_names[p]) != 0)
                continue;
            out->targets[p] = true;
            known = true;
        }
        if (!known)
            return err_set(err, ERR_USAGE, "lora.target_modules",
                           "\"%.60s\" is no projection; known: q_proj, k_proj, v_proj, o_proj, "
                           "gate_proj, up_proj, down_proj, or all-linear",
                           name);
    }
    return ERR_NONE;
}

/* --- prompts --- */

int train_chat_options(struct train_chat *out, const recipe *r, const struct train_options *o,
                       struct err *err)
{
    *out = (struct train_chat){0};
    if ((o->chat_template_kwargs && !(out->kwargs = recipe_node_json(o->chat_template_kwargs))) ||
        (o->system_prompt && !(out->system_prompt = recipe_node_json(o->system_prompt))))
        return err_no_memory(err, "recipe", 0);
    out->options = (struct chat_options){o->chat_template, out->kwargs, out->system_prompt};
    if (out->kwargs && !json_is_object(out->kwargs))
        return complain(r, "chat_template_kwargs", err,
                        "is no map, such as {enable_thinking: false}");
    return chat_system_prompt_check(out->system_prompt, recipe_where(r, NULL, "system_prompt"),
                                    err);
}

void train_chat_free(struct train_chat *c)
{
    json_decref(c->kwargs);
    json_decref(c->system_prompt);
    *c = (struct train_chat){0};
}
