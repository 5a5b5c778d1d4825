/* sqlite.c - opening and closing databases and connections; SQLite's result codes as errors. */
#include "db/sqlite.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_TIMEOUT_MS = 5000, DEFAULT_READERS = 4 };

struct err *db_sqlite_error(struct arena *arena, sqlite3 *handle, int rc, const char *sql)
{
    static const struct {
        int           rc;
        enum err_code code;
        const char   *text; /* NULL: SQLite's own words */
    } known[] = {
        {SQLITE_FULL, ERR_UNAVAILABLE, "the disk is full"},
        {SQLITE_READONLY, ERR_UNAVAILABLE, "the data directory is read-only"},
        {SQLITE_CANTOPEN, ERR_UNAVAILABLE, "the database cannot be opened"},
        {SQLITE_PERM, ERR_UNAVAILABLE, "the database may not be opened"},
        {SQLITE_IOERR, ERR_UNAVAILABLE, "the disk cannot be read or written"},
        {SQLITE_NOMEM, ERR_UNAVAILABLE, "out of memory"},
        {SQLITE_BUSY, ERR_UNAVAILABLE, "another program has locked the database"},
        {SQLITE_LOCKED, ERR_UNAVAILABLE, "another program has locked the database"},
        {SQLITE_PROTOCOL, ERR_UNAVAILABLE, "another program has locked the database"},
        {SQLITE_CORRUPT, ERR_UNAVAILABLE, "the database file is damaged"},
        {SQLITE_NOTADB, ERR_UNAVAILABLE, "the file is not a database"},
        {SQLITE_INTERRUPT, ERR_CANCELLED, "interrupted"},
        {SQLITE_TOOBIG, ERR_TOO_LARGE, "a value is too large for the database"},
        {SQLITE_CONSTRAINT, ERR_CONFLICT, NULL},
    };
    const char *words = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].rc != (rc & 0xff)) continue;
        if (!known[i].text) return err_new(arena, known[i].code, "%s", words);
        return err_new(arena, known[i].code, "%s (SQLite %d)", known[i].text, rc);
    }
    return err_new(arena, ERR_INTERNAL, "%s (SQLite %d) in: %s", words, rc, sql ? sql : "");
}

bool db_in_transaction(const struct db_connection *connection)
{
    return !sqlite3_get_autocommit(connection->handle);
}

void db_end_transaction(struct db_connection *connection)
{
    db_statements_close_open(connection);
    /* A ROLLBACK that reports an error has rolled back all the same (sqlite.org/lang_transaction.html). */
    if (db_in_transaction(connection)) sqlite3_exec(connection->handle, "ROLLBACK", NULL, NULL, NULL);
    assert(!db_in_transaction(connection));
}

struct err *db_script(struct db_connection *connection, struct arena *arena, const char *sql)
{
    int rc = sqlite3_exec(connection->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? NULL : db_sqlite_error(arena, connection->handle, rc, sql);
}

struct err *db_one_text(struct db_connection *connection, struct arena *arena, const char *sql, struct str *text)
{
    sqlite3_stmt *statement = NULL;
    int           rc = sqlite3_prepare_v2(connection->handle, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    *text = (struct str){0};
    if (rc == SQLITE_ROW) *text = str_dup(arena, str_of((const char *)sqlite3_column_text(statement, 0)));
    struct err *err = NULL;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) err = db_sqlite_error(arena, connection->handle, rc, sql);
    sqlite3_finalize(statement);
    return err;
}

struct err *db_one_int(struct db_connection *connection, struct arena *arena, const char *sql, int64_t *value)
{
    struct str text;
    *value = 0;
    TRY(db_one_text(connection, arena, sql, &text));
    if (text.s && !str_to_int(text, value)) return err_new(arena, ERR_INTERNAL, "no number from: %s", sql);
    return NULL;
}

/* ---- connections ----------------------------------------------------------------------------------------------- */

struct db_connection *db_connection_create(void)
{
    struct db_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        fputs("lightfast: out of memory (database connection)\n", stderr);
        abort();
    }
    return connection;
}

void db_connection_close(struct db_connection *connection)
{
    if (!connection) return;
    db_statements_destroy(connection);
    int rc = sqlite3_close(connection->handle);
    assert(rc == SQLITE_OK); /* else a statement or a backup was left open */
    free(connection);
}

static struct err *configure(struct db_connection *connection, struct arena *arena, enum db_role role)
{
    /* The page size counts for a new file only and before WAL. Measured with 1.5 KB rows and eight indexes: 8192 beats
     * 4096 and 16384. The memory of a cache is taken when pages fill it; who is idle gives it back (checkpoint.c). */
    static const char *const settings[] = {
        [DB_WRITER] = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;"
                      "PRAGMA journal_size_limit = 67108864",
        [DB_READER] = "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096",
        [DB_UPKEEP] = "PRAGMA journal_size_limit = 67108864; PRAGMA user_version", /* opens the log, reads no schema */
    };
    sqlite3 *handle = connection->handle;
    sqlite3_busy_timeout(handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "x" is a column, as on PostgreSQL */
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (role != DB_READER && sqlite3_db_readonly(handle, "main") == 1)
        return err_new(arena, ERR_UNAVAILABLE, "the data directory is read-only");
    TRY(db_script(connection, arena, settings[role]));
    /* Log and index pages are read by all connections; checkpoints have a thread of their own. */
    sqlite3_wal_autocheckpoint(handle, 0);
    return NULL;
}

struct err *db_connection_open(struct arena *arena, const char *path, enum db_role role,
                               struct db_connection **connection)
{
    struct db_connection *opened = db_connection_create();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(path, &opened->handle, flags, NULL);
    struct err *err = rc == SQLITE_OK ? configure(opened, arena, role)
                                      : db_sqlite_error(arena, opened->handle, rc, NULL);
    if (err) {
        db_connection_close(opened);
        return err_wrap(arena, err, "cannot open %s", path);
    }
    *connection = opened;
    return NULL;
}

/* ---- watched tables --------------------------------------------------------------------------------------------- */

static void note_change(void *arg, int operation, const char *schema, const char *table, sqlite3_int64 row)
{
    struct db *db = arg;
    (void)operation, (void)schema, (void)row;
    for (size_t i = 0; i < db->watch_count; i++)
        if (strcmp(db->watches[i].table, table) == 0) db->watches[i].touched = true;
}

const _Atomic uint64_t *db_watch(struct db *db, const char *table)
{
    for (size_t i = 0; i < db->watch_count; i++)
        if (strcmp(db->watches[i].table, table) == 0) return &db->watches[i].version;
    assert(db->watch_count < DB_WATCHES);
    struct db_watch *watch = &db->watches[db->watch_count++];
    watch->table = table;
    sqlite3_update_hook(db->writer->handle, note_change, db);
    return &watch->version;
}

void db_watches_tell(struct db *db)
{
    for (size_t i = 0; i < db->watch_count; i++) {
        struct db_watch *watch = &db->watches[i];
        if (watch->touched) atomic_fetch_add(&watch->version, 1);
        watch->touched = false;
    }
}

/* ---- the database ---------------------------------------------------------------------------------------------- */

static void configure_library(void)
{
    /* Counting memory takes a lock around every allocation. Refused when SQLite is in use already: no harm. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

static struct err *open_writer(struct db *db, struct arena *arena)
{
    int fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* SQLite gives its log the same mode */
    if (fd < 0) return db_file_error(arena, errno, "cannot open", db->path);
    close(fd);
    TRY(db_connection_open(arena, db->path, DB_WRITER, &db->writer));
    struct str mode;
    TRY(db_one_text(db->writer, arena, "PRAGMA journal_mode", &mode));
    if (!str_eq(mode, STR("wal")))
        return err_new(arena, ERR_UNAVAILABLE, "%s: this file system cannot hold a write-ahead log", db->path);
    TRY(db_migrate(db->writer, arena));
    return db_checkpoint_start(db, arena);
}

static struct db *create(struct db_config config)
{
    struct arena *arena = arena_create();
    struct db    *db = NEW(arena, struct db);
    *db = (struct db){
        .arena = arena,
        .path = str_z(arena, str_printf(arena, STR_FMT "/lightfast.db", STR_ARG(config.data_dir))),
        .log_path = str_z(arena, str_printf(arena, STR_FMT "/lightfast.db-wal", STR_ARG(config.data_dir))),
        .reader_limit = config.readers ? config.readers : DEFAULT_READERS,
    };
    db->waiting.last = &db->waiting.first;
    db->patient.last = &db->patient.first;
    db->idle = NEW_ARRAY(arena, struct db_connection *, db->reader_limit);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&db->write_lock, NULL);
    pthread_cond_init(&db->write_idle, NULL);
    pthread_mutex_init(&db->read_lock, NULL);
    pthread_cond_init(&db->reader_free, NULL);
    pthread_mutex_init(&db->checkpoint_lock, NULL);
    pthread_cond_init(&db->checkpoint_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return db;
}

static void destroy(struct db *db)
{
    db_connection_close(db->writer);
    pthread_mutex_destroy(&db->write_lock);
    pthread_cond_destroy(&db->write_idle);
    pthread_mutex_destroy(&db->read_lock);
    pthread_cond_destroy(&db->reader_free);
    pthread_mutex_destroy(&db->checkpoint_lock);
    pthread_cond_destroy(&db->checkpoint_wake);
    arena_destroy(db->arena);
}

struct err *db_open(struct arena *arena, struct db_config config, struct db **db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_library);
    TRY(db_make_directory(arena, config.data_dir));
    struct db  *opened = create(config);
    struct err *err = open_writer(opened, arena);
    if (err) {
        destroy(opened);
        return err;
    }
    *db = opened;
    return NULL;
}

void db_close(struct db *db)
{
    if (!db) return;
    db_writers_wait(db);
    pthread_mutex_lock(&db->read_lock);
    while (db->idle_count < db->opened) pthread_cond_wait(&db->reader_free, &db->read_lock);
    pthread_mutex_unlock(&db->read_lock);
    db_committer_stop(db);
    db_checkpoint_stop(db);
    for (size_t i = 0; i < db->idle_count; i++) db_connection_close(db->idle[i]);
    int rc = sqlite3_wal_checkpoint_v2(db->writer->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (rc != SQLITE_OK) log_warn("db", "the write-ahead log stays until the next start: %s", sqlite3_errstr(rc));
    destroy(db);
}

int64_t db_size(struct db *db)
{
    struct stat database, log;
    int64_t     size = stat(db->path, &database) == 0 ? database.st_size : 0;
    return size + (stat(db->log_path, &log) == 0 ? log.st_size : 0);
}
