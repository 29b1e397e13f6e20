/* jsonl.h: lines of JSON objects. CRLF, a byte-order mark and a missing final newline are fine,
 * blank lines are skipped (but counted), invalid UTF-8 and lone surrogates are line errors. */
#ifndef FORMATS_JSONL_H
#define FORMATS_JSONL_H
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/err.h"
#include "base/str.h"

struct jsonl_reader {
    FILE *file;
    char *name;
    long line; /* number of the line last returned, 1-based */
    struct str buffer;
};

int jsonl_open(struct jsonl_reader *r, const char *path /* "-": stdin */, struct err *err);
/* One line. Returns 1 and *value (caller's reference) for an object; 1 and *value NULL with err set
 * for a bad line (reading may go on); 0 at the end; -1 on a read error. */
int jsonl_next(struct jsonl_reader *r, json_t **value, struct err *err);
void jsonl_close(struct jsonl_reader *r);

#endif
