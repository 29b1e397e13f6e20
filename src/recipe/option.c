/* option.c: recipes against option tables; see option.h.
 *
 * Every option of every table becomes an entry: its names, its default, and who set it last.
 * Loading goes through three layers: defaults, file, overrides. Defaults and overrides are text, so
 * they are parsed by the same YAML reader into trees of their own and take the same path into the
 * target as the file's nodes do: there is one reading of a type (option_value.c).
 *
 * Trees live as long as the recipe, and texts in the targets point into them. Whether two ways of
 * writing a value are equal is decided on their JSON, the same that run.json and the hash use. */
#include "recipe/option.h"
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "recipe/option_value.h"

enum layer { LAYER_DEFAULT, LAYER_FILE, LAYER_OVERRIDE };

struct entry {
    const struct option_table *table;
    const struct option *option;
    const char **names; /* canonical first, then the aliases */
    size_t n_names;
    const char *path;                 /* "lora.r": the canonical name with its section */
    const struct yaml_node *fallback; /* the default's node, NULL when it has none */
    enum layer layer;                 /* who set it last, */
    const char *key;                  /* under which of its names, */
    int line;                         /* where: 0 unless by the file, */
    const char *override;             /* and by which override */
    const char *where;
};

struct recipe {
    char *name; /* of the file, for messages */
    struct option_table *tables;
    size_t n_tables;
    struct entry *entries;
    size_t n_entries;
    struct yaml_node *trees; /* of defaults, file, overrides; the array never grows */
    size_t n_trees;
    struct arena arena;
};

/* What the functions below share while loading. */
struct loading {
    recipe *r;
    const struct recipe_reserved *reserved;
    size_t n_reserved;
    enum layer layer;
    const char *override; /* the "key=value" at hand, NULL in the file */
    const char *section;  /* whose keys are at hand, NULL at the top level */
    struct err *err;
};

static int no_memory(const struct loading *l)
{
    return err_no_memory(l->err, l->r->name, 0);
}

static void *field_of(const struct entry *e)
{
    return (char *)e->table->target + e->option->offset;
}

static bool same_section(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* --- entries --- */

static struct entry *find_entry(const recipe *r, const char *section, const char *key)
{
    for (size_t i = 0; i < r->n_entries; i++) {
        struct entry *e = &r->entries[i];
        if (!same_section(e->table->section, section))
            continue;
        for (size_t j = 0; j < e->n_names; j++)
            if (strcmp(e->names[j], key) == 0)
                return e;
    }
    return NULL;
}

static bool is_section(const recipe *r, const char *key)
{
    for (size_t i = 0; i < r->n_tables; i++)
        if (r->tables[i].section && strcmp(r->tables[i].section, key) == 0)
            return true;
    return false;
}

/* "section.key", or the key alone, in the arena. */
static const char *join_path(struct arena *arena, const char *section, const char *key)
{
    struct str path = {0};
    str_printf(&path, "%s%s%s", section ? section : "", section ? "." : "", key);
    const char *kept = path.failed ? NULL : arena_strndup(arena, str_text(&path), path.length);
    str_free(&path);
    return kept;
}

/* The canonical name and the words of `aliases`, in the arena. */
static bool name_entry(struct arena *arena, struct entry *e)
{
    const char *aliases = e->option->aliases ? e->option->aliases : "";
    e->path = join_path(arena, e->table->section, e->option->name);
    e->names = arena_alloc(arena, (strlen(aliases) / 2 + 2) * sizeof *e->names);
    if (!e->path || !e->names)
        return false;
    e->names[e->n_names++] = e->option->name;
    for (aliases += strspn(aliases, " "); *aliases; aliases += strspn(aliases, " ")) {
        size_t length = strcspn(aliases, " ");
        char *name = arena_strndup(arena, aliases, length);
        if (!name)
            return false;
        e->names[e->n_names++] = name;
        aliases += length;
    }
    return true;
}

/* Two options under one name, or a section named like an option, would be our own mistake. */
static void check_names(const recipe *r)
{
    for (size_t i = 0; i < r->n_entries; i++)
        for (size_t j = 0; j < r->entries[i].n_names; j++) {
            const struct entry *e = &r->entries[i];
            CHECK(find_entry(r, e->table->section, e->names[j]) == e);
            CHECK(e->table->section || !is_section(r, e->names[j]));
        }
}

static int make_entries(struct loading *l, const struct option_table *tables, size_t n_tables,
                        size_t n_overrides)
{
    recipe *r = l->r;
    size_t n = 0;
    for (size_t i = 0; i < n_tables; i++)
        n += tables[i].count;
    r->tables = mem_calloc(n_tables + 1, sizeof *r->tables);
    r->entries = mem_calloc(n + 1, sizeof *r->entries);
    r->trees = mem_calloc(n + 1 + n_overrides, sizeof *r->trees);
    if (!r->tables || !r->entries || !r->trees)
        return no_memory(l);
    for (size_t i = 0; i < n_tables; i++)
        r->tables[i] = tables[i];
    r->n_tables = n_tables;
    for (size_t i = 0; i < n_tables; i++)
        for (size_t j = 0; j < tables[i].count; j++) {
            struct entry *e = &r->entries[r->n_entries++];
            e->table = &r->tables[i];
            e->option = &tables[i].options[j];
            option_clear(e->option, field_of(e));
            if (!name_entry(&r->arena, e))
                return no_memory(l);
        }
    check_names(r);
    return ERR_NONE;
}

/* --- errors --- */

/* "FILE:LINE" or "--set key=value". */
static void put_place(struct str *out, const struct loading *l, int line)
{
    if (l->layer == LAYER_OVERRIDE) {
        str_puts(out, "--set ");
        log_printable(out, l->override, strlen(l->override), 60);
    } else {
        str_printf(out, "%.200s:%d", l->r->name, line);
    }
}

/* A key as a person would write it after --set, in quotes. */
static void put_key(struct str *out, const char *section, const char *key)
{
    str_putc(out, '"');
    if (section)
        str_printf(out, "%s.", section);
    log_printable(out, key, strlen(key), 60);
    str_putc(out, '"');
}

/* ERR_USAGE at a line with a message, which is freed. */
static int refuse(const struct loading *l, int line, struct str *message)
{
    struct str place = {0};
    put_place(&place, l, line);
    int status = place.failed || message->failed
                     ? no_memory(l)
                     : err_set(l->err, ERR_USAGE, str_text(&place), "%s", str_text(message));
    str_free(&place);
    str_free(message);
    return status;
}

/* The known key nearest to this one: in the section, or for a key with a dot, anywhere. */
static int find_nearest(const struct loading *l, const char *key, const char **nearest)
{
    const recipe *r = l->r;
    size_t n = r->n_tables;
    for (size_t i = 0; i < r->n_entries; i++)
        n += r->entries[i].n_names;
    const char **names = mem_calloc(n + 1, sizeof *names);
    if (!names)
        return no_memory(l);
    n = 0;
    bool dotted = !l->section && strchr(key, '.');
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct entry *e = &r->entries[i];
        if (dotted)
            names[n++] = e->path;
        for (size_t j = 0; !dotted && j < e->n_names; j++)
            if (same_section(e->table->section, l->section))
                names[n++] = e->names[j];
    }
    for (size_t i = 0; i < r->n_tables; i++)
        if (!l->section && r->tables[i].section)
            names[n++] = r->tables[i].section;
    int best = str_nearest(key, names, (int)n);
    *nearest = best >= 0 ? names[best] : NULL;
    mem_free(names);
    return ERR_NONE;
}

/* The same key where it does exist ("r" at the top level), or the nearest one here. */
static int put_suggestion(const struct loading *l, struct str *out, const char *key)
{
    for (size_t i = 0; i < l->r->n_entries; i++) {
        const struct entry *e = &l->r->entries[i];
        const char *other = e->table->section;
        if (same_section(other, l->section) || find_entry(l->r, other, key) != e)
            continue;
        str_puts(out, other ? "; did you mean " : "; it belongs at the top level: ");
        put_key(out, other, key);
        str_puts(out, other ? "?" : "");
        return ERR_NONE;
    }
    const char *nearest = NULL;
    int status = find_nearest(l, key, &nearest);
    if (nearest) {
        str_puts(out, "; did you mean ");
        put_key(out, l->section, nearest);
        str_putc(out, '?');
    } else {
        str_puts(out, ", and none is near it; --help lists them");
    }
    return status;
}

/* A reserved key, a key of a reserved section, or a reserved key of the section at hand. */
static const struct recipe_reserved *find_reserved(const struct loading *l, const char *key)
{
    size_t prefix = l->section ? strlen(l->section) : 0;
    for (size_t i = 0; i < l->n_reserved; i++) {
        const char *name = l->reserved[i].name;
        if (prefix) {
            if (strncmp(name, l->section, prefix) != 0 || name[prefix] != '.')
                continue;
            name += prefix + 1;
        }
        size_t length = strlen(name);
        if (strncmp(key, name, length) == 0 && (!key[length] || key[length] == '.'))
            return &l->reserved[i];
    }
    return NULL;
}

/* "rewards.push" where "rewards" is an option and no section. */
static bool is_inside(const struct loading *l, const char *key)
{
    size_t length = strcspn(key, ".");
    for (size_t i = 0; key[length] && i < l->r->n_entries; i++) {
        const struct entry *e = &l->r->entries[i];
        for (size_t j = 0; j < e->n_names && same_section(e->table->section, l->section); j++)
            if (strncmp(e->names[j], key, length) == 0 && !e->names[j][length])
                return true;
    }
    return false;
}

/* "lora.r: 8" in the file, as --set would have it. */
static bool in_section_by_dot(const struct loading *l, const char *key)
{
    const char *dot = strchr(key, '.');
    for (size_t i = 0; dot && !l->section && i < l->r->n_tables; i++) {
        const char *section = l->r->tables[i].section;
        if (section && strncmp(key, section, strlen(section)) == 0 && key + strlen(section) == dot)
            return true;
    }
    return false;
}

static int unknown_key(const struct loading *l, const char *key, int line)
{
    struct str message = {0};
    put_key(&message, l->section, key);
    const struct recipe_reserved *reserved = find_reserved(l, key);
    if (reserved) {
        str_printf(&message, " is known but not built yet: %s", reserved->why);
        return refuse(l, line, &message);
    }
    if (in_section_by_dot(l, key)) {
        str_printf(&message, " is written as a mapping: \"%.*s:\", and the key indented under it",
                   (int)strcspn(key, "."), key);
        return refuse(l, line, &message);
    }
    if (is_inside(l, key)) {
        str_printf(&message, " cannot be set by itself; give \"%.*s\" whole",
                   (int)strcspn(key, "."), key);
        return refuse(l, line, &message);
    }
    str_puts(&message, " is not a known key");
    int status = put_suggestion(l, &message, key);
    if (!status)
        return refuse(l, line, &message);
    str_free(&message);
    return status;
}

/* --- values --- */

static int set_default(const struct loading *l, const struct entry *e)
{
    option_clear(e->option, field_of(e));
    if (!e->fallback || option_is_null(e->fallback))
        return ERR_NONE;
    struct option_problem problem = {0};
    int status = option_set(e->option, field_of(e), e->fallback, &l->r->arena, &problem);
    str_free(&problem.text);
    CHECK(!status || status == ERR_MACHINE); /* a default of ours is a valid value */
    return status ? no_memory(l) : ERR_NONE;
}

/* null, or nothing after the colon. Where there is a default, a forgotten value is likelier than
 * the wish for the default, so it is refused; but a text is often set to null to say "none". */
static bool means_default(const struct entry *e, const struct yaml_node *node)
{
    return option_is_null(node) &&
           (e->option->type == OPTION_STRING || !e->fallback || option_is_null(e->fallback));
}

static int set_value(const struct loading *l, const struct entry *e, const struct yaml_node *node)
{
    if (means_default(e, node))
        return set_default(l, e);
    struct option_problem problem = {0};
    int status = option_is_null(node)
                     ? option_refuse(e->option, node, &problem)
                     : option_set(e->option, field_of(e), node, &l->r->arena, &problem);
    struct str message = {0};
    if (status == ERR_USAGE) {
        put_key(&message, l->section, node->key);
        str_puts(&message, problem.node == node ? " " : " has an item that ");
        str_append(&message, str_text(&problem.text), problem.text.length);
        status = refuse(l, problem.node->line, &message);
    } else if (status) {
        status = no_memory(l);
    }
    str_free(&problem.text);
    return status;
}

/* The value in force; null where nobody gave one. */
static void write_value(struct json_writer *w, const struct entry *e)
{
    bool has_default = e->fallback && !option_is_null(e->fallback);
    if (e->layer == LAYER_DEFAULT && !has_default && option_is_clear(e->option, field_of(e)))
        jw_null(w);
    else
        option_write(w, e->option, field_of(e));
}

static void put_said(struct str *out, const struct loading *l, const char *key,
                     const struct str *value, int line)
{
    put_key(out, l->section, key);
    str_printf(out, " is %.100s", str_text(value));
    if (l->layer == LAYER_FILE)
        str_printf(out, " on line %d", line);
}

/* The entry was set in this layer under another of its names; `before` is its value then. */
static int check_twice(const struct loading *l, const struct entry *e, const struct str *before,
                       const struct yaml_node *node)
{
    struct str now = {0}, message = {0};
    struct json_writer w;
    jw_begin(&w, &now);
    write_value(&w, e);
    int status = ERR_NONE;
    if (now.failed || before->failed) {
        status = no_memory(l);
    } else if (strcmp(str_text(&now), str_text(before)) != 0) {
        put_said(&message, l, e->key, before, e->line);
        str_puts(&message, " but ");
        put_said(&message, l, node->key, &now, node->line);
        str_puts(&message, ", and these are two names of one option; give it once");
        status = refuse(l, node->line, &message);
    }
    str_free(&now);
    return status;
}

static int apply_value(const struct loading *l, struct entry *e, const struct yaml_node *node)
{
    bool twice = e->layer == l->layer && strcmp(e->key, node->key) != 0;
    struct str before = {0};
    if (twice) {
        struct json_writer w;
        jw_begin(&w, &before);
        write_value(&w, e);
    }
    int status = set_value(l, e, node);
    if (!status && twice)
        status = check_twice(l, e, &before, node);
    str_free(&before);
    e->layer = l->layer;
    e->key = node->key;
    e->line = l->layer == LAYER_FILE ? node->line : 0;
    e->override = l->override;
    return status;
}

/* --- documents --- */

static int apply_mapping(struct loading *l, const struct yaml_node *mapping);

static int apply_section(struct loading *l, const struct yaml_node *node)
{
    if (option_is_null(node)) /* a heading with nothing under it */
        return ERR_NONE;
    if (node->kind != YAML_MAPPING) {
        struct str message = {0};
        put_key(&message, NULL, node->key);
        str_puts(&message, " is ");
        option_put_found(&message, node);
        str_puts(&message, ", expected a section: a mapping of its keys");
        return refuse(l, node->line, &message);
    }
    l->section = node->key;
    int status = apply_mapping(l, node);
    l->section = NULL;
    return status;
}

static int apply_key(struct loading *l, const struct yaml_node *node)
{
    struct entry *e = find_entry(l->r, l->section, node->key);
    if (e)
        return apply_value(l, e, node);
    if (!l->section && is_section(l->r, node->key))
        return apply_section(l, node);
    return unknown_key(l, node->key, node->line);
}

static int apply_mapping(struct loading *l, const struct yaml_node *mapping)
{
    int status = ERR_NONE;
    for (size_t i = 0; i < mapping->n_children && !status; i++)
        status = apply_key(l, &mapping->children[i]);
    return status;
}

/* Text to a tree of one value. As the only item of a list it may be of any kind, or nothing. */
static int parse_value(struct loading *l, const char *text, struct yaml_node **value)
{
    struct yaml_node *tree = &l->r->trees[l->r->n_trees];
    struct str document = {0};
    str_puts(&document, "- ");
    str_puts(&document, text);
    int status = document.failed
                     ? no_memory(l)
                     : yaml_parse(tree, str_text(&document), document.length, "", l->err);
    str_free(&document);
    if (status)
        return status;
    l->r->n_trees++;
    if (tree->kind != YAML_LIST || tree->n_children != 1)
        return err_set(l->err, ERR_USAGE, "", "it holds more than one value");
    *value = &tree->children[0];
    return ERR_NONE;
}

static int apply_defaults(struct loading *l)
{
    for (size_t i = 0; i < l->r->n_entries; i++) {
        struct entry *e = &l->r->entries[i];
        struct yaml_node *node = NULL;
        int status = ERR_NONE;
        if (e->option->default_text)
            status = parse_value(l, e->option->default_text, &node);
        CHECK(!status || status == ERR_MACHINE);
        e->fallback = node;
        if (!status)
            status = set_default(l, e);
        if (status)
            return status;
    }
    return ERR_NONE;
}

static int apply_file(struct loading *l, const char *path)
{
    recipe *r = l->r;
    struct str text = {0};
    int status = file_read(&text, path, l->err);
    if (status == ERR_INPUT) { /* a recipe that is not there is wrong usage */
        status = ERR_USAGE;
        if (l->err)
            l->err->code = ERR_USAGE;
    }
    struct yaml_node *root = &r->trees[r->n_trees];
    if (!status)
        status = yaml_parse(root, str_text(&text), text.length, r->name, l->err);
    str_free(&text);
    if (status)
        return status;
    r->n_trees++;
    if (root->kind == YAML_MAPPING)
        return apply_mapping(l, root);
    struct str message = {0};
    str_puts(&message, "the recipe is ");
    option_put_found(&message, root);
    str_puts(&message, ", expected lines of \"key: value\"");
    return refuse(l, root->line, &message);
}

/* An error about the text of an override, said of the override. */
static int override_error(const struct loading *l, int status)
{
    if (!l->err || status == ERR_MACHINE)
        return status;
    struct str message = {0};
    str_printf(&message, "the value is not YAML: %.500s (put quotes around text)", l->err->message);
    return refuse(l, 0, &message);
}

/* Cuts "lora.r" at the dot when there is a section of that name; returns the key in it. */
static char *enter_section(struct loading *l, char *path)
{
    char *dot = strchr(path, '.');
    if (!dot)
        return path;
    *dot = 0;
    if (is_section(l->r, path)) {
        l->section = path;
        return dot + 1;
    }
    *dot = '.';
    return path;
}

static int apply_override(struct loading *l, const char *text)
{
    l->layer = LAYER_OVERRIDE;
    l->override = text;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        struct str message = {0};
        str_puts(&message, "expected key=value");
        return refuse(l, 0, &message);
    }
    struct yaml_node *node = NULL;
    int status = parse_value(l, equals + 1, &node);
    if (status)
        return override_error(l, status);
    char *path = arena_strndup(&l->r->arena, text, (size_t)(equals - text));
    node->key = path ? mem_strdup(enter_section(l, path)) : NULL;
    status = node->key ? apply_key(l, node) : no_memory(l);
    l->section = NULL;
    return status;
}

/* --- the public functions --- */

static int fill_where(struct loading *l)
{
    for (size_t i = 0; i < l->r->n_entries; i++) {
        struct entry *e = &l->r->entries[i];
        struct str place = {0};
        l->layer = e->layer;
        l->override = e->override;
        if (e->layer == LAYER_DEFAULT)
            str_printf(&place, "%.200s", l->r->name);
        else
            put_place(&place, l, e->line);
        if (e->layer != LAYER_OVERRIDE)
            str_printf(&place, ": %s", e->path);
        if (!place.failed)
            e->where = arena_strndup(&l->r->arena, str_text(&place), place.length);
        str_free(&place);
        if (!e->where)
            return no_memory(l);
    }
    return ERR_NONE;
}

static int apply_overrides(struct loading *l, const char *const *overrides, size_t n)
{
    int status = ERR_NONE;
    for (size_t i = 0; i < n && !status; i++) {
        /* A copy, since the entries remember it. */
        const char *text = arena_strndup(&l->r->arena, overrides[i], strlen(overrides[i]));
        status = text ? apply_override(l, text) : no_memory(l);
    }
    return status;
}

int recipe_load(recipe **out, const char *path, const char *const *overrides, size_t n_overrides,
                const struct option_table *tables, size_t n_tables,
                const struct recipe_reserved *reserved, size_t n_reserved, struct err *err)
{
    *out = NULL;
    const char *name = !path ? "no recipe" : strcmp(path, "-") == 0 ? "standard input" : path;
    recipe *r = mem_calloc(1, sizeof *r);
    if (!r || !(r->name = mem_strdup(name))) {
        mem_free(r);
        return err_no_memory(err, name, sizeof *r);
    }
    struct loading l = {.r = r, .reserved = reserved, .n_reserved = n_reserved, .err = err};
    int status = make_entries(&l, tables, n_tables, n_overrides);
    if (!status)
        status = apply_defaults(&l);
    l.layer = LAYER_FILE;
    if (!status && path)
        status = apply_file(&l, path);
    if (!status)
        status = apply_overrides(&l, overrides, n_overrides);
    if (!status)
        status = fill_where(&l);
    if (status) { /* the targets must not point into what is freed */
        for (size_t i = 0; i < r->n_entries; i++)
            option_clear(r->entries[i].option, field_of(&r->entries[i]));
        recipe_free(r);
        return status;
    }
    *out = r;
    return ERR_NONE;
}

void recipe_free(recipe *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_trees; i++)
        yaml_free(&r->trees[i]);
    mem_free(r->trees);
    mem_free(r->entries);
    mem_free(r->tables);
    mem_free(r->name);
    arena_free(&r->arena);
    mem_free(r);
}

bool recipe_given(const recipe *r, const char *section, const char *name, int *line)
{
    const struct entry *e = find_entry(r, section, name);
    CHECK(e);
    if (e->layer == LAYER_DEFAULT)
        return false;
    if (line)
        *line = e->line;
    return true;
}

const char *recipe_where(const recipe *r, const char *section, const char *name)
{
    const struct entry *e = find_entry(r, section, name);
    CHECK(e);
    return e->where;
}

/* Options of one section of all tables (which may share it), or of the top level. */
static void write_options(const recipe *r, struct json_writer *w, const char *section,
                          const struct option_table *only)
{
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct entry *e = &r->entries[i];
        if (!same_section(e->table->section, section) || (only && e->table != only))
            continue;
        jw_key(w, e->option->name);
        write_value(w, e);
    }
}

static void write_resolved(const recipe *r, struct str *json, bool aside)
{
    struct json_writer w;
    jw_begin(&w, json);
    jw_object_begin(&w);
    for (size_t i = 0; i < r->n_tables; i++) {
        const struct option_table *table = &r->tables[i];
        size_t first = 0;
        CHECK(!table->aside || !table->section);
        if (table->aside && !aside)
            continue;
        while (!same_section(r->tables[first].section, table->section))
            first++;
        if (!table->section) {
            write_options(r, &w, NULL, table);
        } else if (first == i) {
            jw_key(&w, table->section);
            jw_object_begin(&w);
            write_options(r, &w, table->section, NULL);
            jw_object_end(&w);
        }
    }
    jw_object_end(&w);
}

void recipe_resolved(const recipe *r, struct str *json)
{
    write_resolved(r, json, false);
}

void recipe_resolved_all(const recipe *r, struct str *json)
{
    write_resolved(r, json, true);
}

void recipe_hash(const recipe *r, char out[65])
{
    struct str json = {0};
    recipe_resolved(r, &json);
    if (json.failed)
        out[0] = 0;
    else
        sha256_hex(out, str_text(&json), json.length);
    str_free(&json);
}
