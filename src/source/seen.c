/* seen.c - processed deliveries are known again, by their id and by their body.
 *
 * DESIGN. Each has two keys, hashes. An index of them would cost a page for each: the keys are random, so no two of a commit
 * are neighbours. So they are gathered in memory and go to the table inbound_delivery_key many at a time, in order. Which
 * of the keys are not there yet, the rows of the deliveries tell: those behind inbound_delivery_keyed.up_to, which a new
 * process reads before its first delivery.
 *
 * Only write transactions come here, one at a time. What is in memory may be too much, of transactions that were rolled
 * back, so a delivery that is found is always compared by its row; it is never too little, because keys are forgotten only
 * once the transaction that wrote them to the table is committed.
 */
#include "source/inbox.h"

#include "base/hash.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { MOST = 16384, REMEMBERED_DAYS = 30 };

struct key { int64_t key, delivery; };

struct source_seen {
    struct key *at;       /* a hash table by key, of open addresses; delivery 0: free */
    size_t      n, size;  /* size: a power of two */
    size_t      most, write_at; /* as many more, or so many in all, go to the table */
    bool        loaded;
    int64_t     forgotten;   /* keys of deliveries up to this one were dropped, */
    _Atomic int64_t written; /* and of those up to this one they may be: the table has them */
};

struct source_seen *source_seen_create(size_t most)
{
    struct source_seen *seen = calloc(1, sizeof *seen);
    if (!seen) abort();
    seen->most = seen->write_at = most ? most : MOST;
    return seen;
}

void source_seen_destroy(struct source_seen *seen)
{
    if (!seen) return;
    free(seen->at);
    free(seen);
}

struct seen_keys seen_keys(const struct source_delivery *delivery)
{
    uint64_t event = hash_str(delivery->event);
    return (struct seen_keys){(int64_t)hash_str(delivery->id), (int64_t)hash_str_seeded(delivery->body_digest, event)};
}

/* ---- in memory ------------------------------------------------------------------------------------------------------- */

static void put(struct source_seen *seen, struct key key)
{
    size_t at = (uint64_t)key.key & (seen->size - 1);
    while (seen->at[at].delivery) at = (at + 1) & (seen->size - 1);
    seen->at[at] = key;
    seen->n++;
}

/* With `size` places, without what the table has and what is newer than the newest delivery: that was rolled back. */
static void rebuild(struct source_seen *seen, size_t size, int64_t newest)
{
    struct source_seen old = {.at = seen->at, .size = seen->size};
    int64_t            written = atomic_load(&seen->written);
    seen->at = calloc(size, sizeof *seen->at);
    if (!seen->at) abort();
    seen->size = size;
    seen->n = 0;
    for (size_t i = 0; i < old.size; i++)
        if (old.at[i].delivery > written && old.at[i].delivery <= newest) put(seen, old.at[i]);
    free(old.at);
}

static void gather(struct source_seen *seen, struct key key)
{
    if (2 * (seen->n + 1) > seen->size) rebuild(seen, seen->size ? 2 * seen->size : 1024, INT64_MAX);
    put(seen, key);
}

/* ---- in the database --------------------------------------------------------------------------------------------------- */

static struct err *load(struct db_tx *tx, struct source_seen *seen)
{
    struct db_rows rows;
    int64_t        id, keys[2];
    if (seen->loaded) return NULL;
    TRY(db_query(tx, &rows,
                 "SELECT id, id_key, body_key FROM inbound_delivery WHERE id > (SELECT up_to FROM inbound_delivery_keyed) "
                 "AND id_key IS NOT NULL"));
    while (db_next(&rows, &id, &keys[0], &keys[1]))
        for (size_t i = 0; i < 2; i++) gather(seen, (struct key){keys[i], id});
    TRY(db_done(&rows));
    seen->loaded = true;
    return NULL;
}

static struct err *write_key(struct db_tx *tx, struct key key)
{
    return db_exec(tx, "INSERT INTO inbound_delivery_key (key, delivery) VALUES ($1, $2) ON CONFLICT DO NOTHING", key.key,
                   key.delivery);
}

static int by_key(const void *one, const void *other)
{
    const struct key *a = one, *b = other;
    return (a->key > b->key) - (a->key < b->key);
}

struct written { struct source_seen *seen; int64_t up_to; };

static void note_written(void *arg)
{
    const struct written *written = arg;
    atomic_store(&written->seen->written, written->up_to);
}

/* Up to this delivery, the newest. */
static struct err *write_gathered(struct db_tx *tx, struct source_seen *seen, int64_t up_to)
{
    rebuild(seen, seen->size, up_to);
    struct key *keys = NEW_ARRAY(tx->arena, struct key, seen->n);
    size_t      n = 0;
    for (size_t i = 0; i < seen->size; i++)
        if (seen->at[i].delivery) keys[n++] = seen->at[i];
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++) TRY(write_key(tx, keys[i]));
    struct written *written = NEW(tx->arena, struct written);
    *written = (struct written){seen, up_to};
    db_when_committed(tx, note_written, written);
    seen->write_at = seen->n + seen->most; /* if it is not committed, the next one tries again */
    return db_exec(tx, "UPDATE inbound_delivery_keyed SET up_to = $1", up_to);
}

static void forget_written(struct source_seen *seen)
{
    int64_t written = atomic_load(&seen->written);
    if (written == seen->forgotten) return;
    rebuild(seen, seen->size, INT64_MAX);
    seen->forgotten = written;
    seen->write_at = seen->n + seen->most;
}

struct err *seen_add(struct db_tx *tx, struct source_seen *seen, const struct source_delivery *delivery, int64_t id)
{
    const struct seen_keys keys = seen_keys(delivery);
    if (!seen) {
        TRY(write_key(tx, (struct key){keys.id, id})); /* what is missing before this one stays so */
        return write_key(tx, (struct key){keys.body, id});
    }
    TRY(load(tx, seen));
    forget_written(seen);
    gather(seen, (struct key){keys.id, id});
    gather(seen, (struct key){keys.body, id});
    return seen->n >= seen->write_at ? write_gathered(tx, seen, id) : NULL;
}

/* ---- looking for one ------------------------------------------------------------------------------------------------- */

struct search {
    struct db_tx                 *tx;
    const struct source_delivery *delivery;
    struct str                    address;
    int64_t                       since;
};

/* Is it the one that is looked for? Its key may only look so. */
static struct err *compare(const struct search *search, int64_t id, bool *same)
{
    const struct source_delivery *delivery = search->delivery;
    struct db_rows rows;
    int64_t        one;
    TRY(db_query(search->tx, &rows,
                 "SELECT 1 FROM inbound_delivery WHERE id = $1 AND outcome = 'processed' AND source = $2 AND address = $3 "
                 "AND received_at > $4 AND (delivery_id = $5 OR (body_digest = $6 AND event = $7))",
                 id, source_provider_name(delivery->provider), search->address, search->since, delivery->id,
                 delivery->body_digest, delivery->event));
    *same = db_next(&rows, &one);
    return db_done(&rows);
}

static struct err *look_in_memory(const struct search *search, const struct source_seen *seen, int64_t key, bool *found)
{
    if (!seen->size) return NULL;
    for (size_t at = (uint64_t)key & (seen->size - 1); seen->at[at].delivery && !*found; at = (at + 1) & (seen->size - 1))
        if (seen->at[at].key == key) TRY(compare(search, seen->at[at].delivery, found));
    return NULL;
}

static struct err *look_in_table(const struct search *search, int64_t key, bool *found)
{
    VEC(int64_t)   deliveries = {0};
    int64_t        delivery;
    struct db_rows rows;
    TRY(db_query(search->tx, &rows, "SELECT delivery FROM inbound_delivery_key WHERE key = $1", key));
    while (db_next(&rows, &delivery)) *VEC_PUSH(search->tx->arena, &deliveries) = delivery;
    TRY(db_done(&rows));
    for (size_t i = 0; i < deliveries.n && !*found; i++) TRY(compare(search, deliveries.at[i], found));
    return NULL;
}

struct err *seen_find(struct db_tx *tx, struct source_seen *seen, const struct source_delivery *delivery, struct str address,
                      int64_t received_at, bool *found)
{
    const struct seen_keys both = seen_keys(delivery);
    const int64_t          keys[] = {both.id, both.body};
    const struct search    search = {tx, delivery, address, received_at - DAYS(REMEMBERED_DAYS)};
    *found = false;
    if (seen) TRY(load(tx, seen));
    for (size_t i = 0; i < 2 && !*found; i++) {
        if (seen) TRY(look_in_memory(&search, seen, keys[i], found));
        if (!*found) TRY(look_in_table(&search, keys[i], found));
    }
    return NULL;
}

struct err *seen_forget(struct db_tx *tx, int64_t delivery)
{
    return db_exec(tx,
                   "DELETE FROM inbound_delivery_key WHERE delivery = $1 AND key IN (SELECT id_key FROM inbound_delivery "
                   "WHERE id = $1 UNION SELECT body_key FROM inbound_delivery WHERE id = $1)",
                   delivery);
}
