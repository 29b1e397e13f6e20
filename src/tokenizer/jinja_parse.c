/* jinja_parse.c: statements of a template to a tree; expressions are read by jinja_expr.c. Grammar
 * and messages follow jinja2's parser. The tree's depth is bounded here, so that evaluating it
 * cannot run out of stack. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

enum { MAX_DEPTH = 150 };

/* --- shared with jinja_expr.c --- */

struct jnode *jparse_fail(struct jparser *p, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!p->status)
        p->status = err_set(p->err, ERR_INPUT, p->t->where, "line %d, column %d: %s", p->at->line,
                            jtext_column(p->source, p->at->offset), message);
    return NULL;
}

static void no_memory(struct jparser *p)
{
    if (!p->status)
        p->status = err_no_memory(p->err, p->t->where, 0);
}

struct jnode *jparse_node(struct jparser *p, enum jnode_kind kind)
{
    struct jnode *n = arena_alloc(&p->t->arena, sizeof *n);
    if (!n) {
        no_memory(p);
        return NULL;
    }
    *n = (struct jnode){.kind = kind, .line = p->at->line, .depth = 1};
    return n;
}

void jparse_deepen(struct jparser *p, struct jnode *n, const struct jnode *child)
{
    if (!n || !child)
        return;
    if (child->depth >= n->depth)
        n->depth = child->depth + 1;
    if (n->depth > MAX_DEPTH)
        jparse_fail(p, "nested too deeply (more than %d levels)", MAX_DEPTH);
}

void jparse_add(struct jparser *p, struct jnode *n, struct jnode *item)
{
    if (p->status || !n)
        return;
    if ((n->n_items & (n->n_items - 1)) == 0) { /* full at each power of two */
        size_t room = n->n_items ? 2 * n->n_items : 1;
        struct jnode **items = arena_alloc(&p->t->arena, room * sizeof *items);
        if (!items) {
            no_memory(p);
            return;
        }
        if (n->n_items)
            memcpy(items, n->items, n->n_items * sizeof *items);
        n->items = items;
    }
    n->items[n->n_items++] = item;
    jparse_deepen(p, n, item);
}

bool jparse_is_name(const struct jparser *p, const char *name)
{
    return p->at->kind == T_NAME && slice_equals(p->at->text, name);
}

bool jparse_is_op(const struct jparser *p, const char *op)
{
    return p->at->kind == T_OPERATOR && slice_equals(p->at->text, op);
}

bool jparse_skip_op(struct jparser *p, const char *op)
{
    bool is = !p->status && jparse_is_op(p, op);
    p->at += is;
    return is;
}

bool jparse_skip_name(struct jparser *p, const char *name)
{
    bool is = !p->status && jparse_is_name(p, name);
    p->at += is;
    return is;
}

static void unexpected(struct jparser *p, const char *expected)
{
    if (p->at->kind == T_END)
        jparse_fail(p, "the template ends, expected %s", expected);
    else
        jparse_fail(p, "found \"%.*s\", expected %s",
                    (int)(p->at->text.length < 40 ? p->at->text.length : 40), p->at->text.data,
                    expected);
}

void jparse_expect_op(struct jparser *p, const char *op)
{
    char quoted[8];
    snprintf(quoted, sizeof quoted, "\"%s\"", op);
    if (!p->status && !jparse_skip_op(p, op))
        unexpected(p, quoted);
}

/* --- statements --- */

static struct jnode *parse_body(struct jparser *p, const char *const *ends);

static void expect_tag_end(struct jparser *p)
{
    if (p->status)
        return;
    if (p->at->kind != T_TAG_END)
        unexpected(p, "the end of the tag");
    else
        p->at++;
}

/* The body of a block tag whose head was read: to the tag `end` (or `or`), which is skipped but for
 * its TAG_END. */
static struct jnode *parse_block(struct jparser *p, const char *end, const char *or_)
{
    expect_tag_end(p);
    const char *ends[] = {end, or_, NULL};
    struct jnode *body = parse_body(p, ends);
    return body;
}

static struct jnode *parse_if(struct jparser *p)
{
    struct jnode *n = jparse_node(p, N_IF);
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    do {
        jparse_add(p, n, jparse_tuple(p, false, NULL, false));
        expect_tag_end(p);
        jparse_add(p, n, parse_body(p, ends));
    } while (jparse_skip_name(p, "elif"));
    if (!p->status && jparse_skip_name(p, "else")) {
        struct jnode *body = parse_block(p, "endif", NULL);
        if (!p->status)
            n->c = body;
        jparse_deepen(p, n, body);
    }
    if (!p->status && !jparse_skip_name(p, "endif"))
        unexpected(p, "endif");
    return n;
}

static struct jnode *parse_for(struct jparser *p)
{
    struct jnode *n = jparse_node(p, N_FOR);
    if (!n)
        return NULL;
    n->a = jparse_target(p, "in", false);
    if (!p->status && !jparse_skip_name(p, "in"))
        unexpected(p, "\"in\"");
    n->b = jparse_tuple(p, false, "recursive", false);
    if (jparse_skip_name(p, "if"))
        n->c = jparse_expression(p, true);
    if (!p->status && jparse_is_name(p, "recursive"))
        return jparse_fail(p, "recursive loops are not supported");
    jparse_deepen(p, n, n->b);
    jparse_deepen(p, n, n->c);
    p->loops++;
    struct jnode *body = parse_block(p, "endfor", "else"), *other = NULL;
    p->loops--;
    if (jparse_skip_name(p, "else"))
        other = parse_block(p, "endfor", NULL);
    if (!p->status && !jparse_skip_name(p, "endfor"))
        unexpected(p, "endfor");
    jparse_add(p, n, body);
    jparse_add(p, n, other);
    return n;
}

static struct jnode *parse_set(struct jparser *p)
{
    struct jnode *n = jparse_node(p, N_SET);
    if (!n)
        return NULL;
    n->a = jparse_target(p, NULL, true);
    if (jparse_skip_op(p, "=")) {
        n->b = jparse_tuple(p, true, NULL, false);
    } else if (!p->status) {
        n->kind = N_SET_BLOCK;
        if (jparse_is_op(p, "|"))
            return jparse_fail(p, "a filter on a block {%% set %%} is not supported");
        n->b = parse_block(p, "endset", NULL);
        if (!p->status && !jparse_skip_name(p, "endset"))
            unexpected(p, "endset");
    }
    jparse_deepen(p, n, n->b);
    return n;
}

static void add_parameter(struct jparser *p, struct jnode *n)
{
    if (p->at->kind != T_NAME) {
        unexpected(p, "a parameter's name");
        return;
    }
    struct jnamed *named = arena_alloc(&p->t->arena, (n->n_named + 1) * sizeof *named);
    if (!named) {
        no_memory(p);
        return;
    }
    if (n->n_named)
        memcpy(named, n->named, n->n_named * sizeof *named);
    n->named = named;
    named[n->n_named] = (struct jnamed){p->at->text, NULL};
    p->at++;
    if (jparse_skip_op(p, "="))
        named[n->n_named].value = jparse_expression(p, true);
    else if (!p->status && n->n_named && named[n->n_named - 1].value)
        jparse_fail(p, "a parameter without default follows one with a default");
    jparse_deepen(p, n, named[n->n_named].value);
    n->n_named++;
}

static struct jnode *parse_macro(struct jparser *p)
{
    struct jnode *n = jparse_node(p, N_MACRO);
    if (!n)
        return NULL;
    if (p->at->kind != T_NAME) {
        unexpected(p, "the macro's name");
        return NULL;
    }
    n->name = p->at->text;
    p->at++;
    jparse_expect_op(p, "(");
    while (!p->status && !jparse_is_op(p, ")")) {
        if (n->n_named)
            jparse_expect_op(p, ",");
        if (!p->status)
            add_parameter(p, n);
    }
    jparse_expect_op(p, ")");
    int loops = p->loops;
    bool in_macro = p->in_macro;
    p->loops = 0; /* break does not leave a macro */
    p->in_macro = true;
    n->b = parse_block(p, "endmacro", NULL);
    p->loops = loops;
    p->in_macro = in_macro;
    if (!p->status && !jparse_skip_name(p, "endmacro"))
        unexpected(p, "endmacro");
    jparse_deepen(p, n, n->b);
    return n;
}

static struct jnode *parse_generation(struct jparser *p)
{
    struct jnode *n = jparse_node(p, N_GENERATION);
    int loops = p->loops;
    p->loops = 0;
    struct jnode *body = parse_block(p, "endgeneration", NULL);
    p->loops = loops;
    if (!p->status && !jparse_skip_name(p, "endgeneration"))
        unexpected(p, "endgeneration");
    if (n)
        n->b = body;
    jparse_deepen(p, n, body);
    return n;
}

static struct jnode *parse_statement(struct jparser *p)
{
    static const char *const absent[] = {"block", "extends", "include", "import",     "from",
                                         "with",  "filter",  "call",    "autoescape", "print",
                                         "do",    "trans",   "debug"};
    if (p->at->kind != T_NAME) {
        unexpected(p, "a tag's name");
        return NULL;
    }
    if (jparse_skip_name(p, "if"))
        return parse_if(p);
    if (jparse_skip_name(p, "for"))
        return parse_for(p);
    if (jparse_skip_name(p, "set"))
        return parse_set(p);
    if (jparse_skip_name(p, "macro"))
        return parse_macro(p);
    if (jparse_skip_name(p, "generation"))
        return parse_generation(p);
    bool is_break = jparse_is_name(p, "break");
    if (is_break || jparse_is_name(p, "continue")) {
        if (!p->loops)
            return jparse_fail(p, "{%% %s %%} outside a loop", is_break ? "break" : "continue");
        p->at++;
        return jparse_node(p, is_break ? N_BREAK : N_CONTINUE);
    }
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (jparse_is_name(p, absent[i]))
            return jparse_fail(p, "the tag {%% %s %%} is not supported", absent[i]);
    return jparse_fail(p, "there is no tag {%% %.*s %%}",
                       (int)(p->at->text.length < 40 ? p->at->text.length : 40), p->at->text.data);
}

static bool at_end(const struct jparser *p, const char *const *ends)
{
    for (int i = 0; ends && i < 3 && ends[i]; i++)
        if (jparse_is_name(p, ends[i]))
            return true;
    return false;
}

/* Statements up to a tag named in `ends` (NULL: to the template's end); the cursor is then on its
 * name. */
static struct jnode *parse_body(struct jparser *p, const char *const *ends)
{
    struct jnode *body = jparse_node(p, N_BODY);
    if (++p->depth > MAX_DEPTH)
        jparse_fail(p, "blocks are nested too deeply");
    while (!p->status) {
        const struct jtoken *t = p->at++;
        struct jnode *n = NULL;
        if (t->kind == T_END) {
            p->at--;
            for (int i = 0; ends && ends[i]; i++)
                if (strncmp(ends[i], "end", 3) == 0)
                    jparse_fail(p, "the template ends, expected {%% %s %%}", ends[i]);
            break;
        } else if (t->kind == T_DATA) {
            if ((n = jparse_node(p, N_DATA)))
                n->value = jv_slice(t->text.data, t->text.length);
        } else if (t->kind == T_PRINT) {
            if ((n = jparse_node(p, N_PRINT)))
                n->a = jparse_tuple(p, true, NULL, false);
            jparse_deepen(p, n, n ? n->a : NULL);
            if (!p->status && p->at->kind != T_PRINT_END)
                unexpected(p, "}}");
            p->at += !p->status;
        } else { /* T_TAG */
            if (at_end(p, ends))
                break;
            n = parse_statement(p);
            expect_tag_end(p);
        }
        jparse_add(p, body, n);
    }
    p->depth--;
    return body;
}

int jinja_parse(jinja **out, const char *text, size_t length, const char *where, struct err *err)
{
    *out = NULL;
    jinja *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_no_memory(err, where, sizeof *t);
    snprintf(t->where, sizeof t->where, "%s", where);
    struct jtokens tokens;
    int status = jinja_lex(&tokens, &t->arena, text, length, t->where, err);
    if (!status) {
        struct jparser p = {.t = t, .at = tokens.items, .source = tokens.source, .err = err};
        t->body = parse_body(&p, NULL);
        status = p.status;
        if (!status && !jscope_analyse(t))
            status = err_no_memory(err, where, length);
    }
    if (status)
        jinja_free(t);
    else
        *out = t;
    return status;
}

void jinja_free(jinja *t)
{
    if (t)
        arena_free(&t->arena);
    mem_free(t);
}
