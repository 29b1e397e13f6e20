/* jinja_value.c: the values of a rendering: making them, truth, equality, order, membership, as
 * Python has them for its own types. Everything
 * lies in the rendering's arena; nothing but a namespace is changed after it was made, so lists and
 * texts are shared freely. */
#include <math.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

struct jv jv_none(void)
{
    return (struct jv){.kind = J_NONE};
}

struct jv jv_undefined(const char *name)
{
    return (struct jv){.kind = J_UNDEFINED, .as.text = slice_of(name)};
}

struct jv jv_bool(bool b)
{
    return (struct jv){.kind = J_BOOL, .as.truth = b};
}

struct jv jv_int(long long i)
{
    return (struct jv){.kind = J_INT, .as.integer = i};
}

struct jv jv_float(double f)
{
    return (struct jv){.kind = J_FLOAT, .as.real = f};
}

struct jv jv_slice(const char *data, size_t length)
{
    return (struct jv){.kind = J_TEXT, .as.text = {data, length}};
}

struct jv jv_literal(const char *text)
{
    return jv_slice(text, strlen(text));
}

struct jv jv_copy(struct jrun *r, const char *data, size_t length)
{
    char *copy = jrun_alloc(r, length + 1, 1);
    if (!copy)
        return jv_none();
    if (length)
        memcpy(copy, data, length);
    return jv_slice(copy, length);
}

struct jv jv_take(struct jrun *r, struct str *made)
{
    struct jv v = jv_none();
    if (made->failed && !r->status)
        r->status = err_no_memory(r->err, r->t->where, made->length);
    if (!r->status)
        v = jv_copy(r, str_text(made), made->length);
    str_free(made);
    return v;
}

struct jv jv_list(struct jrun *r, enum jkind kind, size_t count)
{
    struct jlist *list = jrun_alloc(r, 1, sizeof *list);
    struct jv *items = jrun_alloc(r, count, sizeof *items);
    if (!list || !items)
        return jv_none();
    *list = (struct jlist){.items = items, .count = count};
    for (size_t i = 0; i < count; i++)
        items[i] = jv_none();
    return (struct jv){.kind = kind, .as.list = list};
}

/* --- dictionaries: few entries, in order of insertion --- */

struct jv jv_dict(struct jrun *r)
{
    struct jdict *d = jrun_alloc(r, 1, sizeof *d);
    if (!d)
        return jv_none();
    *d = (struct jdict){0};
    return (struct jv){.kind = J_DICT, .as.dict = d};
}

struct jv *jdict_find(struct jrun *r, const struct jdict *d, struct slice key)
{
    if (!jrun_charge(r, 1 + d->count / 8))
        return NULL;
    for (size_t i = 0; i < d->count; i++) {
        const struct jv *k = &d->entries[i].key;
        if (k->kind == J_TEXT && k->as.text.length == key.length &&
            memcmp(k->as.text.data, key.data, key.length) == 0)
            return &d->entries[i].value;
    }
    return NULL;
}

struct jv *jdict_get(struct jrun *r, const struct jdict *d, const struct jv *key)
{
    if (key->kind == J_TEXT)
        return jdict_find(r, d, key->as.text);
    for (size_t i = 0; i < d->count && !r->status; i++)
        if (jv_equal(r, &d->entries[i].key, key))
            return &d->entries[i].value;
    return NULL;
}

void jdict_put(struct jrun *r, struct jdict *d, struct jv key, struct jv value)
{
    if (!jv_hashable(r, &key)) {
        jrun_fail(r, "%s cannot be the key of a dict", jv_type(&key));
        return;
    }
    struct jv *old = jdict_get(r, d, &key);
    if (old)
        *old = value;
    if (old || r->status)
        return;
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 4;
        struct jentry *entries = jrun_alloc(r, capacity, sizeof *entries);
        if (!entries)
            return;
        if (d->count)
            memcpy(entries, d->entries, d->count * sizeof *entries);
        d->entries = entries;
        d->capacity = capacity;
    }
    d->entries[d->count++] = (struct jentry){key, value};
}

/* --- what a value is --- */

const char *jv_type(const struct jv *v)
{
    switch (v->kind) {
    case J_ABSENT:
    case J_UNDEFINED:
        return "Undefined";
    case J_NONE:
        return "None";
    case J_BOOL:
        return "bool";
    case J_INT:
        return "int";
    case J_FLOAT:
        return "float";
    case J_TEXT:
        return "str";
    case J_LIST:
        return "list";
    case J_TUPLE:
        return "tuple";
    case J_DICT:
        return "dict";
    case J_RANGE:
        return "range";
    case J_VIEW:
        return v->as.list->type;
    case J_ITERATOR:
        return "generator";
    case J_NAMESPACE:
        return "namespace";
    case J_LOOP:
        return "loop";
    case J_MACRO:
        return "macro";
    default:
        return "function";
    }
}

bool jv_is(const struct jv *v, const char *text)
{
    return v->kind == J_TEXT && slice_equals(v->as.text, text);
}

bool jv_is_sequence(const struct jv *v)
{
    return v->kind == J_LIST || v->kind == J_TUPLE || v->kind == J_RANGE;
}

bool jv_truth(const struct jv *v)
{
    switch (v->kind) {
    case J_ABSENT:
    case J_UNDEFINED:
    case J_NONE:
        return false;
    case J_BOOL:
        return v->as.truth;
    case J_INT:
        return v->as.integer != 0;
    case J_FLOAT:
        return v->as.real != 0;
    case J_TEXT:
        return v->as.text.length != 0;
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW:
        return v->as.list->count != 0;
    case J_DICT:
        return v->as.dict->count != 0;
    default:
        return true;
    }
}

bool jv_number(const struct jv *v, long long *integer, double *real)
{
    if (v->kind == J_FLOAT) {
        *real = v->as.real;
        return false;
    }
    *integer = v->kind == J_BOOL ? v->as.truth : v->as.integer;
    *real = (double)*integer;
    return true;
}

bool jv_is_number(const struct jv *v)
{
    return v->kind == J_BOOL || v->kind == J_INT || v->kind == J_FLOAT;
}

bool jv_hashable(struct jrun *r, const struct jv *v)
{
    bool can = v->kind != J_LIST && v->kind != J_DICT;
    if (v->kind != J_TUPLE)
        return can;
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return false;
    for (size_t i = 0; i < v->as.list->count && can; i++)
        can = jv_hashable(r, &v->as.list->items[i]);
    r->depth--;
    return can;
}

/* --- comparing --- */

static int text_order(struct slice a, struct slice b)
{
    size_t n = a.length < b.length ? a.length : b.length;
    int c = n ? memcmp(a.data, b.data, n) : 0; /* UTF-8 sorts as code points do */
    return c ? c : (a.length > b.length) - (a.length < b.length);
}

/* An integer and a double exactly: the double is not rounded to compare. */
static int number_order(const struct jv *a, const struct jv *b)
{
    long long i = 0, j = 0;
    double x = 0, y = 0;
    bool ai = jv_number(a, &i, &x), bi = jv_number(b, &j, &y);
    if (ai && bi)
        return (i > j) - (i < j);
    if (ai == bi || isnan(x) || isnan(y))
        return (x > y) - (x < y);
    double real = ai ? y : x;
    long long integer = ai ? i : j;
    int order;
    if (real >= 0x1p63 || real < -0x1p63) {
        order = real > 0 ? -1 : 1;
    } else {
        long long whole = (long long)floor(real);
        order = integer != whole ? (integer > whole) - (integer < whole) : -(real > floor(real));
    }
    return ai ? order : -order;
}

static bool lists_equal(struct jrun *r, const struct jlist *a, const struct jlist *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!jv_equal(r, &a->items[i], &b->items[i]))
            return false;
    return true;
}

static bool dicts_equal(struct jrun *r, const struct jdict *a, const struct jdict *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count && !r->status; i++) {
        const struct jv *other = jdict_get(r, b, &a->entries[i].key);
        if (!other || !jv_equal(r, &a->entries[i].value, other))
            return false;
    }
    return true;
}

bool jv_equal(struct jrun *r, const struct jv *a, const struct jv *b)
{
    bool equal = false;
    if (!jrun_charge(r, 1))
        return false;
    if (jv_is_number(a) && jv_is_number(b)) {
        long long i;
        double x = 0, y = 0;
        (void)jv_number(a, &i, &x);
        (void)jv_number(b, &i, &y);
        return !isnan(x) && !isnan(y) && number_order(a, b) == 0;
    }
    if (a->kind != b->kind || !jrun_deeper(r))
        return false;
    switch (a->kind) {
    case J_ABSENT:
    case J_UNDEFINED:
    case J_NONE:
        equal = true;
        break;
    case J_TEXT:
        equal = a->as.text.length == b->as.text.length && jrun_charge(r, a->as.text.length / 16) &&
                text_order(a->as.text, b->as.text) == 0;
        break;
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
        equal = lists_equal(r, a->as.list, b->as.list);
        break;
    case J_DICT:
        equal = dicts_equal(r, a->as.dict, b->as.dict);
        break;
    case J_FUNCTION:
        equal = a->as.integer == b->as.integer;
        break;
    default: /* the same object */
        equal = a->as.dict == b->as.dict;
    }
    r->depth--;
    return equal;
}

int jv_compare(struct jrun *r, const struct jv *a, const struct jv *b, const char *op)
{
    if (!jrun_charge(r, 1))
        return 0;
    if (jv_is_number(a) && jv_is_number(b))
        return number_order(a, b);
    if (a->kind == J_TEXT && b->kind == J_TEXT) {
        jrun_charge(r, a->as.text.length / 16);
        return text_order(a->as.text, b->as.text);
    }
    if (a->kind == b->kind && (a->kind == J_LIST || a->kind == J_TUPLE)) {
        const struct jlist *x = a->as.list, *y = b->as.list;
        if (!jrun_deeper(r))
            return 0;
        int order = 0;
        size_t i = 0;
        while (i < x->count && i < y->count && !r->status &&
               jv_equal(r, &x->items[i], &y->items[i]))
            i++;
        if (i < x->count && i < y->count)
            order = r->status ? 0 : jv_compare(r, &x->items[i], &y->items[i], op);
        else
            order = (x->count > y->count) - (x->count < y->count);
        r->depth--;
        return order;
    }
    jrun_fail(r, "%s and %s cannot be compared by %s", jv_type(a), jv_type(b), op);
    return 0;
}

bool jv_contains(struct jrun *r, const struct jv *where, const struct jv *what)
{
    if (where->kind == J_TEXT) {
        if (what->kind != J_TEXT) {
            jrun_fail(r, "\"in\" a text looks for a text, not for %s", jv_type(what));
            return false;
        }
        return jrun_charge(r, where->as.text.length / 16) &&
               (!what->as.text.length || memmem(where->as.text.data, where->as.text.length,
                                                what->as.text.data, what->as.text.length));
    }
    if (where->kind == J_DICT) {
        if (!jv_hashable(r, what))
            jrun_fail(r, "%s cannot be the key of a dict", jv_type(what));
        return !r->status && jdict_get(r, where->as.dict, what);
    }
    struct jv items = jv_items(r, where);
    for (size_t i = 0; !r->status && i < items.as.list->count; i++)
        if (jv_equal(r, &items.as.list->items[i], what))
            return true;
    return false;
}

/* --- walking --- */

static struct jv characters(struct jrun *r, struct slice s)
{
    struct jv list = jv_list(r, J_LIST, jtext_length(s));
    size_t at = 0;
    int32_t cp;
    for (size_t i = 0; !r->status && i < list.as.list->count; i++) {
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &cp);
        list.as.list->items[i] = jv_slice(s.data + at, n);
        at += n;
    }
    return list;
}

struct jv jv_items(struct jrun *r, const struct jv *v)
{
    struct jv list;
    switch (v->kind) {
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW:
        return *v;
    case J_UNDEFINED:
        return jv_list(r, J_LIST, 0);
    case J_TEXT:
        return characters(r, v->as.text);
    case J_ITERATOR:
        list = jv_list(r, J_LIST, 0);
        if (r->status)
            return list;
        list.as.list->items = v->as.list->items + v->as.list->at;
        list.as.list->count = v->as.list->count - v->as.list->at;
        v->as.list->at = v->as.list->count;
        return list;
    case J_DICT:
        list = jv_list(r, J_LIST, v->as.dict->count);
        for (size_t i = 0; !r->status && i < v->as.dict->count; i++)
            list.as.list->items[i] = v->as.dict->entries[i].key;
        return list;
    default:
        return jrun_fail(r, "%s cannot be walked through", jv_type(v));
    }
}

bool jv_length(struct jrun *r, const struct jv *v, size_t *n)
{
    *n = 0;
    switch (v->kind) {
    case J_UNDEFINED:
        return true;
    case J_TEXT:
        *n = jtext_length(v->as.text);
        return jrun_charge(r, v->as.text.length / 16);
    case J_LIST:
    case J_TUPLE:
    case J_RANGE:
    case J_VIEW:
        *n = v->as.list->count;
        return true;
    case J_DICT:
        *n = v->as.dict->count;
        return true;
    case J_LOOP:
        *n = v->as.loop->count;
        return true;
    default:
        return false;
    }
}

/* --- from JSON --- */

struct jv jv_from_json(struct jrun *r, const json_t *value)
{
    struct jv out = jv_none();
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return out;
    switch (json_typeof(value)) {
    case JSON_TRUE:
    case JSON_FALSE:
        out = jv_bool(json_is_true(value));
        break;
    case JSON_INTEGER:
        out = jv_int(json_integer_value(value));
        break;
    case JSON_REAL:
        out = jv_float(json_real_value(value));
        break;
    case JSON_STRING:
        out = jv_slice(json_string_value(value), json_string_length(value));
        break;
    case JSON_ARRAY:
        out = jv_list(r, J_LIST, json_array_size(value));
        for (size_t i = 0; !r->status && i < json_array_size(value); i++)
            out.as.list->items[i] = jv_from_json(r, json_array_get(value, i));
        break;
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        out = jv_dict(r);
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            struct jv converted = jv_from_json(r, item);
            if (r->status)
                break;
            jdict_put(r, out.as.dict, jv_literal(key), converted);
        }
        break;
    }
    default:
        break;
    }
    r->depth--;
    return out;
}
