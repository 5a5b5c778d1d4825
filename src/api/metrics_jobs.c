/* metrics_jobs.c - what GET /metrics tells of the engine (workflow-engine.md 6), its jobs and what they capture. */
#include "api/metrics.h"
#include "flow/flow.h"

/* One counter with a label: its values' names and numbers. */
static void put_counter(struct buf *out, const char *name, const char *help, const char *label, const char *const *values,
                        const uint64_t *counts, size_t n)
{
    metrics_describe(out, name, "counter", help);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "lightfast_%s{%s=\"%s\"} %llu\n", name, label, values[i], (unsigned long long)counts[i]);
}

static void put_engine(struct buf *out, struct flow *flow)
{
    struct flow_numbers n = flow_numbers(flow);
    put_counter(out, "events_total", "Events of the engine by what became of them.", "outcome",
                (const char *const[]){"accepted", "duplicate", "ignored"},
                (const uint64_t[]){n.accepted, n.duplicates, n.ignored}, 3);
    put_counter(out, "runs_total", "Runs that have ended, by status.", "status",
                (const char *const[]){"completed", "failed", "cancelled"},
                (const uint64_t[]){n.completed, n.failed, n.cancelled}, 3);
    put_counter(out, "engine_total", "What the engine did.", "what",
                (const char *const[]){"step", "retry", "lease_takeover"},
                (const uint64_t[]){n.steps, n.retries, n.takeovers}, 3);
    metrics_gauge(out, "runs_executing", "Handlers that execute now.", (long long)n.executing);
    metrics_gauge(out, "timer_lag_ms", "How late the last timer fired.", (long long)n.timer_lag);
    metrics_gauge(out, "oldest_due_ms", "How long the oldest due run has waited.", (long long)n.oldest_due);
}

static struct err *put_queues(struct buf *out, struct db_tx *tx)
{
    struct flow_queue_record *queues;
    size_t                    n;
    int64_t                   now = time_now();
    TRY(flow_queues(tx, &queues, &n));
    metrics_describe(out, "queue_depth", "gauge", "Runs that are queued, by function.");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "lightfast_queue_depth{function=\"" STR_FMT "\"} %lld\n", STR_ARG(queues[i].function),
                   (long long)queues[i].queued);
    metrics_describe(out, "queue_oldest_seconds", "gauge", "How long the first of a queue has been due.");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "lightfast_queue_oldest_seconds{function=\"" STR_FMT "\"} %.3f\n", STR_ARG(queues[i].function),
                   now > queues[i].oldest_at ? (double)(now - queues[i].oldest_at) / 1000 : 0.0);
    return NULL;
}

static void put_durations(struct buf *out, const struct activity_function_count *count)
{
    unsigned long long sum = 0;
    for (size_t i = 0; i <= ACTIVITY_BOUNDS; i++) {
        sum += count->durations[i];
        buf_printf(out, "lightfast_job_duration_seconds_bucket{function=\"%s\",le=\"", count->function);
        if (i < ACTIVITY_BOUNDS) buf_printf(out, "%g", activity_bounds_ms[i] / 1000);
        else buf_lit(out, "+Inf");
        buf_printf(out, "\"} %llu\n", sum);
    }
    buf_printf(out, "lightfast_job_duration_seconds_sum{function=\"%s\"} %.3f\n", count->function, count->total_ms / 1000);
    buf_printf(out, "lightfast_job_duration_seconds_count{function=\"%s\"} %llu\n", count->function, sum);
}

static void put_functions(struct buf *out, const struct activity_totals *totals)
{
    metrics_describe(out, "jobs_total", "counter", "Jobs that have ended, by function and status.");
    for (size_t i = 0; i < totals->function_count; i++) {
        const struct activity_function_count *count = &totals->functions[i];
        const struct { const char *status; uint64_t n; } statuses[] = {
            {"completed", count->completed}, {"failed", count->failed}, {"cancelled", count->cancelled}};
        for (size_t s = 0; s < 3; s++)
            buf_printf(out, "lightfast_jobs_total{function=\"%s\",status=\"%s\"} %llu\n", count->function,
                       statuses[s].status, (unsigned long long)statuses[s].n);
    }
    metrics_describe(out, "job_duration_seconds", "histogram", "Time from the start of completed jobs to their end.");
    for (size_t i = 0; i < totals->function_count; i++) put_durations(out, &totals->functions[i]);
}

static void put_captures(struct buf *out, const struct activity_totals *totals)
{
    metrics_describe(out, "captures_total", "counter", "Occurrences by source and what became of them.");
    for (size_t source = 0; source < ACTIVITY_SOURCES; source++)
        for (size_t outcome = 0; outcome < ACTIVITY_OUTCOMES; outcome++)
            if (totals->captures[source][outcome])
                buf_printf(out, "lightfast_captures_total{source=\"%s\",outcome=\"%s\"} %llu\n", activity_sources[source],
                           activity_outcomes[outcome], (unsigned long long)totals->captures[source][outcome]);
}

static struct err *put_health(struct buf *out, struct db_tx *tx)
{
    struct activity_level_count *counts;
    size_t                       n;
    TRY(activity_levels(tx, &counts, &n));
    metrics_describe(out, "workspaces", "gauge", "Workspaces by health.");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "lightfast_workspaces{health=\"" STR_FMT "\"} %lld\n", STR_ARG(counts[i].level),
                   (long long)counts[i].workspaces);
    return NULL;
}

struct err *metrics_of_jobs(struct api_call *call, struct buf *out)
{
    struct activity_totals *totals = NEW(call->arena, struct activity_totals);
    if (!call->app->flow) return NULL;
    activity_totals(call->app->recorder, totals);
    put_engine(out, call->app->flow);
    put_functions(out, totals);
    put_captures(out, totals);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(put_queues(out, tx));
    return put_health(out, tx);
}
