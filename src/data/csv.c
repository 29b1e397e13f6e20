/* csv.c: one pass over the bytes; see csv.h. A record's fields are collected in one buffer, without
 * their quotes, and become slices of it when the record is complete: the buffer may move while it
 * grows. */
#include "data/csv.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"

static int complain(const struct csv *c, long row, long line, const char *column, struct err *err,
                    const char *message)
{
    char where[256];
    if (row)
        snprintf(where, sizeof where, "%.140s, row %ld (line %ld)%s%.60s", c->name, row, line,
                 column ? ", column " : "", column ? column : "");
    else
        snprintf(where, sizeof where, "%.200s, header", c->name);
    return err_set(err, ERR_INPUT, where, "%s", message);
}

int csv_complain(const struct csv *c, size_t column, struct err *err, const char *format, ...)
{
    char message[700];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return complain(c, c->row, c->line, c->columns[column].data, err, message);
}

/* A record in the making. */
struct record {
    struct csv *c;
    long row;
    size_t n;                     /* fields begun and ended */
    size_t ends[CSV_MAX_COLUMNS]; /* offsets in the buffer */
    struct err *err;
};

static int record_error(const struct record *r, const char *message)
{
    const struct csv *c = r->c;
    bool known = r->row && r->n < c->n_columns;
    return complain(c, r->row, c->line, known ? c->columns[r->n].data : NULL, r->err, message);
}

static bool at_break(const struct csv *c)
{
    return c->at == c->size || c->data[c->at] == '\n' || c->data[c->at] == '\r';
}

/* Moves past LF, CRLF or CR. */
static void pass_break(struct csv *c)
{
    if (c->at == c->size)
        return;
    bool crlf = c->data[c->at] == '\r' && c->at + 1 < c->size && c->data[c->at + 1] == '\n';
    c->at += crlf ? 2 : 1;
    c->next++;
}

static int quoted_field(struct record *r)
{
    struct csv *c = r->c;
    for (c->at++;; c->at++) {
        const char *rest = c->data + c->at;
        const char *quote = c->at < c->size ? memchr(rest, '"', c->size - c->at) : NULL;
        if (!quote)
            return record_error(r, "a quoted field begins here and is never closed: the closing \" "
                                   "is missing, or one within the text is not doubled");
        size_t n = (size_t)(quote - rest);
        for (size_t i = 0; i < n; i++) /* as pass_break counts them */
            c->next += rest[i] == '\n' || (rest[i] == '\r' && rest[i + 1] != '\n');
        str_append(&c->buffer, rest, n);
        c->at += n + 1;
        if (c->at == c->size || c->data[c->at] != '"')
            break;
        str_putc(&c->buffer, '"');
    }
    if (!at_break(c) && c->data[c->at] != c->separator)
        return record_error(r, "there is text behind a closing \": expected a comma or the end of "
                               "the line; a \" within a quoted field is written twice");
    return ERR_NONE;
}

static int bare_field(struct record *r)
{
    struct csv *c = r->c;
    size_t start = c->at;
    while (!at_break(c) && c->data[c->at] != c->separator) {
        if (c->data[c->at] == '"')
            return record_error(r, "there is a \" within a field that does not begin with one: put "
                                   "the field in quotes and write the \" twice");
        c->at++;
    }
    str_append(&c->buffer, c->data + start, c->at - start);
    return ERR_NONE;
}

static int check_text(const struct record *r, const char *text, size_t length)
{
    if (memchr(text, 0, length))
        return record_error(r, "holds a NUL byte; expected text");
    if (!utf8_valid(text, length))
        return record_error(r, "is not valid UTF-8: save the file as UTF-8");
    return ERR_NONE;
}

/* The fields of one record, NUL-terminated in the buffer one after another. */
static int read_fields(struct record *r)
{
    struct csv *c = r->c;
    str_clear(&c->buffer);
    for (bool more = true; more;) {
        size_t start = c->buffer.length;
        if (r->n == CSV_MAX_COLUMNS)
            return record_error(r, "has more than 256 fields");
        bool quoted = c->at < c->size && c->data[c->at] == '"';
        int status = quoted ? quoted_field(r) : bare_field(r);
        if (!status && c->buffer.failed)
            status = err_no_memory(r->err, c->name, c->buffer.length);
        if (!status)
            status = check_text(r, str_text(&c->buffer) + start, c->buffer.length - start);
        if (status)
            return status;
        r->ends[r->n++] = c->buffer.length;
        str_putc(&c->buffer, '\0');
        more = c->at < c->size && c->data[c->at] == c->separator;
        c->at += more;
    }
    pass_break(c);
    return c->buffer.failed ? err_no_memory(r->err, c->name, c->buffer.length) : ERR_NONE;
}

static void slice_fields(struct slice *fields, const struct record *r, const struct str *buffer)
{
    for (size_t i = 0, start = 0; i < r->n; i++) {
        fields[i] = (struct slice){buffer->data + start, r->ends[i] - start};
        start = r->ends[i] + 1;
    }
}

static bool skip_blank_lines(struct csv *c)
{
    while (c->at < c->size && at_break(c))
        pass_break(c);
    c->line = c->next;
    return c->at < c->size;
}

int csv_open(struct csv *c, const void *data, size_t size, const char *name, struct err *err)
{
    return csv_open_separated(c, data, size, ',', name, err);
}

int csv_open_separated(struct csv *c, const void *data, size_t size, char separator,
                       const char *name, struct err *err)
{
    *c = (struct csv){
        .name = name, .data = data, .size = size, .separator = separator, .line = 1, .next = 1};
    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        c->at = 3;
    if (!skip_blank_lines(c))
        return err_set(err, ERR_INPUT, name, "is empty; expected a first line of column names");
    struct record r = {.c = c, .err = err};
    int status = read_fields(&r);
    if (status)
        return status;
    str_append(&c->names, c->buffer.data, c->buffer.length);
    if (c->names.failed)
        return err_no_memory(err, name, c->buffer.length);
    slice_fields(c->columns, &r, &c->names);
    c->n_columns = r.n;
    for (size_t i = 0; i < r.n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->columns[i].data, c->columns[k].data) == 0) {
                char message[160];
                snprintf(message, sizeof message, "has the column \"%.60s\" twice",
                         c->columns[i].data);
                return complain(c, 0, 1, NULL, err, message);
            }
    return ERR_NONE;
}

int csv_next(struct csv *c, struct err *err)
{
    if (!skip_blank_lines(c))
        return 0;
    struct record r = {.c = c, .row = c->row + 1, .err = err};
    if (read_fields(&r))
        return -1;
    c->row++;
    if (r.n != c->n_columns) {
        char message[160];
        snprintf(message, sizeof message,
                 "has %zu fields where the header has %zu columns: a comma too many or too few, or "
                 "a field with a comma that is not in quotes",
                 r.n, c->n_columns);
        complain(c, c->row, c->line, NULL, err, message);
        return -1;
    }
    slice_fields(c->fields, &r, &c->buffer);
    return 1;
}

void csv_close(struct csv *c)
{
    str_free(&c->names);
    str_free(&c->buffer);
    *c = (struct csv){0};
}

int csv_column(size_t *index, const struct csv *c, const char *name, struct err *err)
{
    const char *names[CSV_MAX_COLUMNS];
    for (size_t i = 0; i < c->n_columns; i++) {
        names[i] = c->columns[i].data;
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return ERR_NONE;
        }
    }
    struct str known = {0};
    int nearest = str_nearest(name, names, (int)c->n_columns);
    for (size_t i = 0; i < c->n_columns; i++)
        str_printf(&known, "%s%s", i ? ", " : "", names[i]);
    int status =
        err_set(err, ERR_INPUT, c->name, "has no column \"%s\"%s%.60s%s; its columns are %.400s",
                name, nearest >= 0 ? " (did you mean \"" : "", nearest >= 0 ? names[nearest] : "",
                nearest >= 0 ? "\"?)" : "", str_text(&known));
    str_free(&known);
    return status;
}
