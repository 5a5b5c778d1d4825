/* mcp.c - POST /mcp: through the checks of every route to the door beside the API (search-api.md 9.3); and what a client
 * without a key is told of how to get in (RFC 9728). */
#include "api/call.h"

struct err *api_mcp(struct api_call *call)
{
    if (!call->app->mcp) return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
    /* what is asked of the API on the way has the id of this request */
    if (!str_eq(net_header_get(call->request, "X-Request-Id"), call->id))
        net_request_header(call->request, "X-Request-Id", call->id);
    return call->app->mcp(call->app, call->request, call->reply);
}

/* Of a resource at a path, the path comes after the well-known name. */
#define WELL_KNOWN "/.well-known/oauth-protected-resource"

static struct str address(const struct api_call *call, const char *path)
{
    struct str base = call->app->config->public_url;
    while (base.n && base.s[base.n - 1] == '/') base.n--;
    return str_printf(call->arena, STR_FMT "%s", STR_ARG(base), path);
}

struct str api_challenge(const struct api_call *call)
{
    const struct api_route *route = call->match.route;
    if (!call->app->config->mcp_oauth_issuer.n || !route || route->handler != api_mcp) return STR("Bearer");
    return str_printf(call->arena, "Bearer resource_metadata=\"" STR_FMT "\"", STR_ARG(address(call, WELL_KNOWN "/mcp")));
}

struct err *api_protected_resource(struct api_call *call)
{
    struct str issuer = call->app->config->mcp_oauth_issuer;
    if (!issuer.n) return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
    struct json_out out = api_answer(call);
    json_put(&out, "resource", address(call, "/mcp"));
    json_put(&out, "resource_name", "Lightfast");
    json_begin(&out, "authorization_servers", '[');
    json_put(&out, NULL, issuer);
    json_end(&out);
    json_begin(&out, "bearer_methods_supported", '[');
    json_put(&out, NULL, "header");
    json_end(&out);
    json_begin(&out, "scopes_supported", '[');
    json_put(&out, NULL, org_scope_name(ORG_READ));
    json_put(&out, NULL, org_scope_name(ORG_ANSWER));
    json_end(&out);
    api_send(call, 200, &out);
    return NULL;
}
