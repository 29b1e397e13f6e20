/* json_reader.c: the reader that forgives; strings are in json_string.c.
 *
 * Recursive descent that never says no (but for depth and memory): where the next byte is none of
 * those the grammar allows, the likeliest slip is assumed, noted, and reading goes on. What guides
 * the guesses is that an object's members are easy to tell from anything else: a key and a colon.
 *
 * Brackets: a closing one of the wrong kind closes every list or object up to the one it fits (and
 * is skipped when none is open); the end of the text closes all. A } too early at the root, with a
 * comma and a key behind it, is skipped. A list in which a key turns up has lost its ].
 *
 * A bare value in an object goes up to what ends a member: a closing bracket, the end of the line,
 * or a comma with a key (or nothing more) behind it. So {"nota": 4,5, "b": 1} has the bare value
 * 4,5, which ptbr_number reads, while [4,5], where each comma ends an element, has two numbers. */
#include "reward/json_reader.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reward/ptbr_number.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

/* --- between the tokens --- */

bool json_comment_at(const struct json_reader *r, size_t at)
{
    int c = json_byte(r, at), next = json_byte(r, at + 1);
    return c == '#' || (c == '/' && (next == '/' || next == '*'));
}

/* Behind the comment at `at`. A look ahead (`bounded`) gives up on a long one, at its start: many
 * looks into one long comment would not be linear. */
static size_t skip_comment(const struct json_reader *r, size_t at, bool bounded)
{
    enum { LOOK = 128 };
    size_t n = r->length - at;
    if (bounded && n > LOOK)
        n = LOOK;
    const char *from = r->text + at, *end;
    if (*from == '/' && from[1] == '*') {
        end = n > 2 ? memmem(from + 2, n - 2, "*/", 2) : NULL;
        end = end ? end + 2 : NULL;
    } else {
        end = memchr(from, '\n', n);
    }
    if (end)
        return (size_t)(end - r->text);
    return bounded && n < r->length - at ? at : at + n;
}

size_t json_skip(const struct json_reader *r, size_t at, unsigned *repairs)
{
    for (;;) {
        int c = json_byte(r, at), next = json_byte(r, at + 1);
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            at++;
        } else if (c == '\\' && (next == 'n' || next == 't' || next == 'r')) {
            if (repairs)
                *repairs |= 1U << JSON_ESCAPED_QUOTES;
            at += 2;
        } else if (json_comment_at(r, at)) {
            size_t end = skip_comment(r, at, repairs == NULL);
            if (end == at)
                return at;
            if (repairs)
                *repairs |= 1U << JSON_COMMENTS;
            at = end;
        } else {
            int32_t code;
            size_t n = c > 0 ? (size_t)utf8_decode(r->text + at, r->length - at, &code) : 0;
            if (n == 0 || !(py_is_space(code) || code == 0xFEFF))
                return at;
            if (repairs)
                *repairs |= 1U << JSON_STRAY_TEXT;
            at += n;
        }
    }
}

static int skip(struct json_reader *r)
{
    r->at = json_skip(r, r->at, &r->repairs);
    return json_byte(r, r->at);
}

static json_t *keep(struct json_reader *r, json_t *value)
{
    r->no_memory |= value == NULL;
    return value;
}

static json_t *missing(struct json_reader *r)
{
    json_note(r, r->at < r->length ? JSON_MISSING_VALUES : JSON_TRUNCATED);
    return keep(r, json_null());
}

/* --- bare values --- */

static bool same_word(struct slice a, const char *word)
{
    if (strlen(word) != a.length)
        return false;
    for (size_t i = 0; i < a.length; i++) {
        char c = a.data[i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != word[i])
            return false;
    }
    return true;
}

static bool begins_word(struct slice a, const char *word)
{
    return a.length > 0 && a.length < strlen(word) && memcmp(a.data, word, a.length) == 0;
}

/* What a word means: 't', 'f', 'n', or 0. */
static char literal_meaning(struct slice t)
{
    static const struct {
        const char *word;
        char meaning;
    } words[] = {
        {"true", 't'},      {"false", 'f'}, {"null", 'n'},  {"none", 'n'},
        {"undefined", 'n'}, {"nil", 'n'},   {"nan", 'n'},   {"infinity", 'n'},
        {"-infinity", 'n'}, {"nulo", 'n'},  {"falso", 'f'}, {"verdadeiro", 't'},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (same_word(t, words[i].word))
            return words[i].meaning;
    return 0;
}

/* true, False, None … or, at the end of the text, the beginning of one. */
static json_t *literal(struct json_reader *r, struct slice t, bool cut_off)
{
    static const char *const cut[] = {"true", "True", "false",    "False",
                                      "null", "None", "undefined"};
    static const char cut_meaning[] = "ttffnnn";
    char meaning = literal_meaning(t);
    bool plain = slice_equals(t, "true") || slice_equals(t, "false") || slice_equals(t, "null");
    if (meaning && !plain)
        json_note(r, JSON_LITERALS);
    for (size_t i = 0; i < sizeof cut / sizeof *cut && !meaning && cut_off; i++)
        if (begins_word(t, cut[i])) {
            meaning = cut_meaning[i];
            json_note(r, JSON_TRUNCATED);
        }
    if (!meaning)
        return NULL;
    return keep(r, meaning == 't' ? json_true() : meaning == 'f' ? json_false() : json_null());
}

/* The end of a number as JSON has it at the slice's beginning; 0: none. */
static size_t json_number_end(struct slice t, bool *real)
{
    size_t i = 0, digits;
    *real = false;
#define DIGIT(at) ((at) < t.length && t.data[at] >= '0' && t.data[at] <= '9')
    i += t.length && t.data[0] == '-';
    if (!DIGIT(i))
        return 0;
    bool zero = t.data[i] == '0';
    for (digits = i; DIGIT(i);)
        i++;
    if (zero && i - digits > 1)
        return 0;
    if (i < t.length && t.data[i] == '.' && DIGIT(i + 1)) {
        for (*real = true, i++; DIGIT(i);)
            i++;
    }
    if (i < t.length && (t.data[i] == 'e' || t.data[i] == 'E')) {
        size_t e = i + 1;
        e += e < t.length && (t.data[e] == '+' || t.data[e] == '-');
        if (DIGIT(e)) {
            for (*real = true, i = e; DIGIT(i);)
                i++;
        }
    }
#undef DIGIT
    return i;
}

static json_t *json_number(struct json_reader *r, struct slice t, bool real)
{
    str_clear(&r->buffer); /* for its final NUL */
    str_append(&r->buffer, t.data, t.length);
    if (r->buffer.failed)
        return keep(r, NULL);
    errno = 0;
    long long whole = real ? 0 : strtoll(str_text(&r->buffer), NULL, 10);
    if (!real && errno == 0)
        return keep(r, json_integer(whole));
    double value = strtod(str_text(&r->buffer), NULL);
    if (!real || !isfinite(value))
        json_note(r, JSON_NUMBER_RANGE);
    return keep(r, isfinite(value) ? json_real(value) : json_null());
}

/* What is left of a number cut off: "12." "1e" "-". */
static struct slice without_stub(struct slice t)
{
    while (t.length && strchr(".,eE+-", t.data[t.length - 1]) && t.data[t.length - 1])
        t.length--;
    return t;
}

static json_t *number(struct json_reader *r, struct slice t, bool cut_off)
{
    bool real;
    struct ptbr_number n;
    if (!t.length || !strchr("0123456789+-.RrUuB$\xE2", t.data[0]) || !t.data[0])
        return NULL;
    if (json_number_end(t, &real) == t.length)
        return json_number(r, t, real);
    struct slice rest = without_stub(t);
    if (cut_off && rest.length < t.length &&
        (rest.length == 0 || json_number_end(rest, &real) == rest.length)) {
        json_note(r, JSON_TRUNCATED);
        return rest.length ? json_number(r, rest, real) : keep(r, json_null());
    }
    char with_zero[40];
    struct slice whole = t; /* .5 and 5. */
    if (t.data[0] == '.' && t.length + 1 < sizeof with_zero) {
        with_zero[0] = '0';
        memcpy(with_zero + 1, t.data, t.length);
        whole = (struct slice){with_zero, t.length + 1};
    } else if (t.data[t.length - 1] == '.') {
        whole.length--;
    }
    bool plus = whole.data[0] == '+';
    struct slice unsigned_part = {whole.data + plus, whole.length - plus};
    json_note(r, JSON_NUMBERS);
    if (unsigned_part.length && json_number_end(unsigned_part, &real) == unsigned_part.length)
        return json_number(r, unsigned_part, real);
    if (ptbr_number_read(&n, whole.data, whole.length))
        return keep(r, n.integer ? json_integer((json_int_t)n.value) : json_real(n.value));
    r->repairs &= ~(1U << JSON_NUMBERS);
    return NULL;
}

/* What stands from r->at to `end` is a number or a literal. */
static bool is_whole(const struct json_reader *r, size_t end)
{
    enum { LONGEST = 40 };
    bool real;
    struct ptbr_number n;
    if (end - r->at > LONGEST)
        return false;
    struct slice t = reward_trim(r->text + r->at, end - r->at);
    return t.length && (json_number_end(t, &real) == t.length ||
                        ptbr_number_read(&n, t.data, t.length) || literal_meaning(t));
}

/* The end of the bare value at r->at. A number or literal is over at a comma (that no digit
 * follows) or bracket; words may go on behind either. */
static size_t bare_end(const struct json_reader *r, enum json_context context)
{
    for (size_t i = r->at; i < r->length; i++) {
        int c = json_byte(r, i), next = json_byte(r, i + 1);
        if (c == '\n' || (c == '}' && r->objects) || (c == ']' && r->arrays))
            return i;
        if (c == ',' && context == JSON_IN_ARRAY)
            return i;
        if (context != JSON_IN_ROOT && (c == ',' || c == ';') && json_comma_ends(r, i + 1, context))
            return i;
        if ((c == ']' ||
             (c == ',' && context == JSON_IN_OBJECT && !(next >= '0' && next <= '9'))) &&
            is_whole(r, i))
            return i;
        bool apart = i == r->at || strchr(" \t", r->text[i - 1]);
        if (apart && json_comment_at(r, i))
            return i;
        if (apart && i > r->at && context == JSON_IN_OBJECT && json_byte(r, i) == '"' &&
            json_key_at(r, i, true)) /* 5 "b": a missing comma */
            return i;
    }
    return r->length;
}

/* Text without quotes, or with only the closing one. */
static json_t *bare_string(struct json_reader *r, struct slice t)
{
    size_t bytes;
    bool quoted = false;
    for (size_t n = 1; n <= 3 && n <= t.length && !quoted; n++)
        if (json_quote_at(r, (size_t)(t.data - r->text) + t.length - n, &bytes) && bytes == n) {
            t.length -= n;
            quoted = true;
        }
    json_note(r, quoted ? JSON_QUOTES : JSON_UNQUOTED_STRINGS);
    str_clear(&r->buffer);
    while (t.length) {
        int32_t c;
        size_t n = (size_t)utf8_decode(t.data, t.length, &c);
        if (c < 0)
            json_note(r, JSON_ENCODING);
        str_append(&r->buffer, c < 0 ? "\xEF\xBF\xBD" : t.data, c < 0 ? 3 : n);
        t.data += n;
        t.length -= n;
    }
    if (r->buffer.failed)
        return keep(r, NULL);
    return keep(r, json_stringn_nocheck(str_text(&r->buffer), r->buffer.length));
}

static json_t *bare(struct json_reader *r, enum json_context context)
{
    size_t end = bare_end(r, context);
    struct slice t = reward_trim(r->text + r->at, end - r->at);
    bool cut_off = end == r->length;
    r->at = end;
    if (t.length == 0)
        return missing(r);
    json_t *value = literal(r, t, cut_off);
    if (!value && !r->no_memory)
        value = number(r, t, cut_off);
    return value || r->no_memory ? value : bare_string(r, t);
}

/* --- lists --- */

/* Between two elements: r->at at the next one, or false at the list's end (behind its bracket, or
 * before what closes it from outside). */
static bool next_element(struct json_reader *r, bool first)
{
    bool comma = false;
    for (;;) {
        int c = skip(r);
        if (c == ',' || c == ';') {
            if (comma || first || c == ';')
                json_note(r, JSON_COMMAS);
            comma = true;
            r->at++;
            continue;
        }
        if (c < 0) {
            json_note(r, JSON_TRUNCATED);
            json_note(r, JSON_BRACKETS);
            return false;
        }
        if (c == ']') {
            if (comma)
                json_note(r, JSON_COMMAS);
            r->at++;
            return false;
        }
        if ((c == '}' && r->objects) || (r->objects && json_key_at(r, r->at, true))) {
            json_note(r, JSON_BRACKETS);
            return false;
        }
        if (c == '}') {
            json_note(r, JSON_BRACKETS);
            r->at++;
            continue;
        }
        if (memcmp(r->text + r->at, "...", r->length - r->at < 3 ? 1 : 3) == 0 &&
            r->length - r->at >= 3) {
            json_note(r, JSON_STRAY_TEXT);
            r->at += 3;
            continue;
        }
        if (!first && !comma)
            json_note(r, JSON_COMMAS);
        return true;
    }
}

static json_t *list(struct json_reader *r)
{
    json_t *out = keep(r, json_array());
    r->at++;
    r->depth++;
    r->arrays++;
    for (bool first = true; out && next_element(r, first); first = false) {
        json_t *value = json_reader_value(r, JSON_IN_ARRAY);
        if (!value || json_array_append_new(out, value)) {
            r->no_memory |= value != NULL;
            json_decref(out);
            out = NULL;
        }
    }
    r->depth--;
    r->arrays--;
    return out;
}

/* --- objects --- */

/* Between two members: r->at at the next key, or false at the object's end. */
static bool next_member(struct json_reader *r, bool first)
{
    bool comma = false;
    for (;;) {
        int c = skip(r);
        if (c == ',' || c == ';') {
            if (comma || first || c == ';')
                json_note(r, JSON_COMMAS);
            comma = true;
            r->at++;
        } else if (c < 0) {
            json_note(r, JSON_TRUNCATED);
            json_note(r, JSON_BRACKETS);
            return false;
        } else if (c == ']' && r->arrays) {
            json_note(r, JSON_BRACKETS);
            return false;
        } else if (c == '}' || c == ']') {
            if (comma)
                json_note(r, JSON_COMMAS);
            if (c == ']')
                json_note(r, JSON_BRACKETS);
            r->at++;
            size_t next = json_skip(r, r->at, NULL);
            if (r->depth > 1 || json_byte(r, next) != ',' || !json_key_at(r, next + 1, true))
                return false;
            json_note(r, JSON_BRACKETS); /* a } too early */
        } else if (c == '{') {           /* the next object of a list, or {{"a": 1}} */
            json_note(r, JSON_BRACKETS);
            if (r->arrays && !first)
                return false;
            r->at++;
        } else {
            if (!first && !comma)
                json_note(r, JSON_COMMAS);
            return true;
        }
    }
}

/* A key without quotes: up to its colon, or to what cannot be part of one. */
static void bare_key(struct json_reader *r)
{
    size_t bytes, start = r->at, end = start;
    while (end < r->length && !strchr(":=,{}[]\n\"", r->text[end]))
        end++;
    if (end < r->length && r->text[end] == 0)
        end++;
    struct slice t = reward_trim(r->text + start, end - start);
    for (size_t n = 1; n <= 3 && n < t.length; n++)
        if (json_quote_at(r, (size_t)(t.data - r->text) + t.length - n, &bytes) && bytes == n)
            t.length -= n;
    str_clear(&r->buffer);
    str_append(&r->buffer, t.data, t.length);
    r->at = end;
    if (json_byte(r, end) == '"') { /* nota": 4 */
        json_note(r, JSON_QUOTES);
        r->at++;
    } else {
        json_note(r, JSON_UNQUOTED_KEYS);
    }
    if (r->at == start)
        r->at++;
}

/* The key in r->buffer as jansson takes keys: valid UTF-8 without NUL. */
static char *key_text(struct json_reader *r)
{
    struct str key = {0};
    const char *text = str_text(&r->buffer);
    str_puts(&key, "");
    for (size_t i = 0; i < r->buffer.length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(text + i, r->buffer.length - i, &c);
        if (c <= 0)
            json_note(r, JSON_ENCODING);
        str_append(&key, c <= 0 ? "\xEF\xBF\xBD" : text + i, c <= 0 ? 3 : n);
        i += n;
    }
    if (key.failed || r->buffer.failed) {
        r->no_memory = true;
        str_free(&key);
        return NULL;
    }
    return key.data;
}

/* Behind the colon of a key. false: there is none, and no value either. */
static bool read_colon(struct json_reader *r)
{
    size_t bytes;
    int c = skip(r);
    if (c == ':') {
        r->at++;
        if (json_byte(r, r->at) == '=' || json_byte(r, r->at) == ':') {
            json_note(r, JSON_COLONS);
            r->at++;
        }
        return true;
    }
    if (c == '=') {
        json_note(r, JSON_COLONS);
        r->at += json_byte(r, r->at + 1) == '>' ? 2 : 1;
        return true;
    }
    bool value = json_quote_at(r, r->at, &bytes) || c == '{' || c == '[' || c == '-' ||
                 (c >= '0' && c <= '9');
    if (value && !json_key_at(r, r->at, true)) {
        json_note(r, JSON_COLONS);
        return true;
    }
    return false;
}

/* Reads one member into o. false: stop, memory is out or it is too deep. */
static bool member(struct json_reader *r, json_t *o)
{
    size_t bytes;
    bool quoted = true;
    if (json_quote_at(r, r->at, &bytes))
        json_reader_string(r, JSON_AS_KEY);
    else if (json_escaped_quote_at(r, r->at))
        json_reader_escaped_string(r, JSON_AS_KEY);
    else {
        unsigned before = r->repairs;
        bare_key(r);
        quoted = false;
        if (json_byte(r, json_skip(r, r->at, NULL)) != ':' &&
            json_byte(r, json_skip(r, r->at, NULL)) != '=') { /* words, no key */
            r->repairs = before;
            json_note(r, JSON_STRAY_TEXT);
            return true;
        }
    }
    char *key = key_text(r);
    if (!key)
        return false;
    json_t *value = NULL;
    if (read_colon(r))
        value = json_reader_value(r, JSON_IN_OBJECT);
    else if (r->at >= r->length && quoted) { /* a key cut off: nothing is known of its value */
        json_note(r, JSON_TRUNCATED);
        str_free(&(struct str){.data = key});
        return true;
    } else
        value = missing(r);
    if (value && json_object_get(o, key))
        json_note(r, JSON_DUPLICATE_KEYS);
    if (value && json_object_set_new_nocheck(o, key, value)) {
        r->no_memory = true;
        value = NULL;
    }
    str_free(&(struct str){.data = key});
    return value != NULL;
}

json_t *json_reader_object(struct json_reader *r, bool missing_brace)
{
    json_t *out = keep(r, json_object());
    if (missing_brace)
        json_note(r, JSON_BRACKETS);
    else
        r->at++;
    r->depth++;
    r->objects++;
    for (bool first = true; out && next_member(r, first); first = false)
        if (!member(r, out)) {
            json_decref(out);
            out = NULL;
        }
    r->depth--;
    r->objects--;
    return out;
}

/* --- values --- */

json_t *json_reader_value(struct json_reader *r, enum json_context context)
{
    size_t bytes;
    int c = skip(r);
    r->too_large |= ++r->values > JSON_REPAIR_VALUES;
    r->too_large |= (c == '{' || c == '[') && r->depth >= JSON_REPAIR_DEPTH;
    if (r->too_large)
        return NULL;
    if (c == '{' || c == '[') {
        return c == '{' ? json_reader_object(r, false) : list(r);
    }
    bool quote = json_quote_at(r, r->at, &bytes) != JSON_NO_QUOTE;
    if (quote || json_escaped_quote_at(r, r->at)) {
        if (quote)
            json_reader_string(r, context);
        else
            json_reader_escaped_string(r, context);
        if (r->buffer.failed)
            return keep(r, NULL);
        return keep(r, json_stringn_nocheck(str_text(&r->buffer), r->buffer.length));
    }
    if (c < 0 || c == ',' || c == '}' || c == ']')
        return missing(r);
    return bare(r, context);
}
