/* option.h: options as tables. A module that has settings exports a struct and a table of its
 * fields; the tables drive recipe parsing, --set, --help, defaults, run.json and the docs. An
 * unknown key, a wrong type or a value out of range is ERR_USAGE with the line and the nearest
 * known key. */
#ifndef RECIPE_OPTION_H
#define RECIPE_OPTION_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/yaml.h"

enum option_type {
    OPTION_BOOL,    /* bool */
    OPTION_INT,     /* int */
    OPTION_FLOAT,   /* double */
    OPTION_STRING,  /* const char *, NULL when absent */
    OPTION_CHOICE,  /* int: index into choices */
    OPTION_STRINGS, /* struct string_list: a list, or one string */
    OPTION_INTS,    /* struct int_list: a list, or one integer */
    OPTION_NODE     /* const struct yaml_node *: structured, validated by its owner */
};

struct string_list {
    const char **items;
    size_t count;
};
struct int_list {
    int *items;
    size_t count;
};

struct option {
    const char *name;    /* canonical, as in the recipe */
    const char *aliases; /* space-separated other accepted names (TRL's), or NULL */
    enum option_type type;
    size_t offset;              /* into the struct of its table */
    double min, max;            /* inclusive range of numbers; both 0: any */
    const char *const *choices; /* NULL-terminated, for OPTION_CHOICE */
    const char *default_text;   /* as one would write it; NULL: absent / required by its owner */
    const char *help;           /* one sentence */
};

struct option_table {
    const char *section; /* NULL: top level of the recipe; "lora": the mapping under it */
    const struct option *options;
    size_t count;
    void *target; /* the struct to fill */
};

/* Keys the project knows of but has not built yet: named in an error instead of "unknown". */
struct recipe_reserved {
    const char *name;
    const char *why;
};

typedef struct recipe recipe; /* parsed file and overrides; owns all strings in the targets */

/* Fills the tables' targets with defaults, then the file's values, then the overrides
 * ("key=value", "lora.r=8"). A name and its alias both given with different values is an error. */
int recipe_load(recipe **out, const char *path, const char *const *overrides, size_t n_overrides,
                const struct option_table *tables, size_t n_tables,
                const struct recipe_reserved *reserved, size_t n_reserved, struct err *err);
void recipe_free(recipe *r);
/* Whether the recipe (file or override) names this option; and the line, 0 for an override. */
bool recipe_given(const recipe *r, const char *section, const char *name, int *line);
/* All options of all tables with their values in force, as a JSON object (sections nested), keys in
 * table order; and the SHA-256 of that text. */
void recipe_resolved(const recipe *r, struct str *json);
void recipe_hash(const recipe *r, char out[65]);
/* "name (line N)" for messages about a key. */
const char *recipe_where(const recipe *r, const char *section, const char *name);
/* Turns a YAML node into JSON (numbers, booleans and null by YAML's core schema). */
json_t *recipe_node_json(const struct yaml_node *node);
/* Prints a help text of a table. */
void option_table_help(struct str *out, const struct option_table *table);

#endif
