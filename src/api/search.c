/* search.c - POST /v1/search (search-api.md 3). */
#include "api/records.h"

static const char *const mode_names[] = {"fast", "balanced", "thorough"};
enum { FARTHEST = 1000000 }; /* paging ends long before; keeps offset + limit an int */

struct search_filters api_search_filters(const struct api_filters *filters)
{
    return (struct search_filters){
        .sources = filters->sources.at, .source_count = filters->sources.n,
        .types = filters->types.at,     .type_count = filters->types.n,
        .actors = filters->actors.at,   .actor_count = filters->actors.n,
        .stores = filters->stores.at,   .store_count = filters->stores.n,
        .has_start = filters->range.has_start, .start = filters->range.start,
        .has_end = filters->range.has_end,     .end = filters->range.end,
    };
}

static void put_context(struct json_out *out, const struct search_answer *answer)
{
    json_begin(out, "context", '{');
    json_begin(out, "clusters", '[');
    for (size_t i = 0; i < answer->cluster_count; i++) {
        const struct search_cluster *cluster = &answer->clusters[i];
        json_begin(out, NULL, '{');
        json_put(out, "topic", cluster->topic);
        json_put(out, "summary", cluster->summary);
        json_put_texts(out, "keywords", cluster->keywords, cluster->keyword_count);
        json_end(out);
    }
    json_end(out);
    json_begin(out, "relevantActors", '[');
    for (size_t i = 0; i < answer->actor_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "displayName", answer->actors[i].name);
        json_put_texts(out, "expertiseDomains", answer->actors[i].domains, answer->actors[i].domain_count);
        json_end(out);
    }
    json_end(out);
    json_end(out);
}

static void put_meta(struct json_out *out, const struct api_call *call, const struct api_search_body *body,
                     const struct search_answer *answer)
{
    json_begin(out, "meta", '{');
    json_put(out, "total", answer->total);
    json_put(out, "limit", body->limit);
    json_put(out, "offset", body->offset);
    json_put(out, "took", api_took(call));
    json_put(out, "mode", mode_names[body->mode]);
    json_begin(out, "paths", '{');
    json_put(out, "vector", answer->vector);
    json_put(out, "keyword", answer->keyword);
    json_put(out, "entity", answer->entity);
    json_put(out, "cluster", answer->cluster);
    json_put(out, "actor", answer->actor);
    json_end(out);
    json_begin(out, "rerank", '{');
    json_put(out, "provider", answer->reranker ? answer->reranker : "none");
    json_put(out, "bypassed", answer->bypassed);
    json_put(out, "fallback", answer->fallback);
    json_end(out);
    json_end(out);
}

static int64_t slowest(const struct search_timing *timing)
{
    const int64_t paths[] = {timing->keyword, timing->vector, timing->entity, timing->cluster, timing->actor};
    int64_t       most = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] > most) most = paths[i];
    return most;
}

static void put_latency(struct json_out *out, const struct api_call *call, const struct search_timing *timing)
{
    const struct { const char *name; int64_t us; } parts[] = {
        {"total", time_monotonic_us() - call->request->received_us},
        {"auth", call->authenticated_us},
        {"parse", call->parsed_us},
        {"search", timing->search},
        {"embedding", timing->embedding},
        {"retrieval", timing->retrieval},
        {"keywordSearch", timing->keyword},
        {"entitySearch", timing->entity},
        {"clusterSearch", timing->cluster},
        {"actorSearch", timing->actor},
        {"rerank", timing->rerank},
        {"enrich", timing->enrich},
        {"maxParallel", slowest(timing)},
    };
    json_begin(out, "latency", '{');
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) json_put(out, parts[i].name, api_ms(parts[i].us));
    json_end(out);
}

static void tell(const struct api_call *call, const struct api_search_body *body, const struct search_answer *answer)
{
    const struct api_filters *filters = &body->filters;
    struct json_out           metadata = api_telling(call);
    json_put(&metadata, "query", body->query);
    json_put(&metadata, "limit", body->limit);
    json_put(&metadata, "offset", body->offset);
    json_put(&metadata, "mode", mode_names[body->mode]);
    json_put_bool(&metadata, "hasFilters", filters->sources.n || filters->types.n || filters->actors.n ||
                                               filters->stores.n || filters->range.has_start || filters->range.has_end);
    json_put(&metadata, "resultCount", (int64_t)answer->count);
    json_put(&metadata, "totalMatches", answer->total);
    api_tell_question(call, "search.query", &metadata);
}

struct err *api_search(struct api_call *call)
{
    struct api_search_body body = {0};
    api_fields(call, call->body, api_search_fields, &body);
    TRY(api_check(call));
    struct search_request request = {
        .workspace = call->workspace.id,
        .query = body.query,
        .limit = (int)body.limit,
        .offset = (int)(body.offset > FARTHEST ? FARTHEST : body.offset),
        .mode = (enum search_mode)body.mode,
        .filters = api_search_filters(&body.filters),
        .context = body.context,
        .highlights = body.highlights,
        .collapse = body.collapse,
    };
    struct search_answer answer = {0};
    TRY(search_run(call->app->search, call->arena, &request, &answer));
    call->search_mode = body.mode;
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < answer.count; i++) {
        json_begin(&out, NULL, '{');
        search_write_item(&out, &answer.items[i]);
        json_end(&out);
    }
    json_end(&out);
    if (body.context) put_context(&out, &answer);
    put_meta(&out, call, &body, &answer);
    put_latency(&out, call, &answer.timing);
    api_send_with_id(call, &out);
    tell(call, &body, &answer);
    return NULL;
}
