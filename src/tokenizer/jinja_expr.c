/* jinja_expr.c: expressions of a template to a tree, one function a level of precedence as in
 * jinja2's parser: condition, or, and, not, comparison, + -, ~, * / // %, **, sign, then postfix
 * (.name, [index], (call)), filters and tests. */
#include <string.h>
#include "tokenizer/jinja_internal.h"

enum { MAX_NESTING = 100 };

static struct jnode *parse_or(struct jparser *p);
static struct jnode *parse_unary(struct jparser *p, bool with_filters);

static struct jnode *binary(struct jparser *p, enum jnode_kind kind, enum joperator op,
                            struct jnode *a, struct jnode *b)
{
    struct jnode *n = jparse_node(p, kind);
    if (p->status)
        return NULL;
    n->op = op;
    n->a = a;
    n->b = b;
    jparse_deepen(p, n, a);
    jparse_deepen(p, n, b);
    return n;
}

static void no_memory(struct jparser *p)
{
    if (!p->status)
        p->status = err_no_memory(p->err, p->t->where, 0);
}

/* --- primaries --- */

static struct jnode *constant(struct jparser *p, struct jv value)
{
    struct jnode *n = jparse_node(p, N_CONST);
    if (n)
        n->value = value;
    p->at++;
    return n;
}

static struct jnode *parse_texts(struct jparser *p)
{
    struct slice all = p->at->text;
    const struct jtoken *first = p->at;
    if (first[1].kind != T_TEXT)
        return constant(p, jv_slice(all.data, all.length));
    size_t length = 0;
    for (const struct jtoken *t = first; t->kind == T_TEXT; t++)
        length += t->text.length;
    char *joined = arena_alloc(&p->t->arena, length + 1);
    if (!joined) {
        no_memory(p);
        return NULL;
    }
    struct jnode *n = jparse_node(p, N_CONST);
    size_t at = 0;
    for (; p->at->kind == T_TEXT; p->at++) {
        memcpy(joined + at, p->at->text.data, p->at->text.length);
        at += p->at->text.length;
    }
    if (n)
        n->value = jv_slice(joined, length);
    return n;
}

/* Items to the closing operator; pairs: key: value. */
static struct jnode *parse_items(struct jparser *p, enum jnode_kind kind, const char *close)
{
    struct jnode *n = jparse_node(p, kind);
    p->at++;
    while (!p->status && !jparse_is_op(p, close)) {
        if (n->n_items)
            jparse_expect_op(p, ",");
        if (p->status || jparse_is_op(p, close))
            break;
        jparse_add(p, n, jparse_expression(p, true));
        if (kind == N_DICT) {
            jparse_expect_op(p, ":");
            jparse_add(p, n, jparse_expression(p, true));
        }
    }
    jparse_expect_op(p, close);
    return n;
}

static struct jnode *parse_name(struct jparser *p)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {{"true", 1},  {"True", 1},  {"false", 0},
                     {"False", 0}, {"none", -1}, {"None", -1}};
    static const char *const absent[] = {"cycler", "joiner", "lipsum"};
    static const char *const of_macros[] = {"varargs", "kwargs", "caller"};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (jparse_is_name(p, constants[i].name))
            return constant(p, constants[i].value < 0 ? jv_none() : jv_bool(constants[i].value));
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (jparse_is_name(p, absent[i]))
            return jparse_fail(p, "the function %s is not supported", absent[i]);
    for (size_t i = 0; i < sizeof of_macros / sizeof *of_macros && p->in_macro; i++)
        if (jparse_is_name(p, of_macros[i]))
            return jparse_fail(p, "%s in a macro is not supported", of_macros[i]);
    struct jnode *n = jparse_node(p, N_NAME);
    if (n)
        n->name = p->at->text;
    p->at++;
    return n;
}

static struct jnode *parse_primary(struct jparser *p)
{
    struct jnode *n = NULL;
    if (p->status)
        return NULL;
    switch (p->at->kind) {
    case T_NAME:
        return parse_name(p);
    case T_TEXT:
        return parse_texts(p);
    case T_INT:
        return constant(p, jv_int(p->at->integer));
    case T_FLOAT:
        return constant(p, jv_float(p->at->real));
    case T_END:
        return jparse_fail(p, "the template ends inside an expression");
    default:
        break;
    }
    if (jparse_skip_op(p, "(")) {
        n = jparse_tuple(p, true, NULL, true);
        jparse_expect_op(p, ")");
        return n;
    }
    if (jparse_is_op(p, "["))
        return parse_items(p, N_LIST, "]");
    if (jparse_is_op(p, "{"))
        return parse_items(p, N_DICT, "}");
    return jparse_fail(p, "found \"%.*s\", expected a value",
                       (int)(p->at->text.length < 40 ? p->at->text.length : 40), p->at->text.data);
}

/* --- postfix --- */

static void add_named(struct jparser *p, struct jnode *n)
{
    struct jnamed *named = arena_alloc(&p->t->arena, (n->n_named + 1) * sizeof *named);
    if (!named) {
        no_memory(p);
        return;
    }
    if (n->n_named)
        memcpy(named, n->named, n->n_named * sizeof *named);
    n->named = named;
    for (size_t i = 0; i < n->n_named; i++)
        if (named[i].name.length == p->at->text.length &&
            memcmp(named[i].name.data, p->at->text.data, p->at->text.length) == 0)
            jparse_fail(p, "an argument is given twice");
    named[n->n_named].name = p->at->text;
    p->at += 2;
    named[n->n_named].value = jparse_expression(p, true);
    jparse_deepen(p, n, named[n->n_named].value);
    n->n_named++;
}

/* (a, b, c=d) */
static void parse_arguments(struct jparser *p, struct jnode *n)
{
    bool more = false;
    jparse_expect_op(p, "(");
    while (!p->status && !jparse_is_op(p, ")")) {
        if (more)
            jparse_expect_op(p, ",");
        if (p->status || jparse_is_op(p, ")"))
            break;
        more = true;
        if (jparse_is_op(p, "*") || jparse_is_op(p, "**"))
            jparse_fail(p, "arguments by * and ** are not supported");
        else if (p->at->kind == T_NAME && p->at[1].kind == T_OPERATOR &&
                 slice_equals(p->at[1].text, "="))
            add_named(p, n);
        else if (n->n_named)
            jparse_fail(p, "an argument without name follows one with a name");
        else
            jparse_add(p, n, jparse_expression(p, true));
    }
    jparse_expect_op(p, ")");
}

static struct jnode *parse_call(struct jparser *p, struct jnode *callee)
{
    if (callee && callee->kind == N_ATTRIBUTE && jmethod_refused(callee->name))
        return jparse_fail(p, "the method .%.*s() is not supported", (int)callee->name.length,
                           callee->name.data);
    struct jnode *n = jparse_node(p, N_CALL);
    if (!n)
        return NULL;
    n->a = callee;
    jparse_deepen(p, n, callee);
    parse_arguments(p, n);
    return n;
}

static struct jnode *parse_index(struct jparser *p, struct jnode *of)
{
    struct jnode *n = jparse_node(p, N_INDEX), *parts[3] = {NULL};
    if (!n)
        return NULL;
    int part = 0;
    while (!p->status && !jparse_is_op(p, "]")) {
        if (jparse_skip_op(p, ":")) {
            n->kind = N_SLICE;
            if (++part > 2)
                return jparse_fail(p, "a slice has more than three parts");
        } else if (parts[part]) {
            return jparse_fail(p, "found \"%.*s\" in an index, expected \"]\"",
                               (int)(p->at->text.length < 40 ? p->at->text.length : 40),
                               p->at->text.data);
        } else {
            parts[part] = jparse_expression(p, true);
            jparse_deepen(p, n, parts[part]);
        }
    }
    jparse_expect_op(p, "]");
    if (!p->status && n->kind == N_INDEX && !parts[0])
        return jparse_fail(p, "an index is empty");
    n->a = of;
    n->b = parts[0];
    n->c = parts[1];
    n->d = parts[2];
    jparse_deepen(p, n, of);
    return n;
}

static struct jnode *parse_attribute(struct jparser *p, struct jnode *of)
{
    struct jnode *n = jparse_node(p, N_ATTRIBUTE);
    if (!n)
        return NULL;
    n->a = of;
    jparse_deepen(p, n, of);
    if (p->at->kind == T_INT) { /* a.0 is a[0] */
        n->kind = N_INDEX;
        n->b = constant(p, jv_int(p->at->integer));
        return n;
    }
    if (p->at->kind != T_NAME)
        return jparse_fail(p, "expected a name after \".\"");
    n->name = p->at->text;
    p->at++;
    return n;
}

static struct jnode *parse_postfix(struct jparser *p, struct jnode *n)
{
    while (!p->status) {
        if (jparse_skip_op(p, "."))
            n = parse_attribute(p, n);
        else if (jparse_skip_op(p, "["))
            n = parse_index(p, n);
        else if (jparse_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* --- filters and tests --- */

static struct jnode *named_node(struct jparser *p, enum jnode_kind kind, struct jnode *of)
{
    if (p->status)
        return NULL;
    if (p->at->kind != T_NAME)
        return jparse_fail(p, "expected the name of a %s", kind == N_FILTER ? "filter" : "test");
    struct jnode *n = jparse_node(p, kind);
    if (!n)
        return NULL;
    n->name = p->at->text;
    n->found = kind == N_FILTER ? jfilter_find(n->name) : jtest_find(n->name);
    if (!n->found)
        return jparse_fail(p, "the %s \"%.*s\" is not supported",
                           kind == N_FILTER ? "filter" : "test",
                           (int)(n->name.length < 40 ? n->name.length : 40), n->name.data);
    p->at++;
    n->a = of;
    jparse_deepen(p, n, of);
    return n;
}

struct jnode *jparse_filters(struct jparser *p, struct jnode *n)
{
    while (jparse_skip_op(p, "|")) {
        n = named_node(p, N_FILTER, n);
        if (n && jparse_is_op(p, "("))
            parse_arguments(p, n);
    }
    return n;
}

static bool starts_value(const struct jparser *p)
{
    switch (p->at->kind) {
    case T_NAME:
        return !jparse_is_name(p, "else") && !jparse_is_name(p, "or") && !jparse_is_name(p, "and");
    case T_TEXT:
    case T_INT:
    case T_FLOAT:
        return true;
    default:
        return jparse_is_op(p, "[") || jparse_is_op(p, "{");
    }
}

static struct jnode *parse_test(struct jparser *p, struct jnode *of)
{
    bool negated = jparse_skip_name(p, "not");
    struct jnode *n = named_node(p, N_TEST, of);
    if (!n)
        return NULL;
    if (jparse_is_op(p, "(")) {
        parse_arguments(p, n);
    } else if (starts_value(p)) {
        if (jparse_is_name(p, "is"))
            return jparse_fail(p, "tests cannot be chained with \"is\"");
        struct jnode *argument = parse_primary(p);
        jparse_add(p, n, parse_postfix(p, argument));
    }
    return negated ? binary(p, N_NOT, 0, n, NULL) : n;
}

static struct jnode *parse_filter_expression(struct jparser *p, struct jnode *n)
{
    while (!p->status) {
        if (jparse_is_op(p, "|"))
            n = jparse_filters(p, n);
        else if (jparse_skip_name(p, "is"))
            n = parse_test(p, n);
        else if (jparse_is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* --- operators --- */

static struct jnode *parse_unary(struct jparser *p, bool with_filters)
{
    struct jnode *n;
    if (++p->depth > MAX_NESTING)
        jparse_fail(p, "an expression is nested too deeply");
    bool minus = jparse_skip_op(p, "-");
    if (minus || jparse_skip_op(p, "+"))
        n = binary(p, N_UNARY, minus ? OP_SUB : OP_ADD, parse_unary(p, false), NULL);
    else
        n = parse_primary(p);
    n = parse_postfix(p, n);
    if (with_filters)
        n = parse_filter_expression(p, n);
    p->depth--;
    return n;
}

static struct jnode *parse_power(struct jparser *p)
{
    struct jnode *n = parse_unary(p, true);
    while (jparse_skip_op(p, "**"))
        n = binary(p, N_BINARY, OP_POW, n, parse_unary(p, true));
    return n;
}

static struct jnode *parse_product(struct jparser *p)
{
    static const char *const signs[] = {"*", "/", "//", "%"};
    struct jnode *n = parse_power(p);
    for (int i = 0; i < 4; i++) {
        if (jparse_skip_op(p, signs[i])) {
            n = binary(p, N_BINARY, OP_MUL + (enum joperator)i, n, parse_power(p));
            i = -1;
        }
    }
    return n;
}

static struct jnode *parse_concat(struct jparser *p)
{
    struct jnode *first = parse_product(p);
    if (p->status || !jparse_is_op(p, "~"))
        return first;
    struct jnode *n = jparse_node(p, N_CONCAT);
    jparse_add(p, n, first);
    while (jparse_skip_op(p, "~"))
        jparse_add(p, n, parse_product(p));
    return n;
}

static struct jnode *parse_sum(struct jparser *p)
{
    struct jnode *n = parse_concat(p);
    for (;;) {
        bool plus = jparse_skip_op(p, "+");
        if (!plus && !jparse_skip_op(p, "-"))
            return n;
        n = binary(p, N_BINARY, plus ? OP_ADD : OP_SUB, n, parse_concat(p));
    }
}

static bool comparison(struct jparser *p, enum joperator *op)
{
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    for (int i = 0; i < 6; i++) {
        if (jparse_skip_op(p, signs[i])) {
            *op = OP_EQ + (enum joperator)i;
            return true;
        }
    }
    *op = OP_IN;
    if (jparse_skip_name(p, "in"))
        return true;
    *op = OP_NOT_IN;
    if (p->status || !jparse_is_name(p, "not") || p->at[1].kind != T_NAME ||
        !slice_equals(p->at[1].text, "in"))
        return false;
    p->at += 2;
    return true;
}

static struct jnode *parse_comparison(struct jparser *p)
{
    struct jnode *first = parse_sum(p), *n = NULL;
    enum joperator op;
    while (!p->status && comparison(p, &op)) {
        if (!n) {
            n = jparse_node(p, N_COMPARE);
            if (!n)
                return NULL;
            n->a = first;
            jparse_deepen(p, n, first);
        }
        enum joperator *ops = arena_alloc(&p->t->arena, (n->n_items + 1) * sizeof *ops);
        if (!ops) {
            no_memory(p);
            return NULL;
        }
        if (n->n_items)
            memcpy(ops, n->ops, n->n_items * sizeof *ops);
        ops[n->n_items] = op;
        n->ops = ops;
        jparse_add(p, n, parse_sum(p));
    }
    return n ? n : first;
}

static struct jnode *parse_not(struct jparser *p)
{
    if (!jparse_skip_name(p, "not"))
        return parse_comparison(p);
    if (++p->depth > MAX_NESTING)
        jparse_fail(p, "an expression is nested too deeply");
    struct jnode *n = binary(p, N_NOT, 0, parse_not(p), NULL);
    p->depth--;
    return n;
}

static struct jnode *parse_and(struct jparser *p)
{
    struct jnode *n = parse_not(p);
    while (jparse_skip_name(p, "and"))
        n = binary(p, N_AND, 0, n, parse_not(p));
    return n;
}

static struct jnode *parse_or(struct jparser *p)
{
    struct jnode *n = parse_and(p);
    while (jparse_skip_name(p, "or"))
        n = binary(p, N_OR, 0, n, parse_and(p));
    return n;
}

struct jnode *jparse_expression(struct jparser *p, bool conditions)
{
    if (++p->depth > MAX_NESTING)
        jparse_fail(p, "an expression is nested too deeply");
    struct jnode *n = parse_or(p);
    while (conditions && jparse_skip_name(p, "if")) {
        struct jnode *test = parse_or(p), *other = NULL;
        if (jparse_skip_name(p, "else"))
            other = jparse_expression(p, true);
        n = binary(p, N_CONDITION, 0, n, test);
        if (n)
            n->c = other;
        jparse_deepen(p, n, other);
    }
    p->depth--;
    return n;
}

static bool tuple_ends(const struct jparser *p, const char *end)
{
    return p->at->kind == T_PRINT_END || p->at->kind == T_TAG_END || p->at->kind == T_END ||
           jparse_is_op(p, ")") || (end && jparse_is_name(p, end));
}

struct jnode *jparse_tuple(struct jparser *p, bool conditions, const char *end, bool parentheses)
{
    struct jnode *first = NULL, *n = NULL;
    while (!p->status && !tuple_ends(p, end)) {
        struct jnode *item = jparse_expression(p, conditions);
        bool comma = jparse_skip_op(p, ",");
        if (!n && comma && (n = jparse_node(p, N_TUPLE)) && first)
            jparse_add(p, n, first);
        if (n)
            jparse_add(p, n, item);
        else
            first = item;
        if (!comma)
            break;
    }
    if (p->status)
        return NULL;
    if (!n && !first)
        return parentheses ? jparse_node(p, N_TUPLE) : jparse_fail(p, "expected an expression");
    return n ? n : first;
}

/* --- what can be assigned to --- */

static struct jnode *parse_target_item(struct jparser *p, bool attributes)
{
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    if (jparse_skip_op(p, "(")) {
        if (++p->depth > MAX_NESTING)
            jparse_fail(p, "an expression is nested too deeply");
        struct jnode *inner = jparse_target(p, NULL, false);
        p->depth--;
        jparse_expect_op(p, ")");
        return inner;
    }
    if (p->status || p->at->kind != T_NAME)
        return jparse_fail(p, "expected a name to assign to");
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (jparse_is_name(p, constants[i]))
            return jparse_fail(p, "cannot assign to %s", constants[i]);
    if (jparse_is_name(p, "loop"))
        return jparse_fail(p, "cannot assign to the special variable loop");
    struct jnode *n = jparse_node(p, N_NAME);
    if (!n)
        return NULL;
    n->name = p->at->text;
    p->at++;
    if (attributes && jparse_skip_op(p, ".")) {
        struct jnode *field = jparse_node(p, N_ATTRIBUTE);
        if (p->at->kind != T_NAME)
            return jparse_fail(p, "expected a name after \".\"");
        if (!field)
            return NULL;
        field->a = n;
        field->name = p->at->text;
        p->at++;
        return field;
    }
    return n;
}

struct jnode *jparse_target(struct jparser *p, const char *end, bool attributes)
{
    struct jnode *n = parse_target_item(p, attributes), *tuple = NULL;
    while (jparse_skip_op(p, ",")) {
        if (!tuple && (tuple = jparse_node(p, N_TUPLE)))
            jparse_add(p, tuple, n);
        if ((end && jparse_is_name(p, end)) || jparse_is_op(p, ")") || jparse_is_op(p, "="))
            break;
        jparse_add(p, tuple, parse_target_item(p, attributes));
    }
    return tuple ? tuple : n;
}
