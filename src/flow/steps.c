/* steps.c - what all steps share: entering, settling, retries, suspending. */
#include "flow/parts.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

/* Never written to. One for all: its address means nothing, the run knows that it is suspended. */
static struct err suspended = {.code = ERR_CANCELLED, .message = {"the run is suspended", 20}};

struct err *flow_suspend(struct flow_run_inside *in, int64_t wake_at)
{
    if (in->finish_at && wake_at > in->finish_at) wake_at = in->finish_at;
    in->suspended = true;
    in->wake_at = wake_at;
    if (in->outcome == OUTCOME_NONE) in->outcome = OUTCOME_SUSPENDED;
    return &suspended;
}

void flow_release(struct flow_run_inside *in)
{
    in->suspended = true;
    if (in->outcome == OUTCOME_NONE) in->outcome = OUTCOME_RELEASED;
}

struct step *flow_step_add(struct flow_run_inside *in, struct str key)
{
    if (!in->by_key) in->by_key = map_create(in->run.arena);
    struct step *step = NEW(in->run.arena, struct step);
    step->key = str_dup(in->run.arena, key);
    step->position = (int64_t)in->steps.n;
    *VEC_PUSH(in->run.arena, &in->steps) = step;
    *map_at(in->by_key, step->key) = (int64_t)in->steps.n;
    return step;
}

void flow_step_changed(struct flow_run_inside *in, struct step *step)
{
    if (!step->dirty) in->dirty++;
    step->dirty = true;
}

/* A repeated id gets ":1", ":2". */
static struct str unique_key(struct flow_run_inside *in, const char *id)
{
    if (!in->uses) in->uses = map_create(in->run.arena);
    int64_t used = (*map_at(in->uses, str_of(id)))++;
    return used ? str_printf(in->run.arena, "%s:%lld", id, (long long)used) : str_of(id);
}

static struct err *final_error(struct flow_run_inside *in, struct err *err)
{
    in->final_error = err;
    return err;
}

struct err *flow_enter(struct flow_run *run, const char *id, const char *op, struct step **step)
{
    struct flow_run_inside *in = run->inside;
    if (in->suspended) return &suspended;
    if (in->inside_step) return err_new(run->arena, ERR_INVALID, "step %s: steps do not nest", id);
    if (atomic_load(&in->stop)) {
        flow_release(in);
        return &suspended;
    }
    if (in->finish_at && time_now() >= in->finish_at)
        return final_error(in, err_new(run->arena, ERR_TIMEOUT, "timeout"));
    struct str key = unique_key(in, id);
    int64_t   *at = in->by_key ? map_find(in->by_key, key) : NULL;
    if (!at && in->steps.n >= FLOW_MAX_STEPS)
        return final_error(in, err_new(run->arena, ERR_TOO_LARGE, "a run has at most %d steps", FLOW_MAX_STEPS));
    *step = at ? in->steps.at[*at - 1] : flow_step_add(in, key);
    if (!at) (*step)->op = op, (*step)->started_at = time_now();
    return NULL;
}

struct err *flow_step_error(struct flow_run_inside *in, struct step *step)
{
    if (!step->raised) step->raised = err_new(in->run.arena, step->error_code, STR_FMT, STR_ARG(step->error));
    (void)in;
    return step->raised;
}

/* ---- retries ----------------------------------------------------------------------------------------------------- */

static const int64_t backoff[] = {
    SECONDS(10), SECONDS(30), MINUTES(1),  MINUTES(2), MINUTES(5),
    MINUTES(10), MINUTES(20), MINUTES(40), HOURS(1),   HOURS(2),
};

/* Times a random 0.8 to 1.2, so that what failed together does not come back together. */
static int64_t backoff_after(int64_t failures)
{
    enum { STEPS = sizeof backoff / sizeof *backoff };
    char chance[2];
    id_random_chars(chance, sizeof chance);
    int64_t base = backoff[failures < STEPS ? failures : STEPS - 1];
    return base * (800 + (chance[0] * 128 + chance[1]) % 401) / 1000;
}

static bool is_final(enum err_code code)
{
    return code == ERR_INVALID || code == ERR_UNAUTHORIZED || code == ERR_FORBIDDEN || code == ERR_NOT_FOUND ||
           code == ERR_TOO_LARGE;
}

bool flow_should_retry(struct flow_run_inside *in, const struct err *err, int64_t failures, int64_t limited_ms,
                       int64_t *at, bool *limited)
{
    enum verdict verdict = in->verdict;
    int64_t      now = time_now(), wait = in->verdict_at - now;
    in->verdict = VERDICT_BY_CODE;
    *limited = false;
    if (verdict == VERDICT_FAIL || (verdict == VERDICT_BY_CODE && is_final(err->code))) return false;
    if (verdict == VERDICT_LIMITED && limited_ms + wait <= HOURS(24)) {
        *limited = true;
        *at = wait > 0 ? now + wait : now;
        return true;
    }
    *at = now + (verdict == VERDICT_BY_CODE ? backoff_after(failures) : wait > 0 ? wait : 0);
    return failures < in->function->table->retries;
}

static void fail_step(struct flow_run_inside *in, struct step *step, struct err *err)
{
    step->status = STEP_FAILED;
    step->error = utf8_repair(in->run.arena, err_text(in->run.arena, err));
    step->error_code = err->code;
    step->raised = err;
    step->ended_at = time_now();
    step->due_at = 0;
    step->attempts++;
    step->attempt_kind = "error";
    flow_step_changed(in, step);
}

static struct err *settle_failure(struct flow_run_inside *in, struct step *step, struct err *err)
{
    int64_t at;
    bool    limited;
    if (atomic_load(&in->stop)) { /* cut off: uses up no attempt */
        flow_release(in);
        return &suspended;
    }
    if (!flow_should_retry(in, err, step->attempts, step->limited_ms, &at, &limited)) {
        fail_step(in, step, err);
        return flow_step_error(in, step);
    }
    int64_t now = time_now();
    step->status = STEP_RETRYING;
    step->error = utf8_repair(in->run.arena, err_text(in->run.arena, err));
    step->error_code = err->code;
    step->due_at = at;
    step->attempt_kind = limited ? "rate_limited" : "error";
    if (limited) {
        step->limited_ms += at - now;
        if (in->finish_at) in->finish_at += at - now; /* waiting for a provider is not the run's time */
    } else {
        step->attempts++;
    }
    flow_step_changed(in, step);
    atomic_fetch_add_explicit(&in->flow->retries, 1, memory_order_relaxed);
    return flow_suspend(in, at);
}

struct err *flow_settle_step(struct flow_run_inside *in, struct step *step, struct err *err, struct str result)
{
    if (!err && result.n > FLOW_MAX_RESULT_BYTES)
        err = flow_fail(&in->run, err_new(in->run.arena, ERR_TOO_LARGE, "a step's result has at most %d bytes",
                                          FLOW_MAX_RESULT_BYTES));
    if (!err && in->recorded_bytes + (int64_t)result.n > FLOW_MAX_RUN_BYTES)
        err = flow_fail(&in->run, err_new(in->run.arena, ERR_TOO_LARGE, "the steps of a run have at most %d bytes",
                                          FLOW_MAX_RUN_BYTES));
    if (err) return settle_failure(in, step, err);
    in->verdict = VERDICT_BY_CODE;
    step->status = STEP_COMPLETED;
    step->result = result.s ? utf8_repair(in->run.arena, str_dup(in->run.arena, result)) : result;
    step->error = (struct str){0};
    step->due_at = 0;
    step->ended_at = time_now();
    in->recorded_bytes += (int64_t)result.n;
    flow_step_changed(in, step);
    atomic_fetch_add_explicit(&in->flow->steps, 1, memory_order_relaxed);
    return NULL;
}
