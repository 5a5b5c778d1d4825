/* openapi.c - GET /v1/openapi.json: api/openapi.yaml, which the build puts into the program, as JSON. */
#include "api/call.h"

#include <pthread.h>
#include <stdlib.h>

extern const char file_openapi_yaml[], file_openapi_yaml_end[];

struct api_document {
    pthread_mutex_t lock; /* guards text until it is made */
    struct arena   *arena;
    struct str      text; /* JSON; made at the first request, then unchanged */
};

struct api_document *api_document_create(void)
{
    struct api_document *document = calloc(1, sizeof *document);
    if (!document) abort();
    pthread_mutex_init(&document->lock, NULL);
    document->arena = arena_create();
    return document;
}

void api_document_destroy(struct api_document *document)
{
    pthread_mutex_destroy(&document->lock);
    arena_destroy(document->arena);
    free(document);
}

static void put_servers(struct json_out *out, struct str url)
{
    json_begin(out, "servers", '[');
    json_begin(out, NULL, '{');
    json_put(out, "url", url);
    json_end(out);
    json_end(out);
}

static void put_info(struct json_out *out, const json_value *info)
{
    json_begin(out, "info", '{');
    for (struct json_iter it = json_iter(info); json_step(&it);) {
        json_key(out, it.key);
        if (str_eq(it.key, STR("version"))) json_put(out, NULL, LIGHTFAST_VERSION);
        else json_put_value(out, NULL, it.value);
    }
    json_end(out);
}

/* The document with this program's version and address. */
static struct err *convert(struct api_call *call, struct str *text)
{
    struct arena     *work ARENA_SCOPE = arena_create();
    struct str        yaml = {file_openapi_yaml, (size_t)(file_openapi_yaml_end - file_openapi_yaml)};
    const json_value *root;
    struct err       *err = json_parse_yaml(work, yaml, &root);
    if (err) return err_new(call->arena, ERR_INTERNAL, "openapi.yaml: " STR_FMT, STR_ARG(err->message));
    struct json_out out = json_out(work);
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(root); json_step(&it);) {
        if (str_eq(it.key, STR("info"))) {
            put_info(&out, it.value);
            put_servers(&out, call->app->config->public_url);
        } else if (!str_eq(it.key, STR("servers"))) {
            json_key(&out, it.key);
            json_put_value(&out, NULL, it.value);
        }
    }
    json_end(&out);
    *text = str_dup(call->api->document->arena, json_out_text(&out));
    return NULL;
}

struct err *api_openapi(struct api_call *call)
{
    struct api_document *document = call->api->document;
    struct err          *err = NULL;
    pthread_mutex_lock(&document->lock);
    if (!document->text.n) err = convert(call, &document->text);
    pthread_mutex_unlock(&document->lock);
    if (err) return err;
    call->reply->status = 200;
    call->reply->body = document->text;
    net_reply_header(call->reply, "Cache-Control", STR("no-cache"));
    return NULL;
}
