/* listen.c - subscriptions/listen: who asked to hear of changes, and what is said to them. */
#include "base/hash.h"
#include "mcp/parts.h"

bool mcp_is_listening(const struct mcp_message *message, const struct mcp_revision *revision)
{
    return message->kind == MCP_REQUEST && !revision->handshake && str_eq(message->method, STR("subscriptions/listen"));
}

static struct err *look(struct mcp_call *call, uint64_t *hash)
{
    struct str text;
    TRY(mcp_recent(call, &text));
    *hash = hash_str(text);
    return NULL;
}

struct err *mcp_listener_begin(struct mcp_call *call, struct mcp_listener *listener)
{
    const json_value *wanted = json_get(call->message->params, "notifications");
    const json_value *uris = json_get(wanted, "resourceSubscriptions");
    *listener = (struct mcp_listener){.id = call->message->id};
    if (!json_is_object(wanted)) return mcp_refuse(call, MCP_INVALID_PARAMS, "notifications must be an object");
    if (!json_is_null(uris) && !json_is_array(uris))
        return mcp_refuse(call, MCP_INVALID_PARAMS, "resourceSubscriptions must be an array");
    for (struct json_iter it = json_iter(uris); json_step(&it);)
        listener->recent |= str_eq(json_str(it.value, ""), STR(MCP_RECENT_URI));
    return listener->recent ? look(call, &listener->seen) : NULL;
}

static void put_subscription(struct json_out *out, const struct mcp_listener *listener, bool result)
{
    json_begin(out, "_meta", '{');
    json_put_raw(out, "io.modelcontextprotocol/subscriptionId", listener->id);
    if (result) mcp_put_server_info(out, MCP_SERVER_INFO);
    json_end(out);
}

struct str mcp_listener_greeting(struct arena *arena, const struct mcp_listener *listener)
{
    struct json_out out = json_out(arena);
    mcp_notification_begin(&out, "notifications/subscriptions/acknowledged");
    put_subscription(&out, listener, false);
    json_begin(&out, "notifications", '{'); /* of what was asked for, what there is */
    if (listener->recent) {
        json_begin(&out, "resourceSubscriptions", '[');
        json_put(&out, NULL, MCP_RECENT_URI);
        json_end(&out);
    }
    json_end(&out);
    return mcp_message_end(&out);
}

static struct str update(struct arena *arena, const struct mcp_listener *listener)
{
    struct json_out out = json_out(arena);
    mcp_notification_begin(&out, "notifications/resources/updated");
    put_subscription(&out, listener, false);
    json_put(&out, "uri", MCP_RECENT_URI);
    return mcp_message_end(&out);
}

struct err *mcp_listener_look(struct mcp_listener *listener, const struct mcp_api *api, struct arena *arena, struct str *news)
{
    struct mcp_call call = {.arena = arena, .api = api, .revision = mcp_revision_modern()};
    uint64_t        now = listener->seen;
    *news = (struct str){0};
    if (!listener->recent) return NULL;
    TRY(look(&call, &now));
    if (now != listener->seen) *news = update(arena, listener);
    listener->seen = now;
    return NULL;
}

struct str mcp_listener_goodbye(struct arena *arena, const struct mcp_listener *listener)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "jsonrpc", "2.0");
    json_put_raw(&out, "id", listener->id);
    json_begin(&out, "result", '{');
    json_put(&out, "resultType", "complete");
    put_subscription(&out, listener, true);
    return mcp_message_end(&out);
}
