/* feed_test.c - W/stream on a real server and engine: progress while a step runs, too much to tell, the end of it all. */
#include "unit/net_world.h"
#include "directory.h"

#include "api/call.h"
#include "flow/flow.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/un.h>

#define STREAM "/v1/orgs/local/workspaces/main/stream"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    bool            open;
};

struct world {
    struct config      config;
    struct app         app;
    struct flow       *flow;
    struct workers    *workers;
    struct net_server *server;
    struct org_workspace workspace;
    struct gate        gate;
    char               dir[DIRECTORY_PATH];
};

/* ---- a function that says how far it is ------------------------------------------------------------------------------ */

static struct err *work_slowly(struct flow_run *run, void *arg, struct str *result)
{
    struct gate *gate = arg;
    (void)result;
    flow_progress(run, STR("{\"phase\":\"work\",\"total\":2,\"done\":1}"));
    pthread_mutex_lock(&gate->lock);
    while (!gate->open) pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

static struct err *run_slowly(struct flow_run *run)
{
    return flow_step(run, "work", work_slowly, run->context, NULL);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static const struct flow_function slow = {.name = "slow", .on = "work.wanted", .run = run_slowly, .title = "'Slow work'"};
static const struct flow_function *const functions[] = {&slow};

/* ---- the world --------------------------------------------------------------------------------------------------------- */

static void serve(struct world *w, struct arena *arena)
{
    *w = (struct world){.gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}};
    directory_make(w->dir);
    w->app.config = &w->config;
    check_ok(db_open(arena, (struct db_config){.data_dir = str_of(w->dir)}, &w->app.db));
    check_ok(org_prepare(w->app.db, arena));
    struct db_tx *tx = NULL;
    check_ok(db_read_begin(w->app.db, arena, &tx));
    check_ok(org_workspace_default(tx, STR(""), &w->workspace));
    db_read_end(&tx);
    w->app.api = api_create(&w->app);
    w->flow = flow_create(w->app.db, (struct flow_config){.workers = 2});
    check_ok(flow_register(w->flow, arena, functions, 1, &w->gate));
    flow_watch(w->flow, api_job_changed, w->app.api);
    check_ok(flow_start(w->flow, arena));
    w->workers = workers_start(2, "test");
    check_ok(net_server_start(arena,
                              (struct net_server_config){.socket_path = str_printf(arena, "%s/s.sock", w->dir),
                                                         .workers = w->workers, .handler = api_handle, .arg = &w->app},
                              &w->server));
}

static void finish(struct world *w)
{
    open_gate(&w->gate);
    net_server_stop(w->server, 30000);
    flow_stop(w->flow);
    workers_stop(w->workers);
    flow_destroy(w->flow);
    api_destroy(w->app.api);
    db_close(w->app.db);
    directory_remove(w->dir);
}

static int listen_to(struct world *w, struct arena *arena, const char *query, struct str last_id)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/s.sock", w->dir);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    struct str header = last_id.n ? str_printf(arena, "Last-Event-ID: " STR_FMT "\r\n", STR_ARG(last_id)) : STR("");
    say(fd, str_z(arena, str_printf(arena, "GET " STREAM "%s HTTP/1.1\r\nHost: h\r\n" STR_FMT "\r\n", query, STR_ARG(header))));
    check(has(hear_until(arena, fd, "\r\n\r\n"), "HTTP/1.1 200 "));
    return fd;
}

/* The number in the line "id: ..." that comes next. */
static struct str next_id(struct arena *arena, int fd)
{
    hear_until(arena, fd, "id: ");
    return str_trim(hear_until(arena, fd, "\n"));
}

struct doing { struct world *world; const char *name; int times; };

static struct err *write_activity(struct db_tx *tx, void *arg)
{
    const struct doing *doing = arg;
    return activity_record(tx, &(struct activity){.workspace = doing->world->workspace.id,
                                                  .actor = {.type = ACTIVITY_SYSTEM},
                                                  .action = STR("settings.updated"),
                                                  .entity_type = STR("setting"),
                                                  .entity_id = str_of(doing->name),
                                                  .entity_name = str_of(doing->name)});
}

static void *do_often(void *arg)
{
    struct doing *doing = arg;
    struct arena *arena ARENA_SCOPE = arena_create();
    for (int i = 0; i < doing->times; i++) check_ok(db_write(doing->world->app.db, arena, write_activity, doing));
    return NULL;
}

static struct err *write_all(struct db_tx *tx, void *arg)
{
    for (int i = 0; i < ((struct doing *)arg)->times; i++) TRY(write_activity(tx, arg));
    return NULL;
}

static struct err *write_event(struct db_tx *tx, void *arg)
{
    const struct world *w = arg;
    return flow_send(tx, .workspace = w->workspace.id, .name = STR("work.wanted"));
}

/* ---- tests --------------------------------------------------------------------------------------------------------------- */

TEST(feed, progress_is_heard_while_the_step_still_runs)
{
    struct world w;
    serve(&w, arena);
    int fd = listen_to(&w, arena, "?topics=job", STR(""));
    check_ok(db_write(w.app.db, arena, write_event, &w));
    check(has(hear_until(arena, fd, "\"progress\":{\"phase\":\"work\",\"total\":2,\"done\":1}"), "event: job"));
    open_gate(&w.gate);
    struct str end = hear_until(arena, fd, "\"status\":\"completed\"");
    check(has(end, "\"name\":\"Slow work\""));
    close(fd);
    finish(&w);
}

TEST(feed, too_many_changed_jobs_are_a_reset)
{
    struct world w;
    serve(&w, arena);
    int fd = listen_to(&w, arena, "?topics=job", STR(""));
    next_id(arena, fd);
    for (int i = 0; i < 2000; i++) {
        char id[22];
        snprintf(id, sizeof id, "%021d", i);
        api_job_changed(w.app.api, &(struct flow_change){.workspace = w.workspace.id, .public_id = {id, 21}, .status = "queued"});
    }
    hear_until(arena, fd, "event: reset\n");
    close(fd);
    finish(&w);
}

TEST(feed, too_many_activities_are_a_reset_and_later_ones_are_told_again)
{
    struct world w;
    serve(&w, arena);
    int          fd = listen_to(&w, arena, "?topics=activity", STR(""));
    struct str   start = next_id(arena, fd);
    struct doing many = {&w, "many", 700}, one = {&w, "one", 1};
    close(fd);
    check_ok(db_write(w.app.db, arena, write_all, &many)); /* no look can see a part of them */
    fd = listen_to(&w, arena, "?topics=activity", start);
    hear_until(arena, fd, "event: reset\n");
    do_often(&one);
    hear_until(arena, fd, "\"entityName\":\"one\"");
    close(fd);
    finish(&w);
}

TEST(feed, who_comes_back_hears_only_what_was_missed)
{
    struct world w;
    serve(&w, arena);
    int          fd = listen_to(&w, arena, "", STR(""));
    struct doing first = {&w, "first", 1}, second = {&w, "second", 1};
    next_id(arena, fd);
    do_often(&first);
    struct str id = next_id(arena, fd);
    hear_until(arena, fd, "\"entityName\":\"first\"");
    close(fd);
    do_often(&second);
    fd = listen_to(&w, arena, "", id);
    struct str missed = hear_until(arena, fd, "\"entityName\":\"second\"");
    check(!has(missed, "first"));
    check(!has(missed, "reset"));
    close(fd);
    finish(&w);
}

TEST(feed, an_id_of_another_time_is_a_reset)
{
    struct world w;
    serve(&w, arena);
    int fd = listen_to(&w, arena, "", STR("12"));
    hear_until(arena, fd, "event: reset\ndata: {}\n\n");
    close(fd);
    fd = listen_to(&w, arena, "", STR("9007199254740993"));
    hear_until(arena, fd, "event: reset\ndata: {}\n\n");
    close(fd);
    finish(&w);
}

TEST(feed, listeners_come_and_go_while_much_happens_and_the_server_stops)
{
    struct world w;
    serve(&w, arena);
    struct doing doing = {&w, "busy", 60};
    pthread_t    threads[3];
    int          fds[8];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, do_often, &doing);
    for (int i = 0; i < 8; i++) {
        fds[i] = listen_to(&w, arena, i % 2 ? "" : "?topics=activity,source", STR(""));
        check_ok(db_write(w.app.db, arena, write_event, &w));
        if (i % 3 == 0) close(fds[i]);
    }
    open_gate(&w.gate);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    finish(&w);
    for (int i = 0; i < 8; i++)
        if (i % 3) check(str_ends(hear_all(arena, fds[i]), STR("0\r\n\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(feed, progress_is_heard_while_the_step_still_runs),
        RUN(feed, too_many_changed_jobs_are_a_reset),
        RUN(feed, too_many_activities_are_a_reset_and_later_ones_are_told_again),
        RUN(feed, who_comes_back_hears_only_what_was_missed),
        RUN(feed, an_id_of_another_time_is_a_reset),
        RUN(feed, listeners_come_and_go_while_much_happens_and_the_server_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
