/* list.c - reading activities: filters, one and its chain, counts. */
#include "activity/inside.h"

#include "base/id.h"
#include "base/time.h"

enum { DEFAULT_LIMIT = 20, MAX_CHAIN = 50 };

/* What a group stands for; lists as ",one,two,", empty: all. */
static const struct { const char *name, *categories, *actions, *status; } groups[] = {
    /* clang-format off */
    {"jobs",         ",job,",         "", ""},
    {"connections",  ",integration,", ",integration.connected,integration.disconnected,integration.deleted,"
                                      "integration.authorized,integration.authorization_expired,"
                                      "integration.authorization_revoked,", ""},
    {"integrations", ",integration,", "", ""},
    {"errors",       "",              "", "failure"},
    /* clang-format on */
};
enum { GROUP_COUNT = sizeof groups / sizeof *groups };
const char *const activity_groups[] = {"jobs", "connections", "integrations", "errors", NULL};

int activity_position(const char *const *names, struct str name)
{
    for (int i = 0; names[i]; i++)
        if (str_eq(name, str_of(names[i]))) return i;
    return 0;
}

bool activity_next(struct db_rows *rows, struct activity *activity)
{
    struct str actor_type = {0}, status = {0}, impact = {0};
    struct activity_actor *actor = &activity->actor;
    *activity = (struct activity){0};
    if (!db_next(rows, &activity->id, &activity->workspace, &activity->org, &activity->org_id, &activity->workspace_id,
                 &activity->public_id, &actor_type, &actor->user, &actor->email, &actor->ip, &actor->key, &actor->user_agent, &actor->request,
                 &activity->category, &activity->action, &activity->entity_type, &activity->entity_id,
                 &activity->entity_name, &activity->source, &activity->changes, &activity->reason, &status, &impact,
                 &activity->metadata, &activity->job, &activity->related, &activity->ts, &activity->created_at))
        return false;
    actor->type = (enum activity_actor_type)activity_position(activity_actor_types, actor_type);
    activity->status = (enum activity_status)activity_position(activity_statuses, status);
    const json_value *numbers = NULL;
    if (impact.n && !json_parse(rows->tx->arena, impact, &numbers)) {
        activity->impact.documents = json_int(numbers, "documents", 0);
        activity->impact.events = json_int(numbers, "events", 0);
        activity->impact.errors = json_int(numbers, "errors", 0);
        activity->impact.duration = json_int(numbers, "durationMs", 0);
    }
    return true;
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

/* ",github,git,": names that a column's value is looked up in. A name with a comma or a wildcard would be another. */
static struct str name_list(struct arena *arena, const struct str *names, size_t n)
{
    struct buf list = buf_in(arena);
    if (n) buf_char(&list, ',');
    for (size_t i = 0; i < n; i++)
        if (str_find_char(names[i], ',', 0) == SIZE_MAX && str_find_char(names[i], '%', 0) == SIZE_MAX)
            buf_printf(&list, STR_FMT ",", STR_ARG(names[i]));
    return buf_str(&list);
}

static struct str text_or_empty(struct str text)
{
    return text.s ? text : STR("");
}

#define FITTING                                                                                                      \
    " AND id < $2 AND ts >= $3 AND ts < $4 "                                                                          \
    "AND ($5 = '' OR $5 LIKE '%,' || category || ',%') AND ($6 = '' OR $6 LIKE '%,' || category || ',%') "            \
    "AND ($7 = '' OR $7 LIKE '%,' || action || ',%') AND ($8 = '' OR status = $8) "                                   \
    "AND ($9 = '' OR $9 LIKE '%,' || source || ',%') AND ($10 = '' OR action = $10) "                                 \
    "AND ($11 = '' OR actor_type = $11) AND ($12 = '' OR actor_user = $12) AND ($13 = '' OR status = $13) "           \
    "AND ($14 = '' OR entity_type = $14) AND ($15 = '' OR entity_id = $15) "                                          \
    "AND ($16 = '' OR words LIKE $16 ESCAPE '\\') ORDER BY id DESC LIMIT $17"

/* Those of an organisation are found by walking through all: an instance has few organisations. */
struct err *activity_query(struct db_tx *tx, struct db_rows *rows, struct activity_owner owner,
                           const struct activity_filter *filter, int64_t limit)
{
    struct str categories = name_list(tx->arena, filter->categories, filter->category_count);
    size_t     group = 0;
    while (group < GROUP_COUNT && !str_eq(filter->group, str_of(groups[group].name))) group++;
    bool grouped = group < GROUP_COUNT;
    return db_query(
        tx, rows,
        owner.workspace ? "SELECT " ACTIVITY_COLUMNS " FROM activity WHERE workspace_id = $1" FITTING
                        : "SELECT " ACTIVITY_COLUMNS " FROM activity WHERE org_id = $1" FITTING,
        owner.workspace ? owner.workspace : owner.org,
        filter->before ? filter->before : INT64_MAX, filter->from, filter->to ? filter->to : INT64_MAX,
        categories, grouped ? groups[group].categories : "", grouped ? groups[group].actions : "",
        grouped ? groups[group].status : "", name_list(tx->arena, filter->sources, filter->source_count),
        text_or_empty(filter->action), text_or_empty(filter->actor_type), text_or_empty(filter->actor_user),
        text_or_empty(filter->status), text_or_empty(filter->entity_type), text_or_empty(filter->entity_id),
        db_like(tx->arena, filter->query), limit);
}

static struct err *gather(struct db_rows *rows, struct activity **list, size_t *n)
{
    VEC(struct activity) found = {0};
    struct activity activity;
    struct arena   *arena = rows->tx->arena;
    while (activity_next(rows, &activity)) *VEC_PUSH(arena, &found) = activity;
    *list = found.at;
    *n = found.n;
    return db_done(rows);
}

static struct err *list_of(struct db_tx *tx, struct activity_owner owner, const struct activity_filter *filter,
                           struct activity **list, size_t *n)
{
    struct db_rows rows;
    TRY(activity_query(tx, &rows, owner, filter, filter->limit ? filter->limit : DEFAULT_LIMIT));
    return gather(&rows, list, n);
}

struct err *activity_list(struct db_tx *tx, int64_t workspace, const struct activity_filter *filter,
                          struct activity **list, size_t *n)
{
    return list_of(tx, (struct activity_owner){.workspace = workspace}, filter, list, n);
}

struct err *activity_list_of_org(struct db_tx *tx, int64_t org, const struct activity_filter *filter,
                                 struct activity **list, size_t *n)
{
    return list_of(tx, (struct activity_owner){.org = org}, filter, list, n);
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

struct err *activity_get(struct db_tx *tx, int64_t workspace, struct str public_id, struct activity *found)
{
    struct db_rows rows;
    bool           exists = false;
    if (id_valid(public_id, "act_")) {
        TRY(db_query(tx, &rows, "SELECT " ACTIVITY_COLUMNS " FROM activity WHERE workspace_id = $1 AND public_id = $2",
                     workspace, public_id));
        exists = activity_next(&rows, found);
        TRY(db_done(&rows));
    }
    return exists ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Activity not found");
}

struct err *activity_chain(struct db_tx *tx, int64_t workspace, const struct activity *of, struct activity **list,
                           size_t *n)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "WITH RECURSIVE before (public_id, related, depth) AS ("
                 "SELECT public_id, related, 1 FROM activity WHERE workspace_id = $1 AND public_id = $2 "
                 "UNION ALL SELECT a.public_id, a.related, b.depth + 1 FROM activity a JOIN before b "
                 "ON a.public_id = b.related WHERE a.workspace_id = $1 AND b.depth < $3) "
                 "SELECT " ACTIVITY_COLUMNS " FROM activity WHERE workspace_id = $1 AND public_id <> $4 AND "
                 "(related = $4 OR public_id IN (SELECT public_id FROM before)) ORDER BY id LIMIT $3",
                 workspace, of->related, (int)MAX_CHAIN, of->public_id));
    return gather(&rows, list, n);
}

struct err *activity_counts(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to,
                            struct activity_count **counts, size_t *n)
{
    VEC(struct activity_count) found = {0};
    struct activity_count count = {0};
    struct db_rows        rows;
    TRY(db_query(tx, &rows,
                 "SELECT category, actor_type, status, COUNT(*) FROM activity WHERE workspace_id = $1 AND ts >= $2 "
                 "AND ts < $3 GROUP BY category, actor_type, status ORDER BY category, actor_type, status",
                 workspace, from, to));
    while (db_next(&rows, &count.category, &count.actor_type, &count.status, &count.n))
        *VEC_PUSH(tx->arena, &found) = count;
    *counts = found.at;
    *n = found.n;
    return db_done(&rows);
}
