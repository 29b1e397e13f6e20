/* answer_number.c: see answer_number.h.
 *
 *   number   [sign] digits [e or * 10^ exponent] [/ digits] [% | scale] [_ base]
 *          | [sign] digits space digits / digits                              a mixed number
 *   digits   digits with single points and commas between, or groups of three with spaces
 *
 * Which mark is the decimal one is not known, so a run of digits has one or two readings: with both
 * marks the last is decimal; several of one kind part thousands; one alone with three digits behind
 * it may be either ("1.234"), else it is decimal. Two readings double the chance of a lucky hit
 * only where a thousandfold error would have to be lucky too. */
#include "reward/answer_number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/check.h"

static bool is_digit(struct slice t, size_t i)
{
    return i < t.length && t.data[i] >= '0' && t.data[i] <= '9';
}

static bool is_letter(struct slice t, size_t i)
{
    if (i >= t.length)
        return false;
    unsigned char c = (unsigned char)t.data[i];
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0xC3;
}

static char byte_at(struct slice t, size_t i)
{
    return i < t.length ? t.data[i] : 0;
}

static size_t skip_spaces(struct slice t, size_t i)
{
    while (byte_at(t, i) == ' ')
        i++;
    return i;
}

/* Bytes of `word` at i, ASCII case aside, when it ends there; else 0. */
static size_t word_at(struct slice t, size_t i, const char *word)
{
    size_t n = strlen(word);
    if (i > t.length || t.length - i < n || strncasecmp(t.data + i, word, n) != 0)
        return 0;
    return is_letter(t, i + n) || is_digit(t, i + n) ? 0 : n;
}

/* --- typesetting --- */

struct plain {
    const char *from, *to;
};

/* The longest first where one begins another. "" is dropped. */
static const struct plain signs[] = {
    {"R$", "$"},
    {"US$", "$"},
    {"\xE2\x82\xAC", "$"}, /* euro */
    {"\xE2\x88\x92", "-"}, /* minus */
    {"\xE2\x80\x93", "-"}, /* en dash */
    {"\xC3\x97", "*"},     /* times */
    {"\xE2\x8B\x85", "*"}, /* dot operator */
    {"\xC2\xB7", "*"},     /* middle dot */
    {"\xC2\xA0", " "},     /* spaces that do not break */
    {"\xE2\x80\xAF", " "},
    {"\xE2\x80\x89", " "},
    {"\xC2\xBD", " 1/2"},
    {"\xC2\xBC", " 1/4"},
    {"\xC2\xBE", " 3/4"},
    {"\xE2\x89\x88", "="}, /* approximately */
    {"\xE2\x80\x9C", ""},  /* quotes */
    {"\xE2\x80\x9D", ""},
    {"\xE2\x80\x98", "'"}, /* apostrophes */
    {"\xE2\x80\x99", "'"},
    {"{,}", ","},
    {"**", ""},
    {"__", ""},
    {"`", ""},
    {"\"", ""},
    {"{", ""},
    {"}", ""},
    {"\t", " "},
};

static const struct plain commands[] = {
    {"times", "*"},   {"cdot", "*"},      {"approx", "="}, {"div", "/"},  {"pi", "pi"},
    {"sqrt", "sqrt"}, {"infty", "infty"}, {"leq", "<="},   {"geq", ">="}, {"le", "<="},
    {"ge", ">="},     {"lt", "<"},        {"gt", ">"},     {"pm", "+-"},  {"circ", ""},
};

/* The argument in braces (or one character) at i: *out without the braces. Its end. */
static size_t argument(struct slice t, size_t i, struct slice *out)
{
    enum { MOST = 64 };
    i = skip_spaces(t, i);
    *out = (struct slice){t.data + (i < t.length ? i : t.length), i < t.length};
    if (byte_at(t, i) != '{')
        return i < t.length ? i + 1 : i;
    for (size_t k = i + 1; k < t.length && k - i <= MOST; k++)
        if (t.data[k] == '}') {
            *out = (struct slice){t.data + i + 1, k - i - 1};
            return k + 1;
        }
    return i + 1;
}

/* A backslash at i: what it says. The end of it. */
static size_t simplify_command(struct str *out, struct slice t, size_t i)
{
    size_t end = i + 1;
    while (end < t.length && ((t.data[end] >= 'a' && t.data[end] <= 'z') ||
                              (t.data[end] >= 'A' && t.data[end] <= 'Z')))
        end++;
    struct slice name = {t.data + i + 1, end - i - 1};
    if (name.length == 0) { /* \% \$ \( \, and the like: only the first two mean something */
        if (byte_at(t, i + 1) == '%')
            str_putc(out, '%');
        return i + 2 < t.length ? i + 2 : t.length;
    }
    if (slice_equals(name, "frac") || slice_equals(name, "dfrac") || slice_equals(name, "tfrac")) {
        struct slice over, under;
        end = argument(t, argument(t, end, &over), &under);
        if (out->length && out->data[out->length - 1] >= '0' && out->data[out->length - 1] <= '9')
            str_putc(out, ' ');
        str_append(out, over.data, over.length);
        str_putc(out, '/');
        str_append(out, under.data, under.length);
        return end;
    }
    for (size_t k = 0; k < ARRAY_LENGTH(commands); k++)
        if (slice_equals(name, commands[k].from)) {
            str_puts(out, commands[k].to);
            return end;
        }
    return end; /* \text, \boxed, \left …: their braces go too */
}

static size_t simplify_sign(struct str *out, struct slice t, size_t i)
{
    for (size_t k = 0; k < ARRAY_LENGTH(signs); k++) {
        size_t n = strlen(signs[k].from);
        if (t.length - i < n || memcmp(t.data + i, signs[k].from, n) != 0)
            continue;
        if (signs[k].to[0] != '$') {
            str_puts(out, signs[k].to);
            return i + n;
        }
        return skip_spaces(t, i + n); /* currency stands before its number */
    }
    if (t.data[i] == '$') {
        size_t next = skip_spaces(t, i + 1);
        return is_digit(t, next) ? next : i + 1;
    }
    /* Subscript digits: a base. */
    if (t.length - i >= 3 && memcmp(t.data + i, "\xE2\x82", 2) == 0 &&
        (unsigned char)t.data[i + 2] >= 0x80 && (unsigned char)t.data[i + 2] <= 0x89) {
        if (out->length && out->data[out->length - 1] >= '0' && out->data[out->length - 1] <= '9' &&
            (i < 3 || memcmp(t.data + i - 3, "\xE2\x82", 2) != 0))
            str_putc(out, '_');
        str_putc(out, (char)('0' + ((unsigned char)t.data[i + 2] - 0x80)));
        return i + 3;
    }
    str_putc(out, t.data[i]);
    return i + 1;
}

void answer_simplify(struct str *out, const char *text, size_t length)
{
    struct slice t = {text, length};
    for (size_t i = 0; i < length;)
        i = text[i] == '\\' ? simplify_command(out, t, i) : simplify_sign(out, t, i);
}

/* --- digits --- */

struct run {
    char marks[ANSWER_DIGITS + 1]; /* '.', ',' or ' ' before the digit of this index, else 0 */
    char digits[ANSWER_DIGITS + 1];
    size_t n;
};

static bool three_digits(struct slice t, size_t i)
{
    return is_digit(t, i) && is_digit(t, i + 1) && is_digit(t, i + 2) && !is_digit(t, i + 3);
}

/* Digits and the single marks between them; spaces only between groups of three. The end, or i when
 * there are none or too many. */
static size_t read_run(struct run *r, struct slice t, size_t i)
{
    size_t start = i, group = 0;
    bool spaced = true; /* what was read so far may be groups parted by spaces */
    *r = (struct run){0};
    while (r->n < ANSWER_DIGITS) {
        if (is_digit(t, i)) {
            r->digits[r->n++] = t.data[i++];
            group++;
            continue;
        }
        char mark = byte_at(t, i);
        bool point = (mark == '.' || mark == ',') && is_digit(t, i + 1);
        bool space = mark == ' ' && spaced && group >= 1 && group <= 3 && three_digits(t, i + 1);
        if (r->n == 0 || !(point || space))
            break;
        spaced = space;
        r->marks[r->n] = mark;
        group = 0;
        i++;
    }
    return r->n == 0 || is_digit(t, i) ? start : i;
}

/* The value when the mark before digit `decimal` is the decimal one (n: none). */
static double run_value(const struct run *r, size_t decimal)
{
    char text[ANSWER_DIGITS + 3];
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (i == decimal)
            text[n++] = '.';
        text[n++] = r->digits[i];
    }
    text[n] = 0;
    return strtod(text, NULL);
}

static bool grouped(const struct run *r, size_t end, char mark)
{
    size_t last = 0;
    for (size_t i = 1; i <= end; i++) {
        if (i < end && r->marks[i] == 0)
            continue;
        if (i < end && r->marks[i] != mark)
            return false;
        size_t group = i - last;
        if (group > 3 || (last > 0 && group != 3))
            return false;
        last = i;
    }
    return true;
}

/* The readings of a run: false when its marks fit nothing ("1.2.3", "1,2,3"). */
static bool read_values(struct answer_number *out, const struct run *r)
{
    size_t marks = 0, last = 0, kinds[3] = {0};
    for (size_t i = 1; i < r->n; i++)
        if (r->marks[i]) {
            marks++;
            last = i;
            kinds[r->marks[i] == '.' ? 0 : r->marks[i] == ',' ? 1 : 2]++;
        }
    out->n = 0;
    char mark = r->marks[last];
    bool alone = marks == 1 && mark != ' ';
    bool thousands = marks == 0 || (grouped(r, r->n, mark) && !(alone && r->digits[0] == '0'));
    if (thousands) {
        out->values[out->n++] = run_value(r, r->n);
        memcpy(out->digits, r->digits, r->n);
    }
    size_t alike = kinds[mark == '.' ? 0 : mark == ',' ? 1 : 2];
    if (marks && mark != ' ' && alike == 1) { /* decimal, what is before it in groups */
        char other = 0;
        for (size_t i = 1; i < last; i++)
            other = r->marks[i] ? r->marks[i] : other;
        if (other == 0 || grouped(r, last, other))
            out->values[out->n++] = run_value(r, last);
    }
    return out->n > 0;
}

/* "1,2,3" is a list: a comma or point that no reading can take ends the number before it. */
static size_t read_digits(struct answer_number *out, struct slice t, size_t i)
{
    struct run r;
    size_t end = read_run(&r, t, i);
    if (end == i || read_values(out, &r))
        return end;
    for (end = i; is_digit(t, end);)
        end++;
    struct slice head = {t.data, end};
    return read_run(&r, head, i) == end && read_values(out, &r) ? end : i;
}

/* --- what follows the digits --- */

static void scale_by(struct answer_number *out, double factor)
{
    for (int i = 0; i < out->n; i++)
        out->values[i] *= factor;
    out->digits[0] = 0;
}

/* e5, * 10^5, ^5 behind 10. The end, or i. */
static size_t read_power(struct answer_number *out, struct slice t, size_t i)
{
    size_t at = i;
    if (byte_at(t, i) == 'e' || byte_at(t, i) == 'E') {
        at = i + 1;
    } else if (byte_at(t, i) == '^' && strcmp(out->digits, "10") == 0) {
        out->values[0] = 1;
        at = i + 1;
    } else {
        at = skip_spaces(t, i);
        if (byte_at(t, at) != '*' && byte_at(t, at) != 'x')
            return i;
        at = skip_spaces(t, at + 1);
        if (t.length - at < 3 || memcmp(t.data + at, "10^", 3) != 0)
            return i;
        at += 3;
    }
    bool negative = byte_at(t, at) == '-';
    at += negative || byte_at(t, at) == '+';
    int exponent = 0;
    size_t digits = at;
    while (is_digit(t, at) && at - digits < 3)
        exponent = 10 * exponent + (t.data[at++] - '0');
    if (at == digits || is_digit(t, at) || is_letter(t, at)) {
        out->values[0] = byte_at(t, i) == '^' ? 10 : out->values[0];
        return i;
    }
    scale_by(out, pow(10, negative ? -exponent : exponent));
    return at;
}

/* "/ 4" behind a number, or " 3/4" behind an integer. The end, or i. */
static size_t read_fraction(struct answer_number *out, struct slice t, size_t i)
{
    struct answer_number under = {0}, over = {0};
    size_t slash = skip_spaces(t, i);
    if (byte_at(t, slash) == '/') {
        size_t at = skip_spaces(t, slash + 1), end = read_digits(&under, t, at);
        if (end == at || under.values[0] == 0 || byte_at(t, end) == '/')
            return i;
        scale_by(out, 1 / under.values[0]);
        out->fraction = true;
        return end;
    }
    if (slash == i || !out->digits[0])
        return i;
    size_t middle = read_digits(&over, t, slash);
    if (middle == slash || byte_at(t, middle) != '/')
        return i;
    size_t end = read_digits(&under, t, middle + 1);
    if (end == middle + 1 || !(over.values[0] < under.values[0]) || byte_at(t, end) == '/')
        return i;
    out->values[0] += over.values[0] / under.values[0];
    out->n = 1;
    out->fraction = true;
    out->digits[0] = 0;
    return end;
}

static size_t read_percent_or_scale(struct answer_number *out, struct slice t, size_t i)
{
    static const struct {
        const char *word;
        double factor;
    } scales[] = {{"mil", 1e3},     {"milhão", 1e6},   {"milhões", 1e6}, {"milhao", 1e6},
                  {"milhoes", 1e6}, {"bilhão", 1e9},   {"bilhões", 1e9}, {"bilhao", 1e9},
                  {"bilhoes", 1e9}, {"thousand", 1e3}, {"million", 1e6}, {"billion", 1e9}};
    static const char *const percents[] = {"por cento", "percent", "per cent"};
    size_t at = skip_spaces(t, i), n = byte_at(t, at) == '%';
    for (size_t k = 0; k < ARRAY_LENGTH(percents) && !n; k++)
        n = word_at(t, at, percents[k]);
    if (n) { /* also as the share it is */
        int readings = out->n;
        for (int k = 0; k < readings && out->n < ANSWER_READINGS; k++)
            out->values[out->n++] = out->values[k] / 100;
        return at + n;
    }
    for (size_t k = 0; k < ARRAY_LENGTH(scales); k++)
        if ((n = word_at(t, at, scales[k].word))) {
            scale_by(out, scales[k].factor);
            return at + n;
        }
    return i;
}

/* _8, "na base 8", "(base 8)". The end, or i. */
static size_t read_base(struct answer_number *out, struct slice t, size_t i)
{
    static const char *const words[] = {"na base ", "em base ", "base ", "(base ", "(na base "};
    size_t at = i + 1;
    if (byte_at(t, i) != '_') {
        size_t start = skip_spaces(t, i);
        at = 0;
        for (size_t k = 0; k < ARRAY_LENGTH(words) && !at; k++)
            if (t.length - start >= strlen(words[k]) &&
                strncasecmp(t.data + start, words[k], strlen(words[k])) == 0)
                at = start + strlen(words[k]);
        if (!at)
            return i;
    }
    int base = 0;
    size_t digits = at;
    while (is_digit(t, at) && at - digits < 2)
        base = 10 * base + (t.data[at++] - '0');
    if (at == digits || is_digit(t, at) || base < 2 || base > 36 || !out->digits[0])
        return i;
    out->base = base;
    return at + (byte_at(t, at) == ')' && byte_at(t, i) != '_');
}

size_t answer_number_at(struct answer_number *out, struct slice t, size_t at)
{
    *out = (struct answer_number){0};
    bool negative = byte_at(t, at) == '-';
    size_t start = at + (negative || byte_at(t, at) == '+');
    size_t end = read_digits(out, t, start);
    if (end == start)
        return at;
    size_t next = read_power(out, t, end);
    next = next > end ? next : read_fraction(out, t, end);
    if (next == end)
        next = read_base(out, t, end);
    if (!out->base)
        next = read_percent_or_scale(out, t, next);
    for (int i = 0; i < out->n; i++) {
        out->values[i] = negative ? -out->values[i] : out->values[i];
        if (!isfinite(out->values[i]))
            return at;
    }
    const char *zeros = out->digits;
    while (zeros[0] == '0' && zeros[1])
        zeros++;
    memmove(out->digits, zeros, strlen(zeros) + 1);
    if (negative && out->digits[0] && strlen(out->digits) < ANSWER_DIGITS &&
        strcmp(out->digits, "0") != 0) {
        memmove(out->digits + 1, out->digits, strlen(out->digits) + 1);
        out->digits[0] = '-';
    }
    return next;
}

bool answer_number_next(struct answer_number *out, struct slice t, size_t *at)
{
    for (size_t i = *at; i < t.length;) {
        bool sign = (t.data[i] == '-' || t.data[i] == '+') && is_digit(t, i + 1) &&
                    !(i > 0 && (is_digit(t, i - 1) || is_letter(t, i - 1)));
        if (!sign && !is_digit(t, i)) {
            i++;
            continue;
        }
        bool inside = !sign && i > 0 && (is_letter(t, i - 1) || t.data[i - 1] == '_');
        size_t end = inside ? i : answer_number_at(out, t, i);
        if (end > i) {
            *at = end;
            return true;
        }
        i += sign;
        while (is_digit(t, i))
            i++;
    }
    *at = t.length;
    return false;
}

static bool is_around(char c)
{
    return c && strchr(" .,;:!?()[]=~\n\r", c);
}

bool answer_number_read(struct answer_number *out, struct slice t)
{
    enum { UNIT = 40 };
    if (t.length && strchr("([", t.data[0]) && t.data[0] && memchr(t.data, ',', t.length))
        return false; /* (1,2) is a pair */
    while (t.length && is_around(t.data[0]))
        t.data++, t.length--;
    while (t.length && is_around(t.data[t.length - 1]))
        t.length--;
    size_t end = t.length ? answer_number_at(out, t, 0) : 0;
    if (end == 0 || end == t.length)
        return end > 0;
    if (t.data[end] != ' ' || t.length - end > UNIT)
        return false;
    for (size_t i = end; i < t.length; i++)
        if (!is_letter(t, i) && (unsigned char)t.data[i] < 0x80 && t.data[i] != ' ')
            return false;
    return true;
}

bool answer_numbers_equal(const struct answer_number *got, const struct answer_number *truth,
                          double tolerance)
{
    const double noise = got->fraction || truth->fraction ? 1e-6 : 1e-9;
    if (truth->base || got->base) /* digits of another base are no value to compare */
        return strcmp(got->digits, truth->digits) == 0 && got->digits[0] &&
               (got->base == truth->base || !got->base || !truth->base);
    for (int i = 0; i < got->n; i++)
        for (int k = 0; k < truth->n; k++) {
            double a = got->values[i], b = truth->values[k], apart = fabs(a - b);
            bool whole = a == floor(a) && b == floor(b);
            if (tolerance > 0 ? apart <= tolerance * fabs(b)
                : whole       ? apart == 0
                              : apart <= noise * fabs(b)) {
                /* Beyond 2^53 doubles run together: the digits decide. */
                if (tolerance > 0 || fabs(b) < 9e15 || !got->digits[0] || !truth->digits[0] ||
                    strcmp(got->digits, truth->digits) == 0)
                    return true;
            }
        }
    return false;
}
