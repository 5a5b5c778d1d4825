/* tools.c - the tools: names, descriptions, schemas from the API's own tables, calls passed on to the API. */
#include "base/id.h"
#include "mcp/parts.h"

/* clang-format off */
#define FILTERS \
    {NULL,      "filters",          false, "Only what matches all of these"}, \
    {"filters", "sourceTypes",      false, "Only from these sources: github, git, linear, sentry, vercel ..."}, \
    {"filters", "observationTypes", false, "Only these types or families of types: pull_request, pull_request_merged, issue, push, release, deployment ..."}, \
    {"filters", "actorNames",       false, "Only what these people did: display names, user names or e-mail addresses"}, \
    {"filters", "stores",           false, "Only documents with these store labels"}, \
    {"filters", "dateRange",        false, "Only what happened between these times, both inclusive"}

static const struct api_property search_properties[] = {
    {NULL, "query",             false, "What to look for, in plain words; identifiers, file names, #numbers, KEY-1 keys, @names and \"quoted phrases\" are understood"},
    {NULL, "limit",             false, "How many results"},
    {NULL, "offset",            false, "How many results to skip"},
    {NULL, "mode",              false, "fast: no reranking; balanced: reranked; thorough: a language model judges, slower"},
    FILTERS,
    {NULL, "includeContext",    false, "Also the topics and people that the query is about"},
    {NULL, "includeHighlights", false, "Also title and snippet with the query's words marked"},
    {0},
};
static const struct api_property contents_properties[] = {
    {NULL, "ids", false, "Ids from other tools' results (obs_... or doc_...)"},
    {0},
};
static const struct api_property similar_properties[] = {
    {NULL, "id",             false, "Id of the item (obs_... or doc_...); this or url is needed"},
    {NULL, "url",            false, "URL of the item at its provider, such as a pull request's page"},
    {NULL, "limit",          false, "How many results"},
    {NULL, "threshold",      false, "Least similarity, 0 to 1"},
    {NULL, "sameSourceOnly", false, "Only from the item's own source"},
    {NULL, "excludeIds",     false, "Ids to leave out"},
    FILTERS,
    {0},
};
static const struct api_property graph_properties[] = {
    {NULL, "id",    false, "Id of an observation (obs_...)"},
    {NULL, "depth", false, "How many links away"},
    {NULL, "types", false, "Only these links: fixes, resolves, triggers, deploys, references, same_commit, same_branch, tracked_in"},
    {0},
};
static const struct api_property related_properties[] = {
    {NULL, "id", false, "Id of an observation (obs_...)"},
    {0},
};
static const struct api_property answer_properties[] = {
    {NULL, "query",      true,  "The question, as one would ask a colleague"},
    FILTERS,
    {NULL, "maxSources", false, "How many sources at most"},
    {0},
};

static const struct tool {
    const char *name, *title, *operation, *target;
    bool        answers; /* needs the scope answer */
    const struct api_property *properties;
    const char *description;
} tools[] = {
    {"lightfast_search", "Search the engineering memory", "search", "/v1/search", false, search_properties,
     "Finds observations (commits, pull requests, issues, deployments, errors, documents) by meaning and by word. Returns "
     "ranked results with id, title, URL, snippet, score, type, time and entities, and the topics and people concerned. "
     "Begin here; to read a result in full take lightfast_contents, for what it is linked to lightfast_related."},
    {"lightfast_contents", "Read items in full", "contents", "/v1/contents", false, contents_properties,
     "Returns the full text and metadata of up to 50 items by their ids, and which ids are unknown. Take it after another "
     "tool has found ids and a snippet is not enough."},
    {"lightfast_find_similar", "Find what resembles an item", "findSimilar", "/v1/findsimilar", false, similar_properties,
     "Finds items that resemble a given one in meaning, by id or URL: earlier incidents, duplicate issues, comparable "
     "changes. Returns them ranked, with similarity and shared entities. For free text take lightfast_search; for "
     "explicit links lightfast_related."},
    {"lightfast_graph", "Walk the links around an observation", "graph", "/v1/graph", false, graph_properties,
     "Returns the network of observations up to three links around one: nodes, and typed edges (fixes, deploys, "
     "references ...) with what links them. Take it to trace a chain, as from an error to its fix to its deployment; for "
     "direct links alone lightfast_related is shorter."},
    {"lightfast_related", "List an observation's direct links", "related", "/v1/related", false, related_properties,
     "Returns what one observation is directly linked to, newest first and by source, with the kind and direction of "
     "each link. For links of links take lightfast_graph, for likeness without a link lightfast_find_similar."},
    {"lightfast_answer", "Answer a question with sources", "answer", "/v1/answer", true, answer_properties,
     "Answers a question from the memory with numbered citations, in one call. Take it for a quick, sourced answer; to "
     "judge the evidence yourself take lightfast_search and lightfast_contents."},
};
/* clang-format on */

/* ---- tools/list -------------------------------------------------------------------------------------------------------- */

static void put_tool(struct json_out *out, const struct tool *tool, const struct mcp_revision *revision)
{
    json_begin(out, NULL, '{');
    mcp_put_names(out, revision, (struct mcp_names){tool->name, tool->title, tool->description});
    api_put_schema(out, "inputSchema", tool->operation, tool->properties);
    json_begin(out, "annotations", '{');
    json_put(out, "title", tool->title);
    json_put_bool(out, "readOnlyHint", true);
    json_put_bool(out, "destructiveHint", false);
    json_put_bool(out, "idempotentHint", true);
    json_put_bool(out, "openWorldHint", false);
    json_end(out);
    json_end(out);
}

/* May this caller use the tools that need the scope answer? */
static struct err *may_answer(struct mcp_call *call, bool *may)
{
    const json_value *workspace;
    TRY(mcp_fetch(call, "GET", STR("/v1/workspace"), STR(""), &workspace));
    *may = false;
    for (struct json_iter it = json_iter(json_get(workspace, "scopes")); json_step(&it);)
        *may |= str_eq(json_str(it.value, ""), STR("answer"));
    return NULL;
}

struct err *mcp_tools_list(struct mcp_call *call, struct json_out *out)
{
    bool answers;
    TRY(mcp_check_cursor(call));
    TRY(may_answer(call, &answers));
    json_begin(out, "tools", '[');
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (!tools[i].answers || answers) put_tool(out, &tools[i], call->revision);
    json_end(out);
    return NULL;
}

/* ---- tools/call -------------------------------------------------------------------------------------------------------- */

static const struct tool *tool_named(struct str name)
{
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
        if (str_eq(name, str_of(tools[i].name))) return &tools[i];
    return NULL;
}

static bool takes(const struct tool *tool, const char *parent, struct str name)
{
    for (const struct api_property *property = tool->properties; property->name; property++)
        if (str_eq(name, str_of(property->name)) && str_eq(str_of(property->parent), str_of(parent))) return true;
    return false;
}

/* The API overlooks fields that it does not know; a model that misspelt one should hear of it. What is nested is told
 * under the name of the argument, as the API does. */
struct unknown { struct json_out *out; const char *under; bool any; };

static void name_unknown(struct unknown *unknown, struct str key)
{
    struct json_out *out = unknown->out;
    if (!unknown->any) json_begin(out, unknown->under, '[');
    unknown->any = true;
    json_put(out, NULL, str_printf(out->buf.arena, "Unrecognized key: '" STR_FMT "'", STR_ARG(str_slice(key, 0, 100))));
}

static struct json_iter members_of(const json_value *value)
{
    return json_iter(json_is_object(value) ? value : NULL);
}

static bool put_unknown(struct json_out *out, const struct tool *tool, const json_value *arguments)
{
    const json_value *filters = json_get(arguments, "filters");
    struct unknown    outer = {.out = out, .under = "arguments"}, inner = {.out = out, .under = "filters"};
    for (struct json_iter it = members_of(arguments); json_step(&it);)
        if (!takes(tool, NULL, it.key)) name_unknown(&outer, it.key);
    if (outer.any) json_end(out);
    for (struct json_iter it = members_of(filters); json_step(&it);)
        if (!takes(tool, "filters", it.key)) name_unknown(&inner, it.key);
    for (struct json_iter it = members_of(json_get(filters, "dateRange")); json_step(&it);)
        if (!str_eq(it.key, STR("start")) && !str_eq(it.key, STR("end"))) name_unknown(&inner, it.key);
    if (inner.any) json_end(out);
    return outer.any || inner.any;
}

static bool has_unknown(struct mcp_call *call, const struct tool *tool, const json_value *arguments, struct mcp_answer *answer)
{
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "error", "VALIDATION_ERROR");
    json_put(&out, "message", "Invalid request");
    json_begin(&out, "details", '{');
    bool any = put_unknown(&out, tool, arguments);
    json_end(&out);
    json_put(&out, "requestId", id_uuid(call->arena));
    json_end(&out);
    *answer = (struct mcp_answer){400, json_out_text(&out)};
    return any;
}

/* The API could not even be asked: its own form of an error all the same. */
static struct mcp_answer unreachable(struct mcp_call *call, const struct err *err)
{
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "error", err_code_name(err->code));
    json_put(&out, "message", err->code == ERR_INTERNAL ? STR("Internal server error") : err_text(call->arena, err));
    json_put(&out, "requestId", id_uuid(call->arena));
    json_end(&out);
    return (struct mcp_answer){503, json_out_text(&out)};
}

static void put_result(struct mcp_call *call, struct json_out *out, const json_value *body, bool failed)
{
    json_begin(out, "content", '[');
    json_begin(out, NULL, '{');
    json_put(out, "type", "text");
    json_put(out, "text", json_text_indented(call->arena, body));
    json_end(out);
    json_end(out);
    if (failed) json_put_bool(out, "isError", true);
    else if (call->revision->structured) json_put_value(out, "structuredContent", body);
}

struct err *mcp_tools_call(struct mcp_call *call, struct json_out *out)
{
    const json_value *arguments = json_get(call->message->params, "arguments"), *body;
    struct str name = json_str(call->message->params, "name");
    const struct tool *tool = tool_named(name);
    struct mcp_answer answer;
    if (!tool) return mcp_refuse(call, MCP_INVALID_PARAMS, "Unknown tool: " STR_FMT, STR_ARG(str_slice(name, 0, 100)));
    if (!json_is_null(arguments) && !json_is_object(arguments))
        return mcp_refuse(call, MCP_INVALID_PARAMS, "arguments must be an object");
    if (!has_unknown(call, tool, arguments, &answer)) {
        struct str request = json_is_object(arguments) ? json_text(call->arena, arguments) : STR("{}");
        bool tells = tool->answers && call->notify && mcp_progress_token(call->message);
        struct err *err = tells ? mcp_ask_with_progress(call, str_of(tool->target), arguments, &answer)
                                : mcp_ask(call, "POST", str_of(tool->target), request, &answer);
        if (err) answer = unreachable(call, err);
    }
    TRY(json_parse(call->arena, answer.body, &body));
    put_result(call, out, body, answer.status < 200 || answer.status >= 300);
    return NULL;
}
