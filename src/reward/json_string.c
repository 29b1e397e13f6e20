/* json_string.c: strings for json_reader, where most of what models break is broken.
 *
 * A quote ends a string only if what follows it looks like what may follow a string there: a colon
 * after a key; a comma and a key, or a closing bracket, after a member; and so on (ends_string).
 * Any other quote is taken for a character of the string: {"a": "um "bom" dia"}.
 *
 * A string whose closing quote is missing shows itself later: a quote that cannot end it, right
 * after a comma or a line break, and then a quote with a colon behind it, is the next key. The
 * string then ends before that comma (`cut`), and reading goes back there. What is read twice
 * this way lies between two quotes, and each such stretch once: linear.
 *
 * All looks ahead stop at the next quote, or at the first character that a bare key cannot hold, so
 * their sum is linear too. */
#include <string.h>
#include "reward/json_reader.h"
#include "reward/pytext.h"

enum json_quote json_quote_at(const struct json_reader *r, size_t at, size_t *bytes)
{
    static const struct {
        char text[4];
        enum json_quote kind;
    } typographic[] = {
        {"“", JSON_DOUBLE}, {"”", JSON_DOUBLE}, {"„", JSON_DOUBLE}, {"‟", JSON_DOUBLE},
        {"«", JSON_DOUBLE}, {"»", JSON_DOUBLE}, {"″", JSON_DOUBLE}, {"＂", JSON_DOUBLE},
        {"‘", JSON_SINGLE}, {"’", JSON_SINGLE}, {"‚", JSON_SINGLE}, {"‛", JSON_SINGLE},
        {"′", JSON_SINGLE}, {"‹", JSON_SINGLE}, {"›", JSON_SINGLE}, {"´", JSON_SINGLE},
    };
    int c = json_byte(r, at);
    *bytes = 1;
    if (c == '"')
        return JSON_DOUBLE;
    if (c == '\'' || c == '`')
        return JSON_SINGLE;
    if (c != 0xC2 && c != 0xE2 && c != 0xEF)
        return JSON_NO_QUOTE;
    for (size_t i = 0; i < sizeof typographic / sizeof *typographic; i++) {
        size_t n = c == 0xC2 ? 2 : 3;
        if (r->length - at >= n && memcmp(r->text + at, typographic[i].text, n) == 0) {
            *bytes = n;
            return typographic[i].kind;
        }
    }
    return JSON_NO_QUOTE;
}

size_t json_escaped_quote_at(const struct json_reader *r, size_t at)
{
    size_t n = 0;
    while (n < 16 && json_byte(r, at + n) == '\\')
        n++;
    int c = json_byte(r, at + n);
    return c == '"' || c == '\'' ? n : 0;
}

/* --- looking ahead --- */

static size_t skip_white(const struct json_reader *r, size_t at)
{
    return json_skip(r, at, NULL);
}

static bool is_word_byte(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '$' || c >= 0xC3;
}

static bool continuation_byte(int c)
{
    return c >= 0x80 && c < 0xC0;
}

/* Behind a bare key at `at`; at itself when there is none. */
static size_t bare_key_end(const struct json_reader *r, size_t at)
{
    size_t end = at, bytes;
    enum { LONGEST = 80 };
    while (end - at < LONGEST &&
           (is_word_byte(json_byte(r, end)) || (end > at && continuation_byte(json_byte(r, end)))))
        if (json_quote_at(r, end, &bytes))
            break;
        else
            end++;
    return end;
}

bool json_key_at(const struct json_reader *r, size_t at, bool quoted)
{
    enum { LONGEST = 120 };
    size_t bytes, i = skip_white(r, at), escapes = json_escaped_quote_at(r, i);
    i += escapes;
    enum json_quote quote = json_quote_at(r, i, &bytes);
    if (!quote) {
        size_t end = quoted ? i : bare_key_end(r, i);
        if (end == i)
            return false;
        if (json_quote_at(r, end, &bytes)) /* nota": 4 */
            end += bytes;
        end = skip_white(r, end);
        return json_byte(r, end) == ':' && json_byte(r, end + 1) != '/';
    }
    size_t start = i + bytes;
    for (i = start; i - start < LONGEST; i++) {
        int c = json_byte(r, i);
        if (c < 0 || c == '\n')
            return false;
        if (escapes && c == '\\')
            continue;
        if (json_quote_at(r, i, &bytes) == quote) {
            c = json_byte(r, skip_white(r, i + bytes));
            return i > start && (c == ':' || c == '=');
        }
    }
    return false;
}

/* An element of a list begins at `at`. */
static bool element_at(const struct json_reader *r, size_t at)
{
    size_t bytes;
    int c = json_byte(r, at);
    if (json_quote_at(r, at, &bytes) || json_escaped_quote_at(r, at) || c == '{' || c == '[' ||
        c == '-' || (c >= '0' && c <= '9'))
        return true;
    size_t end = bare_key_end(r, at); /* a bare word alone */
    int after = json_byte(r, skip_white(r, end));
    return end > at && (after == ',' || after == ']' || after < 0);
}

bool json_comma_ends(const struct json_reader *r, size_t at, enum json_context context)
{
    size_t i = skip_white(r, at);
    int c = json_byte(r, i);
    if (c < 0 || c == ',' || c == '}')
        return true;
    if (c == ']')
        return r->arrays > 0;
    if (json_key_at(r, i, false) || (c == '.' && json_byte(r, i + 1) == '.'))
        return true;
    return context == JSON_IN_ARRAY && element_at(r, i);
}

static bool crosses_line(const struct json_reader *r, size_t from, size_t to)
{
    return memchr(r->text + from, '\n', to - from) != NULL;
}

static bool quote_follows(const struct json_reader *r, size_t after, size_t at,
                          enum json_context context)
{
    size_t bytes;
    json_quote_at(r, at, &bytes);
    if (context == JSON_IN_OBJECT)
        return json_key_at(r, at, true);
    if (context != JSON_IN_ARRAY || json_key_at(r, at, true))
        return context == JSON_IN_ARRAY;
    /* A missing comma between two elements, unless the second quote is the one that ends. */
    int next = json_byte(r, skip_white(r, at + bytes));
    return (at > after || is_word_byte(next)) && next >= 0 && next != ',' && next != ']';
}

/* Whether a quote that ends at `after` can be the end of a string. */
static bool ends_string(const struct json_reader *r, size_t after, enum json_context context)
{
    size_t bytes, at = skip_white(r, after);
    int c = json_byte(r, at);
    if (c < 0 || context == JSON_AS_KEY)
        return true;
    if (context == JSON_IN_ROOT)
        return false;
    if (c == '}')
        return r->objects > 0;
    if (c == ']')
        return r->arrays > 0;
    if (c == ',' || c == ';')
        return json_comma_ends(r, at + 1, context);
    if (c == '+') {
        size_t next = skip_white(r, at + 1);
        return json_quote_at(r, next, &bytes) != JSON_NO_QUOTE;
    }
    if (json_quote_at(r, at, &bytes) || json_escaped_quote_at(r, at))
        return quote_follows(r, after, at, context);
    return context == JSON_IN_OBJECT && crosses_line(r, after, at) && json_key_at(r, at, false);
}

/* --- characters --- */

static int hex4(const struct json_reader *r, size_t at)
{
    int value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(json_byte(r, at + i));
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* \uXXXX at r->at, a pair of surrogates as one. */
static void read_unicode(struct json_reader *r)
{
    int c = hex4(r, r->at + 2);
    if (c < 0) {
        bool ends = r->length - r->at < 6;
        json_note(r, ends ? JSON_TRUNCATED : JSON_ESCAPES);
        r->at = ends ? r->length : r->at + 2;
        return;
    }
    r->at += 6;
    if (c >= 0xD800 && c < 0xDC00 && json_byte(r, r->at) == '\\' &&
        json_byte(r, r->at + 1) == 'u') {
        int low = hex4(r, r->at + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            r->at += 6;
        }
    }
    if (c >= 0xD800 && c < 0xE000) {
        json_note(r, JSON_ENCODING);
        c = 0xFFFD;
    }
    str_put_utf8(&r->buffer, (uint32_t)c);
}

/* A backslash that stands for itself or for nothing: kept before letters ("C:\pasta"), dropped
 * before signs ("\_", "\$") and at a line's end. */
static void read_escape(struct json_reader *r)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = json_byte(r, r->at + 1);
    if (c == 'u') {
        read_unicode(r);
        return;
    }
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (known) {
        str_putc(&r->buffer, to[known - from]);
        r->at += 2;
        return;
    }
    json_note(r, c < 0 ? JSON_TRUNCATED : JSON_ESCAPES);
    r->at++;
    if (is_word_byte(c) && c != '_' && c != '$' && c != '-')
        str_putc(&r->buffer, '\\');
}

/* One character that is neither quote nor backslash. */
static void read_character(struct json_reader *r)
{
    int32_t c;
    size_t n = (size_t)utf8_decode(r->text + r->at, r->length - r->at, &c);
    if (c >= 0) {
        if (c < 0x20)
            json_note(r, JSON_CONTROL_CHARACTERS);
        str_append(&r->buffer, r->text + r->at, n);
    } else if (r->length - r->at < 4 && (unsigned char)r->text[r->at] >= 0xC2 &&
               json_byte(r, r->length - 1) >= 0x80) { /* a character cut off */
        json_note(r, JSON_TRUNCATED);
        n = r->length - r->at;
    } else {
        json_note(r, JSON_ENCODING);
        str_puts(&r->buffer, "\xEF\xBF\xBD");
    }
    r->at += n;
}

/* --- strings --- */

/* What is known on the way about where a string without an end should have ended. */
struct cut {
    bool separator; /* a comma or line break, and since then white space alone */
    size_t at, length;
    bool armed; /* a quote came right after it: cut there if the next quote ends a key */
    size_t armed_at, armed_length;
    bool colon; /* of a key: the first colon */
    size_t colon_at, colon_length;
};

static void watch(struct cut *cut, const struct json_reader *r, int c)
{
    if (c == ',' || (c == '\n' && !cut->separator)) {
        cut->separator = true;
        cut->at = r->at;
        cut->length = r->buffer.length;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        cut->separator = false;
    }
    if (c == ':' && !cut->colon) {
        cut->colon = true;
        cut->colon_at = r->at;
        cut->colon_length = r->buffer.length;
    }
}

static void end_at(struct json_reader *r, size_t at, size_t length)
{
    json_note(r, JSON_QUOTES);
    r->at = at;
    r->buffer.length = length;
    while (r->buffer.length && strchr(" \t\r\n", r->buffer.data[r->buffer.length - 1]))
        r->buffer.length--;
    if (r->buffer.data)
        r->buffer.data[r->buffer.length] = 0;
}

/* The text is over and the string is not. Closing brackets at its end, as many as are open at
 * most, are not part of it: {"a": "b} */
static void end_of_text(struct json_reader *r, const struct cut *cut, enum json_context context)
{
    if (context == JSON_AS_KEY && cut->colon) {
        end_at(r, cut->colon_at, cut->colon_length);
        return;
    }
    json_note(r, JSON_TRUNCATED);
    if (context == JSON_IN_ROOT || context == JSON_AS_KEY)
        return;
    const char *b = str_text(&r->buffer);
    size_t kept = r->buffer.length, tail = kept;
    for (int closed = 0; tail && closed < r->depth; tail--) {
        char c = b[tail - 1];
        if (c == '}' || c == ']') {
            closed++;
            kept = tail - 1;
        } else if (!strchr(" \t\r\n", c)) {
            break;
        }
    }
    if (kept == r->buffer.length)
        return;
    /* The brackets have no escapes before them, so as many bytes of the text are given back. */
    size_t back = r->buffer.length - kept;
    if (back <= r->at)
        end_at(r, r->at - back, kept);
    if (r->buffer.length && str_text(&r->buffer)[r->buffer.length - 1] == '"')
        r->buffer.data[--r->buffer.length] = 0;
}

/* At a quote of the string's kind: true when the string ends, r->at behind it. */
static bool at_quote(struct json_reader *r, struct cut *cut, size_t bytes,
                     enum json_context context)
{
    size_t after = r->at + bytes;
    int next = json_byte(r, skip_white(r, after));
    if (context == JSON_AS_KEY) {
        if (next != ':' && next != '=' && cut->colon) { /* {"a: 1, "b": 2} */
            end_at(r, cut->colon_at, cut->colon_length);
            return true;
        }
        r->at = after;
        return true;
    }
    if (context == JSON_IN_OBJECT && cut->armed && next == ':') {
        end_at(r, cut->armed_at, cut->armed_length);
        return true;
    }
    if (ends_string(r, after, context)) {
        r->at = after;
        return true;
    }
    cut->armed = cut->separator;
    cut->armed_at = cut->at;
    cut->armed_length = cut->length;
    cut->separator = false;
    json_note(r, JSON_QUOTES);
    str_append(&r->buffer, r->text + r->at, bytes);
    r->at = after;
    return false;
}

static void read_one(struct json_reader *r, enum json_context context)
{
    struct cut cut = {0};
    size_t bytes;
    enum json_quote quote = json_quote_at(r, r->at, &bytes);
    bool plain = r->text[r->at] == '"';
    r->at += bytes;
    if (!plain)
        json_note(r, JSON_QUOTES);
    while (r->at < r->length) {
        int c = json_byte(r, r->at);
        if (c == '\\') {
            read_escape(r);
            cut.separator = false;
            continue;
        }
        if (json_quote_at(r, r->at, &bytes) == quote) {
            bool odd = plain && c != '"'; /* inside "…" a typographic quote is mostly text */
            if (odd && !ends_string(r, r->at + bytes, context)) {
                read_character(r);
                continue;
            }
            if (odd)
                json_note(r, JSON_QUOTES);
            if (at_quote(r, &cut, bytes, context))
                return;
            continue;
        }
        watch(&cut, r, c);
        read_character(r);
    }
    end_of_text(r, &cut, context);
}

void json_reader_string(struct json_reader *r, enum json_context context)
{
    size_t bytes;
    str_clear(&r->buffer);
    read_one(r, context);
    while (context != JSON_AS_KEY) { /* "a" + "b" */
        size_t at = skip_white(r, r->at);
        if (json_byte(r, at) != '+')
            return;
        at = skip_white(r, at + 1);
        if (!json_quote_at(r, at, &bytes))
            return;
        json_note(r, JSON_QUOTES);
        r->at = at;
        read_one(r, context);
    }
}

/* \"text\": the same number of backslashes ends it; more of them stand for a quote inside. */
void json_reader_escaped_string(struct json_reader *r, enum json_context context)
{
    str_clear(&r->buffer);
    json_note(r, JSON_ESCAPED_QUOTES);
    size_t level = json_escaped_quote_at(r, r->at);
    char quote = r->text[r->at + level];
    r->at += level + 1;
    while (r->at < r->length) {
        size_t escapes = json_escaped_quote_at(r, r->at);
        int c = json_byte(r, r->at);
        if (escapes && r->text[r->at + escapes] == quote) {
            r->at += escapes + 1;
            if (escapes <= level)
                return;
            str_putc(&r->buffer, quote);
        } else if (c == quote && ends_string(r, r->at + 1, context)) {
            r->at++;
            return;
        } else if (c == '\\') {
            while (json_byte(r, r->at + 1) == '\\') /* \\n: encoded as often as the quotes */
                r->at++;
            read_escape(r);
        } else {
            read_character(r);
        }
    }
    json_note(r, JSON_TRUNCATED);
}
