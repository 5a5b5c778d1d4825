/* engine.c - starting, turning, stopping. What a turn is and why: parts.h. */
#include "flow/parts.h"

#include "base/id.h"
#include "base/log.h"
#include "base/time.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PENDING_AT_ONCE = 500, POLL_MS = 1000, FAILED_TURN_MS = 200, GRACE_MS = 500 };

/* ---- a turn ------------------------------------------------------------------------------------------------------ */

struct turn {
    struct flow            *flow;
    struct flow_run_inside *finished; /* to be recorded */
    struct claim_order      claimed;
    size_t                  budget;
    int64_t                 next_timer;
    bool                    more;     /* another turn should follow at once */
    bool                    did_something, look_for_cancelled;
    VEC(struct cancelled { int64_t run; struct str reason; }) cancelled;
};

static void free_claimed(struct turn *turn)
{
    for (struct flow_run_inside *in = turn->claimed.first, *next; in; in = next) {
        next = in->next;
        flow_run_free(in);
    }
    turn->claimed = (struct claim_order){.budget = turn->budget};
    turn->claimed.last = &turn->claimed.first;
}

static struct err *keep_lease(struct db_tx *tx, struct flow *flow)
{
    if (time_now() < flow->heartbeat_at) return NULL;
    TRY(flow_heartbeat(tx, flow));
    TRY(flow_take_over(tx, flow, false));
    flow->heartbeat_at = time_now() + HEARTBEAT_MS;
    return NULL;
}

static struct err *start_scheduled(struct db_tx *tx, struct flow *flow, struct function *function, int64_t tick)
{
    struct new_run run = {.function = function, .cause = FLOW_SCHEDULED, .event_name = STR("flow.cron"),
                          .data = str_printf(tx->arena, "{\"tick\":%lld}", (long long)tick)};
    TRY(json_parse(tx->arena, run.data, &run.json));
    return flow_run_insert(tx, flow, &run, NULL);
}

/* Whoever moves last_tick forward starts the run: no tick twice, and after a downtime the last one. */
static struct err *run_crons(struct db_tx *tx, struct flow *flow, int64_t now, bool *fired)
{
    for (size_t i = 0; i < flow->functions.n; i++) {
        struct function *function = flow->functions.at[i];
        int64_t          last, next;
        if (!function->table->cron || now < function->next_tick) continue;
        TRY(flow_cron_times(tx->arena, str_of(function->table->cron), now, &last, &next));
        TRY(db_exec(tx, "UPDATE flow_cron SET last_tick = $2 WHERE function = $1 AND last_tick < $2", function->name,
                    last));
        if (db_changes(tx) == 1) {
            TRY(start_scheduled(tx, flow, function, last));
            *fired = true;
        }
        function->next_tick = next;
    }
    return NULL;
}

static struct err *read_cancelled(struct db_tx *tx, struct turn *turn)
{
    struct db_rows   rows;
    struct cancelled one;
    if (!turn->look_for_cancelled) return NULL;
    TRY(db_query(tx, &rows, "SELECT id, cancel_reason FROM flow_run WHERE owner = $1 AND cancel_reason IS NOT NULL",
                 turn->flow->worker));
    while (db_next(&rows, &one.run, &one.reason)) *VEC_PUSH(tx->arena, &turn->cancelled) = one;
    return db_done(&rows);
}

static struct err *turn_in(struct db_tx *tx, void *arg)
{
    struct turn *turn = arg;
    struct flow *flow = turn->flow;
    bool         timers = false, pending = false, fired = false;
    int64_t      now = time_now();
    free_claimed(turn);
    memset(&turn->cancelled, 0, sizeof turn->cancelled);
    TRY(keep_lease(tx, flow));
    for (struct flow_run_inside *in = turn->finished; in; in = in->next) TRY(flow_record(tx, in));
    TRY(run_crons(tx, flow, now, &fired));
    TRY(flow_dispatch_pending(tx, flow, PENDING_AT_ONCE, &pending));
    TRY(flow_fire_timers(tx, flow, now, &timers));
    TRY(flow_claim(tx, flow, &turn->claimed));
    TRY(flow_next_timer(tx, &turn->next_timer));
    TRY(read_cancelled(tx, turn));
    turn->more = timers || pending;
    turn->did_something = turn->more || fired || turn->claimed.count || turn->finished;
    return NULL;
}

/* ---- what cannot be recorded ------------------------------------------------------------------------------------- */

static struct err *record_in(struct db_tx *tx, void *in)
{
    return flow_record(tx, in);
}

/* A turn has failed: find out whose fault it is. False: the storage's, the outcome must wait. */
static bool record_alone(struct flow *flow, struct flow_run_inside *in)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct err   *err = db_write(flow->db, arena, record_in, in);
    if (!err) return true;
    if (err->code == ERR_UNAVAILABLE) return false;
    log_error("flow", "the outcome of a run of %s cannot be recorded: " STR_FMT, in->function->name,
              STR_ARG(err_text(arena, err)));
    in->outcome = OUTCOME_FAILED;
    in->error = err_new(in->run.arena, err->code, "the outcome cannot be recorded: " STR_FMT, STR_ARG(err->message));
    in->new_output = in->new_input = in->new_title = in->new_progress = (struct str){0};
    in->dirty = 0;
    for (size_t i = 0; i < in->steps.n; i++) in->steps.at[i]->dirty = false;
    err = db_write(flow->db, arena, record_in, in);
    return !err || err->code != ERR_UNAVAILABLE;
}

static void record_one_by_one(struct turn *turn)
{
    for (struct flow_run_inside *in = turn->finished; in; in = in->next)
        if (record_alone(turn->flow, in)) in->outcome = OUTCOME_RECORDED;
}

/* ---- memory after the commit ------------------------------------------------------------------------------------- */

static void link_claimed(struct flow *flow, struct flow_run_inside *in)
{
    in->claimed_next = flow->claimed;
    in->claimed_at = &flow->claimed;
    if (flow->claimed) flow->claimed->claimed_at = &in->claimed_next;
    flow->claimed = in;
    flow->outstanding++;
    in->function->outstanding++;
}

static void unlink_claimed(struct flow *flow, struct flow_run_inside *in)
{
    *in->claimed_at = in->claimed_next;
    if (in->claimed_next) in->claimed_next->claimed_at = in->claimed_at;
    flow->outstanding--;
    in->function->outstanding--;
}

static void hand_to_workers(struct flow *flow, struct turn *turn)
{
    for (struct flow_run_inside *in = turn->claimed.first, *next; in; in = next) {
        next = in->next;
        in->next = NULL;
        link_claimed(flow, in);
        *flow->ready_end = in;
        flow->ready_end = &in->next;
    }
    if (turn->claimed.count > 1)
        pthread_cond_broadcast(&flow->work_wanted);
    else if (turn->claimed.count)
        pthread_cond_signal(&flow->work_wanted);
    turn->claimed.first = NULL;
}

static void mark_cancelled(struct flow *flow, const struct turn *turn)
{
    for (size_t i = 0; i < turn->cancelled.n; i++)
        for (struct flow_run_inside *in = flow->claimed; in; in = in->claimed_next)
            if (in->run.id == turn->cancelled.at[i].run) atomic_store(&in->stop, true);
}

static void forget_finished(struct flow *flow, struct turn *turn)
{
    for (struct flow_run_inside *in = turn->finished, *next; in; in = next) {
        next = in->next;
        pthread_mutex_unlock(&flow->lock);
        flow_run_free(in);
        pthread_mutex_lock(&flow->lock);
    }
}

/* Outcomes that the storage refused wait for the next turn. */
static void keep_unrecorded(struct flow *flow, struct turn *turn)
{
    struct flow_run_inside *kept = NULL, **end = &kept, **at = &turn->finished;
    while (*at) {
        struct flow_run_inside *in = *at;
        if (in->outcome == OUTCOME_RECORDED) {
            at = &in->next;
            continue;
        }
        *at = in->next;
        *end = in;
        end = &in->next;
        in->next = NULL;
        link_claimed(flow, in);
    }
    if (!kept) return;
    *end = flow->finished;
    if (!flow->finished) flow->finished_end = end;
    flow->finished = kept;
}

/* lock is held. Returns the time until the next turn, 0: at once. */
static int64_t turn(struct flow *flow, bool claims)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct turn   turn = {.flow = flow, .finished = flow->finished};
    flow->finished = NULL;
    flow->finished_end = &flow->finished;
    for (struct flow_run_inside *in = turn.finished; in; in = in->next) unlink_claimed(flow, in);
    if (claims && flow->outstanding <= CLAIMED_AT_MOST / 2) turn.budget = CLAIMED_AT_MOST - flow->outstanding;
    /* At the heartbeat for what other processes have cancelled. */
    turn.look_for_cancelled = flow->cancels || time_now() >= flow->heartbeat_at;
    flow->wanted = flow->cancels = false;
    flow->turns_begun++;
    pthread_mutex_unlock(&flow->lock);
    struct err *err = db_write(flow->db, arena, turn_in, &turn);
    if (err) {
        log_error("flow", "a turn failed: " STR_FMT, STR_ARG(err_text(arena, err)));
        turn.budget = 0;
        free_claimed(&turn);
        record_one_by_one(&turn);
    }
    pthread_mutex_lock(&flow->lock);
    if (err) keep_unrecorded(flow, &turn);
    forget_finished(flow, &turn);
    hand_to_workers(flow, &turn);
    mark_cancelled(flow, &turn);
    flow->busy = turn.did_something || err;
    flow->failing = err != NULL;
    flow->turns_done++;
    pthread_cond_broadcast(&flow->turned);
    if (err) return FAILED_TURN_MS;
    if (turn.more) return 0;
    int64_t wait = flow->heartbeat_at - time_now(), timer = turn.next_timer - time_now();
    if (turn.next_timer && timer < wait) wait = timer;
    return wait < 0 ? 0 : wait;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* After a failed turn the whole time: what could not be recorded would call for the next one at once. */
static void wait_for_turn(struct flow *flow, int64_t ms, bool failed)
{
    struct timespec until;
    for (size_t i = 0; i < flow->functions.n; i++) {
        struct function *function = flow->functions.at[i];
        int64_t          tick = function->next_tick - time_now();
        if (function->table->cron && tick < ms) ms = tick;
    }
    if (flow->config.shared && ms > POLL_MS) ms = POLL_MS;
    if (ms <= 0) return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    while (!flow->stopping && (failed || (!flow->wanted && !flow->finished)))
        if (pthread_cond_timedwait(&flow->turn_wanted, &flow->lock, &until) == ETIMEDOUT) return;
}

static void *engine_main(void *arg)
{
    struct flow *flow = arg;
    db_write_patiently();
    pthread_mutex_lock(&flow->lock);
    while (!flow->stopping) {
        int64_t wait = turn(flow, true);
        wait_for_turn(flow, wait, flow->failing);
    }
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

/* ---- starting and stopping --------------------------------------------------------------------------------------- */

struct flow *flow_create(struct db *db, struct flow_config config)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (!flow) abort();
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!config.workers) config.workers = processors > 0 ? 2 * (size_t)processors : 2;
    if (!config.shutdown_grace) config.shutdown_grace = GRACE_MS;
    flow->arena = arena_create();
    flow->db = db;
    flow->config = config;
    flow->by_name = map_create(flow->arena);
    flow->interests = map_create(flow->arena);
    flow->ready_end = &flow->ready;
    flow->finished_end = &flow->finished;
    flow->boot = id_new(flow->arena, "");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&flow->lock, NULL);
    pthread_cond_init(&flow->turn_wanted, &monotonic);
    pthread_cond_init(&flow->work_wanted, NULL);
    pthread_cond_init(&flow->turned, &monotonic);
    pthread_cond_init(&flow->parallel_done, NULL);
    pthread_condattr_destroy(&monotonic);
    return flow;
}

void flow_watch(struct flow *flow, void (*fn)(void *arg, const struct flow_change *change), void *arg)
{
    *VEC_PUSH(flow->arena, &flow->watchers) = (struct watcher){fn, arg};
}

/* Job lists are also asked for by commands that have no engine. */
static struct err *write_function(struct db_tx *tx, const struct function *function)
{
    return db_exec(tx, "INSERT INTO flow_function (name, system) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET "
                       "system = excluded.system",
                   function->name, function->table->system);
}

static struct err *start_in(struct db_tx *tx, void *arg)
{
    struct flow *flow = arg;
    flow->worker = 0;
    TRY(flow_heartbeat(tx, flow));
    TRY(flow_take_over(tx, flow, !flow->config.shared));
    for (size_t i = 0; i < flow->functions.n; i++) {
        struct function *function = flow->functions.at[i];
        int64_t          last, next;
        TRY(write_function(tx, function));
        if (!function->table->cron) continue;
        TRY(flow_cron_times(tx->arena, str_of(function->table->cron), time_now(), &last, &next));
        TRY(db_exec(tx, "INSERT INTO flow_cron (function, last_tick) VALUES ($1, $2) ON CONFLICT (function) DO NOTHING",
                    function->name, last));
        function->next_tick = 0; /* look whether one was missed */
        if (function->table->at_start) TRY(start_scheduled(tx, flow, function, time_now()));
    }
    return NULL;
}

static pthread_t start_thread(void *(*fn)(void *), struct flow *flow, const char *name)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, fn, flow) != 0) {
        log_error("flow", "cannot start a thread");
        abort();
    }
    pthread_setname_np(thread, name);
    return thread;
}

struct err *flow_start(struct flow *flow, struct arena *arena)
{
    /* Before the transaction: what was sent to no engine is then committed before the first turn, which looks for it. */
    db_attach(flow->db, flow);
    struct err *failed = db_write(flow->db, arena, start_in, flow);
    if (failed) {
        db_attach(flow->db, NULL);
        return failed;
    }
    flow->heartbeat_at = time_now() + HEARTBEAT_MS;
    flow->worker_threads = NEW_ARRAY(flow->arena, pthread_t, flow->config.workers);
    flow->started = true;
    for (size_t i = 0; i < flow->config.workers; i++)
        flow->worker_threads[i] = start_thread(flow_worker_main, flow, "flow-worker");
    flow->thread = start_thread(engine_main, flow, "flow");
    return NULL;
}

static struct err *release_in(struct db_tx *tx, void *arg)
{
    struct flow *flow = arg;
    TRY(db_exec(tx,
                "UPDATE flow_run SET status = 'queued', queued = 1, owner = NULL, epoch = epoch + 1 WHERE owner = $1",
                flow->worker));
    return db_exec(tx, "DELETE FROM flow_worker WHERE id = $1", flow->worker);
}

/* Nobody executes what was claimed and not begun. */
static void release_ready(struct flow *flow)
{
    while (flow->ready) {
        struct flow_run_inside *in = flow->ready;
        flow->ready = in->next;
        in->next = NULL;
        flow_release(in);
        *flow->finished_end = in;
        flow->finished_end = &in->next;
    }
    flow->ready_end = &flow->ready;
}

static void wait_for_handlers(struct flow *flow)
{
    int64_t until = time_monotonic_us() + flow->config.shutdown_grace * 1000;
    while (flow->executing && time_monotonic_us() < until) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_nsec += 10000000;
        if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&flow->turn_wanted, &flow->lock, &at);
    }
}

size_t flow_stop(struct flow *flow)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    if (!flow->started || flow->ended) return flow->executing;
    db_attach(flow->db, NULL); /* events sent from now on are dispatched by the next engine */
    pthread_mutex_lock(&flow->lock);
    flow->stopping = true;
    pthread_cond_broadcast(&flow->turn_wanted);
    pthread_mutex_unlock(&flow->lock);
    pthread_join(flow->thread, NULL);
    pthread_mutex_lock(&flow->lock);
    release_ready(flow);
    for (struct flow_run_inside *in = flow->claimed; in; in = in->claimed_next) atomic_store(&in->stop, true);
    wait_for_handlers(flow);
    turn(flow, false);
    flow->ended = flow->workers_end = true;
    size_t executing = flow->executing;
    pthread_cond_broadcast(&flow->work_wanted);
    pthread_cond_broadcast(&flow->turned);
    pthread_mutex_unlock(&flow->lock);
    struct err *err = db_write(flow->db, arena, release_in, flow);
    if (err) log_warn("flow", "leases are left to the next start: " STR_FMT, STR_ARG(err->message));
    return executing;
}

void flow_destroy(struct flow *flow)
{
    if (!flow) return;
    flow_stop(flow);
    for (size_t i = 0; flow->started && i < flow->config.workers; i++) pthread_join(flow->worker_threads[i], NULL);
    for (struct flow_run_inside *in = flow->finished, *next; in; in = next) {
        next = in->next;
        flow_run_free(in);
    }
    pthread_mutex_destroy(&flow->lock);
    pthread_cond_destroy(&flow->turn_wanted);
    pthread_cond_destroy(&flow->work_wanted);
    pthread_cond_destroy(&flow->turned);
    pthread_cond_destroy(&flow->parallel_done);
    arena_destroy(flow->arena);
    free(flow);
}

/* ---- for tests --------------------------------------------------------------------------------------------------- */

static void tick(struct flow *flow)
{
    uint64_t wanted = flow->turns_begun + 1;
    flow->wanted = true;
    pthread_cond_broadcast(&flow->turn_wanted);
    while (flow->turns_done < wanted && !flow->ended) pthread_cond_wait(&flow->turned, &flow->lock);
}

void flow_tick(struct flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    tick(flow);
    pthread_mutex_unlock(&flow->lock);
}

void flow_settle(struct flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    do {
        tick(flow);
        while ((flow->outstanding || flow->turns_begun != flow->turns_done) && !flow->ended)
            pthread_cond_wait(&flow->turned, &flow->lock);
    } while ((flow->busy || flow->outstanding) && !flow->ended);
    pthread_mutex_unlock(&flow->lock);
}

/* Of the first so many queued runs: where there are more, the first are old enough to tell. */
static int64_t oldest_due(struct flow *flow)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        ready = 0, now = time_now();
    if (db_read_begin(flow->db, arena, &tx)) return 0;
    if (db_query(tx, &rows,
                 "SELECT coalesce(min(ready), 0) FROM (SELECT ready FROM flow_run WHERE queued = 1 LIMIT 10000) AS q"))
        return 0;
    (void)db_next(&rows, &ready);
    if (db_done(&rows)) return 0;
    return ready && ready < now ? now - ready : 0;
}

struct flow_numbers flow_numbers(struct flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    size_t executing = flow->executing;
    pthread_mutex_unlock(&flow->lock);
    return (struct flow_numbers){
        .accepted = flow->accepted,
        .duplicates = flow->duplicates,
        .ignored = flow->ignored,
        .completed = flow->completed,
        .failed = flow->failed,
        .cancelled = flow->cancelled,
        .retries = flow->retries,
        .takeovers = flow->takeovers,
        .steps = flow->steps,
        .timer_lag = flow->timer_lag,
        .oldest_due = oldest_due(flow),
        .executing = executing,
    };
}
