/* db_files_test.c - the data directory and its files: owners, permissions, foreign databases, backups. */
#include "db_world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

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
    check_ok(db_write(f.db, arena, sql_run,
                      "INSERT INTO schema_version (version, name, applied_at) VALUES (9999, 'x', 0)"));
    db_close(f.db);
    f.db = NULL;
    struct err *err = db_open(arena, (struct db_config){.data_dir = f.dir}, &f.db);
    check(err && err->code == ERR_CONFLICT);
    check(mentions(err->message, "9999"));
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
    bool        says_why = err && mentions(err_text(arena, err), "read-only");
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
    members_start(members, 4, f.db);
    check_ok(db_backup(f.db, arena, file));
    members_finish(members, 4);
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

int main(int argc, char **argv)
{
    static const struct child_part parts[] = {
        {"own_directory", own_directory},
        {"open_read_only", open_read_only},
    };
    child_play(parts, sizeof parts / sizeof *parts, argc, argv);
    faulty_disk_install();
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
