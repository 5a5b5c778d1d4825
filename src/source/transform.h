/* transform.h - from a provider's delivery to a SourceEvent (spec/connector-github.md 2-4, connectors-other.md 1, 2).
 *
 * Everything here is a pure function of its arguments: no clock, no database, no network. A receiver calls, in order,
 * source_signature_check, source_delivery_read, source_route_find, source_state_change_find, and for each source that
 * matched source_transform and source_github_item_read. What comes back points into the arena or the payload.
 */
#pragma once
#include "source/source.h"

enum source_provider { SOURCE_GITHUB, SOURCE_VERCEL, SOURCE_LINEAR, SOURCE_SENTRY, SOURCE_PROVIDERS };
const char *source_provider_name(enum source_provider provider); /* "github" ... */
bool        source_provider_parse(struct str name, enum source_provider *provider);
size_t      source_provider_max_body(enum source_provider provider); /* bytes; above: 413 */
/* Header names (lower case, NULL ends) that are kept beside the payload: connector-github.md 2.4, connectors-other.md
 * 1.1, 1.2. */
const char *const *source_provider_headers(enum source_provider provider);

/* ---- reception --------------------------------------------------------------------------------------------------- */

/* Why a delivery is refused: status and error code of the answer. Compare by address with source_refusals.x. */
struct source_refusal { int status; const char *code, *message; };
struct source_refusal_list {
    struct source_refusal not_configured, missing_payload, too_large, missing_signature, invalid_signature,
        missing_event, invalid_json, timestamp_invalid, timestamp_too_old, unknown_address;
};
extern const struct source_refusal_list source_refusals;

/* What came in. header() gives {NULL, 0} for a header that is absent; names are asked in lower case. */
struct source_request {
    enum source_provider provider;
    struct str body; /* the exact bytes received */
    struct str (*header)(void *arg, const char *name);
    void  *arg;
    size_t max_body; /* bytes; 0: the provider's own limit */
};

/* Size, payload and signature, in this order. secrets: those valid now, at most a few (two during rotation); empty ones
 * never match. NULL: genuine. */
const struct source_refusal *source_signature_check(const struct source_request *request, const struct str *secrets,
                                                    size_t secret_count);

struct source_delivery {
    enum source_provider provider;
    struct str event;         /* event key: "pull_request", "deployment.created", "Issue:update", "issue.created" */
    struct str action;        /* body `action`, {NULL, 0} if none */
    struct str id;            /* delivery id, 1-191 bytes of printable ASCII */
    struct str body_digest;   /* hex digits; together with the event the second dedupe key */
    int64_t    provider_time; /* ms, from the provider's own timestamp; 0: it sends none */
    struct str installation_id, repository_id; /* decimal text, for the delivery log; may be empty */
    const json_value *payload; /* an object */
};
/* Event, JSON and age of a genuine request. max_age: ms, of providers that send a time (default 300 s). NULL: read. */
struct source_delivery_options { int64_t received_at, max_age; };
const struct source_refusal *source_delivery_read(struct arena *arena, const struct source_request *request,
                                                  struct source_delivery_options options,
                                                  struct source_delivery *delivery);
/* A ping is answered {"received":true,"event":"ping"} and nothing else happens. */
bool source_delivery_is_ping(const struct source_delivery *delivery);

/* ---- transform --------------------------------------------------------------------------------------------------- */

enum source_reason {
    SOURCE_CAPTURED,           /* there is an event */
    SOURCE_UNHANDLED_EVENT,    /* no table names this event */
    SOURCE_ACTION_NOT_CAPTURED,
    SOURCE_NOT_CONNECTED,      /* no active source matches: the receiver's finding */
    SOURCE_BRANCH_NOT_TRACKED,
    SOURCE_BOT,
    SOURCE_REPOSITORY_MISMATCH, /* the receiver's finding */
    SOURCE_INVALID_EVENT,      /* supported, but what it needs is missing: the delivery is marked failed */
    SOURCE_REASONS
};
const char *source_reason_name(enum source_reason reason); /* "unhandled_event" ...; "captured" for the first */
/* Body of a 200: {"received":true}, with "ignored":reason unless SOURCE_CAPTURED or SOURCE_INVALID_EVENT. */
struct str source_answer(struct arena *arena, enum source_reason reason);
struct str source_answer_ping(void);
struct str source_answer_duplicate(void);

struct source_closing; /* github/draft.c */
struct source_closing *source_closing_create(struct arena *arena);
struct source_context {
    struct source_closing *closing; /* GitHub: the issues that the last text asked for closes, as two look for them; may be NULL */
    struct str delivery_id;
    int64_t    received_at;    /* ms */
    int64_t    provider_time;  /* ms, 0: received_at stands in */
    struct str web_url;        /* "https://github.com", "https://sentry.io"; empty: the provider's public site */
    struct str id_name;        /* GitHub: R, repository.full_name at link time; empty: the payload's */
    struct str resource_id;    /* of the source that was matched; empty: the payload's */
    struct str default_branch; /* GitHub, of the source; empty: the payload's */
    struct str project_name;   /* Vercel, of the source */
    struct str organization;   /* Sentry, slug of the connection */
    /* `sync` of the source: actions, branches, includeBots are read here; NULL: defaults. (sync.events is step 3 of the
     * pipeline: source_category_wanted.) */
    const json_value *sync;
};

/* `event` is the event key of source_delivery. The event is in stored form (source_event_normalise). *category is the
 * key that sync.events holds for it, whether captured or not; {NULL, 0} for events that no table names. */
enum source_reason source_transform(struct arena *arena, enum source_provider provider, struct str event,
                                    const json_value *payload, const struct source_context *context,
                                    struct source_event *result, struct str *category);

/* The category of a stored event: by the registry, else by the table of its opt-in action. {NULL, 0}: "other". */
struct str source_category_find(struct str source, struct str source_type);
/* Does sync.events hold the category? An absent or empty list holds nothing. */
bool source_category_wanted(const json_value *sync, struct str category);

/* ---- routing (connector-github.md 2.2, connectors-other.md 1.4) ------------------------------------------------- */

struct source_texts { struct str *at; size_t n; };

/* Which sources an event belongs to: those of the provider with one of resource_ids as provider_resource_id, else one
 * of resource_names as slug or key, else with `fallback` every source of the installation or organisation. */
struct source_route {
    struct source_texts resource_ids;
    struct source_texts resource_names; /* Linear: team key; Sentry: project slugs; GitHub: full name, which only the
                                         * per-source URL may compare */
    struct str installation_id;         /* GitHub, Sentry: must match the connection where it has one */
    struct str organization_id;         /* Linear; Vercel: team */
    struct str project_id;              /* Linear: the project whose teams resource_ids are; without: those last seen */
    struct str deployment_id;           /* Vercel without a project: the project of a stored event of this deployment */
    bool       fallback;
};
void source_route_find(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);

/* ---- state (connector-github.md 4, connectors-other.md 1.3) ----------------------------------------------------- */

enum source_state_effect {
    SOURCE_STATE_NONE,            /* no state event, or one that changes nothing */
    SOURCE_STATE_INSTALLATION,    /* store or refresh the installation */
    SOURCE_STATE_DEACTIVATE,      /* sources inactive with `reason`; each emits source.disconnected, deleteData false */
    SOURCE_STATE_REACTIVATE,      /* those inactive with `reason`; each emits source.connected.<provider> */
    SOURCE_STATE_UPDATE,          /* members of source_config that are set below */
    SOURCE_STATE_ACCOUNT,         /* account login of the installation */
    SOURCE_STATE_REVOKE,          /* the user's connection inactive, tokens erased */
    SOURCE_STATE_PENDING_INSTALL, /* Sentry: remember installation and code for a connect under way */
};
enum source_state_target { SOURCE_OF_RESOURCES, SOURCE_OF_INSTALLATION, SOURCE_OF_ORGANIZATION, SOURCE_OF_USER };
enum source_flag { SOURCE_UNSET, SOURCE_FALSE, SOURCE_TRUE };

struct source_state_change {
    enum source_state_effect effect;
    enum source_state_target target;
    struct source_texts resource_ids; /* SOURCE_OF_RESOURCES: one, unless they are listed */
    const json_value   *repositories; /* GitHub: objects with the ids of those that an installation event lists */
    struct str  installation_id;      /* GitHub id, Vercel configuration id, Sentry uuid */
    struct str  organization_id;      /* Linear; Vercel: team */
    struct str  user_id, account_id, account_login;
    const char *reason;               /* inactiveReason: "installation_removed" ... or NULL */
    const char *activity;             /* "integration.disconnected" ... or NULL: none */
    bool        full_sync;            /* starts a full document sync */
    enum source_flag is_archived, is_private;
    struct str  repo_full_name, repo_name, default_branch, project_name; /* {NULL, 0}: unchanged */
    struct str  organization_slug, code; /* SOURCE_STATE_PENDING_INSTALL */
    const json_value *installation;      /* SOURCE_STATE_INSTALLATION: account, permissions, events ... */
};
/* True for every event that belongs to this table, though it may change nothing: the answer is {"received":true}. */
bool source_state_change_find(struct arena *arena, const struct source_delivery *delivery,
                              struct source_state_change *change);

/* ---- item snapshots (connector-github.md 3.6) ------------------------------------------------------------------- */

struct source_person { struct str id, login, name, email; };
struct source_verdict { struct str login, state; int64_t at; }; /* state: approved, changes_requested ... */
struct source_linked_issue { struct str id, label, url; };

/* The state of a pull request or issue as far as one event shows it; what it does not show is {NULL, 0}, NULL, 0, or -1
 * for counts, and leaves the stored value alone. An older updated_at never overwrites a newer one. */
struct source_github_item {
    const char *kind;  /* "pull_request" or "issue" */
    struct str  id_name, url;
    int64_t     number;
    struct str  title, body, state, milestone;
    enum source_flag draft;
    struct source_texts labels, assignees, requested_reviewers;
    bool        lists_known; /* the three above are complete */
    struct source_verdict verdict; /* of this event; login.s NULL: none */
    struct source_linked_issue *linked; size_t linked_count;
    struct source_person *coauthors; size_t coauthor_count;
    struct source_person author;
    int64_t     comment_count, review_comment_count;
    int64_t     created_at, updated_at, closed_at, merged_at; /* ms */
};
/* False if the event is about no pull request or issue, or names none. */
bool source_github_item_read(struct arena *arena, struct str event, const json_value *payload,
                             const struct source_context *context, struct source_github_item *item);
