/* ask_read.c - the question in a request: a query, or a conversation in one of the forms that chat clients send. */
#include "api/asking.h"
#include "api/records.h"
#include "base/utf8.h"

enum { LONGEST_MESSAGE = 100000 }; /* characters of one that is history */

/* `content`, or the text parts of `parts` as chat clients send them. False: neither, or not of their type. */
static bool message_text(struct arena *arena, const json_value *message, struct str *text)
{
    const json_value *content = json_get(message, "content"), *parts = json_get(message, "parts");
    if (!json_is_null(parts) && !json_is_array(parts)) return false;
    if (!json_is_null(content) && !json_is_string(content)) return false;
    if (json_is_string(content)) {
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
    bool       user = str_eq(role, STR("user"));
    if (!user && !str_eq(role, STR("assistant")))
        api_issue(call, STR("messages"), "Invalid enum value. Expected 'user' | 'assistant', received '" STR_FMT "'",
                  STR_ARG(utf8_head(role, 100)));
    message->role = user ? LLM_USER : LLM_ASSISTANT;
    if (!message_text(call->arena, value, &message->text))
        api_issue(call, STR("messages"), "Every message needs content or parts");
    else if (utf8_length(message->text) > LONGEST_MESSAGE)
        api_issue(call, STR("messages"), "String must contain at most %d character(s)", LONGEST_MESSAGE);
}

/* Beside a query messages are not read, but they must be messages. */
static void check_messages(struct api_call *call, const json_value *list)
{
    struct llm_message unread;
    for (struct json_iter it = json_iter(list); json_step(&it);) read_message(call, it.value, &unread);
}

/* The last message is the question, what stands before it the history. */
static void read_messages(struct api_call *call, const json_value *list, struct answer_question *question)
{
    size_t              n = json_count(list), count = 0;
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

static void check_session(struct api_call *call, const struct asking *asking)
{
    if (asking->session.id.n && !answer_session_valid(asking->session.id))
        api_issue(call, STR("sessionId"), "Expected letters, digits, '_' and '-'");
}

struct err *asking_read(struct api_call *call, struct asking *asking)
{
    struct api_ask_body     body = {0};
    struct answer_question *question = &asking->question;
    struct str              chat = api_parameter(call, "session");
    api_fields(call, call->body, api_ask_fields, &body);
    *question = (struct answer_question){
        .workspace = call->workspace.id,
        .settings = call->workspace.settings,
        .query = body.query,
        .filters = api_search_filters(&body.filters),
        .mode = (enum search_mode)body.mode,
        .most_sources = (int)body.most_sources,
    };
    asking->session = asking_session(call, chat.s ? chat : body.session);
    asking->wants_stream = body.stream;
    check_session(call, asking);
    if (body.messages && (chat.s || !body.query.n))
        read_messages(call, body.messages, question);
    else if (body.messages)
        check_messages(call, body.messages);
    else if (chat.s || (!body.query.n && !call->issues.n))
        api_issue(call, chat.s ? STR("messages") : STR("query"), "Required");
    return api_check(call);
}
