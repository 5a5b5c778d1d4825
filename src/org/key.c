/* key.c - API keys (spec/search-api.md 2): only the SHA-256 of a key is stored, the key itself is shown once. */
#include "org/org.h"

#include "base/time.h"
#include "base/id.h"
#include "base/utf8.h"
#include "crypto/crypto.h"

#define KEY_PREFIX "sk-lf-" /* clients check it and the length */
enum { KEY_RANDOM_CHARS = 43, KEY_LENGTH = sizeof KEY_PREFIX - 1 + KEY_RANDOM_CHARS, NAME_MAX_CHARS = 100,
       MAX_GRACE_SECONDS = 604800, MAX_IP = 45, LIST_MAX = 100 };

static const struct {
    enum org_scope scope;
    const char    *name;
} scopes_by_name[] = {{ORG_READ, "read"}, {ORG_ANSWER, "answer"}, {ORG_INGEST, "ingest"}, {ORG_ADMIN, "admin"}};
enum { SCOPE_COUNT = sizeof scopes_by_name / sizeof *scopes_by_name,
       ALL_SCOPES = ORG_READ | ORG_ANSWER | ORG_INGEST | ORG_ADMIN };

const char *org_scope_name(enum org_scope scope)
{
    for (size_t i = 0; i < SCOPE_COUNT; i++)
        if (scopes_by_name[i].scope == scope) return scopes_by_name[i].name;
    return "unknown";
}

bool org_scope_parse(struct str name, unsigned *scopes)
{
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        if (!str_eq(name, str_of(scopes_by_name[i].name))) continue;
        *scopes |= scopes_by_name[i].scope;
        return true;
    }
    return false;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

#define KEY_COLUMNS                                                                                               \
    "SELECT id, workspace_id, public_id, name, key_prefix || '...' || key_suffix, scopes, is_active, expires_at, " \
    "last_used_at, created_at FROM api_key "

static bool next_key(struct db_rows *rows, struct org_key *key)
{
    int64_t scopes = 0;
    bool    found = db_next(rows, &key->id, &key->workspace_id, &key->public_id, &key->name, &key->display, &scopes,
                            &key->active, &key->expires_at, &key->last_used_at, &key->created_at);
    key->scopes = (unsigned)scopes & ALL_SCOPES;
    return found;
}

struct err *org_key_get(struct db_tx *tx, int64_t workspace_id, struct str public_id, struct org_key *key)
{
    bool           found = false;
    struct db_rows rows;
    if (id_valid(public_id, "key_")) {
        TRY(db_query(tx, &rows, KEY_COLUMNS "WHERE workspace_id = $1 AND public_id = $2", workspace_id, public_id));
        found = next_key(&rows, key);
        TRY(db_done(&rows));
    }
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "API key not found");
}

struct err *org_key_list(struct db_tx *tx, int64_t workspace_id, int64_t before_id, size_t limit,
                         struct org_key **keys, size_t *count)
{
    VEC(struct org_key) found = {0};
    struct org_key key = {0};
    struct db_rows rows;
    TRY(db_query(tx, &rows, KEY_COLUMNS "WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3", workspace_id,
                 before_id > 0 ? before_id : INT64_MAX, (int64_t)(limit < LIST_MAX + 1 ? limit : LIST_MAX + 1)));
    while (next_key(&rows, &key)) *VEC_PUSH(tx->arena, &found) = key;
    TRY(db_done(&rows));
    *keys = found.at;
    *count = found.n;
    return NULL;
}

/* ---- making and ending ------------------------------------------------------------------------------------------- */

static struct err *check_request(struct arena *arena, const struct org_key_request *request)
{
    if (!utf8_valid(request->name))
        return err_new(arena, ERR_INVALID, "The name of an API key must be valid UTF-8 text");
    if (request->name.n == 0 || utf8_length(request->name) > NAME_MAX_CHARS)
        return err_new(arena, ERR_INVALID, "The name of an API key has 1 to 100 characters");
    if (request->expires_at < 0 || (request->expires_at > 0 && request->expires_at <= time_now()))
        return err_new(arena, ERR_INVALID, "The expiry of an API key must lie in the future");
    if (request->scopes & ~(unsigned)ALL_SCOPES) return err_new(arena, ERR_INVALID, "Unknown API key scope");
    return NULL;
}

static struct db_value time_or_null(int64_t ms)
{
    return ms > 0 ? db_of_int(ms) : db_of_null(DB_NULL);
}

static struct err *insert_key(struct db_tx *tx, const struct org_key_request *request, struct str public_id,
                              struct str secret)
{
    unsigned   scopes = request->scopes ? request->scopes : ORG_READ | ORG_ANSWER;
    int64_t    now = time_now();
    struct db_value values[] = {
        db_of_int(request->workspace_id), db_of_str(public_id), db_of_str(request->name),
        db_of_str(crypto_sha256_hex(tx->arena, secret)), db_of_str(STR(KEY_PREFIX)),
        db_of_str(str_skip(secret, secret.n - 4)), db_of_int(scopes), time_or_null(request->expires_at), db_of_int(now),
    };
    return db_exec_values(tx,
                          "INSERT INTO api_key (workspace_id, public_id, name, secret_sha256, key_prefix, key_suffix, "
                          "scopes, expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
                          values, sizeof values / sizeof *values);
}

struct err *org_key_create(struct db_tx *tx, struct org_key_request request, struct org_key *key, struct str *secret)
{
    request.name = str_trim(request.name);
    TRY(check_request(tx->arena, &request));
    struct org_workspace ws;
    TRY(org_workspace_by_id(tx, request.workspace_id, &ws));
    struct str public_id = id_new(tx->arena, "key_");
    *secret = crypto_token(tx->arena, KEY_PREFIX, KEY_RANDOM_CHARS);
    TRY(insert_key(tx, &request, public_id, *secret));
    return org_key_get(tx, request.workspace_id, public_id, key);
}

struct err *org_key_revoke(struct db_tx *tx, int64_t workspace_id, struct str public_id)
{
    struct org_key key;
    TRY(org_key_get(tx, workspace_id, public_id, &key));
    if (!key.active) return err_new(tx->arena, ERR_CONFLICT, "API key is already revoked");
    return db_exec(tx, "UPDATE api_key SET is_active = 0, updated_at = $3 WHERE workspace_id = $1 AND id = $2",
                   workspace_id, key.id, time_now());
}

struct err *org_key_delete(struct db_tx *tx, int64_t workspace_id, struct str public_id)
{
    struct org_key key;
    TRY(org_key_get(tx, workspace_id, public_id, &key));
    return db_exec(tx, "DELETE FROM api_key WHERE workspace_id = $1 AND id = $2", workspace_id, key.id);
}

/* At once, or at the end of the grace time if that is sooner than the key's own expiry. */
static struct err *retire(struct db_tx *tx, const struct org_key *key, int64_t grace_seconds)
{
    int64_t now = time_now(), end = now + SECONDS(grace_seconds);
    if (grace_seconds == 0)
        return db_exec(tx, "UPDATE api_key SET is_active = 0, updated_at = $3 WHERE workspace_id = $1 AND id = $2",
                       key->workspace_id, key->id, now);
    if (key->expires_at > 0 && key->expires_at < end) end = key->expires_at;
    return db_exec(tx, "UPDATE api_key SET expires_at = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2",
                   key->workspace_id, key->id, end, now);
}

static bool has_expired(const struct org_key *key)
{
    return key->expires_at > 0 && key->expires_at <= time_now();
}

struct err *org_key_rotate(struct db_tx *tx, struct org_key_rotation rotation, struct org_key *key, struct str *secret)
{
    struct org_key old;
    if (rotation.grace_seconds < 0 || rotation.grace_seconds > MAX_GRACE_SECONDS)
        return err_new(tx->arena, ERR_INVALID, "graceSeconds must be from 0 to %d", MAX_GRACE_SECONDS);
    TRY(org_key_get(tx, rotation.workspace_id, rotation.public_id, &old));
    if (!old.active || has_expired(&old)) return err_new(tx->arena, ERR_CONFLICT, "API key is not active");
    struct org_key_request request = {
        .workspace_id = rotation.workspace_id,
        .name = old.name,
        .scopes = old.scopes,
        .expires_at = rotation.expires_at ? rotation.expires_at : old.expires_at,
    };
    TRY(retire(tx, &old, rotation.grace_seconds));
    return org_key_create(tx, request, key, secret);
}

/* ---- using ------------------------------------------------------------------------------------------------------- */

struct err *org_authenticate(struct db_tx *tx, struct str secret, struct org_key *key)
{
    if (secret.n == 0)
        return err_new(tx->arena, ERR_UNAUTHORIZED,
                       "API key required. Provide 'Authorization: Bearer <api-key>' header.");
    if (secret.n != KEY_LENGTH || !str_starts(secret, STR(KEY_PREFIX)))
        return err_new(tx->arena, ERR_UNAUTHORIZED, "Invalid API key format.");
    struct db_rows rows;
    TRY(db_query(tx, &rows, KEY_COLUMNS "WHERE secret_sha256 = $1", crypto_sha256_hex(tx->arena, secret)));
    bool found = next_key(&rows, key);
    TRY(db_done(&rows));
    if (!found || !key->active) return err_new(tx->arena, ERR_UNAUTHORIZED, "Invalid API key");
    if (has_expired(key)) return err_new(tx->arena, ERR_UNAUTHORIZED, "API key expired");
    return NULL;
}

struct err *org_key_touch(struct db_tx *tx, int64_t key_id, struct str ip)
{
    int64_t now = time_now();
    return db_exec(tx,
                   "UPDATE api_key SET last_used_at = $2, last_used_from_ip = $3 "
                   "WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $4)",
                   key_id, now, str_slice(utf8_repair(tx->arena, ip), 0, MAX_IP), now - MINUTES(1));
}
