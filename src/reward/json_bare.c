/* json_bare.c: values without quotes or brackets in damaged JSON: literals, numbers, words.
 *
 * A bare value in an object goes up to what ends a member: a closing bracket, the end of the line,
 * or a comma with a key (or nothing more) behind it. So {"nota": 4,5, "b": 1} has the bare value
 * 4,5, which ptbr_number reads. In a list each comma ends an element, and [4,5] has two numbers,
 * whatever a Brazilian may have meant: it is valid JSON. Only where it cannot be valid, behind a
 * sign of money or before a percent sign, a comma in a list is a decimal one: [R$ 10,00, R$ 5,50].
 *
 * A call with one value in it (NumberLong(5), Date("2024-01-05")) is that value. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reward/json_reader.h"
#include "reward/ptbr_number.h"
#include "reward/rewards.h"

/* --- literals --- */

/* `word` has as many letters as a. */
static bool same_word(struct slice a, const char *word)
{
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
    if (t.length > 1 && t.data[t.length - 1] == '.') /* the end of a sentence */
        t.length--;
    static const struct {
        const char *word;
        size_t length;
        char meaning;
    } words[] = {
        {"true", 4, 't'},        {"false", 5, 'f'}, {"null", 4, 'n'}, {"none", 4, 'n'},
        {"undefined", 9, 'n'},   {"nil", 3, 'n'},   {"nan", 3, 'n'},  {"infinity", 8, 'n'},
        {"-infinity", 9, 'n'},   {"-nan", 4, 'n'},  {"nulo", 4, 'n'}, {"falso", 5, 'f'},
        {"verdadeiro", 10, 't'},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].length == t.length && same_word(t, words[i].word))
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
    return json_reader_keep(r, meaning == 't'   ? json_true()
                               : meaning == 'f' ? json_false()
                                                : json_null());
}

/* --- numbers --- */

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
        return json_reader_keep(r, NULL);
    errno = 0;
    long long whole = real ? 0 : strtoll(str_text(&r->buffer), NULL, 10);
    if (!real && errno == 0)
        return json_reader_keep(r, json_integer(whole));
    double value = strtod(str_text(&r->buffer), NULL);
    if (!real || !isfinite(value))
        json_note(r, JSON_NUMBER_RANGE);
    return json_reader_keep(r, isfinite(value) ? json_real(value) : json_null());
}

/* What is left of a number cut off: "12." "1e" "-". */
static struct slice without_stub(struct slice t)
{
    while (t.length && strchr(".,eE+-", t.data[t.length - 1]) && t.data[t.length - 1])
        t.length--;
    return t;
}

/* A number as C, Python or JavaScript write it and JSON does not: .5 5. +3 1_000. Written to `out`;
 * false: it is none. */
static bool other_notation(struct slice t, char out[static 48], struct slice *number)
{
    size_t n = 0, i = t.data[0] == '+';
    bool real;
    if (t.length > 40)
        return false;
    if (i < t.length && t.data[i] == '-')
        out[n++] = t.data[i++];
    if (i < t.length && t.data[i] == '.')
        out[n++] = '0';
    for (; i < t.length; i++) {
        bool between = i > 0 && i + 1 < t.length && t.data[i - 1] >= '0' && t.data[i - 1] <= '9' &&
                       t.data[i + 1] >= '0' && t.data[i + 1] <= '9';
        if (t.data[i] != '_' || !between)
            out[n++] = t.data[i];
    }
    if (n && out[n - 1] == '.')
        n--;
    *number = (struct slice){out, n};
    return n && json_number_end(*number, &real) == n;
}

static json_t *brazilian(struct json_reader *r, struct slice t)
{
    struct ptbr_number n;
    if (!ptbr_number_read(&n, t.data, t.length))
        return NULL;
    json_note(r, JSON_NUMBERS);
    return json_reader_keep(r, n.integer ? json_integer((json_int_t)n.value) : json_real(n.value));
}

static json_t *number(struct json_reader *r, struct slice t, bool cut_off)
{
    bool real;
    char buffer[48];
    struct slice plain, rest = without_stub(t);
    if (!t.length || !strchr("0123456789+-.RrUuB$\xE2\xEF", t.data[0]) || !t.data[0])
        return NULL;
    if (json_number_end(t, &real) == t.length)
        return json_number(r, t, real);
    if (cut_off && rest.length < t.length) {
        json_note(r, JSON_TRUNCATED);
        if (rest.length == 0)
            return json_reader_keep(r, json_null());
        if (json_number_end(rest, &real) == rest.length)
            return json_number(r, rest, real);
        t = rest;
    }
    if (other_notation(t, buffer, &plain)) {
        json_note(r, JSON_NUMBERS);
        json_number_end(plain, &real);
        return json_number(r, plain, real);
    }
    return brazilian(r, t);
}

bool json_scalar_in(const struct json_reader *r, size_t from, size_t end)
{
    enum { LONGEST = 40 };
    bool real;
    struct ptbr_number n;
    if (end < from || end - from > LONGEST)
        return false;
    struct slice t = reward_trim(r->text + from, end - from);
    return t.length && (json_number_end(t, &real) == t.length ||
                        ptbr_number_read(&n, t.data, t.length) || literal_meaning(t));
}

/* --- where a bare value ends --- */

static bool digit_at(const struct json_reader *r, size_t at)
{
    int c = json_byte(r, at);
    return c >= '0' && c <= '9';
}

/* A full-width digit. */
static bool wide_digit_at(const struct json_reader *r, size_t at)
{
    int c = json_byte(r, at + 2);
    return json_byte(r, at) == 0xEF && json_byte(r, at + 1) == 0xBC && c >= 0x90 && c <= 0x99;
}

/* The comma at `at` in a list is a decimal one: R$ 10,00 or 12,5%. */
static bool decimal_comma(const struct json_reader *r, size_t at)
{
    size_t digits = 0, money = r->at;
    while (digits < 3 && digit_at(r, at + 1 + digits))
        digits++;
    if (at == r->at || !digit_at(r, at - 1) || digits == 0 || digits == 3)
        return false;
    size_t after = at + 1 + digits;
    int c = json_byte(r, after + (json_byte(r, after) == ' '));
    if (c == '%')
        return true;
    money += json_byte(r, money) == '-' || json_byte(r, money) == '+';
    c = json_byte(r, money);
    bool scale = json_byte(r, after) == ' ' && json_byte(r, after + 1) == 'm';
    return (c == '$' || c == 'R' || c == 'U' || c == 0xE2) && (digits == 2 || scale);
}

/* Two scalars with white space at `at` between them: [1 2] has two elements, [2 mil] one. */
static bool scalars_around(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 40 };
    bool real;
    size_t from = at + 1, end = from;
    while (end - from < LONGEST && end < r->length && !strchr(" ,]\n\t", r->text[end]))
        end++;
    struct slice t = {r->text + from, end - from};
    return t.length && (json_number_end(t, &real) == t.length || literal_meaning(t)) &&
           json_scalar_in(r, r->at, at);
}

/* The number, literal or text that began at r->at is over at `at`, where no sign says so. */
static bool member_follows(const struct json_reader *r, size_t at, bool apart)
{
    size_t bytes;
    if (json_quote_at(r, at, &bytes) || json_escaped_quote_at(r, at)) /* 5 "b": or true"b": */
        return json_key_at(r, at, true) && (apart || json_scalar_in(r, r->at, at));
    return apart && json_is_word_byte(json_byte(r, at)) && json_scalar_in(r, r->at, at) &&
           json_key_at(r, at, false);
}

/* A comma, semicolon or closing bracket at `at` that ends the value. A number or literal is over at
 * a comma (that no digit follows) or bracket; words may go on behind either. */
static bool sign_ends(const struct json_reader *r, size_t at, enum json_context context)
{
    size_t bytes;
    int c = json_sign_at(r, at, &bytes);
    bool digit = digit_at(r, at + bytes) || wide_digit_at(r, at + bytes);
    if ((c == '}' && r->objects) || (c == ']' && r->arrays))
        return true;
    if (c == ',' && context == JSON_IN_ARRAY)
        return !decimal_comma(r, at);
    if (context != JSON_IN_ROOT && (c == ',' || c == ';') &&
        json_comma_ends(r, at + bytes, context, false))
        return true;
    if (c == ')')
        return (context == JSON_IN_ARRAY && r->tuples) || json_scalar_in(r, r->at, at);
    return (c == ']' || (c == ',' && context == JSON_IN_OBJECT && !digit)) &&
           json_scalar_in(r, r->at, at);
}

static size_t bare_end(const struct json_reader *r, enum json_context context)
{
    size_t bytes;
    for (size_t i = r->at; i < r->length; i++) {
        int c = json_sign_at(r, i, &bytes);
        bool apart =
            i == r->at || r->text[i - 1] == ' ' || r->text[i - 1] == '\t' || !r->text[i - 1];
        bool sign = c == ',' || c == ';' || c == '}' || c == ']' || c == ')';
        if (c == '\n' || (sign && sign_ends(r, i, context)))
            return i;
        bool tag = (c == '<' && json_byte(r, i + 1) == '/') || (c == '>' && i + 1 == r->length);
        if (tag && json_scalar_in(r, r->at, i))
            return i;
        if (c == ' ' && context == JSON_IN_ARRAY && scalars_around(r, i))
            return i;
        if (apart && json_comment_at(r, i))
            return i;
        if (i > r->at && context == JSON_IN_OBJECT && member_follows(r, i, apart))
            return i;
    }
    return r->length;
}

/* --- words --- */

/* Text without quotes, or with only the closing one. */
static json_t *bare_string(struct json_reader *r, struct slice t)
{
    size_t start = (size_t)(t.data - r->text);
    size_t quote = json_quote_before(r, start, start + t.length);
    t.length -= quote;
    json_note(r, quote ? JSON_QUOTES : JSON_UNQUOTED_STRINGS);
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
    return json_reader_text(r);
}

/* Behind the parenthesis of a call with one value in it, at `at`; 0: none there. */
static size_t call_at(const struct json_reader *r, size_t at)
{
    enum { LONGEST = 40, LOOK = 200 };
    size_t bytes, start, inside;
    if (r->length - at > 4 && memcmp(r->text + at, "new ", 4) == 0)
        at += 4;
    for (start = at; at - start < LONGEST; at++) {
        int c = json_byte(r, at);
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(at > start && (c == '.' || (c >= '0' && c <= '9'))))
            break;
    }
    if (at == start || json_byte(r, at) != '(')
        return 0;
    inside = json_skip(r, at + 1, NULL);
    int c = json_byte(r, inside);
    if (c == '{' || c == '[')
        return inside;
    enum json_quote quote = json_quote_at(r, inside, &bytes);
    size_t end = inside + (quote ? bytes : 0);
    while (end - inside < LOOK && end < r->length && r->text[end] != '\n' &&
           !(quote ? json_quote_at(r, end, &bytes) == quote : r->text[end] == ')'))
        end++;
    if (!quote && !json_scalar_in(r, inside, end))
        return 0;
    end = quote ? json_skip(r, end + bytes, NULL) : end;
    c = json_byte(r, json_skip(r, end + 1, NULL));
    return json_byte(r, end) == ')' && (c < 0 || strchr(",;}])", c)) ? inside : 0;
}

static json_t *call(struct json_reader *r, size_t inside)
{
    json_note(r, JSON_WRAPPED);
    r->at = inside;
    r->tuples++;
    r->depth++;
    json_t *value = json_reader_value(r, JSON_IN_ARRAY);
    r->depth--;
    r->tuples--;
    size_t end = json_skip(r, r->at, NULL);
    if (json_byte(r, end) == ')')
        r->at = end + 1;
    return value;
}

json_t *json_reader_bare(struct json_reader *r, enum json_context context)
{
    size_t inside = r->depth < JSON_REPAIR_DEPTH ? call_at(r, r->at) : 0;
    if (inside)
        return call(r, inside);
    size_t end = bare_end(r, context);
    struct slice t = reward_trim(r->text + r->at, end - r->at);
    while (t.length && (unsigned char)t.data[t.length - 1] < ' ')
        t.length--;
    size_t dots = t.length ? json_ellipsis_at(r, r->at) : 0;
    bool cut_off = end == r->length;
    r->at = end;
    bool nothing = t.length == dots || slice_equals(t, "-") || slice_equals(t, "--") ||
                   slice_equals(t, "—") || slice_equals(t, "–");
    if (nothing)
        return json_reader_missing(r);
    json_t *value = literal(r, t, cut_off);
    if (!value && !r->no_memory)
        value = number(r, t, cut_off);
    return value || r->no_memory ? value : bare_string(r, t);
}
