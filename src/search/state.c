/* state.c - is the index what the rows say? For the doctor. */
#include "search/parts.h"

struct err *search_check(struct search *search, struct arena *arena, int64_t workspace, struct search_state *state)
{
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, workspace, &index));
    *state = (struct search_state){.indexed = (int64_t)index_count(index), .model = str_dup(arena, index_model(index))};
    index_release(&index);
    index = NULL;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(search->db, arena, &tx));
    struct db_rows rows;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM observation WHERE workspace_id = $1", workspace));
    db_next(&rows, &state->stored);
    return db_done(&rows);
}
