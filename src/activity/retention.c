/* retention.c - what is kept how long: the instance's settings, the workspaces' own (spec/console.md 1.3), and the sweep
 * of everything that is past its time. */
#include "activity/inside.h"

#include "base/time.h"
#include "source/receive.h"

/* Members of `retention` in a workspace's settings, in days; 0: for ever. */
struct kept { int64_t workspace, activities, metrics, jobs, payloads; };
static const struct { const char *path; size_t at; int64_t usual; } settings[] = {
    {"retention.activityDays", offsetof(struct kept, activities), 365},
    {"retention.metricDays", offsetof(struct kept, metrics), 365},
    {"retention.jobDays", offsetof(struct kept, jobs), 365},
    {"retention.payloadDays", offsetof(struct kept, payloads), 0},
};
enum { MOST_DAYS = 36500, OWN_JOB_DAYS = 30 /* upkeep that runs every minute */ };

struct all_kept { struct kept *at; size_t n, capacity; };

/* What a setting cannot mean counts as not set. */
static void read_settings(struct arena *arena, struct str text, struct kept *kept)
{
    const json_value *json = NULL;
    if (json_parse(arena, text, &json)) json = NULL;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int64_t days = json_int(json, settings[i].path, settings[i].usual);
        if (days < 0 || days > MOST_DAYS) days = settings[i].usual;
        *(int64_t *)((char *)kept + settings[i].at) = days;
    }
}

static struct err *read_workspaces(struct db *db, struct arena *arena, struct all_kept *all)
{
    struct db_rows rows;
    struct kept    kept = {0};
    struct str     text = {0};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    read_settings(arena, STR("{}"), &kept);
    kept.jobs = OWN_JOB_DAYS;
    *VEC_PUSH(arena, all) = kept; /* workspace 0: the instance's and the organisations' own */
    TRY(db_read_begin(db, arena, &tx));
    TRY(db_query(tx, &rows, "SELECT id, settings FROM workspace ORDER BY id"));
    while (db_next(&rows, &kept.workspace, &text)) {
        read_settings(arena, text, &kept);
        *VEC_PUSH(arena, all) = kept;
    }
    return db_done(&rows);
}

static struct err *sweep_runs(struct flow_run *run, const struct activity_periods *periods, const struct all_kept *all,
                              int64_t *deleted)
{
    struct flow_kept_jobs *jobs = NEW_ARRAY(run->arena, struct flow_kept_jobs, all->n);
    int64_t                rows = 0;
    for (size_t i = 0; i < all->n; i++) jobs[i] = (struct flow_kept_jobs){all->at[i].workspace, all->at[i].jobs};
    TRY(flow_sweep(run->db, run->arena,
                   (struct flow_retention){.event_days = periods->events, .failed_days = periods->failed_runs,
                                           .workspaces = jobs, .workspace_count = all->n, .run = run},
                   &rows));
    *deleted += rows;
    return NULL;
}

static struct err *sweep_activities(struct flow_run *run, const struct kept *kept, int64_t *deleted)
{
    int64_t some;
    do {
        TRY(activity_sweep(run->db, run->arena, kept->workspace, kept->activities, &some));
        *deleted += some;
    } while (some == ACTIVITY_SWEPT_AT_ONCE && !flow_should_stop(run));
    return NULL;
}

/* A server that stops does not wait for it: what is left is swept after the next start. */
struct err *activity_retention_sweep(struct flow_run *run, const struct activity_periods *periods, int64_t *deleted)
{
    struct all_kept all = {0};
    TRY(read_workspaces(run->db, run->arena, &all));
    TRY(sweep_runs(run, periods, &all, deleted));
    TRY(source_sweep_deliveries(run, periods->deliveries, deleted));
    for (size_t i = 0; i < all.n && !flow_should_stop(run); i++) {
        const struct kept *kept = &all.at[i];
        TRY(sweep_activities(run, kept, deleted));
        TRY(activity_metrics_sweep(run, kept->workspace, kept->metrics, deleted));
        TRY(source_sweep_payloads(run, kept->workspace, kept->payloads, deleted));
    }
    return flow_should_stop(run) ? err_new(run->arena, ERR_CANCELLED, "stopped") : NULL;
}
