/* sql_result.c: results as values and as bytes; see sql_result.h. The bytes are the header below,
 * the cells and the texts, as they lie in memory: both ends are the same program. What is read back
 * is checked all the same, since a process that ran a hostile query wrote it. */
#include "reward/sql_result.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"

struct header {
    int32_t outcome, n_columns, n_rows;
    uint8_t parses, reads, truncated, zero;
    int64_t steps;
    uint64_t n_bytes;
    char message[sizeof((struct sql_result *)0)->message];
};

const char *sql_outcome_name(enum sql_outcome outcome)
{
    static const char *const names[] = {"ran",         "syntax", "not_allowed", "invalid",
                                        "over_budget", "error",  "crashed",     "machine"};
    return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "unknown";
}

void sql_result_free(struct sql_result *r)
{
    mem_free(r->cells);
    str_free(&r->bytes);
    *r = (struct sql_result){0};
}

void sql_result_set(struct sql_result *r, enum sql_outcome outcome, const char *format, ...)
{
    struct sql_result empty = {
        .outcome = outcome, .parses = r->parses, .reads = r->reads, .steps = r->steps};
    va_list args;
    va_start(args, format);
    vsnprintf(empty.message, sizeof empty.message, format, args);
    va_end(args);
    sql_result_free(r);
    *r = empty;
}

static size_t count_cells(const struct sql_result *r)
{
    return ((size_t)r->n_rows + 1) * (size_t)r->n_columns;
}

void sql_result_put(struct str *out, const struct sql_result *r)
{
    struct header h;
    memset(&h, 0, sizeof h); /* its padding too */
    h.outcome = (int32_t)r->outcome;
    h.n_columns = r->n_columns;
    h.n_rows = r->n_rows;
    h.parses = r->parses;
    h.reads = r->reads;
    h.truncated = r->truncated;
    h.steps = r->steps;
    h.n_bytes = r->bytes.length;
    memcpy(h.message, r->message, sizeof h.message);
    str_append(out, &h, sizeof h);
    if (r->cells)
        str_append(out, r->cells, count_cells(r) * sizeof *r->cells);
    if (r->bytes.length)
        str_append(out, r->bytes.data, r->bytes.length);
}

static bool cell_is_sound(const struct sql_cell *c, const struct sql_result *r)
{
    if (c->type == SQL_TEXT || c->type == SQL_BLOB)
        return c->offset < r->bytes.length && c->length < r->bytes.length - c->offset &&
               r->bytes.data[c->offset + c->length] == 0;
    return c->type == SQL_NULL || c->type == SQL_INTEGER ||
           (c->type == SQL_REAL && !isnan(c->real));
}

bool sql_result_get(struct sql_result *r, const void *data, size_t size, bool *no_memory)
{
    struct header h;
    const char *at = data;
    size_t cells = 0;
    *r = (struct sql_result){0};
    *no_memory = false;
    if (size < sizeof h)
        return false;
    memcpy(&h, at, sizeof h);
    at += sizeof h;
    size -= sizeof h;
    if (h.n_columns < 0 || h.n_rows < 0 || (h.n_columns == 0 && h.n_rows > 0) || h.outcome < 0 ||
        h.outcome > (int32_t)SQL_MACHINE || h.parses > 1 || h.reads > 1 || h.truncated > 1 ||
        !mem_mul(&cells, (size_t)h.n_rows + 1, (size_t)h.n_columns) ||
        !mem_mul(&cells, cells, sizeof *r->cells) || cells > size || size - cells != h.n_bytes)
        return false;
    *r = (struct sql_result){.outcome = (enum sql_outcome)h.outcome,
                             .parses = h.parses,
                             .reads = h.reads,
                             .truncated = h.truncated,
                             .steps = h.steps,
                             .n_columns = h.n_columns,
                             .n_rows = h.n_rows};
    snprintf(r->message, sizeof r->message, "%.*s", (int)sizeof h.message - 1, h.message);
    r->cells = mem_alloc(cells);
    str_append(&r->bytes, at + cells, h.n_bytes);
    *no_memory = !r->cells || r->bytes.failed;
    bool sound = !*no_memory;
    if (sound)
        memcpy(r->cells, at, cells);
    for (size_t i = 0; sound && i < count_cells(r); i++)
        sound = cell_is_sound(&r->cells[i], r);
    for (int i = 0; sound && i < r->n_columns; i++)
        sound = r->cells[i].type == SQL_TEXT;
    if (!sound)
        sql_result_free(r);
    return sound;
}
