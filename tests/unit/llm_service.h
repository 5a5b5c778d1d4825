/* llm_service.h - a language model's service on the loopback, as strict about requests as the real ones: it knows both
 * shapes, refuses what does not fit them, and answers from a script. */
#pragma once
#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "llm/llm.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "sk-test-0123456789abcdef"

enum { MOST_REQUESTS = 16, MOST_BYTES = 1 << 20 };

struct scripted {
    int status;          /* 0: hold the connection without a word */
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

static inline bool messages_fit(const json_value *messages, bool system_allowed)
{
    static const char *const members[] = {"role", "content"};
    if (!json_is_array(messages) || !json_count(messages)) return false;
    for (struct json_iter it = json_iter(messages); json_step(&it);) {
        struct str role = json_str(it.value, "role");
        bool known = str_eq(role, STR("user")) || str_eq(role, STR("assistant")) ||
                     (system_allowed && str_eq(role, STR("system")));
        if (!known || !json_str(it.value, "content").n || !only_members(it.value, members, 2)) return false;
    }
    return true;
}

static inline const char *anthropic_problem(const struct seen *request)
{
    static const char *const members[] = {"model", "max_tokens", "temperature", "system", "messages"};
    const json_value *body = request->body;
    double temperature = json_real(body, "temperature", 0);
    if (!has_header(request->head, "\r\nx-api-key: " KEY "\r\n")) return "x-api-key";
    if (!has_header(request->head, "\r\nanthropic-version: 2023-06-01\r\n")) return "anthropic-version";
    if (has_header(request->head, "\r\nauthorization:")) return "authorization";
    if (!only_members(body, members, 5)) return "members";
    if (json_int(body, "max_tokens", 0) < 1) return "max_tokens";
    if (temperature < 0 || temperature > 1) return "temperature";
    if (!messages_fit(json_get(body, "messages"), false)) return "messages";
    return NULL;
}

static inline const char *openai_problem(const struct seen *request)
{
    static const char *const members[] = {"model", "max_tokens", "max_completion_tokens", "temperature", "messages"};
    const json_value *body = request->body;
    if (!has_header(request->head, "\r\nauthorization: Bearer " KEY "\r\n")) return "authorization";
    if (has_header(request->head, "\r\nx-api-key:")) return "x-api-key";
    if (!only_members(body, members, 5)) return "members";
    if (json_int(body, "max_tokens", json_int(body, "max_completion_tokens", 0)) < 1) return "max_tokens";
    if (json_real(body, "temperature", 0) < 0 || json_real(body, "temperature", 0) > 2) return "temperature";
    if (!messages_fit(json_get(body, "messages"), true)) return "messages";
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

static inline void answer_one(struct service *service, int fd)
{
    struct seen request = {0};
    if (!read_request(service, fd, &request)) return;
    int at = service->requests;
    if (at < MOST_REQUESTS) service->seen[at] = request;
    atomic_fetch_add(&service->requests, 1);
    struct scripted reply = service->script[at < service->scripted ? at : service->scripted - 1];
    const char *problem = problem_of(&request);
    if (problem && !service->problem) service->problem = problem;
    if (problem) reply = (struct scripted){400, NULL, STR("{\"error\":{\"type\":\"invalid_request_error\"}}")};
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

static inline bool mentions(struct str text, const char *what)
{
    return str_find(text, str_of(what), 0) != SIZE_MAX;
}
