/* hash.h - 64-bit hashes that may be stored: XXH3 (libxxhash), whose output is frozen. Not for secrets. */
#pragma once
#include "base/str.h"

uint64_t hash_str(struct str text);
uint64_t hash_str_seeded(struct str text, uint64_t seed); /* another family of hashes for each seed */

/* A map from text to a 64-bit value, in an arena; keys are copied. Not for concurrent use. */
struct map;
struct map *map_create(struct arena *arena);
int64_t    *map_at(struct map *map, struct str key);        /* the value of key, made as 0 if absent */
int64_t    *map_find(const struct map *map, struct str key); /* NULL if absent */
size_t      map_count(const struct map *map);

/* Pairs in order of first insertion: for (size_t i = 0; i < map_count(m); i++) map_entry(m, i, &key) */
int64_t *map_entry(const struct map *map, size_t i, struct str *key);
