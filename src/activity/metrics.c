/* metrics.c - what is measured (spec/console.md 4): samples, hours, points of a series. */
#include "activity/inside.h"
#include "activity/spread.h"

#include "base/hash.h"
#include "base/time.h"

#include <stdlib.h>

enum { DELETED_AT_ONCE = 1000, KEPT_SAMPLE_DAYS = 30, MOST_GROUPS = 50 };

/* clang-format off */
static const struct { const char *name, *unit; } types[] = {
    {"job_duration",              "ms"},
    {"documents_indexed",         "count"},
    {"errors",                    "count"},
    {"query_latency",             "ms"},
    {"queries_count",             "count"},
    {"api_calls",                 "count"},
    {"observation_captured",      "count"},
    {"observation_filtered",      "count"},
    {"observation_duplicate",     "count"},
    {"observation_below_threshold", "count"},
    {"entities_extracted",        "count"},
    {"cluster_assigned",          "count"},
    {"cluster_summary_generated", "count"},
    {"profile_updated",           "count"},
    {"actor_resolution",          "count"},
    {"cluster_affinity",          "score"},
};
/* clang-format on */
enum { TYPES = sizeof types / sizeof *types };

const char *activity_metric_unit(struct str type)
{
    for (size_t i = 0; i < TYPES; i++)
        if (str_eq(type, str_of(types[i].name))) return types[i].unit;
    return NULL;
}

struct err *activity_sample_write(struct db_tx *tx, const struct activity_sample *sample)
{
    return db_exec(tx,
                   "INSERT INTO metric_sample (workspace_id, type, at, source, tags, value, n) VALUES ($1, $2, $3, $4, "
                   "$5, $6, $7) ON CONFLICT (workspace_id, type, at, source, tags, value) DO UPDATE SET "
                   "n = metric_sample.n + excluded.n",
                   sample->workspace, sample->type, sample->at / 1000 * 1000, sample->source.n ? sample->source : STR(""),
                   sample->tags.n ? sample->tags : STR("{}"), sample->value, sample->n);
}

/* ---- adding up the hours ----------------------------------------------------------------------------------------- */

/* The samples of one workspace, type and hour with the same source and tags. */
struct total {
    struct str    source, tags;
    struct spread spread;
};
struct totals { struct total *at; size_t n, capacity; };

/* Samples come in the order of their key, so the same tags come again and again: looked up by map. */
static struct total *total_of(struct arena *arena, struct totals *totals, struct map *known, struct str source,
                              struct str tags)
{
    int64_t *at = map_at(known, str_printf(arena, STR_FMT " " STR_FMT, STR_ARG(source), STR_ARG(tags)));
    if (!*at) {
        *VEC_PUSH(arena, totals) = (struct total){.source = source, .tags = tags};
        *at = (int64_t)totals->n;
    }
    return &totals->at[*at - 1];
}

struct rollup {
    int64_t    workspace, from, until; /* samples of [from, until) */
    struct str type;
    int64_t    hour;                   /* the one at hand; 0: none is left */
    struct totals totals;
};

static struct err *next_hour(struct db_tx *tx, struct rollup *rollup)
{
    struct db_rows rows;
    int64_t        at = 0;
    TRY(db_query(tx, &rows,
                 "SELECT at FROM metric_sample WHERE workspace_id = $1 AND type = $2 AND at >= $3 AND at < $4 "
                 "ORDER BY at LIMIT 1",
                 rollup->workspace, rollup->type, rollup->from, rollup->until));
    rollup->hour = db_next(&rows, &at) ? at / HOURS(1) * HOURS(1) : 0;
    return db_done(&rows);
}

static struct err *add_up(struct db_tx *tx, struct rollup *rollup)
{
    struct db_rows rows;
    struct str     source = {0}, tags = {0};
    double         value = 0;
    int64_t        n = 0;
    struct map    *known = map_create(tx->arena);
    TRY(next_hour(tx, rollup));
    if (!rollup->hour) return NULL;
    TRY(db_query(tx, &rows,
                 "SELECT source, tags, value, n FROM metric_sample WHERE workspace_id = $1 AND type = $2 AND at >= $3 "
                 "AND at < $4 ORDER BY at",
                 rollup->workspace, rollup->type, rollup->hour, rollup->hour + HOURS(1)));
    while (db_next(&rows, &source, &tags, &value, &n))
        spread_add(tx->arena, &total_of(tx->arena, &rollup->totals, known, source, tags)->spread, value, n);
    return db_done(&rows);
}

static struct err *write_totals(struct db_tx *tx, void *arg)
{
    const struct rollup *rollup = arg;
    for (size_t i = 0; i < rollup->totals.n; i++) {
        const struct total *total = &rollup->totals.at[i];
        TRY(db_exec(tx,
                    "INSERT INTO metric_hour (workspace_id, type, hour, source, tags, n, total, least, most, spread) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (workspace_id, type, hour, source, tags) "
                    "DO UPDATE SET n = excluded.n, total = excluded.total, least = excluded.least, "
                    "most = excluded.most, spread = excluded.spread",
                    rollup->workspace, rollup->type, rollup->hour, total->source, total->tags, total->spread.n,
                    total->spread.total, total->spread.least, total->spread.most,
                    spread_write(tx->arena, &total->spread)));
    }
    return NULL;
}

/* One hour of one type; *more: there may be another. */
static struct err *roll_hour(struct db *db, struct rollup *rollup, bool *more)
{
    struct arena *work ARENA_SCOPE = arena_create();
    struct db_tx *tx DB_READ_SCOPE = NULL;
    rollup->totals = (struct totals){0};
    TRY(db_read_begin(db, work, &tx));
    TRY(add_up(tx, rollup));
    db_read_end(&tx);
    *more = rollup->hour != 0;
    rollup->from = rollup->hour + HOURS(1);
    return *more ? db_write(db, work, write_totals, rollup) : NULL;
}

#define ROLLED_UNTIL "metrics_rolled_until"

static struct err *write_until(struct db_tx *tx, void *arg)
{
    return activity_watermark_write(tx, ROLLED_UNTIL, *(int64_t *)arg);
}

static struct err *start_of_rollup(struct db *db, struct arena *arena, int64_t **workspaces, size_t *n, int64_t *from)
{
    VEC(int64_t)   found = {0};
    struct db_rows rows;
    int64_t        id;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(activity_watermark_read(tx, ROLLED_UNTIL, from));
    TRY(db_query(tx, &rows, "SELECT id FROM workspace ORDER BY id"));
    while (db_next(&rows, &id)) *VEC_PUSH(arena, &found) = id;
    *workspaces = found.at;
    *n = found.n;
    return db_done(&rows);
}

struct err *activity_metrics_roll(struct flow_run *run, int64_t *hours)
{
    int64_t *workspaces, from, until = (time_now() - ACTIVITY_ROLL_DELAY) / HOURS(1) * HOURS(1);
    size_t   n;
    *hours = 0;
    TRY(start_of_rollup(run->db, run->arena, &workspaces, &n, &from));
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < TYPES; t++) {
            struct rollup rollup = {.workspace = workspaces[i], .from = from, .until = until, .type = str_of(types[t].name)};
            for (bool more = true; more; *hours += more) {
                struct err *err = roll_hour(run->db, &rollup, &more);
                if (err) return err_new(run->arena, err->code, "adding up metrics failed");
                if (flow_should_stop(run)) return err_new(run->arena, ERR_CANCELLED, "stopped");
            }
        }
    return db_write(run->db, run->arena, write_until, &until);
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

struct series {
    const struct activity_series *asked;
    struct map  *places;  /* "interval group" -> position in points + 1 */
    struct map  *groups;
    struct activity_points *points;
};

static struct str group_of(struct arena *arena, struct series *series, struct str tags)
{
    const json_value *parsed = NULL;
    if (!series->asked->group.n || json_parse(arena, tags, &parsed)) return STR("");
    const json_value *tag = json_member(parsed, series->asked->group);
    struct str group = json_is_string(tag) ? json_str(tag, "") : tag ? json_text(arena, tag) : STR("");
    if (!map_find(series->groups, group) && map_count(series->groups) >= MOST_GROUPS) return STR("other");
    *map_at(series->groups, group) = 1;
    return group;
}

static struct activity_point *point_of(struct arena *arena, struct series *series, int64_t at, struct str tags)
{
    struct str group = group_of(arena, series, tags);
    int64_t    begin = at - at % series->asked->interval;
    int64_t   *place = map_at(series->places, str_printf(arena, "%lld " STR_FMT, (long long)begin, STR_ARG(group)));
    if (!*place) {
        struct activity_point *point = VEC_PUSH(arena, series->points);
        *point = (struct activity_point){.at = begin, .group = group, .spread = NEW(arena, struct spread)};
        *place = (int64_t)series->points->n;
    }
    return &series->points->at[*place - 1];
}

static struct err *add_hours(struct db_tx *tx, struct series *series, int64_t until)
{
    struct db_rows rows;
    struct str     tags = {0}, text = {0};
    int64_t        hour = 0;
    struct spread  one = {0};
    TRY(db_query(tx, &rows,
                 "SELECT hour, tags, n, total, least, most, spread FROM metric_hour WHERE workspace_id = $1 AND "
                 "type = $2 AND hour >= $3 AND hour < $4 AND ($5 = '' OR source = $5) ORDER BY hour",
                 series->asked->workspace, series->asked->type, series->asked->from,
                 until < series->asked->to ? until : series->asked->to,
                 series->asked->source.n ? series->asked->source : STR("")));
    while (db_next(&rows, &hour, &tags, &one.n, &one.total, &one.least, &one.most, &text)) {
        struct spread hourly = one;
        spread_read(tx->arena, text, &hourly);
        spread_join(tx->arena, point_of(tx->arena, series, hour, tags)->spread, &hourly);
    }
    return db_done(&rows);
}

static struct err *add_samples(struct db_tx *tx, struct series *series, int64_t since)
{
    struct db_rows rows;
    struct str     tags = {0};
    int64_t        at = 0, n = 0;
    double         value = 0;
    TRY(db_query(tx, &rows,
                 "SELECT at, tags, value, n FROM metric_sample WHERE workspace_id = $1 AND type = $2 AND at >= $3 AND "
                 "at < $4 AND ($5 = '' OR source = $5) ORDER BY at",
                 series->asked->workspace, series->asked->type, since > series->asked->from ? since : series->asked->from,
                 series->asked->to, series->asked->source.n ? series->asked->source : STR("")));
    while (db_next(&rows, &at, &tags, &value, &n))
        spread_add(tx->arena, point_of(tx->arena, series, at, tags)->spread, value, n);
    return db_done(&rows);
}

static int by_time_and_group(const void *a, const void *b)
{
    const struct activity_point *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : str_cmp(x->group, y->group);
}

struct err *activity_metric_series(struct db_tx *tx, const struct activity_series *asked, struct activity_points *points)
{
    int64_t       rolled;
    struct series series = {
        .asked = asked, .places = map_create(tx->arena), .groups = map_create(tx->arena), .points = points};
    *points = (struct activity_points){0};
    TRY(activity_watermark_read(tx, ROLLED_UNTIL, &rolled));
    TRY(add_hours(tx, &series, rolled));
    TRY(add_samples(tx, &series, rolled));
    if (points->n) qsort(points->at, points->n, sizeof *points->at, by_time_and_group);
    for (size_t i = 0; i < points->n; i++) {
        struct activity_point *point = &points->at[i];
        const struct spread   *spread = point->spread;
        point->n = spread->n;
        point->total = spread->total;
        point->least = spread->least;
        point->most = spread->most;
        point->p50 = spread_percentile(spread, 50);
        point->p95 = spread_percentile(spread, 95);
        point->p99 = spread_percentile(spread, 99);
    }
    return NULL;
}

struct err *activity_metric_total(struct db_tx *tx, int64_t workspace, struct str type, int64_t from, int64_t to,
                                  int64_t *total)
{
    const struct activity_series asked = {.workspace = workspace, .type = type, .from = from, .to = to, .interval = DAYS(1)};
    struct activity_points points;
    double sum = 0;
    TRY(activity_metric_series(tx, &asked, &points));
    for (size_t i = 0; i < points.n; i++) sum += points.at[i].total;
    *total = (int64_t)sum;
    return NULL;
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

struct forgetting {
    int64_t workspace, before_samples, before_hours; /* before_hours 0: kept for ever */
    int64_t deleted;
};

/* Rows up to the thousandth, if that is past its time, else all that are. */
static struct err *forget_some(struct db_tx *tx, struct forgetting *f, const char *boundary, const char *delete,
                               struct str type, int64_t before)
{
    struct db_rows rows;
    int64_t        at = 0;
    TRY(db_query(tx, &rows, boundary, f->workspace, type, before, (int)DELETED_AT_ONCE));
    if (db_next(&rows, &at)) before = at + 1;
    TRY(db_done(&rows));
    TRY(db_exec(tx, delete, f->workspace, type, before));
    f->deleted += db_changes(tx);
    return NULL;
}

static struct err *forget_in(struct db_tx *tx, void *arg)
{
    struct forgetting *f = arg;
    f->deleted = 0;
    for (size_t t = 0; t < TYPES && f->deleted < DELETED_AT_ONCE; t++) {
        struct str type = str_of(types[t].name);
        TRY(forget_some(tx, f,
                        "SELECT at FROM metric_sample WHERE workspace_id = $1 AND type = $2 AND at < $3 ORDER BY at "
                        "LIMIT 1 OFFSET $4",
                        "DELETE FROM metric_sample WHERE workspace_id = $1 AND type = $2 AND at < $3", type,
                        f->before_samples));
        if (f->before_hours)
            TRY(forget_some(tx, f,
                            "SELECT hour FROM metric_hour WHERE workspace_id = $1 AND type = $2 AND hour < $3 ORDER BY "
                            "hour LIMIT 1 OFFSET $4",
                            "DELETE FROM metric_hour WHERE workspace_id = $1 AND type = $2 AND hour < $3", type,
                            f->before_hours));
    }
    return NULL;
}

struct err *activity_metrics_sweep(struct flow_run *run, int64_t workspace, int64_t days, int64_t *deleted)
{
    int64_t now = time_now();
    struct forgetting f = {
        .workspace = workspace,
        .before_samples = now - DAYS(days && days < KEPT_SAMPLE_DAYS ? days : KEPT_SAMPLE_DAYS),
        .before_hours = days ? now - DAYS(days) : 0,
    };
    do {
        TRY(db_write(run->db, run->arena, forget_in, &f));
        *deleted += f.deleted;
    } while (f.deleted >= DELETED_AT_ONCE && !flow_should_stop(run));
    return NULL;
}
