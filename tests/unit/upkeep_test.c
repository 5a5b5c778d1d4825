/* upkeep_test.c - what the engine and the recorder write beside the work: activities, metrics; what they forget. */
#include "activity_world.h"

#include <pthread.h>

/* ---- functions of the engine ------------------------------------------------------------------------------------- */

static struct err *send_events(struct db_tx *tx, void *arg)
{
    static const char *const data[] = {
        ("{\"action\":\"document.indexed\",\"actorType\":\"system\",\"entityId\":\"src_1\",\"metadata\":{\"chunks\":3},"
        "\"impact\":{\"documents\":2},\"status\":\"failure\",\"timestamp\":\"2026-01-01T00:00:00Z\"}"),
        "{\"action\":\"gossip.heard\"}", "{\"action\":\"job.started\",\"actorType\":\"webhook\"}"};
    (void)arg;
    for (size_t i = 0; i < 3; i++)
        TRY(flow_send(tx, .workspace = WORKSPACE, .name = STR("activity.record"), .data = str_of(data[i])));
    return NULL;
}

TEST(functions, events_become_activities_in_batches_and_a_wrong_one_keeps_none_out)
{
    FIXTURE(f);
    struct flow *flow = flow_create(f.db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, arena, activity_functions, activity_function_count, NULL));
    check_ok(flow_start(flow, arena));
    check_ok(db_write(f.db, arena, send_events, NULL));
    flow_settle(flow);
    time_set(NOW + SECONDS(11));
    flow_settle(flow);
    struct listed all = LIST(&f);
    check_int(all.n, 2);
    check_str(all.at[0].action, "job.started");
    check_int(all.at[0].actor.type, ACTIVITY_WEBHOOK);
    check_int(all.at[0].ts, NOW);
    check_str(all.at[1].category, "document");
    check_str(all.at[1].metadata, "{\"chunks\":3}");
    check_int(all.at[1].impact.documents, 2);
    check_int(all.at[1].status, ACTIVITY_FAILURE);
    check_str(time_format(arena, all.at[1].ts), "2026-01-01T00:00:00.000Z"); /* of the event, not of the batch */
    flow_stop(flow);
    flow_destroy(flow);
}

static struct err *run_failing(struct flow_run *run)
{
    return err_new(run->arena, ERR_INVALID, "no such repository");
}

static const struct flow_function failing = {.name = "sync", .on = "sync.requested", .run = run_failing, .title = "\"Sync \" + name"};

static struct err *send_sync(struct db_tx *tx, void *arg)
{
    (void)arg;
    return flow_send(tx, .workspace = WORKSPACE, .name = STR("sync.requested"), .data = STR("{\"name\":\"acme/api\"}"));
}

TEST(functions, a_job_that_failed_is_told_with_its_reason)
{
    FIXTURE(f);
    struct flow *flow = flow_create(f.db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, arena, activity_functions, activity_function_count, NULL));
    check_ok(flow_register(flow, arena, (const struct flow_function *const[]){&failing}, 1, NULL));
    activity_watch_jobs(NULL, flow);
    check_ok(flow_start(flow, arena));
    check_ok(db_write(f.db, arena, send_sync, NULL));
    flow_settle(flow);
    struct listed all = LIST(&f, .action = STR("job.failed"));
    check_int(all.n, 1);
    check_str(all.at[0].entity_name, "Sync acme/api");
    check(str_starts(all.at[0].job, STR("job_")));
    check_int(all.at[0].status, ACTIVITY_FAILURE);
    check_int(all.at[0].actor.type, ACTIVITY_SYSTEM);
    check(mentions(all.at[0].metadata, "no such repository"));
    flow_stop(flow);
    flow_destroy(flow);
}

TEST(functions, what_is_past_its_time_is_forgotten_within_a_day)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    RECORD(&f, .action = STR("job.started"), .ts = NOW - DAYS(366));
    RECORD(&f, .action = STR("job.started"));
    struct flow *flow = flow_create(f.db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, arena, activity_functions, activity_function_count, NULL));
    check_ok(flow_start(flow, arena));
    time_set(NOW + DAYS(1));
    flow_settle(flow);
    check_int(LIST(&f).n, 1);
    flow_stop(flow);
    flow_destroy(flow);
}

/* ---- jobs --------------------------------------------------------------------------------------------------------- */

static struct err *run_fine(struct flow_run *run)
{
    flow_output(run, STR("{\"status\":\"success\"}"));
    return NULL;
}

static struct err *run_capture(struct flow_run *run)
{
    const json_value *data = flow_data(run);
    flow_input(run, STR("{\"source\":\"github\",\"sourceType\":\"push\"}"));
    flow_output(run, json_str(data, "output"));
    return NULL;
}

static struct err *send_named(struct db_tx *tx, void *message)
{
    return flow_send_many(tx, message, 1, NULL);
}

static void send(struct prepared *f, const char *name, struct str data)
{
    struct flow_message message = {.workspace = WORKSPACE, .name = str_of(name), .data = data, .cause = FLOW_WEBHOOK};
    check_ok(db_write(f->db, f->arena, send_named, &message));
}

static const struct flow_function fine = {.name = "sync.orchestrator", .on = "sync", .run = run_fine};
static const struct flow_function upkeep = {.name = "upkeep", .on = "sync", .run = run_fine, .system = true};
static const struct flow_function capture = {.name = "neural.observation.capture", .on = "capture", .run = run_capture};

TEST(told, a_jobs_beginning_and_end_are_told_and_hidden_ones_are_not)
{
    FIXTURE(f);
    struct flow *flow = flow_create(f.db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, arena, (const struct flow_function *const[]){&fine, &upkeep, &capture}, 3, NULL));
    activity_watch_jobs(NULL, flow);
    check_ok(flow_start(flow, arena));
    send(&f, "sync", STR("{}"));
    send(&f, "capture", STR("{}"));
    flow_settle(flow);
    struct listed all = LIST(&f);
    check_int(all.n, 2);
    check_str(all.at[1].action, "job.started");
    check_int(all.at[1].status, ACTIVITY_IN_PROGRESS);
    check_str(all.at[0].action, "job.completed");
    check_str(all.at[0].job, str_z(arena, all.at[1].job));
    check_str(all.at[0].metadata, "{\"jobName\":\"sync.orchestrator\",\"functionId\":\"sync.orchestrator\",\"trigger\":\"webhook\"}");
    flow_destroy(flow);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------ */

static struct err *write_sample(struct db_tx *tx, void *sample)
{
    return activity_sample_write(tx, sample);
}

static void measure(struct prepared *f, struct activity_sample sample)
{
    if (!sample.workspace) sample.workspace = WORKSPACE;
    if (!sample.type.n) sample.type = STR("job_duration");
    if (!sample.n) sample.n = 1;
    if (!sample.at) sample.at = time_now();
    check_ok(db_write(f->db, f->arena, write_sample, &sample));
}
#define MEASURE(f, ...) measure((f), (struct activity_sample){__VA_ARGS__})

static struct activity_points series(struct prepared *f, struct activity_series asked)
{
    struct activity_points points;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    if (!asked.workspace) asked.workspace = WORKSPACE;
    if (!asked.type.n) asked.type = STR("job_duration");
    if (!asked.interval) asked.interval = HOURS(1);
    if (!asked.to) asked.to = NOW + DAYS(100);
    check_ok(db_read_begin(f->db, f->arena, &tx));
    check_ok(activity_metric_series(tx, &asked, &points));
    return points;
}
#define SERIES(f, ...) series((f), (struct activity_series){__VA_ARGS__})

static int64_t rows_of(struct prepared *f, const char *table)
{
    return count(f, str_z(f->arena, str_printf(f->arena, "SELECT COUNT(*) FROM %s", table)));
}

/* Let the engine roll up and sweep as of now: a day's crons. */
static void upkeep_until(struct prepared *f, int64_t now)
{
    struct flow *flow = flow_create(f->db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, f->arena, activity_functions, activity_function_count, NULL));
    check_ok(flow_start(flow, f->arena));
    flow_settle(flow); /* what was missed meanwhile */
    time_set(now);
    flow_settle(flow);
    flow_destroy(flow);
}

TEST(metrics, percentiles_of_many_values_are_within_one_percent)
{
    FIXTURE(f);
    for (int i = 1; i <= 1000; i++) MEASURE(&f, .value = i * 7);
    struct activity_points points = SERIES(&f, .source = STR(""));
    check_int(points.n, 1);
    check_int(points.at[0].n, 1000);
    check_near(points.at[0].total, 3503500, 0.1);
    check_near(points.at[0].least, 7, 0);
    check_near(points.at[0].most, 7000, 0);
    check_near(points.at[0].p50, 3500, 35);
    check_near(points.at[0].p95, 6650, 67);
    check_near(points.at[0].p99, 6930, 70);
}

TEST(metrics, the_series_is_the_same_from_samples_and_from_the_hours)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    for (int i = 0; i < 50; i++) {
        MEASURE(&f, .value = i, .at = NOW - MINUTES(i), .tags = i % 2 ? STR("{\"trigger\":\"manual\"}") : STR("{\"trigger\":\"webhook\"}"));
        MEASURE(&f, .value = i, .at = NOW - MINUTES(i), .workspace = OTHER);
    }
    struct activity_points before = SERIES(&f, .group = STR("trigger"));
    upkeep_until(&f, NOW + HOURS(1));
    check_int(rows_of(&f, "metric_hour"), 4);
    struct activity_points after = SERIES(&f, .group = STR("trigger"));
    check_int(after.n, before.n);
    for (size_t i = 0; i < after.n; i++) {
        check_int(after.at[i].at, before.at[i].at);
        check_str(after.at[i].group, str_z(arena, before.at[i].group));
        check_int(after.at[i].n, before.at[i].n);
        check_near(after.at[i].total, before.at[i].total, 1e-9);
        check_near(after.at[i].p95, before.at[i].p95, 1e-9);
        check_near(after.at[i].least, before.at[i].least, 0);
    }
    check_int(SERIES(&f, .interval = DAYS(1)).n, 1);
    check_int(SERIES(&f, .interval = DAYS(1)).at[0].n, 50);
}

TEST(metrics, hours_outlive_their_samples_and_the_workspace_says_how_long)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    MEASURE(&f, .value = 5);
    upkeep_until(&f, NOW + DAYS(31));
    check_int(rows_of(&f, "metric_sample"), 0);
    check_int(SERIES(&f, .source = STR("")).at[0].n, 1);
    upkeep_until(&f, NOW + DAYS(366));
    check_int(rows_of(&f, "metric_hour"), 0);
}

TEST(metrics, a_filter_by_source_and_an_interval_leave_out_the_rest)
{
    FIXTURE(f);
    MEASURE(&f, .value = 1, .source = STR("src_1"));
    MEASURE(&f, .value = 2, .source = STR("src_2"));
    MEASURE(&f, .value = 4, .at = NOW - HOURS(2));
    MEASURE(&f, .value = 8, .type = STR("errors"));
    check_near(SERIES(&f, .source = STR("src_2")).at[0].total, 2, 0);
    check_int(SERIES(&f, .from = NOW / HOURS(1) * HOURS(1)).n, 1);
    check_int(SERIES(&f, .to = NOW / HOURS(1) * HOURS(1)).n, 1);
    check_int(SERIES(&f, .group = STR("trigger")).n, 2);
    check(activity_metric_unit(STR("gossip")) == NULL);
}

/* ---- the recorder ------------------------------------------------------------------------------------------------- */

TEST(recorder, what_was_handed_over_is_written_at_the_latest_when_it_stops)
{
    FIXTURE(f);
    struct activity_recorder *recorder = activity_recorder_start(f.db);
    struct flow *flow = flow_create(f.db, (struct flow_config){.workers = 1});
    check_ok(flow_register(flow, arena, (const struct flow_function *const[]){&capture, &fine}, 2, NULL));
    activity_watch_jobs(recorder, flow);
    check_ok(flow_start(flow, arena));
    send(&f, "capture", STR("{\"output\":\"{\\\"status\\\":\\\"success\\\",\\\"observationType\\\":\\\"push\\\","
                            "\\\"entitiesExtracted\\\":3,\\\"clusterId\\\":\\\"clu_1\\\",\\\"clusterIsNew\\\":true}\"}"));
    send(&f, "capture", STR("{\"output\":\"{\\\"status\\\":\\\"filtered\\\",\\\"reason\\\":\\\"duplicate\\\"}\"}"));
    send(&f, "capture", STR("{\"output\":\"{\\\"status\\\":\\\"filtered\\\",\\\"reason\\\":\\\"below_threshold\\\"}\"}"));
    send(&f, "capture", STR("{\"output\":\"{\\\"status\\\":\\\"filtered\\\",\\\"reason\\\":\\\"event_not_allowed\\\"}\"}"));
    flow_settle(flow);
    flow_destroy(flow);
    activity_recorder_stop(recorder);
    const struct { const char *type; double total; } rows[] = {
        {"observation_captured", 1}, {"entities_extracted", 3}, {"cluster_assigned", 1}, {"observation_duplicate", 1},
        {"observation_below_threshold", 1}, {"observation_filtered", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct activity_points points = SERIES(&f, .type = str_of(rows[i].type), .group = STR("sourceType"));
        check_int(points.n, 1);
        check_near(points.at[0].total, rows[i].total, 0);
    }
    check_int(SERIES(&f, .group = STR("jobType")).at[0].n, 4);
}

TEST(recorder, a_flood_becomes_a_few_rows_that_say_how_many)
{
    FIXTURE(f);
    struct activity_recorder *recorder = activity_recorder_start(f.db);
    for (int i = 0; i < 1000; i++)
        activity_note(recorder, &(struct activity){.workspace = WORKSPACE, .action = STR("search.query")});
    activity_note(recorder, &(struct activity){.workspace = OTHER, .action = STR("search.query")});
    activity_note(recorder, &(struct activity){.workspace = WORKSPACE, .action = STR("gossip.heard")});
    activity_recorder_stop(recorder);
    int64_t events = 0, rows = rows_of(&f, "activity"), single = 0;
    struct listed all = LIST(&f, .limit = 1000);
    for (size_t i = 0; i < all.n; i++) {
        events += all.at[i].impact.events ? all.at[i].impact.events : 1;
        single += !all.at[i].impact.events;
    }
    check_int(events, 1000);
    check(single >= 50 && single < 1000);
    check_int(rows, all.n + 1);
}

static void *hand_over(void *recorder)
{
    for (int i = 0; i < 500; i++) {
        activity_measure(recorder, &(struct activity_sample){.workspace = WORKSPACE, .type = STR("errors"), .value = 1,
                                                             .n = 1, .at = time_now()});
        activity_note(recorder, &(struct activity){.workspace = WORKSPACE, .action = STR("search.query")});
        activity_look_at_deliveries(recorder);
    }
    return NULL;
}

TEST(recorder, many_threads_hand_over_at_once_and_nothing_is_lost)
{
    FIXTURE(f);
    pthread_t threads[4];
    struct activity_recorder *recorder = activity_recorder_start(f.db);
    for (int i = 0; i < 4; i++) check_int(pthread_create(&threads[i], NULL, hand_over, recorder), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    activity_recorder_stop(recorder);
    check_near(SERIES(&f, .type = STR("errors")).at[0].total, 2000, 0);
    int64_t events = 0;
    struct listed all = LIST(&f, .limit = 1000);
    for (size_t i = 0; i < all.n; i++) events += all.at[i].impact.events ? all.at[i].impact.events : 1;
    check_int(events, 2000);
}

struct received { const char *outcome; int workspace; };

static struct err *write_delivery(struct db_tx *tx, void *arg)
{
    static int number;
    const struct received *received = arg;
    struct db_rows rows;
    int64_t        id = 0;
    TRY(db_query(tx, &rows,
                 "INSERT INTO inbound_delivery (public_id, source, delivery_id, event, body_digest, headers, received_at, "
                 "http_status, outcome) VALUES ($1, 'github', 'd', 'push', '', '{}', $2, 200, $3) RETURNING id",
                 str_printf(tx->arena, "dlv_%d", number++), time_now() - SECONDS(3), received->outcome));
    db_next(&rows, &id);
    TRY(db_done(&rows));
    if (!received->workspace) return NULL;
    return db_exec(tx, "INSERT INTO inbound_delivery_share (workspace_id, delivery, source_id) VALUES ($1, $2, 1)",
                   received->workspace, id);
}

TEST(recorder, every_delivery_of_a_workspace_is_told_once_with_its_time)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    const struct received received[] = {{"processed", WORKSPACE}, {"rejected", 0}, {"failed", WORKSPACE}};
    for (size_t i = 0; i < 3; i++) check_ok(db_write(f.db, arena, write_delivery, (void *)&received[i]));
    for (int i = 0; i < 2; i++) {
        struct activity_recorder *recorder = activity_recorder_start(f.db);
        activity_look_at_deliveries(recorder);
        activity_recorder_stop(recorder);
    }
    struct listed all = LIST(&f);
    check_int(all.n, 2);
    check_int(all.at[0].status, ACTIVITY_FAILURE);
    check_str(all.at[1].action, "integration.webhook_received");
    check_int(all.at[1].actor.type, ACTIVITY_WEBHOOK);
    check_int(all.at[1].ts, NOW - SECONDS(3));
    check_str(all.at[1].metadata,
              "{\"deliveryId\":\"d\",\"eventType\":\"push\",\"outcome\":\"processed\",\"sourceId\":\"src_1\"}");
}

/* ---- health ------------------------------------------------------------------------------------------------------- */

static struct err *write_jobs(struct db_tx *tx, void *arg)
{
    static int  number;
    const char *status = arg;
    for (int i = 0; i < 10; i++)
        TRY(db_exec(tx, "INSERT INTO flow_run (xid, workspace_id, function, status, cause, queued, ready, created_at, "
                        "started_at, completed_at, updated_at) VALUES ($1, 1, 'sync', $2, 0, 0, 0, $3, $3, $3, $3)",
                    str_printf(tx->arena, "h%d", number++), status, time_now()));
    return NULL;
}

/* The minutes that passed, each with its evaluation; what is told of health after it, oldest first. */
static struct str told_of_health(struct prepared *f, int minutes)
{
    struct buf told = buf_in(f->arena);
    for (int i = 0; i < minutes; i++) upkeep_until(f, time_now() + MINUTES(1));
    struct listed all = LIST(f, .categories = (struct str[]){STR("workspace")}, .category_count = 1);
    for (size_t i = all.n; i-- > 0;)
        buf_printf(&told, STR_FMT " ", STR_ARG(str_skip(all.at[i].action, strlen("workspace.health_"))));
    return buf_str(&told);
}

TEST(health, what_is_held_twice_is_told_once_and_so_is_the_recovery)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    check_str(told_of_health(&f, 2), "");
    check_ok(db_write(f.db, arena, write_jobs, "completed"));
    check_ok(db_write(f.db, arena, write_jobs, "failed")); /* 50 %: down */
    check_str(told_of_health(&f, 1), "");
    check_str(told_of_health(&f, 1), "degraded ");
    check_str(told_of_health(&f, 2), "degraded ");
    struct activity told = LIST(&f, .action = STR("workspace.health_degraded")).at[0];
    check_str(told.metadata, "{\"level\":\"down\",\"rate\":50}");
    check_str(told.reason, "Too many jobs of the last 24 hours failed");
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct activity_level_count *counts;
    size_t n;
    check_ok(db_read_begin(f.db, arena, &tx));
    check_ok(activity_levels(tx, &counts, &n));
    check_int(n, 1);
    check_str(counts[0].level, "down");
    db_read_end(&tx);
    time_set(time_now() + DAYS(2)); /* the failures are out of sight; two evaluations: the missed one and the next */
    check_str(told_of_health(&f, 1), "degraded recovered ");
}

/* ---- retention ---------------------------------------------------------------------------------------------------- */

static struct err *keep_payloads_a_week(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "UPDATE workspace SET settings = '{\"retention\":{\"payloadDays\":7,\"activityDays\":-1,\"jobDays\":\"x\"}}'"));
    for (int i = 0; i < 450; i++)
        TRY(db_exec(tx, "INSERT INTO ingestion_payload (workspace_id, source, delivery_id, event_type, payload, payload_bytes, "
                        "headers, received_at, ingestion_source, created_at) VALUES (1, 'github', $1, 'push', 'x', 1, '{}', "
                        "$2, 'webhook', $2)",
                    str_printf(tx->arena, "%d", i), i < 449 ? NOW - DAYS(8) : NOW - DAYS(6)));
    return NULL;
}

TEST(retention, payloads_and_deliveries_are_kept_as_long_as_stated)
{
    FIXTURE(f);
    check_ok(db_write(f.db, arena, write_source, "success"));
    check_ok(db_write(f.db, arena, keep_payloads_a_week, NULL));
    RECORD(&f, .action = STR("job.started"), .ts = NOW - DAYS(300)); /* a period that cannot be is none */
    const struct received received = {"processed", WORKSPACE};
    time_set(NOW - DAYS(31));
    for (int i = 0; i < 1100; i++) check_ok(db_write(f.db, arena, write_delivery, (void *)&received));
    time_set(NOW - DAYS(20));
    check_ok(db_write(f.db, arena, write_delivery, (void *)&received));
    sql_write(f.db, arena, "UPDATE inbound_delivery SET id_key = 7 * id, body_key = -id");
    sql_write(f.db, arena, "INSERT INTO inbound_delivery_key (key, delivery) SELECT id_key, id FROM inbound_delivery "
                           "UNION ALL SELECT body_key, id FROM inbound_delivery");
    upkeep_until(&f, NOW);
    check_int(rows_of(&f, "ingestion_payload"), 1);
    check_int(rows_of(&f, "inbound_delivery_key"), 2);
    check_int(rows_of(&f, "inbound_delivery"), 1);
    check_int(rows_of(&f, "inbound_delivery_share"), 1);
    check_int(LIST(&f).n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(functions, events_become_activities_in_batches_and_a_wrong_one_keeps_none_out),
        RUN(functions, a_job_that_failed_is_told_with_its_reason),
        RUN(functions, what_is_past_its_time_is_forgotten_within_a_day),
        RUN(told, a_jobs_beginning_and_end_are_told_and_hidden_ones_are_not),
        RUN(metrics, percentiles_of_many_values_are_within_one_percent),
        RUN(metrics, the_series_is_the_same_from_samples_and_from_the_hours),
        RUN(metrics, hours_outlive_their_samples_and_the_workspace_says_how_long),
        RUN(metrics, a_filter_by_source_and_an_interval_leave_out_the_rest),
        RUN(recorder, what_was_handed_over_is_written_at_the_latest_when_it_stops),
        RUN(recorder, a_flood_becomes_a_few_rows_that_say_how_many),
        RUN(recorder, many_threads_hand_over_at_once_and_nothing_is_lost),
        RUN(recorder, every_delivery_of_a_workspace_is_told_once_with_its_time),
        RUN(health, what_is_held_twice_is_told_once_and_so_is_the_recovery),
        RUN(retention, payloads_and_deliveries_are_kept_as_long_as_stated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
