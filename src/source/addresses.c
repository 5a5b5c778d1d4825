/* addresses.c - what the addresses of sources stand for, as it was read last: a burst of deliveries to one source reads its
 * row and opens its secrets once. The table's version tells whether what was read still holds. */
#include "source/inbox.h"

#include "base/hash.h"
#include "base/time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ADDRESSES = 128 }; /* two that share a place take it from each other */

struct entry {
    struct arena        *arena; /* owns the texts; NULL: free */
    uint64_t             version;
    enum source_provider provider;
    struct candidate     own;
    struct source_secrets secrets;
};

struct source_addresses {
    const _Atomic uint64_t *version; /* of table source */
    pthread_mutex_t         lock;    /* guards what follows */
    struct entry            entries[ADDRESSES];
};

struct source_addresses *source_addresses_create(struct db *db)
{
    struct source_addresses *addresses = calloc(1, sizeof *addresses);
    if (!addresses) abort();
    addresses->version = db_watch(db, "source");
    pthread_mutex_init(&addresses->lock, NULL);
    return addresses;
}

static void empty(struct entry *entry)
{
    for (size_t i = 0; i < entry->secrets.n; i++) crypto_wipe((void *)entry->secrets.at[i].s, entry->secrets.at[i].n);
    arena_destroy(entry->arena);
    *entry = (struct entry){0};
}

void source_addresses_destroy(struct source_addresses *addresses)
{
    if (!addresses) return;
    for (size_t i = 0; i < ADDRESSES; i++) empty(&addresses->entries[i]);
    pthread_mutex_destroy(&addresses->lock);
    free(addresses);
}

uint64_t addresses_version(const struct source_addresses *addresses)
{
    return addresses ? atomic_load(addresses->version) : 0;
}

static struct entry *place_of(struct source_addresses *addresses, struct str address)
{
    return &addresses->entries[hash_str(address) % ADDRESSES];
}

/* What match_address fills, without the parsed configuration. */
static struct candidate copy_own(struct arena *arena, const struct candidate *from)
{
    struct candidate own = *from;
    struct str *const texts[] = {&own.source.public_id, &own.source.resource_id, &own.source.config,
                                 &own.source.inactive_reason, &own.workspace_id, &own.org_id};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]->s) *texts[i] = str_dup(arena, *texts[i]);
    own.config = NULL;
    return own;
}

static struct source_secrets copy_secrets(struct arena *arena, const struct source_secrets *from)
{
    struct source_secrets secrets = *from;
    for (size_t i = 0; i < secrets.n; i++) secrets.at[i] = str_dup(arena, secrets.at[i]);
    return secrets;
}

bool addresses_recall(struct source_addresses *addresses, struct arena *arena, enum source_provider provider, struct str address,
                      struct candidate *own, struct source_secrets *secrets)
{
    if (!addresses) return false;
    struct entry *entry = place_of(addresses, address);
    pthread_mutex_lock(&addresses->lock);
    bool known = entry->arena && entry->version == atomic_load(addresses->version) && entry->provider == provider &&
                 str_eq(entry->own.source.public_id, address) &&
                 (!entry->secrets.until || time_now() < entry->secrets.until);
    if (known) {
        *own = copy_own(arena, &entry->own);
        *secrets = copy_secrets(arena, &entry->secrets);
    }
    pthread_mutex_unlock(&addresses->lock);
    return known;
}

void addresses_remember(struct source_addresses *addresses, uint64_t version, enum source_provider provider,
                        const struct candidate *own, const struct source_secrets *secrets)
{
    if (!addresses) return;
    struct entry *entry = place_of(addresses, own->source.public_id);
    pthread_mutex_lock(&addresses->lock);
    empty(entry);
    struct arena *arena = arena_create();
    *entry = (struct entry){arena, version, provider, copy_own(arena, own), copy_secrets(arena, secrets)};
    pthread_mutex_unlock(&addresses->lock);
}
