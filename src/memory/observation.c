/* observation.c - rows of table observation and their items in the search log. */
#include "memory/parts.h"

/* ---- facts --------------------------------------------------------------------------------------------------------- */

void observation_remember(struct work *work, struct observation_facts facts)
{
    struct observation_facts *kept = NEW(work->arena, struct observation_facts);
    *kept = facts;
    *map_at(work->observations, key_of_number(&facts.id)) = (int64_t)(intptr_t)kept;
}

struct err *observation_facts(struct work *work, int64_t id, struct observation_facts **out)
{
    int64_t *known = map_find(work->observations, key_of_number(&id));
    if (known) {
        *out = (struct observation_facts *)(intptr_t)*known;
        return NULL;
    }
    struct observation_facts facts = {.id = id};
    struct db_rows           rows;
    TRY(db_query(work->tx, &rows,
                 "SELECT source, source_type, source_id, occurred_at, "
                 "(SELECT COUNT(*) FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2) + "
                 "(SELECT COUNT(*) FROM relationship WHERE workspace_id = $1 AND target_observation_id = $2) "
                 "FROM observation WHERE workspace_id = $1 AND id = $2",
                 work->workspace, id));
    bool found = db_next(&rows, &facts.source, &facts.source_type, &facts.source_id, &facts.time, &facts.edges);
    TRY(db_done(&rows));
    *out = NULL;
    if (!found) return NULL;
    observation_remember(work, facts);
    *out = (struct observation_facts *)(intptr_t)*map_find(work->observations, key_of_number(&id));
    return NULL;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

struct err *observation_find(struct work *work, struct str source_id, struct stored_observation *stored, bool *found)
{
    struct db_rows rows;
    struct str     ingestion = {NULL, 0};
    TRY(db_query(work->tx, &rows,
                 "SELECT id, xid, actor_id, cluster_id, ingestion_source FROM observation "
                 "WHERE workspace_id = $1 AND source_id = $2",
                 work->workspace, source_id));
    *found = db_next(&rows, &stored->id, &stored->xid, &stored->actor, &stored->cluster, &ingestion);
    TRY(db_done(&rows));
    if (*found && !source_ingestion_parse(ingestion, &stored->ingestion))
        return err_new(work->arena, ERR_INTERNAL, "observation " STR_FMT " has an unknown ingestion source",
                       STR_ARG(stored->xid));
    return NULL;
}

static struct str model_of(const struct work *work, const struct prepared_event *item)
{
    return strcmp(item->embedding_status, "ready") == 0 ? null_if_empty(work->model) : (struct str){NULL, 0};
}

static struct str resource_of(const struct prepared_event *item)
{
    return null_if_empty(json_str(item->metadata, "resourceId"));
}

struct err *observation_insert(struct work *work, const struct prepared_event *item,
                               const struct stored_observation *stored)
{
    const struct source_event    *event = &item->event;
    const struct memory_analysis *analysis = &item->analysis;
    int64_t                       now = time_now();
    struct db_value               cluster = stored->cluster ? db_of_int(stored->cluster) : db_of_null(DB_NULL);
    const struct db_value values[] = {
        db_of_int(work->workspace),
        db_of_int(stored->id),
        db_of_str(stored->xid),
        db_of_str(event->source),
        db_of_str(event->source_type),
        db_of_str(event->source_id),
        db_of_str(analysis->observation_type),
        db_of_str(resource_of(item)),
        db_of_str(event->title),
        db_of_str(empty_if_null(event->body)),
        db_of_str(null_if_empty(analysis->url)),
        db_of_int(event->occurred_at),
        db_of_int(now),
        db_of_str(item->actor),
        db_of_str(null_if_empty(stored->actor)),
        cluster,
        db_of_z(analysis->primary),
        db_of_str(item->secondary),
        db_of_real(analysis->confidence),
        db_of_z(analysis->method),
        db_of_str(item->topics),
        db_of_int((int64_t)analysis->content_topics),
        db_of_int(analysis->score),
        db_of_str(item->factors),
        db_of_str(item->references),
        db_of_str(event->metadata),
        db_of_z(item->embedding_status),
        db_of_str(model_of(work, item)),
        db_of_z(source_ingestion_name(work->ingestion)),
        db_of_z("done"),
        db_of_int(stored->embedding_due),
    };
    return db_exec_values(
        work->tx,
        "INSERT INTO observation (workspace_id, id, xid, source, source_type, source_id, observation_type, resource_id, "
        "title, content, url, occurred_at, captured_at, actor, actor_id, cluster_id, primary_category, "
        "secondary_categories, classification_confidence, classification_method, topics, content_topics, "
        "significance_score, significance_factors, source_references, metadata, embedding_status, embedding_model, "
        "ingestion_source, pipeline_state, embedding_due_at, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, "
        "$23, $24, $25, $26, $27, $28, $29, $30, $31, $13)",
        values, sizeof values / sizeof *values);
}

/* Id, edges and cluster stay (spec 3). */
struct err *observation_replace(struct work *work, const struct prepared_event *item,
                                const struct stored_observation *stored)
{
    const struct source_event    *event = &item->event;
    const struct memory_analysis *analysis = &item->analysis;
    return db_exec(work->tx,
                   "UPDATE observation SET source = $3, source_type = $4, observation_type = $5, resource_id = $6, "
                   "title = $7, content = $8, url = $9, occurred_at = $10, captured_at = $11, actor = $12, "
                   "actor_id = $13, primary_category = $14, secondary_categories = $15, "
                   "classification_confidence = $16, topics = $17, content_topics = $18, significance_score = $19, "
                   "significance_factors = $20, source_references = $21, metadata = $22, embedding_status = $23, "
                   "embedding_model = $24, ingestion_source = $25, classification_method = $26, embedding_due_at = $27 "
                   "WHERE workspace_id = $1 AND id = $2",
                   work->workspace, stored->id, event->source, event->source_type, analysis->observation_type,
                   resource_of(item), event->title, empty_if_null(event->body),
                   null_if_empty(analysis->url), event->occurred_at, time_now(), item->actor,
                   null_if_empty(stored->actor), analysis->primary, item->secondary, analysis->confidence,
                   item->topics, (int64_t)analysis->content_topics, analysis->score, item->factors, item->references,
                   event->metadata, item->embedding_status, model_of(work, item),
                   source_ingestion_name(work->ingestion), analysis->method, stored->embedding_due);
}

struct err *observation_index(struct work *work, const struct prepared_event *item,
                              const struct stored_observation *stored)
{
    struct index_item entry = {
        .id = stored->id,
        .kind = INDEX_OBSERVATION,
        .time = item->event.occurred_at,
        .source = item->event.source,
        .type = item->analysis.observation_type,
        .actor = stored->actor,
        .cluster = stored->cluster,
        .significance = item->analysis.score,
        .terms = item->terms,
        .term_count = item->term_count,
        .entities = item->entities,
        .entity_count = item->analysis.entity_count,
        .model = work->model,
        .dim = work->dim,
        .views = item->views,
    };
    return index_add(&work->writer, &entry);
}
