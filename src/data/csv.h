/* csv.h: comma-separated values as RFC 4180 has them, over bytes that stay the caller's: fields in
 * quotes may hold commas, line breaks and doubled quotes; records end with LF, CRLF or CR; a
 * byte-order mark and a missing last line break are fine, blank lines are skipped. The first record
 * names the columns, and every other one has as many fields.
 *
 * Errors are ERR_INPUT and name file, row, line and, where there is one, column: a quote that is
 * never closed, text behind a closing quote, a quote within a bare field, a wrong number of fields,
 * bytes that are no UTF-8, a NUL, two columns of one name. Linear in the size. */
#ifndef DATA_CSV_H
#define DATA_CSV_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

enum { CSV_MAX_COLUMNS = 256 };

struct csv {
    const char *name; /* of the file, for errors; borrowed */
    const char *data; /* borrowed */
    size_t size, at;
    char separator;
    long row;        /* of the record at hand, counted from 1 without the header; 0: the header */
    long line, next; /* where it begins, and where the next one does, from 1 */
    size_t n_columns;
    struct slice columns[CSV_MAX_COLUMNS]; /* names, in `names` */
    struct slice fields[CSV_MAX_COLUMNS];  /* of the record at hand, until the next one */
    struct str names, buffer;
};

/* Reads the header. csv_close in any case. */
int csv_open(struct csv *c, const void *data, size_t size, const char *name, struct err *err);
/* The same where fields are separated by this instead of a comma: spreadsheets of countries that
 * write 7,5 save semicolons. */
int csv_open_separated(struct csv *c, const void *data, size_t size, char separator,
                       const char *name, struct err *err);
/* 1: a record in fields; 0: the end; -1: *err says why. */
int csv_next(struct csv *c, struct err *err);
void csv_close(struct csv *c);
/* The index of a column; ERR_INPUT names it, the nearest one there is, and all of them. */
int csv_column(size_t *index, const struct csv *c, const char *name, struct err *err);
/* ERR_INPUT about a field of the record at hand: "FILE, row 3 (line 5), column NAME". */
int csv_complain(const struct csv *c, size_t column, struct err *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
