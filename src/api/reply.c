/* reply.c - answers: JSON with its request id, the one error form, CORS. */
#include "api/call.h"
#include "base/log.h"

#include <ctype.h>
#include <stdio.h>

/* A slash in a value travels escaped, for in the path it would separate; net/ leaves it so. */
static struct str unescape_slashes(struct arena *arena, struct str value)
{
    return str_replace(arena, str_replace(arena, value, STR("%2F"), STR("/")), STR("%2f"), STR("/"));
}

struct str api_parameter(const struct api_call *call, const char *name)
{
    for (size_t i = 0; i < call->match.parameter_count; i++)
        if (str_eq(str_of(name), (struct str){call->match.parameters[i].name, call->match.parameters[i].name_length}))
            return unescape_slashes(call->arena, call->match.parameters[i].value);
    return (struct str){0};
}

int64_t api_took(const struct api_call *call)
{
    return api_ms(time_monotonic_us() - call->handler_at_us);
}

struct json_out api_answer(struct api_call *call)
{
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    return out;
}

void api_send(struct api_call *call, int status, struct json_out *out)
{
    json_end(out);
    call->reply->status = status;
    call->reply->body = json_out_text(out);
}

void api_send_with_id(struct api_call *call, struct json_out *out)
{
    json_put(out, "requestId", call->id);
    api_send(call, 200, out);
}

/* ---- errors ---------------------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct { enum err_code code; int status; const char *error; } forms[] = {
    {ERR_INTERNAL,     500, "INTERNAL_ERROR"},
    {ERR_INVALID,      400, "BAD_REQUEST"},
    {ERR_UNAUTHORIZED, 401, "UNAUTHORIZED"},
    {ERR_FORBIDDEN,    403, "FORBIDDEN"},
    {ERR_NOT_FOUND,    404, "NOT_FOUND"},
    {ERR_CONFLICT,     409, "CONFLICT"},
    {ERR_TOO_LARGE,    413, "PAYLOAD_TOO_LARGE"},
    {ERR_RATE_LIMITED, 429, "RATE_LIMITED"},
    {ERR_UNAVAILABLE,  503, "SERVICE_UNAVAILABLE"},
    {ERR_TIMEOUT,      504, "TIMEOUT"},
    {ERR_CANCELLED,    503, "SERVICE_UNAVAILABLE"},
};
/* clang-format on */

static void put_details(struct json_out *out, const struct api_call *call)
{
    json_begin(out, "details", '{');
    for (size_t i = 0; i < call->issues.n; i++) {
        struct str field = call->issues.at[i].field;
        bool       seen = false;
        for (size_t j = 0; j < i; j++) seen |= str_eq(call->issues.at[j].field, field);
        if (seen) continue;
        json_key(out, field);
        json_begin(out, NULL, '[');
        for (size_t j = i; j < call->issues.n; j++)
            if (str_eq(call->issues.at[j].field, field)) json_put(out, NULL, call->issues.at[j].problem);
        json_end(out);
    }
    json_end(out);
}

/* What goes to the log and not to the client, or to both. */
static void report(const struct api_call *call, const struct err *err)
{
    const char *route = call->match.route ? call->match.route->path : "-";
    struct str  text = err_text(call->arena, err);
    if (err->code == ERR_INTERNAL)
        log_error("api", "request " STR_FMT " to %s failed: " STR_FMT, STR_ARG(call->id), route, STR_ARG(text));
    else if (err->code == ERR_UNAVAILABLE)
        log_warn("api", "request " STR_FMT " to %s: " STR_FMT, STR_ARG(call->id), route, STR_ARG(text));
}

static bool is_unreadable(const struct err *err)
{
    return err->code == ERR_INVALID && str_eq(err->message, STR("Invalid JSON body"));
}

/* What a room found wrong is told as the tables tell it: "name must be owner/name" is a problem of the field name. */
static const struct err *as_issue(struct api_call *call, const struct err *err)
{
    if (err->code != ERR_INVALID || call->allow.n || call->issues.n || is_unreadable(err)) return err;
    struct str text = err_text(call->arena, err), field = text;
    for (field.n = 0; field.n < text.n && isalpha((unsigned char)text.s[field.n]);) field.n++;
    api_issue(call, call->body && json_member(call->body, field) ? field : STR("body"), STR_FMT, STR_ARG(text));
    return api_check(call);
}

/* Errors that have a name of their own under a status. */
static const char *own_name(const struct api_call *call, const struct err *err)
{
    if (call->allow.n) return "METHOD_NOT_ALLOWED";
    if (err->code == ERR_INVALID && call->issues.n) return "VALIDATION_ERROR";
    return is_unreadable(err) ? "INVALID_JSON" : NULL;
}

void api_send_error(struct api_call *call, const struct err *err)
{
    size_t form = 0;
    err = as_issue(call, err);
    while (form + 1 < sizeof forms / sizeof *forms && forms[form].code != err->code) form++;
    const char *name = own_name(call, err);
    report(call, err);
    struct json_out out = api_answer(call);
    json_put(&out, "error", name ? name : forms[form].error);
    json_put(&out, "message", err->code == ERR_INTERNAL ? STR("Internal server error") : err_text(call->arena, err));
    if (call->issues.n && err->code == ERR_INVALID) put_details(&out, call);
    if (err->code == ERR_RATE_LIMITED) {
        json_put(&out, "retryAfter", call->retry_after);
        net_reply_header(call->reply, "Retry-After",
                         str_printf(call->arena, "%lld", (long long)call->retry_after));
    }
    json_put(&out, "requestId", call->id);
    api_send(call, call->allow.n ? 405 : forms[form].status, &out);
    if (call->allow.n) net_reply_header(call->reply, "Allow", call->allow);
    if (err->code == ERR_UNAUTHORIZED) net_reply_header(call->reply, "WWW-Authenticate", api_challenge(call));
}

/* ---- CORS -------------------------------------------------------------------------------------------------------------- */

static bool origin_allowed(const struct config *config, struct str origin)
{
    for (size_t i = 0; i < config->cors_origin_count; i++)
        if (str_eq_nocase(config->cors_origins[i], origin)) return true;
    return false;
}

void api_cors(struct api_call *call)
{
    if (call->app->config->cors_origin_count == 0) return;
    struct str origin = net_header_get(call->request, "Origin");
    net_reply_header(call->reply, "Vary", STR("Origin"));
    if (!origin.n || !origin_allowed(call->app->config, origin)) return;
    net_reply_header(call->reply, "Access-Control-Allow-Origin", origin);
    net_reply_header(call->reply, "Access-Control-Expose-Headers",
                     STR("X-Request-Id, X-Workspace-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
                         "Retry-After"));
}

bool api_preflight(struct api_call *call)
{
    struct str origin = net_header_get(call->request, "Origin");
    if (!str_eq(call->request->method, STR("OPTIONS")) || !origin.n ||
        !net_header_get(call->request, "Access-Control-Request-Method").n ||
        !origin_allowed(call->app->config, origin))
        return false;
    call->reply->status = 204;
    net_reply_header(call->reply, "Access-Control-Allow-Methods", STR("GET, POST, PATCH, DELETE"));
    net_reply_header(call->reply, "Access-Control-Allow-Headers",
                     STR("Authorization, Content-Type, Last-Event-ID, X-Request-Id, X-Workspace-ID, MCP-Protocol-Version, "
                         "Mcp-Method, Mcp-Name"));
    net_reply_header(call->reply, "Access-Control-Max-Age", STR("600"));
    return true;
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

struct err *api_page(struct api_call *call, struct api_page *page)
{
    *page = (struct api_page){0};
    TRY(api_query_fields(call, api_list_fields, page));
    if (page->cursor.n) {
        unsigned long long id = 0;
        int                used = 0;
        const char        *cursor = str_z(call->arena, page->cursor);
        if (sscanf(cursor, "c%15llx%n", &id, &used) == 1 && (size_t)used == page->cursor.n && id > 0)
            page->before = (int64_t)id;
        else
            api_issue(call, STR("cursor"), "Invalid cursor");
    }
    return api_check(call);
}

bool api_page_more(const struct api_page *page, size_t *n)
{
    bool more = *n > (size_t)page->limit;
    if (more) *n = (size_t)page->limit;
    return more;
}

void api_put_next(struct json_out *out, struct str cursor)
{
    json_end(out);
    json_put(out, "nextCursor", cursor);
    json_put_bool(out, "hasMore", cursor.s != NULL);
}

/* Row ids grow with creation, so (createdAt, id) is the order of ids. */
void api_page_end(struct json_out *out, struct api_call *call, bool more, int64_t last_id)
{
    api_put_next(out, more ? str_printf(call->arena, "c%llx", (unsigned long long)last_id) : (struct str){0});
    api_send(call, 200, out);
}
