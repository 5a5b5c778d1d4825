/* reference.c - GET /docs/api: the API's reference page, rendered from /v1/openapi.json by a script that the build puts
 * into the program if it could get it (scripts/fetch-renderer). */
#include "api/call.h"

extern const char file_reference_html[], file_reference_html_end[];
extern const char file_plain_html[], file_plain_html_end[];
extern const char file_renderer_js_gz[], file_renderer_js_gz_end[];

enum { UNPACKED_LIMIT = 16 << 20 };

/* The page talks to this server alone. The renderer sets styles itself, and draws with data: URLs. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                             "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'";

static struct str embedded(const char *from, const char *to)
{
    return (struct str){from, (size_t)(to - from)};
}

static void send_file(struct api_call *call, const char *type, struct str body)
{
    call->reply->status = 200;
    call->reply->content_type = type;
    call->reply->body = body;
    net_reply_header(call->reply, "X-Content-Type-Options", STR("nosniff"));
}

struct err *api_reference(struct api_call *call)
{
    bool rendered = embedded(file_renderer_js_gz, file_renderer_js_gz_end).n > 0;
    send_file(call, "text/html; charset=utf-8", rendered ? embedded(file_reference_html, file_reference_html_end)
                                                         : embedded(file_plain_html, file_plain_html_end));
    net_reply_header(call->reply, "Content-Security-Policy", str_of(policy));
    net_reply_header(call->reply, "Referrer-Policy", STR("no-referrer"));
    net_reply_header(call->reply, "Cache-Control", STR("no-cache"));
    return NULL;
}

struct err *api_reference_renderer(struct api_call *call)
{
    struct str script = embedded(file_renderer_js_gz, file_renderer_js_gz_end);
    if (script.n == 0) return err_new(call->arena, ERR_NOT_FOUND, "This program was built without a renderer");
    bool packed = str_find(net_header_get(call->request, "Accept-Encoding"), STR("gzip"), 0) != SIZE_MAX;
    if (!packed) TRY(net_gunzip(call->arena, script, UNPACKED_LIMIT, &script));
    send_file(call, "text/javascript; charset=utf-8", script);
    if (packed) net_reply_header(call->reply, "Content-Encoding", STR("gzip"));
    net_reply_header(call->reply, "Vary", STR("Accept-Encoding"));
    net_reply_header(call->reply, "Cache-Control", STR("public, max-age=3600"));
    return NULL;
}
