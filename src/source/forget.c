/* forget.c - the data of a source is to go: the payloads of its deliveries, and the items of its repository. Until it has
 * gone, its history is not imported again. */
#include "source/inbox.h"
#include "source/receive.h"

#include "flow/flow.h"

enum { AT_ONCE = 200 };

struct ending {
    int64_t    workspace, source, until;
    struct str type, public_id;
    struct str repo;  /* whose items go; empty: none do */
    bool       alone; /* the workspace has no other source of the provider: all its payloads are this one's */
    int64_t    after_at, after; /* the row that was looked at last */
    size_t     seen;
    struct { int64_t *at; size_t n, capacity; } rows; /* deliveries or payloads */
};

static struct err *find_ending(struct db_tx *tx, struct ending *ending)
{
    struct db_rows    rows;
    struct str        config = {0};
    bool              active = false;
    int64_t           others = 0;
    const json_value *members;
    TRY(db_query(tx, &rows,
                 "SELECT id, source_type, source_config, is_active FROM source WHERE workspace_id = $1 AND public_id = $2",
                 ending->workspace, ending->public_id));
    bool found = db_next(&rows, &ending->source, &ending->type, &config, &active);
    TRY(db_done(&rows));
    if (!found) return NULL;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM source WHERE workspace_id = $1 AND source_type = $2 AND id <> $3",
                 ending->workspace, ending->type, ending->source));
    ending->alone = db_next(&rows, &others) && others == 0;
    TRY(db_done(&rows));
    TRY(json_parse(tx->arena, config, &members));
    if (!active) ending->repo = json_str(members, "idName"); /* one that is connected again has items again */
    return NULL;
}

static struct err *delete_items(struct db_tx *tx, void *arg)
{
    const struct ending *ending = arg;
    TRY(db_exec(tx, "DELETE FROM github_item WHERE workspace_id = $1 AND repo = $2", ending->workspace, ending->repo));
    return db_exec(tx, "DELETE FROM github_verdict WHERE workspace_id = $1 AND repo = $2", ending->workspace, ending->repo);
}

/* ---- payloads ---------------------------------------------------------------------------------------------------- */

static struct err *find_deliveries(struct db_tx *tx, struct ending *ending)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT delivery FROM inbound_delivery_share WHERE workspace_id = $1 AND source_id = $2 AND delivery > $3 "
                 "ORDER BY delivery LIMIT $4",
                 ending->workspace, ending->source, ending->after, (int)AT_ONCE));
    for (; db_next(&rows, &ending->after); ending->seen++) *VEC_PUSH(tx->arena, &ending->rows) = ending->after;
    return db_done(&rows);
}

static struct err *delete_of_deliveries(struct db_tx *tx, void *arg)
{
    const struct ending *ending = arg;
    for (size_t i = 0; i < ending->rows.n; i++)
        TRY(db_exec(tx, "DELETE FROM ingestion_payload WHERE delivery = $1 AND workspace_id = $2 AND received_at <= $3",
                    ending->rows.at[i], ending->workspace, ending->until));
    return NULL;
}

/* Does the payload tell of the source's resource? One that cannot be read any more stays. */
static struct err *tells_of_it(struct db_tx *tx, const struct ending *ending, int64_t payload, bool *does)
{
    struct db_rows                rows;
    struct bytes                  packed = {0};
    int64_t                       size = 0;
    struct source_delivery_record stored = {0};
    struct source_delivery        delivery;
    struct candidate              candidate;
    TRY(db_query(tx, &rows,
                 "SELECT source, event_type, delivery_id, headers, received_at, payload, payload_bytes "
                 "FROM ingestion_payload WHERE id = $1",
                 payload));
    bool found = db_next(&rows, &stored.source, &stored.event, &stored.delivery_id, &stored.headers, &stored.received_at,
                         &packed, &size);
    TRY(db_done(&rows));
    *does = false;
    if (!found || payload_unpack(tx->arena, packed, size, &stored.payload)) return NULL;
    if (inbox_read_again(tx->arena, &stored, &delivery)) return NULL;
    TRY(match_address(tx, delivery.provider, ending->public_id, &candidate));
    return match_resource(tx, &delivery, &candidate, does);
}

/* Payloads may outlive the log, which knew whose they were. */
static struct err *find_forgotten(struct db_tx *tx, struct ending *ending)
{
    struct { int64_t id, at; } page[AT_ONCE];
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT p.id, p.received_at FROM ingestion_payload p WHERE p.workspace_id = $1 AND p.source = $2 "
                 "AND p.received_at >= $3 AND p.received_at <= $4 AND (p.received_at > $3 OR p.id > $5) "
                 "AND NOT EXISTS (SELECT 1 FROM inbound_delivery d WHERE d.id = p.delivery) "
                 "ORDER BY p.received_at, p.id LIMIT $6",
                 ending->workspace, ending->type, ending->after_at, ending->until, ending->after, (int)AT_ONCE));
    while (ending->seen < AT_ONCE && db_next(&rows, &page[ending->seen].id, &page[ending->seen].at)) ending->seen++;
    TRY(db_done(&rows));
    ending->rows.at = NEW_ARRAY(tx->arena, int64_t, AT_ONCE);
    for (size_t i = 0; i < ending->seen; i++) {
        struct arena_mark mark = arena_mark(tx->arena);
        bool              its_own = ending->alone;
        if (!its_own) TRY(tells_of_it(tx, ending, page[i].id, &its_own));
        arena_rewind(tx->arena, mark);
        if (its_own) ending->rows.at[ending->rows.n++] = page[i].id;
        ending->after_at = page[i].at;
        ending->after = page[i].id;
    }
    return NULL;
}

static struct err *delete_payloads(struct db_tx *tx, void *arg)
{
    const struct ending *ending = arg;
    for (size_t i = 0; i < ending->rows.n; i++)
        TRY(db_exec(tx, "DELETE FROM ingestion_payload WHERE id = $1", ending->rows.at[i]));
    return NULL;
}

/* ---- page by page ------------------------------------------------------------------------------------------------ */

typedef struct err *(*find_page)(struct db_tx *tx, struct ending *ending);

static struct err *do_page(struct db *db, struct arena *arena, struct ending *ending, find_page find, db_write_fn delete_page)
{
    {
        struct db_tx *tx DB_READ_SCOPE = NULL;
        TRY(db_read_begin(db, arena, &tx));
        TRY(find(tx, ending));
    }
    return ending->rows.n ? db_write(db, arena, delete_page, ending) : NULL;
}

static struct err *do_all(struct flow_run *run, struct ending ending, find_page find, db_write_fn delete_page)
{
    do {
        if (flow_should_stop(run)) return err_new(run->arena, ERR_CANCELLED, "stopped");
        struct arena *work ARENA_SCOPE = arena_create();
        ending.seen = 0;
        ending.rows.at = NULL;
        ending.rows.n = ending.rows.capacity = 0;
        struct err *err = do_page(run->db, work, &ending, find, delete_page);
        if (err) return err_new(run->arena, err->code, STR_FMT, STR_ARG(err_text(run->arena, err)));
    } while (ending.seen == AT_ONCE);
    return NULL;
}

struct err *source_forget(struct flow_run *run, struct str public_id, int64_t until)
{
    struct ending ending = {.workspace = run->workspace, .public_id = public_id, .until = until};
    {
        struct db_tx *tx DB_READ_SCOPE = NULL;
        TRY(db_read_begin(run->db, run->arena, &tx));
        TRY(find_ending(tx, &ending));
    }
    if (!source_kind_of(ending.type)) return NULL; /* nobody sends for it */
    if (ending.repo.n) TRY(db_write(run->db, run->arena, delete_items, &ending));
    TRY(do_all(run, ending, find_deliveries, delete_of_deliveries));
    return do_all(run, ending, find_forgotten, delete_payloads);
}

/* ---- what is still to go ----------------------------------------------------------------------------------------- */

static struct err *refuse_imported(struct db_tx *tx, int64_t workspace, struct str public_id, struct str repo)
{
    struct db_rows rows;
    int64_t        id;
    TRY(db_query(tx, &rows,
                 "SELECT i.id FROM import i JOIN source s ON s.workspace_id = i.workspace_id AND s.id = i.source_id "
                 "WHERE s.workspace_id = $1 AND s.public_id = $2 AND LOWER(i.repo) = $3 LIMIT 1",
                 workspace, public_id, str_lower(tx->arena, repo)));
    bool imported = db_next(&rows, &id);
    TRY(db_done(&rows));
    if (!imported) return NULL;
    return err_new(tx->arena, ERR_CONFLICT,
                   "What was imported of " STR_FMT " is still to be deleted, which a server does; import it again after that",
                   STR_ARG(repo));
}

struct err *source_check_forgotten(struct db_tx *tx, int64_t workspace, struct str repo)
{
    struct flow_job_filter unfinished = {.functions = {STR(SOURCE_CLEANUP)}, .statuses = {STR("queued"), STR("running")}, .limit = 100};
    struct flow_job   *jobs;
    struct flow_event *events;
    const json_value  *data;
    size_t             n;
    TRY(flow_job_list(tx, workspace, unfinished, &jobs, &n));
    for (size_t i = 0; i < n; i++) TRY(refuse_imported(tx, workspace, jobs[i].source, repo));
    TRY(flow_event_pending(tx, workspace, STR("source.disconnected"), &events, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(json_parse(tx->arena, events[i].data, &data));
        if (json_bool(data, "deleteData", false)) TRY(refuse_imported(tx, workspace, json_str(data, "sourceId"), repo));
    }
    return NULL;
}
