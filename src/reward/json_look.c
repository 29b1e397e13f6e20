/* json_look.c: what stands ahead in damaged JSON: signs, quotes, keys, the ends of members and of
 * elements. Nothing here moves the reader.
 *
 * Evidence has grades. A key in quotes with a colon behind it is strong: text hardly ever looks so.
 * A bare word and a colon, or a key whose colon or quote is lost, is weak: it counts only where a
 * member may begin, and not inside quoted speech (see json_string.c).
 *
 * Every look ends after a fixed number of bytes, at the next quote or behind the next white space,
 * so that their sum is linear in the text. */
#include <string.h>
#include "reward/json_reader.h"
#include "reward/pytext.h"

/* The code point of the three bytes at `at`; 0: they are not there, or not one. */
static int three_bytes(const struct json_reader *r, size_t at)
{
    if (r->length - at < 3)
        return 0;
    int a = json_byte(r, at), b = json_byte(r, at + 1), c = json_byte(r, at + 2);
    return (b & 0xC0) == 0x80 && (c & 0xC0) == 0x80
               ? (a & 0x0F) << 12 | (b & 0x3F) << 6 | (c & 0x3F)
               : 0;
}

int json_sign_at(const struct json_reader *r, size_t at, size_t *bytes)
{
    int c = json_byte(r, at);
    *bytes = 1;
    if (c != 0xEF && c != 0xE3)
        return c;
    int code = three_bytes(r, at);
    int sign = code == 0x3001 ? ',' : code > 0xFF00 && code < 0xFF5F ? code - 0xFEE0 : 0;
    if (!sign || !strchr("{}[]():;,=", sign))
        return c;
    *bytes = 3;
    return sign;
}

/* The kind of a typographic quote of three bytes. */
static enum json_quote quote_kind(int code)
{
    switch (code) {
    case 0x201C: /* “ */
    case 0x201D: /* ” */
    case 0x201E: /* „ */
    case 0x201F: /* ‟ */
    case 0x2033: /* ″ */
    case 0x300C: /* 「 */
    case 0x300D: /* 」 */
    case 0xFF02: /* ＂ */
        return JSON_DOUBLE;
    case 0x2018: /* ‘ */
    case 0x2019: /* ’ */
    case 0x201A: /* ‚ */
    case 0x201B: /* ‛ */
    case 0x2032: /* ′ */
    case 0x2039: /* ‹ */
    case 0x203A: /* › */
    case 0xFF07: /* ＇ */
        return JSON_SINGLE;
    default:
        return JSON_NO_QUOTE;
    }
}

static enum json_quote entity_at(const struct json_reader *r, size_t at, size_t *bytes)
{
    static const struct {
        const char *text;
        size_t length;
        enum json_quote kind;
    } entities[] = {
        {"&quot;", 6, JSON_DOUBLE},
        {"&#34;", 5, JSON_DOUBLE},
        {"&#39;", 5, JSON_SINGLE},
        {"&apos;", 6, JSON_SINGLE},
    };
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (r->length - at >= entities[i].length &&
            memcmp(r->text + at, entities[i].text, entities[i].length) == 0) {
            *bytes = entities[i].length;
            return entities[i].kind;
        }
    return JSON_NO_QUOTE;
}

enum json_quote json_rare_quote_at(const struct json_reader *r, size_t at, size_t *bytes)
{
    int c = json_byte(r, at), next;
    if (c == '&')
        return entity_at(r, at, bytes);
    if (c == 0xC2) { /* « » ´ */
        next = json_byte(r, at + 1);
        *bytes = 2;
        return next == 0xAB || next == 0xBB ? JSON_DOUBLE
               : next == 0xB4               ? JSON_SINGLE
                                            : JSON_NO_QUOTE;
    }
    if (c != 0xE2 && c != 0xE3 && c != 0xEF)
        return JSON_NO_QUOTE;
    *bytes = 3;
    return quote_kind(three_bytes(r, at));
}

size_t json_quote_before(const struct json_reader *r, size_t start, size_t end)
{
    size_t bytes;
    for (size_t n = 1; n <= JSON_QUOTE_BYTES && n <= end - start; n++)
        if (json_quote_at(r, end - n, &bytes) && bytes == n)
            return n;
    return 0;
}

size_t json_escaped_quote_at(const struct json_reader *r, size_t at)
{
    size_t n = 0;
    while (n < 16 && json_byte(r, at + n) == '\\')
        n++;
    int c = json_byte(r, at + n);
    return c == '"' || c == '\'' ? n : 0;
}

/* --- white space and comments --- */

/* #F0A, #FF00AA: a colour. */
static bool colour_at(const struct json_reader *r, size_t at)
{
    size_t n = 1;
    while (n < 10 && hex_digit(json_byte(r, at + n)) >= 0)
        n++;
    return (n == 4 || n == 7 || n == 9) && !json_is_word_byte(json_byte(r, at + n));
}

bool json_comment_at(const struct json_reader *r, size_t at)
{
    int c = json_byte(r, at), next = json_byte(r, at + 1);
    if (c == '#')
        return !colour_at(r, at);
    if (c == '-')
        return next == '-' && json_byte(r, at + 2) == ' ';
    if (c == '<')
        return next == '!' && r->length - at >= 4 && memcmp(r->text + at, "<!--", 4) == 0;
    return c == '/' && (next == '/' || next == '*');
}

/* Behind the comment at `at`. A look ahead (`bounded`) gives up on a long one, at its start: many
 * looks into one long comment would not be linear. */
static size_t skip_comment(const struct json_reader *r, size_t at, bool bounded)
{
    enum { LOOK = 80 };
    size_t n = r->length - at;
    if (bounded && n > LOOK)
        n = LOOK;
    const char *from = r->text + at, *end;
    const char *close = *from == '<' ? "-->" : *from == '/' && from[1] == '*' ? "*/" : "\n";
    size_t opening = *from == '#' ? 1 : *from == '<' ? 4 : 2;
    end = n > opening ? memmem(from + opening, n - opening, close, strlen(close)) : NULL;
    if (end)
        return (size_t)(end - r->text) + (*close == '\n' ? 0 : strlen(close));
    return bounded && n < r->length - at ? at : at + n;
}

/* Bytes of white space, or of what nobody sees, at `at`. */
static size_t space_at(const struct json_reader *r, size_t at)
{
    int32_t code;
    int c = json_byte(r, at);
    if (c < 0 || (c > ' ' && c < 0x7F))
        return 0;
    if (c <= ' ' || c == 0x7F)
        return 1;
    size_t n = (size_t)utf8_decode(r->text + at, r->length - at, &code);
    bool unseen = (code >= 0x200B && code <= 0x200F) || code == 0x2060 || code == 0xFEFF;
    return code >= 0 && (unseen || py_is_space(code)) ? n : 0;
}

size_t json_skip(const struct json_reader *r, size_t at, unsigned *repairs)
{
    for (;;) {
        int c = json_byte(r, at), next = json_byte(r, at + 1);
        size_t end = at + 1;
        unsigned kind = 0;
        bool graphic = c > ' ' && c < 0x7F;
        if (graphic && c != '\\' && c != '#' && c != '-' && c != '<' && c != '/') /* mostly */
            return at;
        if (c == '\\' && (next == 'n' || next == 't' || next == 'r')) {
            kind = 1U << JSON_ESCAPED_QUOTES;
            end = at + 2;
        } else if (c >= 0 && json_comment_at(r, at)) {
            kind = 1U << JSON_COMMENTS;
            end = skip_comment(r, at, repairs == NULL);
        } else if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
            kind = 1U << JSON_STRAY_TEXT;
            end = at + space_at(r, at);
        }
        if (end == at)
            return at;
        if (repairs)
            *repairs |= kind;
        at = end;
    }
}

static size_t skip_white(const struct json_reader *r, size_t at)
{
    return json_skip(r, at, NULL);
}

bool json_crosses_line(const struct json_reader *r, size_t from, size_t to)
{
    return memchr(r->text + from, '\n', to - from) != NULL;
}

bool json_over_at(const struct json_reader *r, size_t after, size_t at)
{
    int lines = 0;
    for (at = json_skip(r, at, NULL); after < at; after++)
        lines += r->text[after] == '\n';
    int c = json_byte(r, at);
    bool letter = (c >= 'A' && c <= 'Z') || c == '*' || c == 0xC3;
    return lines >= 2 && letter && !json_bullet_at(r, at);
}

size_t json_ellipsis_at(const struct json_reader *r, size_t at)
{
    size_t n = 0;
    while (n < 8 && json_byte(r, at + n) == '.')
        n++;
    if (n < 3)
        n = r->length - at >= 3 && memcmp(r->text + at, "…", 3) == 0 ? 3 : 0;
    int c = n ? json_byte(r, skip_white(r, at + n)) : 0;
    return n && (c < 0 || strchr(",;]})", c) || json_crosses_line(r, at, skip_white(r, at + n)))
               ? n
               : 0;
}

size_t json_bullet_at(const struct json_reader *r, size_t at)
{
    int c = json_byte(r, at);
    size_t n = c == '-' || c == '*'                                                   ? 1
               : c == 0xE2 && r->length - at > 3 && memcmp(r->text + at, "•", 3) == 0 ? 3
                                                                                      : 0;
    return n && (json_byte(r, at + n) == ' ' || json_byte(r, at + n) == '\t') ? n : 0;
}

/* --- keys --- */

bool json_is_word_byte(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '$' || c >= 0xC3;
}

/* Behind a bare key at `at`; at itself when there is none. */
static size_t bare_key_end(const struct json_reader *r, size_t at)
{
    size_t end = at, bytes;
    enum { LONGEST = 80 };
    for (; end - at < LONGEST; end++) {
        int c = json_byte(r, end);
        bool inside =
            (c >= 0x80 && c < 0xC0) || (c == '.' && json_is_word_byte(json_byte(r, end + 1)));
        if (!(json_is_word_byte(c) || (end > at && inside)) || json_quote_at(r, end, &bytes) ||
            json_sign_at(r, end, &bytes) != c || (c == '-' && json_byte(r, end + 1) == '>'))
            break;
    }
    return end;
}

size_t json_colon_at(const struct json_reader *r, size_t at)
{
    size_t bytes;
    int c = json_sign_at(r, at, &bytes), next = json_byte(r, at + bytes);
    if (c == ':')
        return bytes + (next == '=' || next == ':');
    if (c == '=')
        return bytes + (next == '>');
    if (c == '-' && next == '>')
        return 2;
    return c == 0xE2 && r->length - at >= 3 && memcmp(r->text + at, "→", 3) == 0 ? 3 : 0;
}

static bool bare_key_at(const struct json_reader *r, size_t at)
{
    size_t bytes, end = bare_key_end(r, at);
    if (end == at)
        return false;
    if (json_quote_at(r, end, &bytes)) /* nota": 4 */
        end += bytes;
    end = skip_white(r, end);
    size_t colon = json_colon_at(r, end);
    if (json_sign_at(r, end, &bytes) != ':')
        return colon && r->other_colons;
    return json_byte(r, end + bytes) != '/';
}

bool json_key_at(const struct json_reader *r, size_t at, bool quoted)
{
    enum { LONGEST = 120 };
    size_t bytes, i = skip_white(r, at), escapes = json_escaped_quote_at(r, i);
    i += escapes;
    enum json_quote quote = json_quote_at(r, i, &bytes);
    if (!quote)
        return !quoted && bare_key_at(r, i);
    size_t start = i + bytes;
    bool doubled = json_quote_at(r, start, &bytes) == quote &&
                   json_is_word_byte(json_byte(r, start + bytes)); /* ""nota"": 4 */
    if (doubled)
        start += bytes;
    for (i = start; i - start < LONGEST; i++) {
        int c = json_byte(r, i);
        if (c < 0 || c == '\n')
            return false;
        if (escapes && c == '\\')
            continue;
        if (json_quote_at(r, i, &bytes) == quote) {
            size_t after = i + bytes;
            if (json_quote_at(r, after, &bytes) == quote &&
                (doubled || json_colon_at(r, skip_white(r, after + bytes)))) /* "nota"": 4 */
                after += bytes;
            return i > start && json_colon_at(r, skip_white(r, after));
        }
    }
    return false;
}

/* A value that ends soon, and then the member too. */
bool json_whole_value_at(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 120, LONGEST_SCALAR = 40 };
    size_t bytes, end;
    int c = json_sign_at(r, at, &bytes);
    if (c == '{' || c == '[')
        return true;
    enum json_quote quote = json_quote_at(r, at, &bytes);
    for (end = at + bytes; quote && end - at < LONGEST && end < r->length; end++)
        if (json_quote_at(r, end, &bytes) == quote) {
            c = json_byte(r, skip_white(r, end + bytes));
            return c < 0 || strchr(",;}]", c) || json_key_at(r, end + bytes, true);
        }
    for (end = at; !quote && end - at < LONGEST_SCALAR; end++) {
        c = json_byte(r, end);
        if ((c < 0 || strchr(",;}\n", c)) && json_scalar_in(r, at, end))
            return true;
        int next = json_byte(r, end + 1);
        if (c < 0 || c == '}' || c == '\n' || (c == ',' && !(next >= '0' && next <= '9')))
            return false;
    }
    return false;
}

bool json_lone_scalar_at(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 40 };
    size_t end = at;
    while (end - at < LONGEST && end < r->length && !strchr(" \t\n,;])\"", r->text[end]))
        end++;
    int c = json_byte(r, json_skip(r, end, NULL));
    bool alone = c < 0 || strchr(",;])", c) || json_byte(r, end) == '\n';
    return alone && end > at && json_scalar_in(r, at, end);
}

/* Words with single spaces between them from `at` on, and then the text is over: a key cut off. */
static bool words_to_end(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 80 };
    size_t end = at, word;
    do {
        word = end + (end > at);
        end = bare_key_end(r, word);
    } while (end > word && end - at < LONGEST && json_byte(r, end) == ' ');
    return end >= r->length;
}

/* A key whose colon or closing quote is lost, or in which the text ends. */
static bool damaged_key_at(const struct json_reader *r, size_t at)
{
    size_t bytes, i = skip_white(r, at), escapes = json_escaped_quote_at(r, i);
    i += escapes;
    enum json_quote quote = json_quote_at(r, i, &bytes);
    if (!quote)
        return false;
    size_t start = i + bytes, end = bare_key_end(r, start);
    if (end >= r->length || (end > start && words_to_end(r, start)))
        return true;
    if (end == start)
        return false;
    if (json_sign_at(r, end, &bytes) == ':') { /* "pai: "/p" */
        size_t next = skip_white(r, end + bytes);
        int c = json_byte(r, next);
        return next > end + bytes && (json_quote_at(r, next, &bytes) || c == '{' || c == '[' ||
                                      json_whole_value_at(r, next));
    }
    if (escapes && json_escaped_quote_at(r, end))
        end += json_escaped_quote_at(r, end);
    if (json_quote_at(r, end, &bytes) != quote)
        return false;
    end = skip_white(r, end + bytes);
    if (json_byte(r, end) == ';') /* for a colon */
        end = skip_white(r, end + 1);
    return end >= r->length || json_whole_value_at(r, end);
}

bool json_member_at(const struct json_reader *r, size_t at, bool strong)
{
    return json_key_at(r, at, strong) || (!strong && damaged_key_at(r, at));
}

/* An element of a list begins at `at`. */
static bool element_at(const struct json_reader *r, size_t at, bool strong, bool line)
{
    enum { LONGEST = 60 };
    size_t bytes;
    int c = json_sign_at(r, at, &bytes);
    if (json_quote_at(r, at, &bytes) || json_escaped_quote_at(r, at) || c == '{' || c == '[' ||
        c == '-' || (c >= '0' && c <= '9') || (c == '(' && r->tuples))
        return true;
    size_t end = bare_key_end(r, at); /* a bare word alone */
    if (end == at)
        return false;
    if (!strong && json_quote_at(r, end, &bytes)) { /* memória", */
        c = json_byte(r, skip_white(r, end + bytes));
        return c == ',' || c == ']';
    }
    while (!strong && end - at < LONGEST && json_byte(r, end) == ' ' &&
           bare_key_end(r, end + 1) > end + 1)
        end = bare_key_end(r, end + 1);
    if (line && !strong && json_quote_at(r, end, &bytes))
        end += bytes;
    c = json_sign_at(r, skip_white(r, end), &bytes);
    return c == ',' || c == ';' || c == ']' || c == ')' || c < 0;
}

bool json_comma_ends(const struct json_reader *r, size_t at, enum json_context context, bool strong)
{
    size_t bytes, i = skip_white(r, at);
    int c = json_sign_at(r, i, &bytes);
    if (c < 0 || c == ',' || c == '}')
        return true;
    if (c == ']' || c == ')')
        return c == ']' ? r->arrays > 0 : r->tuples > 0;
    if (json_ellipsis_at(r, i))
        return true;
    if (context == JSON_IN_OBJECT)
        return json_member_at(r, i, strong);
    return json_key_at(r, i, strong) ||
           (context == JSON_IN_ARRAY && element_at(r, i, strong, json_crosses_line(r, at, i)));
}
