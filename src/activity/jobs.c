/* jobs.c - what the beginnings and ends of jobs leave behind: activities in the same transaction, samples after it. */
#include "activity/inside.h"

#include "base/log.h"
#include "base/time.h"
#include "source/source.h"

/* ---- activities -------------------------------------------------------------------------------------------------- */

static const struct told {
    const char *status, *action;
    enum activity_status outcome;
} told[] = {
    {"running", "job.started", ACTIVITY_IN_PROGRESS},
    {"completed", "job.completed", ACTIVITY_SUCCESS},
    {"failed", "job.failed", ACTIVITY_FAILURE},
};

/* The pipeline has a run for each occurrence, and the timeline tells of that already: only its failures are news. A
 * cancellation is told by whoever asked for it. */
static const struct told *what_to_tell(const struct flow_job_turn *turn)
{
    bool failed = strcmp(turn->status, "failed") == 0;
    bool by_hand = strcmp(turn->function, SOURCE_IMPORT) == 0 && turn->output.n; /* an import, told by who ended it */
    if (turn->system || by_hand || (!failed && str_starts(str_of(turn->function), STR("neural.")))) return NULL;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (strcmp(turn->status, told[i].status) == 0) return &told[i];
    return NULL;
}

static struct str metadata_of(struct arena *arena, const struct flow_job_turn *turn)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "jobName", turn->name);
    json_put(&out, "functionId", turn->function);
    json_put(&out, "trigger", flow_cause_name(turn->cause));
    if (turn->source.n) json_put(&out, "sourceId", turn->source);
    if (turn->error.n) json_put(&out, "error", turn->error);
    json_end(&out);
    return json_out_text(&out);
}

static struct err *tell(struct db_tx *tx, const struct flow_job_turn *turn)
{
    const struct told *what = what_to_tell(turn);
    if (!what) return NULL;
    bool running = what->outcome == ACTIVITY_IN_PROGRESS, failed = what->outcome == ACTIVITY_FAILURE;
    return activity_record(tx, &(struct activity){
        .workspace = turn->workspace,
        .actor = {.type = ACTIVITY_SYSTEM, .user = turn->triggered_by},
        .action = str_of(what->action),
        .entity_type = STR("job"),
        .entity_id = turn->public_id,
        .entity_name = turn->name,
        .status = what->outcome,
        .impact = {.errors = failed, .duration = running ? 0 : turn->duration},
        .metadata = metadata_of(tx->arena, turn),
        .job = turn->public_id,
    });
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

enum { MOST_SAMPLES = 4 };

struct measured {
    struct activity_recorder *recorder;
    struct flow_job_turn turn;
    struct arena   *arena;
    const json_value *input, *output;
    struct activity_sample samples[MOST_SAMPLES];
    size_t          n;
    struct str      source;  /* of a capture ... */
    const char     *outcome; /* ... and what became of it */
};

static void measure(struct measured *m, const char *type, double value, struct str tags)
{
    m->samples[m->n++] = (struct activity_sample){.workspace = m->turn.workspace, .type = str_of(type),
                                                  .source = m->turn.source, .tags = tags, .value = value, .n = 1,
                                                  .at = time_now()};
}

struct tag { const char *name; struct str value; };

static struct str tags_of(struct arena *arena, const struct tag *tags, size_t n)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (size_t i = 0; i < n; i++)
        if (tags[i].value.n) json_put(&out, tags[i].name, tags[i].value);
    json_end(&out);
    return json_out_text(&out);
}
#define TAGS(arena, ...) \
    tags_of((arena), (const struct tag[]){__VA_ARGS__}, sizeof((const struct tag[]){__VA_ARGS__}) / sizeof(struct tag))

static void measure_job(struct measured *m)
{
    struct str job = str_of(m->turn.function), trigger = str_of(flow_cause_name(m->turn.cause));
    if (strcmp(m->turn.status, "completed") == 0)
        measure(m, "job_duration", (double)m->turn.duration, TAGS(m->arena, {"jobType", job}, {"trigger", trigger}));
    if (strcmp(m->turn.status, "failed") == 0)
        measure(m, "errors", 1,
                TAGS(m->arena, {"errorType", STR("job_failure")}, {"jobType", job}, {"trigger", trigger}));
}

/* One outcome of each capture (pipeline.md 2). */
static void measure_capture(struct measured *m)
{
    static const struct { const char *reason, *metric; } outcomes[] = {
        {"duplicate", "observation_duplicate"}, {"below_threshold", "observation_below_threshold"}};
    struct str source = json_str(m->input, "source"), type = json_str(m->input, "sourceType");
    m->source = source;
    m->outcome = "captured";
    if (!str_eq(json_str(m->output, "status"), STR("success"))) {
        const char *metric = "observation_filtered";
        for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
            if (str_eq(json_str(m->output, "reason"), str_of(outcomes[i].reason))) metric = outcomes[i].metric;
        measure(m, metric, 1, TAGS(m->arena, {"source", source}, {"sourceType", type}));
        m->outcome = metric + strlen("observation_");
        return;
    }
    measure(m, "observation_captured", 1,
            TAGS(m->arena, {"observationType", json_str(m->output, "observationType")}, {"source", source}, {"sourceType", type}));
    int64_t entities = json_int(m->output, "entitiesExtracted", 0);
    if (entities) measure(m, "entities_extracted", (double)entities, TAGS(m->arena, {"source", source}));
    if (json_str(m->output, "clusterId").n)
        measure(m, "cluster_assigned", 1,
                json_bool(m->output, "clusterIsNew", false) ? STR("{\"isNew\":true}") : STR("{\"isNew\":false}"));
}

static void measure_profile(struct measured *m)
{
    measure(m, "profile_updated", 1, STR("{}"));
}

static void measure_summary(struct measured *m)
{
    if (json_bool(m->output, "summaryGenerated", false)) measure(m, "cluster_summary_generated", 1, STR("{}"));
}

static void measure_entities(struct measured *m)
{
    int64_t entities = json_int(m->output, "entitiesExtracted", 0);
    if (entities) measure(m, "entities_extracted", (double)entities, STR("{\"source\":\"llm\"}"));
}

static const struct { const char *function; void (*measure)(struct measured *m); } of_pipeline[] = {
    {"neural.observation.capture", measure_capture},
    {"neural.profile.update", measure_profile},
    {"neural.cluster.summary", measure_summary},
    {"neural.llm-entity-extraction", measure_entities},
};

static void measure_pipeline(struct measured *m)
{
    for (size_t i = 0; i < sizeof of_pipeline / sizeof *of_pipeline; i++) {
        if (strcmp(m->turn.status, "completed") != 0 || strcmp(m->turn.function, of_pipeline[i].function) != 0) continue;
        if (m->turn.input.n && json_parse(m->arena, m->turn.input, &m->input)) m->input = NULL;
        if (m->turn.output.n && json_parse(m->arena, m->turn.output, &m->output)) m->output = NULL;
        of_pipeline[i].measure(m);
    }
}

/* After the commit: nobody's transaction waits for it. */
static void hand_over(void *arg)
{
    struct measured      *m = arg;
    struct activity_ended ended = {m->turn.function, m->turn.status, m->turn.duration};
    if (!m->turn.system) { /* others are counted only */
        measure_job(m);
        measure_pipeline(m);
    }
    for (size_t i = 0; i < m->n; i++) activity_measure(m->recorder, &m->samples[i]);
    activity_count_job(m->recorder, &ended);
    if (m->outcome) activity_count_capture(m->recorder, m->source, m->outcome);
}

static void measure_turn(struct db_tx *tx, struct activity_recorder *recorder, const struct flow_job_turn *turn)
{
    if (!recorder || strcmp(turn->status, "running") == 0) return;
    struct measured *m = NEW(tx->arena, struct measured);
    *m = (struct measured){.recorder = recorder, .turn = *turn, .arena = tx->arena};
    db_when_committed(tx, hand_over, m);
}

/* What the timeline cannot take must not keep a job from ending. */
static struct err *hear(struct db_tx *tx, void *recorder, const struct flow_job_turn *turn)
{
    struct err *err = tell(tx, turn);
    if (err && err->code == ERR_UNAVAILABLE) return err;
    if (err) log_warn("activity", "a job is not told: " STR_FMT, STR_ARG(err_text(tx->arena, err)));
    measure_turn(tx, recorder, turn);
    return NULL;
}

void activity_watch_jobs(struct activity_recorder *recorder, struct flow *flow)
{
    flow_follow_jobs(flow, hear, recorder);
}
