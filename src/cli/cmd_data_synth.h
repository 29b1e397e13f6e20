/* cmd_data_synth.h: `grpo data synth`, dispatched by cmd_data.c, which owns the options' table. */
#ifndef CLI_CMD_DATA_SYNTH_H
#define CLI_CMD_DATA_SYNTH_H
#include "cli/args.h"

struct synth_arguments {
    const char *out;
    int train, eval, test, corpus;
};
int cmd_data_synth(const struct common *common, const struct synth_arguments *arguments,
                   uint64_t seed, struct err *err);

#endif
