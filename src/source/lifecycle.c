/* lifecycle.c - a source begins, ends and begins again: its row, and what others hear of it, as events and activities. */
#include "source/inbox.h"

#include "base/time.h"
#include "flow/flow.h"

// clang-format off
static const struct source_kind kinds[SOURCE_PROVIDERS] = {
    /*                 type          name            account           id           also told of a source */
    [SOURCE_GITHUB] = {"repository", "repoFullName", "installationId", "repoId",    {"repoFullName", "defaultBranch", "installationId", "isPrivate"}},
    [SOURCE_VERCEL] = {"project",    "projectName",  "teamId",         "projectId", {"projectName", "teamId"}},
    [SOURCE_LINEAR] = {"team",       "teamKey",      "organizationId", "teamId",    {"teamKey", "teamName"}},
    [SOURCE_SENTRY] = {"project",    "projectSlug",  "installationId", "projectId", {"projectSlug", "organizationSlug"}},
};
// clang-format on

const struct source_kind *source_kind_of(struct str type)
{
    enum source_provider provider;
    return source_provider_parse(type, &provider) ? &kinds[provider] : NULL;
}

struct str source_display_name(const struct source_record *source, const json_value *config)
{
    const struct source_kind *kind = source_kind_of(source->type);
    struct str                name = json_str(config, kind ? kind->name : "repoFullName");
    return name.n ? name : source->resource_id;
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

struct telling {
    struct json_out   out;
    const json_value *config;
    struct str        workspace_key;
};

/* Every event names workspace and organisation, for those that listen know neither. */
static struct err *begin_telling(struct db_tx *tx, const struct source_record *source, struct telling *telling)
{
    struct db_rows rows;
    struct str     workspace = {0}, slug = {0}, org = {0};
    *telling = (struct telling){.out = json_out(tx->arena)};
    TRY(db_query(tx, &rows,
                 "SELECT w.public_id, w.slug, o.public_id FROM workspace w JOIN organization o ON o.id = w.org_id "
                 "WHERE w.id = $1",
                 source->workspace));
    (void)db_next(&rows, &workspace, &slug, &org);
    TRY(db_done(&rows));
    TRY(json_parse(tx->arena, source->config, &telling->config));
    telling->workspace_key = str_printf(tx->arena, "ws-" STR_FMT, STR_ARG(slug));
    json_begin(&telling->out, NULL, '{');
    json_put(&telling->out, "workspaceId", workspace);
    json_put(&telling->out, "orgId", org);
    json_put(&telling->out, "sourceType", source->type);
    return NULL;
}

static struct err *end_telling(struct db_tx *tx, const struct source_record *source, struct telling *telling,
                               struct str name)
{
    json_end(&telling->out);
    return flow_send(tx, .workspace = source->workspace, .name = name, .data = json_out_text(&telling->out));
}

static void put_facts(struct telling *telling, const struct source_record *source, const char *id_name)
{
    const struct source_kind *kind = source_kind_of(source->type);
    if (!kind) return;
    if (!str_starts(source->resource_id, STR("name:"))) json_put(&telling->out, id_name, source->resource_id);
    for (size_t i = 0; i < sizeof kind->told / sizeof *kind->told && kind->told[i]; i++) {
        const json_value *value = json_get(telling->config, kind->told[i]);
        if (!json_is_null(value)) json_put_value(&telling->out, kind->told[i], value);
    }
}

struct err *source_tell_connected(struct db_tx *tx, const struct source_record *source, const char *trigger)
{
    struct telling            telling;
    const struct source_kind *kind = source_kind_of(source->type);
    TRY(begin_telling(tx, source, &telling));
    json_put(&telling.out, "workspaceKey", telling.workspace_key);
    json_put(&telling.out, "sourceId", source->public_id);
    json_begin(&telling.out, "sourceMetadata", '{');
    if (kind) put_facts(&telling, source, kind->id);
    else json_put(&telling.out, "name", source_display_name(source, telling.config));
    json_end(&telling.out);
    json_put(&telling.out, "trigger", trigger);
    return end_telling(tx, source, &telling,
                       str_printf(tx->arena, "source.connected." STR_FMT, STR_ARG(source->type)));
}

struct err *source_tell_named(struct db_tx *tx, const struct source_record *source)
{
    struct telling telling;
    TRY(begin_telling(tx, source, &telling));
    json_put(&telling.out, "sourceId", source->public_id);
    json_put(&telling.out, "name", source_display_name(source, telling.config));
    return end_telling(tx, source, &telling, STR("source.named"));
}

struct err *source_tell_disconnected(struct db_tx *tx, const struct source_record *source, const char *reason,
                                     bool delete_data)
{
    struct telling telling;
    TRY(begin_telling(tx, source, &telling));
    json_put(&telling.out, "sourceId", source->public_id);
    json_put(&telling.out, "reason", reason);
    json_put_bool(&telling.out, "deleteData", delete_data);
    return end_telling(tx, source, &telling, STR("source.disconnected"));
}

struct err *source_request_sync(struct db_tx *tx, const struct source_record *source)
{
    struct telling telling;
    TRY(begin_telling(tx, source, &telling));
    json_put(&telling.out, "workspaceKey", telling.workspace_key);
    json_put(&telling.out, "sourceId", source->public_id);
    json_put(&telling.out, "syncMode", "full");
    json_put(&telling.out, "trigger", "config-change");
    json_begin(&telling.out, "syncParams", '{');
    json_end(&telling.out);
    return end_telling(tx, source, &telling, STR("sync.requested"));
}

struct err *source_tell_activity(struct db_tx *tx, const struct source_record *source, const struct source_told *told)
{
    struct telling telling;
    bool           github = str_eq(source->type, STR("github"));
    TRY(begin_telling(tx, source, &telling));
    json_put(&telling.out, "actorType", "webhook");
    json_put(&telling.out, "category", "integration");
    json_put(&telling.out, "action", told->action);
    json_put(&telling.out, "entityType", "source");
    json_put(&telling.out, "entityId", source->public_id);
    json_put(&telling.out, "entityName", source_display_name(source, telling.config));
    json_put(&telling.out, "status", "success");
    if (told->reason) json_put(&telling.out, "reason", told->reason);
    if (told->changes.n) json_put_raw(&telling.out, "changes", told->changes);
    json_begin(&telling.out, "metadata", '{');
    json_put(&telling.out, "provider", source->type);
    put_facts(&telling, source, github ? "githubRepoId" : source_kind_of(source->type)->id);
    if (github && told->installation_id.n) json_put(&telling.out, "githubInstallationId", told->installation_id);
    json_put_bool(&telling.out, "isActive", source->active);
    json_put(&telling.out, "deliveryId", told->delivery_id);
    json_end(&telling.out);
    json_put_time(&telling.out, "timestamp", time_now());
    return end_telling(tx, source, &telling, STR("activity.record"));
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

struct err *source_deactivate(struct db_tx *tx, struct source_record *source, const char *reason)
{
    source->active = false;
    source->inactive_reason = str_of(reason);
    TRY(db_exec(tx,
                "UPDATE source SET is_active = 0, inactive_reason = $3, "
                "last_sync_status = CASE WHEN $4 = 1 THEN last_sync_status ELSE 'failed' END, "
                "last_sync_error = CASE WHEN $4 = 1 THEN last_sync_error ELSE $3 END "
                "WHERE workspace_id = $1 AND id = $2",
                source->workspace, source->id, reason, str_eq(str_of(reason), STR(SOURCE_REMOVED))));
    return source_tell_disconnected(tx, source, reason, false);
}

struct err *source_reactivate(struct db_tx *tx, struct source_record *source)
{
    source->active = true;
    source->inactive_reason = (struct str){0};
    TRY(db_exec(tx,
                "UPDATE source SET is_active = 1, inactive_reason = NULL, last_sync_status = 'pending', "
                "last_sync_error = NULL, connected_at = $3 WHERE workspace_id = $1 AND id = $2",
                source->workspace, source->id, time_now()));
    return source_tell_connected(tx, source, "automation");
}
