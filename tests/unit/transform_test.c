/* transform_test.c - routes, state changes and item snapshots of webhooks. What each event becomes: tests/golden. */
#include "transform_world.h"

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

TEST(state, an_installation_that_ends_is_named_with_its_account)
{
    struct source_state_change change;
    check(state(arena, SOURCE_GITHUB, "installation", "{\"action\":\"suspend\"," INSTALLATION "}", &change));
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

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(route, resources_of_each_kind_of_event),
        RUN(route, github_goes_by_repository_id),
        RUN(route, a_project_update_names_project_and_organisation),
        RUN(route, more_than_a_hundred_resources_are_cut),
        RUN(state, of_github_as_the_table_says),
        RUN(state, an_installation_that_ends_is_named_with_its_account),
        RUN(state, a_rename_changes_names_and_nothing_else),
        RUN(state, a_new_default_branch_starts_a_full_sync),
        RUN(state, archived_and_private_are_flags),
        RUN(state, of_the_other_providers),
        RUN(item, of_a_pull_request),
        RUN(item, of_a_review_has_a_verdict_and_leaves_unknown_counts_alone),
        RUN(item, a_comment_on_a_pull_request_is_about_a_pull_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
