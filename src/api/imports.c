/* imports.c - W/imports: a repository's history, sent in batches by whoever has the repository (connector-github.md 8). */
#include "api/records.h"

#include <stdlib.h>

static void put_tags(struct json_out *out, struct str tags)
{
    json_put_raw(out, "lastTags", tags.n ? tags : STR("{}"));
}

static void put_fields(struct json_out *out, const struct source_import *import)
{
    json_put(out, "id", import->public_id);
    json_put(out, "sourceId", import->source_public_id);
    json_put(out, "repoFullName", import->repo);
    json_put(out, "branch", import->branch);
    json_put(out, "status", import->status);
    json_put(out, "scanned", import->scanned);
    json_put(out, "stored", import->stored);
    json_put(out, "duplicates", import->duplicates);
    json_put(out, "failed", import->failed);
    json_put_or_null(out, "error", import->error);
    json_put_time(out, "startedAt", import->started_at);
    json_put_time(out, "finishedAt", import->finished_at);
}

struct err *api_import_list(struct api_call *call)
{
    struct api_page       page;
    struct source_import *imports;
    size_t                n;
    TRY(api_page(call, &page));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(source_import_list(tx, call->workspace.id, page.before, (size_t)page.limit + 1, &imports, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        put_fields(&out, &imports[i]);
        json_end(&out);
    }
    api_page_end(&out, call, more, n ? imports[n - 1].id : 0);
    return NULL;
}

static struct err *find(struct api_call *call, struct source_import *import)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    return source_import_find(tx, call->workspace.id, api_parameter(call, "id"), import);
}

static struct err *send_import(struct api_call *call)
{
    struct source_import import = {0};
    TRY(find(call, &import));
    struct json_out out = api_answer(call);
    put_fields(&out, &import);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_import_get(struct api_call *call)
{
    return send_import(call);
}

/* ---- told ---------------------------------------------------------------------------------------------------------------- */

/* An import is a job that the engine does not execute: who begins and ends it is told here. */
static struct err *tell(struct db_tx *tx, const struct api_call *call, const struct source_import *import, const char *action,
                        enum activity_status status)
{
    bool            ended = status != ACTIVITY_IN_PROGRESS;
    struct str      name = source_import_title(tx->arena, import);
    struct json_out metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "jobName", name);
    json_put(&metadata, "functionId", SOURCE_IMPORT);
    json_put(&metadata, "repoFullName", import->repo);
    if (ended) {
        json_put(&metadata, "scanned", import->scanned);
        json_put(&metadata, "stored", import->stored);
        json_put(&metadata, "duplicates", import->duplicates);
        json_put(&metadata, "failed", import->failed);
    }
    if (import->error.n) json_put(&metadata, "error", import->error);
    json_end(&metadata);
    return api_tell(tx, call, (struct activity){.action = str_of(action),
                                                .entity_type = STR("job"),
                                                .entity_id = import->public_id,
                                                .entity_name = name,
                                                .source = STR("git"),
                                                .status = status,
                                                .impact = {.events = import->stored, .errors = import->failed,
                                                           .duration = ended ? import->finished_at - import->started_at : 0},
                                                .metadata = json_out_text(&metadata),
                                                .job = import->public_id});
}

/* What became of a batch; events that follow each other are mostly of one type. */
static void measure(const struct api_call *call, const struct source_event *events, const struct memory_result *results,
                    size_t n)
{
    static const char *const metrics[] = {
        [MEMORY_STORED] = "observation_captured",          [MEMORY_REPLACED] = "observation_captured",
        [MEMORY_DUPLICATE] = "observation_duplicate",      [MEMORY_BELOW_THRESHOLD] = "observation_below_threshold",
        [MEMORY_REFUSED] = "observation_filtered"};
    if (!call->app->recorder) return;
    for (size_t i = 0, run; i < n; i += run) {
        struct json_out tags = json_out(call->arena);
        for (run = 1; i + run < n && metrics[results[i + run].outcome] == metrics[results[i].outcome] &&
                      str_eq(events[i + run].source_type, events[i].source_type);)
            run++;
        json_begin(&tags, NULL, '{');
        json_put(&tags, "source", events[i].source);
        json_put(&tags, "sourceType", events[i].source_type);
        json_end(&tags);
        activity_measure(call->app->recorder,
                         &(struct activity_sample){.workspace = call->workspace.id, .type = str_of(metrics[results[i].outcome]),
                                                   .tags = json_out_text(&tags), .value = 1, .n = (int64_t)run,
                                                   .at = time_now()});
    }
}

/* ---- begin -------------------------------------------------------------------------------------------------------------- */

struct stored_pull { struct str number, sha; };

struct beginning {
    struct api_call *call;
    int64_t asked_at;
    struct source_import_request request;
    struct source_import import;
    VEC(struct stored_pull) pull_requests;
};

/* The pull requests that are stored already, with the commits that merged them: a later import keeps them and takes
 * other commits that name them as pushes. */
static struct err *list_pull_requests(struct db_tx *tx, struct beginning *beginning)
{
    struct arena *arena = beginning->call->arena;
    struct str    repo = beginning->import.repo;
    struct str    from = str_printf(arena, "pr:" STR_FMT "#", STR_ARG(repo));
    struct str    to = str_printf(arena, "pr:" STR_FMT "$", STR_ARG(repo)); /* "$" follows "#" */
    struct db_rows rows;
    struct str     source_id, sha;
    TRY(db_query(tx, &rows,
                 "SELECT o.source_id, MIN(r.ref_key) FROM observation o LEFT JOIN observation_reference r "
                 "ON r.workspace_id = o.workspace_id AND r.observation_id = o.id AND r.ref_type = 'commit' "
                 "AND r.role = 'self' AND r.qualifier = 'merge' "
                 "WHERE o.workspace_id = $1 AND o.source_id >= $2 AND o.source_id < $3 GROUP BY o.source_id",
                 beginning->call->workspace.id, from, to));
    beginning->pull_requests.n = 0;
    while (db_next(&rows, &source_id, &sha)) {
        int64_t number;
        if (!str_ends(source_id, STR(":merged"))) continue;
        struct str digits = str_slice(source_id, from.n, source_id.n - strlen(":merged"));
        if (str_to_int(digits, &number))
            *VEC_PUSH(arena, &beginning->pull_requests) = (struct stored_pull){digits, sha};
    }
    return db_done(&rows);
}

static struct err *write_begin(struct db_tx *tx, void *arg)
{
    struct beginning *beginning = arg;
    TRY(source_import_begin(tx, beginning->call->workspace.id, beginning->request, &beginning->import));
    if (beginning->import.started_at >= beginning->asked_at) /* not begun by an earlier request of the same key */
        TRY(tell(tx, beginning->call, &beginning->import, "job.started", ACTIVITY_IN_PROGRESS));
    return list_pull_requests(tx, beginning);
}

struct err *api_import_begin(struct api_call *call)
{
    struct api_import_body body = {0};
    api_fields(call, call->body, api_import_fields, &body);
    TRY(api_check(call));
    struct beginning beginning = {.call = call,
                                  .asked_at = time_now(),
                                  .request = {.repo = body.repo,
                                              .branch = body.branch,
                                              .host_path = body.path,
                                              .full = body.full,
                                              .github = body.github,
                                              .idempotency = body.idempotency,
                                              .by = call->key.public_id}};
    TRY(db_write(call->app->db, call->arena, write_begin, &beginning));
    const struct source_import *import = &beginning.import;
    struct json_out out = api_answer(call);
    json_put(&out, "jobId", import->public_id);
    json_put(&out, "sourceId", import->source_public_id);
    json_put_or_null(&out, "lastSha", import->last_sha);
    put_tags(&out, import->last_tags);
    json_begin(&out, "pullRequests", '{');
    for (size_t i = 0; i < beginning.pull_requests.n; i++) {
        json_key(&out, beginning.pull_requests.at[i].number);
        json_put_or_null(&out, NULL, beginning.pull_requests.at[i].sha);
    }
    json_end(&out);
    json_put(&out, "requestId", call->id);
    api_send(call, 201, &out);
    return NULL;
}

/* ---- events --------------------------------------------------------------------------------------------------------------- */

struct refusal { int64_t index; struct str source_id, field, message; };

struct batch {
    struct api_call *call;
    struct source_event *events; /* those that could be read */
    int64_t *positions;          /* where they stood in the request */
    size_t   count;
    struct { struct refusal *at; size_t n, capacity; } refusals;
    struct memory_batch  *prepared;
    struct memory_result *results;
    int64_t import, scanned, failed_before;
    int64_t counts[MEMORY_REFUSED + 1];
    int64_t failed;
};

static struct err *read_events(struct api_call *call, const json_value *events, struct batch *batch)
{
    size_t n = json_count(events);
    batch->events = NEW_ARRAY(call->arena, struct source_event, n);
    batch->positions = NEW_ARRAY(call->arena, int64_t, n);
    int64_t index = 0;
    for (struct json_iter it = json_iter(events); json_step(&it); index++) {
        struct source_issues issues = {0};
        struct err *err = source_event_read(call->arena, it.value, &batch->events[batch->count], &issues);
        if (!err) {
            batch->positions[batch->count++] = index;
            continue;
        }
        if (err->code != ERR_INVALID) return err;
        struct refusal refusal = {index, json_str(it.value, "sourceId"), {0}, err->message};
        for (size_t i = 0; i < issues.n; i++) {
            refusal.field = issues.at[i].field;
            refusal.message = issues.at[i].problem;
            *VEC_PUSH(call->arena, &batch->refusals) = refusal;
        }
        if (issues.n == 0) *VEC_PUSH(call->arena, &batch->refusals) = refusal;
    }
    batch->failed_before = (int64_t)n - (int64_t)batch->count;
    return NULL;
}

static struct err *write_events(struct db_tx *tx, void *arg)
{
    struct batch *batch = arg;
    memset(batch->counts, 0, sizeof batch->counts);
    if (batch->count) TRY(memory_store(&batch->call->app->memory, tx, batch->prepared, batch->results));
    for (size_t i = 0; i < batch->count; i++) batch->counts[batch->results[i].outcome]++;
    batch->failed = batch->failed_before + batch->counts[MEMORY_REFUSED];
    return source_import_progress(tx, batch->call->workspace.id, batch->import, batch->scanned,
                                  batch->counts[MEMORY_STORED] + batch->counts[MEMORY_REPLACED],
                                  batch->counts[MEMORY_DUPLICATE], batch->failed);
}

static void note_refused(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->results[i].outcome == MEMORY_REFUSED)
            *VEC_PUSH(batch->call->arena, &batch->refusals) =
                (struct refusal){batch->positions[i], batch->events[i].source_id, {0}, batch->results[i].error};
}

static void send_counts(struct batch *batch)
{
    struct api_call *call = batch->call;
    struct json_out  out = api_answer(call);
    json_put(&out, "stored", batch->counts[MEMORY_STORED]);
    json_put(&out, "replaced", batch->counts[MEMORY_REPLACED]);
    json_put(&out, "duplicates", batch->counts[MEMORY_DUPLICATE]);
    json_put(&out, "belowThreshold", batch->counts[MEMORY_BELOW_THRESHOLD]);
    json_put(&out, "failed", batch->failed);
    json_begin(&out, "errors", '[');
    for (size_t i = 0; i < batch->refusals.n; i++) {
        const struct refusal *refusal = &batch->refusals.at[i];
        json_begin(&out, NULL, '{');
        json_put(&out, "index", refusal->index);
        if (refusal->source_id.n) json_put(&out, "sourceId", refusal->source_id);
        if (refusal->field.n) json_put(&out, "field", refusal->field);
        json_put(&out, "message", refusal->message.s ? refusal->message : STR("refused"));
        json_end(&out);
    }
    json_end(&out);
    api_send_with_id(call, &out);
}

struct err *api_import_events(struct api_call *call)
{
    struct api_import_events_body body = {0};
    struct source_import          import = {0};
    api_fields(call, call->body, api_import_events_fields, &body);
    TRY(api_check(call));
    TRY(find(call, &import));
    if (!str_eq(import.status, STR("running")))
        return err_new(call->arena, ERR_CONFLICT, "The import is no longer running");
    struct batch batch = {.call = call, .import = import.id};
    TRY(read_events(call, body.events, &batch));
    batch.scanned = body.scanned >= 0 ? body.scanned : (int64_t)json_count(body.events);
    batch.failed_before += body.failed;
    batch.results = NEW_ARRAY(call->arena, struct memory_result, batch.count);
    struct memory_capture capture = {.workspace = call->workspace.id, .ingestion = SOURCE_MANUAL,
                                     .events = batch.events, .count = batch.count};
    if (batch.count) TRY(memory_prepare(&call->app->memory, call->arena, capture, &batch.prepared));
    TRY(db_write(call->app->db, call->arena, write_events, &batch));
    measure(call, batch.events, batch.results, batch.count);
    note_refused(&batch);
    send_counts(&batch);
    return NULL;
}

/* ---- finish --------------------------------------------------------------------------------------------------------------- */

struct ending {
    struct api_call *call;
    int64_t import;
    struct str id;      /* public */
    bool running;       /* until now */
    struct source_import_end end;
};

static struct err *write_finish(struct db_tx *tx, void *arg)
{
    struct ending *ending = arg;
    int64_t        workspace = ending->call->workspace.id;
    TRY(memory_settle(&ending->call->app->memory, tx, workspace));
    TRY(source_import_finish(tx, workspace, ending->import, ending->end));
    if (!ending->running) return NULL; /* told already */
    struct source_import import;
    TRY(source_import_find(tx, workspace, ending->id, &import));
    bool completed = strcmp(ending->end.status, "completed") == 0;
    return tell(tx, ending->call, &import, str_z(tx->arena, str_printf(tx->arena, "job.%s", ending->end.status)),
                completed ? ACTIVITY_SUCCESS : ACTIVITY_FAILURE);
}

struct err *api_import_finish(struct api_call *call)
{
    struct api_import_finish_body body = {0};
    struct source_import          import = {0};
    api_fields(call, call->body, api_import_finish_fields, &body);
    TRY(api_check(call));
    TRY(find(call, &import));
    static const char *const statuses[] = {"completed", "failed", "cancelled"};
    struct ending ending = {.call = call,
                            .import = import.id,
                            .id = import.public_id,
                            .running = str_eq(import.status, STR("running")),
                            .end = {.status = statuses[body.status],
                                    .tip = body.tip,
                                    .tags = body.tags ? json_text(call->arena, body.tags) : (struct str){0},
                                    .error = body.error}};
    TRY(db_write(call->app->db, call->arena, write_finish, &ending));
    return send_import(call);
}
