/* schema.c: schemas and the values they describe; see schema.h. Everything a schema can get wrong
 * is said with the field and the key, because users write their own. */
#include "reward/schema.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "reward/fold.h"
#include "reward/ptbr_number.h"
#include "reward/rewards.h"

static const char *const type_names[SCHEMA_TYPES] = {
    [SCHEMA_ENUM] = "enum",       [SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
    [SCHEMA_BOOLEAN] = "boolean", [SCHEMA_STRING] = "string",
};

/* --- reading a schema --- */

static int check_keys(const json_t *o, const char *const *known, int n, const char *where,
                      struct err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(o))
        return err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(o));
    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        bool found = false;
        (void)value;
        for (int i = 0; i < n; i++)
            found = found || strcmp(key, known[i]) == 0;
        int nearest = found ? -1 : str_nearest(key, known, n);
        if (!found)
            return err_set(err, ERR_INPUT, where, "has the unknown key \"%.60s\"%s%s%s", key,
                           nearest < 0 ? "" : " (did you mean \"",
                           nearest < 0 ? "" : known[nearest], nearest < 0 ? "" : "\"?)");
    }
    return ERR_NONE;
}

/* The words of an enum: each once, as it is written (words that differ in case or accents alone are
 * fine: then only the exact one counts). */
static int check_values(const json_t *values, const char *where, struct err *err)
{
    if (json_array_size(values) > SCHEMA_MAX_VALUES)
        return err_set(err, ERR_INPUT, where, "has %zu values, expected up to %d",
                       json_array_size(values), (int)SCHEMA_MAX_VALUES);
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);
        if (!json_is_string(value) || json_string_length(value) == 0)
            return err_set(err, ERR_INPUT, where, "value %zu is %s, expected a word", i,
                           json_is_string(value) ? "empty" : json_type_name(value));
        for (size_t k = 0; k < i; k++)
            if (json_equal(value, json_array_get(values, k)))
                return err_set(err, ERR_INPUT, where, "value \"%.60s\" stands twice",
                               json_string_value(value));
    }
    return ERR_NONE;
}

/* What only some types have. */
static int check_field(const struct schema_field *f, const json_t *o, const char *where,
                       struct err *err)
{
    static const struct {
        const char *key;
        unsigned types;
    } rules[] = {
        {"values", 1U << SCHEMA_ENUM},
        {"minimum", 1U << SCHEMA_INTEGER | 1U << SCHEMA_NUMBER},
        {"maximum", 1U << SCHEMA_INTEGER | 1U << SCHEMA_NUMBER},
        {"tolerance", 1U << SCHEMA_INTEGER},
        {"relative_tolerance", 1U << SCHEMA_NUMBER},
        {"max_length", 1U << SCHEMA_STRING},
        {"from_prompt", 1U << SCHEMA_STRING | 1U << SCHEMA_NUMBER},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
        if (json_object_get(o, rules[i].key) && !(rules[i].types >> f->type & 1))
            return err_set(err, ERR_INPUT, where, "\"%s\" does not go with the type %s",
                           rules[i].key, type_names[f->type]);
    if (f->type == SCHEMA_ENUM && (!json_is_array(f->values) || json_array_size(f->values) == 0))
        return err_set(err, ERR_INPUT, where, "\"values\" is %s, expected a list of words",
                       json_type_name(f->values));
    int status = check_values(f->values, where, err);
    if (status)
        return status;
    if (!(f->weight > 0) || f->weight > SCHEMA_MAX_WEIGHT)
        return err_set(err, ERR_INPUT, where, "weight is %g, expected over 0 and up to %d",
                       f->weight, (int)SCHEMA_MAX_WEIGHT);
    if (f->minimum > f->maximum)
        return err_set(err, ERR_INPUT, where, "minimum is %g but maximum is %g", f->minimum,
                       f->maximum);
    if (f->tolerance < 0 || f->relative_tolerance < 0 || f->max_length < -1)
        return err_set(err, ERR_INPUT, where, "tolerances and lengths are not negative");
    return ERR_NONE;
}

static int read_field(struct schema *s, const json_t *o, const char *schema, struct err *err)
{
    static const char *const known[] = {
        "name",       "type",       "weight",  "values",    "nullable",
        "required",   "minimum",    "maximum", "tolerance", "relative_tolerance",
        "max_length", "from_prompt"};
    struct schema_field *f = &s->fields[s->n_fields];
    const char *type = NULL;
    char where[256];
    snprintf(where, sizeof where, "%.180s: field %d", schema, s->n_fields);
    *f = (struct schema_field){
        .required = true, .minimum = -INFINITY, .maximum = INFINITY, .max_length = -1};
    int status = check_keys(o, known, ARRAY_LENGTH(known), where, err);
    if (status || (status = json_get_string(&f->name, o, "name", true, where, err)))
        return status;
    if (!f->name[0])
        return err_set(err, ERR_INPUT, where, "has an empty name");
    snprintf(where, sizeof where, "%.160s: field \"%.60s\"", schema, f->name);
    if ((status = json_get_string(&type, o, "type", true, where, err)) ||
        (status = json_get_double(&f->weight, o, "weight", true, where, err)) ||
        (status = json_get_bool(&f->nullable, o, "nullable", false, where, err)) ||
        (status = json_get_bool(&f->required, o, "required", false, where, err)) ||
        (status = json_get_bool(&f->from_prompt, o, "from_prompt", false, where, err)) ||
        (status = json_get_double(&f->minimum, o, "minimum", false, where, err)) ||
        (status = json_get_double(&f->maximum, o, "maximum", false, where, err)) ||
        (status = json_get_double(&f->tolerance, o, "tolerance", false, where, err)) ||
        (status =
             json_get_double(&f->relative_tolerance, o, "relative_tolerance", false, where, err)) ||
        (status = json_get_int(&f->max_length, o, "max_length", false, where, err)))
        return status;
    f->values = json_object_get(o, "values");
    int at = 0;
    while (at < SCHEMA_TYPES && strcmp(type, type_names[at]) != 0)
        at++;
    if (at == SCHEMA_TYPES)
        return err_set(err, ERR_INPUT, where,
                       "type is \"%.40s\"; known: enum, integer, number, boolean, string", type);
    f->type = (enum schema_type)at;
    for (int i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, f->name) == 0)
            return err_set(err, ERR_INPUT, where, "stands twice in the schema");
    return check_field(f, o, where, err);
}

/* A test that could never hold would make its rule silent. */
static int check_test(const struct schema_test *t, const struct schema_field *f, const char *where,
                      struct err *err)
{
    bool ranged = !isinf(t->minimum) || !isinf(t->maximum);
    bool number = f->type == SCHEMA_INTEGER || f->type == SCHEMA_NUMBER;
    if (t->in && ranged)
        return err_set(err, ERR_INPUT, where, "has \"in\" and a range; give one of them");
    if (ranged && !number)
        return err_set(err, ERR_INPUT, where, "a range does not go with \"%.60s\", of type %s",
                       f->name, type_names[f->type]);
    if (t->minimum > t->maximum)
        return err_set(err, ERR_INPUT, where, "minimum is %g but maximum is %g", t->minimum,
                       t->maximum);
    for (size_t i = 0; i < json_array_size(t->in); i++) {
        const json_t *item = json_array_get(t->in, i);
        struct schema_value v = schema_value(f, item);
        bool text = f->type == SCHEMA_STRING && !json_is_null(item);
        if (v.no_memory)
            return err_no_memory(err, where, 0);
        if ((v.state != VALUE_READ && v.state != VALUE_NULL) || text)
            return err_set(err, ERR_INPUT, where, "item %zu of \"in\" is no value of \"%.60s\"", i,
                           f->name);
    }
    return ERR_NONE;
}

static int read_test(struct schema_test *t, const struct schema *s, const json_t *o,
                     const char *where, struct err *err)
{
    static const char *const known[] = {"field", "in", "minimum", "maximum"};
    const char *name = NULL;
    *t = (struct schema_test){.field = -1, .minimum = -INFINITY, .maximum = INFINITY};
    int status = check_keys(o, known, ARRAY_LENGTH(known), where, err);
    if (status || (status = json_get_string(&name, o, "field", true, where, err)) ||
        (status = json_get_double(&t->minimum, o, "minimum", false, where, err)) ||
        (status = json_get_double(&t->maximum, o, "maximum", false, where, err)))
        return status;
    t->in = json_object_get(o, "in");
    for (int i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            t->field = i;
    if (t->field < 0)
        return err_set(err, ERR_INPUT, where, "tests \"%.60s\", which is no field", name);
    if (t->in && !json_is_array(t->in))
        return err_set(err, ERR_INPUT, where, "\"in\" is %s, expected a list",
                       json_type_name(t->in));
    if (!t->in && isinf(t->minimum) && isinf(t->maximum))
        return err_set(err, ERR_INPUT, where, "needs \"in\", \"minimum\" or \"maximum\"");
    return check_test(t, &s->fields[t->field], where, err);
}

static int read_rule(struct schema *s, const json_t *o, const char *schema, struct err *err)
{
    static const char *const known[] = {"if", "then"};
    struct schema_rule *rule = &s->rules[s->n_rules];
    char where[256];
    snprintf(where, sizeof where, "%.200s: rule %d", schema, s->n_rules);
    int status = check_keys(o, known, ARRAY_LENGTH(known), where, err);
    if (!status)
        status = read_test(&rule->when, s, json_object_get(o, "if"), where, err);
    if (!status)
        status = read_test(&rule->then, s, json_object_get(o, "then"), where, err);
    return status;
}

int schema_read(struct schema *s, const void *text, size_t length, const char *where,
                struct err *err)
{
    static const char *const known[] = {"name", "version", "fields", "rules"};
    *s = (struct schema){0};
    s->json = json_read(text, length, JSON_UNIQUE_KEYS, where, err);
    if (!s->json)
        return err ? (int)err->code : ERR_INPUT;
    int status = check_keys(s->json, known, ARRAY_LENGTH(known), where, err);
    const json_t *fields = json_object_get(s->json, "fields"),
                 *rules = json_object_get(s->json, "rules");
    size_t n = json_array_size(fields);
    if (!status && (!json_is_array(fields) || n < 1 || n > SCHEMA_MAX_FIELDS))
        status =
            err_set(err, ERR_INPUT, where, "\"fields\" is %s of %zu; expected a list of 1 to %d",
                    json_type_name(fields), n, (int)SCHEMA_MAX_FIELDS);
    if (!status && rules && (!json_is_array(rules) || json_array_size(rules) > SCHEMA_MAX_RULES))
        status = err_set(err, ERR_INPUT, where, "\"rules\" is %s; expected a list of up to %d",
                         json_type_name(rules), (int)SCHEMA_MAX_RULES);
    for (size_t i = 0; i < n && !status; i++, s->n_fields += !status)
        status = read_field(s, json_array_get(fields, i), where, err);
    for (size_t i = 0; i < json_array_size(rules) && !status; i++, s->n_rules += !status)
        status = read_rule(s, json_array_get(rules, i), where, err);
    return status;
}

int schema_read_file(struct schema *s, const char *path, struct err *err)
{
    struct str text = {0};
    *s = (struct schema){0};
    int status = file_read(&text, path, err);
    if (!status)
        status = schema_read(s, str_text(&text), text.length, path, err);
    str_free(&text);
    return status;
}

void schema_free(struct schema *s)
{
    json_decref(s->json);
    *s = (struct schema){0};
}

/* --- values --- */

/* Index of the word, folded or as it is; -1: none. */
static int find_word(const struct str *folded, const char *const *words, int n, bool *no_memory)
{
    for (int i = 0; i < n; i++) {
        struct str word = {0};
        fold_text(&word, words[i], strlen(words[i]));
        bool same = word.length == folded->length &&
                    memcmp(str_text(&word), str_text(folded), word.length) == 0;
        *no_memory |= word.failed;
        str_free(&word);
        if (same)
            return i;
    }
    return -1;
}

/* The word of an enum as it is; -1: none. */
static int find_exact(const json_t *values, struct slice text)
{
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *word = json_array_get(values, i);
        if (json_string_length(word) == text.length &&
            memcmp(json_string_value(word), text.data, text.length) == 0)
            return (int)i;
    }
    return -1;
}

/* The one word of an enum that is the same folded; -1: none or several ("<10" and ">10"). */
static int find_folded(const json_t *values, const struct str *folded, bool *no_memory)
{
    int found = -1;
    for (size_t i = 0; i < json_array_size(values); i++) {
        const char *word = json_string_value(json_array_get(values, i));
        if (find_word(folded, &word, 1, no_memory) != 0)
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
    }
    return found;
}

static void set_word(struct schema_value *v, int index, double fit)
{
    if (index < 0)
        return;
    v->state = VALUE_READ;
    v->number = index;
    v->fit = fit;
}

static void set_number(struct schema_value *v, const struct schema_field *f, double number,
                       double fit)
{
    v->state = VALUE_READ;
    v->number = number;
    v->fit = number >= f->minimum && number <= f->maximum ? fit : 0;
    if (f->type == SCHEMA_INTEGER && number != floor(number))
        v->fit = 0;
}

static void from_string(struct schema_value *v, const struct schema_field *f)
{
    static const char *const nothing[] = {"", "null", "none", "nulo", "n a"};
    static const char *const flags[] = {"false", "true",       "nao", "sim",
                                        "falso", "verdadeiro", "no",  "yes"};
    enum { LONGEST = 200 };
    struct ptbr_number number;
    struct str folded = {0};
    if (f->type == SCHEMA_STRING && v->text.length) {
        v->state = VALUE_READ;
        bool fits = f->max_length < 0 ||
                    reward_characters(v->text.data, v->text.length) <= (size_t)f->max_length;
        v->fit = fits ? 1 : 0.5;
    }
    if (f->type == SCHEMA_ENUM)
        set_word(v, find_exact(f->values, v->text), 1); /* "none" may be a word of it */
    if (v->text.length > LONGEST || (f->type == SCHEMA_ENUM && v->state == VALUE_READ))
        return; /* too long for a word or number of a schema */
    fold_text(&folded, v->text.data, v->text.length);
    bool empty = find_word(&folded, nothing, ARRAY_LENGTH(nothing), &v->no_memory) >= 0;
    if (empty && f->nullable) {
        v->state = VALUE_NULL;
        v->fit = 0.5;
    } else if (f->type == SCHEMA_ENUM) {
        set_word(v, find_folded(f->values, &folded, &v->no_memory), 0.5);
    } else if (f->type == SCHEMA_BOOLEAN) {
        int i = find_word(&folded, flags, ARRAY_LENGTH(flags), &v->no_memory);
        if (i >= 0)
            *v = (struct schema_value){.state = VALUE_READ, .fit = 0.5, .number = i % 2};
    } else if (f->type != SCHEMA_STRING &&
               ptbr_number_read(&number, v->text.data, v->text.length)) {
        set_number(v, f, number.value, 0.5);
    }
    v->no_memory |= folded.failed;
    str_free(&folded);
}

struct schema_value schema_value(const struct schema_field *f, const json_t *value)
{
    struct schema_value v = {.state = VALUE_WRONG};
    if (!value) {
        v.state = VALUE_ABSENT;
        v.fit = f->required ? 0 : 1;
    } else if (json_is_null(value)) {
        v.state = f->nullable || !f->required ? VALUE_NULL : VALUE_WRONG;
        v.fit = v.state == VALUE_NULL ? 1 : 0;
    } else if (json_is_string(value)) {
        v.text = (struct slice){json_string_value(value), json_string_length(value)};
        from_string(&v, f);
    } else if (json_is_number(value) && (f->type == SCHEMA_INTEGER || f->type == SCHEMA_NUMBER)) {
        bool real = json_is_real(value) && f->type == SCHEMA_INTEGER;
        set_number(&v, f, json_number_value(value), real ? 0.5 : 1);
    } else if (json_is_boolean(value) && f->type == SCHEMA_BOOLEAN) {
        v.state = VALUE_READ;
        v.number = json_is_true(value);
        v.fit = 1;
    }
    return v;
}

static bool is_in(const struct schema_field *f, const json_t *list, const struct schema_value *v)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct schema_value wanted = schema_value(f, item);
        if (json_is_null(item) ? v->state == VALUE_NULL
                               : v->state == VALUE_READ && wanted.state == VALUE_READ &&
                                     f->type != SCHEMA_STRING && v->number == wanted.number)
            return true;
    }
    return false;
}

int schema_test_holds(const struct schema *s, const struct schema_test *t,
                      const struct schema_value *values)
{
    const struct schema_value *v = &values[t->field];
    if (v->state != VALUE_READ && v->state != VALUE_NULL)
        return -1;
    if (t->in)
        return is_in(&s->fields[t->field], t->in, v);
    return v->state == VALUE_READ ? v->number >= t->minimum && v->number <= t->maximum : -1;
}
