/* retention.c - the log of deliveries and the payloads behind it, past their time. */
#include "source/inbox.h"

#include "base/time.h"
#include "flow/flow.h"

enum { DELIVERIES_AT_ONCE = 500, PAYLOADS_AT_ONCE = 200, KEPT_DAYS = 30 };

/* A slice of the log in the order of reception: those of it that are past their time. */
struct slice {
    int64_t before, after, last; /* after: row of the slice before */
    struct { int64_t *at; size_t n, capacity; } old;
};

static struct err *look(struct db *db, struct arena *arena, struct slice *slice)
{
    struct db_rows rows;
    int64_t        received_at = 0;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(db_query(tx, &rows, "SELECT id, received_at FROM inbound_delivery WHERE id > $1 ORDER BY id LIMIT $2", slice->after,
                 (int)DELIVERIES_AT_ONCE));
    while (db_next(&rows, &slice->last, &received_at))
        if (received_at < slice->before) *VEC_PUSH(arena, &slice->old) = slice->last;
    return db_done(&rows);
}

static struct err *delete_deliveries(struct db_tx *tx, void *arg)
{
    const struct slice *slice = arg;
    for (size_t i = 0; i < slice->old.n; i++) {
        TRY(db_exec(tx, "DELETE FROM inbound_delivery_share WHERE delivery = $1", slice->old.at[i]));
        TRY(seen_forget(tx, slice->old.at[i]));
        TRY(db_exec(tx, "DELETE FROM inbound_delivery WHERE id = $1", slice->old.at[i]));
    }
    return NULL;
}

struct err *source_sweep_deliveries(struct flow_run *run, int64_t days, int64_t *deleted)
{
    int64_t before = time_now() - DAYS(days ? days : KEPT_DAYS), after = 0;
    for (bool more = true; more && !flow_should_stop(run);) {
        struct arena *work ARENA_SCOPE = arena_create();
        struct slice  slice = {.before = before, .after = after};
        struct err   *err = look(run->db, work, &slice);
        if (!err && slice.old.n) err = db_write(run->db, work, delete_deliveries, &slice);
        if (err) return err_new(run->arena, err->code, STR_FMT, STR_ARG(err_text(run->arena, err)));
        *deleted += (int64_t)slice.old.n;
        after = slice.last;
        more = slice.old.n > 0; /* rows follow the time of reception */
    }
    return NULL;
}

struct forgetting { int64_t workspace, before, deleted; };

static struct err *delete_payloads(struct db_tx *tx, void *arg)
{
    struct forgetting *f = arg;
    TRY(db_exec(tx,
                "DELETE FROM ingestion_payload WHERE id IN (SELECT id FROM ingestion_payload WHERE workspace_id = $1 AND "
                "received_at < $2 ORDER BY received_at LIMIT $3)",
                f->workspace, f->before, (int)PAYLOADS_AT_ONCE));
    f->deleted = db_changes(tx);
    return NULL;
}

struct err *source_sweep_payloads(struct flow_run *run, int64_t workspace, int64_t days, int64_t *deleted)
{
    struct forgetting f = {.workspace = workspace, .before = time_now() - DAYS(days)};
    if (!days) return NULL;
    do {
        TRY(db_write(run->db, run->arena, delete_payloads, &f));
        *deleted += f.deleted;
    } while (f.deleted == PAYLOADS_AT_ONCE && !flow_should_stop(run));
    return NULL;
}
