/* api.h - the HTTP API: one route table, one file per resource (spec/search-api.md, api/openapi.yaml).
 *
 * api_handle is the whole API as a function: the server calls it for sockets, the CLI calls it directly when no server
 * is running, so both behave the same.
 */
#pragma once
#include "config/config.h"
#include "crypto/crypto.h"
#include "db/db.h"
#include "embed/embed.h"
#include "llm/llm.h"
#include "memory/memory.h"
#include "net/net.h"
#include "search/search.h"

struct activity_recorder;
struct answer;
struct flow;
struct mcp_watch;
struct source_inbox;

/* A door beside the API behind the same checks; the caller is known and may read. */
struct app;
typedef struct err *(*api_door)(struct app *app, struct net_request *request, struct net_reply *reply);

struct app { /* built in main, passed down; read-only once the server runs */
    const struct config *config;
    struct db      *db;
    struct embed   *embed;
    struct llm     *llm;     /* off (llm_enabled) unless the settings name a provider */
    struct memory   memory;
    struct search  *search;
    struct answer  *answer;
    struct crypto_keys *keys;        /* of sealed secrets */
    const struct source_inbox *inbox;
    struct flow    *flow;    /* NULL in one-shot commands: what they send runs when a server starts */
    struct activity_recorder *recorder; /* NULL in one-shot commands */
    struct workers *workers;   /* NULL in one-shot commands */
    struct workers *receivers; /* of deliveries and events; NULL: workers do that too */
    api_door        mcp;     /* POST /mcp; NULL in one-shot commands */
    struct mcp_watch *mcp_watch; /* who listens there for changes */
    struct workers *answerers; /* of answers: they wait for language models; NULL in one-shot commands */
    struct api     *api;     /* rate limits, key cache, counters */
    int64_t         started_at;
};

struct api *api_create(struct app *app); /* app->config is set; the rest when the first request comes */
void        api_destroy(struct api *api); /* after the workers have stopped */
void        api_stop_answers(struct api *api); /* the server stops: what is being answered ends soon */

/* Handle one request; arg is the struct app. Requests with request->local have full rights. */
void api_handle(void *arg, struct net_request *request, struct net_reply *reply);
struct net_terms api_terms(void *arg, struct str method, struct str path); /* for net_server_config */

/* For flow_watch before the engine starts, arg is app->api: listeners of W/stream hear of jobs. */
struct flow_change;
void api_job_changed(void *arg, const struct flow_change *change);

/* ---- requests described (schema.c) -------------------------------------------------------------------------------- */

/* A field of a request as another door shows it; parent: the object that holds it, NULL at the top. */
struct api_property { const char *parent, *name; bool required; const char *description; };
struct json_out;
/* The JSON Schema of an operation's body ("search"; the operationId of openapi.yaml): of its fields those that properties
 * name (a list that ends with name NULL), in that order, with the types, bounds and defaults they are validated by. */
void api_put_schema(struct json_out *out, const char *key, const char *operation, const struct api_property *properties);

/* The handler of the listener metrics.listen: GET /metrics for whoever reaches it (with metrics.token: for its bearer). */
void api_handle_metrics(void *arg, struct net_request *request, struct net_reply *reply);
