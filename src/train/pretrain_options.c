/* pretrain_options.c: the table of a pretraining recipe's keys; see pretrain_options.h. The
 * optimizer's keys are those of `grpo train` (optim_options.h). */
#include "train/pretrain_options.h"
#include <stddef.h>
#include "base/check.h"

static const char *const precision_names[] = {"bf16", "f32", NULL};
static const char *const truncation_names[] = {"refuse", "keep_start", NULL};
static const char *const output_names[] = {"bf16", "f32", NULL};

#define AT(field) offsetof(struct pretrain_options, field)

/* name, aliases, type, offset, min, max, choices, default, help */
static const struct option options[] = {
    {"config", NULL, OPTION_STRING, AT(config), 0, 0, NULL, NULL,
     "The architecture: a Hugging Face config.json (Qwen3, Qwen2 or Llama), or a folder with one."},
    {"tokenizer", NULL, OPTION_STRING, AT(tokenizer), 0, 0, NULL, NULL,
     "Folder with tokenizer.json and, for messages, the chat template; its files go into the final "
     "model's folder."},
    {"chat_template", NULL, OPTION_STRING, AT(chat_template), 0, 0, NULL, NULL,
     "Name of a known chat template, where the tokenizer's own is not recognised."},
    {"init_model", NULL, OPTION_STRING, AT(init_model), 0, 0, NULL, NULL,
     "Folder whose weights to start from; absent: new ones, drawn from the seed."},
    {"initializer_range", NULL, OPTION_FLOAT, AT(initializer_range), 0, 10, NULL, "0.02",
     "New weights: standard deviation of every matrix (norms start at 1, biases at 0)."},
    {"data", NULL, OPTION_STRING, AT(data), 0, 0, NULL, NULL,
     "Training documents, JSONL: {\"text\"}, {\"messages\": [...]}, or {\"prompt\": [...] or text, "
     "\"completion\": text}."},
    {"eval_data", NULL, OPTION_STRING, AT(eval_data), 0, 0, NULL, NULL,
     "Held-out documents of the same kinds, whose loss is measured; none of them may be in "
     "`data`."},
    {"precision", NULL, OPTION_CHOICE, AT(precision), 0, 0, precision_names, "bf16",
     "bf16: products of bf16 inputs with f32 sums; f32: everything in f32."},

    {"max_length", NULL, OPTION_INT, AT(max_length), 2, 1 << 20, NULL, "1024",
     "Tokens of a sequence. Without packing no document may be longer (see truncation_mode)."},
    {"packing", NULL, OPTION_BOOL, AT(packing), 0, 0, NULL, "false",
     "true: an epoch's documents end to end, cut into sequences of exactly max_length, so that all "
     "steps have as many tokens; a document still sees only itself, and one that a cut divides "
     "starts its second part without context. false: a sequence is one whole document."},
    {"truncation_mode", NULL, OPTION_CHOICE, AT(truncation_mode), 0, 0, truncation_names, "refuse",
     "Documents longer than max_length, without packing: an error, or cut to their start."},
    {"completion_only_loss", NULL, OPTION_BOOL, AT(completion_only_loss), 0, 0, NULL, "false",
     "Only completions (of messages: the last one, the assistant's) count in the loss, not "
     "prompts."},
    {"sequences_per_step", NULL, OPTION_INT, AT(sequences_per_step), 1, 1 << 20, NULL, "16",
     "Sequences of an optimizer step; the loss is the mean over all its counted tokens."},
    {"micro_batch", NULL, OPTION_INT, AT(micro_batch), 0, 1 << 20, NULL, "0",
     "A forward and backward pass has room for so many times max_length tokens; 0: the plan "
     "chooses. Changes no result."},

    {"learning_rate", NULL, OPTION_FLOAT, AT(optim.learning_rate), 0, 1e3, NULL, "1e-3",
     "Base learning rate."},

    {"eval_steps", NULL, OPTION_INT, AT(eval_steps), 0, 1 << 30, NULL, "0",
     "With eval_data: its loss every so many steps besides before the first and after the last; 0: "
     "only these two."},
    {"save_steps", NULL, OPTION_INT, AT(save_steps), 1, 1 << 30, NULL, "500",
     "Checkpoint every so many steps; the last step is always saved."},
    {"save_total_limit", NULL, OPTION_INT, AT(save_total_limit), 0, 1 << 30, NULL, "2",
     "Checkpoints to keep, newest first; 0: all."},
    {"output_dtype", NULL, OPTION_CHOICE, AT(output_dtype), 0, 0, output_names, "bf16",
     "Type of the final model's weights; checkpoints hold f32."},
    {"logging_steps", NULL, OPTION_INT, AT(logging_steps), 0, 1 << 30, NULL, "0",
     "A line on the console every so many steps, besides the progress line; 0: none."},
    {"memory_gib", NULL, OPTION_FLOAT, AT(memory_gib), 0, 1e6, NULL, "0",
     "Memory budget of the plan in GiB; 0: nine tenths of the machine's."},
    {"seed", NULL, OPTION_INT, AT(seed), 0, INT32_MAX, NULL, "42",
     "Seed of the initial weights and of the order of documents."},
};

static const struct recipe_reserved reserved[] = {
    {"per_device_train_batch_size", "give sequences_per_step, the sequences of an optimizer step"},
    {"gradient_accumulation_steps", "give sequences_per_step; the plan cuts a step into passes"},
    {"save_minutes", "checkpoints come every save_steps"},
    {"early_stopping_patience", "runs go to max_steps"},
    {"assistant_only_loss", "completion_only_loss counts the last message"},
    {"packing_strategy", "packing puts documents end to end"},
    {"report_to", "metrics go to metrics.jsonl"},
    {"device", "use the command line's --device"},
    {"threads", "use the command line's --threads"},
};

void pretrain_option_tables(struct pretrain_options *o,
                            struct option_table tables[PRETRAIN_OPTION_TABLES])
{
    tables[0] = (struct option_table){NULL, options, ARRAY_LENGTH(options), o, false};
    optim_option_tables(&o->optim, tables + 1);
}

enum dtype pretrain_output_dtype(const struct pretrain_options *o)
{
    return o->output_dtype == 0 ? DTYPE_BF16 : DTYPE_F32;
}

static int complain(const recipe *r, const char *key, struct err *err, const char *message)
{
    return err_set(err, ERR_USAGE, recipe_where(r, NULL, key), "%s", message);
}

static int check_combinations(const recipe *r, struct pretrain_options *o, struct err *err)
{
    const struct {
        const char *key, *value;
    } required[] = {{"config", o->config}, {"tokenizer", o->tokenizer}, {"data", o->data}};
    for (size_t i = 0; i < ARRAY_LENGTH(required); i++)
        if (!required[i].value)
            return complain(r, required[i].key, err, "is required but not in the recipe");
    int status = optim_options_check(r, &o->optim, true, err);
    if (status)
        return status;
    if (o->eval_steps && !o->eval_data)
        return complain(r, "eval_steps", err, "is given but eval_data is not");
    if (o->packing && o->truncation_mode != TRUNCATION_REFUSE)
        return complain(r, "truncation_mode", err,
                        "has no effect with packing, which cuts without losing a token: remove it");
    if (o->init_model && recipe_given(r, NULL, "initializer_range", NULL))
        return complain(r, "initializer_range", err,
                        "has no effect with init_model: no weights are drawn; remove one");
    return ERR_NONE;
}

int pretrain_recipe_load(recipe **out, struct pretrain_options *o, const char *path,
                         const char *const *overrides, size_t n_overrides, struct err *err)
{
    *o = (struct pretrain_options){0};
    struct option_table tables[PRETRAIN_OPTION_TABLES];
    pretrain_option_tables(o, tables);
    int status = recipe_load(out, path, overrides, n_overrides, tables, PRETRAIN_OPTION_TABLES,
                             reserved, ARRAY_LENGTH(reserved), err);
    if (!status)
        status = check_combinations(*out, o, err);
    if (status) {
        recipe_free(*out);
        *out = NULL;
    }
    return status;
}
