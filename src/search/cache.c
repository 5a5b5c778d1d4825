/* cache.c - a bounded cache of copies: sets of four entries, the one used longest ago makes room.
 *
 * Every entry owns an arena with its key and value. The whole key is compared, never only its hash: keys hold the
 * workspace. One lock, held for the time of a copy.
 */
#include "search/parts.h"

#include "base/time.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAYS = 4 };

struct entry {
    struct arena *arena; /* NULL: free */
    struct str    key;
    uint64_t      hash;
    int64_t       version, expires;
    uint64_t      used;
    void         *value;
};

struct cache {
    pthread_mutex_t lock; /* guards everything below */
    int64_t         lifetime;
    uint64_t        clock;
    size_t          sets;
    struct entry    entries[];
};

struct cache *cache_create(size_t entries, int64_t lifetime)
{
    size_t        sets = (entries + WAYS - 1) / WAYS;
    struct cache *cache = calloc(1, sizeof *cache + sets * WAYS * sizeof(struct entry));
    if (!cache) abort();
    pthread_mutex_init(&cache->lock, NULL);
    cache->lifetime = lifetime;
    cache->sets = sets;
    return cache;
}

void cache_destroy(struct cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->sets * WAYS; i++) arena_destroy(cache->entries[i].arena);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct entry *find(struct cache *cache, struct str key, uint64_t hash)
{
    struct entry *set = &cache->entries[hash % cache->sets * WAYS];
    int64_t       now = time_now();
    for (int i = 0; i < WAYS; i++)
        if (set[i].arena && set[i].hash == hash && set[i].expires > now && str_eq(set[i].key, key)) return &set[i];
    return NULL;
}

bool cache_version(struct cache *cache, struct str key, int64_t *version)
{
    uint64_t hash = hash_str(key);
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, key, hash);
    if (entry) *version = entry->version;
    pthread_mutex_unlock(&cache->lock);
    return entry != NULL;
}

void *cache_get(struct cache *cache, struct arena *arena, struct str key, int64_t version, cache_copy copy,
                const void *context)
{
    uint64_t hash = hash_str(key);
    void    *value = NULL;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, key, hash);
    if (entry && entry->version == version) {
        entry->used = ++cache->clock;
        value = copy(arena, entry->value, context);
    }
    pthread_mutex_unlock(&cache->lock);
    return value;
}

/* The entry of the same key, else a free or expired one, else the one used longest ago. */
static struct entry *place(struct cache *cache, struct str key, uint64_t hash)
{
    struct entry *set = &cache->entries[hash % cache->sets * WAYS], *oldest = set;
    for (int i = 0; i < WAYS; i++)
        if (set[i].arena && set[i].hash == hash && str_eq(set[i].key, key)) return &set[i];
    for (int i = 0; i < WAYS; i++) {
        if (!set[i].arena) return &set[i];
        if (set[i].used < oldest->used) oldest = &set[i];
    }
    return oldest;
}

void cache_put(struct cache *cache, struct str key, int64_t version, const void *value, cache_copy copy,
               const void *context)
{
    struct arena *arena = arena_create();
    struct entry  entry = {
        .arena = arena,
        .key = str_dup(arena, key),
        .hash = hash_str(key),
        .version = version,
        .expires = time_now() + cache->lifetime,
        .value = copy(arena, value, context),
    };
    pthread_mutex_lock(&cache->lock);
    struct entry *at = place(cache, key, entry.hash);
    struct arena *replaced = at->arena;
    entry.used = ++cache->clock;
    *at = entry;
    pthread_mutex_unlock(&cache->lock);
    arena_destroy(replaced);
}
