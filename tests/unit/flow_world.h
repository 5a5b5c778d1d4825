/* flow_world.h - a database and an engine for each test; functions that note what they did. */
#pragma once
#include "database.h"
#include "sql.h"

#include "base/time.h"
#include "flow/flow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const int64_t NOON = 1704110400000; /* 2024-01-01T12:00Z */

struct world {
    struct arena *arena;
    char          directory[DIRECTORY_PATH];
    struct db    *db;
    struct flow  *flow;
    _Atomic int   calls[8];   /* what functions count */
    int           fail_times; /* how often a failing step fails */
    struct arena *notes;      /* of functions, which run on other threads than the test */
    struct str    seen;       /* what a function has seen last, in `notes` */
    const struct flow_function *functions[8];
    size_t        function_count;
    struct flow_config config;
};

static inline void world_start(struct world *w)
{
    w->flow = flow_create(w->db, w->config);
    check_ok(flow_register(w->flow, w->arena, w->functions, w->function_count, w));
    check_ok(flow_start(w->flow, w->arena));
}

static inline void world_stop(struct world *w)
{
    flow_destroy(w->flow);
    w->flow = NULL;
}

static inline void world_end(struct world *w)
{
    world_stop(w);
    database_remove(w->db, w->directory);
    arena_destroy(w->notes);
    time_set(0);
}
#define WORLD_SCOPE __attribute__((cleanup(world_end)))

static inline void world_open(struct world *w, struct arena *arena)
{
    w->arena = arena;
    w->notes = arena_create();
    time_set(NOON);
    w->db = database_make(arena, w->directory);
}

/* Members of a world that has these functions. */
#define FUNCTIONS(...)                                                                                                 \
    .functions = {__VA_ARGS__},                                                                                        \
    .function_count = sizeof((const struct flow_function *[]){__VA_ARGS__}) / sizeof(void *)

/* WORLD(w, &function, &another) */
#define WORLD(w, ...)                                                                                                  \
    struct world w WORLD_SCOPE = {FUNCTIONS(__VA_ARGS__)};                                                             \
    world_open(&w, arena);                                                                                             \
    world_start(&w)

static inline void advance(struct world *w, int64_t ms)
{
    time_set(time_now() + ms);
    flow_settle(w->flow);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

struct sending {
    struct flow_message message;
    enum flow_accepted  accepted;
};

static inline struct err *send_in(struct db_tx *tx, void *arg)
{
    struct sending *s = arg;
    return flow_send_many(tx, &s->message, 1, &s->accepted);
}

static inline enum flow_accepted send_message(struct world *w, struct flow_message message)
{
    struct sending s = {.message = message};
    check_ok(db_write(w->db, w->arena, send_in, &s));
    return s.accepted;
}

/* Workspace 1 unless said otherwise. */
static inline enum flow_accepted send_json(struct world *w, const char *name, const char *data)
{
    return send_message(w, (struct flow_message){.workspace = 1, .name = str_of(name), .data = str_of(data)});
}

static inline void send_and_settle(struct world *w, const char *name, const char *data)
{
    check_int(send_json(w, name, data), FLOW_ACCEPTED);
    flow_settle(w->flow);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static inline struct flow_job only_job(struct world *w)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct flow_job *jobs;
    size_t           n;
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(flow_job_list(tx, 1, (struct flow_job_filter){.with_system = true, .limit = 100}, &jobs, &n));
    check_int(n, 1);
    return jobs[0];
}

static inline struct err *cancel_in(struct db_tx *tx, void *run)
{
    return flow_cancel(tx, (int64_t)(intptr_t)run, STR("by hand"));
}
