/* evaluate.c - the health of every workspace, once a minute (spec/console.md 2.6): who becomes worse and who well again.
 *
 * A level counts when two evaluations in a row found it, so a single failure at a quiet hour wakes nobody.
 */
#include "activity/inside.h"

#include "base/time.h"

struct evaluation {
    int64_t    workspace;
    struct str public_id, org, name;
    enum activity_level told, seen, now;     /* told: to people; seen: a minute ago */
    bool       known;                        /* has a row */
    double     rate;
    const char *reason;
};
struct evaluations { struct evaluation *at; size_t n, capacity; };

static enum activity_level level_named(struct str name)
{
    enum activity_level level = ACTIVITY_HEALTHY;
    while (level < ACTIVITY_DOWN && !str_eq(name, str_of(activity_level_name(level)))) level++;
    return level;
}

static const char *reason_of(const struct activity_health *health)
{
    if (health->level == ACTIVITY_HEALTHY) return NULL;
    if (health->store_level == ACTIVITY_DOWN) return "Most jobs that fill the index failed";
    for (size_t i = 0; i < health->source_count; i++)
        if (health->sources[i].level == ACTIVITY_DOWN) return "A source is down";
    return "Too many jobs of the last 24 hours failed";
}

static struct err *list_workspaces(struct db_tx *tx, struct evaluations *all)
{
    struct db_rows    rows;
    struct evaluation e = {0};
    struct str        told = {0}, seen = {0};
    TRY(db_query(tx, &rows,
                 "SELECT w.id, w.public_id, o.public_id, w.name, h.told, h.seen FROM workspace w JOIN organization o ON "
                 "o.id = w.org_id LEFT JOIN workspace_health h ON h.workspace_id = w.id WHERE w.state = 'active' ORDER BY w.id"));
    while (db_next(&rows, &e.workspace, &e.public_id, &e.org, &e.name, &told, &seen)) {
        e.known = told.s != NULL;
        e.told = e.known ? level_named(told) : ACTIVITY_HEALTHY;
        e.seen = e.known ? level_named(seen) : ACTIVITY_HEALTHY;
        *VEC_PUSH(tx->arena, all) = e;
    }
    return db_done(&rows);
}

/* Those of which something is to be written. */
static struct err *look(struct db *db, struct arena *arena, struct evaluations *changed)
{
    struct evaluations     all = {0};
    struct activity_health health;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(list_workspaces(tx, &all));
    for (size_t i = 0; i < all.n; i++) {
        struct evaluation *e = &all.at[i];
        TRY(activity_health(tx, e->workspace, &health));
        e->now = health.level;
        e->rate = health.jobs.success;
        e->reason = reason_of(&health);
        if (!e->known || e->now != e->seen || e->now != e->told) *VEC_PUSH(arena, changed) = *e;
    }
    return NULL;
}

static struct err *tell(struct db_tx *tx, const struct evaluation *e, bool recovered)
{
    struct json_out out = json_out(tx->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", e->public_id);
    json_put(&out, "orgId", e->org);
    json_put(&out, "level", activity_level_name(e->now));
    json_put(&out, "previousLevel", activity_level_name(e->told));
    json_put(&out, "successRate", e->rate);
    json_put(&out, "reason", e->reason ? e->reason : "");
    json_end(&out);
    struct str data = json_out_text(&out), name = recovered ? STR("health.recovered") : STR("health.degraded");
    struct json_out metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "level", activity_level_name(e->now));
    json_put(&metadata, "rate", e->rate);
    json_end(&metadata);
    TRY(activity_record(tx, &(struct activity){
                                .workspace = e->workspace,
                                .actor = {.type = ACTIVITY_SYSTEM},
                                .action = recovered ? STR("workspace.health_recovered") : STR("workspace.health_degraded"),
                                .entity_type = STR("workspace"),
                                .entity_id = e->public_id,
                                .entity_name = e->name,
                                .reason = str_of(e->reason),
                                .status = recovered ? ACTIVITY_SUCCESS : ACTIVITY_FAILURE,
                                .metadata = json_out_text(&metadata)}));
    return flow_send(tx, .workspace = e->workspace, .name = name, .data = data);
}

static struct err *write_evaluations(struct db_tx *tx, void *arg)
{
    const struct evaluations *changed = arg;
    for (size_t i = 0; i < changed->n; i++) {
        const struct evaluation *e = &changed->at[i];
        bool                     held = e->now == e->seen;
        if (held && e->now > e->told) TRY(tell(tx, e, false));
        if (held && e->now == ACTIVITY_HEALTHY && e->told != ACTIVITY_HEALTHY) TRY(tell(tx, e, true));
        TRY(db_exec(tx,
                    "INSERT INTO workspace_health (workspace_id, told, seen) VALUES ($1, $2, $3) "
                    "ON CONFLICT (workspace_id) DO UPDATE SET told = excluded.told, seen = excluded.seen",
                    e->workspace, activity_level_name(held ? e->now : e->told), activity_level_name(e->now)));
    }
    return NULL;
}

struct err *activity_evaluate(struct db *db, struct arena *arena, int64_t *changed)
{
    struct evaluations of = {0};
    TRY(look(db, arena, &of));
    *changed = (int64_t)of.n;
    return of.n ? db_write(db, arena, write_evaluations, &of) : NULL;
}

struct err *activity_levels(struct db_tx *tx, struct activity_level_count **counts, size_t *n)
{
    struct { struct activity_level_count *at; size_t n, capacity; } found = {0};
    struct activity_level_count count = {0};
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT told, COUNT(*) FROM workspace_health GROUP BY told ORDER BY told"));
    while (db_next(&rows, &count.level, &count.workspaces)) *VEC_PUSH(tx->arena, &found) = count;
    *counts = found.at;
    *n = found.n;
    return db_done(&rows);
}
