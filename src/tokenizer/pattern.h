/* pattern.h: the regular expressions of tokenizer.json. The reference runs them on Oniguruma (Ruby
 * syntax), we on PCRE2: a pattern is parsed, and what both understand is written out again so that
 * both mean the same; anything else is refused by name. */
#ifndef TOKENIZER_PATTERN_H
#define TOKENIZER_PATTERN_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

typedef struct pattern pattern; /* immutable */
typedef struct matcher matcher; /* scratch of one thread */

/* literal: the text itself, not an expression. ERR_INPUT naming what is not supported. */
int pattern_create(pattern **out, const char *text, size_t length, bool literal, const char *where,
                   struct err *err);
void pattern_free(pattern *p);
bool pattern_matches_empty(const pattern *p); /* may match no character at all */

matcher *matcher_create(void); /* NULL when memory is out */
void matcher_free(matcher *m);

/* The first match in text that starts at `from` or later: 1 and *begin, *end; 0 when there is none;
 * −1 and err when the engine gave up. */
int pattern_match(const pattern *p, matcher *m, const char *text, size_t length, size_t from,
                  size_t *begin, size_t *end, struct err *err);

/* One match after the other, as the reference's engine iterates: none overlaps the one before, and
 * an empty one does not follow another match at once. Zero-initialise the scan. Returns as
 * pattern_match. */
struct pattern_scan {
    size_t at, done;
    bool any;
};
int pattern_next(const pattern *p, matcher *m, struct pattern_scan *scan, const char *text,
                 size_t length, size_t *begin, size_t *end, struct err *err);

/* Appends the text with every match replaced. zero (may be NULL): as in normalize.h, updated. */
int pattern_replace(const pattern *p, matcher *m, struct str *out, const char *text, size_t length,
                    struct slice content, size_t *zero, struct err *err);

/* The PCRE2 form of a pattern (for tests and messages). */
int pattern_translate(struct str *out, const char *text, size_t length, const char *where,
                      struct err *err);

#endif
