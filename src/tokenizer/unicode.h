/* unicode.h: where the reference's engines and ours know different versions of Unicode, the
 * reference's answer. Its regular expressions (Oniguruma) are of Unicode 16, its normalizer of
 * Unicode 10, its digits of Unicode 17; Debian 12 has PCRE2 of Unicode 14 and utf8proc of 15. */
#ifndef TOKENIZER_UNICODE_H
#define TOKENIZER_UNICODE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

bool unicode_is_space(int32_t c);   /* White_Space */
bool unicode_is_numeric(int32_t c); /* Nd, Nl, No */

/* Appends, as items of a PCRE2 class, the code points that Unicode 15 to 16 put into a general
 * category: one of two letters ("Lu"), or of one ("L", all that start with it). */
void unicode_put_additions(struct str *out, const char *category);

/* Appends the NFC of valid UTF-8 as the reference has it. */
int unicode_nfc(struct str *out, const char *text, size_t length, struct err *err);

#endif
