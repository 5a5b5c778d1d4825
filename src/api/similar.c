/* similar.c - POST /v1/findsimilar (search-api.md 5). */
#include "api/records.h"

static void put_source(struct json_out *out, const struct search_similar_answer *answer)
{
    json_begin(out, "source", '{');
    json_put(out, "id", answer->id);
    json_put(out, "title", answer->title);
    json_put(out, "type", answer->type);
    if (answer->cluster_topic.s) {
        json_begin(out, "cluster", '{');
        json_put(out, "topic", answer->cluster_topic);
        json_put(out, "memberCount", answer->cluster_members);
        json_end(out);
    }
    json_end(out);
}

/* An id or a url that has a problem of its own was given too. */
static bool names_something(const struct api_call *call, const struct api_similar_body *body)
{
    bool given = body->id.n || body->url.n;
    for (size_t i = 0; i < call->issues.n; i++) {
        struct str field = call->issues.at[i].field;
        given |= str_eq(field, STR("id")) || str_eq(field, STR("url")) || str_eq(field, STR("body"));
    }
    return given;
}

struct err *api_similar(struct api_call *call)
{
    struct api_similar_body body = {0};
    api_fields(call, call->body, api_similar_fields, &body);
    if (!names_something(call, &body)) api_issue(call, STR("id"), "Either id or url must be provided");
    TRY(api_check(call));
    struct search_similar_request request = {
        .workspace = call->workspace.id,
        .id = body.id,
        .url = body.id.n ? (struct str){0} : body.url,
        .limit = (int)body.limit,
        .threshold = body.threshold,
        .same_source = body.same_source,
        .exclude = body.exclude.at,
        .exclude_count = body.exclude.n,
        .filters = api_search_filters(&body.filters),
    };
    struct search_similar_answer answer = {0};
    TRY(search_similar(call->app->search, call->arena, &request, &answer));
    struct json_out out = api_answer(call);
    put_source(&out, &answer);
    json_begin(&out, "similar", '[');
    for (size_t i = 0; i < answer.count; i++) {
        json_begin(&out, NULL, '{');
        search_write_similar(&out, &answer.items[i]);
        json_end(&out);
    }
    json_end(&out);
    json_begin(&out, "meta", '{');
    json_put(&out, "total", answer.total);
    json_put(&out, "took", api_took(call));
    json_begin(&out, "inputEmbedding", '{');
    json_put(&out, "found", answer.found);
    json_put(&out, "generated", answer.generated);
    json_end(&out);
    json_end(&out);
    api_send_with_id(call, &out);
    struct json_out metadata = api_telling(call);
    json_put(&metadata, "sourceId", answer.id);
    json_put(&metadata, "inputMethod", body.id.n ? "id" : "url");
    json_put(&metadata, "limit", body.limit);
    json_put(&metadata, "threshold", body.threshold);
    json_put(&metadata, "similarCount", (int64_t)answer.count);
    api_tell_question(call, "search.findsimilar", &metadata);
    return NULL;
}
