/* auth.c - who asks and in which workspace.
 *
 * DESIGN. Keys that were good are remembered for a few seconds, in slots chosen by their SHA-256. A revocation in this
 * process forgets all of them and counts up `generation`; what a reader began to look up before that is not kept. So a
 * revocation acts at once here, and within the few seconds in other processes.
 */
#include "api/call.h"
#include "base/log.h"
#include "crypto/crypto.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 256, KEPT_MS = 3000, KEY_LENGTH = 49 };

struct slot {
    struct arena *arena; /* owns the strings */
    struct str    hash;  /* SHA-256 of the key; empty: free */
    int64_t       until; /* ms */
    struct org_key key;
    struct org_workspace workspace;
};

struct api_keys {
    pthread_mutex_t lock; /* guards what follows */
    int64_t     generation;
    struct slot slots[SLOTS];
};

struct api_keys *api_keys_create(void)
{
    struct api_keys *keys = calloc(1, sizeof *keys);
    if (!keys) abort();
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void api_keys_destroy(struct api_keys *keys)
{
    for (size_t i = 0; i < SLOTS; i++) arena_destroy(keys->slots[i].arena);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

void api_keys_forget(struct api_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    keys->generation++;
    for (size_t i = 0; i < SLOTS; i++) keys->slots[i].hash = (struct str){0};
    pthread_mutex_unlock(&keys->lock);
}

struct org_key api_copy_key(struct arena *arena, const struct org_key *key)
{
    struct org_key copy = *key;
    copy.public_id = str_dup(arena, key->public_id);
    copy.name = str_dup(arena, key->name);
    copy.display = str_dup(arena, key->display);
    return copy;
}

struct org_workspace api_copy_workspace(struct arena *arena, const struct org_workspace *workspace)
{
    struct org_workspace copy = *workspace;
    struct str *texts[] = {&copy.public_id,     &copy.name,     &copy.slug,
                           &copy.org_public_id, &copy.org_slug, &copy.settings};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(arena, *texts[i]);
    return copy;
}

static struct slot *slot_of(struct api_keys *keys, struct str hash)
{
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) at = at * 16 + (size_t)(hash.s[i] <= '9' ? hash.s[i] - '0' : hash.s[i] - 'a' + 10);
    return &keys->slots[at % SLOTS];
}

static bool recall(struct api_call *call, struct str hash, int64_t *generation)
{
    struct api_keys *keys = call->api->keys;
    int64_t          now = time_now();
    pthread_mutex_lock(&keys->lock);
    struct slot *slot = slot_of(keys, hash);
    bool found = crypto_equal(slot->hash, hash) && now < slot->until &&
                 (slot->key.expires_at == 0 || now < slot->key.expires_at);
    if (found) {
        call->key = api_copy_key(call->arena, &slot->key);
        call->workspace = api_copy_workspace(call->arena, &slot->workspace);
    }
    *generation = keys->generation;
    pthread_mutex_unlock(&keys->lock);
    return found;
}

static void remember(struct api_call *call, struct str hash, int64_t generation)
{
    struct api_keys *keys = call->api->keys;
    pthread_mutex_lock(&keys->lock);
    if (generation == keys->generation) {
        struct slot *slot = slot_of(keys, hash);
        if (slot->arena) arena_reset(slot->arena);
        else slot->arena = arena_create();
        slot->hash = str_dup(slot->arena, hash);
        slot->key = api_copy_key(slot->arena, &call->key);
        slot->workspace = api_copy_workspace(slot->arena, &call->workspace);
        slot->until = time_now() + KEPT_MS;
    }
    pthread_mutex_unlock(&keys->lock);
}

/* ---- last used ------------------------------------------------------------------------------------------------------- */

struct touch {
    struct arena *arena;
    struct db    *db;
    int64_t       key;
    struct str    address;
};

static struct err *write_touch(struct db_tx *tx, void *arg)
{
    struct touch *touch = arg;
    return org_key_touch(tx, touch->key, touch->address);
}

static void run_touch(void *arg)
{
    struct touch *touch = arg;
    struct err   *err = db_write(touch->db, touch->arena, write_touch, touch);
    if (err) log_warn("api", "cannot note the use of a key: " STR_FMT, STR_ARG(err_text(touch->arena, err)));
    arena_destroy(touch->arena);
}

/* At most once a minute for each key: a bucket of one. */
static void touch_key(struct api_call *call)
{
    if (!api_limits_take(call->api->limits, 0x746f756368000000u ^ (uint64_t)call->key.id, 1, 1).allowed) return;
    struct arena *arena = arena_create();
    struct touch *touch = NEW(arena, struct touch);
    *touch = (struct touch){arena, call->app->db, call->key.id, str_dup(arena, call->client)};
    if (call->app->workers)
        workers_submit(call->app->workers, run_touch, touch);
    else
        run_touch(touch);
}

/* ---- credentials ------------------------------------------------------------------------------------------------------ */

static bool bearer_of(const struct net_request *request, struct str *token)
{
    struct str header = str_trim(net_header_get(request, "Authorization"));
    if (!str_starts_nocase(header, STR("Bearer ")) && !str_eq_nocase(header, STR("Bearer"))) return false;
    *token = str_trim(str_skip(header, strlen("Bearer")));
    return token->n > 0;
}

bool api_bearer_is(const struct net_request *request, struct str secret)
{
    struct str token;
    return secret.n && bearer_of(request, &token) && crypto_equal(token, secret);
}

static struct err *look_up(struct api_call *call, struct str secret)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(org_authenticate(tx, secret, &call->key));
    return org_workspace_by_id(tx, call->key.workspace_id, &call->workspace);
}

static struct err *check_key(struct api_call *call)
{
    struct arena *arena = call->arena;
    struct str    token;
    if (!net_header_get(call->request, "Authorization").s)
        return err_new(arena, ERR_UNAUTHORIZED,
                       "Authentication required. Provide 'Authorization: Bearer <api-key>' header or sign in.");
    if (!bearer_of(call->request, &token))
        return err_new(arena, ERR_UNAUTHORIZED, "API key required. Provide 'Authorization: Bearer <api-key>' header.");
    if (token.n != KEY_LENGTH || !str_starts(token, STR("sk-lf-")))
        return err_new(arena, ERR_UNAUTHORIZED, "Invalid API key format.");
    struct str hash = crypto_sha256_hex(arena, token);
    int64_t    generation;
    if (recall(call, hash, &generation)) return NULL;
    call->key = (struct org_key){0};
    TRY(look_up(call, token));
    remember(call, hash, generation);
    return NULL;
}

struct err *api_authenticate(struct api_call *call)
{
    if (call->request->local) return NULL;
    struct err *err = check_key(call);
    if (!err) {
        touch_key(call);
        return NULL;
    }
    call->key = (struct org_key){0};
    call->workspace = (struct org_workspace){0};
    /* a good key is heard even from an address that sent many bad ones: others may share the address */
    if (err->code == ERR_UNAUTHORIZED) TRY(api_rate_failure(call));
    return err;
}

/* ---- workspace --------------------------------------------------------------------------------------------------------- */

static struct err *workspace_of_path(struct api_call *call, struct str org, struct str name)
{
    struct org_workspace found;
    struct db_tx *tx     DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(org_workspace_find(tx, org, name, &found));
    if (call->key.id && call->key.workspace_id != found.id)
        return err_new(call->arena, ERR_NOT_FOUND, "Workspace not found");
    call->workspace = found;
    return NULL;
}

static struct err *workspace_of_header(struct api_call *call, struct str wanted)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    return org_workspace_default(tx, wanted, &call->workspace);
}

struct err *api_resolve_workspace(struct api_call *call)
{
    struct str org = api_parameter(call, "org"), name = api_parameter(call, "ws");
    struct str wanted = str_trim(net_header_get(call->request, "X-Workspace-ID"));
    if (org.s && !name.s) {
        call->workspace = (struct org_workspace){0}; /* the route is the organisation's */
        return NULL;
    }
    if (org.s)
        TRY(workspace_of_path(call, org, name));
    else if (call->key.id == 0)
        TRY(workspace_of_header(call, wanted));
    else if (wanted.n && !str_eq(wanted, call->workspace.public_id))
        log_debug("api", "request " STR_FMT ": X-Workspace-ID differs from the key's workspace, ignored",
                  STR_ARG(call->id));
    net_reply_header(call->reply, "X-Workspace-ID", call->workspace.public_id);
    return NULL;
}
