/* items_test.c - pull requests and issues as many events tell them together, and the teams of projects. */
#include "receive_world.h"

#include "distort.h"

#define REPO "\"repository\":{\"id\":42,\"name\":\"api\",\"full_name\":\"acme/api\",\"default_branch\":\"main\"," \
    "\"html_url\":\"https://github.com/acme/api\"},\"sender\":{\"id\":5,\"login\":\"ada\"}"
#define PULL(action, state, updated, more) "{\"action\":\"" action "\",\"pull_request\":{\"number\":7,\"title\":\"Faster login\"," \
    "\"body\":\"Fixes #3\\n\\nCo-authored-by: Bob <bob@example.com>\",\"state\":\"" state "\",\"draft\":false," \
    "\"html_url\":\"https://github.com/acme/api/pull/7\",\"user\":{\"id\":5,\"login\":\"ada\"},\"labels\":[{\"name\":\"speed\"}]," \
    "\"assignees\":[{\"login\":\"eve\"}],\"requested_reviewers\":[{\"login\":\"kim\"}],\"milestone\":{\"title\":\"1.0\"}," \
    "\"comments\":2,\"review_comments\":1,\"created_at\":\"2026-01-01T00:00:00Z\",\"updated_at\":\"" updated "\"" more "}," REPO "}"
#define REVIEW(id, state, at) "{\"action\":\"submitted\",\"review\":{\"id\":" id ",\"state\":\"" state "\",\"body\":\"So it is\"," \
    "\"user\":{\"id\":6,\"login\":\"kim\"},\"submitted_at\":\"" at "\"},\"pull_request\":{\"number\":7,\"title\":\"Faster login\"," \
    "\"state\":\"open\",\"updated_at\":\"" at "\"}," REPO "}"
#define ITEM(columns) "SELECT " columns " FROM github_item"

static struct str source(struct world *w)
{
    return ADD(w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
}

TEST(items, an_event_leaves_the_state_of_its_pull_request)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("opened", "open", "2026-01-01T00:00:00Z", ""), id);
    check_str(ask(&w, ITEM("repo || '#' || number || ' ' || kind || ' ' || state || ' ' || title")),
              "acme/api#7 pull_request open Faster login");
    check_str(ask(&w, ITEM("labels || assignees || requested_reviewers || milestone")), "[\"speed\"][\"eve\"][\"kim\"]1.0");
    check_str(ask(&w, ITEM("linked_issues")), "[{\"id\":\"#3\",\"label\":\"fixes\",\"url\":\"https://github.com/acme/api/issues/3\"}]");
    check_str(ask(&w, ITEM("coauthors")), "[{\"name\":\"Bob\",\"email\":\"bob@example.com\"}]");
    check_str(ask(&w, ITEM("author_login || comment_count || review_comment_count")), "ada21");
    check_int(count(&w, ITEM("COUNT(*)") " WHERE merged_at IS NULL AND closed_at IS NULL AND draft = 0"), 1);
}

TEST(items, what_is_not_captured_counts_too)
{
    WORLD(w);
    struct str id = source(&w);
    check_str(DELIVER(&w, "pull_request", "d1", PULL("locked", "open", "2026-01-01T00:00:00Z", ""), id).body,
              "{\"received\":true,\"ignored\":\"action_not_captured\"}");
    check_int(count(&w, ITEM("COUNT(*)")), 1);
}

TEST(items, older_news_changes_nothing)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("closed", "closed", "2026-01-03T00:00:00Z",
                                           ",\"merged\":true,\"merged_at\":\"2026-01-03T00:00:00Z\",\"closed_at\":\"2026-01-03T00:00:00Z\""), id);
    DELIVER(&w, "pull_request", "d2", PULL("labeled", "open", "2026-01-02T00:00:00Z", ""), id);
    check_str(ask(&w, ITEM("state")), "closed");
    check_int(count(&w, ITEM("COUNT(*)") " WHERE merged_at IS NOT NULL AND closed_at IS NOT NULL"), 1);
}

TEST(items, what_is_open_again_is_not_closed)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("closed", "closed", "2026-01-03T00:00:00Z", ",\"closed_at\":\"2026-01-03T00:00:00Z\""), id);
    DELIVER(&w, "pull_request", "d2", PULL("reopened", "open", "2026-01-04T00:00:00Z", ""), id);
    check_int(count(&w, ITEM("COUNT(*)") " WHERE closed_at IS NULL AND state = 'open'"), 1);
}

TEST(items, a_review_leaves_what_it_does_not_show)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("opened", "open", "2026-01-01T00:00:00Z", ""), id);
    DELIVER(&w, "pull_request_review", "d2", REVIEW("1", "changes_requested", "2026-01-02T00:00:00Z"), id);
    check_str(ask(&w, ITEM("labels || milestone || comment_count")), "[\"speed\"]1.02");
    check_str(ask(&w, "SELECT login || ' ' || state FROM github_verdict"), "kim changes_requested");
}

TEST(items, the_last_verdict_of_a_reviewer_stands)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request_review", "d1", REVIEW("1", "changes_requested", "2026-01-02T00:00:00Z"), id);
    DELIVER(&w, "pull_request_review", "d2", REVIEW("3", "approved", "2026-01-04T00:00:00Z"), id);
    DELIVER(&w, "pull_request_review", "d3", REVIEW("2", "changes_requested", "2026-01-03T00:00:00Z"), id);
    DELIVER(&w, "pull_request_review", "d4", REVIEW("4", "commented", "2026-01-05T00:00:00Z"), id);
    check_int(count(&w, "SELECT COUNT(*) FROM github_verdict"), 1);
    check_str(ask(&w, "SELECT state FROM github_verdict"), "approved");
}

TEST(items, what_reaches_no_source_leaves_nothing)
{
    WORLD(w);
    source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("opened", "open", "2026-01-01T00:00:00Z", ""));
    check_int(count(&w, ITEM("COUNT(*)")), 0); /* the source does not share the app */
}

TEST(items, a_renamed_repository_keeps_one_item)
{
    WORLD(w);
    struct str id = source(&w);
    DELIVER(&w, "pull_request", "d1", PULL("opened", "open", "2026-01-01T00:00:00Z", ""), id);
    struct str renamed = str_replace(arena, STR(PULL("edited", "open", "2026-01-02T00:00:00Z", "")), STR("acme/api\",\"default"),
                                     STR("acme/core\",\"default"));
    DELIVER(&w, "pull_request", "d2", str_z(arena, renamed), id);
    check_str(ask(&w, ITEM("COUNT(*) || repo")), "1acme/api");
}

TEST(items, gigantic_lists_and_texts_are_cut)
{
    WORLD(w);
    struct str      id = source(&w);
    struct json_out out = json_out(arena);
    char           *large = arena_alloc(arena, 20001);
    memset(large, 'x', 20000);
    json_begin(&out, NULL, '{');
    json_put(&out, "action", "opened");
    json_begin(&out, "issue", '{');
    json_put(&out, "number", 9);
    json_put(&out, "title", (const char *)large);
    json_put(&out, "html_url", (const char *)large);
    json_begin(&out, "labels", '[');
    for (int i = 0; i < 5000; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "name", str_printf(arena, "%d%s", i, i < 3 ? large : ""));
        json_end(&out);
    }
    json_end(&out);
    json_begin(&out, "assignees", '[');
    json_end(&out);
    json_end(&out);
    json_begin(&out, "repository", '{');
    json_put(&out, "id", 42);
    json_put(&out, "full_name", "acme/api");
    json_end(&out);
    json_end(&out);
    DELIVER(&w, "issues", "d1", str_z(arena, json_out_text(&out)), id);
    check_int(count(&w, ITEM("LENGTH(title)")), 1000);
    check(count(&w, ITEM("LENGTH(labels)")) < 3000);
    check_int(count(&w, ITEM("COUNT(*)") " WHERE url IS NULL"), 1);
}

/* ---- projects ---------------------------------------------------------------------------------------------------------- */

#define NOW INT64_C(1767323045000)
#define LINEAR(type, data) "{\"type\":\"" type "\",\"action\":\"create\",\"organizationId\":\"org-1\",\"webhookTimestamp\":1767323045000," \
    "\"createdAt\":\"2026-01-02T03:04:05Z\",\"data\":{" data "}}"
#define PROJECT LINEAR("Project", "\"id\":\"p1\",\"slugId\":\"p\",\"name\":\"Launch\",\"teamIds\":[\"team-1\",\"team-2\"]")
#define UPDATE(id) LINEAR("ProjectUpdate", "\"id\":\"" id "\",\"body\":\"On track\",\"project\":{\"id\":\"p1\",\"name\":\"Launch\"}")

TEST(projects, an_update_goes_to_the_teams_that_were_last_seen)
{
    WORLD(w);
    time_set(NOW);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .shared = true);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-3"), .shared = true);
    DELIVER(&w, "", "d1", LINEAR("Issue", "\"id\":\"i\",\"identifier\":\"OPS-1\",\"title\":\"t\",\"team\":{\"id\":\"team-3\"}"),
            .provider = SOURCE_LINEAR); /* its organisation is known now */
    DELIVER(&w, "", "d2", PROJECT, .provider = SOURCE_LINEAR);
    check_int(count(&w, "SELECT COUNT(*) FROM linear_project_team"), 2);
    DELIVER(&w, "", "d3", UPDATE("u1"), .provider = SOURCE_LINEAR);
    check_str(ask(&w, "SELECT resource_id FROM observation WHERE source_type = 'project-update.created'"), "team-1");
}

TEST(projects, an_update_of_an_unknown_project_goes_to_the_organisation)
{
    WORLD(w);
    time_set(NOW);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-3"), .shared = true);
    check_str(DELIVER(&w, "", "d1", UPDATE("u1"), .provider = SOURCE_LINEAR).body,
              "{\"received\":true,\"ignored\":\"not_connected\"}");
    DELIVER(&w, "", "d2", LINEAR("Issue", "\"id\":\"i\",\"identifier\":\"OPS-1\",\"title\":\"t\",\"team\":{\"id\":\"team-3\"}"),
            .provider = SOURCE_LINEAR);
    check_str(DELIVER(&w, "", "d3", UPDATE("u2"), .provider = SOURCE_LINEAR).body, "{\"received\":true}");
}

TEST(projects, teams_that_changed_replace_the_old_ones)
{
    WORLD(w);
    time_set(NOW);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .shared = true);
    DELIVER(&w, "", "d1", PROJECT, .provider = SOURCE_LINEAR);
    DELIVER(&w, "", "d2", LINEAR("Project", "\"id\":\"p1\",\"slugId\":\"p\",\"name\":\"Launch\",\"teams\":[{\"id\":\"team-1\"}]"),
            .provider = SOURCE_LINEAR);
    check_int(count(&w, "SELECT COUNT(*) FROM linear_project_team"), 1);
}

/* ---- anything anywhere ------------------------------------------------------------------------------------------------- */

// clang-format off
static const struct { enum source_provider provider; const char *event, *body; } told[] = {
    {SOURCE_GITHUB, "pull_request", PULL("opened", "open", "2026-01-01T00:00:00Z", ",\"merged_at\":\"2026-01-03T00:00:00Z\"")},
    {SOURCE_GITHUB, "pull_request_review", REVIEW("1", "approved", "2026-01-02T00:00:00Z")},
    {SOURCE_GITHUB, "repository", "{\"action\":\"renamed\",\"installation\":{\"id\":6}," REPO "}"},
    {SOURCE_GITHUB, "installation", "{\"action\":\"created\",\"installation\":{\"id\":6,\"account\":{\"id\":7,\"login\":\"acme\",\"type\":\"User\"},"
        "\"permissions\":{\"issues\":\"read\"},\"events\":[\"push\"],\"updated_at\":\"2026-01-01T00:00:00Z\"},\"repositories\":[{\"id\":42}]}"},
    {SOURCE_GITHUB, "installation_repositories", "{\"action\":\"added\",\"repositories_added\":[{\"id\":42}],\"installation\":{\"id\":6}}"},
    {SOURCE_LINEAR, "", PROJECT},
    {SOURCE_LINEAR, "", UPDATE("u1")},
};
// clang-format on

TEST(anything, anywhere_in_what_is_remembered_is_answered)
{
    WORLD(w);
    time_set(NOW);
    char *large = arena_alloc(arena, 10003);
    memset(large, '"', 1), memset(large + 1, 'x', 10000), memset(large + 10001, '"', 1);
    struct str replacements[] = {STR("null"), STR("[[]]"), STR("-1"), str_of(large)};
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .shared = true);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const json_value *body;
        struct str        text;
        check_ok(json_parse(arena, str_of(told[i].body), &body));
        for (size_t k = 0; k < sizeof replacements / sizeof *replacements; k++)
            for (int place = 1; (text = distorted(arena, body, place, replacements[k])).s; place++) {
                struct str id = str_printf(arena, "%zu-%zu-%d", i, k, place);
                struct source_answer_to_post answer =
                    DELIVER(&w, told[i].event, str_z(arena, id), str_z(arena, text), .provider = told[i].provider);
                bool untimely = answer.refusal == &source_refusals.timestamp_invalid;
                check(untimely || (!answer.refusal && str_starts(answer.body, STR("{\"received\":true"))));
            }
    }
    check_int(count(&w, "SELECT COUNT(*) FROM github_item WHERE LENGTH(title) > 1000 OR LENGTH(repo) > 1000"), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM source WHERE LENGTH(source_config) > 5000"), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE status <> 'completed' AND function = 'neural.observation.capture'"), 0);
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(items, an_event_leaves_the_state_of_its_pull_request),
        RUN(items, what_is_not_captured_counts_too),
        RUN(items, older_news_changes_nothing),
        RUN(items, what_is_open_again_is_not_closed),
        RUN(items, a_review_leaves_what_it_does_not_show),
        RUN(items, the_last_verdict_of_a_reviewer_stands),
        RUN(items, what_reaches_no_source_leaves_nothing),
        RUN(items, a_renamed_repository_keeps_one_item),
        RUN(items, gigantic_lists_and_texts_are_cut),
        RUN(projects, an_update_goes_to_the_teams_that_were_last_seen),
        RUN(projects, an_update_of_an_unknown_project_goes_to_the_organisation),
        RUN(projects, teams_that_changed_replace_the_old_ones),
        RUN(anything, anywhere_in_what_is_remembered_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
