/* message.c - JSON-RPC 2.0 messages, read strictly. */
#include "mcp/parts.h"

static void malformed(struct mcp_message *message, int code, const char *why)
{
    message->kind = MCP_MALFORMED;
    message->fault = (struct mcp_fault){.code = code, .status = 400, .message = str_of(why)};
}

void mcp_message_read(struct arena *arena, const json_value *value, struct mcp_message *message)
{
    *message = (struct mcp_message){.id = STR("null")};
    if (!json_is_object(value)) {
        malformed(message, MCP_INVALID_REQUEST, "A message is a JSON object");
        return;
    }
    const json_value *id = json_get(value, "id"), *params = json_get(value, "params"), *method = json_get(value, "method");
    if (json_is_string(id) || json_is_integer(id)) message->id = json_text(arena, id);
    message->method = json_str(method, "");
    message->params = json_is_object(params) ? params : NULL;
    if (!str_eq(json_str(value, "jsonrpc"), STR("2.0")))
        malformed(message, MCP_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
    else if (!method && id && (json_get(value, "result") || json_is_object(json_get(value, "error"))))
        message->kind = MCP_RESPONSE;
    else if (!json_is_string(method))
        malformed(message, MCP_INVALID_REQUEST, "method must be a string");
    else if (id && !json_is_string(id) && !json_is_integer(id))
        malformed(message, MCP_INVALID_REQUEST, "id must be a string or an integer");
    else if (params && !message->params)
        malformed(message, MCP_INVALID_PARAMS, "params must be an object");
    else
        message->kind = id ? MCP_REQUEST : MCP_NOTIFICATION;
}

const json_value *mcp_meta(const struct mcp_message *message, struct str key)
{
    return json_member(json_get(message->params, "_meta"), key);
}

static bool refuse_text(struct mcp_fault *fault, int code, const char *why)
{
    *fault = (struct mcp_fault){.code = code, .status = 400, .message = str_of(why)};
    return false;
}

bool mcp_text_read(struct arena *arena, struct str text, bool batches, struct mcp_text *read, struct mcp_fault *fault)
{
    const json_value *root;
    *read = (struct mcp_text){.n = 1};
    if (json_parse(arena, text, &root)) return refuse_text(fault, MCP_PARSE_ERROR, "Parse error: not valid JSON");
    read->batch = json_is_array(root);
    if (read->batch) {
        read->n = json_count(root);
        if (!batches) return refuse_text(fault, MCP_INVALID_REQUEST, "This revision of the protocol has no batches");
        if (read->n == 0) return refuse_text(fault, MCP_INVALID_REQUEST, "An empty batch");
        if (read->n > MCP_LARGEST_BATCH) return refuse_text(fault, MCP_INVALID_REQUEST, "A batch has at most 20 messages");
    }
    read->at = NEW_ARRAY(arena, struct mcp_message, read->n);
    if (!read->batch) mcp_message_read(arena, root, read->at);
    size_t i = 0;
    for (struct json_iter it = json_iter(read->batch ? root : NULL); json_step(&it); i++) {
        mcp_message_read(arena, it.value, &read->at[i]);
        if (str_eq(read->at[i].method, STR("initialize")))
            malformed(&read->at[i], MCP_INVALID_REQUEST, "initialize cannot be part of a batch");
    }
    return true;
}

struct str mcp_text_join(struct arena *arena, const struct str *responses, size_t n, bool batch)
{
    if (n == 0 || !batch) return n ? responses[0] : STR("");
    struct buf out = buf_in(arena);
    buf_char(&out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) buf_char(&out, ',');
        buf_str_add(&out, responses[i]);
    }
    buf_char(&out, ']');
    return buf_str(&out);
}

struct str mcp_fault_text(struct arena *arena, struct str id, const struct mcp_fault *fault)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "jsonrpc", "2.0");
    json_put_raw(&out, "id", id);
    json_begin(&out, "error", '{');
    json_put(&out, "code", fault->code);
    json_put(&out, "message", fault->message);
    if (fault->data.n) json_put_raw(&out, "data", fault->data);
    json_end(&out);
    json_end(&out);
    return json_out_text(&out);
}

void mcp_notification_begin(struct json_out *out, const char *method)
{
    json_begin(out, NULL, '{');
    json_put(out, "jsonrpc", "2.0");
    json_put(out, "method", method);
    json_begin(out, "params", '{');
}

struct str mcp_message_end(struct json_out *out)
{
    json_end(out);
    json_end(out);
    return json_out_text(out);
}
