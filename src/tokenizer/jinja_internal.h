/* jinja_internal.h: what the files jinja_*.c share: the tree of a template, the values of a
 * rendering and the functions on them. Values are Python's, as far as templates can see them. */
#ifndef TOKENIZER_JINJA_INTERNAL_H
#define TOKENIZER_JINJA_INTERNAL_H
#include <stdbool.h>
#include <stdint.h>
#include "base/mem.h"
#include "tokenizer/jinja.h"

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
enum joperator {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN
};

struct jnode;
struct jnamed { /* name=value of a call; a parameter of a macro */
    struct slice name;
    struct jnode *value;
};

/* --- values (jinja_value.c) --- */

enum jkind {
    J_ABSENT, /* no value: an argument that was not given */
    J_UNDEFINED,
    J_NONE,
    J_BOOL,
    J_INT,
    J_FLOAT,
    J_TEXT,
    J_LIST,
    J_TUPLE,
    J_DICT,
    J_RANGE,     /* a list in all but type */
    J_VIEW,      /* dict.items() and the like: can be walked again */
    J_ITERATOR,  /* a generator: can be walked once */
    J_NAMESPACE, /* the only thing that can change */
    J_LOOP,
    J_MACRO,
    J_FUNCTION,
    J_METHOD
};
struct jv {
    enum jkind kind;
    bool safe; /* a text that is Markup */
    union {
        bool truth;
        long long integer; /* also: which function */
        double real;
        struct slice text; /* also: the name of what is undefined */
        struct jlist *list;
        struct jdict *dict;
        struct jloop *loop;
        struct jmacro *macro;
        struct jmethod *method;
    } as;
};
struct jlist {
    struct jv *items;
    size_t count, at; /* at: how far an iterator was walked */
    const char *type; /* of a view: "dict_items" */
};
struct jentry {
    struct jv key, value;
};
struct jdict {
    struct jentry *entries;
    size_t count, capacity;
};
struct jloop {
    const struct jv *items;
    size_t count, index0;
    int depth;
    struct jv changed; /* what loop.changed saw last */
};
struct jmethod {
    struct jv self;
    struct slice name;
};
struct jscope {
    struct jscope *up;
    struct jdict names;
};
struct jmacro {
    const struct jnode *node;
    struct jscope *scope; /* where it was defined */
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
    const void *found; /* N_FILTER, N_TEST: row of its table */
};

struct jinja {
    struct arena arena;
    struct jnode *body;
    char where[200];
};

/* A rendering. After an error `status` is set and every function returns at once. */
struct jrun {
    const jinja *t;
    struct arena arena;
    struct str *out;
    struct err *err;
    int status, line, depth, loop_depth;
    enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
    size_t steps, bytes; /* left */
    size_t output;       /* most */
    struct jscope *scope;
};

struct jargs {
    struct jv *items;
    size_t n;
    struct slice *names;
    struct jv *named;
    size_t n_named;
};

int jinja_lex(struct jtokens *out, struct arena *arena, const char *text, size_t length,
              const char *where, struct err *err);

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

/* Errors and limits. */
struct jv jrun_fail(struct jrun *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool jrun_charge(struct jrun *r, size_t steps); /* false: at an end */
void *jrun_alloc(struct jrun *r, size_t count, size_t size);
bool jrun_deeper(struct jrun *r); /* each true has its r->depth-- */

/* jinja_value.c */
struct jv jv_none(void);
struct jv jv_undefined(const char *name);
struct jv jv_bool(bool b);
struct jv jv_int(long long i);
struct jv jv_float(double f);
struct jv jv_slice(const char *data, size_t length);
struct jv jv_literal(const char *text);
struct jv jv_copy(struct jrun *r, const char *data, size_t length);
struct jv jv_take(struct jrun *r, struct str *made); /* copies, frees */
struct jv jv_list(struct jrun *r, enum jkind kind, size_t count);
struct jv jv_dict(struct jrun *r);
void jdict_put(struct jrun *r, struct jdict *d, struct jv key, struct jv value);
struct jv *jdict_get(struct jrun *r, const struct jdict *d, const struct jv *key);
struct jv *jdict_find(struct jrun *r, const struct jdict *d, struct slice key);
const char *jv_type(const struct jv *v); /* Python's name */
bool jv_is(const struct jv *v, const char *text);
bool jv_truth(const struct jv *v);
bool jv_hashable(struct jrun *r, const struct jv *v); /* may be the key of a dict */
bool jv_is_sequence(const struct jv *v);              /* has a list */
bool jv_equal(struct jrun *r, const struct jv *a, const struct jv *b);
int jv_compare(struct jrun *r, const struct jv *a, const struct jv *b, const char *op);
bool jv_contains(struct jrun *r, const struct jv *where, const struct jv *what);
struct jv jv_items(struct jrun *r, const struct jv *v); /* everything a for loop would walk */
bool jv_length(struct jrun *r, const struct jv *v, size_t *n);
struct jv jv_attribute(struct jrun *r, const struct jv *v, struct slice name);
struct jv jv_index(struct jrun *r, const struct jv *v, const struct jv *index);
struct jv jv_from_json(struct jrun *r, const json_t *value);
struct jv jv_slice_of(struct jrun *r, const struct jv *v, const struct jv bounds[3]);
struct jv jv_binary(struct jrun *r, enum joperator op, const struct jv *a, const struct jv *b);
bool jv_number(const struct jv *v, long long *integer, double *real); /* true: an integer */
bool jv_is_number(const struct jv *v);

/* jinja_print.c */
void jv_print(struct jrun *r, struct str *out, const struct jv *v); /* str(v) */
struct jv jv_text(struct jrun *r, const struct jv *v);              /* str(v) as a value */
struct jjson {
    bool ascii, sort;
    struct slice indent; /* data NULL: one line */
    struct slice comma, colon;
};
void jv_json(struct jrun *r, struct str *out, const struct jv *v, const struct jjson *how);
void jprint_float(struct str *out, double x);

/* jinja_text.c */
bool jtext_is_space(int32_t c);
size_t jtext_length(struct slice s);               /* in code points */
int jtext_column(const char *text, size_t offset); /* from 1, of a byte in its line */
size_t jtext_offset(struct slice s, size_t index); /* byte of a code point */
struct slice jtext_strip(struct slice s, const struct jv *chars, bool left, bool right);
enum jcase { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITALIZE };
struct jv jtext_case(struct jrun *r, struct slice s, enum jcase how);
struct jv jtext_replace(struct jrun *r, struct slice s, struct slice old, struct slice fresh,
                        long long count);
struct jv jtext_split(struct jrun *r, struct slice s, const struct jv *sep, long long most,
                      bool right);
struct jv jtext_lines(struct jrun *r, struct slice s, bool keep);
struct jv jtext_escape(struct jrun *r, struct slice s);
struct jv jtext_join(struct jrun *r, struct slice between, const struct jv *items, bool strict);

/* jinja_method.c */
bool jmethod_exists(const struct jv *self, struct slice name);
/* Names of methods that Python has and we do not. */
bool jmethod_refused(struct slice name);
struct jv jmethod_call(struct jrun *r, const struct jmethod *m, const struct jargs *args);
/* Binds arguments to the names in `names` ("old new count"); out has as many; J_ABSENT where not
 * given. false: an error. */
bool jargs_bind(struct jrun *r, const char *what, const struct jargs *args, const char *names,
                size_t required, struct jv *out);
bool jargs_text(struct jrun *r, const char *what, const struct jv *v, struct slice *out);
bool jargs_int(struct jrun *r, const char *what, const struct jv *v, long long *out);

/* jinja_filter.c, jinja_test.c: NULL when there is none of the name. */
const void *jfilter_find(struct slice name);
struct jv jfilter_apply(struct jrun *r, const void *filter, const struct jv *v,
                        const struct jargs *args);
const void *jtest_find(struct slice name);
bool jtest_apply(struct jrun *r, const void *test, const struct jv *v, const struct jargs *args);

/* jinja_eval.c, jinja_run.c */
struct jv jeval(struct jrun *r, const struct jnode *n);
struct jv *jscope_find(struct jrun *r, struct slice name);
bool jfunction_find(struct slice name, struct jv *out); /* range, dict, namespace, … */
struct jv jfunction_call(struct jrun *r, const struct jv *f, const struct jargs *args);
void jrun_body(struct jrun *r, const struct jnode *body);
struct jv jmacro_call(struct jrun *r, const struct jmacro *m, const struct jargs *args);

#endif
