/* functions_embed.c - vectors that did not come with the capture: asked for again until they are there, with pauses of
 * 1, 2, 4 ... 60 minutes (spec/pipeline.md 8).
 *
 * Each attempt is a run; it fails when the service does, which is what the health of the store shows, and the event of
 * the next attempt is sent before. embedding_due_at says when that is, so that the sweep finds what got lost.
 */
#include "memory/announce.h"

enum { LONGEST_PAUSE_MINUTES = 60, DOUBLINGS = 6 };

int64_t embedding_pause(int64_t attempts)
{
    int64_t minutes = 1;
    for (int64_t i = 0; i < attempts && i < DOUBLINGS; i++) minutes *= 2;
    return MINUTES(minutes < LONGEST_PAUSE_MINUTES ? minutes : LONGEST_PAUSE_MINUTES);
}

struct embedding {
    struct flow_run      *run;
    struct memory        *memory;
    struct str            public_id, xid;
    int64_t               id, attempt, due;
    struct memory_batch   batch;
    struct prepared_event item; /* with title, body and vectors */
    const char           *skipped;
};

/* What there is to embed; skipped says why nothing. */
static struct err *read_text(struct embedding *e)
{
    struct db_rows   rows;
    struct str       model = {0}, status = {0};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(e->memory->db, e->run->arena, &tx));
    TRY(db_query(tx, &rows,
                 "SELECT id, title, content, embedding_model, embedding_status, embedding_due_at FROM observation "
                 "WHERE workspace_id = $1 AND xid = $2",
                 e->run->workspace, e->xid));
    bool found = db_next(&rows, &e->id, &e->item.event.title, &e->item.event.body, &model, &status, &e->due);
    TRY(db_done(&rows));
    bool ready = str_eq(status, STR("ready")) && str_eq(model, embed_model(e->memory->embed));
    if (!found)
        e->skipped = "observation_not_found";
    else if (!embed_enabled(e->memory->embed))
        e->skipped = "embedding_disabled";
    else if (ready || !e->due)
        e->skipped = "nothing_to_embed";
    else if (e->due > time_now())
        e->skipped = "attempted_meanwhile"; /* by a run that the sweep has sent, or before it */
    return NULL;
}

/* A cluster was chosen after the capture. */
static struct err *tell_assigned(struct embedding *e, struct db_tx *tx, int64_t began)
{
    struct outbox outbox;
    struct news   news;
    TRY(outbox_open(tx, e->run->workspace, tx->arena, &outbox));
    outbox.parent_run = e->run->id;
    TRY(news_read(tx, e->run->workspace, e->id, &news));
    news.cluster_is_new = news.members == 1;
    news_cluster(&outbox, &news, began);
    return outbox_send(tx, &outbox);
}

/* ---- the vectors are there --------------------------------------------------------------------------------------- */

/* The item as the index has it, with the new vectors and what has changed since. */
static struct err *index_again(struct work *work, const struct embedding *e, const struct prepared_event *item,
                               const struct stored_observation *stored)
{
    struct index_item entry;
    bool              found;
    TRY(index_read(work->tx, work->workspace, INDEX_OBSERVATION, stored->id, &entry, &found));
    if (!found)
        return err_new(work->arena, ERR_INTERNAL, "observation %lld is not in the search log", (long long)stored->id);
    entry.actor = stored->actor;
    entry.cluster = stored->cluster;
    entry.model = e->batch.model;
    entry.dim = e->batch.dim;
    entry.views = item->views;
    return index_add(&work->writer, &entry);
}

/* While the vectors were missing no cluster was chosen. */
static struct err *take_vectors(struct embedding *e, struct db_tx *tx, bool *assigned)
{
    struct work               work;
    struct prepared_event     item;
    struct stored_observation stored;
    bool                      found;
    TRY(work_open(&work, e->memory, tx, e->run->workspace));
    TRY(observation_load(&work, e->id, &item, &stored, &found));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Observation not found");
    work.embedding = true;
    work.model = e->batch.model;
    work.dim = e->batch.dim;
    item.views = e->item.views;
    item.embedding_status = "ready";
    *assigned = stored.cluster == 0;
    if (*assigned) TRY(clusters_assign(&work, &item, stored.actor, &stored.cluster));
    TRY(db_exec(tx,
                "UPDATE observation SET embedding_status = 'ready', embedding_model = $3, embedding_due_at = 0, "
                "cluster_id = $4 WHERE workspace_id = $1 AND id = $2",
                work.workspace, e->id, work.model, stored.cluster));
    TRY(index_again(&work, e, &item, &stored));
    return work_close(&work);
}

static struct err *write_vectors(struct db_tx *tx, void *arg)
{
    struct embedding *e = arg;
    bool              assigned;
    int64_t           began = time_now();
    TRY(take_vectors(e, tx, &assigned));
    if (assigned) TRY(tell_assigned(e, tx, began));
    flow_output(e->run, job_output(e->run->arena, "success", "observationId", e->public_id, (struct str){0}));
    return flow_complete_in(e->run, tx);
}

/* ---- they are not ------------------------------------------------------------------------------------------------ */

static struct err *send_next(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result)
{
    struct embedding *e = arg;
    struct outbox     outbox;
    int64_t           due = time_now() + embedding_pause(e->attempt + 1);
    TRY(outbox_open(tx, run->workspace, tx->arena, &outbox));
    outbox.parent_run = run->id;
    news_embed(&outbox, e->xid, e->attempt + 1, due);
    *result = str_printf(run->arena, "{\"dueAt\":%lld}", (long long)due);
    TRY(db_exec(tx, "UPDATE observation SET embedding_due_at = $3 WHERE workspace_id = $1 AND id = $2", run->workspace,
                e->id, due));
    return outbox_send(tx, &outbox);
}

/* A text that the service refuses for good is found by its words only, and gets its cluster by the other signs. */
static struct err *cluster_without(struct embedding *e, struct db_tx *tx, bool *assigned)
{
    struct work               work;
    struct prepared_event     item;
    struct stored_observation stored;
    bool                      found;
    TRY(work_open(&work, e->memory, tx, e->run->workspace));
    TRY(observation_load(&work, e->id, &item, &stored, &found));
    *assigned = found && !stored.cluster;
    if (!*assigned) return work_close(&work);
    TRY(clusters_assign(&work, &item, stored.actor, &stored.cluster));
    TRY(db_exec(tx, "UPDATE observation SET cluster_id = $3 WHERE workspace_id = $1 AND id = $2", work.workspace, e->id,
                stored.cluster));
    TRY(index_change(
        &work.writer,
        (struct index_change){.id = e->id, .kind = INDEX_OBSERVATION, .set_cluster = true, .cluster = stored.cluster}));
    return work_close(&work);
}

static struct err *give_up(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result)
{
    struct embedding *e = arg;
    bool              assigned;
    int64_t           began = time_now();
    *result = STR("{}");
    TRY(db_exec(tx,
                "UPDATE observation SET embedding_due_at = 0, embedding_status = CASE WHEN embedding_status = 'ready' "
                "THEN 'ready' ELSE 'failed' END WHERE workspace_id = $1 AND id = $2",
                run->workspace, e->id));
    TRY(cluster_without(e, tx, &assigned));
    return assigned ? tell_assigned(e, tx, began) : NULL;
}

static struct err *not_embedded(struct embedding *e)
{
    struct flow_run *run = e->run;
    bool             refused = strcmp(e->item.embedding_status, "failed") == 0;
    TRY(flow_step_in(run, refused ? "give-up" : "next", refused ? give_up : send_next, e, NULL));
    struct err *err =
        err_new(run->arena, ERR_UNAVAILABLE,
                refused ? "the embedding service refuses the text" : "the embedding service does not answer");
    return flow_fail(run, job_failed(run, "observationId", e->public_id, err));
}

static void set_input(const struct embedding *e)
{
    struct json_out out = json_out(e->run->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "observationId", e->public_id);
    json_put(&out, "attempt", e->attempt);
    json_end(&out);
    flow_input(e->run, json_out_text(&out));
}

static struct err *embed_again(struct flow_run *run)
{
    const json_value *data = flow_data(run);
    struct embedding  e = {.run = run,
                           .memory = run->context,
                           .public_id = json_str(data, "observationId"),
                           .attempt = json_int(data, "attempt", 0)};
    e.xid = public_xid(e.public_id, "obs_");
    set_input(&e);
    TRY(read_text(&e));
    if (e.skipped) {
        flow_output(run, job_output(run->arena, "skipped", "observationId", e.public_id, str_of(e.skipped)));
        return NULL;
    }
    e.batch = (struct memory_batch){.workspace = run->workspace, .events = &e.item, .count = 1};
    prepared_embed(e.memory, run->arena, &e.batch);
    if (strcmp(e.item.embedding_status, "ready") != 0) return not_embedded(&e);
    struct err *err = db_write(run->db, run->arena, write_vectors, &e);
    return err ? job_failed(run, "observationId", e.public_id, err) : NULL;
}

/* ---- attempts that somebody else sends ------------------------------------------------------------------------------ */

struct err *embeddings_send(struct db_tx *tx, struct outbox *outbox, int64_t before, int64_t *sent)
{
    struct db_rows rows;
    struct owed {
        int64_t    id;
        struct str xid;
    } one;
    VEC(struct owed) owed = {0};
    int64_t now = time_now();
    TRY(db_query(tx, &rows,
                 "SELECT id, xid FROM observation WHERE workspace_id = $1 AND embedding_due_at > 0 "
                 "AND embedding_due_at < $2 ORDER BY embedding_due_at LIMIT $3",
                 outbox->workspace, before, (int)EMBEDDINGS_AT_ONCE));
    while (db_next(&rows, &one.id, &one.xid)) *VEC_PUSH(tx->arena, &owed) = one;
    TRY(db_done(&rows));
    for (size_t i = 0; i < owed.n; i++) {
        TRY(db_exec(tx, "UPDATE observation SET embedding_due_at = $3 WHERE workspace_id = $1 AND id = $2",
                    outbox->workspace, owed.at[i].id, now));
        news_embed(outbox, owed.at[i].xid, 0, 0);
    }
    *sent = (int64_t)owed.n;
    return outbox_send(tx, outbox);
}

struct err *memory_retry_embeddings(struct db_tx *tx, int64_t workspace, int64_t *queued)
{
    struct outbox outbox;
    int64_t       sent;
    TRY(outbox_open(tx, workspace, tx->arena, &outbox));
    TRY(db_exec(tx,
                "UPDATE observation SET embedding_status = 'pending', embedding_due_at = 1 "
                "WHERE workspace_id = $1 AND embedding_status = 'failed'",
                workspace));
    *queued = db_changes(tx);
    return *queued ? embeddings_send(tx, &outbox, 2, &sent) : NULL;
}

const struct flow_function memory_observation_embed = {
    .name = "neural.observation.embed",
    .on = "neural/observation.embed",
    .run = embed_again,
    .retries = 3, /* of its transaction; the service's failures have their own schedule */
    .title = "'Embed: ' + observationId",
    .concurrency = {{.limit = 5, .key = "workspace"}},
    .finish_within = 60000,
};
