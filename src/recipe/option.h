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

/* What the field holds when the option has no value: neither given nor a default. */
enum option_type {
    OPTION_BOOL,    /* bool                                                   absent: false */
    OPTION_INT,     /* int; never written as 8.0                              absent: 0 */
    OPTION_FLOAT,   /* double; never NaN or infinite when given               absent: NaN */
    OPTION_STRING,  /* const char *; any scalar, as written                   absent: NULL */
    OPTION_CHOICE,  /* int: index into choices                                absent: -1 */
    OPTION_STRINGS, /* struct string_list: a list, or one string              absent: empty */
    OPTION_INTS,    /* struct int_list: a list, or one integer                absent: empty */
    OPTION_NODE     /* const struct yaml_node *: structured, its owner checks absent: NULL */
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
    double min, max;            /* inclusive range of numbers; both 0: any; ±INFINITY: open */
    const char *const *choices; /* NULL-terminated, for OPTION_CHOICE */
    const char *default_text;   /* as one would write it; NULL: absent / required by its owner */
    const char *help;           /* one sentence */
};

struct option_table {
    const char *section; /* NULL: top level of the recipe; "lora": the mapping under it */
    const struct option *options;
    size_t count;
    void *target; /* the struct to fill */
    bool aside;   /* top level only: not in recipe_resolved, for it decides nothing of a run */
};
/* Several tables may share a section; a name may occur in one of them only (CHECKed). */

/* Keys the project knows of but has not built yet: named in an error instead of "unknown". */
struct recipe_reserved {
    const char *name; /* "use_vllm", or "lora.use_dora" */
    const char *why;  /* ends the sentence "KEY is known but not built yet: ..." */
};

typedef struct recipe recipe; /* parsed file and overrides; owns all strings in the targets */

/* Fills the tables' targets with defaults, then the file's values, then the overrides
 * ("key=value", "lora.r=8"; the value is YAML; the last one of a key counts). path "-" is standard
 * input, NULL no file at all. A name and its alias given with different values, both in the file or
 * both in overrides, is an error; an override replaces the file's value under either name.
 * null (or nothing) after a key means absent and is refused where there is a default to delete the
 * line for, except that an OPTION_STRING goes back to its default. The tables' options and targets
 * must outlive the recipe; on an error every option is absent. */
int recipe_load(recipe **out, const char *path, const char *const *overrides, size_t n_overrides,
                const struct option_table *tables, size_t n_tables,
                const struct recipe_reserved *reserved, size_t n_reserved, struct err *err);
void recipe_free(recipe *r);
/* Whether the recipe (file or override) names this option; and the line, 0 for an override. */
bool recipe_given(const recipe *r, const char *section, const char *name, int *line);
/* All options of all tables with the values their targets hold now, as a JSON object (sections
 * nested where first met), keys in table order, null for what is absent; and the SHA-256 of that
 * text ("" when memory is out). */
void recipe_resolved(const recipe *r, struct str *json);
/* The same with the tables that stand aside. */
void recipe_resolved_all(const recipe *r, struct str *json);
void recipe_hash(const recipe *r, char out[65]);
/* Where a key's value comes from, for struct err's `where`: "FILE:LINE: lora.r", "--set lora.r=8",
 * or "FILE: lora.r" when it is not given. Owned by the recipe. */
const char *recipe_where(const recipe *r, const char *section, const char *name);
/* Turns a YAML node into JSON (numbers, booleans and null by YAML's core schema; .inf and .nan,
 * which JSON lacks, stay text). Caller's reference; NULL when memory is out. */
json_t *recipe_node_json(const struct yaml_node *node);
/* Appends a help text of a table: name, type or choices, what it is, default; 100 columns. */
void option_table_help(struct str *out, const struct option_table *table);

#endif
