/* schema.h: what an extraction is to contain, read from a JSON file:
 * schemas/review_extraction.json, which is also compiled in, or a user's own.
 *
 *   {"name": "...", "version": 1, "fields": [FIELD...], "rules": [RULE...]}
 *
 * FIELD   {"name", "type", "weight"} and, where they apply:
 *   type                enum, integer, number, boolean or string
 *   weight              of the field among the others, over 0
 *   values              enum: the words, each once; one that differs from an answer in case,
 * accents and punctuation alone is read too, when it is the only one nullable            null is a
 * value (default false) required            false: leaving the field out is as good as null
 * (default true) minimum, maximum    integer, number: the range tolerance           integer: the
 * distance at which a wrong value earns nothing (default 0: only the right one earns)
 *   relative_tolerance  number: |difference| / |reference| that is still right (default 0)
 *   max_length          string: characters
 *   from_prompt         string, number: without a reference, its words or its value should be found
 *                       in the prompt
 *
 * RULE    {"if": TEST, "then": TEST}: where the first holds, the second should.
 * TEST    {"field": NAME, "in": [values]} (not of a string, null aside) or
 *         {"field": NAME, "minimum", "maximum"} (of a number)
 *
 * Weights need not sum to 1. An unknown key is an error. */
#ifndef REWARD_SCHEMA_H
#define REWARD_SCHEMA_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

enum {
    SCHEMA_MAX_FIELDS = 64,
    SCHEMA_MAX_RULES = 64,
    SCHEMA_MAX_VALUES = 1000,
    SCHEMA_MAX_WEIGHT = 1000000
};

enum schema_type {
    SCHEMA_ENUM,
    SCHEMA_INTEGER,
    SCHEMA_NUMBER,
    SCHEMA_BOOLEAN,
    SCHEMA_STRING,
    SCHEMA_TYPES
};

struct schema_field {
    const char *name; /* in schema.json, as are the values */
    enum schema_type type;
    double weight;
    const json_t *values;
    bool nullable, required, from_prompt;
    double minimum, maximum; /* infinite: none */
    double tolerance, relative_tolerance;
    long long max_length; /* -1: none */
};

struct schema_test {
    int field;
    const json_t *in; /* NULL: by range */
    double minimum, maximum;
};

struct schema_rule {
    struct schema_test when, then;
};

struct schema {
    json_t *json; /* owned */
    int n_fields, n_rules;
    struct schema_field fields[SCHEMA_MAX_FIELDS];
    struct schema_rule rules[SCHEMA_MAX_RULES];
};

/* The text of schemas/review_extraction.json. */
extern const char schema_default_text[];

/* `where` names the schema in errors. Release with schema_free, also after an error. */
int schema_read(struct schema *s, const void *text, size_t length, const char *where,
                struct err *err);
int schema_read_file(struct schema *s, const char *path, struct err *err);
void schema_free(struct schema *s);

/* --- values --- */

enum value_state { VALUE_ABSENT, VALUE_NULL, VALUE_WRONG, VALUE_READ };

/* A value as a field takes it. Near misses are read too ("5" or 5.0 for 5, "sim" for true, "R$
 * 10,00" for 10), and are worth less as far as the schema goes. */
struct schema_value {
    enum value_state state;
    double fit;    /* to the schema: 1 as it should be, 0.5 a near miss, 0 wrong */
    double number; /* integer, number; boolean: 0 or 1; enum: index of the word */
    struct slice text;
    bool no_memory;
};
struct schema_value schema_value(const struct schema_field *f, const json_t *value);

/* Whether a test holds for the values of all fields; 1, 0, or -1: cannot tell. */
int schema_test_holds(const struct schema *s, const struct schema_test *t,
                      const struct schema_value *values);

#endif
