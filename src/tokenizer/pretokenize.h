/* pretokenize.h: cutting text into words before BPE, as tokenizer.json's pre_tokenizer says. */
#ifndef TOKENIZER_PRETOKENIZE_H
#define TOKENIZER_PRETOKENIZE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/pattern.h"

struct pretokenizer;

/* spec: the JSON value of "pre_tokenizer". Components: Sequence, Split, ByteLevel, Digits. The last
 * one must be a ByteLevel (this room's BPE works on bytes). */
int pretokenizer_create(struct pretokenizer **out, const json_t *spec, const char *where,
                        struct err *err);
void pretokenizer_free(struct pretokenizer *p);

/* Calls word(context, …) for each word in order; a non-zero return stops and is returned. */
typedef int pretokenize_word(void *context, const char *text, size_t length);
int pretokenize(const struct pretokenizer *p, matcher *m, const char *text, size_t length,
                pretokenize_word *word, void *context, struct err *err);

#endif
