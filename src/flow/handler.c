/* handler.c - what a function calls: steps, waits, sleeps, and the properties of its job. */
#include "flow/parts.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

enum { DAYS_AT_MOST = 365 };

/* ---- steps that execute ------------------------------------------------------------------------------------------ */

/* True: the step has to be executed now. False: *err is what the handler gets. */
static bool must_execute(struct flow_run_inside *in, struct step *step, struct str *result, struct err **err)
{
    *err = NULL;
    if (step->status == STEP_COMPLETED) {
        if (result) *result = step->result;
        return false;
    }
    if (step->status == STEP_FAILED) {
        *err = flow_step_error(in, step);
        return false;
    }
    if (step->status == STEP_RETRYING && step->due_at > time_now()) {
        *err = flow_suspend(in, step->due_at);
        return false;
    }
    return true;
}

static void begin_step(struct flow_run_inside *in, struct step *step)
{
    in->current = step;
    in->inside_step = true;
    in->verdict = VERDICT_BY_CODE;
}

static void end_step(struct flow_run_inside *in)
{
    in->current = NULL;
    in->inside_step = false;
}

struct err *flow_step(struct flow_run *run, const char *id, flow_step_fn fn, void *arg, struct str *result)
{
    struct flow_run_inside *in = run->inside;
    struct step            *step;
    struct err             *err;
    struct str              value = {0};
    TRY(flow_enter(run, id, "run", &step));
    if (!must_execute(in, step, result, &err)) return err;
    TRY(flow_flush(in)); /* what the steps before have returned must not change any more once this one has effects */
    begin_step(in, step);
    err = fn(run, arg, &value);
    end_step(in);
    TRY(flow_settle_step(in, step, err, value));
    if (result) *result = step->result;
    return NULL;
}

struct step_in {
    struct flow_run *run;
    struct step     *step;
    flow_step_in_fn  fn;
    void            *arg;
    struct str       value;
};

static struct err *lease_holds(struct db_tx *tx, struct flow_run_inside *in)
{
    TRY(db_exec(tx, "UPDATE flow_run SET steps = $3, crashes = 0, updated_at = $4 WHERE id = $1 AND epoch = $2",
                in->run.id, in->epoch, (int64_t)in->steps.n, time_now()));
    if (db_changes(tx) == 1) return NULL;
    in->outcome = OUTCOME_LOST;
    return err_new(tx->arena, ERR_CANCELLED, "the lease of this run was lost");
}

static struct err *execute_in(struct db_tx *tx, void *arg)
{
    struct step_in         *call = arg;
    struct flow_run_inside *in = call->run->inside;
    struct step             before = *call->step;
    size_t                  dirty = in->dirty;
    TRY(lease_holds(tx, in));
    begin_step(in, call->step);
    call->value = (struct str){0};
    struct err *err = call->fn(call->run, tx, call->arg, &call->value);
    end_step(in);
    if (err) return err;
    if (call->value.n > FLOW_MAX_RESULT_BYTES)
        return flow_fail(call->run, err_new(tx->arena, ERR_TOO_LARGE, "a step's result has at most %d bytes",
                                            FLOW_MAX_RESULT_BYTES));
    struct step done = before;
    done.status = STEP_COMPLETED;
    done.result = call->value.s ? utf8_repair(tx->arena, call->value) : call->value;
    done.error = (struct str){0};
    done.due_at = 0;
    done.ended_at = time_now();
    *call->step = done;
    flow_step_changed(in, call->step);
    err = flow_record_steps(tx, in);
    *call->step = before; /* until the commit it has not happened */
    in->dirty = dirty;
    return err;
}

struct err *flow_step_in(struct flow_run *run, const char *id, flow_step_in_fn fn, void *arg, struct str *result)
{
    struct flow_run_inside *in = run->inside;
    struct step_in          call = {.run = run, .fn = fn, .arg = arg};
    struct err             *err;
    TRY(flow_enter(run, id, "run", &call.step));
    if (!must_execute(in, call.step, result, &err)) return err;
    err = db_write(run->db, run->arena, execute_in, &call);
    if (err && in->outcome == OUTCOME_LOST) return err;
    TRY(flow_settle_step(in, call.step, err, call.value));
    for (size_t i = 0; i < in->steps.n; i++) { /* recorded in that transaction */
        in->steps.at[i]->dirty = false;
        in->steps.at[i]->messages = NULL;
        in->steps.at[i]->attempt_kind = NULL;
    }
    in->dirty = 0;
    if (result) *result = call.step->result;
    return NULL;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static struct flow_message copy_message(struct arena *arena, const struct flow_message *message)
{
    struct flow_message copy = *message;
    copy.name = str_dup(arena, message->name);
    copy.data = str_dup(arena, message->data);
    copy.id = str_dup(arena, message->id);
    copy.caused_by = str_dup(arena, message->caused_by);
    return copy;
}

struct err *flow_step_send(struct flow_run *run, const char *id, const struct flow_message *messages, size_t n)
{
    struct flow_run_inside *in = run->inside;
    struct step            *step;
    size_t                  bytes = 0;
    TRY(flow_enter(run, id, "send", &step));
    if (step->status == STEP_COMPLETED) return NULL;
    struct flow_message *copies = NEW_ARRAY(run->arena, struct flow_message, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct err *err = flow_check_message(run->arena, &messages[i]);
        if (err) return flow_settle_step(in, step, flow_fail(run, err), (struct str){0});
        bytes += messages[i].data.n;
        copies[i] = copy_message(run->arena, &messages[i]);
    }
    if (n > FLOW_MAX_SEND || bytes > FLOW_MAX_SEND_BYTES)
        return flow_settle_step(
            in, step, flow_fail(run, err_new(run->arena, ERR_TOO_LARGE, "too much is sent at once")), (struct str){0});
    step->messages = copies;
    step->message_count = n;
    return flow_settle_step(in, step, NULL, str_printf(run->arena, "{\"sent\":%zu}", n));
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

struct timeout {
    struct flow_run_inside *in;
    struct step            *step;
    enum step_status        becomes;
    bool                    decided; /* by the timeout */
};

/* Event or child against timeout: whoever changes the row from "waiting" decides. */
static struct err *time_out(struct db_tx *tx, void *arg)
{
    struct timeout *t = arg;
    TRY(lease_holds(tx, t->in));
    TRY(db_exec(tx, "UPDATE flow_step SET status = $3, error = $4, error_code = $5, ended_at = $6 "
                    "WHERE run_id = $1 AND step = $2 AND status = 'waiting'",
                t->in->run.id, t->step->key, t->becomes == STEP_FAILED ? "failed" : "completed",
                t->becomes == STEP_FAILED ? "timeout" : NULL, (int)ERR_TIMEOUT, time_now()));
    t->decided = db_changes(tx) == 1;
    TRY(db_exec(tx, "DELETE FROM flow_wait WHERE run_id = $1 AND step = $2", t->in->run.id, t->step->key));
    if (t->decided) return NULL;
    struct db_rows rows;
    int64_t        code = 0;
    struct str     status = {0};
    TRY(db_query(tx, &rows,
                 "SELECT status, result, error, error_code, event_seq FROM flow_step WHERE run_id = $1 AND step = $2",
                 t->in->run.id, t->step->key));
    (void)db_next(&rows, &status, &t->step->result, &t->step->error, &code, &t->step->event_seq);
    t->step->error_code = (enum err_code)code;
    t->becomes = str_eq(status, STR("failed")) ? STEP_FAILED : STEP_COMPLETED;
    return db_done(&rows);
}

/* The step waits since an earlier entry: suspend again, or it has timed out. */
static struct err *still_waiting(struct flow_run_inside *in, struct step *step, enum step_status at_timeout)
{
    struct timeout t = {.in = in, .step = step, .becomes = at_timeout};
    if (time_now() < step->due_at) {
        in->recheck = step;
        return flow_suspend(in, step->due_at);
    }
    TRY(db_write(in->run.db, in->run.arena, time_out, &t));
    step->status = t.becomes;
    if (t.decided && t.becomes == STEP_FAILED) {
        step->error = STR("timeout");
        step->error_code = ERR_TIMEOUT;
    }
    return NULL;
}

static struct err *start_waiting(struct flow_run_inside *in, struct step *step, int64_t due_at)
{
    step->status = STEP_WAITING;
    step->due_at = due_at;
    flow_step_changed(in, step);
    return flow_suspend(in, due_at);
}

static struct err *read_event(struct flow_run_inside *in, int64_t seq, struct flow_event *event)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(in->run.db, in->run.arena, &tx));
    return flow_load_event(tx, seq, event);
}

static struct err *check_wait(struct flow_run_inside *in, const struct flow_wait *wait)
{
    const struct flow_expression *parsed;
    if (!wait->event || !flow_is_awaited(in->flow, str_of(wait->event)))
        return err_new(in->run.arena, ERR_INVALID, "%s is not among the function's .waits",
                       wait->event ? wait->event : "(no event)");
    return wait->when ? flow_expression_parse(in->run.arena, str_of(wait->when), &parsed) : NULL;
}

/* What the handler named may be on its stack; the wait is armed after it has returned. */
static const char *copy_z(struct arena *arena, const char *text)
{
    return text ? str_z(arena, str_of(text)) : NULL;
}

struct err *flow_wait_for(struct flow_run *run, const char *id, struct flow_event *done, struct flow_wait wait)
{
    struct flow_run_inside *in = run->inside;
    struct step            *step;
    *done = (struct flow_event){0};
    TRY(flow_enter(run, id, "wait", &step));
    if (step->status == STEP_NEW) {
        struct err *err = check_wait(in, &wait);
        if (err) return flow_settle_step(in, step, flow_fail(run, err), (struct str){0});
        step->wait = (struct flow_wait){.event = copy_z(run->arena, wait.event),
                                        .match = copy_z(run->arena, wait.match),
                                        .when = copy_z(run->arena, wait.when),
                                        .equals = str_dup(run->arena, wait.equals)};
        return start_waiting(in, step, time_now() + (wait.timeout ? wait.timeout : DAYS(DAYS_AT_MOST)));
    }
    if (step->status == STEP_WAITING) TRY(still_waiting(in, step, STEP_COMPLETED));
    if (step->status == STEP_FAILED) return flow_step_error(in, step);
    return step->event_seq ? read_event(in, step->event_seq, done) : NULL;
}

struct err *flow_invoke(struct flow_run *run, const char *id, const char *function, struct str data, int64_t timeout,
                        struct str *output)
{
    struct flow_run_inside *in = run->inside;
    struct step            *step;
    TRY(flow_enter(run, id, "invoke", &step));
    if (step->status == STEP_NEW) {
        const json_value *json;
        struct err       *err = json_parse(run->arena, data.n ? data : STR("{}"), &json);
        if (!err && (!json_is_object(json) || data.n > FLOW_MAX_EVENT_BYTES))
            err = err_new(run->arena, ERR_INVALID, "a function is invoked with a JSON object");
        if (!err && !flow_function_named(in->flow, str_of(function)))
            err = err_new(run->arena, ERR_INVALID, "there is no function %s", function);
        if (err) return flow_settle_step(in, step, flow_fail(run, err), (struct str){0});
        step->invoke = copy_z(run->arena, function);
        step->invoke_data = str_dup(run->arena, data.n ? data : STR("{}"));
        return start_waiting(in, step, time_now() + (timeout ? timeout : DAYS(DAYS_AT_MOST)));
    }
    if (step->status == STEP_WAITING) TRY(still_waiting(in, step, STEP_FAILED));
    if (step->status == STEP_FAILED) return flow_step_error(in, step);
    if (output) *output = step->result;
    return NULL;
}

struct err *flow_sleep_until(struct flow_run *run, const char *id, int64_t time)
{
    struct flow_run_inside *in = run->inside;
    struct step            *step;
    int64_t                 now = time_now();
    TRY(flow_enter(run, id, "sleep", &step));
    if (step->status == STEP_COMPLETED) return NULL;
    if (step->status == STEP_NEW)
        return start_waiting(in, step, time - now > DAYS(DAYS_AT_MOST) ? now + DAYS(DAYS_AT_MOST) : time);
    if (now < step->due_at) return flow_suspend(in, step->due_at);
    return flow_settle_step(in, step, NULL, (struct str){0});
}

struct err *flow_sleep(struct flow_run *run, const char *id, int64_t ms)
{
    return flow_sleep_until(run, id, time_now() + ms); /* only the first entry's time counts */
}

/* ---- recorded values --------------------------------------------------------------------------------------------- */

static struct err *recorded_value(struct flow_run *run, const char *id, struct str fresh, struct str *value)
{
    struct step *step;
    TRY(flow_enter(run, id, "value", &step));
    if (step->status == STEP_NEW) TRY(flow_settle_step(run->inside, step, NULL, fresh));
    *value = step->result;
    return NULL;
}

struct err *flow_now(struct flow_run *run, const char *id, int64_t *now)
{
    struct str value;
    TRY(recorded_value(run, id, str_printf(run->arena, "%lld", (long long)time_now()), &value));
    if (!str_to_int(value, now)) return err_new(run->arena, ERR_INTERNAL, "step %s holds no time", id);
    return NULL;
}

struct err *flow_new_id(struct flow_run *run, const char *id, const char *prefix, struct str *value)
{
    return recorded_value(run, id, id_new(run->arena, prefix), value);
}

/* ---- the run and its job ----------------------------------------------------------------------------------------- */

struct err *flow_continue(struct flow_run *run, struct str state)
{
    struct flow_run_inside *in = run->inside;
    if (in->suspended) return flow_suspend(in, in->wake_at);
    in->new_state = utf8_repair(run->arena, str_dup(run->arena, state.s ? state : STR("")));
    in->run_xid = id_new(run->arena, "");
    in->outcome = OUTCOME_CONTINUED;
    return flow_suspend(in, 0);
}

const json_value *flow_data(struct flow_run *run)
{
    struct flow_run_inside *in = run->inside;
    if (!in->data && json_parse(run->arena, run->events[0].data, &in->data)) in->data = NULL;
    return in->data;
}

static struct str job_text(struct flow_run *run, struct str text)
{
    return utf8_repair(run->arena, str_dup(run->arena, text));
}

void flow_title(struct flow_run *run, struct str title)
{
    run->inside->new_title = job_text(run, utf8_head(title, 200));
}
void flow_input(struct flow_run *run, struct str json) { run->inside->new_input = job_text(run, json); }
void flow_output(struct flow_run *run, struct str json) { run->inside->new_output = job_text(run, json); }

void flow_progress(struct flow_run *run, struct str json)
{
    struct flow_run_inside *in = run->inside;
    in->new_progress = job_text(run, json);
    flow_tell(in->flow, &(struct flow_change){.workspace = run->workspace,
                                              .public_id = run->public_id,
                                              .system = in->function->table->system,
                                              .status = "running",
                                              .progress = in->new_progress});
}

struct str flow_token(struct flow_run *run)
{
    struct flow_run_inside *in = run->inside;
    struct str              id = in->run_xid.s ? in->run_xid : run->public_id;
    return str_printf(run->arena, "run_" STR_FMT "/" STR_FMT, STR_ARG(id),
                      STR_ARG(in->current ? in->current->key : STR("")));
}

void flow_note(struct flow_run *run, struct str json)
{
    if (run->inside->current) run->inside->current->notes = job_text(run, json);
}

static struct err *decide(struct flow_run *run, struct err *err, enum verdict verdict, int64_t at)
{
    run->inside->verdict = verdict;
    run->inside->verdict_at = at;
    return err;
}

struct err *flow_retry_after(struct flow_run *run, struct err *err, int64_t time)
{
    return decide(run, err, VERDICT_RETRY_AT, time);
}
struct err *flow_rate_limited(struct flow_run *run, struct err *err, int64_t reset)
{
    return decide(run, err, VERDICT_LIMITED, reset);
}
struct err *flow_fail(struct flow_run *run, struct err *err) { return decide(run, err, VERDICT_FAIL, 0); }

bool flow_should_stop(struct flow_run *run)
{
    struct flow_run_inside *whole = run->inside->whole ? run->inside->whole : run->inside;
    return atomic_load_explicit(&whole->stop, memory_order_relaxed);
}
