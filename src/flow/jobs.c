/* jobs.c - looking at runs: lists, details, steps, what became of an event.
 *
 * DESIGN. A list is asked for status by status and merged: of each ended status flow_run_ended gives the newest rows in
 * order, so a tab with few jobs among a million costs no more than its page. What is alive is found by the three partial
 * indexes that the engine works with: queued, waiting for a time, or executing. Counts read flow_run_ended alone unless
 * the filter wants more than status and function.
 */
#include "flow/parts.h"

#include "base/time.h"

#include <stdlib.h>

enum { DEFAULT_LIMIT = 20, LIST_LIMIT = 100, BULK_LIMIT = 1000, OUTPUT_BYTES = 64 << 10, CLOCK_SLACK_MS = 3600 * 1000,
       STATES = 5, FUNCTIONS = 16, CAUSES = 4 };

static const char *const cause_names[CAUSES] = {"automatic", "manual", "scheduled", "webhook"}; /* enum flow_cause */

const char *flow_cause_name(enum flow_cause cause)
{
    return cause_names[cause];
}

/* What a job's status is among those of runs. */
static const struct state {
    const char *name, *run, *other_run;
    bool        ended;
} states[STATES] = {
    {"queued", "queued", "queued", false},         {"running", "running", "waiting", false},
    {"completed", "completed", "completed", true}, {"failed", "failed", "failed", true},
    {"cancelled", "cancelled", "cancelled", true},
};

/* ---- one row ----------------------------------------------------------------------------------------------------- */

#define JOB_COLUMNS                                                                                                    \
    "r.id, r.workspace_id, r.xid, r.run_xid, r.function, r.title, r.status, r.cause, r.caused_by, r.source, "          \
    "coalesce(r.input, r.data, e.data), r.output, r.progress, r.error, r.created_at, coalesce(r.started_at, 0), "      \
    "coalesce(r.completed_at, 0), r.updated_at, r.failures + r.crashes + 1, coalesce(r.replay_of, 0), "                \
    "coalesce(r.parent_run, 0), (SELECT count(*) FROM flow_function f WHERE f.name = r.function AND f.system = 1) "    \
    "FROM flow_run r LEFT JOIN flow_event e ON e.seq = r.event_seq "

static void finish_job(struct db_tx *tx, struct flow_job *job, struct str run_xid, int cause)
{
    struct str xid = job->public_id;
    job->waiting = str_eq(job->status, STR("waiting"));
    if (job->waiting) job->status = STR("running"); /* of a job; waiting is said beside it */
    job->public_id = str_printf(tx->arena, "job_" STR_FMT, STR_ARG(xid));
    job->run_id = str_printf(tx->arena, "run_" STR_FMT, STR_ARG(run_xid.s ? run_xid : xid));
    job->trigger = str_of(cause_names[cause & (CAUSES - 1)]);
    if (!job->name.s) job->name = job->function;
    if (job->started_at && job->completed_at) job->duration = job->completed_at - job->started_at;
}

static bool next_job(struct db_rows *rows, struct flow_job *job)
{
    struct str run_xid = {0};
    int        cause = 0;
    *job = (struct flow_job){0};
    if (!db_next(rows, &job->id, &job->workspace, &job->public_id, &run_xid, &job->function, &job->name, &job->status,
                 &cause, &job->triggered_by, &job->source, &job->input, &job->output, &job->progress, &job->error,
                 &job->created_at, &job->started_at, &job->completed_at, &job->updated_at, &job->attempts,
                 &job->replay_of, &job->parent, &job->system))
        return false;
    finish_job(rows->tx, job, run_xid, cause);
    return true;
}

static struct err *one_job(struct db_tx *tx, struct db_rows *rows, struct flow_job *job)
{
    bool found = next_job(rows, job);
    TRY(db_done(rows));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "there is no such job");
}

/* ---- where an interval begins ------------------------------------------------------------------------------------ */

static struct err *row_at(struct db_tx *tx, int64_t workspace, int64_t id, int64_t *found, int64_t *created_at)
{
    struct db_rows rows;
    *found = 0;
    TRY(db_query(tx, &rows,
                 "SELECT id, created_at FROM flow_run WHERE workspace_id = $1 AND id >= $2 ORDER BY id LIMIT 1",
                 workspace, id));
    db_next(&rows, found, created_at);
    return db_done(&rows);
}

struct err *flow_first_since(struct db_tx *tx, int64_t workspace, int64_t from, int64_t *first)
{
    int64_t        low = 0, high = 0, found, created_at = 0;
    struct db_rows rows;
    *first = 0;
    if (!from) return NULL;
    TRY(db_query(tx, &rows, "SELECT MAX(id) + 1 FROM flow_run WHERE workspace_id = $1", workspace));
    db_next(&rows, &high);
    TRY(db_done(&rows));
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        TRY(row_at(tx, workspace, middle, &found, &created_at));
        if (found && created_at < from - CLOCK_SLACK_MS)
            low = found + 1;
        else
            high = middle;
    }
    *first = low;
    return NULL;
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

/* $1 to $19: what flow_run_ended knows. */
#define KEYED                                                                                                          \
    "r.workspace_id = $1 AND ($2 = 1 OR r.function NOT IN (SELECT name FROM flow_function WHERE system = 1)) AND "     \
    "($3 = 0 OR r.function IN ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)) "
/* $20 to $31: what only the row knows, and where it stands. */
#define DETAILED                                                                                                       \
    KEYED "AND r.id < $20 AND r.id >= $21 AND r.created_at >= $22 AND r.created_at < $23 "                             \
          "AND ($24 = 0 OR r.parent_run = $24) AND ($25 = '' OR r.source = $25) "                                      \
          "AND ($26 = '' OR lower(coalesce(r.title, r.function)) LIKE $26 ESCAPE '\\') "                               \
          "AND ($27 = 0 OR r.cause IN ($28, $29, $30, $31)) "
/* Whoever has not ended is queued, waits for a time or executes. */
#define ALIVE                                                                                                          \
    "AND r.completed_at IS NULL AND r.id IN (SELECT id FROM flow_run WHERE queued = 1 AND workspace_id = $1 "          \
    "UNION SELECT id FROM flow_run WHERE wake_at IS NOT NULL UNION SELECT id FROM flow_run WHERE owner IS NOT NULL) "

enum { KEYED_VALUES = 19, DETAILED_VALUES = 31, MOST_VALUES = 34 };

struct selection {
    struct db_value values[MOST_VALUES];
    size_t          n;
    bool            keyed; /* KEYED says it all */
};

static void add(struct selection *selection, struct db_value value)
{
    selection->values[selection->n++] = value;
}

static bool any(const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].n) return true;
    return false;
}

static int cause_named(struct str trigger)
{
    for (int i = 0; i < CAUSES; i++)
        if (str_eq(trigger, str_of(cause_names[i]))) return i;
    return -1;
}

static struct err *select_jobs(struct db_tx *tx, int64_t workspace, const struct flow_job_filter *filter,
                               struct selection *s)
{
    int64_t first;
    TRY(flow_first_since(tx, workspace, filter->from, &first));
    *s = (struct selection){0};
    add(s, db_of_int(workspace));
    add(s, db_of_int(filter->with_system));
    add(s, db_of_int(any(filter->functions, FUNCTIONS)));
    for (size_t i = 0; i < FUNCTIONS; i++) add(s, db_of_str(filter->functions[i].n ? filter->functions[i] : STR("")));
    add(s, db_of_int(filter->before ? filter->before : INT64_MAX));
    add(s, db_of_int(first));
    add(s, db_of_int(filter->from));
    add(s, db_of_int(filter->to ? filter->to : INT64_MAX));
    add(s, db_of_int(filter->parent));
    add(s, db_of_str(filter->source.n ? filter->source : STR("")));
    add(s, db_of_str(db_like(tx->arena, filter->query)));
    add(s, db_of_int(any(filter->triggers, CAUSES)));
    for (size_t i = 0; i < CAUSES; i++) add(s, db_of_int(cause_named(filter->triggers[i])));
    s->keyed = !filter->from && !filter->to && !filter->parent && !filter->source.n && !filter->query.n &&
               !any(filter->triggers, CAUSES);
    return NULL;
}

static bool wanted(const struct flow_job_filter *filter, const struct state *state)
{
    if (!any(filter->statuses, STATES)) return true;
    for (size_t i = 0; i < STATES; i++)
        if (str_eq(filter->statuses[i], str_of(state->name))) return true;
    return false;
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

struct row_ids { int64_t *at; size_t n, capacity; };

static struct err *add_state(struct db_tx *tx, struct selection selection, const struct state *state, size_t limit,
                             struct row_ids *ids)
{
    static const char ended[] = "SELECT r.id FROM flow_run r WHERE " DETAILED
                                "AND r.completed_at IS NOT NULL AND r.status = $32 ORDER BY r.id DESC LIMIT $33";
    static const char live[] = "SELECT r.id FROM flow_run r WHERE " DETAILED ALIVE
                               "AND r.status IN ($32, $33) ORDER BY r.id DESC LIMIT $34";
    struct db_rows rows;
    int64_t        id;
    add(&selection, db_of_z(state->run));
    if (!state->ended) add(&selection, db_of_z(state->other_run));
    add(&selection, db_of_int((int64_t)limit));
    TRY(db_query_values(tx, &rows, state->ended ? ended : live, selection.values, selection.n));
    while (db_next(&rows, &id)) *VEC_PUSH(tx->arena, ids) = id;
    return db_done(&rows);
}

static struct err *list_ids(struct db_tx *tx, int64_t workspace, const struct flow_job_filter *filter, size_t limit,
                            struct row_ids *ids)
{
    struct selection selection;
    *ids = (struct row_ids){0};
    TRY(select_jobs(tx, workspace, filter, &selection));
    for (size_t i = 0; i < STATES; i++)
        if (wanted(filter, &states[i])) TRY(add_state(tx, selection, &states[i], limit, ids));
    if (ids->n) qsort(ids->at, ids->n, sizeof *ids->at, newest_first);
    if (ids->n > limit) ids->n = limit;
    return NULL;
}

struct err *flow_job_list(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter, struct flow_job **jobs,
                          size_t *n)
{
    size_t limit = filter.limit <= 0 ? DEFAULT_LIMIT : filter.limit > LIST_LIMIT ? LIST_LIMIT : (size_t)filter.limit;
    struct row_ids ids;
    struct db_rows rows;
    TRY(list_ids(tx, workspace, &filter, limit, &ids));
    *jobs = NEW_ARRAY(tx->arena, struct flow_job, ids.n);
    *n = ids.n;
    for (size_t i = 0; i < ids.n; i++) {
        TRY(db_query(tx, &rows, "SELECT " JOB_COLUMNS "WHERE r.id = $1", ids.at[i]));
        TRY(one_job(tx, &rows, &(*jobs)[i]));
    }
    return NULL;
}

static void count_state(int64_t counts[STATES], struct str run_status, int64_t n)
{
    for (size_t i = 0; i < STATES; i++)
        if (str_eq(run_status, str_of(states[i].run)) || str_eq(run_status, str_of(states[i].other_run)))
            counts[i] += n;
}

struct err *flow_job_counts(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter,
                            int64_t counts[STATES])
{
#define COUNT "SELECT r.status, count(*) FROM flow_run r WHERE "
    static const char keyed[] = COUNT KEYED "AND r.completed_at IS NOT NULL GROUP BY r.status";
    static const char detailed[] = COUNT DETAILED "AND r.completed_at IS NOT NULL GROUP BY r.status";
    static const char live[] = COUNT DETAILED ALIVE "GROUP BY r.status";
#undef COUNT
    struct selection selection;
    struct db_rows   rows;
    struct str       status = {0};
    int64_t          n = 0;
    memset(counts, 0, STATES * sizeof *counts);
    filter.before = 0;
    TRY(select_jobs(tx, workspace, &filter, &selection));
    TRY(db_query_values(tx, &rows, selection.keyed ? keyed : detailed, selection.values,
                        selection.keyed ? KEYED_VALUES : DETAILED_VALUES));
    while (db_next(&rows, &status, &n)) count_state(counts, status, n);
    TRY(db_done(&rows));
    TRY(db_query_values(tx, &rows, live, selection.values, selection.n));
    while (db_next(&rows, &status, &n)) count_state(counts, status, n);
    return db_done(&rows);
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

struct str flow_xid_of(struct str id)
{
    return str_starts(id, STR("job_")) || str_starts(id, STR("run_")) ? str_skip(id, 4) : id;
}

struct err *flow_job_get(struct db_tx *tx, int64_t workspace, struct str public_id, struct flow_job *job)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT " JOB_COLUMNS "WHERE r.xid = $1 AND r.workspace_id = $2", flow_xid_of(public_id),
                 workspace));
    return one_job(tx, &rows, job);
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

struct err *flow_event_pending(struct db_tx *tx, int64_t workspace, struct str name, struct flow_event **events, size_t *n)
{
    VEC(struct flow_event) list = {0};
    struct flow_event event = {.workspace = workspace};
    struct db_rows    rows;
    TRY(db_query(tx, &rows,
                 "SELECT data FROM flow_pending CROSS JOIN flow_event " /* CROSS: from the few that wait */
                 "WHERE seq = event_seq AND workspace_id = $1 AND name = $2 ORDER BY event_seq LIMIT 100",
                 workspace, name));
    while (db_next(&rows, &event.data)) *VEC_PUSH(tx->arena, &list) = event;
    *events = list.at;
    *n = list.n;
    return db_done(&rows);
}

/* Events have no index by workspace and order, for that would cost each of them: so far back is looked for a page. */
enum { EVENT_WINDOW = 100000 };

static struct err *event_bounds(struct db_tx *tx, int64_t before, int64_t *top, int64_t *oldest)
{
    struct db_rows rows;
    *top = *oldest = 0;
    TRY(db_query(tx, &rows,
                 "SELECT COALESCE((SELECT seq FROM flow_event WHERE seq < $1 ORDER BY seq DESC LIMIT 1), 0), "
                 "COALESCE((SELECT seq FROM flow_event ORDER BY seq LIMIT 1), 0)",
                 before ? before : INT64_MAX));
    (void)db_next(&rows, top, oldest);
    return db_done(&rows);
}

struct err *flow_event_list(struct db_tx *tx, int64_t workspace, struct flow_event_filter filter,
                            struct flow_event **events, size_t *n, int64_t *next)
{
    VEC(struct flow_event) list = {0};
    struct flow_event event = {.workspace = workspace};
    struct db_rows    rows;
    int64_t           top, oldest;
    TRY(event_bounds(tx, filter.before, &top, &oldest));
    int64_t bottom = top > EVENT_WINDOW ? top - EVENT_WINDOW : 0;
    TRY(db_query(tx, &rows,
                 "SELECT seq, id, name, ts, received_at FROM flow_event WHERE seq <= $2 AND seq > $3 AND workspace_id = $1 "
                 "AND ($4 = '' OR name = $4) AND received_at >= $5 AND received_at < $6 ORDER BY seq DESC LIMIT $7",
                 workspace, top, bottom, filter.name.s ? filter.name : STR(""), filter.from,
                 filter.to ? filter.to : INT64_MAX, filter.limit));
    while (db_next(&rows, &event.seq, &event.id, &event.name, &event.ts, &event.received_at))
        *VEC_PUSH(tx->arena, &list) = event;
    TRY(db_done(&rows));
    int64_t last = list.n && list.n == filter.limit ? list.at[list.n - 1].seq : bottom + 1;
    *next = top && last > oldest ? last : 0;
    *events = list.at;
    *n = list.n;
    return NULL;
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

static bool action_fits(enum flow_action action, const struct state *state)
{
    if (action == FLOW_CANCEL) return !state->ended;
    return state->ended && (action == FLOW_RESTART || strcmp(state->name, "completed") != 0);
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
    struct flow_job_filter fitting = filter;
    struct row_ids         ids;
    size_t                 n = 0;
    *count = 0;
    memset(fitting.statuses, 0, sizeof fitting.statuses);
    for (size_t i = 0; i < STATES; i++)
        if (wanted(&filter, &states[i]) && action_fits(action, &states[i])) fitting.statuses[n++] = str_of(states[i].name);
    if (!n) return NULL;
    TRY(list_ids(tx, workspace, &fitting,
                 filter.limit > 0 && filter.limit < BULK_LIMIT ? (size_t)filter.limit : BULK_LIMIT, &ids));
    for (size_t i = ids.n; i-- > 0;) { /* oldest first: restarted jobs keep their order */
        TRY(act(tx, action, ids.at[i]));
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
