#include "check.h"

#include "memory/memory.h"

/* An event as connectors make it; what a test does not name is harmless. */
static struct memory_analysis analyse(struct arena *arena, struct source_event event)
{
    struct memory_analysis analysis;
    if (!event.source.n) event.source = STR("github");
    if (!event.source_type.n) event.source_type = STR("push");
    if (!event.source_id.n) event.source_id = STR("push:Acme/API:0123456789abcdef0123456789abcdef01234567");
    if (!event.title.s) event.title = STR("");
    if (!event.body.s) event.body = STR("");
    if (!event.metadata.n) event.metadata = STR("{}");
    text_start();
    memory_analyse(arena, &event, &analysis);
    return analysis;
}

#define ANALYSE(...) analyse(arena, (struct source_event){__VA_ARGS__})
#define REFERENCES(...)                                                     \
    .references = (struct source_reference[]){__VA_ARGS__},                 \
    .reference_count = sizeof((struct source_reference[]){__VA_ARGS__}) / sizeof(struct source_reference)

static struct str joined(struct arena *arena, const struct str *at, size_t n) { return str_join(arena, at, n, STR(" ")); }

/* "self commit abc...", "mention issue acme/api#1 (fixes)" ..., one a line */
static struct str shown_links(struct arena *arena, const struct memory_analysis *analysis)
{
    struct buf out = buf_in(arena);
    for (size_t i = 0; i < analysis->link_count; i++) {
        const struct memory_link *link = &analysis->links[i];
        buf_printf(&out, "%s%s " STR_FMT " " STR_FMT, i ? "\n" : "", link->self ? "self" : "mention", STR_ARG(link->type),
                   STR_ARG(link->key));
        if (link->scope.n) buf_printf(&out, " in " STR_FMT, STR_ARG(link->scope));
        if (link->qualifier.n) buf_printf(&out, " (" STR_FMT ")", STR_ARG(link->qualifier));
    }
    return buf_str(&out);
}

static struct str shown_entities(struct arena *arena, const struct memory_analysis *analysis)
{
    struct buf out = buf_in(arena);
    for (size_t i = 0; i < analysis->entity_count; i++) {
        const struct memory_entity *entity = &analysis->entities[i];
        buf_printf(&out, "%s" STR_FMT ":" STR_FMT, i ? "\n" : "", STR_ARG(entity->category), STR_ARG(entity->key));
        if (entity->scope.n) buf_printf(&out, " in " STR_FMT, STR_ARG(entity->scope));
        if (entity->value.n) buf_printf(&out, " = " STR_FMT, STR_ARG(entity->value));
        buf_printf(&out, " %.2f", entity->confidence);
    }
    return buf_str(&out);
}

/* ---- score --------------------------------------------------------------------------------------------------------- */

TEST(score, base_is_the_weight_of_the_type)
{
    struct memory_analysis analysis = ANALYSE(.title = STR("[Push] Hello"));
    check_int(analysis.score, 30);
    check_str(joined(arena, analysis.factors, analysis.factor_count), "base:push");
    check_int(ANALYSE(.source_type = STR("pull-request.merged")).score, 60);
    check_int(ANALYSE(.source = STR("git"), .source_type = STR("release.published")).score, 75);
    check_int(ANALYSE(.source = STR("vercel"), .source_type = STR("deployment.error")).score, 70);
}

TEST(score, unknown_types_weigh_thirty_five)
{
    check_int(ANALYSE(.source = STR("acme"), .source_type = STR("thing.done")).score, 35);
}

TEST(score, each_signal_counts_once)
{
    struct memory_analysis analysis = ANALYSE(.title = STR("fix bug"), .body = STR("patch; security, CVE-2021-1"));
    check_int(analysis.score, 30 + 20 + 5);
    check_str(joined(arena, analysis.factors, analysis.factor_count), "base:push critical_keyword fix_keyword");
}

TEST(score, the_label_of_the_title_is_no_signal)
{
    check_int(ANALYSE(.source_type = STR("release.published"), .title = STR("[Release Published] one")).score, 75);
}

TEST(score, references_add_three_each_up_to_fifteen)
{
    struct source_reference many[9];
    for (size_t i = 0; i < 9; i++)
        many[i] = (struct source_reference){STR("label"), str_printf(arena, "label %zu", i), {0}, {0}};
    struct memory_analysis two = ANALYSE(.references = many, .reference_count = 2);
    check_int(two.score, 36);
    check_str(two.factors[1], "references:2");
    check_int(ANALYSE(.references = many, .reference_count = 9).score, 45);
}

TEST(score, contained_commits_and_their_pull_request_do_not_count)
{
    check_int(ANALYSE(REFERENCES({STR("commit"), STR("0123456789abcdef"), {0}, STR("included")},
                                 {STR("pr"), STR("#1"), {0}, STR("merges")})).score, 30);
}

TEST(score, long_bodies_add_two_or_five)
{
    check_int(ANALYSE(.body = str_printf(arena, "%0200d", 0)).score, 30);
    check_int(ANALYSE(.body = str_printf(arena, "%0201d", 0)).score, 32);
    struct memory_analysis analysis = ANALYSE(.body = str_printf(arena, "%0501d", 0));
    check_int(analysis.score, 35);
    check_str(analysis.factors[1], "substantial_content");
}

TEST(score, stays_between_zero_and_hundred)
{
    check_int(ANALYSE(.source_type = STR("release.published"), .body = STR("critical incident release new fix")).score, 100);
    check_int(ANALYSE(.source_type = STR("issue-comment.created"), .body = STR("bump typo wip")).score, 0);
}

/* ---- classification ------------------------------------------------------------------------------------------------ */

TEST(classify, the_first_row_is_primary_the_next_three_secondary)
{
    struct memory_analysis analysis = ANALYSE(.title = STR("[Push] Add tests and docs"), .body = STR("fix the slow ci"));
    assert_string_equal(analysis.primary, "bug_fix");
    check_int(analysis.secondary_count, 3);
    assert_string_equal(analysis.secondary[0], "feature");
    assert_string_equal(analysis.secondary[1], "performance");
    assert_string_equal(analysis.secondary[2], "testing");
    check_near(analysis.confidence, 0.5, 0);
}

TEST(classify, type_patterns_test_the_type)
{
    static const char *const rows[][2] = {
        {"release.published", "release"},   {"deployment.ready", "deployment"}, {"event-alert", "incident"},
        {"metric-alert", "incident"},       {"issue.resolved", "bug_fix"},      {"discussion.created", "discussion"},
        {"comment.created", "discussion"},  {"issue-comment.created", "other"}, {"issue.opened", "other"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(ANALYSE(.source_type = str_of(rows[i][0])).primary, rows[i][1]);
}

TEST(classify, topics_in_the_order_of_the_rule)
{
    struct memory_analysis analysis = ANALYSE(.title = STR("[Push] fix: prefetch"), .body = STR(""),
                                              REFERENCES({STR("label"), STR("Area/Pool"), {0}, {0}}));
    check_str(joined(arena, analysis.topics, analysis.topic_count), "fix prefetch area/pool bug_fix github push");
    check_int(analysis.content_topics, 3);
}

TEST(classify, at_most_twenty_topics_of_sixty_four_characters)
{
    struct source_reference many[30];
    for (size_t i = 0; i < 30; i++)
        many[i] = (struct source_reference){STR("label"), str_printf(arena, "%090zu", i), {0}, {0}};
    struct memory_analysis same = ANALYSE(.references = many, .reference_count = 30);
    check_int(same.topics[0].n, 64);
    for (size_t i = 0; i < 30; i++) many[i].id = str_printf(arena, "label %zu", i);
    check_int(ANALYSE(.references = many, .reference_count = 30).topic_count, 20);
}

/* ---- links --------------------------------------------------------------------------------------------------------- */

TEST(links, a_push_is_about_its_head_and_branch)
{
    struct memory_analysis analysis = ANALYSE(
        .metadata = STR("{\"repoFullName\":\"Acme/API\",\"commits\":[{\"sha\":\"AAAAAAA1\"},{\"sha\":\"bbbbbbb2\"},{\"sha\":\"no\"}]}"),
        REFERENCES({STR("commit"), STR("0123456789ABCDEF0123456789abcdef01234567"), STR("https://github.com/Acme/API/commit/0"), {0}},
                   {STR("branch"), STR("refs/heads/Feature/X"), {0}, {0}},
                   {STR("commit"), STR("bbbbbbb2"), {0}, STR("included")}, {STR("pr"), STR("#7"), {0}, STR("merges")},
                   {STR("issue"), STR("#8"), {0}, STR("fixed")}));
    check_str(shown_links(arena, &analysis), "self commit 0123456789abcdef0123456789abcdef01234567\n"
                                             "self branch feature/x in acme/api\n"
                                             "mention commit bbbbbbb2 (included)\n"
                                             "mention issue acme/api#7 (merges)\n"
                                             "mention issue acme/api#8 (fixes)\n"
                                             "mention commit aaaaaaa1 (included)");
    check_str(analysis.url, "https://github.com/Acme/API/commit/0");
}

TEST(links, a_pull_request_is_about_itself_its_head_and_its_merge)
{
    struct memory_analysis analysis = ANALYSE(
        .source_type = STR("pull-request.merged"), .source_id = STR("pr:Acme/API#12:merged"),
        REFERENCES({STR("pr"), STR("#12"), STR("https://github.com/Acme/API/pull/12"), {0}},
                   {STR("branch"), STR("topic"), STR("https://github.com/fork/api/tree/topic"), {0}},
                   {STR("commit"), STR("aaaaaaaaaa"), {0}, {0}}, {STR("commit"), STR("bbbbbbbbbb"), {0}, STR("merge")},
                   {STR("pr"), STR("#11"), {0}, {0}}));
    check_str(shown_links(arena, &analysis), "self issue acme/api#12\n"
                                             "self branch topic in fork/api\n"
                                             "self commit aaaaaaaaaa\n"
                                             "self commit bbbbbbbbbb (merge)\n"
                                             "mention issue acme/api#11");
    check_str(analysis.url, "https://github.com/Acme/API/pull/12");
}

TEST(links, reviews_comments_and_releases_mention)
{
    struct memory_analysis review = ANALYSE(
        .source_type = STR("pull-request-review.approved"), .source_id = STR("review:acme/api#12:5:approved"),
        REFERENCES({STR("pr"), STR("#12"), {0}, {0}}, {STR("commit"), STR("aaaaaaaaaa"), {0}, {0}}));
    check_str(shown_links(arena, &review), "mention issue acme/api#12\nmention commit aaaaaaaaaa");
    struct memory_analysis release =
        ANALYSE(.source_type = STR("release.published"), .source_id = STR("release:acme/api:v1"),
                REFERENCES({STR("commit"), STR("aaaaaaaaaa"), {0}, {0}}, {STR("pr"), STR("#3"), {0}, STR("included")}));
    check_str(shown_links(arena, &release), "mention commit aaaaaaaaaa\nmention issue acme/api#3 (included)");
}

TEST(links, trackers_ids_are_upper_case_without_scope)
{
    struct memory_analysis linear = ANALYSE(
        .source = STR("linear"), .source_type = STR("issue.updated"), .source_id = STR("linear-issue:ENG:ENG-42:update@1"),
        REFERENCES({STR("issue"), STR("eng-42"), {0}, {0}}, {STR("branch"), STR("ada/eng-42"), {0}, {0}},
                   {STR("pr"), STR("#9"), STR("https://github.com/acme/api/pull/9"), STR("tracked_in")},
                   {STR("issue"), STR("WEB-1A"), {0}, STR("linked")}));
    check_str(shown_links(arena, &linear), "self issue ENG-42\nmention branch ada/eng-42\n"
                                           "mention issue acme/api#9 (tracked_in)\nmention issue WEB-1A (linked)");
}

TEST(links, a_deployment_is_about_itself_only)
{
    struct memory_analysis analysis = ANALYSE(
        .source = STR("vercel"), .source_type = STR("deployment.ready"), .source_id = STR("deployment:dpl_1:ready"),
        REFERENCES({STR("commit"), STR("aaaaaaaaaa"), STR("https://github.com/acme/api/commit/aaaaaaaaaa"), {0}},
                   {STR("pr"), STR("#4"), STR("https://github.com/acme/api/pull/4"), {0}},
                   {STR("deployment"), STR("dpl_1"), STR("https://x.vercel.app"), {0}}));
    check_str(shown_links(arena, &analysis), "mention commit aaaaaaaaaa\nmention issue acme/api#4\nself deployment dpl_1");
    check_str(analysis.url, "https://x.vercel.app");
}

TEST(links, title_and_body_mention_what_no_reference_names)
{
    struct memory_analysis analysis = ANALYSE(.title = STR("[Push] See #5 (#6)"), .body = STR("ENG-4, other/repo#5, UTF-8, #5"),
                                              REFERENCES({STR("issue"), STR("#6"), {0}, STR("closes")}));
    check_str(shown_links(arena, &analysis), "mention issue acme/api#6 (closes)\nmention issue acme/api#5\n"
                                             "mention issue ENG-4\nmention issue other/repo#5");
}

TEST(links, a_number_without_a_known_repository_stays_alone)
{
    struct memory_analysis analysis = ANALYSE(.source = STR("acme"), .source_id = STR("x"), .body = STR("see #5"));
    check_str(shown_links(arena, &analysis), "mention issue #5");
}

TEST(links, metadata_url_comes_first)
{
    check_str(ANALYSE(.metadata = STR("{\"url\":\"https://example.org/1\"}"),
                      REFERENCES({STR("commit"), STR("aaaaaaaaaa"), STR("https://example.org/2"), {0}})).url,
              "https://example.org/1");
}

/* ---- entities ------------------------------------------------------------------------------------------------------ */

TEST(entities, references_but_the_own_object_become_entities)
{
    struct memory_analysis analysis = ANALYSE(
        .source_type = STR("pull-request.merged"), .source_id = STR("pr:acme/api#12:merged"),
        REFERENCES({STR("pr"), STR("#12"), {0}, {0}}, {STR("issue"), STR("#7"), {0}, STR("fixes")},
                   {STR("commit"), STR("0123456789abcdef"), {0}, STR("included")}, {STR("reviewer"), STR("ada"), {0}, {0}},
                   {STR("assignee"), STR("Bob@Example.org"), {0}, STR("coauthor")}, {STR("label"), STR("pool"), {0}, {0}},
                   {STR("team"), STR("core"), {0}, STR("Core")}));
    check_str(shown_entities(arena, &analysis), "project:#7 in acme/api = fixes 0.98\n"
                                                "reference:0123456 = 0123456789abcdef 0.98\n"
                                                "engineer:@ada 0.98\n"
                                                "engineer:bob@example.org = coauthor 0.98\n"
                                                "reference:pool 0.98\n"
                                                "reference:core = Core 0.98");
    check_str(analysis.entities[0].evidence, "Reference: issue");
    assert_string_equal(analysis.entities[0].method, "reference");
}

TEST(entities, text_and_references_merge_by_key_and_repository)
{
    struct memory_analysis analysis = ANALYSE(
        .title = STR("Thanks @ADA for #7"),
        REFERENCES({STR("issue"), STR("#7"), STR("https://github.com/other/repo/issues/7"), {0}},
                   {STR("reviewer"), STR("ada"), {0}, {0}}));
    check_str(shown_entities(arena, &analysis), "project:#7 in other/repo 0.98\nengineer:@ada = ADA 0.98\n"
                                                "project:#7 in acme/api 0.95");
    check_str(analysis.entities[2].evidence, "Thanks @ADA for #7");
}

TEST(entities, the_best_fifty_stay)
{
    struct buf body = buf_in(arena);
    for (int i = 0; i < 60; i++) buf_printf(&body, "@user%d ", i);
    struct memory_analysis analysis = ANALYSE(.body = buf_str(&body), REFERENCES({STR("label"), STR("pool"), {0}, {0}}));
    check_int(analysis.entity_count, 50);
    check_str(analysis.entities[0].key, "pool");
    check_str(analysis.entities[49].key, "@user48");
}

/* ---- tolerance ----------------------------------------------------------------------------------------------------- */

TEST(analysis, there_is_an_answer_whatever_the_event_holds)
{
    struct memory_analysis analysis = ANALYSE(.source_type = STR("."), .metadata = STR("[1"), .title = STR("[x"),
                                              REFERENCES({STR("commit"), STR("short"), {0}, {0}}, {STR("pr"), STR("#"), {0}, {0}},
                                                         {STR("issue"), STR("#x"), STR("://"), {0}}));
    assert_string_equal(analysis.primary, "other");
    check_str(shown_links(arena, &analysis), "mention issue #\nmention issue #X");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(score, base_is_the_weight_of_the_type),
        RUN(score, unknown_types_weigh_thirty_five),
        RUN(score, each_signal_counts_once),
        RUN(score, the_label_of_the_title_is_no_signal),
        RUN(score, references_add_three_each_up_to_fifteen),
        RUN(score, contained_commits_and_their_pull_request_do_not_count),
        RUN(score, long_bodies_add_two_or_five),
        RUN(score, stays_between_zero_and_hundred),
        RUN(classify, the_first_row_is_primary_the_next_three_secondary),
        RUN(classify, type_patterns_test_the_type),
        RUN(classify, topics_in_the_order_of_the_rule),
        RUN(classify, at_most_twenty_topics_of_sixty_four_characters),
        RUN(links, a_push_is_about_its_head_and_branch),
        RUN(links, a_pull_request_is_about_itself_its_head_and_its_merge),
        RUN(links, reviews_comments_and_releases_mention),
        RUN(links, trackers_ids_are_upper_case_without_scope),
        RUN(links, a_deployment_is_about_itself_only),
        RUN(links, title_and_body_mention_what_no_reference_names),
        RUN(links, a_number_without_a_known_repository_stays_alone),
        RUN(links, metadata_url_comes_first),
        RUN(entities, references_but_the_own_object_become_entities),
        RUN(entities, text_and_references_merge_by_key_and_repository),
        RUN(entities, the_best_fifty_stay),
        RUN(analysis, there_is_an_answer_whatever_the_event_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
