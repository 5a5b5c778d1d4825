/* sweep.c - retention, in small transactions so that nobody waits for it.
 *
 * What is past its time is looked for in read transactions, a slice of rows at a time; a write transaction takes only what
 * was found, at most about DELETED_AT_ONCE rows, and asks again: a run may have been resumed meanwhile.
 */
#include "flow/parts.h"

#include "base/time.h"

#include <stdlib.h>

enum { ROWS_AT_ONCE = 500, DELETED_AT_ONCE = 1000 };

struct ids { int64_t *at; size_t n, capacity; };

struct sweep {
    struct flow_retention retention;
    int64_t now, before_events, before_failed;
    int64_t after;   /* row of the slice before */
    bool    more;
    int64_t deleted;
};

struct slice {
    const struct sweep *sweep;
    struct ids jobs, steps, keys, events; /* runs to delete, to strip, to release; events to delete */
    int64_t    deleted;
};

static int by_workspace(const void *key, const void *entry)
{
    int64_t a = *(const int64_t *)key, b = ((const struct flow_kept_jobs *)entry)->workspace;
    return (a > b) - (a < b);
}

/* Jobs of this workspace that ended before are past their time. */
static int64_t before_jobs(const struct sweep *s, int64_t workspace)
{
    const struct flow_retention *r = &s->retention;
    const struct flow_kept_jobs *own =
        r->workspace_count ? bsearch(&workspace, r->workspaces, r->workspace_count, sizeof *r->workspaces, by_workspace) : NULL;
    if (own) return own->days ? s->now - DAYS(own->days) : INT64_MIN;
    return s->now - DAYS(r->job_days ? r->job_days : 365);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static struct err *look_at_runs(struct db_tx *tx, struct sweep *s, struct slice *slice)
{
    struct db_rows rows;
    int64_t        id, workspace, created_at, completed_at, steps, event_count, seen = 0, old = 0, cost = 0;
    struct str     status;
    bool           has_key;
    TRY(db_query(tx, &rows, "SELECT id, workspace_id, status, created_at, coalesce(completed_at, 0), steps, event_count, "
                 "CASE WHEN idempotency_key IS NULL THEN 0 ELSE 1 END FROM flow_run WHERE id > $1 ORDER BY id LIMIT $2",
                 s->after, ROWS_AT_ONCE));
    while (cost < DELETED_AT_ONCE &&
           db_next(&rows, &id, &workspace, &status, &created_at, &completed_at, &steps, &event_count, &has_key)) {
        int64_t before = str_eq(status, STR("completed")) ? s->before_events : s->before_failed;
        seen++;
        s->after = id;
        bool aged = created_at < s->now - IDEMPOTENCY_MS;
        bool over = completed_at && completed_at < before_jobs(s, workspace);
        bool bare = completed_at && completed_at < before && (steps || event_count > 1);
        if (over) *VEC_PUSH(tx->arena, &slice->jobs) = id;
        else if (bare) *VEC_PUSH(tx->arena, &slice->steps) = id;
        if (!over && has_key && aged) *VEC_PUSH(tx->arena, &slice->keys) = id;
        old += aged;
        if (over || bare) cost += 1 + steps + (event_count > 1 ? event_count : 0);
    }
    TRY(db_done(&rows));
    s->more = old && (seen == ROWS_AT_ONCE || cost >= DELETED_AT_ONCE); /* ids follow the time of creation */
    return NULL;
}

static struct err *delete_parts(struct db_tx *tx, int64_t run, int64_t *deleted)
{
    static const char *const parts[] = {"DELETE FROM flow_step WHERE run_id = $1", "DELETE FROM flow_attempt WHERE run_id = $1",
                                        "DELETE FROM flow_run_event WHERE run_id = $1"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        TRY(db_exec(tx, parts[i], run));
        *deleted += db_changes(tx);
    }
    return NULL;
}

/* Each statement leaves alone a run that lives again. */
static struct err *take_runs(struct db_tx *tx, struct slice *slice)
{
    for (size_t i = 0; i < slice->keys.n; i++)
        TRY(db_exec(tx, "UPDATE flow_run SET idempotency_key = NULL WHERE id = $1", slice->keys.at[i]));
    for (size_t i = 0; i < slice->steps.n; i++) {
        TRY(db_exec(tx, "UPDATE flow_run SET steps = 0, event_count = 1 WHERE id = $1 AND completed_at IS NOT NULL",
                    slice->steps.at[i]));
        if (db_changes(tx)) TRY(delete_parts(tx, slice->steps.at[i], &slice->deleted));
    }
    for (size_t i = 0; i < slice->jobs.n; i++) {
        TRY(db_exec(tx, "DELETE FROM flow_run WHERE id = $1 AND completed_at IS NOT NULL", slice->jobs.at[i]));
        slice->deleted += db_changes(tx);
        if (db_changes(tx)) TRY(delete_parts(tx, slice->jobs.at[i], &slice->deleted));
    }
    return NULL;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static struct err *look_at_events(struct db_tx *tx, struct sweep *s, struct slice *slice)
{
    struct db_rows rows;
    int64_t        seq, received_at, seen = 0;
    TRY(db_query(tx, &rows, "SELECT seq, received_at FROM flow_event WHERE seq > $1 ORDER BY seq LIMIT $2", s->after,
                 ROWS_AT_ONCE));
    while (db_next(&rows, &seq, &received_at)) {
        seen++;
        s->after = seq;
        if (received_at < s->before_events) *VEC_PUSH(tx->arena, &slice->events) = seq;
    }
    TRY(db_done(&rows));
    s->more = seen == ROWS_AT_ONCE && slice->events.n; /* numbers follow the time of acceptance */
    return NULL;
}

/* $2: failed runs may be resumed until then. Two questions: each has an index of its own. */
#define NEEDS_EVENT "(completed_at IS NULL OR (status <> 'completed' AND completed_at >= $2))"

static struct err *take_events(struct db_tx *tx, struct slice *slice)
{
    for (size_t i = 0; i < slice->events.n; i++) {
        TRY(db_exec(
            tx,
            "DELETE FROM flow_event WHERE seq = $1 "
            "AND NOT EXISTS (SELECT 1 FROM flow_pending WHERE event_seq = $1) "
            "AND NOT EXISTS (SELECT 1 FROM flow_run WHERE event_seq = $1 AND replay_of IS NULL AND " NEEDS_EVENT ") "
            "AND NOT EXISTS (SELECT 1 FROM flow_run WHERE event_seq = $1 AND replay_of IS NOT NULL AND " NEEDS_EVENT ") "
            "AND NOT EXISTS (SELECT 1 FROM flow_run_event JOIN flow_run ON flow_run.id = flow_run_event.run_id "
            "WHERE flow_run_event.event_seq = $1 AND completed_at IS NULL)",
            slice->events.at[i], slice->sweep->before_failed));
        slice->deleted += db_changes(tx);
        if (db_changes(tx)) TRY(db_exec(tx, "DELETE FROM flow_outcome WHERE event_seq = $1", slice->events.at[i]));
    }
    return NULL;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static const struct stage {
    struct err *(*look)(struct db_tx *tx, struct sweep *s, struct slice *slice);
    struct err *(*take)(struct db_tx *tx, struct slice *slice);
} stages[] = {{look_at_runs, take_runs}, {look_at_events, take_events}};

struct taking {
    const struct stage *stage;
    struct slice       *slice;
};

static struct err *take_in(struct db_tx *tx, void *arg)
{
    struct taking *taking = arg;
    taking->slice->deleted = 0; /* a closure may run twice */
    return taking->stage->take(tx, taking->slice);
}

static struct err *look(struct db *db, struct arena *arena, const struct stage *stage, struct sweep *s,
                        struct slice *slice)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    return stage->look(tx, s, slice);
}

static struct err *sweep_slice(struct db *db, struct arena *arena, const struct stage *stage, struct sweep *s)
{
    struct slice slice = {.sweep = s};
    TRY(look(db, arena, stage, s, &slice));
    if (slice.jobs.n + slice.steps.n + slice.keys.n + slice.events.n == 0) return NULL;
    TRY(db_write(db, arena, take_in, &(struct taking){stage, &slice}));
    s->deleted += slice.deleted;
    return NULL;
}

struct err *flow_sweep(struct db *db, struct arena *arena, struct flow_retention retention, int64_t *deleted)
{
    int64_t now = time_now();
    struct sweep sweep = {
        .retention = retention,
        .now = now,
        .before_events = now - DAYS(retention.event_days ? retention.event_days : 30),
        .before_failed = now - DAYS(retention.failed_days ? retention.failed_days : 90),
    };
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        sweep.after = 0;
        do {
            struct arena *work ARENA_SCOPE = arena_create();
            struct err *err = sweep_slice(db, work, &stages[i], &sweep);
            if (err) return err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err)));
        } while (sweep.more && !(retention.run && flow_should_stop(retention.run)));
    }
    *deleted = sweep.deleted;
    return NULL;
}

struct err *flow_forget_workspace(struct db_tx *tx, int64_t workspace)
{
    static const char *const statements[] = {
        "DELETE FROM flow_step WHERE run_id IN (SELECT id FROM flow_run WHERE workspace_id = $1)",
        "DELETE FROM flow_attempt WHERE run_id IN (SELECT id FROM flow_run WHERE workspace_id = $1)",
        "DELETE FROM flow_run_event WHERE run_id IN (SELECT id FROM flow_run WHERE workspace_id = $1)",
        "DELETE FROM flow_outcome WHERE event_seq IN (SELECT seq FROM flow_event WHERE workspace_id = $1)",
        "DELETE FROM flow_pending WHERE event_seq IN (SELECT seq FROM flow_event WHERE workspace_id = $1)",
        "DELETE FROM flow_wait WHERE workspace_id = $1",
        "DELETE FROM flow_run WHERE workspace_id = $1",
        "DELETE FROM flow_event WHERE workspace_id = $1",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) TRY(db_exec(tx, statements[i], workspace));
    return NULL;
}
