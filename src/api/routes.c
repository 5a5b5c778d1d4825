/* routes.c - every route of the API, and how a path finds its row. */
#include "api/inbound.h"
#include "api/stream.h"

#include <assert.h>

#define W "/v1/orgs/{org}/workspaces/{ws}"
#define MIB ((size_t)1 << 20)

/* clang-format off */
const struct api_route api_routes[] = {
    /* method  path                          access       scope       rate             body               limit    slow   handler           operation */
    {"POST",   "/v1/search",                 API_SCOPED,  ORG_READ,   API_RATE_SEARCH, API_JSON_BODY,     0,       false, api_search,       "search"},
    {"POST",   "/v1/contents",               API_SCOPED,  ORG_READ,   API_RATE_READ,   API_JSON_BODY,     0,       false, api_contents,     "contents"},
    {"POST",   "/v1/findsimilar",            API_SCOPED,  ORG_READ,   API_RATE_SEARCH, API_JSON_BODY,     0,       false, api_similar,      "findSimilar"},
    {"POST",   "/v1/similar",                API_SCOPED,  ORG_READ,   API_RATE_SEARCH, API_JSON_BODY,     0,       false, api_similar,      "similar"},
    {"POST",   "/v1/graph",                  API_SCOPED,  ORG_READ,   API_RATE_READ,   API_JSON_BODY,     0,       false, api_graph,        "graph"},
    {"GET",    "/v1/graph/{id}",             API_SCOPED,  ORG_READ,   API_RATE_READ,   API_NO_BODY,       0,       false, api_graph_of,     "graphOf"},
    {"POST",   "/v1/related",                API_SCOPED,  ORG_READ,   API_RATE_READ,   API_JSON_BODY,     0,       false, api_related,      "related"},
    {"GET",    "/v1/related/{id}",           API_SCOPED,  ORG_READ,   API_RATE_READ,   API_NO_BODY,       0,       false, api_related_of,   "relatedOf"},
    {"POST",   "/v1/answer",                 API_SCOPED,  ORG_ANSWER, API_RATE_ANSWER, API_JSON_BODY,     0,       false, api_ask,          "answer"},
    {"POST",   "/v1/answer/{name}/{session}",API_SCOPED,  ORG_ANSWER, API_RATE_ANSWER, API_JSON_BODY,     0,       false, api_chat,         "chat"},
    {"GET",    "/v1/answer/{name}/{session}",API_SCOPED,  ORG_ANSWER, API_RATE_NONE,   API_NO_BODY,       0,       false, api_chat_resume,  "resumeChat"},
    {"DELETE", "/v1/answer/{name}/{session}",API_SCOPED,  ORG_ANSWER, API_RATE_NONE,   API_NO_BODY,       0,       false, api_chat_forget,  "forgetChat"},
    {"GET",    "/v1/workspace",              API_ANY_KEY, 0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_workspace,    "workspace"},
    {"GET",    W,                            API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_workspace_get, "getWorkspace"},
    {"PATCH",  W,                            API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_workspace_set, "setWorkspace"},
    {"GET",    W "/api-keys",                API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_key_list,     "listApiKeys"},
    {"POST",   W "/api-keys",                API_PEOPLE,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_key_create,   "createApiKey"},
    {"POST",   W "/api-keys/{id}/revoke",    API_PEOPLE,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_key_revoke,   "revokeApiKey"},
    {"POST",   W "/api-keys/{id}/rotate",    API_PEOPLE,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_key_rotate,   "rotateApiKey"},
    {"DELETE", W "/api-keys/{id}",           API_PEOPLE,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_key_delete,   "deleteApiKey"},
    {"GET",    W "/imports",                 API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_NO_BODY,       0,       false, api_import_list,  "listImports"},
    {"POST",   W "/imports",                 API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_JSON_BODY,     0,       true,  api_import_begin, "beginImport"},
    {"GET",    W "/imports/{id}",            API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_NO_BODY,       0,       false, api_import_get,   "getImport"},
    {"POST",   W "/imports/{id}/events",     API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_JSON_BODY,     25*MIB,  true,  api_import_events,"importEvents"},
    {"POST",   W "/imports/{id}/finish",     API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_MAY_HAVE_BODY, 4*MIB,   true,  api_import_finish,"finishImport"},
    {"POST",   W "/embeddings/retry",        API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_embedding_retry, "retryEmbeddings"},
    {"GET",    W "/jobs",                    API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_job_list,      "listJobs"},
    {"GET",    W "/jobs/recent",             API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_job_recent,    "recentJobs"},
    {"GET",    W "/jobs/statistics",         API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_job_statistics, "jobStatistics"},
    {"GET",    W "/jobs/percentiles",        API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_job_percentiles, "jobPercentiles"},
    {"POST",   W "/jobs/bulk",               API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_job_bulk,      "bulkJobs"},
    {"GET",    W "/jobs/{id}",               API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_job_get,       "getJob"},
    {"POST",   W "/jobs/{id}/cancel",        API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_job_cancel,    "cancelJob"},
    {"POST",   W "/jobs/{id}/restart",       API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_job_restart,   "restartJob"},
    {"POST",   W "/jobs/{id}/resume",        API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_job_resume,    "resumeJob"},
    {"GET",    W "/events",                  API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_event_list,    "listEvents"},
    {"GET",    W "/events/{id}",             API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_event_get,     "getEvent"},
    {"GET",    W "/performance",             API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_performance,   "performanceTimeSeries"},
    {"GET",    W "/health",                  API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_workspace_health, "workspaceHealth"},
    {"GET",    W "/statistics",              API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_statistics,    "workspaceStatistics"},
    {"GET",    W "/statistics/comparison",   API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_statistics_comparison, "statisticsComparison"},
    {"GET",    W "/metrics",                 API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_metric_series, "metricSeries"},
    {"GET",    W "/activities",              API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_activity_list, "listActivities"},
    {"GET",    W "/activities/stats",        API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_activity_stats, "activityStats"},
    {"GET",    W "/activities/comparison",   API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_activity_comparison, "activityComparison"},
    {"GET",    W "/activities/export",       API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       true,  api_activity_export, "exportActivities"},
    {"GET",    W "/activities/{id}",         API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_activity_get,  "getActivity"},
    {"GET",    "/v1/orgs/{org}/activities",  API_PEOPLE,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_activity_list_of_org, "listOrgActivities"},
    {"GET",    W "/stream",                  API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_stream_open,   "streamNews"},
    {"POST",   "/v1/events",                 API_SCOPED,  ORG_INGEST, API_RATE_EVENTS, API_NO_BODY,       0,       false, api_events_ingest, "ingestEvents"},
    {"GET",    "/v1/events/{id}",            API_SCOPED,  ORG_INGEST, API_RATE_NONE,   API_NO_BODY,       0,       false, api_ingested_get,  "getIngestedEvent"},
    {"GET",    W "/sources",                 API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_source_list,   "listSources"},
    {"POST",   W "/sources",                 API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_source_add,    "addSource"},
    {"GET",    W "/sources/{id}",            API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_source_get,    "getSource"},
    {"PATCH",  W "/sources/{id}",            API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_source_set,    "setSource"},
    {"PATCH",  W "/sources/{id}/events",     API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_source_set_events, "setSourceEvents"},
    {"POST",   W "/sources/{id}/webhook-secret", API_SCOPED, ORG_ADMIN, API_RATE_NONE, API_MAY_HAVE_BODY, 0,       false, api_source_secret, "renewSourceSecret"},
    {"DELETE", W "/sources/{id}",            API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_source_remove, "removeSource"},
    {"GET",    W "/deliveries",              API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_delivery_list, "listDeliveries"},
    {"POST",   W "/deliveries/bulk",         API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_JSON_BODY,     0,       false, api_delivery_bulk, "replayDeliveries"},
    {"GET",    W "/deliveries/{id}",         API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_NO_BODY,       0,       false, api_delivery_get,  "getDelivery"},
    {"POST",   W "/deliveries/{id}/replay",  API_SCOPED,  ORG_ADMIN,  API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_delivery_replay, "replayDelivery"},
    {"POST",   "/webhooks/{provider}",       API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       25*MIB,  false, api_webhook,       NULL},
    {"GET",    "/webhooks/{provider}",       API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_webhook_status, NULL},
    {"POST",   "/webhooks/{provider}/{source}", API_OPEN, 0,          API_RATE_NONE,   API_NO_BODY,       25*MIB,  false, api_webhook,       NULL},
    {"POST",   "/api/{provider}/webhooks",   API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       25*MIB,  false, api_webhook,       NULL},
    {"GET",    "/v1/openapi.json",           API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_openapi,      "openapi"},
    {"GET",    "/docs/api",                  API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_reference,    NULL},
    {"GET",    "/docs/api/renderer.js",      API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_reference_renderer, NULL},
    {"GET",    W "/observations",            API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_observations, "listObservations"},
    {"GET",    W "/clusters",                API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_clusters,     "listClusters"},
    {"GET",    W "/clusters/{id}",           API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_cluster,      "getCluster"},
    {"GET",    W "/actors",                  API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_actors,       "listActors"},
    {"GET",    W "/actors/{id}",             API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_actor_get,    "getActor"},
    {"GET",    "/.well-known/oauth-protected-resource",     API_OPEN, 0, API_RATE_NONE,   API_NO_BODY,       0,       false, api_protected_resource, NULL},
    {"GET",    "/.well-known/oauth-protected-resource/mcp", API_OPEN, 0, API_RATE_NONE,   API_NO_BODY,       0,       false, api_protected_resource, NULL},
    {"POST",   "/mcp",                       API_SCOPED,  ORG_READ,   API_RATE_NONE,   API_NO_BODY,       0,       false, api_mcp,          NULL},
    {"*",      "/v1/memories/*",             API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_memories,     NULL},
    {"POST",   "/v1/admin/backup",           API_PEOPLE,  0,          API_RATE_NONE,   API_JSON_BODY,     0,       true,  api_admin_backup, NULL},
    {"POST",   "/v1/admin/re-encrypt",       API_PEOPLE,  0,          API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       true,  api_admin_re_encrypt, NULL},
    {"GET",    "/v1/admin/functions",        API_PEOPLE,  0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_function_list,  "listFunctions"},
    {"POST",   "/v1/admin/functions/{id}/pause",  API_PEOPLE, 0,      API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_function_pause, "pauseFunction"},
    {"POST",   "/v1/admin/functions/{id}/resume", API_PEOPLE, 0,      API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       false, api_function_resume, "resumeFunction"},
    {"GET",    "/v1/admin/deliveries",       API_PEOPLE,  0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_delivery_list_unclaimed, "listUnclaimedDeliveries"},
    {"POST",   "/v1/admin/doctor",           API_PEOPLE,  0,          API_RATE_NONE,   API_MAY_HAVE_BODY, 0,       true,  api_admin_doctor, NULL},
    {"GET",    "/healthz",                   API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_health,       NULL},
    {"GET",    "/readyz",                    API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_ready,        NULL},
    {"GET",    "/metrics",                   API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, api_metrics_text, NULL},
    {NULL,     NULL,                         API_OPEN,    0,          API_RATE_NONE,   API_NO_BODY,       0,       false, NULL,             NULL},
};
/* clang-format on */
static_assert(sizeof api_routes / sizeof *api_routes <= API_MAX_ROUTES, "metrics.c counts by route");

/* The segments of a path, empty ones left out: clients join a base URL and "/v1/..." as they like. */
static size_t segments(struct str path, struct str *out)
{
    size_t n = 0;
    for (struct str rest = path, part; str_cut(&rest, '/', &part);) {
        if (part.n == 0) continue;
        if (n == API_MAX_SEGMENTS) return SIZE_MAX;
        out[n++] = part;
    }
    return n;
}

static bool matches(const struct api_route *route, const struct str *path, size_t n, struct api_match *match)
{
    size_t at = 0;
    match->parameter_count = 0;
    for (const char *segment = route->path, *end; *segment; segment = end, at++) {
        segment++; /* the slash */
        end = strchrnul(segment, '/');
        if (*segment == '*') return true;
        if (at == n) return false;
        if (*segment == '{') {
            match->parameters[match->parameter_count].name = segment + 1;
            match->parameters[match->parameter_count].name_length = (size_t)(end - segment) - 2;
            match->parameters[match->parameter_count++].value = path[at];
        } else if (!str_eq((struct str){segment, (size_t)(end - segment)}, path[at]))
            return false;
    }
    return at == n;
}

void api_match(struct str method, struct str path, struct api_match *match)
{
    struct str  parts[API_MAX_SEGMENTS];
    struct str *part = parts;
    size_t      n = segments(path, parts), allowed = 0, fewest = SIZE_MAX;
    *match = (struct api_match){0};
    if (n == SIZE_MAX) return;
    if (n > 1 && str_eq(parts[0], STR("api")) && str_eq(parts[1], STR("v1"))) part++, n--;
    for (const struct api_route *route = api_routes; route->method; route++) {
        if (!matches(route, part, n, match) || match->parameter_count > fewest) continue;
        fewest = match->parameter_count; /* "jobs/bulk" stands before "jobs/{id}" and hides it */
        if (str_eq(method, str_of(route->method)) || strcmp(route->method, "*") == 0) {
            match->route = route;
            return;
        }
        if (allowed < sizeof match->allowed / sizeof *match->allowed) match->allowed[allowed++] = route->method;
    }
}
