/* checkpoint.c - the thread that moves pages from the write-ahead log into the database file.
 *
 * DESIGN. A commit only appends to the log, so no writer ever pays for a checkpoint. When the log has grown by
 * GROWTH_PAGES, or nobody has written for a second, this thread copies what it can while others read and write
 * (PASSIVE). That alone would let the log grow for as long as commits keep coming: a log starts over only when all of
 * it has been copied. So past LONG_LOG_PAGES, and when idle, the thread takes the writer's place for the rest
 * (RESTART, TRUNCATE), waiting at most READERS_WAIT_MS for readers of old snapshots; if one stays longer, such as a
 * backup, it tries again after further growth. When idle it also gives back what the writer has cached, and what readers
 * have that nobody used since the last time.
 */
#include "db/sqlite.h"

#include "base/log.h"

#include <errno.h>
#include <malloc.h>
#include <time.h>

enum { GROWTH_PAGES = 2000, LONG_LOG_PAGES = 8000, READERS_WAIT_MS = 100, IDLE_SECONDS = 1 };

static int log_grew(void *arg, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = arg;
    pthread_mutex_lock(&db->checkpoint_lock);
    if (pages < db->log_pages) db->checkpoint_at = GROWTH_PAGES; /* it started over */
    db->log_pages = pages;
    db->commits++;
    if (db->checkpoint_asleep || pages >= db->checkpoint_at) pthread_cond_signal(&db->checkpoint_wake);
    pthread_mutex_unlock(&db->checkpoint_lock);
    (void)handle;
    (void)name;
    return SQLITE_OK;
}

static void copy_log(struct db *db, int mode)
{
    int rc = sqlite3_wal_checkpoint_v2(db->checkpointer->handle, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        log_warn("db", "checkpoint failed, the log grows until one succeeds: %s", sqlite3_errstr(rc));
}

/* Afterwards the next commit starts the log over. */
static void empty_log(struct db *db, bool idle)
{
    db_writer_acquire(db);
    copy_log(db, idle ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART);
    if (idle) {
        sqlite3_db_release_memory(db->writer->handle);
        db_readers_settle(db);
        malloc_trim(0); /* else the freed pages of the caches stay with the process */
    }
    db_writer_release(db);
}

/* Wait for growth or, after writes, for a pause. False: the database closes. checkpoint_lock is held. */
static bool wait_for_work(struct db *db, uint64_t settled_commits, bool *idle)
{
    *idle = false;
    while (!db->checkpoint_stop && !*idle && db->log_pages < db->checkpoint_at) {
        if (db->commits == settled_commits) {
            db->checkpoint_asleep = true;
            pthread_cond_wait(&db->checkpoint_wake, &db->checkpoint_lock);
            db->checkpoint_asleep = false;
            continue;
        }
        struct timespec until;
        uint64_t        commits = db->commits;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SECONDS;
        int rc = pthread_cond_timedwait(&db->checkpoint_wake, &db->checkpoint_lock, &until);
        *idle = rc == ETIMEDOUT && db->commits == commits;
    }
    return !db->checkpoint_stop;
}

static void *run(void *arg)
{
    struct db *db = arg;
    uint64_t   settled_commits = 0; /* up to here the log has been emptied in a pause */
    bool       idle;
    pthread_mutex_lock(&db->checkpoint_lock);
    while (wait_for_work(db, settled_commits, &idle)) {
        int64_t pages = db->log_pages;
        if (idle) settled_commits = db->commits;
        db->checkpoint_at = pages + GROWTH_PAGES;
        pthread_mutex_unlock(&db->checkpoint_lock);
        copy_log(db, SQLITE_CHECKPOINT_PASSIVE);
        if (idle || pages >= LONG_LOG_PAGES) empty_log(db, idle);
        pthread_mutex_lock(&db->checkpoint_lock);
    }
    pthread_mutex_unlock(&db->checkpoint_lock);
    return NULL;
}

struct err *db_checkpoint_start(struct db *db, struct arena *arena)
{
    TRY(db_connection_open(arena, db->path, DB_UPKEEP, &db->checkpointer));
    sqlite3_busy_timeout(db->checkpointer->handle, READERS_WAIT_MS);
    db->checkpoint_at = GROWTH_PAGES;
    sqlite3_wal_hook(db->writer->handle, log_grew, db);
    if (pthread_create(&db->checkpoint_thread, NULL, run, db) != 0) {
        db_connection_close(db->checkpointer);
        return err_new(arena, ERR_UNAVAILABLE, "cannot start a thread");
    }
    pthread_setname_np(db->checkpoint_thread, "checkpoint");
    return NULL;
}

void db_checkpoint_stop(struct db *db)
{
    pthread_mutex_lock(&db->checkpoint_lock);
    db->checkpoint_stop = true;
    pthread_cond_signal(&db->checkpoint_wake);
    pthread_mutex_unlock(&db->checkpoint_lock);
    pthread_join(db->checkpoint_thread, NULL);
    db_connection_close(db->checkpointer);
}
