/* option_value.h: one option, its field and a YAML node: reading the node into the field, writing
 * the field as JSON, and the words about both. Knows no recipe, file or table. */
#ifndef RECIPE_OPTION_VALUE_H
#define RECIPE_OPTION_VALUE_H
#include "base/str.h"
#include "recipe/option.h"

struct option_problem {
    const struct yaml_node *node; /* the one at fault: the value, or an item of it */
    struct str text;              /* "is 8.5, expected an integer from 1 to 64; ..." */
};

/* Puts into the field what "absent" is for its type (option.h). */
void option_clear(const struct option *o, void *field);
/* Reads a node that is not null. Lists are made in the arena; texts and nodes point into the node.
 * ERR_USAGE with *problem filled (free its text), or ERR_MACHINE; *problem starts zeroed. */
int option_set(const struct option *o, void *field, const struct yaml_node *node,
               struct arena *arena, struct option_problem *problem);
/* Fills *problem with a node this option cannot take (option_set does; null is the caller's). */
int option_refuse(const struct option *o, const struct yaml_node *node,
                  struct option_problem *problem);

bool option_is_null(const struct yaml_node *node);
/* Whether the field holds what option_clear puts there. */
bool option_is_clear(const struct option *o, const void *field);
/* The field as JSON; what is absent by a value of its own (NaN, NULL, -1) is null. */
void option_write(struct json_writer *w, const struct option *o, const void *field);

/* "8.5", "\"abc\"", "a list": what a node is, in a few printable words. */
void option_put_found(struct str *out, const struct yaml_node *node);

#endif
