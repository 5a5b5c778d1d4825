/* db.h - SQL on SQLite (and, later, PostgreSQL): one API, the same SQL text.
 *
 * Statements stay in the subset that SQLite 3.40 and PostgreSQL 14 share: $1, $2 ... as parameters, ON CONFLICT,
 * RETURNING, CTEs; booleans as 0/1, times as BIGINT milliseconds, JSON as TEXT. They are prepared once per connection
 * and cached by their text, so the text must be a constant or come from a small set.
 *
 *     TRY(db_exec(tx, "UPDATE cluster SET status = $2 WHERE workspace_id = $1 AND id = $3", ws, STR("closed"), id));
 *
 *     struct db_rows rows;
 *     int64_t id; struct str title;
 *     TRY(db_query(tx, &rows, "SELECT id, title FROM observation WHERE workspace_id = $1", ws));
 *     while (db_next(&rows, &id, &title)) ...
 *     TRY(db_done(&rows));
 *
 * Parameters may be bool, int, int64_t, double, struct str (s == NULL: SQL NULL), const char * (NULL: SQL NULL),
 * struct bytes and DB_NULL; results int64_t *, int *, double *, bool *, struct str *, struct bytes *. SQL NULL reads
 * as 0, or as a str or bytes with a NULL pointer. Text and bytes are copied into the transaction's arena: in a long
 * loop use arena_mark and arena_rewind around the body.
 */
#pragma once
#include "base/err.h"

struct db;
struct db_tx {
    struct arena *arena; /* results and errors live here */
    struct db    *db;
    struct db_connection *connection;
    bool          writing;
    struct db_follow_up  *follow_ups; /* of db_when_committed, newest first */
    struct db_follow_up  *wakes;      /* of db_wake_when_committed */
};

struct db_config {
    struct str data_dir;   /* the database is data_dir/lightfast.db */
    size_t     readers;    /* at most this many read transactions at once; more wait. 0 = 4 */
};

/* Open or create the database in config.data_dir, migrate it to this build's version. The caller holds the
 * directory's lock (db_lock_directory). `arena` owns the error only.
 * Errors: ERR_CONFLICT if the database comes from a newer version; ERR_UNAVAILABLE if it cannot be written or read. */
MUST_CHECK struct err *db_open(struct arena *arena, struct db_config config, struct db **db);
void db_close(struct db *db); /* waits for running transactions, truncates the write-ahead log */

/* The directory's lock: held until db_unlock_directory or the end of the process, however that comes.
 * Creates the directory (0700) if it is missing. Errors: ERR_CONFLICT when another process holds it (message names its
 * process id), ERR_UNAVAILABLE when the directory cannot be written. */
struct db_lock;
MUST_CHECK struct err *db_lock_directory(struct arena *arena, struct str data_dir, struct db_lock **lock);
void db_unlock_directory(struct db_lock *lock);
/* True if another process holds the lock at this moment. */
bool db_directory_locked(struct str data_dir);

/* Run fn in a write transaction and return when it is durable (fsync). fn may run more than once, on another thread,
 * and has no effect outside the database until db_write has returned NULL. Its error, or the commit's, is returned
 * and rolls back fn's changes alone. Several writers are committed together (see DESIGN in write.c).
 * Errors of its own: ERR_UNAVAILABLE (full disk, I/O error, read-only). */
typedef struct err *(*db_write_fn)(struct db_tx *tx, void *arg);
MUST_CHECK struct err *db_write(struct db *db, struct arena *arena, db_write_fn fn, void *arg);
/* The same without waiting: done(arg, error) is called when fn's changes are durable, or are not and will not be, on a
 * thread that others wait for: it must be short, and must not write. arena and arg live until then. */
void db_write_later(struct db *db, struct arena *arena, db_write_fn fn, void *arg, void (*done)(void *arg, struct err *err));
/* Until nobody writes or waits to, and every done has returned. */
void db_writers_wait(struct db *db);
/* From now on db_write of this thread waits for a pause in the writing of other threads, for half a second at most. For
 * work that nobody waits for. */
void db_write_patiently(void);

/* Call fn(arg) once what this transaction wrote is committed, never if it is not; on the thread that called db_write,
 * before db_write returns. For effects in memory only: the process may end between the commit and the call. */
void db_when_committed(struct db_tx *tx, void (*fn)(void *arg), void *arg);
/* The same, after all of those, and for the same fn and arg again still one call: for waking a thread. */
void db_wake_when_committed(struct db_tx *tx, void (*fn)(void *arg), void *arg);

/* The engine that works on this database's queue in this process, NULL without one: what is written in a transaction
 * can reach it. Set before threads use the database. */
void  db_attach(struct db *db, void *engine);
void *db_attached(const struct db *db);

/* A read transaction: one consistent snapshot, taken now, until it ends. Waits when all readers are busy, so a thread
 * that holds one must not wait for a thread that needs one. Whatever it prepared or left open ends with it.
 *     struct db_tx *tx DB_READ_SCOPE = NULL;
 *     TRY(db_read_begin(db, arena, &tx));  */
MUST_CHECK struct err *db_read_begin(struct db *db, struct arena *arena, struct db_tx **tx);
/* The same, with the snapshot taken by its first query: it costs next to nothing if there is none. */
MUST_CHECK struct err *db_read_begin_late(struct db *db, struct arena *arena, struct db_tx **tx);
void db_read_end(struct db_tx **tx); /* NULL inside is fine */
#define DB_READ_SCOPE __attribute__((cleanup(db_read_end)))

/* Counts the transactions that changed a table: what was read from it after the count was looked at still holds while the
 * count is the same. At most DB_WATCHES tables, before threads use the database; lives as long as db. A DELETE without a
 * WHERE is not noticed. */
enum { DB_WATCHES = 4 };
const _Atomic uint64_t *db_watch(struct db *db, const char *table);

/* ---- statements ------------------------------------------------------------------------------------------------ */

enum db_kind { DB_KIND_NULL, DB_KIND_INT, DB_KIND_REAL, DB_KIND_TEXT, DB_KIND_BYTES };
struct db_value {
    enum db_kind kind;
    union {
        int64_t      i;
        double       r;
        struct str   text;
        struct bytes bytes;
    };
};
struct db_null { char unused; };
#define DB_NULL ((struct db_null){0})

enum db_target_kind { DB_TO_INT64, DB_TO_INT, DB_TO_DOUBLE, DB_TO_BOOL, DB_TO_STR, DB_TO_BYTES };
struct db_target {
    enum db_target_kind kind;
    void               *at;
};

struct db_rows {
    struct db_tx *tx;
    void         *statement;
    struct err   *err;
};

/* INSERT, UPDATE, DELETE; also DDL in migrations. */
MUST_CHECK struct err *db_exec_values(struct db_tx *tx, const char *sql, const struct db_value *values, size_t n);
/* Rows changed by the last db_exec of this transaction. */
int64_t db_changes(const struct db_tx *tx);
/* The number that the database gave the row which the last db_exec of this transaction inserted (the column {rowid} of a
 * migration); without meaning if it inserted none. Half of an INSERT's time is saved where RETURNING would ask for it. */
int64_t db_inserted(const struct db_tx *tx);

MUST_CHECK struct err *db_query_values(struct db_tx *tx, struct db_rows *rows, const char *sql,
                                       const struct db_value *values, size_t n);
/* False at the end and on error; db_done tells which, and must be called in every case. After `break` too. */
bool db_next_targets(struct db_rows *rows, const struct db_target *targets, size_t n);
MUST_CHECK struct err *db_done(struct db_rows *rows);


#define db_exec(tx, ...) DB_CALL_(db_exec_values, tx, __VA_ARGS__)
#define db_query(tx, rows, ...) DB_CALL2_(db_query_values, tx, rows, __VA_ARGS__)
#define db_next(rows, ...) \
    db_next_targets((rows), (const struct db_target[]){DB_MAP_(DB_TARGET_, __VA_ARGS__)}, DB_COUNT_(__VA_ARGS__))

/* The pattern of "contains this text, in any case" for: lower(x) LIKE $1 ESCAPE '\'. Empty for an empty text. */
struct str db_like(struct arena *arena, struct str text);

/* ---- upkeep ---------------------------------------------------------------------------------------------------- */

/* Write a consistent copy of the whole database to a new file while others go on reading and writing.
 * Errors: ERR_CONFLICT if the file exists. */
MUST_CHECK struct err *db_backup(struct db *db, struct arena *arena, struct str file);

/* Put a backup into a data directory that has no database. Errors: ERR_INVALID if the file is not a Lightfast database,
 * ERR_CONFLICT if the directory has a database already or the file is of a newer version. */
MUST_CHECK struct err *db_restore(struct arena *arena, struct str file, struct str data_dir);

/* Full check of the file's structure (PRAGMA integrity_check); the first problem is the error's message. */
MUST_CHECK struct err *db_check(struct db *db, struct arena *arena);

int     db_schema_version(void);   /* of this build: the number of the last migration */
int64_t db_size(struct db *db);    /* bytes of database and log files */

/* ---- behind the macros ----------------------------------------------------------------------------------------- */

static inline struct db_value db_of_int(int64_t i) { return (struct db_value){.kind = DB_KIND_INT, .i = i}; }
static inline struct db_value db_of_real(double r) { return (struct db_value){.kind = DB_KIND_REAL, .r = r}; }
static inline struct db_value db_of_str(struct str t)
{
    return (struct db_value){.kind = t.s ? DB_KIND_TEXT : DB_KIND_NULL, .text = t};
}
static inline struct db_value db_of_z(const char *z) { return db_of_str(str_of(z)); }
static inline struct db_value db_of_bytes(struct bytes b)
{
    return (struct db_value){.kind = b.p ? DB_KIND_BYTES : DB_KIND_NULL, .bytes = b};
}
static inline struct db_value db_of_null(struct db_null n) { (void)n; return (struct db_value){.kind = DB_KIND_NULL}; }

#define DB_VALUE_(x)                                                                                              \
    _Generic((x), bool: db_of_int, int: db_of_int, unsigned: db_of_int, long: db_of_int, long long: db_of_int,     \
             unsigned long: db_of_int, unsigned long long: db_of_int, double: db_of_real, float: db_of_real,       \
             struct str: db_of_str, char *: db_of_z, const char *: db_of_z, struct bytes: db_of_bytes,             \
             struct db_null: db_of_null)(x),

static inline struct db_target db_to_int64(int64_t *p) { return (struct db_target){DB_TO_INT64, p}; }
static inline struct db_target db_to_int(int *p) { return (struct db_target){DB_TO_INT, p}; }
static inline struct db_target db_to_double(double *p) { return (struct db_target){DB_TO_DOUBLE, p}; }
static inline struct db_target db_to_bool(bool *p) { return (struct db_target){DB_TO_BOOL, p}; }
static inline struct db_target db_to_str(struct str *p) { return (struct db_target){DB_TO_STR, p}; }
static inline struct db_target db_to_bytes(struct bytes *p) { return (struct db_target){DB_TO_BYTES, p}; }

#define DB_TARGET_(x)                                                                                             \
    _Generic((x), int64_t *: db_to_int64, int *: db_to_int, double *: db_to_double, bool *: db_to_bool,            \
             struct str *: db_to_str, struct bytes *: db_to_bytes)(x),

/* DB_CALL_(f, tx, sql) and DB_CALL_(f, tx, sql, a, b ...): a statement has 0 to 39 parameters. */
#define DB_CALL_(f, tx, ...) DB_PICK_(__VA_ARGS__)(f, tx, __VA_ARGS__)
#define DB_NONE_(f, tx, sql) f(tx, sql, NULL, 0)
#define DB_SOME_(f, tx, sql, ...) \
    f(tx, sql, (const struct db_value[]){DB_MAP_(DB_VALUE_, __VA_ARGS__)}, DB_COUNT_(__VA_ARGS__))
#define DB_CALL2_(f, tx, rows, ...) DB_PICK2_(__VA_ARGS__)(f, tx, rows, __VA_ARGS__)
#define DB_NONE2_(f, tx, rows, sql) f(tx, rows, sql, NULL, 0)
#define DB_SOME2_(f, tx, rows, sql, ...) \
    f(tx, rows, sql, (const struct db_value[]){DB_MAP_(DB_VALUE_, __VA_ARGS__)}, DB_COUNT_(__VA_ARGS__))

#define DB_COUNT_(...) DB_COUNT__(__VA_ARGS__, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, \
    24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define DB_COUNT__(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, \
    _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37, _38, _39, _40, n, ...) n
#define DB_PICK__(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, _18, _19, _20, \
    _21, _22, _23, _24, _25, _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37, _38, _39, _40, n, ...) n
#define DB_PICK_(...) DB_PICK__(__VA_ARGS__, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, \
    DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, \
    DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, \
    DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, DB_SOME_, \
    DB_NONE_, DB_NONE_)
#define DB_PICK2_(...) DB_PICK__(__VA_ARGS__, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, \
    DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, \
    DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, \
    DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_SOME2_, \
    DB_SOME2_, DB_SOME2_, DB_SOME2_, DB_NONE2_, DB_NONE2_)
#define DB_CAT_(a, b) a##b
#define DB_JOIN_(a, b) DB_CAT_(a, b)
#define DB_MAP_(m, ...) DB_JOIN_(DB_MAP_, DB_COUNT_(__VA_ARGS__))(m, __VA_ARGS__)
#define DB_MAP_1(m, x) m(x)
#define DB_MAP_2(m, x, ...) m(x) DB_MAP_1(m, __VA_ARGS__)
#define DB_MAP_3(m, x, ...) m(x) DB_MAP_2(m, __VA_ARGS__)
#define DB_MAP_4(m, x, ...) m(x) DB_MAP_3(m, __VA_ARGS__)
#define DB_MAP_5(m, x, ...) m(x) DB_MAP_4(m, __VA_ARGS__)
#define DB_MAP_6(m, x, ...) m(x) DB_MAP_5(m, __VA_ARGS__)
#define DB_MAP_7(m, x, ...) m(x) DB_MAP_6(m, __VA_ARGS__)
#define DB_MAP_8(m, x, ...) m(x) DB_MAP_7(m, __VA_ARGS__)
#define DB_MAP_9(m, x, ...) m(x) DB_MAP_8(m, __VA_ARGS__)
#define DB_MAP_10(m, x, ...) m(x) DB_MAP_9(m, __VA_ARGS__)
#define DB_MAP_11(m, x, ...) m(x) DB_MAP_10(m, __VA_ARGS__)
#define DB_MAP_12(m, x, ...) m(x) DB_MAP_11(m, __VA_ARGS__)
#define DB_MAP_13(m, x, ...) m(x) DB_MAP_12(m, __VA_ARGS__)
#define DB_MAP_14(m, x, ...) m(x) DB_MAP_13(m, __VA_ARGS__)
#define DB_MAP_15(m, x, ...) m(x) DB_MAP_14(m, __VA_ARGS__)
#define DB_MAP_16(m, x, ...) m(x) DB_MAP_15(m, __VA_ARGS__)
#define DB_MAP_17(m, x, ...) m(x) DB_MAP_16(m, __VA_ARGS__)
#define DB_MAP_18(m, x, ...) m(x) DB_MAP_17(m, __VA_ARGS__)
#define DB_MAP_19(m, x, ...) m(x) DB_MAP_18(m, __VA_ARGS__)
#define DB_MAP_20(m, x, ...) m(x) DB_MAP_19(m, __VA_ARGS__)
#define DB_MAP_21(m, x, ...) m(x) DB_MAP_20(m, __VA_ARGS__)
#define DB_MAP_22(m, x, ...) m(x) DB_MAP_21(m, __VA_ARGS__)
#define DB_MAP_23(m, x, ...) m(x) DB_MAP_22(m, __VA_ARGS__)
#define DB_MAP_24(m, x, ...) m(x) DB_MAP_23(m, __VA_ARGS__)
#define DB_MAP_25(m, x, ...) m(x) DB_MAP_24(m, __VA_ARGS__)
#define DB_MAP_26(m, x, ...) m(x) DB_MAP_25(m, __VA_ARGS__)
#define DB_MAP_27(m, x, ...) m(x) DB_MAP_26(m, __VA_ARGS__)
#define DB_MAP_28(m, x, ...) m(x) DB_MAP_27(m, __VA_ARGS__)
#define DB_MAP_29(m, x, ...) m(x) DB_MAP_28(m, __VA_ARGS__)
#define DB_MAP_30(m, x, ...) m(x) DB_MAP_29(m, __VA_ARGS__)
#define DB_MAP_31(m, x, ...) m(x) DB_MAP_30(m, __VA_ARGS__)
#define DB_MAP_32(m, x, ...) m(x) DB_MAP_31(m, __VA_ARGS__)
#define DB_MAP_33(m, x, ...) m(x) DB_MAP_32(m, __VA_ARGS__)
#define DB_MAP_34(m, x, ...) m(x) DB_MAP_33(m, __VA_ARGS__)
#define DB_MAP_35(m, x, ...) m(x) DB_MAP_34(m, __VA_ARGS__)
#define DB_MAP_36(m, x, ...) m(x) DB_MAP_35(m, __VA_ARGS__)
#define DB_MAP_37(m, x, ...) m(x) DB_MAP_36(m, __VA_ARGS__)
#define DB_MAP_38(m, x, ...) m(x) DB_MAP_37(m, __VA_ARGS__)
#define DB_MAP_39(m, x, ...) m(x) DB_MAP_38(m, __VA_ARGS__)
#define DB_MAP_40(m, x, ...) m(x) DB_MAP_39(m, __VA_ARGS__)
