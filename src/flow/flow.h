/* flow.h - durable workflows: events, functions made of recorded steps, timers, limits, jobs.
 *
 * An event is accepted in a transaction (flow_send, beside the sender's own writes) and becomes runs of the functions
 * that subscribe to its name. A function is plain C that may be entered again from the top: a step that has a recorded
 * result returns it without running.
 *
 *     static struct err *sync_source(struct flow_run *run)
 *     {
 *         struct sync_request req;
 *         TRY(sync_request_read(run, &req));
 *         struct str job;
 *         TRY(flow_step(run, "trigger", trigger_provider_sync, &req, &job));
 *         struct flow_event done;
 *         TRY(flow_wait(run, "completed", &done, .event = "github.sync.completed",
 *                       .match = "jobId", .equals = job, .timeout = HOURS(6)));
 *         return flow_step(run, "record", record_outcome, &done, NULL);
 *     }
 *
 *     const struct flow_function source_sync = {
 *         .name = "sync.orchestrator", .on = "sync.requested", .run = sync_source, .retries = 3,
 *         .waits = {"github.sync.completed"},
 *         .concurrency = {{ .limit = 1, .key = "sourceId", .per_run = true }}, .finish_within = HOURS(6),
 *     };
 *
 * Rules of a handler: between steps it is deterministic (ids, clock and chance come from flow_now and flow_new_id); it
 * returns what a flow_ call returned (TRY); steps do not nest. While a run waits, every flow_ call of it returns one
 * and the same "suspended" error, so a handler that catches errors cannot swallow it.
 *
 * Guaranteed: an accepted event has exactly one outcome at every function; a step executes at least once, its recorded
 * result, its local writes and its sent events take effect exactly once. A function whose whole effect is one database
 * transaction calls flow_complete_in there: exactly once, and no write more than that.
 */
#pragma once
#include "db/db.h"
#include "json/json.h"

struct flow;
struct flow_run_inside;

/* ---- events ------------------------------------------------------------------------------------------------------ */

enum flow_cause { FLOW_AUTOMATIC, FLOW_MANUAL, FLOW_SCHEDULED, FLOW_WEBHOOK }; /* becomes the job's trigger */

enum {
    FLOW_MAX_SEND = 1000,            /* events */
    FLOW_MAX_SEND_BYTES = 10 << 20,
    FLOW_MAX_EVENT_BYTES = 1 << 20,
    FLOW_MAX_RESULT_BYTES = 4 << 20, /* of a step */
    FLOW_MAX_RUN_BYTES = 32 << 20,   /* of all steps of a run */
    FLOW_MAX_STEPS = 10000,
    FLOW_MAX_PARALLEL = 1000,
    FLOW_MAX_BACKLOG = 100000,       /* queued runs of a workspace, above: 429 to API senders, backfills pause */
};

struct flow_message {
    int64_t         workspace; /* row id; 0: the instance */
    struct str      name;
    struct str      data;      /* a JSON object; empty: {} */
    struct str      id;        /* the sender's idempotency key, <= 191 bytes; empty: generated */
    int64_t         ts;        /* 0: now; in the future: the runs are due then */
    enum flow_cause cause;
    struct str      caused_by; /* user id when manual */
    int64_t         parent_run;
    bool            later;     /* dispatch in the engine's next turn, and do not look at data before: the sender's
                                * transaction stays short */
};

enum flow_accepted { FLOW_ACCEPTED, FLOW_DUPLICATE, FLOW_IGNORED /* nobody wants it: not stored */ };

/* Accept events: all or none. They are dispatched in the same transaction, or soon after it (`later`), if this process
 * runs an engine, else when one starts. `results` (n of them) may be NULL. Acknowledge to others only after db_write has returned.
 * Errors: ERR_INVALID for a name, id or data that breaks the rules above, ERR_TOO_LARGE. */
MUST_CHECK struct err *flow_send_many(struct db_tx *tx, const struct flow_message *messages, size_t n,
                                      enum flow_accepted *results);
/* flow_send(tx, .workspace = ws, .name = STR("source.disconnected"), .data = json) */
#define flow_send(tx, ...) flow_send_many((tx), &(const struct flow_message){__VA_ARGS__}, 1, NULL)

/* Does any function here care about events of this name? Without an engine the next one may. */
bool flow_is_heard(const struct db *db, struct str name);

struct flow_event {
    int64_t    workspace, seq, ts, received_at;
    struct str id, name; /* name.s == NULL: none (a wait that timed out) */
    struct str data;     /* JSON object */
};

/* ---- functions --------------------------------------------------------------------------------------------------- */

struct flow_run {
    struct arena            *arena;   /* lives as long as this entry of the handler */
    struct db               *db;
    void                    *context; /* what the function was registered with */
    int64_t                  id;
    struct str               public_id; /* 21 characters: "job_" or "run_" in front */
    int64_t                  workspace;
    const struct flow_event *events; /* event_count of them: a batch has several */
    size_t                   event_count;
    int64_t                  attempt; /* 0, 1 ...: failures between steps so far */
    struct str               state;   /* of flow_continue, else {NULL, 0} */
    struct flow_run_inside  *inside;
};

/* Merge a further event's data into that of the queued run (coalesce): *merged is a JSON object's text. After an error
 * the newest data counts. */
typedef struct err *(*flow_merge_fn)(struct arena *arena, const json_value *queued, const json_value *incoming,
                                     struct str *merged);

struct flow_concurrency {
    int64_t     limit;
    const char *key;     /* expression; NULL: one limit for the function. "workspace": for each workspace */
    bool        per_run; /* counts a run from its first step to its end, waits included; else executing steps only */
};

struct flow_cancel_on {
    const char *event;
    const char *match; /* path that is equal in both events */
    const char *when;  /* or an expression on event.data and async.data */
};

/* Settings as in the table of product functions. Texts named "expression" see event.data, event.name, event.id,
 * event.ts and workspace; a bare path `sourceId` means event.data.sourceId. Times are ms. */
struct flow_function {
    const char *name; /* stable: runs in flight survive an upgrade by it */
    const char *on;   /* event names, separated by spaces; one that ends in * stands for all that begin so */
    const char *when; /* expression: other events are filtered */
    const char *cron; /* five fields, UTC, or @hourly, @daily */
    bool        at_start; /* of a cron function: also when an engine starts */

    struct err *(*run)(struct flow_run *run);
    /* Instead of run: up to `together` runs of one workspace at once. Each that is done has been through
     * flow_complete_in; those that are not, after an error or without one, are given again one at a time. */
    struct err *(*run_many)(struct flow_run **runs, size_t n);
    int64_t     together; /* default 100 */

    int         retries;      /* attempts after the first, of each step and between steps; 0..20 */
    const char *title;        /* expression: name of the job; default: name */
    const char *source;       /* expression: sourceId of the job */
    bool        system;       /* hidden from job lists by default */
    const char *idempotency;  /* expression: one run per workspace and value in 24 h; empty: no limit */
    const char *priority;     /* expression: -600..600 s ahead in the queue */
    struct flow_concurrency concurrency[2];

    struct { int64_t max, timeout; const char *key; } batch;             /* 1..100 events or 1..60 s */
    struct { int64_t period, at_most; const char *key; } debounce;       /* at_most: default 6 periods */
    struct { const char *key; flow_merge_fn merge; } coalesce;           /* merge NULL: the newest data */

    int64_t     start_within; /* queued longer: a warning */
    bool        cancel_late;  /* queued longer: cancelled */
    int64_t     finish_within; /* since the first step; then the run fails with "timeout" */
    struct flow_cancel_on cancel_on[4];
    const char *waits[8];     /* names of events that flow_wait may name */

    /* Runs of their own after a run failed for good or was cancelled; data {functionId, runId, error?, event}. */
    struct err *(*on_failure)(struct flow_run *run);
    struct err *(*on_cancel)(struct flow_run *run);
};

/* ---- the engine -------------------------------------------------------------------------------------------------- */

struct flow_config {
    size_t  workers;  /* threads for handlers; 0: twice the processors */
    bool    shared;   /* other processes work on this database too: leases of theirs are waited for at start */
    int64_t shutdown_grace; /* ms for executing steps at flow_stop; 0: 500 */
};

/* One engine for each open database; attaches itself to it. Destroy after flow_stop, before db_close. */
struct flow *flow_create(struct db *db, struct flow_config config);
void         flow_destroy(struct flow *flow); /* waits for handlers that outlived the grace */

/* Before flow_start. The table must outlive the engine. Errors: ERR_INVALID for a setting or expression that is wrong,
 * with the function's name. */
MUST_CHECK struct err *flow_register(struct flow *flow, struct arena *arena,
                                     const struct flow_function *const *functions, size_t n, void *context);
MUST_CHECK struct err *flow_start(struct flow *flow, struct arena *arena);
/* Claim nothing more, let steps finish within the grace, release the rest: no attempt is used up. Returns the number
 * of handlers that still execute (whatever they record is refused). */
size_t flow_stop(struct flow *flow);

/* For tests that moved the clock: fire what is due, and return when the engine has looked at everything once. */
void flow_tick(struct flow *flow);
/* Tick until nothing is queued, executing or due. */
void flow_settle(struct flow *flow);

/* Called after the commit that queued or ended a run, on a thread of the engine or of the sender, and at once when a
 * handler reports progress, on its thread; must be quick and call neither the engine nor the database. What it is given
 * lives until it returns. Register before flow_start. */
struct flow_change {
    int64_t     workspace;
    struct str  public_id; /* 21 characters */
    bool        system;    /* of a function that is hidden from job lists */
    const char *status;
    struct str  progress;  /* JSON; {NULL, 0}: not about progress */
};
void flow_watch(struct flow *flow, void (*fn)(void *arg, const struct flow_change *change), void *arg);

/* A job that begins or has ended, told inside the transaction in which it does: for what is written with it. */
struct flow_job_turn {
    int64_t         workspace;
    struct str      public_id;        /* "job_..." */
    const char     *function, *status; /* status: running, completed, failed, cancelled */
    struct str      name, source, triggered_by;
    struct str      input, output, error; /* of one that has ended; input: only if the function set one */
    enum flow_cause cause;
    bool            system;
    int64_t         duration;         /* ms */
};
/* Must be quick; its error undoes the transaction. Register before flow_start. */
typedef struct err *(*flow_job_fn)(struct db_tx *tx, void *arg, const struct flow_job_turn *turn);
void flow_follow_jobs(struct flow *flow, flow_job_fn fn, void *arg);
const char *flow_cause_name(enum flow_cause cause); /* "webhook": what a job calls its trigger */

struct flow_numbers {
    uint64_t accepted, duplicates, ignored, completed, failed, cancelled, retries, takeovers, steps;
    int64_t  timer_lag;  /* ms that the last turn's first timer was late */
    int64_t  oldest_due; /* ms that the oldest due run has waited; 0: none. Over 60 s: degraded */
    size_t   executing;
};
struct flow_numbers flow_numbers(struct flow *flow);

/* ---- inside a handler -------------------------------------------------------------------------------------------- */

/* The event's data, parsed once; the first event's. */
const json_value *flow_data(struct flow_run *run);

/* Execute fn unless this step has a result. *result (may be NULL) is text of fn's choice, usually JSON; recorded as it
 * is, no secrets. A failing step is tried again after 10 s, 30 s, 1 m ... (function's retries); when it has failed for
 * good, the error is returned here, now and in later entries. fn may call flow_token, flow_note and the flow_retry_
 * functions; any other flow_ call of the run is an error there. */
typedef struct err *(*flow_step_fn)(struct flow_run *run, void *arg, struct str *result);
MUST_CHECK struct err *flow_step(struct flow_run *run, const char *id, flow_step_fn fn, void *arg, struct str *result);

/* The same for a step that writes to the database only: fn's writes and the record are one transaction. */
typedef struct err *(*flow_step_in_fn)(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result);
MUST_CHECK struct err *flow_step_in(struct flow_run *run, const char *id, flow_step_in_fn fn, void *arg,
                                    struct str *result);

/* Send events, exactly once; ids are derived from the run and the step. */
MUST_CHECK struct err *flow_step_send(struct flow_run *run, const char *id, const struct flow_message *messages,
                                      size_t n);

struct flow_wait {
    const char *event;
    const char *match;   /* path in the incoming event's data ... */
    struct str  equals;  /* ... must equal this; {NULL, 0}: the same path of the triggering event */
    const char *when;    /* or an expression on event.data (triggering) and async.data (incoming) */
    int64_t     timeout; /* ms; 0: up to a year */
};
/* The first event, accepted since the run's own, that matches and was not returned by an earlier wait of the run; or
 * done->name.s == NULL after the timeout. */
MUST_CHECK struct err *flow_wait_for(struct flow_run *run, const char *id, struct flow_event *done,
                                     struct flow_wait wait);
#define flow_wait(run, id, done, ...) flow_wait_for((run), (id), (done), (struct flow_wait){__VA_ARGS__})

/* Run another function with this data (JSON object) and wait for its output, or return its error. Cancelling this run
 * cancels it. */
MUST_CHECK struct err *flow_invoke(struct flow_run *run, const char *id, const char *function, struct str data,
                                   int64_t timeout, struct str *output);

MUST_CHECK struct err *flow_sleep(struct flow_run *run, const char *id, int64_t ms);      /* up to a year */
MUST_CHECK struct err *flow_sleep_until(struct flow_run *run, const char *id, int64_t time);

/* Recorded values: the same in every entry. */
MUST_CHECK struct err *flow_now(struct flow_run *run, const char *id, int64_t *now);
MUST_CHECK struct err *flow_new_id(struct flow_run *run, const char *id, const char *prefix, struct str *value);

/* Several steps at once, on as many threads as are free, each with its own attempts and record "id/0", "id/1" ...
 * Returns when all have ended: the first error, or with `settled` none (see each item's err). */
struct flow_item {
    flow_step_fn fn;
    void        *arg;
    struct str   result; /* out */
    struct err  *err;    /* out: failed for good */
};
MUST_CHECK struct err *flow_parallel(struct flow_run *run, const char *id, struct flow_item *items, size_t n,
                                     bool settled);

/* The same job goes on as a fresh run with run->state = state: for work beyond the limits of one run. Return it. */
MUST_CHECK struct err *flow_continue(struct flow_run *run, struct str state);

/* Complete the run inside this business transaction. Call it in the closure, return NULL after db_write succeeded.
 * Refuses (ERR_CANCELLED) if the lease was lost, which must undo the closure: TRY. */
MUST_CHECK struct err *flow_complete_in(struct flow_run *run, struct db_tx *tx);

void flow_title(struct flow_run *run, struct str title);   /* of the job */
void flow_input(struct flow_run *run, struct str json);    /* of the job; default: the event's data */
void flow_output(struct flow_run *run, struct str json);   /* of the job and for the invoking run */
/* {phase, total, done, failed, skipped}; watchers hear it now, the database with the run's next record. */
void flow_progress(struct flow_run *run, struct str json);

/* In a step's function. */
struct str flow_token(struct flow_run *run);               /* "run_.../step": idempotency key for remote calls */
void       flow_note(struct flow_run *run, struct str json); /* tokens used, quota left: for the timeline */
/* What kind of error it is, else by its code: ERR_INVALID, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND and _TOO_LARGE fail
 * the step at once, all others are tried again. Each returns err. */
struct err *flow_retry_after(struct flow_run *run, struct err *err, int64_t time);  /* counts as an attempt */
struct err *flow_rate_limited(struct flow_run *run, struct err *err, int64_t reset); /* counts none, 24 h in total */
struct err *flow_fail(struct flow_run *run, struct err *err);                       /* never again */

/* True when a long step should return early (ERR_CANCELLED): the run is cancelled or the engine stops. */
bool flow_should_stop(struct flow_run *run);

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

struct flow_job {
    int64_t    id, workspace;
    struct str public_id, run_id; /* "job_...", "run_..." */
    struct str function, name, status; /* status: queued, running, completed, failed, cancelled */
    bool       waiting;
    struct str trigger, triggered_by, source;
    struct str input, output, progress, error; /* input: as set, else the event's data */
    int64_t    created_at, started_at, completed_at, updated_at, duration; /* 0: not yet */
    int64_t    attempts, replay_of, parent;
    bool       system;
};

struct flow_job_filter {
    struct str functions[16], statuses[5], triggers[4]; /* empty: all */
    struct str source, query;    /* query: part of the name */
    bool       with_system;
    int64_t    from, to;         /* created, ms; 0: open */
    int64_t    before;           /* a job's row id: older ones follow */
    int64_t    parent;
    int        limit;            /* 1..100, default 20 */
};

struct flow_step_record {
    struct str step, op, status, output, error, notes; /* output cut at 64 KiB */
    int64_t    attempts, started_at, ended_at, due_at;
};
struct flow_outcome_record { struct str function, outcome, job; };

/* Newest first. Lists live in tx->arena. */
MUST_CHECK struct err *flow_job_list(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter,
                                     struct flow_job **jobs, size_t *n);
MUST_CHECK struct err *flow_job_counts(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter,
                                       int64_t counts[5]); /* queued, running, completed, failed, cancelled */
/* The row from which on runs may have been created since `from`: their ids follow the clock. An hour early, in case the
 * clock was set back; times are still to be compared row by row. from 0: 0. */
MUST_CHECK struct err *flow_first_since(struct db_tx *tx, int64_t workspace, int64_t from, int64_t *first);
/* public_id with or without "job_" or "run_". Errors: ERR_NOT_FOUND. */
MUST_CHECK struct err *flow_job_get(struct db_tx *tx, int64_t workspace, struct str public_id, struct flow_job *job);
MUST_CHECK struct err *flow_job_steps(struct db_tx *tx, int64_t run, struct flow_step_record **steps, size_t *n);
MUST_CHECK struct err *flow_event_get(struct db_tx *tx, int64_t workspace, struct str id, struct flow_event *event);
/* Those of a name that no engine has dispatched yet, oldest first, at most 100; data only. */
MUST_CHECK struct err *flow_event_pending(struct db_tx *tx, int64_t workspace, struct str name, struct flow_event **events,
                                          size_t *n);
/* Newest first, without data. Of many workspaces' events a page may hold few or none although older ones follow: go on
 * from *next, the seq to ask for as `before`; 0: that was all. */
struct flow_event_filter { struct str name; int64_t from, to, before; size_t limit; };
MUST_CHECK struct err *flow_event_list(struct db_tx *tx, int64_t workspace, struct flow_event_filter filter,
                                       struct flow_event **events, size_t *n, int64_t *next);
MUST_CHECK struct err *flow_event_outcomes(struct db_tx *tx, int64_t seq, struct flow_outcome_record **outcomes,
                                           size_t *n);

/* A job whose work somebody else does, and tells of here. When nothing was told for `silence`, its function is executed, to
 * end it; so it is when the job is restarted. */
struct flow_outside {
    int64_t         workspace;
    struct str      public_id; /* chosen by the caller: 21 characters, with or without "job_" */
    const char     *function;  /* registered, without events of its own */
    struct str      title, source, caused_by;
    struct str      data;      /* JSON object: what the function is given, and the job's input */
    enum flow_cause cause;
    int64_t         silence;   /* ms */
};
MUST_CHECK struct err *flow_outside_begin(struct db_tx *tx, const struct flow_outside *job);
/* Of the job only workspace, public_id and silence are needed; nothing happens if it is not running. */
MUST_CHECK struct err *flow_outside_tell(struct db_tx *tx, const struct flow_outside *job, struct str progress);
/* status: completed, failed or cancelled. Nothing happens if it has ended. */
struct flow_outside_end { int64_t workspace; struct str public_id; const char *status; struct str output, error; };
MUST_CHECK struct err *flow_outside_end(struct db_tx *tx, struct flow_outside_end end);

/* Errors: ERR_CONFLICT if the job is in another state than the action needs. */
MUST_CHECK struct err *flow_cancel(struct db_tx *tx, int64_t run, struct str reason);  /* queued or running */
MUST_CHECK struct err *flow_restart(struct db_tx *tx, int64_t run, struct str by,
                                    struct flow_job *fresh); /* finished */
/* The same run again from its failed step, recorded steps kept. failed or cancelled */
MUST_CHECK struct err *flow_resume(struct db_tx *tx, int64_t run);
enum flow_action { FLOW_CANCEL, FLOW_RESTART, FLOW_RESUME };
/* All jobs of the filter that the action fits; at most filter.limit (here up to 1,000). */
MUST_CHECK struct err *flow_bulk(struct db_tx *tx, int64_t workspace, enum flow_action action,
                                 struct flow_job_filter filter, int64_t *count);

/* Queue up instead of executing; holds across restarts and processes. */
MUST_CHECK struct err *flow_pause(struct db_tx *tx, struct str function, bool paused);

/* Every function of this process's engine, in the order of their names; none without an engine. */
struct flow_function_record { const char *name; bool system, paused; int64_t queued; };
MUST_CHECK struct err *flow_function_list(struct db_tx *tx, struct flow_function_record **functions, size_t *n);

/* Queued runs of a workspace, counted at most once a second; up to FLOW_MAX_BACKLOG + 1. */
MUST_CHECK struct err *flow_backlog(struct db_tx *tx, int64_t workspace, int64_t *queued);

/* What is queued now, by function. */
struct flow_queue_record { struct str function; int64_t queued, oldest_at; };
MUST_CHECK struct err *flow_queues(struct db_tx *tx, struct flow_queue_record **queues, size_t *n);

/* Delete what is past its time, in small transactions; call daily. Nothing a live run needs. */
struct flow_kept_jobs { int64_t workspace, days; }; /* days 0: for ever */
struct flow_retention {
    int64_t event_days;  /* 0: 30; also the steps of completed runs */
    int64_t failed_days; /* 0: 90: the steps of failed runs */
    int64_t job_days;    /* 0: 365; of workspaces that have no period of their own: */
    const struct flow_kept_jobs *workspaces; /* in ascending order */
    size_t  workspace_count;
    struct flow_run *run; /* whose flow_should_stop ends it early; NULL: to its end */
};
MUST_CHECK struct err *flow_sweep(struct db *db, struct arena *arena, struct flow_retention retention,
                                  int64_t *deleted);
/* A workspace is being erased: everything of it. */
MUST_CHECK struct err *flow_forget_workspace(struct db_tx *tx, int64_t workspace);

/* ---- expressions (also of mappings and notification workflows) --------------------------------------------------- */

enum flow_kind { FLOW_NULL, FLOW_BOOL, FLOW_NUMBER, FLOW_TEXT, FLOW_JSON, FLOW_TIME };
struct flow_value {
    enum flow_kind    kind;
    bool              truth;
    double            number; /* ms for FLOW_TIME */
    struct str        text;
    const json_value *json; /* object or array */
};

/* What names mean: {"event.data", value}. The root named "" is where a path starts that no other root fits. */
struct flow_root {
    const char       *name;
    struct flow_value value;
};

struct flow_expression;
/* At most 1,000 characters. Errors: ERR_INVALID with the position. */
MUST_CHECK struct err *flow_expression_parse(struct arena *arena, struct str text,
                                             const struct flow_expression **parsed);
/* A missing path is null; so is everything beyond 10,000 steps of evaluation. */
struct flow_value flow_evaluate(struct arena *arena, const struct flow_expression *expression,
                                const struct flow_root *roots, size_t n);
struct flow_value flow_value_of(const json_value *json);
struct str        flow_value_text(struct arena *arena, struct flow_value value); /* null: {NULL, 0} */
bool              flow_value_true(struct flow_value value);

/* Last time <= now and next time > now that fit the schedule. Errors: ERR_INVALID; ERR_NOT_FOUND if none in 8 years. */
MUST_CHECK struct err *flow_cron_times(struct arena *arena, struct str schedule, int64_t now, int64_t *last,
                                       int64_t *next);
