/* str.h: a growable byte string. Always NUL-terminated, may hold NULs inside. Running out of memory
 * is sticky (`failed`), so a chain of appends is checked once at its end. Zero-initialise. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *data; /* NULL until the first append */
    size_t length, capacity;
    bool failed;
};

/* A borrowed slice of bytes; not NUL-terminated. */
struct slice {
    const char *data;
    size_t length;
};

void str_append(struct str *s, const void *bytes, size_t length);
void str_puts(struct str *s, const char *text);
void str_putc(struct str *s, char c);
void str_printf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void str_put_utf8(struct str *s, uint32_t codepoint);
/* Room for so many bytes more, and none beside: for what is large and known beforehand. */
void str_reserve(struct str *s, size_t more);
void str_clear(struct str *s); /* keeps the memory */
void str_free(struct str *s);
const char *str_text(const struct str *s); /* "" when empty */

struct slice slice_of(const char *text);
bool slice_equals(struct slice a, const char *text);

/* Decodes one code point of valid or invalid UTF-8; returns its byte length (≥ 1) and sets
 * *codepoint to it, or to -1 for an invalid byte (length 1). length must be > 0. */
int utf8_decode(const char *bytes, size_t length, int32_t *codepoint);
bool utf8_valid(const char *bytes, size_t length);
/* What a hexadecimal digit is worth; -1: it is none. */
int hex_digit(int c);

/* Smallest edit distance first: index of the closest candidate, or -1 when none is near. */
int str_nearest(const char *text, const char *const *candidates, int n);

#endif
