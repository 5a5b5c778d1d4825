/* services.c - the two shapes of chat over HTTP: Anthropic's Messages API and OpenAI's chat completions, which many
 * servers speak. */
#include "llm/inside.h"

static const char *role_name(const struct llm_message *message)
{
    return message->role == LLM_ASSISTANT ? "assistant" : "user";
}

static void put_messages(struct json_out *out, const struct llm_call *call)
{
    for (size_t i = 0; i < call->message_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "role", role_name(&call->messages[i]));
        json_put(out, "content", call->messages[i].text);
        json_end(out);
    }
}

static void put_temperature(struct json_out *out, const struct llm_request *request)
{
    if (!(request->options & LLM_NO_TEMPERATURE)) json_put(out, "temperature", request->call->temperature);
}

/* The text of content[] parts, joined. */
static struct str joined_parts(struct arena *arena, const json_value *parts)
{
    struct buf text = buf_in(arena);
    for (struct json_iter it = json_iter(parts); json_step(&it);)
        if (str_eq(json_str(it.value, "type"), STR("text"))) buf_str_add(&text, json_str(it.value, "text"));
    return buf_str(&text);
}

/* Local servers pass a model's thinking on in front of its answer; drafts in it must not be taken for the answer. */
static struct str without_thinking(struct str text)
{
    struct str trimmed = str_trim(text);
    size_t end = str_starts(trimmed, STR("<think>")) ? str_find(trimmed, STR("</think>"), 0) : SIZE_MAX;
    return end == SIZE_MAX ? text : str_trim(str_skip(trimmed, end + strlen("</think>")));
}

/* ---- Anthropic --------------------------------------------------------------------------------------------------- */

static void write_messages(struct json_out *out, const struct llm_request *request)
{
    json_put(out, "model", request->model);
    json_put(out, "max_tokens", request->max_output_tokens);
    put_temperature(out, request);
    if (request->call->instructions.n) json_put(out, "system", request->call->instructions);
    json_begin(out, "messages", '[');
    put_messages(out, request->call);
    json_end(out);
}

static bool read_message(struct arena *arena, const json_value *root, struct llm_reply *reply)
{
    const json_value *content = json_get(root, "content");
    if (!json_is_array(content)) return false;
    reply->text = joined_parts(arena, content);
    reply->cut = str_eq(json_str(root, "stop_reason"), STR("max_tokens"));
    return true;
}

/* ---- OpenAI ------------------------------------------------------------------------------------------------------ */

static void write_chat(struct json_out *out, const struct llm_request *request)
{
    bool renamed = request->options & LLM_COMPLETION_TOKENS;
    json_put(out, "model", request->model);
    json_put(out, renamed ? "max_completion_tokens" : "max_tokens", request->max_output_tokens);
    put_temperature(out, request);
    json_begin(out, "messages", '[');
    if (request->call->instructions.n) {
        json_begin(out, NULL, '{');
        json_put(out, "role", "system");
        json_put(out, "content", request->call->instructions);
        json_end(out);
    }
    put_messages(out, request->call);
    json_end(out);
}

static bool read_completion(struct arena *arena, const json_value *root, struct llm_reply *reply)
{
    const json_value *choice = json_get(root, "choices.0");
    const json_value *content = json_get(choice, "message.content");
    if (!json_is_string(content) && !json_is_array(content)) return false; /* a refusal has null */
    reply->text = without_thinking(json_is_array(content) ? joined_parts(arena, content) : json_str(content, ""));
    reply->cut = str_eq(json_str(choice, "finish_reason"), STR("length"));
    return true;
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
