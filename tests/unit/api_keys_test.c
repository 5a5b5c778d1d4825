/* api_keys_test.c - who may ask the API, and how often: credentials, API keys, limits. */
#include "api_world.h"

#include "crypto/crypto.h"

/* ---- credentials ------------------------------------------------------------------------------------------------- */

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
    struct str          key = new_secret(&f, "\"read\"");
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
    const char *target = TARGET(&f, W "/api-keys/" STR_FMT "/revoke", STR_ARG(id));
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
    struct str    key = new_secret(&f, "\"ingest\"");
    struct answer answer = ask_as(&f, key, "POST", "/v1/search", "not json");
    check_error(&answer, 403, "FORBIDDEN", NULL);
    check_int(ask_as(&f, key, "GET", W "/imports", "").status, 200);
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200); /* needs none */
}

TEST(api, keys_list_with_admin_but_never_change_keys)
{
    FIXTURE(f);
    struct str key = new_secret(&f, "\"admin\"");
    check_int(ask_as(&f, key, "GET", W "/api-keys", "").status, 200);
    struct answer answer = ask_as(&f, key, "POST", W "/api-keys", "{\"name\":\"more\"}");
    check_error(&answer, 403, "FORBIDDEN", "This is not open to API keys");
}

TEST(api, a_foreign_workspace_in_the_path_is_not_found)
{
    FIXTURE(f);
    struct str    key = new_secret(&f, "\"ingest\"");
    struct answer answer = ask_as(&f, key, "GET", "/v1/orgs/local/workspaces/other/imports", "");
    check_error(&answer, 404, "NOT_FOUND", "Workspace not found");
    answer = GET(&f, "/v1/orgs/nobody/workspaces/main/imports");
    check_error(&answer, 404, "NOT_FOUND", "Workspace not found");
}

TEST(api, a_default_workspace_ends_when_another_becomes_it)
{
    FIXTURE(f);
    add_workspace(f.app.db, arena, "platform");
    struct answer answer = ask(&f, "PATCH", W, "{\"isDefault\":false}");
    check_str(problem(&answer, "isDefault"), "Make another workspace the default instead");
    answer = ask(&f, "PATCH", "/v1/orgs/local/workspaces/platform", "{\"isDefault\":true}");
    check_int(answer.status, 200);
    check(json_bool(answer.body, "isDefault", false));
    check_str(json_str(GET(&f, "/v1/workspace").body, "name"), "platform");
    check(!json_bool(GET(&f, W).body, "isDefault", true));
    const json_value *told = GET(&f, "/v1/orgs/local/workspaces/platform/activities?category=workspace").body;
    check(json_bool(told, "data.0.changes.isDefault.to", false));
}

TEST(api, the_use_of_a_key_is_noted)
{
    FIXTURE(f);
    struct str    key = new_secret(&f, "\"admin\"");
    struct answer before = GET(&f, W "/api-keys");
    check(json_is_null(json_get(before.body, "data.0.lastUsedAt")));
    check_int(ask_as(&f, key, "GET", "/v1/workspace", "").status, 200);
    struct answer after = GET(&f, W "/api-keys");
    check(json_is_string(json_get(after.body, "data.0.lastUsedAt")));
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

TEST(api, keys_page_newest_first)
{
    FIXTURE(f);
    static const char *const names[] = {"{\"name\":\"a\"}", "{\"name\":\"b\"}", "{\"name\":\"c\"}"};
    for (int i = 0; i < 3; i++) check_int(ask(&f, "POST", W "/api-keys", names[i]).status, 201);
    struct answer first = GET(&f, W "/api-keys?limit=2");
    check_int(json_count(json_get(first.body, "data")), 2);
    check_str(json_str(first.body, "data.0.name"), "c");
    check(json_bool(first.body, "hasMore", false));
    check(!json_str(first.body, "data.0.key").s); /* shown once only */
    struct str    cursor = json_str(first.body, "nextCursor");
    struct answer second = GET(&f, TARGET(&f, W "/api-keys?limit=2&cursor=" STR_FMT, STR_ARG(cursor)));
    check_int(json_count(json_get(second.body, "data")), 1);
    check_str(json_str(second.body, "data.0.name"), "a");
    check(!json_bool(second.body, "hasMore", true));
    check(json_is_null(json_get(second.body, "nextCursor")));
    struct answer bad = GET(&f, W "/api-keys?cursor=nonsense&limit=1000");
    check_str(problem(&bad, "cursor"), "Invalid cursor");
    check_str(problem(&bad, "limit"), "Number must be less than or equal to 100");
}

TEST(api, rotation_gives_a_new_key_and_the_old_one_its_grace)
{
    FIXTURE(f);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"ci\",\"scopes\":[\"read\",\"ingest\"]}");
    struct str    old = json_str(made.body, "key"), id = json_str(made.body, "id");
    const char   *target = TARGET(&f, W "/api-keys/" STR_FMT "/rotate", STR_ARG(id));
    struct answer rotated = ask(&f, "POST", target, "{\"graceSeconds\":3600}");
    check_int(rotated.status, 201);
    check_str(json_str(rotated.body, "name"), "ci");
    check_int(json_count(json_get(rotated.body, "scopes")), 2);
    check_int(ask_as(&f, old, "GET", "/v1/workspace", "").status, 200);
    check_int(ask_as(&f, json_str(rotated.body, "key"), "GET", "/v1/workspace", "").status, 200);
    const char *again = TARGET(&f, W "/api-keys/" STR_FMT "/rotate", STR_ARG(json_str(rotated.body, "id")));
    check_int(ask(&f, "POST", again, "").status, 201); /* no grace */
    check_int(ask_as(&f, json_str(rotated.body, "key"), "GET", "/v1/workspace", "").status, 401);
}

TEST(api, a_deleted_key_is_gone)
{
    FIXTURE(f);
    struct answer made = ask(&f, "POST", W "/api-keys", "{\"name\":\"ci\"}");
    const char   *target = TARGET(&f, W "/api-keys/" STR_FMT, STR_ARG(json_str(made.body, "id")));
    check_int(ask(&f, "DELETE", target, "").status, 200);
    check_int(ask_as(&f, json_str(made.body, "key"), "GET", "/v1/workspace", "").status, 401);
    check_int(ask(&f, "DELETE", target, "").status, 404);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

TEST(api, a_bucket_gives_a_minutes_worth_and_refills)
{
    FIXTURE(f);
    f.config.limit_search = 3;
    time_set(1750000000000);
    struct str key = new_secret(&f, "\"read\"");
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
    struct str key = new_secret(&f, "\"read\"");
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

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(api, credentials_that_do_not_count_are_told_apart),
        RUN(api, a_good_key_names_its_workspace),
        RUN(api, a_revoked_key_is_refused_at_once),
        RUN(api, an_expired_key_is_refused_though_it_is_cached),
        RUN(api, a_missing_scope_is_forbidden_before_the_body_is_read),
        RUN(api, keys_list_with_admin_but_never_change_keys),
        RUN(api, a_foreign_workspace_in_the_path_is_not_found),
        RUN(api, a_default_workspace_ends_when_another_becomes_it),
        RUN(api, the_use_of_a_key_is_noted),
        RUN(api, keys_page_newest_first),
        RUN(api, rotation_gives_a_new_key_and_the_old_one_its_grace),
        RUN(api, a_deleted_key_is_gone),
        RUN(api, a_bucket_gives_a_minutes_worth_and_refills),
        RUN(api, failed_authentication_is_limited_by_address_and_harms_no_good_key),
        RUN(api, many_callers_do_not_grow_the_table_of_buckets),
        RUN(api, forwarded_addresses_count_only_from_trusted_proxies),
        RUN(api, networks_hold_their_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
