/* option_help.c: the help text of an option table; see option_table_help in option.h.
 *
 *   lora.r           integer        Rank of the adapter. Default: 16.
 *   lora.bias        none|all       Which biases train, in a sentence long enough to go on
 *                                   in the next line. Also: bias_type.
 *
 * Columns are as wide as their widest entry, up to a bound; a wider entry gets a line of its own.
 */
#include <stdio.h>
#include <string.h>
#include "recipe/option.h"

enum { WIDTH = 100, INDENT = 2, GAP = 2, MAX_NAME = 34, MAX_TYPE = 24 };

/* Code points, near enough to columns for our own texts. */
static size_t columns(const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static void put_name(struct str *out, const struct option_table *table, const struct option *o)
{
    str_printf(out, "%s%s%s", table->section ? table->section : "", table->section ? "." : "",
               o->name);
}

static void put_type(struct str *out, const struct option *o)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "true|false",       [OPTION_INT] = "integer",
        [OPTION_FLOAT] = "number",          [OPTION_STRING] = "text",
        [OPTION_STRINGS] = "list of texts", [OPTION_INTS] = "list of integers",
        [OPTION_NODE] = "structure",
    };
    if (o->type != OPTION_CHOICE) {
        str_puts(out, names[o->type]);
        return;
    }
    for (int i = 0; o->choices[i]; i++)
        str_printf(out, "%s%s", i ? "|" : "", o->choices[i]);
}

/* The last column: the sentence, the default, the other names. */
static void put_sentence(struct str *out, const struct option *o)
{
    if (o->help)
        str_puts(out, o->help);
    if (o->default_text)
        str_printf(out, "%sDefault: %s.", out->length ? " " : "", o->default_text);
    if (o->aliases)
        str_printf(out, "%sAlso: %s.", out->length ? " " : "", o->aliases);
}

/* Pads from column `at` to column `to`, or breaks the line when that is already passed. */
static void move_to(struct str *out, size_t at, size_t to)
{
    if (at + GAP > to) {
        str_putc(out, '\n');
        at = 0;
    }
    for (; at < to; at++)
        str_putc(out, ' ');
}

/* Words of text from column `left` on, broken before WIDTH; a word longer than a line stays whole.
 */
static void put_wrapped(struct str *out, const char *text, size_t left)
{
    size_t at = left;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t length = strcspn(text, " "), wide = columns(text, length);
        if (at > left && at + 1 + wide > WIDTH) {
            str_putc(out, '\n');
            for (at = 0; at < left; at++)
                str_putc(out, ' ');
        } else if (at > left) {
            str_putc(out, ' ');
            at++;
        }
        str_append(out, text, length);
        at += wide;
        text += length;
    }
    str_putc(out, '\n');
}

void option_table_help(struct str *out, const struct option_table *table)
{
    size_t name_width = 0, type_width = 0;
    struct str cell = {0};
    for (size_t i = 0; i < table->count; i++) {
        str_clear(&cell);
        put_name(&cell, table, &table->options[i]);
        size_t wide = columns(str_text(&cell), cell.length);
        if (wide > name_width && wide <= MAX_NAME)
            name_width = wide;
        str_clear(&cell);
        put_type(&cell, &table->options[i]);
        wide = columns(str_text(&cell), cell.length);
        if (wide > type_width && wide <= MAX_TYPE)
            type_width = wide;
    }
    size_t type_at = INDENT + name_width + GAP, help_at = type_at + type_width + GAP;
    for (size_t i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        move_to(out, 0, INDENT);
        str_clear(&cell);
        put_name(&cell, table, o);
        str_append(out, str_text(&cell), cell.length);
        move_to(out, INDENT + columns(str_text(&cell), cell.length), type_at);
        str_clear(&cell);
        put_type(&cell, o);
        str_append(out, str_text(&cell), cell.length);
        move_to(out, type_at + columns(str_text(&cell), cell.length), help_at);
        str_clear(&cell);
        put_sentence(&cell, o);
        put_wrapped(out, str_text(&cell), help_at);
    }
    out->failed = out->failed || cell.failed;
    str_free(&cell);
}
