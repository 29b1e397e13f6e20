/* jinja_test.c: what stands behind "is", as a table. */
#include <stdio.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

enum test_code {
    IS_DEFINED,
    IS_UNDEFINED,
    IS_NONE,
    IS_STRING,
    IS_MAPPING,
    IS_ITERABLE,
    IS_SEQUENCE,
    IS_NUMBER,
    IS_INTEGER,
    IS_FLOAT,
    IS_BOOLEAN,
    IS_TRUE,
    IS_FALSE,
    IS_CALLABLE,
    IS_ODD,
    IS_EVEN,
    IS_DIVISIBLE,
    IS_EQ,
    IS_NE,
    IS_LT,
    IS_LE,
    IS_GT,
    IS_GE,
    IS_IN,
    IS_LOWER,
    IS_UPPER,
    IS_FILTER,
    IS_TEST
};

static const struct test {
    const char *name;
    enum test_code code;
    int arguments;
} tests[] = {
    {"defined", IS_DEFINED, 0},
    {"undefined", IS_UNDEFINED, 0},
    {"none", IS_NONE, 0},
    {"string", IS_STRING, 0},
    {"mapping", IS_MAPPING, 0},
    {"iterable", IS_ITERABLE, 0},
    {"sequence", IS_SEQUENCE, 0},
    {"number", IS_NUMBER, 0},
    {"integer", IS_INTEGER, 0},
    {"float", IS_FLOAT, 0},
    {"boolean", IS_BOOLEAN, 0},
    {"true", IS_TRUE, 0},
    {"false", IS_FALSE, 0},
    {"callable", IS_CALLABLE, 0},
    {"odd", IS_ODD, 0},
    {"even", IS_EVEN, 0},
    {"divisibleby", IS_DIVISIBLE, 1},
    {"eq", IS_EQ, 1},
    {"equalto", IS_EQ, 1},
    {"==", IS_EQ, 1},
    {"ne", IS_NE, 1},
    {"!=", IS_NE, 1},
    {"lt", IS_LT, 1},
    {"lessthan", IS_LT, 1},
    {"<", IS_LT, 1},
    {"le", IS_LE, 1},
    {"<=", IS_LE, 1},
    {"gt", IS_GT, 1},
    {"greaterthan", IS_GT, 1},
    {">", IS_GT, 1},
    {"ge", IS_GE, 1},
    {">=", IS_GE, 1},
    {"in", IS_IN, 1},
    {"lower", IS_LOWER, 0},
    {"upper", IS_UPPER, 0},
    {"filter", IS_FILTER, 0},
    {"test", IS_TEST, 0},
};

const void *jtest_find(struct slice name)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (slice_equals(name, tests[i].name))
            return &tests[i];
    return NULL;
}

/* value % by == rest */
static bool leaves(struct jrun *r, const struct jv *v, long long by, long long rest)
{
    struct jv divisor = jv_int(by), wanted = jv_int(rest);
    struct jv got = jv_binary(r, OP_MOD, v, &divisor);
    return !r->status && jv_equal(r, &got, &wanted);
}

/* Some letter with case, and none of the other. */
static bool in_case(struct jrun *r, const struct jv *v, enum jcase how)
{
    struct jv text = jv_text(r, v);
    if (r->status)
        return false;
    struct jv same = jtext_case(r, text.as.text, how),
              other = jtext_case(r, text.as.text, how == CASE_LOWER ? CASE_UPPER : CASE_LOWER);
    return !r->status && jv_equal(r, &same, &text) && !jv_equal(r, &other, &text);
}

static bool compare(struct jrun *r, enum test_code code, const struct jv *a, const struct jv *b)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    int c = jv_compare(r, a, b, signs[code - IS_LT]);
    if (r->status)
        return false;
    return code == IS_LT ? c < 0 : code == IS_LE ? c <= 0 : code == IS_GT ? c > 0 : c >= 0;
}

static bool is_type(const struct jv *v, enum test_code code)
{
    switch (code) {
    case IS_DEFINED:
        return v->kind != J_UNDEFINED;
    case IS_UNDEFINED:
        return v->kind == J_UNDEFINED;
    case IS_NONE:
        return v->kind == J_NONE;
    case IS_STRING:
        return v->kind == J_TEXT;
    case IS_MAPPING:
        return v->kind == J_DICT;
    case IS_ITERABLE:
        return v->kind == J_UNDEFINED || v->kind == J_TEXT || v->kind == J_DICT ||
               v->kind == J_VIEW || v->kind == J_ITERATOR || v->kind == J_LOOP || jv_is_sequence(v);
    case IS_SEQUENCE: /* has a length and takes an index */
        return v->kind == J_UNDEFINED || v->kind == J_TEXT || v->kind == J_DICT ||
               jv_is_sequence(v);
    case IS_NUMBER:
        return jv_is_number(v);
    case IS_INTEGER:
        return v->kind == J_INT;
    case IS_FLOAT:
        return v->kind == J_FLOAT;
    case IS_BOOLEAN:
        return v->kind == J_BOOL;
    case IS_TRUE:
        return v->kind == J_BOOL && v->as.truth;
    case IS_FALSE:
        return v->kind == J_BOOL && !v->as.truth;
    default: /* IS_CALLABLE */
        return v->kind == J_UNDEFINED || v->kind == J_MACRO || v->kind == J_FUNCTION ||
               v->kind == J_METHOD;
    }
}

bool jtest_apply(struct jrun *r, const void *test, const struct jv *v, const struct jargs *args)
{
    const struct test *t = test;
    struct jv argument;
    char what[40];
    long long by = 0;
    snprintf(what, sizeof what, "the test %s", t->name);
    if (!jrun_charge(r, 1) ||
        !jargs_bind(r, what, args, t->arguments ? "other" : "", (size_t)t->arguments, &argument))
        return false;
    switch (t->code) {
    case IS_ODD:
        return leaves(r, v, 2, 1);
    case IS_EVEN:
        return leaves(r, v, 2, 0);
    case IS_DIVISIBLE:
        return jargs_int(r, what, &argument, &by) && leaves(r, v, by, 0);
    case IS_EQ:
        return jv_equal(r, v, &argument);
    case IS_NE:
        return !jv_equal(r, v, &argument);
    case IS_LT:
    case IS_LE:
    case IS_GT:
    case IS_GE:
        return compare(r, t->code, v, &argument);
    case IS_IN:
        return jv_contains(r, &argument, v);
    case IS_LOWER:
    case IS_UPPER:
        return in_case(r, v, t->code == IS_LOWER ? CASE_LOWER : CASE_UPPER);
    case IS_FILTER:
        return v->kind == J_TEXT && jfilter_find(v->as.text);
    case IS_TEST:
        return v->kind == J_TEXT && jtest_find(v->as.text);
    default:
        return is_type(v, t->code);
    }
}
