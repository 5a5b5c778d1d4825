/* flow_test.c - how a run goes: events, steps, waits, sleeps, invocations, errors, completion in a transaction. */
#include "flow_functions.h"

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

TEST(flow, an_event_for_later_that_cannot_be_read_stands_in_nobodys_way)
{
    WORLD(w, &one_step);
    struct flow_message message = {.workspace = 1, .name = STR("thing.made"), .data = STR("{"), .later = true};
    check_int(send_message(&w, message), FLOW_ACCEPTED);
    message.data = STR("{\"n\":2}");
    check_int(send_message(&w, message), FLOW_ACCEPTED);
    flow_settle(w.flow);
    check_int(w.calls[1], 1);
    check_int(count(&w, "SELECT count(*) FROM flow_pending"), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(flow, an_event_becomes_a_run_that_completes),
        RUN(flow, a_second_event_with_the_same_name_and_id_starts_nothing),
        RUN(flow, an_event_that_nobody_wants_is_not_stored),
        RUN(flow, events_that_break_the_rules_are_refused),
        RUN(flow, an_event_for_later_that_cannot_be_read_stands_in_nobodys_way),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
