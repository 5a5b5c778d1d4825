/* match.c - incoming events against what runs wait for and what cancels them.
 *
 * A row of flow_wait holds "path=text". The paths in use for an event name are few: they are found by skipping through
 * the index, and for each the rows with the event's own text are one lookup, however many runs wait.
 */
#include "flow/parts.h"

#include "base/time.h"

struct waiter {
    int64_t    run;
    struct str step, condition;
};

/* "data.x" and "event.data.x" are the path x. */
static struct str bare_path(const char *match)
{
    static const struct str prefixes[] = {{"event.data.", 11}, {"async.data.", 11}, {"data.", 5}};
    struct str path = str_of(match);
    for (size_t i = 0; i < 3; i++)
        if (str_starts(path, prefixes[i])) return str_skip(path, prefixes[i].n);
    return path;
}

static struct str field_text(struct arena *arena, const json_value *data, struct str path)
{
    return flow_key_text(arena, flow_value_of(json_get(data, str_z(arena, path))));
}

static struct str wanted_text(struct arena *arena, struct str path, struct str text)
{
    return str_printf(arena, STR_FMT "=" STR_FMT, STR_ARG(path), STR_ARG(text));
}

static struct err *condition_holds(struct db_tx *tx, struct str condition, const json_value *own,
                                   const json_value *incoming, bool *holds)
{
    const struct flow_expression *parsed;
    *holds = true;
    if (!condition.n) return NULL;
    TRY(flow_expression_parse(tx->arena, condition, &parsed));
    const struct flow_root roots[] = {{"event.data", flow_value_of(own)}, {"async.data", flow_value_of(incoming)}};
    *holds = flow_value_true(flow_evaluate(tx->arena, parsed, roots, 2));
    return NULL;
}

/* The data of the event that a run is about. */
static struct err *own_data(struct db_tx *tx, int64_t run, const json_value **data)
{
    struct db_rows    rows;
    int64_t           seq = 0;
    struct str        own = {0};
    struct flow_event event;
    TRY(db_query(tx, &rows, "SELECT event_seq, data FROM flow_run WHERE id = $1", run));
    (void)db_next(&rows, &seq, &own);
    TRY(db_done(&rows));
    if (!own.s && seq) {
        TRY(flow_load_event(tx, seq, &event));
        own = event.data;
    }
    return json_parse(tx->arena, own.s ? own : STR("{}"), data);
}

struct err *flow_queue_waiting(struct db_tx *tx, int64_t run)
{
    return db_exec(tx, "UPDATE flow_run SET queued = 1, wake_at = NULL, ready = $2 - advantage, updated_at = $2 "
                       "WHERE id = $1 AND status = 'waiting' AND owner IS NULL", run, time_now());
}

static struct err *deliver(struct db_tx *tx, struct flow *flow, const struct waiter *waiter,
                           const struct accepted *accepted)
{
    bool             holds;
    const json_value *own;
    TRY(own_data(tx, waiter->run, &own));
    TRY(condition_holds(tx, waiter->condition, own, accepted->json, &holds));
    if (!holds) return NULL;
    if (str_starts(waiter->step, STR("#")))
        return flow_cancel_run(tx, flow, waiter->run,
                               str_printf(tx->arena, "cancelled by " STR_FMT, STR_ARG(accepted->event.name)), NULL);
    /* The timeout may have come first: whoever changes the step's row decides. */
    TRY(db_exec(tx, "UPDATE flow_step SET status = 'completed', event_seq = $3, ended_at = $4 "
                    "WHERE run_id = $1 AND step = $2 AND status = 'waiting'",
                waiter->run, waiter->step, accepted->event.seq, time_now()));
    bool decided = db_changes(tx) == 1;
    TRY(db_exec(tx, "DELETE FROM flow_wait WHERE run_id = $1 AND step = $2", waiter->run, waiter->step));
    return decided ? flow_queue_waiting(tx, waiter->run) : NULL;
}

static struct err *deliver_all(struct db_tx *tx, struct flow *flow, struct str wanted, const struct accepted *accepted)
{
    VEC(struct waiter) waiters = {0};
    struct waiter      one;
    struct db_rows     rows;
    TRY(db_query(tx, &rows,
                 "SELECT run_id, step, condition FROM flow_wait WHERE workspace_id = $1 AND event = $2 AND value = $3",
                 accepted->event.workspace, accepted->event.name, wanted));
    while (db_next(&rows, &one.run, &one.step, &one.condition)) *VEC_PUSH(tx->arena, &waiters) = one;
    TRY(db_done(&rows));
    for (size_t i = 0; i < waiters.n; i++) TRY(deliver(tx, flow, &waiters.at[i], accepted));
    if (waiters.n) db_wake_when_committed(tx, flow_wake, flow);
    return NULL;
}

struct err *flow_match_event(struct db_tx *tx, struct flow *flow, const struct accepted *accepted)
{
    struct str from = STR("");
    for (;;) {
        struct db_rows rows;
        struct str     value = {0}, path, text;
        TRY(db_query(tx, &rows, "SELECT value FROM flow_wait WHERE workspace_id = $1 AND event = $2 AND value >= $3 "
                                "ORDER BY value LIMIT 1", accepted->event.workspace, accepted->event.name, from));
        (void)db_next(&rows, &value);
        TRY(db_done(&rows));
        if (!str_cut(&value, '=', &path)) return NULL;
        text = path.n ? field_text(tx->arena, accepted->json, path) : STR("");
        if (text.s) TRY(deliver_all(tx, flow, wanted_text(tx->arena, path, text), accepted));
        from = str_printf(tx->arena, STR_FMT ">", STR_ARG(path)); /* the first text behind all "path=..." */
    }
}

/* ---- arming ------------------------------------------------------------------------------------------------------ */

static struct err *insert_wait(struct db_tx *tx, int64_t run, struct str step, int64_t workspace, const char *event,
                               struct str value, struct str condition)
{
    return db_exec(tx, "INSERT INTO flow_wait (run_id, step, workspace_id, event, value, condition) "
                       "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run_id, step) DO NOTHING",
                   run, step, workspace, event, value, condition);
}

struct err *flow_arm_cancel(struct db_tx *tx, struct function *function, int64_t run, int64_t workspace,
                            const json_value *data)
{
    const struct flow_cancel_on *on = function->table->cancel_on;
    for (int i = 0; i < CANCEL_ONS && on[i].event; i++) {
        struct str path = on[i].match ? bare_path(on[i].match) : STR(""), text = STR("");
        if (path.n) text = field_text(tx->arena, data, path);
        if (!text.s) continue; /* null matches nothing */
        TRY(insert_wait(tx, run, str_printf(tx->arena, "#%d", i), workspace, on[i].event,
                        wanted_text(tx->arena, path, text), str_of(on[i].when)));
    }
    return NULL;
}

/* An event that was accepted before the wait was armed, and not returned by another wait of this run. */
static struct err *find_accepted(struct db_tx *tx, struct flow_run_inside *in, const struct step *step, struct str path,
                                 struct str text, int64_t *seq)
{
    struct db_rows rows;
    int64_t        candidate;
    struct str     data;
    struct err    *err = NULL;
    *seq = 0;
    TRY(db_query(
        tx, &rows,
        "SELECT seq, data FROM flow_event WHERE workspace_id = $1 AND name = $2 AND awaited = 1 AND seq > $3 "
        "AND NOT EXISTS (SELECT 1 FROM flow_step WHERE run_id = $4 AND event_seq = flow_event.seq) ORDER BY seq",
        in->run.workspace, step->wait.event, in->wait_after, in->run.id));
    while (!*seq && !err && db_next(&rows, &candidate, &data)) {
        const json_value *json;
        bool              fits = true;
        err = json_parse(tx->arena, data, &json);
        if (!err && path.n) fits = str_eq(field_text(tx->arena, json, path), text);
        if (!err && fits) err = condition_holds(tx, str_of(step->wait.when), flow_data(&in->run), json, &fits);
        if (!err && fits) *seq = candidate;
    }
    struct err *end = db_done(&rows);
    return err ? err : end;
}

struct err *flow_arm_wait(struct db_tx *tx, struct flow_run_inside *in, struct step *step, bool *found)
{
    struct str path = step->wait.match ? bare_path(step->wait.match) : STR(""), text = STR("");
    int64_t    seq;
    *found = false;
    if (path.n) {
        struct flow_value equals = {.kind = FLOW_TEXT, .text = step->wait.equals};
        text =
            step->wait.equals.s ? flow_key_text(tx->arena, equals) : field_text(tx->arena, flow_data(&in->run), path);
        if (!text.s) return NULL; /* null matches nothing: the timeout ends it */
    }
    TRY(find_accepted(tx, in, step, path, text, &seq));
    *found = seq != 0;
    if (seq)
        return db_exec(tx, "UPDATE flow_step SET status = 'completed', event_seq = $3, ended_at = $4 "
                           "WHERE run_id = $1 AND step = $2", in->run.id, step->key, seq, time_now());
    return insert_wait(tx, in->run.id, step->key, in->run.workspace, step->wait.event,
                       wanted_text(tx->arena, path, text), str_of(step->wait.when));
}
