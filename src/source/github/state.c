/* state.c - what installation and repository events change, and which source an event belongs to
 * (spec/connector-github.md 2.2, 4). */
#include "source/github/inside.h"

#define STATUS       "integration.status_updated"
#define METADATA     "integration.metadata_updated"
#define DISCONNECTED "integration.disconnected"

// clang-format off
static const struct state_row {
    const char *event, *action; /* action NULL: every other action of the event, which changes nothing */
    enum source_state_effect effect;
    enum source_state_target target;
    const char *reason, *activity;
} rows[] = {
    {"installation", "created",                  SOURCE_STATE_INSTALLATION, SOURCE_OF_INSTALLATION, NULL, STATUS},
    {"installation", "new_permissions_accepted", SOURCE_STATE_INSTALLATION, SOURCE_OF_INSTALLATION, NULL, STATUS},
    {"installation", "deleted",                  SOURCE_STATE_DEACTIVATE,   SOURCE_OF_INSTALLATION, "installation_removed", DISCONNECTED},
    {"installation", "suspend",                  SOURCE_STATE_DEACTIVATE,   SOURCE_OF_INSTALLATION, "installation_suspended", DISCONNECTED},
    {"installation", "unsuspend",                SOURCE_STATE_REACTIVATE,   SOURCE_OF_INSTALLATION, "installation_suspended", STATUS},
    {"installation", NULL,                       SOURCE_STATE_NONE,         SOURCE_OF_INSTALLATION, NULL, NULL},
    {"installation_repositories", "removed",     SOURCE_STATE_DEACTIVATE,   SOURCE_OF_RESOURCES, "repository_removed", STATUS},
    {"installation_repositories", "added",       SOURCE_STATE_REACTIVATE,   SOURCE_OF_RESOURCES, "repository_removed", STATUS},
    {"installation_repositories", NULL,          SOURCE_STATE_NONE,         SOURCE_OF_RESOURCES, NULL, NULL},
    {"repository", "deleted",                    SOURCE_STATE_DEACTIVATE,   SOURCE_OF_RESOURCES, "repository_deleted", "integration.deleted"},
    {"repository", "renamed",                    SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "transferred",                SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "archived",                   SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "unarchived",                 SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "privatized",                 SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "publicized",                 SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", "edited",                     SOURCE_STATE_UPDATE,       SOURCE_OF_RESOURCES, NULL, METADATA},
    {"repository", NULL,                         SOURCE_STATE_NONE,         SOURCE_OF_RESOURCES, NULL, NULL},
    {"installation_target", "renamed",           SOURCE_STATE_ACCOUNT,      SOURCE_OF_INSTALLATION, NULL, NULL},
    {"installation_target", NULL,                SOURCE_STATE_NONE,         SOURCE_OF_INSTALLATION, NULL, NULL},
    {"github_app_authorization", "revoked",      SOURCE_STATE_REVOKE,       SOURCE_OF_USER, NULL, "integration.authorization_revoked"},
    {"github_app_authorization", NULL,           SOURCE_STATE_NONE,         SOURCE_OF_USER, NULL, NULL},
};

/* What a repository's action says about it. */
static const struct flag_row {
    const char      *action;
    enum source_flag archived, is_private;
} flags[] = {
    {"deleted",    SOURCE_TRUE,  SOURCE_UNSET},
    {"archived",   SOURCE_TRUE,  SOURCE_UNSET},
    {"unarchived", SOURCE_FALSE, SOURCE_UNSET},
    {"privatized", SOURCE_UNSET, SOURCE_TRUE},
    {"publicized", SOURCE_UNSET, SOURCE_FALSE},
};
// clang-format on

static const struct state_row *find_row(struct str event, struct str action)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_eq(event, str_of(rows[i].event)) && (!rows[i].action || str_eq(action, str_of(rows[i].action))))
            return &rows[i];
    return NULL;
}

static void installation_change(struct arena *arena, const json_value *payload, struct source_state_change *change)
{
    change->account_id = PAYLOAD_FIRST(arena, payload, "account.id", "installation.account.id");
    change->account_login = PAYLOAD_FIRST(arena, payload, "account.login", "installation.account.login");
    if (change->effect == SOURCE_STATE_INSTALLATION) change->installation = json_get(payload, "installation");
    change->repositories = json_get(payload, "repositories");
    bool named = change->effect != SOURCE_STATE_ACCOUNT || change->account_login.n;
    if (!change->installation_id.n || !named) change->effect = SOURCE_STATE_NONE;
}

static void repositories_change(const json_value *payload, struct source_state_change *change)
{
    bool removed = change->effect == SOURCE_STATE_DEACTIVATE;
    change->repositories = json_get(payload, removed ? "repositories_removed" : "repositories_added");
    if (!json_is_array(change->repositories) || !json_count(change->repositories)) change->effect = SOURCE_STATE_NONE;
}

static void repository_change(struct arena *arena, const struct source_delivery *delivery,
                              struct source_state_change *change)
{
    const json_value *repository = json_get(delivery->payload, "repository");
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (str_eq(delivery->action, str_of(flags[i].action))) {
            change->is_archived = flags[i].archived;
            change->is_private = flags[i].is_private;
        }
    if (str_eq(delivery->action, STR("renamed")) || str_eq(delivery->action, STR("transferred"))) {
        change->repo_full_name = payload_text(arena, repository, "full_name");
        change->repo_name = payload_text(arena, repository, "name");
    }
    if (str_eq(delivery->action, STR("edited")) &&
        json_is_object(json_get(delivery->payload, "changes.default_branch"))) {
        change->default_branch = payload_text(arena, repository, "default_branch");
        change->full_sync = change->default_branch.n > 0;
    }
    texts_add(arena, &change->resource_ids, delivery->repository_id);
    bool any = change->is_archived || change->is_private || change->repo_full_name.n || change->default_branch.n;
    if (!change->resource_ids.n || (change->effect == SOURCE_STATE_UPDATE && !any)) change->effect = SOURCE_STATE_NONE;
}

bool github_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change)
{
    const struct state_row *row = find_row(delivery->event, delivery->action);
    if (!row) return false;
    change->effect = row->effect;
    change->target = row->target;
    change->reason = row->reason;
    change->installation_id = delivery->installation_id;
    if (row->effect != SOURCE_STATE_NONE) {
        if (row->target == SOURCE_OF_INSTALLATION) installation_change(arena, delivery->payload, change);
        if (str_eq(delivery->event, STR("installation_repositories")))
            repositories_change(delivery->payload, change);
        if (str_eq(delivery->event, STR("repository"))) repository_change(arena, delivery, change);
        if (row->target == SOURCE_OF_USER) {
            change->user_id = payload_text(arena, delivery->payload, "sender.id");
            if (!change->user_id.n) change->effect = SOURCE_STATE_NONE;
        }
    }
    if (change->effect != SOURCE_STATE_NONE) change->activity = row->activity;
    if (change->effect == SOURCE_STATE_REACTIVATE) change->full_sync = true;
    return true;
}

void github_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route)
{
    route->installation_id = delivery->installation_id;
    texts_add(arena, &route->resource_ids, delivery->repository_id);
    texts_add(arena, &route->resource_names, payload_text(arena, delivery->payload, "repository.full_name"));
}
