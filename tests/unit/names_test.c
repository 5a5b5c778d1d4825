/* names_test.c - what "#12" means changes with the sources of a workspace, and with what is deleted. */
#include "receive_world.h"

#define PULL(number) "{\"action\":\"opened\",\"pull_request\":{\"number\":" number ",\"title\":\"Faster login\",\"state\":\"open\"," \
    "\"html_url\":\"https://github.com/acme/api/pull/" number "\",\"user\":{\"id\":5,\"login\":\"ada\"}," \
    "\"created_at\":\"2026-01-01T00:00:00Z\"},\"repository\":{\"id\":42,\"name\":\"api\",\"full_name\":\"acme/api\"," \
    "\"html_url\":\"https://github.com/acme/api\",\"default_branch\":\"main\"}}"
#define EDGES "SELECT COUNT(*) FROM relationship"

struct note { const char *id, *title; };

static struct err *write_note(struct db_tx *tx, void *arg)
{
    const struct note *note = arg;
    struct json_out    out = json_out(tx->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "ingestionSource", "api");
    json_begin(&out, "sourceEvent", '{');
    json_put(&out, "source", "note");
    json_put(&out, "sourceType", "note");
    json_put(&out, "sourceId", note->id);
    json_put(&out, "title", note->title);
    json_put(&out, "body", "");
    json_put(&out, "occurredAt", "2026-01-02T00:00:00Z");
    json_end(&out);
    json_end(&out);
    return flow_send(tx, .workspace = WS, .name = STR("neural/observation.capture"), .data = json_out_text(&out));
}

static void note(struct world *w, const char *id, const char *title)
{
    check_ok(db_write(w->db, w->arena, write_note, &(struct note){id, title}));
    flow_settle(w->flow);
}

TEST(names, a_number_alone_means_nothing_without_its_repository)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET));
    DELIVER(&w, "pull_request", "d1", PULL("12"), source.source.public_id);
    note(&w, "n1", "See #12");
    check_int(count(&w, EDGES), 1);
    check_ok(db_write(w.db, arena, drop, &source));
    flow_settle(w.flow);
    check_int(count(&w, EDGES), 0);
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"));
    flow_settle(w.flow);
    check_int(count(&w, EDGES), 1);
}

TEST(names, a_source_linked_later_gives_older_numbers_their_meaning)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET));
    DELIVER(&w, "pull_request", "d1", PULL("12"), source.source.public_id);
    DELIVER(&w, "pull_request", "d2", PULL("13"), source.source.public_id);
    check_ok(db_write(w.db, arena, drop, &source));
    flow_settle(w.flow);
    for (int i = 0; i < 250; i++) /* more than one transaction's worth */
        note(&w, str_z(arena, str_printf(arena, "n%d", i)), i % 2 ? "See #12" : "See #13");
    check_int(count(&w, EDGES " WHERE linking_key LIKE 'acme/api%'"), 0);
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"));
    flow_settle(w.flow);
    check(count(&w, EDGES " WHERE linking_key = 'acme/api#12'") > 0);
    check(count(&w, EDGES " WHERE linking_key = 'acme/api#13'") > 0);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.references.settle' AND status <> 'completed'"), 0);
}

TEST(names, a_source_that_learns_its_name_gives_older_numbers_their_meaning)
{
    WORLD(w);
    struct str source = ADD(&w, .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    note(&w, "n1", "Faster login, see acme/api#12");
    note(&w, "n2", "See #12");
    check_int(count(&w, EDGES), 0);
    DELIVER(&w, "pull_request", "d1", PULL("13"), source);
    flow_settle(w.flow);
    check_int(count(&w, EDGES " WHERE linking_key = 'acme/api#12'"), 1);
}

static struct err *delete(struct db_tx *tx, void *arg)
{
    struct world  *w = arg;
    struct db_rows rows;
    int64_t        id = 0;
    TRY(db_query(tx, &rows, "SELECT id FROM observation WHERE source_id = 'pr:acme/web#12:opened'"));
    (void)db_next(&rows, &id);
    TRY(db_done(&rows));
    return memory_delete(&w->memory, tx, WS, id);
}

TEST(names, what_is_deleted_no_longer_makes_a_number_ambiguous)
{
    WORLD(w);
    struct str api = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    struct str web = ADD(&w, .name = STR("acme/web"), .resource_id = STR("43"), .secret = STR(SECRET)).source.public_id;
    struct str other = str_replace(arena, str_replace(arena, STR(PULL("12")), STR("acme/api"), STR("acme/web")),
                                   STR("\"id\":42"), STR("\"id\":43"));
    DELIVER(&w, "pull_request", "d1", PULL("12"), api);
    DELIVER(&w, "pull_request", "d2", str_z(arena, other), web);
    note(&w, "n1", "See #12");
    check_int(count(&w, EDGES), 0); /* it could be either */
    check_ok(db_write(w.db, arena, delete, &w));
    check_int(count(&w, EDGES " WHERE linking_key = 'acme/api#12'"), 1);
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(names, a_number_alone_means_nothing_without_its_repository),
        RUN(names, a_source_linked_later_gives_older_numbers_their_meaning),
        RUN(names, a_source_that_learns_its_name_gives_older_numbers_their_meaning),
        RUN(names, what_is_deleted_no_longer_makes_a_number_ambiguous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
