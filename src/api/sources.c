/* sources.c - W/sources: what a workspace listens to (console.md 2.4). A source has an address and a secret of its own. */
#include "api/inbound.h"

/* clang-format off */
static const char *const providers[] = {"github", "vercel", "linear", "sentry", NULL}; /* enum source_provider */

const struct api_field api_source_fields[] = {
    {"sourceType", NULL, API_ENUM,    offsetof(struct api_source_body, type), .required = true, .values = providers, .otherwise = -1},
    {"name",       NULL, API_TEXT,    offsetof(struct api_source_body, name),        .most = 200},
    {"resourceId", NULL, API_TEXT,    offsetof(struct api_source_body, resource_id), .most = 200},
    {"secret",     NULL, API_TEXT,    offsetof(struct api_source_body, secret),      .least = 8, .most = 255},
    {"events",     NULL, API_LIST,    offsetof(struct api_source_body, events),      .most = 100},
    {"shared",     NULL, API_BOOLEAN, offsetof(struct api_source_body, shared),      .otherwise = false},
    {0},
};

const struct api_field api_source_events_fields[] = {
    {"events", NULL, API_LIST, offsetof(struct api_source_events_body, events), .required = true, .most = 100},
    {0},
};

const struct api_field api_source_sync_fields[] = {
    {"sync", NULL, API_MAP, offsetof(struct api_source_sync_body, sync), .required = true},
    {0},
};

const struct api_field api_secret_fields[] = {
    {"graceSeconds", NULL, API_INTEGER, offsetof(struct api_secret_body, grace_seconds), .least = 0, .most = 604800, .otherwise = 86400},
    {0},
};
/* clang-format on */

/* ---- what a source looks like ------------------------------------------------------------------------------------------ */

static struct str url_of(struct arena *arena, const struct app *app, const struct source_record *source)
{
    return str_printf(arena, STR_FMT "/webhooks/" STR_FMT "/" STR_FMT, STR_ARG(app->config->public_url),
                      STR_ARG(source->type), STR_ARG(source->public_id));
}

struct err *api_source_facts(struct db_tx *tx, int64_t workspace, struct api_source_facts *facts)
{
    *facts = (struct api_source_facts){0};
    TRY(activity_health(tx, workspace, &facts->health));
    return source_delivery_counts(tx, workspace, time_now() - DAYS(1), &facts->deliveries, &facts->n);
}

/* Health is that of the active sources. */
static enum activity_level level_of(const struct source_record *source, const struct api_source_facts *facts)
{
    for (size_t i = 0; i < facts->health.source_count; i++)
        if (str_eq(facts->health.sources[i].id, source->public_id)) return facts->health.sources[i].level;
    return source->active ? ACTIVITY_HEALTHY : ACTIVITY_DOWN;
}

/* Percent, one decimal. */
static double failure_rate(const struct source_record *source, const struct api_source_facts *facts)
{
    for (size_t i = 0; i < facts->n; i++) {
        const struct source_delivery_count *count = &facts->deliveries[i];
        if (count->source != source->id || !count->total) continue;
        int64_t tenths = count->failed * 1000 / count->total;
        return (double)tenths / 10;
    }
    return 0;
}

void api_put_source(struct json_out *out, const struct app *app, const struct source_record *source,
                    const struct api_source_facts *facts)
{
    struct arena     *arena = out->buf.arena;
    const json_value *config = NULL;
    bool known = !str_starts(source->resource_id, STR("name:"));
    if (json_parse(arena, source->config, &config)) config = NULL;
    json_put(out, "id", source->public_id);
    json_put(out, "sourceType", source->type);
    json_put(out, "displayName", source_display_name(source, config));
    json_put_or_null(out, "resourceId", known ? source->resource_id : (struct str){0});
    json_put(out, "documentCount", source->document_count);
    json_put_bool(out, "isActive", source->active);
    json_put_or_null(out, "inactiveReason", source->inactive_reason);
    json_put_bool(out, "shared", source->shared);
    json_put_or_null(out, "url", source->has_secret ? url_of(arena, app, source) : (struct str){0});
    json_put_time(out, "connectedAt", source->connected_at);
    json_put_time(out, "lastSyncedAt", source->last_synced_at);
    json_put(out, "lastSyncStatus", source->last_sync_status);
    json_put_or_null(out, "lastSyncError", source->last_sync_error);
    json_put(out, "health", activity_level_name(level_of(source, facts)));
    json_put_time(out, "lastDeliveryAt", source->last_delivery_at);
    json_put(out, "deliveryFailureRate24h", failure_rate(source, facts));
    if (config) json_put_value(out, "metadata", config);
    else json_put_raw(out, "metadata", STR("{}"));
}

static struct err *send_source(struct api_call *call, int status, const struct source_record *source, struct str secret)
{
    struct api_source_facts facts;
    struct json_out         out = api_answer(call);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(api_source_facts(tx, call->workspace.id, &facts));
    api_put_source(&out, call->app, source, &facts);
    if (secret.n) json_put(&out, "secret", secret);
    json_put(&out, "requestId", call->id);
    api_send(call, status, &out);
    return NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

struct err *api_put_source_totals(struct json_out *out, struct db_tx *tx, int64_t workspace)
{
    struct source_total *totals;
    size_t               n;
    int64_t              sum = 0;
    TRY(source_totals(tx, workspace, &totals, &n));
    json_begin(out, "byType", '{');
    for (size_t i = 0; i < n; i++) {
        json_key(out, totals[i].type);
        json_put(out, NULL, totals[i].n);
        sum += totals[i].n;
    }
    json_end(out);
    json_put(out, "total", sum);
    return NULL;
}

struct err *api_source_list(struct api_call *call)
{
    struct api_page       page;
    struct source_record *sources;
    size_t                n;
    struct api_source_facts facts;
    TRY(api_page(call, &page));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(source_list(tx, call->workspace.id, page.before, (size_t)page.limit + 1, &sources, &n));
    TRY(api_source_facts(tx, call->workspace.id, &facts));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "meta", '{');
    TRY(api_put_source_totals(&out, tx, call->workspace.id));
    json_end(&out);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        api_put_source(&out, call->app, &sources[i], &facts);
        json_end(&out);
    }
    api_page_end(&out, call, more, n ? sources[n - 1].id : 0);
    return NULL;
}

struct err *api_source_get(struct api_call *call)
{
    struct source_record source;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(source_find(tx, call->workspace.id, api_parameter(call, "id"), &source));
    db_read_end(&tx);
    return send_source(call, 200, &source, (struct str){0});
}

/* ---- changes ----------------------------------------------------------------------------------------------------------- */

struct source_change {
    struct api_call       *call;
    struct source_addition addition;
    const json_value      *members;
    int64_t                grace; /* ms */
    bool                   delete_data;
    struct source_record   source;
    struct str             secret;
};

static const struct crypto_keys *keys_of(const struct source_change *change) { return change->call->app->keys; }
static struct str id_of(const struct source_change *change) { return api_parameter(change->call, "id"); }
static int64_t workspace_of(const struct source_change *change) { return change->call->workspace.id; }

/* In the timeline. `updates`: JSON of what was changed, or empty. */
static struct err *tell(struct db_tx *tx, const struct source_change *change, const char *action, struct str updates)
{
    const struct source_record *source = &change->source;
    const json_value           *config = NULL;
    struct json_out             metadata = json_out(tx->arena);
    if (json_parse(tx->arena, source->config, &config)) config = NULL;
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "provider", source->type);
    if (json_str(config, "repoFullName").n) json_put(&metadata, "repoFullName", json_str(config, "repoFullName"));
    if (updates.n) json_put_raw(&metadata, "updates", updates);
    json_end(&metadata);
    return api_tell(tx, change->call, (struct activity){.action = str_of(action),
                                                        .entity_type = STR("source"),
                                                        .entity_id = source->public_id,
                                                        .entity_name = source_display_name(source, config),
                                                        .source = source->type,
                                                        .metadata = json_out_text(&metadata)});
}

static struct err *write_add(struct db_tx *tx, void *arg)
{
    struct source_change *change = arg;
    TRY(source_add(tx, keys_of(change), change->addition, &change->source, &change->secret));
    return tell(tx, change, "integration.connected", (struct str){0});
}

struct err *api_source_add(struct api_call *call)
{
    struct api_source_body body = {0};
    struct source_change   change = {.call = call};
    api_fields(call, call->body, api_source_fields, &body);
    TRY(api_check(call));
    /* Whoever makes a source of the instance's app hears a repository by its number alone: not for keys to give away. */
    if (body.shared && call->key.id) return err_new(call->arena, ERR_FORBIDDEN, "shared is not open to API keys");
    change.addition = (struct source_addition){.workspace = call->workspace.id,
                                               .provider = (enum source_provider)body.type,
                                               .name = body.name,
                                               .resource_id = body.resource_id,
                                               .secret = body.secret,
                                               .events = body.events,
                                               .trigger = call->key.id ? "api" : "user",
                                               .shared = body.shared};
    TRY(db_write(call->app->db, call->arena, write_add, &change));
    return send_source(call, 201, &change.source, change.secret);
}

static struct err *write_sync(struct db_tx *tx, void *arg)
{
    struct source_change *change = arg;
    bool events = json_count(change->members) == 1 && json_get(change->members, "events");
    TRY(source_set_sync(tx, workspace_of(change), id_of(change), change->members, &change->source));
    return tell(tx, change, events ? "integration.events_updated" : "integration.config_updated",
                json_text(tx->arena, change->members));
}

static struct err *set_sync(struct api_call *call, const json_value *members)
{
    struct source_change change = {.call = call, .members = members};
    TRY(db_write(call->app->db, call->arena, write_sync, &change));
    return send_source(call, 200, &change.source, (struct str){0});
}

/* {events: [...]} */
struct err *api_source_set_events(struct api_call *call)
{
    struct api_source_events_body body = {0};
    struct json_out               out = json_out(call->arena);
    const json_value             *members;
    api_fields(call, call->body, api_source_events_fields, &body);
    TRY(api_check(call));
    json_begin(&out, NULL, '{');
    json_put_value(&out, "events", body.events);
    json_end(&out);
    TRY(json_parse(call->arena, json_out_text(&out), &members));
    return set_sync(call, members);
}

/* {sync: {actions, branches, includeBots, events}} */
struct err *api_source_set(struct api_call *call)
{
    struct api_source_sync_body body = {0};
    api_fields(call, call->body, api_source_sync_fields, &body);
    TRY(api_check(call));
    struct err *err = set_sync(call, body.sync);
    if (!err || err->code != ERR_INVALID) return err;
    api_issue(call, STR("sync"), STR_FMT, STR_ARG(err->message));
    return api_check(call);
}

static struct err *write_secret(struct db_tx *tx, void *arg)
{
    struct source_change *change = arg;
    TRY(source_renew_secret(tx, keys_of(change), workspace_of(change), id_of(change), change->grace, &change->secret));
    TRY(source_find(tx, workspace_of(change), id_of(change), &change->source));
    return tell(tx, change, "integration.config_updated", STR("[\"webhookSecret\"]"));
}

struct err *api_source_secret(struct api_call *call)
{
    struct api_secret_body body = {0};
    struct source_change   change = {.call = call};
    api_fields(call, call->body, api_secret_fields, &body);
    TRY(api_check(call));
    change.grace = SECONDS(body.grace_seconds);
    TRY(db_write(call->app->db, call->arena, write_secret, &change));
    struct json_out out = api_answer(call);
    json_put(&out, "url", url_of(call->arena, call->app, &change.source));
    json_put(&out, "secret", change.secret);
    api_send_with_id(call, &out);
    return NULL;
}

static struct err *write_remove(struct db_tx *tx, void *arg)
{
    struct source_change *change = arg;
    TRY(source_find(tx, workspace_of(change), id_of(change), &change->source));
    TRY(source_remove(tx, workspace_of(change), id_of(change), change->delete_data));
    return tell(tx, change, "integration.disconnected", (struct str){0});
}

static const char *const truths[] = {"false", "true", NULL};
static const struct api_field removal_fields[] = {
    {"deleteData", NULL, API_ENUM, 0, .values = truths, .otherwise = false},
    {0},
};

struct err *api_source_remove(struct api_call *call)
{
    struct source_change change = {.call = call};
    int                  delete_data = false;
    TRY(api_query_fields(call, removal_fields, &delete_data));
    TRY(api_check(call));
    change.delete_data = delete_data;
    TRY(db_write(call->app->db, call->arena, write_remove, &change));
    struct json_out out = api_answer(call);
    json_put_bool(&out, "success", true);
    api_send_with_id(call, &out);
    return NULL;
}
