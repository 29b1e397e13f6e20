/* jinja_value.h: the values of a rendering and what can be done with them: Python's, as far as
 * templates can see them. */
#ifndef TOKENIZER_JINJA_VALUE_H
#define TOKENIZER_JINJA_VALUE_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

struct jrun; /* jinja_internal.h: the rendering, which owns all values and knows of errors */
struct jnode;

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

/* jinja_value.c, jinja_part.c, jinja_arithmetic.c */
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

#endif
