/* jinja_internal.h: what the files jinja_*.c share about a rendering: its state, errors and limits,
 * and the functions on texts, methods, filters and tests. */
#ifndef TOKENIZER_JINJA_INTERNAL_H
#define TOKENIZER_JINJA_INTERNAL_H
#include "base/mem.h"
#include "tokenizer/jinja.h"
#include "tokenizer/jinja_tree.h"
#include "tokenizer/jinja_value.h"

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

/* Errors and limits. */
struct jv jrun_fail(struct jrun *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool jrun_charge(struct jrun *r, size_t steps); /* false: at an end */
void *jrun_alloc(struct jrun *r, size_t count, size_t size);
bool jrun_deeper(struct jrun *r); /* each true has its r->depth-- */

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
