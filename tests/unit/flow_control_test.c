/* flow_control_test.c - what can be done with runs and seen of them: resume, restart, lists, watchers, retention, bulk. */
#include "flow_functions.h"

/* ---- by hand ----------------------------------------------------------------------------------------------------- */

static struct err *resume_in(struct db_tx *tx, void *run) { return flow_resume(tx, (int64_t)(intptr_t)run); }
static struct err *restart_in(struct db_tx *tx, void *run)
{
    struct flow_job fresh;
    TRY(flow_restart(tx, (int64_t)(intptr_t)run, STR("user_1"), &fresh));
    check(str_starts(fresh.public_id, STR("job_")));
    return NULL;
}

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

TEST(flow, an_engine_that_cannot_start_leaves_what_is_sent_to_the_next)
{
    WORLD(w, &one_step);
    world_stop(&w);
    write_sql(&w, "ALTER TABLE flow_worker RENAME TO flow_worker_away");
    w.flow = flow_create(w.db, w.config);
    check_ok(flow_register(w.flow, arena, w.functions, w.function_count, &w));
    check_err(flow_start(w.flow, arena), ERR_INTERNAL);
    world_stop(&w);
    write_sql(&w, "ALTER TABLE flow_worker_away RENAME TO flow_worker");
    check_int(send_json(&w, "thing.made", "{}"), FLOW_ACCEPTED);
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[1], 1);
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
        RUN(flow, a_failed_run_is_resumed_at_its_failed_step),
        RUN(flow, a_finished_run_is_restarted_as_a_new_job_of_the_same_event),
        RUN(flow, job_lists_count_filter_and_stay_in_their_workspace),
        RUN(flow, watchers_hear_of_runs_after_the_commit),
        RUN(flow, events_sent_without_an_engine_are_dispatched_when_one_starts),
        RUN(flow, an_engine_that_cannot_start_leaves_what_is_sent_to_the_next),
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
