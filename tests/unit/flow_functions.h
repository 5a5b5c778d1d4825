/* flow_functions.h - functions that several tests of the engine run: one step, three, one that fails, sleeps or waits. */
#pragma once
#include "flow_world.h"

static inline struct err *count_step(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    w->calls[(intptr_t)arg]++;
    *result = str_printf(run->arena, "\"%d\"", (int)w->calls[(intptr_t)arg]);
    return NULL;
}

static inline struct err *run_one_step(struct flow_run *run)
{
    struct str result;
    TRY(flow_step(run, "work", count_step, (void *)1, &result));
    flow_output(run, result);
    return NULL;
}

static inline struct err *run_three_steps(struct flow_run *run)
{
    struct str results[3];
    TRY(flow_step(run, "a", count_step, (void *)1, &results[0]));
    TRY(flow_step(run, "b", count_step, (void *)2, &results[1]));
    TRY(flow_step(run, "a", count_step, (void *)3, &results[2]));
    flow_output(run, str_join(run->arena, results, 3, STR("")));
    return NULL;
}

static inline struct err *fail_at_first(struct flow_run *run, void *arg, struct str *result)
{
    struct world *w = run->context;
    int           call = ++w->calls[1];
    (void)arg;
    if (call <= w->fail_times) return err_new(run->arena, ERR_UNAVAILABLE, "failure %d", call);
    *result = STR("1");
    return NULL;
}

static inline struct err *run_failing(struct flow_run *run)
{
    TRY(flow_step(run, "before", count_step, (void *)2, NULL));
    return flow_step(run, "fragile", fail_at_first, NULL, NULL);
}

static const struct flow_function one_step = {.name = "one", .on = "thing.made", .run = run_one_step, .retries = 3};
static const struct flow_function three_steps = {
    .name = "three", .on = "thing.made", .run = run_three_steps, .retries = 3};
static const struct flow_function failing = {.name = "failing", .on = "thing.made", .run = run_failing, .retries = 2};

static inline struct err *wait_for_answer(struct flow_run *run)
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

static inline struct err *sleep_between(struct flow_run *run)
{
    TRY(flow_step(run, "before", count_step, (void *)1, NULL));
    TRY(flow_sleep(run, "nap", HOURS(3)));
    return flow_step(run, "after", count_step, (void *)2, NULL);
}
