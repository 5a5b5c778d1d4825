/* outside.c - jobs whose work is done outside the engine: whoever does it begins them, tells of them and ends them.
 *
 * Such a run waits for its own silence: each word puts its timer off. When the timer fires, nobody has been heard for too
 * long, and the function is executed, to end what was begun. So no job stays running whose worker has died.
 */
#include "flow/parts.h"

#include "base/time.h"

static void announce(struct db_tx *tx, const struct flow_outside *job, struct str progress)
{
    flow_announce(tx, db_attached(tx->db),
                  (struct flow_change){.workspace = job->workspace, .public_id = flow_xid_of(job->public_id), .status = "running",
                                       .progress = str_dup(tx->arena, progress)});
}

struct err *flow_outside_begin(struct db_tx *tx, const struct flow_outside *job)
{
    int64_t now = time_now();
    announce(tx, job, (struct str){0});
    return db_exec(tx,
                   "INSERT INTO flow_run (xid, workspace_id, function, status, title, source, cause, caused_by, event_name, "
                   "data, queued, ready, wake_at, created_at, started_at, updated_at) "
                   "VALUES ($1, $2, $3, 'waiting', $4, $5, $6, $7, $3, $8, 0, $9, $10, $9, $9, $9)",
                   flow_xid_of(job->public_id), job->workspace, job->function, job->title, job->source, (int)job->cause,
                   job->caused_by, job->data, now, now + job->silence);
}

struct err *flow_outside_tell(struct db_tx *tx, const struct flow_outside *job, struct str progress)
{
    int64_t now = time_now();
    announce(tx, job, progress);
    return db_exec(tx,
                   "UPDATE flow_run SET progress = $3, wake_at = $4, updated_at = $5 "
                   "WHERE workspace_id = $1 AND xid = $2 AND status = 'waiting' AND queued = 0",
                   job->workspace, flow_xid_of(job->public_id), progress, now + job->silence, now);
}

struct err *flow_outside_end(struct db_tx *tx, struct flow_outside_end end)
{
    struct db_rows rows;
    int64_t        run = 0;
    TRY(db_query(tx, &rows, "SELECT id FROM flow_run WHERE workspace_id = $1 AND xid = $2 AND completed_at IS NULL",
                 end.workspace, flow_xid_of(end.public_id)));
    (void)db_next(&rows, &run);
    TRY(db_done(&rows));
    if (!run) return NULL; /* it has ended already */
    return flow_end_run(tx, db_attached(tx->db),
                        &(struct ending){.run = run, .epoch = -1, .status = end.status, .output = end.output,
                                         .error = end.error, .error_code = ERR_UNAVAILABLE},
                        NULL);
}
