/* worker.c - the threads that execute handlers, and what an entry of a handler amounts to. */
#include "flow/parts.h"

#include "base/log.h"
#include "base/time.h"

enum { TOGETHER = 100, TOGETHER_AT_MOST = 1000 };

/* ---- one entry --------------------------------------------------------------------------------------------------- */

/* Did the handler return what a step has failed with for good? */
static bool is_final(const struct flow_run_inside *in, const struct err *err)
{
    for (const struct err *e = err; e; e = e->cause) {
        if (e == in->final_error) return true;
        for (size_t i = 0; i < in->steps.n; i++)
            if (in->steps.at[i]->raised == e) return true;
    }
    return false;
}

static void retry_or_fail(struct flow_run_inside *in, struct err *err)
{
    bool limited;
    in->error = err;
    in->outcome = OUTCOME_FAILED;
    if (is_final(in, err)) return;
    if (flow_should_retry(in, err, in->run.attempt, 0, &in->wake_at, &limited)) in->outcome = OUTCOME_RETRY;
}

static void decide(struct flow_run_inside *in, struct err *err)
{
    if (atomic_load(&in->committed)) {
        if (err)
            log_warn("flow", "%s returned an error after its completion: " STR_FMT, in->function->name,
                     STR_ARG(err->message));
        in->outcome = OUTCOME_RECORDED;
        return;
    }
    if (in->outcome != OUTCOME_NONE) return; /* lost, suspended, released, continued */
    if (!err && in->completing)
        err = err_new(in->run.arena, ERR_UNAVAILABLE, "the transaction that completed the run was not committed");
    if (err && atomic_load(&in->stop))
        in->outcome = OUTCOME_RELEASED;
    else if (err)
        retry_or_fail(in, err);
    else
        in->outcome = OUTCOME_COMPLETED;
}

/* False: the run needs no handler any more. */
static bool may_begin(struct flow_run_inside *in)
{
    if (in->outcome != OUTCOME_NONE) return false;
    if (in->cancel_reason.s || atomic_load(&in->stop)) {
        flow_release(in);
        return false;
    }
    if (in->finish_at && time_now() >= in->finish_at) {
        in->error = err_new(in->run.arena, ERR_TIMEOUT, "timeout");
        in->outcome = OUTCOME_FAILED;
        return false;
    }
    return true;
}

static struct err *note_begin_in(struct db_tx *tx, void *arg)
{
    struct flow_run_inside *in = arg;
    return db_exec(tx, "UPDATE flow_run SET begun = 1 WHERE id = $1 AND epoch = $2", in->run.id, in->epoch);
}

/* A run that was orphaned may be what kills the process: its beginning is written down, so that it can be counted. */
static bool note_begin(struct flow_run_inside *in)
{
    if (in->crashes == 0 || !db_write(in->run.db, in->run.arena, note_begin_in, in)) return true;
    flow_release(in);
    return false;
}

static void execute_one(struct flow_run_inside *in)
{
    if (!may_begin(in) || !note_begin(in)) return;
    struct flow_run *run = &in->run;
    in->completing = false;
    in->uses = NULL; /* an entry after that of a batch finds the steps of it */
    in->verdict = VERDICT_BY_CODE;
    if (in->function->run)
        decide(in, in->function->run(run));
    else
        decide(in, in->function->table->run_many(&run, 1));
}

static void execute_many(struct flow_run_inside **batch, size_t n)
{
    struct arena     *arena ARENA_SCOPE = arena_create();
    struct flow_run **runs = NEW_ARRAY(arena, struct flow_run *, n);
    size_t            begun = 0;
    for (size_t i = 0; i < n; i++)
        if (may_begin(batch[i])) runs[begun++] = &batch[i]->run;
    struct err *err = begun > 1 ? batch[0]->function->table->run_many(runs, begun) : NULL;
    if (err)
        log_warn("flow", "%s: a batch of %zu goes one by one: " STR_FMT, batch[0]->function->name, begun,
                 STR_ARG(err->message));
    for (size_t i = 0; i < begun; i++) {
        struct flow_run_inside *in = runs[i]->inside;
        if (atomic_load(&in->committed))
            in->outcome = OUTCOME_RECORDED;
        else
            execute_one(in);
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static struct flow_run_inside *pop(struct flow *flow)
{
    struct flow_run_inside *in = flow->ready;
    flow->ready = in->next;
    if (!flow->ready) flow->ready_end = &flow->ready;
    in->next = NULL;
    return in;
}

/* The oldest claimed run; for a function that takes many, those behind it that are alike. */
static size_t take(struct flow *flow, struct flow_run_inside *batch[TOGETHER_AT_MOST])
{
    size_t                  n = 1, limit = 1;
    struct flow_run_inside *first = batch[0] = pop(flow);
    const struct flow_function *table = first->function->table;
    if (table->run_many) limit = table->together ? (size_t)table->together : TOGETHER;
    if (limit > TOGETHER_AT_MOST) limit = TOGETHER_AT_MOST;
    if (first->crashes) limit = 1; /* if it kills, then itself alone */
    while (n < limit && flow->ready && !flow->ready->crashes && flow->ready->function == first->function &&
           flow->ready->run.workspace == first->run.workspace)
        batch[n++] = pop(flow);
    return n;
}

static void give_back(struct flow *flow, struct flow_run_inside **batch, size_t n, double each_us)
{
    struct function *function = batch[0]->function;
    function->mean_us = function->mean_us == 0 ? each_us : function->mean_us * 0.9 + each_us * 0.1;
    for (size_t i = 0; i < n; i++) {
        *flow->finished_end = batch[i];
        flow->finished_end = &batch[i]->next;
    }
    pthread_cond_broadcast(&flow->turn_wanted);
}

static void work(struct flow *flow, struct flow_run_inside *batch[TOGETHER_AT_MOST])
{
    size_t n = take(flow, batch);
    flow->executing += n;
    pthread_mutex_unlock(&flow->lock);
    int64_t began = time_monotonic_us();
    if (batch[0]->function->table->run_many && n > 1)
        execute_many(batch, n);
    else
        execute_one(batch[0]);
    double each_us = (double)(time_monotonic_us() - began + 1) / (double)n;
    pthread_mutex_lock(&flow->lock);
    flow->executing -= n;
    give_back(flow, batch, n, each_us);
}

void *flow_worker_main(void *arg)
{
    struct flow            *flow = arg;
    struct flow_run_inside *batch[TOGETHER_AT_MOST];
    db_write_patiently();
    pthread_mutex_lock(&flow->lock);
    for (;;) {
        if (flow->ready)
            work(flow, batch);
        else if (flow_parallel_help(flow))
            continue;
        else if (flow->workers_end)
            break;
        else
            pthread_cond_wait(&flow->work_wanted, &flow->lock);
    }
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}
