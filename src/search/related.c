/* related.c - the direct neighbours of an observation, one entry each (spec/search-api.md 7). */
#include "search/parts.h"

#include <stdlib.h>

enum { MOST_EDGES = 10000 };

struct relation {
    int64_t                other, at; /* the neighbour and when it happened */
    struct search_relation shown;
};

/* Newest neighbour first; a neighbour's relations together, the most confident first. */
static int by_neighbour(const void *left, const void *right)
{
    const struct relation *a = left, *b = right;
    if (a->at != b->at) return a->at < b->at ? 1 : -1;
    if (a->other != b->other) return a->other < b->other ? 1 : -1;
    if (a->shown.confidence != b->shown.confidence) return a->shown.confidence < b->shown.confidence ? 1 : -1;
    return str_cmp(a->shown.type, b->shown.type);
}

typedef VEC(struct relation) relations;

static struct err *read_relations(struct db_tx *tx, int64_t workspace, int64_t id, const struct str t[GRAPH_TYPES],
                                  relations *list)
{
    struct db_rows  rows;
    struct relation relation = {0};
    TRY(db_query(tx, &rows,
                 "SELECT r.target_observation_id, o.occurred_at, r.relationship_type, 1, r.confidence "
                 "FROM relationship r "
                 "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.target_observation_id "
                 "WHERE r.workspace_id = $1 AND r.source_observation_id = $2 "
                 "AND r.relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10) "
                 "UNION ALL "
                 "SELECT r.source_observation_id, o.occurred_at, r.relationship_type, 0, r.confidence "
                 "FROM relationship r "
                 "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.source_observation_id "
                 "WHERE r.workspace_id = $1 AND r.target_observation_id = $2 "
                 "AND r.relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10) LIMIT $11",
                 workspace, id, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], (int)MOST_EDGES));
    while (db_next(&rows, &relation.other, &relation.at, &relation.shown.type, &relation.shown.outgoing,
                   &relation.shown.confidence))
        *VEC_PUSH(tx->arena, list) = relation;
    return db_done(&rows);
}

static struct err *group(struct db_tx *tx, const struct search_related_request *request, const relations *list,
                         struct search_related_answer *answer)
{
    answer->items = NEW_ARRAY(tx->arena, struct search_related_item, (size_t)request->limit);
    for (size_t i = 0, end; i < list->n; i = end, answer->total++) {
        for (end = i; end < list->n && list->at[end].other == list->at[i].other;) end++;
        if (answer->count == (size_t)request->limit) continue;
        struct search_related_item *item = &answer->items[answer->count++];
        struct row                  row;
        TRY(row_find_head(tx, request->workspace, list->at[i].other, &row));
        item->node = node_of_row(tx->arena, &row);
        item->relations = NEW_ARRAY(tx->arena, struct search_relation, end - i);
        for (size_t k = i; k < end; k++) item->relations[item->relation_count++] = list->at[k].shown;
    }
    return NULL;
}

struct err *search_related(struct search *search, struct arena *arena, const struct search_related_request *request,
                           struct search_related_answer *answer)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct row    row = {0};
    struct str    xid, types[GRAPH_TYPES];
    relations     list = {0};
    *answer = (struct search_related_answer){0};
    TRY(db_read_begin(search->db, arena, &tx));
    if (row_xid(request->id, &xid)) TRY(row_find_xid(tx, request->workspace, xid, &row));
    if (!row.id) return err_new(arena, ERR_NOT_FOUND, "Observation not found: " STR_FMT, STR_ARG(request->id));
    answer->source = node_of_row(arena, &row);
    if (graph_types(request->types, request->type_count, types))
        TRY(read_relations(tx, request->workspace, row.id, types, &list));
    if (list.n > 1) qsort(list.at, list.n, sizeof *list.at, by_neighbour);
    return group(tx, request, &list, answer);
}
