/* jinja_run.c: statements of a parsed template, from top to bottom, into the output. A for loop's
 * round, a macro's body and a block set have a scope of their own; a macro sees the scope it was
 * defined in. Nothing jumps: break and continue are a state that statements look at. */
#include <stdio.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

static void put(struct jrun *r, struct slice s)
{
    if (r->status)
        return;
    if (r->out->length + s.length > r->output) {
        jrun_fail(r, "the chat template writes more than %zu bytes", r->output);
        return;
    }
    str_append(r->out, s.data, s.length);
}

static void print(struct jrun *r, const struct jnode *n)
{
    struct jv v = jeval(r, n->a);
    if (r->status)
        return;
    if (v.kind == J_TEXT)
        put(r, v.as.text);
    else
        jv_print(r, r->out, &v);
}

/* --- assigning --- */

static void assign(struct jrun *r, const struct jnode *target, const struct jv *value)
{
    if (r->status)
        return;
    if (target->kind == N_NAME) {
        jdict_put(r, &r->scope->names, jv_slice(target->name.data, target->name.length), *value);
    } else if (target->kind == N_ATTRIBUTE) {
        struct jv *ns = jscope_find(r, target->a->name);
        if (!r->status && (!ns || ns->kind != J_NAMESPACE))
            jrun_fail(r, "attributes can be set on a namespace only");
        else if (!r->status && target->name.data[0] == '_')
            jrun_fail(r, "a namespace takes no attribute that begins with \"_\"");
        else if (!r->status)
            jdict_put(r, ns->as.dict, jv_slice(target->name.data, target->name.length), *value);
    } else {
        struct jv items = jv_items(r, value);
        if (!r->status && items.as.list->count != target->n_items)
            jrun_fail(r, "%zu values are to be put into %zu names", items.as.list->count,
                      target->n_items);
        for (size_t i = 0; i < target->n_items && !r->status; i++)
            assign(r, target->items[i], &items.as.list->items[i]);
    }
}

/* body: of the new scope; NULL: it has none of its own */
static bool enter(struct jrun *r, struct jscope *up, const struct jnode *body)
{
    struct jscope *scope = jrun_alloc(r, 1, sizeof *scope);
    if (!scope)
        return false;
    *scope = (struct jscope){.up = up};
    r->scope = scope;
    for (size_t i = 0; body && i < body->n_hidden && !r->status; i++) {
        struct jv name = jv_slice(body->hidden[i].data, body->hidden[i].length), value = name;
        value.kind = J_UNDEFINED;
        jdict_put(r, &scope->names, name, value);
    }
    return !r->status;
}

/* A body into a text of its own. */
static struct jv capture(struct jrun *r, const struct jnode *body)
{
    struct str text = {0}, *out = r->out;
    r->out = &text;
    jrun_body(r, body);
    r->out = out;
    return jv_take(r, &text);
}

/* --- loops --- */

static void loop_round(struct jrun *r, const struct jnode *n, struct jscope *outer,
                       struct jloop *loop, size_t i)
{
    if (!enter(r, outer, n->items[0]))
        return;
    struct jv self = {.kind = J_LOOP, .as.loop = loop};
    loop->index0 = i;
    assign(r, n->a, &loop->items[i]);
    if (!r->status)
        jdict_put(r, &r->scope->names, jv_literal("loop"), self);
    jrun_body(r, n->items[0]);
}

/* The items the loop's `if` lets through. */
static struct jv filtered(struct jrun *r, const struct jnode *n, struct jv items)
{
    struct jscope *outer = r->scope;
    if (!n->c || r->status)
        return items;
    struct jv kept = jv_list(r, J_LIST, items.as.list->count);
    size_t count = 0;
    for (size_t i = 0; i < items.as.list->count && !r->status && enter(r, outer, NULL); i++) {
        assign(r, n->a, &items.as.list->items[i]);
        struct jv test = r->status ? jv_none() : jeval(r, n->c);
        if (!r->status && jv_truth(&test))
            kept.as.list->items[count++] = items.as.list->items[i];
    }
    r->scope = outer;
    if (!r->status)
        kept.as.list->count = count;
    return kept;
}

static void run_for(struct jrun *r, const struct jnode *n)
{
    struct jscope *outer = r->scope;
    struct jv over = jeval(r, n->b);
    struct jv items = r->status ? jv_none() : filtered(r, n, jv_items(r, &over));
    if (r->status)
        return;
    struct jloop *loop = jrun_alloc(r, 1, sizeof *loop); /* each round's, should a macro keep it */
    if (!loop)
        return;
    *loop = (struct jloop){.items = items.as.list->items, .count = items.as.list->count};
    bool finished = false; /* some round came to its end: the reference's condition for no else */
    for (size_t i = 0; i < loop->count && !r->status; i++) {
        loop_round(r, n, outer, loop, i);
        bool stop = r->flow == FLOW_BREAK;
        finished = finished || r->flow == FLOW_ON;
        r->flow = FLOW_ON;
        if (stop)
            break;
    }
    if (!finished && n->n_items > 1 && n->items[1] && enter(r, outer, n->items[1]))
        jrun_body(r, n->items[1]);
    r->scope = outer;
}

/* --- macros --- */

static void define(struct jrun *r, const struct jnode *n)
{
    struct jmacro *m = jrun_alloc(r, 1, sizeof *m);
    if (!m)
        return;
    *m = (struct jmacro){n, r->scope};
    struct jv v = {.kind = J_MACRO, .as.macro = m};
    jdict_put(r, &r->scope->names, jv_slice(n->name.data, n->name.length), v);
}

static bool bind(struct jrun *r, const struct jnode *n, const struct jargs *args)
{
    if (args->n > n->n_named) {
        jrun_fail(r, "the macro %.*s takes %zu arguments, %zu are given", (int)n->name.length,
                  n->name.data, n->n_named, args->n);
        return false;
    }
    size_t used = 0;
    for (size_t i = 0; i < n->n_named && !r->status; i++) {
        struct slice name = n->named[i].name;
        struct jv key = jv_slice(name.data, name.length), value = {.kind = J_ABSENT};
        if (i < args->n)
            value = args->items[i];
        for (size_t k = 0; k < args->n_named; k++) {
            if (args->names[k].length != name.length ||
                memcmp(args->names[k].data, name.data, name.length) != 0)
                continue;
            if (value.kind != J_ABSENT)
                jrun_fail(r, "an argument of a macro is given twice");
            value = args->named[k];
            used++;
        }
        if (value.kind == J_ABSENT && n->named[i].value) {
            value = jeval(r, n->named[i].value);
        } else if (value.kind == J_ABSENT) {
            value = key;
            value.kind = J_UNDEFINED;
        }
        if (!r->status)
            jdict_put(r, &r->scope->names, key, value);
    }
    if (!r->status && used != args->n_named)
        jrun_fail(r, "the macro %.*s is given an argument it does not have", (int)n->name.length,
                  n->name.data);
    return !r->status;
}

struct jv jmacro_call(struct jrun *r, const struct jmacro *m, const struct jargs *args)
{
    struct jscope *caller = r->scope;
    struct jv text = jv_none();
    if (!jrun_deeper(r))
        return text;
    if (enter(r, m->scope, m->node->b) && bind(r, m->node, args))
        text = capture(r, m->node->b);
    r->scope = caller;
    r->depth--;
    return text;
}

/* --- statements --- */

static void run_if(struct jrun *r, const struct jnode *n)
{
    for (size_t i = 0; i + 1 < n->n_items; i += 2) {
        struct jv test = jeval(r, n->items[i]);
        if (r->status)
            return;
        if (jv_truth(&test)) {
            jrun_body(r, n->items[i + 1]);
            return;
        }
    }
    if (n->c)
        jrun_body(r, n->c);
}

static void run_inner(struct jrun *r, const struct jnode *n)
{
    struct jscope *outer = r->scope;
    struct jv value = jv_none();
    if (!enter(r, outer, n->b))
        return;
    if (n->kind == N_GENERATION)
        jrun_body(r, n->b);
    else
        value = capture(r, n->b);
    r->scope = outer;
    if (n->kind == N_SET_BLOCK)
        assign(r, n->a, &value);
}

static void statement(struct jrun *r, const struct jnode *n)
{
    struct jv value;
    r->line = n->line;
    switch (n->kind) {
    case N_DATA:
        put(r, n->value.as.text);
        break;
    case N_PRINT:
        print(r, n);
        break;
    case N_IF:
        run_if(r, n);
        break;
    case N_FOR:
        run_for(r, n);
        break;
    case N_SET:
        value = jeval(r, n->b);
        assign(r, n->a, &value);
        break;
    case N_MACRO:
        define(r, n);
        break;
    case N_BREAK:
        r->flow = FLOW_BREAK;
        break;
    case N_CONTINUE:
        r->flow = FLOW_CONTINUE;
        break;
    default: /* N_SET_BLOCK, N_GENERATION */
        run_inner(r, n);
    }
}

void jrun_body(struct jrun *r, const struct jnode *body)
{
    if (!jrun_deeper(r))
        return;
    for (size_t i = 0; i < body->n_items && !r->status && r->flow == FLOW_ON; i++)
        if (jrun_charge(r, 1))
            statement(r, body->items[i]);
    r->depth--;
}

int jinja_render(struct str *out, const jinja *t, const json_t *variables,
                 const struct jinja_limits *limits, struct err *err)
{
    struct str text = {0};
    struct jrun r = {.t = t, .out = &text, .err = err, .line = 1};
    struct jinja_limits none = {0};
    const struct jinja_limits *l = limits ? limits : &none;
    r.steps = l->steps ? l->steps : (size_t)1 << 26;
    r.bytes = l->bytes ? l->bytes : (size_t)256 << 20;
    r.output = l->output ? l->output : (size_t)64 << 20;
    struct jv globals = jv_from_json(&r, variables);
    if (!r.status && enter(&r, NULL, NULL)) {
        r.scope->names = *globals.as.dict;
        if (enter(&r, r.scope, t->body))
            jrun_body(&r, t->body);
    }
    if (!r.status && text.failed)
        r.status = err_no_memory(err, t->where, text.length);
    if (!r.status)
        str_append(out, str_text(&text), text.length);
    if (!r.status && out->failed)
        r.status = err_no_memory(err, t->where, text.length);
    str_free(&text);
    arena_free(&r.arena);
    return r.status;
}
