/* keys.c - W/api-keys: list, create, revoke, rotate, delete (search-api.md 2.3). */
#include "api/records.h"

static void put_fields(struct json_out *out, const struct org_key *key)
{
    static const enum org_scope scopes[] = {ORG_READ, ORG_ANSWER, ORG_INGEST, ORG_ADMIN};
    json_put(out, "id", key->public_id);
    json_put(out, "name", key->name);
    json_put(out, "display", key->display);
    json_begin(out, "scopes", '[');
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (key->scopes & scopes[i]) json_put(out, NULL, org_scope_name(scopes[i]));
    json_end(out);
    json_put(out, "isActive", key->active);
    json_put_time(out, "expiresAt", key->expires_at);
    json_put_time(out, "lastUsedAt", key->last_used_at);
    json_put_time(out, "createdAt", key->created_at);
}

static void send_new(struct api_call *call, const struct org_key *key, struct str secret)
{
    struct json_out out = api_answer(call);
    put_fields(&out, key);
    json_put(&out, "key", secret);
    json_put(&out, "requestId", call->id);
    net_reply_header(call->reply, "Cache-Control", STR("no-store"));
    api_send(call, 201, &out);
}

static void check_expiry(struct api_call *call, int64_t expires_at)
{
    if (expires_at && expires_at <= time_now()) api_issue(call, STR("expiresAt"), "Must be in the future");
}

struct err *api_key_list(struct api_call *call)
{
    struct api_page page;
    struct org_key *keys;
    size_t          n;
    TRY(api_page(call, &page));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(org_key_list(tx, call->workspace.id, page.before, (size_t)page.limit + 1, &keys, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        put_fields(&out, &keys[i]);
        json_end(&out);
    }
    api_page_end(&out, call, more, n ? keys[n - 1].id : 0);
    return NULL;
}

/* One change in a write transaction; which one is `change`. */
struct key_change {
    struct api_call *call;
    struct org_key_request  request;
    struct org_key_rotation rotation;
    struct org_key key;
    struct str     secret;
};

/* In the timeline, in the same transaction. `of` is the key that the caller named or made. */
static struct err *tell(struct db_tx *tx, const struct key_change *change, struct str action, const struct org_key *of,
                        struct json_out *metadata)
{
    const struct api_call *call = change->call;
    json_put(metadata, "keyName", of->name);
    json_end(metadata);
    return api_tell(tx, call, (struct activity){.action = action,
                                                  .entity_type = STR("api_key"),
                                                  .entity_id = of->public_id,
                                                  .entity_name = of->name,
                                                  .metadata = json_out_text(metadata)});
}

static struct json_out metadata_in(struct db_tx *tx)
{
    struct json_out metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    return metadata;
}

static struct err *write_create(struct db_tx *tx, void *arg)
{
    struct key_change *change = arg;
    struct json_out    metadata = metadata_in(tx);
    TRY(org_key_create(tx, change->request, &change->key, &change->secret));
    json_put(&metadata, "keyId", change->key.public_id);
    json_put(&metadata, "keyPreview", change->key.display);
    json_put_time(&metadata, "expiresAt", change->key.expires_at);
    return tell(tx, change, STR("apikey.created"), &change->key, &metadata);
}

static struct err *write_rotate(struct db_tx *tx, void *arg)
{
    struct key_change *change = arg;
    struct json_out    metadata = metadata_in(tx);
    struct org_key     old;
    TRY(org_key_get(tx, change->rotation.workspace_id, change->rotation.public_id, &old));
    TRY(org_key_rotate(tx, change->rotation, &change->key, &change->secret));
    json_put(&metadata, "oldKeyId", old.public_id);
    json_put(&metadata, "newKeyId", change->key.public_id);
    json_put(&metadata, "newKeyPreview", change->key.display);
    json_put_time(&metadata, "expiresAt", change->key.expires_at);
    return tell(tx, change, STR("apikey.rotated"), &old, &metadata);
}

static struct err *write_end(struct db_tx *tx, struct key_change *change, struct str action,
                             struct err *(*end)(struct db_tx *tx, int64_t workspace_id, struct str public_id))
{
    int64_t         workspace = change->call->workspace.id;
    struct json_out metadata = metadata_in(tx);
    struct org_key  key;
    TRY(org_key_get(tx, workspace, api_parameter(change->call, "id"), &key));
    TRY(end(tx, workspace, key.public_id));
    json_put(&metadata, "keyId", key.public_id);
    json_put(&metadata, "keyPreview", key.display);
    json_put_time(&metadata, "originallyCreatedAt", key.created_at);
    return tell(tx, change, action, &key, &metadata);
}

static struct err *write_revoke(struct db_tx *tx, void *arg)
{
    return write_end(tx, arg, STR("apikey.revoked"), org_key_revoke);
}

static struct err *write_delete(struct db_tx *tx, void *arg)
{
    return write_end(tx, arg, STR("apikey.deleted"), org_key_delete);
}

/* What is known of keys is forgotten even if the write seems to have failed. */
static struct err *write_change(struct key_change *change, db_write_fn fn)
{
    struct api_call *call = change->call;
    struct err      *err = db_write(call->app->db, call->arena, fn, change);
    api_keys_forget(call->api->keys);
    return err;
}

struct err *api_key_create(struct api_call *call)
{
    struct api_key_body body = {0};
    api_fields(call, call->body, api_key_fields, &body);
    check_expiry(call, body.expires_at);
    TRY(api_check(call));
    unsigned scopes = body.scopes.given ? 0 : ORG_READ | ORG_ANSWER;
    for (size_t i = 0; i < body.scopes.n; i++)
        if (!org_scope_parse(body.scopes.at[i], &scopes))
            return err_new(call->arena, ERR_INVALID, "Unknown scope");
    struct key_change change = {
        .call = call, .request = {call->workspace.id, body.name, scopes, body.expires_at}};
    TRY(write_change(&change, write_create));
    send_new(call, &change.key, change.secret);
    return NULL;
}

struct err *api_key_rotate(struct api_call *call)
{
    struct api_rotation_body body = {0};
    api_fields(call, call->body, api_rotation_fields, &body);
    check_expiry(call, body.expires_at);
    TRY(api_check(call));
    struct key_change change = {.call = call,
                                .rotation = {call->workspace.id, api_parameter(call, "id"), body.expires_at,
                                             body.grace_seconds}};
    TRY(write_change(&change, write_rotate));
    send_new(call, &change.key, change.secret);
    return NULL;
}

static struct err *answer_done(struct api_call *call, db_write_fn fn)
{
    struct key_change change = {.call = call};
    TRY(write_change(&change, fn));
    struct json_out out = api_answer(call);
    json_put_bool(&out, "success", true);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_key_revoke(struct api_call *call)
{
    return answer_done(call, write_revoke);
}

struct err *api_key_delete(struct api_call *call)
{
    return answer_done(call, write_delete);
}
