/* migrate.c - numbered SQL files, embedded in the program, applied in order and once each, in a transaction of their
 * own. Forward only: an older program refuses a newer database. */
#include "db/sqlite.h"

#include "base/log.h"
#include "base/time.h"

struct migration {
    int         version;
    const char *name;
    const char *sql, *end;
};

// clang-format off
#define MIGRATIONS(X)        \
    X(1, 0001, ground)       \
    X(2, 0002, memory)       \
    X(3, 0003, search_log)   \
    X(4, 0004, flow)         \
    X(5, 0005, reception)    \
    X(6, 0006, activity)     \
    X(7, 0007, jobs)         \
    X(8, 0008, cluster_recent) \
    X(9, 0009, items)        \
    X(10, 0010, metrics)     \
    X(11, 0011, models)      \
    X(12, 0012, delivery_keys) \
    X(13, 0013, source_state) \
    X(14, 0014, answers)     \
    X(15, 0015, health)      \
    X(16, 0016, former_names) \
    X(17, 0017, body_digest) \
    X(18, 0018, flow_pending) \
    X(19, 0019, known_deliveries) \
    X(20, 0020, unread_indexes)

#define DECLARE(version, number, name) extern const char file_##number##_##name##_sql[], file_##number##_##name##_sql_end[];
MIGRATIONS(DECLARE)
#define ROW(version, number, name) {version, #name, file_##number##_##name##_sql, file_##number##_##name##_sql_end},
static const struct migration migrations[] = {MIGRATIONS(ROW)};
enum { MIGRATION_COUNT = sizeof migrations / sizeof *migrations };

/* What the dialects differ in. AUTOINCREMENT: ids of deleted workspaces and keys do not come back. */
static const struct { struct str word, sqlite; } dialect[] = {
    {{"{rowid}", 7},      {"INTEGER PRIMARY KEY AUTOINCREMENT", 33}},
    {{"{clustered}", 11}, {" WITHOUT ROWID", 14}},
    {{"{bytes}", 7},      {"BLOB", 4}},
    {{"{real}", 6},       {"REAL", 4}},
};
// clang-format on

int db_schema_version(void)
{
    return migrations[MIGRATION_COUNT - 1].version;
}

static const char *in_dialect(struct arena *arena, const struct migration *migration)
{
    struct str sql = {migration->sql, (size_t)(migration->end - migration->sql)};
    for (size_t i = 0; i < sizeof dialect / sizeof *dialect; i++)
        sql = str_replace(arena, sql, dialect[i].word, dialect[i].sqlite);
    return str_z(arena, sql);
}

static struct err *apply(struct db_connection *connection, struct arena *arena, const struct migration *migration)
{
    TRY(db_script(connection, arena, "BEGIN IMMEDIATE"));
    if (migration->version == 1) {
        TRY(db_script(connection, arena,
                      "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                      "applied_at BIGINT NOT NULL)"));
        TRY(db_script(connection, arena,
                      str_z(arena, str_printf(arena, "PRAGMA application_id = %d", DB_APPLICATION_ID))));
    }
    TRY(db_script(connection, arena, in_dialect(arena, migration)));
    connection->tx = (struct db_tx){.arena = arena, .connection = connection, .writing = true};
    TRY(db_exec(&connection->tx, "INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, $3)",
                migration->version, migration->name, time_now()));
    return db_script(connection, arena, "COMMIT");
}

struct err *db_read_version(struct db_connection *connection, struct arena *arena, int *version)
{
    int64_t tables, application, newest;
    *version = 0;
    TRY(db_one_int(connection, arena, "PRAGMA application_id", &application));
    if (application != DB_APPLICATION_ID) {
        TRY(db_one_int(connection, arena, "SELECT count(*) FROM sqlite_schema", &tables));
        if (application == 0 && tables == 0) return NULL;
        return err_new(arena, ERR_INVALID, "this is not a Lightfast database");
    }
    TRY(db_one_int(connection, arena, "SELECT max(version) FROM schema_version", &newest));
    if (newest > db_schema_version())
        return err_new(arena, ERR_CONFLICT,
                       "the database has schema version %lld, this program (" LIGHTFAST_VERSION
                       ") knows versions up to %d: use a newer program",
                       (long long)newest, db_schema_version());
    *version = (int)newest;
    return NULL;
}

struct err *db_migrate(struct db_connection *connection, struct arena *arena)
{
    int version;
    TRY(db_read_version(connection, arena, &version));
    for (size_t i = 0; i < MIGRATION_COUNT; i++) {
        if (migrations[i].version <= version) continue;
        struct err *err = apply(connection, arena, &migrations[i]);
        db_end_transaction(connection);
        if (err) return err_wrap(arena, err, "migration %d (%s) failed", migrations[i].version, migrations[i].name);
        if (version > 0) log_info("db", "migrated to schema version %d (%s)", migrations[i].version, migrations[i].name);
    }
    return NULL;
}
