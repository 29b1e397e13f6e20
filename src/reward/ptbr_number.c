/* ptbr_number.c: Brazilian numbers; see ptbr_number.h.
 *
 *   number   [currency] [sign] digits [scale] [% | por cento] [currency]
 *   digits   groups of digits with single points and commas between
 *
 * What a separator means follows from all of them together:
 *   both kinds          the last one is the decimal mark, the other parts thousands
 *   one comma           decimal mark ("1,234" is a little over one: it is Portuguese)
 *   one point           thousands when it looks so (one to three digits, then three, no leading
 *                       zero), else a decimal mark: models mix in English decimals, "4.5"
 *   several of a kind   thousands
 * Thousands have to come in groups of three. What fits nothing is no number. In running text it is
 * a list, "1,2,3", whose members are read one by one, or, with points, no number at all: a version.
 *
 * Running text also has digits that count nothing: dates, hours, postcodes, telephones, documents.
 * They have shapes, and `codes` lists them. */
#include "reward/ptbr_number.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "reward/rewards.h"

enum { MAX_DIGITS = 60 };

static bool is_digit(const char *t, size_t length, size_t i)
{
    return i < length && t[i] >= '0' && t[i] <= '9';
}

/* A letter, digit or any byte of a character beyond ASCII: what a word goes on with. */
static bool goes_on(const char *t, size_t length, size_t i)
{
    if (i >= length)
        return false;
    unsigned char c = (unsigned char)t[i];
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0xC3;
}

/* Length of `word` (lower case) at t[i], capitals of ASCII and Latin-1 folded, or 0. */
static size_t word_at(const char *t, size_t length, size_t i, const char *word)
{
    if (i >= length || (t[i] != word[0] && t[i] + ('a' - 'A') != word[0])) /* nearly always */
        return 0;
    size_t n = strlen(word);
    if (length - i < n)
        return 0;
    for (size_t k = 0; k < n; k++) {
        char c = t[i + k];
        unsigned char u = (unsigned char)c, before = k ? (unsigned char)t[i + k - 1] : 0;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        else if (before == 0xC3 && u >= 0x80 && u < 0x9F && u != 0x97) /* À to Þ */
            c = (char)(u + 32);
        if (c != word[k])
            return 0;
    }
    return n;
}

static size_t skip_spaces(const char *t, size_t length, size_t i)
{
    for (;;) {
        if (i < length && (t[i] == ' ' || t[i] == '\t'))
            i++;
        else if (i + 1 < length && t[i] == '\xC2' && t[i + 1] == '\xA0') /* no-break space */
            i += 2;
        else
            return i;
    }
}

static size_t skip_currency(const char *t, size_t length, size_t i)
{
    static const char *const signs[] = {"r$", "us$", "brl", "$", "\xE2\x82\xAC"};
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        size_t n = word_at(t, length, i, signs[k]);
        if (n)
            return skip_spaces(t, length, i + n);
    }
    return i;
}

static size_t skip_sign(const char *t, size_t length, size_t i, bool *negative)
{
    if (i < length && (t[i] == '-' || t[i] == '+')) {
        *negative = t[i] == '-';
        return i + 1;
    }
    size_t n = word_at(t, length, i, "\xE2\x88\x92"); /* U+2212 */
    *negative = n != 0;
    return i + n;
}

static size_t scale_at(const char *t, size_t length, size_t i, double *factor)
{
    static const struct {
        const char *word;
        double factor;
    } scales[] = {
        {"trilhões", 1e12}, {"trilhão", 1e12}, {"bilhões", 1e9}, {"bilhão", 1e9},  {"bilhoes", 1e9},
        {"bilhao", 1e9},    {"milhões", 1e6},  {"milhão", 1e6},  {"milhoes", 1e6}, {"milhao", 1e6},
        {"mil", 1e3},       {"mi", 1e6},       {"bi", 1e9},      {"k", 1e3},
    };
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        size_t n = word_at(t, length, i, scales[k].word);
        if (n && !goes_on(t, length, i + n)) {
            *factor = scales[k].factor;
            return n;
        }
    }
    return 0;
}

/* --- digits --- */

/* The end of digits with single separators between; one more than MAX_DIGITS is enough to know, and
 * keeps a search over "1.1.1.1…" linear. */
static size_t run_end(const char *t, size_t length, size_t i)
{
    if (length - i > (size_t)MAX_DIGITS + 1)
        length = i + (size_t)MAX_DIGITS + 1;
    while (is_digit(t, length, i) ||
           (i < length && (t[i] == '.' || t[i] == ',') && is_digit(t, length, i + 1)))
        i++;
    return i;
}

struct digits {
    char text[MAX_DIGITS + 2]; /* as C writes numbers */
    size_t n;
    int decimals;
};

/* Whether `mark` cuts t[0..n) into groups of three, the first of one to three. */
static bool grouped(const char *t, size_t n, char mark)
{
    size_t group = 0, groups = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && t[i] != mark) {
            group++;
            continue;
        }
        if (group < 1 || group > 3 || (groups && group != 3))
            return false;
        group = 0;
        groups++;
    }
    return true;
}

/* Where the decimal mark stands in a run, n where there is none; false: it fits no rule. */
static bool find_decimal(const char *t, size_t n, size_t *decimal)
{
    size_t points = 0, commas = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        points += t[i] == '.';
        commas += t[i] == ',';
        if (t[i] == '.' || t[i] == ',')
            last = i;
    }
    *decimal = n;
    if (points && commas) {
        char thousands = t[last] == '.' ? ',' : '.';
        *decimal = last;
        return (t[last] == '.' ? points : commas) == 1 && grouped(t, last, thousands);
    }
    if (points + commas == 0)
        return true;
    char mark = points ? '.' : ',';
    if (points + commas > 1)
        return grouped(t, n, mark);
    if (mark == ',' || t[0] == '0' || !grouped(t, n, mark))
        *decimal = last;
    return true;
}

static bool read_digits(struct digits *d, const char *t, size_t n)
{
    size_t decimal;
    if (n > (size_t)MAX_DIGITS || !find_decimal(t, n, &decimal))
        return false;
    d->n = 0;
    for (size_t i = 0; i < n; i++)
        if (i == decimal)
            d->text[d->n++] = '.';
        else if (t[i] >= '0' && t[i] <= '9')
            d->text[d->n++] = t[i];
    d->text[d->n] = 0;
    d->decimals = decimal < n ? (int)(n - decimal - 1) : 0;
    return true;
}

/* --- numbers --- */

/* Scale, percent and currency behind the digits; the end of all that. */
static size_t read_tail(struct ptbr_number *out, const char *t, size_t length, size_t i)
{
    static const char *const money[] = {"de reais", "reais", "real", "brl"};
    double factor = 1;
    size_t next = skip_spaces(t, length, i), n = scale_at(t, length, next, &factor);
    if (n)
        i = next + n;
    out->value *= factor;
    out->unit *= factor;
    next = skip_spaces(t, length, i);
    n = word_at(t, length, next, "%");
    if (!n)
        n = word_at(t, length, next, "por cento");
    if (n && (t[next] == '%' || !goes_on(t, length, next + n))) {
        out->percent = true;
        return next + n;
    }
    for (size_t k = 0; k < sizeof money / sizeof *money; k++) {
        n = word_at(t, length, next, money[k]);
        if (n && !goes_on(t, length, next + n)) {
            out->currency = true;
            return next + n;
        }
    }
    return i;
}

/* The number that begins at t[i]; its end, or i when none does. `whole`: a run of digits that fits
 * no rule is refused, else cut at its first separator. */
static size_t read_at(struct ptbr_number *out, const char *t, size_t length, size_t i, bool whole)
{
    struct digits d;
    bool negative, negative_inside = false;
    *out = (struct ptbr_number){0};
    size_t at = skip_sign(t, length, i, &negative);
    if (whole && at > i) /* "- 10"; in running text that is a list's mark */
        at = skip_spaces(t, length, at);
    size_t money = skip_currency(t, length, at);
    out->currency = money > at;
    at = money;
    if (!negative && out->currency)
        at = skip_sign(t, length, at, &negative_inside);
    if (!is_digit(t, length, at))
        return i;
    size_t end = run_end(t, length, at);
    if (!read_digits(&d, t + at, end - at)) {
        for (end = at; !whole && is_digit(t, length, end);)
            end++;
        if (whole || !read_digits(&d, t + at, end - at))
            return i;
    }
    out->value = strtod(d.text, NULL);
    out->unit = pow(10, -d.decimals);
    end = read_tail(out, t, length, end);
    if (negative || negative_inside)
        out->value = -out->value;
    out->integer = d.decimals == 0 && fabs(out->value) < 9e15;
    return isfinite(out->value) ? end : i;
}

/* Bytes of a space that may stand between thousands at t[i]: plain, no-break or narrow no-break. */
static size_t thin_space(const char *t, size_t length, size_t i)
{
    if (i < length && t[i] == ' ')
        return 1;
    if (length - i >= 2 && memcmp(t + i, "\xC2\xA0", 2) == 0)
        return 2;
    return length - i >= 3 && memcmp(t + i, "\xE2\x80\xAF", 3) == 0 ? 3 : 0;
}

/* "1 234,50" with points in place of its spaces; 0: it has none between digits, or does not fit. */
static size_t points_for_spaces(char *out, size_t capacity, const char *t, size_t length)
{
    size_t n = 0, digits = 0;
    bool found = false;
    if (length >= capacity)
        return 0;
    for (size_t i = 0; i < length;) {
        size_t space = thin_space(t, length, i);
        bool group = space && digits > 0 && digits <= 3 && is_digit(t, length, i + space) &&
                     is_digit(t, length, i + space + 1) && is_digit(t, length, i + space + 2) &&
                     !is_digit(t, length, i + space + 3);
        if (space && i > 0 && is_digit(t, length, i - 1) && is_digit(t, length, i + space) &&
            !group)
            return 0;
        digits = is_digit(t, length, i) ? digits + 1 : 0;
        out[n++] = group ? '.' : t[i];
        i += group ? space : 1;
        found |= group;
    }
    return found && !memchr(t, '.', length) ? n : 0;
}

/* The full-width digits and signs of a short text as those of ASCII: "４,５". 0: it has none. */
static size_t narrow(char *out, size_t capacity, struct slice t)
{
    size_t n = 0, wide = 0;
    for (size_t i = 0; i < t.length && n < capacity; n++) {
        int32_t c;
        size_t bytes = (size_t)utf8_decode(t.data + i, t.length - i, &c);
        bool full = c >= 0xFF04 && c <= 0xFF19;
        wide += full;
        out[n] = full ? (char)(c - 0xFEE0) : t.data[i];
        i += full ? bytes : 1;
        if (i >= t.length)
            return wide ? n + 1 : 0;
    }
    return 0;
}

bool ptbr_number_read(struct ptbr_number *out, const char *text, size_t length)
{
    char points[MAX_DIGITS + 1], narrowed[2 * MAX_DIGITS];
    struct slice t = reward_trim(text, length);
    size_t n = narrow(narrowed, sizeof narrowed, t);
    if (n)
        t = (struct slice){narrowed, n};
    n = word_at(t.data, t.length, 0, "mil");
    if (n && n == t.length) {
        *out = (struct ptbr_number){.value = 1000, .unit = 1000, .integer = true};
        return true;
    }
    if (t.length && read_at(out, t.data, t.length, 0, true) == t.length)
        return true;
    n = points_for_spaces(points, sizeof points, t.data, t.length);
    return n && read_at(out, points, n, 0, true) == n;
}

/* --- running text --- */

/* The end of the code that begins at t[i], or i. 9 stands for any digit. */
static size_t code_end(const char *t, size_t length, size_t i)
{
    static const char *const codes[] = {
        "9999-99-99",    "99/99/9999",   "9/99/9999",      "99/9/9999",
        "9/9/9999", /* dates */
        "99/99/99",      "99/9999",      "99.99.9999",     "9999/99/99",
        "99-99-9999",    "99:99:99",     "9:99:99",        "99:99",
        "9:99",          "99h99",        "9h99",                                 /* hours */
        "99999-999",     "99.999-999",                                           /* postcodes */
        "9999-9999",     "99999-9999",   "99) 9999-9999",  "99) 99999-9999",     /* telephones */
        "99 99999-9999", "99 9999-9999", "999.999.999-99", "99.999.999/9999-99", /* CPF, CNPJ */
    };
    size_t end = i;
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
        const char *code = codes[k];
        size_t n = 0;
        while (code[n] && i + n < length &&
               (code[n] == '9' ? is_digit(t, length, i + n) : t[i + n] == code[n]))
            n++;
        if (!code[n] && !is_digit(t, length, i + n) && i + n > end)
            end = i + n;
    }
    return end;
}

/* 2016-2018 has the shape of a telephone. */
static bool years(const char *t, size_t from, size_t end)
{
    return end - from == 9 && t[from + 4] == '-' &&
           (memcmp(t + from, "19", 2) == 0 || memcmp(t + from, "20", 2) == 0) &&
           (memcmp(t + from + 5, "19", 2) == 0 || memcmp(t + from + 5, "20", 2) == 0);
}

/* Behind digits at t[i] that count nothing: a code, a version ("1.2.3"), what
 * follows a number sign ("#12"); i: they count. */
static size_t uncounted_end(const char *t, size_t length, size_t i)
{
    size_t end = code_end(t, length, i), points = 0;
    if (end > i && !years(t, i, end))
        return end;
    end = run_end(t, length, i);
    if (i > 0 && t[i - 1] == '#')
        return end;
    for (size_t k = i; k < end; k++)
        points += t[k] == '.';
    size_t decimal;
    bool version =
        points > 1 && !memchr(t + i, ',', end - i) && !find_decimal(t + i, end - i, &decimal);
    return version ? end : i;
}

/* Whether t[i] stands behind a separator in a run that fits no rule: a list without spaces. */
static bool in_list(const char *t, size_t length, size_t i)
{
    return i > 1 && (t[i - 1] == ',' || t[i - 1] == '.') && is_digit(t, length, i - 2);
}

/* From where the search may go on when no number begins at i: behind the digits there. */
static size_t skip_run(const char *t, size_t length, size_t i)
{
    if (!is_digit(t, length, i))
        return i + 1;
    while (is_digit(t, length, i))
        i++;
    return i;
}

/* The number that begins at t[i], its end, or i. */
static size_t next_at(struct ptbr_number *out, const char *t, size_t length, size_t i)
{
    if (!in_list(t, length, i) || !is_digit(t, length, i))
        return read_at(out, t, length, i, false);
    size_t end = i; /* "2" of "1,2,3" */
    while (is_digit(t, length, end))
        end++;
    return end - i <= (size_t)MAX_DIGITS ? read_at(out, t, end, i, false) : i;
}

bool ptbr_number_next(struct ptbr_number *out, const char *text, size_t length, size_t *at,
                      size_t *start)
{
    size_t i = *at;
    while (i < length) {
        unsigned char c = (unsigned char)text[i];
        bool digit = c >= '0' && c <= '9';
        bool can = digit || c == '-' || c == '+' || c == '$' || c == 'R' || c == 'r' || c == 0xE2;
        bool inside = i > 0 && (goes_on(text, length, i - 1) || text[i - 1] == '_');
        size_t end = digit && !inside ? uncounted_end(text, length, i) : i;
        if (end > i) {
            i = end;
            continue;
        }
        end = can && !inside ? next_at(out, text, length, i) : i;
        if (end > i) {
            *start = i;
            *at = end;
            return true;
        }
        i = skip_run(text, length, i);
    }
    *at = length;
    return false;
}
