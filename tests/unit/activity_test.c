/* activity_test.c - the timeline: what is recorded, found, counted, exported, forgotten; and the statistics of jobs. */
#include "activity_world.h"

/* ---- the timeline ------------------------------------------------------------------------------------------------ */

TEST(activity, what_was_recorded_is_read_back_whole)
{
    FIXTURE(f);
    RECORD(&f, .org = 7,
           .actor = {ACTIVITY_API, STR("user_1"), STR("ada@example.com"), STR("203.0.113.9"), STR("key_1"), STR("curl/8"), STR("req-1")},
           .action = STR("apikey.revoked"), .entity_type = STR("api_key"), .entity_id = STR("key_2"), .entity_name = STR("ci"),
           .source = STR("github"), .changes = STR("{\"isActive\":{\"from\":true,\"to\":false}}"), .reason = STR("leaked"),
           .status = ACTIVITY_FAILURE, .impact = {1, 2, 3, 4}, .metadata = STR("{\"keyName\":\"ci\"}"), .job = STR("job_1"),
           .related = STR("act_1"), .ts = NOW - 5);
    struct listed all = LIST(&f);
    check_int(all.n, 1);
    struct json_out out = json_out(arena);
    activity_write(&out, NULL, &all.at[0]);
    struct str id = all.at[0].public_id;
    check(str_starts(id, STR("act_")));
    struct str expected = str_printf(
        arena,
        "{\"id\":\"" STR_FMT "\",\"orgId\":null,\"workspaceId\":\"" STR_FMT "\",\"actorType\":\"api\",\"actorUserId\":\"user_1\",\"actorEmail\":\"ada@example.com\","
        "\"actorIp\":\"203.0.113.9\",\"apiKeyId\":\"key_1\",\"userAgent\":\"curl/8\",\"requestId\":\"req-1\","
        "\"category\":\"api_key\",\"action\":\"apikey.revoked\",\"entityType\":\"api_key\",\"entityId\":\"key_2\","
        "\"entityName\":\"ci\",\"sourceType\":\"github\",\"changes\":{\"isActive\":{\"from\":true,\"to\":false}},"
        "\"reason\":\"leaked\",\"status\":\"failure\",\"impact\":{\"documents\":1,\"events\":2,\"errors\":3,"
        "\"durationMs\":4},\"metadata\":{\"keyName\":\"ci\"},\"jobId\":\"job_1\",\"relatedActivityId\":\"act_1\","
        "\"timestamp\":\"2026-01-05T14:29:59.995Z\",\"createdAt\":\"2026-01-05T14:30:00.000Z\"}",
        STR_ARG(id), STR_ARG(all.at[0].workspace_id));
    check_str(json_out_text(&out), str_z(arena, expected));
}

TEST(activity, the_organisation_is_the_workspaces_unless_stated)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "completed"));
    RECORD(&f, .action = STR("job.started"));
    RECORD(&f, .action = STR("job.started"), .org = 9);
    check_int(LIST(&f).at[1].org, 1);
    check_int(LIST(&f).at[0].org, 9);
}

TEST(activity, long_names_are_cut_and_bad_text_is_repaired)
{
    FIXTURE(f);
    char name[600];
    memset(name, 'n', sizeof name);
    RECORD(&f, .action = STR("job.started"), .entity_type = (struct str){name, 60}, .entity_id = (struct str){name, 200},
           .entity_name = (struct str){name, 600}, .reason = STR("a\xff"));
    struct activity found = LIST(&f).at[0];
    check_int(found.entity_type.n, 50);
    check_int(found.entity_id.n, 191);
    check_int(found.entity_name.n, 500);
    check_str(found.reason, "a\xef\xbf\xbd");
}

TEST(activity, a_page_ends_where_the_next_begins)
{
    FIXTURE(f);
    for (int i = 0; i < 5; i++) RECORD(&f, .action = STR("job.started"), .entity_id = str_printf(arena, "%d", i));
    struct listed first = LIST(&f, .limit = 2);
    check_int(first.n, 2);
    check_str(first.at[0].entity_id, "4");
    struct listed second = LIST(&f, .limit = 2, .before = first.at[1].id);
    check_str(second.at[0].entity_id, "2");
    check_int(LIST(&f, .limit = 2, .before = second.at[1].id).n, 1);
}

TEST(activity, each_filter_leaves_out_what_it_does_not_name)
{
    FIXTURE(f);
    RECORD(&f, .action = STR("job.cancelled"), .entity_type = STR("job"), .entity_id = STR("job_9"), .entity_name = STR("Import 100%"));
    RECORD(&f, .action = STR("integration.connected"), .source = STR("github"), .ts = NOW - DAYS(2),
           .metadata = STR("{\"repoFullName\":\"Acme/Platform\"}"));
    RECORD(&f, .action = STR("integration.config_updated"), .source = STR("linear"), .actor = {.type = ACTIVITY_SYSTEM});
    RECORD(&f, .action = STR("apikey.created"), .actor = {.type = ACTIVITY_API, .user = STR("user_1"), .email = STR("Ada@example.com")},
           .status = ACTIVITY_FAILURE);
    RECORD(&f, .action = STR("job.started"), .workspace = OTHER);
    const struct { struct activity_filter filter; size_t n; } rows[] = {
        {{0}, 4},
        {{.categories = (struct str[]){STR("job"), STR("api_key")}, .category_count = 2}, 2},
        {{.categories = (struct str[]){STR("job,integration")}, .category_count = 1}, 0},
        {{.sources = (struct str[]){STR("linear"), STR("git")}, .source_count = 2}, 1},
        {{.sources = (struct str[]){STR("%")}, .source_count = 1}, 0},
        {{.group = STR("jobs")}, 1},
        {{.group = STR("integrations")}, 2},
        {{.group = STR("connections")}, 1},
        {{.group = STR("errors")}, 1},
        {{.action = STR("apikey.created")}, 1},
        {{.actor_type = STR("system")}, 1},
        {{.actor_user = STR("user_1")}, 1},
        {{.status = STR("success")}, 3},
        {{.entity_type = STR("job"), .entity_id = STR("job_9")}, 1},
        {{.entity_id = STR("job_")}, 0},
        {{.query = STR("ADA@")}, 1},
        {{.query = STR("acme/plat")}, 1},
        {{.query = STR("100%")}, 1},
        {{.query = STR("_mport")}, 0},
        {{.query = STR("\\")}, 0},
        {{.from = NOW - DAYS(1)}, 3},
        {{.to = NOW}, 1},
        {{.from = NOW - DAYS(2), .to = NOW - DAYS(2) + 1}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = list(&f, rows[i].filter).n;
        if (n != rows[i].n) fail_msg("filter %zu finds %zu, expected %zu", i, n, rows[i].n);
    }
}

TEST(activity, the_chain_is_what_led_here_and_what_came_of_it)
{
    FIXTURE(f);
    RECORD(&f, .action = STR("integration.connected"));
    RECORD(&f, .action = STR("job.started"), .related = LIST(&f).at[0].public_id);
    struct activity middle = LIST(&f).at[0];
    RECORD(&f, .action = STR("job.cancelled"), .related = middle.public_id);
    RECORD(&f, .action = STR("job.started"));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct listed    chain;
    struct activity  found;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_get(tx, WORKSPACE, middle.public_id, &found));
    check_ok(activity_chain(tx, WORKSPACE, &found, &chain.at, &chain.n));
    check_int(chain.n, 2);
    check_str(chain.at[0].action, "integration.connected");
    check_str(chain.at[1].action, "job.cancelled");
}

TEST(activity, another_workspace_does_not_see_it)
{
    FIXTURE(f);
    RECORD(&f, .action = STR("job.started"));
    struct str       id = LIST(&f).at[0].public_id;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct activity  found;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_err(activity_get(tx, OTHER, id, &found), ERR_NOT_FOUND);
    check_err(activity_get(tx, WORKSPACE, STR("act_' OR 1=1"), &found), ERR_NOT_FOUND);
    check_ok(activity_get(tx, WORKSPACE, id, &found));
}

TEST(activity, an_organisation_sees_its_own_and_those_of_all_its_workspaces)
{
    FIXTURE(f);
    struct listed        all;
    struct org_workspace main = main_workspace(f.db, arena);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    RECORD(&f, .action = STR("apikey.created"));
    RECORD(&f, .action = STR("permission.member_joined"), .workspace = OTHER, .org = 1);
    RECORD(&f, .action = STR("apikey.revoked"), .workspace = OTHER, .org = 2);
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_list_of_org(tx, 1, &(struct activity_filter){0}, &all.at, &all.n));
    check_int(all.n, 2);
    check_str(all.at[0].action, "permission.member_joined");
    check(str_eq(all.at[0].org_id, main.org_public_id));
    check(!all.at[0].workspace_id.s); /* there is none of that number */
    check(str_eq(all.at[1].workspace_id, main.public_id));
    check_ok(activity_list_of_org(tx, 1, &(struct activity_filter){.action = STR("apikey.created"), .before = all.at[0].id}, &all.at, &all.n));
    check_int(all.n, 1);
    check_ok(activity_list_of_org(tx, 3, &(struct activity_filter){0}, &all.at, &all.n));
    check_int(all.n, 0);
}

TEST(activity, counts_are_by_category_actor_and_status_within_the_interval)
{
    FIXTURE(f);
    for (int i = 0; i < 3; i++) RECORD(&f, .action = STR("job.started"), .ts = NOW - i);
    RECORD(&f, .action = STR("job.started"), .actor = {.type = ACTIVITY_SYSTEM});
    struct db_tx *tx       DB_READ_SCOPE = NULL;
    struct activity_count *counts;
    size_t                 n;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_counts(tx, WORKSPACE, NOW - 2, NOW, &counts, &n));
    check_int(n, 1);
    check_str(counts[0].category, "job");
    check_str(counts[0].actor_type, "user");
    check_int(counts[0].n, 2);
}

/* ---- export ------------------------------------------------------------------------------------------------------ */

TEST(activity, csv_cells_are_quoted_and_formulas_defused)
{
    FIXTURE(f);
    RECORD(&f, .action = STR("job.started"), .entity_name = STR("=cmd|' /C calc'!A0"), .reason = STR("a, \"b\"\nc"),
           .entity_id = STR("@sum"), .source = STR("-1"));
    struct str csv;
    check_ok(activity_export(arena, f.db, WORKSPACE, &(struct activity_filter){.limit = 1}, ACTIVITY_CSV, &csv));
    struct str rest = csv, header;
    check(str_cut(&rest, '\n', &header));
    check(str_starts(header, STR("id,timestamp,category,action,status,")));
    check(str_ends(header, STR("createdAt\r")));
    check(mentions(rest, ",'@sum,'=cmd|' /C calc'!A0,'-1,,\"a, \"\"b\"\"\nc\","));
    size_t columns = 1, cells = 1;
    for (size_t i = 0; i < header.n; i++) columns += header.s[i] == ',';
    bool quoted = false;
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.s[i] == '"') quoted = !quoted;
        cells += rest.s[i] == ',' && !quoted;
    }
    check_int(cells, columns);
}

TEST(activity, json_export_is_an_array_of_what_passes_the_filter)
{
    FIXTURE(f);
    for (int i = 0; i < 30; i++) RECORD(&f, .action = i % 2 ? STR("job.started") : STR("job.cancelled"));
    struct str        text;
    const json_value *array;
    struct activity_filter filter = {.action = STR("job.started"), .limit = 3};
    check_ok(activity_export(arena, f.db, WORKSPACE, &filter, ACTIVITY_JSON, &text));
    check_ok(json_parse(arena, text, &array));
    check_int(json_count(array), 15);
    check_str(json_str(array, "14.action"), "job.started");
    check_ok(activity_export(arena, f.db, OTHER, &filter, ACTIVITY_JSON, &text));
    check_str(text, "[]");
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

TEST(activity, a_year_is_kept_and_two_of_what_concerns_access)
{
    FIXTURE(f);
    const struct { struct str action; int days; } rows[] = {
        {STR("job.started"), 364}, {STR("job.started"), 366},     {STR("auth.signed_in"), 729},
        {STR("auth.signed_in"), 731}, {STR("permission.role_changed"), 400}, {STR("apikey.created"), 400},
        {STR("search.query"), 400}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) RECORD(&f, .action = rows[i].action, .ts = NOW - DAYS(rows[i].days));
    int64_t deleted;
    check_ok(activity_sweep(f.db, arena, OTHER, 365, &deleted));
    check_int(deleted, 0);
    check_ok(activity_sweep(f.db, arena, WORKSPACE, 0, &deleted)); /* for ever */
    check_int(deleted, 0);
    check_ok(activity_sweep(f.db, arena, WORKSPACE, 365, &deleted));
    check_int(deleted, 3);
    check_int(LIST(&f).n, 4);
    check_ok(activity_sweep(f.db, arena, WORKSPACE, 90, &deleted));
    check_int(LIST(&f).n, 3); /* access is told for two years at least */
}

/* ---- statistics of jobs ------------------------------------------------------------------------------------------ */

struct run { const char *status; int64_t age, duration; const char *function, *source; };

static struct err *write_run(struct db_tx *tx, void *arg)
{
    const struct run *run = arg;
    int64_t           created = time_now() - run->age;
    static int        number;
    return db_exec(tx,
                   "INSERT INTO flow_run (xid, workspace_id, function, status, source, cause, queued, ready, created_at, "
                   "started_at, completed_at, updated_at) VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, $6, $7, $6)",
                   str_printf(tx->arena, "%d", number++), (int)WORKSPACE, run->function ? run->function : "sync.orchestrator",
                   run->status, run->source, created,
                   created + run->duration);
}

static void runs(struct prepared *f, struct run run, int n)
{
    for (int i = 0; i < n; i++) check_ok(db_write(f->db, f->arena, write_run, &run));
}

TEST(jobs, cancelled_queued_and_running_ones_never_count_into_the_success_rate)
{
    FIXTURE(f);
    runs(&f, (struct run){"failed", HOURS(30), 1}, 5); /* before the interval */
    runs(&f, (struct run){"completed", HOURS(3), 100}, 1);
    runs(&f, (struct run){"completed", HOURS(2), 201}, 1);
    runs(&f, (struct run){"failed", HOURS(2), 0}, 1);
    runs(&f, (struct run){"cancelled", HOURS(1), 0}, 4);
    runs(&f, (struct run){"queued", 0, 0}, 2);
    runs(&f, (struct run){"running", 0, 0}, 1);
    runs(&f, (struct run){"waiting", 0, 0}, 1);
    struct db_tx *tx     DB_READ_SCOPE = NULL;
    struct activity_jobs jobs;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_job_statistics(tx, WORKSPACE, NOW - HOURS(24), 0, &jobs));
    check_int(jobs.total, 11);
    check_int(jobs.queued, 2);
    check_int(jobs.running, 2);
    check_int(jobs.cancelled, 4);
    check_int(jobs.mean, 151);
    check_near(jobs.success, 66.7, 1e-9);
    check_ok(activity_job_statistics(tx, WORKSPACE, NOW - HOURS(48), NOW - HOURS(24), &jobs));
    check_int(jobs.failed, 5);
    check_near(jobs.success, 0, 0);
    check_ok(activity_job_statistics(tx, OTHER, 0, 0, &jobs));
    check_int(jobs.total, 0);
}

TEST(jobs, percentiles_are_values_that_occurred)
{
    FIXTURE(f);
    struct activity_percentiles p;
    for (int i = 1; i <= 20; i++) runs(&f, (struct run){"completed", HOURS(1), i * 10}, 1);
    runs(&f, (struct run){"completed", HOURS(1), 0}, 10); /* no duration: no sample */
    runs(&f, (struct run){"failed", HOURS(1), 9999}, 3);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_job_percentiles(tx, WORKSPACE, NOW - HOURS(24), &p));
    check_int(p.samples, 20);
    check_int(p.p50, 100);
    check_int(p.p95, 190);
    check_int(p.p99, 200);
    check_int(p.most, 200);
    check_ok(activity_job_percentiles(tx, OTHER, NOW - HOURS(24), &p));
    check_int(p.samples, 0);
    check_int(p.p99, 0);
}

TEST(jobs, the_series_has_a_point_for_every_hour_and_ends_with_this_one)
{
    FIXTURE(f);
    runs(&f, (struct run){"completed", HOURS(25), 10}, 1);            /* before the window */
    runs(&f, (struct run){"completed", HOURS(23) + MINUTES(30), 10}, 1); /* 15:00:00 yesterday: its first instant */
    runs(&f, (struct run){"failed", MINUTES(29), 0}, 1);
    runs(&f, (struct run){"completed", 0, 30}, 2);
    struct activity_hour points[24];
    struct db_tx *tx     DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_job_series(tx, WORKSPACE, points, 24));
    check_str(time_format(arena, points[0].at), "2026-01-04T15:00:00.000Z");
    check_str(time_format(arena, points[23].at), "2026-01-05T14:00:00.000Z");
    check_int(points[0].jobs.total, 1);
    check_int(points[1].jobs.total, 0);
    check_int(points[23].jobs.total, 3);
    check_int(points[23].jobs.mean, 30);
    check_near(points[23].jobs.success, 66.7, 1e-9);
}

static enum activity_level level_with(struct prepared *f, int completed, int failed)
{
    struct activity_health health;
    time_set(time_now() + DAYS(2)); /* past what was there */
    runs(f, (struct run){"completed", 0, 10}, completed);
    runs(f, (struct run){"failed", 0, 0}, failed);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f->db, f->arena, &tx));
    check_ok(activity_health(tx, WORKSPACE, &health));
    return health.level;
}

TEST(jobs, health_is_the_success_rate_of_a_day)
{
    FIXTURE(f);
    check_int(level_with(&f, 0, 0), ACTIVITY_HEALTHY);
    check_int(level_with(&f, 95, 5), ACTIVITY_HEALTHY);
    check_int(level_with(&f, 94, 6), ACTIVITY_DEGRADED);
    check_int(level_with(&f, 80, 20), ACTIVITY_DEGRADED);
    check_int(level_with(&f, 79, 21), ACTIVITY_DOWN);
}

TEST(jobs, a_source_has_the_health_of_its_own_jobs_and_degrades_the_workspace)
{
    FIXTURE(f);
    struct activity_health health;
    check_ok(db_write(f.db, arena, write_source, "failed"));
    runs(&f, (struct run){"completed", 0, 10}, 99);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_health(tx, WORKSPACE, &health));
    check_int(health.level, ACTIVITY_HEALTHY);
    check_int(health.source_count, 1);
    check_int(health.sources[0].level, ACTIVITY_DEGRADED);
    check_str(str_of(health.sources[0].reason), "The last sync failed");
    db_read_end(&tx);
    runs(&f, (struct run){"failed", 0, 0, .source = "src_1"}, 1);
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_health(tx, WORKSPACE, &health));
    check_int(health.sources[0].level, ACTIVITY_DOWN);
    check_int(health.sources[0].jobs.failed, 1);
    check_int(health.level, ACTIVITY_DEGRADED); /* 99 % by itself */
}

TEST(jobs, a_store_that_is_down_takes_the_workspace_along)
{
    FIXTURE(f);
    struct activity_health health;
    runs(&f, (struct run){"completed", 0, 10}, 99);
    runs(&f, (struct run){"failed", 0, 0, .function = "neural.observation.embed"}, 1);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_health(tx, WORKSPACE, &health));
    check_int(health.store.failed, 1);
    check_int(health.store_level, ACTIVITY_DOWN);
    check_int(health.level, ACTIVITY_DOWN);
}

TEST(jobs, a_change_from_nothing_is_new)
{
    double percent;
    (void)arena;
    check(activity_change(3, 4, &percent));
    check_near(percent, 33.3, 1e-9);
    check(activity_change(0, 0, &percent));
    check_near(percent, 0, 0);
    check(!activity_change(0, 5, &percent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(activity, what_was_recorded_is_read_back_whole),
        RUN(activity, the_organisation_is_the_workspaces_unless_stated),
        RUN(activity, long_names_are_cut_and_bad_text_is_repaired),
        RUN(activity, a_page_ends_where_the_next_begins),
        RUN(activity, each_filter_leaves_out_what_it_does_not_name),
        RUN(activity, the_chain_is_what_led_here_and_what_came_of_it),
        RUN(activity, another_workspace_does_not_see_it),
        RUN(activity, an_organisation_sees_its_own_and_those_of_all_its_workspaces),
        RUN(activity, counts_are_by_category_actor_and_status_within_the_interval),
        RUN(activity, csv_cells_are_quoted_and_formulas_defused),
        RUN(activity, json_export_is_an_array_of_what_passes_the_filter),
        RUN(activity, a_year_is_kept_and_two_of_what_concerns_access),
        RUN(jobs, cancelled_queued_and_running_ones_never_count_into_the_success_rate),
        RUN(jobs, percentiles_are_values_that_occurred),
        RUN(jobs, the_series_has_a_point_for_every_hour_and_ends_with_this_one),
        RUN(jobs, health_is_the_success_rate_of_a_day),
        RUN(jobs, a_source_has_the_health_of_its_own_jobs_and_degrades_the_workspace),
        RUN(jobs, a_store_that_is_down_takes_the_workspace_along),
        RUN(jobs, a_change_from_nothing_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
