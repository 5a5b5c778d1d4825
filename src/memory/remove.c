/* remove.c - an observation goes, and with it all that it counted for. */
#include "memory/parts.h"

struct err *memory_delete(struct memory *memory, struct db_tx *tx, int64_t workspace, int64_t id)
{
    struct work    work;
    struct db_rows rows;
    struct str     actor = {NULL, 0};
    struct memory_analysis gone = {0};
    int64_t        cluster = 0;
    TRY(work_open(&work, memory, tx, workspace));
    TRY(db_query(tx, &rows, "SELECT actor_id, cluster_id FROM observation WHERE workspace_id = $1 AND id = $2", workspace, id));
    bool found = db_next(&rows, &actor, &cluster);
    TRY(db_done(&rows));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Observation not found");
    TRY(names_links(&work, id, &gone));
    TRY(references_remove(&work, id));
    TRY(db_exec(tx, "DELETE FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2", workspace, id));
    TRY(db_exec(tx, "DELETE FROM relationship WHERE workspace_id = $1 AND target_observation_id = $2", workspace, id));
    TRY(entities_unlink_all(&work, id));
    TRY(db_exec(tx, "DELETE FROM observation WHERE workspace_id = $1 AND id = $2", workspace, id));
    TRY(names_forgotten(&work, &gone));
    TRY(index_remove(&work.writer, INDEX_OBSERVATION, id));
    if (cluster) TRY(clusters_leave(&work, cluster));
    if (actor.n) actors_touch(&work, actor);
    return work_close(&work);
}
