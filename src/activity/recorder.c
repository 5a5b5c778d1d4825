/* recorder.c - what is gathered in memory and written about a second later.
 *
 * DESIGN. Callers add to `gathered` under a lock held for a copy; the thread swaps it for an empty one and writes it in
 * transactions of at most ROWS_AT_ONCE rows. It sleeps until something comes, then a second more, so a busy server pays
 * one transaction a second and an idle one nothing. Same samples of a second are one row. Beyond EACH_AT_MOST activities
 * of an action and workspace the rest becomes one row that says how many, so that no load can flood the timeline; the
 * counts in samples stay exact. What cannot be written is dropped with a warning.
 */
#include "activity/inside.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS_AT_ONCE = 500, EACH_AT_MOST = 50, MOST_SAMPLES = 20000, MOST_ACTIVITIES = 5000, WAIT_MS = 1000 };

struct gathered {
    struct arena *arena;
    struct map   *sample_places, *activity_counts; /* position + 1; how often, by action and workspace */
    struct { struct activity_sample *at; size_t n, capacity; } samples;
    struct { struct activity *at; size_t n, capacity; } activities;
    struct map   *merged;  /* position + 1 of the activity that stands for the rest */
    int64_t       dropped;
};

struct activity_recorder {
    struct db      *db;
    pthread_t       thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t  wanted;
    struct gathered *gathered;
    struct activity_totals totals;
    bool            deliveries, stopping;
};

static struct gathered *gathered_create(void)
{
    struct arena    *arena = arena_create();
    struct gathered *g = NEW(arena, struct gathered);
    *g = (struct gathered){.arena = arena, .sample_places = map_create(arena), .activity_counts = map_create(arena),
                           .merged = map_create(arena)};
    return g;
}

static bool anything(const struct activity_recorder *recorder)
{
    return recorder->gathered->samples.n || recorder->gathered->activities.n || recorder->deliveries;
}

/* ---- gathering (lock held) --------------------------------------------------------------------------------------- */

static void add_sample(struct gathered *g, const struct activity_sample *sample)
{
    char       key[64];
    int        n = snprintf(key, sizeof key, "%lld %lld %.17g ", (long long)sample->workspace,
                            (long long)sample->at / 1000, sample->value);
    struct str parts[] = {{key, (size_t)n}, sample->type, sample->source, sample->tags};
    struct str whole = str_join(g->arena, parts, 4, STR(" "));
    int64_t   *place = map_find(g->sample_places, whole);
    if (place) {
        g->samples.at[*place - 1].n += sample->n;
        return;
    }
    if (g->samples.n >= MOST_SAMPLES) {
        g->dropped++;
        return;
    }
    struct activity_sample *kept = VEC_PUSH(g->arena, &g->samples);
    *kept = *sample;
    kept->type = str_dup(g->arena, sample->type);
    kept->source = str_dup(g->arena, sample->source);
    kept->tags = str_dup(g->arena, sample->tags);
    *map_at(g->sample_places, whole) = (int64_t)g->samples.n;
}

static void keep_texts(struct arena *arena, struct activity *activity)
{
    struct str *const texts[] = {
        &activity->actor.user, &activity->actor.email, &activity->actor.ip, &activity->actor.key,
        &activity->actor.user_agent, &activity->actor.request, &activity->action, &activity->entity_type,
        &activity->entity_id, &activity->entity_name, &activity->source, &activity->changes, &activity->reason,
        &activity->metadata, &activity->job, &activity->related,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(arena, *texts[i]);
}

static struct activity *push_activity(struct gathered *g, const struct activity *activity)
{
    struct activity *kept = VEC_PUSH(g->arena, &g->activities);
    *kept = *activity;
    if (!kept->ts) kept->ts = time_now();
    keep_texts(g->arena, kept);
    return kept;
}

/* One activity for all that are too many. */
static void merge_activity(struct gathered *g, struct str key, const struct activity *activity)
{
    int64_t *place = map_at(g->merged, key);
    if (!*place) {
        push_activity(g, &(struct activity){.workspace = activity->workspace, .org = activity->org,
                                            .actor = {.type = activity->actor.type}, .action = activity->action,
                                            .reason = STR("more of the same within a second"),
                                            .status = activity->status, .ts = activity->ts});
        *place = (int64_t)g->activities.n;
    }
    g->activities.at[*place - 1].impact.events++;
}

static void add_activity(struct gathered *g, const struct activity *activity)
{
    char       number[32];
    int        n = snprintf(number, sizeof number, "%lld %d", (long long)activity->workspace, (int)activity->status);
    struct str key = str_join(g->arena, (struct str[]){activity->action, {number, (size_t)n}}, 2, STR(" "));
    int64_t   *count = map_at(g->activity_counts, key);
    if (++*count > EACH_AT_MOST) merge_activity(g, key, activity);
    else if (g->activities.n < MOST_ACTIVITIES) push_activity(g, activity);
    else g->dropped++;
}

void activity_measure(struct activity_recorder *recorder, const struct activity_sample *sample)
{
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    bool first = !anything(recorder);
    add_sample(recorder->gathered, sample);
    if (first) pthread_cond_signal(&recorder->wanted);
    pthread_mutex_unlock(&recorder->lock);
}

void activity_note(struct activity_recorder *recorder, const struct activity *activity)
{
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    bool first = !anything(recorder);
    add_activity(recorder->gathered, activity);
    if (first) pthread_cond_signal(&recorder->wanted);
    pthread_mutex_unlock(&recorder->lock);
}

void activity_look_at_deliveries(struct activity_recorder *recorder)
{
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    bool first = !anything(recorder);
    recorder->deliveries = true;
    if (first) pthread_cond_signal(&recorder->wanted);
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

const double      activity_bounds_ms[ACTIVITY_BOUNDS] = {5, 10, 50, 100, 500, 1000, 5000, 10000, 60000, 300000, 3600000};
const char *const activity_sources[ACTIVITY_SOURCES] = {"git", "github", "linear", "sentry", "vercel", "other"};
const char *const activity_outcomes[ACTIVITY_OUTCOMES] = {"captured", "filtered", "duplicate", "below_threshold"};

/* Functions are few and their names are the engine's own; the last place takes what has none. */
static struct activity_function_count *count_of(struct activity_totals *totals, const char *function)
{
    for (size_t i = 0; i < totals->function_count; i++)
        if (strcmp(totals->functions[i].function, function) == 0) return &totals->functions[i];
    bool full = totals->function_count == ACTIVITY_FUNCTIONS;
    struct activity_function_count *count = &totals->functions[full ? ACTIVITY_FUNCTIONS - 1 : totals->function_count++];
    if (!full) count->function = function;
    return count;
}

void activity_count_job(struct activity_recorder *recorder, const struct activity_ended *ended)
{
    size_t bound = 0;
    while (bound < ACTIVITY_BOUNDS && (double)ended->duration > activity_bounds_ms[bound]) bound++;
    pthread_mutex_lock(&recorder->lock);
    struct activity_function_count *count = count_of(&recorder->totals, ended->function);
    bool completed = strcmp(ended->status, "completed") == 0, failed = strcmp(ended->status, "failed") == 0;
    count->completed += completed;
    count->failed += failed;
    count->cancelled += !completed && !failed;
    count->durations[bound] += completed;
    if (completed) count->total_ms += (double)ended->duration;
    pthread_mutex_unlock(&recorder->lock);
}

void activity_count_capture(struct activity_recorder *recorder, struct str source, const char *outcome)
{
    size_t from = 0, became = 0;
    while (from < ACTIVITY_SOURCES - 1 && !str_eq(source, str_of(activity_sources[from]))) from++;
    while (became < ACTIVITY_OUTCOMES - 1 && strcmp(outcome, activity_outcomes[became]) != 0) became++;
    pthread_mutex_lock(&recorder->lock);
    recorder->totals.captures[from][became]++;
    pthread_mutex_unlock(&recorder->lock);
}

void activity_totals(struct activity_recorder *recorder, struct activity_totals *totals)
{
    *totals = (struct activity_totals){0};
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    *totals = recorder->totals;
    pthread_mutex_unlock(&recorder->lock);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct portion {
    const struct gathered *gathered;
    size_t from, to; /* of samples and activities, one after the other */
};

static struct err *write_portion(struct db_tx *tx, void *arg)
{
    const struct portion  *portion = arg;
    const struct gathered *g = portion->gathered;
    for (size_t i = portion->from; i < portion->to; i++) {
        if (i < g->samples.n) {
            TRY(activity_sample_write(tx, &g->samples.at[i]));
            continue;
        }
        struct err *err = activity_record(tx, &g->activities.at[i - g->samples.n]);
        if (err && err->code != ERR_INVALID) return err; /* one that makes no sense keeps none out */
    }
    return NULL;
}

static void write_gathered(struct db *db, struct gathered *g)
{
    size_t all = g->samples.n + g->activities.n;
    for (size_t from = 0; from < all; from += ROWS_AT_ONCE) {
        struct arena  *work ARENA_SCOPE = arena_create();
        struct portion portion = {g, from, from + ROWS_AT_ONCE < all ? from + ROWS_AT_ONCE : all};
        struct err    *err = db_write(db, work, write_portion, &portion);
        if (err)
            log_warn("activity", "%zu samples and activities are lost: " STR_FMT, portion.to - portion.from,
                     STR_ARG(err_text(work, err)));
    }
    if (g->dropped) log_warn("activity", "%lld samples and activities of a second were too many", (long long)g->dropped);
}

/* ---- the log of deliveries --------------------------------------------------------------------------------------- */

#define DELIVERIES_TOLD "deliveries_told"
struct deliveries {
    int64_t told, seen; /* rows: told before, and now */
    struct { struct activity *at; size_t n, capacity; } activities;
};

struct delivery {
    int64_t    id, workspace, received_at;
    struct str public_id, source, event, action, delivery_id, outcome, reason, source_id, config, capture;
};

static struct str delivery_metadata(struct arena *arena, const struct delivery *d, struct str repository)
{
    const json_value *capture = NULL;
    struct json_out   out = json_out(arena);
    if (d->capture.n && json_parse(arena, d->capture, &capture)) capture = NULL;
    json_begin(&out, NULL, '{');
    json_put(&out, "deliveryId", d->delivery_id);
    json_put(&out, "eventType", d->event);
    if (d->action.n) json_put(&out, "action", d->action);
    json_put(&out, "outcome", d->outcome);
    if (d->reason.n) json_put(&out, "reason", d->reason);
    json_put(&out, "sourceId", d->source_id);
    if (repository.n) json_put(&out, "repoFullName", repository);
    if (json_str(capture, "observationId").n) json_put(&out, "observationId", json_str(capture, "observationId"));
    json_end(&out);
    return json_out_text(&out);
}

static struct activity activity_of(struct arena *arena, const struct delivery *d)
{
    const json_value *config = NULL;
    if (d->config.n && json_parse(arena, d->config, &config)) config = NULL;
    struct str repository = json_str(config, "repoFullName");
    bool       failed = str_eq(d->outcome, STR("failed")) || str_eq(d->outcome, STR("rejected"));
    return (struct activity){
        .workspace = d->workspace,
        .actor = {.type = ACTIVITY_WEBHOOK},
        .action = STR("integration.webhook_received"),
        .entity_type = STR("delivery"),
        .entity_id = d->public_id,
        .entity_name = repository,
        .source = d->source,
        .status = failed ? ACTIVITY_FAILURE : ACTIVITY_SUCCESS,
        .metadata = delivery_metadata(arena, d, repository),
        .ts = d->received_at,
    };
}

static struct err *read_deliveries(struct db *db, struct arena *arena, struct deliveries *all)
{
    struct delivery d = {0};
    struct db_rows  rows;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(activity_watermark_read(tx, DELIVERIES_TOLD, &all->told));
    all->seen = all->told;
    TRY(db_query(tx, &rows,
                 "SELECT d.id, x.workspace_id, d.received_at, d.public_id, d.source, d.event, d.action, d.delivery_id, "
                 "d.outcome, d.reason, s.public_id, s.source_config, r.output FROM (SELECT * FROM inbound_delivery WHERE "
                 "id > $1 ORDER BY id LIMIT $2) d LEFT JOIN inbound_delivery_share x ON x.delivery = d.id "
                 "LEFT JOIN source s ON s.workspace_id = x.workspace_id AND s.id = x.source_id "
                 "LEFT JOIN flow_event e ON e.workspace_id = x.workspace_id AND e.id = d.public_id AND "
                 "e.name = 'neural/observation.capture' LEFT JOIN flow_run r ON r.event_seq = e.seq AND "
                 "r.function = 'neural.observation.capture' AND r.replay_of IS NULL ORDER BY d.id",
                 all->told, (int)ROWS_AT_ONCE));
    while (db_next(&rows, &d.id, &d.workspace, &d.received_at, &d.public_id, &d.source, &d.event, &d.action,
                   &d.delivery_id, &d.outcome, &d.reason, &d.source_id, &d.config, &d.capture)) {
        all->seen = d.id;
        if (d.workspace) *VEC_PUSH(arena, &all->activities) = activity_of(arena, &d);
    }
    return db_done(&rows);
}

static struct err *write_deliveries(struct db_tx *tx, void *arg)
{
    const struct deliveries *all = arg;
    for (size_t i = 0; i < all->activities.n; i++) TRY(activity_record(tx, &all->activities.at[i]));
    return activity_watermark_write(tx, DELIVERIES_TOLD, all->seen);
}

/* *more: there may be others. */
static void tell_deliveries(struct db *db, bool *more)
{
    struct arena     *work ARENA_SCOPE = arena_create();
    struct deliveries all = {0};
    struct err       *err = read_deliveries(db, work, &all);
    if (!err && all.seen > all.told) err = db_write(db, work, write_deliveries, &all);
    if (err) log_warn("activity", "deliveries are not told yet: " STR_FMT, STR_ARG(err_text(work, err)));
    *more = !err && all.seen > all.told;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void wait_a_second(struct activity_recorder *recorder)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_MS / 1000;
    while (!recorder->stopping && pthread_cond_timedwait(&recorder->wanted, &recorder->lock, &until) == 0) continue;
}

/* Lock held; released while writing. */
static void write_all(struct activity_recorder *recorder)
{
    struct gathered *g = recorder->gathered;
    bool             deliveries = recorder->deliveries, more = false;
    recorder->gathered = gathered_create();
    recorder->deliveries = false;
    pthread_mutex_unlock(&recorder->lock);
    write_gathered(recorder->db, g);
    if (deliveries) tell_deliveries(recorder->db, &more);
    arena_destroy(g->arena);
    pthread_mutex_lock(&recorder->lock);
    recorder->deliveries |= more;
}

static void *recorder_main(void *arg)
{
    struct activity_recorder *recorder = arg;
    pthread_mutex_lock(&recorder->lock);
    while (!recorder->stopping) {
        while (!recorder->stopping && !anything(recorder)) pthread_cond_wait(&recorder->wanted, &recorder->lock);
        wait_a_second(recorder);
        write_all(recorder);
    }
    write_all(recorder); /* what came during the last writing */
    pthread_mutex_unlock(&recorder->lock);
    return NULL;
}

struct activity_recorder *activity_recorder_start(struct db *db)
{
    pthread_condattr_t        monotonic;
    struct activity_recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder) abort();
    recorder->db = db;
    recorder->gathered = gathered_create();
    recorder->deliveries = true; /* some may have come before the last end */
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_cond_init(&recorder->wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&recorder->thread, NULL, recorder_main, recorder) != 0) abort();
    pthread_setname_np(recorder->thread, "recorder");
    return recorder;
}

void activity_recorder_stop(struct activity_recorder *recorder)
{
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    recorder->stopping = true;
    pthread_cond_signal(&recorder->wanted);
    pthread_mutex_unlock(&recorder->lock);
    pthread_join(recorder->thread, NULL);
    arena_destroy(recorder->gathered->arena);
    pthread_mutex_destroy(&recorder->lock);
    pthread_cond_destroy(&recorder->wanted);
    free(recorder);
}
