/* record.c - writing down what an entry of a handler has brought: its steps, and how it ended. */
#include "flow/parts.h"

#include "base/time.h"
#include "base/utf8.h"

static const char *const status_names[] = {
    [STEP_WAITING] = "waiting", [STEP_RETRYING] = "retrying", [STEP_COMPLETED] = "completed", [STEP_FAILED] = "failed",
};

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static struct err *write_step(struct db_tx *tx, struct flow_run_inside *in, const struct step *step)
{
    const struct db_value values[] = {
        db_of_int(in->run.id),
        db_of_str(step->key),
        db_of_int(step->position),
        db_of_z(step->op),
        db_of_z(status_names[step->status]),
        db_of_str(step->result),
        db_of_str(step->error),
        db_of_int((int)step->error_code),
        db_of_int(step->attempts),
        db_of_int(step->limited_ms),
        null_if_zero(step->due_at),
        null_if_zero(step->event_seq),
        db_of_str(step->notes),
        db_of_int(step->started_at),
        null_if_zero(step->ended_at),
    };
    TRY(db_exec_values(
        tx,
        "INSERT INTO flow_step (run_id, step, position, op, status, result, error, error_code, attempts, "
        "limited_ms, due_at, event_seq, notes, started_at, ended_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "ON CONFLICT (run_id, step) DO UPDATE SET status = excluded.status, result = excluded.result, "
        "error = excluded.error, error_code = excluded.error_code, attempts = excluded.attempts, "
        "limited_ms = excluded.limited_ms, due_at = excluded.due_at, notes = excluded.notes, "
        "event_seq = excluded.event_seq, ended_at = excluded.ended_at",
        values, sizeof values / sizeof *values));
    if (!step->attempt_kind) return NULL;
    return db_exec(tx, "INSERT INTO flow_attempt (run_id, step, number, at, kind, error, owner) "
                       "SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6 FROM flow_attempt "
                       "WHERE run_id = $1 AND step = $2",
                   in->run.id, step->key, time_now(), step->attempt_kind, step->error, in->flow->worker);
}

static struct err *send_messages(struct db_tx *tx, struct flow_run_inside *in, const struct step *step)
{
    struct flow_message *messages = NEW_ARRAY(tx->arena, struct flow_message, step->message_count);
    for (size_t i = 0; i < step->message_count; i++) {
        messages[i] = step->messages[i];
        messages[i].parent_run = in->run.id;
        if (!messages[i].workspace) messages[i].workspace = in->run.workspace;
        if (!messages[i].id.n)
            messages[i].id = str_printf(tx->arena, "run_" STR_FMT "-%016llx-%zu",
                                        STR_ARG(in->run_xid.s ? in->run_xid : in->run.public_id),
                                        (unsigned long long)hash_str(step->key), i);
    }
    return flow_send_many(tx, messages, step->message_count, NULL);
}

static struct err *start_invoked(struct db_tx *tx, struct flow_run_inside *in, struct step *step)
{
    struct new_run run = {.function = flow_function_named(in->flow, str_of(step->invoke)),
                          .workspace = in->run.workspace,
                          .parent_run = in->run.id,
                          .parent_step = step->key,
                          .event_name = STR("flow.invoked"),
                          .data = step->invoke_data,
                          .cause = (enum flow_cause)in->cause,
                          .caused_by = in->caused_by};
    TRY(json_parse(tx->arena, run.data, &run.json));
    return flow_run_insert(tx, in->flow, &run, NULL);
}

struct err *flow_record_steps(struct db_tx *tx, struct flow_run_inside *in)
{
    if (!in->dirty) return NULL;
    in->wake_now = false;
    for (size_t i = 0; i < in->steps.n; i++) {
        struct step *step = in->steps.at[i];
        if (!step->dirty) continue;
        TRY(write_step(tx, in, step));
        if (step->messages) TRY(send_messages(tx, in, step));
        if (step->invoke) TRY(start_invoked(tx, in, step));
        if (step->wait.event && step->status == STEP_WAITING) TRY(flow_arm_wait(tx, in, step, &in->wake_now));
    }
    return NULL;
}

static void steps_are_recorded(struct flow_run_inside *in)
{
    for (size_t i = 0; i < in->steps.n; i++) {
        struct step *step = in->steps.at[i];
        step->dirty = false;
        step->messages = NULL;
        step->invoke = NULL;
        step->attempt_kind = NULL;
    }
    in->dirty = 0;
}

static struct err *flush_in(struct db_tx *tx, void *arg)
{
    struct flow_run_inside *in = arg;
    TRY(db_exec(tx,
                "UPDATE flow_run SET steps = $3, crashes = 0, progress = coalesce($4, progress), updated_at = $5 "
                "WHERE id = $1 AND epoch = $2",
                in->run.id, in->epoch, (int64_t)in->steps.n, in->new_progress, time_now()));
    if (db_changes(tx) == 0) {
        in->outcome = OUTCOME_LOST;
        return err_new(tx->arena, ERR_CANCELLED, "the lease of this run was lost");
    }
    return flow_record_steps(tx, in);
}

struct err *flow_flush(struct flow_run_inside *in)
{
    if (!in->dirty) return NULL;
    TRY(db_write(in->run.db, in->run.arena, flush_in, in));
    steps_are_recorded(in);
    return NULL;
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

static struct err *end_as(struct db_tx *tx, struct flow_run_inside *in, const char *status, struct str error,
                          enum err_code code)
{
    struct ending ending = {.run = in->run.id, .epoch = in->epoch, .status = status, .error = error, .error_code = code,
                            .output = in->new_output, .input = in->new_input, .title = in->new_title,
                            .progress = in->new_progress, .in = in};
    bool ended;
    TRY(flow_end_run(tx, in->flow, &ending, &ended));
    return ended ? flow_record_steps(tx, in) : NULL;
}

/* While the handler ran, the event or the child that it waits for may have come: nobody has woken it. */
static struct err *recheck(struct db_tx *tx, struct flow_run_inside *in)
{
    struct db_rows rows;
    int64_t        one;
    if (!in->recheck) return NULL;
    TRY(db_query(tx, &rows, "SELECT 1 FROM flow_step WHERE run_id = $1 AND step = $2 AND status <> 'waiting'",
                 in->run.id, in->recheck->key));
    in->wake_now = db_next(&rows, &one);
    return db_done(&rows);
}

/* Leave the run to a later claim: waiting with a time, or queued. False in *left: the lease is lost or the run
 * cancelled. */
static struct err *leave(struct db_tx *tx, struct flow_run_inside *in, const char *status, int64_t failures, bool *left)
{
    bool keeps_slot = in->function->table->concurrency[0].per_run && in->function->table->concurrency[0].limit;
    TRY(flow_record_steps(tx, in));
    TRY(recheck(tx, in));
    bool    now = in->wake_now || !in->wake_at;
    int64_t ready = now ? time_now() : in->wake_at;
    TRY(db_exec(tx, "UPDATE flow_run SET status = $3, owner = NULL, queued = $4, wake_at = $5, ready = $6, holds = $7, "
                    "steps = $8, failures = $9, title = coalesce($10, title), input = coalesce($11, input), "
                    "output = coalesce($12, output), progress = coalesce($13, progress), finish_at = $14, armed = $15, "
                    "crashes = CASE WHEN $8 > steps THEN 0 ELSE crashes END, updated_at = $16 "
                    "WHERE id = $1 AND epoch = $2 AND cancel_reason IS NULL",
                in->run.id, in->epoch, status, now, now ? 0 : in->wake_at, ready - in->advantage, keeps_slot,
                (int64_t)in->steps.n, failures, in->new_title, in->new_input, in->new_output, in->new_progress,
                in->finish_at, in->armed, time_now()));
    *left = db_changes(tx) == 1;
    return NULL;
}

static struct err *continue_fresh(struct db_tx *tx, struct flow_run_inside *in, bool *left)
{
    TRY(db_exec(
        tx,
        "UPDATE flow_run SET status = 'queued', owner = NULL, queued = 1, wake_at = NULL, ready = $3 - advantage, "
        "steps = 0, failures = 0, crashes = 0, state = $4, run_xid = $5, finish_at = NULL, wait_after = NULL, "
        "title = coalesce($6, title), input = coalesce($7, input), output = coalesce($8, output), "
        "progress = coalesce($9, progress), updated_at = $3 WHERE id = $1 AND epoch = $2 AND cancel_reason IS NULL",
        in->run.id, in->epoch, time_now(), in->new_state, in->run_xid, in->new_title, in->new_input, in->new_output,
        in->new_progress));
    *left = db_changes(tx) == 1;
    if (!*left) return NULL;
    TRY(flow_record_steps(tx, in)); /* what the last steps sent */
    TRY(db_exec(tx, "DELETE FROM flow_attempt WHERE run_id = $1", in->run.id));
    return db_exec(tx, "DELETE FROM flow_step WHERE run_id = $1", in->run.id);
}

static struct err *note_failure(struct db_tx *tx, struct flow_run_inside *in)
{
    struct str text = utf8_repair(tx->arena, err_text(tx->arena, in->error));
    return db_exec(tx, "INSERT INTO flow_attempt (run_id, step, number, at, kind, error, owner) "
                       "SELECT $1, '', coalesce(max(number), 0) + 1, $2, 'error', $3, $4 FROM flow_attempt "
                       "WHERE run_id = $1 AND step = ''", in->run.id, time_now(), text, in->flow->worker);
}

struct lease {
    bool       ours;
    struct str cancel_reason;
};

static struct err *read_lease(struct db_tx *tx, struct flow_run_inside *in, struct lease *lease)
{
    struct db_rows rows;
    *lease = (struct lease){0};
    TRY(db_query(tx, &rows, "SELECT cancel_reason FROM flow_run WHERE id = $1 AND epoch = $2 AND completed_at IS NULL",
                 in->run.id, in->epoch));
    lease->ours = db_next(&rows, &lease->cancel_reason);
    return db_done(&rows);
}

/* Recorded only while the lease holds: steps written beside a refused outcome would be another's. */
static struct err *record_left(struct db_tx *tx, struct flow_run_inside *in)
{
    struct lease lease;
    bool         left;
    TRY(read_lease(tx, in, &lease));
    if (!lease.ours) return NULL;
    if (lease.cancel_reason.s) return end_as(tx, in, "cancelled", lease.cancel_reason, ERR_CANCELLED);
    switch (in->outcome) {
    case OUTCOME_RETRY: TRY(note_failure(tx, in)); return leave(tx, in, "waiting", in->run.attempt + 1, &left);
    case OUTCOME_RELEASED: in->wake_at = 0; return leave(tx, in, "queued", in->run.attempt, &left);
    case OUTCOME_CONTINUED: return continue_fresh(tx, in, &left);
    default: return leave(tx, in, "waiting", in->run.attempt, &left);
    }
}

struct err *flow_record(struct db_tx *tx, struct flow_run_inside *in)
{
    switch (in->outcome) {
    case OUTCOME_COMPLETED: return end_as(tx, in, "completed", (struct str){0}, ERR_INTERNAL);
    case OUTCOME_FAILED: return end_as(tx, in, "failed", err_text(tx->arena, in->error), in->error->code);
    case OUTCOME_SUSPENDED:
    case OUTCOME_RETRY:
    case OUTCOME_RELEASED:
    case OUTCOME_CONTINUED: return record_left(tx, in);
    case OUTCOME_RECORDED:
    case OUTCOME_LOST:
    case OUTCOME_NONE: break;
    }
    return NULL;
}

/* ---- completion in the business transaction ---------------------------------------------------------------------- */

static void completed(void *arg)
{
    atomic_store(&((struct flow_run_inside *)arg)->committed, true);
}

struct err *flow_complete_in(struct flow_run *run, struct db_tx *tx)
{
    struct flow_run_inside *in = run->inside;
    struct ending ending = {.run = run->id, .epoch = in->epoch, .status = "completed", .output = in->new_output,
                            .input = in->new_input, .title = in->new_title, .progress = in->new_progress, .in = in};
    bool ended;
    in->completing = true;
    TRY(flow_end_run(tx, in->flow, &ending, &ended));
    if (!ended) {
        in->outcome = OUTCOME_LOST;
        return err_new(tx->arena, ERR_CANCELLED, "the lease of this run was lost");
    }
    TRY(flow_record_steps(tx, in));
    db_when_committed(tx, completed, in);
    return NULL;
}
