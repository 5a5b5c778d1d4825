/* database.h - a database for a test in a directory of its own, removed with it. */
#pragma once
#include "directory.h"

#include "db/db.h"

/* The directory's path is put into `directory`, which has room for DIRECTORY_PATH bytes. */
static inline struct db *database_make(struct arena *arena, char *directory)
{
    struct db *db = NULL;
    directory_make(directory);
    check_ok(db_open(arena, (struct db_config){.data_dir = str_of(directory)}, &db));
    return db;
}

static inline void database_remove(struct db *db, const char *directory)
{
    db_close(db);
    directory_remove(directory);
}
