/* related.c - POST /v1/related, GET /v1/related/{id} (search-api.md 7). */
#include "api/records.h"

static void put_item(struct json_out *out, const struct search_related_item *item)
{
    json_begin(out, NULL, '{');
    search_write_related(out, item);
    json_end(out);
}

/* The same items under the name of their source, sources in order of first appearance. */
static void put_by_source(struct json_out *out, const struct search_related_answer *answer)
{
    json_begin(out, "bySource", '{');
    for (size_t i = 0; i < answer->count; i++) {
        struct str source = answer->items[i].node.source;
        bool       done = false;
        for (size_t j = 0; j < i && !done; j++) done = str_eq(answer->items[j].node.source, source);
        if (done) continue;
        json_key(out, source);
        json_begin(out, NULL, '[');
        for (size_t j = i; j < answer->count; j++)
            if (str_eq(answer->items[j].node.source, source)) put_item(out, &answer->items[j]);
        json_end(out);
    }
    json_end(out);
}

static struct err *answer_related(struct api_call *call, const json_value *input)
{
    struct api_related_body body = {0};
    api_fields(call, input, api_related_fields, &body);
    TRY(api_check(call));
    struct search_related_request request = {.workspace = call->workspace.id,
                                             .id = body.id,
                                             .types = body.types.at,
                                             .type_count = body.types.n,
                                             .limit = (int)body.limit};
    struct search_related_answer answer = {0};
    TRY(search_related(call->app->search, call->arena, &request, &answer));
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '{');
    json_begin(&out, "source", '{');
    json_put(&out, "id", answer.source.id);
    json_put(&out, "title", answer.source.title);
    json_put(&out, "source", answer.source.source);
    json_end(&out);
    json_begin(&out, "related", '[');
    for (size_t i = 0; i < answer.count; i++) put_item(&out, &answer.items[i]);
    json_end(&out);
    put_by_source(&out, &answer);
    json_end(&out);
    json_begin(&out, "meta", '{');
    json_put(&out, "total", answer.total);
    json_put(&out, "took", api_took(call));
    json_end(&out);
    api_send_with_id(call, &out);
    struct json_out metadata = api_telling(call);
    json_put(&metadata, "sourceId", answer.source.id);
    json_put(&metadata, "resultCount", (int64_t)answer.count);
    api_tell_question(call, "search.related", &metadata);
    return NULL;
}

struct err *api_related(struct api_call *call)
{
    return answer_related(call, call->body);
}

struct err *api_related_of(struct api_call *call)
{
    const json_value *input;
    TRY(api_query_object(call, api_related_fields, api_parameter(call, "id"), &input));
    return answer_related(call, input);
}
