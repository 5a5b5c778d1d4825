/* org.h - who is asking: organisations, workspaces, API keys.
 *
 * A fresh data directory gets organisation `local` with default workspace `main`. An API key belongs to one workspace
 * and has scopes; only its SHA-256 is stored (spec/search-api.md 2).
 */
#pragma once
#include "db/db.h"

struct org_workspace {
    int64_t    id, org_id;      /* row ids */
    struct str public_id;       /* "ws_..." */
    struct str name, slug;      /* "main", "robust-chicken" */
    bool       is_default;
    struct str org_public_id, org_slug;
    struct str settings;        /* JSON */
    int64_t    created_at;
};

struct org_organization {
    int64_t    id; /* row id */
    struct str public_id, slug;
};
/* By id or slug, any case. ERR_NOT_FOUND "Organization not found". */
MUST_CHECK struct err *org_find(struct db_tx *tx, struct str name, struct org_organization *org);

/* Make `local`/`main` if the database has no organisation. Idempotent. */
MUST_CHECK struct err *org_prepare(struct db *db, struct arena *arena);

/* By row id; by organisation (id or slug) and workspace (id or name, any case). A former name that no other workspace has
 * taken still leads to its own. ERR_NOT_FOUND "Workspace not found". */
MUST_CHECK struct err *org_workspace_by_id(struct db_tx *tx, int64_t id, struct org_workspace *ws);
MUST_CHECK struct err *org_workspace_find(struct db_tx *tx, struct str org, struct str name, struct org_workspace *ws);
/* By "ws_..." id, or name or slug in organisation `local`; empty: the default workspace. */
MUST_CHECK struct err *org_workspace_default(struct db_tx *tx, struct str name, struct org_workspace *ws);

/* A workspace in organisation org_id, with a slug of its own. Errors: ERR_INVALID (name), ERR_CONFLICT (name taken). */
MUST_CHECK struct err *org_workspace_create(struct db_tx *tx, int64_t org_id, struct str name, struct org_workspace *ws);

/* Errors: ERR_INVALID (name), ERR_CONFLICT (name taken). Its former name goes on leading to it. */
MUST_CHECK struct err *org_workspace_rename(struct db_tx *tx, const struct org_workspace *ws, struct str name);
/* In place of the organization's default workspace so far. */
MUST_CHECK struct err *org_workspace_make_default(struct db_tx *tx, const struct org_workspace *ws);
/* settings: a JSON object, whole. */
MUST_CHECK struct err *org_workspace_set(struct db_tx *tx, int64_t id, struct str settings);

/* The rules for names and the reserved ones (spec/console.md 1.2): ERR_INVALID. */
MUST_CHECK struct err *org_check_slug(struct arena *arena, struct str slug);
MUST_CHECK struct err *org_check_workspace_name(struct arena *arena, struct str name);
struct str org_draw_slug(struct arena *arena); /* "robust-chicken", at most 20 characters; may be taken */

enum org_scope { ORG_READ = 1, ORG_ANSWER = 2, ORG_INGEST = 4, ORG_ADMIN = 8 };
const char *org_scope_name(enum org_scope scope);
bool        org_scope_parse(struct str name, unsigned *scopes); /* adds to *scopes; false if unknown */

struct org_key {
    int64_t    id, workspace_id;
    struct str public_id, name, display; /* "key_...", "ci", "sk-lf-...abcd" */
    unsigned   scopes;
    bool       active;
    int64_t    expires_at, last_used_at, created_at; /* ms, 0 = none */
};

/* secret: the whole key, returned this once. scopes 0: read and answer. Errors: ERR_INVALID (name 1..100 characters, expiry in the past). */
struct org_key_request { int64_t workspace_id; struct str name; unsigned scopes; int64_t expires_at; };
MUST_CHECK struct err *org_key_create(struct db_tx *tx, struct org_key_request request, struct org_key *key,
                                      struct str *secret);
MUST_CHECK struct err *org_key_list(struct db_tx *tx, int64_t workspace_id, int64_t before_id, size_t limit,
                                    struct org_key **keys, size_t *count);
MUST_CHECK struct err *org_key_get(struct db_tx *tx, int64_t workspace_id, struct str public_id, struct org_key *key);
MUST_CHECK struct err *org_key_revoke(struct db_tx *tx, int64_t workspace_id, struct str public_id); /* CONFLICT if done */
MUST_CHECK struct err *org_key_delete(struct db_tx *tx, int64_t workspace_id, struct str public_id);
struct org_key_rotation { int64_t workspace_id; struct str public_id; int64_t expires_at; int64_t grace_seconds; };
MUST_CHECK struct err *org_key_rotate(struct db_tx *tx, struct org_key_rotation rotation, struct org_key *key,
                                      struct str *secret);

/* Who a key is. Errors: ERR_UNAUTHORIZED with the texts of search-api.md 2.1. Cached for a few seconds in memory by the
 * caller if it wants; this reads the database. */
MUST_CHECK struct err *org_authenticate(struct db_tx *tx, struct str secret, struct org_key *key);
MUST_CHECK struct err *org_key_touch(struct db_tx *tx, int64_t key_id, struct str ip); /* last_used_*, at most 1/min */
