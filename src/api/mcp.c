/* mcp.c - POST /mcp: through the checks of every route to the door beside the API (search-api.md 9.3). */
#include "api/call.h"

struct err *api_mcp(struct api_call *call)
{
    if (!call->app->mcp) return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
    /* what is asked of the API on the way has the id of this request */
    if (!str_eq(net_header_get(call->request, "X-Request-Id"), call->id))
        net_request_header(call->request, "X-Request-Id", call->id);
    return call->app->mcp(call->app, call->request, call->reply);
}
