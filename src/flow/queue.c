/* queue.c - claiming runs, timers, leases: what SQLite and PostgreSQL do differently is behind these functions.
 *
 * DESIGN. Runs that may execute now have queued = 1 and stand in one partial index by workspace, function and lane (the
 * value of the first concurrency key). A claim skips from workspace to workspace and from lane to lane through that
 * index, starting after the one served last, so neither a backfill nor a lane at its limit is in anybody's way, and no
 * queued run is looked at in vain. On PostgreSQL the inner selects of the claims end in FOR UPDATE SKIP LOCKED.
 */
#include "flow/parts.h"

#include "base/log.h"
#include "base/time.h"

#include <stdlib.h>
#include <stdio.h>

enum { WORKSPACES_AT_ONCE = 64, LANES_AT_ONCE = 256, CANDIDATES = 32, TIMERS_AT_ONCE = 1000 };

struct lane {
    struct function *function;
    struct str       function_name, name;
};
struct claim {
    struct db_tx       *tx;
    struct flow        *flow;
    struct claim_order *order;
    int64_t             now, last_seq;
    struct str          paused[64];
    size_t              paused_count;
};

/* ---- a claimed run in memory ------------------------------------------------------------------------------------- */

void flow_run_free(struct flow_run_inside *in)
{
    struct arena *arena = in->run.arena;
    free(in);
    arena_destroy(arena);
}

static enum step_status status_named(struct str name)
{
    static const struct { const char *name; enum step_status status; } names[] = {
        {"completed", STEP_COMPLETED}, {"failed", STEP_FAILED}, {"retrying", STEP_RETRYING}, {"waiting", STEP_WAITING},
    };
    for (size_t i = 0; i < 4; i++)
        if (str_eq(name, str_of(names[i].name))) return names[i].status;
    return STEP_NEW;
}

static struct err *load_steps(struct db_tx *tx, struct flow_run_inside *in)
{
    struct db_rows rows;
    struct step    step = {0};
    struct str     op, status;
    int            code;
    TRY(db_query(
        tx, &rows,
        "SELECT step, op, status, position, result, error, error_code, attempts, limited_ms, due_at, event_seq, "
        "started_at, ended_at FROM flow_step WHERE run_id = $1 ORDER BY position",
        in->run.id));
    while (db_next(&rows, &step.key, &op, &status, &step.position, &step.result, &step.error, &code, &step.attempts,
                   &step.limited_ms, &step.due_at, &step.event_seq, &step.started_at, &step.ended_at)) {
        step.op = str_z(in->run.arena, op);
        step.status = status_named(status);
        step.error_code = (enum err_code)code;
        *flow_step_add(in, step.key) = step;
        in->recorded_bytes += (int64_t)step.result.n;
    }
    return db_done(&rows);
}

static struct err *load_events(struct db_tx *tx, struct flow_run_inside *in, struct str name, struct str data)
{
    VEC(int64_t)   seqs = {0};
    struct db_rows rows;
    int64_t        seq;
    if (in->run.event_count > 1 && in->function->gather == GATHER_BATCH) {
        TRY(db_query(tx, &rows, "SELECT event_seq FROM flow_run_event WHERE run_id = $1 ORDER BY event_seq",
                     in->run.id));
        while (db_next(&rows, &seq)) *VEC_PUSH(tx->arena, &seqs) = seq;
        TRY(db_done(&rows));
    }
    if (seqs.n == 0) *VEC_PUSH(tx->arena, &seqs) = in->event_seq;
    struct flow_event *events = NEW_ARRAY(in->run.arena, struct flow_event, seqs.n);
    for (size_t i = 0; i < seqs.n; i++)
        if (seqs.at[i]) TRY(flow_load_event(tx, seqs.at[i], &events[i]));
    if (name.s) events[0].name = name;
    if (data.s) events[0].data = data;
    if (!events[0].data.s) events[0].data = STR("{}");
    if (!events[0].seq) events[0].ts = events[0].received_at = in->created_at;
    events[0].workspace = in->run.workspace;
    in->run.events = events;
    in->run.event_count = seqs.n;
    return NULL;
}

static int by_queue_order(const void *a, const void *b)
{
    const struct flow_run_inside *x = *(struct flow_run_inside *const *)a, *y = *(struct flow_run_inside *const *)b;
    if (x->ready != y->ready) return x->ready < y->ready ? -1 : 1;
    return (x->run.id > y->run.id) - (x->run.id < y->run.id);
}

static struct flow_run_inside *run_create(struct flow *flow, struct function *function)
{
    struct flow_run_inside *in = calloc(1, sizeof *in);
    if (!in) abort();
    in->flow = flow;
    in->function = function;
    in->run = (struct flow_run){.arena = arena_create(), .db = flow->db, .context = function->context, .inside = in};
    return in;
}

/* Runs of one claim that begin late. */
struct late { size_t n; int64_t longest; };

/* Too late to begin? Then it is cancelled where the function says so, else counted. */
static struct err *check_start(struct claim *claim, struct flow_run_inside *in, struct late *late, bool *cancelled)
{
    const struct flow_function *table = in->function->table;
    int64_t waited = claim->now - (in->ready + in->advantage); /* since it was due: a debounce is no delay */
    *cancelled = false;
    if (!in->first_entry || !table->start_within || waited <= table->start_within) return NULL;
    if (!table->cancel_late) {
        late->n++;
        if (waited > late->longest) late->longest = waited;
        return NULL;
    }
    struct ending ending = {.run = in->run.id, .epoch = in->epoch, .status = "cancelled", .in = in,
                            .error = STR("queued for too long")};
    return flow_end_run(claim->tx, claim->flow, &ending, cancelled);
}

struct claimed {
    VEC(struct flow_run_inside *) runs;
};

static struct err *hand_out(struct claim *claim, struct claimed *claimed)
{
    struct late late = {0};
    if (claimed->runs.n > 1) qsort(claimed->runs.at, claimed->runs.n, sizeof *claimed->runs.at, by_queue_order);
    for (size_t i = 0; i < claimed->runs.n; i++) { /* in the list from here on: freed with it if the closure fails */
        *claim->order->last = claimed->runs.at[i];
        claim->order->last = &claimed->runs.at[i]->next;
        claim->order->count++;
    }
    for (size_t i = 0; i < claimed->runs.n; i++) {
        bool cancelled;
        TRY(check_start(claim, claimed->runs.at[i], &late, &cancelled));
        if (cancelled) claimed->runs.at[i]->outcome = OUTCOME_RECORDED;
        else if (claimed->runs.at[i]->first_entry) TRY(flow_tell_start(claim->tx, claimed->runs.at[i]));
    }
    if (late.n) /* one line for all: after a pause there are thousands */
        log_warn("flow", "%zu runs of %s were queued for up to %lld s", late.n, claimed->runs.at[0]->function->name,
                 (long long)late.longest / 1000);
    return NULL;
}

#define CLAIM(which)                                                                                                   \
    "UPDATE flow_run SET status = 'running', queued = 0, owner = $1, epoch = epoch + 1, gather_key = NULL, holds = "   \
    "$2, begun = 0, "                                                                                                  \
    "started_at = coalesce(started_at, $3), finish_at = coalesce(finish_at, $4), wait_after = coalesce(wait_after, "   \
    "$5), "                                                                                                            \
    "updated_at = $3 WHERE id IN (" which                                                                              \
    ") RETURNING id, xid, run_xid, workspace_id, epoch, event_seq, event_count, "                                      \
    "event_name, data, parent_run, parent_step, cause, caused_by, advantage, ready, failures, crashes, steps, armed, " \
    "state, source, title, created_at, started_at, finish_at, wait_after, cancel_reason"

static struct err *read_claimed(struct claim *claim, struct function *function, struct db_rows *rows,
                                struct claimed *claimed)
{
    struct arena *arena = claim->tx->arena;
    struct err   *err = NULL;
    for (bool more = true; more && !err;) {
        struct flow_run_inside *in = run_create(claim->flow, function);
        struct str    event_name = {0}, data = {0};
        int64_t       steps = 0, event_count = 1;
        claim->tx->arena = in->run.arena;
        more = db_next(rows, &in->run.id, &in->run.public_id, &in->run_xid, &in->run.workspace, &in->epoch,
                       &in->event_seq, &event_count, &event_name, &data, &in->parent_run, &in->parent_step, &in->cause,
                       &in->caused_by, &in->advantage, &in->ready, &in->run.attempt, &in->crashes, &steps, &in->armed,
                       &in->run.state, &in->source, &in->title, &in->created_at, &in->started_at, &in->finish_at,
                       &in->wait_after, &in->cancel_reason);
        claim->tx->arena = arena;
        if (!more) {
            flow_run_free(in);
            break;
        }
        *VEC_PUSH(arena, &claimed->runs) = in;
        in->run.event_count = (size_t)event_count;
        in->first_entry = steps == 0 && in->run.attempt == 0 && !in->run.state.s && in->started_at == claim->now;
        in->recorded_bytes = steps; /* read below, when this statement is done */
        in->run.events = NEW(in->run.arena, struct flow_event);
        ((struct flow_event *)in->run.events)->name = event_name;
        ((struct flow_event *)in->run.events)->data = data;
    }
    struct err *end = db_done(rows);
    return err ? err : end;
}

static struct err *load_all(struct claim *claim, struct claimed *claimed)
{
    struct arena *arena = claim->tx->arena;
    struct err   *err = NULL;
    for (size_t i = 0; i < claimed->runs.n && !err; i++) {
        struct flow_run_inside *in = claimed->runs.at[i];
        int64_t                 steps = in->recorded_bytes;
        in->recorded_bytes = 0;
        claim->tx->arena = in->run.arena;
        err = load_events(claim->tx, in, in->run.events[0].name, in->run.events[0].data);
        if (!err && steps) err = load_steps(claim->tx, in);
        claim->tx->arena = arena;
        if (err) err = err_new(arena, err->code, STR_FMT, STR_ARG(err->message)); /* out of the run's arena */
    }
    return err;
}

/* ---- claiming ---------------------------------------------------------------------------------------------------- */

static bool is_limited(const struct function *function)
{
    return function->table->concurrency[0].limit > 0;
}

static struct err *claim_with(struct claim *claim, struct function *function, const char *sql,
                              const struct db_value *which, size_t n, size_t *got)
{
    struct claimed claimed = {0};
    struct db_rows rows;
    struct db_value values[10] = {
        db_of_int(claim->flow->worker), db_of_int(is_limited(function)), db_of_int(claim->now),
        null_if_zero(function->table->finish_within ? claim->now + function->table->finish_within : 0),
        db_of_int(claim->last_seq),
    };
    memcpy(values + 5, which, n * sizeof *which);
    TRY(db_query_values(claim->tx, &rows, sql, values, 5 + n));
    struct err *err = read_claimed(claim, function, &rows, &claimed);
    if (!err) err = load_all(claim, &claimed);
    *got = claimed.runs.n;
    struct err *listed = hand_out(claim, &claimed);
    return err ? err : listed;
}

static struct err *claim_lane(struct claim *claim, int64_t workspace, const struct lane *lane, const char *sql,
                              size_t limit, size_t *got)
{
    const struct db_value which[] = {db_of_int(workspace), db_of_z(lane->function->name), db_of_str(lane->name),
                                     db_of_int((int64_t)limit)};
    *got = 0;
    return limit ? claim_with(claim, lane->function, sql, which, 4, got) : NULL;
}

/* Those that have their slot already are few; "queued + 0" keeps the planner from walking the whole lane for them. */
static const char claim_holders[] = CLAIM(
    "SELECT id FROM flow_run WHERE holds = 1 AND queued + 0 = 1 AND workspace_id = $6 AND function = $7 AND lane = $8 "
    "ORDER BY ready, id LIMIT $9");
static const char claim_others[] = CLAIM(
    "SELECT id FROM flow_run WHERE queued = 1 AND workspace_id = $6 AND function = $7 AND lane = $8 AND holds = 0 "
    "ORDER BY ready, id LIMIT $9");

static struct err *count_rows(struct db_tx *tx, const char *sql, const char *function, struct str lane, int64_t *count)
{
    struct db_rows rows;
    *count = 0;
    TRY(db_query(tx, &rows, sql, function, lane));
    (void)db_next(&rows, count);
    return db_done(&rows);
}

/* Slots of the first limit that are free. */
static struct err *free_slots(struct claim *claim, const struct lane *lane, size_t *slots)
{
    int64_t used;
    if (!is_limited(lane->function)) return NULL;
    TRY(count_rows(claim->tx, "SELECT count(*) FROM flow_run WHERE holds = 1 AND function = $1 AND lane = $2",
                   lane->function->name, lane->name, &used));
    int64_t left = lane->function->table->concurrency[0].limit - used;
    if (left < 0) left = 0;
    if ((int64_t)*slots > left) *slots = (size_t)left;
    return NULL;
}

/* With a second limit each candidate is looked at: the lanes of the two cross. */
static struct err *claim_one_by_one(struct claim *claim, int64_t workspace, const struct lane *lane, size_t slots,
                                    size_t *got)
{
    struct { int64_t id; struct str second; } candidates[CANDIDATES];
    size_t         n = 0, one;
    struct db_rows rows;
    TRY(db_query(
        claim->tx, &rows,
        "SELECT id, second_lane FROM flow_run WHERE queued = 1 AND workspace_id = $1 AND function = $2 AND lane = $3 "
        "AND holds = 0 ORDER BY ready, id LIMIT $4",
        workspace, lane->function->name, lane->name, CANDIDATES));
    while (n < CANDIDATES && db_next(&rows, &candidates[n].id, &candidates[n].second)) n++;
    TRY(db_done(&rows));
    for (size_t i = 0; i < n && *got < slots; i++) {
        int64_t used;
        TRY(count_rows(claim->tx, "SELECT count(*) FROM flow_run WHERE holds = 1 AND second_lane IS NOT NULL "
                                  "AND function = $1 AND second_lane = $2",
                       lane->function->name, candidates[i].second, &used));
        if (used >= lane->function->table->concurrency[1].limit) continue;
        const struct db_value which = db_of_int(candidates[i].id);
        TRY(claim_with(claim, lane->function, CLAIM("SELECT id FROM flow_run WHERE queued = 1 AND id = $6"), &which, 1,
                       &one));
        *got += one;
    }
    return NULL;
}

static struct err *claim_from(struct claim *claim, int64_t workspace, const struct lane *lane, size_t limit,
                              size_t *got)
{
    size_t resumed = 0, begun = 0, slots;
    if (is_limited(lane->function) && lane->function->table->concurrency[0].per_run)
        TRY(claim_lane(claim, workspace, lane, claim_holders, limit, &resumed)); /* they have their slots */
    slots = limit - resumed;
    TRY(free_slots(claim, lane, &slots));
    if (lane->function->table->concurrency[1].limit > 0)
        TRY(claim_one_by_one(claim, workspace, lane, slots, &begun));
    else
        TRY(claim_lane(claim, workspace, lane, claim_others, slots, &begun));
    *got = resumed + begun;
    return NULL;
}

/* How many more of a function may be claimed ahead: quick ones many, slow ones no more than there are threads. */
static size_t allowance(struct flow *flow, struct function *function)
{
    enum { AHEAD_US = 50000, SLOW_US = 100000 };
    size_t workers = flow->config.workers, limit;
    pthread_mutex_lock(&flow->lock);
    if (function->mean_us == 0)
        limit = 2 * workers;
    else if (function->mean_us > SLOW_US)
        limit = workers > 1 ? workers - 1 : 1; /* one thread is left for the others */
    else
        limit = workers + (size_t)((double)AHEAD_US * (double)workers / function->mean_us);
    if (function->table->run_many || limit > CLAIMED_AT_MOST) limit = CLAIMED_AT_MOST;
    size_t left = function->outstanding >= limit ? 0 : limit - function->outstanding;
    pthread_mutex_unlock(&flow->lock);
    return left;
}

static bool is_paused(const struct claim *claim, struct str function)
{
    for (size_t i = 0; i < claim->paused_count; i++)
        if (str_eq(claim->paused[i], function)) return true;
    return false;
}

static struct err *read_lane(struct db_rows *rows, struct str *function, struct str *lane, bool *found)
{
    *found = db_next(rows, function, lane);
    return db_done(rows);
}

/* The next lane after this one. Not in one comparison of pairs: SQLite would begin at the pair itself and walk through
 * all that is queued there. */
static struct err *next_lane(struct db_tx *tx, int64_t workspace, struct str *function, struct str *lane, bool *found)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT function, lane FROM flow_run WHERE queued = 1 AND workspace_id = $1 "
                            "AND function = $2 AND lane > $3 ORDER BY lane LIMIT 1", workspace, *function, *lane));
    TRY(read_lane(&rows, function, lane, found));
    if (*found) return NULL;
    TRY(db_query(tx, &rows, "SELECT function, lane FROM flow_run WHERE queued = 1 AND workspace_id = $1 "
                            "AND function > $2 ORDER BY function, lane LIMIT 1", workspace, *function));
    return read_lane(&rows, function, lane, found);
}

/* The lanes of a workspace that may be served, beginning after the one served last. */
static struct err *find_lanes(struct claim *claim, int64_t workspace, struct lane *lanes, size_t *n)
{
    struct str function = STR(""), lane = STR(""); /* before the first: no function has this name */
    bool       wrapped = true;
    typeof(&claim->flow->served[0]) last = &claim->flow->served[(uint64_t)workspace % FAIR_SLOTS];
    if (last->workspace == workspace) function = last->function, lane = last->lane, wrapped = false;
    for (*n = 0; *n < LANES_AT_ONCE;) {
        bool found;
        TRY(next_lane(claim->tx, workspace, &function, &lane, &found));
        if (!found) {
            if (wrapped) return NULL;
            wrapped = true;
            function = lane = STR("");
            continue;
        }
        if (wrapped && *n && str_eq(lanes[0].function_name, function) && str_eq(lanes[0].name, lane)) return NULL;
        struct function *known = flow_function_named(claim->flow, function);
        if (known && !is_paused(claim, function)) lanes[(*n)++] = (struct lane){known, function, lane};
    }
    return NULL;
}

static void remember_lane(struct flow *flow, int64_t workspace, const struct lane *lane)
{
    typeof(&flow->served[0]) last = &flow->served[(uint64_t)workspace % FAIR_SLOTS];
    if (lane->function_name.n + lane->name.n > sizeof last->text) return;
    last->workspace = workspace;
    memcpy(last->text, lane->function_name.s, lane->function_name.n);
    if (lane->name.n) memcpy(last->text + lane->function_name.n, lane->name.s, lane->name.n);
    last->function = (struct str){last->text, lane->function_name.n};
    last->lane = (struct str){last->text + lane->function_name.n, lane->name.n};
}

static struct err *claim_workspace(struct claim *claim, int64_t workspace, size_t share, size_t *got)
{
    struct lane lanes[LANES_AT_ONCE];
    size_t      n;
    *got = 0;
    TRY(find_lanes(claim, workspace, lanes, &n));
    for (int pass = 0; pass < 2; pass++) /* first the same for each lane, then who has more */
        for (size_t i = 0; i < n && *got < share; i++) {
            size_t quota = pass == 0 ? (share + n - 1) / n : share, allowed = allowance(claim->flow, lanes[i].function),
                   one;
            if (quota > share - *got) quota = share - *got;
            size_t held = 0; /* claimed in this transaction: not in outstanding yet */
            for (struct flow_run_inside *in = claim->order->first; in; in = in->next)
                held += in->function == lanes[i].function;
            allowed = allowed > held ? allowed - held : 0;
            if (quota > allowed) quota = allowed;
            TRY(claim_from(claim, workspace, &lanes[i], quota, &one));
            if (one) remember_lane(claim->flow, workspace, &lanes[i]);
            *got += one;
        }
    return NULL;
}

static struct err *next_workspace(struct db_tx *tx, int64_t after, int64_t *workspace, bool *found)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT workspace_id FROM flow_run WHERE queued = 1 AND workspace_id > $1 "
                            "ORDER BY workspace_id LIMIT 1", after));
    *found = db_next(&rows, workspace);
    return db_done(&rows);
}

static struct err *find_workspaces(struct claim *claim, int64_t *workspaces, size_t *n)
{
    int64_t after = claim->flow->last_workspace, workspace;
    bool    wrapped = false, found;
    for (*n = 0; *n < WORKSPACES_AT_ONCE;) {
        TRY(next_workspace(claim->tx, after, &workspace, &found));
        if (!found && wrapped) return NULL;
        if (!found) {
            wrapped = true;
            after = -1;
            continue;
        }
        if (wrapped && *n && workspace == workspaces[0]) return NULL;
        workspaces[(*n)++] = after = workspace;
    }
    return NULL;
}

static struct err *read_facts(struct claim *claim)
{
    struct db_rows rows;
    TRY(db_query(claim->tx, &rows, "SELECT function FROM flow_pause LIMIT 64"));
    while (claim->paused_count < 64 && db_next(&rows, &claim->paused[claim->paused_count])) claim->paused_count++;
    TRY(db_done(&rows));
    TRY(db_query(claim->tx, &rows, "SELECT coalesce(max(seq), 0) FROM flow_event"));
    (void)db_next(&rows, &claim->last_seq);
    return db_done(&rows);
}

struct err *flow_claim(struct db_tx *tx, struct flow *flow, struct claim_order *order)
{
    struct claim claim = {.tx = tx, .flow = flow, .order = order, .now = time_now()};
    int64_t      workspaces[WORKSPACES_AT_ONCE];
    size_t       n = 0, left = order->budget, one;
    if (left == 0) return NULL;
    TRY(find_workspaces(&claim, workspaces, &n));
    if (n == 0) return NULL;
    TRY(read_facts(&claim));
    size_t share = (left + n - 1) / n;
    for (size_t pass = 0; pass < 2; pass++, share = left)
        for (size_t i = 0; i < n && left > 0; i++) {
            TRY(claim_workspace(&claim, workspaces[i], share < left ? share : left, &one));
            left -= one;
            if (one) flow->last_workspace = workspaces[i];
        }
    return NULL;
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

struct err *flow_next_timer(struct db_tx *tx, int64_t *at)
{
    struct db_rows rows;
    *at = 0;
    TRY(db_query(tx, &rows, "SELECT wake_at FROM flow_run WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1"));
    (void)db_next(&rows, at);
    return db_done(&rows);
}

struct err *flow_fire_timers(struct db_tx *tx, struct flow *flow, int64_t now, bool *more)
{
    int64_t first;
    *more = false;
    TRY(flow_next_timer(tx, &first));
    atomic_store(&flow->timer_lag, first && first < now ? now - first : 0);
    if (!first || first > now) return NULL;
    TRY(db_exec(tx,
                "UPDATE flow_run SET queued = 1, ready = wake_at - advantage, wake_at = NULL, gather_key = NULL "
                "WHERE id IN (SELECT id FROM flow_run WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2)",
                now, TIMERS_AT_ONCE));
    *more = db_changes(tx) == TIMERS_AT_ONCE;
    return NULL;
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

static struct err *insert_worker(struct db_tx *tx, struct flow *flow, int64_t now)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "INSERT INTO flow_worker (boot, lease_until, started_at) VALUES ($1, $2, $3) RETURNING id",
                 str_printf(tx->arena, STR_FMT "-%lld", STR_ARG(flow->boot), (long long)time_monotonic_us()),
                 now + LEASE_MS, now));
    (void)db_next(&rows, &flow->worker);
    return db_done(&rows);
}

struct err *flow_heartbeat(struct db_tx *tx, struct flow *flow)
{
    int64_t now = time_now();
    TRY(db_exec(tx, "UPDATE flow_worker SET lease_until = $2 WHERE id = $1", flow->worker, now + LEASE_MS));
    /* Gone: the lease had ended and others have taken over. What is claimed from now on has a lease again. */
    return db_changes(tx) == 0 ? insert_worker(tx, flow, now) : NULL;
}

/* What was claimed and not begun has not crashed, but only runs that were orphaned before say whether they had begun.
 */
struct orphan {
    int64_t    id, crashes;
    bool       begun;
    struct str function, cancel_reason;
};

static struct err *note_crash(struct db_tx *tx, const struct orphan *orphan, int64_t owner)
{
    return db_exec(tx, "INSERT INTO flow_attempt (run_id, step, number, at, kind, error, owner) "
                       "SELECT $1, '', coalesce(max(number), 0) + 1, $2, 'crash', 'the worker died', $3 "
                       "FROM flow_attempt WHERE run_id = $1 AND step = ''", orphan->id, time_now(), owner);
}

static struct err *adopt(struct db_tx *tx, struct flow *flow, const struct orphan *orphan, int64_t owner)
{
    struct function *function = flow_function_named(flow, orphan->function);
    bool keeps_slot = function && function->table->concurrency[0].per_run;
    bool counts = orphan->begun || orphan->crashes == 0;
    if (counts) TRY(note_crash(tx, orphan, owner));
    atomic_fetch_add(&flow->takeovers, 1);
    if (orphan->cancel_reason.s || orphan->crashes + counts >= CRASHES_ALLOWED) {
        bool cancelled = orphan->cancel_reason.s != NULL;
        return flow_end_run(tx, flow, &(struct ending){.run = orphan->id, .epoch = -1, .error_code = ERR_INTERNAL,
                            .status = cancelled ? "cancelled" : "failed",
                            .error = cancelled ? orphan->cancel_reason : STR("worker_crashed")}, NULL);
    }
    return db_exec(tx, "UPDATE flow_run SET status = 'queued', queued = 1, owner = NULL, epoch = epoch + 1, "
                       "crashes = crashes + $4, holds = CASE WHEN $3 = 1 THEN holds ELSE 0 END, ready = $2 - advantage "
                       "WHERE id = $1", orphan->id, time_now(), keeps_slot, counts);
}

static struct err *take_over_worker(struct db_tx *tx, struct flow *flow, int64_t worker)
{
    VEC(struct orphan) orphans = {0};
    struct orphan  one;
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT id, crashes, begun, function, cancel_reason FROM flow_run WHERE owner = $1",
                 worker));
    while (db_next(&rows, &one.id, &one.crashes, &one.begun, &one.function, &one.cancel_reason))
        *VEC_PUSH(tx->arena, &orphans) = one;
    TRY(db_done(&rows));
    for (size_t i = 0; i < orphans.n; i++) TRY(adopt(tx, flow, &orphans.at[i], worker));
    if (orphans.n) log_info("flow", "%zu runs of a process that ended are queued again", orphans.n);
    return db_exec(tx, "DELETE FROM flow_worker WHERE id = $1", worker);
}

struct err *flow_take_over(struct db_tx *tx, struct flow *flow, bool all_others)
{
    VEC(int64_t)   dead = {0};
    int64_t        worker;
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT id FROM flow_worker WHERE id <> $1 AND (lease_until < $2 OR $3 = 1) ORDER BY id",
                 flow->worker, time_now(), all_others));
    while (db_next(&rows, &worker)) *VEC_PUSH(tx->arena, &dead) = worker;
    TRY(db_done(&rows));
    for (size_t i = 0; i < dead.n; i++) TRY(take_over_worker(tx, flow, dead.at[i]));
    return NULL;
}
