/* api.c - one request from arrival to answer, in the order of checks of search-api.md 1. */
#include "api/inbound.h"
#include "api/stream.h"
#include "base/id.h"
#include "base/log.h"

#include <stdlib.h>

enum { DEADLINE_SECONDS = 25, BODY_LIMIT = 1 << 20 };

struct api *api_create(struct app *app)
{
    struct api *api = calloc(1, sizeof *api);
    if (!api) abort();
    api->app = app;
    api->keys = api_keys_create();
    api->limits = api_limits_create();
    api->metrics = api_metrics_create();
    api->document = api_document_create();
    api->askings = api_askings_create();
    api->streams = api_stream_create(app);
    for (size_t i = 0; i < app->config->trusted_proxy_count; i++) {
        if (api_network_parse(app->config->trusted_proxies[i], &api->proxies[api->proxy_count]))
            api->proxy_count++;
        else
            log_warn("api", "trusted_proxies: " STR_FMT " is not an address range, ignored",
                     STR_ARG(app->config->trusted_proxies[i]));
    }
    return api;
}

void api_destroy(struct api *api)
{
    api_stream_destroy(api->streams);
    api_keys_destroy(api->keys);
    api_limits_destroy(api->limits);
    api_metrics_destroy(api->metrics);
    api_document_destroy(api->document);
    api_askings_destroy(api->askings);
    free(api);
}

static size_t body_limit(const struct app *app, const struct api_route *route)
{
    if (route && route->handler == api_events_ingest) return api_events_limit(app);
    return route && route->body_limit ? route->body_limit : BODY_LIMIT;
}

typedef void (*later_handler)(struct api_call *call);

/* Deliveries and events are answered by the thread that commits them. NULL: the route's handler answers. */
static later_handler later_of(const struct api_route *route)
{
    if (route->handler == api_webhook) return api_webhook_later;
    return route->handler == api_events_ingest ? api_events_ingest_later : NULL;
}

/* These have workers of their own, so that searches and they do not wait for each other. Answers too, because they wait
 * for language models. */
static struct workers *workers_of(const struct app *app, const struct api_route *route)
{
    if (route && later_of(route)) return app->receivers;
    return route && (route->handler == api_ask || route->handler == api_chat) ? app->answerers : app->workers;
}

struct net_terms api_terms(void *arg, struct str method, struct str path)
{
    const struct app *app = arg;
    struct api_match  match;
    api_match(method, path, &match);
    bool slow = match.route && match.route->slow;
    return (struct net_terms){.body_bytes = body_limit(app, match.route),
                              .handler_ms = slow ? 0 : SECONDS(DEADLINE_SECONDS),
                              .workers = workers_of(app, match.route)};
}

static bool is_request_id(struct str text)
{
    if (text.n < 8 || text.n > 64) return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* ---- the checks ---------------------------------------------------------------------------------------------------------- */

static struct err *wrong_method(struct api_call *call)
{
    struct buf allow = buf_in(call->arena), use = buf_in(call->arena);
    for (size_t i = 0; i < 4 && call->match.allowed[i]; i++) {
        buf_printf(&allow, "%s%s%s", i ? ", " : "", call->match.allowed[i],
                   strcmp(call->match.allowed[i], "GET") == 0 ? ", HEAD" : "");
        buf_printf(&use, "%s%s", i ? " or " : "", call->match.allowed[i]);
    }
    call->allow = buf_str(&allow);
    return err_new(call->arena, ERR_INVALID, "Use " STR_FMT " method", STR_ARG(buf_str(&use)));
}

static struct err *check_route(struct api_call *call)
{
    api_match(call->request->method, call->request->path, &call->match);
    if (call->match.route) return NULL;
    if (call->match.allowed[0]) return wrong_method(call);
    return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
}

static struct err *check_rights(struct api_call *call)
{
    const struct api_route *route = call->match.route;
    if (call->key.id == 0 || route->access == API_ANY_KEY) return NULL;
    if (route->access == API_PEOPLE)
        return err_new(call->arena, ERR_FORBIDDEN, "This is not open to API keys");
    if (call->key.scopes & route->scope) return NULL;
    return err_new(call->arena, ERR_FORBIDDEN, "This API key lacks the scope '%s'", org_scope_name(route->scope));
}

static struct err *check_body(struct api_call *call)
{
    struct net_request *request = call->request;
    if (request->body_state == NET_BODY_TOO_LARGE) {
        if (call->match.route->handler == api_webhook) api_webhook_too_large(call);
        return err_new(call->arena, ERR_TOO_LARGE, "The request body is larger than %zu bytes",
                       body_limit(call->app, call->match.route));
    }
    if (request->body_state == NET_BODY_REFUSED)
        return err_new(call->arena, ERR_UNAVAILABLE, "Too many large requests at once, try again later");
    return NULL;
}

static struct err *parse_body(struct api_call *call)
{
    enum api_body body = call->match.route->body;
    if (body == API_NO_BODY || (body == API_MAY_HAVE_BODY && str_trim(call->request->body).n == 0)) return NULL;
    struct err *err = json_parse(call->arena, call->request->body, &call->body);
    return err && err->code == ERR_INVALID ? err_new(call->arena, ERR_INVALID, "Invalid JSON body") : err;
}

static struct err *known(struct api_call *call)
{
    TRY(api_authenticate(call));
    call->authenticated_us = time_monotonic_us() - call->request->received_us;
    TRY(api_rate_limit(call));
    TRY(api_resolve_workspace(call));
    return check_rights(call);
}

static struct err *check(struct api_call *call)
{
    TRY(check_route(call));
    if (call->match.route->access != API_OPEN) TRY(known(call));
    int64_t before = time_monotonic_us();
    TRY(check_body(call));
    TRY(parse_body(call));
    call->handler_at_us = time_monotonic_us();
    call->parsed_us = call->handler_at_us - before;
    return NULL;
}

void api_finish(struct api_call *call, struct err *err)
{
    struct api *api = call->app->api;
    if (err) api_send_error(call, err);
    int64_t took = time_monotonic_us() - call->request->received_us;
    api_metrics_count(api->metrics, call->match.route, call->reply->status);
    if (call->search_mode >= 0) api_metrics_search(api->metrics, call->search_mode, took);
    api_measure(call, took);
    log_debug("api", STR_FMT " %s %d %lld us " STR_FMT, STR_ARG(call->request->method),
              call->match.route ? call->match.route->path : "-", call->reply->status, (long long)took, STR_ARG(call->id));
}

void api_finish_later(struct api_call *call, struct err *err)
{
    api_finish(call, err);
    net_reply_send(call->request);
}

void api_handle(void *arg, struct net_request *request, struct net_reply *reply)
{
    struct app      *app = arg;
    struct api_call *call = NEW(request->arena, struct api_call);
    struct err      *err = NULL;
    *call = (struct api_call){.app = app, .api = app->api, .arena = request->arena, .request = request, .reply = reply,
                              .search_mode = -1};
    struct str given = net_header_get(request, "X-Request-Id");
    call->id = is_request_id(given) ? given : id_uuid(call->arena);
    call->client = api_client_address(app->api, request);
    call->handler_at_us = request->received_us;
    net_reply_header(reply, "X-Request-Id", call->id);
    api_cors(call);
    if (!api_preflight(call)) {
        err = check(call);
        later_handler later = err ? NULL : later_of(call->match.route);
        if (later && net_may_reply_later(request)) {
            net_reply_later(request);
            later(call);
            return;
        }
        if (!err) err = call->match.route->handler(call);
    }
    api_finish(call, err);
}
