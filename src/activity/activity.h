/* activity.h - who did what, when and why: the append-only timeline of a workspace, and the statistics of its jobs.
 *
 * An activity is recorded in the transaction of what it tells (spec/console.md 3):
 *
 *     TRY(activity_record(tx, &(struct activity){
 *         .workspace = ws.id, .org = ws.org_id, .actor = {.type = ACTIVITY_API, .key = key.public_id},
 *         .action = STR("apikey.revoked"), .entity_type = STR("api_key"), .entity_id = revoked.public_id}));
 *
 * What happens at every request goes through the recorder instead: it may lose its last second, and delays nothing.
 * Statistics (console.md 2.6) are read off the table of runs, which is the engine's: a run is a job.
 */
#pragma once
#include "db/db.h"
#include "flow/flow.h"
#include "json/json.h"

/* ---- the timeline ------------------------------------------------------------------------------------------------ */

enum activity_actor_type { ACTIVITY_USER, ACTIVITY_SYSTEM, ACTIVITY_WEBHOOK, ACTIVITY_API };
enum activity_status { ACTIVITY_SUCCESS, ACTIVITY_FAILURE, ACTIVITY_IN_PROGRESS };

struct activity_actor {
    enum activity_actor_type type;
    struct str user, email, ip; /* user: its public id */
    struct str key;             /* "key_..." */
    struct str user_agent, request;
};

struct activity {
    int64_t    id;
    struct str public_id;      /* "act_..." */
    int64_t    org, workspace; /* row ids; org 0: the workspace's; workspace 0: of the organisation */
    struct str org_id, workspace_id; /* public, when read; {NULL, 0}: none, or gone */
    struct activity_actor actor;
    struct str category;       /* follows from the action */
    struct str action;         /* "job.cancelled" */
    struct str entity_type, entity_id, entity_name; /* cut at 50, 191, 500 characters */
    struct str source;         /* source type: "github" */
    struct str changes;        /* JSON {field: {from, to}} */
    struct str reason;
    enum activity_status status;
    struct { int64_t documents, events, errors, duration; } impact; /* duration in ms */
    struct str metadata;       /* JSON object; no secrets */
    struct str job, related;   /* "job_...", "act_..." of the activity that led to this one */
    int64_t    ts;             /* of the event; 0: now */
    int64_t    created_at;
};

/* Write one. Errors: ERR_INVALID unless workspace, integration, store, job, document, search, apikey, auth, permission
 * or settings stands before the action's first dot, or if metadata is not JSON. */
MUST_CHECK struct err *activity_record(struct db_tx *tx, const struct activity *activity);

extern const char *const activity_categories[];  /* NULL ends each */
extern const char *const activity_groups[];      /* jobs, connections, integrations, errors */
extern const char *const activity_actor_types[];
extern const char *const activity_statuses[];

struct activity_filter {
    const struct str *categories, *sources; /* none: all */
    size_t     category_count, source_count;
    struct str group, action, actor_type, actor_user, status, entity_type, entity_id; /* empty: all */
    struct str query;    /* part of the actor's name or e-mail, the entity's name, the repository's full name */
    int64_t    from, to; /* from <= ts < to; 0: open */
    int64_t    before;   /* row id: older ones follow */
    int64_t    limit;    /* at most so many; 0: 20 */
};

/* Newest first, in the order of recording. */
MUST_CHECK struct err *activity_list(struct db_tx *tx, int64_t workspace, const struct activity_filter *filter,
                                     struct activity **list, size_t *n);
/* The same of an organisation: its own and those of all its workspaces. */
MUST_CHECK struct err *activity_list_of_org(struct db_tx *tx, int64_t org, const struct activity_filter *filter,
                                            struct activity **list, size_t *n);
/* Errors: ERR_NOT_FOUND. */
MUST_CHECK struct err *activity_get(struct db_tx *tx, int64_t workspace, struct str public_id, struct activity *found);
/* What led to it and what it led to, oldest first, at most 50. */
MUST_CHECK struct err *activity_chain(struct db_tx *tx, int64_t workspace, const struct activity *of,
                                      struct activity **list, size_t *n);
/* As a JSON object. */
void activity_write(struct json_out *out, const char *key, const struct activity *activity);

/* How often in an interval [from, to): one row for each combination that occurs. */
struct activity_count { struct str category, actor_type, status; int64_t n; };
MUST_CHECK struct err *activity_counts(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to,
                                       struct activity_count **counts, size_t *n);

enum { ACTIVITY_MAX_EXPORT = 100000 }; /* rows */
enum activity_format { ACTIVITY_CSV, ACTIVITY_JSON };
/* The filter's activities, newest first, as one text in the arena. CSV (RFC 4180) has a header; cells that a spreadsheet
 * would take for a formula begin with an apostrophe. JSON is an array. filter.limit does not count. */
MUST_CHECK struct err *activity_export(struct arena *arena, struct db *db, int64_t workspace,
                                       const struct activity_filter *filter, enum activity_format format,
                                       struct str *text);

/* Delete the oldest that are older than so many days (0: none; auth, permission and api_key: at least 730), up to
 * ACTIVITY_SWEPT_AT_ONCE in one transaction; *deleted: how many. */
enum { ACTIVITY_SWEPT_AT_ONCE = 500 };
MUST_CHECK struct err *activity_sweep(struct db *db, struct arena *arena, int64_t workspace, int64_t days, int64_t *deleted);
/* A workspace is being erased: everything of it. */
MUST_CHECK struct err *activity_forget_workspace(struct db_tx *tx, int64_t workspace);

/* ---- metrics (console.md 4) -------------------------------------------------------------------------------------- */

struct activity_sample {
    int64_t    workspace;
    struct str type;   /* "job_duration" */
    struct str source; /* "src_..." or empty */
    struct str tags;   /* JSON object: what is worth grouping by, so no ids of single things; the same in one order */
    double     value;  /* ms of durations, else how many */
    int64_t    n;      /* so often */
    int64_t    at;
};
const char *activity_metric_unit(struct str type); /* "ms", "count", "score"; NULL: there is no such metric */
MUST_CHECK struct err *activity_sample_write(struct db_tx *tx, const struct activity_sample *sample);

struct activity_series {
    int64_t    workspace;
    struct str type, source;  /* source empty: all */
    struct str group;         /* a tag, or empty */
    int64_t    from, to;      /* multiples of an hour */
    int64_t    interval;      /* HOURS(1) or DAYS(1) */
};
struct activity_point {
    int64_t    at;    /* begin of the interval, UTC */
    struct str group; /* the tag's value; "": without it, "other": beyond the first 50 */
    int64_t    n;
    double     total, least, most, p50, p95, p99; /* percentiles within one percent */
    struct spread *spread;
};
struct activity_points { struct activity_point *at; size_t n, capacity; };
/* Points of intervals in which something was measured, oldest first: from the hours that are added up, then samples. */
MUST_CHECK struct err *activity_metric_series(struct db_tx *tx, const struct activity_series *asked,
                                              struct activity_points *points);
MUST_CHECK struct err *activity_metric_total(struct db_tx *tx, int64_t workspace, struct str type, int64_t from,
                                             int64_t to, int64_t *total);

/* ---- what may lose its last second ------------------------------------------------------------------------------- */

/* Samples, and activities that happen at every request (search, deliveries), are gathered in memory and written together
 * about a second later by a thread of this recorder. A crash loses that second; nothing waits, nothing fails. */
struct activity_recorder;
struct activity_recorder *activity_recorder_start(struct db *db);
void activity_recorder_stop(struct activity_recorder *recorder); /* writes what is left; NULL is fine */
/* recorder NULL: forgotten. What is given is copied. Of an action that happens more than 50 times a second in a workspace
 * the rest is one activity, whose impact.events says how many. */
void activity_measure(struct activity_recorder *recorder, const struct activity_sample *sample);
void activity_note(struct activity_recorder *recorder, const struct activity *activity);
/* The log of deliveries has new rows: they come into the timeline as integration.webhook_received, none is lost. */
void activity_look_at_deliveries(struct activity_recorder *recorder);
/* Counts of this process since its start, for /metrics. */
enum { ACTIVITY_BOUNDS = 11, ACTIVITY_FUNCTIONS = 64, ACTIVITY_SOURCES = 6, ACTIVITY_OUTCOMES = 4 };
extern const double      activity_bounds_ms[ACTIVITY_BOUNDS];
extern const char *const activity_sources[ACTIVITY_SOURCES];   /* "github" ... "other" */
extern const char *const activity_outcomes[ACTIVITY_OUTCOMES]; /* captured, filtered, duplicate, below_threshold */
struct activity_function_count {
    const char *function;
    uint64_t    completed, failed, cancelled;
    uint64_t    durations[ACTIVITY_BOUNDS + 1]; /* of completed ones, by upper bound; the last: above all */
    double      total_ms;
};
struct activity_totals {
    struct activity_function_count functions[ACTIVITY_FUNCTIONS];
    size_t   function_count;
    uint64_t captures[ACTIVITY_SOURCES][ACTIVITY_OUTCOMES];
};
void activity_totals(struct activity_recorder *recorder, struct activity_totals *totals);

/* Hear of the engine's jobs: their start and end become activities (of user-visible functions; those of the pipeline only
 * when they fail) in the same transaction, their durations and outcomes samples. Before flow_start. */
void activity_watch_jobs(struct activity_recorder *recorder, struct flow *flow);

/* ---- what the engine runs ---------------------------------------------------------------------------------------- */

/* The settings retention.*, days. Periods of a workspace are in its own settings. */
struct activity_periods { int64_t events, failed_runs, deliveries; };

/* Context: struct activity_periods. `record-activity` writes events activity.record {action, actorType, entityId ...,
 * timestamp} in batches, for what need not be told in the transaction of the change; `health.evaluate` tells once a minute
 * which workspaces have become worse or well again; `metrics.rollup` adds up the samples of each hour; `retention.sweep` forgets what is past its time, of all rooms that keep logs, once a day. */
extern const struct flow_function *const activity_functions[];
extern const size_t activity_function_count;

/* ---- statistics of jobs ------------------------------------------------------------------------------------------ */

struct activity_jobs {
    int64_t total, queued, running, completed, failed, cancelled; /* waiting counts as running */
    int64_t spent;   /* ms of completed jobs together */
    int64_t mean;    /* ms of one, rounded; 0 if none */
    double  success; /* completed / (completed + failed) x 100, one decimal; 0 if both are 0 */
};
/* Jobs created in [from, to); to 0: until now. */
MUST_CHECK struct err *activity_job_statistics(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to,
                                               struct activity_jobs *jobs);

/* Observations stored in [from, to); to 0: until now. */
MUST_CHECK struct err *activity_observations(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to, int64_t *n);

/* Durations in ms of completed jobs created since then, those of 0 left out. */
struct activity_percentiles { int64_t samples, p50, p95, p99, most; };
MUST_CHECK struct err *activity_job_percentiles(struct db_tx *tx, int64_t workspace, int64_t from,
                                                struct activity_percentiles *percentiles);

struct activity_hour {
    int64_t at; /* begin of the UTC hour */
    struct activity_jobs jobs;
};
/* One point an hour, oldest first; the last is the current hour. points has room for `hours`. */
MUST_CHECK struct err *activity_job_series(struct db_tx *tx, int64_t workspace, struct activity_hour *points,
                                           size_t hours);

enum activity_level { ACTIVITY_HEALTHY, ACTIVITY_DEGRADED, ACTIVITY_DOWN };
const char *activity_level_name(enum activity_level level);
struct activity_level_count { struct str level; int64_t workspaces; };
/* How many workspaces were of which level when they were last evaluated. */
MUST_CHECK struct err *activity_levels(struct db_tx *tx, struct activity_level_count **counts, size_t *n);

struct activity_source_health {
    struct str id, source; /* "src_...", source type */
    struct str name;       /* source_display_name */
    struct activity_jobs jobs;
    enum activity_level level;
    const char *reason;    /* NULL: healthy */
};
struct activity_health {
    enum activity_level level;
    struct activity_jobs jobs;  /* of the last 24 h */
    struct activity_jobs store; /* those that embed and index */
    enum activity_level store_level;
    struct activity_source_health *sources;
    size_t source_count;
};
MUST_CHECK struct err *activity_health(struct db_tx *tx, int64_t workspace, struct activity_health *health);

/* Change in percent from previous to current, one decimal. False ("new") if only previous is 0. */
bool activity_change(double previous, double current, double *percent);
