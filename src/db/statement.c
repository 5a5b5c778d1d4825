/* statement.c - prepared statements, cached per connection by their text; parameters in, columns out. */
#include "db/sqlite.h"

#include "base/hash.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct statement {
    struct statement *next; /* in the bucket */
    sqlite3_stmt     *compiled;
    uint64_t          hash, used_at;
    bool              open;     /* between db_query and db_done: a second use of the text gets a second copy */
    bool              finished; /* stepped to its end */
    bool              writes;
    int               columns;
    size_t            parameters;
    int               index[DB_MAX_PARAMETERS]; /* of $1, $2 ...: "$2" is a name to SQLite, numbered by appearance */
    char              sql[];
};

static size_t pointer_slot(const char *sql)
{
    return (size_t)(((uint64_t)(uintptr_t)sql * 0x9E3779B97F4A7C15u) >> 54) % DB_POINTER_SLOTS;
}

static struct statement *find_idle(struct db_connection *connection, const char *sql, uint64_t hash)
{
    for (struct statement *s = connection->buckets[hash % DB_STATEMENT_BUCKETS]; s; s = s->next)
        if (!s->open && s->hash == hash && strcmp(s->sql, sql) == 0) return s;
    return NULL;
}

static void forget(struct db_connection *connection, struct statement **at)
{
    struct statement *statement = *at;
    *at = statement->next;
    for (size_t i = 0; i < DB_POINTER_SLOTS; i++)
        if (connection->by_pointer[i] == statement) connection->by_pointer[i] = NULL;
    sqlite3_finalize(statement->compiled);
    free(statement);
    connection->statement_count--;
}

/* Only texts that are not from a small set get here, so a look at all of them is cheap enough. */
static void forget_coldest(struct db_connection *connection)
{
    struct statement **coldest = NULL;
    for (size_t i = 0; i < DB_STATEMENT_BUCKETS; i++)
        for (struct statement **at = &connection->buckets[i]; *at; at = &(*at)->next)
            if (!(*at)->open && (!coldest || (*at)->used_at < (*coldest)->used_at)) coldest = at;
    if (coldest) forget(connection, coldest);
}

void db_statements_destroy(struct db_connection *connection)
{
    for (size_t i = 0; i < DB_STATEMENT_BUCKETS; i++)
        while (connection->buckets[i]) forget(connection, &connection->buckets[i]);
}

static struct err *number_parameters(struct arena *arena, struct statement *statement)
{
    int count = sqlite3_bind_parameter_count(statement->compiled);
    if (count > DB_MAX_PARAMETERS)
        return err_new(arena, ERR_INTERNAL, "more than %d parameters in: %s", DB_MAX_PARAMETERS, statement->sql);
    statement->parameters = (size_t)count;
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", i + 1);
        statement->index[i] = sqlite3_bind_parameter_index(statement->compiled, name);
        if (!statement->index[i]) return err_new(arena, ERR_INTERNAL, "no parameter %s in: %s", name, statement->sql);
    }
    return NULL;
}

static struct err *compile(struct db_connection *connection, struct arena *arena, struct statement *statement)
{
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(connection->handle, statement->sql, -1, SQLITE_PREPARE_PERSISTENT, &statement->compiled,
                                &rest);
    if (rc != SQLITE_OK) return db_sqlite_error(arena, connection->handle, rc, statement->sql);
    if (!statement->compiled || str_trim(str_of(rest)).n > 0)
        return err_new(arena, ERR_INTERNAL, "not exactly one statement: %s", statement->sql);
    statement->writes = !sqlite3_stmt_readonly(statement->compiled);
    statement->columns = sqlite3_column_count(statement->compiled);
    return number_parameters(arena, statement);
}

static struct err *prepare(struct db_connection *connection, struct arena *arena, const char *sql, uint64_t hash,
                           struct statement **prepared)
{
    if (connection->statement_count >= DB_STATEMENT_LIMIT) forget_coldest(connection);
    size_t            n = strlen(sql) + 1;
    struct statement *statement = calloc(1, sizeof *statement + n);
    if (!statement) return err_new(arena, ERR_UNAVAILABLE, "out of memory");
    memcpy(statement->sql, sql, n);
    struct err *err = compile(connection, arena, statement);
    if (err) {
        sqlite3_finalize(statement->compiled);
        free(statement);
        return err;
    }
    statement->hash = hash;
    statement->next = connection->buckets[hash % DB_STATEMENT_BUCKETS];
    connection->buckets[hash % DB_STATEMENT_BUCKETS] = statement;
    connection->statement_count++;
    *prepared = statement;
    return NULL;
}

static struct err *take(struct db_connection *connection, struct arena *arena, const char *sql,
                        struct statement **taken)
{
    size_t            slot = pointer_slot(sql);
    struct statement *statement = connection->by_pointer[slot];
    if (!statement || statement->open || strcmp(statement->sql, sql) != 0) {
        uint64_t hash = hash_str(str_of(sql));
        statement = find_idle(connection, sql, hash);
        if (!statement) TRY(prepare(connection, arena, sql, hash, &statement));
        connection->by_pointer[slot] = statement;
    }
    assert(statement);
    statement->used_at = ++connection->clock;
    statement->open = true;
    statement->finished = false;
    connection->open++;
    *taken = statement;
    return NULL;
}

static void put_back(struct db_connection *connection, struct statement *statement)
{
    sqlite3_reset(statement->compiled); /* repeats the error of the last step, which has been reported */
    statement->open = false;
    connection->open--;
}

void db_statements_close_open(struct db_connection *connection)
{
    for (size_t i = 0; i < DB_STATEMENT_BUCKETS && connection->open > 0; i++)
        for (struct statement *s = connection->buckets[i]; s; s = s->next)
            if (s->open) put_back(connection, s);
}

/* ---- parameters ------------------------------------------------------------------------------------------------ */

static int bind_value(sqlite3_stmt *compiled, int index, const struct db_value *value, sqlite3_destructor_type lifetime)
{
    switch (value->kind) {
    case DB_KIND_NULL: return sqlite3_bind_null(compiled, index);
    case DB_KIND_INT: return sqlite3_bind_int64(compiled, index, value->i);
    case DB_KIND_REAL: return sqlite3_bind_double(compiled, index, value->r);
    case DB_KIND_TEXT:
        return sqlite3_bind_text64(compiled, index, value->text.s, value->text.n, lifetime, SQLITE_UTF8);
    case DB_KIND_BYTES: return sqlite3_bind_blob64(compiled, index, value->bytes.p, value->bytes.n, lifetime);
    }
    return SQLITE_MISUSE;
}

static struct err *bind_all(struct db_tx *tx, struct statement *statement, const struct db_value *values, size_t n,
                            sqlite3_destructor_type lifetime)
{
    if (n != statement->parameters)
        return err_new(tx->arena, ERR_INTERNAL, "%zu values for %zu parameters in: %s", n, statement->parameters,
                       statement->sql);
    for (size_t i = 0; i < n; i++) {
        const struct db_value *value = &values[i];
        /* PostgreSQL cannot store it, and SQLite's own text functions end there. */
        if (value->kind == DB_KIND_TEXT && memchr(value->text.s, 0, value->text.n))
            return err_new(tx->arena, ERR_INVALID, "text contains a NUL character");
        int rc = bind_value(statement->compiled, statement->index[i], value, lifetime);
        if (rc != SQLITE_OK) return db_sqlite_error(tx->arena, tx->connection->handle, rc, statement->sql);
    }
    return NULL;
}

/* After a full disk or an I/O error SQLite may have rolled back everything; what came now would commit by itself. */
static struct err *check_alive(const struct db_tx *tx)
{
    if (db_in_transaction(tx->connection)) return NULL;
    return err_new(tx->arena, ERR_UNAVAILABLE, "an earlier error has ended the transaction");
}

static struct err *start(struct db_tx *tx, const char *sql, const struct db_value *values, size_t n,
                         sqlite3_destructor_type lifetime, struct statement **started)
{
    TRY(check_alive(tx));
    struct statement *statement;
    TRY(take(tx->connection, tx->arena, sql, &statement));
    struct err *err = bind_all(tx, statement, values, n, lifetime);
    if (err) {
        put_back(tx->connection, statement);
        return err;
    }
    *started = statement;
    return NULL;
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static struct err *run_to_end(struct db_connection *connection, struct arena *arena, struct statement *statement)
{
    int rc;
    do rc = sqlite3_step(statement->compiled);
    while (rc == SQLITE_ROW);
    return rc == SQLITE_DONE ? NULL : db_sqlite_error(arena, connection->handle, rc, statement->sql);
}

struct err *db_command(struct db_connection *connection, struct arena *arena, const char *sql)
{
    struct statement *statement;
    TRY(take(connection, arena, sql, &statement));
    struct err *err = run_to_end(connection, arena, statement);
    put_back(connection, statement);
    return err;
}

struct err *db_exec_values(struct db_tx *tx, const char *sql, const struct db_value *values, size_t n)
{
    struct statement *statement;
    TRY(start(tx, sql, values, n, SQLITE_STATIC, &statement));
    struct err *err = run_to_end(tx->connection, tx->arena, statement);
    tx->connection->changes = err ? 0 : sqlite3_changes64(tx->connection->handle);
    put_back(tx->connection, statement);
    return err;
}

int64_t db_changes(const struct db_tx *tx)
{
    return tx->connection->changes;
}

int64_t db_inserted(const struct db_tx *tx)
{
    return sqlite3_last_insert_rowid(tx->connection->handle);
}

struct err *db_query_values(struct db_tx *tx, struct db_rows *rows, const char *sql, const struct db_value *values,
                            size_t n)
{
    struct statement *statement = NULL;
    *rows = (struct db_rows){.tx = tx};
    /* TRANSIENT: the rows may be read after the function that named the values has returned. */
    rows->err = start(tx, sql, values, n, SQLITE_TRANSIENT, &statement);
    rows->statement = statement;
    return rows->err;
}

static struct err *read_column(struct db_tx *tx, struct statement *statement, int column,
                               const struct db_target *target)
{
    sqlite3_stmt *compiled = statement->compiled;
    switch (target->kind) {
    case DB_TO_INT64: *(int64_t *)target->at = sqlite3_column_int64(compiled, column); return NULL;
    case DB_TO_BOOL: *(bool *)target->at = sqlite3_column_int64(compiled, column) != 0; return NULL;
    case DB_TO_DOUBLE: *(double *)target->at = sqlite3_column_double(compiled, column); return NULL;
    case DB_TO_INT: {
        int64_t value = sqlite3_column_int64(compiled, column);
        if (value < INT_MIN || value > INT_MAX)
            return err_new(tx->arena, ERR_INTERNAL, "column %d does not fit an int in: %s", column, statement->sql);
        *(int *)target->at = (int)value;
        return NULL;
    }
    case DB_TO_STR:
    case DB_TO_BYTES: break;
    }
    bool        is_null = sqlite3_column_type(compiled, column) == SQLITE_NULL;
    const void *content = target->kind == DB_TO_STR ? (const void *)sqlite3_column_text(compiled, column)
                                                    : sqlite3_column_blob(compiled, column);
    size_t      n = (size_t)sqlite3_column_bytes(compiled, column);
    if (!is_null && !content && (n > 0 || target->kind == DB_TO_STR))
        return err_new(tx->arena, ERR_UNAVAILABLE, "out of memory");
    void *copy = is_null ? NULL : arena_alloc_raw(tx->arena, n);
    if (n) memcpy(copy, content, n);
    if (target->kind == DB_TO_STR)
        *(struct str *)target->at = (struct str){copy, n};
    else
        *(struct bytes *)target->at = (struct bytes){copy, n};
    return NULL;
}

static struct err *next_row(struct db_rows *rows, struct statement *statement, const struct db_target *targets,
                            size_t n)
{
    struct db_tx *tx = rows->tx;
    TRY(check_alive(tx));
    if ((size_t)statement->columns != n)
        return err_new(tx->arena, ERR_INTERNAL, "%zu targets for %d columns in: %s", n, statement->columns,
                       statement->sql);
    int rc = sqlite3_step(statement->compiled);
    if (rc == SQLITE_DONE) statement->finished = true;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return db_sqlite_error(tx->arena, tx->connection->handle, rc, statement->sql);
    for (size_t i = 0; rc == SQLITE_ROW && i < n; i++) TRY(read_column(tx, statement, (int)i, &targets[i]));
    return NULL;
}

bool db_next_targets(struct db_rows *rows, const struct db_target *targets, size_t n)
{
    struct statement *statement = rows->statement;
    if (!statement || rows->err || statement->finished) return false;
    rows->err = next_row(rows, statement, targets, n);
    return !rows->err && !statement->finished;
}

struct err *db_done(struct db_rows *rows)
{
    struct statement *statement = rows->statement;
    if (!statement) return rows->err;
    /* INSERT ... RETURNING checks foreign keys after its last row, so it is not enough to have read the first. */
    if (statement->writes && !statement->finished && !rows->err) {
        rows->err = check_alive(rows->tx);
        if (!rows->err) rows->err = run_to_end(rows->tx->connection, rows->tx->arena, statement);
    }
    put_back(rows->tx->connection, statement);
    rows->statement = NULL;
    return rows->err;
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */

struct str db_like(struct arena *arena, struct str text)
{
    struct buf pattern = buf_in(arena);
    if (!text.n) return STR("");
    buf_char(&pattern, '%');
    for (size_t i = 0; i < text.n; i++) {
        if (memchr("%_\\", text.s[i], 3)) buf_char(&pattern, '\\');
        buf_char(&pattern, text.s[i]);
    }
    buf_char(&pattern, '%');
    return str_lower(arena, buf_str(&pattern));
}
