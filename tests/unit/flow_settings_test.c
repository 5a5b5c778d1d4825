/* What the settings of a function do: batch, debounce, coalesce, limits, priority, timers, follow-ups. */
#include "flow_world.h"

#include <pthread.h>

/* Notes the data of all events and completes. */
static struct err *note_data(struct flow_run *run)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct world *w = run->context;
    pthread_mutex_lock(&lock);
    struct buf all = buf_in(w->notes);
    buf_str_add(&all, w->seen);
    if (w->seen.n) buf_char(&all, '|');
    for (size_t i = 0; i < run->event_count; i++) {
        const json_value *data;
        check_ok(json_parse(run->arena, run->events[i].data, &data));
        buf_printf(&all, "%s%lld", i ? "+" : "", (long long)json_int(data, "n", 0));
    }
    w->seen = buf_str(&all);
    w->calls[0]++;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static const struct flow_function batched = {
    .name = "batched", .on = "item.added", .run = note_data, .batch = {.max = 3, .timeout = SECONDS(5), .key = "store"},
};
static const struct flow_function debounced = {
    .name = "debounced",
    .on = "item.added",
    .run = note_data,
    .debounce = {.period = SECONDS(10), .at_most = SECONDS(25), .key = "store"},
};

/* ---- batch ------------------------------------------------------------------------------------------------------- */

TEST(flow, a_batch_closes_when_it_is_full)
{
    WORLD(w, &batched);
    send_and_settle(&w, "item.added", "{\"n\":1}");
    send_and_settle(&w, "item.added", "{\"n\":2}");
    check_int(w.calls[0], 0);
    send_and_settle(&w, "item.added", "{\"n\":3}");
    check_int(w.calls[0], 1);
    check_str(w.seen, "1+2+3");
    check_str(ask(&w, "SELECT outcome FROM flow_outcome ORDER BY event_seq"), "batched;batched");
}

TEST(flow, a_batch_closes_after_its_timeout_also_across_a_restart)
{
    WORLD(w, &batched);
    send_and_settle(&w, "item.added", "{\"n\":1,\"store\":\"a\"}");
    send_and_settle(&w, "item.added", "{\"n\":2,\"store\":\"b\"}");
    send_and_settle(&w, "item.added", "{\"n\":3,\"store\":\"b\"}");
    world_stop(&w);
    time_set(time_now() + SECONDS(6));
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[0], 2);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 2);
}

static struct err *refuse_two(struct flow_run *run)
{
    for (size_t i = 0; i < run->event_count; i++) {
        const json_value *data;
        TRY(json_parse(run->arena, run->events[i].data, &data));
        if (json_int(data, "n", 0) == 2) return err_new(run->arena, ERR_INVALID, "not two");
    }
    return note_data(run);
}

TEST(flow, one_bad_item_does_not_sink_the_rest_of_its_batch)
{
    static const struct flow_function picky = {
        .name = "picky", .on = "item.added", .run = refuse_two, .batch = {.max = 3, .timeout = SECONDS(5)}};
    WORLD(w, &picky);
    for (int i = 1; i <= 3; i++) send_json(&w, "item.added", str_z(arena, str_printf(arena, "{\"n\":%d}", i)));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT status FROM flow_run ORDER BY id"), "failed;completed;failed;completed");
}

/* ---- debounce ---------------------------------------------------------------------------------------------------- */

TEST(flow, a_debounced_run_has_the_last_event_after_a_quiet_period)
{
    WORLD(w, &debounced);
    send_and_settle(&w, "item.added", "{\"n\":1}");
    advance(&w, SECONDS(8));
    send_and_settle(&w, "item.added", "{\"n\":2}");
    advance(&w, SECONDS(8));
    check_int(w.calls[0], 0);
    advance(&w, SECONDS(3));
    check_str(w.seen, "2");
    check_str(ask(&w, "SELECT outcome FROM flow_outcome"), "debounced");
    send_and_settle(&w, "item.added", "{\"n\":3}");
    advance(&w, SECONDS(11));
    check_str(w.seen, "2|3");
}

TEST(flow, constant_traffic_cannot_postpone_a_debounced_run_for_ever)
{
    WORLD(w, &debounced);
    for (int i = 0; i < 4; i++) {
        send_and_settle(&w, "item.added", str_z(arena, str_printf(arena, "{\"n\":%d}", i)));
        advance(&w, SECONDS(7));
    }
    check_str(w.seen, "3");
}

TEST(flow, debounces_of_different_workspaces_do_not_meet)
{
    WORLD(w, &debounced);
    send_json(&w, "item.added", "{\"n\":1}");
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("item.added"), .data = STR("{\"n\":2}")});
    advance(&w, SECONDS(11));
    check_int(w.calls[0], 2);
}

/* ---- coalesce, idempotency, priority ----------------------------------------------------------------------------- */

static struct err *add_up(struct arena *arena, const json_value *queued, const json_value *incoming, struct str *merged)
{
    *merged = str_printf(arena, "{\"n\":%lld}", (long long)(json_int(queued, "n", 0) + json_int(incoming, "n", 0)));
    return NULL;
}

static struct err *pause_in(struct db_tx *tx, void *function) { return flow_pause(tx, str_of(function), true); }
static struct err *unpause_in(struct db_tx *tx, void *function) { return flow_pause(tx, str_of(function), false); }

TEST(flow, queued_runs_of_one_key_coalesce)
{
    static const struct flow_function merging = {
        .name = "merging", .on = "item.added", .run = note_data, .coalesce = {.key = "store", .merge = add_up}};
    WORLD(w, &merging);
    check_ok(db_write(w.db, arena, pause_in, "merging"));
    for (int i = 1; i <= 4; i++)
        send_json(&w, "item.added", str_z(arena, str_printf(arena, "{\"n\":%d,\"store\":\"a\"}", i)));
    flow_settle(w.flow);
    check_int(w.calls[0], 0); /* paused: it queues up */
    check_ok(db_write(w.db, arena, unpause_in, "merging"));
    flow_settle(w.flow);
    check_str(w.seen, "10");
    check_str(ask(&w, "SELECT outcome FROM flow_outcome"), "coalesced;coalesced;coalesced");
}

static struct err *fail_on_request(struct flow_run *run)
{
    TRY(note_data(run));
    return json_bool(flow_data(run), "fail", false) ? err_new(run->arena, ERR_INVALID, "as told") : NULL;
}

TEST(flow, an_idempotency_key_admits_one_run_a_day_and_is_released_by_failure)
{
    static const struct flow_function once = {
        .name = "once", .on = "item.added", .run = fail_on_request, .idempotency = "id"};
    WORLD(w, &once);
    send_and_settle(&w, "item.added", "{\"id\":\"x\",\"n\":1,\"fail\":true}");
    send_and_settle(&w, "item.added", "{\"id\":\"x\",\"n\":2}");
    send_and_settle(&w, "item.added", "{\"id\":\"x\",\"n\":3}");
    send_and_settle(&w, "item.added", "{\"n\":4}");
    send_and_settle(&w, "item.added", "{\"n\":5}");
    check_str(w.seen, "1|2|4|5");
    check_str(ask(&w, "SELECT outcome FROM flow_outcome"), "idempotent");
    advance(&w, HOURS(25));
    send_and_settle(&w, "item.added", "{\"id\":\"x\",\"n\":6}");
    check_str(w.seen, "1|2|4|5|6");
    int64_t deleted;
    time_set(time_now() + HOURS(25));
    check_ok(flow_sweep(w.db, arena, (struct flow_retention){0}, &deleted));
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE idempotency_key IS NOT NULL"), 0);
}

TEST(flow, priority_goes_first_and_equal_priority_in_order_of_acceptance)
{
    static const struct flow_function ranked = {
        .name = "ranked",
        .on = "item.added",
        .run = note_data,
        .priority = "if(history, -300, 0)",
        .concurrency = {{.limit = 1}},
    };
    WORLD(w, &ranked);
    check_ok(db_write(w.db, arena, pause_in, "ranked"));
    send_json(&w, "item.added", "{\"n\":1,\"history\":true}");
    for (int i = 2; i <= 4; i++) send_json(&w, "item.added", str_z(arena, str_printf(arena, "{\"n\":%d}", i)));
    check_ok(db_write(w.db, arena, unpause_in, "ranked"));
    flow_settle(w.flow);
    check_str(w.seen, "2|3|4|1");
}

TEST(flow, a_trigger_filter_is_an_outcome)
{
    static const struct flow_function choosy = {.name = "choosy", .on = "item.*", .when = "n > 1", .run = note_data};
    WORLD(w, &choosy);
    send_and_settle(&w, "item.added", "{\"n\":1}");
    send_and_settle(&w, "item.removed", "{\"n\":2}");
    check_str(w.seen, "2");
    check_str(ask(&w, "SELECT outcome FROM flow_outcome"), "filtered");
}

/* ---- concurrency ------------------------------------------------------------------------------------------------- */

static struct err *overlap(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    (void)arg;
    (void)result;
    int inside = ++w->calls[1];
    if (inside > w->calls[2]) w->calls[2] = inside;
    usleep(2000);
    w->calls[1]--;
    return NULL;
}

static struct err *run_overlapping(struct flow_run *run) { return flow_step(run, "overlap", overlap, NULL, NULL); }

static struct err *run_sleeping(struct flow_run *run)
{
    struct world *w = run->context;
    if (++w->calls[0] && json_int(flow_data(run), "n", 0) > 1) return NULL;
    return flow_sleep(run, "nap", MINUTES(1));
}

TEST(flow, no_more_steps_of_a_key_execute_at_once_than_the_limit)
{
    static const struct flow_function limited = {
        .name = "limited", .on = "item.added", .run = run_overlapping, .concurrency = {{.limit = 2, .key = "store"}}};
    WORLD(w, &limited);
    for (int i = 0; i < 20; i++) send_json(&w, "item.added", "{\"store\":\"a\"}");
    flow_settle(w.flow);
    check(w.calls[2] <= 2);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 20);
}

TEST(flow, the_second_limit_holds_too)
{
    static const struct flow_function twice = {
        .name = "twice", .on = "item.added", .run = run_overlapping,
        .concurrency = {{.limit = 3, .key = "store"}, {.limit = 1, .key = "workspace"}},
    };
    WORLD(w, &twice);
    for (int i = 0; i < 12; i++)
        send_json(&w, "item.added", str_z(arena, str_printf(arena, "{\"store\":\"%d\"}", i % 3)));
    flow_settle(w.flow);
    check_int(w.calls[2], 1);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), 12);
}

TEST(flow, a_limit_per_run_is_held_while_the_run_sleeps)
{
    static const struct flow_function exclusive = {.name = "exclusive",
                                                   .on = "item.added",
                                                   .run = run_sleeping,
                                                   .concurrency = {{.limit = 1, .key = "store", .per_run = true}}};
    WORLD(w, &exclusive);
    send_and_settle(&w, "item.added", "{\"store\":\"a\",\"n\":1}");
    send_and_settle(&w, "item.added", "{\"store\":\"a\",\"n\":2}");
    check_str(ask(&w, "SELECT status FROM flow_run ORDER BY id"), "waiting;queued");
    advance(&w, SECONDS(61));
    check_str(ask(&w, "SELECT status FROM flow_run ORDER BY id"), "completed;completed");
}

TEST(flow, a_limit_per_step_is_free_while_the_run_sleeps)
{
    static const struct flow_function shared = {
        .name = "shared", .on = "item.added", .run = run_sleeping, .concurrency = {{.limit = 1, .key = "store"}}};
    WORLD(w, &shared);
    send_and_settle(&w, "item.added", "{\"store\":\"a\",\"n\":1}");
    send_and_settle(&w, "item.added", "{\"store\":\"a\",\"n\":2}");
    check_str(ask(&w, "SELECT status FROM flow_run ORDER BY id"), "waiting;completed");
}

TEST(flow, a_large_backlog_of_one_workspace_does_not_hold_up_another)
{
    static const struct flow_function one_at_a_time = {
        .name = "slow", .on = "item.added", .run = note_data, .concurrency = {{.limit = 1}}};
    WORLD(w, &one_at_a_time);
    check_ok(db_write(w.db, arena, pause_in, "slow"));
    for (int i = 0; i < 50; i++) send_json(&w, "item.added", "{\"n\":1}");
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("item.added"), .data = STR("{\"n\":2}")});
    check_ok(db_write(w.db, arena, unpause_in, "slow"));
    flow_settle(w.flow);
    check(str_find(w.seen, STR("2"), 0) < 10);
}

/* ---- cancelling, following up, timeouts -------------------------------------------------------------------------- */

static struct err *note_follow_up(struct flow_run *run)
{
    struct world *w = run->context;
    const json_value *data = flow_data(run);
    w->seen =
        str_printf(w->notes, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(json_str(data, "functionId")),
                   STR_ARG(json_str(data, "error")), STR_ARG(json_text(run->arena, json_get(data, "event.data"))));
    return NULL;
}

static struct err *sleep_long(struct flow_run *run)
{
    struct world *w = run->context;
    TRY(flow_sleep(run, "long", HOURS(1)));
    w->calls[3]++;
    return NULL;
}

static const struct flow_function cancellable = {
    .name = "cancellable", .on = "item.added", .run = sleep_long, .on_cancel = note_follow_up,
    .cancel_on = {{.event = "source.disconnected", .match = "sourceId"}},
};

TEST(flow, an_event_cancels_the_sleeping_run_that_it_matches_and_no_other)
{
    WORLD(w, &cancellable);
    send_and_settle(&w, "item.added", "{\"sourceId\":\"a\"}");
    send_and_settle(&w, "item.added", "{\"sourceId\":\"b\"}");
    send_and_settle(&w, "item.added", "{}");
    send_and_settle(&w, "source.disconnected", "{\"sourceId\":\"a\"}");
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'cancellable' ORDER BY id"),
              "cancelled;waiting;waiting");
    check_str(w.seen, "cancellable cancelled by source.disconnected {\"sourceId\":\"a\"}");
    advance(&w, HOURS(2));
    check_int(w.calls[3], 2);
}

TEST(flow, on_failure_is_a_run_of_its_own)
{
    static const struct flow_function doomed = {
        .name = "doomed", .on = "item.added", .run = fail_on_request, .on_failure = note_follow_up};
    WORLD(w, &doomed);
    send_and_settle(&w, "item.added", "{\"fail\":true}");
    check_str(w.seen, "doomed as told {\"fail\":true}");
    check_str(ask(&w, "SELECT function || '=' || status FROM flow_run ORDER BY id"),
              "doomed=failed;doomed#failure=completed");
}

TEST(flow, a_run_that_takes_too_long_fails_with_timeout)
{
    static const struct flow_function hasty = {
        .name = "hasty", .on = "item.added", .run = sleep_long, .finish_within = MINUTES(10)};
    WORLD(w, &hasty);
    send_and_settle(&w, "item.added", "{}");
    advance(&w, MINUTES(11));
    check_str(ask(&w, "SELECT status || ':' || error FROM flow_run"), "failed:timeout");
}

TEST(flow, a_run_queued_too_long_is_cancelled_only_where_declared)
{
    static const struct flow_function patient = {
        .name = "patient", .on = "item.added", .run = note_data, .start_within = SECONDS(30)};
    static const struct flow_function fresh = {
        .name = "fresh", .on = "item.added", .run = note_data, .start_within = SECONDS(30), .cancel_late = true};
    WORLD(w, &patient, &fresh);
    check_ok(db_write(w.db, arena, pause_in, "patient"));
    check_ok(db_write(w.db, arena, pause_in, "fresh"));
    send_and_settle(&w, "item.added", "{}");
    time_set(time_now() + MINUTES(1));
    check_ok(db_write(w.db, arena, unpause_in, "patient"));
    check_ok(db_write(w.db, arena, unpause_in, "fresh"));
    flow_settle(w.flow);
    check_str(ask(&w, "SELECT function || '=' || status FROM flow_run ORDER BY function"),
              "fresh=cancelled;patient=completed");
}

TEST(flow, the_end_of_a_visible_run_is_told_and_that_of_its_listener_is_not)
{
    static const struct flow_function visible = {
        .name = "visible", .on = "item.added", .run = fail_on_request, .title = "'Item ' + n"};
    static const struct flow_function listener = {
        .name = "listener", .on = "job.completed job.failed function.failed", .run = note_data, .system = true};
    WORLD(w, &visible, &listener);
    send_and_settle(&w, "item.added", "{\"n\":7}");
    send_and_settle(&w, "item.added", "{\"n\":8,\"fail\":true}");
    check_str(ask(&w, "SELECT name FROM flow_event WHERE name <> 'item.added' ORDER BY seq"),
              "job.completed;function.failed;job.failed");
    check(mentions(ask(&w, "SELECT data FROM flow_event WHERE name = 'job.failed'"),
                   "\"name\":\"Item 8\",\"status\":\"failed\""));
}

/* ---- cron -------------------------------------------------------------------------------------------------------- */

static const struct flow_function hourly = {.name = "hourly", .cron = "@hourly", .run = note_data};

TEST(flow, a_cron_function_runs_at_each_tick)
{
    WORLD(w, &hourly);
    flow_settle(w.flow);
    check_int(w.calls[0], 0);
    advance(&w, MINUTES(61));
    advance(&w, MINUTES(1));
    check_int(w.calls[0], 1);
    advance(&w, MINUTES(60));
    check_int(w.calls[0], 2);
}

TEST(flow, after_a_downtime_the_last_missed_tick_runs_once)
{
    WORLD(w, &hourly);
    world_stop(&w);
    time_set(time_now() + HOURS(5) + MINUTES(3));
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[0], 1);
    world_stop(&w);
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[0], 1);
    check_str(ask(&w, "SELECT data FROM flow_run"), "{\"tick\":1704128400000}");
}

TEST(flow, wrong_settings_are_refused_at_the_start_with_the_functions_name)
{
    static const struct flow_function bad[] = {
        {.name = "no.run", .on = "x"},
        {.name = "bad.key", .on = "x", .run = note_data, .idempotency = "a +"},
        {.name = "bad.cron", .cron = "61 * * * *", .run = note_data},
        {.name = "both",
         .on = "x",
         .run = note_data,
         .batch = {.max = 2, .timeout = SECONDS(1)},
         .debounce = {.period = SECONDS(1)}},
        {.name = "retries", .on = "x", .run = note_data, .retries = 21},
    };
    WORLD(w, &hourly);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct flow *flow = flow_create(w.db, (struct flow_config){0});
        const struct flow_function *one = &bad[i];
        struct err *err = flow_register(flow, arena, &one, 1, NULL);
        check(err && err->code == ERR_INVALID);
        check(str_find(err->message, str_of(bad[i].name), 0) != SIZE_MAX);
        flow_destroy(flow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(flow, a_batch_closes_when_it_is_full),
        RUN(flow, a_batch_closes_after_its_timeout_also_across_a_restart),
        RUN(flow, one_bad_item_does_not_sink_the_rest_of_its_batch),
        RUN(flow, a_debounced_run_has_the_last_event_after_a_quiet_period),
        RUN(flow, constant_traffic_cannot_postpone_a_debounced_run_for_ever),
        RUN(flow, debounces_of_different_workspaces_do_not_meet),
        RUN(flow, queued_runs_of_one_key_coalesce),
        RUN(flow, an_idempotency_key_admits_one_run_a_day_and_is_released_by_failure),
        RUN(flow, priority_goes_first_and_equal_priority_in_order_of_acceptance),
        RUN(flow, a_trigger_filter_is_an_outcome),
        RUN(flow, no_more_steps_of_a_key_execute_at_once_than_the_limit),
        RUN(flow, the_second_limit_holds_too),
        RUN(flow, a_limit_per_run_is_held_while_the_run_sleeps),
        RUN(flow, a_limit_per_step_is_free_while_the_run_sleeps),
        RUN(flow, a_large_backlog_of_one_workspace_does_not_hold_up_another),
        RUN(flow, an_event_cancels_the_sleeping_run_that_it_matches_and_no_other),
        RUN(flow, on_failure_is_a_run_of_its_own),
        RUN(flow, a_run_that_takes_too_long_fails_with_timeout),
        RUN(flow, a_run_queued_too_long_is_cancelled_only_where_declared),
        RUN(flow, the_end_of_a_visible_run_is_told_and_that_of_its_listener_is_not),
        RUN(flow, a_cron_function_runs_at_each_tick),
        RUN(flow, after_a_downtime_the_last_missed_tick_runs_once),
        RUN(flow, wrong_settings_are_refused_at_the_start_with_the_functions_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
