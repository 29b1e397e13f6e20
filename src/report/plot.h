/* plot.h: a line chart as SVG, to be read without colour: each series has a dash and a marker of
 * its own. Sizes suit a phone's width; text never overlaps: names are cut, the legend gets as many
 * rows as it needs, ticks are few. The same numbers give the same bytes. */
#ifndef REPORT_PLOT_H
#define REPORT_PLOT_H
#include "base/str.h"

enum { PLOT_MAX_SERIES = 16 };

struct plot_series {
    const char *name;
    const double *x, *y;      /* x ascending; a y that is NaN leaves a gap */
    const double *low, *high; /* a band; NULL: none */
    size_t n;
};

struct plot {
    const char *title;             /* for readers of the screen; not drawn */
    const char *x_title, *y_title; /* with their unit */
    const struct plot_series *series;
    int n_series; /* at most PLOT_MAX_SERIES are drawn */
    double level; /* a horizontal line; NaN: none */
    const char *level_name;
    bool from_zero; /* the y axis begins at 0 */
    bool legend;
};

/* False, and nothing appended, when there is no point to draw. */
bool plot_svg(struct str *out, const struct plot *p);

#endif
