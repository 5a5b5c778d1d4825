/* api_test.c - the API as a function: its routes and document, what it accepts, the envelope of its answers. */
#include "api_world.h"

#include "crypto/crypto.h"

/* ---- routes ------------------------------------------------------------------------------------------------------ */

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
    struct answer answer = GET(&f, "/v1/nothing");
    check_error(&answer, 404, "NOT_FOUND", "Route not found");
    answer = GET(&f, "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
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
    check(mentions(json_str(answer.body, "message"), "/v1/search"));
}

TEST(api, a_delivery_too_large_to_be_read_is_counted)
{
    FIXTURE(f);
    struct net_request *request = net_request_local(arena, "POST", STR("/webhooks/linear"), STR(""));
    request->body_state = NET_BODY_TOO_LARGE;
    struct answer answer = send_request(&f, request);
    check_error(&answer, 413, "PAYLOAD_TOO_LARGE", NULL);
    check(mentions(GET(&f, "/metrics").text,
                   "deliveries_total{source=\"linear\",outcome=\"refused\",reason=\"PAYLOAD_TOO_LARGE\"} 1"));
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
    struct answer answer = GET(&f, "/v1/openapi.json");
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const json_value *schema = json_member(json_get(answer.body, "components.schemas"), str_of(requests[i].schema));
        size_t            n = 0;
        for (const struct api_field *field = requests[i].fields; field->name; field++, n++)
            check_field_documented(answer.body, schema, field);
        check_int(json_count(json_get(schema, "properties")), n);
    }
}

/* ---- validation -------------------------------------------------------------------------------------------------- */

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
    struct str whole = str_printf(arena, STR_FMT "]}", STR_ARG(buf_str(&body)));
    check_int(ask(&f, "POST", "/v1/contents", str_z(arena, whole)).status, 200);
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

/* ---- the envelope ------------------------------------------------------------------------------------------------ */

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
    for (const struct api_route *route = api_routes; route->method; route++)
        check(strcmp(route->method, "*") == 0 ||
              str_find(header(&answer, "Access-Control-Allow-Methods"), str_of(route->method), 0) != SIZE_MAX);

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
    check_int(api_terms(&f.app, STR("POST"), STR("/v1/search")).body_bytes, 1 << 20);
    check_int(api_terms(&f.app, STR("POST"), STR(W "/imports/job_1/events")).body_bytes, 25 << 20);
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
    check(mentions(answer.text, "lightfast_http_requests_total{method=\"POST\",route=\"/v1/search\",status=\"200\"} 1\n"));
    check(mentions(answer.text, "lightfast_search_duration_seconds_count{mode=\"fast\"} 1\n"));
    check(mentions(answer.text, "lightfast_observations 0\n"));
    check(mentions(answer.text, "lightfast_process_resident_memory_bytes "));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
