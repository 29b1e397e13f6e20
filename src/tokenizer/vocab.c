/* vocab.c: three arrays by id that grow together, and two maps from names; see vocab.h. Ids need
 * not be without gaps, but are few enough to be indices. */
#include "tokenizer/vocab.h"
#include <string.h>
#include "base/mem.h"

enum { MAX_ID = 1 << 24 };

/* Geometric growth: mem_realloc always copies. */
static bool reserve(struct vocab *v, size_t size)
{
    size_t capacity = v->capacity ? v->capacity : 1024;
    while (capacity < size)
        capacity *= 2;
    if (capacity == v->capacity)
        return true;
    char **tokens = mem_realloc(v->tokens, capacity * sizeof *tokens);
    if (tokens)
        v->tokens = tokens;
    size_t *lengths = tokens ? mem_realloc(v->lengths, capacity * sizeof *lengths) : NULL;
    if (!lengths)
        return false;
    v->lengths = lengths;
    v->capacity = capacity;
    return true;
}

int vocab_put(struct vocab *v, struct map *names, const char *token, size_t length, long long id,
              const char *where, struct err *err)
{
    if (id < 0 || id >= MAX_ID)
        return err_set(err, ERR_INPUT, where, "token \"%.60s\" has id %lld, expected 0 to %d",
                       token, id, (int)MAX_ID - 1);
    if (id >= v->size) {
        if (!reserve(v, (size_t)id + 1))
            return err_no_memory(err, where, (unsigned long long)id * sizeof *v->tokens);
        for (size_t i = (size_t)v->size; i <= (size_t)id; i++) {
            v->tokens[i] = NULL;
            v->lengths[i] = 0;
        }
        v->size = (int)id + 1;
    }
    if (v->tokens[id]) {
        if (v->lengths[id] == length && memcmp(v->tokens[id], token, length) == 0)
            return ERR_NONE;
        return err_set(err, ERR_INPUT, where, "id %lld belongs to both \"%.60s\" and \"%.60s\"", id,
                       v->tokens[id], token);
    }
    v->tokens[id] = mem_strndup(token, length);
    v->lengths[id] = length;
    if (!v->tokens[id] || !map_put(names, token, length, (int32_t)id))
        return err_no_memory(err, where, length);
    return ERR_NONE;
}

bool vocab_set_text(struct vocab *v, int id, const char *text, size_t length)
{
    char *copy = mem_strndup(text, length);
    if (!copy)
        return false;
    mem_free(v->tokens[id]);
    v->tokens[id] = copy;
    v->lengths[id] = length;
    return true;
}

int vocab_id(const struct vocab *v, const char *token, size_t length)
{
    int32_t id;
    if (map_get(&v->model, token, length, &id) || map_get(&v->added, token, length, &id))
        return id;
    return -1;
}

void vocab_free(struct vocab *v)
{
    for (int i = 0; i < v->size; i++)
        mem_free(v->tokens[i]);
    mem_free(v->tokens);
    mem_free(v->lengths);
    map_free(&v->model);
    map_free(&v->added);
    *v = (struct vocab){0};
}
