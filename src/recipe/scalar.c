/* scalar.c: the core schema of YAML 1.2; see scalar.h. The grammar is checked by hand before strtod
 * sees the text, because strtod also takes hexadecimal floats, "infinity" and leading spaces. */
#include "recipe/scalar.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether text is one of three spellings: null, Null, NULL and the like. */
static bool is_word(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? ; *whole: neither point nor
 * exponent, so an integer. */
static bool is_decimal(const char *text, bool *whole)
{
    const char *p = text + (*text == '-' || *text == '+');
    const char *digits = p;
    p = skip_digits(p);
    bool any = p > digits;
    *whole = any && !*p;
    if (*p == '.') {
        const char *fraction = ++p;
        p = skip_digits(p);
        any = any || p > fraction;
    }
    if (!any)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        const char *exponent = p;
        p = skip_digits(p);
        if (p == exponent)
            return false;
    }
    return !*p;
}

/* 0x… and 0o…, without a sign, as the schema has them. */
static int radix_of(const char *text)
{
    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'o') || !text[2])
        return 0;
    const char *digits = text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
    return text[2 + strspn(text + 2, digits)] ? 0 : text[1] == 'x' ? 16 : 8;
}

static struct scalar integer(const char *digits, int radix)
{
    errno = 0;
    long long value = strtoll(digits, NULL, radix);
    bool fits = errno != ERANGE;
    struct scalar s = {.type = SCALAR_INT, .fits = fits, .integer = fits ? value : 0};
    /* Beyond 64 bits only its size matters, to say that it is out of range. */
    s.number = fits ? (double)value : radix == 10 ? strtod(digits, NULL) : HUGE_VAL;
    return s;
}

struct scalar scalar_read(const struct yaml_node *node)
{
    const char *text = node->text;
    if (node->quoted)
        return (struct scalar){.type = SCALAR_TEXT};
    if (!*text || strcmp(text, "~") == 0 || is_word(text, "null", "Null", "NULL"))
        return (struct scalar){.type = SCALAR_NULL};
    if (is_word(text, "true", "True", "TRUE"))
        return (struct scalar){.type = SCALAR_BOOL, .boolean = true};
    if (is_word(text, "false", "False", "FALSE"))
        return (struct scalar){.type = SCALAR_BOOL, .boolean = false};
    if (is_word(text, ".nan", ".NaN", ".NAN"))
        return (struct scalar){.type = SCALAR_FLOAT, .number = NAN};
    const char *magnitude = text + (*text == '-' || *text == '+');
    if (is_word(magnitude, ".inf", ".Inf", ".INF"))
        return (struct scalar){.type = SCALAR_FLOAT, .number = *text == '-' ? -INFINITY : INFINITY};
    int radix = radix_of(text);
    if (radix)
        return integer(text + 2, radix);
    bool whole;
    if (!is_decimal(text, &whole))
        return (struct scalar){.type = SCALAR_TEXT};
    if (whole)
        return integer(text, 10);
    return (struct scalar){.type = SCALAR_FLOAT, .number = strtod(text, NULL)};
}
