/* announce.c - what follows from a stored observation, as events (spec/pipeline.md 12), and outputs of jobs (2). */
#include "memory/announce.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"

struct err *outbox_open(struct db_tx *tx, int64_t workspace, struct arena *arena, struct outbox *outbox)
{
    struct db_rows rows;
    *outbox = (struct outbox){.db = tx->db, .arena = arena, .workspace = workspace};
    TRY(db_query(
        tx, &rows,
        "SELECT w.public_id, o.public_id FROM workspace w JOIN organization o ON o.id = w.org_id WHERE w.id = $1",
        workspace));
    bool found = db_next(&rows, &outbox->workspace_id, &outbox->org_id);
    TRY(db_done(&rows));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Workspace not found");
    outbox->workspace_id = str_dup(arena, outbox->workspace_id);
    outbox->org_id = str_dup(arena, outbox->org_id);
    return NULL;
}

struct json_out outbox_begin(const struct outbox *outbox)
{
    struct json_out out = json_out(outbox->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", outbox->workspace_id);
    json_put(&out, "orgId", outbox->org_id);
    return out;
}

struct flow_message *outbox_add(struct outbox *outbox, const char *name, struct json_out *payload)
{
    struct flow_message *message = VEC_PUSH(outbox->arena, &outbox->messages);
    json_end(payload);
    *message = (struct flow_message){.workspace = outbox->workspace,
                                     .name = str_of(name),
                                     .data = json_out_text(payload),
                                     .parent_run = outbox->parent_run};
    return message;
}

void outbox_add_latest(struct outbox *outbox, const char *name, struct str subject, struct json_out *payload)
{
    if (!outbox->latest) outbox->latest = map_create(outbox->arena);
    outbox_add(outbox, name, payload);
    int64_t *place = map_at(outbox->latest, str_printf(outbox->arena, "%s " STR_FMT, name, STR_ARG(subject)));
    if (*place) outbox->messages.at[*place - 1] = outbox->messages.at[--outbox->messages.n];
    else *place = (int64_t)outbox->messages.n;
}

void outbox_empty(struct outbox *outbox)
{
    outbox->messages.n = 0;
    outbox->latest = NULL;
}

/* How many of them the engine takes at once. */
static size_t sent_together(const struct flow_message *messages, size_t n)
{
    size_t bytes = 0, together = 0;
    while (together < n && together < FLOW_MAX_SEND && bytes + messages[together].data.n <= FLOW_MAX_SEND_BYTES)
        bytes += messages[together++].data.n;
    return together ? together : 1;
}

struct err *outbox_send(struct db_tx *tx, const struct outbox *outbox)
{
    const struct flow_message *messages = outbox->messages.at;
    for (size_t n, rest = outbox->messages.n; rest; rest -= n, messages += n) {
        n = sent_together(messages, rest);
        TRY(flow_send_many(tx, messages, n, NULL));
    }
    return NULL;
}

void put_public(struct json_out *out, const char *key, const char *prefix, struct str xid)
{
    if (xid.n)
        json_put(out, key, str_printf(out->buf.arena, "%s" STR_FMT, prefix, STR_ARG(xid)));
    else
        json_put_null(out, key);
}

struct str public_xid(struct str id, const char *prefix)
{
    return str_starts(id, str_of(prefix)) ? str_skip(id, strlen(prefix)) : (struct str){NULL, 0};
}

bool memory_is_history(struct str ingestion)
{
    return str_eq(ingestion, str_of(source_ingestion_name(SOURCE_BACKFILL))) ||
           str_eq(ingestion, str_of(source_ingestion_name(SOURCE_MANUAL)));
}

/* ---- outputs of jobs --------------------------------------------------------------------------------------------- */

struct str job_output(struct arena *arena, const char *status, const char *key, struct str value, struct str why)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", status);
    if (why.n) json_put(&out, strcmp(status, "failure") == 0 ? "error" : "reason", why);
    json_put(&out, key, value);
    json_end(&out);
    return json_out_text(&out);
}

/* Of an error inside the program only that there was one is told. */
struct err *job_failed(struct flow_run *run, const char *key, struct str value, struct err *err)
{
    if (err->code == ERR_CANCELLED) return err; /* it waits, or was stopped */
    struct str why = err->code == ERR_INTERNAL ? STR("internal error") : err_text(run->arena, err);
    flow_output(run, job_output(run->arena, "failure", key, value, why));
    return err;
}

void models_used(struct flow_run *run, const struct memory *memory, const struct model_rules *rules, enum llm_task task,
                 const struct llm_usage *usage)
{
    struct str      model = rules->models[task].n ? rules->models[task] : llm_model(memory->llm, task);
    struct json_out out = json_out(run->arena);
    if (!usage->input_tokens && !usage->output_tokens) return;
    out.decimals = 6;
    json_begin(&out, NULL, '{');
    json_put(&out, "model", model);
    json_put(&out, "inputTokens", usage->input_tokens);
    json_put(&out, "outputTokens", usage->output_tokens);
    json_put(&out, "cost", usage->cost);
    json_end(&out);
    flow_note(run, json_out_text(&out));
    struct err *err = llm_usage_record(memory->db, run->arena, run->workspace, task, usage);
    if (err) log_warn("memory", "the tokens of a call are not counted: " STR_FMT, STR_ARG(err->message));
}

static bool is_stopped(void *run)
{
    return flow_should_stop(run);
}

struct llm_terms models_terms(struct flow_run *run, const struct memory *memory, const struct model_rules *rules,
                              enum llm_task task)
{
    struct llm_allowance *allowance = NEW(run->arena, struct llm_allowance);
    *allowance = (struct llm_allowance){memory->db, run->workspace, rules->monthly_tokens};
    return (struct llm_terms){
        .model = rules->models[task], .budget = llm_budget_of(allowance), .stopped = is_stopped, .arg = run};
}

struct err *models_wait(struct flow_run *run, const struct memory *memory)
{
    if (llm_available(memory->llm)) return NULL;
    struct err *err = err_new(run->arena, ERR_UNAVAILABLE, "the language model is left alone after failures in a row");
    return flow_retry_after(run, err, time_now() + MINUTES(1));
}

/* The month's tokens do not come back by trying again. */
struct err *models_failed(struct flow_run *run, struct err *err)
{
    return err->code == ERR_RATE_LIMITED ? flow_fail(run, err) : err;
}

struct err *log_failure(struct flow_run *run)
{
    const json_value *data = flow_data(run);
    log_warn("memory", STR_FMT " has failed for good: " STR_FMT, STR_ARG(json_str(data, "functionId")),
             STR_ARG(json_str(data, "error")));
    return NULL;
}

/* ---- what is told of an observation ------------------------------------------------------------------------------ */

struct news news_of(const struct prepared_event *item, const struct memory_result *result,
                    enum source_ingestion ingestion)
{
    const struct source_event *event = &item->event;
    return (struct news){
        .id = result->id,
        .xid = public_xid(result->public_id, "obs_"),
        .source = event->source,
        .source_type = event->source_type,
        .source_id = event->source_id,
        .type = item->analysis.observation_type,
        .title = event->title,
        .url = item->analysis.url,
        .topics = item->topics,
        .category = str_of(item->analysis.primary),
        .actor = result->actor,
        .embedding = str_of(item->embedding_status),
        .ingestion = str_of(source_ingestion_name(ingestion)),
        .cluster = result->cluster.xid,
        .cluster_label = result->cluster.label,
        .occurred_at = event->occurred_at,
        .embedding_due = result->embedding_due,
        .score = item->analysis.score,
        .entities = result->entities,
        .length = (int64_t)utf8_length(event->body),
        .members = result->cluster.members,
        .closed_at = result->cluster.closed ? time_now() : 0,
        .cluster_is_new = result->cluster.created,
        .cluster_is_closed = result->cluster.closed,
    };
}

struct err *news_read(struct db_tx *tx, int64_t workspace, int64_t id, struct news *n)
{
    struct db_rows rows;
    struct str     status;
    *n = (struct news){.id = id};
    TRY(db_query(tx, &rows,
                 "SELECT o.xid, o.source, o.source_type, o.source_id, o.observation_type, o.title, o.url, o.topics, "
                 "o.primary_category, o.actor_id, o.embedding_status, o.embedding_due_at, o.ingestion_source, "
                 "o.occurred_at, o.significance_score, LENGTH(o.content), c.xid, c.topic_label, c.observation_count, "
                 "c.status, c.closed_at, "
                 "(SELECT COUNT(*) FROM entity_observation e WHERE e.workspace_id = $1 AND e.observation_id = $2), "
                 "CASE WHEN c.id IS NULL THEN 0 WHEN EXISTS (SELECT 1 FROM observation p WHERE p.workspace_id = $1 "
                 "AND p.cluster_id = o.cluster_id AND +p.id < o.id) THEN 0 ELSE 1 END " /* +: by the cluster's index */
                 "FROM observation o LEFT JOIN cluster c ON c.workspace_id = $1 AND c.id = o.cluster_id "
                 "WHERE o.workspace_id = $1 AND o.id = $2",
                 workspace, id));
    bool found = db_next(&rows, &n->xid, &n->source, &n->source_type, &n->source_id, &n->type, &n->title, &n->url,
                         &n->topics, &n->category, &n->actor, &n->embedding, &n->embedding_due, &n->ingestion,
                         &n->occurred_at, &n->score, &n->length, &n->cluster, &n->cluster_label, &n->members, &status,
                         &n->closed_at, &n->entities, &n->cluster_is_new);
    TRY(db_done(&rows));
    n->cluster_is_closed = str_eq(status, STR("closed"));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Observation not found");
}

void news_captured(struct outbox *outbox, const struct news *n)
{
    static const char name[] = "neural/observation.captured";
    if (!flow_is_heard(outbox->db, str_of(name))) return;
    struct json_out out = outbox_begin(outbox);
    put_public(&out, "observationId", "obs_", n->xid);
    json_put(&out, "sourceId", n->source_id);
    json_put(&out, "observationType", n->type);
    json_put(&out, "significanceScore", n->score);
    json_put_raw(&out, "topics", n->topics);
    json_put(&out, "entitiesExtracted", n->entities);
    put_public(&out, "clusterId", "clu_", n->cluster);
    json_put_bool(&out, "clusterIsNew", n->cluster_is_new);
    json_put(&out, "title", n->title);
    if (n->url.n) json_put(&out, "url", n->url);
    json_put(&out, "source", n->source);
    json_put(&out, "sourceType", n->source_type);
    json_put(&out, "primaryCategory", n->category);
    json_put_time(&out, "occurredAt", n->occurred_at);
    json_put(&out, "ingestionSource", n->ingestion);
    outbox_add(outbox, name, &out);
}

void news_profile(struct outbox *outbox, const struct news *n)
{
    if (!n->actor.n) return;
    struct json_out out = outbox_begin(outbox);
    json_put(&out, "actorId", n->actor);
    put_public(&out, "observationId", "obs_", n->xid);
    outbox_add_latest(outbox, "neural/profile.update", n->actor, &out);
}

static struct flow_message *tell_cluster(struct outbox *outbox, const struct news *n, const char *name)
{
    struct json_out out = outbox_begin(outbox);
    put_public(&out, "clusterId", "clu_", n->cluster);
    json_put(&out, "topicLabel", n->cluster_label);
    json_put_raw(&out, "topics", n->topics);
    json_put(&out, "observationCount", n->members);
    json_put(&out, "ingestionSource", n->ingestion);
    return outbox_add(outbox, name, &out);
}

void news_cluster(struct outbox *outbox, const struct news *n, int64_t began)
{
    if (!n->cluster.n) return;
    struct json_out out = outbox_begin(outbox);
    put_public(&out, "clusterId", "clu_", n->cluster);
    json_put(&out, "observationCount", n->members);
    outbox_add_latest(outbox, "neural/cluster.check-summary", n->cluster, &out);
    if (n->cluster_is_new) tell_cluster(outbox, n, "cluster.created");
    if (!n->cluster_is_closed || n->closed_at < began) return;
    /* several captures of one transaction may have joined it: told once */
    tell_cluster(outbox, n, "cluster.closed")->id = str_printf(outbox->arena, "closed-" STR_FMT, STR_ARG(n->cluster));
}

void news_entities(struct outbox *outbox, const struct news *n)
{
    if (n->length <= LLM_ENTITIES_LEAST_BODY) return;
    struct json_out out = outbox_begin(outbox);
    put_public(&out, "observationId", "obs_", n->xid);
    outbox_add(outbox, "neural/llm-entity-extraction.requested", &out);
}

void news_embed(struct outbox *outbox, struct str xid, int64_t attempt, int64_t due)
{
    struct json_out out = outbox_begin(outbox);
    put_public(&out, "observationId", "obs_", xid);
    json_put(&out, "attempt", attempt);
    outbox_add(outbox, "neural/observation.embed", &out)->ts = due;
}
