/* jinja_lex.c: the text of a template to tokens, by the rules of jinja2's lexer with trim_blocks
 * and lstrip_blocks on: the newline after a block or comment goes, and so does the white space
 * between a line's beginning and one; "-" at a tag's edge takes all white space on that side, "+"
 * keeps it. A tag's end is only looked for where no bracket is open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tokenizer/jinja_internal.h"

struct lexer {
    struct arena *arena;
    const char *text; /* newlines normalised, one at the end taken off */
    size_t length, at;
    size_t line_at; /* how far `line` and `line_start` have been counted */
    int line;
    bool line_starting; /* the last match ended a line (or none was made) */
    struct jtokens *out;
    size_t capacity;
    const char *where;
    struct err *err;
    int status;
};

enum { MAX_TOKENS = 1 << 20, MAX_LENGTH = 1 << 20, MAX_OPEN = 200 };

/* The line of a byte; they are asked for from left to right, but for messages. */
static int line_of(struct lexer *x, size_t at)
{
    if (at < x->line_at) {
        x->line_at = 0;
        x->line = 1;
    }
    for (; x->line_at < at; x->line_at++)
        x->line += x->text[x->line_at] == '\n';
    return x->line;
}

static int lex_fail(struct lexer *x, size_t at, const char *message, const char *detail)
{
    int line = line_of(x, at), column = jtext_column(x->text, at);
    if (!x->status)
        x->status = err_set(x->err, ERR_INPUT, x->where, "line %d, column %d: %s%.60s", line,
                            column, message, detail);
    return x->status;
}

static struct jtoken *push(struct lexer *x, enum jtoken_kind kind, size_t at, struct slice text)
{
    if (x->out->count == x->capacity) {
        size_t capacity = x->capacity ? 2 * x->capacity : 256;
        struct jtoken *items =
            capacity > MAX_TOKENS ? NULL : arena_alloc(x->arena, capacity * sizeof *items);
        if (!items) {
            if (!x->status)
                x->status = err_no_memory(x->err, x->where, capacity * sizeof *items);
            return NULL;
        }
        if (x->out->count)
            memcpy(items, x->out->items, x->out->count * sizeof *items);
        x->out->items = items;
        x->capacity = capacity;
    }
    struct jtoken *t = &x->out->items[x->out->count++];
    *t = (struct jtoken){.kind = kind, .text = text, .line = line_of(x, at), .offset = at};
    return t;
}

/* --- characters --- */

static size_t space_at(const struct lexer *x, size_t at)
{
    int32_t c;
    if (at >= x->length)
        return 0;
    size_t n = (size_t)utf8_decode(x->text + at, x->length - at, &c);
    return jtext_is_space(c) ? n : 0;
}

static size_t skip_space(const struct lexer *x, size_t at)
{
    for (size_t n; (n = space_at(x, at));)
        at += n;
    return at;
}

static bool here(const struct lexer *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return x->length - at >= n && memcmp(x->text + at, text, n) == 0;
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- text outside tags --- */

/* Puts x->text[from, to) as data, the tag after it having the given sign. */
static void put_data(struct lexer *x, size_t from, size_t to, char sign, bool is_print)
{
    struct slice s = {x->text + from, to - from};
    if (sign == '-') {
        s = jtext_strip(s, NULL, false, true);
    } else if (sign != '+' && !is_print) {
        size_t line = s.length;
        while (line && s.data[line - 1] != '\n')
            line--;
        struct slice last = {s.data + line, s.length - line};
        if ((line || x->line_starting) && !jtext_strip(last, NULL, true, false).length)
            s.length = line;
    }
    if (s.length)
        push(x, T_DATA, from, s);
}

/* The end of a tag at `at`: "-" CLOSE with all white space, "+" CLOSE, or CLOSE with a newline. 0
 * when it is not there. */
static size_t tag_end(const struct lexer *x, size_t at, const char *close, bool trims)
{
    bool minus = x->text[at] == '-', plus = trims && x->text[at] == '+';
    size_t end = at + (minus || plus);
    if (end > x->length || !here(x, end, close))
        return 0;
    end += 2;
    if (minus)
        return skip_space(x, end);
    return end + (trims && !plus && end < x->length && x->text[end] == '\n');
}

static void finish_tag(struct lexer *x, size_t end)
{
    x->at = end;
    x->line_starting = end && x->text[end - 1] == '\n';
}

static void lex_comment(struct lexer *x, size_t start)
{
    for (size_t at = x->at; at + 1 < x->length; at++) {
        size_t end = tag_end(x, at, "#}", true);
        if (end) {
            finish_tag(x, end);
            return;
        }
    }
    lex_fail(x, start, "a comment {# is never closed with #}", "");
}

/* After "{%" and a sign: whether this is `raw %}`, and where its text starts. */
static size_t raw_begin(const struct lexer *x, size_t at)
{
    at = skip_space(x, at);
    if (!here(x, at, "raw"))
        return 0;
    at = skip_space(x, at + 3);
    return at < x->length ? tag_end(x, at, "%}", false) : 0;
}

static void lex_raw(struct lexer *x, size_t begin)
{
    for (size_t at = begin; at + 1 < x->length; at++) {
        if (!here(x, at, "{%"))
            continue;
        char sign = at + 2 < x->length ? x->text[at + 2] : 0;
        size_t name = skip_space(x, at + 2 + (sign == '-' || sign == '+'));
        if (!here(x, name, "endraw"))
            continue;
        name = skip_space(x, name + 6);
        size_t end = name < x->length ? tag_end(x, name, "%}", true) : 0;
        if (!end)
            continue;
        x->line_starting = begin && x->text[begin - 1] == '\n';
        put_data(x, begin, at, sign, false);
        finish_tag(x, end);
        return;
    }
    lex_fail(x, begin, "{% raw %} is never closed with {% endraw %}", "");
}

/* --- inside tags --- */

static void put_escape(struct lexer *x, struct str *s, size_t *at, size_t end)
{
    static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    size_t start = *at;
    char c = x->text[*at + 1];
    const char *known = memchr(names, c, sizeof names - 1);
    *at += 2;
    if (c == '\n') /* a line that goes on */
        return;
    if (known) {
        str_putc(s, values[known - names]);
        return;
    }
    if (c >= '0' && c <= '7') {
        uint32_t value = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && *at < end && x->text[*at] >= '0' && x->text[*at] <= '7'; i++)
            value = value * 8 + (uint32_t)(x->text[(*at)++] - '0');
        str_put_utf8(s, value);
        return;
    }
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits) {
        char hex[9] = "";
        for (int i = 0; i < digits && *at < end && strchr("0123456789abcdefABCDEF", x->text[*at]) &&
                        x->text[*at];
             i++)
            hex[i] = x->text[(*at)++];
        unsigned long value = strtoul(hex, NULL, 16);
        if ((int)strlen(hex) < digits || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
            lex_fail(x, start, "an escape in a text is no character", "");
        else
            str_put_utf8(s, (uint32_t)value);
        return;
    }
    if (c == 'N') {
        lex_fail(x, start, "\\N{…} in a text is not supported; write the character", "");
        return;
    }
    str_putc(s, '\\'); /* unknown escapes stand for themselves */
    if ((unsigned char)c < 0x80) {
        str_putc(s, c);
        return;
    }
    int32_t cp; /* …and so does what the reference makes of this one, which is its code in hex */
    *at = start + 1 + (size_t)utf8_decode(x->text + start + 1, end - start - 1, &cp);
    str_printf(s, cp < 0x100 ? "x%02x" : cp < 0x10000 ? "u%04x" : "U%08x", (unsigned)cp);
}

static void lex_text(struct lexer *x)
{
    size_t start = x->at, end = start + 1;
    char quote = x->text[start];
    while (end < x->length && x->text[end] != quote)
        end += x->text[end] == '\\' ? 2 : 1;
    if (end >= x->length) {
        lex_fail(x, start, "a text is never closed with its quote", "");
        return;
    }
    struct str s = {0};
    for (size_t at = start + 1; at < end && !x->status;) {
        if (x->text[at] == '\\')
            put_escape(x, &s, &at, end);
        else
            str_putc(&s, x->text[at++]);
    }
    char *copy = s.failed ? NULL : arena_strndup(x->arena, str_text(&s), s.length);
    if (!copy && !x->status)
        x->status = err_no_memory(x->err, x->where, s.length);
    if (!x->status)
        push(x, T_TEXT, start, (struct slice){copy, s.length});
    str_free(&s);
    x->at = end + 1;
}

/* Digits with single underscores between them. */
static size_t digits_at(const struct lexer *x, size_t at)
{
    size_t start = at;
    while (at < x->length &&
           (is_digit(x->text[at]) ||
            (x->text[at] == '_' && at > start && at + 1 < x->length && is_digit(x->text[at + 1]))))
        at++;
    return at;
}

static void lex_number(struct lexer *x)
{
    size_t start = x->at, end = digits_at(x, start), whole = end;
    bool is_float = false, after_dot = start && x->text[start - 1] == '.';
    if (!after_dot && end + 1 < x->length && x->text[end] == '.' && is_digit(x->text[end + 1])) {
        is_float = true;
        end = digits_at(x, end + 1);
    }
    if (!after_dot && end < x->length && (x->text[end] | 32) == 'e') {
        size_t e = end + 1;
        e += e < x->length && (x->text[e] == '+' || x->text[e] == '-');
        if (e < x->length && is_digit(x->text[e])) {
            is_float = true;
            end = digits_at(x, e);
        }
    }
    if (!is_float && x->text[start] == '0') {
        char base = start + 1 < x->length ? (char)(x->text[start + 1] | 32) : 0;
        if (base == 'x' || base == 'o' || base == 'b') {
            lex_fail(x, start, "numbers in base 2, 8 and 16 are not supported", "");
            return;
        }
        for (size_t i = start; i < whole; i++)
            if (x->text[i] != '0' && x->text[i] != '_') {
                lex_fail(x, start, "a number starts with 0", "");
                return;
            }
    }
    char digits[400];
    size_t n = 0;
    for (size_t i = start; i < end && n + 1 < sizeof digits; i++)
        if (x->text[i] != '_')
            digits[n++] = x->text[i];
    digits[n] = 0;
    if (end - start >= sizeof digits || (!is_float && n > 18)) {
        lex_fail(x, start, "a number is too long: ", digits);
        return;
    }
    struct jtoken *t =
        push(x, is_float ? T_FLOAT : T_INT, start, (struct slice){x->text + start, end - start});
    if (t && is_float)
        t->real = strtod(digits, NULL);
    else if (t)
        t->integer = strtoll(digits, NULL, 10);
    x->at = end;
}

static void lex_operator(struct lexer *x, char *open, int *n_open)
{
    static const char *const two[] = {"//", "**", "==", "!=", ">=", "<="};
    size_t length = 0;
    for (size_t i = 0; i < sizeof two / sizeof *two && !length; i++)
        length = here(x, x->at, two[i]) ? 2 : 0;
    char c = x->text[x->at];
    if (!length && c && strchr("+-/*%~[](){}<>=.:|,;", c))
        length = 1;
    if (!length) {
        char shown[8] = "";
        int32_t cp;
        int n = utf8_decode(x->text + x->at, x->length - x->at, &cp);
        memcpy(shown, x->text + x->at, (size_t)n);
        lex_fail(x, x->at, "unexpected character ", cp < 32 ? "(control)" : shown);
        return;
    }
    if (length == 1 && strchr("([{", c)) {
        if (*n_open == MAX_OPEN) {
            lex_fail(x, x->at, "brackets are nested too deeply", "");
            return;
        }
        open[(*n_open)++] = (char)(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (length == 1 && strchr(")]}", c)) {
        if (!*n_open || open[--*n_open] != c) {
            lex_fail(x, x->at,
                     "a closing bracket has no opening one of its kind: ", (char[2]){c, 0});
            return;
        }
    }
    push(x, T_OPERATOR, x->at, (struct slice){x->text + x->at, length});
    x->at += length;
}

/* From behind "{{" or "{%" and its sign to the tag's end. */
static void lex_tag(struct lexer *x, bool is_print, size_t start)
{
    char open[MAX_OPEN];
    int n_open = 0;
    while (!x->status && x->at < x->length) {
        size_t end = n_open ? 0 : tag_end(x, x->at, is_print ? "}}" : "%}", !is_print);
        if (end) {
            push(x, is_print ? T_PRINT_END : T_TAG_END, x->at, (struct slice){x->text + x->at, 2});
            finish_tag(x, end);
            return;
        }
        char c = x->text[x->at];
        size_t space = space_at(x, x->at);
        if (space) {
            x->at += space;
        } else if (is_digit(c)) {
            lex_number(x);
        } else if (is_name_start(c)) {
            size_t to = x->at + 1;
            while (to < x->length && (is_name_start(x->text[to]) || is_digit(x->text[to])))
                to++;
            if (to < x->length && (unsigned char)x->text[to] >= 0x80 && !space_at(x, to)) {
                lex_fail(x, to, "names with letters beyond ASCII are not supported", "");
                return;
            }
            push(x, T_NAME, x->at, (struct slice){x->text + x->at, to - x->at});
            x->at = to;
        } else if (c == '"' || c == '\'') {
            lex_text(x);
        } else {
            lex_operator(x, open, &n_open);
        }
    }
    lex_fail(x, start, is_print ? "{{ is never closed with }}" : "{% is never closed with %}", "");
}

static void lex_next(struct lexer *x)
{
    size_t start = x->at, at = start;
    while (at + 1 < x->length &&
           !(x->text[at] == '{' && strchr("{%#", x->text[at + 1]) && x->text[at + 1]))
        at++;
    if (at + 1 >= x->length) {
        push(x, T_DATA, start, (struct slice){x->text + start, x->length - start});
        x->at = x->length;
        return;
    }
    char kind = x->text[at + 1], sign = at + 2 < x->length ? x->text[at + 2] : 0;
    bool signed_ = sign == '-' || sign == '+';
    size_t raw = kind == '%' ? raw_begin(x, at + 2 + signed_) : 0;
    put_data(x, start, at, sign, kind == '{');
    x->at = at + 2 + signed_;
    x->line_starting = false;
    if (raw) {
        lex_raw(x, raw);
    } else if (kind == '#') {
        lex_comment(x, at);
    } else {
        push(x, kind == '{' ? T_PRINT : T_TAG, at, (struct slice){x->text + at, 2});
        lex_tag(x, kind == '{', at);
    }
}

/* \r\n and \r become \n, and one at the end goes. */
static char *normalise(struct arena *arena, const char *text, size_t length, size_t *out)
{
    char *copy = arena_alloc(arena, length + 1);
    size_t n = 0;
    for (size_t i = 0; copy && i < length; i++) {
        bool cr = text[i] == '\r';
        copy[n++] = (char)(cr ? '\n' : text[i]);
        i += cr && i + 1 < length && text[i + 1] == '\n';
    }
    if (n && copy[n - 1] == '\n')
        n--;
    if (copy)
        copy[n] = 0;
    *out = n;
    return copy;
}

int jinja_lex(struct jtokens *out, struct arena *arena, const char *text, size_t length,
              const char *where, struct err *err)
{
    struct lexer x = {
        .arena = arena, .line = 1, .line_starting = true, .out = out, .where = where, .err = err};
    *out = (struct jtokens){0};
    if (!utf8_valid(text, length))
        return err_set(err, ERR_INPUT, where, "the chat template is not valid UTF-8");
    if (length > MAX_LENGTH)
        return err_set(err, ERR_INPUT, where,
                       "the chat template has %zu bytes, at most %d are read", length, MAX_LENGTH);
    x.text = normalise(arena, text, length, &x.length);
    if (!x.text)
        return err_no_memory(err, where, length);
    while (!x.status && x.at < x.length)
        lex_next(&x);
    if (!x.status)
        push(&x, T_END, x.length, (struct slice){"", 0});
    out->source = x.text;
    return x.status;
}
