/* ids.h: a growable list of token ids. Zero-initialise. */
#ifndef TOKENIZER_IDS_H
#define TOKENIZER_IDS_H
#include <stddef.h>

struct ids {
    int *data;
    size_t count, capacity;
};
int ids_push(struct ids *ids, int id); /* non-zero when memory is out */
void ids_free(struct ids *ids);

#endif
