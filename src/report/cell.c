/* cell.c: see cell.h. */
#include "report/cell.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char none[] = "–";

struct cell cell_number(double x, int decimals)
{
    struct cell c;
    if (fabs(x) < 1e12)
        snprintf(c.text, sizeof c.text, "%.*f", decimals, x);
    else
        snprintf(c.text, sizeof c.text, "%.4g", x);
    if (!isfinite(x))
        snprintf(c.text, sizeof c.text, "%s", none);
    return c;
}

/* Three decimals, but four where three would hide on which side of zero a number is. */
static int decimals_of(double x)
{
    return x != 0 && fabs(x) < 0.0005 ? 4 : 3;
}

struct cell cell_signed(double x)
{
    struct cell c;
    double shown = fabs(x) < 0.00005 ? 0 : x; /* no "-0.0000" */
    snprintf(c.text, sizeof c.text, "%+.*f", decimals_of(shown), shown);
    if (!isfinite(x))
        snprintf(c.text, sizeof c.text, "%s", none);
    return c;
}

struct cell cell_interval(struct interval ci)
{
    struct cell c;
    bool small = fabs(ci.low) < 0.1 && fabs(ci.high) < 0.1;
    snprintf(c.text, sizeof c.text, small ? "[%.4f, %.4f]" : "[%.3f, %.3f]", ci.low, ci.high);
    if (!isfinite(ci.low) || !isfinite(ci.high))
        snprintf(c.text, sizeof c.text, "%s", none);
    return c;
}

struct cell cell_change(struct interval ci)
{
    struct cell c;
    snprintf(c.text, sizeof c.text, "[%.40s, %.40s]", cell_signed(ci.low).text,
             cell_signed(ci.high).text);
    if (!isfinite(ci.low) || !isfinite(ci.high))
        snprintf(c.text, sizeof c.text, "%s", none);
    return c;
}

struct cell cell_gain(double x, struct interval ci)
{
    struct cell c;
    bool there = isfinite(ci.low) && isfinite(ci.high);
    snprintf(c.text, sizeof c.text, "%.30s %.60s", cell_signed(x).text,
             there ? cell_change(ci).text : "(no interval)");
    return c;
}

struct cell cell_half(double x, struct interval ci)
{
    struct cell c;
    double half = (ci.high - ci.low) / 2;
    if (isfinite(half))
        snprintf(c.text, sizeof c.text, "%.3f ± %.3f", x, half);
    else
        snprintf(c.text, sizeof c.text, "%.40s ± %s", cell_number(x, 3).text, none);
    return c;
}

struct cell cell_count(double n)
{
    struct cell c;
    if (isnan(n))
        snprintf(c.text, sizeof c.text, "%s", none);
    else if (n > 1e6)
        snprintf(c.text, sizeof c.text, "1,000,000 or more");
    else if (n >= 1000)
        snprintf(c.text, sizeof c.text, "%d,%03d", (int)n / 1000, (int)n % 1000);
    else
        snprintf(c.text, sizeof c.text, "%d", (int)n);
    return c;
}

struct cell cell_p(double p)
{
    struct cell c;
    if (isnan(p))
        snprintf(c.text, sizeof c.text, "%s", none);
    else if (p < 0.0001)
        snprintf(c.text, sizeof c.text, "< 0.0001");
    else
        snprintf(c.text, sizeof c.text, "%.4f", p);
    return c;
}

void cell_cut_digests(struct str *out, const char *text)
{
    enum { LEAST = 40, SHOWN = 12 };
    while (*text) {
        size_t n = strspn(text, "0123456789abcdef");
        str_append(out, text, n >= LEAST ? SHOWN : n);
        if (n >= LEAST)
            str_puts(out, "…");
        text += n;
        if (*text && !strchr("0123456789abcdef", *text))
            str_putc(out, *text++);
    }
}
