/* news.c - what has happened in a workspace since one looked last: activities, jobs, sources, health. */
#include "api/inbound.h"
#include "api/stream.h"
#include "base/hash.h"

#include <stdlib.h>

enum {
    ACTIVITY_PAGE = 100, ACTIVITY_PAGES = 5, RUNNING = 100, SOURCE_PAGE = 100, MAX_SOURCES = 1000,
    RUNNING_MS = 1000, SOURCES_MS = 2000, HEALTH_MS = 60000
};

struct seen_source { int64_t id; uint64_t hash; };
struct seen_run { int64_t id, updated_at; };

struct news {
    struct arena        *arena; /* owns this and the workspace's texts */
    struct app          *app;
    struct org_workspace workspace;
    int64_t              activity; /* row id of the last that was told */
    struct seen_run      running[RUNNING];
    size_t               running_count;
    struct { struct seen_source *at; size_t n, capacity; } sources; /* in the arena */
    struct arena        *facts_arena; /* owns facts, which cost too much to be read each time */
    struct api_source_facts facts;
    int64_t              running_at, sources_at, health_at; /* us; when it was looked at last */
};

/* ---- activities -------------------------------------------------------------------------------------------------------- */

static void tell(struct arena *arena, struct stream_items *items, enum stream_topic topic, struct json_out *out)
{
    json_end(out);
    *VEC_PUSH(arena, items) = (struct stream_item){topic, json_out_text(out)};
}

static void tell_to_reload(struct arena *arena, struct stream_items *items)
{
    *VEC_PUSH(arena, items) = (struct stream_item){STREAM_TOPICS, STR("{}")};
}

static struct err *newest_activity(struct db_tx *tx, int64_t workspace, int64_t *id)
{
    struct activity *list;
    size_t           n;
    TRY(activity_list(tx, workspace, &(struct activity_filter){.limit = 1}, &list, &n));
    *id = n ? list[0].id : 0;
    return NULL;
}

static struct err *gather_activities(struct news *news, struct db_tx *tx, struct stream_items *items)
{
    struct { struct activity *at; size_t n, capacity; } fresh = {0};
    struct activity_filter filter = {.limit = ACTIVITY_PAGE};
    int64_t newest;
    bool    reached = false;
    TRY(newest_activity(tx, news->workspace.id, &newest));
    if (newest <= news->activity) return NULL;
    for (int page = 0; page < ACTIVITY_PAGES && !reached; page++) {
        struct activity *list;
        size_t           n, i = 0;
        TRY(activity_list(tx, news->workspace.id, &filter, &list, &n));
        for (; i < n && list[i].id > news->activity; i++) *VEC_PUSH(tx->arena, &fresh) = list[i];
        reached = i < n || n < ACTIVITY_PAGE;
        if (n) filter.before = list[n - 1].id;
    }
    news->activity = newest;
    if (!reached) {
        tell_to_reload(tx->arena, items);
        return NULL;
    }
    for (size_t i = fresh.n; i-- > 0;) {
        struct json_out out = json_out(tx->arena);
        activity_write(&out, NULL, &fresh.at[i]);
        *VEC_PUSH(tx->arena, items) = (struct stream_item){STREAM_ACTIVITY, json_out_text(&out)};
    }
    return NULL;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------------- */

static void tell_job(struct news *news, struct arena *arena, const struct flow_job *job, struct stream_items *items)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    api_put_job_state(&out, &news->workspace, job);
    tell(arena, items, STREAM_JOB, &out);
}

static struct err *gather_changed(struct news *news, struct db_tx *tx, const struct stream_jobs *changed,
                                  struct stream_items *items)
{
    if (changed->overflow) tell_to_reload(tx->arena, items);
    for (size_t i = 0; i < changed->n; i++) {
        const struct stream_job *change = &changed->at[i];
        struct flow_job          job;
        struct err *err = flow_job_get(tx, news->workspace.id, (struct str){change->id, sizeof change->id}, &job);
        if (err && err->code == ERR_NOT_FOUND) continue; /* swept */
        TRY(err);
        if (change->progress.s && !job.completed_at) job.progress = change->progress;
        tell_job(news, tx->arena, &job, items);
    }
    return NULL;
}

static bool was_running_so(const struct news *news, const struct flow_job *job)
{
    for (size_t i = 0; i < news->running_count; i++)
        if (news->running[i].id == job->id) return news->running[i].updated_at == job->updated_at;
    return false;
}

/* Claims and records of steps are not announced, for there are too many: they show in the row. */
static struct err *gather_running(struct news *news, struct db_tx *tx, struct stream_items *items)
{
    struct flow_job_filter filter = {.statuses = {STR("running")}, .limit = RUNNING};
    struct flow_job       *jobs;
    size_t                 n;
    TRY(flow_job_list(tx, news->workspace.id, filter, &jobs, &n));
    for (size_t i = n; i-- > 0;)
        if (!was_running_so(news, &jobs[i])) tell_job(news, tx->arena, &jobs[i], items);
    for (size_t i = 0; i < n; i++) news->running[i] = (struct seen_run){jobs[i].id, jobs[i].updated_at};
    news->running_count = n;
    return NULL;
}

/* ---- sources ------------------------------------------------------------------------------------------------------------- */

static struct seen_source *seen_source(struct news *news, int64_t id)
{
    for (size_t i = 0; i < news->sources.n; i++)
        if (news->sources.at[i].id == id) return &news->sources.at[i];
    struct seen_source *added = VEC_PUSH(news->arena, &news->sources);
    added->id = id;
    return added;
}

static struct err *gather_sources(struct news *news, struct db_tx *tx, struct stream_items *items)
{
    struct source_record *sources;
    int64_t               before = 0;
    size_t                n = SOURCE_PAGE;
    for (size_t total = 0; n == SOURCE_PAGE && total < MAX_SOURCES; total += n) {
        TRY(source_list(tx, news->workspace.id, before, SOURCE_PAGE, &sources, &n));
        for (size_t i = 0; i < n; i++) {
            struct json_out     out = json_out(tx->arena);
            struct seen_source *seen = seen_source(news, sources[i].id);
            json_begin(&out, NULL, '{');
            api_put_source(&out, news->app, &sources[i], &news->facts);
            json_end(&out);
            struct str text = json_out_text(&out);
            uint64_t   hash = hash_str(text);
            if (seen->hash != hash) *VEC_PUSH(tx->arena, items) = (struct stream_item){STREAM_SOURCE, text};
            seen->hash = hash;
        }
        if (n) before = sources[n - 1].id;
    }
    return NULL;
}

/* ---- health -------------------------------------------------------------------------------------------------------------- */

static void tell_health(struct arena *arena, enum activity_level previous, const struct activity_health *health,
                        struct stream_items *items)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "level", activity_level_name(health->level));
    json_put(&out, "previousLevel", activity_level_name(previous));
    json_put(&out, "successRate", health->jobs.success);
    json_begin(&out, "sources", '[');
    for (size_t i = 0; i < health->source_count; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "id", health->sources[i].id);
        json_put(&out, "health", activity_level_name(health->sources[i].level));
        json_put(&out, "reason", health->sources[i].reason);
        json_end(&out);
    }
    json_end(&out);
    tell(arena, items, STREAM_HEALTH, &out);
}

static struct err *gather_health(struct news *news, struct db_tx *tx, struct stream_items *items)
{
    enum activity_level previous = news->facts.health.level;
    struct arena       *results = tx->arena, *old = news->facts_arena;
    news->facts_arena = tx->arena = arena_create();
    struct err *err = api_source_facts(tx, news->workspace.id, &news->facts);
    tx->arena = results;
    if (err) { /* it lies in what goes */
        err = err_new(results, err->code, STR_FMT, STR_ARG(err_text(results, err)));
        news->facts = (struct api_source_facts){.health.level = previous};
    }
    arena_destroy(old);
    if (!err && news->facts.health.level != previous) tell_health(results, previous, &news->facts.health, items);
    return err;
}

/* ---- all ------------------------------------------------------------------------------------------------------------------- */

static bool is_time(int64_t *last_us, int64_t ms)
{
    int64_t now = time_monotonic_us();
    if (*last_us && now - *last_us < ms * 1000) return false;
    *last_us = now;
    return true;
}

struct err *news_gather(struct news *news, struct arena *arena, const struct stream_jobs *changed,
                        struct stream_items *items)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(news->app->db, arena, &tx));
    TRY(gather_activities(news, tx, items));
    TRY(gather_changed(news, tx, changed, items));
    if (is_time(&news->running_at, RUNNING_MS)) TRY(gather_running(news, tx, items));
    if (is_time(&news->health_at, HEALTH_MS)) TRY(gather_health(news, tx, items));
    return is_time(&news->sources_at, SOURCES_MS) ? gather_sources(news, tx, items) : NULL;
}

/* How things are now is no news. */
static struct err *look_first(struct news *news, struct arena *arena)
{
    struct stream_items old = {0};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(news->app->db, arena, &tx));
    TRY(newest_activity(tx, news->workspace.id, &news->activity));
    TRY(gather_running(news, tx, &old));
    TRY(gather_health(news, tx, &old));
    return gather_sources(news, tx, &old);
}

struct err *news_begin(struct arena *arena, struct app *app, const struct org_workspace *workspace, struct news **news)
{
    struct arena *kept = arena_create();
    *news = NEW(kept, struct news);
    **news = (struct news){.arena = kept, .app = app, .workspace = *workspace};
    (*news)->workspace.public_id = str_dup(kept, workspace->public_id);
    (*news)->workspace.org_public_id = str_dup(kept, workspace->org_public_id);
    (*news)->health_at = time_monotonic_us();
    struct err *err = look_first(*news, arena);
    if (err) news_end(*news);
    return err;
}

void news_end(struct news *news)
{
    arena_destroy(news->facts_arena);
    arena_destroy(news->arena);
}

int64_t news_workspace(const struct news *news) { return news->workspace.id; }
