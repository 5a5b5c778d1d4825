/* db_write_test.c - transactions: groups, patience, full disks, syncs, kill -9, the log. */
#include "db_world.h"

#include "base/time.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- transactions ------------------------------------------------------------------------------------------------ */

TEST(db, a_failing_closure_leaves_nothing)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, add_then_fail, "gone"), ERR_NOT_FOUND);
    check_int(count_notes(f.db), 0);
}

static void count_call(void *arg) { ++*(int *)arg; }
static int follow_ups, wakes;

static struct err *add_with_follow_ups(struct db_tx *tx, void *arg)
{
    for (int i = 0; i < 3; i++) {
        db_when_committed(tx, count_call, &follow_ups);
        db_wake_when_committed(tx, count_call, &wakes);
    }
    return arg ? add_then_fail(tx, arg) : add_note(tx, "x");
}

TEST(db, follow_ups_are_called_each_and_wakes_once_after_a_commit_only)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, add_with_follow_ups, "gone"), ERR_NOT_FOUND);
    check_int(follow_ups + wakes, 0);
    check_ok(db_write(f.db, arena, add_with_follow_ups, NULL));
    check_int(follow_ups, 3);
    check_int(wakes, 1);
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

static struct err *add_one_pair(struct db_tx *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, "INSERT INTO pair (a, b) VALUES (1, 2)");
}

static struct err *forget_notes(struct db_tx *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, "DELETE FROM note WHERE id > 0");
}

TEST(db, a_watched_table_has_another_version_after_each_transaction_that_changed_it)
{
    struct fixture f FIXTURE = fixture_create(arena);
    const _Atomic uint64_t *version = db_watch(f.db, "note");
    uint64_t before = atomic_load(version);
    check(db_watch(f.db, "note") == version);
    check_ok(db_write(f.db, arena, add_one_pair, NULL));
    check(atomic_load(version) == before);
    check_ok(db_write(f.db, arena, add_note, "a"));
    uint64_t added = atomic_load(version);
    check(added != before);
    check_ok(db_write(f.db, arena, forget_notes, NULL));
    check(atomic_load(version) != added);
}

TEST(db, a_late_snapshot_is_taken_by_the_first_query)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        count = -1;
    check_ok(db_read_begin_late(f.db, arena, &tx));
    check_ok(db_write(f.db, arena, add_note, "a"));
    for (int i = 0; i < 2; i++) {
        check_ok(db_query(tx, &rows, "SELECT count(*) FROM note"));
        check(db_next(&rows, &count));
        check_ok(db_done(&rows));
        check_int(count, 1);
        check_ok(db_write(f.db, arena, add_note, "b"));
    }
}

struct rush {
    struct db   *db;
    db_write_fn  add; /* what others write again and again until it is over */
    atomic_bool  over;
    atomic_int   written;
};

static void *write_in_a_rush(void *arg)
{
    struct rush *rush = arg;
    while (!atomic_load(&rush->over)) {
        struct arena *arena ARENA_SCOPE = arena_create();
        check_ok(db_write(rush->db, arena, rush->add, "rush"));
        atomic_fetch_add(&rush->written, 1);
    }
    return NULL;
}

/* Two who write so leave no moment in which nobody waits, and are no rush. */
static struct err *add_slowly(struct db_tx *tx, void *arg)
{
    usleep(2000);
    return add_note(tx, arg);
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
    struct rush rush = {.db = f.db, .add = add_note};
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
    struct rush rush = {.db = f.db, .add = add_slowly};
    pthread_t   patient, slow[3];
    for (size_t i = 0; i < 3; i++) check(pthread_create(&slow[i], NULL, write_in_a_rush, &rush) == 0);
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
    check(mentions(err->message, "the disk is full"));
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

TEST(db, writers_from_eight_threads_all_get_through)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct member members[8];
    members_start(members, 8, f.db);
    members_finish(members, 8);
    check_int(count_notes(f.db), 8 * 90);
}

TEST(db, writers_who_wait_for_one_sync_share_the_next)
{
    struct fixture f FIXTURE = fixture_create(arena);
    struct member members[8];
    long long     before = faulty_disk_sync_count;
    faulty_disk_sync_us = 1000;
    members_start(members, 8, f.db);
    members_finish(members, 8);
    faulty_disk_sync_us = 0;
    check(faulty_disk_sync_count - before < 8 * 90);
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
        check_ok(db_write(f.db, arena, sql_run, "DELETE FROM pair"));
    }
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

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
    static const struct child_part parts[] = {{"write_until_killed", write_until_killed}};
    child_play(parts, sizeof parts / sizeof *parts, argc, argv);
    faulty_disk_install();
    const struct CMUnitTest tests[] = {
        RUN(db, a_failing_closure_leaves_nothing),
        RUN(db, follow_ups_are_called_each_and_wakes_once_after_a_commit_only),
        RUN(db, a_failing_closure_does_not_take_its_group_mates_with_it),
        RUN(db, a_watched_table_has_another_version_after_each_transaction_that_changed_it),
        RUN(db, a_late_snapshot_is_taken_by_the_first_query),
        RUN(db, a_patient_write_is_done_in_a_pause_and_in_a_rush_without_any),
        RUN(db, a_patient_write_gets_its_turn_between_others_that_never_pause),
        RUN(db, who_does_not_wait_is_told_what_became_of_its_write),
        RUN(db, a_full_disk_fails_the_large_write_alone_and_passes),
        RUN(db, nothing_is_written_outside_a_transaction_that_ended_early),
        RUN(db, a_commit_that_cannot_be_synced_is_an_error),
        RUN(db, every_commit_is_synced),
        RUN(db, writers_from_eight_threads_all_get_through),
        RUN(db, writers_who_wait_for_one_sync_share_the_next),
        RUN(db, what_was_acknowledged_survives_kill_exactly_once),
        RUN(db, the_log_does_not_grow_without_end_under_writing),
        RUN(db, the_log_is_emptied_in_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
