/* sql.h - what a test looks at and changes behind the back of the rooms. */
#pragma once
#include "check.h"

#include "db/db.h"

/* The rows of the answer's one column joined by ';', NULL as "-". */
static inline struct str sql_ask(struct db *db, struct arena *arena, const char *sql)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    struct str     text;
    struct buf     all = buf_in(arena);
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(db_query(tx, &rows, sql));
    for (bool first = true; db_next(&rows, &text); first = false) {
        if (!first) buf_char(&all, ';');
        buf_str_add(&all, text.s ? text : STR("-"));
    }
    check_ok(db_done(&rows));
    return buf_str(&all);
}

/* The one number that is the answer. */
static inline int64_t sql_count(struct db *db, struct arena *arena, const char *sql)
{
    int64_t n = -1;
    check(str_to_int(sql_ask(db, arena, sql), &n));
    return n;
}

static inline struct err *sql_run(struct db_tx *tx, void *sql) { return db_exec_values(tx, sql, NULL, 0); }
static inline void sql_write(struct db *db, struct arena *arena, const char *sql)
{
    check_ok(db_write(db, arena, sql_run, (void *)sql));
}

/* The same of a world: whatever has `db` and `arena`. */
#define ask(world, sql)       sql_ask((world)->db, (world)->arena, (sql))
#define count(world, sql)     sql_count((world)->db, (world)->arena, (sql))
#define write_sql(world, sql) sql_write((world)->db, (world)->arena, (sql))
