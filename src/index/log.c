/* log.c - appending to the search log, and folding it. */
#include "index/index.h"

#include "base/hash.h"
#include "index/payload.h"

/* Taking the counter row is taking the workspace's lock: on PostgreSQL until commit, on SQLite writers queue anyway. */
struct err *index_writer_open(struct db_tx *tx, int64_t workspace, struct index_writer *writer)
{
    struct db_rows rows;
    *writer = (struct index_writer){.tx = tx, .workspace = workspace};
    TRY(db_query(tx, &rows,
                 "INSERT INTO workspace_counter (workspace_id) VALUES ($1) "
                 "ON CONFLICT (workspace_id) DO UPDATE SET seq = workspace_counter.seq "
                 "RETURNING seq, next_id",
                 workspace));
    bool found = db_next(&rows, &writer->seq, &writer->next_id);
    TRY(db_done(&rows));
    if (!found) return err_new(tx->arena, ERR_INTERNAL, "workspace %lld has no counters", (long long)workspace);
    return NULL;
}

struct err *index_writer_close(struct index_writer *writer)
{
    return db_exec(writer->tx, "UPDATE workspace_counter SET seq = $2, next_id = $3 WHERE workspace_id = $1",
                   writer->workspace, writer->seq, writer->next_id);
}

/* ---- entities --------------------------------------------------------------------------------------------------- */

/* In pieces, so that texts of any length are folded without memory; `seed` carries what came before. */
static uint64_t hash_folded(struct str text, uint64_t seed)
{
    char   folded[128];
    size_t done = 0;
    do {
        size_t n = 0;
        for (; n < sizeof folded && done < text.n; n++, done++) {
            char c = text.s[done];
            folded[n] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        seed = hash_str_seeded((struct str){folded, n}, seed);
    } while (done < text.n);
    return seed;
}

uint64_t index_entity_hash(struct str category, struct str key, struct str scope)
{
    const uint64_t entities = 0x656e74697469; /* a family of hashes apart from the terms' */
    return hash_folded(scope, hash_folded(key, hash_folded(category, entities)));
}

/* ---- appending -------------------------------------------------------------------------------------------------- */

struct row {
    enum index_row_kind kind;
    enum index_kind     item_kind;
    int64_t             item;
    struct str          model;
    struct bytes        payload;
};

static struct err *append(struct index_writer *writer, struct row row)
{
    if (row.item <= 0 || row.item_kind < INDEX_OBSERVATION || row.item_kind > INDEX_CLUSTER)
        return err_new(writer->tx->arena, ERR_INVALID, "item %lld of kind %d cannot be indexed", (long long)row.item,
                       (int)row.item_kind);
    TRY(db_exec(writer->tx,
                "INSERT INTO search_log (workspace_id, seq, item, item_kind, kind, model, payload) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                writer->workspace, writer->seq + 1, row.item, (int)row.item_kind, (int)row.kind,
                row.model.n ? row.model : (struct str){0}, row.payload));
    writer->seq++;
    return NULL;
}

struct err *index_add(struct index_writer *writer, const struct index_item *item)
{
    struct row row = {.kind = INDEX_ROW_ADD, .item_kind = item->kind, .item = item->id, .model = item->model};
    TRY(index_encode_item(writer->tx->arena, item, &row.payload));
    return append(writer, row);
}

struct err *index_read(struct db_tx *tx, int64_t workspace, enum index_kind kind, int64_t id, struct index_item *item,
                       bool *found)
{
    struct db_rows rows;
    struct str     model = {0};
    struct bytes   payload = {0};
    TRY(db_query(tx, &rows,
                 "SELECT model, payload FROM search_log WHERE workspace_id = $1 AND item = $2 AND item_kind = $3 "
                 "AND kind = $4 ORDER BY seq DESC LIMIT 1",
                 workspace, id, (int)kind, (int)INDEX_ROW_ADD));
    *found = db_next(&rows, &model, &payload);
    TRY(db_done(&rows));
    if (!*found) return NULL;
    TRY(index_decode_item(tx->arena, payload, item));
    item->id = id;
    item->kind = kind;
    item->model = model;
    return NULL;
}

struct err *index_change(struct index_writer *writer, struct index_change change)
{
    if (!change.set_actor && !change.set_cluster) return NULL;
    struct row row = {.kind = INDEX_ROW_ATTRIBUTES, .item_kind = change.kind, .item = change.id};
    TRY(index_encode_change(writer->tx->arena, &change, &row.payload));
    return append(writer, row);
}

struct err *index_remove(struct index_writer *writer, enum index_kind kind, int64_t id)
{
    return append(writer, (struct row){.kind = INDEX_ROW_REMOVE, .item_kind = kind, .item = id});
}

struct err *index_put_cluster(struct index_writer *writer, int64_t cluster, struct embed_vector centroid, int dim,
                              struct str model)
{
    return index_add(writer, &(struct index_item){
                                 .id = cluster,
                                 .kind = INDEX_CLUSTER,
                                 .model = model,
                                 .dim = dim,
                                 .views = {.at = &centroid, .n = centroid.x ? 1 : 0},
                             });
}

struct err *index_fold(struct index_writer *writer, int64_t *folded)
{
    TRY(db_exec(writer->tx,
                "WITH history AS (SELECT seq, MAX(CASE WHEN kind <> 2 THEN seq END) "
                "                             OVER (PARTITION BY item, item_kind) AS newest "
                "                 FROM search_log WHERE workspace_id = $1) "
                "DELETE FROM search_log WHERE workspace_id = $1 "
                "AND seq IN (SELECT seq FROM history WHERE seq < newest)",
                writer->workspace));
    *folded = db_changes(writer->tx);
    return NULL;
}
