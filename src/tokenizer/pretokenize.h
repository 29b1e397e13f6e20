/* pretokenize.h: cutting text into words before BPE, as tokenizer.json's pre_tokenizer says. Some
 * steps rewrite the text as well (ByteLevel spells bytes, Metaspace marks spaces). */
#ifndef TOKENIZER_PRETOKENIZE_H
#define TOKENIZER_PRETOKENIZE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"
#include "tokenizer/pattern.h"

struct pretokenizer; /* immutable */

/* spec: the JSON value of "pre_tokenizer"; NULL or null: the text is one word. Components:
 * Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit,
 * CharDelimiterSplit, BertPreTokenizer, FixedLength. Others (UnicodeScripts) are refused by name.
 */
int pretokenizer_create(struct pretokenizer **out, const json_t *spec, const char *where,
                        struct err *err);
void pretokenizer_free(struct pretokenizer *p);

/* Calls word(context, …) for each word in order, never an empty one; a non-zero return stops and is
 * returned. zero: see normalize.h. */
typedef int pretokenize_word(void *context, const char *text, size_t length);
int pretokenize(const struct pretokenizer *p, matcher *m, const char *text, size_t length,
                size_t zero, pretokenize_word *word, void *context, struct err *err);

#endif
