/* jobs.c - W/jobs: what runs, what ran; cancel, restart, resume. */
#include "api/call.h"
#include "flow/flow.h"

enum { MAX_BULK = 1000, MAX_NAME = 191, MAX_FUNCTIONS = 16, MAX_STATUSES = 5, MAX_TRIGGERS = 4 };

static const char *const statuses[] = {"queued", "running", "completed", "failed", "cancelled", NULL};
static const char *const triggers[] = {"manual", "scheduled", "webhook", "automatic", NULL};
static const char *const truths[] = {"false", "true", NULL};
static const char *const actions[] = {"cancel", "restart", "resume", NULL}; /* enum flow_action */

struct query {
    struct api_texts statuses, functions, triggers;
    struct str       source, repository, text;
    int              system;
    int64_t          from, to;
    int              action; /* of a bulk request */
};

/* clang-format off */
#define SELECTION                                                                                                                       \
    {"status",       NULL, API_TEXTS, offsetof(struct query, statuses),   .most = MAX_STATUSES, .values = statuses},                    \
    {"functionId",   NULL, API_TEXTS, offsetof(struct query, functions),  .most = MAX_FUNCTIONS},                                       \
    {"from",         NULL, API_TIME,  offsetof(struct query, from),       .required = false},                                           \
    {"to",           NULL, API_TIME,  offsetof(struct query, to),         .required = false}

static const struct api_field query_fields[] = {
    SELECTION,
    {"trigger",      NULL, API_TEXTS, offsetof(struct query, triggers),   .most = MAX_TRIGGERS, .values = triggers},
    {"sourceId",     NULL, API_TEXT,  offsetof(struct query, source),     .most = MAX_NAME},
    {"repositoryId", NULL, API_TEXT,  offsetof(struct query, repository), .most = MAX_NAME},
    {"q",            NULL, API_TEXT,  offsetof(struct query, text),       .most = MAX_NAME},
    {"system",       NULL, API_ENUM,  offsetof(struct query, system),     .values = truths, .otherwise = false},
    {0},
};

const struct api_field api_bulk_fields[] = {
    {"action",       NULL, API_ENUM,  offsetof(struct query, action),     .required = true, .values = actions, .otherwise = -1},
    SELECTION,
    {0},
};
/* clang-format on */

static void take(const struct api_texts *texts, struct str *into)
{
    for (size_t i = 0; i < texts->n; i++) into[i] = texts->at[i];
}

/* Call after api_check: the lists fit then. */
static struct flow_job_filter filter_of(const struct query *query)
{
    struct flow_job_filter filter = {
        .source = query->source.n ? query->source : query->repository,
        .query = query->text,
        .with_system = query->system,
        .from = query->from,
        .to = query->to,
    };
    take(&query->statuses, filter.statuses);
    take(&query->functions, filter.functions);
    take(&query->triggers, filter.triggers);
    return filter;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void api_put_stored(struct json_out *out, const char *key, struct str text)
{
    const json_value *parsed;
    if (!text.n) json_put_null(out, key);
    else if (json_parse(out->buf.arena, text, &parsed)) json_put(out, key, text);
    else json_put_raw(out, key, text);
}

static void put_count(struct json_out *out, const char *key, int64_t n, bool known)
{
    if (known) json_put(out, key, n);
    else json_put_null(out, key);
}

void api_put_job_state(struct json_out *out, const struct org_workspace *workspace, const struct flow_job *job)
{
    json_put(out, "id", job->public_id);
    json_put(out, "orgId", workspace->org_public_id);
    json_put(out, "workspaceId", workspace->public_id);
    json_put(out, "sourceId", job->source);
    json_put(out, "runId", job->run_id);
    json_put(out, "functionId", job->function);
    json_put(out, "name", job->name);
    json_put(out, "status", job->status);
    json_put(out, "waiting", job->waiting);
    json_put(out, "trigger", job->trigger);
    json_put(out, "triggeredBy", job->triggered_by);
    json_put(out, "system", job->system);
    json_put(out, "errorMessage", job->error);
    json_put(out, "attempts", job->attempts);
    api_put_stored(out, "progress", job->progress);
    json_put_time(out, "createdAt", job->created_at);
    json_put_time(out, "startedAt", job->started_at);
    json_put_time(out, "completedAt", job->completed_at);
    json_put_time(out, "updatedAt", job->updated_at);
    put_count(out, "durationMs", job->duration, job->completed_at != 0);
}

static void put_job_fields(struct json_out *out, const struct api_call *call, const struct flow_job *job)
{
    api_put_job_state(out, &call->workspace, job);
    api_put_stored(out, "input", job->input);
    api_put_stored(out, "output", job->output);
}

void api_put_job(struct json_out *out, const struct api_call *call, const struct flow_job *job)
{
    json_begin(out, NULL, '{');
    put_job_fields(out, call, job);
    json_end(out);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static struct err *put_counts(struct json_out *out, struct db_tx *tx, int64_t workspace, struct flow_job_filter filter)
{
    int64_t counts[5], total = 0;
    filter.before = 0;
    for (size_t i = 0; i < MAX_STATUSES; i++) filter.statuses[i] = (struct str){0};
    TRY(flow_job_counts(tx, workspace, filter, counts));
    json_begin(out, "meta", '{');
    json_begin(out, "counts", '{');
    for (size_t i = 0; i < MAX_STATUSES; i++) {
        json_put(out, statuses[i], counts[i]);
        total += counts[i];
    }
    json_put(out, "total", total);
    json_end(out);
    json_end(out);
    return NULL;
}

/* Whether older ones follow the last of a full page. */
static struct err *has_more(struct db_tx *tx, int64_t workspace, struct flow_job_filter filter,
                            const struct flow_job *jobs, size_t n, bool *more)
{
    struct flow_job *next;
    size_t           count = 0;
    if (n && n == (size_t)filter.limit) {
        filter.before = jobs[n - 1].id;
        filter.limit = 1;
        TRY(flow_job_list(tx, workspace, filter, &next, &count));
    }
    *more = count > 0;
    return NULL;
}

struct err *api_job_list(struct api_call *call)
{
    struct query     query = {0};
    struct api_page  page;
    struct flow_job *jobs;
    size_t           n;
    bool             more;
    TRY(api_query_fields(call, query_fields, &query));
    TRY(api_page(call, &page));
    query.to = api_end_of(call, "to", query.to);
    struct flow_job_filter filter = filter_of(&query);
    filter.before = page.before;
    filter.limit = (int)page.limit;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_job_list(tx, call->workspace.id, filter, &jobs, &n));
    TRY(has_more(tx, call->workspace.id, filter, jobs, n, &more));
    struct json_out out = api_answer(call);
    TRY(put_counts(&out, tx, call->workspace.id, filter));
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) api_put_job(&out, call, &jobs[i]);
    api_page_end(&out, call, more, n ? jobs[n - 1].id : 0);
    return NULL;
}

static const struct api_field recent_fields[] = {
    {"limit", NULL, API_INTEGER, 0, .least = 1, .most = 50, .otherwise = 10},
    {0},
};

struct err *api_job_recent(struct api_call *call)
{
    int64_t          limit = 0;
    struct flow_job *jobs;
    size_t           n;
    TRY(api_query_fields(call, recent_fields, &limit));
    TRY(api_check(call));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_job_list(tx, call->workspace.id, (struct flow_job_filter){.limit = (int)limit}, &jobs, &n));
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) api_put_job(&out, call, &jobs[i]);
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

static void put_step(struct json_out *out, const struct flow_step_record *step)
{
    json_begin(out, NULL, '{');
    json_put(out, "name", step->step);
    json_put(out, "op", step->op);
    json_put(out, "status", step->status);
    json_put(out, "attempts", step->attempts);
    json_put_time(out, "startedAt", step->started_at);
    json_put_time(out, "completedAt", step->ended_at);
    json_put_time(out, "dueAt", step->due_at);
    put_count(out, "durationMs", step->ended_at - step->started_at, step->ended_at != 0);
    api_put_stored(out, "output", step->output);
    api_put_stored(out, "notes", step->notes);
    json_put(out, "error", step->error);
    json_end(out);
}

/* The public id of a job that another names by its row. */
static struct err *put_relative(struct json_out *out, const char *key, struct db_tx *tx, int64_t workspace, int64_t row)
{
    struct db_rows rows;
    struct str     id = {0};
    if (row) {
        TRY(db_query(tx, &rows, "SELECT 'job_' || xid FROM flow_run WHERE workspace_id = $1 AND id = $2", workspace,
                     row));
        db_next(&rows, &id);
        TRY(db_done(&rows));
    }
    json_put(out, key, id);
    return NULL;
}

struct err *api_job_get(struct api_call *call)
{
    struct flow_job          job;
    struct flow_step_record *steps;
    size_t                   n;
    struct db_tx *tx         DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_job_get(tx, call->workspace.id, api_parameter(call, "id"), &job));
    TRY(flow_job_steps(tx, job.id, &steps, &n));
    struct json_out out = api_answer(call);
    put_job_fields(&out, call, &job);
    TRY(put_relative(&out, "parentJobId", tx, call->workspace.id, job.parent));
    TRY(put_relative(&out, "restartOfJobId", tx, call->workspace.id, job.replay_of));
    json_begin(&out, "steps", '[');
    for (size_t i = 0; i < n; i++) put_step(&out, &steps[i]);
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

struct action {
    struct api_call       *call;
    enum flow_action       kind;
    struct flow_job_filter filter; /* bulk */
    int64_t                count;
    struct str             job;    /* public id of the job that goes on */
};

/* What the timeline says of an action. */
static const struct { const char *action, *previous; } told[] = {
    [FLOW_CANCEL] = {"job.cancelled", "previousStatus"},
    [FLOW_RESTART] = {"job.restarted", "originalStatus"},
    [FLOW_RESUME] = {"job.restarted", "originalStatus"},
};

static struct err *tell(struct db_tx *tx, const struct action *action, const struct flow_job *job)
{
    const struct api_call *call = action->call;
    struct json_out        metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "jobName", job->name);
    json_put(&metadata, told[action->kind].previous, job->status);
    json_put(&metadata, "functionId", job->function);
    if (action->kind == FLOW_RESTART) json_put(&metadata, "newJobId", action->job);
    if (action->kind == FLOW_RESUME) json_put_bool(&metadata, "resumed", true);
    json_end(&metadata);
    return api_tell(tx, call, (struct activity){.action = str_of(told[action->kind].action),
                                                  .entity_type = STR("job"),
                                                  .entity_id = job->public_id,
                                                  .entity_name = job->name,
                                                  .metadata = json_out_text(&metadata),
                                                  .job = job->public_id});
}

static struct err *write_action(struct db_tx *tx, void *arg)
{
    struct action  *action = arg;
    struct flow_job job, fresh;
    struct str      by = action->call->key.public_id;
    TRY(flow_job_get(tx, action->call->workspace.id, api_parameter(action->call, "id"), &job));
    action->job = job.public_id;
    if (action->kind == FLOW_CANCEL) TRY(flow_cancel(tx, job.id, STR("Cancelled on request")));
    if (action->kind == FLOW_RESUME) TRY(flow_resume(tx, job.id));
    if (action->kind == FLOW_RESTART) {
        TRY(flow_restart(tx, job.id, by, &fresh));
        action->job = fresh.public_id;
    }
    return tell(tx, action, &job);
}

static struct err *act(struct api_call *call, enum flow_action kind)
{
    struct action action = {.call = call, .kind = kind};
    TRY(db_write(call->app->db, call->arena, write_action, &action));
    struct json_out out = api_answer(call);
    json_put_bool(&out, "success", true);
    json_put(&out, "jobId", action.job);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_job_cancel(struct api_call *call) { return act(call, FLOW_CANCEL); }
struct err *api_job_restart(struct api_call *call) { return act(call, FLOW_RESTART); }
struct err *api_job_resume(struct api_call *call) { return act(call, FLOW_RESUME); }

/* One activity for all of them: a bulk action is one decision. */
static struct err *write_bulk(struct db_tx *tx, void *arg)
{
    struct action   *action = arg;
    struct api_call *call = action->call;
    TRY(flow_bulk(tx, call->workspace.id, action->kind, action->filter, &action->count));
    if (!action->count) return NULL;
    struct json_out metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "count", action->count);
    json_put_value(&metadata, "request", call->body);
    json_end(&metadata);
    return api_tell(tx, call, (struct activity){.action = str_of(told[action->kind].action),
                                                  .entity_type = STR("workspace"),
                                                  .entity_id = call->workspace.public_id,
                                                  .entity_name = call->workspace.name,
                                                  .impact = {.events = action->count},
                                                  .metadata = json_out_text(&metadata)});
}

struct err *api_job_bulk(struct api_call *call)
{
    struct query query = {0};
    api_fields(call, call->body, api_bulk_fields, &query);
    TRY(api_check(call));
    struct action action = {.call = call, .kind = (enum flow_action)query.action};
    action.filter = filter_of(&query);
    action.filter.limit = MAX_BULK;
    TRY(db_write(call->app->db, call->arena, write_bulk, &action));
    struct json_out out = api_answer(call);
    json_put(&out, "count", action.count);
    api_send_with_id(call, &out);
    return NULL;
}
