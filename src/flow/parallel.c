/* parallel.c - several steps at once. The handler's own thread works on them, and so does every worker that is idle:
 * a busy engine makes them slower, never stuck. Results are recorded after every ROUND items. */
#include "flow/parts.h"

#include "base/time.h"

#include <stdlib.h>

enum { ROUND = 64 };

struct task {
    struct flow_item      *item;
    struct step           *step;
    struct flow_run_inside context; /* its own arena: threads do not share one */
    struct str             value;
    struct err            *err;
};

struct parallel {
    struct parallel *next;
    struct task     *tasks;
    size_t           n, taken, done; /* guarded by flow->lock */
};

static void execute(struct task *task)
{
    task->err = task->item->fn(&task->context.run, task->item->arg, &task->value);
}

/* lock is held and released meanwhile. False: nothing left to take. */
static bool take_and_execute(struct flow *flow, struct parallel *group)
{
    if (group->taken == group->n) return false;
    struct task *task = &group->tasks[group->taken++];
    pthread_mutex_unlock(&flow->lock);
    execute(task);
    pthread_mutex_lock(&flow->lock);
    if (++group->done == group->n) pthread_cond_broadcast(&flow->parallel_done);
    return true;
}

bool flow_parallel_help(struct flow *flow)
{
    for (struct parallel *group = flow->parallel; group; group = group->next)
        if (group->taken < group->n) return take_and_execute(flow, group);
    return false;
}

static void execute_round(struct flow *flow, struct task *tasks, size_t n)
{
    struct parallel group = {.tasks = tasks, .n = n};
    pthread_mutex_lock(&flow->lock);
    group.next = flow->parallel;
    flow->parallel = &group;
    pthread_cond_broadcast(&flow->work_wanted);
    while (take_and_execute(flow, &group)) continue;
    while (group.done < group.n) pthread_cond_wait(&flow->parallel_done, &flow->lock);
    struct parallel **at = &flow->parallel;
    while (*at != &group) at = &(*at)->next;
    *at = group.next;
    pthread_mutex_unlock(&flow->lock);
}

static void begin(struct task *task, struct flow_run_inside *in, struct flow_item *item, struct step *step)
{
    *task = (struct task){.item = item, .step = step};
    struct flow_run_inside *context = &task->context;
    context->run = in->run;
    context->run.arena = arena_create();
    context->run.inside = context;
    context->flow = in->flow;
    context->function = in->function;
    context->run_xid = in->run_xid;
    context->data = NULL; /* parsed in its own arena when wanted */
    context->whole = in;
    context->inside_step = true;
    context->current = NEW(context->run.arena, struct step);
    *context->current = *step;
}

/* Back on the handler's thread: take over what the task has left in its own arena. */
static void end(struct task *task, struct flow_run_inside *in)
{
    struct arena *arena = in->run.arena;
    struct err   *err = task->err;
    bool          was_suspended = in->suspended;
    if (err) err = err_new(arena, err->code, STR_FMT, STR_ARG(err_text(arena, err)));
    if (task->context.current->notes.s) task->step->notes = str_dup(arena, task->context.current->notes);
    in->verdict = task->context.verdict;
    in->verdict_at = task->context.verdict_at;
    int64_t earlier = in->wake_at;
    in->suspended = false;
    flow_settle_step(in, task->step, err, task->value);
    if (was_suspended) {
        if (!in->suspended || earlier < in->wake_at) in->wake_at = earlier;
        in->suspended = true;
    }
    arena_destroy(task->context.run.arena);
}

static struct err *run_round(struct flow_run_inside *in, struct flow_item *items, struct step **steps,
                             const size_t *which, size_t n)
{
    struct task *tasks = NEW_ARRAY(in->run.arena, struct task, n);
    TRY(flow_flush(in));
    for (size_t i = 0; i < n; i++) begin(&tasks[i], in, &items[which[i]], steps[which[i]]);
    execute_round(in->flow, tasks, n);
    for (size_t i = 0; i < n; i++) end(&tasks[i], in);
    return NULL;
}

static struct err *collect(struct flow_run_inside *in, struct flow_item *items, struct step **steps, size_t n,
                           bool settled)
{
    struct err *first = NULL;
    for (size_t i = 0; i < n; i++) {
        items[i].result = steps[i]->result;
        items[i].err = steps[i]->status == STEP_FAILED ? flow_step_error(in, steps[i]) : NULL;
        if (items[i].err && !first) first = items[i].err;
    }
    return settled ? NULL : first;
}

struct err *flow_parallel(struct flow_run *run, const char *id, struct flow_item *items, size_t n, bool settled)
{
    struct flow_run_inside *in = run->inside;
    struct step           **steps = NEW_ARRAY(run->arena, struct step *, n + 1);
    size_t                  which[ROUND], due = 0;
    int64_t                 wake_at = 0, now = time_now();
    if (n > FLOW_MAX_PARALLEL)
        return flow_fail(run, err_new(run->arena, ERR_TOO_LARGE, "at most %d steps run at once", FLOW_MAX_PARALLEL));
    for (size_t i = 0; i < n; i++)
        TRY(flow_enter(run, str_z(run->arena, str_printf(run->arena, "%s/%zu", id, i)), "run", &steps[i]));
    for (size_t i = 0; i < n; i++) {
        bool later = steps[i]->status == STEP_RETRYING && steps[i]->due_at > now;
        if (later && (!wake_at || steps[i]->due_at < wake_at)) wake_at = steps[i]->due_at;
        if (!later && steps[i]->status != STEP_COMPLETED && steps[i]->status != STEP_FAILED) which[due++] = i;
        if (due < ROUND && (i + 1 < n || due == 0)) continue;
        TRY(run_round(in, items, steps, which, due));
        due = 0;
        if (atomic_load(&in->stop)) break;
        if (in->suspended && (!wake_at || in->wake_at < wake_at)) wake_at = in->wake_at;
        in->suspended = false; /* until every item has had its turn */
    }
    if (atomic_load(&in->stop)) return flow_release(in), flow_suspend(in, 0);
    if (wake_at) return flow_suspend(in, wake_at);
    in->outcome = in->outcome == OUTCOME_SUSPENDED ? OUTCOME_NONE : in->outcome;
    return collect(in, items, steps, n, settled);
}
