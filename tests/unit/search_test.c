/* search_test.c - what is found in a workspace: results, filters, people and clusters, from memory and by many at once. */
#include "search_world.h"

#include "base/thread.h"

#include <stdatomic.h>

/* ---- search ------------------------------------------------------------------------------------------------------ */

TEST(search, an_empty_workspace_answers_with_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_answer answer = FIND(&world, .query = STR("anything"), .context = true);
    check_int(answer.count, 0);
    check_int(answer.total, 0);
    check_int(answer.cluster_count, 0);
    check(answer.vector);
    check(!answer.keyword);
}

TEST(search, a_result_shows_what_the_row_holds)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{
        .title = "[PR Merged] Raise session timeout", .content = "Raise session timeout\n\nUsers were signed out.",
        .type = "pull_request_merged", .url = "https://github.com/acme/api/pull/87", .at = 10,
        .references = "[{\"type\":\"issue\",\"id\":\"ENG-42\",\"label\":\"fixes\"},{\"type\":\"pr\",\"id\":\"#87\"}]",
        .entities = {"project:ENG-42", "config:SESSION_TTL"}}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session timeouts"), .mode = SEARCH_BALANCED, .highlights = true);
    check_int(answer.count, 1);
    check_int(answer.total, 1);
    struct search_item *item = answer.items;
    check(str_eq(item->id, public_id(&world, facts)));
    check_str(item->title, "[PR Merged] Raise session timeout");
    check_str(item->title_highlight, "[PR Merged] Raise <mark>session timeout</mark>");
    check_str(item->snippet, "Users were signed out.");
    check_str(item->snippet_highlight, "Users were signed out.");
    check_str(item->url, "https://github.com/acme/api/pull/87");
    check_str(item->source, "github");
    check_str(item->type, "pull_request_merged");
    check_int(item->occurred_at, new_year + DAYS(10));
    check_int(item->entity_count, 2);
    check_str(item->entities[0].key, "ENG-42");
    check_str(item->entities[0].category, "project");
    check_int(item->reference_count, 2);
    check_str(item->references[0].label, "fixes");
    check(item->references[1].label.s == NULL);
    check(item->score > 0.4 && item->score <= 1);
    check(answer.keyword && answer.vector && answer.entity);
    check_str(str_of(answer.reranker), "builtin");
}

TEST(search, no_url_is_the_empty_text_and_no_highlights_are_made_unasked)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Raise session timeout"}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session"));
    check(answer.items[0].url.s != NULL);
    check_int(answer.items[0].url.n, 0);
    check(!answer.items[0].highlighted);
}

TEST(search, another_workspace_is_never_seen)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact  mine[] = {{.title = "Session timeout"}}, theirs[] = {{.title = "Session timeout of others", .source_id = "x"}};
    INSERT(&world, mine);
    world.workspace = add_workspace(world.db, arena, "second");
    INSERT(&world, theirs);
    struct search_answer answer = FIND(&world, .query = STR("session timeout"));
    check_int(answer.total, 1);
    check(has(&world, &answer, theirs));
    struct search_content content;
    struct str            id = public_id(&world, mine);
    check_ok(search_contents(world.search, arena, world.workspace, &id, 1, &content));
    check(!content.found);
    struct search_graph_answer graph;
    struct search_graph_request request = {.workspace = world.workspace, .id = id, .depth = 1, .limit = 9};
    check_err(search_graph(world.search, arena, &request, &graph), ERR_NOT_FOUND);
}

TEST(search, a_quoted_phrase_must_match)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Handle out of memory", .content = "now"}, {.title = "Memory is out of the question"},
                           {.title = "Server", .content = "ran Out  of\nMemory"}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("\"out of memory\""));
    check_int(answer.total, 2);
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[2]));
}

TEST(search, pages_follow_each_other_and_end)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[30] = {0};
    struct map *seen = map_create(arena);
    for (int i = 0; i < 30; i++) facts[i] = (struct fact){.title = "Session timeout", .at = i};
    INSERT(&world, facts);
    for (int offset = 0; offset < 40; offset += 10) {
        struct search_answer answer = FIND(&world, .query = STR("session"), .offset = offset);
        check_int(answer.total, 30);
        check_int(answer.count, offset < 30 ? 10 : 0);
        for (size_t i = 0; i < answer.count; i++) (*map_at(seen, answer.items[i].id))++;
    }
    check_int(map_count(seen), 30);
}

TEST(search, collapse_leaves_the_best_event_of_an_object)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .source_id = "pr:acme/api#7:merged", .at = 2},
                           {.title = "Session timeout", .source_id = "pr:acme/api#7:opened", .at = 1},
                           {.title = "Session timeout", .source_id = "pr:acme/api#77:opened", .at = 1}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session"), .collapse = true);
    check_int(answer.total, 2);
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[2]));
}

TEST(search, a_known_entity_of_the_query_comes_first)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Something about sessions"}, {.title = "Unrelated words", .entities = {"project:ENG-42"}}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("ENG-42 sessions"));
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
    check(answer.items[0].score >= 0.92 * 0.85 * 0.9);
}

TEST(search, an_alias_of_an_entity_is_followed)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "First", .entities = {"project:ENG-42"}}, {.title = "Second", .entities = {"project:ENG-7"}}};
    INSERT(&world, facts);
    write_sql(&world, "UPDATE entity SET aliases = '[\"ENG-7\"]' WHERE workspace_id = 1 AND key = 'ENG-42'");
    struct search_answer answer = FIND(&world, .query = STR("ENG-42"));
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[1]));
}

static size_t count_of_types(struct world *world, const char *asked)
{
    struct str type = str_of(asked);
    return FIND(world, .query = STR("thing"), .filters = {.types = &type, .type_count = 1}).total;
}

TEST(filters, types_are_known_in_any_spelling_and_by_family)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {
        {.title = "thing", .type = "pull_request_merged"}, {.title = "thing", .type = "pull_request_opened"},
        {.title = "thing", .type = "pull_request_review_approved"}, {.title = "thing", .type = "push"},
        {.title = "thing", .type = "issue_comment_created"}, {.title = "thing", .type = "issue_closed"},
        {.title = "thing", .type = "event_alert"}, {.title = "thing", .type = "metric_alert_resolved"},
        {.title = "thing", .type = "comment_created"}, {.title = "thing", .type = "build_failed"}};
    INSERT(&world, facts);
    static const struct { const char *asked; size_t expected; } cases[] = {
        {"pull_request_merged", 1}, {"pull-request.merged", 1}, {"Pull Request Merged", 1}, {"pr_merged", 1},
        {"github:pull-request.merged", 1}, {"github_pr_merged", 1}, {"pull_request", 2}, {"pr", 2}, {"pr_", 0},
        {"review", 1}, {"pull_request_review", 1}, {"commit", 1}, {"push", 1}, {"issue", 1}, {"comment", 2},
        {"issue_comment", 1}, {"alert", 2}, {"build", 1}, {"build_failed", 1}, {"nonsense", 0}, {"", 0}, {"pull", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count_of_types(&world, cases[i].asked) != cases[i].expected)
            fail_msg("\"%s\" finds %zu", cases[i].asked, count_of_types(&world, cases[i].asked));
}

static size_t count_of_actor(struct world *world, const char *asked)
{
    struct str name = str_of(asked);
    return FIND(world, .query = STR("thing"), .filters = {.actors = &name, .actor_count = 1}).total;
}

static void name_people(struct world *world)
{
    write_sql(world, "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES "
                     "(1, 'jelte fennema-nio', 'full', 'github:1'), (1, 'jelte', 'word', 'github:1'), "
                     "(1, 'fennema', 'word', 'github:1'), (1, 'nio', 'word', 'github:1'), (1, 'jeltef', 'username', 'github:1'), "
                     "(1, 'jelte@example.org', 'email', 'github:1'), (1, 'jelte smith', 'full', 'github:2'), "
                     "(1, 'jelte', 'word', 'github:2'), (1, 'smith', 'word', 'github:2')");
    write_sql(world, "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, observation_count, expertise_domains, "
                     "updated_at) VALUES (1, 'github:1', 'p1', 'Jelte Fennema-Nio', 5, "
                     "'[{\"topic\":\"pooling\",\"weight\":1},{\"topic\":\"tls\",\"weight\":0.5}]', 0), "
                     "(1, 'github:2', 'p2', 'Jelte Smith', 9, '[]', 0)");
}

TEST(filters, people_are_known_by_name_user_name_and_address)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing", .actor = "github:1"}, {.title = "thing", .actor = "github:2"}, {.title = "thing"}};
    INSERT(&world, facts);
    name_people(&world);
    static const struct { const char *asked; size_t expected; } cases[] = {
        {"Jelte Fennema-Nio", 1}, {"jelte fennema-nio", 1}, {"@JelteF", 1}, {"Jelte@Example.org", 1}, {"Jelte Fennema", 1},
        {"fennema", 1}, {"Fennema-Nio", 1}, {"Jelte", 2}, {"Smith Fennema", 0}, {"Nobody", 0}, {"@", 0}, {"smit", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count_of_actor(&world, cases[i].asked) != cases[i].expected)
            fail_msg("\"%s\" finds %zu", cases[i].asked, count_of_actor(&world, cases[i].asked));
}

TEST(filters, dates_are_inclusive)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing", .at = 1}, {.title = "thing", .at = 2}, {.title = "thing", .at = 3}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(
        &world, .query = STR("thing"),
        .filters = {.has_start = true, .start = new_year + DAYS(2), .has_end = true, .end = new_year + DAYS(3)});
    check_int(answer.total, 2);
    check(!has(&world, &answer, &facts[0]));
}

TEST(filters, any_of_the_sources_will_do)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}, {.title = "thing", .source = "linear"}, {.title = "thing", .source = "sentry"}};
    struct str  sources[] = {STR("linear"), STR("sentry")};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("thing"), .filters = {.sources = sources, .source_count = 2});
    check_int(answer.total, 2);
    check(!has(&world, &answer, &facts[0]));
}

TEST(context, people_of_the_query_with_what_they_know)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("what did @jeltef or jelte do?"), .context = true);
    check(answer.actor);
    check_int(answer.actor_count, 2);
    check_str(answer.actors[0].name, "Jelte Fennema-Nio"); /* mentioned: before the one with more observations */
    check_int(answer.actors[0].domain_count, 2);
    check_str(answer.actors[0].domains[0], "pooling");
    check_str(answer.actors[1].name, "Jelte Smith");
}

TEST(context, a_person_with_several_ids_is_named_once)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}, {.title = "pooling", .at = 1, .actor = "git:9"}, {.title = "pooling", .at = 2}};
    INSERT(&world, facts);
    name_people(&world);
    for (int i = 3; i <= 9; i++) {
        write_sql(&world, str_z(arena, str_printf(arena,
            "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES (1, 'jelte', 'word', 'git:%d'), "
            "(1, 'fennema', 'word', 'git:%d')", i, i)));
        write_sql(&world, str_z(arena, str_printf(arena,
            "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, observation_count, expertise_domains, "
            "updated_at) VALUES (1, 'git:%d', 'q%d', 'Jelte Fennema-Nio', 7, '[]', 0)", i, i)));
    }
    struct search_answer answer = FIND(&world, .query = STR("what did jelte do?"), .context = true);
    check_int(answer.actor_count, 2);
    check_str(answer.actors[0].name, "Jelte Smith");
    check_str(answer.actors[1].name, "Jelte Fennema-Nio");
    answer = FIND(&world, .query = STR("Jelte Fennema pooling"), .context = true, .mode = SEARCH_FAST);
    check_str(answer.actors[0].name, "Jelte Fennema-Nio"); /* named in full: before who did more */
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
}

TEST(context, a_part_of_a_user_name_is_no_mention)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("jeltefoo and elte"), .context = true);
    check(!answer.actor);
}

TEST(context, items_of_a_mentioned_person_are_raised)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 2}, {.title = "pooling", .at = 1, .actor = "github:1"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("pooling work jeltef"), .mode = SEARCH_FAST);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
}

TEST(context, two_words_of_a_name_mean_the_person)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 3}, {.title = "pooling", .at = 2, .actor = "github:2"},
                           {.title = "pooling", .at = 1, .actor = "github:1"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("Jelte Fennema's pooling"), .mode = SEARCH_FAST);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[2])));
    answer = FIND(&world, .query = STR("pooling by Jelte"), .mode = SEARCH_FAST); /* a namesake is nobody */
    check(str_eq(answer.items[0].id, public_id(&world, &facts[0])));
}

TEST(search, items_of_the_time_that_a_question_names_are_raised)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 50}, {.title = "pooling", .at = 20}};
    INSERT(&world, facts);
    struct search_request request = {.query = STR("pooling in January 2024"), .mode = SEARCH_FAST};
    struct search_answer  answer = find(&world, request);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
    request.filters = (struct search_filters){.has_end = true, .end = new_year + DAYS(60)}; /* a filter says it better */
    answer = find(&world, request);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[0])));
}

static void read_again(struct world *world, const struct query *query, const double *idf, struct index_hit *at, size_t n)
{
    struct db_tx     *tx DB_READ_SCOPE = NULL;
    struct index_hits hits = {.at = at, .n = n};
    check_ok(db_read_begin(world->db, world->arena, &tx));
    check_ok(reread(world->search, tx, world->workspace, query, idf, &hits));
}

TEST(reread, what_says_the_query_comes_first_where_its_words_are_not_found)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Colours of the documentation"}, {.title = "Timeout of a session"}};
    INSERT(&world, facts);
    struct query query;
    query_read(arena, STR("timeout"), &query);
    const double     idf[] = {5};
    struct index_hit hits[] = {{.id = facts[0].id, .score = 0.3, .cover = 0.2}, {.id = facts[1].id, .score = 0.2}};
    read_again(&world, &query, idf, hits, 2);
    check_int(hits[0].id, facts[1].id);
    check_near(hits[0].score, 0.2 + 0.8 * search_weights.maxsim, 1e-3);
    check(hits[1].score < 0.3 + 0.5 * search_weights.maxsim);
}

TEST(reread, found_words_leave_the_order_as_it_is)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Colours of the documentation"}, {.title = "Timeout of a session"}};
    INSERT(&world, facts);
    struct query query;
    query_read(arena, STR("timeout"), &query);
    const double     idf[] = {5};
    struct index_hit hits[] = {{.id = facts[0].id, .score = 0.3, .cover = 0.5}, {.id = facts[1].id, .score = 0.2}};
    read_again(&world, &query, idf, hits, 2);
    check_int(hits[0].id, facts[0].id);
    check_near(hits[0].score, 0.3, 1e-9);
}

TEST(reread, rows_that_are_gone_keep_their_place)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct query query;
    query_read(arena, STR("timeout"), &query);
    const double     idf[] = {5};
    struct index_hit hits[] = {{.id = 4711, .score = 0.3}, {.id = 4712, .score = 0.2}};
    read_again(&world, &query, idf, hits, 2);
    check_int(hits[0].id, 4711);
    check_near(hits[0].score, 0.3, 1e-9);
}

static struct err *put_cluster(struct db_tx *tx, void *arg)
{
    struct world       *world = arg;
    struct index_writer writer;
    struct embed_views  views;
    TRY(index_writer_open(tx, world->workspace, &writer));
    TRY(embed_item(world->embed, tx->arena, STR("Session timeout"), STR(""), &views));
    TRY(index_put_cluster(&writer, 900, views.at[0], embed_dim(world->embed), embed_model(world->embed)));
    TRY(db_exec(tx, "INSERT INTO cluster (workspace_id, id, xid, topic_label, keywords, status, observation_count, "
                    "first_observation_at, last_observation_at, created_at) "
                    "VALUES (1, 900, 'c', 'Session handling', '[\"session\",\"auth\"]', 'open', 25, 0, 0, 0)"));
    return index_writer_close(&writer);
}

TEST(context, the_nearest_clusters)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    check_ok(db_write(world.db, arena, put_cluster, &world));
    struct search_answer answer = FIND(&world, .query = STR("session timeout"), .context = true);
    check(answer.cluster);
    check_int(answer.cluster_count, 1);
    check_str(answer.clusters[0].topic, "Session handling");
    check(answer.clusters[0].summary.s == NULL);
    check_int(answer.clusters[0].keyword_count, 2);
    check_str(answer.clusters[0].keywords[1], "auth");
}

static struct world world_with_result_cache(struct arena *arena)
{
    struct world world = world_begin(arena);
    search_destroy(world.search);
    world.search = search_create(world.db, world.embed, (struct search_config){.memory_limit = 64 << 20, .result_cache = true});
    return world;
}

TEST(cache, the_same_request_is_answered_from_memory_for_a_minute)
{
    struct world world WORLD_SCOPE = world_with_result_cache(arena);
    struct fact facts[] = {{.title = "Session timeout"}};
    struct search_request request = {.query = STR("session"), .highlights = true, .context = true};
    INSERT(&world, facts);
    find(&world, request);
    write_sql(&world, "UPDATE observation SET title = 'changed behind the index' WHERE workspace_id = 1");
    check_str(find(&world, request).items[0].title, "Session timeout");
    request.limit = 11;
    check_str(find(&world, request).items[0].title, "changed behind the index");
    request.limit = 10;
    time_set(time_now() + SECONDS(61));
    check_str(find(&world, request).items[0].title, "changed behind the index");
}

TEST(cache, a_change_of_the_index_ends_it)
{
    struct world world WORLD_SCOPE = world_with_result_cache(arena);
    struct fact first[] = {{.title = "Session timeout"}}, second[] = {{.title = "Session expiry"}};
    INSERT(&world, first);
    check_int(FIND(&world, .query = STR("session")).total, 1);
    INSERT(&world, second);
    check_int(FIND(&world, .query = STR("session")).total, 2);
}

TEST(cache, holds_no_more_than_its_entries)
{
    struct cache *cache = cache_create(8, SECONDS(60));
    int64_t       version;
    size_t        held = 0;
    struct search_answer answer = {0};
    for (int i = 0; i < 1000; i++)
        cache_put(cache, str_printf(arena, "key %d", i), i, &answer, answer_copy, NULL);
    for (int i = 0; i < 1000; i++) held += cache_version(cache, str_printf(arena, "key %d", i), &version);
    check(held > 0 && held <= 8);
    check(cache_version(cache, STR("key 999"), &version));
    check_int(version, 999);
    cache_destroy(cache);
}

TEST(search, text_that_no_database_takes_finds_nothing_and_fails_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout"}};
    struct str  name = STR("a\0b\xff");
    INSERT(&world, facts);
    check_int(FIND(&world, .query = STR("session\0 \"\xc3 @x\0y #1\0")).count, 1);
    check_int(FIND(&world, .query = STR("session"), .filters = {.actors = &name, .actor_count = 1}).count, 0);
    int64_t id;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(world.db, arena, &tx));
    check_ok(url_resolve(world.search, tx, 1, STR("https://github.com/a/b\0/pull/1%00%ff"), &id));
    check_int(id, 0);
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

struct asker {
    struct world *world;
    atomic_size_t failed, answered;
};

static void ask_often(void *arg)
{
    struct asker *asker = arg;
    for (int i = 0; i < 40; i++) {
        struct arena *arena ARENA_SCOPE = arena_create();
        struct search_request request = {.workspace = 1, .limit = 5, .mode = SEARCH_BALANCED, .highlights = true, .context = true,
                                         .query = str_printf(arena, "session timeout %d", i % 7)};
        struct search_answer  answer;
        struct err           *err = search_run(asker->world->search, arena, &request, &answer);
        if (err) asker->failed++;
        else if (answer.count) asker->answered++;
    }
}

TEST(search, many_at_once_while_others_write)
{
    struct world world   WORLD_SCOPE = world_with_result_cache(arena);
    struct fact          first[] = {{.title = "Session timeout"}};
    struct asker         asker = {.world = &world};
    struct search_answer answer;
    INSERT(&world, first);
    struct workers *workers = workers_start(8, "asking"); /* twice as many as there are database readers */
    for (int i = 0; i < 8; i++) workers_submit(workers, ask_often, &asker);
    for (int i = 0; i < 20; i++) {
        struct fact more[] = {{.title = "Session timeout again", .at = i}};
        INSERT(&world, more);
        answer = FIND(&world, .query = STR("session"), .limit = 50);
        check_int(answer.total, (size_t)i + 2);
    }
    workers_stop(workers);
    check_int(asker.failed, 0);
    check_int(asker.answered, 8 * 40);
}

/* ---- without a question ------------------------------------------------------------------------------------------------ */

static struct err *insert_people(struct db_tx *tx, void *arg)
{
    static const struct { const char *id, *name, *found_by; int count, bot; } people[] = {
        {"github:1", "Ada Lovelace", "ada lovelace", 7, 0}, {"github:2", "", "g%ce", 9, 0},
        {"github:3", "Renovate", "renovate", 90, 1},        {"github:4", "Lady Ada", "lady ada", 7, 0},
    };
    const struct world *world = arg;
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        TRY(db_exec(tx, "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, observation_count, is_bot, updated_at) "
                        "VALUES ($1, $2, $3, $4, $5, $6, 0)",
                    world->workspace, people[i].id, id_new(tx->arena, ""), people[i].name, people[i].count, people[i].bot));
        TRY(db_exec(tx, "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES ($1, $2, 'full', $3)",
                    world->workspace, people[i].found_by, people[i].id));
    }
    return NULL;
}

TEST(people, are_listed_by_how_busy_they_are_without_bots)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_person *people, *after;
    size_t                n;
    struct search_people_request request = {.workspace = world.workspace, .limit = 2};
    check_ok(db_write(world.db, arena, insert_people, &world));
    check_ok(search_people(world.search, arena, &request, &people, &n));
    check_int(n, 2);
    check_str(people[0].name, "github:2"); /* of no name */
    check_int(people[1].count, 7);
    request.before_count = people[1].count;
    request.before_xid = people[1].xid;
    check_ok(search_people(world.search, arena, &request, &after, &n));
    check_int(n, 1);
    check_int(after[0].count, 7);
    check(!str_eq(after[0].id, people[1].id));
}

TEST(people, of_whom_nothing_is_left_are_not_listed_but_new_ones_are)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_person *people;
    size_t                n;
    struct search_people_request request = {.workspace = world.workspace, .limit = 9};
    check_ok(db_write(world.db, arena, insert_people, &world));
    write_sql(&world, "UPDATE actor_profile SET observation_count = 0, dirty = 1");
    check_ok(search_people(world.search, arena, &request, &people, &n));
    check_int(n, 3);
    write_sql(&world, "UPDATE actor_profile SET dirty = 0");
    check_ok(search_people(world.search, arena, &request, &people, &n));
    check_int(n, 0);
}

TEST(people, are_found_by_a_part_of_a_name)
{
    static const struct { const char *text; size_t n; } rows[] = {{"ADA", 2}, {"lovel", 1}, {"g%", 1}, {"%", 1}, {"renov", 0}, {"", 3}};
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_person *people;
    size_t                n;
    check_ok(db_write(world.db, arena, insert_people, &world));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct search_people_request request = {.workspace = world.workspace, .limit = 9, .text = str_of(rows[i].text)};
        check_ok(search_people(world.search, arena, &request, &people, &n));
        check_int(n, rows[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(search, an_empty_workspace_answers_with_nothing),
        RUN(search, a_result_shows_what_the_row_holds),
        RUN(search, no_url_is_the_empty_text_and_no_highlights_are_made_unasked),
        RUN(search, another_workspace_is_never_seen),
        RUN(search, a_quoted_phrase_must_match),
        RUN(search, pages_follow_each_other_and_end),
        RUN(search, collapse_leaves_the_best_event_of_an_object),
        RUN(search, a_known_entity_of_the_query_comes_first),
        RUN(search, an_alias_of_an_entity_is_followed),
        RUN(filters, types_are_known_in_any_spelling_and_by_family),
        RUN(filters, people_are_known_by_name_user_name_and_address),
        RUN(filters, dates_are_inclusive),
        RUN(filters, any_of_the_sources_will_do),
        RUN(context, people_of_the_query_with_what_they_know),
        RUN(context, a_person_with_several_ids_is_named_once),
        RUN(context, a_part_of_a_user_name_is_no_mention),
        RUN(context, items_of_a_mentioned_person_are_raised),
        RUN(context, two_words_of_a_name_mean_the_person),
        RUN(search, items_of_the_time_that_a_question_names_are_raised),
        RUN(reread, what_says_the_query_comes_first_where_its_words_are_not_found),
        RUN(reread, found_words_leave_the_order_as_it_is),
        RUN(reread, rows_that_are_gone_keep_their_place),
        RUN(context, the_nearest_clusters),
        RUN(cache, the_same_request_is_answered_from_memory_for_a_minute),
        RUN(cache, a_change_of_the_index_ends_it),
        RUN(cache, holds_no_more_than_its_entries),
        RUN(search, text_that_no_database_takes_finds_nothing_and_fails_nothing),
        RUN(search, many_at_once_while_others_write),
        RUN(people, are_listed_by_how_busy_they_are_without_bots),
        RUN(people, of_whom_nothing_is_left_are_not_listed_but_new_ones_are),
        RUN(people, are_found_by_a_part_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
