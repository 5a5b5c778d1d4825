/* known.c - which of a query's entities and people the workspace knows. */
#include "search/parts.h"

#include <stdlib.h>

/* ---- entities ------------------------------------------------------------------------------------------------------ */

typedef VEC(struct query_entity) entity_list;
typedef VEC(struct str) text_list;

static bool listed(const entity_list *list, const struct query_entity *entity)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->at[i].category, entity->category) && str_eq_nocase(list->at[i].key, entity->key) &&
            str_eq(list->at[i].scope, entity->scope))
            return true;
    return false;
}

/* Add the workspace's entities of a key, and what their column aliases holds to `aliases`. Empty scope: any. */
static struct err *find_key(struct db_tx *tx, int64_t workspace, struct str category, struct str key, struct str scope,
                            entity_list *list, text_list *aliases)
{
    struct db_rows      rows;
    struct query_entity entity = {0};
    struct str          also;
    /* `scope >= ''` says nothing, but makes SQLite take the index of keys; else it reads all entities of the workspace */
    TRY(db_query(tx, &rows,
                 "SELECT category, key, scope, confidence, occurrence_count, aliases FROM entity "
                 "WHERE workspace_id = $1 AND key_norm = $2 AND category = $3 AND scope >= ''",
                 workspace, str_lower(tx->arena, key), category));
    while (list->n < SEARCH_ENTITIES &&
           db_next(&rows, &entity.category, &entity.key, &entity.scope, &entity.confidence, &entity.count, &also)) {
        bool wanted = scope.n == 0 || str_eq_nocase(entity.scope, scope);
        if (!wanted || listed(list, &entity)) continue;
        *VEC_PUSH(tx->arena, list) = entity;
        if (also.n > 2) *VEC_PUSH(tx->arena, aliases) = also;
    }
    return db_done(&rows);
}

/* Aliases are keys as people write them: "ENG-42", "owner/repo#12". */
static struct err *find_aliases(struct db_tx *tx, int64_t workspace, struct str aliases, entity_list *list)
{
    text_list         ignored = {0}; /* one step, not the aliases of aliases */
    const json_value *root;
    struct err       *unreadable = json_parse(tx->arena, aliases, &root);
    if (unreadable) return NULL;
    for (struct json_iter it = json_iter(root); json_step(&it);) {
        struct str key = json_str(it.value, ""), scope = {0};
        size_t     mark = str_find_char(key, '#', 0);
        if (mark != SIZE_MAX && mark > 0) {
            scope = str_slice(key, 0, mark);
            key = str_skip(key, mark);
        }
        if (key.n) TRY(find_key(tx, workspace, STR("project"), key, scope, list, &ignored));
    }
    return NULL;
}

static int by_count(const void *left, const void *right)
{
    const struct query_entity *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return str_cmp(a->key, b->key);
}

struct err *query_find_entities(struct db_tx *tx, int64_t workspace, struct query *query)
{
    entity_list list = {0};
    text_list   aliases = {0};
    for (size_t i = 0; i < query->keys.n; i++) {
        struct str category = str_of(text_entity_name(query->keys.at[i].category));
        TRY(find_key(tx, workspace, category, query->keys.at[i].key, (struct str){0}, &list, &aliases));
    }
    for (size_t i = 0; i < aliases.n; i++) TRY(find_aliases(tx, workspace, aliases.at[i], &list));
    if (list.n > 1) qsort(list.at, list.n, sizeof *list.at, by_count);
    query->entities = list.at;
    query->entity_count = list.n;
    return NULL;
}

/* ---- people -------------------------------------------------------------------------------------------------------- */

typedef VEC(struct query_actor) actor_list;

static const double mention_score = 0.95, name_score = 0.75;

enum { MOST_NAMESAKES = 500 };

/* Two words in a row that both name somebody are meant as that name: "Ada Lovelace". */
static void add_actor(struct arena *arena, actor_list *list, struct query_actor actor)
{
    for (size_t i = 0; i < list->n; i++) {
        struct query_actor *known = &list->at[i];
        if (!str_eq(known->id, actor.id)) continue;
        bool named = known->word && actor.word == known->word + 1;
        if (actor.score > known->score) known->score = actor.score;
        known->mentioned = known->mentioned || actor.mentioned || named;
        if (actor.word) known->word = actor.word;
        return;
    }
    *VEC_PUSH(arena, list) = actor;
}

/* Everybody of that name. word: which of the query's words it is, from 1; 0: it stands after "@" or is quoted. */
static struct err *find_name(struct db_tx *tx, int64_t workspace, struct str name, size_t word, actor_list *list)
{
    struct db_rows     rows;
    struct str         kind;
    struct query_actor actor = {.word = word};
    bool               marked = word == 0;
    size_t             namesakes = 0;
    TRY(db_query(tx, &rows,
                 "SELECT n.kind, n.actor_id, p.display_name, p.expertise_domains, p.observation_count "
                 "FROM actor_name n LEFT JOIN actor_profile p "
                 "ON p.workspace_id = n.workspace_id AND p.actor_id = n.actor_id "
                 "WHERE n.workspace_id = $1 AND n.name = $2",
                 workspace, name));
    while (namesakes++ < MOST_NAMESAKES &&
           db_next(&rows, &kind, &actor.id, &actor.name, &actor.domains, &actor.count)) {
        bool whole = str_eq(kind, STR("username")) || (marked && str_eq(kind, STR("full")));
        bool part = str_eq(kind, STR("word")) || str_eq(kind, STR("full"));
        actor.mentioned = whole;
        actor.score = whole ? mention_score : part ? name_score : 0;
        if (actor.score > 0) add_actor(tx->arena, list, actor);
    }
    return db_done(&rows);
}

static int by_relevance(const void *left, const void *right)
{
    const struct query_actor *a = left, *b = right;
    if (a->mentioned != b->mentioned) return a->mentioned ? -1 : 1;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return str_cmp(a->id, b->id);
}

bool query_same_person(const struct query_actor *a, const struct query_actor *b)
{
    return a->name.n ? str_eq(a->name, b->name) : str_eq(a->id, b->id);
}

/* How many of the list are the first so many people. */
static size_t first_people(const actor_list *list, size_t people)
{
    size_t n = 0;
    for (; n < list->n && n < SEARCH_ACTOR_IDS; n++) {
        bool known = false;
        for (size_t i = 0; i < n && !known; i++) known = query_same_person(&list->at[n], &list->at[i]);
        if (!known && people-- == 0) break;
    }
    return n;
}

struct err *query_find_actors(struct db_tx *tx, int64_t workspace, struct query *query)
{
    actor_list list = {0};
    for (size_t i = 0; i < query->mention_count; i++)
        TRY(find_name(tx, workspace, query->mentions[i], 0, &list));
    for (size_t i = 0; i < query->name_count; i++) TRY(find_name(tx, workspace, query->names[i], i + 1, &list));
    if (list.n > 1) qsort(list.at, list.n, sizeof *list.at, by_relevance);
    query->actors = list.at;
    query->actor_count = first_people(&list, SEARCH_MATCHED_ACTORS);
    return NULL;
}
