/* map.h: a hash map from byte strings to 32-bit integers (vocabularies, names, ids). Keys are
 * copied. Open addressing; insertion only. Zero-initialise. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t count, capacity;
    struct map_keys *keys; /* storage of the copied keys */
};

/* Inserts or overwrites. false when memory is out. */
bool map_put(struct map *map, const void *key, size_t length, int32_t value);
/* true and *value when present (value may be NULL). */
bool map_get(const struct map *map, const void *key, size_t length, int32_t *value);
void map_free(struct map *map);

uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed); /* not cryptographic */

#endif
