/* services.c - the two shapes of chat over HTTP: Anthropic's Messages API and OpenAI's chat completions, which many
 * servers speak. */
#include "llm/inside.h"

static const char *role_name(const struct llm_message *message)
{
    return message->role == LLM_ASSISTANT ? "assistant" : "user";
}

static void put_temperature(struct json_out *out, const struct llm_request *request)
{
    if (!(request->options & LLM_NO_TEMPERATURE)) json_put(out, "temperature", request->call->temperature);
}

/* What the model wrote as input goes back as it came only if it was an object. */
static struct str input_of(const struct llm_use *use)
{
    return use->input.n ? use->input : STR("{}");
}

/* The text of content[] parts, joined. */
static struct str joined_parts(struct arena *arena, const json_value *parts)
{
    struct buf text = buf_in(arena);
    for (struct json_iter it = json_iter(parts); json_step(&it);)
        if (str_eq(json_str(it.value, "type"), STR("text"))) buf_str_add(&text, json_str(it.value, "text"));
    return buf_str(&text);
}

struct str llm_without_thinking(struct str text)
{
    struct str trimmed = str_trim(text);
    size_t end = str_starts(trimmed, STR("<think>")) ? str_find(trimmed, STR("</think>"), 0) : SIZE_MAX;
    return end == SIZE_MAX ? text : str_trim(str_skip(trimmed, end + strlen("</think>")));
}

void llm_add_use(struct arena *arena, struct llm_reply *reply, struct str id, struct str name, struct str arguments)
{
    enum { LONGEST_ID = 200 };
    const json_value *input;
    if (reply->use_count == LLM_MAX_USES) return;
    struct llm_use *use = &reply->uses[reply->use_count++];
    use->id = id.n && id.n <= LONGEST_ID ? str_dup(arena, id) : str_printf(arena, "use_%zu", reply->use_count);
    use->name = str_dup(arena, str_slice(name, 0, LONGEST_ID));
    if (!str_trim(arguments).n) arguments = STR("{}"); /* a tool without parameters */
    bool object = !json_parse(arena, arguments, &input) && json_is_object(input);
    use->input = object ? json_text(arena, input) : (struct str){0};
}

/* ---- Anthropic --------------------------------------------------------------------------------------------------- */

static void put_part(struct json_out *out, const char *type)
{
    json_begin(out, NULL, '{');
    json_put(out, "type", type);
}

static void put_text_part(struct json_out *out, struct str text)
{
    if (!text.n) return;
    put_part(out, "text");
    json_put(out, "text", text);
    json_end(out);
}

static void put_parts(struct json_out *out, const struct llm_message *message)
{
    for (size_t i = 0; i < message->result_count; i++) {
        const struct llm_result *result = &message->results[i];
        put_part(out, "tool_result");
        json_put(out, "tool_use_id", result->use);
        json_put(out, "content", result->output);
        if (result->failed) json_put_bool(out, "is_error", true);
        json_end(out);
    }
    put_text_part(out, message->text);
    for (size_t i = 0; i < message->use_count; i++) {
        put_part(out, "tool_use");
        json_put(out, "id", message->uses[i].id);
        json_put(out, "name", message->uses[i].name);
        json_put_raw(out, "input", input_of(&message->uses[i]));
        json_end(out);
    }
}

static void put_message(struct json_out *out, const struct llm_message *message)
{
    json_begin(out, NULL, '{');
    json_put(out, "role", role_name(message));
    if (message->use_count || message->result_count) {
        json_begin(out, "content", '[');
        put_parts(out, message);
        json_end(out);
    } else
        json_put(out, "content", message->text);
    json_end(out);
}

static void put_tools(struct json_out *out, const struct llm_call *call)
{
    if (!call->tool_count) return;
    json_begin(out, "tools", '[');
    for (size_t i = 0; i < call->tool_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "name", call->tools[i].name);
        json_put(out, "description", call->tools[i].description);
        json_put_raw(out, "input_schema", call->tools[i].schema);
        json_end(out);
    }
    json_end(out);
    if (!call->conclude) return;
    json_begin(out, "tool_choice", '{');
    json_put(out, "type", "none");
    json_end(out);
}

static void write_messages(struct json_out *out, const struct llm_request *request)
{
    const struct llm_call *call = request->call;
    json_put(out, "model", request->model);
    json_put(out, "max_tokens", request->max_output_tokens);
    put_temperature(out, request);
    if (call->listener.text) json_put_bool(out, "stream", true);
    if (call->instructions.n) json_put(out, "system", call->instructions);
    put_tools(out, call);
    json_begin(out, "messages", '[');
    for (size_t i = 0; i < call->message_count; i++) put_message(out, &call->messages[i]);
    json_end(out);
}

static bool read_message(struct arena *arena, const json_value *root, struct llm_reply *reply)
{
    const json_value *content = json_get(root, "content");
    if (!json_is_array(content)) return false;
    reply->text = joined_parts(arena, content);
    reply->cut = str_eq(json_str(root, "stop_reason"), STR("max_tokens"));
    for (struct json_iter it = json_iter(content); json_step(&it);)
        if (str_eq(json_str(it.value, "type"), STR("tool_use")))
            llm_add_use(arena, reply, json_str(it.value, "id"), json_str(it.value, "name"),
                        json_text(arena, json_get(it.value, "input")));
    return true;
}

static void message_event(struct llm_stream *stream, const json_value *event)
{
    struct str type = json_str(event, "type"), none = {0};
    int64_t at = json_int(event, "index", 0);
    const json_value *block = json_get(event, "content_block"), *delta = json_get(event, "delta");
    if (str_eq(type, STR("message_start"))) {
        stream->model = json_str(event, "message.model");
        llm_stream_usage(stream, json_get(event, "message"));
    } else if (str_eq(type, STR("content_block_start")) && str_eq(json_str(block, "type"), STR("tool_use")))
        llm_stream_use(stream, at, json_str(block, "id"), json_str(block, "name"), none);
    else if (str_eq(type, STR("content_block_start")))
        llm_stream_text(stream, json_str(block, "text"));
    else if (str_eq(type, STR("content_block_delta")) && str_eq(json_str(delta, "type"), STR("input_json_delta")))
        llm_stream_use(stream, at, none, none, json_str(delta, "partial_json"));
    else if (str_eq(type, STR("content_block_delta")) && str_eq(json_str(delta, "type"), STR("text_delta")))
        llm_stream_text(stream, json_str(delta, "text"));
    else if (str_eq(type, STR("message_delta"))) {
        stream->cut = str_eq(json_str(delta, "stop_reason"), STR("max_tokens"));
        llm_stream_usage(stream, event);
    } else if (str_eq(type, STR("message_stop")))
        stream->ended = true;
    else if (str_eq(type, STR("error")))
        stream->failed = true;
}

/* ---- OpenAI ------------------------------------------------------------------------------------------------------ */

static void put_uses(struct json_out *out, const struct llm_message *message)
{
    if (!message->use_count) return;
    json_begin(out, "tool_calls", '[');
    for (size_t i = 0; i < message->use_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "id", message->uses[i].id);
        json_put(out, "type", "function");
        json_begin(out, "function", '{');
        json_put(out, "name", message->uses[i].name);
        json_put(out, "arguments", input_of(&message->uses[i]));
        json_end(out);
        json_end(out);
    }
    json_end(out);
}

/* Each result is a message of its own. */
static void put_turn(struct json_out *out, const struct llm_message *message)
{
    for (size_t i = 0; i < message->result_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "role", "tool");
        json_put(out, "tool_call_id", message->results[i].use);
        json_put(out, "content", message->results[i].output);
        json_end(out);
    }
    if (!message->text.n && !message->use_count) return;
    json_begin(out, NULL, '{');
    json_put(out, "role", role_name(message));
    json_put_or_null(out, "content", message->text);
    put_uses(out, message);
    json_end(out);
}

static void put_functions(struct json_out *out, const struct llm_call *call)
{
    if (!call->tool_count) return;
    json_begin(out, "tools", '[');
    for (size_t i = 0; i < call->tool_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "type", "function");
        json_begin(out, "function", '{');
        json_put(out, "name", call->tools[i].name);
        json_put(out, "description", call->tools[i].description);
        json_put_raw(out, "parameters", call->tools[i].schema);
        json_end(out);
        json_end(out);
    }
    json_end(out);
    if (call->conclude) json_put(out, "tool_choice", "none");
}

static void put_streaming(struct json_out *out, const struct llm_request *request)
{
    if (!request->call->listener.text) return;
    json_put_bool(out, "stream", true);
    if (request->options & LLM_NO_STREAM_OPTIONS) return;
    json_begin(out, "stream_options", '{');
    json_put_bool(out, "include_usage", true);
    json_end(out);
}

static void write_chat(struct json_out *out, const struct llm_request *request)
{
    const struct llm_call *call = request->call;
    bool renamed = request->options & LLM_COMPLETION_TOKENS;
    json_put(out, "model", request->model);
    json_put(out, renamed ? "max_completion_tokens" : "max_tokens", request->max_output_tokens);
    put_temperature(out, request);
    put_streaming(out, request);
    put_functions(out, call);
    json_begin(out, "messages", '[');
    if (call->instructions.n) {
        json_begin(out, NULL, '{');
        json_put(out, "role", "system");
        json_put(out, "content", call->instructions);
        json_end(out);
    }
    for (size_t i = 0; i < call->message_count; i++) put_turn(out, &call->messages[i]);
    json_end(out);
}

/* Some servers write arguments as an object where OpenAI writes its text. */
static struct str arguments_of(struct arena *arena, const json_value *use)
{
    const json_value *arguments = json_get(use, "function.arguments");
    if (json_is_string(arguments)) return json_str(arguments, "");
    return json_is_null(arguments) ? (struct str){0} : json_text(arena, arguments);
}

static bool read_completion(struct arena *arena, const json_value *root, struct llm_reply *reply)
{
    const json_value *choice = json_get(root, "choices.0"), *content = json_get(choice, "message.content");
    for (struct json_iter it = json_iter(json_get(choice, "message.tool_calls")); json_step(&it);)
        llm_add_use(arena, reply, json_str(it.value, "id"), json_str(it.value, "function.name"),
                    arguments_of(arena, it.value));
    if (!json_is_string(content) && !json_is_array(content)) return reply->use_count > 0; /* a refusal has null */
    reply->text = llm_without_thinking(json_is_array(content) ? joined_parts(arena, content) : json_str(content, ""));
    reply->cut = str_eq(json_str(choice, "finish_reason"), STR("length"));
    return true;
}

static void completion_event(struct llm_stream *stream, const json_value *event)
{
    const json_value *choice = json_get(event, "choices.0");
    struct str reason = json_str(choice, "finish_reason");
    if (!stream->model.n) stream->model = json_str(event, "model");
    llm_stream_usage(stream, event);
    llm_stream_text(stream, json_str(choice, "delta.content"));
    for (struct json_iter it = json_iter(json_get(choice, "delta.tool_calls")); json_step(&it);)
        llm_stream_use(stream, json_int(it.value, "index", 0), json_str(it.value, "id"),
                       json_str(it.value, "function.name"), arguments_of(stream->scratch, it.value));
    if (reason.n) stream->ended = true;
    if (str_eq(reason, STR("length"))) stream->cut = true;
    if (!json_is_null(json_get(event, "error"))) stream->failed = true;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct llm_service services[] = {
    {
        .provider = "anthropic",
        .base_url = "https://api.anthropic.com",
        .path = "/v1/messages",
        .key_header = "x-api-key",
        .key_prefix = "",
        .version_header = "anthropic-version",
        .version = "2023-06-01",
        .write = write_messages,
        .read = read_message,
        .event = message_event,
        .input_tokens = {"usage.input_tokens", "usage.cache_creation_input_tokens", "usage.cache_read_input_tokens"},
        .output_tokens = "usage.output_tokens",
    },
    {
        .provider = "openai",
        .base_url = "https://api.openai.com/v1",
        .path = "/chat/completions",
        .key_header = "Authorization",
        .key_prefix = "Bearer ",
        .write = write_chat,
        .read = read_completion,
        .event = completion_event,
        .input_tokens = {"usage.prompt_tokens"},
        .output_tokens = "usage.completion_tokens",
    },
};

const struct llm_service *llm_service_find(struct str provider)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (str_eq(provider, str_of(services[i].provider))) return &services[i];
    return NULL;
}
