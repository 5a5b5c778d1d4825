/* flow_crash_test.c - what survives: kill -9 at every stage, lost leases, shutdown. KILLS=200 kills more often,
 * SLEEP_SECONDS=20 sleeps longer. */
#include "child.h"
#include "flow_world.h"
#include "fault/faulty_disk.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- a process to be killed -------------------------------------------------------------------------------------- */

/* Shared with children: what they have done, seen by the parent after their death. */
struct shared {
    _Atomic int64_t entered, effects, acknowledged, round;
    _Atomic int     ready;
};
static struct shared *shared;
static int            shared_file;

static void map_shared(int file)
{
    shared_file = file;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(shared != MAP_FAILED);
}

/* One for all tests, emptied for each. */
static void make_shared(void)
{
    if (!shared) {
        int file = memfd_create("flow-test", 0);
        check(file >= 0 && ftruncate(file, sizeof *shared) == 0);
        map_shared(file);
    }
    memset(shared, 0, sizeof *shared);
}

/* Do `part` in a process of its own, on the world's database, until it says it is ready and then `ms` longer. */
static void run_and_kill(struct world *w, const char *part, int ms)
{
    world_stop(w);
    db_close(w->db);
    w->db = NULL;
    atomic_store(&shared->ready, 0);
    pid_t child = CHILD(part, w->directory, str_z(w->arena, str_printf(w->arena, "%d", shared_file)));
    while (!atomic_load(&shared->ready)) check_int(waitpid(child, NULL, WNOHANG), 0), usleep(500);
    usleep((useconds_t)ms * 1000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    check_ok(db_open(w->arena, (struct db_config){.data_dir = str_of(w->directory)}, &w->db));
}

/* The other side: in the child, where `fn` sends and steps say that they are ready. */
static void live_until_killed(struct world *w, char *const arguments[CHILD_ARGUMENTS], void (*fn)(struct world *w))
{
    w->arena = arena_create();
    snprintf(w->directory, sizeof w->directory, "%s", arguments[0]);
    map_shared(atoi(arguments[1]));
    if (db_open(w->arena, (struct db_config){.data_dir = str_of(w->directory)}, &w->db)) _exit(1);
    world_start(w);
    fn(w);
    for (;;) pause();
}

/* PART(name, time, fn, &function, ...): a part for run_and_kill; time as for time_set. */
#define PART(name, time, fn, ...)                                                                                      \
    static void name(char *const arguments[CHILD_ARGUMENTS])                                                           \
    {                                                                                                                  \
        struct world w = {FUNCTIONS(__VA_ARGS__)};                                                                     \
        time_set(time);                                                                                                \
        live_until_killed(&w, arguments, fn);                                                                          \
    }

static void be_ready(void) { atomic_store(&shared->ready, 1); }

/* ---- inside a step ----------------------------------------------------------------------------------------------- */

static struct err *hang_at_first(struct flow_run *run, void *arg, struct str *result)
{
    (void)arg;
    *result = flow_token(run);
    if (atomic_fetch_add(&shared->entered, 1) > 0) return NULL;
    be_ready();
    for (;;) pause();
}

static struct err *count_before(struct flow_run *run, void *arg, struct str *result)
{
    (void)run;
    (void)arg;
    (void)result;
    atomic_fetch_add(&shared->effects, 1);
    return NULL;
}

static struct err *hang_inside(struct flow_run *run)
{
    TRY(flow_step(run, "before", count_before, NULL, NULL));
    return flow_step(run, "remote", hang_at_first, NULL, NULL);
}
static const struct flow_function hanging = {.name = "hanging", .on = "thing.made", .run = hang_inside, .retries = 0};

static void send_thing(struct world *w) { send_json(w, "thing.made", "{}"); }
PART(hang_in_a_step, NOON, send_thing, &hanging)

TEST(flow, a_step_cut_off_by_a_crash_runs_again_with_its_token_and_uses_no_retry)
{
    make_shared();
    WORLD(w, &hanging);
    run_and_kill(&w, "hang_in_a_step", 0);
    check_str(ask(&w, "SELECT status FROM flow_run"), "running");
    world_start(&w);
    flow_settle(w.flow);
    check_str(only_job(&w).status, "completed");
    check_int(shared->entered, 2);
    check_int(shared->effects, 1);
    check_str(ask(&w, "SELECT kind FROM flow_attempt"), "crash");
    struct str token = ask(&w, "SELECT result FROM flow_step WHERE step = 'remote'");
    check_str(token, str_z(arena, str_printf(arena, STR_FMT "/remote", STR_ARG(only_job(&w).run_id))));
}

static struct err *hang_always(struct flow_run *run)
{
    (void)run;
    be_ready();
    for (;;) pause();
    return NULL;
}
static const struct flow_function deadly = {.name = "deadly", .on = "thing.made", .run = hang_always, .retries = 20};
static void send_once(struct world *w)
{
    if (atomic_fetch_add(&shared->round, 1) == 0) send_json(w, "thing.made", "{}");
}
PART(hang_in_a_run, NOON, send_once, &deadly)

TEST(flow, a_run_whose_workers_died_five_times_fails)
{
    make_shared();
    WORLD(w, &deadly);
    for (int i = 0; i < 5; i++) run_and_kill(&w, "hang_in_a_run", 0);
    world_start(&w);
    flow_settle(w.flow);
    check_str(only_job(&w).status, "failed");
    check_str(only_job(&w).error, "worker_crashed");
}

/* ---- random instants --------------------------------------------------------------------------------------------- */

static void make_ledger(struct world *w)
{
    write_sql(w, "CREATE TABLE ledger (event TEXT NOT NULL, what TEXT NOT NULL)");
}

static struct err *write_ledger(struct db_tx *tx, struct flow_run *run, const char *what)
{
    return db_exec(tx, "INSERT INTO ledger (event, what) VALUES ($1, $2)", run->events[0].id, what);
}

static struct err *store_all(struct db_tx *tx, void *arg)
{
    struct { struct flow_run **runs; size_t n; } *all = arg;
    for (size_t i = 0; i < all->n; i++) {
        TRY(write_ledger(tx, all->runs[i], "stored"));
        TRY(flow_send(tx, .workspace = 1, .name = STR("thing.stored"), .id = all->runs[i]->events[0].id));
        TRY(flow_complete_in(all->runs[i], tx));
    }
    return NULL;
}
static struct err *store_together(struct flow_run **runs, size_t n)
{
    struct { struct flow_run **runs; size_t n; } all = {runs, n};
    return db_write(runs[0]->db, runs[0]->arena, store_all, &all);
}
static struct err *note_in(struct flow_run *run, struct db_tx *tx, void *arg, struct str *result)
{
    (void)result;
    return write_ledger(tx, run, arg);
}
static struct err *run_steps(struct flow_run *run)
{
    TRY(flow_step_in(run, "first", note_in, "first", NULL));
    TRY(flow_step_send(run, "tell", &(struct flow_message){.name = STR("thing.told")}, 1));
    TRY(flow_sleep(run, "nap", 1));
    return flow_step_in(run, "second", note_in, "second", NULL);
}
static struct err *hear(struct flow_run *run) { return flow_step_in(run, "heard", note_in, "heard", NULL); }

static const struct flow_function storing = {
    .name = "storing", .on = "thing.made", .run_many = store_together, .together = 50};
static const struct flow_function stepping = {.name = "stepping", .on = "thing.stored", .run = run_steps, .retries = 3};
static const struct flow_function hearing = {.name = "hearing", .on = "thing.told", .run = hear, .retries = 3};

static void *send_for_ever(void *arg)
{
    struct world *w = arg;
    int64_t       round = atomic_load(&shared->round);
    for (int64_t i = 0;; i++) {
        struct arena  *arena ARENA_SCOPE = arena_create();
        struct sending s = {
            .message = {.workspace = 1,
                        .name = STR("thing.made"),
                        .id = str_printf(arena, "r%lld-%p-%lld", (long long)round, (void *)&s, (long long)i)}};
        if (db_write(w->db, arena, send_in, &s) == NULL) atomic_fetch_add(&shared->acknowledged, 1);
        be_ready();
        if (i % 16 == 15) usleep(2000); /* slower than the engine */
    }
    return NULL;
}
static void send_in_threads(struct world *w)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, send_for_ever, w);
}
PART(send_at_random, 0, send_in_threads, &storing, &stepping, &hearing)

static int64_t runs_of(struct world *w, const char *function, const char *status)
{
    return count(w, str_z(w->arena, str_printf(w->arena, "SELECT count(*) FROM flow_run WHERE function = '%s' AND "
                                                         "status LIKE '%s'", function, status)));
}

static int64_t effects(struct world *w, const char *what)
{
    return count(w, str_z(w->arena, str_printf(w->arena, "SELECT count(*) FROM ledger WHERE what = '%s'", what)));
}

static void check_between(int64_t n, int64_t least, int64_t most) { check(n >= least && n <= most); }

/* On a busy machine one run may be what five processes in a row are killed at, and that ends it. */
static void check_only_crashed_five_times(struct world *w)
{
    check_int(count(w, "SELECT count(*) FROM flow_run WHERE status <> 'completed' AND (error <> 'worker_crashed' OR "
                       "(SELECT count(*) FROM flow_attempt a WHERE a.run_id = flow_run.id AND a.kind = 'crash') < 5)"),
              0);
}

TEST(flow, nothing_is_lost_doubled_or_left_running_when_killed_at_random_instants)
{
    make_shared();
    WORLD(w, &storing, &stepping, &hearing);
    make_ledger(&w);
    int kills = getenv("KILLS") ? atoi(getenv("KILLS")) : 12;
    srand(7);
    for (int i = 0; i < kills; i++) {
        time_set(0);
        atomic_fetch_add(&shared->round, 1);
        run_and_kill(&w, "send_at_random", 20 + rand() % 100);
    }
    world_start(&w);
    flow_settle(w.flow);
    while (count(&w, "SELECT count(*) FROM flow_run WHERE completed_at IS NULL") > 0) flow_settle(w.flow);
    int64_t events = count(&w, "SELECT count(*) FROM flow_event WHERE name = 'thing.made'");
    check(events >= shared->acknowledged && shared->acknowledged > 0);
    check_only_crashed_five_times(&w);
    check_int(runs_of(&w, "storing", "%"), events);
    check_int(effects(&w, "stored"), runs_of(&w, "storing", "completed"));
    check_int(runs_of(&w, "stepping", "%"), effects(&w, "stored"));
    check_between(effects(&w, "first"), runs_of(&w, "stepping", "completed"), runs_of(&w, "stepping", "%"));
    check_between(effects(&w, "second"), runs_of(&w, "stepping", "completed"), runs_of(&w, "stepping", "%"));
    check_between(runs_of(&w, "hearing", "%"), runs_of(&w, "stepping", "completed"), runs_of(&w, "stepping", "%"));
    check_between(effects(&w, "heard"), runs_of(&w, "hearing", "completed"), runs_of(&w, "hearing", "%"));
    check_int(
        count(&w, "SELECT count(*) FROM (SELECT 1 FROM ledger GROUP BY event, what HAVING count(*) > 1) AS doubled"),
        0);
}

/* ---- sleepers ---------------------------------------------------------------------------------------------------- */

enum { SLEEPERS = 100 };

static int sleep_seconds(void)
{
    return getenv("SLEEP_SECONDS") ? atoi(getenv("SLEEP_SECONDS")) : 4;
}

static struct err *sleep_between(struct flow_run *run)
{
    TRY(flow_step_in(run, "before", note_in, "before", NULL));
    TRY(flow_sleep(run, "nap", SECONDS(sleep_seconds())));
    return flow_step_in(run, "after", note_in, "after", NULL);
}
static const struct flow_function sleeper = {.name = "sleeper", .on = "thing.made", .run = sleep_between};

static void send_sleepers(struct world *w)
{
    for (int i = 0; i < SLEEPERS; i++) send_json(w, "thing.made", "{}");
    flow_settle(w->flow);
    be_ready();
}
PART(sleep_in_a_run, 0, send_sleepers, &sleeper)

TEST(flow, a_hundred_sleepers_survive_a_kill_each_step_once)
{
    make_shared();
    WORLD(w, &sleeper);
    make_ledger(&w);
    time_set(0);
    run_and_kill(&w, "sleep_in_a_run", sleep_seconds() * 1000 / 4);
    check_int(count(&w, "SELECT count(*) FROM ledger WHERE what = 'before'"), SLEEPERS);
    world_start(&w);
    while (count(&w, "SELECT count(*) FROM flow_run WHERE completed_at IS NULL") > 0) usleep(20000);
    check_int(count(&w, "SELECT count(*) FROM flow_run WHERE status = 'completed'"), SLEEPERS);
    check_int(count(&w, "SELECT count(*) FROM ledger WHERE what = 'after'"), SLEEPERS);
    check_int(count(&w, "SELECT count(*) FROM ledger"), 2 * SLEEPERS);
    check_int(count(&w, "SELECT count(*) FROM (SELECT 1 FROM ledger GROUP BY event, what) AS once"), 2 * SLEEPERS);
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

struct gate {
    _Atomic int entered, open;
};
static struct gate gate;

static struct err *wait_at_gate(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    (void)arg;
    *result = str_printf(run->arena, "%d", ++w->calls[1]);
    if (w->calls[1] > 1) return NULL;
    atomic_store(&gate.entered, 1);
    while (!atomic_load(&gate.open)) usleep(200);
    return NULL;
}
static struct err *run_gated(struct flow_run *run)
{
    struct world *w = run->context;
    struct str    result;
    TRY(flow_step(run, "gated", wait_at_gate, NULL, &result));
    TRY(flow_step_send(run, "tell", &(struct flow_message){.name = STR("thing.told")}, 1));
    w->calls[2]++;
    return flow_step(run, "after", count_before, NULL, NULL);
}
static const struct flow_function gated = {.name = "gated", .on = "thing.made", .run = run_gated, .retries = 3};
static struct err *do_nothing(struct flow_run *run) { (void)run; return NULL; }
static const struct flow_function told = {.name = "told", .on = "thing.told", .run = do_nothing};

/* The first of several processes on one database. */
#define SHARED_WORLD(w, ...)                                                                                           \
    struct world w WORLD_SCOPE = {FUNCTIONS(__VA_ARGS__), .config = {.shared = true, .workers = 2}};                   \
    world_open(&w, arena);                                                                                             \
    world_start(&w)

TEST(flow, a_process_whose_lease_ended_is_taken_over_and_can_record_nothing)
{
    make_shared();
    gate = (struct gate){0};
    SHARED_WORLD(w, &gated, &told);
    struct flow *paused = w.flow;
    send_json(&w, "thing.made", "{}");
    while (!atomic_load(&gate.entered)) usleep(200);
    write_sql(&w, "UPDATE flow_worker SET lease_until = 1");
    world_start(&w); /* another process: its start takes over what has no lease */
    flow_settle(w.flow);
    check_int(w.calls[1], 2);
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'gated'"), "completed");
    atomic_store(&gate.open, 1);
    flow_settle(paused);
    check_int(shared->effects, 1);
    check_str(ask(&w, "SELECT result FROM flow_step WHERE step = 'gated'"), "2");
    check_int(count(&w, "SELECT count(*) FROM flow_event WHERE name = 'thing.told'"), 1);
    check_str(ask(&w, "SELECT status FROM flow_run WHERE function = 'gated'"), "completed");
    flow_destroy(paused);
    flow_settle(w.flow);
}

TEST(flow, a_valid_lease_is_respected_by_another_process)
{
    make_shared();
    gate = (struct gate){0};
    SHARED_WORLD(w, &gated, &told);
    struct flow *first = w.flow;
    send_json(&w, "thing.made", "{}");
    while (!atomic_load(&gate.entered)) usleep(200);
    world_start(&w);
    flow_tick(w.flow);
    check_int(w.calls[1], 1);
    atomic_store(&gate.open, 1);
    flow_settle(first);
    flow_settle(w.flow);
    check_int(w.calls[1], 1);
    check_int(shared->effects, 1);
    flow_destroy(first);
}

TEST(flow, two_processes_share_a_cron_tick_without_doubling_it)
{
    static const struct flow_function hourly = {.name = "hourly", .cron = "@hourly", .run = do_nothing};
    SHARED_WORLD(w, &hourly);
    struct flow *first = w.flow;
    world_start(&w);
    time_set(time_now() + HOURS(1));
    flow_settle(first);
    flow_settle(w.flow);
    check_int(count(&w, "SELECT count(*) FROM flow_run"), 1);
    flow_destroy(first);
}

/* ---- shutdown and cancelling while a step executes --------------------------------------------------------------- */

static struct err *stop_when_asked(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    (void)arg;
    (void)result;
    if (++w->calls[1] > 1) return NULL;
    atomic_store(&gate.entered, 1);
    while (!flow_should_stop(run)) usleep(200);
    return err_new(run->arena, ERR_CANCELLED, "stopped");
}
static struct err *run_stoppable(struct flow_run *run) { return flow_step(run, "long", stop_when_asked, NULL, NULL); }
static const struct flow_function stoppable = {
    .name = "stoppable", .on = "thing.made", .run = run_stoppable, .retries = 0};

TEST(flow, a_step_cut_off_by_the_shutdown_runs_again_and_uses_up_no_attempt)
{
    gate = (struct gate){0};
    WORLD(w, &stoppable);
    send_json(&w, "thing.made", "{}");
    while (!atomic_load(&gate.entered)) usleep(200);
    check_int(flow_stop(w.flow), 0);
    world_stop(&w);
    check_str(ask(&w, "SELECT status FROM flow_run"), "queued");
    check_int(count(&w, "SELECT count(*) FROM flow_worker"), 0);
    world_start(&w);
    flow_settle(w.flow);
    check_int(w.calls[1], 2);
    check_str(only_job(&w).status, "completed");
    check_int(count(&w, "SELECT count(*) FROM flow_attempt"), 0);
}

TEST(flow, cancelling_reaches_the_executing_step)
{
    gate = (struct gate){0};
    WORLD(w, &stoppable);
    send_json(&w, "thing.made", "{}");
    while (!atomic_load(&gate.entered)) usleep(200);
    check_ok(db_write(w.db, arena, cancel_in, (void *)(intptr_t)1));
    flow_settle(w.flow);
    check_str(only_job(&w).status, "cancelled");
    check_str(only_job(&w).error, "by hand");
}

/* ---- a full disk ------------------------------------------------------------------------------------------------- */

static struct err *fill_the_disk(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    (void)arg;
    (void)result;
    w->calls[1]++;
    faulty_disk_size = 0;
    return NULL;
}
static struct err *run_filling(struct flow_run *run) { return flow_step(run, "fill", fill_the_disk, NULL, NULL); }
static const struct flow_function filling = {.name = "filling", .on = "thing.made", .run = run_filling, .retries = 3};

TEST(flow, outcomes_wait_while_the_disk_is_full_and_are_recorded_afterwards)
{
    WORLD(w, &filling);
    send_json(&w, "thing.made", "{}");
    while (!w.calls[1]) usleep(200);
    flow_tick(w.flow);
    check_err(db_write(w.db, arena, send_in, &(struct sending){.message = {.workspace = 1, .name = STR("thing.made")}}),
              ERR_UNAVAILABLE);
    flow_tick(w.flow);
    check_str(ask(&w, "SELECT status FROM flow_run"), "running");
    faulty_disk_size = -1;
    flow_settle(w.flow);
    check_str(only_job(&w).status, "completed");
    check_int(w.calls[1], 1);
}

int main(int argc, char **argv)
{
    static const struct child_part parts[] = {
        {"hang_in_a_step", hang_in_a_step},
        {"hang_in_a_run", hang_in_a_run},
        {"send_at_random", send_at_random},
        {"sleep_in_a_run", sleep_in_a_run},
    };
    child_play(parts, sizeof parts / sizeof *parts, argc, argv);
    faulty_disk_install();
    const struct CMUnitTest tests[] = {
        RUN(flow, a_step_cut_off_by_a_crash_runs_again_with_its_token_and_uses_no_retry),
        RUN(flow, a_run_whose_workers_died_five_times_fails),
        RUN(flow, nothing_is_lost_doubled_or_left_running_when_killed_at_random_instants),
        RUN(flow, a_hundred_sleepers_survive_a_kill_each_step_once),
        RUN(flow, a_process_whose_lease_ended_is_taken_over_and_can_record_nothing),
        RUN(flow, a_valid_lease_is_respected_by_another_process),
        RUN(flow, two_processes_share_a_cron_tick_without_doubling_it),
        RUN(flow, a_step_cut_off_by_the_shutdown_runs_again_and_uses_up_no_attempt),
        RUN(flow, cancelling_reaches_the_executing_step),
        RUN(flow, outcomes_wait_while_the_disk_is_full_and_are_recorded_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
