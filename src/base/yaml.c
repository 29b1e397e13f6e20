/* yaml.c: libyaml's events to a tree with lines; see yaml.h. */
#include "base/yaml.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "base/mem.h"

enum { MAX_DEPTH = 32, MAX_KEYS = 10000 }; /* keys are compared pairwise: bound the square */

struct reader {
    yaml_parser_t parser;
    const char *data; /* the whole text, to find the line of an invalid byte */
    size_t size;
    const char *name;
    struct err *err;
};

static int fail(struct reader *r, int line, const char *message)
{
    char where[256];
    snprintf(where, sizeof where, "%s:%d", r->name, line);
    return err_set(r->err, ERR_USAGE, where, "%s", message);
}

static int no_memory(struct reader *r)
{
    return err_no_memory(r->err, r->name, 0);
}

static int next(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return ERR_NONE;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return no_memory(r);
    /* The reader (encoding) knows an offset only, the scanner and parser know the line. */
    int line = (int)r->parser.problem_mark.line + 1;
    if (r->parser.error == YAML_READER_ERROR) {
        line = 1;
        for (size_t i = 0; i < r->parser.problem_offset && i < r->size; i++)
            line += r->data[i] == '\n';
    }
    return fail(r, line, r->parser.problem ? r->parser.problem : "is not valid YAML");
}

static int read_node(struct reader *r, struct yaml_node *node, yaml_event_t *event, int depth);

/* "!!str" and its kin say what plain YAML says anyway; "!name" and "!!python/…" ask for a program.
 */
static int check_tag(struct reader *r, int line, const yaml_char_t *tag,
                     const char *const *accepted)
{
    if (!tag || strcmp((const char *)tag, "!") == 0)
        return ERR_NONE;
    static const char core[] = "tag:yaml.org,2002:";
    const char *name = (const char *)tag;
    if (strncmp(name, core, sizeof core - 1) == 0)
        for (; *accepted; accepted++)
            if (strcmp(name + sizeof core - 1, *accepted) == 0)
                return ERR_NONE;
    char message[300];
    snprintf(message, sizeof message, "the tag %.200s is not supported here", name);
    return fail(r, line, message);
}

static const char *const scalar_tags[] = {"str", "int", "float", "bool", "null", NULL};
static const char *const list_tags[] = {"seq", NULL}, *const mapping_tags[] = {"map", NULL};

static int set_scalar(struct reader *r, struct yaml_node *node, const yaml_event_t *event)
{
    node->kind = YAML_SCALAR;
    const yaml_char_t *tag = event->data.scalar.tag;
    int status = check_tag(r, node->line, tag, scalar_tags);
    if (status)
        return status;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                   (tag && (strcmp((const char *)tag, "!") == 0 ||
                            strcmp((const char *)tag, "tag:yaml.org,2002:str") == 0));
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return fail(r, node->line, "a value holds a NUL character");
    node->text = mem_strdup(text);
    return node->text ? ERR_NONE : no_memory(r);
}

static struct yaml_node *add_child(struct reader *r, struct yaml_node *node)
{
    size_t n = node->n_children;
    if ((n & (n - 1)) == 0) { /* grow at powers of two */
        struct yaml_node *grown = mem_realloc(node->children, (n ? 2 * n : 1) * sizeof *grown);
        if (!grown) {
            no_memory(r);
            return NULL;
        }
        node->children = grown;
    }
    memset(&node->children[n], 0, sizeof node->children[n]);
    node->n_children++;
    return &node->children[n];
}

static int read_key(struct reader *r, struct yaml_node *mapping, struct yaml_node *child,
                    yaml_event_t *event)
{
    int line = (int)event->start_mark.line + 1;
    if (event->type != YAML_SCALAR_EVENT)
        return fail(r, line, "a key must be plain text");
    const char *key = (const char *)event->data.scalar.value;
    if (strlen(key) != event->data.scalar.length)
        return fail(r, line, "a key holds a NUL character");
    if (strcmp(key, "<<") == 0)
        return fail(r, line, "merge keys (<<) are not supported in a recipe");
    if (yaml_find(mapping, key)) {
        char message[300];
        snprintf(message, sizeof message, "the key \"%.200s\" appears twice", key);
        return fail(r, line, message);
    }
    if (mapping->n_children > MAX_KEYS)
        return fail(r, line, "a mapping holds more keys than any recipe needs");
    child->key = mem_strdup(key);
    child->line = line;
    return child->key ? ERR_NONE : no_memory(r);
}

/* Children of a list or mapping, up to its end event. */
static int read_children(struct reader *r, struct yaml_node *node, int depth)
{
    yaml_event_type_t end =
        node->kind == YAML_MAPPING ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        yaml_event_t event;
        int status = next(r, &event);
        if (status)
            return status;
        if (event.type == end) {
            yaml_event_delete(&event);
            return ERR_NONE;
        }
        /* A key must be compared with the keys before it, so it is read before it is counted. */
        struct yaml_node *child = add_child(r, node);
        status = child ? ERR_NONE : ERR_MACHINE;
        if (!status && node->kind == YAML_MAPPING) {
            status = read_key(r, node, child, &event);
            yaml_event_delete(&event);
            if (status || (status = next(r, &event)))
                return status;
        }
        if (!status)
            status = read_node(r, child, &event, depth + 1);
        yaml_event_delete(&event);
        if (status)
            return status;
    }
}

static int read_node(struct reader *r, struct yaml_node *node, yaml_event_t *event, int depth)
{
    int line = (int)event->start_mark.line + 1;
    if (!node->line)
        node->line = line;
    if (depth > MAX_DEPTH)
        return fail(r, line, "is nested too deeply");
    int status;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return set_scalar(r, node, event);
    case YAML_SEQUENCE_START_EVENT:
        node->kind = YAML_LIST;
        if ((status = check_tag(r, line, event->data.sequence_start.tag, list_tags)))
            return status;
        return read_children(r, node, depth);
    case YAML_MAPPING_START_EVENT:
        node->kind = YAML_MAPPING;
        if ((status = check_tag(r, line, event->data.mapping_start.tag, mapping_tags)))
            return status;
        return read_children(r, node, depth);
    case YAML_ALIAS_EVENT:
        return fail(r, line, "aliases (*name) are not supported in a recipe: write the value out");
    default:
        return fail(r, line, "expected a value");
    }
}

/* stream start, document start, one node, document end, stream end */
static int read_document(struct reader *r, struct yaml_node *root)
{
    yaml_event_t event;
    int status;
    bool seen = false;
    for (;;) {
        if ((status = next(r, &event)))
            return status;
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            return ERR_NONE;
        }
        if (type == YAML_DOCUMENT_START_EVENT && seen)
            status = fail(r, (int)event.start_mark.line + 1, "holds more than one document");
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                 type != YAML_DOCUMENT_END_EVENT)
            status = read_node(r, root, &event, 0);
        seen = seen || type == YAML_DOCUMENT_START_EVENT;
        yaml_event_delete(&event);
        if (status)
            return status;
    }
}

int yaml_parse(struct yaml_node *root, const char *data, size_t size, const char *name,
               struct err *err)
{
    memset(root, 0, sizeof *root);
    root->kind = YAML_MAPPING;
    struct reader r = {.name = name, .err = err, .data = data, .size = size};
    if (!yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(data ? data : ""), size);
    int status = read_document(&r, root);
    yaml_parser_delete(&r.parser);
    /* "---" alone, or only comments after it: an empty document, too. */
    if (!status && root->kind == YAML_SCALAR && !root->quoted && !root->text[0]) {
        yaml_free(root);
        root->kind = YAML_MAPPING;
    }
    if (status)
        yaml_free(root);
    return status;
}

void yaml_free(struct yaml_node *root)
{
    for (size_t i = 0; i < root->n_children; i++)
        yaml_free(&root->children[i]);
    mem_free(root->children);
    mem_free(root->key);
    mem_free(root->text);
    memset(root, 0, sizeof *root);
}

const struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key)
{
    if (mapping->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->n_children; i++)
        if (mapping->children[i].key && strcmp(mapping->children[i].key, key) == 0)
            return &mapping->children[i];
    return NULL;
}
