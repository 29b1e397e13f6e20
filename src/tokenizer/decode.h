/* decode.h: tokenizer.json's "decoder": the texts of tokens to one text, as they come. */
#ifndef TOKENIZER_DECODE_H
#define TOKENIZER_DECODE_H
#include <jansson.h>
#include "base/err.h"
#include "base/str.h"

struct decoder; /* immutable */

/* spec: the JSON value; NULL or null: tokens are joined by spaces. Components: Sequence, ByteLevel,
 * ByteFallback, Fuse, Strip, Replace, Metaspace, WordPiece, BPEDecoder, CTC. */
int decoder_create(struct decoder **out, const json_t *spec, const char *where, struct err *err);
void decoder_free(struct decoder *d);

struct decoding; /* one sequence of tokens on its way; the decoder must outlive it */

int decoding_create(struct decoding **out, const struct decoder *d, struct err *err);
void decoding_free(struct decoding *s);
/* Appends to out what the next token makes final. */
int decoding_put(struct decoding *s, struct str *out, const char *token, size_t length,
                 struct err *err);
/* There are no more: appends the rest. */
int decoding_end(struct decoding *s, struct str *out, struct err *err);

#endif
