/* backup.c - copies of a running database, putting one back, checking the file.
 *
 * A backup is VACUUM INTO: one read transaction, so a consistent snapshot that writers do not disturb (SQLite's backup
 * API starts over at each write of another connection), and a compact file. It appears under its name when complete.
 */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *join(struct arena *arena, const char *path, const char *suffix)
{
    return str_z(arena, str_printf(arena, "%s%s", path, suffix));
}

static struct err *create_empty(struct arena *arena, const char *path)
{
    unlink(path); /* what an interrupted earlier attempt left */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return db_file_error(arena, errno, "cannot create", path);
    close(fd);
    return NULL;
}

static struct err *vacuum_into(struct db *db, struct arena *arena, const char *partial)
{
    struct db_connection *connection;
    TRY(db_connection_open(arena, db->path, DB_UPKEEP, &connection));
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(connection->handle, "VACUUM INTO $1", -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(statement, 1, partial, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    struct err *err = rc == SQLITE_DONE ? NULL : db_sqlite_error(arena, connection->handle, rc, "VACUUM INTO");
    sqlite3_finalize(statement);
    db_connection_close(connection);
    return err;
}

struct err *db_backup(struct db *db, struct arena *arena, struct str file)
{
    const char *path = str_z(arena, file), *partial = join(arena, path, ".partial");
    if (access(path, F_OK) == 0) return err_new(arena, ERR_CONFLICT, "%s exists already", path);
    TRY(create_empty(arena, partial));
    struct err *err = vacuum_into(db, arena, partial);
    if (!err) err = db_publish_file(arena, partial, path);
    if (err) unlink(partial);
    return err;
}

static struct err *check_structure(struct db_connection *connection, struct arena *arena)
{
    struct str verdict;
    TRY(db_one_text(connection, arena, "PRAGMA integrity_check(1)", &verdict));
    if (str_eq(verdict, STR("ok"))) return NULL;
    return err_new(arena, ERR_UNAVAILABLE, "the database is damaged: " STR_FMT, STR_ARG(verdict));
}

struct err *db_check(struct db *db, struct arena *arena)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    return check_structure(tx->connection, arena);
}

/* ---- restore --------------------------------------------------------------------------------------------------- */

static struct err *write_whole(struct arena *arena, int fd, const char *path, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return db_file_error(arena, written < 0 ? errno : ENOSPC, "cannot write", path);
        p += written;
        n -= (size_t)written;
    }
    return NULL;
}

static struct err *copy_content(struct arena *arena, int from, int to, const char *path)
{
    enum { CHUNK = 1 << 18 };
    char *chunk = arena_alloc_raw(arena, CHUNK);
    for (;;) {
        ssize_t n = read(from, chunk, CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return db_file_error(arena, errno, "cannot read the backup for", path);
        if (n == 0) return NULL;
        TRY(write_whole(arena, to, path, chunk, (size_t)n));
    }
}

static struct err *copy_file(struct arena *arena, const char *from, const char *to)
{
    TRY(create_empty(arena, to));
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return err_new(arena, ERR_INVALID, "cannot read %s: %s", from, strerror(errno));
    int out = open(to, O_WRONLY | O_CLOEXEC);
    struct err *err = out < 0 ? db_file_error(arena, errno, "cannot open", to) : copy_content(arena, in, out, to);
    close(in);
    if (out >= 0) close(out);
    return err;
}

/* Cheap look at the header before copying gigabytes (sqlite.org/fileformat.html: application id at 68, big-endian). */
static struct err *check_header(struct arena *arena, const char *file)
{
    unsigned char header[100] = {0};
    struct stat   status;
    int           fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_new(arena, ERR_INVALID, "cannot read %s: %s", file, strerror(errno));
    bool     regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    ssize_t  n = regular ? pread(fd, header, sizeof header, 0) : 0;
    uint32_t application = (uint32_t)header[68] << 24 | (uint32_t)header[69] << 16 | (uint32_t)header[70] << 8 | header[71];
    close(fd);
    if (n != sizeof header || memcmp(header, "SQLite format 3", 16) != 0 || application != DB_APPLICATION_ID)
        return err_new(arena, ERR_INVALID, "%s is not a Lightfast database", file);
    if (stat(join(arena, file, "-wal"), &status) == 0 && status.st_size > 0)
        return err_new(arena, ERR_INVALID, "%s was copied from a running server, its -wal file holds the rest: make a "
                                           "backup with the backup command", file);
    return NULL;
}

static struct err *inspect(struct arena *arena, const char *partial)
{
    struct db_connection *connection;
    TRY(db_connection_open(arena, partial, DB_UPKEEP, &connection));
    int         version;
    struct err *err = db_read_version(connection, arena, &version);
    if (!err) err = check_structure(connection, arena);
    db_connection_close(connection);
    return err;
}

/* What is wrong with the copy was wrong with the backup. */
static struct err *check_copy(struct arena *arena, const char *partial)
{
    struct err *err = inspect(arena, partial);
    if (!err || err->code != ERR_UNAVAILABLE) return err;
    return err_new(arena, ERR_INVALID, "the backup cannot be used: " STR_FMT, STR_ARG(err_text(arena, err)));
}

struct err *db_restore(struct arena *arena, struct str file, struct str data_dir)
{
    const char *from = str_z(arena, file);
    TRY(check_header(arena, from));
    TRY(db_make_directory(arena, data_dir));
    const char *path = str_z(arena, str_printf(arena, STR_FMT "/lightfast.db", STR_ARG(data_dir)));
    /* A log without its database would be replayed into the restored one. */
    if (access(path, F_OK) == 0 || access(join(arena, path, "-wal"), F_OK) == 0)
        return err_new(arena, ERR_CONFLICT, STR_FMT " has a database already", STR_ARG(data_dir));
    const char *partial = join(arena, path, ".partial");
    struct err *err = copy_file(arena, from, partial);
    if (!err) err = check_copy(arena, partial);
    if (!err) err = db_publish_file(arena, partial, path);
    if (err) unlink(partial);
    return err;
}
