/* entities.c - things that observations name: one row a thing, one link for each observation that names it. */
#include "memory/parts.h"

struct entity {
    int64_t    id;
    struct str category, key, key_norm, scope, value, aliases, evidence;
    int64_t    first, first_seen_at, last_seen_at, count;
    double     confidence;
    bool       fresh, dirty; /* fresh: not in the database yet */
};

struct entity_work {
    struct map *by_key; /* "category\0key_norm\0scope" -> struct entity * */
    struct map *by_id;
};

enum { KEY_MAX = 500 };

struct err *entities_open(struct work *work)
{
    work->entities = NEW(work->arena, struct entity_work);
    work->entities->by_key = map_create(work->arena);
    work->entities->by_id = map_create(work->arena);
    return NULL;
}

/* ---- finding and making --------------------------------------------------------------------------------------------- */

static struct str map_key(struct arena *arena, struct str category, struct str key_norm, struct str scope)
{
    struct buf key = buf_in(arena);
    buf_reserve(&key, category.n + key_norm.n + scope.n + 2);
    buf_str_add(&key, category);
    buf_char(&key, '\0');
    buf_str_add(&key, key_norm);
    buf_char(&key, '\0');
    buf_str_add(&key, scope);
    return buf_str(&key);
}

static struct entity *keep(struct work *work, struct entity *entity)
{
    struct str key = map_key(work->arena, entity->category, entity->key_norm, entity->scope);
    *map_at(work->entities->by_key, key) = (int64_t)(intptr_t)entity;
    *map_at(work->entities->by_id, key_of_number(&entity->id)) = (int64_t)(intptr_t)entity;
    return entity;
}

#define COLUMNS                                                                                                   \
    "SELECT id, category, key, key_norm, scope, value, aliases, evidence_snippet, source_observation_id, "         \
    "first_seen_at, last_seen_at, occurrence_count, confidence FROM entity "

static struct err *read_entity(struct work *work, struct db_rows *rows, struct entity **out)
{
    struct entity e = {0};
    *out = NULL;
    if (db_next(rows, &e.id, &e.category, &e.key, &e.key_norm, &e.scope, &e.value, &e.aliases, &e.evidence, &e.first,
                &e.first_seen_at, &e.last_seen_at, &e.count, &e.confidence)) {
        struct entity *kept = NEW(work->arena, struct entity);
        *kept = e;
        *out = keep(work, kept);
    }
    return db_done(rows);
}

static struct err *find(struct work *work, struct str category, struct str key_norm, struct str scope,
                        struct entity **out)
{
    int64_t *known = map_find(work->entities->by_key, map_key(work->arena, category, key_norm, scope));
    if (known) {
        *out = (struct entity *)(intptr_t)*known;
        return NULL;
    }
    struct db_rows rows;
    TRY(db_query(work->tx, &rows, COLUMNS "WHERE workspace_id = $1 AND key_norm = $2 AND category = $3 AND scope = $4",
                 work->workspace, key_norm, category, scope));
    return read_entity(work, &rows, out);
}

static struct err *find_by_id(struct work *work, int64_t id, struct entity **out)
{
    int64_t *known = map_find(work->entities->by_id, key_of_number(&id));
    if (known) {
        *out = (struct entity *)(intptr_t)*known;
        return NULL;
    }
    struct db_rows rows;
    TRY(db_query(work->tx, &rows, COLUMNS "WHERE workspace_id = $1 AND id = $2", work->workspace, id));
    return read_entity(work, &rows, out);
}

struct sighting {
    const struct memory_entity *found;
    int64_t                     observation, time;
};

static struct err *find_or_make(struct work *work, struct sighting sighting, struct entity **out)
{
    const struct memory_entity *found = sighting.found;
    struct str                  key_norm = str_lower(work->arena, found->key);
    TRY(find(work, found->category, key_norm, empty_if_null(found->scope), out));
    if (*out) return NULL;
    struct entity *entity = NEW(work->arena, struct entity);
    *entity = (struct entity){
        .id = index_new_id(&work->writer),
        .category = found->category,
        .key = found->key,
        .key_norm = key_norm,
        .scope = empty_if_null(found->scope),
        .value = found->value,
        .aliases = STR("[]"),
        .evidence = found->evidence,
        .first = sighting.observation,
        .first_seen_at = sighting.time,
        .last_seen_at = sighting.time,
        .confidence = found->confidence,
        .fresh = true,
        .dirty = true,
    };
    *out = keep(work, entity);
    return NULL;
}

/* Equal times are ordered by sourceId, as everywhere. */
static struct err *is_earlier(struct work *work, const struct entity *entity, struct sighting sighting, bool *earlier)
{
    struct observation_facts *first, *here;
    *earlier = sighting.time < entity->first_seen_at;
    if (sighting.time != entity->first_seen_at || entity->first == sighting.observation) return NULL;
    TRY(observation_facts(work, entity->first, &first));
    TRY(observation_facts(work, sighting.observation, &here));
    *earlier = first && here && str_cmp(here->source_id, first->source_id) < 0;
    return NULL;
}

/* A new link counts; everything else only ever grows, so that the order of arrival does not show. */
static struct err *sight(struct work *work, struct entity *entity, struct sighting sighting)
{
    bool earlier;
    TRY(is_earlier(work, entity, sighting, &earlier));
    if (entity->count == 0) { /* made for an alias, or forgotten but for one: nobody has named it so far */
        earlier = true;
        entity->confidence = 0;
        entity->last_seen_at = sighting.time;
    }
    entity->count++;
    entity->dirty = true;
    if (sighting.time > entity->last_seen_at) entity->last_seen_at = sighting.time;
    if (earlier) {
        entity->first_seen_at = sighting.time;
        entity->first = sighting.observation;
        entity->evidence = sighting.found->evidence;
    }
    if (sighting.found->confidence > entity->confidence) entity->confidence = sighting.found->confidence;
    if (!entity->value.s) entity->value = sighting.found->value;
    return NULL;
}

/* ---- links ---------------------------------------------------------------------------------------------------------- */

static struct err *linked_ids(struct work *work, int64_t observation, struct map *ids)
{
    struct db_rows rows;
    int64_t        id;
    TRY(db_query(work->tx, &rows,
                 "SELECT entity_id FROM entity_observation WHERE workspace_id = $1 AND observation_id = $2",
                 work->workspace, observation));
    while (db_next(&rows, &id)) *map_at(ids, key_of_number(&id)) = 1;
    return db_done(&rows);
}

/* The earliest observation that still names the entity. */
static struct err *find_first(struct work *work, struct entity *entity, int64_t without)
{
    struct db_rows rows;
    TRY(db_query(work->tx, &rows,
                 "SELECT o.id, o.occurred_at FROM entity_observation l JOIN observation o "
                 "ON o.workspace_id = l.workspace_id AND o.id = l.observation_id "
                 "WHERE l.workspace_id = $1 AND l.entity_id = $2 AND l.observation_id <> $3 "
                 "ORDER BY o.occurred_at, o.source_id LIMIT 1",
                 work->workspace, entity->id, without));
    (void)db_next(&rows, &entity->first, &entity->first_seen_at);
    return db_done(&rows);
}

static struct err *unlink_entity(struct work *work, int64_t id, int64_t observation)
{
    struct entity *entity;
    TRY(find_by_id(work, id, &entity));
    TRY(db_exec(work->tx,
                "DELETE FROM entity_observation WHERE workspace_id = $1 AND observation_id = $2 AND entity_id = $3",
                work->workspace, observation, id));
    if (!entity) return NULL;
    entity->count--;
    entity->dirty = true;
    return entity->first == observation ? find_first(work, entity, observation) : NULL;
}

struct err *entities_unlink_all(struct work *work, int64_t observation)
{
    struct map *ids = map_create(work->arena);
    TRY(linked_ids(work, observation, ids));
    for (size_t i = 0; i < map_count(ids); i++) {
        struct str number;
        int64_t    id;
        (void)map_entry(ids, i, &number);
        memcpy(&id, number.s, sizeof id);
        TRY(unlink_entity(work, id, observation));
    }
    return NULL;
}

static struct err *link_entity(struct work *work, struct sighting sighting, struct map *before, int64_t *links)
{
    struct entity *entity;
    if (sighting.found->key.n == 0 || sighting.found->key.n > KEY_MAX) return NULL;
    TRY(find_or_make(work, sighting, &entity));
    int64_t *linked = before ? map_find(before, key_of_number(&entity->id)) : NULL;
    if (linked) {
        *links += *linked != 0;
        *linked = 0; /* stays */
        return NULL;
    }
    TRY(db_exec(work->tx,
                "INSERT INTO entity_observation (workspace_id, observation_id, entity_id, confidence, method) "
                "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                work->workspace, sighting.observation, entity->id, sighting.found->confidence, sighting.found->method));
    if (db_changes(work->tx) == 0) return NULL;
    (*links)++;
    return sight(work, entity, sighting);
}

struct err *entities_link(struct work *work, const struct prepared_event *item, int64_t observation, bool replacing,
                          int64_t *linked)
{
    struct map *before = NULL;
    int64_t     links = 0;
    if (replacing) {
        before = map_create(work->arena);
        TRY(linked_ids(work, observation, before));
    }
    for (size_t i = 0; i < item->analysis.entity_count; i++)
        TRY(link_entity(work,
                        (struct sighting){&item->analysis.entities[i], observation, item->event.occurred_at}, before,
                        &links));
    if (linked) *linked = links;
    for (size_t i = 0; before && i < map_count(before); i++) {
        struct str number;
        int64_t    id;
        if (*map_entry(before, i, &number) == 0) continue;
        memcpy(&id, number.s, sizeof id);
        TRY(unlink_entity(work, id, observation));
    }
    return NULL;
}

/* ---- aliases -------------------------------------------------------------------------------------------------------- */

static bool listed(const json_value *list, struct str text)
{
    for (struct json_iter it = json_iter(list); json_step(&it);)
        if (str_eq(json_str(it.value, ""), text)) return true;
    return false;
}

enum { MAX_ALIASES = 20 };

struct err *entities_alias(struct work *work, struct str one, struct str other, int64_t observation)
{
    struct observation_facts *facts;
    struct entity            *entity;
    const json_value         *aliases = NULL;
    size_t                    number = str_find_char(one, '#', 0);
    struct memory_entity      named = {
             .category = STR("project"),
             .key = number == SIZE_MAX ? one : str_skip(one, number),
             .scope = number == SIZE_MAX ? STR("") : str_slice(one, 0, number),
             .confidence = 0.98,
             .evidence = STR("Reference: issue"),
    };
    TRY(observation_facts(work, observation, &facts));
    TRY(find_or_make(work, (struct sighting){&named, observation, facts ? facts->time : 0}, &entity));
    TRY(json_parse(work->arena, entity->aliases, &aliases));
    if (listed(aliases, other) || json_count(aliases) >= MAX_ALIASES) return NULL;
    struct json_out out = json_out(work->arena);
    json_begin(&out, NULL, '[');
    for (struct json_iter it = json_iter(aliases); json_step(&it);) json_put_value(&out, NULL, it.value);
    json_put_str(&out, NULL, other);
    json_end(&out);
    entity->aliases = json_out_text(&out);
    entity->dirty = true;
    return NULL;
}

/* ---- writing back --------------------------------------------------------------------------------------------------- */

static struct err *insert_entity(struct work *work, const struct entity *e, int64_t now)
{
    return db_exec(work->tx,
                   "INSERT INTO entity (workspace_id, id, xid, category, key, key_norm, scope, value, aliases, "
                   "source_observation_id, evidence_snippet, confidence, occurrence_count, first_seen_at, extracted_at, "
                   "last_seen_at, updated_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $15)",
                   work->workspace, e->id, id_new(work->arena, ""), e->category, e->key, e->key_norm, e->scope, e->value,
                   e->aliases, e->first, e->evidence, e->confidence, e->count, e->first_seen_at, now, e->last_seen_at);
}

static struct err *update_entity(struct work *work, const struct entity *e, int64_t now)
{
    return db_exec(work->tx,
                   "UPDATE entity SET value = $3, aliases = $4, source_observation_id = $5, evidence_snippet = $6, "
                   "confidence = $7, occurrence_count = $8, first_seen_at = $9, last_seen_at = $10, updated_at = $11 "
                   "WHERE workspace_id = $1 AND id = $2",
                   work->workspace, e->id, e->value, e->aliases, e->first, e->evidence, e->confidence, e->count,
                   e->first_seen_at, e->last_seen_at, now);
}

/* An entity that nothing names any more goes, unless it is the other name of something. */
static bool forgotten(const struct entity *e) { return e->count <= 0 && str_eq(e->aliases, STR("[]")); }

struct err *entities_flush(struct work *work)
{
    int64_t now = time_now();
    for (size_t i = 0; i < map_count(work->entities->by_id); i++) {
        struct str     number;
        struct entity *e = (struct entity *)(intptr_t)*map_entry(work->entities->by_id, i, &number);
        if (!e->dirty || (e->fresh && forgotten(e))) continue;
        if (forgotten(e))
            TRY(db_exec(work->tx, "DELETE FROM entity WHERE workspace_id = $1 AND id = $2", work->workspace, e->id));
        else
            TRY(e->fresh ? insert_entity(work, e, now) : update_entity(work, e, now));
    }
    return NULL;
}
