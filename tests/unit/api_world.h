/* api_world.h - the API as a function, on a database of its own; on an engine too, where a test gives it functions. */
#pragma once
#include "org_world.h"

#include "answer/answer.h"
#include "api/call.h"
#include "flow/flow.h"

#define W "/v1/orgs/local/workspaces/main"

struct fixture {
    struct arena *arena;
    struct config config;
    struct app    app;
    char          dir[DIRECTORY_PATH];
};

static inline void fixture_start(struct fixture *f, struct arena *arena)
{
    f->arena = arena;
    f->config.public_url = STR("https://memory.example.com");
    f->app.config = &f->config;
    f->app.started_at = time_now();
    f->app.db = org_database(arena, f->dir);
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &f->app.embed));
    f->app.memory = (struct memory){.db = f->app.db, .embed = f->app.embed};
    f->app.search = search_create(f->app.db, f->app.embed, (struct search_config){.memory_limit = 64 << 20});
    f->app.answer = answer_create((struct answer_config){f->app.db, f->app.search, f->app.embed, NULL});
    f->app.api = api_create(&f->app);
}

/* The API hears of the engine's jobs as it does in a server. */
static inline void fixture_engine(struct fixture *f, const struct flow_function *const *functions, size_t n,
                                  void *context)
{
    f->app.flow = flow_create(f->app.db, (struct flow_config){.workers = 2});
    check_ok(flow_register(f->app.flow, f->arena, functions, n, context));
    flow_watch(f->app.flow, api_job_changed, f->app.api);
    check_ok(flow_start(f->app.flow, f->arena));
}

static inline void fixture_end(struct fixture *f)
{
    time_set(0);
    if (!f->app.db) return;
    if (f->app.flow) flow_stop(f->app.flow);
    if (f->app.flow) flow_destroy(f->app.flow);
    api_destroy(f->app.api);
    answer_destroy(f->app.answer);
    search_destroy(f->app.search);
    embed_destroy(f->app.embed);
    database_remove(f->app.db, f->dir);
}
#define FIXTURE(name)                                                                                                  \
    struct fixture name __attribute__((cleanup(fixture_end))) = {0};                                                   \
    fixture_start(&name, arena)

/* ---- asking ------------------------------------------------------------------------------------------------------ */

struct answer {
    int               status;
    const json_value *body;
    struct str        text;
    struct net_reply  reply;
};

static inline struct answer send_request(struct fixture *f, struct net_request *request)
{
    struct answer answer = {0};
    api_handle(&f->app, request, &answer.reply);
    answer.status = answer.reply.status;
    answer.text = answer.reply.body;
    if (answer.text.n && !answer.reply.content_type) check_ok(json_parse(f->arena, answer.text, &answer.body));
    return answer;
}

/* As who is on the machine. */
static inline struct answer ask(struct fixture *f, const char *method, const char *target, const char *body)
{
    return send_request(f, net_request_local(f->arena, method, str_of(target), str_of(body)));
}
#define GET(f, target) ask((f), "GET", (target), "")

/* A target that holds what an answer named. */
#define TARGET(f, ...) str_z((f)->arena, str_printf((f)->arena, __VA_ARGS__))

/* Somebody elsewhere; without a key if it is NULL. */
static inline struct net_request *remote_request(struct fixture *f, struct str key, const char *method,
                                                 const char *target, const char *body)
{
    struct net_request *request = net_request_local(f->arena, method, str_of(target), str_of(body));
    request->local = false;
    request->remote = STR("203.0.113.9");
    net_request_header(request, "User-Agent", STR("lightfast-test/1"));
    if (key.s) net_request_header(request, "Authorization", str_printf(f->arena, "Bearer " STR_FMT, STR_ARG(key)));
    return request;
}

static inline struct answer ask_as(struct fixture *f, struct str key, const char *method, const char *target,
                                   const char *body)
{
    return send_request(f, remote_request(f, key, method, target, body));
}

/* What is told of a new key named "ci"; "key" is its secret. scopes as in JSON: "\"read\",\"admin\"" */
static inline const json_value *new_key(struct fixture *f, const char *scopes)
{
    struct str    body = str_printf(f->arena, "{\"name\":\"ci\",\"scopes\":[%s]}", scopes);
    struct answer answer = ask(f, "POST", W "/api-keys", str_z(f->arena, body));
    check_int(answer.status, 201);
    return answer.body;
}
static inline struct str new_secret(struct fixture *f, const char *scopes)
{
    return json_str(new_key(f, scopes), "key");
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static inline struct str header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->reply.header_count; i++)
        if (str_eq_nocase(answer->reply.headers[i].name, str_of(name))) return answer->reply.headers[i].value;
    return (struct str){0};
}

static inline void check_error(const struct answer *answer, int status, const char *error, const char *message)
{
    check_int(answer->status, status);
    check_str(json_str(answer->body, "error"), error);
    if (message) check_str(json_str(answer->body, "message"), message);
    check(json_str(answer->body, "requestId").n > 0);
    check(str_eq(header(answer, "X-Request-Id"), json_str(answer->body, "requestId")));
}

/* What the API says of one field of a request. */
static inline struct str problem(const struct answer *answer, const char *field)
{
    check_int(answer->status, 400);
    check_str(json_str(answer->body, "error"), "VALIDATION_ERROR");
    check_str(json_str(answer->body, "message"), "Invalid request");
    return json_str(json_member(json_get(answer->body, "details"), str_of(field)), "0");
}
