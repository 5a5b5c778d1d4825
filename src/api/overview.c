/* overview.c - W/statistics, W/statistics/comparison and W/metrics: what there is in a workspace, what changed, what was
 * measured (console.md 2.2, 2.6, 4). */
#include "api/inbound.h"
#include "flow/flow.h"

enum { MOST_SOURCES = 100, RECENT_JOBS = 5 };

/* ---- what there is ----------------------------------------------------------------------------------------------- */

/* Documents are counted by the sources that they belong to. */
static struct err *put_sources(struct json_out *out, const struct api_call *call, struct db_tx *tx)
{
    struct source_record   *sources;
    struct api_source_facts facts;
    size_t                  n;
    int64_t                 documents = 0;
    TRY(source_list(tx, call->workspace.id, 0, MOST_SOURCES, &sources, &n));
    TRY(api_source_facts(tx, call->workspace.id, &facts));
    json_begin(out, "sources", '{');
    TRY(api_put_source_totals(out, tx, call->workspace.id));
    json_begin(out, "list", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(out, NULL, '{');
        api_put_source(out, call->app, &sources[i], &facts);
        json_end(out);
        documents += sources[i].document_count;
    }
    json_end(out);
    json_end(out);
    json_begin(out, "documents", '{');
    json_put(out, "total", documents);
    json_end(out);
    return NULL;
}

static void put_store(struct json_out *out, const struct api_call *call)
{
    const struct embed *embed = call->app->embed;
    json_begin(out, "store", '{');
    json_put(out, "id", call->workspace.public_id);
    json_put(out, "embeddingProvider", call->app->config->embedding_provider);
    json_put(out, "embeddingModel", embed_model(embed));
    json_put(out, "embeddingDim", embed_dim(embed));
    json_put_time(out, "createdAt", call->workspace.created_at);
    json_end(out);
}

static struct err *put_observations(struct json_out *out, const struct api_call *call, struct db_tx *tx)
{
    int64_t lately;
    TRY(activity_observations(tx, call->workspace.id, time_now() - DAYS(1), 0, &lately));
    json_begin(out, "observations", '{');
    TRY(api_put_observation_counts(out, call));
    json_put(out, "last24h", lately);
    json_end(out);
    return NULL;
}

static struct err *put_jobs(struct json_out *out, const struct api_call *call, struct db_tx *tx)
{
    struct activity_jobs jobs;
    struct flow_job     *recent;
    size_t               n;
    TRY(activity_job_statistics(tx, call->workspace.id, time_now() - DAYS(1), 0, &jobs));
    TRY(flow_job_list(tx, call->workspace.id, (struct flow_job_filter){.limit = RECENT_JOBS}, &recent, &n));
    json_begin(out, "jobs", '{');
    api_put_job_counts(out, &jobs);
    json_end(out);
    json_begin(out, "recentJobs", '[');
    for (size_t i = 0; i < n; i++) api_put_job(out, call, &recent[i]);
    json_end(out);
    return NULL;
}

struct err *api_statistics(struct api_call *call)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    struct json_out out = api_answer(call);
    TRY(put_sources(&out, call, tx));
    put_store(&out, call);
    TRY(put_observations(&out, call, tx));
    TRY(put_jobs(&out, call, tx));
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- what changed ------------------------------------------------------------------------------------------------ */

enum { JOBS, COMPLETED, FAILED, SUCCESS, DURATION, OBSERVATIONS, EVENTS, ERRORS, SEARCHES, DOCUMENTS, FIGURES };
static const char *const figure_names[FIGURES] = {
    [JOBS] = "jobs",         [COMPLETED] = "completed",         [FAILED] = "failed",
    [SUCCESS] = "successRate", [DURATION] = "avgDurationMs",    [OBSERVATIONS] = "observations",
    [EVENTS] = "eventsReceived", [ERRORS] = "errors",           [SEARCHES] = "searches",
    [DOCUMENTS] = "documents",
};
/* Figures that are sums of metrics: what was received is what was captured or not. */
static const struct { int figure; const char *type; } sums[] = {
    {EVENTS, "observation_captured"}, {EVENTS, "observation_filtered"}, {EVENTS, "observation_duplicate"},
    {EVENTS, "observation_below_threshold"}, {ERRORS, "errors"}, {SEARCHES, "queries_count"},
    {DOCUMENTS, "documents_indexed"},
};

static struct err *figures_of(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to, double figures[FIGURES])
{
    struct activity_jobs jobs;
    int64_t              n;
    memset(figures, 0, FIGURES * sizeof *figures);
    TRY(activity_job_statistics(tx, workspace, from, to, &jobs));
    figures[JOBS] = (double)jobs.total;
    figures[COMPLETED] = (double)jobs.completed;
    figures[FAILED] = (double)jobs.failed;
    figures[SUCCESS] = jobs.success;
    figures[DURATION] = (double)jobs.mean;
    TRY(activity_observations(tx, workspace, from, to, &n));
    figures[OBSERVATIONS] = (double)n;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        TRY(activity_metric_total(tx, workspace, str_of(sums[i].type), from, to, &n));
        figures[sums[i].figure] += (double)n;
    }
    return NULL;
}

struct err *api_statistics_comparison(struct api_call *call)
{
    struct api_intervals intervals;
    double               current[FIGURES], previous[FIGURES];
    TRY(api_intervals(call, &intervals));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(figures_of(tx, call->workspace.id, intervals.current_start, intervals.current_end, current));
    TRY(figures_of(tx, call->workspace.id, intervals.previous_start, intervals.previous_end, previous));
    struct json_out out = api_answer(call);
    api_put_intervals(&out, &intervals);
    json_begin(&out, "metrics", '{');
    for (size_t i = 0; i < FIGURES; i++) api_put_change(&out, figure_names[i], current[i], previous[i]);
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- what was measured ------------------------------------------------------------------------------------------- */

static const char *const interval_names[] = {"hour", "day", NULL};
static const struct { int64_t length, most; } intervals[] = {{HOURS(1), DAYS(31)}, {DAYS(1), DAYS(366)}};
enum { MAX_NAME = 191 };

struct query {
    struct str type, group, source;
    int        interval;
    int64_t    from, to;
};

static const struct api_field query_fields[] = {
    {"type",     NULL, API_TEXT, offsetof(struct query, type),     .required = true, .least = 1, .most = MAX_NAME},
    {"groupBy",  NULL, API_TEXT, offsetof(struct query, group),    .most = MAX_NAME},
    {"sourceId", NULL, API_TEXT, offsetof(struct query, source),   .most = MAX_NAME},
    {"interval", NULL, API_ENUM, offsetof(struct query, interval), .values = interval_names, .otherwise = 0},
    {"from",     NULL, API_TIME, offsetof(struct query, from),     .required = false},
    {"to",       NULL, API_TIME, offsetof(struct query, to),       .required = false},
    {0},
};

/* The last day, or month of days, unless stated; whole intervals in any case. */
static struct err *read_series(struct api_call *call, struct query *query, struct activity_series *asked)
{
    *query = (struct query){0};
    TRY(api_query_fields(call, query_fields, query));
    int64_t length = intervals[query->interval].length, usual = query->interval ? DAYS(30) : DAYS(1);
    int64_t to = query->to ? api_end_of(call, "to", query->to) : time_now() + 1;
    int64_t from = query->from ? query->from : to - usual;
    if (query->type.n && !activity_metric_unit(query->type)) api_issue(call, STR("type"), "There is no such metric");
    if (from >= to) api_issue(call, STR("from"), "The interval must not end before it starts");
    else if (to - from > intervals[query->interval].most)
        api_issue(call, STR("from"), "At most %d days by %s", (int)(intervals[query->interval].most / DAYS(1)),
                  interval_names[query->interval]);
    *asked = (struct activity_series){
        .workspace = call->workspace.id, .type = query->type, .source = query->source, .group = query->group,
        .from = from / length * length, .to = (to + length - 1) / length * length, .interval = length,
    };
    return api_check(call);
}

static void put_point(struct json_out *out, const struct activity_point *point, bool grouped)
{
    json_begin(out, NULL, '{');
    json_put_time(out, "timestamp", point->at);
    if (grouped) json_put(out, "group", point->group);
    json_put(out, "count", point->n);
    json_put(out, "sum", point->total);
    json_put(out, "min", point->least);
    json_put(out, "max", point->most);
    json_put(out, "p50", point->p50);
    json_put(out, "p95", point->p95);
    json_put(out, "p99", point->p99);
    json_end(out);
}

struct err *api_metric_series(struct api_call *call)
{
    struct query           query;
    struct activity_series asked;
    struct activity_points points;
    TRY(read_series(call, &query, &asked));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_metric_series(tx, &asked, &points));
    struct json_out out = api_answer(call);
    json_put(&out, "type", query.type);
    json_put(&out, "unit", activity_metric_unit(query.type));
    json_put(&out, "interval", interval_names[query.interval]);
    json_put_time(&out, "from", asked.from);
    json_put_time(&out, "to", asked.to);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < points.n; i++) put_point(&out, &points.at[i], query.group.n > 0);
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}
