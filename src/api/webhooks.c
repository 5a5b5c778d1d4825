/* webhooks.c - POST /webhooks/{provider} and /webhooks/{provider}/{sourceId}: what GitHub, Vercel, Linear and Sentry
 * send (connector-github.md 2.1, connectors-other.md 1.1). The provider signs; there is no key. */
#include "api/inbound.h"

static struct err *not_found(struct api_call *call)
{
    return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
}

/* The older paths /api/github/webhooks and /api/vercel/webhooks are those of these two alone. */
static bool find_provider(struct api_call *call, enum source_provider *provider)
{
    bool older = str_starts(call->request->path, STR("/api/"));
    return source_provider_parse(api_parameter(call, "provider"), provider) &&
           (!older || *provider == SOURCE_GITHUB || *provider == SOURCE_VERCEL);
}

static struct str header(void *arg, const char *name)
{
    return net_header_get(arg, name);
}

static void send_refusal(struct api_call *call, const struct source_refusal *refusal)
{
    struct json_out out = api_answer(call);
    json_put(&out, "error", refusal->code);
    json_put(&out, "message", refusal->message);
    json_put(&out, "requestId", call->id);
    api_send(call, refusal->status, &out);
}

/* False: there is no such address. */
static bool read_post(struct api_call *call, struct source_post *post)
{
    *post = (struct source_post){.request = {.body = call->request->body, .header = header, .arg = call->request},
                                 .address = api_parameter(call, "source"),
                                 .received_at = time_now()};
    return call->app->inbox && find_provider(call, &post->request.provider);
}

static void send_answer(struct api_call *call, enum source_provider provider, const struct source_answer_to_post *answer)
{
    api_metrics_delivery(call->api->metrics, provider, answer);
    if (answer->refusal) {
        send_refusal(call, answer->refusal);
        return;
    }
    activity_look_at_deliveries(call->app->recorder);
    call->reply->status = 200;
    call->reply->body = answer->body;
}

struct err *api_webhook(struct api_call *call)
{
    struct source_answer_to_post answer;
    struct source_post           post;
    if (!read_post(call, &post)) return not_found(call);
    TRY(source_receive(call->app->inbox, call->arena, &post, &answer));
    send_answer(call, post.request.provider, &answer);
    return NULL;
}

struct waiting_call {
    struct api_call   *call;
    struct source_post post;
};

static void received(void *arg, struct err *err, const struct source_answer_to_post *answer)
{
    struct waiting_call *waiting = arg;
    if (!err) send_answer(waiting->call, waiting->post.request.provider, answer);
    api_finish_later(waiting->call, err);
}

void api_webhook_later(struct api_call *call)
{
    struct waiting_call *waiting = NEW(call->arena, struct waiting_call);
    waiting->call = call;
    if (read_post(call, &waiting->post))
        source_receive_later(call->app->inbox, call->arena, &waiting->post, received, waiting);
    else
        api_finish_later(call, not_found(call));
}

void api_webhook_too_large(struct api_call *call)
{
    enum source_provider provider;
    if (find_provider(call, &provider))
        api_metrics_delivery(call->api->metrics, provider, &(struct source_answer_to_post){.refusal = &source_refusals.too_large});
}

/* Vercel, Linear and Sentry look whether somebody is there. */
struct err *api_webhook_status(struct api_call *call)
{
    enum source_provider provider;
    if (!find_provider(call, &provider)) return not_found(call);
    if (provider == SOURCE_GITHUB) {
        call->allow = STR("POST");
        return err_new(call->arena, ERR_INVALID, "Use POST method");
    }
    struct json_out out = api_answer(call);
    json_put(&out, "status", "ok");
    json_put(&out, "service", str_printf(call->arena, "%s-webhooks", source_provider_name(provider)));
    api_send(call, 200, &out);
    return NULL;
}
