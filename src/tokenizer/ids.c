/* ids.c: doubling; see ids.h. */
#include "tokenizer/ids.h"
#include "base/err.h"
#include "base/mem.h"

int ids_push(struct ids *ids, int id)
{
    if (ids->count == ids->capacity) {
        size_t capacity = ids->capacity ? 2 * ids->capacity : 64;
        int *data = mem_realloc(ids->data, capacity * sizeof *data);
        if (!data)
            return ERR_MACHINE;
        ids->data = data;
        ids->capacity = capacity;
    }
    ids->data[ids->count++] = id;
    return ERR_NONE;
}

void ids_free(struct ids *ids)
{
    mem_free(ids->data);
    *ids = (struct ids){0};
}
