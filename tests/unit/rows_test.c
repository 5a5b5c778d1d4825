#include "org_world.h"
#include "sql.h"

#include "crypto/crypto.h"
#include "source/receive.h"

/* ---- a prepared database for each test --------------------------------------------------------------------------- */

enum { WS = 1 };

struct step {
    struct source_import_request request;
    struct source_import         import;
    struct source_import_end     end;
    int64_t                      scanned, stored, duplicates, failed;
};

static struct err *begin_import(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return source_import_begin(tx, WS, step->request, &step->import);
}

static struct err *progress_import(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return source_import_progress(tx, WS, step->import.id, step->scanned, step->stored, step->duplicates, step->failed);
}

static struct err *finish_import(struct db_tx *tx, void *arg)
{
    struct step *step = arg;
    return source_import_finish(tx, WS, step->import.id, step->end);
}

static struct step begun(struct db *db, struct arena *arena, const char *repo)
{
    struct step step = {.request = {.repo = str_of(repo), .branch = STR("main"), .host_path = STR("/src/api")}};
    check_ok(db_write(db, arena, begin_import, &step));
    return step;
}

static struct source_import found(struct db *db, struct arena *arena, struct str public_id)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct source_import import;
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(source_import_find(tx, WS, public_id, &import));
    return import;
}

static void imported(struct db *db, struct arena *arena, struct str source, struct str **repos, size_t *n)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(db, arena, &tx));
    check_ok(source_imported(tx, WS, source, repos, n));
}

/* ---- imports ----------------------------------------------------------------------------------------------------- */

TEST(import, begins_with_a_git_source_and_no_position)
{
    PREPARED(f);
    struct step step = begun(f.db, arena, "Acme/API");
    check_str(step.import.status, "running");
    check_str(step.import.repo, "Acme/API");
    check_str(step.import.last_sha, "");
    check_str(step.import.last_tags, "{}");
    check_str(ask(&f, "SELECT provider_resource_id FROM source"), "git:acme/api");
    check_str(ask(&f, "SELECT source_config FROM source"),
              "{\"version\":1,\"sourceType\":\"git\",\"type\":\"repository\",\"branch\":\"main\","
              "\"repoFullName\":\"Acme/API\",\"path\":\"/src/api\"}");
}

TEST(import, names_are_compared_ignoring_case)
{
    PREPARED(f);
    struct step first = begun(f.db, arena, "Acme/API"), second = begun(f.db, arena, "acme/api");
    check_int(first.import.source, second.import.source);
    check(str_eq(first.import.source_public_id, second.import.source_public_id));
}

TEST(import, a_github_source_of_that_name_is_used_for_a_github_repository)
{
    PREPARED(f);
    struct step step = {.request = {.repo = STR("Acme/API"), .branch = STR("main"), .github = true}};
    write_sql(&f, "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                  "connected_at) VALUES (1, 700, 'src_x', 'github', '4711', "
                  "'{\"repoFullName\":\"acme/Api\",\"sync\":{\"branches\":[\"main\"]}}', 0)");
    check_ok(db_write(f.db, arena, begin_import, &step));
    check_int(step.import.source, 700);
    step.end = (struct source_import_end){.status = "completed", .tip = STR("abc")};
    check_ok(db_write(f.db, arena, finish_import, &step));
    check_str(ask(&f, "SELECT source_config FROM source WHERE id = 700"),
              "{\"repoFullName\":\"acme/Api\",\"sync\":{\"branches\":[\"main\"]},"
              "\"import\":{\"branch\":\"main\",\"lastSha\":\"abc\",\"lastTags\":{}}}");
    step.request.github = false;
    check_ok(db_write(f.db, arena, begin_import, &step));
    check(step.import.source != 700);
}

TEST(import, its_end_connects_no_source_again)
{
    PREPARED(f);
    struct step step = {.request = {.repo = STR("acme/api"), .branch = STR("main"), .github = true}};
    write_sql(&f, "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                  "connected_at) VALUES (1, 77, 'src_github', 'github', '42', '{\"repoFullName\":\"acme/api\"}', 0)");
    check_ok(db_write(f.db, arena, begin_import, &step));
    write_sql(&f, "UPDATE source SET is_active = 0, inactive_reason = 'installation_removed' WHERE id = 77");
    step.end = (struct source_import_end){.status = "completed", .tip = STR("abc")};
    check_ok(db_write(f.db, arena, finish_import, &step));
    check_str(ask(&f, "SELECT inactive_reason FROM source WHERE is_active = 0"), "installation_removed");
    check_str(found(f.db, arena, step.import.public_id).last_sha, "abc");
}

TEST(import, an_older_running_one_is_marked_interrupted)
{
    PREPARED(f);
    struct step first = begun(f.db, arena, "acme/api");
    struct step other = begun(f.db, arena, "acme/web");
    begun(f.db, arena, "acme/api");
    struct source_import import = found(f.db, arena, first.import.public_id);
    check_str(import.status, "failed");
    check_str(import.error, "interrupted");
    check(import.finished_at > 0);
    check_str(found(f.db, arena, other.import.public_id).status, "running");
    check_err(db_write(f.db, arena, progress_import, &first), ERR_CONFLICT);
    first.end.status = "completed";
    check_err(db_write(f.db, arena, finish_import, &first), ERR_CONFLICT);
}

TEST(import, counts_add_up)
{
    PREPARED(f);
    struct step step = begun(f.db, arena, "acme/api");
    step.scanned = 500, step.stored = 480, step.duplicates = 15, step.failed = 5;
    check_ok(db_write(f.db, arena, progress_import, &step));
    check_ok(db_write(f.db, arena, progress_import, &step));
    struct source_import import = found(f.db, arena, step.import.public_id);
    check_int(import.scanned, 1000);
    check_int(import.stored, 960);
    check_int(import.duplicates, 30);
    check_int(import.failed, 10);
}

TEST(import, a_completed_one_is_where_the_next_begins)
{
    PREPARED(f);
    struct step step = begun(f.db, arena, "acme/api");
    step.end = (struct source_import_end){"completed", STR("abc123"), STR("{ \"v1\" : \"def\" }"), {0}};
    check_ok(db_write(f.db, arena, finish_import, &step));
    struct step next = begun(f.db, arena, "acme/api");
    check_str(next.import.last_sha, "abc123");
    check_str(next.import.last_tags, "{\"v1\":\"def\"}");
    check_str(found(f.db, arena, step.import.public_id).status, "completed");
    check_str(ask(&f, "SELECT last_sync_status FROM source"), "success");
}

TEST(import, full_begins_from_nothing)
{
    PREPARED(f);
    struct step step = begun(f.db, arena, "acme/api");
    step.end = (struct source_import_end){"completed", STR("abc123"), STR("{\"v1\":\"def\"}"), {0}};
    check_ok(db_write(f.db, arena, finish_import, &step));
    step.request.full = true;
    check_ok(db_write(f.db, arena, begin_import, &step));
    check_str(step.import.last_sha, "");
    check_str(step.import.last_tags, "{}");
}

TEST(import, a_cancelled_or_failed_one_keeps_the_old_position)
{
    PREPARED(f);
    static const char *const ends[] = {"cancelled", "failed"};
    for (int i = 0; i < 2; i++) {
        struct step step = begun(f.db, arena, "acme/api");
        step.end = (struct source_import_end){ends[i], STR("abc123"), {0}, STR("stopped")};
        check_ok(db_write(f.db, arena, finish_import, &step));
        check_str(found(f.db, arena, step.import.public_id).error, "stopped");
        check_str(begun(f.db, arena, "acme/api").import.last_sha, "");
    }
}

TEST(import, beginning_twice_with_one_idempotency_key_begins_once)
{
    PREPARED(f);
    struct step step = {.request = {.repo = STR("acme/api"), .branch = STR("main"), .idempotency = STR("k1")}};
    check_ok(db_write(f.db, arena, begin_import, &step));
    struct str first = step.import.public_id;
    check_ok(db_write(f.db, arena, begin_import, &step));
    check(str_eq(step.import.public_id, first));
    check_str(step.import.status, "running");
}

TEST(import, wrong_input_is_refused)
{
    PREPARED(f);
    struct source_import_request wrong[] = {
        {.repo = STR(""), .branch = STR("main")},
        {.repo = STR("acme/api"), .branch = STR("")},
        {.repo = STR("acme/\napi"), .branch = STR("main")},
        {.repo = STR("acme/\xff"), .branch = STR("main")},
        {.repo = STR("acme/a\0pi"), .branch = STR("main")},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct step step = {.request = wrong[i]};
        check_err(db_write(f.db, arena, begin_import, &step), ERR_INVALID);
    }
    struct step step = begun(f.db, arena, "acme/api");
    step.end = (struct source_import_end){.status = "done"};
    check_err(db_write(f.db, arena, finish_import, &step), ERR_INVALID);
    step.end = (struct source_import_end){.status = "completed", .tags = STR("[]")};
    check_err(db_write(f.db, arena, finish_import, &step), ERR_INVALID);
    step.import.id = 12345;
    step.end = (struct source_import_end){.status = "completed"};
    check_err(db_write(f.db, arena, finish_import, &step), ERR_NOT_FOUND);
}

TEST(import, list_is_newest_first_in_pages)
{
    PREPARED(f);
    for (int i = 0; i < 5; i++) begun(f.db, arena, str_z(arena, str_printf(arena, "acme/%d", i)));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct source_import *imports;
    size_t                count;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(source_import_list(tx, WS, 0, 3, &imports, &count));
    check_int(count, 3);
    check_str(imports[0].repo, "acme/4");
    check_ok(source_import_list(tx, WS, imports[2].id, 3, &imports, &count));
    check_int(count, 2);
    check_str(imports[1].repo, "acme/0");
    check_ok(source_import_list(tx, WS + 1, 0, 3, &imports, &count));
    check_int(count, 0);
}

TEST(import, history_goes_with_the_last_connected_source_that_imported_it)
{
    PREPARED(f);
    struct str *repos;
    size_t      n;
    struct step git = begun(f.db, arena, "Acme/API");
    struct step github = {.request = {.repo = STR("acme/api"), .branch = STR("main"), .github = true}};
    write_sql(&f, "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                  "connected_at) VALUES (1, 77, 'src_github', 'github', '42', '{\"repoFullName\":\"acme/api\"}', 0)");
    check_ok(db_write(f.db, arena, begin_import, &github));
    check_str(github.import.source_public_id, "src_github");
    begun(f.db, arena, "acme/web");
    imported(f.db, arena, STR("src_github"), &repos, &n);
    check_int(n, 0);
    write_sql(&f, "UPDATE source SET is_active = 0 WHERE provider_resource_id = 'git:acme/api'");
    imported(f.db, arena, STR("src_github"), &repos, &n);
    check_int(n, 1);
    check_str(repos[0], "acme/api");
    imported(f.db, arena, git.import.source_public_id, &repos, &n);
    check_int(n, 0);
}

static struct err *remove_with_data(struct db_tx *tx, void *arg)
{
    return source_remove(tx, WS, ((struct step *)arg)->import.source_public_id, true);
}

TEST(import, waits_until_what_was_imported_before_is_deleted)
{
    PREPARED(f);
    struct step step = begun(f.db, arena, "Acme/API"), other = begun(f.db, arena, "acme/web");
    other.end.status = "completed";
    check_ok(db_write(f.db, arena, finish_import, &other));
    check_ok(db_write(f.db, arena, remove_with_data, &step));
    check_err(db_write(f.db, arena, begin_import, &step), ERR_CONFLICT);
    begun(f.db, arena, "acme/web");
    write_sql(&f, "DELETE FROM flow_pending");
    write_sql(&f, "INSERT INTO flow_run (xid, workspace_id, function, status, source, cause, queued, ready, created_at, updated_at) "
                  "SELECT 'x', 1, 'source.cleanup', 'queued', public_id, 0, 1, 0, 0, 0 FROM source "
                  "WHERE provider_resource_id = 'git:acme/api'");
    check_err(db_write(f.db, arena, begin_import, &step), ERR_CONFLICT);
    write_sql(&f, "UPDATE flow_run SET status = 'completed', queued = 0, completed_at = 1");
    begun(f.db, arena, "acme/api");
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(import, begins_with_a_git_source_and_no_position),
        RUN(import, names_are_compared_ignoring_case),
        RUN(import, a_github_source_of_that_name_is_used_for_a_github_repository),
        RUN(import, its_end_connects_no_source_again),
        RUN(import, an_older_running_one_is_marked_interrupted),
        RUN(import, counts_add_up),
        RUN(import, a_completed_one_is_where_the_next_begins),
        RUN(import, full_begins_from_nothing),
        RUN(import, a_cancelled_or_failed_one_keeps_the_old_position),
        RUN(import, beginning_twice_with_one_idempotency_key_begins_once),
        RUN(import, wrong_input_is_refused),
        RUN(import, list_is_newest_first_in_pages),
        RUN(import, history_goes_with_the_last_connected_source_that_imported_it),
        RUN(import, waits_until_what_was_imported_before_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
