/* receive.h - sources as people configure them, and what providers send for them (spec/connector-github.md 2,
 * connectors-other.md 1, console.md 2.4, 2.5).
 *
 * A delivery is verified, read, routed and transformed before the transaction; the transaction stores it with its
 * payload and sends one event neural/observation.capture for each workspace that has a share in it. What was answered
 * with 200 is on disk and becomes an observation, or is filtered, exactly once.
 */
#pragma once
#include "crypto/crypto.h"
#include "source/transform.h"

/* ---- sources ------------------------------------------------------------------------------------------------------ */

struct source_record {
    int64_t    id, workspace;       /* row ids */
    struct str public_id, type;     /* "src_...", "github" */
    struct str resource_id;         /* the provider's id; "name:acme/api" until the first delivery tells it */
    struct str config;              /* JSON: repoFullName, sync ... */
    struct str inactive_reason;     /* or {NULL, 0} */
    struct str last_sync_status, last_sync_error;
    bool       active, shared, has_secret;
    int64_t    connected_at, last_synced_at, last_ingested_at, last_delivery_at, document_count;
};

/* What people know it by: the repository's full name, the team's key ...; config is that of the source, parsed. */
struct str source_display_name(const struct source_record *source, const json_value *config);

/* A source with an address of its own, /webhooks/{type}/{public id}, and a secret for it. */
struct source_addition {
    int64_t    workspace;
    enum source_provider provider;
    struct str name;        /* GitHub: owner/name; Linear: team key; Sentry: project slug; Vercel: project name */
    struct str resource_id; /* the provider's id; one of both is needed */
    struct str secret;      /* 8 to 255 bytes; empty: one is made */
    const json_value *events; /* sync.events; NULL: those that are on at link */
    const char *trigger;    /* who adds it: "user" (NULL), "api" */
    bool       shared;      /* hears the instance's own address /webhooks/{type} too: the operator's to decide */
};
/* *secret is the only time it is shown. An inactive source of that resource is connected again. Errors: ERR_INVALID,
 * ERR_CONFLICT (connected already). */
MUST_CHECK struct err *source_add(struct db_tx *tx, const struct crypto_keys *keys, struct source_addition addition,
                                  struct source_record *source, struct str *secret);
MUST_CHECK struct err *source_find(struct db_tx *tx, int64_t workspace, struct str public_id, struct source_record *source);
/* Newest first. */
MUST_CHECK struct err *source_list(struct db_tx *tx, int64_t workspace, int64_t before_id, size_t limit,
                                   struct source_record **sources, size_t *count);
struct source_total { struct str type; int64_t n; };
MUST_CHECK struct err *source_totals(struct db_tx *tx, int64_t workspace, struct source_total **totals, size_t *count);
/* Replace members of `sync`: events, actions, branches, includeBots. Errors: ERR_INVALID naming the member. */
MUST_CHECK struct err *source_set_sync(struct db_tx *tx, int64_t workspace, struct str public_id, const json_value *members,
                                       struct source_record *source);
/* A new secret; the old one is valid for grace ms more. */
MUST_CHECK struct err *source_renew_secret(struct db_tx *tx, const struct crypto_keys *keys, int64_t workspace,
                                           struct str public_id, int64_t grace, struct str *secret);
/* The function that deletes what a source brought, after a source.disconnected that asks for it. */
#define SOURCE_CLEANUP "source.cleanup"
/* Inactive, its secrets erased, its imports cancelled; sends source.disconnected. What it brought stays, or with
 * delete_data goes; that may also be asked for later. */
MUST_CHECK struct err *source_remove(struct db_tx *tx, int64_t workspace, struct str public_id, bool delete_data);

/* The subscription filter (spec/pipeline.md 3): is there an active source of the event's resource that wants it? */
MUST_CHECK struct err *source_allows(struct db_tx *tx, int64_t workspace, const struct source_event *event, bool *allowed);

/* ---- reception ---------------------------------------------------------------------------------------------------- */

struct source_addresses; /* what was read of sources with an address of their own */
struct source_addresses *source_addresses_create(struct db *db);
void                     source_addresses_destroy(struct source_addresses *addresses); /* NULL is fine */

struct source_seen; /* by what processed deliveries are known again, as far as it is not in the database yet */
struct source_seen *source_seen_create(size_t most); /* keys in memory; 0: 16,384, of 16 bytes each */
void                source_seen_destroy(struct source_seen *seen); /* NULL is fine */

struct source_inbox { /* one per process; does not change */
    struct db *db;
    struct source_addresses *addresses; /* NULL: read anew for each delivery */
    struct source_seen      *seen;      /* NULL: nothing is kept back */
    const struct crypto_keys *keys;
    struct str secrets[SOURCE_PROVIDERS][2]; /* of the instance's own apps, and those they replace; empty: none */
    int64_t    max_age[SOURCE_PROVIDERS];    /* ms; 0: default */
    size_t     max_body;                     /* bytes; 0: each provider's own limit */
    struct str web_url[SOURCE_PROVIDERS];
};

struct source_post {
    struct source_request request;
    struct str address;     /* public id of the source whose address was used; empty: the instance's */
    int64_t    received_at; /* ms */
};
/* What to answer; refusal NULL: 200 with body. Errors: ERR_UNAVAILABLE. */
struct source_answer_to_post {
    const struct source_refusal *refusal; /* one of source_refusals */
    struct str body;
    bool       duplicate;
};
MUST_CHECK struct err *source_receive(const struct source_inbox *inbox, struct arena *arena, const struct source_post *post,
                                      struct source_answer_to_post *answer);
/* The same without waiting for the disk: done is called with the answer, or an error, on this thread or another, and must
 * be short. arena, post and what it names live until then. */
typedef void (*source_received)(void *arg, struct err *err, const struct source_answer_to_post *answer);
void source_receive_later(const struct source_inbox *inbox, struct arena *arena, const struct source_post *post,
                          source_received done, void *arg);

/* ---- the log of deliveries ---------------------------------------------------------------------------------------- */

struct source_delivery_record {
    int64_t    id;
    struct str public_id, source, event, action, delivery_id, outcome, reason, error, replay_of, headers;
    struct str source_id;   /* of the workspace's source */
    int64_t    received_at, http_status;
    struct str payload;     /* source_delivery_find only; {NULL, 0}: no longer kept */
};
struct source_delivery_filter {
    struct str source, source_id, outcome, event;
    int64_t    from, to, before;
    size_t     limit;
    bool       originals; /* no replays */
};
MUST_CHECK struct err *source_delivery_list(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter,
                                            struct source_delivery_record **deliveries, size_t *count);
/* How many fit (at most `most`), and the row id of the newest; filter.limit does not count. */
MUST_CHECK struct err *source_delivery_total(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter,
                                             int64_t most, int64_t *count, int64_t *newest);
/* What reached no workspace: refused, or nobody is connected. Newest first; filter.source_id does not count. */
MUST_CHECK struct err *source_delivery_list_unclaimed(struct db_tx *tx, struct source_delivery_filter filter,
                                                      struct source_delivery_record **deliveries, size_t *count);
/* How many came for each source since then, of the newest 10,000; sources without any are left out. */
struct source_delivery_count { int64_t source, total, failed; };
MUST_CHECK struct err *source_delivery_counts(struct db_tx *tx, int64_t workspace, int64_t since,
                                              struct source_delivery_count **counts, size_t *count);
MUST_CHECK struct err *source_delivery_find(struct db_tx *tx, int64_t workspace, struct str public_id,
                                            struct source_delivery_record *delivery);
/* A capture of this workspace has failed for good: the delivery of that id, if it is one, is no longer "processed", so
 * that the provider may send it again. */
MUST_CHECK struct err *source_delivery_failed(struct db_tx *tx, int64_t workspace, struct str public_id, struct str error);
/* Transform the stored payload again for this workspace; *fresh is the new delivery's id. What it finds stored already
 * ends as duplicate. Errors: ERR_CONFLICT if the payload is no longer kept. */
MUST_CHECK struct err *source_delivery_replay(const struct source_inbox *inbox, struct db_tx *tx, int64_t workspace,
                                              struct str public_id, struct str *fresh);

/* Ask for the replay of all that fit, as one job of the event `event`. Errors: ERR_INVALID for more than
 * SOURCE_MAX_REPLAY. *count 0: nothing is asked for. */
enum { SOURCE_MAX_REPLAY = 10000 };
MUST_CHECK struct err *source_delivery_replay_many(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter,
                                                   struct str event, int64_t *count);
struct flow_function;
extern const struct flow_function *const source_functions[]; /* context: the struct source_inbox */
extern const size_t source_function_count;
/* Delete what is past its time, in small transactions, until run should stop; both add to *deleted. days 0: 30 for
 * deliveries, which must be remembered so long against replays; payloads for ever. */
struct flow_run;
MUST_CHECK struct err *source_sweep_deliveries(struct flow_run *run, int64_t days, int64_t *deleted);
MUST_CHECK struct err *source_sweep_payloads(struct flow_run *run, int64_t workspace, int64_t days, int64_t *deleted);
/* The data of a source is to go: the payloads of its deliveries until then, those that the log has forgotten by what they
 * tell, and the items of its repository. May be called again. */
MUST_CHECK struct err *source_forget(struct flow_run *run, struct str public_id, int64_t until);

/* Seal all secrets of sources again with the first key, in small transactions, while they are in use. */
struct source_resealed { int64_t sealed_again, current, closed; }; /* closed: none of the keys opens it */
MUST_CHECK struct err *source_reseal(struct db *db, struct arena *arena, const struct crypto_keys *keys,
                                     struct source_resealed *done);
/* How many secrets are sealed with the key of this id: at 0 it may be dropped. */
MUST_CHECK struct err *source_sealed_with(struct db_tx *tx, struct str key, int64_t *secrets);
