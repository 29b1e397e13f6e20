/* jsonl.h: lines of JSON objects. CRLF, a byte-order mark and a missing final newline are fine,
 * blank lines are skipped (but counted), invalid UTF-8 and lone surrogates are line errors. */
#ifndef FORMATS_JSONL_H
#define FORMATS_JSONL_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct jsonl_reader {
    int fd;
    char *name;
    long line;           /* number of the line last returned, 1-based */
    struct str buffer;   /* what was read; bytes from `at` on are not yet taken, */
    size_t at, searched; /* and hold no newline before `searched` */
    bool at_end;         /* of the file */
    uint64_t position;   /* in the file, behind the line last taken */
};

int jsonl_open(struct jsonl_reader *r, const char *path /* "-": stdin */, struct err *err);
/* Begins at this byte of a file instead of its first; the lines are counted from there. */
int jsonl_skip(struct jsonl_reader *r, uint64_t offset, struct err *err);
/* One line. Returns 1 and *value (caller's reference) for an object; 1 and *value NULL with err set
 * for a bad line (reading may go on); 0 at the end; -1 on a read error. */
int jsonl_next(struct jsonl_reader *r, json_t **value, struct err *err);
/* The same in two halves. The text of the next line that is not blank, without white space at its
 * ends; valid until the next call. 1, 0 at the end, -1 on a read error. */
int jsonl_take(struct jsonl_reader *r, struct slice *text, struct err *err);
/* Its object. May run on several threads at once. ERR_INPUT: a bad line; ERR_MACHINE: no memory. */
int jsonl_parse(json_t **value, struct slice text, const char *name, long line, struct err *err);
/* Whether the next line can be had without waiting for whoever writes it (or the end is there).
 * Takes in what there is, so what jsonl_take gave before is gone. */
bool jsonl_ready(struct jsonl_reader *r);
void jsonl_close(struct jsonl_reader *r);

#endif
