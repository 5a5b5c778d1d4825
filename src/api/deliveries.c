/* deliveries.c - W/deliveries: what providers sent for this workspace, what became of it, and taking it through again
 * (console.md 2.5). */
#include "api/inbound.h"
#include "base/id.h"
#include "flow/flow.h"

struct delivery_query {
    struct str source, source_id, event;
    int        outcome; /* of outcomes; -1: any */
    int64_t    from, to;
};

static const char *const outcomes[] = {"processed", "skipped", "failed", "rejected", NULL};

/* clang-format off */
static const struct api_field query_fields[] = {
    {"source",   NULL, API_TEXT, offsetof(struct delivery_query, source),    .most = 50},
    {"sourceId", NULL, API_TEXT, offsetof(struct delivery_query, source_id), .most = 50},
    {"outcome",  NULL, API_ENUM, offsetof(struct delivery_query, outcome),   .values = outcomes, .otherwise = -1},
    {"event",    NULL, API_TEXT, offsetof(struct delivery_query, event),     .most = 200},
    {"from",     NULL, API_TIME, offsetof(struct delivery_query, from), .required = false},
    {"to",       NULL, API_TIME, offsetof(struct delivery_query, to),   .required = false},
    {0},
};
/* clang-format on */

static struct str outcome_of(const struct delivery_query *query)
{
    return query->outcome < 0 ? (struct str){0} : str_of(outcomes[query->outcome]);
}

/* ---- what became of it ------------------------------------------------------------------------------------------------ */

struct run { struct str function, outcome, status; struct flow_job job; bool has_job; };
struct runs { struct run *at; size_t n; bool pending; /* accepted, not dispatched yet */ };

/* The captures of a delivery are events under its id. Swept ones are gone. */
static struct err *find_runs(struct db_tx *tx, int64_t workspace, struct str delivery, struct runs *runs)
{
    struct flow_event           event;
    struct flow_outcome_record *records;
    *runs = (struct runs){0};
    struct err *err = flow_event_get(tx, workspace, delivery, &event);
    if (err) return err->code == ERR_NOT_FOUND ? NULL : err;
    TRY(flow_event_outcomes(tx, event.seq, &records, &runs->n));
    runs->pending = runs->n == 0;
    runs->at = NEW_ARRAY(tx->arena, struct run, runs->n);
    for (size_t i = 0; i < runs->n; i++) {
        struct run *run = &runs->at[i];
        *run = (struct run){.function = records[i].function, .outcome = records[i].outcome, .has_job = records[i].job.n > 0};
        if (run->has_job) TRY(flow_job_get(tx, workspace, records[i].job, &run->job));
    }
    return NULL;
}

/* When the last capture ended; null before. */
static int64_t processed_at(const struct source_delivery_record *delivery, const struct runs *runs)
{
    int64_t at = delivery->received_at;
    if (runs->pending) return 0;
    for (size_t i = 0; i < runs->n; i++) {
        if (!runs->at[i].has_job) continue;
        if (!runs->at[i].job.completed_at) return 0;
        if (runs->at[i].job.completed_at > at) at = runs->at[i].job.completed_at;
    }
    return at;
}

static void put_observations(struct json_out *out, struct arena *arena, const struct runs *runs)
{
    json_begin(out, "observationIds", '[');
    for (size_t i = 0; i < runs->n; i++) {
        const json_value *output = NULL;
        if (!runs->at[i].job.output.n || json_parse(arena, runs->at[i].job.output, &output)) continue;
        struct str id = json_str(output, "observationId");
        if (id.n) json_put(out, NULL, id);
    }
    json_end(out);
}

static void put_delivery(struct api_call *call, struct json_out *out, const struct source_delivery_record *delivery,
                         const struct runs *runs)
{
    json_put(out, "id", delivery->public_id);
    json_put(out, "source", delivery->source);
    json_put_or_null(out, "sourceId", delivery->source_id);
    json_put(out, "event", delivery->event);
    json_put_or_null(out, "action", delivery->action);
    json_put(out, "deliveryId", delivery->delivery_id);
    json_put_time(out, "receivedAt", delivery->received_at);
    json_put_time(out, "processedAt", processed_at(delivery, runs));
    json_put(out, "httpStatus", delivery->http_status);
    json_put(out, "outcome", delivery->outcome);
    json_put_or_null(out, "reason", delivery->reason);
    json_put_or_null(out, "error", delivery->error);
    put_observations(out, call->arena, runs);
    json_put_or_null(out, "replayOf", delivery->replay_of);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

static struct err *read_filter(struct api_call *call, struct source_delivery_filter *filter)
{
    struct delivery_query query = {0};
    TRY(api_query_fields(call, query_fields, &query));
    TRY(api_check(call));
    *filter = (struct source_delivery_filter){.source = query.source, .source_id = query.source_id, .outcome = outcome_of(&query),
                                              .event = query.event, .from = query.from, .to = query.to};
    return NULL;
}

/* Those of the workspace, or unclaimed: those that reached none. */
static struct err *list_deliveries(struct api_call *call, bool unclaimed)
{
    struct api_page                page;
    struct source_delivery_filter  filter;
    struct source_delivery_record *deliveries;
    size_t                         n;
    TRY(api_page(call, &page));
    TRY(read_filter(call, &filter));
    filter.before = page.before;
    filter.limit = (size_t)page.limit + 1;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(unclaimed ? source_delivery_list_unclaimed(tx, filter, &deliveries, &n)
                  : source_delivery_list(tx, call->workspace.id, filter, &deliveries, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        struct runs runs = {0};
        if (!unclaimed) TRY(find_runs(tx, call->workspace.id, deliveries[i].public_id, &runs));
        json_begin(&out, NULL, '{');
        put_delivery(call, &out, &deliveries[i], &runs);
        if (unclaimed) json_put_raw(&out, "headers", deliveries[i].headers);
        json_end(&out);
    }
    api_page_end(&out, call, more, n ? deliveries[n - 1].id : 0);
    return NULL;
}

struct err *api_delivery_list(struct api_call *call) { return list_deliveries(call, false); }
struct err *api_delivery_list_unclaimed(struct api_call *call) { return list_deliveries(call, true); }

static void put_runs(struct json_out *out, const struct runs *runs)
{
    json_begin(out, "runs", '[');
    for (size_t i = 0; i < runs->n; i++) {
        const struct run *run = &runs->at[i];
        json_begin(out, NULL, '{');
        json_put(out, "functionId", run->function);
        json_put_or_null(out, "outcome", run->outcome);
        json_put_or_null(out, "jobId", run->job.public_id);
        json_put_or_null(out, "status", run->job.status);
        json_end(out);
    }
    json_end(out);
}

struct err *api_delivery_get(struct api_call *call)
{
    struct source_delivery_record delivery;
    struct runs                   runs;
    const json_value             *payload = NULL;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(source_delivery_find(tx, call->workspace.id, api_parameter(call, "id"), &delivery));
    TRY(find_runs(tx, call->workspace.id, delivery.public_id, &runs));
    struct json_out out = api_answer(call);
    put_delivery(call, &out, &delivery, &runs);
    json_put_raw(&out, "headers", delivery.headers);
    if (delivery.payload.n && json_parse(call->arena, delivery.payload, &payload)) /* a form: as text */
        json_put(&out, "payload", delivery.payload);
    else
        json_put_value(&out, "payload", payload);
    put_runs(&out, &runs);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- replay -------------------------------------------------------------------------------------------------------------- */

struct replay {
    struct api_call *call;
    struct str       fresh;
    struct runs      runs;
};

static struct err *write_replay(struct db_tx *tx, void *arg)
{
    struct replay *replay = arg;
    int64_t        workspace = replay->call->workspace.id;
    TRY(source_delivery_replay(replay->call->app->inbox, tx, workspace, api_parameter(replay->call, "id"), &replay->fresh));
    return find_runs(tx, workspace, replay->fresh, &replay->runs);
}

struct err *api_delivery_replay(struct api_call *call)
{
    struct replay replay = {.call = call};
    if (!call->app->inbox) return err_new(call->arena, ERR_UNAVAILABLE, "This process receives nothing");
    TRY(db_write(call->app->db, call->arena, write_replay, &replay));
    struct json_out out = api_answer(call);
    json_put(&out, "deliveryId", replay.fresh);
    json_put_or_null(&out, "jobId", replay.runs.n ? replay.runs.at[0].job.public_id : (struct str){0});
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- replay of many -------------------------------------------------------------------------------------------------------- */

struct bulk {
    struct api_call              *call;
    struct source_delivery_filter filter;
    struct str                    event;
    int64_t                       count;
    struct runs                   runs;
};

/* clang-format off */
static const struct api_field bulk_fields[] = {
    {"source",  NULL, API_TEXT, offsetof(struct delivery_query, source),  .most = 50},
    {"outcome", NULL, API_ENUM, offsetof(struct delivery_query, outcome), .values = outcomes, .otherwise = -1},
    {"from",    NULL, API_TIME, offsetof(struct delivery_query, from), .required = true},
    {"to",      NULL, API_TIME, offsetof(struct delivery_query, to),   .required = true},
    {0},
};
/* clang-format on */

static struct err *write_bulk(struct db_tx *tx, void *arg)
{
    struct bulk *bulk = arg;
    int64_t      workspace = bulk->call->workspace.id;
    TRY(source_delivery_replay_many(tx, workspace, bulk->filter, bulk->event, &bulk->count));
    return find_runs(tx, workspace, bulk->event, &bulk->runs);
}

struct err *api_delivery_bulk(struct api_call *call)
{
    struct delivery_query query = {0};
    struct bulk           bulk = {.call = call, .event = id_new(call->arena, "evt_")};
    api_fields(call, call->body, bulk_fields, &query);
    if (query.from && query.to && query.from >= query.to) api_issue(call, STR("to"), "Must be after from");
    TRY(api_check(call));
    bulk.filter = (struct source_delivery_filter){.source = query.source, .outcome = outcome_of(&query), .from = query.from,
                                                  .to = query.to};
    TRY(db_write(call->app->db, call->arena, write_bulk, &bulk));
    struct json_out out = api_answer(call);
    json_put(&out, "count", bulk.count);
    json_put_or_null(&out, "jobId", bulk.runs.n ? bulk.runs.at[0].job.public_id : (struct str){0});
    api_send_with_id(call, &out);
    return NULL;
}
