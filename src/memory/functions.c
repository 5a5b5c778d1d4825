/* functions.c - the pipeline as durable functions (spec/pipeline.md 2, 12; workflow-engine.md 9): capture, profiles,
 * closing of clusters, the sweep. */
#include "memory/parts.h"

#include "base/time.h"
#include "flow/flow.h"
#include "source/receive.h"

enum { CAPTURES_TOGETHER = 100, MAX_MESSAGES = 6, CLUSTER_IDLE_DAYS = 7, CLUSTERS_AT_ONCE = 500 };

/* ---- capture: reading ------------------------------------------------------------------------------------------------ */

struct capture {
    struct flow_run      *run;
    const json_value     *data;
    struct source_event   event;
    enum source_ingestion ingestion;
    bool                  allowed;
    struct memory_result  result;
};

struct captures {
    struct memory  *memory;
    struct arena   *arena;
    struct capture *at;
    size_t          n;
    struct memory_batch *batches[SOURCE_API + 1]; /* those allowed, by where they came from */
    VEC(struct flow_message) messages;
};

static struct err *read_capture(struct arena *arena, struct flow_run *run, struct capture *capture)
{
    *capture = (struct capture){.run = run, .data = flow_data(run), .ingestion = SOURCE_WEBHOOK};
    struct str ingestion = json_str(capture->data, "ingestionSource");
    if (ingestion.s && !source_ingestion_parse(ingestion, &capture->ingestion))
        return err_new(arena, ERR_INVALID, "unknown ingestionSource");
    TRY(source_event_read(arena, json_get(capture->data, "sourceEvent"), &capture->event, NULL));
    return source_event_normalise(arena, &capture->event);
}

/* The subscription filter; what a user asked for passes. */
static struct err *filter(struct captures *all)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(all->memory->db, all->arena, &tx));
    for (size_t i = 0; i < all->n; i++) {
        struct capture *capture = &all->at[i];
        capture->allowed = capture->ingestion == SOURCE_MANUAL || capture->ingestion == SOURCE_API;
        if (!capture->allowed) TRY(source_allows(tx, capture->run->workspace, &capture->event, &capture->allowed));
    }
    return NULL;
}

static size_t select_allowed(const struct captures *all, enum source_ingestion ingestion, struct capture **selected)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].allowed && all->at[i].ingestion == ingestion) selected[n++] = &all->at[i];
    return n;
}

static struct err *prepare(struct captures *all, enum source_ingestion ingestion)
{
    struct capture     **selected = NEW_ARRAY(all->arena, struct capture *, all->n);
    size_t               n = select_allowed(all, ingestion, selected);
    struct source_event *events = NEW_ARRAY(all->arena, struct source_event, n);
    if (!n) return NULL;
    for (size_t i = 0; i < n; i++) events[i] = selected[i]->event;
    struct memory_capture capture = {selected[0]->run->workspace, ingestion, events, n};
    return memory_prepare(all->memory, all->arena, capture, &all->batches[ingestion]);
}

/* ---- capture: what became of it --------------------------------------------------------------------------------------- */

struct stored_facts {
    struct str type, title, url, topics, category, actor, cluster, topic_label, embedding;
    int64_t    occurred_at, entities, members;
    bool       cluster_is_new;
};

static struct err *read_facts(struct db_tx *tx, int64_t workspace, int64_t id, struct stored_facts *f)
{
    struct db_rows rows;
    *f = (struct stored_facts){0};
    TRY(db_query(tx, &rows,
                 "SELECT o.observation_type, o.title, o.url, o.topics, o.primary_category, o.actor_id, o.embedding_status, "
                 "o.occurred_at, c.xid, c.topic_label, c.observation_count, "
                 "(SELECT COUNT(*) FROM entity_observation e WHERE e.workspace_id = $1 AND e.observation_id = $2), "
                 "CASE WHEN c.id IS NULL THEN 0 WHEN EXISTS (SELECT 1 FROM observation p WHERE p.workspace_id = $1 "
                 "AND p.cluster_id = o.cluster_id AND +p.id < o.id) THEN 0 ELSE 1 END " /* +: by the cluster's index */
                 "FROM observation o LEFT JOIN cluster c ON c.workspace_id = $1 AND c.id = o.cluster_id "
                 "WHERE o.workspace_id = $1 AND o.id = $2",
                 workspace, id));
    (void)db_next(&rows, &f->type, &f->title, &f->url, &f->topics, &f->category, &f->actor, &f->embedding, &f->occurred_at,
                  &f->cluster, &f->topic_label, &f->members, &f->entities, &f->cluster_is_new);
    return db_done(&rows);
}

static void put_public(struct json_out *out, const char *key, const char *prefix, struct str xid)
{
    if (xid.n) json_put(out, key, str_printf(out->buf.arena, "%s" STR_FMT, prefix, STR_ARG(xid)));
    else json_put_null(out, key);
}

static struct str filtered_output(struct arena *arena, const struct capture *capture)
{
    struct json_out out = json_out(arena);
    bool            below = capture->result.outcome == MEMORY_BELOW_THRESHOLD;
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "filtered");
    json_put(&out, "reason", capture->allowed ? memory_outcome_name(capture->result.outcome) : "event_not_allowed");
    json_put(&out, "sourceId", capture->event.source_id);
    if (capture->allowed && below) json_put(&out, "significanceScore", capture->result.score);
    if (capture->result.public_id.n) json_put(&out, "observationId", capture->result.public_id);
    json_end(&out);
    return json_out_text(&out);
}

static struct str success_output(struct arena *arena, const struct capture *capture, const struct stored_facts *facts)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "observationId", capture->result.public_id);
    json_put(&out, "observationType", facts->type);
    json_put(&out, "significanceScore", capture->result.score);
    json_put(&out, "entitiesExtracted", facts->entities);
    put_public(&out, "clusterId", "clu_", facts->cluster);
    json_put_bool(&out, "clusterIsNew", facts->cluster_is_new);
    if (capture->result.outcome == MEMORY_REPLACED) json_put_bool(&out, "replaced", true);
    json_end(&out);
    return json_out_text(&out);
}

static struct str input_of(struct arena *arena, const struct source_event *event)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "sourceId", event->source_id);
    json_put(&out, "source", event->source);
    json_put(&out, "sourceType", event->source_type);
    json_put(&out, "title", event->title);
    json_end(&out);
    return json_out_text(&out);
}

/* ---- capture: what follows from it ------------------------------------------------------------------------------------ */

static struct json_out payload_of(struct captures *all, const struct capture *capture)
{
    struct json_out out = json_out(all->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", json_str(capture->data, "workspaceId"));
    json_put(&out, "orgId", json_str(capture->data, "orgId"));
    return out;
}

static void send(struct captures *all, const struct capture *capture, const char *name, struct json_out *out)
{
    json_end(out);
    *VEC_PUSH(all->arena, &all->messages) = (struct flow_message){.workspace = capture->run->workspace,
                                                                  .name = str_of(name),
                                                                  .data = json_out_text(out),
                                                                  .parent_run = capture->run->id};
}

static void send_captured(struct captures *all, const struct capture *capture, const struct stored_facts *facts)
{
    struct json_out out = payload_of(all, capture);
    json_put(&out, "observationId", capture->result.public_id);
    json_put(&out, "sourceId", capture->event.source_id);
    json_put(&out, "observationType", facts->type);
    json_put(&out, "significanceScore", capture->result.score);
    json_put_raw(&out, "topics", facts->topics);
    json_put(&out, "entitiesExtracted", facts->entities);
    put_public(&out, "clusterId", "clu_", facts->cluster);
    json_put_bool(&out, "clusterIsNew", facts->cluster_is_new);
    json_put(&out, "title", facts->title);
    if (facts->url.n) json_put(&out, "url", facts->url);
    json_put(&out, "source", capture->event.source);
    json_put(&out, "sourceType", capture->event.source_type);
    json_put(&out, "primaryCategory", facts->category);
    json_put_time(&out, "occurredAt", facts->occurred_at);
    json_put(&out, "ingestionSource", source_ingestion_name(capture->ingestion));
    send(all, capture, "neural/observation.captured", &out);
}

static void send_cluster(struct captures *all, const struct capture *capture, const struct stored_facts *facts)
{
    struct json_out out = payload_of(all, capture);
    put_public(&out, "clusterId", "clu_", facts->cluster);
    json_put(&out, "observationCount", facts->members);
    send(all, capture, "neural/cluster.check-summary", &out);
    if (!facts->cluster_is_new) return;
    out = payload_of(all, capture);
    put_public(&out, "clusterId", "clu_", facts->cluster);
    json_put(&out, "topicLabel", facts->topic_label);
    json_put_raw(&out, "topics", facts->topics);
    json_put(&out, "observationCount", facts->members);
    json_put(&out, "ingestionSource", source_ingestion_name(capture->ingestion));
    send(all, capture, "cluster.created", &out);
}

static void send_with_observation(struct captures *all, const struct capture *capture, const char *name,
                                  const char *key, struct str value)
{
    struct json_out out = payload_of(all, capture);
    if (key) json_put(&out, key, value);
    else json_put(&out, "attempt", 0);
    json_put(&out, "observationId", capture->result.public_id);
    send(all, capture, name, &out);
}

/* Events under which nobody has a function cost nothing more than this. A replacement is no news. */
static void send_events(struct captures *all, const struct capture *capture, const struct stored_facts *facts)
{
    if (capture->result.outcome == MEMORY_STORED) send_captured(all, capture, facts);
    if (facts->actor.n) send_with_observation(all, capture, "neural/profile.update", "actorId", facts->actor);
    if (facts->cluster.n) send_cluster(all, capture, facts);
    if (str_eq(facts->embedding, STR("pending")))
        send_with_observation(all, capture, "neural/observation.embed", NULL, (struct str){0});
}

/* ---- capture: one transaction ------------------------------------------------------------------------------------------ */

static struct err *store_batch(struct captures *all, struct db_tx *tx, enum source_ingestion ingestion)
{
    struct capture **selected = NEW_ARRAY(tx->arena, struct capture *, all->n);
    size_t           n = select_allowed(all, ingestion, selected);
    struct memory_result *results = NEW_ARRAY(tx->arena, struct memory_result, n);
    if (!n) return NULL;
    TRY(memory_store(all->memory, tx, all->batches[ingestion], results));
    for (size_t i = 0; i < n; i++) selected[i]->result = results[i];
    return NULL;
}

static struct err *complete(struct captures *all, struct db_tx *tx, struct capture *capture)
{
    enum memory_outcome outcome = capture->result.outcome;
    bool stored = capture->allowed && (outcome == MEMORY_STORED || outcome == MEMORY_REPLACED);
    if (capture->allowed && outcome == MEMORY_REFUSED)
        return err_new(tx->arena, ERR_INVALID, STR_FMT, STR_ARG(capture->result.error));
    if (stored) {
        struct stored_facts facts;
        TRY(read_facts(tx, capture->run->workspace, capture->result.id, &facts));
        flow_output(capture->run, success_output(all->arena, capture, &facts));
        send_events(all, capture, &facts);
    } else {
        flow_output(capture->run, filtered_output(all->arena, capture));
    }
    flow_input(capture->run, input_of(all->arena, &capture->event));
    return flow_complete_in(capture->run, tx);
}

static struct err *write_captures(struct db_tx *tx, void *arg)
{
    struct captures *all = arg;
    all->messages.n = 0;
    for (enum source_ingestion i = SOURCE_WEBHOOK; i <= SOURCE_API; i++) TRY(store_batch(all, tx, i));
    for (size_t i = 0; i < all->n; i++) TRY(complete(all, tx, &all->at[i]));
    return flow_send_many(tx, all->messages.at, all->messages.n, NULL);
}
_Static_assert(CAPTURES_TOGETHER * MAX_MESSAGES <= FLOW_MAX_SEND, "the events of one transaction are sent at once");

/* One that cannot be read is left out; the engine gives it again alone, and then its error is the run's. */
static struct err *capture_many(struct flow_run **runs, size_t n)
{
    struct captures all = {.memory = runs[0]->context, .arena = runs[0]->arena};
    all.at = NEW_ARRAY(all.arena, struct capture, n);
    for (size_t i = 0; i < n; i++) {
        struct err *err = read_capture(all.arena, runs[i], &all.at[all.n]);
        if (!err) all.n++;
        else if (n == 1) return err;
    }
    if (!all.n) return NULL;
    TRY(filter(&all));
    for (enum source_ingestion i = SOURCE_WEBHOOK; i <= SOURCE_API; i++) TRY(prepare(&all, i));
    return db_write(all.memory->db, all.arena, write_captures, &all);
}

static const struct flow_function observation_capture = {
    .name = "neural.observation.capture",
    .on = "neural/observation.capture",
    .run_many = capture_many,
    .together = CAPTURES_TOGETHER,
    .retries = 3,
    .title = "'Capture ' + sourceEvent.source + '/' + sourceEvent.sourceType",
    .source = "sourceId",
    .idempotency = "if(has(replay), '', sourceEvent.sourceId + if(ingestionSource == 'manual', '-manual', ''))",
    .priority = "if(ingestionSource == 'manual' || ingestionSource == 'backfill', -300, 0)",
    .start_within = 60000,
    .finish_within = 5 * 60000,
};

/* ---- profiles ----------------------------------------------------------------------------------------------------------- */

struct profile_run {
    struct flow_run *run;
    struct memory   *memory;
};

static struct err *put_profile(struct db_tx *tx, struct flow_run *run, struct str actor)
{
    struct db_rows rows;
    int64_t        count = 0, first = 0;
    TRY(db_query(tx, &rows,
                 "SELECT observation_count, first_active_at FROM actor_profile WHERE workspace_id = $1 AND actor_id = $2",
                 run->workspace, actor));
    bool found = db_next(&rows, &count, &first);
    TRY(db_done(&rows));
    struct json_out out = json_out(run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "actorId", actor);
    json_put(&out, "observationCount", count);
    json_put_bool(&out, "isNewProfile", found && count == 1);
    json_end(&out);
    flow_output(run, json_out_text(&out));
    return NULL;
}

/* Whichever actor's quiet time is over, all that changed are computed: together they cost two passes. */
static struct err *write_profiles(struct db_tx *tx, void *arg)
{
    struct profile_run *profile = arg;
    TRY(memory_settle(profile->memory, tx, profile->run->workspace));
    TRY(put_profile(tx, profile->run, json_str(flow_data(profile->run), "actorId")));
    return flow_complete_in(profile->run, tx);
}

static struct err *update_profile(struct flow_run *run)
{
    struct profile_run profile = {run, run->context};
    return db_write(run->db, run->arena, write_profiles, &profile);
}

static const struct flow_function profile_update = {
    .name = "neural.profile.update",
    .on = "neural/profile.update",
    .run = update_profile,
    .retries = 2,
    .title = "'Update profile: ' + actorId",
    .concurrency = {{.limit = 5, .key = "workspace"}},
    .debounce = {.period = 5 * 60000, .key = "actorId"},
    .start_within = 30000,
    .finish_within = 2 * 60000,
};

/* ---- upkeep of all workspaces -------------------------------------------------------------------------------------------- */

struct upkeep {
    int64_t    workspace;
    struct str workspace_id, org_id;
    int64_t    done;
    bool       more; /* call again */
};

typedef VEC(struct upkeep) upkeep_list;

static struct err *list_workspaces(struct flow_run *run, upkeep_list *list)
{
    struct db_rows rows;
    struct upkeep  one = {0};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(run->db, run->arena, &tx));
    TRY(db_query(tx, &rows,
                 "SELECT w.id, w.public_id, o.public_id FROM workspace w JOIN organization o ON o.id = w.org_id "
                 "WHERE w.state = 'active' ORDER BY w.id"));
    while (db_next(&rows, &one.workspace, &one.workspace_id, &one.org_id)) *VEC_PUSH(run->arena, list) = one;
    return db_done(&rows);
}

static struct err *for_each_workspace(struct flow_run *run, db_write_fn fn, const char *counted)
{
    upkeep_list list = {0};
    int64_t     done = 0;
    TRY(list_workspaces(run, &list));
    for (size_t i = 0; i < list.n; i++) {
        if (flow_should_stop(run)) return err_new(run->arena, ERR_CANCELLED, "stopped");
        do {
            TRY(db_write(run->db, run->arena, fn, &list.at[i]));
            done += list.at[i].done;
        } while (list.at[i].more);
    }
    flow_output(run, str_printf(run->arena, "{\"status\":\"success\",\"%s\":%lld}", counted, (long long)done));
    return NULL;
}

struct closed_cluster { struct str xid, label, topics; int64_t count; };

static struct err *send_closed(struct db_tx *tx, const struct upkeep *upkeep, const struct closed_cluster *cluster)
{
    struct json_out out = json_out(tx->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", upkeep->workspace_id);
    json_put(&out, "orgId", upkeep->org_id);
    put_public(&out, "clusterId", "clu_", cluster->xid);
    json_put(&out, "topicLabel", cluster->label);
    json_put_raw(&out, "topics", cluster->topics);
    json_put(&out, "observationCount", cluster->count);
    json_end(&out);
    struct str data = json_out_text(&out);
    const struct flow_message messages[] = {
        {.workspace = upkeep->workspace, .name = STR("cluster.closed"), .data = data},
        {.workspace = upkeep->workspace, .name = STR("neural/cluster.check-summary"), .data = data}, /* once on closing */
    };
    return flow_send_many(tx, messages, 2, NULL);
}

/* Under the workspace's lock, like whoever joins a cluster. */
static struct err *close_idle(struct db_tx *tx, void *arg)
{
    struct upkeep        *upkeep = arg;
    struct index_writer   writer;
    struct closed_cluster one;
    struct db_rows        rows;
    VEC(struct closed_cluster) closed = {0};
    int64_t now = time_now();
    TRY(index_writer_open(tx, upkeep->workspace, &writer));
    TRY(db_query(tx, &rows,
                 "UPDATE cluster SET status = 'closed', closed_at = $2 WHERE workspace_id = $1 AND id IN "
                 "(SELECT id FROM cluster WHERE workspace_id = $1 AND status = 'open' AND last_observation_at < $3 "
                 "ORDER BY id LIMIT $4) RETURNING xid, topic_label, key_topics, observation_count",
                 upkeep->workspace, now, now - DAYS(CLUSTER_IDLE_DAYS), (int)CLUSTERS_AT_ONCE));
    while (db_next(&rows, &one.xid, &one.label, &one.topics, &one.count)) *VEC_PUSH(tx->arena, &closed) = one;
    TRY(db_done(&rows));
    for (size_t i = 0; i < closed.n; i++) TRY(send_closed(tx, upkeep, &closed.at[i]));
    upkeep->done = (int64_t)closed.n;
    upkeep->more = closed.n == CLUSTERS_AT_ONCE;
    return index_writer_close(&writer);
}

static struct err *close_clusters(struct flow_run *run)
{
    return for_each_workspace(run, close_idle, "clustersClosed");
}

static const struct flow_function cluster_close = {
    .name = "neural.cluster.close",
    .cron = "@hourly",
    .run = close_clusters,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1}},
    .finish_within = 60 * 60000,
};

static struct err *fold_log(struct db_tx *tx, void *arg)
{
    struct upkeep      *upkeep = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, upkeep->workspace, &writer));
    TRY(index_fold(&writer, &upkeep->done));
    return index_writer_close(&writer);
}

static struct err *sweep(struct flow_run *run)
{
    return for_each_workspace(run, fold_log, "rowsFolded");
}

static const struct flow_function pipeline_sweep = {
    .name = "pipeline.sweep",
    .cron = "*/10 * * * *",
    .run = sweep,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1}},
    .finish_within = 60 * 60000,
};

const struct flow_function *const memory_functions[] = {&observation_capture, &profile_update, &cluster_close, &pipeline_sweep,
                                                        &memory_references_settle};
const size_t memory_function_count = sizeof memory_functions / sizeof *memory_functions;
