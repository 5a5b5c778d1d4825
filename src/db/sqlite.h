/* sqlite.h - inside of db/: connections, statements and the two ways to a transaction on SQLite. */
#pragma once
#include "db/db.h"

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>

enum {
    DB_APPLICATION_ID = 0x4c466173, /* "LFas" in the file's header */
    DB_MAX_PARAMETERS = 40,
    DB_STATEMENT_BUCKETS = 512,
    DB_STATEMENT_LIMIT = 512,
    DB_POINTER_SLOTS = 1024, /* a power of two */
};

enum db_role { DB_WRITER, DB_READER, DB_UPKEEP };

/* One thread uses a connection at a time. */
struct db_connection {
    sqlite3          *handle;
    struct db_tx      tx;        /* of the transaction that runs on it */
    int64_t           changes;   /* rows changed by the last db_exec */
    size_t            open;      /* statements between db_query and db_done */
    bool              used;      /* a reader, since the last db_readers_settle */
    size_t            statement_count;
    uint64_t          clock;     /* counts uses of statements, tells which are the coldest */
    struct statement *buckets[DB_STATEMENT_BUCKETS];
    struct statement *by_pointer[DB_POINTER_SLOTS]; /* a guess by the address of the SQL; the text decides */
};

struct db_connection *db_connection_create(void);
MUST_CHECK struct err *db_connection_open(struct arena *arena, const char *path, enum db_role role,
                                          struct db_connection **connection);
void db_connection_close(struct db_connection *connection); /* NULL is fine */

/* Run SQL outside of the guards that db_exec has: transaction control, pragmas, migrations. */
MUST_CHECK struct err *db_command(struct db_connection *connection, struct arena *arena, const char *sql);
MUST_CHECK struct err *db_script(struct db_connection *connection, struct arena *arena, const char *sql);
/* First column of the first row; {NULL, 0} without one. */
MUST_CHECK struct err *db_one_text(struct db_connection *connection, struct arena *arena, const char *sql,
                                   struct str *text);
MUST_CHECK struct err *db_one_int(struct db_connection *connection, struct arena *arena, const char *sql,
                                  int64_t *value);

struct err *db_sqlite_error(struct arena *arena, sqlite3 *handle, int rc, const char *sql);
bool db_in_transaction(const struct db_connection *connection);
void db_end_transaction(struct db_connection *connection); /* roll back if one is open; never fails */

void db_statements_close_open(struct db_connection *connection); /* what the caller left between query and done */
void db_statements_destroy(struct db_connection *connection);

/* Schema (migrate.c). */
MUST_CHECK struct err *db_migrate(struct db_connection *connection, struct arena *arena);
/* The version of a database; 0: empty. ERR_INVALID if it is somebody else's, ERR_CONFLICT if newer than this build. */
MUST_CHECK struct err *db_read_version(struct db_connection *connection, struct arena *arena, int *version);

/* Files (directory.c). */
MUST_CHECK struct err *db_make_directory(struct arena *arena, struct str path);
MUST_CHECK struct err *db_publish_file(struct arena *arena, const char *partial, const char *file); /* fsync, rename */
struct err *db_file_error(struct arena *arena, int error_number, const char *what, const char *path);

struct write_request;
struct write_queue { struct write_request *first, **last; }; /* oldest first */

struct db {
    struct arena         *arena; /* owns the texts below */
    const char           *path;  /* data_dir/lightfast.db */
    const char           *log_path;
    struct db_connection *writer; /* whoever leads owns it */
    _Atomic(void *)       engine; /* db_attach */

    struct db_watch { const char *table; bool touched; _Atomic uint64_t version; } watches[DB_WATCHES];
    size_t                watch_count; /* touched: by whoever has the writer, in the transaction that runs */

    pthread_mutex_t       write_lock; /* guards the next five */
    pthread_cond_t        write_idle;
    struct write_queue    waiting, patient;
    struct write_rush { int64_t since, count, before, began; } rush; /* how those come that are not patient; us, numbers */
    int64_t               patient_due; /* when the next patient one runs at the latest; us */
    bool                  leading;       /* somebody runs a group or holds the writer */

    pthread_t             committer;     /* leads where nobody waits for the first request of a group */
    sem_t                 committer_wake;
    bool                  committing, committer_stop; /* it runs; it is to end: under write_lock, as is the next */
    int64_t               untold;        /* requests of db_write_later whose done has not returned */

    pthread_mutex_t        read_lock; /* guards the next five */
    pthread_cond_t         reader_free;
    struct db_connection **idle; /* a stack: the warmest on top */
    size_t                 idle_count, opened, reader_limit;

    pthread_mutex_t       checkpoint_lock; /* guards the next five */
    pthread_cond_t        checkpoint_wake;
    bool                  checkpoint_stop, checkpoint_asleep;
    int64_t               log_pages;     /* length of the write-ahead log after the last commit */
    int64_t               checkpoint_at; /* the length that wakes the thread */
    uint64_t              commits;
    struct db_connection *checkpointer; /* its thread's own */
    pthread_t             checkpoint_thread;
};

/* Hold the writer while no transaction runs (write.c). */
void db_writer_acquire(struct db *db);
void db_writer_release(struct db *db);
void db_committer_stop(struct db *db);
/* What idle readers have cached and not needed since the last call is given back (read.c). */
void db_readers_settle(struct db *db);
void db_watches_tell(struct db *db); /* a transaction has ended, its writers do not know yet (sqlite.c) */

MUST_CHECK struct err *db_checkpoint_start(struct db *db, struct arena *arena);
void db_checkpoint_stop(struct db *db);
