/* jinja_part.c: attributes, indices and slices of values, by Python's rules and jinja2's on top:
 * what is not there is undefined, a part of what is undefined is an error. */
#include <string.h>
#include "tokenizer/jinja_internal.h"

static struct jv loop_attribute(struct jrun *r, const struct jv *v, struct slice name)
{
    const struct jloop *l = v->as.loop;
    if (slice_equals(name, "index0"))
        return jv_int((long long)l->index0);
    if (slice_equals(name, "index"))
        return jv_int((long long)l->index0 + 1);
    if (slice_equals(name, "first"))
        return jv_bool(l->index0 == 0);
    if (slice_equals(name, "last"))
        return jv_bool(l->index0 + 1 == l->count);
    if (slice_equals(name, "length"))
        return jv_int((long long)l->count);
    if (slice_equals(name, "revindex"))
        return jv_int((long long)(l->count - l->index0));
    if (slice_equals(name, "revindex0"))
        return jv_int((long long)(l->count - l->index0) - 1);
    if (slice_equals(name, "depth"))
        return jv_int(1);
    if (slice_equals(name, "depth0"))
        return jv_int(0);
    if (slice_equals(name, "previtem"))
        return l->index0 ? l->items[l->index0 - 1] : jv_undefined("loop.previtem");
    if (slice_equals(name, "nextitem"))
        return l->index0 + 1 < l->count ? l->items[l->index0 + 1] : jv_undefined("loop.nextitem");
    if (slice_equals(name, "cycle") || slice_equals(name, "changed"))
        return jrun_fail(r, "loop.%.*s is not supported", (int)name.length, name.data);
    return jv_undefined("an attribute of loop");
}

static struct jv undefined_part(struct jrun *r, struct slice name)
{
    struct jv v = jv_copy(r, name.data, name.length < 60 ? name.length : 60);
    if (!r->status)
        v.kind = J_UNDEFINED;
    return v;
}

/* A method of the value's type, if it has one of the name. */
static bool method_of(struct jrun *r, const struct jv *v, struct slice name, struct jv *out)
{
    if (name.length > 1 && name.data[0] == '_' && name.data[1] == '_') {
        *out = jrun_fail(r, "access to attribute \"%.*s\" is unsafe",
                         (int)(name.length < 40 ? name.length : 40), name.data);
        return true;
    }
    if (v->kind == J_TEXT && jmethod_refused(name)) {
        *out = jrun_fail(r, "the method .%.*s() is not supported", (int)name.length, name.data);
        return true;
    }
    if (!jmethod_exists(v, name))
        return false;
    struct jmethod *m = jrun_alloc(r, 1, sizeof *m);
    if (m)
        *m = (struct jmethod){*v, name};
    *out = (struct jv){.kind = J_METHOD, .as.method = m};
    return true;
}

static bool no_parts(struct jrun *r, const struct jv *v, struct slice name)
{
    if (v->kind == J_UNDEFINED)
        jrun_fail(r, "\"%.*s\" is undefined, so it has no attribute \"%.*s\"",
                  (int)(v->as.text.length < 60 ? v->as.text.length : 60), v->as.text.data,
                  (int)(name.length < 60 ? name.length : 60), name.data);
    else if (v->kind == J_MACRO)
        jrun_fail(r, "attributes of macros are not supported");
    return r->status;
}

struct jv jv_attribute(struct jrun *r, const struct jv *v, struct slice name)
{
    struct jv method;
    if (no_parts(r, v, name))
        return jv_none();
    if (v->kind == J_LOOP)
        return loop_attribute(r, v, name);
    if (method_of(r, v, name, &method))
        return method;
    if (v->kind == J_DICT || v->kind == J_NAMESPACE) {
        struct jv *found = jdict_find(r, v->as.dict, name);
        if (found)
            return *found;
    }
    return undefined_part(r, name);
}

struct jv jv_index(struct jrun *r, const struct jv *v, const struct jv *index)
{
    struct slice shown = index->kind == J_TEXT ? index->as.text : slice_of("[…]");
    long long i = 0;
    double real;
    if (no_parts(r, v, shown))
        return jv_none();
    if (v->kind == J_DICT) {
        struct jv *found = !jv_hashable(r, index) ? NULL : jdict_get(r, v->as.dict, index);
        if (found)
            return *found;
    } else if ((index->kind == J_INT || index->kind == J_BOOL) &&
               (jv_is_sequence(v) || v->kind == J_TEXT)) {
        size_t n;
        (void)jv_number(index, &i, &real);
        (void)jv_length(r, v, &n);
        i += i < 0 ? (long long)n : 0;
        if (i < 0 || i >= (long long)n)
            return jv_undefined("an item beyond the end");
        if (v->kind != J_TEXT)
            return v->as.list->items[i];
        size_t from = jtext_offset(v->as.text, (size_t)i);
        int32_t cp;
        return jv_slice(v->as.text.data + from,
                        (size_t)utf8_decode(v->as.text.data + from, v->as.text.length - from, &cp));
    }
    if (index->kind != J_TEXT)
        return jv_undefined("an item");
    if (v->kind == J_LOOP)
        return loop_attribute(r, v, index->as.text);
    if (v->kind == J_NAMESPACE)
        return jv_attribute(r, v, index->as.text);
    struct jv method;
    return method_of(r, v, index->as.text, &method) ? method : undefined_part(r, index->as.text);
}

/* Python's slice.indices; bounds: start, stop, step, J_NONE where left out. */
static bool slice_bounds(struct jrun *r, const struct jv b[3], long long n, long long out[3])
{
    for (int i = 0; i < 3; i++) {
        if (b[i].kind != J_NONE && b[i].kind != J_INT && b[i].kind != J_BOOL) {
            jrun_fail(r, "a slice's bounds are integers, not %s", jv_type(&b[i]));
            return false;
        }
    }
    double real;
    out[2] = 1;
    if (b[2].kind != J_NONE)
        (void)jv_number(&b[2], &out[2], &real);
    if (out[2] == 0) {
        jrun_fail(r, "a slice's step is 0");
        return false;
    }
    long long low = out[2] < 0 ? -1 : 0, high = out[2] < 0 ? n - 1 : n;
    for (int i = 0; i < 2; i++) {
        bool from_low = (i == 0) == (out[2] > 0);
        if (b[i].kind == J_NONE) {
            out[i] = from_low ? low : high;
            continue;
        }
        (void)jv_number(&b[i], &out[i], &real);
        if (out[i] < 0)
            out[i] = out[i] + n < low ? low : out[i] + n;
        else if (out[i] > high)
            out[i] = high;
    }
    return true;
}

struct jv jv_slice_of(struct jrun *r, const struct jv *v, const struct jv bounds[3])
{
    size_t n = 0;
    long long b[3];
    if (no_parts(r, v, slice_of("[:]")))
        return jv_none();
    if (!jv_is_sequence(v) && v->kind != J_TEXT)
        return jrun_fail(r, "%s cannot be sliced", jv_type(v));
    struct jv items = jv_items(r, v);
    (void)jv_length(r, v, &n);
    if (r->status || !slice_bounds(r, bounds, (long long)n, b))
        return jv_none();
    long long step = b[2];
    unsigned long long span = step > 0 ? (b[1] > b[0] ? (unsigned long long)(b[1] - b[0]) : 0)
                                       : (b[0] > b[1] ? (unsigned long long)(b[0] - b[1]) : 0);
    unsigned long long stride = step > 0 ? (unsigned long long)step : -(unsigned long long)step;
    size_t count = span ? (size_t)((span - 1) / stride + 1) : 0;
    struct jv out = jv_list(r, v->kind == J_TEXT ? J_LIST : v->kind, count);
    long long at = b[0];
    for (size_t i = 0; !r->status && i < count; i++) {
        out.as.list->items[i] = items.as.list->items[at];
        if (i + 1 < count)
            at += step;
    }
    if (r->status || v->kind != J_TEXT)
        return out;
    if (step == 1 && count) { /* one piece: no copy */
        const struct slice first = out.as.list->items[0].as.text,
                           last = out.as.list->items[count - 1].as.text;
        return jv_slice(first.data, (size_t)(last.data + last.length - first.data));
    }
    return jtext_join(r, slice_of(""), &out, false);
}
