/* inbox.h - a delivery on its way from its bytes to its captures: what receive.c, match.c, changes.c, payload.c and
 * deliveries.c share. */
#pragma once
#include "source/receive.h"

/* rows.c */
MUST_CHECK struct err *source_next_row_id(struct db_tx *tx, int64_t workspace, int64_t *id);
struct source_member {
    const char *key;
    struct str  text; /* a string */
    struct str  json; /* or, if set, a value */
};
/* Set members of a source's configuration; what other parts of the program keep there stays as it is. */
MUST_CHECK struct err *source_replace_members(struct arena *arena, struct str *config, const struct source_member *members,
                                              size_t n);

/* connected.c */
MUST_CHECK struct err *source_deactivate(struct db_tx *tx, const struct source_record *source, const char *reason);
/* The secrets that are valid now. */
struct source_secrets { struct str at[2]; size_t n; };
MUST_CHECK struct err *source_open_secrets(struct db_tx *tx, const struct crypto_keys *keys, struct str public_id,
                                           struct source_secrets *secrets);

/* A source that may have a share in the delivery. */
struct candidate {
    struct source_record source;
    struct str           workspace_id, org_id; /* public */
    const json_value    *config;
    struct str           learned_id; /* the provider's id that this delivery tells, else {NULL, 0} */
    enum source_reason   reason;
    struct source_event  event;      /* if captured */
    struct str           category, data; /* data: of the capture's event */
};
struct candidates { struct candidate *at; size_t n, capacity; };

/* match.c: those of the instance's address (address NULL), or the one source whose address it is. *reason is why there
 * is none. */
MUST_CHECK struct err *match_candidates(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                                        struct candidates *candidates, enum source_reason *reason);
/* The one source of an address, active or not. ERR_NOT_FOUND. */
MUST_CHECK struct err *match_address(struct db_tx *tx, enum source_provider provider, struct str address,
                                     struct candidate *candidate);

/* changes.c: installation and repository events */
MUST_CHECK struct err *changes_apply(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                                     const struct source_state_change *change);

/* payload.c */
struct bytes           payload_pack(struct arena *arena, struct str body);
MUST_CHECK struct err *payload_unpack(struct arena *arena, struct bytes packed, int64_t size, struct str *body);
struct payload {
    int64_t         workspace;
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
MUST_CHECK struct err *inbox_log(struct db_tx *tx, const struct source_delivery *delivery,
                                 const struct logged_delivery *logged, int64_t *id);
/* Shares, and the captures' events under the delivery's public id. */
MUST_CHECK struct err *inbox_send(struct db_tx *tx, int64_t delivery, struct str public_id,
                                  const struct candidates *candidates, bool manual);
