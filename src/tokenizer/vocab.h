/* vocab.h: the tokens of a tokenizer by id and by name: the model's own, and those added to it. */
#ifndef TOKENIZER_VOCAB_H
#define TOKENIZER_VOCAB_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/map.h"

struct vocab {
    char **tokens; /* by id; NULL: no such id */
    size_t *lengths;
    int size; /* largest id + 1 */
    size_t capacity;
    struct map model, added; /* `added`: those that are not in the model */
};

/* Gives id to a token, which goes into names (one of the two maps). An id that another token has,
 * or that is out of range: ERR_INPUT. */
int vocab_put(struct vocab *v, struct map *names, const char *token, size_t length, long long id,
              const char *where, struct err *err);
/* Another text for an id that has one, for decoding; names stay. false: memory is out. */
bool vocab_set_text(struct vocab *v, int id, const char *text, size_t length);
int vocab_id(const struct vocab *v, const char *token, size_t length); /* −1: none */
void vocab_free(struct vocab *v);

#endif
