/* similar.c - what resembles an observation (spec/search-api.md 5). */
#include "search/parts.h"

struct origin { /* what is compared with everything */
    struct row           row;
    struct embed_vector  vector;
    uint64_t            *entities;
    size_t               entity_count;
    int64_t             *exclude; /* the observation itself and what the caller named */
    size_t               exclude_count;
    struct index_filter  filter;
};

static struct err *find_origin(const struct search *search, struct db_tx *tx,
                               const struct search_similar_request *request, struct row *row)
{
    struct str xid;
    int64_t    id = 0;
    *row = (struct row){0};
    if (request->id.n) {
        if (row_xid(request->id, &xid)) TRY(row_find_xid(tx, request->workspace, xid, row));
        return row->id ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Content not found: " STR_FMT, STR_ARG(request->id));
    }
    TRY(url_resolve(search, tx, request->workspace, request->url, &id));
    if (id) TRY(row_find(tx, request->workspace, id, row));
    return row->id ? NULL
                   : err_new(tx->arena, ERR_NOT_FOUND, "URL not found in workspace: " STR_FMT, STR_ARG(request->url));
}

static struct err *read_excluded(struct db_tx *tx, const struct search_similar_request *request, struct origin *origin)
{
    origin->exclude = NEW_ARRAY(tx->arena, int64_t, request->exclude_count + 1);
    origin->exclude[origin->exclude_count++] = origin->row.id;
    for (size_t i = 0; i < request->exclude_count; i++) {
        struct row row = {0};
        struct str xid;
        if (row_xid(request->exclude[i], &xid)) TRY(row_find_xid(tx, request->workspace, xid, &row));
        if (row.id) origin->exclude[origin->exclude_count++] = row.id;
    }
    return NULL;
}

/* sameSourceOnly narrows the filter on sources, it does not replace it. */
static void keep_source(struct arena *arena, const struct search_similar_request *request, struct origin *origin)
{
    bool wanted = request->filters.source_count == 0;
    for (size_t i = 0; i < request->filters.source_count; i++)
        wanted = wanted || str_eq(request->filters.sources[i], origin->row.source);
    struct str *only = NEW(arena, struct str);
    *only = origin->row.source;
    origin->filter.sources = only;
    origin->filter.source_count = 1;
    if (!wanted) origin->filter.no_match = true;
}

static struct err *read_cluster(struct db_tx *tx, int64_t workspace, int64_t cluster,
                                struct search_similar_answer *answer)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT topic_label, observation_count FROM cluster WHERE workspace_id = $1 AND id = $2",
                 workspace, cluster));
    db_next(&rows, &answer->cluster_topic, &answer->cluster_members);
    return db_done(&rows);
}

static struct err *read_origin(struct search *search, struct arena *arena, const struct search_similar_request *request,
                               struct origin *origin, struct search_similar_answer *answer)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    TRY(find_origin(search, tx, request, &origin->row));
    TRY(filter_read(tx, request->workspace, &request->filters, &origin->filter));
    if (request->same_source) keep_source(arena, request, origin);
    TRY(read_excluded(tx, request, origin));
    answer->id = row_public_id(arena, &origin->row);
    answer->title = origin->row.title;
    answer->type = origin->row.type;
    return origin->row.cluster ? read_cluster(tx, request->workspace, origin->row.cluster, answer) : NULL;
}

static struct err *read_stored_vector(struct search *search, struct arena *arena, int64_t workspace,
                                      struct origin *origin, struct search_similar_answer *answer)
{
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, workspace, &index));
    answer->found = index_item_vector(index, arena, INDEX_OBSERVATION, origin->row.id, &origin->vector) &&
                    origin->vector.x != NULL;
    if (!index_item_entities(index, arena, INDEX_OBSERVATION, origin->row.id, &origin->entities,
                             &origin->entity_count))
        origin->entity_count = 0;
    return NULL;
}

/* A remote model may take seconds: nothing is held meanwhile. */
static struct err *embed_origin(struct search *search, struct arena *arena, struct origin *origin,
                                struct search_similar_answer *answer)
{
    struct embed_views views = {0};
    if (!embed_enabled(search->embed)) return NULL;
    struct err *failed =
        embed_item(search->embed, arena, text_without_label(origin->row.title), origin->row.content, &views);
    if (failed) /* whatever the service found wrong, it was not the request */
        return err_new(arena, ERR_UNAVAILABLE, "The item has no vector yet: " STR_FMT, STR_ARG(failed->message));
    origin->vector = views.mean;
    if (!origin->vector.x && views.n) origin->vector = views.at[0];
    answer->generated = origin->vector.x != NULL;
    return NULL;
}

static struct err *compare(struct search *search, struct arena *arena, const struct search_similar_request *request,
                           struct origin *origin, const struct search_similar_answer *answer,
                           struct index_similar_hits *hits)
{
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, request->workspace, &index));
    filter_add_types(arena, index, &request->filters, &origin->filter);
    if (answer->generated && !vectors_fit(search, index)) return NULL;
    struct index_similar_query query = {
        .filter = origin->filter,
        .vector = origin->vector,
        .entities = origin->entities,
        .entity_count = origin->entity_count,
        .cluster = origin->row.cluster,
        .exclude = origin->exclude,
        .exclude_count = origin->exclude_count,
        .threshold = request->threshold,
    };
    return index_similar(index, arena, &query, hits);
}

static struct err *add_item(struct db_tx *tx, int64_t workspace, const struct index_similar_hit *hit,
                            struct search_similar_answer *answer)
{
    struct arena *arena = tx->arena;
    struct row    row;
    TRY(row_find(tx, workspace, hit->id, &row));
    if (!row.id) return NULL;
    answer->items[answer->count++] = (struct search_similar_item){
        .id = row_public_id(arena, &row),
        .title = row.title,
        .url = row.url.s ? row.url : STR(""),
        .snippet = snippet_best(arena, NULL, plain_text(arena, content_after_title(row.title, row.content))),
        .source = row.source,
        .type = row.type,
        .score = hit->score,
        .vector = hit->vector,
        .overlap = hit->overlap,
        .same_cluster = hit->same_cluster,
        .occurred_at = row.occurred_at,
    };
    return NULL;
}

/* Best first, one event per object, none of the origin's own. */
static struct err *list_items(struct search *search, struct arena *arena, const struct search_similar_request *request,
                              const struct origin *origin, const struct index_similar_hits *hits,
                              struct search_similar_answer *answer)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct map   *seen = map_create(arena);
    TRY(db_read_begin(search->db, arena, &tx));
    *map_at(seen, object_key(origin->row.source_id)) = 1;
    answer->items = NEW_ARRAY(arena, struct search_similar_item, (size_t)request->limit);
    for (size_t i = 0; i < hits->n; i++) {
        struct str object;
        TRY(object_of(tx, request->workspace, hits->at[i].id, &object));
        if (!object.s || (*map_at(seen, object))++) continue;
        answer->total++;
        if (answer->count < (size_t)request->limit) TRY(add_item(tx, request->workspace, &hits->at[i], answer));
    }
    return NULL;
}

struct err *search_similar(struct search *search, struct arena *arena, const struct search_similar_request *request,
                           struct search_similar_answer *answer)
{
    struct origin             origin = {0};
    struct index_similar_hits hits = {0};
    *answer = (struct search_similar_answer){0};
    TRY(read_origin(search, arena, request, &origin, answer));
    TRY(read_stored_vector(search, arena, request->workspace, &origin, answer));
    if (!answer->found) TRY(embed_origin(search, arena, &origin, answer));
    if (!origin.vector.x) return NULL;
    TRY(compare(search, arena, request, &origin, answer, &hits));
    return list_items(search, arena, request, &origin, &hits, answer);
}
