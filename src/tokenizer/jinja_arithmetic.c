/* jinja_arithmetic.c: + - * / // % ** on numbers, texts and lists, as Python has them. Integers
 * have 64 bits: beyond that is an error, never a wrap. */
#include <math.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

static struct jv overflow(struct jrun *r)
{
    return jrun_fail(r, "an integer has more than 64 bits");
}

static struct jv integer_power(struct jrun *r, long long a, long long b)
{
    long long result = 1;
    if (b < 0) {
        if (!a)
            return jrun_fail(r, "0 has no negative power");
        return jv_float(pow((double)a, (double)b));
    }
    if (a == 0 || a == 1 || a == -1)
        return jv_int(b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a);
    for (long long i = 0; i < b; i++)
        if (__builtin_mul_overflow(result, a, &result))
            return overflow(r);
    return jv_int(result);
}

static struct jv integers(struct jrun *r, enum joperator op, long long a, long long b)
{
    long long c = 0;
    switch (op) {
    case OP_ADD:
        return __builtin_add_overflow(a, b, &c) ? overflow(r) : jv_int(c);
    case OP_SUB:
        return __builtin_sub_overflow(a, b, &c) ? overflow(r) : jv_int(c);
    case OP_MUL:
        return __builtin_mul_overflow(a, b, &c) ? overflow(r) : jv_int(c);
    case OP_POW:
        return integer_power(r, a, b);
    default:
        break;
    }
    if (b == 0)
        return jrun_fail(r, "division by zero");
    if (op == OP_DIV)
        return jv_float((double)a / (double)b);
    if (b == -1)
        return op == OP_MOD ? jv_int(0) : integers(r, OP_SUB, 0, a);
    long long quotient = a / b, rest = a % b;
    if (rest && (rest < 0) != (b < 0)) { /* Python rounds down */
        quotient--;
        rest += b;
    }
    return jv_int(op == OP_MOD ? rest : quotient);
}

static struct jv reals(struct jrun *r, enum joperator op, double a, double b)
{
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return jrun_fail(r, "division by zero");
    double rest = 0;
    switch (op) {
    case OP_ADD:
        return jv_float(a + b);
    case OP_SUB:
        return jv_float(a - b);
    case OP_MUL:
        return jv_float(a * b);
    case OP_DIV:
        return jv_float(a / b);
    case OP_POW:
        if (a < 0 && b != floor(b))
            return jrun_fail(r, "complex numbers are not supported");
        if (a == 0 && b < 0)
            return jrun_fail(r, "0 has no negative power");
        return jv_float(pow(a, b));
    default:
        break;
    }
    rest = fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
        quotient -= 1;
    } else if (rest == 0) {
        rest = copysign(0.0, b);
    }
    if (op == OP_MOD)
        return jv_float(rest);
    if (quotient == 0)
        return jv_float(copysign(0.0, a / b));
    double down = floor(quotient);
    return jv_float(quotient - down > 0.5 ? down + 1 : down);
}

static struct jv repeat(struct jrun *r, const struct jv *v, long long times)
{
    size_t n = times > 0 ? (size_t)times : 0, total;
    if (v->kind == J_TEXT) {
        size_t length = v->as.text.length;
        char *data = mem_mul(&total, n, length) ? jrun_alloc(r, total + 1, 1) : NULL;
        if (!data)
            return r->status ? jv_none() : jrun_fail(r, "a text becomes too long");
        for (size_t i = 0; i < n && length; i++)
            memcpy(data + i * length, v->as.text.data, length);
        return jv_slice(data, total);
    }
    size_t count = v->as.list->count;
    if (!mem_mul(&total, n, count))
        return jrun_fail(r, "a list becomes too long");
    struct jv list = jv_list(r, v->kind, total);
    for (size_t i = 0; !r->status && i < total; i++)
        list.as.list->items[i] = v->as.list->items[i % count];
    return list;
}

/* Markup takes only markup: a plain text beside it is escaped. */
static struct jv add_texts(struct jrun *r, struct jv a, struct jv b)
{
    bool safe = a.safe || b.safe;
    if (safe && !a.safe)
        a = jtext_escape(r, a.as.text);
    if (safe && !b.safe)
        b = jtext_escape(r, b.as.text);
    if (r->status)
        return jv_none();
    char *data = jrun_alloc(r, a.as.text.length + b.as.text.length + 1, 1);
    if (!data)
        return jv_none();
    memcpy(data, a.as.text.data, a.as.text.length);
    memcpy(data + a.as.text.length, b.as.text.data, b.as.text.length);
    struct jv out = jv_slice(data, a.as.text.length + b.as.text.length);
    out.safe = safe;
    return out;
}

static struct jv add_lists(struct jrun *r, const struct jv *a, const struct jv *b)
{
    const struct jlist *x = a->as.list, *y = b->as.list;
    struct jv out = jv_list(r, a->kind, x->count + y->count);
    if (r->status)
        return out;
    if (x->count)
        memcpy(out.as.list->items, x->items, x->count * sizeof *x->items);
    if (y->count)
        memcpy(out.as.list->items + x->count, y->items, y->count * sizeof *y->items);
    return out;
}

struct jv jv_binary(struct jrun *r, enum joperator op, const struct jv *a, const struct jv *b)
{
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
    bool repeats_a = a->kind == J_TEXT || a->kind == J_LIST || a->kind == J_TUPLE,
         repeats_b = b->kind == J_TEXT || b->kind == J_LIST || b->kind == J_TUPLE;
    if (jv_is_number(a) && jv_is_number(b)) {
        long long i = 0, j = 0;
        double x = 0, y = 0;
        bool ai = jv_number(a, &i, &x), bi = jv_number(b, &j, &y);
        return ai && bi ? integers(r, op, i, j) : reals(r, op, x, y);
    }
    if (op == OP_ADD && a->kind == J_TEXT && b->kind == J_TEXT)
        return add_texts(r, *a, *b);
    if (op == OP_ADD && a->kind == b->kind && repeats_a)
        return add_lists(r, a, b);
    if (op == OP_MUL && repeats_a && (b->kind == J_INT || b->kind == J_BOOL))
        return repeat(r, a, b->kind == J_BOOL ? b->as.truth : b->as.integer);
    if (op == OP_MUL && repeats_b && (a->kind == J_INT || a->kind == J_BOOL))
        return repeat(r, b, a->kind == J_BOOL ? a->as.truth : a->as.integer);
    if (op == OP_MOD && a->kind == J_TEXT)
        return jrun_fail(r, "formatting a text with %% is not supported");
    const struct jv *u = a->kind == J_UNDEFINED ? a : b->kind == J_UNDEFINED ? b : NULL;
    if (u)
        return jrun_fail(r, "\"%.*s\" is undefined, so \"%s\" cannot be applied to it",
                         (int)(u->as.text.length < 60 ? u->as.text.length : 60), u->as.text.data,
                         signs[op]);
    return jrun_fail(r, "\"%s\" cannot be applied to %s and %s", signs[op], jv_type(a), jv_type(b));
}
