/* pattern.c: Oniguruma's Ruby syntax to PCRE2; see pattern.h.
 *
 * A recursive descent over the pattern that knows only what it can carry over exactly:
 *   literals, escapes, '.', ^ and $ (at every line, as in Ruby), \A \z \Z, classes with ranges and
 *   nested classes, \s \S \d \D \w \W, \p{general category} and a few scripts, groups, look-around,
 *   atomic groups, alternation, quantifiers (lazy, possessive), (?i:…) over ASCII.
 * Three things differ silently between the engines, and are written out here: the Unicode version
 * behind \p (unicode.c), the meaning of \s, \w, \v, and {n,m}+ (a possessive quantifier in PCRE2, a
 * repeated one in Ruby). Case-insensitive matching also folds several letters into one there (ss
 * and ß), so a pattern whose letters could do that is refused. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pattern.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "tokenizer/unicode.h"

enum { MAX_NESTING = 50 };

struct pattern {
    pcre2_code *code;
};

struct matcher {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL until a match needs more than the machine stack's 32 KiB */
};

struct translation {
    const char *text, *at, *end;
    struct str *out;
    bool caseless;
    char last; /* caseless: the literal letter just before, lower case, or 0 */
    int depth;
    const char *where;
    struct err *err;
};

static int refuse(const struct translation *t, const char *what)
{
    return err_set(t->err, ERR_INPUT, t->where,
                   "the pattern \"%.200s\" uses %s at byte %td, which is not supported: ids could "
                   "be wrong",
                   t->text, what, t->at - t->text);
}

static bool peek(const struct translation *t, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(t->end - t->at) >= n && memcmp(t->at, text, n) == 0;
}

static bool accept(struct translation *t, const char *text)
{
    if (!peek(t, text))
        return false;
    t->at += strlen(text);
    return true;
}

/* --- characters --- */

static bool is_alnum(int32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void put_char(struct translation *t, int32_t c)
{
    if (is_alnum(c) || c >= 0x80)
        str_put_utf8(t->out, (uint32_t)c);
    else
        str_printf(t->out, "\\x{%x}", (unsigned)c);
}

/* Two letters that Oniguruma also finds as one character: ß, ﬆ, ﬀ, ﬁ, ﬂ. */
static int put_literal(struct translation *t, int32_t c)
{
    if (t->caseless) {
        char lower = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c < 0x80 ? (char)c : 0;
        if (c >= 0x80)
            return refuse(t, "a letter outside ASCII under (?i)");
        if ((t->last == 's' && (lower == 's' || lower == 't')) ||
            (t->last == 'f' && (lower == 'f' || lower == 'i' || lower == 'l')))
            return refuse(t, "a letter pair under (?i) that one character can stand for");
        t->last = lower;
    }
    put_char(t, c);
    return ERR_NONE;
}

static long read_hex(struct translation *t, int at_most)
{
    long value = 0;
    int n = 0;
    for (; n < at_most && t->at < t->end && hex_digit(*t->at) >= 0; n++)
        value = 16 * value + hex_digit(*t->at++);
    return n ? value : -1;
}

/* After "\x" or "\u". */
static int read_code_point(struct translation *t, char kind, int32_t *c)
{
    long value;
    if (kind == 'u') {
        const char *start = t->at;
        value = read_hex(t, 4);
        if (t->at - start != 4)
            value = -1;
    } else if (accept(t, "{")) {
        value = read_hex(t, 7);
        if (!accept(t, "}"))
            value = -1;
    } else {
        value = read_hex(t, 2);
        if (value > 0x7F) /* a raw byte */
            value = -1;
    }
    if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        return refuse(t, "this \\x or \\u escape");
    *c = (int32_t)value;
    return ERR_NONE;
}

/* An escape that stands for one character: *c, or −1 when it is something else (t->at is then
 * unchanged, at the character after the backslash). */
static int read_char_escape(struct translation *t, int32_t *c)
{
    static const char letters[] = "nrtfaev", values[] = "\n\r\t\f\a\x1b\v";
    *c = -1;
    if (t->at == t->end)
        return refuse(t, "a backslash at the end");
    const char *found = *t->at ? strchr(letters, *t->at) : NULL;
    if (found) {
        *c = (unsigned char)values[found - letters];
        t->at++;
        return ERR_NONE;
    }
    if (*t->at == 'x' || *t->at == 'u') {
        char kind = *t->at++;
        return read_code_point(t, kind, c);
    }
    int32_t next;
    int n = utf8_decode(t->at, (size_t)(t->end - t->at), &next);
    if (is_alnum(next))
        return ERR_NONE;
    *c = next;
    t->at += n;
    return ERR_NONE;
}

/* --- sets --- */

static const char white_space[] = "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}"
                                  "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";

struct property {
    const char *name;     /* lower case, without separators, as Oniguruma compares */
    const char *pcre;     /* in PCRE2 */
    const char *category; /* whose additions belong to it, or NULL … */
    const char *extra;    /* … and a script's */
};

/* Mn, Mc, C, Cn also lost members after Unicode 14, so they are not here. */
static const struct property properties[] = {
    {"l", "L", "L", ""},
    {"letter", "L", "L", ""},
    {"lu", "Lu", "Lu", ""},
    {"uppercaseletter", "Lu", "Lu", ""},
    {"ll", "Ll", "Ll", ""},
    {"lowercaseletter", "Ll", "Ll", ""},
    {"lt", "Lt", "Lt", ""},
    {"titlecaseletter", "Lt", "Lt", ""},
    {"lm", "Lm", "Lm", ""},
    {"modifierletter", "Lm", "Lm", ""},
    {"lo", "Lo", "Lo", ""},
    {"otherletter", "Lo", "Lo", ""},
    {"m", "M", "M", ""},
    {"mark", "M", "M", ""},
    {"n", "N", "N", ""},
    {"number", "N", "N", ""},
    {"nd", "Nd", "Nd", ""},
    {"decimalnumber", "Nd", "Nd", ""},
    {"nl", "Nl", "Nl", ""},
    {"letternumber", "Nl", "Nl", ""},
    {"no", "No", "No", ""},
    {"othernumber", "No", "No", ""},
    {"p", "P", "P", ""},
    {"punctuation", "P", "P", ""},
    {"pc", "Pc", "Pc", ""},
    {"pd", "Pd", "Pd", ""},
    {"ps", "Ps", "Ps", ""},
    {"pe", "Pe", "Pe", ""},
    {"pi", "Pi", "Pi", ""},
    {"pf", "Pf", "Pf", ""},
    {"po", "Po", "Po", ""},
    {"s", "S", "S", ""},
    {"symbol", "S", "S", ""},
    {"sm", "Sm", "Sm", ""},
    {"sc", "Sc", "Sc", ""},
    {"sk", "Sk", "Sk", ""},
    {"so", "So", "So", ""},
    {"z", "Z", "Z", ""},
    {"separator", "Z", "Z", ""},
    {"zs", "Zs", "Zs", ""},
    {"zl", "Zl", "Zl", ""},
    {"zp", "Zp", "Zp", ""},
    {"cc", "Cc", NULL, ""},
    {"han", "sc:Han", NULL, "\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"},
    {"hiragana", "sc:Hiragana", NULL, "\\x{1b132}"},
    {"katakana", "sc:Katakana", NULL, "\\x{1b155}"},
    {"hangul", "sc:Hangul", NULL, ""},
    {"thai", "sc:Thai", NULL, ""},
};

/* After "\p" or "\P": the members as class items; *negated is flipped by a ^. */
static int put_property(struct translation *t, bool *negated)
{
    char name[32];
    size_t n = 0;
    if (!accept(t, "{"))
        return refuse(t, "\\p without braces");
    if (accept(t, "^"))
        *negated = !*negated;
    for (; t->at < t->end && *t->at != '}'; t->at++) {
        if (*t->at == ' ' || *t->at == '-' || *t->at == '_')
            continue;
        if (!is_alnum(*t->at) || n + 1 == sizeof name)
            return refuse(t, "an unknown \\p property");
        name[n++] = *t->at >= 'A' && *t->at <= 'Z' ? (char)(*t->at + 32) : *t->at;
    }
    name[n] = 0;
    if (!accept(t, "}"))
        return refuse(t, "an unclosed \\p{");
    for (size_t i = 0; i < ARRAY_LENGTH(properties); i++) {
        const struct property *p = &properties[i];
        if (strcmp(p->name, name) != 0)
            continue;
        str_printf(t->out, "\\p{%s}%s", p->pcre, p->extra);
        if (p->category)
            unicode_put_additions(t->out, p->category);
        return ERR_NONE;
    }
    char what[80];
    snprintf(what, sizeof what, "the property \\p{%s}", name);
    return refuse(t, what);
}

static void put_word_class(struct str *out, const char *more)
{
    str_printf(out, "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}%s", more);
    static const char *const categories[] = {"L", "M", "Nd", "Nl", "Pc"};
    for (size_t i = 0; i < ARRAY_LENGTH(categories); i++)
        unicode_put_additions(out, categories[i]);
}

/* An escape that stands for a set, the backslash read: its members as class items, and whether they
 * are to be taken the other way round. false: it is none. */
static int put_set(struct translation *t, bool in_class, bool *is_set, bool *negated)
{
    char c = *t->at;
    *is_set = c && strchr("sSdDwWpP", c);
    if (!*is_set)
        return ERR_NONE;
    if (t->caseless)
        return refuse(t, "a set of characters under (?i)");
    t->at++;
    *negated = c >= 'A' && c <= 'Z';
    switch (c | 32) {
    case 's':
        str_puts(t->out, white_space);
        return ERR_NONE;
    case 'd':
        str_puts(t->out, "\\p{Nd}");
        unicode_put_additions(t->out, "Nd");
        return ERR_NONE;
    case 'w':
        /* Outside a class Oniguruma counts the superscripts and fractions of Latin-1 among them. */
        put_word_class(t->out, in_class ? "" : "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}");
        return ERR_NONE;
    default:
        return put_property(t, negated);
    }
}

/* --- classes --- */

static int put_class_items(struct translation *t);

/* A set inside a class. Of the negated ones only \S can be an item: PCRE2's own \S lacks U+180E. */
static int put_class_set(struct translation *t, bool *is_set)
{
    if (*t->at == 'S' && !t->caseless) {
        *is_set = true;
        t->at++;
        str_puts(t->out, "\\S\\x{180e}");
        return ERR_NONE;
    }
    bool negated = false;
    int status = put_set(t, true, is_set, &negated);
    return status || !negated ? status : refuse(t, "a negated set inside a class");
}

/* One end of a range, or a single character; *c −1 when a set was written instead. */
static int read_class_char(struct translation *t, int32_t *c)
{
    if (accept(t, "\\")) {
        int status = read_char_escape(t, c);
        if (status || *c >= 0)
            return status;
        bool is_set;
        status = put_class_set(t, &is_set);
        return status || is_set ? status : refuse(t, "an unknown escape inside a class");
    }
    t->at += utf8_decode(t->at, (size_t)(t->end - t->at), c);
    return ERR_NONE;
}

static int put_class_item(struct translation *t)
{
    if (peek(t, "&&"))
        return refuse(t, "the intersection of classes (&&)");
    if (accept(t, "[")) {
        /* A nested class is a union with the outer one, so its brackets can go. */
        if (peek(t, ":") || peek(t, "^") || peek(t, "]"))
            return refuse(t, "[: :] or a negated class inside a class");
        if (++t->depth > MAX_NESTING)
            return refuse(t, "too deep a nesting");
        int status = put_class_items(t);
        t->depth--;
        return status;
    }
    int32_t first, last;
    int status = read_class_char(t, &first);
    if (status)
        return status;
    if (first < 0)
        return peek(t, "-") && !peek(t, "-]") ? refuse(t, "a range that starts with a set")
                                              : ERR_NONE;
    last = first;
    if (peek(t, "-") && !peek(t, "-]")) {
        t->at++;
        if (t->at == t->end || *t->at == '[')
            return refuse(t, "an unfinished range");
        if ((status = read_class_char(t, &last)))
            return status;
        if (last < first)
            return refuse(t, "a range that ends with a set or runs backwards");
    }
    if (t->caseless && last >= 0x80)
        return refuse(t, "a character outside ASCII under (?i)");
    put_char(t, first);
    if (last != first) {
        str_putc(t->out, '-');
        put_char(t, last);
    }
    return ERR_NONE;
}

/* Up to and including the closing bracket. */
static int put_class_items(struct translation *t)
{
    while (t->at < t->end) {
        if (accept(t, "]"))
            return ERR_NONE;
        int status = put_class_item(t);
        if (status)
            return status;
    }
    return refuse(t, "an unclosed class");
}

static int put_class(struct translation *t)
{
    str_putc(t->out, '[');
    if (accept(t, "^")) {
        if (t->caseless)
            return refuse(t, "a negated class under (?i)");
        str_putc(t->out, '^');
    }
    if (peek(t, "]"))
        return refuse(t, "a class that starts with ]");
    int status = put_class_items(t);
    str_putc(t->out, ']');
    return status;
}

/* --- atoms, quantifiers, alternatives --- */

static int put_alternatives(struct translation *t);

static int put_group(struct translation *t)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    bool caseless = t->caseless, known = !peek(t, "?");
    if (++t->depth > MAX_NESTING)
        return refuse(t, "too deep a nesting");
    if (accept(t, "?i:")) {
        str_puts(t->out, "(?i:");
        t->caseless = known = true;
    } else if (known) {
        str_puts(t->out, "(?:"); /* nothing refers to what a group captured */
    } else {
        for (size_t i = 0; i < ARRAY_LENGTH(kinds) && !known; i++) {
            known = accept(t, kinds[i]);
            if (known)
                str_printf(t->out, "(%s", kinds[i]);
        }
    }
    if (!known)
        return refuse(t, "this kind of group");
    int status = put_alternatives(t);
    if (status)
        return status;
    if (!accept(t, ")"))
        return refuse(t, "an unclosed group");
    str_putc(t->out, ')');
    t->caseless = caseless;
    t->depth--;
    return ERR_NONE;
}

static int put_escape(struct translation *t)
{
    int32_t c;
    int status = read_char_escape(t, &c);
    if (status)
        return status;
    if (c >= 0)
        return put_literal(t, c);
    t->last = 0;
    if (*t->at == 'A' || *t->at == 'z' || *t->at == 'Z') {
        str_printf(t->out, "\\%c", *t->at++);
        return ERR_NONE;
    }
    /* The items come first, the bracket and its ^ are known after them. */
    struct str items = {0}, *out = t->out;
    bool is_set, negated = false;
    t->out = &items;
    status = put_set(t, false, &is_set, &negated);
    t->out = out;
    if (!status && !is_set)
        status = refuse(t, "an unknown escape");
    if (!status)
        str_printf(out, "[%s%s]", negated ? "^" : "", str_text(&items));
    out->failed = out->failed || items.failed;
    str_free(&items);
    return status;
}

static int put_atom(struct translation *t)
{
    char c = *t->at;
    if (c != '\\' && strchr(".^$[(*+?", c))
        t->last = 0;
    switch (c) {
    case '(':
        t->at++;
        return put_group(t);
    case '[':
        t->at++;
        return put_class(t);
    case '\\':
        t->at++;
        return put_escape(t);
    case '.':
    case '^':
    case '$':
        str_putc(t->out, *t->at++);
        return ERR_NONE;
    case '*':
    case '+':
    case '?':
        return refuse(t, "a quantifier of nothing");
    default:
        break;
    }
    int32_t point;
    t->at += utf8_decode(t->at, (size_t)(t->end - t->at), &point);
    return put_literal(t, point);
}

/* {n}, {n,}, {n,m} or {,m}: true and read when there is one. */
static bool read_interval(struct translation *t, long *least, long *most)
{
    const char *p = t->at;
    if (p == t->end || *p != '{')
        return false;
    char *after;
    p++;
    bool has_least = p < t->end && *p >= '0' && *p <= '9', has_most = false;
    *least = has_least ? strtol(p, &after, 10) : 0;
    p = has_least ? after : p;
    *most = *least;
    bool comma = p < t->end && *p == ',';
    if (comma) {
        p++;
        has_most = p < t->end && *p >= '0' && *p <= '9';
        *most = has_most ? strtol(p, &after, 10) : -1;
        p = has_most ? after : p;
    }
    if (p == t->end || *p != '}' || (!has_least && !has_most))
        return false;
    t->at = p + 1;
    return true;
}

/* The quantifier of the atom that was written from `start` on. */
static int put_quantifier(struct translation *t, size_t start)
{
    long least, most;
    if (t->at == t->end)
        return ERR_NONE;
    bool lazy_allowed = true;
    if (*t->at == '*' || *t->at == '+' || *t->at == '?') {
        str_putc(t->out, *t->at++);
        if (accept(t, "+")) {
            str_putc(t->out, '+');
            lazy_allowed = false;
        }
    } else if (read_interval(t, &least, &most)) {
        if ((most >= 0 && most < least) || least > 1000 || most > 1000)
            return refuse(t, "this interval");
        if (least == most)
            str_printf(t->out, "{%ld}", least);
        else if (most < 0)
            str_printf(t->out, "{%ld,}", least);
        else
            str_printf(t->out, "{%ld,%ld}", least, most);
        lazy_allowed = least != most; /* {n}? is an optional {n} in Ruby */
        if (accept(t, "+")) {         /* (…{n,m})+ in Ruby */
            struct str copy = {0};
            str_puts(&copy, str_text(t->out) + start);
            t->out->length = start;
            str_printf(t->out, "(?:%s)+", str_text(&copy));
            t->out->failed = t->out->failed || copy.failed;
            str_free(&copy);
            lazy_allowed = false;
        }
    } else {
        return ERR_NONE;
    }
    t->last = 0;
    if (lazy_allowed && accept(t, "?"))
        str_putc(t->out, '?');
    if (peek(t, "*") || peek(t, "+") || peek(t, "?") || read_interval(t, &least, &most))
        return refuse(t, "a quantifier of a quantifier");
    return ERR_NONE;
}

/* Up to a ')' or the end. */
static int put_alternatives(struct translation *t)
{
    t->last = 0;
    while (t->at < t->end && *t->at != ')') {
        if (accept(t, "|")) {
            str_putc(t->out, '|');
            t->last = 0;
            continue;
        }
        size_t start = t->out->length;
        int status = put_atom(t);
        if (!status)
            status = put_quantifier(t, start);
        if (status)
            return status;
    }
    t->last = 0;
    return ERR_NONE;
}

int pattern_translate(struct str *out, const char *text, size_t length, const char *where,
                      struct err *err)
{
    struct translation t = {
        .text = text, .at = text, .end = text + length, .out = out, .where = where, .err = err};
    if (memchr(text, 0, length)) /* the rest leans on the final NUL */
        return refuse(&t, "a NUL character");
    if (accept(&t, "(?i)")) {
        str_puts(out, "(?i)");
        t.caseless = true;
    }
    int status = put_alternatives(&t);
    if (!status && t.at < t.end)
        status = refuse(&t, "an unmatched )");
    if (!status && out->failed)
        status = err_no_memory(err, where, length);
    return status;
}

/* --- compiling and matching --- */

static int compile(pattern *p, const char *text, size_t length, uint32_t flags, const char *where,
                   struct err *err)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return err_no_memory(err, where, length);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    p->code = pcre2_compile((PCRE2_SPTR)text, length, flags | PCRE2_UTF | PCRE2_NO_UTF_CHECK, &code,
                            &offset, context);
    pcre2_compile_context_free(context);
    if (!p->code) {
        PCRE2_UCHAR message[200];
        pcre2_get_error_message(code, message, sizeof message);
        return err_set(err, ERR_INPUT, where, "the pattern \"%.200s\" does not compile: %s", text,
                       (const char *)message);
    }
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without JIT it merely runs slower */
    return ERR_NONE;
}

int pattern_create(pattern **out, const char *text, size_t length, bool literal, const char *where,
                   struct err *err)
{
    *out = NULL;
    pattern *p = mem_calloc(1, sizeof *p);
    if (!p)
        return err_no_memory(err, where, sizeof *p);
    struct str translated = {0};
    int status = literal ? ERR_NONE : pattern_translate(&translated, text, length, where, err);
    if (!status)
        status = literal ? compile(p, text, length, PCRE2_LITERAL, where, err)
                         : compile(p, str_text(&translated), translated.length,
                                   PCRE2_UCP | PCRE2_MULTILINE, where, err);
    str_free(&translated);
    if (status)
        pattern_free(p);
    else
        *out = p;
    return status;
}

void pattern_free(pattern *p)
{
    if (p)
        pcre2_code_free(p->code);
    mem_free(p);
}

bool pattern_matches_empty(const pattern *p)
{
    uint32_t may = 1;
    pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &may);
    return may != 0;
}

matcher *matcher_create(void)
{
    matcher *m = mem_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->match = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->match || !m->context) {
        matcher_free(m);
        return NULL;
    }
    return m;
}

void matcher_free(matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->match);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    mem_free(m);
}

int pattern_match(const pattern *p, matcher *m, const char *text, size_t length, size_t from,
                  size_t *begin, size_t *end, struct err *err)
{
    for (;;) {
        int rc = pcre2_match(p->code, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, m->match,
                             m->context);
        if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !m->stack) {
            m->stack = pcre2_jit_stack_create(64 * 1024, 64 * 1024 * 1024, NULL);
            pcre2_jit_stack_assign(m->context, NULL, m->stack);
            if (m->stack)
                continue;
        }
        if (rc == PCRE2_ERROR_NOMATCH)
            return 0;
        if (rc < 0) {
            err_set(err, ERR_INPUT, "tokenizer",
                    "the pre-tokenizer's pattern gave up on a text of %zu bytes (PCRE2 error %d)",
                    length, rc);
            return -1;
        }
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(m->match);
        *begin = range[0];
        *end = range[1];
        return 1;
    }
}

int pattern_next(const pattern *p, matcher *m, struct pattern_scan *scan, const char *text,
                 size_t length, size_t *begin, size_t *end, struct err *err)
{
    while (scan->at <= length) {
        int found = pattern_match(p, m, text, length, scan->at, begin, end, err);
        if (found <= 0)
            return found;
        if (*begin == *end && scan->any && *end == scan->done) {
            int32_t c;
            scan->at +=
                scan->at < length ? (size_t)utf8_decode(text + scan->at, length - scan->at, &c) : 1;
            continue;
        }
        scan->any = true;
        scan->at = scan->done = *end;
        return 1;
    }
    return 0;
}

int pattern_replace(const pattern *p, matcher *m, struct str *out, const char *text, size_t length,
                    struct slice content, size_t *zero, struct err *err)
{
    struct pattern_scan scan = {0};
    size_t done = 0, from, to, reach = 0, before = out->length;
    int found = 0;
    while (length && (found = pattern_next(p, m, &scan, text, length, &from, &to, err)) > 0) {
        if (zero && *zero > done)
            reach = out->length - before + (*zero < from ? *zero : from) - done;
        str_append(out, text + done, from - done);
        str_append(out, content.data, content.length);
        /* What is put in belongs to the last character taken out. */
        if (zero && *zero && to <= *zero)
            reach = out->length - before;
        done = to;
    }
    if (found < 0)
        return ERR_INPUT;
    if (zero && *zero > done)
        reach = out->length - before + (*zero - done);
    str_append(out, text + done, length - done);
    if (zero)
        *zero = reach;
    return out->failed ? err_no_memory(err, "tokenizer", length) : ERR_NONE;
}
