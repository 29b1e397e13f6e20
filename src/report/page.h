/* page.h: the findings as a page for people. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H
#include "report/doc.h"
#include "report/findings.h"

int page_write(struct doc *d, const struct findings *f, struct err *err);
/* Only headline, results and answers, as Markdown. */
void page_summary(struct str *markdown, const struct findings *f);

/* page_made.c: gates, history, completions, recipe, machine, time. */
void page_gates(struct doc *d, const struct findings *f);
void page_history(struct doc *d, const struct findings *f);
void page_completions(struct doc *d, const struct findings *f);
void page_recipe(struct doc *d, const struct findings *f);
void page_time(struct doc *d, const struct findings *f);

/* A number for a cell; "–" where there is none. */
struct cell {
    char text[96];
};
struct cell cell_number(double x, int decimals);
struct cell cell_signed(double x);                   /* "+0.258" */
struct cell cell_interval(struct interval ci);       /* "[0.247, 0.268]" */
struct cell cell_gain(double x, struct interval ci); /* "+0.258 [+0.247, +0.268]" */
struct cell cell_half(double x, struct interval ci); /* "0.923 ± 0.007" */
struct cell cell_count(double n);                    /* "1,234", "more than 100,000" */

/* object.c: the findings as one JSON object. */
void object_write(struct str *json, const struct findings *f);

#endif
