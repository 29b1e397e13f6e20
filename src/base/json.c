/* json.c: jansson behind limits and explanations, and a writer with fixed number formats; see
 * json.h. */
#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* jansson allocates through ours, so that leaks and injected failures include it. Its lexer ignores
 * failed growth of a token's text (lex_save, 2.14) and then reads past the end, so it never gets to
 * see one: json_read asks the allocator afterwards whether there was any. Before main: a value that
 * was built (json_object) before the first one was read must be freed by the allocator it came
 * from. */
__attribute__((constructor)) static void use_our_allocator(void)
{
    json_set_alloc_funcs(mem_alloc_or_stop, mem_free);
}

json_t *json_read(const void *data, size_t size, int flags, const char *where, struct err *err)
{
    size_t how = 0;
    if (flags & JSON_UNIQUE_KEYS)
        how |= JSON_REJECT_DUPLICATES;
    if (flags & JSON_ANY_VALUE)
        how |= JSON_DECODE_ANY;
    if (flags & JSON_NUL_ALLOWED)
        how |= JSON_ALLOW_NUL;
    json_error_t error;
    size_t failed = mem_stats().failed_calls;
    json_t *value = json_loadb(data, size, how, &error);
    if (!value && flags & JSON_BIG_INTEGERS &&
        json_error_code(&error) == json_error_numeric_overflow)
        value = json_loadb(data, size, how | JSON_DECODE_INT_AS_REAL, &error);
    if (mem_stats().failed_calls != failed) {
        json_decref(value);
        err_no_memory(err, where, size);
        return NULL;
    }
    if (!value)
        err_set(err, ERR_INPUT, where, "is not valid JSON: line %d, column %d: %s", error.line,
                error.column, error.text);
    return value;
}

const char *json_type_name(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something unknown";
}

/* The value under key, or NULL with *status set when it is required and missing. */
static const json_t *lookup(const json_t *o, const char *key, bool required, const char *where,
                            struct err *err, int *status)
{
    const json_t *value = json_object_get(o, key);
    *status = ERR_NONE;
    if (value && !(json_is_null(value) && !required))
        return value;
    if (required)
        *status = err_set(err, ERR_INPUT, where, "\"%s\" is missing", key);
    return NULL;
}

static int wrong_type(const json_t *value, const char *key, const char *expected, const char *where,
                      struct err *err)
{
    return err_set(err, ERR_INPUT, where, "\"%s\" is %s, expected %s", key, json_type_name(value),
                   expected);
}

int json_get_int(long long *out, const json_t *o, const char *key, bool required, const char *where,
                 struct err *err)
{
    int status;
    const json_t *value = lookup(o, key, required, where, err, &status);
    if (!value)
        return status;
    if (!json_is_integer(value))
        return wrong_type(value, key, "an integer", where, err);
    *out = json_integer_value(value);
    return ERR_NONE;
}

int json_get_double(double *out, const json_t *o, const char *key, bool required, const char *where,
                    struct err *err)
{
    int status;
    const json_t *value = lookup(o, key, required, where, err, &status);
    if (!value)
        return status;
    if (!json_is_number(value))
        return wrong_type(value, key, "a number", where, err);
    *out = json_number_value(value);
    return ERR_NONE;
}

int json_get_bool(bool *out, const json_t *o, const char *key, bool required, const char *where,
                  struct err *err)
{
    int status;
    const json_t *value = lookup(o, key, required, where, err, &status);
    if (!value)
        return status;
    if (!json_is_boolean(value))
        return wrong_type(value, key, "true or false", where, err);
    *out = json_is_true(value);
    return ERR_NONE;
}

int json_get_string(const char **out, const json_t *o, const char *key, bool required,
                    const char *where, struct err *err)
{
    int status;
    const json_t *value = lookup(o, key, required, where, err, &status);
    if (!value)
        return status;
    if (!json_is_string(value))
        return wrong_type(value, key, "a string", where, err);
    *out = json_string_value(value);
    return ERR_NONE;
}

/* --- writer --- */

void jw_begin(struct json_writer *w, struct str *out)
{
    w->out = out;
    w->comma = false;
}

static void separate(struct json_writer *w)
{
    if (w->comma)
        str_puts(w->out, ", ");
    w->comma = true;
}

void jw_object_begin(struct json_writer *w)
{
    separate(w);
    str_putc(w->out, '{');
    w->comma = false;
}

void jw_object_end(struct json_writer *w)
{
    str_putc(w->out, '}');
    w->comma = true;
}

void jw_array_begin(struct json_writer *w)
{
    separate(w);
    str_putc(w->out, '[');
    w->comma = false;
}

void jw_array_end(struct json_writer *w)
{
    str_putc(w->out, ']');
    w->comma = true;
}

/* Controls (C0, DEL, C1), separators and marks that reorder text: what a terminal or a browser
 * might act on when someone looks at the file. */
static bool is_escaped(int32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* A JSON string literal; invalid bytes become U+FFFD. */
static void literal(struct str *out, const char *text, size_t length)
{
    str_putc(out, '"');
    while (length) {
        int32_t c;
        int n = utf8_decode(text, length, &c);
        if (c < 0)
            str_puts(out, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\')
            str_printf(out, "\\%c", (int)c);
        else if (c == '\n')
            str_puts(out, "\\n");
        else if (c == '\t')
            str_puts(out, "\\t");
        else if (c == '\r')
            str_puts(out, "\\r");
        else if (is_escaped(c))
            str_printf(out, "\\u%04x", (unsigned)c);
        else
            str_append(out, text, (size_t)n);
        text += n;
        length -= (size_t)n;
    }
    str_putc(out, '"');
}

void jw_key(struct json_writer *w, const char *key)
{
    separate(w);
    literal(w->out, key, strlen(key));
    str_puts(w->out, ": ");
    w->comma = false;
}

void jw_string(struct json_writer *w, const char *text, size_t length)
{
    separate(w);
    literal(w->out, text, length);
}

void jw_text(struct json_writer *w, const char *text)
{
    jw_string(w, text, strlen(text));
}

void jw_int(struct json_writer *w, long long value)
{
    separate(w);
    str_printf(w->out, "%lld", value);
}

/* A number that a reader takes for a real: "1" becomes "1.0". */
static void put_real(struct str *out, const char *digits)
{
    str_puts(out, digits);
    if (!strpbrk(digits, ".en"))
        str_puts(out, ".0");
}

void jw_float(struct json_writer *w, float value)
{
    separate(w);
    if (!isfinite(value)) {
        str_puts(w->out, "null");
        return;
    }
    char digits[40];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        /* Readers either round once (strtof) or by way of a double. */
        if (strtof(digits, NULL) == value && (float)strtod(digits, NULL) == value)
            break;
    }
    put_real(w->out, digits);
}

void jw_double(struct json_writer *w, double value)
{
    separate(w);
    if (!isfinite(value)) {
        str_puts(w->out, "null");
        return;
    }
    char digits[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_real(w->out, digits);
}

void jw_bool(struct json_writer *w, bool value)
{
    separate(w);
    str_puts(w->out, value ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
    separate(w);
    str_puts(w->out, "null");
}

void jw_value(struct json_writer *w, const json_t *value)
{
    const char *key;
    json_t *child;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        jw_object_begin(w);
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            jw_key(w, key);
            jw_value(w, child);
        }
        jw_object_end(w);
        break;
    case JSON_ARRAY:
        jw_array_begin(w);
        json_array_foreach(value, i, child) jw_value(w, child);
        jw_array_end(w);
        break;
    case JSON_STRING:
        jw_string(w, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        jw_int(w, json_integer_value(value));
        break;
    case JSON_REAL:
        jw_double(w, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        jw_bool(w, json_is_true(value));
        break;
    case JSON_NULL:
        jw_null(w);
        break;
    }
}
