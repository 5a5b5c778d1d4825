/* record.c - writing activities, and what is forgotten when. */
#include "activity/inside.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

enum { MAX_ENTITY_TYPE = 50, MAX_ENTITY_ID = 191, MAX_ENTITY_NAME = 500, MAX_ADDRESS = 45, MAX_TEXT = 500,
       KEPT_LONG_DAYS = 730 };

/* category, what its actions begin with, kept for two years at least */
/* clang-format off */
#define CATEGORIES(X)                          \
    X("workspace",   "workspace.",   false)    \
    X("integration", "integration.", false)    \
    X("store",       "store.",       false)    \
    X("job",         "job.",         false)    \
    X("document",    "document.",    false)    \
    X("search",      "search.",      false)    \
    X("api_key",     "apikey.",      true)     \
    X("auth",        "auth.",        true)     \
    X("permission",  "permission.",  true)     \
    X("settings",    "settings.",    false)
/* clang-format on */
#define ROW(category, prefix, kept_long) {category, prefix, kept_long},
#define NAME(category, prefix, kept_long) category,
static const struct {
    const char *category, *prefix;
    bool        kept_long;
} categories[] = {CATEGORIES(ROW)};
enum { CATEGORY_COUNT = sizeof categories / sizeof *categories };

const char *const activity_categories[] = {CATEGORIES(NAME) NULL};
const char *const activity_actor_types[] = {"user", "system", "webhook", "api", NULL};
const char *const activity_statuses[] = {"success", "failure", "in_progress", NULL};

static const char *category_of(struct str action)
{
    for (size_t i = 0; i < CATEGORY_COUNT; i++)
        if (str_starts(action, str_of(categories[i].prefix))) return categories[i].category;
    return NULL;
}

static struct str cut(struct arena *arena, struct str text, size_t characters)
{
    return text.n ? utf8_head(utf8_repair(arena, text), characters) : (struct str){0};
}

static struct str impact_text(struct arena *arena, const struct activity *activity)
{
    const struct { const char *name; int64_t n; } parts[] = {{"documents", activity->impact.documents},
                                                             {"events", activity->impact.events},
                                                             {"errors", activity->impact.errors},
                                                             {"durationMs", activity->impact.duration}};
    struct json_out out = json_out(arena);
    bool            any = false;
    json_begin(&out, NULL, '{');
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].n) json_put(&out, parts[i].name, parts[i].n);
        any |= parts[i].n != 0;
    }
    json_end(&out);
    return any ? json_out_text(&out) : (struct str){0};
}

/* What the text filter looks into, a line each. */
static struct err *words_of(struct arena *arena, const struct activity *activity, struct str *words)
{
    const json_value *metadata = NULL;
    if (activity->metadata.n) TRY(json_parse(arena, activity->metadata, &metadata));
    struct str parts[] = {activity->actor.user, activity->actor.email, activity->entity_name,
                          json_str(metadata, "repoFullName")};
    struct str text = str_join(arena, parts, sizeof parts / sizeof *parts, STR("\n"));
    *words = str_lower(arena, cut(arena, text, MAX_ENTITY_NAME * 3));
    if (!words->s) *words = STR("");
    return NULL;
}

struct err *activity_record(struct db_tx *tx, const struct activity *activity)
{
    struct arena *arena = tx->arena;
    const struct activity_actor *actor = &activity->actor;
    const char   *category = category_of(activity->action);
    int64_t       now = time_now();
    struct str    words;
    if (!category)
        return err_new(arena, ERR_INVALID, "unknown activity " STR_FMT, STR_ARG(utf8_repair(arena, activity->action)));
    TRY(words_of(arena, activity, &words));
    return db_exec(
        tx,
        "INSERT INTO activity (workspace_id, org_id, public_id, actor_type, actor_user, actor_email, actor_ip, "
        "api_key, user_agent, request_id, category, action, entity_type, entity_id, entity_name, source, changes, "
        "reason, status, impact, metadata, job, related, words, ts, created_at) VALUES ($1, CASE WHEN $2 = 0 THEN "
        "COALESCE((SELECT org_id FROM workspace WHERE id = $1), 0) ELSE $2 END, $3, $4, $5, $6, $7, "
        "$8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)",
        activity->workspace, activity->org, id_new(arena, "act_"), activity_actor_types[actor->type],
        cut(arena, actor->user, MAX_TEXT), cut(arena, actor->email, MAX_TEXT), cut(arena, actor->ip, MAX_ADDRESS),
        cut(arena, actor->key, MAX_TEXT), cut(arena, actor->user_agent, MAX_TEXT),
        cut(arena, actor->request, MAX_TEXT), category, activity->action,
        cut(arena, activity->entity_type, MAX_ENTITY_TYPE), cut(arena, activity->entity_id, MAX_ENTITY_ID),
        cut(arena, activity->entity_name, MAX_ENTITY_NAME), cut(arena, activity->source, MAX_TEXT),
        activity->changes, cut(arena, activity->reason, MAX_TEXT), activity_statuses[activity->status],
        impact_text(arena, activity), activity->metadata, activity->job, activity->related, words,
        activity->ts ? activity->ts : now, now);
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

struct sweep {
    int64_t    workspace, before, before_long;
    struct str kept_long; /* ",auth,api_key," */
    int64_t    deleted;   /* by the last closure */
};

static struct err *sweep_some(struct db_tx *tx, void *arg)
{
    struct sweep *sweep = arg;
    TRY(db_exec(tx,
                "DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE workspace_id = $1 AND ts < $2 AND "
                "(ts < $3 OR $4 NOT LIKE '%,' || category || ',%') ORDER BY ts LIMIT $5)",
                sweep->workspace, sweep->before, sweep->before_long, sweep->kept_long, (int)ACTIVITY_SWEPT_AT_ONCE));
    sweep->deleted = db_changes(tx);
    return NULL;
}

struct err *activity_sweep(struct db *db, struct arena *arena, int64_t workspace, int64_t days, int64_t *deleted)
{
    int64_t    now = time_now();
    struct buf kept_long = buf_in(arena);
    for (size_t i = 0; i < CATEGORY_COUNT; i++)
        if (categories[i].kept_long) buf_printf(&kept_long, ",%s,", categories[i].category);
    struct sweep sweep = {.workspace = workspace,
                          .kept_long = buf_str(&kept_long),
                          .before = now - DAYS(days),
                          .before_long = now - DAYS(days > KEPT_LONG_DAYS ? days : KEPT_LONG_DAYS)};
    *deleted = 0;
    if (!days) return NULL;
    TRY(db_write(db, arena, sweep_some, &sweep));
    *deleted = sweep.deleted;
    return NULL;
}

struct err *activity_forget_workspace(struct db_tx *tx, int64_t workspace)
{
    static const char *const statements[] = {"DELETE FROM activity WHERE workspace_id = $1",
                                             "DELETE FROM metric_sample WHERE workspace_id = $1",
                                             "DELETE FROM metric_hour WHERE workspace_id = $1",
                                             "DELETE FROM workspace_health WHERE workspace_id = $1"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) TRY(db_exec(tx, statements[i], workspace));
    return NULL;
}
