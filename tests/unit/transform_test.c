/* transform_test.c - reception of webhooks: signatures, delivery ids, ages, routes, state changes, item snapshots, and
 * payloads that nobody should send. What each event becomes: tests/golden. */
#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/transform.h"
#include "text/text.h"

static const int64_t received = INT64_C(1767434400000); /* 2026-01-03T10:00:00Z */

struct headers {
    const char *at[4][2];
};

static struct str header_of(void *arg, const char *name)
{
    const struct headers *headers = arg;
    for (size_t i = 0; i < 4 && headers->at[i][0]; i++)
        if (!strcmp(headers->at[i][0], name)) return str_of(headers->at[i][1]);
    return (struct str){0};
}

static struct source_request request(enum source_provider provider, struct str body, struct headers *headers)
{
    return (struct source_request){.provider = provider, .body = body, .header = header_of, .arg = headers};
}

static const char *check_code(const struct source_request *one, const char *first, const char *second)
{
    struct str secrets[] = {str_of(first), str_of(second)};
    const struct source_refusal *refusal = source_signature_check(one, secrets, 2);
    return refusal ? refusal->code : "genuine";
}

static const char *read_code(struct arena *arena, const struct source_request *one, struct source_delivery *delivery)
{
    struct source_delivery_options options = {.received_at = received};
    const struct source_refusal *refusal = source_delivery_read(arena, one, options, delivery);
    return refusal ? refusal->code : "read";
}

static const json_value *json(struct arena *arena, const char *text)
{
    const json_value *value;
    check_ok(json_parse(arena, str_of(text), &value));
    return value;
}

/* ---- signatures -------------------------------------------------------------------------------------------------- */

#define GITHUB_SIGNATURE "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define GITHUB_SECRET    "It's a Secret to Everybody"
#define SHA1_SIGNATURE   "d9a014d66df1a07cce236dab2de28e4880a5edca"
#define SHA256_SIGNATURE "179bf20a8b9040a32368814a68b0dc270823b5968498e0a73796c4202708ed8d"

static const char *github_code(const char *signature, const char *body)
{
    struct headers headers = {{{"x-hub-signature-256", signature}}};
    struct source_request one = request(SOURCE_GITHUB, str_of(body), &headers);
    return check_code(&one, GITHUB_SECRET, "");
}

TEST(signature, vector_of_github)
{
    assert_string_equal(github_code("sha256=" GITHUB_SIGNATURE, "Hello, World!"), "genuine");
}

TEST(signature, prefix_is_optional_and_case_does_not_matter)
{
    assert_string_equal(github_code(GITHUB_SIGNATURE, "Hello, World!"), "genuine");
    assert_string_equal(
        github_code("SHA256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17", "Hello, World!"),
        "genuine");
}

TEST(signature, one_changed_byte_is_refused)
{
    assert_string_equal(github_code("sha256=" GITHUB_SIGNATURE, "Hello, World."), "INVALID_SIGNATURE");
    assert_string_equal(
        github_code("sha256=857107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "Hello, World!"),
        "INVALID_SIGNATURE");
}

TEST(signature, truncated_longer_and_other_text_is_refused)
{
    const char *const wrong[] = {"sha256=757107ea",
                                 "sha256=" GITHUB_SIGNATURE "00",
                                 "sha256=",
                                 "sha1=" SHA1_SIGNATURE,
                                 "zz",
                                 "sha256=x57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
                                 "sha512=" GITHUB_SIGNATURE,
                                 "sha256=sha256=" GITHUB_SIGNATURE};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal(github_code(wrong[i], "Hello, World!"), "INVALID_SIGNATURE");
}

TEST(signature, sha1_header_of_github_is_never_accepted)
{
    struct headers headers = {{{"x-hub-signature", "sha1=" SHA1_SIGNATURE}}};
    struct source_request one = request(SOURCE_GITHUB, STR("{\"a\":1}"), &headers);
    assert_string_equal(check_code(&one, "test-secret", ""), "MISSING_SIGNATURE");
}

TEST(signature, check_values_of_the_other_providers)
{
    struct {
        enum source_provider provider;
        struct headers headers;
    } rows[] = {{SOURCE_VERCEL, {{{"x-vercel-signature", SHA1_SIGNATURE}}}},
                {SOURCE_LINEAR, {{{"linear-signature", SHA256_SIGNATURE}}}},
                {SOURCE_SENTRY, {{{"sentry-hook-signature", SHA256_SIGNATURE}}}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct source_request one = request(rows[i].provider, STR("{\"a\":1}"), &rows[i].headers);
        assert_string_equal(check_code(&one, "test-secret", ""), "genuine");
        assert_string_equal(check_code(&one, "other", ""), "INVALID_SIGNATURE");
    }
}

TEST(signature, algorithm_of_another_provider_is_refused)
{
    struct headers vercel = {{{"x-vercel-signature", SHA256_SIGNATURE}}},
                   linear = {{{"linear-signature", SHA1_SIGNATURE}}};
    struct source_request to_vercel = request(SOURCE_VERCEL, STR("{\"a\":1}"), &vercel),
                          to_linear = request(SOURCE_LINEAR, STR("{\"a\":1}"), &linear);
    assert_string_equal(check_code(&to_vercel, "test-secret", ""), "INVALID_SIGNATURE");
    assert_string_equal(check_code(&to_linear, "test-secret", ""), "INVALID_SIGNATURE");
}

TEST(signature, either_secret_is_valid_during_rotation)
{
    struct headers headers = {{{"linear-signature", SHA256_SIGNATURE}}};
    struct source_request one = request(SOURCE_LINEAR, STR("{\"a\":1}"), &headers);
    assert_string_equal(check_code(&one, "test-secret", "new"), "genuine");
    assert_string_equal(check_code(&one, "new", "test-secret"), "genuine");
    assert_string_equal(check_code(&one, "new", "newer"), "INVALID_SIGNATURE");
}

TEST(signature, an_empty_secret_matches_nothing)
{
    unsigned char digest[CRYPTO_MAX_DIGEST];
    char hex[65];
    size_t n = crypto_hmac(CRYPTO_SHA256, STR(""), STR("{}"), digest);
    for (size_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    struct headers headers = {{{"linear-signature", hex}}};
    struct source_request one = request(SOURCE_LINEAR, STR("{}"), &headers);
    assert_string_equal(check_code(&one, "", ""), "NOT_CONFIGURED");
    assert_string_equal(check_code(&one, "", "set"), "INVALID_SIGNATURE");
}

TEST(signature, empty_body_and_missing_header_have_their_own_codes)
{
    struct headers none = {0}, headers = {{{"linear-signature", SHA256_SIGNATURE}}};
    struct source_request blank = request(SOURCE_LINEAR, STR(" \n"), &headers),
                          bare = request(SOURCE_LINEAR, STR("{}"), &none);
    assert_string_equal(check_code(&blank, "s", ""), "MISSING_PAYLOAD");
    assert_string_equal(check_code(&bare, "s", ""), "MISSING_SIGNATURE");
}

TEST(signature, bodies_over_the_limit_are_refused_before_anything_is_computed)
{
    struct headers none = {0};
    for (int i = 0; i < SOURCE_PROVIDERS; i++) {
        size_t limit = source_provider_max_body((enum source_provider)i);
        struct source_request one = request((enum source_provider)i, (struct str){"{", limit + 1}, &none);
        assert_string_equal(check_code(&one, "s", ""), "PAYLOAD_TOO_LARGE");
        check_int(limit, i == SOURCE_GITHUB ? 26214400 : 5242880);
    }
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

TEST(delivery, github_names_event_and_id_in_headers)
{
    struct headers headers = {{{"x-github-event", "pull_request"}, {"x-github-delivery", "72d3162e"}}};
    struct source_request one = request(
        SOURCE_GITHUB, STR("{\"action\":\"opened\",\"repository\":{\"id\":5},\"installation\":{\"id\":6}}"), &headers);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &one, &delivery), "read");
    check_str(delivery.event, "pull_request");
    check_str(delivery.action, "opened");
    check_str(delivery.id, "72d3162e");
    check_str(delivery.repository_id, "5");
    check_str(delivery.installation_id, "6");
    check_int(delivery.provider_time, 0);
}

TEST(delivery, an_id_that_is_absent_too_long_or_unprintable_is_the_digest_of_the_body)
{
    char long_id[193];
    memset(long_id, 'x', 192);
    long_id[192] = 0;
    const char *const ids[] = {"", long_id, "a b", "caf\xc3\xa9", "a\x7f"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct headers headers = {{{"x-github-event", "push"}, {"x-github-delivery", ids[i]}}};
        struct source_request one = request(SOURCE_GITHUB, STR("{\"a\":1}"), &headers);
        struct source_delivery delivery;
        assert_string_equal(read_code(arena, &one, &delivery), "read");
        check_str(delivery.body_sha256, str_z(arena, crypto_sha256_hex(arena, STR("{\"a\":1}"))));
        check_str(delivery.id, str_z(arena, str_printf(arena, "sha256:%.32s", delivery.body_sha256.s)));
    }
}

TEST(delivery, github_sends_forms_too)
{
    struct headers headers = {
        {{"x-github-event", "push"}, {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}};
    struct source_request one = request(SOURCE_GITHUB, STR("x=1&payload=%7B%22ref%22%3A+%22a%2Bb%22%7D"), &headers);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &one, &delivery), "read");
    check_str(json_str(delivery.payload, "ref"), "a+b");
}

TEST(delivery, a_form_without_payload_or_with_broken_escapes_is_no_json)
{
    const char *const bodies[] = {"x=1", "payload=", "payload=%7", "payload=%zz", "payload=%7B%22", "&&", "%"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct headers headers = {{{"x-github-event", "push"}, {"content-type", "application/x-www-form-urlencoded"}}};
        struct source_request one = request(SOURCE_GITHUB, str_of(bodies[i]), &headers);
        struct source_delivery delivery;
        assert_string_equal(read_code(arena, &one, &delivery), "INVALID_JSON");
    }
}

TEST(delivery, the_event_header_is_looked_for_before_the_json)
{
    struct headers none = {0}, headers = {{{"x-github-event", "push"}}};
    struct source_request without = request(SOURCE_GITHUB, STR("nonsense"), &none),
                          with = request(SOURCE_GITHUB, STR("nonsense"), &headers);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &without, &delivery), "MISSING_EVENT");
    assert_string_equal(read_code(arena, &with, &delivery), "INVALID_JSON");
    check_int(source_refusals.invalid_json.status, 400);
}

TEST(delivery, payloads_are_objects_of_bounded_depth)
{
    char deep[600];
    memset(deep, '[', 300);
    memset(deep + 300, ']', 300);
    struct str bodies[] = {STR("[1]"),     STR("\"x\""),           STR("1"), STR("null"), {deep, 600},
                           STR("{\"a\":"), STR("{\"a\":\"\xff\"}")};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct headers headers = {{{"x-github-event", "push"}}};
        struct source_request one = request(SOURCE_GITHUB, bodies[i], &headers);
        struct source_delivery delivery;
        assert_string_equal(read_code(arena, &one, &delivery), "INVALID_JSON");
    }
}

TEST(delivery, ping_is_a_ping_of_github_only)
{
    struct headers headers = {{{"x-github-event", "ping"}}};
    struct source_request one = request(SOURCE_GITHUB, STR("{\"zen\":\"z\"}"), &headers);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &one, &delivery), "read");
    check(source_delivery_is_ping(&delivery));
    delivery.provider = SOURCE_VERCEL;
    check(!source_delivery_is_ping(&delivery));
}

TEST(delivery, vercel_says_everything_in_the_body)
{
    struct headers none = {0};
    struct source_request one =
        request(SOURCE_VERCEL, STR("{\"id\":\"hook_1\",\"type\":\"deployment.ready\",\"createdAt\":1}"), &none);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &one, &delivery), "read");
    check_str(delivery.event, "deployment.ready");
    check_str(delivery.id, "hook_1");
    check_int(delivery.provider_time, 0);
}

static const char *linear_code(struct arena *arena, const char *timestamp, struct source_delivery *delivery)
{
    struct headers none = {0};
    struct str body = str_printf(
        arena, "{\"type\":\"Issue\",\"action\":\"update\",\"webhookId\":\"w\",\"webhookTimestamp\":%s}", timestamp);
    struct source_request one = request(SOURCE_LINEAR, body, &none);
    return read_code(arena, &one, delivery);
}

TEST(delivery, linear_is_known_by_type_action_and_webhook)
{
    struct source_delivery delivery;
    assert_string_equal(linear_code(arena, "1767434400000", &delivery), "read");
    check_str(delivery.event, "Issue:update");
    check_str(delivery.id, "w:1767434400000");
    check_int(delivery.provider_time, received);
}

TEST(delivery, the_time_window_is_300_seconds_back_and_60_ahead)
{
    // clang-format off
    static const struct { const char *timestamp, *code; } rows[] = {
        {"1767434100000", "read"},              {"1767434099999", "TIMESTAMP_TOO_OLD"},
        {"1767434460000", "read"},              {"1767434460001", "TIMESTAMP_INVALID"},
        {"\"1767434400000\"", "read"},          {"null", "TIMESTAMP_INVALID"},
        {"\"soon\"", "TIMESTAMP_INVALID"},      {"-5", "TIMESTAMP_INVALID"},
        {"9223372036854775807", "TIMESTAMP_INVALID"}, {"1e99", "TIMESTAMP_INVALID"}};
    // clang-format on
    struct source_delivery delivery;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(linear_code(arena, rows[i].timestamp, &delivery), rows[i].code);
}

static const char *sentry_code(struct arena *arena, const char *resource, const char *timestamp,
                               struct source_delivery *delivery)
{
    struct headers headers = {
        {{"sentry-hook-resource", resource}, {"sentry-hook-timestamp", timestamp}, {"request-id", "r1"}}};
    struct source_request one = request(SOURCE_SENTRY, STR("{\"action\":\"created\"}"), &headers);
    return read_code(arena, &one, delivery);
}

TEST(delivery, sentry_times_are_seconds_milliseconds_or_iso)
{
    static const char *const same[] = {"1767434400", "1767434400000", "2026-01-03T10:00:00Z"};
    struct source_delivery delivery;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_string_equal(sentry_code(arena, "issue", same[i], &delivery), "read");
        check_int(delivery.provider_time, received);
    }
    assert_string_equal(sentry_code(arena, "issue", "", &delivery), "TIMESTAMP_INVALID");
    assert_string_equal(sentry_code(arena, "issue", "1767434000", &delivery), "TIMESTAMP_TOO_OLD");
}

TEST(delivery, sentry_issues_and_comments_have_their_action_in_the_event)
{
    static const char *const rows[][2] = {
        {"issue", "issue.created"},     {"comment", "comment.created"},   {"error", "error"},
        {"event_alert", "event_alert"}, {"metric_alert", "metric_alert"}, {"installation", "installation"}};
    struct source_delivery delivery;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(sentry_code(arena, rows[i][0], "1767434400", &delivery), "read");
        check_str(delivery.event, rows[i][1]);
        check_str(delivery.id, "r1");
    }
}

TEST(delivery, a_longer_window_is_a_setting)
{
    struct headers headers = {{{"sentry-hook-resource", "error"}, {"sentry-hook-timestamp", "1767430800"}}};
    struct source_request one = request(SOURCE_SENTRY, STR("{}"), &headers);
    struct source_delivery delivery;
    check(source_delivery_read(arena, &one, (struct source_delivery_options){received, SECONDS(3600)}, &delivery) ==
          NULL);
    check(source_delivery_read(arena, &one, (struct source_delivery_options){received, SECONDS(3599)}, &delivery) ==
          &source_refusals.timestamp_too_old);
}

/* ---- answers and categories -------------------------------------------------------------------------------------- */

TEST(answer, says_what_was_ignored_and_why)
{
    check_str(source_answer(arena, SOURCE_CAPTURED), "{\"received\":true}");
    check_str(source_answer(arena, SOURCE_UNHANDLED_EVENT), "{\"received\":true,\"ignored\":\"unhandled_event\"}");
    check_str(source_answer(arena, SOURCE_BOT), "{\"received\":true,\"ignored\":\"bot\"}");
    check_str(source_answer_duplicate(), "{\"received\":true,\"duplicate\":true}");
    check_str(source_answer_ping(), "{\"received\":true,\"event\":\"ping\"}");
    for (int i = 0; i < SOURCE_REASONS; i++) check(strlen(source_reason_name((enum source_reason)i)) > 0);
}

TEST(category, comes_from_the_registry_or_the_table_of_opt_in_actions)
{
    check_str(source_category_find(STR("github"), STR("pull-request.merged")), "pull_request");
    check_str(source_category_find(STR("github"), STR("pull-request.review-requested")), "pull_request");
    check_str(source_category_find(STR("github"), STR("issue.labeled")), "issues");
    check_str(source_category_find(STR("git"), STR("push")), "push");
    check_str(source_category_find(STR("linear"), STR("issue.labeled")), "");
    check_str(source_category_find(STR("github"), STR("star.created")), "");
}

TEST(category, an_absent_or_empty_list_wants_nothing)
{
    check(source_category_wanted(json(arena, "{\"events\":[\"push\",\"issues\"]}"), STR("issues")));
    check(!source_category_wanted(json(arena, "{\"events\":[\"push\"]}"), STR("issues")));
    check(!source_category_wanted(json(arena, "{\"events\":[]}"), STR("issues")));
    check(!source_category_wanted(json(arena, "{\"events\":\"issues\"}"), STR("issues")));
    check(!source_category_wanted(NULL, STR("issues")));
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

static struct source_route route(struct arena *arena, enum source_provider provider, const char *event,
                                 const char *payload)
{
    struct source_route found;
    struct source_delivery delivery = {.provider = provider, .event = str_of(event), .payload = json(arena, payload)};
    source_route_find(arena, &delivery, &found);
    return found;
}

static void check_ids(struct source_texts texts, const char *expected)
{
    size_t n = 0;
    for (struct str rest = str_of(expected), one; expected[0] && str_cut(&rest, ' ', &one); n++) {
        check(n < texts.n);
        check(str_eq(texts.at[n], one));
    }
    check_int(texts.n, n);
}

TEST(route, resources_of_each_kind_of_event)
{
    // clang-format off
    static const struct { enum source_provider provider; const char *event, *payload, *ids, *names; bool fallback; } rows[] = {
        {SOURCE_VERCEL, "deployment.ready", "{\"payload\":{\"project\":{\"id\":\"prj\"},\"projectId\":\"other\"}}", "prj", "", false},
        {SOURCE_VERCEL, "deployment.ready", "{\"payload\":{\"projectId\":\"prj\"}}", "prj", "", false},
        {SOURCE_LINEAR, "Issue:create", "{\"data\":{\"team\":{\"id\":\"t1\"}}}", "t1", "", false},
        {SOURCE_LINEAR, "Cycle:create", "{\"data\":{\"teamId\":\"t1\"}}", "t1", "", false},
        {SOURCE_LINEAR, "Comment:create", "{\"data\":{\"issue\":{\"identifier\":\"A-B-7\"}}}", "", "A-B", false},
        {SOURCE_LINEAR, "Comment:create", "{\"data\":{\"issue\":{\"teamId\":\"t1\",\"identifier\":\"ENG-7\"}}}", "t1", "ENG", false},
        {SOURCE_LINEAR, "Project:create", "{\"data\":{\"teams\":[{\"id\":\"t1\"},{\"id\":\"t2\"},{\"id\":\"t1\"}]}}", "t1 t2", "", false},
        {SOURCE_LINEAR, "Project:create", "{\"data\":{\"teamIds\":[\"t1\",null,\"t2\"]}}", "t1 t2", "", false},
        {SOURCE_LINEAR, "Project:create", "{\"data\":{\"teams\":[{\"id\":\"t1\"}],\"teamIds\":[\"t9\"]}}", "t1", "", false},
        {SOURCE_LINEAR, "ProjectUpdate:create", "{\"data\":{\"project\":{\"id\":\"p\"}}}", "", "", true},
        {SOURCE_SENTRY, "issue.created", "{\"data\":{\"issue\":{\"project\":{\"id\":9}}}}", "9", "", false},
        {SOURCE_SENTRY, "error", "{\"data\":{\"error\":{\"project\":9}}}", "9", "", false},
        {SOURCE_SENTRY, "event_alert", "{\"data\":{\"event\":{\"project\":9}}}", "9", "", false},
        {SOURCE_SENTRY, "metric_alert", "{\"data\":{\"metric_alert\":{\"alert_rule\":{\"projects\":[\"api\",\"web\"]}}}}", "", "api web", true},
        {SOURCE_SENTRY, "comment.created", "{\"data\":{\"project_slug\":\"api\"}}", "", "api", true},
    };
    // clang-format on
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct source_route found = route(arena, rows[i].provider, rows[i].event, rows[i].payload);
        check_ids(found.resource_ids, rows[i].ids);
        check_ids(found.resource_names, rows[i].names);
        check_int(found.fallback, rows[i].fallback);
    }
}

TEST(route, github_goes_by_repository_id)
{
    struct source_delivery delivery = {.provider = SOURCE_GITHUB,
                                       .event = STR("push"),
                                       .repository_id = STR("5"),
                                       .installation_id = STR("6"),
                                       .payload =
                                           json(arena, "{\"repository\":{\"id\":5,\"full_name\":\"Acme/API\"}}")};
    struct source_route found;
    source_route_find(arena, &delivery, &found);
    check_ids(found.resource_ids, "5");
    check_ids(found.resource_names, "Acme/API");
    check_str(found.installation_id, "6");
    check(!found.fallback);
}

TEST(route, a_project_update_names_project_and_organisation)
{
    struct source_route found = route(arena, SOURCE_LINEAR, "ProjectUpdate:create",
                                      "{\"organizationId\":\"o\",\"data\":{\"project\":{\"id\":\"p\"}}}");
    check_str(found.project_id, "p");
    check_str(found.organization_id, "o");
}

TEST(route, more_than_a_hundred_resources_are_cut)
{
    struct buf text = buf_in(arena);
    buf_lit(&text, "{\"data\":{\"teamIds\":[0");
    for (int i = 1; i < 5000; i++) buf_printf(&text, ",%d", i);
    buf_lit(&text, "]}}");
    check_int(route(arena, SOURCE_LINEAR, "Project:create", str_z(arena, buf_str(&text))).resource_ids.n, 100);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

static bool state(struct arena *arena, enum source_provider provider, const char *event, const char *payload,
                  struct source_state_change *change)
{
    struct headers headers = {
        {{"x-github-event", event}, {"sentry-hook-resource", event}, {"sentry-hook-timestamp", "1767434400"}}};
    struct source_request one = request(provider, str_of(payload), &headers);
    struct source_delivery delivery;
    assert_string_equal(read_code(arena, &one, &delivery), "read");
    return source_state_change_find(arena, &delivery, change);
}

#define REPOSITORY   "\"repository\":{\"id\":5,\"name\":\"web\",\"full_name\":\"acme/web\",\"default_branch\":\"trunk\"}"
#define INSTALLATION "\"installation\":{\"id\":6,\"account\":{\"id\":7,\"login\":\"acme\"}}"

TEST(state, of_github_as_the_table_says)
{
    // clang-format off
    static const struct { const char *event, *payload; enum source_state_effect effect; const char *reason, *activity; } rows[] = {
        {"installation", "{\"action\":\"created\"," INSTALLATION "}", SOURCE_STATE_INSTALLATION, NULL, "integration.status_updated"},
        {"installation", "{\"action\":\"new_permissions_accepted\"," INSTALLATION "}", SOURCE_STATE_INSTALLATION, NULL, "integration.status_updated"},
        {"installation", "{\"action\":\"deleted\"," INSTALLATION "}", SOURCE_STATE_DEACTIVATE, "installation_removed", "integration.disconnected"},
        {"installation", "{\"action\":\"suspend\"," INSTALLATION "}", SOURCE_STATE_DEACTIVATE, "installation_suspended", "integration.disconnected"},
        {"installation", "{\"action\":\"unsuspend\"," INSTALLATION "}", SOURCE_STATE_REACTIVATE, "installation_suspended", "integration.status_updated"},
        {"installation", "{\"action\":\"other\"," INSTALLATION "}", SOURCE_STATE_NONE, NULL, NULL},
        {"installation_repositories", "{\"action\":\"removed\",\"repositories_removed\":[{\"id\":5}]}", SOURCE_STATE_DEACTIVATE, "repository_removed", "integration.status_updated"},
        {"installation_repositories", "{\"action\":\"added\",\"repositories_added\":[{\"id\":5}]}", SOURCE_STATE_REACTIVATE, "repository_removed", "integration.status_updated"},
        {"installation_repositories", "{\"action\":\"added\",\"repositories_added\":[]}", SOURCE_STATE_NONE, "repository_removed", NULL},
        {"repository", "{\"action\":\"deleted\"," REPOSITORY "}", SOURCE_STATE_DEACTIVATE, "repository_deleted", "integration.deleted"},
        {"repository", "{\"action\":\"created\"," REPOSITORY "}", SOURCE_STATE_NONE, NULL, NULL},
        {"repository", "{\"action\":\"edited\",\"changes\":{\"description\":{}}," REPOSITORY "}", SOURCE_STATE_NONE, NULL, NULL},
        {"installation_target", "{\"action\":\"renamed\",\"account\":{\"id\":7,\"login\":\"new\"}," INSTALLATION "}", SOURCE_STATE_ACCOUNT, NULL, NULL},
        {"github_app_authorization", "{\"action\":\"revoked\",\"sender\":{\"id\":8}}", SOURCE_STATE_REVOKE, NULL, "integration.authorization_revoked"},
        {"installation", "{\"action\":\"deleted\"}", SOURCE_STATE_NONE, "installation_removed", NULL},
        {"repository", "{\"action\":\"deleted\"}", SOURCE_STATE_NONE, "repository_deleted", NULL},
    };
    // clang-format on
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct source_state_change change;
        check(state(arena, SOURCE_GITHUB, rows[i].event, rows[i].payload, &change));
        check_int(change.effect, rows[i].effect);
        check_str(str_of(change.reason), rows[i].reason);
        check_str(str_of(change.activity), rows[i].activity);
    }
}

TEST(state, an_installation_that_ends_cancels_what_runs)
{
    struct source_state_change change;
    check(state(arena, SOURCE_GITHUB, "installation", "{\"action\":\"suspend\"," INSTALLATION "}", &change));
    check(change.cancel_runs);
    check_int(change.target, SOURCE_OF_INSTALLATION);
    check_str(change.installation_id, "6");
    check_str(change.account_login, "acme");
}

TEST(state, a_rename_changes_names_and_nothing_else)
{
    struct source_state_change change;
    check(state(arena, SOURCE_GITHUB, "repository", "{\"action\":\"renamed\"," REPOSITORY "}", &change));
    check_int(change.effect, SOURCE_STATE_UPDATE);
    check_str(change.repo_full_name, "acme/web");
    check_str(change.repo_name, "web");
    check_ids(change.resource_ids, "5");
    check(!change.default_branch.s && !change.is_archived && !change.is_private && !change.full_sync);
}

TEST(state, a_new_default_branch_starts_a_full_sync)
{
    struct source_state_change change;
    check(state(arena, SOURCE_GITHUB, "repository",
                "{\"action\":\"edited\",\"changes\":{\"default_branch\":{\"from\":\"main\"}}," REPOSITORY "}",
                &change));
    check_int(change.effect, SOURCE_STATE_UPDATE);
    check_str(change.default_branch, "trunk");
    check(change.full_sync);
}

TEST(state, archived_and_private_are_flags)
{
    // clang-format off
    static const struct { const char *action; enum source_flag archived, is_private; } rows[] = {
        {"archived", SOURCE_TRUE, SOURCE_UNSET}, {"unarchived", SOURCE_FALSE, SOURCE_UNSET}, {"privatized", SOURCE_UNSET, SOURCE_TRUE},
        {"publicized", SOURCE_UNSET, SOURCE_FALSE}, {"deleted", SOURCE_TRUE, SOURCE_UNSET}};
    // clang-format on
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct source_state_change change;
        struct str payload = str_printf(arena, "{\"action\":\"%s\"," REPOSITORY "}", rows[i].action);
        check(state(arena, SOURCE_GITHUB, "repository", str_z(arena, payload), &change));
        check_int(change.is_archived, rows[i].archived);
        check_int(change.is_private, rows[i].is_private);
    }
}

TEST(state, of_the_other_providers)
{
    struct source_state_change change;
    check(state(arena, SOURCE_VERCEL, "",
                "{\"type\":\"integration-configuration.removed\",\"payload\":{\"configuration\":{\"id\":\"icfg\"}}}",
                &change));
    check_int(change.effect, SOURCE_STATE_DEACTIVATE);
    check_str(change.installation_id, "icfg");
    assert_string_equal(change.reason, "uninstalled");
    check(state(arena, SOURCE_VERCEL, "",
                "{\"type\":\"project.renamed\",\"payload\":{\"project\":{\"id\":\"prj\",\"name\":\"new\"}}}", &change));
    check_int(change.effect, SOURCE_STATE_UPDATE);
    check_str(change.project_name, "new");
    check(state(arena, SOURCE_VERCEL, "", "{\"type\":\"project.removed\",\"payload\":{\"project\":{\"id\":\"prj\"}}}",
                &change));
    check_int(change.effect, SOURCE_STATE_DEACTIVATE);
    check_ids(change.resource_ids, "prj");
    check(state(
        arena, SOURCE_LINEAR, "",
        "{\"type\":\"OAuthApp\",\"action\":\"revoked\",\"organizationId\":\"o\",\"webhookTimestamp\":1767434400000}",
        &change));
    check_int(change.effect, SOURCE_STATE_DEACTIVATE);
    check_str(change.organization_id, "o");
    check(state(arena, SOURCE_SENTRY, "installation",
                "{\"action\":\"created\",\"data\":{\"installation\":{\"uuid\":\"u\",\"code\":\"c\",\"organization\":{"
                "\"slug\":\"acme\"}}}}",
                &change));
    check_int(change.effect, SOURCE_STATE_PENDING_INSTALL);
    check_str(change.code, "c");
    check_str(change.organization_slug, "acme");
    check(state(arena, SOURCE_SENTRY, "installation", "{\"action\":\"deleted\",\"installation\":{\"uuid\":\"u\"}}",
                &change));
    check_int(change.effect, SOURCE_STATE_DEACTIVATE);
    check(!state(arena, SOURCE_VERCEL, "", "{\"type\":\"deployment.ready\"}", &change));
    check(!state(arena, SOURCE_GITHUB, "push", "{}", &change));
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

TEST(item, of_a_pull_request)
{
    struct source_github_item item;
    struct source_context context = {.received_at = received};
    check(source_github_item_read(
        arena, STR("pull_request"),
        json(arena, "{\"action\":\"labeled\",\"repository\":{\"full_name\":\"a/"
                    "b\"},\"pull_request\":{\"number\":4,\"title\":\"T\",\"state\":\"open\",\"draft\":true,"
                    "\"body\":\"Fixes #3\\n\\nCo-authored-by: Bob "
                    "<bob@example.com>\",\"labels\":[{\"name\":\"x\"}],\"assignees\":[],\"requested_reviewers\":[{"
                    "\"login\":\"r\"}],"
                    "\"milestone\":{\"title\":\"v2\"},\"user\":{\"id\":7,\"login\":\"ada\"},\"comments\":2,\"review_"
                    "comments\":0,\"updated_at\":\"2026-01-03T10:00:00Z\"}}"),
        &context, &item));
    assert_string_equal(item.kind, "pull_request");
    check_int(item.number, 4);
    check_int(item.draft, SOURCE_TRUE);
    check(item.lists_known);
    check_ids(item.labels, "x");
    check_ids(item.requested_reviewers, "r");
    check_str(item.milestone, "v2");
    check_str(item.linked[0].id, "#3");
    check_str(item.linked[0].label, "fixes");
    check_str(item.linked[0].url, "https://github.com/a/b/issues/3");
    check_str(item.coauthors[0].email, "bob@example.com");
    check_int(item.comment_count, 2);
    check_int(item.updated_at, received);
    check_int(item.merged_at, 0);
}

TEST(item, of_a_review_has_a_verdict_and_leaves_unknown_counts_alone)
{
    struct source_github_item item;
    struct source_context context = {.received_at = received};
    check(source_github_item_read(
        arena, STR("pull_request_review"),
        json(arena, "{\"action\":\"submitted\",\"repository\":{\"full_name\":\"a/"
                    "b\"},\"pull_request\":{\"number\":4,\"labels\":[],\"assignees\":[]},"
                    "\"review\":{\"state\":\"APPROVED\",\"user\":{\"login\":\"r\"},\"submitted_at\":\"2026-01-03T10:00:"
                    "00Z\"}}"),
        &context, &item));
    check_str(item.verdict.login, "r");
    check_str(item.verdict.state, "approved");
    check_int(item.verdict.at, received);
    check_int(item.comment_count, -1);
    check(!item.lists_known);
    check_int(item.draft, SOURCE_UNSET);
}

TEST(item, a_comment_on_a_pull_request_is_about_a_pull_request)
{
    struct source_github_item item;
    struct source_context context = {.received_at = received};
    const json_value *payload =
        json(arena, "{\"repository\":{\"full_name\":\"a/"
                    "b\"},\"issue\":{\"number\":4,\"pull_request\":{\"merged_at\":\"2026-01-03T10:00:00Z\"}}}");
    check(source_github_item_read(arena, STR("issue_comment"), payload, &context, &item));
    assert_string_equal(item.kind, "pull_request");
    check_int(item.merged_at, received);
    check(!source_github_item_read(arena, STR("push"), payload, &context, &item));
    check(!source_github_item_read(arena, STR("issues"), json(arena, "{\"issue\":{\"number\":0}}"), &context, &item));
}

/* ---- hostile payloads -------------------------------------------------------------------------------------------- */

// clang-format off
/* One supported event of each kind with a payload that holds everything it reads. */
static const struct { enum source_provider provider; const char *event, *payload; } kinds[] = {
    {SOURCE_GITHUB, "push", "{\"ref\":\"refs/heads/main\",\"after\":\"%1\",\"head_commit\":{\"message\":\"%1\",\"timestamp\":\"%1\"},\"commits\":[{\"id\":\"%1\",\"message\":\"%1\",\"author\":{\"name\":\"%1\",\"email\":\"%1\",\"username\":\"%1\"}}],\"compare\":\"%1\",\"before\":\"%1\",\"pusher\":{\"name\":\"%1\"},\"repository\":{\"id\":1,\"full_name\":\"a/%1\",\"default_branch\":\"main\"}}"},
    {SOURCE_GITHUB, "pull_request", "{\"action\":\"opened\",\"pull_request\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"html_url\":\"%1\",\"user\":{\"id\":1,\"login\":\"%1\"},\"head\":{\"ref\":\"%1\",\"sha\":\"%1\"},\"labels\":[{\"name\":\"%1\"}],\"milestone\":{\"title\":\"%1\"}},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "issues", "{\"action\":\"opened\",\"issue\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"user\":{\"id\":1,\"login\":\"%1\"}},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "release", "{\"action\":\"published\",\"release\":{\"tag_name\":\"%1\",\"name\":\"%1\",\"body\":\"%1\",\"target_commitish\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "discussion", "{\"action\":\"answered\",\"discussion\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"category\":{\"name\":\"%1\"}},\"answer\":{\"body\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "pull_request_review", "{\"action\":\"submitted\",\"review\":{\"id\":1,\"state\":\"approved\",\"body\":\"%1\",\"commit_id\":\"%1\"},\"pull_request\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "pull_request_review_comment", "{\"action\":\"created\",\"comment\":{\"id\":1,\"path\":\"%1\",\"body\":\"%1\"},\"pull_request\":{\"number\":1,\"title\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "issue_comment", "{\"action\":\"created\",\"comment\":{\"id\":\"%1\",\"body\":\"%1\"},\"issue\":{\"number\":1,\"title\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_VERCEL, "deployment.error", "{\"id\":\"%1\",\"payload\":{\"deployment\":{\"id\":\"%1\",\"name\":\"%1\",\"url\":\"%1\",\"errorMessage\":\"%1\",\"meta\":{\"githubCommitSha\":\"%1\",\"githubCommitRef\":\"%1\",\"githubCommitMessage\":\"%1\",\"githubCommitAuthorName\":\"%1\",\"githubOrg\":\"%1\",\"githubRepo\":\"%1\",\"githubPrId\":\"%1\"}},\"projectId\":\"%1\"}}"},
    {SOURCE_LINEAR, "Issue:update", "{\"updatedFrom\":{\"description\":\"%1\"},\"data\":{\"identifier\":\"%1\",\"title\":\"%1\",\"description\":\"%1\",\"team\":{\"key\":\"%1\",\"name\":\"%1\"},\"labels\":[{\"name\":\"%1\"}],\"updatedAt\":\"%1\",\"creator\":{\"id\":\"%1\",\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Comment:create", "{\"data\":{\"id\":\"%1\",\"body\":\"%1\",\"issue\":{\"identifier\":\"%1\",\"title\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Project:create", "{\"data\":{\"slugId\":\"%1\",\"name\":\"%1\",\"description\":\"%1\",\"progress\":0.5,\"lead\":{\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Cycle:create", "{\"data\":{\"number\":\"%1\",\"name\":\"%1\",\"team\":{\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "ProjectUpdate:create", "{\"data\":{\"id\":\"%1\",\"body\":\"%1\",\"health\":\"%1\",\"project\":{\"id\":\"%1\",\"name\":\"%1\"}}}"},
    {SOURCE_SENTRY, "issue.assigned", "{\"data\":{\"issue\":{\"shortId\":\"%1\",\"title\":\"%1\",\"metadata\":{\"type\":\"%1\",\"value\":\"%1\"},\"project\":{\"slug\":\"%1\"},\"assignedTo\":{\"id\":\"%1\",\"name\":\"%1\"},\"statusDetails\":{\"inCommit\":{\"repository\":\"%1/%1\",\"commit\":\"%1\"}}}}}"},
    {SOURCE_SENTRY, "error", "{\"data\":{\"event\":{\"event_id\":\"%1\",\"project\":\"%1\",\"title\":\"%1\",\"tags\":[[\"%1\",\"%1\"]],\"exception\":{\"values\":[{\"type\":\"%1\",\"value\":\"%1\",\"stacktrace\":{\"frames\":[{\"filename\":\"%1\",\"function\":\"%1\"}]}}]}}}}"},
    {SOURCE_SENTRY, "event_alert", "{\"data\":{\"event\":{\"event_id\":\"%1\"},\"triggered_rule\":\"%1\"}}"},
    {SOURCE_SENTRY, "metric_alert", "{\"action\":\"open\",\"data\":{\"metric_alert\":{\"id\":\"%1\",\"projects\":[\"%1\"],\"alert_rule\":{\"name\":\"%1\",\"query\":\"%1\"}}}}"},
    {SOURCE_SENTRY, "comment.created", "{\"data\":{\"comment_id\":\"%1\",\"comment\":\"%1\",\"project_slug\":\"%1\"}}"},
};
// clang-format on
enum { KINDS = sizeof kinds / sizeof *kinds };

static enum source_reason transform(struct arena *arena, size_t kind, const json_value *payload,
                                    struct source_event *event)
{
    struct source_context context = {.delivery_id = STR("d"), .received_at = received};
    struct str category;
    return source_transform(arena, kinds[kind].provider, str_of(kinds[kind].event), payload, &context, event,
                            &category);
}

/* Within every limit of the record, whatever came in. */
static void check_stored_form(struct arena *arena, const struct source_event *event)
{
    check(event->title.n > 0 && utf8_length(event->title) <= SOURCE_MAX_TITLE);
    check(utf8_length(event->body) <= SOURCE_MAX_BODY);
    check(event->source_id.n > 0 && event->source_id.n <= 255);
    check(event->reference_count <= SOURCE_MAX_REFERENCES);
    check(event->metadata.n <= SOURCE_MAX_METADATA);
    check(utf8_valid(event->title) && utf8_valid(event->body) && utf8_valid(event->source_id));
    const json_value *metadata;
    check_ok(json_parse(arena, event->metadata, &metadata));
    check_str(json_str(metadata, "deliveryId"), "d");
}

static void fill_everywhere(struct arena *arena, struct str filling)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct arena_mark mark = arena_mark(arena);
        struct source_event event;
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), filling);
        if (transform(arena, i, json(arena, str_z(arena, text)), &event) == SOURCE_CAPTURED)
            check_stored_form(arena, &event);
        else
            fail_msg("%s refused", kinds[i].event);
        arena_rewind(arena, mark);
    }
}

TEST(hostile, every_kind_takes_plain_text_everywhere)
{
    fill_everywhere(arena, STR("7"));
}

TEST(hostile, gigantic_texts_are_cut)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 20000; i++)
        buf_lit(&text, "gr\xc3\xb6\xc3\x9f"
                       "er ");
    fill_everywhere(arena, buf_str(&text));
}

TEST(hostile, escapes_that_grow_sixfold_still_fit)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 30000; i++) buf_lit(&text, "\\u0001");
    buf_lit(&text, "x");
    fill_everywhere(arena, buf_str(&text));
}

TEST(hostile, nul_and_markup_are_text)
{
    fill_everywhere(arena, STR("a\\u0000b<script>\\\"'%n%s"));
}

TEST(hostile, everything_of_another_type_is_absent)
{
    static const char *const others[] = {"null", "[]", "{}", "true", "1e308", "-1", "[[[\\\"x\\\"]]]", "\"\""};
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
            struct arena_mark mark = arena_mark(arena);
            struct source_event event;
            struct str other = str_replace(arena, str_of(others[j]), STR("\\\""), STR("\""));
            struct str text = str_replace(arena, str_of(kinds[i].payload), STR("\"%1\""), other);
            enum source_reason reason = transform(arena, i, json(arena, str_z(arena, text)), &event);
            check(reason == SOURCE_CAPTURED || reason == SOURCE_INVALID_EVENT);
            if (reason == SOURCE_CAPTURED) check_stored_form(arena, &event);
            arena_rewind(arena, mark);
        }
}

/* The payload with one member after the other replaced by null. */
static const json_value *without(struct arena *arena, const json_value *value, int *left)
{
    struct json_out out = json_out(arena);
    const json_value *made;
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(value); json_step(&it);) {
        json_key(&out, it.key);
        if ((*left)-- == 0)
            json_put_null(&out, NULL);
        else if (json_is_object(it.value))
            json_put_value(&out, NULL, without(arena, it.value, left));
        else
            json_put_value(&out, NULL, it.value);
    }
    json_end(&out);
    check_ok(json_parse(arena, json_out_text(&out), &made));
    return made;
}

TEST(hostile, any_single_member_may_be_null)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), STR("7"));
        const json_value *whole = json(arena, str_z(arena, text));
        for (int member = 0;; member++) {
            struct source_event event;
            int left = member;
            const json_value *payload = without(arena, whole, &left);
            if (left >= 0) break;
            if (transform(arena, i, payload, &event) == SOURCE_CAPTURED) check_stored_form(arena, &event);
        }
    }
}

TEST(hostile, long_lists_are_bounded)
{
    struct buf text = buf_in(arena);
    buf_lit(&text, "{\"ref\":\"refs/heads/main\",\"after\":\"a\",\"repository\":{\"full_name\":\"a/"
                   "b\",\"default_branch\":\"main\"},\"commits\":[{}");
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, ",{\"id\":\"%040d\",\"message\":\"Change %d\\n\\nFixes #%d\",\"author\":{\"name\":\"N\"}}", i,
                   i, i);
    buf_lit(&text, "]}");
    struct source_event event;
    const json_value *metadata;
    check_int(transform(arena, 0, json(arena, str_z(arena, buf_str(&text))), &event), SOURCE_CAPTURED);
    check_stored_form(arena, &event);
    check_ok(json_parse(arena, event.metadata, &metadata));
    check_int(json_count(json_get(metadata, "commits")), 100);
    check_int(json_int(metadata, "commitCount", 0), 3001);
    check(str_ends(event.body, STR("- (+2950 more)")));
    size_t included = 0;
    for (size_t i = 0; i < event.reference_count; i++) included += str_eq(event.references[i].label, STR("included"));
    check_int(included, 20);
}

TEST(hostile, a_payload_that_is_no_object_is_no_event)
{
    struct source_event event;
    for (size_t i = 0; i < KINDS; i++) {
        check_int(transform(arena, i, json(arena, "[1]"), &event), SOURCE_INVALID_EVENT);
        check_int(transform(arena, i, NULL, &event), SOURCE_INVALID_EVENT);
    }
}

/* ---- the registry ------------------------------------------------------------------------------------------------ */

TEST(registry, what_is_captured_by_default_has_a_row_and_its_category)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct source_event event;
        struct str category;
        struct source_context context = {.received_at = received};
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), STR("7"));
        check_int(source_transform(arena, kinds[i].provider, str_of(kinds[i].event), json(arena, str_z(arena, text)),
                                   &context, &event, &category),
                  SOURCE_CAPTURED);
        const struct source_type_row *row = source_type_find(event.source, event.source_type);
        check(row != NULL);
        check_str(category, row->category);
    }
}

TEST(registry, every_row_of_vercel_linear_and_sentry_is_made_by_its_event)
{
    for (const struct source_type_row *row = source_types; row->source; row++) {
        enum source_provider provider;
        if (!source_provider_parse(str_of(row->source), &provider) || provider == SOURCE_GITHUB) continue;
        for (struct str rest = str_of(row->external), event; str_cut(&rest, ',', &event);) {
            struct source_event made;
            struct str category, filling = STR("7");
            struct source_context context = {.received_at = received, .resource_id = STR("r")};
            enum source_reason reason = SOURCE_INVALID_EVENT;
            for (size_t i = 0; i < KINDS && reason != SOURCE_CAPTURED; i++)
                if (kinds[i].provider == provider)
                    reason = source_transform(
                        arena, provider, event,
                        json(arena, str_z(arena, str_replace(arena, str_of(kinds[i].payload), STR("%1"), filling))),
                        &context, &made, &category);
            check_int(reason, SOURCE_CAPTURED);
            check_str(made.source_type, row->type);
            check_str(category, row->category);
        }
    }
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(signature, vector_of_github),
        RUN(signature, prefix_is_optional_and_case_does_not_matter),
        RUN(signature, one_changed_byte_is_refused),
        RUN(signature, truncated_longer_and_other_text_is_refused),
        RUN(signature, sha1_header_of_github_is_never_accepted),
        RUN(signature, check_values_of_the_other_providers),
        RUN(signature, algorithm_of_another_provider_is_refused),
        RUN(signature, either_secret_is_valid_during_rotation),
        RUN(signature, an_empty_secret_matches_nothing),
        RUN(signature, empty_body_and_missing_header_have_their_own_codes),
        RUN(signature, bodies_over_the_limit_are_refused_before_anything_is_computed),
        RUN(delivery, github_names_event_and_id_in_headers),
        RUN(delivery, an_id_that_is_absent_too_long_or_unprintable_is_the_digest_of_the_body),
        RUN(delivery, github_sends_forms_too),
        RUN(delivery, a_form_without_payload_or_with_broken_escapes_is_no_json),
        RUN(delivery, the_event_header_is_looked_for_before_the_json),
        RUN(delivery, payloads_are_objects_of_bounded_depth),
        RUN(delivery, ping_is_a_ping_of_github_only),
        RUN(delivery, vercel_says_everything_in_the_body),
        RUN(delivery, linear_is_known_by_type_action_and_webhook),
        RUN(delivery, the_time_window_is_300_seconds_back_and_60_ahead),
        RUN(delivery, sentry_times_are_seconds_milliseconds_or_iso),
        RUN(delivery, sentry_issues_and_comments_have_their_action_in_the_event),
        RUN(delivery, a_longer_window_is_a_setting),
        RUN(answer, says_what_was_ignored_and_why),
        RUN(category, comes_from_the_registry_or_the_table_of_opt_in_actions),
        RUN(category, an_absent_or_empty_list_wants_nothing),
        RUN(route, resources_of_each_kind_of_event),
        RUN(route, github_goes_by_repository_id),
        RUN(route, a_project_update_names_project_and_organisation),
        RUN(route, more_than_a_hundred_resources_are_cut),
        RUN(state, of_github_as_the_table_says),
        RUN(state, an_installation_that_ends_cancels_what_runs),
        RUN(state, a_rename_changes_names_and_nothing_else),
        RUN(state, a_new_default_branch_starts_a_full_sync),
        RUN(state, archived_and_private_are_flags),
        RUN(state, of_the_other_providers),
        RUN(item, of_a_pull_request),
        RUN(item, of_a_review_has_a_verdict_and_leaves_unknown_counts_alone),
        RUN(item, a_comment_on_a_pull_request_is_about_a_pull_request),
        RUN(hostile, every_kind_takes_plain_text_everywhere),
        RUN(hostile, gigantic_texts_are_cut),
        RUN(hostile, escapes_that_grow_sixfold_still_fit),
        RUN(hostile, nul_and_markup_are_text),
        RUN(hostile, everything_of_another_type_is_absent),
        RUN(hostile, any_single_member_may_be_null),
        RUN(hostile, long_lists_are_bounded),
        RUN(hostile, a_payload_that_is_no_object_is_no_event),
        RUN(registry, what_is_captured_by_default_has_a_row_and_its_category),
        RUN(registry, every_row_of_vercel_linear_and_sentry_is_made_by_its_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
