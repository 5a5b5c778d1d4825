/* changes.c - what happened to a source itself: app removed, repository renamed, archived, deleted
 * (spec/connector-github.md 4, connectors-other.md 1.3). */
#include "source/inbox.h"

#include "base/time.h"

#define COLUMNS "SELECT workspace_id, id, public_id, provider_resource_id, source_config, is_active, inactive_reason FROM source "

static bool next_source(struct db_rows *rows, struct source_record *source)
{
    *source = (struct source_record){0};
    return db_next(rows, &source->workspace, &source->id, &source->public_id, &source->resource_id, &source->config,
                   &source->active, &source->inactive_reason);
}

struct records { struct source_record *at; size_t n, capacity; };

static bool is_meant(struct arena *arena, const struct source_record *source, const struct source_state_change *change)
{
    const json_value *config = NULL;
    if (json_parse(arena, source->config, &config)) return false;
    if (change->target == SOURCE_OF_INSTALLATION)
        return change->installation_id.n && str_eq(json_str(config, "installationId"), change->installation_id);
    if (change->target == SOURCE_OF_ORGANIZATION)
        return change->organization_id.n && str_eq(json_str(config, "organizationId"), change->organization_id);
    if (change->target != SOURCE_OF_RESOURCES) return false;
    for (size_t i = 0; i < change->resource_ids.n; i++)
        if (str_eq(source->resource_id, change->resource_ids.at[i])) return true;
    return false;
}

/* A source's own address speaks for that source alone; the instance's for those that listen to it. */
static struct err *find_meant(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                              const struct source_state_change *change, struct records *records)
{
    struct source_record source;
    struct db_rows       rows;
    const char          *type = source_provider_name(delivery->provider);
    if (address.n) TRY(db_query(tx, &rows, COLUMNS "WHERE public_id = $1 AND source_type = $2", address, type));
    else TRY(db_query(tx, &rows, COLUMNS "WHERE source_type = $1 AND shared_inbound = 1", type));
    while (next_source(&rows, &source)) {
        source.type = str_of(type);
        if (is_meant(tx->arena, &source, change)) *VEC_PUSH(tx->arena, records) = source;
    }
    return db_done(&rows);
}

static struct err *reactivate(struct db_tx *tx, const struct source_record *source, const char *reason)
{
    if (source->active || !str_eq(source->inactive_reason, str_of(reason))) return NULL;
    return db_exec(tx,
                   "UPDATE source SET is_active = 1, inactive_reason = NULL, connected_at = $3 "
                   "WHERE workspace_id = $1 AND id = $2",
                   source->workspace, source->id, time_now());
}

static struct err *update(struct db_tx *tx, struct source_record *source, const struct source_state_change *change)
{
    const struct { const char *key; struct str text; } texts[] = {
        {"repoFullName", change->repo_full_name},
        {"repoName", change->repo_name},
        {"defaultBranch", change->default_branch},
        {"projectName", change->project_name},
    };
    const struct { const char *key; enum source_flag flag; } flags[] = {
        {"isArchived", change->is_archived},
        {"isPrivate", change->is_private},
    };
    struct source_member members[6];
    size_t               n = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text.n) members[n++] = (struct source_member){.key = texts[i].key, .text = texts[i].text};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].flag != SOURCE_UNSET)
            members[n++] = (struct source_member){.key = flags[i].key,
                                                  .json = flags[i].flag == SOURCE_TRUE ? STR("true") : STR("false")};
    if (!n) return NULL;
    TRY(source_replace_members(tx->arena, &source->config, members, n));
    return db_exec(tx, "UPDATE source SET source_config = $3 WHERE workspace_id = $1 AND id = $2", source->workspace,
                   source->id, source->config);
}

static struct err *apply_to(struct db_tx *tx, struct source_record *source, const struct source_state_change *change)
{
    switch (change->effect) {
    case SOURCE_STATE_DEACTIVATE: return source->active ? source_deactivate(tx, source, change->reason) : NULL;
    case SOURCE_STATE_REACTIVATE: return reactivate(tx, source, change->reason);
    case SOURCE_STATE_UPDATE: return update(tx, source, change);
    default: return NULL; /* what belongs to connections, which only linked apps have */
    }
}

struct err *changes_apply(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                          const struct source_state_change *change)
{
    struct records records = {0};
    if (change->effect == SOURCE_STATE_NONE) return NULL;
    TRY(find_meant(tx, delivery, address, change, &records));
    for (size_t i = 0; i < records.n; i++) TRY(apply_to(tx, &records.at[i], change));
    return NULL;
}
