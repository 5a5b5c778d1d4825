/* replay.c - many deliveries taken through again, as one job (console.md 2.5).
 *
 * A page of deliveries is one transaction; then the job goes on as a fresh run, so that neither memory nor steps grow
 * with their number.
 */
#include "source/inbox.h"

#include "flow/flow.h"

enum { PAGE = 25 };

struct batch {
    const struct source_inbox *inbox;
    struct source_delivery_filter filter;
    int64_t total, replayed, skipped;
    bool    more;
};

static struct err *read_batch(struct flow_run *run, struct batch *batch)
{
    const json_value *state = flow_data(run), *data = state;
    if (run->state.n) TRY(json_parse(run->arena, run->state, &state));
    *batch = (struct batch){.inbox = run->context,
                            .filter = {.source = json_str(data, "source"), .outcome = json_str(data, "outcome"),
                                       .from = json_int(data, "from", 0), .to = json_int(data, "to", 0),
                                       .before = json_int(state, "before", 0), .limit = PAGE, .originals = true},
                            .total = json_int(data, "total", 0),
                            .replayed = json_int(state, "replayed", 0),
                            .skipped = json_int(state, "skipped", 0)};
    return NULL;
}

static struct str state_of(struct arena *arena, const struct batch *batch)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "before", batch->filter.before);
    json_put(&out, "replayed", batch->replayed);
    json_put(&out, "skipped", batch->skipped);
    json_put_bool(&out, "more", batch->more);
    json_end(&out);
    return json_out_text(&out);
}

/* What cannot be replayed (its payload is gone, its source is not connected) is skipped. */
static struct err *replay_page(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result)
{
    struct batch                   batch = *(const struct batch *)arg; /* may be entered again */
    struct source_delivery_record *deliveries;
    size_t                         n;
    TRY(source_delivery_list(tx, run->workspace, batch.filter, &deliveries, &n));
    for (size_t i = 0; i < n; i++) {
        struct str  fresh;
        struct err *err = source_delivery_replay(batch.inbox, tx, run->workspace, deliveries[i].public_id, &fresh);
        if (err && err->code != ERR_CONFLICT && err->code != ERR_NOT_FOUND) return err;
        if (err) batch.skipped++;
        else batch.replayed++;
    }
    if (n) batch.filter.before = deliveries[n - 1].id;
    batch.more = n == PAGE;
    *result = state_of(tx->arena, &batch);
    return NULL;
}

static struct str progress_of(struct flow_run *run, const struct batch *batch, const json_value *state)
{
    struct json_out out = json_out(run->arena);
    int64_t replayed = json_int(state, "replayed", 0), skipped = json_int(state, "skipped", 0);
    json_begin(&out, NULL, '{');
    json_put(&out, "phase", "replay");
    json_put(&out, "total", batch->total);
    json_put(&out, "done", replayed);
    json_put(&out, "failed", 0);
    json_put(&out, "skipped", skipped);
    json_end(&out);
    return json_out_text(&out);
}

static struct err *replay_deliveries(struct flow_run *run)
{
    struct batch      batch;
    struct str        result;
    const json_value *state;
    TRY(read_batch(run, &batch));
    TRY(flow_step_in(run, "replay", replay_page, &batch, &result));
    TRY(json_parse(run->arena, result, &state));
    flow_progress(run, progress_of(run, &batch, state));
    if (json_bool(state, "more", false)) return flow_continue(run, result);
    flow_output(run, str_printf(run->arena, "{\"replayed\":%lld,\"skipped\":%lld}",
                                (long long)json_int(state, "replayed", 0), (long long)json_int(state, "skipped", 0)));
    return NULL;
}

static const struct flow_function webhook_replay = {
    .name = "webhook.replay",
    .on = "webhook.replay",
    .run = replay_deliveries,
    .retries = 3,
    .title = "'Replay deliveries'",
    .priority = "-300",
    .concurrency = {{.limit = 1, .key = "workspace", .per_run = true}},
    .finish_within = 60 * 60000,
};

const struct flow_function *const source_functions[] = {&webhook_replay, &source_import_git};
const size_t source_function_count = sizeof source_functions / sizeof *source_functions;

struct err *source_delivery_replay_many(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter,
                                        struct str event, int64_t *count)
{
    struct json_out out = json_out(tx->arena);
    int64_t         newest;
    filter.originals = true;
    TRY(source_delivery_total(tx, workspace, filter, SOURCE_MAX_REPLAY + 1, count, &newest));
    if (*count > SOURCE_MAX_REPLAY)
        return err_new(tx->arena, ERR_INVALID, "More than %d deliveries are selected, narrow the selection", SOURCE_MAX_REPLAY);
    if (!*count) return NULL;
    json_begin(&out, NULL, '{');
    json_put(&out, "source", filter.source);
    json_put(&out, "outcome", filter.outcome);
    json_put(&out, "from", filter.from);
    json_put(&out, "to", filter.to);
    json_put(&out, "before", newest + 1); /* what comes later was not selected */
    json_put(&out, "total", *count);
    json_end(&out);
    return flow_send(tx, .workspace = workspace, .name = STR("webhook.replay"), .id = event, .data = json_out_text(&out),
                     .cause = FLOW_MANUAL);
}
