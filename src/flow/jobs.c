/* jobs.c - looking at runs: lists, details, steps, what became of an event. */
#include "flow/parts.h"

#include "base/time.h"

enum { DEFAULT_LIMIT = 20, LIST_LIMIT = 100, BULK_LIMIT = 1000, OUTPUT_BYTES = 64 << 10 };

static const char *const cause_names[] = {"automatic", "manual", "scheduled", "webhook"};
static const char *const state_names[] = {"queued", "running", "completed", "failed", "cancelled"};

#define JOB_COLUMNS                                                                                                    \
    "r.id, r.workspace_id, r.xid, r.run_xid, r.function, r.title, r.status, r.cause, r.caused_by, r.source, "          \
    "coalesce(r.input, r.data, e.data), r.output, r.progress, r.error, r.created_at, coalesce(r.started_at, 0), "      \
    "coalesce(r.completed_at, 0), r.updated_at, r.failures + r.crashes + 1, coalesce(r.replay_of, 0), "                \
    "coalesce(r.parent_run, 0) FROM flow_run r LEFT JOIN flow_event e ON e.seq = r.event_seq "

static void finish_job(struct db_tx *tx, struct flow_job *job, struct str run_xid, int cause)
{
    struct flow     *flow = db_attached(tx->db);
    struct function *function = flow ? flow_function_named(flow, job->function) : NULL;
    struct str       xid = job->public_id;
    job->waiting = str_eq(job->status, STR("waiting"));
    if (job->waiting) job->status = STR("running"); /* of a job; waiting is said beside it */
    job->public_id = str_printf(tx->arena, "job_" STR_FMT, STR_ARG(xid));
    job->run_id = str_printf(tx->arena, "run_" STR_FMT, STR_ARG(run_xid.s ? run_xid : xid));
    job->trigger = str_of(cause_names[cause & 3]);
    if (!job->name.s) job->name = job->function;
    if (job->started_at && job->completed_at) job->duration = job->completed_at - job->started_at;
    job->system = str_find_char(job->function, '#', 0) != SIZE_MAX || (function && function->table->system);
}

static bool next_job(struct db_rows *rows, struct flow_job *job)
{
    struct str run_xid = {0};
    int        cause = 0;
    *job = (struct flow_job){0};
    if (!db_next(rows, &job->id, &job->workspace, &job->public_id, &run_xid, &job->function, &job->name, &job->status,
                 &cause, &job->triggered_by, &job->source, &job->input, &job->output, &job->progress, &job->error,
                 &job->created_at, &job->started_at, &job->completed_at, &job->updated_at, &job->attempts,
                 &job->replay_of, &job->parent))
        return false;
    finish_job(rows->tx, job, run_xid, cause);
    return true;
}

/* ---- filters: in SQL what an index or a comparison of columns can do, the rest row by row ------------------------ */

static bool among(struct str value, const struct str *list, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (list[i].n && str_eq(value, list[i])) return true;
        any |= list[i].n > 0;
    }
    return !any;
}

static bool contains_nocase(struct arena *arena, struct str text, struct str part)
{
    return !part.n || str_find(str_lower(arena, text), str_lower(arena, part), 0) != SIZE_MAX;
}

static bool fits(struct arena *arena, const struct flow_job *job, const struct flow_job_filter *filter,
                 bool with_status)
{
    if (job->system && !filter->with_system) return false;
    if (with_status && !among(job->status, filter->statuses, 5)) return false;
    if (!among(job->function, filter->functions, 16) || !among(job->trigger, filter->triggers, 4)) return false;
    if (filter->source.n && !str_eq(job->source, filter->source)) return false;
    return contains_nocase(arena, job->name, filter->query);
}

static struct err *query_jobs(struct db_tx *tx, struct db_rows *rows, int64_t workspace,
                              const struct flow_job_filter *filter)
{
    return db_query(tx, rows, "SELECT " JOB_COLUMNS "WHERE r.workspace_id = $1 AND r.id < $2 AND r.created_at >= $3 "
                              "AND r.created_at < $4 AND ($5 = 0 OR r.parent_run = $5) ORDER BY r.id DESC",
                    workspace, filter->before ? filter->before : INT64_MAX, filter->from,
                    filter->to ? filter->to : INT64_MAX, filter->parent);
}

static struct err *list_up_to(struct db_tx *tx, int64_t workspace, const struct flow_job_filter *filter, size_t limit,
                              struct flow_job **jobs, size_t *n)
{
    VEC(struct flow_job) list = {0};
    struct db_rows  rows;
    struct flow_job job;
    TRY(query_jobs(tx, &rows, workspace, filter));
    for (struct arena_mark mark = arena_mark(tx->arena); list.n < limit && next_job(&rows, &job);
         mark = arena_mark(tx->arena)) {
        if (fits(tx->arena, &job, filter, true))
            *VEC_PUSH(tx->arena, &list) = job;
        else
            arena_rewind(tx->arena, mark);
    }
    *jobs = list.at;
    *n = list.n;
    return db_done(&rows);
}

struct err *flow_job_list(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter, struct flow_job **jobs,
                          size_t *n)
{
    size_t limit = filter.limit <= 0 ? DEFAULT_LIMIT : filter.limit > LIST_LIMIT ? LIST_LIMIT : (size_t)filter.limit;
    return list_up_to(tx, workspace, &filter, limit, jobs, n);
}

struct err *flow_job_counts(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter, int64_t counts[5])
{
    struct db_rows  rows;
    struct flow_job job;
    memset(counts, 0, 5 * sizeof *counts);
    filter.before = 0;
    TRY(query_jobs(tx, &rows, workspace, &filter));
    for (struct arena_mark mark = arena_mark(tx->arena); next_job(&rows, &job); arena_rewind(tx->arena, mark))
        for (int i = 0; i < 5 && fits(tx->arena, &job, &filter, false); i++)
            counts[i] += str_eq(job.status, str_of(state_names[i]));
    return db_done(&rows);
}

static struct str without_prefix(struct str id)
{
    return str_starts(id, STR("job_")) || str_starts(id, STR("run_")) ? str_skip(id, 4) : id;
}

struct err *flow_job_get(struct db_tx *tx, int64_t workspace, struct str public_id, struct flow_job *job)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT " JOB_COLUMNS "WHERE r.xid = $1 AND r.workspace_id = $2", without_prefix(public_id),
                 workspace));
    bool found = next_job(&rows, job);
    TRY(db_done(&rows));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "there is no such job");
}

struct err *flow_job_steps(struct db_tx *tx, int64_t run, struct flow_step_record **steps, size_t *n)
{
    VEC(struct flow_step_record) list = {0};
    struct flow_step_record s = {0};
    struct db_rows          rows;
    TRY(db_query(tx, &rows,
                 "SELECT step, op, status, result, error, notes, attempts, started_at, coalesce(ended_at, 0), "
                 "coalesce(due_at, 0) FROM flow_step WHERE run_id = $1 ORDER BY position, step", run));
    while (db_next(&rows, &s.step, &s.op, &s.status, &s.output, &s.error, &s.notes, &s.attempts, &s.started_at,
                   &s.ended_at, &s.due_at)) {
        s.output = str_slice(s.output, 0, OUTPUT_BYTES);
        *VEC_PUSH(tx->arena, &list) = s;
    }
    *steps = list.at;
    *n = list.n;
    return db_done(&rows);
}

struct err *flow_event_get(struct db_tx *tx, int64_t workspace, struct str id, struct flow_event *event)
{
    struct db_rows rows;
    int64_t        seq = 0;
    TRY(db_query(tx, &rows, "SELECT seq FROM flow_event WHERE workspace_id = $1 AND id = $2 ORDER BY name LIMIT 1",
                 workspace, id));
    (void)db_next(&rows, &seq);
    TRY(db_done(&rows));
    return seq ? flow_load_event(tx, seq, event) : err_new(tx->arena, ERR_NOT_FOUND, "there is no such event");
}

struct err *flow_event_outcomes(struct db_tx *tx, int64_t seq, struct flow_outcome_record **outcomes, size_t *n)
{
    VEC(struct flow_outcome_record) list = {0};
    struct flow_outcome_record o = {0};
    struct db_rows             rows;
    TRY(db_query(
        tx, &rows,
        "SELECT function, 'run' AS outcome, xid FROM flow_run WHERE event_seq = $1 AND replay_of IS NULL "
        "UNION ALL SELECT o.function, o.outcome, r.xid FROM flow_outcome o LEFT JOIN flow_run r ON r.id = o.run_id "
        "WHERE o.event_seq = $1 ORDER BY 1, 2",
        seq));
    while (db_next(&rows, &o.function, &o.outcome, &o.job)) {
        if (o.job.s) o.job = str_printf(tx->arena, "job_" STR_FMT, STR_ARG(o.job));
        *VEC_PUSH(tx->arena, &list) = o;
    }
    *outcomes = list.at;
    *n = list.n;
    return db_done(&rows);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

static bool action_fits(enum flow_action action, struct str status)
{
    bool live = str_eq(status, STR("queued")) || str_eq(status, STR("running"));
    if (action == FLOW_CANCEL) return live;
    return !live && (action == FLOW_RESTART || !str_eq(status, STR("completed")));
}

static struct err *act(struct db_tx *tx, enum flow_action action, int64_t run)
{
    struct flow_job fresh;
    switch (action) {
    case FLOW_CANCEL: return flow_cancel(tx, run, STR("cancelled"));
    case FLOW_RESTART: return flow_restart(tx, run, (struct str){0}, &fresh);
    case FLOW_RESUME: return flow_resume(tx, run);
    }
    return NULL;
}

struct err *flow_bulk(struct db_tx *tx, int64_t workspace, enum flow_action action, struct flow_job_filter filter,
                      int64_t *count)
{
    struct flow_job *jobs;
    size_t           n;
    *count = 0;
    TRY(list_up_to(tx, workspace, &filter,
                   filter.limit > 0 && filter.limit < BULK_LIMIT ? (size_t)filter.limit : BULK_LIMIT, &jobs, &n));
    for (size_t i = n; i-- > 0;) { /* oldest first: restarted jobs keep their order */
        if (!action_fits(action, jobs[i].status)) continue;
        TRY(act(tx, action, jobs[i].id));
        ++*count;
    }
    return NULL;
}

struct err *flow_backlog(struct db_tx *tx, int64_t workspace, int64_t *queued)
{
    struct flow   *flow = db_attached(tx->db);
    struct db_rows rows;
    int64_t        now = time_monotonic_us() / 1000;
    size_t         slot = (uint64_t)workspace % FAIR_SLOTS;
    if (flow) {
        pthread_mutex_lock(&flow->lock);
        bool fresh = flow->backlog[slot].workspace == workspace && flow->backlog[slot].counted_at > now - 1000;
        *queued = flow->backlog[slot].queued;
        pthread_mutex_unlock(&flow->lock);
        if (fresh) return NULL;
    }
    TRY(db_query(tx, &rows,
                 "SELECT count(*) FROM (SELECT 1 FROM flow_run WHERE queued = 1 AND workspace_id = $1 LIMIT $2) AS q",
                 workspace, FLOW_MAX_BACKLOG + 1));
    (void)db_next(&rows, queued);
    TRY(db_done(&rows));
    if (!flow) return NULL;
    pthread_mutex_lock(&flow->lock);
    flow->backlog[slot].workspace = workspace;
    flow->backlog[slot].queued = *queued;
    flow->backlog[slot].counted_at = now;
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

struct err *flow_queues(struct db_tx *tx, struct flow_queue_record **queues, size_t *n)
{
    VEC(struct flow_queue_record) list = {0};
    struct flow_queue_record q = {0};
    struct db_rows           rows;
    TRY(db_query(
        tx, &rows,
        "SELECT function, count(*), min(ready) FROM flow_run WHERE queued = 1 GROUP BY function ORDER BY function"));
    while (db_next(&rows, &q.function, &q.queued, &q.oldest_at)) *VEC_PUSH(tx->arena, &list) = q;
    *queues = list.at;
    *n = list.n;
    return db_done(&rows);
}
