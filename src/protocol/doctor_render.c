/* doctor_render.c: the report as an object, and the object as text. The text follows the object's
 * own order; the ending of a key says what a number is (…_bytes, …_seconds). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "protocol/doctor.h"

/* --- putting together --- */

void doctor_put(struct doctor *d, json_t *object, const char *key, json_t *value)
{
    if (!value || json_object_set_new(object, key, value))
        d->failed = true;
}

void doctor_push(struct doctor *d, json_t *array, json_t *value)
{
    if (!value || json_array_append_new(array, value))
        d->failed = true;
}

json_t *doctor_section(struct doctor *d, json_t *parent, const char *name)
{
    json_t *section = json_object();
    doctor_put(d, parent ? parent : d->report, name, section);
    return section;
}

json_t *doctor_string(const char *text)
{
    if (!text)
        return json_null();
    if (utf8_valid(text, strlen(text)))
        return json_string(text);
    struct str shown = {0};
    log_printable(&shown, text, strlen(text), 0);
    json_t *value = shown.failed ? NULL : json_string(str_text(&shown));
    str_free(&shown);
    return value;
}

void doctor_check(struct doctor *d, const char *id, bool ok, enum err_code code, const char *format,
                  ...)
{
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *check = json_object(), *list = json_object_get(d->report, "checks");
    doctor_put(d, check, "id", json_string(id));
    doctor_put(d, check, "ok", json_boolean(ok));
    doctor_put(d, check, "text", doctor_string(text));
    doctor_push(d, list, check);
    if (!ok && !d->said_no.code)
        err_set(&d->said_no, code, id, "%s", text);
}

/* --- for people --- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void put_bytes(struct str *out, double bytes)
{
    if (bytes >= 0x1p30)
        str_printf(out, "%.2f GiB", bytes / 0x1p30);
    else if (bytes >= 0x1p20)
        str_printf(out, "%.1f MiB", bytes / 0x1p20);
    else
        str_printf(out, "%.1f KiB", bytes / 1024);
}

static void put_seconds(struct str *out, double s)
{
    if (s >= 2 * 86400.0)
        str_printf(out, "%.1f days", s / 86400);
    else if (s >= 2 * 3600.0)
        str_printf(out, "%.1f hours", s / 3600);
    else if (s >= 120)
        str_printf(out, "%.1f minutes", s / 60);
    else
        str_printf(out, "%.3g s", s);
}

static void put_value(struct str *out, const char *key, const json_t *v)
{
    if (json_is_number(v) && ends_with(key, "bytes"))
        put_bytes(out, json_number_value(v));
    else if (json_is_number(v) && ends_with(key, "seconds"))
        put_seconds(out, json_number_value(v));
    else if (json_is_integer(v))
        str_printf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        str_printf(out, "%.4g", json_real_value(v));
    else if (json_is_boolean(v))
        str_puts(out, json_is_true(v) ? "yes" : "no");
    else if (json_is_string(v))
        log_printable(out, json_string_value(v), json_string_length(v), 0);
    else
        str_puts(out, "none");
}

/* "memory_available_bytes" → "memory available" */
static void put_key(struct str *out, const char *key)
{
    size_t n = strlen(key);
    n -= ends_with(key, "_bytes") ? 6 : ends_with(key, "_seconds") ? 8 : 0;
    for (size_t i = 0; i < n; i++)
        str_putc(out, key[i] == '_' ? ' ' : key[i]);
}

/* A text of several lines, each behind a bar: where it ends can be seen. */
static void put_lines(struct str *out, const char *text)
{
    do {
        size_t n = strcspn(text, "\n");
        str_puts(out, "    | ");
        log_printable(out, text, n, 0);
        str_putc(out, '\n');
        text += n + (text[n] == '\n');
    } while (*text);
}

/* An object on one line. In a list, texts and sizes speak for themselves; else all have names. */
static void put_row(struct str *out, const json_t *object, bool in_list)
{
    const char *key, *gap = "    ";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool speaks = in_list && (json_is_string(value) || strcmp(key, "bytes") == 0);
        if (json_is_null(value))
            continue;
        str_puts(out, gap);
        if (!speaks) {
            put_key(out, key);
            str_putc(out, ' ');
        }
        put_value(out, key, value);
        gap = "  ";
    }
    str_putc(out, '\n');
}

static void put_list(struct str *out, const json_t *list)
{
    const json_t *item;
    size_t i;
    bool rows = json_is_object(json_array_get(list, 0));
    if (!json_array_size(list))
        str_puts(out, " none");
    json_array_foreach(list, i, item)
    {
        if (rows) {
            str_puts(out, i ? "" : "\n");
            put_row(out, item, true);
        } else {
            str_puts(out, i ? ", " : " ");
            put_value(out, "", item);
        }
    }
    if (!rows)
        str_putc(out, '\n');
}

static void put_section(struct str *out, const json_t *section)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)section, key, value)
    {
        str_puts(out, "  ");
        put_key(out, key);
        str_putc(out, ':');
        if (json_is_array(value)) {
            put_list(out, value);
        } else if (json_is_object(value)) {
            str_putc(out, '\n');
            put_row(out, value, false);
        } else if (json_is_string(value) && strchr(json_string_value(value), '\n')) {
            str_putc(out, '\n');
            put_lines(out, json_string_value(value));
        } else {
            str_putc(out, ' ');
            put_value(out, key, value);
            str_putc(out, '\n');
        }
    }
}

static void put_findings(struct str *out, const json_t *list)
{
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const json_t *ok = json_object_get(item, "ok");
        const char *text = json_string_value(json_object_get(item, "text"));
        str_printf(out, "  %s%s: ",
                   !ok                ? ""
                   : json_is_true(ok) ? "ok  "
                                      : "NO  ",
                   json_string_value(json_object_get(item, "id")));
        log_printable(out, text ? text : "", text ? strlen(text) : 0, 0);
        str_putc(out, '\n');
    }
    if (!json_array_size(list))
        str_puts(out, "  none\n");
}

void doctor_render(struct str *out, const json_t *report)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)report, key, value)
    {
        if (json_is_object(value)) {
            str_printf(out, "%s\n", key);
            put_section(out, value);
        } else if (json_is_array(value)) {
            str_printf(out, "%s\n", key);
            put_findings(out, value);
        }
    }
}
