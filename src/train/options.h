/* options.h: the settings of a training recipe as tables (recipe/option.h). Names follow TRL's
 * GRPOConfig and PEFT's LoraConfig; TRL's batch sizes are accepted and turned into ours. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H
#include "backend/backend.h"
#include "formats/peft.h"
#include "recipe/option.h"
#include "tokenizer/chat.h"
#include "train/advantage.h"
#include "train/loss.h"
#include "train/optim_options.h"
#include "train/task_sampler.h"

struct lora_options {
    int r;
    double lora_alpha, lora_dropout;
    bool use_rslora;
    struct string_list target_modules;
};

enum dapo_denominator { DAPO_STEP, DAPO_GENERATION };

struct train_options {
    /* what is trained on what */
    const char *model, *data, *eval_data, *test_data, *init_adapter, *ref_adapter, *chat_template;
    const struct yaml_node *rewards, *task_weights, *chat_template_kwargs, *system_prompt,
        *stop_rules;
    const struct yaml_node *classifier; /* data/classify.h */
    int update_interval;
    int task_sampler, sampler_signal; /* enum task_sampler_kind, enum sampler_signal */
    struct task_sampler_settings sampler;
    struct lora_options lora;
    /* sampling */
    int num_generations, prompts_per_step, max_completion_length, max_prompt_length;
    double temperature, top_p, min_p, repetition_penalty;
    int top_k;
    bool allow_truncated_sampling;
    struct string_list stop_strings;
    /* objective */
    int loss_type, scale_rewards; /* enum loss_type, enum scale_rewards */
    int advantage;                /* enum advantage_kind */
    bool dynamic_sampling;
    int dynamic_sampling_max_rounds;
    int importance_sampling_level;             /* enum sampling_level */
    double epsilon, epsilon_high, delta, beta; /* delta: NaN where not given */
    bool use_bias_correction_kl, mask_truncated_completions;
    double top_entropy_quantile;
    int soft_overlong_cache;
    /* steps_per_generation: optimizer steps, once the recipe is loaded (TRL counts micro-batches);
     * dapo_denominator: enum dapo_denominator */
    int num_iterations, steps_per_generation, dapo_denominator;
    struct optim_options optim;
    /* evaluation and checkpoints */
    int eval_steps, eval_num_generations, save_steps, save_total_limit, early_stopping_patience;
    double eval_temperature, save_minutes, early_stopping_threshold;
    const char *metric_for_best_model;
    /* safety, memory, display */
    double max_sampling_logp_difference, max_reward_failure_rate, memory_gib;
    int micro_batch, console_steps, precision, seed;
    bool speculation;
    /* of the protocol around a run: seeds, audit, report */
    struct int_list seeds;
    double audit_min_rho;
    bool audit_gate_on_lower_bound;
    int audit_rater; /* enum audit_rater */
    const struct yaml_node *eval_counts, *baseline, *history;
    /* TRL's batch sizes, in completions; 0: not given */
    int per_device_train_batch_size, gradient_accumulation_steps, generation_batch_size;
};

enum audit_rater { RATER_HUMAN, RATER_SIMULATED };

enum { TRAIN_OPTION_TABLES = 5 + OPTIM_OPTION_TABLES };
/* Tables that fill *o. */
void train_option_tables(struct train_options *o, struct option_table tables[TRAIN_OPTION_TABLES]);
/* Keys the project knows but has not built yet. */
extern const struct recipe_reserved train_reserved[];
extern const size_t train_n_reserved;

/* Loads a recipe and checks what one key alone cannot say (combinations, required keys; `replay`:
 * the completions come from a file, so data and rewards may be absent). */
int train_recipe_load(recipe **out, struct train_options *o, const char *path,
                      const char *const *overrides, size_t n_overrides, bool replay,
                      struct err *err);
/* Optimizer steps that a generation serves: steps_per_generation · num_iterations. */
int train_generation_steps(const struct train_options *o);
/* The adapter a recipe asks for. Unknown module names: ERR_USAGE. */
int train_peft_config(struct peft_config *out, const struct train_options *o, struct err *err);

/* How a recipe makes prompts. Only `options` is for others. A value of the wrong kind: ERR_USAGE
 * naming the line. */
struct train_chat {
    struct chat_options options;
    json_t *kwargs, *system_prompt;
};
int train_chat_options(struct train_chat *out, const recipe *r, const struct train_options *o,
                       struct err *err);
void train_chat_free(struct train_chat *c);

#endif
