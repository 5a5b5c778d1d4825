/* hash.c - open addressing over an insertion-ordered list of entries. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_str(struct str text)
{
    return XXH3_64bits(text.s ? text.s : "", text.n);
}

uint64_t hash_str_seeded(struct str text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text.s ? text.s : "", text.n, seed);
}

struct entry {
    struct str key;
    uint64_t   hash;
    int64_t    value;
};

struct map {
    struct arena *arena;
    VEC(struct entry *) entries; /* pointers: a value keeps its address while the map grows */
    uint32_t *slots;             /* 1 + index into entries, 0 = free */
    size_t    slot_count;        /* a power of two, at most half full */
};

struct map *map_create(struct arena *arena)
{
    struct map *map = NEW(arena, struct map);
    map->arena = arena;
    map->slot_count = 16;
    map->slots = NEW_ARRAY(arena, uint32_t, map->slot_count);
    return map;
}

static size_t slot_of(const struct map *map, struct str key, uint64_t hash)
{
    size_t i = hash & (map->slot_count - 1);
    while (map->slots[i]) {
        const struct entry *entry = map->entries.at[map->slots[i] - 1];
        if (entry->hash == hash && str_eq(entry->key, key)) break;
        i = (i + 1) & (map->slot_count - 1);
    }
    return i;
}

static void widen(struct map *map)
{
    map->slot_count *= 2;
    map->slots = NEW_ARRAY(map->arena, uint32_t, map->slot_count);
    for (size_t e = 0; e < map->entries.n; e++) {
        size_t i = map->entries.at[e]->hash & (map->slot_count - 1);
        while (map->slots[i]) i = (i + 1) & (map->slot_count - 1);
        map->slots[i] = (uint32_t)e + 1;
    }
}

int64_t *map_at(struct map *map, struct str key)
{
    uint64_t hash = hash_str(key);
    size_t   i = slot_of(map, key, hash);
    if (map->slots[i]) return &map->entries.at[map->slots[i] - 1]->value;
    if ((map->entries.n + 1) * 2 > map->slot_count) {
        widen(map);
        i = slot_of(map, key, hash);
    }
    struct entry *entry = NEW(map->arena, struct entry);
    *entry = (struct entry){.key = str_dup(map->arena, key), .hash = hash};
    *VEC_PUSH(map->arena, &map->entries) = entry;
    map->slots[i] = (uint32_t)map->entries.n;
    return &entry->value;
}

int64_t *map_find(const struct map *map, struct str key)
{
    size_t i = slot_of(map, key, hash_str(key));
    return map->slots[i] ? &map->entries.at[map->slots[i] - 1]->value : NULL;
}

size_t map_count(const struct map *map)
{
    return map->entries.n;
}

int64_t *map_entry(const struct map *map, size_t i, struct str *key)
{
    *key = map->entries.at[i]->key;
    return &map->entries.at[i]->value;
}
