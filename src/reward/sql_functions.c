/* sql_functions.c: text functions with a count; see sql_functions.h.
 *
 * SQLite counts a call as one step, whatever it does. Its own LIKE takes time in the product of
 * pattern and text, as do trim and replace of two long texts, and printf('%.*c', 1000000000, 'a')
 * fills a gigabyte in one step. Here matching keeps one place to come back to (the last %), which
 * is that product again, but counted; the others are linear but for trim. */
#include "reward/sql_functions.h"
#include <stdbool.h>
#include <string.h>
#include "base/check.h"
#include "base/str.h"

enum { BYTES_A_STEP = 32, COMPARISONS_A_STEP = 4, MAX_WIDTH = 1000 };

/* false: the budget is used up, and the call's result says so. */
static bool charge(sqlite3_context *c, int64_t bytes, int64_t comparisons)
{
    int64_t *steps = sqlite3_user_data(c);
    *steps -= bytes / BYTES_A_STEP + comparisons / COMPARISONS_A_STEP;
    if (*steps >= 0)
        return true;
    sqlite3_result_error_code(c, SQLITE_INTERRUPT);
    return false;
}

/* Comparisons that the steps left pay for. */
static int64_t comparisons_left(sqlite3_context *c)
{
    const int64_t *steps = sqlite3_user_data(c);
    return *steps < INT64_MAX / COMPARISONS_A_STEP ? *steps * COMPARISONS_A_STEP : INT64_MAX;
}

/* false: NULL, or memory is out (which SQLite notes). */
static bool text_of(struct slice *out, sqlite3_value *v)
{
    out->data = (const char *)sqlite3_value_text(v);
    out->length = out->data ? (size_t)sqlite3_value_bytes(v) : 0;
    return out->data != NULL;
}

static void put_result(sqlite3_context *c, const char *text, size_t length)
{
    int most = sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LENGTH, -1);
    if (length > (size_t)most)
        sqlite3_result_error_toobig(c);
    else
        sqlite3_result_text(c, text, (int)length, SQLITE_TRANSIENT);
}

/* --- LIKE and GLOB --- */

struct matcher {
    int32_t any, one, set, escape; /* -2: there is none */
    bool fold;                     /* ASCII letters */
    int64_t work;
};

/* An invalid byte is a character of its own. */
static int32_t next_character(struct slice *t)
{
    int32_t c;
    if (t->length == 0)
        return 0;
    size_t n = (size_t)utf8_decode(t->data, t->length, &c);
    if (c < 0)
        c = 0x110000 + (unsigned char)t->data[0];
    t->data += n;
    t->length -= n;
    return c;
}

static int32_t folded(const struct matcher *m, int32_t c)
{
    return m->fold && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Behind "[": whether c is in the set; the pattern is left behind its "]". */
static bool in_set(struct slice *pattern, int32_t c, int64_t *work)
{
    int32_t prior = 0, p = next_character(pattern);
    bool seen = false, invert = p == '^';
    if (invert)
        p = next_character(pattern);
    if (p == ']') {
        seen = c == ']';
        p = next_character(pattern);
    }
    for (; p && p != ']'; p = next_character(pattern)) {
        ++*work;
        if (p == '-' && pattern->length && pattern->data[0] != ']' && prior > 0) {
            p = next_character(pattern);
            seen = seen || (c >= prior && c <= p);
            prior = 0;
        } else {
            seen = seen || c == p;
            prior = p;
        }
    }
    return p == ']' && seen != invert;
}

/* One character of the pattern, which is not `any`, against one of the text. */
static bool match_one(struct matcher *m, struct slice *pattern, struct slice *text)
{
    int32_t p = next_character(pattern), c = next_character(text);
    m->work++;
    if (p == m->one)
        return true;
    if (p == m->set)
        return in_set(pattern, c, &m->work);
    if (p == m->escape) {
        if (pattern->length == 0)
            return false;
        p = next_character(pattern);
    }
    return folded(m, p) == folded(m, c);
}

/* 1 or 0; -1: more than `most` comparisons. */
static int match(struct matcher *m, struct slice pattern, struct slice text, int64_t most)
{
    struct slice back_pattern = {0}, back_text = {0};
    while (text.length || pattern.length) {
        struct slice after = pattern;
        if (m->work > most)
            return -1;
        if (pattern.length && next_character(&after) == m->any) {
            pattern = back_pattern = after;
            back_text = text;
            if (pattern.length == 0)
                return 1;
            continue;
        }
        if (pattern.length && text.length && match_one(m, &pattern, &text))
            continue;
        if (!back_pattern.data || back_text.length == 0)
            return 0;
        next_character(&back_text);
        pattern = back_pattern;
        text = back_text;
    }
    return 1;
}

static void like_or_glob(sqlite3_context *c, int n, sqlite3_value **values, bool glob)
{
    struct matcher m = glob ? (struct matcher){'*', '?', '[', -2, false, 0}
                            : (struct matcher){'%', '_', -2, -2, true, 0};
    struct slice pattern, text;
    if (sqlite3_value_type(values[0]) == SQLITE_BLOB ||
        sqlite3_value_type(values[1]) == SQLITE_BLOB) {
        sqlite3_result_int(c, 0);
        return;
    }
    int most = sqlite3_limit(sqlite3_context_db_handle(c), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1);
    if (sqlite3_value_bytes(values[0]) > most) {
        sqlite3_result_error(c, "LIKE or GLOB pattern too complex", -1);
        return;
    }
    if (n == 3) {
        struct slice escape;
        if (!text_of(&escape, values[2]))
            return;
        m.escape = next_character(&escape);
        if (escape.length || m.escape == 0) {
            sqlite3_result_error(c, "ESCAPE expression must be a single character", -1);
            return;
        }
        m.any = m.any == m.escape ? -2 : m.any;
        m.one = m.one == m.escape ? -2 : m.one;
    }
    if (!text_of(&pattern, values[0]) || !text_of(&text, values[1]))
        return;
    int found = match(&m, pattern, text, comparisons_left(c));
    if (charge(c, 0, m.work + (found < 0) * 2 * COMPARISONS_A_STEP))
        sqlite3_result_int(c, found);
}

static void like(sqlite3_context *c, int n, sqlite3_value **values)
{
    like_or_glob(c, n, values, false);
}

static void glob(sqlite3_context *c, int n, sqlite3_value **values)
{
    like_or_glob(c, n, values, true);
}

/* --- looking and replacing --- */

static void instr(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct slice text, part;
    int type = sqlite3_value_type(values[0]), other = sqlite3_value_type(values[1]);
    (void)n;
    if (type == SQLITE_NULL || other == SQLITE_NULL)
        return;
    bool bytes = type == SQLITE_BLOB && other == SQLITE_BLOB;
    if (bytes) {
        text.data = sqlite3_value_blob(values[0]);
        part.data = sqlite3_value_blob(values[1]);
        text.length = (size_t)sqlite3_value_bytes(values[0]);
        part.length = (size_t)sqlite3_value_bytes(values[1]);
    } else if (!text_of(&text, values[0]) || !text_of(&part, values[1])) {
        return;
    }
    if (!charge(c, (int64_t)(text.length + part.length), 0))
        return;
    const char *at = part.length == 0 ? text.data
                     : text.length    ? memmem(text.data, text.length, part.data, part.length)
                                      : NULL;
    int place = at || part.length == 0;
    for (const char *s = text.data; at && s < at; s++)
        place += bytes || ((unsigned char)*s & 0xC0) != 0x80;
    sqlite3_result_int(c, place);
}

static void replace(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct slice text, part, by;
    (void)n;
    if (!text_of(&text, values[0]) || !text_of(&part, values[1]))
        return;
    if (part.length == 0) {
        sqlite3_result_value(c, values[0]);
        return;
    }
    if (!text_of(&by, values[2]))
        return;
    sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(c));
    int64_t work = (int64_t)(text.length + part.length);
    while (text.length && !sqlite3_str_errcode(out)) {
        const char *at = memmem(text.data, text.length, part.data, part.length);
        size_t before = at ? (size_t)(at - text.data) : text.length;
        sqlite3_str_append(out, text.data, (int)before);
        if (at) {
            sqlite3_str_append(out, by.data, (int)by.length);
            work += (int64_t)by.length + 8;
            before += part.length;
        }
        text = (struct slice){text.data + before, text.length - before};
    }
    int length = sqlite3_str_length(out), error = sqlite3_str_errcode(out);
    char *made = sqlite3_str_finish(out);
    if (error == SQLITE_TOOBIG)
        sqlite3_result_error_toobig(c);
    else if (error)
        sqlite3_result_error_nomem(c);
    else if (charge(c, work, 0))
        put_result(c, made ? made : "", (size_t)length);
    sqlite3_free(made);
}

/* --- trimming --- */

/* The length of a character as SQLite takes the text apart: a byte and its continuations. */
static size_t character_length(struct slice t)
{
    size_t n = 1;
    while ((unsigned char)t.data[0] >= 0xC0 && n < t.length &&
           ((unsigned char)t.data[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* How many bytes at the text's begin (or end) are one of the characters; 0: none. */
static size_t trimmable(struct slice text, struct slice set, bool at_end, int64_t *work)
{
    while (set.length) {
        size_t n = character_length(set);
        const char *place = at_end ? text.data + text.length - n : text.data;
        ++*work;
        if (n <= text.length && memcmp(place, set.data, n) == 0)
            return n;
        set = (struct slice){set.data + n, set.length - n};
    }
    return 0;
}

static void trim_ends(sqlite3_context *c, int n, sqlite3_value **values, bool left, bool right)
{
    struct slice text, set = {" ", 1};
    int64_t work = 0;
    if (!text_of(&text, values[0]) || (n == 2 && !text_of(&set, values[1])))
        return;
    int64_t most = comparisons_left(c);
    for (size_t k; left && text.length && work <= most && (k = trimmable(text, set, false, &work));)
        text = (struct slice){text.data + k, text.length - k};
    for (size_t k; right && text.length && work <= most && (k = trimmable(text, set, true, &work));)
        text.length -= k;
    if (charge(c, (int64_t)text.length, work))
        put_result(c, text.data, text.length);
}

static void trim(sqlite3_context *c, int n, sqlite3_value **values)
{
    trim_ends(c, n, values, true, true);
}

static void ltrim(sqlite3_context *c, int n, sqlite3_value **values)
{
    trim_ends(c, n, values, true, false);
}

static void rtrim(sqlite3_context *c, int n, sqlite3_value **values)
{
    trim_ends(c, n, values, false, true);
}

/* --- case --- */

static void change_case(sqlite3_context *c, sqlite3_value *value, char first, int difference)
{
    struct slice text;
    if (!text_of(&text, value) || !charge(c, (int64_t)text.length, 0))
        return;
    char *out = sqlite3_malloc64(text.length + 1);
    if (!out) {
        sqlite3_result_error_nomem(c);
        return;
    }
    for (size_t i = 0; i < text.length; i++) {
        bool letter = text.data[i] >= first && text.data[i] <= first + 25;
        out[i] = (char)(text.data[i] + (letter ? difference : 0));
    }
    sqlite3_result_text(c, out, (int)text.length, sqlite3_free);
}

static void upper(sqlite3_context *c, int n, sqlite3_value **values)
{
    (void)n;
    change_case(c, values[0], 'a', 'A' - 'a');
}

static void lower(sqlite3_context *c, int n, sqlite3_value **values)
{
    (void)n;
    change_case(c, values[0], 'A', 'a' - 'A');
}

/* --- counting --- */

/* The bytes of the first n characters; a NUL ends a text. *counted: how many there were. */
static size_t bytes_of(struct slice t, int64_t n, int64_t *counted)
{
    size_t at = 0;
    for (*counted = 0; *counted < n && at < t.length && t.data[at]; ++*counted)
        at += character_length((struct slice){t.data + at, t.length - at});
    return at;
}

static void length_of(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct slice text;
    int64_t length;
    (void)n;
    if (sqlite3_value_type(values[0]) == SQLITE_BLOB) {
        sqlite3_result_int(c, sqlite3_value_bytes(values[0]));
    } else if (text_of(&text, values[0]) && charge(c, (int64_t)text.length, 0)) {
        bytes_of(text, INT64_MAX, &length);
        sqlite3_result_int64(c, length);
    }
}

/* Where a part begins (from 0) and how long it is, from SQL's numbers. */
static void part_of(int64_t *from, int64_t *size, int64_t length)
{
    bool backwards = *size < 0;
    *size = backwards ? -*size : *size;
    if (*from < 0) {
        *from += length;
        if (*from < 0) {
            *size = *size + *from > 0 ? *size + *from : 0;
            *from = 0;
        }
    } else if (*from > 0) {
        --*from;
    } else if (*size > 0) {
        --*size;
    }
    if (backwards) {
        *from -= *size;
        if (*from < 0) {
            *size += *from;
            *from = 0;
        }
    }
}

static void substr(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct slice text;
    int64_t from = sqlite3_value_int(values[1]), length, skipped;
    int64_t size = n == 3 ? sqlite3_value_int(values[2]) : INT32_MAX;
    bool blob = sqlite3_value_type(values[0]) == SQLITE_BLOB;
    if (sqlite3_value_type(values[1]) == SQLITE_NULL ||
        (n == 3 && sqlite3_value_type(values[2]) == SQLITE_NULL))
        return;
    if (blob) {
        text.data = sqlite3_value_blob(values[0]);
        text.length = (size_t)sqlite3_value_bytes(values[0]);
    } else if (!text_of(&text, values[0])) {
        return;
    }
    if (!charge(c, (int64_t)text.length, 0))
        return;
    if (blob)
        length = (int64_t)text.length;
    else
        bytes_of(text, INT64_MAX, &length);
    part_of(&from, &size, length);
    if (from > length)
        from = length;
    if (size > length - from)
        size = length - from;
    if (blob) {
        sqlite3_result_blob(c, size ? text.data + from : "", (int)size, SQLITE_TRANSIENT);
        return;
    }
    size_t start = bytes_of(text, from, &skipped);
    text = (struct slice){text.data + start, text.length - start};
    put_result(c, text.data, bytes_of(text, size, &skipped));
}

/* --- format --- */

struct format {
    sqlite3_value **values;
    int n, used;
    sqlite3_str *out;
};

static sqlite3_value *next_value(struct format *f)
{
    return f->used < f->n ? f->values[f->used++] : NULL;
}

/* Digits or *, into the specification; false: more than MAX_WIDTH. */
static bool put_width(struct format *f, struct slice *t, struct str *spec)
{
    long long width = 0;
    bool given = false;
    if (t->length && t->data[0] == '*') {
        sqlite3_value *v = next_value(f);
        width = v ? sqlite3_value_int64(v) : 0;
        given = true;
        *t = (struct slice){t->data + 1, t->length - 1};
    }
    while (t->length && t->data[0] >= '0' && t->data[0] <= '9' && width <= MAX_WIDTH) {
        width = width * 10 + (t->data[0] - '0');
        given = true;
        *t = (struct slice){t->data + 1, t->length - 1};
    }
    if (width > MAX_WIDTH || width < -MAX_WIDTH)
        return false;
    if (given)
        str_printf(spec, "%lld", width);
    return true;
}

static void put_value(struct format *f, struct str *spec, char type)
{
    sqlite3_value *v = next_value(f);
    if (strchr("diuxXo", type)) {
        str_puts(spec, "ll");
        str_putc(spec, type == 'i' ? 'd' : type);
        sqlite3_str_appendf(f->out, str_text(spec), v ? sqlite3_value_int64(v) : 0LL);
    } else if (strchr("feEgG", type)) {
        str_putc(spec, type);
        sqlite3_str_appendf(f->out, str_text(spec), v ? sqlite3_value_double(v) : 0.0);
    } else {
        const char *text = v ? (const char *)sqlite3_value_text(v) : NULL;
        char one[8] = "";
        if (type == 'c' && text && text[0]) {
            size_t n = character_length(slice_of(text));
            memcpy(one, text, n < sizeof one ? n : sizeof one - 1);
        }
        str_putc(spec, 's');
        sqlite3_str_appendf(f->out, str_text(spec), type == 'c' ? one : text ? text : "");
    }
}

/* Behind a %. NULL, or what is wrong. */
static const char *put_conversion(struct format *f, struct slice *t)
{
    struct str spec = {0};
    const char *why = NULL;
    str_putc(&spec, '%');
    while (t->length && t->data[0] && strchr("-+ 0#,!", t->data[0])) {
        str_putc(&spec, t->data[0]);
        *t = (struct slice){t->data + 1, t->length - 1};
    }
    bool wide = !put_width(f, t, &spec);
    if (!wide && t->length && t->data[0] == '.') {
        str_putc(&spec, '.');
        *t = (struct slice){t->data + 1, t->length - 1};
        wide = !put_width(f, t, &spec);
    }
    while (t->length && t->data[0] == 'l')
        *t = (struct slice){t->data + 1, t->length - 1};
    char type = t->length ? t->data[0] : 0;
    if (wide)
        why = "format: a width or precision beyond 1000";
    else if (spec.failed)
        why = "format: memory is out";
    else if (type == '%')
        sqlite3_str_appendchar(f->out, 1, '%');
    else if (type && strchr("diuxXofeEgGsc", type))
        put_value(f, &spec, type);
    else
        why = "format: only %d %i %u %f %e %g %x %o %s %c and %%";
    if (t->length)
        *t = (struct slice){t->data + 1, t->length - 1};
    str_free(&spec);
    return why;
}

static void format(sqlite3_context *c, int n, sqlite3_value **values)
{
    struct slice t;
    const char *why = NULL;
    if (n == 0 || !text_of(&t, values[0]))
        return;
    struct format f = {values + 1, n - 1, 0, sqlite3_str_new(sqlite3_context_db_handle(c))};
    bool paid = true;
    while (t.length && !why && paid && !sqlite3_str_errcode(f.out)) {
        const char *percent = memchr(t.data, '%', t.length);
        size_t before = percent ? (size_t)(percent - t.data) : t.length;
        int length = sqlite3_str_length(f.out);
        sqlite3_str_append(f.out, t.data, (int)before);
        t = (struct slice){t.data + before, t.length - before};
        if (percent) {
            t = (struct slice){t.data + 1, t.length - 1};
            why = put_conversion(&f, &t);
        }
        paid = charge(c, BYTES_A_STEP + sqlite3_str_length(f.out) - length, 0);
    }
    int length = sqlite3_str_length(f.out), error = sqlite3_str_errcode(f.out);
    char *made = sqlite3_str_finish(f.out);
    if (error == SQLITE_TOOBIG)
        sqlite3_result_error_toobig(c);
    else if (error)
        sqlite3_result_error_nomem(c);
    else if (why)
        sqlite3_result_error(c, why, -1);
    else if (paid && made) /* of nothing SQLite makes NULL */
        put_result(c, made, (size_t)length);
    sqlite3_free(made);
}

int sql_functions_add(sqlite3 *db, int64_t *steps)
{
    static const struct {
        const char *name;
        int n;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"like", 2, like},      {"like", 3, like},        {"glob", 2, glob},
        {"instr", 2, instr},    {"replace", 3, replace},  {"trim", 1, trim},
        {"trim", 2, trim},      {"ltrim", 1, ltrim},      {"ltrim", 2, ltrim},
        {"rtrim", 1, rtrim},    {"rtrim", 2, rtrim},      {"upper", 1, upper},
        {"lower", 1, lower},    {"length", 1, length_of}, {"substr", 2, substr},
        {"substr", 3, substr},  {"substring", 2, substr}, {"substring", 3, substr},
        {"printf", -1, format}, {"format", -1, format},
    };
    int status = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LENGTH(functions) && status == SQLITE_OK; i++)
        status = sqlite3_create_function_v2(db, functions[i].name, functions[i].n,
                                            SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                            steps, functions[i].function, NULL, NULL, NULL);
    return status;
}
