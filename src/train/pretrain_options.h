/* pretrain_options.h: the settings of a pretraining recipe as a table (recipe/option.h). Names
 * follow transformers' TrainingArguments and TRL's SFTConfig where the meaning is the same. */
#ifndef TRAIN_PRETRAIN_OPTIONS_H
#define TRAIN_PRETRAIN_OPTIONS_H
#include "recipe/option.h"
#include "formats/dtype.h"
#include "train/optim_options.h"

enum truncation_mode { TRUNCATION_REFUSE, TRUNCATION_KEEP_START };

struct pretrain_options {
    /* what is trained on what */
    const char *config, *tokenizer, *chat_template, *init_model, *data, *eval_data;
    double initializer_range;
    /* sequences */
    int max_length, truncation_mode, sequences_per_step, micro_batch;
    bool packing, completion_only_loss;
    struct optim_options optim;
    /* evaluation, checkpoints, output */
    int eval_steps, save_steps, save_total_limit, output_dtype, logging_steps;
    double memory_gib;
    int precision, seed;
};

enum { PRETRAIN_OPTION_TABLES = 1 + OPTIM_OPTION_TABLES };
/* Tables that fill *o. */
void pretrain_option_tables(struct pretrain_options *o,
                            struct option_table tables[PRETRAIN_OPTION_TABLES]);
/* What the final model is written in: DTYPE_BF16 or DTYPE_F32. */
enum dtype pretrain_output_dtype(const struct pretrain_options *o);
/* Loads a recipe and checks what one key alone cannot say. */
int pretrain_recipe_load(recipe **out, struct pretrain_options *o, const char *path,
                         const char *const *overrides, size_t n_overrides, struct err *err);

#endif
