/* cell.h: numbers as a report writes them, the same in tables and in sentences. */
#ifndef REPORT_CELL_H
#define REPORT_CELL_H
#include "base/str.h"
#include "stats/stats.h"

/* Text of a number; "–" where there is none (NaN, infinity). */
struct cell {
    char text[96];
};
struct cell cell_number(double x, int decimals);
struct cell cell_signed(double x);                   /* "+0.258" */
struct cell cell_interval(struct interval ci);       /* "[0.247, 0.268]" */
struct cell cell_change(struct interval ci);         /* "[+0.247, +0.268]" */
struct cell cell_gain(double x, struct interval ci); /* "+0.258 [+0.247, +0.268]" */
struct cell cell_half(double x, struct interval ci); /* "0.923 ± 0.007" */
struct cell cell_count(double n);                    /* "1,234", "more than 100,000" */
struct cell cell_p(double p);                        /* "0.0312", "< 0.0001" */

/* A text with every digest in it cut: 64 letters of a hash, twice, hide the sentence around them.
 */
void cell_cut_digests(struct str *out, const char *text);

#endif
