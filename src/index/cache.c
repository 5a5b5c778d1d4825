/* cache.c - the indexes of this process: brought up to date from the log before each use, dropped when memory is short.
 *
 * DESIGN. Three locks, taken in this order:
 *   refreshing (per entry)  one thread at a time reads new rows for it; the others that need them wait here, without
 *                           a transaction of their own, for the reading thread needs one
 *   lock (per entry)        readers hold it while they search; the refreshing thread takes it to apply a batch of rows
 *                           that it has read and decoded before, so a search waits for a batch, never for the database
 *   cache->lock             the list, who holds what; held for a moment
 * A reader asks the counter how far the log goes and refreshes only if its entry is behind, so it sees everything that
 * was committed before it asked. An entry that is dropped while held lives until its last holder lets go.
 */
#include "index/crew.h"
#include "index/pass.h"
#include "index/payload.h"
#include "index/region.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BATCH_ROWS = 64, BATCH_BYTES = 4 << 20 };

struct index_entry {
    struct index_cache *cache;
    int64_t             workspace;
    struct index_entry *next;    /* cache->lock, like the three below */
    size_t              holders;
    bool                dropped; /* no longer in the list */
    uint64_t            used;    /* cache->clock at its last use */

    pthread_mutex_t  refreshing;
    pthread_rwlock_t lock;  /* guards index and what it points to */
    struct index    *index;
    _Atomic int64_t  version; /* index->version, for a look without the lock */
    _Atomic size_t   memory;
};

struct index_cache {
    struct db          *db;
    size_t              memory_limit;
    struct index_common common;
    pthread_mutex_t     lock;
    struct index_entry *entries;
    uint64_t            clock;
};

/* ---- entries ---------------------------------------------------------------------------------------------------- */

static struct index_entry *entry_create(struct index_cache *cache, int64_t workspace)
{
    struct index_entry  *entry = index_region_grow(NULL, 0, sizeof *entry);
    pthread_rwlockattr_t fair;
    entry->cache = cache;
    entry->workspace = workspace;
    entry->index = index_create(cache->common, STR(""), 0);
    entry->index->entry = entry;
    pthread_mutex_init(&entry->refreshing, NULL);
    pthread_rwlockattr_init(&fair);
    /* searches in unbroken succession must not keep new rows out for ever */
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&entry->lock, &fair);
    pthread_rwlockattr_destroy(&fair);
    return entry;
}

static void entry_destroy(struct index_entry *entry)
{
    index_destroy(entry->index);
    pthread_mutex_destroy(&entry->refreshing);
    pthread_rwlock_destroy(&entry->lock);
    index_region_free(entry, sizeof *entry);
}

static struct index_entry *entry_hold(struct index_cache *cache, int64_t workspace)
{
    pthread_mutex_lock(&cache->lock);
    struct index_entry *entry = cache->entries;
    while (entry && entry->workspace != workspace) entry = entry->next;
    if (!entry) {
        entry = entry_create(cache, workspace);
        entry->next = cache->entries;
        cache->entries = entry;
    }
    entry->holders++;
    entry->used = ++cache->clock;
    pthread_mutex_unlock(&cache->lock);
    return entry;
}

static void entry_let_go(struct index_entry *entry)
{
    struct index_cache *cache = entry->cache;
    pthread_mutex_lock(&cache->lock);
    bool last = --entry->holders == 0 && entry->dropped;
    pthread_mutex_unlock(&cache->lock);
    if (last) entry_destroy(entry);
}

/* With cache->lock held. True if the caller has to destroy it. */
static bool unlink_entry(struct index_cache *cache, struct index_entry *entry)
{
    struct index_entry **at = &cache->entries;
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    entry->dropped = true;
    return entry->holders == 0;
}

void index_cache_drop(struct index_cache *cache, int64_t workspace)
{
    pthread_mutex_lock(&cache->lock);
    struct index_entry *entry = cache->entries;
    while (entry && entry->workspace != workspace) entry = entry->next;
    bool unheld = entry && unlink_entry(cache, entry);
    pthread_mutex_unlock(&cache->lock);
    if (unheld) entry_destroy(entry);
}

struct index_cache *index_cache_create_splitting(struct db *db, size_t memory_limit, struct crew_options options)
{
    struct index_cache *cache = index_region_grow(NULL, 0, sizeof *cache);
    *cache = (struct index_cache){.db = db,
                                  .memory_limit = memory_limit,
                                  .common = {.scratches = index_scratches_create(), .crew = index_crew_create(options)}};
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

struct index_cache *index_cache_create(struct db *db, size_t memory_limit)
{
    const struct crew_options usual = {.least_views = CREW_LEAST_VIEWS, .range = CREW_RANGE};
    return index_cache_create_splitting(db, memory_limit, usual);
}

void index_cache_destroy(struct index_cache *cache)
{
    if (!cache) return;
    while (cache->entries) index_cache_drop(cache, cache->entries->workspace);
    index_scratches_destroy(cache->common.scratches);
    index_crew_destroy(cache->common.crew);
    pthread_mutex_destroy(&cache->lock);
    index_region_free(cache, sizeof *cache);
}

static size_t memory_held(const struct index_cache *cache)
{
    size_t sum = 0;
    for (const struct index_entry *entry = cache->entries; entry; entry = entry->next) sum += entry->memory;
    return sum;
}

size_t index_cache_memory(struct index_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t sum = memory_held(cache);
    pthread_mutex_unlock(&cache->lock);
    return sum;
}

/* Drop entries that nobody holds, least recently used first, until the rest fits. */
static void make_room(struct index_cache *cache)
{
    for (;;) {
        struct index_entry *oldest = NULL;
        pthread_mutex_lock(&cache->lock);
        if (memory_held(cache) > cache->memory_limit)
            for (struct index_entry *entry = cache->entries; entry; entry = entry->next)
                if (!entry->holders && (!oldest || entry->used < oldest->used)) oldest = entry;
        if (oldest) unlink_entry(cache, oldest);
        pthread_mutex_unlock(&cache->lock);
        if (!oldest) return;
        entry_destroy(oldest);
    }
}

/* ---- reading the log -------------------------------------------------------------------------------------------- */

struct log_row {
    int64_t             seq, item;
    int                 kind, item_kind;
    struct str          model;
    struct bytes        payload;
    struct index_item   added;
    struct index_change change;
};

static struct err *decode(struct arena *arena, struct log_row *row)
{
    bool known = row->item > 0 && row->item < INT64_MAX >> 2 && row->item_kind >= INDEX_OBSERVATION &&
                 row->item_kind <= INDEX_CLUSTER;
    if (known && row->kind == INDEX_ROW_ADD) {
        TRY(index_decode_item(arena, row->payload, &row->added));
        row->added.id = row->item;
        row->added.kind = (enum index_kind)row->item_kind;
        row->added.model = row->model;
    } else if (known && row->kind == INDEX_ROW_ATTRIBUTES) {
        TRY(index_decode_change(arena, row->payload, &row->change));
        row->change.id = row->item;
        row->change.kind = (enum index_kind)row->item_kind;
    } else if (!known || row->kind != INDEX_ROW_REMOVE) {
        return err_new(arena, ERR_INTERNAL, "its kind or item is unknown");
    }
    return NULL;
}

static void apply(struct index *index, const struct log_row *row)
{
    if (row->kind == INDEX_ROW_ADD) index_apply_add(index, &row->added);
    else if (row->kind == INDEX_ROW_ATTRIBUTES) index_apply_change(index, &row->change);
    else index_apply_remove(index, (enum index_kind)row->item_kind, row->item);
    index->version = row->seq;
}

static void apply_batch(struct index_entry *entry, struct index *index, const struct log_row *rows, size_t n)
{
    bool shared = index == entry->index; /* only this thread changes it, so it may look without the lock */
    if (shared) pthread_rwlock_wrlock(&entry->lock);
    for (size_t i = 0; i < n; i++) apply(index, &rows[i]);
    if (shared) pthread_rwlock_unlock(&entry->lock);
}

/* Up to BATCH_ROWS decoded rows; 0 at the end and on error (which db_done or *err tells). */
static size_t read_batch(struct db_rows *rows, struct arena *work, struct log_row *batch, struct err **err)
{
    size_t n = 0, before = arena_used(work);
    while (n < BATCH_ROWS && arena_used(work) - before < BATCH_BYTES) {
        struct log_row *row = &batch[n];
        *row = (struct log_row){0};
        if (!db_next(rows, &row->seq, &row->item, &row->item_kind, &row->kind, &row->model, &row->payload)) break;
        struct err *damage = decode(work, row);
        if (damage) {
            *err = err_wrap(work, damage, "row %lld of the search log", (long long)row->seq);
            break;
        }
        n++;
    }
    return n;
}

/* Apply every row after index->version that the transaction sees. */
static struct err *load(struct db_tx *tx, struct index_entry *entry, struct index *index, int64_t last)
{
    struct log_row *batch = NEW_ARRAY(tx->arena, struct log_row, BATCH_ROWS);
    struct db_rows  rows;
    struct err     *damage = NULL;
    TRY(db_query(tx, &rows,
                 "SELECT seq, item, item_kind, kind, model, payload FROM search_log "
                 "WHERE workspace_id = $1 AND seq > $2 ORDER BY seq",
                 entry->workspace, index->version));
    struct arena_mark mark = arena_mark(tx->arena);
    for (size_t n; !damage && (n = read_batch(&rows, tx->arena, batch, &damage)) > 0;) {
        apply_batch(entry, index, batch, n);
        if (!damage) arena_rewind(tx->arena, mark);
    }
    TRY(db_done(&rows));
    if (damage) return damage;
    if (index->version == last) return NULL;
    return err_new(tx->arena, ERR_INTERNAL, "the search log ends at %lld, its counter at %lld", (long long)index->version,
                   (long long)last);
}

static struct err *last_number(struct db_tx *tx, int64_t workspace, int64_t *seq)
{
    struct db_rows rows;
    *seq = 0;
    TRY(db_query(tx, &rows, "SELECT seq FROM workspace_counter WHERE workspace_id = $1", workspace));
    db_next(&rows, seq);
    return db_done(&rows);
}

/* ---- refresh ---------------------------------------------------------------------------------------------------- */

static void put_in_place(struct index_entry *entry, struct index *fresh)
{
    pthread_rwlock_wrlock(&entry->lock);
    struct index *old = entry->index;
    fresh->entry = entry;
    entry->index = fresh;
    pthread_rwlock_unlock(&entry->lock);
    index_destroy(old);
}

/* From the first row, beside the one that serves. */
static struct err *load_anew(struct db_tx *tx, struct index_entry *entry, int64_t last, struct str model, int dim)
{
    struct index *fresh = index_create(entry->cache->common, model, dim);
    struct err   *err = load(tx, entry, fresh, last);
    if (err) {
        index_destroy(fresh);
        return err;
    }
    put_in_place(entry, fresh);
    return NULL;
}

static void tidy(struct index_entry *entry)
{
    if (entry->index->dead * 4 > entry->index->count) {
        pthread_rwlock_wrlock(&entry->lock);
        index_compact(entry->index);
        pthread_rwlock_unlock(&entry->lock);
    }
    entry->memory = index_memory(entry->index);
    entry->version = entry->index->version;
}

static struct err *catch_up(struct db_tx *tx, struct index_entry *entry)
{
    int64_t last;
    TRY(last_number(tx, entry->workspace, &last));
    if (last < entry->index->version) { /* another database was put in place of the one we had read */
        log_warn("index", "the search log of workspace %lld was cut back; loading it anew", (long long)entry->workspace);
        TRY(load_anew(tx, entry, last, STR(""), 0));
    } else {
        TRY(load(tx, entry, entry->index, last));
    }
    const struct model *due = index_due_model(entry->index);
    if (due && !index_serves(entry->index, due)) {
        log_info("index", "workspace %lld changes to model " STR_FMT, (long long)entry->workspace, STR_ARG(due->name));
        TRY(load_anew(tx, entry, last, str_dup(tx->arena, due->name), due->dim));
    }
    return NULL;
}

/* Errors are made in the work arena, which ends here; the caller's gets a copy. */
static struct err *outlive(struct arena *arena, struct index_entry *entry, const struct err *err)
{
    struct arena *text ARENA_SCOPE = arena_create();
    return err_new(arena, err->code, "the index of workspace %lld: " STR_FMT, (long long)entry->workspace,
                   STR_ARG(err_text(text, err)));
}

static struct err *is_current(struct index_entry *entry, struct arena *work, bool *current)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    int64_t version = entry->version, last; /* before the transaction: what is seen there cannot be older */
    TRY(db_read_begin(entry->cache->db, work, &tx));
    TRY(last_number(tx, entry->workspace, &last));
    *current = last == version;
    return NULL;
}

static struct err *refresh_locked(struct index_entry *entry, struct arena *work)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(entry->cache->db, work, &tx));
    struct err *err = catch_up(tx, entry);
    tidy(entry);
    return err;
}

static struct err *refresh(struct index_entry *entry, struct arena *arena)
{
    struct arena *work ARENA_SCOPE = arena_create();
    bool          current = false;
    struct err   *err = is_current(entry, work, &current);
    if (!err && !current) {
        pthread_mutex_lock(&entry->refreshing);
        err = refresh_locked(entry, work);
        pthread_mutex_unlock(&entry->refreshing);
        make_room(entry->cache);
    }
    return err ? outlive(arena, entry, err) : NULL;
}

struct err *index_acquire(struct index_cache *cache, struct arena *arena, int64_t workspace, struct index **index)
{
    struct index_entry *entry = entry_hold(cache, workspace);
    struct err         *err = refresh(entry, arena);
    *index = NULL;
    if (err) {
        entry_let_go(entry);
        return err;
    }
    pthread_rwlock_rdlock(&entry->lock);
    *index = entry->index;
    return NULL;
}

void index_release(struct index **index)
{
    if (!*index) return;
    struct index_entry *entry = (*index)->entry;
    *index = NULL;
    pthread_rwlock_unlock(&entry->lock);
    entry_let_go(entry);
}
