/* memory_world.h - a fresh database with one workspace, events in short form, some that several tests tell. */
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

/* ---- events ------------------------------------------------------------------------------------------------------ */

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

/* ---- writing ----------------------------------------------------------------------------------------------------- */

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

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* "from -type(confidence,method,key type)-> to" of every edge, by source ids. */
static inline struct str edges(struct world *world)
{
    return ask(world, "SELECT a.source_id || ' -' || r.relationship_type || '(' || r.confidence || ',' || "
                      "json_extract(r.metadata, '$.detectionMethod') || ',' || r.linking_key_type || ')-> ' || b.source_id "
                      "FROM relationship r JOIN observation a ON a.id = r.source_observation_id "
                      "JOIN observation b ON b.id = r.target_observation_id ORDER BY 1");
}

/* How much there is of all that captures write. */
static const char *const everything =
    "SELECT (SELECT COUNT(*) FROM observation) || ' ' || (SELECT COUNT(*) FROM observation_reference) || ' ' || "
    "(SELECT COUNT(*) FROM relationship) || ' ' || (SELECT COALESCE(SUM(occurrence_count), 0) FROM entity) || ' ' || "
    "(SELECT COUNT(*) FROM entity_observation) || ' ' || (SELECT COALESCE(SUM(observation_count), 0) FROM cluster) || ' ' || "
    "(SELECT COUNT(*) FROM cluster) || ' ' || (SELECT COUNT(*) FROM actor_identity) || ' ' || "
    "(SELECT COUNT(*) FROM actor_name) || ' ' || (SELECT COUNT(*) FROM actor_profile) || ' ' || "
    "(SELECT COUNT(*) FROM temporal_state) || ' ' || (SELECT COUNT(*) FROM search_log) || ' ' || "
    "(SELECT seq || ',' || next_id FROM workspace_counter)";

/* ---- events of several tests ------------------------------------------------------------------------------------- */

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"

static const struct short_event tracked[] = {
    {.id = "pr:acme/api#12:opened", .type = "pull-request.opened", .title = "[PR Opened] Login", .refs = {{"pr", "#12"}}},
    {.id = "linear-issue:ENG:ENG-42:create", .source = "linear", .type = "issue.created", .title = "[Issue Created] ENG-42: Login",
     .metadata = "{}", .day = 1,
     .refs = {{"issue", "ENG-42"}, {"pr", "#12", "tracked_in", "https://github.com/acme/api/pull/12"}}},
};

static inline struct short_event work_on_parser(struct arena *arena, int n, double day)
{
    return (struct short_event){.id = str_z(arena, str_printf(arena, "push:acme/api:%d", n)),
                                .title = "[Push] Parser drops the last token", .body = "ENG-5", .actor = "7", .name = "ada", .day = day};
}
