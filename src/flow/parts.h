/* parts.h - inside of flow/: functions as registered, the engine, runs while they execute.
 *
 * DESIGN. What is true is in the database; memory holds only what a crash may forget. One engine thread turns: it
 * records what workers have finished, fires timers, dispatches what is pending and claims runs, all in one transaction
 * (engine.c), so the fsync of many results is one. Workers execute handlers and never wait for a record, except before
 * a step that follows recorded ones: its effects must not happen before those results are durable.
 *
 * A claim sets owner and raises epoch; whatever is written for the run later names both, so a process that lost its
 * lease changes nothing. The lease is one row for each process (flow_worker), its heartbeat one write for all its runs.
 */
#pragma once
#include "flow/flow.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>

static inline struct db_value null_if_zero(int64_t value)
{
    return value ? db_of_int(value) : (struct db_value){.kind = DB_KIND_NULL};
}

enum {
    LEASE_MS = 30000,
    HEARTBEAT_MS = 10000,
    CRASHES_ALLOWED = 5,
    CLAIMED_AT_MOST = 1024, /* runs, ahead of the threads that execute them */
    KEY_BYTES = 200,
    IDEMPOTENCY_MS = 24 * 3600 * 1000,
    CANCEL_ONS = 4,
    FAIR_SLOTS = 1024,
};

enum gather { GATHER_NOTHING, GATHER_DEBOUNCE, GATHER_BATCH, GATHER_COALESCE };

struct function {
    const char *name; /* also "x#failure", "x#cancel" */
    const struct flow_function *table;
    void       *context;
    struct err *(*run)(struct flow_run *run);
    bool        follow_up; /* on_failure or on_cancel of another */
    const struct flow_expression *when, *title, *source, *idempotency, *priority, *lane[2], *gather_key;
    const struct flow_expression *cancel_when[CANCEL_ONS];
    enum gather gather;
    int64_t     next_tick; /* cron; the engine thread's own */
    /* guarded by flow->lock */
    size_t      outstanding; /* claimed and not recorded */
    double      mean_us;     /* how long an entry takes; 0: not known yet */
};

/* Who cares about an event name. */
struct interest {
    VEC(struct function *) functions;
    bool awaited, cancels;
};

struct watcher {
    void (*fn)(void *arg, const struct flow_change *change);
    void *arg;
};

struct flow {
    struct arena      *arena; /* registry; grows only before flow_start */
    struct db         *db;
    struct flow_config config;
    VEC(struct function *) functions;
    struct map        *by_name;   /* position in functions + 1 */
    struct map        *interests; /* position in interest_list + 1 */
    VEC(struct interest *) interest_list;
    VEC(struct wildcard { struct str prefix; struct function *function; }) wildcards;
    VEC(struct watcher) watchers;
    VEC(struct job_follower { flow_job_fn fn; void *arg; }) job_followers;

    int64_t     worker; /* flow_worker.id of this process */
    struct str  boot;
    int64_t     heartbeat_at;
    pthread_t   thread;
    pthread_t  *worker_threads;
    bool        started, joined;

    pthread_mutex_t  lock; /* guards the rest */
    pthread_cond_t   turn_wanted, work_wanted, turned;
    struct flow_run_inside *ready, **ready_end;       /* claimed, for workers */
    struct flow_run_inside *finished, **finished_end; /* for the record */
    struct flow_run_inside *claimed;                  /* all whose outcome is not recorded */
    size_t           executing, outstanding;          /* in handlers; in `claimed` */
    bool             wanted, stopping, ended, workers_end;
    bool             busy; /* the last turn found something to do */
    bool             failing; /* the last turn failed */
    bool             cancels; /* an executing run was cancelled */
    uint64_t         turns_begun, turns_done;
    struct parallel *parallel; /* open groups that idle workers help with */
    pthread_cond_t   parallel_done;

    struct { int64_t workspace, queued, counted_at; } backlog[FAIR_SLOTS]; /* guarded by lock: a cache */
    struct {
        int64_t workspace;
        struct str function, lane;
        char text[2 * KEY_BYTES + 64];
    } served[FAIR_SLOTS]; /* the engine thread's */
    int64_t          last_workspace;
    _Atomic uint64_t accepted, duplicates, ignored, completed, failed, cancelled, retries, takeovers, steps;
    _Atomic int64_t  timer_lag;
};

/* ---- a run while it executes ------------------------------------------------------------------------------------- */

enum step_status { STEP_NEW, STEP_WAITING, STEP_RETRYING, STEP_COMPLETED, STEP_FAILED };

struct step {
    struct str       key;
    const char      *op;
    enum step_status status;
    int64_t          position;
    struct str       result, error, notes;
    enum err_code    error_code;
    struct err      *raised;  /* the error as given to the handler */
    int64_t          attempts, limited_ms, due_at, event_seq, started_at, ended_at;
    const char      *attempt_kind; /* of the attempt to record; NULL: none */
    bool             dirty;
    /* what is to be done with the record */
    const struct flow_message *messages; /* send */
    size_t           message_count;
    struct flow_wait wait; /* arm */
    const char      *invoke;
    struct str       invoke_data;
};

enum outcome {
    OUTCOME_NONE, OUTCOME_COMPLETED, OUTCOME_FAILED, OUTCOME_SUSPENDED, OUTCOME_RETRY, OUTCOME_RELEASED,
    OUTCOME_CONTINUED, OUTCOME_RECORDED /* in the handler's transaction */, OUTCOME_LOST,
};

enum verdict { VERDICT_BY_CODE, VERDICT_RETRY_AT, VERDICT_LIMITED, VERDICT_FAIL };

struct flow_run_inside {
    struct flow_run  run;
    struct flow_run_inside *next;       /* ready or finished list */
    struct flow_run_inside *claimed_next, **claimed_at;
    struct flow     *flow;
    struct function *function;
    int64_t          epoch, advantage, ready, finish_at, created_at, started_at, wait_after, crashes;
    int64_t          event_seq, parent_run, cause;
    struct str       parent_step, source, run_xid, title, caused_by, cancel_reason;
    bool             cancel_known, first_entry, armed;
    const json_value *data;
    VEC(struct step *) steps;
    struct map      *by_key;   /* position in steps + 1 */
    struct map      *uses;     /* how often a step id was used in this entry */
    int64_t          recorded_bytes;
    size_t           dirty;    /* steps to be recorded */

    bool             suspended, inside_step, wake_now;
    struct step     *recheck;  /* still waiting when entered: may have been decided since */
    struct flow_run_inside *whole; /* of an item of flow_parallel: the run it belongs to */
    int64_t          wake_at;
    struct step     *current;
    enum verdict     verdict;
    int64_t          verdict_at;
    struct err      *final_error; /* of a limit: the run cannot go on */
    _Atomic bool     stop;        /* cancelled, or the engine stops */
    _Atomic bool     committed;   /* flow_complete_in's transaction has */
    bool             completing;
    struct str       new_title, new_input, new_output, new_progress, new_state;

    enum outcome     outcome;
    struct err      *error;
    int64_t          began_us;
};

/* registry.c */
struct function *flow_function_named(struct flow *flow, struct str name);
struct interest *flow_interest(struct flow *flow, struct arena *arena, struct str name); /* NULL: nobody */
bool             flow_is_awaited(struct flow *flow, struct str name);

/* event.c */
struct accepted {
    struct flow_event event;
    const json_value *json;
    enum flow_cause   cause;
    struct str        caused_by;
    int64_t           parent_run;
    struct interest  *interest;
};
MUST_CHECK struct err *flow_dispatch(struct db_tx *tx, struct flow *flow, const struct accepted *accepted);
MUST_CHECK struct err *flow_dispatch_pending(struct db_tx *tx, struct flow *flow, int limit, bool *more);
MUST_CHECK struct err *flow_load_event(struct db_tx *tx, int64_t seq, struct flow_event *event);

MUST_CHECK struct err *flow_check_message(struct arena *arena, const struct flow_message *message);

/* dispatch.c */
struct new_run {
    struct function *function;
    int64_t          workspace, event_seq, replay_of, parent_run, due_at;
    enum flow_cause  cause;
    struct str       caused_by, event_name, data, parent_step, gather_key, input;
    int64_t          gather_until, gather_bytes;
    bool             holds_back; /* not due before due_at */
    const json_value *json; /* the event's data */
    struct flow_event event;
    struct str       idempotency_key;
};
MUST_CHECK struct err *flow_run_insert(struct db_tx *tx, struct flow *flow, const struct new_run *run, int64_t *id);
struct str flow_key_text(struct arena *arena,
                         struct flow_value value); /* fit for an index; {NULL, 0} if null or empty */
size_t     flow_event_roots(struct arena *arena, const struct flow_event *event, const json_value *data,
                            struct flow_root roots[8]);
void       flow_wake(void *flow); /* for db_wake_when_committed */

/* jobs.c */
struct str flow_xid_of(struct str public_id); /* without "job_" or "run_" */

/* match.c */
MUST_CHECK struct err *flow_match_event(struct db_tx *tx, struct flow *flow, const struct accepted *accepted);
MUST_CHECK struct err *flow_arm_wait(struct db_tx *tx, struct flow_run_inside *in, struct step *step, bool *found);
MUST_CHECK struct err *flow_arm_cancel(struct db_tx *tx, struct function *function, int64_t run, int64_t workspace,
                                       const json_value *data);

/* queue.c: what PostgreSQL does otherwise */
struct claim_order {
    size_t budget;
    struct flow_run_inside *first, **last;
    size_t count;
};
MUST_CHECK struct err *flow_claim(struct db_tx *tx, struct flow *flow, struct claim_order *order);
MUST_CHECK struct err *flow_fire_timers(struct db_tx *tx, struct flow *flow, int64_t now, bool *more);
MUST_CHECK struct err *flow_next_timer(struct db_tx *tx, int64_t *at); /* 0: none */
MUST_CHECK struct err *flow_take_over(struct db_tx *tx, struct flow *flow, bool all_others);
MUST_CHECK struct err *flow_heartbeat(struct db_tx *tx, struct flow *flow);
void flow_run_free(struct flow_run_inside *in);

/* record.c */
MUST_CHECK struct err *flow_record(struct db_tx *tx, struct flow_run_inside *in); /* the outcome */
MUST_CHECK struct err *flow_record_steps(struct db_tx *tx, struct flow_run_inside *in);
MUST_CHECK struct err *flow_flush(struct flow_run_inside *in); /* steps so far, in a transaction of its own */

/* finish.c */
struct ending {
    int64_t         run, epoch; /* epoch -1: whoever owns it */
    const char     *status;
    struct str      error, output, input, title, progress;
    enum err_code   error_code;
    struct flow_run_inside *in; /* NULL: ended from outside */
};
/* *ended (may be NULL): false if the run was not as named (lost lease, ended already). */
MUST_CHECK struct err *flow_end_run(struct db_tx *tx, struct flow *flow, const struct ending *ending, bool *ended);
MUST_CHECK struct err *flow_tell_start(struct db_tx *tx, struct flow_run_inside *in);
void flow_announce(struct db_tx *tx, struct flow *flow, struct flow_change change); /* once it is committed */
void flow_tell(struct flow *flow, const struct flow_change *change);                 /* now */
MUST_CHECK struct err *flow_cancel_run(struct db_tx *tx, struct flow *flow, int64_t run, struct str reason, bool *done);
MUST_CHECK struct err *flow_queue_waiting(struct db_tx *tx, int64_t run);

/* steps.c */
struct err *flow_suspend(struct flow_run_inside *in, int64_t wake_at);
struct step *flow_step_add(struct flow_run_inside *in, struct str key);
struct err *flow_enter(struct flow_run *run, const char *id, const char *op, struct step **step);
struct err *flow_settle_step(struct flow_run_inside *in, struct step *step, struct err *err, struct str result);
void flow_step_changed(struct flow_run_inside *in, struct step *step);
struct err *flow_step_error(struct flow_run_inside *in, struct step *step);
void flow_release(struct flow_run_inside *in); /* leave the handler without a result */
/* May what failed be tried again, and when? *limited: counts no attempt. Consumes what flow_retry_after ... said. */
bool flow_should_retry(struct flow_run_inside *in, const struct err *err, int64_t failures, int64_t limited_ms,
                       int64_t *at, bool *limited);

/* parallel.c */
bool flow_parallel_help(struct flow *flow); /* lock held, released meanwhile. True: did something */

/* worker.c */
void *flow_worker_main(void *flow);
