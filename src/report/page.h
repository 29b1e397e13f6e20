/* page.h: the findings as a page for people. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H
#include "report/cell.h"
#include "report/doc.h"
#include "report/findings.h"

int page_write(struct doc *d, const struct findings *f, struct err *err);
/* Only headline, results and answers, for a terminal. */
void page_summary(struct str *text, const struct findings *f);

/* page_made.c: gates, history, completions, recipe, machine, time. */
void page_gates(struct doc *d, const struct findings *f);
void page_history(struct doc *d, const struct findings *f);
void page_completions(struct doc *d, const struct findings *f);
void page_recipe(struct doc *d, const struct findings *f);
void page_time(struct doc *d, const struct findings *f);

/* object.c: the findings as one JSON object. */
void object_write(struct str *json, const struct findings *f);

#endif
