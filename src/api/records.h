/* records.h - what request bodies become; the fields are described in tables.c. */
#pragma once
#include "api/call.h"

struct api_search_body {
    struct str query;
    int64_t    limit, offset;
    int        mode; /* enum search_mode */
    struct api_filters filters;
    bool       context, highlights, collapse;
};

struct api_contents_body { struct api_texts ids; };

struct api_similar_body {
    struct str id, url;
    int64_t    limit;
    double     threshold;
    bool       same_source;
    struct api_texts exclude;
    struct api_filters filters;
};

struct api_graph_body {
    struct str id;
    int64_t    depth, limit;
    struct api_texts types;
};

struct api_related_body {
    struct str id;
    int64_t    limit;
    struct api_texts types;
};

struct api_ask_body {
    struct str query, session;
    const json_value *messages;
    int        mode; /* enum search_mode */
    int64_t    most_sources;
    bool       stream;
    struct api_filters filters;
};

struct api_key_body {
    struct str name;
    int64_t    expires_at;
    struct api_texts scopes;
};

struct api_rotation_body { int64_t expires_at, grace_seconds; };

struct api_import_body {
    struct str repo, branch, path, idempotency;
    bool       full, github;
};

struct api_import_events_body {
    const json_value *events;
    int64_t scanned, failed; /* scanned -1: as many as events */
};

struct api_import_finish_body {
    int        status; /* completed, failed, cancelled */
    struct str tip, error;
    const json_value *tags;
};
