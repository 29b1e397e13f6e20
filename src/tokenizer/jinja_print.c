/* jinja_print.c: values as text: Python's str() and repr(), and its json.dumps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "tokenizer/jinja_internal.h"

/* The shortest digits that read back, with an exponent below 1e-4 and from 1e16 on. */
void jprint_float(struct str *out, double x)
{
    char digits[40];
    if (isnan(x) || isinf(x)) {
        str_puts(out, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do
        snprintf(digits, sizeof digits, "%.*e", precision, x);
    while (strtod(digits, NULL) != x && ++precision < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - exponent;
        char fixed[64];
        snprintf(fixed, sizeof fixed, "%.*f", decimals < 1 ? 1 : decimals, x);
        str_puts(out, fixed);
    } else {
        str_puts(out, digits); /* at least two digits of exponent, as Python has it */
    }
}

static bool printable(int32_t c)
{
    if (c == ' ')
        return true;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

static void put_repr(struct str *out, struct slice s)
{
    bool has_single = memchr(s.data, '\'', s.length), has_double = memchr(s.data, '"', s.length);
    char quote = has_single && !has_double ? '"' : '\'';
    str_putc(out, quote);
    for (size_t at = 0; at < s.length;) {
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        if (c == quote || c == '\\')
            str_printf(out, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            str_puts(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (!printable(c))
            str_printf(out,
                       c < 0x100     ? "\\x%02x"
                       : c < 0x10000 ? "\\u%04x"
                                     : "\\U%08x",
                       (unsigned)c);
        else
            str_append(out, s.data + at, n);
        at += n;
    }
    str_putc(out, quote);
}

static void put_repr_value(struct jrun *r, struct str *out, const struct jv *v);

static void put_list(struct jrun *r, struct str *out, const struct jv *v)
{
    const struct jlist *list = v->as.list;
    str_putc(out, v->kind == J_LIST ? '[' : '(');
    for (size_t i = 0; i < list->count && !r->status; i++) {
        str_puts(out, i ? ", " : "");
        put_repr_value(r, out, &list->items[i]);
    }
    str_puts(out, v->kind == J_LIST ? "]" : list->count == 1 ? ",)" : ")");
}

static void put_dict(struct jrun *r, struct str *out, const struct jdict *d)
{
    str_putc(out, '{');
    for (size_t i = 0; i < d->count && !r->status; i++) {
        str_puts(out, i ? ", " : "");
        put_repr_value(r, out, &d->entries[i].key);
        str_puts(out, ": ");
        put_repr_value(r, out, &d->entries[i].value);
    }
    str_putc(out, '}');
}

static void put_repr_value(struct jrun *r, struct str *out, const struct jv *v)
{
    if (v->kind == J_TEXT && v->safe) {
        jrun_fail(r, "printing a list with a safe text in it is not supported");
    } else if (v->kind == J_TEXT) {
        if (jrun_charge(r, 1 + v->as.text.length / 8))
            put_repr(out, v->as.text);
    } else if (v->kind == J_UNDEFINED) {
        str_puts(out, "Undefined");
    } else {
        jv_print(r, out, v);
    }
    if (out->length > r->output)
        jrun_fail(r, "a text becomes too long");
}

void jv_print(struct jrun *r, struct str *out, const struct jv *v)
{
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return;
    switch (v->kind) {
    case J_ABSENT:
    case J_UNDEFINED:
        break;
    case J_NONE:
        str_puts(out, "None");
        break;
    case J_BOOL:
        str_puts(out, v->as.truth ? "True" : "False");
        break;
    case J_INT:
        str_printf(out, "%lld", v->as.integer);
        break;
    case J_FLOAT:
        jprint_float(out, v->as.real);
        break;
    case J_TEXT:
        if (jrun_charge(r, v->as.text.length / 16))
            str_append(out, v->as.text.data, v->as.text.length);
        break;
    case J_LIST:
    case J_TUPLE:
        put_list(r, out, v);
        break;
    case J_DICT:
        put_dict(r, out, v->as.dict);
        break;
    case J_VIEW: {
        struct jv list = *v;
        list.kind = J_LIST;
        str_printf(out, "%s(", v->as.list->type);
        put_list(r, out, &list);
        str_putc(out, ')');
        break;
    }
    default:
        jrun_fail(r, "printing a %s is not supported", jv_type(v));
    }
    r->depth--;
    if (out->length > r->output)
        jrun_fail(r, "a text becomes too long");
}

struct jv jv_text(struct jrun *r, const struct jv *v)
{
    struct str made = {0};
    if (v->kind == J_TEXT)
        return *v;
    jv_print(r, &made, v);
    return jv_take(r, &made);
}

/* --- JSON --- */

static void put_json_text(struct str *out, struct slice s, bool ascii)
{
    str_putc(out, '"');
    for (size_t at = 0; at < s.length;) {
        static const char shorts[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
        int32_t c;
        size_t n = (size_t)utf8_decode(s.data + at, s.length - at, &c);
        const char *known = c && c < 128 ? strchr(shorts, c) : NULL;
        if (known)
            str_printf(out, "\\%c", letters[known - shorts]);
        else if (c < 32 || (ascii && c > 126 && c < 0x10000))
            str_printf(out, "\\u%04x", (unsigned)c);
        else if (ascii && c >= 0x10000)
            str_printf(out, "\\u%04x\\u%04x", 0xD800 + (unsigned)((c - 0x10000) >> 10),
                       0xDC00 + (unsigned)((c - 0x10000) & 0x3FF));
        else
            str_append(out, s.data + at, n);
        at += n;
    }
    str_putc(out, '"');
}

static void put_json(struct jrun *r, struct str *out, const struct jv *v, const struct jjson *how,
                     int level);

static void json_break(struct str *out, const struct jjson *how, int level)
{
    if (!how->indent.data)
        return;
    str_putc(out, '\n');
    for (int i = 0; i < level; i++)
        str_append(out, how->indent.data, how->indent.length);
}

static void json_float(struct str *out, double x)
{
    if (isnan(x) || isinf(x))
        str_puts(out, isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
    else
        jprint_float(out, x);
}

static void json_key(struct jrun *r, struct str *out, const struct jv *key, const struct jjson *how)
{
    if (key->kind == J_TEXT) {
        put_json_text(out, key->as.text, how->ascii);
    } else if (key->kind == J_NONE || jv_is_number(key)) {
        str_putc(out, '"');
        put_json(r, out, key, how, 0);
        str_putc(out, '"');
    } else {
        jrun_fail(r, "JSON has no key of type %s", jv_type(key));
    }
}

/* The entries in the order they are written; sorting is by text keys only. */
static const struct jentry **json_entries(struct jrun *r, const struct jdict *d, bool sort)
{
    const struct jentry **list = jrun_alloc(r, d->count, sizeof *list);
    for (size_t i = 0; list && i < d->count; i++) {
        size_t at = i;
        while (sort && at && !r->status &&
               jv_compare(r, &d->entries[i].key, &list[at - 1]->key, "<") < 0) {
            list[at] = list[at - 1];
            at--;
        }
        list[at] = &d->entries[i];
    }
    return list;
}

static void json_dict(struct jrun *r, struct str *out, const struct jdict *d,
                      const struct jjson *how, int level)
{
    const struct jentry **entries = json_entries(r, d, how->sort);
    str_putc(out, '{');
    for (size_t i = 0; entries && i < d->count && !r->status; i++) {
        if (i)
            str_append(out, how->comma.data, how->comma.length);
        json_break(out, how, level + 1);
        json_key(r, out, &entries[i]->key, how);
        str_append(out, how->colon.data, how->colon.length);
        put_json(r, out, &entries[i]->value, how, level + 1);
    }
    if (d->count)
        json_break(out, how, level);
    str_putc(out, '}');
}

static void put_json(struct jrun *r, struct str *out, const struct jv *v, const struct jjson *how,
                     int level)
{
    if (!jrun_charge(r, 1) || !jrun_deeper(r))
        return;
    switch (v->kind) {
    case J_NONE:
        str_puts(out, "null");
        break;
    case J_BOOL:
        str_puts(out, v->as.truth ? "true" : "false");
        break;
    case J_INT:
        str_printf(out, "%lld", v->as.integer);
        break;
    case J_FLOAT:
        json_float(out, v->as.real);
        break;
    case J_TEXT:
        if (jrun_charge(r, v->as.text.length / 8))
            put_json_text(out, v->as.text, how->ascii);
        break;
    case J_LIST:
    case J_TUPLE:
        str_putc(out, '[');
        for (size_t i = 0; i < v->as.list->count && !r->status; i++) {
            if (i)
                str_append(out, how->comma.data, how->comma.length);
            json_break(out, how, level + 1);
            put_json(r, out, &v->as.list->items[i], how, level + 1);
        }
        if (v->as.list->count)
            json_break(out, how, level);
        str_putc(out, ']');
        break;
    case J_DICT:
        json_dict(r, out, v->as.dict, how, level);
        break;
    default:
        jrun_fail(r, "%s has no form in JSON", jv_type(v));
    }
    r->depth--;
    if (out->length > r->output)
        jrun_fail(r, "a text becomes too long");
}

void jv_json(struct jrun *r, struct str *out, const struct jv *v, const struct jjson *how)
{
    put_json(r, out, v, how, 0);
}
