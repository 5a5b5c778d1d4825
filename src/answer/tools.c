/* tools.c - what a model may do in the workspace: read, nothing else. Results have the API's shapes, cut to what a
 * model can take, and each item in them carries the number by which it is cited. */
#include "answer/parts.h"

#include "base/log.h"
#include "base/utf8.h"

#include <math.h>

enum {
    MOST_IDS = 20,
    LEAST_CONTENT = 1000,
    LARGEST_METADATA = 2000,
    LONGEST_ID = 100,
    LONGEST_INPUT = 2000,
    LONGEST_QUERY = 1000
};

// clang-format off
#define FILTERS \
    "\"filters\":{\"type\":\"object\",\"properties\":{" \
    "\"sourceTypes\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"description\":\"github, git, linear, sentry, vercel ...\"}," \
    "\"observationTypes\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"description\":\"pull_request, issue, push, release, deployment, alert ...\"}," \
    "\"actorNames\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}," \
    "\"dateRange\":{\"type\":\"object\",\"properties\":{\"start\":{\"type\":\"string\"},\"end\":{\"type\":\"string\"}}}}}"
#define ID "\"id\":{\"type\":\"string\",\"description\":\"An id that a tool returned, obs_...\"}"
#define SCHEMA(properties, required) \
    STR("{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "],\"additionalProperties\":false}")
#define LIMIT(most, otherwise) \
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":" #most ",\"default\":" #otherwise "}"

const struct llm_tool answer_tools[TOOLS] = {
    {"workspaceSearch",
     "Find observations by meaning and by word, best first, each with a snippet. Begin here; search again with other words "
     "or filters when the first results do not answer the question.",
     SCHEMA("\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000},"
            "\"mode\":{\"type\":\"string\",\"enum\":[\"fast\",\"balanced\",\"thorough\"],\"default\":\"balanced\"}," LIMIT(20, 10) "," FILTERS,
            "\"query\"")},
    {"workspaceContents", "The full text of items. Read what you are about to cite when its snippet is not enough.",
     SCHEMA("\"ids\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":{\"type\":\"string\"}}", "\"ids\"")},
    {"workspaceFindSimilar", "Items that resemble one item: earlier incidents, the same change elsewhere.",
     SCHEMA(ID "," LIMIT(20, 5) ",\"threshold\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"default\":0.5}", "\"id\"")},
    {"workspaceGraph", "What an observation is connected to, over several hops: which fix was deployed by what, and so on.",
     SCHEMA(ID ",\"depth\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":3,\"default\":1}," LIMIT(50, 20), "\"id\"")},
    {"workspaceRelated", "What is linked directly to an observation: the issue it fixes, its commits, its deployment.",
     SCHEMA(ID "," LIMIT(50, 20), "\"id\"")},
};
// clang-format on

/* ---- input ------------------------------------------------------------------------------------------------------- */

static int64_t bounded(const json_value *input, const char *name, int64_t least, int64_t most, int64_t otherwise)
{
    double given = json_real(json_get(input, name), "", (double)otherwise);
    if (!(given >= (double)least)) return least;
    return given > (double)most ? most : (int64_t)given;
}

static struct err *read_id(struct arena *arena, const json_value *input, struct str *id)
{
    *id = str_trim(json_str(input, "id"));
    return id->n && id->n <= LONGEST_ID ? NULL : err_new(arena, ERR_INVALID, "id must be an id that a tool returned");
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* One tool at work. */
struct work {
    struct toolbox   *box;
    const json_value *input;
    struct json_out   out;
    struct str        summary;
};

/* True when the result has become so long that the rest of its items is left out. */
static bool is_full(const struct work *work)
{
    return work->out.buf.n > TOOL_OUTPUT;
}

static void begin_item(struct work *work, const struct answer_citation *item)
{
    json_begin(&work->out, NULL, '{');
    json_put(&work->out, "citation", sources_add(work->box->sources, item));
}

static void count(struct work *work, size_t n, size_t total, const char *what)
{
    work->summary = str_printf(work->box->arena, "%zu of %zu %s", n, total, what);
}

/* ---- the tools --------------------------------------------------------------------------------------------------- */

static struct err *run_search(struct work *work)
{
    static const char *const      modes[] = {"fast", "balanced", "thorough"};
    struct arena                 *arena = work->box->arena;
    const struct answer_question *question = work->box->question;
    struct str                    query = utf8_head(str_trim(json_str(work->input, "query")), LONGEST_QUERY);
    struct search_request         request = {.workspace = question->workspace,
                                             .query = utf8_repair(arena, query),
                                             .limit = (int)bounded(work->input, "limit", 1, 20, 10),
                                             .mode = question->mode};
    struct search_answer          found;
    if (!request.query.n) return err_new(arena, ERR_INVALID, "query must be a text that is not empty");
    for (int i = 0; i < 3; i++)
        if (str_eq(json_str(work->input, "mode"), str_of(modes[i]))) request.mode = (enum search_mode)i;
    TRY(filters_read(arena, json_get(work->input, "filters"), &question->filters, &request.filters));
    TRY(search_run(work->box->answer->search, arena, &request, &found));
    size_t shown = 0;
    json_begin(&work->out, "data", '[');
    for (; shown < found.count && !is_full(work); shown++) {
        const struct search_item *item = &found.items[shown];
        begin_item(work, &CITATION_OF(item, item->score));
        search_write_item(&work->out, item);
        json_end(&work->out);
    }
    json_end(&work->out);
    json_begin(&work->out, "meta", '{');
    json_put(&work->out, "total", found.total);
    json_end(&work->out);
    count(work, shown, found.total, "results");
    return NULL;
}

/* Each item gets the same share of the room. */
static void put_content(struct work *work, struct search_content *content, size_t share)
{
    struct arena *arena = work->box->arena;
    begin_item(work, &CITATION_OF(content, -1));
    struct str head = utf8_head(content->content, share);
    if (head.n < content->content.n) content->content = str_printf(arena, STR_FMT " ... (cut)", STR_ARG(head));
    if (content->metadata.n > LARGEST_METADATA) content->metadata = (struct str){0};
    search_write_content(&work->out, content);
    json_end(&work->out);
}

static struct err *run_contents(struct work *work)
{
    struct arena         *arena = work->box->arena;
    const json_value     *given = json_get(work->input, "ids");
    size_t                n = 0, found = 0;
    struct str            ids[MOST_IDS];
    struct search_content contents[MOST_IDS];
    for (struct json_iter it = json_iter(json_is_array(given) ? given : NULL); n < MOST_IDS && json_step(&it);)
        if (json_str(it.value, "").n && json_str(it.value, "").n <= LONGEST_ID) ids[n++] = json_str(it.value, "");
    if (!n) return err_new(arena, ERR_INVALID, "ids must be a list of ids that tools returned");
    TRY(search_contents(work->box->answer->search, arena, work->box->question->workspace, ids, n, contents));
    size_t share = TOOL_OUTPUT / n > LEAST_CONTENT ? TOOL_OUTPUT / n : LEAST_CONTENT;
    json_begin(&work->out, "items", '[');
    for (size_t i = 0; i < n && !is_full(work); i++)
        if (contents[i].found) put_content(work, &contents[i], share), found++;
    json_end(&work->out);
    json_begin(&work->out, "missing", '[');
    for (size_t i = 0; i < n; i++)
        if (!contents[i].found) json_put(&work->out, NULL, ids[i]);
    json_end(&work->out);
    count(work, found, n, "items");
    return NULL;
}

static struct err *run_similar(struct work *work)
{
    double                        threshold = json_real(work->input, "threshold", 0.5);
    struct search_similar_request request = {.workspace = work->box->question->workspace,
                                             .limit = (int)bounded(work->input, "limit", 1, 20, 5),
                                             .threshold = fmin(fmax(threshold, 0), 1),
                                             .filters = work->box->question->filters};
    struct search_similar_answer  found;
    size_t                        shown = 0;
    TRY(read_id(work->box->arena, work->input, &request.id));
    TRY(search_similar(work->box->answer->search, work->box->arena, &request, &found));
    json_begin(&work->out, "similar", '[');
    for (; shown < found.count && !is_full(work); shown++) {
        const struct search_similar_item *item = &found.items[shown];
        begin_item(work, &CITATION_OF(item, -1));
        search_write_similar(&work->out, item);
        json_end(&work->out);
    }
    json_end(&work->out);
    count(work, shown, found.total, "similar items");
    return NULL;
}

static void begin_node(struct work *work, const struct search_node *node)
{
    begin_item(work, &(struct answer_citation){.id = node->id,
                                               .title = node->title,
                                               .url = node->url,
                                               .source = node->source,
                                               .type = node->type,
                                               .score = -1,
                                               .occurred_at = node->occurred_at});
}

static struct err *run_graph(struct work *work)
{
    struct search_graph_request request = {.workspace = work->box->question->workspace,
                                           .depth = (int)bounded(work->input, "depth", 1, 3, 1),
                                           .limit = (int)bounded(work->input, "limit", 1, 50, 20)};
    struct search_graph_answer  found;
    size_t                      shown = 0;
    TRY(read_id(work->box->arena, work->input, &request.id));
    TRY(search_graph(work->box->answer->search, work->box->arena, &request, &found));
    json_begin(&work->out, "nodes", '[');
    for (; shown < found.node_count && !is_full(work); shown++) {
        begin_node(work, &found.nodes[shown]);
        search_write_node(&work->out, &found.nodes[shown]);
        json_end(&work->out);
    }
    json_end(&work->out);
    json_begin(&work->out, "edges", '[');
    for (size_t i = 0; i < found.edge_count && !is_full(work); i++) {
        json_begin(&work->out, NULL, '{');
        search_write_edge(&work->out, &found.edges[i]);
        json_end(&work->out);
    }
    json_end(&work->out);
    count(work, shown, found.node_count, "nodes");
    return NULL;
}

static struct err *run_related(struct work *work)
{
    struct search_related_request request = {.workspace = work->box->question->workspace,
                                             .limit = (int)bounded(work->input, "limit", 1, 50, 20)};
    struct search_related_answer  found;
    size_t                        shown = 0;
    TRY(read_id(work->box->arena, work->input, &request.id));
    TRY(search_related(work->box->answer->search, work->box->arena, &request, &found));
    json_begin(&work->out, "related", '[');
    for (; shown < found.count && !is_full(work); shown++) {
        begin_node(work, &found.items[shown].node);
        search_write_related(&work->out, &found.items[shown]);
        json_end(&work->out);
    }
    json_end(&work->out);
    count(work, shown, found.total, "related items");
    return NULL;
}

/* In the order of answer_tools. */
static struct err *(*const runs[TOOLS])(struct work *work) = {run_search, run_contents, run_similar, run_graph,
                                                              run_related};

/* ---- one use ----------------------------------------------------------------------------------------------------- */

static struct err *run_use(struct work *work, const struct llm_use *use, size_t tool)
{
    struct arena *arena = work->box->arena;
    if (tool == TOOLS) return err_new(arena, ERR_NOT_FOUND, "There is no such tool");
    if (!use->input.s) return err_new(arena, ERR_INVALID, "The input must be a JSON object");
    TRY(json_parse(arena, use->input, &work->input));
    return runs[tool](work);
}

static struct str failure(struct arena *arena, const struct err *err)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "error", err_code_name(err->code));
    json_put(&out, "message", err->code == ERR_INTERNAL ? STR("Internal server error") : err->message);
    json_end(&out);
    return json_out_text(&out);
}

struct answer_step tool_run(struct toolbox *box, const struct llm_use *use, bool *failed)
{
    size_t  tool = 0;
    int64_t begun = time_monotonic_us();
    while (tool < TOOLS && !str_eq(use->name, str_of(answer_tools[tool].name))) tool++;
    /* ids of our own: those of models repeat from turn to turn */
    struct answer_step            step = {.id = str_printf(box->arena, "call_%d", ++box->uses),
                                          .tool = tool < TOOLS ? answer_tools[tool].name : "unknown",
                                          .state = ANSWER_RUNNING,
                                          .input = use->input.n && use->input.n <= LONGEST_INPUT ? use->input : STR("{}")};
    const struct answer_listener *listener = &box->question->listener;
    if (listener->step) listener->step(listener->arg, &step);
    struct work work = {.box = box, .out = json_out(box->arena)};
    json_begin(&work.out, NULL, '{');
    struct err *err = run_use(&work, use, tool);
    *failed = err != NULL;
    if (!err) json_end(&work.out);
    if (err && err->code == ERR_INTERNAL)
        log_error("answer", "%s failed: " STR_FMT, step.tool, STR_ARG(err_text(box->arena, err)));
    step.state = err ? ANSWER_FAILED : ANSWER_DONE;
    step.output = err ? failure(box->arena, err) : json_out_text(&work.out);
    step.summary = !err ? work.summary : err->code == ERR_INTERNAL ? STR("Internal server error") : err->message;
    step.ms = (time_monotonic_us() - begun) / 1000;
    if (listener->step) listener->step(listener->arg, &step);
    return step;
}
