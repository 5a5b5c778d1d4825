#include "flow_world.h"

/* ---- functions under test ---------------------------------------------------------------------------------------- */

static struct err *count_step(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    w->calls[(intptr_t)arg]++;
    *result = str_printf(run->arena, "\"%d\"", (int)w->calls[(intptr_t)arg]);
    return NULL;
}

static struct err *run_one_step(struct flow_run *run)
{
    struct str result;
    TRY(flow_step(run, "work", count_step, (void *)1, &result));
    flow_output(run, result);
    return NULL;
}

static struct err *run_three_steps(struct flow_run *run)
{
    struct str results[3];
    TRY(flow_step(run, "a", count_step, (void *)1, &results[0]));
    TRY(flow_step(run, "b", count_step, (void *)2, &results[1]));
    TRY(flow_step(run, "a", count_step, (void *)3, &results[2]));
    flow_output(run, str_join(run->arena, results, 3, STR("")));
    return NULL;
}

static struct err *fail_at_first(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    int           call = ++w->calls[1];
    (void)arg;
    if (call <= w->fail_times) return err_new(run->arena, ERR_UNAVAILABLE, "failure %d", call);
    *result = STR("1");
    return NULL;
}

static struct err *run_failing(struct flow_run *run)
{
    TRY(flow_step(run, "before", count_step, (void *)2, NULL));
    return flow_step(run, "fragile", fail_at_first, NULL, NULL);
}

static const struct flow_function one_step = {.name = "one", .on = "thing.made", .run = run_one_step, .retries = 3};
static const struct flow_function three_steps = {
    .name = "three", .on = "thing.made", .run = run_three_steps, .retries = 3};
static const struct flow_function failing = {.name = "failing", .on = "thing.made", .run = run_failing, .retries = 2};

/* ---- events and runs --------------------------------------------------------------------------------------------- */

TEST(flow, an_event_becomes_a_run_that_completes)
{
    WORLD(w, &one_step);
    send_and_settle(&w, "thing.made", "{\"n\":1}");
    check_int(w.calls[1], 1);
    struct flow_job job = only_job(&w);
    check_str(job.status, "completed");
    check_str(job.output, "\"1\"");
    check_str(job.input, "{\"n\":1}");
    check_str(job.trigger, "automatic");
    check_int(job.duration, 0);
    check(str_starts(job.public_id, STR("job_")) && str_starts(job.run_id, STR("run_")));
}

TEST(flow, a_second_event_with_the_same_name_and_id_starts_nothing)
{
    WORLD(w, &one_step);
    struct flow_message message = {.workspace = 1, .name = STR("thing.made"), .id = STR("delivery-7")};
    check_int(send_message(&w, message), FLOW_ACCEPTED);
    check_int(send_message(&w, message), FLOW_DUPLICATE);
    message.workspace = 2;
    check_int(send_message(&w, message), FLOW_ACCEPTED);
    flow_settle(w.flow);
    check_int(w.calls[1], 2);
}

TEST(flow, an_event_that_nobody_wants_is_not_stored)
{
    WORLD(w, &one_step);
    check_int(send_json(&w, "other.thing", "{}"), FLOW_IGNORED);
    check_int(count(&w, "SELECT count(*) FROM flow_event"), 0);
}

TEST(flow, events_that_break_the_rules_are_refused)
{
    WORLD(w, &one_step);
    static const struct { struct flow_message message; enum err_code code; } bad[] = {
        {{.name = {"Thing", 5}}, ERR_INVALID},
        {{.name = {"", 0}}, ERR_INVALID},
        {{.name = {"thing.made", 10}, .data = {"[1]", 3}}, ERR_INVALID},
        {{.name = {"thing.made", 10}, .data = {"{", 1}}, ERR_INVALID},
        {{.name = {"thing.made", 10}, .id = {"\xff", 1}}, ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_err(db_write(w.db, arena, send_in, &(struct sending){.message = bad[i].message}), bad[i].code);
    check_int(count(&w, "SELECT count(*) FROM flow_event"), 0);
}

TEST(flow, steps_execute_once_and_a_repeated_id_is_another_step)
{
    WORLD(w, &three_steps);
    send_and_settle(&w, "thing.made", "{}");
    check_str(ask(&w, "SELECT step || '=' || result FROM flow_step ORDER BY position"), "a=\"1\";b=\"1\";a:1=\"1\"");
}

TEST(flow, a_failing_step_is_tried_again_after_a_while_and_recorded_steps_are_not)
{
    WORLD(w, &failing);
    w.fail_times = 2;
    send_and_settle(&w, "thing.made", "{}");
    check_int(w.calls[1], 1);
    check_str(ask(&w, "SELECT status FROM flow_run"), "waiting");
    advance(&w, SECONDS(7));
    check_int(w.calls[1], 1);
    advance(&w, SECONDS(5));
    check_int(w.calls[1], 2);
    advance(&w, SECONDS(36));
    check_int(w.calls[1], 3);
    check_int(w.calls[2], 1);
    check_str(only_job(&w).status, "completed");
    check_str(ask(&w, "SELECT kind || ':' || error FROM flow_attempt ORDER BY number"),
              "error:failure 1;error:failure 2");
}

TEST(flow, a_step_that_fails_too_often_fails_the_run)
{
    WORLD(w, &failing);
    w.fail_times = 9;
    send_and_settle(&w, "thing.made", "{}");
    advance(&w, MINUTES(1));
    advance(&w, MINUTES(1));
    advance(&w, DAYS(1));
    check_int(w.calls[1], 3);
    check_str(only_job(&w).status, "failed");
    check_str(only_job(&w).error, "failure 3");
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static struct err *wait_for_answer(struct flow_run *run)
{
    struct world     *w = run->context;
    struct str        job = str_of("j1");
    struct flow_event done;
    TRY(flow_step(run, "ask", count_step, (void *)1, NULL));
    TRY(flow_wait(run, "answer", &done, .event = "answer.given", .match = "jobId", .equals = job, .timeout = HOURS(6)));
    w->calls[2]++;
    w->seen = done.name.s ? str_dup(w->notes, done.data) : STR("timed out");
    return NULL;
}

static const struct flow_function waiting = {
    .name = "waiting", .on = "question.asked", .run = wait_for_answer, .waits = {"answer.given"}};

TEST(flow, a_wait_returns_the_event_that_matches)
{
    WORLD(w, &waiting);
    send_and_settle(&w, "question.asked", "{}");
    check(only_job(&w).waiting);
    send_and_settle(&w, "answer.given", "{\"jobId\":\"other\"}");
    send_and_settle(&w, "answer.given", "{}");
    check_int(w.calls[2], 0);
    send_and_settle(&w, "answer.given", "{\"jobId\":\"j1\",\"x\":1}");
    check_str(w.seen, "{\"jobId\":\"j1\",\"x\":1}");
    check_int(w.calls[1], 1);
}

TEST(flow, a_wait_returns_nothing_at_its_timeout_also_across_a_restart)
{
    WORLD(w, &waiting);
    send_and_settle(&w, "question.asked", "{}");
    world_stop(&w);
    time_set(time_now() + HOURS(7));
    world_start(&w);
    flow_settle(w.flow);
    check_str(w.seen, "timed out");
    send_and_settle(&w, "answer.given", "{\"jobId\":\"j1\"}");
    check_int(w.calls[2], 1);
    check_int(count(&w, "SELECT count(*) FROM flow_wait"), 0);
}

static struct err *answer_at_once(struct flow_run *run, void *arg, struct str *result)
{
    (void)arg;
    (void)result;
    struct sending s = {
        .message = {.workspace = 1, .name = STR("answer.given"), .data = STR("{\"jobId\":\"j1\"}")}};
    check_ok(db_write(run->db, run->arena, send_in, &s));
    check_int(s.accepted, FLOW_ACCEPTED);
    return NULL;
}

static struct err *be_answered_before_waiting(struct flow_run *run)
{
    struct world     *w = run->context;
    struct flow_event first, second;
    TRY(flow_step(run, "trigger", answer_at_once, NULL, NULL));
    TRY(flow_wait(run, "first", &first, .event = "answer.given", .match = "jobId", .equals = STR("j1"),
                  .timeout = HOURS(1)));
    TRY(flow_wait(run, "second", &second, .event = "answer.given", .match = "jobId", .equals = STR("j1"),
                  .timeout = HOURS(1)));
    w->seen = str_printf(w->notes, "%s %s", first.name.s ? "answered" : "lost", second.name.s ? "again" : "once");
    return NULL;
}

TEST(flow, an_event_that_came_before_the_wait_was_armed_is_returned_and_only_once)
{
    static const struct flow_function early = {
        .name = "early", .on = "question.asked", .run = be_answered_before_waiting, .waits = {"answer.given"}};
    WORLD(w, &early);
    send_json(&w, "answer.given", "{\"jobId\":\"j1\"}"); /* before the run: not for it */
    send_and_settle(&w, "question.asked", "{}");
    check_str(only_job(&w).status, "running");
    advance(&w, HOURS(2));
    check_str(w.seen, "answered once");
}

static struct err *wait_for_larger(struct flow_run *run)
{
    struct world     *w = run->context;
    struct flow_event done;
    TRY(flow_wait(run, "larger", &done, .event = "answer.given", .when = "async.data.n > event.data.n"));
    w->seen = str_dup(w->notes, done.data);
    return NULL;
}

TEST(flow, a_wait_may_have_a_condition_on_both_events)
{
    static const struct flow_function larger = {
        .name = "larger", .on = "question.asked", .run = wait_for_larger, .waits = {"answer.given"}};
    WORLD(w, &larger);
    send_and_settle(&w, "question.asked", "{\"n\":5}");
    send_and_settle(&w, "answer.given", "{\"n\":4}");
    send_and_settle(&w, "answer.given", "{\"n\":6}");
    check_str(w.seen, "{\"n\":6}");
}

TEST(flow, a_wait_for_an_undeclared_event_fails_the_run)
{
    static const struct flow_function undeclared = {
        .name = "undeclared", .on = "question.asked", .run = wait_for_answer, .retries = 3};
    WORLD(w, &undeclared);
    send_and_settle(&w, "question.asked", "{}");
    check_str(only_job(&w).status, "failed");
}

/* ---- sleeping, sending, invoking, parallel ----------------------------------------------------------------------- */

static struct err *sleep_between(struct flow_run *run)
{
    TRY(flow_step(run, "before", count_step, (void *)1, NULL));
    TRY(flow_sleep(run, "nap", HOURS(3)));
    return flow_step(run, "after", count_step, (void *)2, NULL);
}

TEST(flow, sleepers_wake_after_a_restart_and_repeat_nothing)
{
    static const struct flow_function sleeper = {.name = "sleeper", .on = "thing.made", .run = sleep_between};
    WORLD(w, &sleeper);
    for (int i = 0; i < 30; i++) send_json(&w, "thing.made", "{}");
    flow_settle(w.flow);
    world_stop(&w);
    time_set(time_now() + HOURS(2));
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[2], 0);
    advance(&w, HOURS(1));
    check_int(w.calls[1], 30);
    check_int(w.calls[2], 30);
}

static struct err *send_two(struct flow_run *run)
{
    struct flow_message messages[] = {{.name = STR("thing.made"), .data = STR("{\"n\":1}")},
                                      {.name = STR("thing.made"), .data = STR("{\"n\":2}")}};
    TRY(flow_step_send(run, "tell", messages, 2));
    TRY(flow_sleep(run, "nap", SECONDS(1)));
    return flow_step_send(run, "bad", &(struct flow_message){.name = STR("No!")}, 1);
}

TEST(flow, a_run_sends_events_once_and_a_bad_one_fails_it)
{
    static const struct flow_function sender = {.name = "sender", .on = "question.asked", .run = send_two};
    WORLD(w, &sender, &one_step);
    send_and_settle(&w, "question.asked", "{}");
    advance(&w, SECONDS(2));
    check_int(w.calls[1], 2);
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'sender'"), "failed");
    check_str(ask(&w, "SELECT data FROM flow_event WHERE name = 'thing.made' ORDER BY seq"), "{\"n\":1};{\"n\":2}");
    check_int(count(&w, "SELECT count(DISTINCT parent_run) FROM flow_event WHERE name = 'thing.made'"), 1);
}

static struct err *be_invoked(struct flow_run *run)
{
    if (json_bool(flow_data(run), "fail", false)) return err_new(run->arena, ERR_NOT_FOUND, "nothing there");
    flow_output(run, STR("{\"answer\":42}"));
    return flow_sleep(run, "nap", SECONDS(5));
}

static struct err *invoke_both(struct flow_run *run)
{
    struct world *w = run->context;
    struct str    output;
    TRY(flow_invoke(run, "good", "invoked", STR("{}"), HOURS(1), &output));
    struct err *err = flow_invoke(run, "bad", "invoked", STR("{\"fail\":true}"), HOURS(1), NULL);
    if (err && err->code == ERR_NOT_FOUND)
        w->seen = str_printf(w->notes, STR_FMT " " STR_FMT, STR_ARG(output), STR_ARG(err->message));
    return err && err->code == ERR_NOT_FOUND ? NULL : err;
}

static const struct flow_function invoked = {.name = "invoked", .run = be_invoked, .retries = 1};
static const struct flow_function invoking = {.name = "invoking", .on = "question.asked", .run = invoke_both};

TEST(flow, invoke_returns_the_output_or_the_error_of_the_invoked_run)
{
    WORLD(w, &invoked, &invoking);
    send_and_settle(&w, "question.asked", "{}");
    check_int(w.seen.n, 0);
    advance(&w, SECONDS(6));
    check_str(w.seen, "{\"answer\":42} nothing there");
}

static struct err *cancel_in(struct db_tx *tx, void *run)
{
    return flow_cancel(tx, (int64_t)(intptr_t)run, STR("by hand"));
}
static struct err *resume_in(struct db_tx *tx, void *run) { return flow_resume(tx, (int64_t)(intptr_t)run); }
static struct err *restart_in(struct db_tx *tx, void *run)
{
    struct flow_job fresh;
    TRY(flow_restart(tx, (int64_t)(intptr_t)run, STR("user_1"), &fresh));
    check(str_starts(fresh.public_id, STR("job_")));
    return NULL;
}

TEST(flow, cancelling_a_run_cancels_what_it_invoked)
{
    WORLD(w, &invoked, &invoking);
    send_and_settle(&w, "question.asked", "{}");
    check_ok(db_write(w.db, arena, cancel_in, (void *)(intptr_t)1));
    check_err(db_write(w.db, arena, cancel_in, (void *)(intptr_t)1), ERR_CONFLICT);
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status || ':' || error FROM flow_run ORDER BY id"),
              "cancelled:by hand;cancelled:the invoking run was cancelled");
}

static struct err *fail_odd_items_once(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    int           item = (int)(intptr_t)arg;
    w->calls[1]++;
    if (item % 2 && w->calls[2]++ < 3) return err_new(run->arena, ERR_UNAVAILABLE, "odd");
    *result = str_printf(run->arena, "%d", item);
    return NULL;
}

static struct err *run_items(struct flow_run *run)
{
    struct world    *w = run->context;
    struct flow_item items[7];
    int64_t          sum = 0, value;
    for (int i = 0; i < 7; i++) items[i] = (struct flow_item){.fn = fail_odd_items_once, .arg = (void *)(intptr_t)i};
    TRY(flow_parallel(run, "all", items, 7, false));
    for (int i = 0; i < 7; i++) sum += str_to_int(items[i].result, &value) ? value : 100;
    w->calls[3] = (int)sum;
    return NULL;
}

TEST(flow, parallel_steps_have_their_own_attempts)
{
    static const struct flow_function parallel = {
        .name = "parallel", .on = "thing.made", .run = run_items, .retries = 1};
    WORLD(w, &parallel);
    send_and_settle(&w, "thing.made", "{}");
    check_int(w.calls[1], 7);
    advance(&w, SECONDS(20));
    check_int(w.calls[1], 10);
    check_int(w.calls[3], 21);
}

static struct err *nest(struct flow_run *run, void *arg, struct str *result)
{
    return flow_step(run, "inner", count_step, arg, result);
}
static struct err *run_nested(struct flow_run *run) { return flow_step(run, "outer", nest, (void *)1, NULL); }

TEST(flow, nested_steps_are_an_error_at_first_use)
{
    static const struct flow_function nested = {.name = "nested", .on = "thing.made", .run = run_nested, .retries = 3};
    WORLD(w, &nested);
    send_and_settle(&w, "thing.made", "{}");
    check_int(w.calls[1], 0);
    check_str(only_job(&w).error, "step inner: steps do not nest");
}

static struct err *swallow(struct flow_run *run)
{
    struct world *w = run->context;
    (void)!flow_sleep(run, "nap", HOURS(1));
    (void)!flow_step(run, "after", count_step, (void *)1, NULL);
    w->calls[2]++;
    return NULL;
}

TEST(flow, a_handler_that_swallows_errors_still_waits)
{
    static const struct flow_function careless = {.name = "careless", .on = "thing.made", .run = swallow};
    WORLD(w, &careless);
    send_and_settle(&w, "thing.made", "{}");
    check_int(w.calls[1], 0);
    check_str(only_job(&w).status, "running");
    advance(&w, HOURS(2));
    check_int(w.calls[1], 1);
    check_str(only_job(&w).status, "completed");
}

static struct err *record_values(struct flow_run *run)
{
    struct world *w = run->context;
    int64_t       now;
    struct str    id;
    TRY(flow_now(run, "now", &now));
    TRY(flow_new_id(run, "id", "x_", &id));
    struct str both = str_printf(w->notes, "%lld" STR_FMT, (long long)now, STR_ARG(id));
    w->calls[1] += w->seen.n && str_eq(both, w->seen);
    w->seen = both;
    return flow_sleep(run, "nap", MINUTES(1));
}

TEST(flow, clock_and_ids_are_the_same_in_every_entry)
{
    static const struct flow_function recording = {.name = "recording", .on = "thing.made", .run = record_values};
    WORLD(w, &recording);
    send_and_settle(&w, "thing.made", "{}");
    advance(&w, MINUTES(2));
    check_int(w.calls[1], 1);
}

static struct err *go_on(struct flow_run *run)
{
    TRY(flow_step(run, "slice", count_step, (void *)1, NULL));
    return run->state.n < 3 ? flow_continue(run, str_printf(run->arena, STR_FMT "x", STR_ARG(run->state))) : NULL;
}

TEST(flow, a_continued_run_is_the_same_job_under_a_fresh_run_id)
{
    static const struct flow_function going_on = {.name = "going.on", .on = "thing.made", .run = go_on};
    WORLD(w, &going_on);
    send_and_settle(&w, "thing.made", "{}");
    struct flow_job job = only_job(&w);
    check_int(w.calls[1], 4);
    check_str(job.status, "completed");
    check(!str_eq(str_skip(job.public_id, 4), str_skip(job.run_id, 4)));
}

/* ---- kinds of errors --------------------------------------------------------------------------------------------- */

static struct err *be_limited(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    struct err   *err = err_new(run->arena, ERR_RATE_LIMITED, "slow down");
    (void)arg;
    (void)result;
    return ++w->calls[1] <= 3 ? flow_rate_limited(run, err, time_now() + HOURS(1)) : NULL;
}
static struct err *run_limited(struct flow_run *run) { return flow_step(run, "call", be_limited, NULL, NULL); }

TEST(flow, waiting_for_a_rate_limit_counts_no_attempt_and_not_as_the_runs_time)
{
    static const struct flow_function limited = {
        .name = "limited", .on = "thing.made", .run = run_limited, .retries = 0, .finish_within = MINUTES(5)};
    WORLD(w, &limited);
    send_and_settle(&w, "thing.made", "{}");
    for (int i = 0; i < 3; i++) advance(&w, HOURS(1));
    check_int(w.calls[1], 4);
    check_str(only_job(&w).status, "completed");
}

static struct err *not_found(struct flow_run *run, void *arg, struct str *result)
{
    (void)arg;
    (void)result;
    return err_new(run->arena, ERR_NOT_FOUND, "no such repository");
}
static struct err *catch_it(struct flow_run *run)
{
    struct err *err = flow_step(run, "look", not_found, NULL, NULL);
    TRY(flow_sleep(run, "nap", SECONDS(1)));
    return err && err->code == ERR_NOT_FOUND ? flow_step(run, "instead", count_step, (void *)1, NULL) : err;
}

TEST(flow, a_step_that_failed_for_good_may_be_caught_and_stays_failed)
{
    static const struct flow_function catching = {
        .name = "catching", .on = "thing.made", .run = catch_it, .retries = 5};
    WORLD(w, &catching);
    send_and_settle(&w, "thing.made", "{}");
    advance(&w, SECONDS(2));
    check_int(w.calls[1], 1);
    check_str(only_job(&w).status, "completed");
}

static struct err *fail_between(struct flow_run *run)
{
    struct world *w = run->context;
    TRY(flow_step(run, "work", count_step, (void *)1, NULL));
    return ++w->calls[2] < 3 ? err_new(run->arena, ERR_INTERNAL, "between") : NULL;
}

TEST(flow, errors_between_steps_are_tried_again_too)
{
    static const struct flow_function between = {
        .name = "between", .on = "thing.made", .run = fail_between, .retries = 2};
    WORLD(w, &between);
    send_and_settle(&w, "thing.made", "{}");
    advance(&w, MINUTES(1));
    advance(&w, MINUTES(1));
    check_int(w.calls[1], 1);
    check_int(w.calls[2], 3);
    check_str(only_job(&w).status, "completed");
}

/* ---- completion in the business transaction ---------------------------------------------------------------------- */

struct business { struct flow_run **runs; size_t n; };

static struct err *store_all(struct db_tx *tx, void *arg)
{
    struct business *b = arg;
    for (size_t i = 0; i < b->n; i++) {
        TRY(db_exec(tx, "INSERT INTO flow_cron (function, last_tick) VALUES ($1, $2)",
                    json_str(flow_data(b->runs[i]), "key"), b->runs[i]->id));
        TRY(flow_complete_in(b->runs[i], tx));
    }
    return NULL;
}

static struct err *store_together(struct flow_run **runs, size_t n)
{
    struct world *w = runs[0]->context;
    w->calls[1]++;
    return db_write(runs[0]->db, runs[0]->arena, store_all, &(struct business){runs, n});
}

TEST(flow, runs_claimed_together_commit_together_and_a_bad_one_fails_alone)
{
    static const struct flow_function storing = {
        .name = "storing", .on = "thing.made", .run_many = store_together, .together = 50};
    WORLD(w, &storing);
    write_sql(&w, "INSERT INTO flow_pause VALUES ('storing', 0)");
    for (int i = 0; i < 20; i++) send_json(&w, "thing.made", str_z(arena, str_printf(arena, "{\"key\":\"k%d\"}", i)));
    flow_settle(w.flow);
    write_sql(&w, "DELETE FROM flow_pause");
    flow_settle(w.flow);
    check_int(w.calls[1], 1);
    check_int(count(&w, "SELECT count(*) FROM flow_cron"), 20);
    write_sql(&w, "INSERT INTO flow_pause VALUES ('storing', 0)");
    for (int i = 18; i < 24; i++) send_json(&w, "thing.made", str_z(arena, str_printf(arena, "{\"key\":\"k%d\"}", i)));
    write_sql(&w, "DELETE FROM flow_pause");
    flow_settle(w.flow);
    check_int(count(&w, "SELECT count(*) FROM flow_cron"), 24);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 24);
}

/* ---- control and looking ----------------------------------------------------------------------------------------- */

TEST(flow, a_failed_run_is_resumed_at_its_failed_step)
{
    static const struct flow_function once = {.name = "failing", .on = "thing.made", .run = run_failing};
    WORLD(w, &once);
    w.fail_times = 1;
    send_and_settle(&w, "thing.made", "{}");
    check_str(only_job(&w).status, "failed");
    check_ok(db_write(w.db, arena, resume_in, (void *)(intptr_t)1));
    flow_settle(w.flow);
    check_str(only_job(&w).status, "completed");
    check_int(w.calls[2], 1);
    check_err(db_write(w.db, arena, resume_in, (void *)(intptr_t)1), ERR_CONFLICT);
}

TEST(flow, a_finished_run_is_restarted_as_a_new_job_of_the_same_event)
{
    WORLD(w, &one_step);
    send_and_settle(&w, "thing.made", "{\"n\":1}");
    check_ok(db_write(w.db, arena, restart_in, (void *)(intptr_t)1));
    flow_settle(w.flow);
    check_int(w.calls[1], 2);
    check_str(ask(&w, "SELECT status || coalesce(replay_of, '') || cause FROM flow_run ORDER BY id"),
              "completed0;completed11");
}

TEST(flow, job_lists_count_filter_and_stay_in_their_workspace)
{
    static const struct flow_function hidden = {
        .name = "hidden", .on = "thing.made", .run = run_one_step, .system = true};
    WORLD(w, &one_step, &hidden, &failing);
    send_json(&w, "thing.made", "{}");
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("thing.made")});
    flow_settle(w.flow);
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct flow_job *jobs, job;
    size_t           n;
    int64_t          counts[5];
    check_ok(db_read_begin(w.db, arena, &tx));
    check_ok(flow_job_list(tx, 1, (struct flow_job_filter){0}, &jobs, &n));
    check_int(n, 2);
    check_ok(flow_job_list(tx, 1, (struct flow_job_filter){.with_system = true}, &jobs, &n));
    check_int(n, 3);
    check_ok(flow_job_list(tx, 1, (struct flow_job_filter){.functions = {STR("one")}, .statuses = {STR("completed")}},
                           &jobs, &n));
    check_int(n, 1);
    check_ok(flow_job_counts(tx, 1, (struct flow_job_filter){.with_system = true}, counts));
    check_int(counts[2], 3);
    check_ok(flow_job_get(tx, 1, jobs[0].public_id, &job));
    check_err(flow_job_get(tx, 2, jobs[0].public_id, &job), ERR_NOT_FOUND);
    struct flow_outcome_record *outcomes;
    check_ok(flow_event_outcomes(tx, 1, &outcomes, &n));
    check_int(n, 3);
}

static void note_change(void *arg, const struct flow_change *change)
{
    struct world *w = arg;
    w->calls[strcmp(change->status, "completed") == 0 ? 6 : 7]++;
}

TEST(flow, watchers_hear_of_runs_after_the_commit)
{
    struct world w WORLD_SCOPE = {.functions = {&one_step}, .function_count = 1};
    world_open(&w, arena);
    w.flow = flow_create(w.db, w.config);
    check_ok(flow_register(w.flow, arena, w.functions, 1, &w));
    flow_watch(w.flow, note_change, &w);
    check_ok(flow_start(w.flow, arena));
    send_and_settle(&w, "thing.made", "{}");
    check_int(w.calls[7], 1); /* queued */
    check_int(w.calls[6], 1);
}

TEST(flow, events_sent_without_an_engine_are_dispatched_when_one_starts)
{
    WORLD(w, &one_step);
    world_stop(&w);
    check_int(send_json(&w, "thing.made", "{}"), FLOW_ACCEPTED);
    check_int(send_json(&w, "nobody.cares", "{}"), FLOW_ACCEPTED);
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[1], 1);
    check_int(count(&w, "SELECT count(*) FROM flow_event"), 1);
}

TEST(flow, an_event_of_the_future_starts_its_run_then)
{
    WORLD(w, &one_step);
    send_message(&w, (struct flow_message){.workspace = 1, .name = STR("thing.made"), .ts = NOON + HOURS(1)});
    flow_settle(w.flow);
    check_int(w.calls[1], 0);
    advance(&w, HOURS(1));
    check_int(w.calls[1], 1);
}

TEST(flow, retention_removes_what_is_old_and_nothing_that_lives)
{
    static const struct flow_function sleeper = {.name = "sleeper", .on = "thing.made", .run = sleep_between};
    static const struct flow_function year = {.name = "year",
                                              .on = "question.asked",
                                              .run = wait_for_answer,
                                              .waits = {"answer.given"},
                                              .finish_within = DAYS(300)};
    WORLD(w, &sleeper, &year);
    int64_t deleted;
    send_and_settle(&w, "thing.made", "{}");
    advance(&w, HOURS(4));
    send_and_settle(&w, "question.asked", "{}");
    time_set(time_now() + DAYS(40));
    write_sql(&w, "UPDATE flow_run SET wake_at = wake_at + 40000000000 WHERE wake_at IS NOT NULL");
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){0}, &deleted));
    check_str(ask(&w, "SELECT name FROM flow_event"), "question.asked");
    check_str(ask(&w, "SELECT run_id || ':' || step FROM flow_step ORDER BY position"), "2:ask;2:answer");
    check_int(count(&w, "SELECT count(*) FROM flow_run"), 2);
    time_set(time_now() + DAYS(330));
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){0}, &deleted));
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE function = 'sleeper'"), 0);
}

TEST(flow, a_workspace_keeps_its_jobs_as_long_as_it_says)
{
    WORLD(w, &one_step);
    for (int64_t workspace = 1; workspace <= 3; workspace++)
        send_message(&w, (struct flow_message){.workspace = workspace, .name = STR("thing.made")});
    flow_settle(w.flow);
    time_set(time_now() + DAYS(400));
    const struct flow_kept_jobs kept[] = {{1, 500}, {3, 0}};
    int64_t deleted;
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){.workspaces = kept, .workspace_count = 2}, &deleted));
    check_str(ask(&w, "SELECT workspace_id FROM flow_run ORDER BY 1"), "1;3");
    check_int(count(&w, "SELECT count(*) FROM flow_step"), 0);
    check_int(count(&w, "SELECT count(*) FROM flow_event"), 0);
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){.workspaces = kept, .workspace_count = 2}, &deleted));
    check_int(deleted, 0); /* what has lost its steps is not looked at again */
}

static struct err *refuse_all(struct flow_run *run)
{
    return flow_fail(run, err_new(run->arena, ERR_INVALID, "no"));
}

TEST(flow, a_long_past_is_swept_to_its_end_and_a_resumed_run_stays)
{
    static const struct flow_function refusing = {.name = "refusing", .on = "thing.made", .run = refuse_all};
    WORLD(w, &one_step, &refusing);
    for (int i = 0; i < 1300; i++) send_json(&w, "thing.made", "{}");
    flow_settle(w.flow);
    write_sql(&w, "INSERT INTO flow_pause VALUES ('refusing', 0)");
    check_int(count(&w, "SELECT count(*) FROM flow_run"), 2600);
    time_set(time_now() + DAYS(400));
    check_ok(db_write(w.db, arena, resume_in, (void *)(intptr_t)count(&w, "SELECT max(id) FROM flow_run WHERE function = 'refusing'")));
    int64_t deleted;
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){0}, &deleted));
    check_str(ask(&w, "SELECT status FROM flow_run"), "queued");
    check_int(count(&w, "SELECT count(*) FROM flow_event"), 1);
}

struct bulk { enum flow_action action; struct flow_job_filter filter; int64_t count; };
static struct err *bulk_in(struct db_tx *tx, void *arg)
{
    struct bulk *b = arg;
    return flow_bulk(tx, 1, b->action, b->filter, &b->count);
}

TEST(flow, many_jobs_are_cancelled_resumed_and_restarted_at_once)
{
    static const struct flow_function sleeper = {.name = "sleeper", .on = "thing.made", .run = sleep_between};
    WORLD(w, &sleeper);
    for (int i = 0; i < 5; i++) send_json(&w, "thing.made", "{}");
    flow_settle(w.flow);
    struct bulk cancel = {FLOW_CANCEL, .filter = {.functions = {STR("sleeper")}, .limit = 3}};
    check_ok(db_write(w.db, arena, bulk_in, &cancel));
    check_int(cancel.count, 3);
    struct bulk resume = {FLOW_RESUME, .filter = {.statuses = {STR("cancelled")}, .limit = 2}};
    check_ok(db_write(w.db, arena, bulk_in, &resume));
    check_int(resume.count, 2);
    advance(&w, HOURS(4));
    advance(&w, HOURS(4));
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 4);
    check_int(w.calls[1], 5);
    struct bulk restart = {FLOW_RESTART, .filter = {.statuses = {STR("cancelled")}}};
    check_ok(db_write(w.db, arena, bulk_in, &restart));
    check_int(restart.count, 1);
    check_int(count(&w, "SELECT count(*) FROM flow_run"), 6);
}

TEST(flow, the_backlog_and_the_queues_are_counted)
{
    WORLD(w, &one_step);
    write_sql(&w, "INSERT INTO flow_pause VALUES ('one', 0)");
    for (int i = 0; i < 7; i++) send_json(&w, "thing.made", "{}");
    time_set(time_now() + SECONDS(90));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct flow_queue_record *queues;
    size_t                    n;
    int64_t                   queued;
    check_ok(db_read_begin(w.db, arena, &tx));
    check_ok(flow_backlog(tx, 1, &queued));
    check_int(queued, 7);
    check_ok(flow_queues(tx, &queues, &n));
    check_int(n, 1);
    check_int(queues[0].queued, 7);
    check_int(flow_numbers(w.flow).oldest_due, SECONDS(90));
}

static struct err *forget_in(struct db_tx *tx, void *arg)
{
    (void)arg;
    return flow_forget_workspace(tx, 1);
}

TEST(flow, a_forgotten_workspace_leaves_nothing_and_others_stay)
{
    WORLD(w, &waiting);
    send_json(&w, "question.asked", "{}");
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("question.asked")});
    flow_settle(w.flow);
    check_ok(db_write(w.db, arena, forget_in, NULL));
    static const char *const tables[] = {"flow_event", "flow_run", "flow_wait"};
    for (size_t i = 0; i < 3; i++)
        check_str(ask(&w, str_z(arena, str_printf(arena, "SELECT DISTINCT workspace_id FROM %s", tables[i]))), "2");
    check_int(count(&w, "SELECT count(*) FROM flow_step"), 2);
}

static struct err *send_thousand(struct db_tx *tx, void *messages)
{
    return flow_send_many(tx, messages, 1000, NULL);
}

TEST(flow, five_thousand_events_at_concurrency_ten_are_all_run)
{
    static const struct flow_function capture = {
        .name = "capture",
        .on = "thing.made",
        .run = run_one_step,
        .concurrency = {{.limit = 10, .key = "workspace"}},
        .start_within = SECONDS(1),
    };
    WORLD(w, &capture);
    struct flow_message messages[1000];
    for (int i = 0; i < 1000; i++) messages[i] = (struct flow_message){.workspace = 1, .name = STR("thing.made")};
    for (int i = 0; i < 5; i++) check_ok(db_write(w.db, arena, send_thousand, messages));
    flow_settle(w.flow);
    check_int(w.calls[1], 5000);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(flow, an_event_becomes_a_run_that_completes),
        RUN(flow, a_second_event_with_the_same_name_and_id_starts_nothing),
        RUN(flow, an_event_that_nobody_wants_is_not_stored),
        RUN(flow, events_that_break_the_rules_are_refused),
        RUN(flow, steps_execute_once_and_a_repeated_id_is_another_step),
        RUN(flow, a_failing_step_is_tried_again_after_a_while_and_recorded_steps_are_not),
        RUN(flow, a_step_that_fails_too_often_fails_the_run),
        RUN(flow, a_wait_returns_the_event_that_matches),
        RUN(flow, a_wait_returns_nothing_at_its_timeout_also_across_a_restart),
        RUN(flow, an_event_that_came_before_the_wait_was_armed_is_returned_and_only_once),
        RUN(flow, a_wait_may_have_a_condition_on_both_events),
        RUN(flow, a_wait_for_an_undeclared_event_fails_the_run),
        RUN(flow, sleepers_wake_after_a_restart_and_repeat_nothing),
        RUN(flow, a_run_sends_events_once_and_a_bad_one_fails_it),
        RUN(flow, invoke_returns_the_output_or_the_error_of_the_invoked_run),
        RUN(flow, cancelling_a_run_cancels_what_it_invoked),
        RUN(flow, parallel_steps_have_their_own_attempts),
        RUN(flow, nested_steps_are_an_error_at_first_use),
        RUN(flow, a_handler_that_swallows_errors_still_waits),
        RUN(flow, clock_and_ids_are_the_same_in_every_entry),
        RUN(flow, a_continued_run_is_the_same_job_under_a_fresh_run_id),
        RUN(flow, waiting_for_a_rate_limit_counts_no_attempt_and_not_as_the_runs_time),
        RUN(flow, a_step_that_failed_for_good_may_be_caught_and_stays_failed),
        RUN(flow, errors_between_steps_are_tried_again_too),
        RUN(flow, runs_claimed_together_commit_together_and_a_bad_one_fails_alone),
        RUN(flow, a_failed_run_is_resumed_at_its_failed_step),
        RUN(flow, a_finished_run_is_restarted_as_a_new_job_of_the_same_event),
        RUN(flow, job_lists_count_filter_and_stay_in_their_workspace),
        RUN(flow, watchers_hear_of_runs_after_the_commit),
        RUN(flow, events_sent_without_an_engine_are_dispatched_when_one_starts),
        RUN(flow, an_event_of_the_future_starts_its_run_then),
        RUN(flow, retention_removes_what_is_old_and_nothing_that_lives),
        RUN(flow, a_workspace_keeps_its_jobs_as_long_as_it_says),
        RUN(flow, a_long_past_is_swept_to_its_end_and_a_resumed_run_stays),
        RUN(flow, many_jobs_are_cancelled_resumed_and_restarted_at_once),
        RUN(flow, the_backlog_and_the_queues_are_counted),
        RUN(flow, a_forgotten_workspace_leaves_nothing_and_others_stay),
        RUN(flow, five_thousand_events_at_concurrency_ten_are_all_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
