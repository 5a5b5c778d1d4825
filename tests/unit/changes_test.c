/* changes_test.c - what providers do to sources themselves: apps removed, repositories renamed, accounts that change. */
#include "receive_world.h"

#include "activity/activity.h"

#define APP        "\"installation\":{\"id\":6,\"account\":{\"id\":7,\"login\":\"acme\",\"type\":\"Organization\"}}"
#define OTHER_APP  "\"installation\":{\"id\":66,\"account\":{\"id\":7,\"login\":\"acme\"}}"
#define FACTS      "\"id\":42,\"name\":\"api\",\"full_name\":\"acme/api\",\"default_branch\":\"main\""
#define REPO       "\"repository\":{" FACTS "}"
#define PIN(more)  "{\"action\":\"pinned\",\"issue\":{\"number\":1}," REPO more "}"

#define STATE   "SELECT is_active || ' ' || COALESCE(inactive_reason, '-') || ' ' || last_sync_status FROM source"
#define CONFIG  "SELECT source_config FROM source"
#define EVENTS(name) "SELECT COUNT(*) FROM flow_event WHERE name = '" name "'"
#define EVENT(name)  "SELECT data FROM flow_event WHERE name = '" name "' ORDER BY seq DESC LIMIT 1"

/* The value at path of a JSON text that SQL gives. */
static struct str at(struct world *w, const char *sql, const char *path)
{
    const json_value *value;
    struct str        json = ask(w, sql);
    check_ok(json_parse(w->arena, json.n ? json : STR("{}"), &value));
    value = json_get(value, path);
    return json_is_string(value) ? json_str(value, "") : value ? json_text(w->arena, value) : (struct str){0};
}

static struct str shared(struct world *w)
{
    struct str id = ADD(w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true).source.public_id;
    DELIVER(w, "issues", "first", PIN("," APP));
    return id;
}

TEST(changes, the_installation_is_learned_from_what_it_sends)
{
    WORLD(w);
    shared(&w);
    check_str(at(&w, CONFIG, "installationId"), "6");
    DELIVER(&w, "issues", "second", PIN("," OTHER_APP)); /* the app was installed anew */
    check_str(at(&w, CONFIG, "installationId"), "66");
}

TEST(changes, a_source_known_by_its_id_learns_its_name)
{
    WORLD(w);
    ADD(&w, .resource_id = STR("42"), .shared = true);
    DELIVER(&w, "issues", "d1", PIN(""));
    check_str(at(&w, CONFIG, "repoFullName"), "acme/api");
    check_str(at(&w, CONFIG, "idName"), "acme/api");
}

TEST(changes, a_removed_installation_ends_its_sources)
{
    WORLD(w);
    struct str id = shared(&w);
    check_str(DELIVER(&w, "installation", "d1", "{\"action\":\"deleted\"," APP "}").body, "{\"received\":true}");
    check_str(ask(&w, STATE), "0 installation_removed failed");
    check(str_eq(at(&w, EVENT("source.disconnected"), "sourceId"), id));
    check_str(at(&w, EVENT("source.disconnected"), "deleteData"), "false");
    check(str_starts(at(&w, EVENT("source.disconnected"), "workspaceId"), STR("ws_")));
    check_str(at(&w, EVENT("activity.record"), "action"), "integration.disconnected");
    check_str(at(&w, EVENT("activity.record"), "actorType"), "webhook");
    check_str(at(&w, EVENT("activity.record"), "reason"), "installation_removed");
    check_str(at(&w, EVENT("activity.record"), "changes.isActive.to"), "false");
    check_str(at(&w, EVENT("activity.record"), "metadata.githubInstallationId"), "6");
    check_str(at(&w, EVENT("activity.record"), "metadata.repoFullName"), "acme/api");
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery_share h JOIN inbound_delivery d ON d.id = h.delivery "
                        "WHERE d.event = 'installation'"), 1);
}

TEST(changes, an_unknown_installation_changes_nothing)
{
    WORLD(w);
    shared(&w);
    check_str(DELIVER(&w, "installation", "d1", "{\"action\":\"deleted\"," OTHER_APP "}").body, "{\"received\":true}");
    check_str(ask(&w, STATE), "1 - pending");
    check_int(count(&w, EVENTS("activity.record")), 0);
}

TEST(changes, a_suspended_installation_goes_on_where_it_stopped)
{
    WORLD(w);
    shared(&w);
    DELIVER(&w, "installation", "d1", "{\"action\":\"suspend\"," APP "}");
    check_str(ask(&w, STATE), "0 installation_suspended failed");
    DELIVER(&w, "installation", "d2", "{\"action\":\"unsuspend\"," APP "}");
    check_str(ask(&w, STATE), "1 - pending");
    check_str(at(&w, EVENT("source.connected.github"), "trigger"), "automation");
    check_str(at(&w, EVENT("source.connected.github"), "sourceMetadata.repoId"), "42");
    check_str(at(&w, EVENT("activity.record"), "action"), "integration.status_updated");
}

TEST(changes, what_a_person_disconnected_stays_so)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    DELIVER(&w, "issues", "first", PIN("," APP));
    check_ok(db_write(w.db, arena, drop, &source));
    DELIVER(&w, "installation", "d1", "{\"action\":\"suspend\"," APP "}");
    DELIVER(&w, "installation", "d2", "{\"action\":\"unsuspend\"," APP "}");
    check_str(ask(&w, STATE), "0 removed pending");
}

TEST(changes, a_repository_taken_from_the_installation_comes_back_with_it)
{
    WORLD(w);
    shared(&w);
    DELIVER(&w, "installation_repositories", "d1",
            "{\"action\":\"removed\",\"repositories_removed\":[{\"id\":41},{\"id\":42}]," APP "}");
    check_str(ask(&w, STATE), "0 repository_removed failed");
    DELIVER(&w, "installation_repositories", "d2", "{\"action\":\"added\",\"repositories_added\":[{\"id\":42}]," APP "}");
    check_str(ask(&w, STATE), "1 - pending");
}

TEST(changes, a_repository_that_went_over_to_another_installation_stays)
{
    WORLD(w);
    shared(&w);
    DELIVER(&w, "issues", "second", PIN("," OTHER_APP));
    DELIVER(&w, "installation_repositories", "d1", "{\"action\":\"removed\",\"repositories_removed\":[{\"id\":42}]," APP "}");
    check_str(ask(&w, STATE), "1 - pending");
}

TEST(changes, more_repositories_than_a_hundred_are_all_told)
{
    WORLD(w);
    shared(&w);
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "action", "removed");
    json_begin(&out, "repositories_removed", '[');
    for (int i = 0; i < 500; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "id", i < 499 ? 1000 + i : 42);
        json_end(&out);
    }
    json_end(&out);
    json_end(&out);
    DELIVER(&w, "installation_repositories", "d1", str_z(arena, json_out_text(&out)));
    check_str(ask(&w, STATE), "0 repository_removed failed");
}

TEST(changes, installations_are_remembered_by_the_app_alone)
{
    WORLD(w);
    struct str own = ADD(&w, .name = STR("acme/web"), .resource_id = STR("43"), .secret = STR(SECRET)).source.public_id;
    shared(&w);
    const char *created = "{\"action\":\"created\",\"repositories\":[{\"id\":42}],\"installation\":{\"id\":66,"
        "\"account\":{\"id\":7,\"login\":\"acme\",\"type\":\"Organization\"},\"repository_selection\":\"selected\","
        "\"permissions\":{\"issues\":\"read\"},\"events\":[\"push\"],\"updated_at\":\"2026-01-02T03:04:05Z\"}}";
    const char *older = "{\"action\":\"new_permissions_accepted\",\"installation\":{\"id\":66,\"account\":{\"id\":7,"
        "\"login\":\"older\"},\"updated_at\":\"2026-01-01T03:04:05Z\"}}";
    DELIVER(&w, "installation", "d1", created, own);
    check_int(count(&w, "SELECT COUNT(*) FROM github_installation"), 0);
    DELIVER(&w, "installation", "d2", created);
    DELIVER(&w, "installation", "d3", older);
    check_str(ask(&w, "SELECT account_login || ' ' || permissions || ' ' || repository_selection FROM github_installation"),
              "acme {\"issues\":\"read\"} selected");
    check_str(at(&w, "SELECT source_config FROM source WHERE provider_resource_id = '42'", "installationId"), "66");
    DELIVER(&w, "installation_target", "d4",
            "{\"action\":\"renamed\",\"account\":{\"id\":7,\"login\":\"acme-inc\"},\"installation\":{\"id\":66}}");
    check_str(ask(&w, "SELECT account_login FROM github_installation"), "acme-inc");
    DELIVER(&w, "installation", "d5", "{\"action\":\"suspend\"," OTHER_APP "}");
    check_int(count(&w, "SELECT COUNT(*) FROM github_installation WHERE suspended_at IS NOT NULL"), 1);
    DELIVER(&w, "installation", "d6", "{\"action\":\"deleted\"," OTHER_APP "}");
    check_int(count(&w, "SELECT COUNT(*) FROM github_installation"), 0);
}

TEST(changes, a_rename_is_a_new_name_but_the_same_ids)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "issues", "d1", PIN(""), id);
    DELIVER(&w, "repository", "d2",
            "{\"action\":\"renamed\",\"repository\":{\"id\":42,\"name\":\"core\",\"full_name\":\"acme/core\"}}", id);
    check_str(at(&w, CONFIG, "repoFullName"), "acme/core");
    check_str(at(&w, CONFIG, "repoName"), "core");
    check_str(at(&w, CONFIG, "idName"), "acme/api");
    check_str(at(&w, EVENT("activity.record"), "action"), "integration.metadata_updated");
    check_str(at(&w, EVENT("activity.record"), "changes.repoFullName.from"), "acme/api");
    check_str(at(&w, EVENT("activity.record"), "changes.repoFullName.to"), "acme/core");
    check_str(at(&w, EVENT("activity.record"), "entityName"), "acme/core");
}

TEST(changes, what_is_known_already_is_not_told_again)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "repository", "d1", "{\"action\":\"archived\"," REPO "}", id);
    DELIVER(&w, "repository", "d2", "{\"action\":\"archived\",\"again\":1," REPO "}", id);
    check_str(at(&w, CONFIG, "isArchived"), "true");
    check_int(count(&w, EVENTS("activity.record")), 1);
    DELIVER(&w, "repository", "d3", "{\"action\":\"privatized\"," REPO "}", id);
    check_str(at(&w, CONFIG, "isPrivate"), "true");
    check_int(count(&w, EVENTS("activity.record")), 2);
}

TEST(changes, a_new_default_branch_asks_for_a_full_sync)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "repository", "d1", "{\"action\":\"edited\",\"changes\":{\"default_branch\":{\"from\":\"master\"}}," REPO "}", id);
    check_str(at(&w, CONFIG, "defaultBranch"), "main");
    check_str(at(&w, EVENT("sync.requested"), "syncMode"), "full");
    check(str_eq(at(&w, EVENT("sync.requested"), "sourceId"), id));
}

TEST(changes, a_deleted_repository_is_archived_too)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "repository", "d1", "{\"action\":\"deleted\"," REPO "}", id);
    check_str(ask(&w, STATE), "0 repository_deleted failed");
    check_str(at(&w, CONFIG, "isArchived"), "true");
    check_str(at(&w, EVENT("activity.record"), "action"), "integration.deleted");
}

TEST(changes, a_source_known_by_its_name_alone_is_meant_at_its_own_address)
{
    WORLD(w);
    struct str id = ADD(&w, .name = STR("Acme/API"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "repository", "d1", "{\"action\":\"deleted\"," REPO "}"); /* anybody may give a repository that name */
    check_str(ask(&w, STATE), "1 - pending");
    DELIVER(&w, "repository", "d2", "{\"action\":\"deleted\"," REPO "}", id);
    check_str(ask(&w, STATE), "0 repository_deleted failed");
}

TEST(changes, news_of_a_repository_that_nobody_follows_may_come_again)
{
    WORLD(w);
    const char *archived = "{\"action\":\"archived\"," REPO "}";
    check_str(DELIVER(&w, "repository", "d1", archived).body, "{\"received\":true}");
    check_str(ask(&w, "SELECT outcome || ' ' || reason FROM inbound_delivery"), "skipped not_connected");
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    check_str(DELIVER(&w, "repository", "d1", archived).body, "{\"received\":true}");
    check_str(at(&w, CONFIG, "isArchived"), "true");
    check_str(DELIVER(&w, "repository", "d1", archived).body, "{\"received\":true,\"duplicate\":true}");
}

TEST(changes, a_repository_in_two_workspaces_is_heard_and_ended_in_both)
{
    WORLD(w);
    struct making elsewhere = {&w, {.resource_id = STR("42"), .shared = true}};
    shared(&w);
    elsewhere.addition.workspace = add_workspace(w.db, arena, "second");
    check_ok(db_write(w.db, arena, make, &elsewhere));
    DELIVER(&w, "issues", "d1", ISSUE("7", "42"));
    check_int(count(&w, "SELECT COUNT(DISTINCT workspace_id) FROM observation"), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM observation"), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM github_item WHERE number = 7"), 2);
    DELIVER(&w, "repository", "d2", "{\"action\":\"deleted\"," REPO "}");
    check_int(count(&w, "SELECT COUNT(*) FROM source WHERE inactive_reason = 'repository_deleted'"), 2);
    check_int(count(&w, "SELECT COUNT(DISTINCT workspace_id) FROM flow_event WHERE name = 'source.disconnected'"), 2);
    check_int(count(&w, "SELECT COUNT(*) FROM inbound_delivery_share h JOIN inbound_delivery d ON d.id = h.delivery "
                        "WHERE d.event = 'repository'"), 2);
}

TEST(changes, an_address_speaks_for_its_own_source_alone)
{
    WORLD(w);
    struct str own = ADD(&w, .name = STR("acme/web"), .resource_id = STR("43"), .secret = STR(SECRET)).source.public_id;
    shared(&w);
    DELIVER(&w, "repository", "d1", "{\"action\":\"deleted\"," REPO "}", own);
    DELIVER(&w, "installation", "d2", "{\"action\":\"deleted\"," APP "}", own);
    check_int(count(&w, "SELECT COUNT(*) FROM source WHERE is_active = 1"), 2);
}

TEST(changes, gigantic_names_are_no_names)
{
    WORLD(w);
    struct str  id = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET)).source.public_id;
    char       *name = arena_alloc(arena, 5001);
    memset(name, 'a', 5000);
    struct str body = str_printf(arena, "{\"action\":\"renamed\",\"repository\":{\"id\":42,\"full_name\":\"%s\"},"
                                        "\"installation\":{\"id\":\"%s\"}}", name, name);
    DELIVER(&w, "repository", "d1", str_z(arena, body), id);
    check_str(at(&w, CONFIG, "repoFullName"), "acme/api");
    check_str(at(&w, CONFIG, "installationId"), "");
}

TEST(changes, a_source_connected_again_keeps_its_name_in_ids)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .secret = STR(SECRET));
    DELIVER(&w, "repository", "d1", "{\"action\":\"renamed\",\"repository\":{\"id\":42,\"full_name\":\"acme/core\"}}",
            source.source.public_id);
    check_ok(db_write(w.db, arena, drop, &source));
    ADD(&w, .name = STR("acme/core"), .resource_id = STR("42"));
    check_str(at(&w, CONFIG, "idName"), "acme/api");
    check_str(at(&w, CONFIG, "repoFullName"), "acme/core");
    check_int(count(&w, EVENTS("source.connected.github")), 2);
}

static struct activity_health health(struct world *w)
{
    struct activity_health health;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(activity_health(tx, WS, &health));
    return health;
}

TEST(changes, a_source_that_its_provider_ended_is_ill_until_a_person_lets_it_go)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    DELIVER(&w, "issues", "first", PIN("," APP));
    check_int(health(&w).sources[0].level, ACTIVITY_HEALTHY);
    DELIVER(&w, "installation", "d1", "{\"action\":\"suspend\"," APP "}");
    check_int(health(&w).sources[0].level, ACTIVITY_DOWN);
    check_str(str_of(health(&w).sources[0].reason), "The GitHub app is suspended");
    check_int(health(&w).level, ACTIVITY_DEGRADED);
    DELIVER(&w, "installation", "d2", "{\"action\":\"unsuspend\"," APP "}");
    check_int(health(&w).level, ACTIVITY_HEALTHY);
    DELIVER(&w, "installation_repositories", "d3", "{\"action\":\"removed\",\"repositories_removed\":[{\"id\":42}]," APP "}");
    check_int(health(&w).sources[0].level, ACTIVITY_DEGRADED);
    check_ok(db_write(w.db, arena, drop, &source));
    check_int(health(&w).source_count, 0);
}

/* ---- sources that are connected again, or were imported before ------------------------------------------------------- */

struct importing { struct source_import import; const char *repo; };

static struct err *import_history(struct db_tx *tx, void *arg)
{
    struct importing *importing = arg;
    struct source_import_request request = {.repo = str_of(importing->repo), .branch = STR("main"), .github = true};
    TRY(source_import_begin(tx, WS, request, &importing->import));
    return source_import_finish(tx, WS, importing->import.id, (struct source_import_end){.status = "completed", .tip = STR("abc")});
}

TEST(changes, linking_a_repository_takes_over_the_source_of_its_import)
{
    WORLD(w);
    struct importing first = {.repo = "acme/api"}, again = {.repo = "acme/api"};
    check_ok(db_write(w.db, arena, import_history, &first));
    struct making source = ADD(&w, .name = STR("Acme/API"), .secret = STR(SECRET));
    check(str_eq(source.source.public_id, first.import.source_public_id));
    check_str(source.source.type, "github");
    check_str(at(&w, CONFIG, "idName"), "acme/api");
    DELIVER(&w, "issues", "d1", PIN(""), source.source.public_id);
    check_ok(db_write(w.db, arena, import_history, &again));
    check(str_eq(again.import.source_public_id, first.import.source_public_id));
    check_str(again.import.last_sha, "abc"); /* it goes on where the first ended */
    check_str(ask(&w, "SELECT COUNT(*) || source_type || provider_resource_id FROM source"), "1github42");
}

TEST(changes, a_source_connected_again_with_its_id_goes_by_it)
{
    WORLD(w);
    struct making source = ADD(&w, .name = STR("acme/api"));
    check_ok(db_write(w.db, arena, drop, &source));
    ADD(&w, .name = STR("acme/api"), .resource_id = STR("42"), .shared = true);
    check_str(ask(&w, "SELECT COUNT(*) || ' ' || provider_resource_id FROM source"), "1 42");
}

/* ---- the other providers --------------------------------------------------------------------------------------------- */

#define LINEAR_ISSUE(org, team, time) "{\"type\":\"Issue\",\"action\":\"create\",\"organizationId\":\"" org "\"," \
    "\"webhookTimestamp\":" time ",\"createdAt\":\"2026-01-02T03:04:05Z\",\"data\":{\"id\":\"i\",\"identifier\":\"ENG-1\"," \
    "\"title\":\"Slow\",\"team\":{\"id\":\"" team "\",\"key\":\"ENG\",\"name\":\"Engineering\"}}}"
#define LINEAR_COMMENT(org, time) "{\"type\":\"Comment\",\"action\":\"create\",\"organizationId\":\"" org "\"," \
    "\"webhookTimestamp\":" time ",\"createdAt\":\"2026-01-02T03:04:05Z\",\"data\":{\"id\":\"c\",\"body\":\"Why?\"," \
    "\"issue\":{\"identifier\":\"ENG-1\",\"title\":\"Slow\"}}}"
#define NOW INT64_C(1767323045000)
#define NOW_TEXT "1767323045000"

TEST(changes, a_revoked_linear_app_ends_the_sources_of_that_organisation)
{
    WORLD(w);
    time_set(NOW);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .shared = true);
    DELIVER(&w, "", "d1", LINEAR_ISSUE("org-1", "team-1", NOW_TEXT), .provider = SOURCE_LINEAR);
    check_str(at(&w, CONFIG, "organizationId"), "org-1");
    check_str(at(&w, CONFIG, "teamKey"), "ENG");
    DELIVER(&w, "", "d2", "{\"type\":\"OAuthApp\",\"action\":\"revoked\",\"organizationId\":\"org-2\",\"webhookTimestamp\":" NOW_TEXT "}",
            .provider = SOURCE_LINEAR);
    check_str(ask(&w, STATE), "1 - pending");
    DELIVER(&w, "", "d3", "{\"type\":\"OAuthApp\",\"action\":\"revoked\",\"organizationId\":\"org-1\",\"webhookTimestamp\":" NOW_TEXT "}",
            .provider = SOURCE_LINEAR);
    check_str(ask(&w, STATE), "0 uninstalled failed");
    check_str(at(&w, EVENT("activity.record"), "action"), "integration.disconnected");
}

TEST(changes, equal_team_keys_of_two_organisations_are_two_teams)
{
    WORLD(w);
    time_set(NOW);
    ADD(&w, .provider = SOURCE_LINEAR, .resource_id = STR("team-1"), .name = STR("ENG"), .shared = true);
    const char *ignored = "{\"received\":true,\"ignored\":\"not_connected\"}";
    check_str(DELIVER(&w, "", "d1", LINEAR_COMMENT("org-2", NOW_TEXT), .provider = SOURCE_LINEAR).body, ignored);
    DELIVER(&w, "", "d2", LINEAR_ISSUE("org-1", "team-1", NOW_TEXT), .provider = SOURCE_LINEAR);
    check_str(DELIVER(&w, "", "d3", LINEAR_COMMENT("org-2", NOW_TEXT), .provider = SOURCE_LINEAR).body, ignored);
    check_str(DELIVER(&w, "", "d4", LINEAR_COMMENT("org-1", NOW_TEXT), .provider = SOURCE_LINEAR).body, "{\"received\":true}");
}

#define DEPLOYMENT "{\"id\":\"w1\",\"type\":\"deployment.ready\",\"createdAt\":1767323045000,\"payload\":{\"team\":{\"id\":\"team_1\"}," \
    "\"project\":{\"id\":\"prj_1\",\"name\":\"web\"},\"deployment\":{\"id\":\"dpl_1\",\"url\":\"web.vercel.app\",\"name\":\"web\"}}}"

TEST(changes, an_uninstalled_vercel_integration_ends_the_sources_of_its_team)
{
    WORLD(w);
    ADD(&w, .provider = SOURCE_VERCEL, .resource_id = STR("prj_1"), .shared = true);
    DELIVER(&w, "", "", DEPLOYMENT, .provider = SOURCE_VERCEL);
    check_str(at(&w, CONFIG, "teamId"), "team_1");
    DELIVER(&w, "", "", "{\"id\":\"w2\",\"type\":\"integration-configuration.removed\",\"payload\":{\"team\":{\"id\":\"team_2\"},"
                        "\"configuration\":{\"id\":\"icfg_2\"}}}", .provider = SOURCE_VERCEL);
    check_str(ask(&w, STATE), "1 - pending");
    DELIVER(&w, "", "", "{\"id\":\"w3\",\"type\":\"integration-configuration.removed\",\"payload\":{\"team\":{\"id\":\"team_1\"},"
                        "\"configuration\":{\"id\":\"icfg_1\"}}}", .provider = SOURCE_VERCEL);
    check_str(ask(&w, STATE), "0 uninstalled failed");
}

TEST(changes, vercel_projects_are_renamed_and_removed)
{
    WORLD(w);
    struct str id = ADD(&w, .provider = SOURCE_VERCEL, .resource_id = STR("prj_1"), .name = STR("web"), .secret = STR(SECRET)).source.public_id;
    DELIVER(&w, "", "", "{\"id\":\"w1\",\"type\":\"project.renamed\",\"payload\":{\"project\":{\"id\":\"prj_1\",\"name\":\"shop\"}}}",
            id, .provider = SOURCE_VERCEL);
    check_str(at(&w, CONFIG, "projectName"), "shop");
    DELIVER(&w, "", "", "{\"id\":\"w2\",\"type\":\"project.removed\",\"payload\":{\"project\":{\"id\":\"prj_1\"}}}", id,
            .provider = SOURCE_VERCEL);
    check_str(ask(&w, STATE), "0 project_removed failed");
}

#define SENTRY_ISSUE "{\"action\":\"created\",\"installation\":{\"uuid\":\"u-1\"},\"data\":{\"issue\":{\"id\":\"1\",\"shortId\":\"WEB-1\"," \
    "\"title\":\"Oops\",\"project\":{\"id\":\"9\",\"slug\":\"web\"},\"firstSeen\":\"2026-01-02T03:04:05Z\"}}}"

TEST(changes, an_uninstalled_sentry_app_ends_the_sources_of_its_installation)
{
    WORLD(w);
    ADD(&w, .provider = SOURCE_SENTRY, .resource_id = STR("9"), .shared = true);
    DELIVER(&w, "issue", "d1", SENTRY_ISSUE, .provider = SOURCE_SENTRY);
    check_str(at(&w, CONFIG, "installationId"), "u-1");
    DELIVER(&w, "installation", "d2", "{\"action\":\"deleted\",\"installation\":{\"uuid\":\"u-2\"}}", .provider = SOURCE_SENTRY);
    check_str(ask(&w, STATE), "1 - pending");
    DELIVER(&w, "installation", "d3", "{\"action\":\"deleted\",\"data\":{\"installation\":{\"uuid\":\"u-1\"}}}", .provider = SOURCE_SENTRY);
    check_str(ask(&w, STATE), "0 uninstalled failed");
}

TEST(changes, an_alert_that_names_no_project_reaches_the_sources_of_its_installation_alone)
{
    WORLD(w);
    ADD(&w, .provider = SOURCE_SENTRY, .resource_id = STR("9"), .shared = true);
    const char *alert = "{\"action\":\"critical\",\"installation\":{\"uuid\":\"u-1\"},\"data\":{\"metric_alert\":{\"id\":\"3\","
        "\"organization_id\":\"4\",\"alert_rule\":{\"name\":\"Errors\"}}}}";
    check_str(DELIVER(&w, "metric_alert", "d1", alert, .provider = SOURCE_SENTRY).body,
              "{\"received\":true,\"ignored\":\"not_connected\"}");
    DELIVER(&w, "issue", "d2", SENTRY_ISSUE, .provider = SOURCE_SENTRY);
    check_str(DELIVER(&w, "metric_alert", "d3", alert, .provider = SOURCE_SENTRY).body, "{\"received\":true}");
}

TEST(changes, what_names_a_source_without_its_id_passes_its_filter)
{
    WORLD(w);
    time_set(NOW);
    struct str sentry = ADD(&w, .provider = SOURCE_SENTRY, .name = STR("web"), .secret = STR(SECRET)).source.public_id;
    struct str linear = ADD(&w, .provider = SOURCE_LINEAR, .name = STR("ENG"), .secret = STR(SECRET)).source.public_id;
    const char *alert = "{\"action\":\"critical\",\"installation\":{\"uuid\":\"u-1\"},\"data\":{\"metric_alert\":{\"id\":\"3\","
        "\"organization_id\":\"4\",\"projects\":[\"web\"],\"alert_rule\":{\"name\":\"Errors above a thousand an hour\"}}}}";
    DELIVER(&w, "metric_alert", "d1", alert, sentry, .provider = SOURCE_SENTRY);
    DELIVER(&w, "", "d2", LINEAR_COMMENT("org-1", NOW_TEXT), linear, .provider = SOURCE_LINEAR);
    check_int(count(&w, "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.observation.capture' "
                        "AND output LIKE '%event_not_allowed%'"), 0);
    check_int(count(&w, "SELECT COUNT(*) FROM observation WHERE source = 'sentry'"), 1);
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(changes, the_installation_is_learned_from_what_it_sends),
        RUN(changes, a_source_known_by_its_id_learns_its_name),
        RUN(changes, a_removed_installation_ends_its_sources),
        RUN(changes, an_unknown_installation_changes_nothing),
        RUN(changes, a_suspended_installation_goes_on_where_it_stopped),
        RUN(changes, what_a_person_disconnected_stays_so),
        RUN(changes, a_repository_taken_from_the_installation_comes_back_with_it),
        RUN(changes, a_repository_that_went_over_to_another_installation_stays),
        RUN(changes, more_repositories_than_a_hundred_are_all_told),
        RUN(changes, installations_are_remembered_by_the_app_alone),
        RUN(changes, a_rename_is_a_new_name_but_the_same_ids),
        RUN(changes, what_is_known_already_is_not_told_again),
        RUN(changes, a_new_default_branch_asks_for_a_full_sync),
        RUN(changes, a_deleted_repository_is_archived_too),
        RUN(changes, a_source_known_by_its_name_alone_is_meant_at_its_own_address),
        RUN(changes, news_of_a_repository_that_nobody_follows_may_come_again),
        RUN(changes, a_repository_in_two_workspaces_is_heard_and_ended_in_both),
        RUN(changes, an_address_speaks_for_its_own_source_alone),
        RUN(changes, gigantic_names_are_no_names),
        RUN(changes, a_source_connected_again_keeps_its_name_in_ids),
        RUN(changes, linking_a_repository_takes_over_the_source_of_its_import),
        RUN(changes, a_source_connected_again_with_its_id_goes_by_it),
        RUN(changes, a_source_that_its_provider_ended_is_ill_until_a_person_lets_it_go),
        RUN(changes, a_revoked_linear_app_ends_the_sources_of_that_organisation),
        RUN(changes, equal_team_keys_of_two_organisations_are_two_teams),
        RUN(changes, an_uninstalled_vercel_integration_ends_the_sources_of_its_team),
        RUN(changes, vercel_projects_are_renamed_and_removed),
        RUN(changes, an_uninstalled_sentry_app_ends_the_sources_of_its_installation),
        RUN(changes, an_alert_that_names_no_project_reaches_the_sources_of_its_installation_alone),
        RUN(changes, what_names_a_source_without_its_id_passes_its_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
