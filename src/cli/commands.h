/* commands.h: the commands, one file cmd_NAME.c each. A command gets its options filled, writes
 * to standard output through lines.h, and returns an err_code, which is the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H
#include "cli/args.h"

extern const struct command command_train;
extern const struct command command_pretrain;
extern const struct command command_generate;
extern const struct command command_score;
extern const struct command command_logprob;
extern const struct command command_tokenize;
extern const struct command command_eval;
extern const struct command command_report;
extern const struct command command_data;
extern const struct command command_audit;
extern const struct command command_doctor;
extern const struct command command_run;
extern const struct command command_bench;

#endif
