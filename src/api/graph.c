/* graph.c - POST /v1/graph, GET /v1/graph/{id} (search-api.md 6). */
#include "api/records.h"

static void put_root(struct json_out *out, const struct search_node *node)
{
    json_begin(out, "root", '{');
    json_put(out, "id", node->id);
    json_put(out, "title", node->title);
    json_put(out, "source", node->source);
    json_put(out, "type", node->type);
    json_end(out);
}

static void put_meta(struct json_out *out, const struct api_call *call, int64_t depth,
                     const struct search_graph_answer *answer)
{
    json_begin(out, "meta", '{');
    json_put(out, "depth", depth);
    json_put(out, "nodeCount", answer->node_count);
    json_put(out, "edgeCount", answer->edge_count);
    json_put(out, "took", api_took(call));
    json_put(out, "truncated", answer->truncated);
    if (answer->hub_count) {
        json_begin(out, "hubs", '[');
        for (size_t i = 0; i < answer->hub_count; i++) {
            json_begin(out, NULL, '{');
            json_put(out, "id", answer->hubs[i].id);
            json_put(out, "degree", answer->hubs[i].degree);
            json_put(out, "shown", answer->hubs[i].shown);
            json_end(out);
        }
        json_end(out);
    }
    json_end(out);
}

static struct err *answer_graph(struct api_call *call, const json_value *input)
{
    struct api_graph_body body = {0};
    api_fields(call, input, api_graph_fields, &body);
    TRY(api_check(call));
    struct search_graph_request request = {.workspace = call->workspace.id,
                                           .id = body.id,
                                           .depth = (int)body.depth,
                                           .types = body.types.at,
                                           .type_count = body.types.n,
                                           .limit = (int)body.limit};
    struct search_graph_answer answer = {0};
    TRY(search_graph(call->app->search, call->arena, &request, &answer));
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '{');
    put_root(&out, &answer.root);
    json_begin(&out, "nodes", '[');
    for (size_t i = 0; i < answer.node_count; i++) {
        json_begin(&out, NULL, '{');
        search_write_node(&out, &answer.nodes[i]);
        json_end(&out);
    }
    json_end(&out);
    json_begin(&out, "edges", '[');
    for (size_t i = 0; i < answer.edge_count; i++) {
        json_begin(&out, NULL, '{');
        search_write_edge(&out, &answer.edges[i]);
        json_end(&out);
    }
    json_end(&out);
    json_end(&out);
    put_meta(&out, call, body.depth, &answer);
    api_send_with_id(call, &out);
    struct json_out metadata = api_telling(call);
    json_put(&metadata, "sourceId", answer.root.id);
    json_put(&metadata, "resultCount", (int64_t)answer.node_count);
    api_tell_question(call, "search.graph", &metadata);
    return NULL;
}

struct err *api_graph(struct api_call *call)
{
    return answer_graph(call, call->body);
}

struct err *api_graph_of(struct api_call *call)
{
    const json_value *input;
    TRY(api_query_object(call, api_graph_fields, api_parameter(call, "id"), &input));
    return answer_graph(call, input);
}
