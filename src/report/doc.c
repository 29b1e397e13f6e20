/* doc.c: see doc.h.
 *
 * Every text goes through log_printable (no control character, no byte that is not UTF-8, no
 * direction override survives) and then through one of two escapes. Texts of completions keep their
 * line breaks: in HTML inside <pre>, in Markdown as a block indented by four spaces, in which
 * nothing is markup, whatever fences the text holds. */
#include "report/doc.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"

enum { SHORT_CELL = 30, HEAD_CHARACTERS = 60, CARD_COLUMNS = 3 }; /* cells: bytes */

static const char style[] =
    ":root{color-scheme:light}"
    "body{font:16px/1.5 system-ui,sans-serif;color:#111;background:#fff;margin:0 auto;"
    "padding:1rem;max-width:76rem;overflow-wrap:anywhere}"
    "h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.25rem;margin-top:2.2rem;"
    "border-bottom:2px solid #111}h3{font-size:1.05rem;margin-bottom:.3rem}"
    "p,ul{max-width:50rem}"
    ".strong{border-left:5px solid #111;padding:.4rem .8rem;font-weight:600;background:#f3f3f3}"
    ".plain{font-weight:400}"
    ".scroll{overflow-x:auto;margin:.8rem 0}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}"
    "th,td{border:1px solid #999;padding:.25rem .55rem;text-align:left;vertical-align:top;"
    "overflow-wrap:normal}th{background:#e8e8e8}td.number{white-space:nowrap}"
    "td.long{white-space:normal;min-width:14rem;max-width:36rem;overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #999;background:#fafafa;"
    "padding:.5rem;margin:.3rem 0 1rem;font-size:.82rem;line-height:1.4}"
    "summary{cursor:pointer;margin:.8rem 0}"
    ".figures{display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,"
    "21rem),1fr))}"
    "figure{margin:0}figure svg{width:100%;height:auto;display:block}"
    "figcaption{font-size:.85rem;color:#333}"
    "@media screen and (max-width:40rem){td.long{min-width:0}.cards table,.cards tbody,.cards tr"
    "{display:block}.cards thead{display:none}.cards tr{border:1px solid #999;margin-bottom:.7rem}"
    ".cards td{display:flex;gap:.7rem;border:0;border-top:1px solid #ddd;max-width:none;"
    "white-space:normal}.cards td::before{content:attr(data-label);flex:0 0 40%;color:#333}"
    ".cards td:first-child{background:#e8e8e8;border-top:0;font-weight:600}}"
    "@media print{body{padding:0;font-size:11pt}.scroll{overflow:visible}table{font-size:7.5pt}"
    "th,td{padding:.1rem .25rem}td.number{white-space:normal}"
    "td.long{min-width:0}.figures{grid-template-columns:repeat(2,1fr)}"
    "details::details-content{content-visibility:visible;display:block}"
    "tr,figure,.strong{break-inside:avoid}h2,h3{break-after:avoid}}";

/* --- escaping --- */

void doc_escape_xml(struct str *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '&':
            str_puts(out, "&amp;");
            break;
        case '<':
            str_puts(out, "&lt;");
            break;
        case '>':
            str_puts(out, "&gt;");
            break;
        case '"':
            str_puts(out, "&quot;");
            break;
        case '\'':
            str_puts(out, "&#39;");
            break;
        default:
            str_putc(out, text[i]);
        }
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* An underscore inside a word is none of Markdown's; elsewhere it is, as the others are. */
static void escape_md(struct str *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool inside = i > 0 && i + 1 < length && is_word(text[i - 1]) && is_word(text[i + 1]);
        if (c == '<')
            str_puts(out, "&lt;");
        else if (c == '&')
            str_puts(out, "&amp;");
        else if (strchr("\\`*[]|~>$", c) || (c == '_' && !inside))
            str_printf(out, "\\%c", c);
        else
            str_putc(out, c);
    }
}

/* A text, printable and cut to so many columns (0: whole), in d->text. */
static void take_text(struct doc *d, const char *text, size_t length, size_t columns)
{
    str_clear(&d->text);
    log_printable(&d->text, text, length, columns);
    d->failed = d->failed || d->text.failed;
}

/* The text of a call, printable, in d->text. */
static void format_text(struct doc *d, const char *format, va_list args)
{
    struct str raw = {0};
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    CHECK(n >= 0);
    if ((size_t)n < sizeof small) {
        take_text(d, small, (size_t)n, 0);
    } else {
        for (int i = 0; i <= n; i++) /* room */
            str_putc(&raw, ' ');
        if (!raw.failed) {
            vsnprintf(raw.data, (size_t)n + 1, format, again);
            take_text(d, raw.data, (size_t)n, 0);
        }
        d->failed = d->failed || raw.failed;
    }
    va_end(again);
    str_free(&raw);
}

static void put_md(struct doc *d)
{
    escape_md(&d->md, str_text(&d->text), d->text.length);
}

static void put_html(struct doc *d)
{
    doc_escape_xml(&d->html, str_text(&d->text), d->text.length);
}

#define FORMAT_TEXT(d, format)                                                                     \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        format_text(d, format, args);                                                              \
        va_end(args);                                                                              \
    } while (0)

/* --- the whole --- */

void doc_begin(struct doc *d, const char *title)
{
    *d = (struct doc){0};
    take_text(d, title, strlen(title), 0);
    str_puts(&d->md, "# ");
    put_md(d);
    str_puts(&d->md, "\n\n");
    str_puts(&d->html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                       "style-src 'unsafe-inline'\">\n<title>");
    put_html(d);
    str_printf(&d->html, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>", style);
    put_html(d);
    str_puts(&d->html, "</h1>\n");
}

void doc_end(struct doc *d)
{
    str_puts(&d->html, "</body>\n</html>\n");
}

void doc_free(struct doc *d)
{
    str_free(&d->md);
    str_free(&d->html);
    str_free(&d->text);
}

bool doc_failed(const struct doc *d)
{
    return d->failed || d->md.failed || d->html.failed;
}

/* --- texts --- */

void doc_heading(struct doc *d, int level, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    for (int i = 0; i < level; i++)
        str_putc(&d->md, '#');
    str_putc(&d->md, ' ');
    put_md(d);
    str_puts(&d->md, "\n\n");
    str_printf(&d->html, "<h%d>", level);
    put_html(d);
    str_printf(&d->html, "</h%d>\n", level);
}

void doc_text(struct doc *d, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    put_md(d);
    str_puts(&d->md, "\n\n");
    str_puts(&d->html, "<p>");
    put_html(d);
    str_puts(&d->html, "</p>\n");
}

void doc_strong(struct doc *d, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    str_puts(&d->md, "**");
    put_md(d);
    str_puts(&d->md, "**\n\n");
    str_puts(&d->html, "<p class=\"strong\">");
    put_html(d);
    str_puts(&d->html, "</p>\n");
}

void doc_answer(struct doc *d, const char *lead, const char *text)
{
    take_text(d, lead, strlen(lead), 0);
    str_puts(&d->md, "**");
    put_md(d);
    str_puts(&d->md, "** ");
    str_puts(&d->html, "<p class=\"strong\">");
    put_html(d);
    take_text(d, text, strlen(text), 0);
    put_md(d);
    str_puts(&d->md, "\n\n");
    str_puts(&d->html, " <span class=\"plain\">");
    put_html(d);
    str_puts(&d->html, "</span></p>\n");
}

void doc_list_begin(struct doc *d)
{
    str_puts(&d->html, "<ul>\n");
}

void doc_item(struct doc *d, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    str_puts(&d->md, "- ");
    put_md(d);
    str_putc(&d->md, '\n');
    str_puts(&d->html, "<li>");
    put_html(d);
    str_puts(&d->html, "</li>\n");
}

void doc_list_end(struct doc *d)
{
    str_putc(&d->md, '\n');
    str_puts(&d->html, "</ul>\n");
}

/* --- tables --- */

void doc_table_begin(struct doc *d, const char *const *heads, int n)
{
    d->columns = n;
    d->column = 0;
    d->heads = heads;
    str_printf(&d->html, "<div class=\"scroll%s\" tabindex=\"0\"><table>\n<thead><tr>",
               n > CARD_COLUMNS ? " cards" : "");
    for (int i = 0; i < n; i++) {
        take_text(d, heads[i], strlen(heads[i]), HEAD_CHARACTERS);
        str_puts(&d->md, i ? " | " : "| ");
        put_md(d);
        str_puts(&d->html, "<th>");
        put_html(d);
        str_puts(&d->html, "</th>");
    }
    str_puts(&d->md, " |\n|");
    for (int i = 0; i < n; i++)
        str_puts(&d->md, "---|");
    str_putc(&d->md, '\n');
    str_puts(&d->html, "</tr></thead>\n<tbody>\n");
}

/* Numbers and intervals stay in one line; sentences get room and wrap. */
static const char *cell_class(const struct str *text)
{
    const char *shown = str_text(text);
    if (text->length > SHORT_CELL)
        return " class=\"long\"";
    return *shown && strchr("0123456789+-[<", *shown) ? " class=\"number\"" : "";
}

/* The head again, for where the row of heads is not shown. */
static void put_label(struct doc *d, const char *head)
{
    struct str shown = {0};
    log_printable(&shown, head, strlen(head), HEAD_CHARACTERS);
    str_puts(&d->html, " data-label=\"");
    doc_escape_xml(&d->html, str_text(&shown), shown.length);
    str_putc(&d->html, '"');
    d->html.failed = d->html.failed || shown.failed;
    str_free(&shown);
}

void doc_cell(struct doc *d, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    CHECK(d->columns > 0);
    str_puts(&d->md, d->column ? " | " : "| ");
    put_md(d);
    str_printf(&d->html, "%s<td%s", d->column ? "" : "<tr>", cell_class(&d->text));
    if (d->columns > CARD_COLUMNS)
        put_label(d, d->heads[d->column]);
    str_putc(&d->html, '>');
    put_html(d);
    str_puts(&d->html, "</td>");
    if (++d->column == d->columns) {
        d->column = 0;
        str_puts(&d->md, " |\n");
        str_puts(&d->html, "</tr>\n");
    }
}

void doc_table_end(struct doc *d)
{
    CHECK(d->column == 0);
    d->columns = 0;
    str_putc(&d->md, '\n');
    str_puts(&d->html, "</tbody></table></div>\n");
}

/* --- blocks --- */

void doc_fold_begin(struct doc *d, const char *format, ...)
{
    FORMAT_TEXT(d, format);
    put_md(d);
    str_puts(&d->md, ":\n\n");
    str_puts(&d->html, "<details>\n<summary>");
    put_html(d);
    str_puts(&d->html, "</summary>\n");
}

void doc_fold_end(struct doc *d)
{
    str_puts(&d->html, "</details>\n");
}

static size_t cut_length(const char *text, size_t length, size_t most)
{
    if (!most || length <= most)
        return length;
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
        most--; /* not inside a character */
    return most;
}

void doc_block(struct doc *d, const char *text, size_t length, size_t most)
{
    size_t shown = cut_length(text, length, most);
    str_puts(&d->html, "<pre>");
    for (size_t at = 0; at <= shown;) {
        const char *line = text + at;
        const char *end = shown > at ? memchr(line, '\n', shown - at) : NULL;
        size_t n = end ? (size_t)(end - line) : shown - at;
        take_text(d, line, n, 0);
        str_puts(&d->md, "    ");
        str_append(&d->md, str_text(&d->text), d->text.length);
        str_putc(&d->md, '\n');
        put_html(d);
        if (end)
            str_putc(&d->html, '\n');
        at += n + 1;
    }
    if (shown < length) {
        str_printf(&d->md, "    … (%zu bytes more)\n", length - shown);
        str_printf(&d->html, " … (%zu bytes more)", length - shown);
    }
    str_putc(&d->md, '\n');
    str_puts(&d->html, "</pre>\n");
}

/* --- figures --- */

void doc_figures_begin(struct doc *d)
{
    str_puts(&d->html, "<div class=\"figures\">\n");
}

void doc_figure(struct doc *d, const struct str *svg, const char *caption)
{
    take_text(d, caption, strlen(caption), 0);
    str_puts(&d->md, "- Figure (in report.html): ");
    put_md(d);
    str_putc(&d->md, '\n');
    str_puts(&d->html, "<figure>\n");
    str_append(&d->html, str_text(svg), svg->length);
    str_puts(&d->html, "<figcaption>");
    put_html(d);
    str_puts(&d->html, "</figcaption>\n</figure>\n");
    d->html.failed = d->html.failed || svg->failed;
}

void doc_figures_end(struct doc *d)
{
    str_putc(&d->md, '\n');
    str_puts(&d->html, "</div>\n");
}
