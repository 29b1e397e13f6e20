/* plot.c: see plot.h.
 *
 * The drawing is 380 units wide, about what a phone shows of it at full size, so that 11 units are
 * 11 pixels there. Coordinates are written with one decimal, labels with as many as the distance
 * of the ticks needs. */
#include "report/plot.h"
#include <math.h>
#include <string.h>
#include "base/log.h"
#include "report/doc.h"

enum { WIDTH = 380, LEFT = 52, RIGHT = 14, TOP = 26, PLOT_HEIGHT = 150, FOOT = 40, ROW = 17 };
enum { LEGEND_CHARACTERS = 22, TITLE_CHARACTERS = 52, MOST_MARKED = 40 };

struct look {
    const char *color, *dash;
    int marker; /* 0 disc, 1 square, 2 triangle, 3 diamond, 4 cross, 5 ring */
};
static const struct look looks[] = {
    {"#00558c", "", 0},    {"#b34700", "7 3", 1}, {"#00734f", "2 3", 2},  {"#111111", "9 3 2 3", 3},
    {"#a0407a", "4 2", 4}, {"#6b5900", "1 3", 5}, {"#555555", "12 4", 1}, {"#2c7fb8", "3 2 1 2", 2},
};

struct frame {
    const struct plot *p;
    double x0, x1, y0, y1;
};

/* --- scales --- */

static void widen(double *low, double *high, double value)
{
    if (!isfinite(value))
        return;
    *low = fmin(*low, value);
    *high = fmax(*high, value);
}

static int shown_series(const struct plot *p)
{
    return p->n_series < PLOT_MAX_SERIES ? p->n_series : PLOT_MAX_SERIES;
}

static bool find_ranges(struct frame *f, const struct plot *p)
{
    *f = (struct frame){p, INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int s = 0; s < shown_series(p); s++) {
        const struct plot_series *r = &p->series[s];
        for (size_t i = 0; i < r->n; i++) {
            if (!isfinite(r->y[i]) || !isfinite(r->x[i]))
                continue;
            widen(&f->x0, &f->x1, r->x[i]);
            widen(&f->y0, &f->y1, r->y[i]);
            if (r->low && isfinite(r->low[i]) && isfinite(r->high[i])) {
                widen(&f->y0, &f->y1, r->low[i]);
                widen(&f->y0, &f->y1, r->high[i]);
            }
        }
    }
    if (!(f->y0 <= f->y1))
        return false;
    widen(&f->y0, &f->y1, p->level);
    if (p->from_zero)
        widen(&f->y0, &f->y1, 0);
    double pad = 0.06 * (f->y1 - f->y0);
    double least = fmax(1e-3 * fmax(fabs(f->y0), fabs(f->y1)), 1e-6);
    pad = pad > least ? pad : p->from_zero && f->y1 == 0 ? 0.5 : least;
    f->y0 -= p->from_zero && f->y0 == 0 ? 0 : pad;
    f->y1 += pad;
    if (f->x0 == f->x1) {
        f->x0 -= 1;
        f->x1 += 1;
    }
    return isfinite(f->y1 - f->y0) && isfinite(f->x1 - f->x0);
}

static double at_x(const struct frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double y)
{
    return TOP + (f->y1 - y) / (f->y1 - f->y0) * PLOT_HEIGHT;
}

/* 1, 2 or 5 times a power of ten, for at most `most` ticks. */
static double tick_step(double range, int most)
{
    double raw = range / most, power = pow(10, floor(log10(raw))), m = raw / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void put_label(struct str *out, double value, double step)
{
    int decimals = (int)-floor(log10(step) + 1e-9);
    decimals = decimals < 0 ? 0 : decimals;
    if (fabs(value) < step / 2)
        value = 0;
    if (decimals > 6 || fabs(value) >= 1e7)
        str_printf(out, "%.2g", value);
    else
        str_printf(out, "%.*f", decimals, value);
}

/* --- parts --- */

static void put_text(struct str *out, const char *text, size_t most)
{
    struct str shown = {0};
    log_printable(&shown, text, strlen(text), most);
    doc_escape_xml(out, str_text(&shown), shown.length);
    out->failed = out->failed || shown.failed;
    str_free(&shown);
}

static void put_axes(struct str *out, const struct frame *f)
{
    double bottom = TOP + PLOT_HEIGHT;
    double step = tick_step(f->y1 - f->y0, 5);
    for (double k = ceil(f->y0 / step); k * step <= f->y1; k++) {
        double y = at_y(f, k * step);
        str_printf(out,
                   "<path d=\"M%d %.1fH%d\" stroke=\"#ccc\"/><text x=\"%d\" y=\"%.1f\" "
                   "text-anchor=\"end\">",
                   LEFT, y, WIDTH - RIGHT, LEFT - 5, y + 4);
        put_label(out, k * step, step);
        str_puts(out, "</text>\n");
    }
    step = fmax(tick_step(f->x1 - f->x0, 5), 1);
    for (double k = ceil(f->x0 / step); k * step <= f->x1; k++) {
        double x = at_x(f, k * step);
        str_printf(out,
                   "<path d=\"M%.1f %.1fv5\" stroke=\"#111\"/><text x=\"%.1f\" y=\"%.1f\" "
                   "text-anchor=\"middle\">",
                   x, bottom, x, bottom + 17);
        put_label(out, k * step, step);
        str_puts(out, "</text>\n");
    }
    str_printf(out, "<path d=\"M%d %dV%.1fH%d\" fill=\"none\" stroke=\"#111\"/>\n", LEFT, TOP,
               bottom, WIDTH - RIGHT);
    str_printf(out, "<text x=\"%d\" y=\"14\" font-weight=\"600\">", 4);
    put_text(out, f->p->y_title, TITLE_CHARACTERS);
    str_printf(out,
               "</text>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"middle\" "
               "font-weight=\"600\">",
               LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 34);
    put_text(out, f->p->x_title, TITLE_CHARACTERS);
    str_puts(out, "</text>\n");
}

/* Paths around the origin. */
static const struct marker {
    const char *path;
    bool filled;
} markers[] = {
    {"M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", true},
    {"M-3-3h6v6h-6z", true},
    {"M0-4l4 7h-8z", true},
    {"M0-4l4 4l-4 4l-4-4z", true},
    {"M-3-3l6 6m0-6l-6 6", false},
    {"M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", false},
};

static void put_marker(struct str *out, const struct look *l, double x, double y)
{
    const struct marker *m = &markers[l->marker];
    str_printf(out, "<path transform=\"translate(%.1f %.1f)\" d=\"%s\" ", x, y, m->path);
    if (m->filled)
        str_printf(out, "fill=\"%s\"/>\n", l->color);
    else
        str_printf(out, "fill=\"#fff\" stroke-width=\"1.7\" stroke=\"%s\"/>\n", l->color);
}

static bool has_point(const struct plot_series *r, size_t i, bool band)
{
    return i < r->n && isfinite(r->x[i]) && isfinite(r->y[i]) &&
           (!band || (isfinite(r->low[i]) && isfinite(r->high[i])));
}

/* Each stretch without a gap is a polygon: along the upper edge and back along the lower. */
static void put_band(struct str *out, const struct frame *f, const struct plot_series *r,
                     const struct look *l)
{
    for (size_t i = 0; r->low && i < r->n; i++) {
        size_t first = i;
        while (has_point(r, i, true))
            i++;
        if (i < first + 2)
            continue;
        str_puts(out, "<path d=\"M");
        for (size_t k = first; k < i; k++)
            str_printf(out, "%s%.1f %.1f", k > first ? "L" : "", at_x(f, r->x[k]),
                       at_y(f, r->high[k]));
        for (size_t k = i; k-- > first;)
            str_printf(out, "L%.1f %.1f", at_x(f, r->x[k]), at_y(f, r->low[k]));
        str_printf(out, "Z\" fill=\"%s\" fill-opacity=\"0.16\"/>\n", l->color);
    }
}

/* place: of the series among the others, which mark other points of theirs, so that lines that lie
 * on each other can be told apart. */
static void put_line(struct str *out, const struct frame *f, const struct plot_series *r,
                     const struct look *l, int place)
{
    str_puts(out, "<path d=\"");
    bool pen = false;
    for (size_t i = 0; i < r->n; i++) {
        bool here = has_point(r, i, false);
        if (here)
            str_printf(out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(f, r->x[i]), at_y(f, r->y[i]));
        pen = here;
    }
    str_printf(out, "\" fill=\"none\" stroke-width=\"1.8\" stroke=\"%s\"", l->color);
    if (*l->dash)
        str_printf(out, " stroke-dasharray=\"%s\"", l->dash);
    str_puts(out, "/>\n");
    if (!f->p->legend && r->n > MOST_MARKED)
        return; /* nothing to be told apart from, and marks would look like the measured points */
    size_t series = (size_t)shown_series(f->p), every = r->n / 12 + 1;
    every = every > series ? every : series;
    every = f->p->legend ? every : 1;
    size_t first = (size_t)place * every / series;
    for (size_t i = 0; i < r->n; i++)
        if (has_point(r, i, false) && (i % every == first || r->n <= first))
            put_marker(out, l, at_x(f, r->x[i]), at_y(f, r->y[i]));
}

static void put_level(struct str *out, const struct frame *f)
{
    if (!isfinite(f->p->level))
        return;
    str_printf(out,
               "<path d=\"M%d %.1fH%d\" stroke=\"#111\" stroke-dasharray=\"1 4\" "
               "stroke-width=\"1.6\"/>\n",
               LEFT, at_y(f, f->p->level), WIDTH - RIGHT);
}

/* Two names a row. */
static void put_legend(struct str *out, const struct frame *f)
{
    int i = 0;
    double top = TOP + PLOT_HEIGHT + FOOT + 8;
    for (; f->p->legend && i < shown_series(f->p); i++) {
        const struct look *l = &looks[i % (int)(sizeof looks / sizeof *looks)];
        int row = i / 2;
        double x = 8 + (i % 2) * 188.0, y = top + row * ROW;
        str_printf(out, "<path d=\"M%.1f %.1fh26\" stroke-width=\"1.8\" stroke=\"%s\"", x, y,
                   l->color);
        if (*l->dash)
            str_printf(out, " stroke-dasharray=\"%s\"", l->dash);
        str_puts(out, "/>\n");
        put_marker(out, l, x + 13, y);
        str_printf(out, "<text x=\"%.1f\" y=\"%.1f\">", x + 33, y + 4);
        put_text(out, f->p->series[i].name, LEGEND_CHARACTERS);
        str_puts(out, "</text>\n");
    }
    if (!isfinite(f->p->level) || !f->p->level_name)
        return;
    int row = (i + 1) / 2;
    double y = top + row * ROW;
    str_printf(out,
               "<path d=\"M8 %.1fh26\" stroke=\"#111\" stroke-dasharray=\"1 4\" "
               "stroke-width=\"1.6\"/><text x=\"41\" y=\"%.1f\">",
               y, y + 4);
    put_text(out, f->p->level_name, 2 * LEGEND_CHARACTERS);
    str_puts(out, "</text>\n");
}

bool plot_svg(struct str *out, const struct plot *p)
{
    struct frame f;
    if (!find_ranges(&f, p))
        return false;
    int rows = p->legend ? (shown_series(p) + 1) / 2 : 0;
    rows += isfinite(p->level) && p->level_name;
    str_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
               "font-family=\"sans-serif\" font-size=\"11\" fill=\"#111\">\n<title>",
               WIDTH, TOP + PLOT_HEIGHT + FOOT + rows * ROW + (rows ? 4 : 0));
    put_text(out, p->title, 120);
    str_puts(out, "</title>\n");
    put_axes(out, &f);
    put_level(out, &f);
    for (int s = 0; s < shown_series(p); s++) {
        const struct look *l = &looks[s % (int)(sizeof looks / sizeof *looks)];
        put_band(out, &f, &p->series[s], l);
        put_line(out, &f, &p->series[s], l, s);
    }
    put_legend(out, &f);
    str_puts(out, "</svg>\n");
    return true;
}
