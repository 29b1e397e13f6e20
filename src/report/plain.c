/* plain.c: Markdown as doc.c writes it, for a terminal: no escapes, no asterisks, columns of tables
 * under each other. The last column is not filled up, so that a long verdict costs no line. */
#include "report/plain.h"
#include <string.h>
#include "base/str.h"

enum { MOST_COLUMNS = 80 };

/* --- words --- */

/* Code points, as most terminals show them one column each. */
static size_t width_of(const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static void put_plain(struct str *out, const char *text, size_t length)
{
    static const struct {
        const char *entity;
        char stands_for;
    } entities[] = {{"&lt;", '<'}, {"&amp;", '&'}};
    for (size_t i = 0; i < length; i++) {
        size_t rest = length - i, e = 0;
        while (e < 2 && (rest < strlen(entities[e].entity) ||
                         memcmp(text + i, entities[e].entity, strlen(entities[e].entity)) != 0))
            e++;
        if (e < 2) {
            str_putc(out, entities[e].stands_for);
            i += strlen(entities[e].entity) - 1;
        } else if (text[i] == '\\' && rest > 1) {
            str_putc(out, text[++i]);
        } else if (text[i] != '*') {
            str_putc(out, text[i]);
        }
    }
}

/* --- tables --- */

/* The next cell of a row "| a | b |"; false at its end. Bars of texts are escaped. */
static bool next_cell(const char **at, const char *end, const char **cell, size_t *length)
{
    const char *from = *at + (*at < end && **at == '|');
    while (from < end && *from == ' ')
        from++;
    const char *to = from;
    while (to < end && *to != '|')
        to += *to == '\\' && to + 1 < end ? 2 : 1;
    *at = to;
    if (to >= end)
        return false;
    while (to > from && to[-1] == ' ')
        to--;
    *cell = from;
    *length = (size_t)(to - from);
    return true;
}

static const char *end_of_line(const char *line, const char *end)
{
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    return newline ? newline : end;
}

static bool is_rule(const char *line, const char *end)
{
    bool dashes = false;
    for (; line < end; line++) {
        if (!strchr("|-: ", *line))
            return false;
        dashes = dashes || *line == '-';
    }
    return dashes;
}

static void put_row(struct str *out, const char *line, const char *end, const size_t *widths)
{
    struct str cell = {0};
    const char *text, *at = line;
    size_t length, owed = 0;
    for (int column = 0; column < MOST_COLUMNS && next_cell(&at, end, &text, &length); column++) {
        str_clear(&cell);
        put_plain(&cell, text, length);
        for (; owed; owed--)
            str_putc(out, ' ');
        str_append(out, str_text(&cell), cell.length);
        owed = widths[column] - width_of(str_text(&cell), cell.length) + 2;
        out->failed = out->failed || cell.failed;
    }
    str_putc(out, '\n');
    str_free(&cell);
}

/* Where the table that begins here ends. */
static const char *put_table(struct str *out, const char *table, const char *end)
{
    size_t widths[MOST_COLUMNS] = {0}, length;
    struct str cell = {0};
    const char *line = table, *text, *last = table;
    for (; line < end && *line == '|'; line = last < end ? last + 1 : end) {
        const char *at = line;
        last = end_of_line(line, end);
        for (int c = 0; c < MOST_COLUMNS && next_cell(&at, last, &text, &length); c++) {
            str_clear(&cell);
            put_plain(&cell, text, length);
            size_t width = is_rule(line, last) ? 0 : width_of(str_text(&cell), cell.length);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    out->failed = out->failed || cell.failed;
    str_free(&cell);
    for (const char *row = table; row < line;) {
        const char *stop = end_of_line(row, line);
        if (!is_rule(row, stop))
            put_row(out, row, stop, widths);
        row = stop < line ? stop + 1 : line;
    }
    return line;
}

void plain_text(struct str *out, const char *markdown, size_t length)
{
    const char *end = markdown + length;
    for (const char *line = markdown; line < end;) {
        if (*line == '|') {
            line = put_table(out, line, end);
            continue;
        }
        const char *stop = end_of_line(line, end);
        put_plain(out, line, (size_t)(stop - line));
        if (stop < end)
            str_putc(out, '\n');
        line = stop < end ? stop + 1 : end;
    }
}
