/* receive_test.c - a delivery from its bytes to its observation, on a real database with an engine. */
#include "check.h"

#include "base/time.h"
#include "crypto/crypto.h"
#include "flow/flow.h"
#include "memory/memory.h"
#include "org/org.h"
#include "source/receive.h"
#include "text/text.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

enum { WS = 1 };
#define SECRET "It's a Secret to Everybody"
#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct world {
    struct arena       *arena;
    struct db          *db;
    struct embed       *embed;
    struct memory       memory;
    struct crypto_keys *keys;
    struct flow        *flow;
    struct source_inbox inbox;
    char                dir[64];
};

static void world_start(struct world *w, struct arena *arena)
{
    strcpy(w->dir, "/tmp/lightfast-test-XXXXXX");
    w->arena = arena;
    check(mkdtemp(w->dir) != NULL);
    check_ok(db_open(arena, (struct db_config){.data_dir = str_of(w->dir)}, &w->db));
    check_ok(org_prepare(w->db, arena));
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("none")}, &w->embed));
    check_ok(crypto_keys_read(arena, STR(KEY), &w->keys));
    w->memory = (struct memory){w->db, w->embed};
    w->inbox = (struct source_inbox){.db = w->db, .keys = w->keys, .secrets[SOURCE_GITHUB] = {STR(SECRET)}};
    w->flow = flow_create(w->db, (struct flow_config){.workers = 2});
    check_ok(flow_register(w->flow, arena, memory_functions, memory_function_count, &w->memory));
    check_ok(flow_start(w->flow, arena));
}

static void world_end(struct world *w)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    time_set(0);
    flow_stop(w->flow);
    flow_destroy(w->flow);
    embed_destroy(w->embed);
    db_close(w->db);
    DIR *directory = opendir(w->dir);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        unlink(str_z(arena, str_printf(arena, "%s/%s", w->dir, entry->d_name)));
    if (directory) closedir(directory);
    rmdir(w->dir);
}
#define WORLD(name)                                                   \
    struct world name __attribute__((cleanup(world_end))) = {0};      \
    world_start(&name, arena)

/* ---- sources ----------------------------------------------------------------------------------------------------- */

struct making {
    struct world          *world;
    struct source_addition addition;
    struct source_record   source;
    struct str             secret;
    const json_value      *members;
};

static struct err *make(struct db_tx *tx, void *arg)
{
    struct making *making = arg;
    return source_add(tx, making->world->keys, making->addition, &making->source, &making->secret);
}

static struct making add(struct world *w, struct source_addition addition)
{
    struct making making = {.world = w, .addition = addition};
    making.addition.workspace = WS;
    check_ok(db_write(w->db, w->arena, make, &making));
    return making;
}
#define ADD(w, ...) add((w), (struct source_addition){__VA_ARGS__})

static struct err *set(struct db_tx *tx, void *arg)
{
    struct making *making = arg;
    return source_set_sync(tx, WS, making->source.public_id, making->members, &making->source);
}

static struct err *drop(struct db_tx *tx, void *arg)
{
    return source_remove(tx, WS, ((struct making *)arg)->source.public_id);
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

struct sent {
    const char *event, *id, *body;
    struct str  address, secret; /* secret empty: SECRET */
    const char *signature;       /* instead of the right one */
};

struct headers { const struct sent *sent; struct str signature; };

static struct str header(void *arg, const char *name)
{
    const struct headers *headers = arg;
    if (strcmp(name, "x-github-event") == 0) return str_of(headers->sent->event);
    if (strcmp(name, "x-github-delivery") == 0) return str_of(headers->sent->id);
    if (strcmp(name, "x-hub-signature-256") == 0) return headers->signature;
    return (struct str){0};
}

static struct source_answer_to_post deliver(struct world *w, struct sent sent)
{
    unsigned char  digest[CRYPTO_MAX_DIGEST];
    struct headers headers = {.sent = &sent};
    struct buf     hex = buf_in(w->arena);
    size_t         n = crypto_hmac(CRYPTO_SHA256, sent.secret.n ? sent.secret : STR(SECRET), str_of(sent.body), digest);
    buf_lit(&hex, "sha256=");
    for (size_t i = 0; i < n; i++) buf_printf(&hex, "%02x", digest[i]);
    headers.signature = sent.signature ? str_of(sent.signature) : buf_str(&hex);
    struct source_post post = {.request = {SOURCE_GITHUB, str_of(sent.body), header, &headers},
                               .address = sent.address,
                               .received_at = time_now()};
    struct source_answer_to_post answer;
    check_ok(source_receive(&w->inbox, w->arena, &post, &answer));
    flow_settle(w->flow);
    return answer;
}
#define DELIVER(w, ...) deliver((w), (struct sent){__VA_ARGS__})

static int64_t count(struct world *w, const char *sql)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        n = -1;
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(db_query(tx, &rows, sql));
    (void)db_next(&rows, &n);
    check_ok(db_done(&rows));
    return n;
}

static struct str text(struct world *w, const char *sql)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    struct str     value = {0};
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(db_query(tx, &rows, sql));
    (void)db_next(&rows, &value);
    check_ok(db_done(&rows));
    return value;
}

#define REPOSITORY(id) "\"repository\":{\"id\":" id ",\"full_name\":\"acme/api\",\"name\":\"api\"," \
    "\"html_url\":\"https://github.com/acme/api\",\"default_branch\":\"main\"},\"sender\":{\"id\":5,\"login\":\"ada\"}"
#define ISSUE(number, id) "{\"action\":\"opened\",\"issue\":{\"number\":" number ",\"title\":\"Login fails after an upgrade\"," \
    "\"body\":\"It crashes\",\"state\":\"open\",\"html_url\":\"https://github.com/acme/api/issues/" number "\"," \
    "\"user\":{\"id\":5,\"login\":\"ada\"},\"created_at\":\"2026-01-02T03:04:05Z\",\"updated_at\":\"2026-01-02T03:04:05Z\"}," REPOSITORY(id) "}"

#define OBSERVATIONS "SELECT COUNT(*) FROM observation"

TEST(receive, a_signed_delivery_becomes_one_observation)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    struct source_answer_to_post answer = DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id);
    check_str(answer.body, "{\"received\":true}");
    check_int(count(&w, OBSERVATIONS), 1);
    check_str(text(&w, "SELECT source_id FROM observation"), "issue:acme/api#7:opened");
    check_str(text(&w, "SELECT outcome FROM inbound_delivery"), "processed");
    check_int(count(&w, "SELECT payload_bytes FROM ingestion_payload"), strlen(ISSUE("7", "42")));
    check_str(text(&w, "SELECT status FROM flow_run WHERE function = 'neural.observation.capture'"), "completed");
}

TEST(receive, the_first_delivery_tells_the_id_of_a_repository_known_by_name)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("Acme/API"), .secret = STR(SECRET));
    check_str(source.source.resource_id, "name:acme/api");
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id);
    check_str(text(&w, "SELECT provider_resource_id FROM source"), "42");
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
    struct str output = text(&w, "SELECT output FROM flow_run WHERE function = 'neural.observation.capture'");
    check(str_find(output, STR("event_not_allowed"), 0) != SIZE_MAX);
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

TEST(receive, a_removed_source_no_longer_knows_its_secret)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    check_ok(db_write(w.db, arena, drop, &source));
    check(DELIVER(&w, "issues", "d1", ISSUE("7", "42"), source.source.public_id).refusal == &source_refusals.not_configured);
    struct making again = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET));
    check(str_eq(again.source.public_id, source.source.public_id));
    check_err(db_write(w.db, arena, make, &again), ERR_CONFLICT);
}

TEST(receive, secrets_are_sealed)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"));
    check_int(source.secret.n, 64);
    struct str stored = text(&w, "SELECT inbound_secret FROM source");
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
    check_ok(db_write(w.db, arena, renew, &renewal));
    check(!DELIVER(&w, "issues", "d1", ISSUE("7", "42"), renewal.id, renewal.secret).refusal);
    check(!DELIVER(&w, "issues", "d2", ISSUE("8", "42"), renewal.id).refusal);
    time_set(time_now() + SECONDS(61));
    check(DELIVER(&w, "issues", "d3", ISSUE("9", "42"), renewal.id).refusal == &source_refusals.invalid_signature);
}

TEST(receive, an_unknown_address_is_not_found)
{
    WORLD(w);
    struct headers headers = {.sent = &(struct sent){"issues", "d1", "{}"}};
    struct source_post post = {.request = {SOURCE_GITHUB, STR("{}"), header, &headers}, .address = STR("src_nobody")};
    struct source_answer_to_post answer;
    check_err(source_receive(&w.inbox, arena, &post, &answer), ERR_NOT_FOUND);
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
    struct replaying replaying = {&w, text(&w, "SELECT public_id FROM inbound_delivery"), {0}};
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

TEST(receive, clusters_are_closed_after_seven_quiet_days)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"), id);
    check_str(text(&w, "SELECT status FROM cluster"), "open");
    time_set(time_now() + 3600000); /* the issue is long past, the hourly run was not yet */
    flow_settle(w.flow);
    check_str(text(&w, "SELECT status FROM cluster"), "closed");
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(receive, a_signed_delivery_becomes_one_observation),
        RUN(receive, the_first_delivery_tells_the_id_of_a_repository_known_by_name),
        RUN(receive, the_same_delivery_id_or_the_same_body_again_is_a_duplicate),
        RUN(receive, deliveries_are_remembered_for_30_days),
        RUN(receive, a_skipped_delivery_may_come_again),
        RUN(receive, a_wrong_signature_stores_nothing_but_the_refusal),
        RUN(receive, the_app_hears_only_for_sources_that_share_it),
        RUN(receive, categories_that_the_source_does_not_want_are_filtered_with_the_reason),
        RUN(receive, unknown_categories_and_members_are_refused),
        RUN(receive, a_removed_source_no_longer_knows_its_secret),
        RUN(receive, secrets_are_sealed),
        RUN(receive, two_secrets_are_valid_while_one_replaces_the_other),
        RUN(receive, an_unknown_address_is_not_found),
        RUN(receive, a_deleted_repository_deactivates_its_source),
        RUN(receive, a_replay_adds_only_what_is_missing),
        RUN(receive, profiles_are_computed_when_an_actor_has_been_quiet),
        RUN(receive, clusters_are_closed_after_seven_quiet_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
