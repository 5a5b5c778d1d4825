#include "org_world.h"
#include "sql.h"

#include "base/hash.h"
#include "base/id.h"
#include "base/time.h"
#include "crypto/crypto.h"

/* ---- a prepared database for each test --------------------------------------------------------------------------- */

struct step {
    struct org_key_request  request;
    struct org_key_rotation rotation;
    struct org_workspace    ws;
    struct org_key          key;
    struct str              secret, name, ip;
};

static struct err *create_key(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_key_create(tx, step->request, &step->key, &step->secret);
}

static struct err *rotate_key(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_key_rotate(tx, step->rotation, &step->key, &step->secret);
}

static struct err *revoke_key(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_key_revoke(tx, step->key.workspace_id, step->key.public_id);
}

static struct err *delete_key(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_key_delete(tx, step->key.workspace_id, step->key.public_id);
}

static struct err *touch_key(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_key_touch(tx, step->key.id, step->ip);
}

static struct err *create_workspace(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_workspace_create(tx, 1, step->name, &step->ws);
}

static struct err *rename_workspace(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return org_workspace_rename(tx, &step->ws, step->name);
}

static struct err *find_workspace(struct db *db, struct arena *arena, const char *name, struct org_workspace *found)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(org_workspace_default(tx, str_of(name), found));
    return org_workspace_find(tx, STR("local"), str_of(name), found);
}

static struct step new_key(struct db *db, struct arena *arena, const char *name, unsigned scopes, int64_t expires_at)
{
    struct step step = {.request = {main_workspace(db, arena).id, str_of(name), scopes, expires_at}};
    check_ok(db_write(db, arena, create_key, &step));
    return step;
}

static struct err *authenticate(struct db *db, struct arena *arena, struct str secret, struct org_key *key)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    return org_authenticate(tx, secret, key);
}

#define check_refused(call, text)                    \
    do {                                             \
        struct err *refused_ = (call);               \
        check(refused_ != NULL);                     \
        check_int(refused_->code, ERR_UNAUTHORIZED); \
        check_str(refused_->message, text);          \
    } while (0)

/* ---- workspaces -------------------------------------------------------------------------------------------------- */

TEST(org, a_fresh_database_gets_local_and_main)
{
    PREPARED(f);
    struct org_workspace ws = main_workspace(f.db, arena);
    check_str(ws.name, "main");
    check_str(ws.org_slug, "local");
    check(ws.is_default);
    check(id_valid(ws.public_id, "ws_"));
    check(id_valid(ws.org_public_id, "org_"));
}

TEST(org, preparing_again_changes_nothing)
{
    PREPARED(f);
    struct str before = main_workspace(f.db, arena).public_id;
    check_ok(org_prepare(f.db, arena));
    check(str_eq(main_workspace(f.db, arena).public_id, before));
}

TEST(org, a_workspace_is_found_by_id_name_and_slug)
{
    PREPARED(f);
    struct org_workspace ws = main_workspace(f.db, arena), found;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(org_workspace_default(tx, ws.public_id, &found));
    check_ok(org_workspace_default(tx, STR("MAIN"), &found));
    check_ok(org_workspace_default(tx, ws.slug, &found));
    check_ok(org_workspace_find(tx, STR("local"), STR("Main"), &found));
    check_ok(org_workspace_find(tx, ws.org_public_id, ws.public_id, &found));
    check_ok(org_workspace_by_id(tx, ws.id, &found));
    check_int(found.id, ws.id);
}

TEST(org, what_is_not_there_is_not_found)
{
    PREPARED(f);
    struct org_workspace ws;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_err(org_workspace_default(tx, STR("other"), &ws), ERR_NOT_FOUND);
    check_err(org_workspace_default(tx, STR("ma\0in"), &ws), ERR_NOT_FOUND);
    check_err(org_workspace_find(tx, STR("local"), STR("\xff"), &ws), ERR_NOT_FOUND);
    check_err(org_workspace_find(tx, STR("acme"), STR("main"), &ws), ERR_NOT_FOUND);
    struct err *err = org_workspace_by_id(tx, 99, &ws);
    check_str(err->message, "Workspace not found");
}

TEST(org, workspace_names_are_unique_ignoring_case)
{
    PREPARED(f);
    struct step step = {.name = STR("Platform")};
    check_ok(db_write(f.db, arena, create_workspace, &step));
    check_str(step.ws.name, "Platform");
    check(!step.ws.is_default);
    step.name = STR("platform");
    check_err(db_write(f.db, arena, create_workspace, &step), ERR_CONFLICT);
}

TEST(org, a_former_name_leads_to_the_workspace_until_another_takes_it)
{
    PREPARED(f);
    struct step          step = {.ws = main_workspace(f.db, arena), .name = STR("Platform")};
    struct org_workspace found;
    check_ok(db_write(f.db, arena, rename_workspace, &step));
    struct org_workspace renamed = main_workspace(f.db, arena);
    check_str(renamed.name, "Platform");
    check(str_eq(renamed.slug, step.ws.slug));
    check_ok(find_workspace(f.db, arena, "MAIN", &found));
    check_int(found.id, renamed.id);
    step = (struct step){.name = STR("Main")};
    check_ok(db_write(f.db, arena, create_workspace, &step));
    check_ok(find_workspace(f.db, arena, "main", &found));
    check_int(found.id, step.ws.id);
}

TEST(org, a_workspace_may_have_its_former_name_back_and_change_its_case)
{
    static const char *const names[] = {"Platform", "platform", "main", "Platform"};
    PREPARED(f);
    struct org_workspace found;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct step step = {.ws = main_workspace(f.db, arena), .name = str_of(names[i])};
        check_ok(db_write(f.db, arena, rename_workspace, &step));
        check_str(main_workspace(f.db, arena).name, names[i]);
    }
    check_ok(find_workspace(f.db, arena, "main", &found));
    check_str(found.name, "Platform");
}

TEST(org, a_workspace_takes_no_name_that_is_taken_or_wrong)
{
    PREPARED(f);
    struct step step = {.name = STR("Platform")};
    check_ok(db_write(f.db, arena, create_workspace, &step));
    step = (struct step){.ws = main_workspace(f.db, arena), .name = STR("PLATFORM")};
    check_err(db_write(f.db, arena, rename_workspace, &step), ERR_CONFLICT);
    step.name = STR("a b");
    check_err(db_write(f.db, arena, rename_workspace, &step), ERR_INVALID);
    check_str(main_workspace(f.db, arena).name, "main");
}

TEST(org, workspace_names_follow_the_rules)
{
    static const char *const good[] = {"a", "api.v2", "Team_1", "299", "512", "1000", "..."};
    static const char *const bad[] = {"", ".", "..", "a b", "a/b", "search", "Search", "300", "511", "api-keys", "v1",
                                      "gr\xc3\xbcn"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_ok(org_check_workspace_name(arena, str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_err(org_check_workspace_name(arena, str_of(bad[i])), ERR_INVALID);
    char long_name[101];
    memset(long_name, 'a', sizeof long_name);
    check_ok(org_check_workspace_name(arena, (struct str){long_name, 100}));
    check_err(org_check_workspace_name(arena, (struct str){long_name, 101}), ERR_INVALID);
}

TEST(org, organization_slugs_follow_the_rules)
{
    static const char *const good[] = {"acme", "a-b", "123", "api-keys"};
    static const char *const bad[] = {"ab", "-ab", "ab-", "a--b", "Acme", "a.b.c", "healthz", "404", "settings", ""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_ok(org_check_slug(arena, str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check_err(org_check_slug(arena, str_of(bad[i])), ERR_INVALID);
}

TEST(org, drawn_slugs_are_short_and_varied)
{
    struct map *seen = map_create(arena);
    for (int i = 0; i < 2000; i++) {
        struct str slug = org_draw_slug(arena), rest = slug, adjective;
        check(slug.n <= 20);
        check(str_cut(&rest, '-', &adjective));
        check(adjective.n > 0 && rest.n > 0 && str_find_char(rest, '-', 0) == SIZE_MAX);
        *map_at(seen, slug) += 1;
    }
    check(map_count(seen) > 1500); /* of more than 3,600 */
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

TEST(key, is_shown_once_and_its_hash_is_stored)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    check_int(step.secret.n, 49);
    check(str_starts(step.secret, STR("sk-lf-")));
    check(id_valid(step.key.public_id, "key_"));
    check_int(step.key.scopes, ORG_READ | ORG_ANSWER);
    check(str_eq(step.key.display,
                 str_printf(arena, "sk-lf-..." STR_FMT, STR_ARG(str_skip(step.secret, step.secret.n - 4)))));

    check(str_eq(ask(&f, "SELECT secret_sha256 FROM api_key"), crypto_sha256_hex(arena, step.secret)));
}

TEST(key, authenticates_its_workspace_and_scopes)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", ORG_INGEST | ORG_ADMIN, 0);
    struct org_key key;
    check_ok(authenticate(f.db, arena, step.secret, &key));
    check_int(key.id, step.key.id);
    check_int(key.workspace_id, main_workspace(f.db, arena).id);
    check_int(key.scopes, ORG_INGEST | ORG_ADMIN);
}

TEST(key, refusals_have_the_published_texts)
{
    PREPARED(f);
    struct org_key key;
    struct str unknown = crypto_token(arena, "sk-lf-", 43);
    check_refused(authenticate(f.db, arena, STR(""), &key),
                  "API key required. Provide 'Authorization: Bearer <api-key>' header.");
    check_refused(authenticate(f.db, arena, STR("sk-lf-short"), &key), "Invalid API key format.");
    check_refused(authenticate(f.db, arena, crypto_token(arena, "sk-xx-", 43), &key), "Invalid API key format.");
    check_refused(authenticate(f.db, arena, unknown, &key), "Invalid API key");
}

TEST(key, revoked_is_refused_and_cannot_be_revoked_again)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    struct org_key key;
    check_ok(db_write(f.db, arena, revoke_key, &step));
    check_refused(authenticate(f.db, arena, step.secret, &key), "Invalid API key");
    check_err(db_write(f.db, arena, revoke_key, &step), ERR_CONFLICT);
}

TEST(key, expires)
{
    PREPARED(f);
    time_set(SECONDS(1000));
    struct step step = new_key(f.db, arena, "ci", 0, SECONDS(2000));
    struct org_key key;
    check_ok(authenticate(f.db, arena, step.secret, &key));
    time_set(SECONDS(2000));
    check_refused(authenticate(f.db, arena, step.secret, &key), "API key expired");
}

TEST(key, needs_a_name_a_future_expiry_and_known_scopes)
{
    PREPARED(f);
    int64_t ws = main_workspace(f.db, arena).id;
    char    long_name[101];
    memset(long_name, 'a', sizeof long_name);
    struct org_key_request wrong[] = {
        {ws, STR("  "), 0, 0},
        {ws, {long_name, 101}, 0, 0},
        {ws, STR("\xff"), 0, 0},
        {ws, STR("ci"), 16, 0},
        {ws, STR("ci"), 0, time_now() - 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct step step = {.request = wrong[i]};
        check_err(db_write(f.db, arena, create_key, &step), ERR_INVALID);
    }
    struct step elsewhere = {.request = {99, STR("ci"), 0, 0}};
    check_err(db_write(f.db, arena, create_key, &elsewhere), ERR_NOT_FOUND);
}

TEST(key, rotation_keeps_name_scopes_and_expiry)
{
    PREPARED(f);
    int64_t expires_at = time_now() + DAYS(30);
    struct step step = new_key(f.db, arena, "ci", ORG_INGEST, expires_at);
    struct str old_secret = step.secret;
    struct org_key key;
    step.rotation = (struct org_key_rotation){step.key.workspace_id, step.key.public_id, 0, 0};
    check_ok(db_write(f.db, arena, rotate_key, &step));
    check(!str_eq(step.secret, old_secret));
    check_refused(authenticate(f.db, arena, old_secret, &key), "Invalid API key");
    check_ok(authenticate(f.db, arena, step.secret, &key));
    check_str(key.name, "ci");
    check_int(key.scopes, ORG_INGEST);
    check_int(key.expires_at, expires_at);
}

TEST(key, rotation_with_grace_lets_the_old_key_live_on_for_that_time)
{
    PREPARED(f);
    time_set(SECONDS(1000));
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    struct str old_secret = step.secret;
    struct org_key key;
    step.rotation = (struct org_key_rotation){step.key.workspace_id, step.key.public_id, 0, 60};
    check_ok(db_write(f.db, arena, rotate_key, &step));
    time_set(SECONDS(1059));
    check_ok(authenticate(f.db, arena, old_secret, &key));
    time_set(SECONDS(1060));
    check_refused(authenticate(f.db, arena, old_secret, &key), "API key expired");
    check_ok(authenticate(f.db, arena, step.secret, &key));
}

TEST(key, an_inactive_key_cannot_be_rotated)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    step.rotation = (struct org_key_rotation){step.key.workspace_id, step.key.public_id, 0, 0};
    check_ok(db_write(f.db, arena, revoke_key, &step));
    check_err(db_write(f.db, arena, rotate_key, &step), ERR_CONFLICT);
    step.rotation.grace_seconds = 604801;
    check_err(db_write(f.db, arena, rotate_key, &step), ERR_INVALID);
}

TEST(key, deleted_is_gone)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    struct org_key key;
    check_ok(db_write(f.db, arena, delete_key, &step));
    check_refused(authenticate(f.db, arena, step.secret, &key), "Invalid API key");
    check_err(db_write(f.db, arena, delete_key, &step), ERR_NOT_FOUND);
}

TEST(key, of_another_workspace_is_not_found)
{
    PREPARED(f);
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    step.key.workspace_id++;
    check_err(db_write(f.db, arena, revoke_key, &step), ERR_NOT_FOUND);
    check_err(db_write(f.db, arena, delete_key, &step), ERR_NOT_FOUND);
}

TEST(key, list_is_newest_first_in_pages)
{
    PREPARED(f);
    for (int i = 0; i < 5; i++) new_key(f.db, arena, str_z(arena, str_printf(arena, "key %d", i)), 0, 0);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct org_key *keys;
    size_t          count;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(org_key_list(tx, 1, 0, 3, &keys, &count));
    check_int(count, 3);
    check_str(keys[0].name, "key 4");
    check_ok(org_key_list(tx, 1, keys[2].id, 3, &keys, &count));
    check_int(count, 2);
    check_str(keys[1].name, "key 0");
}

static int64_t last_used(struct db *db, struct arena *arena, const struct step *step)
{
    struct org_key key;
    check_ok(authenticate(db, arena, step->secret, &key));
    return key.last_used_at;
}

TEST(key, last_use_is_written_at_most_once_a_minute)
{
    PREPARED(f);
    time_set(SECONDS(1000));
    struct step step = new_key(f.db, arena, "ci", 0, 0);
    step.ip = STR("192.0.2.1");
    check_ok(db_write(f.db, arena, touch_key, &step));
    check_int(last_used(f.db, arena, &step), SECONDS(1000));
    time_set(SECONDS(1059));
    check_ok(db_write(f.db, arena, touch_key, &step));
    check_int(last_used(f.db, arena, &step), SECONDS(1000));
    time_set(SECONDS(1060));
    check_ok(db_write(f.db, arena, touch_key, &step));
    check_int(last_used(f.db, arena, &step), SECONDS(1060));
}

TEST(scope, names_are_read_and_written)
{
    unsigned scopes = 0;
    check(org_scope_parse(STR("read"), &scopes) && org_scope_parse(STR("admin"), &scopes));
    check_int(scopes, ORG_READ | ORG_ADMIN);
    check(!org_scope_parse(STR("root"), &scopes));
    assert_string_equal(org_scope_name(ORG_INGEST), "ingest");
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(org, a_fresh_database_gets_local_and_main),
        RUN(org, preparing_again_changes_nothing),
        RUN(org, a_workspace_is_found_by_id_name_and_slug),
        RUN(org, what_is_not_there_is_not_found),
        RUN(org, workspace_names_are_unique_ignoring_case),
        RUN(org, a_former_name_leads_to_the_workspace_until_another_takes_it),
        RUN(org, a_workspace_may_have_its_former_name_back_and_change_its_case),
        RUN(org, a_workspace_takes_no_name_that_is_taken_or_wrong),
        RUN(org, workspace_names_follow_the_rules),
        RUN(org, organization_slugs_follow_the_rules),
        RUN(org, drawn_slugs_are_short_and_varied),
        RUN(key, is_shown_once_and_its_hash_is_stored),
        RUN(key, authenticates_its_workspace_and_scopes),
        RUN(key, refusals_have_the_published_texts),
        RUN(key, revoked_is_refused_and_cannot_be_revoked_again),
        RUN(key, expires),
        RUN(key, needs_a_name_a_future_expiry_and_known_scopes),
        RUN(key, rotation_keeps_name_scopes_and_expiry),
        RUN(key, rotation_with_grace_lets_the_old_key_live_on_for_that_time),
        RUN(key, an_inactive_key_cannot_be_rotated),
        RUN(key, deleted_is_gone),
        RUN(key, of_another_workspace_is_not_found),
        RUN(key, list_is_newest_first_in_pages),
        RUN(key, last_use_is_written_at_most_once_a_minute),
        RUN(scope, names_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
