/* read.c - read transactions: a small pool of connections, opened when first needed. */
#include "db/sqlite.h"

/* An idle connection, or NULL for the right to open one. */
static struct db_connection *take_reader(struct db *db)
{
    struct db_connection *reader = NULL;
    pthread_mutex_lock(&db->read_lock);
    while (db->idle_count == 0 && db->opened == db->reader_limit) pthread_cond_wait(&db->reader_free, &db->read_lock);
    if (db->idle_count > 0)
        reader = db->idle[--db->idle_count];
    else
        db->opened++;
    pthread_mutex_unlock(&db->read_lock);
    return reader;
}

static void give_back(struct db *db, struct db_connection *reader)
{
    pthread_mutex_lock(&db->read_lock);
    if (reader)
        db->idle[db->idle_count++] = reader;
    else
        db->opened--;
    pthread_cond_broadcast(&db->reader_free); /* db_close waits on it too */
    pthread_mutex_unlock(&db->read_lock);
}

struct err *db_read_begin_late(struct db *db, struct arena *arena, struct db_tx **tx)
{
    *tx = NULL;
    struct db_connection *reader = take_reader(db);
    struct err           *err = reader ? NULL : db_connection_open(arena, db->path, DB_READER, &reader);
    if (!err) err = db_command(reader, arena, "BEGIN");
    if (err) {
        if (reader) db_end_transaction(reader);
        give_back(db, reader);
        return err;
    }
    reader->changes = 0;
    reader->used = true;
    reader->tx = (struct db_tx){.arena = arena, .db = db, .connection = reader};
    *tx = &reader->tx;
    return NULL;
}

struct err *db_read_begin(struct db *db, struct arena *arena, struct db_tx **tx)
{
    TRY(db_read_begin_late(db, arena, tx));
    struct err *err = db_command((*tx)->connection, arena, "SELECT 1 FROM schema_version LIMIT 1");
    if (err) db_read_end(tx);
    return err;
}

void db_read_end(struct db_tx **tx)
{
    if (!*tx) return;
    struct db            *db = (*tx)->db;
    struct db_connection *reader = (*tx)->connection;
    *tx = NULL;
    db_end_transaction(reader);
    give_back(db, reader);
}

void db_readers_settle(struct db *db)
{
    pthread_mutex_lock(&db->read_lock);
    for (size_t i = 0; i < db->idle_count; i++) {
        if (!db->idle[i]->used) sqlite3_db_release_memory(db->idle[i]->handle);
        db->idle[i]->used = false;
    }
    pthread_mutex_unlock(&db->read_lock);
}
