/* search_around_test.c - what lies around an observation: its content, what is like it, the graph; on what memory stores. */
#include "search_world.h"

/* ---- contents ---------------------------------------------------------------------------------------------------- */

TEST(contents, are_found_by_both_forms_of_the_id)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .content = "Whole text"}};
    INSERT(&world, facts);
    struct str ids[] = {facts[0].xid, STR("obs_doesNotExist000000000"), public_id(&world, facts),
                        STR("doc_9aKq2LmN0pRsTuVwXyZ12"), STR(""), STR("obs_'; DROP TABLE x")};
    struct search_content items[6];
    check_ok(search_contents(world.search, arena, 1, ids, 6, items));
    check(items[0].found && !items[1].found && items[2].found && !items[3].found && !items[4].found && !items[5].found);
    check(str_eq(items[0].id, ids[0]) && str_eq(items[2].id, ids[2]));
    check_str(items[2].content, "Whole text");
    check_str(items[2].snippet, "Whole text");
    check_str(items[2].metadata, "{\"n\":1}");
}

/* ---- similar ----------------------------------------------------------------------------------------------------- */

static struct search_similar_answer similar(struct world *world, struct search_similar_request request)
{
    struct search_similar_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 10;
    check_ok(search_similar(world->search, world->arena, &request, &answer));
    return answer;
}

TEST(similar, other_events_of_the_object_are_left_out_and_objects_collapse)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout raised", .source_id = "pr:acme/api#7:merged"},
                           {.title = "Session timeout raised", .source_id = "pr:acme/api#7:opened"},
                           {.title = "Session timeout lowered", .source_id = "pr:acme/api#8:merged"},
                           {.title = "Session timeout lowered", .source_id = "pr:acme/api#8:opened"}};
    INSERT(&world, facts);
    struct search_similar_answer answer = similar(&world, (struct search_similar_request){.id = public_id(&world, facts)});
    check_int(answer.total, 1);
    check(str_starts(answer.items[0].title, STR("Session timeout lowered")));
    check(answer.found && !answer.generated);
    check(answer.items[0].overlap < 0);
    check(answer.cluster_topic.s == NULL);
}

TEST(similar, shared_entities_raise_the_score)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .entities = {"project:#1", "project:#2"}},
                           {.title = "Session expiry", .entities = {"project:#1", "project:#3"}}};
    INSERT(&world, facts);
    struct search_similar_answer answer = similar(&world, (struct search_similar_request){.id = facts[0].xid});
    check_int(answer.count, 1);
    check_near(answer.items[0].overlap, 1.0 / 3, 1e-6);
    check_near(answer.items[0].score, answer.items[0].vector + (1 - answer.items[0].vector) * 0.2 / 3, 1e-6);
}

TEST(similar, same_source_and_excluded_ids)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout"}, {.title = "Session timeout", .source = "linear"},
                           {.title = "Session timeout"}, {.title = "Session timeout"}};
    INSERT(&world, facts);
    struct str out = public_id(&world, &facts[2]), linear = STR("linear");
    struct search_similar_request request = {.id = facts[0].xid, .exclude = &out, .exclude_count = 1};
    check_int(similar(&world, request).total, 2);
    request.same_source = true;
    check_int(similar(&world, request).total, 1);
    request.filters = (struct search_filters){.sources = &linear, .source_count = 1};
    check_int(similar(&world, request).total, 0);
}

TEST(similar, total_counts_before_the_limit_and_the_threshold_cuts)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[6] = {0};
    for (int i = 0; i < 5; i++) facts[i] = (struct fact){.title = "Session timeout"};
    facts[5] = (struct fact){.title = "Quarterly marketing budget"};
    INSERT(&world, facts);
    struct search_similar_answer answer =
        similar(&world, (struct search_similar_request){.id = facts[0].xid, .limit = 2, .threshold = 0.9});
    check_int(answer.total, 4);
    check_int(answer.count, 2);
}

TEST(similar, what_is_unknown_is_not_found)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_similar_answer answer;
    struct search_similar_request by_id = {.workspace = 1, .id = STR("obs_doesNotExist000000000"), .limit = 1};
    struct search_similar_request by_url = {.workspace = 1, .url = STR("https://example.org/x"), .limit = 1};
    struct err *err = search_similar(world.search, arena, &by_id, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "Content not found: obs_doesNotExist000000000");
    err = search_similar(world.search, arena, &by_url, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "URL not found in workspace: https://example.org/x");
}

static bool resolves_to(struct world *world, const char *url, const struct fact *fact)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    int64_t id;
    check_ok(db_read_begin(world->db, world->arena, &tx));
    check_ok(url_resolve(world->search, tx, world->workspace, str_of(url), &id));
    return id == (fact ? fact->id : 0);
}

TEST(url, patterns_find_the_latest_event_of_the_object)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {
        {.title = "a", .at = 1, .source_id = "pr:Acme/api#7:opened"}, {.title = "b", .at = 2, .source_id = "pr:Acme/api#7:merged"},
        {.title = "c", .source_id = "push:Acme/api:3f2c1aa"}, {.title = "d", .source_id = "release:Acme/api:rel/v1.0"},
        {.title = "e", .source_id = "discussion:Acme/api#9"}, {.title = "f", .source = "linear", .source_id = "linear-issue:ENG:ENG-42:create"},
        {.title = "g", .source_id = "sentry-issue:web:WEB-1:created", .url = "https://acme.sentry.io/issues/55/"},
        {.title = "h", .source_id = "deployment:dpl_abc:succeeded"}, {.title = "i", .url = "https://blog.example.org/Post"}};
    INSERT(&world, facts);
    write_sql(&world, str_z(arena, str_printf(arena,
        "INSERT INTO observation_reference (workspace_id, ref_type, ref_key, scope, observation_id, role) VALUES "
        "(1, 'issue', 'acme/api#7', '', %lld, 'self'), (1, 'issue', 'acme/api#7', '', %lld, 'self'), "
        "(1, 'issue', 'acme/api#7', '', %lld, 'mention'), "
        "(1, 'commit', '3f2c1aa9e0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5', '', %lld, 'self'), "
        "(1, 'issue', 'ENG-42', '', %lld, 'self'), (1, 'deployment', 'dpl_abc', '', %lld, 'self')",
        (long long)facts[0].id, (long long)facts[1].id, (long long)facts[8].id, (long long)facts[2].id,
        (long long)facts[5].id, (long long)facts[7].id)));
    check(resolves_to(&world, "https://github.com/Acme/api/pull/7", &facts[1]));
    check(resolves_to(&world, "http://www.GitHub.com/acme/API/pull/7/files?w=1#diff", &facts[1]));
    check(resolves_to(&world, "https://github.com/acme/api/issues/7", &facts[1]));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3F2C1AA/", &facts[2]));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3f2c1aa9e0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5", &facts[2]));
    check(resolves_to(&world, "https://github.com/Acme/api/releases/tag/rel/v1.0", &facts[3]));
    check(resolves_to(&world, "https://github.com/Acme/api/releases/tag/rel%2Fv1.0", &facts[3]));
    check(resolves_to(&world, "https://github.com/Acme/api/discussions/9", &facts[4]));
    check(resolves_to(&world, "https://linear.app/acme/issue/ENG-42/signed-out-too-soon", &facts[5]));
    check(resolves_to(&world, "https://sentry.io/organizations/acme/issues/55", &facts[6]));
    check(resolves_to(&world, "https://acme.sentry.io/issues/55/?project=1", &facts[6]));
    check(resolves_to(&world, "https://vercel.com/acme/api/abc", &facts[7]));
    check(resolves_to(&world, "https://www.blog.example.org/Post/?utm=1", &facts[8]));
    check(resolves_to(&world, "https://github.com/acme/api/pull/70", NULL));
    check(resolves_to(&world, "https://github.com/acme/api/pull", NULL));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3f2c1", NULL));
    check(resolves_to(&world, "ftp://github.com/acme/api/pull/7", NULL));
    check(resolves_to(&world, "https://", NULL));
    check(resolves_to(&world, "", NULL));
}

/* ---- graph and related ------------------------------------------------------------------------------------------- */

static struct search_graph_answer graph(struct world *world, struct search_graph_request request)
{
    struct search_graph_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 200;
    check_ok(search_graph(world->search, world->arena, &request, &answer));
    return answer;
}

TEST(graph, nodes_come_by_hop_and_newest_first)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root", .at = 1}, {.title = "old", .at = 2}, {.title = "new", .at = 3}, {.title = "far", .at = 9},
                       {.title = "farther", .at = 10}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[2], &f[0], "references", 0.8);
    relate(&world, &f[1], &f[3], "references", 0.8);
    relate(&world, &f[3], &f[4], "references", 0.8);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = public_id(&world, f), .depth = 2});
    check_int(answer.node_count, 4);
    check_str(answer.nodes[0].title, "root");
    check(answer.nodes[0].root && !answer.nodes[1].root);
    check_str(answer.nodes[1].title, "new");
    check_str(answer.nodes[2].title, "old");
    check_str(answer.nodes[3].title, "far");
    check_int(answer.edge_count, 3);
    check(!answer.truncated);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 3}).node_count, 5);
}

TEST(graph, edges_keep_their_direction_and_come_once_also_among_the_outermost)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a"}, {.title = "b"}};
    INSERT(&world, f);
    relate(&world, &f[1], &f[0], "fixes", 1);
    relate(&world, &f[0], &f[2], "fixes", 1);
    relate(&world, &f[2], &f[1], "references", 0.7);
    relate(&world, &f[0], &f[1], "references", 0.7);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1});
    check_int(answer.node_count, 3);
    check_int(answer.edge_count, 4);
    bool outermost = false, incoming = false;
    for (size_t i = 0; i < answer.edge_count; i++) {
        struct search_edge *e = &answer.edges[i];
        outermost |= str_eq(e->source, public_id(&world, &f[2])) && str_eq(e->target, public_id(&world, &f[1]));
        incoming |= str_eq(e->source, public_id(&world, &f[1])) && str_eq(e->type, STR("fixes"));
    }
    check(outermost && incoming);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 3}).edge_count, 4);
}

TEST(graph, types_filter_and_unknown_ones_match_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a"}, {.title = "b"}};
    struct str  fixes[] = {STR("fixes"), STR("nonsense")};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[0], &f[2], "references", 1);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1, .types = fixes, .type_count = 2}).node_count, 2);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1, .types = fixes + 1, .type_count = 1}).node_count, 1);
}

TEST(graph, a_hub_shows_fifty_edges_and_says_so)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[71] = {0};
    for (int i = 0; i < 71; i++) f[i] = (struct fact){.title = i ? "leaf" : "root", .at = i};
    INSERT(&world, f);
    for (int i = 1; i < 71; i++) relate(&world, &f[i], &f[0], "references", i == 1 ? 1.0 : 0.8);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1});
    check_int(answer.node_count, 51);
    check_int(answer.edge_count, 50);
    check(answer.truncated);
    check_int(answer.hub_count, 1);
    check_int(answer.hubs[0].degree, 70);
    check_int(answer.hubs[0].shown, 50);
    check_str(answer.nodes[50].title, "leaf");
    check_int(answer.nodes[50].occurred_at, new_year + DAYS(1)); /* the most confident, though the oldest */
    check_int(answer.nodes[49].occurred_at, new_year + DAYS(22));
}

TEST(graph, an_outermost_hub_whose_edges_were_not_all_looked_at_says_so)
{
    enum { LEAVES = 2001 };
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact *f = NEW_ARRAY(arena, struct fact, LEAVES + 2);
    for (int i = 0; i < LEAVES + 2; i++) f[i] = (struct fact){.title = i == 0 ? "root" : i == 1 ? "hub" : "leaf", .at = i};
    insert(&world, f, LEAVES + 2);
    relate(&world, &f[0], &f[1], "fixes", 1);
    struct search_graph_request request = {.id = f[0].xid, .depth = 1};
    check(!graph(&world, request).truncated);
    write_sql(&world, str_z(arena, str_printf(arena,
        "INSERT INTO relationship (workspace_id, id, xid, source_observation_id, target_observation_id, relationship_type, "
        "linking_key, linking_key_type, confidence, metadata, created_at) SELECT 1, 500000 + id, 'leaf' || id, %lld, id, "
        "'references', 'key', 'issue', 0.8, '{}', 0 FROM observation WHERE title = 'leaf'", (long long)f[1].id)));
    struct search_graph_answer answer = graph(&world, request);
    check_int(answer.edge_count, 1);
    check(answer.truncated);
    check_int(answer.hub_count, 1);
    check_int(answer.hubs[0].degree, LEAVES + 1);
}

TEST(graph, the_limit_of_nodes_truncates)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a", .at = 1}, {.title = "b", .at = 2}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[0], &f[2], "fixes", 1);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 2, .limit = 2});
    check_int(answer.node_count, 2);
    check_int(answer.edge_count, 1);
    check(answer.truncated);
}

TEST(related, one_entry_a_neighbour_newest_first_with_all_relations)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "old", .at = 1}, {.title = "new", .at = 2}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "references", 0.7);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[2], &f[0], "same_commit", 1);
    struct search_related_answer  answer;
    struct search_related_request request = {.workspace = 1, .id = public_id(&world, f), .limit = 1};
    check_ok(search_related(world.search, arena, &request, &answer));
    check_int(answer.total, 2);
    check_int(answer.count, 1);
    check_str(answer.items[0].node.title, "new");
    check(!answer.items[0].relations[0].outgoing);
    request.limit = 100;
    check_ok(search_related(world.search, arena, &request, &answer));
    check_int(answer.items[1].relation_count, 2);
    check_str(answer.items[1].relations[0].type, "fixes");
    check(answer.items[1].relations[0].outgoing);
    request.id = STR("doc_9aKq2LmN0pRsTuVwXyZ12");
    struct err *err = search_related(world.search, arena, &request, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "Observation not found: doc_9aKq2LmN0pRsTuVwXyZ12");
}

/* ---- on what memory stores --------------------------------------------------------------------------------------- */

struct capture {
    struct memory         memory;
    struct memory_batch  *batch;
    struct memory_result *results;
};

static struct err *store(struct db_tx *tx, void *arg)
{
    struct capture *capture = arg;
    TRY(memory_store(&capture->memory, tx, capture->batch, capture->results));
    return memory_settle(&capture->memory, tx, 1);
}

enum { ISSUE, PULL_REQUEST, OTHER_REPOSITORY, CAPTURED };

/* An issue, the pull request that fixes it, and an issue of the same number elsewhere. */
static void capture_events(struct world *world, struct memory_result results[CAPTURED])
{
    struct arena            *arena = world->arena;
    struct source_reference *issue = NEW_ARRAY(arena, struct source_reference, 1), *fix = NEW_ARRAY(arena, struct source_reference, 2);
    issue[0] = (struct source_reference){.type = STR("issue"), .id = STR("#12"), .url = STR("https://github.com/Acme/api/issues/12")};
    fix[0] = (struct source_reference){.type = STR("pr"), .id = STR("#87"), .url = STR("https://github.com/Acme/api/pull/87")};
    fix[1] = (struct source_reference){.type = STR("issue"), .id = STR("#12"), .label = STR("fixes")};
    struct source_event events[CAPTURED] = {
        [ISSUE] = {.source = STR("github"), .source_type = STR("issue.opened"), .source_id = STR("issue:Acme/api#12:opened"),
                   .title = STR("[Issue Opened] Signed out too soon"), .body = STR("Signed out too soon\nAfter five minutes."),
                   .actor = {.id = STR("41"), .name = STR("Zo\xc3\xab Fennema-Nio"), .email = STR("zoe@example.org")},
                   .occurred_at = new_year, .references = issue, .reference_count = 1,
                   .metadata = STR("{\"repoFullName\":\"Acme/api\",\"issueNumber\":12,\"url\":\"https://github.com/Acme/api/issues/12\"}")},
        [PULL_REQUEST] = {.source = STR("github"), .source_type = STR("pull-request.merged"), .source_id = STR("pr:Acme/api#87:merged"),
                   .title = STR("[PR Merged] Raise session timeout to 30 minutes"),
                   .body = STR("Raise session timeout to 30 minutes\nThe timeout is now configurable: SESSION_TTL. Fixes #12"),
                   .actor = {.id = STR("42"), .name = STR("backend-dev"), .email = STR("dev@example.org")},
                   .occurred_at = new_year + DAYS(1), .references = fix, .reference_count = 2,
                   .metadata = STR("{\"repoFullName\":\"Acme/api\",\"prNumber\":87,\"url\":\"https://github.com/Acme/api/pull/87\"}")},
        [OTHER_REPOSITORY] = {.source = STR("github"), .source_type = STR("issue.opened"), .source_id = STR("issue:Acme/web#12:opened"),
                   .title = STR("[Issue Opened] Wrong colour"), .body = STR("Wrong colour"), .occurred_at = new_year,
                   .metadata = STR("{\"repoFullName\":\"Acme/web\",\"issueNumber\":12}")},
    };
    struct capture capture = {.memory = {world->db, world->embed}, .results = results};
    check_ok(memory_prepare(&capture.memory, arena, (struct memory_capture){.workspace = 1, .ingestion = SOURCE_MANUAL,
                                                                           .events = events, .count = CAPTURED}, &capture.batch));
    check_ok(db_write(world->db, arena, store, &capture));
    for (int i = 0; i < CAPTURED; i++) {
        check_int(results[i].outcome, MEMORY_STORED);
        results[i].public_id = str_dup(arena, results[i].public_id);
    }
}

TEST(captured, is_found_by_words_people_and_keys)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    check(str_eq(FIND(&world, .query = STR("timeouts of sessions")).items[0].id, results[PULL_REQUEST].public_id));
    check(str_eq(FIND(&world, .query = STR("SESSION_TTL")).items[0].id, results[PULL_REQUEST].public_id));
    struct str names[] = {STR("Zoe Fennema"), STR("@zoe@example.org"), STR("ZO\xc3\x8b FENNEMA-NIO")};
    for (int i = 0; i < 3; i++) {
        struct search_answer answer = FIND(&world, .query = STR("anything"), .filters = {.actors = &names[i], .actor_count = 1});
        struct search_answer all = FIND(&world, .query = STR("signed out"), .filters = {.actors = &names[i], .actor_count = 1});
        check(answer.total <= 1);
        check_int(all.total, 1);
        check(str_eq(all.items[0].id, results[ISSUE].public_id));
    }
    struct search_answer number = FIND(&world, .query = STR("#12"));
    check(number.entity);
    check(number.count >= 2);
}

TEST(captured, is_joined_in_the_graph)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = results[ISSUE].public_id, .depth = 1});
    check_int(answer.node_count, 2);
    check_int(answer.edge_count, 1);
    check_str(answer.edges[0].type, "fixes");
    check(str_eq(answer.edges[0].source, results[PULL_REQUEST].public_id));
}

TEST(captured, is_found_by_its_address)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct fact pull = {.id = results[PULL_REQUEST].id}, issue = {.id = results[ISSUE].id}, other = {.id = results[OTHER_REPOSITORY].id};
    check(resolves_to(&world, "https://github.com/acme/API/pull/87/files", &pull));
    check(resolves_to(&world, "https://github.com/Acme/api/issues/12#issuecomment-1", &issue));
    check(resolves_to(&world, "https://github.com/Acme/web/issues/12", &other));
    check(resolves_to(&world, "https://github.com/Acme/other/issues/12", NULL));
}

TEST(captured, context_names_people_and_clusters)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct search_answer answer = FIND(&world, .query = STR("what did fennema report on sessions"), .context = true);
    check_int(answer.actor_count, 1);
    check_str(answer.actors[0].name, "Zo\xc3\xab Fennema-Nio");
    check(answer.cluster_count >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(contents, are_found_by_both_forms_of_the_id),
        RUN(similar, other_events_of_the_object_are_left_out_and_objects_collapse),
        RUN(similar, shared_entities_raise_the_score),
        RUN(similar, same_source_and_excluded_ids),
        RUN(similar, total_counts_before_the_limit_and_the_threshold_cuts),
        RUN(similar, what_is_unknown_is_not_found),
        RUN(url, patterns_find_the_latest_event_of_the_object),
        RUN(graph, nodes_come_by_hop_and_newest_first),
        RUN(graph, edges_keep_their_direction_and_come_once_also_among_the_outermost),
        RUN(graph, types_filter_and_unknown_ones_match_nothing),
        RUN(graph, a_hub_shows_fifty_edges_and_says_so),
        RUN(graph, an_outermost_hub_whose_edges_were_not_all_looked_at_says_so),
        RUN(graph, the_limit_of_nodes_truncates),
        RUN(related, one_entry_a_neighbour_newest_first_with_all_relations),
        RUN(captured, is_found_by_words_people_and_keys),
        RUN(captured, is_joined_in_the_graph),
        RUN(captured, is_found_by_its_address),
        RUN(captured, context_names_people_and_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
