/* json_reader.h: inside json_repair: the reader that forgives, and the looks ahead that it shares
 * with the search for where JSON begins. */
#ifndef REWARD_JSON_READER_H
#define REWARD_JSON_READER_H
#include <stdint.h>
#include "base/str.h"
#include "reward/json_repair.h"

struct json_reader {
    const char *text;
    size_t length, at;
    unsigned repairs;
    int depth, arrays, objects; /* open ones */
    int values;                 /* read so far */
    struct str buffer;          /* the string being read */
    bool no_memory, too_large;
};

/* Where a string or a bare word stands decides what may follow it. */
enum json_context { JSON_IN_ROOT, JSON_IN_OBJECT, JSON_IN_ARRAY, JSON_AS_KEY };

/* Reads the value at r->at and leaves r->at behind it. NULL when memory is out or it is too deep.
 * missing_brace: r->at is at the first key of an object whose { is missing. */
json_t *json_reader_value(struct json_reader *r, enum json_context context);
json_t *json_reader_object(struct json_reader *r, bool missing_brace);
/* A string from a quote at r->at into r->buffer (json_string.c). */
void json_reader_string(struct json_reader *r, enum json_context context);
void json_reader_escaped_string(struct json_reader *r, enum json_context context);

static inline void json_note(struct json_reader *r, enum json_repair_kind kind)
{
    r->repairs |= 1U << kind;
}

static inline int json_byte(const struct json_reader *r, size_t at)
{
    return at < r->length ? (unsigned char)r->text[at] : -1;
}

enum json_quote { JSON_NO_QUOTE, JSON_DOUBLE, JSON_SINGLE };

/* The kind of quote at `at`, and its bytes. */
enum json_quote json_quote_at(const struct json_reader *r, size_t at, size_t *bytes);
/* Backslashes and then a quote at `at`: how many backslashes, else 0. */
size_t json_escaped_quote_at(const struct json_reader *r, size_t at);
/* Behind white space, escaped white space (\n as two characters) and comments. What is more than
 * white space is added to *repairs (NULL: do not tell). */
size_t json_skip(const struct json_reader *r, size_t at, unsigned *repairs);
/* A key and its colon stand at `at` (white space before it is fine). quoted: only in quotes. */
bool json_key_at(const struct json_reader *r, size_t at, bool quoted);
/* What follows a comma at at - 1 shows that the comma ended a member or element. */
bool json_comma_ends(const struct json_reader *r, size_t at, enum json_context context);
/* The comment sign at `at` begins a comment. */
bool json_comment_at(const struct json_reader *r, size_t at);

#endif
