/* search_world.h - a small workspace, written row by row so that every test knows what is in it. */
#pragma once
#include "org_world.h"
#include "sql.h"

#include "base/id.h"
#include "memory/memory.h"
#include "search/parts.h"

struct fact { /* an observation; what is not given has a default */
    const char *title, *content, *source, *type, *source_id, *url, *actor, *references;
    const char *entities[4]; /* "project:#12" */
    int64_t     at;          /* days after 2024-01-01 */
    int64_t     cluster;
    int         significance;
    int64_t     id;          /* out */
    struct str  xid;         /* out */
};

struct world {
    struct arena  *arena;
    char           directory[DIRECTORY_PATH];
    struct db     *db;
    struct embed  *embed;
    struct search *search;
    int64_t        workspace;
    bool           result_cache;
};

static const int64_t new_year = 1704067200000; /* 2024-01-01 */

static inline void world_end(struct world *world)
{
    search_destroy(world->search);
    database_remove(world->db, world->directory);
    embed_destroy(world->embed);
    time_set(0);
}
#define WORLD_SCOPE __attribute__((cleanup(world_end)))

static inline struct world world_begin(struct arena *arena)
{
    struct world world = {.arena = arena};
    text_start();
    time_set(new_year + DAYS(400));
    world.db = org_database(arena, world.directory);
    world.workspace = main_workspace(world.db, arena).id;
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &world.embed));
    world.search = search_create(world.db, world.embed, (struct search_config){.memory_limit = 64 << 20});
    return world;
}

struct insertion {
    struct world *world;
    struct fact  *facts;
    size_t        n;
};

static inline const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static inline struct err *insert_entities(struct db_tx *tx, struct index_writer *writer, const struct fact *fact,
                                   struct index_item *item)
{
    item->entities = NEW_ARRAY(tx->arena, uint64_t, 4);
    for (int i = 0; i < 4 && fact->entities[i]; i++) {
        struct str     rest = str_of(fact->entities[i]), category;
        struct db_rows rows;
        int64_t        id = 0;
        check(str_cut(&rest, ':', &category));
        TRY(db_query(tx, &rows, "SELECT id FROM entity WHERE workspace_id = $1 AND key_norm = $2 AND category = $3",
                     writer->workspace, str_lower(tx->arena, rest), category));
        db_next(&rows, &id);
        TRY(db_done(&rows));
        if (!id) {
            id = index_new_id(writer);
            TRY(db_exec(tx, "INSERT INTO entity (workspace_id, id, xid, category, key, key_norm, source_observation_id, "
                            "confidence, first_seen_at, extracted_at, last_seen_at, updated_at) "
                            "VALUES ($1, $2, $3, $4, $5, $6, $7, 0.9, 0, 0, 0, 0)",
                        writer->workspace, id, id_new(tx->arena, ""), category, rest, str_lower(tx->arena, rest), item->id));
        }
        TRY(db_exec(tx, "UPDATE entity SET occurrence_count = occurrence_count + 1 WHERE workspace_id = $1 AND id = $2",
                    writer->workspace, id));
        TRY(db_exec(tx, "INSERT INTO entity_observation (workspace_id, observation_id, entity_id, confidence, method) "
                        "VALUES ($1, $2, $3, 0.9, 'pattern')",
                    writer->workspace, item->id, id));
        item->entities[item->entity_count++] = index_entity_hash(category, rest, STR(""));
    }
    return NULL;
}

static inline struct err *insert_fact(struct db_tx *tx, struct index_writer *writer, struct embed *embed, struct fact *fact)
{
    struct arena *arena = tx->arena;
    fact->id = index_new_id(writer);
    fact->xid = id_new(arena, "");
    struct str        title = str_of(fact->title), content = str_of(or_else(fact->content, ""));
    struct index_item item = {
        .id = fact->id, .kind = INDEX_OBSERVATION, .time = new_year + DAYS(fact->at),
        .source = str_of(or_else(fact->source, "github")), .type = str_of(or_else(fact->type, "push")),
        .actor = str_of(or_else(fact->actor, "")), .cluster = fact->cluster, .significance = fact->significance,
        .model = embed_model(embed), .dim = embed_dim(embed),
    };
    struct text_terms terms = text_terms(arena, str_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(title), STR_ARG(content)));
    item.terms = NEW_ARRAY(arena, uint64_t, terms.n);
    item.term_count = text_term_set(&terms, item.terms);
    TRY(embed_item(embed, arena, title, content, &item.views));
    struct str source_id = fact->source_id ? str_of(fact->source_id)
                                           : str_printf(arena, "push:acme/api:%lld", (long long)fact->id);
    TRY(db_exec(tx,
                "INSERT INTO observation (workspace_id, id, xid, source, source_type, source_id, observation_type, title, "
                "content, url, occurred_at, captured_at, actor_id, cluster_id, primary_category, secondary_categories, "
                "classification_confidence, classification_method, topics, significance_score, significance_factors, "
                "source_references, metadata, embedding_status, ingestion_source, pipeline_state, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $8, $9, $10, 0, $11, $12, 'other', '[]', 0.5, 'rules', '[]', $13, "
                "'[]', $14, '{\"n\":1}', 'ready', 'manual', 'done', 0)",
                writer->workspace, item.id, fact->xid, item.source, item.type, source_id, title, content, fact->url,
                item.time, fact->actor, item.cluster, item.significance, or_else(fact->references, "[]")));
    TRY(insert_entities(tx, writer, fact, &item));
    return index_add(writer, &item);
}

static inline struct err *insert_facts(struct db_tx *tx, void *arg)
{
    struct insertion   *insertion = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, insertion->world->workspace, &writer));
    for (size_t i = 0; i < insertion->n; i++)
        TRY(insert_fact(tx, &writer, insertion->world->embed, &insertion->facts[i]));
    return index_writer_close(&writer);
}

static inline void insert(struct world *world, struct fact *facts, size_t n)
{
    struct insertion insertion = {world, facts, n};
    check_ok(db_write(world->db, world->arena, insert_facts, &insertion));
    for (size_t i = 0; i < n; i++) facts[i].xid = str_dup(world->arena, facts[i].xid);
}
#define INSERT(world, facts) insert((world), (facts), sizeof(facts) / sizeof *(facts))

static inline void relate(struct world *world, struct fact *from, struct fact *to, const char *type, double confidence)
{
    static int number;
    write_sql(world, str_z(world->arena, str_printf(world->arena,
        "INSERT INTO relationship (workspace_id, id, xid, source_observation_id, target_observation_id, "
        "relationship_type, linking_key, linking_key_type, confidence, metadata, created_at) "
        "VALUES (%lld, %d, 'r%d', %lld, %lld, '%s', 'key', 'issue', %f, '{}', 0)",
        (long long)world->workspace, 100000 + number, number, (long long)from->id, (long long)to->id, type, confidence)));
    number++;
}

static inline struct search_answer find(struct world *world, struct search_request request)
{
    struct search_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 10;
    check_ok(search_run(world->search, world->arena, &request, &answer));
    return answer;
}
#define FIND(world, ...) find((world), (struct search_request){__VA_ARGS__})

static inline struct str public_id(struct world *world, const struct fact *fact)
{
    return str_printf(world->arena, "obs_" STR_FMT, STR_ARG(fact->xid));
}

/* Is the fact among the results? */
static inline bool has(struct world *world, const struct search_answer *answer, const struct fact *fact)
{
    for (size_t i = 0; i < answer->count; i++)
        if (str_eq(answer->items[i].id, public_id(world, fact))) return true;
    return false;
}
