/* progress.c - an answer that takes long, told of while it is made: the API's events become progress notifications. */
#include "mcp/parts.h"

enum { LONGEST_EVENT = 4 << 20 };

struct following {
    struct mcp_call  *call;
    struct buf        text;   /* what no whole event has been made of */
    int64_t           told;
    struct mcp_answer answer; /* status 0: it has not ended */
};

const json_value *mcp_progress_token(const struct mcp_message *message)
{
    const json_value *token = mcp_meta(message, STR("progressToken"));
    bool answers = str_eq(message->method, STR("tools/call")) &&
                   str_eq(json_str(message->params, "name"), STR("lightfast_answer"));
    return answers && (json_is_string(token) || json_is_integer(token)) ? token : NULL;
}

static void tell(struct following *following, struct str what)
{
    struct mcp_call *call = following->call;
    struct json_out  out = json_out(call->arena);
    mcp_notification_begin(&out, "notifications/progress");
    json_put_value(&out, "progressToken", mcp_progress_token(call->message));
    json_put(&out, "progress", ++following->told);
    if (!str_eq(str_of(call->revision->name), STR("2024-11-05"))) json_put(&out, "message", what);
    call->notify(call->notify_arg, mcp_message_end(&out));
}

static void tell_step(struct following *following, const json_value *step)
{
    struct str tool = json_str(step, "tool"), summary = json_str(step, "summary");
    tell(following, summary.n ? str_printf(following->call->arena, STR_FMT ": " STR_FMT, STR_ARG(tool), STR_ARG(summary)) : tool);
}

static void take_event(struct following *following, struct str name, struct str data)
{
    const json_value *value;
    struct arena     *arena = following->call->arena;
    if (str_eq(name, STR("done"))) following->answer = (struct mcp_answer){200, str_dup(arena, data)};
    if (str_eq(name, STR("error"))) following->answer = (struct mcp_answer){500, str_dup(arena, data)};
    if (json_parse(arena, str_dup(arena, data), &value)) return;
    if (str_eq(name, STR("start"))) tell(following, STR("Reading the memory"));
    if (str_eq(name, STR("step"))) tell_step(following, value);
    if (str_eq(name, STR("sources")))
        tell(following, str_printf(arena, "%zu sources", json_count(json_get(value, "citations"))));
}

/* The fields of one Server-Sent Event; ours have one line of data. */
static void read_event(struct following *following, struct str event)
{
    struct str name = {0}, data = {0};
    for (struct str line; str_cut(&event, '\n', &line);) {
        if (str_starts(line, STR("event:"))) name = str_trim(str_skip(line, strlen("event:")));
        if (str_starts(line, STR("data:"))) data = str_trim(str_skip(line, strlen("data:")));
    }
    if (name.n) take_event(following, name, data);
}

static bool hear(void *arg, struct str piece)
{
    struct following *following = arg;
    struct mcp_call  *call = following->call;
    size_t            from = 0;
    buf_str_add(&following->text, piece);
    struct str text = buf_str(&following->text);
    for (size_t end; (end = str_find(text, STR("\n\n"), from)) != SIZE_MAX; from = end + 2)
        read_event(following, str_slice(text, from, end));
    memmove(following->text.s, following->text.s + from, text.n - from);
    following->text.n = text.n - from;
    return following->text.n < LONGEST_EVENT && !(call->stopped && call->stopped(call->stopped_arg));
}

static bool is_stopped(void *arg)
{
    const struct mcp_call *call = ((struct following *)arg)->call;
    return call->stopped && call->stopped(call->stopped_arg);
}

static struct str as_stream(struct arena *arena, const json_value *arguments)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(arguments); json_step(&it);) {
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    json_put_bool(&out, "stream", true);
    json_end(&out);
    return json_out_text(&out);
}

struct err *mcp_ask_with_progress(struct mcp_call *call, struct str target, const json_value *arguments,
                                  struct mcp_answer *answer)
{
    struct following following = {.call = call, .text = buf_in(call->arena)};
    struct mcp_question question = {.method = "POST", .target = target, .body = as_stream(call->arena, arguments),
                                    .stopped = is_stopped, .piece = hear, .arg = &following};
    TRY(call->api->ask(call->api->arg, call->arena, &question, answer));
    if (answer->status < 200 || answer->status >= 300) return NULL; /* refused before it began */
    if (!following.answer.status) return err_new(call->arena, ERR_UNAVAILABLE, "The answer ended before it was complete");
    *answer = following.answer;
    return NULL;
}
