/* statistics.c - W/jobs/statistics, W/jobs/percentiles, W/performance, W/health (console.md 2.6). */
#include "api/call.h"

#include <math.h>

/* clang-format off */
static const struct { const char *name; int64_t hours; } ranges[] = {{"24h", 24}, {"7d", 168}, {"30d", 720}};
/* clang-format on */
static const char *const range_names[] = {"24h", "7d", "30d", NULL};
enum { MAX_HOURS = 720 };

static const struct api_field range_fields[] = {
    {"timeRange", NULL, API_ENUM, 0, .values = range_names, .otherwise = 0},
    {0},
};

static struct err *read_range(struct api_call *call, int *range)
{
    *range = 0;
    TRY(api_query_fields(call, range_fields, range));
    return api_check(call);
}

struct err *api_time_range(struct api_call *call, int64_t *hours)
{
    int range;
    TRY(read_range(call, &range));
    *hours = ranges[range].hours;
    return NULL;
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static const struct api_field hours_fields[] = {
    {"hours", NULL, API_INTEGER, 0, .least = 1, .most = 8760, .otherwise = 24},
    {0},
};

void api_put_job_counts(struct json_out *out, const struct activity_jobs *jobs)
{
    json_put(out, "total", jobs->total);
    json_begin(out, "byStatus", '{');
    json_put(out, "queued", jobs->queued);
    json_put(out, "running", jobs->running);
    json_put(out, "completed", jobs->completed);
    json_put(out, "failed", jobs->failed);
    json_put(out, "cancelled", jobs->cancelled);
    json_end(out);
    json_put(out, "avgDurationMs", jobs->mean);
    json_put(out, "successRate", jobs->success);
}

struct err *api_job_statistics(struct api_call *call)
{
    struct activity_jobs jobs;
    int64_t              hours = 0, now = time_now();
    TRY(api_query_fields(call, hours_fields, &hours));
    TRY(api_check(call));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_job_statistics(tx, call->workspace.id, now - HOURS(hours), 0, &jobs));
    struct json_out out = api_answer(call);
    json_put(&out, "hours", hours);
    api_put_job_counts(&out, &jobs);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_job_percentiles(struct api_call *call)
{
    struct activity_percentiles percentiles;
    int                         range;
    TRY(read_range(call, &range));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_job_percentiles(tx, call->workspace.id, time_now() - HOURS(ranges[range].hours), &percentiles));
    struct json_out out = api_answer(call);
    json_put(&out, "timeRange", ranges[range].name);
    json_put_bool(&out, "hasData", percentiles.samples > 0);
    json_put(&out, "sampleSize", percentiles.samples);
    json_put(&out, "p50", percentiles.p50);
    json_put(&out, "p95", percentiles.p95);
    json_put(&out, "p99", percentiles.p99);
    json_put(&out, "max", percentiles.most);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_performance(struct api_call *call)
{
    struct activity_hour *points = NEW_ARRAY(call->arena, struct activity_hour, MAX_HOURS);
    int                   range;
    TRY(read_range(call, &range));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_job_series(tx, call->workspace.id, points, (size_t)ranges[range].hours));
    struct json_out out = api_answer(call);
    json_put(&out, "timeRange", ranges[range].name);
    json_begin(&out, "data", '[');
    for (int64_t i = 0; i < ranges[range].hours; i++) {
        const struct activity_jobs *jobs = &points[i].jobs;
        json_begin(&out, NULL, '{');
        json_put_time(&out, "timestamp", points[i].at);
        json_put(&out, "jobCount", jobs->total);
        json_put(&out, "avgDuration", jobs->mean);
        if (jobs->completed + jobs->failed) json_put(&out, "successRate", (int64_t)llround(jobs->success));
        else json_put_null(&out, "successRate");
        json_end(&out);
    }
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

static void put_rates(struct json_out *out, const struct activity_jobs *jobs)
{
    json_put(out, "totalJobs24h", jobs->total);
    json_put(out, "successRate", jobs->success);
    json_put(out, "completedJobs", jobs->completed);
    json_put(out, "failedJobs", jobs->failed);
}

struct err *api_workspace_health(struct api_call *call)
{
    struct activity_health health;
    struct db_tx *tx       DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_health(tx, call->workspace.id, &health));
    struct json_out out = api_answer(call);
    json_put(&out, "workspaceHealth", activity_level_name(health.level));
    put_rates(&out, &health.jobs);
    json_begin(&out, "store", '{');
    json_put(&out, "health", activity_level_name(health.store_level));
    put_rates(&out, &health.store);
    json_end(&out);
    json_begin(&out, "sources", '[');
    for (size_t i = 0; i < health.source_count; i++) {
        const struct activity_source_health *source = &health.sources[i];
        json_begin(&out, NULL, '{');
        json_put(&out, "id", source->id);
        json_put(&out, "sourceType", source->source);
        json_put(&out, "name", source->name);
        json_put(&out, "health", activity_level_name(source->level));
        json_put(&out, "reason", source->reason);
        put_rates(&out, &source->jobs);
        json_end(&out);
    }
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}
