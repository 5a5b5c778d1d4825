/* ids.c - open addressing, at most half full. */
#include "index/ids.h"

#include "index/region.h"

#include <string.h>

static struct id_place *place_of(const struct ids *ids, uint64_t key)
{
    size_t mask = ids->room - 1, i = (key * 0x9e3779b97f4a7c15u >> 20) & mask; /* Fibonacci hashing: ids are dense */
    while (ids->places[i].used && ids->places[i].key != key) i = (i + 1) & mask;
    return &ids->places[i];
}

uint32_t *index_ids_find(const struct ids *ids, uint64_t key)
{
    if (!ids->room) return NULL;
    struct id_place *place = place_of(ids, key);
    return place->used ? &place->value : NULL;
}

static void widen(struct ids *ids)
{
    struct ids old = *ids;
    ids->room = old.room ? old.room * 2 : 128;
    ids->places = index_region_grow(NULL, 0, ids->room * sizeof *ids->places);
    for (size_t i = 0; i < old.room; i++)
        if (old.places[i].used) *place_of(ids, old.places[i].key) = old.places[i];
    index_region_free(old.places, old.room * sizeof *old.places);
}

void index_ids_put(struct ids *ids, uint64_t key, uint32_t value)
{
    if (ids->count * 2 >= ids->room) widen(ids);
    struct id_place *place = place_of(ids, key);
    if (!place->used) ids->count++;
    *place = (struct id_place){.key = key, .value = value, .used = true};
}

void index_ids_clear(struct ids *ids)
{
    if (ids->room) memset(ids->places, 0, ids->room * sizeof *ids->places);
    ids->count = 0;
}

size_t index_ids_memory(const struct ids *ids)
{
    return ids->room * sizeof *ids->places;
}

void index_ids_free(struct ids *ids)
{
    index_region_free(ids->places, ids->room * sizeof *ids->places);
    *ids = (struct ids){0};
}
