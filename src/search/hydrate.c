/* hydrate.c - rows of observations, and what a result shows of them. Everything by primary key, for the page only. */
#include "search/parts.h"

#include "base/id.h"
#include "base/utf8.h"

#include <stdlib.h>

#define ROW "SELECT id, xid, source, observation_type, source_id, title, url, occurred_at, cluster_id, "

static struct err *read_row(struct db_rows *rows, struct row *row)
{
    *row = (struct row){0};
    if (!db_next(rows, &row->id, &row->xid, &row->source, &row->type, &row->source_id, &row->title, &row->url,
                 &row->occurred_at, &row->cluster, &row->content, &row->references, &row->metadata))
        *row = (struct row){0};
    return db_done(rows);
}

struct err *row_find(struct db_tx *tx, int64_t workspace, int64_t id, struct row *row)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 ROW "content, source_references, NULL FROM observation WHERE workspace_id = $1 AND id = $2",
                 workspace, id));
    return read_row(&rows, row);
}

struct err *row_find_xid(struct db_tx *tx, int64_t workspace, struct str xid, struct row *row)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 ROW "content, source_references, metadata FROM observation WHERE xid = $2 AND workspace_id = $1",
                 workspace, xid));
    return read_row(&rows, row);
}

struct err *row_find_head(struct db_tx *tx, int64_t workspace, int64_t id, struct row *row)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 ROW "NULL, NULL, NULL FROM observation WHERE workspace_id = $1 AND id = $2",
                 workspace, id));
    return read_row(&rows, row);
}

bool row_xid(struct str public_id, struct str *xid)
{
    *xid = str_starts(public_id, STR("obs_")) ? str_skip(public_id, 4) : public_id;
    return id_valid(*xid, "");
}

struct str row_public_id(struct arena *arena, const struct row *row)
{
    return str_printf(arena, "obs_" STR_FMT, STR_ARG(row->xid));
}

struct linked_entity {
    struct search_entity shown;
    double               confidence;
    int64_t              id;
};

static int by_confidence(const void *left, const void *right)
{
    const struct linked_entity *a = left, *b = right;
    if (a->confidence != b->confidence) return a->confidence < b->confidence ? 1 : -1;
    return (a->id > b->id) - (a->id < b->id);
}

static struct err *add_entities(struct db_tx *tx, int64_t workspace, int64_t id, struct search_item *item)
{
    struct db_rows            rows;
    struct linked_entity      entity = {0};
    VEC(struct linked_entity) list = {0};
    TRY(db_query(tx, &rows,
                 "SELECT e.id, e.key, e.category, l.confidence FROM entity_observation l "
                 "JOIN entity e ON e.workspace_id = l.workspace_id AND e.id = l.entity_id "
                 "WHERE l.workspace_id = $1 AND l.observation_id = $2",
                 workspace, id));
    while (db_next(&rows, &entity.id, &entity.shown.key, &entity.shown.category, &entity.confidence))
        *VEC_PUSH(tx->arena, &list) = entity;
    TRY(db_done(&rows));
    if (list.n > 1) qsort(list.at, list.n, sizeof *list.at, by_confidence);
    item->entities = NEW_ARRAY(tx->arena, struct search_entity, list.n);
    for (size_t i = 0; i < list.n; i++) item->entities[item->entity_count++] = list.at[i].shown;
    return NULL;
}

static void add_references(struct arena *arena, struct str json, struct search_item *item)
{
    const json_value *root;
    if (json.n <= 2 || json_parse(arena, json, &root)) return; /* "[]" */
    item->references = NEW_ARRAY(arena, struct search_reference, json_count(root));
    for (struct json_iter it = json_iter(root); json_step(&it);) {
        struct search_reference reference = {json_str(it.value, "type"), json_str(it.value, "id"),
                                             json_str(it.value, "url"), json_str(it.value, "label")};
        if (reference.type.n && reference.id.n) item->references[item->reference_count++] = reference;
    }
}

struct err *row_hydrate(struct db_tx *tx, int64_t workspace, const struct row *row, struct matcher *matcher,
                        bool highlights, struct search_item *item)
{
    struct arena *arena = tx->arena;
    item->id = row_public_id(arena, row);
    item->title = row->title;
    item->url = row->url.s ? row->url : STR("");
    item->source = row->source;
    item->type = row->type;
    item->occurred_at = row->occurred_at;
    item->snippet = snippet_best(arena, matcher, plain_text(arena, content_after_title(row->title, row->content)));
    add_references(arena, row->references, item);
    if (highlights) {
        item->highlighted = true;
        item->title_highlight = highlight(arena, matcher, row->title);
        item->snippet_highlight = highlight(arena, matcher, item->snippet);
    }
    return add_entities(tx, workspace, row->id, item);
}
