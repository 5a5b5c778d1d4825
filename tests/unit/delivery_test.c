/* delivery_test.c - is a webhook genuine, what does it deliver, how is it answered. */
#include "transform_world.h"

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
        struct str digest = crypto_sha256_hex(arena, STR("{\"a\":1}"));
        check_str(delivery.body_digest, digest.s); /* there is no signature */
        check_str(delivery.id, str_z(arena, str_printf(arena, "sha256:%.32s", digest.s)));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
