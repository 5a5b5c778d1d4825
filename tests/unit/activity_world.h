/* activity_world.h - a database for each test, activities in it, and a clock that stands still. */
#pragma once
#include "org_world.h"
#include "sql.h"

#include "activity/activity.h"
#include "base/time.h"
#include "flow/flow.h"

#define NOW INT64_C(1767623400000) /* 2026-01-05T14:30:00Z, a Monday */

enum { WORKSPACE = 1, OTHER = 2 };

/* FIXTURE(f): `main` is WORKSPACE. */
#define FIXTURE(name)                                                                                                  \
    PREPARED(name);                                                                                                    \
    time_set(NOW)

static inline struct err *write_activity(struct db_tx *tx, void *arg)
{
    return activity_record(tx, arg);
}

static inline void record(struct prepared *f, struct activity activity)
{
    if (!activity.workspace) activity.workspace = WORKSPACE;
    check_ok(db_write(f->db, f->arena, write_activity, &activity));
}
#define RECORD(f, ...) record((f), (struct activity){__VA_ARGS__})

struct listed { struct activity *at; size_t n; };

static inline struct listed list(struct prepared *f, struct activity_filter filter)
{
    struct listed    listed;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f->db, f->arena, &tx));
    check_ok(activity_list(tx, WORKSPACE, &filter, &listed.at, &listed.n));
    return listed;
}
#define LIST(f, ...) list((f), (struct activity_filter){__VA_ARGS__})

static inline struct err *write_source(struct db_tx *tx, void *arg)
{
    return db_exec(tx, "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                       "last_sync_status, connected_at) VALUES ($1, 1, 'src_1', 'github', 'acme/api', '{}', $2, 0)",
                   (int)WORKSPACE, (const char *)arg);
}
