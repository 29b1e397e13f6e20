/* unicode.h: where the reference's engines and ours know different versions of Unicode, the
 * reference's answer. Its regular expressions (Oniguruma) are of Unicode 16, its normalizer of
 * Unicode 10, its digits and small letters of Unicode 17; Debian 12 has PCRE2 of Unicode 14 and
 * utf8proc of 15. */
#ifndef TOKENIZER_UNICODE_H
#define TOKENIZER_UNICODE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

bool unicode_is_space(int32_t c);   /* White_Space */
bool unicode_is_numeric(int32_t c); /* Nd, Nl, No */
bool unicode_is_word(int32_t c);    /* \w of Rust's regex crate */
bool unicode_is_punctuation(int32_t c);
bool unicode_is_mark(int32_t c);                /* M, for StripAccents */
bool unicode_is_nonspacing(int32_t c);          /* Mn, for the Bert normalizer */
bool unicode_is_removed_by_cleaning(int32_t c); /* NUL, U+FFFD and controls: the same */

/* Small letters of one character, context or not: one code point, or two (returned count). */
int unicode_to_lower(int32_t c, int32_t out[2]);

/* Appends, as items of a PCRE2 class, the code points that Unicode 15 to 16 put into a general
 * category: one of two letters ("Lu"), or of one ("L", all that start with it). */
void unicode_put_additions(struct str *out, const char *category);

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };

/* Appends the normal form of valid UTF-8 as the reference has it. */
int unicode_normalize(struct str *out, enum unicode_form form, const char *text, size_t length,
                      struct err *err);

/* How many bytes of that form the reference aligns with the first `zero` bytes of the text (whole
 * characters, not none): what its normalizer calls inserted goes with the character before. */
int unicode_normalize_origin(size_t *out, enum unicode_form form, const char *text, size_t length,
                             size_t zero, struct err *err);

#endif
