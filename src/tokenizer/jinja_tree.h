/* jinja_tree.h: a template as tokens and as a tree, and what its parser's two files share. */
#ifndef TOKENIZER_JINJA_TREE_H
#define TOKENIZER_JINJA_TREE_H
#include "base/mem.h"
#include "tokenizer/jinja.h"
#include "tokenizer/jinja_value.h"

/* --- tokens (jinja_lex.c) --- */

enum jtoken_kind {
    T_END,
    T_DATA,
    T_TAG,
    T_TAG_END,
    T_PRINT,
    T_PRINT_END,
    T_NAME,
    T_TEXT,
    T_INT,
    T_FLOAT,
    T_OPERATOR
};
struct jtoken {
    enum jtoken_kind kind;
    struct slice text; /* as written; T_DATA and T_TEXT: the value */
    long long integer;
    double real;
    int line;
    size_t offset; /* in the normalised text */
};
struct jtokens {
    struct jtoken *items; /* ends with T_END */
    size_t count;
    const char *source; /* the normalised text */
};

/* --- the tree (jinja_parse.c, jinja_expr.c) --- */

enum jnode_kind {
    /* expressions */
    N_CONST,
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT /* items: key, value, … */,
    N_ATTRIBUTE /* a.name */,
    N_INDEX /* a[b] */,
    N_SLICE /* a[b:c:d], children may be NULL */,
    N_CALL /* a(items, named) */,
    N_FILTER /* a|name(…) */,
    N_TEST /* a is name(…) */,
    N_UNARY /* op a */,
    N_BINARY /* a op b */,
    N_AND,
    N_OR,
    N_NOT,
    N_CONCAT /* items joined as text */,
    N_COMPARE /* a, then items under ops */,
    N_CONDITION /* a if b else c; c may be NULL */,
    /* statements */
    N_DATA,
    N_PRINT /* a */,
    N_IF /* items: test, body, …; c: else */,
    N_FOR /* a: target, b: iterable, c: filter; items: body, else (may be NULL) */,
    N_SET /* a: target, b: value */,
    N_SET_BLOCK /* a: target, b: body; items: filters */,
    N_MACRO /* name; items: parameters' defaults (or NULL), b: body */,
    N_GENERATION /* b: body */,
    N_BREAK,
    N_CONTINUE,
    N_BODY /* items */
};

struct jnode;
struct jnamed { /* name=value of a call; a parameter of a macro */
    struct slice name;
    struct jnode *value;
};

struct jnode {
    enum jnode_kind kind;
    enum joperator op;
    int line, depth;
    struct slice name;
    struct jv value; /* N_CONST, N_DATA */
    struct jnode *a, *b, *c, *d;
    struct jnode **items;
    size_t n_items;
    enum joperator *ops; /* of N_COMPARE (n_items) */
    struct jnamed *named;
    size_t n_named;
    struct slice *hidden; /* N_BODY that is a scope: names that begin undefined (jinja_scope.c) */
    size_t n_hidden;
    const void *found; /* N_FILTER, N_TEST: row of its table */
};

struct jinja {
    struct arena arena;
    struct jnode *body;
    char where[200];
};

int jinja_lex(struct jtokens *out, struct arena *arena, const char *text, size_t length,
              const char *where, struct err *err);

/* Fills `hidden` of all scopes; false when memory is out. */
bool jscope_analyse(jinja *t);

/* The parser's state: jinja_parse.c reads statements, jinja_expr.c expressions. */
struct jparser {
    jinja *t;
    const struct jtoken *at; /* the current token */
    const char *source;
    struct err *err;
    int status, depth, loops;
    bool in_macro;
};
struct jnode *jparse_node(struct jparser *p, enum jnode_kind kind);
struct jnode *jparse_fail(struct jparser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void jparse_add(struct jparser *p, struct jnode *n, struct jnode *item); /* to n->items */
void jparse_deepen(struct jparser *p, struct jnode *n, const struct jnode *child);
bool jparse_is_name(const struct jparser *p, const char *name);
bool jparse_is_op(const struct jparser *p, const char *op);
bool jparse_skip_op(struct jparser *p, const char *op);
bool jparse_skip_name(struct jparser *p, const char *name);
void jparse_expect_op(struct jparser *p, const char *op);
/* end: a name that ends a tuple besides the closing tokens, or NULL. */
struct jnode *jparse_tuple(struct jparser *p, bool conditions, const char *end, bool parentheses);
struct jnode *jparse_expression(struct jparser *p, bool conditions);
struct jnode *jparse_filters(struct jparser *p, struct jnode *n); /* |name(…) */
struct jnode *jparse_target(struct jparser *p, const char *end, bool attributes);

#endif
