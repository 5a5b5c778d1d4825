/* sweep.c - retention, in small transactions so that nobody waits for it. */
#include "flow/parts.h"

#include "base/time.h"

enum { ROWS_AT_ONCE = 500 };

struct sweep {
    int64_t before_events, before_failed, before_jobs, now;
    int     stage;
    int64_t after;   /* position in the stage's order */
    int64_t deleted;
    bool    more;
};

/* Runs that ended long ago lose their steps; idempotency keys that hold nothing back any more leave their index. */
static struct err *sweep_steps(struct db_tx *tx, struct sweep *s)
{
    VEC(int64_t)   runs = {0};
    struct db_rows rows;
    VEC(int64_t)   keys = {0};
    int64_t        id, created_at, completed_at, steps, event_count, seen = 0;
    struct str     status;
    bool           has_key;
    TRY(db_query(tx, &rows, "SELECT id, status, created_at, coalesce(completed_at, 0), steps, event_count, "
                 "CASE WHEN idempotency_key IS NULL THEN 0 ELSE 1 END FROM flow_run WHERE id > $1 ORDER BY id LIMIT $2",
                 s->after, ROWS_AT_ONCE));
    while (db_next(&rows, &id, &status, &created_at, &completed_at, &steps, &event_count, &has_key)) {
        int64_t before = str_eq(status, STR("completed")) ? s->before_events : s->before_failed;
        seen++;
        s->after = id;
        if (has_key && created_at < s->now - IDEMPOTENCY_MS) *VEC_PUSH(tx->arena, &keys) = id;
        if (completed_at && completed_at < before && (steps || event_count > 1)) *VEC_PUSH(tx->arena, &runs) = id;
    }
    TRY(db_done(&rows));
    for (size_t i = 0; i < keys.n; i++)
        TRY(db_exec(tx, "UPDATE flow_run SET idempotency_key = NULL WHERE id = $1", keys.at[i]));
    for (size_t i = 0; i < runs.n; i++) {
        TRY(db_exec(tx, "DELETE FROM flow_step WHERE run_id = $1", runs.at[i]));
        s->deleted += db_changes(tx);
        TRY(db_exec(tx, "DELETE FROM flow_attempt WHERE run_id = $1", runs.at[i]));
        TRY(db_exec(tx, "DELETE FROM flow_run_event WHERE run_id = $1", runs.at[i]));
    }
    s->more = seen == ROWS_AT_ONCE;
    return NULL;
}

static struct err *sweep_jobs(struct db_tx *tx, struct sweep *s)
{
    static const char *const dependents[] = {
        "DELETE FROM flow_step WHERE run_id = $1", "DELETE FROM flow_attempt WHERE run_id = $1",
        "DELETE FROM flow_run_event WHERE run_id = $1", "DELETE FROM flow_run WHERE id = $1",
    };
    VEC(int64_t)   runs = {0};
    struct db_rows rows;
    int64_t        id, created_at, completed_at, seen = 0;
    bool           reached = false;
    TRY(db_query(tx, &rows,
                 "SELECT id, created_at, coalesce(completed_at, 0) FROM flow_run WHERE id > $1 ORDER BY id LIMIT $2",
                 s->after, ROWS_AT_ONCE));
    while (db_next(&rows, &id, &created_at, &completed_at)) {
        seen++;
        s->after = id;
        reached |= created_at >= s->before_jobs; /* ids follow the time of creation */
        if (completed_at && completed_at < s->before_jobs) *VEC_PUSH(tx->arena, &runs) = id;
    }
    TRY(db_done(&rows));
    for (size_t i = 0; i < runs.n; i++)
        for (size_t k = 0; k < 4; k++) TRY(db_exec(tx, dependents[k], runs.at[i]));
    s->deleted += (int64_t)runs.n;
    s->more = seen == ROWS_AT_ONCE && !reached;
    return NULL;
}

/* $3: failed runs may be resumed until then. Two counts: each has an index of its own. */
#define NEEDS_EVENT "(completed_at IS NULL OR (status <> 'completed' AND completed_at >= $3))"

static struct err *sweep_events(struct db_tx *tx, struct sweep *s)
{
    VEC(int64_t)   seqs = {0};
    struct db_rows rows;
    int64_t        seq, received_at, live, seen = 0;
    bool           reached = false;
    TRY(db_query(
        tx, &rows,
        "SELECT seq, received_at, pending "
        "+ (SELECT count(*) FROM flow_run WHERE event_seq = flow_event.seq AND replay_of IS NULL AND " NEEDS_EVENT ") "
        "+ (SELECT count(*) FROM flow_run WHERE event_seq = flow_event.seq AND replay_of IS NOT NULL AND " NEEDS_EVENT
        ") "
        "FROM flow_event WHERE seq > $1 ORDER BY seq LIMIT $2",
        s->after, ROWS_AT_ONCE, s->before_failed));
    while (db_next(&rows, &seq, &received_at, &live)) {
        seen++;
        s->after = seq;
        reached |= received_at >= s->before_events;
        if (received_at < s->before_events && !live) *VEC_PUSH(tx->arena, &seqs) = seq;
    }
    TRY(db_done(&rows));
    for (size_t i = 0; i < seqs.n; i++) {
        TRY(db_exec(
            tx,
            "DELETE FROM flow_event WHERE seq = $1 AND NOT EXISTS (SELECT 1 FROM flow_run_event JOIN flow_run "
            "ON flow_run.id = flow_run_event.run_id WHERE flow_run_event.event_seq = $1 AND completed_at IS NULL)",
            seqs.at[i]));
        s->deleted += db_changes(tx);
        TRY(db_exec(tx, "DELETE FROM flow_outcome WHERE event_seq = $1", seqs.at[i]));
    }
    s->more = seen == ROWS_AT_ONCE && !reached;
    return NULL;
}

static struct err *(*const stages[])(struct db_tx *, struct sweep *) = {sweep_steps, sweep_events, sweep_jobs};

struct sweep_call {
    struct sweep before, after; /* a closure may run twice */
};

static struct err *sweep_in(struct db_tx *tx, void *arg)
{
    struct sweep_call *call = arg;
    call->after = call->before;
    return stages[call->after.stage](tx, &call->after);
}

struct err *flow_sweep(struct db *db, struct arena *arena, struct flow_retention retention, int64_t *deleted)
{
    int64_t now = time_now();
    struct sweep sweep = {
        .now = now,
        .before_events = now - DAYS(retention.event_days ? retention.event_days : 30),
        .before_failed = now - DAYS(retention.failed_days ? retention.failed_days : 90),
        .before_jobs = now - DAYS(retention.job_days ? retention.job_days : 365),
    };
    for (sweep.stage = 0; sweep.stage < (int)(sizeof stages / sizeof *stages); sweep.stage++) {
        sweep.after = 0;
        do {
            struct arena *work ARENA_SCOPE = arena_create();
            struct sweep_call call = {.before = sweep};
            struct err *err = db_write(db, work, sweep_in, &call);
            if (err) return err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err)));
            sweep = call.after;
        } while (sweep.more);
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
        "DELETE FROM flow_wait WHERE workspace_id = $1",
        "DELETE FROM flow_run WHERE workspace_id = $1",
        "DELETE FROM flow_event WHERE workspace_id = $1",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) TRY(db_exec(tx, statements[i], workspace));
    return NULL;
}
