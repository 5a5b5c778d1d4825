/* models_world.h - a database with an engine that runs the pipeline's functions, beside a language model's service. */
#pragma once
#include "llm_service.h"
#include "org_world.h"
#include "sql.h"

#include "base/thread.h"
#include "flow/flow.h"
#include "memory/memory.h"

static const int64_t NOON = 1767268800000; /* 2026-01-01T12:00Z */

struct world {
    struct arena  *arena;
    char           directory[DIRECTORY_PATH];
    struct db     *db;
    struct memory  memory;
    struct flow   *flow;
    struct service service;
    bool           serving;
};

static inline void world_stop(struct world *w)
{
    if (w->flow) flow_destroy(w->flow);
    w->flow = NULL;
}

static inline void world_start(struct world *w)
{
    w->flow = flow_create(w->db, (struct flow_config){.workers = 4});
    check_ok(flow_register(w->flow, w->arena, memory_functions(&w->memory), memory_function_count, &w->memory));
    check_ok(flow_start(w->flow, w->arena));
}

static inline void world_end(struct world *w)
{
    world_stop(w);
    if (w->memory.askers) workers_stop(w->memory.askers);
    llm_destroy(w->memory.llm);
    embed_destroy(w->memory.embed);
    db_close(w->db);
    if (w->serving) {
        service_stop(&w->service);
        service_free(&w->service);
    }
    directory_remove(w->directory);
    time_set(0);
}
#define WORLD_SCOPE __attribute__((cleanup(world_end)))

/* Without a model; see world_model. */
static inline void world_open(struct world *w, struct arena *arena, struct embed_config embedding)
{
    w->arena = arena;
    text_start();
    time_set(NOON);
    w->db = org_database(arena, w->directory);
    check_ok(embed_create(arena, embedding, &w->memory.embed));
    w->memory.db = w->db;
}

/* The service with its script is started and asked from now on. */
static inline void world_model(struct world *w, const char *provider, int64_t timeout_ms)
{
    service_start(&w->service);
    w->serving = true;
    struct llm_config config = config_of(&w->service, provider);
    config.timeout_ms = timeout_ms;
    w->memory.llm = client_of(w->arena, config);
    w->memory.askers = workers_start(MEMORY_ASKERS, "model");
}

static inline void advance(struct world *w, int64_t ms)
{
    time_set(time_now() + ms);
    flow_settle(w->flow);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

struct short_event { /* what is not given has a default */
    const char *source, *type, *id, *title, *body, *actor, *ingestion, *references, *metadata;
    double      hour; /* after NOON */
};

static inline struct str capture_data(struct world *w, struct short_event e)
{
    struct json_out out = json_out(w->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "ingestionSource", e.ingestion ? e.ingestion : "api");
    json_begin(&out, "sourceEvent", '{');
    json_put(&out, "source", e.source ? e.source : "github");
    json_put(&out, "sourceType", e.type ? e.type : "issue.opened");
    json_put(&out, "sourceId", e.id);
    json_put(&out, "title", e.title ? e.title : "Something happened to the login");
    json_put(&out, "body", e.body ? e.body : "");
    if (e.actor) {
        json_begin(&out, "actor", '{');
        json_put(&out, "id", e.actor);
        json_put(&out, "name", e.actor);
        json_end(&out);
    }
    json_put_time(&out, "occurredAt", NOON + (int64_t)(e.hour * (double)HOURS(1)));
    json_put_raw(&out, "references", str_of(e.references ? e.references : "[]"));
    json_put_raw(&out, "metadata", str_of(e.metadata ? e.metadata : "{\"repoFullName\":\"acme/api\"}"));
    json_end(&out);
    json_end(&out);
    return json_out_text(&out);
}

static inline struct err *send_in(struct db_tx *tx, void *message)
{
    return flow_send_many(tx, message, 1, NULL);
}

static inline void send_data(struct world *w, const char *name, struct str data)
{
    struct flow_message message = {.workspace = 1, .name = str_of(name), .data = data};
    check_ok(db_write(w->db, w->arena, send_in, &message));
}

static inline void send_capture(struct world *w, struct short_event event)
{
    send_data(w, "neural/observation.capture", capture_data(w, event));
}
#define SEND(w, ...) send_capture((w), (struct short_event){__VA_ARGS__})

static inline void capture_event(struct world *w, struct short_event event)
{
    send_capture(w, event);
    flow_settle(w->flow);
}
#define CAPTURE(w, ...) capture_event((w), (struct short_event){__VA_ARGS__})

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Member of the output of the function's last run. */
static inline struct str output(struct world *w, const char *function, const char *member)
{
    return ask(w, str_z(w->arena, str_printf(w->arena,
                                             "SELECT json_extract(output, '$.%s') FROM flow_run WHERE function = '%s' "
                                             "ORDER BY id DESC LIMIT 1",
                                             member, function)));
}

static inline void requests_fit(const struct world *w)
{
    if (w->service.problem) fail_msg("a request has a wrong %s", w->service.problem);
}
