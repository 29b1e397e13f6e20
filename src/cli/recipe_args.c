/* recipe_args.c: see recipe_args.h. */
#include "cli/recipe_args.h"
#include <string.h>
#include "train/identity.h"

int recipe_args_require(const struct command *command, const struct common *common, bool needs_out,
                        const char *out, struct err *err)
{
    if (!common->n_positional)
        return err_set(err, ERR_USAGE, command->name, "which recipe? grpo %s RECIPE%s",
                       command->name, needs_out ? " --out RUN" : "");
    if (needs_out && !out)
        return err_set(err, ERR_USAGE, "--out", "is required: the run folder");
    return ERR_NONE;
}

int recipe_args_out(struct str *out, const struct command *command, const struct common *common,
                    const char *given, struct err *err)
{
    int status = recipe_args_require(command, common, false, NULL, err);
    if (status)
        return status;
    if (given) {
        str_puts(out, given);
        return out->failed ? err_no_memory(err, "--out", out->capacity) : ERR_NONE;
    }
    const char *path = common->positional[0];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t length = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    if (!length || name[0] == '.')
        return err_set(err, ERR_USAGE, "--out",
                       "is required: \"%.200s\" gives no name for a folder below runs/", path);
    str_puts(out, "runs/");
    str_append(out, name, length);
    return out->failed ? err_no_memory(err, "--out", length) : ERR_NONE;
}

size_t recipe_args_sets(const char *sets[ARGS_MAX_TEXTS + 1], const struct command *command,
                        const struct common *common, const struct arg_texts *set)
{
    size_t n = 0;
    for (int i = 0; i < set->count; i++)
        sets[n++] = set->items[i];
    if (args_given(command, common, "precision"))
        sets[n++] = common->precision == PRECISION_F32 ? "precision=f32" : "precision=bf16";
    return n;
}

int recipe_args_device(struct device **out, const struct common *common, int precision,
                       struct err *err)
{
    struct device_options options = {.device = common->device,
                                     .isa = common->isa,
                                     .precision = (enum precision)precision,
                                     .threads = common->threads};
    return device_open(out, &options, err);
}

static bool is_key(const char *name, const struct option_table *table)
{
    const char *section = table->section ? table->section : "";
    size_t length = strlen(section);
    if (length && strcmp(name, section) == 0)
        return true;
    if (length && (strncmp(name, section, length) != 0 || name[length] != '.'))
        return false;
    for (size_t k = 0; k < table->count; k++) {
        if (strcmp(name + length + (length > 0), table->options[k].name) == 0)
            return true;
    }
    return false;
}

static bool is_difference(const char *name, const struct option_table *tables, size_t n_tables)
{
    for (int i = 0; i < N_IDENTITY_PARTS; i++) {
        if (strcmp(name, identity_names[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < n_tables; i++) {
        if (is_key(name, &tables[i]))
            return true;
    }
    return false;
}

int recipe_args_allow(const struct command *command, const struct arg_texts *allow,
                      const struct option_table *tables, size_t n_tables, struct err *err)
{
    for (int i = 0; i < allow->count; i++) {
        if (is_difference(allow->items[i], tables, n_tables))
            continue;
        struct str names = {0};
        for (int p = 0; p < N_IDENTITY_PARTS; p++)
            str_printf(&names, "%s, ", identity_names[p]);
        int status = err_set(err, ERR_USAGE, "--allow",
                             "\"%.80s\" is nothing that a resume compares; there are %sand the "
                             "recipe's keys, such as max_steps (`grpo %s --help` lists them)",
                             allow->items[i], str_text(&names), command->name);
        str_free(&names);
        return status;
    }
    return ERR_NONE;
}

void recipe_args_help(struct str *out, const struct option_table *tables, size_t n_tables)
{
    for (size_t i = 0; i < n_tables; i++) {
        const char *section = tables[i].section;
        if (section)
            str_printf(out, "\nRecipe keys under %s\n", section);
        else if (i == 0 || tables[i - 1].section)
            str_puts(out, "\nRecipe keys\n");
        option_table_help(out, &tables[i]);
    }
}
