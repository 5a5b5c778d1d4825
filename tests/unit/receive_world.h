/* receive_world.h - a database with an engine and an inbox: sources, and deliveries signed as providers sign. */
#pragma once
#include "org_world.h"
#include "sql.h"

#include "base/time.h"
#include "crypto/crypto.h"
#include "flow/flow.h"
#include "memory/memory.h"
#include "source/receive.h"
#include "text/text.h"

#include <stdlib.h>
#include <unistd.h>

enum { WS = 1 }; /* the workspace */
#define SECRET "It's a Secret to Everybody"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct world {
    struct arena       *arena;
    struct db          *db;
    struct embed       *embed;
    struct memory       memory;
    struct crypto_keys *keys;
    struct flow        *flow;
    struct source_inbox inbox;
    char                dir[DIRECTORY_PATH];
};

/* Whoever listens makes that an event is kept. */
static inline struct err *hear(struct flow_run *run)
{
    (void)run;
    return NULL;
}
static const struct flow_function listener = {.name = "test.listener", .on = "source.* activity.record sync.requested", .run = hear};
static const struct flow_function *const listeners[] = {&listener};

static inline void world_start(struct world *w, struct arena *arena)
{
    w->arena = arena;
    w->db = org_database(arena, w->dir);
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("none")}, &w->embed));
    check_ok(crypto_keys_read(arena, STR(KEY), &w->keys));
    w->memory = (struct memory){w->db, w->embed};
    w->inbox = (struct source_inbox){.db = w->db, .keys = w->keys, .addresses = source_addresses_create(w->db),
                                     .seen = source_seen_create(6)};
    for (int i = 0; i < SOURCE_PROVIDERS; i++) w->inbox.secrets[i][0] = STR(SECRET);
    w->flow = flow_create(w->db, (struct flow_config){.workers = 2});
    check_ok(flow_register(w->flow, arena, memory_functions(&w->memory), memory_function_count, &w->memory));
    check_ok(flow_register(w->flow, arena, source_functions, source_function_count, &w->inbox));
    check_ok(flow_register(w->flow, arena, listeners, 1, NULL));
    check_ok(flow_start(w->flow, arena));
}

static inline void world_end(struct world *w)
{
    time_set(0);
    flow_stop(w->flow);
    flow_destroy(w->flow);
    embed_destroy(w->embed);
    source_addresses_destroy(w->inbox.addresses);
    source_seen_destroy(w->inbox.seen);
    database_remove(w->db, w->dir);
}
#define WORLD(name)                                                   \
    struct world name __attribute__((cleanup(world_end))) = {0};      \
    world_start(&name, arena)

/* ---- sources ----------------------------------------------------------------------------------------------------- */

struct making {
    struct world          *world;
    struct source_addition addition;
    struct source_record   source;
    struct str             secret;
    const json_value      *members;
};

static inline struct err *make(struct db_tx *tx, void *arg)
{
    struct making *making = arg;
    return source_add(tx, making->world->keys, making->addition, &making->source, &making->secret);
}

static inline struct making add(struct world *w, struct source_addition addition)
{
    struct making making = {.world = w, .addition = addition};
    making.addition.workspace = WS;
    check_ok(db_write(w->db, w->arena, make, &making));
    return making;
}
#define ADD(w, ...) add((w), (struct source_addition){__VA_ARGS__})

static inline struct err *set(struct db_tx *tx, void *arg)
{
    struct making *making = arg;
    return source_set_sync(tx, WS, making->source.public_id, making->members, &making->source);
}

static inline struct err *drop(struct db_tx *tx, void *arg)
{
    return source_remove(tx, WS, ((struct making *)arg)->source.public_id, false);
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

struct sent {
    const char *event, *id, *body;
    struct str  address, secret; /* secret empty: SECRET */
    const char *signature;       /* instead of the right one */
    enum source_provider provider;
};

struct headers { const struct sent *sent; struct str signature, time; };

static inline struct str header(void *arg, const char *name)
{
    static const char *const events[] = {"x-github-event", "sentry-hook-resource", NULL},
                      *const ids[] = {"x-github-delivery", "linear-delivery", "request-id", NULL},
                      *const signatures[] = {"x-hub-signature-256", "x-vercel-signature", "linear-signature",
                                             "sentry-hook-signature", NULL};
    const struct headers *headers = arg;
    for (size_t i = 0; events[i]; i++)
        if (strcmp(name, events[i]) == 0) return str_of(headers->sent->event);
    for (size_t i = 0; ids[i]; i++)
        if (strcmp(name, ids[i]) == 0) return str_of(headers->sent->id);
    for (size_t i = 0; signatures[i]; i++)
        if (strcmp(name, signatures[i]) == 0) return headers->signature;
    return strcmp(name, "sentry-hook-timestamp") == 0 ? headers->time : (struct str){0};
}

static inline struct source_answer_to_post deliver(struct world *w, struct sent sent)
{
    unsigned char      digest[CRYPTO_MAX_DIGEST];
    struct headers     headers = {.sent = &sent, .time = time_format(w->arena, time_now())};
    struct buf         hex = buf_in(w->arena);
    enum crypto_digest kind = sent.provider == SOURCE_VERCEL ? CRYPTO_SHA1 : CRYPTO_SHA256;
    size_t             n = crypto_hmac(kind, sent.secret.n ? sent.secret : STR(SECRET), str_of(sent.body), digest);
    for (size_t i = 0; i < n; i++) buf_printf(&hex, "%02x", digest[i]);
    headers.signature = sent.signature ? str_of(sent.signature) : buf_str(&hex);
    struct source_post post = {.request = {.provider = sent.provider, .body = str_of(sent.body), .header = header, .arg = &headers},
                               .address = sent.address,
                               .received_at = time_now()};
    struct source_answer_to_post answer;
    check_ok(source_receive(&w->inbox, w->arena, &post, &answer));
    flow_settle(w->flow);
    return answer;
}
#define DELIVER(w, ...) deliver((w), (struct sent){__VA_ARGS__})

#define REPOSITORY(id) "\"repository\":{\"id\":" id ",\"full_name\":\"acme/api\",\"name\":\"api\"," \
    "\"html_url\":\"https://github.com/acme/api\",\"default_branch\":\"main\"},\"sender\":{\"id\":5,\"login\":\"ada\"}"
#define ISSUE(number, id) "{\"action\":\"opened\",\"issue\":{\"number\":" number ",\"title\":\"Login fails after an upgrade\"," \
    "\"body\":\"It crashes\",\"state\":\"open\",\"html_url\":\"https://github.com/acme/api/issues/" number "\"," \
    "\"user\":{\"id\":5,\"login\":\"ada\"},\"created_at\":\"2026-01-02T03:04:05Z\",\"updated_at\":\"2026-01-02T03:04:05Z\"}," REPOSITORY(id) "}"
