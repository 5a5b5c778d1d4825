/* match.c - which sources a delivery belongs to (spec/connector-github.md 2.2, connectors-other.md 1.4). */
#include "source/inbox.h"
#include "source/outline.h"

#include "base/id.h"

/* What a source may be known by before its id is, and where a payload says it. */
static const struct name_row {
    const char *config, *payload[3];
} names[SOURCE_PROVIDERS] = {
    [SOURCE_GITHUB] = {"repoFullName", {"repository.full_name"}},
    [SOURCE_VERCEL] = {"projectName", {"payload.project.name", "payload.name"}},
    [SOURCE_LINEAR] = {"teamKey", {"data.team.key", "data.issue.team.key"}},
    [SOURCE_SENTRY] = {"projectSlug", {"data.issue.project.slug", "data.project_slug"}},
};

#define COLUMNS                                                                                                      \
    "SELECT s.workspace_id, s.id, s.public_id, s.provider_resource_id, s.source_config, s.is_active, w.public_id, "  \
    "o.public_id FROM source s JOIN workspace w ON w.id = s.workspace_id JOIN organization o ON o.id = w.org_id "

static bool next_candidate(struct db_rows *rows, enum source_provider provider, struct candidate *candidate)
{
    *candidate = (struct candidate){.source.type = str_of(source_provider_name(provider))};
    struct source_record *source = &candidate->source;
    return db_next(rows, &source->workspace, &source->id, &source->public_id, &source->resource_id, &source->config,
                   &source->active, &candidate->workspace_id, &candidate->org_id);
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
    const struct name_row *row = &names[delivery->provider];
    struct str             name = json_str(candidate->config, row->config);
    if (!name.n) return false;
    for (size_t i = 0; i < sizeof row->payload / sizeof *row->payload && row->payload[i]; i++)
        if (str_eq_nocase(payload_text(arena, delivery->payload, row->payload[i]), name)) return true;
    return holds(&route->resource_names, name, true);
}

/* Where both sides know the account, it must be the same one. */
static bool same_account(const struct candidate *candidate, const struct source_route *route)
{
    struct str installation = json_str(candidate->config, "installationId"),
               organization = json_str(candidate->config, "organizationId");
    if (!organization.n) organization = json_str(candidate->config, "teamId");
    bool other_installation = installation.n && route->installation_id.n && !str_eq(installation, route->installation_id);
    bool other_organization = organization.n && route->organization_id.n && !str_eq(organization, route->organization_id);
    /* GitHub: a reinstalled app has a new installation of the same repository */
    if (str_eq(candidate->source.type, STR("github"))) return true;
    return !other_installation && !other_organization;
}

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

static struct err *belongs(struct db_tx *tx, const struct source_delivery *delivery, const struct source_route *route,
                           struct candidate *candidate, bool own_address, bool *does)
{
    bool unnamed = !route->resource_ids.n && !route->resource_names.n;
    *does = false;
    if (!same_account(candidate, route)) return NULL;
    *does = holds(&route->resource_ids, candidate->source.resource_id, false);
    if (*does) return NULL;
    if (unnamed && route->deployment_id.n) return owns_deployment(tx, candidate, route->deployment_id, does);
    /* Names can be claimed: only who knows the source's own secret is believed. */
    bool by_name = own_address || delivery->provider == SOURCE_LINEAR || delivery->provider == SOURCE_SENTRY;
    bool unknown_id = str_starts(candidate->source.resource_id, STR("name:"));
    if (by_name && (unknown_id || delivery->provider != SOURCE_GITHUB) && is_named(tx->arena, delivery, route, candidate)) {
        *does = true;
        if (unknown_id && own_address && route->resource_ids.n == 1) candidate->learned_id = route->resource_ids.at[0];
        return NULL;
    }
    *does = unnamed && route->fallback;
    return NULL;
}

static struct err *read_config(struct arena *arena, struct candidate *candidate)
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
    return found ? read_config(tx->arena, candidate) : err_new(tx->arena, ERR_NOT_FOUND, "Source not found");
}

static struct err *match_own(struct db_tx *tx, const struct source_delivery *delivery, const struct source_route *route,
                             struct str address, struct candidates *candidates, enum source_reason *reason)
{
    struct candidate candidate;
    bool             does = false;
    TRY(match_address(tx, delivery->provider, address, &candidate));
    if (candidate.source.active) TRY(belongs(tx, delivery, route, &candidate, true, &does));
    if (does)
        *VEC_PUSH(tx->arena, candidates) = candidate;
    else if (candidate.source.active && delivery->provider == SOURCE_GITHUB && route->resource_ids.n)
        *reason = SOURCE_REPOSITORY_MISMATCH;
    return NULL;
}

struct err *match_candidates(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                             struct candidates *candidates, enum source_reason *reason)
{
    struct source_route route;
    struct candidates   all = {0};
    struct candidate    candidate;
    struct db_rows      rows;
    *candidates = (struct candidates){0};
    *reason = SOURCE_NOT_CONNECTED;
    source_route_find(tx->arena, delivery, &route);
    if (address.n) return match_own(tx, delivery, &route, address, candidates, reason);
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
        TRY(read_config(tx->arena, &all.at[i]));
        TRY(belongs(tx, delivery, &route, &all.at[i], false, &does));
        if (does) *VEC_PUSH(tx->arena, candidates) = all.at[i];
    }
    return NULL;
}
