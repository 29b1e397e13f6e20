/* yaml.h: a YAML document as a tree that remembers lines, over libyaml. No aliases, no tags beyond
 * the core ones, no merge keys, no duplicate keys: a recipe is data, not a program. JSON is YAML.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

/* libyaml exports a function called yaml_free too, for its own blocks: ours must stay invisible to
 * the dynamic linker or libyaml would call it. */
#pragma GCC visibility push(hidden)

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    int line;                   /* 1-based */
    char *key;                  /* inside a mapping, else NULL */
    char *text;                 /* scalar */
    bool quoted;                /* scalar was quoted: always a string */
    struct yaml_node *children; /* list or mapping, in order */
    size_t n_children;
};

/* Bytes to a tree; ERR_USAGE with "name:line" on error. An empty document is an empty mapping. */
int yaml_parse(struct yaml_node *root, const char *data, size_t size, const char *name,
               struct err *err);
void yaml_free(struct yaml_node *root); /* frees what root points to, not root itself */
const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key);

#pragma GCC visibility pop

#endif
