/* spec.h: reading the components of tokenizer.json ("normalizer", "pre_tokenizer", "decoder",
 * "post_processor"): what they share. */
#ifndef TOKENIZER_SPEC_H
#define TOKENIZER_SPEC_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/pattern.h"

/* ERR_INPUT: "WHAT is not supported: ids could be wrong". */
int spec_refuse(const char *where, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The component's "type". `role` ("normalizer") is for messages. */
int spec_type(const char **type, const json_t *spec, const char *role, const char *where,
              struct err *err);

/* The list of a Sequence, under `key`. */
int spec_list(const json_t **list, const json_t *spec, const char *role, const char *key,
              const char *where, struct err *err);

/* A string of exactly one character. */
int spec_char(int32_t *c, const json_t *spec, const char *key, const char *where, struct err *err);

/* A string of any length, NULs inside allowed; borrowed from the JSON. */
int spec_text(struct slice *text, const json_t *spec, const char *key, const char *where,
              struct err *err);

/* "pattern": {"String": …} or {"Regex": …}. */
int spec_pattern(pattern **out, const json_t *spec, const char *role, const char *where,
                 struct err *err);

enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };
struct metaspace {
    char mark[8]; /* UTF-8 of "replacement" */
    size_t mark_length;
    int32_t character;
    enum prepend_scheme prepend;
    bool split;
};
int spec_metaspace(struct metaspace *m, const json_t *spec, const char *where, struct err *err);

#endif
