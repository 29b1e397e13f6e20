/* map.c: open addressing with linear probing, at most 2/3 full; see map.h. Keys live in one growing
 * block and are referred to by offset, so growth moves them freely. */
#include "base/map.h"
#include <string.h>
#include "base/mem.h"

struct map_slot {
    uint64_t hash; /* 0: empty */
    uint64_t offset;
    uint32_t length;
    int32_t value;
};

struct map_keys {
    size_t used, capacity;
    char bytes[];
};

uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed)
{
    /* FNV-1a over 8-byte words with a SplitMix64 finish: short keys, no adversary. */
    const unsigned char *p = bytes;
    uint64_t h = seed ^ 0xCBF29CE484222325ull ^ (uint64_t)length * 0x9E3779B97F4A7C15ull;
    for (; length >= 8; p += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9FB21C651E98DF25ull;
        h ^= h >> 32;
    }
    for (; length; p++, length--)
        h = (h ^ *p) * 0x100000001B3ull;
    h ^= h >> 30;
    h *= 0xBF58476D1CE4E5B9ull;
    h ^= h >> 27;
    h *= 0x94D049BB133111EBull;
    return h ^ h >> 31;
}

static uint64_t slot_hash(const void *key, size_t length)
{
    uint64_t h = hash_bytes(key, length, 0);
    return h ? h : 1;
}

static struct map_slot *probe(const struct map *map, const void *key, size_t length, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *slot = &map->slots[i];
        if (!slot->hash)
            return slot;
        if (slot->hash == hash && slot->length == length &&
            (!length || memcmp(map->keys->bytes + slot->offset, key, length) == 0))
            return slot;
    }
}

static bool grow_slots(struct map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : 16;
    struct map_slot *slots = mem_calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (!map->slots[i].hash)
            continue;
        size_t j = map->slots[i].hash & (capacity - 1);
        while (slots[j].hash)
            j = (j + 1) & (capacity - 1);
        slots[j] = map->slots[i];
    }
    mem_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

static bool grow_keys(struct map *map, size_t extra)
{
    size_t used = map->keys ? map->keys->used : 0;
    if (map->keys && map->keys->capacity - used >= extra)
        return true;
    size_t capacity = used + extra > 256 ? (used + extra) * 2 : 512;
    struct map_keys *keys = mem_realloc(map->keys, sizeof *keys + capacity);
    if (!keys)
        return false;
    keys->used = used;
    keys->capacity = capacity;
    map->keys = keys;
    return true;
}

bool map_put(struct map *map, const void *key, size_t length, int32_t value)
{
    if (length > UINT32_MAX)
        return false;
    if (map->count * 3 >= map->capacity * 2 && !grow_slots(map))
        return false;
    if (!grow_keys(map, length))
        return false;
    uint64_t hash = slot_hash(key, length);
    struct map_slot *slot = probe(map, key, length, hash);
    if (!slot->hash) {
        *slot =
            (struct map_slot){.hash = hash, .offset = map->keys->used, .length = (uint32_t)length};
        if (length)
            memcpy(map->keys->bytes + map->keys->used, key, length);
        map->keys->used += length;
        map->count++;
    }
    slot->value = value;
    return true;
}

bool map_get(const struct map *map, const void *key, size_t length, int32_t *value)
{
    if (!map->count)
        return false;
    const struct map_slot *slot = probe(map, key, length, slot_hash(key, length));
    if (!slot->hash)
        return false;
    if (value)
        *value = slot->value;
    return true;
}

void map_free(struct map *map)
{
    mem_free(map->slots);
    mem_free(map->keys);
    *map = (struct map){0};
}
