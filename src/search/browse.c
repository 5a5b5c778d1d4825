/* browse.c - what there is, without a question: observations and clusters by time, people (console.md 2.2). */
#include "search/parts.h"

#include "base/id.h"

enum { NEWEST = 20 };

/* ---- observations ---------------------------------------------------------------------------------------------------- */

#define LISTED                                                                                                        \
    "SELECT o.id, o.xid, o.source, o.observation_type, o.title, o.url, o.actor, o.actor_id, o.occurred_at, "          \
    "o.captured_at, o.significance_score, o.primary_category, o.secondary_categories, o.topics, c.xid, "              \
    "o.ingestion_source, o.embedding_status FROM observation o "                                                      \
    "LEFT JOIN cluster c ON c.workspace_id = o.workspace_id AND c.id = o.cluster_id WHERE o.workspace_id = $1 "
#define BEFORE "AND (o.occurred_at < $2 OR (o.occurred_at = $2 AND o.id < $3)) "
#define NEWEST_FIRST "ORDER BY o.occurred_at DESC, o.id DESC LIMIT $4"

/* An observation passes if each list that is not empty, one value a line, has its value. $5 to $9; of no list: $10 = 0 */
#define PASSES                                                                                                         \
    "($5 = '' OR replace($5, '\n' || o.source || '\n', '') <> $5) "                                                   \
    "AND ($6 = '' OR replace($6, '\n' || o.observation_type || '\n', '') <> $6) "                                     \
    "AND ($7 = '' OR replace($7, '\n' || COALESCE(o.actor_id, '') || '\n', '') <> $7) "                               \
    "AND o.occurred_at >= $8 AND o.occurred_at < $9 "

struct conditions {
    struct str sources, types, actors;
    int64_t    start, end;
    bool       any, none; /* none: nothing can match */
};

static struct str lines_of(struct arena *arena, const struct str *values, size_t n)
{
    struct buf out = buf_in(arena);
    for (size_t i = 0; i < n; i++) buf_printf(&out, "\n" STR_FMT "\n", STR_ARG(values[i]));
    return n ? buf_str(&out) : STR("");
}

/* The stored names that the types of a request mean. */
static struct err *read_types(struct search *search, struct arena *arena, const struct search_list_request *request,
                              struct index_filter *filter)
{
    struct index *index INDEX_SCOPE = NULL;
    if (!request->filters.type_count) return NULL;
    TRY(index_acquire(search->index, arena, request->workspace, &index));
    filter_add_types(arena, index, &request->filters, filter);
    return NULL;
}

/* Before the transaction that lists: the index reads in one of its own. */
static struct err *read_conditions(struct search *search, struct arena *arena, const struct search_list_request *request,
                                   struct conditions *conditions)
{
    const struct search_filters *filters = &request->filters;
    struct index_filter          of_types = {0}, filter;
    TRY(read_types(search, arena, request, &of_types));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(filter_read(tx, request->workspace, filters, &filter));
    *conditions = (struct conditions){
        .sources = lines_of(arena, filter.sources, filter.source_count),
        .types = lines_of(arena, of_types.types, of_types.type_count),
        .actors = lines_of(arena, filter.actors, filter.actor_count),
        .start = filters->has_start ? filters->start : INT64_MIN,
        .end = filters->has_end ? filters->end : INT64_MAX,
        .any = filters->source_count || filters->type_count || filters->actor_count || filters->has_start || filters->has_end,
        .none = filter.no_match || of_types.no_match,
    };
    return NULL;
}

static struct str prefixed(struct arena *arena, const char *prefix, struct str xid)
{
    return xid.n ? str_printf(arena, "%s" STR_FMT, prefix, STR_ARG(xid)) : (struct str){0};
}

static void read_actor(struct arena *arena, struct str json, struct search_listed *item)
{
    const json_value *actor;
    if (!json.n || json_parse(arena, json, &actor)) return;
    item->actor_name = json_str(actor, "name");
    item->actor_avatar = json_str(actor, "avatarUrl");
}

static struct err *read_listed(struct db_tx *tx, struct db_rows *rows, size_t most, struct search_listed **items, size_t *n)
{
    struct search_listed item = {0};
    struct str           xid = {0}, cluster = {0}, actor = {0};
    *items = NEW_ARRAY(tx->arena, struct search_listed, most);
    *n = 0;
    while (db_next(rows, &item.row, &xid, &item.source, &item.type, &item.title, &item.url, &actor, &item.actor,
                   &item.occurred_at, &item.captured_at, &item.significance, &item.category, &item.categories,
                   &item.topics, &cluster, &item.ingestion, &item.embedding)) {
        item.id = prefixed(tx->arena, "obs_", xid);
        item.cluster = prefixed(tx->arena, "clu_", cluster);
        item.actor_name = item.actor_avatar = (struct str){0};
        read_actor(tx->arena, actor, &item);
        (*items)[(*n)++] = item;
    }
    return db_done(rows);
}

struct err *search_list(struct search *search, struct arena *arena, const struct search_list_request *request,
                        struct search_listed **items, size_t *n)
{
    struct db_rows    rows;
    struct conditions of;
    struct db_tx     *tx DB_READ_SCOPE = NULL;
    int64_t before = request->before_id ? request->before_at : INT64_MAX, most = request->limit;
    *n = 0;
    TRY(read_conditions(search, arena, request, &of));
    if (of.none) return NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(db_query(tx, &rows, LISTED BEFORE "AND " PASSES NEWEST_FIRST, request->workspace, before, request->before_id, most,
                 of.sources, of.types, of.actors, of.start, of.end));
    return read_listed(tx, &rows, (size_t)most, items, n);
}

/* ---- clusters ---------------------------------------------------------------------------------------------------------- */

static struct err *name_of(struct db_tx *tx, int64_t workspace, struct str actor, struct str *name)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT display_name FROM actor_profile WHERE workspace_id = $1 AND actor_id = $2",
                 workspace, actor));
    if (!db_next(&rows, name) || !name->n) *name = actor;
    return db_done(&rows);
}

static struct err *read_members(struct db_tx *tx, int64_t workspace, struct str json, struct search_topic *topic)
{
    const json_value *list;
    if (json_parse(tx->arena, json, &list)) list = NULL;
    topic->actors = NEW_ARRAY(tx->arena, struct search_member, json_count(list));
    for (struct json_iter it = json_iter(list); json_step(&it);) {
        struct search_member *member = &topic->actors[topic->actor_count++];
        member->id = json_str(it.value, "");
        TRY(name_of(tx, workspace, member->id, &member->name));
    }
    return NULL;
}

#define TOPIC                                                                                                         \
    "SELECT id, xid, topic_label, status, activity_status, summary, key_topics, key_contributors, keywords, "        \
    "primary_entities, primary_actors, observation_count, first_observation_at, last_observation_at, closed_at "     \
    "FROM cluster WHERE workspace_id = $1 "

/* actors: a JSON array of their ids */
static bool next_topic(struct db_rows *rows, struct search_topic *topic, struct str *actors)
{
    struct str xid = {0};
    *topic = (struct search_topic){0};
    bool found = db_next(rows, &topic->row, &xid, &topic->label, &topic->status, &topic->activity, &topic->summary,
                         &topic->key_topics, &topic->key_contributors, &topic->keywords, &topic->entities, actors,
                         &topic->count, &topic->first_at, &topic->last_at, &topic->closed_at);
    topic->id = prefixed(rows->tx->arena, "clu_", xid);
    return found;
}

struct err *search_topics(struct search *search, struct arena *arena, const struct search_list_request *request,
                          struct search_topic **topics, size_t *n)
{
    struct search_topic topic;
    struct db_rows      rows;
    struct str          actors;
    struct conditions   of;
    struct db_tx       *tx DB_READ_SCOPE = NULL;
    int64_t             before = request->before_id ? request->before_at : INT64_MAX;
    *topics = NEW_ARRAY(arena, struct search_topic, (size_t)request->limit);
    *n = 0;
    TRY(read_conditions(search, arena, request, &of));
    if (of.none) return NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(db_query(tx, &rows,
                 TOPIC "AND (last_observation_at < $2 OR (last_observation_at = $2 AND id < $3)) "
                       "AND ($10 = 0 OR EXISTS (SELECT 1 FROM observation o WHERE o.workspace_id = $1 "
                       "AND o.cluster_id = cluster.id AND " PASSES ")) "
                       "ORDER BY last_observation_at DESC, id DESC LIMIT $4",
                 request->workspace, before, request->before_id, request->limit, of.sources, of.types, of.actors, of.start,
                 of.end, of.any));
    while (next_topic(&rows, &topic, &actors)) (*topics)[(*n)++] = topic;
    return db_done(&rows);
}

struct err *search_topic_get(struct search *search, struct arena *arena, int64_t workspace, struct str id,
                             struct search_topic *topic)
{
    struct db_rows rows;
    struct str     xid = str_starts(id, STR("clu_")) ? str_skip(id, 4) : id, actors = {0};
    int64_t        most = NEWEST;
    struct db_tx  *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(db_query(tx, &rows, TOPIC "AND xid = $2", workspace, xid));
    bool found = next_topic(&rows, topic, &actors);
    TRY(db_done(&rows));
    if (!found) return err_new(arena, ERR_NOT_FOUND, "Cluster not found: " STR_FMT, STR_ARG(id));
    TRY(read_members(tx, workspace, actors, topic));
    TRY(db_query(tx, &rows, LISTED "AND o.cluster_id = $2 ORDER BY o.occurred_at DESC, o.id DESC LIMIT $3", workspace,
                 topic->row, most));
    return read_listed(tx, &rows, NEWEST, &topic->newest, &topic->newest_count);
}

/* ---- people ------------------------------------------------------------------------------------------------------------ */

static struct err *read_person(struct db_tx *tx, int64_t workspace, struct str actor, struct search_person *person)
{
    struct db_rows rows;
    *person = (struct search_person){0};
    TRY(db_query(tx, &rows,
                 "SELECT actor_id, display_name, observation_count, first_active_at, last_active_at, expertise_domains "
                 "FROM actor_profile WHERE workspace_id = $1 AND actor_id = $2", workspace, actor));
    if (!db_next(&rows, &person->id, &person->name, &person->count, &person->first_at, &person->last_at, &person->domains))
        *person = (struct search_person){0};
    return db_done(&rows);
}

struct err *search_people(struct search *search, struct arena *arena, const struct search_people_request *request,
                          struct search_person **people, size_t *n)
{
    struct search_person person = {0};
    struct db_rows       rows;
    struct db_tx        *tx DB_READ_SCOPE = NULL;
    bool                 first = request->before_xid.n == 0;
    *people = NEW_ARRAY(arena, struct search_person, (size_t)request->limit);
    *n = 0;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(db_query(tx, &rows,
                 "SELECT p.actor_id, p.xid, COALESCE(NULLIF(p.display_name, ''), p.actor_id), p.observation_count "
                 "FROM actor_profile p WHERE p.workspace_id = $1 AND p.is_bot = 0 "
                 "AND (p.observation_count > 0 OR p.dirty = 1) " /* new ones are not counted yet */
                 "AND (p.observation_count < $2 OR (p.observation_count = $2 AND p.xid > $3)) "
                 "AND ($4 = '' OR EXISTS (SELECT 1 FROM actor_name n WHERE n.workspace_id = p.workspace_id "
                 "AND n.actor_id = p.actor_id AND n.name LIKE $4 ESCAPE '\\')) "
                 "ORDER BY p.observation_count DESC, p.xid LIMIT $5",
                 request->workspace, first ? INT64_MAX : request->before_count, first ? STR("") : request->before_xid,
                 db_like(arena, text_fold(arena, request->text)), request->limit));
    while (db_next(&rows, &person.id, &person.xid, &person.name, &person.count)) (*people)[(*n)++] = person;
    return db_done(&rows);
}

/* By canonical id, else the busiest of those who have the name. */
static struct err *find_person(struct db_tx *tx, int64_t workspace, struct str name, struct search_person *person)
{
    struct search_filters filters = {.actors = &name, .actor_count = 1};
    struct index_filter   filter;
    TRY(read_person(tx, workspace, name, person));
    if (person->id.n) return NULL;
    TRY(filter_read(tx, workspace, &filters, &filter));
    for (size_t i = 0; i < filter.actor_count; i++) {
        struct search_person one;
        TRY(read_person(tx, workspace, filter.actors[i], &one));
        if (one.id.n && (!person->id.n || one.count > person->count)) *person = one;
    }
    return NULL;
}

struct err *search_person_get(struct search *search, struct arena *arena, int64_t workspace, struct str name,
                              struct search_person *person)
{
    struct db_rows rows;
    int64_t        most = NEWEST;
    struct db_tx  *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(find_person(tx, workspace, name, person));
    if (!person->id.n) return err_new(arena, ERR_NOT_FOUND, "Actor not found: " STR_FMT, STR_ARG(name));
    if (!person->name.n) person->name = person->id;
    TRY(db_query(tx, &rows, LISTED "AND o.actor_id = $2 ORDER BY o.occurred_at DESC, o.id DESC LIMIT $3", workspace,
                 person->id, most));
    return read_listed(tx, &rows, NEWEST, &person->newest, &person->newest_count);
}
