/* bpe_model.h: tokenizer.json's "model": a BPE vocabulary with its merges, and one word to ids.
 * Both kinds are here: byte-level (the pre-tokenizer spells bytes as characters) and
 * SentencePiece's (characters, with <0xNN> tokens for what has none). */
#ifndef TOKENIZER_BPE_MODEL_H
#define TOKENIZER_BPE_MODEL_H
#include <jansson.h>
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "tokenizer/bpe.h"
#include "tokenizer/ids.h"
#include "tokenizer/vocab.h"

struct bpe_model; /* immutable */

/* spec: the JSON value of "model". Its tokens go into *vocab, which must outlive the model. */
int bpe_model_create(struct bpe_model **out, struct vocab *vocab, const json_t *spec,
                     const char *where, struct err *err);
void bpe_model_free(struct bpe_model *m);

/* Scratch of one encoding. Zero-initialise; use_cache remembers words met before, worth it for
 * texts of some length. */
struct bpe_cache {
    bool use_cache;
    struct ids symbols;
    struct bpe_scratch merging;
    struct str affixed;
    struct map known; /* word → place in `words` */
    struct ids words; /* of each: how many ids, the ids */
};
void bpe_cache_free(struct bpe_cache *c);

/* Appends the ids of a word. A character that the model cannot express is dropped, as the reference
 * does, or the unknown token; when that one is itself no token: ERR_INPUT. */
int bpe_model_encode(const struct bpe_model *m, struct bpe_cache *c, struct ids *out,
                     const char *word, size_t length, struct err *err);

#endif
