/* capture.c - the pipeline of one batch inside one transaction: dedupe, threshold, store, link (spec/pipeline.md 2). */
#include "memory/parts.h"

static const char *const outcome_names[] = {
    [MEMORY_STORED] = "stored",
    [MEMORY_REPLACED] = "replaced",
    [MEMORY_DUPLICATE] = "duplicate",
    [MEMORY_BELOW_THRESHOLD] = "below_threshold",
    [MEMORY_REFUSED] = "refused",
};

const char *memory_outcome_name(enum memory_outcome outcome) { return outcome_names[outcome]; }

/* ---- the working set --------------------------------------------------------------------------------------------- */

enum { DEFAULT_THRESHOLD = 30 };

static struct err *read_workspace(struct work *work)
{
    struct db_rows rows;
    struct str     settings = {NULL, 0};
    bool           found;
    TRY(db_query(work->tx, &rows, "SELECT org_id, settings FROM workspace WHERE id = $1", work->workspace));
    found = db_next(&rows, &work->org, &settings);
    TRY(db_done(&rows));
    if (!found) return err_new(work->arena, ERR_NOT_FOUND, "Workspace not found");
    const json_value *root = NULL;
    struct err       *unreadable = json_parse(work->arena, settings, &root);
    work->threshold = (int)json_int(unreadable ? NULL : root, "thresholds.capture", DEFAULT_THRESHOLD);
    return NULL;
}

struct err *work_open(struct work *work, struct memory *memory, struct db_tx *tx, int64_t workspace)
{
    *work = (struct work){.memory = memory, .tx = tx, .arena = tx->arena, .workspace = workspace};
    work->observations = map_create(work->arena);
    work->crowded = map_create(work->arena);
    work->embedding = memory->embed && embed_enabled(memory->embed);
    work->model = work->embedding ? embed_model(memory->embed) : (struct str){NULL, 0};
    work->dim = work->embedding ? embed_dim(memory->embed) : 0;
    TRY(read_workspace(work));
    TRY(index_writer_open(tx, workspace, &work->writer));
    TRY(names_open(work));
    TRY(entities_open(work));
    TRY(clusters_open(work));
    return actors_open(work);
}

struct err *work_close(struct work *work)
{
    TRY(entities_flush(work));
    TRY(clusters_flush(work));
    TRY(actors_flush(work));
    return index_writer_close(&work->writer);
}

/* ---- one event ----------------------------------------------------------------------------------------------------- */

static bool wants_threshold(enum source_ingestion ingestion)
{
    return ingestion == SOURCE_WEBHOOK || ingestion == SOURCE_BACKFILL;
}

static bool may_replace(enum source_ingestion stored, enum source_ingestion incoming)
{
    return stored == SOURCE_MANUAL && (incoming == SOURCE_WEBHOOK || incoming == SOURCE_BACKFILL);
}

/* What a stored or replaced observation is connected with. */
static struct err *connect(struct work *work, const struct prepared_event *item, struct stored_observation *stored,
                           bool replacing)
{
    observation_remember(work, (struct observation_facts){.id = stored->id,
                                                          .time = item->event.occurred_at,
                                                          .source = item->event.source,
                                                          .source_type = item->event.source_type,
                                                          .source_id = item->event.source_id});
    if (replacing) TRY(references_remove(work, stored->id));
    TRY(references_write(work, stored->id, &item->analysis));
    TRY(entities_link(work, item, stored->id, replacing, &stored->entities));
    TRY(observation_index(work, item, stored));
    TRY(relations_link(work, item, stored->id));
    TRY(states_write(work, item, stored->actor, stored->id));
    TRY(commits_record(work, item));
    return actors_reconcile(work, item, stored->actor);
}

static struct err *store_new(struct work *work, const struct prepared_event *item, struct stored_observation *stored)
{
    stored->id = index_new_id(&work->writer);
    stored->xid = id_new(work->arena, "");
    TRY(actors_resolve(work, item, &stored->actor));
    TRY(clusters_assign(work, item, stored->actor, &stored->cluster));
    TRY(observation_insert(work, item, stored));
    return connect(work, item, stored, false);
}

static struct err *store_in_place(struct work *work, const struct prepared_event *item,
                                  struct stored_observation *stored)
{
    if (stored->actor.n) actors_touch(work, stored->actor);
    TRY(actors_resolve(work, item, &stored->actor));
    TRY(observation_replace(work, item, stored));
    return connect(work, item, stored, true);
}

/* Facts are kept of events that are not stored as well. */
static struct err *keep_facts(struct work *work, const struct prepared_event *item)
{
    TRY(states_write(work, item, (struct str){NULL, 0}, 0));
    return commits_record(work, item);
}

/* Dedupe and threshold; stored is what the workspace has under the event's sourceId. */
static struct err *decide(struct work *work, const struct prepared_event *item, struct stored_observation *stored,
                          enum memory_outcome *outcome)
{
    bool found = false;
    *outcome = MEMORY_REFUSED;
    if (item->refused.s) return NULL;
    TRY(observation_find(work, item->event.source_id, stored, &found));
    bool low = wants_threshold(work->ingestion) && item->analysis.score < work->threshold;
    if (found) *outcome = may_replace(stored->ingestion, work->ingestion) ? MEMORY_REPLACED : MEMORY_DUPLICATE;
    else *outcome = low ? MEMORY_BELOW_THRESHOLD : MEMORY_STORED;
    return NULL;
}

struct err *memory_expect(struct db_tx *tx, const struct memory_batch *batch, enum memory_outcome *outcomes)
{
    struct work work = {.tx = tx, .arena = tx->arena, .workspace = batch->workspace, .ingestion = batch->ingestion};
    TRY(read_workspace(&work));
    for (size_t i = 0; i < batch->count; i++)
        TRY(decide(&work, &batch->events[i], &(struct stored_observation){0}, &outcomes[i]));
    return NULL;
}

/* Vectors that did not come are asked for again. */
static int64_t embedding_due(const struct prepared_event *item)
{
    return strcmp(item->embedding_status, "pending") == 0 ? time_now() + embedding_pause(0) : 0;
}

static struct err *store_event(struct work *work, const struct prepared_event *item, struct stored_observation *stored,
                               struct memory_result *result)
{
    *result = (struct memory_result){.score = item->analysis.score, .error = item->refused};
    TRY(decide(work, item, stored, &result->outcome));
    if (result->outcome == MEMORY_REFUSED) return NULL;
    if (result->outcome == MEMORY_BELOW_THRESHOLD) return keep_facts(work, item);
    stored->embedding_due = embedding_due(item);
    if (result->outcome == MEMORY_REPLACED) TRY(store_in_place(work, item, stored));
    if (result->outcome == MEMORY_STORED) TRY(store_new(work, item, stored));
    result->id = stored->id;
    result->public_id = str_printf(work->arena, "obs_" STR_FMT, STR_ARG(stored->xid));
    return NULL;
}

/* When all of the batch is stored: later ones may have joined the cluster, or shown who somebody is. */
static struct err *describe(struct work *work, const struct prepared_event *item,
                            const struct stored_observation *stored, struct memory_result *result)
{
    if (result->outcome != MEMORY_STORED && result->outcome != MEMORY_REPLACED) return NULL;
    result->actor = actors_current(work, stored->actor);
    result->entities = stored->entities;
    result->embedding_due = stored->embedding_due;
    return clusters_tell(work, stored->cluster, item, &result->cluster);
}

struct err *memory_store(struct memory *memory, struct db_tx *tx, struct memory_batch *batch,
                         struct memory_result *results)
{
    struct work work;
    TRY(work_open(&work, memory, tx, batch->workspace));
    work.ingestion = batch->ingestion;
    work.history = batch->history;
    work.embedding = batch->embedding;
    work.model = batch->model;
    work.dim = batch->dim;
    struct stored_observation *stored = NEW_ARRAY(work.arena, struct stored_observation, batch->count);
    for (size_t i = 0; i < batch->count; i++) TRY(store_event(&work, &batch->events[i], &stored[i], &results[i]));
    for (size_t i = 0; i < batch->count; i++) TRY(describe(&work, &batch->events[i], &stored[i], &results[i]));
    return work_close(&work);
}
