/* plain.h: a report's Markdown for a terminal. */
#ifndef REPORT_PLAIN_H
#define REPORT_PLAIN_H
#include "base/str.h"

/* Appends what doc.h wrote as Markdown, without its markup. */
void plain_text(struct str *out, const char *markdown, size_t length);

#endif
