/* main.c: the table of commands, and the only place that knows argv and exit statuses. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "reward/sql_worker.h"

/* A command the project has planned and not built: it says so instead of being unknown. */
#define NOT_BUILT(title, line)                                                                     \
    {                                                                                              \
        .name = title, .summary = line, .usage = ""                                                \
    }

static const struct command exam_command = NOT_BUILT("exam", "multiple-choice exams");
static const struct command sft_command = NOT_BUILT("sft", "supervised LoRA warm start");
static const struct command serve_command = NOT_BUILT("serve", "live local web page");
static const struct command export_command = NOT_BUILT("export", "merged model, GGUF");
static const struct command pull_command = NOT_BUILT("pull", "fetch a model from a hub");

static const struct command *const commands[] = {
    &command_train,    &command_eval,   &command_generate, &command_score,  &command_logprob,
    &command_tokenize, &command_data,   &command_run,      &command_audit,  &exam_command,
    &command_bench,    &sft_command,    &command_pretrain, &command_report, &serve_command,
    &export_command,   &command_doctor, &pull_command,
};

static void program_help(struct str *out)
{
    str_puts(out, "grpo: post-trains small language models with GRPO and LoRA\n\n"
                  "usage: grpo COMMAND [options]\n\nCommands\n");
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (commands[i]->run)
            str_printf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    str_puts(out, "\nNot built yet\n");
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        if (!commands[i]->run)
            str_printf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    str_puts(out,
             "\n`grpo COMMAND --help` tells more. Exit status: 0 done, 1 a check said no, 2 usage "
             "or recipe\nerror, 3 bad model or data file, 4 the machine cannot, 130 interrupted "
             "after saving.\n");
}

static const struct command *find_command(const char *name, struct err *err)
{
    const char *names[ARRAY_LENGTH(commands)];
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        names[i] = commands[i]->name;
        if (strcmp(names[i], name) == 0)
            return commands[i];
    }
    int near = str_nearest(name, names, (int)ARRAY_LENGTH(commands));
    if (near >= 0)
        err_set(err, ERR_USAGE, "", "unknown command \"%.60s\"; did you mean \"%s\"?", name,
                names[near]);
    else
        err_set(err, ERR_USAGE, "", "unknown command \"%.60s\"; `grpo --help` lists them", name);
    return NULL;
}

static int print_str(struct str *text, struct err *err)
{
    int status = text->failed ? err_no_memory(err, "the help", text->length)
                              : print_out(str_text(text), text->length, err);
    str_free(text);
    return status;
}

static int run_found(const struct command *command, int n_words, char *const *words,
                     struct err *err)
{
    struct common common = {0};
    void *options = mem_calloc(1, command->options_size + 1);
    if (!options)
        return err_no_memory(err, "options", command->options_size);
    struct str help = {0};
    int status = ERR_NONE;
    bool built = command->run != NULL, asked = false;
    for (int i = 0; i < n_words; i++)
        asked = asked || strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0;
    if (!built && asked)
        str_printf(&help, "grpo %s: %s\n\nThis command is not built yet.\n", command->name,
                   command->summary);
    else if (!built)
        status = err_set(err, ERR_USAGE, command->name,
                         "not built yet in this version (" GRPO_VERSION ")");
    else
        status = args_parse(command, &common, options, n_words, words, err);
    if (!status && built && common.help)
        args_help(&help, command);
    if (!status && (!built || common.help)) {
        status = print_str(&help, err);
    } else if (!status) {
        log_set_quiet(common.quiet);
        status = command->run(&common, options, err);
    }
    str_free(&help);
    mem_free(options);
    return status;
}

static int dispatch(int argc, char **argv, struct err *err)
{
    struct str text = {0};
    if (argc < 2)
        return err_set(err, ERR_USAGE, "", "which command? `grpo --help` lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        program_help(&text);
        return print_str(&text, err);
    }
    if (strcmp(argv[1], "--version") == 0) {
        str_puts(&text, "grpo " GRPO_VERSION "\n");
        return print_str(&text, err);
    }
    const struct command *command = find_command(argv[1], err);
    return command ? run_found(command, argc - 2, argv + 2, err) : ERR_USAGE;
}

/* One line, whatever is in the message: names of files and rows come from outside. */
static void complain(const struct err *err)
{
    struct str text = {0};
    if (err->where[0]) {
        log_printable(&text, err->where, strlen(err->where), 0);
        str_puts(&text, ": ");
    }
    log_printable(&text, err->message, strlen(err->message), 0);
    fprintf(stderr, "grpo: %s\n", text.failed ? err->message : str_text(&text));
    str_free(&text);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (sql_worker_asked(argc, argv))
        return sql_worker_main();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, reported as one */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file at its size limit */
    int status = dispatch(argc, argv, &err);
    if (status)
        complain(&err);
    return status;
}
