/* functions_cleanup.c - a source is disconnected and its data is to go (spec/documents.md 13): the observations of its
 * resource and of the history that was imported for it are deleted, a page in a transaction; then the job goes on as a
 * fresh run. At the end go the payloads they were made of, so that no replay brings them back, and what they made of
 * the profiles of people.
 */
#include "memory/announce.h"
#include "source/receive.h"

enum { PAGE = 50, SEARCHED = 5000 };

struct cleanup {
    struct memory *memory;
    struct str     source, resource;
    struct source_texts imported;  /* repositories */
    int64_t        until;          /* what was captured later belongs to a source that was connected again */
    int64_t        after, deleted; /* after: row id of the last observation that was looked at */
    bool           more;
    int64_t        ids[PAGE];
    size_t         n;
};

static struct err *read_source(struct db_tx *tx, struct flow_run *run, struct cleanup *cleanup)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT source_type, provider_resource_id FROM source WHERE workspace_id = $1 AND public_id = $2",
                 run->workspace, json_str(flow_data(run), "sourceId")));
    (void)db_next(&rows, &cleanup->source, &cleanup->resource);
    TRY(db_done(&rows));
    return source_imported(tx, run->workspace, json_str(flow_data(run), "sourceId"), &cleanup->imported.at,
                           &cleanup->imported.n);
}

struct looked_at { /* an observation */
    int64_t    id, captured_at;
    struct str source, resource, metadata;
};

/* An import knows its repository by name only. What GitHub has told of since has the resource's id. */
static bool is_imported(struct arena *arena, const struct cleanup *cleanup, const struct looked_at *at)
{
    const json_value *metadata;
    bool              any_host = str_eq(cleanup->source, STR("git"));
    if (at->resource.n || !at->metadata.n || !(any_host || str_eq(at->source, cleanup->source))) return false;
    if (json_parse(arena, at->metadata, &metadata) || !str_eq(json_str(metadata, "origin"), STR("git-import"))) return false;
    struct str repo = str_lower(arena, json_str(metadata, "repoFullName"));
    for (size_t i = 0; i < cleanup->imported.n; i++)
        if (str_eq(cleanup->imported.at[i], repo)) return true;
    return false;
}

/* Rows are looked through in their order, for no index finds them by resource. */
static struct err *find_observations(struct db_tx *tx, int64_t workspace, struct cleanup *cleanup)
{
    struct db_rows   rows;
    struct looked_at at = {0};
    size_t           seen = 0;
    TRY(db_query(tx, &rows,
                 "SELECT id, captured_at, source, resource_id, CASE WHEN $3 > 0 AND resource_id IS NULL THEN metadata END "
                 "FROM observation WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $4",
                 workspace, cleanup->after, cleanup->imported.n, (int)SEARCHED));
    for (;; seen++) {
        struct arena_mark mark = arena_mark(tx->arena);
        if (cleanup->n == PAGE || !db_next(&rows, &at.id, &at.captured_at, &at.source, &at.resource, &at.metadata)) break;
        bool its_own = str_eq(at.source, cleanup->source) && str_eq(at.resource, cleanup->resource);
        cleanup->after = at.id;
        if (at.captured_at <= cleanup->until && (its_own || is_imported(tx->arena, cleanup, &at)))
            cleanup->ids[cleanup->n++] = at.id;
        arena_rewind(tx->arena, mark);
    }
    cleanup->more = cleanup->n == PAGE || seen == SEARCHED;
    return db_done(&rows);
}

static struct err *look(struct flow_run *run, struct cleanup *cleanup)
{
    const json_value *state = NULL;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    *cleanup = (struct cleanup){.memory = run->context, .until = run->events[0].received_at};
    if (run->state.n) TRY(json_parse(run->arena, run->state, &state));
    cleanup->after = json_int(state, "after", 0);
    cleanup->deleted = json_int(state, "deleted", 0);
    TRY(db_read_begin(run->db, run->arena, &tx));
    TRY(read_source(tx, run, cleanup));
    return cleanup->resource.n ? find_observations(tx, run->workspace, cleanup) : NULL;
}

static struct err *delete_page(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result)
{
    const struct cleanup *cleanup = arg;
    int64_t               deleted = cleanup->deleted;
    for (size_t i = 0; i < cleanup->n; i++) {
        struct err *err = memory_delete(cleanup->memory, tx, run->workspace, cleanup->ids[i]);
        if (err && err->code != ERR_NOT_FOUND) return err;
        deleted += !err;
    }
    *result = str_printf(tx->arena, "{\"after\":%lld,\"deleted\":%lld,\"more\":%s}", (long long)cleanup->after,
                         (long long)deleted, cleanup->more ? "true" : "false");
    return NULL;
}

static struct err *write_profiles(struct db_tx *tx, void *arg)
{
    struct flow_run *run = arg;
    return memory_settle(run->context, tx, run->workspace);
}

static struct err *clean_up(struct flow_run *run)
{
    struct cleanup    cleanup;
    struct str        result;
    const json_value *state;
    TRY(look(run, &cleanup));
    TRY(flow_step_in(run, "delete", delete_page, &cleanup, &result));
    TRY(json_parse(run->arena, result, &state));
    long long deleted = (long long)json_int(state, "deleted", 0);
    flow_progress(run, str_printf(run->arena, "{\"phase\":\"delete\",\"done\":%lld}", deleted));
    if (json_bool(state, "more", false)) return flow_continue(run, result);
    TRY(source_forget(run, json_str(flow_data(run), "sourceId"), cleanup.until));
    TRY(db_write(run->db, run->arena, write_profiles, run));
    flow_output(run, str_printf(run->arena, "{\"status\":\"success\",\"observations\":%lld}", deleted));
    return NULL;
}

const struct flow_function memory_source_cleanup = {
    .name = SOURCE_CLEANUP,
    .on = "source.disconnected",
    .when = "deleteData == true",
    .run = clean_up,
    .retries = 3,
    .title = "'Delete the data of a source'",
    .source = "sourceId",
    .priority = "-300",
    .concurrency = {{.limit = 1, .key = "sourceId", .per_run = true}},
    .start_within = 60000,
    .finish_within = 2 * 60 * 60000,
};
