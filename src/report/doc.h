/* doc.h: one text, written as Markdown and as HTML by the same calls, so that the two cannot say
 * different things. Whatever is passed is plain text: control characters are made visible and what
 * either language would take for markup is escaped here. The HTML is one file without scripts and
 * without anything to fetch; figures are in it alone. */
#ifndef REPORT_DOC_H
#define REPORT_DOC_H
#include "base/str.h"

struct doc {
    struct str md, html;
    struct str text;     /* of the call at hand */
    bool failed;         /* memory ran out for a text of a call, or of a caller's */
    int columns, column; /* of the table at hand */
    const char *const *heads;
};

void doc_begin(struct doc *d, const char *title);
void doc_end(struct doc *d);
void doc_free(struct doc *d);
bool doc_failed(const struct doc *d); /* memory ran out on the way */

void doc_heading(struct doc *d, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doc_text(struct doc *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A paragraph that must not be overlooked. */
void doc_strong(struct doc *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with only its first words strong: an answer, and what it rests on. */
void doc_answer(struct doc *d, const char *lead, const char *text);

void doc_list_begin(struct doc *d);
void doc_item(struct doc *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doc_list_end(struct doc *d);

/* A table: its heads, which are borrowed until its end, then cell by cell, row by row. On a narrow
 * screen one of more than three columns becomes a card a row, each cell beside its head. */
void doc_table_begin(struct doc *d, const char *const *heads, int n);
void doc_cell(struct doc *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doc_table_end(struct doc *d);

/* What few will read: in HTML folded away under its title until it is asked for (no script:
 * details; on paper it is open), in Markdown a line above. */
void doc_fold_begin(struct doc *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doc_fold_end(struct doc *d);

/* A text of somebody else's, line by line as it is, at most `most` bytes of it (0: all). */
void doc_block(struct doc *d, const char *text, size_t length, size_t most);

/* Figures stand side by side where there is room. svg is trusted: plot.h's. */
void doc_figures_begin(struct doc *d);
void doc_figure(struct doc *d, const struct str *svg, const char *caption);
void doc_figures_end(struct doc *d);

/* Appends text with & < > " ' as entities: for HTML and SVG. */
void doc_escape_xml(struct str *out, const char *text, size_t length);

#endif
