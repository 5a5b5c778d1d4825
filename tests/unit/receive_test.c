/* receive_test.c - a delivery from its bytes to its observation, on a real database with an engine. */
#include "receive_world.h"

#include "source/inbox.h"

#define OBSERVATIONS "SELECT COUNT(*) FROM observation"

TEST(receive, a_signed_delivery_becomes_one_observation)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    struct source_answer_to_post answer = DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id);
    check_str(answer.body, "{\"received\":true}");
    check_int(count(&w, OBSERVATIONS), 1);
    check_str(ask(&w, "SELECT source_id FROM observation"), "issue:acme/api#7:opened");
    check_str(ask(&w, "SELECT outcome FROM inbound_delivery"), "processed");
    check_int(count(&w, "SELECT payload_bytes FROM ingestion_payload"), strlen(ISSUE("7", "42")));
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'neural.observation.capture'"), "completed");
}

TEST(receive, the_first_delivery_tells_the_id_of_a_repository_known_by_name)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("Acme/API"), .secret = STR(SECRET));
    check_str(source.source.resource_id, "name:acme/api");
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id);
    check_str(ask(&w, "SELECT provider_resource_id FROM source"), "42");
    struct source_answer_to_post answer = DELIVER(&w, "issues", "d2", ISSUE("7", "43"), source.source.public_id);
    check_str(answer.body, "{\"received\":true,\"ignored\":\"repository_mismatch\"}"); /* the name was claimed by another */
    check_int(count(&w, OBSERVATIONS), 1);
}

TEST(receive, the_same_delivery_id_or_the_same_body_again_is_a_duplicate)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    check_str(DELIVER(&w, "issues", "d1", ISSUE("8", "42"), id).body, "{\"received\":true,\"duplicate\":true}");
    check_str(DELIVER(&w, "issues", "d9", ISSUE("7", "42"), id).body, "{\"received\":true,\"duplicate\":true}");
    check_int(count(&w, OBSERVATIONS), 1);
}

/* The deliveries 10 to 19: by its id under another body, by its body under another id. */
static void check_known(struct world *w, struct str address)
{
    for (int i = 10; i < 20; i++) {
        const char *id = str_z(w->arena, str_printf(w->arena, "d%d", i));
        const char *body = str_z(w->arena, str_printf(w->arena, ISSUE("%d", "42"), i, i));
        check(DELIVER(w, "issues", id, ISSUE("7", "42"), address).duplicate);
        check(DELIVER(w, "issues", "another", body, address).duplicate);
    }
}

TEST(receive, deliveries_are_known_again_wherever_their_keys_are)
{
    WORLD(w);
    struct str address = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    for (int i = 10; i < 20; i++) {
        const char *id = str_z(arena, str_printf(arena, "d%d", i));
        check(!DELIVER(&w, "issues", id, str_z(arena, str_printf(arena, ISSUE("%d", "42"), i, i)), address).duplicate);
    }
    int64_t written = count(&w, "SELECT COUNT(*) FROM inbound_delivery_key");
    check(written > 0 && written < 20); /* the others are in memory */
    check_known(&w, address);
    source_seen_destroy(w.inbox.seen); /* as at the end of the process */
    w.inbox.seen = source_seen_create(0);
    check_known(&w, address);
    source_seen_destroy(w.inbox.seen);
    w.inbox.seen = NULL;
    check(!DELIVER(&w, "issues", "d20", ISSUE("20", "42"), address).duplicate);
    check(DELIVER(&w, "issues", "d20", ISSUE("21", "42"), address).duplicate);
    check_int(count(&w, OBSERVATIONS), 11);
}

static struct err *log_and_fail(struct db_tx *tx, void *arg)
{
    struct source_delivery delivery = {.provider = SOURCE_GITHUB, .id = STR("d1"), .event = STR("issues"), .body_digest = STR("")};
    struct logged_delivery logged = {.headers = STR("{}"), .status = 200, .outcome = "processed"};
    int64_t id;
    for (const char *last = "1234"; *last; last++) {
        logged.public_id = str_printf(tx->arena, "dlv_%c", *last);
        TRY(inbox_log(&((struct world *)arg)->inbox, tx, &delivery, &logged, &id));
    }
    return err_new(tx->arena, ERR_INTERNAL, "on purpose");
}

TEST(receive, what_was_rolled_back_is_not_known_again)
{
    WORLD(w);
    struct str address = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    check_err(db_write(w.db, arena, log_and_fail, &w), ERR_INTERNAL);
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42"), address).duplicate);
    check(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), address).duplicate);
}

TEST(receive, deliveries_are_remembered_for_30_days)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    time_set(time_now() + DAYS(31));
    check_str(DELIVER(&w, "issues", "d1", ISSUE("8", "42"), id).body, "{\"received\":true}");
    check_int(count(&w, OBSERVATIONS), 2);
}

TEST(receive, a_skipped_delivery_may_come_again)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    const char *body = "{\"action\":\"pinned\"," REPOSITORY("42") ",\"issue\":{\"number\":1}}";
    check_str(DELIVER(&w, "issues", "d1", body, source.source.public_id).body,
              "{\"received\":true,\"ignored\":\"action_not_captured\"}");
    check_str(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id).body, "{\"received\":true}");
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE outcome = 'skipped'"), 1);
}

TEST(receive, a_genuine_payload_that_makes_no_event_is_kept_as_failed)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    const char *body = "{\"action\":\"opened\",\"issue\":{\"title\":\"no number\"}," REPOSITORY("42") "}";
    check_str(DELIVER(&w, "issues", "d1", body, source.source.public_id).body, "{\"received\":true}");
    check_str(ask(&w, "SELECT outcome || ' ' || reason FROM inbound_delivery"), "failed invalid_event");
    check_int(count(&w, "SELECT payload_bytes FROM ingestion_payload"), strlen(body));
    check_str(DELIVER(&w, "issues", "d1", body, source.source.public_id).body, "{\"received\":true}"); /* no duplicate */
    check_int(count(&w, OBSERVATIONS), 0);
}

TEST(receive, what_is_no_json_or_too_deep_is_refused_and_logged_without_its_content)
{
    WORLD(w);
    struct str  id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    struct buf  deep = buf_in(arena);
    const char *secret = "sk-secret-of-a-customer";
    for (int i = 0; i < 200; i++) buf_lit(&deep, "{\"a\":");
    buf_printf(&deep, "\"%s\"", secret);
    for (int i = 0; i < 200; i++) buf_char(&deep, '}');
    const char *bodies[] = {str_z(arena, buf_str(&deep)), "[\"sk-secret-of-a-customer\"]", "{\"sk-secret-of-a-customer\"", "sk-secret-of-a-customer"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check(DELIVER(&w, "issues", "d1", bodies[i], id).refusal == &source_refusals.invalid_json);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE outcome = 'rejected' AND reason = 'INVALID_JSON'"), 4);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE headers || event || delivery_id LIKE '%secret%'"), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM ingestion_payload"), 0);
}

TEST(receive, the_deepest_payload_becomes_an_observation_all_the_same)
{
    WORLD(w);
    struct str id = ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .secret = STR(SECRET)).source.public_id;
    struct buf body = buf_in(arena);
    buf_printf(&body, "{\"type\":\"Issue\",\"action\":\"update\",\"webhookTimestamp\":%lld,\"data\":{\"identifier\":\"ENG-1\","
                      "\"title\":\"Slow\",\"team\":{\"id\":\"team-1\"}},\"updatedFrom\":", (long long)time_now());
    for (int i = 0; i < 127; i++) buf_lit(&body, "{\"a\":");
    buf_lit(&body, "1");
    for (int i = 0; i < 128; i++) buf_char(&body, '}');
    check_str(DELIVER(&w, "", "d1", str_z(arena, buf_str(&body)), id, .provider = SOURCE_LINEAR).body, "{\"received\":true}");
    check_int(count(&w, OBSERVATIONS), 1);
}

TEST(receive, nul_in_a_payload_is_left_out)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    const char *body = "{\"action\":\"opened\\u0000\",\"installation\":{\"id\":\"1\\u0000\"},\"issue\":{\"number\":7,"
                       "\"title\":\"Login\\u0000 fails\",\"body\":\"\\u0000\",\"labels\":[{\"name\":\"b\\u0000ug\"}],"
                       "\"created_at\":\"2026-01-02T03:04:05Z\"},\"repository\":{\"id\":42,\"full_name\":\"acme/api\\u0000\"}}";
    check_str(DELIVER(&w, "issues", "d1", body, id).body, "{\"received\":true}");
    check_str(ask(&w, "SELECT title FROM observation"), "[Issue Opened] Login fails");
    check_str(ask(&w, "SELECT action || installation_id FROM inbound_delivery"), "opened1");
    check_int(count(&w, "SELECT payload_bytes FROM ingestion_payload"), strlen(body)); /* as it came */
}

TEST(receive, a_delivery_of_no_type_is_an_unhandled_event)
{
    WORLD(w);
    struct str vercel = ADD(&w, .provider = SOURCE_VERCEL, .resource_id = STR("prj_1"), .secret = STR(SECRET)).source.public_id;
    struct str sentry = ADD(&w, .provider = SOURCE_SENTRY, .resource_id = STR("501"), .secret = STR(SECRET)).source.public_id;
    const char *ignored = "{\"received\":true,\"ignored\":\"unhandled_event\"}";
    check_str(DELIVER(&w, "", "d1", "{\"type\":5,\"payload\":{\"projectId\":\"prj_1\"}}", vercel, .provider = SOURCE_VERCEL).body, ignored);
    check_str(DELIVER(&w, NULL, "d2", "{\"data\":{\"issue\":{\"project\":{\"id\":\"501\"}}}}", sentry, .provider = SOURCE_SENTRY).body, ignored);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE event = '' AND outcome = 'skipped'"), 2);
}

TEST(receive, what_the_log_keeps_of_a_delivery_is_bounded)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    struct buf body = buf_in(arena), event = buf_in(arena);
    buf_lit(&body, "{\"action\":\"");
    for (int i = 0; i < 5000; i++) buf_char(&body, 'x'), buf_char(&event, 'y');
    buf_lit(&body, "\"," REPOSITORY("42") "}");
    DELIVER(&w, str_z(arena, buf_str(&event)), "d1", str_z(arena, buf_str(&body)), id);
    check_int(count(&w, "SELECT LENGTH(event) + LENGTH(action) FROM inbound_delivery"), 2 * 191);
}

TEST(receive, a_new_source_listens_to_what_is_on_at_link)
{
    WORLD(w);
    ADD(&w, .provider = SOURCE_VERCEL, .resource_id = STR("prj_1"));
    ADD(&w, .provider = SOURCE_SENTRY, .resource_id = STR("501"));
    check_str(ask(&w, "SELECT json_extract(source_config, '$.sync.events') FROM source WHERE source_type = 'vercel'"),
              "[\"deployment.created\",\"deployment.succeeded\",\"deployment.ready\",\"deployment.error\",\"deployment.canceled\"]");
    check_str(ask(&w, "SELECT json_extract(source_config, '$.sync.events') FROM source WHERE source_type = 'sentry'"),
              "[\"issue\",\"error\",\"event_alert\",\"metric_alert\"]");
}

TEST(receive, a_wrong_signature_stores_nothing_but_the_refusal)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    struct source_answer_to_post answer = DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id, .secret = STR("another secret"));
    check(answer.refusal == &source_refusals.invalid_signature);
    answer = DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id, .signature = "");
    check(answer.refusal == &source_refusals.missing_signature);
    check_int(count(&w, OBSERVATIONS), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM ingestion_payload"), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE outcome = 'rejected' AND http_status = 401"), 2);
}

TEST(receive, the_app_hears_only_for_sources_that_share_it)
{
    WORLD(w);
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"));
    check_str(DELIVER(&w, "issues", "d1", ISSUE("7", "42")).body, "{\"received\":true,\"ignored\":\"not_connected\"}");
    ADD(&w, .name = STR("acme/web"), .resource_id = STR("43"), .shared = true);
    check_str(DELIVER(&w, "issues", "d2", ISSUE("7", "43")).body, "{\"received\":true}");
    check_int(count(&w, OBSERVATIONS), 1);
}

TEST(receive, categories_that_the_source_does_not_want_are_filtered_with_the_reason)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    check_ok(json_parse(arena, STR("{\"events\":[\"push\"]}"), &source.members));
    check_ok(db_write(w.db, arena, set, &source));
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id);
    check_int(count(&w, OBSERVATIONS), 0);
    struct str output = ask(&w, "SELECT output FROM flow_run WHERE function = 'neural.observation.capture'");
    check(mentions(output, "event_not_allowed"));
}

TEST(receive, unknown_categories_and_members_are_refused)
{
    static const char *const wrong[] = {"{\"events\":[\"pushes\"]}", "{\"events\":1}", "{\"branches\":[1]}", "{\"colour\":1}",
                                        "{\"includeBots\":\"yes\"}", "{\"actions\":{\"issues\":1}}"};
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check_ok(json_parse(arena, str_of(wrong[i]), &source.members));
        check_err(db_write(w.db, arena, set, &source), ERR_INVALID);
    }
}

TEST(receive, the_address_of_a_removed_source_is_unknown_until_it_is_added_again)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    check_ok(db_write(w.db, arena, drop, &source));
    check(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id).refusal == &source_refusals.unknown_address);
    struct making again = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    check(str_eq(again.source.public_id, source.source.public_id));
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id).refusal);
    check_err(db_write(w.db, arena, make, &again), ERR_CONFLICT);
}

static struct err *remove_with_data(struct db_tx *tx, void *arg)
{
    return source_remove(tx, WS, ((struct making *)arg)->source.public_id, true);
}

TEST(receive, nothing_that_a_source_brought_is_left_when_its_data_goes)
{
    WORLD(w);
    struct making going = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    struct making kept = ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .secret = STR(SECRET));
    struct str issue = str_printf(arena, "{\"type\":\"Issue\",\"action\":\"create\",\"webhookTimestamp\":%lld,\"data\":{\"identifier\":"
                                         "\"ENG-1\",\"title\":\"Slow\",\"team\":{\"id\":\"team-1\"}}}", (long long)time_now());
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), going.source.public_id);
    DELIVER(&w, "", "d2", str_z(arena, issue), kept.source.public_id, .provider = SOURCE_LINEAR);
    check_int(count(&w, "SELECT COUNT(*) FROM ingestion_payload"), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM github_item"), 1);
    check_ok(db_write(w.db, arena, remove_with_data, &going));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT source FROM observation"), "linear");
    check_str(ask(&w, "SELECT group_concat(source) FROM ingestion_payload"), "linear");
    check_int(count(&w, "SELECT COUNT(*) FROM github_item"), 0);
}

static struct err *empty_log(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "DELETE FROM inbound_delivery_share"));
    return db_exec(tx, "DELETE FROM inbound_delivery");
}

TEST(receive, payloads_go_with_their_source_though_the_log_has_forgotten_whose_they_were)
{
    WORLD(w);
    struct making going = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    struct making kept = ADD(&w, .name = STR("acme/web"), .resource_id = STR("43"), .secret = STR(SECRET));
    struct making alone = ADD(&w, .provider = SOURCE_SENTRY, .name = STR("web"), .secret = STR(SECRET));
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), going.source.public_id);
    DELIVER(&w, "issues", "d2", ISSUE("8", "43"), kept.source.public_id);
    DELIVER(&w, "issue", "d3", "{\"action\":\"created\",\"data\":{\"issue\":{\"id\":\"1\",\"title\":\"Slow\",\"project\":"
                               "{\"id\":\"9\",\"slug\":\"web\"}}}}", alone.source.public_id, .provider = SOURCE_SENTRY);
    check_str(ask(&w, "SELECT group_concat(delivery_id) FROM ingestion_payload"), "d1,d2,d3");
    check_ok(db_write(w.db, arena, empty_log, NULL));
    check_ok(db_write(w.db, arena, remove_with_data, &going));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT group_concat(delivery_id) FROM ingestion_payload"), "d2,d3");
    check_ok(db_write(w.db, arena, remove_with_data, &alone));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT group_concat(delivery_id) FROM ingestion_payload"), "d2");
}

TEST(receive, secrets_are_sealed)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"));
    check_int(source.secret.n, 64);
    struct str stored = ask(&w, "SELECT inbound_secret FROM source");
    check(str_starts(stored, STR("v1.")));
    check(str_find(stored, source.secret, 0) == SIZE_MAX);
    check_str(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id, source.secret).body, "{\"received\":true}");
}

struct renewal { struct world *world; struct str id, secret; };

static struct err *renew(struct db_tx *tx, void *arg)
{
    struct renewal *renewal = arg;
    return source_renew_secret(tx, renewal->world->keys, WS, renewal->id, SECONDS(60), &renewal->secret);
}

TEST(receive, two_secrets_are_valid_while_one_replaces_the_other)
{
    WORLD(w);
    struct making  source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    struct renewal renewal = {&w, source.source.public_id, {0}};
    check(!DELIVER(&w, "issues", "d0", ISSUE("6", "42"), renewal.id).refusal);
    check_ok(db_write(w.db, arena, renew, &renewal));
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42"), renewal.id, renewal.secret).refusal);
    check(!DELIVER(&w, "issues", "d2", ISSUE("8", "42"), renewal.id).refusal);
    time_set(time_now() + SECONDS(61));
    check(DELIVER(&w, "issues", "d3", ISSUE("9", "42"), renewal.id).refusal == &source_refusals.invalid_signature);
}

TEST(receive, the_apps_secret_is_replaced_without_a_gap)
{
    WORLD(w);
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    w.inbox.secrets[SOURCE_GITHUB][1] = w.inbox.secrets[SOURCE_GITHUB][0];
    w.inbox.secrets[SOURCE_GITHUB][0] = STR("another secret");
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42")).refusal);
    check(!DELIVER(&w, "issues", "d2", ISSUE("8", "42"), .secret = STR("another secret")).refusal);
    w.inbox.secrets[SOURCE_GITHUB][1] = (struct str){0};
    check(DELIVER(&w, "issues", "d3", ISSUE("9", "42")).refusal == &source_refusals.invalid_signature);
}

TEST(receive, the_largest_body_is_a_setting)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    w.inbox.max_body = strlen(ISSUE("7", "42")) - 1;
    check(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id).refusal == &source_refusals.too_large);
    w.inbox.max_body++;
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id).refusal);
}

TEST(receive, each_providers_window_is_a_setting)
{
    WORLD(w);
    const char *old = "{\"type\":\"Issue\",\"action\":\"create\",\"webhookTimestamp\":1767323045000,\"data\":{}}";
    time_set(INT64_C(1767323045000) + SECONDS(400));
    check(DELIVER(&w, "", "d1", old, .provider = SOURCE_LINEAR).refusal == &source_refusals.timestamp_too_old);
    w.inbox.max_age[SOURCE_SENTRY] = SECONDS(500);
    check(DELIVER(&w, "", "d1", old, .provider = SOURCE_LINEAR).refusal == &source_refusals.timestamp_too_old);
    w.inbox.max_age[SOURCE_LINEAR] = SECONDS(500);
    check(!DELIVER(&w, "", "d1", old, .provider = SOURCE_LINEAR).refusal);
}

TEST(receive, an_unknown_address_is_not_found)
{
    WORLD(w);
    struct headers headers = {.sent = &(struct sent){"issues", "d1", "{}"}};
        static const struct str addresses[] = {{"src_nobody", 10}, {"src_\0\xff", 6}};
    struct source_answer_to_post answer;
    for (size_t i = 0; i < 2; i++) {
        struct source_post post = {.request = {.body = STR("{}"), .header = header, .arg = &headers}, .address = addresses[i]};
        check_ok(source_receive(&w.inbox, arena, &post, &answer));
        check(answer.refusal == &source_refusals.unknown_address);
    }
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE reason = 'NOT_FOUND'"), 2);
}

TEST(receive, a_deleted_repository_deactivates_its_source)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET));
    check_str(DELIVER(&w, "repository", "d1", "{\"action\":\"deleted\"," REPOSITORY("42") "}", source.source.public_id).body,
              "{\"received\":true}");
    check_int(count(&w, "SELECT is_active FROM source"), 0);
    check_str(DELIVER(&w, "issues", "d2", ISSUE("7", "42"), source.source.public_id).body,
              "{\"received\":true,\"ignored\":\"not_connected\"}");
}

struct replaying { struct world *world; struct str id, fresh; };

static struct err *replay(struct db_tx *tx, void *arg)
{
    struct replaying *replaying = arg;
    return source_delivery_replay(&replaying->world->inbox, tx, WS, replaying->id, &replaying->fresh);
}

static struct err *forget_observation(struct db_tx *tx, void *arg)
{
    return db_exec(tx, "UPDATE observation SET source_id = 'gone'");
}

TEST(receive, a_replay_adds_only_what_is_missing)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    struct replaying replaying = {&w, ask(&w, "SELECT public_id FROM inbound_delivery"), {0}};
    check_ok(db_write(w.db, arena, replay, &replaying));
    flow_settle(w.flow);
    check_int(count(&w, OBSERVATIONS), 1);
    check_ok(db_write(w.db, arena, forget_observation, &w.memory));
    check_ok(db_write(w.db, arena, replay, &replaying));
    flow_settle(w.flow);
    check_int(count(&w, OBSERVATIONS), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery WHERE replay_of IS NOT NULL"), 2);
}

TEST(receive, profiles_are_computed_when_an_actor_has_been_quiet)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    DELIVER(&w, "issues", "d2", ISSUE("8", "42"), id);
    check_int(count(&w, "SELECT dirty FROM actor_profile"), 1);
    time_set(time_now() + 6 * 60000);
    flow_settle(w.flow);
    check_int(count(&w, "SELECT observation_count FROM actor_profile WHERE dirty = 0"), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.profile.update'"), 1);
}

TEST(receive, a_delivery_whose_capture_fails_for_good_says_so_and_may_come_again)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    write_sql(&w, "ALTER TABLE cluster RENAME TO cluster_away");
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    check_str(ask(&w, "SELECT outcome FROM inbound_delivery"), "processed"); /* it will be tried again */
    for (int i = 0; i < 3; i++) {
        time_set(time_now() + MINUTES(2));
        flow_settle(w.flow);
    }
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'neural.observation.capture'"), "failed");
    check_str(ask(&w, "SELECT json_extract(output, '$.status') || ' ' || json_extract(output, '$.sourceId') "
                      "FROM flow_run WHERE function = 'neural.observation.capture'"),
              "failure issue:acme/api#7:opened");
    check_str(ask(&w, "SELECT outcome || ' ' || reason FROM inbound_delivery"), "failed capture_failed");
    check(ask(&w, "SELECT error FROM inbound_delivery").n > 0);
    write_sql(&w, "ALTER TABLE cluster_away RENAME TO cluster");
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    check_int(count(&w, OBSERVATIONS), 1);
    check_str(ask(&w, "SELECT outcome FROM inbound_delivery ORDER BY id DESC"), "processed;failed");
}

TEST(receive, clusters_are_closed_after_seven_quiet_days)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    check_str(ask(&w, "SELECT status FROM cluster"), "open");
    time_set(time_now() + 3600000); /* the issue is long past, the hourly run was not yet */
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status FROM cluster"), "closed");
}

/* ---- imports: jobs that somebody else does ------------------------------------------------------------------------- */

static struct err *begin_import(struct db_tx *tx, void *arg)
{
    struct source_import_request request = {.repo = STR("acme/api"), .branch = STR("main")};
    return source_import_begin(tx, WS, request, arg);
}

static struct err *tell_import(struct db_tx *tx, void *arg)
{
    return source_import_progress(tx, WS, ((const struct source_import *)arg)->id, 500, 499, 1, 0);
}

static struct err *cancel_import(struct db_tx *tx, void *arg)
{
    struct flow_job job;
    TRY(flow_job_get(tx, WS, ((const struct source_import *)arg)->public_id, &job));
    return flow_cancel(tx, job.id, STR(""));
}

TEST(import, that_falls_silent_fails_after_an_hour)
{
    WORLD(w);
    struct source_import import;
    int64_t begun = time_now();
    check_ok(db_write(w.db, arena, begin_import, &import));
    check_str(ask(&w, "SELECT title FROM flow_run WHERE function = 'import.git'"), "Import git acme/api");
    time_set(begun + MINUTES(50));
    check_ok(db_write(w.db, arena, tell_import, &import));
    time_set(begun + MINUTES(100));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status FROM import"), "running");
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'import.git'"), "waiting");
    time_set(begun + MINUTES(111));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status || ': ' || error FROM import"), "failed: No events came for an hour");
    check_str(ask(&w, "SELECT status || ': ' || error FROM flow_run WHERE function = 'import.git'"),
              "failed: No events came for an hour");
    check_err(db_write(w.db, arena, tell_import, &import), ERR_CONFLICT);
}

TEST(import, whose_job_is_cancelled_takes_no_more)
{
    WORLD(w);
    struct source_import import;
    check_ok(db_write(w.db, arena, begin_import, &import));
    check_ok(db_write(w.db, arena, tell_import, &import));
    check_ok(db_write(w.db, arena, cancel_import, &import));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status FROM import"), "cancelled");
    check_err(db_write(w.db, arena, tell_import, &import), ERR_CONFLICT);
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(receive, a_signed_delivery_becomes_one_observation),
        RUN(receive, the_first_delivery_tells_the_id_of_a_repository_known_by_name),
        RUN(receive, the_same_delivery_id_or_the_same_body_again_is_a_duplicate),
        RUN(receive, deliveries_are_known_again_wherever_their_keys_are),
        RUN(receive, what_was_rolled_back_is_not_known_again),
        RUN(receive, deliveries_are_remembered_for_30_days),
        RUN(receive, a_skipped_delivery_may_come_again),
        RUN(receive, a_genuine_payload_that_makes_no_event_is_kept_as_failed),
        RUN(receive, what_is_no_json_or_too_deep_is_refused_and_logged_without_its_content),
        RUN(receive, the_deepest_payload_becomes_an_observation_all_the_same),
        RUN(receive, nul_in_a_payload_is_left_out),
        RUN(receive, a_delivery_of_no_type_is_an_unhandled_event),
        RUN(receive, what_the_log_keeps_of_a_delivery_is_bounded),
        RUN(receive, a_new_source_listens_to_what_is_on_at_link),
        RUN(receive, a_wrong_signature_stores_nothing_but_the_refusal),
        RUN(receive, the_app_hears_only_for_sources_that_share_it),
        RUN(receive, categories_that_the_source_does_not_want_are_filtered_with_the_reason),
        RUN(receive, unknown_categories_and_members_are_refused),
        RUN(receive, the_address_of_a_removed_source_is_unknown_until_it_is_added_again),
        RUN(receive, nothing_that_a_source_brought_is_left_when_its_data_goes),
        RUN(receive, payloads_go_with_their_source_though_the_log_has_forgotten_whose_they_were),
        RUN(receive, secrets_are_sealed),
        RUN(receive, two_secrets_are_valid_while_one_replaces_the_other),
        RUN(receive, the_apps_secret_is_replaced_without_a_gap),
        RUN(receive, the_largest_body_is_a_setting),
        RUN(receive, each_providers_window_is_a_setting),
        RUN(receive, an_unknown_address_is_not_found),
        RUN(receive, a_deleted_repository_deactivates_its_source),
        RUN(receive, a_replay_adds_only_what_is_missing),
        RUN(receive, profiles_are_computed_when_an_actor_has_been_quiet),
        RUN(receive, a_delivery_whose_capture_fails_for_good_says_so_and_may_come_again),
        RUN(receive, clusters_are_closed_after_seven_quiet_days),
        RUN(import, that_falls_silent_fails_after_an_hour),
        RUN(import, whose_job_is_cancelled_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
