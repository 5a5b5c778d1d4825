#include "memory_world.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"

/* ---- capture ---------------------------------------------------------------------------------------------------------- */

TEST(capture, stores_what_the_event_says_and_what_follows_from_it)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result result = capture(&world, (struct short_event){
        .id = "pr:acme/api#7:merged", .type = "pull-request.merged", .title = "[PR Merged] Fix login crash",
        .body = "Sessions were dropped.", .actor = "12", .name = "ada",
        .metadata = "{\"repoFullName\":\"acme/api\",\"resourceId\":\"99\",\"url\":\"https://github.com/acme/api/pull/7\"}"});
    check_int(result.outcome, MEMORY_STORED);
    check(id_valid(result.public_id, "obs_"));
    check_str(ask(&world, "SELECT source || ' ' || source_type || ' ' || observation_type || ' ' || resource_id || ' ' || url "
                          "|| ' ' || actor_id || ' ' || primary_category || ' ' || ingestion_source || ' ' || "
                          "embedding_status || ' ' || pipeline_state FROM observation"),
              "github pull-request.merged pull_request_merged 99 https://github.com/acme/api/pull/7 github:12 bug_fix manual "
              "ready done");
    check_int(count(&world, "SELECT significance_score FROM observation"), result.score);
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE item_kind = 1"), 1);
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE item_kind = 3"), 1);
}

TEST(capture, second_event_of_one_source_id_is_a_duplicate)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result first = capture(&world, (struct short_event){.id = "a"});
    struct memory_result again = capture(&world, (struct short_event){.id = "a", .title = "[Push] Another text"});
    check_int(again.outcome, MEMORY_DUPLICATE);
    check_int(again.id, first.id);
    check_int(count(&world, "SELECT COUNT(*) FROM observation"), 1);
}

TEST(capture, events_of_one_batch_may_be_duplicates_of_each_other)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event    events[] = {{.id = "a"}, {.id = "b"}, {.id = "a"}};
    struct memory_result *results = capture_all(&world, SOURCE_MANUAL, events, 3);
    check_int(results[0].outcome, MEMORY_STORED);
    check_int(results[1].outcome, MEMORY_STORED);
    check_int(results[2].outcome, MEMORY_DUPLICATE);
}

static const char *const everything =
    "SELECT (SELECT COUNT(*) FROM observation) || ' ' || (SELECT COUNT(*) FROM observation_reference) || ' ' || "
    "(SELECT COUNT(*) FROM relationship) || ' ' || (SELECT COALESCE(SUM(occurrence_count), 0) FROM entity) || ' ' || "
    "(SELECT COUNT(*) FROM entity_observation) || ' ' || (SELECT COALESCE(SUM(observation_count), 0) FROM cluster) || ' ' || "
    "(SELECT COUNT(*) FROM cluster) || ' ' || (SELECT COUNT(*) FROM actor_identity) || ' ' || "
    "(SELECT COUNT(*) FROM actor_name) || ' ' || (SELECT COUNT(*) FROM actor_profile) || ' ' || "
    "(SELECT COUNT(*) FROM temporal_state) || ' ' || (SELECT COUNT(*) FROM search_log) || ' ' || "
    "(SELECT seq || ',' || next_id FROM workspace_counter)";

static const struct short_event small_history[] = {
    {.id = "push:acme/api:1", .title = "[Push] Fix parser", .body = "See #4 and ENG-3", .actor = "email:ada@x.org", .name = "Ada",
     .refs = {{"commit", SHA_A}, {"branch", "main"}}},
    {.id = "pr:acme/api#4:merged", .type = "pull-request.merged", .title = "[PR Merged] Parser", .actor = "5", .name = "bob", .day = 1,
     .refs = {{"pr", "#4"}, {"commit", SHA_A, "merge"}}},
};

TEST(capture, the_same_batch_again_changes_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture_all(&world, SOURCE_MANUAL, small_history, 2);
    struct str before = ask(&world, everything);
    check(count(&world, "SELECT COUNT(*) FROM relationship") > 0);
    capture_all(&world, SOURCE_MANUAL, small_history, 2);
    check(str_eq(ask(&world, everything), before));
}

TEST(capture, a_batch_that_fails_leaves_nothing_and_may_run_again)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct str        before = ask(&world, everything);
    struct store_call call = {.world = &world, .fail_after = true, .results = NEW_ARRAY(arena, struct memory_result, 2)};
    call.batch = prepare(&world, SOURCE_MANUAL, small_history, 2);
    check_err(db_write(world.db, arena, store_in, &call), ERR_CANCELLED);
    check(str_eq(ask(&world, everything), before));
    call.fail_after = false;
    check_ok(db_write(world.db, arena, store_in, &call));
    check_int(count(&world, "SELECT COUNT(*) FROM observation"), 2);
}

TEST(capture, unusable_events_are_refused_alone)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event    events[] = {{.id = ""}, {.id = "b"}};
    struct memory_result *results = capture_all(&world, SOURCE_MANUAL, events, 2);
    check_int(results[0].outcome, MEMORY_REFUSED);
    check(results[0].error.n > 0);
    check_int(results[0].id, 0);
    check_int(results[1].outcome, MEMORY_STORED);
}

TEST(capture, unknown_workspace_is_not_found)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct store_call call = {.world = &world, .results = NEW_ARRAY(arena, struct memory_result, 1)};
    world.workspace = 12345;
    call.batch = prepare(&world, SOURCE_MANUAL, &(struct short_event){.id = "a"}, 1);
    check_err(db_write(world.db, arena, store_in, &call), ERR_NOT_FOUND);
}

static const struct short_event routine = {
    .id = "pr:acme/api#9:closed@1", .type = "pull-request.closed", .title = "[PR Closed] chore: fix typo in lint, wip",
    .refs = {{"pr", "#9"}}};

TEST(capture, webhook_below_the_threshold_is_dropped_but_its_state_is_kept)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result result = capture_as(&world, SOURCE_WEBHOOK, routine);
    check_int(result.outcome, MEMORY_BELOW_THRESHOLD);
    check(result.score < 30);
    check_int(count(&world, "SELECT COUNT(*) FROM observation"), 0);
    check_str(ask(&world, "SELECT entity_id || ' ' || state_value FROM temporal_state"), "acme/api#9 closed");
}

TEST(capture, imports_and_the_api_know_no_threshold)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event other = routine;
    other.id = "pr:acme/api#9:closed@2";
    check_int(capture_as(&world, SOURCE_MANUAL, routine).outcome, MEMORY_STORED);
    check_int(capture_as(&world, SOURCE_API, other).outcome, MEMORY_STORED);
}

TEST(capture, the_workspace_may_set_its_threshold)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    write_sql(&world, "UPDATE workspace SET settings = '{\"version\":1,\"thresholds\":{\"capture\":0}}'");
    check_int(capture_as(&world, SOURCE_WEBHOOK, routine).outcome, MEMORY_STORED);
}

TEST(capture, a_delivery_replaces_the_imported_event_in_place)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event push = {.id = "push:acme/api:9", .title = "[Push] other", .refs = {{"issue", "#7"}}, .day = 1};
    struct short_event event = {.id = "pr:acme/api#7:merged", .type = "pull-request.merged", .title = "[PR Merged] Fix",
                                .body = "ENG-1 ENG-2", .actor = "email:ada@x.org", .refs = {{"pr", "#7"}}, .day = 2};
    capture(&world, push);
    struct memory_result first = capture(&world, event);
    struct str           cluster = ask(&world, "SELECT CAST(cluster_id AS TEXT) FROM observation WHERE source_type = 'pull-request.merged'");
    struct str           edges_before = edges(&world);
    event.title = "[PR Merged] Fix the parser";
    event.body = "ENG-2 ENG-3";
    event.actor = "12";
    struct memory_result second = capture_as(&world, SOURCE_WEBHOOK, event);
    check_int(second.outcome, MEMORY_REPLACED);
    check_int(second.id, first.id);
    check(str_eq(second.public_id, first.public_id));
    check_str(ask(&world, "SELECT title || ' ' || actor_id || ' ' || ingestion_source FROM observation WHERE source_type = 'pull-request.merged'"),
              "[PR Merged] Fix the parser github:12 webhook");
    check(str_eq(ask(&world, "SELECT CAST(cluster_id AS TEXT) FROM observation WHERE source_type = 'pull-request.merged'"), cluster));
    check(edges_before.n > 0 && str_eq(edges(&world), edges_before));
    check_str(ask(&world, "SELECT key || ' ' || occurrence_count FROM entity WHERE key LIKE 'ENG%' ORDER BY key"),
              "ENG-2 1;ENG-3 1");
    check_int(capture_as(&world, SOURCE_WEBHOOK, event).outcome, MEMORY_DUPLICATE);
}

/* ---- entities --------------------------------------------------------------------------------------------------------- */

TEST(entities, are_counted_once_for_each_observation)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "a", .body = "ENG-7 and again eng-7 ENG-7"});
    capture(&world, (struct short_event){.id = "b", .body = "ENG-7", .day = 2});
    check_str(ask(&world, "SELECT category || ' ' || key || ' ' || occurrence_count FROM entity WHERE key_norm = 'eng-7'"),
              "project ENG-7 2");
}

TEST(entities, belong_to_the_earliest_observation_that_names_them)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "late", .body = "ENG-7", .day = 5});
    struct memory_result early = capture(&world, (struct short_event){.id = "early", .body = "ENG-7", .day = 1});
    check_int(count(&world, "SELECT source_observation_id FROM entity WHERE key = 'ENG-7'"), early.id);
    check_int(count(&world, "SELECT last_seen_at FROM entity WHERE key = 'ENG-7'"), NEW_YEAR + DAYS(5));
}

TEST(entities, of_equal_times_the_first_source_id_is_the_earliest)
{
    for (int order = 0; order < 2; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, (struct short_event){.id = order ? "b" : "a", .body = "ENG-7"});
        capture(&world, (struct short_event){.id = order ? "a" : "b", .body = "ENG-7"});
        check_str(ask(&world, "SELECT o.source_id FROM entity e JOIN observation o ON o.id = e.source_observation_id"), "a");
    }
}

TEST(entities, numbers_of_two_repositories_are_two_things)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "a", .body = "see #12"});
    capture(&world, (struct short_event){.id = "b", .body = "see #12", .metadata = "{\"repoFullName\":\"acme/web\"}"});
    check_str(ask(&world, "SELECT key || ' ' || scope FROM entity WHERE key = '#12' ORDER BY scope"),
              "#12 acme/api;#12 acme/web");
}

static const struct short_event tracked[] = {
    {.id = "pr:acme/api#12:opened", .type = "pull-request.opened", .title = "[PR Opened] Login", .refs = {{"pr", "#12"}}},
    {.id = "linear-issue:ENG:ENG-42:create", .source = "linear", .type = "issue.created", .title = "[Issue Created] ENG-42: Login",
     .metadata = "{}", .day = 1,
     .refs = {{"issue", "ENG-42"}, {"pr", "#12", "tracked_in", "https://github.com/acme/api/pull/12"}}},
};

TEST(entities, two_names_of_one_piece_of_work_are_aliases)
{
    for (int order = 0; order < 2; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, tracked[order]);
        capture(&world, tracked[!order]);
        check_str(ask(&world, "SELECT key || aliases FROM entity WHERE aliases <> '[]' ORDER BY key"),
                  "#12[\"ENG-42\"];ENG-42[\"acme/api#12\"]");
    }
}

TEST(entities, an_alias_is_no_mention)
{
    const struct short_event note = {.id = "note", .title = "[Push] As in #12", .day = 9};
    const struct short_event fixed[] = {
        {.id = "issue:acme/api#9:opened", .type = "issue.opened", .refs = {{"issue", "#9"}}},
        {.id = "pr:acme/api#12:merged", .type = "pull-request.merged", .day = 1, .refs = {{"pr", "#12"}, {"issue", "#9", "fixes"}}}};
    for (int order = 0; order < 2; order++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        if (order == 0) capture(&world, note);
        capture_all(&world, SOURCE_MANUAL, fixed, 2);
        if (order == 1) capture(&world, note);
        check_str(ask(&world, "SELECT o.source_id || ' ' || e.occurrence_count || ' ' || e.confidence || e.aliases FROM entity e "
                              "JOIN observation o ON o.id = e.source_observation_id WHERE e.key = '#12'"),
                  "note 1 0.95[\"acme/api#9\"]");
    }
}

/* ---- clusters --------------------------------------------------------------------------------------------------------- */

static struct short_event work_on_parser(struct arena *arena, int n, double day)
{
    return (struct short_event){.id = str_z(arena, str_printf(arena, "push:acme/api:%d", n)),
                                .title = "[Push] Parser drops the last token", .body = "ENG-5", .actor = "7", .name = "ada", .day = day};
}

TEST(clusters, what_is_alike_and_close_in_time_joins)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 0));
    capture(&world, work_on_parser(arena, 2, 1));
    capture(&world, (struct short_event){.id = "x", .title = "[Push] Update the logo of the web site", .actor = "8", .day = 1});
    check_str(ask(&world, "SELECT CAST(observation_count AS TEXT) FROM cluster ORDER BY id"), "2;1");
    check_str(ask(&world, "SELECT last_observation_at - first_observation_at FROM cluster ORDER BY id"), "86400000;0");
    check_int(count(&world, "SELECT COUNT(*) FROM observation o JOIN cluster c ON c.id = o.cluster_id"), 3);
}

TEST(clusters, what_is_too_far_in_time_does_not_join)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 0));
    capture(&world, work_on_parser(arena, 2, 7.5));
    check_int(count(&world, "SELECT COUNT(*) FROM cluster"), 2);
}

TEST(clusters, older_history_joins_as_well)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 5));
    capture(&world, work_on_parser(arena, 2, 0));
    check_str(ask(&world, "SELECT observation_count || ' ' || first_observation_at FROM cluster"), "2 1704067200000");
}

TEST(clusters, one_batch_and_many_batches_give_the_same)
{
    struct world one WORLD_SCOPE = world_begin(arena), many WORLD_SCOPE = world_begin(arena);
    struct short_event events[30];
    for (int i = 0; i < 30; i++) {
        events[i] = work_on_parser(arena, i, i * 2.0);
        if (i % 3 == 0) events[i].actor = "9", events[i].body = "CONFIG_A CONFIG_LONG_NAME";
        capture(&many, events[i]);
    }
    capture_all(&one, SOURCE_MANUAL, events, 30);
    const char *all = "SELECT observation_count || ' ' || first_observation_at || ' ' || status || ' ' || primary_entities || "
                      "primary_actors || ' ' || hex(centroid) FROM cluster ORDER BY first_observation_at, last_observation_at, primary_entities";
    check(count(&one, "SELECT COUNT(*) FROM cluster") > 2);
    check(str_eq(ask(&one, all), ask(&many, all)));
}

TEST(clusters, a_span_of_thirty_days_closes)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    for (int i = 0; i < 8; i++) capture(&world, work_on_parser(arena, i, i * 5));
    check_str(ask(&world, "SELECT status || ' ' || observation_count || ' ' || (closed_at IS NOT NULL) FROM cluster ORDER BY id"),
              "closed 7 1;open 1 0");
}

TEST(clusters, two_hundred_observations_close)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event events[201];
    for (int i = 0; i < 201; i++) events[i] = work_on_parser(arena, i, i / 1000.0);
    capture_all(&world, SOURCE_MANUAL, events, 201);
    check_str(ask(&world, "SELECT status || ' ' || observation_count FROM cluster ORDER BY id"), "closed 200;open 1");
}

TEST(clusters, only_history_joins_those_that_were_closed_for_silence)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 0));
    write_sql(&world, "UPDATE cluster SET status = 'closed', closed_at = 5");
    write_sql(&world, "UPDATE workspace SET settings = '{\"thresholds\":{\"capture\":0}}'");
    capture_as(&world, SOURCE_WEBHOOK, work_on_parser(arena, 2, 1));
    check_int(count(&world, "SELECT COUNT(*) FROM cluster"), 2);
    write_sql(&world, "UPDATE cluster SET status = 'closed', closed_at = 5");
    capture_as(&world, SOURCE_BACKFILL, work_on_parser(arena, 3, 1));
    check_int(count(&world, "SELECT COUNT(*) FROM cluster"), 2);
    check_int(count(&world, "SELECT COUNT(*) FROM cluster WHERE status = 'closed' AND closed_at = 5"), 2);
}

TEST(clusters, the_centroid_moves_with_its_members)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 0));
    struct str         before = ask(&world, "SELECT hex(centroid) FROM cluster");
    struct short_event other = work_on_parser(arena, 2, 0);
    other.title = "[Push] Parser drops the last token of a quoted string";
    capture(&world, other);
    check_int(count(&world, "SELECT centroid_count FROM cluster"), 2);
    check(!str_eq(ask(&world, "SELECT hex(centroid) FROM cluster"), before));
}

TEST(clusters, without_embedding_the_other_signs_decide)
{
    struct world world WORLD_SCOPE = world_begin_with(arena, (struct embed_config){.provider = STR("none")});
    capture(&world, work_on_parser(arena, 1, 0));
    capture(&world, work_on_parser(arena, 2, 0.1));
    check_str(ask(&world, "SELECT CAST(observation_count AS TEXT) FROM cluster"), "2");
    check_str(ask(&world, "SELECT DISTINCT embedding_status FROM observation"), "disabled");
}

TEST(clusters, while_vectors_are_missing_none_is_chosen)
{
    struct world world WORLD_SCOPE = world_begin_with(
        arena, (struct embed_config){.provider = STR("openai"), .base_url = STR("http://127.0.0.1:9/v1"), .model = STR("m"), .dim = 64});
    struct memory_result result = capture(&world, work_on_parser(arena, 1, 0));
    check_int(result.outcome, MEMORY_STORED);
    check_str(ask(&world, "SELECT embedding_status || (cluster_id IS NULL) || (embedding_model IS NULL) FROM observation"), "pending11");
    check_int(count(&world, "SELECT COUNT(*) FROM cluster"), 0);
    check_int(count(&world, "SELECT COUNT(*) FROM search_log"), 1);
}

TEST(clusters, are_labelled_by_content)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, work_on_parser(arena, 1, 0));
    struct str label = ask(&world, "SELECT topic_label FROM cluster");
    check(label.n > 0 && !str_eq(label, STR("github")) && !str_eq(label, STR("push")));
}

/* ---- relations: one test a row of the table, in both orders of arrival -------------------------------------------------- */

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

/* ---- states ----------------------------------------------------------------------------------------------------------- */

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

/* ---- actors ----------------------------------------------------------------------------------------------------------- */

TEST(actors, have_canonical_ids)
{
    static const struct { const char *source, *id, *canonical; } rows[] = {
        {"github", "583231", "github:583231"}, {"github", "Octo", "github:octo"}, {"git", "583231", "github:583231"},
        {"git", "email:Ada@X.org", "email:ada@x.org"}, {"github", "email:12+ada@users.noreply.github.com", "github:12"},
        {"vercel", "Ada", "github:ada"}, {"linear", "u-1", "linear:u-1"}, {"sentry", "4", "sentry:4"}, {"chat", "U7", "chat:U7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world world WORLD_SCOPE = world_begin(arena);
        capture(&world, (struct short_event){.id = "a", .source = rows[i].source, .actor = rows[i].id});
        check_str(ask(&world, "SELECT actor_id FROM observation"), rows[i].canonical);
        check_str(ask(&world, "SELECT canonical_actor_id FROM actor_identity"), rows[i].canonical);
    }
}

TEST(actors, are_found_under_every_name_they_used)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "email:ada@x.org", .name = "Ada L\xc3\xb6velace", .email = "ada@x.org"});
    capture(&world, (struct short_event){.id = "2", .actor = "email:ada@x.org", .name = "ada", .email = "ada@x.org"});
    check_str(ask(&world, "SELECT kind || ' ' || name FROM actor_name ORDER BY kind, name"),
              "email ada@x.org;full ada;full ada lovelace;word ada;word lovelace");
}

TEST(actors, are_found_under_the_name_of_their_commits)
{
    static const char by_ada[] = "{\"authorName\":\"Ada Lovelace\",\"authorEmail\":\"7+adal@users.noreply.github.com\"}";
    static const char by_bob[] = "{\"authorName\":\"Bob\",\"authorEmail\":\"bob@x.org\"}";
    struct world world WORLD_SCOPE = world_begin(arena);
    const char *address = "7+adal@users.noreply.github.com";
    capture(&world, (struct short_event){.id = "1", .source = "git", .actor = "7", .name = "adal", .email = address, .metadata = by_ada});
    capture(&world, (struct short_event){.id = "2", .source = "git", .actor = "7", .name = "adal", .email = address, .metadata = by_bob});
    check_str(ask(&world, "SELECT name FROM actor_name WHERE kind = 'full' ORDER BY name"), "ada lovelace;adal");
}

TEST(actors, show_their_newest_name)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "5", .name = "new", .day = 9});
    capture(&world, (struct short_event){.id = "2", .actor = "5", .name = "old", .day = 1});
    check_str(ask(&world, "SELECT display_name FROM actor_profile"), "new");
}

TEST(actors, bots_are_marked)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "49699333", .name = "dependabot[bot]"});
    check_int(count(&world, "SELECT is_bot FROM actor_profile"), 1);
}

static struct short_event pull_by(const char *id, const char *actor, const char *name)
{
    return (struct short_event){.id = id, .type = "pull-request.merged", .actor = actor, .name = name};
}

TEST(actors, a_known_login_leads_to_its_account)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture_as(&world, SOURCE_WEBHOOK, pull_by("1", "77", "Ada"));
    capture(&world, (struct short_event){.id = "2", .source = "vercel", .actor = "ada"});
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:77");
    check_str(ask(&world, "SELECT mapping_method FROM actor_identity WHERE source = 'vercel'"), "login");
}

TEST(actors, a_delivery_takes_in_the_provisional_one_of_its_login)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "ada"});
    check_str(ask(&world, "SELECT actor_id FROM observation"), "github:ada");
    capture_as(&world, SOURCE_WEBHOOK, pull_by("2", "77", "Ada"));
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:77");
    check_str(ask(&world, "SELECT DISTINCT canonical_actor_id FROM actor_identity"), "github:77");
    capture(&world, (struct short_event){.id = "3", .actor = "ada"});
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:77");
}

TEST(actors, commit_headers_merge_nobody)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "email:ada@x.org", .email = "ada@x.org"});
    capture(&world, (struct short_event){.id = "2", .actor = "77", .name = "ada", .email = "ada@x.org"});
    capture(&world, (struct short_event){.id = "3", .actor = "ada", .name = "ada"});
    check_str(ask(&world, "SELECT actor_id FROM observation ORDER BY source_id"), "email:ada@x.org;github:77;github:ada");
}

TEST(actors, an_account_takes_in_who_is_known_by_its_address)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "email:ada@x.org", .email = "ada@x.org"});
    capture_as(&world, SOURCE_WEBHOOK, (struct short_event){.id = "2", .source = "linear", .type = "issue.created", .actor = "u-1",
                                                            .name = "Ada", .email = "Ada@x.org", .metadata = "{}"});
    check_str(ask(&world, "SELECT actor_id FROM observation ORDER BY source_id"), "linear:u-1;linear:u-1");
}

TEST(actors, a_deployment_is_credited_to_the_author_of_its_commit)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event push = {
        .id = "push:acme/api:1", .title = "[Push] New feature", .actor = "77", .name = "boss",
        .metadata = "{\"commits\":[{\"sha\":\"" SHA_A "\",\"authorLogin\":\"ada\",\"authorName\":\"Ada\"},{\"sha\":\"" SHA_B "\",\"authorLogin\":\"Boss\"}]}"};
    capture_as(&world, SOURCE_WEBHOOK, push);
    capture(&world, (struct short_event){.id = "d1", .source = "vercel", .actor = "somebody", .metadata = "{\"gitCommitSha\":\"" SHA_A "\"}"});
    capture(&world, (struct short_event){.id = "d2", .source = "vercel", .actor = "someone", .metadata = "{\"gitCommitSha\":\"" SHA_B "\"}"});
    check_str(ask(&world, "SELECT actor_id FROM observation WHERE source = 'vercel' ORDER BY source_id"), "github:ada;github:77");
}

TEST(actors, merging_moves_everything_and_may_be_repeated)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct short_event event = work_on_parser(arena, 1, 0);
    event.actor = "email:ada@x.org";
    event.name = "Ada";
    capture(&world, event);
    capture(&world, work_on_parser(arena, 2, 3));
    int64_t changes = count(&world, "SELECT COUNT(*) FROM search_log WHERE kind = 2");
    merge(&world, "email:ada@x.org", "github:7");
    struct str after = ask(&world, everything);
    merge(&world, "email:ada@x.org", "github:7");
    check(str_eq(ask(&world, everything), after));
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE kind = 2"), changes + 1);
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:7");
    check_str(ask(&world, "SELECT DISTINCT canonical_actor_id FROM actor_identity"), "github:7");
    check_str(ask(&world, "SELECT actor_id FROM actor_profile"), "github:7");
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM actor_name"), "github:7");
    check_str(ask(&world, "SELECT DISTINCT primary_actors FROM cluster"), "[\"github:7\"]");
    settle(&world);
    check_int(count(&world, "SELECT observation_count FROM actor_profile"), 2);
    event.id = "later";
    capture(&world, event);
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:7");
}

TEST(actors, are_the_same_in_all_workspaces_of_the_organisation)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    int64_t first = world.workspace;
    world.workspace = add_workspace(world.db, arena, "second");
    capture(&world, (struct short_event){.id = "1", .actor = "email:ada@x.org"});
    world.workspace = first;
    capture(&world, (struct short_event){.id = "1", .actor = "email:ada@x.org"});
    merge(&world, "email:ada@x.org", "linear:u-1");
    check_str(ask(&world, "SELECT actor_id FROM observation"), "linear:u-1;linear:u-1");
    check_str(ask(&world, "SELECT actor_id || ' ' || dirty FROM actor_profile"), "linear:u-1 1;linear:u-1 1");
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE kind = 2"), 2);
}

/* ---- profiles --------------------------------------------------------------------------------------------------------- */

TEST(profiles, count_what_an_actor_did)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "5", .title = "[Push] Fix crash", .day = 1});
    capture(&world, (struct short_event){.id = "2", .actor = "5", .title = "[Push] Fix leak", .day = 4});
    capture(&world, (struct short_event){.id = "3", .actor = "6", .title = "[Push] Fix leak", .day = 4});
    settle(&world);
    check_str(ask(&world, "SELECT actor_id || ' ' || observation_count || ' ' || first_active_at || ' ' || last_active_at || ' ' || "
                          "contribution_counts || ' ' || dirty FROM actor_profile ORDER BY actor_id LIMIT 1"),
              "github:5 2 1704153600000 1704412800000 {\"categories\":{\"bug_fix\":2},\"sources\":{\"github\":2}} 0");
    check_str(ask(&world, "SELECT CAST(profile_confidence AS TEXT) FROM actor_profile WHERE actor_id = 'github:5'"), "0.52");
}

TEST(profiles, expertise_is_what_recurs_lately)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "1", .actor = "5", .title = "[Push] parser", .day = 360});
    capture(&world, (struct short_event){.id = "2", .actor = "5", .title = "[Push] parser", .day = 361});
    capture(&world, (struct short_event){.id = "3", .actor = "5", .title = "[Push] network", .day = 361});
    capture(&world, (struct short_event){.id = "4", .actor = "5", .title = "[Push] network", .day = 100});
    settle(&world);
    check_str(ask(&world, "SELECT expertise_domains FROM actor_profile"), "[{\"topic\":\"parser\",\"weight\":1}]");
}

/* ---- deletion --------------------------------------------------------------------------------------------------------- */

TEST(delete, undoes_every_count)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    capture(&world, (struct short_event){.id = "push:acme/api:1", .title = "[Push] Fix parser", .body = "ENG-3 CONFIG_NAME_A", .actor = "5",
                                         .refs = {{"commit", SHA_A}}});
    const char *counts =
        "SELECT (SELECT COUNT(*) FROM observation) || ' ' || (SELECT COUNT(*) FROM observation_reference) || ' ' || "
        "(SELECT COUNT(*) FROM relationship) || ' ' || (SELECT group_concat(key || occurrence_count || source_observation_id) FROM "
        "(SELECT * FROM entity ORDER BY key)) || ' ' || (SELECT COUNT(*) FROM entity_observation) || ' ' || "
        "(SELECT group_concat(observation_count || ' ' || first_observation_at || ' ' || hex(centroid)) FROM cluster)";
    struct str before = ask(&world, counts);
    struct memory_result second = capture(&world, (struct short_event){
        .id = "push:acme/api:2", .title = "[Push] Fix parser", .body = "ENG-3 CONFIG_NAME_A ENG-4", .actor = "5", .day = -1, .refs = {{"commit", SHA_A}}});
    check_int(count(&world, "SELECT observation_count FROM cluster"), 2);
    check_int(count(&world, "SELECT COUNT(*) FROM relationship"), 2);
    delete_observation(&world, second.id);
    check(str_eq(ask(&world, counts), before));
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE kind = 3 AND item_kind = 1"), 1);
    settle(&world);
    check_int(count(&world, "SELECT observation_count FROM actor_profile"), 1);
}

TEST(delete, the_last_member_takes_the_cluster_along)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result result = capture(&world, work_on_parser(arena, 1, 0));
    delete_observation(&world, result.id);
    check_int(count(&world, "SELECT COUNT(*) FROM cluster"), 0);
    check_int(count(&world, "SELECT COUNT(*) FROM entity"), 0);
    check_int(count(&world, "SELECT COUNT(*) FROM search_log WHERE kind = 3 AND item_kind = 3"), 1);
}

TEST(delete, what_is_not_there_is_not_found)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    check_err(db_write(world.db, arena, run_delete, &(struct change){.world = &world, .id = 99}), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(capture, stores_what_the_event_says_and_what_follows_from_it),
        RUN(capture, second_event_of_one_source_id_is_a_duplicate),
        RUN(capture, events_of_one_batch_may_be_duplicates_of_each_other),
        RUN(capture, the_same_batch_again_changes_nothing),
        RUN(capture, a_batch_that_fails_leaves_nothing_and_may_run_again),
        RUN(capture, unusable_events_are_refused_alone),
        RUN(capture, unknown_workspace_is_not_found),
        RUN(capture, webhook_below_the_threshold_is_dropped_but_its_state_is_kept),
        RUN(capture, imports_and_the_api_know_no_threshold),
        RUN(capture, the_workspace_may_set_its_threshold),
        RUN(capture, a_delivery_replaces_the_imported_event_in_place),
        RUN(entities, are_counted_once_for_each_observation),
        RUN(entities, belong_to_the_earliest_observation_that_names_them),
        RUN(entities, of_equal_times_the_first_source_id_is_the_earliest),
        RUN(entities, numbers_of_two_repositories_are_two_things),
        RUN(entities, two_names_of_one_piece_of_work_are_aliases),
        RUN(entities, an_alias_is_no_mention),
        RUN(clusters, what_is_alike_and_close_in_time_joins),
        RUN(clusters, what_is_too_far_in_time_does_not_join),
        RUN(clusters, older_history_joins_as_well),
        RUN(clusters, one_batch_and_many_batches_give_the_same),
        RUN(clusters, a_span_of_thirty_days_closes),
        RUN(clusters, two_hundred_observations_close),
        RUN(clusters, only_history_joins_those_that_were_closed_for_silence),
        RUN(clusters, the_centroid_moves_with_its_members),
        RUN(clusters, without_embedding_the_other_signs_decide),
        RUN(clusters, while_vectors_are_missing_none_is_chosen),
        RUN(clusters, are_labelled_by_content),
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
        RUN(actors, have_canonical_ids),
        RUN(actors, are_found_under_every_name_they_used),
        RUN(actors, are_found_under_the_name_of_their_commits),
        RUN(actors, show_their_newest_name),
        RUN(actors, bots_are_marked),
        RUN(actors, a_known_login_leads_to_its_account),
        RUN(actors, a_delivery_takes_in_the_provisional_one_of_its_login),
        RUN(actors, commit_headers_merge_nobody),
        RUN(actors, an_account_takes_in_who_is_known_by_its_address),
        RUN(actors, a_deployment_is_credited_to_the_author_of_its_commit),
        RUN(actors, merging_moves_everything_and_may_be_repeated),
        RUN(actors, are_the_same_in_all_workspaces_of_the_organisation),
        RUN(profiles, count_what_an_actor_did),
        RUN(profiles, expertise_is_what_recurs_lately),
        RUN(delete, undoes_every_count),
        RUN(delete, the_last_member_takes_the_cluster_along),
        RUN(delete, what_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
