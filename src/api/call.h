/* call.h - what the files of the API share: a request on its way through the checks; not for other rooms.
 *
 * The order of checks (search-api.md 1) is api.c's: route and method, authentication, rate limit, workspace and scope,
 * JSON; then the route's handler validates and works. A handler returns an error to have it answered in the one error
 * form, or fills the reply through api_send.
 */
#pragma once
#include "activity/activity.h"
#include "api/api.h"
#include "base/time.h"
#include "json/json.h"
#include "org/org.h"

struct api_call;
typedef struct err *(*api_handler)(struct api_call *call);

/* ---- routes (routes.c) ------------------------------------------------------------------------------------------- */

enum api_access {
    API_OPEN,     /* no credential */
    API_ANY_KEY,  /* whoever is known */
    API_SCOPED,   /* a key with the route's scope */
    API_PEOPLE,   /* no key at all, whatever its scopes: the Unix socket (later: sessions) */
};
enum api_body { API_NO_BODY, API_MAY_HAVE_BODY, API_JSON_BODY };
enum api_rate { API_RATE_NONE, API_RATE_SEARCH, API_RATE_READ, API_RATE_ANSWER, API_RATE_EVENTS };

struct api_route {
    const char     *method, *path; /* "{name}" is one segment, "*" any number of them at the end; method "*": all */
    enum api_access access;
    enum org_scope  scope;
    enum api_rate   rate;
    enum api_body   body;
    size_t          body_limit;    /* 0 = 1 MiB */
    bool            slow;          /* may take longer than the deadline of 25 s */
    api_handler     handler;
    const char     *operation;     /* operationId in openapi.yaml, NULL: not part of the document */
};
extern const struct api_route api_routes[]; /* method NULL ends the table */
enum { API_MAX_ROUTES = 96, API_MAX_PARAMETERS = 4, API_MAX_SEGMENTS = 16 };

struct api_match {
    const struct api_route *route;   /* NULL if none has that path and method */
    const char *allowed[4];          /* methods of that path, when only the method did not fit; [0] NULL: no such path */
    struct { const char *name; size_t name_length; struct str value; } parameters[API_MAX_PARAMETERS];
    size_t parameter_count;
};
void api_match(struct str method, struct str path, struct api_match *match);

/* ---- a call (reply.c) ---------------------------------------------------------------------------------------------- */

struct api_issue { struct str field, problem; };

struct api_call {
    struct app         *app;
    struct api         *api;
    struct arena       *arena;
    struct net_request *request;
    struct net_reply   *reply;
    struct api_match    match;
    struct str          id;             /* X-Request-Id */
    struct str          client;         /* address the request came from, proxies looked through */
    int64_t             authenticated_us, parsed_us; /* durations */
    int64_t             handler_at_us;  /* time_monotonic_us() when the handler began */
    struct org_key      key;            /* id 0: local, all rights */
    struct org_workspace workspace;     /* id 0: none yet */
    const json_value   *body;           /* object, or NULL */
    struct { struct api_issue *at; size_t n, capacity; } issues;
    struct str          allow;          /* Allow header of a 405 */
    int64_t             retry_after;    /* seconds, of a 429 */
    int                 search_mode;    /* -1, or the mode whose latency is counted */
};

struct str api_parameter(const struct api_call *call, const char *name); /* "{org}" of the path */

struct json_out api_answer(struct api_call *call);                          /* an object, opened */
void api_send(struct api_call *call, int status, struct json_out *out);     /* closes it */
void api_send_with_id(struct api_call *call, struct json_out *out);         /* 200, requestId added at the end */
void api_send_error(struct api_call *call, const struct err *err);
struct str api_challenge(const struct api_call *call); /* WWW-Authenticate of a 401 (mcp.c) */
void api_finish(struct api_call *call, struct err *err); /* err NULL: the reply is there; counts and logs the call (api.c) */
void api_finish_later(struct api_call *call, struct err *err); /* the same, and the reply is sent: call is gone */
void api_cors(struct api_call *call);
bool api_preflight(struct api_call *call); /* answered */

/* Milliseconds of a duration in microseconds, rounded. */
static inline int64_t api_ms(int64_t us) { return us < 0 ? 0 : (us + 500) / 1000; }
/* Since the handler began. */
int64_t api_took(const struct api_call *call);

/* ---- validation (fields.c) ------------------------------------------------------------------------------------------- */

struct api_texts { struct str *at; size_t n; bool given; };
struct api_range { bool has_start, has_end; int64_t start, end; };

enum api_kind {
    API_TEXT,    /* struct str, trimmed; {NULL, 0} if absent */
    API_URL,     /* struct str, an absolute URL */
    API_INTEGER, /* int64_t */
    API_NUMBER,  /* double */
    API_BOOLEAN, /* bool */
    API_ENUM,    /* int: position in values */
    API_TEXTS,   /* struct api_texts */
    API_TIME,    /* int64_t, 0 if absent */
    API_RANGE,   /* struct api_range */
    API_OBJECT,  /* fields, into the same record */
    API_LIST,    /* const json_value *, an array or NULL */
    API_MAP,     /* const json_value *, an object or NULL */
};

struct api_field {
    const char   *name, *alias;
    enum api_kind kind;
    size_t        at;              /* offsetof in the record */
    bool          required;
    double        least, most;     /* text: characters; lists: elements; else the number itself */
    double        otherwise;       /* default */
    const char *const *values;     /* enum; NULL ends */
    const char   *synonym;         /* enum: another word for the last value */
    const struct api_field *fields; /* object */
    const char   *too_few, *too_many; /* own wordings for the bounds */
};
#define API_UNBOUNDED 1e15

/* Read value (an object, or NULL for an empty one) into the record by a table that ends with name NULL. Every problem
 * becomes an issue of the call. */
void api_fields(struct api_call *call, const json_value *value, const struct api_field *fields, void *record);
void api_issue(struct api_call *call, struct str field, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The error of what api_fields and api_issue found, NULL if nothing. */
MUST_CHECK struct err *api_check(struct api_call *call);
/* The query string as the JSON object that the table describes; `id` as its id. */
MUST_CHECK struct err *api_query_object(struct api_call *call, const struct api_field *fields, struct str id,
                                        const json_value **value);
/* Read the query string into the record by the table. */
MUST_CHECK struct err *api_query_fields(struct api_call *call, const struct api_field *fields, void *record);

/* The filters that search and similar share. */
struct api_filters { struct api_texts sources, types, actors, stores; struct api_range range; };
extern const struct api_field api_search_fields[], api_similar_fields[], api_contents_fields[], api_graph_fields[],
    api_related_fields[], api_ask_fields[], api_key_fields[], api_rotation_fields[], api_import_fields[], api_import_events_fields[],
    api_import_finish_fields[], api_list_fields[], api_bulk_fields[];
struct search_filters api_search_filters(const struct api_filters *filters);

/* ---- lists ----------------------------------------------------------------------------------------------------------- */

struct api_page { int64_t limit; struct str cursor; int64_t before; /* row id, 0 = from the newest */ };
MUST_CHECK struct err *api_page(struct api_call *call, struct api_page *page);
/* Of page.limit + 1 rows asked for, *n came: is there another page? Cuts *n to this one. */
bool api_page_more(const struct api_page *page, size_t *n);
void api_page_end(struct json_out *out, struct api_call *call, bool more, int64_t last_id);
/* Ends a list and says where the next page begins; cursor {NULL, 0}: there is none. */
void api_put_next(struct json_out *out, struct str cursor);
/* The end of an interval [from, to) that the query string gives as `name`: a bare date means its whole day. */
int64_t api_end_of(const struct api_call *call, const char *name, int64_t at);
/* timeRange of the query string, 24h, 7d or 30d, in hours. */
MUST_CHECK struct err *api_time_range(struct api_call *call, int64_t *hours);

/* Two intervals [start, end) beside each other: `preset` day, week or month of the query string, or its four bounds. */
struct api_intervals {
    int     preset;
    int64_t current_start, current_end, previous_start, previous_end;
};
MUST_CHECK struct err *api_intervals(struct api_call *call, struct api_intervals *intervals);
void api_put_intervals(struct json_out *out, const struct api_intervals *intervals);
void api_put_change(struct json_out *out, const char *key, double current, double previous);

/* How many observations there are: bySource and total, into an open object (browse.c). */
MUST_CHECK struct err *api_put_observation_counts(struct json_out *out, const struct api_call *call);

/* A job as lists show it. */
struct flow_job;
void api_put_job_counts(struct json_out *out, const struct activity_jobs *jobs); /* members of the open object */
void api_put_job(struct json_out *out, const struct api_call *call, const struct flow_job *job);

/* What a function or an event has stored: JSON, or else a text. */
void api_put_stored(struct json_out *out, const char *key, struct str text);
/* The fields of a job but for its input and output, into an open object. */
void api_put_job_state(struct json_out *out, const struct org_workspace *workspace, const struct flow_job *job);

/* ---- what a call leaves behind (told.c) ------------------------------------------------------------------------------- */

/* The caller, as the timeline names who did something. */
struct activity_actor api_actor(const struct api_call *call);
/* In the timeline, in the transaction of what was done; who, where and when are the call's. */
MUST_CHECK struct err *api_tell(struct db_tx *tx, const struct api_call *call, struct activity activity);
/* A question was answered: the activity "search.query" and the like, with metadata that api_telling has begun. */
struct json_out api_telling(const struct api_call *call);
void api_tell_question(const struct api_call *call, const char *action, struct json_out *metadata);
/* Samples of a call that took so long. */
void api_measure(const struct api_call *call, int64_t us);

/* ---- who asks (auth.c, address.c, limits.c) --------------------------------------------------------------------------- */

struct api_keys;
struct api_keys *api_keys_create(void);
void             api_keys_destroy(struct api_keys *keys);
void             api_keys_forget(struct api_keys *keys); /* after a revocation: nothing cached counts any more */
MUST_CHECK struct err *api_authenticate(struct api_call *call);
MUST_CHECK struct err *api_resolve_workspace(struct api_call *call);
/* Copies that live in an arena of their own. */
struct org_key       api_copy_key(struct arena *arena, const struct org_key *key);
struct org_workspace api_copy_workspace(struct arena *arena, const struct org_workspace *workspace);
bool api_bearer_is(const struct net_request *request, struct str secret);

struct api_network { int family; unsigned char bytes[16]; int prefix; };
bool       api_network_parse(struct str text, struct api_network *network); /* "10.0.0.0/8", "::1" */
bool       api_network_holds(const struct api_network *network, struct str address);
struct str api_client_address(const struct api *api, const struct net_request *request);
struct str api_address_group(struct arena *arena, struct str address); /* IPv6: the /64 */

struct api_limits;
struct api_limits *api_limits_create(void);
void               api_limits_destroy(struct api_limits *limits);
struct api_allowance { bool allowed; int64_t limit, remaining, reset, retry_after; }; /* reset: Unix seconds */
/* Take cost tokens of the bucket `who` (0: only look); per_minute is its size and its refill a minute. */
struct api_allowance api_limits_take(struct api_limits *limits, uint64_t who, int64_t per_minute, int cost);
/* The route's bucket of the calling key: headers, and ERR_RATE_LIMITED when it is empty. */
MUST_CHECK struct err *api_rate_limit(struct api_call *call);
/* One more failed authentication from this address: ERR_RATE_LIMITED if there were too many. */
MUST_CHECK struct err *api_rate_failure(struct api_call *call);

/* ---- counters (metrics.c) ------------------------------------------------------------------------------------------------ */

struct api_metrics;
struct api_metrics *api_metrics_create(void);
void                api_metrics_destroy(struct api_metrics *metrics);
void                api_metrics_count(struct api_metrics *metrics, const struct api_route *route, int status);
void                api_metrics_search(struct api_metrics *metrics, int mode, int64_t us);

struct api {
    struct app         *app;
    struct api_keys    *keys;
    struct api_limits  *limits;
    struct api_metrics *metrics;
    struct api_stream  *streams; /* stream.c */
    struct api_askings *askings; /* asking.c */
    struct api_document *document; /* openapi.c */
    struct api_network  proxies[16];
    size_t              proxy_count;
};
struct api_askings  *api_askings_create(void);
void                 api_askings_destroy(struct api_askings *askings);
struct api_document *api_document_create(void);
void                 api_document_destroy(struct api_document *document);

/* ---- handlers -------------------------------------------------------------------------------------------------------------- */

struct err *api_search(struct api_call *call);
struct err *api_contents(struct api_call *call);
struct err *api_similar(struct api_call *call);
struct err *api_graph(struct api_call *call);
struct err *api_graph_of(struct api_call *call);
struct err *api_related(struct api_call *call);
struct err *api_related_of(struct api_call *call);
struct err *api_ask(struct api_call *call);
struct err *api_observations(struct api_call *call);
struct err *api_clusters(struct api_call *call);
struct err *api_cluster(struct api_call *call);
struct err *api_actors(struct api_call *call);
struct err *api_actor_get(struct api_call *call);
struct err *api_mcp(struct api_call *call);
struct err *api_protected_resource(struct api_call *call);
struct err *api_chat(struct api_call *call);
struct err *api_chat_resume(struct api_call *call);
struct err *api_chat_forget(struct api_call *call);
struct err *api_workspace(struct api_call *call);
struct err *api_workspace_get(struct api_call *call);
struct err *api_workspace_set(struct api_call *call);
struct err *api_key_list(struct api_call *call);
struct err *api_key_create(struct api_call *call);
struct err *api_key_revoke(struct api_call *call);
struct err *api_key_rotate(struct api_call *call);
struct err *api_key_delete(struct api_call *call);
struct err *api_import_list(struct api_call *call);
struct err *api_import_begin(struct api_call *call);
struct err *api_import_get(struct api_call *call);
struct err *api_import_events(struct api_call *call);
struct err *api_import_finish(struct api_call *call);
struct err *api_admin_backup(struct api_call *call);
struct err *api_admin_doctor(struct api_call *call);
struct err *api_admin_re_encrypt(struct api_call *call);
struct err *api_health(struct api_call *call);
struct err *api_ready(struct api_call *call);
struct err *api_metrics_text(struct api_call *call);
struct err *api_openapi(struct api_call *call);
struct err *api_reference(struct api_call *call);
struct err *api_reference_renderer(struct api_call *call);
struct err *api_memories(struct api_call *call);
struct err *api_job_list(struct api_call *call);
struct err *api_job_recent(struct api_call *call);
struct err *api_job_get(struct api_call *call);
struct err *api_job_cancel(struct api_call *call);
struct err *api_job_restart(struct api_call *call);
struct err *api_job_resume(struct api_call *call);
struct err *api_job_bulk(struct api_call *call);
struct err *api_function_list(struct api_call *call);
struct err *api_function_pause(struct api_call *call);
struct err *api_function_resume(struct api_call *call);
struct err *api_embedding_retry(struct api_call *call);
struct err *api_retry_embeddings(struct api_call *call, int64_t *queued);
struct err *api_event_get(struct api_call *call);
struct err *api_job_statistics(struct api_call *call);
struct err *api_job_percentiles(struct api_call *call);
struct err *api_performance(struct api_call *call);
struct err *api_workspace_health(struct api_call *call);
struct err *api_statistics(struct api_call *call);
struct err *api_statistics_comparison(struct api_call *call);
struct err *api_metric_series(struct api_call *call);
struct err *api_activity_list(struct api_call *call);
struct err *api_activity_list_of_org(struct api_call *call);
struct err *api_activity_get(struct api_call *call);
struct err *api_activity_stats(struct api_call *call);
struct err *api_activity_comparison(struct api_call *call);
struct err *api_activity_export(struct api_call *call);
