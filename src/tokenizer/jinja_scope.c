/* jinja_scope.c: one rule of jinja2's scopes that shows: a variable of the caller (messages, an
 * option) that a scope assigns before it reads it is undefined in that scope until then, also for
 * the macros and loops inside it. So for each scope of a parsed template the names are found whose
 * first use is an assignment and which no scope around it uses; the rendering begins that scope
 * with them undefined. An assignment in some branches of an `if` only counts as a reading. */
#include <string.h>
#include "base/map.h"
#include "tokenizer/jinja_internal.h"

enum use { READ = 1, ASSIGNED = 2 };

/* Names used on one level: a scope, or a branch of an `if` in it (up: what came before). */
struct level {
    const struct level *up;
    bool is_scope;
    struct map map; /* name to index */
    struct slice *names;
    enum use *uses;
    size_t n, capacity;
};

struct scoping {
    jinja *t;
    bool failed;
};

static void level_free(struct level *l)
{
    map_free(&l->map);
    mem_free(l->names);
    mem_free(l->uses);
}

/* Whether the name was used on this level or one its scope continues; far: in a scope around too.
 */
static bool used(const struct level *l, struct slice name, bool far)
{
    for (; l; l = l->up) {
        if (map_get(&l->map, name.data, name.length, NULL))
            return true;
        if (l->is_scope && !far)
            return false;
    }
    return false;
}

static void use(struct scoping *s, struct level *l, struct slice name, enum use how)
{
    if (used(l, name, false))
        return;
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 16;
        struct slice *names = mem_realloc(l->names, capacity * sizeof *names);
        l->names = names ? names : l->names;
        enum use *uses = mem_realloc(l->uses, capacity * sizeof *uses);
        l->uses = uses ? uses : l->uses;
        if (!names || !uses) {
            s->failed = true;
            return;
        }
        l->capacity = capacity;
    }
    s->failed = s->failed || !map_put(&l->map, name.data, name.length, (int32_t)l->n);
    l->names[l->n] = name;
    l->uses[l->n++] = how;
}

static void read_names(struct scoping *s, struct level *l, const struct jnode *n)
{
    if (!n)
        return;
    if (n->kind == N_NAME)
        use(s, l, n->name, READ);
    const struct jnode *children[] = {n->a, n->b, n->c, n->d};
    for (size_t i = 0; i < 4; i++)
        read_names(s, l, children[i]);
    for (size_t i = 0; i < n->n_items; i++)
        read_names(s, l, n->items[i]);
    for (size_t i = 0; i < n->n_named; i++)
        read_names(s, l, n->named[i].value);
}

static void assign_names(struct scoping *s, struct level *l, const struct jnode *target)
{
    if (target->kind == N_NAME)
        use(s, l, target->name, ASSIGNED);
    else if (target->kind == N_ATTRIBUTE)
        read_names(s, l, target->a);
    for (size_t i = 0; i < target->n_items; i++)
        assign_names(s, l, target->items[i]);
}

static void use_body(struct scoping *s, struct level *l, const struct jnode *body);

/* Body, all the elifs, else: a name counts as assigned only when all three do so. */
static void use_if(struct scoping *s, struct level *l, const struct jnode *n)
{
    struct level branches[3] = {{.up = l}, {.up = l}, {.up = l}};
    read_names(s, l, n->items[0]);
    use_body(s, &branches[0], n->items[1]);
    for (size_t i = 2; i + 1 < n->n_items; i += 2) {
        read_names(s, &branches[1], n->items[i]);
        use_body(s, &branches[1], n->items[i + 1]);
    }
    if (n->c)
        use_body(s, &branches[2], n->c);
    for (int b = 0; b < 3; b++) {
        for (size_t i = 0; i < branches[b].n; i++) {
            bool all = true;
            for (int o = 0; o < 3; o++) {
                int32_t at;
                const struct slice name = branches[b].names[i];
                all = all && map_get(&branches[o].map, name.data, name.length, &at) &&
                      branches[o].uses[at] == ASSIGNED;
            }
            use(s, l, branches[b].names[i], all ? ASSIGNED : READ);
        }
    }
    for (int b = 0; b < 3; b++)
        level_free(&branches[b]);
}

static void use_body(struct scoping *s, struct level *l, const struct jnode *body)
{
    for (size_t i = 0; i < body->n_items && !s->failed; i++) {
        const struct jnode *n = body->items[i];
        switch (n->kind) {
        case N_PRINT:
            read_names(s, l, n->a);
            break;
        case N_IF:
            use_if(s, l, n);
            break;
        case N_FOR:
            read_names(s, l, n->b);
            break;
        case N_SET:
            read_names(s, l, n->b);
            assign_names(s, l, n->a);
            break;
        case N_SET_BLOCK:
            assign_names(s, l, n->a);
            break;
        case N_MACRO:
            use(s, l, n->name, ASSIGNED);
            break;
        default:
            break;
        }
    }
}

static void scope(struct scoping *s, const struct level *up, struct jnode *body,
                  const struct jnode *owner);

/* The scopes inside a body, those in branches of an `if` included. */
static void inner_scopes(struct scoping *s, const struct level *l, const struct jnode *body)
{
    for (size_t i = 0; i < body->n_items && !s->failed; i++) {
        struct jnode *n = body->items[i];
        if (n->kind == N_IF) {
            for (size_t k = 1; k < n->n_items; k += 2)
                inner_scopes(s, l, n->items[k]);
            if (n->c)
                inner_scopes(s, l, n->c);
        } else if (n->kind == N_FOR) {
            scope(s, l, n->items[0], n);
            if (n->n_items > 1 && n->items[1])
                scope(s, l, n->items[1], NULL);
        } else if (n->kind == N_MACRO || n->kind == N_SET_BLOCK || n->kind == N_GENERATION) {
            scope(s, l, n->b, n);
        }
    }
}

/* owner: whose parameters or loop variables are there from the start. */
static void scope(struct scoping *s, const struct level *up, struct jnode *body,
                  const struct jnode *owner)
{
    struct level l = {.up = up, .is_scope = true};
    if (owner && owner->kind == N_FOR) {
        read_names(s, &l, owner->a);
        use(s, &l, slice_of("loop"), READ);
    } else if (owner && owner->kind == N_MACRO) {
        for (size_t i = 0; i < owner->n_named; i++) {
            use(s, &l, owner->named[i].name, READ);
            read_names(s, &l, owner->named[i].value);
        }
    }
    use_body(s, &l, body);
    size_t count = 0;
    for (size_t i = 0; i < l.n; i++)
        if (l.uses[i] == ASSIGNED && !used(up, l.names[i], true))
            l.names[count++] = l.names[i];
    if (count && !s->failed) {
        body->hidden = arena_alloc(&s->t->arena, count * sizeof *body->hidden);
        s->failed = !body->hidden;
        if (body->hidden)
            memcpy(body->hidden, l.names, count * sizeof *body->hidden);
        body->n_hidden = body->hidden ? count : 0;
    }
    if (!s->failed)
        inner_scopes(s, &l, body);
    level_free(&l);
}

bool jscope_analyse(jinja *t)
{
    struct scoping s = {.t = t};
    scope(&s, NULL, t->body, NULL);
    return !s.failed;
}
