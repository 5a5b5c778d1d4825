/* memory_world.h - a fresh database with one workspace, events in short form, and questions asked in SQL. */
#pragma once
#include "org_world.h"
#include "sql.h"

#include "base/id.h"
#include "base/time.h"
#include "memory/memory.h"

#include <stdlib.h>
#include <unistd.h>

struct world {
    struct arena *arena;
    char          directory[DIRECTORY_PATH];
    struct db    *db;
    struct memory memory;
    int64_t       workspace;
};

static const int64_t NEW_YEAR = 1704067200000; /* 2024-01-01 */

static inline void world_end(struct world *world)
{
    database_remove(world->db, world->directory);
    embed_destroy(world->memory.embed);
    time_set(0);
}
#define WORLD_SCOPE __attribute__((cleanup(world_end)))

static inline struct world world_begin_with(struct arena *arena, struct embed_config provider)
{
    struct world world = {.arena = arena};
    text_start();
    time_set(NEW_YEAR + DAYS(365));
    world.db = org_database(arena, world.directory);
    check_ok(embed_create(arena, provider, &world.memory.embed));
    world.memory.db = world.db;
    world.workspace = main_workspace(world.db, arena).id;
    return world;
}

static inline struct world world_begin(struct arena *arena)
{
    return world_begin_with(arena, (struct embed_config){.provider = STR("builtin")});
}

/* ---- events ----------------------------------------------------------------------------------------------------------- */

struct short_reference { const char *type, *id, *label, *url; };
struct short_event { /* what is not given has a default */
    const char *source, *type, *id, *title, *body, *actor, *name, *email, *metadata;
    double      day; /* after 2024-01-01 */
    struct short_reference refs[4];
};

static inline struct source_event event_of(struct arena *arena, struct short_event e)
{
    struct source_event event = {
        .source = str_of(e.source ? e.source : "github"),
        .source_type = str_of(e.type ? e.type : "push"),
        .source_id = str_of(e.id),
        .title = str_of(e.title ? e.title : "[Push] Something happened"),
        .body = str_of(e.body ? e.body : ""),
        .actor = {.id = str_of(e.actor), .name = str_of(e.name ? e.name : e.actor), .email = str_of(e.email)},
        .occurred_at = NEW_YEAR + (int64_t)(e.day * (double)DAYS(1)),
        .references = NEW_ARRAY(arena, struct source_reference, 4),
        .metadata = str_of(e.metadata ? e.metadata : "{\"repoFullName\":\"acme/api\"}"),
    };
    for (size_t i = 0; i < 4 && e.refs[i].type; i++)
        event.references[event.reference_count++] =
            (struct source_reference){str_of(e.refs[i].type), str_of(e.refs[i].id), str_of(e.refs[i].url), str_of(e.refs[i].label)};
    return event;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

struct store_call {
    struct world         *world;
    struct memory_batch  *batch;
    struct memory_result *results;
    bool                  fail_after;
};

static inline struct err *store_in(struct db_tx *tx, void *arg)
{
    struct store_call *call = arg;
    TRY(memory_store(&call->world->memory, tx, call->batch, call->results));
    return call->fail_after ? err_new(tx->arena, ERR_CANCELLED, "stopped") : NULL;
}

static inline struct memory_batch *prepare(struct world *world, enum source_ingestion ingestion,
                                           const struct short_event *events, size_t n)
{
    struct source_event *full = NEW_ARRAY(world->arena, struct source_event, n);
    struct memory_batch *batch;
    for (size_t i = 0; i < n; i++) full[i] = event_of(world->arena, events[i]);
    check_ok(memory_prepare(&world->memory, world->arena,
                            (struct memory_capture){world->workspace, ingestion, full, n}, &batch));
    return batch;
}

static inline struct memory_result *capture_all(struct world *world, enum source_ingestion ingestion,
                                                const struct short_event *events, size_t n)
{
    struct store_call call = {.world = world, .results = NEW_ARRAY(world->arena, struct memory_result, n)};
    call.batch = prepare(world, ingestion, events, n);
    check_ok(db_write(world->db, world->arena, store_in, &call));
    return call.results;
}

static inline struct memory_result capture_as(struct world *world, enum source_ingestion ingestion, struct short_event event)
{
    return capture_all(world, ingestion, &event, 1)[0];
}

static inline struct memory_result capture(struct world *world, struct short_event event)
{
    return capture_as(world, SOURCE_MANUAL, event);
}

struct change {
    struct world *world;
    int64_t       id;
    const char   *from, *into;
};

static inline struct err *run_delete(struct db_tx *tx, void *arg)
{
    struct change *c = arg;
    return memory_delete(&c->world->memory, tx, c->world->workspace, c->id);
}
static inline struct err *run_settle(struct db_tx *tx, void *arg)
{
    struct change *c = arg;
    return memory_settle(&c->world->memory, tx, c->world->workspace);
}
static inline struct err *run_merge(struct db_tx *tx, void *arg)
{
    struct change *c = arg;
    return memory_merge_actors(&c->world->memory, tx, c->world->workspace, str_of(c->from), str_of(c->into));
}
#define delete_observation(w, which) \
    check_ok(db_write((w)->db, (w)->arena, run_delete, &(struct change){.world = (w), .id = (which)}))
#define settle(w) check_ok(db_write((w)->db, (w)->arena, run_settle, &(struct change){.world = (w)}))
#define merge(w, a, b) check_ok(db_write((w)->db, (w)->arena, run_merge, &(struct change){.world = (w), .from = (a), .into = (b)}))

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

/* "from -type(confidence,method,key type)-> to" of every edge, by source ids. */
static inline struct str edges(struct world *world)
{
    return ask(world, "SELECT a.source_id || ' -' || r.relationship_type || '(' || r.confidence || ',' || "
                      "json_extract(r.metadata, '$.detectionMethod') || ',' || r.linking_key_type || ')-> ' || b.source_id "
                      "FROM relationship r JOIN observation a ON a.id = r.source_observation_id "
                      "JOIN observation b ON b.id = r.target_observation_id ORDER BY 1");
}
