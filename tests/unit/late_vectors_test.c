/* late_vectors_test.c - observations whose vectors do not come with the capture, and what the sweep takes up again. */
#include "models_world.h"

#include "base/hash.h"

#define EMBED_RUN "neural.observation.embed"
enum { DIM = 8 };

/* ---- a service for vectors: POST /v1/embeddings ------------------------------------------------------------------ */

struct vectors {
    struct service service;
    atomic_int     status; /* what it answers with */
};

/* The same text, the same vector. */
static void put_vector(struct json_out *out, struct str text, int position)
{
    uint64_t hash = hash_str(text);
    json_begin(out, NULL, '{');
    json_put(out, "index", position);
    json_begin(out, "embedding", '[');
    for (int i = 0; i < DIM; i++) json_put(out, NULL, (double)(hash >> (8 * i) & 255) - 100.5);
    json_end(out);
    json_end(out);
}

static struct str vectors_of(struct arena *arena, const json_value *body)
{
    struct json_out out = json_out(arena);
    int             n = 0;
    json_begin(&out, NULL, '{');
    json_begin(&out, "data", '[');
    for (struct json_iter it = json_iter(json_get(body, "input")); json_step(&it);)
        put_vector(&out, json_str(it.value, ""), n++);
    json_end(&out);
    json_end(&out);
    return json_out_text(&out);
}

static void *serve_vectors(void *arg)
{
    struct vectors *vectors = arg;
    for (int fd; (fd = accept(vectors->service.listener, NULL, NULL)) >= 0; close(fd)) {
        struct seen     request = {0};
        struct scripted reply = {atomic_load(&vectors->status), NULL, STR("{}")};
        if (!read_request(&vectors->service, fd, &request)) continue;
        if (!str_starts(request.head, STR("POST /v1/embeddings "))) reply.status = 404;
        if (reply.status == 200) reply.body = vectors_of(vectors->service.arena, request.body);
        atomic_fetch_add(&vectors->service.requests, 1);
        write_reply(&vectors->service, fd, &reply);
    }
    return NULL;
}

static void vectors_start(struct vectors *vectors, int status)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof address;
    struct service    *service = &vectors->service;
    atomic_store(&vectors->status, status);
    service->arena = arena_create();
    service->listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(service->listener, (struct sockaddr *)&address, n) == 0 && listen(service->listener, 8) == 0);
    getsockname(service->listener, (struct sockaddr *)&address, &n);
    snprintf(service->address, sizeof service->address, "http://127.0.0.1:%d", ntohs(address.sin_port));
    check(pthread_create(&service->thread, NULL, serve_vectors, vectors) == 0);
}

static void vectors_end(struct vectors *vectors)
{
    service_stop(&vectors->service);
    service_free(&vectors->service);
}

static struct embed_config provider_of(const struct vectors *vectors, const char *model)
{
    return (struct embed_config){
        .provider = STR("openai"), .base_url = str_of(vectors->service.address), .model = str_of(model)};
}

#define WORLD(w, answer)                                                                                               \
    struct vectors service __attribute__((cleanup(vectors_end))) = {0};                                                \
    vectors_start(&service, (answer));                                                                                 \
    struct world w WORLD_SCOPE = {0};                                                                                  \
    world_open(&w, arena, provider_of(&service, "near"));                                                              \
    world_start(&w)

static struct str state(struct world *w)
{
    return ask(w, "SELECT source_id || ' ' || embedding_status || ' ' || COALESCE(embedding_model, '-') || ' ' || "
                  "(embedding_due_at > 0) || ' ' || (cluster_id IS NOT NULL) FROM observation ORDER BY source_id");
}

static size_t views_of(struct world *w, struct arena *arena)
{
    struct db_tx *tx  DB_READ_SCOPE = NULL;
    struct index_item item;
    bool              found;
    check_ok(db_read_begin(w->db, arena, &tx));
    check_ok(index_read(tx, 1, INDEX_OBSERVATION, count(w, "SELECT id FROM observation"), &item, &found));
    check(found && item.term_count > 0);
    check_int(item.cluster, count(w, "SELECT COALESCE(cluster_id, 0) FROM observation"));
    return item.views.n;
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

TEST(embed, a_service_that_is_down_leaves_the_observation_found_by_words)
{
    WORLD(w, 503);
    CAPTURE(&w, .id = "one", .body = "The body.");
    check_str(state(&w), "one pending - 1 0");
    check_str(output(&w, "neural.observation.capture", "clusterId"), "-");
    check_int(views_of(&w, arena), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = '" EMBED_RUN "' AND status = 'completed'"), 0);
}

TEST(embed, it_is_tried_again_after_1_2_4_minutes_until_it_answers)
{
    WORLD(w, 503);
    CAPTURE(&w, .id = "one", .body = "The body.");
    int asked = service.service.requests;
    for (int minutes = 1; minutes <= 4; minutes *= 2) {
        advance(&w, MINUTES(minutes) - 1);
        check_int(service.service.requests, asked);
        advance(&w, 1);
        check(service.service.requests > asked);
        asked = service.service.requests;
        check_str(state(&w), "one pending - 1 0");
    }
    atomic_store(&service.status, 200);
    advance(&w, MINUTES(8));
    check_str(state(&w), "one ready near 0 1");
    check_int(views_of(&w, arena), 2);
    check_str(ask(&w,
                  "SELECT json_extract(input, '$.attempt') || ' ' || status || ' ' || COALESCE(json_extract(output, "
                  "'$.status'), '-') FROM (SELECT COALESCE(r.input, e.data) AS input, r.status, r.output FROM flow_run "
                  "r JOIN flow_event e ON e.seq = r.event_seq WHERE r.function = '" EMBED_RUN "' ORDER BY r.id)"),
              "0 failed failure;1 failed failure;2 failed failure;3 completed success");
}

TEST(embed, pauses_grow_to_an_hour)
{
    WORLD(w, 503);
    CAPTURE(&w, .id = "one");
    for (int i = 0; i < 8; i++) advance(&w, HOURS(1));
    int asked = service.service.requests;
    advance(&w, MINUTES(59));
    check_int(service.service.requests, asked);
    advance(&w, MINUTES(1));
    check(service.service.requests > asked);
    check(count(&w, "SELECT embedding_due_at FROM observation") == time_now() + HOURS(1));
}

TEST(embed, the_cluster_is_chosen_when_the_vectors_are_there)
{
    WORLD(w, 200);
    CAPTURE(&w, .id = "first", .title = "Session timeout", .actor = "github:1");
    atomic_store(&service.status, 503);
    CAPTURE(&w, .id = "late", .title = "Session timeout", .actor = "github:1");
    check_int(count(&w, "SELECT observation_count FROM cluster"), 1);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.cluster.summary'"), 1);
    advance(&w, MINUTES(1));
    atomic_store(&service.status, 200);
    advance(&w, MINUTES(20));
    check_int(count(&w, "SELECT COUNT(*) FROM cluster"), 1);
    check_int(count(&w, "SELECT observation_count FROM cluster"), 2);
    check_int(count(&w, "SELECT COUNT(DISTINCT cluster_id) FROM observation"), 1);
    check_int(count(&w, "SELECT centroid_count FROM cluster"), 2);
}

TEST(embed, a_text_that_is_refused_is_given_up_and_gets_its_cluster_by_other_signs)
{
    WORLD(w, 503);
    CAPTURE(&w, .id = "one");
    atomic_store(&service.status, 400);
    advance(&w, MINUTES(1));
    check_str(state(&w), "one failed - 0 1");
    int asked = service.service.requests;
    advance(&w, DAYS(1));
    check_int(service.service.requests, asked);
    check(mentions(output(&w, EMBED_RUN, "error"), "refuses the text"));
    check_int(count(&w, "SELECT COUNT(*) FROM search_log WHERE item_kind = 1 AND kind = 2"), 1); /* its cluster */
}

static struct err *retry(struct db_tx *tx, void *queued)
{
    return memory_retry_embeddings(tx, 1, queued);
}

TEST(embed, what_was_given_up_is_tried_again_when_somebody_asks_for_it)
{
    WORLD(w, 400);
    int64_t queued;
    CAPTURE(&w, .id = "one");
    check_str(state(&w), "one failed - 0 1");
    atomic_store(&service.status, 200);
    check_ok(db_write(w.db, arena, retry, &queued));
    check_int(queued, 1);
    flow_settle(w.flow);
    check_str(state(&w), "one ready near 0 1");
    check_int(count(&w, "SELECT observation_count FROM cluster"), 1);
    check_ok(db_write(w.db, arena, retry, &queued));
    check_int(queued, 0);
}

TEST(embed, an_observation_that_is_gone_or_has_its_vectors_is_skipped)
{
    WORLD(w, 200);
    CAPTURE(&w, .id = "one");
    struct str xid = ask(&w, "SELECT xid FROM observation");
    int        asked = service.service.requests;
    send_data(&w, "neural/observation.embed",
              str_printf(arena, "{\"observationId\":\"obs_" STR_FMT "\",\"attempt\":0}", STR_ARG(xid)));
    flow_settle(w.flow);
    check_str(output(&w, EMBED_RUN, "reason"), "nothing_to_embed");
    send_data(&w, "neural/observation.embed", STR("{\"observationId\":\"obs_000000000000000000000\",\"attempt\":0}"));
    flow_settle(w.flow);
    check_str(output(&w, EMBED_RUN, "reason"), "observation_not_found");
    check_int(service.service.requests, asked);
}

/* ---- the sweep --------------------------------------------------------------------------------------------------- */

TEST(sweep, sends_embeddings_again_whose_events_got_lost)
{
    WORLD(w, 503);
    CAPTURE(&w, .id = "one");
    world_stop(&w);
    write_sql(&w, "DELETE FROM flow_run WHERE function = '" EMBED_RUN "'");
    write_sql(&w, "DELETE FROM flow_event WHERE name = 'neural/observation.embed'");
    atomic_store(&service.status, 200);
    world_start(&w);
    advance(&w, MINUTES(5));
    check_str(state(&w), "one pending - 1 0");
    advance(&w, MINUTES(20));
    check_str(state(&w), "one ready near 0 1");
    advance(&w, MINUTES(20));
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = '" EMBED_RUN "'"), 1);
}

TEST(sweep, owes_every_observation_new_vectors_after_a_change_of_model)
{
    WORLD(w, 200);
    CAPTURE(&w, .id = "one");
    CAPTURE(&w, .id = "two", .title = "Something else", .hour = 1);
    advance(&w, MINUTES(10));
    check_str(state(&w), "one ready near 0 1;two ready near 0 1");
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = '" EMBED_RUN "'"), 0);
    world_stop(&w);
    embed_destroy(w.memory.embed);
    check_ok(embed_create(arena, provider_of(&service, "far"), &w.memory.embed));
    world_start(&w);
    advance(&w, MINUTES(10));
    check_str(state(&w), "one ready far 0 1;two ready far 0 1");
    advance(&w, MINUTES(20));
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = '" EMBED_RUN "'"), 2);
}

TEST(sweep, gives_vectors_to_what_was_captured_while_there_was_no_provider)
{
    struct world w WORLD_SCOPE = {0};
    world_open(&w, arena, (struct embed_config){.provider = STR("none")});
    world_start(&w);
    CAPTURE(&w, .id = "one");
    advance(&w, MINUTES(10));
    check_str(state(&w), "one disabled - 0 1");
    world_stop(&w);
    embed_destroy(w.memory.embed);
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &w.memory.embed));
    world_start(&w);
    advance(&w, MINUTES(10));
    check(str_starts(state(&w), STR("one ready engineering")));
    check(views_of(&w, arena) > 0);
}

TEST(sweep, finishes_captures_that_ended_between_their_steps)
{
    WORLD(w, 200);
    CAPTURE(&w, .id = "issue", .references = "[{\"type\":\"issue\",\"id\":\"#7\"}]");
    CAPTURE(&w, .id = "push", .type = "push", .title = "Work on #7", .hour = 1);
    check_int(count(&w, "SELECT COUNT(*) FROM relationship"), 1);
    write_sql(&w, "DELETE FROM relationship");
    write_sql(&w, "UPDATE observation SET pipeline_state = 'stored' WHERE source_id = 'push'");
    write_sql(&w, "UPDATE observation SET pipeline_state = 'linked' WHERE source_id = 'issue'");
    advance(&w, MINUTES(5));
    check_int(count(&w, "SELECT COUNT(*) FROM relationship"), 0); /* their runs might still be at it */
    advance(&w, MINUTES(20));
    check_int(count(&w, "SELECT COUNT(*) FROM relationship"), 1);
    check_int(count(&w, "SELECT COUNT(*) FROM observation WHERE pipeline_state = 'done'"), 2);
    check_str(output(&w, "pipeline.sweep", "status"), "success");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(embed, a_service_that_is_down_leaves_the_observation_found_by_words),
        RUN(embed, it_is_tried_again_after_1_2_4_minutes_until_it_answers),
        RUN(embed, pauses_grow_to_an_hour),
        RUN(embed, the_cluster_is_chosen_when_the_vectors_are_there),
        RUN(embed, a_text_that_is_refused_is_given_up_and_gets_its_cluster_by_other_signs),
        RUN(embed, what_was_given_up_is_tried_again_when_somebody_asks_for_it),
        RUN(embed, an_observation_that_is_gone_or_has_its_vectors_is_skipped),
        RUN(sweep, sends_embeddings_again_whose_events_got_lost),
        RUN(sweep, owes_every_observation_new_vectors_after_a_change_of_model),
        RUN(sweep, gives_vectors_to_what_was_captured_while_there_was_no_provider),
        RUN(sweep, finishes_captures_that_ended_between_their_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
