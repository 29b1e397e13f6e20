/* option_value.c: nodes to fields, fields to JSON, and what to say when a node does not fit; see
 * option_value.h.
 *
 * The reading is as strict as a careful user would want: an integer is not written 8.0, a boolean
 * is not written yes, a number is not in quotes, and nothing is rounded, clamped or guessed. Each
 * refusal says what was found and what was expected, and where the mistake is a common one, what to
 * write instead. */
#include "recipe/option_value.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"
#include "recipe/scalar.h"

/* --- what was found and what was expected --- */

static void put_scalar(struct str *out, const struct yaml_node *node)
{
    struct scalar s = scalar_read(node);
    if (s.type == SCALAR_NULL) {
        str_puts(out, node->text[0] ? "null" : "empty");
        return;
    }
    if (s.type == SCALAR_TEXT)
        str_putc(out, '"');
    log_printable(out, node->text, strlen(node->text), 60);
    if (s.type == SCALAR_TEXT)
        str_putc(out, '"');
}

void option_put_found(struct str *out, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR)
        put_scalar(out, node);
    else
        str_puts(out, node->kind == YAML_LIST ? "a list" : "a mapping");
}

static bool has_range(const struct option *o)
{
    return (o->min != 0 || o->max != 0) && (isfinite(o->min) || isfinite(o->max));
}

static bool in_range(const struct option *o, double value)
{
    return !has_range(o) || (value >= o->min && value <= o->max);
}

static void put_range(struct str *out, const struct option *o)
{
    if (!has_range(o))
        return;
    if (isfinite(o->min) && isfinite(o->max))
        str_printf(out, " from %.15g to %.15g", o->min, o->max);
    else if (isfinite(o->min))
        str_printf(out, " of at least %.15g", o->min);
    else
        str_printf(out, " of at most %.15g", o->max);
}

/* All choices, the one nearest to what was found first. */
static void put_choices(struct str *out, const struct option *o, const struct yaml_node *found)
{
    int n = 0;
    while (o->choices[n])
        n++;
    CHECK(n > 0);
    int nearest = found->kind == YAML_SCALAR ? str_nearest(found->text, o->choices, n) : -1;
    int first = nearest < 0 ? 0 : nearest;
    for (int i = 0; i < n; i++) {
        int choice = i == 0 ? first : i <= first ? i - 1 : i;
        const char *separator = i == 0 ? "" : i == n - 1 ? " or " : ", ";
        str_puts(out, separator);
        str_putc(out, '"');
        str_puts(out, o->choices[choice]);
        str_putc(out, '"');
    }
}

static void put_expected(struct str *out, const struct option *o, const struct yaml_node *found)
{
    switch (o->type) {
    case OPTION_BOOL:
        str_puts(out, "true or false");
        break;
    case OPTION_INT:
        str_puts(out, "an integer");
        put_range(out, o);
        break;
    case OPTION_FLOAT:
        str_puts(out, "a number");
        put_range(out, o);
        break;
    case OPTION_STRING:
        str_puts(out, "text");
        break;
    case OPTION_CHOICE:
        put_choices(out, o, found);
        break;
    case OPTION_STRINGS:
        str_puts(out, "a list of texts, or one text");
        break;
    case OPTION_INTS:
        str_puts(out, "a list of integers");
        put_range(out, o);
        str_puts(out, ", or one integer");
        break;
    case OPTION_NODE:
        str_puts(out, "a value");
        break;
    }
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* YAML 1.1's other booleans, and C's. */
static const char *boolean_meant(const char *text)
{
    static const char *const yes[] = {"yes", "Yes", "YES", "on", "On", "ON", "y", "Y", "1", NULL};
    static const char *const no[] = {"no", "No", "NO", "off", "Off", "OFF", "n", "N", "0", NULL};
    return is_one_of(text, yes) ? "true" : is_one_of(text, no) ? "false" : NULL;
}

static bool is_int(double value)
{
    return value == floor(value) && value >= INT_MIN && value <= INT_MAX;
}

/* What to write instead, where the mistake is a known one. */
static void put_hint(struct str *out, const struct option *o, const struct yaml_node *found)
{
    bool integral = o->type == OPTION_INT || o->type == OPTION_INTS;
    bool numeric = integral || o->type == OPTION_FLOAT, boolean = o->type == OPTION_BOOL;
    if (found->kind != YAML_SCALAR) {
        if (o->type == OPTION_STRING)
            str_puts(out, "; put quotes around the text");
        return;
    }
    struct yaml_node bare = *found;
    bare.quoted = false;
    struct scalar s = scalar_read(found), inside = scalar_read(&bare);
    bool number_inside = inside.type == SCALAR_INT || inside.type == SCALAR_FLOAT;
    if (s.type == SCALAR_NULL && o->default_text)
        str_printf(out, "; delete the line for the default, %s", o->default_text);
    else if (boolean && boolean_meant(found->text))
        str_printf(out, "; write %s", boolean_meant(found->text));
    else if (found->quoted &&
             ((numeric && number_inside) || (boolean && inside.type == SCALAR_BOOL)))
        str_puts(out, "; write it without quotes");
    else if (integral && s.type == SCALAR_FLOAT && is_int(s.number) && in_range(o, s.number))
        str_printf(out, "; write %.0f", s.number);
    else if (o->type == OPTION_FLOAT && s.type == SCALAR_TEXT && strchr(found->text, ','))
        str_puts(out, "; the decimal mark is a point");
}

int option_refuse(const struct option *o, const struct yaml_node *node,
                  struct option_problem *problem)
{
    problem->node = node;
    str_puts(&problem->text, "is ");
    option_put_found(&problem->text, node);
    str_puts(&problem->text, ", expected ");
    put_expected(&problem->text, o, node);
    put_hint(&problem->text, o, node);
    return problem->text.failed ? ERR_MACHINE : ERR_USAGE;
}

/* --- absent --- */

void option_clear(const struct option *o, void *field)
{
    switch (o->type) {
    case OPTION_BOOL:
        *(bool *)field = false;
        break;
    case OPTION_INT:
        *(int *)field = 0;
        break;
    case OPTION_FLOAT:
        *(double *)field = NAN;
        break;
    case OPTION_STRING:
        *(const char **)field = NULL;
        break;
    case OPTION_CHOICE:
        *(int *)field = -1;
        break;
    case OPTION_STRINGS:
        *(struct string_list *)field = (struct string_list){0};
        break;
    case OPTION_INTS:
        *(struct int_list *)field = (struct int_list){0};
        break;
    case OPTION_NODE:
        *(const struct yaml_node **)field = NULL;
        break;
    }
}

bool option_is_clear(const struct option *o, const void *field)
{
    switch (o->type) {
    case OPTION_BOOL:
        return !*(const bool *)field;
    case OPTION_INT:
        return *(const int *)field == 0;
    case OPTION_FLOAT:
        return isnan(*(const double *)field);
    case OPTION_STRING:
        return !*(const char *const *)field;
    case OPTION_CHOICE:
        return *(const int *)field < 0;
    case OPTION_STRINGS:
        return ((const struct string_list *)field)->count == 0;
    case OPTION_INTS:
        return ((const struct int_list *)field)->count == 0;
    case OPTION_NODE:
        return !*(const struct yaml_node *const *)field;
    }
    return false;
}

bool option_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && scalar_read(node).type == SCALAR_NULL;
}

/* --- nodes to fields --- */

static int set_bool(const struct option *o, bool *out, const struct yaml_node *node,
                    struct option_problem *problem)
{
    if (node->kind != YAML_SCALAR || scalar_read(node).type != SCALAR_BOOL)
        return option_refuse(o, node, problem);
    *out = scalar_read(node).boolean;
    return ERR_NONE;
}

static int set_int(const struct option *o, int *out, const struct yaml_node *node,
                   struct option_problem *problem)
{
    if (node->kind != YAML_SCALAR)
        return option_refuse(o, node, problem);
    struct scalar s = scalar_read(node);
    if (s.type != SCALAR_INT || !s.fits || !is_int(s.number) || !in_range(o, s.number))
        return option_refuse(o, node, problem);
    *out = (int)s.integer;
    return ERR_NONE;
}

/* A digit other than 0 before the exponent: the number written is not zero. */
static bool is_written_nonzero(const char *text)
{
    return strcspn(text, "123456789") < strcspn(text, "eE");
}

static int set_float(const struct option *o, double *out, const struct yaml_node *node,
                     struct option_problem *problem)
{
    if (node->kind != YAML_SCALAR)
        return option_refuse(o, node, problem);
    struct scalar s = scalar_read(node);
    bool number = s.type == SCALAR_INT || s.type == SCALAR_FLOAT;
    bool vanished = s.type == SCALAR_FLOAT && s.number == 0 && is_written_nonzero(node->text);
    if (!number || !isfinite(s.number) || vanished || !in_range(o, s.number))
        return option_refuse(o, node, problem);
    *out = s.number;
    return ERR_NONE;
}

static int set_string(const struct option *o, const char **out, const struct yaml_node *node,
                      struct option_problem *problem)
{
    if (node->kind != YAML_SCALAR)
        return option_refuse(o, node, problem);
    *out = node->text;
    return ERR_NONE;
}

static int set_choice(const struct option *o, int *out, const struct yaml_node *node,
                      struct option_problem *problem)
{
    for (int i = 0; node->kind == YAML_SCALAR && o->choices[i]; i++)
        if (strcmp(o->choices[i], node->text) == 0) {
            *out = i;
            return ERR_NONE;
        }
    return option_refuse(o, node, problem);
}

/* The items of a list, or the node itself as the only one. */
static const struct yaml_node *items_of(const struct yaml_node *node, size_t *n)
{
    *n = node->kind == YAML_LIST ? node->n_children : 1;
    return node->kind == YAML_LIST ? node->children : node;
}

static int set_strings(const struct option *o, struct string_list *out,
                       const struct yaml_node *node, struct arena *arena,
                       struct option_problem *problem)
{
    size_t n;
    const struct yaml_node *items = items_of(node, &n);
    const char **texts = arena_alloc(arena, n * sizeof *texts);
    if (!texts)
        return ERR_MACHINE;
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != YAML_SCALAR || option_is_null(&items[i]))
            return option_refuse(o, &items[i], problem);
        texts[i] = items[i].text;
    }
    *out = (struct string_list){texts, n};
    return ERR_NONE;
}

static int set_ints(const struct option *o, struct int_list *out, const struct yaml_node *node,
                    struct arena *arena, struct option_problem *problem)
{
    size_t n;
    const struct yaml_node *items = items_of(node, &n);
    int *integers = arena_alloc(arena, n * sizeof *integers);
    if (!integers)
        return ERR_MACHINE;
    for (size_t i = 0; i < n; i++) {
        int status = set_int(o, &integers[i], &items[i], problem);
        if (status)
            return status;
    }
    *out = (struct int_list){integers, n};
    return ERR_NONE;
}

int option_set(const struct option *o, void *field, const struct yaml_node *node,
               struct arena *arena, struct option_problem *problem)
{
    switch (o->type) {
    case OPTION_BOOL:
        return set_bool(o, field, node, problem);
    case OPTION_INT:
        return set_int(o, field, node, problem);
    case OPTION_FLOAT:
        return set_float(o, field, node, problem);
    case OPTION_STRING:
        return set_string(o, field, node, problem);
    case OPTION_CHOICE:
        return set_choice(o, field, node, problem);
    case OPTION_STRINGS:
        return set_strings(o, field, node, arena, problem);
    case OPTION_INTS:
        return set_ints(o, field, node, arena, problem);
    case OPTION_NODE:
        *(const struct yaml_node **)field = node;
        break;
    }
    return ERR_NONE;
}

/* --- fields and nodes to JSON --- */

static void write_scalar(struct json_writer *w, const struct yaml_node *node)
{
    struct scalar s = scalar_read(node);
    if (s.type == SCALAR_NULL)
        jw_null(w);
    else if (s.type == SCALAR_BOOL)
        jw_bool(w, s.boolean);
    else if (s.type == SCALAR_INT && s.fits)
        jw_int(w, s.integer);
    else if (s.type != SCALAR_TEXT && isfinite(s.number))
        jw_double(w, s.number);
    else
        jw_text(w, node->text);
}

static void write_node(struct json_writer *w, const struct yaml_node *node)
{
    if (node->kind == YAML_SCALAR) {
        write_scalar(w, node);
        return;
    }
    bool mapping = node->kind == YAML_MAPPING;
    mapping ? jw_object_begin(w) : jw_array_begin(w);
    for (size_t i = 0; i < node->n_children; i++) {
        if (mapping)
            jw_key(w, node->children[i].key);
        write_node(w, &node->children[i]);
    }
    mapping ? jw_object_end(w) : jw_array_end(w);
}

json_t *recipe_node_json(const struct yaml_node *node)
{
    /* By way of text, because json.h is the one place that sets jansson's allocator. */
    struct str text = {0};
    struct json_writer w;
    jw_begin(&w, &text);
    write_node(&w, node);
    json_t *value =
        text.failed ? NULL : json_read(str_text(&text), text.length, JSON_ANY_VALUE, "", NULL);
    str_free(&text);
    return value;
}

void option_write(struct json_writer *w, const struct option *o, const void *field)
{
    bool clear = option_is_clear(o, field);
    switch (o->type) {
    case OPTION_BOOL:
        jw_bool(w, *(const bool *)field);
        break;
    case OPTION_INT:
        jw_int(w, *(const int *)field);
        break;
    case OPTION_FLOAT:
        jw_double(w, *(const double *)field);
        break;
    case OPTION_STRING:
        clear ? jw_null(w) : jw_text(w, *(const char *const *)field);
        break;
    case OPTION_CHOICE:
        clear ? jw_null(w) : jw_text(w, o->choices[*(const int *)field]);
        break;
    case OPTION_STRINGS: {
        const struct string_list *list = field;
        jw_array_begin(w);
        for (size_t i = 0; i < list->count; i++)
            jw_text(w, list->items[i]);
        jw_array_end(w);
        break;
    }
    case OPTION_INTS: {
        const struct int_list *list = field;
        jw_array_begin(w);
        for (size_t i = 0; i < list->count; i++)
            jw_int(w, list->items[i]);
        jw_array_end(w);
        break;
    }
    case OPTION_NODE:
        clear ? jw_null(w) : write_node(w, *(const struct yaml_node *const *)field);
        break;
    }
}
