/* state.c - what the index holds: whether that is what the rows say, for the doctor, and how much of each source. */
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

struct counting {
    struct arena *arena;
    const struct index *index;
    struct { struct search_source *at; size_t n, capacity; } sources;
};

static void count_source(void *arg, struct str source)
{
    struct counting *counting = arg;
    *VEC_PUSH(counting->arena, &counting->sources) = (struct search_source){
        .source = str_dup(counting->arena, source), .items = (int64_t)index_count_of_source(counting->index, source)};
}

struct err *search_sources(struct search *search, struct arena *arena, int64_t workspace, struct search_source **sources,
                           size_t *count)
{
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, workspace, &index));
    struct counting counting = {.arena = arena, .index = index};
    index_sources(index, count_source, &counting);
    *sources = counting.sources.at;
    *count = counting.sources.n;
    return NULL;
}
