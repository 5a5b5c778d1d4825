/* functions_cleanup.c - a source is disconnected and its data is to go (spec/documents.md 13): the observations of its
 * resource are deleted, a page in a transaction; then the job goes on as a fresh run. At the end go the payloads they
 * were made of, so that no replay brings them back.
 */
#include "memory/announce.h"
#include "source/receive.h"

enum { PAGE = 50, SEARCHED = 5000 };

struct cleanup {
    struct memory *memory;
    struct str     source, resource;
    int64_t        until;          /* what was captured later belongs to a source that was connected again */
    int64_t        after, deleted; /* after: row id of the last observation that was looked at */
    bool           more;
    struct { int64_t *at; size_t n, capacity; } ids;
};

static struct err *read_source(struct db_tx *tx, struct flow_run *run, struct cleanup *cleanup)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT source_type, provider_resource_id FROM source WHERE workspace_id = $1 AND public_id = $2",
                 run->workspace, json_str(flow_data(run), "sourceId")));
    (void)db_next(&rows, &cleanup->source, &cleanup->resource);
    return db_done(&rows);
}

/* Rows are looked through in their order, for no index finds them by resource. */
static struct err *find_observations(struct db_tx *tx, int64_t workspace, struct cleanup *cleanup)
{
    struct db_rows rows;
    struct str     source, resource;
    int64_t        id = 0, captured_at = 0;
    size_t         seen = 0;
    TRY(db_query(tx, &rows, "SELECT id, captured_at, source, resource_id FROM observation WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                 workspace, cleanup->after, (int)SEARCHED));
    while (cleanup->ids.n < PAGE && db_next(&rows, &id, &captured_at, &source, &resource)) {
        bool its_own = str_eq(source, cleanup->source) && str_eq(resource, cleanup->resource);
        seen++;
        cleanup->after = id;
        if (its_own && captured_at <= cleanup->until) *VEC_PUSH(tx->arena, &cleanup->ids) = id;
    }
    cleanup->more = cleanup->ids.n == PAGE || seen == SEARCHED;
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
    for (size_t i = 0; i < cleanup->ids.n; i++) {
        struct err *err = memory_delete(cleanup->memory, tx, run->workspace, cleanup->ids.at[i]);
        if (err && err->code != ERR_NOT_FOUND) return err;
        deleted += !err;
    }
    *result = str_printf(tx->arena, "{\"after\":%lld,\"deleted\":%lld,\"more\":%s}", (long long)cleanup->after,
                         (long long)deleted, cleanup->more ? "true" : "false");
    return NULL;
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
    flow_output(run, str_printf(run->arena, "{\"status\":\"success\",\"observations\":%lld}", deleted));
    return NULL;
}

const struct flow_function memory_source_cleanup = {
    .name = "source.cleanup",
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
