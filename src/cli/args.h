/* args.h: the command line as tables. Each command has one table of options; it drives parsing,
 * `--help` and the errors, which name the nearest option. Options that every command takes are in a
 * table of their own (struct common). Values are borrowed from argv. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"
#include "base/err.h"
#include "base/str.h"

enum arg_type {
    ARG_FLAG,  /* bool; takes no value */
    ARG_INT,   /* int */
    ARG_FLOAT, /* double */
    ARG_SEED,  /* uint64_t */
    ARG_TEXT,  /* const char *, NULL when absent */
    ARG_TEXTS, /* struct arg_texts: may be given several times */
    ARG_CHOICE /* int: index into choices */
};

enum { ARGS_MAX_TEXTS = 64, ARGS_MAX_POSITIONAL = 64 };

struct arg_texts {
    const char *items[ARGS_MAX_TEXTS];
    int count;
};

struct arg {
    const char *name; /* without the dashes */
    enum arg_type type;
    size_t offset;   /* into the command's options */
    double min, max; /* inclusive range of numbers */
    /* NULL-terminated: for ARG_CHOICE; of an ARG_TEXT (may be NULL) what to name where the value
     * is forgotten */
    const char *const *choices;
    const char *default_text; /* as one would write it; NULL: absent */
    const char *value;        /* placeholder in the help: "DIR", "N" */
    const char *help;         /* one sentence */
};

/* What every command takes; `input` only where it reads JSON lines. */
struct common {
    const char *device, *isa, *input;
    int threads, precision; /* enum precision */
    bool quiet, json, help;
    const char *positional[ARGS_MAX_POSITIONAL];
    int n_positional;
    uint64_t given, common_given; /* bit i: option i of its table was on the command line */
};

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* after "grpo NAME": its positional arguments, or "" */
    const char *details; /* the contract: what goes in and out; may be NULL */
    const struct arg *args;
    size_t n_args;
    size_t options_size; /* of the struct the table fills */
    int max_positional;
    bool no_input; /* reads no JSON lines: --input is unknown to it */
    int (*run)(const struct common *common, const void *options, struct err *err);
    void (*more_help)(struct str *out); /* tables of other rooms (rewards, keys); may be NULL */
};

/* Fills common and options (options_size bytes, zeroed here) from the words after the command's
 * name. ERR_USAGE names the word and the nearest option. */
int args_parse(const struct command *command, struct common *common, void *options, int n_words,
               char *const *words, struct err *err);
/* Whether the command line has this option, of the command's own table or the common one. */
bool args_given(const struct command *command, const struct common *common, const char *name);
void args_help(struct str *out, const struct command *command);

#endif
