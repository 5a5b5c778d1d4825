/* tables.c - the fields of every request, and the records that they are read into. */
#include "api/records.h"
#include "answer/answer.h"

static const char *const modes[] = {"fast", "balanced", "thorough", NULL};
static const char *const scopes[] = {"read", "answer", "ingest", "admin", NULL};
static const char *const endings[] = {"completed", "failed", "cancelled", NULL};

enum { MANY = 1000, MAX_ID = 4096 };

/* clang-format off */
/* The filters of search-api.md 3.3, read into `filters` of a record. */
#define FILTERS_OF(record) \
    {"sourceTypes",      "sources", API_TEXTS, offsetof(struct record, filters.sources), .most = MANY}, \
    {"observationTypes", NULL,      API_TEXTS, offsetof(struct record, filters.types),   .most = MANY}, \
    {"actorNames",       NULL,      API_TEXTS, offsetof(struct record, filters.actors),  .most = MANY}, \
    {"stores",           NULL,      API_TEXTS, offsetof(struct record, filters.stores),  .most = MANY}, \
    {"dateRange",        NULL,      API_RANGE, offsetof(struct record, filters.range), .required = false}, \
    {0}
static const struct api_field search_filters[] = {FILTERS_OF(api_search_body)};
static const struct api_field similar_filters[] = {FILTERS_OF(api_similar_body)};
static const struct api_field ask_filters[] = {FILTERS_OF(api_ask_body)};

const struct api_field api_search_fields[] = {
    {"query",             NULL, API_TEXT,    offsetof(struct api_search_body, query),  .required = true, .least = 1, .most = 8000,
                                             .too_few = "Query must not be empty"},
    {"limit",             NULL, API_INTEGER, offsetof(struct api_search_body, limit),  .least = 1, .most = 100, .otherwise = 10},
    {"offset",            NULL, API_INTEGER, offsetof(struct api_search_body, offset), .least = 0, .most = API_UNBOUNDED, .otherwise = 0},
    {"mode",              NULL, API_ENUM,    offsetof(struct api_search_body, mode),   .values = modes, .synonym = "quality", .otherwise = SEARCH_BALANCED},
    {"filters",           NULL, API_OBJECT,  0,                                        .fields = search_filters},
    {"includeContext",    NULL, API_BOOLEAN, offsetof(struct api_search_body, context),    .otherwise = true},
    {"includeHighlights", NULL, API_BOOLEAN, offsetof(struct api_search_body, highlights), .otherwise = true},
    {"collapse",          NULL, API_BOOLEAN, offsetof(struct api_search_body, collapse),   .otherwise = false},
    {0},
};

const struct api_field api_contents_fields[] = {
    {"ids", NULL, API_TEXTS, offsetof(struct api_contents_body, ids), .required = true, .least = 1, .most = 50,
            .too_few = "At least one ID required", .too_many = "Maximum 50 IDs per request"},
    {0},
};

const struct api_field api_similar_fields[] = {
    {"id",             NULL, API_TEXT,    offsetof(struct api_similar_body, id),  .most = MAX_ID},
    {"url",            NULL, API_URL,     offsetof(struct api_similar_body, url), .most = MAX_ID},
    {"limit",          NULL, API_INTEGER, offsetof(struct api_similar_body, limit),     .least = 1, .most = 50, .otherwise = 10},
    {"threshold",      NULL, API_NUMBER,  offsetof(struct api_similar_body, threshold), .least = 0, .most = 1,  .otherwise = 0.5},
    {"sameSourceOnly", NULL, API_BOOLEAN, offsetof(struct api_similar_body, same_source), .otherwise = false},
    {"excludeIds",     NULL, API_TEXTS,   offsetof(struct api_similar_body, exclude), .most = MANY},
    {"filters",        NULL, API_OBJECT,  0, .fields = similar_filters},
    {0},
};

const struct api_field api_graph_fields[] = {
    {"id",    NULL, API_TEXT,    offsetof(struct api_graph_body, id), .required = true, .least = 1, .most = MAX_ID},
    {"depth", NULL, API_INTEGER, offsetof(struct api_graph_body, depth), .least = 1, .most = 3,   .otherwise = 2},
    {"types", NULL, API_TEXTS,   offsetof(struct api_graph_body, types), .most = MANY},
    {"limit", NULL, API_INTEGER, offsetof(struct api_graph_body, limit), .least = 1, .most = 500, .otherwise = 200},
    {0},
};

const struct api_field api_related_fields[] = {
    {"id",    NULL, API_TEXT,    offsetof(struct api_related_body, id), .required = true, .least = 1, .most = MAX_ID},
    {"types", NULL, API_TEXTS,   offsetof(struct api_related_body, types), .most = MANY},
    {"limit", NULL, API_INTEGER, offsetof(struct api_related_body, limit), .least = 1, .most = 200, .otherwise = 100},
    {0},
};

const struct api_field api_ask_fields[] = {
    {"query",      NULL, API_TEXT,    offsetof(struct api_ask_body, query), .least = 1, .most = ANSWER_LONGEST_QUERY,
                                      .too_few = "Query must not be empty"},
    {"messages",   NULL, API_LIST,    offsetof(struct api_ask_body, messages), .most = 200,
                                      .too_many = "Maximum 200 messages per request"},
    {"stream",     NULL, API_BOOLEAN, offsetof(struct api_ask_body, stream), .otherwise = false},
    {"filters",    NULL, API_OBJECT,  0, .fields = ask_filters},
    {"mode",       NULL, API_ENUM,    offsetof(struct api_ask_body, mode), .values = modes, .synonym = "quality", .otherwise = SEARCH_BALANCED},
    {"maxSources", NULL, API_INTEGER, offsetof(struct api_ask_body, most_sources), .least = 1, .most = ANSWER_MOST_SOURCES, .otherwise = 8},
    {"sessionId",  NULL, API_TEXT,    offsetof(struct api_ask_body, session), .least = 1, .most = 64},
    {0},
};

const struct api_field api_key_fields[] = {
    {"name",      NULL, API_TEXT,  offsetof(struct api_key_body, name), .required = true, .least = 1, .most = 100},
    {"expiresAt", NULL, API_TIME,  offsetof(struct api_key_body, expires_at), .required = false},
    {"scopes",    NULL, API_TEXTS, offsetof(struct api_key_body, scopes), .least = 1, .most = 4, .values = scopes},
    {0},
};

const struct api_field api_rotation_fields[] = {
    {"expiresAt",    NULL, API_TIME,    offsetof(struct api_rotation_body, expires_at), .required = false},
    {"graceSeconds", NULL, API_INTEGER, offsetof(struct api_rotation_body, grace_seconds), .least = 0, .most = 604800, .otherwise = 0},
    {0},
};

const struct api_field api_import_fields[] = {
    {"repoFullName",   NULL, API_TEXT,    offsetof(struct api_import_body, repo),   .required = true, .least = 1, .most = 300},
    {"branch",         NULL, API_TEXT,    offsetof(struct api_import_body, branch), .required = true, .least = 1, .most = 300},
    {"full",           NULL, API_BOOLEAN, offsetof(struct api_import_body, full),   .otherwise = false},
    {"github",         NULL, API_BOOLEAN, offsetof(struct api_import_body, github), .otherwise = false},
    {"path",           NULL, API_TEXT,    offsetof(struct api_import_body, path),   .most = 4096},
    {"idempotencyKey", NULL, API_TEXT,    offsetof(struct api_import_body, idempotency), .most = 200},
    {0},
};

const struct api_field api_import_events_fields[] = {
    {"events",  NULL, API_LIST,    offsetof(struct api_import_events_body, events), .required = true, .most = 500,
                                   .too_many = "Maximum 500 events per request"},
    {"scanned", NULL, API_INTEGER, offsetof(struct api_import_events_body, scanned), .least = 0, .most = API_UNBOUNDED, .otherwise = -1},
    {"failed",  NULL, API_INTEGER, offsetof(struct api_import_events_body, failed),  .least = 0, .most = API_UNBOUNDED, .otherwise = 0},
    {0},
};

const struct api_field api_import_finish_fields[] = {
    {"status", NULL, API_ENUM, offsetof(struct api_import_finish_body, status), .values = endings, .otherwise = 0},
    {"tip",    NULL, API_TEXT, offsetof(struct api_import_finish_body, tip),   .most = 64},
    {"tags",   NULL, API_MAP,  offsetof(struct api_import_finish_body, tags), .required = false},
    {"error",  NULL, API_TEXT, offsetof(struct api_import_finish_body, error), .most = 2000},
    {0},
};

const struct api_field api_list_fields[] = {
    {"limit",  NULL, API_INTEGER, offsetof(struct api_page, limit),  .least = 1, .most = 100, .otherwise = 20},
    {"cursor", NULL, API_TEXT,    offsetof(struct api_page, cursor), .most = 100},
    {0},
};
/* clang-format on */
