/* feed_test.c - W/stream on a real server and engine: progress while a step runs, too much to tell, the end of it all. */
#include "api_world.h"
#include "unit/net_world.h"

#include <pthread.h>
#include <sys/un.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    bool            open;
};

struct world {
    struct fixture     f;
    int64_t            workspace;
    struct workers    *workers;
    struct net_server *server;
    struct gate        gate;
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

/* ---- the world --------------------------------------------------------------------------------------------------- */

static void world_begin(struct world *w, struct arena *arena)
{
    *w = (struct world){.gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}};
    fixture_start(&w->f, arena);
    fixture_engine(&w->f, functions, 1, &w->gate);
    w->workspace = main_workspace(w->f.app.db, arena).id;
    w->workers = workers_start(2, "test");
    check_ok(net_server_start(arena,
                              (struct net_server_config){.socket_path = str_printf(arena, "%s/s.sock", w->f.dir),
                                                         .workers = w->workers, .handler = api_handle, .arg = &w->f.app},
                              &w->server));
}

/* Sooner than the test where listeners are to hear of it. */
static void world_end(struct world *w)
{
    if (!w->server) return;
    open_gate(&w->gate);
    net_server_stop(w->server, 30000);
    w->server = NULL;
    workers_stop(w->workers);
    fixture_end(&w->f);
}
#define WORLD(name)                                                                                                    \
    struct world name __attribute__((cleanup(world_end)));                                                             \
    world_begin(&name, arena)

static int listen_to(struct world *w, struct arena *arena, const char *query, struct str last_id)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/s.sock", w->f.dir);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    struct str header = last_id.n ? str_printf(arena, "Last-Event-ID: " STR_FMT "\r\n", STR_ARG(last_id)) : STR("");
    say(fd, str_z(arena, str_printf(arena, "GET " W "/stream%s HTTP/1.1\r\nHost: h\r\n" STR_FMT "\r\n", query, STR_ARG(header))));
    check(mentions(hear_until(arena, fd, "\r\n\r\n"), "HTTP/1.1 200 "));
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
    return activity_record(tx, &(struct activity){.workspace = doing->world->workspace,
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
    for (int i = 0; i < doing->times; i++) check_ok(db_write(doing->world->f.app.db, arena, write_activity, doing));
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
    return flow_send(tx, .workspace = w->workspace, .name = STR("work.wanted"));
}

/* ---- tests --------------------------------------------------------------------------------------------------------------- */

TEST(feed, progress_is_heard_while_the_step_still_runs)
{
    WORLD(w);
    int fd = listen_to(&w, arena, "?topics=job", STR(""));
    check_ok(db_write(w.f.app.db, arena, write_event, &w));
    check(mentions(hear_until(arena, fd, "\"progress\":{\"phase\":\"work\",\"total\":2,\"done\":1}"), "event: job"));
    open_gate(&w.gate);
    struct str end = hear_until(arena, fd, "\"status\":\"completed\"");
    check(mentions(end, "\"name\":\"Slow work\""));
    close(fd);
}

TEST(feed, too_many_changed_jobs_are_a_reset)
{
    WORLD(w);
    int fd = listen_to(&w, arena, "?topics=job", STR(""));
    next_id(arena, fd);
    for (int i = 0; i < 2000; i++) {
        char id[22];
        snprintf(id, sizeof id, "%021d", i);
        api_job_changed(w.f.app.api, &(struct flow_change){.workspace = w.workspace, .public_id = {id, 21}, .status = "queued"});
    }
    hear_until(arena, fd, "event: reset\n");
    close(fd);
}

TEST(feed, too_many_activities_are_a_reset_and_later_ones_are_told_again)
{
    WORLD(w);
    int          fd = listen_to(&w, arena, "?topics=activity", STR(""));
    struct str   start = next_id(arena, fd);
    struct doing many = {&w, "many", 700}, one = {&w, "one", 1};
    close(fd);
    check_ok(db_write(w.f.app.db, arena, write_all, &many)); /* no look can see a part of them */
    fd = listen_to(&w, arena, "?topics=activity", start);
    hear_until(arena, fd, "event: reset\n");
    do_often(&one);
    hear_until(arena, fd, "\"entityName\":\"one\"");
    close(fd);
}

TEST(feed, who_comes_back_hears_only_what_was_missed)
{
    WORLD(w);
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
    check(!mentions(missed, "first"));
    check(!mentions(missed, "reset"));
    close(fd);
}

TEST(feed, an_id_of_another_time_is_a_reset)
{
    WORLD(w);
    int fd = listen_to(&w, arena, "", STR("12"));
    hear_until(arena, fd, "event: reset\ndata: {}\n\n");
    close(fd);
    fd = listen_to(&w, arena, "", STR("9007199254740993"));
    hear_until(arena, fd, "event: reset\ndata: {}\n\n");
    close(fd);
}

TEST(feed, listeners_come_and_go_while_much_happens_and_the_server_stops)
{
    WORLD(w);
    struct doing doing = {&w, "busy", 60};
    pthread_t    threads[3];
    int          fds[8];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, do_often, &doing);
    for (int i = 0; i < 8; i++) {
        fds[i] = listen_to(&w, arena, i % 2 ? "" : "?topics=activity,source", STR(""));
        check_ok(db_write(w.f.app.db, arena, write_event, &w));
        if (i % 3 == 0) close(fds[i]);
    }
    open_gate(&w.gate);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    world_end(&w);
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
