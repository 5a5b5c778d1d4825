/* memory_test.c - what is captured, dropped, replaced and deleted: observations, entities, clusters. */
#include "memory_world.h"

/* ---- capture ----------------------------------------------------------------------------------------------------- */

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

TEST(capture, tells_its_cluster_as_the_batch_leaves_it)
{
    struct world       world WORLD_SCOPE = world_begin(arena);
    struct short_event events[] = {{.id = "1", .title = "Fix retries of billing", .body = "See ERR_RETRY in `src/a.c`"},
                                   {.id = "2", .title = "Fix retries of billing", .body = "See ERR_RETRY in `src/a.c`"}};
    struct memory_result *results = capture_all(&world, SOURCE_MANUAL, events, 2);
    for (int i = 0; i < 2; i++) {
        check_str(results[i].cluster.xid, str_z(arena, ask(&world, "SELECT xid FROM cluster")));
        check_int(results[i].cluster.members, 2);
        check_int(results[i].cluster.created, i == 0);
        check(!results[i].cluster.closed);
        check_int(results[i].entities, count(&world, "SELECT COUNT(*) FROM entity"));
    }
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

/* ---- entities ---------------------------------------------------------------------------------------------------- */

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

/* ---- clusters ---------------------------------------------------------------------------------------------------- */

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

/* ---- deletion ---------------------------------------------------------------------------------------------------- */

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
        RUN(capture, tells_its_cluster_as_the_batch_leaves_it),
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
        RUN(delete, undoes_every_count),
        RUN(delete, the_last_member_takes_the_cluster_along),
        RUN(delete, what_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
