/* recipe_args.h: what the commands that take a recipe share: train, pretrain, doctor. */
#ifndef CLI_RECIPE_ARGS_H
#define CLI_RECIPE_ARGS_H
#include "cli/args.h"
#include "recipe/option.h"

/* ERR_USAGE when the recipe, or (needs_out) the run folder, is not on the command line. */
int recipe_args_require(const struct command *command, const struct common *common, bool needs_out,
                        const char *out, struct err *err);
/* Where `grpo run` and `grpo audit` work: --out where it is given, else "runs/NAME" of
 * recipes/NAME.yaml. ERR_USAGE for a name that leaves nothing, or without a recipe. */
int recipe_args_out(struct str *out, const struct command *command, const struct common *common,
                    const char *given, struct err *err);
/* The overrides of a recipe: every --set, and --precision where it is given. Returns their number.
 */
size_t recipe_args_sets(const char *sets[ARGS_MAX_TEXTS + 1], const struct command *command,
                        const struct common *common, const struct arg_texts *set);
/* The device of the command line in the recipe's precision (enum precision). */
int recipe_args_device(struct device **out, const struct common *common, int precision,
                       struct err *err);
/* ERR_USAGE for an --allow that names nothing a resume compares: neither a part of the identity
 * (train/identity.h) nor a key ("max_steps", "lora.r") or section of the tables. */
int recipe_args_allow(const struct command *command, const struct arg_texts *allow,
                      const struct option_table *tables, size_t n_tables, struct err *err);
/* "Recipe keys" and their tables. */
void recipe_args_help(struct str *out, const struct option_table *tables, size_t n_tables);

#endif
