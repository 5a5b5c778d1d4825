/* installations.c - what is known of the GitHub app's installations (spec/connector-github.md 4). */
#include "source/outline.h"
#include "source/inbox.h"

static struct err *store(struct db_tx *tx, const json_value *installation, const struct source_state_change *change,
                         int64_t received_at)
{
    const json_value *permissions = json_get(installation, "permissions"), *events = json_get(installation, "events");
    int64_t           updated = received_at;
    (void)payload_time(installation, "updated_at", &updated);
    return db_exec(tx,
                   "INSERT INTO github_installation (id, account_id, account_login, account_type, permissions, events, "
                   "repository_selection, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
                   "ON CONFLICT (id) DO UPDATE SET account_id = $2, account_login = $3, account_type = $4, "
                   "permissions = $5, events = $6, repository_selection = $7, updated_at = $8 "
                   "WHERE github_installation.updated_at <= $8",
                   change->installation_id, change->account_id, change->account_login,
                   json_str(installation, "account.type"),
                   json_is_object(permissions) ? json_text(tx->arena, permissions) : STR("{}"),
                   json_is_array(events) ? json_text(tx->arena, events) : STR("[]"),
                   json_str(installation, "repository_selection"), updated);
}

struct err *installations_apply(struct db_tx *tx, const struct source_state_change *change, int64_t received_at)
{
    if (change->target != SOURCE_OF_INSTALLATION) return NULL;
    switch (change->effect) {
    case SOURCE_STATE_INSTALLATION: return store(tx, change->installation, change, received_at);
    case SOURCE_STATE_ACCOUNT:
        return db_exec(tx, "UPDATE github_installation SET account_login = $2 WHERE id = $1", change->installation_id,
                       change->account_login);
    case SOURCE_STATE_REACTIVATE:
        return db_exec(tx, "UPDATE github_installation SET suspended_at = NULL WHERE id = $1", change->installation_id);
    case SOURCE_STATE_DEACTIVATE:
        if (str_eq(str_of(change->reason), STR("installation_suspended")))
            return db_exec(tx, "UPDATE github_installation SET suspended_at = $2 WHERE id = $1", change->installation_id,
                           received_at);
        return db_exec(tx, "DELETE FROM github_installation WHERE id = $1", change->installation_id);
    default: return NULL;
    }
}
