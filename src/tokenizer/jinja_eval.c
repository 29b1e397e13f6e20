/* jinja_eval.c: expressions of a parsed template to values, by walking the tree; the functions a
 * template may call; errors and limits of a rendering. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

enum { MAX_DEPTH = 700, MAX_RANGE = 100000 };

/* --- errors and limits --- */

struct jv jrun_fail(struct jrun *r, const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!r->status)
        r->status = err_set(r->err, ERR_INPUT, r->t->where, "line %d: %s", r->line, message);
    return jv_none();
}

bool jrun_charge(struct jrun *r, size_t steps)
{
    if (r->status)
        return false;
    if (steps > r->steps) {
        jrun_fail(r, "the chat template takes too many steps; it may never end");
        return false;
    }
    r->steps -= steps;
    return true;
}

void *jrun_alloc(struct jrun *r, size_t count, size_t size)
{
    size_t bytes;
    if (r->status)
        return NULL;
    if (!mem_mul(&bytes, count, size) || bytes > r->bytes) {
        jrun_fail(r, "the chat template wants too much memory");
        return NULL;
    }
    r->bytes -= bytes;
    void *p = arena_alloc(&r->arena, bytes);
    if (!p)
        r->status = err_no_memory(r->err, r->t->where, bytes);
    return p;
}

bool jrun_deeper(struct jrun *r)
{
    if (r->status)
        return false;
    if (r->depth >= MAX_DEPTH) {
        jrun_fail(r, "macros or values are nested too deeply");
        return false;
    }
    r->depth++;
    return true;
}

/* --- names and functions --- */

struct jv *jscope_find(struct jrun *r, struct slice name)
{
    for (struct jscope *s = r->scope; s; s = s->up) {
        struct jv *found = jdict_find(r, &s->names, name);
        if (found || r->status)
            return found;
    }
    return NULL;
}

enum function { F_RANGE, F_DICT, F_NAMESPACE, F_RAISE, F_STRFTIME };
static const char *const function_names[] = {"range", "dict", "namespace", "raise_exception",
                                             "strftime_now"};

bool jfunction_find(struct slice name, struct jv *out)
{
    for (size_t i = 0; i < sizeof function_names / sizeof *function_names; i++) {
        if (slice_equals(name, function_names[i])) {
            *out = (struct jv){.kind = J_FUNCTION, .as.integer = (long long)i};
            return true;
        }
    }
    return false;
}

static struct jv call_range(struct jrun *r, const struct jargs *args)
{
    long long v[3] = {0, 0, 1};
    if (args->n_named || !args->n || args->n > 3)
        return jrun_fail(r, "range takes one to three integers");
    for (size_t i = 0; i < args->n; i++)
        if (!jargs_int(r, "range", &args->items[i], &v[args->n == 1 ? 1 : i]))
            return jv_none();
    if (!v[2])
        return jrun_fail(r, "range has a step of 0");
    __int128 span = v[2] > 0 ? (__int128)v[1] - v[0] : (__int128)v[0] - v[1],
             step = v[2] > 0 ? v[2] : -(__int128)v[2],
             count = span > 0 ? (span + step - 1) / step : 0;
    if (count > MAX_RANGE)
        return jrun_fail(r, "range has more than %d items", MAX_RANGE);
    struct jv list = jv_list(r, J_RANGE, (size_t)count);
    for (size_t i = 0; !r->status && i < (size_t)count; i++)
        list.as.list->items[i] = jv_int((long long)(v[0] + (__int128)v[2] * (__int128)i));
    return list;
}

/* dict(…) and namespace(…): a dict or pairs, then named values */
static struct jv call_dict(struct jrun *r, const struct jargs *args, bool is_namespace)
{
    struct jv out = jv_dict(r);
    if (args->n > 1)
        return jrun_fail(r, "%s takes at most one argument without name",
                         is_namespace ? "namespace" : "dict");
    if (args->n && args->items[0].kind != J_DICT)
        return jrun_fail(r, "%s of %s is not supported", is_namespace ? "namespace" : "dict",
                         jv_type(&args->items[0]));
    for (size_t i = 0; args->n && !r->status && i < args->items[0].as.dict->count; i++)
        jdict_put(r, out.as.dict, args->items[0].as.dict->entries[i].key,
                  args->items[0].as.dict->entries[i].value);
    for (size_t i = 0; i < args->n_named && !r->status; i++)
        jdict_put(r, out.as.dict, jv_slice(args->names[i].data, args->names[i].length),
                  args->named[i]);
    if (!r->status && is_namespace) {
        out.kind = J_NAMESPACE;
        for (size_t i = 0; i < out.as.dict->count; i++) {
            const struct jv *key = &out.as.dict->entries[i].key;
            if (key->kind == J_TEXT && key->as.text.length && key->as.text.data[0] == '_')
                return jrun_fail(r, "a namespace takes no attribute that begins with \"_\"");
        }
    }
    return out;
}

struct jv jfunction_call(struct jrun *r, const struct jv *f, const struct jargs *args)
{
    struct jv message;
    switch ((enum function)f->as.integer) {
    case F_RANGE:
        return call_range(r, args);
    case F_DICT:
    case F_NAMESPACE:
        return call_dict(r, args, f->as.integer == F_NAMESPACE);
    case F_RAISE:
        if (!jargs_bind(r, "raise_exception", args, "message", 1, &message))
            return jv_none();
        message = jv_text(r, &message);
        return r->status
                   ? jv_none()
                   : jrun_fail(r, "the chat template refuses the messages: %.*s",
                               (int)(message.as.text.length < 400 ? message.as.text.length : 400),
                               message.as.text.data);
    default:
        return jrun_fail(r, "the chat template asks for the date (strftime_now), which would make "
                            "runs irreproducible: give the date as text, if the template takes "
                            "one (chat_template_kwargs: {date_string: \"26 Jul 2024\"})");
    }
}

/* --- calls --- */

/* Evaluates the arguments of a call, a filter or a test. */
static bool arguments(struct jrun *r, const struct jnode *n, struct jargs *out)
{
    *out = (struct jargs){.n = n->n_items, .n_named = n->n_named};
    out->items = jrun_alloc(r, n->n_items, sizeof *out->items);
    out->named = jrun_alloc(r, n->n_named, sizeof *out->named);
    out->names = jrun_alloc(r, n->n_named, sizeof *out->names);
    for (size_t i = 0; i < n->n_items && !r->status; i++)
        out->items[i] = jeval(r, n->items[i]);
    for (size_t i = 0; i < n->n_named && !r->status; i++) {
        out->names[i] = n->named[i].name;
        out->named[i] = jeval(r, n->named[i].value);
    }
    return !r->status;
}

static struct jv call(struct jrun *r, const struct jnode *n)
{
    struct jv f = jeval(r, n->a);
    struct jargs args;
    if (!arguments(r, n, &args))
        return jv_none();
    r->line = n->line;
    switch (f.kind) {
    case J_FUNCTION:
        return jfunction_call(r, &f, &args);
    case J_METHOD:
        return jmethod_call(r, f.as.method, &args);
    case J_MACRO:
        return jmacro_call(r, f.as.macro, &args);
    case J_UNDEFINED:
        return jrun_fail(r, "\"%.*s\" is undefined, so it cannot be called",
                         (int)(f.as.text.length < 60 ? f.as.text.length : 60), f.as.text.data);
    case J_LOOP:
        return jrun_fail(r, "recursive loops are not supported");
    default:
        return jrun_fail(r, "%s cannot be called", jv_type(&f));
    }
}

/* --- operators --- */

static bool compares(struct jrun *r, enum joperator op, const struct jv *a, const struct jv *b)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    switch (op) {
    case OP_EQ:
        return jv_equal(r, a, b);
    case OP_NE:
        return !jv_equal(r, a, b);
    case OP_IN:
        return jv_contains(r, b, a);
    case OP_NOT_IN:
        return !jv_contains(r, b, a);
    default:
        break;
    }
    if ((a->kind == J_FLOAT && a->as.real != a->as.real) ||
        (b->kind == J_FLOAT && b->as.real != b->as.real))
        return false;
    int c = jv_compare(r, a, b, signs[op - OP_LT]);
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}

static struct jv comparison(struct jrun *r, const struct jnode *n)
{
    struct jv left = jeval(r, n->a);
    for (size_t i = 0; i < n->n_items && !r->status; i++) {
        struct jv right = jeval(r, n->items[i]);
        if (r->status || !compares(r, n->ops[i], &left, &right))
            return jv_bool(false);
        left = right;
    }
    return jv_bool(true);
}

static struct jv unary(struct jrun *r, const struct jnode *n)
{
    struct jv v = jeval(r, n->a), zero = jv_int(0);
    if (r->status)
        return v;
    if (!jv_is_number(&v))
        return jrun_fail(r, "a sign cannot be put before %s", jv_type(&v));
    if (v.kind == J_FLOAT)
        return n->op == OP_SUB ? jv_float(-v.as.real) : v;
    return jv_binary(r, n->op, &zero, &v);
}

static struct jv concat(struct jrun *r, const struct jnode *n)
{
    struct str out = {0};
    for (size_t i = 0; i < n->n_items && !r->status; i++) {
        struct jv v = jeval(r, n->items[i]);
        if (!r->status)
            jv_print(r, &out, &v);
        if (out.length > r->output)
            jrun_fail(r, "a text becomes too long");
    }
    return jv_take(r, &out);
}

static struct jv literal(struct jrun *r, const struct jnode *n)
{
    if (n->kind == N_DICT) {
        struct jv dict = jv_dict(r);
        for (size_t i = 0; i + 1 < n->n_items && !r->status; i += 2) {
            struct jv key = jeval(r, n->items[i]), value = jeval(r, n->items[i + 1]);
            if (!r->status)
                jdict_put(r, dict.as.dict, key, value);
        }
        return dict;
    }
    struct jv list = jv_list(r, n->kind == N_LIST ? J_LIST : J_TUPLE, n->n_items);
    for (size_t i = 0; i < n->n_items && !r->status; i++) {
        struct jv item = jeval(r, n->items[i]);
        if (!r->status)
            list.as.list->items[i] = item;
    }
    return list;
}

static struct jv sliced(struct jrun *r, const struct jnode *n)
{
    struct jv of = jeval(r, n->a), bounds[3] = {jv_none(), jv_none(), jv_none()};
    const struct jnode *parts[] = {n->b, n->c, n->d};
    for (int i = 0; i < 3 && !r->status; i++)
        if (parts[i])
            bounds[i] = jeval(r, parts[i]);
    return r->status ? jv_none() : jv_slice_of(r, &of, bounds);
}

static struct jv name(struct jrun *r, const struct jnode *n)
{
    struct jv v, *found = jscope_find(r, n->name);
    if (found)
        return *found;
    if (jfunction_find(n->name, &v))
        return v;
    v = jv_slice(n->name.data, n->name.length);
    v.kind = J_UNDEFINED;
    return v;
}

static struct jv filter_or_test(struct jrun *r, const struct jnode *n)
{
    struct jv v = jeval(r, n->a);
    struct jargs args;
    if (r->status || !arguments(r, n, &args))
        return jv_none();
    r->line = n->line;
    return n->kind == N_FILTER ? jfilter_apply(r, n->found, &v, &args)
                               : jv_bool(jtest_apply(r, n->found, &v, &args));
}

static struct jv two(struct jrun *r, const struct jnode *n)
{
    struct jv a = jeval(r, n->a), b = r->status ? jv_none() : jeval(r, n->b);
    if (r->status)
        return jv_none();
    r->line = n->line;
    return n->kind == N_INDEX ? jv_index(r, &a, &b) : jv_binary(r, n->op, &a, &b);
}

static struct jv evaluate(struct jrun *r, const struct jnode *n)
{
    struct jv v;
    switch (n->kind) {
    case N_CONST:
        return n->value;
    case N_NAME:
        return name(r, n);
    case N_LIST:
    case N_TUPLE:
    case N_DICT:
        return literal(r, n);
    case N_ATTRIBUTE:
        v = jeval(r, n->a);
        r->line = n->line;
        return r->status ? v : jv_attribute(r, &v, n->name);
    case N_SLICE:
        return sliced(r, n);
    case N_CALL:
        return call(r, n);
    case N_FILTER:
    case N_TEST:
        return filter_or_test(r, n);
    case N_UNARY:
        return unary(r, n);
    case N_INDEX:
    case N_BINARY:
        return two(r, n);
    case N_AND:
    case N_OR:
        v = jeval(r, n->a);
        return r->status || jv_truth(&v) == (n->kind == N_OR) ? v : jeval(r, n->b);
    case N_NOT:
        v = jeval(r, n->a);
        return jv_bool(!jv_truth(&v));
    case N_CONCAT:
        return concat(r, n);
    case N_COMPARE:
        return comparison(r, n);
    default: /* N_CONDITION */
        v = jeval(r, n->b);
        return r->status      ? v
               : jv_truth(&v) ? jeval(r, n->a)
               : n->c         ? jeval(r, n->c)
                              : jv_undefined("a condition without else");
    }
}

struct jv jeval(struct jrun *r, const struct jnode *n)
{
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return jv_none();
    r->line = n->line;
    struct jv v = evaluate(r, n);
    r->depth--;
    return v;
}
