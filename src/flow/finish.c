/* finish.c - the end of a run, in one transaction with all that follows from it. */
#include "flow/parts.h"

#include "base/time.h"
#include "base/utf8.h"

enum { ERROR_CHARS = 1000 };

/* What is needed to know about a run that has ended. */
struct ended {
    int64_t           id, workspace, event_seq, event_count, parent_run, started_at, cause;
    struct str        xid, function_name, event_name, data, parent_step, title, source, caused_by;
    bool              armed;
    struct function  *function;
    struct flow_event event;
};

/* ---- telling ----------------------------------------------------------------------------------------------------- */

struct announcement {
    struct flow       *flow;
    struct flow_change change;
};

void flow_tell(struct flow *flow, const struct flow_change *change)
{
    for (size_t i = 0; flow && i < flow->watchers.n; i++) flow->watchers.at[i].fn(flow->watchers.at[i].arg, change);
}

static void announce(void *arg)
{
    struct announcement *a = arg;
    flow_tell(a->flow, &a->change);
}

void flow_announce(struct db_tx *tx, struct flow *flow, struct flow_change change)
{
    if (!flow || flow->watchers.n == 0) return;
    struct announcement *a = NEW(tx->arena, struct announcement);
    *a = (struct announcement){flow, change};
    a->change.public_id = str_dup(tx->arena, change.public_id);
    db_when_committed(tx, announce, a);
}

void flow_follow_jobs(struct flow *flow, flow_job_fn fn, void *arg)
{
    *VEC_PUSH(flow->arena, &flow->job_followers) = (struct job_follower){fn, arg};
}

static struct err *tell_followers(struct db_tx *tx, struct flow *flow, const struct ended *job, const struct ending *e)
{
    struct flow_job_turn turn = {
        .workspace = job->workspace, .function = job->function->name, .status = e->status,
        .name = job->title.s ? job->title : job->function_name, .source = job->source, .triggered_by = job->caused_by,
        .input = e->input, .output = e->output, .error = e->error, .cause = (enum flow_cause)job->cause,
        .system = job->function->table->system || job->function->follow_up,
    };
    if (!flow->job_followers.n) return NULL;
    turn.public_id = str_printf(tx->arena, "job_" STR_FMT, STR_ARG(job->xid));
    turn.duration = time_now() - job->started_at;
    for (size_t i = 0; i < flow->job_followers.n; i++)
        TRY(flow->job_followers.at[i].fn(tx, flow->job_followers.at[i].arg, &turn));
    return NULL;
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

static bool is_filtered(struct arena *arena, struct str output)
{
    const json_value *json;
    if (!output.n || json_parse(arena, output, &json)) return false;
    return str_eq(json_str(json, "status"), STR("filtered"));
}

#define END_ROW(more)                                                                                                  \
    "UPDATE flow_run SET " more "status = $3, error = $4, output = coalesce($5, output), "                             \
    "input = coalesce($6, input), title = coalesce($7, title), progress = coalesce($8, progress), queued = 0, "        \
    "wake_at = NULL, owner = NULL, epoch = epoch + 1, holds = 0, gather_key = NULL, completed_at = $9, "               \
    "updated_at = $9, steps = CASE WHEN $10 > steps THEN $10 ELSE steps END "                                          \
    "WHERE id = $1 AND (epoch = $2 OR $2 = -1) AND completed_at IS NULL"

/* A success keeps its key, by a statement that does not name it: the entry of the index stays as it is. */
static struct err *update_row(struct db_tx *tx, const struct ending *e, bool *ended)
{
    bool       success = strcmp(e->status, "completed") == 0 && !is_filtered(tx->arena, e->output);
    struct str error = e->error.s ? utf8_head(utf8_repair(tx->arena, e->error), ERROR_CHARS) : e->error;
    int64_t    steps = e->in ? (int64_t)e->in->steps.n : 0;
    TRY(db_exec(tx, success ? END_ROW("") : END_ROW("idempotency_key = NULL, "), e->run, e->epoch, e->status, error,
                e->output, e->input, e->title, e->progress, time_now(), steps));
    *ended = db_changes(tx) == 1;
    return NULL;
}

static struct err *read_ended(struct db_tx *tx, struct flow *flow, int64_t run, struct ended *ended)
{
    struct db_rows rows;
    *ended = (struct ended){.id = run};
    TRY(db_query(
        tx, &rows,
        "SELECT workspace_id, event_seq, event_count, parent_run, coalesce(started_at, created_at), xid, function, "
        "event_name, data, parent_step, title, source, caused_by, armed, cause FROM flow_run WHERE id = $1",
        run));
    (void)db_next(&rows, &ended->workspace, &ended->event_seq, &ended->event_count, &ended->parent_run,
                  &ended->started_at, &ended->xid, &ended->function_name, &ended->event_name, &ended->data,
                  &ended->parent_step, &ended->title, &ended->source, &ended->caused_by, &ended->armed, &ended->cause);
    TRY(db_done(&rows));
    ended->function = flow ? flow_function_named(flow, ended->function_name) : NULL;
    if (ended->event_seq) TRY(flow_load_event(tx, ended->event_seq, &ended->event));
    if (ended->event_name.s) ended->event.name = ended->event_name;
    if (ended->data.s) ended->event.data = ended->data;
    return NULL;
}

static void describe(const struct flow_run_inside *in, struct ended *ended)
{
    *ended = (struct ended){
        .id = in->run.id, .workspace = in->run.workspace, .event_seq = in->event_seq,
        .event_count = (int64_t)in->run.event_count, .parent_run = in->parent_run, .started_at = in->started_at,
        .cause = in->cause, .xid = in->run.public_id, .function_name = str_of(in->function->name),
        .parent_step = in->parent_step, .title = in->new_title.s ? in->new_title : in->title, .source = in->source,
        .caused_by = in->caused_by, .armed = in->armed, .function = in->function, .event = in->run.events[0],
    };
}

struct err *flow_tell_start(struct db_tx *tx, struct flow_run_inside *in)
{
    struct ended job;
    if (!in->flow->job_followers.n) return NULL;
    describe(in, &job);
    return tell_followers(tx, in->flow, &job, &(struct ending){.status = "running"});
}

/* ---- what follows ------------------------------------------------------------------------------------------------ */

static struct err *tell_parent(struct db_tx *tx, const struct ended *ended, const struct ending *e)
{
    bool completed = strcmp(e->status, "completed") == 0;
    if (!ended->parent_step.s) return NULL;
    TRY(db_exec(tx, "UPDATE flow_step SET status = $3, result = $4, error = $5, error_code = $6, ended_at = $7 "
                    "WHERE run_id = $1 AND step = $2 AND status = 'waiting'",
                ended->parent_run, ended->parent_step, completed ? "completed" : "failed", e->output, e->error,
                (int)(strcmp(e->status, "cancelled") == 0 ? ERR_CANCELLED : e->error_code), time_now()));
    return db_changes(tx) == 1 ? flow_queue_waiting(tx, ended->parent_run) : NULL;
}

static struct err *cancel_children(struct db_tx *tx, struct flow *flow, int64_t run)
{
    VEC(int64_t)   children = {0};
    int64_t        child;
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT id FROM flow_run WHERE parent_run = $1 AND parent_step IS NOT NULL AND completed_at IS NULL",
                 run));
    while (db_next(&rows, &child)) *VEC_PUSH(tx->arena, &children) = child;
    TRY(db_done(&rows));
    for (size_t i = 0; i < children.n; i++)
        TRY(flow_cancel_run(tx, flow, children.at[i], STR("the invoking run was cancelled"), NULL));
    return NULL;
}

static struct str event_json(struct arena *arena, const struct flow_event *event)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "id", event->id);
    json_put(&out, "name", event->name);
    json_put(&out, "ts", event->ts);
    json_put_raw(&out, "data", event->data.s ? event->data : STR("{}"));
    json_end(&out);
    return json_out_text(&out);
}

static struct str run_event_data(struct arena *arena, const struct ended *ended, const struct ending *e)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "functionId", ended->function_name);
    json_put(&out, "runId", str_printf(arena, "run_" STR_FMT, STR_ARG(ended->xid)));
    if (e->error.s) json_put(&out, "error", utf8_head(utf8_repair(arena, e->error), ERROR_CHARS));
    json_put_raw(&out, "event", event_json(arena, &ended->event));
    json_end(&out);
    return json_out_text(&out);
}

static struct str job_event_data(struct arena *arena, const struct ended *ended, const struct ending *e)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "jobId", str_printf(arena, "job_" STR_FMT, STR_ARG(ended->xid)));
    json_put(&out, "functionId", ended->function_name);
    json_put(&out, "name", ended->title.s ? ended->title : ended->function_name);
    json_put(&out, "status", e->status);
    if (ended->source.s) json_put(&out, "sourceId", ended->source);
    if (ended->caused_by.s) json_put(&out, "triggeredBy", ended->caused_by);
    json_put(&out, "durationMs", time_now() - ended->started_at);
    if (e->error.s) json_put(&out, "error", utf8_head(utf8_repair(arena, e->error), ERROR_CHARS));
    json_end(&out);
    return json_out_text(&out);
}

static struct err *send_one(struct db_tx *tx, struct flow *flow, const struct ended *ended, struct str name,
                            struct str (*data)(struct arena *, const struct ended *, const struct ending *),
                            const struct ending *e)
{
    if (!flow_interest(flow, tx->arena, name)) return NULL;
    struct str text = data(tx->arena, ended, e);
    /* Above an event's limit the triggering event is left out. */
    if (text.n > FLOW_MAX_EVENT_BYTES) {
        struct ended without = *ended;
        without.event.data = (struct str){0};
        text = data(tx->arena, &without, e);
    }
    return flow_send(tx, .workspace = ended->workspace, .name = name, .data = text, .parent_run = ended->id);
}

/* Ends of runs about the end of runs are not told, else one would follow the other for ever. */
static struct err *send_system_events(struct db_tx *tx, struct flow *flow, const struct ended *ended,
                                      const struct ending *e)
{
    bool about_ends = str_starts(ended->event.name, STR("function.")) || str_starts(ended->event.name, STR("job."));
    bool completed = strcmp(e->status, "completed") == 0, failed = strcmp(e->status, "failed") == 0;
    if (about_ends) return NULL;
    struct str name = completed ? STR("function.finished")
                      : failed  ? STR("function.failed")
                                : STR("function.cancelled");
    TRY(send_one(tx, flow, ended, name, run_event_data, e));
    if (ended->function->table->system || ended->function->follow_up || !(completed || failed)) return NULL;
    return send_one(tx, flow, ended, completed ? STR("job.completed") : STR("job.failed"), job_event_data, e);
}

static struct err *run_follow_up(struct db_tx *tx, struct flow *flow, const struct ended *ended, const struct ending *e)
{
    const char *suffix = strcmp(e->status, "failed") == 0 ? "#failure" : "#cancel";
    struct str  name = str_printf(tx->arena, STR_FMT "%s", STR_ARG(ended->function_name), suffix);
    struct new_run run = {.function = flow_function_named(flow, name),
                          .workspace = ended->workspace,
                          .event_name =
                              strcmp(e->status, "failed") == 0 ? STR("function.failed") : STR("function.cancelled"),
                          .parent_run = ended->id};
    if (!run.function) return NULL;
    run.data = run_event_data(tx->arena, ended, e);
    TRY(json_parse(tx->arena, run.data, &run.json));
    return flow_run_insert(tx, flow, &run, NULL);
}

/* One bad item must not sink the rest of its batch: each event gets a run of its own, once. */
static struct err *split_batch(struct db_tx *tx, struct flow *flow, const struct ended *ended)
{
    VEC(int64_t)   seqs = {0};
    int64_t        seq;
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT event_seq FROM flow_run_event WHERE run_id = $1 ORDER BY event_seq", ended->id));
    while (db_next(&rows, &seq)) *VEC_PUSH(tx->arena, &seqs) = seq;
    TRY(db_done(&rows));
    for (size_t i = 0; i < seqs.n; i++) {
        struct new_run run = {.function = ended->function,
                              .workspace = ended->workspace,
                              .event_seq = seqs.at[i],
                              .replay_of = ended->id,
                              .cause = (enum flow_cause)ended->cause,
                              .caused_by = ended->caused_by};
        TRY(flow_load_event(tx, seqs.at[i], &run.event));
        TRY(json_parse(tx->arena, run.event.data, &run.json));
        TRY(flow_run_insert(tx, flow, &run, NULL));
    }
    return NULL;
}

static struct err *follow(struct db_tx *tx, struct flow *flow, const struct ended *ended, const struct ending *e)
{
    bool completed = strcmp(e->status, "completed") == 0, failed = strcmp(e->status, "failed") == 0;
    if (ended->armed) TRY(db_exec(tx, "DELETE FROM flow_wait WHERE run_id = $1", ended->id));
    TRY(tell_parent(tx, ended, e));
    if (!completed && !failed) TRY(cancel_children(tx, flow, ended->id));
    if (!flow || !ended->function) return NULL;
    flow_announce(tx, flow,
                  (struct flow_change){.workspace = ended->workspace,
                                       .public_id = ended->xid,
                                       .system = ended->function->table->system,
                                       .status = e->status});
    TRY(tell_followers(tx, flow, ended, e));
    if (failed && ended->event_count > 1 && ended->function->gather == GATHER_BATCH)
        return split_batch(tx, flow, ended);
    if (!completed) TRY(run_follow_up(tx, flow, ended, e));
    return send_system_events(tx, flow, ended, e);
}

static void count_end(struct flow *flow, const char *status)
{
    _Atomic uint64_t *number = strcmp(status, "completed") == 0 ? &flow->completed
                             : strcmp(status, "failed") == 0    ? &flow->failed : &flow->cancelled;
    atomic_fetch_add_explicit(number, 1, memory_order_relaxed);
}

struct err *flow_end_run(struct db_tx *tx, struct flow *flow, const struct ending *ending, bool *was_ended)
{
    struct ended ended;
    bool         changed;
    TRY(update_row(tx, ending, &changed));
    if (was_ended) *was_ended = changed;
    if (!changed) return NULL;
    if (ending->in)
        describe(ending->in, &ended);
    else
        TRY(read_ended(tx, flow, ending->run, &ended));
    if (flow) count_end(flow, ending->status);
    if (flow && !ending->in) db_wake_when_committed(tx, flow_wake, flow);
    return follow(tx, flow, &ended, ending);
}

static void look_for_cancelled(void *arg)
{
    struct flow *flow = arg;
    pthread_mutex_lock(&flow->lock);
    flow->cancels = true;
    pthread_mutex_unlock(&flow->lock);
    flow_wake(flow);
}

struct err *flow_cancel_run(struct db_tx *tx, struct flow *flow, int64_t run, struct str reason, bool *done)
{
    struct db_rows rows;
    int64_t        owner = 0, completed_at = 0;
    TRY(db_query(tx, &rows, "SELECT coalesce(owner, 0), coalesce(completed_at, 0) FROM flow_run WHERE id = $1", run));
    bool found = db_next(&rows, &owner, &completed_at);
    TRY(db_done(&rows));
    bool live = found && !completed_at;
    if (done) *done = live;
    if (!live) return NULL;
    if (flow && owner) db_wake_when_committed(tx, look_for_cancelled, flow);
    if (owner) return db_exec(tx, "UPDATE flow_run SET cancel_reason = $2 WHERE id = $1", run, reason);
    return flow_end_run(tx, flow, &(struct ending){.run = run, .epoch = -1, .status = "cancelled", .error = reason},
                        NULL);
}
