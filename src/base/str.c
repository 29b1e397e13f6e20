/* str.c: growable byte strings and UTF-8; see str.h. */
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

/* Room for `extra` more bytes and the final NUL, by doubling or exact. */
static bool reserve(struct str *s, size_t extra, bool exact)
{
    if (s->failed)
        return false;
    size_t need;
    if (!mem_add(&need, s->length, extra) || !mem_add(&need, need, 1))
        goto fail;
    if (need <= s->capacity)
        return true;
    size_t capacity = exact ? need : s->capacity ? s->capacity : 32;
    while (capacity < need)
        if (!mem_mul(&capacity, capacity, 2))
            goto fail;
    char *data = mem_realloc(s->data, capacity);
    if (!data)
        goto fail;
    s->data = data;
    s->capacity = capacity;
    return true;
fail:
    s->failed = true;
    return false;
}

void str_reserve(struct str *s, size_t more)
{
    reserve(s, more, true);
}

void str_append(struct str *s, const void *bytes, size_t length)
{
    if (!reserve(s, length, false))
        return;
    if (length)
        memcpy(s->data + s->length, bytes, length);
    s->length += length;
    s->data[s->length] = 0;
}

void str_puts(struct str *s, const char *text)
{
    str_append(s, text, strlen(text));
}

void str_putc(struct str *s, char c)
{
    str_append(s, &c, 1);
}

void str_printf(struct str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0 && reserve(s, (size_t)length, false)) {
        vsnprintf(s->data + s->length, (size_t)length + 1, format, again);
        s->length += (size_t)length;
    }
    va_end(again);
}

void str_put_utf8(struct str *s, uint32_t c)
{
    unsigned char b[4];
    size_t n;
    if (c < 0x80) {
        b[0] = (unsigned char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (unsigned char)(0xC0 | c >> 6);
        b[1] = (unsigned char)(0x80 | (c & 63));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (unsigned char)(0xE0 | c >> 12);
        b[1] = (unsigned char)(0x80 | (c >> 6 & 63));
        b[2] = (unsigned char)(0x80 | (c & 63));
        n = 3;
    } else {
        b[0] = (unsigned char)(0xF0 | (c >> 18 & 7));
        b[1] = (unsigned char)(0x80 | (c >> 12 & 63));
        b[2] = (unsigned char)(0x80 | (c >> 6 & 63));
        b[3] = (unsigned char)(0x80 | (c & 63));
        n = 4;
    }
    str_append(s, b, n);
}

void str_clear(struct str *s)
{
    s->length = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = 0;
}

void str_free(struct str *s)
{
    mem_free(s->data);
    *s = (struct str){0};
}

const char *str_text(const struct str *s)
{
    return s->data ? s->data : "";
}

struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

bool slice_equals(struct slice a, const char *text)
{
    if (a.length && *a.data != *text) /* decides nearly always */
        return false;
    return strlen(text) == a.length && memcmp(a.data, text, a.length) == 0;
}

int utf8_decode(const char *bytes, size_t length, int32_t *codepoint)
{
    const unsigned char *b = (const unsigned char *)bytes;
    *codepoint = -1;
    if (b[0] < 0x80) {
        *codepoint = b[0];
        return 1;
    }
    int n = b[0] >= 0xC2 && b[0] < 0xE0 ? 2 : b[0] >= 0xE0 && b[0] < 0xF0 ? 3 : 0;
    if (b[0] >= 0xF0 && b[0] < 0xF5)
        n = 4;
    if (!n || length < (size_t)n)
        return 1;
    int32_t c = b[0] & (0x7F >> n);
    for (int i = 1; i < n; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 1;
        c = c << 6 | (b[i] & 63);
    }
    static const int32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 1;
    *codepoint = c;
    return n;
}

int hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool utf8_valid(const char *bytes, size_t length)
{
    while (length) {
        int32_t c;
        int n = utf8_decode(bytes, length, &c);
        if (c < 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* Levenshtein distance of two short names (both under 64 bytes). */
static int edit_distance(const char *a, const char *b)
{
    int row[65];
    int m = (int)strlen(b);
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[m];
}

int str_nearest(const char *text, const char *const *candidates, int n)
{
    int best = -1, best_distance = 0;
    size_t length = strlen(text);
    if (length >= 64)
        return -1;
    for (int i = 0; i < n; i++) {
        if (strlen(candidates[i]) >= 64)
            continue;
        int distance = edit_distance(text, candidates[i]);
        if (best < 0 || distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    /* Near: at most a third of the letters wrong, and at least two are forgiven. */
    int allowed = (int)(length / 3) > 2 ? (int)(length / 3) : 2;
    return best >= 0 && best_distance <= allowed && best_distance < (int)length ? best : -1;
}
