/* jobs_api_test.c - jobs, events and activities as the API tells of them, on a real engine. */
#include "api_world.h"

/* ---- functions to look at ---------------------------------------------------------------------------------------- */

static struct err *greet(struct flow_run *run, void *arg, struct str *result)
{
    (void)arg;
    *result = str_printf(run->arena, "{\"hello\":\"" STR_FMT "\"}", STR_ARG(json_str(flow_data(run), "name")));
    return NULL;
}

static struct err *run_greeting(struct flow_run *run)
{
    struct str text;
    TRY(flow_step(run, "greet", greet, NULL, &text));
    flow_output(run, text);
    return NULL;
}

static struct err *refuse(struct flow_run *run, void *arg, struct str *result)
{
    const bool *open = run->context;
    (void)arg;
    (void)result;
    return *open ? NULL : err_new(run->arena, ERR_INVALID, "the door is shut");
}

static struct err *run_door(struct flow_run *run)
{
    struct str first;
    TRY(flow_step(run, "greet", greet, NULL, &first));
    return flow_step(run, "enter", refuse, NULL, NULL);
}

static struct err *run_waiting(struct flow_run *run)
{
    struct flow_event done;
    return flow_wait(run, "bell", &done, .event = "bell.rang", .timeout = HOURS(1));
}

static const struct flow_function greeting = {
    .name = "greeting", .on = "guest.came", .run = run_greeting, .title = "\"Greet \" + name", .source = "sourceId"};
static const struct flow_function door = {.name = "door", .on = "guest.knocked", .run = run_door};
static const struct flow_function waiting = {
    .name = "waiting", .on = "guest.waits", .run = run_waiting, .waits = {"bell.rang"}};
static const struct flow_function chore = {.name = "chore", .on = "guest.came", .run = run_greeting, .system = true};
static const struct flow_function capture = {
    .name = "neural.observation.capture", .on = "neural/observation.capture", .run = run_door};
static const struct flow_function *const functions[] = {&greeting, &door, &waiting, &chore, &capture};

static bool door_open; /* what the world outside is like */

/* ---- asking for jobs ------------------------------------------------------------------------------------------------- */

/* FIXTURE with these functions and the door shut. */
static void open_house(struct fixture *f)
{
    door_open = false;
    fixture_engine(f, functions, sizeof functions / sizeof *functions, &door_open);
}
#define JOBS(name) FIXTURE(name); open_house(&name)

/* "/jobs/{id}{action}" */
static struct answer on_job(struct fixture *f, const char *method, struct str id, const char *action)
{
    return ask(f, method, TARGET(f, W "/jobs/" STR_FMT "%s", STR_ARG(id), action), "");
}

struct sending { struct str name, data, id; };

static struct err *write_event(struct db_tx *tx, void *arg)
{
    const struct sending *sending = arg;
    return flow_send(tx, .workspace = 1, .name = sending->name, .data = sending->data,
                     .id = sending->id, .cause = FLOW_WEBHOOK);
}

static void send_event(struct fixture *f, const char *name, const char *data, const char *id)
{
    struct sending sending = {str_of(name), str_of(data), str_of(id)};
    check_ok(db_write(f->app.db, f->arena, write_event, &sending));
    flow_settle(f->app.flow);
}

static struct str newest(struct fixture *f)
{
    return json_str(GET(f, W "/jobs?limit=1").body, "data.0.id");
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

TEST(jobs, are_listed_newest_first_and_counted_over_the_whole_filter)
{
    JOBS(f);
    for (int i = 0; i < 3; i++) send_event(&f, "guest.came", "{\"name\":\"Ada\"}", "");
    send_event(&f, "guest.knocked", "{\"name\":\"Bob\"}", "");
    struct answer answer = GET(&f, W "/jobs?status=completed&limit=2");
    check_int(answer.status, 200);
    check_int(json_count(json_get(answer.body, "data")), 2);
    check_int(json_int(answer.body, "meta.counts.completed", -1), 3);
    check_int(json_int(answer.body, "meta.counts.failed", -1), 1);
    check_int(json_int(answer.body, "meta.counts.queued", -1), 0);
    check_int(json_int(answer.body, "meta.counts.total", -1), 4);
    check(json_bool(answer.body, "hasMore", false));
    check_str(json_str(answer.body, "data.0.functionId"), "greeting");
    check_str(json_str(GET(&f, W "/jobs").body, "data.0.functionId"), "door");
}

TEST(jobs, a_page_ends_exactly_with_the_last_job)
{
    JOBS(f);
    for (int i = 0; i < 4; i++) send_event(&f, "guest.knocked", "{}", "");
    struct answer first = GET(&f, W "/jobs?limit=2");
    struct str    cursor = json_str(first.body, "nextCursor");
    struct answer second = GET(&f, TARGET(&f, W "/jobs?limit=2&cursor=" STR_FMT, STR_ARG(cursor)));
    check_int(json_count(json_get(second.body, "data")), 2);
    check(!str_eq(json_str(first.body, "data.1.id"), json_str(second.body, "data.0.id")));
    check(!json_bool(second.body, "hasMore", true));
    check(json_is_null(json_get(second.body, "nextCursor")));
}

TEST(jobs, each_filter_leaves_out_what_it_does_not_name)
{
    static const struct { const char *query; int n; } rows[] = {
        {"", 3}, {"?system=true", 4}, {"?status=failed,running", 2}, {"?functionId=greeting", 1}, {"?trigger=webhook", 3},
        {"?trigger=manual", 0}, {"?sourceId=src_1", 1}, {"?repositoryId=src_1", 1}, {"?sourceId=src_2", 0}, {"?q=greet", 1},
        {"?q=nobody", 0}, {"?from=2000-01-01", 3}, {"?to=2000-01-01", 0}, {"?from=2000-01-01&to=2099-01-01&q=door", 1},
    };
    JOBS(f);
    send_event(&f, "guest.came", "{\"name\":\"Ada\",\"sourceId\":\"src_1\"}", "");
    send_event(&f, "guest.knocked", "{}", "");
    send_event(&f, "guest.waits", "{}", "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = GET(&f, TARGET(&f, W "/jobs%s", rows[i].query));
        check_int(answer.status, 200);
        size_t n = json_count(json_get(answer.body, "data"));
        if (n != (size_t)rows[i].n) fail_msg("%s finds %zu, expected %d", rows[i].query, n, rows[i].n);
    }
}

TEST(jobs, every_problem_of_a_query_is_reported_at_once)
{
    JOBS(f);
    struct answer answer = GET(&f, W "/jobs?status=lost&limit=500&from=yesterday&cursor=x&system=maybe");
    check_str(problem(&answer, "status"),
              "Invalid enum value. Expected 'queued' | 'running' | 'completed' | 'failed' | 'cancelled', received 'lost'");
    check_str(problem(&answer, "limit"), "Number must be less than or equal to 100");
    check_str(problem(&answer, "from"), "Invalid datetime");
    check_str(problem(&answer, "cursor"), "Invalid cursor");
    check_str(problem(&answer, "system"), "Invalid enum value. Expected 'false' | 'true', received 'maybe'");
    answer = GET(&f, W "/jobs/recent?limit=51");
    check_str(problem(&answer, "limit"), "Number must be less than or equal to 50");
}

TEST(jobs, the_recent_ones_are_ten)
{
    JOBS(f);
    for (int i = 0; i < 12; i++) send_event(&f, "guest.knocked", "{}", "");
    check_int(json_count(json_get(GET(&f, W "/jobs/recent").body, "data")), 10);
    check_int(json_count(json_get(GET(&f, W "/jobs/recent?limit=1").body, "data")), 1);
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

TEST(jobs, one_job_tells_its_steps_input_and_output)
{
    JOBS(f);
    send_event(&f, "guest.came", "{\"name\":\"Ada\"}", "");
    struct answer answer = on_job(&f, "GET", newest(&f), "");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "name"), "Greet Ada");
    check_str(json_str(answer.body, "status"), "completed");
    check_str(json_str(answer.body, "trigger"), "webhook");
    check_str(json_str(answer.body, "input.name"), "Ada");
    check_str(json_str(answer.body, "output.hello"), "Ada");
    check(json_is_null(json_get(answer.body, "restartOfJobId")));
    check(json_is_integer(json_get(answer.body, "durationMs")));
    check_int(json_count(json_get(answer.body, "steps")), 1);
    check_str(json_str(answer.body, "steps.0.name"), "greet");
    check_str(json_str(answer.body, "steps.0.status"), "completed");
    check_str(json_str(answer.body, "steps.0.output.hello"), "Ada");
    struct str run_id = json_str(answer.body, "runId");
    check_int(on_job(&f, "GET", run_id, "").status, 200);
}

TEST(jobs, a_failed_one_says_why)
{
    JOBS(f);
    send_event(&f, "guest.knocked", "{}", "");
    struct answer answer = on_job(&f, "GET", newest(&f), "");
    check_str(json_str(answer.body, "status"), "failed");
    check(mentions(json_str(answer.body, "errorMessage"), "the door is shut"));
    check_str(json_str(answer.body, "steps.1.status"), "failed");
}

TEST(jobs, an_unknown_one_is_not_found)
{
    JOBS(f);
    check_int(on_job(&f, "GET", STR("job_V1StGXR8Z5jdHi6B4myT0"), "").status, 404);
    check_int(on_job(&f, "POST", STR("job_"), "/cancel").status, 404);
    check_int(GET(&f, W "/events/nothing").status, 404);
}

TEST(events, may_have_escaped_slashes_in_their_ids)
{
    JOBS(f);
    send_event(&f, "guest.came", "{}", "run_1/send/0");
    check_int(GET(&f, W "/events/run_1/send/0").status, 404);
    check_str(json_str(GET(&f, W "/events/run_1%2Fsend%2F0").body, "id"), "run_1/send/0");
}

TEST(events, tell_what_became_of_them_at_each_function)
{
    JOBS(f);
    send_event(&f, "guest.came", "{\"name\":\"Ada\"}", "visit-1");
    struct answer answer = GET(&f, W "/events/visit-1");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "name"), "guest.came");
    check_str(json_str(answer.body, "data.name"), "Ada");
    check_int(json_count(json_get(answer.body, "outcomes")), 2);
    check_str(json_str(answer.body, "outcomes.1.functionId"), "greeting");
    check(str_eq(json_str(answer.body, "outcomes.1.jobId"), newest(&f)) ||
          str_eq(json_str(answer.body, "outcomes.1.jobId"), json_str(GET(&f, W "/jobs").body, "data.0.id")));
}

/* POST /v1/events: what it says of its only event. */
static struct answer ingest(struct fixture *f, const char *query)
{
    struct net_request *request = net_request_local(f->arena, "POST", str_printf(f->arena, "/v1/events%s", query),
        STR("{\"source\":\"ci\",\"sourceType\":\"build.failed\",\"sourceId\":\"ci:1\",\"title\":\"Build failed\"}"));
    net_request_header(request, "Content-Type", STR("application/json"));
    struct answer answer = send_request(f, request);
    flow_settle(f->app.flow);
    return answer;
}

static struct str became(struct fixture *f, const struct answer *sent)
{
    struct str id = json_str(sent->body, "results.0.eventId");
    return json_str(GET(f, TARGET(f, "/v1/events/" STR_FMT, STR_ARG(id))).body, "status");
}

TEST(events, whose_capture_failed_may_be_sent_again)
{
    JOBS(f);
    struct answer first = ingest(&f, "");
    check_int(first.status, 202);
    check_str(became(&f, &first), "failed");
    door_open = true;
    struct answer again = ingest(&f, "");
    check_int(again.status, 202);
    check(str_eq(json_str(again.body, "results.0.eventId"), json_str(first.body, "results.0.eventId")));
    check_str(became(&f, &again), "captured");
    struct answer last = ingest(&f, "");
    check_int(last.status, 200);
    check_str(json_str(last.body, "results.0.status"), "duplicate");
}

TEST(events, are_atomic_or_not_but_never_something_else)
{
    JOBS(f);
    struct answer answer = ingest(&f, "?atomic=1");
    check(problem(&answer, "atomic").n > 0);
    check_int(ingest(&f, "?atomic=false").status, 202);
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

TEST(jobs, cancelling_stops_a_waiting_one_once_and_is_told)
{
    JOBS(f);
    send_event(&f, "guest.waits", "{}", "");
    struct str id = newest(&f);
    check_str(json_str(on_job(&f, "GET", id, "").body, "status"), "running");
    struct answer answer = on_job(&f, "POST", id, "/cancel");
    check_int(answer.status, 200);
    check(json_bool(answer.body, "success", false));
    flow_settle(f.app.flow);
    check_str(json_str(on_job(&f, "GET", id, "").body, "status"), "cancelled");
    check_int(on_job(&f, "POST", id, "/cancel").status, 409);

    answer = GET(&f, W "/activities?action=job.cancelled");
    check_int(json_count(json_get(answer.body, "data")), 1);
    check(str_eq(json_str(answer.body, "data.0.jobId"), id));
    check_str(json_str(answer.body, "data.0.metadata.previousStatus"), "running");
    check_str(json_str(answer.body, "data.0.metadata.functionId"), "waiting");
    check_str(json_str(answer.body, "data.0.actorType"), "user");
}

TEST(jobs, a_restart_is_a_new_job_that_names_the_old_one)
{
    JOBS(f);
    send_event(&f, "guest.came", "{\"name\":\"Ada\"}", "");
    struct str    old = newest(&f);
    struct answer answer = on_job(&f, "POST", old, "/restart");
    check_int(answer.status, 200);
    struct str fresh = json_str(answer.body, "jobId");
    check(!str_eq(old, fresh));
    flow_settle(f.app.flow);
    answer = on_job(&f, "GET", fresh, "");
    check_str(json_str(answer.body, "status"), "completed");
    check_str(json_str(answer.body, "trigger"), "manual");
    check(str_eq(json_str(answer.body, "restartOfJobId"), old));
    answer = GET(&f, W "/activities?action=job.restarted");
    check_str(json_str(answer.body, "data.0.metadata.originalStatus"), "completed");
    check(str_eq(json_str(answer.body, "data.0.metadata.newJobId"), fresh));
    send_event(&f, "guest.waits", "{}", "");
    check_int(on_job(&f, "POST", newest(&f), "/restart").status, 409);
}

TEST(jobs, resuming_goes_on_in_the_same_job)
{
    JOBS(f);
    send_event(&f, "guest.knocked", "{\"name\":\"Bob\"}", "");
    struct str id = newest(&f);
    door_open = true;
    struct answer answer = on_job(&f, "POST", id, "/resume");
    check_int(answer.status, 200);
    check(str_eq(json_str(answer.body, "jobId"), id));
    flow_settle(f.app.flow);
    check_str(json_str(on_job(&f, "GET", id, "").body, "status"), "completed");
    check_int(on_job(&f, "POST", id, "/resume").status, 409);
}

TEST(jobs, a_bulk_action_takes_those_that_it_fits)
{
    JOBS(f);
    for (int i = 0; i < 3; i++) send_event(&f, "guest.knocked", "{}", "");
    send_event(&f, "guest.waits", "{}", "");
    struct answer answer = ask(&f, "POST", W "/jobs/bulk", "{\"action\":\"cancel\"}");
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "count", -1), 1);
    door_open = true;
    answer = ask(&f, "POST", W "/jobs/bulk", "{\"action\":\"resume\",\"functionId\":[\"door\"],\"status\":[\"failed\"]}");
    check_int(json_int(answer.body, "count", -1), 3);
    flow_settle(f.app.flow);
    check_int(json_int(GET(&f, W "/jobs").body, "meta.counts.completed", -1), 3);
    answer = ask(&f, "POST", W "/jobs/bulk", "{\"action\":\"resume\",\"functionId\":[\"door\"]}");
    check_int(json_int(answer.body, "count", -1), 0);
    check_int(json_int(GET(&f, W "/activities?group=jobs").body, "data.0.metadata.count", -1), 3);
}

TEST(jobs, a_bulk_action_must_be_named)
{
    JOBS(f);
    struct answer answer = ask(&f, "POST", W "/jobs/bulk", "{\"status\":[\"lost\"]}");
    check_str(problem(&answer, "action"), "Required");
    check(problem(&answer, "status").n > 0);
    answer = ask(&f, "POST", W "/jobs/bulk", "{\"action\":\"explode\"}");
    check_str(problem(&answer, "action"), "Invalid enum value. Expected 'cancel' | 'restart' | 'resume', received 'explode'");
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

/* What the list says of the function "greeting". */
static const json_value *greeting_of(struct fixture *f)
{
    const json_value *list = json_get(GET(f, "/v1/admin/functions").body, "data");
    for (struct json_iter it = json_iter(list); json_step(&it);)
        if (str_eq(json_str(it.value, "id"), STR("greeting"))) return it.value;
    return NULL;
}

TEST(functions, queue_up_while_they_are_paused)
{
    JOBS(f);
    check_int(ask(&f, "POST", "/v1/admin/functions/greeting/pause", "").status, 200);
    send_event(&f, "guest.came", "{}", "");
    check_int(json_bool(greeting_of(&f), "paused", false), true);
    check_int(json_int(greeting_of(&f), "queued", -1), 1);
    check_str(json_str(GET(&f, W "/jobs?functionId=greeting").body, "data.0.status"), "queued");
    check_int(ask(&f, "POST", "/v1/admin/functions/greeting/resume", "").status, 200);
    flow_settle(f.app.flow);
    check_int(json_bool(greeting_of(&f), "paused", true), false);
    check_str(json_str(GET(&f, W "/jobs?functionId=greeting").body, "data.0.status"), "completed");
    check_str(json_str(GET(&f, W "/activities?limit=1").body, "data.0.action"), "job.function_resumed");
    check_int(ask(&f, "POST", "/v1/admin/functions/nobody/pause", "").status, 404);
}

TEST(functions, are_not_open_to_keys)
{
    JOBS(f);
    struct str key = new_secret(&f, "\"read\",\"admin\"");
    check_int(ask_as(&f, key, "GET", "/v1/admin/functions", "").status, 403);
    check_int(ask_as(&f, key, "POST", "/v1/admin/functions/greeting/pause", "").status, 403);
    check_int(json_bool(greeting_of(&f), "paused", true), false);
}

TEST(deliveries, of_an_unknown_outcome_are_not_asked_for)
{
    JOBS(f);
    struct answer answer = GET(&f, W "/deliveries?outcome=nope");
    check(problem(&answer, "outcome").n > 0);
    check_int(GET(&f, W "/deliveries?outcome=failed").status, 200);
    answer = ask(&f, "POST", W "/deliveries/bulk", "{\"from\":\"2026-01-01\",\"to\":\"2026-02-01\",\"outcome\":\"nope\"}");
    check(problem(&answer, "outcome").n > 0);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

TEST(figures, are_those_of_the_jobs)
{
    JOBS(f);
    send_event(&f, "guest.knocked", "{}", "");
    door_open = true;
    for (int i = 0; i < 2; i++) send_event(&f, "guest.knocked", "{}", "");
    send_event(&f, "guest.waits", "{}", "");
    struct answer answer = GET(&f, W "/jobs/statistics");
    check_int(json_int(answer.body, "hours", -1), 24);
    check_int(json_int(answer.body, "total", -1), 4);
    check_int(json_int(answer.body, "byStatus.completed", -1), 2);
    check_int(json_int(answer.body, "byStatus.running", -1), 1);
    check_near(json_real(answer.body, "successRate", -1), 66.7, 1e-9);
    answer = GET(&f, W "/performance");
    check_int(json_count(json_get(answer.body, "data")), 24);
    check_int(json_int(answer.body, "data.23.jobCount", -1) + json_int(answer.body, "data.22.jobCount", -1), 4);
    check(json_is_null(json_get(answer.body, "data.0.successRate")));
    check_int(json_count(json_get(GET(&f, W "/performance?timeRange=30d").body, "data")), 720);
    answer = GET(&f, W "/jobs/percentiles?timeRange=7d");
    check_str(json_str(answer.body, "timeRange"), "7d");
    check_int(json_bool(answer.body, "hasData", false), json_int(answer.body, "sampleSize", -1) > 0);
    answer = GET(&f, W "/health");
    check_str(json_str(answer.body, "workspaceHealth"), "down");
    check_int(json_int(answer.body, "failedJobs", -1), 1);
    check_str(json_str(answer.body, "store.health"), "healthy");
    answer = GET(&f, W "/performance?timeRange=1y");
    check_str(problem(&answer, "timeRange"), "Invalid enum value. Expected '24h' | '7d' | '30d', received '1y'");
}

TEST(figures, of_an_empty_workspace_are_zero_and_healthy)
{
    JOBS(f);
    check_near(json_real(GET(&f, W "/jobs/statistics?hours=1").body, "successRate", -1), 0, 0);
    check(!json_bool(GET(&f, W "/jobs/percentiles").body, "hasData", true));
    check_str(json_str(GET(&f, W "/health").body, "workspaceHealth"), "healthy");
    check_int(json_count(json_get(GET(&f, W "/jobs").body, "data")), 0);
}

/* ---- activities -------------------------------------------------------------------------------------------------- */

TEST(activities, of_keys_tell_who_and_what_and_no_secret)
{
    JOBS(f);
    const json_value *key = new_key(&f, "\"read\"");
    struct str    id = json_str(key, "id"), secret = json_str(key, "key");
    struct answer rotated = ask(&f, "POST", TARGET(&f, W "/api-keys/" STR_FMT "/rotate", STR_ARG(id)), "");
    struct str    fresh = json_str(rotated.body, "id");
    check_int(ask(&f, "POST", TARGET(&f, W "/api-keys/" STR_FMT "/revoke", STR_ARG(fresh)), "").status, 200);
    check_int(ask(&f, "DELETE", TARGET(&f, W "/api-keys/" STR_FMT, STR_ARG(fresh)), "").status, 200);
    struct answer answer = GET(&f, W "/activities?category=api_key");
    check_str(json_str(answer.body, "data.0.action"), "apikey.deleted");
    check_str(json_str(answer.body, "data.1.action"), "apikey.revoked");
    check_str(json_str(answer.body, "data.2.action"), "apikey.rotated");
    check_str(json_str(answer.body, "data.3.action"), "apikey.created");
    check(str_eq(json_str(answer.body, "data.2.metadata.oldKeyId"), id));
    check(str_eq(json_str(answer.body, "data.2.metadata.newKeyId"), fresh));
    check(str_eq(json_str(answer.body, "data.3.entityId"), id));
    check_str(json_str(answer.body, "data.3.entityName"), "ci");
    check(json_str(answer.body, "data.1.metadata.originallyCreatedAt").n > 0);
    check(str_find(answer.text, str_slice(secret, 0, secret.n - 4), 0) == SIZE_MAX);
}

TEST(activities, a_change_that_failed_is_not_told)
{
    JOBS(f);
    check_int(ask(&f, "DELETE", W "/api-keys/key_V1StGXR8Z5jdHi6B4myT0", "").status, 404);
    check_int(json_count(json_get(GET(&f, W "/activities").body, "data")), 0);
}

TEST(activities, through_a_key_name_the_key_its_address_and_the_request)
{
    JOBS(f);
    const json_value *key = new_key(&f, "\"admin\"");
    send_event(&f, "guest.waits", "{}", "");
    const char   *target = TARGET(&f, W "/jobs/" STR_FMT "/cancel", STR_ARG(newest(&f)));
    struct answer cancelled = ask_as(&f, json_str(key, "key"), "POST", target, "");
    check_int(cancelled.status, 200);
    struct answer answer = GET(&f, W "/activities?limit=1&actorType=api");
    check_str(json_str(answer.body, "data.0.action"), "job.cancelled");
    check(str_eq(json_str(answer.body, "data.0.apiKeyId"), json_str(key, "id")));
    check_str(json_str(answer.body, "data.0.actorIp"), "203.0.113.9");
    check_str(json_str(answer.body, "data.0.userAgent"), "lightfast-test/1");
    check(str_eq(json_str(answer.body, "data.0.requestId"), json_str(cancelled.body, "requestId")));
    check(json_bool(answer.body, "hasMore", true) == false);
}

TEST(activities, need_the_scope_admin_as_jobs_do)
{
    static const char *const targets[] = {W "/jobs", W "/activities", W "/health", W "/events/x", W "/activities/export"};
    JOBS(f);
    struct str key = new_secret(&f, "\"read\"");
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        check_int(ask_as(&f, key, "GET", targets[i], "").status, 403);
}

TEST(activities, one_is_told_with_its_chain)
{
    JOBS(f);
    new_key(&f, "\"read\"");
    struct str    id = json_str(GET(&f, W "/activities").body, "data.0.id");
    struct answer answer = GET(&f, TARGET(&f, W "/activities/" STR_FMT, STR_ARG(id)));
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "activity.action"), "apikey.created");
    check_int(json_count(json_get(answer.body, "related")), 0);
    check_int(GET(&f, W "/activities/act_V1StGXR8Z5jdHi6B4myT0").status, 404);
}

TEST(activities, are_counted_and_compared)
{
    JOBS(f);
    for (int i = 0; i < 3; i++) new_key(&f, "\"read\"");
    struct answer answer = GET(&f, W "/activities/stats?timeRange=7d");
    check_int(json_int(answer.body, "total", -1), 3);
    check_int(json_int(answer.body, "byCategory.api_key", -1), 3);
    check_int(json_int(answer.body, "byCategory.job", -1), 0);
    check_int(json_int(answer.body, "byActorType.user", -1), 3);
    answer = GET(&f, W "/activities/comparison");
    check_int(json_int(answer.body, "total.current", -1), 3);
    check_int(json_int(answer.body, "total.previous", -1), 0);
    check(json_is_null(json_get(answer.body, "total.changePercent")));
    check_near(json_real(answer.body, "byCategory.job.changePercent", -1), 0, 0);
    int64_t start = 0, end = 0, before = 0;
    check(time_parse(json_str(answer.body, "current.start"), &start) && time_parse(json_str(answer.body, "current.end"), &end));
    check(time_parse(json_str(answer.body, "previous.start"), &before));
    check_int(end - start, DAYS(7));
    check_int(start - before, DAYS(7));
    check_int((start / DAYS(1) + 3) % 7, 0); /* 1970-01-01 was a Thursday */
    answer = GET(&f, W "/activities/comparison?currentStart=2026-01-01");
    check(problem(&answer, "currentStart").n > 0);
}

TEST(activities, an_export_is_a_file_and_is_told)
{
    JOBS(f);
    new_key(&f, "\"read\"");
    struct answer csv = GET(&f, W "/activities/export?category=api_key");
    check_int(csv.status, 200);
    check_str(str_of(csv.reply.content_type), "text/csv; charset=utf-8");
    check_str(header(&csv, "Content-Disposition"), "attachment; filename=\"activities.csv\"");
    size_t lines = 0;
    for (size_t at = 0; (at = str_find_char(csv.text, '\n', at)) != SIZE_MAX; at++) lines++;
    check_int(lines, 2);
    struct answer answer = GET(&f, W "/activities/export?format=json");
    check_int(json_count(answer.body), 2);
    check_str(json_str(answer.body, "0.action"), "settings.activities_exported");
    check_str(json_str(answer.body, "0.metadata.filter"), "category=api_key");
    answer = GET(&f, W "/activities/export?format=xml");
    check(problem(&answer, "format").n > 0);
}

TEST(activities, a_bad_filter_is_named)
{
    JOBS(f);
    struct answer answer = GET(&f, W "/activities?category=job,gossip&actorType=cat&to=later");
    check(str_ends(problem(&answer, "category"), STR("received 'gossip'")));
    check(str_ends(problem(&answer, "actorType"), STR("received 'cat'")));
    check_str(problem(&answer, "to"), "Invalid datetime");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(jobs, are_listed_newest_first_and_counted_over_the_whole_filter),
        RUN(jobs, a_page_ends_exactly_with_the_last_job),
        RUN(jobs, each_filter_leaves_out_what_it_does_not_name),
        RUN(jobs, every_problem_of_a_query_is_reported_at_once),
        RUN(jobs, the_recent_ones_are_ten),
        RUN(jobs, one_job_tells_its_steps_input_and_output),
        RUN(jobs, a_failed_one_says_why),
        RUN(jobs, an_unknown_one_is_not_found),
        RUN(events, may_have_escaped_slashes_in_their_ids),
        RUN(events, tell_what_became_of_them_at_each_function),
        RUN(events, whose_capture_failed_may_be_sent_again),
        RUN(events, are_atomic_or_not_but_never_something_else),
        RUN(jobs, cancelling_stops_a_waiting_one_once_and_is_told),
        RUN(jobs, a_restart_is_a_new_job_that_names_the_old_one),
        RUN(jobs, resuming_goes_on_in_the_same_job),
        RUN(jobs, a_bulk_action_takes_those_that_it_fits),
        RUN(jobs, a_bulk_action_must_be_named),
        RUN(functions, queue_up_while_they_are_paused),
        RUN(functions, are_not_open_to_keys),
        RUN(deliveries, of_an_unknown_outcome_are_not_asked_for),
        RUN(figures, are_those_of_the_jobs),
        RUN(figures, of_an_empty_workspace_are_zero_and_healthy),
        RUN(activities, of_keys_tell_who_and_what_and_no_secret),
        RUN(activities, a_change_that_failed_is_not_told),
        RUN(activities, through_a_key_name_the_key_its_address_and_the_request),
        RUN(activities, need_the_scope_admin_as_jobs_do),
        RUN(activities, one_is_told_with_its_chain),
        RUN(activities, are_counted_and_compared),
        RUN(activities, an_export_is_a_file_and_is_told),
        RUN(activities, a_bad_filter_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
