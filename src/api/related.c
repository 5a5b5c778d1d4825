/* related.c - POST /v1/related, GET /v1/related/{id} (search-api.md 7). */
#include "api/records.h"

static const char *direction(const struct search_relation *relation)
{
    return relation->outgoing ? "outgoing" : "incoming";
}

static const struct search_relation *most_confident(const struct search_related_item *item)
{
    const struct search_relation *best = item->relations;
    for (size_t i = 1; i < item->relation_count; i++)
        if (item->relations[i].confidence > best->confidence) best = &item->relations[i];
    return best;
}

static void put_item(struct json_out *out, const struct search_related_item *item)
{
    const struct search_node     *node = &item->node;
    json_begin(out, NULL, '{');
    json_put(out, "id", node->id);
    json_put(out, "title", node->title);
    json_put(out, "source", node->source);
    json_put(out, "type", node->type);
    json_put_time(out, "occurredAt", node->occurred_at);
    if (node->url.n) json_put(out, "url", node->url);
    else json_put_null(out, "url");
    if (item->relation_count) {
        json_put(out, "relationshipType", most_confident(item)->type);
        json_put(out, "direction", direction(most_confident(item)));
    }
    json_begin(out, "relationships", '[');
    for (size_t i = 0; i < item->relation_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "type", item->relations[i].type);
        json_put(out, "direction", direction(&item->relations[i]));
        json_put(out, "confidence", item->relations[i].confidence);
        json_end(out);
    }
    json_end(out);
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
