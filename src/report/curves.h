/* curves.h: what the metrics did, step by step: a figure a metric, the mean over the runs with the
 * band from the lowest to the highest of them; of one run alone, of an evaluation, ±1.96 standard
 * errors. Compared runs are lines of their own. */
#ifndef REPORT_CURVES_H
#define REPORT_CURVES_H
#include "report/doc.h"
#include "report/findings.h"

/* What lines and bands are: a sentence for all of them. */
void curves_explain(struct doc *d, const struct findings *f);
int curves_write(struct doc *d, const struct findings *f, struct err *err);

#endif
