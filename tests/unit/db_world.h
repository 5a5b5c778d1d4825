/* db_world.h - a database of its own for each test, on a disk that fails on demand, and threads that write into it. */
#pragma once
#include "check.h"
#include "child.h"
#include "directory.h"
#include "sql.h"

#include "db/db.h"
#include "fault/faulty_disk.h"

#include <pthread.h>
#include <unistd.h>

struct fixture {
    struct arena *arena;
    struct db    *db;
    struct str    dir;
};

static inline struct err *make_table(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT, data BLOB, weight REAL)"));
    return db_exec(tx, "CREATE TABLE pair (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID");
}

static inline struct str new_directory(struct arena *arena)
{
    char *path = arena_alloc(arena, DIRECTORY_PATH);
    directory_make(path);
    return str_of(path);
}

static inline struct fixture fixture_create(struct arena *arena)
{
    faulty_disk_size = faulty_disk_syncs = -1;
    struct fixture f = {.arena = arena, .dir = new_directory(arena)};
    check_ok(db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db));
    check_ok(db_write(f.db, arena, make_table, NULL));
    return f;
}

static inline void fixture_destroy(struct fixture *f)
{
    db_close(f->db);
    if (f->dir.s) directory_remove(f->dir.s);
}
#define FIXTURE __attribute__((cleanup(fixture_destroy)))

static inline int64_t count_notes(struct db *db)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        count = -1;
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT count(*) FROM note"));
    check(db_next(&rows, &count));
    check_ok(db_done(&rows));
    return count;
}

static inline struct err *add_note(struct db_tx *tx, void *arg)
{
    return db_exec(tx, "INSERT INTO note (words) VALUES ($1)", (const char *)arg);
}

/* ---- threads that write ------------------------------------------------------------------------------------------ */

static inline struct err *add_then_fail(struct db_tx *tx, void *arg)
{
    TRY(add_note(tx, arg));
    return err_new(tx->arena, ERR_NOT_FOUND, "on purpose");
}

struct member {
    struct db    *db;
    db_write_fn   fn;
    void         *arg;
    struct arena *arena;
    struct err   *err;
    pthread_t     thread;
};

static inline void *write_member(void *arg)
{
    struct member *member = arg;
    member->err = db_write(member->db, member->arena, member->fn, member->arg);
    return NULL;
}

static inline void member_start(struct member *member, struct db *db, db_write_fn fn, void *arg)
{
    *member = (struct member){.db = db, .fn = fn, .arg = arg, .arena = arena_create()};
    check_int(pthread_create(&member->thread, NULL, write_member, member), 0);
}

static inline enum err_code member_finish(struct member *member, bool *ok)
{
    pthread_join(member->thread, NULL);
    enum err_code code = member->err ? member->err->code : ERR_INTERNAL;
    *ok = member->err == NULL;
    arena_destroy(member->arena);
    return code;
}

/* A hundred times, ten of them in vain. */
static inline void *write_many(void *arg)
{
    struct member *member = arg;
    for (int i = 0; i < 100 && !member->err; i++) {
        arena_reset(member->arena);
        member->err = db_write(member->db, member->arena, i % 10 == 9 ? add_then_fail : add_note, "x");
        if (member->err && member->err->code == ERR_NOT_FOUND) member->err = NULL;
    }
    return NULL;
}

/* Several that write many times each. */
static inline void members_start(struct member *members, int n, struct db *db)
{
    for (int i = 0; i < n; i++) {
        members[i] = (struct member){.db = db, .arena = arena_create()};
        check_int(pthread_create(&members[i].thread, NULL, write_many, &members[i]), 0);
    }
}

static inline void members_finish(struct member *members, int n)
{
    for (int i = 0; i < n; i++) {
        bool ok;
        member_finish(&members[i], &ok);
        check(ok);
    }
}
