/* memory_actors_test.c - who did something: ids, names, merges, profiles. */
#include "memory_world.h"

/* ---- actors ------------------------------------------------------------------------------------------------------ */

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

TEST(actors, a_batch_tells_who_somebody_turned_out_to_be)
{
    struct world         world WORLD_SCOPE = world_begin(arena);
    struct short_event   events[] = {pull_by("1", "ada", "ada"), pull_by("2", "77", "Ada"), pull_by("3", "77", "Ada")};
    events[0].source = "vercel";
    struct memory_result *results = capture_all(&world, SOURCE_WEBHOOK, events, 3);
    for (int i = 0; i < 3; i++) check_str(results[i].actor, "github:77");
    check_str(ask(&world, "SELECT DISTINCT actor_id FROM observation"), "github:77");
    check_int(count(&world, "SELECT COUNT(*) FROM actor_profile"), 1);
}

TEST(actors, an_account_is_known_by_its_latest_login_within_a_batch)
{
    struct world       world WORLD_SCOPE = world_begin(arena);
    struct short_event events[] = {pull_by("1", "77", "Ada"), pull_by("2", "77", "Bob"), pull_by("3", "77", "Ada"),
                                   pull_by("4", "ada", "ada")};
    events[3].source = "vercel";
    capture_all(&world, SOURCE_WEBHOOK, events, 4);
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

/* ---- profiles ---------------------------------------------------------------------------------------------------- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(actors, have_canonical_ids),
        RUN(actors, are_found_under_every_name_they_used),
        RUN(actors, are_found_under_the_name_of_their_commits),
        RUN(actors, show_their_newest_name),
        RUN(actors, bots_are_marked),
        RUN(actors, a_known_login_leads_to_its_account),
        RUN(actors, a_delivery_takes_in_the_provisional_one_of_its_login),
        RUN(actors, a_batch_tells_who_somebody_turned_out_to_be),
        RUN(actors, an_account_is_known_by_its_latest_login_within_a_batch),
        RUN(actors, commit_headers_merge_nobody),
        RUN(actors, an_account_takes_in_who_is_known_by_its_address),
        RUN(actors, a_deployment_is_credited_to_the_author_of_its_commit),
        RUN(actors, merging_moves_everything_and_may_be_repeated),
        RUN(actors, are_the_same_in_all_workspaces_of_the_organisation),
        RUN(profiles, count_what_an_actor_did),
        RUN(profiles, expertise_is_what_recurs_lately),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
