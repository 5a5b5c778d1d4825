/* memories.c - /v1/memories, published once and never served: 410, naming what took its place (search-api.md 11). */
#include "api/call.h"

struct err *api_memories(struct api_call *call)
{
    struct str path = call->request->path;
    bool reads = str_eq(call->request->method, STR("GET"));
    bool searches = str_find(path, STR("/search"), 0) != SIZE_MAX || net_query_get(call->request, "collection").s;
    const char *instead = searches ? "POST /v1/search" : reads ? "POST /v1/contents" : "event ingestion (POST /v1/events)";
    struct json_out out = api_answer(call);
    json_put(&out, "error", "GONE");
    json_put(&out, "message", str_printf(call->arena, "The memories interface is gone. Use %s instead.", instead));
    json_put(&out, "requestId", call->id);
    api_send(call, 410, &out);
    return NULL;
}
