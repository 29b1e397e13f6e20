/* args.c: words of the command line against tables; see args.h. `--name value`, `--name=value` and
 * `--flag`; `--` ends the options; the last one given counts. */
#include "cli/args.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

static const char *const precision_names[] = {"bf16", "f32", NULL};

static const struct arg common_args[] = {
    {"threads", ARG_INT, offsetof(struct common, threads), 0, 1024, NULL, "0", "N",
     "Threads; 0: every core. Changes no result."},
    {"device", ARG_TEXT, offsetof(struct common, device), 0, 0, NULL, "cpu", "NAME",
     "Where to compute: cpu."},
    {"precision", ARG_CHOICE, offsetof(struct common, precision), 0, 0, precision_names, "bf16",
     "NAME", "bf16: products of bf16 inputs with f32 sums; f32: everything in f32."},
    {"isa", ARG_TEXT, offsetof(struct common, isa), 0, 0, NULL, "auto", "NAME",
     "Instruction set: auto, amx, avx512bf16, avx512, avx2 or c."},
    {"input", ARG_TEXT, offsetof(struct common, input), 0, 0, NULL, NULL, "FILE",
     "Read JSON lines from FILE instead of standard input."},
    {"quiet", ARG_FLAG, offsetof(struct common, quiet), 0, 0, NULL, NULL, NULL,
     "Only warnings and errors on standard error."},
    {"json", ARG_FLAG, offsetof(struct common, json), 0, 0, NULL, NULL, NULL,
     "Machine-readable output where a person would otherwise read text."},
    {"help", ARG_FLAG, offsetof(struct common, help), 0, 0, NULL, NULL, NULL, "This text."},
};

/* Whether a command takes this one of the common options. */
static bool takes(const struct command *command, const struct arg *arg)
{
    return !command->no_input || strcmp(arg->name, "input") != 0;
}

/* An option and the struct its offset is in. */
struct found {
    const struct arg *arg;
    char *target;
};

static struct found find(const struct command *command, struct common *common, void *options,
                         const char *name, size_t length)
{
    for (size_t i = 0; i < command->n_args; i++)
        if (strlen(command->args[i].name) == length &&
            memcmp(command->args[i].name, name, length) == 0)
            return (struct found){&command->args[i], options};
    for (size_t i = 0; i < ARRAY_LENGTH(common_args); i++)
        if (takes(command, &common_args[i]) && strlen(common_args[i].name) == length &&
            memcmp(common_args[i].name, name, length) == 0)
            return (struct found){&common_args[i], (char *)common};
    return (struct found){NULL, NULL};
}

static int unknown_option(const struct command *command, const char *name, struct err *err)
{
    const char *names[64];
    int n = 0;
    for (size_t i = 0; i < command->n_args && n < 48; i++)
        names[n++] = command->args[i].name;
    for (size_t i = 0; i < ARRAY_LENGTH(common_args); i++)
        if (takes(command, &common_args[i]))
            names[n++] = common_args[i].name;
    int near = str_nearest(name, names, n);
    if (near >= 0)
        return err_set(err, ERR_USAGE, command->name,
                       "unknown option \"--%.60s\"; did you mean \"--%s\"?", name, names[near]);
    return err_set(err, ERR_USAGE, command->name,
                   "unknown option \"--%.60s\"; `grpo %s --help` lists them", name, command->name);
}

static int bad_value(const struct arg *arg, const char *text, const char *expected, struct err *err)
{
    char where[80];
    snprintf(where, sizeof where, "--%s", arg->name);
    return err_set(err, ERR_USAGE, where, "\"%.100s\" is no value for it; expected %s", text,
                   expected);
}

static int set_number(const struct arg *arg, void *slot, const char *text, struct err *err)
{
    char expected[120], *end;
    bool whole = arg->type == ARG_INT;
    snprintf(expected, sizeof expected, "%s from %.10g to %.10g",
             whole ? "a whole number" : "a number", arg->min, arg->max);
    errno = 0;
    double value = whole ? (double)strtol(text, &end, 10) : strtod(text, &end);
    if (!*text || *end || errno == ERANGE || !isfinite(value) || value < arg->min ||
        value > arg->max)
        return bad_value(arg, text, expected, err);
    if (whole)
        *(int *)slot = (int)value;
    else
        *(double *)slot = value;
    return ERR_NONE;
}

static int set_seed(const struct arg *arg, void *slot, const char *text, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno == ERANGE ||
        value > INT64_MAX) /* JSON's readers have no more */
        return bad_value(arg, text, "a whole number from 0 to 2^63 - 1", err);
    *(uint64_t *)slot = value;
    return ERR_NONE;
}

static int set_choice(const struct arg *arg, void *slot, const char *text, struct err *err)
{
    struct str known = {0};
    for (int i = 0; arg->choices[i]; i++) {
        if (strcmp(arg->choices[i], text) == 0) {
            *(int *)slot = i;
            str_free(&known);
            return ERR_NONE;
        }
        str_printf(&known, "%s%s", i ? ", " : "one of: ", arg->choices[i]);
    }
    int status = bad_value(arg, text, str_text(&known), err);
    str_free(&known);
    return status;
}

static int set_value(const struct found *f, const char *text, struct err *err)
{
    void *slot = f->target + f->arg->offset;
    struct arg_texts *list = slot;
    switch (f->arg->type) {
    case ARG_FLAG:
        *(bool *)slot = true;
        return ERR_NONE;
    case ARG_INT:
    case ARG_FLOAT:
        return set_number(f->arg, slot, text, err);
    case ARG_SEED:
        return set_seed(f->arg, slot, text, err);
    case ARG_CHOICE:
        return set_choice(f->arg, slot, text, err);
    case ARG_TEXT:
        *(const char **)slot = text;
        return ERR_NONE;
    case ARG_TEXTS:
        if (list->count == ARGS_MAX_TEXTS)
            return bad_value(f->arg, text, "at most 64 of them", err);
        list->items[list->count++] = text;
        return ERR_NONE;
    }
    return ERR_NONE;
}

static void set_defaults(const struct arg *args, size_t n, char *target)
{
    for (size_t i = 0; i < n; i++) {
        struct found f = {&args[i], target};
        if (args[i].default_text)
            CHECK(set_value(&f, args[i].default_text, NULL) == ERR_NONE);
    }
}

/* Names what there is to choose from. */
static int forgotten_value(const struct command *command, const struct arg *arg, struct err *err)
{
    struct str known = {0};
    for (int i = 0; arg->choices && arg->choices[i]; i++)
        str_printf(&known, "%s%s", i ? ", " : "; there are ", arg->choices[i]);
    int status = err_set(err, ERR_USAGE, command->name, "--%s needs a value: --%s %s%s", arg->name,
                         arg->name, arg->value, str_text(&known));
    str_free(&known);
    return status;
}

/* One option, words[*at]; moves *at past its value. */
static int take_option(const struct command *command, struct common *common, void *options,
                       int n_words, char *const *words, int *at, struct err *err)
{
    const char *name = words[*at] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    struct found f = find(command, common, options, name, length);
    if (!f.arg) {
        char shown[64];
        snprintf(shown, sizeof shown, "%.*s", (int)(length < 60 ? length : 60), name);
        return unknown_option(command, shown, err);
    }
    if (f.target == options)
        common->given |= UINT64_C(1) << (f.arg - command->args);
    else
        common->common_given |= UINT64_C(1) << (f.arg - common_args);
    if (f.arg->type == ARG_FLAG) {
        if (equals)
            return bad_value(f.arg, equals + 1, "none: it is a switch", err);
        return set_value(&f, NULL, err);
    }
    if (equals)
        return set_value(&f, equals + 1, err);
    const char *value = *at + 1 < n_words ? words[*at + 1] : NULL;
    bool forgotten =
        !value || (strncmp(value, "--", 2) == 0 &&
                   find(command, common, options, value + 2, strcspn(value + 2, "=")).arg);
    if (forgotten)
        return forgotten_value(command, f.arg, err);
    ++*at;
    return set_value(&f, value, err);
}

int args_parse(const struct command *command, struct common *common, void *options, int n_words,
               char *const *words, struct err *err)
{
    *common = (struct common){0};
    memset(options, 0, command->options_size);
    CHECK(command->n_args <= 64); /* bits of `given` */
    set_defaults(common_args, ARRAY_LENGTH(common_args), (char *)common);
    set_defaults(command->args, command->n_args, options);
    bool options_over = false;
    for (int i = 0; i < n_words; i++) {
        const char *word = words[i];
        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && strcmp(word, "-h") == 0) {
            common->help = true;
        } else if (!options_over && strncmp(word, "--", 2) == 0) {
            int status = take_option(command, common, options, n_words, words, &i, err);
            if (status)
                return status;
        } else if (!options_over && word[0] == '-' && word[1]) {
            return err_set(err, ERR_USAGE, command->name,
                           "\"%.60s\": options are written with two dashes", word);
        } else if (common->n_positional == command->max_positional) {
            return err_set(err, ERR_USAGE, command->name, "what is \"%.100s\"? usage: grpo %s%s%s",
                           word, command->name, *command->usage ? " " : "", command->usage);
        } else {
            common->positional[common->n_positional++] = word;
        }
    }
    return ERR_NONE;
}

static bool has_bit(const struct arg *table, size_t n, uint64_t bits, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return bits >> i & 1;
    return false;
}

bool args_given(const struct command *command, const struct common *common, const char *name)
{
    return has_bit(command->args, command->n_args, common->given, name) ||
           has_bit(common_args, ARRAY_LENGTH(common_args), common->common_given, name);
}

enum { HELP_INDENT = 28, HELP_COLUMNS = 100 };

/* Appends words, broken to stay between the indent and the last column. */
static void wrapped(struct str *out, const char *text)
{
    size_t column = HELP_INDENT;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column + n > HELP_COLUMNS && column > HELP_INDENT) {
            out->length -= 1; /* the space before */
            str_printf(out, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        }
        str_append(out, text, n);
        text += n;
        column += n;
        if (*text) {
            str_putc(out, *text++);
            column++;
        }
    }
}

static void help_line(struct str *out, const struct arg *arg)
{
    struct str text = {0};
    size_t start = out->length;
    str_printf(out, "  --%s%s%s", arg->name, arg->value ? " " : "", arg->value ? arg->value : "");
    size_t width = out->length - start;
    if (width > HELP_INDENT - 2)
        str_printf(out, "\n%*s", HELP_INDENT, "");
    else
        str_printf(out, "%*s", (int)(HELP_INDENT - width), "");
    str_puts(&text, arg->help);
    bool choice = arg->choices && arg->type == ARG_CHOICE;
    for (int i = 0; choice && arg->choices[i]; i++)
        str_printf(&text, "%s%s", i ? ", " : " One of ", arg->choices[i]);
    str_puts(&text, choice ? "." : "");
    if (arg->default_text)
        str_printf(&text, " [%s]", arg->default_text);
    wrapped(out, str_text(&text));
    str_putc(out, '\n');
    out->failed = out->failed || text.failed;
    str_free(&text);
}

void args_help(struct str *out, const struct command *command)
{
    str_printf(out, "grpo %s: %s\n\nusage: grpo %s%s%s [options]\n", command->name,
               command->summary, command->name, *command->usage ? " " : "", command->usage);
    if (command->details)
        str_printf(out, "\n%s\n", command->details);
    if (command->n_args)
        str_puts(out, "\nOptions\n");
    for (size_t i = 0; i < command->n_args; i++)
        help_line(out, &command->args[i]);
    str_puts(out, "\nOptions of every command\n");
    for (size_t i = 0; i < ARRAY_LENGTH(common_args); i++)
        if (takes(command, &common_args[i]))
            help_line(out, &common_args[i]);
    if (command->more_help)
        command->more_help(out);
}
