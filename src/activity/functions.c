/* functions.c - what the engine runs for this room: activities that come as events, the hourly and the daily upkeep. */
#include "activity/inside.h"

#include "base/log.h"
#include "base/time.h"

static struct str json_or_none(struct arena *arena, const json_value *value)
{
    return json_is_object(value) ? json_text(arena, value) : (struct str){0};
}

/* The data of activity.record as an activity. */
static struct err *read_event(struct db_tx *tx, const struct flow_event *event, struct activity *activity)
{
    const json_value *data;
    TRY(json_parse(tx->arena, event->data, &data));
    *activity = (struct activity){
        .workspace = event->workspace,
        .actor = {(enum activity_actor_type)activity_position(activity_actor_types, json_str(data, "actorType")),
                  json_str(data, "actorUserId"), json_str(data, "actorEmail"), json_str(data, "actorIp"),
                  json_str(data, "apiKeyId"), json_str(data, "userAgent"), json_str(data, "requestId")},
        .action = json_str(data, "action"),
        .entity_type = json_str(data, "entityType"),
        .entity_id = json_str(data, "entityId"),
        .entity_name = json_str(data, "entityName"),
        .source = json_str(data, "sourceType"),
        .changes = json_or_none(tx->arena, json_get(data, "changes")),
        .reason = json_str(data, "reason"),
        .status = (enum activity_status)activity_position(activity_statuses, json_str(data, "status")),
        .impact = {json_int(data, "impact.documents", 0), json_int(data, "impact.events", 0),
                   json_int(data, "impact.errors", 0), json_int(data, "impact.durationMs", 0)},
        .metadata = json_or_none(tx->arena, json_get(data, "metadata")),
        .job = json_str(data, "jobId"),
        .related = json_str(data, "relatedActivityId"),
        .ts = event->ts,
    };
    struct str time = json_str(data, "timestamp");
    if (time.s && !time_parse(time, &activity->ts)) activity->ts = event->ts;
    return NULL;
}

/* One that makes no sense must not keep the others of its batch out. */
static struct err *write_batch(struct db_tx *tx, void *arg)
{
    struct flow_run *run = arg;
    for (size_t i = 0; i < run->event_count; i++) {
        struct activity activity;
        struct err     *err = read_event(tx, &run->events[i], &activity);
        if (!err) err = activity_record(tx, &activity);
        if (err && err->code != ERR_INVALID) return err;
        if (err)
            log_warn("activity", "event " STR_FMT " is no activity: " STR_FMT, STR_ARG(run->events[i].id),
                     STR_ARG(err_text(tx->arena, err)));
    }
    return flow_complete_in(run, tx);
}

static struct err *run_record(struct flow_run *run)
{
    return db_write(run->db, run->arena, write_batch, run);
}

/* ---- upkeep ---------------------------------------------------------------------------------------------------------- */

static struct err *sweep(struct flow_run *run, void *arg, struct str *result)
{
    static const struct activity_periods usual = {0};
    int64_t deleted = 0;
    (void)arg;
    TRY(activity_retention_sweep(run, run->context ? run->context : &usual, &deleted));
    *result = str_printf(run->arena, "{\"status\":\"success\",\"deleted\":%lld}", (long long)deleted);
    return NULL;
}

static struct err *run_evaluation(struct flow_run *run)
{
    int64_t changed;
    TRY(activity_evaluate(run->db, run->arena, &changed));
    flow_output(run, str_printf(run->arena, "{\"status\":\"success\",\"changed\":%lld}", (long long)changed));
    return NULL;
}

static struct err *roll(struct flow_run *run, void *arg, struct str *result)
{
    int64_t hours;
    (void)arg;
    TRY(activity_metrics_roll(run, &hours));
    *result = str_printf(run->arena, "{\"status\":\"success\",\"hours\":%lld}", (long long)hours);
    return NULL;
}

static struct err *run_retention(struct flow_run *run)
{
    struct str output;
    TRY(flow_step(run, "sweep", sweep, NULL, &output));
    flow_output(run, output);
    return NULL;
}

static struct err *run_rollup(struct flow_run *run)
{
    struct str output;
    TRY(flow_step(run, "roll", roll, NULL, &output));
    flow_output(run, output);
    return NULL;
}

/* workflow-engine.md 9 */
static const struct flow_function record_activity = {
    .name = "record-activity",
    .on = "activity.record",
    .run = run_record,
    .retries = 3,
    .system = true,
    .batch = {.max = 100, .timeout = SECONDS(10)},
    .start_within = SECONDS(30),
    .finish_within = MINUTES(2),
};

static const struct flow_function retention_sweep = {
    .name = "retention.sweep",
    .cron = "@daily",
    .run = run_retention,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1, .per_run = true}},
    .start_within = MINUTES(1),
    .finish_within = HOURS(1),
};

/* Some minutes after the hour: its last samples are written by then. */
static const struct flow_function metrics_rollup = {
    .name = "metrics.rollup",
    .cron = "5 * * * *",
    .run = run_rollup,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1, .per_run = true}},
    .start_within = MINUTES(1),
    .finish_within = HOURS(1),
};

static const struct flow_function health_evaluate = {
    .name = "health.evaluate",
    .cron = "* * * * *",
    .run = run_evaluation,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1, .per_run = true}},
    .start_within = MINUTES(1),
    .finish_within = HOURS(1),
};

const struct flow_function *const activity_functions[] = {&record_activity, &health_evaluate, &metrics_rollup,
                                                          &retention_sweep};
const size_t activity_function_count = sizeof activity_functions / sizeof *activity_functions;
