/* org_world.h - a database with the organisation `local` and its workspace `main`, as a new data directory has them. */
#pragma once
#include "database.h"

#include "base/time.h"
#include "org/org.h"

static inline struct db *org_database(struct arena *arena, char *directory)
{
    struct db *db = database_make(arena, directory);
    check_ok(org_prepare(db, arena));
    return db;
}

static inline struct org_workspace main_workspace(struct db *db, struct arena *arena)
{
    struct db_tx *tx     DB_READ_SCOPE = NULL;
    struct org_workspace main;
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(org_workspace_default(tx, STR(""), &main));
    return main;
}

struct new_workspace {
    struct str           name;
    struct org_workspace made;
};

static inline struct err *create_workspace_in(struct db_tx *tx, void *arg)
{
    struct new_workspace *workspace = arg;
    struct org_workspace  main;
    TRY(org_workspace_default(tx, STR(""), &main));
    return org_workspace_create(tx, main.org_id, workspace->name, &workspace->made);
}

/* Another workspace of the organisation; its row id. */
static inline int64_t add_workspace(struct db *db, struct arena *arena, const char *name)
{
    struct new_workspace workspace = {.name = str_of(name)};
    check_ok(db_write(db, arena, create_workspace_in, &workspace));
    return workspace.made.id;
}

/* PREPARED(f): such a database and nothing else. */
struct prepared {
    struct arena *arena;
    struct db    *db;
    char          directory[DIRECTORY_PATH];
};

static inline void prepared_begin(struct prepared *p, struct arena *arena)
{
    p->arena = arena;
    p->db = org_database(arena, p->directory);
}

static inline void prepared_end(struct prepared *p)
{
    database_remove(p->db, p->directory);
    time_set(0);
}
#define PREPARED(name)                                                                                                 \
    struct prepared name __attribute__((cleanup(prepared_end))) = {0};                                                 \
    prepared_begin(&name, arena)
