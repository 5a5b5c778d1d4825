/* match.c - which sources a delivery belongs to (spec/connector-github.md 2.2, connectors-other.md 1.4). */
#include "source/inbox.h"
#include "source/outline.h"

#include "base/id.h"

/* Where a payload says the name that a source may be known by before its id is; NULL ends. */
static const char *const names[SOURCE_PROVIDERS][3] = {
    [SOURCE_GITHUB] = {"repository.full_name"},
    [SOURCE_VERCEL] = {"payload.project.name", "payload.name"},
    [SOURCE_LINEAR] = {"data.team.key", "data.issue.team.key"},
    [SOURCE_SENTRY] = {"data.issue.project.slug", "data.project_slug"},
};

#define COLUMNS                                                                                                      \
    "SELECT s.workspace_id, s.id, s.public_id, s.provider_resource_id, s.source_config, s.is_active, "  \
    "s.inactive_reason, s.last_delivery_at, w.public_id, o.public_id FROM source s JOIN workspace w ON w.id = s.workspace_id JOIN organization o ON o.id = w.org_id "

static bool next_candidate(struct db_rows *rows, enum source_provider provider, struct candidate *candidate)
{
    *candidate = (struct candidate){.source.type = str_of(source_provider_name(provider))};
    struct source_record *source = &candidate->source;
    return db_next(rows, &source->workspace, &source->id, &source->public_id, &source->resource_id, &source->config,
                   &source->active, &source->inactive_reason, &source->last_delivery_at, &candidate->workspace_id, &candidate->org_id);
}

static bool holds(const struct source_texts *texts, struct str text, bool any_case)
{
    for (size_t i = 0; i < texts->n; i++)
        if (any_case ? str_eq_nocase(texts->at[i], text) : str_eq(texts->at[i], text)) return true;
    return false;
}

static bool is_named(struct arena *arena, const struct source_delivery *delivery, const struct source_route *route,
                     const struct candidate *candidate)
{
    struct str name = json_str(candidate->config, source_kind_of(candidate->source.type)->name);
    if (!name.n) return false;
    for (const char *const *path = names[delivery->provider]; *path; path++)
        if (str_eq_nocase(payload_text(arena, delivery->payload, *path), name)) return true;
    return holds(&route->resource_names, name, true);
}

/* ---- the account --------------------------------------------------------------------------------------------------- */

struct accounts { struct str own, told; };

static struct accounts accounts_of(const struct source_delivery *delivery, const struct source_route *route,
                                   const struct candidate *candidate)
{
    bool by_installation = delivery->provider == SOURCE_GITHUB || delivery->provider == SOURCE_SENTRY;
    return (struct accounts){.own = json_str(candidate->config, source_kind_of(candidate->source.type)->account),
                             .told = by_installation ? route->installation_id : route->organization_id};
}

/* Where both sides know the account, it must be the same one. GitHub: a reinstalled app has a new installation of the
 * same repository. */
static bool other_account(const struct source_delivery *delivery, const struct accounts *account)
{
    return delivery->provider != SOURCE_GITHUB && account->own.n && account->told.n && !str_eq(account->own, account->told);
}

/* ---- learning ------------------------------------------------------------------------------------------------------ */

enum { MAX_LEARNED = 300 }; /* bytes */

static void learn(struct candidate *candidate, const char *member, struct str text)
{
    if (!text.n || text.n > MAX_LEARNED || str_eq(text, json_str(candidate->config, member))) return;
    candidate->learned[candidate->learned_count++] = (struct source_member){.key = member, .text = text};
}

/* The delivery is about this source's own resource: what it says of its account and name is so. */
static void learn_facts(struct arena *arena, const struct source_delivery *delivery, const struct accounts *account,
                        struct candidate *candidate)
{
    const struct source_kind *kind = source_kind_of(candidate->source.type);
    struct str                told = {0};
    learn(candidate, kind->account, account->told);
    for (const char *const *path = names[delivery->provider]; *path && !told.n; path++)
        told = payload_text(arena, delivery->payload, *path);
    if (!json_str(candidate->config, kind->name).n) learn(candidate, kind->name, told);
    if (delivery->provider == SOURCE_GITHUB && !json_str(candidate->config, "idName").n) learn(candidate, "idName", told);
}

static bool learned_name(const struct candidate *candidate)
{
    const char *name = source_kind_of(candidate->source.type)->name;
    for (size_t i = 0; i < candidate->learned_count; i++)
        if (strcmp(candidate->learned[i].key, name) == 0) return true;
    return false;
}

struct err *match_learn(struct db_tx *tx, const struct candidate *candidate)
{
    const struct source_record *source = &candidate->source;
    struct db_rows rows;
    struct str     config = {0};
    if (candidate->learned_id.n) {
        /* another source of the workspace may have it already: then this one goes on by its name */
        TRY(db_exec(tx,
                    "UPDATE source SET provider_resource_id = $3 WHERE workspace_id = $1 AND id = $2 AND NOT EXISTS "
                    "(SELECT 1 FROM source o WHERE o.workspace_id = $1 AND o.source_type = $4 "
                    "AND o.provider_resource_id = $3)",
                    source->workspace, source->id, candidate->learned_id, source->type));
    }
    if (!candidate->learned_count) return NULL;
    /* it may have been set since the delivery was read */
    TRY(db_query(tx, &rows, "SELECT source_config FROM source WHERE workspace_id = $1 AND id = $2", source->workspace,
                 source->id));
    bool found = db_next(&rows, &config);
    TRY(db_done(&rows));
    if (!found) return NULL;
    TRY(source_replace_members(tx->arena, &config, candidate->learned, candidate->learned_count));
    TRY(source_write_config(tx, source->workspace, source->id, config));
    if (!learned_name(candidate)) return NULL;
    struct source_record named = *source;
    named.config = config;
    return source_tell_named(tx, &named);
}

/* ---- candidates ---------------------------------------------------------------------------------------------------- */

/* A check of a deployment names no project: that of the deployment's stored events is meant. */
static struct err *owns_deployment(struct db_tx *tx, const struct candidate *candidate, struct str deployment, bool *owns)
{
    struct db_rows rows;
    int64_t        one;
    TRY(db_query(tx, &rows,
                 "SELECT 1 FROM observation_reference r JOIN observation o "
                 "ON o.workspace_id = r.workspace_id AND o.id = r.observation_id "
                 "WHERE r.workspace_id = $1 AND r.ref_type = 'deployment' AND r.ref_key = $2 AND o.resource_id = $3 LIMIT 1",
                 candidate->source.workspace, deployment, candidate->source.resource_id));
    *owns = db_next(&rows, &one);
    return db_done(&rows);
}

/* Updates of projects name none of its teams. */
static struct err *works_on_project(struct db_tx *tx, const struct candidate *candidate, struct str project, bool *does,
                                    bool *known)
{
    struct source_texts teams;
    TRY(items_project_teams(tx, candidate->source.workspace, project, &teams));
    *known = teams.n > 0;
    *does = holds(&teams, candidate->source.resource_id, false);
    return NULL;
}

static struct err *belongs(struct db_tx *tx, const struct source_delivery *delivery, const struct source_route *route,
                           struct candidate *candidate, bool own_address, bool *does)
{
    struct accounts account = accounts_of(delivery, route, candidate);
    bool            unnamed = !route->resource_ids.n && !route->resource_names.n;
    *does = false;
    if (other_account(delivery, &account)) return NULL;
    *does = holds(&route->resource_ids, candidate->source.resource_id, false);
    if (*does) {
        learn_facts(tx->arena, delivery, &account, candidate);
        candidate->project = route->project_id;
        candidate->project_teams = route->resource_ids;
        return NULL;
    }
    if (unnamed && route->deployment_id.n) return owns_deployment(tx, candidate, route->deployment_id, does);
    if (unnamed && route->project_id.n) {
        bool known;
        TRY(works_on_project(tx, candidate, route->project_id, does, &known));
        if (known) return NULL;
    }
    /* Names can be claimed, and two accounts may use the same: only who knows the source's own secret is believed, or
     * whom the source is known to belong to. */
    bool names_only = delivery->provider == SOURCE_LINEAR || delivery->provider == SOURCE_SENTRY;
    bool trusted = own_address || (names_only && account.told.n && str_eq(account.own, account.told));
    if (!trusted) return NULL;
    bool unknown_id = str_starts(candidate->source.resource_id, STR("name:"));
    if ((unknown_id || delivery->provider != SOURCE_GITHUB) && is_named(tx->arena, delivery, route, candidate)) {
        *does = true;
        if (unknown_id && own_address && route->resource_ids.n == 1) {
            candidate->learned_id = route->resource_ids.at[0];
            learn_facts(tx->arena, delivery, &account, candidate);
        }
        return NULL;
    }
    *does = unnamed && route->fallback;
    return NULL;
}

struct err *match_read_config(struct arena *arena, struct candidate *candidate)
{
    return json_parse(arena, candidate->source.config, &candidate->config);
}

struct err *match_address(struct db_tx *tx, enum source_provider provider, struct str address, struct candidate *candidate)
{
    bool           found = false;
    struct db_rows rows;
    if (id_valid(address, "src_")) {
        TRY(db_query(tx, &rows, COLUMNS "WHERE s.public_id = $1 AND s.source_type = $2", address,
                     source_provider_name(provider)));
        found = next_candidate(&rows, provider, candidate);
        TRY(db_done(&rows));
    }
    return found ? match_read_config(tx->arena, candidate) : err_new(tx->arena, ERR_NOT_FOUND, "Source not found");
}

struct err *match_resource(struct db_tx *tx, const struct source_delivery *delivery, struct candidate *candidate, bool *does)
{
    struct source_route route;
    source_route_find(tx->arena, delivery, &route);
    return belongs(tx, delivery, &route, candidate, false, does);
}

static struct err *match_own(struct db_tx *tx, const struct source_delivery *delivery, const struct source_route *route,
                             struct candidate *own, struct candidates *candidates, enum source_reason *reason)
{
    bool does = false;
    if (own->source.active) TRY(belongs(tx, delivery, route, own, true, &does));
    if (does)
        *VEC_PUSH(tx->arena, candidates) = *own;
    else if (own->source.active && delivery->provider == SOURCE_GITHUB && route->resource_ids.n)
        *reason = SOURCE_REPOSITORY_MISMATCH;
    return NULL;
}

struct err *match_candidates(struct db_tx *tx, const struct source_delivery *delivery, struct candidate *own,
                             struct candidates *candidates, enum source_reason *reason)
{
    struct source_route route;
    struct candidates   all = {0};
    struct candidate    candidate;
    struct db_rows      rows;
    *candidates = (struct candidates){0};
    *reason = SOURCE_NOT_CONNECTED;
    source_route_find(tx->arena, delivery, &route);
    if (own) return match_own(tx, delivery, &route, own, candidates, reason);
    bool by_id = delivery->provider == SOURCE_GITHUB;
    if (by_id && !route.resource_ids.n) return NULL;
    TRY(db_query(tx, &rows,
                 COLUMNS "WHERE s.source_type = $1 AND s.shared_inbound = 1 AND s.is_active = 1 "
                         "AND ($2 = '' OR s.provider_resource_id = $2) ORDER BY s.workspace_id, s.id",
                 source_provider_name(delivery->provider), by_id ? route.resource_ids.at[0] : STR("")));
    while (next_candidate(&rows, delivery->provider, &candidate)) *VEC_PUSH(tx->arena, &all) = candidate;
    TRY(db_done(&rows));
    for (size_t i = 0; i < all.n; i++) {
        bool does;
        TRY(match_read_config(tx->arena, &all.at[i]));
        TRY(belongs(tx, delivery, &route, &all.at[i], false, &does));
        if (does) *VEC_PUSH(tx->arena, candidates) = all.at[i];
    }
    return NULL;
}
