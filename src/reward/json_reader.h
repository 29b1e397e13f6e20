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
    int depth, arrays, objects, tuples; /* open ones; a tuple is a list in parentheses */
    int values;                         /* read so far */
    size_t sign;                        /* bytes of the sign that skipping came to */
    bool other_colons;   /* a key was followed by = or an arrow: bare ones may be too */
    size_t read_twice;   /* bytes gone back over, for strings that bare keys end */
    bool bare_keys;      /* a key stood without quotes */
    bool doubled_quotes; /* a key stood in ""two quotes"" */
    bool untripled;      /* a """ had no end */
    struct str buffer;   /* the string being read */
    bool no_memory, too_large;
};

/* Where a string or a bare word stands decides what may follow it. */
enum json_context { JSON_IN_ROOT, JSON_IN_OBJECT, JSON_IN_ARRAY, JSON_AS_KEY };

/* Reads the value at r->at and leaves r->at behind it. NULL when memory is out or it is too deep.
 * missing_brace: r->at is at the first key of an object whose { is missing. */
json_t *json_reader_value(struct json_reader *r, enum json_context context);
json_t *json_reader_object(struct json_reader *r, bool missing_brace);
/* A value without quotes or brackets at r->at (json_bare.c). */
json_t *json_reader_bare(struct json_reader *r, enum json_context context);
/* A string from a quote at r->at into r->buffer (json_string.c). */
void json_reader_string(struct json_reader *r, enum json_context context);
void json_reader_escaped_string(struct json_reader *r, enum json_context context);
/* r->buffer as a value; null where one is missing; `value`, noted when it is NULL for want of
 * memory. */
json_t *json_reader_text(struct json_reader *r);
json_t *json_reader_missing(struct json_reader *r);
json_t *json_reader_keep(struct json_reader *r, json_t *value);

static inline void json_note(struct json_reader *r, enum json_repair_kind kind)
{
    r->repairs |= 1U << kind;
}

static inline int json_byte(const struct json_reader *r, size_t at)
{
    return at < r->length ? (unsigned char)r->text[at] : -1;
}

/* --- looks ahead (json_look.c): none moves the reader --- */

enum json_quote { JSON_NO_QUOTE, JSON_DOUBLE, JSON_SINGLE };
enum { JSON_QUOTE_BYTES = 6 }; /* of the longest quote, &quot; */

/* The byte at `at`, -1 at the end; for a full-width sign such as U+FF1A the ASCII one it stands
 * for. Its bytes. */
int json_sign_at(const struct json_reader *r, size_t at, size_t *bytes);
/* An HTML entity or a typographic quote at `at`, which begins like one; *bytes comes as 1. */
enum json_quote json_rare_quote_at(const struct json_reader *r, size_t at, size_t *bytes);
/* The kind of quote at `at`, and its bytes. */
static inline enum json_quote json_quote_at(const struct json_reader *r, size_t at, size_t *bytes)
{
    int c = json_byte(r, at);
    *bytes = 1;
    if (c == '"')
        return JSON_DOUBLE;
    if (c == '\'' || c == '`')
        return JSON_SINGLE;
    return c == '&' || c >= 0xC2 ? json_rare_quote_at(r, at, bytes) : JSON_NO_QUOTE;
}
/* Bytes of the quote that ends at `end` and begins at `start` or later; 0: none. */
size_t json_quote_before(const struct json_reader *r, size_t start, size_t end);
/* Backslashes and then a quote at `at`: how many backslashes, else 0. */
size_t json_escaped_quote_at(const struct json_reader *r, size_t at);
/* Behind white space, escaped white space (\n as two characters), unseen characters and comments.
 * What is more than white space is added to *repairs (NULL: do not tell, and look not far). */
size_t json_skip(const struct json_reader *r, size_t at, unsigned *repairs);
bool json_crosses_line(const struct json_reader *r, size_t from, size_t to);
/* Prose follows a blank line between `after` and what stands behind `at`: the JSON, in which keys
 * have quotes, is over. */
bool json_over_at(const struct json_reader *r, size_t after, size_t at);
/* Bytes of "..." or of the bullet of a list item at `at`, or 0. */
size_t json_ellipsis_at(const struct json_reader *r, size_t at);
size_t json_bullet_at(const struct json_reader *r, size_t at);
bool json_is_word_byte(int c);
/* Bytes of what can stand between key and value at `at` (: = => -> :=), or 0. */
size_t json_colon_at(const struct json_reader *r, size_t at);
/* A key and its colon stand at `at` (white space before it is fine). quoted: only in quotes. */
bool json_key_at(const struct json_reader *r, size_t at, bool quoted);
/* The same for a key that may be damaged itself; strong: only what json_key_at calls quoted. */
bool json_member_at(const struct json_reader *r, size_t at, bool strong);
/* What follows a comma at at - 1 shows that the comma ended a member or element. */
bool json_comma_ends(const struct json_reader *r, size_t at, enum json_context context,
                     bool strong);
/* A value that ends soon, and the member with it, stands at `at`. */
bool json_whole_value_at(const struct json_reader *r, size_t at);
/* A number or literal without white space stands at `at`, and then an element of a list ends. */
bool json_lone_scalar_at(const struct json_reader *r, size_t at);
/* The comment sign at `at` begins a comment. */
bool json_comment_at(const struct json_reader *r, size_t at);
/* What stands from `from` to `end`, at most a few dozen bytes, is a number or a literal
 * (json_bare.c). */
bool json_scalar_in(const struct json_reader *r, size_t from, size_t end);

#endif
