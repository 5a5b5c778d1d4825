/* directory.c - the data directory: making it, its lock, files that appear whole or not at all. */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct db_lock {
    int fd;
};

struct err *db_file_error(struct arena *arena, int error_number, const char *what, const char *path)
{
    static const struct {
        int         number;
        const char *text;
    } known[] = {
        {ENOSPC, "the disk is full"},
        {EDQUOT, "the disk quota is used up"},
        {EROFS, "the data directory is read-only"},
        {EACCES, "the data directory is read-only or not permitted"},
        {EPERM, "the data directory is read-only or not permitted"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == error_number)
            return err_new(arena, ERR_UNAVAILABLE, "%s %s: %s", what, path, known[i].text);
    return err_new(arena, ERR_UNAVAILABLE, "%s %s: %s", what, path, strerror(error_number));
}

struct err *db_make_directory(struct arena *arena, struct str path)
{
    if (path.n == 0) return err_new(arena, ERR_INVALID, "the data directory has no name");
    char *name = (char *)str_z(arena, path); /* our own copy, cut for a moment at each '/' */
    for (char *slash = name + 1;; slash++) {
        if (*slash != '/' && *slash != 0) continue;
        char kept = *slash;
        *slash = 0;
        bool made = mkdir(name, 0700) == 0;
        int  error_number = errno;
        struct stat status;
        if (!made && !(stat(name, &status) == 0 && S_ISDIR(status.st_mode)))
            return db_file_error(arena, error_number == EEXIST ? ENOTDIR : error_number, "cannot create", name);
        *slash = kept;
        if (!kept) return NULL;
    }
}

/* ---- the lock -------------------------------------------------------------------------------------------------- */

static const char *lock_path(struct arena *arena, struct str data_dir)
{
    return str_z(arena, str_printf(arena, STR_FMT "/lightfast.lock", STR_ARG(data_dir)));
}

static struct err *held_by(struct arena *arena, int fd, struct str data_dir)
{
    char    digits[32];
    ssize_t n = pread(fd, digits, sizeof digits, 0);
    int64_t pid;
    if (n > 0 && str_to_int(str_trim((struct str){digits, (size_t)n}), &pid))
        return err_new(arena, ERR_CONFLICT, "the data directory " STR_FMT " is in use by process %lld",
                       STR_ARG(data_dir), (long long)pid);
    return err_new(arena, ERR_CONFLICT, "the data directory " STR_FMT " is in use by another process",
                   STR_ARG(data_dir));
}

/* db_directory_locked takes the lock for a moment: a few tries tell it from an owner. */
static bool take_lock(int fd)
{
    for (int tries = 0; tries < 5; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        nanosleep(&(struct timespec){.tv_nsec = 4 * 1000 * 1000}, NULL);
    }
    return false;
}

struct err *db_lock_directory(struct arena *arena, struct str data_dir, struct db_lock **lock)
{
    TRY(db_make_directory(arena, data_dir));
    const char *path = lock_path(arena, data_dir);
    int         fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return db_file_error(arena, errno, "cannot open", path);
    if (!take_lock(fd)) {
        struct err *err = held_by(arena, fd, data_dir);
        close(fd);
        return err;
    }
    /* The number is for people and messages, the lock is what counts: a full disk does not matter here. */
    if (ftruncate(fd, 0) == 0) dprintf(fd, "%ld\n", (long)getpid());
    struct db_lock *held = malloc(sizeof *held);
    if (!held) abort();
    held->fd = fd;
    *lock = held;
    return NULL;
}

void db_unlock_directory(struct db_lock *lock)
{
    if (!lock) return;
    int ignored = ftruncate(lock->fd, 0);
    (void)ignored;
    close(lock->fd); /* the file stays: removing it would let two processes lock two files of that name */
    free(lock);
}

bool db_directory_locked(struct str data_dir)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    int fd = open(lock_path(arena, data_dir), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}

/* ---- files that appear whole ----------------------------------------------------------------------------------- */

static struct err *sync_path(struct arena *arena, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return db_file_error(arena, errno, "cannot open", path);
    int failed = fsync(fd), error_number = errno;
    close(fd);
    return failed ? db_file_error(arena, error_number, "cannot sync", path) : NULL;
}

struct err *db_publish_file(struct arena *arena, const char *partial, const char *file)
{
    TRY(sync_path(arena, partial, O_RDONLY));
    int failed = renameat2(AT_FDCWD, partial, AT_FDCWD, file, RENAME_NOREPLACE);
    if (failed && errno == EINVAL) failed = access(file, F_OK) == 0 ? (errno = EEXIST, -1) : rename(partial, file);
    if (failed && errno == EEXIST) return err_new(arena, ERR_CONFLICT, "%s exists already", file);
    if (failed) return db_file_error(arena, errno, "cannot create", file);
    return sync_path(arena, dirname((char *)str_z(arena, str_of(file))), O_RDONLY | O_DIRECTORY);
}
