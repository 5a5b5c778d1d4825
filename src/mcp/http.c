/* http.c - POST /mcp: one message a request, answered in its reply. No sessions: any process can answer any request. */
#include "mcp/parts.h"

/* The caller's own credentials for what is asked of the API on the way. */
static const char *const passed_on[] = {"Authorization", "X-Workspace-ID", "X-Forwarded-For", "X-Request-Id"};

struct caller {
    struct app               *app;
    const struct net_request *request;
};

static struct err *ask_api(void *arg, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer)
{
    const struct caller *caller = arg;
    struct net_request  *inner = net_request_local(arena, question->method, question->target, question->body);
    struct net_reply     reply = {0};
    inner->local = caller->request->local;
    inner->remote = caller->request->remote;
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        struct str value = net_header_get(caller->request, passed_on[i]);
        if (value.s) net_request_header(inner, passed_on[i], value);
    }
    api_handle(caller->app, inner, &reply);
    *answer = (struct mcp_answer){reply.status, reply.body};
    return NULL;
}

/* "https://memory.example.com/" is the origin "https://memory.example.com". */
static bool is_origin_of(struct str origin, struct str url)
{
    size_t scheme = str_find(url, STR("://"), 0);
    size_t end = scheme == SIZE_MAX ? SIZE_MAX : str_find_char(url, '/', scheme + 3);
    return str_eq_nocase(origin, str_slice(url, 0, end));
}

/* A page of another site in the caller's browser, which a changed name server may have led here, says where it is from. */
static bool origin_allowed(const struct config *config, struct str origin)
{
    if (!origin.s || is_origin_of(origin, config->public_url)) return true;
    for (size_t i = 0; i < config->cors_origin_count; i++)
        if (str_eq_nocase(origin, config->cors_origins[i])) return true;
    return false;
}

static void send(struct net_reply *reply, int status, struct str body)
{
    reply->status = status;
    reply->body = body;
}

static void send_fault(struct arena *arena, struct net_reply *reply, struct str id, const struct mcp_fault *fault)
{
    send(reply, fault->status, mcp_fault_text(arena, id, fault));
}

/* One message of a request; its response, or empty. */
static struct str respond(struct mcp_call *call, const struct mcp_message *message, const struct mcp_headers *headers,
                          int *status)
{
    call->message = message;
    call->fault = message->fault;
    *status = 202;
    if (message->kind == MCP_RESPONSE) return STR("");
    if (message->kind != MCP_MALFORMED &&
        mcp_revision_of(call->arena, message, headers, NULL, &call->revision, &call->fault))
        return message->kind == MCP_REQUEST ? mcp_respond(call, status) : STR("");
    *status = call->fault.status;
    return mcp_fault_text(call->arena, message->id, &call->fault);
}

static bool has_batches(struct str version)
{
    const struct mcp_revision *revision = mcp_revision_named(version.s ? version : MCP_WITHOUT_HEADER, true);
    return revision && revision->batches;
}

struct err *mcp_handle(struct app *app, struct net_request *request, struct net_reply *reply)
{
    struct arena      *arena = request->arena;
    struct mcp_headers headers = {net_header_get(request, "MCP-Protocol-Version"), net_header_get(request, "Mcp-Method"),
                                  net_header_get(request, "Mcp-Name")};
    struct caller      caller = {app, request};
    struct mcp_api     api = {.arg = &caller, .ask = ask_api};
    struct mcp_text    text;
    struct mcp_fault   fault;
    struct str         responses[MCP_LARGEST_BATCH];
    size_t             n = 0;
    int                status = 202;
    if (!origin_allowed(app->config, net_header_get(request, "Origin")))
        return err_new(arena, ERR_FORBIDDEN, "This origin may not use the server");
    if (!mcp_text_read(arena, request->body, has_batches(headers.version), &text, &fault)) {
        send_fault(arena, reply, STR("null"), &fault);
        return NULL;
    }
    for (size_t i = 0; i < text.n; i++) {
        struct mcp_call call = {.arena = arena, .api = &api, .http = true};
        responses[n] = respond(&call, &text.at[i], &headers, &status);
        if (responses[n].n) n++;
    }
    send(reply, text.batch ? (n ? 200 : 202) : status, mcp_text_join(arena, responses, n, text.batch));
    return NULL;
}
