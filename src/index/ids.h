/* ids.h - from a 64-bit number to a 32-bit one: row ids to slots. Nothing is ever removed, only overwritten. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_place {
    uint64_t key;
    uint32_t value;
    bool     used;
};

struct ids {
    struct id_place *places;
    size_t           count, room; /* room: a power of two, or 0 */
};

uint32_t *index_ids_find(const struct ids *ids, uint64_t key); /* NULL if absent */
void      index_ids_put(struct ids *ids, uint64_t key, uint32_t value);
void      index_ids_clear(struct ids *ids);
size_t    index_ids_memory(const struct ids *ids);
void      index_ids_free(struct ids *ids);
