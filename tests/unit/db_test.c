#include "check.h"
#include "directory.h"
#include "child.h"

#include "base/time.h"
#include "db/db.h"
#include "fault/faulty_disk.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a database of its own for each test ------------------------------------------------------------------------- */

struct fixture {
    struct arena *arena;
    struct db    *db;
    struct str    dir;
};

static struct err *make_table(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT, data BLOB, weight REAL)"));
    return db_exec(tx, "CREATE TABLE pair (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID");
}

static struct str new_directory(struct arena *arena)
{
    char *path = arena_alloc(arena, DIRECTORY_PATH);
    directory_make(path);
    return str_of(path);
}

static struct fixture fixture_create(struct arena *arena)
{
    faulty_disk_size = faulty_disk_syncs = -1;
    struct fixture f = {.arena = arena, .dir = new_directory(arena)};
    check_ok(db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db));
    check_ok(db_write(f.db, arena, make_table, NULL));
    return f;
}

static void fixture_destroy(struct fixture *f)
{
    db_close(f->db);
    if (f->dir.s) directory_remove(f->dir.s);
}
#define FIXTURE __attribute__((cleanup(fixture_destroy)))

static int64_t count_notes(struct db *db)
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

static struct err *run_text(struct db_tx *tx, void *arg)
{
    return db_exec_values(tx, arg, NULL, 0);
}

static struct err *add_note(struct db_tx *tx, void *arg)
{
    return db_exec(tx, "INSERT INTO note (words) VALUES ($1)", (const char *)arg);
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static struct err *write_all_kinds(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "INSERT INTO note (id, words, data, weight) VALUES ($1, $2, $3, $4)", (int64_t)1 << 40,
                STR("gr\xc3\xbc\xc3\x9f"), ((struct bytes){"a\0b", 3}), 0.5));
    return db_exec(tx, "INSERT INTO note (id, words, data, weight) VALUES ($1, $2, $3, $4)", true, (const char *)NULL,
                   DB_NULL, 7);
}

TEST(db, every_kind_of_value_comes_back_as_it_went_in)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        id;
    struct str     words;
    struct bytes   data;
    double         weight;
    check_ok(db_write(f.db, arena, write_all_kinds, NULL));
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT id, words, data, weight FROM note ORDER BY id DESC"));
    check(db_next(&rows, &id, &words, &data, &weight));
    check(id == (int64_t)1 << 40);
    check_str(words, "gr\xc3\xbc\xc3\x9f");
    check(data.n == 3 && memcmp(data.p, "a\0b", 3) == 0);
    check_near(weight, 0.5, 0);
    check(db_next(&rows, &id, &words, &data, &weight));
    check_int(id, 1);
    check(words.s == NULL && data.p == NULL);
    check_near(weight, 7, 0);
    check(!db_next(&rows, &id, &words, &data, &weight));
    check(!db_next(&rows, &id, &words, &data, &weight));
    check_ok(db_done(&rows));
}

TEST(db, parameters_are_numbered_by_their_number_not_by_appearance)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    struct str     joined;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT $2 || '-' || $1 || '-' || $2", "one", "two"));
    check(db_next(&rows, &joined));
    check_str(joined, "two-one-two");
    check_ok(db_done(&rows));
}

TEST(db, a_wrong_number_of_values_is_an_error)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_err(db_query(tx, &rows, "SELECT $1, $2", 1), ERR_INTERNAL);
    check_err(db_query(tx, &rows, "SELECT $1, $3", 1, 2), ERR_INTERNAL);
}

static struct err *write_nul(struct db_tx *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, "INSERT INTO note (words) VALUES ($1)", STR("a\0b"));
}

TEST(db, text_with_nul_is_refused)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, write_nul, NULL), ERR_INVALID);
    check_int(count_notes(f.db), 0);
}

TEST(db, malformed_utf8_does_no_harm)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_ok(db_write(f.db, arena, add_note, "\xff\xfe\xc0"));
    check_int(count_notes(f.db), 1);
}

TEST(db, the_same_statement_may_be_open_twice)
{
    struct fixture f FIXTURE = fixture_create(arena);
    static const char *const sql =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n";
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows outer, inner;
    int64_t        i, j, sum = 0;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_query(tx, &outer, sql));
    while (db_next(&outer, &i)) {
        check_ok(db_query(tx, &inner, sql));
        while (db_next(&inner, &j)) sum += 10 * i + j;
        check_ok(db_done(&inner));
    }
    check_ok(db_done(&outer));
    check_int(sum, 3 * 60 + 3 * 6);
}

TEST(db, more_texts_than_the_cache_holds_still_work)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    for (int i = 0; i < 2000; i++) {
        struct db_rows rows;
        int64_t        value;
        check_ok(db_query(tx, &rows, str_z(arena, str_printf(arena, "SELECT %d", i))));
        check(db_next(&rows, &value));
        check_int(value, i);
        check_ok(db_done(&rows));
    }
}

TEST(db, a_text_at_a_known_address_is_not_taken_for_the_old_one)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        value;
    char           sql[] = "SELECT 1";
    check_ok(db_read_begin(f.db, arena, &tx));
    for (char digit = '1'; digit <= '3'; digit++) {
        sql[7] = digit;
        check_ok(db_query(tx, &rows, sql));
        check(db_next(&rows, &value));
        check_int(value, digit - '0');
        check_ok(db_done(&rows));
    }
}

TEST(db, an_error_in_the_middle_is_not_an_end)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    struct str     value;
    int            got = 0;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT json_extract(column1, '$.a') FROM (VALUES ('{\"a\":1}'), ('broken'))"));
    while (db_next(&rows, &value)) got++;
    check_int(got, 1);
    check_err(db_done(&rows), ERR_INTERNAL);
}

TEST(db, an_int_that_does_not_fit_is_an_error)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int            value;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT 3000000000"));
    check(!db_next(&rows, &value));
    check_err(db_done(&rows), ERR_INTERNAL);
}

static struct err *read_one_of_three_returned(struct db_tx *tx, void *arg)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "INSERT INTO note (words) VALUES ('a'), ('b'), ('c') RETURNING id"));
    check(db_next(&rows, (int64_t *)arg));
    return db_done(&rows);
}

TEST(db, insert_returning_is_complete_even_if_one_row_is_read)
{
    struct fixture f FIXTURE = fixture_create(arena);
    int64_t id;
    check_ok(db_write(f.db, arena, read_one_of_three_returned, &id));
    check_int(id, 1);
    check_int(count_notes(f.db), 3);
}

static struct err *count_changes(struct db_tx *tx, void *arg)
{
    int64_t *changes = arg;
    TRY(db_exec(tx, "INSERT INTO note (words) VALUES ('a'), ('b')"));
    changes[0] = db_changes(tx);
    TRY(db_exec(tx, "UPDATE note SET words = 'c' WHERE words = $1", "nobody"));
    changes[1] = db_changes(tx);
    return NULL;
}

TEST(db, changes_are_those_of_the_last_statement)
{
    struct fixture f FIXTURE = fixture_create(arena);
    int64_t changes[2];
    check_ok(db_write(f.db, arena, count_changes, changes));
    check_int(changes[0], 2);
    check_int(changes[1], 0);
}

static struct err *same_key_twice(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "INSERT INTO pair (a, b) VALUES (1, 2)"));
    return db_exec(tx, "INSERT INTO pair (a, b) VALUES (1, 2)");
}

TEST(db, a_broken_constraint_is_a_conflict)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, same_key_twice, NULL), ERR_CONFLICT);
}

static struct err *orphan_key(struct db_tx *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, "INSERT INTO workspace_counter (workspace_id) VALUES (99)");
}

TEST(db, foreign_keys_are_enforced)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, orphan_key, NULL), ERR_CONFLICT);
}

static struct err *leave_query_open(struct db_tx *tx, void *arg)
{
    (void)arg;
    struct db_rows rows;
    int64_t        id;
    TRY(db_exec(tx, "INSERT INTO note (words) VALUES ('a'), ('b')"));
    TRY(db_query(tx, &rows, "SELECT id FROM note"));
    db_next(&rows, &id);
    return NULL;
}

TEST(db, a_query_left_open_does_not_hold_the_transaction)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_ok(db_write(f.db, arena, leave_query_open, NULL));
    check_ok(db_write(f.db, arena, leave_query_open, NULL));
    check_int(count_notes(f.db), 4);
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

static struct err *add_then_fail(struct db_tx *tx, void *arg)
{
    TRY(add_note(tx, arg));
    return err_new(tx->arena, ERR_NOT_FOUND, "on purpose");
}

TEST(db, a_failing_closure_leaves_nothing)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, add_then_fail, "gone"), ERR_NOT_FOUND);
    check_int(count_notes(f.db), 0);
}

/* A gate makes the first closure wait until the others stand in the queue, so that they are one group. */
struct gate {
    struct db      *db;
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    bool            entered, open;
};

static struct err *wait_at_gate(struct db_tx *tx, void *arg)
{
    struct gate *gate = arg;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    (void)tx;
    return NULL;
}

struct member {
    struct db    *db;
    db_write_fn   fn;
    void         *arg;
    struct arena *arena;
    struct err   *err;
    pthread_t     thread;
};

static void *write_member(void *arg)
{
    struct member *member = arg;
    member->err = db_write(member->db, member->arena, member->fn, member->arg);
    return NULL;
}

static void member_start(struct member *member, struct db *db, db_write_fn fn, void *arg)
{
    *member = (struct member){.db = db, .fn = fn, .arg = arg, .arena = arena_create()};
    check_int(pthread_create(&member->thread, NULL, write_member, member), 0);
}

static enum err_code member_finish(struct member *member, bool *ok)
{
    pthread_join(member->thread, NULL);
    enum err_code code = member->err ? member->err->code : ERR_INTERNAL;
    *ok = member->err == NULL;
    arena_destroy(member->arena);
    return code;
}

/* Run `n` closures as one group behind a gate; ok[i] and codes[i] are their outcomes. */
static void run_as_group(struct db *db, const db_write_fn *fns, void *const *args, size_t n, bool *ok,
                         enum err_code *codes)
{
    struct gate gate = {.db = db, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct member first, members[8];
    bool first_ok;
    member_start(&first, db, wait_at_gate, &gate);
    pthread_mutex_lock(&gate.lock);
    while (!gate.entered) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < n; i++) {
        member_start(&members[i], db, fns[i], args[i]);
        usleep(20000); /* let it get into the queue: order, not correctness, depends on it */
    }
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    member_finish(&first, &first_ok);
    check(first_ok);
    for (size_t i = 0; i < n; i++) codes[i] = member_finish(&members[i], &ok[i]);
}

TEST(db, a_failing_closure_does_not_take_its_group_mates_with_it)
{
    struct fixture f FIXTURE = fixture_create(arena);
    bool           ok[3];
    enum err_code  codes[3];
    run_as_group(f.db, (db_write_fn[]){add_note, add_then_fail, add_note}, (void *[]){"a", "gone", "b"}, 3, ok, codes);
    check(ok[0] && !ok[1] && ok[2]);
    check_int(codes[1], ERR_NOT_FOUND);
    check_int(count_notes(f.db), 2);
}

struct rush {
    struct db   *db;
    atomic_bool  over;
    atomic_int   written;
};

static void *write_in_a_rush(void *arg)
{
    struct rush *rush = arg;
    while (!atomic_load(&rush->over)) {
        struct arena *arena ARENA_SCOPE = arena_create();
        check_ok(db_write(rush->db, arena, add_note, "rush"));
        atomic_fetch_add(&rush->written, 1);
    }
    return NULL;
}

static struct err *add_slowly(struct db_tx *tx, void *arg)
{
    usleep(2000);
    return add_note(tx, arg);
}

/* Two of these leave no moment in which nobody waits, and are no rush. */
static void *write_slowly(void *arg)
{
    struct rush *rush = arg;
    while (!atomic_load(&rush->over)) {
        struct arena *arena ARENA_SCOPE = arena_create();
        check_ok(db_write(rush->db, arena, add_slowly, "slow"));
        atomic_fetch_add(&rush->written, 1);
    }
    return NULL;
}

static void *write_patiently(void *arg)
{
    struct rush *rush = arg;
    db_write_patiently();
    for (int i = 0; i < 3; i++) {
        struct arena *arena ARENA_SCOPE = arena_create();
        check_ok(db_write(rush->db, arena, add_note, "patient"));
    }
    return NULL;
}

TEST(db, a_patient_write_is_done_in_a_pause_and_in_a_rush_without_any)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct rush rush = {.db = f.db};
    pthread_t   patient, hasty[4];
    check(pthread_create(&patient, NULL, write_patiently, &rush) == 0);
    pthread_join(patient, NULL);
    check_int(count_notes(f.db), 3);
    for (size_t i = 0; i < 4; i++) check(pthread_create(&hasty[i], NULL, write_in_a_rush, &rush) == 0);
    while (atomic_load(&rush.written) < 200) usleep(1000);
    pthread_t patients[2];
    for (size_t i = 0; i < 2; i++) check(pthread_create(&patients[i], NULL, write_patiently, &rush) == 0);
    for (size_t i = 0; i < 2; i++) pthread_join(patients[i], NULL);
    atomic_store(&rush.over, true);
    for (size_t i = 0; i < 4; i++) pthread_join(hasty[i], NULL);
    check_int(count_notes(f.db), 3 + 6 + atomic_load(&rush.written));
}

TEST(db, a_patient_write_gets_its_turn_between_others_that_never_pause)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct rush rush = {.db = f.db};
    pthread_t   patient, slow[3];
    for (size_t i = 0; i < 3; i++) check(pthread_create(&slow[i], NULL, write_slowly, &rush) == 0);
    while (atomic_load(&rush.written) < 6) usleep(1000);
    check(pthread_create(&patient, NULL, write_patiently, &rush) == 0);
    pthread_join(patient, NULL);
    atomic_store(&rush.over, true);
    for (size_t i = 0; i < 3; i++) pthread_join(slow[i], NULL);
    check_int(count_notes(f.db), 3 + atomic_load(&rush.written));
}

struct later {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    int             told, failed;
    struct db      *db;
};
struct note_of { struct later *later; struct arena *arena; const char *words; bool fails; };

static struct err *add_later(struct db_tx *tx, void *arg)
{
    const struct note_of *note = arg;
    TRY(add_note(tx, (void *)note->words));
    return note->fails ? err_new(tx->arena, ERR_CONFLICT, "no") : NULL;
}

static void tell(void *arg, struct err *err)
{
    const struct note_of *note = arg;
    pthread_mutex_lock(&note->later->lock);
    note->later->told++;
    if (err) note->later->failed += err->code == ERR_CONFLICT && note->fails;
    pthread_cond_broadcast(&note->later->changed);
    pthread_mutex_unlock(&note->later->lock);
}

TEST(db, who_does_not_wait_is_told_what_became_of_its_write)
{
    enum { WRITES = 300 };
    struct fixture  f FIXTURE = fixture_create(arena);
    struct later    later = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .db = f.db};
    struct note_of *notes = NEW_ARRAY(arena, struct note_of, WRITES);
    for (int i = 0; i < WRITES; i++) {
        notes[i] = (struct note_of){&later, arena_create(), "later", i % 10 == 3};
        db_write_later(f.db, notes[i].arena, add_later, &notes[i], tell);
        if (i % 50 == 0) check_ok(db_write(f.db, arena, add_note, "between")); /* in the order of their requests */
        if (i == 100) check(count_notes(f.db) >= 3 + 100 - 10);
    }
    db_writers_wait(f.db);
    check_int(later.told, WRITES);
    check_int(later.failed, WRITES / 10);
    check_int(count_notes(f.db), WRITES - WRITES / 10 + 6);
    for (int i = 0; i < WRITES; i++) arena_destroy(notes[i].arena);
}

static struct err *add_megabyte(struct db_tx *tx, void *arg)
{
    static char megabyte[1 << 20];
    memset(megabyte, 'x', sizeof megabyte);
    (void)arg;
    return db_exec(tx, "INSERT INTO note (words) VALUES ($1)", ((struct str){megabyte, sizeof megabyte}));
}

/* More than the writer's cache holds, so that pages reach the disk before the commit. */
static struct err *add_huge(struct db_tx *tx, void *arg)
{
    for (int i = 0; i < 100; i++) TRY(add_megabyte(tx, arg));
    return NULL;
}

TEST(db, a_full_disk_fails_the_large_write_alone_and_passes)
{
    struct fixture f FIXTURE = fixture_create(arena);
    bool           ok[3];
    enum err_code  codes[3];
    faulty_disk_size = 4 << 20;
    run_as_group(f.db, (db_write_fn[]){add_note, add_huge, add_note}, (void *[]){"a", NULL, "b"}, 3, ok, codes);
    check(ok[0] && !ok[1] && ok[2]);
    check_int(codes[1], ERR_UNAVAILABLE);
    check_int(count_notes(f.db), 2);
    faulty_disk_size = 0;
    struct err *err = db_write(f.db, arena, add_note, "no room");
    check(err && err->code == ERR_UNAVAILABLE);
    check(str_find(err->message, STR("the disk is full"), 0) != SIZE_MAX);
    faulty_disk_size = -1;
    check_ok(db_write(f.db, arena, add_note, "room again"));
    check_int(count_notes(f.db), 3);
}

static struct err *swallow_full_disk(struct db_tx *tx, void *arg)
{
    TRY(add_note(tx, "before"));
    struct err *lost = add_huge(tx, arg);
    check(lost && lost->code == ERR_UNAVAILABLE);
    faulty_disk_size = -1;
    struct err *after = add_note(tx, "after");
    if (after) check_int(after->code, ERR_UNAVAILABLE);
    return after;
}

TEST(db, nothing_is_written_outside_a_transaction_that_ended_early)
{
    struct fixture f FIXTURE = fixture_create(arena);
    faulty_disk_size = 4 << 20;
    struct err *err = db_write(f.db, arena, swallow_full_disk, NULL);
    faulty_disk_size = -1;
    check_int(count_notes(f.db), err ? 0 : 2);
}

TEST(db, a_commit_that_cannot_be_synced_is_an_error)
{
    struct fixture f FIXTURE = fixture_create(arena);
    faulty_disk_syncs = 0;
    check_err(db_write(f.db, arena, add_note, "lost"), ERR_UNAVAILABLE);
    faulty_disk_syncs = -1;
    check_ok(db_write(f.db, arena, add_note, "kept"));
    check_int(count_notes(f.db), 1);
}

TEST(db, every_commit_is_synced)
{
    struct fixture f FIXTURE = fixture_create(arena);
    for (int i = 0; i < 5; i++) {
        long long before = faulty_disk_sync_count;
        check_ok(db_write(f.db, arena, add_note, "x"));
        check(faulty_disk_sync_count > before);
    }
}

static void *write_many(void *arg)
{
    struct member *member = arg;
    for (int i = 0; i < 100 && !member->err; i++) {
        arena_reset(member->arena);
        member->err = db_write(member->db, member->arena, i % 10 == 9 ? add_then_fail : add_note, "x");
        if (member->err && member->err->code == ERR_NOT_FOUND) member->err = NULL;
    }
    return NULL;
}

TEST(db, writers_from_eight_threads_all_get_through)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct member members[8];
    for (int i = 0; i < 8; i++) {
        members[i] = (struct member){.db = f.db, .arena = arena_create()};
        pthread_create(&members[i].thread, NULL, write_many, &members[i]);
    }
    for (int i = 0; i < 8; i++) {
        bool ok;
        member_finish(&members[i], &ok);
        check(ok);
    }
    check_int(count_notes(f.db), 8 * 90);
}

TEST(db, writers_who_wait_for_one_sync_share_the_next)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct member members[8];
    long long     before = faulty_disk_sync_count;
    faulty_disk_sync_us = 1000;
    for (int i = 0; i < 8; i++) {
        members[i] = (struct member){.db = f.db, .arena = arena_create()};
        pthread_create(&members[i].thread, NULL, write_many, &members[i]);
    }
    for (int i = 0; i < 8; i++) {
        bool ok;
        member_finish(&members[i], &ok);
        check(ok);
    }
    faulty_disk_sync_us = 0;
    check(faulty_disk_sync_count - before < 8 * 90);
}

TEST(db, a_reader_keeps_its_snapshot)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(db_write(f.db, arena, add_note, "later"));
    struct db_rows rows;
    int64_t        count;
    check_ok(db_query(tx, &rows, "SELECT count(*) FROM note"));
    check(db_next(&rows, &count));
    check_ok(db_done(&rows));
    check_int(count, 0);
    check_int(count_notes(f.db), 1);
}

TEST(db, a_reader_cannot_write)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check(db_exec(tx, "INSERT INTO note (words) VALUES ('x')") != NULL);
}

static void *read_many(void *arg)
{
    struct member *member = arg;
    for (int i = 0; i < 50; i++) (void)count_notes(member->db);
    return NULL;
}

TEST(db, more_threads_than_readers_take_turns)
{
    struct str dir = new_directory(arena);
    struct fixture f FIXTURE = {.arena = arena, .dir = dir};
    check_ok(db_open(arena, (struct db_config){.data_dir = dir, .readers = 2}, &f.db));
    check_ok(db_write(f.db, arena, make_table, NULL));
    struct member members[6];
    for (int i = 0; i < 6; i++) {
        members[i] = (struct member){.db = f.db};
        pthread_create(&members[i].thread, NULL, read_many, &members[i]);
    }
    for (int i = 0; i < 6; i++) pthread_join(members[i].thread, NULL);
    check_int(count_notes(f.db), 0);
}

/* ---- crash ------------------------------------------------------------------------------------------------------- */

struct acknowledging {
    struct db *db;
    int        pipe;
    int        thread;
};

struct numbered { int64_t a, b; };

static struct err *add_pair(struct db_tx *tx, void *arg)
{
    struct numbered *pair = arg;
    return db_exec(tx, "INSERT INTO pair (a, b) VALUES ($1, $2)", pair->a, pair->b);
}

static void *write_and_acknowledge(void *arg)
{
    struct acknowledging *a = arg;
    struct arena         *arena = arena_create();
    for (int64_t i = 0;; i++) {
        arena_reset(arena);
        struct numbered pair = {a->thread, i};
        if (db_write(a->db, arena, add_pair, &pair)) _exit(1);
        if (write(a->pipe, &pair, sizeof pair) != sizeof pair) _exit(2);
    }
}

/* Arguments: the directory, the pipe to acknowledge through. */
static void write_until_killed(char *const arguments[CHILD_ARGUMENTS])
{
    struct arena        *arena = arena_create();
    struct acknowledging writers[4];
    struct db           *db;
    pthread_t            thread;
    if (db_open(arena, (struct db_config){.data_dir = str_of(arguments[0])}, &db)) _exit(3);
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct acknowledging){.db = db, .pipe = atoi(arguments[1]), .thread = i};
        pthread_create(&thread, NULL, write_and_acknowledge, &writers[i]);
    }
    for (;;) pause();
}

TEST(db, what_was_acknowledged_survives_kill_exactly_once)
{
    struct fixture f FIXTURE = fixture_create(arena);
    for (int round = 0; round < 3; round++) {
        db_close(f.db);
        int ends[2];
        check_int(pipe(ends), 0);
        pid_t child = CHILD("write_until_killed", str_z(arena, f.dir), str_z(arena, str_printf(arena, "%d", ends[1])));
        close(ends[1]);
        struct numbered pair;
        int64_t         last[4] = {-1, -1, -1, -1};
        for (int got = 0; got < 200 * (round + 1) && read(ends[0], &pair, sizeof pair) == sizeof pair; got++)
            last[pair.a] = pair.b;
        kill(child, SIGKILL);
        while (read(ends[0], &pair, sizeof pair) == sizeof pair) last[pair.a] = pair.b;
        int status;
        waitpid(child, &status, 0);
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        close(ends[0]);

        check_ok(db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db));
        check_ok(db_check(f.db, arena));
        struct db_tx *tx DB_READ_SCOPE = NULL;
        check_ok(db_read_begin(f.db, arena, &tx));
        for (int thread = 0; thread < 4; thread++) {
            struct db_rows rows;
            int64_t        count;
            check_ok(db_query(tx, &rows, "SELECT count(*) FROM pair WHERE a = $1 AND b <= $2", thread, last[thread]));
            check(db_next(&rows, &count));
            check_ok(db_done(&rows));
            check_int(count, last[thread] + 1);
        }
        db_read_end(&tx);
        check_ok(db_write(f.db, arena, run_text, "DELETE FROM pair"));
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int64_t mode_of(struct arena *arena, struct str dir, const char *name)
{
    struct stat status;
    check_int(stat(str_z(arena, str_printf(arena, STR_FMT "/%s", STR_ARG(dir), name)), &status), 0);
    return status.st_mode & 0777;
}

TEST(db, files_are_for_their_owner_only)
{
    struct fixture f FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct str inner = str_printf(arena, STR_FMT "/a/b", STR_ARG(f.dir));
    check_ok(db_open(arena, (struct db_config){.data_dir = inner}, &f.db));
    check_int(mode_of(arena, inner, "."), 0700);
    check_int(mode_of(arena, inner, "lightfast.db"), 0600);
    check_int(mode_of(arena, inner, "lightfast.db-wal"), 0600);
    check(db_size(f.db) > 0);
}

TEST(db, the_database_is_there_after_reopening)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_ok(db_write(f.db, arena, add_note, "kept"));
    db_close(f.db);
    check(access(str_z(arena, str_printf(arena, STR_FMT "/lightfast.db-wal", STR_ARG(f.dir))), F_OK) != 0);
    check_ok(db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db));
    check_int(count_notes(f.db), 1);
}

TEST(db, a_newer_database_is_refused_and_both_versions_are_named)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_ok(db_write(f.db, arena, run_text,
                      "INSERT INTO schema_version (version, name, applied_at) VALUES (9999, 'x', 0)"));
    db_close(f.db);
    f.db = NULL;
    struct err *err = db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db);
    check(err && err->code == ERR_CONFLICT);
    check(str_find(err->message, STR("9999"), 0) != SIZE_MAX);
    struct str known = str_printf(arena, "up to %d", db_schema_version());
    check(str_find(err->message, known, 0) != SIZE_MAX);
}

TEST(db, a_file_that_is_no_database_is_refused)
{
    struct fixture f FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    FILE *file = fopen(str_z(arena, str_printf(arena, STR_FMT "/lightfast.db", STR_ARG(f.dir))), "w");
    for (int i = 0; i < 1000; i++) fprintf(file, "not a database\n");
    fclose(file);
    check_err(db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db), ERR_UNAVAILABLE);
}

TEST(db, a_first_start_on_a_full_disk_can_be_repeated)
{
    struct fixture f FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    int refused = 0;
    for (faulty_disk_size = 0; faulty_disk_size < 4 << 20 && !f.db; faulty_disk_size += 64 << 10) {
        struct err *err = db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db);
        if (err) check_int(err->code, ERR_UNAVAILABLE);
        refused += err != NULL;
    }
    faulty_disk_size = -1;
    check(refused > 1 && f.db);
    check_ok(db_check(f.db, arena));
    check_ok(db_write(f.db, arena, make_table, NULL));
    check_int(count_notes(f.db), 0);
}

TEST(db, a_directory_has_one_owner)
{
    struct fixture f FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct db_lock *lock, *second;
    check(!db_directory_locked(f.dir));
    check_ok(db_lock_directory(arena, f.dir, &lock));
    check(db_directory_locked(f.dir));
    struct err *err = db_lock_directory(arena, f.dir, &second);
    check(err && err->code == ERR_CONFLICT);
    check(str_find(err->message, str_printf(arena, "process %d", (int)getpid()), 0) != SIZE_MAX);
    db_unlock_directory(lock);
    check(!db_directory_locked(f.dir));
    check_ok(db_lock_directory(arena, f.dir, &lock));
    db_unlock_directory(lock);
}

/* Arguments: the directory, the pipe to tell through that it is locked. */
static void own_directory(char *const arguments[CHILD_ARGUMENTS])
{
    struct db_lock *lock;
    if (db_lock_directory(arena_create(), str_of(arguments[0]), &lock)) _exit(1);
    if (write(atoi(arguments[1]), "x", 1) == 1) pause();
    _exit(1);
}

TEST(db, a_killed_owner_frees_the_directory)
{
    struct fixture f FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct db_lock *lock;
    int ends[2];
    char byte;
    check_int(pipe(ends), 0);
    pid_t child = CHILD("own_directory", str_z(arena, f.dir), str_z(arena, str_printf(arena, "%d", ends[1])));
    check_int(read(ends[0], &byte, 1), 1);
    check_err(db_lock_directory(arena, f.dir, &lock), ERR_CONFLICT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check_ok(db_lock_directory(arena, f.dir, &lock));
    db_unlock_directory(lock);
    close(ends[0]);
    close(ends[1]);
}

/* Argument: the directory. Not as root, to whom permissions mean nothing. */
static void open_read_only(char *const arguments[CHILD_ARGUMENTS])
{
    struct arena *arena = arena_create();
    struct db    *db;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(9);
    struct err *err = db_open(arena, (struct db_config){.data_dir = str_of(arguments[0])}, &db);
    bool        says_why = err && str_find(err_text(arena, err), STR("read-only"), 0) != SIZE_MAX;
    _exit(!err ? 1 : err->code != ERR_UNAVAILABLE ? 2 : !says_why ? 3 : 0);
}

static int open_unprivileged(struct arena *arena, struct str dir)
{
    pid_t child = CHILD("open_read_only", str_z(arena, dir));
    int   status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(db, a_read_only_directory_is_named_as_such)
{
    struct fixture f FIXTURE = fixture_create(arena);
    db_close(f.db);
    f.db = NULL;
    check_int(chmod(f.dir.s, 0555), 0);
    const char *file = str_z(arena, str_printf(arena, STR_FMT "/lightfast.db", STR_ARG(f.dir)));
    check_int(chmod(file, 0444), 0);
    check_int(open_unprivileged(arena, f.dir), 0);
    check_int(chmod(f.dir.s, 0755), 0);
    check_int(unlink(file), 0);
    check_int(chmod(f.dir.s, 0555), 0);
    check_int(open_unprivileged(arena, f.dir), 0);
    check_int(chmod(f.dir.s, 0755), 0);
}

/* ---- backup ------------------------------------------------------------------------------------------------------ */

TEST(db, a_backup_made_while_writing_is_whole_and_can_be_restored)
{
    struct fixture f FIXTURE = fixture_create(arena), g FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct str file = str_printf(arena, STR_FMT "/backup.db", STR_ARG(f.dir));
    struct member members[4];
    check_ok(db_write(f.db, arena, add_note, "before"));
    for (int i = 0; i < 4; i++) {
        members[i] = (struct member){.db = f.db, .arena = arena_create()};
        pthread_create(&members[i].thread, NULL, write_many, &members[i]);
    }
    check_ok(db_backup(f.db, arena, file));
    for (int i = 0; i < 4; i++) {
        bool ok;
        member_finish(&members[i], &ok);
        check(ok);
    }
    check_int(mode_of(arena, f.dir, "backup.db"), 0600);
    check_err(db_backup(f.db, arena, file), ERR_CONFLICT);
    check_ok(db_restore(arena, file, g.dir));
    check_ok(db_open(arena, (struct db_config){.data_dir = g.dir}, &g.db));
    check_ok(db_check(g.db, arena));
    check(count_notes(g.db) >= 1);
    check_int(count_notes(f.db), 1 + 4 * 90);
}

TEST(db, restore_refuses_a_directory_in_use_and_a_foreign_file)
{
    struct fixture f FIXTURE = fixture_create(arena), g FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct str file = str_printf(arena, STR_FMT "/backup.db", STR_ARG(f.dir));
    struct str foreign = str_printf(arena, STR_FMT "/lightfast.lock", STR_ARG(f.dir));
    FILE *stream = fopen(foreign.s, "w");
    fprintf(stream, "123\n");
    fclose(stream);
    check_ok(db_backup(f.db, arena, file));
    check_err(db_restore(arena, file, f.dir), ERR_CONFLICT);
    check_err(db_restore(arena, foreign, g.dir), ERR_INVALID);
    check_err(db_restore(arena, STR("/nonexistent/file"), g.dir), ERR_INVALID);
}

TEST(db, restore_refuses_a_damaged_backup)
{
    struct fixture f FIXTURE = fixture_create(arena), g FIXTURE = {.arena = arena, .dir = new_directory(arena)};
    struct str file = str_printf(arena, STR_FMT "/backup.db", STR_ARG(f.dir));
    check_ok(db_backup(f.db, arena, file));
    int fd = open(file.s, O_RDWR);
    check_int(ftruncate(fd, 8192 * 5), 0);
    close(fd);
    check_err(db_restore(arena, file, g.dir), ERR_INVALID);
    check(access(str_z(arena, str_printf(arena, STR_FMT "/lightfast.db", STR_ARG(g.dir))), F_OK) != 0);
}

TEST(db, the_log_does_not_grow_without_end_under_writing)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct stat status;
    for (int i = 0; i < 250; i++) check_ok(db_write(f.db, arena, add_megabyte, NULL));
    check_int(stat(str_z(arena, str_printf(arena, STR_FMT "/lightfast.db-wal", STR_ARG(f.dir))), &status), 0);
    check(status.st_size < 130 << 20);
}

TEST(db, the_log_is_emptied_in_a_pause)
{
    struct fixture f FIXTURE = fixture_create(arena);
    const char *log = str_z(arena, str_printf(arena, STR_FMT "/lightfast.db-wal", STR_ARG(f.dir)));
    struct stat status = {.st_size = 1};
    check_ok(db_write(f.db, arena, add_note, "x"));
    check(stat(log, &status) == 0 && status.st_size > 0);
    for (int i = 0; i < 3000 && status.st_size > 0; i++) {
        usleep(10000);
        check_int(stat(log, &status), 0);
    }
    check_int(status.st_size, 0);
    check_int(count_notes(f.db), 1);
}

int main(int argc, char **argv)
{
    static const struct child_part parts[] = {
        {"write_until_killed", write_until_killed},
        {"own_directory", own_directory},
        {"open_read_only", open_read_only},
    };
    child_play(parts, sizeof parts / sizeof *parts, argc, argv);
    faulty_disk_install();
    const struct CMUnitTest tests[] = {
        RUN(db, every_kind_of_value_comes_back_as_it_went_in),
        RUN(db, parameters_are_numbered_by_their_number_not_by_appearance),
        RUN(db, a_wrong_number_of_values_is_an_error),
        RUN(db, text_with_nul_is_refused),
        RUN(db, malformed_utf8_does_no_harm),
        RUN(db, the_same_statement_may_be_open_twice),
        RUN(db, more_texts_than_the_cache_holds_still_work),
        RUN(db, a_text_at_a_known_address_is_not_taken_for_the_old_one),
        RUN(db, an_error_in_the_middle_is_not_an_end),
        RUN(db, an_int_that_does_not_fit_is_an_error),
        RUN(db, insert_returning_is_complete_even_if_one_row_is_read),
        RUN(db, changes_are_those_of_the_last_statement),
        RUN(db, a_broken_constraint_is_a_conflict),
        RUN(db, foreign_keys_are_enforced),
        RUN(db, a_query_left_open_does_not_hold_the_transaction),
        RUN(db, a_failing_closure_leaves_nothing),
        RUN(db, a_failing_closure_does_not_take_its_group_mates_with_it),
        RUN(db, a_patient_write_is_done_in_a_pause_and_in_a_rush_without_any),
        RUN(db, a_patient_write_gets_its_turn_between_others_that_never_pause),
        RUN(db, who_does_not_wait_is_told_what_became_of_its_write),
        RUN(db, a_full_disk_fails_the_large_write_alone_and_passes),
        RUN(db, nothing_is_written_outside_a_transaction_that_ended_early),
        RUN(db, a_commit_that_cannot_be_synced_is_an_error),
        RUN(db, every_commit_is_synced),
        RUN(db, writers_from_eight_threads_all_get_through),
        RUN(db, writers_who_wait_for_one_sync_share_the_next),
        RUN(db, a_reader_keeps_its_snapshot),
        RUN(db, a_reader_cannot_write),
        RUN(db, more_threads_than_readers_take_turns),
        RUN(db, what_was_acknowledged_survives_kill_exactly_once),
        RUN(db, files_are_for_their_owner_only),
        RUN(db, the_database_is_there_after_reopening),
        RUN(db, a_newer_database_is_refused_and_both_versions_are_named),
        RUN(db, a_file_that_is_no_database_is_refused),
        RUN(db, a_first_start_on_a_full_disk_can_be_repeated),
        RUN(db, a_directory_has_one_owner),
        RUN(db, a_killed_owner_frees_the_directory),
        RUN(db, a_read_only_directory_is_named_as_such),
        RUN(db, a_backup_made_while_writing_is_whole_and_can_be_restored),
        RUN(db, restore_refuses_a_directory_in_use_and_a_foreign_file),
        RUN(db, restore_refuses_a_damaged_backup),
        RUN(db, the_log_does_not_grow_without_end_under_writing),
        RUN(db, the_log_is_emptied_in_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
