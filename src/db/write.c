/* write.c - write transactions, committed in groups.
 *
 * DESIGN. There is one writing connection and one fsync a commit, and an fsync costs more than the statements of most
 * transactions. So whoever wants to write appends a request to a queue. If nobody leads, it leads: it takes the whole
 * queue, opens one transaction, runs the closures one after another, commits once and wakes their callers. Those who
 * came meanwhile are the next group; the oldest of them leads it. Nobody leads for others longer than one group. Every
 * request has a semaphore of its own, so nobody who is woken waits for the lock. Who does not wait at all (db_write_later)
 * cannot lead: if such a request is the oldest, a thread of ours leads, the committer.
 *
 * Guaranteed: a caller returns with success only after the commit that holds its changes has been synced. A closure
 * that fails is rolled back alone, its group mates commit: few fail, so a group runs without savepoints, and only if
 * one of it has failed all of it is rolled back and run again with them. Closures run in the order of their requests,
 * each seeing what the ones before it did.
 *
 * A full disk, an I/O error or an interrupt can end the whole transaction under a closure, and a commit can fail. Then
 * nothing of the group has happened, and its closures run again, one by one, each in a transaction of its own: one
 * that is too large for what is left of the disk does not take the small ones with it. That is why a closure may run
 * more than once and must not have effects outside of the database.
 *
 * Some threads work ahead of nobody's wait: the engine that takes stored events further. Their requests stand in a queue
 * of their own and run one at a time. While the others come in a rush, MANY in WINDOW_US, they get a share of the time:
 * after one that took d the next waits for SHARE x d, or as long as it took itself when the rush has lasted for BURST_US.
 * So a burst of webhooks is stored at the speed of storing, and becomes observations a little later; a stream that does
 * not end is shared with.
 *
 * Not guaranteed: that a failure means "not stored" when the power goes in the same moment; after an fsync that
 * reported an error nobody knows. Callers that repeat must be idempotent anyway (sourceId).
 *
 * A group of one has no savepoint: an import batch of 500 observations is one closure and pays for nothing else.
 */
#include "db/sqlite.h"

#include "base/log.h"
#include "base/time.h"

#include <assert.h>
#include <stdlib.h>

enum { WINDOW_US = 100000, MANY = 50, BURST_US = 4000000, SHARE = 16, LONGEST_US = 500000, LOOK_US = 5000 };

struct write_request {
    struct write_request *next;
    db_write_fn           fn; /* NULL: db_writer_acquire, alone in its turn */
    void                 *arg;
    struct arena         *arena;
    struct err           *err;
    struct db_follow_up  *follow_ups, *wakes;
    bool                  patient;
    bool                  leads; /* when woken: lead; else it is done */
    sem_t                 wake;
    void                (*done)(void *arg, struct err *err); /* nobody waits: to be called in the place of waking */
};

struct db_follow_up {
    struct db_follow_up *older;
    void (*fn)(void *arg);
    void *arg;
};

/* A closure that called db_write would wait for itself. */
static _Thread_local bool inside_closure;
static _Thread_local bool patient;

void db_write_patiently(void)
{
    patient = true;
}

/* ---- running a group ------------------------------------------------------------------------------------------- */

static struct err *run_closure(struct db *db, struct write_request *request)
{
    struct db_connection *writer = db->writer;
    writer->tx = (struct db_tx){.arena = request->arena, .db = db, .connection = writer, .writing = true};
    writer->changes = 0;
    inside_closure = true;
    struct err *err = request->fn(&writer->tx, request->arg);
    inside_closure = false;
    db_statements_close_open(writer);
    /* The closure may have swallowed the error that ended the transaction; its changes are gone nevertheless. */
    if (!err && !db_in_transaction(writer))
        err = err_new(request->arena, ERR_UNAVAILABLE, "an error has ended the transaction");
    request->follow_ups = writer->tx.follow_ups;
    request->wakes = writer->tx.wakes;
    return err;
}

static void add_follow_up(struct db_tx *tx, struct db_follow_up **list, struct db_follow_up follow_up)
{
    assert(tx->writing);
    follow_up.older = *list;
    *list = NEW(tx->arena, struct db_follow_up);
    **list = follow_up;
}

void db_when_committed(struct db_tx *tx, void (*fn)(void *arg), void *arg)
{
    add_follow_up(tx, &tx->follow_ups, (struct db_follow_up){.fn = fn, .arg = arg});
}

void db_wake_when_committed(struct db_tx *tx, void (*fn)(void *arg), void *arg)
{
    for (struct db_follow_up *f = tx->wakes; f; f = f->older)
        if (f->fn == fn && f->arg == arg) return;
    add_follow_up(tx, &tx->wakes, (struct db_follow_up){.fn = fn, .arg = arg});
}

void db_attach(struct db *db, void *engine)
{
    db->engine = engine;
}

void *db_attached(const struct db *db)
{
    return db->engine;
}

static struct err *attempt_alone(struct db *db, struct write_request *request)
{
    TRY(db_command(db->writer, request->arena, "BEGIN IMMEDIATE"));
    TRY(run_closure(db, request));
    return db_command(db->writer, request->arena, "COMMIT");
}

static void run_alone(struct db *db, struct write_request *request)
{
    request->err = attempt_alone(db, request);
    db_end_transaction(db->writer);
}

/* Errors returned are those of the transaction; a closure's own is in its request. */
static struct err *run_under_savepoint(struct db *db, struct write_request *request)
{
    struct db_connection *writer = db->writer;
    TRY(db_command(writer, request->arena, "SAVEPOINT closure"));
    request->err = run_closure(db, request);
    if (!db_in_transaction(writer)) return request->err;
    if (request->err) TRY(db_command(writer, request->arena, "ROLLBACK TO closure"));
    return db_command(writer, request->arena, "RELEASE closure");
}

static struct err *run_without(struct db *db, struct write_request *request)
{
    request->err = run_closure(db, request);
    return request->err;
}

static struct err *attempt_together(struct db *db, struct write_request *group,
                                    struct err *(*run)(struct db *db, struct write_request *request))
{
    TRY(db_command(db->writer, group->arena, "BEGIN IMMEDIATE"));
    for (struct write_request *request = group; request; request = request->next) TRY(run(db, request));
    return db_command(db->writer, group->arena, "COMMIT");
}

static void run_group(struct db *db, struct write_request *group)
{
    struct err *err = group->next ? attempt_together(db, group, run_without) : NULL;
    db_end_transaction(db->writer);
    if (err) err = attempt_together(db, group, run_under_savepoint);
    db_end_transaction(db->writer);
    if (group->next && !err) return;
    for (struct write_request *request = group; request; request = request->next) run_alone(db, request);
}

/* ---- the queue ------------------------------------------------------------------------------------------------- */

static void append(struct write_queue *queue, struct write_request *request)
{
    *queue->last = request;
    queue->last = &request->next;
}

/* The oldest request and all behind it that may share its transaction. */
static struct write_request *take_group(struct write_queue *queue)
{
    struct write_request *group = queue->first, **end = &group->next;
    if (group->fn && !group->patient)
        while (*end && (*end)->fn) end = &(*end)->next;
    queue->first = *end;
    *end = NULL;
    if (!queue->first) queue->last = &queue->first;
    return group;
}

static void wait_for_wake(struct write_request *request)
{
    while (sem_wait(&request->wake) != 0) continue; /* a signal */
}

static void note_arrival(struct write_rush *rush, int64_t now)
{
    int64_t windows = (now - rush->since) / WINDOW_US;
    if (windows > 0) {
        rush->before = windows == 1 ? rush->count : 0;
        if (rush->before < MANY) rush->began = now;
        rush->count = 0;
        rush->since = now;
    }
    rush->count++;
}

static bool in_a_rush(const struct write_rush *rush, int64_t now)
{
    if (now - rush->since >= 2 * WINDOW_US) return false;
    return rush->count + rush->before >= MANY;
}

static void give_lead(struct write_request *request)
{
    request->leads = true;
    (void)sem_post(&request->wake);
}

/* A patient one that has waited for its share comes before the others; else it comes when nobody waits. */
static void pass_on_lead(struct db *db, int64_t now)
{
    struct write_request *next = db->waiting.first, *oldest = db->patient.first;
    db->leading = true;
    if (oldest && now >= db->patient_due) {
        give_lead(oldest);
    } else if (next && next->done) {
        (void)sem_post(&db->committer_wake);
    } else if (next) {
        give_lead(next);
    } else if (oldest && !in_a_rush(&db->rush, now)) {
        give_lead(oldest);
    } else {
        db->leading = false;
        if (oldest) (void)sem_post(&oldest->wake); /* it looks for itself when it may */
        pthread_cond_broadcast(&db->write_idle);
    }
}

/* Returns with the lead, or with the request done by another leader. */
static void wait_for_turn(struct db *db, struct write_request *request)
{
    pthread_mutex_lock(&db->write_lock);
    append(&db->waiting, request);
    note_arrival(&db->rush, time_monotonic_us());
    if (!db->leading) db->leading = request->leads = true;
    bool leads = request->leads; /* from here on it may be taken and woken at any time */
    pthread_mutex_unlock(&db->write_lock);
    if (!leads) wait_for_wake(request);
}

/* Microseconds until the patient request should look again; 0: it leads. */
static int64_t patience(const struct db *db, const struct write_request *request, int64_t now)
{
    if (request->leads) return 0;
    if (db->leading || db->patient.first != request) return LONGEST_US; /* it will be woken */
    int64_t wait = db->patient_due - now;
    if (wait <= 0 || !in_a_rush(&db->rush, now)) return 0;
    return wait < LOOK_US ? wait : LOOK_US; /* the rush may end */
}

static void sleep_until_woken(struct write_request *request, int64_t us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)sem_clockwait(&request->wake, CLOCK_MONOTONIC, &until);
}

/* Returns with the lead. */
static void wait_for_pause(struct db *db, struct write_request *request)
{
    pthread_mutex_lock(&db->write_lock);
    append(&db->patient, request);
    for (int64_t wait = 1; wait;) {
        wait = patience(db, request, time_monotonic_us());
        if (!wait) break;
        pthread_mutex_unlock(&db->write_lock);
        sleep_until_woken(request, wait);
        pthread_mutex_lock(&db->write_lock);
    }
    db->leading = request->leads = true;
    pthread_mutex_unlock(&db->write_lock);
}

static struct write_request *take_group_of(struct db *db, struct write_queue *queue)
{
    pthread_mutex_lock(&db->write_lock);
    struct write_request *group = take_group(queue);
    pthread_mutex_unlock(&db->write_lock);
    return group;
}

static void follow_up(const struct write_request *request)
{
    if (request->err) return;
    for (struct db_follow_up *f = request->follow_ups; f; f = f->older) f->fn(f->arg);
    for (struct db_follow_up *f = request->wakes; f; f = f->older) f->fn(f->arg);
}

static void finish(struct db *db, struct write_request *request)
{
    if (!request->done) {
        (void)sem_post(&request->wake);
        return;
    }
    follow_up(request);
    request->done(request->arg, request->err);
    pthread_mutex_lock(&db->write_lock);
    db->untold--;
    pthread_cond_broadcast(&db->write_idle);
    pthread_mutex_unlock(&db->write_lock);
}

/* leader NULL: the committer. */
static void lead(struct db *db, struct write_request *leader)
{
    bool patient_one = leader && leader->patient;
    struct write_request *group = take_group_of(db, patient_one ? &db->patient : &db->waiting);
    int64_t began = time_monotonic_us();
    run_group(db, group);
    db_watches_tell(db);
    pthread_mutex_lock(&db->write_lock);
    int64_t ended = time_monotonic_us(), took = ended - began;
    int64_t rest = ended - db->rush.began < BURST_US ? SHARE * took : took;
    if (patient_one) db->patient_due = ended + (rest < LONGEST_US ? rest : LONGEST_US);
    pass_on_lead(db, ended);
    pthread_mutex_unlock(&db->write_lock);
    for (struct write_request *request = group, *next; request; request = next) {
        next = request->next; /* the request is its caller's stack or arena */
        if (request != leader) finish(db, request);
    }
}

static void *commit(void *arg)
{
    struct db *db = arg;
    for (;;) {
        while (sem_wait(&db->committer_wake) != 0) continue;
        pthread_mutex_lock(&db->write_lock);
        bool ends = db->committer_stop;
        pthread_mutex_unlock(&db->write_lock);
        if (ends) return NULL;
        lead(db, NULL);
    }
}

/* write_lock is held. */
static void start_committer(struct db *db)
{
    if (db->committing) return;
    (void)sem_init(&db->committer_wake, 0, 0);
    if (pthread_create(&db->committer, NULL, commit, db) != 0) {
        log_error("db", "cannot start a thread");
        abort();
    }
    pthread_setname_np(db->committer, "commit");
    db->committing = true;
}

void db_committer_stop(struct db *db)
{
    pthread_mutex_lock(&db->write_lock);
    bool runs = db->committing;
    db->committer_stop = true;
    pthread_mutex_unlock(&db->write_lock);
    if (!runs) return;
    (void)sem_post(&db->committer_wake);
    pthread_join(db->committer, NULL);
    sem_destroy(&db->committer_wake);
}

void db_write_later(struct db *db, struct arena *arena, db_write_fn fn, void *arg, void (*done)(void *arg, struct err *err))
{
    struct write_request *request = NEW(arena, struct write_request);
    *request = (struct write_request){.fn = fn, .arg = arg, .arena = arena, .done = done};
    pthread_mutex_lock(&db->write_lock);
    start_committer(db);
    append(&db->waiting, request);
    note_arrival(&db->rush, time_monotonic_us());
    db->untold++;
    bool idle = !db->leading;
    db->leading = true;
    pthread_mutex_unlock(&db->write_lock);
    if (idle) (void)sem_post(&db->committer_wake);
}

struct err *db_write(struct db *db, struct arena *arena, db_write_fn fn, void *arg)
{
    assert(fn && !inside_closure);
    struct write_request request = {.fn = fn, .arg = arg, .arena = arena, .patient = patient};
    (void)sem_init(&request.wake, 0, 0);
    if (patient) wait_for_pause(db, &request);
    else wait_for_turn(db, &request);
    if (request.leads) lead(db, &request);
    sem_destroy(&request.wake);
    follow_up(&request);
    return request.err;
}

void db_writer_acquire(struct db *db)
{
    assert(!inside_closure);
    struct write_request request = {.fn = NULL};
    (void)sem_init(&request.wake, 0, 0);
    wait_for_turn(db, &request);
    struct write_request *alone = take_group_of(db, &db->waiting);
    assert(alone == &request);
    sem_destroy(&request.wake);
}

void db_writer_release(struct db *db)
{
    pthread_mutex_lock(&db->write_lock);
    pass_on_lead(db, time_monotonic_us());
    pthread_mutex_unlock(&db->write_lock);
}

void db_writers_wait(struct db *db)
{
    pthread_mutex_lock(&db->write_lock);
    while (db->leading || db->patient.first || db->untold) pthread_cond_wait(&db->write_idle, &db->write_lock);
    pthread_mutex_unlock(&db->write_lock);
}
