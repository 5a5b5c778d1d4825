/* jobs_test.c - lists and counts of jobs: filters, states, pages, without an engine too. */
#include "flow_world.h"

static struct err *run_nothing(struct flow_run *run)
{
    (void)run;
    return NULL;
}

static struct err *run_failing(struct flow_run *run)
{
    return flow_fail(run, err_new(run->arena, ERR_INVALID, "no"));
}

static struct err *run_sleeping(struct flow_run *run)
{
    return flow_sleep(run, "night", HOURS(8));
}

static struct err *run_waiting(struct flow_run *run)
{
    struct flow_event done;
    return flow_wait(run, "answer", &done, .event = "answer.given", .match = "n");
}

static struct err *run_invoking(struct flow_run *run)
{
    struct str output;
    return flow_invoke(run, "call", "sleeper", STR("{}"), HOURS(9), &output);
}

static const struct flow_function plain = {
    .name = "plain", .on = "made", .run = run_nothing, .title = "'Make ' + name", .source = "sourceId"};
static const struct flow_function hidden = {.name = "hidden", .on = "made", .run = run_nothing, .system = true};
static const struct flow_function failing = {.name = "failing", .on = "broken", .run = run_failing};
static const struct flow_function sleeper = {.name = "sleeper", .on = "slept", .run = run_sleeping};
static const struct flow_function asking = {
    .name = "asking", .on = "asked", .run = run_waiting, .waits = {"answer.given"}};
static const struct flow_function caller = {.name = "caller", .on = "called", .run = run_invoking};
static const struct flow_function gathering = {.name = "gathering", .on = "heard", .run = run_nothing,
                                               .debounce = {.period = MINUTES(5)}};

struct listed { struct flow_job *at; size_t n; };

static struct listed list(struct world *w, struct flow_job_filter filter)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct listed    listed;
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(flow_job_list(tx, 1, filter, &listed.at, &listed.n));
    return listed;
}
#define LIST(w, ...) list((w), (struct flow_job_filter){__VA_ARGS__})

static struct str counts_of(struct world *w, struct flow_job_filter filter)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    int64_t          n[5];
    check_ok(db_read_begin(w->db, w->arena, &tx));
    check_ok(flow_job_counts(tx, 1, filter, n));
    return str_printf(w->arena, "%d %d %d %d %d", (int)n[0], (int)n[1], (int)n[2], (int)n[3], (int)n[4]);
}
#define COUNTS(w, ...) counts_of((w), (struct flow_job_filter){__VA_ARGS__})

static struct err *pause_plain(struct db_tx *tx, void *paused)
{
    return flow_pause(tx, STR("plain"), paused != NULL);
}

static struct err *cancel_first(struct db_tx *tx, void *arg)
{
    (void)arg;
    return flow_cancel(tx, 1, STR("enough"));
}

TEST(jobs, every_way_of_being_alive_is_listed_and_counted)
{
    WORLD(w, &plain, &sleeper, &asking, &caller, &gathering);
    check_ok(db_write(w.db, arena, pause_plain, &w));
    static const char *const names[] = {"made", "slept", "asked", "called", "heard"};
    for (size_t i = 0; i < 5; i++) send_and_settle(&w, names[i], "{\"n\":1}");
    check_str(COUNTS(&w, .limit = 0), "2 4 0 0 0"); /* the call made a second sleeper */
    check_int(LIST(&w, .limit = 0).n, 6);
    check_int(LIST(&w, .statuses = {STR("queued")}).n, 2);
    struct listed running = LIST(&w, .statuses = {STR("running")});
    check_int(running.n, 4);
    check(running.at[0].waiting);
    check_str(running.at[0].status, "running");
    check_int(count(&w, "SELECT count(*) FROM flow_run"), 6);
}

TEST(jobs, a_list_is_newest_first_over_all_statuses_and_pages_do_not_overlap)
{
    WORLD(w, &plain, &failing, &sleeper);
    static const char *const names[] = {"made", "broken", "slept"};
    for (int i = 0; i < 9; i++) send_and_settle(&w, names[i % 3], "{}");
    int64_t       expected = 9, before = 0;
    struct listed page;
    while ((page = LIST(&w, .limit = 2, .before = before)).n) {
        for (size_t i = 0; i < page.n; i++) check_int(page.at[i].id, expected--);
        before = page.at[page.n - 1].id;
    }
    check_int(expected, 0);
    check_str(COUNTS(&w, .limit = 0), "0 3 3 3 0");
}

TEST(jobs, each_filter_leaves_out_what_it_does_not_name)
{
    WORLD(w, &plain, &failing, &sleeper);
    send_and_settle(&w, "slept", "{}");
    check_ok(db_write(w.db, arena, cancel_first, NULL));
    advance(&w, HOURS(3));
    send_and_settle(&w, "made", "{\"name\":\"Tea 100%\",\"sourceId\":\"src_1\"}");
    send_message(&w, (struct flow_message){.workspace = 1, .name = STR("made"), .cause = FLOW_WEBHOOK,
                                           .data = STR("{\"name\":\"cake\",\"sourceId\":\"src_2\"}")});
    send_and_settle(&w, "broken", "{}");
    const struct { struct flow_job_filter filter; const char *counts; } rows[] = {
        {{.limit = 0}, "0 0 2 1 1"},
        {{.functions = {STR("failing"), STR("sleeper")}}, "0 0 0 1 1"},
        {{.functions = {STR("fail%")}}, "0 0 0 0 0"},
        {{.triggers = {STR("webhook"), STR("manual")}}, "0 0 1 0 0"},
        {{.triggers = {STR("nobody")}}, "0 0 0 0 0"},
        {{.source = STR("src_1")}, "0 0 1 0 0"},
        {{.query = STR("TEA 100%")}, "0 0 1 0 0"},
        {{.query = STR("_ake")}, "0 0 0 0 0"},
        {{.query = STR("ing")}, "0 0 0 1 0"}, /* without a title: the function's name */
        {{.from = NOON + HOURS(3)}, "0 0 2 1 0"},
        {{.to = NOON + HOURS(3)}, "0 0 0 0 1"},
        {{.parent = 77}, "0 0 0 0 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_str(counts_of(&w, rows[i].filter), rows[i].counts);
        int64_t total = 0;
        for (const char *c = rows[i].counts; *c; c++) total += *c == ' ' ? 0 : *c - '0';
        check_int(list(&w, rows[i].filter).n, total);
    }
    check_int(LIST(&w, .statuses = {STR("failed"), STR("cancelled")}).n, 2);
    check_str(COUNTS(&w, .statuses = {STR("failed")}), "0 0 2 1 1"); /* of each tab, whichever is open */
}

TEST(jobs, hidden_functions_are_left_out_and_counted_on_request_without_an_engine_too)
{
    WORLD(w, &plain, &hidden);
    send_and_settle(&w, "made", "{}");
    world_stop(&w);
    check_int(LIST(&w, .limit = 0).n, 1);
    check_str(COUNTS(&w, .limit = 0), "0 0 1 0 0");
    check_str(COUNTS(&w, .with_system = true), "0 0 2 0 0");
    struct listed all = LIST(&w, .with_system = true);
    check_int(all.n, 2);
    check_int(all.at[0].system + all.at[1].system, 1);
}

TEST(jobs, another_workspace_sees_none_of_them)
{
    WORLD(w, &plain, &sleeper);
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("made")});
    send_message(&w, (struct flow_message){.workspace = 2, .name = STR("slept")});
    flow_settle(w.flow);
    check_int(LIST(&w, .with_system = true).n, 0);
    check_str(COUNTS(&w, .with_system = true), "0 0 0 0 0");
    check_str(COUNTS(&w, .query = STR("a")), "0 0 0 0 0");
}

struct bulk { enum flow_action action; struct flow_job_filter filter; int64_t count; };

static struct err *bulk_in(struct db_tx *tx, void *arg)
{
    struct bulk *bulk = arg;
    return flow_bulk(tx, 1, bulk->action, bulk->filter, &bulk->count);
}

TEST(jobs, a_bulk_action_reaches_those_it_fits_however_many_it_does_not)
{
    WORLD(w, &plain, &failing);
    send_and_settle(&w, "broken", "{}");
    for (int i = 0; i < 5; i++) send_and_settle(&w, "made", "{}");
    struct bulk resume = {FLOW_RESUME, .filter = {.limit = 3}};
    check_ok(db_write(w.db, arena, bulk_in, &resume));
    check_int(resume.count, 1);
    struct bulk none = {FLOW_CANCEL, .filter = {.statuses = {STR("completed")}}};
    check_ok(db_write(w.db, arena, bulk_in, &none));
    check_int(none.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(jobs, every_way_of_being_alive_is_listed_and_counted),
        RUN(jobs, a_list_is_newest_first_over_all_statuses_and_pages_do_not_overlap),
        RUN(jobs, each_filter_leaves_out_what_it_does_not_name),
        RUN(jobs, hidden_functions_are_left_out_and_counted_on_request_without_an_engine_too),
        RUN(jobs, another_workspace_sees_none_of_them),
        RUN(jobs, a_bulk_action_reaches_those_it_fits_however_many_it_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
