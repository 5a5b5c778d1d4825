/* llm_service.h - a language model's service on the loopback, as strict about requests as the real ones: it knows both
 * shapes, refuses what does not fit them, and answers from a script. */
#pragma once
#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "llm/llm.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "sk-test-0123456789abcdef"

enum { MOST_REQUESTS = 16, MOST_BYTES = 1 << 20 };

struct scripted {
    int status;          /* 0: hold the connection without a word; after service_release, say what is scripted next */
    const char *headers; /* "Retry-After: 1\r\n", or NULL */
    struct str body;
};

struct seen {
    struct str head;
    const json_value *body;
};

/* The last reply repeats. What it saw may be read once it is stopped. */
struct service {
    struct arena *arena; /* its thread's */
    int listener;
    char address[64];
    struct scripted script[MOST_REQUESTS];
    int scripted;
    struct seen seen[MOST_REQUESTS];
    atomic_int requests;
    atomic_bool released;
    const char *problem; /* what the first request that fits no shape has wrong */
    pthread_t thread;
};

/* ---- the shapes of requests -------------------------------------------------------------------------------------- */

static inline bool has_header(struct str head, const char *line)
{
    return strcasestr(head.s, line) != NULL; /* head ends with a NUL */
}

static inline bool only_members(const json_value *object, const char *const *names, size_t n)
{
    for (struct json_iter it = json_iter(object); json_step(&it);) {
        bool found = false;
        for (size_t i = 0; i < n; i++) found |= str_eq(it.key, str_of(names[i]));
        if (!found) return false;
    }
    return true;
}

/* Ids of the uses of tools in a message that still need a result. */
struct open_uses {
    struct str ids[16];
    size_t n;
};

static inline bool close_use(struct open_uses *open, struct str id)
{
    for (size_t i = 0; i < open->n; i++)
        if (str_eq(open->ids[i], id)) {
            open->ids[i] = open->ids[--open->n];
            return true;
        }
    return false;
}

static inline bool part_fits(const json_value *part, bool user, struct open_uses *open)
{
    struct str type = json_str(part, "type");
    if (str_eq(type, STR("text"))) return json_str(part, "text").n > 0;
    if (user && str_eq(type, STR("tool_result")))
        return json_is_string(json_get(part, "content")) && close_use(open, json_str(part, "tool_use_id"));
    if (user || !str_eq(type, STR("tool_use")) || open->n == 16) return false;
    open->ids[open->n++] = json_str(part, "id");
    return json_str(part, "id").n && json_str(part, "name").n && json_is_object(json_get(part, "input"));
}

/* Roles, contents and, for each use of a tool, its result in the very next message. */
static inline bool parts_fit(const json_value *messages)
{
    static const char *const members[] = {"role", "content"};
    struct open_uses open = {0};
    if (!json_is_array(messages) || !json_count(messages)) return false;
    for (struct json_iter it = json_iter(messages); json_step(&it);) {
        bool user = str_eq(json_str(it.value, "role"), STR("user"));
        const json_value *content = json_get(it.value, "content");
        if (!user && !str_eq(json_str(it.value, "role"), STR("assistant"))) return false;
        if (!only_members(it.value, members, 2) || (open.n && !user)) return false;
        for (struct json_iter part = json_iter(json_is_array(content) ? content : NULL); json_step(&part);)
            if (!part_fits(part.value, user, &open)) return false;
        if ((user && open.n) || !(json_is_array(content) ? json_count(content) : json_str(content, "").n)) return false;
    }
    return open.n == 0;
}

static inline bool use_fits(const json_value *use, struct open_uses *open)
{
    if (open->n == 16 || !json_str(use, "id").n || !str_eq(json_str(use, "type"), STR("function"))) return false;
    open->ids[open->n++] = json_str(use, "id");
    return json_str(use, "function.name").n && json_is_string(json_get(use, "function.arguments"));
}

static inline bool turn_fits(const json_value *message, struct open_uses *open)
{
    static const char *const members[] = {"role", "content", "tool_calls", "tool_call_id"};
    struct str role = json_str(message, "role");
    bool text = json_str(message, "content").n > 0;
    if (!only_members(message, members, 4)) return false;
    if (str_eq(role, STR("tool")))
        return json_is_string(json_get(message, "content")) && close_use(open, json_str(message, "tool_call_id"));
    if (open->n) return false; /* a use without its result */
    if (str_eq(role, STR("user")) || str_eq(role, STR("system"))) return text;
    for (struct json_iter it = json_iter(json_get(message, "tool_calls")); json_step(&it);)
        if (!use_fits(it.value, open)) return false;
    return str_eq(role, STR("assistant")) && (text || open->n);
}

static inline bool turns_fit(const json_value *messages)
{
    struct open_uses open = {0};
    for (struct json_iter it = json_iter(messages); json_step(&it);)
        if (!turn_fits(it.value, &open)) return false;
    return json_count(messages) && open.n == 0;
}

/* Tools as the service wants them: names and schemas below `prefix`. */
static inline bool tools_fit(const json_value *tools, const char *prefix, const char *schema)
{
    for (struct json_iter it = json_iter(tools); json_step(&it);) {
        const json_value *tool = json_get(it.value, prefix);
        if (!json_str(tool, "name").n || !json_str(tool, "description").n) return false;
        if (!str_eq(json_str(json_get(tool, schema), "type"), STR("object"))) return false;
    }
    return tools == NULL || json_count(tools) > 0;
}

static inline const char *anthropic_problem(const struct seen *request)
{
    static const char *const members[] = {"model",    "max_tokens", "temperature", "system",
                                          "messages", "tools",      "tool_choice", "stream"};
    const json_value *body = request->body;
    double temperature = json_real(body, "temperature", 0);
    if (!has_header(request->head, "\r\nx-api-key: " KEY "\r\n")) return "x-api-key";
    if (!has_header(request->head, "\r\nanthropic-version: 2023-06-01\r\n")) return "anthropic-version";
    if (has_header(request->head, "\r\nauthorization:")) return "authorization";
    if (!only_members(body, members, 8)) return "members";
    if (!tools_fit(json_get(body, "tools"), "", "input_schema")) return "tools";
    if (json_get(body, "tool_choice") && !json_get(body, "tools")) return "tool_choice";
    if (json_int(body, "max_tokens", 0) < 1) return "max_tokens";
    if (temperature < 0 || temperature > 1) return "temperature";
    if (!parts_fit(json_get(body, "messages"))) return "messages";
    return NULL;
}

static inline const char *openai_problem(const struct seen *request)
{
    static const char *const members[] = {"model",    "max_tokens", "max_completion_tokens", "temperature",
                                          "messages", "tools",      "tool_choice",           "stream",
                                          "stream_options"};
    const json_value *body = request->body;
    if (!has_header(request->head, "\r\nauthorization: Bearer " KEY "\r\n")) return "authorization";
    if (has_header(request->head, "\r\nx-api-key:")) return "x-api-key";
    if (!only_members(body, members, 9)) return "members";
    if (!tools_fit(json_get(body, "tools"), "function", "parameters")) return "tools";
    if (json_get(body, "tool_choice") && !json_get(body, "tools")) return "tool_choice";
    if (json_get(body, "stream_options") && !json_bool(body, "stream", false)) return "stream_options";
    if (json_int(body, "max_tokens", json_int(body, "max_completion_tokens", 0)) < 1) return "max_tokens";
    if (json_real(body, "temperature", 0) < 0 || json_real(body, "temperature", 0) > 2) return "temperature";
    if (!turns_fit(json_get(body, "messages"))) return "messages";
    return NULL;
}

static inline const char *problem_of(const struct seen *request)
{
    if (!json_is_object(request->body)) return "body";
    if (!has_header(request->head, "\r\ncontent-type: application/json\r\n")) return "content-type";
    if (!json_str(request->body, "model").n) return "model";
    if (str_starts(request->head, STR("POST /v1/messages HTTP/1.1\r\n"))) return anthropic_problem(request);
    if (str_starts(request->head, STR("POST /v1/chat/completions HTTP/1.1\r\n"))) return openai_problem(request);
    return "request line";
}

/* ---- the service ------------------------------------------------------------------------------------------------- */

static inline bool read_request(struct service *service, int fd, struct seen *request)
{
    struct buf text = buf_in(service->arena);
    for (;;) {
        char part[4096];
        ssize_t got = read(fd, part, sizeof part);
        if (got <= 0 || text.n > MOST_BYTES) return false;
        buf_bytes(&text, part, (size_t)got);
        size_t end = str_find(buf_str(&text), STR("\r\n\r\n"), 0);
        if (end == SIZE_MAX) continue;
        const char *head = str_z(service->arena, str_slice(buf_str(&text), 0, end + 4));
        const char *length = strcasestr(head, "content-length:");
        size_t wanted = end + 4 + (length ? (size_t)atoi(length + 15) : 0);
        if (text.n < wanted) continue;
        request->head = str_of(head);
        if (json_parse(service->arena, str_slice(buf_str(&text), end + 4, wanted), &request->body))
            request->body = NULL;
        return true;
    }
}

static inline void write_reply(struct service *service, int fd, const struct scripted *reply)
{
    struct str text =
        str_printf(service->arena, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n" STR_FMT,
                   reply->status, reply->body.n, reply->headers ? reply->headers : "", STR_ARG(reply->body));
    for (size_t sent = 0; sent < text.n;) {
        ssize_t n = send(fd, text.s + sent, text.n - sent, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += (size_t)n;
    }
}

/* False: the client has given up before the release. */
static inline bool held_until_released(struct service *service, int fd)
{
    while (!atomic_load(&service->released)) {
        struct pollfd client = {.fd = fd, .events = POLLIN};
        char more;
        if (poll(&client, 1, 2) > 0 && recv(fd, &more, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) return false;
    }
    return true;
}

static inline void service_release(struct service *service) { atomic_store(&service->released, true); }

static inline const struct scripted *entry(const struct service *service, int at)
{
    return &service->script[at < service->scripted ? at : service->scripted - 1];
}

static inline void answer_one(struct service *service, int fd)
{
    struct seen request = {0};
    if (!read_request(service, fd, &request)) return;
    int at = service->requests;
    if (at < MOST_REQUESTS) service->seen[at] = request;
    atomic_fetch_add(&service->requests, 1);
    struct scripted reply = *entry(service, at);
    const char *problem = problem_of(&request);
    if (problem && !service->problem) service->problem = problem;
    if (problem) reply = (struct scripted){400, NULL, STR("{\"error\":{\"type\":\"invalid_request_error\"}}")};
    if (!reply.status && held_until_released(service, fd)) reply = *entry(service, at + 1);
    if (reply.status) write_reply(service, fd, &reply);
    char more;
    while (read(fd, &more, 1) > 0) {
    } /* until the client closes */
}

static inline void *serve(void *arg)
{
    struct service *service = arg;
    for (int fd; (fd = accept(service->listener, NULL, NULL)) >= 0; close(fd)) answer_one(service, fd);
    return NULL;
}

static inline void service_start(struct service *service)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    service->arena = arena_create();
    service->listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(service->listener, (struct sockaddr *)&address, n) == 0 && listen(service->listener, 8) == 0);
    getsockname(service->listener, (struct sockaddr *)&address, &n);
    snprintf(service->address, sizeof service->address, "http://127.0.0.1:%d", ntohs(address.sin_port));
    check(pthread_create(&service->thread, NULL, serve, service) == 0);
}

static inline void service_stop(struct service *service)
{
    shutdown(service->listener, SHUT_RDWR);
    pthread_join(service->thread, NULL);
    close(service->listener);
}

static inline void service_free(struct service *service)
{
    arena_destroy(service->arena);
}

/* ---- what it answers, and who asks ------------------------------------------------------------------------------- */

static inline struct str anthropic_reply(struct arena *arena, const char *text)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "type", "message");
    json_put(&out, "model", "claude-test");
    json_begin(&out, "content", '[');
    json_begin(&out, NULL, '{');
    json_put(&out, "type", "text");
    json_put(&out, "text", text);
    json_end(&out);
    json_end(&out);
    json_put(&out, "stop_reason", "end_turn");
    json_put_raw(&out, "usage", STR("{\"input_tokens\":100,\"cache_read_input_tokens\":20,\"output_tokens\":10}"));
    json_end(&out);
    return json_out_text(&out);
}

static inline struct str openai_reply(struct arena *arena, const char *text)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "object", "chat.completion");
    json_put(&out, "model", "gpt-test");
    json_begin(&out, "choices", '[');
    json_begin(&out, NULL, '{');
    json_begin(&out, "message", '{');
    json_put(&out, "role", "assistant");
    json_put(&out, "content", text);
    json_end(&out);
    json_put(&out, "finish_reason", "stop");
    json_end(&out);
    json_end(&out);
    json_put_raw(&out, "usage", STR("{\"prompt_tokens\":50,\"completion_tokens\":5,\"total_tokens\":55}"));
    json_end(&out);
    return json_out_text(&out);
}

/* The model wants a tool to be run; text beside it may be empty. */
static inline struct str anthropic_use(struct arena *arena, const char *text, const char *id, const char *tool,
                                       const char *input)
{
    return str_printf(arena,
                      "{\"type\":\"message\",\"model\":\"claude-test\",\"content\":[%s%s%s{\"type\":\"tool_use\",\"id\":"
                      "\"%s\",\"name\":\"%s\",\"input\":%s}],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":100,"
                      "\"output_tokens\":10}}",
                      *text ? "{\"type\":\"text\",\"text\":\"" : "", text, *text ? "\"}," : "", id, tool, input);
}

static inline struct str openai_use(struct arena *arena, const char *id, const char *tool, const char *arguments)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "arguments", arguments);
    json_end(&out);
    struct str wrapped = json_out_text(&out); /* {"arguments":"..."} */
    return str_printf(arena,
                      "{\"model\":\"gpt-test\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":null,"
                      "\"tool_calls\":[{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"%s\"," STR_FMT
                      "}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":5}}",
                      id, tool, STR_ARG(str_skip(wrapped, 1)));
}

static inline void say(struct service *service, int status, struct str body)
{
    service->script[service->scripted++] = (struct scripted){status, NULL, body};
}

static inline struct llm_config config_of(const struct service *service, const char *provider)
{
    bool anthropic = strcmp(provider, "anthropic") == 0;
    static _Thread_local char base[80];
    snprintf(base, sizeof base, "%s%s", service->address, anthropic ? "" : "/v1");
    return (struct llm_config){.provider = str_of(provider),
                               .base_url = str_of(base),
                               .api_key = STR(KEY),
                               .model = STR("common"),
                               .price_input = 3,
                               .price_output = 15};
}

static inline struct llm *client_of(struct arena *arena, struct llm_config config)
{
    struct llm *llm = NULL;
    check_ok(llm_create(arena, config, &llm));
    return llm;
}
