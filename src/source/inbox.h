/* inbox.h - a delivery on its way from its bytes to its captures: what receive.c, match.c, changes.c, payload.c and
 * deliveries.c share. */
#pragma once
#include "source/receive.h"

/* rows.c */
MUST_CHECK struct err *source_next_row_id(struct db_tx *tx, int64_t workspace, int64_t *id);
/* Its running imports are cancelled; forget: the next one reads the history from its beginning. */
MUST_CHECK struct err *source_end_imports(struct db_tx *tx, struct source_record *source, bool forget);
/* End an import that is not ended by who imports; *stopped is false if it was not running. */
MUST_CHECK struct err *source_import_stop(struct db_tx *tx, int64_t workspace, struct str public_id, const char *status,
                                          const char *error, bool *stopped);
/* importing.c: the import's job, in the transactions that change the import. by: who asked, or empty. */
MUST_CHECK struct err *importing_begin(struct db_tx *tx, int64_t workspace, const struct source_import *import, struct str by);
MUST_CHECK struct err *importing_tell(struct db_tx *tx, int64_t workspace, const struct source_import *import);
MUST_CHECK struct err *importing_end(struct db_tx *tx, int64_t workspace, const struct source_import *import);
struct flow_function;
extern const struct flow_function source_import_git;
/* forget.c: ERR_CONFLICT while the imported history of this repository is to be deleted: what is imported meanwhile would be
 * known already, and then go. */
MUST_CHECK struct err *source_check_forgotten(struct db_tx *tx, int64_t workspace, struct str repo);
struct source_member {
    const char *key;
    struct str  text; /* a string */
    struct str  json; /* or, if set, a value; neither: the member goes */
};
/* Set members of a source's configuration; what other parts of the program keep there stays as it is. */
MUST_CHECK struct err *source_replace_members(struct arena *arena, struct str *config, const struct source_member *members,
                                              size_t n);
MUST_CHECK struct err *source_write_config(struct db_tx *tx, int64_t workspace, int64_t source, struct str config);

/* lifecycle.c: workspace, id, public_id, type, resource_id and config of the record are needed. */
struct source_kind {
    const char *type;         /* of the resource, in the configuration */
    const char *name, *account; /* members of the configuration that hold its name and the account it belongs to */
    const char *id, *told[4]; /* what its provider calls its id; members that are told of it */
};
const struct source_kind *source_kind_of(struct str type); /* NULL: no provider's */
#define SOURCE_REMOVED "removed" /* inactive_reason: a person disconnected it */
/* Both also tell: source.disconnected, source.connected.<type>. */
MUST_CHECK struct err *source_deactivate(struct db_tx *tx, struct source_record *source, const char *reason);
MUST_CHECK struct err *source_tell_disconnected(struct db_tx *tx, const struct source_record *source, const char *reason,
                                                bool delete_data);
MUST_CHECK struct err *source_reactivate(struct db_tx *tx, struct source_record *source);
MUST_CHECK struct err *source_tell_connected(struct db_tx *tx, const struct source_record *source, const char *trigger);
/* Its name became known: what is told of its objects by that name can now be understood. */
MUST_CHECK struct err *source_tell_named(struct db_tx *tx, const struct source_record *source);
MUST_CHECK struct err *source_request_sync(struct db_tx *tx, const struct source_record *source); /* a full one */
/* What a provider did to it, for the timeline. */
struct source_told { const char *action, *reason; struct str changes, delivery_id, installation_id; };
MUST_CHECK struct err *source_tell_activity(struct db_tx *tx, const struct source_record *source,
                                            const struct source_told *told);

/* connected.c */
/* The secrets that are valid now, and until when this holds if nobody changes them; 0: for good. */
struct source_secrets { struct str at[2]; size_t n; int64_t until; };
MUST_CHECK struct err *source_open_secrets(struct db_tx *tx, const struct crypto_keys *keys, struct str public_id,
                                           struct source_secrets *secrets);

/* items.c: a pull request or issue as one event shows it, in the form that is stored. */
struct item_row {
    struct source_github_item item;
    struct str labels, assignees, requested_reviewers, links, coauthors; /* JSON; {NULL, 0}: unknown */
};

/* A source that may have a share in the delivery. */
struct candidate {
    struct source_record source;
    struct str           workspace_id, org_id; /* public */
    const json_value    *config;
    struct str           learned_id; /* the provider's id that this delivery tells, else {NULL, 0} */
    struct source_member learned[3]; /* of the configuration: account and names that it did not know */
    size_t               learned_count;
    const struct item_row *item;       /* NULL: the event is about none */
    struct str           project;      /* Linear: whose teams the delivery tells */
    struct source_texts  project_teams;
    enum source_reason   reason;
    struct source_event  event;      /* if captured */
    struct str           category, data; /* data: of the capture's event */
};
struct candidates { struct candidate *at; size_t n, capacity; };

/* addresses.c. What was read under a version may be recalled while the version is the same. addresses may be NULL: then
 * nothing is known. */
uint64_t addresses_version(const struct source_addresses *addresses);
/* In copies; own's configuration is not parsed. */
bool addresses_recall(struct source_addresses *addresses, struct arena *arena, enum source_provider provider, struct str address,
                      struct candidate *own, struct source_secrets *secrets);
void addresses_remember(struct source_addresses *addresses, uint64_t version, enum source_provider provider,
                        const struct candidate *own, const struct source_secrets *secrets);

/* seen.c: what a processed delivery is known again by. The digest counts as well as the id, for no signature covers the id.
 * seen NULL: keys are written at once. */
struct seen_keys { int64_t id, body; };
struct seen_keys seen_keys(const struct source_delivery *delivery);
MUST_CHECK struct err *seen_add(struct db_tx *tx, struct source_seen *seen, const struct source_delivery *delivery, int64_t id);
/* Has this address processed it in the 30 days before received_at? */
MUST_CHECK struct err *seen_find(struct db_tx *tx, struct source_seen *seen, const struct source_delivery *delivery,
                                 struct str address, int64_t received_at, bool *found);
MUST_CHECK struct err *seen_forget(struct db_tx *tx, int64_t delivery); /* before its row is deleted */

/* match.c: those of the instance's address (own NULL), or the one source whose address it is. *reason is why there is
 * none. */
MUST_CHECK struct err *match_candidates(struct db_tx *tx, const struct source_delivery *delivery, struct candidate *own,
                                        struct candidates *candidates, enum source_reason *reason);
/* Store what the delivery tells of a candidate. */
MUST_CHECK struct err *match_learn(struct db_tx *tx, const struct candidate *candidate);
/* The one source of an address, active or not. ERR_NOT_FOUND. */
MUST_CHECK struct err *match_address(struct db_tx *tx, enum source_provider provider, struct str address,
                                     struct candidate *candidate);

/* Parse the source's configuration. */
MUST_CHECK struct err *match_read_config(struct arena *arena, struct candidate *candidate);
/* Is it about the resource of this source, whatever has become of the source since? */
MUST_CHECK struct err *match_resource(struct db_tx *tx, const struct source_delivery *delivery, struct candidate *candidate,
                                      bool *does);

/* items.c: NULL if the event is about no pull request or issue. */
const struct item_row *items_read(struct arena *arena, const struct source_delivery *delivery,
                                  const struct source_context *context);
/* Store what the delivery tells of items and projects. Older news changes nothing. */
MUST_CHECK struct err *items_store(struct db_tx *tx, const struct candidate *candidate);
/* The teams that were last seen for a project. */
MUST_CHECK struct err *items_project_teams(struct db_tx *tx, int64_t workspace, struct str project,
                                           struct source_texts *teams);

/* changes.c: installation and repository events */
struct change_place { int64_t delivery, received_at; struct str address; }; /* delivery: row id */
MUST_CHECK struct err *changes_apply(struct db_tx *tx, const struct source_delivery *delivery,
                                     const struct change_place *place, const struct source_state_change *change);

/* installations.c */
MUST_CHECK struct err *installations_apply(struct db_tx *tx, const struct source_state_change *change, int64_t received_at);

/* payload.c */
struct bytes           payload_pack(struct arena *arena, struct str body);
MUST_CHECK struct err *payload_unpack(struct arena *arena, struct bytes packed, int64_t size, struct str *body);
struct payload {
    int64_t         workspace, delivery;
    struct str      source, delivery_id, event;
    struct bytes    packed;
    size_t          size;
    struct str      headers;
    int64_t         received_at;
};
MUST_CHECK struct err *payload_store(struct db_tx *tx, const struct payload *payload);
struct str payload_headers(struct arena *arena, const struct source_request *request); /* JSON */

/* receive.c: one transform for each candidate; of several in a workspace the first that wants the category stays. */
void inbox_transform(const struct source_inbox *inbox, struct arena *arena, const struct source_delivery *delivery,
                     int64_t received_at, struct str replay, struct candidates *candidates);
/* What became of a delivery, over all its candidates. */
struct verdict { const char *outcome; enum source_reason reason; };
struct verdict inbox_verdict(const struct candidates *candidates, enum source_reason none);

struct logged_delivery {
    struct str  public_id, address, headers, replay_of;
    int64_t     received_at;
    int         status;
    const char *outcome, *reason;
};
MUST_CHECK struct err *inbox_log(const struct source_inbox *inbox, struct db_tx *tx, const struct source_delivery *delivery,
                                 const struct logged_delivery *logged, int64_t *id);
/* The workspace sees the delivery in its log. */
MUST_CHECK struct err *inbox_share(struct db_tx *tx, int64_t delivery, const struct source_record *source);
/* Shares, and the captures' events under the delivery's public id. */
MUST_CHECK struct err *inbox_send(struct db_tx *tx, int64_t delivery, struct str public_id,
                                  const struct candidates *candidates, bool manual);

/* deliveries.c: a stored payload read as it was then: it was genuine and young enough when it came. ERR_CONFLICT: it
 * cannot be read. */
MUST_CHECK struct err *inbox_read_again(struct arena *arena, const struct source_delivery_record *stored,
                                        struct source_delivery *delivery);
