/* events.c - POST /v1/events: events from any program, one, many, or as CloudEvents (connectors-other.md 7); W/events: what
 * became of all events. */
#include "api/inbound.h"
#include "crypto/crypto.h"
#include "flow/flow.h"

#define CAPTURE "neural.observation.capture" /* the function */
enum { BUSY_SECONDS = 30, ID_HEX = 21, SLICE = 500, DEFAULT_BODY = 5 << 20, MAX_EVENT_ID = 191 };

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static bool has_ce_header(const struct net_request *request)
{
    for (size_t i = 0; i < request->headers.n; i++)
        if (str_starts_nocase(request->headers.at[i].name, STR("ce-"))) return true;
    return false;
}

static void send_unsupported(struct api_call *call)
{
    struct json_out out = api_answer(call);
    json_put(&out, "error", "UNSUPPORTED_MEDIA_TYPE");
    json_put(&out, "message", "Use application/json, application/x-ndjson, application/cloudevents+json or "
                              "application/cloudevents-batch+json, uncompressed or with gzip");
    json_put(&out, "requestId", call->id);
    api_send(call, 415, &out);
}

/* The same sourceId has the same event id, so that a second one is known as such while the first is queued. */
static struct str event_id(struct arena *arena, struct str source_id)
{
    return str_printf(arena, "evt_" STR_FMT, STR_ARG(str_slice(crypto_sha256_hex(arena, source_id), 0, ID_HEX)));
}

enum { ACCEPTED, DUPLICATE, REJECTED };
static const char *const statuses[] = {"accepted", "duplicate", "rejected"};

struct outcome {
    int        status;
    struct str id, data, observation; /* observation: once it is known */
};

struct ingest {
    struct api_call     *call;
    struct source_ingest items;
    struct outcome      *outcomes;
    const char          *ingestion;
    int64_t              import; /* row id; 0: none */
    int64_t              counts[3];
    bool                 busy;
};

static struct str capture_data(const struct ingest *ingest, const struct source_event *event)
{
    struct json_out out = json_out(ingest->call->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", ingest->call->workspace.public_id);
    json_put(&out, "orgId", ingest->call->workspace.org_public_id);
    json_put(&out, "ingestionSource", ingest->ingestion);
    source_event_write(&out, "sourceEvent", event);
    json_end(&out);
    return json_out_text(&out);
}

static void compose(struct ingest *ingest)
{
    ingest->outcomes = NEW_ARRAY(ingest->call->arena, struct outcome, ingest->items.n);
    for (size_t i = 0; i < ingest->items.n; i++) {
        const struct source_ingest_item *item = &ingest->items.at[i];
        if (item->error) continue;
        ingest->outcomes[i].id = event_id(ingest->call->arena, item->event.source_id);
        if (!item->repeated) ingest->outcomes[i].data = capture_data(ingest, &item->event);
    }
}

/* With ?import= the events are history of that running import. */
static struct err *find_ingestion(struct api_call *call, struct ingest *ingest)
{
    struct str           job = net_query_get(call->request, "import");
    struct source_import import;
    ingest->ingestion = "api";
    if (!job.s) return NULL;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    struct err *err = source_import_find(tx, call->workspace.id, job, &import);
    if ((err && err->code == ERR_NOT_FOUND) || (!err && !str_eq(import.status, STR("running"))))
        return err_new(call->arena, ERR_CONFLICT, "The import is not running");
    TRY(err);
    ingest->ingestion = "manual";
    ingest->import = import.id;
    return NULL;
}

/* ---- storing ----------------------------------------------------------------------------------------------------------- */

/* The job that captures this event; with no status if there is none. */
static struct err *find_capture(struct db_tx *tx, int64_t workspace, struct str id, struct flow_job *job)
{
    struct flow_event           event;
    struct flow_outcome_record *outcomes;
    size_t                      n;
    *job = (struct flow_job){0};
    TRY(flow_event_get(tx, workspace, id, &event));
    TRY(flow_event_outcomes(tx, event.seq, &outcomes, &n));
    for (size_t i = 0; i < n; i++)
        if (str_eq(outcomes[i].function, STR(CAPTURE)) && outcomes[i].job.n) return flow_job_get(tx, workspace, outcomes[i].job, job);
    return NULL;
}

static struct err *find_observation(struct db_tx *tx, int64_t workspace, struct str source_id, struct str *id)
{
    struct db_rows rows;
    struct str     xid = {0};
    TRY(db_query(tx, &rows, "SELECT xid FROM observation WHERE workspace_id = $1 AND source_id = $2", workspace, source_id));
    (void)db_next(&rows, &xid);
    TRY(db_done(&rows));
    *id = xid.n ? str_printf(tx->arena, "obs_" STR_FMT, STR_ARG(xid)) : (struct str){0};
    return NULL;
}

/* The first content counts, but what became of it may be nothing: then its job goes on, and the event is accepted. */
static struct err *take_up_again(struct db_tx *tx, const struct ingest *ingest, struct outcome *outcome)
{
    struct flow_job capture = {0};
    int64_t         workspace = ingest->call->workspace.id;
    TRY(find_capture(tx, workspace, outcome->id, &capture));
    if (!str_eq(capture.status, STR("failed")) && !str_eq(capture.status, STR("cancelled"))) return NULL;
    outcome->status = ACCEPTED;
    return flow_resume(tx, capture.id);
}

static struct err *send_new(struct db_tx *tx, struct ingest *ingest, const size_t *positions, size_t n)
{
    struct flow_message messages[SLICE];
    enum flow_accepted  results[SLICE];
    if (!n) return NULL;
    for (size_t i = 0; i < n; i++) {
        const struct outcome *outcome = &ingest->outcomes[positions[i]];
        messages[i] = (struct flow_message){.workspace = ingest->call->workspace.id,
                                            .name = STR("neural/observation.capture"),
                                            .id = outcome->id,
                                            .data = outcome->data,
                                            .cause = FLOW_MANUAL};
    }
    TRY(flow_send_many(tx, messages, n, results));
    for (size_t i = 0; i < n; i++) {
        struct outcome *outcome = &ingest->outcomes[positions[i]];
        outcome->status = results[i] == FLOW_DUPLICATE ? DUPLICATE : ACCEPTED;
        if (outcome->status == DUPLICATE) TRY(take_up_again(tx, ingest, outcome));
    }
    return NULL;
}

static struct err *write_items(struct db_tx *tx, struct ingest *ingest)
{
    size_t positions[SLICE], n = 0, bytes = 0;
    for (size_t i = 0; i < ingest->items.n; i++) {
        const struct source_ingest_item *item = &ingest->items.at[i];
        struct outcome                  *outcome = &ingest->outcomes[i];
        outcome->status = item->error ? REJECTED : DUPLICATE;
        if (item->error) continue;
        TRY(find_observation(tx, ingest->call->workspace.id, item->event.source_id, &outcome->observation));
        if (outcome->observation.n || item->repeated) continue;
        if (n == SLICE || bytes + outcome->data.n > FLOW_MAX_SEND_BYTES) {
            TRY(send_new(tx, ingest, positions, n));
            n = bytes = 0;
        }
        positions[n++] = i;
        bytes += outcome->data.n;
    }
    return send_new(tx, ingest, positions, n);
}

static void count_outcomes(struct ingest *ingest)
{
    memset(ingest->counts, 0, sizeof ingest->counts);
    for (size_t i = 0; i < ingest->items.n; i++) ingest->counts[ingest->outcomes[i].status]++;
}

/* The import goes on, and is not taken for dead. */
static struct err *tell_import(struct db_tx *tx, struct ingest *ingest)
{
    count_outcomes(ingest);
    return source_import_progress(tx, ingest->call->workspace.id, ingest->import, (int64_t)ingest->items.n,
                                  ingest->counts[ACCEPTED], ingest->counts[DUPLICATE], ingest->counts[REJECTED]);
}

static struct err *write_ingest(struct db_tx *tx, void *arg)
{
    struct ingest *ingest = arg;
    int64_t        queued, most = ingest->call->app->config->limit_queued_runs;
    TRY(flow_backlog(tx, ingest->call->workspace.id, &queued));
    ingest->busy = queued > (most ? most : FLOW_MAX_BACKLOG);
    if (ingest->busy) return NULL;
    TRY(write_items(tx, ingest));
    return ingest->import ? tell_import(tx, ingest) : NULL;
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

static void put_result(struct json_out *out, const struct ingest *ingest, size_t i)
{
    const struct source_ingest_item *item = &ingest->items.at[i];
    const struct outcome            *outcome = &ingest->outcomes[i];
    json_begin(out, NULL, '{');
    json_put(out, "index", i);
    if (item->event.source_id.n) json_put(out, "sourceId", item->event.source_id);
    json_put(out, "status", statuses[outcome->status]);
    if (outcome->status != REJECTED) json_put(out, "eventId", outcome->id);
    if (outcome->observation.n) json_put(out, "observationId", outcome->observation);
    if (item->truncated) json_put_bool(out, "truncated", true);
    if (item->error) {
        json_put(out, "error", item->error);
        if (item->field.n) json_put(out, "field", item->field);
        json_put(out, "message", item->message);
    }
    json_end(out);
}

static void send_results(struct ingest *ingest)
{
    struct json_out out = api_answer(ingest->call);
    count_outcomes(ingest);
    bool refused = ingest->counts[ACCEPTED] + ingest->counts[DUPLICATE] == 0;
    json_put(&out, "requestId", ingest->call->id);
    if (refused) {
        json_put(&out, "error", "VALIDATION_ERROR");
        json_put(&out, "message", "No event was accepted");
    }
    json_put(&out, "accepted", ingest->counts[ACCEPTED]);
    json_put(&out, "duplicates", ingest->counts[DUPLICATE]);
    json_put(&out, "rejected", ingest->counts[REJECTED]);
    json_begin(&out, "results", '[');
    for (size_t i = 0; i < ingest->items.n; i++) put_result(&out, ingest, i);
    json_end(&out);
    api_send(ingest->call, refused ? 400 : ingest->counts[ACCEPTED] ? 202 : 200, &out);
}

static void reject_all(struct ingest *ingest)
{
    for (size_t i = 0; i < ingest->items.n; i++) {
        struct source_ingest_item *item = &ingest->items.at[i];
        ingest->outcomes[i].status = REJECTED;
        if (item->error) continue;
        item->error = "NOT_STORED";
        item->message = STR("Another event of the request was rejected");
    }
}

static size_t count_rejected(const struct ingest *ingest)
{
    size_t n = 0;
    for (size_t i = 0; i < ingest->items.n; i++) n += ingest->items.at[i].error != NULL;
    return n;
}

size_t api_events_limit(const struct app *app)
{
    return app->config->limit_events_body ? (size_t)app->config->limit_events_body : DEFAULT_BODY;
}

static const char *const truths[] = {"false", "true", NULL};
static const struct api_field ingest_fields[] = {
    {"atomic", NULL, API_ENUM, 0, .values = truths, .otherwise = false},
    {0},
};

static struct err *read_atomic(struct api_call *call, int *atomic)
{
    TRY(api_query_fields(call, ingest_fields, atomic));
    return api_check(call);
}

enum coding { PLAIN, GZIP, UNKNOWN };

static enum coding coding_of(const struct net_request *request)
{
    struct str name = str_trim(net_header_get(request, "Content-Encoding"));
    if (!name.n || str_eq_nocase(name, STR("identity"))) return PLAIN;
    return str_eq_nocase(name, STR("gzip")) || str_eq_nocase(name, STR("x-gzip")) ? GZIP : UNKNOWN;
}

/* All that needs no writing; *ends if the answer is there already. */
static struct err *begin(struct api_call *call, struct ingest *ingest, bool *ends)
{
    struct source_ingest_request request = {
        .form = source_ingest_form(net_header_get(call->request, "Content-Type"), has_ce_header(call->request)),
        .body = call->request->body,
        .request_id = call->id};
    enum coding coding = coding_of(call->request);
    *ingest = (struct ingest){.call = call};
    *ends = true;
    if (request.form == SOURCE_INGEST_UNSUPPORTED || coding == UNKNOWN) {
        send_unsupported(call);
        return NULL;
    }
    if (coding == GZIP) TRY(net_gunzip(call->arena, request.body, api_events_limit(call->app), &request.body));
    int atomic = false;
    TRY(read_atomic(call, &atomic));
    TRY(find_ingestion(call, ingest));
    TRY(source_ingest_read(call->arena, request, &ingest->items));
    compose(ingest);
    size_t rejected = count_rejected(ingest);
    *ends = rejected == ingest->items.n || (rejected && atomic);
    if (*ends) {
        reject_all(ingest);
        send_results(ingest);
    }
    return NULL;
}

static struct err *conclude(struct ingest *ingest)
{
    if (ingest->busy) {
        ingest->call->retry_after = BUSY_SECONDS;
        return err_new(ingest->call->arena, ERR_RATE_LIMITED, "Too many events are waiting, try again later");
    }
    send_results(ingest);
    return NULL;
}

struct err *api_events_ingest(struct api_call *call)
{
    struct ingest ingest;
    bool          ends;
    TRY(begin(call, &ingest, &ends));
    if (ends) return NULL;
    TRY(db_write(call->app->db, call->arena, write_ingest, &ingest));
    return conclude(&ingest);
}

static void stored(void *arg, struct err *err)
{
    struct ingest *ingest = arg;
    api_finish_later(ingest->call, err ? err : conclude(ingest));
}

void api_events_ingest_later(struct api_call *call)
{
    struct ingest *ingest = NEW(call->arena, struct ingest);
    bool           ends;
    struct err    *err = begin(call, ingest, &ends);
    if (err || ends) api_finish_later(call, err);
    else db_write_later(call->app->db, call->arena, write_ingest, ingest, stored);
}

/* ---- GET /v1/events/{id} ------------------------------------------------------------------------------------------------ */

/* What a job says of the event it captured. */
static struct err *put_job(struct api_call *call, struct db_tx *tx, struct json_out *out, struct str public_id)
{
    struct flow_job   job;
    const json_value *output = NULL;
    TRY(flow_job_get(tx, call->workspace.id, public_id, &job));
    if (job.output.n && json_parse(call->arena, job.output, &output)) output = NULL;
    bool completed = str_eq(job.status, STR("completed"));
    bool filtered = str_eq(json_str(output, "status"), STR("filtered"));
    json_put(out, "status", completed ? (filtered ? "filtered" : "captured")
                            : str_eq(job.status, STR("queued")) ? "queued"
                            : str_eq(job.status, STR("running")) ? "processing" : "failed");
    if (filtered) json_put(out, "reason", json_str(output, "reason"));
    if (job.error.n) json_put(out, "reason", job.error);
    if (json_str(output, "observationId").n) json_put(out, "observationId", json_str(output, "observationId"));
    return NULL;
}

struct err *api_ingested_get(struct api_call *call)
{
    struct flow_event           event;
    struct flow_outcome_record *outcomes;
    size_t                      n, at = 0;
    const json_value           *data = NULL;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_event_get(tx, call->workspace.id, api_parameter(call, "id"), &event));
    TRY(flow_event_outcomes(tx, event.seq, &outcomes, &n));
    TRY(json_parse(call->arena, event.data, &data));
    while (at < n && !str_eq(outcomes[at].function, STR(CAPTURE))) at++;
    struct json_out out = api_answer(call);
    json_put(&out, "id", event.id);
    json_put(&out, "sourceId", json_str(data, "sourceEvent.sourceId"));
    if (at == n) json_put(&out, "status", "queued");
    else if (outcomes[at].job.n) TRY(put_job(call, tx, &out, outcomes[at].job));
    else {
        json_put(&out, "status", "filtered");
        json_put(&out, "reason", outcomes[at].outcome);
    }
    json_put_time(&out, "receivedAt", event.received_at);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- W/events -------------------------------------------------------------------------------------------------------------- */

struct event_query { struct str name; int64_t from, to; };

/* clang-format off */
static const struct api_field event_query_fields[] = {
    {"name", NULL, API_TEXT, offsetof(struct event_query, name), .most = 191},
    {"from", NULL, API_TIME, offsetof(struct event_query, from), .required = false},
    {"to",   NULL, API_TIME, offsetof(struct event_query, to),   .required = false},
    {0},
};
/* clang-format on */

static void put_event(struct json_out *out, const struct flow_event *event)
{
    json_put(out, "id", event->id);
    json_put(out, "name", event->name);
    json_put_time(out, "timestamp", event->ts);
    json_put_time(out, "receivedAt", event->received_at);
}

static struct err *put_outcomes(struct json_out *out, struct db_tx *tx, const struct flow_event *event)
{
    struct flow_outcome_record *outcomes;
    size_t                      n;
    TRY(flow_event_outcomes(tx, event->seq, &outcomes, &n));
    json_begin(out, "outcomes", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "functionId", outcomes[i].function);
        json_put(out, "outcome", outcomes[i].outcome);
        json_put(out, "jobId", outcomes[i].job);
        json_end(out);
    }
    json_end(out);
    return NULL;
}

struct err *api_event_list(struct api_call *call)
{
    struct event_query query = {0};
    struct api_page    page;
    struct flow_event *events;
    size_t             n;
    int64_t            next;
    TRY(api_query_fields(call, event_query_fields, &query));
    TRY(api_page(call, &page));
    struct flow_event_filter filter = {.name = query.name, .from = query.from, .to = api_end_of(call, "to", query.to),
                                       .before = page.before, .limit = (size_t)page.limit};
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_event_list(tx, call->workspace.id, filter, &events, &n, &next));
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        put_event(&out, &events[i]);
        TRY(put_outcomes(&out, tx, &events[i]));
        json_end(&out);
    }
    api_page_end(&out, call, next > 0, next);
    return NULL;
}

struct err *api_event_get(struct api_call *call)
{
    struct flow_event event;
    struct str        id = api_parameter(call, "id");
    struct db_tx *tx  DB_READ_SCOPE = NULL;
    if (id.n > MAX_EVENT_ID) return err_new(call->arena, ERR_NOT_FOUND, "Event not found");
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_event_get(tx, call->workspace.id, id, &event));
    struct json_out out = api_answer(call);
    put_event(&out, &event);
    api_put_stored(&out, "data", event.data);
    TRY(put_outcomes(&out, tx, &event));
    api_send_with_id(call, &out);
    return NULL;
}
