/* jinja_method.c: methods of texts, lists and dictionaries, as a table; and the binding of
 * arguments to names that filters and tests use too. Methods that would change a value are refused,
 * as the reference's sandbox refuses them. */
#include <stdio.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

/* --- arguments --- */

static struct slice nth_name(const char *names, size_t i)
{
    while (i-- > 0) {
        names = strchr(names, ' ');
        if (!names)
            return (struct slice){"", 0};
        names++;
    }
    const char *end = strchr(names, ' ');
    return (struct slice){names, end ? (size_t)(end - names) : strlen(names)};
}

bool jargs_bind(struct jrun *r, const char *what, const struct jargs *args, const char *names,
                size_t required, struct jv *out)
{
    size_t n = 0;
    while (nth_name(names, n).length)
        out[n++] = (struct jv){.kind = J_ABSENT};
    if (args->n > n) {
        jrun_fail(r, "%s takes at most %zu arguments, %zu are given", what, n, args->n);
        return false;
    }
    for (size_t i = 0; i < args->n; i++)
        out[i] = args->items[i];
    for (size_t k = 0; k < args->n_named; k++) {
        size_t i = 0;
        for (; i < n; i++) {
            struct slice name = nth_name(names, i);
            if (name.length == args->names[k].length &&
                memcmp(name.data, args->names[k].data, name.length) == 0)
                break;
        }
        if (i == n || out[i].kind != J_ABSENT) {
            jrun_fail(r, "%s takes no argument %.*s%s", what,
                      (int)(args->names[k].length < 40 ? args->names[k].length : 40),
                      args->names[k].data, i == n ? "" : " besides the one given");
            return false;
        }
        out[i] = args->named[k];
    }
    for (size_t i = 0; i < required && i < n; i++) {
        if (out[i].kind == J_ABSENT) {
            jrun_fail(r, "%s needs the argument %.*s", what, (int)nth_name(names, i).length,
                      nth_name(names, i).data);
            return false;
        }
    }
    return true;
}

bool jargs_text(struct jrun *r, const char *what, const struct jv *v, struct slice *out)
{
    if (v->kind != J_TEXT) {
        jrun_fail(r, "%s wants a text, not %s", what, jv_type(v));
        return false;
    }
    *out = v->as.text;
    return true;
}

bool jargs_int(struct jrun *r, const char *what, const struct jv *v, long long *out)
{
    double real;
    if (v->kind == J_ABSENT)
        return true;
    if (v->kind != J_INT && v->kind != J_BOOL) {
        jrun_fail(r, "%s wants an integer, not %s", what, jv_type(v));
        return false;
    }
    (void)jv_number(v, out, &real);
    return true;
}

/* --- texts --- */

static struct jv same(const struct jv *self, struct slice s)
{
    struct jv v = jv_slice(s.data, s.length);
    v.safe = self->safe;
    return v;
}

static struct jv strip(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    if (a[0].kind != J_ABSENT && a[0].kind != J_NONE && a[0].kind != J_TEXT)
        return jrun_fail(r, "strip wants a text, not %s", jv_type(&a[0]));
    size_t cost = a[0].kind == J_TEXT ? a[0].as.text.length : 1;
    if (!jrun_charge(r, 1 + self->as.text.length / 16 * (1 + cost / 16)))
        return jv_none();
    return same(self, jtext_strip(self->as.text, &a[0], how & 1, how & 2));
}

static struct jv split(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    long long most = -1;
    if (self->safe)
        return jrun_fail(r, ".split() of a safe text is not supported");
    if (a[0].kind != J_ABSENT && a[0].kind != J_NONE && a[0].kind != J_TEXT)
        return jrun_fail(r, "split wants a text, not %s", jv_type(&a[0]));
    if (!jargs_int(r, "split", &a[1], &most))
        return jv_none();
    return jtext_split(r, self->as.text, &a[0], most < 0 ? -1 : most, how);
}

static struct jv lines(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)how;
    if (self->safe)
        return jrun_fail(r, ".splitlines() of a safe text is not supported");
    return jtext_lines(r, self->as.text, jv_truth(&a[0]));
}

static bool has_edge(struct slice s, struct slice edge, bool at_end)
{
    return s.length >= edge.length &&
           memcmp(at_end ? s.data + s.length - edge.length : s.data, edge.data, edge.length) == 0;
}

static struct jv edge(struct jrun *r, const struct jv *self, const struct jv *a, int at_end)
{
    const char *what = at_end ? "endswith" : "startswith";
    struct slice s;
    if (a[0].kind != J_TUPLE)
        return jargs_text(r, what, &a[0], &s) ? jv_bool(has_edge(self->as.text, s, at_end))
                                              : jv_none();
    for (size_t i = 0; i < a[0].as.list->count; i++) {
        if (!jargs_text(r, what, &a[0].as.list->items[i], &s))
            return jv_none();
        if (has_edge(self->as.text, s, at_end))
            return jv_bool(true);
    }
    return jv_bool(false);
}

static struct jv cut(struct jrun *r, const struct jv *self, const struct jv *a, int at_end)
{
    struct slice s, t = self->as.text;
    if (!jargs_text(r, "removeprefix or removesuffix", &a[0], &s))
        return jv_none();
    if (has_edge(t, s, at_end)) {
        t.length -= s.length;
        t.data += at_end ? 0 : s.length;
    }
    return same(self, t);
}

static struct jv replace(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    struct slice old, fresh;
    long long count = -1;
    (void)how;
    if (!jargs_text(r, "replace", &a[0], &old) || !jargs_text(r, "replace", &a[1], &fresh) ||
        !jargs_int(r, "replace", &a[2], &count))
        return jv_none();
    if (self->safe || a[1].safe)
        return jrun_fail(r, ".replace() on a safe text is not supported");
    return jtext_replace(r, self->as.text, old, fresh, count < 0 ? -1 : count);
}

static struct jv text_case(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)a;
    struct jv v = jtext_case(r, self->as.text, (enum jcase)how);
    v.safe = self->safe;
    return v;
}

/* find (0), index (1), count (2) */
static struct jv find(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    struct slice needle, s = self->as.text;
    if (!jargs_text(r, "find", &a[0], &needle) || !jrun_charge(r, 1 + s.length / 16))
        return jv_none();
    if (how == 2) {
        long long n = 0;
        if (!needle.length)
            return jv_int((long long)jtext_length(s) + 1);
        for (const char *at; (at = memmem(s.data, s.length, needle.data, needle.length)); n++) {
            s.length -= (size_t)(at - s.data) + needle.length;
            s.data = at + needle.length;
        }
        return jv_int(n);
    }
    const char *at = needle.length ? memmem(s.data, s.length, needle.data, needle.length) : s.data;
    if (!at && how == 1)
        return jrun_fail(r, ".index() does not find its text");
    return jv_int(at ? (long long)jtext_length((struct slice){s.data, (size_t)(at - s.data)}) : -1);
}

static struct jv join(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)how;
    if (self->safe)
        return jrun_fail(r, ".join() of a safe text is not supported");
    if (a[0].kind == J_UNDEFINED)
        return jv_slice("", 0);
    struct jv items = jv_items(r, &a[0]);
    return r->status ? jv_none() : jtext_join(r, self->as.text, &items, true);
}

/* isdigit (0), isspace (1): on ASCII and white space only */
static struct jv is_all(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    struct slice s = self->as.text;
    (void)a;
    for (size_t at = 0; at < s.length && jrun_charge(r, 1);) {
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        if (how == 0 && c >= 0x80)
            return jrun_fail(r, ".isdigit() of letters beyond ASCII is not supported");
        if (how == 0 ? c < '0' || c > '9' : !jtext_is_space(c))
            return jv_bool(false);
        at += n;
    }
    return jv_bool(s.length > 0);
}

/* --- dictionaries and lists --- */

/* keys (0), values (1), items (2) */
static struct jv view(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    static const char *const types[] = {"dict_keys", "dict_values", "dict_items"};
    const struct jdict *d = self->as.dict;
    struct jv list = jv_list(r, J_VIEW, d->count);
    (void)a;
    if (r->status)
        return list;
    list.as.list->type = types[how];
    for (size_t i = 0; i < d->count && !r->status; i++) {
        struct jv pair = how == 2 ? jv_list(r, J_TUPLE, 2) : jv_none();
        if (how == 2 && !r->status) {
            pair.as.list->items[0] = d->entries[i].key;
            pair.as.list->items[1] = d->entries[i].value;
        }
        list.as.list->items[i] = how == 0   ? d->entries[i].key
                                 : how == 1 ? d->entries[i].value
                                            : pair;
    }
    return list;
}

static struct jv get(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)how;
    if (!jv_hashable(r, &a[0]))
        return jrun_fail(r, "%s cannot be the key of a dict", jv_type(&a[0]));
    const struct jv *found = jdict_get(r, self->as.dict, &a[0]);
    return found ? *found : a[1].kind == J_ABSENT ? jv_none() : a[1];
}

static struct jv copy(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)r;
    (void)a;
    (void)how;
    return *self; /* nothing changes, so it is one */
}

/* index (1), count (2) of a list */
static struct jv find_item(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    const struct jlist *list = self->as.list;
    long long n = 0;
    for (size_t i = 0; i < list->count && !r->status; i++) {
        bool equal = jv_equal(r, &list->items[i], &a[0]);
        if (equal && how == 1)
            return jv_int((long long)i);
        n += equal;
    }
    return how == 2 ? jv_int(n) : jrun_fail(r, ".index() does not find its item");
}

static struct jv refuse(struct jrun *r, const struct jv *self, const struct jv *a, int how)
{
    (void)a;
    (void)how;
    return jrun_fail(r, "a template must not change a %s", jv_type(self));
}

enum self_kind { OF_TEXT, OF_LIST, OF_DICT };
static const struct method {
    const char *name;
    enum self_kind of;
    struct jv (*call)(struct jrun *r, const struct jv *self, const struct jv *a, int how);
    int how;
    const char *arguments;
    size_t required;
    bool positional; /* the reference takes no names */
} methods[] = {
    {"strip", OF_TEXT, strip, 3, "chars", 0, true},
    {"lstrip", OF_TEXT, strip, 1, "chars", 0, true},
    {"rstrip", OF_TEXT, strip, 2, "chars", 0, true},
    {"split", OF_TEXT, split, 0, "sep maxsplit", 0, false},
    {"rsplit", OF_TEXT, split, 1, "sep maxsplit", 0, false},
    {"splitlines", OF_TEXT, lines, 0, "keepends", 0, false},
    {"startswith", OF_TEXT, edge, 0, "prefix", 1, true},
    {"endswith", OF_TEXT, edge, 1, "suffix", 1, true},
    {"removeprefix", OF_TEXT, cut, 0, "prefix", 1, true},
    {"removesuffix", OF_TEXT, cut, 1, "suffix", 1, true},
    {"replace", OF_TEXT, replace, 0, "old new count", 2, true},
    {"upper", OF_TEXT, text_case, CASE_UPPER, "", 0, true},
    {"lower", OF_TEXT, text_case, CASE_LOWER, "", 0, true},
    {"title", OF_TEXT, text_case, CASE_TITLE, "", 0, true},
    {"capitalize", OF_TEXT, text_case, CASE_CAPITALIZE, "", 0, true},
    {"find", OF_TEXT, find, 0, "sub", 1, true},
    {"index", OF_TEXT, find, 1, "sub", 1, true},
    {"count", OF_TEXT, find, 2, "sub", 1, true},
    {"join", OF_TEXT, join, 0, "iterable", 1, true},
    {"isdigit", OF_TEXT, is_all, 0, "", 0, true},
    {"isspace", OF_TEXT, is_all, 1, "", 0, true},
    {"keys", OF_DICT, view, 0, "", 0, true},
    {"values", OF_DICT, view, 1, "", 0, true},
    {"items", OF_DICT, view, 2, "", 0, true},
    {"get", OF_DICT, get, 0, "key default", 1, true},
    {"copy", OF_DICT, copy, 0, "", 0, true},
    {"copy", OF_LIST, copy, 0, "", 0, true},
    {"index", OF_LIST, find_item, 1, "value", 1, true},
    {"count", OF_LIST, find_item, 2, "value", 1, true},
    {"append", OF_LIST, refuse, 0, "a b c", 0, true},
    {"extend", OF_LIST, refuse, 0, "a b c", 0, true},
    {"insert", OF_LIST, refuse, 0, "a b c", 0, true},
    {"pop", OF_LIST, refuse, 0, "a b c", 0, true},
    {"remove", OF_LIST, refuse, 0, "a b c", 0, true},
    {"clear", OF_LIST, refuse, 0, "a b c", 0, true},
    {"sort", OF_LIST, refuse, 0, "a b c", 0, true},
    {"reverse", OF_LIST, refuse, 0, "a b c", 0, true},
    {"clear", OF_DICT, refuse, 0, "a b c", 0, true},
    {"pop", OF_DICT, refuse, 0, "a b c", 0, true},
    {"popitem", OF_DICT, refuse, 0, "a b c", 0, true},
    {"setdefault", OF_DICT, refuse, 0, "a b c", 0, true},
    {"update", OF_DICT, refuse, 0, "a b c", 0, true},
};

static const struct method *find_method(const struct jv *self, struct slice name)
{
    if (self->kind != J_TEXT && self->kind != J_DICT && self->kind != J_LIST &&
        self->kind != J_TUPLE)
        return NULL;
    enum self_kind of = self->kind == J_TEXT ? OF_TEXT : self->kind == J_DICT ? OF_DICT : OF_LIST;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *m = &methods[i];
        bool of_list_only = m->call == refuse || m->call == copy;
        if (m->of == of && slice_equals(name, m->name) && !(self->kind == J_TUPLE && of_list_only))
            return m;
    }
    return NULL;
}

bool jmethod_refused(struct slice name)
{
    static const char *const names[] = {
        "casefold",   "center",      "encode",           "expandtabs", "format",       "format_map",
        "isalnum",    "isalpha",     "isascii",          "isdecimal",  "isidentifier", "islower",
        "isnumeric",  "isprintable", "istitle",          "isupper",    "ljust",        "maketrans",
        "partition",  "rfind",       "rindex",           "rjust",      "rpartition",   "swapcase",
        "translate",  "zfill",       "fromkeys",         "bit_length", "bit_count",    "to_bytes",
        "from_bytes", "conjugate",   "as_integer_ratio", "is_integer", "hex",          "fromhex"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_equals(name, names[i]))
            return true;
    return false;
}

bool jmethod_exists(const struct jv *self, struct slice name)
{
    return find_method(self, name) != NULL;
}

struct jv jmethod_call(struct jrun *r, const struct jmethod *m, const struct jargs *args)
{
    const struct method *row = find_method(&m->self, m->name);
    struct jv bound[4];
    char what[40];
    snprintf(what, sizeof what, ".%s()", row->name);
    if (row->positional && args->n_named && row->call != refuse)
        return jrun_fail(r, "%s takes no named arguments", what);
    if (row->call == refuse)
        return refuse(r, &m->self, NULL, 0);
    if (!jargs_bind(r, what, args, row->arguments, row->required, bound))
        return jv_none();
    return row->call(r, &m->self, bound, row->how);
}
