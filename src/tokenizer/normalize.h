/* normalize.h: tokenizer.json's "normalizer": text to the text that the model sees. */
#ifndef TOKENIZER_NORMALIZE_H
#define TOKENIZER_NORMALIZE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/pattern.h"

struct normalizer; /* immutable */

/* spec: the JSON value; NULL or null: nothing is done. Components: Sequence, NFC, NFD, NFKC, NFKD,
 * Lowercase, Strip, StripAccents, Nmt, Replace, Prepend, ByteLevel, BertNormalizer. Others (the
 * Precompiled maps of SentencePiece) are refused by name. */
int normalizer_create(struct normalizer **out, const json_t *spec, const char *where,
                      struct err *err);
void normalizer_free(struct normalizer *n);
bool normalizer_is_empty(const struct normalizer *n);

/* A text and how many of its first bytes come from the original's first character (0: none): what a
 * later Metaspace may ask for. */
struct origin_text {
    struct str text;
    size_t zero;
};
/* Appends to out->text. zero: of the input. */
int normalize(const struct normalizer *n, matcher *m, struct origin_text *out, const char *text,
              size_t length, size_t zero, struct err *err);

#endif
