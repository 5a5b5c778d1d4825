/* ask.c - POST /v1/answer (search-api.md 8). */
#include "answer/answer.h"
#include "api/records.h"
#include "base/utf8.h"

enum { LONGEST_MESSAGE = 100000 }; /* characters of one that is history */

/* JSON routes have 25 s; what is left is for the last search and the way back. */
#define JSON_TIME SECONDS(20)

/* ---- the conversation ------------------------------------------------------------------------------------------------- */

/* `content`, or the text parts of `parts` as chat clients send them. False: neither. */
static bool message_text(struct arena *arena, const json_value *message, struct str *text)
{
    const json_value *parts = json_get(message, "parts");
    if (json_is_string(json_get(message, "content"))) {
        *text = utf8_repair(arena, str_trim(json_str(message, "content")));
        return true;
    }
    if (!json_is_array(parts)) return false;
    struct buf joined = buf_in(arena);
    for (struct json_iter it = json_iter(parts); json_step(&it);)
        if (str_eq(json_str(it.value, "type"), STR("text"))) buf_str_add(&joined, json_str(it.value, "text"));
    *text = utf8_repair(arena, str_trim(buf_str(&joined)));
    return true;
}

static void read_message(struct api_call *call, const json_value *value, struct llm_message *message)
{
    struct str role = json_str(value, "role");
    bool user = str_eq(role, STR("user"));
    if (!user && !str_eq(role, STR("assistant")))
        api_issue(call, STR("messages"), "Invalid enum value. Expected 'user' | 'assistant', received '" STR_FMT "'",
                  STR_ARG(utf8_head(role, 100)));
    message->role = user ? LLM_USER : LLM_ASSISTANT;
    if (!message_text(call->arena, value, &message->text))
        api_issue(call, STR("messages"), "Every message needs content or parts");
    else if (utf8_length(message->text) > LONGEST_MESSAGE)
        api_issue(call, STR("messages"), "String must contain at most %d character(s)", LONGEST_MESSAGE);
}

/* The last message is the question, what stands before it the history. */
static void read_messages(struct api_call *call, const json_value *list, struct answer_question *question)
{
    size_t n = json_count(list), count = 0;
    struct llm_message *messages = NEW_ARRAY(call->arena, struct llm_message, n + 1);
    for (struct json_iter it = json_iter(list); json_step(&it);) read_message(call, it.value, &messages[count++]);
    if (call->issues.n) return;
    if (!n || messages[n - 1].role != LLM_USER) {
        api_issue(call, STR("messages"), "The last message must be from the user");
        return;
    }
    question->query = messages[n - 1].text;
    if (!question->query.n) api_issue(call, STR("messages"), "Query must not be empty");
    if (utf8_length(question->query) > ANSWER_LONGEST_QUERY)
        api_issue(call, STR("messages"), "String must contain at most %d character(s)", ANSWER_LONGEST_QUERY);
    for (size_t i = 0; i + 1 < n; i++)
        if (messages[i].text.n) messages[question->history_count++] = messages[i];
    question->history = messages;
}

static struct err *read_question(struct api_call *call, struct api_ask_body *body, struct answer_question *question)
{
    api_fields(call, call->body, api_ask_fields, body);
    *question = (struct answer_question){
        .workspace = call->workspace.id,
        .query = body->query,
        .filters = api_search_filters(&body->filters),
        .mode = (enum search_mode)body->mode,
        .most_sources = (int)body->most_sources,
    };
    if (body->messages && !body->query.n)
        read_messages(call, body->messages, question);
    else if (!body->query.n && !call->issues.n)
        api_issue(call, STR("query"), "Required");
    return api_check(call);
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

static void put_citation(struct json_out *out, const struct answer_citation *citation)
{
    json_begin(out, NULL, '{');
    json_put(out, "index", citation->index);
    json_put(out, "id", citation->id);
    json_put(out, "title", citation->title);
    json_put(out, "url", citation->url.s ? citation->url : STR(""));
    json_put(out, "snippet", citation->snippet.s ? citation->snippet : STR(""));
    if (citation->score >= 0) json_put(out, "relevance_score", citation->score);
    if (citation->occurred_at) json_put_time(out, "timestamp", citation->occurred_at);
    json_put(out, "source", citation->source);
    json_put(out, "type", citation->type);
    json_end(out);
}

static void put_citations(struct json_out *out, const struct answer_result *result)
{
    json_begin(out, "citations", '[');
    for (size_t i = 0; i < result->citation_count; i++) put_citation(out, &result->citations[i]);
    json_end(out);
}

static void put_meta(struct json_out *out, const struct api_call *call, const struct answer_result *result)
{
    json_begin(out, "meta", '{');
    json_put(out, "engine", result->engine);
    if (result->model.n) json_put(out, "model", result->model);
    json_put(out, "steps", result->steps);
    json_put(out, "sourcesConsidered", result->considered);
    json_put(out, "took", api_took(call));
    json_begin(out, "usage", '{');
    json_put(out, "inputTokens", result->usage.input_tokens);
    json_put(out, "outputTokens", result->usage.output_tokens);
    json_end(out);
    json_begin(out, "warnings", '[');
    for (size_t i = 0; i < result->warnings.n; i++) json_put(out, NULL, result->warnings.at[i]);
    json_end(out);
    json_end(out);
}

static void put_result(struct json_out *out, const struct api_call *call, const struct answer_result *result)
{
    json_begin(out, "answer", '{');
    json_put(out, "content", result->content);
    put_citations(out, result);
    if (result->rationale.n) json_put(out, "rationale", result->rationale);
    json_end(out);
    put_meta(out, call, result);
}

struct err *api_ask(struct api_call *call)
{
    struct api_ask_body body = {0};
    struct answer_question question;
    struct answer_result result;
    TRY(read_question(call, &body, &question));
    question.time_ms = JSON_TIME;
    TRY(answer_ask(call->app->answer, call->arena, &question, &result));
    struct json_out out = api_answer(call);
    put_result(&out, call, &result);
    api_send_with_id(call, &out);
    struct json_out metadata = api_telling(call);
    json_put(&metadata, "query", question.query);
    json_put(&metadata, "resultCount", (int64_t)result.citation_count);
    api_tell_question(call, "search.answer", &metadata);
    return NULL;
}
