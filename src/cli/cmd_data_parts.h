/* cmd_data_parts.h: the parts of `grpo data` with files of their own, dispatched by cmd_data.c,
 * which owns the table of options. */
#ifndef CLI_CMD_DATA_PARTS_H
#define CLI_CMD_DATA_PARTS_H
#include "cli/args.h"
#include "data/split.h"

struct synth_arguments {
    const char *out;
    int train, eval, test, corpus;
};
int cmd_data_synth(const struct common *common, const struct synth_arguments *arguments,
                   uint64_t seed, struct err *err);

struct prepare_arguments {
    const char *olist, *out;
    int train_rows;
    const struct arg_texts *counts;
};
int cmd_data_prepare(const struct common *common, const struct prepare_arguments *arguments,
                     uint64_t seed, struct err *err);

struct stats_arguments {
    const char *recipe, *model, *against;
};
int cmd_data_stats(const struct common *common, const struct stats_arguments *arguments,
                   const char *file, struct err *err);

/* "TASK=EVAL" or "TASK=EVAL:TEST"; the name, a copy, is freed by the caller. */
int cmd_data_read_count(struct split_count *out, char **name, const char *text, struct err *err);

#endif
