/* json_repair.h: the JSON in a text, and what was meant where it is broken.
 *
 * Looks for it, in this order: the whole text; a ``` or ~~~ fence (the first that holds an object
 * or a list); an object or list in prose (the first that looks like one). Of several objects one
 * after another the first that has members counts: the others are named in `repairs`, not merged.
 * A text that is JSON inside a JSON string is opened, up to three times.
 *
 * What is valid JSON as it stands is taken as it stands. Anything else goes through a reader that
 * forgives what language models break; the list of what it forgave is enum json_repair_kind.
 * docs/JSON_REPAIR.md has the choices, and figures beside those of other programs.
 * Linear in time and memory on any bytes, NUL and invalid UTF-8 included; what nests
 * deeper than JSON_REPAIR_DEPTH or has more than about JSON_REPAIR_VALUES values is found, but not
 * read. The mechanism is told in json_repair.c. */
#ifndef REWARD_JSON_REPAIR_H
#define REWARD_JSON_REPAIR_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { JSON_REPAIR_DEPTH = 64, JSON_REPAIR_VALUES = 100000 };

enum json_place { JSON_NOWHERE, JSON_WHOLE, JSON_FENCE, JSON_PROSE };

enum json_repair_kind {
    JSON_QUOTES,           /* missing, single or typographic quotes; quotes inside a string */
    JSON_ESCAPED_QUOTES,   /* \" where " was meant */
    JSON_UNQUOTED_KEYS,    /* {nota: 4} */
    JSON_UNQUOTED_STRINGS, /* {"a": bom} */
    JSON_COMMAS,           /* missing, trailing, doubled; a semicolon */
    JSON_COLONS,           /* missing, = or an arrow */
    JSON_BRACKETS,         /* missing, superfluous or of the wrong kind */
    JSON_TRUNCATED,        /* the text ends inside a value */
    JSON_COMMENTS,
    JSON_LITERALS,           /* True, None, undefined, NaN, verdadeiro … */
    JSON_NUMBERS,            /* 4,5  R$ 10,00  12%  .5  007 */
    JSON_NUMBER_RANGE,       /* beyond 64 bits (read as a real) or beyond a double (null) */
    JSON_MISSING_VALUES,     /* null in their place */
    JSON_CONTROL_CHARACTERS, /* raw in a string */
    JSON_ESCAPES,            /* that JSON does not have */
    JSON_ENCODING,           /* invalid UTF-8, NUL in a key: U+FFFD in its place */
    JSON_DUPLICATE_KEYS,     /* the last one wins */
    JSON_CONCATENATED,       /* more JSON after it, ignored */
    JSON_STRAY_TEXT,         /* between members, ignored */
    JSON_TEXT_AROUND,        /* before or after it (outside of a fence is no fault) */
    JSON_ENCODED_STRING,     /* JSON inside a JSON string */
    JSON_SIGNS,              /* full-width ones: ｛"a"：1｝ */
    JSON_WRAPPED,            /* a call around a value: Date("2024-01-05") */
    JSON_TOO_LARGE,          /* too deep or too many values: not repaired */
    JSON_REPAIR_KINDS
};
const char *json_repair_name(enum json_repair_kind kind); /* "duplicate_keys" */
const char *json_place_name(enum json_place place);       /* "nowhere", "whole", "fence", "prose" */

struct json_repaired {
    enum json_place place; /* JSON_NOWHERE: nothing found */
    bool strict;           /* valid as it stands: nothing repaired, keys unique */
    unsigned repairs;      /* bits 1 << json_repair_kind */
    json_t *value;         /* NULL: nothing found, or not repairable */
};

/* false when memory is out; release in any case. Thinking is text like any other here: strip_think
 * before. */
bool json_repair(struct json_repaired *out, const char *text, size_t length);
void json_repaired_free(struct json_repaired *r);

#endif
