/* graph.c - what an observation is joined to, breadth first (spec/search-api.md 6). */
#include "search/parts.h"

#include <stdlib.h>

enum { HUB = 50, OUTERMOST_EDGES = 2000 };

// clang-format off
static const char *const relation_types[GRAPH_TYPES] = {
    "fixes", "resolves", "triggers", "deploys", "references", "same_commit", "same_branch", "tracked_in",
};
// clang-format on

bool graph_types(const struct str *asked, size_t n, struct str types[GRAPH_TYPES])
{
    bool any = false;
    for (int i = 0; i < GRAPH_TYPES; i++) {
        struct str type = str_of(relation_types[i]);
        bool       wanted = n == 0;
        for (size_t k = 0; k < n; k++) wanted = wanted || str_eq(asked[k], type);
        types[i] = wanted ? type : (struct str){0};
        any = any || wanted;
    }
    return any;
}

struct search_node node_of_row(struct arena *arena, const struct row *row)
{
    return (struct search_node){.id = row_public_id(arena, row), .title = row->title, .source = row->source,
                                .type = row->type, .url = row->url, .occurred_at = row->occurred_at};
}

struct edge {
    int64_t    source, target;
    struct str type, linking_key;
    double     confidence;
    int64_t    other_at; /* occurredAt of the far end, while a node is expanded */
};
struct node {
    int64_t            id;
    struct search_node shown;
};

struct walk {
    struct db_tx *tx;
    int64_t       workspace;
    struct str    types[GRAPH_TYPES];
    size_t        limit;
    VEC(struct node) nodes;
    VEC(struct edge) edges;      /* seen while expanding; may lead to nodes that were not admitted */
    VEC(struct search_hub) hubs;
    struct map *node_at; /* row id as text -> position + 1 */
    struct map *edge_at; /* keys of the edges seen */
    bool        truncated;
};

static int64_t *node_position(struct walk *walk, int64_t id)
{
    return map_at(walk->node_at, (struct str){(const char *)&id, sizeof id});
}

static void admit(struct walk *walk, const struct row *row)
{
    struct node *node = VEC_PUSH(walk->tx->arena, &walk->nodes);
    *node = (struct node){row->id, node_of_row(walk->tx->arena, row)};
    node->shown.root = walk->nodes.n == 1;
    *node_position(walk, row->id) = (int64_t)walk->nodes.n;
}

/* Keep an edge unless it was seen from its other end. */
static void keep_edge(struct walk *walk, const struct edge *edge)
{
    struct str key = str_printf(walk->tx->arena, "%lld %lld " STR_FMT, (long long)edge->source,
                                (long long)edge->target, STR_ARG(edge->type));
    if ((*map_at(walk->edge_at, key))++ == 0) *VEC_PUSH(walk->tx->arena, &walk->edges) = *edge;
}

static struct err *query_edges(struct walk *walk, int64_t id, int64_t most, struct db_rows *rows)
{
    const struct str *t = walk->types;
    return db_query(walk->tx, rows,
                    "SELECT source_observation_id, target_observation_id, relationship_type, linking_key, confidence, "
                    "other_at FROM ("
                    "SELECT r.source_observation_id, r.target_observation_id, r.relationship_type, r.linking_key, "
                    "r.confidence, o.occurred_at AS other_at FROM relationship r "
                    "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.target_observation_id "
                    "WHERE r.workspace_id = $1 AND r.source_observation_id = $2 "
                    "AND r.relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10) "
                    "UNION ALL "
                    "SELECT r.source_observation_id, r.target_observation_id, r.relationship_type, r.linking_key, "
                    "r.confidence, o.occurred_at AS other_at FROM relationship r "
                    "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.source_observation_id "
                    "WHERE r.workspace_id = $1 AND r.target_observation_id = $2 "
                    "AND r.relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10)) AS both_ways "
                    "ORDER BY confidence DESC, other_at DESC, source_observation_id, target_observation_id, "
                    "relationship_type LIMIT $11",
                    walk->workspace, id, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], most);
}

static bool next_edge(struct db_rows *rows, struct edge *edge)
{
    return db_next(rows, &edge->source, &edge->target, &edge->type, &edge->linking_key, &edge->confidence,
                   &edge->other_at);
}

static struct err *count_edges(struct walk *walk, int64_t id, int64_t *count)
{
    struct db_rows    rows;
    const struct str *t = walk->types;
    *count = 0;
    TRY(db_query(walk->tx, &rows,
                 "SELECT (SELECT COUNT(*) FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2 "
                 "AND relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10)) + "
                 "(SELECT COUNT(*) FROM relationship WHERE workspace_id = $1 AND target_observation_id = $2 "
                 "AND relationship_type IN ($3, $4, $5, $6, $7, $8, $9, $10))",
                 walk->workspace, id, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]));
    db_next(&rows, count);
    return db_done(&rows);
}

struct candidate { int64_t id, at; };
typedef VEC(struct candidate) candidates;

static int newest_first(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->at != b->at) return a->at < b->at ? 1 : -1;
    return (a->id < b->id) - (a->id > b->id);
}

/* Not all edges of a node were looked at: say so. */
static struct err *note_hub(struct walk *walk, size_t position, int64_t shown)
{
    int64_t degree;
    TRY(count_edges(walk, walk->nodes.at[position].id, &degree));
    *VEC_PUSH(walk->tx->arena, &walk->hubs) = (struct search_hub){walk->nodes.at[position].shown.id, degree, shown};
    walk->truncated = true;
    return NULL;
}

/* Follow a node's edges; what they lead to is a candidate for the next hop. */
static struct err *expand(struct walk *walk, size_t position, candidates *next)
{
    struct db_rows rows;
    struct edge    edge = {0};
    int64_t        id = walk->nodes.at[position].id, shown = 0;
    bool           more = false;
    TRY(query_edges(walk, id, HUB + 1, &rows));
    while (next_edge(&rows, &edge)) {
        if (shown == HUB) {
            more = true;
            continue;
        }
        shown++;
        keep_edge(walk, &edge);
        int64_t other = edge.source == id ? edge.target : edge.source;
        if (*node_position(walk, other)) continue; /* -1: a candidate already */
        *node_position(walk, other) = -1;
        *VEC_PUSH(walk->tx->arena, next) = (struct candidate){other, edge.other_at};
    }
    TRY(db_done(&rows));
    return more ? note_hub(walk, position, shown) : NULL;
}

/* The outermost nodes are not expanded, but edges between nodes that are there belong to the picture. */
static struct err *join_outermost(struct walk *walk, size_t position)
{
    struct db_rows rows;
    struct edge    edge = {0};
    int64_t        id = walk->nodes.at[position].id, seen = 0;
    TRY(query_edges(walk, id, OUTERMOST_EDGES + 1, &rows));
    while (next_edge(&rows, &edge))
        if (++seen <= OUTERMOST_EDGES && *node_position(walk, edge.source == id ? edge.target : edge.source) > 0)
            keep_edge(walk, &edge);
    TRY(db_done(&rows));
    return seen > OUTERMOST_EDGES ? note_hub(walk, position, OUTERMOST_EDGES) : NULL;
}

static struct err *walk_hops(struct walk *walk, int depth)
{
    size_t first = 0;
    for (int hop = 0; hop < depth && first < walk->nodes.n; hop++) {
        candidates next = {0};
        size_t     end = walk->nodes.n;
        for (size_t i = first; i < end; i++) TRY(expand(walk, i, &next));
        if (next.n > 1) qsort(next.at, next.n, sizeof *next.at, newest_first);
        for (size_t i = 0; i < next.n; i++) {
            if (walk->nodes.n >= walk->limit) {
                walk->truncated = true;
                break;
            }
            struct row row;
            TRY(row_find_head(walk->tx, walk->workspace, next.at[i].id, &row));
            if (row.id) admit(walk, &row);
        }
        first = end;
    }
    for (size_t i = first; i < walk->nodes.n; i++) TRY(join_outermost(walk, i));
    return NULL;
}

static void report(struct walk *walk, struct search_graph_answer *answer)
{
    struct arena *arena = walk->tx->arena;
    answer->nodes = NEW_ARRAY(arena, struct search_node, walk->nodes.n);
    for (size_t i = 0; i < walk->nodes.n; i++) answer->nodes[answer->node_count++] = walk->nodes.at[i].shown;
    answer->root = answer->nodes[0];
    answer->edges = NEW_ARRAY(arena, struct search_edge, walk->edges.n);
    for (size_t i = 0; i < walk->edges.n; i++) {
        struct edge *edge = &walk->edges.at[i];
        int64_t      source = *node_position(walk, edge->source), target = *node_position(walk, edge->target);
        if (source <= 0 || target <= 0) continue;
        answer->edges[answer->edge_count++] = (struct search_edge){
            .source = walk->nodes.at[source - 1].shown.id, .target = walk->nodes.at[target - 1].shown.id,
            .type = edge->type, .linking_key = edge->linking_key, .confidence = edge->confidence};
    }
    answer->hubs = walk->hubs.at;
    answer->hub_count = walk->hubs.n;
    answer->truncated = walk->truncated;
}

struct err *search_graph(struct search *search, struct arena *arena, const struct search_graph_request *request,
                         struct search_graph_answer *answer)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct row    root = {0};
    struct str    xid;
    *answer = (struct search_graph_answer){0};
    TRY(db_read_begin(search->db, arena, &tx));
    if (row_xid(request->id, &xid)) TRY(row_find_xid(tx, request->workspace, xid, &root));
    if (!root.id) return err_new(arena, ERR_NOT_FOUND, "Observation not found: " STR_FMT, STR_ARG(request->id));

    struct walk walk = {.tx = tx, .workspace = request->workspace, .limit = (size_t)request->limit,
                        .node_at = map_create(arena), .edge_at = map_create(arena)};
    admit(&walk, &root);
    if (graph_types(request->types, request->type_count, walk.types)) TRY(walk_hops(&walk, request->depth));
    report(&walk, answer);
    return NULL;
}
