/* memory_relations_test.c - which events belong together, and what states they tell of, in any order of arrival. */
#include "memory_world.h"

/* ---- relations: one test a row of the table, in both orders of arrival ------------------------------------------- */

static void check_edges(struct arena *arena, struct short_event a, struct short_event b, const char *expected)
{
    for (int order = 0; order < 2; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, order ? b : a);
        capture(&world, order ? a : b);
        check_str(edges(&world), expected);
    }
    struct world together WORLD_SCOPE = world_begin(arena);
    capture_all(&together, SOURCE_MANUAL, (struct short_event[]){a, b}, 2);
    check_str(edges(&together), expected);
}

static const struct short_event push_a = {.id = "push:acme/api:a", .refs = {{"commit", SHA_A}}};

TEST(relations, push_resolves_sentry_issue)
{
    check_edges(arena, push_a,
                (struct short_event){.id = "sentry-issue:web:WEB-1:resolved@1", .source = "sentry", .type = "issue.resolved", .day = -1,
                                     .metadata = "{}", .refs = {{"issue", "WEB-1"}, {"commit", SHA_A, "resolved_by"}}},
                "push:acme/api:a -resolves(1.0,explicit,commit)-> sentry-issue:web:WEB-1:resolved@1");
}

TEST(relations, deployment_deploys_commit)
{
    check_edges(arena, push_a,
                (struct short_event){.id = "deployment:d1:ready", .source = "vercel", .type = "deployment.ready", .day = 1,
                                     .metadata = "{}", .refs = {{"commit", SHA_A}, {"deployment", "d1"}}},
                "deployment:d1:ready -deploys(1.0,commit_match,commit)-> push:acme/api:a");
}

TEST(relations, deployment_deploys_pull_request)
{
    check_edges(arena,
                (struct short_event){.id = "pr:acme/api#3:merged", .type = "pull-request.merged", .refs = {{"pr", "#3"}}},
                (struct short_event){.id = "deployment:d1:ready", .source = "vercel", .type = "deployment.ready", .day = 1, .metadata = "{}",
                                     .refs = {{"pr", "#3", NULL, "https://github.com/acme/api/pull/3"}, {"deployment", "d1"}}},
                "deployment:d1:ready -deploys(1.0,pr_match,pr)-> pr:acme/api#3:merged");
}

TEST(relations, any_other_shared_commit)
{
    check_edges(arena, push_a,
                (struct short_event){.id = "release:acme/api:v1", .type = "release.published", .day = 1, .refs = {{"commit", SHA_A}}},
                "release:acme/api:v1 -same_commit(1.0,commit_match,commit)-> push:acme/api:a");
}

TEST(relations, short_sha_names_the_commit_it_begins)
{
    check_edges(arena, push_a,
                (struct short_event){.id = "note", .source = "notes", .type = "note.created", .day = 1, .refs = {{"commit", "aaaaaaaaa"}}},
                "note -same_commit(1.0,commit_match,commit)-> push:acme/api:a");
}

TEST(relations, short_sha_that_fits_two_commits_names_none)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, push_a);
    capture(&world, (struct short_event){.id = "push:acme/api:c", .refs = {{"commit", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7"}}});
    capture(&world, (struct short_event){.id = "note", .source = "notes", .type = "note.created", .day = 1, .refs = {{"commit", "aaaaaaaaa"}}});
    capture(&world, (struct short_event){.id = "push:acme/api:d", .refs = {{"commit", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa9"}}});
    check_str(edges(&world), "");
}

/* Every order in which up to four events can arrive. */
static void check_any_order(struct arena *arena, const char *prepare_sql, const struct short_event *events, size_t n,
                            const char *expected)
{
    size_t orders = n == 2 ? 2 : n == 3 ? 6 : 24;
    for (size_t order = 0; order < orders; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        bool         taken[4] = {false};
        size_t       rest = order;
        if (prepare_sql) write_sql(&world, prepare_sql);
        for (size_t left = n; left > 0; rest /= left, left--) {
            size_t skip = rest % left, at = 0;
            while (taken[at] || skip-- > 0) at++;
            taken[at] = true;
            capture(&world, events[at]);
        }
        check_str(edges(&world), expected);
    }
}

#define NOTE(which, ...) {.id = which, .source = "notes", .type = "note.created", .metadata = "{}", __VA_ARGS__}

TEST(relations, what_a_short_sha_names_does_not_depend_on_arrival)
{
    const struct short_event one[] = {
        push_a, NOTE("note", .day = 1, .refs = {{"commit", "aaaaaaaaa"}}), NOTE("other", .day = 2, .refs = {{"commit", "aaaaaaa"}})};
    check_any_order(arena, NULL, one, 3,
                    "note -same_commit(1.0,commit_match,commit)-> push:acme/api:a;"
                    "other -same_commit(1.0,commit_match,commit)-> note;"
                    "other -same_commit(1.0,commit_match,commit)-> push:acme/api:a");
    const struct short_event two[] = {
        push_a, {.id = "push:acme/api:c", .refs = {{"commit", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa7"}}},
        NOTE("note", .day = 1, .refs = {{"commit", "aaaaaaaaa"}}), NOTE("other", .day = 2, .refs = {{"commit", "aaaaaaa"}})};
    check_any_order(arena, NULL, two, 4, "");
}

#define REPOSITORY(id, name) "('" id "', 1, 'git', '" id "', '{\"repoFullName\":\"" name "\",\"branch\":\"unstable\"}', 0, " id ")"
#define REPOSITORIES                                                                                                  \
    "INSERT INTO source (public_id, workspace_id, source_type, provider_resource_id, source_config, connected_at, id) " \
    "VALUES " REPOSITORY("1000", "Acme/API") ", " REPOSITORY("1001", "acme/web")

TEST(relations, a_number_alone_means_the_only_repository_that_has_it)
{
    const struct short_event events[] = {
        {.id = "pr:acme/api#12:merged", .type = "pull-request.merged", .refs = {{"pr", "#12"}}},
        NOTE("note", .title = "See #12", .day = 1), NOTE("other", .title = "Also #12", .day = 2)};
    check_any_order(arena, REPOSITORIES, events, 3,
                    "note -references(0.8,entity_cooccurrence,pr)-> pr:acme/api#12:merged;"
                    "other -references(0.7,entity_cooccurrence,issue)-> note;"
                    "other -references(0.8,entity_cooccurrence,pr)-> pr:acme/api#12:merged");
    check_any_order(arena, NULL, events, 3, "");
}

TEST(relations, a_number_alone_that_two_repositories_have_means_neither)
{
    const struct short_event events[] = {
        {.id = "pr:acme/api#12:merged", .type = "pull-request.merged", .refs = {{"pr", "#12"}}},
        {.id = "pr:acme/web#12:merged", .type = "pull-request.merged", .refs = {{"pr", "#12"}},
         .metadata = "{\"repoFullName\":\"acme/web\"}"},
        NOTE("note", .title = "See #12", .day = 1), NOTE("other", .title = "Also #12", .day = 2)};
    check_any_order(arena, REPOSITORIES, events, 4, "");
}

TEST(relations, shared_branch)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .refs = {{"branch", "feature/x"}}},
                (struct short_event){.id = "push:acme/api:2", .day = 89, .refs = {{"branch", "refs/heads/Feature/X"}}},
                "push:acme/api:2 -same_branch(0.9,branch_match,branch)-> push:acme/api:1");
}

TEST(relations, the_branch_that_a_source_follows_is_shared_whoever_names_it)
{
    const struct short_event events[] = {
        {.id = "push:acme/api:1", .refs = {{"branch", "unstable"}},
         .metadata = "{\"repoFullName\":\"acme/api\",\"branch\":\"unstable\",\"origin\":\"git-import\"}"},
        {.id = "push:acme/api:2", .day = 1, .refs = {{"branch", "unstable"}}},
        NOTE("linear-issue:ENG:ENG-1:create", .day = 2, .refs = {{"branch", "unstable"}})};
    check_any_order(arena, REPOSITORIES, events, 3, "");
}

TEST(relations, branch_without_repository_matches_any)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .refs = {{"branch", "ada/eng-1"}}},
                (struct short_event){.id = "linear-issue:ENG:ENG-1:create", .source = "linear", .type = "issue.created", .day = 1, .metadata = "{}",
                                     .refs = {{"branch", "ada/eng-1"}}},
                "linear-issue:ENG:ENG-1:create -same_branch(0.9,branch_match,branch)-> push:acme/api:1");
}

TEST(relations, branches_that_all_share_or_long_ago_say_nothing)
{
    static const char *const branches[] = {"main", "master", "develop", "dev", "trunk", "staging", "production"};
    for (size_t i = 0; i < sizeof branches / sizeof *branches; i++)
        check_edges(arena, (struct short_event){.id = "1", .refs = {{"branch", branches[i]}}},
                    (struct short_event){.id = "2", .day = 1, .refs = {{"branch", branches[i]}}}, "");
    check_edges(arena, (struct short_event){.id = "1", .refs = {{"branch", "topic"}}},
                (struct short_event){.id = "2", .day = 91, .refs = {{"branch", "topic"}}}, "");
    const char *import = "{\"repoFullName\":\"acme/api\",\"origin\":\"git-import\",\"branch\":\"unstable\"}";
    check_edges(arena, (struct short_event){.id = "1", .metadata = import, .refs = {{"branch", "unstable"}}},
                (struct short_event){.id = "2", .metadata = import, .refs = {{"branch", "unstable"}}}, "");
}

TEST(relations, pull_request_fixes_issue)
{
    check_edges(arena,
                (struct short_event){.id = "pr:acme/api#8:merged", .type = "pull-request.merged", .day = -3,
                                     .refs = {{"pr", "#8"}, {"issue", "#5", "closed"}}},
                (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .refs = {{"issue", "#5"}}},
                "pr:acme/api#8:merged -fixes(1.0,explicit,issue)-> issue:acme/api#5:opened");
}

TEST(relations, pull_request_is_tracked_in_linear)
{
    check_edges(arena, tracked[0], tracked[1],
                "pr:acme/api#12:opened -tracked_in(1.0,pr_match,pr)-> linear-issue:ENG:ENG-42:create");
}

TEST(relations, sentry_issue_triggers_linear_issue)
{
    check_edges(arena,
                (struct short_event){.id = "sentry-issue:web:WEB-9:created", .source = "sentry", .type = "issue.created", .metadata = "{}",
                                     .day = 3, .refs = {{"issue", "WEB-9"}}},
                (struct short_event){.id = "linear-issue:ENG:ENG-1:create", .source = "linear", .type = "issue.created", .metadata = "{}",
                                     .refs = {{"issue", "ENG-1"}, {"issue", "WEB-9", "linked"}}},
                "sentry-issue:web:WEB-9:created -triggers(0.8,explicit,issue)-> linear-issue:ENG:ENG-1:create");
}

TEST(relations, states_of_one_issue_reference_the_earlier_one)
{
    check_edges(arena,
                (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .refs = {{"issue", "#5"}}},
                (struct short_event){.id = "issue:acme/api#5:closed@9", .type = "issue.closed", .day = 4, .refs = {{"issue", "#5"}}},
                "issue:acme/api#5:closed@9 -references(1.0,explicit,issue)-> issue:acme/api#5:opened");
}

TEST(relations, equal_times_are_ordered_by_source_id)
{
    check_edges(arena,
                (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .refs = {{"issue", "#5"}}},
                (struct short_event){.id = "issue:acme/api#5:closed@9", .type = "issue.closed", .refs = {{"issue", "#5"}}},
                "issue:acme/api#5:opened -references(1.0,explicit,issue)-> issue:acme/api#5:closed@9");
}

TEST(relations, mention_references_what_it_is_about)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .body = "relates to #5", .day = -2},
                (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .refs = {{"issue", "#5"}}},
                "push:acme/api:1 -references(0.8,entity_cooccurrence,issue)-> issue:acme/api#5:opened");
}

TEST(relations, two_mentions_of_one_thing)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .body = "relates to #5"},
                (struct short_event){.id = "push:acme/api:2", .body = "also #5", .day = 2},
                "push:acme/api:2 -references(0.7,entity_cooccurrence,issue)-> push:acme/api:1");
}

TEST(relations, similar_numbers_are_not_the_same)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .body = "see #12"},
                (struct short_event){.id = "issue:acme/api#123:opened", .type = "issue.opened", .refs = {{"issue", "#123"}}}, "");
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .body = "see #12"},
                (struct short_event){.id = "push:acme/web:1", .body = "see #12", .metadata = "{\"repoFullName\":\"acme/web\"}"}, "");
}

TEST(relations, several_shared_keys_give_one_edge_the_surest)
{
    check_edges(arena, (struct short_event){.id = "push:acme/api:1", .body = "relates to #5 and #6", .day = -2},
                (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .body = "like #6", .refs = {{"issue", "#5"}}},
                "push:acme/api:1 -references(0.8,entity_cooccurrence,issue)-> issue:acme/api#5:opened");
}

TEST(relations, the_fifty_nearest_in_time_are_linked)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event events[60];
    for (int i = 0; i < 60; i++)
        events[i] = (struct short_event){.id = str_z(arena, str_printf(arena, "push:acme/api:%d", i)), .day = i, .metadata = "{}",
                                         .refs = {{"deployment", str_z(arena, str_printf(arena, "d%d", i))}}};
    capture_all(&world, SOURCE_MANUAL, events, 60);
    for (int i = 0; i < 60; i++) write_sql(&world, str_z(arena, str_printf(arena, "INSERT INTO observation_reference SELECT 1, 'deployment', 'shared', '', id, 'mention', '', NULL FROM observation WHERE source_id = 'push:acme/api:%d'", i)));
    capture(&world, (struct short_event){.id = "deployment:shared:ready", .source = "vercel", .type = "deployment.ready", .day = 61,
                                         .metadata = "{}", .refs = {{"deployment", "shared"}}});
    check_int(count(&world, "SELECT COUNT(*) FROM relationship"), 50);
    check_int(count(&world, "SELECT MIN(o.occurred_at) FROM relationship r JOIN observation o ON o.id = r.source_observation_id"),
              NEW_YEAR + DAYS(10));
}

TEST(relations, only_the_fifty_nearest_stay_whoever_arrives_first)
{
    for (int order = 0; order < 3; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        struct short_event events[61];
        for (int i = 0; i < 60; i++) /* that do not know of each other: each names a pull request of its own */
            events[order == 1 ? 59 - i : i] = (struct short_event){
                .id = str_z(arena, str_printf(arena, "pr:acme/api#%d:merged", i + 1)), .type = "pull-request.merged", .day = i,
                .refs = {{"pr", str_z(arena, str_printf(arena, "#%d", i + 1))}}};
        struct buf body = buf_in(arena);
        for (int i = 0; i < 50; i++) buf_printf(&body, "#%d ", i + 1);
        events[60] = (struct short_event){.id = "release:acme/api:v1", .type = "release.published", .day = 61, .body = str_z(arena, buf_str(&body)),
                                          .refs = {{"pr", "#51"}, {"pr", "#52"}, {"pr", "#53"}, {"pr", "#54"}}};
        if (order == 2) capture(&world, events[60]);
        capture_all(&world, SOURCE_MANUAL, events, 60);
        if (order != 2) capture(&world, events[60]);
        check_int(count(&world, "SELECT COUNT(*) FROM relationship"), 50);
        check_int(count(&world, "SELECT MIN(o.occurred_at) FROM relationship r JOIN observation o ON o.id = r.target_observation_id"),
                  NEW_YEAR + DAYS(4));
    }
}

TEST(relations, a_key_that_very_many_share_yields_explicit_edges_only)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event events[205];
    for (int i = 0; i < 205; i++)
        events[i] = (struct short_event){.id = str_z(arena, str_printf(arena, "push:acme/api:%d", i)), .day = i / 10.0, .body = "see #5"};
    capture_all(&world, SOURCE_MANUAL, events, 205);
    int64_t before = count(&world, "SELECT COUNT(*) FROM relationship");
    capture(&world, (struct short_event){.id = "push:acme/api:more", .day = 30, .body = "see #5"});
    check_int(count(&world, "SELECT COUNT(*) FROM relationship"), before);
    capture(&world, (struct short_event){.id = "pr:acme/api#6:merged", .type = "pull-request.merged", .day = 31,
                                         .refs = {{"pr", "#6"}, {"issue", "#5", "fixes"}}});
    capture(&world, (struct short_event){.id = "issue:acme/api#5:opened", .type = "issue.opened", .refs = {{"issue", "#5"}}});
    check_int(count(&world, "SELECT COUNT(*) FROM relationship"), before + 1);
    check_int(count(&world, "SELECT COUNT(*) FROM relationship WHERE relationship_type = 'fixes'"), 1);
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

static struct short_event issue_state(struct arena *arena, const char *state, double day)
{
    return (struct short_event){
        .id = str_z(arena, str_printf(arena, "linear-issue:ENG:ENG-1:update@%d", (int)(day * 10))), .source = "linear", .type = "issue.updated",
        .metadata = str_z(arena, str_printf(arena, "{\"stateName\":\"%s\"}", state)), .day = day, .refs = {{"issue", "ENG-1"}}};
}

static const char *const periods =
    "SELECT state_value || ' ' || ((valid_from - 1704067200000) / 86400000) || '-' || "
    "COALESCE((valid_to - 1704067200000) / 86400000, 'now') || ' ' || COALESCE(previous_value, '') || ' ' || is_current "
    "FROM temporal_state WHERE state_type = 'status' ORDER BY valid_from";

TEST(states, arrive_in_any_order)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < 6; o++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        const struct short_event events[] = {issue_state(arena, "Todo", 1), issue_state(arena, "Doing", 2), issue_state(arena, "Done", 3)};
        for (size_t i = 0; i < 3; i++) capture(&world, events[orders[o][i]]);
        check_str(ask(&world, periods), "Todo 1-2  0;Doing 2-3 Todo 0;Done 3-now Doing 1");
    }
}

TEST(states, an_unchanged_value_begins_where_it_was_first_seen)
{
    for (int order = 0; order < 2; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, issue_state(arena, "Todo", order ? 2 : 1));
        capture(&world, issue_state(arena, "Todo", order ? 1 : 2));
        check_str(ask(&world, periods), "Todo 1-now  1");
    }
}

TEST(states, name_their_observation_and_actor)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result result = capture(&world, (struct short_event){
        .id = "pr:acme/api#7:merged", .type = "pull-request.merged", .actor = "12", .refs = {{"pr", "#7"}}});
    check_str(ask(&world, "SELECT entity_type || ' ' || entity_id || ' ' || state_type || ' ' || state_value || ' ' || changed_by_actor_id FROM temporal_state"),
              "pr acme/api#7 status merged github:12");
    check_int(count(&world, "SELECT source_observation_id FROM temporal_state"), result.id);
}

TEST(states, of_every_provider)
{
    static const struct { struct short_event event; const char *states; } rows[] = {
        {{.id = "pr:acme/api#1:opened", .type = "pull-request.opened", .metadata = "{\"repoFullName\":\"acme/api\",\"draft\":true,\"state\":\"open\"}", .refs = {{"pr", "#1"}}},
         "pr acme/api#1 status draft"},
        {{.id = "issue:acme/api#2:closed@1", .type = "issue.closed", .metadata = "{\"repoFullName\":\"acme/api\",\"state\":\"closed\"}", .refs = {{"issue", "#2"}}},
         "issue acme/api#2 status closed"},
        {{.id = "li", .source = "linear", .type = "issue.created", .metadata = "{\"stateName\":\"Todo\",\"priorityLabel\":\"High\",\"assigneeName\":\"Ada\"}", .refs = {{"issue", "ENG-1"}}},
         "issue ENG-1 assignee Ada;issue ENG-1 priority High;issue ENG-1 status Todo"},
        {{.id = "lp", .source = "linear", .type = "project.updated", .metadata = "{\"projectId\":\"p1\",\"state\":\"started\",\"progress\":0.42}"},
         "project p1 progress 42;project p1 status started"},
        {{.id = "lu", .source = "linear", .type = "project-update.created", .metadata = "{\"projectId\":\"p1\",\"health\":\"atRisk\"}"},
         "project p1 health atRisk"},
        {{.id = "lc", .source = "linear", .type = "cycle.updated", .metadata = "{\"cycleId\":\"c1\",\"progress\":1,\"completedAt\":\"2024-01-01\"}"},
         "sprint c1 progress 100;sprint c1 status completed"},
        {{.id = "si", .source = "sentry", .type = "issue.ignored", .metadata = "{\"status\":\"ignored\"}", .refs = {{"issue", "WEB-1"}}},
         "issue WEB-1 status ignored"},
        {{.id = "vd", .source = "vercel", .type = "deployment.error", .metadata = "{\"projectId\":\"prj\",\"environment\":\"production\"}"},
         "service prj:production health error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, rows[i].event);
        check_str(ask(&world, "SELECT entity_type || ' ' || entity_id || ' ' || state_type || ' ' || state_value FROM temporal_state ORDER BY 1"),
                  rows[i].states);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(relations, push_resolves_sentry_issue),
        RUN(relations, deployment_deploys_commit),
        RUN(relations, deployment_deploys_pull_request),
        RUN(relations, any_other_shared_commit),
        RUN(relations, short_sha_names_the_commit_it_begins),
        RUN(relations, short_sha_that_fits_two_commits_names_none),
        RUN(relations, what_a_short_sha_names_does_not_depend_on_arrival),
        RUN(relations, a_number_alone_means_the_only_repository_that_has_it),
        RUN(relations, a_number_alone_that_two_repositories_have_means_neither),
        RUN(relations, shared_branch),
        RUN(relations, the_branch_that_a_source_follows_is_shared_whoever_names_it),
        RUN(relations, branch_without_repository_matches_any),
        RUN(relations, branches_that_all_share_or_long_ago_say_nothing),
        RUN(relations, pull_request_fixes_issue),
        RUN(relations, pull_request_is_tracked_in_linear),
        RUN(relations, sentry_issue_triggers_linear_issue),
        RUN(relations, states_of_one_issue_reference_the_earlier_one),
        RUN(relations, equal_times_are_ordered_by_source_id),
        RUN(relations, mention_references_what_it_is_about),
        RUN(relations, two_mentions_of_one_thing),
        RUN(relations, similar_numbers_are_not_the_same),
        RUN(relations, several_shared_keys_give_one_edge_the_surest),
        RUN(relations, the_fifty_nearest_in_time_are_linked),
        RUN(relations, only_the_fifty_nearest_stay_whoever_arrives_first),
        RUN(relations, a_key_that_very_many_share_yields_explicit_edges_only),
        RUN(states, arrive_in_any_order),
        RUN(states, an_unchanged_value_begins_where_it_was_first_seen),
        RUN(states, name_their_observation_and_actor),
        RUN(states, of_every_provider),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
