/* functions_sweep.c - every ten minutes: what got lost on its way is taken up again (spec/pipeline.md 2, 8), and the
 * search log is folded. */
#include "memory/announce.h"

enum { LATE_MINUTES = 10, UNFINISHED_AT_ONCE = 100, MOST_QUEUED = 10000, ROWS_AT_ONCE = 5000 };

static struct err *fold_log(struct db_tx *tx, void *arg)
{
    struct upkeep      *upkeep = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, upkeep->workspace, &writer));
    TRY(index_fold(&writer, &upkeep->done));
    return index_writer_close(&writer);
}

/* ---- captures that did not come to their end --------------------------------------------------------------------- */

/* Edges and merges; both find what is there already. */
static struct err *finish_observation(struct upkeep *upkeep, struct db_tx *tx, int64_t id)
{
    struct work               work;
    struct prepared_event     item;
    struct stored_observation stored;
    bool                      found;
    TRY(work_open(&work, upkeep->memory, tx, upkeep->workspace));
    TRY(observation_load(&work, id, &item, &stored, &found));
    if (!found) return work_close(&work);
    TRY(relations_link(&work, &item, id));
    TRY(actors_reconcile(&work, &item, stored.actor));
    TRY(work_close(&work));
    return db_exec(tx, "UPDATE observation SET pipeline_state = 'done' WHERE workspace_id = $1 AND id = $2",
                   upkeep->workspace, id);
}

static struct err *tell_finished(const struct upkeep *upkeep, struct db_tx *tx, int64_t id, struct outbox *outbox)
{
    struct news        news;
    struct model_rules rules;
    TRY(models_rules(tx, upkeep->memory, upkeep->workspace, &rules));
    TRY(news_read(tx, upkeep->workspace, id, &news));
    bool history = memory_is_history(news.ingestion);
    news_captured(outbox, &news);
    news_profile(outbox, &news);
    news_cluster(outbox, &news, upkeep->began);
    if (rules.on && (!history || rules.history)) news_entities(outbox, &news);
    return NULL;
}

/* A capture has ended after five minutes, one way or the other: older ones have no live run. */
static struct err *finish_unfinished(struct db_tx *tx, void *arg)
{
    struct upkeep *upkeep = arg;
    struct outbox  outbox = upkeep_outbox(tx, upkeep);
    struct db_rows rows;
    int64_t        id;
    VEC(int64_t) ids = {0};
    TRY(db_query(tx, &rows,
                 "SELECT id FROM observation WHERE workspace_id = $1 AND pipeline_state <> 'done' AND captured_at < $2 "
                 "ORDER BY id LIMIT $3",
                 upkeep->workspace, upkeep->began - MINUTES(LATE_MINUTES), (int)UNFINISHED_AT_ONCE));
    while (db_next(&rows, &id)) *VEC_PUSH(tx->arena, &ids) = id;
    TRY(db_done(&rows));
    for (size_t i = 0; i < ids.n; i++) {
        TRY(finish_observation(upkeep, tx, ids.at[i]));
        TRY(tell_finished(upkeep, tx, ids.at[i], &outbox));
    }
    upkeep->done = (int64_t)ids.n;
    upkeep->more = ids.n == UNFINISHED_AT_ONCE;
    return outbox_send(tx, &outbox);
}

/* ---- vectors that are owed --------------------------------------------------------------------------------------- */

/* Attempts whose time is long past: their events or runs are gone. They begin anew. */
static struct err *send_missed(struct db_tx *tx, void *arg)
{
    struct upkeep *upkeep = arg;
    struct outbox  outbox = upkeep_outbox(tx, upkeep);
    int64_t        queued;
    upkeep->done = 0;
    upkeep->more = false;
    TRY(flow_backlog(tx, upkeep->workspace, &queued));
    if (queued >= MOST_QUEUED || !embed_enabled(upkeep->memory->embed)) return NULL;
    TRY(embeddings_send(tx, &outbox, upkeep->began - MINUTES(LATE_MINUTES), &upkeep->done));
    upkeep->more = upkeep->done == EMBEDDINGS_AT_ONCE;
    return NULL;
}

/* After a change of model everything is owed new vectors; the old ones serve until they are there. */
static struct err *owe_all(struct db_tx *tx, void *arg)
{
    struct upkeep *upkeep = arg;
    struct db_rows rows;
    int64_t        last = 0;
    TRY(db_query(tx, &rows,
                 "SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM observation WHERE workspace_id = $1 AND id > $2 "
                 "ORDER BY id LIMIT $3) AS part",
                 upkeep->workspace, upkeep->after, (int)ROWS_AT_ONCE));
    (void)db_next(&rows, &last);
    TRY(db_done(&rows));
    upkeep->done = 0;
    upkeep->more = last > 0;
    if (!last) return NULL;
    TRY(db_exec(tx,
                "UPDATE observation SET embedding_due_at = 1 WHERE workspace_id = $1 AND id > $2 AND id <= $3 "
                "AND embedding_due_at = 0 AND embedding_status <> 'failed' "
                "AND (embedding_model IS NULL OR embedding_model <> $4)",
                upkeep->workspace, upkeep->after, last, embed_model(upkeep->memory->embed)));
    upkeep->done = db_changes(tx);
    upkeep->reached = last;
    return NULL;
}

static struct err *read_model(struct flow_run *run, struct str *model)
{
    struct db_rows   rows;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    *model = (struct str){0};
    TRY(db_read_begin(run->db, run->arena, &tx));
    TRY(db_query(tx, &rows, "SELECT value FROM instance_fact WHERE name = 'embedding_model'"));
    (void)db_next(&rows, model);
    return db_done(&rows);
}

static struct err *write_model(struct db_tx *tx, void *arg)
{
    const struct memory *memory = arg;
    return db_exec(tx,
                   "INSERT INTO instance_fact (name, value) VALUES ('embedding_model', $1) "
                   "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                   embed_model(memory->embed));
}

static struct err *notice_model(struct flow_run *run, int64_t *owed)
{
    struct memory *memory = run->context;
    struct str     known;
    *owed = 0;
    if (!embed_enabled(memory->embed)) return NULL;
    TRY(read_model(run, &known));
    if (str_eq(known, embed_model(memory->embed))) return NULL;
    TRY(for_each_workspace(run, owe_all, owed));
    return db_write(run->db, run->arena, write_model, memory);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static struct err *sweep(struct flow_run *run)
{
    int64_t         folded, finished, owed, sent;
    struct json_out out = json_out(run->arena);
    TRY(for_each_workspace(run, finish_unfinished, &finished));
    TRY(notice_model(run, &owed));
    TRY(for_each_workspace(run, send_missed, &sent));
    TRY(for_each_workspace(run, fold_log, &folded));
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "rowsFolded", folded);
    json_put(&out, "observationsResumed", finished);
    json_put(&out, "embeddingsOwed", owed);
    json_put(&out, "embeddingsSent", sent);
    json_end(&out);
    flow_output(run, json_out_text(&out));
    return NULL;
}

const struct flow_function memory_pipeline_sweep = {
    .name = "pipeline.sweep",
    .cron = "*/10 * * * *",
    .run = sweep,
    .retries = 2,
    .system = true,
    .concurrency = {{.limit = 1}},
    .finish_within = 60 * 60000,
};
