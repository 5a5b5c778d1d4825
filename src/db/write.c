/* write.c - write transactions, committed in groups.
 *
 * DESIGN. There is one writing connection and one fsync a commit, and an fsync costs more than the statements of most
 * transactions. So whoever wants to write appends a request to a queue. If nobody leads, it leads: it takes the whole
 * queue, opens one transaction, runs the closures one after another, commits once and wakes their callers. Those who
 * came meanwhile are the next group; the oldest of them leads it. Nobody leads for others longer than one group.
 *
 * Guaranteed: a caller returns with success only after the commit that holds its changes has been synced. A closure
 * that fails is rolled back to its savepoint alone, its group mates commit. Closures run in the order of their
 * requests, each seeing what the ones before it did.
 *
 * A full disk, an I/O error or an interrupt can end the whole transaction under a closure, and a commit can fail. Then
 * nothing of the group has happened, and its closures run again, one by one, each in a transaction of its own: one
 * that is too large for what is left of the disk does not take the small ones with it. That is why a closure may run
 * more than once and must not have effects outside of the database.
 *
 * Not guaranteed: that a failure means "not stored" when the power goes in the same moment; after an fsync that
 * reported an error nobody knows. Callers that repeat must be idempotent anyway (sourceId).
 *
 * A group of one has no savepoint: an import batch of 500 observations is one closure and pays for nothing else.
 */
#include "db/sqlite.h"

#include <assert.h>

struct write_request {
    struct write_request *next;
    db_write_fn           fn; /* NULL: db_writer_acquire, alone in its turn */
    void                 *arg;
    struct arena         *arena;
    struct err           *err;
    struct db_follow_up  *follow_ups;
    bool                  done, leads;
    pthread_cond_t        wake;
};

struct db_follow_up {
    struct db_follow_up *older;
    void (*fn)(void *arg);
    void *arg;
};

/* A closure that called db_write would wait for itself. */
static _Thread_local bool inside_closure;

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
    return err;
}

void db_when_committed(struct db_tx *tx, void (*fn)(void *arg), void *arg)
{
    assert(tx->writing);
    for (struct db_follow_up *f = tx->follow_ups; f; f = f->older)
        if (f->fn == fn && f->arg == arg) return;
    struct db_follow_up *added = NEW(tx->arena, struct db_follow_up);
    *added = (struct db_follow_up){.older = tx->follow_ups, .fn = fn, .arg = arg};
    tx->follow_ups = added;
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

static struct err *attempt_together(struct db *db, struct write_request *group)
{
    TRY(db_command(db->writer, group->arena, "BEGIN IMMEDIATE"));
    for (struct write_request *request = group; request; request = request->next)
        TRY(run_under_savepoint(db, request));
    return db_command(db->writer, group->arena, "COMMIT");
}

static void run_group(struct db *db, struct write_request *group)
{
    struct err *err = group->next ? attempt_together(db, group) : NULL;
    db_end_transaction(db->writer);
    if (group->next && !err) return;
    for (struct write_request *request = group; request; request = request->next) run_alone(db, request);
}

/* ---- the queue ------------------------------------------------------------------------------------------------- */

static void append(struct db *db, struct write_request *request)
{
    *db->last = request;
    db->last = &request->next;
}

/* The oldest request and all behind it that may share its transaction. */
static struct write_request *take_group(struct db *db)
{
    struct write_request *group = db->first, **end = &group->next;
    if (group->fn)
        while (*end && (*end)->fn) end = &(*end)->next;
    db->first = *end;
    *end = NULL;
    if (!db->first) db->last = &db->first;
    return group;
}

static void pass_on_lead(struct db *db)
{
    db->leading = db->first != NULL;
    if (db->first) {
        db->first->leads = true;
        pthread_cond_signal(&db->first->wake);
    } else {
        pthread_cond_broadcast(&db->write_idle);
    }
}

/* Returns with the lead, or with the request done by another leader. write_lock is held. */
static void wait_for_turn(struct db *db, struct write_request *request)
{
    append(db, request);
    if (!db->leading) db->leading = request->leads = true;
    while (!request->leads && !request->done) pthread_cond_wait(&request->wake, &db->write_lock);
}

static void lead(struct db *db)
{
    struct write_request *group = take_group(db);
    pthread_mutex_unlock(&db->write_lock);
    run_group(db, group);
    pthread_mutex_lock(&db->write_lock);
    for (struct write_request *request = group, *next; request; request = next) {
        next = request->next; /* the request is its caller's stack */
        request->done = true;
        pthread_cond_signal(&request->wake);
    }
    pass_on_lead(db);
}

struct err *db_write(struct db *db, struct arena *arena, db_write_fn fn, void *arg)
{
    assert(fn && !inside_closure);
    struct write_request request = {.fn = fn, .arg = arg, .arena = arena, .wake = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&db->write_lock);
    wait_for_turn(db, &request);
    if (!request.done) lead(db);
    pthread_mutex_unlock(&db->write_lock);
    pthread_cond_destroy(&request.wake);
    for (struct db_follow_up *f = request.err ? NULL : request.follow_ups; f; f = f->older) f->fn(f->arg);
    return request.err;
}

void db_writer_acquire(struct db *db)
{
    assert(!inside_closure);
    struct write_request request = {.wake = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&db->write_lock);
    wait_for_turn(db, &request);
    struct write_request *alone = take_group(db);
    assert(alone == &request);
    pthread_mutex_unlock(&db->write_lock);
    pthread_cond_destroy(&request.wake);
}

void db_writer_release(struct db *db)
{
    pthread_mutex_lock(&db->write_lock);
    pass_on_lead(db);
    pthread_mutex_unlock(&db->write_lock);
}

void db_writers_wait(struct db *db)
{
    pthread_mutex_lock(&db->write_lock);
    while (db->leading) pthread_cond_wait(&db->write_idle, &db->write_lock);
    pthread_mutex_unlock(&db->write_lock);
}
