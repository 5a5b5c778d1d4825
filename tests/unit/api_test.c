/* api_test.c - the API as a function: order of checks, wordings, limits, and every route once on a real database. */
#include "check.h"
#include "directory.h"

#include "answer/answer.h"
#include "api/call.h"
#include "crypto/crypto.h"

#include <stdlib.h>
#include <unistd.h>

#define W "/v1/orgs/local/workspaces/main"

struct fixture {
    struct arena *arena;
    struct config config;
    struct app    app;
    char          dir[DIRECTORY_PATH];
};

struct answer {
    int               status;
    const json_value *body;
    struct str        text;
    struct net_reply  reply;
};

static void fixture_start(struct fixture *f, struct arena *arena)
{
    f->arena = arena;
    directory_make(f->dir);
    f->config.public_url = STR("https://memory.example.com");
    f->app.config = &f->config;
    f->app.started_at = time_now();
    check_ok(db_open(arena, (struct db_config){.data_dir = str_of(f->dir)}, &f->app.db));
    check_ok(org_prepare(f->app.db, arena));
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &f->app.embed));
    f->app.memory = (struct memory){.db = f->app.db, .embed = f->app.embed};
    f->app.search = search_create(f->app.db, f->app.embed, (struct search_config){.memory_limit = 64 << 20});
    f->app.answer = answer_create((struct answer_config){f->app.db, f->app.search, f->app.embed, NULL});
    f->app.api = api_create(&f->app);
}

static void fixture_end(struct fixture *f)
{
    time_set(0);
    if (!f->app.db) return;
    api_destroy(f->app.api);
    answer_destroy(f->app.answer);
    search_destroy(f->app.search);
    embed_destroy(f->app.embed);
    db_close(f->app.db);
    directory_remove(f->dir);
}
#define FIXTURE(name)                                                       \
    struct fixture name __attribute__((cleanup(fixture_end))) = {0};        \
    fixture_start(&name, arena)

static struct answer send_request(struct fixture *f, struct net_request *request)
{
    struct answer answer = {0};
    api_handle(&f->app, request, &answer.reply);
    answer.status = answer.reply.status;
    answer.text = answer.reply.body;
    if (answer.text.n && !answer.reply.content_type) check_ok(json_parse(f->arena, answer.text, &answer.body));
    return answer;
}

static struct answer ask(struct fixture *f, const char *method, const char *target, const char *body)
{
    return send_request(f, net_request_local(f->arena, method, str_of(target), str_of(body)));
}

static struct net_request *remote_request(struct fixture *f, struct str key, const char *method, const char *target,
                                          const char *body)
{
    struct net_request *request = net_request_local(f->arena, method, str_of(target), str_of(body));
    request->local = false;
    request->remote = STR("203.0.113.9");
    if (key.s)
        net_request_header(request, "Authorization", str_printf(f->arena, "Bearer " STR_FMT, STR_ARG(key)));
    return request;
}

static struct answer ask_as(struct fixture *f, struct str key, const char *method, const char *target, const char *body)
{
    return send_request(f, remote_request(f, key, method, target, body));
}

static struct str header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->reply.header_count; i++)
        if (str_eq_nocase(answer->reply.headers[i].name, str_of(name))) return answer->reply.headers[i].value;
    return (struct str){0};
}

static struct str new_key(struct fixture *f, const char *scopes)
{
    struct str body = str_printf(f->arena, "{\"name\":\"test\",\"scopes\":[%s]}", scopes);
    struct answer answer = ask(f, "POST", W "/api-keys", str_z(f->arena, body));
    check_int(answer.status, 201);
    return json_str(answer.body, "key");
}

static void check_error(const struct answer *answer, int status, const char *error, const char *message)
{
    check_int(answer->status, status);
    check_str(json_str(answer->body, "error"), error);
    if (message) check_str(json_str(answer->body, "message"), message);
    check(json_str(answer->body, "requestId").n > 0);
    check(str_eq(header(answer, "X-Request-Id"), json_str(answer->body, "requestId")));
}

/* What the API says of one field of a request. */
static struct str problem(const struct answer *answer, const char *field)
{
    check_int(answer->status, 400);
    check_str(json_str(answer->body, "error"), "VALIDATION_ERROR");
    check_str(json_str(answer->body, "message"), "Invalid request");
    return json_str(json_member(json_get(answer->body, "details"), str_of(field)), "0");
}

/* ---- routes ------------------------------------------------------------------------------------------------------------ */

TEST(api, repeated_and_trailing_slashes_and_the_api_prefix_are_tolerated)
{
    static const char *const paths[] = {"/v1/search", "/v1/search/", "//v1//search", "/api/v1/search"};
    struct api_match match;
    for (size_t i = 0; i < 4; i++) {
        api_match(STR("POST"), str_of(paths[i]), &match);
        check(match.route && match.route->handler == api_search);
    }
    api_match(STR("POST"), STR("/v1/similar"), &match);
    check(match.route && match.route->handler == api_similar);
    api_match(STR("GET"), STR("/api/healthz"), &match);
    check(!match.route);
}

TEST(api, path_parameters_are_named)
{
    struct api_call call = {0};
    api_match(STR("DELETE"), STR("/v1/orgs/acme/workspaces/main/api-keys/key_1"), &call.match);
    check(call.match.route && call.match.route->handler == api_key_delete);
    check_str(api_parameter(&call, "org"), "acme");
    check_str(api_parameter(&call, "ws"), "main");
    check_str(api_parameter(&call, "id"), "key_1");
}

TEST(api, a_wrong_method_is_named_before_anything_else)
{
    FIXTURE(f);
    struct answer answer = ask_as(&f, (struct str){0}, "GET", "/v1/search", "");
    check_error(&answer, 405, "METHOD_NOT_ALLOWED", "Use POST method");
    check_str(header(&answer, "Allow"), "POST");
    answer = ask_as(&f, (struct str){0}, "PUT", W "/imports", "");
    check_error(&answer, 405, "METHOD_NOT_ALLOWED", "Use GET or POST method");
    check_str(header(&answer, "Allow"), "GET, HEAD, POST");
    answer = ask_as(&f, (struct str){0}, "GET", W "/jobs/bulk", ""); /* not the job of that id */
    check_error(&answer, 405, "METHOD_NOT_ALLOWED", "Use POST method");
    check_str(header(&answer, "Allow"), "POST");
}

TEST(api, an_unknown_route_is_not_found)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "GET", "/v1/nothing", "");
    check_error(&answer, 404, "NOT_FOUND", "Route not found");
    answer = ask(&f, "GET", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "");
    check_error(&answer, 404, "NOT_FOUND", "Route not found");
}

TEST(api, the_memories_interface_is_gone)
{
    FIXTURE(f);
    struct answer answer = ask_as(&f, (struct str){0}, "POST", "/v1/memories", "{}");
    check_error(&answer, 410, "GONE", NULL);
    answer = ask_as(&f, (struct str){0}, "DELETE", "/v1/memories/notes/1", "");
    check_error(&answer, 410, "GONE", NULL);
    answer = ask_as(&f, (struct str){0}, "POST", "/v1/memories/search", "{}");
    check(str_find(json_str(answer.body, "message"), STR("/v1/search"), 0) != SIZE_MAX);
}

TEST(api, a_delivery_too_large_to_be_read_is_counted)
{
    FIXTURE(f);
    struct net_request *request = net_request_local(arena, "POST", STR("/webhooks/linear"), STR(""));
    request->body_state = NET_BODY_TOO_LARGE;
    struct answer answer = send_request(&f, request);
    check_error(&answer, 413, "PAYLOAD_TOO_LARGE", NULL);
    check(str_find(ask(&f, "GET", "/metrics", "").text,
                   STR("deliveries_total{source=\"linear\",outcome=\"refused\",reason=\"PAYLOAD_TOO_LARGE\"} 1"), 0) != SIZE_MAX);
}

TEST(api, every_documented_route_exists_and_every_route_is_documented)
{
    FIXTURE(f);
    struct answer     answer = ask_as(&f, (struct str){0}, "GET", "/v1/openapi.json", "");
    const json_value *paths = json_get(answer.body, "paths");
    size_t            documented = 0, served = 0;
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "openapi"), "3.1.0");
    check_str(json_str(answer.body, "servers.0.url"), "https://memory.example.com");
    check_str(json_str(answer.body, "info.version"), LIGHTFAST_VERSION);
    for (struct json_iter path = json_iter(paths); json_step(&path);) documented += json_count(path.value);
    for (const struct api_route *route = api_routes; route->method; route++) {
        if (!route->operation) continue;
        served++;
        struct str        method = str_lower(arena, str_of(route->method));
        const json_value *operation = json_member(json_member(paths, str_of(route->path)), method);
        check_str(json_str(operation, "operationId"), route->operation);
    }
    check_int(documented, served);
}

/* The schema's property that a field of a table stands for. */
static void check_field_documented(const json_value *document, const json_value *schema, const struct api_field *field)
{
    const json_value *property = json_member(json_get(schema, "properties"), str_of(field->name));
    check(property != NULL);
    struct str reference = json_str(property, "$ref");
    if (field->kind == API_OBJECT) {
        check_str(reference, "#/components/schemas/Filters");
        for (const struct api_field *inner = field->fields; inner->name; inner++)
            check_field_documented(document, json_get(document, "components.schemas.Filters"), inner);
    }
    if (field->kind == API_INTEGER || field->kind == API_NUMBER) {
        check_near(json_real(property, "minimum", -1), field->least, 0);
        if (field->most < API_UNBOUNDED) check_near(json_real(property, "maximum", -1), field->most, 0);
        if (field->otherwise >= 0) check_near(json_real(property, "default", -1), field->otherwise, 0);
    }
    if (field->kind == API_TEXT) check_near(json_real(property, "maxLength", -1), field->most, 0);
    if (field->kind == API_TEXT && field->required) check_near(json_real(property, "minLength", -1), field->least, 0);
    if (field->kind == API_TEXTS || field->kind == API_LIST)
        check_near(json_real(property, "maxItems", -1), field->most, 0);
    if (field->kind == API_BOOLEAN) check_int(json_bool(property, "default", field->otherwise == 0), field->otherwise != 0);
    if (field->kind == API_ENUM) {
        size_t n = 0;
        while (field->values[n]) n++;
        check_int(json_count(json_get(property, "enum")), field->required ? n : n + 1); /* and null */
        check_str(json_str(property, "default"), field->values[(int)field->otherwise]);
    }
}

TEST(api, bounds_and_defaults_of_the_document_are_those_of_the_field_tables)
{
    static const struct { const char *schema; const struct api_field *fields; } requests[] = {
        {"AnswerRequest", api_ask_fields},       {"SearchRequest", api_search_fields},    {"ContentsRequest", api_contents_fields},
        {"SimilarRequest", api_similar_fields},  {"GraphRequest", api_graph_fields},
        {"RelatedRequest", api_related_fields},  {"ApiKeyRequest", api_key_fields},
        {"RotationRequest", api_rotation_fields}, {"ImportRequest", api_import_fields},
        {"ImportEvents", api_import_events_fields}, {"ImportEnd", api_import_finish_fields},
    };
    FIXTURE(f);
    struct answer answer = ask(&f, "GET", "/v1/openapi.json", "");
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const json_value *schema = json_member(json_get(answer.body, "components.schemas"), str_of(requests[i].schema));
        size_t            n = 0;
        for (const struct api_field *field = requests[i].fields; field->name; field++, n++)
            check_field_documented(answer.body, schema, field);
        check_int(json_count(json_get(schema, "properties")), n);
    }
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

TEST(api, messages_are_checked_beside_a_query_too)
{
    FIXTURE(f);
    static const char *const wrong[] = {
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"parts\":{}}]}",
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"user\",\"content\":7,\"parts\":[]}]}",
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct answer answer = ask(&f, "POST", "/v1/answer", wrong[i]);
        check_error(&answer, 400, "VALIDATION_ERROR", NULL);
        check_int(json_count(json_get(answer.body, "details.messages")), 1);
    }
    struct answer answer = ask(&f, "POST", "/v1/answer", "{\"query\":\"anything\",\"messages\":[]}");
    check_int(answer.status, 200);
}

TEST(api, a_question_without_a_socket_gets_its_events_as_one_text)
{
    FIXTURE(f);
    struct answer events = ask(&f, "POST", "/v1/answer", "{\"query\":\"anything\",\"stream\":true,\"sessionId\":\"s-1\"}");
    check_int(events.status, 200);
    check_str(str_of(events.reply.content_type), "text/event-stream");
    check(str_starts(events.text, STR("id: 1\nevent: start\ndata: {\"requestId\":")));
    check(str_find(events.text, STR("\nevent: done\ndata: {\"answer\":{"), 0) != SIZE_MAX);
    struct answer chat = ask(&f, "POST", "/v1/answer/answer-v1/s-1", "{\"messages\":[{\"role\":\"user\",\"content\":\"anything\"}]}");
    check(str_ends(chat.text, STR("data: [DONE]\n\n")));
    check_int(ask(&f, "GET", "/v1/answer/answer-v1/s-1", "").status, 204);
    check_int(ask(&f, "DELETE", "/v1/answer/answer-v1/s-1", "").status, 200);
    struct answer gone = ask(&f, "GET", "/v1/answer/answer-v1/s-1", "");
    check_error(&gone, 404, "NOT_FOUND", "Answer session not found");
}

TEST(api, the_session_of_one_key_is_closed_to_another)
{
    FIXTURE(f);
    struct str mine = new_key(&f, "\"answer\""), theirs = new_key(&f, "\"answer\""), weak = new_key(&f, "\"read\"");
    const char *question = "{\"query\":\"anything\",\"sessionId\":\"s-1\"}";
    check_int(ask_as(&f, mine, "POST", "/v1/answer", question).status, 200);
    struct answer foreign = ask_as(&f, theirs, "POST", "/v1/answer", question);
    check_error(&foreign, 403, "FORBIDDEN", "This answer session belongs to someone else");
    check_int(ask_as(&f, theirs, "DELETE", "/v1/answer/x/s-1", "").status, 403);
    check_int(ask_as(&f, mine, "GET", "/v1/answer/x/s-1", "").status, 204);
    struct answer refused = ask_as(&f, weak, "POST", "/v1/answer", question);
    check_error(&refused, 403, "FORBIDDEN", "This API key lacks the scope 'answer'");
}

/* ---- credentials --------------------------------------------------------------------------------------------------------- */

TEST(api, credentials_that_do_not_count_are_told_apart)
{
    FIXTURE(f);
    struct answer answer = ask_as(&f, (struct str){0}, "POST", "/v1/search", "not json");
    check_error(&answer, 401, "UNAUTHORIZED",
                "Authentication required. Provide 'Authorization: Bearer <api-key>' header or sign in.");
    check_str(header(&answer, "WWW-Authenticate"), "Bearer");

    struct net_request *basic = remote_request(&f, (struct str){0}, "POST", "/v1/search", "{}");
    net_request_header(basic, "Authorization", STR("Basic YTpi"));
    answer = send_request(&f, basic);
    check_error(&answer, 401, "UNAUTHORIZED", "API key required. Provide 'Authorization: Bearer <api-key>' header.");

    answer = ask_as(&f, STR("sk-lf-short"), "POST", "/v1/search", "{}");
    check_error(&answer, 401, "UNAUTHORIZED", "Invalid API key format.");
    answer = ask_as(&f, STR("sk-lf-0000000000000000000000000000000000000000000"), "POST", "/v1/search", "{}");
    check_error(&answer, 401, "UNAUTHORIZED", "Invalid API key");
}

TEST(api, a_good_key_names_its_workspace)
{
    FIXTURE(f);
    struct str          key = new_key(&f, "\"read\"");
    struct net_request *request = remote_request(&f, key, "GET", "/v1/workspace", "");
    net_request_header(request, "X-Workspace-ID", STR("ws_somewhereElse00000000000"));
    struct answer answer = send_request(&f, request);
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "name"), "main");
    check_str(json_str(answer.body, "organization.slug"), "local");
    check(str_eq(header(&answer, "X-Workspace-ID"), json_str(answer.body, "id")));
}

TEST(api, a_revoked_key_is_refused_at_once)
{
    FIXTURE(f);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"ci\"}");
    struct str    key = json_str(made.body, "key"), id = json_str(made.body, "id");
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200); /* now it is cached */
    const char *target = str_z(arena, str_printf(arena, W "/api-keys/" STR_FMT "/revoke", STR_ARG(id)));
    check_int(ask(&f, "POST", target, "").status, 200);
    struct answer answer = ask_as(&f, key, "GET", "/v1/workspace", "");
    check_error(&answer, 401, "UNAUTHORIZED", "Invalid API key");
    answer = ask(&f, "POST", target, "");
    check_error(&answer, 409, "CONFLICT", NULL);
}

TEST(api, an_expired_key_is_refused_though_it_is_cached)
{
    FIXTURE(f);
    time_set(1750000000000);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"short\",\"expiresAt\":\"2025-06-15T15:06:41Z\"}");
    check_int(made.status, 201);
    struct str key = json_str(made.body, "key");
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200);
    time_set(1750000001001);
    struct answer answer = ask_as(&f, key, "GET", "/v1/workspace", "");
    check_error(&answer, 401, "UNAUTHORIZED", "API key expired");
}

TEST(api, a_missing_scope_is_forbidden_before_the_body_is_read)
{
    FIXTURE(f);
    struct str    key = new_key(&f, "\"ingest\"");
    struct answer answer = ask_as(&f, key, "POST", "/v1/search", "not json");
    check_error(&answer, 403, "FORBIDDEN", NULL);
    check_int(ask_as(&f, key, "GET", W "/imports", "").status, 200);
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200); /* needs none */
}

TEST(api, keys_list_with_admin_but_never_change_keys)
{
    FIXTURE(f);
    struct str key = new_key(&f, "\"admin\"");
    check_int(ask_as(&f, key, "GET", W "/api-keys", "").status, 200);
    struct answer answer = ask_as(&f, key, "POST", W "/api-keys", "{\"name\":\"more\"}");
    check_error(&answer, 403, "FORBIDDEN", "This is not open to API keys");
}

TEST(api, a_foreign_workspace_in_the_path_is_not_found)
{
    FIXTURE(f);
    struct str    key = new_key(&f, "\"ingest\"");
    struct answer answer = ask_as(&f, key, "GET", "/v1/orgs/local/workspaces/other/imports", "");
    check_error(&answer, 404, "NOT_FOUND", "Workspace not found");
    answer = ask(&f, "GET", "/v1/orgs/nobody/workspaces/main/imports", "");
    check_error(&answer, 404, "NOT_FOUND", "Workspace not found");
}

TEST(api, the_use_of_a_key_is_noted)
{
    FIXTURE(f);
    struct str    key = new_key(&f, "\"admin\"");
    struct answer before = ask(&f, "GET", W "/api-keys", "");
    check(json_is_null(json_get(before.body, "data.0.lastUsedAt")));
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200);
    struct answer after = ask(&f, "GET", W "/api-keys", "");
    check(json_is_string(json_get(after.body, "data.0.lastUsedAt")));
}

/* ---- limits -------------------------------------------------------------------------------------------------------------- */

TEST(api, a_bucket_gives_a_minutes_worth_and_refills)
{
    FIXTURE(f);
    f.config.limit_search = 3;
    time_set(1750000000000);
    struct str key = new_key(&f, "\"read\"");
    for (int left = 2; left >= 0; left--) {
        struct answer answer = ask_as(&f, key, "POST", "/v1/search", "{\"query\":\"x\"}");
        check_int(answer.status, 200);
        check_str(header(&answer, "X-RateLimit-Limit"), "3");
        check_str(header(&answer, "X-RateLimit-Remaining"), left == 2 ? "2" : left == 1 ? "1" : "0");
    }
    struct answer answer = ask_as(&f, key, "POST", "/v1/findsimilar", "{}"); /* the same bucket, before validation */
    check_error(&answer, 429, "RATE_LIMITED", "Rate limit exceeded. Retry after 20 seconds.");
    check_str(header(&answer, "Retry-After"), "20");
    check_int(json_int(answer.body, "retryAfter", 0), 20);
    check_str(header(&answer, "X-RateLimit-Reset"), "1750000060");
    check_int(ask_as(&f, key, "POST", "/v1/contents", "{\"ids\":[\"x\"]}").status, 200); /* another bucket */
    time_set(1750000020000);
    check_int(ask_as(&f, key, "POST", "/v1/search", "{\"query\":\"x\"}").status, 200);
}

TEST(api, failed_authentication_is_limited_by_address_and_harms_no_good_key)
{
    FIXTURE(f);
    f.config.limit_auth_failures = 2;
    time_set(1750000000000);
    struct str key = new_key(&f, "\"read\"");
    for (int i = 0; i < 2; i++) check_int(ask_as(&f, STR("wrong"), "GET", "/v1/workspace", "").status, 401);
    struct answer answer = ask_as(&f, STR("wrong"), "GET", "/v1/workspace", "");
    check_error(&answer, 429, "RATE_LIMITED", "Rate limit exceeded. Retry after 30 seconds.");
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200);
    struct net_request *other = remote_request(&f, STR("wrong"), "GET", "/v1/workspace", "");
    other->remote = STR("203.0.113.10");
    check_int(send_request(&f, other).status, 401);
}

TEST(api, many_callers_do_not_grow_the_table_of_buckets)
{
    struct api_limits *limits = api_limits_create();
    time_set(1750000000000);
    for (uint64_t who = 1; who < 100000; who++) check(api_limits_take(limits, who, 1, 1).allowed);
    check(!api_limits_take(limits, 99999, 1, 1).allowed); /* the newest is remembered */
    time_set(0);
    api_limits_destroy(limits);
}

TEST(api, forwarded_addresses_count_only_from_trusted_proxies)
{
    FIXTURE(f);
    struct net_request *request = remote_request(&f, (struct str){0}, "GET", "/healthz", "");
    net_request_header(request, "X-Forwarded-For", STR("6.6.6.6, 198.51.100.7, 10.1.2.3"));
    check_str(api_client_address(f.app.api, request), "203.0.113.9");
    check(api_network_parse(STR("203.0.113.0/24"), &f.app.api->proxies[f.app.api->proxy_count++]));
    check(api_network_parse(STR("10.0.0.0/8"), &f.app.api->proxies[f.app.api->proxy_count++]));
    check_str(api_client_address(f.app.api, request), "198.51.100.7"); /* what the client wrote itself does not count */
}

TEST(api, networks_hold_their_addresses)
{
    struct api_network network;
    check(api_network_parse(STR("10.128.0.0/9"), &network));
    check(api_network_holds(&network, STR("10.200.1.1")));
    check(!api_network_holds(&network, STR("10.1.1.1")));
    check(api_network_parse(STR("2001:db8::/33"), &network));
    check(api_network_holds(&network, STR("2001:db8:7fff::1")));
    check(!api_network_holds(&network, STR("2001:db8:8000::1")));
    check(api_network_parse(STR("::1"), &network) && api_network_holds(&network, STR("::1")));
    check(!api_network_parse(STR("10.0.0.0/33"), &network));
    check(!api_network_parse(STR("example.com"), &network));
}

/* ---- validation ------------------------------------------------------------------------------------------------------------ */

TEST(api, every_problem_is_reported_at_once_under_its_top_level_name)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/search",
                               "{\"limit\":0,\"offset\":-1,\"mode\":\"x\",\"includeContext\":\"yes\","
                               "\"filters\":{\"sourceTypes\":[1],\"dateRange\":{\"start\":\"soon\"}}}");
    check_str(problem(&answer, "query"), "Required");
    check_str(problem(&answer, "limit"), "Number must be greater than or equal to 1");
    check_str(problem(&answer, "offset"), "Number must be greater than or equal to 0");
    check_str(problem(&answer, "mode"), "Invalid enum value. Expected 'fast' | 'balanced' | 'thorough', received 'x'");
    check_str(problem(&answer, "includeContext"), "Expected boolean, received string");
    check_str(problem(&answer, "filters"), "Expected string, received number");
    check_str(json_str(answer.body, "details.filters.1"), "Invalid datetime");
    check_int(json_count(json_get(answer.body, "details")), 6);
}

TEST(api, wordings_of_single_problems)
{
    static const struct { const char *path, *body, *field, *text; } cases[] = {
        {"/v1/search", "{\"query\":\"  \"}", "query", "Query must not be empty"},
        {"/v1/search", "{\"query\":5}", "query", "Expected string, received number"},
        {"/v1/search", "{\"query\":\"x\",\"limit\":101}", "limit", "Number must be less than or equal to 100"},
        {"/v1/search", "{\"query\":\"x\",\"limit\":1.5}", "limit", "Expected integer, received float"},
        {"/v1/search", "{\"query\":\"x\",\"limit\":\"5\"}", "limit", "Expected number, received string"},
        {"/v1/search", "{\"query\":\"x\",\"filters\":[]}", "filters", "Expected object, received array"},
        {"/v1/search", "[]", "body", "Expected object, received array"},
        {"/v1/search", "{\"query\":\"x\",\"filters\":{\"dateRange\":{\"start\":\"2026-02-01\",\"end\":\"2026-01-01\"}}}",
         "filters", "dateRange.start must not be after dateRange.end"},
        {"/v1/contents", "{\"ids\":[]}", "ids", "At least one ID required"},
        {"/v1/contents", "{}", "ids", "Required"},
        {"/v1/findsimilar", "{\"id\":\"\",\"url\":null}", "id", "Either id or url must be provided"},
        {"/v1/findsimilar", "{\"url\":\"github.com/a/b\"}", "url", "Invalid url"},
        {"/v1/findsimilar", "{\"id\":\"x\",\"threshold\":1.1}", "threshold", "Number must be less than or equal to 1"},
        {"/v1/graph", "{\"id\":\"x\",\"depth\":4}", "depth", "Number must be less than or equal to 3"},
        {"/v1/related", "{}", "id", "Required"},
        {W "/api-keys", "{\"name\":\"x\",\"scopes\":[\"root\"]}", "scopes",
         "Invalid enum value. Expected 'read' | 'answer' | 'ingest' | 'admin', received 'root'"},
        {W "/api-keys", "{\"name\":\"x\",\"expiresAt\":\"2001-01-01\"}", "expiresAt", "Must be in the future"},
    };
    FIXTURE(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct answer answer = ask(&f, "POST", cases[i].path, cases[i].body);
        check_str(problem(&answer, cases[i].field), cases[i].text);
        check_int(json_count(json_get(answer.body, "details")), 1);
    }
}

TEST(api, similar_without_id_and_url_is_told_together_with_other_problems)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/findsimilar", "{\"limit\":99}");
    check_str(problem(&answer, "id"), "Either id or url must be provided");
    check_str(problem(&answer, "limit"), "Number must be less than or equal to 50");
    check_int(json_count(json_get(answer.body, "details")), 2);
    answer = ask(&f, "POST", "/v1/findsimilar", "[]");
    check_int(json_count(json_get(answer.body, "details")), 1);
}

TEST(api, fifty_ids_are_allowed_and_one_more_is_not)
{
    FIXTURE(f);
    struct buf body = buf_in(arena);
    buf_lit(&body, "{\"ids\":[");
    for (int i = 0; i < 50; i++) buf_printf(&body, "%s\"id%d\"", i ? "," : "", i);
    check_int(ask(&f, "POST", "/v1/contents", str_z(arena, str_printf(arena, STR_FMT "]}", STR_ARG(buf_str(&body))))).status,
              200);
    buf_lit(&body, ",\"one more\"]}");
    struct answer answer = ask(&f, "POST", "/v1/contents", str_z(arena, buf_str(&body)));
    check_str(problem(&answer, "ids"), "Maximum 50 IDs per request");
}

TEST(api, null_is_absent_and_unknown_fields_are_ignored)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/search",
                               "{\"query\":\"x\",\"limit\":null,\"filters\":null,\"mode\":\"quality\",\"shoe\":42}");
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.limit", 0), 10);
    check_str(json_str(answer.body, "meta.mode"), "thorough");
}

TEST(api, a_number_written_with_a_fraction_of_zero_is_an_integer)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/search", "{\"query\":\"x\",\"limit\":5.0,\"offset\":1e30}");
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.limit", 0), 5);
}

TEST(api, a_body_that_is_not_json_is_said_to_be_so)
{
    static const char *const bodies[] = {"", "{", "{\"query\":\"\xff\"}", "{} {}", "{'query':1}"};
    FIXTURE(f);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct answer answer = ask(&f, "POST", "/v1/search", bodies[i]);
        check_error(&answer, 400, "INVALID_JSON", "Invalid JSON body");
    }
}

TEST(api, a_date_means_its_whole_day_and_a_span_counts_back)
{
    struct { struct api_range range; } record = {0};
    static const struct api_field fields[] = {{"dateRange", NULL, API_RANGE, 0, .required = false}, {0}};
    struct api_call   call = {.arena = arena};
    const json_value *value;
    check_ok(json_parse(arena, STR("{\"dateRange\":{\"start\":\"2026-01-01\",\"end\":\"2026-01-01\"}}"), &value));
    api_fields(&call, value, fields, &record);
    check_int(record.range.end - record.range.start, DAYS(1) - 1);
    time_set(1750000000000);
    check_ok(json_parse(arena, STR("{\"dateRange\":\"7d\"}"), &value));
    api_fields(&call, value, fields, &record);
    check_int(record.range.start, 1750000000000 - DAYS(7));
    time_set(0);
    check_int(call.issues.n, 0);
    check_ok(json_parse(arena, STR("{\"dateRange\":\"recently\"}"), &value));
    api_fields(&call, value, fields, &record);
    check_int(call.issues.n, 1);
}

/* ---- the envelope ------------------------------------------------------------------------------------------------------------ */

TEST(api, a_request_id_is_taken_over_if_it_is_one)
{
    FIXTURE(f);
    struct net_request *request = net_request_local(arena, "GET", STR("/v1/workspace"), (struct str){0});
    net_request_header(request, "X-Request-Id", STR("build-42.a"));
    struct answer answer = send_request(&f, request);
    check_str(json_str(answer.body, "requestId"), "build-42.a");
    check_str(header(&answer, "X-Request-Id"), "build-42.a");
    request = net_request_local(arena, "GET", STR("/v1/workspace"), (struct str){0});
    net_request_header(request, "X-Request-Id", STR("short"));
    answer = send_request(&f, request);
    check_int(json_str(answer.body, "requestId").n, 36);
}

TEST(api, cors_is_for_listed_origins_only)
{
    FIXTURE(f);
    f.config.cors_origins[0] = STR("https://app.example.com");
    f.config.cors_origin_count = 1;
    struct net_request *preflight = remote_request(&f, (struct str){0}, "OPTIONS", "/v1/search", "");
    net_request_header(preflight, "Origin", STR("https://app.example.com"));
    net_request_header(preflight, "Access-Control-Request-Method", STR("POST"));
    struct answer answer = send_request(&f, preflight);
    check_int(answer.status, 204);
    check_str(header(&answer, "Access-Control-Allow-Origin"), "https://app.example.com");
    check(header(&answer, "Access-Control-Allow-Headers").n > 0);

    struct net_request *foreign = remote_request(&f, (struct str){0}, "OPTIONS", "/v1/search", "");
    net_request_header(foreign, "Origin", STR("https://evil.example.com"));
    net_request_header(foreign, "Access-Control-Request-Method", STR("POST"));
    answer = send_request(&f, foreign);
    check_int(answer.status, 405);
    check(!header(&answer, "Access-Control-Allow-Origin").s);
}

TEST(api, a_body_too_large_is_refused_in_json)
{
    FIXTURE(f);
    struct net_request *request = net_request_local(arena, "POST", STR("/v1/search"), (struct str){0});
    request->body_state = NET_BODY_TOO_LARGE;
    struct answer answer = send_request(&f, request);
    check_error(&answer, 413, "PAYLOAD_TOO_LARGE", NULL);
    check_int(api_body_limit(&f.app, STR("POST"), STR("/v1/search")), 1 << 20);
    check_int(api_body_limit(&f.app, STR("POST"), STR(W "/imports/job_1/events")), 25 << 20);
}

TEST(api, health_may_need_a_token)
{
    FIXTURE(f);
    struct answer answer = ask_as(&f, (struct str){0}, "GET", "/healthz", "");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "status"), "ok");
    check_str(header(&answer, "Cache-Control"), "no-store");
    check_int(ask_as(&f, (struct str){0}, "GET", "/readyz", "").status, 200);
    f.config.health_token = STR("t0ken");
    check_int(ask_as(&f, (struct str){0}, "GET", "/healthz", "").status, 401);
    check_int(ask_as(&f, STR("t0ken"), "GET", "/healthz", "").status, 200);
}

TEST(api, metrics_are_off_until_there_is_a_token)
{
    FIXTURE(f);
    check_int(ask_as(&f, STR("any"), "GET", "/metrics", "").status, 404);
    f.config.metrics_token = STR("t0ken");
    check_int(ask_as(&f, STR("any"), "GET", "/metrics", "").status, 401);
    check_int(ask(&f, "POST", "/v1/search", "{\"query\":\"x\",\"mode\":\"fast\"}").status, 200);
    struct answer answer = ask_as(&f, STR("t0ken"), "GET", "/metrics", "");
    check_int(answer.status, 200);
    check(str_find(answer.text, STR("lightfast_http_requests_total{method=\"POST\",route=\"/v1/search\",status=\"200\"} 1\n"),
                   0) != SIZE_MAX);
    check(str_find(answer.text, STR("lightfast_search_duration_seconds_count{mode=\"fast\"} 1\n"), 0) != SIZE_MAX);
    check(str_find(answer.text, STR("lightfast_observations 0\n"), 0) != SIZE_MAX);
    check(str_find(answer.text, STR("lightfast_process_resident_memory_bytes "), 0) != SIZE_MAX);
}

/* ---- keys ---------------------------------------------------------------------------------------------------------------------- */

TEST(api, keys_page_newest_first)
{
    FIXTURE(f);
    static const char *const names[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", "{\"name\":\"c\"}"};
    for (int i = 0; i < 3; i++) check_int(ask(&f, "POST", W "/api-keys", names[i]).status, 201);
    struct answer first = ask(&f, "GET", W "/api-keys?limit=2", "");
    check_int(json_count(json_get(first.body, "data")), 2);
    check_str(json_str(first.body, "data.0.name"), "c");
    check(json_bool(first.body, "hasMore", false));
    check(!json_str(first.body, "data.0.key").s); /* shown once only */
    struct str    cursor = json_str(first.body, "nextCursor");
    struct answer second =
        ask(&f, "GET", str_z(arena, str_printf(arena, W "/api-keys?limit=2&cursor=" STR_FMT, STR_ARG(cursor))), "");
    check_int(json_count(json_get(second.body, "data")), 1);
    check_str(json_str(second.body, "data.0.name"), "a");
    check(!json_bool(second.body, "hasMore", true));
    check(json_is_null(json_get(second.body, "nextCursor")));
    struct answer bad = ask(&f, "GET", W "/api-keys?cursor=nonsense&limit=1000", "");
    check_str(problem(&bad, "cursor"), "Invalid cursor");
    check_str(problem(&bad, "limit"), "Number must be less than or equal to 100");
}

TEST(api, rotation_gives_a_new_key_and_the_old_one_its_grace)
{
    FIXTURE(f);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"ci\",\"scopes\":[\"read\",\"ingest\"]}");
    struct str    old = json_str(made.body, "key"), id = json_str(made.body, "id");
    const char   *target = str_z(arena, str_printf(arena, W "/api-keys/" STR_FMT "/rotate", STR_ARG(id)));
    struct answer rotated = ask(&f, "POST", target, "{\"graceSeconds\":3600}");
    check_int(rotated.status, 201);
    check_str(json_str(rotated.body, "name"), "ci");
    check_int(json_count(json_get(rotated.body, "scopes")), 2);
    check_int(ask_as(&f, old, "GET", "/v1/workspace", "").status, 200);
    check_int(ask_as(&f, json_str(rotated.body, "key"), "GET", "/v1/workspace", "").status, 200);
    const char *again = str_z(arena, str_printf(arena, W "/api-keys/" STR_FMT "/rotate",
                                                STR_ARG(json_str(rotated.body, "id"))));
    check_int(ask(&f, "POST", again, "").status, 201); /* no grace */
    check_int(ask_as(&f, json_str(rotated.body, "key"), "GET", "/v1/workspace", "").status, 401);
}

TEST(api, a_deleted_key_is_gone)
{
    FIXTURE(f);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"ci\"}");
    const char   *target =
        str_z(arena, str_printf(arena, W "/api-keys/" STR_FMT, STR_ARG(json_str(made.body, "id"))));
    check_int(ask(&f, "DELETE", target, "").status, 200);
    check_int(ask_as(&f, json_str(made.body, "key"), "GET", "/v1/workspace", "").status, 401);
    check_int(ask(&f, "DELETE", target, "").status, 404);
}

/* ---- imports and what is found then --------------------------------------------------------------------------------------------- */

static const char events[] =
    "{\"events\":["
    "{\"source\":\"github\",\"sourceType\":\"pull-request.merged\",\"sourceId\":\"pr:acme/api#87:merged\","
    "\"title\":\"[PR Merged] Raise session timeout to 30 minutes\",\"body\":\"Users were signed out after 5 minutes; the session timeout is now configurable. Fixes #42\","
    "\"actor\":{\"id\":\"ada\",\"name\":\"ada\"},\"occurredAt\":\"2026-02-03T10:30:00Z\","
    "\"references\":[{\"type\":\"pr\",\"id\":\"#87\",\"url\":\"https://github.com/acme/api/pull/87\"},"
    "{\"type\":\"issue\",\"id\":\"#42\",\"url\":\"https://github.com/acme/api/issues/42\",\"label\":\"fixes\"}],"
    "\"metadata\":{\"repoFullName\":\"acme/api\",\"prNumber\":87}},"
    "{\"source\":\"github\",\"sourceType\":\"issue.opened\",\"sourceId\":\"issue:acme/api#42:opened\","
    "\"title\":\"[Issue Opened] Signed out too soon\",\"body\":\"The session ends while I type.\","
    "\"actor\":{\"id\":\"bob\",\"name\":\"bob\"},\"occurredAt\":\"2026-02-01T09:00:00Z\","
    "\"references\":[{\"type\":\"issue\",\"id\":\"#42\",\"url\":\"https://github.com/acme/api/issues/42\"}],"
    "\"metadata\":{\"repoFullName\":\"acme/api\"}},"
    "{\"source\":\"github\",\"title\":\"no type\"}]}";

static struct str begin_import(struct fixture *f, struct answer *answer)
{
    *answer = ask(f, "POST", W "/imports", "{\"repoFullName\":\"acme/api\",\"branch\":\"main\",\"github\":true}");
    check_int(answer->status, 201);
    return json_str(answer->body, "jobId");
}

static struct answer ask_import(struct fixture *f, struct str job, const char *what, const char *body)
{
    return ask(f, "POST", str_z(f->arena, str_printf(f->arena, W "/imports/" STR_FMT "/%s", STR_ARG(job), what)), body);
}

static struct answer store_story(struct fixture *f)
{
    struct answer begun;
    struct str    job = begin_import(f, &begun);
    return ask_import(f, job, "events", events);
}

TEST(api, an_import_stores_events_and_reports_those_it_cannot)
{
    FIXTURE(f);
    struct answer begun;
    struct str    job = begin_import(&f, &begun);
    check(json_is_null(json_get(begun.body, "lastSha")));
    check_int(json_count(json_get(begun.body, "pullRequests")), 0);
    struct answer answer = ask_import(&f, job, "events", events);
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "stored", -1), 2);
    check_int(json_int(answer.body, "failed", -1), 1);
    check_int(json_int(answer.body, "errors.0.index", -1), 2);
    check(json_str(answer.body, "errors.0.message").n > 0);
    answer = ask_import(&f, job, "events", events);
    check_int(json_int(answer.body, "duplicates", -1), 2);

    answer = ask_import(&f, job, "finish", "{\"tip\":\"3f2c1aa\",\"tags\":{\"v1\":\"3f2c1aa\"}}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "status"), "completed");
    check_int(json_int(answer.body, "scanned", -1), 6);
    check_int(json_int(answer.body, "stored", -1), 2);
    check_int(json_int(answer.body, "failed", -1), 2);
    answer = ask_import(&f, job, "events", events);
    check_error(&answer, 409, "CONFLICT", "The import is no longer running");

    begin_import(&f, &begun);
    check_str(json_str(begun.body, "lastSha"), "3f2c1aa");
    check_str(json_str(begun.body, "lastTags.v1"), "3f2c1aa");
    check_int(json_count(json_get(begun.body, "pullRequests")), 1);
    check(json_is_null(json_get(begun.body, "pullRequests.87"))); /* no commit is said to have merged it */
    answer = ask(&f, "GET", W "/imports", "");
    check_int(json_count(json_get(answer.body, "data")), 2);
    check_str(json_str(answer.body, "data.0.status"), "running");
}

TEST(api, an_unknown_import_is_not_found)
{
    FIXTURE(f);
    check_int(ask(&f, "GET", W "/imports/job_nothing", "").status, 404);
    check_int(ask_import(&f, STR("job_nothing"), "events", "{\"events\":[]}").status, 404);
}

TEST(api, search_answers_in_the_published_shape)
{
    FIXTURE(f);
    store_story(&f);
    struct answer answer = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "data.0.title"), "[PR Merged] Raise session timeout to 30 minutes");
    check_str(json_str(answer.body, "data.0.type"), "pull_request_merged");
    check_str(json_str(answer.body, "data.0.occurredAt"), "2026-02-03T10:30:00.000Z");
    check(str_find(json_str(answer.body, "data.0.highlights.title"), STR("<mark>"), 0) != SIZE_MAX);
    static const char *const order[] = {"data", "context", "meta", "latency", "requestId"};
    size_t                   i = 0;
    for (struct json_iter it = json_iter(answer.body); json_step(&it); i++) check_str(it.key, order[i]);
    check_int(i, 5);
    answer = ask(&f, "POST", "/v1/search",
                 "{\"query\":\"session\",\"includeContext\":false,\"includeHighlights\":false}");
    check(!json_get(answer.body, "context"));
    check(!json_get(answer.body, "data.0.highlights"));
}

TEST(api, an_empty_workspace_answers_with_nothing_found)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/search", "{\"query\":\"anything\"}");
    check_int(answer.status, 200);
    check_int(json_count(json_get(answer.body, "data")), 0);
    check_int(json_int(answer.body, "meta.total", -1), 0);
}

TEST(api, contents_keep_the_order_and_form_of_the_ids)
{
    FIXTURE(f);
    store_story(&f);
    struct answer found = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    struct str    id = json_str(found.body, "data.0.id"), bare = str_skip(id, 4);
    struct str    body = str_printf(arena, "{\"ids\":[\"obs_doesNotExist000000000\",\"" STR_FMT "\",\"" STR_FMT "\",\"" STR_FMT
                                           "\"]}", STR_ARG(bare), STR_ARG(id), STR_ARG(bare));
    struct answer answer = ask(&f, "POST", "/v1/contents", str_z(arena, body));
    check_int(answer.status, 200);
    check_int(json_count(json_get(answer.body, "items")), 2);
    check(str_eq(json_str(answer.body, "items.0.id"), bare));
    check(str_eq(json_str(answer.body, "items.1.id"), id));
    check_int(json_int(answer.body, "items.0.metadata.prNumber", 0), 87);
    check_str(json_str(answer.body, "missing.0"), "obs_doesNotExist000000000");
}

TEST(api, graph_and_related_answer_by_post_and_by_path)
{
    FIXTURE(f);
    store_story(&f);
    struct answer found = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    struct str    id = json_str(found.body, "data.0.id");
    struct answer answer =
        ask(&f, "GET", str_z(arena, str_printf(arena, "/v1/graph/" STR_FMT "?depth=1&types=fixes", STR_ARG(id))), "");
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.depth", 0), 1);
    check_int(json_int(answer.body, "meta.edgeCount", 0), 1);
    check_str(json_str(answer.body, "data.edges.0.type"), "fixes");
    check(json_bool(answer.body, "data.nodes.0.isRoot", false));
    answer = ask(&f, "GET", str_z(arena, str_printf(arena, "/v1/related/" STR_FMT, STR_ARG(id))), "");
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.total", 0), 1);
    check_str(json_str(answer.body, "data.related.0.relationshipType"), "fixes");
    check_str(json_str(answer.body, "data.related.0.direction"), "outgoing");
    check_int(json_count(json_get(answer.body, "data.bySource.github")), 1);
    answer = ask(&f, "GET", "/v1/graph/obs_doesNotExist000000000?depth=1.5", "");
    check_str(problem(&answer, "depth"), "Expected integer, received float");
    answer = ask(&f, "GET", "/v1/graph/obs_doesNotExist000000000?depth=99999999999999999999", "");
    check_str(problem(&answer, "depth"), "Number must be less than or equal to 3");
    answer = ask(&f, "GET", "/v1/graph/obs_doesNotExist000000000?depth=9", "");
    check_str(problem(&answer, "depth"), "Number must be less than or equal to 3");
    answer = ask(&f, "POST", "/v1/related", "{\"id\":\"obs_doesNotExist000000000\"}");
    check_error(&answer, 404, "NOT_FOUND", "Observation not found: obs_doesNotExist000000000");
}

TEST(api, similar_takes_an_url_and_says_when_it_is_unknown)
{
    FIXTURE(f);
    store_story(&f);
    struct answer answer =
        ask(&f, "POST", "/v1/findsimilar", "{\"url\":\"https://github.com/acme/api/pull/87\",\"threshold\":0}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "source.type"), "pull_request_merged");
    check(json_bool(answer.body, "meta.inputEmbedding.found", false));
    answer = ask(&f, "POST", "/v1/similar", "{\"url\":\"https://github.com/acme/api/pull/88\"}");
    check_error(&answer, 404, "NOT_FOUND", "URL not found in workspace: https://github.com/acme/api/pull/88");
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(api, repeated_and_trailing_slashes_and_the_api_prefix_are_tolerated),
        RUN(api, path_parameters_are_named),
        RUN(api, a_wrong_method_is_named_before_anything_else),
        RUN(api, an_unknown_route_is_not_found),
        RUN(api, the_memories_interface_is_gone),
        RUN(api, a_delivery_too_large_to_be_read_is_counted),
        RUN(api, every_documented_route_exists_and_every_route_is_documented),
        RUN(api, bounds_and_defaults_of_the_document_are_those_of_the_field_tables),
        RUN(api, messages_are_checked_beside_a_query_too),
        RUN(api, a_question_without_a_socket_gets_its_events_as_one_text),
        RUN(api, the_session_of_one_key_is_closed_to_another),
        RUN(api, credentials_that_do_not_count_are_told_apart),
        RUN(api, a_good_key_names_its_workspace),
        RUN(api, a_revoked_key_is_refused_at_once),
        RUN(api, an_expired_key_is_refused_though_it_is_cached),
        RUN(api, a_missing_scope_is_forbidden_before_the_body_is_read),
        RUN(api, keys_list_with_admin_but_never_change_keys),
        RUN(api, a_foreign_workspace_in_the_path_is_not_found),
        RUN(api, the_use_of_a_key_is_noted),
        RUN(api, a_bucket_gives_a_minutes_worth_and_refills),
        RUN(api, failed_authentication_is_limited_by_address_and_harms_no_good_key),
        RUN(api, many_callers_do_not_grow_the_table_of_buckets),
        RUN(api, forwarded_addresses_count_only_from_trusted_proxies),
        RUN(api, networks_hold_their_addresses),
        RUN(api, every_problem_is_reported_at_once_under_its_top_level_name),
        RUN(api, wordings_of_single_problems),
        RUN(api, similar_without_id_and_url_is_told_together_with_other_problems),
        RUN(api, fifty_ids_are_allowed_and_one_more_is_not),
        RUN(api, null_is_absent_and_unknown_fields_are_ignored),
        RUN(api, a_number_written_with_a_fraction_of_zero_is_an_integer),
        RUN(api, a_body_that_is_not_json_is_said_to_be_so),
        RUN(api, a_date_means_its_whole_day_and_a_span_counts_back),
        RUN(api, a_request_id_is_taken_over_if_it_is_one),
        RUN(api, cors_is_for_listed_origins_only),
        RUN(api, a_body_too_large_is_refused_in_json),
        RUN(api, health_may_need_a_token),
        RUN(api, metrics_are_off_until_there_is_a_token),
        RUN(api, keys_page_newest_first),
        RUN(api, rotation_gives_a_new_key_and_the_old_one_its_grace),
        RUN(api, a_deleted_key_is_gone),
        RUN(api, an_import_stores_events_and_reports_those_it_cannot),
        RUN(api, an_unknown_import_is_not_found),
        RUN(api, search_answers_in_the_published_shape),
        RUN(api, an_empty_workspace_answers_with_nothing_found),
        RUN(api, contents_keep_the_order_and_form_of_the_ids),
        RUN(api, graph_and_related_answer_by_post_and_by_path),
        RUN(api, similar_takes_an_url_and_says_when_it_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
