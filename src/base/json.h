/* json.h: reading with jansson (limits, positions, typed getters that explain themselves) and a
 * small writer with fixed number formats, so that equal values are equal bytes. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

enum json_flags {
    JSON_PLAIN = 0,
    JSON_UNIQUE_KEYS = 1,
    JSON_ANY_VALUE = 2,
    JSON_NUL_ALLOWED = 4,
    /* A document with an integer beyond 64 bits (tokenizer_config.json's model_max_length is often
     * 10^30) is read with every integer as a real, instead of being an error. */
    JSON_BIG_INTEGERS = 8
};

/* Parses one document. Rejects invalid UTF-8, lone surrogates and trailing text. NULL on error
 * (ERR_INPUT with line and column). Release with json_decref. */
json_t *json_read(const void *data, size_t size, int flags, const char *where, struct err *err);

/* Typed getters on an object. Missing (when required) or wrong type: ERR_INPUT naming the key and
 * what was found. When not required and absent or null, *out is left as it was. */
int json_get_int(long long *out, const json_t *o, const char *key, bool required, const char *where,
                 struct err *err);
int json_get_double(double *out, const json_t *o, const char *key, bool required, const char *where,
                    struct err *err);
int json_get_bool(bool *out, const json_t *o, const char *key, bool required, const char *where,
                  struct err *err);
int json_get_string(const char **out, const json_t *o, const char *key, bool required,
                    const char *where, struct err *err);
const char *json_type_name(const json_t *value);

/* Writer. Commas and colons are its business. Memory failure is sticky in out->failed. */
struct json_writer {
    struct str *out;
    bool comma;
};
void jw_begin(struct json_writer *w, struct str *out);
void jw_object_begin(struct json_writer *w);
void jw_object_end(struct json_writer *w);
void jw_array_begin(struct json_writer *w);
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_string(struct json_writer *w, const char *text, size_t length); /* invalid UTF-8 → U+FFFD */
void jw_text(struct json_writer *w, const char *text);
void jw_int(struct json_writer *w, long long value);
void jw_float(struct json_writer *w, float value);   /* shortest of %.6g…%.9g that reads back */
void jw_double(struct json_writer *w, double value); /* shortest of %.15g…%.17g that reads back */
void jw_bool(struct json_writer *w, bool value);
void jw_null(struct json_writer *w);
void jw_value(struct json_writer *w, const json_t *value); /* any parsed value, keys in order */
/* A double or float that is NaN or infinite is written as null: JSON has no such number. */

#endif
