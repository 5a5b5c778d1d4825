/* source.h - the SourceEvent, the record that every connector makes (spec/connector-github.md 1), and the registry of
 * event types (spec/connectors-other.md 6).
 */
#pragma once
#include "db/db.h"
#include "json/json.h"

enum { SOURCE_MAX_REFERENCES = 100, SOURCE_MAX_BODY = 10000, SOURCE_MAX_INPUT_BODY = 50000, SOURCE_MAX_TITLE = 200,
       SOURCE_MAX_METADATA = 65536,
       SOURCE_MAX_METADATA_DEPTH = 100 }; /* levels: an event is sent within others, which JSON_MAX_DEPTH bounds too */

struct source_reference {
    struct str type;  /* commit, branch, pr, issue, deployment, project, cycle, assignee, reviewer, team, label */
    struct str id, url, label; /* url, label: {NULL, 0} if none */
};

struct source_actor { struct str id, name, email, avatar_url; }; /* id.s == NULL: no actor */

struct source_event {
    struct str source, source_type, source_id; /* "github", "pull-request.merged", "pr:acme/api#7:merged" */
    struct str title, body;
    struct source_actor actor;
    int64_t    occurred_at;                    /* ms */
    struct source_reference *references;
    size_t     reference_count;
    struct str metadata;                       /* JSON object text */
};

enum source_ingestion { SOURCE_WEBHOOK, SOURCE_BACKFILL, SOURCE_MANUAL, SOURCE_API };
const char *source_ingestion_name(enum source_ingestion ingestion); /* "webhook" ... */
bool        source_ingestion_parse(struct str name, enum source_ingestion *ingestion);

/* From JSON, wrong types and limits reported all at once: ERR_INVALID whose message lists the problems and, if issues
 * is not NULL, field -> problem pairs in *issues. */
struct source_issue {
    struct str  field, problem;
    const char *code; /* MISSING_FIELD, INVALID_FIELD, FIELD_TOO_LONG, UNKNOWN_FIELD (connectors-other.md 7.2) */
};
struct source_issues { struct source_issue *at; size_t n; };
MUST_CHECK struct err *source_event_read(struct arena *arena, const json_value *value, struct source_event *event,
                                         struct source_issues *issues);
void source_event_write(struct json_out *out, const char *key, const struct source_event *event);

/* Bring an event to its stored form: text trimmed, repaired and cut, over-long sourceId hashed, source prefix stripped
 * from the type, bad e-mail and URLs and empty or repeated references dropped. Errors: ERR_INVALID when a required
 * field is missing or unusable; its message begins with the field's name. */
MUST_CHECK struct err *source_event_normalise(struct arena *arena, struct source_event *event);

/* "pull-request.merged" -> "pull_request_merged" */
struct str source_observation_type(struct arena *arena, struct str source_type);

/* ---- generic ingest: the body of POST /v1/events (connectors-other.md 7) -------------------------------------------
 *
 * Pure functions but for time_now(), the receipt time. Storing, duplicates among what is stored, and the answer are the
 * route's. */

enum { SOURCE_INGEST_MAX_ITEMS = 1000 };

enum source_ingest_form {
    SOURCE_INGEST_UNSUPPORTED,  /* 415 UNSUPPORTED_MEDIA_TYPE */
    SOURCE_INGEST_JSON,         /* one SourceEvent or an array of them */
    SOURCE_INGEST_LINES,        /* one SourceEvent a line */
    SOURCE_INGEST_CLOUDEVENT,   /* one CloudEvent, structured mode */
    SOURCE_INGEST_CLOUDEVENTS,  /* an array of them */
};
/* ce_headers: a header whose name begins with "ce-" came along. Outside structured mode that is CloudEvents' binary
 * mode, which is not supported. */
enum source_ingest_form source_ingest_form(struct str content_type, bool ce_headers);

struct source_ingest_item {
    struct source_event event;  /* in its stored form, metadata.deliveryId set; if error is NULL */
    bool        truncated;      /* its body was cut */
    bool        repeated;       /* an earlier item of the request has its sourceId, and the first content wins */
    const char *error;          /* "INVALID_JSON", "MISSING_FIELD", ... (7.2); NULL: accepted */
    struct str  field, message; /* of the error; field {NULL, 0} if it is of the whole item */
};
struct source_ingest { struct source_ingest_item *at; size_t n; };
struct source_ingest_request { enum source_ingest_form form; struct str body, request_id; };

/* One item for each event, in order of the body. A refused item refuses no other one. Errors, for the whole request:
 * ERR_INVALID (not JSON, no events), ERR_TOO_LARGE (more than SOURCE_INGEST_MAX_ITEMS). The form must be supported. */
MUST_CHECK struct err *source_ingest_read(struct arena *arena, struct source_ingest_request request,
                                          struct source_ingest *ingest);

/* ---- registry ---------------------------------------------------------------------------------------------------- */

struct source_type_row {
    const char *source, *type; /* "github", "pull-request.merged"; source "git" uses the rows of "github" */
    const char *label;         /* "PR Merged" */
    int         weight;        /* base significance */
    const char *external, *category; /* "pull_request_merged" (several: divided by ","), "pull_request" */
};
/* NULL if unknown (weight 35 then, spec). */
const struct source_type_row *source_type_find(struct str source, struct str type);
extern const struct source_type_row source_types[]; /* source NULL ends the table */

/* ---- sources and imports ----------------------------------------------------------------------------------------- */

struct source_row {
    int64_t    id;            /* row id */
    struct str public_id;     /* "src_..." */
    struct str type;          /* "git" */
    struct str resource_id;   /* "git:owner/name" */
    struct str config;        /* JSON */
};

#define SOURCE_IMPORT "import.git" /* the function of its job */
struct source_import {
    int64_t    id, source;        /* row ids */
    struct str public_id;         /* "job_..." */
    struct str source_public_id, repo, branch, status; /* running, completed, failed, cancelled */
    struct str last_sha;          /* where the previous finished import of this repository ended, empty if none */
    struct str last_tags;         /* JSON object tag -> commit, as that import saw them */
    int64_t    started_at, finished_at;
    int64_t    scanned, stored, duplicates, failed;
    struct str error;
};
struct source_import_request { struct str repo, branch, host_path; bool full, github; struct str idempotency, by; }; /* by: who asks */

/* The repositories of the workspace's active git and GitHub sources; one may have two sources. */
struct source_repository {
    struct str name;   /* "owner/name" in lower case */
    struct str branch; /* its default branch, or the one that is imported; as written */
};
MUST_CHECK struct err *source_repositories(struct db_tx *tx, int64_t workspace, struct source_repository **repositories,
                                           size_t *count);

/* Begin an import: makes or finds the git source of the repository (names compared ignoring case; a GitHub source of
 * that name is used if there is one), marks older running imports of it as failed ("interrupted"). A second call with
 * the same idempotency text returns the same import. Errors: ERR_INVALID (repo and branch are required), ERR_CONFLICT
 * while what was imported of the repository is still to be deleted. */
MUST_CHECK struct err *source_import_begin(struct db_tx *tx, int64_t workspace, struct source_import_request request,
                                           struct source_import *import);
struct str source_import_title(struct arena *arena, const struct source_import *import); /* of its job */
MUST_CHECK struct err *source_import_find(struct db_tx *tx, int64_t workspace, struct str public_id,
                                          struct source_import *import);
/* The repositories, lower case, whose imported history goes with the source: those of its imports that no other connected
 * source has imported as well. */
MUST_CHECK struct err *source_imported(struct db_tx *tx, int64_t workspace, struct str public_id, struct str **repos,
                                       size_t *count);
/* Newest first; limit is at most 101. The position (last_sha, last_tags) is not filled in. */
MUST_CHECK struct err *source_import_list(struct db_tx *tx, int64_t workspace, int64_t before_id, size_t limit,
                                          struct source_import **imports, size_t *count);
/* Add to the counts (same transaction as the captures). ERR_CONFLICT if the import is no longer running. */
MUST_CHECK struct err *source_import_progress(struct db_tx *tx, int64_t workspace, int64_t id, int64_t scanned,
                                              int64_t stored, int64_t duplicates, int64_t failed);
/* End it: status completed remembers tip and tags as lastSha and lastTags of the source. */
struct source_import_end { const char *status; struct str tip, tags, error; };
MUST_CHECK struct err *source_import_finish(struct db_tx *tx, int64_t workspace, int64_t id, struct source_import_end end);
