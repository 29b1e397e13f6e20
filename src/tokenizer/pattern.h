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
/* One word character as Rust's regex has it (Alphabetic, M, Nd, Pc, joiners), for single_word. */
int pattern_create_word(pattern **out, const char *where, struct err *err);
void pattern_free(pattern *p);

matcher *matcher_create(void); /* NULL when memory is out */
void matcher_free(matcher *m);

/* The first match in text that starts at `from` or later: 1 and *begin, *end; 0 when there is none;
 * −1 and err when the engine gave up. */
int pattern_match(const pattern *p, matcher *m, const char *text, size_t length, size_t from,
                  size_t *begin, size_t *end, struct err *err);

/* The PCRE2 form of a pattern (for tests and messages). */
int pattern_translate(struct str *out, const char *text, size_t length, const char *where,
                      struct err *err);

#endif
