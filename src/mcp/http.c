/* http.c - POST /mcp: one message a request, answered in its reply. No sessions: any process can answer any request. */
#include "mcp/parts.h"

/* The caller's own credentials for what is asked of the API on the way. */
static const char *const passed_on[] = {"Authorization", "X-Workspace-ID", "X-Forwarded-For", "X-Request-Id"};

struct mcp_caller *mcp_caller_copy(struct arena *arena, struct app *app, const struct net_request *request)
{
    struct mcp_caller *caller = NEW(arena, struct mcp_caller);
    *caller = (struct mcp_caller){app, net_request_local(arena, "POST", STR("/mcp"), STR(""))};
    caller->request->local = request->local;
    caller->request->remote = str_dup(arena, request->remote);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        struct str value = net_header_get(request, passed_on[i]);
        if (value.s) net_request_header(caller->request, passed_on[i], str_dup(arena, value));
    }
    return caller;
}

struct err *mcp_caller_ask(void *arg, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer)
{
    const struct mcp_caller *caller = arg;
    struct net_request      *inner = net_request_local(arena, question->method, question->target, question->body);
    struct net_reply         reply = {0};
    inner->local = caller->request->local;
    inner->remote = caller->request->remote;
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        struct str value = net_header_get(caller->request, passed_on[i]);
        if (value.s) net_request_header(inner, passed_on[i], value);
    }
    inner->piece = question->piece;
    inner->stopped = question->stopped;
    inner->listener = question->arg;
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
    bool known = !headers->version.s || mcp_revision_named(headers->version, true);
    if (message->kind == MCP_RESPONSE || (message->kind == MCP_NOTIFICATION && known)) return STR(""); /* heard is enough */
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

/* ---- replies in pieces --------------------------------------------------------------------------------------------------- */

/* An answer whose progress is told: made by a worker, in memory of its own. */
struct telling {
    struct arena        *arena;
    struct mcp_caller   *caller;
    struct mcp_text      text;
    const struct mcp_revision *revision;
    struct net_stream   *stream;
};

static bool send_event(struct net_stream *stream, struct str text)
{
    return net_stream_event(stream, (struct net_event){.name = STR("message"), .data = text});
}

static void tell(void *arg, struct str notification)
{
    send_event(((struct telling *)arg)->stream, notification);
}

static bool is_gone(void *arg)
{
    return !net_stream_alive(((struct telling *)arg)->stream);
}

static void run_telling(void *arg)
{
    struct telling *telling = arg;
    struct mcp_api  api = {.arg = telling->caller, .ask = mcp_caller_ask};
    struct mcp_call call = {.arena = telling->arena, .api = &api, .http = true, .revision = telling->revision,
                            .message = telling->text.at, .stopped = is_gone, .stopped_arg = telling, .notify = tell,
                            .notify_arg = telling};
    int status;
    struct str text = mcp_respond(&call, &status);
    send_event(telling->stream, text);
    net_stream_close(telling->stream);
    arena_destroy(telling->arena);
}

static void begin_telling(struct app *app, struct net_request *request, struct net_reply *reply,
                          const struct mcp_revision *revision)
{
    struct arena    *arena = arena_create();
    struct telling  *telling = NEW(arena, struct telling);
    struct mcp_fault fault;
    *telling = (struct telling){.arena = arena, .caller = mcp_caller_copy(arena, app, request), .revision = revision};
    bool readable = mcp_text_read(arena, str_dup(arena, request->body), false, &telling->text, &fault);
    telling->stream = readable ? net_stream_open(request, reply, (struct net_stream_config){0}) : NULL;
    reply->status = 200;
    if (telling->stream) workers_submit(app->answerers, run_telling, telling);
    else arena_destroy(arena);
}

/* False: the call's fault tells why not. */
static bool begin_listening(struct mcp_call *call, struct app *app, struct net_request *request, struct net_reply *reply)
{
    struct mcp_listener listener;
    if (!request->job || !app->mcp_watch || mcp_watch_full(app->mcp_watch)) {
        mcp_refuse(call, MCP_INTERNAL_ERROR, "Cannot be listened to now");
        call->fault.status = 503;
        return false;
    }
    if (mcp_listener_begin(call, &listener)) return false;
    struct arena      *arena = arena_create();
    struct mcp_caller *caller = mcp_caller_copy(arena, app, request);
    struct net_stream *stream = net_stream_open(request, reply, (struct net_stream_config){0});
    reply->status = 200;
    if (stream && mcp_watch_add(app->mcp_watch, arena, caller, listener, stream)) return true;
    if (stream) net_stream_close(stream);
    arena_destroy(arena);
    return true;
}

/* Is this message answered by a stream? Then it has begun. */
static bool answered_by_stream(struct mcp_call *call, struct app *app, struct net_request *request,
                               const struct mcp_headers *headers, struct net_reply *reply)
{
    const struct mcp_message *message = call->message;
    if (message->kind != MCP_REQUEST || !mcp_revision_of(call->arena, message, headers, NULL, &call->revision, &call->fault))
        return false;
    if (mcp_progress_token(message) && request->job && app->answerers) {
        begin_telling(app, request, reply, call->revision);
        return true;
    }
    if (!mcp_is_listening(message, call->revision)) return false;
    if (!begin_listening(call, app, request, reply)) send_fault(call->arena, reply, message->id, &call->fault);
    return true;
}

/* ---- POST /mcp ------------------------------------------------------------------------------------------------------------ */

static void answer_all(const struct mcp_text *text, const struct mcp_api *api, struct arena *arena,
                       const struct mcp_headers *headers, struct net_reply *reply)
{
    struct str responses[MCP_LARGEST_BATCH];
    size_t     n = 0;
    int        status = 202;
    for (size_t i = 0; i < text->n; i++) {
        struct mcp_call call = {.arena = arena, .api = api, .http = true};
        responses[n] = respond(&call, &text->at[i], headers, &status);
        if (responses[n].n) n++;
    }
    send(reply, text->batch ? (n ? 200 : 202) : status, mcp_text_join(arena, responses, n, text->batch));
}

struct err *mcp_handle(struct app *app, struct net_request *request, struct net_reply *reply)
{
    struct arena      *arena = request->arena;
    struct mcp_headers headers = {net_header_get(request, "MCP-Protocol-Version"), net_header_get(request, "Mcp-Method"),
                                  net_header_get(request, "Mcp-Name")};
    struct mcp_caller  caller = {app, request};
    struct mcp_api     api = {.arg = &caller, .ask = mcp_caller_ask};
    struct mcp_text    text;
    struct mcp_fault   fault;
    if (!origin_allowed(app->config, net_header_get(request, "Origin")))
        return err_new(arena, ERR_FORBIDDEN, "This origin may not use the server");
    if (!mcp_text_read(arena, request->body, has_batches(headers.version), &text, &fault)) {
        send_fault(arena, reply, STR("null"), &fault);
        return NULL;
    }
    struct mcp_call alone = {.arena = arena, .api = &api, .http = true, .message = text.at};
    if (text.batch || !answered_by_stream(&alone, app, request, &headers, reply))
        answer_all(&text, &api, arena, &headers, reply);
    return NULL;
}
