/* metrics.c - counters of requests and searches, and GET /metrics in the Prometheus text format (console.md 4). */
#include "api/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const int statuses[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 410, 413, 429, 500, 503, 504};
enum { STATUSES = sizeof statuses / sizeof *statuses, NO_ROUTE = API_MAX_ROUTES };

static const double bounds_ms[] = {1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000};
enum { BOUNDS = sizeof bounds_ms / sizeof *bounds_ms, MODES = 3 };
static const char *const mode_names[MODES] = {"fast", "balanced", "thorough"};

struct histogram { atomic_ullong buckets[BOUNDS + 1], count, us; };

enum { REFUSALS = sizeof(struct source_refusal_list) / sizeof(struct source_refusal) };

struct api_metrics {
    atomic_ullong    requests[API_MAX_ROUTES + 1][STATUSES + 1];
    struct histogram searches[MODES];
    atomic_ullong    accepted[SOURCE_PROVIDERS], duplicates[SOURCE_PROVIDERS], refused[SOURCE_PROVIDERS][REFUSALS];
};

struct api_metrics *api_metrics_create(void)
{
    struct api_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics) abort();
    return metrics;
}

void api_metrics_destroy(struct api_metrics *metrics)
{
    free(metrics);
}

void api_metrics_count(struct api_metrics *metrics, const struct api_route *route, int status)
{
    size_t row = route ? (size_t)(route - api_routes) : NO_ROUTE, column = 0;
    while (column < STATUSES && statuses[column] != status) column++;
    atomic_fetch_add_explicit(&metrics->requests[row][column], 1, memory_order_relaxed);
}

void api_metrics_search(struct api_metrics *metrics, int mode, int64_t us)
{
    struct histogram *histogram = &metrics->searches[mode];
    size_t            i = 0;
    while (i < BOUNDS && (double)us / 1000 > bounds_ms[i]) i++;
    atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->us, (unsigned long long)us, memory_order_relaxed);
}

void api_metrics_delivery(struct api_metrics *metrics, enum source_provider provider,
                          const struct source_answer_to_post *answer)
{
    const struct source_refusal *first = (const struct source_refusal *)&source_refusals;
    atomic_ullong *counter = answer->refusal     ? &metrics->refused[provider][answer->refusal - first]
                             : answer->duplicate ? &metrics->duplicates[provider]
                                                 : &metrics->accepted[provider];
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- text -------------------------------------------------------------------------------------------------------------- */

void metrics_describe(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP lightfast_%s %s\n# TYPE lightfast_%s %s\n", name, help, name, type);
}

static void put_requests(struct buf *out, struct api_metrics *metrics)
{
    metrics_describe(out, "http_requests_total", "counter", "Requests by route and status.");
    for (size_t row = 0; row <= NO_ROUTE; row++) {
        if (row < NO_ROUTE && !api_routes[row].method) row = NO_ROUTE;
        for (size_t column = 0; column <= STATUSES; column++) {
            unsigned long long count = atomic_load(&metrics->requests[row][column]);
            if (count == 0) continue;
            buf_printf(out, "lightfast_http_requests_total{method=\"%s\",route=\"%s\",status=\"",
                       row < NO_ROUTE ? api_routes[row].method : "", row < NO_ROUTE ? api_routes[row].path : "");
            if (column < STATUSES) buf_printf(out, "%d", statuses[column]);
            else buf_lit(out, "other");
            buf_printf(out, "\"} %llu\n", count);
        }
    }
}

static void put_searches(struct buf *out, struct api_metrics *metrics)
{
    metrics_describe(out, "search_duration_seconds", "histogram", "Time of a search request, by mode.");
    for (size_t mode = 0; mode < MODES; mode++) {
        struct histogram  *histogram = &metrics->searches[mode];
        unsigned long long sum = 0;
        for (size_t i = 0; i <= BOUNDS; i++) {
            sum += atomic_load(&histogram->buckets[i]);
            buf_printf(out, "lightfast_search_duration_seconds_bucket{mode=\"%s\",le=\"", mode_names[mode]);
            if (i < BOUNDS) buf_printf(out, "%g", bounds_ms[i] / 1000);
            else buf_lit(out, "+Inf");
            buf_printf(out, "\"} %llu\n", sum);
        }
        buf_printf(out, "lightfast_search_duration_seconds_sum{mode=\"%s\"} %.6f\n", mode_names[mode],
                   (double)atomic_load(&histogram->us) / 1e6);
        buf_printf(out, "lightfast_search_duration_seconds_count{mode=\"%s\"} %llu\n", mode_names[mode], sum);
    }
}

static void put_deliveries(struct buf *out, struct api_metrics *metrics)
{
    const struct source_refusal *refusals = (const struct source_refusal *)&source_refusals;
    metrics_describe(out, "deliveries_total", "counter", "Webhook deliveries by provider; refused ones by reason.");
    for (int provider = 0; provider < SOURCE_PROVIDERS; provider++) {
        const char *name = source_provider_name((enum source_provider)provider);
        buf_printf(out, "lightfast_deliveries_total{source=\"%s\",outcome=\"accepted\",reason=\"\"} %llu\n", name,
                   atomic_load(&metrics->accepted[provider]));
        buf_printf(out, "lightfast_deliveries_total{source=\"%s\",outcome=\"duplicate\",reason=\"\"} %llu\n", name,
                   atomic_load(&metrics->duplicates[provider]));
        for (size_t i = 0; i < REFUSALS; i++) {
            unsigned long long count = atomic_load(&metrics->refused[provider][i]);
            if (count)
                buf_printf(out, "lightfast_deliveries_total{source=\"%s\",outcome=\"refused\",reason=\"%s\"} %llu\n", name,
                           refusals[i].code, count);
        }
    }
}

static long long resident_bytes(void)
{
    long long size = 0, resident = 0;
    FILE     *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%lld %lld", &size, &resident) != 2) resident = 0;
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static struct err *count_observations(struct api_call *call, int64_t *count)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM observation"));
    db_next(&rows, count);
    return db_done(&rows);
}

void metrics_gauge(struct buf *out, const char *name, const char *help, long long value)
{
    metrics_describe(out, name, "gauge", help);
    buf_printf(out, "lightfast_%s %lld\n", name, value);
}

static struct err *send_metrics(struct api_call *call)
{
    struct app *app = call->app;
    int64_t     observations = 0;
    TRY(count_observations(call, &observations));
    struct buf out = buf_in(call->arena);
    metrics_describe(&out, "info", "gauge", "The running version.");
    buf_printf(&out, "lightfast_info{version=\"%s\"} 1\n", LIGHTFAST_VERSION);
    put_requests(&out, call->api->metrics);
    put_searches(&out, call->api->metrics);
    put_deliveries(&out, call->api->metrics);
    TRY(metrics_of_jobs(call, &out));
    metrics_gauge(&out, "observations", "Observations stored.", (long long)observations);
    metrics_gauge(&out, "database_bytes", "Size of the database and its log.", (long long)db_size(app->db));
    metrics_gauge(&out, "index_bytes", "Memory of the search index.", (long long)search_memory(app->search));
    metrics_gauge(&out, "process_resident_memory_bytes", "Resident memory of the process.", resident_bytes());
    metrics_gauge(&out, "worker_queue", "Requests and tasks that wait for a worker.",
              app->workers ? (long long)workers_queued(app->workers) : 0);
    metrics_describe(&out, "process_start_time_seconds", "gauge", "Start of the process, Unix time.");
    buf_printf(&out, "lightfast_process_start_time_seconds %.3f\n", (double)app->started_at / 1000);
    call->reply->status = 200;
    call->reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    call->reply->body = buf_str(&out);
    return NULL;
}

struct err *api_metrics_text(struct api_call *call)
{
    struct str token = call->app->config->metrics_token;
    if (!call->request->local && !token.n) return err_new(call->arena, ERR_NOT_FOUND, "Route not found");
    if (!call->request->local && !api_bearer_is(call->request, token))
        return err_new(call->arena, ERR_UNAUTHORIZED, "Token required");
    return send_metrics(call);
}

void api_handle_metrics(void *arg, struct net_request *request, struct net_reply *reply)
{
    struct app     *app = arg;
    struct api_call call = {.app = app, .api = app->api, .arena = request->arena, .request = request, .reply = reply,
                            .client = request->remote, .id = STR("metrics"), .search_mode = -1};
    struct str  token = app->config->metrics_token;
    struct err *err = NULL;
    if (!str_eq(request->path, STR("/metrics"))) err = err_new(call.arena, ERR_NOT_FOUND, "Route not found");
    else if (token.n && !api_bearer_is(request, token)) err = err_new(call.arena, ERR_UNAUTHORIZED, "Token required");
    else err = send_metrics(&call);
    if (err) api_send_error(&call, err);
}
