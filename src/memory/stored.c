/* stored.c - an observation back from its row, for what is done to it later: vectors that come late, steps that a crash
 * has left out. */
#include "memory/parts.h"

static struct source_actor read_actor(struct arena *arena, struct str json)
{
    const json_value *actor = NULL;
    if (!json.n || json_parse(arena, json, &actor)) return (struct source_actor){0};
    return (struct source_actor){json_str(actor, "id"), json_str(actor, "name"), json_str(actor, "email"),
                                 json_str(actor, "avatarUrl")};
}

static void read_references(struct arena *arena, struct str json, struct source_event *event)
{
    const json_value *list = NULL;
    if (json_parse(arena, json, &list)) return;
    event->references = NEW_ARRAY(arena, struct source_reference, json_count(list));
    for (struct json_iter it = json_iter(list); json_step(&it);)
        event->references[event->reference_count++] =
            (struct source_reference){json_str(it.value, "type"), json_str(it.value, "id"), json_str(it.value, "url"),
                                      json_str(it.value, "label")};
}

/* The stored topics, which a model may have chosen. */
static void read_topics(struct arena *arena, struct str json, int64_t content, struct memory_analysis *analysis)
{
    const json_value *list = NULL;
    if (json_parse(arena, json, &list)) return;
    analysis->topics = NEW_ARRAY(arena, struct str, json_count(list));
    analysis->topic_count = 0;
    for (struct json_iter it = json_iter(list); json_step(&it);)
        analysis->topics[analysis->topic_count++] = json_str(it.value, "");
    analysis->content_topics = (size_t)content < analysis->topic_count ? (size_t)content : analysis->topic_count;
}

static struct err *add_model_entities(struct work *work, int64_t observation, struct memory_analysis *analysis)
{
    struct db_rows       rows;
    struct memory_entity one = {.method = "llm"};
    VEC(struct memory_entity) all = {0};
    for (size_t i = 0; i < analysis->entity_count; i++) *VEC_PUSH(work->arena, &all) = analysis->entities[i];
    TRY(db_query(work->tx, &rows,
                 "SELECT e.category, e.key, e.value, e.scope, l.confidence FROM entity_observation l JOIN entity e "
                 "ON e.workspace_id = l.workspace_id AND e.id = l.entity_id "
                 "WHERE l.workspace_id = $1 AND l.observation_id = $2 AND l.method = 'llm' ORDER BY e.id",
                 work->workspace, observation));
    while (db_next(&rows, &one.category, &one.key, &one.value, &one.scope, &one.confidence))
        *VEC_PUSH(work->arena, &all) = one;
    analysis->entities = all.at;
    analysis->entity_count = all.n;
    return db_done(&rows);
}

struct err *observation_load(struct work *work, int64_t id, struct prepared_event *item,
                             struct stored_observation *stored, bool *found)
{
    struct db_rows      rows;
    struct source_event event = {0};
    struct str          actor, references, topics, ingestion;
    int64_t             content = 0;
    *item = (struct prepared_event){0};
    *stored = (struct stored_observation){.id = id};
    TRY(db_query(work->tx, &rows,
                 "SELECT xid, actor_id, cluster_id, ingestion_source, source, source_type, source_id, title, content, "
                 "actor, occurred_at, source_references, metadata, topics, content_topics "
                 "FROM observation WHERE workspace_id = $1 AND id = $2",
                 work->workspace, id));
    *found = db_next(&rows, &stored->xid, &stored->actor, &stored->cluster, &ingestion, &event.source,
                     &event.source_type, &event.source_id, &event.title, &event.body, &actor, &event.occurred_at,
                     &references, &event.metadata, &topics, &content);
    TRY(db_done(&rows));
    if (!*found) return NULL;
    if (!source_ingestion_parse(ingestion, &stored->ingestion))
        return err_new(work->arena, ERR_INTERNAL, "observation " STR_FMT " has an unknown ingestion source",
                       STR_ARG(stored->xid));
    work->ingestion = stored->ingestion;
    work->history = stored->ingestion == SOURCE_BACKFILL || stored->ingestion == SOURCE_MANUAL;
    event.actor = read_actor(work->arena, actor);
    read_references(work->arena, references, &event);
    struct arena *scratch ARENA_SCOPE = arena_create();
    prepare_event(work->arena, scratch, &event, item);
    if (item->refused.s)
        return err_new(work->arena, ERR_INTERNAL, "observation " STR_FMT " cannot be read: " STR_FMT,
                       STR_ARG(stored->xid), STR_ARG(item->refused));
    read_topics(work->arena, topics, content, &item->analysis);
    item->embedding_status = "disabled";
    return add_model_entities(work, id, &item->analysis);
}
