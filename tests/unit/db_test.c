/* db_test.c - statements and what readers see: values, errors, snapshots. */
#include "db_world.h"

#include "db/sqlite.h"

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

TEST(db, foreign_keys_are_enforced)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_err(db_write(f.db, arena, sql_run, "INSERT INTO workspace_counter (workspace_id) VALUES (99)"), ERR_CONFLICT);
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

/* ---- readers ----------------------------------------------------------------------------------------------------- */

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

static struct err *write_much(struct db_tx *tx, void *arg)
{
    (void)arg;
    struct bytes much = {arena_alloc(tx->arena, 1 << 20), 1 << 20};
    return db_exec(tx, "INSERT INTO note (id, data) VALUES (1, $1)", much);
}

static void read_all(struct db *db, struct arena *arena)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    struct bytes   data;
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(db_query(tx, &rows, "SELECT data FROM note"));
    while (db_next(&rows, &data)) continue;
    check_ok(db_done(&rows));
}

/* Bytes that the only reader has cached. */
static int64_t cached(struct db *db)
{
    int now = 0, most;
    check_int((int64_t)db->idle_count, 1);
    check_int(sqlite3_db_status(db->idle[0]->handle, SQLITE_DBSTATUS_CACHE_USED, &now, &most, 0), SQLITE_OK);
    return now;
}

TEST(db, a_reader_gives_its_cache_back_when_it_was_not_used_for_long)
{
    struct fixture f FIXTURE = fixture_create(arena);
    check_ok(db_write(f.db, arena, write_much, NULL));
    db_checkpoint_stop(f.db); /* it would settle them in between */
    read_all(f.db, arena);
    int64_t full = cached(f.db);
    check(full > 1 << 20);
    db_readers_settle(f.db); /* used since the last time: there was none */
    check_int(cached(f.db), full);
    read_all(f.db, arena);
    db_readers_settle(f.db);
    check_int(cached(f.db), full);
    db_readers_settle(f.db);
    check(cached(f.db) < 1 << 16);
    read_all(f.db, arena);
    check(cached(f.db) > 1 << 20);
    check_ok(db_checkpoint_start(f.db, arena));
}

int main(void)
{
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
        RUN(db, a_reader_keeps_its_snapshot),
        RUN(db, a_reader_cannot_write),
        RUN(db, more_threads_than_readers_take_turns),
        RUN(db, a_reader_gives_its_cache_back_when_it_was_not_used_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
