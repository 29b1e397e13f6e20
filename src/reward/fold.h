/* fold.h: text made comparable: lower case, no accents, everything but letters and digits one
 * space. "Não entregue!" and "nao_entregue" are then the same. */
#ifndef REWARD_FOLD_H
#define REWARD_FOLD_H
#include <stdint.h>
#include "base/str.h"

/* Appends to out; no space at its ends. */
void fold_text(struct str *out, const char *text, size_t length);

/* The words of a text, folded, as hashes in order of size: a multiset. */
struct fold_words {
    uint64_t *hashes;
    size_t n;
};
/* Words of at least `shortest` bytes. false: memory is out; free in any case. */
bool fold_words(struct fold_words *out, const char *text, size_t length, size_t shortest);
void fold_words_free(struct fold_words *w);
size_t fold_common(const struct fold_words *a, const struct fold_words *b); /* as multisets */
bool fold_has(const struct fold_words *w, uint64_t hash);
/* 2·common/(n_a + n_b); 1 when both are empty. */
double fold_f1(const struct fold_words *a, const struct fold_words *b);

#endif
