/* statistics.c - what a workspace's jobs add up to (spec/console.md 2.6).
 *
 * DESIGN. Runs are numbered in the order of their creation, and the engine keeps no index by time: it would cost every
 * run a write. So an interval begins with a search for its first row (flow_first_since), and the time itself is compared
 * row by row.
 */
#include "activity/activity.h"

#include "base/time.h"
#include "source/receive.h"

#include <math.h>

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static double rate_of(int64_t completed, int64_t failed)
{
    return completed + failed ? round(1000.0 * (double)completed / (double)(completed + failed)) / 10 : 0;
}

/* Sums over jobs that queries give for each status; `ms` is the duration of all of them together. */
static void add_status(struct activity_jobs *jobs, struct str status, int64_t n, int64_t ms)
{
    const struct { const char *name; int64_t *count; } counts[] = {
        {"queued", &jobs->queued},       {"running", &jobs->running}, {"waiting", &jobs->running},
        {"completed", &jobs->completed}, {"failed", &jobs->failed},   {"cancelled", &jobs->cancelled},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (str_eq(status, str_of(counts[i].name))) *counts[i].count += n;
    jobs->total += n;
    if (str_eq(status, STR("completed"))) jobs->spent += ms;
    if (jobs->completed) jobs->mean = (jobs->spent + jobs->completed / 2) / jobs->completed;
    jobs->success = rate_of(jobs->completed, jobs->failed);
}

#define DURATION "COALESCE(completed_at - started_at, 0)"

struct err *activity_job_statistics(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to,
                                    struct activity_jobs *jobs)
{
    struct db_rows rows;
    struct str     status = {0};
    int64_t        first, n = 0, ms = 0;
    *jobs = (struct activity_jobs){0};
    TRY(flow_first_since(tx, workspace, from, &first));
    TRY(db_query(tx, &rows,
                 "SELECT status, COUNT(*), SUM(" DURATION ") FROM flow_run WHERE workspace_id = $1 AND id >= $2 "
                 "AND created_at >= $3 AND created_at < $4 GROUP BY status",
                 workspace, first, from, to ? to : INT64_MAX));
    while (db_next(&rows, &status, &n, &ms)) add_status(jobs, status, n, ms);
    return db_done(&rows);
}

/* ---- observations ------------------------------------------------------------------------------------------------ */

/* The first observation stored at that time or later: their ids follow the clock. */
static struct err *observation_since(struct db_tx *tx, int64_t workspace, int64_t at, int64_t *first)
{
    int64_t        low = 0, high = 0, found, created_at;
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT MAX(id) + 1 FROM observation WHERE workspace_id = $1", workspace));
    db_next(&rows, &high);
    TRY(db_done(&rows));
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        found = 0;
        TRY(db_query(tx, &rows,
                     "SELECT id, created_at FROM observation WHERE workspace_id = $1 AND id >= $2 ORDER BY id LIMIT 1",
                     workspace, middle));
        db_next(&rows, &found, &created_at);
        TRY(db_done(&rows));
        if (found && created_at < at) low = found + 1;
        else high = middle;
    }
    *first = low;
    return NULL;
}

struct err *activity_observations(struct db_tx *tx, int64_t workspace, int64_t from, int64_t to, int64_t *n)
{
    int64_t        first, end = INT64_MAX;
    struct db_rows rows;
    TRY(observation_since(tx, workspace, from, &first));
    if (to) TRY(observation_since(tx, workspace, to, &end));
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM observation WHERE workspace_id = $1 AND id >= $2 AND id < $3", workspace,
                 first, end));
    db_next(&rows, n);
    return db_done(&rows);
}

/* ---- percentiles ------------------------------------------------------------------------------------------------- */

#define COMPLETED                                                                                          \
    "FROM flow_run WHERE workspace_id = $1 AND id >= $2 AND created_at >= $3 AND status = 'completed' AND " \
    "completed_at > started_at"

/* Position, counted from 1, of percentile p among n in ascending order. */
static int64_t place_of(int64_t p, int64_t n)
{
    return (p * n + 99) / 100;
}

struct err *activity_job_percentiles(struct db_tx *tx, int64_t workspace, int64_t from,
                                     struct activity_percentiles *percentiles)
{
    struct db_rows rows;
    int64_t        first, place = 0, ms = 0;
    *percentiles = (struct activity_percentiles){0};
    TRY(flow_first_since(tx, workspace, from, &first));
    TRY(db_query(tx, &rows, "SELECT COUNT(*), MAX(completed_at - started_at) " COMPLETED, workspace, first, from));
    db_next(&rows, &percentiles->samples, &percentiles->most);
    TRY(db_done(&rows));
    int64_t n = percentiles->samples;
    const struct { int64_t place, *value; } wanted[] = {
        {place_of(50, n), &percentiles->p50}, {place_of(95, n), &percentiles->p95}, {place_of(99, n), &percentiles->p99}};
    TRY(db_query(tx, &rows,
                 "WITH ranked AS (SELECT completed_at - started_at AS ms, ROW_NUMBER() OVER (ORDER BY completed_at - "
                 "started_at) AS place " COMPLETED ") SELECT place, ms FROM ranked WHERE place IN ($4, $5, $6)",
                 workspace, first, from, wanted[0].place, wanted[1].place, wanted[2].place));
    while (db_next(&rows, &place, &ms))
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (wanted[i].place == place) *wanted[i].value = ms;
    return db_done(&rows);
}

/* ---- by hour ----------------------------------------------------------------------------------------------------- */

struct err *activity_job_series(struct db_tx *tx, int64_t workspace, struct activity_hour *points, size_t hours)
{
    struct db_rows rows;
    struct str     status = {0};
    int64_t        this_hour = time_now() / HOURS(1), first, hour = 0, n = 0, ms = 0;
    int64_t        begin = this_hour - (int64_t)hours + 1;
    for (size_t i = 0; i < hours; i++) points[i] = (struct activity_hour){.at = (begin + (int64_t)i) * HOURS(1)};
    TRY(flow_first_since(tx, workspace, begin * HOURS(1), &first));
    TRY(db_query(tx, &rows,
                 "SELECT created_at / 3600000, status, COUNT(*), SUM(" DURATION ") FROM flow_run WHERE "
                 "workspace_id = $1 AND id >= $2 AND created_at >= $3 GROUP BY created_at / 3600000, status",
                 workspace, first, begin * HOURS(1)));
    while (db_next(&rows, &hour, &status, &n, &ms))
        if (hour >= begin && hour <= this_hour) add_status(&points[hour - begin].jobs, status, n, ms);
    return db_done(&rows);
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

static const char *const levels[] = {"healthy", "degraded", "down"};

const char *activity_level_name(enum activity_level level)
{
    return levels[level];
}

static enum activity_level level_of(const struct activity_jobs *jobs)
{
    if (jobs->completed + jobs->failed == 0 || jobs->success >= 95) return ACTIVITY_HEALTHY;
    return jobs->success >= 80 ? ACTIVITY_DEGRADED : ACTIVITY_DOWN;
}

static enum activity_level worse(enum activity_level a, enum activity_level b)
{
    return a > b ? a : b;
}

/* What a provider ended (inactive_reason of source/): whatever takes a whole account along is down. */
static const struct ending {
    const char *why;
    enum activity_level level;
    const char *reason;
} endings[] = {
    {"installation_removed", ACTIVITY_DOWN, "The GitHub app was uninstalled"},
    {"installation_suspended", ACTIVITY_DOWN, "The GitHub app is suspended"},
    {"uninstalled", ACTIVITY_DOWN, "The integration was uninstalled"},
    {"repository_removed", ACTIVITY_DEGRADED, "The repository was taken from the GitHub app"},
    {"repository_deleted", ACTIVITY_DEGRADED, "The repository was deleted"},
    {"project_removed", ACTIVITY_DEGRADED, "The project was removed"},
};

static void judge_source(struct activity_source_health *source, struct str ended, struct str last_sync)
{
    bool failed = str_eq(last_sync, STR("failed"));
    source->level = failed ? ACTIVITY_DEGRADED : ACTIVITY_HEALTHY;
    source->reason = failed ? "The last sync failed" : NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_eq(ended, str_of(endings[i].why))) {
            source->level = endings[i].level;
            source->reason = endings[i].reason;
        }
}

static struct str name_of(struct arena *arena, const struct activity_source_health *source, struct str resource, struct str config)
{
    const json_value    *parsed;
    struct source_record record = {.type = source->source, .resource_id = resource};
    return source_display_name(&record, json_parse(arena, config, &parsed) ? NULL : parsed);
}

/* Those that are active, and those that no person disconnected. */
static struct err *list_sources(struct db_tx *tx, int64_t workspace, struct activity_health *health)
{
    VEC(struct activity_source_health) found = {0};
    struct activity_source_health source = {0};
    struct str     resource = {0}, config = {0}, last_sync = {0}, ended = {0};
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT public_id, source_type, provider_resource_id, source_config, last_sync_status, inactive_reason FROM source "
                 "WHERE workspace_id = $1 AND (is_active = 1 OR inactive_reason <> 'removed') ORDER BY id LIMIT 1000",
                 workspace));
    while (db_next(&rows, &source.id, &source.source, &resource, &config, &last_sync, &ended)) {
        source.name = name_of(tx->arena, &source, resource, config);
        judge_source(&source, ended, last_sync);
        *VEC_PUSH(tx->arena, &found) = source;
    }
    health->sources = found.at;
    health->source_count = found.n;
    return db_done(&rows);
}

static struct activity_source_health *source_named(struct activity_health *health, struct str id)
{
    for (size_t i = 0; id.n && i < health->source_count; i++)
        if (str_eq(health->sources[i].id, id)) return &health->sources[i];
    return NULL;
}

/* One look at the jobs of the period: all, those that put documents and observations into the index, each source's. */
static struct err *count_jobs(struct db_tx *tx, int64_t workspace, int64_t from, struct activity_health *health)
{
    struct db_rows rows;
    struct str     id = {0}, status = {0};
    int64_t        first, n = 0, ms = 0;
    bool           store = false;
    TRY(flow_first_since(tx, workspace, from, &first));
    TRY(db_query(tx, &rows,
                 "SELECT source, store, status, COUNT(*), SUM(ms) FROM (SELECT source, status, " DURATION " AS ms, "
                 "CASE WHEN function = 'neural.observation.embed' OR function LIKE 'docs.%' THEN 1 ELSE 0 END AS store "
                 "FROM flow_run WHERE workspace_id = $1 AND id >= $2 AND created_at >= $3) AS j GROUP BY source, store, status",
                 workspace, first, from));
    while (db_next(&rows, &id, &store, &status, &n, &ms)) {
        struct activity_source_health *source = source_named(health, id);
        add_status(&health->jobs, status, n, ms);
        if (store) add_status(&health->store, status, n, ms);
        if (source) add_status(&source->jobs, status, n, ms);
    }
    health->store_level = level_of(&health->store);
    return db_done(&rows);
}

/* A source that is down degrades the workspace, a store that is down takes it along. */
static void join_levels(struct activity_health *health)
{
    health->level = level_of(&health->jobs);
    if (health->store_level == ACTIVITY_DOWN) health->level = ACTIVITY_DOWN;
    for (size_t i = 0; i < health->source_count; i++) {
        struct activity_source_health *source = &health->sources[i];
        enum activity_level            own = level_of(&source->jobs);
        if (own > source->level)
            source->reason = own == ACTIVITY_DOWN ? "More than 20 % of the jobs of the last 24 hours failed"
                                                  : "More than 5 % of the jobs of the last 24 hours failed";
        source->level = worse(source->level, own);
        if (source->level == ACTIVITY_DOWN) health->level = worse(health->level, ACTIVITY_DEGRADED);
    }
}

struct err *activity_health(struct db_tx *tx, int64_t workspace, struct activity_health *health)
{
    *health = (struct activity_health){0};
    TRY(list_sources(tx, workspace, health));
    TRY(count_jobs(tx, workspace, time_now() - DAYS(1), health));
    join_levels(health);
    return NULL;
}

bool activity_change(double previous, double current, double *percent)
{
    *percent = previous != 0 ? round(1000 * (current - previous) / previous) / 10 : 0;
    return previous != 0 || current == 0;
}
