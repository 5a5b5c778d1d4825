#include "flow_world.h"

/* ---- functions under test -------------------------------------------------------------------------------------------- */

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
static const struct flow_function three_steps = {.name = "three", .on = "thing.made", .run = run_three_steps, .retries = 3};
static const struct flow_function failing = {.name = "failing", .on = "thing.made", .run = run_failing, .retries = 2};

/* ---- events and runs -------------------------------------------------------------------------------------------------- */

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
    check_str(ask(&w, "SELECT step || '=' || result FROM flow_step ORDER BY position"), "a=\"1\" b=\"1\" a:1=\"1\"");
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
    check_str(ask(&w, "SELECT kind || ':' || error FROM flow_attempt ORDER BY number"), "error:failure 1 error:failure 2");
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
