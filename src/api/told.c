/* told.c - what requests leave behind: activities and samples of the caller (console.md 3, 4). */
#include "api/call.h"

static const char *const modes[] = {"fast", "balanced", "thorough"};

struct err *api_tell(struct db_tx *tx, const struct api_call *call, struct activity activity)
{
    activity.org = call->workspace.org_id;
    activity.workspace = call->workspace.id;
    activity.actor = api_actor(call);
    return activity_record(tx, &activity);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

struct json_out api_telling(const struct api_call *call)
{
    struct json_out metadata = json_out(call->arena);
    json_begin(&metadata, NULL, '{');
    return metadata;
}

void api_tell_question(const struct api_call *call, const char *action, struct json_out *metadata)
{
    json_put(metadata, "latencyMs", api_took(call));
    json_put(metadata, "authType", call->key.id ? "api-key" : "session");
    if (call->key.id) json_put(metadata, "apiKeyId", call->key.public_id);
    json_end(metadata);
    activity_note(call->app->recorder, &(struct activity){.org = call->workspace.org_id,
                                                          .workspace = call->workspace.id,
                                                          .actor = api_actor(call),
                                                          .action = str_of(action),
                                                          .entity_type = STR("workspace"),
                                                          .entity_id = call->workspace.public_id,
                                                          .entity_name = call->workspace.name,
                                                          .metadata = json_out_text(metadata)});
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static struct str tags_of(const struct api_call *call)
{
    const struct api_route *route = call->match.route;
    struct json_out         out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    if (call->key.id) json_put(&out, "apiKeyId", call->key.public_id);
    json_put(&out, "endpoint", route->path);
    json_put(&out, "method", route->method);
    if (call->search_mode >= 0) json_put(&out, "mode", modes[call->search_mode]);
    json_put(&out, "status", str_printf(call->arena, "%d", call->reply->status));
    json_end(&out);
    return json_out_text(&out);
}

void api_measure(const struct api_call *call, int64_t us)
{
    const struct api_route *route = call->match.route;
    if (!call->app->recorder || !route || !call->workspace.id) return;
    bool                   question = route->rate == API_RATE_SEARCH || route->rate == API_RATE_ANSWER;
    struct activity_sample sample = {.workspace = call->workspace.id, .type = STR("api_calls"), .tags = tags_of(call),
                                     .value = 1, .n = 1, .at = time_now()};
    activity_measure(call->app->recorder, &sample);
    if (!question) return;
    sample.type = STR("queries_count");
    activity_measure(call->app->recorder, &sample);
    sample.type = STR("query_latency");
    sample.value = (double)api_ms(us);
    activity_measure(call->app->recorder, &sample);
}
