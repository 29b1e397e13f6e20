/* stop_rules.c: see stop_rules.h. A kind of rule is a row of `kinds`: its name, the keys it takes
 * with their defaults, and a function that judges. A key is a row of `keys`. */
#include "train/stop_rules.h"
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"
#include "stats/trend.h"

enum { MOST_RULES = 32, MOST_KEYS = 8 };

/* --- the rules --- */

static bool flat(struct stop_rule *r)
{
    const struct stream *s = &r->stream;
    double rise = s->value[s->n - 1] - s->value[0];
    if (s->n < 2 || s->step[s->n - 1] < r->after_step || s->step[s->n - 2] >= r->after_step ||
        rise >= r->rise)
        return false;
    snprintf(r->why, sizeof r->why, "%.80s is %.4f, %+.4f since step %.0f; expected %+g or more",
             r->metric, s->value[s->n - 1], rise, s->step[0], r->rise);
    return true;
}

/* The last `count` values, if they are all after after_step; NULL: they are not. */
static const double *last_values(const struct stop_rule *r)
{
    const struct stream *s = &r->stream;
    size_t count = (size_t)r->count;
    if (s->n < count || s->step[s->n - count] <= r->after_step)
        return NULL;
    return s->value + s->n - count;
}

static bool below(struct stop_rule *r)
{
    const double *x = last_values(r);
    for (int i = 0; x && i < r->count; i++)
        if (!(x[i] < r->value))
            return false;
    if (x)
        snprintf(r->why, sizeof r->why, "%.80s was below %g %d times in a row, %.4f at last",
                 r->metric, r->value, r->count, x[r->count - 1]);
    return x != NULL;
}

static bool plateau(struct stop_rule *r)
{
    const double *x = last_values(r);
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; x && i < r->count; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    bool apart = isnan(r->value) ? high - low > r->tolerance
                                 : high - r->value > r->tolerance || r->value - low > r->tolerance;
    if (!x || apart)
        return false;
    snprintf(r->why, sizeof r->why, "%.80s stayed within %.4f to %.4f for %d values in a row",
             r->metric, low, high, r->count);
    return true;
}

static bool still(struct stop_rule *r)
{
    const struct stream *s = &r->stream;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < s->n; i++) {
        low = fmin(low, s->value[i]);
        high = fmax(high, s->value[i]);
    }
    if (s->n < 2 || s->step[s->n - 1] < r->after_step || high - low > r->tolerance)
        return false;
    snprintf(r->why, sizeof r->why, "%.80s has not moved from %.4f since step %.0f", r->metric,
             s->value[0], s->step[0]);
    return true;
}

static struct trend recent_trend(const struct stream *s, int from)
{
    size_t first = 0;
    while (first < s->n && s->step[first] < from)
        first++;
    return trend_fit(s->step + first, s->value + first, s->n - first);
}

static bool overfitting(struct stop_rule *r)
{
    int step = (int)r->stream.step[r->stream.n - 1];
    if (step <= r->after_step || !r->other.n)
        return false;
    struct trend of = recent_trend(&r->stream, step - r->window),
                 against = recent_trend(&r->other, step - r->window);
    if (!(against.ci.low > 0) || !(of.ci.low <= 0)) /* NaN: too few values to say */
        return false;
    snprintf(r->why, sizeof r->why,
             "over %d steps %.60s rose by %.4f and %.60s by %.4f (95%% interval %.4f to %.4f)",
             r->window, r->against, against.slope * r->window, r->metric, of.slope * r->window,
             of.ci.low * r->window, of.ci.high * r->window);
    return true;
}

struct stop_rule_kind {
    const char *name;
    bool (*judge)(struct stop_rule *r); /* the stream has a new value; fills why */
    struct {
        const char *key, *text; /* text NULL: must be given; "": absent unless given */
    } takes[MOST_KEYS];
};

static const struct stop_rule_kind kinds[] = {
    {"flat", flat, {{"metric", NULL}, {"after_step", NULL}, {"rise", "0.02"}}},
    {"below", below, {{"metric", NULL}, {"value", NULL}, {"count", "3"}, {"after_step", "0"}}},
    {"plateau",
     plateau,
     {{"metric", "eval/mean_reward"},
      {"value", ""},
      {"tolerance", "0.01"},
      {"count", "3"},
      {"after_step", "0"}}},
    {"still", still, {{"metric", NULL}, {"tolerance", "0"}, {"after_step", NULL}}},
    {"overfitting",
     overfitting,
     {{"metric", "eval/mean_reward"},
      {"against", "reward"},
      {"window", "400"},
      {"after_step", "0"}}},
};

const char *stop_rule_name(const struct stop_rule *r)
{
    return r->kind->name;
}

/* --- reading --- */

enum key_type { KEY_TEXT, KEY_INT, KEY_NUMBER, KEY_ACTION };

#define RULE(field) offsetof(struct stop_rule, field)
static const struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    double min, max;
} keys[] = {
    {"metric", KEY_TEXT, RULE(metric), 0, 0},
    {"against", KEY_TEXT, RULE(against), 0, 0},
    {"action", KEY_ACTION, RULE(action), 0, 0},
    {"after_step", KEY_INT, RULE(after_step), 0, 1 << 30},
    {"count", KEY_INT, RULE(count), 1, 1 << 20},
    {"window", KEY_INT, RULE(window), 1, 1 << 30},
    {"value", KEY_NUMBER, RULE(value), -1e30, 1e30},
    {"tolerance", KEY_NUMBER, RULE(tolerance), 0, 1e30},
    {"rise", KEY_NUMBER, RULE(rise), -1e30, 1e30},
};

static const struct key *find_key(const char *name)
{
    for (size_t k = 0; k < ARRAY_LENGTH(keys); k++)
        if (strcmp(keys[k].name, name) == 0)
            return &keys[k];
    return NULL;
}

static bool takes(const struct stop_rule_kind *kind, const char *name)
{
    for (int t = 0; t < MOST_KEYS && kind->takes[t].key; t++)
        if (strcmp(kind->takes[t].key, name) == 0)
            return true;
    return strcmp(name, "rule") == 0 || strcmp(name, "action") == 0;
}

/* A text into the field of a key; false: it is no value of its kind. */
static bool set_key(struct stop_rule *r, const struct key *key, const char *text)
{
    void *field = (char *)r + key->offset;
    char *end = NULL;
    errno = 0;
    if (key->type == KEY_TEXT) {
        *(const char **)field = text;
        return *text != 0;
    }
    if (key->type == KEY_ACTION) {
        *(int *)field = strcmp(text, "stop") == 0 ? STOP_STOP : STOP_WARN;
        return strcmp(text, "stop") == 0 || strcmp(text, "warn") == 0;
    }
    if (key->type == KEY_INT) {
        long value = strtol(text, &end, 10);
        *(int *)field = (int)value;
        return end != text && !*end && !errno && (double)value >= key->min &&
               (double)value <= key->max;
    }
    double value = strtod(text, &end);
    *(double *)field = value;
    return end != text && !*end && value >= key->min && value <= key->max;
}

static int read_entry(struct stop_rule *r, const struct yaml_node *entry, const char *where,
                      struct err *err)
{
    static const char *const kinds_of_value[] = {"a name", "a whole number", "a number",
                                                 "warn or stop"};
    const struct key *key = find_key(entry->key);
    if (!takes(r->kind, entry->key) || (!key && strcmp(entry->key, "rule") != 0))
        return err_set(err, ERR_USAGE, where, "line %d: rule %s has no \"%.60s\"", entry->line,
                       r->kind->name, entry->key);
    bool quoted_number = entry->quoted && key && (key->type == KEY_INT || key->type == KEY_NUMBER);
    if (key && (entry->kind != YAML_SCALAR || quoted_number || !set_key(r, key, entry->text)))
        return err_set(err, ERR_USAGE, where,
                       "line %d: \"%.60s\" of rule %s is \"%.60s\"; expected %s%s", entry->line,
                       entry->key, r->kind->name,
                       entry->kind == YAML_SCALAR ? entry->text : "no single value",
                       kinds_of_value[key->type], key->max > 0 ? " within its range" : "");
    return ERR_NONE;
}

static int find_kind(struct stop_rule *r, const struct yaml_node *node, const char *where,
                     struct err *err)
{
    const struct yaml_node *name = node->kind == YAML_MAPPING ? yaml_find(node, "rule") : NULL;
    for (size_t k = 0; name && name->kind == YAML_SCALAR && k < ARRAY_LENGTH(kinds); k++)
        if (strcmp(kinds[k].name, name->text) == 0)
            r->kind = &kinds[k];
    if (r->kind)
        return ERR_NONE;
    struct str known = {0};
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++)
        str_printf(&known, "%s%s", k ? ", " : "", kinds[k].name);
    int status =
        err_set(err, ERR_USAGE, where,
                "line %d: expected a map with \"rule\", one of %s, such as {rule: below, metric: "
                "eval/push, value: 0.5, count: 3, action: stop}",
                node->line, str_text(&known));
    str_free(&known);
    return status;
}

static int read_rule(struct stop_rule *r, const struct yaml_node *node, const char *where,
                     struct err *err)
{
    *r = (struct stop_rule){.value = NAN, .line = node->line, .fired = -1};
    int status = find_kind(r, node, where, err);
    for (int t = 0; !status && t < MOST_KEYS && r->kind->takes[t].key; t++) {
        const char *name = r->kind->takes[t].key, *text = r->kind->takes[t].text;
        if (text && *text)
            CHECK(set_key(r, find_key(name), text));
        if (!text && !yaml_find(node, name))
            status = err_set(err, ERR_USAGE, where, "line %d: rule %s needs \"%s\"", node->line,
                             r->kind->name, name);
    }
    for (size_t i = 0; !status && i < node->n_children; i++)
        status = read_entry(r, &node->children[i], where, err);
    return status;
}

int stop_rules_read(struct stop_rules *out, const struct yaml_node *node, const char *where,
                    struct err *err)
{
    *out = (struct stop_rules){0};
    if (!node)
        return ERR_NONE;
    if (node->kind != YAML_LIST || !node->n_children || node->n_children > MOST_RULES)
        return err_set(err, ERR_USAGE, where,
                       "expected a list of 1 to %d rules, such as [{rule: below, metric: "
                       "eval/push, value: 0.5}]",
                       MOST_RULES);
    out->rules = mem_calloc(node->n_children, sizeof *out->rules);
    if (!out->rules)
        return err_no_memory(err, where, node->n_children * sizeof *out->rules);
    int status = ERR_NONE;
    for (size_t i = 0; i < node->n_children && !status; i++) {
        status = read_rule(&out->rules[i], &node->children[i], where, err);
        out->n++;
    }
    return status;
}

static void stream_free(struct stream *s)
{
    mem_free(s->step);
    mem_free(s->value);
}

void stop_rules_free(struct stop_rules *s)
{
    for (int i = 0; i < s->n; i++) {
        stream_free(&s->rules[i].stream);
        stream_free(&s->rules[i].other);
    }
    mem_free(s->rules);
    *s = (struct stop_rules){0};
}

/* --- in the course of a run --- */

static int stream_add(struct stream *s, int step, double value, struct err *err)
{
    if (isnan(value))
        return ERR_NONE;
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        double *steps = mem_realloc(s->step, capacity * sizeof *steps);
        s->step = steps ? steps : s->step;
        double *values = steps ? mem_realloc(s->value, capacity * sizeof *values) : NULL;
        if (!values)
            return err_no_memory(err, "the metrics that stop_rules watch", capacity);
        s->value = values;
        s->capacity = capacity;
    }
    s->step[s->n] = step;
    s->value[s->n++] = value;
    return ERR_NONE;
}

int stop_rules_feed(struct stop_rules *s, int step, stop_rules_get *get, const void *metrics,
                    struct err *err)
{
    int status = ERR_NONE;
    for (int i = 0; i < s->n && !status; i++) {
        struct stop_rule *r = &s->rules[i];
        size_t before = r->stream.n;
        if (r->fired >= 0)
            continue;
        if (r->against)
            status = stream_add(&r->other, step, get(metrics, r->against), err);
        if (!status)
            status = stream_add(&r->stream, step, get(metrics, r->metric), err);
        if (!status && r->stream.n > before && r->kind->judge(r))
            r->fired = step;
    }
    return status;
}

const struct stop_rule *stop_rules_stopped(const struct stop_rules *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->rules[i].fired >= 0 && s->rules[i].action == STOP_STOP)
            return &s->rules[i];
    return NULL;
}

bool stop_rules_need(const struct stop_rules *s, int checkpoint, int next, int now)
{
    for (int i = 0; i < s->n; i++) {
        const struct stop_rule *r = &s->rules[i];
        int start = (r->fired >= 0 ? r->fired : now) - r->window; /* of the window */
        if (r->kind->judge == overfitting && next > start && (r->fired < 0 || checkpoint <= start))
            return true;
    }
    return false;
}
