/* flow.c - runs per second through the engine, and the time from an accepted event to its first step.
 *   bench_flow DIRECTORY [RUNS]  prints one JSON object */
#include "base/time.h"
#include "flow/flow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDERS = 4, SEND_TOGETHER = 100, LATENCIES = 500 };

static _Atomic int64_t executed;
static _Atomic int64_t first_step_at;

static struct err *step(struct flow_run *run, void *arg, struct str *result)
{
    (void)run;
    (void)arg;
    if (atomic_fetch_add(&executed, 1) >= 0) atomic_store(&first_step_at, time_monotonic_us());
    *result = STR("{\"ok\":true}");
    return NULL;
}

static struct err *run_step(struct flow_run *run)
{
    return flow_step(run, "work", step, NULL, NULL);
}

static struct err *complete_all(struct db_tx *tx, void *arg)
{
    struct flow_run **runs = *(struct flow_run ***)arg;
    size_t            n = *(size_t *)((void **)arg + 1);
    for (size_t i = 0; i < n; i++) TRY(flow_complete_in(runs[i], tx));
    return NULL;
}

static struct err *run_together(struct flow_run **runs, size_t n)
{
    struct { struct flow_run **runs; size_t n; } batch = {runs, n};
    TRY(db_write(runs[0]->db, runs[0]->arena, complete_all, &batch));
    atomic_fetch_add(&executed, (int64_t)n);
    return NULL;
}

static const struct flow_function single = {
    .name = "bench.single", .on = "bench.single", .run = run_step, .retries = 3};
static const struct flow_function together = {
    .name = "bench.together", .on = "bench.together", .run_many = run_together, .together = 500};

struct sender {
    pthread_t  thread;
    struct db *db;
    struct str name;
    int        events;
};

static struct err *send_some(struct db_tx *tx, void *arg)
{
    struct sender *sender = arg;
    struct flow_message messages[SEND_TOGETHER];
    for (int i = 0; i < SEND_TOGETHER; i++)
        messages[i] = (struct flow_message){
            .workspace = 1, .name = sender->name, .data = STR("{\"sourceId\":\"src_1\",\"n\":12345}")};
    return flow_send_many(tx, messages, SEND_TOGETHER, NULL);
}

static void or_exit(struct err *err)
{
    if (!err) return;
    fprintf(stderr, "bench_flow: %.*s\n", STR_ARG(err->message));
    exit(1);
}

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    for (int sent = 0; sent < sender->events; sent += SEND_TOGETHER) {
        struct arena *arena ARENA_SCOPE = arena_create();
        or_exit(db_write(sender->db, arena, send_some, sender));
    }
    return NULL;
}

/* Events of both kinds count from the first send to the last recorded outcome. */
static double measure_rate(struct db *db, struct flow *flow, struct str name, int runs)
{
    struct sender senders[SENDERS];
    int64_t       began = time_monotonic_us();
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.db = db, .name = name, .events = runs / SENDERS};
        pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
    }
    for (int i = 0; i < SENDERS; i++) pthread_join(senders[i].thread, NULL);
    flow_settle(flow);
    return (double)runs * 1e6 / (double)(time_monotonic_us() - began);
}

static struct err *send_one(struct db_tx *tx, void *arg)
{
    (void)arg;
    return flow_send(tx, .workspace = 1, .name = STR("bench.single"), .data = STR("{}"));
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure_latency(struct db *db, struct flow *flow, int64_t latencies[LATENCIES])
{
    for (int i = 0; i < LATENCIES; i++) {
        struct arena *arena ARENA_SCOPE = arena_create();
        int64_t       before = atomic_load(&executed);
        or_exit(db_write(db, arena, send_one, NULL));
        int64_t accepted = time_monotonic_us();
        while (atomic_load(&executed) == before) usleep(20);
        latencies[i] = atomic_load(&first_step_at) - accepted;
        flow_settle(flow);
    }
    qsort(latencies, LATENCIES, sizeof *latencies, ascending);
}

int main(int argc, char **argv)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct db    *db;
    int64_t       latencies[LATENCIES];
    int           runs = argc > 2 ? atoi(argv[2]) : 50000;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_flow DIRECTORY [RUNS]\n");
        return 2;
    }
    or_exit(db_open(arena, (struct db_config){.data_dir = str_of(argv[1])}, &db));
    struct flow *flow = flow_create(db, (struct flow_config){0});
    const struct flow_function *functions[] = {&single, &together};
    or_exit(flow_register(flow, arena, functions, 2, NULL));
    or_exit(flow_start(flow, arena));
    double single_rate = measure_rate(db, flow, STR("bench.single"), runs);
    double together_rate = measure_rate(db, flow, STR("bench.together"), runs);
    measure_latency(db, flow, latencies);
    struct flow_numbers numbers = flow_numbers(flow);
    printf(
        "{\"singleStepRunsPerSecond\":%.0f,\"runsCompletedInTheirTransactionPerSecond\":%.0f,\"firstStepP50Ms\":%.2f,"
        "\"firstStepP99Ms\":%.2f,\"completed\":%llu,\"failed\":%llu}\n",
        single_rate, together_rate, (double)latencies[LATENCIES / 2] / 1000,
        (double)latencies[LATENCIES * 99 / 100] / 1000, (unsigned long long)numbers.completed,
        (unsigned long long)numbers.failed);
    flow_destroy(flow);
    db_close(db);
    return 0;
}
