/* jinja_filter.c: what stands behind "|", as a table. Each is jinja2's (tojson is transformers'),
 * with its quirks: sorting, min, max and unique do not see the case of letters, and a lazy one
 * gives a generator, which can be walked once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

/* --- helpers --- */

static bool is_given(const struct jv *v)
{
    return v->kind != J_ABSENT;
}

static bool flag(const struct jv *v, bool otherwise)
{
    return is_given(v) ? jv_truth(v) : otherwise;
}

/* "a.b.0" of an item, step by step. */
static struct jv path_of(struct jrun *r, struct jv item, const struct jv *path,
                         const struct jv *otherwise)
{
    if (path->kind == J_INT)
        return jv_index(r, &item, path);
    struct slice rest;
    if (!jargs_text(r, "attribute", path, &rest))
        return jv_none();
    while (!r->status) {
        const char *dot = rest.length ? memchr(rest.data, '.', rest.length) : NULL;
        size_t n = dot ? (size_t)(dot - rest.data) : rest.length;
        bool digits = n > 0 && n < 10;
        for (size_t i = 0; i < n; i++)
            digits = digits && rest.data[i] >= '0' && rest.data[i] <= '9';
        struct jv part = digits ? jv_int(strtol(rest.data, NULL, 10)) : jv_slice(rest.data, n);
        item = jv_index(r, &item, &part);
        if (otherwise && is_given(otherwise) && otherwise->kind != J_NONE &&
            item.kind == J_UNDEFINED)
            item = *otherwise;
        if (!dot)
            break;
        rest.data += n + 1;
        rest.length -= n + 1;
    }
    return item;
}

/* What an item is ordered by. */
static struct jv key_of(struct jrun *r, const struct jv *item, const struct jv *attribute,
                        bool cased)
{
    struct jv key = *item;
    if (is_given(attribute) && attribute->kind != J_NONE) {
        if (attribute->kind == J_TEXT &&
            memchr(attribute->as.text.data, ',', attribute->as.text.length))
            return jrun_fail(r, "sorting by several attributes is not supported");
        key = path_of(r, key, attribute, NULL);
    }
    return key.kind == J_TEXT && !cased ? jtext_case(r, key.as.text, CASE_LOWER) : key;
}

/* Merges the sorted runs order[start, middle) and order[middle, end) into out. */
static void merge(struct jrun *r, const struct jv *keys, const size_t *order, size_t *out,
                  const size_t bounds[3], bool reverse)
{
    size_t a = bounds[0], b = bounds[1];
    for (size_t i = bounds[0]; i < bounds[2]; i++) {
        bool take_b = a == bounds[1];
        if (!take_b && b < bounds[2]) {
            int c = jv_compare(r, &keys[order[b]], &keys[order[a]], "<");
            take_b = reverse ? c > 0 : c < 0;
        }
        out[i] = order[take_b ? b++ : a++];
    }
}

/* Indices of items in order of keys; stable; reversed as Python reverses: equal ones keep order. */
static size_t *sorted(struct jrun *r, const struct jv *keys, size_t n, bool reverse)
{
    size_t *order = jrun_alloc(r, n, sizeof *order), *other = jrun_alloc(r, n, sizeof *other);
    if (!order || !other)
        return NULL;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t bounds[3] = {start, start + width < n ? start + width : n,
                                start + 2 * width < n ? start + 2 * width : n};
            merge(r, keys, order, other, bounds, reverse);
            if (r->status)
                return NULL;
        }
        size_t *swap = order;
        order = other;
        other = swap;
    }
    return order;
}

static struct jv generator(struct jv list)
{
    list.kind = J_ITERATOR;
    return list;
}

/* --- filters of texts --- */

static struct jv trim(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    struct jv text = jv_text(r, v);
    if (is_given(&a[0]) && a[0].kind != J_NONE && a[0].kind != J_TEXT)
        return jrun_fail(r, "trim wants a text, not %s", jv_type(&a[0]));
    if (r->status || !jrun_charge(r, 1 + text.as.text.length / 16))
        return jv_none();
    struct slice s = jtext_strip(text.as.text, &a[0], true, true);
    struct jv out = jv_slice(s.data, s.length);
    out.safe = text.safe;
    return out;
}

static struct jv text_case(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    struct jv text = jv_text(r, v);
    (void)a;
    if (r->status)
        return jv_none();
    struct jv out = jtext_case(r, text.as.text, (enum jcase)how);
    out.safe = text.safe;
    return out;
}

/* A letter at the start, or after a hyphen, white space or an opening bracket. */
static struct jv title(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    struct jv text = jv_text(r, v);
    struct str out = {0};
    struct slice s = text.as.text;
    bool start = true;
    for (size_t at = 0; !r->status && at < s.length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        struct jv one =
            jtext_case(r, (struct slice){s.data + at, n}, start ? CASE_UPPER : CASE_LOWER);
        if (!r->status)
            str_append(&out, one.as.text.data, one.as.text.length);
        start = jtext_is_space(c) || (c && c < 128 && strchr("-({[<", c));
        at += n;
    }
    return jv_take(r, &out);
}

static struct jv replace(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    struct jv text = jv_text(r, v), old = jv_text(r, &a[0]), fresh = jv_text(r, &a[1]);
    long long count = -1;
    if (r->status || (a[2].kind != J_NONE && !jargs_int(r, "replace", &a[2], &count)))
        return jv_none();
    if (text.safe || fresh.safe)
        return jrun_fail(r, "the filter replace on a safe text is not supported");
    return jtext_replace(r, text.as.text, old.as.text, fresh.as.text, count < 0 ? -1 : count);
}

static struct jv indent(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    struct slice s;
    struct str out = {0};
    long long width = 4;
    if (!jargs_text(r, "indent", v, &s) ||
        (a[0].kind != J_TEXT && !jargs_int(r, "indent", &a[0], &width)))
        return jv_none();
    if (v->safe)
        return jrun_fail(r, "the filter indent on a safe text is not supported");
    if (width > 1000)
        return jrun_fail(r, "indent by more than 1000 is not supported");
    char spaces[1000];
    memset(spaces, ' ', sizeof spaces);
    struct slice by =
        a[0].kind == J_TEXT ? a[0].as.text : (struct slice){spaces, width > 0 ? (size_t)width : 0};
    struct jv quirk = jv_literal("\n"), ended = jv_binary(r, OP_ADD, v, &quirk);
    struct jv lines = r->status ? jv_none() : jtext_lines(r, ended.as.text, false);
    for (size_t i = 0; !r->status && i < lines.as.list->count; i++) {
        struct slice line = lines.as.list->items[i].as.text;
        bool indented = i ? line.length || flag(&a[2], false) : flag(&a[1], false);
        str_puts(&out, i ? "\n" : "");
        if (indented)
            str_append(&out, by.data, by.length);
        str_append(&out, line.data, line.length);
        if (out.length > r->output)
            jrun_fail(r, "a text becomes too long");
    }
    return jv_take(r, &out);
}

/* string (0), safe (1), escape (2) */
static struct jv as_text(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    struct jv text = jv_text(r, v);
    if (how == 2 && !text.safe && !r->status)
        return jtext_escape(r, text.as.text);
    text.safe = text.safe || how == 1;
    return text;
}

static struct jv tojson(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    char spaces[100];
    struct jjson json = {.ascii = flag(&a[0], false),
                         .sort = flag(&a[3], false),
                         .comma = slice_of(", "),
                         .colon = slice_of(": ")};
    memset(spaces, ' ', sizeof spaces);
    long long width = 0;
    if (is_given(&a[1]) && a[1].kind != J_NONE) {
        if (a[1].kind == J_TEXT)
            json.indent = a[1].as.text;
        else if (!jargs_int(r, "tojson's indent", &a[1], &width))
            return jv_none();
        else
            json.indent = (struct slice){spaces, width < 0 ? 0 : width > 100 ? 100 : (size_t)width};
        if (width > 100)
            return jrun_fail(r, "tojson's indent above 100 is not supported");
        json.comma = slice_of(",");
    }
    if (is_given(&a[2]) && a[2].kind != J_NONE) {
        if (!jv_is_sequence(&a[2]) || a[2].as.list->count != 2 ||
            a[2].as.list->items[0].kind != J_TEXT || a[2].as.list->items[1].kind != J_TEXT)
            return jrun_fail(r, "tojson's separators are two texts");
        json.comma = a[2].as.list->items[0].as.text;
        json.colon = a[2].as.list->items[1].as.text;
    }
    struct str out = {0};
    jv_json(r, &out, v, &json);
    return jv_take(r, &out);
}

/* --- numbers --- */

static bool text_number(struct slice s, bool whole, double *out)
{
    char text[64], *end;
    s = jtext_strip(s, NULL, true, true);
    if (!s.length || s.length >= sizeof text || memchr(s.data, 'x', s.length) ||
        memchr(s.data, 'X', s.length) || memchr(s.data, '(', s.length))
        return false;
    memcpy(text, s.data, s.length);
    text[s.length] = 0;
    *out = strtod(text, &end);
    return !*end && (!whole || isfinite(*out));
}

static struct jv to_int(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    long long base = 10;
    double x = 0;
    struct jv otherwise = is_given(&a[0]) ? a[0] : jv_int(0);
    if (!jargs_int(r, "int's base", &a[1], &base))
        return jv_none();
    if (base != 10)
        return jrun_fail(r, "the filter int with a base other than 10 is not supported");
    if (v->kind == J_INT || v->kind == J_BOOL)
        return jv_int(v->kind == J_BOOL ? v->as.truth : v->as.integer);
    if (v->kind == J_UNDEFINED)
        return jrun_fail(r, "\"%.*s\" is undefined, so it is no integer",
                         (int)(v->as.text.length < 60 ? v->as.text.length : 60), v->as.text.data);
    if (v->kind == J_TEXT) {
        if (memchr(v->as.text.data, '_', v->as.text.length))
            return jrun_fail(r, "the filter int on a text with \"_\" is not supported");
        struct slice s = jtext_strip(v->as.text, NULL, true, true);
        size_t digits = 0;
        bool sign = s.length && (s.data[0] == '-' || s.data[0] == '+');
        while (sign + digits < s.length && s.data[sign + digits] >= '0' &&
               s.data[sign + digits] <= '9')
            digits++;
        if (digits && sign + digits == s.length) {
            char text[24];
            if (s.length > 18)
                return jrun_fail(r, "an integer has more than 18 digits");
            memcpy(text, s.data, s.length);
            text[s.length] = 0;
            return jv_int(strtoll(text, NULL, 10));
        }
        if (!text_number(v->as.text, true, &x))
            return otherwise;
    } else if (v->kind == J_FLOAT && isfinite(v->as.real)) {
        x = v->as.real;
    } else {
        return otherwise;
    }
    return fabs(x) < 9e18 ? jv_int((long long)x) : jrun_fail(r, "an integer has more than 64 bits");
}

static struct jv to_float(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    long long i;
    double x = 0;
    if (jv_is_number(v)) {
        (void)jv_number(v, &i, &x);
        return jv_float(x);
    }
    if (v->kind == J_UNDEFINED)
        return jrun_fail(r, "an undefined value is no number");
    if (v->kind == J_TEXT && memchr(v->as.text.data, '_', v->as.text.length))
        return jrun_fail(r, "the filter float on a text with \"_\" is not supported");
    if (v->kind == J_TEXT && text_number(v->as.text, false, &x))
        return jv_float(x);
    return is_given(&a[0]) ? a[0] : jv_float(0);
}

static struct jv absolute(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    long long i = 0;
    double x = 0;
    if (!jv_is_number(v))
        return jrun_fail(r, "abs wants a number, not %s", jv_type(v));
    if (!jv_number(v, &i, &x))
        return jv_float(fabs(x));
    struct jv zero = jv_int(0), number = jv_int(i);
    return i < 0 ? jv_binary(r, OP_SUB, &zero, &number) : number;
}

static struct jv rounded(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    long long i = 0, precision = 0;
    double x = 0;
    if (!jv_is_number(v) || !jargs_int(r, "round", &a[0], &precision))
        return r->status ? jv_none() : jrun_fail(r, "round wants a number, not %s", jv_type(v));
    if (precision < 0 || precision > 20)
        return jrun_fail(r, "round to %lld digits is not supported", precision);
    bool integer = jv_number(v, &i, &x);
    bool ceiling = jv_is(&a[1], "ceil"), down = jv_is(&a[1], "floor");
    if (is_given(&a[1]) && !ceiling && !down && !jv_is(&a[1], "common"))
        return jrun_fail(r, "round's method is common, ceil or floor");
    if (ceiling || down) {
        double scale = pow(10, (double)precision);
        double whole = ceiling ? ceil(x * scale) : floor(x * scale);
        return jv_float((whole == 0 ? 0 : whole) / scale); /* an integer there: no -0 */
    }
    if (integer)
        return jv_int(i);
    char text[400]; /* correctly rounded, half to even, as Python does it */
    snprintf(text, sizeof text, "%.*f", (int)precision, x);
    return jv_float(strtod(text, NULL));
}

/* --- lists --- */

static struct jv length(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    size_t n;
    if (!jv_length(r, v, &n))
        return r->status ? jv_none() : jrun_fail(r, "%s has no length", jv_type(v));
    return jv_int((long long)n);
}

static struct jv list(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    struct jv items = jv_items(r, v);
    items.kind = J_LIST;
    return items;
}

static struct jv first(struct jrun *r, const struct jv *v, const struct jv *a, int last)
{
    (void)a;
    if (last && v->kind == J_ITERATOR)
        return jrun_fail(r, "the last item of a generator cannot be told");
    if (!last && v->kind == J_ITERATOR)
        return v->as.list->at < v->as.list->count ? v->as.list->items[v->as.list->at++]
                                                  : jv_undefined("the first item");
    struct jv items = jv_items(r, v);
    if (r->status)
        return jv_none();
    size_t n = items.as.list->count;
    return n ? items.as.list->items[last ? n - 1 : 0] : jv_undefined("an item of nothing");
}

static struct jv join(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how;
    struct jv between = is_given(&a[0]) ? jv_text(r, &a[0]) : jv_slice("", 0),
              items = jv_items(r, v);
    if (r->status)
        return jv_none();
    if (is_given(&a[1]) && a[1].kind != J_NONE) {
        struct jv parts = jv_list(r, J_LIST, items.as.list->count);
        for (size_t i = 0; !r->status && i < items.as.list->count; i++)
            parts.as.list->items[i] = path_of(r, items.as.list->items[i], &a[1], NULL);
        items = parts;
    }
    return r->status ? jv_none() : jtext_join(r, between.as.text, &items, false);
}

static struct jv reverse(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    struct jv bounds[3] = {jv_none(), jv_none(), jv_int(-1)};
    if (v->kind == J_TEXT)
        return jv_slice_of(r, v, bounds);
    struct jv items = jv_items(r, v);
    if (r->status)
        return items;
    items.kind = J_LIST;
    struct jv out = jv_slice_of(r, &items, bounds);
    return generator(out);
}

static struct jv sort(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how; /* reverse, case_sensitive, attribute */
    struct jv items = jv_items(r, v);
    if (r->status)
        return items;
    size_t n = items.as.list->count;
    struct jv keys = jv_list(r, J_LIST, n), out = jv_list(r, J_LIST, n);
    for (size_t i = 0; !r->status && i < n; i++)
        keys.as.list->items[i] = key_of(r, &items.as.list->items[i], &a[2], flag(&a[1], false));
    size_t *order = r->status ? NULL : sorted(r, keys.as.list->items, n, flag(&a[0], false));
    for (size_t i = 0; order && i < n; i++)
        out.as.list->items[i] = items.as.list->items[order[i]];
    return out;
}

static struct jv unique(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how; /* case_sensitive, attribute */
    struct jv items = jv_items(r, v);
    if (r->status)
        return items;
    size_t n = items.as.list->count, kept = 0;
    struct jv keys = jv_list(r, J_LIST, n), out = jv_list(r, J_LIST, n);
    for (size_t i = 0; !r->status && i < n; i++) {
        struct jv key = key_of(r, &items.as.list->items[i], &a[1], flag(&a[0], false));
        bool seen = false;
        if (!jv_hashable(r, &key))
            return jrun_fail(r, "unique cannot tell %ss apart", jv_type(&key));
        for (size_t k = 0; k < kept && !seen && !r->status; k++)
            seen = jv_equal(r, &keys.as.list->items[k], &key);
        if (seen)
            continue;
        keys.as.list->items[kept] = key;
        out.as.list->items[kept++] = items.as.list->items[i];
    }
    if (!r->status)
        out.as.list->count = kept;
    return generator(out);
}

static struct jv extreme(struct jrun *r, const struct jv *v, const struct jv *a, int largest)
{
    struct jv items = jv_items(r, v), best = jv_none(), best_key = jv_none();
    if (r->status)
        return items;
    if (!items.as.list->count)
        return jv_undefined("an item of nothing");
    for (size_t i = 0; i < items.as.list->count && !r->status; i++) {
        struct jv key = key_of(r, &items.as.list->items[i], &a[1], flag(&a[0], false));
        int c = i && !r->status ? jv_compare(r, &key, &best_key, "<") : 0;
        if (i && (largest ? c <= 0 : c >= 0))
            continue;
        best = items.as.list->items[i];
        best_key = key;
    }
    return best;
}

static struct jv sum(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how; /* attribute, start */
    struct jv items = jv_items(r, v), total = is_given(&a[1]) ? a[1] : jv_int(0);
    if (total.kind == J_TEXT)
        return jrun_fail(r, "sum does not add texts; use join");
    for (size_t i = 0; !r->status && i < items.as.list->count; i++) {
        struct jv item = items.as.list->items[i];
        if (is_given(&a[0]) && a[0].kind != J_NONE)
            item = path_of(r, item, &a[0], NULL);
        if (!r->status)
            total = jv_binary(r, OP_ADD, &total, &item);
    }
    return total;
}

static struct jv items(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    if (v->kind == J_UNDEFINED)
        return generator(jv_list(r, J_LIST, 0));
    if (v->kind != J_DICT)
        return jrun_fail(r, "items wants a dict, not %s", jv_type(v));
    struct jmethod m = {*v, slice_of("items")};
    struct jargs none = {0};
    struct jv view = jmethod_call(r, &m, &none);
    return generator(view);
}

static struct jv dictsort(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)how; /* case_sensitive, by, reverse */
    if (v->kind != J_DICT)
        return jrun_fail(r, "dictsort wants a dict, not %s", jv_type(v));
    bool by_value = jv_is(&a[1], "value");
    if (is_given(&a[1]) && !by_value && !jv_is(&a[1], "key"))
        return jrun_fail(r, "dictsort sorts by \"key\" or \"value\"");
    struct jmethod m = {*v, slice_of("items")};
    struct jargs none = {0};
    struct jv pairs = jmethod_call(r, &m, &none), at = jv_int(by_value);
    struct jv sort_arguments[3] = {is_given(&a[2]) ? a[2] : jv_bool(false),
                                   is_given(&a[0]) ? a[0] : jv_bool(false), at};
    return r->status ? jv_none() : sort(r, &pairs, sort_arguments, 0);
}

static struct jv defaulted(struct jrun *r, const struct jv *v, const struct jv *a, int how)
{
    (void)r;
    (void)how;
    if (v->kind == J_UNDEFINED || (flag(&a[1], false) && !jv_truth(v)))
        return is_given(&a[0]) ? a[0] : jv_slice("", 0);
    return *v;
}

/* --- filters that apply filters and tests --- */

static const struct jv *named(const struct jargs *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (slice_equals(args->names[i], name))
            return &args->named[i];
    return NULL;
}

static struct jv map(struct jrun *r, const struct jv *v, const struct jargs *args)
{
    const struct jv *attribute = args->n ? NULL : named(args, "attribute"),
                    *otherwise = attribute ? named(args, "default") : NULL;
    const void *filter = NULL;
    if (attribute && args->n_named != 1u + (otherwise != NULL))
        return jrun_fail(r, "map takes attribute and default");
    if (!attribute && (!args->n || args->items[0].kind != J_TEXT))
        return jrun_fail(r, "map wants the name of a filter, or attribute=…");
    if (!attribute && !(filter = jfilter_find(args->items[0].as.text)))
        return jrun_fail(
            r, "map: the filter \"%.*s\" is not supported",
            (int)(args->items[0].as.text.length < 40 ? args->items[0].as.text.length : 40),
            args->items[0].as.text.data);
    struct jargs rest = *args;
    if (!attribute) {
        rest.items++;
        rest.n--;
    }
    struct jv in = jv_truth(v) || v->kind == J_ITERATOR ? jv_items(r, v) : jv_list(r, J_LIST, 0);
    struct jv out = r->status ? in : jv_list(r, J_LIST, in.as.list->count);
    for (size_t i = 0; !r->status && i < in.as.list->count; i++) {
        const struct jv *item = &in.as.list->items[i];
        out.as.list->items[i] = attribute ? path_of(r, *item, attribute, otherwise)
                                          : jfilter_apply(r, filter, item, &rest);
    }
    return generator(out);
}

/* select and reject; with an attribute first: selectattr and rejectattr */
static struct jv choose(struct jrun *r, const struct jv *v, const struct jargs *args,
                        bool by_attribute, bool wanted)
{
    size_t used = by_attribute;
    const void *test = NULL;
    if (by_attribute && !args->n)
        return jrun_fail(r, "the name of an attribute is missing");
    if (args->n > used) {
        const struct jv *name = &args->items[used];
        if (name->kind != J_TEXT || !(test = jtest_find(name->as.text)))
            return jrun_fail(r, "select and reject: a test that is not supported");
        used++;
    }
    struct jargs rest = *args;
    rest.items += used;
    rest.n -= used;
    struct jv in = jv_truth(v) ? jv_items(r, v) : jv_list(r, J_LIST, 0);
    struct jv out = r->status ? in : jv_list(r, J_LIST, in.as.list->count);
    size_t kept = 0;
    for (size_t i = 0; !r->status && i < in.as.list->count; i++) {
        const struct jv *item = &in.as.list->items[i];
        struct jv value = by_attribute ? path_of(r, *item, &args->items[0], NULL) : *item;
        bool is = r->status ? false : test ? jtest_apply(r, test, &value, &rest) : jv_truth(&value);
        if (is == wanted)
            out.as.list->items[kept++] = *item;
    }
    if (!r->status)
        out.as.list->count = kept;
    return generator(out);
}

enum special { PLAIN, MAP, SELECT, REJECT, SELECT_ATTRIBUTE, REJECT_ATTRIBUTE };
static const struct filter {
    const char *name;
    struct jv (*apply)(struct jrun *r, const struct jv *v, const struct jv *a, int how);
    int how;
    const char *arguments;
    size_t required;
    enum special special;
} filters[] = {
    {"trim", trim, 0, "chars", 0, PLAIN},
    {"upper", text_case, CASE_UPPER, "", 0, PLAIN},
    {"lower", text_case, CASE_LOWER, "", 0, PLAIN},
    {"capitalize", text_case, CASE_CAPITALIZE, "", 0, PLAIN},
    {"title", title, 0, "", 0, PLAIN},
    {"replace", replace, 0, "old new count", 2, PLAIN},
    {"indent", indent, 0, "width first blank", 0, PLAIN},
    {"string", as_text, 0, "", 0, PLAIN},
    {"safe", as_text, 1, "", 0, PLAIN},
    {"escape", as_text, 2, "", 0, PLAIN},
    {"e", as_text, 2, "", 0, PLAIN},
    {"tojson", tojson, 0, "ensure_ascii indent separators sort_keys", 0, PLAIN},
    {"int", to_int, 0, "default base", 0, PLAIN},
    {"float", to_float, 0, "default", 0, PLAIN},
    {"abs", absolute, 0, "", 0, PLAIN},
    {"round", rounded, 0, "precision method", 0, PLAIN},
    {"length", length, 0, "", 0, PLAIN},
    {"count", length, 0, "", 0, PLAIN},
    {"list", list, 0, "", 0, PLAIN},
    {"first", first, 0, "", 0, PLAIN},
    {"last", first, 1, "", 0, PLAIN},
    {"join", join, 0, "d attribute", 0, PLAIN},
    {"reverse", reverse, 0, "", 0, PLAIN},
    {"sort", sort, 0, "reverse case_sensitive attribute", 0, PLAIN},
    {"unique", unique, 0, "case_sensitive attribute", 0, PLAIN},
    {"min", extreme, 0, "case_sensitive attribute", 0, PLAIN},
    {"max", extreme, 1, "case_sensitive attribute", 0, PLAIN},
    {"sum", sum, 0, "attribute start", 0, PLAIN},
    {"items", items, 0, "", 0, PLAIN},
    {"dictsort", dictsort, 0, "case_sensitive by reverse", 0, PLAIN},
    {"default", defaulted, 0, "default_value boolean", 0, PLAIN},
    {"d", defaulted, 0, "default_value boolean", 0, PLAIN},
    {"map", NULL, 0, "", 0, MAP},
    {"select", NULL, 0, "", 0, SELECT},
    {"reject", NULL, 0, "", 0, REJECT},
    {"selectattr", NULL, 0, "", 0, SELECT_ATTRIBUTE},
    {"rejectattr", NULL, 0, "", 0, REJECT_ATTRIBUTE},
};

const void *jfilter_find(struct slice name)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (slice_equals(name, filters[i].name))
            return &filters[i];
    return NULL;
}

struct jv jfilter_apply(struct jrun *r, const void *filter, const struct jv *v,
                        const struct jargs *args)
{
    const struct filter *f = filter;
    struct jv bound[4], out;
    char what[40];
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return jv_none();
    snprintf(what, sizeof what, "the filter %s", f->name);
    switch (f->special) {
    case MAP:
        out = map(r, v, args);
        break;
    case SELECT:
    case REJECT:
    case SELECT_ATTRIBUTE:
    case REJECT_ATTRIBUTE:
        out = choose(r, v, args, f->special >= SELECT_ATTRIBUTE,
                     f->special == SELECT || f->special == SELECT_ATTRIBUTE);
        break;
    default:
        out = jargs_bind(r, what, args, f->arguments, f->required, bound)
                  ? f->apply(r, v, bound, f->how)
                  : jv_none();
    }
    r->depth--;
    return out;
}
