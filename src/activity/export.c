/* export.c - activities as JSON and as CSV. */
#include "activity/inside.h"

#include "base/time.h"

static void put_json(struct json_out *out, const char *key, struct str json)
{
    if (json.n)
        json_put_raw(out, key, json);
    else
        json_put_null(out, key);
}

static void put_actor(struct json_out *out, const struct activity_actor *actor)
{
    json_put(out, "actorType", activity_actor_types[actor->type]);
    json_put(out, "actorUserId", actor->user);
    json_put(out, "actorEmail", actor->email);
    json_put(out, "actorIp", actor->ip);
    json_put(out, "apiKeyId", actor->key);
    json_put(out, "userAgent", actor->user_agent);
    json_put(out, "requestId", actor->request);
}

static void put_impact(struct json_out *out, const struct activity *activity)
{
    json_begin(out, "impact", '{');
    json_put(out, "documents", activity->impact.documents);
    json_put(out, "events", activity->impact.events);
    json_put(out, "errors", activity->impact.errors);
    json_put(out, "durationMs", activity->impact.duration);
    json_end(out);
}

void activity_write(struct json_out *out, const char *key, const struct activity *activity)
{
    json_begin(out, key, '{');
    json_put(out, "id", activity->public_id);
    json_put(out, "orgId", activity->org_id);
    json_put(out, "workspaceId", activity->workspace_id);
    put_actor(out, &activity->actor);
    json_put(out, "category", activity->category);
    json_put(out, "action", activity->action);
    json_put(out, "entityType", activity->entity_type);
    json_put(out, "entityId", activity->entity_id);
    json_put(out, "entityName", activity->entity_name);
    json_put(out, "sourceType", activity->source);
    put_json(out, "changes", activity->changes);
    json_put(out, "reason", activity->reason);
    json_put(out, "status", activity_statuses[activity->status]);
    put_impact(out, activity);
    put_json(out, "metadata", activity->metadata);
    json_put(out, "jobId", activity->job);
    json_put(out, "relatedActivityId", activity->related);
    json_put_time(out, "timestamp", activity->ts);
    json_put_time(out, "createdAt", activity->created_at);
    json_end(out);
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

static const char header[] =
    "id,timestamp,category,action,status,actorType,actorUserId,actorEmail,actorIp,apiKeyId,userAgent,requestId,"
    "entityType,entityId,entityName,sourceType,changes,reason,documents,events,errors,durationMs,metadata,jobId,"
    "relatedActivityId,createdAt\r\n";

static void add_cell(struct buf *row, struct str text)
{
    bool formula = text.n && memchr("=+-@", text.s[0], 4);
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) quoted |= memchr(",\"\r\n", text.s[i], 4) != NULL;
    if (row->n) buf_char(row, ',');
    if (quoted) buf_char(row, '"');
    if (formula) buf_char(row, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] == '"') buf_char(row, '"');
        buf_char(row, text.s[i]);
    }
    if (quoted) buf_char(row, '"');
}

static struct str row_of(struct arena *arena, const struct activity *a)
{
    struct str cells[] = {
        a->public_id,       time_format(arena, a->ts), a->category,      a->action,
        str_of(activity_statuses[a->status]), str_of(activity_actor_types[a->actor.type]),
        a->actor.user,      a->actor.email,            a->actor.ip,      a->actor.key,
        a->actor.user_agent, a->actor.request,         a->entity_type,   a->entity_id,
        a->entity_name,     a->source,                 a->changes,       a->reason,
        str_printf(arena, "%lld", (long long)a->impact.documents),
        str_printf(arena, "%lld", (long long)a->impact.events),
        str_printf(arena, "%lld", (long long)a->impact.errors),
        str_printf(arena, "%lld", (long long)a->impact.duration),
        a->metadata,        a->job,                    a->related,       time_format(arena, a->created_at),
    };
    struct buf row = buf_in(arena);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) add_cell(&row, cells[i]);
    buf_lit(&row, "\r\n");
    return buf_str(&row);
}

static struct str object_of(struct arena *arena, const struct activity *activity)
{
    struct json_out out = json_out(arena);
    activity_write(&out, NULL, activity);
    return json_out_text(&out);
}

struct err *activity_export(struct arena *arena, struct db *db, int64_t workspace, const struct activity_filter *filter,
                            enum activity_format format, struct str *text)
{
    struct arena   *work ARENA_SCOPE = arena_create(); /* of one row at a time */
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct buf      all = buf_in(arena);
    struct activity activity;
    struct db_rows  rows;
    struct err     *err = db_read_begin(db, work, &tx);
    if (!err) err = activity_query(tx, &rows, (struct activity_owner){.workspace = workspace}, filter, ACTIVITY_MAX_EXPORT);
    if (err) return err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err)));
    if (format == ACTIVITY_CSV) buf_bytes(&all, header, sizeof header - 1);
    else buf_char(&all, '[');
    struct arena_mark mark = arena_mark(work);
    for (bool first = true; activity_next(&rows, &activity); first = false) {
        if (format == ACTIVITY_JSON && !first) buf_char(&all, ',');
        buf_str_add(&all, format == ACTIVITY_CSV ? row_of(work, &activity) : object_of(work, &activity));
        arena_rewind(work, mark);
    }
    if (format == ACTIVITY_JSON) buf_char(&all, ']');
    *text = buf_str(&all);
    err = db_done(&rows);
    return err ? err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err))) : NULL;
}
