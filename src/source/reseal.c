/* reseal.c - a new encryption key: what sources keep sealed is sealed again, a few rows at a time. */
#include "source/inbox.h"

#include "base/time.h"

enum { ROWS_AT_ONCE = 100 };

static const char *const columns[] = {"inbound_secret", "inbound_secret_before"};
enum { COLUMNS = sizeof columns / sizeof *columns };

struct resealing {
    const struct crypto_keys *keys;
    struct source_resealed    so_far, now; /* now: of the closure, which may run twice */
    int64_t workspace, id;                 /* the last row of the portion before */
    int64_t last_workspace, last_id;
    size_t  rows;
};

struct sealed_row {
    int64_t    workspace, id;
    struct str public_id, sealed[COLUMNS];
};

/* One that cannot be opened stays as it is: its key may come back. */
static struct err *reseal_row(struct db_tx *tx, struct resealing *r, struct sealed_row *row)
{
    bool changed = false;
    for (size_t i = 0; i < COLUMNS; i++) {
        struct str before = row->sealed[i];
        if (!before.s) continue;
        struct err *err = crypto_reseal(tx->arena, r->keys, (struct crypto_place){"source", columns[i], row->public_id},
                                        &row->sealed[i]);
        bool        again = !err && !str_eq(before, row->sealed[i]);
        r->now.closed += err != NULL;
        r->now.sealed_again += again;
        r->now.current += !err && !again;
        changed |= again;
    }
    if (!changed) return NULL;
    return db_exec(tx, "UPDATE source SET inbound_secret = $3, inbound_secret_before = $4 WHERE workspace_id = $1 AND id = $2",
                   row->workspace, row->id, row->sealed[0], row->sealed[1]);
}

static struct err *reseal_some(struct db_tx *tx, void *arg)
{
    struct resealing *r = arg;
    struct db_rows    rows;
    struct sealed_row row = {0};
    struct { struct sealed_row *at; size_t n, capacity; } found = {0};
    r->now = r->so_far;
    TRY(db_query(tx, &rows,
                 "SELECT workspace_id, id, public_id, inbound_secret, inbound_secret_before FROM source WHERE "
                 "(workspace_id > $1 OR (workspace_id = $1 AND id > $2)) AND "
                 "(inbound_secret IS NOT NULL OR inbound_secret_before IS NOT NULL) ORDER BY workspace_id, id LIMIT $3",
                 r->workspace, r->id, (int)ROWS_AT_ONCE));
    while (db_next(&rows, &row.workspace, &row.id, &row.public_id, &row.sealed[0], &row.sealed[1]))
        *VEC_PUSH(tx->arena, &found) = row;
    TRY(db_done(&rows));
    for (size_t i = 0; i < found.n; i++) TRY(reseal_row(tx, r, &found.at[i]));
    r->rows = found.n;
    r->last_workspace = row.workspace;
    r->last_id = row.id;
    return NULL;
}

/* A secret whose time of grace is over opens nothing any more, so it need not hold an old key. */
static struct err *forget_replaced(struct db_tx *tx, void *arg)
{
    (void)arg;
    return db_exec(tx, "UPDATE source SET inbound_secret_before = NULL WHERE inbound_secret_before IS NOT NULL AND "
                       "inbound_before_until < $1",
                   time_now());
}

struct err *source_reseal(struct db *db, struct arena *arena, const struct crypto_keys *keys, struct source_resealed *done)
{
    struct resealing r = {.keys = keys, .workspace = INT64_MIN};
    TRY(db_write(db, arena, forget_replaced, NULL));
    do {
        struct arena *work ARENA_SCOPE = arena_create();
        struct err   *err = db_write(db, work, reseal_some, &r);
        if (err) return err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err)));
        r.so_far = r.now;
        r.workspace = r.last_workspace;
        r.id = r.last_id;
    } while (r.rows == ROWS_AT_ONCE);
    *done = r.so_far;
    return NULL;
}

struct err *source_sealed_with(struct db_tx *tx, struct str key, int64_t *secrets)
{
    struct db_rows rows;
    struct str     pattern = str_printf(tx->arena, "v1." STR_FMT ".%%", STR_ARG(key));
    TRY(db_query(tx, &rows,
                 "SELECT COALESCE(SUM(CASE WHEN inbound_secret LIKE $1 THEN 1 ELSE 0 END + "
                 "CASE WHEN inbound_secret_before LIKE $1 THEN 1 ELSE 0 END), 0) FROM source",
                 pattern));
    db_next(&rows, secrets);
    return db_done(&rows);
}
