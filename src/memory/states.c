/* states.c - what the status of something was at a time: periods [valid_from, valid_to) (spec 11). */
#include "base/utf8.h"
#include "memory/parts.h"

#include <math.h>

/* ---- what an event says about the state of things -------------------------------------------------------------------- */

typedef struct str (*value_fn)(struct arena *arena, const struct prepared_event *item, const json_value *value);

static struct str as_text(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    if (json_is_string(value)) return json_str(value, "");
    return json_is_integer(value) ? str_printf(arena, "%lld", (long long)json_int(value, "", 0)) : (struct str){NULL, 0};
}

/* 0.42 -> "42" */
static struct str as_percent(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    double share = json_real(value, "", NAN);
    return isfinite(share) && fabs(share) <= 1 ? str_printf(arena, "%ld", lround(share * 100)) : (struct str){NULL, 0};
}

static bool type_is(const struct prepared_event *item, const char *type)
{
    return str_eq(item->event.source_type, str_of(type));
}

static struct str request_status(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    if (type_is(item, "pull-request.merged") || json_bool(item->metadata, "merged", false)) return STR("merged");
    if (type_is(item, "pull-request.closed") || str_eq(json_str(value, ""), STR("closed"))) return STR("closed");
    return json_bool(item->metadata, "draft", false) ? STR("draft") : STR("open");
}

static struct str issue_status(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    if (value) return as_text(arena, item, value);
    return type_is(item, "issue.closed") ? STR("closed") : STR("open");
}

static struct str cycle_status(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    return json_is_null(value) ? STR("active") : STR("completed");
}

static struct str deployment_health(struct arena *arena, const struct prepared_event *item, const json_value *value)
{
    static const struct { const char *type, *health; } table[] = {
        {"deployment.created", "building"}, {"deployment.succeeded", "ready"},   {"deployment.ready", "ready"},
        {"deployment.promoted", "ready"},   {"deployment.rollback", "ready"},    {"deployment.error", "error"},
        {"deployment.canceled", "canceled"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (type_is(item, table[i].type)) return str_of(table[i].health);
    return (struct str){NULL, 0};
}

/* entity: the path of its id in the metadata, a second one is appended; empty: the key that the event is about. */
struct state_row {
    const char *source, *family, *entity_type, *entity, *entity_more, *name, *state_type, *path;
    value_fn    value;
};
// clang-format off
static const struct state_row state_rows[] = {
    {"github", "pull-request",   "pr",      "",          NULL,          NULL,          "status",   "state",         request_status},
    {"github", "issue",          "issue",   "",          NULL,          NULL,          "status",   "state",         issue_status},
    {"linear", "issue",          "issue",   "",          NULL,          NULL,          "status",   "stateName",     as_text},
    {"linear", "issue",          "issue",   "",          NULL,          NULL,          "priority", "priorityLabel", as_text},
    {"linear", "issue",          "issue",   "",          NULL,          NULL,          "assignee", "assigneeName",  as_text},
    {"linear", "project",        "project", "projectId", NULL,          "projectName", "status",   "state",         as_text},
    {"linear", "project",        "project", "projectId", NULL,          "projectName", "progress", "progress",      as_percent},
    {"linear", "project-update", "project", "projectId", NULL,          "projectName", "health",   "health",        as_text},
    {"linear", "cycle",          "sprint",  "cycleId",   NULL,          "cycleName",   "status",   "completedAt",   cycle_status},
    {"linear", "cycle",          "sprint",  "cycleId",   NULL,          "cycleName",   "progress", "progress",      as_percent},
    {"sentry", "issue",          "issue",   "",          NULL,          NULL,          "status",   "status",        as_text},
    {"vercel", "deployment",     "service", "projectId", "environment", "projectName", "health",   "readyState",    deployment_health},
};
// clang-format on

/* ---- periods --------------------------------------------------------------------------------------------------------- */

struct state {
    const char *entity_type, *state_type;
    struct str  entity, name, value, actor, source;
    int64_t     at, observation;
};

struct period {
    bool       exists;
    int64_t    from;
    struct str value;
};

static struct err *read_period(struct db_rows *rows, struct period *period)
{
    period->exists = db_next(rows, &period->from, &period->value);
    return db_done(rows);
}

#define OF_STATE "WHERE workspace_id = $1 AND entity_type = $2 AND entity_id = $3 AND state_type = $4 "

static struct err *neighbours(struct work *work, const struct state *state, struct period *before, struct period *after)
{
    struct db_rows rows;
    *after = (struct period){0};
    TRY(db_query(work->tx, &rows,
                 "SELECT valid_from, state_value FROM temporal_state " OF_STATE "ORDER BY valid_from DESC LIMIT 1",
                 work->workspace, state->entity_type, state->entity, state->state_type));
    TRY(read_period(&rows, before));
    if (!before->exists || before->from <= state->at) return NULL; /* as usual: it is the newest */
    TRY(db_query(work->tx, &rows,
                 "SELECT valid_from, state_value FROM temporal_state " OF_STATE
                 "AND valid_from <= $5 ORDER BY valid_from DESC LIMIT 1",
                 work->workspace, state->entity_type, state->entity, state->state_type, state->at));
    TRY(read_period(&rows, before));
    TRY(db_query(work->tx, &rows,
                 "SELECT valid_from, state_value FROM temporal_state " OF_STATE
                 "AND valid_from > $5 ORDER BY valid_from LIMIT 1",
                 work->workspace, state->entity_type, state->entity, state->state_type, state->at));
    return read_period(&rows, after);
}

static struct db_value number_or_null(int64_t number, bool given)
{
    return given ? db_of_int(number) : db_of_null(DB_NULL);
}

static struct err *insert_period(struct work *work, const struct state *state, const struct period *before,
                                 const struct period *after)
{
    const struct db_value values[] = {
        db_of_int(work->workspace),
        db_of_z(state->entity_type),
        db_of_str(state->entity),
        db_of_z(state->state_type),
        db_of_int(state->at),
        db_of_int(index_new_id(&work->writer)),
        db_of_str(null_if_empty(state->name)),
        db_of_str(state->value),
        db_of_str(before->exists ? before->value : (struct str){NULL, 0}),
        number_or_null(after->from, after->exists),
        db_of_int(!after->exists),
        db_of_str(null_if_empty(state->actor)),
        number_or_null(state->observation, state->observation != 0),
        db_of_str(state->source),
    };
    return db_exec_values(work->tx,
                          "INSERT INTO temporal_state (workspace_id, entity_type, entity_id, state_type, valid_from, id, "
                          "entity_name, state_value, previous_value, valid_to, is_current, changed_by_actor_id, "
                          "source_observation_id, source) "
                          "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                          values, sizeof values / sizeof *values);
}

/* The period at `from` ends or goes on as its new neighbour says. */
static struct err *end_period(struct work *work, const struct state *state, int64_t from)
{
    return db_exec(work->tx, "UPDATE temporal_state SET valid_to = $6, is_current = 0 " OF_STATE "AND valid_from = $5",
                   work->workspace, state->entity_type, state->entity, state->state_type, from, state->at);
}

static struct err *remember_previous(struct work *work, const struct state *state, int64_t from)
{
    return db_exec(work->tx, "UPDATE temporal_state SET previous_value = $6 " OF_STATE "AND valid_from = $5",
                   work->workspace, state->entity_type, state->entity, state->state_type, from, state->value);
}

/* The value is known already, but not since when: the period begins earlier. */
static struct err *begin_earlier(struct work *work, const struct state *state, const struct period *after)
{
    const struct db_value values[] = {
        db_of_int(work->workspace),
        db_of_z(state->entity_type),
        db_of_str(state->entity),
        db_of_z(state->state_type),
        db_of_int(after->from),
        db_of_int(state->at),
        number_or_null(state->observation, state->observation != 0),
        db_of_str(null_if_empty(state->actor)),
    };
    return db_exec_values(work->tx,
                          "UPDATE temporal_state SET valid_from = $6, source_observation_id = $7, "
                          "changed_by_actor_id = $8 " OF_STATE "AND valid_from = $5",
                          values, sizeof values / sizeof *values);
}

/* Two events at one moment: the value that stays must not depend on which came first. */
static struct err *settle_tie(struct work *work, const struct state *state, const struct period *now,
                              const struct period *after)
{
    if (str_cmp(state->value, now->value) <= 0) return NULL;
    TRY(db_exec(work->tx, "UPDATE temporal_state SET state_value = $6 " OF_STATE "AND valid_from = $5",
                work->workspace, state->entity_type, state->entity, state->state_type, state->at, state->value));
    return after->exists ? remember_previous(work, state, after->from) : NULL;
}

/* The observation of a state is known only once it is stored. */
static struct err *name_observation(struct work *work, const struct state *state)
{
    if (!state->observation) return NULL;
    return db_exec(work->tx,
                   "UPDATE temporal_state SET source_observation_id = $6 " OF_STATE
                   "AND valid_from = $5 AND source_observation_id IS NULL",
                   work->workspace, state->entity_type, state->entity, state->state_type, state->at,
                   state->observation);
}

static struct err *insert_state(struct work *work, const struct state *state)
{
    struct period before, after;
    TRY(neighbours(work, state, &before, &after));
    if (before.exists && str_eq(before.value, state->value))
        return before.from == state->at ? name_observation(work, state) : NULL;
    if (before.exists && before.from == state->at) return settle_tie(work, state, &before, &after);
    if (before.exists) TRY(end_period(work, state, before.from));
    if (after.exists && str_eq(after.value, state->value)) return begin_earlier(work, state, &after);
    TRY(insert_period(work, state, &before, &after));
    return after.exists ? remember_previous(work, state, after.from) : NULL;
}

/* ---- one event ------------------------------------------------------------------------------------------------------- */

static struct str own_key(const struct memory_analysis *analysis)
{
    for (size_t i = 0; i < analysis->link_count; i++)
        if (analysis->links[i].self && str_eq(analysis->links[i].type, STR("issue"))) return analysis->links[i].key;
    return (struct str){NULL, 0};
}

static struct str entity_of(struct arena *arena, const struct prepared_event *item, const struct state_row *row)
{
    if (row->entity[0] == '\0') return own_key(&item->analysis);
    struct str id = json_str(item->metadata, row->entity);
    if (!row->entity_more || id.n == 0) return id;
    struct str more = json_str(item->metadata, row->entity_more);
    return more.n ? str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(id), STR_ARG(more)) : id;
}

static bool row_is_for(const struct prepared_event *item, const struct state_row *row)
{
    struct str source = str_eq(item->event.source, STR("git")) ? STR("github") : item->event.source;
    return str_eq(source, str_of(row->source)) && str_eq(item->family, str_of(row->family));
}

enum { VALUE_CHARACTERS = 255, ID_BYTES = 500 };

struct err *states_write(struct work *work, const struct prepared_event *item, struct str actor, int64_t observation)
{
    for (size_t i = 0; i < sizeof state_rows / sizeof *state_rows; i++) {
        const struct state_row *row = &state_rows[i];
        if (!row_is_for(item, row)) continue;
        struct state state = {
            .entity_type = row->entity_type,
            .state_type = row->state_type,
            .entity = entity_of(work->arena, item, row),
            .name = row->name ? json_str(item->metadata, row->name) : (struct str){NULL, 0},
            .value = utf8_head(row->value(work->arena, item, json_get(item->metadata, row->path)), VALUE_CHARACTERS),
            .actor = actor,
            .source = item->event.source,
            .at = item->event.occurred_at,
            .observation = observation,
        };
        if (state.entity.n && state.entity.n <= ID_BYTES && state.value.n) TRY(insert_state(work, &state));
    }
    return NULL;
}
