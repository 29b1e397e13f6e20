/* added.h: added tokens: strings that are found in the text before the model sees it. One kind is
 * looked for in the raw text, the other ("normalized") in the normalized one, itself normalized. */
#ifndef TOKENIZER_ADDED_H
#define TOKENIZER_ADDED_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "tokenizer/normalize.h"
#include "tokenizer/vocab.h"

struct added_tokens; /* immutable */

/* list: the JSON value of "added_tokens"; NULL or null: none. Puts the tokens into *vocab, after
 * the model's own, and gives those that the normalizer changes the text they are decoded to. */
int added_tokens_create(struct added_tokens **out, struct vocab *vocab, const struct normalizer *n,
                        const json_t *list, const char *where, struct err *err);
void added_tokens_free(struct added_tokens *a);

bool added_is_special(const struct added_tokens *a, int id);
bool added_is_skipped(const struct added_tokens *a,
                      int id); /* by a decoding without special ones */

/* Cuts the tokens of one kind out of a text: calls piece(context, …) for what was found (its id)
 * and for what lies between (id −1), in order. begin: where the piece starts in the text. */
typedef int added_piece(void *context, int id, const char *text, size_t begin, size_t length);
int added_cut(const struct added_tokens *a, bool normalized, const char *text, size_t length,
              added_piece *piece, void *context);

#endif
