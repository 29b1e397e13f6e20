/* audit_plot.c: human against automatic scores, as text and as SVG; see audit_files.h. Tasks differ
 * by letter or shape, not by colour alone, so that both are readable in grey. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "eval/audit_files.h"

enum { MOST_TASKS = 26, COLUMNS = 41, LINES = 13 };

struct points {
    const char *tasks[MOST_TASKS]; /* in order of first appearance; more share the last */
    int n_tasks;
    double low, high; /* of the automatic scores */
    size_t n;
};

static int task_index(const struct points *p, const char *task)
{
    for (int t = 0; t < p->n_tasks; t++)
        if (strcmp(p->tasks[t], task) == 0)
            return t;
    return p->n_tasks - 1;
}

static bool shown(const struct audit_item *item)
{
    return item->mark == AUDIT_SCORED && isfinite(item->automatic);
}

/* Rewards of this program lie in [0, 1], which is then the range; others widen it. */
static void measure(struct points *p, const struct audit *a)
{
    *p = (struct points){.low = 0, .high = 1};
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        int t = 0;
        while (t < p->n_tasks && strcmp(p->tasks[t], item->task) != 0)
            t++;
        if (t == p->n_tasks && t < MOST_TASKS)
            p->tasks[p->n_tasks++] = item->task;
        if (!shown(item))
            continue;
        p->low = fmin(p->low, item->automatic);
        p->high = fmax(p->high, item->automatic);
        p->n++;
    }
}

static double height(const struct points *p, double automatic)
{
    return (automatic - p->low) / (p->high - p->low);
}

/* --- text --- */

static void plot_points(char grid[LINES][COLUMNS], const struct points *p, const struct audit *a)
{
    memset(grid, ' ', LINES * COLUMNS);
    for (size_t i = 0; i < a->n; i++) {
        const struct audit_item *item = &a->items[i];
        if (!shown(item))
            continue;
        int x = (int)lround(item->human / 10 * (COLUMNS - 1));
        int y = (int)lround((1 - height(p, item->automatic)) * (LINES - 1));
        char letter = (char)('a' + task_index(p, item->task));
        char *at = &grid[y][x];
        *at = *at == ' ' || *at == letter ? letter : '*';
    }
}

void audit_plot_text(struct str *out, const struct audit *a)
{
    struct points p;
    char grid[LINES][COLUMNS];
    measure(&p, a);
    plot_points(grid, &p, a);
    str_puts(out, "automatic\n");
    for (int y = 0; y < LINES; y++) {
        double value = p.high - (p.high - p.low) * y / (LINES - 1);
        if (y % 3 == 0)
            str_printf(out, "%9.2f |%.*s\n", value, COLUMNS, grid[y]);
        else
            str_printf(out, "%9s |%.*s\n", "", COLUMNS, grid[y]);
    }
    str_printf(out, "%9s +", "");
    for (int x = 0; x < COLUMNS; x++)
        str_putc(out, x % 8 == 0 ? '+' : '-');
    str_printf(out, "\n%11s", "");
    for (int x = 0; x <= 10; x += 2)
        str_printf(out, "%-8d", x);
    str_puts(out, "human, 0 to 10\n");
    for (int t = 0; t < p.n_tasks; t++)
        str_printf(out, "%s%c %.60s", t ? ", " : "  ", 'a' + t,
                   p.tasks[t][0] ? p.tasks[t] : "(no task)");
    str_puts(out, "; * several tasks\n");
}

/* --- SVG --- */

enum { WIDTH = 560, HEIGHT = 420, LEFT = 70, RIGHT = 160, TOP = 60, BOTTOM = 60 };

static double svg_x(double human)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * human / 10;
}

static double svg_y(const struct points *p, double automatic)
{
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - height(p, automatic));
}

static void escape(struct str *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (strchr("<>&\"'", c))
            str_printf(out, "&#%d;", c);
        else
            str_putc(out, c < 0x20 ? ' ' : *text);
    }
}

/* Colours of Okabe and Ito, each with a shape of its own. */
static void mark(struct str *out, int task, double x, double y)
{
    static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7"};
    const char *colour = colours[task % 4];
    static const char style[] = "fill-opacity='0.55' stroke='#222'";
    if (task % 4 == 0)
        str_printf(out, "<circle cx='%.1f' cy='%.1f' r='6' fill='%s' %s/>\n", x, y, colour, style);
    else if (task % 4 == 1)
        str_printf(out, "<rect x='%.1f' y='%.1f' width='11' height='11' fill='%s' %s/>\n", x - 5.5,
                   y - 5.5, colour, style);
    else if (task % 4 == 2)
        str_printf(out, "<path d='M%.1f %.1fl7 12h-14z' fill='%s' %s/>\n", x, y - 7, colour, style);
    else
        str_printf(out, "<path d='M%.1f %.1fl7 7l-7 7l-7 -7z' fill='%s' %s/>\n", x, y - 7, colour,
                   style);
}

static void put_axes(struct str *out, const struct points *p)
{
    double bottom = HEIGHT - BOTTOM, right = WIDTH - RIGHT;
    str_printf(out, "<path d='M%d %dV%.0fH%.0f' fill='none' stroke='#222'/>\n", LEFT, TOP, bottom,
               right);
    for (int h = 0; h <= 10; h += 2)
        str_printf(out,
                   "<path d='M%.1f %.0fv5' stroke='#222'/><text x='%.1f' y='%.0f' "
                   "text-anchor='middle'>%d</text>\n",
                   svg_x(h), bottom, svg_x(h), bottom + 20, h);
    for (int k = 0; k <= 4; k++) {
        double value = p->low + (p->high - p->low) * k / 4;
        str_printf(out,
                   "<path d='M%d %.1fh-5' stroke='#222'/><text x='%d' y='%.1f' "
                   "text-anchor='end'>%.2f</text>\n",
                   LEFT, svg_y(p, value), LEFT - 9, svg_y(p, value) + 4, value);
    }
    str_printf(out, "<text x='%.0f' y='%d' text-anchor='middle'>human score, 0 to 10</text>\n",
               (LEFT + right) / 2, HEIGHT - 16);
    str_printf(out,
               "<text transform='translate(20 %.0f) rotate(-90)' text-anchor='middle'>automatic "
               "score (reward)</text>\n",
               (TOP + bottom) / 2);
}

static void put_legend(struct str *out, const struct points *p)
{
    for (int t = 0; t < p->n_tasks; t++) {
        int y = TOP + 14 + 22 * t;
        mark(out, t, WIDTH - RIGHT + 24, y);
        str_printf(out, "<text x='%d' y='%d'>", WIDTH - RIGHT + 38, y + 4);
        escape(out, p->tasks[t][0] ? p->tasks[t] : "(no task)");
        str_puts(out, "</text>\n");
    }
}

void audit_plot_svg(struct str *out, const struct audit *a, const struct audit_result *r)
{
    struct points p;
    measure(&p, a);
    str_printf(out,
               "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' role='img' "
               "font-family='sans-serif' font-size='13' fill='#222'>\n<title>Reward audit%s</title>"
               "\n<rect width='%d' height='%d' fill='#fff'/>\n",
               WIDTH, HEIGHT, r->simulated ? " (simulated)" : "", WIDTH, HEIGHT);
    str_printf(out, "<text x='%d' y='24' font-size='16'>Reward audit%s</text>\n", LEFT,
               r->simulated ? " — SIMULATED human scores" : "");
    if (isnan(r->correlation.rho))
        str_printf(out, "<text x='%d' y='44'>ρ undefined, n = %zu</text>\n", LEFT, r->n);
    else
        str_printf(out, "<text x='%d' y='44'>ρ = %.2f, 95%% %.2f to %.2f, n = %zu</text>\n", LEFT,
                   r->correlation.rho, r->correlation.ci.low, r->correlation.ci.high, r->n);
    put_axes(out, &p);
    for (size_t i = 0; i < a->n; i++)
        if (shown(&a->items[i]))
            mark(out, task_index(&p, a->items[i].task), svg_x(a->items[i].human),
                 svg_y(&p, a->items[i].automatic));
    put_legend(out, &p);
    str_puts(out, "</svg>\n");
}
