/* functions_entities.c - what a model finds in an observation beside what patterns find (spec/pipeline.md 6). */
#include "memory/announce.h"

#include "base/utf8.h"

struct extraction {
    struct flow_run    *run;
    struct memory      *memory;
    struct str          public_id, xid, title, body;
    int64_t             id;
    size_t              length; /* characters of body */
    bool                found;
    struct model_rules  rules;
    struct llm_entities entities;
};

static struct err *read_observation(struct extraction *e)
{
    struct db_rows   rows;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(e->memory->db, e->run->arena, &tx));
    TRY(models_rules(tx, e->memory, e->run->workspace, &e->rules));
    TRY(db_query(tx, &rows, "SELECT id, title, content FROM observation WHERE workspace_id = $1 AND xid = $2",
                 e->run->workspace, e->xid));
    e->found = db_next(&rows, &e->id, &e->title, &e->body);
    e->length = utf8_length(empty_if_null(e->body));
    return db_done(&rows);
}

static struct err *ask_model(struct flow_run *run, void *arg, struct str *answer)
{
    struct extraction *e = arg;
    struct llm_usage   usage = {0};
    TRY(models_wait(run, e->memory));
    struct err *err = llm_entities(e->memory->llm, run->arena, text_without_label(e->title), e->body,
                                   models_terms(run, e->memory, &e->rules, LLM_ENTITIES), &e->entities, &usage);
    models_used(run, e->memory, &e->rules, LLM_ENTITIES, &usage);
    if (err) return models_failed(run, err);
    struct json_out out = json_out(run->arena);
    llm_entities_write(&out, &e->entities);
    *answer = json_out_text(&out);
    return NULL;
}

/* ---- storing ----------------------------------------------------------------------------------------------------- */

/* Keys come in lower case from the model; patterns and people write "ENG-42". An entity is one, however it is written,
 * but "#12" is one of each repository. */
static struct memory_entity entity_of(struct work *work, const struct prepared_event *item,
                                      const struct llm_entity *found)
{
    struct str repo = str_lower(work->arena, json_str(item->metadata, "repoFullName"));
    return (struct memory_entity){
        .category = str_of(text_entity_name(found->category)),
        .key = found->key,
        .value = found->value,
        .scope = number_alone(found->key) ? repo : (struct str){0},
        .confidence = found->confidence,
        .evidence = found->evidence,
        .method = "llm",
    };
}

/* The issue that the entity names, as a text would mention it; n == 0: none. */
static struct str issue_named(struct arena *arena, const struct memory_entity *entity)
{
    if (!str_eq(entity->category, STR("project"))) return (struct str){0};
    struct str         key = str_upper(arena, entity->key);
    struct text_issues issues = text_mentioned_issues(arena, key);
    if (issues.n != 1 || !str_eq(issues.at[0].id, key)) return (struct str){0};
    return number_alone(key) ? str_printf(arena, STR_FMT STR_FMT, STR_ARG(entity->scope), STR_ARG(key)) : key;
}

static bool is_linked(const struct memory_analysis *analysis, struct str key)
{
    for (size_t i = 0; i < analysis->link_count; i++)
        if (str_eq(analysis->links[i].type, STR("issue")) && str_eq(analysis->links[i].key, key)) return true;
    return false;
}

/* Issues that nothing in the text or the references has named become mentions, with the edges that follow. */
static struct err *link_issues(struct work *work, const struct prepared_event *item,
                               const struct memory_analysis *found, int64_t observation)
{
    struct prepared_event fresh = *item;
    fresh.analysis.links = NEW_ARRAY(work->arena, struct memory_link, found->entity_count);
    fresh.analysis.link_count = 0;
    for (size_t i = 0; i < found->entity_count; i++) {
        struct str key = issue_named(work->arena, &found->entities[i]);
        if (!key.n || is_linked(&item->analysis, key) || is_linked(&fresh.analysis, key)) continue;
        fresh.analysis.links[fresh.analysis.link_count++] = (struct memory_link){.type = STR("issue"), .key = key};
    }
    if (!fresh.analysis.link_count) return NULL;
    TRY(references_write(work, observation, &fresh.analysis));
    return relations_link(work, &fresh, observation);
}

static struct err *index_entities(struct work *work, const struct stored_observation *stored,
                                  const struct memory_analysis *found)
{
    struct index_item entry;
    bool              indexed;
    TRY(index_read(work->tx, work->workspace, INDEX_OBSERVATION, stored->id, &entry, &indexed));
    if (!indexed) return NULL;
    uint64_t *hashes = NEW_ARRAY(work->arena, uint64_t, entry.entity_count + found->entity_count);
    size_t    n = entry.entity_count;
    if (n) memcpy(hashes, entry.entities, n * sizeof *hashes);
    for (size_t i = 0; i < found->entity_count && n < INDEX_MAX_ENTITIES; i++) {
        const struct memory_entity *entity = &found->entities[i];
        uint64_t                    hash = index_entity_hash(entity->category, entity->key, entity->scope);
        size_t                      k = 0;
        while (k < n && hashes[k] != hash) k++;
        if (k == n) hashes[n++] = hash;
    }
    if (n == entry.entity_count) return NULL;
    entry.entities = hashes;
    entry.entity_count = n;
    entry.actor = stored->actor;
    entry.cluster = stored->cluster;
    return index_add(&work->writer, &entry);
}

static struct err *count_links(struct db_tx *tx, int64_t workspace, int64_t observation, int64_t *count)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM entity_observation WHERE workspace_id = $1 AND observation_id = $2",
                 workspace, observation));
    (void)db_next(&rows, count);
    return db_done(&rows);
}

static struct err *store_entities(const struct extraction *e, struct db_tx *tx, int64_t *stored_count)
{
    struct work               work;
    struct prepared_event     item;
    struct stored_observation stored;
    int64_t                   before = 0;
    bool                      found;
    TRY(work_open(&work, e->memory, tx, e->run->workspace));
    TRY(observation_load(&work, e->id, &item, &stored, &found));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Observation not found");
    TRY(count_links(tx, work.workspace, e->id, &before));
    struct prepared_event named = {.event = item.event};
    named.analysis.entities = NEW_ARRAY(tx->arena, struct memory_entity, e->entities.n);
    for (size_t i = 0; i < e->entities.n; i++)
        named.analysis.entities[named.analysis.entity_count++] = entity_of(&work, &item, &e->entities.at[i]);
    TRY(entities_link(&work, &named, e->id, false, NULL));
    TRY(link_issues(&work, &item, &named.analysis, e->id));
    TRY(index_entities(&work, &stored, &named.analysis));
    TRY(count_links(tx, work.workspace, e->id, stored_count));
    *stored_count -= before;
    return work_close(&work);
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static struct str success_output(const struct extraction *e, int64_t stored)
{
    struct json_out out = json_out(e->run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "observationId", e->public_id);
    json_put(&out, "entitiesExtracted", e->entities.n);
    json_put(&out, "entitiesStored", stored);
    json_end(&out);
    return json_out_text(&out);
}

static struct err *write_entities(struct db_tx *tx, void *arg)
{
    struct extraction *e = arg;
    int64_t            stored;
    TRY(store_entities(e, tx, &stored));
    flow_output(e->run, success_output(e, stored));
    return flow_complete_in(e->run, tx);
}

static void set_input(struct extraction *e)
{
    struct json_out out = json_out(e->run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "observationId", e->public_id);
    json_put(&out, "contentLength", e->length);
    json_end(&out);
    flow_input(e->run, json_out_text(&out));
}

static struct err *extract_from(struct extraction *e)
{
    struct str        answer;
    const json_value *json;
    TRY(read_observation(e));
    set_input(e);
    const char *skipped = !e->found                             ? "observation_not_found"
                          : e->length < LLM_ENTITIES_LEAST_BODY ? "content_too_short"
                          : !e->rules.on                        ? "no_language_model"
                                                                : NULL;
    if (skipped) {
        flow_output(e->run, job_output(e->run->arena, "skipped", "observationId", e->public_id, str_of(skipped)));
        return NULL;
    }
    TRY(flow_step(e->run, "ask", ask_model, e, &answer));
    TRY(json_parse(e->run->arena, answer, &json));
    TRY(llm_entities_read(e->run->arena, json, &e->entities));
    return db_write(e->memory->db, e->run->arena, write_entities, e);
}

static struct err *extract(struct flow_run *run)
{
    struct extraction e = {.run = run, .memory = run->context, .public_id = json_str(flow_data(run), "observationId")};
    e.xid = public_xid(e.public_id, "obs_");
    struct err *err = extract_from(&e);
    return err ? job_failed(run, "observationId", e.public_id, err) : NULL;
}

const struct flow_function memory_entity_extraction = {
    .name = "neural.llm-entity-extraction",
    .on = "neural/llm-entity-extraction.requested",
    .run = extract,
    .retries = 2,
    .title = "'LLM entities: ' + observationId",
    .concurrency = {{.limit = 5, .key = "workspace"}},
    .debounce = {.period = 60000, .key = "observationId"},
    .start_within = 30000,
    .finish_within = 3 * 60000,
    .on_failure = log_failure,
};
